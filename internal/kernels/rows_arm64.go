package kernels

import "github.com/gogemma/gemma4/tensor"

// rows is a row kernel in assembly: one to four tokens, at least one row.
type rows func(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)

// floatRows is rows over activations x [n, cols].
type floatRows func(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int)

// callBytes bounds the weights that one call of assembly takes, so that they are still in the first cache for the next four
// tokens, and a call takes well under a millisecond.
const callBytes = 1 << 14

// formatRows are the row kernels of a format.
type formatRows struct {
	format  tensor.Format
	few     rows
	several several
}

// in returns the format's entry in the table of a level that takes several tokens in some way.
func (k formatRows) in(way *severalWay) tensor.RowKernel {
	book := tensor.Codebook(k.format) != nil
	simple := !book && (kindOf(k.format) == plain || kindOf(k.format) == mins)
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
		if book {
			makeCodebooks()
		}
		for rows >= severalLeast && units > 0 && n >= way.least {
			m := min(way.most, n)
			if m == 5 && simple {
				m = 4 // to unpack the rows again for one token takes less than to multiply with three that are not there
			}
			way.multiply(k, dst, stride, w, rowBytes, rows, x[:m*units], units, m)
			if n -= m; n == 0 {
				return
			}
			dst, x = dst[m*stride:], x[m*units:]
		}
		calls(k.few, dst, stride, w, rowBytes, rows, x, units, n)
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

var neonRows = [...]formatRows{
	{tensor.Q4_0, rowsQ40NEON, severalQ40NEON},
	{tensor.Q5_0, rowsQ50NEON, severalQ50NEON},
	{tensor.Q8_0, rowsQ80NEON, severalQ80NEON},
	{tensor.Q4_K, rowsQ4KNEON, severalQ4KNEON},
	{tensor.Q5_K, rowsQ5KNEON, severalQ5KNEON},
	{tensor.Q6_K, rowsQ6KNEON, severalQ6KNEON},
	{tensor.IQ4_NL, rowsIQ4NLNEON, severalIQ4NLNEON},
	{tensor.IQ4_XS, rowsIQ4XSNEON, severalIQ4XSNEON},
	{tensor.MXFP4, rowsMXFP4NEON, severalMXFP4NEON},
	{tensor.Q4_1, rowsQ41NEON, severalQ41NEON},
	{tensor.Q5_1, rowsQ51NEON, severalQ51NEON},
	{tensor.Q2_K, rowsQ2KNEON, severalQ2KNEON},
	{tensor.Q3_K, rowsQ3KNEON, severalQ3KNEON},
	{tensor.TQ1_0, rowsTQ10NEON, severalTQ10NEON},
	{tensor.TQ2_0, rowsTQ20NEON, severalTQ20NEON},
	{tensor.NVFP4, rowsNVFP4NEON, severalNVFP4NEON},
	{tensor.IQ2_XXS, rowsIQ2XXSNEON, severalIQ2XXSNEON},
	{tensor.IQ2_XS, rowsIQ2XSNEON, severalIQ2XSNEON},
	{tensor.IQ2_S, rowsIQ2SNEON, severalIQ2SNEON},
	{tensor.IQ3_XXS, rowsIQ3XXSNEON, severalIQ3XXSNEON},
	{tensor.IQ3_S, rowsIQ3SNEON, severalIQ3SNEON},
	{tensor.IQ1_S, rowsIQ1SNEON, severalIQ1SNEON},
	{tensor.IQ1_M, rowsIQ1MNEON, severalIQ1MNEON},
}

var dotprodRows = [...]formatRows{
	{tensor.Q4_0, rowsQ40Dotprod, severalQ40Dotprod},
	{tensor.Q5_0, rowsQ50Dotprod, severalQ50Dotprod},
	{tensor.Q8_0, rowsQ80Dotprod, severalQ80Dotprod},
	{tensor.Q4_K, rowsQ4KDotprod, severalQ4KDotprod},
	{tensor.Q5_K, rowsQ5KDotprod, severalQ5KDotprod},
	{tensor.Q6_K, rowsQ6KDotprod, severalQ6KDotprod},
	{tensor.IQ4_NL, rowsIQ4NLDotprod, severalIQ4NLDotprod},
	{tensor.IQ4_XS, rowsIQ4XSDotprod, severalIQ4XSDotprod},
	{tensor.MXFP4, rowsMXFP4Dotprod, severalMXFP4Dotprod},
	{tensor.Q4_1, rowsQ41Dotprod, severalQ41Dotprod},
	{tensor.Q5_1, rowsQ51Dotprod, severalQ51Dotprod},
	{tensor.Q2_K, rowsQ2KDotprod, severalQ2KDotprod},
	{tensor.Q3_K, rowsQ3KDotprod, severalQ3KDotprod},
	{tensor.TQ1_0, rowsTQ10Dotprod, severalTQ10Dotprod},
	{tensor.TQ2_0, rowsTQ20Dotprod, severalTQ20Dotprod},
	{tensor.NVFP4, rowsNVFP4Dotprod, severalNVFP4Dotprod},
	{tensor.IQ2_XXS, rowsIQ2XXSDotprod, severalIQ2XXSDotprod},
	{tensor.IQ2_XS, rowsIQ2XSDotprod, severalIQ2XSDotprod},
	{tensor.IQ2_S, rowsIQ2SDotprod, severalIQ2SDotprod},
	{tensor.IQ3_XXS, rowsIQ3XXSDotprod, severalIQ3XXSDotprod},
	{tensor.IQ3_S, rowsIQ3SDotprod, severalIQ3SDotprod},
	{tensor.IQ1_S, rowsIQ1SDotprod, severalIQ1SDotprod},
	{tensor.IQ1_M, rowsIQ1MDotprod, severalIQ1MDotprod},
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
