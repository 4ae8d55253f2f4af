package kernels

import "github.com/gogemma/gemma4/tensor"

// NEON fills in the part of every 64-bit ARM processor: the vectors of ARMv8.0.
func NEON(k *tensor.Kernels) {
	for _, f := range unpacked {
		k.Decode[f] = decodeUnits(f)
	}
	attentionNEON(k)
	k.Rows[tensor.Q4_0] = rowKernel(rowsQ40NEON)
	k.Rows[tensor.Q5_0] = rowKernel(rowsQ50NEON)
	k.Rows[tensor.Q8_0] = rowKernel(rowsQ80NEON)
	k.Rows[tensor.Q4_K] = rowKernel(rowsQ4KNEON)
	k.Rows[tensor.Q5_K] = rowKernel(rowsQ5KNEON)
	k.Rows[tensor.Q6_K] = rowKernel(rowsQ6KNEON)
	k.Rows[tensor.IQ4_NL] = rowKernel(rowsIQ4NLNEON)
	k.Rows[tensor.IQ4_XS] = rowKernel(rowsIQ4XSNEON)
	k.Rows[tensor.MXFP4] = rowKernel(rowsMXFP4NEON)
	k.Rows[tensor.Q4_1] = rowKernel(rowsQ41NEON)
	k.Rows[tensor.Q5_1] = rowKernel(rowsQ51NEON)
	k.Rows[tensor.Q2_K] = rowKernel(rowsQ2KNEON)
	k.Rows[tensor.Q3_K] = rowKernel(rowsQ3KNEON)
	k.Rows[tensor.TQ1_0] = rowKernel(rowsTQ10NEON)
	k.Rows[tensor.TQ2_0] = rowKernel(rowsTQ20NEON)
	k.Rows[tensor.NVFP4] = rowKernel(rowsNVFP4NEON)
	k.Rows[tensor.IQ2_XXS] = bookRowKernel(rowsIQ2XXSNEON)
	k.Rows[tensor.IQ2_XS] = bookRowKernel(rowsIQ2XSNEON)
	k.Rows[tensor.IQ2_S] = bookRowKernel(rowsIQ2SNEON)
	k.Rows[tensor.IQ3_XXS] = bookRowKernel(rowsIQ3XXSNEON)
	k.Rows[tensor.IQ3_S] = bookRowKernel(rowsIQ3SNEON)
	k.Rows[tensor.IQ1_S] = bookRowKernel(rowsIQ1SNEON)
	k.Rows[tensor.IQ1_M] = bookRowKernel(rowsIQ1MNEON)
	k.FloatRows[tensor.F16] = floatRowKernel(floatRowsF16NEON)
	k.FloatRows[tensor.BF16] = floatRowKernel(floatRowsBF16NEON)
	k.Burn = func(rounds int) int64 {
		burnNEON(rounds)
		return 16 * 8 * int64(rounds)
	}
	k.Panels = panelsNEON(k.Quantize)
	k.BurnFloats = func(rounds int) int64 {
		burnFloatsNEON(rounds)
		return 16 * 4 * int64(rounds)
	}
	k.FloatPanels = floatPanels()
	k.FloatPanels.Burn = k.BurnFloats
}

// Dotprod fills in the part of processors with SDOT, over that of NEON.
func Dotprod(k *tensor.Kernels) {
	k.Rows[tensor.Q4_0] = rowKernel(rowsQ40Dotprod)
	k.Rows[tensor.Q5_0] = rowKernel(rowsQ50Dotprod)
	k.Rows[tensor.Q8_0] = rowKernel(rowsQ80Dotprod)
	k.Rows[tensor.Q4_K] = rowKernel(rowsQ4KDotprod)
	k.Rows[tensor.Q5_K] = rowKernel(rowsQ5KDotprod)
	k.Rows[tensor.Q6_K] = rowKernel(rowsQ6KDotprod)
	k.Rows[tensor.IQ4_NL] = rowKernel(rowsIQ4NLDotprod)
	k.Rows[tensor.IQ4_XS] = rowKernel(rowsIQ4XSDotprod)
	k.Rows[tensor.MXFP4] = rowKernel(rowsMXFP4Dotprod)
	k.Rows[tensor.Q4_1] = rowKernel(rowsQ41Dotprod)
	k.Rows[tensor.Q5_1] = rowKernel(rowsQ51Dotprod)
	k.Rows[tensor.Q2_K] = rowKernel(rowsQ2KDotprod)
	k.Rows[tensor.Q3_K] = rowKernel(rowsQ3KDotprod)
	k.Rows[tensor.TQ1_0] = rowKernel(rowsTQ10Dotprod)
	k.Rows[tensor.TQ2_0] = rowKernel(rowsTQ20Dotprod)
	k.Rows[tensor.NVFP4] = rowKernel(rowsNVFP4Dotprod)
	k.Rows[tensor.IQ2_XXS] = bookRowKernel(rowsIQ2XXSDotprod)
	k.Rows[tensor.IQ2_XS] = bookRowKernel(rowsIQ2XSDotprod)
	k.Rows[tensor.IQ2_S] = bookRowKernel(rowsIQ2SDotprod)
	k.Rows[tensor.IQ3_XXS] = bookRowKernel(rowsIQ3XXSDotprod)
	k.Rows[tensor.IQ3_S] = bookRowKernel(rowsIQ3SDotprod)
	k.Rows[tensor.IQ1_S] = bookRowKernel(rowsIQ1SDotprod)
	k.Rows[tensor.IQ1_M] = bookRowKernel(rowsIQ1MDotprod)
	k.Burn = func(rounds int) int64 {
		burnDotprod(rounds)
		return 16 * 16 * int64(rounds)
	}
	k.Panels = stripPanels(k.Quantize)
}

// I8MM fills in the part of processors with SMMLA and BFMMLA, over that of Dotprod.
func I8MM(k *tensor.Kernels) {
	k.Burn = func(rounds int) int64 {
		burnI8MM(rounds)
		return 16 * 32 * int64(rounds)
	}
	k.Panels = spanPanels(k.Quantize)
	k.FloatPanels = bf16Panels()
	k.FloatPanels.Burn = func(rounds int) int64 {
		burnPairs(rounds)
		return 16 * 16 * int64(rounds)
	}
}

// burnNEON does 16 multiplications of eight bytes per round, at least one round, burnDotprod 16 of 16 bytes, burnI8MM 16 of
// 32 bytes.
func burnNEON(rounds int)

func burnDotprod(rounds int)

func burnI8MM(rounds int)
