package gguf_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

// bin is a file under construction, field by field, so that tests can write what Write refuses to.
type bin []byte

func (b bin) u8(v ...byte) bin   { return append(b, v...) }
func (b bin) u32(v uint32) bin   { return binary.LittleEndian.AppendUint32(b, v) }
func (b bin) u64(v uint64) bin   { return binary.LittleEndian.AppendUint64(b, v) }
func (b bin) str(s string) bin   { return append(b.u64(uint64(len(s))), s...) }
func (b bin) join(c ...byte) bin { return append(b, c...) }

func (b bin) key(name string, t gguf.ValueType) bin { return b.str(name).u32(uint32(t)) }

func (b bin) tensor(name string, t gguf.Type, offset uint64, dims ...uint64) bin {
	b = b.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		b = b.u64(d)
	}
	return b.u32(uint32(t)).u64(offset)
}

// data pads to a multiple of 32 and adds n bytes.
func (b bin) data(n int) bin { return append(b, make([]byte, (32-len(b)%32)%32+n)...) }

// head begins a file of version 3.
func head(tensors, keys uint64) bin { return bin("GGUF").u32(3).u64(tensors).u64(keys) }

// name returns a name of four letters, another for each i below 65536.
func name(i int) string {
	return string([]byte{'a' + byte(i>>12), 'a' + byte(i>>8&15), 'a' + byte(i>>4&15), 'a' + byte(i&15)})
}

var allTypes = []gguf.Type{
	gguf.F32, gguf.F16, gguf.Q4_0, gguf.Q4_1, gguf.Q5_0, gguf.Q5_1, gguf.Q8_0, gguf.Q2_K, gguf.Q3_K, gguf.Q4_K, gguf.Q5_K, gguf.Q6_K,
	gguf.IQ2_XXS, gguf.IQ2_XS, gguf.IQ3_XXS, gguf.IQ1_S, gguf.IQ4_NL, gguf.IQ3_S, gguf.IQ2_S, gguf.IQ4_XS, gguf.IQ1_M, gguf.BF16,
	gguf.TQ1_0, gguf.TQ2_0, gguf.MXFP4, gguf.NVFP4, gguf.Q1_0, gguf.Q2_0, gguf.I8, gguf.I16, gguf.I32, gguf.I64, gguf.F64,
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// everything returns metadata with every type of value and a tensor of every format, in 1 to 4 dimensions.
func everything() (*gguf.Metadata, []gguf.Source) {
	m := new(gguf.Metadata)
	for _, kv := range values() {
		if err := m.Set(kv.key, kv.set); err != nil {
			panic(err)
		}
	}
	var sources []gguf.Source
	random := rand.NewChaCha8([32]byte{1})
	for i, t := range allTypes {
		values, size := t.Block()
		dims := []int{2 * values, 3, 1, 5}[:1+i%4]
		blocks := []int{2, 6, 6, 30}[i%4]
		data := make([]byte, blocks*size)
		random.Read(data)
		sources = append(sources, gguf.NewSource("blk."+t.String(), t, dims, data))
	}
	return m, sources
}

// encode returns the file as bytes.
func encode(t testing.TB, m *gguf.Metadata, sources []gguf.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gguf.Write(&b, m, sources); err != nil {
		t.Fatal(err)
	}
	if n, err := gguf.Size(m, sources); err != nil || n != int64(b.Len()) {
		t.Errorf("Size is %d, %v; %d bytes were written", n, err, b.Len())
	}
	return b.Bytes()
}

// opened opens the same parts in every way there is.
func opened(t testing.TB, parts ...[]byte) map[string]*gguf.File {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	var readers []gguf.Part
	for i, data := range parts {
		path := filepath.Join(dir, string(rune('a'+i))+".gguf")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		readers = append(readers, gguf.Part{Name: path, ReaderAt: bytes.NewReader(data), Size: int64(len(data))})
	}
	files := make(map[string]*gguf.File)
	for name, open := range map[string]func() (*gguf.File, error){
		"OpenParts":    func() (*gguf.File, error) { return gguf.OpenParts(paths...) },
		"OpenBytes":    func() (*gguf.File, error) { return gguf.OpenBytes(parts...) },
		"OpenReaderAt": func() (*gguf.File, error) { return gguf.OpenReaderAt(readers...) },
	} {
		f, err := open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(func() { f.Close() })
		files[name] = f
	}
	return files
}

// equal fails the test unless both files hold the same metadata and tensors.
func equal(t testing.TB, got, want *gguf.File) {
	t.Helper()
	equalMetadata(t, got.Metadata, want.Metadata)
	if len(got.Tensors) != len(want.Tensors) {
		t.Fatalf("%d tensors, want %d", len(got.Tensors), len(want.Tensors))
	}
	for i, w := range want.Tensors {
		g := got.Tensors[i]
		if g.Name != w.Name || g.Type != w.Type || !slices.Equal(g.Dims, w.Dims) || g.Size != w.Size || block(g) != block(w) {
			t.Errorf("tensor %d is %s %s %d, %d bytes, want %s %s %d, %d bytes", i, g.Name, g.Type, g.Dims, g.Size,
				w.Name, w.Type, w.Dims, w.Size)
			continue
		}
		if got.Tensor(w.Name) != g {
			t.Errorf("tensor %s is not found by its name", w.Name)
		}
		if !bytes.Equal(data(t, g), data(t, w)) {
			t.Errorf("tensor %s has other bytes", w.Name)
		}
		pieces := make([]byte, g.Size)
		n, err := io.ReadFull(io.NewSectionReader(g, 0, g.Size), pieces)
		if err != nil || !bytes.Equal(pieces[:n], data(t, w)) {
			t.Errorf("tensor %s reads other bytes in pieces (%v)", w.Name, err)
		}
	}
}

// block returns the tensor's block.
func block(t *gguf.Tensor) (b [2]int) {
	b[0], b[1] = t.Block()
	return b
}

func data(t testing.TB, tensor *gguf.Tensor) []byte {
	t.Helper()
	b, err := tensor.Data()
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != tensor.Size {
		t.Fatalf("tensor %s: %d bytes of data, want %d", tensor.Name, len(b), tensor.Size)
	}
	return b
}

func equalMetadata(t testing.TB, got, want *gguf.Metadata) {
	t.Helper()
	if !slices.Equal(got.Keys(), want.Keys()) {
		t.Fatalf("keys %q, want %q", got.Keys(), want.Keys())
	}
	for _, key := range want.Keys() {
		g, _ := got.Value(key)
		w, _ := want.Value(key)
		if !equalValues(g, w) {
			t.Errorf("%s is %v, want %v", key, g, w)
		}
	}
}

func equalValues(a, b any) bool {
	x, ok1 := a.(*gguf.Array)
	y, ok2 := b.(*gguf.Array)
	if !ok1 || !ok2 {
		return a == b
	}
	if x.Type() != y.Type() || x.Len() != y.Len() {
		return false
	}
	all := make([]any, 0, x.Len())
	for _, v := range x.All() {
		all = append(all, v)
	}
	n := 0
	for i, v := range y.All() {
		if i >= len(all) || !equalValues(all[i], v) {
			return false
		}
		n++
	}
	return n == len(all) && n == x.Len()
}
