package tensor

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/floats"
)

// lengths reach every tail of an unrolled loop.
var lengths = []int{1, 2, 3, 7, 8, 9, 15, 16, 31, 32, 33, 64, 100, 256, 1000}

func TestDot(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	k := Portable()
	for _, n := range lengths {
		a, b := normal(r, n), normal(r, n)
		near(t, "dot", k.Dot(a, b), floats.Dot(doubles(a), doubles(b)), 1e-5*math.Sqrt(float64(n)))
	}
	if got := k.Dot(nil, nil); got != 0 {
		t.Errorf("empty dot product is %v, want 0", got)
	}
}

func TestAddScaled(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range lengths {
		y, x := normal(r, n), normal(r, n)
		want := doubles(y)
		floats.AddScaled(want, -1.5, doubles(x))
		Portable().AddScaled(y, x, -1.5)
		nearAll(t, "add scaled", y, want, 1e-6)
	}
}

func TestRMSNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	const eps = 1e-6
	for _, n := range lengths {
		x, weight := normal(r, n), normal(r, n)
		want := doubles(x)
		floats.Scale(1/math.Sqrt(floats.Dot(want, want)/float64(n)+eps), want)
		y := make([]float32, n)
		Portable().RMSNorm(y, x, nil, eps)
		nearAll(t, "RMS norm", y, want, 1e-5)
		floats.Mul(want, doubles(weight))
		Portable().RMSNorm(x, x, weight, eps) // in place
		nearAll(t, "weighted RMS norm", x, want, 1e-5)
	}
	zero := make([]float32, 16)
	Portable().RMSNorm(zero, zero, nil, eps)
	nearAll(t, "RMS norm of zeros", zero, make([]float64, 16), 0)
}

func TestGELU(t *testing.T) {
	// 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), from an independent evaluation.
	x := []float32{-100, -3, -1, -0.5, 0, 0.5, 1, 3, 100}
	want := []float64{0, -0.00363739, -0.15880801, -0.15428599, 0, 0.34571401, 0.84119199, 2.99636261, 100}
	up := make([]float32, len(x))
	for i := range up {
		up[i] = 2
	}
	Portable().GELU(x, up)
	for i := range want {
		near(t, "gelu", x[i], 2*want[i], 1e-6)
	}
}

func TestRotate(t *testing.T) {
	// Dimension i pairs with i + half: (1, 0) turned by a quarter is (0, 1).
	x := []float32{1, 3, 0, 4}
	Portable().Rotate(x, []float32{0, 1}, []float32{1, 0})
	nearAll(t, "rotate", x, []float64{0, 3, 1, 4}, 0)

	r := rand.New(rand.NewPCG(1, 4))
	y := normal(r, 64)
	before := floats.Norm(doubles(y), 2)
	cos, sin := make([]float32, 32), make([]float32, 32)
	for i := range cos {
		s, c := math.Sincos(r.Float64() * 7)
		cos[i], sin[i] = float32(c), float32(s)
	}
	Portable().Rotate(y, cos, sin)
	near(t, "length after rotation", float32(floats.Norm(doubles(y), 2)), before, 1e-5)
}

func TestAngles(t *testing.T) {
	// The third is the second a turn later.
	cos, sin := make([]float32, 4), make([]float32, 4)
	Portable().Angles(cos, sin, []float64{0, math.Pi / 6, 13 * math.Pi / 6, -math.Pi / 4}, 2)
	nearAll(t, "cosine", cos, []float64{1, 0.5, 0.5, 0}, 1e-7)
	nearAll(t, "sine", sin, []float64{0, math.Sqrt(3) / 2, math.Sqrt(3) / 2, -1}, 1e-7)
}

func TestSoftCap(t *testing.T) {
	x := []float32{0, 1, -30, 1e6, float32(math.Inf(-1))}
	Portable().SoftCap(x, 30)
	nearAll(t, "soft cap", x, []float64{0, 30 * math.Tanh(1.0/30), 30 * math.Tanh(-1), 30, -30}, 1e-5)
}

func TestExpSum(t *testing.T) {
	x := []float32{1, 2, 3, float32(math.Inf(-1))}
	sum := Portable().ExpSum(x, 3)
	nearAll(t, "exp", x, []float64{math.Exp(-2), math.Exp(-1), 1, 0}, 1e-7)
	near(t, "sum of exp", sum, math.Exp(-2)+math.Exp(-1)+1, 1e-6)
}

func near(t *testing.T, what string, got float32, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(float64(got)-want) <= tolerance) {
		t.Errorf("%s is %v, want %v ± %g", what, got, want, tolerance)
	}
}

func nearAll(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i]) <= tolerance*max(1, math.Abs(want[i]))) {
			t.Fatalf("%s[%d] of %d is %v, want %v ± %g", what, i, len(want), got[i], want[i], tolerance)
		}
	}
}
