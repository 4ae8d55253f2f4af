package gemma4

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/kernels/kerneltest"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// someIDs are lists of ids of a vocabulary, from none to all, some of which lie together.
func someIDs(r *rand.Rand, n int) (lists [][]int32) {
	lists = append(lists, []int32{}, []int32{0}, []int32{int32(n) - 1}, []int32{3, 4, 5, 6, 7, 9})
	for _, share := range []float64{0.05, 0.5, 1} {
		list := []int32{}
		for id := range int32(n) {
			if r.Float64() < share {
				list = append(list, id)
			}
		}
		lists = append(lists, list)
	}
	return lists
}

// TestSomeRowsHaveTheBitsOfAll, in each format, at each level, in each arithmetic, of one token and of several.
func TestSomeRowsHaveTheBitsOfAll(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	const rows, cols, n = 299, 512, 3
	x := kerneltest.Gaussian(r, n*cols)
	lists := someIDs(r, rows)
	pool := tensor.NewPool(2)
	defer pool.Close()
	for _, f := range tensor.Formats() {
		data := make([]byte, rows*f.RowBytes(cols))
		if err := f.Encode(data, kerneltest.Gaussian(r, rows*cols)); err != nil {
			for i := range data { // a format that is only read
				data[i] = byte(r.IntN(120))
			}
		}
		w, err := tensor.New("w", f, data, rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		w.Scale = 1.5
		behind, err := tensor.NewReader("w", f, sliceReader(data), int64(len(data)), rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		behind.Scale = 1.5
		for _, k := range levels() {
			mm := tensor.NewMatMul(pool, k)
			for _, a := range []tensor.Arithmetic{tensor.Exact, tensor.Rows, tensor.Panels} {
				all := make([]float32, n*rows)
				if err := mm.Run(a, tensor.Product{Dst: all, X: x, N: n, W: w}); err != nil {
					t.Fatal(err)
				}
				for i, ids := range lists {
					for _, w := range []*tensor.Tensor{w, behind} {
						some := make([]float32, n*len(ids))
						if err := mm.Run(a, tensor.Product{Dst: some, X: x, N: n, W: w, Only: ids}); err != nil {
							t.Fatal(err)
						}
						for j, got := range some {
							want := all[j/len(ids)*rows+int(ids[j%len(ids)])]
							if got != want && want == want {
								t.Fatalf("%v, %s, arithmetic %d, list %d, row %d: %v, not %v", f, k.Name, a, i, ids[j%len(ids)], got, want)
							}
						}
					}
				}
			}
		}
	}
}

// TestSomeLogitsHaveTheBitsOfAll in passes that sequences with and without a choice of ids share, with the head of each kind.
func TestSomeLogitsHaveTheBitsOfAll(t *testing.T) {
	specs := []string{"micro-e:f32", "micro-e4:q8_0", "micro-dense:f16", "micro-moe:q4_0", "tiny-e:q4_k_m"}
	for i, spec := range specs {
		config, err := synth.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		f, err := gguf.OpenBytes(synth.Bytes(config))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, k := range levels() {
			m, err := model.New(f, model.Options{Kernels: k, Workers: 1 + i%3})
			if err != nil {
				t.Fatal(err)
			}
			testSomeLogits(t, fmt.Sprint(spec, ", ", k.Name), m)
			m.Close()
		}
	}
}

func testSomeLogits(t *testing.T, what string, m *model.Model) {
	r := rand.New(rand.NewPCG(1, 2))
	lists := append(someIDs(r, m.Vocabulary), nil, nil)
	if m.SoftCap == 0 {
		t.Fatalf("%s: the logits are not capped", what)
	}
	for _, decode := range []bool{true, false} {
		var whole, some []*model.Chunk
		for i, ids := range lists {
			for _, chunks := range []*[]*model.Chunk{&whole, &some} {
				s, err := m.NewSequence(model.SequenceOptions{})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				in := []model.Input{{Tokens: []int32{2, int32(i) + 10, 7, int32(i)}}}
				*chunks = append(*chunks, &model.Chunk{Sequence: s, Input: in, Want: func(pos int) bool { return pos >= 2-i%2 }})
			}
			some[i].Only = func() []int32 { return ids }
		}
		p, q, last := m.NewPass(), m.NewPass(), m.NewPass()
		for _, x := range []struct {
			p      *model.Pass
			chunks []*model.Chunk
		}{{p, whole}, {q, some}} {
			pass := x.p.Prefill
			if decode {
				pass = x.p.Decode
			}
			if err := pass(t.Context(), x.chunks...); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range some {
			if c.Err != nil || !slices.Equal(c.Hidden, whole[i].Hidden) {
				t.Fatalf("%s, text %d: %v, or another state", what, i, c.Err)
			}
			ids := lists[i]
			if ids == nil {
				for id := range int32(m.Vocabulary) {
					ids = append(ids, id)
				}
			}
			n := len(c.Hidden) / m.Width
			if len(c.Logits) != n*len(ids) {
				t.Fatalf("%s, text %d: %d logits of %d ids at %d positions", what, i, len(c.Logits), len(ids), n)
			}
			for j, got := range c.Logits {
				if want := whole[i].Logits[j/len(ids)*m.Vocabulary+int(ids[j%len(ids)])]; got != want {
					t.Fatalf("%s, text %d of role %v, id %d: %v, of all %v", what, i, decode, ids[j%len(ids)], got, want)
				}
			}
			if !decode {
				continue
			}
			want := slices.Clone(whole[i].Logits[len(whole[i].Logits)-m.Vocabulary:])
			got, err := last.Logits(c.Sequence, 3, slices.Clone(c.Hidden[len(c.Hidden)-m.Width:]))
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s, text %d: what is read out of the last state are other logits, %v", what, i, err)
			}
		}
	}
}

// sliceReader reads from bytes.
type sliceReader []byte

func (b sliceReader) ReadAt(p []byte, at int64) (int, error) { return copy(p, b[at:]), nil }
