package tensor

import (
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

func TestNewChecksShapeAndBytes(t *testing.T) {
	for _, c := range []struct {
		format Format
		bytes  int
		shape  []int
		err    string // part of the message, empty if it must pass
	}{
		{F32, 24, []int{2, 3}, ""},
		{F32, 24, []int{6}, ""},
		{Q4_0, 18 * 2 * 3, []int{3, 64}, ""},
		{Q4_0, 18 * 2 * 3, []int{3, 1, 64}, ""},
		{F32, 20, []int{2, 3}, "w: 20 bytes where F32 [2 3] needs 24"},
		{Q4_0, 18, []int{1, 31}, "w: rows of 31 values are no whole number of Q4_0 blocks of 32"},
		{Q4_K, 144, []int{8, 32}, "no whole number of Q4_K blocks of 256"},
		{F32, 0, nil, "w: no dimensions"},
		{F32, 0, []int{0, 4}, "w: impossible shape [0 4]"},
		{F32, 0, []int{4, -1}, "impossible shape"},
		{F32, 0, []int{1 << 30, 1 << 30, 8}, "impossible shape"},
		{Format(99), 4, []int{1}, "unknown format"},
		{Format(5), 4, []int{1}, "unknown format"},
	} {
		_, err := New("w", c.format, make([]byte, c.bytes), c.shape...)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%v %v over %d bytes: error %v, want %q", c.format, c.shape, c.bytes, err, c.err)
		}
	}
}

func TestRowsOfAStack(t *testing.T) {
	values := make([]float32, 2*3*4)
	for i := range values {
		values[i] = float32(i)
	}
	w := newF32(t, values, 2, 3, 4)
	w.Scale = 2
	if w.Rows() != 6 || w.Cols() != 4 {
		t.Fatalf("%d rows of %d, want 6 of 4", w.Rows(), w.Cols())
	}
	row, err := w.ReadRows(nil, 5, 6)
	if err != nil {
		t.Fatal(err)
	}
	if got := math.Float32frombits(binary.LittleEndian.Uint32(row)); got != 20 || len(row) != 16 {
		t.Errorf("row 5 has %d bytes and begins with %v, want 16 and 20", len(row), got)
	}
	if got := w.RowRange(3, 6).Float32(); got[0] != 24 || got[11] != 46 {
		t.Errorf("second matrix is %v, want twice 12 to 23", got)
	}
}

// naive is the product in float64, by another library.
func naive(w *Tensor, x []float32, n int) []float64 {
	a, b := doubles(w.Float32()), doubles(x)
	c := make([]float64, n*w.Rows())
	blas64.Gemm(blas.NoTrans, blas.Trans, 1,
		blas64.General{Rows: n, Cols: w.Cols(), Stride: w.Cols(), Data: b},
		blas64.General{Rows: w.Rows(), Cols: w.Cols(), Stride: w.Cols(), Data: a},
		0, blas64.General{Rows: n, Cols: w.Rows(), Stride: w.Rows(), Data: c})
	return c
}

func TestMatMulEqualsReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ rows, cols, n int }{
		{1, 1, 1}, {3, 7, 2}, {8, 8, 1}, {17, 33, 5}, {64, 256, 1}, {100, 300, 9}, {1000, 64, 3},
	} {
		w := newF32(t, normal(r, c.rows*c.cols), c.rows, c.cols)
		w.Scale = 0.5
		checkProduct(t, w, normal(r, c.n*c.cols), c.n)
	}
	for _, f := range []Format{F16, BF16, Q8_0, Q4_0} {
		checkProduct(t, encoded(t, f, normal(r, 50*96), 50, 96), normal(r, 4*96), 4)
	}
}

func checkProduct(t *testing.T, w *Tensor, x []float32, n int) {
	t.Helper()
	pool := NewPool(3)
	defer pool.Close()
	mm := NewMatMul(pool, Portable())
	got := make([]float32, n*w.Rows())
	if err := mm.Run(Exact, Product{Dst: got, X: x, N: n, W: w}); err != nil {
		t.Fatal(err)
	}
	for i, want := range naive(w, x, n) {
		if math.Abs(float64(got[i])-want) > 1e-5*math.Sqrt(float64(w.Cols())) {
			t.Fatalf("%v %v, output %d: %v, want %v", w.Format, w.Shape, i, got[i], want)
		}
	}
	if want := int64(n * w.Rows() * w.Cols()); mm.Ops() != want {
		t.Errorf("%v: %d multiply-adds counted, want %d", w.Shape, mm.Ops(), want)
	}
}

func TestMatMulGivesTheSameBits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const rows, cols, n = 70, 160, 13
	w := encoded(t, Q4_0, normal(r, rows*cols), rows, cols)
	v := encoded(t, Q8_0, normal(r, 9*cols), 9, cols)
	x := normal(r, n*cols)
	want, wantV := multiply(t, 1, w, x, n), multiply(t, 1, v, x, n)

	for _, workers := range []int{1, 2, 7} {
		pool := NewPool(workers)
		mm := NewMatMul(pool, Portable())
		a, b := make([]float32, n*(rows+9)), make([]float32, n*9)
		// Together in one region, one with a stride.
		if err := mm.Run(Exact, Product{Dst: a, X: x, N: n, W: w, Stride: rows + 9}, Product{Dst: b, X: x, N: n, W: v}); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			equal(t, a[i*(rows+9):][:rows], want[i*rows:(i+1)*rows])
		}
		equal(t, b, wantV)
		// Token by token.
		for i := range n {
			if err := mm.Run(Exact, Product{Dst: a, X: x[i*cols:], N: 1, W: w}); err != nil {
				t.Fatal(err)
			}
			equal(t, a[:rows], want[i*rows:(i+1)*rows])
		}
		pool.Close()
	}
}

// Products of one region share packed activations only where these are the same.
func TestMatMulKeepsActivationsApart(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const rows, cols, n = 40, 64, 3
	w := encoded(t, Q4_0, normal(r, rows*cols), rows, cols)
	x := [][]float32{normal(r, n*cols), normal(r, n*cols)}
	pool := NewPool(2)
	defer pool.Close()
	mm := NewMatMul(pool, PortableRows())
	var alone, together [2][]float32
	var both []Product
	for i := range x {
		alone[i], together[i] = make([]float32, n*rows), make([]float32, n*rows)
		if err := mm.Run(Rows, Product{Dst: alone[i], X: x[i], N: n, W: w}); err != nil {
			t.Fatal(err)
		}
		both = append(both, Product{Dst: together[i], X: x[i], N: n, W: w})
	}
	if err := mm.Run(Rows, both...); err != nil {
		t.Fatal(err)
	}
	for i := range x {
		equal(t, together[i], alone[i])
	}
}

func TestMatMulReadsMisalignedWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	w := newF32(t, normal(r, 12*20), 12, 20)
	x := normal(r, 20)
	want := multiply(t, 1, w, x, 1)
	for shift := range 4 {
		buf := make([]byte, len(w.Data)+shift)
		copy(buf[shift:], w.Data)
		moved, err := New("moved", F32, buf[shift:], 12, 20)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, multiply(t, 2, moved, x, 1), want)
	}
}

func TestMatMulAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	w := encoded(t, Q4_0, normal(r, 256*256), 256, 256)
	x, y := normal(r, 256), make([]float32, 256)
	pool := NewPool(2)
	defer pool.Close()
	mm := NewMatMul(pool, Portable())
	run := func() { mm.Run(Exact, Product{Dst: y, X: x, N: 1, W: w}) }
	run()
	if n := testing.AllocsPerRun(50, run); n != 0 {
		t.Errorf("%v allocations per product, want 0", n)
	}
}

func multiply(t *testing.T, workers int, w *Tensor, x []float32, n int) []float32 {
	t.Helper()
	pool := NewPool(workers)
	defer pool.Close()
	y := make([]float32, n*w.Rows())
	if err := NewMatMul(pool, Portable()).Run(Exact, Product{Dst: y, X: x, N: n, W: w}); err != nil {
		t.Fatal(err)
	}
	return y
}

func equal(t *testing.T, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("value %d is %v, want the same bits as %v", i, got[i], want[i])
		}
	}
}

func newF32(t *testing.T, values []float32, shape ...int) *Tensor {
	t.Helper()
	return encoded(t, F32, values, shape...)
}

func encoded(t *testing.T, f Format, values []float32, shape ...int) *Tensor {
	t.Helper()
	data := make([]byte, f.RowBytes(len(values)))
	if err := f.Encode(data, values); err != nil {
		t.Fatal(err)
	}
	w, err := New(f.String(), f, data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func doubles(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// TestLongProductsLetOthersGoFirst, as often as their work asks for, and give the same bits.
func TestLongProductsLetOthersGoFirst(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	const rows, cols, n = 1024, 256, 64
	w := encoded(t, Q4_0, normal(r, rows*cols), rows, cols)
	x := normal(r, n*cols)
	want := multiply(t, 1, w, x, n)
	for _, workers := range []int{1, 3} {
		pool := NewPool(workers)
		defer pool.Close()
		mm, got := NewMatMul(pool, Portable()), make([]float32, n*rows)
		for parts, stop := range map[int64]int{1: 0, 4: 0, 5: 2} {
			times := 0
			mm.RegionOps = rows * cols * n / parts
			mm.Between = func() error {
				if times++; times == stop {
					return io.ErrUnexpectedEOF
				}
				return nil
			}
			err := mm.Run(Exact, Product{Dst: got, X: x, N: n, W: w})
			if stop > 0 {
				if err != io.ErrUnexpectedEOF || times != stop {
					t.Errorf("%d workers: %v after %d times", workers, err, times)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if least := int(parts) - 1; times < least || times > 2*least {
				t.Errorf("%d workers: others could go first %d times, expected about %d", workers, times, least)
			}
			equal(t, got, want)
		}
		mm.Between = nil
		clear(got)
		if err := mm.Run(Exact, Product{Dst: got, X: x, N: n, W: w}); err != nil { // after a run that was stopped
			t.Fatal(err)
		}
		equal(t, got, want)
	}
}
