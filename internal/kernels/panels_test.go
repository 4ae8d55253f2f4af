//go:build amd64 && unix

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// panelArithmetic says in plain Go what the operands of a panel kernel stand for.
type panelArithmetic struct {
	name    string
	kernels *tensor.PanelKernels
	// weights are those of a row as PackW rounds them, floats as PackFloats does, and activations those of a token. PackFloats'
	// weights meet activations of no format: F32.
	weights     func(f tensor.Format, w []byte, row []float32) []float64
	floats      func(row []float32) []float64
	activations func(f tensor.Format, row []float32) []float64
	// rounding is how far a product may be from the exact one of these, as a share of the sum of magnitudes.
	rounding func(f tensor.Format, cols int) float64
}

// panelArithmetics returns those of a level.
func panelArithmetics(k *tensor.Kernels) (list []panelArithmetic) {
	switch {
	case k.Panels == nil:
	case k.Name == "amx":
		list = append(list, panelArithmetic{
			name:        "bf16",
			kernels:     k.Panels,
			weights:     func(_ tensor.Format, _ []byte, row []float32) []float64 { return float64s(toBF16(row)) },
			floats:      func(row []float32) []float64 { return float64s(toBF16(row)) },
			activations: func(_ tensor.Format, row []float32) []float64 { return float64s(toBF16(row)) },
			// One rounding per product of a block's even or odd columns, one where these meet, one per block of a part, one per part.
			rounding: func(_ tensor.Format, cols int) float64 {
				blocks := (cols + 31) / 32
				return float64(17+min(slabBlocks, blocks)+blocks/slabBlocks) * 0x1p-24
			},
		})
	case k.Name == "avx2":
		list = append(list, panelArithmetic{
			name:    "bytes and words",
			kernels: k.Panels,
			weights: func(f tensor.Format, w []byte, row []float32) []float64 {
				if asBytes[f] || asExactWords[f] {
					return float64s(row)
				}
				return roundedTo(4095)(row)
			},
			floats: roundedTo(4095),
			activations: func(f tensor.Format, row []float32) []float64 {
				if asBytes[f] {
					return roundedTo(127)(row)
				}
				return roundedTo(16383)(row)
			},
			// A block of 32 products is added up in integers, exactly. As words it may be rounded on its way to float. Its factor is a
			// product of two scales, rounded once. Each of 16 such blocks, or twice 8, is added with one rounding, and with another its
			// offset, itself rounded, times a sum of activations, rounded too. Each of the sums over a part is added with one rounding. A
			// rounding is at most 2⁻²⁴ of a sum that is no larger than all magnitudes together.
			rounding: func(f tensor.Format, cols int) float64 {
				return float64(4+2*min(16, (cols+31)/32)+cols/256) * 0x1p-24
			},
		})
	default:
		list = append(list, panelArithmetic{
			name:    "int8",
			kernels: k.Panels,
			weights: func(f tensor.Format, w []byte, row []float32) []float64 {
				if asExactInt8[f] {
					return float64s(row)
				}
				if f == tensor.Q6_K {
					return requantized(w, row)
				}
				return roundedTo(127)(row)
			},
			floats:      roundedTo(127),
			activations: func(_ tensor.Format, row []float32) []float64 { return roundedTo(127)(row) },
			// As above, but that the integers are below 2²⁴.
			rounding: func(f tensor.Format, cols int) float64 {
				blocks := min(16, (cols+31)/32)
				if f == tensor.Q4_K || f == tensor.Q5_K {
					blocks = 2*blocks + 2
				}
				return float64(1+blocks+cols/512) * 0x1p-24
			},
		})
	}
	if k.Name == "avx2" && cpuid.CPU.Supports(cpuid.AVXVNNI) { // then the level is one of two variants, and this is the other
		plain := list[0]
		other := tensor.Portable()
		panelsAVX2(other, false)
		plain.name, plain.kernels = "bytes and words, no VNNI", other.Panels
		list = append(list, plain)
	}
	if k.HalfPanels != nil {
		list = append(list, panelArithmetic{
			name:        "pairs",
			kernels:     k.HalfPanels,
			weights:     func(_ tensor.Format, _ []byte, row []float32) []float64 { return float64s(toBF16(row)) },
			floats:      func(row []float32) []float64 { return float64s(toBF16(row)) },
			activations: func(_ tensor.Format, row []float32) []float64 { return float64s(toBF16(row)) },
			// One rounding per product within a part of 256, and one per part.
			rounding: func(_ tensor.Format, cols int) float64 { return float64(min(cols, 256)+cols/256) * 0x1p-24 },
		})
	}
	if k.FloatPanels != nil {
		list = append(list, panelArithmetic{
			name:        "float",
			kernels:     k.FloatPanels,
			weights:     func(_ tensor.Format, _ []byte, row []float32) []float64 { return float64s(row) },
			floats:      float64s,
			activations: func(_ tensor.Format, row []float32) []float64 { return float64s(row) },
			// One rounding per product within a part of 128 or 256, and one per part.
			rounding: func(_ tensor.Format, cols int) float64 { return float64(min(cols, 256)+cols/128) * 0x1p-24 },
		})
	}
	return list
}

type formatSet map[tensor.Format]bool

var (
	// At avx512, weights that are integers of 8 bits with a scale, and perhaps an offset, per 32 are taken as they are.
	asExactInt8 = formatSet{tensor.Q4_0: true, tensor.Q4_K: true, tensor.Q5_0: true, tensor.Q5_K: true, tensor.Q8_0: true,
		tensor.IQ4_NL: true, tensor.IQ4_XS: true, tensor.MXFP4: true}
	// At avx2, those of up to 5 bits are multiplied as bytes, exactly, and those of up to 13 bits as words.
	asBytes      = formatSet{tensor.Q4_0: true, tensor.Q4_K: true, tensor.Q5_0: true, tensor.Q5_K: true, tensor.MXFP4: true}
	asExactWords = formatSet{tensor.Q8_0: true, tensor.Q6_K: true, tensor.IQ4_NL: true, tensor.IQ4_XS: true}
)

func float64s(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// roundedTo rounds 32 values at a time to integers with a scale, with float32's own roundings: the largest magnitude becomes most. Below
// 2⁻¹⁰⁰ it counts as 0, and if it is not finite nothing is a number.
func roundedTo(most float32) func(x []float32) []float64 {
	return func(x []float32) []float64 {
		y := make([]float64, len(x))
		for from := 0; from < len(x); from += 32 {
			block := x[from:min(from+32, len(x))]
			top, nan := float32(0), false
			for _, v := range block {
				v = float32(math.Abs(float64(v)))
				nan = nan || v != v || math.IsInf(float64(v), 0)
				top = max(top, v)
			}
			scale, inv := top/most, most/top
			for i, v := range block {
				switch {
				case nan:
					y[from+i] = math.NaN()
				case top >= 0x1p-100:
					y[from+i] = math.RoundToEven(float64(v*inv)) * float64(scale)
				}
			}
		}
		return y
	}
}

// requantized rounds a row of Q6_K, w, to 8 bits per 32 values, by integers: the weights are p times the super-block's half.
func requantized(w []byte, row []float32) []float64 {
	y := make([]float64, len(row))
	for from := 0; from < len(row); from += 32 {
		b := w[from/256*210:][:210]
		d := tensor.FromF16(uint16(b[208]) | uint16(b[209])<<8)
		p, most := make([]int32, 32), int32(1)
		for i := range p {
			if p[i] = int32(math.Round(float64(row[from+i]) / float64(d))); d == 0 || d != d {
				p[i] = 0
			}
			most = max(most, p[i], -p[i])
		}
		k := min(int32(float32(127<<15)/float32(most)), 1<<15-1)
		scale := float32(1<<15) / float32(k) * d
		for i, v := range p {
			y[from+i] = float64((v*k+1<<14)>>15) * float64(scale)
		}
	}
	return y
}

// magnitudes returns bounds of what a row's weights are made of: those of Q4_K and Q5_K are scale · (q − 8 or 16) + offset. With the
// least and the largest q there is, the weight is a and b; then 8·scale is at most 0.54·(|a|+|b|), and the offset lies between a and b.
func (a *panelArithmetic) magnitudes(f tensor.Format, w []byte, row []float64) []float64 {
	m := make([]float64, len(row))
	for i, v := range row {
		m[i] = math.Abs(v)
	}
	if w == nil || a.name == "bf16" || f != tensor.Q4_K && f != tensor.Q5_K {
		return m
	}
	low, high := slices.Clone(w), slices.Clone(w)
	for i := range w {
		if i%f.BlockBytes() >= 16 {
			low[i], high[i] = 0, 0xFF
		}
	}
	least, most := make([]float32, len(row)), make([]float32, len(row))
	f.Decode(least, low)
	f.Decode(most, high)
	for i := range m {
		p, q := math.Abs(float64(least[i])), math.Abs(float64(most[i]))
		m[i] = 0.54*(p+q) + max(p, q)
	}
	return m
}

func isFloat(f tensor.Format) bool { return f == tensor.F32 || f == tensor.F16 || f == tensor.BF16 }

// formats are those that a kernel is for.
func (a *panelArithmetic) formats() (list []tensor.Format) {
	for _, f := range tensor.Formats() {
		if a.name != "pairs" && isFloat(f) == (a.name == "float") || a.kernels.PackW[f] != nil {
			list = append(list, f)
		}
	}
	return list
}

// heap makes ordinary slices, of bytes that are not zero.
func heap(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 0x5A
	}
	return b
}

// multiplyPanels computes x [n, cols] times the rows of w as MatMul does it, panel by panel, into a dst with the stride rows + 3.
// Decoded rows go through PackFloats if w is nil. What the kernels must not touch keeps the value 12345.
func multiplyPanels(t *testing.T, k *tensor.PanelKernels, f tensor.Format, w []byte, decoded []float32, rows, cols int, x []float32, n int,
	alloc func(int) []byte) []float32 {
	t.Helper()
	packed := alloc(k.XBytes(n, cols))
	for from := 0; from < n; from += 16 {
		k.PackX(packed, x, n, cols, from, min(from+16, n))
	}
	stride := rows + 3
	raw := alloc(4 * ((n-1)*stride + rows))
	dst := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw)/4)
	for i := range dst {
		dst[i] = 12345
	}
	panel := alloc(k.WBytes(cols))
	size := f.RowBytes(cols)
	for from := 0; from < rows; from += k.Height {
		to := min(from+k.Height, rows)
		var next []byte
		if w != nil {
			next = w[to*size : min(to+k.Height, rows)*size]
			k.PackW[f](panel, w[from*size:to*size], size, to-from, cols)
		} else {
			k.PackFloats(panel, decoded[from*cols:to*cols], to-from, cols)
		}
		k.Multiply(dst[from:], stride, panel, to-from, packed, n, cols, next)
	}
	check := func(dst []float32) {
		t.Helper()
		for i, v := range dst {
			if i%stride >= rows && v != 12345 {
				t.Fatalf("%v, %d rows of %d, %d tokens: wrote behind the rows", f, rows, cols, n)
			}
		}
	}
	check(dst)
	if multiply := k.MultiplyW[f]; w != nil && multiply != nil {
		raw = alloc(len(raw))
		unpacked := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw)/4)
		for i := range unpacked {
			unpacked[i] = 12345
		}
		multiply(unpacked, stride, alloc(k.WBytes(cols)), w, size, rows, packed, n, cols)
		check(unpacked)
		kerneltest.Equal(t, unpacked, dst, "%v, %d rows of %d, %d tokens, without a panel", f, rows, cols, n)
	}
	return dst
}

// check compares a product with its reference in float64. Magnitudes are those of w.
func (a *panelArithmetic) check(t *testing.T, f tensor.Format, what string, got []float32, w, magnitudes, x [][]float64) {
	t.Helper()
	rows, cols := len(w), len(w[0])
	for i, token := range x {
		for r, row := range w {
			want, scale := 0.0, 0.0
			for j, v := range row {
				want += v * token[j]
				scale += magnitudes[r][j] * math.Abs(token[j])
			}
			// Where all is nearly nothing, products of scales may be subnormal.
			kerneltest.Within(t, fmt.Sprintf("%s, %d rows of %d, %d tokens: row %d, token %d", what, rows, cols, len(x), r, i),
				float64(got[i*(rows+3)+r]), want, a.rounding(f, cols)*scale*1.01+0x1p-126*float64(cols))
		}
	}
}

func each[T any](x []float32, n int, f func([]float32) T) []T {
	y := make([]T, n)
	for i := range y {
		y[i] = f(x[i*len(x)/n : (i+1)*len(x)/n])
	}
	return y
}

// checkPanels multiplies, compares with the reference, PackFloats included, and compares some products with their bits alone.
func (a *panelArithmetic) checkPanels(t *testing.T, r *rand.Rand, f tensor.Format, w []byte, rows, cols int, x []float32, n int,
	alloc func(int) []byte) {
	t.Helper()
	decoded := make([]float32, rows*cols)
	size := f.RowBytes(cols)
	for i := range rows {
		f.Decode(decoded[i*cols:(i+1)*cols], w[i*size:])
	}
	compare := func(f tensor.Format, what string, got []float32, w []byte, weights func(w []byte, row []float32) []float64) {
		t.Helper()
		values, magnitudes := make([][]float64, rows), make([][]float64, rows)
		for i := range rows {
			var raw []byte
			if w != nil {
				raw = w[i*size : (i+1)*size]
			}
			values[i] = weights(raw, decoded[i*cols:(i+1)*cols])
			magnitudes[i] = a.magnitudes(f, raw, values[i])
		}
		a.check(t, f, what, got, values, magnitudes, each(x, n, func(token []float32) []float64 { return a.activations(f, token) }))
	}
	rounded := multiplyPanels(t, a.kernels, f, nil, decoded, rows, cols, x, n, alloc)
	compare(tensor.F32, fmt.Sprintf("%v as floats", f), rounded, nil, func(_ []byte, row []float32) []float64 { return a.floats(row) })
	got := rounded
	pack := a.kernels.PackW[f] != nil
	if pack {
		got = multiplyPanels(t, a.kernels, f, w, nil, rows, cols, x, n, alloc)
		compare(f, f.String(), got, w, func(raw []byte, row []float32) []float64 { return a.weights(f, raw, row) })
	}
	for range 4 {
		i, j := r.IntN(rows), r.IntN(n)
		token := x[j*cols : (j+1)*cols]
		var one []float32
		if pack {
			one = multiplyPanels(t, a.kernels, f, w[i*size:(i+1)*size], nil, 1, cols, token, 1, heap)
		} else {
			one = multiplyPanels(t, a.kernels, f, nil, decoded[i*cols:(i+1)*cols], 1, cols, token, 1, heap)
		}
		if c := got[j*(rows+3)+i]; math.Float32bits(one[0]) != math.Float32bits(c) && one[0] == one[0] {
			t.Fatalf("%v, %d rows of %d, %d tokens: row %d, token %d is %v in company and %v alone", f, rows, cols, n, i, j, c, one[0])
		}
	}
}

// aboveArithmetics runs a test for each panel arithmetic of each level above the portable one.
func aboveArithmetics(t *testing.T, test func(t *testing.T, a *panelArithmetic)) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for _, a := range panelArithmetics(k) {
			t.Run(a.name, func(t *testing.T) { test(t, &a) })
		}
	})
}

func TestPanelKernels(t *testing.T) {
	aboveArithmetics(t, func(t *testing.T, a *panelArithmetic) {
		r := rand.New(rand.NewPCG(3, 9))
		for _, f := range a.formats() {
			bl := f.BlockLen()
			for rows := 1; rows <= 70; rows += 1 + r.IntN(5) {
				cols, n := (1+r.IntN(max(1, 192/bl)))*bl, 1+r.IntN(20)
				a.checkPanels(t, r, f, shifted(kerneltest.Blocks(r, f, rows, cols), r.IntN(64)), rows, cols, kerneltest.Gaussian(r, n*cols),
					n, heap)
			}
			for n := 1; n <= 70; n += 1 + n/14*r.IntN(5) {
				rows, cols := 1+r.IntN(40), 256*(1+r.IntN(2))
				a.checkPanels(t, r, f, shifted(kerneltest.Blocks(r, f, rows, cols), r.IntN(64)), rows, cols, kerneltest.Gaussian(r, n*cols),
					n, heap)
			}
			for _, cols := range []int{32, 64, 96, 480, 512, 544, 1024, 1536, 2048, 2816, 6144} {
				if cols%bl == 0 {
					a.checkPanels(t, r, f, kerneltest.Blocks(r, f, 33, cols), 33, cols, kerneltest.Gaussian(r, 7*cols), 7, heap)
				}
			}
		}
		// Depths that are no whole number of blocks: as floats.
		f := tensor.F32
		for _, cols := range kerneltest.Lengths {
			rows, n := 1+r.IntN(40), 1+r.IntN(9)
			a.checkPanels(t, r, f, shifted(kerneltest.Blocks(r, f, rows, cols), r.IntN(64)/4*4), rows, cols, kerneltest.Gaussian(r, n*cols),
				n, heap)
		}
		for _, f := range a.formats() {
			if !isFloat(f) {
				continue
			}
			for _, cols := range kerneltest.Lengths {
				rows, n := 1+r.IntN(40), 1+r.IntN(9)
				a.checkPanels(t, r, f, shifted(kerneltest.Blocks(r, f, rows, cols), r.IntN(32)*2), rows, cols,
					kerneltest.Gaussian(r, n*cols), n, heap)
			}
		}
	})
}

// The largest sums there can be: all weights and all activations at their extremes.
func TestPanelKernelsDoNotSaturate(t *testing.T) {
	aboveArithmetics(t, func(t *testing.T, a *panelArithmetic) {
		r := rand.New(rand.NewPCG(4, 9))
		for _, f := range a.formats() {
			const rows, blocksPerRow, n = 33, 2, 7
			cols := max(512, blocksPerRow*f.BlockLen())
			for _, fill := range []byte{0x00, 0xFF, 0x7F, 0x80, 0x81, 0x88, 0xF0, 0x0F} {
				w := make([]byte, rows*f.RowBytes(cols))
				for i := range w {
					w[i] = fill
				}
				if isFloat(f) {
					for i := range w {
						w[i] &= 0x3F
					}
				}
				kerneltest.Tame(f, w, r)
				x := make([]float32, n*cols)
				for i := range x {
					if x[i] = 3; i/cols%2 == 1 || i/cols == 4 && i%2 == 1 {
						x[i] = -3
					}
				}
				a.checkPanels(t, r, f, w, rows, cols, x, n, heap)
			}
		}
	})
}

// What is not a number, or not finite, stays with its token and its row.
func TestPanelKernelsKeepNaNApart(t *testing.T) {
	aboveArithmetics(t, func(t *testing.T, a *panelArithmetic) {
		r := rand.New(rand.NewPCG(5, 9))
		for _, f := range a.formats() {
			const rows, n = 40, 9
			cols := max(544, 3*f.BlockLen())
			cols -= cols % f.BlockLen()
			w := kerneltest.Blocks(r, f, rows, cols)
			x := kerneltest.Gaussian(r, n*cols)
			product := func() []float32 {
				if a.kernels.PackW[f] != nil {
					return multiplyPanels(t, a.kernels, f, w, nil, rows, cols, x, n, heap)
				}
				decoded := make([]float32, rows*cols)
				f.Decode(decoded, w)
				return multiplyPanels(t, a.kernels, f, nil, decoded, rows, cols, x, n, heap)
			}
			want := product()
			for i, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
				x[(2*i+1)*cols+r.IntN(cols)] = v
			}
			// A row whose scales, and so its weights, are NaN.
			size := f.RowBytes(cols)
			bad := w[17*size : 18*size]
			for i := range bad {
				bad[i] = 0xFF
			}
			row := make([]float32, cols)
			f.Decode(row, bad)
			nan := row[0] != row[0]
			got := product()
			for i := range n {
				for j := range rows {
					v, clean := got[i*(rows+3)+j], want[i*(rows+3)+j]
					switch {
					case j == 17 && !nan: // another number
					case i == 1 || i == 3 || i == 5 || j == 17:
						floats := slices.Contains([]string{"float", "bf16", "pairs"}, a.name)
						if !math.IsNaN(float64(v)) && !(floats && math.IsInf(float64(v), 0)) {
							t.Fatalf("%v: row %d, token %d is %v, want NaN", f, j, i, v)
						}
					case math.Float32bits(v) != math.Float32bits(clean):
						t.Fatalf("%v: row %d, token %d is %v beside others that are NaN and %v otherwise", f, j, i, v, clean)
					}
				}
			}
		}
	})
}

// Activations that are zero, tiny or huge.
func TestPanelKernelsOnOddActivations(t *testing.T) {
	aboveArithmetics(t, func(t *testing.T, a *panelArithmetic) {
		r := rand.New(rand.NewPCG(6, 9))
		f := a.formats()[3%len(a.formats())]
		const rows, cols, n = 20, 512, 12
		w := kerneltest.Blocks(r, f, rows, cols)
		for range 20 {
			x := kerneltest.Gaussian(r, n*cols)
			for i := 0; i < len(x); i += 32 {
				s := []float32{1, 0, 0x1p-100, 0x1.fffffep-101, 0x1p-149, 0x1p-126, 0x1p-90, 0x1p90, 1e-5}[r.IntN(9)]
				for j := range x[i : i+32] {
					if x[i+j] *= s; r.IntN(8) == 0 {
						x[i+j] = s
					}
				}
			}
			a.checkPanels(t, r, f, w, rows, cols, x, n, heap)
		}
	})
}

// All scales that MXFP4 has, the subnormal ones too.
func TestPanelKernelsOnMXFP4Scales(t *testing.T) {
	aboveArithmetics(t, func(t *testing.T, a *panelArithmetic) {
		if a.kernels.PackW[tensor.MXFP4] == nil {
			return
		}
		r := rand.New(rand.NewPCG(11, 9))
		const rows, cols, n = 252, 32, 2 // from 252 on, values decode to infinity
		w := kerneltest.Blocks(r, tensor.MXFP4, rows, cols)
		for e := range rows {
			w[e*17] = byte(e)
			x := kerneltest.Gaussian(r, n*cols)
			for i := range x { // so that products are of ordinary size
				x[i] *= float32(math.Exp2(float64(max(-80, min(100, 128-e)))))
			}
			a.checkPanels(t, r, tensor.MXFP4, w[e*17:(e+1)*17], 1, cols, x, n, heap)
		}
	})
}

// Not a byte outside the slices is read or written.
func TestPanelKernelsStayInside(t *testing.T) {
	aboveArithmetics(t, func(t *testing.T, a *panelArithmetic) {
		r := rand.New(rand.NewPCG(7, 9))
		for _, f := range a.formats() {
			for _, front := range []bool{false, true} {
				for _, c := range []struct{ rows, cols, n int }{{1, 256, 1}, {16, 256, 6}, {17, 512, 7}, {31, 768, 5}, {35, 256, 13},
					{70, 256, 2}, {3, 33, 3}, {5, 100, 8}, {33, 7, 4}} {
					if c.cols%f.BlockLen() != 0 {
						continue
					}
					g := kerneltest.Fence{T: t, Front: front}
					w, x := g.CopyOf(kerneltest.Blocks(r, f, c.rows, c.cols)), g.Floats(kerneltest.Gaussian(r, c.n*c.cols))
					a.checkPanels(t, r, f, w, c.rows, c.cols, x, c.n, g.Bytes)
				}
			}
		}
	})
}

func TestPanelKernelsAllocateNothing(t *testing.T) {
	aboveArithmetics(t, func(t *testing.T, a *panelArithmetic) {
		r := rand.New(rand.NewPCG(8, 9))
		const rows, cols, n = 20, 512, 9
		k := a.kernels
		x, dst, decoded := kerneltest.Gaussian(r, n*cols), make([]float32, rows*n), kerneltest.Gaussian(r, rows*cols)
		packed, panel := make([]byte, k.XBytes(n, cols)), make([]byte, k.WBytes(cols))
		for _, f := range a.formats() {
			w := kerneltest.Blocks(r, f, rows, cols)
			if allocs := testing.AllocsPerRun(5, func() {
				k.PackX(packed, x, n, cols, 0, n)
				k.PackFloats(panel, decoded, min(rows, k.Height), cols)
				if k.PackW[f] != nil {
					k.PackW[f](panel, w, f.RowBytes(cols), min(rows, k.Height), cols)
				}
				k.Multiply(dst, rows, panel, min(rows, k.Height), packed, n, cols, nil)
			}); allocs != 0 {
				t.Errorf("%v: %v allocations", f, allocs)
			}
		}
	})
}

// AVX-VNNI gives the bits that AVX2 alone gives.
func TestPanelVariants(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVXVNNI) {
		t.Skip("no AVX-VNNI")
	}
	plain, vnni := tensor.Portable(), tensor.Portable()
	panelsAVX2(plain, false)
	panelsAVX2(vnni, true)
	r := rand.New(rand.NewPCG(10, 9))
	for _, f := range tensor.Formats() {
		if isFloat(f) {
			continue
		}
		const rows, cols, n = 45, 1280, 5
		decoded := make([]float32, rows*cols)
		w, x := kerneltest.Blocks(r, f, rows, cols), kerneltest.Gaussian(r, n*cols)
		if plain.Panels.PackW[f] == nil {
			f.Decode(decoded, w)
			w = nil
		}
		want := multiplyPanels(t, plain.Panels, f, w, decoded, rows, cols, x, n, heap)
		for i, v := range multiplyPanels(t, vnni.Panels, f, w, decoded, rows, cols, x, n, heap) {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Fatalf("%v: product %d is %v, with AVX-VNNI %v", f, i, want[i], v)
			}
		}
	}
	if plain.Burn(3) != vnni.Burn(3) {
		t.Error("the multiply-adds of the peak are counted differently")
	}
}

// Whole products, over a pool, differ from exact ones by what the rounding to 8 bits does.
func TestPanelsThroughMatMul(t *testing.T) {
	pool := tensor.NewPool(2)
	defer pool.Close()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(9, 9))
		for _, f := range tensor.Formats() {
			if isFloat(f) && k.FloatPanels == nil || !isFloat(f) && k.Panels == nil {
				continue
			}
			const rows, cols, n = 75, 512, 37
			w, err := tensor.New("w", f, kerneltest.Blocks(r, f, rows, cols), rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			w.Scale = 0.5
			x := kerneltest.Gaussian(r, n*cols)
			mm := tensor.NewMatMul(pool, k)
			got, exact := make([]float32, n*rows), make([]float32, n*rows)
			if err := mm.Run(tensor.Panels, tensor.Product{Dst: got, X: x, N: n, W: w}); err != nil {
				t.Fatal(err)
			}
			if err := mm.Run(tensor.Exact, tensor.Product{Dst: exact, X: x, N: n, W: w}); err != nil {
				t.Fatal(err)
			}
			var off, all float64
			for i, v := range exact {
				d := float64(got[i]) - float64(v)
				off += d * d
				all += float64(v) * float64(v)
			}
			// Activations are rounded to steps of 1/127 of the largest of 32, about 2.2 of their standard deviations: an error of
			// 2.2/127/√12 = 0.5%. Weights that are rounded likewise have up to as much again.
			limit := 0.0085
			switch {
			case k.Panels.PackW[tensor.BF16] != nil && f != tensor.F32, k.HalfPanels != nil && k.HalfPanels.PackW[f] != nil:
				limit = 0.0028 // bf16 has eight bits: an error of 2⁻⁸ at most, 0.4 of that on average, of both
			case isFloat(f):
				limit = 1e-6
			}
			if rms := math.Sqrt(off / all); !(rms < limit) {
				t.Errorf("%v: off by %.2g of the root mean square, want %.2g", f, rms, limit)
			}
		}
	})
}
