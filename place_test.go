package gemma4

import (
	"fmt"
	"image"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/pixel"
)

func TestPlacesAreInThePicturesPixels(t *testing.T) {
	b := image.Rect(10, 20, 1930, 1100) // 1920 × 1080
	for f, want := range map[found]image.Rectangle{
		{Box: [4]int{0, 0, 1000, 1000}}:     b,
		{Box: [4]int{500, 250, 750, 1000}}:  image.Rect(490, 560, 1930, 830),
		{Box: [4]int{750, 1000, 500, 250}}:  image.Rect(490, 560, 1930, 830), // the other way round
		{Box: [4]int{1, 1, 2, 2}}:           image.Rect(11, 21, 14, 23),      // what it touches
		{Box: [4]int{333, 333, 333, 333}}:   image.Rect(649, 379, 650, 380),
		{Box: [4]int{1000, 1000, 1000, 10}}: image.Rect(29, 1100, 1930, 1100),
	} {
		if got := f.rect(b); got != want || !got.In(b) && !got.Empty() {
			t.Errorf("%v is %v, want %v", f.Box, got, want)
		}
	}
	for f, want := range map[found]image.Point{
		{Point: [2]int{0, 0}}: {10, 20}, {Point: [2]int{1000, 1000}}: {1929, 1099}, {Point: [2]int{500, 250}}: {490, 560},
	} {
		if got := f.at(b); got != want || !got.In(b) {
			t.Errorf("%v is %v, want %v", f.Point, got, want)
		}
	}
	wide := image.Rect(0, 0, 1<<30, 1)
	if got := (found{Point: [2]int{0, 1000}}).at(wide); got != image.Pt(1<<30-1, 0) {
		t.Errorf("the end of a wide picture is %v", got)
	}
}

func TestStripsCoverThePage(t *testing.T) {
	for length := 1; length < 300; length++ {
		for size := 8; size < 100; size += 7 {
			all := cuts(length, size)
			at := 0
			for i, c := range all {
				if c[0] > at || c[1]-c[0] > size || i > 0 && at-c[0] < size/8 {
					t.Fatalf("%d in pieces of %d: %v", length, size, all)
				}
				at = c[1]
			}
			if at != length || all[0][0] != 0 || len(all) > 1+(length-1)/(size-size/8-1) {
				t.Fatalf("%d in pieces of %d: %v", length, size, all)
			}
		}
	}
	page := pixel.New(50, 40)
	for i := range page.Pix {
		page.Pix[i] = byte(i / 150) // its row
	}
	all, err := strips(page, 1000)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d strips, %v", len(all), err)
	}
	for i, first := range []byte{0, 10, 20} {
		s := all[i].(*pixel.Image)
		if s.Width != 50 || s.Height != 20 || s.Pix[0] != first || s.Pix[len(s.Pix)-1] != first+19 {
			t.Errorf("strip %d: %d × %d from row %d", i, s.Width, s.Height, s.Pix[0])
		}
	}
}

func TestOverlappingTextIsThereOnce(t *testing.T) {
	for _, c := range [][3]string{
		{"", "a", "\na"},
		{"one|two", "three|four", "one|two|three|four"},
		{"one|two|three", "two|three|four", "one|two|three|four"},
		{"one|two  words", "two words|three", "one|two  words|three"},
		{"the first line|the second line|the thxxd lxne", "xx xxcond|the second line|the third line|end",
			"the first line|the second line|the third line|end"},
		{"one|-|x", "y|-|two", "one|-|x|y|-|two"}, // too little to be more than chance
		{"a|b|b", "b|b|c", "a|b|b|c"},
		{"one||", "||two", "one|||||two"}, // empty lines are nothing in common
	} {
		above := strings.Split(c[0], "|")
		if got := strings.Join(joined(above, strings.Split(c[1], "|")), "|"); got != strings.ReplaceAll(c[2], "\n", "|") {
			t.Errorf("%q and %q are %q, want %q", c[0], c[1], got, c[2])
		}
	}
	if got := joined(nil, []string{"a"}); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%q", got)
	}
}

func TestPartsGoWhereModelsWereMadeForThem(t *testing.T) {
	picture, sound, video := chat.ImagePart(pixel.New(1, 1)), chat.AudioPart([]float32{0}), chat.VideoPart()
	for _, c := range []struct {
		text  string
		parts []chat.Part
		want  string
	}{
		{"text", nil, "text"},
		{"text", []chat.Part{sound, picture}, "[image text audio]"},
		{"text", []chat.Part{picture, sound, video}, "[image video text audio]"},
		{"", []chat.Part{sound}, "[audio]"},
		{"text", []chat.Part{chat.TextPart("more"), sound, picture}, "[image text text audio]"},
	} {
		m := asked(c.text, c.parts)
		var types []string
		for _, p := range m.Parts {
			types = append(types, p.Type)
		}
		if got := fmt.Sprint(types); m.Role != "user" || m.Content+got != c.want && m.Content != c.want {
			t.Errorf("%q with %d parts: %q %v", c.text, len(c.parts), m.Content, types)
		}
	}
}
