package media

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gogemma/gemma4/internal/pixel"
)

// ffmpegClip has ffmpeg decode a file, one frame for each second, into a temporary file. Once there are two times as many frames as a model
// sees, every other one goes, and from then on only every other one is kept: the file never has more than that.
func ffmpegClip(path string, o Options) (c *Clip, err error) {
	program, err := exec.LookPath(o.FFmpeg)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	kept, err := os.CreateTemp("", "gemma4-frames-*.rgb")
	if err != nil {
		return nil, failed(path, "a temporary file of its frames: %w", err)
	}
	remove := func() error {
		err := kept.Close()
		return errors.Join(err, os.Remove(kept.Name()))
	}
	defer func() {
		if err != nil {
			remove()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), o.ffmpegTime())
	defer cancel()
	cmd := exec.CommandContext(ctx, program, ffmpegArgs(path)...)
	var complaint tail
	cmd.Stderr = &complaint
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	late := func() error { return failed(path, "%s did not end within %v", o.FFmpeg, o.ffmpegTime()) }
	if err := cmd.Start(); errors.Is(err, context.DeadlineExceeded) {
		return nil, late()
	} else if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	frames, readErr := keep(bufio.NewReaderSize(out, 1<<20), kept, o)
	if readErr != nil {
		cancel()
	}
	waitErr := cmd.Wait()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, late()
	case readErr != nil:
		return nil, failed(path, "what %s writes: %w", o.FFmpeg, readErr)
	case waitErr != nil:
		return nil, failed(path, "%s: %w: %s", o.FFmpeg, waitErr, complaint.text())
	case len(frames.at) == 0:
		return nil, failed(path, "%s finds no video in it: %s", o.FFmpeg, complaint.text())
	}
	c = &Clip{Format: "ffmpeg", Width: frames.width, Height: frames.height, close: remove}
	for i, at := range frames.at {
		c.Frames = append(c.Frames, Frame{Index: i, Time: time.Duration(i*frames.every) * time.Second, Image: func() (image.Image, error) {
			m := pixel.New(frames.width, frames.height)
			if _, err := kept.ReadAt(m.Pix, at); err != nil {
				return nil, failed(path, "frame %d: %w", i, err)
			}
			return m, nil
		}})
	}
	c.Duration = time.Duration(frames.seconds) * time.Second
	return c, nil
}

// ffmpegArgs are the arguments of a run that writes a picture of each second, as a portable pixmap, to its output. No option can be made of
// the path, and nothing but files and the pipe is opened, whatever a playlist says.
func ffmpegArgs(path string) []string {
	if !filepath.IsAbs(path) {
		path = "./" + path
	}
	return []string{"-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file,pipe", "-i", "file:" + path,
		"-map", "0:v:0", "-vf", "fps=1", "-f", "image2pipe", "-c:v", "ppm", "-"}
}

// keptFrames are the places of frames in a temporary file.
type keptFrames struct {
	width, height int
	at            []int64
	every         int // seconds from frame to frame
	seconds       int // frames that came, one a second
}

// keep writes pixmaps from r to w.
func keep(r *bufio.Reader, w io.WriterAt, o Options) (k keptFrames, err error) {
	k.every = 1
	var free []int64
	var buffer []byte
	for {
		width, height, err := pixmap(r, o)
		if err == io.EOF {
			return k, nil
		}
		if err != nil {
			return k, err
		}
		if k.seconds == 0 {
			k.width, k.height = width, height
			buffer = make([]byte, 3*width*height)
		}
		if width != k.width || height != k.height {
			return k, fmt.Errorf("a frame of %d×%d pixels behind those of %d×%d", width, height, k.width, k.height)
		}
		if _, err := io.ReadFull(r, buffer); err != nil {
			return k, err
		}
		k.seconds++
		if err := tooMany("", k.seconds, o); err != nil {
			return k, err
		}
		if (k.seconds-1)%k.every != 0 {
			continue
		}
		if len(k.at) == 2*SampleMost {
			half := k.at[:0]
			for i, at := range k.at {
				if i%2 == 0 {
					half = append(half, at)
				} else {
					free = append(free, at)
				}
			}
			k.at, k.every = half, 2*k.every
			if (k.seconds-1)%k.every != 0 {
				continue
			}
		}
		at := int64(len(k.at)) * int64(len(buffer))
		if n := len(free); n > 0 {
			at, free = free[n-1], free[:n-1]
		}
		if _, err := w.WriteAt(buffer, at); err != nil {
			return k, err
		}
		k.at = append(k.at, at)
	}
}

// pixmap reads a P6 header: width, height and 255, as ffmpeg writes it, up to the pixels.
func pixmap(r *bufio.Reader, o Options) (width, height int, err error) {
	var words []string
	for len(words) < 4 {
		line, err := r.ReadSlice('\n')
		if err != nil {
			if err == io.EOF && len(words)+len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, 0, err
		}
		words = append(words, strings.Fields(string(line))...)
	}
	if _, err := fmt.Sscan(words[1]+" "+words[2], &width, &height); err != nil || words[0] != "P6" || words[3] != "255" || len(words) > 4 {
		return 0, 0, fmt.Errorf("a pixmap that begins with %q", words)
	}
	return width, height, tooLarge("", width, height, o)
}

// tail is a writer that remembers the last bytes.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if n := len(t.data) - 1024; n > 0 {
		t.data = append(t.data[:0], t.data[n:]...)
	}
	return len(p), nil
}

func (t *tail) text() string { return strings.TrimSpace(string(t.data)) }
