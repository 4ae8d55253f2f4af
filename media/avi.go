package media

import (
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"time"
)

// aviClip finds the frames of an AVI by going through its chunks: no index is needed, so that a recording that broke off can be read, too.
func aviClip(name string, r io.ReaderAt, size int64, o Options) (*Clip, error) {
	a := &aviReader{name: name, r: r, size: size, o: o, stream: -1}
	for at := int64(0); at+12 <= size; { // a RIFF, and further ones of files above 1 GB
		id, n, err := a.chunk(at)
		if err != nil {
			return nil, err
		}
		if n == 0 { // a recording that broke off has no sizes
			n = size - at - 8
		}
		if id == "RIFF" {
			if err := a.list(at+12, min(at+8+n, size), 0); err != nil {
				return nil, err
			}
		}
		at += 8 + n + n&1
	}
	if a.stream < 0 {
		return nil, failed(name, "AVI without a video stream")
	}
	c := &Clip{Format: "AVI", Width: a.width, Height: a.height, Frames: a.frames, Sound: a.sound}
	c.Duration = a.time(a.count)
	return c, nil
}

type aviReader struct {
	name string
	r    io.ReaderAt
	size int64
	o    Options

	streams       int
	stream        int    // the number of the video's, or -1
	compressed    string // what its chunks are called: 00dc, or
	bitmap        string // 00db
	scale, rate   uint32
	width, height int
	sound         bool
	count         int // frames so far, those that repeat the one before included
	frames        []Frame
}

// chunk reads a chunk's head.
func (a *aviReader) chunk(at int64) (id string, n int64, err error) {
	var head [8]byte
	if _, err := a.r.ReadAt(head[:], at); err != nil {
		return "", 0, err
	}
	return string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:])), nil
}

// list goes through the chunks between two places.
func (a *aviReader) list(at, end int64, depth int) error {
	for at+8 <= end {
		id, n, err := a.chunk(at)
		if err != nil {
			return err
		}
		body := at + 8
		left := end - body
		if id == "LIST" && n == 0 {
			n = left
		}
		switch {
		case id == "LIST" && n >= 4 && left >= 4:
			var kind [4]byte
			if _, err := a.r.ReadAt(kind[:], body); err != nil {
				return err
			}
			switch stop := body + min(n, left); string(kind[:]) {
			case "strl":
				if err := a.header(body+4, stop); err != nil {
					return err
				}
			case "hdrl", "movi", "rec ":
				if depth < 3 {
					if err := a.list(body+4, stop, depth+1); err != nil {
						return err
					}
				}
			}
		case id == a.compressed || id == a.bitmap:
			if n <= left { // a last frame that broke off is none
				if err := a.frame(body, n); err != nil {
					return err
				}
			}
		}
		at = body + n + n&1
	}
	return nil
}

// header reads a stream's two chunks strh and strf.
func (a *aviReader) header(at, end int64) error {
	number := a.streams
	a.streams++
	if end-at > 1<<20 {
		return failed(a.name, "a stream's header of %d bytes", end-at)
	}
	data := make([]byte, end-at)
	if _, err := a.r.ReadAt(data, at); err != nil {
		return err
	}
	var head, format []byte
	for id, body := range riffChunks(data) {
		switch id {
		case "strh":
			head = body
		case "strf":
			format = body
		}
	}
	if len(head) < 28 {
		return nil
	}
	switch string(head[:4]) {
	case "auds":
		a.sound = true
	case "vids":
		if a.stream >= 0 || number > 99 {
			return nil
		}
		if len(format) < 20 {
			return failed(a.name, "AVI whose stream %d has a header of %d bytes", number, len(format))
		}
		codec := string(format[16:20])
		switch codec {
		case "MJPG", "mjpg", "JPEG", "jpeg", "AVRn", "MPNG", "png ", "PNG1":
		default:
			return motion(a.name, codecName(codec))
		}
		a.stream, a.compressed, a.bitmap = number, fmt.Sprintf("%02ddc", number), fmt.Sprintf("%02ddb", number)
		a.width, a.height = int(int32(binary.LittleEndian.Uint32(format[4:]))), int(int32(binary.LittleEndian.Uint32(format[8:])))
		a.height = max(a.height, -a.height)
		a.scale, a.rate = binary.LittleEndian.Uint32(head[20:]), binary.LittleEndian.Uint32(head[24:])
		if a.scale == 0 || a.rate == 0 {
			return failed(a.name, "AVI of %d/%d frames a second", a.rate, a.scale)
		}
		return tooLarge(a.name, a.width, a.height, a.o)
	}
	return nil
}

// frame takes the next frame; one without bytes repeats the one before.
func (a *aviReader) frame(at, n int64) error {
	if err := tooMany(a.name, a.count+1, a.o); err != nil {
		return err
	}
	index := len(a.frames)
	if n > 0 {
		a.frames = append(a.frames, Frame{Index: index, Time: a.time(a.count), Image: func() (image.Image, error) {
			return orNil(still(frameName(a.name, index), a.r, at, n, a.height, a.o))
		}})
	}
	a.count++
	return nil
}

// time is when frame number i is shown.
func (a *aviReader) time(i int) time.Duration {
	return ticks(int64(i)*int64(a.scale), int64(a.rate))
}

// ticks is how long n parts of a second are, of which it has rate.
func ticks(n, rate int64) time.Duration {
	whole, part := n/rate, n%rate
	if whole > 1<<33 || whole < -1<<33 { // more than a Duration has
		whole = 1 << 33
	}
	return time.Duration(whole)*time.Second + time.Duration(float64(part)/float64(rate)*float64(time.Second))
}
