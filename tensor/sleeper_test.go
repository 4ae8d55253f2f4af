package tensor

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestNobodySleepsThroughACall calls somebody who is just falling asleep, some nanoseconds sooner or later each time. With Store and
// Load in place of Swap it fails in a quarter of its runs under qemu.
func TestNobodySleepsThroughACall(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("on one processor nothing happens at once")
	}
	s := newSleeper()
	s.spins = 3
	var begun, called, ended atomic.Uint32
	heard := func(n uint32) {
		for end := time.Now().Add(time.Minute); ended.Load() != n; {
			for i := 0; i < 1000 && ended.Load() != n; i++ { // without giving way, so that both have a processor
			}
			if time.Now().After(end) {
				t.Fatalf("call %d was not heard", n)
			}
		}
	}
	var over atomic.Bool
	defer func() {
		over.Store(true)
		called.Store(begun.Load())
		s.rouse()
	}()
	go func() {
		for n := uint32(1); !over.Load(); n++ {
			begun.Store(n)
			s.wait(func() bool { return called.Load() == n })
			ended.Store(n)
		}
	}()
	n := uint32(1)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); n++ {
		for begun.Load() != n {
		}
		for range n % 31 {
			called.Load()
		}
		called.Store(n)
		s.rouse()
		heard(n)
	}
}
