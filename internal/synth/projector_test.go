package synth

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

func parseProjector(t testing.TB, spec string) Projector {
	t.Helper()
	p, err := ParseProjector(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryProjectorIsAFileOfFiniteWeights(t *testing.T) {
	for _, spec := range []string{"tiny-e-mmproj", "tiny-e-mmproj:f16", "tiny-e-mmproj:bf16", "tiny-e4-mmproj:q8_0", "tiny-moe-mmproj:q8_0",
		"tiny-dense-mmproj:q8_0", "micro-e-mmproj:q4_0", "micro-e4-mmproj:q4_k_m", "micro-dense-mmproj:f16", "micro-moe-mmproj:q8_0"} {
		t.Run(spec, func(t *testing.T) { checkWeights(t, parseProjector(t, spec)) })
	}
}

// checkGolden compares what a shape is written as with a golden file: the tensors' dimensions, and the keys that begin so.
func checkGolden(t *testing.T, path string, s Shape, prefix string) {
	t.Helper()
	want, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	got := open(t, Bytes(s))
	for _, w := range want.Tensors {
		if g := got.Tensor(w.Name); g == nil || !slices.Equal(g.Dims, w.Dims) {
			t.Errorf("%s is %v, want %v", w.Name, g, w.Dims)
		}
	}
	if len(got.Tensors) != len(want.Tensors) {
		t.Errorf("%d tensors, want %d", len(got.Tensors), len(want.Tensors))
	}
	for _, key := range want.Metadata.Keys() {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if g, w := show(got.Metadata, key), show(want.Metadata, key); g != w {
			t.Errorf("%s is %s, want %s", key, g, w)
		}
	}
}

func TestProjectorsAreThoseOfTheGoldenFiles(t *testing.T) {
	standard := parseProjector(t, "micro-e-mmproj")
	standard.Standardise = true
	for file, p := range map[string]Projector{"mmproj-va": standard, "mmproj-u": parseProjector(t, "micro-dense-mmproj")} {
		t.Run(file, func(t *testing.T) {
			checkGolden(t, testdata.Shared(t, "golden", "mm", file+".gguf"), p, "clip.")
		})
	}
}

// The numbers are those of the published projectors.
func TestFullProjectorsHaveTheTrueShapes(t *testing.T) {
	for _, c := range []struct {
		spec    string
		million float64 // parameters, without the table of positions
		dims    map[string][]int
		without []string
	}{
		{"e2b-mmproj:q8_0", 460, map[string][]int{
			"v.patch_embd.weight": {16, 16, 3, 768}, "v.position_embd.weight": {768, 10240, 2}, "v.blk.15.attn_q.weight": {768, 768},
			"v.blk.15.attn_q_norm.weight": {64}, "v.blk.0.ffn_down.weight": {3072, 768}, "v.blk.0.ffn_gate.input_max": {1},
			"mm.input_projection.weight": {768, 1536}, "a.conv1d.1.weight": {3, 3, 128, 32}, "a.input_projection.weight": {1024, 1024},
			"a.blk.11.ffn_up_1.weight": {1024, 4096}, "a.blk.11.conv_pw1.weight": {1024, 2048}, "a.blk.0.conv_dw.weight": {5, 1024},
			"a.blk.0.per_dim_scale.weight": {128}, "a.pre_encode.out.weight": {1024, 1536}, "mm.a.input_projection.weight": {1536, 1536},
		}, []string{"v.std_bias", "v.blk.16.ln1.weight", "a.blk.12.ln2.weight", "mm.input_projection.input_min"}},
		{"e4b-mmproj:f16", 462, map[string][]int{
			"mm.input_projection.weight": {768, 2560}, "mm.a.input_projection.weight": {1536, 2560},
		}, []string{"v.std_scale"}},
		{"12b-mmproj:bf16", 44, map[string][]int{
			"v.patch_embd.weight": {6912, 3840}, "v.patch_norm.1.bias": {6912}, "v.position_embd.weight": {3840, 1120, 2},
			"mm.input_projection.weight": {3840, 3840}, "mm.a.input_projection.weight": {640, 3840},
		}, []string{"v.blk.0.ln1.weight", "a.blk.0.ln2.weight"}},
		{"26b-mmproj:q8_0", 549, map[string][]int{
			"v.blk.26.ffn_down.weight": {4304, 1152}, "v.blk.26.attn_k_norm.weight": {72}, "v.std_bias": {1152}, "v.std_scale": {1152},
			"mm.input_projection.weight": {1152, 2816},
		}, []string{"v.blk.27.ln1.weight", "v.blk.0.attn_q.input_min", "a.conv1d.0.weight", "mm.a.input_projection.weight"}},
		{"31b-mmproj:f32", 552, map[string][]int{"mm.input_projection.weight": {1152, 5376}}, []string{"a.input_projection.weight"}},
		{"e2b-short-mmproj:q8_0", 76, map[string][]int{"v.blk.1.ln1.weight": {768}, "a.blk.1.ln2.weight": {1024}},
			[]string{"v.blk.2.ln1.weight", "a.blk.2.ln2.weight"}},
	} {
		t.Run(c.spec, func(t *testing.T) {
			p := parseProjector(t, c.spec)
			_, sources, err := Build(p)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]int{}
			for _, s := range sources {
				got[s.Name] = s.Dims
			}
			positions := int64(2 * p.Positions * p.Vision.Width)
			if n := float64(p.Parameters()-positions) / 1e6; math.Abs(n/c.million-1) > 0.02 {
				t.Errorf("%.1f million parameters, want %.0f", n, c.million)
			}
			for name, want := range c.dims {
				if !slices.Equal(got[name], want) {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
			for _, name := range c.without {
				if got[name] != nil {
					t.Errorf("there is a %s", name)
				}
			}
		})
	}
}

func TestProjectorsKeepConvolutionsAndPositionsInFloats(t *testing.T) {
	for _, c := range []struct {
		spec, tensor string
		want         gguf.Type
	}{
		{"e2b-mmproj:q8_0", "v.patch_embd.weight", gguf.F32},
		{"e2b-mmproj:q8_0", "v.position_embd.weight", gguf.F32},
		{"e2b-mmproj:q8_0", "a.conv1d.1.weight", gguf.F32},
		{"e2b-mmproj:q8_0", "a.blk.0.conv_dw.weight", gguf.F32},
		{"e2b-mmproj:q8_0", "a.blk.0.ln2.weight", gguf.F32},
		{"e2b-mmproj:q8_0", "a.blk.0.attn_k_rel.weight", gguf.Q8_0},
		{"e2b-mmproj:f16", "a.blk.0.conv_pw2.weight", gguf.F16},
		{"e2b-mmproj:bf16", "mm.input_projection.weight", gguf.BF16},
		{"31b-mmproj:q8_0", "v.blk.0.ffn_up.weight", gguf.Q8_0},
		{"31b-mmproj:q8_0", "v.blk.0.ffn_down.weight", gguf.F16}, // 4304 is no multiple of 32
		{"12b-mmproj:q8_0", "v.patch_embd.weight", gguf.Q8_0},
		{"12b-mmproj", "v.patch_embd.weight", gguf.F32},
	} {
		_, sources, err := Build(parseProjector(t, c.spec))
		if err != nil {
			t.Fatal(err)
		}
		found := gguf.Type(0xFF)
		for _, s := range sources {
			if s.Name == c.tensor {
				found = s.Type
			}
		}
		if found != c.want {
			t.Errorf("%s: %s is %v, want %v", c.spec, c.tensor, found, c.want)
		}
	}
}

func TestSpecsAreModelsProjectorsOrDrafters(t *testing.T) {
	for _, names := range [][]string{Presets(), Projectors(), Drafters()} {
		for _, name := range names {
			s, err := ParseShape(name+":q8_0", 3)
			_, sees := s.(Projector)
			_, drafts := s.(Drafter)
			if err != nil || sees != strings.HasSuffix(name, "-mmproj") || drafts != strings.HasSuffix(name, "-draft") || s.Size() == 0 ||
				s.seed() != 3 {
				t.Errorf("%s is a %T, %v", name, s, err)
			}
		}
	}
	for spec, want := range map[string]string{
		"e3b-mmproj:q8_0":        `unknown projector "e3b-mmproj" in "e3b-mmproj:q8_0", want one of e2b-mmproj, e4b-mmproj,`,
		"e2b-mmproj:q9":          `unknown format "q9"`,
		"e2b-narrow-mmproj:q8_0": `unknown projector "e2b-narrow-mmproj"`,
		"tiny-e-short-mmproj":    `unknown projector`,
		"e3b-draft:q4_0":         `unknown drafter "e3b-draft" in "e3b-draft:q4_0", want one of e2b-draft, e4b-draft,`,
		"e2b-narrow-draft:q4_0":  `unknown drafter "e2b-narrow-draft"`,
		"e2b-draft:q9":           `unknown format "q9"`,
		"e2b:q9":                 `unknown format "q9"`,
		"e3b":                    `unknown preset "e3b"`,
	} {
		if _, err := ParseShape(spec, 0); err == nil || !strings.HasPrefix(err.Error(), "synth: "+want) {
			t.Errorf("ParseShape(%q) = %v, want %q", spec, err, want)
		}
	}
}

func TestShapesThatAreNoProjector(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Projector)
	}{
		{"Width is 0", func(p *Projector) { p.Width = 0 }},
		{"Positions is 0", func(p *Projector) { p.Positions = 0 }},
		{"Vision.Width is 131073", func(p *Projector) { p.Vision.Width = 1<<17 + 1 }},
		{"Vision.Layers is 0", func(p *Projector) { p.Vision.Layers = 0 }},
		{"Vision.Width is 64, want a multiple of 4 for each of 5 heads", func(p *Projector) { p.Vision.Heads = 5 }},
		{"Audio.Width is -1", func(p *Projector) { p.Audio.Width = -1 }},
		{"Audio.MLP is 0", func(p *Projector) { p.Audio.MLP = 0 }},
		{"Audio.Width is 64, want a multiple of 2 for each of 7 heads", func(p *Projector) { p.Audio.Heads = 7 }},
		{"Channels[1] is 0", func(p *Projector) { p.Channels[1] = 0 }},
		{"AudioOut is 0", func(p *Projector) { p.AudioOut = 0 }},
		{"v.blk.0.attn_q.weight is to be in format 99", func(p *Projector) { p.Mix = All(99) }},
	} {
		p := parseProjector(t, "micro-e-mmproj")
		c.change(&p)
		if err := Write(io.Discard, p); err == nil || !strings.HasPrefix(err.Error(), "synth: "+c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if p.Size() != 0 || p.Parameters() != 0 {
			t.Errorf("%q has %d bytes", c.want, p.Size())
		}
	}
}

func TestProjectorsDependOnTheSeedAlone(t *testing.T) {
	p := parseProjector(t, "micro-e-mmproj:q8_0")
	p.Seed = 3
	const want = "46a373d153b63350" // the same on every architecture
	if got := hash(t, p); got != want {
		t.Errorf("sha256 %s, want %s", got, want)
	}
	p.Seed = 4
	if hash(t, p) == want {
		t.Error("another seed gives the same weights")
	}
}

func ExampleParseProjector() {
	p, err := ParseProjector("e2b-mmproj:q8_0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d and %d layers, %.2f billion parameters, %.2f GB\n",
		p.Vision.Layers, p.Audio.Layers, float64(p.Parameters())/1e9, float64(p.Size())/1e9)
	// Output: 16 and 12 layers, 0.48 billion parameters, 0.55 GB
}
