package gemma4

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// Every loop of every level that this machine runs is compared with the portable function of its arithmetic, on random and edge inputs,
// at lengths that reach every tail and at odd addresses. Products, attention and decoders are tested in internal/kernels.

// emulated is the level that this machine runs in an emulator, if any.
var emulated func() *tensor.Kernels

// levels are those to test: the machine's or, under an emulator, which is slow, the portable and the emulated one.
func levels() []*tensor.Kernels {
	if emulated != nil {
		return []*tensor.Kernels{tensor.Portable(), emulated()}
	}
	return Levels()
}

// aboveLevels runs a test for each level above the portable one.
func aboveLevels(t *testing.T, test func(t *testing.T, k *tensor.Kernels)) {
	for _, k := range levels()[1:] {
		t.Run(k.Name, func(t *testing.T) { test(t, k) })
	}
}

func TestFeaturesDecideTheLevels(t *testing.T) {
	const (
		vnni, vbmi, gfni   = cpuid.AVX512VNNI, cpuid.AVX512VBMI, cpuid.GFNI
		pairs              = cpuid.AVX512BF16
		dot, int8s, halves = cpuid.ASIMDDP, cpuid.I8MM, cpuid.BF16
	)
	old := []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2}
	wide := append(old[:4:4], cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512DQ)
	for _, test := range []struct {
		arch  string
		found []cpuid.FeatureID
		want  string
	}{
		{"amd64", nil, ""},
		{"amd64", old[:3], ""},
		{"amd64", append(wide[3:8:8], vnni, vbmi, gfni), ""},
		{"amd64", old, "avx2"},
		{"amd64", append(wide[:8:8], vbmi, gfni), "avx2"},
		{"amd64", append(wide[:8:8], vnni, gfni), "avx2"},
		{"amd64", append(wide[:8:8], vnni, vbmi), "avx2"},
		{"amd64", append(wide[:8:8], vnni, vbmi, gfni), "avx2 avx512"},
		{"amd64", append(wide[:8:8], vnni, vbmi, gfni, cpuid.AMXTILE, cpuid.AMXBF16), "avx2 avx512"},
		{"amd64", append(wide[:8:8], vbmi, gfni, pairs), "avx2"},
		{"amd64", append(wide[:8:8], vnni, vbmi, gfni, pairs), "avx2 avx512 bf16"},
		{"arm64", nil, "neon"},
		{"arm64", []cpuid.FeatureID{int8s, halves}, "neon"},
		{"arm64", []cpuid.FeatureID{dot}, "neon dotprod"},
		{"arm64", []cpuid.FeatureID{dot, int8s}, "neon dotprod"},
		{"arm64", []cpuid.FeatureID{dot, halves}, "neon dotprod"},
		{"arm64", []cpuid.FeatureID{dot, int8s, halves}, "neon dotprod i8mm"},
		{"riscv64", append(wide, dot, int8s, halves), ""},
	} {
		if test.arch != runtime.GOARCH {
			continue
		}
		var names []string
		for _, k := range levelsWith(func(need ...cpuid.FeatureID) bool {
			return !slices.ContainsFunc(need, func(f cpuid.FeatureID) bool { return !slices.Contains(test.found, f) })
		}) {
			names = append(names, k.Name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%v: levels %q, want %q", test.found, got, test.want)
		}
	}
}

// TestTablesAreTheCallersOwn: what one caller changes in a table is not seen by another.
func TestTablesAreTheCallersOwn(t *testing.T) {
	for i, k := range Levels() {
		name := k.Name
		k.Name, k.Dot, k.Panels = "changed", nil, nil
		*k = *k.Exact()
		if again := Levels()[i]; again.Name != name || again.Dot == nil || again.Panels == nil && i > 0 || i > 0 &&
			again.Rows[tensor.Q8_0] == nil {
			t.Errorf("%s: a table of an earlier call was changed, and this one with it", name)
		}
	}
}

var allLengths = append([]int{0}, kerneltest.Lengths...)

func TestDotKernels(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(1, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				a, b := f.Floats(kerneltest.Gaussian(r, n)), f.Floats(kerneltest.Gaussian(r, n))
				want, scale := 0.0, 0.0
				for i := range a {
					p := float64(a[i]) * float64(b[i])
					want += p
					scale += math.Abs(p)
				}
				// A product goes through at most n/32 + 1 fused sums of its lane and seven or less to the end, of 2⁻²⁴ each.
				got := k.Dot(a, b)
				kerneltest.Within(t, fmt.Sprintf("dot product of %d", n), float64(got), want, (float64(n)/32+8)*0x1p-24*1.01*scale)
				for by := range 4 { // at other addresses it has the same bits
					x, y := make([]float32, n+4)[by:by+n], make([]float32, n+8)[2*by:2*by+n]
					copy(x, a)
					copy(y, b)
					kerneltest.Equal(t, []float32{k.Dot(x, y)}, []float32{got}, "dot product of %d, %d words on", n, by)
				}
				for range min(n, 8) { // every element counts
					i := r.IntN(n)
					for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
						was := a[i]
						if a[i] = bad; !math.IsNaN(float64(k.Dot(a, b))) && !math.IsInf(float64(k.Dot(a, b)), 0) {
							t.Fatalf("dot product of %d with %v at %d is %v", n, bad, i, k.Dot(a, b))
						}
						a[i] = was
					}
				}
			}
		})
	})
}

func TestAddScaledKernels(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(2, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				for _, s := range []float32{1, -1.5, 0, 0x1p-149, float32(math.Inf(1)), float32(math.NaN())} {
					a, x := kerneltest.Strange(r, n), f.Floats(kerneltest.Strange(r, n))
					got, want := f.Floats(a), slices.Clone(a)
					k.AddScaled(got, x, s)
					ref.AddScaled(want, x, s)
					for i := range got {
						// Here the product is not rounded, there it is: half a unit of it, and half a unit of each sum.
						p, sum := math.Abs(float64(s)*float64(x[i])), math.Abs(float64(s)*float64(x[i])+float64(a[i]))
						if p > math.MaxFloat32 || sum > math.MaxFloat32 {
							continue // the rounded product overflows where the sum need not
						}
						kerneltest.Within(t, fmt.Sprintf("%v + %v·%v", a[i], s, x[i]), float64(got[i]), float64(want[i]),
							0x1p-24*p+0x1p-23*sum+0x1p-149)
						one := []float32{a[i]}
						k.AddScaled(one, x[i:i+1], s)
						kerneltest.Equal(t, got[i:i+1], one, "%v + %v·%v at %d of %d", a[i], s, x[i], i, n)
					}
					if s == 1 { // nothing to round before the sum
						kerneltest.Equal(t, got, want, "sum of %d", n)
					}
				}
			}
		})
	})
}

func TestScaleAndMaxKernels(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(11, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				x := f.Floats(kerneltest.Strange(r, n))
				want, got := make([]float32, n), f.Floats(make([]float32, n))
				ref.Scale(want, x, 1.3)
				k.Scale(got, x, 1.3)
				kerneltest.Equal(t, got, want, "%d numbers", n)
				k.Scale(x, x, 1.3)
				kerneltest.Equal(t, x, want, "%d numbers in place", n)

				for i := range x {
					x[i] = -1 - r.Float32()
				}
				for i := range x {
					was := x[i]
					x[i] = -0.5
					if top := k.Max(x); top != -0.5 {
						t.Fatalf("the largest of %d is %v, not the one at %d", n, top, i)
					}
					x[i] = was
				}
			}
		})
		inf := float32(math.Inf(-1))
		if a, b := k.Max(nil), k.Max([]float32{inf, inf}); a != inf || b != inf {
			t.Errorf("the largest of nothing is %v, of −Inf %v", a, b)
		}
	})
}

func TestClampKernels(t *testing.T) {
	ref, inf := tensor.Portable(), float32(math.Inf(1))
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(13, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				for _, bounds := range [][2]float32{{-0.5, 0.25}, {-inf, 1}, {-1, inf}, {0.125, 0.125}} {
					x := append(kerneltest.Strange(r, (n+1)/2), kerneltest.Gaussian(r, n/2)...)
					want, got := slices.Clone(x), f.Floats(x)
					ref.Clamp(want, bounds[0], bounds[1])
					k.Clamp(got, bounds[0], bounds[1])
					kerneltest.Equal(t, got, want, "%d numbers between %g and %g", n, bounds[0], bounds[1])
				}
			}
		})
	})
}

func TestRMSNormKernels(t *testing.T) {
	const eps = 1e-6
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(3, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				x := f.Floats(kerneltest.Gaussian(r, n))
				sum := 0.0
				for _, v := range x {
					sum += float64(v) * float64(v)
				}
				factor := 1 / math.Sqrt(sum/float64(n)+eps)
				for _, weight := range [][]float32{nil, f.Floats(kerneltest.Gaussian(r, n))} {
					got := f.Floats(make([]float32, n))
					k.RMSNorm(got, x, weight, eps)
					// The sum of squares is off by (n/32 + 8)·2⁻²⁴, its root by half of that; the factor and two products are rounded.
					tolerance := (float64(n)/64 + 4 + 3) * 0x1p-24 * 1.01
					for i, v := range x {
						want := float64(v) * factor
						if weight != nil {
							want *= float64(weight[i])
						}
						kerneltest.Within(t, fmt.Sprintf("RMS norm of %d at %d", n, i), float64(got[i]), want, tolerance*math.Abs(want))
					}
					y := f.Floats(x)
					k.RMSNorm(y, y, weight, eps)
					kerneltest.Equal(t, y, got, "RMS norm of %d in place", n)
					sum := f.Floats(kerneltest.Gaussian(r, n))
					for i, v := range sum {
						got[i] += v
					}
					k.AddNorm(sum, f.Floats(x), weight, eps)
					kerneltest.Equal(t, sum, got, "RMS norm of %d, added", n)
				}
			}
			zero := f.Floats(make([]float32, 33))
			k.RMSNorm(zero, zero, nil, eps)
			kerneltest.Equal(t, zero, make([]float32, 33), "RMS norm of zeros")
			x := f.Floats(kerneltest.Gaussian(r, 33))
			x[32] = float32(math.NaN())
			k.RMSNorm(x, x, nil, eps)
			if x[0] == x[0] {
				t.Fatalf("RMS norm of a vector with NaN starts with %v", x[0])
			}
		})
	})
}

func TestRotateKernels(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(4, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, half := range allLengths {
				for _, odd := range []int{0, 1} {
					x := f.Floats(kerneltest.Strange(r, 2*half+odd))
					cos, sin := f.Floats(kerneltest.Gaussian(r, half)), f.Floats(kerneltest.Gaussian(r, half))
					want := slices.Clone(x)
					ref.Rotate(want, cos, sin)
					k.Rotate(x, cos, sin)
					kerneltest.Equal(t, x, want, "head of %d", 2*half+odd)
				}
			}
		})
	})
}

// TestAnglesKernels: to the last bit, on angles of all magnitudes, next to those where a sine or a cosine is 0, and on both sides of what
// is left to the portable function.
func TestAnglesKernels(t *testing.T) {
	ref := tensor.Portable()
	const limit = 1 << 29
	inf := math.Inf(1)
	edges := []float64{0, math.Copysign(0, -1), math.SmallestNonzeroFloat64, 0x1p-1022, math.Nextafter(limit, 0), -math.Nextafter(limit, 0),
		limit, -limit, math.Nextafter(limit, inf), 0x1p31, 0x1p63, math.MaxFloat64, inf, -inf, math.NaN()}
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(14, 21))
		kinds := []func() float64{
			func() float64 { return math.Exp(-9 * r.Float64()) },
			func() float64 { return math.Ldexp(2*r.Float64()-1, r.IntN(1074+29)-1074) },
			func() float64 { // a quarter of a turn, some times, rounded to a float
				x := float64(r.IntN(1<<r.IntN(28))) * (math.Pi / 2)
				return math.Nextafter(x, x+float64(r.IntN(3)-1))
			},
		}
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				freqs := unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(f.Bytes(8*n)))), n)
				cos, sin := f.Floats(make([]float32, n)), f.Floats(make([]float32, n))
				wantCos, wantSin := make([]float32, n), make([]float32, n)
				check := func(position float64) {
					t.Helper()
					k.Angles(cos, sin, freqs, position)
					ref.Angles(wantCos, wantSin, freqs, position)
					kerneltest.Equal(t, cos, wantCos, "cosines of %v times %v", position, freqs)
					kerneltest.Equal(t, sin, wantSin, "sines of %v times %v", position, freqs)
				}
				for _, draw := range kinds {
					for i := range freqs {
						freqs[i] = draw()
					}
					for _, position := range []float64{1, -1, 0, 262143} {
						check(position)
					}
				}
				for range min(n, 8) {
					at := r.IntN(n)
					was := freqs[at]
					for _, e := range edges {
						freqs[at] = e
						check(1)
					}
					freqs[at] = was
				}
			}
		})
	})
}

// elementwise tests that a function of single elements gives each the same bits wherever it is, touches nothing else and agrees with the
// portable one up to the tolerance of the element.
func elementwise(t *testing.T, call, ref func(x, y []float32), tolerance func(x, y, want float64) float64) {
	r := rand.New(rand.NewPCG(5, 21))
	kerneltest.Fences(t, func(f kerneltest.Fence) {
		for _, n := range allLengths {
			for range 4 {
				a, y := kerneltest.Strange(r, n), f.Floats(kerneltest.Strange(r, n))
				x, want := f.Floats(a), slices.Clone(a)
				call(x, y)
				ref(want, y)
				for i := range x {
					one := []float32{a[i]}
					call(one, y[i:i+1])
					kerneltest.Equal(t, x[i:i+1], one, "%v at %d of %d", a[i], i, n)
					if math.IsInf(float64(want[i]), 0) || math.IsInf(float64(x[i]), 0) {
						kerneltest.Equal(t, x[i:i+1], want[i:i+1], "result of %v with %v", a[i], y[i])
						continue
					}
					kerneltest.Within(t, fmt.Sprintf("result of %v with %v", a[i], y[i]), float64(x[i]), float64(want[i]),
						tolerance(float64(a[i]), float64(y[i]), float64(want[i])))
				}
			}
		}
	})
}

// sweep calls f for floats from low to high, equally far from each other in their bits: about n below and above 0 each.
func sweep(low, high float32, n uint32, f func(x []float32)) {
	var x []float32
	for _, end := range []float32{low, high} {
		sign, last := math.Float32bits(end)&(1<<31), math.Float32bits(end)&^(1<<31)
		for b := uint32(0); b <= last; b += last/n + 1 {
			if x = append(x, math.Float32frombits(sign|b)); len(x) == 1<<12 {
				f(x)
				x = x[:0]
			}
		}
	}
	f(x)
}

// ulps returns how many units in the last place of the float32 next to want got is off. Subnormals have the unit of the
// smallest normal number.
func ulps(got float32, want float64) float64 {
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e, -125)-24)
}

func sweepLen() uint32 {
	if testing.Short() {
		return 1 << 15
	}
	return 1 << 21
}

// geluOf is the function in float64 without the cancellation that 1 + tanh has.
func geluOf(x float64) float64 {
	const c = 0.7978845608028654
	return x / (1 + math.Exp(-2*c*(x+0.044715*x*x*x)))
}

// What GELU owes: t = k1·x + k2·x³ is off by 3 roundings of its size (two constants, x², one sum; the product is exact in r), which 2^t
// turns into 3·2⁻²⁴·ln 2·|t| of relative error, at most that of the whole; 2^r is off by 1.5 units, the sum, the quotient and the
// product by half a one each. Below −10.06 (t = 128) and where 2^t overflows there is 0 instead of less than 2⁻¹²⁴.
func geluTolerance(x, y float64) float64 {
	t := math.Abs(2.302208*x + 0.102943*x*x*x)
	return math.Abs(y) * ((3*math.Ln2*min(t, 128)+3)*0x1p-24*1.01*math.Abs(geluOf(x)) + 0x1p-123)
}

func TestGELUKernels(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		exact := func(gate, up []float32) {
			for i, x := range gate {
				if ref.GELU(gate[i:i+1], up[i:i+1]); x < -4 && x > -10.05 {
					gate[i] = float32(geluOf(float64(x))) * up[i] // the portable one loses digits where tanh is nearly −1
				}
			}
		}
		elementwise(t, k.GELU, exact, func(x, y, want float64) float64 {
			return geluTolerance(x, y) + 0x1p-23*math.Abs(want) + 0x1p-149*(1+math.Abs(y))
		})

		worst, at, near, nearAt := 0.0, float32(0), 0.0, float32(0)
		up := make([]float32, 1<<12)
		for i := range up {
			up[i] = 1
		}
		sweep(-12, 12, sweepLen(), func(x []float32) {
			y := slices.Clone(x)
			k.GELU(y, up[:len(y)])
			for i, v := range x {
				want := geluOf(float64(v))
				off := math.Abs(float64(y[i]) - want)
				if off > geluTolerance(float64(v), 1)+0x1p-149 {
					t.Fatalf("gelu(%g) is %g, want %g", v, y[i], want)
				}
				if math.Abs(want) > 1e-30 && off/math.Abs(want) > worst {
					worst, at = off/math.Abs(want), v
				}
				if math.Abs(want) > 1e-5 && off/math.Abs(want) > near {
					near, nearAt = off/math.Abs(want), v
				}
			}
		})
		t.Logf("largest relative error of gelu: %.3g at %g where it is above 1e-5, %.3g at %g above 1e-30", near, nearAt, worst, at)
		if near > 2e-6 {
			t.Errorf("relative error %g at %g", near, nearAt)
		}
	})
}

func TestSoftCapKernels(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for _, limit := range []float32{30, 50, 1, 0.001, 1e6, 0x1p-100, 0x1p100} {
			call := func(t *tensor.Kernels) func(x, y []float32) {
				return func(x, y []float32) { t.SoftCap(x, limit) }
			}
			elementwise(t, call(k), call(ref), func(x, y, want float64) float64 {
				// The portable function rounds x/limit, half a unit, and the result. Of a subnormal x/limit, it rounds more.
				return (softCapError+0x1p-23)*math.Abs(want) + float64(limit)*0x1p-148 + 0x1p-148
			})
		}

		const limit = 30
		worst, at := 0.0, float32(0)
		sweep(-400, 400, sweepLen(), func(x []float32) {
			y := slices.Clone(x)
			k.SoftCap(y, limit)
			for i, v := range x {
				want := limit * math.Tanh(float64(v)/limit)
				if math.Abs(want) < 0x1p-100 {
					continue
				}
				if off := ulps(y[i], want); off > worst {
					worst, at = off, v
				}
				if off := math.Abs(float64(y[i]) - want); off > softCapError*math.Abs(want) {
					t.Fatalf("soft cap of %g is %g, want %g", v, y[i], want)
				}
				if math.Abs(float64(y[i])) > limit {
					t.Fatalf("soft cap of %g is %g", v, y[i])
				}
			}
		})
		t.Logf("largest error of tanh: %.3f units in the last place at %g", worst, at)
	})
}

// softCapError is the relative error of 30·tanh(x/30), in roundings of 2⁻²⁴: two of r, 0.4 for the series, one of its last step, of
// 2^r − 1, of m, of m + 2, of the quotient and of the product.
const softCapError = 8.4 * 0x1p-24

func TestExpSumKernels(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for _, shift := range []float32{0, 1, -50, 88} {
			call := func(k *tensor.Kernels) func(x, y []float32) {
				return func(x, y []float32) { k.ExpSum(x, shift) }
			}
			elementwise(t, call(k), call(ref), func(x, y, want float64) float64 { return 0x1p-22*want + 0x1p-149 })
		}

		worst, at := 0.0, float32(0)
		sweep(-110, 88.72, sweepLen(), func(x []float32) {
			y := slices.Clone(x)
			k.ExpSum(y, 0)
			for i, v := range x {
				want := math.Exp(float64(v))
				if want < 0x1p-126 { // subnormal: rounded to their unit at the end
					if math.Abs(float64(y[i])-want) > 0x1p-149 {
						t.Fatalf("exp(%g) is %g, want %g", v, y[i], want)
					}
				} else if off := ulps(y[i], want); off > worst {
					worst, at = off, v
				}
			}
		})
		t.Logf("largest error of exp: %.3f units in the last place at %g", worst, at)
		if worst > 2 {
			t.Errorf("exp(%g) is off by %g units", at, worst)
		}

		r := rand.New(rand.NewPCG(6, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				x := f.Floats(kerneltest.Gaussian(r, n))
				sum := k.ExpSum(x, 1)
				want := 0.0
				for _, v := range x {
					want += float64(v)
				}
				// n/8 + 1 sums in a lane and four or less to the end. All terms are positive.
				kerneltest.Within(t, fmt.Sprintf("sum of %d", n), float64(sum), want, (float64(n)/8+5)*0x1p-24*1.01*want)
			}
		})
		x := []float32{float32(math.Inf(-1)), 3, float32(math.Inf(-1))}
		if sum := k.ExpSum(x, 3); sum != 1 || x[0] != 0 || x[1] != 1 || x[2] != 0 {
			t.Errorf("exp of -Inf, 0 and -Inf is %v, the sum %v", x, sum)
		}
		if sum := k.ExpSum([]float32{1, float32(math.NaN())}, 1); sum == sum {
			t.Errorf("sum with NaN is %v", sum)
		}
		if sum := k.ExpSum(nil, 1); sum != 0 {
			t.Errorf("sum of nothing is %v", sum)
		}
	})
}

func TestEncodeF16Kernels(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		// All upper halves of floats with lower halves around what rounding looks at: ties, and one more or less.
		var low []uint32
		for i := uint32(0); i < 8; i++ {
			low = append(low, i<<13, i<<13+1, i<<13|0xFFF, i<<13|0x1000, i<<13|0x1001, i<<13|0x1FFF)
		}
		x := make([]float32, len(low))
		got, want := make([]byte, 2*len(x)), make([]byte, 2*len(x))
		for high := range uint32(1 << 16) {
			for i, l := range low {
				x[i] = math.Float32frombits(high<<16 | l)
			}
			k.EncodeRow(tensor.F16, got, x)
			tensor.F16.Encode(want, x)
			if !slices.Equal(got, want) {
				t.Fatalf("%v became %x, want %x", x, got, want)
			}
		}
		r := rand.New(rand.NewPCG(7, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				x := f.Floats(kerneltest.Strange(r, n))
				got, want := f.Bytes(2*n), make([]byte, 2*n)
				k.EncodeRow(tensor.F16, got, x)
				tensor.F16.Encode(want, x)
				if !slices.Equal(got, want) {
					t.Fatalf("%v became %x, want %x", x, got, want)
				}
			}
		})
	})
}

func TestQuantizeKernels(t *testing.T) {
	ref := tensor.Portable()
	garbage := func(n int) []tensor.Q8 {
		q := make([]tensor.Q8, n)
		for i := range q {
			for j := range q[i].Q {
				q[i].Q[j] = 99
			}
			for j := range q[i].Scale {
				q[i].Scale[j], q[i].NegSum[j] = 99, 99
			}
		}
		return q
	}
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(8, 21))
		check := func(f kerneltest.Fence, x []float32) {
			t.Helper()
			units := tensor.Q8Len(len(x))
			want := garbage(units)
			ref.Quantize(want, x)
			b := f.Bytes(units * int(unsafe.Sizeof(tensor.Q8{})))
			got := unsafe.Slice((*tensor.Q8)(unsafe.Pointer(unsafe.SliceData(b))), units)
			copy(got, garbage(units))
			k.Quantize(got, f.Floats(x))
			for i := range want {
				if got[i].Q != want[i].Q || got[i].NegSum != want[i].NegSum {
					t.Fatalf("%d numbers, unit %d of %v: values %v, sums %v, want %v and %v", len(x), i, x[64*i:min(64*i+64, len(x))],
						got[i].Q, got[i].NegSum, want[i].Q, want[i].NegSum)
				}
				for l := range want[i].Scale {
					if math.Float32bits(got[i].Scale[l]) != math.Float32bits(want[i].Scale[l]) {
						t.Fatalf("%d numbers, unit %d: scale %d is %v, want %v", len(x), i, l, got[i].Scale[l], want[i].Scale[l])
					}
				}
			}
		}
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range allLengths {
				check(f, kerneltest.Gaussian(r, n))
				check(f, kerneltest.Strange(r, n))
			}
		})
		f := kerneltest.Fence{T: t, Front: false}
		x := make([]float32, 64)
		for _, e := range kerneltest.Edges { // one in a block, for each place
			for i := range x {
				clear(x)
				x[i] = e
				if i%2 == 0 {
					x[i/2] += 1
				}
				check(f, x)
			}
		}
		for _, top := range []float32{127, 63.5, 254, 1, 0x1p-100, 0x1p-101, 0x1.fffffep-101, 0x1p-99, 0x1p100, math.MaxFloat32} { // ties
			for i := range x {
				x[i] = (float32(i)*4 - 127.5) * (top / 127)
			}
			x[5], x[40] = top, -top
			check(f, x)
		}
		for range 2000 { // magnitudes all over the range
			e := r.IntN(250) - 125
			for i := range x {
				x[i] = float32(math.Ldexp(r.Float64()*2-1, e))
			}
			check(f, x)
		}
		for i := range x { // all values at their ends
			x[i] = float32(1 - i%2*2)
		}
		check(f, x)
	})
}

// TestElementsAreTheSameAtAllLevels: what is not a sum has the same bits at all levels above the portable one.
func TestElementsAreTheSameAtAllLevels(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 21))
	x, y := append(kerneltest.Strange(r, 5000), kerneltest.Gaussian(r, 5000)...), kerneltest.Gaussian(r, 10000)
	var want [][]float32
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for i, call := range []func(x []float32){
			func(x []float32) { k.AddScaled(x, y, 1.1) },
			func(x []float32) { k.GELU(x, y) },
			func(x []float32) { k.SoftCap(x, 30) },
			func(x []float32) { k.ExpSum(x, 1) },
		} {
			got := slices.Clone(x)
			if call(got); len(want) == i {
				want = append(want, got)
			}
			kerneltest.Equal(t, got, want[i], "function %d", i)
		}
	})
}

// TestElementKernelsAllocateNothing calls each function once more.
func TestElementKernelsAllocateNothing(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(10, 21))
		x, y, half, q := kerneltest.Gaussian(r, 100), kerneltest.Gaussian(r, 100), make([]byte, 200), make([]tensor.Q8, 2)
		freqs := make([]float64, 9)
		n := testing.AllocsPerRun(10, func() {
			k.Dot(x, y)
			k.AddScaled(x, y, 1)
			k.Scale(y, x, 2)
			k.Max(x)
			k.Clamp(x, -1, 1)
			k.RMSNorm(x, x, y, 1e-6)
			k.GELU(x, y)
			k.Rotate(x, y[:50], y[50:])
			k.Angles(x[:9], y[:9], freqs, 1000)
			k.SoftCap(x, 30)
			k.ExpSum(x, 3)
			k.EncodeRow(tensor.F16, half, x)
			k.EncodeRow(tensor.Q8_0, half, x[:96])
			k.EncodeRow(tensor.Q4_0, half, x[:96])
			k.Hadamard(x[:64])
			k.Quantize(q, x)
			k.DecodeRow(tensor.F16, x, half)
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// TestDecodeHalvesKernels: all there are, to the last bit of a NaN, and some where memory ends.
func TestDecodeHalvesKernels(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for _, format := range []tensor.Format{tensor.F16, tensor.BF16} {
			src := make([]byte, 2<<16)
			for i := range 1 << 16 {
				binary.LittleEndian.PutUint16(src[2*i:], uint16(i))
			}
			check := func(got []float32, src []byte) {
				t.Helper()
				k.DecodeRow(format, got, src)
				want := make([]float32, len(got))
				format.Decode(want, src)
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%v: % x is %#x, want %#x", format, src[2*i:2*i+2], math.Float32bits(got[i]), math.Float32bits(want[i]))
					}
				}
			}
			check(make([]float32, 1<<16), src)
			r := rand.New(rand.NewPCG(9, 21))
			kerneltest.Fences(t, func(f kerneltest.Fence) {
				for _, n := range allLengths {
					from := 2 * r.IntN(1<<16-n)
					check(f.Floats(make([]float32, n)), f.CopyOf(src[from:from+2*n]))
				}
			})
		}
	})
}

// TestHadamardKernels: to the last bit, except for which NaN, also on those of kerneltest.Lengths that are left to the portable function.
func TestHadamardKernels(t *testing.T) {
	ref := tensor.Portable()
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(13, 21))
		kerneltest.Fences(t, func(f kerneltest.Fence) {
			for _, n := range []int{0, 8, 32, 64, 96, 128, 192, 512} {
				check := func(x []float32) {
					got, want := f.Floats(x), slices.Clone(x)
					k.Hadamard(got)
					ref.Hadamard(want)
					kerneltest.Equal(t, got, want, "%v mixed", x)
				}
				for e := -149; e < 128; e += 12 {
					x := kerneltest.Gaussian(r, n)
					for i := range x {
						x[i] = float32(math.Ldexp(float64(x[i]), e))
					}
					check(x)
				}
				for i := range n { // one alone, and among others
					x := make([]float32, n)
					x[i] = -1
					check(x)
					x = kerneltest.Gaussian(r, n)
					x[i] = []float32{math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}[i%4]
					check(x)
				}
			}
		})
	})
}

// TestEncodeBlockKernels: exactly, on numbers that lie halfway between two codes or next to it, on scales that are subnormal or whose
// inverse is infinite, and on what is not finite, at each place.
func TestEncodeBlockKernels(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		for _, c := range []struct {
			format tensor.Format
			steps  float32 // up to the largest magnitude
		}{{tensor.Q8_0, 127}, {tensor.Q4_0, 8}} {
			t.Run(c.format.String(), func(t *testing.T) { testEncode(t, k, c.format, c.steps) })
		}
	})
}

func testEncode(t *testing.T, k *tensor.Kernels, format tensor.Format, steps float32) {
	r := rand.New(rand.NewPCG(12, 21))
	kerneltest.Fences(t, func(f kerneltest.Fence) {
		var room [2][]byte
		var in []float32
		check := func(x []float32) {
			t.Helper()
			size := format.RowBytes(len(x))
			if len(in) != len(x) {
				in, room[0], room[1] = f.Floats(x), f.Bytes(size), make([]byte, size)
			}
			copy(in, x)
			for i := range size {
				room[0][i], room[1][i] = 99, 99
			}
			if err := k.EncodeRow(format, room[0], in); err != nil {
				t.Fatal(err)
			}
			if err := format.Encode(room[1], x); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(room[0], room[1]) {
				t.Fatalf("%v became %v, want %v", x, room[0], room[1])
			}
		}
		for _, n := range []int{0, 32, 64, 96, 512} {
			for range 50 {
				check(kerneltest.Gaussian(r, n))
			}
		}
		x := make([]float32, 32)
		for e := -149; e < 128; e++ { // all scales
			for range 4 {
				for i := range x {
					x[i] = float32(math.Ldexp(r.Float64()*2-1, e))
				}
				check(x)
			}
		}
		for _, top := range []float32{steps, -2 * steps, steps * 0x1p-100, steps * 0x1p-140, -steps * 0x1p100, 1, 100, 0x1p-120} {
			high := max(top, -top)
			for shift := -2; shift <= 2; shift++ { // halves, and up to two units in the last place beside them
				for from := -steps; from < steps; from += 31 {
					x[0] = top
					for i := range x[1:] {
						v := (from + float32(i) + 0.5) * (top / steps)
						x[i+1] = max(-high, min(high, math.Float32frombits(math.Float32bits(v)+uint32(shift))))
					}
					check(x)
				}
			}
		}
		for i := range x { // the largest magnitude with both signs, and zeros of both
			for j := range x {
				copy(x, kerneltest.Gaussian(r, 32))
				x[i], x[j] = 9, -9
				check(x)
				clear(x)
				x[i], x[j] = float32(math.Copysign(0, -1)), 0
				check(x)
			}
		}
		for i := range x { // one of them alone, and among others
			for _, v := range []float32{0, 1, -1, float32(math.Copysign(0, -1)), 0x1p-149, math.MaxFloat32, float32(math.Inf(1)),
				float32(math.Inf(-1)), float32(math.NaN()), math.Float32frombits(0xFF800001)} {
				clear(x)
				x[i] = v
				check(x)
				three := kerneltest.Gaussian(r, 96)
				three[32+i] = v
				check(three)
			}
		}
	})
}

// TestRooflineLoops: the sum reads every byte, and rounds are counted.
func TestRooflineLoops(t *testing.T) {
	aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
		r := rand.New(rand.NewPCG(3, 9))
		k.Sum(nil)
		for _, n := range []int{1, 255, 256, 257, 1000, 4096} {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			before := k.Sum(b)
			for i := range b {
				b[i]++
				if k.Sum(b) == before {
					t.Fatalf("byte %d of %d is not read", i, n)
				}
				b[i]--
			}
			if k.Sum(b) != before {
				t.Fatalf("two sums of the same %d bytes differ", n)
			}
		}
		for i, burn := range []func(int) int64{k.Burn, k.BurnFloats, k.FloatPanels.Burn} {
			if one, ten := burn(1), burn(10); one <= 0 || ten != 10*one {
				t.Errorf("%d: one round is %d multiply-adds, ten are %d", i, one, ten)
			}
		}
	})
}
