package media

import (
	"cmp"
	"image"
	"io"
	"time"
)

// Options are the limits of what is read, and what is read beyond the formats of this package. The zero value is a good choice.
type Options struct {
	// Pixels is the most that a picture or a frame may have by its header, which is read before anything is decoded; 0: 100 million.
	// For each, decoding takes 5 to 15 bytes, and of the most wasteful files (progressive JPEG in four colors) 27.
	Pixels int
	// Bytes is the most that a picture's file, or the one frame of a video, may have; 0: 256 MB.
	Bytes int64
	// Frames is the most that a video may have; 0: 250,000, two hours at 30 a second.
	Frames int
	// Formats are further decoders. They are asked first, in this order.
	Formats []Format
	// FFmpeg is the program, as "ffmpeg" (looked for on the PATH) or a path, that [OpenVideo] may run for videos which this package does
	// not decode. Empty: none is run, and such videos are refused.
	FFmpeg string
	// FFmpegTime is how long that program may run; 0: 10 minutes.
	FFmpegTime time.Duration
}

// Format is a decoder of pictures that this package lacks.
type Format struct {
	// Name is what errors call it, as "HEIC".
	Name string
	// Sniff tells by the first bytes of a file, up to 512, whether it is one.
	Sniff func(head []byte) bool
	// Config, if there is one, returns the size, so that pictures of too many pixels are refused before they are decoded.
	Config func(io.Reader) (image.Config, error)
	// Decode returns the picture as it is to be seen; if it is of a format that this package knows, as it is stored: what EXIF says is
	// done then.
	Decode func(io.Reader) (image.Image, error)
}

func (o Options) pixels() int               { return cmp.Or(max(o.Pixels, 0), 100e6) }
func (o Options) bytes() int64              { return cmp.Or(max(o.Bytes, 0), 256<<20) }
func (o Options) frames() int               { return cmp.Or(max(o.Frames, 0), 250_000) }
func (o Options) ffmpegTime() time.Duration { return cmp.Or(max(o.FFmpegTime, 0), 10*time.Minute) }
