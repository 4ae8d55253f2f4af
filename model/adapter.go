package model

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/lora"
	"github.com/gogemma/gemma4/tensor"
)

// Adapter is a low-rank adapter (LoRA) for a model: beside some of its matrices W it has two thin ones, with which a sequence
// ([SequenceOptions].Adapters) is read as if they were W + scale · B·A. It lies in memory, needs no file and is nobody's to close. It is
// safe for use by any number of sequences.
type Adapter struct {
	Name    string   // general.name, may be empty
	Rank    int      // the largest of its pairs
	Pairs   int      // tensors of the model that it changes
	Bytes   int64    // that it takes in memory
	Ignored []string // tensors for norms, which are left out: no program applies them

	m      *Model
	digest [sha256.Size]byte
	beside map[*tensor.Tensor]*thin
}

// Scaled is an adapter and how much it counts: 1 as it was made, 0 not at all, below 0 against it.
type Scaled struct {
	*Adapter
	Scale float32 // times that of the file
}

// At returns the adapter with a scale.
func (a *Adapter) At(scale float32) Scaled { return Scaled{a, scale} }

// ErrOtherAdapters is wrapped by the error of a saved or shared text that was read with other adapters than those of the sequence.
var ErrOtherAdapters = errors.New("it was read with other adapters")

// thin is what goes beside a matrix [rows, cols] of the graph: up · down, times scale.
type thin struct {
	rank  int
	scale float32
	down  *tensor.Tensor // [rank, cols]
	up    *tensor.Tensor // [rows, rank], in a format that the kernels multiply with floats; nil: it lies in values
	// What is looked up, and what no kernel multiplies, lies decoded.
	values  []float32 // [rows, rank]
	columns []float32 // [rank, cols], of tables
}

// OpenAdapter reads an adapter for the model m; the file is not needed any more afterwards. What is no adapter of low rank, goes beside
// tensors that the model does not have, or have another shape, and numbers that are none, are errors that name the key or tensor and what
// was expected.
func OpenAdapter(f *gguf.File, m *Model) (*Adapter, error) {
	read, err := lora.Read(f)
	if err != nil {
		return nil, inModel(err)
	}
	if read.Architecture != "gemma4" {
		return nil, fmt.Errorf("model: general.architecture is %.40q, expected %q: the adapter is for another kind of model",
			read.Architecture, "gemma4")
	}
	a := &Adapter{Name: read.Name, Pairs: len(read.Pairs), Ignored: read.Ignored, m: m, beside: map[*tensor.Tensor]*thin{}}
	matrices := m.named()
	digest := sha256.New()
	for _, p := range read.Sorted() {
		base, there := m.file.Tensor(p.Name), matrices[p.Name]
		if base == nil || there == nil && !m.idle(p.Name) {
			return nil, fmt.Errorf("model: the adapter goes beside %.80q, which is no matrix of the model", p.Name)
		}
		if err := p.Check(base.Dims); err != nil {
			return nil, inModel(err)
		}
		values, err := p.Factors()
		if err != nil {
			return nil, inModel(err)
		}
		a.Rank = max(a.Rank, p.Rank)
		fmt.Fprintf(digest, "%q %v %v %d %x\n", p.Name, values.FormatA, values.FormatB, p.Rank, math.Float32bits(p.Scale))
		for _, x := range [][]float32{values.A, values.B} {
			if err := binary.Write(digest, binary.LittleEndian, x); err != nil {
				return nil, inModel(err)
			}
		}
		row := 0 // of the tensor in the file
		for _, w := range there {
			if a.beside[w], err = m.thin(p, values, row, w); err != nil {
				return nil, inModel(err)
			}
			row += w.Rows()
			a.Bytes += a.beside[w].bytes()
		}
	}
	digest.Sum(a.digest[:0])
	return a, nil
}

// named returns the matrices of the graph by the names of the tensors in the file that they are, or consecutive rows of.
func (m *Model) named() map[string][]*tensor.Tensor {
	all := map[string][]*tensor.Tensor{}
	add := func(list ...*tensor.Tensor) {
		for _, w := range list {
			if w != nil {
				all[w.Name] = append(all[w.Name], w)
			}
		}
	}
	add(m.embedding, m.perLayerTable)
	if m.head != m.embedding {
		add(m.head)
	}
	add(m.perLayerProj...)
	for i := range m.layers {
		l := &m.layers[i]
		add(l.q, l.k, l.v, l.attnOut, l.gate, l.up, l.down, l.perLayerGate, l.perLayerOut)
		if x := l.experts; x != nil {
			add(x.router)
			add(slices.Concat(x.gateUp, x.gate, x.up, x.down)...)
		}
	}
	return all
}

// thin returns what a pair puts beside the matrix w, which begins with a row of the pair's tensor.
func (m *Model) thin(p *lora.Pair, f *lora.Factors, row int, w *tensor.Tensor) (t *thin, err error) {
	first := row / f.Rows * f.Rank * f.Cols
	a, b := f.A[first:first+f.Rank*f.Cols], f.B[row*f.Rank:(row+w.Rows())*f.Rank]
	t = &thin{rank: f.Rank, scale: p.Scale}
	if t.down, err = m.encode(p.A.Name, f.FormatA, a, f.Rank, f.Cols); err != nil {
		return nil, err
	}
	if p.Table() {
		t.columns = a
	}
	if m.kernels.FloatRows[f.FormatB] == nil || p.Table() {
		t.values = slices.Clone(b)
		return t, nil
	}
	t.up, err = m.encode(p.B.Name, f.FormatB, b, w.Rows(), f.Rank)
	return t, err
}

// encode returns a matrix in memory of its own, in a format that holds its values.
func (m *Model) encode(name string, f tensor.Format, x []float32, rows, cols int) (*tensor.Tensor, error) {
	data := make([]byte, f.RowBytes(len(x)))
	if err := f.Encode(data, x); err != nil {
		return nil, err
	}
	return tensor.New(name, f, data, rows, cols)
}

// rows returns the height of the matrix.
func (t *thin) rows() int {
	if t.up != nil {
		return t.up.Rows()
	}
	return len(t.values) / t.rank
}

// bytes returns what it takes.
func (t *thin) bytes() int64 {
	n := t.down.Bytes() + 4*int64(len(t.values)+len(t.columns))
	if t.up != nil {
		n += t.up.Bytes()
	}
	return n
}

// add adds s · up · low to dst [n, rows from to to-1], Stride floats apart, for low [n, rank]. ids, unless it is nil, are the rows that
// from and to count. buf has room for a tile of results.
func (t *thin) add(k *tensor.Kernels, dst []float32, stride int, low []float32, n int, s float32, ids []int32, from, to int,
	buf []float32) {
	for i := 0; i < n; i += thinTile {
		m := min(thinTile, n-i)
		x, rows := low[i*t.rank:(i+m)*t.rank], to-from
		switch {
		case ids == nil:
			t.multiply(k, buf, rows, x, m, from, to)
		default:
			for j, id := range ids[from:to] {
				t.multiply(k, buf[j:], rows, x, m, int(id), int(id)+1)
			}
		}
		for j := range m {
			k.AddScaled(dst[(i+j)*stride+from:(i+j)*stride+to], buf[j*rows:(j+1)*rows], s)
		}
	}
}

// multiply sets dst, stride floats apart, to rows from to to-1 of up times x [n, rank].
func (t *thin) multiply(k *tensor.Kernels, dst []float32, stride int, x []float32, n, from, to int) {
	if t.up != nil {
		size := t.up.Format.RowBytes(t.rank)
		k.FloatRows[t.up.Format](dst, stride, t.up.Data[from*size:to*size], size, to-from, x, t.rank, n)
		return
	}
	for i := range n {
		low := x[i*t.rank : (i+1)*t.rank]
		for r := from; r < to; r++ {
			dst[i*stride+r-from] = k.Dot(t.values[r*t.rank:(r+1)*t.rank], low)
		}
	}
}

// addRow adds a part of a row of a table, the columns from the given one on, to x, times s.
func (t *thin) addRow(k *tensor.Kernels, x []float32, row, from int, s float32) {
	cols := t.down.Cols()
	for j, v := range t.values[row*t.rank : (row+1)*t.rank] {
		k.AddScaled(x, t.columns[j*cols+from:j*cols+from+len(x)], s*v)
	}
}

// adapted is what a sequence is read with.
type adapted struct {
	list []Scaled // by their digests: the order of sums
	key  string   // that tells it from others; empty: no adapters
}

// adapt returns what some adapters make, those of scale 0 left out.
func (m *Model) adapt(list []Scaled) (adapted, error) {
	var a adapted
	for _, x := range list {
		switch {
		case x.Adapter == nil || x.m != m:
			return a, errors.New("model: an adapter of another model")
		case x.Scale-x.Scale != 0:
			return a, fmt.Errorf("model: the adapter %.40q with a scale of %g, expected a finite number", x.Name, x.Scale)
		case x.Scale != 0:
			a.list = append(a.list, x)
		}
	}
	slices.SortStableFunc(a.list, func(x, y Scaled) int {
		return cmp.Or(slices.Compare(x.digest[:], y.digest[:]), cmp.Compare(x.Scale, y.Scale))
	})
	if len(a.list) == 0 {
		return a, nil
	}
	d := sha256.New()
	for _, x := range a.list {
		fmt.Fprintf(d, "%x %x\n", x.digest, math.Float32bits(x.Scale))
	}
	a.key = hex.EncodeToString(d.Sum(nil)[:adapterDigest])
	return a, nil
}

// Adapted returns what [Sequence.Adapted] is with some adapters, or what is wrong with them.
func (m *Model) Adapted(a ...Scaled) (string, error) {
	x, err := m.adapt(a)
	return x.key, err
}

// adapterDigest is how many bytes of a digest tell adapters apart.
const adapterDigest = 16

// withAdapters returns what files of texts know a model by that is used with adapters, of which the key is given: the fingerprint alone if
// there are none. Programs that know no adapters take it for another model's.
func withAdapters(fingerprint, key string) string {
	if key == "" {
		return fingerprint
	}
	return fingerprint + "+" + key
}
