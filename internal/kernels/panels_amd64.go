package kernels

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// Panels are some rows of weights that many tokens are multiplied with. At avx2 they are bytes or words, by format, at avx512 bytes, and
// of weights that are floats at both levels floats. The layouts stand in the assembly,
// panels_avx{2,512}_{products,floats}_amd64.s. Those of amx are in files of their own, amx_*.

// panelKind is the form of a panel. It stands in the first byte of the panel's header.
type panelKind byte

const (
	bytes4       panelKind = iota // bytes from −8 to 7
	bytes4Offset                  // the same with offsets
	bytes5                        // bytes from −16 to 15
	bytes5Offset                  // the same with offsets
	words13                       // from −4096 to 4095

	int8s       // at avx512: bytes
	int8sOffset // the same with offsets
)

const panelHeader = 64 // bytes

// panelTokens is how many tokens a call of the assembly takes at most: some 0.2 ms.
const panelTokens = 3072

// parts returns how many parts of the given length there are in n.
func parts(n, length int) int { return (n + length - 1) / length }

// rowMask has a bit for each of up to 16 rows.
func rowMask(rows int) uint32 { return 1<<max(0, min(16, rows)) - 1 }

// The weights that nibbles stand for, without their scale.
var (
	q4Table  = [16]int8{-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7}
	iq4Table = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	fp4Table = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
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
		Height:     32,
		XTile:      1,
		XBytes:     func(n, cols int) int { return parts(cols, 512)*n*byteToken + parts(cols, 256)*n*wordToken },
		PackX:      packTokens,
		WBytes:     func(cols int) int { return panelHeader + parts(cols, 32)*wordBlock },
		PackFloats: packWords,
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int) {
			multiplyBytesOrWords(dst, stride, w, rows, x, n, cols, vnni)
		},
	}
	for f, kind := range map[tensor.Format]panelKind{
		tensor.Q4_0:   bytes4,
		tensor.Q4_K:   bytes4Offset,
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
	k.FloatPanels = floatPanels(16, 256, packFloatsAVX2, panelFloatsAVX2)
}

// Bytes and words, at avx2.

const (
	byteBlock = 1408 // bytes of 32 rows × 32 columns
	wordBlock = 2176
	byteToken = 640 // bytes of a token's part of 512 columns
	wordToken = 544 // bytes of a token's part of 256 columns
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
			for r := range table {
				table[r] = &w[min(8*v+r, rows-1)*rowBytes]
			}
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
	w, dst = w[:rows*cols], dst[panelHeader:][:parts(cols, 32)*wordBlock]
	var table [8]*float32
	for v := range 4 {
		for r := range table {
			table[r] = &w[min(8*v+r, rows-1)*cols]
		}
		exist := rowMask(min(rows-8*v, 8))
		packFloatsWordsAVX2(&dst[32*v], &table, cols/32, exist)
		if rest := cols % 32; rest > 0 {
			var filled [8][32]float32
			for r := range table {
				copy(filled[r][:], w[(min(8*v+r, rows-1)+1)*cols-rest:][:rest])
				table[r] = &filled[r][0]
			}
			packFloatsWordsAVX2(&dst[cols/32*wordBlock+32*v], &table, 1, exist)
		}
	}
}

func packTokens(dst []byte, x []float32, n, cols, from, to int) {
	asBytes, asWords := dst[:parts(cols, 512)*n*byteToken], dst[parts(cols, 512)*n*byteToken:]
	for t := from; t < to; t++ {
		row := x[t*cols : (t+1)*cols]
		for p := 0; len(row) > 0; p++ {
			b := asBytes[(p/2*n+t)*byteToken:][:byteToken]
			w := asWords[(p*n+t)*wordToken:][:wordToken]
			if len(row) >= 256 {
				packTokenAVX2(&b[p%2*256], &b[512+p%2*32], &w[0], &row[0], 8)
				row = row[256:]
				continue
			}
			var filled [256]float32
			packTokenAVX2(&b[p%2*256], &b[512+p%2*32], &w[0], &filled[0], parts(copy(filled[:], row), 32))
			break
		}
	}
}

func multiplyBytesOrWords(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, vnni bool) {
	if n == 0 || rows == 0 {
		return
	}
	_ = dst[(n-1)*stride+rows-1]
	kind, block, token, part := panelKind(w[0]), byteBlock, byteToken, 16
	if kind == words13 {
		x = x[parts(cols, 512)*n*byteToken:]
		block, token, part = wordBlock, wordToken, 8
	}
	exist, add := uint32(1<<rows-1), uint32(0)
	blocks := parts(cols, 32)
	for b := 0; b < blocks; b += part {
		some := min(part, blocks-b)
		tokens := x[b/part*n*token:][:n*token]
		panel := &w[panelHeader+b*block:][:some*block][0]
		for t := 0; t < n; t += panelTokens {
			to, from, m := &dst[t*stride], &tokens[t*token], min(panelTokens, n-t)
			switch {
			case vnni && kind == words13:
				panelWordsVNNI(to, stride, panel, from, m, some, exist, add)
			case vnni && (kind == bytes4Offset || kind == bytes5Offset):
				panelBytesOffsetVNNI(to, stride, panel, from, m, some, exist, add)
			case vnni:
				panelBytesVNNI(to, stride, panel, from, m, some, exist, add)
			case kind == bytes4:
				panelFourBitsAVX2(to, stride, panel, from, m, some, exist, add)
			case kind == bytes4Offset:
				panelFourBitsOffsetAVX2(to, stride, panel, from, m, some, exist, add)
			case kind == bytes5:
				panelFiveBitsAVX2(to, stride, panel, from, m, some, exist, add)
			case kind == bytes5Offset:
				panelFiveBitsOffsetAVX2(to, stride, panel, from, m, some, exist, add)
			default:
				panelWordsAVX2(to, stride, panel, from, m, some, exist, add)
			}
		}
		add = exist
	}
}

// The assembly takes a part of the columns, at most 16 blocks of 32, or 8 of words. Products are added to dst, or dst is set if add is 0. Rows
// are bits of exist.

//go:noescape
func panelFourBitsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelFourBitsOffsetAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelFiveBitsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelFiveBitsOffsetAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelWordsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelBytesVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelBytesOffsetVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelWordsVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

// packTokenAVX2 rounds up to 8 blocks of a token's activations to bytes and to words.
//
//go:noescape
func packTokenAVX2(bytes, scales, words *byte, x *float32, blocks int)

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

func panelsAVX512(k *tensor.Kernels) {
	k.Burn = func(rounds int) int64 {
		burnAVX512(rounds)
		return int64(max(rounds, 0)) * 24 * 64
	}
	k.Panels = &tensor.PanelKernels{
		Height: 32,
		XTile:  1,
		XBytes: func(n, cols int) int {
			return parts(cols, 512) * n * int8Token
		},
		PackX: packTokensInt8,
		WBytes: func(cols int) int {
			return panelHeader + parts(cols, 32)*int8OffsetBlock
		},
		PackFloats: packFloatsInt8,
		Multiply:   multiplyInt8,
	}
	for _, f := range []tensor.Format{tensor.Q4_0, tensor.Q5_0, tensor.Q8_0, tensor.IQ4_NL, tensor.IQ4_XS, tensor.MXFP4,
		tensor.Q4_K, tensor.Q5_K, tensor.Q6_K} {
		k.Panels.PackW[f] = packInt8(f)
	}
	k.FloatPanels = floatPanels(32, 128, packFloatsAVX512, panelFloatsAVX512)
}

// Bytes, at avx512.

const (
	int8Block       = 1152 // bytes of 32 rows × 32 columns
	int8OffsetBlock = 1280
	int8Token       = 704 // bytes of a token's part of 512 columns
)

// packInt8 returns the packer of a format that has one in assembly.
func packInt8(f tensor.Format) func(dst, w []byte, rowBytes, rows, cols int) {
	kind, block := int8s, int8Block
	if f == tensor.Q4_K || f == tensor.Q5_K {
		kind, block = int8sOffset, int8OffsetBlock
	}
	return func(dst, w []byte, rowBytes, rows, cols int) {
		dst[0] = byte(kind)
		blocks := cols / f.BlockLen()
		if rows == 0 || blocks == 0 {
			return
		}
		w, dst = w[:(rows-1)*rowBytes+f.RowBytes(cols)], dst[panelHeader:][:cols/32*block]
		var table [16]*byte
		for v := range 2 {
			for r := range table {
				table[r] = &w[min(16*v+r, rows-1)*rowBytes]
			}
			exist := rowMask(rows - 16*v)
			to := &dst[64*v]
			switch f {
			case tensor.Q4_0:
				packNibblesAVX512(to, &table, blocks, rowBytes, exist, &q4Table)
			case tensor.IQ4_NL:
				packNibblesAVX512(to, &table, blocks, rowBytes, exist, &iq4Table)
			case tensor.IQ4_XS:
				packIQ4_XSAVX512(to, &table, blocks, rowBytes, exist, &iq4Table)
			case tensor.MXFP4:
				packMXFP4AVX512(to, &table, blocks, rowBytes, exist, &fp4Table)
			case tensor.Q5_0:
				packQ5_0AVX512(to, &table, blocks, rowBytes, exist)
			case tensor.Q8_0:
				packQ8_0AVX512(to, &table, blocks, rowBytes, exist)
			case tensor.Q4_K:
				packQ4_KAVX512(to, &table, blocks, rowBytes, exist, &q4Table)
			case tensor.Q5_K:
				packQ5_KAVX512(to, &table, blocks, rowBytes, exist)
			case tensor.Q6_K:
				packQ6_KAVX512(to, &table, blocks, rowBytes, exist)
			}
		}
	}
}

func packFloatsInt8(dst []byte, w []float32, rows, cols int) {
	dst[0] = byte(int8s)
	blocks := parts(cols, 32)
	if rows == 0 || blocks == 0 {
		return
	}
	w, dst = w[:rows*cols], dst[panelHeader:][:blocks*int8Block]
	var table [16]*float32
	for v := range 2 {
		for r := range table {
			table[r] = &w[min(16*v+r, rows-1)*cols]
		}
		packFloatsInt8AVX512(&dst[64*v], &table, blocks, rowMask(rows-16*v), lastMask(cols))
	}
}

// lastMask has a bit for each column of a row's last block of 32.
func lastMask(cols int) uint32 { return 0xFFFFFFFF >> ((32 - cols%32) % 32) }

func packTokensInt8(dst []byte, x []float32, n, cols, from, to int) {
	parts, step := cols/512, n*int8Token
	for t := from; t < to; t++ {
		row := x[t*cols : (t+1)*cols]
		if parts > 0 {
			packTokenInt8AVX512(&dst[:(parts-1)*step+(t+1)*int8Token][t*int8Token], step, &row[0], parts)
		}
		if rest := row[512*parts:]; len(rest) > 0 {
			var filled [512]float32
			copy(filled[:], rest)
			packTokenInt8AVX512(&dst[parts*step+t*int8Token:][:int8Token][0], step, &filled[0], 1)
		}
	}
}

func multiplyInt8(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int) {
	if n == 0 || rows == 0 {
		return
	}
	_ = dst[(n-1)*stride+rows-1]
	kind, block := panelKind(w[0]), int8Block
	if kind == int8sOffset {
		block = int8OffsetBlock
	}
	exist, add := uint32(1<<rows-1), uint32(0)
	blocks := parts(cols, 32)
	for b := 0; b < blocks; b += 16 {
		some := min(16, blocks-b)
		tokens := x[b/16*n*int8Token:][:n*int8Token]
		panel := &w[panelHeader+b*block:][:some*block][0]
		for t := 0; t < n; t += panelTokens {
			to, from, m := &dst[t*stride], &tokens[t*int8Token], min(panelTokens, n-t)
			if kind == int8sOffset {
				panelInt8OffsetAVX512(to, stride, panel, from, m, some, exist, add)
			} else {
				panelInt8AVX512(to, stride, panel, from, m, some, exist, add)
			}
		}
		add = exist
	}
}

//go:noescape
func panelInt8AVX512(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

//go:noescape
func panelInt8OffsetAVX512(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)

// packTokenInt8AVX512 rounds parts of 512 activations; they are step bytes apart in dst.
//
//go:noescape
func packTokenInt8AVX512(dst *byte, step int, x *float32, parts int)

//go:noescape
func packNibblesAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packMXFP4AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packIQ4_XSAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packQ5_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)

//go:noescape
func packQ8_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)

//go:noescape
func packQ4_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)

//go:noescape
func packQ5_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)

//go:noescape
func packQ6_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)

//go:noescape
func packFloatsInt8AVX512(dst *byte, rows *[16]*float32, blocks int, exist, last uint32)

func burnAVX512(rounds int)

// Floats.

// floatPanels returns the kernels for panels of floats of one level, of the given height; part is how many columns are summed up
// before their sums are added to dst. pack packs columns in multiples of 8, or of 4 for F32; multiply adds, or sets if add is 0, the
// products of a part, for the rows that are set in exist.
func floatPanels(height, part int, pack func(dst []byte, f tensor.Format, w []byte, rowBytes, rows, cols int),
	multiply func(dst *float32, stride int, w, x *byte, n, cols int, exist, add uint32)) *tensor.PanelKernels {
	p := &tensor.PanelKernels{
		Height: height,
		XTile:  1,
		XBytes: func(n, cols int) int {
			return (cols + part - 1) / part * n * part * 4
		},
		PackX: func(dst []byte, x []float32, n, cols, from, to int) {
			for t := from; t < to; t++ {
				row := x[t*cols : (t+1)*cols]
				for c := 0; c < cols; c += part {
					some := min(part, cols-c)
					copy(floatsOf(dst[4*(c*n+t*part):], some), row[c:c+some])
				}
			}
		},
		WBytes: func(cols int) int { return height * cols * 4 },
		Multiply: func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int) {
			if n == 0 || rows == 0 {
				return
			}
			_ = dst[(n-1)*stride+rows-1]
			exist, add := uint32(1<<rows-1), uint32(0)
			for c := 0; c < cols; c += part {
				some := min(part, cols-c)
				tokens := x[4*c*n:][:4*n*part]
				panel := w[4*height*c:][:4*height*some]
				for t := 0; t < n; t += panelTokens {
					multiply(&dst[t*stride], stride, &panel[0], &tokens[4*t*part], min(panelTokens, n-t), some, exist, add)
				}
				add = exist
			}
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
		for r := range table {
			table[r] = &w[min(16*v+r, rows-1)*rowBytes]
		}
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
		for r := range table {
			table[r] = &w[min(8*v+r, rows-1)*rowBytes]
		}
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

// floatsOf views the beginning of b, which is aligned or on a machine that does not mind, as n floats.
func floatsOf(b []byte, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b[:4*n]))), n)
}

func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

//go:noescape
func panelFloatsAVX2(dst *float32, stride int, w, x *byte, n, cols int, exist, add uint32)

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
