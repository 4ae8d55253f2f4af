package kernels

import "github.com/gogemma/gemma4/tensor"

// panelKind is the form of a panel of AVX2. It stands in the first byte of the panel's header.
type panelKind byte

const (
	bytes5       panelKind = iota // bytes from −16 to 15
	bytes5Offset                  // the same with offsets
	words13                       // from −4096 to 4095
)

// panelsAVX2 fills in the panels of AVX2, with the dot product instructions of AVX-VNNI where the machine has them. Both variants give the
// same bits.
func panelsAVX2(k *tensor.Kernels, vnni bool) {
	k.Burn = func(rounds int) int64 {
		if vnni {
			burnVNNI(rounds)
		} else {
			burnAVX2(rounds)
		}
		return int64(max(rounds, 0)) * 12 * 32
	}
	k.Panels = &tensor.PanelKernels{
		Height: 32,
		XTile:  1,
		XBytes: func(n, cols int) int {
			return byteLayout.tokens(n, ceilDiv(cols, 32)) + wordLayout.tokens(n, ceilDiv(cols, 32))
		},
		PackX:      packTokens,
		WBytes:     func(cols int) int { return panelHeader + ceilDiv(cols, 32)*wordBlock },
		PackFloats: packWords,
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, _ []byte) {
			multiplyBytesOrWords(dst, stride, w, rows, x, n, cols, vnni)
		},
	}
	for f, kind := range map[tensor.Format]panelKind{
		tensor.Q4_0:   bytes5,
		tensor.Q4_K:   bytes5Offset,
		tensor.Q5_0:   bytes5,
		tensor.MXFP4:  bytes5,
		tensor.Q5_K:   bytes5Offset,
		tensor.Q6_K:   words13,
		tensor.Q8_0:   words13,
		tensor.IQ4_NL: words13,
		tensor.IQ4_XS: words13,
	} {
		k.Panels.PackW[f] = packBytesOrWords(f, kind)
	}
	k.BurnFloats = func(rounds int) int64 {
		burnFloatsAVX2(rounds)
		return int64(max(rounds, 0)) * 12 * 8
	}
	k.FloatPanels = floatPanels(16, 256, packFloatsAVX2, panelFloatsAVX2)
	k.FloatPanels.Burn = k.BurnFloats
}

const (
	byteBlock = 1408 // bytes of 32 rows × 32 columns
	wordBlock = 2176
	byteToken = 640 // bytes of a token's slab of 512 columns
	wordToken = 544 // bytes of a token's slab of 256 columns
)

var (
	byteLayout = panelLayout{slab: 16, block: byteBlock, token: byteToken}
	wordLayout = panelLayout{slab: 8, block: wordBlock, token: wordToken}
)

// packBytesOrWords returns the packer of a format that has one in assembly.
func packBytesOrWords(f tensor.Format, kind panelKind) func(dst, w []byte, rowBytes, rows, cols int) {
	block := byteBlock
	if kind == words13 {
		block = wordBlock
	}
	return func(dst, w []byte, rowBytes, rows, cols int) {
		dst[0] = byte(kind)
		blocks := cols / f.BlockLen()
		if rows == 0 || blocks == 0 {
			return
		}
		w, dst = w[:(rows-1)*rowBytes+f.RowBytes(cols)], dst[panelHeader:][:cols/32*block]
		var table [8]*byte
		for v := range 4 {
			point(table[:], w, rowBytes, 8*v, rows)
			exist := rowMask(min(rows-8*v, 8))
			switch to := &dst[32*v]; f {
			case tensor.Q4_0:
				packQ4_0AVX2(to, &table, blocks, rowBytes, exist, &q4Table)
			case tensor.Q4_K:
				packQ4_KAVX2(to, &table, blocks, rowBytes, exist, &q4Table)
			case tensor.Q5_0:
				packQ5_0AVX2(to, &table, blocks, rowBytes, exist)
			case tensor.Q5_K:
				packQ5_KAVX2(to, &table, blocks, rowBytes, exist)
			case tensor.MXFP4:
				packMXFP4AVX2(to, &table, blocks, rowBytes, exist, &fp4Table)
			case tensor.Q6_K:
				packQ6_KAVX2(to, &table, blocks, rowBytes, exist)
			case tensor.Q8_0:
				packQ8_0AVX2(to, &table, blocks, rowBytes, exist)
			case tensor.IQ4_NL:
				packIQ4_NLAVX2(to, &table, blocks, rowBytes, exist, &iq4Table)
			case tensor.IQ4_XS:
				packIQ4_XSAVX2(to, &table, blocks, rowBytes, exist, &iq4Table)
			}
		}
	}
}

func packWords(dst []byte, w []float32, rows, cols int) {
	dst[0] = byte(words13)
	if rows == 0 || cols == 0 {
		return
	}
	w, dst = w[:rows*cols], dst[panelHeader:][:ceilDiv(cols, 32)*wordBlock]
	var table [8]*float32
	var filled [8][32]float32 // the last block
	for v := range 4 {
		point(table[:], w, cols, 8*v, rows)
		exist := rowMask(min(rows-8*v, 8))
		packFloatsWordsAVX2(&dst[32*v], &table, cols/32, exist)
		if rest := cols % 32; rest > 0 {
			for r := range table {
				copy(filled[r][:], w[(min(8*v+r, rows-1)+1)*cols-rest:][:rest])
				table[r] = &filled[r][0]
			}
			packFloatsWordsAVX2(&dst[cols/32*wordBlock+32*v], &table, 1, exist)
		}
	}
}

func packTokens(dst []byte, x []float32, n, cols, from, to int) {
	asBytes := dst[:byteLayout.tokens(n, ceilDiv(cols, 32))]
	asWords := dst[len(asBytes):]
	for t := from; t < to; t++ {
		row := x[t*cols : (t+1)*cols]
		for p := 0; len(row) > 0; p++ {
			b := asBytes[(p/2*n+t)*byteToken:][:byteToken]
			w := asWords[(p*n+t)*wordToken:][:wordToken]
			part := row
			if len(row) < 256 {
				var filled [256]float32
				copy(filled[:], row)
				part = filled[:]
			}
			packTokenAVX2(&b[p%2*256], &b[512+p%2*32], &w[0], &part[0])
			row = row[min(256, len(row)):]
		}
	}
}

// loopAVX2 returns the loop over panels of a kind.
func loopAVX2(kind panelKind, vnni bool) panelLoop {
	switch {
	case vnni && kind == words13:
		return panelWordsVNNI
	case vnni && kind == bytes5Offset:
		return panelBytesOffsetVNNI
	case vnni:
		return panelBytesVNNI
	case kind == words13:
		return panelWordsAVX2
	case kind == bytes5Offset:
		return panelBytesOffsetAVX2
	}
	return panelBytesAVX2
}

func multiplyBytesOrWords(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, vnni bool) {
	kind, blocks, layout := panelKind(w[0]), ceilDiv(cols, 32), byteLayout
	if kind == words13 {
		x, layout = x[byteLayout.tokens(n, blocks):], wordLayout
	}
	layout.multiply(loopAVX2(kind, vnni), dst, stride, w[panelHeader:], rows, x, n, blocks)
}

// The loops over panels, see panelLoop.

//go:noescape
func panelBytesAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelBytesOffsetAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelWordsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelBytesVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelBytesOffsetVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelWordsVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

// packTokenAVX2 rounds 256 activations of a token to bytes and to words.
//
//go:noescape
func packTokenAVX2(bytes, scales, words *byte, x *float32)

//go:noescape
func packQ4_0AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packQ4_KAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packQ5_0AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)

//go:noescape
func packQ5_KAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)

//go:noescape
func packMXFP4AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packQ6_KAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)

//go:noescape
func packQ8_0AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)

//go:noescape
func packIQ4_NLAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packIQ4_XSAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packFloatsWordsAVX2(dst *byte, rows *[8]*float32, blocks int, exist uint32)

func burnAVX2(rounds int)

func burnVNNI(rounds int)
