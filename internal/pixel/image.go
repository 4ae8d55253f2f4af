package pixel

import (
	"image"
	"image/color"
)

// Image is an opaque picture of packed RGB, an [image.Image] with its top left corner at (0, 0).
type Image struct {
	// Width and Height are in pixels.
	Width, Height int
	// Pix is 3·Width·Height bytes: red, green and blue, row by row.
	Pix []byte
}

// New returns a black image.
func New(width, height int) *Image {
	return &Image{Width: width, Height: height, Pix: make([]byte, 3*width*height)}
}

// Packed returns the image itself, so that [RGB] knows one that embeds it.
func (m *Image) Packed() *Image { return m }

// ColorModel is [color.RGBAModel].
func (m *Image) ColorModel() color.Model { return color.RGBAModel }

// Bounds are (0, 0) to (Width, Height).
func (m *Image) Bounds() image.Rectangle { return image.Rect(0, 0, m.Width, m.Height) }

// Opaque is true.
func (m *Image) Opaque() bool { return true }

// At returns the pixel as [color.RGBA]; outside of the bounds all is transparent.
func (m *Image) At(x, y int) color.Color {
	if !(image.Point{X: x, Y: y}).In(m.Bounds()) {
		return color.RGBA{}
	}
	p := m.Pix[3*(y*m.Width+x):][:3]
	return color.RGBA{R: p[0], G: p[1], B: p[2], A: 255}
}

// RGBA64At is what package image/draw asks instead of At.
func (m *Image) RGBA64At(x, y int) color.RGBA64 {
	if !(image.Point{X: x, Y: y}).In(m.Bounds()) {
		return color.RGBA64{}
	}
	p := m.Pix[3*(y*m.Width+x):][:3]
	return color.RGBA64{R: uint16(p[0]) * 0x101, G: uint16(p[1]) * 0x101, B: uint16(p[2]) * 0x101, A: 0xffff}
}

// Turn returns the image as it is to be seen by its EXIF orientation, 1 to 8: as stored, mirrored, turned by 180°, upside down,
// transposed, to be turned by 90° clockwise, transversed, to be turned by 270° clockwise. Of any other number it is the image itself.
func (m *Image) Turn(orientation int) *Image {
	stride, right, bottom := m.Width, m.Width-1, m.Height-1
	// from is the stored pixel that belongs at (x, y).
	var from func(x, y int) int
	switch orientation {
	case 2:
		from = func(x, y int) int { return y*stride + right - x }
	case 3:
		from = func(x, y int) int { return (bottom-y)*stride + right - x }
	case 4:
		from = func(x, y int) int { return (bottom-y)*stride + x }
	case 5:
		from = func(x, y int) int { return x*stride + y }
	case 6:
		from = func(x, y int) int { return (bottom-x)*stride + y }
	case 7:
		from = func(x, y int) int { return (bottom-x)*stride + right - y }
	case 8:
		from = func(x, y int) int { return x*stride + right - y }
	default:
		return m
	}
	w, h := m.Width, m.Height
	if orientation >= 5 {
		w, h = h, w
	}
	turned := New(w, h)
	for y := range h {
		first := from(0, y)
		step := 0
		if w > 1 {
			step = from(1, y) - first
		}
		dst := turned.Pix[3*w*y:][:3*w]
		for i, at := 0, 3*first; i < len(dst); i, at = i+3, at+3*step {
			copy(dst[i:i+3], m.Pix[at:at+3])
		}
	}
	return turned
}
