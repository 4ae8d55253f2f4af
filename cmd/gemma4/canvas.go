package main

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// canvas is a copy of a picture that is painted on. A nil one takes no paint.
type canvas struct {
	*image.RGBA
	thick  int                   // of lines, in pixels
	colors map[string]color.RGBA // by label
}

// paints are seen on most pictures, and told apart.
var paints = []color.RGBA{
	{230, 25, 75, 255}, {0, 130, 200, 255}, {60, 180, 75, 255}, {245, 130, 48, 255}, {145, 30, 180, 255}, {0, 128, 128, 255},
	{240, 50, 230, 255}, {128, 0, 0, 255},
}

func newCanvas(m image.Image) *canvas {
	b := m.Bounds()
	c := &canvas{image.NewRGBA(b), max(2, min(b.Dx(), b.Dy())/200), map[string]color.RGBA{}}
	draw.Draw(c, b, m, b.Min, draw.Src)
	return c
}

// color returns that of a label: the next one, unless it has one.
func (c *canvas) color(label string) color.RGBA {
	paint, ok := c.colors[label]
	if !ok {
		paint = paints[len(c.colors)%len(paints)]
		c.colors[label] = paint
	}
	return paint
}

// box paints a frame, just inside of a rectangle.
func (c *canvas) box(r image.Rectangle, label string) {
	if c == nil {
		return
	}
	paint := image.NewUniform(c.color(label))
	inner := r.Inset(c.thick)
	if inner.Empty() {
		draw.Draw(c, r, paint, image.Point{}, draw.Src)
	} else {
		for _, side := range []image.Rectangle{
			{r.Min, image.Pt(r.Max.X, inner.Min.Y)}, {image.Pt(r.Min.X, inner.Max.Y), r.Max},
			{r.Min, image.Pt(inner.Min.X, r.Max.Y)}, {image.Pt(inner.Max.X, r.Min.Y), r.Max},
		} {
			draw.Draw(c, side, paint, image.Point{}, draw.Src)
		}
	}
	c.label(r.Min, label)
}

// point paints a disc.
func (c *canvas) point(at image.Point, label string) {
	if c == nil {
		return
	}
	paint, radius := c.color(label), 2*c.thick
	for y := -radius; y <= radius; y++ {
		for x := -radius; x <= radius; x++ {
			if x*x+y*y <= radius*radius {
				c.SetRGBA(at.X+x, at.Y+y, paint)
			}
		}
	}
	c.label(at.Add(image.Pt(radius, radius)), label)
}

// label writes a label, white on its color, within the picture.
func (c *canvas) label(at image.Point, text string) {
	face := basicfont.Face7x13
	size := image.Pt(font.MeasureString(face, text).Ceil()+4, face.Height+2)
	at.X = max(c.Rect.Min.X, min(at.X, c.Rect.Max.X-size.X))
	at.Y = max(c.Rect.Min.Y, min(at.Y, c.Rect.Max.Y-size.Y))
	draw.Draw(c, image.Rectangle{at, at.Add(size)}, image.NewUniform(c.color(text)), image.Point{}, draw.Src)
	d := font.Drawer{Dst: c, Src: image.White, Face: face, Dot: fixed.P(at.X+2, at.Y+1+face.Ascent)}
	d.DrawString(text)
}

func (c *canvas) write(w io.Writer) error { return png.Encode(w, c.RGBA) }
