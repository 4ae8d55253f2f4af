package quantize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/convert"
	"github.com/gogemma/gemma4/internal/lora"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/quant"
	"github.com/gogemma/gemma4/tensor"
)

const (
	pieceValues = 1 << 18 // of a piece, unless a row has more: a megabyte of floats
	maxRow      = 1 << 20 // values; no model has a twentieth of it
	gridFormat  = tensor.Q4_0
	maxThreads  = 1 << 7 // whose pieces take half a GB; a disk does not keep up with as many
	gridRows    = 8      // that are looked at to tell whether a matrix is on a grid
)

// job is what becomes of a tensor.
type job struct {
	t          *convert.Tensor
	format     tensor.Format // it gets
	matrix     bool          // of those that the type is about
	grid       bool          // it is packed as quantisation-aware training has left it
	importance []float32     // [stack, columns]; nil: none
	merges     []merge

	mu      sync.Mutex
	factors []*lora.Factors // of merges, while pieces need them
	left    int             // rows that are not encoded yet
	exact   quant.Exactness // of a grid
}

// copied reports whether the tensor's bytes stay as they are.
func (j *job) copied() bool { return j.format == j.t.Format && len(j.merges) == 0 }

// source returns what the table of tensors says.
func (j *job) source() gguf.Source {
	s := gguf.Source{Name: j.t.Name, Type: gguf.Type(j.format), Dims: j.t.Dims}
	if j.copied() {
		s.Type, s.Size = j.t.Type, j.t.Bytes()
	}
	return s
}

// row returns the values of a row.
func (j *job) row() int { return j.t.Dims[0] }

// stack returns the rows of a matrix of the stack that the tensor may be.
func (j *job) stack() int {
	if len(j.t.Dims) > 1 {
		return j.t.Dims[1]
	}
	return 1
}

// trained looks at some rows to tell whether the matrix is on a grid that quantisation-aware training has left it on.
func (j *job) trained() (bool, error) {
	switch j.t.Format {
	case tensor.F32, tensor.F16, tensor.BF16:
	default:
		return false, nil
	}
	rows, cols := j.t.Rows(), j.row()
	if cols%gridFormat.BlockLen() != 0 || cols > maxRow {
		return false, nil
	}
	raw, values := make([]byte, j.t.RowBytes()), make([]float32, cols)
	var exact quant.Exactness
	n := min(rows, gridRows)
	for i := range n {
		row := int(int64(i) * int64(rows) / int64(n))
		if err := j.t.Read(raw, row, row+1); err != nil {
			return false, err
		}
		j.t.Format.Decode(values, raw)
		e, err := quant.Count(values)
		if err != nil {
			return false, err
		}
		exact.Add(e)
	}
	return exact.Trained(), nil
}

// piece is some rows of a tensor on their way from one file to the other.
type piece struct {
	*job
	from, to int // rows
	raw, out []byte
	err      error
	done     chan struct{} // holds one: it is encoded
}

// encode makes p.out of the rows. values is room for floats, which may grow.
func (p *piece) encode(values *[]float32) error {
	t, n := p.t, p.to-p.from
	grow(&p.raw, n*t.RowBytes())
	if err := t.Read(p.raw, p.from, p.to); err != nil {
		return err
	}
	if p.copied() {
		p.raw, p.out = p.out, p.raw
		return nil
	}
	cols := p.row()
	grow(values, n*cols)
	x := *values
	t.Format.Decode(x, p.raw)
	factors, err := p.job.load()
	if err != nil {
		return err
	}
	in := p.from / p.stack() // matrix of the stack
	for i, f := range factors {
		scale := p.merges[i].scale
		f.Add(x, p.from, p.to, scale[in%len(scale)])
	}
	grow(&p.out, p.format.RowBytes(n*cols))
	var exact quant.Exactness
	if p.grid {
		exact, err = quant.Grid(p.out, x, cols)
	} else {
		importance := p.importance
		if importance != nil {
			importance = importance[in*cols : (in+1)*cols]
		}
		err = quant.Encode(p.format, p.out, x, cols, importance)
	}
	if wrong := (*quant.ValueError)(nil); errors.As(err, &wrong) && !wrong.Importance {
		wrong.Row += p.from
	}
	p.job.encoded(n, exact)
	return err
}

// load reads what is merged into the tensor, with its first piece.
func (j *job) load() ([]*lora.Factors, error) {
	if len(j.merges) == 0 {
		return nil, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.factors) < len(j.merges) {
		f, err := j.merges[len(j.factors)].pair.Factors()
		if err != nil {
			return nil, err
		}
		j.factors = append(j.factors, f)
	}
	return j.factors, nil
}

// encoded counts rows. After the last one, what is merged is given up.
func (j *job) encoded(rows int, e quant.Exactness) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.exact.Add(e)
	if j.left -= rows; j.left == 0 {
		j.factors = nil
	}
}

// grow sets the length of a buffer, whose content is lost if it grows.
func grow[T any](b *[]T, n int) {
	if cap(*b) < n {
		*b = make([]T, n)
	}
	*b = (*b)[:n]
}

// stream encodes tensors on some goroutines and hands out their bytes in order.
type stream struct {
	ctx     context.Context
	stop    context.CancelFunc
	jobs    []*job
	threads int

	free  chan *piece // to be used again
	work  chan *piece // to be encoded
	queue chan *piece // all that are begun, in the order of the file
	wg    sync.WaitGroup
	done  int64 // bytes handed out
}

func newStream(ctx context.Context, jobs []*job, threads int) *stream {
	if threads < 1 {
		threads, _ = machine.Threads()
	}
	s := &stream{jobs: jobs, threads: min(threads, maxThreads)}
	s.ctx, s.stop = context.WithCancel(ctx)
	return s
}

// begin starts the goroutines. Pieces bound the memory: a few for each.
func (s *stream) begin() {
	n := 2*s.threads + 2
	s.free, s.work, s.queue = make(chan *piece, n), make(chan *piece, n), make(chan *piece, n)
	for range n {
		s.free <- &piece{done: make(chan struct{}, 1)}
	}
	s.wg.Go(s.cut)
	for range s.threads {
		s.wg.Go(s.encode)
	}
}

// close ends the goroutines and waits for them.
func (s *stream) close() {
	s.stop()
	s.wg.Wait()
}

// cut cuts the tensors into pieces, none of which has rows of two matrices of a stack.
func (s *stream) cut() {
	defer close(s.work)
	for _, j := range s.jobs {
		rows, stack := j.t.Rows(), j.stack()
		j.left = rows
		most := max(1, pieceValues/j.row())
		for from := 0; from < rows; {
			select {
			case <-s.ctx.Done():
				return
			case p := <-s.free:
				p.job, p.from, p.err = j, from, nil
				p.to = min(from+most, from-from%stack+stack)
				from = p.to
				s.queue <- p
				s.work <- p
			}
		}
	}
}

// encode encodes pieces until there are no more.
func (s *stream) encode() {
	var values []float32
	for p := range s.work {
		if p.err = cause.Of(s.ctx); p.err == nil {
			p.err = p.encode(&values)
		}
		p.done <- struct{}{}
	}
}

// sources returns what writes the tensors, one after the other. progress may be nil.
func (s *stream) sources(progress func(done int64)) []gguf.Source {
	list := make([]gguf.Source, len(s.jobs))
	for i, j := range s.jobs {
		list[i] = j.source()
		list[i].Write = func(w io.Writer) error { return s.write(w, j, progress) }
	}
	return list
}

// write writes the pieces of the next tensor, which is that of j.
func (s *stream) write(w io.Writer, j *job, progress func(done int64)) error {
	for rows := j.t.Rows(); rows > 0; {
		var p *piece
		select {
		case <-s.ctx.Done():
			return cause.Of(s.ctx)
		case p = <-s.queue:
		}
		select {
		case <-s.ctx.Done():
			return cause.Of(s.ctx)
		case <-p.done:
		}
		if p.err != nil {
			return fmt.Errorf("%s: %w", p.t.Source, p.err)
		}
		if _, err := w.Write(p.out); err != nil {
			return err
		}
		s.done += int64(len(p.out))
		rows -= p.to - p.from
		s.free <- p
		if progress != nil {
			progress(s.done)
		}
	}
	return nil
}
