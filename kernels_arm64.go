package gemma4

import (
	"encoding/binary"
	"math"

	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/internal/kernels"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// levelsWith returns the levels above the portable one that run on these features, in ascending order.
func levelsWith(supports func(...cpuid.FeatureID) bool) []*tensor.Kernels {
	levels := []*tensor.Kernels{neon()}
	if supports(machine.Dotprod...) {
		levels = append(levels, dotprod())
		if supports(machine.I8MM...) {
			levels = append(levels, i8mm())
		}
	}
	return levels
}

// neon is the level of every 64-bit ARM processor: the vectors of ARMv8.0, as in the Raspberry Pi 4.
var neon = level("neon", func() *tensor.Kernels {
	k := tensor.Portable()
	k.Decode[tensor.F16] = decodeF16
	k.Decode[tensor.BF16] = decodeBF16
	k.Dot = dot
	k.AddScaled = addScaled
	k.Scale = scale
	k.Max = maximum
	k.Clamp = clamp
	k.RMSNorm = rmsNorm
	k.AddNorm = addNorm
	k.GELU = gelu
	k.Rotate = rotate
	k.SoftCap = softCap
	k.ExpSum = expSum
	k.Encode[tensor.F16] = encodeF16
	k.Encode[tensor.Q8_0] = encoder(tensor.Q8_0, encodeQ8_0NEON)
	k.Encode[tensor.Q4_0] = encoder(tensor.Q4_0, encodeQ4_0NEON)
	mixing(k, hadamardNEON)
	k.Quantize = quantize
	k.Sum = sum
	kernels.NEON(k)
	return k
})

// dotprod is the level of processors with SDOT, as in the Raspberry Pi 5.
var dotprod = level("dotprod", func() *tensor.Kernels {
	k := copyOf(neon())
	kernels.Dotprod(k)
	return k
})

// i8mm is the level of processors with SMMLA and BFMMLA: servers and phones since 2021, and Apple's since the M2.
var i8mm = level("i8mm", func() *tensor.Kernels {
	k := copyOf(dotprod())
	kernels.I8MM(k)
	return k
})

// Elementwise. The functions in assembly take the lengths that their comments give; what is left over is padded, or left to the portable
// function where that gives the same bits.

func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var sum float32
	for ; len(a) > callLen; a, b = a[callLen:], b[callLen:] {
		sum += dotNEON(&a[0], &b[0], callLen)
	}
	if len(a) > 0 {
		sum += dotNEON(&a[0], &b[0], len(a))
	}
	return sum
}

func addScaled(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for len(dst) > 0 {
		n := min(len(dst), callLen)
		addScaledNEON(&dst[0], &x[0], n, s)
		dst, x = dst[n:], x[n:]
	}
}

func scale(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for len(dst) > 0 {
		n := min(len(dst), callLen)
		scaleNEON(&dst[0], &x[0], n, s)
		dst, x = dst[n:], x[n:]
	}
}

func maximum(x []float32) float32 {
	top := float32(math.Inf(-1))
	for len(x) >= 4 {
		n := min(len(x), callLen) &^ 3
		top = max(top, maxNEON(&x[0], n))
		x = x[n:]
	}
	for _, v := range x {
		top = max(top, v)
	}
	return top
}

func clamp(x []float32, low, high float32) {
	for len(x) >= 4 {
		n := min(len(x), callLen) &^ 3
		clampNEON(&x[0], n, low, high)
		x = x[n:]
	}
	if len(x) > 0 {
		var rest [4]float32
		copy(rest[:], x)
		clampNEON(&rest[0], 4, low, high)
		copy(x, rest[:])
	}
}

func addNorm(dst, x, weight []float32, eps float32) {
	rmsNorm(x, x, weight, eps)
	addScaled(dst, x, 1)
}

func rmsNorm(dst, x, weight []float32, eps float32) {
	r := float32(1 / math.Sqrt(float64(dot(x, x))/float64(len(x))+float64(eps)))
	dst = dst[:len(x)]
	if weight != nil {
		weight = weight[:len(x)]
	}
	for len(x) > 0 {
		n := min(len(x), callLen)
		if weight == nil {
			scaleNEON(&dst[0], &x[0], n, r)
		} else {
			scaleByNEON(&dst[0], &x[0], &weight[0], n, r)
			weight = weight[n:]
		}
		dst, x = dst[n:], x[n:]
	}
}

func gelu(gate, up []float32) {
	up = up[:len(gate)]
	for len(gate) >= 4 {
		n := min(len(gate), callLen) &^ 3
		geluNEON(&gate[0], &up[0], n)
		gate, up = gate[n:], up[n:]
	}
	if len(gate) > 0 {
		var g, u [4]float32
		copy(g[:], gate)
		copy(u[:], up)
		geluNEON(&g[0], &u[0], 4)
		copy(gate, g[:])
	}
}

func rotate(x, cos, sin []float32) {
	half := len(x) / 2
	low, high, cos, sin := x[:half], x[half:2*half], cos[:half], sin[:half]
	n := half &^ 3
	if n > 0 {
		rotateNEON(&low[0], &high[0], &cos[0], &sin[0], n)
	}
	for i := n; i < half; i++ {
		a, b := low[i], high[i]
		low[i] = a*cos[i] - b*sin[i]
		high[i] = b*cos[i] + a*sin[i]
	}
}

func softCap(x []float32, limit float32) {
	for len(x) >= 4 {
		n := min(len(x), callLen) &^ 3
		softCapNEON(&x[0], n, limit)
		x = x[n:]
	}
	if len(x) > 0 {
		var pad [4]float32
		copy(pad[:], x)
		softCapNEON(&pad[0], 4, limit)
		copy(x, pad[:])
	}
}

func expSum(x []float32, shift float32) float32 {
	var sum float32
	for len(x) >= 4 {
		n := min(len(x), callLen) &^ 3
		sum += expSumNEON(&x[0], n, shift)
		x = x[n:]
	}
	if len(x) > 0 {
		var pad [4]float32
		copy(pad[:], x)
		expSumNEON(&pad[0], 4, shift)
		for i := range x {
			x[i] = pad[i]
			sum += pad[i]
		}
	}
	return sum
}

func encodeF16(dst []byte, x []float32) {
	dst = dst[:2*len(x)]
	for len(x) >= 8 {
		n := min(len(x), callLen) &^ 7
		encodeF16NEON(&dst[0], &x[0], n)
		dst, x = dst[2*n:], x[n:]
	}
	for i, v := range x {
		h := tensor.ToF16(v)
		dst[2*i], dst[2*i+1] = byte(h), byte(h>>8)
	}
}

func decodeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for len(dst) >= 8 {
		n := min(len(dst), callLen) &^ 7
		decodeF16NEON(&dst[0], &src[0], n)
		dst, src = dst[n:], src[2*n:]
	}
	tensor.F16.Decode(dst, src)
}

func decodeBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for len(dst) >= 8 {
		n := min(len(dst), callLen) &^ 7
		decodeBF16NEON(&dst[0], &src[0], n)
		dst, src = dst[n:], src[2*n:]
	}
	tensor.BF16.Decode(dst, src)
}

func sum(b []byte) uint64 {
	var s uint64
	for len(b) >= 64 {
		n := min(len(b), 4*callLen) &^ 63
		s += sumNEON(&b[0], n)
		b = b[n:]
	}
	for ; len(b) >= 32; b = b[32:] {
		for i := 0; i < 32; i += 8 {
			s += binary.LittleEndian.Uint64(b[i:])
		}
	}
	for _, v := range b {
		s += uint64(v)
	}
	return s
}

func quantize(dst []tensor.Q8, x []float32) {
	dst = dst[:tensor.Q8Len(len(x))]
	for len(x) >= 64 {
		n := min(len(x), callLen) / 64
		quantizeNEON(&dst[0], &x[0], n)
		dst, x = dst[n:], x[64*n:]
	}
	if len(x) > 0 {
		var pad [64]float32
		copy(pad[:], x)
		quantizeNEON(&dst[0], &pad[0], 1)
	}
}

// dotNEON returns the sum of a[i]·b[i].
//
//go:noescape
func dotNEON(a, b *float32, n int) float32

// addScaledNEON adds s·x to dst.
//
//go:noescape
func addScaledNEON(dst, x *float32, n int, s float32)

// maxNEON returns the largest of n numbers, a multiple of 4 above 0.
//
//go:noescape
func maxNEON(x *float32, n int) float32

// clampNEON puts n numbers, a multiple of 4 above 0, between bounds.
//
//go:noescape
func clampNEON(x *float32, n int, low, high float32)

// scaleNEON sets dst to s·x.
//
//go:noescape
func scaleNEON(dst, x *float32, n int, s float32)

// scaleByNEON sets dst to s·x·weight.
//
//go:noescape
func scaleByNEON(dst, x, weight *float32, n int, s float32)

// rotateNEON rotates n pairs of low and high, a multiple of 4.
//
//go:noescape
func rotateNEON(low, high, cos, sin *float32, n int)

// geluNEON sets n numbers, a multiple of 4, to gelu(gate)·up.
//
//go:noescape
func geluNEON(gate, up *float32, n int)

// softCapNEON sets n numbers, a multiple of 4, to limit·tanh(x/limit).
//
//go:noescape
func softCapNEON(x *float32, n int, limit float32)

// expSumNEON sets n numbers, a multiple of 4, to exp(x − shift) and returns their sum.
//
//go:noescape
func expSumNEON(x *float32, n int, shift float32) float32

// encodeF16NEON sets n halves, a multiple of 8, to x.
//
//go:noescape
func encodeF16NEON(dst *byte, x *float32, n int)

// encodeQ8_0NEON and encodeQ4_0NEON encode 32 numbers per block.
//
//go:noescape
func encodeQ8_0NEON(dst *byte, x *float32, blocks int)

//go:noescape
func encodeQ4_0NEON(dst *byte, x *float32, blocks int)

// hadamardNEON transforms 64 numbers per unit.
//
//go:noescape
func hadamardNEON(x *float32, units int)

// decodeF16NEON and decodeBF16NEON set n numbers, a multiple of 8, to the halves of src.
//
//go:noescape
func decodeF16NEON(dst *float32, src *byte, n int)

//go:noescape
func decodeBF16NEON(dst *float32, src *byte, n int)

// sumNEON returns the sum of n bytes, a multiple of 64, taken as words of eight.
//
//go:noescape
func sumNEON(b *byte, n int) uint64

// quantizeNEON quantises 64 numbers per unit.
//
//go:noescape
func quantizeNEON(dst *tensor.Q8, x *float32, units int)
