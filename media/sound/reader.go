package sound

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// A Reader gives a file's samples, mono and at 16 kHz, as they are decoded. Its memory does not grow with the sound. It is not safe for
// concurrent use.
type Reader struct {
	name      string
	in        *input
	decoder   decoder
	info      Info
	resampler *Resampler
	decoded   int64 // samples before resampling
	buffer    []float32
	ready     []float32 // resampled, not yet given: the end of buffer
	given     int64     // samples after resampling
	most      int64     // of them
	err       error     // what comes after ready
}

// A decoder decodes one file.
type decoder interface {
	// next returns the next samples, averaged over the channels: at least one unless there is an error. They are valid until the next call.
	// io.EOF is the end, io.ErrUnexpectedEOF one that comes too early.
	next() ([]float32, error)
}

// loudest is the largest magnitude that counts as a sample: what is louder is no sound, and sums of it overflow.
const loudest = 1e30

// NewReader begins to read a file of sound, far enough to tell what it is.
func NewReader(r io.Reader, o Options) (*Reader, error) {
	s := newReader(r, o)
	err := s.guard(func() (err error) {
		s.decoder, s.info, err = open(s.in, s.name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, s.begin()
}

// A PCM is an encoding of samples without a header.
type PCM string

// Encodings of samples, the channels of a moment one after the other.
const (
	S16LE PCM = "s16le" // integers of 16 bits, little endian
	F32LE PCM = "f32le" // float32, little endian
)

// NewPCM reads samples that have no header, such as those that arecord -t raw writes; rate is in Hz.
func NewPCM(r io.Reader, encoding PCM, rate, channels int, o Options) (*Reader, error) {
	s := newReader(r, o)
	var c codec
	switch encoding {
	case S16LE:
		c = codec{bytes: 2}
	case F32LE:
		c = codec{bytes: 4, float: true}
	default:
		return nil, s.wrap(fmt.Errorf("raw samples are %s or %s, not %q", S16LE, F32LE, encoding))
	}
	if channels < 1 || channels > 1024 {
		return nil, s.wrap(fmt.Errorf("%d channels", channels))
	}
	s.decoder = &interleaved{r: s.in, codec: c, channels: channels, left: math.MaxInt64, endless: true}
	s.info = Info{Format: "raw, " + c.String(), Rate: rate, Channels: channels}
	return s, s.begin()
}

func newReader(r io.Reader, o Options) *Reader {
	most, size := o.MaxDuration, o.MaxBytes
	if most <= 0 {
		most = time.Hour
	}
	if size <= 0 {
		size = 1 << 30
	}
	counted := &counted{r: r, left: size, most: size}
	return &Reader{name: o.Name, in: &input{Reader: bufio.NewReaderSize(counted, 1<<16), counted: counted},
		most: int64(most / (time.Second / Rate))}
}

func (s *Reader) begin() (err error) {
	s.resampler, err = NewResampler(s.info.Rate)
	if err != nil {
		return s.wrap(err)
	}
	return nil
}

// Info is what the file is. Whether it is cut off is known at its end only.
func (s *Reader) Info() Info { return s.info }

// Read fills samples with the next ones and returns how many there were: at least one, unless there is an error. The end is io.EOF; a file
// without any sample, one that is longer than allowed, and one with a sample that is no number are errors.
func (s *Reader) Read(samples []float32) (int, error) {
	if len(samples) == 0 {
		return 0, nil
	}
	if err := s.fill(); err != nil {
		return 0, err
	}
	n := copy(samples, s.ready)
	s.ready = s.ready[n:]
	return n, nil
}

// rest reads what is left.
func (s *Reader) rest() (*Clip, error) {
	var samples []float32
	for {
		if err := s.fill(); err == io.EOF {
			return &Clip{Info: s.info, Samples: samples}, nil
		} else if err != nil {
			return nil, err
		}
		samples = append(samples, s.ready...)
		s.ready = s.ready[:0]
	}
}

// fill decodes until there are samples ready, or returns why there are no more.
func (s *Reader) fill() error {
	for len(s.ready) == 0 && s.err == nil {
		var block []float32
		buffer := s.buffer[:0]
		err := s.guard(func() (err error) {
			block, err = s.decoder.next()
			return err
		})
		if err == nil || err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			if bad := s.check(block); bad != nil {
				err = bad
			} else {
				buffer = s.resampler.Append(buffer, block)
			}
		}
		switch {
		case err == nil:
		case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
			s.info.Truncated = err != io.EOF
			buffer, s.err = s.resampler.Close(buffer), io.EOF
			if s.given+int64(len(buffer)) == 0 {
				s.err = s.wrap(errors.New("no samples"))
			}
		default:
			buffer, s.err = buffer[:0], err
		}
		s.given += int64(len(buffer))
		if s.given > s.most {
			buffer, s.err = buffer[:0], s.wrap(fmt.Errorf("a sound of more than %v is %w", duration(s.most), ErrTooLarge))
		}
		s.buffer, s.ready = buffer, buffer
	}
	if len(s.ready) == 0 {
		return s.err
	}
	return nil
}

// check counts the samples of block, which must be numbers.
func (s *Reader) check(block []float32) error {
	for i, x := range block {
		if !(x > -loudest && x < loudest) {
			return s.wrap(fmt.Errorf("sample %d is %v, which is no sound", s.decoded+int64(i), x))
		}
	}
	s.decoded += int64(len(block))
	return nil
}

// guard calls f, a decoder's. Its errors get the file's name, what the file could not be read for comes before what the decoder made of
// that, and a panic, of which the decoders of others are not free, is an error, too.
func (s *Reader) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged: its decoder failed with %v", p)
		}
		switch {
		case err == nil || err == io.EOF && s.in.counted.err == nil:
		case s.in.counted.err != nil:
			err = s.wrap(s.in.counted.err)
		default:
			err = s.wrap(err)
		}
	}()
	return f()
}

// wrap says which file an error is about.
func (s *Reader) wrap(err error) error {
	var unsupported *Unsupported
	if errors.As(err, &unsupported) {
		return err
	}
	format := s.info.Format
	if format != "" {
		format += ": "
	}
	if s.name == "" {
		return fmt.Errorf("sound: %s%w", format, err)
	}
	return fmt.Errorf("sound: %s: %s%w", s.name, format, err)
}

// input is a file that is read once, from its beginning.
type input struct {
	*bufio.Reader
	counted *counted
}

// counted reads at most as many bytes as are left. What goes wrong is kept, and the end of the file to those who ask: decoders of others
// take some errors for reasons to ask again.
type counted struct {
	r          io.Reader
	left, most int64
	err        error
}

func (c *counted) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	// One byte more than is allowed tells a file that is too large from one of exactly that size.
	n, err := c.r.Read(p[:min(int64(len(p)), c.left+1)])
	if int64(n) > c.left {
		n, err = int(c.left), fmt.Errorf("a file of more than %d bytes is %w", c.most, ErrTooLarge)
	}
	c.left -= int64(n)
	if err != nil && err != io.EOF {
		c.err, err = err, io.EOF
	}
	return n, err
}
