package media_test

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/pixel"
	"github.com/gogemma/gemma4/media"
)

// rgb returns an image's packed pixels.
func rgb(t testing.TB, m image.Image) *pixel.Image {
	t.Helper()
	w, h, pix, err := pixel.RGB(m)
	if err != nil {
		t.Fatal(err)
	}
	return &pixel.Image{Width: w, Height: h, Pix: pix}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// expected returns what Pillow made of a file.
func expected(t testing.TB, path string) *pixel.Image {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(read(t, path+".png")))
	if err != nil {
		t.Fatal(err)
	}
	return rgb(t, m)
}

// difference returns the largest of two pictures' pixels, and its mean.
func difference(t testing.TB, got, want *pixel.Image) (largest int, mean float64) {
	t.Helper()
	if got.Width != want.Width || got.Height != want.Height {
		t.Fatalf("%d×%d pixels, not %d×%d", got.Width, got.Height, want.Width, want.Height)
	}
	sum := 0
	for i, v := range want.Pix {
		d := int(got.Pix[i]) - int(v)
		largest, sum = max(largest, d, -d), sum+max(d, -d)
	}
	return largest, float64(sum) / float64(len(want.Pix))
}

// paths returns the files of a folder of testdata that have their pixels beside them.
func paths(t testing.TB, folder string) (names []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("testdata", folder, "*.png"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%d files, %v", len(all), err)
	}
	for _, path := range all {
		if path = strings.TrimSuffix(path, ".png"); filepath.Ext(path) != "" {
			names = append(names, strings.TrimPrefix(filepath.ToSlash(path), "testdata/"))
		}
	}
	return names
}

// TestPicturesHaveThePixelsThatPillowGivesThem: to the byte but for JPEG, whose inverse transform is rounded otherwise in image/jpeg than
// in libjpeg. A step of luma or chroma there is up to 2 of a color; where chroma of CMYK and of rarer ratios is not spread, more.
func TestPicturesHaveThePixelsThatPillowGivesThem(t *testing.T) {
	for _, path := range paths(t, "pictures") {
		t.Run(path, func(t *testing.T) {
			data := read(t, path)
			m, err := media.Picture(path, data, media.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, want := rgb(t, m), expected(t, path)
			largest, mean := difference(t, got, want)
			t.Logf("at most %d, %.3f on average", largest, mean)
			bound := 0
			if media.Sniff(data, media.Options{}) == "JPEG" {
				bound = 3
			}
			if largest > bound || mean > 0.2 {
				t.Errorf("a pixel is %d off, %.3f on average; %d and 0.2 are the bounds", largest, mean, bound)
			}
			if w, h, err := media.Size(path, data, media.Options{}); err != nil || w != want.Width || h != want.Height {
				t.Errorf("by its headers it has %d×%d pixels, %v", w, h, err)
			}
		})
	}
}
