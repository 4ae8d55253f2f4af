package media

import (
	"image"
	"sync"

	"github.com/gogemma/gemma4/internal/pixel"
)

// A piece is one image of an animation: what it covers of the canvas, and what becomes of that before the next.
type piece struct {
	at       image.Rectangle
	covers   bool            // all of at becomes what the piece has, transparent or not; otherwise it is laid over what is there
	fresh    image.Rectangle // where nothing is below, so that what the piece has is kept as it is
	disposal disposal
	decode   func() (*image.NRGBA, error) // of at's size
}

type disposal byte

const (
	stays    disposal = iota
	cleared           // to transparent
	restored          // to what was there before
)

// An animation composes its pieces, one after the other, on a canvas that is transparent in the beginning.
type animation struct {
	pieces []piece

	mu     sync.Mutex
	canvas *image.NRGBA
	next   int          // the piece that is laid next; the canvas still has the one before
	saved  *image.NRGBA // what was below that one, where it is restored
}

// composeLimit is how many times the limit of a picture's pixels an animation may have in all of its pieces: its last frame needs the
// others.
const composeLimit = 100

// frame returns what is seen while piece i is the last one laid. Going forward costs the pieces between, going back those from the start.
func (a *animation) frame(i int) (*pixel.Image, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	begin := a.next
	if i+1 < a.next {
		begin = 0
	}
	for k := i; k > begin; k-- { // nothing before a piece that covers all is seen again
		if p := a.pieces[k]; p.covers && p.disposal != restored && a.canvas.Rect.In(p.at) {
			begin = k
		}
	}
	if begin != a.next {
		clear(a.canvas.Pix)
		a.next, a.saved = begin, nil
		if begin > 0 {
			a.next = -begin // there is no piece before it to be disposed of
		}
	}
	for a.next <= i {
		if err := a.lay(); err != nil {
			clear(a.canvas.Pix)
			a.next, a.saved = 0, nil
			return nil, err
		}
	}
	w, h, rgb, err := pixel.RGB(a.canvas)
	return &pixel.Image{Width: w, Height: h, Pix: rgb}, err
}

// lay disposes of the piece before and lays the next one.
func (a *animation) lay() error {
	if a.next < 0 {
		a.next = -a.next
	} else if a.next > 0 {
		switch before := a.pieces[a.next-1]; before.disposal {
		case cleared:
			a.rows(before.at, func(row []byte, _ int) { clear(row) })
		case restored:
			a.rows(before.at, func(row []byte, y int) { copy(row, a.saved.Pix[y*a.saved.Stride:]) })
		}
	}
	p := a.pieces[a.next]
	m, err := p.decode()
	if err != nil {
		return err
	}
	if p.disposal == restored {
		a.saved = image.NewNRGBA(image.Rect(0, 0, p.at.Dx(), p.at.Dy()))
		a.rows(p.at, func(row []byte, y int) { copy(a.saved.Pix[y*a.saved.Stride:], row) })
	}
	a.rows(p.at, func(row []byte, y int) {
		src := m.Pix[y*m.Stride:][:len(row)]
		if p.covers {
			copy(row, src)
			return
		}
		for i := 0; i < len(row); i += 4 {
			if p.at.Min.Add(image.Pt(i/4, y)).In(p.fresh) {
				copy(row[i:i+4], src[i:i+4])
				continue
			}
			blend(row[i:i+4:i+4], src[i:i+4:i+4])
		}
	})
	a.next++
	return nil
}

// rows calls f with each row of the canvas within at, and its number there.
func (a *animation) rows(at image.Rectangle, f func(row []byte, y int)) {
	for y := range at.Dy() {
		f(a.canvas.Pix[a.canvas.PixOffset(at.Min.X, at.Min.Y+y):][:4*at.Dx()], y)
	}
}

// blend lays the color src, whose opacity has not been multiplied into it, over dst, with the integers of WebP's own library.
func blend(dst, src []byte) {
	switch src[3] {
	case 0:
		return
	case 255:
		copy(dst, src)
		return
	}
	over := uint32(src[3])
	under := uint32(dst[3]) * (256 - over) >> 8
	opacity := over + under
	scale := uint32(1<<24) / opacity
	for i := range 3 {
		dst[i] = byte((uint32(src[i])*over + uint32(dst[i])*under) * scale >> 24)
	}
	dst[3] = byte(opacity)
}
