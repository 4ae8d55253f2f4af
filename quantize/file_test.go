package quantize_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/imatrix"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/quantize"
	"github.com/gogemma/gemma4/tensor"
)

// save writes bytes to a file of that name in a folder.
func save(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// model writes a model of random weights and returns its path. It has four layers.
func model(t testing.TB, spec string) string {
	t.Helper()
	s, err := synth.ParseShape(spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := s.(synth.Config); ok {
		c.Layers, c.Sliding, c.MLP = 4, []bool{true, false, true, false}, c.MLP[:1]
		c.SharedKV = min(c.SharedKV, 2)
		if len(c.KVHeads) > 1 {
			c.KVHeads = []int{4, 2, 4, 2}
		}
		s = c
	}
	return save(t, t.TempDir(), strings.ReplaceAll(spec, ":", "-")+".gguf", synth.Bytes(s))
}

// file quantises and returns the bytes.
func file(t testing.TB, in string, o quantize.Options) ([]byte, *quantize.Report) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.gguf")
	r, err := quantize.File(t.Context(), in, out, o)
	if err != nil {
		t.Fatalf("%v: %v", o.Type, err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Out != int64(len(data)) {
		t.Errorf("%v: a report of %d bytes on a file of %d", o.Type, r.Out, len(data))
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 1 {
		t.Errorf("%v: left over: %v, %v", o.Type, left, err)
	}
	return data, r
}

// open opens a file that lies in memory.
func open(t testing.TB, data []byte) *gguf.File {
	t.Helper()
	f, err := gguf.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// values returns the numbers of a tensor.
func values(t testing.TB, x *gguf.Tensor) []float32 {
	t.Helper()
	data, err := x.Data()
	if err != nil {
		t.Fatal(err)
	}
	f := tensor.Format(x.Type)
	out := make([]float32, len(data)/f.BlockBytes()*f.BlockLen())
	f.Decode(out, data)
	return out
}

// apart returns the root of the mean square of a − b, over that of b.
func apart(a, b []float32) float64 {
	var d, n float64
	for i := range b {
		d += float64(a[i]-b[i]) * float64(a[i]-b[i])
		n += float64(b[i]) * float64(b[i])
	}
	return math.Sqrt(d / n)
}

// logits returns those behind each token of a text, in exact arithmetic.
func logits(t testing.TB, data []byte) []float32 {
	t.Helper()
	m, err := gemma4.Loader{Exact: true}.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return logitsWith(t, m, nil)
}

// logitsWith returns those of a model with adapters.
func logitsWith(t testing.TB, m *gemma4.Model, adapters []gemma4.Scaled) (all []float32) {
	t.Helper()
	s, err := m.NewSession(gemma4.SessionOptions{Cache: gemma4.CacheF32, Adapters: adapters})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ids := []int32{2, 45, 300, 7, 511, 88, 19, 204, 3, 77}
	if err := s.AllLogits(t.Context(), ids, func(_ int, x []float32) error { all = append(all, x...); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryTypeOpensAndIsNearItsSource(t *testing.T) {
	// The most that a matrix of normally distributed weights may be off, as a share of them, by the bits of most of it.
	most := map[quantize.Type]float64{
		quantize.F32: 0, quantize.BF16: 0.0017, quantize.F16: 0.0003, quantize.Q8_0: 0.006, quantize.Q6_K: 0.020, quantize.Q5_1: 0.038,
		quantize.Q5_K_M: 0.037, quantize.Q5_K_S: 0.037, quantize.Q5_0: 0.046, quantize.Q4_1: 0.077, quantize.Q4_K_M: 0.074,
		quantize.Q4_K_S: 0.074, quantize.Q4_0: 0.093, quantize.IQ4_NL: 0.078, quantize.IQ4_XS: 0.082,
	}
	for _, spec := range []string{"tiny-e", "tiny-moe"} {
		in := model(t, spec)
		source, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		want, from := logits(t, source), open(t, source)
		for _, kind := range quantize.Types() {
			data, _ := file(t, in, quantize.Options{Type: kind})
			f := open(t, data)
			if n, err := f.Metadata.Int("general.file_type"); err != nil || n != int64(kind) {
				t.Errorf("%s %v: file type %d, %v", spec, kind, n, err)
			}
			if n, err := f.Metadata.Int("general.quantization_version"); err != nil || n != 2 {
				t.Errorf("%s %v: version %d, %v", spec, kind, n, err)
			}
			if len(f.Tensors) != len(from.Tensors) {
				t.Fatalf("%s %v: %d tensors, want %d", spec, kind, len(f.Tensors), len(from.Tensors))
			}
			for i, x := range f.Tensors {
				o := from.Tensors[i]
				if x.Name != o.Name || fmt.Sprint(x.Dims) != fmt.Sprint(o.Dims) {
					t.Fatalf("%s %v: tensor %d is %s %v, want %s %v", spec, kind, i, x.Name, x.Dims, o.Name, o.Dims)
				}
				if d := apart(values(t, x), values(t, o)); !(d <= most[kind]) {
					t.Errorf("%s %v: %s in %v is off by %.4f, want at most %.4f", spec, kind, x.Name, x.Type, d, most[kind])
				}
			}
			// Errors of the matrices come to the logits a few times as large, more so if another expert is chosen.
			if d := apart(logits(t, data), want); !(d <= 7*most[kind]) {
				t.Errorf("%s %v: logits are off by %.4f, want at most %.4f", spec, kind, d, 7*most[kind])
			}
		}
	}
}

func TestFilesHaveTheSameBytesWithAnyNumberOfThreads(t *testing.T) {
	in := model(t, "tiny-moe:bf16")
	importance := matrixFor(t, in, 1)
	for _, kind := range []quantize.Type{quantize.Q4_K_M, quantize.Q8_0} {
		var first []byte
		for _, threads := range []int{1, 2, 5, 1 << 30} {
			data, _ := file(t, in, quantize.Options{Type: kind, Importance: importance, Threads: threads})
			if first == nil {
				first = data
			}
			if !bytes.Equal(data, first) {
				t.Errorf("%v: %d threads write other bytes", kind, threads)
			}
		}
	}
}

// matrixFor writes an importance matrix for the matrices of a model's layers.
func matrixFor(t testing.TB, in string, seed uint64) string {
	t.Helper()
	f, err := gguf.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := rand.New(rand.NewPCG(seed, 1))
	m := &imatrix.Matrix{Datasets: []string{"text"}, Chunks: 7, ChunkSize: 512, Entries: map[string]*imatrix.Entry{}}
	for _, x := range f.Tensors {
		if len(x.Dims) < 2 || !strings.HasPrefix(x.Name, "blk.") {
			continue
		}
		experts := 1
		if len(x.Dims) > 2 {
			experts = x.Dims[2]
		}
		e := &imatrix.Entry{Sums: make([]float32, experts*x.Dims[0]), Counts: make([]float32, experts)}
		for i := range e.Sums {
			e.Sums[i] = float32(math.Exp(4 * r.NormFloat64())) // a few columns count most
		}
		for i := range e.Counts {
			e.Counts[i] = 10
		}
		m.Entries[x.Name] = e
	}
	path := filepath.Join(t.TempDir(), "importance.gguf")
	if err := m.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImportanceKeepsTheErrorWhereItDoesLittleHarm(t *testing.T) {
	in := model(t, "tiny-moe")
	importance := matrixFor(t, in, 3)
	m, err := imatrix.Open(importance)
	if err != nil {
		t.Fatal(err)
	}
	source, err := gguf.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	plain, _ := file(t, in, quantize.Options{Type: quantize.Q4_K_S})
	data, r := file(t, in, quantize.Options{Type: quantize.Q4_K_S, Importance: importance})
	if r.Unknown != 0 {
		t.Errorf("%d matrices are unknown", r.Unknown)
	}
	a, b := open(t, plain), open(t, data)
	for _, x := range source.Tensors {
		e := m.Entries[x.Name]
		if e == nil || b.Tensor(x.Name).Type != gguf.Q4_K {
			continue
		}
		n := x.Dims[0] * x.Dims[1]
		harm := func(f *gguf.File) (sum float64) {
			got, want := values(t, f.Tensor(x.Name)), values(t, x)
			for i := range got {
				d := float64(got[i] - want[i])
				sum += float64(e.Sums[i/n*x.Dims[0]+i%x.Dims[0]]) * d * d
			}
			return sum
		}
		if with, without := harm(b), harm(a); with > 0.8*without {
			t.Errorf("%s: with importance the harm is %.3g, without %.3g", x.Name, with, without)
		}
	}
	for key, want := range map[string]any{
		"quantize.imatrix.file": "importance.gguf", "quantize.imatrix.dataset": "text",
		"quantize.imatrix.entries_count": int32(len(m.Entries)), "quantize.imatrix.chunks_count": int32(7),
	} {
		if got, _ := b.Metadata.Value(key); got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	// What is made of it without is not said to be made with it.
	again, _ := file(t, save(t, t.TempDir(), "again.gguf", data), quantize.Options{Type: quantize.Q8_0})
	for _, key := range open(t, again).Metadata.Keys() {
		if strings.HasPrefix(key, "quantize.") {
			t.Errorf("%s is still there", key)
		}
	}
}

// trained returns a model whose matrices lie on grids of 4 bits, as quantisation-aware training leaves them: integers times a step for
// each 32, rounded to BF16. Its layers' norms are those of the model.
func trained(t testing.TB, in string, seed uint64) []byte {
	t.Helper()
	f, err := gguf.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := rand.New(rand.NewPCG(seed, 2))
	var sources []gguf.Source
	for _, x := range f.Tensors {
		if len(x.Dims) < 2 || strings.Contains(x.Name, "ffn_gate_inp") {
			sources = append(sources, x.Source())
			continue
		}
		v := values(t, x)
		data := make([]byte, 2*len(v))
		for i := 0; i < len(v); i += 32 {
			step := float32(0.01 * math.Exp(r.NormFloat64()/4))
			top := 1 + r.IntN(8) // the level of the largest
			for j := range 32 {
				v[i+j] = step * float32(r.IntN(2*top+1)-top)
				if v[i+j] > 7*step {
					v[i+j] = 7 * step
				}
			}
		}
		if err := tensor.BF16.Encode(data, v); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, gguf.NewSource(x.Name, gguf.BF16, x.Dims, data))
	}
	return testdata.Bytes(t, f.Metadata, sources)
}

func TestCheckpointsOfQuantisationAwareTrainingArePackedExactly(t *testing.T) {
	in := save(t, t.TempDir(), "trained.gguf", trained(t, model(t, "tiny-e"), 1))
	data, r := file(t, in, quantize.Options{Type: quantize.Q4_0})
	source, err := gguf.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	f, matrices := open(t, data), 0
	for _, x := range f.Tensors {
		o := source.Tensor(x.Name)
		if o.Type != gguf.BF16 {
			continue
		}
		matrices++
		if x.Type != gguf.Q4_0 {
			t.Errorf("%s is in %v, want Q4_0", x.Name, x.Type)
			continue
		}
		if d := apart(values(t, x), values(t, o)); d > 0.004 { // a step's rounding to BF16
			t.Errorf("%s is off by %.5f", x.Name, d)
		}
	}
	g := r.Grid
	if g.Tensors != matrices || matrices < 30 || g.OnGrid != g.Blocks || float64(g.Identical) < 0.9*float64(g.Blocks) {
		t.Errorf("%d matrices, %+v", matrices, g)
	}
	if notes := strings.Join(r.Notes(), "\n"); !strings.Contains(notes, "100.00% of their blocks exactly") {
		t.Errorf("notes %s", notes)
	}

	// Other types, and weights that are on no grid, are none of its business.
	if _, r := file(t, in, quantize.Options{Type: quantize.Q4_1}); r.Grid.Tensors != 0 {
		t.Errorf("as Q4_1: %+v", r.Grid)
	}
	if _, r := file(t, model(t, "tiny-e:bf16"), quantize.Options{Type: quantize.Q4_0}); r.Grid.Tensors != 0 {
		t.Errorf("of random weights: %+v", r.Grid)
	}
}

func TestWhatHasTheFormatIsCopied(t *testing.T) {
	in := model(t, "tiny-e:q8_0")
	data, r := file(t, in, quantize.Options{Type: quantize.Q8_0})
	source, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	a, b := open(t, source), open(t, data)
	for i, x := range a.Tensors {
		want, _ := x.Data()
		if got, _ := b.Tensors[i].Data(); !bytes.Equal(got, want) {
			t.Errorf("%s has other bytes", x.Name)
		}
	}
	if r.Requantised != 0 || len(r.Notes()) != 0 {
		t.Errorf("%d matrices are requantised, %q", r.Requantised, r.Notes())
	}
	if _, r := file(t, in, quantize.Options{Type: quantize.Q4_0}); r.Requantised < 30 || len(r.Notes()) != 1 {
		t.Errorf("as Q4_0: %d matrices are requantised, %q", r.Requantised, r.Notes())
	}
}

func TestPartsBecomeOneFile(t *testing.T) {
	path := model(t, "tiny-dense:bf16")
	whole, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	parts, err := gguf.WriteSplit(filepath.Join(t.TempDir(), "split.gguf"), 3, whole.Metadata, testdata.Sources(t, whole))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := file(t, path, quantize.Options{Type: quantize.Q4_0})
	if got, _ := file(t, parts[1], quantize.Options{Type: quantize.Q4_0}); !bytes.Equal(got, want) {
		t.Error("the parts give other bytes than the whole")
	}
	for _, part := range parts {
		_, err := quantize.File(t.Context(), parts[0], part, quantize.Options{Type: quantize.Q4_0, Overwrite: true})
		if err == nil || !strings.Contains(err.Error(), "is read for it") {
			t.Errorf("%s is overwritten: %v", part, err)
		}
	}
}

func TestCheckpointsGiveTheFileOfTheSameWeights(t *testing.T) {
	for _, spec := range []string{"tiny-e:bf16", "tiny-moe:bf16"} {
		c, err := synth.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(spec, ":")
		p, err := synth.ParseProjector(name + "-mmproj:bf16")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := (synth.Checkpoint{Model: c, Projector: &p, Format: tensor.BF16, Shards: 2}).Write(dir); err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			shape     synth.Shape
			projector bool
		}{{c, false}, {p, true}} {
			want, _ := file(t, save(t, t.TempDir(), "whole.gguf", synth.Bytes(x.shape)), quantize.Options{Type: quantize.Q5_0})
			got, _ := file(t, dir, quantize.Options{Type: quantize.Q5_0, Projector: x.projector})
			a, b := open(t, want), open(t, got)
			for _, w := range a.Tensors {
				g := b.Tensor(w.Name)
				if g == nil {
					t.Errorf("%s: %s is missing", spec, w.Name)
					continue
				}
				p, _ := w.Data()
				q, _ := g.Data() // vectors were rounded to BF16 on the way
				if g.Type != w.Type || g.Type != gguf.F32 && !bytes.Equal(p, q) {
					t.Errorf("%s: %s in %v has other bytes than in %v", spec, w.Name, g.Type, w.Type)
				}
			}
		}
		for _, part := range []string{"model-00001-of-00002.safetensors", "config.json"} {
			_, err := quantize.File(t.Context(), dir, filepath.Join(dir, part), quantize.Options{Overwrite: true})
			if err == nil || !strings.Contains(err.Error(), "is read for it") {
				t.Errorf("%s is overwritten: %v", part, err)
			}
		}
		beside := save(t, dir, "beside.gguf", []byte("an older one"))
		if _, err := quantize.File(t.Context(), dir, beside, quantize.Options{Overwrite: true}); err != nil {
			t.Errorf("a file beside the checkpoint, and no part of it: %v", err)
		}
	}
}

func TestProjectorsAndDraftersAreQuantised(t *testing.T) {
	for _, spec := range []string{"tiny-e-mmproj", "tiny-dense-mmproj", "tiny-moe-mmproj"} {
		for _, kind := range []quantize.Type{quantize.Q8_0, quantize.Q4_K_M, quantize.F16} {
			data, r := file(t, model(t, spec), quantize.Options{Type: kind})
			if len(r.Formats) < 2 {
				t.Errorf("%s %v: formats %v", spec, kind, r.Formats)
			}
			pair := model(t, strings.TrimSuffix(spec, "-mmproj"))
			l := gemma4.Loader{Projector: gemma4.Companion{Path: save(t, t.TempDir(), "mmproj.gguf", data)}}
			m, err := l.Open(pair)
			if err != nil {
				t.Errorf("%s %v: %v", spec, kind, err)
				continue
			}
			m.Close()
		}
	}
}

func TestWhatCannotBeWrittenIsRefused(t *testing.T) {
	dir := t.TempDir()
	in := model(t, "tiny-dense:bf16")
	there := save(t, dir, "there.gguf", []byte("precious"))
	other := matrixFor(t, model(t, "micro-moe"), 1)
	nan := func() string {
		f, err := gguf.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sources := testdata.Sources(t, f)
		for i, x := range sources {
			if x.Name == "blk.2.ffn_up.weight" {
				data, _ := f.Tensor(x.Name).Data()
				data = bytes.Clone(data)
				binary.LittleEndian.PutUint16(data[2*(300*x.Dims[0]+17):], 0x7FC0)
				sources[i] = gguf.NewSource(x.Name, x.Type, x.Dims, data)
			}
		}
		return save(t, dir, "nan.gguf", testdata.Bytes(t, f.Metadata, sources))
	}()
	if err := os.MkdirAll(filepath.Join(dir, "grows.gguf.part"), 0o777); err != nil {
		t.Fatal(err)
	}
	grows := filepath.Join(t.TempDir(), "whole.gguf")
	if err := os.Rename(model(t, "micro-e"), grows+".part"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, in, out, want string
		o                   quantize.Options
	}{
		{"no such model", filepath.Join(dir, "missing.gguf"), "x.gguf", "missing.gguf", quantize.Options{}},
		{"no model", there, "x.gguf", "there.gguf", quantize.Options{}},
		{"no such type", in, "x.gguf", "unknown type 99", quantize.Options{Type: 99}},
		{"a file that is there", in, "there.gguf", "is kept unless Overwrite is set", quantize.Options{}},
		{"the model itself", in, in, "is read for it", quantize.Options{Overwrite: true}},
		{"no name", in, "", "has no name", quantize.Options{}},
		{"a folder where the file would grow", in, "grows.gguf", "grows.gguf.part is not a regular file", quantize.Options{}},
		{"a model where the file would grow", grows + ".part", grows, "is read for it", quantize.Options{}},
		{"a folder", in, ".", "not a regular file", quantize.Options{Overwrite: true}},
		{"nowhere", in, filepath.Join("nowhere", "x.gguf"), "nowhere", quantize.Options{}},
		{"no such matrix", in, "x.gguf", "missing", quantize.Options{Importance: filepath.Join(dir, "missing")}},
		{"the matrix itself", in, other, "is read for it", quantize.Options{Importance: other, Overwrite: true}},
		{"another model's matrix", in, "x.gguf", "is it of another model?", quantize.Options{Importance: other}},
		{"no such adapter", in, "x.gguf", "missing", quantize.Options{Adapters: []quantize.Adapter{{filepath.Join(dir, "missing"), 1}}}},
		{"no adapter", in, "x.gguf", "adapter", quantize.Options{Adapters: []quantize.Adapter{{in, 1}}}},
		{"not a number", nan, "x.gguf", "blk.2.ffn_up.weight", quantize.Options{Type: quantize.Q4_0}},
		{"where", nan, "x.gguf", "row 300, column 17", quantize.Options{Type: quantize.Q4_0}},
		{"a projector of a model", in, "x.gguf", "projector", quantize.Options{Projector: true}},
	} {
		out := test.out
		if out != "" && !filepath.IsAbs(out) {
			out = filepath.Join(dir, out)
		}
		_, err := quantize.File(t.Context(), test.in, out, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "quantize: ") {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := quantize.File(t.Context(), in, there, quantize.Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if b, _ := os.ReadFile(there); string(b) != "precious" {
		t.Error("the file that was there is gone")
	}
	if left, _ := os.ReadDir(dir); len(left) != 3 {
		t.Errorf("left over: %v", left)
	}
	if _, err := os.Stat(grows + ".part"); err != nil {
		t.Errorf("the model is gone: %v", err)
	}
	if _, err := quantize.File(t.Context(), in, there, quantize.Options{Type: quantize.Q8_0, Overwrite: true}); err != nil {
		t.Error(err)
	}
	if _, err := gguf.Open(there); err != nil {
		t.Errorf("what took its place: %v", err)
	}
}

func TestTheEndOfAContextLeavesNothing(t *testing.T) {
	in, dir := model(t, "tiny-dense:bf16"), t.TempDir()
	for _, at := range []int{0, 1, 5} {
		ctx, stop := context.WithCancelCause(t.Context())
		calls, mine := 0, errors.New("enough")
		if at == 0 {
			stop(mine)
		}
		o := quantize.Options{Type: quantize.Q4_K_M, Progress: func(int64, int64) {
			if calls++; calls == at {
				stop(mine)
			}
		}}
		_, err := quantize.File(ctx, in, filepath.Join(dir, "out.gguf"), o)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, mine) {
			t.Errorf("stopped at call %d: %v", at, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("stopped at call %d: left over: %v", at, left)
		}
		stop(nil)
	}
}

func TestProgressTellsOfEachByte(t *testing.T) {
	last, calls := int64(0), 0
	data, _ := file(t, model(t, "tiny-dense:bf16"), quantize.Options{Type: quantize.Q8_0, Progress: func(done, total int64) {
		if calls++; done < last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	}})
	if last != int64(len(data)) || calls < 20 {
		t.Errorf("%d bytes in %d calls, the file has %d", last, calls, len(data))
	}
}

func TestAFileThatTheDiskHasNoRoomForIsRefusedAtOnce(t *testing.T) {
	const name, cols, rows = "blk.0.ffn_up.weight", 4096, 1 << 26 // a terabyte of floats
	dir := t.TempDir()
	if free, _, ok := machine.Disk(dir); !ok || free > cols*rows*4 {
		t.Skipf("the disk has room for %d bytes, or does not tell", free)
	}
	m := new(gguf.Metadata)
	if err := m.Set("general.architecture", "gemma4"); err != nil {
		t.Fatal(err)
	}
	data := testdata.Bytes(t, m, []gguf.Source{testdata.Zeros(name, cols, 1)})
	binary.LittleEndian.PutUint64(data[bytes.Index(data, []byte(name))+len(name)+4+8:], rows)
	in := save(t, dir, "in.gguf", data)
	if err := os.Truncate(in, int64(len(data))+cols*(rows-1)*4); err != nil {
		t.Skipf("the disk has no files of a terabyte, even of holes: %v", err)
	}
	_, err := quantize.File(t.Context(), in, filepath.Join(dir, "out.gguf"), quantize.Options{Type: quantize.Q8_0})
	if err == nil || !strings.Contains(err.Error(), "the disk has room for") {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}
