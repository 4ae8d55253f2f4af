package media_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"strings"
	"testing"
)

// encode returns a JPEG of w×h pixels of one grey.
func encode(t testing.TB, w, h int, grey byte) string {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	m.SetGray(0, 0, color.Gray{255 - grey})
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFramesOfCamerasThatLeaveOutTheirTablesAreDecoded: without Huffman tables a JPEG means the standard's.
func TestFramesOfCamerasThatLeaveOutTheirTablesAreDecoded(t *testing.T) {
	whole := encode(t, 48, 32, 200)
	begin := strings.Index(whole, "\xff\xc4")
	end := strings.Index(whole, "\xff\xda")
	if begin < 0 || end < begin {
		t.Fatal("no tables")
	}
	m := newMovie(t)
	m.frames = whole + whole[:begin] + whole[end:]
	m.stsz = be(0, 0, 2, len(whole), len(m.frames)-len(whole))
	clip := open(t, "it", []byte(m.bytes()))
	with, err := clip.Frames[0].Image()
	if err != nil {
		t.Fatal(err)
	}
	without, err := clip.Frames[1].Image()
	if err != nil {
		t.Fatal(err)
	}
	if d, _ := difference(t, rgb(t, without), rgb(t, with)); d != 0 {
		t.Errorf("a pixel is %d off", d)
	}
}

// TestTwoFieldsAreWovenIntoAFrame, the first one's rows above the other's.
func TestTwoFieldsAreWovenIntoAFrame(t *testing.T) {
	m := newMovie(t)
	m.frames = encode(t, 48, 16, 10) + encode(t, 48, 16, 240)
	m.stsz = be(0, 0, 1, len(m.frames))
	shown, err := open(t, "it", []byte(m.bytes())).Frames[0].Image()
	if err != nil || shown.Bounds() != image.Rect(0, 0, 48, 32) {
		t.Fatalf("%v, %v", shown, err)
	}
	got := rgb(t, shown)
	for y := range 32 {
		bright := got.Pix[3*(48*y+40)] > 128
		if bright != (y%2 == 1) {
			t.Errorf("row %d is of the other field", y)
		}
	}
}
