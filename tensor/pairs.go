package tensor

import "encoding/binary"

// The pairs arithmetic: what a row of F16 or BF16 weights times a token's activations is where pairs of bf16 are multiplied at once
// (AVX512_BF16), to the last bit.
//
// Weights and activations are rounded to bf16, to the nearest, of two the even one; BF16 weights are as they are. A row is cut into parts
// of 256 columns. In each a sum begins at 0, and of each pair of columns the second goes first:
//
//	sum = fma(w[2i+1], x[2i+1], sum)
//	sum = fma(w[2i], x[2i], sum)
//
// A column that the last pair lacks is 0 · 0. Subnormal numbers, operands and sums, count as zeros of their sign. The product begins at
// 0, and the parts' sums are added in order, as floats are.
//
// A number is rounded to bf16 by at most 2⁻⁸ of it. So a product is off by at most that share of Σ|w·x| with BF16 weights, by twice
// that with those of F16, and by what its sums are, 2⁻²⁴·(256 + parts) of it at most. Many roundings meet at random: what to expect
// is 1/590 of the root of Σ(w·x)² with BF16 weights and 1/420 with those of F16. F16 weights that were made of BF16 ones, as many published
// files' are, are rounded back to these: for them it is the same as with BF16.

const pairsPart = 256 // columns that are summed up before their sum is added

// pairPanels returns the panels in plain Go: rows and tokens of bf16, one after another.
func pairPanels() *PanelKernels {
	const height = 8
	k := &PanelKernels{
		Height: height,
		XTile:  1,
		XBytes: func(n, cols int) int { return 2 * n * cols },
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			roundPairs(dst[2*from*cols:], x[from*cols:to*cols])
		},
		WBytes: func(cols int) int { return 2 * height * cols },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			clear(dst[2*rows*cols : 2*height*cols])
			roundPairs(dst, w[:rows*cols])
		},
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
			for t := range n {
				for r := range rows {
					dst[t*stride+r] = pairProduct(w[2*r*cols:2*(r+1)*cols], x[2*t*cols:2*(t+1)*cols])
				}
			}
		},
	}
	for _, f := range []Format{F16, BF16} {
		k.PackW[f] = func(dst, w []byte, rowBytes, rows, cols int) {
			values := make([]float32, rows*cols)
			for r := range rows {
				f.Decode(values[r*cols:(r+1)*cols], w[r*rowBytes:][:f.RowBytes(cols)])
			}
			k.PackFloats(dst, values, rows, cols)
		}
	}
	return k
}

// roundPairs rounds to bf16.
func roundPairs(dst []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint16(dst[2*i:], roundBF16(v))
	}
}

// pairProduct returns the product of a row and a token, both in bf16.
func pairProduct(w, x []byte) (product float32) {
	add := func(sum float32, i int) float32 {
		if i >= len(w) {
			return sum + 0
		}
		return addProduct(sum, binary.LittleEndian.Uint16(w[i:]), binary.LittleEndian.Uint16(x[i:]))
	}
	for from := 0; from < len(w); from += 2 * pairsPart {
		sum := float32(0)
		for i := from; i < min(from+2*pairsPart, len(w)); i += 4 {
			sum = add(sum, i+2)
			sum = add(sum, i)
		}
		product += sum
	}
	return product
}

// PortablePairs returns the portable table with the pairs arithmetic in plain Go: the specification of every HalfPanels.
func PortablePairs() *Kernels {
	k := Portable()
	k.Name = "portable pairs"
	k.HalfPanels = pairPanels()
	return k
}
