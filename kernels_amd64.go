package gemma4

import (
	"math"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/internal/kernels"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// levelsWith returns the levels above the portable one that run on these features, in ascending order. A feature counts only
// if the operating system saves the registers it needs.
func levelsWith(supports func(...cpuid.FeatureID) bool) []*tensor.Kernels {
	var levels []*tensor.Kernels
	if !supports(machine.AVX2...) {
		return nil
	}
	levels = append(levels, avx2())
	if supports(machine.AVX512...) {
		levels = append(levels, avx512())
		if supports(machine.BF16...) {
			levels = append(levels, bf16())
			if supports(machine.AMX...) && machine.PermitTiles() {
				levels = append(levels, amx())
			}
		}
	}
	return levels
}

// avx2 is the level of x86 since 2013: AVX2, FMA and F16C.
var avx2 = level("avx2", func() *tensor.Kernels {
	k := tensor.Portable()
	elementsAVX2(k)
	k.Sum = sumWith(sumAVX2)
	kernels.AVX2(k, machine.Supports(cpuid.AVXVNNI))
	return k
})

// avx512 is the level of servers since 2019 and AMD since Zen 4: AVX-512 with VNNI, VBMI and GFNI.
var avx512 = level("avx512", func() *tensor.Kernels {
	k := copyOf(avx2())
	elementsAVX512(k)
	near := machine.FetchesNear()
	k.Sum = sumWith(sumAVX512)
	if near {
		k.Sum = sumWith(sumAVX512Near)
	}
	kernels.AVX512(k, near)
	return k
})

// bf16 is the level of AMD since Zen 4 and of Xeons since Cooper Lake: avx512, and products of pairs of bf16.
var bf16 = level("bf16", func() *tensor.Kernels {
	k := copyOf(avx512())
	kernels.BF16(k)
	return k
})

// amx is the level of Xeons since 2023: bf16, and tiles of it.
var amx = level("amx", func() *tensor.Kernels {
	k := copyOf(bf16())
	kernels.AMX(k)
	return k
})

// vectors are the loops of one level, over operands whose bounds have been checked. tensor.Kernels says what they compute, the assembly in
// which order. Callers hand over the vector of one position or a slice of it: for 2¹⁸ elements, a vocabulary, the slowest (GELU on AVX2)
// takes a tenth of a millisecond, so nothing is cut here.
type vectors struct {
	dot       func(a, b *float32, n int) float32
	addScaled func(dst, x *float32, n int, s float32)
	scale     func(dst, x, weight *float32, n int, r float32)
	addNormed func(dst, x, weight *float32, n int, r float32)
	max       func(x *float32, n int) float32
	clamp     func(x *float32, n int, low, high float32)
	gelu      func(gate, up *float32, n int)
	rotate    func(x, cos, sin *float32, half int)
	angles    func(cos, sin *float32, freqs *float64, n int, position float64) bool
	softCap   func(x *float32, n int, limit, high, low, most float32)
	expSum    func(x *float32, n int, shift float32) float32
	encodeF16 func(dst *byte, x *float32, n int)
	quantize  func(dst *tensor.Q8, x *float32, n int)

	decodeF16, decodeBF16 func(dst *float32, src *byte, n int)
}

func elementsAVX2(k *tensor.Kernels) {
	v := &vectors{
		dot:       dotAVX2,
		addScaled: addScaledAVX2,
		scale:     scaleAVX2,
		addNormed: addNormedAVX2,
		max:       maxAVX2,
		clamp:     clampAVX2,
		gelu:      geluAVX2,
		rotate:    rotateAVX2,
		angles:    anglesAVX2,
		softCap:   softCapAVX2,
		expSum:    expSumAVX2,
		encodeF16: encodeF16AVX2,
		quantize:  quantizeAVX2,

		decodeF16:  decodeF16AVX2,
		decodeBF16: decodeBF16AVX2,
	}
	v.install(k)
	k.Encode[tensor.Q8_0] = encoder(tensor.Q8_0, encodeQ8_0AVX2)
	k.Encode[tensor.Q4_0] = encoder(tensor.Q4_0, encodeQ4_0AVX2)
	mixing(k, hadamardAVX2)
}

func elementsAVX512(k *tensor.Kernels) {
	v := &vectors{
		dot:       dotAVX512,
		addScaled: addScaledAVX512,
		scale:     scaleAVX512,
		addNormed: addNormedAVX512,
		max:       maxAVX512,
		clamp:     clampAVX512,
		gelu:      geluAVX512,
		rotate:    rotateAVX512,
		angles:    anglesAVX512,
		softCap:   softCapAVX512,
		expSum:    expSumAVX512,
		encodeF16: encodeF16AVX512,
		quantize:  quantizeAVX512,

		decodeF16:  decodeF16AVX512,
		decodeBF16: decodeBF16AVX512,
	}
	v.install(k)
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
	k.Clamp = func(x []float32, low, high float32) {
		v.clamp(first(x), len(x), low, high)
	}
	// factor is what RMSNorm multiplies x with.
	factor := func(x []float32, eps float32) float32 {
		sum := v.dot(first(x), first(x), len(x))
		return float32(1 / math.Sqrt(float64(sum)/float64(len(x))+float64(eps)))
	}
	k.RMSNorm = func(dst, x, weight []float32, eps float32) {
		if weight != nil {
			weight = weight[:len(x)]
		}
		v.scale(first(dst[:len(x)]), first(x), first(weight), len(x), factor(x, eps))
	}
	k.AddNorm = func(dst, x, weight []float32, eps float32) {
		if weight == nil {
			k.RMSNorm(x, x, nil, eps)
			k.AddScaled(dst[:len(x)], x, 1)
			return
		}
		v.addNormed(first(dst[:len(x)]), first(x), first(weight[:len(x)]), len(x), factor(x, eps))
	}
	k.GELU = func(gate, up []float32) {
		v.gelu(first(gate), first(up[:len(gate)]), len(gate))
	}
	k.Rotate = func(x, cos, sin []float32) {
		half := len(x) / 2
		v.rotate(first(x), first(cos[:half]), first(sin[:half]), half)
	}
	portable := tensor.Portable()
	k.Angles = func(cos, sin []float32, freqs []float64, position float64) {
		n := len(freqs)
		if !v.angles(first(cos[:n]), first(sin[:n]), first(freqs), n, position) {
			portable.Angles(cos, sin, freqs, position)
		}
	}
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
	k.Decode[tensor.F16] = halves(v.decodeF16)
	k.Decode[tensor.BF16] = halves(v.decodeBF16)
	k.Quantize = func(dst []tensor.Q8, x []float32) {
		v.quantize(first(dst[:tensor.Q8Len(len(x))]), first(x), len(x))
	}
}

// halves makes a decoder from a loop over numbers of two bytes.
func halves(loop func(dst *float32, src *byte, n int)) func(dst []float32, src []byte) {
	return func(dst []float32, src []byte) {
		loop(first(dst), first(src[:2*len(dst)]), len(dst))
	}
}

func first[T any](s []T) *T { return unsafe.SliceData(s) }

// The roofline of reading: as fast as the level can, and nothing else. That of multiplying is beside the panels, in internal/kernels.

// sumBlock is how many bytes one round of the sum loops reads.
const sumBlock = 256

func sumWith(sum func(p *byte, lines int) uint64) func(b []byte) uint64 {
	return func(b []byte) (s uint64) {
		if n := len(b) / sumBlock; n > 0 {
			s = sum(&b[0], n)
			b = b[n*sumBlock:]
		}
		for _, v := range b {
			s += uint64(v)
		}
		return s
	}
}

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
func addNormedAVX2(dst, x, weight *float32, n int, r float32)

//go:noescape
func addNormedAVX512(dst, x, weight *float32, n int, r float32)

//go:noescape
func maxAVX2(x *float32, n int) float32

//go:noescape
func clampAVX2(x *float32, n int, low, high float32)

//go:noescape
func maxAVX512(x *float32, n int) float32

//go:noescape
func clampAVX512(x *float32, n int, low, high float32)

//go:noescape
func geluAVX2(gate, up *float32, n int)

//go:noescape
func geluAVX512(gate, up *float32, n int)

//go:noescape
func rotateAVX2(x, cos, sin *float32, half int)

//go:noescape
func rotateAVX512(x, cos, sin *float32, half int)

//go:noescape
func anglesAVX2(cos, sin *float32, freqs *float64, n int, position float64) bool

//go:noescape
func anglesAVX512(cos, sin *float32, freqs *float64, n int, position float64) bool

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
func hadamardAVX2(x *float32, units int)

//go:noescape
func quantizeAVX2(dst *tensor.Q8, x *float32, n int)

//go:noescape
func quantizeAVX512(dst *tensor.Q8, x *float32, n int)

// The decoders of halves.

//go:noescape
func decodeF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func decodeF16AVX512(dst *float32, src *byte, n int)

//go:noescape
func decodeBF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func decodeBF16AVX512(dst *float32, src *byte, n int)

//go:noescape
func sumAVX2(p *byte, lines int) uint64

//go:noescape
func sumAVX512(p *byte, lines int) uint64

//go:noescape
func sumAVX512Near(p *byte, lines int) uint64
