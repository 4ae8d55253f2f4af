package model

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Pixels are a picture: red, green and blue of each pixel, row by row from the top, three bytes a pixel.
type Pixels struct {
	Width, Height int    // in pixels
	RGB           []byte // [height, width, 3]
}

// Budgets are how many soft tokens a picture may have at most, as the maker trained it. Frames of a video have the first.
var Budgets = [...]int{70, 140, 280, 560, 1120}

// Fit returns the largest size of nearly the same aspect as w by h whose sides are multiples of side, the side of the square that a token
// stands for (48), and that has at most tokens of these squares, one of Budgets. Small pictures are enlarged.
func Fit(w, h, tokens, side int) (tw, th int, err error) {
	switch {
	case !slices.Contains(Budgets[:], tokens):
		return 0, 0, fmt.Errorf("model: a budget of %d tokens for a picture, expected one of %d", tokens, Budgets)
	case w < 1 || h < 1:
		return 0, 0, fmt.Errorf("model: a picture of %d by %d pixels, expected at least one", w, h)
	case side < 1:
		return 0, 0, fmt.Errorf("model: tokens of %d by %[1]d pixels, expected at least one", side)
	}
	f := math.Sqrt(float64(tokens*side*side) / (float64(w) * float64(h)))
	tw, th = int(f*float64(w)/float64(side))*side, int(f*float64(h)/float64(side))*side
	switch {
	case tw == 0 && th == 0:
		return 0, 0, fmt.Errorf("model: a picture of %d by %d pixels is too small", w, h)
	case th == 0:
		tw, th = min(w/h, tokens)*side, side
	case tw == 0:
		tw, th = side, min(h/w, tokens)*side
	}
	return tw, th, nil
}

// check returns an error unless there are as many bytes as the size asks for.
func (p Pixels) check() error {
	if p.Width < 1 || p.Height < 1 || p.Width > math.MaxInt/3/p.Height || len(p.RGB) != 3*p.Width*p.Height {
		return fmt.Errorf("model: a picture of %d by %d pixels in %d bytes, expected 3 for each", p.Width, p.Height, len(p.RGB))
	}
	return nil
}

// Resize returns the picture in another size as Pillow's bicubic filter makes it, to the byte: the kernel (a = −0.5) is widened when
// shrinking, rows are resized before columns, weights are whole multiples of 2⁻²², and each of the two passes rounds to 8 bits and clamps.
// It works on all processors. The picture must be whole: 3 bytes for each pixel.
func (p Pixels) Resize(tw, th int) Pixels {
	if tw == p.Width && th == p.Height {
		return p
	}
	out := Pixels{tw, th, make([]byte, 3*tw*th)}
	across, down := newTaps(p.Width, tw), newTaps(p.Height, th)
	height := min(max(1, bandBytes/(3*tw*max(1, p.Height/th))), bandRows)
	bands := (th + height - 1) / height
	var next atomic.Int32
	work := func() {
		var rows []byte
		for {
			b := int(next.Add(1)) - 1
			if b >= bands {
				return
			}
			rows = p.band(out, across, down, rows, b*height, min(th, (b+1)*height))
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), bands) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	return out
}

// A band is some rows of a resized picture that are made at a time. What they need of the other picture is all that is kept between the
// passes, however high that is: few rows make a band where that would be much.
const (
	bandRows  = 16
	bandBytes = 4 << 20
)

// band makes rows from to to-1 of a resized picture. It returns its buffer, for the next one.
func (p Pixels) band(out Pixels, across, down []tap, rows []byte, from, to int) []byte {
	size, first, last := 3*out.Width, down[from].first, 0
	for _, t := range down[from:to] {
		last = max(last, t.first+len(t.weights))
	}
	rows = slices.Grow(rows[:0], (last-first)*size)[:(last-first)*size]
	for y := first; y < last; y++ {
		dst, src := rows[(y-first)*size:(y-first+1)*size], p.RGB[3*y*p.Width:3*(y+1)*p.Width]
		if out.Width == p.Width {
			copy(dst, src)
		} else {
			resizeRow(dst, src, across)
		}
	}
	sums := make([]int32, size)
	for y, t := range down[from:to] {
		dst := out.RGB[(from+y)*size:][:size]
		if out.Height == p.Height {
			copy(dst, rows[(t.first-first)*size:])
			continue
		}
		for i := range sums {
			sums[i] = half
		}
		for k, w := range t.weights {
			for i, v := range rows[(t.first-first+k)*size:][:size] {
				sums[i] += w * int32(v)
			}
		}
		for i, s := range sums {
			dst[i] = clip8(s)
		}
	}
	return rows
}

// resizeRow makes one row of pixels of another.
func resizeRow(dst, src []byte, taps []tap) {
	for i, t := range taps {
		r, g, b := int32(half), int32(half), int32(half)
		x := src[3*t.first:][:3*len(t.weights)]
		for _, w := range t.weights {
			r += w * int32(x[0])
			g += w * int32(x[1])
			b += w * int32(x[2])
			x = x[3:]
		}
		dst[3*i], dst[3*i+1], dst[3*i+2] = clip8(r), clip8(g), clip8(b)
	}
}

// Weights are multiples of 1/one. Their sums stay within 32 bits: those of a bicubic kernel's magnitudes are below 1.3.
const (
	weightBits = 22
	one        = 1 << weightBits
	half       = one / 2
)

func clip8(sum int32) byte { return byte(min(max(sum>>weightBits, 0), 255)) }

// tap says of which numbers a resized one is made.
type tap struct {
	first   int
	weights []int32
}

// newTaps returns the taps that make m numbers of n.
func newTaps(n, m int) []tap {
	taps := make([]tap, m)
	scale := float64(n) / float64(m)
	wide := max(scale, 1)
	var w []float64
	for i := range taps {
		centre := (float64(i) + 0.5) * scale
		reach := 2 * wide
		first, end := max(0, int(float64(centre-reach)+0.5)), min(n, int(float64(centre+reach)+0.5))
		w = w[:0]
		sum := 0.0
		for j := first; j < end; j++ {
			w = append(w, bicubic(float64(float64(float64(j)-centre)+0.5)/wide))
			sum += w[j-first]
		}
		t := tap{first, make([]int32, len(w))}
		for j, v := range w {
			t.weights[j] = int32(float64(v/sum*one) + math.Copysign(0.5, v))
		}
		taps[i] = t
	}
	return taps
}

// bicubic is the kernel of cubic convolution with a = −0.5. Conversions keep processors from fusing a product with a sum, which rounds in
// another way.
func bicubic(x float64) float64 {
	switch x = math.Abs(x); {
	case x < 1:
		return float64(float64(float64(float64(1.5*x)-2.5)*x)*x) + 1
	case x < 2:
		return float64(float64(float64(float64(-0.5*x)+2.5)*x-4)*x) + 2
	}
	return 0
}
