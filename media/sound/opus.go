package sound

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/pion/opus"
)

// opusRate is at which Opus counts samples, whatever it encodes.
const opusRate = 48000

// largestPacket is more than any packet of Opus has, in bytes: 48 frames of 1275.
const largestPacket = 1 << 16

// An opusHead is what streams of Opus begin with (RFC 7845, 5.1).
type opusHead struct {
	channels int
	skip     int     // samples at the beginning that were not in the sound
	gain     float32 // a factor
}

// parseOpusHead reads a header, and refuses what is not mono or stereo.
func parseOpusHead(b []byte, name string) (h opusHead, err error) {
	if len(b) < 19 || string(b[:8]) != "OpusHead" || b[8]&0xf0 != 0 {
		return h, errors.New("a header of Opus that is none")
	}
	h = opusHead{
		channels: int(b[9]),
		skip:     int(binary.LittleEndian.Uint16(b[10:])),
		gain:     float32(math.Pow(10, float64(int16(binary.LittleEndian.Uint16(b[16:])))/(20*256))),
	}
	if h.channels == 0 {
		return h, errors.New("a header of Opus with 0 channels")
	}
	if b[18] != 0 || h.channels > 2 {
		return h, refuse(name, fmt.Sprintf("Opus of %d channels in mapping family %d", h.channels, b[18]))
	}
	return h, nil
}

// opusPackets decodes packets, and leaves out the first samples.
type opusPackets struct {
	head    opusHead
	decoder opus.Decoder
	skip    int // samples still to be left out
	count   int // packets so far
	buffer  []float32
}

func newOpus(h opusHead) (*opusPackets, error) {
	d, err := opus.NewDecoderWithOutput(opusRate, h.channels)
	return &opusPackets{head: h, decoder: d, skip: h.skip, buffer: make([]float32, opusRate*120/1000*h.channels)}, err
}

// append decodes packet, and appends its samples to dst, mono. It returns how many there were before any were left out.
func (p *opusPackets) append(dst []float32, packet []byte) ([]float32, int, error) {
	p.count++
	if len(packet) == 0 {
		return dst, 0, nil
	}
	if len(packet) > largestPacket {
		return dst, 0, fmt.Errorf("packet %d has %d bytes", p.count, len(packet))
	}
	n, err := p.decoder.DecodeToFloat32(packet, p.buffer)
	if err != nil {
		return dst, 0, fmt.Errorf("packet %d: %w", p.count, err)
	}
	left := min(n, p.skip)
	p.skip -= left
	for samples := p.buffer[left*p.head.channels : n*p.head.channels]; len(samples) > 0; samples = samples[p.head.channels:] {
		x := samples[0]
		if p.head.channels == 2 {
			x = (x + samples[1]) / 2
		}
		dst = append(dst, x*p.head.gain)
	}
	return dst, n, nil
}
