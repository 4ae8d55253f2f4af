package media

import (
	"bufio"
	"bytes"
	"image"
	"io"
	"iter"
	"time"
)

// Stream returns the JPEG pictures in r as they come, one behind the other, as cameras write them to a pipe (rpicam-vid -t 0 --codec mjpeg
// -o -): each as soon as its last byte is there, decoded only if it is asked for. Bytes between pictures, and pictures that break off, are
// passed over. Their times are those of arrival since the first, or number/fps if fps is above 0. The last error is that of r, if it has
// one but io.EOF, or says that there was no picture; none is found where as many bytes as a file may have came without.
func Stream(r io.Reader, fps float64, o Options) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		var s jpegScanner
		var data []byte
		var first time.Time
		index, lost := 0, int64(0) // bytes since the last picture
		for {
			b, err := in.ReadByte()
			if err != nil {
				if err != io.EOF {
					yield(Frame{}, failed("", "the stream of pictures: %w", err))
				} else if index == 0 {
					yield(Frame{}, failed("", "no JPEG picture in a stream of %d bytes", lost))
				}
				return
			}
			if lost++; lost > o.bytes() {
				yield(Frame{}, failed("", "a stream without a JPEG picture in %d bytes; of rpicam-vid, --codec mjpeg makes one", lost-1))
				return
			}
			switch s.push(b) {
			case outside:
				data = nil
			case began:
				data = []byte{0xff, 0xd8}
			case inside:
				data = append(data, b)
			case ended:
				whole := append(data, b)
				data, lost = nil, 0
				now := time.Now()
				if index == 0 {
					first = now
				}
				at := now.Sub(first)
				if fps > 0 {
					at = time.Duration(float64(index) / fps * float64(time.Second))
				}
				f := Frame{Index: index, Time: at, Image: func() (image.Image, error) { return Picture("", tables(whole), o) }}
				if !yield(f, nil) {
					return
				}
				index++
			}
		}
	}
}

// Latest reads frames ahead, so that whoever sends them never waits, and gives the newest whenever the loop asks again. The goroutine that
// reads ends with the loop, or as soon as the read that it waits in returns.
func Latest(frames iter.Seq2[Frame, error]) iter.Seq2[Frame, error] {
	type result struct {
		frame Frame
		err   error
	}
	return func(yield func(Frame, error) bool) {
		newest := make(chan result, 1)
		done := make(chan struct{})
		defer close(done)
		go func() {
			defer close(newest)
			for f, err := range frames {
				if err != nil { // behind the frame before it, which may be the last
					select {
					case newest <- result{f, err}:
					case <-done:
						return
					}
					continue
				}
				select {
				case <-newest: // nobody has asked for that one
				default:
				}
				select {
				case newest <- result{f, err}:
				case <-done:
					return
				}
			}
		}()
		for n := range newest {
			if !yield(n.frame, n.err) {
				return
			}
		}
	}
}

// A jpegScanner finds where JPEG pictures begin and end in a sequence of bytes, by their markers alone.
type jpegScanner struct {
	in   part
	left int // bytes of a segment, or the upper byte of its length
	scan bool
}

// part is where in a picture the next byte is.
type part byte

const (
	search  part = iota // no picture
	searchD             // 0xff came
	marker              // before a marker's 0xff
	code                // behind it
	length              // the first byte of a segment's length
	length2             // the second
	body                // in a segment
	entropy             // in what a scan encodes
	escape              // behind 0xff there
)

// event is what a byte does.
type event byte

const (
	outside event = iota // it is in no picture
	began                // it ends the mark of a picture's beginning
	inside
	ended // it is a picture's last
)

// push takes the next byte.
func (s *jpegScanner) push(b byte) event {
	const start, end, scan, temporary, restart0, restart7 = 0xd8, 0xd9, 0xda, 0x01, 0xd0, 0xd7
	switch s.in {
	case search, searchD:
		if s.in == searchD && b == start {
			s.in = marker
			return began
		}
		s.in = search
		if b == 0xff {
			s.in = searchD
		}
		return outside
	case marker:
		if b != 0xff {
			s.in = search
			return outside
		}
		s.in = code
	case code, escape:
		switch {
		case b == start: // the one before broke off
			s.in = marker
			return began
		case b == end:
			s.in = search
			return ended
		case b == 0xff: // it may be repeated
		case s.in == escape && (b == 0 || restart0 <= b && b <= restart7):
			s.in = entropy
		case b == 0:
			s.in = search
			return outside
		case b == temporary || restart0 <= b && b <= restart7:
			s.in = marker
		default:
			s.in, s.scan = length, b == scan
		}
	case length:
		s.in, s.left = length2, int(b)
	case length2:
		s.left = s.left<<8 + int(b) - 2
		s.in = body
		if s.left < 0 {
			s.in = search
			return outside
		}
		if s.left == 0 {
			s.behind()
		}
	case body:
		if s.left--; s.left == 0 {
			s.behind()
		}
	case entropy:
		if b == 0xff {
			s.in = escape
		}
	}
	return inside
}

// behind is after a segment.
func (s *jpegScanner) behind() {
	s.in = marker
	if s.scan {
		s.in = entropy
	}
}

// jpegEnd returns the end of the JPEG that data begins with: behind its last mark, or len(data).
func jpegEnd(data []byte) int {
	var s jpegScanner
	for i, b := range data {
		if s.push(b) == ended {
			return i + 1
		}
	}
	return len(data)
}

// nextJPEG returns data from where a JPEG begins in it, or nil.
func nextJPEG(data []byte) []byte {
	if at := bytes.Index(data, []byte{0xff, 0xd8, 0xff}); at >= 0 {
		return data[at:]
	}
	return nil
}
