package model

import (
	"fmt"
	"time"

	"github.com/gogemma/gemma4/tensor"
)

// Roofline is the most that the machine can do with the model's workers and kernels: the measure of everything else.
type Roofline struct {
	ReadBytes    float64 // per second, a plain loop over more memory than the caches hold
	MultiplyAdds float64 // per second, the level's widest instruction on registers alone
}

const (
	rooflineBytes  = 1 << 20 // read by one job
	rooflineReads  = 256     // jobs that read: a quarter of a gigabyte
	rooflineRounds = 1 << 14 // of multiplications in one job: tens of microseconds
	rooflineJobs   = 256     // jobs that multiply
)

// MeasureRoofline measures for about a tenth of a second. It keeps a quarter of a gigabyte for the next call, until Close.
func (m *Model) MeasureRoofline() (Roofline, error) {
	m.rooflineOnce.Do(func() {
		m.rooflineMemory = make([]byte, rooflineBytes*rooflineReads)
		for i := range m.rooflineMemory {
			m.rooflineMemory[i] = byte(i)
		}
	})
	return MeasureRoofline(m.pool, m.kernels, m.rooflineMemory)
}

// MeasureRoofline measures without a model. The memory that is read should be much larger than the caches, and has been written to before,
// since the system may give what was not one page for all.
func MeasureRoofline(pool *tensor.Pool, k *tensor.Kernels, memory []byte) (Roofline, error) {
	r := &roofline{k: k, memory: memory, sums: make([]uint64, pool.Workers()), ops: make([]int64, pool.Workers())}
	began := time.Now()
	reads := len(memory) / rooflineBytes
	if err := pool.Run(reads, r); err != nil {
		return Roofline{}, err
	}
	read := float64(reads*rooflineBytes) / time.Since(began).Seconds()
	r.multiply = true
	began = time.Now()
	if err := pool.Run(rooflineJobs, r); err != nil {
		return Roofline{}, err
	}
	seconds := time.Since(began).Seconds()
	ops := int64(0)
	for _, n := range r.ops {
		ops += n
	}
	return Roofline{read, float64(ops) / seconds}, nil
}

// roofline is the region that measures.
type roofline struct {
	k        *tensor.Kernels
	memory   []byte
	multiply bool
	sums     []uint64 // per worker, so that the compiler cannot leave the reading out
	ops      []int64
}

// Do is called by the pool.
func (r *roofline) Do(worker, i int) {
	if r.multiply {
		r.ops[worker] += r.k.Burn(rooflineRounds)
		return
	}
	r.sums[worker] += r.k.Sum(r.memory[i*rooflineBytes : (i+1)*rooflineBytes])
}

// WriteBytes returns how many bytes must be read to decode that many tokens in one pass at the given depth: all matrices once, of experts
// as many as the tokens can need at most, and the keys and values that they see.
func (m *Model) WriteBytes(tokens, depth int, cache tensor.Format) int64 {
	var sum int64
	add := func(w *tensor.Tensor) {
		if w != nil {
			sum += w.Bytes()
		}
	}
	for i := range m.layers {
		l := &m.layers[i]
		for _, w := range []*tensor.Tensor{l.q, l.k, l.v, l.attnOut, l.gate, l.up, l.down, l.perLayerGate, l.perLayerOut} {
			add(w)
		}
		if m.PerLayer > 0 {
			add(m.perLayerProj[i])
		}
		if x := l.experts; x != nil {
			add(x.router)
			for e := range min(m.Experts, m.ExpertsUsed*tokens) {
				for _, list := range [][]*tensor.Tensor{x.gateUp, x.gate, x.up, x.down} {
					if list != nil {
						add(list[e])
					}
				}
			}
		}
		seen := depth + tokens
		if l.Sliding {
			seen = min(seen, m.Window+tokens-1)
		}
		sum += int64(seen) * int64(newKV(&l.LayerConfig, cache, false).pageBytes()/pageLen)
	}
	if m.PerLayer > 0 {
		sum += int64(tokens) * int64(m.perLayerTable.Format.RowBytes(m.perLayerTable.Cols()))
	}
	add(m.head)
	return sum
}

// Attending returns a function that does the attention of one layer, in the arithmetic of a role: of n positions that follow upon those
// whose keys and values fill memory, in the given format; and how many multiply-adds that takes. It is to be measured: what comes out is
// of no use.
func Attending(pool *tensor.Pool, k *tensor.Kernels, l LayerConfig, f tensor.Format, role tensor.Arithmetic, memory []byte, n int) (
	do func() error, ops int64, err error) {
	l.Sliding, l.Source = false, 0
	size := newKV(&l, f, false).pageBytes()
	pages := len(memory) / size
	if pages*pageLen <= n {
		return nil, 0, fmt.Errorf("model: %d bytes hold %d pages of keys and values, expected room for more than %d positions", len(memory),
			pages, n)
	}
	m := &Model{
		Config:  Config{Context: pages * pageLen, Owners: 1, Layers: []LayerConfig{l}},
		weights: weights{layers: []layer{{LayerConfig: l, owns: true}}}, kernels: k, pool: pool,
	}
	s, err := m.NewSequence(SequenceOptions{Cache: f})
	if err != nil {
		return nil, 0, err
	}
	for i := range pages {
		s.cache[0].pages = append(s.cache[0].pages, s.cache[0].page(memory[i*size:(i+1)*size]).hold())
	}
	p := m.NewPass()
	p.role = role
	chunk := &Chunk{Sequence: s}
	for pos := pages*pageLen - n; pos < pages*pageLen; pos++ {
		p.positions = append(p.positions, position{chunk: chunk, pos: pos, end: pos + 1})
		ops += 2 * int64(pos+1) * int64(l.Heads*l.HeadDim)
	}
	grow(&p.q, n*l.Heads*l.HeadDim)
	grow(&p.att, n*l.Heads*l.HeadDim)
	return func() error {
		p.attend(&m.layers[0])
		return p.err
	}, ops, nil
}
