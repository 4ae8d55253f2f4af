package gemma4

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// Whole models at every level of this machine.

// goldenModel is what an exact float32 evaluation of a model gave.
type goldenModel struct {
	IDs    []int32
	Vocab  int
	Errors struct {
		Plain struct {
			MedianRMS float64 `json:"median_rms"`
		}
	} `json:"llama_cpp_error"`
	path   string
	logits []float32 // [positions, vocabulary]
}

func readGoldenModel(t *testing.T, name string) *goldenModel {
	t.Helper()
	folder := filepath.Join("model", "testdata")
	if _, err := os.Stat(filepath.Join(folder, name+".json")); err != nil {
		folder = testdata.Shared(t, "golden", "text")
	}
	g := &goldenModel{path: filepath.Join(folder, name+".gguf")}
	if name == "micro-odd" {
		g.path = filepath.Join(folder, name+"-00001-of-00003.gguf")
	}
	b, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if err == nil {
		err = json.Unmarshal(b, g)
	}
	if err == nil {
		b, err = os.ReadFile(filepath.Join(folder, name+".logits.f32"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) >= 4; b = b[4:] {
		g.logits = append(g.logits, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return g
}

func (g *goldenModel) open(t *testing.T, k *tensor.Kernels, workers int) *model.Model {
	t.Helper()
	f, err := gguf.Open(g.path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f, model.Options{Kernels: k, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); f.Close() })
	return m
}

// sequence is a model.Sequence with a pass of its own.
type sequence struct {
	*model.Sequence
	pass *model.Pass
}

func open(t *testing.T, m *model.Model, batch int) *sequence {
	t.Helper()
	s, err := m.NewSequence(model.SequenceOptions{Cache: tensor.F32, Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &sequence{s, m.NewPass()}
}

// read hands over the logits of all positions of a prompt.
func (s *sequence) read(in []model.Input, yield func(logits []float32)) error {
	return s.pass.Read(context.Background(), &model.Chunk{
		Sequence: s.Sequence, Input: in, Want: func(int) bool { return true },
		Yield: func(_ int, logits []float32) error {
			yield(logits)
			return nil
		},
	})
}

// readAll returns the logits of all positions of a prompt.
func readAll(t *testing.T, s *sequence, ids []int32) (out []float32) {
	t.Helper()
	err := s.read([]model.Input{{Tokens: ids}}, func(l []float32) { out = append(out, l...) })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// writeAll returns the logits of all positions of a text that is decoded, that many tokens at a time.
func writeAll(t *testing.T, s *sequence, ids []int32, step int) (out []float32) {
	t.Helper()
	for ; len(ids) > 0; ids = ids[min(step, len(ids)):] {
		l, err := s.pass.Write(context.Background(), s.Sequence, ids[:min(step, len(ids))]...)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l...)
	}
	return out
}

func medianRMS(got, want []float32, vocab int) float64 {
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

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// skipShort leaves out all models but one in short runs: those under emulation or the race detector.
func skipShort(t *testing.T, name, kept string) {
	if testing.Short() && name != kept {
		t.Skip("short runs take one model")
	}
}

func TestFloatModelsAreExactAtEveryLevel(t *testing.T) {
	for _, name := range []string{"micro-dense", "micro-moe", "micro-e", "micro-e4", "micro-odd"} {
		t.Run(name, func(t *testing.T) {
			g := readGoldenModel(t, name)
			aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
				m := g.open(t, k, 2)
				for role, got := range map[string][]float32{"read": readAll(t, open(t, m, 0), g.IDs),
					"written": writeAll(t, open(t, m, 0), g.IDs, 1)} {
					worst := 0.0
					for i := range g.logits {
						worst = max(worst, math.Abs(float64(got[i])-float64(g.logits[i])))
					}
					if !(worst <= 1e-3) {
						t.Errorf("%s: logits are off by %g, at most 1e-3 is allowed", role, worst)
					}
				}
			})
		})
	}
}

func TestQuantisedModelsAtEveryLevel(t *testing.T) {
	for _, name := range []string{"tiny-dense-q4_0", "tiny-dense-iq", "tiny-e-mix", "tiny-e4-q3_k_m", "tiny-moe-q4_k_m"} {
		t.Run(name, func(t *testing.T) {
			skipShort(t, name, "tiny-e-mix")
			g := readGoldenModel(t, name)
			limit := 1.15 * g.Errors.Plain.MedianRMS // of an engine that rounds activations to 8 bits
			if name == "tiny-moe-q4_k_m" {
				limit *= 1.5 // another expert may win
			}
			aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
				m := g.open(t, k, 2)
				for role, got := range map[string][]float32{"read": readAll(t, open(t, m, 0), g.IDs),
					"written": writeAll(t, open(t, m, 0), g.IDs, 1)} {
					e, limit := medianRMS(got, g.logits, g.Vocab), limit
					if k.Name == "amx" && role == "read" {
						limit *= 0.5 / 1.15 // bf16 is twice as close
					}
					if !(e <= limit) {
						t.Errorf("%s: median error %g, at most %g is allowed", role, e, limit)
					}
					t.Logf("%s: median error %.3g, limit %.3g", role, e, limit)
				}
			})
		})
	}
}

func TestExactArithmeticAtEveryLevel(t *testing.T) {
	for _, name := range []string{"tiny-dense-q4_0", "tiny-dense-iq", "tiny-e-mix", "tiny-e4-q3_k_m", "tiny-moe-q4_k_m"} {
		t.Run(name, func(t *testing.T) {
			skipShort(t, name, "tiny-e-mix")
			g := readGoldenModel(t, name)
			aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
				m := g.open(t, k.Exact(), 2)
				for role, got := range map[string][]float32{"read": readAll(t, open(t, m, 0), g.IDs),
					"written": writeAll(t, open(t, m, 0), g.IDs, 1)} {
					if e := medianRMS(got, g.logits, g.Vocab); !(e <= 1e-4) {
						t.Errorf("%s: median error %g, at most 1e-4 is allowed", role, e)
					}
				}
			})
		})
	}
}

// TestRolesDecideTheBits: the role of a token decides its arithmetic, not how many go together, nor who is beside it.
func TestRolesDecideTheBits(t *testing.T) {
	for _, name := range []string{"micro-e", "micro-moe", "tiny-e-mix", "tiny-moe-q4_k_m", "tiny-dense-q4_0"} {
		t.Run(name, func(t *testing.T) {
			skipShort(t, name, "micro-e")
			g := readGoldenModel(t, name)
			for _, k := range levels() {
				t.Run(k.Name, func(t *testing.T) {
					var read, written []float32
					for _, workers := range []int{1, 3} {
						m := g.open(t, k, workers)
						for _, batch := range []int{0, 5, 1} {
							got := readAll(t, open(t, m, batch), g.IDs)
							if read == nil {
								read = got
							}
							if !sameBits(got, read) {
								t.Errorf("%d workers: a prompt in steps of %d has other bits", workers, batch)
							}
						}
						for _, step := range []int{1, 3, 16} {
							got := writeAll(t, open(t, m, 0), g.IDs, step)
							if written == nil {
								written = got
							}
							if !sameBits(got, written) {
								t.Errorf("%d workers: %d tokens written at a time have other bits", workers, step)
							}
						}
						// A prompt on a reused prefix, beside another session.
						s, other := open(t, m, 0), open(t, m, 0)
						readAll(t, s, g.IDs[:len(g.IDs)-4])
						if n := s.Truncate(len(g.IDs) - 9); n != len(g.IDs)-9 {
							t.Fatalf("%d positions left", n)
						}
						done := make(chan struct{})
						go func() {
							defer close(done)
							other.pass.Read(context.Background(),
								&model.Chunk{Sequence: other.Sequence, Input: []model.Input{{Tokens: g.IDs}}})
						}()
						if got := readAll(t, s, g.IDs[len(g.IDs)-9:]); !sameBits(got, read[(len(g.IDs)-9)*g.Vocab:]) {
							t.Errorf("%d workers: a prompt on a reused prefix has other bits", workers)
						}
						<-done
					}
				})
			}
		})
	}
}

// packedAndPlain returns a small model in a format, and the same weights in F32.
func packedAndPlain(t *testing.T, format tensor.Format) (packed, plain *gguf.File) {
	t.Helper()
	c, err := synth.Parse("tiny-dense:" + strings.ToLower(format.String()))
	if err != nil {
		t.Fatal(err)
	}
	if packed, err = gguf.OpenBytes(synth.Bytes(c)); err != nil {
		t.Fatal(err)
	}
	found := 0
	var sources []gguf.Source
	for _, x := range packed.Tensors {
		raw, err := x.Data()
		if err != nil {
			t.Fatal(err)
		}
		f := model.Format(x)
		if f == format {
			found++
		}
		values := make([]float32, len(raw)/f.BlockBytes()*f.BlockLen())
		f.Decode(values, raw)
		data := make([]byte, 4*len(values))
		if err := tensor.F32.Encode(data, values); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, gguf.NewSource(x.Name, gguf.F32, x.Dims, data))
	}
	if found < 20 {
		t.Fatalf("%v: only %d tensors are of that format", format, found)
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, packed.Metadata, sources); err != nil {
		t.Fatal(err)
	}
	if plain, err = gguf.OpenBytes(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	return packed, plain
}

// logitsOf prefills and decodes a short text.
func logitsOf(t *testing.T, f *gguf.File, k *tensor.Kernels) (read, written []float32, vocabulary int) {
	t.Helper()
	m, err := model.New(f, model.Options{Kernels: k, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ids := []int32{2, 17, 301, 5, 44, 260, 9, 1}
	return readAll(t, open(t, m, 4), ids), writeAll(t, open(t, m, 4), ids, 1), m.Vocabulary
}

// TestHalfModelsAtEveryLevel compares models in F16 and BF16 with the same weights in F32. Where their weights and activations are rounded
// to bf16, that costs a prompt's logits less than a fiftieth of their deviation.
func TestHalfModelsAtEveryLevel(t *testing.T) {
	for _, format := range []tensor.Format{tensor.F16, tensor.BF16} {
		packed, plain := packedAndPlain(t, format)
		read, written, vocabulary := logitsOf(t, plain, tensor.Portable())
		deviation := medianRMS(read, make([]float32, len(read)), vocabulary)
		aboveLevels(t, func(t *testing.T, k *tensor.Kernels) {
			r, w, _ := logitsOf(t, packed, k)
			limit := 1e-4
			if k.HalfPanels != nil || k.Panels.PackW[format] != nil || k.Name == "i8mm" && format == tensor.BF16 {
				limit = 0.02
			}
			if e := medianRMS(r, read, vocabulary) / deviation; !(e <= limit) {
				t.Errorf("%v: the prompt's logits are off by %.3g of their deviation, at most %g is allowed", format, e, limit)
			} else {
				t.Logf("%v: the prompt's logits are off by %.3g of their deviation", format, e)
			}
			if e := medianRMS(w, written, vocabulary) / deviation; !(e <= 1e-4) {
				t.Errorf("%v: logits of decode are off by %.3g of their deviation, at most 1e-4 is allowed", format, e)
			}
		})
	}
}

// TestExactArithmeticIsThatOfDecodedWeights compares models in every format with the same weights in F32.
func TestExactArithmeticIsThatOfDecodedWeights(t *testing.T) {
	formats := 0
	for _, format := range tensor.Formats() {
		formats++
		if testing.Short() && format%5 != 0 {
			continue
		}
		packed, plain := packedAndPlain(t, format)
		wantRead, want, vocabulary := logitsOf(t, plain, tensor.Portable())
		for _, k := range levels() {
			gotRead, got, _ := logitsOf(t, packed, k.Exact())
			e := max(medianRMS(gotRead, wantRead, vocabulary), medianRMS(got, want, vocabulary))
			if !(e <= 1e-5) {
				t.Errorf("%v at %s: median error %.2g, at most 1e-5 is allowed", format, k.Name, e)
			}
			t.Logf("%v at %s: median error %.2g", format, k.Name, e)
		}
	}
	t.Logf("%d formats", formats-1) // one has blocks of two sizes
}

// TestFormatsOfOneAndTwoBitsRunAtEveryLevel compares models in formats that no level has kernels for with the same weights in F32.
func TestFormatsOfOneAndTwoBitsRunAtEveryLevel(t *testing.T) {
	for _, format := range []tensor.Format{tensor.Q1_0, tensor.Q2_0, tensor.Q2_0_128} {
		packed, plain := packedAndPlain(t, format)
		for _, k := range Levels() {
			gotRead, got, vocabulary := logitsOf(t, packed, k)
			wantRead, want, _ := logitsOf(t, plain, k)
			if !sameBits(got, want) {
				t.Errorf("%v at %s: other logits than with the same weights in F32", format, k.Name)
			}
			if rms := medianRMS(gotRead, wantRead, vocabulary); !(rms < 0.1) {
				t.Errorf("%v at %s: a prompt's logits are off by %.3g", format, k.Name, rms)
			} else {
				t.Logf("%v at %s: a prompt's logits are off by %.3g", format, k.Name, rms)
			}
		}
	}
}

// TestWeightsReadWhenNeededAtEveryLevel compares a model whose weights stay in a reader with the mapped one.
func TestWeightsReadWhenNeededAtEveryLevel(t *testing.T) {
	for _, name := range []string{"tiny-e-mix", "tiny-moe-q4_k_m", "micro-e"} {
		t.Run(name, func(t *testing.T) {
			skipShort(t, name, "tiny-e-mix")
			g := readGoldenModel(t, name)
			data, err := os.ReadFile(g.path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := gguf.OpenReaderAt(gguf.Part{Name: name, ReaderAt: bytes.NewReader(data), Size: int64(len(data))})
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range Levels() {
				needed, err := model.New(f, model.Options{Kernels: k, Workers: 2, Resident: -1})
				if err != nil {
					t.Fatal(err)
				}
				mapped := g.open(t, k, 2)
				if !sameBits(readAll(t, open(t, needed, 5), g.IDs[:12]), readAll(t, open(t, mapped, 5), g.IDs[:12])) {
					t.Errorf("%s at %s: a prompt has other logits", name, k.Name)
				}
				if !sameBits(writeAll(t, open(t, needed, 5), g.IDs[:4], 2), writeAll(t, open(t, mapped, 5), g.IDs[:4], 2)) {
					t.Errorf("%s at %s: written tokens have other logits", name, k.Name)
				}
				needed.Close()
			}
		})
	}
}

// TestCompanyChangesNothingAtAnyLevel takes seven texts of different lengths, depths and cache formats through a model, each alone and all
// in common passes: prompts of three in a prefill, all in a decode. Models keep keys and values whole, tied or shared, or have experts.
func TestCompanyChangesNothingAtAnyLevel(t *testing.T) {
	for _, spec := range []string{"tiny-e:q4_0", "tiny-moe:q4_0", "tiny-dense:q8_0", "26b-narrow:q4_0"} {
		t.Run(spec, func(t *testing.T) {
			skipShort(t, spec, "tiny-moe:q4_0")
			c, err := synth.Parse(spec)
			if err != nil {
				t.Fatal(err)
			}
			c.Width = 64 // with heads as they are
			for i := range c.MLP {
				c.MLP[i] = 64
			}
			if c.Layers > 12 { // one of each kind
				c.Layers = slices.Index(c.Sliding, false) + 1
				c.Sliding, c.KVHeads = c.Sliding[:c.Layers], c.KVHeads[:c.Layers]
			}
			data := synth.Bytes(c)
			for _, k := range levels() {
				if k.Name == "portable" && c.HeadSize > 128 {
					continue // takes a minute
				}
				t.Run(k.Name, func(t *testing.T) {
					var want [][]float32
					for _, workers := range []int{1, 3} {
						f, err := gguf.OpenBytes(data)
						if err != nil {
							t.Fatal(err)
						}
						m, err := model.New(f, model.Options{Kernels: k, Workers: workers})
						if err != nil {
							t.Fatal(err)
						}
						defer m.Close()
						if want == nil {
							want = company(t, m, 1)
						}
						got := company(t, m, 7)
						for i := range want {
							if !sameBits(got[i], want[i]) {
								t.Errorf("%d workers: text %d has other bits in company than alone with one", workers, i)
							}
						}
					}
				})
			}
		})
	}
}

// company takes the texts through the model, that many at a time, and returns all logits and hidden states that each wanted.
func company(t *testing.T, m *model.Model, together int) (out [][]float32) {
	lengths := []int{1, 40, 7, 530, 3, 270, 18}
	if testing.Short() {
		lengths[3] = 130
	}
	image := make([]float32, 9*m.Width)
	for i := range image {
		image[i] = float32(i%7) - 3
	}
	texts := make([]*model.Chunk, len(lengths))
	for i := range texts {
		s, err := m.NewSequence(model.SequenceOptions{Cache: []tensor.Format{tensor.F16, tensor.Q8_0, tensor.F32, tensor.Q4_0}[i%4]})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		texts[i] = &model.Chunk{Sequence: s}
	}
	out = make([][]float32, len(texts))
	p := m.NewPass()
	// step gives each text that many tokens and takes them through the model, at most so many texts at a time.
	step := func(pass func(context.Context, ...*model.Chunk) error, most int, count func(i int) int, want func(i, left int) bool) {
		t.Helper()
		for i, c := range texts {
			var ids []int32
			n := count(i)
			for j := range n {
				ids = append(ids, int32((i*131+c.Sequence.Len()*7+j*29)%m.Vocabulary))
			}
			end := c.Sequence.Len() + n
			c.Input = []model.Input{{Tokens: ids}}
			if n == 40 {
				c.Input = []model.Input{{Tokens: ids[:20]}, {Embeddings: image, Image: true}, {Tokens: ids[20:]}}
				end += 9
			}
			c.Want = func(pos int) bool { return want(i, end-1-pos) }
		}
		for from := 0; from < len(texts); from += most {
			to := min(from+most, len(texts))
			if err := pass(context.Background(), texts[from:to]...); err != nil {
				t.Fatal(err)
			}
			for i, c := range texts[from:to] {
				if c.Err != nil {
					t.Fatal(c.Err)
				}
				out[from+i] = append(append(out[from+i], c.Logits...), c.Hidden...)
			}
		}
	}
	all := func(int, int) bool { return true }
	last := func(_, left int) bool { return left == 0 }
	one := func(int) int { return 1 }
	prompts := min(together, 3)
	step(p.Prefill, prompts, func(i int) int { return lengths[i] }, last)
	step(p.Decode, together, one, all)
	step(p.Decode, together, func(i int) int { return 1 + i*2%5 }, func(i, left int) bool { return i != 2 && left%2 == 0 })
	for i, c := range texts {
		c.Sequence.Truncate(c.Sequence.Len() - i%3)
	}
	step(p.Prefill, prompts, func(i int) int { return 2 + i*5%9 }, all)
	step(p.Decode, together, one, all)
	return out
}
