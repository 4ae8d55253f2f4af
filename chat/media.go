package chat

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"math"

	"github.com/gogemma/gemma4/internal/pixel"
)

// maxSeconds bounds the time of a frame that JSON may name: ten years.
const maxSeconds = 10 * 365 * 24 * 3600

// maxPixels bounds a picture that JSON may hold.
const maxPixels = 1 << 26

// densest bounds how much larger pixels may be than what they are deflated to, so that no text is a small part of what comes of it. Plain
// pictures, which deflate further, are deflated by Huffman codes alone, to an eighth.
const densest = 32

// pixels is a picture in the JSON of a part: its size, and its rows of red, green and blue in 8 bits each, deflated.
type pixels struct {
	pixel.Image
	fitted bool
}

// Fitted says that the picture was resized for a model.
func (p *pixels) Fitted() bool { return p.fitted }

type pixelsJSON struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	RGB    []byte `json:"rgb"`
	Fitted bool   `json:"fitted,omitempty"`
}

type frameJSON struct {
	Time  float64 `json:"time"` // seconds
	Image *pixels `json:"image"`
}

func pixelsOf(m image.Image) (*pixels, error) {
	w, h, rgb, err := pixel.RGB(m)
	if err != nil {
		return nil, fmt.Errorf("chat: %w", err)
	}
	if w > maxPixels/h {
		return nil, fmt.Errorf("chat: image: %d × %d pixels, expected 1 to %d in all", w, h, maxPixels)
	}
	f, _ := m.(interface{ Fitted() bool })
	return &pixels{pixel.Image{Width: w, Height: h, Pix: rgb}, f != nil && f.Fitted()}, nil
}

func (p *pixels) MarshalJSON() ([]byte, error) {
	packed, err := deflated(p.Pix, flate.BestSpeed)
	if err == nil && len(p.Pix) > densest*len(packed) {
		packed, err = deflated(p.Pix, flate.HuffmanOnly)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(pixelsJSON{p.Width, p.Height, packed, p.fitted})
}

func deflated(data []byte, level int) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, level)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	return packed.Bytes(), err
}

func (p *pixels) UnmarshalJSON(data []byte) error {
	var j pixelsJSON
	if err := unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: image: %w", err)
	}
	if j.Width < 1 || j.Height < 1 || j.Width > maxPixels/j.Height {
		return fmt.Errorf("chat: image: %d × %d pixels, expected 1 to %d in all", j.Width, j.Height, maxPixels)
	}
	size := 3 * j.Width * j.Height
	if size/densest > len(j.RGB) {
		return fmt.Errorf("chat: image: rgb: %d bytes deflated to %d, expected no fewer than one for %d", size, len(j.RGB), densest)
	}
	rgb, packed := make([]byte, size), flate.NewReader(bytes.NewReader(j.RGB))
	if n, err := io.ReadFull(packed, rgb); err != nil {
		return fmt.Errorf("chat: image: rgb: %d bytes, expected %d: %w", n, size, err)
	}
	if _, err := io.ReadFull(packed, make([]byte, 1)); err != io.EOF {
		return fmt.Errorf("chat: image: rgb: more than %d bytes, or a broken end: %v", size, err)
	}
	*p = pixels{pixel.Image{Width: j.Width, Height: j.Height, Pix: rgb}, j.Fitted}
	return nil
}

// samples is a sound in the JSON of a part: float32, little endian.
type samples []float32

func (s samples) MarshalJSON() ([]byte, error) {
	data, err := binary.Append(nil, binary.LittleEndian, []float32(s))
	if err != nil {
		return nil, err
	}
	return json.Marshal(data)
}

func (s *samples) UnmarshalJSON(data []byte) error {
	var raw []byte
	if err := unmarshal(data, &raw); err != nil {
		return fmt.Errorf("chat: samples: %w", err)
	}
	if len(raw)%4 != 0 {
		return errors.New("chat: samples: the last is cut off")
	}
	*s = make(samples, len(raw)/4)
	for i := range *s {
		(*s)[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}
