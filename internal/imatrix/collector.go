package imatrix

import "math"

// A Collector sums up squares. The zero value is empty. It serves one goroutine at a time.
type Collector struct {
	entries map[string]*sums
}

// sums are those of one matrix, in double precision: what is added is then exact for as long as any text is.
type sums struct {
	squares [][]float64 // [experts][columns]; nil: nothing has gone through the expert
	counts  []int64     // [experts]
}

// Add takes n vectors x [n, columns] that a matrix of the given name was multiplied with, or one of a stack of them: the given expert of
// so many.
func (c *Collector) Add(name string, expert, experts int, x []float32, n int) {
	if c.entries == nil {
		c.entries = map[string]*sums{}
	}
	s := c.entries[name]
	if s == nil {
		s = &sums{squares: make([][]float64, experts), counts: make([]int64, experts)}
		c.entries[name] = s
	}
	columns := len(x) / n
	if s.squares[expert] == nil {
		s.squares[expert] = make([]float64, columns)
	}
	sum := s.squares[expert]
	for range n {
		row := x[:len(sum)]
		for j, v := range row {
			sum[j] += float64(v) * float64(v)
		}
		x = x[len(sum):]
	}
	s.counts[expert] += int64(n)
}

// Matrix returns what was collected.
func (c *Collector) Matrix() *Matrix {
	m := &Matrix{Entries: map[string]*Entry{}}
	for name, s := range c.entries {
		columns := 0
		for _, sum := range s.squares {
			columns = max(columns, len(sum))
		}
		e := &Entry{Sums: make([]float32, len(s.squares)*columns), Counts: make([]float32, len(s.counts))}
		for i, sum := range s.squares {
			for j, v := range sum {
				e.Sums[i*columns+j] = float32(min(v, math.MaxFloat32))
			}
			e.Counts[i] = float32(s.counts[i])
		}
		m.Entries[name] = e
	}
	return m
}
