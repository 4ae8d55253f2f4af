package pixel

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"testing"
)

// images are one of each type of package image, of 13×11 random pixels at (-3, 5), and parts of them with odd corners.
func images() map[string]image.Image {
	r := rand.New(rand.NewPCG(1, 2))
	fill := func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint32())
			if r.IntN(8) == 0 {
				b[i] = 255 * (b[i] & 1)
			}
		}
	}
	at := image.Rect(-3, 5, 10, 16)
	all := map[string]image.Image{}
	rgba := image.NewRGBA(at)
	fill(rgba.Pix)
	for i := 0; i < len(rgba.Pix); i += 4 { // as it must be: no color brighter than its opacity
		for j := range 3 {
			rgba.Pix[i+j] = min(rgba.Pix[i+j], rgba.Pix[i+3])
		}
	}
	all["RGBA"] = rgba
	rgba64 := image.NewRGBA64(at)
	fill(rgba64.Pix)
	for y := at.Min.Y; y < at.Max.Y; y++ {
		for x := at.Min.X; x < at.Max.X; x++ {
			c := rgba64.RGBA64At(x, y)
			rgba64.SetRGBA64(x, y, color.RGBA64{R: min(c.R, c.A), G: min(c.G, c.A), B: min(c.B, c.A), A: c.A})
		}
	}
	all["RGBA64"] = rgba64
	nrgba, nrgba64, alpha, alpha16 := image.NewNRGBA(at), image.NewNRGBA64(at), image.NewAlpha(at), image.NewAlpha16(at)
	gray, gray16, cmyk := image.NewGray(at), image.NewGray16(at), image.NewCMYK(at)
	for _, p := range [][]byte{nrgba.Pix, nrgba64.Pix, alpha.Pix, alpha16.Pix, gray.Pix, gray16.Pix, cmyk.Pix} {
		fill(p)
	}
	all["NRGBA"], all["NRGBA64"], all["Alpha"], all["Alpha16"] = nrgba, nrgba64, alpha, alpha16
	all["Gray"], all["Gray16"], all["CMYK"] = gray, gray16, cmyk
	palette := color.Palette{color.RGBA{1, 2, 3, 255}, color.NRGBA{200, 100, 50, 77}, color.Gray{9}, color.CMYK{9, 99, 199, 50},
		color.Transparent}
	paletted := image.NewPaletted(at, palette)
	for i := range paletted.Pix {
		paletted.Pix[i] = byte(r.IntN(len(palette)))
	}
	all["Paletted"] = paletted
	for ratio := image.YCbCrSubsampleRatio444; ratio <= image.YCbCrSubsampleRatio410; ratio++ {
		m, n := image.NewYCbCr(at, ratio), image.NewNYCbCrA(at, ratio)
		for _, p := range [][]byte{m.Y, m.Cb, m.Cr, n.Y, n.Cb, n.Cr, n.A} {
			fill(p)
		}
		all[fmt.Sprint("YCbCr ", ratio)], all[fmt.Sprint("NYCbCrA ", ratio)] = m, n
	}
	packed := New(13, 11)
	fill(packed.Pix)
	all["packed"] = packed
	for name, m := range all {
		if m, ok := m.(interface {
			SubImage(image.Rectangle) image.Image
		}); ok {
			all[name+", a part"] = m.SubImage(image.Rect(-2, 6, 9, 13))
			all[name+", a pixel"] = m.SubImage(image.Rect(7, 9, 8, 10))
		}
	}
	return all
}

func TestEachTypeOfImageIsWhatItsColorsAre(t *testing.T) {
	for name, m := range images() {
		w, h, got, err := RGB(m)
		b := m.Bounds()
		if err != nil || w != b.Dx() || h != b.Dy() || len(got) != 3*w*h {
			t.Fatalf("%s: %d×%d, %d bytes, %v", name, w, h, len(got), err)
		}
		for y := range h {
			for x := range w {
				c := m.At(b.Min.X+x, b.Min.Y+y)
				is := [3]byte(got[3*(y*w+x):])
				if want := rgb(c); is != want {
					t.Fatalf("%s at %d, %d: %v, %#v alone is %v", name, x, y, is, c, want)
				}
				// But for rounding it is what the color says by itself: a sum of light, over white. Of 16 bits both factors are cut, and
				// luma and chroma with an opacity become 16 bits otherwise than 8.
				bound := 1.01
				switch c.(type) {
				case color.NRGBA64, color.NYCbCrA:
					bound = 2.01
				}
				r, g, b, a := c.RGBA()
				for i, v := range []uint32{r, g, b} {
					if exact := float64(v+0xffff-a) / 257; math.Abs(exact-float64(is[i])) > bound {
						t.Fatalf("%s at %d, %d: %v of %#v; part %d is %.2f", name, x, y, is, c, i, exact)
					}
				}
			}
		}
	}
}

func TestValuesOf16BitsAreScaledAndWhiteStaysWhite(t *testing.T) {
	for v, want := range map[uint16]byte{0: 0, 0xff: 0, 0x100: 1, 0x7fff: 127, 0xffff: 255} {
		m := image.NewGray16(image.Rect(0, 0, 1, 1))
		m.SetGray16(0, 0, color.Gray16{v})
		if _, _, got, _ := RGB(m); got[0] != want {
			t.Errorf("%#x is %d, not %d", v, got[0], want)
		}
	}
	at := image.Rect(0, 0, 2, 1)
	for _, m := range []image.Image{image.NewNRGBA(at), image.NewRGBA(at), image.NewNRGBA64(at), image.NewRGBA64(at), image.NewAlpha(at)} {
		if _, _, got, _ := RGB(m); !bytes.Equal(got, bytes.Repeat([]byte{255}, 6)) {
			t.Errorf("a transparent %T is %v", m, got)
		}
	}
}

func TestImagesWithoutPixelsOrWithoutEndAreErrors(t *testing.T) {
	for _, m := range []image.Image{nil, image.NewUniform(color.White), image.NewRGBA(image.Rectangle{}), New(0, 5),
		&image.Gray{Rect: image.Rect(0, 0, 1<<15, 1<<15)}} {
		if _, _, _, err := RGB(m); err == nil {
			t.Errorf("%T has pixels", m)
		}
	}
}

func TestTurnIsWhatEXIFSays(t *testing.T) {
	m := &Image{Width: 3, Height: 2, Pix: bytes.Repeat([]byte("abcdef"), 3)}
	for i := range m.Pix {
		m.Pix[i] = "abcdef"[i/3]
	}
	seen := []string{"abc/def", "abc/def", "cba/fed", "fed/cba", "def/abc", "ad/be/cf", "da/eb/fc", "fc/eb/da", "cf/be/ad", "abc/def"}
	for orientation, want := range seen {
		turned := m.Turn(orientation)
		var got string
		for y := range turned.Height {
			if y > 0 {
				got += "/"
			}
			for x := range turned.Width {
				got += string(rune(turned.At(x, y).(color.RGBA).G))
			}
		}
		if got != want {
			t.Errorf("orientation %d: %s, want %s", orientation, got, want)
		}
	}
}

func TestAnImageIsDrawnAsItIs(t *testing.T) {
	m := images()["packed"].(*Image)
	drawn := image.NewRGBA(m.Bounds())
	draw.Draw(drawn, drawn.Rect, m, image.Point{}, draw.Src)
	_, _, got, err := RGB(drawn)
	if err != nil || !bytes.Equal(got, m.Pix) || !m.Opaque() || m.At(-1, 0) != (color.RGBA{}) || m.RGBA64At(0, 11) != (color.RGBA64{}) {
		t.Error(err)
	}
}

func BenchmarkRGB(b *testing.B) {
	at := image.Rect(0, 0, 1024, 1024)
	for _, m := range []image.Image{image.NewYCbCr(at, image.YCbCrSubsampleRatio420), image.NewRGBA(at), image.NewNRGBA(at),
		image.NewGray(at), image.NewPaletted(at, color.Palette{color.White}), image.NewCMYK(at), image.NewNRGBA64(at)} {
		b.Run(fmt.Sprintf("%T", m)[7:], func(b *testing.B) {
			b.SetBytes(3 << 20)
			for b.Loop() {
				if _, _, _, err := RGB(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
