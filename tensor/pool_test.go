package tensor

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counts is a task that notes how often each chunk was done, and that worker numbers are never shared.
type counts struct {
	done    []atomic.Int32
	workers []atomic.Int32
	t       *testing.T
}

func (c *counts) Do(worker, chunk int) {
	if c.workers[worker].Add(1) != 1 {
		c.t.Errorf("worker %d is two at once", worker)
	}
	c.done[chunk].Add(1)
	c.workers[worker].Add(-1)
}

func TestPoolDoesEveryChunkOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 5, 16} {
		pool := NewPool(workers)
		if pool.Workers() != workers {
			t.Fatalf("%d workers, want %d", pool.Workers(), workers)
		}
		var callers sync.WaitGroup
		for range 4 { // callers take turns
			callers.Go(func() {
				for _, chunks := range []int{0, 1, 2, 3, 100, 1000} {
					c := &counts{make([]atomic.Int32, chunks), make([]atomic.Int32, workers), t}
					if err := pool.Run(chunks, c); err != nil {
						t.Error(err)
					}
					for i := range c.done {
						if n := c.done[i].Load(); n != 1 {
							t.Errorf("chunk %d of %d was done %d times", i, chunks, n)
						}
					}
				}
			})
		}
		callers.Wait()
		pool.Close()
		pool.Close() // twice is safe
	}
}

func TestChunksAreClaimedInARowAndAtTheEndOneByOne(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	for range 3 {
		p.helpers = append(p.helpers, &helper{}) // that do nothing
	}
	const region, chunks = 7, 100
	p.region.Store(region)
	p.chunks.Store(chunks)
	p.claim.Store(region << 32)
	end, last := 0, chunks
	for from, to := p.take(); from < to; from, to = p.take() {
		n := to - from
		if from != end || n > last || n > max(1, (chunks-from)/p.Workers()) {
			t.Errorf("chunks %d to %d are claimed behind %d, %d at a time before", from, to, end, last)
		}
		if from == 0 && n == 1 {
			t.Error("the first claim is of one chunk alone")
		}
		end, last = to, n
	}
	if end != chunks || last != 1 {
		t.Errorf("%d chunks are claimed, the last %d at a time, want %d and 1", end, last, chunks)
	}
	p.region.Store(region + 1)
	p.chunks.Store(2 * chunks)
	if from, to := p.take(); from != to {
		t.Errorf("chunks %d to %d of the next region are claimed before it has begun", from, to)
	}
}

func TestNewPoolTakesGOMAXPROCS(t *testing.T) {
	p := NewPool(0)
	defer p.Close()
	if p.Workers() != runtime.GOMAXPROCS(0) {
		t.Errorf("%d workers, want %d", p.Workers(), runtime.GOMAXPROCS(0))
	}
}

type panics struct{ at int }

func (p panics) Do(_, chunk int) {
	if chunk == p.at {
		panic("in chunk")
	}
}

func TestPoolSurvivesAPanic(t *testing.T) {
	pool := NewPool(3)
	defer pool.Close()
	for _, at := range []int{0, 50, 99} {
		func() {
			defer func() {
				if v := recover(); v != "in chunk" {
					t.Errorf("recovered %v, want the chunk's own panic", v)
				}
			}()
			pool.Run(100, panics{at})
			t.Error("the panic was lost")
		}()
	}
	if err := pool.Run(10, panics{-1}); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

type alwaysPanics struct{}

func (alwaysPanics) Do(int, int) { panic("every chunk") }

func TestPoolSurvivesPanicsOfAllWorkers(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	defer func() {
		if v := recover(); v != "every chunk" {
			t.Errorf("recovered %v, want the chunks' own panic", v)
		}
	}()
	pool.Run(100, alwaysPanics{})
}

// await waits for what workers do by themselves.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestPoolEndsItsGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	NewPool(8).Close()
	await(t, "there are more goroutines than before the pool", func() bool { return runtime.NumGoroutine() <= before })
}

type nothing struct{}

func (nothing) Do(int, int) {}

// TestIdleWorkersSleep, and so take no processor time: who sleeps without work is woken by nothing but work.
func TestIdleWorkersSleep(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	for range 100 {
		if err := p.Run(64, nothing{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range p.helpers {
		await(t, "a worker without work is awake", h.asleep.Load)
	}
}

// BenchmarkHandOff is the cost of an empty region.
func BenchmarkHandOff(b *testing.B) {
	pool := NewPool(0)
	defer pool.Close()
	var t Task = nothing{}
	b.ReportAllocs()
	for b.Loop() {
		pool.Run(2*pool.Workers(), t)
	}
}
