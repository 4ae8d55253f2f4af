package synth

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

func parseDrafter(t testing.TB, spec string) Drafter {
	t.Helper()
	d, err := ParseDrafter(spec)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEveryDrafterIsAFileOfFiniteWeights(t *testing.T) {
	for _, spec := range []string{"tiny-e-draft", "tiny-e4-draft:q4_0", "tiny-dense-draft:q4_k_m", "tiny-moe-draft:f16",
		"micro-e-draft:bf16", "micro-e4-draft:q8_0", "micro-dense-draft:q4_0", "micro-moe-draft:q8_0"} {
		t.Run(spec, func(t *testing.T) { checkWeights(t, parseDrafter(t, spec)) })
	}
}

func TestDraftersAreThoseOfTheGoldenFiles(t *testing.T) {
	for _, name := range []string{"micro-e4-draft", "micro-dense-draft"} {
		t.Run(name, func(t *testing.T) {
			checkGolden(t, testdata.Shared(t, "golden", "draft", name+".gguf"), parseDrafter(t, name), "gemma4-assistant.")
		})
	}
}

// The numbers are those of the published drafters.
func TestFullDraftersHaveTheTrueShapes(t *testing.T) {
	for _, c := range []struct {
		spec    string
		million float64 // parameters
		dims    map[string][]int
	}{
		{"e2b-draft:q4_0", 78, map[string][]int{
			"token_embd.weight": {256, 262144}, "nextn.pre_projection.weight": {3072, 256}, "nextn.post_projection.weight": {256, 1536},
			"blk.0.attn_q.weight": {256, 1024}, "blk.3.attn_q.weight": {256, 2048}, "blk.3.ffn_up.weight": {256, 2048},
		}},
		{"e4b-draft:q4_0", 78, map[string][]int{"nextn.pre_projection.weight": {5120, 256}}},
		{"12b-draft:q4_0", 423, map[string][]int{"token_embd.weight": {1024, 262144}, "nextn.post_projection.weight": {1024, 3840}}},
		{"26b-draft:q8_0", 420, map[string][]int{"token_embd.weight": {1024, 262144}, "nextn.post_projection.weight": {1024, 2816}}},
		{"31b-draft:q4_0", 470, map[string][]int{"nextn.post_projection.weight": {1024, 5376}, "blk.3.attn_q.weight": {1024, 16384}}},
		{"e2b-short-draft:q4_0", 12, map[string][]int{"token_embd.weight": {256, 8192}, "nextn.pre_projection.weight": {3072, 256}}},
	} {
		d := parseDrafter(t, c.spec)
		_, sources, err := Build(d)
		if err != nil {
			t.Fatal(err)
		}
		if n := float64(d.Parameters()) / 1e6; math.Abs(n/c.million-1) > 0.02 {
			t.Errorf("%s: %.1f million parameters, want %.0f", c.spec, n, c.million)
		}
		for name, want := range c.dims {
			is := func(s gguf.Source) bool { return s.Name == name && slices.Equal(s.Dims, want) }
			if !slices.ContainsFunc(sources, is) {
				t.Errorf("%s: %s is not %v", c.spec, name, want)
			}
		}
		if slices.ContainsFunc(sources, func(s gguf.Source) bool { return strings.Contains(s.Name, "attn_k") }) {
			t.Errorf("%s has keys", c.spec)
		}
	}
}

func TestShapesThatAreNoDrafter(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Drafter)
	}{
		{"Width is 0", func(d *Drafter) { d.Width = 0 }},
		{"MLP is 1048577", func(d *Drafter) { d.MLP = 1<<20 + 1 }},
		{"Heads is 3, want a multiple of the model's 2 KV heads (sliding: true)", func(d *Drafter) { d.Heads = 3 }},
		{"Model has no layer", func(d *Drafter) { d.Model.Sliding = make([]bool, d.Model.Layers) }},
		{"Layers is 0", func(d *Drafter) { d.Model.Layers = 0 }},
		{"token_embd.weight is to be in format 99", func(d *Drafter) { d.Mix = All(99) }},
	} {
		d := parseDrafter(t, "micro-e4-draft")
		c.change(&d)
		if err := Write(io.Discard, d); err == nil || !strings.HasPrefix(err.Error(), "synth: "+c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if d.Size() != 0 || d.Parameters() != 0 {
			t.Errorf("%q has %d bytes", c.want, d.Size())
		}
	}
}

func TestDraftersDependOnTheSeedAlone(t *testing.T) {
	d := parseDrafter(t, "micro-e4-draft:q8_0")
	d.Seed = 3
	const want = "0bb92898002b2fd9" // the same on every architecture
	if got := hash(t, d); got != want {
		t.Errorf("sha256 %s, want %s", got, want)
	}
	d.Seed = 4
	if hash(t, d) == want {
		t.Error("another seed gives the same weights")
	}
}
