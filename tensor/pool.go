package tensor

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// ErrFault is wrapped by the error of a region that touched a page which the system could not deliver: the file behind a
// memory map was cut short or its device is gone.
var ErrFault = errors.New("tensor: a mapped file could not be read")

// Task is the work of one region: independent chunks, each done once, by any worker.
type Task interface {
	// Do does one chunk. worker, below Pool.Workers(), tells which of the scratch buffers is its own.
	Do(worker, chunk int)
}

// Pool is a fixed set of workers that run one region at a time. Callers on several goroutines take turns by region. The
// caller of Run is worker 0; the others are goroutines that sleep between regions.
type Pool struct {
	turn    sync.Mutex // held for a region
	workers int
	wake    []chan struct{} // one per goroutine
	busy    sync.WaitGroup

	task   Task
	chunks int64
	next   atomic.Int64 // chunks are claimed, not dealt: a slow core takes fewer
	failed atomic.Pointer[failure]
}

// failure is what a worker's chunk panicked with.
type failure struct{ value any }

// NewPool returns a pool of the given number of workers; below 1 it is GOMAXPROCS.
func NewPool(workers int) *Pool {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &Pool{workers: workers}
	for w := 1; w < workers; w++ {
		c := make(chan struct{}, 1)
		p.wake = append(p.wake, c)
		go p.serve(w, c)
	}
	return p
}

// Workers returns the number of workers.
func (p *Pool) Workers() int { return p.workers }

// Run does all chunks of t and returns when they are done. Of chunks that fail on a page fault it returns an error that
// wraps ErrFault; any other panic continues on the caller's goroutine.
func (p *Pool) Run(chunks int, t Task) error {
	if chunks <= 0 {
		return nil
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	p.task, p.chunks = t, int64(chunks)
	p.next.Store(0)
	helpers := min(len(p.wake), chunks-1)
	p.busy.Add(helpers)
	for _, c := range p.wake[:helpers] {
		c <- struct{}{}
	}
	old := debug.SetPanicOnFault(true)
	p.work(0)
	debug.SetPanicOnFault(old)
	p.busy.Wait()
	p.task = nil
	if f := p.failed.Swap(nil); f != nil {
		if fault, ok := f.value.(interface{ Addr() uintptr }); ok {
			return fmt.Errorf("%w (address %#x): was the file cut short or its device removed?", ErrFault, fault.Addr())
		}
		panic(f.value)
	}
	return nil
}

// Close ends the workers. The pool must be idle and is not used again.
func (p *Pool) Close() {
	p.turn.Lock()
	defer p.turn.Unlock()
	for _, c := range p.wake {
		close(c)
	}
	p.wake = nil
}

func (p *Pool) serve(worker int, wake <-chan struct{}) {
	debug.SetPanicOnFault(true)
	for range wake {
		p.work(worker)
		p.busy.Done()
	}
}

// work claims chunks until none is left.
func (p *Pool) work(worker int) {
	defer p.catch()
	for {
		c := p.next.Add(1) - 1
		if c >= p.chunks {
			return
		}
		p.task.Do(worker, int(c))
	}
}

// catch records a panic and lets the other workers run dry.
func (p *Pool) catch() {
	if v := recover(); v != nil {
		p.failed.CompareAndSwap(nil, &failure{v})
		p.next.Store(p.chunks)
	}
}
