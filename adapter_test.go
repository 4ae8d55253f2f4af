package gemma4_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/tensor"
)

// nanoAdapter writes an adapter of random numbers beside all matrices of nano's layers.
func nanoAdapter(t testing.TB, seed uint64) (path string) {
	t.Helper()
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const rank = 4
	r := rand.New(rand.NewPCG(seed, 1))
	matrix := func(name string, dims []int, spread float32) gguf.Source {
		n := 1
		for _, d := range dims {
			n *= d
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = spread * float32(r.NormFloat64())
		}
		data := make([]byte, tensor.F16.RowBytes(n))
		if err := tensor.F16.Encode(data, x); err != nil {
			t.Fatal(err)
		}
		return gguf.NewSource(name, gguf.F16, dims, data)
	}
	var tensors []gguf.Source
	for _, w := range f.Tensors {
		if strings.HasPrefix(w.Name, "blk.") && len(w.Dims) == 2 {
			tensors = append(tensors, matrix(w.Name+".lora_a", []int{w.Dims[0], rank}, 0.1),
				matrix(w.Name+".lora_b", []int{rank, w.Dims[1]}, 0.1))
		}
	}
	m := new(gguf.Metadata)
	if err := errors.Join(m.Set("general.architecture", "gemma4"), m.Set("general.type", "adapter"), m.Set("adapter.type", "lora"),
		m.Set("general.name", fmt.Sprintf("adapter %d", seed)), m.Set("adapter.lora.alpha", float32(rank))); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "adapter.gguf")
	if err := gguf.WriteFile(path, m, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

func openNanoAdapter(t testing.TB, m *gemma4.Model, seed uint64) *gemma4.Adapter {
	t.Helper()
	path := nanoAdapter(t, seed)
	a, err := m.OpenAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path) // it is in memory
	return a
}

// A session that is switched has the bytes of one that has read its text with the same adapters from the beginning, back and forth.
func TestSwitchedSessionsAreFreshOnes(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	a, b := openNanoAdapter(t, m, 1), openNanoAdapter(t, m, 2)
	s := newSession(t, m, gemma4.SessionOptions{})
	text := m.Tokenizer().Encode(question, true)
	if err := s.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
		t.Fatal(err)
	}
	text = append(text, goesOn(t, s, 3)...)
	seen := map[string]int{}
	for i, with := range [][]gemma4.Scaled{
		{a.At(1)}, nil, {b.At(0.5)}, {a.At(1), b.At(1)}, {a.At(0)}, {a.At(1)}, {b.At(1), a.At(1)},
	} {
		if err := s.Adapter(with...); err != nil {
			t.Fatal(err)
		}
		if s.Len() != len(text) {
			t.Fatalf("step %d: %d positions after switching, expected %d", i, s.Len(), len(text))
		}
		fresh := newSession(t, m, gemma4.SessionOptions{Adapters: with})
		if err := fresh.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
			t.Fatal(err)
		}
		got, want := goesOn(t, s, 3), goesOn(t, fresh, 3)
		if !slices.Equal(got, want) || state(s) != state(fresh) {
			t.Errorf("step %d: goes on with %v, %s, a fresh session with %v, %s", i, got, state(s), want, state(fresh))
		}
		seen[fmt.Sprint(s.Logits(nil)[:8])]++
		s.Rewind(len(text))
	}
	if len(seen) < 4 {
		t.Errorf("%d different logits with seven lists of adapters: do they change anything?", len(seen))
	}
}

// goesOn generates and returns the tokens.
func goesOn(t testing.TB, s *gemma4.Session, n int) (out []int32) {
	t.Helper()
	for tok, err := range s.Generate(ctx, nil, gemma4.GenerateOptions{MaxTokens: n, Sampling: greedy}) {
		if err != nil {
			t.Fatal(err)
		}
		if tok.ID >= 0 {
			out = append(out, tok.ID)
		}
	}
	return out
}
