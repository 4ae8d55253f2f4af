package sampler

import (
	"math"
	"math/bits"
)

// race returns the winner among the candidates: the id with the highest score (doc.go), of equal ones the lowest.
func race(c []entry, temperature float64, base uint64) (winner int32) {
	top, inverse, best := topLogit(c), 1/temperature, math.Inf(-1)
	for _, e := range c {
		x, n := float64(e.logit)-top, noise(base, e.id)
		if float64(x*inverse)+ceiling(n) <= best {
			continue // nearly all of a long tail, and nearly all of many equals
		}
		if score := x/temperature + gumbel(n); score > best || score == best && e.id < winner {
			winner, best = e.id, score
		}
	}
	return winner
}

// weyl is 2⁶⁴ over the golden ratio, odd: its multiples are spread evenly.
const weyl = 0x9e3779b97f4a7c15

// noiseBase returns what the noise of all ids at a position of a text is made from.
func noiseBase(seed uint64, position int) uint64 { return mix(mix(seed) + weyl*uint64(position)) }

// noise returns the 64 random bits of an id.
func noise(base uint64, id int32) uint64 { return mix(base + weyl*(uint64(id)+1)) }

// mix is the bijection that ends SplitMix64 (Steele et al. 2014, with the constants of Stafford's variant 13).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// gumbel turns random bits into a number of the standard Gumbel distribution, −log(−log u), with u in the middle of one of 2⁵² equal parts
// of (0, 1): neither 0 nor 1, and −log u is exact to the last bits where it is small, which is where races are won.
func gumbel(n uint64) float64 {
	u := (float64(n>>12) + 0.5) * 0x1p-52
	return -log(-log(u))
}

// ceiling returns a bound that gumbel(n) never reaches, at the cost of counting bits: −log u ≥ 1 − u ≥ 2^−(ones+1), where ones is how many
// ones n begins with. The last term is far above all errors of rounding.
func ceiling(n uint64) float64 {
	return float64(float64(bits.LeadingZeros64(^n)+1)*math.Ln2) + 1e-9
}
