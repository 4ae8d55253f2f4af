package media_test

import (
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/media"
)

// TestAFolderIsAVideoOfItsPictures, in the order of the numbers in their names.
func TestAFolderIsAVideoOfItsPictures(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put("frame10.png", read(t, "pictures/png-rgb8.png"))
	put("frame2.png", read(t, "pictures/webp-lossy-2x2.webp"))
	put("frame002b.jpg", read(t, "pictures/jpeg-pixel.jpg"))
	put("notes.txt", []byte("no picture"))
	put(".hidden.png", read(t, "pictures/png-rgb8.png"))
	if err := os.Mkdir(filepath.Join(dir, "frame3.png"), 0o777); err != nil {
		t.Fatal(err)
	}
	c, err := media.Folder(dir, 4, media.Options{})
	if err != nil || len(c.Frames) != 3 || c.Duration != 750*time.Millisecond {
		t.Fatalf("%+v, %v", c, err)
	}
	for i, want := range []image.Point{{2, 2}, {1, 1}, {37, 23}} {
		m, err := c.Frames[i].Image()
		if err != nil || m.Bounds().Size() != want || c.Frames[i].Time != time.Duration(i)*250*time.Millisecond {
			t.Errorf("frame %d at %v is %v, %v", i, c.Frames[i].Time, m.Bounds(), err)
		}
	}
	for _, fps := range []float64{-1, 1e9} {
		if _, err := media.Folder(dir, fps, media.Options{}); err == nil {
			t.Errorf("%v frames a second", fps)
		}
	}
	if _, err := media.Folder(dir, 0, media.Options{Frames: 2}); err == nil {
		t.Error("3 frames of at most 2")
	}
	if _, err := media.Folder(t.TempDir(), 0, media.Options{}); err == nil || !strings.Contains(err.Error(), "without a picture") {
		t.Error(err)
	}
	if _, err := media.OpenVideo(dir, media.Options{}); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Error(err)
	}
}

func TestAListOfFramesHasTimesAndPaths(t *testing.T) {
	const text = "# time path\n\n1:00:02.5 /abs/z.png\n0  a b.png\r\n1:02 sub/c.png\n"
	files, err := media.ReadList(strings.NewReader(text), "dir")
	want := []media.File{{Path: "/abs/z.png", Time: time.Hour + 2500*time.Millisecond}, {Path: filepath.Join("dir", "a b.png")},
		{Path: filepath.Join("dir", "sub", "c.png"), Time: 62 * time.Second}}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("%v, %v", files, err)
	}
	for _, line := range []string{"x a.png", "1", "-1 a.png", "NaN a.png", "1:2:3:4 a.png", "1e9 a.png", ": a.png"} {
		files, err := media.ReadList(strings.NewReader("0 first.png\n"+line), "")
		if err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v, %v", line, files, err)
		}
	}
	c, err := media.List(files, media.Options{})
	last := time.Hour + 2500*time.Millisecond
	if err != nil || c.Frames[1].Time != 62*time.Second || c.Frames[1].Index != 1 || c.Duration != last+(last-62*time.Second) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := c.Frames[0].Image(); err == nil || !strings.Contains(err.Error(), "a b.png") {
		t.Error(err)
	}
	if _, err := media.List(nil, media.Options{}); err == nil {
		t.Error("a list without a file is a video")
	}
	if _, err := media.List([]media.File{{Path: "a", Time: -1}}, media.Options{}); err == nil {
		t.Error("a frame before the beginning")
	}
}
