package media_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/media"
)

// TestMain makes a program of the tests that stands in for ffmpeg, if the variable says what it is to do.
func TestMain(m *testing.M) {
	frame := func(v int) { fmt.Printf("P6\n2 2\n255\n%s", bytes.Repeat([]byte{byte(v)}, 12)) }
	switch os.Getenv("MEDIA_TEST_FFMPEG") {
	case "":
		os.Exit(m.Run())
	case "three frames":
		for i := range 3 {
			frame(i)
		}
	case "an hour":
		for i := range 3600 {
			frame(i / 16)
		}
	case "arguments":
		fmt.Fprintf(os.Stderr, "%q", os.Args[1:])
		os.Exit(1)
	case "forever":
		for i := 0; ; i++ {
			frame(i)
		}
	case "hangs":
		frame(0)
		time.Sleep(time.Hour)
	case "another size":
		frame(0)
		fmt.Printf("P6\n1 1\n255\nabc")
	case "huge":
		fmt.Printf("P6\n50000 50000\n255\n")
	case "breaks off":
		fmt.Printf("P6\n2 2\n255\nabc")
	}
	os.Exit(0)
}

// TestFFmpegIsRunOnlyIfAllowedAndWithinLimits, by a program that stands in for it.
func TestFFmpegIsRunOnlyIfAllowedAndWithinLimits(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Skip("this program does not know its own path: ", err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	const path = "-clip.webm"
	if err := os.WriteFile(path, []byte("\x1aE\xdf\xa3"), 0o666); err != nil {
		t.Fatal(err)
	}
	var refused *media.Unsupported
	if _, err := media.OpenVideo(path, media.Options{}); !errors.As(err, &refused) {
		t.Errorf("not allowed: %v", err)
	}
	for _, c := range []struct {
		does, want string
		o          media.Options
	}{
		{"arguments", `"-nostdin" "-hide_banner" "-loglevel" "error" "-protocol_whitelist" "file,pipe" "-i" "file:./-clip.webm"`,
			media.Options{}},
		{"forever", "too large in number", media.Options{Frames: 1000}},
		{"hangs", "did not end within 100ms", media.Options{FFmpegTime: 100 * time.Millisecond}},
		{"hangs", "did not end within 1ns", media.Options{FFmpegTime: 1}}, // which are over before it starts
		{"another size", "1×1 pixels behind those of 2×2", media.Options{}},
		{"huge", "too large", media.Options{}},
		{"breaks off", "unexpected EOF", media.Options{}},
		{"nothing", "finds no video", media.Options{}},
	} {
		t.Setenv("MEDIA_TEST_FFMPEG", c.does)
		c.o.FFmpeg = program
		clip, err := media.OpenVideo(path, c.o)
		if clip != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.does, err)
		}
	}
	for does, want := range map[string]struct{ frames, every int }{"three frames": {3, 1}, "an hour": {113, 32}} {
		t.Setenv("MEDIA_TEST_FFMPEG", does)
		clip, err := media.OpenVideo(path, media.Options{FFmpeg: program})
		if err != nil {
			t.Fatal(err)
		}
		if len(clip.Frames) != want.frames || clip.Width != 2 || clip.Height != 2 {
			t.Fatalf("%s: %d frames of %d×%d pixels", does, len(clip.Frames), clip.Width, clip.Height)
		}
		for i, f := range clip.Frames {
			m, err := f.Image()
			if err != nil {
				t.Fatal(err)
			}
			v := i
			if want.every > 1 {
				v = i * want.every / 16
			}
			if f.Time != time.Duration(i*want.every)*time.Second || rgb(t, m).Pix[11] != byte(v) {
				t.Errorf("%s: frame %d at %v is %d", does, i, f.Time, rgb(t, m).Pix[11])
			}
		}
		if err := errors.Join(clip.Close(), clip.Close()); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := media.OpenVideo(path, media.Options{FFmpeg: "no-such-program"}); !errors.Is(err, exec.ErrNotFound) {
		t.Error(err)
	}
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, filepath.Join(t.TempDir(), "none"))
	}
	if _, err := media.OpenVideo(path, media.Options{FFmpeg: program}); !errors.Is(err, os.ErrNotExist) ||
		!strings.HasPrefix(err.Error(), "media: -clip.webm: a temporary file of its frames: ") {
		t.Error(err)
	}
}

// TestFFmpegReadsOtherCodecs, where there is one.
func TestFFmpegReadsOtherCodecs(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("there is no ffmpeg here")
	}
	clip, err := media.OpenVideo(filepath.Join("testdata", "videos", "refused-mpeg4.mp4"), media.Options{FFmpeg: "ffmpeg"})
	if err != nil {
		t.Fatal(err)
	}
	defer clip.Close()
	m, err := clip.Frames[0].Image()
	if err != nil || len(clip.Frames) != 1 || m.Bounds() != image.Rect(0, 0, 48, 32) {
		t.Errorf("%d frames, %v", len(clip.Frames), err)
	}
}
