package gemma4_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/tensor"
)

// kinds are the three structures that the family has.
var kinds = []string{"e", "dense", "moe"}

// shape returns one of them, as small as a vocabulary allows.
func shape(kind string) synth.Config {
	c := synth.Config{
		Vocabulary: synth.MinVocabulary, Context: 64, Layers: 2, Width: 8, Heads: []int{2}, KVHeads: []int{1}, MLP: []int{12},
		HeadSize: 8, HeadSizeSliding: 4, Sliding: []bool{true, false}, Window: 4, Mix: synth.All(tensor.F16),
	}
	switch kind {
	case "e":
		c.Layers, c.Sliding, c.SharedKV, c.PerLayer = 4, []bool{true, false, true, false}, 2, 4
	case "dense":
		c.KeysAsValues = true
	case "moe":
		c.Experts, c.ExpertsUsed, c.ExpertWidth = 3, 2, 4
	}
	return c
}

// altered returns the file of a shape after changes to its metadata and tensors.
func altered(t testing.TB, c synth.Config, change func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source) []byte {
	t.Helper()
	m, tensors, err := synth.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		tensors = change(m, tensors)
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, m, tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// with returns a change that sets one key.
func with(key string, v any) func(*gguf.Metadata, []gguf.Source) []gguf.Source {
	return func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
		if err := m.Set(key, v); err != nil {
			panic(err)
		}
		return tensors
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	without := func(key string) func(*gguf.Metadata, []gguf.Source) []gguf.Source {
		return func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source { m.Delete(key); return tensors }
	}
	for _, c := range []struct {
		change func(*gguf.Metadata, []gguf.Source) []gguf.Source
		want   string // after "gemma4: ", FILE stands for the path
	}{
		{func(m *gguf.Metadata, _ []gguf.Source) []gguf.Source {
			*m = gguf.Metadata{}
			m.Set("general.architecture", "clip")
			return nil
		},
			`FILE: model: general.architecture is "clip", this package runs "gemma4" (this is the image and sound part (mmproj), which ` +
				`goes beside the model; open the text model's own file)`},
		{func(_ *gguf.Metadata, tensors []gguf.Source) []gguf.Source { return nil },
			"FILE: model: token_embd.weight is missing: is the file a vocabulary, or one part of a split model?"},
		{func(_ *gguf.Metadata, tensors []gguf.Source) []gguf.Source { return tensors[1:] }, "FILE: model: token_embd.weight is missing"},
		{with("gemma4.block_count", uint32(0)), "FILE: model: gemma4.block_count is 0, expected 1 to 1024"},
		{without("gemma4.block_count"), "model: gguf: FILE: metadata key gemma4.block_count: missing"},
		{without("tokenizer.ggml.tokens"), "tokenizer: gguf: FILE: metadata key tokenizer.ggml.tokens: missing"},
		{with("tokenizer.ggml.model", "gpt2"), `FILE: tokenizer: tokenizer.ggml.model is "gpt2", expected "gemma4"`},
		{with("tokenizer.ggml.bos_token_id", uint32(512)),
			"FILE: tokenizer: tokenizer.ggml.bos_token_id is 512, expected an id below the vocabulary's size 512"},
		{func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
			tensors[0] = gguf.NewSource("token_embd.weight", gguf.F16, []int{8, 511}, make([]byte, 2*8*511))
			return tensors
		}, "FILE: the tokenizer has 512 tokens, token_embd.weight only 511 rows"},
		{with("general.sampling.top_k", int32(-2)), "FILE: general.sampling.top_k is -2, expected -1 to 1073741824"},
		{with("general.sampling.top_k", "64"), "gguf: FILE: metadata key general.sampling.top_k: type string, expected an integer"},
		{with("general.sampling.top_p", float32(7)), "FILE: general.sampling: sampler: "},
		{with("general.sampling.temp", float32(math.NaN())), "FILE: general.sampling: sampler: "},
	} {
		path := filepath.Join(t.TempDir(), "broken.gguf")
		if err := os.WriteFile(path, altered(t, shape("dense"), c.change), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := gemma4.Open(path)
		if err == nil {
			m.Close()
			t.Errorf("opened, want the error %s", c.want)
			continue
		}
		if want := "gemma4: " + strings.ReplaceAll(c.want, "FILE", path); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %s\nwant  %s", err, want)
		}
	}
	for _, threads := range []int{-1, math.MaxInt} {
		if _, err := (gemma4.Loader{Threads: threads}).OpenBytes(altered(t, shape("dense"), nil)); err == nil ||
			!strings.Contains(err.Error(), "threads, expected 0 to 4096") {
			t.Errorf("%d threads: error %v", threads, err)
		}
	}
	reserved := append([]byte("GGUF\x03"), make([]byte, 10000)...) // the beginning of a download whose room was reserved
	if _, err := gemma4.OpenBytes(reserved); err == nil || !strings.Contains(err.Error(), "neither metadata nor weights") {
		t.Errorf("a file that is not filled: error %v", err)
	}
	t.Run("vocabulary alone", func(t *testing.T) {
		path := testdata.Shared(t, "golden", "tokenizer", "gemma4-vocab.gguf")
		if _, err := gemma4.Open(path); err == nil || !strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), "the file has no weights") {
			t.Errorf("error %v", err)
		}
	})
}

// TestOpeningTakesBoundedMemory checks files of the real size, and those made to take a lot, against the bound: the live heap grows by at
// most 4 times the metadata's bytes (all that precedes the weights) and 64 MB, at any moment of the opening.
func TestOpeningTakesBoundedMemory(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("takes long in emulators, and tells nothing else there")
	}
	real, err := synth.Parse("e2b:q4_0")
	if err != nil {
		t.Fatal(err)
	}
	real.Width, real.HeadSize, real.HeadSizeSliding, real.PerLayer, real.MLP = 32, 32, 32, 32, []int{32}
	const most = 1 << 19 // half of what the tokenizer takes of each list: 110 MB of 154; with all of it 189 MB of 227
	number := func(i int) string { return strconv.FormatInt(int64(i), 16) }
	list := func(n int, f func(i int) string) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = f(i)
		}
		return all
	}
	type change = func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source
	tokens := func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
		m.Set("tokenizer.ggml.tokens", append(byteTokens(), list(most-256, number)...))
		m.Set("tokenizer.ggml.token_type", bytes.Repeat([]byte{3}, most))
		m.Delete("tokenizer.ggml.scores")
		tensors[0] = gguf.NewSource("token_embd.weight", gguf.F16, []int{8, most}, make([]byte, 2*8*most))
		return tensors
	}
	merges := with("tokenizer.ggml.merges", list(most, func(i int) string { return "y" + number(i) + " z" + number(i+1) }))
	template := with("tokenizer.chat_template", strings.Repeat("{{a"+strings.Repeat("[:]", 80)+"}}", 1<<17/246))
	entries := func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
		for i := range 65000 {
			m.Set(number(i), uint8(0))
			tensors = append(tensors, gguf.NewSource("v."+number(i), gguf.F16, []int{1}, make([]byte, 2)))
		}
		return tensors
	}
	padding := func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
		tensors[0] = gguf.NewSource("token_embd.weight", gguf.F16, []int{8, most}, make([]byte, 2*8*most))
		return tensors
	}
	everything := func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
		for _, c := range []change{tokens, merges, template, entries, manyExperts} {
			tensors = c(m, tensors)
		}
		return tensors
	}
	for _, c := range []struct {
		name   string
		config synth.Config
		change change
		opens  bool
	}{
		{"real vocabulary", real, realVocabulary, true},
		{"list for layers", shape("dense"), with("gemma4.attention.head_count", make([]uint8, 64<<20)), false},
		{"template", shape("dense"), template, true},
		{"keys and tensors", shape("dense"), entries, true},
		{"experts", shape("moe"), manyExperts, true},
		{"padding rows", shape("dense"), padding, true},
		{"everything", shape("moe"), everything, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := altered(t, c.config, c.change)
			f, err := gguf.OpenBytes(data)
			if err != nil {
				t.Fatal(err)
			}
			first := int64(len(data))
			for _, tensor := range f.Tensors {
				first = min(first, tensor.Offset)
			}
			f.Close()
			f = nil
			var m *gemma4.Model
			peak, total := grown(func() { m, err = gemma4.OpenBytes(data) })
			if c.opens != (err == nil) {
				t.Errorf("opened: %v, want %v; error %v", err == nil, c.opens, err)
			}
			if m != nil {
				m.Close()
			}
			bound := 4*first + 64<<20
			t.Logf("metadata %.1f MB, bound %.1f MB: live heap %.1f MB at most, %.1f MB allocated in all",
				float64(first)/1e6, float64(bound)/1e6, float64(peak)/1e6, float64(total)/1e6)
			if peak > bound {
				t.Errorf("the heap grew by %d bytes, expected at most %d", peak, bound)
			}
			runtime.KeepAlive(data)
		})
	}
}

// realVocabulary takes tokens and merges from the reference material where that is here; else they are made up.
func realVocabulary(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
	f, err := gguf.Open(filepath.Join("..", "shared", "golden", "tokenizer", "gemma4-vocab.gguf"))
	if err != nil {
		return tensors
	}
	defer f.Close()
	for _, key := range f.Metadata.Keys() {
		if strings.HasPrefix(key, "tokenizer.") {
			v, _ := f.Metadata.Value(key)
			m.Set(key, v)
		}
	}
	return tensors
}

// manyExperts makes a file of more experts than it has bytes for anything else.
func manyExperts(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
	const n, width = 1 << 14, 8 // in each of two layers
	m.Set("gemma4.expert_count", uint32(n))
	m.Set("gemma4.expert_feed_forward_length", uint32(1))
	for i := range tensors {
		s := &tensors[i]
		_, name, _ := strings.Cut(s.Name, ".ffn_")
		dims := map[string][]int{
			"gate_inp.weight": {width, n}, "gate_up_exps.weight": {width, 2, n}, "down_exps.weight": {1, width, n}, "down_exps.scale": {n},
		}[name]
		if dims != nil {
			*s = gguf.NewSource(s.Name, gguf.F16, dims, make([]byte, 2*width*2*n)[:2*product(dims)])
		}
	}
	return tensors
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// grown calls f and returns the most by which the live heap grew on the way, as seen by the collector, which runs whenever a tenth was
// added, and how much was allocated in all.
func grown(f func()) (peak, total int64) {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	read := func() (live, allocated int64) {
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64()), int64(sample[1].Value.Uint64())
	}
	runtime.GC()
	before, allocated := read()
	done := make(chan bool)
	go func() { f(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
			runtime.GC()
		default:
			runtime.Gosched()
		}
		live, all := read()
		peak, total = max(peak, live-before), all-allocated
	}
	return peak, total
}

// TestFileCutUnderARunningModel: the system answers with a signal when a page of a map is gone.
func TestFileCutUnderARunningModel(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("not every system and emulator tells where a fault was")
	}
	ids := []gemma4.Input{{Tokens: []int32{2, 300, 301}}}
	for _, kind := range kinds {
		data := altered(t, shape(kind), nil)
		for _, cut := range []int{0, 4096, len(data) / 2} {
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := gemma4.Loader{Threads: 2}.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			s := newSession(t, m, gemma4.SessionOptions{})
			if err := s.Read(ctx, ids...); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, int64(cut)); err != nil {
				t.Fatal(err)
			}
			var generated error
			for _, err := range s.Generate(ctx, nil, gemma4.GenerateOptions{MaxTokens: 3}) {
				generated = err
			}
			_, perplexity := newSession(t, m, gemma4.SessionOptions{}).Perplexity(ctx, []int32{5, 6}, nil)
			for what, err := range map[string]error{
				"reading on":               s.Read(ctx, ids...),
				"reading in a new session": newSession(t, m, gemma4.SessionOptions{}).Read(ctx, ids...),
				"writing":                  generated,
				"perplexity":               perplexity,
			} {
				if !errors.Is(err, tensor.ErrFault) || !strings.HasPrefix(err.Error(), "gemma4: ") ||
					!strings.Contains(err.Error(), path+": tensor ") {
					t.Errorf("%s cut to %d of %d bytes, %s: error %v", kind, cut, len(data), what, err)
				}
			}
			if err := s.Save(path + ".session"); err == nil || !strings.Contains(err.Error(), path+": tensor ") {
				t.Errorf("%s cut to %d bytes, saved: error %v", kind, cut, err)
			}
			if s.Len() > 4 { // three read, perhaps one written: nothing after the fault counts
				t.Errorf("%s: %d positions after a fault", kind, s.Len())
			}
			if m.Info().Bytes != int64(len(data)) || m.Tokenizer().Size() != synth.MinVocabulary {
				t.Error("what is not in the map has changed")
			}
			if err := errors.Join(s.Close(), m.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestReaderThatFails: single rows of the per-layer embeddings are read while the model runs.
func TestReaderThatFails(t *testing.T) {
	data := altered(t, shape("e"), nil)
	r := &faulty{Reader: bytes.NewReader(data)}
	m, err := gemma4.OpenReaderAt(r, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := newSession(t, m, gemma4.SessionOptions{})
	in := gemma4.Input{Tokens: []int32{2, 300, 301}}
	r.err = io.ErrClosedPipe
	if err := s.Read(ctx, in); !errors.Is(err, io.ErrClosedPipe) || !strings.Contains(err.Error(), "per_layer_token_embd.weight, row 2") ||
		s.Len() != 0 {
		t.Errorf("error %v, %d positions", err, s.Len())
	}
	r.err = nil
	if err := s.Read(ctx, in); err != nil || s.Len() != 3 {
		t.Errorf("once it works again: error %v, %d positions", err, s.Len())
	}
}

// faulty is a reader that returns err, if it is set.
type faulty struct {
	*bytes.Reader
	err error
}

func (f *faulty) ReadAt(p []byte, off int64) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Reader.ReadAt(p, off)
}

// FuzzOpen opens any bytes as a model and lets it read and write. Hashes are seeded at random, so that coverage varies from
// run to run and an input seems to be new when it is not: -fuzzminimizetime 10x keeps the fuzzer from shortening it for long.
func FuzzOpen(f *testing.F) {
	for _, kind := range kinds {
		seed := altered(f, shape(kind), fewTokens)
		if n := run(f, seed); n == 0 {
			f.Fatalf("the seed %s generates nothing", kind)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) { run(t, data) })
}

// byteTokens are the 256 tokens that every vocabulary must have.
func byteTokens() []string {
	all := make([]string, 256)
	for b := range all {
		all[b] = fmt.Sprintf("<0x%02X>", b)
	}
	return all
}

// fewTokens leaves a vocabulary of eight and the bytes, so that the file has a few kilobytes.
func fewTokens(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
	m.Set("general.alignment", uint32(8))
	m.Set("tokenizer.ggml.tokens", append([]string{"<pad>", "<eos>", "<bos>", "<unk>", "a", "b", "ab", "<|turn>"}, byteTokens()...))
	m.Set("tokenizer.ggml.token_type", append([]int8{3, 3, 3, 2, 1, 1, 1, 4}, slices.Repeat([]int8{6}, 256)...))
	m.Set("tokenizer.ggml.merges", []string{"a b"})
	m.Delete("tokenizer.ggml.scores")
	for i, s := range tensors {
		if s.Name == "token_embd.weight" || s.Name == "per_layer_token_embd.weight" || s.Name == "output.weight" {
			tensors[i] = quick(s.Name, s.Type, []int{s.Dims[0], 8 + 256})
		}
	}
	return tensors
}

// quick returns a tensor of random numbers between 1/8 and 1/4 with either sign, or of random blocks.
func quick(name string, t gguf.Type, dims []int) gguf.Source {
	values, size := t.Block()
	n := product(dims) / values * size
	return gguf.Source{Name: name, Type: t, Dims: dims, Write: func(w io.Writer) error {
		random := rand.NewPCG(uint64(len(name)), uint64(n))
		data := make([]byte, 0, n+8)
		for len(data) < n {
			r := random.Uint64()
			switch t {
			case gguf.F16:
				r = r&0x83ff83ff83ff83ff | 0x3000300030003000
			case gguf.F32:
				r = r&0x807fffff807fffff | 0x3e0000003e000000
			}
			data = binary.LittleEndian.AppendUint64(data, r)
		}
		_, err := w.Write(data[:n])
		return err
	}}
}

// run opens a model and, if that succeeds, reads three tokens, writes two, and closes it. Errors are fine; they begin with
// the package's name. It returns how many tokens were written.
func run(t testing.TB, data []byte) (written int) {
	check := func(err error) {
		if err != nil && !strings.HasPrefix(err.Error(), "gemma4: ") {
			t.Errorf("error %v", err)
		}
	}
	m, err := gemma4.Loader{Threads: 1}.OpenBytes(data)
	check(err)
	if err != nil {
		return 0
	}
	defer m.Close()
	context := min(m.Info().Context, 32)
	need, err := m.Memory(context, gemma4.CacheF16)
	check(err)
	if need.Cache > 64<<20 {
		return 0 // as it says beforehand
	}
	s, err := m.NewSession(gemma4.SessionOptions{Context: context, Batch: 2})
	check(err)
	if err != nil {
		return 0
	}
	defer s.Close()
	last := int32(m.Config().Vocabulary - 1)
	for tok, err := range s.Generate(ctx, []gemma4.Input{{Tokens: []int32{0, last / 2, last}}},
		gemma4.GenerateOptions{MaxTokens: 2, LogProbs: 1}) {
		check(err)
		if err != nil {
			break
		}
		if tok.ID < -1 || tok.ID > last {
			t.Errorf("token %d of a vocabulary of %d", tok.ID, last+1)
		}
		written++
	}
	return written
}

// FuzzAlteredModel changes valid models, by a few bytes each: in their shape, so that they stay valid, and then in metadata and tensors.
// Unlike random bytes this gets past the container.
func FuzzAlteredModel(f *testing.F) {
	f.Add(uint8(0), []byte(nil), []byte(nil))
	f.Add(uint8(1), []byte{1, 3, 5, 2, 9, 4}, []byte{0, 1, 0})
	f.Add(uint8(2), []byte{7, 1}, []byte{1, 5, 9, 2, 20, 3, 3, 9, 200, 4, 7, 7})
	f.Add(uint8(0), []byte{3, 1, 4, 2}, []byte{2, 30, 250, 5, 12, 3, 6, 17, 1})
	f.Fuzz(func(t *testing.T, kind uint8, config, changes []byte) {
		if len(config) > 20 || len(changes) > 60 {
			return
		}
		c := shape(kinds[int(kind)%len(kinds)])
		for i := 0; i+1 < len(config); i += 2 {
			reshape(&c, config[i], int(config[i+1]))
		}
		if c.Size() > 1<<20 {
			return
		}
		m, tensors, err := synth.Build(c)
		if err != nil {
			return
		}
		tensors = fewTokens(m, tensors)
		for i, s := range tensors {
			tensors[i] = quick(s.Name, s.Type, s.Dims)
		}
		for i := 0; i+2 < len(changes); i += 3 {
			tensors = alter(m, tensors, changes[i], changes[i+1], changes[i+2])
		}
		var b bytes.Buffer
		if err := gguf.Write(&b, m, tensors); err == nil {
			run(t, b.Bytes())
		}
	})
}

// reshape changes one field.
func reshape(c *synth.Config, field byte, v int) {
	fields := []*int{&c.Context, &c.Width, &c.HeadSize, &c.HeadSizeSliding, &c.Window, &c.SharedKV, &c.PerLayer, &c.Experts, &c.ExpertsUsed,
		&c.ExpertWidth}
	lists := []*[]int{&c.Heads, &c.KVHeads, &c.MLP}
	flags := []*bool{&c.Head, &c.SplitExperts, &c.Scales, &c.IdleKV, &c.KeysAsValues}
	switch i := int(field) % (len(fields) + len(lists) + len(flags) + 2); {
	case i < len(fields):
		*fields[i] = v % 40
	case i < len(fields)+len(lists):
		*lists[i-len(fields)] = []int{v%8 + 1}
	case i < len(fields)+len(lists)+len(flags):
		*flags[i-len(fields)-len(lists)] = v&1 != 0
	case i == len(fields)+len(lists)+len(flags):
		c.Layers = v%5 + 1
		c.Sliding = make([]bool, c.Layers)
		for j := range c.Sliding {
			c.Sliding[j] = v>>3>>j&1 != 0
		}
	default:
		if format := tensor.Format(v % 41); format.Valid() {
			c.Mix = synth.All(format)
		}
	}
}

// numbers are those at which something changes.
var numbers = []int64{0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 64, 255, 511, 512, 513, 1 << 16, 1 << 18, 1 << 20, 1 << 28, 1<<31 - 1, 1 << 31,
	1 << 40, math.MaxInt64, -1, -2, math.MinInt32, math.MinInt64}

// alter changes one key or tensor, chosen by which, in the way that how says.
func alter(m *gguf.Metadata, tensors []gguf.Source, how, which, v byte) []gguf.Source {
	keys := m.Keys()
	if len(keys) == 0 || len(tensors) == 0 {
		return tensors
	}
	key, s := keys[int(which)%len(keys)], &tensors[int(which)%len(tensors)]
	number := numbers[int(v)%len(numbers)]
	switch how % 9 {
	case 0:
		m.Delete(key)
	case 1:
		m.Set(key, []any{uint8(number), int32(number), uint32(number), number, uint64(number)}[int(v)/len(numbers)%5])
	case 2:
		m.Set(key, []any{float32(math.NaN()), float32(v), math.Inf(1), "", "gemma4", true, false, -1e-300, 1e300}[int(v)%9])
	case 3:
		alterArray(m, key, int(v), number)
	case 4:
		return slices.Delete(tensors, int(which)%len(tensors), int(which)%len(tensors)+1)
	case 5:
		s.Name = tensors[int(v)%len(tensors)].Name + "x"[:v&1]
	case 6:
		dims := slices.Clone(s.Dims)
		dims[int(v)%len(dims)] = max(1, min(1024, int(number)))
		*s = filled(s.Name, s.Type, dims, v)
	case 7:
		*s = filled(s.Name, gguf.Type(v%43), s.Dims, v)
	case 8:
		*s = filled(s.Name, s.Type, s.Dims, v) // with what may be infinite or NaN
	}
	return tensors
}

// alterArray changes an element, the length or the type of the elements.
func alterArray(m *gguf.Metadata, key string, v int, number int64) {
	value, _ := m.Value(key)
	a, ok := value.(*gguf.Array)
	if !ok {
		m.Set(key, []int64{number, number, number, number}[:v%5])
		return
	}
	if a.Len() == 0 {
		return
	}
	i := v % a.Len()
	if ints, err := m.Ints(key); err == nil {
		ints[i] = number
		m.Set(key, ints[:len(ints)-v&1])
	} else if bools, err := m.Bools(key); err == nil {
		bools[i] = !bools[i]
		m.Set(key, bools[:len(bools)-v&1])
	} else if texts, err := m.Strings(key); err == nil {
		texts[i] = []string{"", " ", "a", "\xff", "<0x41>", texts[0], strings.Repeat("▁", 300)}[v%7]
		m.Set(key, texts[:len(texts)-v&1])
	}
}

// filled returns a tensor of equal bytes.
func filled(name string, t gguf.Type, dims []int, b byte) gguf.Source {
	values, size := t.Block()
	n := 0
	if values > 0 {
		n = product(dims) / values * size
	}
	return gguf.Source{Name: name, Type: t, Dims: dims, Write: func(w io.Writer) error {
		_, err := w.Write(bytes.Repeat([]byte{b}, min(n, 1<<22)))
		return err
	}}
}

// TestCollectorRunsDuringFaults: a fault within an assembly function unwinds a stack on which that function still has its frame, and the
// collector must be able to scan it.
func TestCollectorRunsDuringFaults(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("not every system and emulator tells where a fault was")
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for _, format := range []string{"q4_0", "q4_k_m", "iq4_xs", "f16"} {
		config, err := synth.Parse("tiny-e:" + format)
		if err != nil {
			t.Fatal(err)
		}
		data, path := synth.Bytes(config), filepath.Join(t.TempDir(), "m.gguf")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := gemma4.Loader{Threads: 2}.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		page := os.Getpagesize()
		for i := range 40 {
			at := (len(data) - 1 - i*len(data)/50) &^ (page - 1)
			if err := os.Truncate(path, int64(at)); err != nil {
				t.Fatal(err)
			}
			s := newSession(t, m, gemma4.SessionOptions{})
			read := s.Read(ctx, gemma4.Input{Tokens: []int32{2, 300, 301}})
			_, write := s.Write(ctx, 302)
			for what, err := range map[string]error{"reading": read, "writing": write} {
				if err != nil && !errors.Is(err, tensor.ErrFault) {
					t.Errorf("%s, cut to %d of %d bytes, %s: error %v", format, at, len(data), what, err)
				}
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt(data[at:], int64(at))
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
