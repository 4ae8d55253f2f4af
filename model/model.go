package model

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// Model is the weights of a Gemma 4 text model and the workers that run it. It is safe for use by several passes on
// several goroutines.
type Model struct {
	Config
	weights
	kernels *tensor.Kernels
	pool    *tensor.Pool
	shared  bool // the pool is someone else's

	file         *gguf.File
	fingerprints [fileVersion]fingerprint // by version of files

	ahead  atomic.Int32                               // layers that have been read ahead, or did not need it
	faults int64                                      // of the process, when the model was opened
	room   int64                                      // bytes of memory for weights, if that is too little for all
	fetch  func(t *gguf.Tensor, from, to int64) error // begins to read a piece of the experts; nil: memory holds all

	rooflineOnce   sync.Once
	rooflineMemory []byte
}

// Options say how a model is run.
type Options struct {
	Kernels *tensor.Kernels // inner loops; nil: tensor.Portable()
	Workers int             // goroutines that share the work; below 1: GOMAXPROCS
	Pool    *tensor.Pool    // workers that a projector, or a second model, shares with a model ([Model.Pool]); nil: Workers of its own
	// AllowUnknown opens files with keys or tensors that are not understood and may change the answer (ErrUnknown) as if they were not
	// there.
	AllowUnknown bool
	// Resident is how many bytes of weights may be kept in memory where the file is not mapped. The rest is read each time it is needed. 0:
	// as many as the machine can spare; below 0: none. Where the file is mapped, what stays is the system's choice; if the weights are more
	// than this, or than the machine has available where it is 0, experts are read ahead when they are chosen.
	Resident int64
}

// New builds the graph over the tensors of f, which must stay open as long as the model is used. Every tensor's shape is checked against
// the metadata; an error names the key or tensor and what was expected of it. Anything in the file that is not understood is an error too,
// ErrUnknown.
func New(f *gguf.File, o Options) (*Model, error) {
	c, err := Shape(f)
	if err != nil {
		return nil, err
	}
	available := machine.Available()
	room := cmp.Or(o.Resident, available)
	if o.Resident == 0 {
		o.Resident = spare(available)
	}
	w, err := load(f, c, o)
	if err != nil {
		return nil, err
	}
	if o.Kernels == nil {
		o.Kernels = tensor.Portable()
	}
	pool := o.Pool
	if pool == nil {
		pool = tensor.NewPool(o.Workers)
	}
	if err := w.fit(c, pool.Workers(), available); err != nil {
		if o.Pool == nil {
			pool.Close()
		}
		return nil, err
	}
	m := &Model{Config: *c, weights: *w, kernels: o.Kernels, pool: pool, shared: o.Pool != nil, file: f}
	if m.isTooLarge(room) {
		m.room, m.fetch = room, (*gguf.Tensor).ReadAhead
	}
	for i := range m.fingerprints {
		m.fingerprints[i].lock = make(chan struct{}, 1)
	}
	m.faults = machine.MajorFaults()
	return m, nil
}

// isTooLarge reports whether experts are mapped from a file and memory, 0 if nobody knows how much there is, cannot hold all weights.
func (m *Model) isTooLarge(room int64) bool {
	need := m.file.Size()
	if t := m.file.Tensor(PerLayerTable); t != nil {
		need -= t.Size
	}
	return room != 0 && need > room && slices.ContainsFunc(m.layers, func(l layer) bool {
		return l.experts != nil && l.experts.stacks[0].IsPaged()
	})
}

// residence returns how many bytes of weights may be kept in memory: where asked is 0, as many as the machine can spare. Those of a file
// that is mapped do not count.
func residence(f *gguf.File, asked int64) int64 {
	if asked == 0 && slices.ContainsFunc(f.Tensors, func(t *gguf.Tensor) bool { return !t.Mapped() }) {
		return spare(machine.Available())
	}
	return asked
}

// spare returns how many bytes of weights may be kept in memory when that many are free; free is 0 if nobody knows.
func spare(free int64) int64 {
	most := machine.Addressable() / 2 // the garbage collector lets memory grow to twice what is in use
	if free > 0 {
		most = min(most, free/4*3)
	}
	return most
}

// readAhead asks the system to read the matrices of layer i from disk while the layer before it is computed. Only the first pass asks;
// later ones find the file in memory, or too little memory to keep it. Nor does it ask as long as nothing had to be read: the system looks
// at every page of what it is asked for. Where the advice is not taken, nothing is lost.
func (m *Model) readAhead(i int) {
	if i < len(m.layers) && m.ahead.CompareAndSwap(int32(i-1), int32(i)) && machine.MajorFaults() > m.faults {
		for _, t := range m.layers[i].matrices {
			t.Advise(gguf.WillNeed)
		}
	}
}

// Workers returns the number of workers that share the work.
func (m *Model) Workers() int { return m.pool.Workers() }

// Pool returns the workers, for others to share.
func (m *Model) Pool() *tensor.Pool { return m.pool }

// Kernels returns the inner loops that the model runs on.
func (m *Model) Kernels() *tensor.Kernels { return m.kernels }

// Close ends the workers, unless they are shared. No pass may be running then, or be run afterwards.
func (m *Model) Close() {
	if !m.shared {
		m.pool.Close()
	}
	m.rooflineMemory = nil
}
