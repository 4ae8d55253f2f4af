package quant

import (
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/tensor"
)

// normal returns n normal numbers of the given spread, the same for a seed on all machines.
func normal(n int, spread float64, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(spread * r.NormFloat64())
	}
	return x
}

// important returns the importance of n columns, of which few count much.
func important(n int, seed uint64) []float32 {
	x := normal(n, 1, seed)
	for i, v := range x {
		x[i] = v * v * v * v
	}
	return x
}

// encoded returns what Encode writes.
func encoded(t testing.TB, f tensor.Format, x []float32, n int, importance []float32) []byte {
	t.Helper()
	b := make([]byte, f.RowBytes(len(x)))
	if err := Encode(f, b, x, n, importance); err != nil {
		t.Fatal(err)
	}
	return b
}

// relative returns by how much b, decoded, is off x: the root of Σ i·(x − decoded)² over Σ i·x². Without importance i is 1.
func relative(f tensor.Format, b []byte, x, importance []float32) float64 {
	y := make([]float32, len(x))
	f.Decode(y, b)
	var off, all float64
	for i, v := range x {
		w := 1.0
		if importance != nil {
			w = float64(importance[i%len(importance)])
		}
		e := float64(v - y[i])
		off += float64(float64(w*e) * e)
		all += float64(float64(w*float64(v)) * float64(v))
	}
	return math.Sqrt(off / all)
}

// TestErrorsOfFormats holds the errors of 64 rows of 1024 normal weights, in per mille of their size, and what exactly is written: that
// has to be the same on all machines. Errors with importance are weighed by it.
func TestErrorsOfFormats(t *testing.T) {
	const n = 1024
	x, importance := normal(64*n, 0.02, 1), important(n, 2)
	for _, c := range []struct {
		format         tensor.Format
		plain, weighed float64
		sums           [2]uint32
	}{
		{tensor.F32, 0.00, 0.00, [2]uint32{0x85a0abf8, 0x85a0abf8}},
		{tensor.F16, 0.22, 0.22, [2]uint32{0x0bec84ec, 0x0bec84ec}},
		{tensor.BF16, 1.68, 1.69, [2]uint32{0x146c5d79, 0x146c5d79}},
		{tensor.Q8_0, 5.35, 5.28, [2]uint32{0xe67fcd5f, 0xe67fcd5f}},
		{tensor.Q4_0, 86.08, 57.39, [2]uint32{0x27b9001b, 0x62edfb76}},
		{tensor.Q4_1, 77.82, 40.64, [2]uint32{0x2282edb2, 0x7ea84a8a}},
		{tensor.Q5_0, 42.77, 27.54, [2]uint32{0xcca12c3c, 0x6cf51a79}},
		{tensor.Q5_1, 37.72, 19.35, [2]uint32{0x6933127a, 0x51d76b17}},
		{tensor.Q4_K, 70.20, 41.83, [2]uint32{0xae61ac76, 0x5208c276}},
		{tensor.Q5_K, 34.77, 21.81, [2]uint32{0x6ca6cacf, 0xebb67bd0}},
		{tensor.Q6_K, 16.59, 10.62, [2]uint32{0x4cfa2f23, 0x71fa9569}},
		{tensor.IQ4_NL, 73.68, 49.33, [2]uint32{0x24218c4b, 0x478f9350}},
		{tensor.IQ4_XS, 74.43, 50.72, [2]uint32{0xd0c749f4, 0x7d832c09}},
	} {
		for i, importance := range [][]float32{nil, importance} {
			most := c.plain
			if i == 1 {
				most = c.weighed
			}
			b := encoded(t, c.format, x, n, importance)
			if got := 1000 * relative(c.format, b, x, importance); got > most {
				t.Errorf("%v, importance %t: error of %.2f per mille, want %.2f", c.format, i == 1, got, most)
			}
			if sum := crc32.ChecksumIEEE(b); sum != c.sums[i] {
				t.Errorf("%v, importance %t: checksum %#08x, want %#08x", c.format, i == 1, sum, c.sums[i])
			}
		}
	}
}

func TestImportantColumnsAreEncodedBetter(t *testing.T) {
	const n = 512
	x, importance := normal(32*n, 0.02, 3), important(n, 4)
	for _, f := range Formats() {
		plain, weighed := relative(f, encoded(t, f, x, n, nil), x, importance), relative(f, encoded(t, f, x, n, importance), x, importance)
		switch f {
		case tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0:
			if plain != weighed {
				t.Errorf("%v: importance changes the error from %v to %v", f, plain, weighed)
			}
		default:
			if weighed > 0.97*plain {
				t.Errorf("%v: an error of %v with importance, %v without", f, weighed, plain)
			}
		}
	}
}

// TestImportanceHasNoUnit multiplies importance with powers of two up to the ends of float32.
func TestImportanceHasNoUnit(t *testing.T) {
	const n = 256
	x, one := normal(4*n, 0.02, 3), important(n, 4)
	for _, f := range Formats() {
		want := encoded(t, f, x, n, one)
		for _, unit := range []float32{0x1p-120, 0x1p-100, 0x1p40, 0x1p119} {
			scaled := make([]float32, n)
			for i, v := range one {
				scaled[i] = v * unit
			}
			if got := encoded(t, f, x, n, scaled); string(got) != string(want) {
				t.Errorf("%v: importance times %v changes the blocks", f, unit)
			}
		}
	}
}

func TestWithoutAnyImportanceAllColumnsCount(t *testing.T) {
	const n = 256
	x := normal(4*n, 0.02, 3)
	block := make([]float32, n) // 64 columns count nothing
	for i := range block {
		if i >= 64 {
			block[i] = 1
		}
	}
	for _, f := range Formats() {
		if got, want := encoded(t, f, x, n, make([]float32, n)), encoded(t, f, x, n, nil); string(got) != string(want) {
			t.Errorf("%v: importance of 0 everywhere is not that of nil", f)
		}
		if off := relative(f, encoded(t, f, x, n, block), x, nil); off > 0.11 {
			t.Errorf("%v: where nothing is important the error is %v", f, off)
		}
	}
}

func TestEveryRowIsEncodedAsAlone(t *testing.T) {
	const n, rows = 512, 5
	x := normal(rows*n, 0.02, 5)
	for _, f := range Formats() {
		for _, importance := range [][]float32{nil, important(n, 6)} {
			all, size := encoded(t, f, x, n, importance), f.RowBytes(n)
			for r := range rows {
				if row := encoded(t, f, x[r*n:r*n+n], n, importance); string(row) != string(all[r*size:(r+1)*size]) {
					t.Errorf("%v: row %d differs", f, r)
				}
			}
		}
	}
}

// TestOddWeights encodes weights that leave nothing to divide by, or too much: what comes out is finite, and near where it can be.
func TestOddWeights(t *testing.T) {
	const n = 256
	fill := func(v func(i int) float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(v(i))
		}
		return x
	}
	noise := normal(n, 1, 7)
	for _, c := range []struct {
		name string
		x    []float32
		off  float64 // how much of their size weights may be off in formats of four bits
	}{
		{"zeros", fill(func(int) float64 { return 0 }), 0},
		{"negative zeros", fill(func(int) float64 { return math.Copysign(0, -1) }), 0},
		{"all the same", fill(func(int) float64 { return 0.75 }), 0.02},
		{"all the same, negative", fill(func(int) float64 { return -0.75 }), 0.02},
		{"one among zeros", fill(func(i int) float64 { return float64(i / 255) }), 0.07}, // IQ4 has no 0
		{"one among zeros, negative", fill(func(i int) float64 { return float64(-i / 255) }), 0.07},
		{"two signs", fill(func(i int) float64 { return float64(i%2*2 - 1) }), 0.15},
		{"the smallest number", fill(func(int) float64 { return math.SmallestNonzeroFloat32 }), 1},
		{"subnormal numbers", fill(func(i int) float64 { return 1e-40 * float64(noise[i]) }), 1},
		{"less than halves can tell from 0", fill(func(i int) float64 { return 1e-12 * float64(noise[i]) }), 1},
		{"scales that are subnormal as halves", fill(func(i int) float64 { return 1e-6 * float64(noise[i]) }), 1.1},
		{"tiny", fill(func(i int) float64 { return 1e-4 * float64(noise[i]) }), 0.2},
		{"large", fill(func(i int) float64 { return 1e3 * float64(noise[i]) }), 0.2},
		{"beyond halves", fill(func(i int) float64 { return 1e5 * float64(noise[i]) }), 1},
		{"beyond all scales", fill(func(i int) float64 { return 1e30 * float64(noise[i]) }), 1},
		{"the largest number", fill(func(int) float64 { return math.MaxFloat32 }), 1},
		{"both ends", fill(func(i int) float64 { return math.MaxFloat32 * float64(i%2*2-1) }), 1},
		{"of all sizes", fill(func(i int) float64 { return math.Ldexp(float64(noise[i]), i/2-64) }), 1},
	} {
		for _, f := range Formats() {
			for _, importance := range [][]float32{nil, important(n, 8), fill(func(i int) float64 { return float64(i / 255) })} {
				b := encoded(t, f, c.x, n, importance)
				y := make([]float32, n)
				f.Decode(y, b)
				for i, v := range y {
					if v != v || math.IsInf(float64(v), 0) {
						t.Fatalf("%v, %s: weight %d is %v", f, c.name, i, v)
					}
				}
				if off := relative(f, b, c.x, nil); off > c.off {
					t.Errorf("%v, %s, importance %t: off by %.3f", f, c.name, importance != nil, off)
				}
			}
		}
	}
}

func TestEncodeTellsWhatIsWrong(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	with := func(n, at int, v float32) []float32 {
		x := make([]float32, n)
		x[at] = v
		return x
	}
	for _, c := range []struct {
		format     tensor.Format
		bytes      int
		src        []float32
		n          int
		importance []float32
		want       string
	}{
		{tensor.Q2_K, 84, make([]float32, 256), 256, nil,
			"quant: cannot encode Q2_K, want one of [F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K IQ4_NL IQ4_XS]"},
		{99, 84, make([]float32, 256), 256, nil, "quant: cannot encode format 99"},
		{tensor.Q4_K, 144, make([]float32, 256), 128, nil, "quant: rows of 128 weights in Q4_K, want a multiple of 256"},
		{tensor.Q4_0, 18, make([]float32, 32), 0, nil, "quant: rows of 0 weights in Q4_0, want a multiple of 32"},
		{tensor.Q4_0, 18, make([]float32, 32), -32, nil, "quant: rows of -32 weights in Q4_0, want a multiple of 32"},
		{tensor.Q4_0, 54, make([]float32, 96), 64, nil, "quant: 96 weights, want a multiple of 64, whole rows"},
		{tensor.Q4_0, 35, make([]float32, 64), 64, nil, "quant: 35 bytes for 64 weights in Q4_0, want 36"},
		{tensor.Q4_0, 36, make([]float32, 64), 64, make([]float32, 32), "quant: importance of 32 columns for rows of 64"},
		{tensor.Q4_0, 36, make([]float32, 64), 64, with(64, 7, -1), "quant: importance of column 7 is -1, want a finite"},
		{tensor.Q4_0, 36, make([]float32, 64), 64, with(64, 7, nan), "quant: importance of column 7 is NaN, want"},
		{tensor.Q4_0, 36, make([]float32, 64), 64, with(64, 7, inf), "quant: importance of column 7 is +Inf, want"},
		{tensor.Q4_0, 54, with(96, 70, nan), 32, nil, "quant: weight in row 2, column 6 is NaN, want a finite number"},
		{tensor.F32, 384, with(96, 31, -inf), 32, nil, "quant: weight in row 0, column 31 is -Inf, want a finite number"},
	} {
		err := Encode(c.format, make([]byte, c.bytes), c.src, c.n, c.importance)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.format, err, c.want)
		}
	}
	var e *ValueError
	if err := Encode(tensor.Q8_0, make([]byte, 102), with(96, 70, inf), 32, nil); !errors.As(err, &e) || e.Row != 2 || e.Column != 6 {
		t.Errorf("%v: row and column cannot be asked for", err)
	}
	if err := Encode(tensor.Q4_K, nil, nil, 256, nil); err != nil {
		t.Errorf("no rows: %v", err)
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	const n = 512
	x, importance := normal(2*n, 0.02, 9), important(n, 10)
	for _, f := range Formats() {
		b := make([]byte, f.RowBytes(len(x)))
		for _, importance := range [][]float32{nil, importance} {
			if a := testing.AllocsPerRun(3, func() { _ = Encode(f, b, x, n, importance) }); a != 0 {
				t.Errorf("%v: %v allocations", f, a)
			}
		}
	}
}
