package quantize_test

import (
	"bytes"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/quantize"
	"github.com/gogemma/gemma4/tensor"
)

// pair writes a model in F32 whose matrices have scales of their own where that is wanted, and adapters for it.
func pair(t *testing.T, spec string, scales bool, beside ...func(string) bool) (base string, adapters []quantize.Adapter) {
	t.Helper()
	c, err := synth.Parse(spec)
	if err != nil {
		t.Fatal(err)
	}
	c.Scales = scales
	dir := t.TempDir()
	base = save(t, dir, "base.gguf", synth.Bytes(c))
	for i, f := range beside {
		a := synth.Adapter{Name: "adapter", Seed: uint64(i), Model: c, Rank: 4 + 3*i, Format: tensor.F16, Beside: f}
		adapters = append(adapters, quantize.Adapter{
			Path: save(t, dir, string(rune('a'+i))+".gguf", synth.Bytes(a)), Scale: []float32{1, -0.5}[i],
		})
	}
	return base, adapters
}

func TestAMergedModelIsWhatTheAdaptersMakeOfIt(t *testing.T) {
	all := func(string) bool { return true }
	router := func(name string) bool { return !strings.HasSuffix(name, ".ffn_gate_inp") }
	for _, test := range []struct {
		spec   string
		scales bool
		beside []func(string) bool
	}{
		{"micro-e", false, []func(string) bool{all}},
		{"micro-e4", true, []func(string) bool{synth.QV, all}},
		{"micro-dense", false, []func(string) bool{all, synth.QV}},
		{"micro-moe", false, []func(string) bool{router, all}},
		{"micro-moe", true, []func(string) bool{router}},
	} {
		base, adapters := pair(t, test.spec, test.scales, test.beside...)
		data, r := file(t, base, quantize.Options{Type: quantize.F32, Adapters: adapters})
		if r.Merged == 0 || !strings.Contains(strings.Join(r.Notes(), "\n"), "adapters were merged into") {
			t.Errorf("%s: %d matrices, %q", test.spec, r.Merged, r.Notes())
		}
		got := logits(t, data)

		m, err := gemma4.Loader{Exact: true}.Open(base)
		if err != nil {
			t.Fatal(err)
		}
		var scaled []gemma4.Scaled
		for _, a := range adapters {
			x, err := m.OpenAdapter(a.Path)
			if err != nil {
				t.Fatal(err)
			}
			scaled = append(scaled, gemma4.Scaled{Adapter: x, Scale: a.Scale})
		}
		want := logitsWith(t, m, scaled)
		without := logitsWith(t, m, nil)
		m.Close()
		most := 0.0
		for i := range got {
			most = max(most, math.Abs(float64(got[i]-want[i])))
		}
		if !(most < 1e-4) {
			t.Errorf("%s: logits differ by %.2g from those with the adapters", test.spec, most)
		}
		if d := apart(without, want); d < 0.05 {
			t.Errorf("%s: the adapters make no difference", test.spec)
		}
	}
}

func TestWhatIsMergedTwiceIsOneFile(t *testing.T) {
	base, adapters := pair(t, "micro-moe", false, synth.QV, synth.QV)
	var first []byte
	for _, threads := range []int{1, 3} {
		data, _ := file(t, base, quantize.Options{Type: quantize.Q4_0, Adapters: adapters, Threads: threads})
		if first == nil {
			first = data
		}
		if !bytes.Equal(data, first) {
			t.Errorf("%d threads write other bytes", threads)
		}
	}
	// Only what an adapter goes beside is another.
	plain, _ := file(t, base, quantize.Options{Type: quantize.Q4_0})
	a, b := open(t, plain), open(t, first)
	for _, x := range a.Tensors {
		p, _ := x.Data()
		q, _ := b.Tensor(x.Name).Data()
		if beside := synth.QV(strings.TrimSuffix(x.Name, ".weight")); bytes.Equal(p, q) == beside {
			t.Errorf("%s: the same bytes: %v", x.Name, !beside)
		}
	}
}

func TestWeightsWithAnAdapterAreOnNoGrid(t *testing.T) {
	base, adapters := pair(t, "tiny-dense", false, synth.QV)
	in := save(t, t.TempDir(), "trained.gguf", trained(t, base, 1))
	data, r := file(t, in, quantize.Options{Type: quantize.Q4_0, Adapters: adapters})
	f := open(t, data)
	for _, x := range f.Tensors {
		if x.Type != gguf.Q4_0 && x.Type != gguf.F32 {
			t.Errorf("%s is in %v", x.Name, x.Type)
		}
	}
	if r.Merged == 0 || r.Grid.Tensors == 0 || r.Grid.OnGrid != r.Grid.Blocks {
		t.Errorf("%+v", r)
	}
}

func TestAdaptersThatDoNotFitAreRefused(t *testing.T) {
	base, adapters := pair(t, "micro-e", false, synth.QV)
	good, err := gguf.Open(adapters[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	_, others := pair(t, "micro-dense", false, synth.QV)
	changed := func(name string, change func(m *gguf.Metadata, s []gguf.Source) []gguf.Source) quantize.Adapter {
		m := good.Metadata.Clone()
		s := change(m, testdata.Sources(t, good))
		return quantize.Adapter{Path: save(t, t.TempDir(), name+".gguf", testdata.Bytes(t, m, s)), Scale: 1}
	}
	set := func(key string, value any) func(*gguf.Metadata, []gguf.Source) []gguf.Source {
		return func(m *gguf.Metadata, s []gguf.Source) []gguf.Source {
			if err := m.Set(key, value); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	infinite := float32(math.Inf(1))
	for _, test := range []struct {
		want string
		a    quantize.Adapter
	}{
		{"general.type", changed("type", set("general.type", "model"))},
		{`architecture "gemma3"`, changed("architecture", set("general.architecture", "gemma3"))},
		{"expected", others[0]},
		{"no tensor", changed("unknown", func(m *gguf.Metadata, s []gguf.Source) []gguf.Source {
			for i := range s {
				s[i].Name = strings.Replace(s[i].Name, "blk.1.", "blk.77.", 1)
			}
			return s
		})},
		{"lora_a", changed("half", func(m *gguf.Metadata, s []gguf.Source) []gguf.Source {
			return slices.DeleteFunc(s, func(x gguf.Source) bool { return x.Name == "blk.2.attn_q.weight.lora_a" })
		})},
		{"expected a finite number", quantize.Adapter{Path: adapters[0].Path, Scale: infinite}},
	} {
		out := t.TempDir() + "/out.gguf"
		_, err := quantize.File(t.Context(), base, out, quantize.Options{Type: quantize.F32, Adapters: []quantize.Adapter{test.a}})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "quantize: ") {
			t.Errorf("error %v, want %q", err, test.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q: the file is there", test.want)
		}
	}
}
