// Package sound reads sound from files as models hear it: mono, 16 kHz, float32 between -1 and 1.
//
//	clip, err := sound.ReadFile("question.mp3", sound.Options{})
//
// It decodes WAV (PCM, float, A-law and µ-law, also as RF64, BW64 and RIFX), MP3, FLAC, and Opus in Ogg and WebM. What a file is, its
// content tells, never its name. Channels are averaged, and other rates are resampled (see [Resampler]). A [Reader] gives the samples while
// the file is still being read, in memory that does not grow with it; [NewPCM] is one over samples without a header, as a microphone's
// program writes them.
//
// What is known and not decoded is an [Unsupported] error, with a command that converts it. Files may be anybody's: one that is cut off,
// lies about its sizes or is garbage gives an error, or what there is of it, in bounded time and memory.
//
// The package is apart from gemma4, which takes samples, so that programs which read no files of sound link no decoders.
package sound

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Info is what a file of sound was before it was brought to mono and 16 kHz.
type Info struct {
	Format    string // container and encoding, such as "WAV, 16-bit PCM" or "MP3"
	Rate      int    // in Hz
	Channels  int    // that were averaged
	Truncated bool   // the file ends before the sound that it announces does
}

// A Clip is a sound.
type Clip struct {
	Info
	Samples []float32 // mono, Rate a second
}

// Duration is how long the clip sounds.
func (c *Clip) Duration() time.Duration { return duration(int64(len(c.Samples))) }

func duration(samples int64) time.Duration { return time.Duration(samples) * (time.Second / Rate) }

// Options bound what is read; the zero value is good for files of one's own.
type Options struct {
	Name        string        // of the file, for errors
	MaxDuration time.Duration // of the sound; more is ErrTooLarge; 0: an hour
	MaxBytes    int64         // of the file; more is ErrTooLarge; 0: 1 GiB

	// FFmpeg is the program, as "ffmpeg" (looked for on the PATH) or a path, that ReadFile may run for files which are not decoded here.
	// Where it is "", none is run.
	FFmpeg string
	// FFmpegTime is how long that program may run; 0: 10 minutes.
	FFmpegTime time.Duration
}

// ErrTooLarge is what [errors.Is] finds in the error of a file above a limit of [Options].
var ErrTooLarge = errors.New("too large")

// Read reads a whole file of sound.
func Read(r io.Reader, o Options) (*Clip, error) {
	s, err := NewReader(r, o)
	if err != nil {
		return nil, err
	}
	return s.rest()
}

// ReadFile reads the file at path. Errors name it by its last element, unless the options have a name for it.
func ReadFile(path string, o Options) (*Clip, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if o.Name == "" {
		o.Name = filepath.Base(path)
	}
	clip, err := Read(f, o)
	if unsupported := (*Unsupported)(nil); o.FFmpeg != "" && errors.As(err, &unsupported) {
		return ffmpeg(path, o)
	}
	return clip, err
}
