package meter

import (
	"math"
	"testing"
	"time"
)

func TestMedianIsWithinAClass(t *testing.T) {
	for _, d := range []time.Duration{32, 33, 63, 64, 65, 1000, 4097, time.Millisecond, 3 * time.Second, 10 * time.Minute} {
		var h histogram
		h.add(time.Hour)
		h.add(0)
		for range 3 {
			h.add(d)
		}
		if n, got := h.median(); n != 5 || math.Abs(got/float64(d)-1) > 1.0/fine {
			t.Errorf("median of %d times around %v is %v ns", n, d, got)
		}
	}
}

// TestWhatTakesNoTimeHasNoRate is about short calls on a machine that was slower while the clock was read: their rate is a number.
func TestWhatTakesNoTimeHasNoRate(t *testing.T) {
	m := &Meter{clock: 1000}
	m.calls[Softmax].add(key{first, 7}, 500)
	m.calls[Attention].add(key{multiplying, 7}, 500)
	m.burns[Attention].add(key{multiplying, 7}, 5000)
	for _, p := range m.Parts() {
		if p.Seconds != 0 || p.Rate() != 0 || p.Share() != 0 {
			t.Errorf("%+v: %v multiply-adds per second, a share of %v", p, p.Rate(), p.Share())
		}
	}
}

func TestClockIsTakenOff(t *testing.T) {
	var c calls
	for range 10 {
		c.add(key{multiplying, 7}, 1000)
		c.add(key{first, 7}, 500)
	}
	seconds, ops := c.sum(100)
	if ops != 70 || math.Abs(seconds-10*(900+400)*1e-9) > 0.04*seconds {
		t.Errorf("%v s for %d multiply-adds", seconds, ops)
	}
}
