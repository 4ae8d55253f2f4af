package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"io"
	"time"

	"github.com/gogemma/gemma4/internal/pixel"
)

// A gifFile is where the images of a GIF are. Package image/gif decodes them, one at a time, so that a file of many never is in memory at
// once.
type gifFile struct {
	width, height int
	head          []byte // up to the end of the global palette
	frames        []gifFrame
}

type gifFrame struct {
	control     []byte // the extension before it, or nil
	body        []byte // descriptor, palette and data
	at          image.Rectangle
	delay       time.Duration
	disposal    disposal
	transparent bool
}

var errGIF = errors.New("a block that is none")

// parseGIF finds the images of a GIF, up to most of them. A file that ends, or stops making sense, after its first image has those before.
func parseGIF(data []byte, most int) (*gifFile, error) {
	if len(data) < 13 {
		return nil, io.ErrUnexpectedEOF
	}
	g := &gifFile{width: int(binary.LittleEndian.Uint16(data[6:])), height: int(binary.LittleEndian.Uint16(data[8:]))}
	at := 13 + palette(data[10])
	if at > len(data) {
		return nil, io.ErrUnexpectedEOF
	}
	g.head = data[:at]
	var control []byte
	for {
		next, err := g.block(data, at, &control)
		if err == io.EOF || err != nil && len(g.frames) > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		at = next
		if len(g.frames) == most {
			break
		}
	}
	if len(g.frames) == 0 {
		return nil, errors.New("no image")
	}
	return g, nil
}

// block reads the block at a place and returns the next one's; io.EOF at the file's end mark.
func (g *gifFile) block(data []byte, at int, control *[]byte) (next int, err error) {
	if at >= len(data) {
		return 0, io.ErrUnexpectedEOF
	}
	begin := at
	switch data[at] {
	case ';':
		return 0, io.EOF
	case '!':
		if at+2 > len(data) {
			return 0, io.ErrUnexpectedEOF
		}
		if next, err = subBlocks(data, at+2); err == nil && data[at+1] == 0xf9 && next-at == 8 {
			*control = data[at:next]
		}
		return next, err
	case ',':
		if at+10 > len(data) {
			return 0, io.ErrUnexpectedEOF
		}
		u16 := func(i int) int { return int(binary.LittleEndian.Uint16(data[at+i:])) }
		f := gifFrame{control: *control, at: image.Rect(0, 0, u16(5), u16(7)).Add(image.Pt(u16(1), u16(3)))}
		if next, err = subBlocks(data, at+10+palette(data[at+9])+1); err != nil {
			return 0, err
		}
		if f.at.Empty() || !f.at.In(image.Rect(0, 0, g.width, g.height)) {
			return 0, fmt.Errorf("image %d covers %v of %d×%d pixels", len(g.frames), f.at, g.width, g.height)
		}
		f.body = data[begin:next]
		delay := 0
		if c := f.control; c != nil {
			delay = int(binary.LittleEndian.Uint16(c[4:]))
			f.transparent = c[3]&1 != 0
			switch c[3] >> 2 & 7 {
			case 2:
				f.disposal = cleared
			case 3:
				f.disposal = restored
			}
		}
		f.delay = time.Duration(delay) * 10 * time.Millisecond
		g.frames, *control = append(g.frames, f), nil
		return next, nil
	}
	return 0, errGIF
}

// palette is how many bytes of colors follow those flags.
func palette(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (1 + flags&7)
}

// subBlocks returns what follows the blocks at a place.
func subBlocks(data []byte, at int) (next int, err error) {
	for at < len(data) {
		n := int(data[at])
		at += 1 + n
		if n == 0 {
			return at, nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// shown is how long viewers show an image: those that ask for 10 ms or less get 100, as in browsers.
func shown(d time.Duration) time.Duration {
	if d <= 10*time.Millisecond {
		return 100 * time.Millisecond
	}
	return d
}

// decode returns an image's pixels, those of its own rectangle.
func (g *gifFile) decode(f gifFrame) (*image.NRGBA, error) {
	alone := io.MultiReader(bytes.NewReader(g.head), bytes.NewReader(f.control), bytes.NewReader(f.body), bytes.NewReader([]byte{';'}))
	m, err := gif.Decode(alone)
	if err != nil {
		return nil, err
	}
	p, ok := m.(*image.Paletted)
	if !ok || p.Rect.Size() != f.at.Size() {
		return nil, errors.New("an image of another size")
	}
	var colors [256][4]byte
	for i, c := range p.Palette[:min(len(p.Palette), 256)] {
		if r, g, b, a := c.RGBA(); a != 0 {
			colors[i] = [4]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8), 255}
		}
	}
	out := image.NewNRGBA(image.Rect(0, 0, f.at.Dx(), f.at.Dy()))
	for i, v := range p.Pix[:len(out.Pix)/4] { // gif.Decode allocates the rectangle, without room between rows
		copy(out.Pix[4*i:], colors[v][:])
	}
	return out, nil
}

// animate returns the frames of the file, each with what came before it.
func (g *gifFile) animate() *animation {
	a := &animation{canvas: image.NewNRGBA(image.Rect(0, 0, g.width, g.height))}
	for _, f := range g.frames {
		a.pieces = append(a.pieces, piece{at: f.at, covers: !f.transparent, disposal: f.disposal,
			decode: func() (*image.NRGBA, error) { return g.decode(f) }})
	}
	return a
}

func gifConfig(data []byte) (image.Config, error) {
	return gif.DecodeConfig(bytes.NewReader(data))
}

func firstGIF(data []byte, _ Options) (*pixel.Image, error) {
	g, err := parseGIF(data, 1)
	if err != nil {
		return nil, err
	}
	return g.animate().frame(0)
}

// gifClip returns a GIF's frames.
func gifClip(name string, data []byte, o Options) (*Clip, error) {
	g, err := parseGIF(data, o.frames()+1)
	if err != nil {
		return nil, undecoded(name, "GIF", err)
	}
	if err := tooLarge(name, g.width, g.height, o); err != nil {
		return nil, err
	}
	var delays []time.Duration
	for _, f := range g.frames {
		delays = append(delays, shown(f.delay))
	}
	return animatedClip(name, "GIF", g.animate(), delays, o)
}

// animatedClip is the clip of an animation whose frames are shown so long.
func animatedClip(name, format string, a *animation, delays []time.Duration, o Options) (*Clip, error) {
	c := &Clip{Format: format, Width: a.canvas.Rect.Dx(), Height: a.canvas.Rect.Dy()}
	if err := tooMany(name, len(a.pieces), o); err != nil {
		return nil, err
	}
	area := 0
	for i, p := range a.pieces {
		if area += p.at.Dx() * p.at.Dy(); area/composeLimit > o.pixels() {
			const text = "%d frames are %w in sum: the limit is %d × %d pixels"
			return nil, failed(name, text, len(a.pieces), ErrTooLarge, composeLimit, o.pixels())
		}
		c.Frames = append(c.Frames, Frame{Index: i, Time: c.Duration, Image: func() (image.Image, error) {
			m, err := a.frame(i)
			if err != nil {
				return nil, undecoded(name, fmt.Sprintf("frame %d of %s", i, format), err)
			}
			return m, nil
		}})
		c.Duration += delays[i]
	}
	return c, nil
}
