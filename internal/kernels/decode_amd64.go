package kernels

import (
	"unsafe"

	"github.com/gogemma/gemma4/tensor"
)

func decodeAVX2(k *tensor.Kernels) {
	for f, decode := range map[tensor.Format]func(dst *float32, src *byte, n int){
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
		grid := unsafe.SliceData(tensor.Codebook(f))
		k.Decode[f] = decoder(f, func(dst *float32, src *byte, n int) { decode(dst, src, grid, n) })
	}
	k.Decode[tensor.F32] = decodeF32
}

func decodeAVX512(k *tensor.Kernels) {
	k.Decode[tensor.Q8_0] = decoder(tensor.Q8_0, decodeQ8_0AVX512)
}

// decoder makes a decoder of a loop over blocks.
func decoder(f tensor.Format, loop func(dst *float32, src *byte, blocks int)) func(dst []float32, src []byte) {
	values, bytes := f.BlockLen(), f.BlockBytes()
	return func(dst []float32, src []byte) {
		blocks := len(dst) / values
		if blocks*values != len(dst) || blocks*bytes > len(src) {
			f.Decode(dst, src) // panics and says why
		}
		loop(unsafe.SliceData(dst), unsafe.SliceData(src), blocks)
	}
}

// decodeF32: floats lie in files as they lie in memory.
func decodeF32(dst []float32, src []byte) {
	copy(bytesOf(dst), src[:4*len(dst)])
}

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
