package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// checkpoint returns codes times a step as a checkpoint holds them: rounded to BF16.
func checkpoint(step float64, codes ...int) []float32 {
	x := make([]float32, 32)
	for i := range x {
		x[i] = tensor.FromBF16(tensor.ToBF16(float32(step * float64(codes[i%len(codes)]))))
	}
	return x
}

// codesOf returns the 32 codes of a block of Q4_0, and its scale.
func codesOf(b []byte) (codes [32]int, d float32) {
	for i, c := range b[2:18] {
		codes[i], codes[i+16] = int(c&15)-8, int(c>>4)-8
	}
	return codes, tensor.FromF16(uint16(b[0]) | uint16(b[1])<<8)
}

// wholeGrid returns 32 random codes up to level, with a weight of that magnitude, negative if the sign is -1, and no 8 of the other sign.
func wholeGrid(r *rand.Rand, level, sign int) []int {
	codes := make([]int, 32)
	for i := range codes {
		codes[i] = r.IntN(2*level+1) - level
		if codes[i] == -8*sign {
			codes[i] = 0
		}
	}
	codes[r.IntN(32)] = sign * level
	return codes
}

// gcd of magnitudes: a grid is known up to it.
func gcd(codes []int) int {
	g := 0
	for _, c := range codes {
		for a := max(c, -c); a != 0; {
			g, a = a, g%a
		}
	}
	return g
}

// TestGridsAreFound makes blocks with the extremum on each level and of each sign, and steps over all that a half holds without loss. The
// codes must come back as they were; the weights must too where some half gives them, which is tried for all of them near the step.
func TestGridsAreFound(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	blocks, identical := 0, 0
	for level := 1; level <= 8; level++ {
		for _, sign := range []int{1, -1} {
			for exponent := -14; exponent < 16; exponent++ {
				for range 8 {
					codes := wholeGrid(r, level, sign)
					step := math.Ldexp(1+r.Float64(), exponent) / float64(gcd(codes))
					step = min(max(step, 0x1p-14), 65000/float64(gcd(codes)))
					x := checkpoint(step, codes...)
					b := make([]byte, 18)
					got, err := Grid(b, x, 32)
					if err != nil {
						t.Fatal(err)
					}
					if got.OnGrid != 1 || got.Blocks != 1 || got.Zero != 0 {
						t.Fatalf("level %d, step %v, codes %v: %+v", level, step, codes, got)
					}
					found, d := codesOf(b)
					times := gcd(codes)
					if d < 0 {
						times = -times
					}
					for i, c := range codes {
						if found[i]*times != c {
							t.Fatalf("level %d, step %v: codes %v, want %v", level, step, found, codes)
						}
					}
					blocks++
					identical += got.Identical
					if want := someHalfGives(x, found, math.Abs(float64(d)), d < 0); want != (got.Identical == 1) {
						t.Errorf("level %d, step %v, codes %v: %+v, but that some half gives them is %t", level, step, codes, got, want)
					}
					if same(x, b) != (got.Identical == 1) {
						t.Errorf("level %d, step %v, codes %v: identical is not what decoding gives", level, step, codes)
					}
				}
			}
		}
	}
	share := float64(identical) / float64(blocks)
	t.Logf("%d blocks, all with their codes, %.1f%% of them identical", blocks, 100*share)
	if share < 0.93 {
		t.Errorf("%.3f of the blocks are identical, want 0.93", share)
	}
}

// someHalfGives tries all halves within 2% of d.
func someHalfGives(x []float32, codes [32]int, d float64, negative bool) bool {
	var b [18]byte
	for i := range 16 {
		b[2+i] = byte(codes[i]+8) | byte(codes[i+16]+8)<<4
	}
	for h := tensor.ToF16(float32(0.98 * d)); h <= min(tensor.ToF16(float32(1.02*d)), 0x7BFF); h++ {
		b[0], b[1] = byte(h), byte(h>>8)
		if negative {
			b[1] |= 0x80
		}
		if same(x, b[:]) {
			return true
		}
	}
	return false
}

// same reports whether a block decodes to x, in BF16.
func same(x []float32, b []byte) bool {
	y := make([]float32, 32)
	tensor.Q4_0.Decode(y, b)
	for i, v := range y {
		if tensor.FromBF16(tensor.ToBF16(v)) != x[i] {
			return false
		}
	}
	return true
}

func TestGridsOfHalvesComeBackExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for h := uint16(0x0400); h < 0x7C00; h += 7 {
		level, sign := 1+int(h)%8, 1-2*int(h>>3&1)
		codes := wholeGrid(r, level, sign)
		x := checkpoint(float64(tensor.FromF16(h)), codes...)
		b := make([]byte, 18)
		if e, err := Grid(b, x, 32); err != nil || e.Identical != 1 || !same(x, b) {
			t.Fatalf("step %v, codes %v: %+v, %v", tensor.FromF16(h), codes, e, err)
		}
	}
}

func TestSparseGrids(t *testing.T) {
	for _, c := range []struct {
		name string
		x    []float32
		zero int
	}{
		{"zeros", make([]float32, 32), 1},
		{"negative zeros", checkpoint(-1, 0), 1},
		{"a single weight", append(make([]float32, 31), 0.0625), 0},
		{"a single weight that no half is", append(make([]float32, 31), checkpoint(0.3, 1)[0]), 0},
		{"a single negative weight", append(make([]float32, 31), -0.0625), 0},
		{"all the same", checkpoint(0.017, 5), 0},
		{"two signs", checkpoint(0.017, 3, -3), 0},
		{"all levels", checkpoint(0.5, -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7), 0},
		{"turned", checkpoint(-0.5, -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7), 0},
	} {
		b := make([]byte, 18)
		got, err := Grid(b, c.x, 32)
		want := Exactness{Blocks: 1, OnGrid: 1, Identical: 1, Zero: c.zero}
		if err != nil || got != want || !same(c.x, b) {
			t.Errorf("%s: %+v, %v, want %+v", c.name, got, err, want)
		}
	}
}

// TestAlmostGridsAreNoGrids moves one weight of a grid by a share of a step that BF16 can tell, and makes other weights that look like it.
func TestAlmostGridsAreNoGrids(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	check := func(name string, x []float32) {
		t.Helper()
		b, want := make([]byte, 18), make([]byte, 18)
		e, err := Grid(b, x, 32)
		if err != nil {
			t.Fatal(err)
		}
		if err := Encode(tensor.Q4_0, want, x, 32, nil); err != nil {
			t.Fatal(err)
		}
		if e != (Exactness{Blocks: 1}) || !bytes.Equal(b, want) {
			t.Errorf("%s is taken for a grid: %+v, %v", name, e, x)
		}
	}
	for level := 5; level <= 8; level++ { // of a coarser one the half steps are a grid as well
		for range 200 {
			codes := wholeGrid(r, level, 1-2*r.IntN(2))
			codes[0], codes[1], codes[2] = 1, level, level-1
			if level == 8 {
				codes = wholeGrid(r, 7, 1)
				codes[0], codes[1], codes[2] = 1, 7, 8
			}
			x := checkpoint(math.Ldexp(1+r.Float64(), -6), codes...)
			step := float64(x[0])
			for _, share := range []float64{0.1, 0.25, 0.5, -0.1} {
				moved := append([]float32(nil), x...)
				at := 3 + r.IntN(29)
				moved[at] = checkpoint(float64(moved[at])+share*step, 1)[0]
				if moved[at] != x[at] {
					check("a weight moved", moved)
				}
			}
		}
	}
	both := checkpoint(0.25, 8, -8, 1, 2, 3)
	check("8 of both signs", both)
	check("level 9", checkpoint(0.25, 9, 8, 1))
	check("quarters of a step", checkpoint(0.25, 32, 31, 1))
	for range 1000 {
		noise := make([]float32, 32)
		for i := range noise {
			noise[i] = tensor.FromBF16(tensor.ToBF16(float32(0.02 * r.NormFloat64())))
		}
		check("noise", noise)
	}
}

func TestRowsOffTheGridAreEncodedAndCounted(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var x []float32
	for i := range 12 {
		switch i % 3 {
		case 0:
			x = append(x, checkpoint(0x1.234p-6, wholeGrid(r, 7, 1)...)...)
		case 1:
			x = append(x, make([]float32, 32)...)
		case 2:
			x = append(x, normal(32, 0.02, uint64(i))...)
		}
	}
	b, plain := make([]byte, 12*18), encoded(t, tensor.Q4_0, x, 96, nil)
	e, err := Grid(b, x, 96)
	if want := (Exactness{Blocks: 12, OnGrid: 8, Identical: e.Identical, Zero: 4}); err != nil || e != want {
		t.Errorf("%+v, %v, want %+v", e, err, want)
	}
	if !bytes.Equal(b[36:54], plain[36:54]) || bytes.Equal(b[:18], plain[:18]) {
		t.Error("what is not on a grid is not encoded as always, or what is one is")
	}
	if c, err := Count(x); err != nil || c != e {
		t.Errorf("Count: %+v, %v, want %+v", c, err, e)
	}
	if e.Trained() {
		t.Error("half of the blocks on a grid: trained")
	}
	e.Add(Exactness{Blocks: 3, OnGrid: 2, Identical: 1, Zero: 1})
	if e.Blocks != 15 || e.OnGrid != 10 || e.Zero != 5 || e.Trained() {
		t.Errorf("%+v", e)
	}
	e.Add(Exactness{Blocks: 1, OnGrid: 1})
	if !e.Trained() {
		t.Errorf("%+v: not trained", e)
	}
}

func TestGridTellsWhatIsWrong(t *testing.T) {
	if _, err := Grid(make([]byte, 18), append(make([]float32, 31), float32(math.NaN())), 32); err == nil ||
		!strings.HasPrefix(err.Error(), "quant: weight in row 0, column 31 is NaN") {
		t.Error(err)
	}
	if _, err := Count(make([]float32, 33)); err == nil {
		t.Error("33 weights are counted")
	}
	for _, v := range []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat32} {
		if e, err := Count(append(make([]float32, 31), float32(v))); err != nil || e != (Exactness{Blocks: 1}) {
			t.Errorf("%v: %+v, %v", v, e, err)
		}
	}
	if e, err := Count(append(make([]float32, 31), math.SmallestNonzeroFloat32)); err != nil || e.Zero != 1 || e.Identical != 1 {
		t.Errorf("less than BF16 holds: %+v, %v", e, err)
	}
}

func BenchmarkGrid(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 5))
	var x []float32
	for range 32 {
		x = append(x, checkpoint(0x1.234p-6, wholeGrid(r, 1+r.IntN(8), 1)...)...)
	}
	dst := make([]byte, tensor.Q4_0.RowBytes(len(x)))
	for b.Loop() {
		if _, err := Grid(dst, x, len(x)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(x)), "ns/weight")
}

func TestStepsThatNoHalfIsNearAreOnNoGrid(t *testing.T) {
	for _, step := range []float64{1e-30, 1e-8, 1e5, 4e37} {
		src := checkpoint(step, 1, -3, 5, 7, -8)
		got, want := make([]byte, 18), make([]byte, 18)
		e, err := Grid(got, src, 32)
		if err != nil || e != (Exactness{Blocks: 1}) {
			t.Errorf("%g: %+v, %v", step, e, err)
		}
		if err := Encode(tensor.Q4_0, want, src, 32, nil); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%g: written as %x, want %x: %v", step, got, want, err)
		}
	}
}
