package sound

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
)

// flacDecoder decodes FLAC.
type flacDecoder struct {
	frames  *flacFrames
	info    *meta.StreamInfo
	decoded uint64 // samples a channel
	samples []float32
}

func openFLAC(in *input, name string) (decoder, Info, error) {
	if err := skip(in, 4); err != nil {
		return nil, Info{}, err
	}
	block, err := meta.Parse(in)
	if err != nil {
		return nil, Info{}, fmt.Errorf("FLAC: %w", err)
	}
	stream, ok := block.Body.(*meta.StreamInfo)
	if !ok {
		return nil, Info{}, errors.New("FLAC that does not begin with what it is")
	}
	for !block.IsLast {
		if block, err = meta.New(in); err != nil {
			return nil, Info{}, fmt.Errorf("FLAC: %w", err)
		}
		if err := skip(in, block.Length); err != nil {
			return nil, Info{}, fmt.Errorf("FLAC that ends before its sound: %w", err)
		}
	}
	code, ok := map[uint8]byte{8: 1, 12: 2, 16: 4, 20: 5, 24: 6}[stream.BitsPerSample]
	if !ok {
		return nil, Info{}, refuse(name, fmt.Sprintf("FLAC of %d bits", stream.BitsPerSample))
	}
	info := Info{Format: fmt.Sprintf("FLAC, %d-bit", stream.BitsPerSample), Rate: int(stream.SampleRate), Channels: int(stream.NChannels)}
	return &flacDecoder{frames: &flacFrames{in: in, bits: code}, info: stream}, info, nil
}

func (d *flacDecoder) next() ([]float32, error) {
	if d.info.NSamples > 0 && d.decoded >= d.info.NSamples {
		return nil, io.EOF
	}
	if err := d.frames.begin(); err != nil {
		return nil, err
	}
	f, err := frame.Parse(d.frames)
	switch {
	case err == io.EOF && d.decoded < d.info.NSamples:
		return nil, io.ErrUnexpectedEOF
	case err != nil && !d.frames.mended(err):
		return nil, err
	}
	for _, s := range f.Subframes {
		if len(s.Samples) != int(f.BlockSize) || f.BlockSize == 0 {
			return nil, fmt.Errorf("a frame of %d samples has %d of them", f.BlockSize, len(s.Samples))
		}
	}
	if f.BitsPerSample != d.info.BitsPerSample || len(f.Subframes) != int(d.info.NChannels) {
		return nil, fmt.Errorf("a frame of %d bits and %d channels in a stream of %d and %d",
			f.BitsPerSample, len(f.Subframes), d.info.BitsPerSample, d.info.NChannels)
	}
	n := uint64(f.BlockSize)
	if d.info.NSamples > 0 {
		n = min(n, d.info.NSamples-d.decoded)
	}
	d.decoded += n
	d.samples = d.samples[:0]
	scale := float64(uint64(len(f.Subframes)) << (f.BitsPerSample - 1))
	for i := range n {
		sum := 0.0
		for _, s := range f.Subframes {
			sum += float64(s.Samples[i])
		}
		d.samples = append(d.samples, float32(sum/scale))
	}
	return d.samples, nil
}

// flacFrames hands frames to their decoder, with headers as that likes them: it does not look up the bits of a sample where a header leaves
// them to the stream's, and it writes a line to the program's log for each frame that is of 24 or 176.4 kHz. As the header is part of what
// a frame's checksum covers, that is checked here for frames whose header was changed.
type flacFrames struct {
	in      *input
	bits    byte   // the code for the bits of a sample
	head    []byte // a changed header, not yet read
	changed bool
	crc     uint16 // of the frame as it is in the file, if its header was changed
}

// begin looks at the next frame's header, and takes it out of the file if it is to be changed.
func (f *flacFrames) begin() error {
	f.changed, f.head = false, nil
	head, _ := f.in.Peek(16)
	if len(head) < 6 || head[0] != 0xff || head[1]&0xfe != 0xf8 {
		return nil
	}
	rate, bits := head[2]&15, head[3]>>1&7
	if rate != 2 && rate != 7 && bits != 0 {
		return nil
	}
	// Behind the first four bytes are a number, as long as its first byte has ones in front, and what the block size and the rate, by their
	// codes, have there; then a checksum.
	size := 5
	for b := head[4] << 1; head[4]&0x80 != 0 && b&0x80 != 0; b <<= 1 {
		size++
	}
	size += map[byte]int{6: 1, 7: 2}[head[2]>>4] + map[byte]int{12: 1, 13: 2, 14: 2}[rate]
	if size >= len(head) {
		return io.ErrUnexpectedEOF
	}
	old := head[:size+1]
	if crc8(old) != 0 {
		return errors.New("a frame whose header is damaged")
	}
	f.changed, f.crc = true, crc16(0, old)
	f.head = append(f.head, old[:size]...)
	if rate == 2 || rate == 7 {
		f.head[2] &= 0xf0 // the stream's
	}
	if bits == 0 {
		f.head[3] |= f.bits << 1
	}
	f.head = append(f.head, crc8(f.head))
	f.in.Discard(len(old))
	return nil
}

func (f *flacFrames) Read(p []byte) (int, error) {
	if len(f.head) > 0 {
		n := copy(p, f.head)
		f.head = f.head[n:]
		return n, nil
	}
	n, err := f.in.Read(p)
	if f.changed {
		f.crc = crc16(f.crc, p[:n])
	}
	return n, err
}

// mended tells whether err is about a checksum that is wrong only because the header was changed: that of a frame, its own checksum
// included, is 0.
func (f *flacFrames) mended(err error) bool {
	return f.changed && f.crc == 0 && strings.Contains(err.Error(), "CRC-16")
}

// crc8 is FLAC's checksum of headers.
func crc8(data []byte) (crc byte) {
	for _, b := range data {
		crc ^= b
		for range 8 {
			crc = crc<<1 ^ crc>>7*0x07
		}
	}
	return crc
}

// crc16 adds data to FLAC's checksum of frames.
func crc16(crc uint16, data []byte) uint16 {
	for _, b := range data {
		crc ^= uint16(b) << 8
		for range 8 {
			crc = crc<<1 ^ crc>>15*0x8005
		}
	}
	return crc
}
