package gemma4

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

func fill(x []float32, from []float32) []float32 {
	copy(x, from)
	return x
}

// closeTo fails unless got is want up to a relative tolerance, or an absolute one. It says what these are.
func closeTo(t *testing.T, got, want float32, relative, absolute float64, what string, args ...any) {
	g, w := float64(got), float64(want)
	if g == w || g != g && w != w || math.Abs(g-w) <= relative*math.Abs(w)+absolute && !math.IsInf(w, 0) && !math.IsInf(g, 0) {
		return
	}
	t.Helper()
	t.Fatalf("%s is %g, want %g", fmt.Sprintf(what, args...), got, want)
}

func TestElementKernelsOfARM(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(4, 9))
		for _, n := range append([]int{0, 3*callLen + 5}, kerneltest.Lengths...) {
			for _, atEnd := range []bool{true, false} {
				name := fmt.Sprintf("%d numbers", n)
				f := func() []float32 { return kerneltest.Guarded[float32](t, n, atEnd) }
				a, b := fill(f(), kerneltest.Gaussian(r, n)), fill(f(), kerneltest.Gaussian(r, n))

				want, scale := 0.0, 0.0
				for i := range a {
					want += float64(a[i]) * float64(b[i])
					scale += math.Abs(float64(a[i]) * float64(b[i]))
				}
				// A sum's error is at most the terms of a chain times half a unit of the sum of magnitudes.
				kerneltest.Within(t, name+": dot product", float64(k.Dot(a, b)), want, (float64(n)/16+20)*0x1p-24*scale)

				y := fill(f(), b)
				k.AddScaled(y, a, -1.5)
				for i := range y {
					closeTo(t, y[i], float32(float64(b[i])-1.5*float64(a[i])), 0x1p-23, 0, "%s: sum", name)
				}

				y = fill(f(), a)
				k.Scale(y, y, -1.5)
				for i := range y {
					closeTo(t, y[i], -1.5*a[i], 0, 0, "%s: multiple", name)
				}
				wantTop := float32(math.Inf(-1))
				for _, v := range a {
					wantTop = max(wantTop, v)
				}
				closeTo(t, k.Max(a), wantTop, 0, 0, "%s: largest", name)

				for _, weight := range [][]float32{nil, b} {
					wantNorm, y := make([]float32, n), f()
					ref.RMSNorm(wantNorm, a, weight, 1e-6)
					k.RMSNorm(y, a, weight, 1e-6)
					z := fill(f(), a)
					k.RMSNorm(z, z, weight, 1e-6)
					for i := range y {
						closeTo(t, y[i], wantNorm[i], 1e-6, 0, "%s: norm", name)
						closeTo(t, z[i], y[i], 0, 0, "%s: norm in place", name)
					}
				}

				x := f()
				kerneltest.Odd(r, x)
				testElements(t, name, ref, k, x, b, f)

				half, wantHalf := kerneltest.Guarded[byte](t, 2*n, atEnd), make([]byte, 2*n)
				k.EncodeRow(tensor.F16, half, x)
				tensor.F16.Encode(wantHalf, x)
				if !slices.Equal(half, wantHalf) {
					t.Fatalf("%s: halves of %v are %x, want %x", name, x, half, wantHalf)
				}
				for i := range half {
					half[i] = byte(r.Uint32())
				}
				for _, format := range []tensor.Format{tensor.F16, tensor.BF16} {
					y, want := f(), make([]float32, n)
					k.DecodeRow(format, y, half)
					format.Decode(want, half)
					if !sameBits(y, want) {
						t.Fatalf("%s: %v %x became %v, want %v", name, format, half, y, want)
					}
				}
			}
		}
	})
}

// testElements compares GELU, SoftCap and ExpSum on odd numbers x.
func testElements(t *testing.T, name string, ref, k *tensor.Kernels, x, up []float32, f func() []float32) {
	y, want := fill(f(), x), slices.Clone(x)
	k.GELU(y, up)
	ref.GELU(want, up)
	for i := range y {
		// Rounding of the exponent t of e^t costs up to |t|·2⁻²⁴, of which there are at most 89 before the result vanishes.
		closeTo(t, y[i], want[i], 3e-6, math.Abs(float64(up[i]))*1e-6, "%s: gelu(%v)·%v", name, x[i], up[i])
	}

	y, want = fill(f(), x), slices.Clone(x)
	k.SoftCap(y, 30)
	ref.SoftCap(want, 30)
	for i := range y {
		closeTo(t, y[i], want[i], 4e-7, 1e-44, "%s: soft cap of %v", name, x[i])
	}

	for _, shift := range []float32{0, 2.5, -30} {
		y, want := fill(f(), x), slices.Clone(x)
		sum := k.ExpSum(y, shift)
		ref.ExpSum(want, shift)
		wantSum := 0.0
		for i := range y {
			closeTo(t, y[i], want[i], 2.5e-7, 3e-45, "%s: exp(%v − %v)", name, x[i], shift)
			wantSum += float64(y[i])
		}
		closeTo(t, sum, float32(wantSum), (float64(min(len(x), callLen))/4+8)*0x1p-24, 0, "%s: sum of exponentials", name)
	}
}

func TestRotationKernelsOfARM(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(5, 9))
		for _, half := range append([]int{0}, kerneltest.Lengths...) {
			for _, atEnd := range []bool{true, false} {
				x, cos, sin := kerneltest.Guarded[float32](t, 2*half, atEnd), kerneltest.Guarded[float32](t, half, atEnd),
					kerneltest.Guarded[float32](t, half, atEnd)
				copy(x, kerneltest.Gaussian(r, 2*half))
				for i := range cos {
					s, c := math.Sincos(r.Float64() * 7)
					cos[i], sin[i] = float32(c), float32(s)
				}
				want := slices.Clone(x)
				k.Rotate(x, cos, sin)
				ref.Rotate(want, cos, sin)
				for i := range x {
					closeTo(t, x[i], want[i], 0, 1e-6, "turned %d of %d", i, half)
				}
			}
		}
	})
}

// TestQuantizationKernelsOfARM: to the letter.
func TestQuantizationKernelsOfARM(t *testing.T) {
	ref := tensor.Portable()
	same := func(a, b *tensor.Q8) bool {
		return a.Q == b.Q && a.NegSum == b.NegSum && sameBits(a.Scale[:], b.Scale[:])
	}
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(6, 9))
		for _, n := range append([]int{0, 3*callLen + 5}, kerneltest.Lengths...) {
			for try := range 40 {
				x := kerneltest.Guarded[float32](t, n, try%2 == 0)
				switch try % 4 {
				case 0:
					copy(x, kerneltest.Gaussian(r, n))
				case 1: // halfway between two steps, and saturating
					for i := range x {
						x[i] = float32(r.IntN(255)-127) + 0.5*float32(r.IntN(2))
					}
				case 2: // about the least scale
					for i := range x {
						x[i] = float32(r.NormFloat64() * math.Exp2(-100-2*float64(i/32%2)))
					}
				case 3:
					kerneltest.Odd(r, x)
				}
				got, want := make([]tensor.Q8, tensor.Q8Len(n)), make([]tensor.Q8, tensor.Q8Len(n))
				for i := range got {
					got[i].Q[63], got[i].Scale[15], got[i].NegSum[15] = 1, 1, 1
				}
				k.Quantize(got, x)
				ref.Quantize(want, x)
				for i := range want {
					if !same(&got[i], &want[i]) {
						t.Fatalf("%d numbers: unit %d of %v is\n%v, want\n%v", n, i, x[64*i:min(n, 64*i+64)], got[i], want[i])
					}
				}
				if n > callLen {
					break
				}
			}
		}
	})
}

func TestRooflineKernelsOfARM(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(11, 9))
		for _, n := range append([]int{0, 5*callLen + 77}, kerneltest.Lengths...) {
			b := kerneltest.Guarded[byte](t, n, n%2 == 0)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			if got, want := k.Sum(b), ref.Sum(b); got != want {
				t.Fatalf("sum of %d bytes is %#x, want %#x", n, got, want)
			}
		}
		for i, burn := range []func(int) int64{k.Burn, k.BurnFloats, k.FloatPanels.Burn} {
			if got := burn(3); got <= 0 || got%3 != 0 {
				t.Errorf("%d: 3 rounds are %d multiplications", i, got)
			}
		}
	})
}
func TestKernelsOfARMAllocateNothing(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		x, y, half := make([]float32, 333), make([]float32, 333), make([]byte, 666)
		q := make([]tensor.Q8, tensor.Q8Len(333))
		if n := testing.AllocsPerRun(10, func() {
			k.Dot(x, y)
			k.AddScaled(x, y, 1)
			k.RMSNorm(x, y, nil, 1)
			k.GELU(x, y)
			k.Rotate(x, y, y)
			k.SoftCap(x, 30)
			k.ExpSum(x, 1)
			k.EncodeRow(tensor.F16, half, x)
			k.Quantize(q, x)
			k.DecodeRow(tensor.F16, x, half)
			k.DecodeRow(tensor.BF16, x, half)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
