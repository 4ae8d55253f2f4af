//go:build unix

package tensor

import (
	"syscall"
	"testing"
	"time"
)

// idleTask is a task that does nothing.
type idleTask struct{}

func (idleTask) Do(int, int) {}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Skip(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestIdleWorkersTakeNoProcessorTime(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	for range 100 {
		if err := p.Run(64, idleTask{}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // long enough for all to go to sleep
	before := processorTime(t)
	const idle = 400 * time.Millisecond
	time.Sleep(idle)
	if used := processorTime(t) - before; used > idle/4 { // a worker that spins takes all of it
		t.Errorf("%v of processor time in %v without work", used, idle)
	}
}
