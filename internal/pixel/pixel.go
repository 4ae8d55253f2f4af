// Package pixel turns any [image.Image] into the pixels that a model sees: packed RGB in 8 bits, row by row, what is transparent over
// white.
package pixel

import (
	"fmt"
	"image"
	"image/color"
)

// MaxPixels is the most pixels that [RGB] takes: some images, such as [image.Uniform], have no end.
const MaxPixels = 1 << 28

// RGB returns the pixels of img, 3 bytes each, row by row from the top left corner of its bounds. What is transparent lies over white,
// values of 16 bits keep their upper 8, and CMYK is mixed as (255−ink)·(255−black)/255. Of an [Image] it is Pix itself, not a copy. An
// image without pixels, or with more than [MaxPixels], is an error.
func RGB(img image.Image) (width, height int, rgb []byte, err error) {
	if img == nil {
		return 0, 0, nil, fmt.Errorf("pixel: no image")
	}
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w <= 0 || h <= 0 || w > MaxPixels/h {
		return 0, 0, nil, fmt.Errorf("pixel: an image of %d×%d pixels; it has at least 1×1 and at most %d", w, h, MaxPixels)
	}
	if m, ok := img.(interface{ Packed() *Image }); ok {
		m := m.Packed()
		return w, h, m.Pix[:3*w*h], nil
	}
	rgb = make([]byte, 3*w*h)
	convert := row(img)
	for y := range h {
		convert(rgb[3*w*y:][:3*w], b.Min.Y+y)
	}
	return w, h, rgb, nil
}

// row returns a function that writes the image's row y, in the image's coordinates, to dst.
func row(img image.Image) func(dst []byte, y int) {
	b := img.Bounds()
	left, w := b.Min.X, b.Dx()
	switch m := img.(type) {
	case *image.RGBA:
		return func(dst []byte, y int) {
			src := m.Pix[m.PixOffset(left, y):][:4*w]
			for i, j := 0, 0; i < len(src) && j+2 < len(dst); i, j = i+4, j+3 {
				s, d := src[i:i+4:i+4], dst[j:j+3:j+3]
				d[0], d[1], d[2] = s[0], s[1], s[2]
				if s[3] != 255 {
					d[0], d[1], d[2] = premultiplied(s[0], s[3]), premultiplied(s[1], s[3]), premultiplied(s[2], s[3])
				}
			}
		}
	case *image.NRGBA:
		return func(dst []byte, y int) {
			src := m.Pix[m.PixOffset(left, y):][:4*w]
			for i, j := 0, 0; i < len(src) && j+2 < len(dst); i, j = i+4, j+3 {
				s, d := src[i:i+4:i+4], dst[j:j+3:j+3]
				d[0], d[1], d[2] = s[0], s[1], s[2]
				if s[3] != 255 {
					d[0], d[1], d[2] = over(s[0], s[3]), over(s[1], s[3]), over(s[2], s[3])
				}
			}
		}
	case *image.NRGBA64:
		return func(dst []byte, y int) {
			src := m.Pix[m.PixOffset(left, y):][:8*w]
			for i, j := 0, 0; i < len(src) && j+2 < len(dst); i, j = i+8, j+3 {
				s, d := src[i:i+8:i+8], dst[j:j+3:j+3]
				d[0], d[1], d[2] = over(s[0], s[6]), over(s[2], s[6]), over(s[4], s[6])
			}
		}
	case *image.Gray:
		return func(dst []byte, y int) {
			for x, v := range m.Pix[m.PixOffset(left, y):][:w] {
				dst[3*x], dst[3*x+1], dst[3*x+2] = v, v, v
			}
		}
	case *image.Gray16:
		return func(dst []byte, y int) {
			src := m.Pix[m.PixOffset(left, y):][:2*w]
			for x := range w {
				v := src[2*x]
				dst[3*x], dst[3*x+1], dst[3*x+2] = v, v, v
			}
		}
	case *image.Paletted:
		var table [256][3]byte // the indices that the palette lacks are black
		for i, c := range m.Palette[:min(256, len(m.Palette))] {
			table[i] = rgb(c)
		}
		return func(dst []byte, y int) {
			for x, v := range m.Pix[m.PixOffset(left, y):][:w] {
				copy(dst[3*x:3*x+3], table[v][:])
			}
		}
	case *image.YCbCr:
		return func(dst []byte, y int) {
			for x := range w {
				c := m.COffset(left+x, y)
				dst[3*x], dst[3*x+1], dst[3*x+2] = color.YCbCrToRGB(m.Y[m.YOffset(left+x, y)], m.Cb[c], m.Cr[c])
			}
		}
	case *image.CMYK:
		return func(dst []byte, y int) {
			src := m.Pix[m.PixOffset(left, y):][:4*w]
			for x := range w {
				s := src[4*x : 4*x+4]
				copy(dst[3*x:3*x+3], ink(s[0], s[1], s[2], s[3]))
			}
		}
	default:
		return func(dst []byte, y int) {
			for x := range w {
				c := rgb(img.At(left+x, y))
				copy(dst[3*x:3*x+3], c[:])
			}
		}
	}
}

// rgb is what RGB makes of one color, whatever the image's type.
func rgb(c color.Color) [3]byte {
	switch c := c.(type) {
	case color.RGBA:
		return [3]byte{premultiplied(c.R, c.A), premultiplied(c.G, c.A), premultiplied(c.B, c.A)}
	case color.NRGBA:
		return [3]byte{over(c.R, c.A), over(c.G, c.A), over(c.B, c.A)}
	case color.NRGBA64:
		a := byte(c.A >> 8)
		return [3]byte{over(byte(c.R>>8), a), over(byte(c.G>>8), a), over(byte(c.B>>8), a)}
	case color.YCbCr:
		r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
		return [3]byte{r, g, b}
	case color.NYCbCrA:
		r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
		return [3]byte{over(r, c.A), over(g, c.A), over(b, c.A)}
	case color.CMYK:
		return [3]byte(ink(c.C, c.M, c.Y, c.K))
	case nil: // of an empty palette
		return [3]byte{}
	}
	r, g, b, a := c.RGBA()
	white := 0xffff - min(a, 0xffff)
	part := func(v uint32) byte { return byte(min(v+white, 0xffff) >> 8) }
	return [3]byte{part(r), part(g), part(b)}
}

// over lays v with the opacity a over white, rounded to the nearest.
func over(v, a byte) byte {
	return byte((uint32(v)*uint32(a) + 255*(255-uint32(a)) + 127) / 255)
}

// premultiplied lays v, which the opacity a has been multiplied into, over white.
func premultiplied(v, a byte) byte {
	return byte(min(uint32(v)+255-uint32(a), 255))
}

// ink is the color of three inks and black on white paper.
func ink(c, m, y, k byte) []byte {
	light := 255 - uint32(k)
	left := func(v byte) byte { return byte(((255-uint32(v))*light + 127) / 255) }
	return []byte{left(c), left(m), left(y)}
}
