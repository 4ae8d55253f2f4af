package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// rowCase is a product of weights with activations, in memory that ends, or begins, where nothing may be touched.
type rowCase struct {
	format       tensor.Format
	rows, cols   int
	n            int
	w            []byte
	x            []float32
	q            []tensor.Q8
	got          []float32
	stride, size int
}

func newRowCase(t *testing.T, f tensor.Format, rows, blocks, n int, atEnd bool) *rowCase {
	c := &rowCase{format: f, rows: rows, cols: blocks * f.BlockLen(), n: n, stride: rows + 1}
	c.size = f.RowBytes(c.cols)
	c.w = kerneltest.Guarded[byte](t, rows*c.size, atEnd)
	c.x = kerneltest.Guarded[float32](t, n*c.cols, atEnd)
	c.q = kerneltest.Guarded[tensor.Q8](t, n*tensor.Q8Len(c.cols), atEnd)
	c.got = kerneltest.Guarded[float32](t, (n-1)*c.stride+rows, atEnd)
	return c
}

// check runs the kernel and compares it with plain Go.
func (c *rowCase) check(t *testing.T, what string, k *tensor.Kernels) {
	t.Helper()
	units := tensor.Q8Len(c.cols)
	for i := range c.n {
		tensor.Portable().Quantize(c.q[i*units:(i+1)*units], c.x[i*c.cols:(i+1)*c.cols])
	}
	want := make([]float32, len(c.got))
	k.Rows[c.format](c.got, c.stride, c.w, c.size, c.rows, c.q, units, c.n)
	inOrder(k.Name, c.format)(want, c.stride, c.w, c.size, c.rows, c.q, units, c.n)
	sameRows(t, what+": "+shape(c.format, c.rows, c.cols, c.n), c.got, want, c.stride, c.rows, c.n)
}

// TestRowKernelEdgesOfARM: no byte around the arguments is touched, extreme weights and activations do not overflow, and what is
// not finite stays so.
func TestRowKernelEdgesOfARM(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(7, 9))
		for _, f := range tensor.Formats() {
			if k.Rows[f] == nil {
				continue
			}
			for length := 1; length <= 5; length++ {
				for n := 1; n <= 5; n++ {
					c := newRowCase(t, f, 1+r.IntN(3), length, n, (length+n)%2 == 0)
					copy(c.x, kerneltest.Gaussian(r, len(c.x)))
					copy(c.w, kerneltest.Blocks(r, f, c.rows, c.cols))
					c.check(t, "random", k)
				}
				c := newRowCase(t, f, 2, length, 2, true)
				for _, weight := range []byte{0, 0xFF, 0x80, 0x7F, 0x08, 0xF0, 0x0F, 0x77} {
					for i := range c.w {
						c.w[i] = weight
					}
					kerneltest.Tame(f, c.w, r)
					for _, sign := range []int{1, -1} {
						for i := range c.x {
							c.x[i] = 2
							if i >= c.cols && i%2 == 0 {
								c.x[i] *= float32(sign)
							}
						}
						c.check(t, fmt.Sprintf("all %#x", weight), k)
					}
				}
				// One token with a NaN; one row with an infinite scale, or in MXFP4 the greatest and the least.
				copy(c.w, kerneltest.Blocks(r, f, c.rows, c.cols))
				copy(c.x, kerneltest.Gaussian(r, len(c.x)))
				c.x[c.cols-1] = float32(math.NaN())
				c.check(t, "NaN", k)
				if f == tensor.MXFP4 {
					for _, e := range []byte{0, 1, 2, 3, 255} {
						for i := 0; i < len(c.w); i += f.BlockBytes() {
							c.w[i] = e
						}
						for i := range c.x {
							c.x[i] = float32(math.Exp2(100 - 200*float64(e/255)))
						}
						c.check(t, fmt.Sprintf("scale %d", e), k)
					}
					continue
				}
				copy(c.x, kerneltest.Gaussian(r, len(c.x)))
				at := c.size - f.BlockBytes() // the last block of the first row
				switch f {
				case tensor.Q3_K, tensor.Q6_K, tensor.TQ1_0, tensor.TQ2_0:
					at += f.BlockBytes() - 2
				case tensor.Q2_K:
					at += 80
				}
				for _, half := range []uint16{0x7C00, 0xFC00, 0x7E00, 0, 0x8000, 1, 0x3FF, 0x7BFF} {
					c.w[at], c.w[at+1] = byte(half), byte(half>>8)
					c.check(t, fmt.Sprintf("scale %#x", half), k)
				}
			}
		}
	})
}

// TestDecodersOfARM: to the letter, whatever the bytes.
func TestDecodersOfARM(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(13, 9))
		for _, f := range tensor.Formats() {
			switch f {
			case tensor.F32, tensor.F16, tensor.BF16: // no weights of blocks
				continue
			case tensor.Q1_0, tensor.Q2_0, tensor.Q2_0_128: // in Go alone
				continue
			}
			if k.Decode[f] == nil {
				t.Errorf("%v has no decoder", f)
			}
			for _, count := range []int{0, 1, 2, 3, 4, 15, 16, 17, 19} {
				for try := range 16 {
					n := count * f.BlockLen()
					src := kerneltest.Guarded[byte](t, f.RowBytes(n), try%2 == 0)
					for i := range src { // scales are infinite or NaN now and then
						src[i] = []byte{0, 0xFF, byte(r.Uint32())}[min(try/2, 2)]
					}
					if try >= 8 {
						kerneltest.Tame(f, src, r)
					}
					if f == tensor.MXFP4 && len(src) > 0 {
						src[0] = byte(r.IntN(4) * 85)
					}
					if f == tensor.NVFP4 && len(src) > 0 {
						src[r.IntN(4)] = []byte{0x7F, 0x80, 0xFF, 7, 8}[r.IntN(5)]
					}
					got, want := kerneltest.Guarded[float32](t, n, try%2 == 0), make([]float32, n)
					k.DecodeRow(f, got, src)
					f.Decode(want, src)
					for i, v := range want {
						if !kerneltest.Alike(got[i], v) {
							t.Fatalf("%v, %d blocks: value %d is %g, want %g", f, count, i, got[i], v)
						}
					}
				}
			}
		}
	})
}

// TestUnitsStandForTheWeights: in plain Go, q·scale − min.
func TestUnitsStandForTheWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 9))
	for _, f := range unpacked {
		n := 4 * f.BlockLen()
		w, want := kerneltest.Blocks(r, f, 1, n), make([]float32, n)
		f.Decode(want, w)
		u := make([]unit, tensor.Q8Len(n))
		unpack(f, u, w)
		for i, v := range want {
			lane := i % 64 / 16
			if got := float32(float32(u[i/64].q[i%64])*u[i/64].scale[lane]) - u[i/64].min[lane]; got != v {
				t.Fatalf("%v: value %d is %g, want %g", f, i, got, v)
			}
		}
	}
}

// TestCodebooksHoldEveryIndex: the assembly looks up whatever a file says.
func TestCodebooksHoldEveryIndex(t *testing.T) {
	makeCodebooks()
	for _, c := range []struct {
		name    string
		weights []byte
		size    int
	}{
		{"IQ1", iq1Weights, 8 << 11}, {"IQ2_XXS", iq2xxsWeights, 8 << 8}, {"IQ2_XS", iq2xsWeights, 8 << 9},
		{"IQ2_S", iq2sWeights, 8 << 10}, {"IQ3_XXS", iq3xxsWeights, 4 << 8}, {"IQ3_S", iq3sWeights, 4 << 9},
	} {
		if len(c.weights) != c.size {
			t.Errorf("%s has %d weights, want %d", c.name, len(c.weights), c.size)
		}
	}
}

func TestFloatRowKernelEdgesOfARM(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(8, 9))
		for _, f := range []tensor.Format{tensor.F16, tensor.BF16} {
			for cols := 1; cols <= 50; cols++ {
				for n := 1; n <= 5; n++ {
					c := newRowCase(t, f, 1+r.IntN(3), cols, n, (cols+n)%2 == 0)
					copy(c.x, kerneltest.Gaussian(r, len(c.x)))
					copy(c.w, kerneltest.Blocks(r, f, c.rows, cols))
					odd := r.IntN(4) * r.IntN(cols)
					if odd > 0 && odd < cols { // an infinite weight in the last row
						at := len(c.w) - 2*(cols-odd)
						c.w[at], c.w[at+1] = 0x80, 0x7F
						if f == tensor.F16 {
							c.w[at], c.w[at+1] = 0, 0x7C
						}
					}
					k.FloatRows[f](c.got, c.stride, c.w, c.size, c.rows, c.x, cols, n)
					row := make([]float32, cols)
					for rr := range c.rows {
						f.Decode(row, c.w[rr*c.size:(rr+1)*c.size])
						for i := range n {
							want, scale := 0.0, 0.0
							for j, v := range row {
								p := float64(v) * float64(c.x[i*cols+j])
								want += p
								scale += math.Abs(p)
							}
							kerneltest.Within(t, fmt.Sprintf("%v, %d columns, row %d, token %d", f, cols, rr, i),
								float64(c.got[i*c.stride+rr]), want, (float64(cols)/16+8)*0x1p-24*scale)
						}
					}
				}
			}
		}
	})
}

func TestRowKernelsOfARMAllocateNothing(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		x, y, half := make([]float32, 333), make([]float32, 333), make([]byte, 666)
		q := make([]tensor.Q8, tensor.Q8Len(333))
		w := make([]byte, tensor.Q4_0.RowBytes(320))
		several, rows := make([]tensor.Q8, 9*5), make([]byte, 9*len(w))
		if n := testing.AllocsPerRun(10, func() {
			k.Rows[tensor.Q4_0](y, 9, rows, len(w), 9, several, 5, 9)
			k.DecodeRow(tensor.Q4_0, x[:320], w)
			k.Rows[tensor.Q4_0](y, 1, w, len(w), 1, q[:5], 5, 1)
			k.Rows[tensor.Q4_0](y, 1, nil, len(w), 0, q[:5], 5, 1)
			k.Rows[tensor.Q4_0](y, 1, w, len(w), 1, nil, 5, 0)
			k.FloatRows[tensor.F16](y, 1, half, 666, 1, x, 333, 1)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// multiplyPanels packs and multiplies rows with n tokens.
func multiplyPanels(t *testing.T, guards *[6][]byte, p *tensor.PanelKernels, f tensor.Format, w []byte, rows, cols int, x []float32,
	n int) []float32 {
	size := f.RowBytes(cols)
	packed := kerneltest.Place[byte](guards[0], p.XBytes(n, cols), true)
	for from := 0; from < n; from += 16 {
		p.PackX(packed, x, n, cols, from, min(from+16, n))
	}
	stride := rows + 3
	dst := kerneltest.Place[float32](guards[1], (n-1)*stride+rows, n%2 == 0)
	for i := range dst {
		dst[i] = -77
	}
	panel := kerneltest.Place[byte](guards[2], p.WBytes(cols), rows%2 == 0)
	for r := 0; r < rows; r += p.Height {
		m := min(p.Height, rows-r)
		for i := range panel { // what lay there before must not matter
			panel[i] = 0x55
		}
		if pack := p.PackW[f]; pack != nil {
			pack(panel, w[r*size:(r+m)*size], size, m, cols)
		} else {
			floats := kerneltest.Place[float32](guards[3], m*cols, m%2 == 0)
			f.Decode(floats, w[r*size:(r+m)*size])
			p.PackFloats(panel, floats, m, cols)
		}
		p.Multiply(dst[r:], stride, panel, m, packed, n, cols, nil)
	}
	for i := range n - 1 {
		for _, v := range dst[i*stride+rows : (i+1)*stride] {
			if v != -77 {
				t.Fatalf("%v: wrote behind %d rows", f, rows)
			}
		}
	}
	return dst
}

// goSpan is a span with what columns hold of it.
type goSpan struct {
	span
	sums [3]float32
	mid  float32
}

// spans does in plain Go what quantizeSpans does.
func spans(dst []goSpan, x []float32) {
	for i := range dst {
		var v [spanLen]float32
		copy(v[:], x[i*spanLen:])
		least, most := slices.Min(v[:]), slices.Max(v[:]) // or NaN
		s := goSpan{mid: tensor.FromBF16(tensor.ToBF16(least/2 + most/2))}
		top, inv := max(most-s.mid, s.mid-least), float32(0)
		switch {
		case math.IsInf(float64(top), 0) || top != top:
			s.scale = float32(math.NaN())
		case top >= 0x1p-100:
			s.scale, inv = top/127, 127/top
		}
		var sums [3]int
		for j, a := range v {
			if inv != 0 {
				s.q[j] = int8(math.RoundToEven(float64((a - s.mid) * inv)))
			}
			sums[j/32] += int(s.q[j])
		}
		for j, sum := range sums {
			s.sums[j] = s.scale * float32(sum)
		}
		dst[i] = s
	}
}

func TestSpansOfActivations(t *testing.T) {
	if !machine.Supports(machine.I8MM...) {
		t.Skip("no SMMLA or no BFMMLA")
	}
	r := rand.New(rand.NewPCG(13, 9))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for n := 1; n <= 700; n += 1 + n/8 {
		for try := range 40 {
			x := kerneltest.Fence{T: t, Front: try%2 == 1}.Floats(kerneltest.Gaussian(r, n))
			for i := range x {
				switch try {
				case 0: // lopsided
					x[i] = max(x[i], -0.1)
				case 1: // far from zero
					x[i] += 100
				case 2:
					x[i] *= 0x1p-101
				case 3:
					x[i] = 7
				case 4:
					x[i] *= 0x1p120
				}
			}
			if try >= 5 && try < 9 {
				x[r.IntN(n)] = []float32{nan, inf, -inf, 3e38}[try-5]
			}
			got, want := make([]goSpan, spansLen(n)), make([]goSpan, spansLen(n))
			var q [packSpans]span
			var c spanColumns
			quantizeSpans(q[:], &c, x)
			for i := range got {
				got[i] = goSpan{q[i], [3]float32{-c.sums[3*i], -c.sums[3*i+1], -c.sums[3*i+2]}, c.mids[2*i]}
				if a, b := c.mids[2*i], c.mids[2*i+1]; a != b && a == a {
					t.Fatalf("%d numbers, span %d: midranges %v", n, i, c.mids)
				}
			}
			spans(want, x)
			for i := range want {
				g, w := got[i], want[i]
				if w.scale != w.scale {
					if g.scale == g.scale || g.q != w.q {
						t.Fatalf("%d numbers, span %d: got %v, want %v", n, i, g, w)
					}
				} else if g != w {
					t.Fatalf("%d numbers, span %d: got %v, want %v", n, i, g, w)
				}
			}
		}
	}
}

// spanProduct multiplies a row, which the units stand for, with a token as spanPanels do, but for their roundings, and returns how far
// these may lead.
func spanProduct(f tensor.Format, row []float32, units []unit, x []goSpan) (product, bound float64) {
	shift, centre := finer(f)
	k, magnitude := kindOf(f), 0.0
	for i := range x {
		s := &x[i]
		var sum, scales float64
		for j := i * spanLen; j < min((i+1)*spanLen, len(row)); j++ {
			v, a, mid := float64(row[j]), float64(s.q[j%spanLen])*float64(s.scale), float64(s.mid)
			product += v * (a + mid)
			magnitude += math.Abs(v) * (math.Abs(a) + math.Abs(mid))
			sum += v
			u, lane := &units[j/64], j%64/16
			if j%16 == 0 && (k == groups || j%32 == 0) {
				scales += math.Abs(float64(u.scale[lane]))
			}
			if k == mins && j%32 == 0 {
				offset := float64(centre)*float64(u.scale[lane]) - float64(u.min[lane])
				p := math.Abs(offset * float64(s.sums[j%spanLen/32]))
				bound += 0x1p-7 * 1.01 * p // two numbers in BF16
				magnitude += 2 * p
			}
		}
		bound += 0x1p-16 * 1.01 * math.Abs(sum*float64(s.mid)) // two numbers in BF16 for the sum
		// The running sum is below 1.6·2²³ times all scales of the span, and rounded eight times at most.
		bound += 8 * 0.8 * scales * float64(s.scale) / float64(int(1)<<shift)
	}
	return product, bound + (float64(len(row))/16+14)*0x1p-23*magnitude
}

// TestPanelKernelsOfARM: the formats with an unpacker are multiplied as in rows, or with spans of activations; the others are rounded to
// 8 bits first. Any product has the same bits alone and in company.
func TestPanelKernelsOfARM(t *testing.T) {
	ref := tensor.PortableRows()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(10, 9))
		var guards [6][]byte
		for i := range guards {
			guards[i] = kerneltest.Pages(t, 1<<20)
		}
		for _, f := range tensor.Formats() {
			if k.Panels.PackW[f] == nil && f != tensor.Q2_K {
				continue
			}
			for _, c := range []struct{ rows, blocks, n int }{
				{1, 1, 1}, {2, 1, 2}, {3, 2, 3}, {4, 3, 4}, {5, 5, 5}, {7, 1, 8}, {9, 3, 9}, {16, 2, 16}, {17, 17, 17}, {33, 2, 18},
				{40, 1, 7}, {32, 1, 4}, {31, 2, 1},
			} {
				cols := c.blocks * f.BlockLen()
				size, units := f.RowBytes(cols), tensor.Q8Len(cols)
				w := kerneltest.Place[byte](guards[4], c.rows*size, true)
				copy(w, kerneltest.Blocks(r, f, c.rows, cols))
				x := kerneltest.Place[float32](guards[5], c.n*cols, true)
				copy(x, kerneltest.Gaussian(r, len(x)))
				if c.n == 18 { // extremes
					for i := range w {
						w[i] = []byte{0x80, 0x7F, 0xFF, 0}[i/size%4]
					}
					kerneltest.Tame(f, w, r)
					for i := range x {
						x[i] = float32(1 - 2*(i/cols%2))
					}
				}
				got := slices.Clone(multiplyPanels(t, &guards, k.Panels, f, w, c.rows, cols, x, c.n))

				xs, uw := make([]goSpan, spansLen(cols)), make([]unit, units)
				q, qw, row, act := make([]tensor.Q8, units), make([]tensor.Q8, units), make([]float32, cols), make([]float32, cols)
				for rr := range c.rows {
					f.Decode(row, w[rr*size:(rr+1)*size])
					if k.Panels.PackW[f] == nil {
						ref.Quantize(qw, row)
						values(row, qw)
						for j := range uw {
							uw[j] = unit{q: qw[j].Q, scale: [4]float32(qw[j].Scale[6:])}
						}
					} else {
						unpack(f, uw, w[rr*size:(rr+1)*size])
					}
					for i := range c.n {
						g := float64(got[i*(c.rows+3)+rr])
						var want, bound float64
						if k.Name == "i8mm" {
							spans(xs, x[i*cols:(i+1)*cols])
							want, bound = spanProduct(f, row, uw, xs)
						} else {
							ref.Quantize(q, x[i*cols:(i+1)*cols])
							values(act, q)
							for j, v := range row {
								want += float64(v) * float64(act[j])
								bound += math.Abs(float64(v) * float64(act[j]))
							}
							// A block's sum is exact, but its two scales may have lost two bits each, and it is rounded with them
							// twice; then there are at most cols/16 + 4 sums. Minimums are products of their own.
							bound = (float64(cols)/16 + 14) * 0x1p-24 * (bound + 32)
						}
						if !(math.Abs(g-want) <= bound) {
							t.Fatalf("%v, %d columns, row %d of %d, token %d of %d: got %g, want %g ± %g", f, cols, rr, c.rows, i, c.n, g,
								want, bound)
						}
						if (5*rr+i)%11 == 0 {
							one := multiplyPanels(t, &guards, k.Panels, f, w[rr*size:(rr+1)*size], 1, cols, x[i*cols:(i+1)*cols], 1)
							if math.Float32bits(one[0]) != math.Float32bits(got[i*(c.rows+3)+rr]) {
								t.Fatalf("%v: row %d, token %d is %v in company and %v alone", f, rr, i, g, one[0])
							}
						}
					}
				}
			}
		}
	})
}

// TestFloatPanelKernelsOfARM: exact products, added one by one. A level with a packer for BF16 rounds activations for these weights, and
// adds less exactly: see bf16Panels.
func TestFloatPanelKernelsOfARM(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(12, 9))
		var guards [6][]byte
		for i := range guards {
			guards[i] = kerneltest.Pages(t, 1<<20)
		}
		for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.BF16} {
			for _, c := range []struct{ rows, cols, n int }{
				{1, 1, 1}, {2, 3, 2}, {3, 4, 3}, {4, 5, 4}, {5, 64, 5}, {7, 33, 8}, {8, 31, 9}, {16, 8, 16}, {17, 100, 17}, {33, 6, 18},
				{40, 7, 7}, {32, 256, 8}, {31, 9, 1},
			} {
				size := f.RowBytes(c.cols)
				w := kerneltest.Place[byte](guards[4], c.rows*size, true)
				copy(w, kerneltest.Blocks(r, f, c.rows, c.cols))
				x := kerneltest.Place[float32](guards[5], c.n*c.cols, true)
				copy(x, kerneltest.Gaussian(r, len(x)))
				got := slices.Clone(multiplyPanels(t, &guards, k.FloatPanels, f, w, c.rows, c.cols, x, c.n))
				row := make([]float32, c.cols)
				for rr := range c.rows {
					f.Decode(row, w[rr*size:(rr+1)*size])
					for i := range c.n {
						want, scale, terms := 0.0, 0.0, float64(c.cols)
						rounded := k.FloatPanels.PackW[f] != nil
						if rounded {
							terms += 4
						}
						for j, v := range row {
							a := x[i*c.cols+j]
							if rounded {
								a = tensor.FromBF16(tensor.ToBF16(a))
							}
							want += float64(v) * float64(a)
							scale += math.Abs(float64(v) * float64(a))
						}
						g := got[i*(c.rows+3)+rr]
						kerneltest.Within(t, fmt.Sprintf("%v, %d columns, row %d of %d, token %d of %d", f, c.cols, rr, c.rows, i, c.n),
							float64(g), want, terms*0x1p-24*scale)
						if (5*rr+i)%11 == 0 {
							one := multiplyPanels(t, &guards, k.FloatPanels, f, w[rr*size:(rr+1)*size], 1, c.cols, x[i*c.cols:(i+1)*c.cols],
								1)
							if math.Float32bits(one[0]) != math.Float32bits(g) {
								t.Fatalf("%v: row %d, token %d is %v in company and %v alone", f, rr, i, g, one[0])
							}
						}
					}
				}
			}
		}
	})
}

// values sets x to what q stands for.
func values(x []float32, q []tensor.Q8) {
	for i := range x {
		x[i] = float32(q[i/64].Q[i%64]) * q[i/64].Scale[i%64/4]
	}
}

func TestPanelKernelsOfARMAllocateNothing(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		const cols, n = 544, 5
		p := k.Panels
		x, row, w, dst := make([]float32, n*cols), make([]float32, 3*cols), make([]byte, 3*tensor.Q4_0.RowBytes(cols)), make([]float32, n*3)
		fp := k.FloatPanels
		floatX, floatPanel, halves := make([]byte, fp.XBytes(n, cols)), make([]byte, fp.WBytes(cols)), make([]byte, 3*2*cols)
		packed, panel := make([]byte, p.XBytes(n, cols)), make([]byte, p.WBytes(cols))
		if n := testing.AllocsPerRun(10, func() {
			p.PackX(packed, x, n, cols, 0, n)
			p.PackW[tensor.Q4_0](panel, w, len(w)/3, 3, cols)
			p.Multiply(dst, 3, panel, 3, packed, n, cols, nil)
			p.PackFloats(panel, row, 3, cols)
			fp.PackX(floatX, x, n, cols, 0, n)
			fp.PackFloats(floatPanel, row, 3, cols)
			fp.Multiply(dst, 3, floatPanel, 3, floatX, n, cols, nil)
			if pack := fp.PackW[tensor.BF16]; pack != nil {
				pack(floatPanel, halves, len(halves)/3, 3, cols)
				fp.Multiply(dst, 3, floatPanel, 3, floatX, n, cols, nil)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
