package sound

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/pion/opus/pkg/oggreader"
)

// mostBetween bounds the bytes from one packet of Ogg to the next: comments with a picture are the largest.
const mostBetween = 1 << 24

// oggDecoder decodes Opus in Ogg (RFC 7845), also several streams one after the other.
type oggDecoder struct {
	name    string
	in      *sparing
	pages   *oggreader.OggReader
	packets *opusPackets
	tags    bool // the next packet is comments

	// The page whose packets come now. Its samples wait until another page follows, since the last one's position tells how many of them
	// belong to the sound. Positions count samples of the stream, also those that are left out at its beginning.
	held     []float32
	position int64
	page     int64 // samples of the page
	first    bool  // it is the stream's first one
	begin    int64 // the position of the stream's first sample
	decoded  int64 // samples of the stream
	ready    []float32
}

// sparing reads no more than mostBetween bytes between two packets.
type sparing struct {
	*input
	left int
	cut  bool // the end came elsewhere than where a page's header of 27 bytes would begin
}

func (s *sparing) Read(p []byte) (int, error) {
	if s.left -= len(p); s.left < 0 {
		return 0, fmt.Errorf("a packet of more than %d bytes", mostBetween)
	}
	n, err := s.input.Read(p)
	s.cut = err != nil && len(p) != 27
	return n, err
}

func openOgg(in *input, name string) (decoder, Info, error) {
	d := &oggDecoder{name: name, in: &sparing{input: in, left: mostBetween}}
	head, _ := in.Peek(28 + 19)
	switch {
	case len(head) < 28+19:
		return nil, Info{}, errors.New("an Ogg that ends before its sound")
	case !bytes.HasPrefix(head[28:], []byte("OpusHead")):
		return nil, Info{}, refuse(name, "Ogg without Opus")
	}
	if err := d.start(head[28:]); err != nil {
		return nil, Info{}, err
	}
	pages, _, err := oggreader.NewWith(d.in)
	if err != nil {
		return nil, Info{}, fmt.Errorf("an Ogg: %w", err)
	}
	d.pages = pages
	return d, Info{Format: "Opus in Ogg", Rate: opusRate, Channels: d.packets.head.channels}, nil
}

// start begins a stream with the packet that is its header.
func (d *oggDecoder) start(packet []byte) error {
	h, err := parseOpusHead(packet, d.name)
	if err != nil {
		return err
	}
	d.packets, err = newOpus(h)
	d.tags, d.first, d.begin, d.decoded, d.page = true, true, 0, 0, 0
	return err
}

func (d *oggDecoder) next() ([]float32, error) {
	d.ready = d.ready[:0]
	for {
		d.in.left = mostBetween
		packet, page, err := d.pages.ParseNextPacket()
		if err != nil {
			d.turn()
			if err == io.EOF && d.in.cut {
				err = io.ErrUnexpectedEOF
			}
			d.trim()
			d.ready, d.held = append(d.ready, d.held...), nil
			return d.ready, err
		}
		switch {
		case len(packet) >= 19 && string(packet[:8]) == "OpusHead":
			d.turn()
			d.trim()
			d.ready, d.held = append(d.ready, d.held...), d.held[:0]
			if err := d.start(packet); err != nil {
				return nil, err
			}
			continue
		case d.tags:
			d.tags = false
			if len(packet) < 8 || string(packet[:8]) != "OpusTags" {
				return nil, errors.New("no comments behind the header")
			}
			continue
		}
		if position := int64(page.GranulePosition); position != d.position || d.page == 0 {
			d.turn()
			d.ready, d.held = append(d.ready, d.held...), d.held[:0]
			d.position = position
		}
		var n int
		if d.held, n, err = d.packets.append(d.held, packet); err != nil {
			return nil, err
		}
		d.page += int64(n)
		if len(d.ready) > 0 {
			return d.ready, nil
		}
	}
}

// turn ends the page. The first one's position tells where the stream begins, which is later than 0 if it was cut out of another.
func (d *oggDecoder) turn() {
	if d.page == 0 {
		return
	}
	if d.first {
		d.begin = max(d.position-d.page, 0)
	}
	d.decoded += d.page
	d.first, d.page = false, 0
}

// trim takes from the last page's samples those behind its position.
func (d *oggDecoder) trim() {
	if over := d.begin + d.decoded - d.position; over > 0 && d.position >= 0 {
		d.held = d.held[:max(0, int64(len(d.held))-over)]
	}
}
