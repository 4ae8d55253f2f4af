package tensor

// Arithmetic is how a product of weights and activations is computed. Which one is taken depends on a token's role, prefill or decode,
// and never on how many go together, so that the same text gives the same bytes however it is grouped.
type Arithmetic int

const (
	// Exact multiplies float32 activations with decoded weights. It is the reference.
	Exact Arithmetic = iota
	// Rows is the arithmetic of decode: weights as they lie in the file, activations in 8 bits (Q8); weights that are
	// floats are multiplied exactly.
	Rows
	// Panels is the arithmetic of prefill: a few rows of weights are unpacked once for all tokens, in a form and with a
	// rounding that are the level's own.
	Panels
)

// PerFormat is a table with an entry for each weight format.
type PerFormat[T any] [len(formats)]T

// Kernels is the table of inner loops. The functions are pure: they keep nothing and may run on any goroutine. Slices of one
// call have the lengths stated here; a function may rely on that.
type Kernels struct {
	// Name is the level, such as "portable" or "avx512".
	Name string

	// Decode is the format's decoder where the level has a faster one than Format.Decode.
	Decode PerFormat[func(dst []float32, src []byte)]
	// Encode is the format's encoder where the level has a faster one than Format.Encode; len(x) is a multiple of the block length.
	Encode PerFormat[func(dst []byte, x []float32)]

	// Dot returns the sum of a[i]·b[i]; len(a) == len(b).
	Dot func(a, b []float32) float32
	// AddScaled adds s·x to dst; len(dst) == len(x).
	AddScaled func(dst, x []float32, s float32)
	// Scale sets dst to s·x; len(dst) == len(x), and dst may be x.
	Scale func(dst, x []float32, s float32)
	// Max returns the largest of x, or −Inf if x is empty. There is no NaN among them.
	Max func(x []float32) float32
	// Clamp sets x to low where it is below, and to high where it is above. A NaN stays.
	Clamp func(x []float32, low, high float32)
	// RMSNorm sets dst to x / sqrt(mean(x²) + eps) · weight. A nil weight stands for ones; dst may be x.
	RMSNorm func(dst, x, weight []float32, eps float32)
	// AddNorm adds to dst what RMSNorm makes of x; it may overwrite x.
	AddNorm func(dst, x, weight []float32, eps float32)
	// GELU sets gate to gelu(gate) · up, in the tanh form; len(gate) == len(up).
	GELU func(gate, up []float32)
	// Rotate applies rotary position embedding to one head: x[i] and x[i+len(x)/2] turn by the angle whose
	// cosine and sine are cos[i] and sin[i].
	Rotate func(x, cos, sin []float32)
	// Angles sets cos[i] and sin[i] to the cosine and the sine of freqs[i]·position, computed in float64. All have one length.
	Angles func(cos, sin []float32, freqs []float64, position float64)
	// SoftCap sets x to limit · tanh(x / limit).
	SoftCap func(x []float32, limit float32)
	// ExpSum sets x to exp(x − shift) and returns the sum.
	ExpSum func(x []float32, shift float32) float32

	// Hadamard applies the Hadamard transform divided by its root, which is its own inverse, to each 64 numbers of x, or each largest
	// power of two below that divides len(x).
	Hadamard func(x []float32)

	// Scores adds q[i] · key j to dst[i·stride + j], for queries q [n, dim] and keys [count, dim], rowBytes from one to the next;
	// count is even. There is one for each format that a cache may have: F32, F16, Q8_0 and Q4_0. What will be needed afterwards begins
	// at next, unless that is empty: as many bytes are fetched into the processor's cache in passing. A result has the same bits whatever
	// n and count are.
	Scores PerFormat[func(dst []float32, stride int, q []float32, n int, keys []byte, rowBytes, count int, next []byte)]
	// Weigh adds Σj w[i·stride + j] · value j to dst[i], value by value from the first, for sums dst [n, dim] and values [count, dim].
	// Formats, next and bits are as in Scores.
	Weigh PerFormat[func(dst []float32, n int, w []float32, stride int, values []byte, count int, next []byte)]

	// Attention is attention of prefill, and of towers, with products of bf16. Nil: Scores and Weigh, of floats.
	Attention *AttentionKernels

	// Quantize sets dst to x in 8 bits, filled up with zeros; len(dst) == Q8Len(len(x)).
	Quantize func(dst []Q8, x []float32)
	// Rows multiplies in the rows arithmetic. Formats without such a kernel are decoded row by row and multiplied exactly.
	Rows PerFormat[RowKernel]
	// FloatRows does the same for F16 and BF16, with activations as they are.
	FloatRows PerFormat[FloatRowKernel]

	// Sum reads all of b, in the way that is fastest, and returns a checksum: the roofline of decode.
	Sum func(b []byte) uint64
	// Burn does rounds of the widest multiply-add of the panels on registers alone and returns how many multiply-adds these were:
	// the roofline of prefill.
	Burn func(rounds int) int64
	// BurnFloats is Burn of the multiply-add of floats, which Scores and Weigh are made of.
	BurnFloats func(rounds int) int64

	// Panels is the panel arithmetic of quantised formats, and of F16 and BF16 where it packs them. Where it does not, HalfPanels is that
	// of F16 and BF16, see pairs.go, and FloatPanels that of floats that are left. Nil: the next one, at last the exact one.
	Panels, HalfPanels, FloatPanels *PanelKernels
}

// Exact returns a copy of the table without all that rounds activations, queries and weights of attention: what is left multiplies floats.
func (k *Kernels) Exact() *Kernels {
	c := *k
	c.Rows, c.FloatRows = PerFormat[RowKernel]{}, PerFormat[FloatRowKernel]{}
	c.Panels, c.HalfPanels, c.FloatPanels, c.Attention = nil, nil, nil, nil
	return &c
}

// DecodeRow decodes values of a format with the level's decoder.
func (k *Kernels) DecodeRow(f Format, dst []float32, src []byte) {
	if d := k.Decode[f]; d != nil {
		d(dst, src)
		return
	}
	f.Decode(dst, src)
}

// EncodeRow encodes values in a format with the level's encoder.
func (k *Kernels) EncodeRow(f Format, dst []byte, x []float32) error {
	if e := k.Encode[f]; e != nil && f.check(len(x), len(dst)) == nil {
		e(dst, x)
		return nil
	}
	return f.Encode(dst, x)
}

// RowKernel computes dst[t·stride + r] = row r of w · activations of token t, for all rows r and n tokens. w holds rows of
// rowBytes bytes each, and nothing behind them may be read; x holds units Q8 for each token. A product has the same bits whatever rows
// and n are.
type RowKernel func(dst []float32, stride int, w []byte, rowBytes, rows int, x []Q8, units, n int)

// FloatRowKernel is a RowKernel over activations x [n, cols].
type FloatRowKernel func(dst []float32, stride int, w []byte, rowBytes, rows int, x []float32, cols, n int)

// PanelKernels multiply many tokens with panels of decoded weights.
type PanelKernels struct {
	// Height is the number of rows of a panel.
	Height int
	// XBytes returns the bytes that n tokens of cols activations take once packed.
	XBytes func(n, cols int) int
	// PackX packs tokens from to to-1 of x [n, cols]. Both are multiples of XTile, but for to where it is n.
	PackX func(dst []byte, x []float32, n, cols, from, to int)
	// XTile is the number of tokens that are packed together.
	XTile int
	// WBytes returns the bytes that a panel takes.
	WBytes func(cols int) int
	// PackW packs up to Height rows of a format as they lie in a file. Rows that are missing at the end become zeros.
	PackW PerFormat[func(dst []byte, w []byte, rowBytes, rows, cols int)]
	// PackFloats packs rows that were decoded, where PackW has no function for their format.
	PackFloats func(dst []byte, w []float32, rows, cols int)
	// Multiply computes dst[t·stride + r] for the rows of one panel and n packed tokens. A product has the same bits
	// whatever rows and n are. The weights that will be packed next are next, which may be empty: they are fetched into the
	// processor's cache in passing where that is of use.
	Multiply func(dst []float32, stride int, w []byte, rows int, x []byte, n, cols int, next []byte)
	// MultiplyW, of formats that have it, is PackW and Multiply to the same bits, where tokens are so few that a panel is not worth its
	// packing. panel is scratch, as large as one.
	MultiplyW PerFormat[func(dst []float32, stride int, panel, w []byte, rowBytes, rows int, x []byte, n, cols int)]
	// Few is how many tokens that are at most.
	Few int
	// Burn is Kernels.Burn of the multiply-add of these panels. Nil: that of the table.
	Burn func(rounds int) int64
}

// Portable returns the table in plain Go: exact arithmetic in all roles. It is the specification of every other level.
func Portable() *Kernels {
	k := &Kernels{
		Name:       "portable",
		Dot:        dot,
		AddScaled:  addScaled,
		Scale:      scale,
		Max:        maximum,
		Clamp:      clamp,
		RMSNorm:    rmsNorm,
		AddNorm:    addNorm,
		GELU:       gelu,
		Rotate:     rotate,
		Angles:     angles,
		SoftCap:    softCap,
		ExpSum:     expSum,
		Hadamard:   hadamard,
		Quantize:   quantize,
		Sum:        sum,
		Burn:       burn,
		BurnFloats: burn,
	}
	for _, f := range []Format{F32, F16, Q8_0, Q4_0} {
		k.Scores[f], k.Weigh[f] = scoresOf(f), weighOf(f)
	}
	return k
}

// PortableRows returns the portable table with the rows arithmetic in plain Go, see rows.go: the specification of every row kernel.
func PortableRows() *Kernels {
	k := Portable()
	k.Name = "portable rows"
	for _, f := range Formats() {
		if f != F32 && f != F16 && f != BF16 {
			k.Rows[f] = rowsOf(f)
		}
	}
	return k
}
