package model

import "github.com/gogemma/gemma4/tensor"

// The graph is a sequence of regions that the workers share. An error ends it: later regions do nothing until forward
// returns the error.

// loop is a region over rows, or over slices of a vector. The functions are method expressions, so that starting a
// region allocates nothing.
type loop struct {
	s     *Session
	row   func(s *Session, i int)
	slice func(s *Session, from, to int)
	size  int // of the vector cut into slices

	dst, x, weight []float32 // operands of norm and add
}

// sliceLen is how many elements of a vector make a chunk.
const sliceLen = 2048

// Do does one row or slice. It is called by the pool.
func (l *loop) Do(_, i int) {
	if l.row != nil {
		l.row(l.s, i)
		return
	}
	l.slice(l.s, i*sliceLen, min((i+1)*sliceLen, l.size))
}

// each calls f for rows 0 to n-1.
func (s *Session) each(n int, f func(s *Session, i int)) {
	s.loop.row, s.loop.slice = f, nil
	s.run(n, &s.loop)
}

// slices calls f for consecutive parts of a vector of n elements.
func (s *Session) slices(n int, f func(s *Session, from, to int)) {
	s.loop.row, s.loop.slice, s.loop.size = nil, f, n
	s.run((n+sliceLen-1)/sliceLen, &s.loop)
}

func (s *Session) run(chunks int, t tensor.Task) {
	if s.err == nil {
		s.err = s.m.pool.Run(chunks, t)
	}
}

// multiply computes products that do not depend on each other, in the arithmetic of the tokens' role.
func (s *Session) multiply(p ...tensor.Product) {
	if s.err == nil {
		s.err = s.mm.Run(s.role, p...)
	}
}

// norm: dst = RMS norm of x, row by row of the residual's width.
func (s *Session) norm(dst, x, weight []float32) {
	s.loop.dst, s.loop.x, s.loop.weight = dst, x, weight
	s.each(len(s.rows), (*Session).normRow)
}

func (s *Session) normRow(i int) {
	l, d := &s.loop, s.m.Width
	s.m.kernels.RMSNorm(l.dst[i*d:(i+1)*d], l.x[i*d:(i+1)*d], l.weight, s.m.Eps)
}

// add: residual += RMS norm of out.
func (s *Session) add(out, weight []float32) {
	s.loop.x, s.loop.weight = out, weight
	s.each(len(s.rows), (*Session).addRow)
}

func (s *Session) addRow(i int) {
	l, d := &s.loop, s.m.Width
	out := l.x[i*d : (i+1)*d]
	s.m.kernels.RMSNorm(out, out, l.weight, s.m.Eps)
	s.m.kernels.AddScaled(s.x[i*d:(i+1)*d], out, 1)
}

// gelu: gate = gelu(gate) ⊙ up.
func (s *Session) gelu(gate, up []float32) {
	s.loop.dst, s.loop.x = gate, up
	s.slices(len(gate), (*Session).geluSlice)
}

func (s *Session) geluSlice(from, to int) {
	s.m.kernels.GELU(s.loop.dst[from:to], s.loop.x[from:to])
}

// grow gives a buffer at least n elements. What it held is lost if it grows.
func grow(buf *[]float32, n int) {
	if len(*buf) < n {
		*buf = make([]float32, n)
	}
}

// move copies row from of a matrix to row to.
func move(x []float32, to, from, width int) {
	copy(x[to*width:(to+1)*width], x[from*width:(from+1)*width])
}
