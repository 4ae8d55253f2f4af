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

	// up [rows, rank] lies in F16 or F32, turned, so that a row of weights is added to results side by side: in blocks of thinBlock rows,
	// [blocks, rank, rows of a block].
	rows   int
	format tensor.Format
	up     []byte

	columns []float32 // down, decoded, beside a table whose rows are looked up
}

// thinBlock is how many rows of up lie side by side: with the ranks that there are, a block and the next one stay in the first cache.
const thinBlock = 128

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
func (m *Model) thin(p *lora.Pair, f *lora.Factors, row int, w *tensor.Tensor) (*thin, error) {
	first := row / f.Rows * f.Rank * f.Cols
	t := &thin{rank: f.Rank, scale: p.Scale, rows: w.Rows(), format: tensor.F32}
	a := f.A[first : first+f.Rank*f.Cols]
	down := make([]byte, f.FormatA.RowBytes(len(a)))
	if err := f.FormatA.Encode(down, a); err != nil {
		return nil, err
	}
	var err error
	if t.down, err = tensor.New(p.A.Name, f.FormatA, down, f.Rank, f.Cols); err != nil {
		return nil, err
	}
	if f.FormatB == tensor.F16 {
		t.format = tensor.F16
	}
	if p.Table() {
		t.columns = slices.Clone(a)
	}
	return t, t.turn(f.B[row*f.Rank : (row+t.rows)*f.Rank])
}

// turn sets up to b [rows, rank].
func (t *thin) turn(b []float32) error {
	turned := make([]float32, 0, len(b))
	for from := 0; from < t.rows; from += thinBlock {
		for k := range t.rank {
			for r := from; r < min(from+thinBlock, t.rows); r++ {
				turned = append(turned, b[r*t.rank+k])
			}
		}
	}
	t.up = make([]byte, t.format.RowBytes(len(b)))
	return t.format.Encode(t.up, turned)
}

// block returns the block of up that begins with row from, and its rows.
func (t *thin) block(from int) (up []byte, rows int) {
	rows = min(thinBlock, t.rows-from)
	return t.up[t.format.RowBytes(from*t.rank):t.format.RowBytes((from+rows)*t.rank)], rows
}

// bytes returns what it takes.
func (t *thin) bytes() int64 { return t.down.Bytes() + int64(len(t.up)) + 4*int64(len(t.columns)) }

// add adds up · low to a row of results, the blocks of up from row from to to-1; low [rank] is scaled.
func (t *thin) add(k *tensor.Kernels, dst, low []float32, from, to int) {
	for up, rows := t.block(from); from < to; from += thinBlock {
		next, more := t.block(min(from+thinBlock, t.rows))
		k.Weigh[t.format](dst[from:from+rows], 1, low, t.rank, up, t.rank, next)
		up, rows = next, more
	}
}

// addSome is add for some rows, ascending, which dst has side by side. A result has the bits that add gives it. room is that of a block.
func (t *thin) addSome(k *tensor.Kernels, dst, low []float32, ids []int32, room []float32) {
	for i := 0; i < len(ids); {
		from := int(ids[i]) / thinBlock * thinBlock
		up, rows := t.block(from)
		n := i
		for ; n < len(ids) && int(ids[n]) < from+rows; n++ {
			room[int(ids[n])-from] = dst[n]
		}
		k.Weigh[t.format](room[:rows], 1, low, t.rank, up, t.rank, nil)
		for ; i < n; i++ {
			dst[i] = room[int(ids[i])-from]
		}
	}
}

// addRow adds columns of a row of a table, from the given one on, to x, times s.
func (t *thin) addRow(k *tensor.Kernels, x []float32, row, from int, s float32) {
	up, rows := t.block(row / thinBlock * thinBlock)
	cols := t.down.Cols()
	var v [1]float32
	for j := range t.rank {
		at := t.format.RowBytes(j*rows + row%thinBlock)
		t.format.Decode(v[:], up[at:])
		k.AddScaled(x, t.columns[j*cols+from:j*cols+from+len(x)], s*v[0])
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
