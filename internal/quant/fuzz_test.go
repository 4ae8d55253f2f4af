package quant

import (
	"bytes"
	"math"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// FuzzEncode encodes any bits as 256 weights with any importance: what is not refused decodes to finite numbers, the same at every level.
func FuzzEncode(f *testing.F) {
	for _, x := range [][]float32{normal(256, 0.02, 1), normal(256, 1e30, 2), normal(256, 1e-30, 3), {1}, {0}, {math.MaxFloat32, -1}} {
		b := make([]byte, 4*len(x))
		if err := tensor.F32.Encode(b, x); err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte{1, 0, 255}, byte(8))
	}
	f.Fuzz(func(t *testing.T, weights, counts []byte, which byte) {
		format := Formats()[int(which)%len(Formats())]
		x := make([]float32, 256)
		if len(weights) == 0 {
			weights = make([]byte, 4)
		}
		for i := range x { // repeated as often as they go
			var bits [4]byte
			for j := range bits {
				bits[j] = weights[(4*i+j)%len(weights)]
			}
			tensor.F32.Decode(x[i:i+1], bits[:])
		}
		var importance []float32
		if len(counts) > 0 {
			importance = make([]float32, len(x))
			for i := range importance {
				importance[i] = float32(math.Ldexp(1, int(counts[i%len(counts)])-128))
			}
		}
		want := make([]byte, format.RowBytes(len(x)))
		if err := encode(portable, format, want, x, len(x), importance); err != nil {
			return
		}
		y := make([]float32, len(x))
		format.Decode(y, want)
		for i, v := range y {
			if v != v || math.IsInf(float64(v), 0) {
				t.Fatalf("%v: weight %d, which is %v, decodes to %v", format, i, x[i], v)
			}
		}
		got := make([]byte, len(want))
		for l := portable + 1; l <= best(); l++ {
			if err := encode(l, format, got, x, len(x), importance); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%v: level %d differs: %v", format, l, err)
			}
		}
	})
}

// FuzzGrid packs any bits as weights: a block that is told to be identical is, and one that is not on a grid is encoded as always.
func FuzzGrid(f *testing.F) {
	f.Add([]byte{0x80, 0x3F, 0x00, 0x40, 0x40, 0xC0})
	f.Add([]byte{0x80, 0x3F, 0x80, 0x40, 0xE0, 0xC0, 0x00, 0x41})
	f.Add([]byte{0, 0, 0, 0x80})
	f.Fuzz(func(t *testing.T, weights []byte) {
		if len(weights) == 0 {
			return
		}
		x := make([]float32, 32)
		for i := range x {
			x[i] = tensor.FromBF16(uint16(weights[2*i%len(weights)]) | uint16(weights[(2*i+1)%len(weights)])<<8)
		}
		b, plain := make([]byte, 18), make([]byte, 18)
		e, err := Grid(b, x, 32)
		if err != nil {
			return
		}
		if e.Blocks != 1 || e.OnGrid > 1 || e.Identical > e.OnGrid || e.Zero > e.OnGrid {
			t.Fatalf("%+v", e)
		}
		if e.Identical == 1 != (e.OnGrid == 1 && same(x, b)) {
			t.Fatalf("%+v, but the block decodes to its weights: %t", e, same(x, b))
		}
		if err := Encode(tensor.Q4_0, plain, x, 32, nil); err != nil {
			t.Fatal(err)
		}
		if e.OnGrid == 0 && !bytes.Equal(b, plain) {
			t.Fatal("what is not on a grid is not encoded as always")
		}
	})
}
