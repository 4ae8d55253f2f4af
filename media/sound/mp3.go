package sound

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
)

// An mp3Header is what the four bytes before each frame say. A frame is 1152 samples of MPEG-1, or 576 of MPEG-2, in two granules or one.
type mp3Header struct {
	mpeg1    bool
	rate     int // Hz
	channels int
	crc      bool // two bytes of it follow the header
	size     int  // bytes, with the header
}

var mp3Rates = [3]int{44100, 48000, 32000}

// mp3Bitrates are those of MPEG-1 and MPEG-2, in kbit/s.
var mp3Bitrates = [2][15]int{
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// isMPEGAudio tells whether b may be a header of any version and layer, and returns those: 3 is MPEG-1, 2 MPEG-2, 0 MPEG-2.5; 3 is layer I,
// 2 II, 1 III.
func isMPEGAudio(b []byte) (version, layer byte, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return 0, 0, false
	}
	version, layer = b[1]>>3&3, b[1]>>1&3
	return version, layer, version != 1 && layer != 0 && b[2]>>4 != 15 && b[2]>>2&3 != 3 && b[3]&3 != 2
}

// parseMP3 reads the header that b begins with, if it is one of layer III, MPEG-1 or MPEG-2, at a stated bit rate.
func parseMP3(b []byte) (h mp3Header, ok bool) {
	version, layer, ok := isMPEGAudio(b)
	if !ok || version == 0 || layer != 1 || b[2]>>4 == 0 {
		return h, false
	}
	h = mp3Header{mpeg1: version == 3, rate: mp3Rates[b[2]>>2&3], channels: 2, crc: b[1]&1 == 0}
	if b[3]>>6 == 3 {
		h.channels = 1
	}
	bits, table := 144000, 0
	if !h.mpeg1 {
		h.rate, bits, table = h.rate/2, 72000, 1
	}
	h.size = bits*mp3Bitrates[table][b[2]>>4]/h.rate + int(b[2]>>1&1)
	return h, h.size > h.data()
}

// side is the size of the side information, which tells where the frame's data begin and how they are coded.
func (h mp3Header) side() int {
	switch {
	case h.mpeg1 && h.channels == 2:
		return 32
	case !h.mpeg1 && h.channels == 1:
		return 9
	}
	return 17
}

// data is where a frame's data begin: behind its header, CRC and side information.
func (h mp3Header) data() int {
	if h.crc {
		return 6 + h.side()
	}
	return 4 + h.side()
}

func (h mp3Header) samples() int {
	if h.mpeg1 {
		return 1152
	}
	return 576
}

// mp3Frames finds the frames of an MP3 between what else there may be, and gives them to the decoder in a form that it reads well.
type mp3Frames struct {
	in      *input
	first   mp3Header
	frame   []byte // as it is in the file
	lost    bool   // there was something else before the frame
	cut     bool   // the file ends within a frame
	have    int    // bytes of earlier frames' data that the decoder has, at most 511: the bit reservoir
	refill  *refill
	waiting []byte // not yet read by the decoder
}

// next reads the next frame of the first one's kind.
func (f *mp3Frames) next() (h mp3Header, err error) {
	for f.lost = false; ; f.lost = true {
		head, err := f.in.Peek(4)
		if len(head) < 4 {
			f.cut = f.cut || len(head) > 0 && head[0] == 0xff && !f.lost
			return h, err
		}
		h, ok := parseMP3(head)
		if ok && h.mpeg1 == f.first.mpeg1 && h.rate == f.first.rate && (!f.lost || f.followed(h)) {
			if cap(f.frame) < h.size {
				f.frame = make([]byte, 2*h.size)
			}
			f.frame = f.frame[:h.size]
			if _, err := io.ReadFull(f.in, f.frame); err != nil {
				f.cut = true
				return h, io.EOF
			}
			return h, nil
		}
		if _, err := f.in.Discard(1); err != nil {
			return h, err
		}
	}
}

// followed tells whether another frame follows one with the header h, so that it is none by chance.
func (f *mp3Frames) followed(h mp3Header) bool {
	head, _ := f.in.Peek(h.size + 4)
	if len(head) <= h.size {
		return false
	}
	next, ok := parseMP3(head[h.size:])
	return ok && next.mpeg1 == h.mpeg1 && next.rate == h.rate
}

// Read gives the decoder whole frames. The first ones of a file that was cut out of another need data that are not there: they become
// silent.
func (f *mp3Frames) Read(p []byte) (int, error) {
	for len(f.waiting) == 0 {
		h, err := f.next()
		if err != nil {
			if f.refill != nil {
				f.waiting, f.refill.frame = f.refill.frame, nil
			}
			if len(f.waiting) == 0 {
				return 0, err
			}
			break
		}
		if f.lost {
			f.have = 0
		}
		f.mend(h)
		f.waiting = f.frame
		if f.refill != nil {
			f.waiting = f.refill.next(h, f.frame)
		}
	}
	n := copy(p, f.waiting)
	f.waiting = f.waiting[n:]
	return n, nil
}

// mend makes the frame silent if its data begin before those that the decoder has.
func (f *mp3Frames) mend(h mp3Header) {
	side := f.frame[h.data()-h.side() : h.data()]
	begin, most := int(side[0]), 255
	if h.mpeg1 {
		begin, most = begin<<1|int(side[1]>>7), 511
	}
	if begin > f.have {
		clear(side)
		begin = min(f.have, most)
		side[0] = byte(begin)
		if h.mpeg1 {
			side[0], side[1] = byte(begin>>1), byte(begin<<7)
		}
	}
	f.have = min(begin+h.size-h.data(), 511)
}

// A refill puts frames of MPEG-2 at 22.05 kHz into the largest frames there are, each with its own data. The decoder takes some of those
// of odd sizes for a byte shorter than they are, and would lose that byte. Only at 160 kbit/s may there be frames that are larger: of
// those the last bits go, which are the highest tones.
type refill struct {
	data  []byte // of the frames so far, no more than later ones may need
	frame []byte // the last one, not yet given to the decoder, since the next one may put its beginning into what is free of it
	free  int    // bytes at its end
}

// next takes a frame and returns the one before.
func (r *refill) next(h mp3Header, frame []byte) (last []byte) {
	side := frame[h.data()-h.side() : h.data()]
	begin := len(r.data) - int(side[0])
	r.data = append(r.data, frame[h.data():]...)
	bits, at := 0, 9 // behind the begin and a private bit
	if h.channels == 2 {
		at++
	}
	for range h.channels {
		word := uint32(side[at/8])<<16 | uint32(side[at/8+1])<<8 | uint32(side[at/8+2])
		bits += int(word >> (12 - at%8) & 0xfff)
		at += 63
	}
	full := mp3Header{rate: h.rate, channels: h.channels}
	const size = 72000 * 160 / 22050
	out := make([]byte, size)
	copy(out, frame[:4])
	out[1] |= 1                 // no CRC
	out[2] = 0xe0 | out[2]&0x0c // the largest bit rate, no padding
	copy(out[4:], side)
	data := r.data[max(begin, 0):]
	data = data[:min(len(data), (bits+7)/8)]
	// As much as may goes into what is free of the last frame: so there is room for the next ones, as their encoder had.
	last = r.frame
	before := min(r.free, 255, len(data))
	copy(last[len(last)-before:], data)
	out[4], data = byte(before), data[before:]
	n := copy(out[full.data():], data)
	r.frame, r.free = out, size-full.data()-n
	if keep := len(r.data) - 255; keep > 0 {
		r.data = r.data[:copy(r.data, r.data[keep:])]
	}
	return last
}

// mp3Decoder decodes an MP3.
type mp3Decoder struct {
	frames  *mp3Frames
	decoder *mp3.Decoder
	skip    int   // samples at the beginning that encoder and decoder add
	count   int64 // frames that the file says there are, not yet read
	left    int64 // samples of the sound, if the file says how many
	known   bool
	buffer  []byte // of one frame: 16 bits, two channels even if the file has one
	samples []float32
}

// The samples by which any decoder is late.
const mp3Delay = 529

// openMP3 looks for the first frame, within the bytes that are buffered. found is false if there is none.
func openMP3(in *input, name string) (d decoder, info Info, found bool, err error) {
	head, _ := in.Peek(1 << 14)
	f := &mp3Frames{in: in}
	for at := 0; ; at++ {
		further := bytes.IndexByte(head[at:], 0xff)
		if further < 0 || at+further+4 > len(head) {
			return nil, info, false, nil
		}
		at += further
		version, layer, ok := isMPEGAudio(head[at:])
		if ok && at == 0 && (version == 0 || layer != 1 || head[2]>>4 == 0) {
			switch {
			case layer != 1:
				return nil, info, true, refuse(name, fmt.Sprintf("MPEG audio of layer %s", []string{"", "", "II", "I"}[layer]))
			case version == 0:
				return nil, info, true, refuse(name, "MP3 by MPEG-2.5, of 8, 11.025 or 12 kHz,")
			}
			return nil, info, true, refuse(name, "MP3 of free format")
		}
		h, ok := parseMP3(head[at:])
		if !ok {
			continue
		}
		// The next frame tells that this is one; a file that ends with it has no other.
		next, ok := parseMP3(head[min(at+h.size, len(head)):])
		if ok && next.rate == h.rate && next.mpeg1 == h.mpeg1 || at == 0 && h.size+4 > len(head) {
			f.first = h
			in.Discard(at)
			break
		}
	}
	info = Info{Format: "MP3", Rate: f.first.rate, Channels: f.first.channels}
	m := &mp3Decoder{frames: f, buffer: make([]byte, 4*f.first.samples())}
	m.tag()
	if !f.first.mpeg1 && f.first.rate == 22050 {
		f.refill = &refill{}
	}
	if m.decoder, err = mp3.NewDecoder(readerOnly{f}); err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return m, info, true, err
}

// readerOnly hides what else a reader can do: the decoder would read a file twice.
type readerOnly struct{ io.Reader }

// tag takes the first frame away if it only tells about the others: how many there are, and how many samples at both ends were not in the
// sound that was encoded.
func (m *mp3Decoder) tag() {
	h := m.frames.first
	frame, _ := m.frames.in.Peek(h.size)
	body := frame[min(h.data(), len(frame)):]
	if bytes.HasPrefix(frame[min(36, len(frame)):], []byte("VBRI")) {
		m.frames.in.Discard(h.size)
		return
	}
	if !bytes.HasPrefix(body, []byte("Xing")) && !bytes.HasPrefix(body, []byte("Info")) || len(body) < 8 {
		return
	}
	flags, rest := binary.BigEndian.Uint32(body[4:]), body[8:]
	for bit, size := range []int{4, 4, 100, 4} { // frames, bytes, places to seek, quality
		if flags>>bit&1 == 0 {
			continue
		}
		if len(rest) < size {
			return
		}
		if bit == 0 {
			m.count = int64(binary.BigEndian.Uint32(rest))
		}
		rest = rest[size:]
	}
	m.frames.in.Discard(h.size)
	if len(rest) < 24 || rest[0] == 0 {
		return // no word of the encoder's
	}
	before, after := int(rest[21])<<4|int(rest[22])>>4, int(rest[22]&15)<<8|int(rest[23])
	m.skip = before + mp3Delay
	if m.count > 0 {
		m.left, m.known = max(m.count*int64(h.samples())-int64(before+after), 0), true
	}
}

func (m *mp3Decoder) next() ([]float32, error) {
	for {
		n, err := io.ReadFull(m.decoder, m.buffer)
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		m.samples = codec{bytes: 2}.decode(m.samples[:0], m.buffer[:n&^3], 2)
		skipped := min(m.skip, len(m.samples))
		m.skip -= skipped
		samples := m.samples[skipped:]
		if m.count--; m.count < 0 {
			m.known = false // there is more than the file says, such as another file behind it
		}
		if m.known {
			samples = samples[:min(int64(len(samples)), m.left)]
			m.left -= int64(len(samples))
			// The encoder's word about the end counts the decoder's delay, too, which no frame may hold any more.
			if err == io.EOF && m.left > mp3Delay {
				err = io.ErrUnexpectedEOF
			}
		}
		if err == io.EOF && m.frames.cut {
			err = io.ErrUnexpectedEOF
		}
		if len(samples) > 0 || err != nil {
			return samples, err
		}
	}
}
