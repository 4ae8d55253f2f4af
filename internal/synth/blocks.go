package synth

import (
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"sort"

	"github.com/gogemma/gemma4/tensor"
)

// A pool holds at most this many bytes and values: few enough to be made quickly and to stay in the cache while being copied from, enough
// for many different rows.
const (
	poolBytes  = 256 << 10
	poolValues = 512 << 10
)

// pieceBytes is about the size of the longest piece copied from a pool.
const pieceBytes = 1 << 10

// A pool is a run of random blocks of one format and spread.
type pool struct {
	block int // bytes of one
	data  []byte
}

// scaleAt says where the blocks of a format keep their f16 scale d and the f16 minimum m that goes with it: value = d·q + m in
// Q4_1 and Q5_1, d·scale·q − m·min in the K formats. With m = ratio·d the codes' mean becomes 0.
var scaleAt = map[tensor.Format]struct {
	d, m   int // byte offsets; m 0: none
	ratio  float64
	signed bool // d may be negative, which takes the mean out of codes that have one
}{
	tensor.Q4_0:     {d: 0, signed: true},
	tensor.Q4_1:     {d: 0, m: 2, ratio: -7.5},
	tensor.Q5_0:     {d: 0, signed: true},
	tensor.Q5_1:     {d: 0, m: 2, ratio: -15.5},
	tensor.Q8_0:     {d: 0},
	tensor.Q2_K:     {d: 80, m: 82, ratio: 1.5},
	tensor.Q3_K:     {d: 108, signed: true},
	tensor.Q4_K:     {d: 0, m: 2, ratio: 7.5},
	tensor.Q5_K:     {d: 0, m: 2, ratio: 15.5},
	tensor.Q6_K:     {d: 208, signed: true},
	tensor.IQ2_XXS:  {d: 0},
	tensor.IQ2_XS:   {d: 0},
	tensor.IQ2_S:    {d: 0},
	tensor.IQ3_XXS:  {d: 0},
	tensor.IQ3_S:    {d: 0},
	tensor.IQ1_S:    {d: 0},
	tensor.IQ4_NL:   {d: 0, signed: true},
	tensor.IQ4_XS:   {d: 0, signed: true},
	tensor.TQ1_0:    {d: 52},
	tensor.TQ2_0:    {d: 64},
	tensor.Q1_0:     {d: 0},
	tensor.Q2_0:     {d: 0, signed: true},
	tensor.Q2_0_128: {d: 0, signed: true},
}

// newPool makes a pool whose decoded values have the given standard deviation and, nearly, mean 0.
func newPool(f tensor.Format, spread float64, random *rand.PCG) *pool {
	p := &pool{block: f.BlockBytes()}
	n := min(poolBytes/p.block, poolValues/f.BlockLen())
	p.data = make([]byte, n*p.block)
	values := make([]float32, n*f.BlockLen())
	switch f {
	case tensor.F32, tensor.F16, tensor.BF16:
		for i := range values {
			values[i] = float32(spread * gauss(random))
		}
		if err := f.Encode(p.data, values); err != nil {
			panic(err) // these three encode anything
		}
		return p
	}
	for i := 0; i < len(p.data); i += 8 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], random.Uint64())
		copy(p.data[i:], b[:])
	}
	// The scales of blocks differ by up to a factor of 3. They have a mean of 1 first, to see what comes out.
	scales := make([]float64, n)
	for i := range scales {
		scales[i] = 0.5 + unit(random)
		if scaleAt[f].signed && random.Uint64()&1 == 1 {
			scales[i] = -scales[i]
		}
		repair(f, p.at(i), random)
		setScale(f, p.at(i), scales[i], random)
	}
	f.Decode(values, p.data)
	sum := 0.0
	for _, v := range values {
		sum += float64(float64(v) * float64(v))
	}
	factor := spread / math.Sqrt(sum/float64(len(values)))
	for i, s := range scales {
		setScale(f, p.at(i), s*factor, random)
	}
	return p
}

func (p *pool) at(i int) []byte { return p.data[i*p.block : (i+1)*p.block] }

// write writes the given number of bytes, in whole blocks and rows of the given size. A tensor no larger than the pool is a run of it; a
// larger one is pieces from anywhere, at most half a row long, so that equal rows are rare.
func (p *pool) write(w io.Writer, bytes int64, row int, random *rand.PCG) error {
	all := uint64(len(p.data) / p.block)
	longest := uint64(max(1, min(row/2, pieceBytes/p.block)))
	if bytes <= int64(len(p.data)) {
		first := int(random.Uint64()%all) * p.block
		n := min(int(bytes), len(p.data)-first)
		if _, err := w.Write(p.data[first : first+n]); err != nil {
			return err
		}
		_, err := w.Write(p.data[:int(bytes)-n])
		return err
	}
	buffer := make([]byte, 0, 256<<10)
	for bytes > 0 {
		r := random.Uint64()
		n := 1 + r&(1<<32-1)*longest>>32
		first := r >> 32 * (all - n + 1) >> 32
		piece := p.data[first*uint64(p.block) : (first+n)*uint64(p.block)]
		if int64(len(piece)) > bytes {
			piece = piece[:bytes]
		}
		if len(buffer)+len(piece) > cap(buffer) {
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			buffer = buffer[:0]
		}
		buffer = append(buffer, piece...)
		bytes -= int64(len(piece))
	}
	_, err := w.Write(buffer)
	return err
}

// repair turns random bytes into codes that an encoder might write.
func repair(f tensor.Format, b []byte, random *rand.PCG) {
	switch f {
	case tensor.Q8_0:
		for i, q := range b[2:] {
			if q == 0x80 { // −128: the codes end at ±127
				b[2+i] = 0x81
			}
		}
	case tensor.Q2_K:
		for i := range b[:16] { // 4-bit scale, 4-bit minimum
			scale := int(b[i] & 15)
			b[i] = byte(scale | near(scale, 15, random)<<4)
		}
	case tensor.Q4_K, tensor.Q5_K:
		// Eight 6-bit scales and minimums: the low six bits of the first four each, then the low nibbles of the others, whose
		// upper two bits stand on top of the first four.
		s := b[4:16]
		for j := range 4 {
			r := random.Uint64()
			scale, next := int(r&63), int(r>>6&63)
			least, nextLeast := near(scale, 63, random), near(next, 63, random)
			s[j] = byte(scale | next>>4<<6)
			s[j+4] = byte(least | nextLeast>>4<<6)
			s[j+8] = byte(next&15 | nextLeast&15<<4)
		}
	case tensor.TQ1_0:
		// Five base-3 digits per byte, four in the last four bytes, as a fraction of 256 rounded up.
		for i := range b[:52] {
			digits := random.Uint64() % 243
			if i >= 48 {
				digits -= digits % 3
			}
			b[i] = byte((digits*256 + 242) / 243)
		}
	case tensor.TQ2_0:
		for i := range b[:64] { // four of 0, 1, 2
			b[i] = 0
			for shift := 0; shift < 8; shift += 2 {
				b[i] |= byte(random.Uint64()%3) << shift
			}
		}
	}
}

// near returns x or a neighbour between 0 and top: the minimum that goes with a scale.
func near(x, top int, random *rand.PCG) int {
	return max(0, min(top, x+int(random.Uint64()%3)-1))
}

// setScale sets the scale of a block, and its minimum.
func setScale(f tensor.Format, b []byte, scale float64, random *rand.PCG) {
	half := func(at int, x float64) { binary.LittleEndian.PutUint16(b[at:], tensor.ToF16(float32(x))) }
	switch f {
	case tensor.IQ1_M: // the four nibbles of d lie on top of four words of scales
		d := tensor.ToF16(float32(scale))
		for i := range 4 {
			b[49+2*i] = b[49+2*i]&15 | byte(d>>(4*i)&15<<4)
		}
	case tensor.MXFP4:
		b[0] = bracket(scale, 254, func(e int) float64 { return math.Ldexp(1, e-128) }, random)
	case tensor.NVFP4:
		for i := range 4 {
			b[i] = bracket(scale, 126, halfE4M3, random)
		}
	default:
		at := scaleAt[f]
		half(at.d, scale)
		if at.m != 0 {
			half(at.m, scale*at.ratio)
		}
	}
}

// bracket returns one of the two codes up to last whose values, which ascend, lie on either side of scale: at random, so that the mean
// square is that of scale. Code 0 counts as 0.
func bracket(scale float64, last int, value func(int) float64, random *rand.PCG) byte {
	square := func(code int) float64 {
		if code == 0 {
			return 0
		}
		v := value(code)
		return float64(v * v)
	}
	want := float64(scale * scale)
	code := sort.Search(last, func(code int) bool { return square(code+1) > want })
	if code < last {
		low, high := square(code), square(code+1)
		if unit(random)*(high-low) < want-low {
			code++
		}
	}
	return byte(code)
}

// halfE4M3 returns half the value of an unsigned e4m3 float: NVFP4's codes are doubled.
func halfE4M3(code int) float64 {
	e, m := code>>3, float64(code&7)
	if e == 0 {
		return math.Ldexp(m, -10)
	}
	return math.Ldexp(1+m/8, e-8)
}

// unit returns a number in [0, 1).
func unit(random *rand.PCG) float64 { return float64(random.Uint64()>>11) * 0x1p-53 }

// gauss returns a nearly normal number of mean 0 and deviation 1: the sum of four uniform ones, which is exact and so the same on every
// machine.
func gauss(random *rand.PCG) float64 {
	r := random.Uint64()
	sum := r&0xFFFF + r>>16&0xFFFF + r>>32&0xFFFF + r>>48
	return (float64(sum) - 4*32767.5) / 37837.2 // √(4·2³² / 12)
}
