package media

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"time"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"

	"github.com/gogemma/gemma4/internal/pixel"
)

// A webpFile is where the images of a WebP are. Packages vp8 and vp8l decode them; x/image's own package webp takes no animation, and what
// it makes of a lossy image has luma of 16 to 235, which image.YCbCr cannot say.
type webpFile struct {
	width, height int
	animated      bool
	frames        []webpFrame
}

type webpFrame struct {
	at       image.Rectangle
	covers   bool
	disposal disposal
	delay    time.Duration
	lossy    bool
	data     []byte // of the chunk VP8 or VP8L
	alpha    []byte // of the chunk ALPH, or nil
}

// parseWebP finds the images of a WebP, up to most of them. A file that ends after its first image has those before.
func parseWebP(data []byte, most int) (*webpFile, error) {
	w := new(webpFile)
	var alpha []byte
	for id, body := range riffChunks(data[12:]) {
		switch {
		case id == "VP8X" && w.width == 0:
			if len(body) < 10 {
				return nil, fmt.Errorf("a chunk VP8X of %d bytes", len(body))
			}
			w.animated = body[0]&2 != 0
			w.width, w.height = 1+u24(body[4:]), 1+u24(body[7:])
		case id == "ALPH" && !w.animated:
			alpha = body
		case (id == "VP8 " || id == "VP8L") && !w.animated:
			f, err := webpImage(id, body, alpha)
			if err != nil {
				return nil, err
			}
			if w.width == 0 {
				w.width, w.height = f.at.Dx(), f.at.Dy()
			}
			if f.at.Dx() != w.width || f.at.Dy() != w.height {
				return nil, fmt.Errorf("an image of %d×%d pixels on a canvas of %d×%d", f.at.Dx(), f.at.Dy(), w.width, w.height)
			}
			f.covers = true
			w.frames = []webpFrame{f}
			return w, nil
		case id == "ANMF" && w.animated && len(w.frames) < most:
			f, err := webpPiece(body)
			if err == nil && !f.at.In(image.Rect(0, 0, w.width, w.height)) {
				err = fmt.Errorf("frame %d covers %v of %d×%d pixels", len(w.frames), f.at, w.width, w.height)
			}
			if err != nil {
				return nil, err
			}
			w.frames = append(w.frames, f)
		}
	}
	if len(w.frames) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return w, nil
}

// webpPiece reads a chunk ANMF: where, how long and how, and the chunks of one image.
func webpPiece(body []byte) (webpFrame, error) {
	if len(body) < 16 {
		return webpFrame{}, fmt.Errorf("a chunk ANMF of %d bytes", len(body))
	}
	corner := image.Pt(2*u24(body), 2*u24(body[3:]))
	size := image.Pt(1+u24(body[6:]), 1+u24(body[9:]))
	var alpha []byte
	for id, chunk := range riffChunks(body[16:]) {
		switch id {
		case "ALPH":
			alpha = chunk
		case "VP8 ", "VP8L":
			f, err := webpImage(id, chunk, alpha)
			if err != nil {
				return f, err
			}
			if f.at.Size() != size {
				return f, fmt.Errorf("an image of %v in a frame of %v pixels", f.at.Size(), size)
			}
			f.at = f.at.Add(corner)
			f.delay = time.Duration(u24(body[12:])) * time.Millisecond
			f.covers = body[15]&2 != 0
			if body[15]&1 != 0 {
				f.disposal = cleared
			}
			return f, nil
		}
	}
	return webpFrame{}, io.ErrUnexpectedEOF
}

// webpImage reads the header of one image.
func webpImage(id string, data, alpha []byte) (webpFrame, error) {
	f := webpFrame{lossy: id == "VP8 ", data: data, alpha: alpha}
	if !f.lossy {
		c, err := vp8l.DecodeConfig(bytes.NewReader(data))
		f.at = image.Rect(0, 0, c.Width, c.Height)
		f.alpha = nil
		return f, err
	}
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(data), len(data))
	h, err := d.DecodeFrameHeader()
	if err == nil && (!h.KeyFrame || h.Width == 0 || h.Height == 0) {
		err = errors.New("a lossy image without a size")
	}
	f.at = image.Rect(0, 0, h.Width, h.Height)
	return f, err
}

func u24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// decode returns the pixels of an image with their opacity.
func (f webpFrame) decode() (*image.NRGBA, error) {
	if !f.lossy {
		m, err := vp8l.Decode(bytes.NewReader(f.data))
		if err != nil {
			return nil, err
		}
		n, ok := m.(*image.NRGBA)
		if !ok || n.Rect.Size() != f.at.Size() {
			return nil, errors.New("an image of another size")
		}
		return n, nil
	}
	m, err := f.luma()
	if err != nil {
		return nil, err
	}
	out := image.NewNRGBA(image.Rect(0, 0, f.at.Dx(), f.at.Dy()))
	spreadVP8(m, out.Pix, 4)
	if f.alpha == nil {
		for i := 3; i < len(out.Pix); i += 4 {
			out.Pix[i] = 255
		}
		return out, nil
	}
	return out, opacity(out, f.alpha)
}

// packed returns the pixels of an image alone on its canvas.
func (f webpFrame) packed() (*pixel.Image, error) {
	if f.lossy && f.alpha == nil {
		m, err := f.luma()
		if err != nil {
			return nil, err
		}
		out := pixel.New(f.at.Dx(), f.at.Dy())
		spreadVP8(m, out.Pix, 3)
		return out, nil
	}
	m, err := f.decode()
	if err != nil {
		return nil, err
	}
	return packed(m, nil)
}

// luma decodes a lossy image to its three planes.
func (f webpFrame) luma() (*image.YCbCr, error) {
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(f.data), len(f.data))
	if _, err := d.DecodeFrameHeader(); err != nil {
		return nil, err
	}
	m, err := d.DecodeFrame()
	if err == nil && m.Rect.Size() != f.at.Size() {
		err = errors.New("an image of another size")
	}
	return m, err
}

// opacity writes that of a chunk ALPH into m.
func opacity(m *image.NRGBA, chunk []byte) error {
	if len(chunk) == 0 {
		return io.ErrUnexpectedEOF
	}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	var plane []byte
	switch header, data := chunk[0], chunk[1:]; header & 3 {
	case 0:
		if len(data) < w*h {
			return io.ErrUnexpectedEOF
		}
		plane = bytes.Clone(data[:w*h])
	case 1: // the green of a lossless image that comes without a header
		right, bottom := uint32(w-1), uint32(h-1)
		size := right | bottom<<14
		head := []byte{0x2f, byte(size), byte(size >> 8), byte(size >> 16), byte(size >> 24)}
		a, err := vp8l.Decode(io.MultiReader(bytes.NewReader(head), bytes.NewReader(data)))
		if err != nil {
			return err
		}
		n, ok := a.(*image.NRGBA)
		if !ok || n.Rect.Size() != m.Rect.Size() {
			return errors.New("an opacity of another size")
		}
		plane = make([]byte, w*h)
		for i := range plane {
			plane[i] = n.Pix[4*i+1]
		}
	default:
		return errors.New("an opacity of an unknown kind")
	}
	unfilter(plane, w, chunk[0]>>2&3)
	for i, v := range plane {
		m.Pix[4*i+3] = v
	}
	return nil
}

// unfilter undoes the prediction of each value from its left, its upper or both neighbours.
func unfilter(plane []byte, w int, filter byte) {
	if filter == 0 {
		return
	}
	for i := 1; i < len(plane); i++ {
		var predicted byte
		switch x := i % w; {
		case i < w: // the first row
			predicted = plane[i-1]
		case x == 0 || filter == 2:
			predicted = plane[i-w]
		case filter == 1:
			predicted = plane[i-1]
		default:
			predicted = clamp(int32(plane[i-1]) + int32(plane[i-w]) - int32(plane[i-w-1]))
		}
		plane[i] += predicted
	}
}

// spreadVP8 writes the colors of m to dst, step bytes from pixel to pixel, with the integers of WebP's own library: a pixel's chroma is
// nine sixteenths of the nearest sample, three of those beside and one of the one across.
func spreadVP8(m *image.YCbCr, dst []byte, step int) {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	var chroma [2][]byte
	for p := range chroma {
		chroma[p] = make([]byte, 2*cw)
	}
	for y := range h {
		other := min(max(y/2+2*(y&1)-1, 0), ch-1)
		for p, plane := range [2][]byte{m.Cb, m.Cr} {
			near, next := plane[y/2*m.CStride:][:cw], plane[other*m.CStride:][:cw]
			out := chroma[p]
			a, c := int32(near[0]), int32(next[0])
			for x := 1; x < cw; x++ { // between two samples: pixels 2x−1 and 2x
				b, d := int32(near[x]), int32(next[x])
				// The mean of the nearest and of one of the two diagonals' means, each rounded on its own.
				sum := a + b + c + d + 8
				pair := out[2*x-1:][:2]
				pair[0] = byte(((sum+2*(b+c))>>3 + a) >> 1)
				pair[1] = byte(((sum+2*(a+d))>>3 + b) >> 1)
				a, c = b, d
			}
			out[0] = byte((3*int(near[0]) + int(next[0]) + 2) >> 2)
			if w%2 == 0 {
				out[w-1] = byte((3*int(near[cw-1]) + int(next[cw-1]) + 2) >> 2)
			}
		}
		luma := m.Y[y*m.YStride:][:w]
		row := dst[step*w*y:][:step*w]
		cb, cr := chroma[0][:w], chroma[1][:w]
		for x, v := range luma {
			p := row[step*x:][:3]
			p[0], p[1], p[2] = fromYUV(int32(v), int32(cb[x]), int32(cr[x]))
		}
	}
}

// fromYUV is the conversion of ITU-R BT.601 with luma of 16 to 235, in WebP's fixed point.
func fromYUV(y, u, v int32) (r, g, b byte) {
	y = y * 19077 >> 8
	part := func(v int32) byte { return clamp(v >> 6) }
	return part(y + v*26149>>8 - 14234), part(y - u*6419>>8 - v*13320>>8 + 8708), part(y + u*33050>>8 - 17685)
}

func webpConfig(data []byte) (image.Config, error) {
	w, err := parseWebP(data, 1)
	if err != nil {
		return image.Config{}, err
	}
	return image.Config{Width: w.width, Height: w.height}, nil
}

func firstWebP(data []byte, _ Options) (*pixel.Image, error) {
	w, err := parseWebP(data, 1)
	if err != nil {
		return nil, err
	}
	if !w.animated {
		return w.frames[0].packed()
	}
	return w.animate().frame(0)
}

// animate returns the frames of the file, each with what came before it.
func (w *webpFile) animate() *animation {
	a := &animation{canvas: image.NewNRGBA(image.Rect(0, 0, w.width, w.height))}
	whole := a.canvas.Rect
	key := true // the canvas is transparent, all of it
	var cleared image.Rectangle
	for _, f := range w.frames {
		p := piece{at: f.at, covers: f.covers, fresh: cleared, disposal: f.disposal, decode: f.decode}
		if key {
			p.fresh = whole
		}
		a.pieces = append(a.pieces, p)
		key = key || f.covers && f.at == whole
		if cleared = f.at; f.disposal != stays {
			key = key || f.at == whole
		} else {
			key, cleared = false, image.Rectangle{}
		}
	}
	return a
}

// webpClip returns an animated WebP's frames.
func webpClip(name string, data []byte, o Options) (*Clip, error) {
	w, err := parseWebP(data, o.frames()+1)
	if err != nil {
		return nil, undecoded(name, "WebP", err)
	}
	if err := tooLarge(name, w.width, w.height, o); err != nil {
		return nil, err
	}
	var delays []time.Duration
	for _, f := range w.frames {
		delays = append(delays, shown(f.delay))
	}
	return animatedClip(name, "WebP", w.animate(), delays, o)
}
