package tensor

import "math"

// Strip is how many positions attention by products of bf16 takes at a time.
const Strip = 64

// AttentionKernels are attention of many queries that go over a strip together, with both products in bf16: its keys and values are packed
// once for all of them. A query gathers strip by strip, as [OnlineSoftmax] says it. What it gathers depends on its own strips alone, not on
// who goes with it. What goes into a product is rounded to the nearest bf16, ties to even, subnormals being zeros.
//
// Let u = 2⁻⁸, the most that rounding to bf16 changes of a number, and Δ = (2u + dim·2⁻²⁴)·Σ|q·k|, the most that a score may
// be off. What a query gathers is off by no more than about (e^2Δ − 1 + 3u)·Σ w|v|, w being the exact weights.
type AttentionKernels struct {
	// PackQueries sets dst [n, Packed(dim)] to the queries q [n, dim], stride numbers from one to the next, times log2 e: scores are
	// powers of two, not of e. Rows are filled up with zeros.
	PackQueries func(dst []uint16, q []float32, stride, n, dim int)
	// PackKeys sets dst [Packed(dim)/2, Strip, 2] to pairs of up to Strip keys of dim numbers, rowBytes from one to the next. Keys that
	// are missing are zeros. Part of a key's numbers, an even many, can be packed at a time.
	PackKeys PerFormat[func(dst []uint16, keys []byte, rowBytes, count, dim int)]
	// PackValues sets dst, of PackedValues(dim) numbers, to pairs of up to Strip values of dim numbers, rowBytes from one to the next:
	// [Strip/2, columns, 2] for each 64 columns, the last ones filled up to a multiple of 16. What is missing are zeros.
	PackValues PerFormat[func(dst []uint16, values []byte, rowBytes, count, dim int)]
	// Scores sets dst [n, Strip] to the products of packed queries and keys of dim numbers. next is as in Kernels.Scores.
	Scores func(dst []float32, q []uint16, n int, keys []uint16, dim int, next []byte)
	// Softmax is OnlineSoftmax.
	Softmax func(weights []uint16, scores []float32, top, sum, factor []float32)
	// Weigh scales dst [n, dim], stride numbers from one row to the next, by factor [n], and adds the products of weights [n, Strip] and
	// packed values.
	Weigh func(dst []float32, stride int, factor []float32, weights, values []uint16, dim int, next []byte)
}

// Packed returns how many numbers a packed query, or as much of a key, has.
func Packed(dim int) int { return (dim + 31) &^ 31 }

// PackedValues returns how many numbers a strip's packed values have.
func PackedValues(dim int) int { return (dim + 15) &^ 15 * Strip }

// PairAttention returns attention in plain Go whose products are those of VDPBF16PS: a sum takes the products of pair after pair, the odd
// one first, and is rounded with each. A sum that is subnormal is a zero.
func PairAttention() *AttentionKernels { return attentionOf(addPairs) }

// TileAttention returns attention in plain Go whose products are those of TDPBF16PS: of 32 numbers even and odd ones are summed up
// apart, in order, from zero, rounded with each product, and the sum of both is added. All that is subnormal is a zero.
func TileAttention() *AttentionKernels { return attentionOf(addTiles) }

// attentionOf returns attention whose products add row a to a sum: b holds pairs, step numbers from one to the next.
func attentionOf(add func(sum float32, a, b []uint16, step int) float32) *AttentionKernels {
	k := &AttentionKernels{
		PackQueries: packQueries,
		Scores: func(dst []float32, q []uint16, n int, keys []uint16, dim int, _ []byte) {
			size := Packed(dim)
			for i := range n {
				for j := range Strip {
					dst[i*Strip+j] = add(0, q[i*size:][:(dim+1)&^1], keys[2*j:], 2*Strip)
				}
			}
		},
		Softmax: OnlineSoftmax,
		Weigh: func(dst []float32, stride int, factor []float32, weights, values []uint16, dim int, _ []byte) {
			for i, f := range factor {
				row := dst[i*stride:][:dim]
				if f != 1 {
					scale(row, row, f)
				}
				for d := range row {
					panel, columns := values[d&^63*Strip:], min(64, (dim-d&^63+15)&^15)
					row[d] = add(row[d], weights[i*Strip:][:Strip], panel[d%64*2:], 2*columns)
				}
			}
		},
	}
	for _, f := range []Format{F32, F16, Q8_0, Q4_0} {
		k.PackKeys[f], k.PackValues[f] = packKeysOf(f), packValuesOf(f)
	}
	return k
}

func addPairs(sum float32, a, b []uint16, step int) float32 {
	sum = flush(float64(sum))
	for p := 0; p < len(a); p += 2 {
		x, y := a[p:p+2], b[p/2*step:][:2]
		sum = addProduct(sum, x[1], y[1])
		sum = addProduct(sum, x[0], y[0])
	}
	return sum
}

func addTiles(sum float32, a, b []uint16, step int) float32 {
	sum = flush(float64(sum))
	for ; len(a) > 0; a = a[min(32, len(a)):] {
		var even, odd float32
		for p := 0; p < 32; p += 2 {
			if p < len(a) {
				y := b[p/2*step:][:2]
				even, odd = addProduct(even, a[p], y[0]), addProduct(odd, a[p+1], y[1])
			} else { // what it is filled up with
				even, odd = even+0, odd+0
			}
		}
		sum = flush(float64(sum) + float64(flush(float64(even)+float64(odd))))
		if len(a) > 32 {
			b = b[16*step:]
		}
	}
	return sum
}

// addProduct returns sum + a·b, rounded once: the product is exact, and rounding to 53 bits and then to 24 is as good.
func addProduct(sum float32, a, b uint16) float32 {
	return flush(value(a)*value(b) + float64(sum))
}

// value returns that of a number in bf16; a subnormal one is a zero.
func value(h uint16) float64 { return float64(flush(float64(FromBF16(h)))) }

// flush rounds x to a float32, or to a zero if what it is before is subnormal.
func flush(x float64) float32 {
	if math.Abs(x) < 0x1p-126-0x1p-151 {
		return float32(math.Copysign(0, x))
	}
	return float32(x)
}

// roundBF16 returns x in bf16, or a zero in place of a subnormal number.
func roundBF16(x float32) uint16 { return ToBF16(flush(float64(x))) }

func packQueries(dst []uint16, q []float32, stride, n, dim int) {
	size := Packed(dim)
	for i := range n {
		row := dst[i*size:][:size]
		for j, v := range q[i*stride:][:dim] {
			row[j] = roundBF16(v * math.Log2E)
		}
		clear(row[dim:])
	}
}

func packKeysOf(f Format) func(dst []uint16, keys []byte, rowBytes, count, dim int) {
	return func(dst []uint16, keys []byte, rowBytes, count, dim int) {
		clear(dst[:Packed(dim)*Strip])
		eachDecoded(f, keys, rowBytes, count, dim, func(j, d int, v float32) { dst[(d/2*Strip+j)*2+d%2] = roundBF16(v) })
	}
}

func packValuesOf(f Format) func(dst []uint16, values []byte, rowBytes, count, dim int) {
	return func(dst []uint16, values []byte, rowBytes, count, dim int) {
		clear(dst[:PackedValues(dim)])
		eachDecoded(f, values, rowBytes, count, dim, func(j, d int, v float32) {
			columns := min(64, (dim-d&^63+15)&^15)
			dst[d&^63*Strip+(j/2*columns+d%64)*2+j%2] = roundBF16(v)
		})
	}
}

// eachDecoded calls do with number d of row j, for all of count rows of dim numbers.
func eachDecoded(f Format, rows []byte, rowBytes, count, dim int, do func(j, d int, v float32)) {
	var room [decodeLen]float32
	for j := range count {
		for at := 0; at < dim; at += decodeLen {
			v := room[:min(decodeLen, dim-at)]
			f.decode(v, rows[j*rowBytes+f.RowBytes(at):][:f.RowBytes(len(v))])
			for d, x := range v {
				do(j, at+d, x)
			}
		}
	}
}

// OnlineSoftmax takes queries, as many as top has, over the scores [n, Strip] of a strip, powers of two. top, sum and factor are [n]: the
// largest score so far, which the strip may raise; the sum of 2^(score − top) so far, to which the strip's is added; and 2^(old − new),
// by which the sum is scaled before that, and by which what was gathered before is to be scaled.
//
// Those powers, as bf16, are the weights [n, Strip]. They are summed up as they are rounded, so that what divides them again is their own
// sum: that is up to three times more accurate, and a value that all positions share stays as it is. A score of −Inf is of a position
// that the query does not see; one at least must be seen.
//
// A strip's weights are summed up as VDPBF16PS does: lane i of 16 takes weights 2i+1, 2i, 2i+33 and 2i+32. Then lanes i and i+8 are added,
// i and i+4, i+2, i+1.
func OnlineSoftmax(weights []uint16, scores []float32, top, sum, factor []float32) {
	for i, before := range top {
		row, w := scores[i*Strip:][:Strip], weights[i*Strip:][:Strip]
		top[i] = max(before, maximum(row))
		factor[i] = power(before - top[i])
		var lanes [16]float32
		for j, x := range row {
			w[j] = roundBF16(power(x - top[i]))
		}
		for l := range lanes {
			for _, j := range [...]int{2*l + 1, 2 * l, 2*l + 33, 2*l + 32} {
				lanes[l] += FromBF16(w[j])
			}
		}
		for n := 8; n > 0; n /= 2 {
			for l := range n {
				lanes[l] += lanes[l+n]
			}
		}
		sum[i] = float32(sum[i]*factor[i]) + lanes[0]
	}
}

// power returns 2^t with a relative error of 4·10⁻⁶: a polynomial of the distance from the nearest integer, ties to even.
func power(t float32) float32 {
	if t < -1000 {
		return 0
	}
	n := float32(math.RoundToEven(float64(t)))
	r := t - n
	p := float32(0x1.409104p-7)
	for _, c := range [...]float32{0x1.ca9008p-5, 0x1.ebf1b4p-3, 0x1.62dfcap-1, 1} {
		p = fma(p, r, c)
	}
	return float32(math.Ldexp(float64(p), int(n)))
}
