package kernels

import (
	"encoding/binary"

	"github.com/gogemma/gemma4/tensor"
)

// attentionAMX fills in attention with products in tiles, over that of BF16: what is packed lies as it does there.
func attentionAMX(k *tensor.Kernels) {
	a := *k.Attention
	a.Scores = func(dst []float32, q []uint16, n int, keys []uint16, dim int, _ []byte) {
		size := tensor.Packed(dim)
		if n == 0 {
			return
		}
		_, _, _ = dst[n*tensor.Strip-1], q[n*size-1], keys[size*tensor.Strip-1]
		for i := 0; i < n; i += callQueries {
			multiplyAMX(dst[i*tensor.Strip:], tensor.Strip, q[i*size:], size, keys, min(callQueries, n-i), size/32, tensor.Strip, false)
		}
	}
	a.Weigh = func(dst []float32, stride int, factor []float32, weights, values []uint16, dim int, _ []byte) {
		n := len(factor)
		if n == 0 || dim == 0 {
			return
		}
		_, _, _ = dst[(n-1)*stride+dim-1], weights[n*tensor.Strip-1], values[tensor.PackedValues(dim)-1]
		rescale(k, dst, stride, factor, dim)
		for i := 0; i < n; i += callQueries {
			multiplyAMX(dst[i*stride:], stride, weights[i*tensor.Strip:], tensor.Strip, values, min(callQueries, n-i), tensor.Strip/32,
				dim, true)
		}
	}
	k.Attention = &a
}

// multiplyAMX sets dst [n, columns] to the products of rows a [n, 32·steps] and of b, in panels of 64 columns as packed values are, or adds
// them to what dst has. Blocks are 32 rows by 32 columns; what is left on either side has tiles of its own size, and a panel that is left
// rows of its own.
func multiplyAMX(dst []float32, stride int, a []uint16, aStride int, b []uint16, n, steps, columns int, add bool) {
	panel := 64 * 32 * steps // numbers of one
	for _, rows := range [2][2]int{{0, n &^ 31}, {n &^ 31, n}} {
		for _, cols := range [3][2]int{{0, columns &^ 63}, {columns &^ 63, columns &^ 31}, {columns &^ 31, columns}} {
			if rows[0] == rows[1] || cols[0] == cols[1] {
				continue
			}
			height, width := rows[1]-rows[0], cols[1]-cols[0]
			config := blockTiles(min(32, height), min(32, width))
			wide := min(64, (columns-cols[0]&^63+15)&^15) // columns of the panel that is begun with
			attendTilesAMX(&config, &dst[rows[0]*stride+cols[0]], 4*stride, &a[rows[0]*aStride], 2*aStride,
				&b[cols[0]&^63/64*panel+cols[0]%64*2], 4*wide, 2*panel, steps, ceilDiv(height, 32), ceilDiv(width, 32), add)
		}
	}
}

// blockTiles returns the configuration for a block: tiles 0 to 3 are its sums, two by two, 4 and 5 rows, 6 and 7 columns.
func blockTiles(rows, columns int) (config [64]byte) {
	config[0] = 1
	set := func(tile, rows, columns int) {
		if rows > 0 && columns > 0 {
			config[48+tile] = byte(rows)
			binary.LittleEndian.PutUint16(config[16+2*tile:], uint16(4*columns))
		}
	}
	r, c := [2]int{min(16, rows), rows - min(16, rows)}, [2]int{min(16, columns), columns - min(16, columns)}
	for i := range 2 {
		for j := range 2 {
			set(2*i+j, r[i], c[j])
		}
		set(4+i, r[i], 16)
		set(6+i, min(1, c[i])*16, c[i])
	}
	return config
}

// attendTilesAMX multiplies blocks of rows and columns. All distances are in bytes: stride and aStride between rows, bStride between pairs,
// panel between 64 columns.
//
//go:noescape
func attendTilesAMX(config *[64]byte, dst *float32, stride int, a *uint16, aStride int, b *uint16, bStride, panel, steps, rows, columns int,
	add bool)
