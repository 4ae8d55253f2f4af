package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file returns a file with that header and so many bytes of data: 0, 1, 2 …
func file(header string, data int) []byte {
	b := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	for i := range data {
		b = append(b, byte(i))
	}
	return b
}

func opened(t testing.TB, data []byte) *File {
	t.Helper()
	f, err := New("x", bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const two = `{"__metadata__": {"format": "pt"}, "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
	"a": {"shape": [], "dtype": "F32", "data_offsets": [0, 4]}}   `

func TestTensorsAreWhatTheHeaderSays(t *testing.T) {
	f := opened(t, file(two, 16))
	a, b := f.Tensor("a"), f.Tensor("b")
	if len(f.Tensors) != 2 || f.Tensors[0] != a || f.Tensors[1] != b || f.Tensor("c") != nil {
		t.Fatalf("tensors %v", f.Tensors)
	}
	if a.Type != F32 || len(a.Shape) != 0 || a.Size != 4 || a.Values() != 1 {
		t.Errorf("a is %+v", a)
	}
	if b.Type != BF16 || !slices.Equal(b.Shape, []int{2, 3}) || b.Size != 12 || b.Values() != 6 {
		t.Errorf("b is %+v", b)
	}
	p := make([]byte, 5)
	if n, err := b.ReadAt(p, 3); n != 5 || err != nil || !bytes.Equal(p, []byte{7, 8, 9, 10, 11}) {
		t.Errorf("read %v, %v", p[:n], err)
	}
	if n, err := b.ReadAt(p, 9); n != 3 || err != io.EOF {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	if _, err := b.ReadAt(p, 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
}

func TestTensorsMayBeEmpty(t *testing.T) {
	f := opened(t, file(`{"a": {"dtype": "I64", "shape": [0, `+fmt.Sprint(math.MaxInt)+`, 4], "data_offsets": [2, 2]},
		"b": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}`, 2))
	if a := f.Tensor("a"); a.Size != 0 || a.Values() != 0 {
		t.Errorf("a is %+v", a)
	}
	opened(t, file(`{}`, 0))
}

func TestHostileFilesAreErrors(t *testing.T) {
	entry := func(s string) string { return `{"a": {` + s + `}}` }
	shape := func(shape, offsets string) string {
		return entry(`"dtype": "F32", "shape": ` + shape + `, "data_offsets": ` + offsets)
	}
	long := binary.LittleEndian.AppendUint64(nil, 100<<20+1)
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"nothing", "0 bytes, expected the length of a header", nil},
		{"a length alone, and not all of it", "7 bytes", make([]byte, 7)},
		{"a header longer than the file", "a header of 2 bytes, but the file ends 1 bytes behind",
			[]byte("\x02\x00\x00\x00\x00\x00\x00\x00{")},
		{"a header over the bound", "a header of 104857601 bytes, expected at most 104857600", append(long, '{')},
		{"a length near 2⁶⁴", "expected at most", bytes.Repeat([]byte{0xff}, 64)},
		{"GGUF", "is a GGUF file", []byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00")},
		{"no JSON", `the header begins with "abc"`, file("abc", 0)},
		{"an array", `the header begins with "[]"`, file("[]", 0)},
		{"an empty header", `begins with ""`, file("", 0)},
		{"half a header", "breaks off", file(`{"a": {"dtype": "F32"`, 0)},
		{"text behind the header", "goes on behind its end", file(`{} {}`, 0)},
		{"bytes that are no text", "not valid UTF-8", file("{\"\xff\": 0}", 0)},
		{"a key twice", "tensor a: key dtype appears twice", file(entry(`"dtype": "F32", "dtype": "F32"`), 0)},
		{"a tensor twice", "key a appears twice", file(`{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
			"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}`, 2)},
		{"an unknown key", "key size, expected dtype", file(entry(`"size": 1`), 0)},
		{"no shape", "one of dtype, shape and data_offsets is missing", file(entry(`"dtype": "F32", "data_offsets": [0, 4]`), 4)},
		{"no name", "a name of 0 bytes", file(`{"": {}}`, 0)},
		{"a name without end", "a name of 65536 bytes", file(`{"`+strings.Repeat("n", 1<<16)+`": {}}`, 0)},
		{"metadata that is no text", "__metadata__: format: 1, expected a string", file(`{"__metadata__": {"format": 1}}`, 0)},
		{"an unknown type", `dtype "F4" is not known`, file(entry(`"dtype": "F4", "shape": [2], "data_offsets": [0, 1]`), 1)},
		{"a negative dimension", "-1, expected a whole number", file(shape("[-1]", "[0, 4]"), 4)},
		{"a broken dimension", "1.5, expected a whole number", file(shape("[1.5]", "[0, 4]"), 4)},
		{"too many dimensions", "shape: more than 8", file(shape("[1,1,1,1,1,1,1,1,1]", "[0, 4]"), 4)},
		{"a shape that overflows", "more than",
			file(shape("[4294967296, 4294967296]", "[0, 0]"), 0)},
		{"a shape that overflows to 4 bytes", "more than",
			file(shape("[9223372036854775807, 3]", "[0, 4]"), 4)},
		{"a shape of another size", "8 bytes, but the shape [3] of F32 takes 12", file(shape("[3]", "[0, 8]"), 8)},
		{"one offset", "data_offsets [0]", file(shape("[1]", "[0]"), 4)},
		{"an end before the begin", "data_offsets [4 0]", file(shape("[1]", "[4, 0]"), 4)},
		{"data behind the end", "4 bytes are missing", file(shape("[2]", "[0, 8]"), 4)},
		{"a hole in front", "leave a hole behind 0", file(shape("[1]", "[4, 8]"), 8)},
		{"data of nobody", "the tensors end at byte 4 of the data, but the file has 8",
			file(shape("[1]", "[0, 4]"), 8)},
		{"data that overlap", "tensor b: bytes 2 to 6 of the data overlap those of tensor a, which end at 4",
			file(`{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
				"b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}}`, 6)},
		{"data of two", "overlap",
			file(`{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
				"b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}`, 4)},
		{"more tensors than the bound", "more than 65537 keys", file(many(1<<16+2), 1<<16+2)},
	} {
		_, err := New("x.safetensors", bytes.NewReader(c.data), int64(len(c.data)))
		if err == nil || !strings.HasPrefix(err.Error(), "safetensors: x.safetensors: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// many returns a header of n tensors of a byte.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `%c"t%d": {"dtype": "U8", "shape": [1], "data_offsets": [%d, %d]}`, ",{"[min(1, max(0, 1-i))], i, i, i+1)
	}
	return b.String() + "}"
}

// folder writes files into a new folder.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnIndexOpensAllItsFiles(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"1.safetensors": file(two, 16),
		"2.safetensors": file(`{"c": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}`, 1),
		"model.safetensors.index.json": []byte(`{"metadata": {"total_size": 17, "x": [{}]},
			"weight_map": {"a": "1.safetensors", "c": "2.safetensors", "b": "1.safetensors"}}`),
	})
	f, err := Open(filepath.Join(dir, "model.safetensors.index.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	for _, x := range f.Tensors {
		names = append(names, x.Name+" "+filepath.Base(x.Source))
	}
	if want := []string{"a 1.safetensors", "b 1.safetensors", "c 2.safetensors"}; !slices.Equal(names, want) {
		t.Errorf("tensors %q, want %q", names, want)
	}
	p := make([]byte, 1)
	if _, err := f.Tensor("c").ReadAt(p, 0); err != nil || p[0] != 0 {
		t.Errorf("read %v, %v", p, err)
	}
}

func TestHostileIndexesAreErrors(t *testing.T) {
	for _, c := range []struct{ index, want string }{
		{`{"weight_map": {"a": "1.safetensors", "c": "3.safetensors"}}`, "3.safetensors: is missing"},
		{`{"weight_map": {"a": "../x"}}`, `a is in "../x", expected the name of a file beside the index`},
		{`{"weight_map": {"a": "/etc/passwd"}}`, `expected the name of a file`},
		{`{"weight_map": {"a": "x/1.safetensors"}}`, `expected the name of a file`},
		{`{"weight_map": {"a": "x\\1.safetensors"}}`, `expected the name of a file`},
		{`{"weight_map": {"a": "c:1.safetensors"}}`, `expected the name of a file`},
		{`{"weight_map": {"a": ".."}}`, `expected the name of a file`},
		{`{"weight_map": {"a": ""}}`, `expected the name of a file`},
		{`{"weight_map": {"a": "."}}`, `expected the name of a file`},
		{`{"weight_map": {"a": 1}}`, "1, expected a string"},
		{`{"weight_map": {"a": "1.safetensors", "a": "1.safetensors"}}`, "key a appears twice"},
		{`{"weight_map": {"c": "1.safetensors"}}`, "tensor c is not in 1.safetensors"},
		{`{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}`, "tensor a: is in"},
		{`{"weight_map": {"a": "4.safetensors", "c": "4.safetensors", "b": "1.safetensors"}}`, "tensor a is not in 4.safetensors"},
		{`{"weight_map": {"a": "folder"}}`, "no regular file"},
		{`{"weight_map": {}}`, "no weight_map, or an empty one"},
		{`{}`, "no weight_map"},
		{`[]`, "[, expected {"},
		{`{"weight_map": {"a": "1.safetensors"}`, "breaks off"},
		{"\xff", "UTF-8"},
	} {
		dir := folder(t, map[string][]byte{"1.safetensors": file(two, 16), "2.safetensors": file(two, 16),
			"4.safetensors": file(`{"c": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}`, 1), "x.index.json": []byte(c.index)})
		if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := Open(filepath.Join(dir, "x.index.json"))
		if err == nil || !strings.HasPrefix(err.Error(), "safetensors: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.index, err, c.want)
		}
	}
}

func TestFilesThatAreNotThereAreNamed(t *testing.T) {
	for _, name := range []string{"model.safetensors", "model.safetensors.index.json"} {
		if _, err := Open(filepath.Join(t.TempDir(), name)); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v", err)
		}
	}
}

func TestFilesThatShrinkAreErrors(t *testing.T) {
	dir := folder(t, map[string][]byte{"x": file(two, 16)})
	f, err := Open(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(filepath.Join(dir, "x"), int64(len(file(two, 6)))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tensor("b").ReadAt(make([]byte, 12), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read %v", err)
	}
}

// FuzzHeader checks that any file is an error, or a table that lies within it.
func FuzzHeader(f *testing.F) {
	f.Add(file(two, 16))
	f.Add(file(`{}`, 0))
	f.Add(file(`{"a": {"dtype": "I64", "shape": [0, 3], "data_offsets": [0, 0]}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := New("x", bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		var sum int64
		for _, x := range file.Tensors {
			b := make([]byte, x.Size+1)
			if n, err := x.ReadAt(b, 0); int64(n) != x.Size || err != io.EOF {
				t.Fatalf("%q: %d of %d bytes, %v", x.Name, n, x.Size, err)
			}
			if file.Tensor(x.Name) != x {
				t.Fatalf("%q is another tensor", x.Name)
			}
			sum += x.Size
		}
		if sum > int64(len(data)) {
			t.Fatalf("%d bytes of %d", sum, len(data))
		}
	})
}
