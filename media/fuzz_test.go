package media_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/media"
)

// small are limits under which any input is read within milliseconds.
var small = media.Options{Pixels: 1 << 14, Bytes: 1 << 16, Frames: 50}

// seeds adds the files whose paths in testdata match.
func seeds(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(found) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		for _, path := range found {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// look decodes a picture: either it is as large as its headers say, within the limits, or there is an error that is no panic within.
func look(t *testing.T, data []byte) {
	m, err := media.Picture("it", data, small)
	if err != nil {
		if m != nil || strings.Contains(err.Error(), "decoder fails") || !strings.HasPrefix(err.Error(), "media: ") {
			t.Fatalf("%v, %v", m, err)
		}
		return
	}
	got := rgb(t, m)
	w, h, err := media.Size("it", data, small)
	if err != nil || w != got.Width || h != got.Height || w*h > small.Pixels || len(got.Pix) != 3*w*h {
		t.Fatalf("%d×%d by its headers, %d×%d decoded, %v", w, h, got.Width, got.Height, err)
	}
}

// watch decodes the first and the last frames of a video.
func watch(t *testing.T, data []byte) {
	c, err := media.Video("it", bytes.NewReader(data), int64(len(data)), small)
	if err != nil {
		if c != nil || !strings.HasPrefix(err.Error(), "media: ") {
			t.Fatalf("%v, %v", c, err)
		}
		return
	}
	n := len(c.Frames)
	if n == 0 || n > small.Frames || c.Frames[0].Time < 0 || c.Duration < c.Frames[n-1].Time {
		t.Fatalf("%d frames, %v", n, c.Duration)
	}
	if !slices.IsSortedFunc(c.Frames, func(a, b media.Frame) int { return int(a.Time - b.Time) }) {
		t.Fatal("frames out of order")
	}
	for _, i := range []int{0, n - 1, n / 2} {
		m, err := c.Frames[i].Image()
		if err != nil && (m != nil || strings.Contains(err.Error(), "decoder fails")) {
			t.Fatalf("%v, %v", m, err)
		}
		if err == nil {
			rgb(t, m)
		}
	}
}

func FuzzPicture(f *testing.F) {
	seeds(f, "pictures/*.jpg", "pictures/*.png", "pictures/*.gif", "pictures/*.bmp", "pictures/*.tif")
	f.Fuzz(look)
}

func FuzzWebP(f *testing.F) {
	seeds(f, "pictures/*.webp", "videos/*.webp")
	f.Fuzz(func(t *testing.T, data []byte) {
		look(t, data)
		watch(t, data)
	})
}

func FuzzGIF(f *testing.F) {
	seeds(f, "pictures/*.gif", "videos/*.gif")
	f.Fuzz(func(t *testing.T, data []byte) {
		look(t, data)
		watch(t, data)
	})
}

func FuzzAVI(f *testing.F) {
	seeds(f, "videos/*.avi")
	f.Fuzz(watch)
}

func FuzzMP4(f *testing.F) {
	seeds(f, "videos/*.mp4", "videos/*.mov")
	f.Fuzz(watch)
}

func FuzzStream(f *testing.F) {
	seeds(f, "videos/*.mjpeg", "pictures/jpeg-4*.jpg")
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		for frame, err := range media.Stream(bytes.NewReader(data), 5, small) {
			if err != nil {
				return
			}
			if frame.Index != n || frame.Time < 0 {
				t.Fatalf("frame %d is %d at %v", n, frame.Index, frame.Time)
			}
			n++
			if m, err := frame.Image(); err == nil {
				rgb(t, m)
			}
		}
		if n == 0 && len(data) < int(small.Bytes) {
			t.Fatal("neither a frame nor an error")
		}
	})
}

func FuzzOrientation(f *testing.F) {
	seeds(f, "pictures/turned*")
	f.Fuzz(func(t *testing.T, data []byte) {
		if o := media.Orientation(data); o < 1 || o > 8 {
			t.Fatal(o)
		}
	})
}

func FuzzReadList(f *testing.F) {
	f.Add("# frames\n0 a.png\n1.5 b c.png\n1:02 /tmp/d.png\n1:00:02.25 ../e.png\n")
	f.Add("NaN a\n")
	f.Add("1e5:1e5:1e5 a\n-1 b")
	f.Fuzz(func(t *testing.T, text string) {
		files, err := media.ReadList(strings.NewReader(text), "dir")
		if err != nil {
			return
		}
		for _, file := range files {
			if file.Time < 0 || file.Path == "" {
				t.Fatalf("%+v", file)
			}
		}
	})
}
