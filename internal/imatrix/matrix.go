// Package imatrix reads and writes importance matrices: for each matrix of a model how large what its columns are multiplied with is, as
// mean squares over a text. Who quantises a matrix knows by that which columns' errors count.
package imatrix

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/gogemma/gemma4/gguf"
)

// Matrix is the content of a file.
type Matrix struct {
	Datasets  []string          // names of the texts
	Chunks    int               // pieces of text that were read
	ChunkSize int               // tokens of a piece, 0: unknown
	Entries   map[string]*Entry // by the matrix's name: blk.0.attn_q.weight
}

// Entry is what is known of one matrix, or of a stack of one per expert.
type Entry struct {
	Sums   []float32 // [experts, columns] sums of squares
	Counts []float32 // [experts] vectors that were summed up, or [1] for all experts
}

// Bounds on what a file may ask for. The largest model, with 128 experts, has a fifth of these values.
const (
	maxEntries = 1 << 16
	maxValues  = 1 << 26
)

const (
	sumsSuffix   = ".in_sum2"
	countsSuffix = ".counts"

	datasetsKey  = "imatrix.datasets"
	chunksKey    = "imatrix.chunk_count"
	chunkSizeKey = "imatrix.chunk_size"
)

// Open reads the file at path: GGUF, or the older form without a name (.dat).
func Open(path string) (*Matrix, error) {
	info, err := os.Stat(path) // before opening: opening a pipe would wait for its writer
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("imatrix: %s is not a regular file (%s)", path, info.Mode().Type())
	}
	magic := make([]byte, 4)
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	defer file.Close()
	if n, _ := file.ReadAt(magic, 0); string(magic[:n]) != "GGUF" {
		m, err := readOld(file)
		if err != nil {
			err = fmt.Errorf("imatrix: %s: %w", path, err)
		}
		return m, err
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("imatrix: %w", err)
	}
	defer f.Close()
	m, err := Read(f)
	if err != nil {
		err = fmt.Errorf("imatrix: %s: %w", path, err)
	}
	return m, err
}

// Read reads an open GGUF file.
func Read(f *gguf.File) (*Matrix, error) {
	if kind, _ := f.Metadata.Text("general.type"); kind != "imatrix" {
		return nil, fmt.Errorf("general.type is %.40q, expected \"imatrix\"", kind)
	}
	m := &Matrix{Entries: map[string]*Entry{}}
	var err error
	if f.Metadata.Has(datasetsKey) {
		if m.Datasets, err = f.Metadata.Strings(datasetsKey); err != nil {
			return nil, err
		}
	}
	for key, to := range map[string]*int{chunksKey: &m.Chunks, chunkSizeKey: &m.ChunkSize} {
		if !f.Metadata.Has(key) {
			continue
		}
		n, err := f.Metadata.Int(key)
		if err != nil {
			return nil, err
		}
		if n < 0 || n > math.MaxUint32 {
			return nil, fmt.Errorf("%s is %d, expected 0 to %d", key, n, uint32(math.MaxUint32))
		}
		*to = int(n)
	}
	left := maxValues
	for _, t := range f.Tensors {
		name, ok := trim(t.Name, sumsSuffix)
		if !ok {
			if name, ok = trim(t.Name, countsSuffix); !ok || f.Tensor(name+sumsSuffix) == nil {
				return nil, fmt.Errorf("tensor %.80q, expected pairs NAME%s and NAME%s", t.Name, sumsSuffix, countsSuffix)
			}
			continue
		}
		counts := f.Tensor(name + countsSuffix)
		if counts == nil {
			return nil, fmt.Errorf("tensor %.80q has no %s beside it", t.Name, countsSuffix)
		}
		e := new(Entry)
		if e.Sums, err = values(t, &left); err == nil {
			e.Counts, err = values(counts, &left)
		}
		if err != nil {
			return nil, err
		}
		if n := len(e.Counts); n != 1 && n*t.Dims[0] != len(e.Sums) {
			return nil, fmt.Errorf("tensor %.80q has %d values, expected 1 or one for each row of %v", counts.Name, n, t.Dims)
		}
		m.Entries[name] = e
	}
	return m, nil
}

// trim cuts an ending off a name.
func trim(name, suffix string) (string, bool) {
	if n := len(name) - len(suffix); n > 0 && name[n:] == suffix {
		return name[:n], true
	}
	return name, false
}

// values reads a tensor of F32 that are finite and not negative.
func values(t *gguf.Tensor, left *int) ([]float32, error) {
	n := t.Size / 4
	if t.Type != gguf.F32 || n > int64(*left) {
		return nil, fmt.Errorf("tensor %.80q is %v with %d bytes, expected F32, and %d values in all tensors at most",
			t.Name, t.Type, t.Size, maxValues)
	}
	*left -= int(n)
	raw := make([]byte, t.Size)
	if _, err := t.ReadAt(raw, 0); err != nil {
		return nil, err
	}
	x := decode(raw)
	return x, check(t.Name, x)
}

// check refuses values that no sum of squares has.
func check(name string, x []float32) error {
	for i, v := range x {
		if !(v >= 0 && v <= math.MaxFloat32) {
			return fmt.Errorf("%.80q: value %d is %g, expected a finite one that is not negative", name, i, v)
		}
	}
	return nil
}

// WriteFile writes the matrix to path as GGUF. The same matrix gives the same bytes.
func (m *Matrix) WriteFile(path string) error {
	meta := new(gguf.Metadata)
	for _, kv := range []struct {
		key   string
		value any
	}{
		{"general.type", "imatrix"}, {datasetsKey, append([]string{}, m.Datasets...)}, {chunksKey, uint32(m.Chunks)},
		{chunkSizeKey, uint32(m.ChunkSize)},
	} {
		if err := meta.Set(kv.key, kv.value); err != nil {
			return fmt.Errorf("imatrix: %w", err)
		}
	}
	var tensors []gguf.Source
	for _, name := range slices.Sorted(maps.Keys(m.Entries)) {
		e := m.Entries[name]
		n := max(1, len(e.Counts))
		tensors = append(tensors,
			gguf.NewSource(name+sumsSuffix, gguf.F32, []int{len(e.Sums) / n, n}, encode(e.Sums)),
			gguf.NewSource(name+countsSuffix, gguf.F32, []int{1, n}, encode(e.Counts)))
	}
	if err := gguf.WriteFile(path, meta, tensors); err != nil {
		return fmt.Errorf("imatrix: %w", err)
	}
	return nil
}

// Importance returns what each column of a matrix counts [experts, columns]: the mean of the squares, 1 for all columns of an expert that
// nothing has gone through. It is nil if the file does not know the matrix, and an error if that has another shape there.
func (m *Matrix) Importance(name string, columns, experts int) ([]float32, error) {
	e := m.Entries[name]
	if e == nil {
		return nil, nil
	}
	if len(e.Sums) != columns*experts || len(e.Counts) != 1 && len(e.Counts) != experts {
		return nil, fmt.Errorf("imatrix: %s has %d values and %d counts, expected %d columns for each of %d: is it of another model?", name,
			len(e.Sums), len(e.Counts), columns, experts)
	}
	out := make([]float32, len(e.Sums))
	for i := range experts {
		count := e.Counts[i%len(e.Counts)]
		for j := i * columns; j < (i+1)*columns; j++ {
			if out[j] = 1; count > 0 {
				out[j] = min(e.Sums[j]/count, math.MaxFloat32)
			}
		}
	}
	return out, nil
}
