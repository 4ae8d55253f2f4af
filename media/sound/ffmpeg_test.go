package sound

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// program writes a script in place of ffmpeg.
func program(t *testing.T, script string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("scripts are for sh")
	}
	path := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// unsupported writes a file that is refused.
func unsupported(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "talk.amr")
	if err := os.WriteFile(path, []byte("#!AMR\n and so on"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnotherProgramDecodesOnlyWhereItMay(t *testing.T) {
	path := unsupported(t)
	_, err := ReadFile(path, Options{})
	if unsupported := (*Unsupported)(nil); !errors.As(err, &unsupported) {
		t.Fatalf("without leave: %v", err)
	}
	clip, err := ReadFile(path, Options{FFmpeg: program(t, `printf '\000\000\000\077\000\000\200\277'`)})
	if err != nil || !slices.Equal(clip.Samples, []float32{0.5, -1}) || clip.Format != "through ffmpeg" {
		t.Errorf("%+v, %v", clip, err)
	}
	for _, c := range []struct {
		script string
		o      Options
		want   string
	}{
		{"echo 'no such codec' >&2; exit 1", Options{}, "talk.amr: " + "FFMPEG: no such codec"},
		{"exit 3", Options{}, "no samples"},
		{`printf '\000\000\000\077'; exit 3`, Options{}, "exit status 3"},
		{"cat /dev/zero", Options{MaxDuration: time.Second}, "more than 1s is too large"},
		{"exec sleep 1000", Options{FFmpegTime: 100 * time.Millisecond}, "did not end within 100ms"},
		{"exec sleep 1000", Options{FFmpegTime: 1}, "did not end within 1ns"}, // which are over before it starts
	} {
		c.o.FFmpeg = program(t, c.script)
		_, err := ReadFile(path, c.o)
		if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, "FFMPEG", c.o.FFmpeg)) {
			t.Errorf("%s: %v", c.script, err)
		}
	}
	if _, err := ReadFile(path, Options{FFmpeg: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a program that is not there is no error")
	}
}

func TestNoOptionIsMadeOfAPath(t *testing.T) {
	for _, path := range []string{"-i", "http://host/x", "concat:a|b", "a.m4a"} {
		args := ffmpegArguments(path)
		if got := args[slices.Index(args, "-i")+1]; got != "file:."+string(filepath.Separator)+path {
			t.Errorf("%q becomes %q", path, got)
		}
	}
}

// TestFFmpegReadsWhatIsNotDecoded asks the real one, for a FLAC that was named by nothing but its content.
func TestFFmpegReadsWhatIsNotDecoded(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("there is no ffmpeg")
	}
	clip, err := ffmpeg("testdata/stereo.flac", Options{FFmpeg: "ffmpeg", Name: "stereo.flac"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(clip.Samples); n < 2390 || n > 2410 {
		t.Errorf("%d samples", n)
	}
}
