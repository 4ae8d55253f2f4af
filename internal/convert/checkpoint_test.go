package convert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/safetensors"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// A made is a checkpoint, and what it should become.
type made struct {
	synth.Checkpoint
	model     synth.Config    // that the drafter drafts for, or that Model is
	projector synth.Projector // as a shape of its own
}

// parse returns the checkpoint of a preset's model and projector in a format.
func parse(t testing.TB, preset string, f tensor.Format) made {
	t.Helper()
	spec := ":" + strings.ToLower(f.String())
	c, err := synth.Parse(preset + spec)
	if err != nil {
		t.Fatal(err)
	}
	c.Seed, c.ChatTemplate, c.Suppress = 7, "{{ bos_token }}\n", []int32{5, 9}
	p, err := synth.ParseProjector(preset + "-mmproj" + spec)
	if err != nil {
		t.Fatal(err)
	}
	return made{synth.Checkpoint{Model: c, Projector: &p, Format: f}, c, p}
}

// parseDrafter returns the checkpoint of a preset's drafter.
func parseDrafter(t testing.TB, preset string, f tensor.Format) made {
	t.Helper()
	m := parse(t, preset, f)
	d, err := synth.ParseDrafter(preset + "-draft:" + strings.ToLower(f.String()))
	if err != nil {
		t.Fatal(err)
	}
	d.Seed = 8
	m.Model, m.Projector = d, nil
	return m
}

// write writes a checkpoint into a folder of its own.
func write(t testing.TB, c synth.Checkpoint) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// expected returns the GGUF file of a shape whose numbers are those that a checkpoint can hold, in the formats of the converted one.
func expected(t testing.TB, s synth.Shape, f tensor.Format, w *Weights) *gguf.File {
	t.Helper()
	m, sources, err := synth.Build(s)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range sources {
		var b bytes.Buffer
		if err := x.Write(&b); err != nil {
			t.Fatal(err)
		}
		v := make([]float32, b.Len()/tensor.Format(x.Type).BlockBytes())
		tensor.Format(x.Type).Decode(v, b.Bytes())
		if x.Name != "rope_freqs.weight" {
			hold(x.Name, v, f)
		}
		at := slices.IndexFunc(w.Tensors, func(y Tensor) bool { return y.Name == x.Name })
		if at < 0 {
			t.Fatalf("%s is missing", x.Name)
		}
		format := w.Tensors[at].Format
		data := make([]byte, format.RowBytes(len(v)))
		if err := format.Encode(data, v); err != nil {
			t.Fatal(err)
		}
		sources[i] = gguf.NewSource(x.Name, gguf.Type(format), x.Dims, data)
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, m, sources); err != nil {
		t.Fatal(err)
	}
	return open(t, b.Bytes())
}

// hold rounds numbers to what a checkpoint in a format makes of them.
func hold(name string, v []float32, f tensor.Format) {
	scale := strings.HasSuffix(name, ".per_dim_scale.weight")
	b := make([]byte, f.RowBytes(1))
	for i := range v {
		if scale { // the checkpoint has what softplus makes it of
			v[i] = float32(math.Log(math.Expm1(float64(v[i]))))
		}
		if err := f.Encode(b, v[i:i+1]); err != nil {
			panic(err)
		}
		f.Decode(v[i:i+1], b)
		if scale {
			v[i] = float32(math.Log1p(math.Exp(float64(v[i]))))
		}
	}
}

func open(t testing.TB, data []byte) *gguf.File {
	t.Helper()
	f, err := gguf.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// converted returns the part of a checkpoint as a GGUF file, by way of the disk.
func converted(t testing.TB, w *Weights) *gguf.File {
	t.Helper()
	var sources []gguf.Source
	for i := range w.Tensors {
		sources = append(sources, w.Tensors[i].Copy())
	}
	path := filepath.Join(t.TempDir(), "converted.gguf")
	if err := gguf.WriteFile(path, w.Metadata, sources); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// sameTensors compares all tensors to the bit.
func sameTensors(t *testing.T, got, want *gguf.File) {
	t.Helper()
	if len(got.Tensors) != len(want.Tensors) {
		t.Errorf("%d tensors, want %d", len(got.Tensors), len(want.Tensors))
	}
	for _, x := range want.Tensors {
		y := got.Tensor(x.Name)
		if y == nil || y.Type != x.Type || !slices.Equal(y.Dims, x.Dims) {
			t.Errorf("%s is %+v, want %v %v", x.Name, y, x.Type, x.Dims)
			continue
		}
		a, errA := x.Data()
		b, errB := y.Data()
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: the numbers differ %v %v", x.Name, errA, errB)
		}
	}
}

// plain returns a metadata value so that only its meaning counts: integers of any width, arrays element by element.
func plain(m *gguf.Metadata, key string) string {
	v, _ := m.Value(key)
	a, ok := v.(*gguf.Array)
	if !ok {
		return fmt.Sprint(v)
	}
	var list []any
	for _, x := range a.All() {
		list = append(list, x)
	}
	if len(list) > 0 && !slices.ContainsFunc(list, func(x any) bool { return x != list[0] }) {
		return fmt.Sprint(list[0]) // one number stands for all layers
	}
	return fmt.Sprint(list...)
}

// sameKeys compares all keys of want, but for what a checkpoint does not know.
func sameKeys(t *testing.T, got, want *gguf.Metadata) {
	t.Helper()
	for _, key := range want.Keys() {
		switch key {
		case "general.name", "tokenizer.ggml.scores": // the folder's, and numbers that nobody uses
		case "tokenizer.ggml.token_type":
			sameTypes(t, got, want)
		default:
			if a, b := plain(got, key), plain(want, key); a != b {
				t.Errorf("%s is %.100s, want %.100s", key, a, b)
			}
		}
	}
	for _, key := range got.Keys() {
		if !want.Has(key) && key != "general.type" && key != "clip.vision.projector.scale_factor" {
			t.Errorf("%s is there, %.100s", key, plain(got, key))
		}
	}
}

// sameTypes compares types of tokens, of which tokenizer.json tells three apart.
func sameTypes(t *testing.T, got, want *gguf.Metadata) {
	t.Helper()
	const key = "tokenizer.ggml.token_type"
	a, errA := got.Ints(key)
	b, errB := want.Ints(key)
	if errA != nil || errB != nil || len(a) != len(b) {
		t.Fatalf("%d types, want %d: %v %v", len(a), len(b), errA, errB)
	}
	for id := range a {
		if x := map[int64]int64{2: control, 5: normal}[b[id]]; x != 0 {
			b[id] = x
		}
		if a[id] != b[id] {
			t.Errorf("token %d is of type %d, want %d", id, a[id], b[id])
		}
	}
}

// runs opens a model.
func runs(t testing.TB, f *gguf.File) *model.Model {
	t.Helper()
	m, err := model.New(f, model.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// logits returns those of all positions of a text, and what the last one is made of.
func logits(t testing.TB, m *model.Model) (all []float32, hidden []float32, s *model.Sequence) {
	t.Helper()
	s, err := m.NewSequence(model.SequenceOptions{Cache: tensor.F32})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]int32, 24)
	for i := range ids {
		ids[i] = int32(i * 37 % m.Vocabulary)
	}
	c := &model.Chunk{Sequence: s, Input: []model.Input{{Tokens: ids}}, Want: func(int) bool { return true }}
	if err := m.NewPass().Read(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(c.Logits), slices.Clone(c.Hidden[len(c.Hidden)-m.Width:]), s
}

// kindsOfModels have the structure of all full sizes.
var kindsOfModels = []string{"micro-e", "micro-e4", "micro-dense", "micro-moe"}

func TestCheckpointsGiveTheLogitsOfTheSameWeights(t *testing.T) {
	for _, preset := range kindsOfModels {
		for _, f := range []tensor.Format{tensor.F32, tensor.BF16} {
			t.Run(preset+"/"+f.String(), func(t *testing.T) {
				m := parse(t, preset, f)
				m.Shards = map[tensor.Format]int{tensor.F32: 3}[f]
				m.Layers = f == tensor.BF16
				w := opened(t, write(t, m.Checkpoint), Text)
				got, want := converted(t, w), expected(t, m.model, f, w)
				sameKeys(t, got.Metadata, want.Metadata)
				sameTensors(t, got, want)
				a, _, _ := logits(t, runs(t, got))
				b, _, _ := logits(t, runs(t, want))
				if !slices.Equal(a, b) {
					t.Error("the logits differ")
				}
			})
		}
	}
}

func TestTextModelsMayComeWithoutTowersAndWithAHead(t *testing.T) {
	m := parse(t, "micro-e4", tensor.F16)
	m.model.Head, m.model.IdleKV = true, true // and keys and values that nobody reads
	m.Model, m.Projector = m.model, nil
	dir := write(t, m.Checkpoint)
	w := opened(t, dir, Text)
	m.model.IdleKV = false
	sameTensors(t, converted(t, w), expected(t, m.model, tensor.F16, w))
	if _, err := OpenPart(dir, Projector); err == nil || !strings.Contains(err.Error(), "neither vision_config nor audio_config") {
		t.Errorf("projector: %v", err)
	}
}

func TestProjectorsGiveTheEmbeddingsOfTheSameWeights(t *testing.T) {
	for _, preset := range []string{"micro-e", "micro-moe", "micro-dense", "tiny-moe"} { // the last has heads of 72
		for _, f := range []tensor.Format{tensor.F32, tensor.BF16} {
			t.Run(preset+"/"+f.String(), func(t *testing.T) {
				m := parse(t, preset, f)
				m.Shards = map[tensor.Format]int{tensor.BF16: 2}[f]
				w := opened(t, write(t, m.Checkpoint), Projector)
				got, want := converted(t, w), expected(t, m.projector, f, w)
				sameKeys(t, got.Metadata, want.Metadata)
				sameTensors(t, got, want)
				a, b := embeddings(t, got, m.projector.Width), embeddings(t, want, m.projector.Width)
				if !slices.Equal(a, b) {
					t.Error("the embeddings differ")
				}
			})
		}
	}
}

// embeddings returns what a projector makes of a picture and, if it has ears, of a sound.
func embeddings(t testing.TB, f *gguf.File, width int) []float32 {
	t.Helper()
	p, err := model.OpenProjector(f, &model.Config{Width: width}, model.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	picture := model.Pixels{Width: 96, Height: 48, RGB: make([]byte, 3*96*48)}
	for i := range picture.RGB {
		picture.RGB[i] = byte(i * i / 31)
	}
	rows, err := p.See(context.Background(), picture)
	if err != nil {
		t.Fatal(err)
	}
	if p.Sound == "" {
		return rows
	}
	sound := make([]float32, 3200)
	for i := range sound {
		sound[i] = float32(math.Sin(float64(i*i) / 5e4))
	}
	more, err := p.Hear(context.Background(), sound)
	if err != nil {
		t.Fatal(err)
	}
	return append(rows, more...)
}

func TestDraftersGiveTheDraftsOfTheSameWeights(t *testing.T) {
	for _, preset := range kindsOfModels {
		for _, f := range []tensor.Format{tensor.F32, tensor.BF16} {
			t.Run(preset+"/"+f.String(), func(t *testing.T) {
				m := parseDrafter(t, preset, f)
				m.Layers = f == tensor.BF16
				w := opened(t, write(t, m.Checkpoint), Text)
				got, want := converted(t, w), expected(t, m.Model, f, w)
				sameKeys(t, got.Metadata, want.Metadata)
				sameTensors(t, got, want)
				target := runs(t, open(t, synth.Bytes(m.model)))
				if a, b := draft(t, target, got), draft(t, target, want); !slices.Equal(a, b) {
					t.Error("the drafts differ")
				}
			})
		}
	}
}

// draft returns the logits of a drafter's steps behind a text.
func draft(t testing.TB, m *model.Model, f *gguf.File) (all []float32) {
	t.Helper()
	d, err := model.OpenDrafter(f, m, model.DrafterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, hidden, s := logits(t, m)
	x := d.NewDraft()
	x.Begin(s, hidden, s.Len())
	for token := range int32(3) {
		step, err := x.Next(context.Background(), token)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, step...)
	}
	return all
}

// blank reads as a header and zeros behind it.
type blank []byte

func (b blank) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(b)) {
		copy(p, b[off:])
	}
	return len(p), nil
}

// table opens the checkpoint's table of tensors, of whatever size.
func table(t testing.TB, c synth.Checkpoint) *safetensors.File {
	t.Helper()
	header, size, err := c.Header()
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.New(weightsFile, blank(header), size)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAllFullSizesAreMapped(t *testing.T) {
	for _, preset := range []string{"e2b", "e4b", "12b", "26b", "31b"} {
		m, d := parse(t, preset, tensor.BF16), parseDrafter(t, preset, tensor.BF16)
		for _, x := range []struct {
			name  string
			c     synth.Checkpoint
			shape synth.Shape
			part  Part
		}{
			{"text", m.Checkpoint, m.model, Text}, {"projector", m.Checkpoint, m.projector, Projector},
			{"drafter", d.Checkpoint, d.Model, Text},
		} {
			t.Run(preset+"/"+x.name, func(t *testing.T) {
				m, sources, err := synth.Build(x.shape)
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range m.Keys() {
					if strings.HasPrefix(key, "tokenizer.") || strings.HasPrefix(key, "general.sampling.") {
						m.Delete(key)
					}
				}
				for _, x.c.Layers = range []bool{false, true} {
					checkTable(t, x.c, x.part, m, sources)
				}
			})
		}
	}
}

// The tables of published checkpoints: those of E-models hold keys and values that nobody reads, and some drafters two tensors of clusters.
func TestPublishedCheckpointsHaveAsManyTensors(t *testing.T) {
	for _, c := range []struct {
		preset                string
		all, towers, drafters int
	}{{"e2b", 2011, 1411, 50 - 2}, {"12b", 677, 11, 48}} {
		m, d := parse(t, c.preset, tensor.BF16), parseDrafter(t, c.preset, tensor.BF16)
		m.model.IdleKV = true
		m.Model = m.model
		f := table(t, m.Checkpoint)
		towers := 0
		for _, x := range f.Tensors {
			if !strings.HasPrefix(x.Name, "model.language_model.") {
				towers++
			}
		}
		if n := len(f.Tensors); n != c.all || towers != c.towers {
			t.Errorf("%s has %d tensors, %d of them in towers, want %d and %d", c.preset, n, towers, c.all, c.towers)
		}
		if n := len(table(t, d.Checkpoint).Tensors); n != c.drafters {
			t.Errorf("%s's drafter has %d tensors, want %d", c.preset, n, c.drafters)
		}
		data, err := m.Config()
		if err != nil {
			t.Fatal(err)
		}
		top, err := parseObject(data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newConfig(top).part(f, "name", Text); err != nil {
			t.Error(err)
		}
	}
}

// checkTable checks that a part of a checkpoint has these keys, names and shapes, without reading its tokens.
func checkTable(t *testing.T, c synth.Checkpoint, p Part, m *gguf.Metadata, sources []gguf.Source) {
	t.Helper()
	json, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	top, err := parseObject(json)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newConfig(top).part(table(t, c), "name", p)
	if err != nil {
		t.Fatal(err)
	}
	sameKeys(t, w.Metadata, m)
	dims := map[string][]int{}
	for _, x := range w.Tensors {
		dims[x.Name] = x.Dims
	}
	for _, x := range sources {
		if !slices.Equal(dims[x.Name], x.Dims) {
			t.Errorf("%s is %v, want %v", x.Name, dims[x.Name], x.Dims)
		}
		delete(dims, x.Name)
	}
	if len(dims) > 0 {
		t.Errorf("too much: %v", dims)
	}
}

func TestFormatsAreThoseThatGGUFKeeps(t *testing.T) {
	want := map[string]tensor.Format{
		"token_embd.weight": tensor.BF16, "per_layer_model_proj.weight": tensor.BF16, "blk.0.attn_q.weight": tensor.BF16,
		"blk.0.attn_norm.weight": tensor.F32, "blk.0.layer_output_scale.weight": tensor.F32, "rope_freqs.weight": tensor.F32,
		"blk.0.ffn_gate_inp.weight": tensor.F32, "blk.0.ffn_gate_up_exps.weight": tensor.BF16, "blk.0.ffn_down_exps.scale": tensor.F32,
		"v.patch_embd.weight": tensor.F32, "v.position_embd.weight": tensor.F32, "v.blk.0.attn_q.weight": tensor.BF16,
		"v.blk.0.attn_q.input_min": tensor.F32, "v.std_bias": tensor.F32, "mm.input_projection.weight": tensor.BF16,
		"a.conv1d.0.weight": tensor.F32, "a.blk.0.conv_dw.weight": tensor.F32, "a.blk.0.attn_k_rel.weight": tensor.BF16,
		"a.pre_encode.out.bias": tensor.F32, "mm.a.input_projection.weight": tensor.BF16,
	}
	seen := map[string]bool{}
	for _, preset := range []string{"micro-e", "micro-moe", "micro-dense"} {
		dir := write(t, parse(t, preset, tensor.BF16).Checkpoint)
		for _, part := range []Part{Text, Projector} {
			for _, x := range opened(t, dir, part).Tensors {
				if f, ok := want[x.Name]; ok && x.Format != f {
					t.Errorf("%s: %s is of %v, want %v", preset, x.Name, x.Format, f)
				}
				seen[x.Name] = true
			}
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("%s is in none", name)
		}
	}
}

func TestRowsComeInAnyPieces(t *testing.T) {
	for _, preset := range []string{"micro-e", "micro-dense"} {
		w := opened(t, write(t, parse(t, preset, tensor.BF16).Checkpoint), Projector)
		for i := range w.Tensors {
			x := &w.Tensors[i]
			rows, size := x.Rows(), x.RowBytes()
			all := make([]byte, x.Bytes())
			if err := x.Read(all, 0, rows); err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{1, 5, 47} {
				b := make([]byte, n*size)
				for _, from := range []int{0, rows / 3, rows - n} {
					if from < 0 || from+n > rows {
						continue
					}
					if err := x.Read(b, from, from+n); err != nil || !bytes.Equal(b, all[from*size:(from+n)*size]) {
						t.Errorf("%s: rows %d to %d differ, %v", x.Name, from, from+n, err)
					}
				}
			}
		}
	}
}

func TestRowsAreReadByManyAtOnce(t *testing.T) {
	w := opened(t, write(t, parse(t, "micro-e", tensor.BF16).Checkpoint), Projector)
	for i := range w.Tensors {
		x := &w.Tensors[i]
		rows, size := x.Rows(), x.RowBytes()
		alone, together := make([]byte, x.Bytes()), make([]byte, x.Bytes())
		if err := x.Read(alone, 0, rows); err != nil {
			t.Fatal(err)
		}
		const workers = 4
		var wait sync.WaitGroup
		var errs [workers]error
		for w := range workers {
			wait.Go(func() {
				from, to := rows*w/workers, rows*(w+1)/workers
				errs[w] = x.Read(together[from*size:to*size], from, to)
			})
		}
		wait.Wait()
		if err := errors.Join(errs[:]...); err != nil || !bytes.Equal(alone, together) {
			t.Errorf("%s differs, %v", x.Name, err)
		}
	}
}

func TestEveryWayToNameACheckpointOpensIt(t *testing.T) {
	m := parse(t, "micro-moe", tensor.BF16)
	m.Shards = 2
	dir := write(t, m.Checkpoint)
	for _, name := range []string{"", indexFile, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"} {
		if n := len(opened(t, filepath.Join(dir, name), Text).Tensors); n != len(opened(t, dir, Text).Tensors) {
			t.Errorf("%q has %d tensors", name, n)
		}
	}
	m.Shards = 1
	dir = write(t, m.Checkpoint)
	opened(t, filepath.Join(dir, weightsFile), Text)
	if err := os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, "sha256-12ab")); err != nil {
		t.Fatal(err)
	}
	opened(t, filepath.Join(dir, "sha256-12ab"), Text)
}

// The hub's cache has links to files elsewhere.
func TestFoldersOfLinksAreCheckpoints(t *testing.T) {
	m := parse(t, "micro-moe", tensor.BF16)
	m.Shards = 2
	blobs := write(t, m.Checkpoint)
	dir := filepath.Join(t.TempDir(), "models--someone--gemma-micro", "snapshots", "12ab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(blobs)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Symlink(filepath.Join(blobs, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			t.Skipf("no links: %v", err)
		}
	}
	w := opened(t, dir, Text)
	if name, _ := w.Metadata.Text("general.name"); name != "gemma-micro" || len(w.Tensors) != len(opened(t, blobs, Text).Tensors) {
		t.Errorf("%d tensors of %q", len(w.Tensors), name)
	}
}

func TestModelsInTheHubsCacheAreNamedAfterTheirRepository(t *testing.T) {
	for dir, want := range map[string]string{
		"/x/gemma-4-E2B-it": "gemma-4-E2B-it",
		"/x/hub/models--google--gemma-4-E2B-it/snapshots/0f3f0632a38798af2adf264adc752130ecc5fa66": "gemma-4-E2B-it",
		"/x/snapshots/y": "y",
	} {
		if got := nameOf(filepath.FromSlash(dir)); got != want {
			t.Errorf("%s is %q, want %q", dir, got, want)
		}
	}
}
