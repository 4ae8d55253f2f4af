package sampler

import "math"

// Reduction of exp's argument: ln2High has 32 significant bits, so that its product with a small integer is exact.
const (
	log2E   = 1.44269504088896338700e+00
	ln2High = 6.93147180369123816490e-01
	ln2Low  = 1.90821492927058770002e-10
)

// exp returns e^x for x ≤ 0, and 0 where that is below the normal numbers. math.Exp is a different function on each architecture, and they
// differ in the last bit, enough to pick another id one day; here every operation is rounded by itself (a conversion forbids the compiler
// to fuse a product with the sum around it).
func exp(x float64) float64 {
	if x < -708 {
		return 0
	}
	// x = k·ln2 + r with |r| ≤ ln2/2, and e^r by its Taylor series: the first term left out is below 2⁻⁵⁷.
	k := math.Floor(float64(x*log2E) + 0.5)
	r := x - float64(k*ln2High) - float64(k*ln2Low)
	p := 1.0 / 6227020800
	p = float64(p*r) + 1.0/479001600
	p = float64(p*r) + 1.0/39916800
	p = float64(p*r) + 1.0/3628800
	p = float64(p*r) + 1.0/362880
	p = float64(p*r) + 1.0/40320
	p = float64(p*r) + 1.0/5040
	p = float64(p*r) + 1.0/720
	p = float64(p*r) + 1.0/120
	p = float64(p*r) + 1.0/24
	p = float64(p*r) + 1.0/6
	p = float64(p*r) + 1.0/2
	p = float64(p*r) + 1
	p = float64(p*r) + 1
	return float64(p * math.Float64frombits(uint64(int64(k)+1023)<<52))
}
