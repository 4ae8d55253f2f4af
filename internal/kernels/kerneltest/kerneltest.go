// Package kerneltest has what the tests of kernels, at the root and in internal/kernels, share: inputs that are random or rare, memory that
// ends where it may not be touched, and comparisons.
package kerneltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// Lengths reach every tail of an unrolled loop.
var Lengths = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 96, 100, 127, 128, 129, 255, 256, 257, 511, 512, 1000,
	1536}

// Edges are the numbers on which loops go wrong.
var Edges = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 0.5, -0.5, 0x1p-149, -0x1p-149, 0x1.8p-140, -0x1p-127, 0x1p-126, -0x1.fffffep-127, 0x1p-100,
	0x1.fffffep-101,
	0x1p-25, 0x1.000002p-25, 0x1p-24, 0x1.8p-24, 0x1p-14, 0x1.ff8p-15, 65504, 65519, 65520, -65536, 10.03, -10.06, 10.1, -10.1, 30, -30, 89,
	-104, 1e10, -1e10,
	1e30, -1e30, math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	math.Float32frombits(0xFFC12345), math.Float32frombits(0x7F812345), math.Float32frombits(0xFF800001),
}

// Strange returns n numbers, every third of them an edge.
func Strange(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		if x[i] = float32(r.NormFloat64() * math.Exp2(float64(r.IntN(16)-10))); r.IntN(3) == 0 {
			x[i] = Edges[r.IntN(len(Edges))]
		}
	}
	return x
}

// oddFloats are numbers that take the rare paths.
var oddFloats = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 0.5, -0.5, 1e-45, -1e-45, 1e-40, 0x1p-126, 0x1p-100, 0x1p-101, -0x1p-25, 0x1p-24, 0x1p-14,
	0x1.8p-15,
	65504, 65519, 65520, -65536, 1e10, -1e10, 1e30, -1e30, math.MaxFloat32, -math.MaxFloat32, 3.3, -7.7, 20, -20, 88.7, 89, -87.4, -88,
	-103, -104, 1000, -1000,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.Float32frombits(0xFFC12345), math.Float32frombits(0x7F812345),
}

// Odd fills x with random numbers, some of them odd ones.
func Odd(r *rand.Rand, x []float32) {
	for i := range x {
		x[i] = float32(r.NormFloat64() * math.Exp2(float64(r.IntN(20)-10)))
		if r.IntN(4) == 0 {
			x[i] = oddFloats[r.IntN(len(oddFloats))]
		}
	}
}

// Odds returns n random numbers, some of them odd ones.
func Odds(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	Odd(r, x)
	return x
}

// Gaussian returns n numbers of mean 0 and deviation 1.
func Gaussian(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// Blocks returns random valid rows of a format: scales are finite and of ordinary size.
func Blocks(r *rand.Rand, f tensor.Format, rows, cols int) []byte {
	n := rows * f.RowBytes(cols)
	w := make([]byte, n)
	values := make([]float32, rows*cols)
	for try := 0; try < 1000; try++ {
		for i := range w {
			w[i] = byte(r.Uint32())
		}
		Tame(f, w, r)
		f.Decode(values, w)
		ok := true
		for _, v := range values {
			if !(math.Abs(float64(v)) < 1e4) {
				ok = false
				break
			}
		}
		if ok {
			return w
		}
	}
	panic(fmt.Sprintf("no valid rows of %v in 1000 tries", f))
}

// Tame sets the scales of blocks to half floats between 2⁻⁸ and 1, positive or negative.
func Tame(f tensor.Format, w []byte, r *rand.Rand) {
	size := f.BlockBytes()
	half := func(b []byte) {
		h := tensor.ToF16(float32(math.Exp2(-8*r.Float64())) * float32(1-2*r.IntN(2)))
		b[0], b[1] = byte(h), byte(h>>8)
	}
	for ; len(w) >= size; w = w[size:] {
		b := w[:size]
		switch f {
		case tensor.F16:
			half(b)
		case tensor.BF16:
			h := tensor.ToBF16(float32(r.NormFloat64()))
			b[0], b[1] = byte(h), byte(h>>8)
		case tensor.F32:
			v := math.Float32bits(float32(r.NormFloat64()))
			b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		case tensor.Q4_1, tensor.Q5_1, tensor.Q4_K, tensor.Q5_K:
			half(b)
			half(b[2:])
		case tensor.Q2_K:
			half(b[80:])
			half(b[82:])
		case tensor.Q3_K, tensor.Q6_K, tensor.TQ1_0, tensor.TQ2_0:
			half(b[size-2:])
		case tensor.MXFP4:
			b[0] = byte(115 + r.IntN(16))
		case tensor.NVFP4:
			for i := range 4 {
				b[i] = byte(r.IntN(0x60))
			}
		case tensor.IQ1_M:
			h := tensor.ToF16(float32(math.Exp2(-8 * r.Float64())))
			for i := range 4 {
				b[49+2*i] = b[49+2*i]&15 | byte(h>>(4*i)&15)<<4
			}
		default:
			half(b)
		}
	}
}

// Within fails unless got is want up to the tolerance, NaN being equal to NaN.
func Within(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) && math.IsNaN(want) || got == want {
		return
	}
	if !(math.Abs(got-want) <= tolerance) {
		t.Fatalf("%s is %g, want %g ± %g", what, got, want, tolerance)
	}
}

// Alike reports whether two numbers have the same bits, or are NaN both.
func Alike(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b }

// Equal fails unless all numbers are alike.
func Equal(t *testing.T, got, want []float32, what string, args ...any) {
	t.Helper()
	for i := range want {
		if !Alike(got[i], want[i]) {
			t.Fatalf("%s: number %d of %d is %g (%#x), want %g (%#x)", fmt.Sprintf(what, args...), i, len(want), got[i],
				math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// Measure runs f in batches of some 20 µs and reports the fastest: on a shared machine that is what the processor can do. The
// amount is what f does, in bytes or operations.
func Measure(b *testing.B, amount int, unit string, f func()) {
	run := func(n int) time.Duration {
		start := time.Now()
		for range n {
			f()
		}
		return time.Since(start)
	}
	batch := 1
	for once := run(batch); min(once, run(batch)) < 20*time.Microsecond; once = run(batch) {
		batch *= 2
	}
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		best = min(best, run(batch))
	}
	ns := float64(best.Nanoseconds()) / float64(batch)
	b.ReportMetric(ns, "ns/op")
	b.ReportMetric(float64(amount)/ns, unit)
}

// PacksTiles reports whether the machine has all that the level amx needs but for tiles.
func PacksTiles() bool {
	return machine.Supports(machine.AVX2...) && machine.Supports(machine.AVX512...) && machine.Supports(machine.BF16...)
}

// Emulated reports whether an emulator carries out tile instructions that the machine lacks. internal/cmd/tiles does, and says so.
func Emulated() bool {
	return os.Getenv("GEMMA4_TILES") == "emulated" && PacksTiles() && !machine.Supports(cpuid.AMXTILE)
}
