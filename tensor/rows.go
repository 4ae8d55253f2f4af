package tensor

import "math"

// The rows arithmetic: what a row of quantised weights times activations in 8 bits is, to the last bit.
//
// A row is cut into parts of 32 columns, or of 16 where rowParts says so, numbered from its beginning. Part p has the weights w, integers,
// with the scale d and the minimum m (SuperBlock), and the activations q, integers too, with the scale dx (Q8). Eight sums in
// float32, the lanes, begin at 0; the parts go to them in turn, lane p%8, in the order of their numbers:
//
//	lane = fma(float(Σ w·q), d·dx, lane)       Σ in int32, exact; d·dx rounded
//	lane = fma(m, dx·float(−Σ q), lane)        where there is a minimum; dx·float(…) rounded
//
// A row's product is ((l0 + l1) + (l4 + l5)) + ((l2 + l3) + (l6 + l7)).
//
// A level may take the sums in another order, for which its vectors are better suited; it must then say which. What all have in common
// are the integers: wherever nothing is rounded, all give the same bits, and each gives the same for any number of rows and tokens.
// The levels avx2 and AVX-VNNI compute exactly what is here. avx512 has sixteen lanes, and sums a part of 32 as two of 16; neon and
// those above it have four for every 64 columns, and multiply by d before dx.

// rowParts returns how many columns a part has: 32 in formats of nibbles and bytes that give a scale to 32 columns, 16 in those with
// scales for fewer, and in those whose weights are looked up in a codebook or computed.
func (f Format) rowParts() int {
	switch f {
	case Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, IQ4_NL, IQ4_XS, MXFP4, Q1_0, Q2_0, Q2_0_128:
		return 32
	}
	return 16
}

// rowTokens is the number of tokens that a row is unpacked for at once.
const rowTokens = 16

// rowsOf returns the row kernel of a format in plain Go.
func rowsOf(f Format) RowKernel {
	superBytes, part := f.RowBytes(256), f.rowParts()
	return func(dst []float32, stride int, w []byte, rowBytes, rows int, x []Q8, units, n int) {
		for r := range rows {
			row := w[r*rowBytes : (r+1)*rowBytes]
			for from := 0; from < n; from += rowTokens {
				to := min(n, from+rowTokens)
				var lanes [rowTokens][8]float32
				var s SuperBlock
				for b := 0; b*superBytes < rowBytes; b++ {
					f.Unpack(&s, row[b*superBytes:])
					for t := from; t < to; t++ {
						addParts(&lanes[t-from], &s, x[t*units+4*b:min(t*units+4*b+4, (t+1)*units)], part)
					}
				}
				for t := from; t < to; t++ {
					l := &lanes[t-from]
					dst[t*stride+r] = ((l[0] + l[1]) + (l[4] + l[5])) + ((l[2] + l[3]) + (l[6] + l[7]))
				}
			}
		}
	}
}

// addParts adds the products of a super-block with its activations, four units or fewer where the row ends, to the lanes.
func addParts(lanes *[8]float32, s *SuperBlock, x []Q8, part int) {
	for p := range 64 * len(x) / part {
		at := p * part
		u, i := &x[at/64], at%64
		d, dx, lane := s.Scale[at/16], u.Scale[i/4], &lanes[p%8]
		w, q := s.Q[at:at+part], u.Q[i:i+part]
		var sum int32
		for j := range w {
			sum += int32(w[j]) * int32(q[j])
		}
		*lane = fma(float32(sum), d*dx, *lane)
		if m := s.Min[at/16]; m != 0 {
			var negative int32
			for _, v := range u.NegSum[i/4 : (i+part)/4] {
				negative += v
			}
			*lane = fma(m, dx*float32(negative), *lane)
		}
	}
}

// fma returns x·y + z, rounded once.
func fma(x, y, z float32) float32 {
	p := float64(x) * float64(y) // exact
	sum := p + float64(z)
	// The sum is rounded to 53 bits, and then to 24, which may differ from rounding at once where the 53 end in a tie. So they are
	// rounded to odd instead: if something was lost, the last bit, when it is 0, moves towards it.
	back := sum - p
	lost := (p - (sum - back)) + (float64(z) - back)
	if lost != 0 && lost == lost {
		if bits := math.Float64bits(sum); bits&1 == 0 {
			if (lost > 0) == (sum > 0) {
				bits++
			} else {
				bits--
			}
			sum = math.Float64frombits(bits)
		}
	}
	return float32(sum)
}
