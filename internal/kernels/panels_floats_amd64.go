package kernels

import (
	"encoding/binary"
	"math"

	"github.com/gogemma/gemma4/tensor"
)

// floatPanels returns the kernels for panels of floats of one level, of the given height; slab is how many columns are summed up
// before their sums are added to dst. pack packs columns in multiples of 8, or of 4 for F32.
func floatPanels(height, slab int, pack func(dst []byte, f tensor.Format, w []byte, rowBytes, rows, cols int),
	multiply panelLoop) *tensor.PanelKernels {
	layout := panelLayout{slab: slab, block: 4 * height, token: 4 * slab}
	p := &tensor.PanelKernels{
		Height: height,
		XTile:  1,
		XBytes: layout.tokens,
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			for t := from; t < to; t++ {
				row := x[t*cols : (t+1)*cols]
				for c := 0; c < cols; c += slab {
					some := min(slab, cols-c)
					copy(floatsOf(dst[4*(c*n+t*slab):], some), row[c:c+some])
				}
			}
		},
		WBytes: func(cols int) int { return cols * layout.block },
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
			layout.multiply(multiply, dst, stride, w, rows, x, n, cols)
		},
	}
	for _, f := range []tensor.Format{tensor.F32, tensor.F16, tensor.BF16} {
		p.PackW[f] = func(dst, w []byte, rowBytes, rows, cols int) {
			if rows == 0 || cols == 0 {
				return
			}
			w, dst = w[:(rows-1)*rowBytes+f.RowBytes(cols)], dst[:4*height*cols]
			pack(dst, f, w, rowBytes, rows, cols)
			packRest(floatsOf(dst, height*cols), height, f, w, rowBytes, rows, cols)
		}
	}
	f32 := p.PackW[tensor.F32]
	p.PackFloats = func(dst []byte, w []float32, rows, cols int) {
		f32(dst, bytesOf(w[:rows*cols]), 4*cols, rows, cols)
	}
	return p
}

// packRest packs the columns that are no whole block and clears the rows that do not exist.
func packRest(dst []float32, height int, f tensor.Format, w []byte, rowBytes, rows, cols int) {
	whole := cols &^ (floatBlock(f) - 1)
	for r := range rows {
		for c := whole; c < cols; c++ {
			v := &dst[c*height+r]
			switch b := w[r*rowBytes:]; f {
			case tensor.F32:
				*v = math.Float32frombits(binary.LittleEndian.Uint32(b[4*c:]))
			case tensor.F16:
				*v = tensor.FromF16(binary.LittleEndian.Uint16(b[2*c:]))
			case tensor.BF16:
				*v = tensor.FromBF16(binary.LittleEndian.Uint16(b[2*c:]))
			}
		}
	}
	if rows < height {
		for c := range cols {
			clear(dst[c*height+rows : (c+1)*height])
		}
	}
}

// floatBlock is how many columns of 16 bytes there are.
func floatBlock(f tensor.Format) int { return 16 / f.BlockBytes() }

func packFloatsAVX512(dst []byte, f tensor.Format, w []byte, rowBytes, rows, cols int) {
	var table [16]*byte
	blocks := cols / floatBlock(f)
	for v := range 2 {
		point(table[:], w, rowBytes, 16*v, rows)
		switch to := &dst[64*v]; f {
		case tensor.F32:
			packF32AVX512(to, &table, blocks)
		case tensor.F16:
			packF16AVX512(to, &table, blocks)
		case tensor.BF16:
			packBF16AVX512(to, &table, blocks)
		}
	}
}

func packFloatsAVX2(dst []byte, f tensor.Format, w []byte, rowBytes, rows, cols int) {
	var table [8]*byte
	blocks := cols / floatBlock(f)
	for v := range 2 {
		point(table[:], w, rowBytes, 8*v, rows)
		switch to := &dst[32*v]; f {
		case tensor.F32:
			packF32AVX2(to, &table, blocks)
		case tensor.F16:
			packF16AVX2(to, &table, blocks)
		case tensor.BF16:
			packBF16AVX2(to, &table, blocks)
		}
	}
}

//go:noescape
func panelFloatsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelFloatsAVX512(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func packF32AVX2(dst *byte, rows *[8]*byte, blocks int)

//go:noescape
func packF16AVX2(dst *byte, rows *[8]*byte, blocks int)

//go:noescape
func packBF16AVX2(dst *byte, rows *[8]*byte, blocks int)

//go:noescape
func packF32AVX512(dst *byte, rows *[16]*byte, blocks int)

//go:noescape
func packF16AVX512(dst *byte, rows *[16]*byte, blocks int)

//go:noescape
func packBF16AVX512(dst *byte, rows *[16]*byte, blocks int)
