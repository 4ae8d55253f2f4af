package tensor

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestQuantizeActivations(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for _, n := range []int{1, 31, 32, 33, 63, 64, 65, 96, 1536} {
		x := normal(r, n)
		q := make([]Q8, Q8Len(n))
		for i := range q { // what lay there before must not matter
			q[i].Q[63], q[i].Scale[15], q[i].NegSum[15] = 1, 1, 1
		}
		quantize(q, x)
		back := make([]float32, n)
		dequantize(back, q)
		for i, v := range x {
			top := 0.0
			for _, a := range x[i/32*32 : min(n, i/32*32+32)] {
				top = max(top, math.Abs(float64(a)))
			}
			if d := math.Abs(float64(back[i] - v)); d > top/127/2*1.0001 {
				t.Fatalf("%d of %d: %v became %v, more than half a step off", i, n, v, back[i])
			}
		}
		for i := range q {
			for l := range 16 {
				sum := int32(0)
				for _, v := range q[i].Q[4*l : 4*l+4] {
					sum += int32(v)
				}
				if q[i].NegSum[l] != -sum || q[i].Scale[l] != q[i].Scale[l/8*8] {
					t.Fatalf("unit %d, lane %d: sum %d of %v, scale %v", i, l, q[i].NegSum[l], q[i].Q, q[i].Scale)
				}
			}
		}
		for i := n; i < 64*len(q); i++ {
			if q[i/64].Q[i%64] != 0 {
				t.Fatalf("value %d behind %d is %d, want 0", i, n, q[i/64].Q[i%64])
			}
		}
	}
}

func TestQuantizeRoundsHalvesToEven(t *testing.T) {
	x := []float32{127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5} // the scale is 1
	want := [7]int8{127, 0, 2, 2, 0, -2, -2}
	q := make([]Q8, 1)
	if quantize(q, x); [7]int8(q[0].Q[:]) != want {
		t.Errorf("%v became %v, want %v", x, q[0].Q[:7], want)
	}
}

func TestQuantizeOddActivations(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, bad := range []float32{nan, inf, -inf} {
		x := make([]float32, 64)
		x[3], x[40] = bad, 1
		q := make([]Q8, 1)
		quantize(q, x)
		if s := q[0].Scale[0]; s == s {
			t.Errorf("a block with %v has the scale %v, want NaN", bad, s)
		}
		if q[0].Scale[8] != 1.0/127 || q[0].Q[40] != 127 {
			t.Errorf("the block beside one with %v: scale %v, value %v", bad, q[0].Scale[8], q[0].Q[40])
		}
	}
	zero := make([]Q8, 1)
	quantize(zero, make([]float32, 64))
	if zero[0] != (Q8{}) {
		t.Errorf("zeros became %v", zero[0])
	}
	tiny := make([]float32, 32)
	tiny[0] = 1e-45 // 127 over it overflows
	if quantize(zero, tiny); zero[0] != (Q8{}) {
		t.Errorf("a block of nearly nothing became %v", zero[0])
	}
}

// dequantize sets x to the values that quantised activations stand for.
func dequantize(x []float32, src []Q8) {
	for i := range x {
		u := &src[i/64]
		x[i] = float32(u.Q[i%64]) * u.Scale[i%64/4]
	}
}
