package kernels

import "github.com/gogemma/gemma4/tensor"

// NEON fills in the part of every 64-bit ARM processor: the vectors of ARMv8.0.
func NEON(k *tensor.Kernels) {
	for _, f := range unpacked {
		k.Decode[f] = decodeUnits(f)
	}
	attentionNEON(k)
	for _, r := range neonRows {
		k.Rows[r.format] = r.in(&neonSeveral)
	}
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
	for _, r := range dotprodRows {
		k.Rows[r.format] = r.in(&dotprodSeveral)
	}
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
