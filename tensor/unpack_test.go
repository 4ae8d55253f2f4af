package tensor

import (
	"bytes"
	"math"
	"testing"
)

// weights computes what a row's integers and scales stand for.
func weights(f Format, src []byte, n int) []float32 {
	values := make([]float32, n)
	var s SuperBlock
	for i := range values {
		if i%256 == 0 {
			f.Unpack(&s, src[f.RowBytes(i):])
		}
		values[i] = float32(s.Scale[i%256/16]*float32(s.Q[i%256])) - s.Min[i%256/16]
	}
	return values
}

// quantised are the formats that can be unpacked.
func quantised() (list []Format) {
	for _, e := range every {
		if e.values > 1 {
			list = append(list, e.format)
		}
	}
	return list
}

// TestUnpackedWeightsAreTheDecodedOnes holds for rows of any length, also where a super-block that has been used before is not filled.
func TestUnpackedWeightsAreTheDecodedOnes(t *testing.T) {
	for _, f := range quantised() {
		for _, n := range []int{f.BlockLen(), 3 * f.BlockLen(), 256, 256 + f.BlockLen(), 4096} {
			src := make([]byte, f.RowBytes(n))
			mix(src, uint64(f)+uint64(n))
			want := make([]float32, n)
			f.Decode(want, src)
			for i, v := range weights(f, src, n) {
				if v != want[i] && (v == v || want[i] == want[i]) {
					t.Fatalf("%v: weight %d of %d is %v, decoded %v", f, i, n, v, want[i])
				}
			}
		}
		var used, fresh SuperBlock
		Q5_1.Unpack(&used, bytes.Repeat([]byte{0x3C}, Q5_1.RowBytes(256)))
		for _, n := range []int{256, f.BlockLen()} { // what was there before leaves nothing
			src := make([]byte, f.RowBytes(n))
			f.Unpack(&used, src)
			f.Unpack(&fresh, src)
			if used != fresh {
				t.Errorf("%v: %d weights in a super-block that was used before: %v, want %v", f, n, used, fresh)
			}
			Q5_1.Unpack(&used, bytes.Repeat([]byte{0x3C}, Q5_1.RowBytes(256)))
			fresh = SuperBlock{}
		}
	}
}

func TestFloatsHaveNothingToUnpack(t *testing.T) {
	for _, f := range []Format{F32, F16, BF16, 5, 99} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v was unpacked", f)
				}
			}()
			var s SuperBlock
			f.Unpack(&s, make([]byte, 64))
		}()
	}
}

// FuzzUnpack takes any bytes: they unpack to what they decode to.
func FuzzUnpack(f *testing.F) {
	f.Add(uint8(12), []byte("\x00\x3c\x00\x3c"))
	f.Fuzz(func(t *testing.T, which uint8, block []byte) {
		format := quantised()[int(which)%len(quantised())]
		src := make([]byte, format.RowBytes(256))
		copy(src, block)
		decoded := make([]float32, 256)
		format.Decode(decoded, src)
		for i, v := range weights(format, src, 256) {
			if d := decoded[i]; math.Float32bits(d) != math.Float32bits(v) && (d == d || v == v) {
				t.Fatalf("%v: weight %d is %v, decoded %v", format, i, v, d)
			}
		}
	})
}
