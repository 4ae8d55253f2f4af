package model

import (
	"bytes"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// TestFormatsOfFilesAreThoseOfTensors compares the lists of two packages that know nothing of each other: numbers, names and blocks.
func TestFormatsOfFilesAreThoseOfTensors(t *testing.T) {
	noWeights := map[gguf.Type]bool{gguf.I8: true, gguf.I16: true, gguf.I32: true, gguf.I64: true, gguf.F64: true}
	for n := range uint32(1000) {
		file, f := gguf.Type(n), tensor.Format(n)
		values, bytes := file.Block()
		if noWeights[file] {
			if f.Valid() {
				t.Errorf("%v is a format of weights, %v", file, f)
			}
			continue
		}
		if f == tensor.Q2_0_128 { // a number of tensor's own: no file has it
			if values != 0 {
				t.Errorf("type %d has blocks: %v", n, file)
			}
			continue
		}
		if f.Valid() != (values != 0) || f.BlockLen() != values || f.BlockBytes() != bytes {
			t.Errorf("type %d: blocks of %d values in %d bytes in files, of %d in %d in tensors", n, values, bytes, f.BlockLen(),
				f.BlockBytes())
		}
		if f.Valid() && f.String() != file.String() {
			t.Errorf("type %d is %v in files, %v in tensors", n, file, f)
		}
	}
}

// TestBlocksOfQ2_0AreToldByTheirSize opens a file with both sizes.
func TestBlocksOfQ2_0AreToldByTheirSize(t *testing.T) {
	const cols = 1 << 14 // with fewer values the size would not tell
	formats := []tensor.Format{tensor.Q2_0, tensor.Q2_0_128}
	var sources []gguf.Source
	for _, f := range formats {
		sources = append(sources, gguf.NewSource(f.String(), gguf.Q2_0, []int{cols}, make([]byte, f.RowBytes(cols))))
	}
	var file bytes.Buffer
	if err := gguf.Write(&file, &gguf.Metadata{}, sources); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenBytes(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range formats {
		w := f.Tensor(want.String())
		values, size := w.Block()
		if got := Format(w); got != want || values != want.BlockLen() || size != want.BlockBytes() {
			t.Errorf("%s: format %v in blocks of %d values, %d bytes", w.Name, got, values, size)
		}
	}
}
