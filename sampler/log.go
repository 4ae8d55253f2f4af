package sampler

import "math"

// log returns the natural logarithm of a normal number x > 0, with a relative error of at most 2⁻⁵⁰, even near 1. Like [exp] it gives the
// same bits everywhere, which math.Log does not.
func log(x float64) float64 {
	// x = 2^k·m with m in [√½, √2), and log m = 2·artanh(s), s = (m−1)/(m+1), |s| < 0.172, by its Taylor series: the first term left
	// out is below 2⁻⁵⁷ of the sum.
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, k = 2*m, k-1
	}
	s := (m - 1) / (m + 1)
	z := float64(s * s)
	p := 1.0 / 23
	for n := 21.0; n > 1; n -= 2 {
		p = float64(p*z) + 1/n
	}
	p = float64(p * z)
	return float64(float64(k)*ln2High) + (float64(float64(k)*ln2Low) + (2*s + float64(2*s*p)))
}
