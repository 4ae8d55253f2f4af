package kernels

import (
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// panelsAVX512 fills in the panels of AVX-512.
func panelsAVX512(k *tensor.Kernels) {
	k.Burn = func(rounds int) int64 {
		burnAVX512(rounds)
		return int64(max(rounds, 0)) * 24 * 64
	}
	k.Panels = &tensor.PanelKernels{
		Height:     32,
		XTile:      1,
		XBytes:     func(n, cols int) int { return int8Layout.tokens(n, ceilDiv(cols, 32)) },
		PackX:      packTokensInt8,
		WBytes:     func(cols int) int { return int8Sums + panelHeader + ceilDiv(cols, 32)*int8OffsetBlock },
		PackFloats: packFloatsInt8,
		Multiply:   multiplyInt8,
		Few:        2,
	}
	for _, f := range panelFormats {
		k.Panels.PackW[f] = packInt8(f)
		if f != tensor.Q6_K { // in prompts of E2B's shape a panel of it is quicker
			k.Panels.MultiplyW[f] = multiplyDigests(f)
		}
	}
	k.BurnFloats = func(rounds int) int64 {
		burnFloatsAVX512(rounds)
		return int64(max(rounds, 0)) * 24 * 16
	}
	k.FloatPanels = floatPanels(32, 128, packFloatsAVX512, panelFloatsAVX512)
	k.FloatPanels.Burn = k.BurnFloats
}

const (
	int8Block       = 1152 // bytes of 32 rows × 32 columns
	int8OffsetBlock = 1280
	int8Token       = 704              // bytes of a token's slab
	int8Slab        = 16               // blocks of a slab
	int8Tokens      = 512              // tokens that take turns over the slabs of a panel
	int8Sums        = int8Tokens * 128 // bytes in front of a panel
	int8Fetch       = 128              // bytes that a tile fetches with a block
)

// The first byte of a panel's header tells whether it has offsets.
const (
	int8s byte = iota
	int8sOffset
)

var int8Layout = panelLayout{slab: int8Slab, block: int8Block, token: int8Token}

// hasOffset reports whether weights of a format are scale · integer + offset.
func hasOffset(f tensor.Format) bool { return f == tensor.Q4_K || f == tensor.Q5_K }

// packInt8 returns the packer of a format that has one in assembly.
func packInt8(f tensor.Format) func(dst, w []byte, rowBytes, rows, cols int) {
	kind, block := int8s, int8Block
	if hasOffset(f) {
		kind, block = int8sOffset, int8OffsetBlock
	}
	return func(dst, w []byte, rowBytes, rows, cols int) {
		dst = dst[int8Sums:]
		dst[0] = kind
		blocks := cols / f.BlockLen()
		if rows == 0 || blocks == 0 {
			return
		}
		w, dst = w[:(rows-1)*rowBytes+f.RowBytes(cols)], dst[panelHeader:][:cols/32*block]
		var table [16]*byte
		for v := range 2 {
			point(table[:], w, rowBytes, 16*v, rows)
			exist := rowMask(rows - 16*v)
			to := &dst[64*v]
			switch f {
			case tensor.Q4_0:
				packNibblesAVX512(to, &table, blocks, rowBytes, exist, &q4Table, nil)
			case tensor.IQ4_NL:
				packNibblesAVX512(to, &table, blocks, rowBytes, exist, &iq4Table, nil)
			case tensor.IQ4_XS:
				packIQ4_XSAVX512(to, &table, blocks, rowBytes, exist, &iq4Table, nil)
			case tensor.MXFP4:
				packMXFP4AVX512(to, &table, blocks, rowBytes, exist, &fp4Table, nil)
			case tensor.Q5_0:
				packQ5_0AVX512(to, &table, blocks, rowBytes, exist, nil, nil)
			case tensor.Q8_0:
				packQ8_0AVX512(to, &table, blocks, rowBytes, exist, nil, nil)
			case tensor.Q4_K:
				packQ4_KAVX512(to, &table, blocks, rowBytes, exist, &q4Table, nil)
			case tensor.Q5_K:
				packQ5_KAVX512(to, &table, blocks, rowBytes, exist, nil, nil)
			case tensor.Q6_K:
				packQ6_KAVX512(to, &table, blocks, rowBytes, exist, nil, nil)
			}
		}
	}
}

func packFloatsInt8(dst []byte, w []float32, rows, cols int) {
	dst = dst[int8Sums:]
	dst[0] = int8s
	blocks := ceilDiv(cols, 32)
	if rows == 0 || blocks == 0 {
		return
	}
	w, dst = w[:rows*cols], dst[panelHeader:][:blocks*int8Block]
	var table [16]*float32
	for v := range 2 {
		point(table[:], w, cols, 16*v, rows)
		packFloatsInt8AVX512(&dst[64*v], &table, blocks, rowMask(rows-16*v), lastMask(cols))
	}
}

func packTokensInt8(dst []byte, x []float32, n, cols, from, to int) {
	slabs, step := cols/512, n*int8Token
	for t := from; t < to; t++ {
		row := x[t*cols : (t+1)*cols]
		if slabs > 0 {
			packTokenInt8AVX512(&dst[:(slabs-1)*step+(t+1)*int8Token][t*int8Token], step, &row[0], slabs)
		}
		if rest := row[512*slabs:]; len(rest) > 0 {
			var filled [512]float32
			copy(filled[:], rest)
			packTokenInt8AVX512(&dst[slabs*step+t*int8Token:][:int8Token][0], step, &filled[0], 1)
		}
	}
}

// multiplyInt8 multiplies slab by slab. Sums that are not the last ones yet stand in front of the panel, those of a token beside those of
// the next: in dst they lie so far apart that they fall into a few sets of the caches. The last slabs fetch what is packed next: sooner,
// tokens would drive it out of the cache again.
func multiplyInt8(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, next []byte) {
	if n == 0 || rows == 0 {
		return
	}
	_ = dst[(n-1)*stride+rows-1]
	sums := &floatsOf(w, int8Sums/4)[0]
	loop, block := panelInt8AVX512, int8Block
	if w[int8Sums] == int8sOffset {
		loop, block = panelInt8OffsetAVX512, int8OffsetBlock
	}
	w = w[int8Sums+panelHeader:]
	blocks, exist := ceilDiv(cols, 32), uint32(1<<rows-1)
	early := blocks*fetchedInt8(n) - len(next) // bytes that could be fetched before it is time to
	for t := 0; t < n; t += int8Tokens {
		some, add := min(int8Tokens, n-t), uint32(0)
		for b := 0; b < blocks; b += int8Slab {
			tokens, count := &x[(b/int8Slab*n+t)*int8Token], min(int8Slab, blocks-b)
			from, to, step := sums, sums, 32
			if add == 0 { // even where nothing is loaded, memory that was never written is slow
				from = (*float32)(unsafe.Pointer(tokens))
			}
			if b+count == blocks {
				to, step = &dst[t*stride], stride
			}
			fetch, by := tokens, 0
			fetched := count * fetchedInt8(some)
			if early -= fetched; early < 0 && len(next) > 0 {
				fetch, by = &next[0], int8Fetch
				next = next[min(fetched, len(next)):]
			}
			loop(to, step, from, &w[b*block], tokens, some, count, exist, add, fetch, by)
			add = exist
		}
	}
}

// fetchedInt8 returns how many bytes the loops fetch in passing, per block and for so many tokens.
func fetchedInt8(tokens int) int { return ceilDiv(tokens, 6) * int8Fetch }

// panelInt8AVX512 multiplies a slab of a panel with n tokens. dst is set to the products or, where a bit of add is set, to those and sums,
// [n][32]. Rows are bits of exist. With each block of a tile, int8Fetch bytes at fetch are brought into the cache, which then goes on by so
// many bytes, or by none.
//
//go:noescape
func panelInt8AVX512(dst *float32, stride int, sums *float32, w, x *byte, n, blocks int, exist, add uint32, fetch *byte, by int)

//go:noescape
func panelInt8OffsetAVX512(dst *float32, stride int, sums *float32, w, x *byte, n, blocks int, exist, add uint32, fetch *byte, by int)

// packTokenInt8AVX512 rounds slabs of 512 activations; they are step bytes apart in dst.
//
//go:noescape
func packTokenInt8AVX512(dst *byte, step int, x *float32, slabs int)

//go:noescape
func packNibblesAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func packMXFP4AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func packIQ4_XSAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func packQ5_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func packQ8_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func packQ4_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func packQ5_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func packQ6_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func digestNibblesAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func digestMXFP4AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func digestIQ4_XSAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func digestQ5_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func digestQ8_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func digestQ4_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func digestQ5_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func digestQ6_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8, x *byte)

//go:noescape
func packFloatsInt8AVX512(dst *byte, rows *[16]*float32, blocks int, exist, last uint32)

func burnAVX512(rounds int)
