package tensor

import (
	"encoding/binary"
	"math"
)

// dot keeps eight partial sums, one per lane of a vector of eight, and adds them at the end in pairs.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	n := len(a)
	b = b[:n]
	i := 0
	for ; i+8 <= n; i += 8 {
		x, y := (*[8]float32)(a[i:]), (*[8]float32)(b[i:])
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		s4 += x[4] * y[4]
		s5 += x[5] * y[5]
		s6 += x[6] * y[6]
		s7 += x[7] * y[7]
	}
	sum := ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
	for ; i < n; i++ {
		sum += a[i] * b[i]
	}
	return sum
}

func addScaled(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += s * x[i]
	}
}

func scale(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = s * x[i]
	}
}

func maximum(x []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

func clamp(x []float32, low, high float32) {
	for i, v := range x {
		if v < low {
			x[i] = low
		} else if v > high {
			x[i] = high
		}
	}
}

func rmsNorm(dst, x, weight []float32, eps float32) {
	r := float32(1 / math.Sqrt(float64(dot(x, x))/float64(len(x))+float64(eps)))
	dst = dst[:len(x)]
	if weight == nil {
		for i, v := range x {
			dst[i] = v * r
		}
		return
	}
	weight = weight[:len(x)]
	for i, v := range x {
		dst[i] = v * r * weight[i]
	}
}

func addNorm(dst, x, weight []float32, eps float32) {
	rmsNorm(x, x, weight, eps)
	addScaled(dst, x, 1)
}

func gelu(gate, up []float32) {
	const c = 0.7978845608028654 // sqrt(2/π)
	up = up[:len(gate)]
	for i, v := range gate {
		x := float64(v)
		gate[i] = float32(0.5*x*(1+math.Tanh(c*(x+0.044715*x*x*x)))) * up[i]
	}
}

func rotate(x, cos, sin []float32) {
	half := len(x) / 2
	lo, hi := x[:half], x[half:2*half]
	cos, sin = cos[:half], sin[:half]
	for i, a := range lo {
		b := hi[i]
		lo[i] = a*cos[i] - b*sin[i]
		hi[i] = b*cos[i] + a*sin[i]
	}
}

func angles(cos, sin []float32, freqs []float64, position float64) {
	cos, sin = cos[:len(freqs)], sin[:len(freqs)]
	for i, f := range freqs {
		s, c := math.Sincos(f * position)
		cos[i], sin[i] = float32(c), float32(s)
	}
}

func softCap(x []float32, limit float32) {
	for i, v := range x {
		x[i] = float32(float64(limit) * math.Tanh(float64(v/limit)))
	}
}

func expSum(x []float32, shift float32) float32 {
	var sum float32
	for i, v := range x {
		e := float32(math.Exp(float64(v - shift)))
		x[i] = e
		sum += e
	}
	return sum
}

func hadamard(x []float32) {
	n := 64
	for len(x)%n != 0 {
		n /= 2
	}
	scale := float32(1 / math.Sqrt(float64(n)))
	for ; len(x) > 0; x = x[n:] {
		y := x[:n]
		for h := 1; h < n; h *= 2 {
			for i := 0; i < n; i += 2 * h {
				for j := i; j < i+h; j++ {
					y[j], y[j+h] = y[j]+y[j+h], y[j]-y[j+h]
				}
			}
		}
		for i := range y {
			y[i] *= scale
		}
	}
}

func sum(b []byte) uint64 {
	var s0, s1, s2, s3 uint64
	for ; len(b) >= 32; b = b[32:] {
		s0 += binary.LittleEndian.Uint64(b)
		s1 += binary.LittleEndian.Uint64(b[8:])
		s2 += binary.LittleEndian.Uint64(b[16:])
		s3 += binary.LittleEndian.Uint64(b[24:])
	}
	for _, v := range b {
		s0 += uint64(v)
	}
	return s0 + s1 + s2 + s3
}

// burn multiplies in eight independent chains, as dot does.
func burn(rounds int) int64 {
	x := [8]float32{1, 1, 1, 1, 1, 1, 1, 1}
	s0, s1, s2, s3, s4, s5, s6, s7 := x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
	const a, c = 0.5, 0.5 // a fixed point, so that nothing overflows
	for range rounds {
		s0 = s0*a + c
		s1 = s1*a + c
		s2 = s2*a + c
		s3 = s3*a + c
		s4 = s4*a + c
		s5 = s5*a + c
		s6 = s6*a + c
		s7 = s7*a + c
	}
	if s0+s1+s2+s3+s4+s5+s6+s7 != 8 {
		panic("tensor: multiplication is broken")
	}
	return 8 * int64(rounds)
}
