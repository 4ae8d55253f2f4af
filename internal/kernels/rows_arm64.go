package kernels

import "github.com/gogemma/gemma4/tensor"

// rows is a row kernel in assembly: one to four tokens, at least one row.
type rows func(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

// floatRows is rows over activations x [n, cols].
type floatRows func(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int)

// callBytes bounds the weights that one call of assembly takes, so that they are still in the first cache for the next four
// tokens, and a call takes well under a millisecond.
const callBytes = 1 << 14

func rowKernel(kernel rows) tensor.RowKernel {
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
		calls(kernel, dst, stride, w, rowBytes, rows, x, units, n)
	}
}

// bookRowKernel is rowKernel for a format with a codebook.
func bookRowKernel(kernel rows) tensor.RowKernel {
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
		makeCodebooks()
		calls(kernel, dst, stride, w, rowBytes, rows, x, units, n)
	}
}

func floatRowKernel(kernel floatRows) tensor.FloatRowKernel {
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int) {
		calls(kernel, dst, stride, w, rowBytes, rows, x, cols, n)
	}
}

// calls checks the arguments of a row kernel and cuts its work: activations x are n tokens of so many units or floats.
func calls[X tensor.Q8 | float32](kernel func(dst *float32, stride int, w *byte, rowBytes, rows int, x *X, length, n int),
	dst []float32, stride int, w []byte, rowBytes, rows int, x []X, length, n int) {
	w, x = w[:rows*rowBytes], x[:n*length]
	step := max(1, callBytes/max(1, rowBytes))
	for r := 0; r < rows && rowBytes > 0; r += step {
		m := min(step, rows-r)
		for t := 0; t < n; t += 4 {
			d := dst[t*stride+r:]
			k := min(4, n-t)
			_ = d[(k-1)*stride+m-1]
			kernel(&d[0], stride, &w[r*rowBytes], rowBytes, m, &x[t*length], length, k)
		}
	}
}

// The row kernels of each level, see rows_arm64.h.

//go:noescape
func rowsQ40NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ50NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ80NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ4KNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ5KNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ6KNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ4NLNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ4XSNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsMXFP4NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ41NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ51NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ2KNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ3KNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsTQ10NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsTQ20NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsNVFP4NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ2XXSNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ2XSNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ2SNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ3XXSNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ3SNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ1SNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ1MNEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ40Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ50Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ80Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ4KDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ5KDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ6KDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ4NLDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ4XSDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsMXFP4Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ41Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ51Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ2KDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsQ3KDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsTQ10Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsTQ20Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsNVFP4Dotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ2XXSDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ2XSDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ2SDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ3XXSDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ3SDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ1SDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func rowsIQ1MDotprod(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

//go:noescape
func floatRowsF16NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int)

//go:noescape
func floatRowsBF16NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int)
