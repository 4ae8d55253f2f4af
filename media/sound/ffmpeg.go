package sound

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// ffmpeg has that program decode the file at path, as raw samples.
func ffmpeg(path string, o Options) (*Clip, error) {
	limit := cmp.Or(max(o.FFmpegTime, 0), 10*time.Minute)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	command := exec.CommandContext(ctx, o.FFmpeg, ffmpegArguments(path)...)
	var complaint tail
	command.Stderr = &complaint
	command.WaitDelay = time.Second
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	late := func() error { return fmt.Errorf("sound: %s: %s did not end within %v", o.Name, o.FFmpeg, limit) }
	if err := command.Start(); errors.Is(err, context.DeadlineExceeded) {
		return nil, late()
	} else if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	r, readErr := NewPCM(out, F32LE, Rate, 1, o)
	var clip *Clip
	if readErr == nil {
		clip, readErr = r.rest()
	}
	if readErr != nil {
		cancel()
	}
	waitErr := command.Wait()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, late()
	case errors.Is(readErr, ErrTooLarge):
		return nil, readErr
	case len(complaint) > 0 && (readErr != nil || waitErr != nil):
		return nil, fmt.Errorf("sound: %s: %s: %s", o.Name, o.FFmpeg, bytes.TrimSpace(complaint))
	case readErr != nil:
		return nil, readErr
	case waitErr != nil:
		return nil, fmt.Errorf("sound: %s: %s: %w", o.Name, o.FFmpeg, waitErr)
	}
	clip.Format = "through " + filepath.Base(o.FFmpeg)
	return clip, nil
}

// ffmpegArguments are those of a run that writes samples of the first sound in the file at path to its output. No option can be made of the
// path, and nothing but files and the pipe is opened, whatever a playlist says.
func ffmpegArguments(path string) []string {
	if !filepath.IsAbs(path) {
		path = "." + string(filepath.Separator) + path
	}
	return []string{"-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file,pipe", "-i", "file:" + path,
		"-map", "0:a:0", "-vn", "-ac", "1", "-ar", "16000", "-f", "f32le", "-"}
}

// A tail is the end of what was written to it.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if n := len(*t) - 1024; n > 0 {
		*t = append((*t)[:0], (*t)[n:]...)
	}
	return len(p), nil
}
