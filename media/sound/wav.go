package sound

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Tags of encodings in a WAV's chunk "fmt ", and those that are known by name only.
const (
	tagPCM        = 1
	tagFloat      = 3
	tagALaw       = 6
	tagMuLaw      = 7
	tagExtensible = 0xfffe
)

var tagNames = map[uint16]string{
	0x2: "Microsoft ADPCM", 0x11: "IMA ADPCM", 0x20: "Yamaha ADPCM", 0x31: "GSM 6.10", 0x40: "G.721", 0x45: "G.726", 0x50: "MPEG audio",
	0x55: "MP3", 0x61: "DUCK ADPCM", 0xff: "AAC", 0x160: "WMA", 0x161: "WMA", 0x162: "WMA", 0x163: "WMA", 0x1600: "AAC", 0x1610: "AAC",
	0x2000: "AC-3", 0x674f: "Vorbis", 0x6750: "Vorbis", 0x6751: "Vorbis", 0xf1ac: "FLAC",
}

// The largest chunk "fmt " or "ds64" that is read, in bytes; they have 40 and 28 in practice.
const largestFormat = 1 << 12

// streamed is the size from which on one of data only says that its writer did not know it: 0xffffffff mostly, or close to 2 GiB.
const streamed = 0x7fff0000

// openWAV reads a WAV up to its samples: RIFF, or RF64 and BW64 with sizes of 64 bits in the chunk "ds64", or RIFX, where all is big
// endian.
func openWAV(in *input, name string) (decoder, Info, error) {
	var head [12]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, Info{}, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[3] == 'X' {
		order = binary.BigEndian
	}
	d := &interleaved{r: in}
	var info Info
	var long uint64 // the size of data by ds64
	for {
		if _, err := io.ReadFull(in, head[:8]); err != nil {
			return nil, info, errors.New("WAV without a chunk of data")
		}
		id, size := string(head[:4]), order.Uint32(head[4:])
		if id == "data" {
			if d.channels == 0 {
				return nil, info, errors.New("WAV whose data come before their format")
			}
			d.left = int64(size)
			switch {
			case size == math.MaxUint32 && long > 0 && long < math.MaxInt64:
				d.left = int64(long)
			case size == 0 || size >= streamed:
				d.left, d.endless = math.MaxInt64, true
			}
			return d, info, nil
		}
		if id != "fmt " && id != "ds64" {
			if n := int64(size) + int64(size&1); skip(in, n) != nil {
				return nil, info, errors.New("WAV without a chunk of data")
			}
			continue
		}
		if size > largestFormat {
			return nil, info, fmt.Errorf("WAV whose chunk %q has %d bytes", id, size)
		}
		body := make([]byte, size+size&1)
		if _, err := io.ReadFull(in, body); err != nil {
			return nil, info, errors.New("WAV without a chunk of data")
		}
		body = body[:size]
		var err error
		switch {
		case id == "ds64" && size >= 16:
			long = order.Uint64(body[8:])
		case id == "fmt ":
			info, err = d.format(body, order, name)
		}
		if err != nil {
			return nil, info, err
		}
	}
}

// skip passes over n bytes.
func skip(in *input, n int64) error {
	_, err := io.CopyN(io.Discard, in, n)
	return err
}

// format takes over what the chunk "fmt " says.
func (d *interleaved) format(body []byte, order binary.ByteOrder, name string) (info Info, err error) {
	if len(body) < 14 {
		return info, fmt.Errorf("WAV whose format has %d bytes, of at least 14", len(body))
	}
	tag, channels, rate, block := order.Uint16(body), int(order.Uint16(body[2:])), order.Uint32(body[4:]), int(order.Uint16(body[12:]))
	bits := 0
	if len(body) >= 16 {
		bits = int(order.Uint16(body[14:]))
	}
	if tag == tagExtensible && len(body) >= 26 {
		tag = order.Uint16(body[24:]) // the beginning of a GUID whose rest says that this is one of the old tags
	}
	d.codec = codec{big: order == binary.BigEndian}
	switch tag {
	case tagPCM, tagFloat:
		d.codec.float = tag == tagFloat
	case tagALaw, tagMuLaw:
		d.codec.law, bits = tag, 8
	default:
		if known, ok := tagNames[tag]; ok {
			return info, refuse(name, known+" in WAV")
		}
		return info, refuse(name, fmt.Sprintf("WAV of encoding 0x%x", tag))
	}
	if channels == 0 || rate == 0 || rate > math.MaxInt32 {
		return info, fmt.Errorf("WAV of %d channels and %d Hz", channels, rate)
	}
	// The size of a block decides how many bytes a sample takes; within them its bits are the upper ones, so that none need be told apart.
	d.channels, d.codec.bytes = channels, (bits+7)/8
	if block != 0 && block%channels == 0 && block/channels > d.codec.bytes {
		d.codec.bytes = block / channels
	}
	size := d.codec.bytes
	if d.codec.float && size != 4 && size != 8 || d.codec.law != 0 && size != 1 || size < 1 || !d.codec.float && size > 4 {
		return info, refuse(name, fmt.Sprintf("WAV with samples of %d bits in %d bytes", bits, size))
	}
	return Info{Format: "WAV, " + d.codec.String(), Rate: int(rate), Channels: channels}, nil
}

// interleaved decodes samples of fixed size, the channels of a moment one after the other.
type interleaved struct {
	r        io.Reader
	codec    codec
	channels int
	left     int64 // bytes, of which the last ones may be less than a moment
	endless  bool  // the end is where the bytes end
	buffer   []byte
	kept     int // bytes at the front of buffer that belong to the next moment
	samples  []float32
}

func (d *interleaved) next() ([]float32, error) {
	moment := d.channels * d.codec.bytes
	if d.buffer == nil {
		d.buffer = make([]byte, moment*max(1, (1<<13)/moment))
	}
	for {
		want := min(int64(len(d.buffer)-d.kept), d.left)
		if want == 0 {
			return nil, io.EOF // all of data
		}
		n, err := d.r.Read(d.buffer[d.kept : d.kept+int(want)])
		d.left -= int64(n)
		n += d.kept
		whole := n / moment
		d.samples = d.codec.decode(d.samples[:0], d.buffer[:whole*moment], d.channels)
		d.kept = copy(d.buffer, d.buffer[whole*moment:n])
		if err == io.EOF && (d.left > 0 && !d.endless || d.kept > 0) {
			err = io.ErrUnexpectedEOF
		}
		if whole > 0 || err != nil {
			return d.samples, err
		}
	}
}

// A codec tells how a sample is written.
type codec struct {
	bytes int
	float bool
	law   uint16 // A-law's or µ-law's tag, or 0
	big   bool   // endian
}

func (c codec) String() string {
	switch {
	case c.law == tagALaw:
		return "A-law"
	case c.law == tagMuLaw:
		return "µ-law"
	case c.float:
		return fmt.Sprintf("%d-bit float", 8*c.bytes)
	}
	return fmt.Sprintf("%d-bit PCM", 8*c.bytes)
}

// decode appends to dst the means of the channels of each moment in data.
func (c codec) decode(dst []float32, data []byte, channels int) []float32 {
	for len(data) > 0 {
		sum := 0.0
		for range channels {
			sum += c.sample(data)
			data = data[c.bytes:]
		}
		dst = append(dst, float32(sum/float64(channels)))
	}
	return dst
}

// sample is the sample that b begins with, integers as parts of the largest magnitude.
func (c codec) sample(b []byte) float64 {
	switch {
	case c.law == tagALaw:
		return float64(aLaw(b[0])) / (1 << 15)
	case c.law == tagMuLaw:
		return float64(muLaw(b[0])) / (1 << 15)
	case c.bytes == 1:
		return (float64(b[0]) - 128) / (1 << 7)
	}
	var v uint64
	for i := range c.bytes {
		if c.big {
			v = v<<8 | uint64(b[i])
		} else {
			v |= uint64(b[i]) << (8 * i)
		}
	}
	switch {
	case c.float && c.bytes == 4:
		return float64(math.Float32frombits(uint32(v)))
	case c.float:
		return math.Float64frombits(v)
	}
	free := 64 - 8*c.bytes
	return float64(int64(v<<free)>>free) / float64(uint64(1)<<(8*c.bytes-1))
}

// aLaw is G.711's A-law in 16 bits.
func aLaw(x byte) int {
	x ^= 0x55
	v, exponent := int(x&15)<<4+8, int(x>>4&7)
	if exponent > 0 {
		v = (v + 0x100) << (exponent - 1)
	}
	if x&0x80 == 0 {
		return -v
	}
	return v
}

// muLaw is G.711's µ-law in 16 bits.
func muLaw(x byte) int {
	x = ^x
	v := (int(x&15)<<3+0x84)<<(x>>4&7) - 0x84
	if x&0x80 != 0 {
		return -v
	}
	return v
}
