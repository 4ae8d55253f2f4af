package gguf

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/mmap"
)

// PrefaultOptions say what [File.Prefault] does.
type PrefaultOptions struct {
	// Skip says which tensors stay on disk until they are touched; nil: none.
	Skip func(t *Tensor) bool
	// HugePages moves the bytes from the file's pages to memory of their own with pages of 2 MB, where they are read up to a tenth
	// faster. They are not shared with other processes then, and the system cannot give them up when memory is short. Linux and mapped
	// files only.
	HugePages bool
	// Threads is how many goroutines read, below 1: one. On machines with several memory nodes each page comes to lie near the
	// thread that read it, so that many threads spread the bytes over the nodes.
	Threads int
	// Progress, if set, is called with the bytes read so far and in all, on the goroutine that called Prefault.
	Progress func(done, total int64)
}

// prefaultBlock is how much is read at a time, a multiple of a huge page.
const prefaultBlock = 32 << 20

// stretch is a run of bytes of a part that lies in a map.
type stretch struct {
	p        *part
	from, to int64
}

// Prefault reads the bytes of mapped tensors now, so that no one waits for the disk later. Files that lie in memory or behind a
// reader are left alone. When ctx ends, what has been read stays.
func (f *File) Prefault(ctx context.Context, o PrefaultOptions) error {
	if err := cause.Of(ctx); err != nil {
		return err
	}
	blocks, total := f.stretches(o.Skip)
	if o.HugePages {
		if total == 0 {
			return errors.New("gguf: huge pages: no tensor to be moved there is mapped from a file")
		}
		if err := checkHuge(); err != nil {
			return fmt.Errorf("gguf: huge pages: %w", err)
		}
		if free := machine.Available(); free > 0 && free < total {
			return fmt.Errorf("gguf: huge pages for %d bytes of tensors, this machine has %d bytes of memory available", total, free)
		}
	}
	type report struct {
		bytes int64
		err   error
	}
	var (
		next    atomic.Int64
		wg      sync.WaitGroup
		reports = make(chan report)
		quit    = make(chan struct{})
	)
	defer wg.Wait() // also when Progress panics: what is mapped may be given back then
	defer close(quit)
	for range max(1, o.Threads) {
		wg.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= len(blocks) {
					return
				}
				err := f.prefault(blocks[i], o.HugePages)
				select {
				case reports <- report{blocks[i].to - blocks[i].from, err}:
				case <-quit:
					return
				}
			}
		})
	}
	done := int64(0)
	for range blocks {
		if err := cause.Of(ctx); err != nil {
			return err
		}
		r := <-reports
		if r.err != nil {
			return r.err
		}
		if done += r.bytes; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	return nil
}

// stretches cuts the tensors that are not skipped into blocks.
func (f *File) stretches(skip func(*Tensor) bool) (blocks []stretch, total int64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, p := range f.parts {
		if p.unmap == nil || f.closed {
			continue
		}
		wanted := make([]bool, (p.size+prefaultBlock-1)/prefaultBlock)
		for _, t := range f.Tensors {
			if t.part == p && t.Size > 0 && (skip == nil || !skip(t)) {
				for b := t.Offset / prefaultBlock; b <= (t.Offset+t.Size-1)/prefaultBlock; b++ {
					wanted[b] = true
				}
			}
		}
		for b, ok := range wanted {
			if ok {
				s := stretch{p, int64(b) * prefaultBlock, min(p.size, int64(b+1)*prefaultBlock)}
				blocks, total = append(blocks, s), total+s.to-s.from
			}
		}
	}
	return blocks, total
}

// prefault reads one block.
func (f *File) prefault(b stretch, huge bool) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return b.p.errorf("closed while its tensors were read")
	}
	data := b.p.data[b.from:b.to]
	err := mmap.Guard(func() error {
		if huge {
			return moveToHuge(data)
		}
		touch(data)
		return nil
	})
	if err != nil {
		return b.p.errorf("bytes %d to %d: %w", b.from, b.to-1, err)
	}
	return nil
}

// touched keeps the reads of touch from being left out.
var touched atomic.Uint32

// touch reads a byte of each page.
func touch(data []byte) {
	sum := byte(0)
	for i := 0; i < len(data); i += 4096 {
		sum ^= data[i]
	}
	touched.Store(uint32(sum))
}
