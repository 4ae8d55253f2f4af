//go:build amd64 && unix

package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// Products of pairs have the bits of tensor.PortablePairs, whatever the operands are.
func TestPairPanels(t *testing.T) {
	ref := tensor.PortablePairs().HalfPanels
	var k *tensor.PanelKernels
	for _, l := range levels() {
		if l.HalfPanels != nil {
			k = l.HalfPanels
		}
	}
	if k == nil {
		t.Skip("no AVX512_BF16 here, or tiles instead")
	}
	r := rand.New(rand.NewPCG(1, 13))
	shapes := [][3]int{{1, 1, 1}, {32, 256, 6}, {33, 257, 7}, {31, 255, 13}, {16, 512, 5}, {17, 513, 11}, {70, 768, 4}, {5, 1, 9},
		{40, 4304, 3}, {1, 2, panelTokens + 8}} // two calls of the assembly
	for range 120 {
		shapes = append(shapes, [3]int{1 + r.IntN(70), 1 + r.IntN(600), 1 + r.IntN(20)})
	}
	for i, s := range shapes {
		rows, cols, n := s[0], s[1], s[2]
		guard := kerneltest.Fence{T: t, Front: i%2 == 0}
		nans := func(n int) []byte { // what is left as it was would be seen
			b := guard.Bytes(n)
			for i := range b {
				b[i] = 0xFF
			}
			return b
		}
		x, decoded := kerneltest.Gaussian(r, n*cols), kerneltest.Gaussian(r, rows*cols)
		if i%3 == 0 {
			kerneltest.Odd(r, x)
			kerneltest.Odd(r, decoded)
		}
		if i%3 == 1 { // sums on the border of what counts as zero
			for i := range x {
				x[i] = float32(math.Ldexp(1+r.Float64(), -60-r.IntN(8)))
			}
			for i := range decoded {
				decoded[i] = float32(math.Ldexp(1-2*r.Float64(), -60-r.IntN(8)))
			}
		}
		for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.BF16} {
			var w []byte
			if f != tensor.F32 {
				w = guard.CopyOf(wild(r, f, rows, cols))
				if i%2 == 0 {
					if err := f.Encode(w, decoded); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := multiplyPanels(t, ref, f, w, decoded, rows, cols, x, n, heap)
			got := multiplyPanels(t, k, f, w, guard.Floats(decoded), rows, cols, guard.Floats(x), n, nans)
			kerneltest.Equal(t, got, want, "%v, %d rows of %d, %d tokens", f, rows, cols, n)
		}
	}
}

// TestPairsOnTheBorder: a sum is rounded before it counts as zero.
func TestPairsOnTheBorder(t *testing.T) {
	for _, l := range append(levels(), tensor.PortablePairs()) {
		k := l.HalfPanels
		if k == nil {
			continue
		}
		for _, c := range []struct {
			w, x [2]float32
			want float32
		}{
			{[2]float32{-0x1p-75, 0x1p-63}, [2]float32{0x1p-75, 0x1p-63}, 0},              // 2⁻¹²⁶ − 2⁻¹⁵⁰: 24 bits, but subnormal
			{[2]float32{-0x1p-75, 0x1p-63}, [2]float32{0x1p-76, 0x1p-63}, 0x1p-126},       // − 2⁻¹⁵¹: rounded up
			{[2]float32{-0x1.8p-75, 0x1p-63}, [2]float32{0x1p-76, 0x1p-63}, 0},            // − 1.5·2⁻¹⁵¹: rounded down
			{[2]float32{1, 0x1p-140}, [2]float32{1, 0x1p100}, 1},                          // subnormal weights are zeros
			{[2]float32{0x1p100, 1}, [2]float32{0x1p-140, 1}, 1},                          // and so are activations
			{[2]float32{1 + 0x1p-8, 0}, [2]float32{1, 0}, 1},                              // a tie in bf16, to even
			{[2]float32{1 + 0x1.8p-7, 0}, [2]float32{1, 0}, 1 + 0x1p-6},                   // and the other way
			{[2]float32{0x1p127, -0x1p127}, [2]float32{2, 2}, float32(math.Inf(-1))},      // the second goes first, and overflows
			{[2]float32{0x1.fffffep127, 0}, [2]float32{0x1p-10, 0}, float32(math.Inf(1))}, // rounded to infinity
			{[2]float32{-0x1p-75, 0}, [2]float32{0x1p-75, 0}, 0},                          // −0, added to 0
		} {
			got := multiplyPanels(t, k, tensor.F32, nil, c.w[:], 1, 2, c.x[:], 1, heap)
			if math.Float32bits(got[0]) != math.Float32bits(c.want) {
				t.Errorf("%s: %x · %x is %x, want %x", l.Name, c.w, c.x, got[0], c.want)
			}
		}
	}
}
