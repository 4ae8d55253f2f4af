package kernels

import "github.com/gogemma/gemma4/tensor"

// What 16 rows of weights, unpacked, leave of 32 columns and a token is a digest: see panels_avx512_single_amd64.s. Digests of whole rows
// follow the token's activations in the room of a panel.
const (
	int8Digest       = 128 // bytes
	int8OffsetDigest = 192
)

// multiplyDigests returns what multiplies rows of a format with few tokens, one by one.
func multiplyDigests(f tensor.Format) func(dst []float32, stride int, panel, w []byte, rowBytes, rows int, x []byte, n, cols int) {
	sum, digest := sumDigestsAVX512, int8Digest
	if hasOffset(f) {
		sum, digest = sumOffsetDigestsAVX512, int8OffsetDigest
	}
	return func(dst []float32, stride int, panel, w []byte, rowBytes, rows int, x []byte, n, cols int) {
		if n == 0 || rows == 0 || cols == 0 {
			return
		}
		_ = dst[(n-1)*stride+rows-1]
		w, x = w[:(rows-1)*rowBytes+f.RowBytes(cols)], x[:int8Layout.tokens(n, cols/32)]
		values, digests := panel[:cols], panel[ceilDiv(cols, 64)*64:][:cols/32*digest]
		var table [16]*byte
		for t := range n {
			for c := 0; c < cols; c += 512 {
				copy(values[c:min(c+512, cols)], x[(c/512*n+t)*int8Token:])
			}
			for r := 0; r < rows; r += 16 {
				point(table[:], w, rowBytes, r, rows)
				exist := rowMask(rows - r)
				digestRows(f, &digests[0], &table, cols/f.BlockLen(), rowBytes, exist, &values[0])
				sum(&dst[t*stride+r], &digests[0], &x[t*int8Token], n*int8Token, cols/32, exist)
			}
		}
	}
}

func digestRows(f tensor.Format, dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, x *byte) {
	switch f {
	case tensor.Q4_0:
		digestNibblesAVX512(dst, rows, blocks, rowBytes, exist, &q4Table, x)
	case tensor.IQ4_NL:
		digestNibblesAVX512(dst, rows, blocks, rowBytes, exist, &iq4Table, x)
	case tensor.IQ4_XS:
		digestIQ4_XSAVX512(dst, rows, blocks, rowBytes, exist, &iq4Table, x)
	case tensor.MXFP4:
		digestMXFP4AVX512(dst, rows, blocks, rowBytes, exist, &fp4Table, x)
	case tensor.Q5_0:
		digestQ5_0AVX512(dst, rows, blocks, rowBytes, exist, nil, x)
	case tensor.Q8_0:
		digestQ8_0AVX512(dst, rows, blocks, rowBytes, exist, nil, x)
	case tensor.Q4_K:
		digestQ4_KAVX512(dst, rows, blocks, rowBytes, exist, &q4Table, x)
	case tensor.Q5_K:
		digestQ5_KAVX512(dst, rows, blocks, rowBytes, exist, nil, x)
	case tensor.Q6_K:
		digestQ6_KAVX512(dst, rows, blocks, rowBytes, exist, nil, x)
	}
}

// sumDigestsAVX512 adds up the digests of so many blocks of 16 rows; slabs of the token, x, are step bytes apart.
//
//go:noescape
func sumDigestsAVX512(dst *float32, digests, x *byte, step, blocks int, exist uint32)

//go:noescape
func sumOffsetDigestsAVX512(dst *float32, digests, x *byte, step, blocks int, exist uint32)
