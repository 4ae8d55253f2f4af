package tensor

// Kernels is the table of inner loops. The functions are pure: they keep nothing and may run on any goroutine. Slices of one
// call have the lengths stated here; a function may rely on that.
type Kernels struct {
	// Name is the level, such as "portable" or "avx512".
	Name string

	// Dot returns the sum of a[i]·b[i]; len(a) == len(b).
	Dot func(a, b []float32) float32
	// AddScaled adds s·x to dst; len(dst) == len(x).
	AddScaled func(dst, x []float32, s float32)
	// RMSNorm sets dst to x / sqrt(mean(x²) + eps) · weight. A nil weight stands for ones; dst may be x.
	RMSNorm func(dst, x, weight []float32, eps float32)
	// GELU sets gate to gelu(gate) · up, in the tanh form; len(gate) == len(up).
	GELU func(gate, up []float32)
	// Rotate applies rotary position embedding to one head: x[i] and x[i+len(x)/2] turn by the angle whose
	// cosine and sine are cos[i] and sin[i].
	Rotate func(x, cos, sin []float32)
	// SoftCap sets x to limit · tanh(x / limit).
	SoftCap func(x []float32, limit float32)
	// ExpSum sets x to exp(x − shift) and returns the sum.
	ExpSum func(x []float32, shift float32) float32
}

// Portable returns the table in plain Go: exact arithmetic, float32 activations times decoded weights. It is the
// specification of every other level.
func Portable() *Kernels {
	return &Kernels{
		Name:      "portable",
		Dot:       dot,
		AddScaled: addScaled,
		RMSNorm:   rmsNorm,
		GELU:      gelu,
		Rotate:    rotate,
		SoftCap:   softCap,
		ExpSum:    expSum,
	}
}
