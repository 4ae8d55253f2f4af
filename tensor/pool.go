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

// faultError is the address of such a page.
type faultError uintptr

func (e faultError) Error() string {
	return fmt.Sprintf("%v (address %#x): was the file cut short or its device removed?", ErrFault, uintptr(e))
}

func (e faultError) Unwrap() error { return ErrFault }

// Addr returns the address, for who knows what lies there.
func (e faultError) Addr() uintptr { return uintptr(e) }

// Task is the work of one region: independent chunks, each done once, by any worker.
type Task interface {
	// Do does one chunk. worker, below Pool.Workers(), tells which of the scratch buffers is its own.
	Do(worker, chunk int)
}

// shares is into how many parts per worker what is left of a region is cut when chunks are claimed. With fewer, one that the system stops
// would keep the others waiting for longer.
const shares = 2

// Pool is a fixed set of workers that run one region at a time. Callers on several goroutines take turns by region. The
// caller of Run is worker 0; the others are goroutines that spin for a moment when a region has ended, since the next one often
// follows within microseconds, and then sleep.
type Pool struct {
	turn    sync.Mutex // held for a region
	helpers []*helper

	// A region is published by storing its number in claim. Chunks are claimed, not dealt: a slow core takes fewer.
	region atomic.Uint32 // number of the region that task, chunks and done belong to
	task   atomic.Pointer[Task]
	chunks atomic.Uint32
	claim  atomic.Uint64 // region's number << 32 | next chunk
	done   atomic.Uint32 // chunks that are finished
	caller sleeper       // waits for the last chunk
	failed atomic.Pointer[failure]
	closed atomic.Bool
	own    Task // what task points to
}

// failure is what a worker's chunk panicked with.
type failure struct{ value any }

// helper is a worker other than the caller.
type helper struct {
	number int
	sleeper
}

// spins bounds the wait before a worker goes to sleep: some two hundred microseconds, more than a token's regions leave between them, since
// to be woken takes as long as several of them.
const spins = 50000

// sleeper lets one goroutine sleep until another wakes it. Whoever goes to sleep says so and then looks whether it may; who wakes it first
// does what it waits for and then looks whether it sleeps. Each does both by Swap: emulators of ARM let a load go before a store that the
// processor would keep before it, and both could miss each other.
type sleeper struct {
	spins  int // before it sleeps
	asleep atomic.Bool
	wake   chan struct{} // holds one
}

func newSleeper() sleeper { return sleeper{spins: spins, wake: make(chan struct{}, 1)} }

// wait returns when ready does; it spins, then sleeps.
func (s *sleeper) wait(ready func() bool) {
	for i := 0; !ready(); i++ {
		if i%64 == 63 {
			runtime.Gosched() // to whom else there is work
		}
		if i < s.spins {
			continue
		}
		s.asleep.Swap(true)
		if ready() && s.asleep.Swap(false) {
			return
		}
		<-s.wake // rouse has been called, or will be
		i = 0
	}
}

// rouse ends the sleep, if there is one.
func (s *sleeper) rouse() {
	if s.asleep.Swap(false) {
		s.wake <- struct{}{}
	}
}

// NewPool returns a pool of the given number of workers; below 1 it is GOMAXPROCS.
func NewPool(workers int) *Pool {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &Pool{caller: newSleeper()}
	for w := 1; w < workers; w++ {
		h := &helper{w, newSleeper()}
		p.helpers = append(p.helpers, h)
		go p.serve(h)
	}
	return p
}

// Workers returns the number of workers.
func (p *Pool) Workers() int { return len(p.helpers) + 1 }

// Run does all chunks of t and returns when they are done. Of chunks that fail on a page fault it returns an error that
// wraps ErrFault; any other panic continues on the caller's goroutine.
func (p *Pool) Run(chunks int, t Task) error {
	if chunks <= 0 {
		return nil
	}
	p.turn.Lock()
	defer p.turn.Unlock()
	n := p.region.Add(1) // late claims of the last region are void from here on
	p.own = t
	p.task.Store(&p.own)
	p.chunks.Store(uint32(chunks))
	p.done.Store(0)
	p.claim.Store(uint64(n) << 32)
	for _, h := range p.helpers[:min(len(p.helpers), chunks-1)] {
		h.rouse()
	}
	old := debug.SetPanicOnFault(true)
	p.work(0)
	debug.SetPanicOnFault(old)
	p.caller.wait(p.finished)
	p.own = nil
	if f := p.failed.Swap(nil); f != nil {
		if fault, ok := f.value.(interface{ Addr() uintptr }); ok {
			return faultError(fault.Addr())
		}
		panic(f.value)
	}
	return nil
}

func (p *Pool) finished() bool { return p.done.Load() >= p.chunks.Load() }

// Close ends the workers. The pool must be idle and is not used again.
func (p *Pool) Close() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.closed.Store(true)
	for _, h := range p.helpers {
		h.rouse()
	}
}

// serve is a helper's life.
func (p *Pool) serve(h *helper) {
	debug.SetPanicOnFault(true)
	seen := uint32(0)
	news := func() bool { return uint32(p.claim.Load()>>32) != seen || p.closed.Load() }
	for {
		h.wait(news)
		if p.closed.Load() {
			return
		}
		seen = uint32(p.claim.Load() >> 32)
		p.work(h.number)
	}
}

// work claims chunks until none is left.
func (p *Pool) work(worker int) {
	for {
		from, to := p.take()
		if from == to {
			return
		}
		for ; from < to; from++ {
			p.do(worker, from)
		}
	}
}

// take claims chunks that follow each other, a share of those that are left: the memory that they go through lies together, and what a
// worker fetched beyond one it needs for the next. At the end they come one by one, so that all workers end together.
func (p *Pool) take() (from, to int) {
	for {
		// The claim may be late and belong to a region that has ended; then its number differs behind the read of chunks. A valid one,
		// of a chunk that nobody else has claimed meanwhile, keeps its region from ending.
		c := p.claim.Load()
		from, all := uint32(c), p.chunks.Load()
		if uint32(c>>32) != p.region.Load() || from >= all {
			return 0, 0
		}
		n := max(1, (all-from)/uint32(shares*p.Workers()))
		if p.claim.CompareAndSwap(c, c+uint64(n)) {
			return int(from), int(from + n)
		}
	}
}

// do does a chunk and tells so, also of one that panicked.
func (p *Pool) do(worker, chunk int) {
	defer p.finish()
	(*p.task.Load()).Do(worker, chunk)
}

// finish counts a chunk, also one that panicked, and wakes the caller after the last.
func (p *Pool) finish() {
	if v := recover(); v != nil {
		p.failed.CompareAndSwap(nil, &failure{v})
	}
	if p.done.Add(1) == p.chunks.Load() {
		p.caller.rouse()
	}
}
