package main

import (
	"encoding/json"
	"image"
	"image/color"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/media"
)

// Nano has not learned to find anything: what it says is nonsense, in the form that is asked for.
func TestWhatIsFoundLiesInThePicture(t *testing.T) {
	one, copied := sample(t, "picture-1.png"), filepath.Join(t.TempDir(), "copy.png")
	m, err := media.OpenPicture(one, media.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var x sight
	out := seeing.Good(t, "", "-temp", "0", "-json", "-point", "the star", "-most", "2", "-draw", copied, one)
	err = json.Unmarshal([]byte(out), &x)
	if err != nil || x.File != one || x.Tokens != 60 || x.Points == nil || len(*x.Points) > 2 || x.Answer != nil {
		t.Fatalf("%s: %v", out, err)
	}
	nowhere := filepath.Join(t.TempDir(), "none", "copy.png")
	o := seeing.Call("", "-temp", "0", "-json", "-point", "the star", "-most", "2", "-draw", nowhere, one)
	if o.Status != 1 || o.Out != out || !strings.Contains(o.Errors, "copy.png") {
		t.Errorf("without room for a copy: %+v", o)
	}
	painted, err := media.OpenPicture(copied, media.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if painted.Bounds() != m.Bounds() {
		t.Errorf("a copy of %v, want %v", painted.Bounds(), m.Bounds())
	}
	for _, p := range *x.Points {
		if !image.Pt(p.At[0], p.At[1]).In(m.Bounds()) {
			t.Errorf("%v is outside of %v", p.At, m.Bounds())
		}
	}
	line := regexp.MustCompile(`^` + regexp.QuoteMeta(one) + `: \d+ \d+ `)
	for found := range strings.Lines(seeing.Good(t, "", "-temp", "0", "-point", "the star", "-most", "1", one, one)) {
		if !line.MatchString(found) {
			t.Errorf("got %q", found)
		}
	}
	if !testing.Short() { // seconds, of 1120 tokens
		if out := seeing.Good(t, "", "-n", "3", "-ocr", one); strings.Count(out, "\n") != 1 {
			t.Errorf("text: %q", out)
		}
	}
	for _, args := range []string{"-detect a -point b", "-ocr -together", "-ocr -detect a", "-detect a -rows x"} {
		seeing.Fails(t, 2, "go without each other", "", append(strings.Fields(args), one)...)
	}
	seeing.Fails(t, 2, "go without each other", "", "-detect", "a", one, "What is it?")
	seeing.Fails(t, 2, "-draw is for", "", "-draw", copied, one)
	seeing.Fails(t, 2, "-draw is for", "", "-draw", copied, "-detect", "a", one, one)
	seeing.Fails(t, 2, "-rows and -draw", "", "-draw", copied, "-detect", "a", "-")
}

func TestBoxesAndPointsArePaintedWhereTheyAre(t *testing.T) {
	c := newCanvas(image.NewGray(image.Rect(10, 20, 110, 90)))
	c.box(image.Rect(30, 50, 60, 80), "a")
	c.box(image.Rect(10, 20, 12, 21), "a") // thinner than a line
	c.point(image.Pt(80, 80), "b")
	c.point(image.Pt(109, 89), "b")                                  // at the edge
	c.box(image.Rect(100, 20, 110, 30), strings.Repeat("long ", 50)) // a label wider than the picture
	black := color.RGBA{A: 255}
	for _, test := range []struct {
		x, y int
		want color.RGBA
	}{
		{30, 79, paints[0]}, {59, 79, paints[0]}, {31, 70, paints[0]}, {58, 75, paints[0]}, {32, 78, paints[0]},
		{45, 70, black}, {29, 70, black}, {60, 75, black}, {45, 80, black},
		{80, 80, paints[1]}, {76, 80, paints[1]}, {75, 80, black}, {109, 89, paints[1]},
	} {
		if got := c.RGBAAt(test.x, test.y); got != test.want {
			t.Errorf("at %d, %d: %v, want %v", test.x, test.y, got, test.want)
		}
	}
	var none *canvas
	none.box(image.Rect(0, 0, 1, 1), "a")
	none.point(image.Pt(0, 0), "a")
}
