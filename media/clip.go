package media

import (
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"time"
)

// Clip is a video: its frames in the order in which they are shown. Nothing is decoded before it is asked for.
type Clip struct {
	// Format is where the frames come from, as "GIF", "AVI" or "files".
	Format string
	// Width and Height are those of the video in pixels, as it is to be seen, by its header; 0 if that does not say.
	Width, Height int
	// Frames are there by time, at least one.
	Frames []Frame
	// Duration is how long the video is shown, up to the end of the last frame.
	Duration time.Duration
	// Sound says that there is a sound track, too, which this package does not read.
	Sound bool

	close func() error
}

// Frame is one picture of a video.
type Frame struct {
	// Index is the frame's place in the video, from 0: two with the same index are the same picture.
	Index int
	// Time is when it is shown, from the beginning of the video.
	Time time.Duration
	// Image decodes it to an opaque RGB image; a later call decodes again. Frames of one clip may be asked for from several goroutines.
	// Those of an animation (GIF, WebP) need what came before them: asking in order costs least.
	Image func() (image.Image, error)
}

// Close closes the file of a clip that [OpenVideo] opened; its frames cannot be decoded any more. Closing twice, or a clip without a file,
// is fine.
func (c *Clip) Close() error {
	if c.close == nil {
		return nil
	}
	closing := c.close
	c.close = nil
	return closing()
}

// Video returns the frames of an animated GIF or WebP, or of Motion JPEG (or PNG) in AVI, MP4 or MOV, in size bytes of r, which has to stay
// open while frames are decoded; name is what errors call it. Times are those of presentation that the file's tables give. Other codecs are
// refused by name, and a picture that does not move is a clip of one frame only if it is a GIF or WebP.
func Video(name string, r io.ReaderAt, size int64, o Options) (*Clip, error) {
	head := make([]byte, min(size, 512))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, failed(name, "%w", err)
	}
	var c *Clip
	var err error
	switch format := sniff(head); format {
	case "GIF", "WebP":
		data, err := readAll(name, io.NewSectionReader(r, 0, size), o)
		if err != nil {
			return nil, err
		}
		if format == "GIF" {
			return gifClip(name, data, o)
		}
		return webpClip(name, data, o)
	case "AVI":
		c, err = aviClip(name, r, size, o)
	case "MP4":
		c, err = mp4Clip(name, r, size, o)
	default:
		return nil, refusal(name, format, true)
	}
	if err != nil {
		return nil, undecoded(name, sniff(head), err)
	}
	if len(c.Frames) == 0 {
		return nil, failed(name, "%s without a frame", c.Format)
	}
	return c, nil
}

// OpenVideo is [Video] of a file, which [Clip.Close] closes. With [Options.FFmpeg], codecs that are not decoded here are read through that
// program: a frame for each second, or of a long video for each 2, 4, … seconds, kept in a temporary file until the clip is closed.
func OpenVideo(path string, o Options) (*Clip, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	var c *Clip
	info, err := f.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("media: %w", err)
	case !info.Mode().IsRegular():
		err = failed(path, "not a regular file; a folder's pictures and what comes through a pipe are read otherwise")
	default:
		c, err = Video(path, f, info.Size(), o)
	}
	var refused *Unsupported
	if o.FFmpeg != "" && errors.As(err, &refused) {
		f.Close()
		return ffmpegClip(path, o)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	c.close = f.Close
	return c, nil
}

// tooMany is the error of n frames where o allows fewer.
func tooMany(name string, n int, o Options) error {
	if n > o.frames() {
		return failed(name, "frames are %w in number: the limit is %d", ErrTooLarge, o.frames())
	}
	return nil
}
