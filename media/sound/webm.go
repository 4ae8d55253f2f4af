package sound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/at-wat/ebml-go"
)

// Elements of Matroska, of which WebM is a part, by their ids. Those that are not here are skipped.
const (
	idEBML           = 0x1a45dfa3
	idSegment        = 0x18538067
	idTracks         = 0x1654ae6b
	idCluster        = 0x1f43b675
	idBlockGroup     = 0xa0
	idBlock          = 0xa1
	idSimpleBlock    = 0xa3
	idDiscardPadding = 0x75a2
)

// The largest elements that are held in memory, in bytes.
const (
	largestTracks = 1 << 20
	largestBlock  = 1 << 20
)

// unknownSize is the size of an element that ends where one begins that cannot be in it.
const unknownSize = -1

// webmDecoder decodes the first track of Opus in a WebM or Matroska.
type webmDecoder struct {
	name    string
	in      *input
	at, end int64 // bytes read, and those that there are by what was read
	track   uint64
	packets *opusPackets
	held    []float32 // of the last block, the end of which may not belong to the sound
	ready   []float32
}

// A webmTrack is what a track's entry says that matters here.
type webmTrack struct {
	TrackNumber  uint64
	TrackType    uint64
	CodecID      string
	CodecPrivate []byte
	CodecDelay   uint64 // ns
	Audio        struct {
		Channels uint64
	}
}

func openWebM(in *input, name string) (decoder, Info, error) {
	d := &webmDecoder{name: name, in: in}
	for d.packets == nil {
		if err := d.element(); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = errors.New("WebM that ends before its sound")
			}
			return nil, Info{}, err
		}
	}
	return d, Info{Format: "Opus in WebM", Rate: opusRate, Channels: d.packets.head.channels}, nil
}

func (d *webmDecoder) next() ([]float32, error) {
	d.ready = d.ready[:0]
	for len(d.ready) == 0 {
		if err := d.element(); err != nil {
			d.ready, d.held = append(d.ready, d.held...), nil
			return d.ready, err
		}
	}
	return d.ready, nil
}

// element reads an element that has a value, or the beginning of one that has others in it, which come next then: what is in what need not
// be known, and so elements without a size need no care.
func (d *webmDecoder) element() error {
	at := d.at
	id, err := d.number(4, true)
	if err == io.EOF && d.at == at && d.at >= d.end {
		return io.EOF
	}
	var size int64
	if err == nil {
		size, err = d.number(8, false)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if size != unknownSize {
		d.end = max(d.end, d.at+size)
	}
	switch id {
	case idSegment, idCluster, idBlockGroup:
		return nil
	case idTracks, idBlock, idSimpleBlock, idDiscardPadding:
		most := int64(largestBlock)
		if id == idTracks {
			most = largestTracks
		}
		if size < 0 || size > most {
			return fmt.Errorf("WebM whose element 0x%x has %d bytes", id, size)
		}
		body := make([]byte, size)
		n, err := io.ReadFull(d.in, body)
		d.at += int64(n)
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		switch id {
		case idTracks:
			return d.tracks(body)
		case idDiscardPadding:
			d.discard(body)
			return nil
		}
		return d.block(body)
	}
	if size < 0 {
		return fmt.Errorf("WebM whose element 0x%x has no size", id)
	}
	n, err := io.CopyN(io.Discard, d.in, size)
	d.at += n
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// number reads an id or a size: its first byte has as many zeros in front as bytes follow. Ids keep the one behind them.
func (d *webmDecoder) number(most int, id bool) (int64, error) {
	first, err := d.in.ReadByte()
	if err != nil {
		return 0, err
	}
	d.at++
	more := bits.LeadingZeros8(first)
	if more >= most {
		return 0, fmt.Errorf("WebM with %#x where an element should begin, byte %d", first, d.at-1)
	}
	value, ones := int64(first), first&(0x7f>>more) == 0x7f>>more
	if !id {
		value = int64(first & (0x7f >> more))
	}
	for range more {
		b, err := d.in.ReadByte()
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		d.at++
		value, ones = value<<8|int64(b), ones && b == 0xff
	}
	if ones && !id {
		return unknownSize, nil
	}
	return value, nil
}

// tracks begins to decode the first track of Opus.
func (d *webmDecoder) tracks(body []byte) error {
	var tracks struct{ TrackEntry []webmTrack }
	err := ebml.Unmarshal(bytes.NewReader(body), &tracks, ebml.WithIgnoreUnknown(true), ebml.WithMaxLeafElementSize(uint64(len(body))))
	if err != nil {
		return fmt.Errorf("WebM: %w", err)
	}
	other := ""
	for _, t := range tracks.TrackEntry {
		const audio = 2
		if t.TrackType != audio {
			continue
		}
		if t.CodecID != "A_OPUS" {
			other = t.CodecID
			continue
		}
		h := opusHead{channels: max(1, int(min(t.Audio.Channels, 2))), gain: 1}
		if len(t.CodecPrivate) > 0 {
			if h, err = parseOpusHead(t.CodecPrivate, d.name); err != nil {
				return err
			}
		}
		// The two should agree, but some writers leave one out, and ffmpeg's counts with the wrong rate at times.
		h.skip = max(h.skip, int((min(t.CodecDelay, 1e9)*opusRate+5e8)/1e9))
		d.ready, d.held = append(d.ready, d.held...), d.held[:0]
		d.track = t.TrackNumber
		d.packets, err = newOpus(h)
		return err
	}
	if other != "" {
		return refuse(d.name, fmt.Sprintf("Matroska with %s", other))
	}
	return errors.New("WebM without a track of sound")
}

// block decodes a block of the track.
func (d *webmDecoder) block(body []byte) error {
	block, err := ebml.UnmarshalBlock(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return fmt.Errorf("a block: %w", err)
	}
	if d.packets == nil || block.TrackNumber != d.track {
		return nil
	}
	d.ready, d.held = append(d.ready, d.held...), d.held[:0]
	for _, packet := range block.Data {
		if d.held, _, err = d.packets.append(d.held, packet); err != nil {
			return err
		}
	}
	return nil
}

// discard takes from the end of the last block what its group says in ns: a signed integer.
func (d *webmDecoder) discard(body []byte) {
	if len(body) == 0 || len(body) > 8 {
		return
	}
	value := int64(int8(body[0]))
	for _, b := range body[1:] {
		value = value<<8 | int64(b)
	}
	if value > 0 {
		n := (min(value, 1e9)*opusRate + 5e8) / 1e9
		d.held = d.held[:max(0, int64(len(d.held))-n)]
	}
}
