package quant

import (
	"fmt"
	"math"

	"github.com/gogemma/gemma4/tensor"
)

// Formats returns the formats that Encode writes.
func Formats() []tensor.Format {
	return []tensor.Format{
		tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0,
		tensor.Q4_0, tensor.Q4_1, tensor.Q5_0, tensor.Q5_1,
		tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.IQ4_NL, tensor.IQ4_XS,
	}
}

// A ValueError is a weight, or an importance, that no format holds: a NaN, an infinity, or an importance below 0. Row counts from the
// first row of the call, so that who encodes a matrix piece by piece adds where the piece begins.
type ValueError struct {
	Row, Column int
	Value       float32
	Importance  bool // the value is that of a column's importance, and Row is 0
}

func (e *ValueError) Error() string {
	if e.Importance {
		return fmt.Sprintf("quant: importance of column %d is %v, want a finite number not below 0", e.Column, e.Value)
	}
	return fmt.Sprintf("quant: weight in row %d, column %d is %v, want a finite number", e.Row, e.Column, e.Value)
}

// Encode writes src, whole rows of n weights, to dst in a format of [Formats]. Importance has one number per column [n], such as the mean
// square of the activations that the column is multiplied with, or is nil; F32, F16, BF16 and Q8_0 do not look at it.
//
// A weight beyond what a format holds becomes the largest that it holds, never an infinity. It is an error if n is no multiple of the
// format's block, src no multiple of n, dst not of src's size in the format, or a number is not finite (a *[ValueError]); dst then keeps
// what it had. Encode allocates nothing, unless a weight is beyond what the format holds.
func Encode(f tensor.Format, dst []byte, src []float32, n int, importance []float32) error {
	return encode(best(), f, dst, src, n, importance)
}

// encode is Encode with the loops of a level.
func encode(l level, f tensor.Format, dst []byte, src []float32, n int, importance []float32) error {
	most, err := check(l, f, dst, src, n, importance)
	if err != nil {
		return err
	}
	var clamped []float32
	if limit := largest(f); most > limit {
		clamped = make([]float32, len(src))
		for i, v := range src {
			clamped[i] = min(max(v, -limit), limit)
		}
		src = clamped
	}
	size, columns := f.RowBytes(n), newImportance(importance)
	for ; len(src) > 0; src, dst = src[n:], dst[size:] {
		if err := encodeRow(l, f, dst[:size], src[:n], columns); err != nil {
			return fmt.Errorf("quant: %w", err)
		}
	}
	return nil
}

// Work returns how many multiplications Encode does for a weight to try scales, with or without importance: 0 where none is searched. They
// are four for each of 32 scales: for the code, for what it counts, and for the two sums that this goes into. Additions, bounds and
// rounding are five more operations, none of them fused with a multiplication.
func Work(f tensor.Format, importance bool) float64 {
	switch f {
	case tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.IQ4_NL, tensor.IQ4_XS:
		return 4 * tries
	case tensor.Q4_0, tensor.Q4_1, tensor.Q5_0, tensor.Q5_1:
		if importance {
			return 4 * tries
		}
	}
	return 0
}

// largest returns the largest magnitude that a format holds: that of its codes times that of its scales, or of its minimum if that is less.
// It is 0 for a format that Encode does not write.
func largest(f tensor.Format) float32 {
	switch f {
	case tensor.F32:
		return math.MaxFloat32
	case tensor.BF16:
		return tensor.FromBF16(0x7F7F)
	case tensor.F16, tensor.Q4_1, tensor.Q5_1:
		return largestHalf
	case tensor.Q8_0:
		return largestHalf * 127
	case tensor.Q4_0:
		return largestHalf * 8
	case tensor.Q5_0:
		return largestHalf * 16
	case tensor.Q4_K, tensor.Q5_K:
		return largestHalf * 63
	case tensor.Q6_K:
		return largestHalf * 127 * 32
	case tensor.IQ4_NL:
		return largestHalf * 127
	case tensor.IQ4_XS:
		return largestHalf * 127 * 31
	}
	return 0
}

// check returns what is wrong with the arguments of Encode, or else the largest magnitude in src.
func check(l level, f tensor.Format, dst []byte, src []float32, n int, importance []float32) (most float32, err error) {
	switch block := f.BlockLen(); {
	case largest(f) == 0:
		return 0, fmt.Errorf("quant: cannot encode %v, want one of %v", f, Formats())
	case n <= 0 || n%block != 0:
		return 0, fmt.Errorf("quant: rows of %d weights in %v, want a multiple of %d", n, f, block)
	case len(src)%n != 0:
		return 0, fmt.Errorf("quant: %d weights, want a multiple of %d, whole rows", len(src), n)
	case len(dst) != f.RowBytes(len(src)):
		return 0, fmt.Errorf("quant: %d bytes for %d weights in %v, want %d", len(dst), len(src), f, f.RowBytes(len(src)))
	case importance != nil && len(importance) != n:
		return 0, fmt.Errorf("quant: importance of %d columns for rows of %d", len(importance), n)
	}
	for i, v := range importance {
		if !(v >= 0 && v <= math.MaxFloat32) {
			return 0, &ValueError{Column: i, Value: v, Importance: true}
		}
	}
	const infinity = 0xFF << 23
	bits := l.peak(src)
	if bits >= infinity {
		for i, v := range src {
			if math.Float32bits(v)&infinity == infinity {
				return 0, &ValueError{Row: i / n, Column: i % n, Value: v}
			}
		}
	}
	return math.Float32frombits(bits), nil
}

// encodeRow encodes a row whose weights are no larger than the format holds.
func encodeRow(l level, f tensor.Format, dst []byte, src []float32, columns importance) error {
	switch f {
	case tensor.Q4_K:
		searchK(l, dst, src, columns, 4)
	case tensor.Q5_K:
		searchK(l, dst, src, columns, 5)
	case tensor.Q6_K:
		searchQ6_K(l, dst, src, columns)
	case tensor.IQ4_NL:
		searchIQ4_NL(l, dst, src, columns)
	case tensor.IQ4_XS:
		searchIQ4_XS(l, dst, src, columns)
	case tensor.Q4_1:
		if columns.known() {
			searchBlocks(l, dst, src, columns, 4, true)
		} else {
			roundQ4_1(dst, src)
		}
	case tensor.Q5_0:
		if columns.known() {
			searchBlocks(l, dst, src, columns, 5, false)
		} else {
			roundQ5_0(dst, src)
		}
	case tensor.Q5_1:
		if columns.known() {
			searchBlocks(l, dst, src, columns, 5, true)
		} else {
			roundQ5_1(dst, src)
		}
	case tensor.Q4_0:
		if columns.known() {
			searchBlocks(l, dst, src, columns, 4, false)
			return nil
		}
		fallthrough
	default:
		return l.round(f, dst, src)
	}
	return nil
}
