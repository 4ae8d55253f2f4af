package tensor

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

// every lists all formats with their size, bits per value as published, and a checksum: that of the values in
// splitmixed blocks as a decoder in numpy, written from the description of the formats, has them (see mix).
var every = []struct {
	format Format
	number uint32
	name   string
	values int
	bytes  int
	bits   float64
	sum    uint32
}{
	{F32, 0, "F32", 1, 4, 32, 0x8D35BBC1},
	{F16, 1, "F16", 1, 2, 16, 0xF00B89A5},
	{Q4_0, 2, "Q4_0", 32, 18, 4.5, 0xF68F5CE5},
	{Q4_1, 3, "Q4_1", 32, 20, 5, 0x9A43A12D},
	{Q5_0, 6, "Q5_0", 32, 22, 5.5, 0xC1D391DF},
	{Q5_1, 7, "Q5_1", 32, 24, 6, 0x9DEE12C5},
	{Q8_0, 8, "Q8_0", 32, 34, 8.5, 0x1280E10B},
	{Q2_K, 10, "Q2_K", 256, 84, 2.625, 0xEE83F0F5},
	{Q3_K, 11, "Q3_K", 256, 110, 3.4375, 0x5BD7794C},
	{Q4_K, 12, "Q4_K", 256, 144, 4.5, 0x26D0AC6E},
	{Q5_K, 13, "Q5_K", 256, 176, 5.5, 0xC39DD50C},
	{Q6_K, 14, "Q6_K", 256, 210, 6.5625, 0x3A17BAC9},
	{IQ2_XXS, 16, "IQ2_XXS", 256, 66, 2.0625, 0xB68900C6},
	{IQ2_XS, 17, "IQ2_XS", 256, 74, 2.3125, 0x3EA4DAD0},
	{IQ3_XXS, 18, "IQ3_XXS", 256, 98, 3.0625, 0x5D112555},
	{IQ1_S, 19, "IQ1_S", 256, 50, 1.5625, 0xCF5C34A5},
	{IQ4_NL, 20, "IQ4_NL", 32, 18, 4.5, 0x2B539C30},
	{IQ3_S, 21, "IQ3_S", 256, 110, 3.4375, 0x28D1F180},
	{IQ2_S, 22, "IQ2_S", 256, 82, 2.5625, 0xD13B173A},
	{IQ4_XS, 23, "IQ4_XS", 256, 136, 4.25, 0x24CFD8E6},
	{IQ1_M, 29, "IQ1_M", 256, 56, 1.75, 0xB2BB99D0},
	{BF16, 30, "BF16", 1, 2, 16, 0x5175577D},
	{TQ1_0, 34, "TQ1_0", 256, 54, 1.6875, 0x9F3D6A3A},
	{TQ2_0, 35, "TQ2_0", 256, 66, 2.0625, 0x3853E821},
	{MXFP4, 39, "MXFP4", 32, 17, 4.25, 0x7CD6C3B7},
	{NVFP4, 40, "NVFP4", 64, 36, 4.5, 0x2AA70005},
	{Q1_0, 41, "Q1_0", 128, 18, 1.125, 0x3687F831},
	{Q2_0, 42, "Q2_0", 64, 18, 2.25, 0xAA59D1F2},
	{Q2_0_128, 4, "Q2_0_128", 128, 34, 2.125, 0x151E7AB5},
}

func TestFormatsHaveTheirNumbersNamesAndSizes(t *testing.T) {
	for _, e := range every {
		f := e.format
		if uint32(f) != e.number || f.String() != e.name || f.BlockLen() != e.values || f.BlockBytes() != e.bytes {
			t.Errorf("format %d: %v with %d values in %d bytes, want %d %s %d %d",
				uint32(f), f, f.BlockLen(), f.BlockBytes(), e.number, e.name, e.values, e.bytes)
		}
		if !f.Valid() {
			t.Errorf("%v is not valid", f)
		}
		if got, want := f.RowBytes(1024), int(e.bits*128); got != want {
			t.Errorf("%v: 1024 values take %d bytes, want %d", f, got, want)
		}
	}
}

func TestOtherNumbersAreNoFormats(t *testing.T) {
	known := map[Format]bool{}
	for _, e := range every {
		known[e.format] = true
	}
	for f := Format(0); f < 100; f++ {
		if f.Valid() != known[f] {
			t.Errorf("format %d: valid is %v", uint32(f), f.Valid())
		}
	}
	for _, f := range []Format{5, 9, 15, 24, 38, 43, 99, 1 << 31, math.MaxUint32} {
		if f.Valid() || f.BlockLen() != 0 || f.BlockBytes() != 0 || f.RowBytes(256) != 0 {
			t.Errorf("%v has a size", f)
		}
		if err := f.Encode(nil, nil); err == nil || !strings.Contains(err.Error(), f.String()+" is unknown") {
			t.Errorf("%v: Encode says %v", f, err)
		}
	}
	if got := Format(99).String(); got != "format 99" {
		t.Errorf("format 99 calls itself %q", got)
	}
}

func TestDecodeEqualsTheReference(t *testing.T) {
	for _, e := range every {
		switch e.format {
		case F32, Q1_0, Q2_0, Q2_0_128: // the last three are computed by hand
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			src := read(t, strings.ToLower(e.name)+".blocks")
			want := asFloats(read(t, strings.ToLower(e.name)+".f32"))
			if len(src) != e.format.RowBytes(len(want)) {
				t.Fatalf("%d bytes for %d values", len(src), len(want))
			}
			got := make([]float32, len(want))
			e.format.Decode(got, src)
			for i := range got {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("value %d is %v, want %v", i, got[i], want[i])
				}
			}
			block := e.format.BlockLen()
			clear(got)
			for i := 0; i < len(got); i += block {
				e.format.Decode(got[i:i+block], src[e.format.RowBytes(i):])
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("value %d is %v, want %v, when blocks are decoded one by one", i, got[i], want[i])
				}
			}
		})
	}
}

func TestBlocksOfOneAndTwoBitsComputedByHand(t *testing.T) {
	for _, c := range []struct {
		format Format
		block  string // hex: the scale, then the first bytes of what zeros follow
		want   []float32
		rest   float32
	}{
		// 0.5; 0xB1 = 10110001, 0x80
		{Q1_0, "0038" + "b180", []float32{0.5, -0.5, -0.5, -0.5, 0.5, 0.5, -0.5, 0.5, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5, 0.5}, -0.5},
		{Q1_0, "00c0" + "01", []float32{-2, 2, 2, 2, 2, 2, 2, 2}, 2},
		// 0.25; 0xE4 = 11 10 01 00, 0x1B = 00 01 10 11
		{Q2_0, "0034" + "e41b", []float32{-0.25, 0, 0.25, 0.5, 0.5, 0.25, 0, -0.25}, -0.25},
		{Q2_0_128, "0034" + "e41b", []float32{-0.25, 0, 0.25, 0.5, 0.5, 0.25, 0, -0.25}, -0.25},
		{Q2_0, "00bc" + "c0", []float32{1, 1, 1, -2}, 1},
	} {
		block := make([]byte, 2*c.format.BlockBytes())
		raw := block[c.format.BlockBytes():] // the second of two
		if _, err := hex.Decode(raw, []byte(c.block)); err != nil {
			t.Fatal(err)
		}
		dst := make([]float32, 2*c.format.BlockLen())
		c.format.Decode(dst, block)
		for i, v := range dst[c.format.BlockLen():] {
			want := c.rest
			if i < len(c.want) {
				want = c.want[i]
			}
			if v != want {
				t.Errorf("%v %s: value %d is %v, want %v", c.format, c.block, i, v, want)
			}
		}
	}
}

// mix fills dst with the bytes of splitmix64's output, counting up from 1 from the given seed.
func mix(dst []byte, seed uint64) {
	for i := 0; i < len(dst); i += 8 {
		seed += 0x9E3779B97F4A7C15
		z := seed
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		for j := i; j < min(i+8, len(dst)); j++ {
			dst[j] = byte(z >> (8 * (j - i)))
		}
	}
}

// TestRandomBlocksDecodeAlikeEverywhere reaches every entry of every codebook, every scale, and scales that are
// infinite, NaN and subnormal. Sums are taken over the bits of the values, with -0 as 0 and whatever is not finite as
// one NaN.
func TestRandomBlocksDecodeAlikeEverywhere(t *testing.T) {
	for _, e := range every {
		values := 1024 * 256
		src := make([]byte, e.format.RowBytes(values))
		mix(src, uint64(e.number))
		dst := make([]float32, values)
		e.format.Decode(dst, src)
		sum := crc32.NewIEEE()
		var word [4]byte
		for _, v := range dst {
			bits := math.Float32bits(v)
			if bits&0x7F800000 == 0x7F800000 {
				bits = 0x7FC00000
			}
			if bits == 0x80000000 {
				bits = 0
			}
			binary.LittleEndian.PutUint32(word[:], bits)
			sum.Write(word[:])
		}
		if sum.Sum32() != e.sum {
			t.Errorf("%v: sum %#08x, want %#08x", e.format, sum.Sum32(), e.sum)
		}
	}
}

func TestDecodeTakesExtremeBlocks(t *testing.T) {
	for _, e := range every {
		for _, fill := range []byte{0x00, 0x01, 0x7B, 0x7C, 0x7E, 0x7F, 0x80, 0xFC, 0xFF} {
			src := make([]byte, e.format.RowBytes(512))
			for i := range src {
				src[i] = fill
			}
			dst := make([]float32, 512)
			e.format.Decode(dst, src)
			if fill == 0 && e.format != MXFP4 {
				for i, v := range dst {
					if v != 0 {
						t.Fatalf("%v: value %d of zero bytes is %v", e.format, i, v)
					}
				}
			}
		}
	}
}

func TestSpecialScales(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		format Format
		scale  string // hex, at the start of the block
		fill   byte   // of the rest
		want   float32
	}{
		{Q4_0, "007c", 0x99, inf},
		{Q4_0, "00fc", 0x99, -inf},
		{Q4_0, "007c", 0x88, nan}, // infinity times 0
		{Q4_0, "017c", 0x99, nan},
		{Q4_0, "0100", 0xFF, 7.0 / (1 << 24)},
		{Q8_0, "007c", 0x01, inf},
		{Q4_1, "003c007c", 0x11, inf},
		{Q4_1, "007c00fc", 0x11, nan},
		{IQ4_NL, "007c", 0x88, inf},
		{MXFP4, "00", 0x11, float32(math.Ldexp(1, -128))},
		{MXFP4, "01", 0x77, float32(math.Ldexp(12, -127))},
		{MXFP4, "02", 0x99, float32(math.Ldexp(-1, -126))},
		{MXFP4, "ff", 0x11, float32(math.Ldexp(1, 127))},
		{MXFP4, "ff", 0x22, inf},
		{MXFP4, "ff", 0x00, 0},
		{NVFP4, "00000000", 0x77, 0},
		{NVFP4, "7f7f7f7f", 0x77, 0},
		{NVFP4, "01010101", 0x11, 1.0 / 1024},
		{NVFP4, "07070707", 0x11, 7.0 / 1024},
		{NVFP4, "08080808", 0x11, 8.0 / 1024},
		{NVFP4, "7e7e7e7e", 0x77, 224 * 12},
	} {
		src := make([]byte, c.format.BlockBytes())
		for i := range src {
			src[i] = c.fill
		}
		if _, err := hex.Decode(src, []byte(c.scale)); err != nil {
			t.Fatal(err)
		}
		dst := make([]float32, c.format.BlockLen())
		c.format.Decode(dst, src)
		for i, v := range dst {
			if v != c.want && (v == v || c.want == c.want) {
				t.Errorf("%v with scale %s: value %d is %v, want %v", c.format, c.scale, i, v, c.want)
				break
			}
		}
	}
}

func TestDecodeRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		format     Format
		values, at int
		want       string
	}{
		{Q4_0, 31, 100, "tensor: 31 values of Q4_0, want a multiple of 32"},
		{Q4_0, 64, 35, "tensor: 35 bytes for 64 values of Q4_0, want 36"},
		{Q6_K, 128, 1000, "tensor: 128 values of Q6_K, want a multiple of 256"},
		{F32, 2, 7, "tensor: 7 bytes for 2 values of F32, want 8"},
		{5, 0, 0, "tensor: format 5 is unknown"},
	} {
		func() {
			defer func() {
				if err, _ := recover().(error); err == nil || err.Error() != c.want {
					t.Errorf("%v: %v, want %s", c.format, err, c.want)
				}
			}()
			c.format.Decode(make([]float32, c.values), make([]byte, c.at))
		}()
	}
	for _, e := range every {
		e.format.Decode(nil, nil)
		e.format.Decode(nil, make([]byte, 1))
	}
}

func TestCodebooksAreThoseOfTheReference(t *testing.T) {
	text, err := os.ReadFile(testdata.Shared(t, "golden", "quant", "grids.json"))
	if err != nil {
		t.Fatal(err)
	}
	var grids map[string]json.RawMessage
	if err := json.Unmarshal(text, &grids); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		book          []uint16
		choices       []byte
		values, width int
	}{
		{"iq1s_grid", iq1sGrid[:], []byte{0xFF, 0, 1}, 8, 2},
		{"iq2xxs_grid", iq2xxsGrid[:], iq2Values, 8, 2},
		{"iq2xs_grid", iq2xsGrid[:], iq2Values, 8, 2},
		{"iq2s_grid", iq2sGrid[:], iq2Values, 8, 2},
		{"iq3xxs_grid", iq3xxsGrid[:], iq3xxsValues, 4, 3},
		{"iq3s_grid", iq3sGrid[:], iq3sValues, 4, 3},
	} {
		var digits string
		if err := json.Unmarshal(grids[c.name], &digits); err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(digits)
		if err != nil || len(want) != len(c.book)*c.values {
			t.Fatalf("%s: %d bytes, %v", c.name, len(want), err)
		}
		for i, v := range want {
			code := c.book[i/c.values] >> (i % c.values * c.width) & (1<<c.width - 1)
			if got := c.choices[code]; got != v {
				t.Fatalf("%s: value %d is %d, want %d", c.name, i, int8(got), int8(v))
			}
		}
	}
	for name, values := range map[string][16]int8{"kvalues_iq4nl": iq4Values, "kvalues_fp4": fp4Values} {
		var want [16]int8
		if err := json.Unmarshal(grids[name], &want); err != nil {
			t.Fatal(err)
		}
		if values != want {
			t.Errorf("%s is %v, want %v", name, values, want)
		}
	}
}

func TestDecodeAndEncodeAllocateNothing(t *testing.T) {
	dst, src := make([]float32, 256), make([]byte, 1024)
	for _, e := range every {
		src := src[:e.format.RowBytes(256)]
		if n := testing.AllocsPerRun(10, func() { e.format.Decode(dst, src) }); n != 0 {
			t.Errorf("%v: decoding allocates %v times", e.format, n)
		}
		if formats[e.format].encode == nil {
			continue
		}
		if n := testing.AllocsPerRun(10, func() { _ = e.format.Encode(src, dst) }); n != 0 {
			t.Errorf("%v: encoding allocates %v times", e.format, n)
		}
	}
}

// BenchmarkDecode counts the bytes of decoded float32.
func BenchmarkDecode(b *testing.B) {
	for _, e := range every {
		b.Run(e.name, func(b *testing.B) {
			dst := make([]float32, 4096)
			src := make([]byte, e.format.RowBytes(len(dst)))
			mix(src, 1)
			if e.bits >= 16 { // typical numbers, a few of them subnormal
				for i := range dst {
					dst[i] = float32(int8(src[i%len(src)])) / 4096
				}
				if err := e.format.Encode(src, dst); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				e.format.Decode(dst, src)
			}
		})
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "quant", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func asFloats(b []byte) []float32 {
	f := make([]float32, len(b)/4)
	F32.Decode(f, b)
	return f
}
