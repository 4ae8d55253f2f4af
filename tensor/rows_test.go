package tensor

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFMARoundsOnce compares with exact arithmetic: random bits, and sums that lie next to a tie between two floats.
func TestFMARoundsOnce(t *testing.T) {
	check := func(x, y, z float32) {
		exact := new(big.Float).SetPrec(800).SetFloat64(float64(x))
		exact.Mul(exact, big.NewFloat(float64(y)))
		exact.Add(exact, big.NewFloat(float64(z)))
		want, _ := exact.Float32()
		if got := fma(x, y, z); got != want {
			t.Fatalf("%x·%x + %x is %x, want %x", x, y, z, got, want)
		}
	}
	const a, b = 8384513, 8392705 // a·b = 2⁴⁶ + 1
	for _, sign := range []float32{1, -1} {
		check(sign*a, 0x1p-70*b, sign)                              // a little above a tie of 1 and the next float
		check(sign*8391460, 0x1p-70*8385757, sign)                  // so little that in 53 bits it is the last one, rounded up
		check(sign*0x1.000002p-24, 0x1.fffffcp-1, sign*(1+0x1p-23)) // a little below
		check(sign*a, -0x1p-70*b, sign*(1+0x1p-23))                 // above, from the other side
		check(sign*0x1p-98*a, 0x1p-98*b, sign*0x1p-126)             // where floats are subnormal
		check(sign*0x1p100, 0x1p20, -sign*0x1p120)                  // nothing is left
		check(sign*(1+0x1p-23), 1-0x1p-23, -sign)                   // but what no float32 product has
		check(sign*math.MaxFloat32, 1, sign*0x1.ffp102)             // stays finite
		check(sign*math.MaxFloat32, 1, sign*0x1.000002p103)         // does not
	}
	r := rand.New(rand.NewPCG(3, 1))
	finite := func() float32 {
		for {
			if v := math.Float32frombits(r.Uint32()); !math.IsInf(float64(v), 0) && v == v {
				return v
			}
		}
	}
	for range 20000 {
		check(finite(), finite(), finite())
		x, y := finite(), finite()
		// A sum whose addends overlap by a few bits, or not quite.
		if p := float64(x) * float64(y); math.Abs(p) < 0x1p90 && math.Abs(p) > 0x1p-140 {
			check(x, y, float32(p*math.Ldexp(r.Float64()-0.5, r.IntN(60)-30)))
		}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range [][3]float32{{inf, 0, 1}, {inf, 1, -inf}, {nan, 1, 1}, {1, 1, nan}} {
		if v := fma(c[0], c[1], c[2]); v == v {
			t.Errorf("fma of %v is %v, want NaN", c, v)
		}
	}
	if v := fma(inf, -2, 1); v != -inf {
		t.Errorf("fma(Inf, −2, 1) is %v", v)
	}
}

// TestRowsTakeSumsInTheirOrder has blocks whose products are too different to be added in another order.
func TestRowsTakeSumsInTheirOrder(t *testing.T) {
	products := []float32{0x1p24, 1, 3, 0x1p-20, -0x1p24, 5, 1, 0x1p23, 1, 0x1p-1, 0x1p22 + 1, 7, 1, 1, -0x1p23, 3, 0x1p-1}
	row := make([]byte, Q8_0.RowBytes(32*len(products)))
	x := make([]Q8, Q8Len(32*len(products)))
	var lanes [8]float32
	for i, p := range products { // scale and activation 1, and the product as the scale of the activations
		binary.LittleEndian.PutUint16(row[34*i:], 0x3C00)
		row[34*i+2+i] = 1
		u, at := &x[i/2], i%2*32
		u.Q[at+i] = 1
		for l := range 8 {
			u.Scale[at/4+l] = p
		}
		lanes[i%8] += p
	}
	want := ((lanes[0] + lanes[1]) + (lanes[4] + lanes[5])) + ((lanes[2] + lanes[3]) + (lanes[6] + lanes[7]))
	got := make([]float32, 1)
	PortableRows().Rows[Q8_0](got, 1, row, len(row), 1, x, len(x), 1)
	if got[0] != want {
		t.Errorf("product is %v, want %v", got[0], want)
	}
}

// TestRowsAreTheProductOfWeightsAndActivations takes both as the floats that they stand for, in float64. A product is the same alone.
func TestRowsAreTheProductOfWeightsAndActivations(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	k := PortableRows()
	for _, f := range quantised() {
		for _, c := range []struct{ blocks, rows, n int }{{1, 1, 1}, {3, 2, 2}, {9, 3, 17}, {16, 1, 33}} {
			cols := c.blocks * f.BlockLen()
			size, units := f.RowBytes(cols), Q8Len(cols)
			w := make([]byte, c.rows*size)
			mix(w, uint64(cols))
			x := make([]Q8, c.n*units)
			for i := range c.n {
				k.Quantize(x[i*units:(i+1)*units], normal(r, cols))
			}
			stride := c.rows + 1
			got, one := make([]float32, c.n*stride), make([]float32, 1)
			k.Rows[f](got, stride, w, size, c.rows, x, units, c.n)
			row, act := make([]float32, cols), make([]float32, cols)
			for i := range c.n {
				dequantize(act, x[i*units:(i+1)*units])
				for j := range c.rows {
					f.Decode(row, w[j*size:(j+1)*size])
					want, magnitude := 0.0, 0.0
					var s SuperBlock
					for l, v := range row {
						if l%256 == 0 {
							f.Unpack(&s, w[j*size+f.RowBytes(l):(j+1)*size])
						}
						want += float64(v) * float64(act[l])
						g := l % 256 / 16
						weight := math.Abs(float64(s.Scale[g])*float64(s.Q[l%256])) + math.Abs(float64(s.Min[g]))
						magnitude += weight * math.Abs(float64(act[l]))
					}
					v := got[i*stride+j]
					if bound := magnitude * 0x1p-24 * (float64(cols)/32 + 8); !(math.Abs(float64(v)-want) <= bound) && bound < 0x1p100 {
						t.Fatalf("%v, %d columns, row %d, token %d: %v, want %v ± %g", f, cols, j, i, v, want, bound)
					}
					k.Rows[f](one, 1, w[j*size:(j+1)*size], size, 1, x[i*units:(i+1)*units], units, 1)
					if math.Float32bits(one[0]) != math.Float32bits(v) && (v == v || one[0] == one[0]) {
						t.Fatalf("%v, row %d, token %d: %v in company, %v alone", f, j, i, v, one[0])
					}
				}
				if got[i*stride+c.rows] != 0 {
					t.Fatalf("%v: wrote behind %d rows", f, c.rows)
				}
			}
		}
	}
}

// rowSums are checksums of the bits of products of splitmixed blocks (see mix), recorded: what compares them with assembly is in
// internal/kernels.
var rowSums = map[Format]uint32{
	Q4_0: 0xEC3E0BCC, Q4_1: 0x8E583997, Q5_0: 0x8892F2D6, Q5_1: 0xEA99D242, Q8_0: 0x4E471C71, Q2_K: 0xC5C97FAC,
	Q3_K: 0xDA5F8E6E, Q4_K: 0x381D81B2, Q5_K: 0x8335A608, Q6_K: 0x9F8A5135, IQ2_XXS: 0xD43EEB8B, IQ2_XS: 0x63F114AF,
	IQ3_XXS: 0x33AED3F5, IQ1_S: 0xF0E2FECA, IQ4_NL: 0x92E771C4, IQ3_S: 0x490507C3, IQ2_S: 0xCB33CE99, IQ4_XS: 0xA033FEE7,
	IQ1_M: 0x1ABD9FD7, TQ1_0: 0xDA35CE63, TQ2_0: 0x02FA0640, MXFP4: 0x58F2E218, NVFP4: 0x690771A2, Q1_0: 0x46DFC572,
	Q2_0: 0x0ACB87E5, Q2_0_128: 0x35090318,
}

// TestRowsHaveTheSameBitsEverywhere takes rows of a little more than three super-blocks. Whatever is not finite counts as one NaN.
func TestRowsHaveTheSameBitsEverywhere(t *testing.T) {
	k := PortableRows()
	for _, f := range quantised() {
		const rows = 64
		cols := 768 + f.BlockLen()
		size, units := f.RowBytes(cols), Q8Len(cols)
		w, x, q := make([]byte, rows*size), make([]float32, cols), make([]Q8, units)
		mix(w, uint64(f))
		noise := make([]byte, cols)
		mix(noise, 1)
		for i, v := range noise {
			x[i] = float32(int8(v)) * float32(1+i/32)
		}
		k.Quantize(q, x)
		y := make([]float32, rows)
		k.Rows[f](y, rows, w, size, rows, q, units, 1)
		sum := crc32.NewIEEE()
		for _, v := range y {
			bits := math.Float32bits(v)
			if bits&0x7F800000 == 0x7F800000 {
				bits = 0x7FC00000
			}
			sum.Write(binary.LittleEndian.AppendUint32(nil, bits))
		}
		if got := sum.Sum32(); got != rowSums[f] {
			t.Errorf("%v: sum %#08X, want %#08X", f, got, rowSums[f])
		}
	}
}

func TestRowsAllocateNothing(t *testing.T) {
	k := PortableRows()
	dst, x := make([]float32, 2), make([]Q8, 8)
	for _, f := range quantised() {
		w := make([]byte, f.RowBytes(256))
		if n := testing.AllocsPerRun(10, func() { k.Rows[f](dst, 1, w, len(w), 1, x, 4, 2) }); n != 0 {
			t.Errorf("%v: %v allocations", f, n)
		}
	}
}

// BenchmarkRows multiplies with one token, and with many. It counts the weights' bytes.
func BenchmarkRows(b *testing.B) {
	const cols, rows = 1024, 8
	r := rand.New(rand.NewPCG(3, 3))
	k := PortableRows()
	for _, f := range []Format{Q4_0, Q4_K, Q6_K, IQ2_XS} {
		for _, n := range []int{1, 16} {
			b.Run(f.String()+map[int]string{1: "", 16: "/many"}[n], func(b *testing.B) {
				w := make([]byte, f.RowBytes(rows*cols))
				mix(w, 1)
				x, dst := make([]Q8, n*Q8Len(cols)), make([]float32, n*rows)
				for i := range n {
					k.Quantize(x[i*Q8Len(cols):(i+1)*Q8Len(cols)], normal(r, cols))
				}
				b.SetBytes(int64(len(w)))
				for b.Loop() {
					k.Rows[f](dst, rows, w, len(w)/rows, rows, x, Q8Len(cols), n)
				}
			})
		}
	}
}
