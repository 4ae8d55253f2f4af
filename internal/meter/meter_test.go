package meter_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/meter"
	"github.com/gogemma/gemma4/tensor"
)

const rows, cols, tokens = 320, 256, 48

// product returns random weights times random activations.
func product(t *testing.T, k *tensor.Kernels, pool *tensor.Pool, f tensor.Format) []float32 {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	w, x, dst := make([]float32, rows*cols), make([]float32, tokens*cols), make([]float32, tokens*rows)
	for _, list := range [][]float32{w, x} {
		for i := range list {
			list[i] = float32(r.NormFloat64())
		}
	}
	data := make([]byte, rows*f.RowBytes(cols))
	if err := f.Encode(data, w); err != nil {
		t.Fatal(err)
	}
	weights, err := tensor.New("w", f, data, rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	if err := tensor.NewMatMul(pool, k).Run(tensor.Panels, tensor.Product{Dst: dst, X: x, N: tokens, W: weights}); err != nil {
		t.Fatal(err)
	}
	return dst
}

func TestMeasuredProductsAreTheSameAndCounted(t *testing.T) {
	for _, k := range gemma4.Levels()[1:] {
		t.Run(k.Name, func(t *testing.T) {
			pool := tensor.NewPool(2)
			defer pool.Close()
			for _, f := range []tensor.Format{tensor.Q8_0, tensor.BF16, tensor.F32} {
				measured, m := meter.New(k)
				if !slices.Equal(product(t, measured, pool, f), product(t, k, pool, f)) {
					t.Errorf("%v: other products", f)
				}
				if err := m.Burn(pool); err != nil {
					t.Fatal(err)
				}
				parts := m.Parts()
				if len(parts) != 1 || parts[0].Kind > meter.FloatProducts {
					t.Fatalf("%v: parts %+v, want products alone", f, parts)
				}
				if p := parts[0]; p.Ops != rows*cols*tokens || p.Seconds <= 0 || p.Peak <= 0 || p.Share() <= 0 {
					t.Errorf("%v: %+v, share %v, want %d multiply-adds", f, p, p.Share(), rows*cols*tokens)
				}
				if m.Reset(); len(m.Parts()) != 0 {
					t.Errorf("%v: there are parts after Reset", f)
				}
			}
		})
	}
}

func TestAttentionIsMeasuredApartFromItsSoftmax(t *testing.T) {
	const dim, n, count = 64, 8, tensor.Strip
	for _, k := range gemma4.Levels() {
		t.Run(k.Name, func(t *testing.T) {
			measured, m := meter.New(k)
			q, keys, out := make([]float32, n*dim), make([]byte, 4*count*dim), make([]float32, n*dim)
			scores := make([]float32, n*count)
			want := map[meter.Kind]int64{meter.Attention: 2 * n * count * dim, meter.Softmax: 0}
			if a := measured.Attention; a != nil {
				want[meter.Packing] = 0
				queries, packedKeys := make([]uint16, n*tensor.Packed(dim)), make([]uint16, count*tensor.Packed(dim))
				values, weights := make([]uint16, tensor.PackedValues(dim)), make([]uint16, n*count)
				top, sum, factor := make([]float32, n), make([]float32, n), make([]float32, n)
				a.PackQueries(queries, q, dim, n, dim)
				a.PackKeys[tensor.F32](packedKeys, keys, 4*dim, count, dim)
				a.PackValues[tensor.F32](values, keys, 4*dim, count, dim)
				a.Scores(scores, queries, n, packedKeys, dim, nil)
				a.Softmax(weights, scores, top, sum, factor)
				a.Weigh(out, dim, factor, weights, values, dim, nil)
			} else {
				measured.Scores[tensor.F32](scores, count, q, n, keys, 4*dim, count, nil)
				measured.ExpSum(scores, measured.Max(scores))
				measured.Weigh[tensor.F32](out, n, scores, count, keys, count, nil)
			}
			for _, p := range m.Parts() {
				if ops, ok := want[p.Kind]; !ok || p.Ops != ops {
					t.Errorf("%v: %d multiply-adds, want %d", p.Kind, p.Ops, ops)
				}
				delete(want, p.Kind)
			}
			if len(want) > 0 {
				t.Errorf("no parts %v", want)
			}
			pool := tensor.NewPool(1)
			defer pool.Close()
			if err := m.Burn(pool); err != nil {
				t.Fatal(err)
			}
			if p := m.Parts()[0]; p.Peak <= 0 {
				t.Errorf("%v has no peak", p.Kind)
			}
		})
	}
}
