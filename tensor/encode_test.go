package tensor

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math"
	"strings"
	"testing"
)

// block returns 32 values that repeat the given ones.
func block(values ...float32) []float32 {
	x := make([]float32, 32)
	for i := range x {
		x[i] = values[i%len(values)]
	}
	return x
}

func TestEncodeWritesTheBlocksOfTheReferenceQuantisers(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name   string
		format Format
		src    []float32
		want   string // hex; of a block of 32, the scale and the first four bytes
	}{
		{"the ends of the range", Q8_0, block(127, -127, 1, -1), "003c 7f8101ff"},
		{"halves go away from zero", Q8_0, block(127, 0.5, -0.5, 2.5), "003c 7f01ff03"},
		{"just below a half goes to zero", Q8_0, block(127, 0.49999997, -0.49999997, 1.4999999), "003c 7f000001"},
		{"divided by the unrounded scale", Q8_0, block(1, -1, 0.5, 0.25), "0820 7f814020"},
		{"zeros", Q8_0, block(0), "0000 00000000"},
		{"negative zeros", Q8_0, block(float32(math.Copysign(0, -1))), "0000 00000000"},
		{"the smallest number", Q8_0, block(math.SmallestNonzeroFloat32), "0000 00000000"},
		{"a scale that is subnormal as a half", Q8_0, block(1e-5, -5e-6, 0, 0), "0100 7fc00000"},
		{"a scale that is 0 as a half", Q8_0, block(1e-30, -1e-30, 0, 0), "0000 7f810000"},
		{"a scale that is infinite as a half", Q8_0, block(1e30, -1e30, 0, 0), "007c 7f810000"},
		{"the largest number", Q8_0, block(math.MaxFloat32, 0, 0, 0), "007c 7f000000"},
		{"a NaN", Q8_0, block(1, nan, 2, 3), "007e 00000000"},
		{"an infinity", Q8_0, block(1, inf, 2, 3), "007e 00000000"},
		{"a negative infinity", Q8_0, block(-inf, 1, 2, 3), "007e 00000000"},

		{"the largest is positive", Q4_0, block(8, -8, 1, -1), "00bc 00ff7799"},
		{"the largest is negative", Q4_0, block(-8, 7, 1, -1), "003c 00ff9977"},
		{"halves go up", Q4_0, block(-8, 0.5, -0.5, 6.5), "003c 009988ff"},
		{"the range ends at 7", Q4_0, block(-8, 7.9, 7.5, 7.4), "003c 00ffffff"},
		{"zeros", Q4_0, block(0), "0080 88888888"}, // 0/-8 is -0, as in ggml
		{"the smallest number", Q4_0, block(math.SmallestNonzeroFloat32), "0080 88888888"},
		{"a scale that is 0 as a half", Q4_0, block(1e-30, -1e-30, 0, 0), "0080 00ff8888"},
		{"a scale that is infinite as a half", Q4_0, block(-1e30, 1e30, 0, 0), "007c 00ff8888"},
		{"a NaN", Q4_0, block(nan, 1, 2, 3), "007e 00000000"},
		{"an infinity", Q4_0, block(1, inf, 2, 3), "007e 00000000"},

		{"numbers", F32, []float32{1, -2, inf}, "0000803f 000000c0 0000807f"},
		{"numbers", F16, []float32{1, -2, 65519, 65520, -inf, 6e-8, 2e-8}, "003c 00c0 ff7b 007c 00fc 0100 0000"},
		{"numbers", BF16, []float32{1, -2, math.MaxFloat32, inf, math.SmallestNonzeroFloat32 * 0x10000}, "803f 00c0 807f 807f 0100"},
		{"NaNs", F16, []float32{nan, -nan}, "007e 00fe"},
	} {
		dst := make([]byte, c.format.RowBytes(len(c.src)))
		for i := range dst {
			dst[i] = 0xAA
		}
		if err := c.format.Encode(dst, c.src); err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(dst, want) {
			t.Errorf("%v, %s: %x, want %x", c.format, c.name, dst[:len(want)], want)
		}
		for i := 2 + 4; i < len(dst) && c.format.BlockLen() == 32; i++ {
			if dst[i] != dst[i-4] {
				t.Errorf("%v, %s: byte %d is not that four before: %x", c.format, c.name, i, dst)
				break
			}
		}
	}
}

// randoms returns n blocks of 32 numbers of very different magnitudes: block i is 24-bit integers times 2^-(i mod 48).
func randoms(n int) []float32 {
	raw := make([]byte, 4*32*n)
	mix(raw, 7)
	x := make([]float32, 32*n)
	for i := range x {
		v := int32(binary.LittleEndian.Uint32(raw[4*i:])) >> 8
		x[i] = float32(math.Ldexp(float64(v), -(i / 32 % 48)))
	}
	return x
}

// The sums are those of the blocks that the two quantisers make when compiled from C without fused operations.
func TestEncodeMakesTheSameRandomBlocksEverywhere(t *testing.T) {
	x := randoms(4800)
	for _, c := range []struct {
		format Format
		sum    uint32
	}{{Q8_0, 0x3A238991}, {Q4_0, 0xCC79EDAB}} {
		dst := make([]byte, c.format.RowBytes(len(x)))
		if err := c.format.Encode(dst, x); err != nil {
			t.Fatal(err)
		}
		if sum := crc32.ChecksumIEEE(dst); sum != c.sum {
			t.Errorf("%v: sum %#08X, want %#08X", c.format, sum, c.sum)
		}
	}
}

// A scale d becomes a half that differs by at most d·2⁻¹¹, or half of the smallest half; the values differ by as many
// times that as they have steps, and by half a step. Q4_0 lacks a step at one end.
func TestEncodedValuesComeBackWithinABound(t *testing.T) {
	scaleError := func(d float64) float64 { return max(math.Ldexp(d, -11), math.Ldexp(1, -25)) }
	const slack = 1 + 1e-6 // for the rounding of the quotients
	for _, c := range []struct {
		format Format
		limit  float64 // above, the scale is infinite
		bound  func(value, peak float64) float64
	}{
		{F32, math.MaxFloat32, func(_, _ float64) float64 { return 0 }},
		{F16, 65504, func(v, _ float64) float64 { return scaleError(v) }},
		{BF16, math.MaxFloat32, func(v, _ float64) float64 { return math.Ldexp(v, -8) }},
		{Q8_0, 65504 * 127, func(_, peak float64) float64 { return peak/127/2*slack + 127*scaleError(peak/127) }},
		{Q4_0, 65504 * 8, func(_, peak float64) float64 { return peak/8*slack + 8*scaleError(peak/8) }},
	} {
		forBlocks(t, c.format, c.limit, func(x, got []float32, peak float64) {
			for i, v := range x {
				bound := c.bound(math.Abs(float64(v)), peak)
				if off := math.Abs(float64(got[i]) - float64(v)); !(off <= bound) {
					t.Fatalf("%v: %v came back as %v, off by %v of at most %v", c.format, v, got[i], off, bound)
				}
			}
		})
	}
}

func TestValuesThatCameBackComeBackAgain(t *testing.T) {
	for format, limit := range map[Format]float64{F16: 65504, BF16: math.MaxFloat32, Q8_0: 65504 * 127, Q4_0: 65504 * 8} {
		forBlocks(t, format, limit, func(_, x []float32, _ float64) {
			src, got := make([]byte, format.RowBytes(32)), make([]float32, 32)
			if err := format.Encode(src, x); err != nil {
				t.Fatal(err)
			}
			format.Decode(got, src)
			for i, v := range x {
				if got[i] != v {
					t.Fatalf("%v: %v came back as %v", format, v, got[i])
				}
			}
		})
	}
}

// forBlocks calls do with random blocks, what comes back of them, and their largest magnitude, which is below limit.
func forBlocks(t *testing.T, format Format, limit float64, do func(x, got []float32, peak float64)) {
	all, src, n := randoms(4800), make([]byte, format.RowBytes(32)), 0
	for i := 0; i < len(all); i += 32 {
		x, got, peak := all[i:i+32], make([]float32, 32), 0.0
		for _, v := range x {
			peak = max(peak, math.Abs(float64(v)))
		}
		if peak >= limit {
			continue
		}
		if err := format.Encode(src, x); err != nil {
			t.Fatal(err)
		}
		format.Decode(got, src)
		do(x, got, peak)
		n++
	}
	if n < 1000 {
		t.Fatalf("%v: only %d blocks were below %v", format, n, limit)
	}
}

func TestEncodeRefusesWhatItCannotWrite(t *testing.T) {
	for _, c := range []struct {
		format Format
		values int
		bytes  int
		want   string
	}{
		{Q6_K, 256, 210, "tensor: cannot encode Q6_K, only F32, F16, BF16, Q8_0 and Q4_0"},
		{Q8_0, 33, 100, "tensor: 33 values of Q8_0, want a multiple of 32"},
		{Q8_0, 64, 67, "tensor: 67 bytes for 64 values of Q8_0, want 68"},
		{F16, 3, 5, "tensor: 5 bytes for 3 values of F16, want 6"},
		{77, 0, 0, "tensor: format 77 is unknown"},
	} {
		err := c.format.Encode(make([]byte, c.bytes), make([]float32, c.values))
		if err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.format, err, c.want)
		}
	}
	for _, e := range every {
		err := e.format.Encode(make([]byte, e.bytes), make([]float32, e.values))
		if can := strings.Contains("F32 F16 BF16 Q8_0 Q4_0", e.name); (err == nil) != can {
			t.Errorf("%v: %v", e.format, err)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add(uint8(0), []byte("\x00\x00\x80\x3f\x00\x00\xc0\x7f"))
	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		format := []Format{F16, BF16, Q8_0, Q4_0}[which%4]
		bits := make([]byte, 128)
		copy(bits, raw)
		x, got := make([]float32, 32), make([]float32, 32)
		F32.Decode(x, bits)
		dst := make([]byte, format.RowBytes(32))
		if err := format.Encode(dst, x); err != nil {
			t.Fatal(err)
		}
		format.Decode(got, dst)
		finite := true
		for _, v := range x {
			finite = finite && !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
		}
		for i, v := range got {
			switch {
			case format.BlockLen() == 1 && (v != v) != (x[i] != x[i]):
				t.Fatalf("%v: %v came back as %v", format, x[i], v)
			case format.BlockLen() > 1 && !finite && v == v:
				t.Fatalf("%v: %v came back as %v beside numbers that are not finite", format, x[i], v)
			}
		}
	})
}

// BenchmarkEncode counts the bytes of float32 read.
func BenchmarkEncode(b *testing.B) {
	for _, f := range []Format{F32, F16, BF16, Q8_0, Q4_0} {
		b.Run(f.String(), func(b *testing.B) {
			x := make([]float32, 4096)
			for i := range x {
				x[i] = float32((i*7919)%4096-2048) / 1e4
			}
			dst := make([]byte, f.RowBytes(len(x)))
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				if err := f.Encode(dst, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
