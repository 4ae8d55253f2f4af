package gemma4

import (
	"math/rand/v2"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// TestProductsTakeTheTensorsScale: in every way of multiplying and in every format, a scale of four gives four times the numbers, to the
// bit.
func TestProductsTakeTheTensorsScale(t *testing.T) {
	const rows, cols = 70, 512
	for _, k := range levels() {
		t.Run(k.Name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 6))
			pool := tensor.NewPool(2)
			defer pool.Close()
			mm := tensor.NewMatMul(pool, k)
			for _, f := range tensor.Formats() {
				w, err := tensor.New("w", f, kerneltest.Blocks(r, f, rows, cols), rows, cols)
				if err != nil {
					t.Fatal(err)
				}
				for name, a := range map[string]tensor.Arithmetic{"exact": tensor.Exact, "rows": tensor.Rows, "panels": tensor.Panels} {
					for _, n := range []int{1, 3, 40} {
						x := kerneltest.Gaussian(r, n*cols)
						product := func(scale float32) []float32 {
							w.Scale = scale
							dst := make([]float32, n*rows)
							if err := mm.Run(a, tensor.Product{Dst: dst, X: x, N: n, W: w}); err != nil {
								t.Fatal(err)
							}
							return dst
						}
						want := product(1)
						for i := range want {
							want[i] *= 4
						}
						if !sameBits(product(4), want) {
							t.Errorf("%v, %s, %d tokens: the tensor's scale is not in the product", f, name, n)
						}
					}
				}
			}
		})
	}
}
