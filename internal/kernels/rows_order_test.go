package kernels

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/tensor"
)

// An order is how a level takes the sums of a row where it is not that of tensor.PortableRows: so many columns at a time, whose products
// are added up, in integers, in lanes.
type order struct {
	span  int
	lane  func(c int) int // of column c of a span
	less  func(c int) int // the same for what minimums are multiplied with
	atEnd bool            // a row that does not fill its last span lies at the span's end
	// add adds a lane's integers, Σ w·q and −Σ q, to its sum.
	add   func(sum float32, products, negative int32, d, m, dx float32) float32
	total func(l *[16]float32) float32
}

// grouped are the formats with a scale for 16 columns.
var grouped = []tensor.Format{tensor.Q2_K, tensor.Q3_K, tensor.Q6_K, tensor.NVFP4, tensor.IQ1_M, tensor.IQ2_XS, tensor.IQ2_S}

// order512 has sixteen lanes of 16 columns: halves of blocks of 32, every other four columns, the blocks in the order that shuffles
// yield; or groups, the first of each 64 columns in the first four lanes.
func order512(f tensor.Format) order {
	o := order{span: 256, atEnd: true}
	o.lane = func(c int) int { return 2*[8]int{0, 2, 1, 3, 4, 6, 5, 7}[c/32] + c/4%2 }
	if f == tensor.TQ2_0 || slices.Contains(grouped, f) {
		o.lane = func(c int) int { return c/16%4*4 + c/64 }
	}
	o.less = o.lane
	o.add = func(sum float32, products, negative int32, d, m, dx float32) float32 {
		sum = fma(float32(products), d*dx, sum)
		if m != 0 {
			sum = fma(m, dx*float32(negative), sum)
		}
		return sum
	}
	o.total = func(l *[16]float32) float32 {
		var s [4]float32
		for i := range s {
			s[i] = (l[4*i] + l[4*i+2]) + (l[4*i+1] + l[4*i+3])
		}
		return (s[0] + s[2]) + (s[1] + s[3])
	}
	return o
}

// orderARM has four lanes of 16 columns: halves of blocks of 32, every other run of so many columns, or groups.
func orderARM(f tensor.Format, run int) order {
	o := order{span: 64, less: func(c int) int { return c / 16 }}
	o.lane = func(c int) int { return c/32*2 + c/run%2 }
	if slices.Contains(grouped, f) {
		o.lane = o.less
	}
	o.add = func(sum float32, products, negative int32, d, m, dx float32) float32 {
		v := float32(products) * d
		if m != 0 {
			v = fma(m, float32(negative), v)
		}
		return fma(dx, v, sum)
	}
	o.total = func(l *[16]float32) float32 { return (l[0] + l[1]) + (l[2] + l[3]) }
	return o
}

// inOrder returns the row kernel of a format in plain Go that takes the sums as a level does.
func inOrder(level string, f tensor.Format) tensor.RowKernel {
	var orders []order // each for as long as a row fills its span, the last one to the end
	switch level {
	case "avx512", "bf16", "amx":
		orders = []order{order512(f)}
	case "neon":
		orders = []order{orderARM(f, 4)}
	case "dotprod", "i8mm":
		orders = []order{orderARM(f, 8)}
	default:
		return tensor.PortableRows().Rows[f]
	}
	if f == tensor.Q4_0 && orders[0].span == 64 { // four blocks, a lane each
		four := orders[0]
		four.span, four.lane = 128, func(c int) int { return c / 32 }
		orders = []order{four, orders[0]}
	}
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []tensor.Q8, units, n int) {
		supers := make([]tensor.SuperBlock, (units+3)/4)
		for r := range rows {
			for i := range supers {
				f.Unpack(&supers[i], w[r*rowBytes+f.RowBytes(256*i):(r+1)*rowBytes])
			}
			for t := range n {
				dst[t*stride+r] = sumsOf(orders, supers, x[t*units:(t+1)*units], rowBytes/f.BlockBytes()*f.BlockLen())
			}
		}
	}
}

// sumsOf multiplies a row of so many columns with the activations of a token.
func sumsOf(orders []order, w []tensor.SuperBlock, x []tensor.Q8, cols int) float32 {
	var sums [16]float32
	for at := 0; at < cols; {
		for len(orders) > 1 && cols-at < orders[0].span {
			orders = orders[1:]
		}
		o, first := &orders[0], 0
		if o.atEnd {
			first = max(0, o.span-(cols-at))
		}
		var lanes [16]struct {
			products, negative int32
			d, m, dx           float32
		}
		for i := first; i < o.span && at < cols; i, at = i+1, at+1 {
			s, u := &w[at/256], &x[at/64]
			l, q := &lanes[o.lane(i)], int32(u.Q[at%64])
			l.products += int32(s.Q[at%256]) * q
			l.d, l.m, l.dx = s.Scale[at%256/16], s.Min[at%256/16], u.Scale[at%64/4]
			lanes[o.less(i)].negative -= q
		}
		for i, l := range lanes {
			sums[i] = o.add(sums[i], l.products, l.negative, l.d, l.m, l.dx)
		}
	}
	return orders[0].total(&sums)
}

// fma returns x·y + z, rounded once.
func fma(x, y, z float32) float32 {
	p := float64(x) * float64(y) // exact
	sum := p + float64(z)
	if sum-p == float64(z) && sum-float64(z) == p || math.IsInf(sum, 0) || sum != sum {
		return float32(sum)
	}
	v, _ := new(big.Float).SetPrec(700).Add(big.NewFloat(p), big.NewFloat(float64(z))).Float32()
	return v
}

// sameRows fails unless the products of some rows with n tokens are the wanted ones, bit for bit.
func sameRows(t *testing.T, what string, got, want []float32, stride, rows, n int) {
	t.Helper()
	for i := range n {
		for r := range rows {
			if g, v := got[i*stride+r], want[i*stride+r]; !kerneltest.Alike(g, v) {
				t.Fatalf("%s: row %d of %d, token %d of %d: %v, want %v", what, r, rows, i, n, g, v)
			}
		}
	}
}

// shape says what a test multiplies.
func shape(f tensor.Format, rows, cols, n int) string {
	return fmt.Sprintf("%v, %d rows of %d, %d tokens", f, rows, cols, n)
}

// quantized quantises n rows of activations.
func quantized(x []float32, n int) (q []tensor.Q8, units int) {
	cols := len(x) / n
	units = tensor.Q8Len(cols)
	q = make([]tensor.Q8, n*units)
	for i := range n {
		tensor.Portable().Quantize(q[i*units:(i+1)*units], x[i*cols:(i+1)*cols])
	}
	return q, units
}
