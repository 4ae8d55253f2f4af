package convert

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
)

// written writes the GGUF file of a spec such as "micro-e:f32" into a folder of its own.
func written(t testing.TB, spec string) (path string) {
	t.Helper()
	shape, err := synth.ParseShape(spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "model.gguf")
	if err := synth.WriteFile(context.Background(), path, shape); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t testing.TB, path string, p Part) *Weights {
	t.Helper()
	w, err := OpenPart(path, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// copied returns the GGUF file that the weights are.
func copied(t testing.TB, w *Weights) []byte {
	t.Helper()
	var sources []gguf.Source
	for i := range w.Tensors {
		sources = append(sources, w.Tensors[i].Copy())
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, w.Metadata, sources); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGGUFFilesAreCopiedToTheByte(t *testing.T) {
	for _, spec := range []string{"micro-moe:f32", "tiny-e:q4_k_m", "tiny-dense:q2_0_128", "tiny-e-mmproj:q8_0", "tiny-moe-draft:bf16"} {
		path := written(t, spec)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := copied(t, opened(t, path, Text)); !bytes.Equal(got, want) {
			t.Errorf("%s: the copy differs", spec)
		}
	}
}

func TestAnyPartOfASplitFileOpensAll(t *testing.T) {
	whole, err := os.ReadFile(written(t, "micro-e:bf16"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenBytes(whole)
	if err != nil {
		t.Fatal(err)
	}
	var sources []gguf.Source
	for _, x := range f.Tensors {
		sources = append(sources, x.Source())
	}
	paths, err := gguf.WriteSplit(filepath.Join(t.TempDir(), "model.gguf"), 3, f.Metadata, sources)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if got := copied(t, opened(t, path, Text)); !bytes.Equal(got, whole) {
			t.Errorf("%s: the copy of all parts differs from the whole", filepath.Base(path))
		}
	}
}

func TestRowsAreThoseOfTheTensor(t *testing.T) {
	w := opened(t, written(t, "micro-moe:q8_0"), Text)
	i := slices.IndexFunc(w.Tensors, func(x Tensor) bool { return x.Name == "blk.1.ffn_down_exps.weight" })
	x := &w.Tensors[i]
	if x.Rows() != 64*8 || x.RowBytes() != 34 || x.Bytes() != 64*8*34 {
		t.Fatalf("%v has %d rows of %d bytes, %d in all", x.Dims, x.Rows(), x.RowBytes(), x.Bytes())
	}
	all, some := make([]byte, x.Bytes()), make([]byte, 3*34)
	if err := errors.Join(x.Read(all, 0, x.Rows()), x.Read(some, 100, 103)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(some, all[100*34:103*34]) {
		t.Error("rows 100 to 103 differ from those of the whole tensor")
	}
}

func TestModelsAreNoProjectors(t *testing.T) {
	if _, err := OpenPart(written(t, "micro-e:f32"), Projector); !errors.Is(err, ErrNoPart) {
		t.Errorf("a model as a projector: %v", err)
	}
	opened(t, written(t, "micro-e-mmproj:f32"), Projector)
}
