package kernels

import "github.com/gogemma/gemma4/tensor"

// AVX2 fills in the part of processors with AVX2, FMA, F16C and BMI2, with the dot product instructions of AVX-VNNI where the machine has
// them. Both variants give the same bits.
func AVX2(k *tensor.Kernels, vnni bool) {
	decodeAVX2(k)
	attentionAVX2(k)
	rowsAVX2(k, vnni)
	panelsAVX2(k, vnni)
}

// AVX512 fills in the part of processors with AVX-512 F, BW, VL, DQ, VNNI and VBMI, and GFNI, over that of AVX2. Rows are fetched from
// memory into the first-level cache where near is set, else into the second. Both variants give the same bits.
func AVX512(k *tensor.Kernels, near bool) {
	decodeAVX512(k)
	attentionAVX512(k)
	rowsAVX512(k, near)
	panelsAVX512(k)
}

// BF16 fills in the part of processors with AVX512_BF16, over that of AVX512: attention, and panels of F16 and BF16.
func BF16(k *tensor.Kernels) {
	attentionBF16(k)
	panelsBF16(k)
}

// AMX fills in the part of processors with tiles of bf16, over that of BF16. F32 keeps its exact panels.
func AMX(k *tensor.Kernels) {
	panelsAMX(k)
	attentionAMX(k)
}
