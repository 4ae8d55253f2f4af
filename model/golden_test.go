package model

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/tensor"
)

// golden is what an exact float32 evaluation of a model gave.
type golden struct {
	model  string // path of the first part
	IDs    []int32
	Vocab  int
	Last   map[string][]float32 `json:"last_position"`
	Errors struct {
		Plain struct {
			MedianRMS float64 `json:"median_rms"`
		}
	} `json:"llama_cpp_error"`
	logits []float32 // [positions, vocabulary]
}

// file returns the path of a golden file: in testdata, or in the reference material if that is here.
func file(t testing.TB, folder, name string) string {
	t.Helper()
	if path := filepath.Join("testdata", name); exists(path) {
		return path
	}
	return testdata.Shared(t, "golden", folder, name)
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func readGolden(t testing.TB, name string) *golden {
	t.Helper()
	g := &golden{}
	readJSON(t, file(t, "text", name+".json"), g)
	g.logits = readFloats(t, file(t, "text", name+".logits.f32"))
	model := name + ".gguf"
	if name == "micro-odd" {
		model = name + "-00001-of-00003.gguf"
	}
	g.model = file(t, "text", model)
	return g
}

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func readFloats(t testing.TB, path string) []float32 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

func openModel(t testing.TB, path string, workers int) *Model {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(f, Options{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); f.Close() })
	return m
}

func every(int) bool { return true }

// read returns the logits of all positions of a prompt.
func read(t testing.TB, s *session, in ...Input) []float32 {
	t.Helper()
	var out []float32
	err := s.Read(context.Background(), in, every, func(pos int, logits []float32) error {
		if want := pos * len(logits); len(out) != want {
			t.Fatalf("logits of position %d come after %d", pos, len(out)/len(logits)-1)
		}
		out = append(out, logits...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func worst(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	w := 0.0
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		w = max(w, d)
	}
	return w
}

// medianRMS is the median over positions of the root mean square error over the vocabulary.
func medianRMS(got, want []float32, vocab int) float64 {
	if len(got) != len(want) || len(want) == 0 {
		return math.Inf(1)
	}
	var rms []float64
	for i := 0; i < len(want); i += vocab {
		sum := 0.0
		for j := range vocab {
			d := float64(got[i+j]) - float64(want[i+j])
			sum += d * d
		}
		rms = append(rms, math.Sqrt(sum/float64(vocab)))
	}
	slices.Sort(rms)
	return rms[len(rms)/2]
}

var microModels = []string{"micro-dense", "micro-moe", "micro-e", "micro-e4", "micro-odd"}

func TestF32ModelsAreExact(t *testing.T) {
	for _, name := range microModels {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			s := newSession(t, openModel(t, g.model, 2), SequenceOptions{Cache: tensor.F32})
			taps := map[string][]float32{}
			s.pass.tap = func(name string, layer int, x []float32) {
				if name == "l_out" {
					name = fmt.Sprintf("l_out-%d", layer)
				}
				taps[name] = slices.Clone(x)
			}
			got := read(t, s, Input{Tokens: g.IDs})
			logits, layers := worst(got, g.logits), 0.0
			if !(logits <= 1e-3) {
				t.Errorf("logits are off by %g, at most 1e-3 is allowed", logits)
			}
			for tap, want := range g.Last {
				w := worst(taps[tap], want)
				if !(w <= 1e-3) {
					t.Errorf("%s at the last position is off by %g, at most 1e-3 is allowed", tap, w)
				}
				layers = max(layers, w)
			}
			t.Logf("logits are off by %.2g at most, layers by %.2g", logits, layers)
			if len(g.Last) < 3 {
				t.Errorf("only %d layers to compare with", len(g.Last))
			}
		})
	}
}

var tinyModels = []string{"tiny-dense-q4_0", "tiny-dense-iq", "tiny-e-mix", "tiny-e4-q3_k_m", "tiny-moe-q4_k_m"}

func TestQuantisedModelsAreExact(t *testing.T) {
	for _, name := range tinyModels {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			m := openModel(t, g.model, 2)
			for _, batch := range []int{0, 7, 1} {
				if testing.Short() && batch > 0 {
					break
				}
				s := newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: batch})
				if e := medianRMS(read(t, s, Input{Tokens: g.IDs}), g.logits, g.Vocab); !(e <= 1e-4) {
					t.Errorf("batch %d: median error %g, at most 1e-4 is allowed", batch, e)
				}
			}
			s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
			e, limit := medianRMS(read(t, s, Input{Tokens: g.IDs}), g.logits, g.Vocab), g.Errors.Plain.MedianRMS/2
			if !(e <= limit) {
				t.Errorf("f16 cache: median error %g, at most %g is allowed", e, limit)
			}
			t.Logf("f16 cache: median error %.2g, limit %.2g", e, limit)
		})
	}
}

func TestEmbeddingsBetweenTokens(t *testing.T) {
	var cases struct {
		Prompts []struct {
			Text, MMProj, Input string
			Before, After       []int32
			Positions           int
			Logits              string
		}
		More []struct { // pictures that are larger than the window, and two in one prompt
			Text, Logits           string
			Before, Between, After []int32
			Soft                   []int `json:"soft_tokens"`
			Positions              int
			Embeddings             []string
		} `json:"more_prompts"`
	}
	readJSON(t, file(t, "mm", "mm.json"), &cases)
	if len(cases.Prompts) < 4 {
		t.Fatalf("only %d prompts", len(cases.Prompts))
	}
	run := func(t *testing.T, text, logits string, positions int, in ...Input) {
		want := readFloats(t, file(t, "mm", logits))
		m := openModel(t, readGolden(t, text).model, 2)
		if len(want) != positions*m.Vocabulary {
			t.Fatalf("%d logits, want %d positions of a vocabulary of %d", len(want), positions, m.Vocabulary)
		}
		for _, wholeKeys := range []bool{false, true} {
			for _, batch := range []int{0, 16, 6, 1} { // an image is longer than these, and is never cut
				s := newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: batch, wholeKeys: wholeKeys})
				got := read(t, s, in...)
				if s.Len() != positions {
					t.Fatalf("%d positions, want %d", s.Len(), positions)
				}
				w := worst(got, want)
				if !(w <= 1e-3) {
					t.Errorf("batch %d: logits are off by %g, at most 1e-3 is allowed", batch, w)
				}
				t.Logf("batch %d: the logits of %d positions are off by %.2g at most", batch, positions, w)
				// In two calls, the second after the first picture.
				s = newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: batch, wholeKeys: wholeKeys})
				if err := s.Read(ctx, in[:2], nil, nil); err != nil {
					t.Fatal(err)
				}
				n := s.Len()
				var rest []float32
				err := s.Read(ctx, in[2:], every, func(_ int, l []float32) error { rest = append(rest, l...); return nil })
				if err != nil {
					t.Fatal(err)
				}
				if w := worst(rest, got[n*m.Vocabulary:]); w != 0 {
					t.Errorf("batch %d: what follows the first picture differs by %g in a call of its own", batch, w)
				}
			}
		}
	}
	for _, c := range cases.Prompts {
		t.Run(c.Text+" "+c.MMProj+" "+c.Input, func(t *testing.T) {
			soft := readFloats(t, file(t, "mm", c.MMProj+"-"+c.Input+".f32"))
			run(t, c.Text, c.Logits, c.Positions, Input{Tokens: c.Before}, Input{Embeddings: soft, Image: c.Input == "image"},
				Input{Tokens: c.After})
		})
	}
	if len(cases.More) < 4 {
		t.Errorf("only %d prompts with more or larger pictures", len(cases.More))
	}
	for _, c := range cases.More {
		t.Run(strings.TrimSuffix(c.Logits, ".logits.f32"), func(t *testing.T) {
			in := []Input{{Tokens: c.Before}}
			for i, name := range c.Embeddings {
				if i > 0 {
					in = append(in, Input{Tokens: c.Between})
				}
				soft := readFloats(t, file(t, "mm", name))
				if width := len(soft) / c.Soft[i]; width*c.Soft[i] != len(soft) {
					t.Fatalf("%s has %d numbers for %d positions", name, len(soft), c.Soft[i])
				}
				in = append(in, Input{Embeddings: soft, Image: true})
			}
			run(t, c.Text, c.Logits, c.Positions, append(in, Input{Tokens: c.After})...)
		})
	}
}

func TestChunksGiveTheSameLogits(t *testing.T) {
	for _, name := range microModels {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			var want []float32
			for _, workers := range []int{1, 2, 7} {
				m := openModel(t, g.model, workers)
				for _, batch := range []int{0, 5, 1} {
					got := read(t, newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: batch}), Input{Tokens: g.IDs})
					if want == nil {
						want = got
					}
					if w := worst(got, want); w != 0 {
						t.Errorf("%d workers, batch %d: logits differ by %g from those of one worker and one chunk", workers, batch, w)
					}
				}
				// Token by token, in decode.
				s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
				for i, id := range g.IDs {
					got, err := s.Write(context.Background(), id)
					if err != nil {
						t.Fatal(err)
					}
					if w := worst(got, want[i*g.Vocab:(i+1)*g.Vocab]); w != 0 {
						t.Fatalf("%d workers, written token %d: logits differ by %g", workers, i, w)
					}
				}
			}
		})
	}
}

func TestUnreadLayersAreSkipped(t *testing.T) {
	for _, name := range []string{"micro-e", "micro-moe"} {
		g := readGolden(t, name)
		m := openModel(t, g.model, 2)
		all := newSession(t, m, SequenceOptions{Cache: tensor.F32})
		want := read(t, all, Input{Tokens: g.IDs})
		wanted := map[int]bool{3: true, 17: true, len(g.IDs) - 1: true}
		for _, batch := range []int{0, 4, 7} { // in passes of 4 most have no wanted position; of 7, the last is short
			some := newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: batch})
			seen := 0
			err := some.Read(context.Background(), []Input{{Tokens: g.IDs}}, func(pos int) bool { return wanted[pos] },
				func(pos int, logits []float32) error {
					seen++
					if w := worst(logits, want[pos*g.Vocab:][:g.Vocab]); w != 0 {
						t.Errorf("%s, position %d: logits differ by %g from a run that wants all", name, pos, w)
					}
					return nil
				})
			if err != nil {
				t.Fatal(err)
			}
			if seen != len(wanted) {
				t.Errorf("%s: logits of %d positions, want %d", name, seen, len(wanted))
			}
			if some.Ops() >= all.Ops() {
				t.Errorf("%s: %d multiply-adds for three positions, %d for all", name, some.Ops(), all.Ops())
			}
		}
	}
}

func TestSessionStaysUsableAfterAStop(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	for stop := range 12 {
		s := newSession(t, m, SequenceOptions{Cache: tensor.F32, Batch: 8})
		ctx := &countdown{Context: context.Background(), left: stop * 5}
		err := s.Read(ctx, []Input{{Tokens: g.IDs}}, nil, nil)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		// Read on from where it stopped.
		got := map[int][]float32{}
		err = s.Read(context.Background(), []Input{{Tokens: g.IDs[s.Len():]}}, every, func(pos int, l []float32) error {
			got[pos] = slices.Clone(l)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for pos, l := range got {
			if w := worst(l, g.logits[pos*g.Vocab:][:g.Vocab]); !(w <= 1e-3) {
				t.Errorf("stopped after %d checks: position %d is off by %g", stop*5, pos, w)
			}
		}
	}
}

// countdown is a context that ends after Err was asked a number of times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}
