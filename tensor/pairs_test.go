package tensor

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// brains returns numbers in bf16.
func brains(x ...float32) []byte {
	b := make([]byte, 2*len(x))
	roundPairs(b, x)
	return b
}

// TestPairsAreAddedInOrder: the second of a pair first, 256 columns at a time.
func TestPairsAreAddedInOrder(t *testing.T) {
	ones := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = 1
		}
		return x
	}
	long := make([]float32, 258)
	long[0], long[256], long[257] = 1<<24, 1, 1
	for _, c := range []struct {
		w    []float32
		want float32
	}{
		{[]float32{-1 << 24, 1 << 24, 1}, 1},
		{[]float32{1 << 24, 0, -1 << 24, 1}, 0}, // 1 is added to 2²⁴, a tie to even, before 2²⁴ goes
		{[]float32{1 << 24, 0, 1, -1 << 24}, 1},
		{long, 1<<24 + 2},           // added up apart, two are enough
		{long[:257], 1 << 24},       // one is not
		{[]float32{0x1p-140, 1}, 1}, // subnormal
		{[]float32{}, 0},
	} {
		if got := pairProduct(brains(c.w...), brains(ones(len(c.w))...)); got != c.want {
			t.Errorf("%d columns, %v …: %v, want %v", len(c.w), c.w[:min(4, len(c.w))], got, c.want)
		}
	}
}

// TestBF16ProductsAreRoundedOnce compares with sums of any precision.
func TestBF16ProductsAreRoundedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 14))
	number := func(least, n int) float32 { return flush(math.Ldexp(1-2*r.Float64(), least+r.IntN(n))) }
	for range 200000 {
		a, b, c := roundBF16(number(-90, 60)), roundBF16(number(-90, 60)), number(-130, 80)
		exact := new(big.Float).SetPrec(1000).Mul(big.NewFloat(float64(FromBF16(a))), big.NewFloat(float64(FromBF16(b))))
		exact.Add(exact, big.NewFloat(float64(c)))
		want, _ := exact.SetPrec(24).Float64()
		if math.Abs(want) < 0x1p-126 {
			want = math.Copysign(0, want)
		}
		if got := addProduct(c, a, b); float64(got) != want {
			t.Fatalf("%x + %#x · %#x is %x, want %x", c, a, b, got, want)
		}
	}
}

// TestPairsAreWithinTheirBound: see the comment in pairs.go.
func TestPairsAreWithinTheirBound(t *testing.T) {
	k := PortablePairs().HalfPanels
	r := rand.New(rand.NewPCG(2, 14))
	for _, f := range []Format{BF16, F16} {
		roundings := map[Format]float64{BF16: 1, F16: 2}[f]
		off, all := 0.0, 0.0
		for cols := 1; cols < 3000; cols += 1 + cols/2 {
			const rows, n = 8, 5
			w, err := newRandom(r, f, rows*cols)
			if err != nil {
				t.Fatal(err)
			}
			x, values := normal(r, n*cols), make([]float32, rows*cols)
			f.Decode(values, w)
			panel, packed, dst := make([]byte, k.WBytes(cols)), make([]byte, k.XBytes(n, cols)), make([]float32, rows*n)
			k.PackX(packed, x, n, cols, 0, n)
			k.PackW[f](panel, w, f.RowBytes(cols), rows, cols)
			k.Multiply(dst, rows, panel, rows, packed, n, cols, nil)
			for i, got := range dst {
				want, sum, squares := 0.0, 0.0, 0.0
				for c := range cols {
					p := float64(values[i%rows*cols+c]) * float64(x[i/rows*cols+c])
					want, sum, squares = want+p, sum+math.Abs(p), squares+p*p
				}
				d := math.Abs(float64(got) - want)
				bound := ((math.Pow(1+0x1p-8, roundings) - 1) + (256+math.Ceil(float64(cols)/256))*0x1p-24) * sum
				if !(d <= bound) {
					t.Fatalf("%v, %d columns: %g, want %g ± %g", f, cols, got, want, bound)
				}
				off, all = off+d*d, all+squares
			}
		}
		if share, most := math.Sqrt(off/all), math.Sqrt(roundings)/550; share > most {
			t.Errorf("%v: products are off by 1/%.0f of the root of their squares, want 1/%.0f", f, 1/share, 1/most)
		} else {
			t.Logf("%v: products are off by 1/%.0f of the root of their squares", f, 1/share)
		}
	}
}

func newRandom(r *rand.Rand, f Format, n int) ([]byte, error) {
	w := make([]byte, f.RowBytes(n))
	return w, f.Encode(w, normal(r, n))
}
