package kernels

import "github.com/gogemma/gemma4/tensor"

const (
	tileRows  = 32   // rows of a block of weights
	tileBlock = 2048 // its bytes, for 32 columns; twice those of 16 tokens

	// slabBlocks is how many blocks of columns a slab has: so much of a panel, 256 KB, stays in the second-level cache.
	slabBlocks = 64
	// callOps is how many multiply-adds a call of the assembly does at most: some 0.3 ms.
	callOps = 1 << 28
)

// panelsAMX fills in the panels of tiles. F32 keeps its exact ones.
func panelsAMX(k *tensor.Kernels) {
	k.Burn = func(rounds int) int64 {
		burnAMX(rounds)
		return int64(max(rounds, 0)) * 8 * 16 * 16 * 32
	}
	k.Panels = &tensor.PanelKernels{
		// Activations that no cache near the core holds are read once for so many rows.
		Height: 64,
		XTile:  16,
		XBytes: func(n, cols int) int { return ceilDiv(n, 16) * ceilDiv(cols, 32) * tileBlock / 2 },
		PackX:  packTiles,
		WBytes: func(cols int) int { return 64 / tileRows * ceilDiv(cols, 32) * tileBlock },
		PackFloats: func(dst []byte, w []float32, rows, cols int) {
			packWeights(tensor.F32, dst, bytesOf(w), 4*cols, rows, cols)
		},
		Multiply: multiplyTiles,
	}
	k.HalfPanels = nil // these go through tiles, too
	for _, f := range append(panelFormats[:], tensor.F16, tensor.BF16) {
		k.Panels.PackW[f] = func(dst, w []byte, rowBytes, rows, cols int) { packWeights(f, dst, w, rowBytes, rows, cols) }
	}
}

// packWeights packs rows of a format that has a packer in assembly.
func packWeights(f tensor.Format, dst, w []byte, rowBytes, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	all := ceilDiv(cols, 32)
	blocks, last := cols/f.BlockLen(), lastMask(cols)
	_ = w[(rows-1)*rowBytes+f.RowBytes(cols)-1]
	for from := 0; from < rows; from += tileRows {
		some := min(tileRows, rows-from)
		block := dst[from/tileRows*all*tileBlock:][:all*tileBlock]
		switch to, w := &block[0], &w[from*rowBytes]; f {
		case tensor.F32:
			packF32AMX(to, w, all, rowBytes, some, last)
		case tensor.F16:
			packF16AMX(to, w, all, rowBytes, some, last)
		case tensor.BF16:
			packBF16AMX(to, w, all, rowBytes, some, last)
		case tensor.Q4_0:
			packNibblesAMX(to, w, blocks, rowBytes, some, &q4Table)
		case tensor.IQ4_NL:
			packNibblesAMX(to, w, blocks, rowBytes, some, &iq4Table)
		case tensor.IQ4_XS:
			packIQ4_XSAMX(to, w, blocks, rowBytes, some, &iq4Table)
		case tensor.MXFP4:
			packMXFP4AMX(to, w, blocks, rowBytes, some, &fp4Table)
		case tensor.Q5_0:
			packQ5_0AMX(to, w, blocks, rowBytes, some)
		case tensor.Q8_0:
			packQ8_0AMX(to, w, blocks, rowBytes, some)
		case tensor.Q4_K:
			packQ4_KAMX(to, w, blocks, rowBytes, some)
		case tensor.Q5_K:
			packQ5_KAMX(to, w, blocks, rowBytes, some)
		case tensor.Q6_K:
			packQ6_KAMX(to, w, blocks, rowBytes, some)
		}
		for ; some < tileRows && len(block) > 0; block = block[tileBlock:] {
			clear(block[some*64 : tileBlock])
		}
	}
}

func packTiles(dst []byte, x []float32, n, cols, from, to int) {
	blocks := ceilDiv(cols, 32)
	for ; from < to && cols > 0; from += 16 {
		some := min(16, to-from)
		rows := x[from*cols:][:some*cols]
		packTokensAMX(&dst[from/16*blocks*tileBlock/2:][:blocks*tileBlock/2][0], &rows[0], cols, some, blocks, lastMask(cols))
	}
}

func multiplyTiles(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
	if n == 0 || rows == 0 {
		return
	}
	_ = dst[(n-1)*stride+rows-1]
	blocks := ceilDiv(cols, 32)
	step := blocks * tileBlock
	_, _ = w[:ceilDiv(rows, tileRows)*step], x[:ceilDiv(n, 16)*step/2]
	for b := 0; b < blocks; b += slabBlocks {
		slab := min(slabBlocks, blocks-b)
		tokens := max(32, callOps/(ceilDiv(rows, tileRows)*tileRows*slab*32)&^31)
		for t := 0; t < n; t += tokens {
			panelTilesAMX(&dst[t*stride], stride, &w[b*tileBlock], &x[t/16*step/2+b*tileBlock/2], min(tokens, n-t), rows, slab, step, b > 0)
		}
	}
}

// panelTilesAMX multiplies some blocks of columns; products are added to dst, or dst is set. Blocks of 32 rows of the whole panel are step
// bytes long.
//
//go:noescape
func panelTilesAMX(dst *float32, stride int, w, x *byte, n, rows, blocks, step int, add bool)

func burnAMX(rounds int)

//go:noescape
func packTokensAMX(dst *byte, x *float32, cols, tokens, blocks int, last uint32)

// The packers take up to 32 rows; last has a bit for each column of the last block.

//go:noescape
func packF32AMX(dst, w *byte, blocks, rowBytes, rows int, last uint32)

//go:noescape
func packF16AMX(dst, w *byte, blocks, rowBytes, rows int, last uint32)

//go:noescape
func packBF16AMX(dst, w *byte, blocks, rowBytes, rows int, last uint32)

//go:noescape
func packNibblesAMX(dst, w *byte, blocks, rowBytes, rows int, table *[16]int8)

//go:noescape
func packMXFP4AMX(dst, w *byte, blocks, rowBytes, rows int, table *[16]int8)

//go:noescape
func packIQ4_XSAMX(dst, w *byte, blocks, rowBytes, rows int, table *[16]int8)

//go:noescape
func packQ5_0AMX(dst, w *byte, blocks, rowBytes, rows int)

//go:noescape
func packQ8_0AMX(dst, w *byte, blocks, rowBytes, rows int)

//go:noescape
func packQ4_KAMX(dst, w *byte, blocks, rowBytes, rows int)

//go:noescape
func packQ5_KAMX(dst, w *byte, blocks, rowBytes, rows int)

//go:noescape
func packQ6_KAMX(dst, w *byte, blocks, rowBytes, rows int)
