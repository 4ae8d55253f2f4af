package gemma4

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// adapters are the same of each model.
type adapters [][]*model.Adapter

// newAdapters returns adapters of all kinds for each of several models of a shape.
func newAdapters(t testing.TB, c synth.Config, models ...*model.Model) adapters {
	t.Helper()
	all := make(adapters, len(models))
	for i, a := range []synth.Adapter{
		{Rank: 16, Format: tensor.F16}, {Rank: 8, Format: tensor.F16, Beside: synth.QV}, {Rank: 1, Format: tensor.F32},
		{Rank: 5, Format: tensor.BF16}, {Rank: 4, Format: tensor.F32, Beside: func(string) bool { return true }},
		{Rank: 64, Format: tensor.Q8_0}, {Rank: 33, Format: tensor.F16},
	} {
		a.Seed, a.Model = uint64(i), c
		f, err := gguf.OpenBytes(synth.Bytes(a))
		if err != nil {
			t.Fatal(err)
		}
		for j, m := range models {
			x, err := model.OpenAdapter(f, m)
			if err != nil {
				t.Fatal(err)
			}
			all[j] = append(all[j], x)
		}
		f.Close()
	}
	return all
}

// some returns a random list of them for each model, often an empty one.
func (a adapters) some(r *rand.Rand) [][]model.Scaled {
	lists := make([][]model.Scaled, len(a))
	for range max(0, r.IntN(4)-1) {
		i, scale := r.IntN(len(a[0])), []float32{1, 1, 0.5, -1}[r.IntN(4)]
		for j := range lists {
			lists[j] = append(lists[j], a[j][i].At(scale))
		}
	}
	return lists
}

// Eight texts with eight adapters, one of them with none, are read in parts and written in common passes with the bytes that each has
// alone, on every level and with any number of workers.
func TestEightAdaptersShareAPass(t *testing.T) {
	for _, spec := range []string{"micro-e:q4_0", "micro-moe:f16", "micro-dense:f32", "tiny-moe:q4_k_m"} {
		c, err := synth.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		data, all := synth.Bytes(c), levels()
		best := all[len(all)-1]
		if strings.HasPrefix(spec, "tiny") {
			all = all[len(all)-1:] // wide enough for all of a kernel
		}
		for _, k := range append(all, best.Exact()) {
			shareAPass(t, fmt.Sprintf("%s, %s, exact: %v", spec, k.Name, k.FloatRows[tensor.F16] == nil), c, data, k)
		}
	}
}

func shareAPass(t *testing.T, what string, c synth.Config, data []byte, k *tensor.Kernels) {
	var models []*model.Model
	for _, workers := range []int{3, 1} {
		f, err := gguf.OpenBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m, err := model.New(f, model.Options{Kernels: k, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		models = append(models, m)
	}
	all := newAdapters(t, c, models...)
	together, alone := models[0].NewPass(), models[1].NewPass()
	logits := map[*model.Chunk][]float32{}
	var company, single []*model.Chunk
	for i := range len(all[0]) + 1 {
		for j, chunks := range []*[]*model.Chunk{&company, &single} {
			o := model.SequenceOptions{}
			if i < len(all[j]) {
				o.Adapters = []model.Scaled{all[j][i].At(1)}
			}
			s, err := models[j].NewSequence(o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			*chunks = append(*chunks, &model.Chunk{Sequence: s, Want: every})
		}
	}
	pass := func(p *model.Pass, decode bool, n int, chunks ...*model.Chunk) {
		for _, x := range chunks {
			text := []int32{}
			for i := range n {
				text = append(text, int32((x.Sequence.Len()+i)*37%c.Vocabulary))
			}
			x.Input = []model.Input{{Tokens: text}}
		}
		run := p.Prefill
		if decode {
			run = p.Decode
		}
		if err := run(context.Background(), chunks...); err != nil {
			t.Fatal(err)
		}
		for _, x := range chunks {
			if x.Err != nil {
				t.Fatal(x.Err)
			}
			logits[x] = append(logits[x], x.Logits...)
		}
	}
	for _, n := range []int{19, 2, 11} {
		pass(together, false, n, company...)
	}
	for range 3 {
		pass(together, true, 1, company...)
	}
	for _, x := range single {
		pass(alone, false, 32, x)
		pass(alone, true, 3, x)
	}
	for i, x := range company {
		if !sameBits(logits[x], logits[single[i]]) {
			t.Errorf("%s: text %d has other logits in company than alone", what, i)
		}
		for j := range i {
			if slices.Equal(logits[x], logits[company[j]]) {
				t.Errorf("%s: texts %d and %d have the same logits: what do their adapters do?", what, j, i)
			}
		}
	}
}

// benchModel is the file that BenchmarkAdapter decodes with; it must have the shape of the preset.
var benchModel = flag.String("adapted", "", "file of a model of the preset e2b for BenchmarkAdapter; empty: e2b-short:q4_0 is made")

// BenchmarkAdapter decodes in turn with no adapter, with one of rank 16 in F16 beside queries and values, and with one beside all matrices
// of the layers. It reports what the quickest tenth of the tokens takes, which neighbours of the machine leave alone, as shares of that
// without, and the bytes of the adapters as shares of those that decode reads.
//
//	go run ./internal/cmd/synth e2b:q4_0 /tmp/e2b.gguf
//	go test -run - -bench Adapter -benchtime 100x -adapted /tmp/e2b.gguf .
func BenchmarkAdapter(b *testing.B) {
	spec := "e2b-short"
	open := func() (*gguf.File, error) {
		c, err := synth.Parse(spec + ":q4_0")
		if err != nil {
			return nil, err
		}
		return gguf.OpenBytes(synth.Bytes(c))
	}
	if *benchModel != "" {
		spec, open = "e2b", func() (*gguf.File, error) { return gguf.Open(*benchModel) }
	}
	f, err := open()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	k, err := BestKernels()
	if err != nil {
		b.Fatal(err)
	}
	threads, _ := machine.Threads()
	m, err := model.New(f, model.Options{Kernels: k, Workers: threads})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	var weights int64
	for _, t := range f.Tensors {
		if t.Name != model.PerLayerTable {
			weights += t.Size
		}
	}
	names := []string{"none", "qv", "all"}
	texts := make([]*model.Sequence, len(names))
	took := make([][]time.Duration, len(names))
	shares := make([]float64, len(names))
	p := m.NewPass()
	for i := range texts {
		o := model.SequenceOptions{Context: 2048, Cache: tensor.F16}
		if i > 0 {
			a, err := synth.ParseAdapter(spec + []string{"", "-qv", ""}[i] + "-lora:f16")
			if err != nil {
				b.Fatal(err)
			}
			file, err := gguf.OpenBytes(synth.Bytes(a))
			if err != nil {
				b.Fatal(err)
			}
			x, err := model.OpenAdapter(file, m)
			if err != nil {
				b.Fatal(err)
			}
			o.Adapters, shares[i] = []model.Scaled{x.At(1)}, float64(x.Bytes)/float64(weights)
		}
		if texts[i], err = m.NewSequence(o); err != nil {
			b.Fatal(err)
		}
		defer texts[i].Close()
	}
	write := func(i int) {
		if texts[i].Len() == texts[i].Limit() {
			texts[i].Truncate(0)
		}
		began := time.Now()
		if _, err := p.Write(context.Background(), texts[i], int32(2+texts[i].Len()%400)); err != nil {
			b.Fatal(err)
		}
		took[i] = append(took[i], time.Since(began))
	}
	for i := range texts { // the first reads the file
		write(i)
		took[i] = nil
	}
	for b.Loop() {
		for i := range texts {
			write(i)
		}
	}
	quick := func(i int) float64 {
		slices.Sort(took[i])
		return took[i][len(took[i])/10].Seconds()
	}
	b.ReportMetric(quick(0)*1e3, "ms/token")
	for i := 1; i < len(names); i++ {
		b.ReportMetric(100*(quick(i)/quick(0)-1), names[i]+"-%")
		b.ReportMetric(100*shares[i], names[i]+"-bytes-%")
	}
}
