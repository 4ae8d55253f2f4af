package model

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"
	"sync/atomic"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/mmap"
)

// The checksum of bytes is the CRC-32C of the CRC-32Cs of their 1 MB pieces, which can be computed side by side.
const (
	sumPiece = 1 << 20
	sumBytes = 4
	outPiece = 4 * sumPiece // written at a time: some storage takes a millisecond for a write of any size
	outAhead = 3            // pieces that are filled and summed while one is written
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pieceSums returns the sums of the pieces of b.
func pieceSums(b []byte) []byte {
	var sums []byte
	for ; len(b) > 0; b = b[min(len(b), sumPiece):] {
		sums = binary.LittleEndian.AppendUint32(sums, crc32.Checksum(b[:min(len(b), sumPiece)], castagnoli))
	}
	return sums
}

// checksum computes the checksum of bytes that may lie in a file.
func checksum(ctx context.Context, data []byte, workers int) (uint32, error) {
	sums := make([]byte, (len(data)+sumPiece-1)/sumPiece*sumBytes)
	err := parallel(ctx, workers, len(sums)/sumBytes, func(i int) error {
		copy(sums[i*sumBytes:], pieceSums(data[i*sumPiece:min((i+1)*sumPiece, len(data))]))
		return nil
	})
	return crc32.Checksum(sums, castagnoli), err
}

// parallel calls f with 0 to n-1 on several goroutines until one call fails or ctx ends. f may touch bytes of a mapped file.
func parallel(ctx context.Context, workers, n int, f func(i int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for range min(workers, n) {
		all.Go(func() {
			err := mmap.Guard(func() error {
				for failed.Load() == nil {
					i := int(next.Add(1) - 1)
					if i >= n {
						break
					}
					if ctx.Err() != nil {
						return cause.Of(ctx)
					}
					if err := f(i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// piece is a part of a file on its way out.
type piece struct {
	data   []byte
	sums   []byte
	summed chan struct{}
}

// stream writes the bytes that produce writes, size of them, to w in large pieces, followed by their checksum, which it returns. While w
// takes a piece, produce fills the next ones on another goroutine and further ones sum them up. w is called from the caller's goroutine,
// and no more once it has failed.
func stream(w io.Writer, size int64, produce func(w io.Writer) error) (sum uint32, err error) {
	p := &producer{
		size: int(max(1, min(size, outPiece))),
		free: make(chan []byte, outAhead+1), out: make(chan *piece), stop: make(chan struct{}),
	}
	for range cap(p.free) {
		p.free <- nil
	}
	var made error
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(p.out)
		made = mmap.Guard(func() error { return produce(p) }) // pages that lie in a file may fault
		if made == nil && len(p.data) > 0 {
			made = p.flush()
		}
	}()
	defer func() { <-done }()
	defer close(p.stop) // however it ends: nobody reads the text any more
	var sums []byte
	for x := range p.out {
		if _, err := w.Write(x.data); err != nil {
			return 0, err
		}
		<-x.summed
		sums = append(sums, x.sums...)
		p.free <- x.data[:0]
	}
	if made != nil {
		return 0, made
	}
	sum = crc32.Checksum(sums, castagnoli)
	_, err = w.Write(binary.LittleEndian.AppendUint32(nil, sum))
	return sum, err
}

// producer collects what is written to it into pieces.
type producer struct {
	size int
	data []byte
	free chan []byte
	out  chan *piece
	stop chan struct{} // closed when no more pieces are taken
}

func (p *producer) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if p.data == nil {
			select {
			case p.data = <-p.free:
			case <-p.stop:
				return 0, io.ErrClosedPipe
			}
			if p.data == nil {
				p.data = make([]byte, 0, p.size)
			}
		}
		k := min(len(b), p.size-len(p.data))
		p.data = append(p.data, b[:k]...)
		b = b[k:]
		if len(p.data) == p.size {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (p *producer) flush() error {
	x := &piece{data: p.data, summed: make(chan struct{})}
	p.data = nil
	go func() {
		x.sums = pieceSums(x.data)
		close(x.summed)
	}()
	select {
	case p.out <- x:
		return nil
	case <-p.stop:
		return io.ErrClosedPipe
	}
}
