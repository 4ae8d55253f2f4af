package kernels

import "github.com/gogemma/gemma4/tensor"

// pairLayout is that of floats at avx512, with a pair of columns in the place of one.
var pairLayout = panelLayout{slab: 128, block: 128, token: 512}

const (
	pairSlab  = 256 // columns of a slab
	pairRound = 128 // columns that are rounded before they are packed
)

// panelsBF16 fills in the panels of pairs of bf16. F32 keeps its exact ones.
func panelsBF16(k *tensor.Kernels) {
	k.HalfPanels = &tensor.PanelKernels{
		Height: 32,
		XTile:  1,
		XBytes: func(n, cols int) int { return pairLayout.tokens(n, ceilDiv(cols, 2)) },
		PackX:  packTokenPairs,
		WBytes: func(cols int) int { return ceilDiv(cols, 8) * 4 * pairLayout.block },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			packPairs(dst, tensor.F32, bytesOf(w[:rows*cols]), 4*cols, rows, cols)
		},
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
			pairLayout.multiply(panelPairsBF16, dst, stride, w, rows, x, n, ceilDiv(cols, 2))
		},
		Burn: func(rounds int) int64 {
			burnBF16(rounds)
			return int64(max(rounds, 0)) * 12 * 32
		},
	}
	for _, f := range []tensor.Format{tensor.F16, tensor.BF16} {
		k.HalfPanels.PackW[f] = func(dst, w []byte, rowBytes, rows, cols int) { packPairs(dst, f, w, rowBytes, rows, cols) }
	}
}

func packTokenPairs(dst []byte, x []float32, n, cols, from, to int) {
	for t := from; t < to; t++ {
		row := bytesOf(x[t*cols : (t+1)*cols])
		for c := 0; c < cols; c += pairSlab {
			some := min(pairSlab, cols-c)
			roundBF16(&dst[2*c*n+t*pairLayout.token:][:4*ceilDiv(some, 2)][0], &row[4*c], some)
		}
	}
}

// packPairs rounds some columns of 16 rows at a time, and transposes them.
func packPairs(dst []byte, f tensor.Format, w []byte, rowBytes, rows, cols int) {
	var rounded [16][2 * pairRound]byte
	var table [16]*byte
	for i := range table {
		table[i] = &rounded[i][0]
	}
	for first := 0; first < 32; first += 16 {
		exist := max(0, min(16, rows-first))
		clear(rounded[exist:])
		for c := 0; c < cols; c += pairRound {
			some := min(pairRound, cols-c)
			for r := range exist {
				switch from := w[(first+r)*rowBytes+f.RowBytes(c):][:f.RowBytes(some)]; f {
				case tensor.F32:
					roundBF16(table[r], &from[0], some)
				case tensor.F16:
					roundHalvesBF16(table[r], &from[0], some)
				default:
					clear(rounded[r][copy(rounded[r][:], from):])
				}
			}
			packF32AVX512(&dst[c/2*pairLayout.block+4*first:][:ceilDiv(some, 8)*4*pairLayout.block-4*first][0], &table, ceilDiv(some, 8))
		}
	}
}

//go:noescape
func panelPairsBF16(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

// roundBF16 rounds n floats to whole pairs, the last one perhaps with a zero.
//
//go:noescape
func roundBF16(dst, x *byte, n int)

// roundHalvesBF16 does so from F16.
//
//go:noescape
func roundHalvesBF16(dst, x *byte, n int)

func burnBF16(rounds int)
