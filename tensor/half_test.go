package tensor

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/x448/float16"
)

func TestEveryHalfIsReadAsTheReferenceReadsIt(t *testing.T) {
	halves := make([]byte, 2<<16)
	for h := range 1 << 16 {
		binary.LittleEndian.PutUint16(halves[2*h:], uint16(h))
	}
	wide := make([]float32, 1<<16)
	F16.Decode(wide, halves)
	for i := range wide {
		h := uint16(i)
		want := float16.Frombits(h).Float32()
		if got := FromF16(h); math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("%#04x is %v (%#08x), want %v (%#08x)", i, got, math.Float32bits(got), want, math.Float32bits(want))
		}
		if math.Float32bits(wide[i]) != math.Float32bits(want) {
			t.Fatalf("%#04x is %v in a slice, want %v", i, wide[i], want)
		}
		back := h
		if want != want {
			back |= 0x200 // NaNs are quiet
		}
		if got := ToF16(want); got != back {
			t.Fatalf("%v is written as %#04x, want %#04x", want, got, back)
		}
	}
}

func TestHalvesAreRoundedToNearestEven(t *testing.T) {
	check := func(bits uint32) {
		x := math.Float32frombits(bits)
		if got, want := ToF16(x), float16.Fromfloat32(x).Bits(); got != want {
			t.Fatalf("%v (%#08x) is written as %#04x, want %#04x", x, bits, got, want)
		}
	}
	// Every half, the middle between it and the next, and the numbers beside those.
	for h := range uint32(1 << 15) {
		this := math.Float32bits(FromF16(uint16(h)))
		middle := math.Float32bits((FromF16(uint16(h)) + FromF16(uint16(h+1))) / 2)
		for _, bits := range []uint32{this, middle, 1} {
			for d := range uint32(5) {
				check(bits + d - 2)
				check(bits + d - 2 | 1<<31)
			}
		}
	}
	for bits, last := uint32(0), uint32(0); bits >= last; bits += 65521 { // a prime
		check(bits)
		last = bits
	}
}

func TestBrainFloatsAreTheUpperHalf(t *testing.T) {
	for h := range 1 << 16 {
		x := FromBF16(uint16(h))
		if math.Float32bits(x) != uint32(h)<<16 {
			t.Fatalf("%#04x is read as %v", h, x)
		}
		want := uint16(h)
		if x != x {
			want |= 0x40 // NaNs are quiet
		}
		if got := ToBF16(x); got != want {
			t.Fatalf("%v is written as %#04x, want %#04x", x, got, want)
		}
	}
}

func TestBrainFloatsAreRoundedToNearestEven(t *testing.T) {
	for h := range uint32(1 << 16) {
		for _, c := range []struct {
			below uint32
			up    bool
		}{{1, false}, {0x7FFF, false}, {0x8000, h&1 == 1}, {0x8001, true}, {0xFFFF, true}} {
			x := math.Float32frombits(h<<16 | c.below)
			want := uint16(h)
			switch {
			case x != x:
				want |= 0x40
			case c.up:
				want++ // a carry from the last finite number ends at infinity
			}
			if got := ToBF16(x); got != want {
				t.Fatalf("%v (%#08x) is written as %#04x, want %#04x", x, h<<16|c.below, got, want)
			}
		}
	}
}
