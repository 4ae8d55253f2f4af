package model_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// ids is a text.
func ids(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(2 + i*37%400)
	}
	return out
}

// squares are sums of squares and numbers of vectors, by the place of a matrix in its file's tensors.
type squares map[string]*struct {
	sum []float64
	n   int
}

func (s squares) add(name string, x []float32) {
	e := s[name]
	if e == nil {
		e = &struct {
			sum []float64
			n   int
		}{sum: make([]float64, len(x))}
		s[name] = e
	}
	for i, v := range x {
		e.sum[i] += float64(v) * float64(v)
	}
	e.n++
}

func TestWhatIsObservedIsWhatIsMultiplied(t *testing.T) {
	for _, spec := range []string{"micro-e", "micro-dense", "micro-moe", "split"} {
		name := strings.Replace(spec, "split", "micro-moe", 1)
		c, err := synth.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		c.SplitExperts = spec == "split"
		f, err := gguf.OpenBytes(synth.Bytes(c))
		if err != nil {
			t.Fatal(err)
		}
		// The table in plain Go multiplies each vector with each row of F32 where it lies: the rows tell whose input a vector is.
		var mu sync.Mutex
		first := map[*byte]string{} // rows of matrices
		for _, x := range f.Tensors {
			if len(x.Dims) < 2 {
				continue
			}
			data, err := x.Data()
			if err != nil {
				t.Fatal(err)
			}
			for size := 4 * x.Dims[0] * x.Dims[1]; len(data) > 0; data = data[size:] {
				first[&data[0]] = x.Name + string(rune('0'+(int(x.Size)-len(data))/size))
			}
		}
		direct, observed := squares{}, squares{}
		k := tensor.Portable()
		dot := k.Dot
		k.Dot = func(a, b []float32) float32 {
			mu.Lock()
			defer mu.Unlock()
			if name, ok := first[(*byte)(unsafe.Pointer(unsafe.SliceData(a)))]; ok {
				direct.add(name, b)
			}
			return dot(a, b)
		}
		m, err := model.New(f, model.Options{Kernels: k, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.NewSequence(model.SequenceOptions{Cache: tensor.F32, Context: 64, Batch: 16})
		if err != nil {
			t.Fatal(err)
		}
		err = m.NewPass().Read(t.Context(), &model.Chunk{
			Sequence: s, Input: []model.Input{{Tokens: ids(40)}}, Want: func(int) bool { return true },
			Yield: func(int, []float32) error { return nil },
			Observe: func(w *tensor.Tensor, x []float32, n int) {
				if len(x) != n*w.Cols() {
					t.Errorf("%s: %d values for %d rows of %d", w.Name, len(x), n, w.Cols())
				}
				mu.Lock()
				defer mu.Unlock()
				for ; len(x) > 0; x = x[w.Cols():] {
					if w.Data != nil && first[unsafe.SliceData(w.Data)] != "" {
						observed.add(w.Name+string(rune('0'+w.Row/w.Rows())), x[:w.Cols()])
					}
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(direct) < 20 || len(direct) != len(observed) {
			t.Errorf("%s: %d matrices are multiplied, %d observed", spec, len(direct), len(observed))
		}
		for name, want := range direct {
			got := observed[name]
			if got == nil || got.n != want.n {
				t.Errorf("%s: %s was observed as %+v, multiplied with %d vectors", spec, name, got, want.n)
				continue
			}
			for i := range want.sum {
				if d := got.sum[i] - want.sum[i]; d > 1e-9*want.sum[i] || -d > 1e-9*want.sum[i] {
					t.Errorf("%s: %s, column %d: %v, want %v", spec, name, i, got.sum[i], want.sum[i])
					break
				}
			}
		}
		s.Close()
		m.Close()
		f.Close()
	}
}

func TestAChunkThatIsObservedIsAlone(t *testing.T) {
	c, err := synth.Parse("micro-e")
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenBytes(bytes.Clone(synth.Bytes(c)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := model.New(f, model.Options{Kernels: tensor.Portable(), Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	chunk := func(o model.Observer) *model.Chunk {
		s, err := m.NewSequence(model.SequenceOptions{Cache: tensor.F32, Context: 64})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return &model.Chunk{Sequence: s, Input: []model.Input{{Tokens: ids(3)}}, Observe: o}
	}
	look := func(*tensor.Tensor, []float32, int) {}
	for _, o := range [][2]model.Observer{{look, nil}, {nil, look}, {look, look}} {
		a, b := chunk(o[0]), chunk(o[1])
		if err := m.NewPass().Prefill(t.Context(), a, b); err != nil || a.Err != nil || b.Err == nil ||
			!strings.Contains(b.Err.Error(), "observed beside another one") {
			t.Errorf("errors %v, %v, %v", err, a.Err, b.Err)
		}
	}
}
