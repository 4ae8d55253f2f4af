package chat

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"image"
	"image/color"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/internal/pixel"
)

// picture returns one whose pixels are all different.
func picture(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, color.NRGBA{uint8(x), uint8(y), uint8(x * y), 255})
		}
	}
	return m
}

// TestMediaOutliveJSON as they are: pictures to the pixel, sounds to the bit, videos with their times.
func TestMediaOutliveJSON(t *testing.T) {
	same := func(a, b image.Image) bool {
		if a.Bounds() != b.Bounds() {
			return false
		}
		for y := range a.Bounds().Dy() {
			for x := range a.Bounds().Dx() {
				r, g, b1, _ := a.At(x, y).RGBA()
				r2, g2, b2, _ := b.At(x, y).RGBA()
				if r != r2 || g != g2 || b1 != b2 {
					return false
				}
			}
		}
		return true
	}
	m := Message{Role: "user", Parts: []Part{
		{Type: "image", Image: picture(31, 17), Budget: 560},
		AudioPart([]float32{0, -1, 1e-30, float32(math.Copysign(0, -1)), 0.1}),
		{Type: "video", Budget: AutoBudget, Frames: []Frame{{0, picture(3, 2)}, {61500 * time.Millisecond, picture(1, 1)}}},
		TextPart("What is this?"),
	}}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var got Message
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range m.Parts {
		p := got.Parts[i]
		if p.Type != want.Type || p.Budget != want.Budget || p.Text != want.Text || !slices.Equal(p.Samples, want.Samples) ||
			(p.Image == nil) != (want.Image == nil) || p.Image != nil && !same(p.Image, want.Image) || len(p.Frames) != len(want.Frames) {
			t.Errorf("part %d: %+v, want %+v", i, p, want)
			continue
		}
		for j, f := range want.Frames {
			if p.Frames[j].Time != f.Time || !same(p.Frames[j].Image, f.Image) {
				t.Errorf("part %d: frame %d: %v, want %v", i, j, p.Frames[j].Time, f.Time)
			}
		}
	}
	if math.Signbit(float64(got.Parts[1].Samples[3])) != true {
		t.Error("the sign of a zero is lost")
	}
	if again, err := json.Marshal(got); err != nil || string(again) != string(data) {
		t.Errorf("written again: %.200s, %v, want %.200s", again, err, data)
	}
}

// TestPartsThatMakeNoSenseAreErrors, whoever made them.
func TestPartsThatMakeNoSenseAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		part Part
		want string
	}{
		"text and picture": {Part{Type: "text", Text: "a", Image: picture(1, 1)}, "media in a part of type text"},
		"wrong type":       {Part{Type: "image", Samples: []float32{0}}, "what a part of type audio has, in a part of type image"},
		"URL and picture":  {Part{Type: "image", Image: picture(1, 1), URL: "data:"}, "a URL or data beside the image itself"},
		"budget": {Part{Type: "image", Image: picture(1, 1), Budget: 100},
			"a budget of 100 tokens, expected one of [70 140 280 560 1120]"},
		"frame without":       {VideoPart(Frame{}), "frame 0 has no image"},
		"frames out of order": {VideoPart(Frame{time.Second, picture(1, 1)}, Frame{0, picture(1, 1)}), "frame 1 is at 0s"},
		"NaN":                 {AudioPart([]float32{0, float32(math.NaN())}), "sample 1 is NaN"},
		"infinite":            {AudioPart([]float32{float32(math.Inf(-1))}), "sample 0 is -Inf"},
	} {
		err := Conversation{Messages: []Message{{Role: "user", Parts: []Part{c.part}}}}.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, s := range []string{
		`{"type":"image","image":{"width":100000,"height":100000,"rgb":""}}`,
		`{"type":"image","image":{"width":2,"height":2,"rgb":"AAAA"}}`,
		`{"type":"image","image":{"width":0,"height":2,"rgb":""}}`, `{"type":"audio","samples":"AAAAAAA="}`,
		`{"type":"video","frames":[{"time":-1,"image":{"width":0,"height":0,"rgb":""}}]}`, `{"type":"video","frames":[{"time":1}]}`,
		`{"type":"image","image":{"width":1,"height":1,"rgb":"AAAA"},"budget":"huge"}`, `{"type":"image","budget":99}`,
	} {
		var p Part
		if err := json.Unmarshal([]byte(s), &p); err == nil {
			t.Errorf("%s: %+v, no error", s, p)
		}
	}
}

// TestBudgetsHaveNames, numbers and those that other protocols have for detail.
func TestBudgetsHaveNames(t *testing.T) {
	for text, want := range map[string]Budget{"": 0, "auto": AutoBudget, "low": 70, "medium": 280, "high": 1120, "140": 140, "560": 560} {
		var b Budget
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: %d, %v, want %d", text, b, err, want)
		}
		var again Budget
		if data, err := json.Marshal(want); err != nil || json.Unmarshal(data, &again) != nil || again != want {
			t.Errorf("%d in JSON: %s, %v, read as %d", want, data, err, again)
		}
	}
	for _, text := range []string{"71", "-1", "0", "huge", "1e3", "70 "} {
		var b Budget
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, b)
		}
	}
	for detail, want := range map[string]Budget{"": 0, "low": 70, "high": 1120, "auto": AutoBudget} {
		if got := (Part{Type: "image", Detail: detail}).Wanted(); got != want {
			t.Errorf("detail %q: %d, want %d", detail, got, want)
		}
	}
	if got := (Part{Budget: 140, Detail: "high"}).Wanted(); got != 140 {
		t.Errorf("budget before detail: %d", got)
	}
	if b := Budgets(); !reflect.DeepEqual(b, Budgets()) || !slices.IsSorted(b) {
		t.Error(b)
	}
}

// TestNoTextIsASmallPartOfItsPictures: what is read takes memory in proportion to what was sent, and a plain picture can be written all the
// same.
func TestNoTextIsASmallPartOfItsPictures(t *testing.T) {
	const side = 1024
	plain := pixels{Image: *pixel.New(side, side)}
	data, err := json.Marshal(&plain)
	if err != nil {
		t.Fatal(err)
	}
	var again pixels
	if err := json.Unmarshal(data, &again); err != nil || !bytes.Equal(again.Pix, plain.Pix) {
		t.Errorf("a plain picture: %v", err)
	}
	packed, err := deflated(plain.Pix, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for name, j := range map[string]pixelsJSON{
		"a bomb":    {Width: side, Height: side, RGB: packed},
		"cut off":   {Width: side, Height: side, RGB: make([]byte, 3*side*side/densest)},
		"one more":  {Width: 2, Height: 1, RGB: []byte("\x01\x07\x00\xf8\xffabcdefg")},
		"one fewer": {Width: 2, Height: 1, RGB: []byte("\x01\x05\x00\xfa\xffabcde")},
	} {
		data, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &again); err == nil {
			t.Errorf("%s is read", name)
		}
	}
	whole, err := json.Marshal(pixelsJSON{Width: 2, Height: 1, RGB: []byte("\x01\x06\x00\xf9\xffabcdef")})
	if err == nil {
		err = json.Unmarshal(whole, &again)
	}
	if err != nil || string(again.Pix) != "abcdef" {
		t.Errorf("%q, %v", again.Pix, err)
	}
}
