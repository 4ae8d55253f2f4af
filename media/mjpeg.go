package media

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"io"

	"github.com/gogemma/gemma4/internal/pixel"
)

// still decodes size bytes of a file, which are one frame, in JPEG or PNG, of a video that is height pixels high (0: unknown). Where that
// is twice what the picture has, a second one follows: the other rows.
func still(name string, r io.ReaderAt, at, size int64, height int, o Options) (*pixel.Image, error) {
	if size > o.bytes() {
		return nil, failed(name, "a frame of %d bytes is %w: the limit is %d", size, ErrTooLarge, o.bytes())
	}
	data := make([]byte, size)
	if n, err := r.ReadAt(data, at); n < len(data) {
		return nil, failed(name, "%w", err)
	}
	if sniff(data) != "JPEG" {
		return picture(name, data, o)
	}
	m, err := picture(name, tables(data), o)
	if err != nil || 2*m.Height > height+1 {
		return m, err
	}
	second := nextJPEG(data[jpegEnd(data):])

	if second == nil {
		return m, nil
	}
	other, err := picture(name, tables(second), o)
	if err != nil || other.Width != m.Width || other.Height != m.Height {
		return m, err
	}
	return weave(m, other), nil
}

// weave makes a frame of its two fields, whose rows alternate.
func weave(first, second *pixel.Image) *pixel.Image {
	out, row := pixel.New(first.Width, 2*first.Height), 3*first.Width
	for y := range first.Height {
		copy(out.Pix[2*y*row:], first.Pix[y*row:][:row])
		copy(out.Pix[(2*y+1)*row:], second.Pix[y*row:][:row])
	}
	return out
}

// tables returns a JPEG with Huffman tables: its own, or those of the standard's annex K.3, which Motion JPEG of many cameras leaves out.
// Package image/jpeg always writes those.
func tables(data []byte) []byte {
	const dht = 0xc4
	for s := range jpegSegments(data) {
		if s.marker == dht {
			return data
		}
	}
	var sample bytes.Buffer
	if err := jpeg.Encode(&sample, image.NewRGBA(image.Rect(0, 0, 1, 1)), nil); err != nil {
		return data
	}
	whole := bytes.Clone(data[:2])
	for s := range jpegSegments(sample.Bytes()) {
		if s.marker == dht {
			whole = binary.BigEndian.AppendUint16(append(whole, 0xff, dht), uint16(len(s.body)+2))
			whole = append(whole, s.body...)
		}
	}
	return append(whole, data[2:]...)
}
