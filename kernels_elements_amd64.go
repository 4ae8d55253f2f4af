package gemma4

import (
	"math"
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

// vectors are the loops of one level, over operands whose bounds have been checked. What they compute is said in
// tensor.Kernels, in which order in the assembly. Callers hand over a row or a slice of one: of 2¹⁸ elements, a vocabulary, the slowest
// (GELU on AVX2) takes a tenth of a millisecond, so nothing is cut here.
type vectors struct {
	dot       func(a, b *float32, n int) float32
	addScaled func(dst, x *float32, n int, s float32)
	scale     func(dst, x, weight *float32, n int, r float32)
	max       func(x *float32, n int) float32
	gelu      func(gate, up *float32, n int)
	rotate    func(x, cos, sin *float32, half int)
	softCap   func(x *float32, n int, limit, high, low, most float32)
	expSum    func(x *float32, n int, shift float32) float32
	encodeF16 func(dst *byte, x *float32, n int)
	quantize  func(dst *tensor.Q8, x *float32, n int)
}

func elementsAVX2(k *tensor.Kernels) {
	v := &vectors{
		dot:       dotAVX2,
		addScaled: addScaledAVX2,
		scale:     scaleAVX2,
		max:       maxAVX2,
		gelu:      geluAVX2,
		rotate:    rotateAVX2,
		softCap:   softCapAVX2,
		expSum:    expSumAVX2,
		encodeF16: encodeF16AVX2,
		quantize:  quantizeAVX2,
	}
	v.install(k)
	for f, decode := range map[tensor.Format]func(dst *float32, src *byte, n int){
		tensor.F16:    decodeF16AVX2,
		tensor.BF16:   decodeBF16AVX2,
		tensor.Q4_0:   decodeQ4_0AVX2,
		tensor.Q4_1:   decodeQ4_1AVX2,
		tensor.Q5_0:   decodeQ5_0AVX2,
		tensor.Q5_1:   decodeQ5_1AVX2,
		tensor.Q8_0:   decodeQ8_0AVX2,
		tensor.Q4_K:   decodeQ4_KAVX2,
		tensor.Q5_K:   decodeQ5_KAVX2,
		tensor.Q6_K:   decodeQ6_KAVX2,
		tensor.IQ4_NL: decodeIQ4_NLAVX2,
		tensor.IQ4_XS: decodeIQ4_XSAVX2,
		tensor.MXFP4:  decodeMXFP4AVX2,
		tensor.NVFP4:  decodeNVFP4AVX2,
		tensor.Q2_K:   decodeQ2_KAVX2,
		tensor.Q3_K:   decodeQ3_KAVX2,
		tensor.TQ1_0:  decodeTQ1_0AVX2,
		tensor.TQ2_0:  decodeTQ2_0AVX2,
	} {
		k.Decode[f] = decoder(f, decode)
	}
	for f, decode := range map[tensor.Format]func(dst *float32, src *byte, grid *uint16, n int){
		tensor.IQ1_S:   decodeIQ1_SAVX2,
		tensor.IQ1_M:   decodeIQ1_MAVX2,
		tensor.IQ2_XXS: decodeIQ2_XXSAVX2,
		tensor.IQ2_XS:  decodeIQ2_XSAVX2,
		tensor.IQ2_S:   decodeIQ2_SAVX2,
		tensor.IQ3_XXS: decodeIQ3_XXSAVX2,
		tensor.IQ3_S:   decodeIQ3_SAVX2,
	} {
		grid := first(tensor.Codebook(f))
		k.Decode[f] = decoder(f, func(dst *float32, src *byte, n int) { decode(dst, src, grid, n) })
	}
	k.Decode[tensor.F32] = decodeF32
	k.Encode[tensor.Q8_0] = encoder(tensor.Q8_0, encodeQ8_0AVX2)
	k.Encode[tensor.Q4_0] = encoder(tensor.Q4_0, encodeQ4_0AVX2)
	mixing(k, hadamardAVX2)
}

func elementsAVX512(k *tensor.Kernels) {
	v := &vectors{
		dot:       dotAVX512,
		addScaled: addScaledAVX512,
		scale:     scaleAVX512,
		max:       maxAVX512,
		gelu:      geluAVX512,
		rotate:    rotateAVX512,
		softCap:   softCapAVX512,
		expSum:    expSumAVX512,
		encodeF16: encodeF16AVX512,
		quantize:  quantizeAVX512,
	}
	v.install(k)
	k.Decode[tensor.F16] = decoder(tensor.F16, decodeF16AVX512)
	k.Decode[tensor.BF16] = decoder(tensor.BF16, decodeBF16AVX512)
	k.Decode[tensor.Q8_0] = decoder(tensor.Q8_0, decodeQ8_0AVX512)
}

// install fills the table with loops that check bounds once.
func (v *vectors) install(k *tensor.Kernels) {
	k.Dot = func(a, b []float32) float32 {
		return v.dot(first(a), first(b[:len(a)]), len(a))
	}
	k.AddScaled = func(dst, x []float32, s float32) {
		v.addScaled(first(dst), first(x[:len(dst)]), len(dst), s)
	}
	k.Scale = func(dst, x []float32, s float32) {
		v.scale(first(dst), first(x[:len(dst)]), nil, len(dst), s)
	}
	k.Max = func(x []float32) float32 {
		return v.max(first(x), len(x))
	}
	k.RMSNorm = func(dst, x, weight []float32, eps float32) {
		sum := v.dot(first(x), first(x), len(x))
		r := float32(1 / math.Sqrt(float64(sum)/float64(len(x))+float64(eps)))
		if weight != nil {
			weight = weight[:len(x)]
		}
		v.scale(first(dst[:len(x)]), first(x), first(weight), len(x), r)
	}
	k.GELU = func(gate, up []float32) {
		v.gelu(first(gate), first(up[:len(gate)]), len(gate))
	}
	k.Rotate = func(x, cos, sin []float32) {
		half := len(x) / 2
		v.rotate(first(x), first(cos[:half]), first(sin[:half]), half)
	}
	portable := tensor.Portable()
	k.SoftCap = func(x []float32, limit float32) {
		if !(limit > 0x1p-60 && limit < 0x1p60) { // what follows would overflow
			portable.SoftCap(x, limit)
			return
		}
		factor := 2 * math.Log2E / float64(limit)
		high := float32(factor)
		v.softCap(first(x), len(x), limit, high, float32(factor-float64(high)), float32(30/factor))
	}
	k.ExpSum = func(x []float32, shift float32) float32 {
		return v.expSum(first(x), len(x), shift)
	}
	k.Encode[tensor.F16] = encoder(tensor.F16, v.encodeF16)
	k.Quantize = func(dst []tensor.Q8, x []float32) {
		v.quantize(first(dst[:tensor.Q8Len(len(x))]), first(x), len(x))
	}
}

// decoder makes a decoder of a loop over blocks.
func decoder(f tensor.Format, loop func(dst *float32, src *byte, blocks int)) func(dst []float32, src []byte) {
	values, bytes := f.BlockLen(), f.BlockBytes()
	return func(dst []float32, src []byte) {
		blocks := len(dst) / values
		if blocks*values != len(dst) || blocks*bytes > len(src) {
			f.Decode(dst, src) // panics and says why
		}
		loop(first(dst), first(src), blocks)
	}
}

// encoder makes an encoder of a loop over blocks.
func encoder(f tensor.Format, loop func(dst *byte, x *float32, blocks int)) func(dst []byte, x []float32) {
	values, bytes := f.BlockLen(), f.BlockBytes()
	return func(dst []byte, x []float32) {
		blocks := len(x) / values
		x = x[:blocks*values]
		loop(first(dst[:blocks*bytes]), first(x), blocks)
	}
}

// decodeF32: floats lie in files as they lie in memory.
func decodeF32(dst []float32, src []byte) {
	copy(unsafe.Slice((*byte)(unsafe.Pointer(first(dst))), 4*len(dst)), src[:4*len(dst)])
}

func first[T any](s []T) *T { return unsafe.SliceData(s) }

//go:noescape
func dotAVX2(a, b *float32, n int) float32

//go:noescape
func dotAVX512(a, b *float32, n int) float32

//go:noescape
func addScaledAVX2(dst, x *float32, n int, s float32)

//go:noescape
func addScaledAVX512(dst, x *float32, n int, s float32)

//go:noescape
func scaleAVX2(dst, x, weight *float32, n int, r float32)

//go:noescape
func scaleAVX512(dst, x, weight *float32, n int, r float32)

//go:noescape
func maxAVX2(x *float32, n int) float32

//go:noescape
func maxAVX512(x *float32, n int) float32

//go:noescape
func geluAVX2(gate, up *float32, n int)

//go:noescape
func geluAVX512(gate, up *float32, n int)

//go:noescape
func rotateAVX2(x, cos, sin *float32, half int)

//go:noescape
func rotateAVX512(x, cos, sin *float32, half int)

//go:noescape
func softCapAVX2(x *float32, n int, limit, high, low, most float32)

//go:noescape
func softCapAVX512(x *float32, n int, limit, high, low, most float32)

//go:noescape
func expSumAVX2(x *float32, n int, shift float32) float32

//go:noescape
func expSumAVX512(x *float32, n int, shift float32) float32

//go:noescape
func encodeF16AVX2(dst *byte, x *float32, n int)

//go:noescape
func encodeF16AVX512(dst *byte, x *float32, n int)

//go:noescape
func encodeQ8_0AVX2(dst *byte, x *float32, blocks int)

//go:noescape
func encodeQ4_0AVX2(dst *byte, x *float32, blocks int)

//go:noescape
func hadamardAVX2(x *float32, pieces int)

//go:noescape
func quantizeAVX2(dst *tensor.Q8, x *float32, n int)

//go:noescape
func quantizeAVX512(dst *tensor.Q8, x *float32, n int)

// The decoders take values (F16, BF16) or blocks.

//go:noescape
func decodeF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func decodeF16AVX512(dst *float32, src *byte, n int)

//go:noescape
func decodeBF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func decodeBF16AVX512(dst *float32, src *byte, n int)

//go:noescape
func decodeQ8_0AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ8_0AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ4_0AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ4_1AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ5_0AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ5_1AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ4_KAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ5_KAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ6_KAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeIQ4_NLAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeIQ4_XSAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeMXFP4AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeNVFP4AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ2_KAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ3_KAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeTQ1_0AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeTQ2_0AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeIQ1_SAVX2(dst *float32, src *byte, grid *uint16, blocks int)

//go:noescape
func decodeIQ1_MAVX2(dst *float32, src *byte, grid *uint16, blocks int)

//go:noescape
func decodeIQ2_XXSAVX2(dst *float32, src *byte, grid *uint16, blocks int)

//go:noescape
func decodeIQ2_XSAVX2(dst *float32, src *byte, grid *uint16, blocks int)

//go:noescape
func decodeIQ2_SAVX2(dst *float32, src *byte, grid *uint16, blocks int)

//go:noescape
func decodeIQ3_XXSAVX2(dst *float32, src *byte, grid *uint16, blocks int)

//go:noescape
func decodeIQ3_SAVX2(dst *float32, src *byte, grid *uint16, blocks int)
