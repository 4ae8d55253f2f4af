package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/pixel"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/nano"
)

var seeing = command("see")

func TestEachPictureHasItsAnswer(t *testing.T) {
	one, four := sample(t, "picture-1.png"), sample(t, "picture-4.png")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{one, "How many shapes are there?"}, "There are 3 shapes.\n"},
		{[]string{four}, "A blue triangle.\n"},
		{[]string{one, four, "How many shapes are there?"}, one + ": There are 3 shapes.\n" + four + ": There is 1 shape.\n"},
		{[]string{"-json", four}, `{"file":"` + four + `","tokens":64,"answer":"A blue triangle."}` + "\n"},
	} {
		if o := seeing.Call("", append([]string{"-temp", "0"}, test.args...)...); o != (clitest.Output{Out: test.want}) {
			t.Errorf("%q: %+v, want %q", test.args, o, test.want)
		}
	}
}

// tokens returns how many positions pictures took, as the answer in JSON says.
func tokens(t *testing.T, args ...string) int {
	t.Helper()
	var x sight
	if err := json.Unmarshal([]byte(seeing.Good(t, "", append([]string{"-temp", "0", "-n", "1", "-json"}, args...)...)), &x); err != nil {
		t.Fatal(err)
	}
	return x.Tokens
}

func TestVideosFoldersAndPicturesTogetherAreOneQuestion(t *testing.T) {
	one, four := sample(t, "picture-1.png"), sample(t, "picture-4.png")
	if n := tokens(t, "-together", one, four); n != 60+64 {
		t.Errorf("together: %d tokens", n)
	}
	if n := tokens(t, "-budget", "140", four); n != 121 {
		t.Errorf("at another budget: %d tokens", n)
	}
	dir := t.TempDir()
	var film gif.GIF
	for i, name := range []string{one, four, four} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, []string{"1.png", "2.png", "10.png"}[i]), data, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := media.OpenPicture(four, media.Options{})
		if err != nil {
			t.Fatal(err)
		}
		frame := image.NewPaletted(m.Bounds(), palette.WebSafe)
		draw.Draw(frame, frame.Rect, m, image.Point{}, draw.Src)
		film.Image, film.Delay = append(film.Image, frame), append(film.Delay, 100)
	}
	if n := tokens(t, dir); n != 60+64+64 {
		t.Errorf("a folder: %d tokens", n)
	}
	var data bytes.Buffer
	if err := gif.EncodeAll(&data, &film); err != nil {
		t.Fatal(err)
	}
	if n := tokens(t, made(t, "film.gif", data.String())); n != 3*64 {
		t.Errorf("a video: %d tokens", n)
	}
}

func TestACameraIsAnsweredWhenItShowsSomethingElse(t *testing.T) {
	var stream bytes.Buffer
	for _, name := range []string{"picture-1.png", "picture-1.png", "picture-4.png", "picture-4.png"} {
		m, err := media.OpenPicture(sample(t, name), media.Options{})
		if err == nil {
			err = jpeg.Encode(&stream, m, &jpeg.Options{Quality: 95})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out := seeing.Good(t, stream.String(), "-temp", "0", "-")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	timed := regexp.MustCompile(`^\d+:\d\d:\d\d: `)
	if n := len(lines); n > 2 || !strings.HasSuffix(lines[n-1], ": A blue triangle.") || !timed.MatchString(out) {
		t.Errorf("got %q", out) // how many are passed over depends on how fast they come, but not that the last is seen
	}
	if out := seeing.Good(t, stream.String(), "-temp", "0", "-every", "1h", "-json", "-"); strings.Count(out, "\n") != 1 {
		t.Errorf("within an hour: %q", out)
	}
	seeing.Fails(t, 1, "no JPEG picture", "text", "-")
}

func TestRowsAreWhatTheProjectorMakes(t *testing.T) {
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	shape, err := model.Shape(f)
	if err != nil {
		t.Fatal(err)
	}
	towers, err := gguf.OpenBytes(nano.Projector())
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.OpenProjector(towers, shape, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var want []float32
	names := []string{sample(t, "picture-1.png"), sample(t, "picture-4.png")}
	for _, name := range names {
		m, err := media.OpenPicture(name, media.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w, h, rgb, err := pixel.RGB(m)
		if err != nil {
			t.Fatal(err)
		}
		tw, th, err := model.Fit(w, h, int(chat.LowBudget), p.TokenSide())
		if err != nil {
			t.Fatal(err)
		}
		rows, err := p.See(context.Background(), model.Pixels{Width: w, Height: h, RGB: rgb}.Resize(tw, th))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, rows...)
	}
	file := filepath.Join(t.TempDir(), "rows.f32")
	o := seeing.Call("", "-exact", "-rows", file, names[0], names[1])
	if o.Status != 0 || o.Out != "" || !strings.Contains(o.Errors, "picture-4.png: 64 rows") {
		t.Errorf("%+v", o)
	}
	got := readRows(t, file)
	if len(got) != len(want) {
		t.Fatalf("%d numbers, want %d", len(got), len(want))
	}
	for i := range got {
		if d := got[i] - want[i]; d > 1e-4 || d < -1e-4 {
			t.Fatalf("number %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func readRows(t *testing.T, file string) []float32 {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]float32, len(data)/4)
	if err := binary.Read(bytes.NewReader(data), binary.LittleEndian, rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestWhatCannotBeSeenIsOneSentence(t *testing.T) {
	photo, question, one := made(t, "photo.heic", heic), sample(t, "sound-1.wav"), sample(t, "picture-1.png")
	missing := filepath.Join(t.TempDir(), "missing.png")
	seeing.Fails(t, 1, "ffmpeg -i photo.heic", "", photo)
	seeing.Fails(t, 1, "a sound, nothing to see; gemma4 listen hears it", "", question)
	seeing.Fails(t, 1, "missing.png", "", missing)
	seeing.Fails(t, 1, "missing.png", "", one, "missing.png")
	seeing.Fails(t, 1, "without a projector of pictures", "", "-m", deaf(t), missing)
	seeing.Fails(t, 2, "name a file", "")
	seeing.Fails(t, 2, "- goes without other files", "", "-", one)
	seeing.Fails(t, 2, "without -together, -rows and -draw", "", "-together", "-")
	seeing.Fails(t, 2, "not negative", "", "-every", "-1s", "-")
	rows := filepath.Join(t.TempDir(), "rows.f32")
	seeing.Fails(t, 1, "ffmpeg -i photo.heic", "", "-rows", rows, photo)
	if _, err := os.Stat(rows); err == nil {
		t.Error("rows of nothing")
	}
}
