package gguf_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

// FuzzOpen opens any bytes as a file, or as two parts of one. What opens must keep what its table promises, whichever
// way it is read, and come back from the writer as it was.
func FuzzOpen(f *testing.F) {
	m, sources := everything()
	f.Add(encode(f, m, nil), []byte(nil))
	f.Add(encode(f, nil, sources[:3]), []byte(nil))
	paths, err := gguf.WriteSplit(filepath.Join(f.TempDir(), "m"), 2, nil, sources[4:6])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(must(os.ReadFile(paths[1])), must(os.ReadFile(paths[0])))
	f.Add([]byte(head(1, 1).key("general.alignment", gguf.ValueUint32).u32(8).tensor("t", gguf.F32, 8, 2).data(16)), []byte(nil))
	f.Add([]byte(head(2, 1).key("general.alignment", gguf.ValueUint32).u32(8).tensor("t", 300, 0, 2).
		tensor("u", gguf.Q2_0, 16, 1<<14).data(16+4352)), []byte(nil))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		parts := [][]byte{a}
		if len(b) > 0 {
			parts = append(parts, b)
		}
		var readers []gguf.Part
		for i, data := range parts {
			name := "bytes"
			if len(parts) > 1 {
				name = []string{"bytes 0", "bytes 1"}[i]
			}
			readers = append(readers, gguf.Part{Name: name, ReaderAt: bytes.NewReader(data), Size: int64(len(data))})
		}
		file, err := gguf.OpenBytes(parts...)
		read, err2 := gguf.OpenReaderAt(readers...)
		if err != nil {
			if err2 == nil || err2.Error() != err.Error() {
				t.Fatalf("in memory: %v\nread: %v", err, err2)
			}
			return
		}
		if err2 != nil {
			t.Fatalf("in memory: opened\nread: %v", err2)
		}
		equal(t, read, file)
		for _, key := range file.Metadata.Keys() { // none of these may panic
			file.Metadata.Int(key)
			file.Metadata.Float(key)
			file.Metadata.Bool(key)
			file.Metadata.Text(key)
			file.Metadata.Ints(key)
			file.Metadata.Floats(key)
			file.Metadata.Bools(key)
			file.Metadata.Strings(key)
		}
		var sources []gguf.Source
		align, err := file.Metadata.Int("general.alignment")
		if err != nil {
			align = 32
		}
		for _, tensor := range file.Tensors {
			if values, _ := tensor.Block(); values == 0 && tensor.Size%align != 0 {
				return // it would take the padding along
			}
			sources = append(sources, tensor.Source())
		}
		want := file.Metadata.Clone()
		for _, key := range []string{"split.no", "split.count", "split.tensors.count"} {
			want.Delete(key)
		}
		again, err := gguf.OpenBytes(encode(t, file.Metadata, sources))
		if err != nil {
			t.Fatal(err)
		}
		file.Metadata = want
		equal(t, again, file)
	})
}
