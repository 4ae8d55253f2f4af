package synth

import (
	"fmt"
	"strings"
)

// A preset is an entry of the list below.
type preset struct {
	name                      string
	layers, width, heads      int
	kvSliding, kvGlobal       int
	head                      int // size in sliding layers; global ones have twice as much
	mlp, mlpShared            int // width, and that of the layers without keys and values where it differs
	every                     int // every n-th layer is global
	window, shared, perLayer  int
	experts, used, expertSize int
	keysAsValues              bool
	context, vocabulary       int
	senses                    *Projector
	draft                     guess
}

// guess is the shape of a preset's drafter: its width, heads and MLP.
type guess struct{ width, heads, mlp int }

var table = [...]preset{
	{"e2b", 35, 1536, 8, 1, 1, 256, 6144, 12288, 5, 512, 20, 256, 0, 0, 0, false, 131072, 262144, &ears, guess{256, 4, 2048}},
	{"e4b", 42, 2560, 8, 2, 2, 256, 10240, 10240, 6, 512, 18, 256, 0, 0, 0, false, 131072, 262144, &ears, guess{256, 4, 2048}},
	{"12b", 48, 3840, 16, 8, 1, 256, 15360, 15360, 6, 1024, 0, 0, 0, 0, 0, true, 262144, 262144, &unified, guess{1024, 16, 8192}},
	{"26b", 30, 2816, 16, 8, 2, 256, 2112, 2112, 6, 1024, 0, 0, 128, 8, 704, true, 262144, 262144, &eyes, guess{1024, 16, 8192}},
	{"31b", 60, 5376, 32, 16, 4, 256, 21504, 21504, 6, 1024, 0, 0, 0, 0, 0, true, 262144, 262144, &eyes, guess{1024, 32, 8192}},

	{"tiny-e", 10, 256, 4, 1, 1, 64, 512, 1024, 5, 16, 5, 256, 0, 0, 0, false, 4096, 512, &tinyEars, guess{256, 4, 512}},
	{"tiny-e4", 12, 256, 4, 2, 2, 64, 768, 768, 6, 16, 6, 256, 0, 0, 0, false, 4096, 512, &tinyEars, guess{256, 4, 512}},
	{"tiny-dense", 6, 256, 8, 4, 2, 64, 768, 768, 6, 16, 0, 0, 0, 0, 0, true, 4096, 512, &tinyUnified, guess{256, 8, 512}},
	{"tiny-moe", 6, 256, 4, 2, 1, 64, 512, 512, 6, 16, 0, 0, 8, 2, 256, true, 4096, 512, &tinyEyes, guess{256, 4, 512}},

	{"micro-e", 10, 64, 4, 1, 1, 16, 128, 256, 5, 8, 5, 32, 0, 0, 0, false, 512, 512, &microEars, guess{32, 4, 64}},
	{"micro-e4", 12, 64, 4, 2, 2, 16, 160, 160, 6, 8, 6, 32, 0, 0, 0, false, 512, 512, &microEars, guess{32, 4, 64}},
	{"micro-dense", 6, 64, 8, 4, 2, 16, 192, 192, 6, 8, 0, 0, 0, 0, 0, true, 512, 512, &microUnified, guess{32, 8, 64}},
	{"micro-moe", 6, 64, 4, 2, 1, 16, 96, 96, 6, 8, 0, 0, 8, 2, 32, true, 512, 512, &microEyes, guess{32, 4, 64}},
}

// What the senses of the presets are made of; Name, Mix and Width come with the preset. The tiny ones have what is awkward about the full
// ones: heads of 72, and an MLP that is no multiple of 32.
var (
	ears = Projector{Vision: Tower{16, 768, 12, 3072}, Audio: Tower{12, 1024, 8, 4096}, Positions: 10240, Channels: [2]int{128, 32},
		AudioOut: 1536, Clamps: true}
	eyes    = Projector{Vision: Tower{27, 1152, 16, 4304}, Positions: 10240, Standardise: true}
	unified = Projector{Unified: true, Vision: Tower{Width: 3840}, Audio: Tower{Width: 640}, Positions: 1120}

	tinyEars = Projector{Vision: Tower{4, 256, 4, 512}, Audio: Tower{3, 256, 4, 1024}, Positions: 128, Channels: [2]int{32, 16},
		AudioOut: 384, Clamps: true}
	tinyEyes    = Projector{Vision: Tower{4, 288, 4, 1072}, Positions: 128, Standardise: true}
	tinyUnified = Projector{Unified: true, Vision: Tower{Width: 256}, Audio: Tower{Width: 640}, Positions: 64}

	microEars = Projector{Vision: Tower{3, 64, 4, 128}, Audio: Tower{2, 64, 4, 256}, Positions: 64, Channels: [2]int{16, 8},
		AudioOut: 96, Clamps: true}
	microEyes    = Projector{Vision: Tower{3, 64, 4, 128}, Positions: 64, Standardise: true}
	microUnified = Projector{Unified: true, Vision: Tower{Width: 64}, Audio: Tower{Width: 640}, Positions: 40}
)

// Presets returns the presets' names, the full sizes first.
func Presets() []string {
	var names []string
	for _, p := range table {
		names = append(names, p.name)
	}
	for _, p := range table {
		if p.isFull() {
			names = append(names, p.name+"-narrow", p.name+"-short")
		}
	}
	return names
}

// Projectors returns the names of the presets' projectors, the full sizes first. There are none for narrow ones.
func Projectors() []string { return companions(projectorEnding) }

// Drafters returns the names of the presets' drafters, likewise.
func Drafters() []string { return companions(drafterEnding) }

func companions(ending string) []string {
	var names []string
	for _, p := range table {
		names = append(names, p.name+ending)
	}
	for _, p := range table {
		if p.isFull() {
			names = append(names, p.name+"-short"+ending)
		}
	}
	return names
}

const (
	projectorEnding = "-mmproj"
	drafterEnding   = "-draft"
)

// split returns the name of a preset and what its format stands for.
func split(spec string) (name, format string, m Mix, err error) {
	name, format, given := strings.Cut(spec, ":")
	if !given {
		format = "f32"
	}
	m, ok := mix(format)
	if !ok {
		err = fmt.Errorf("synth: unknown format %q in %q, want q4_k_m or a weight format such as q4_0, q8_0, f16", format, spec)
	}
	return name, format, m, err
}

// ParseShape returns what a spec stands for that may be a model's, a projector's, a drafter's or an adapter's, with the given seed of all
// weights.
func ParseShape(spec string, seed uint64) (Shape, error) {
	switch name, _, _ := strings.Cut(spec, ":"); {
	case strings.HasSuffix(name, projectorEnding):
		p, err := ParseProjector(spec)
		p.Seed = seed
		return p, err
	case strings.HasSuffix(name, drafterEnding):
		d, err := ParseDrafter(spec)
		d.Seed = seed
		return d, err
	case strings.HasSuffix(name, adapterEnding):
		a, err := ParseAdapter(spec)
		a.Seed = seed
		return a, err
	}
	c, err := Parse(spec)
	c.Seed = seed
	return c, err
}

// ParseProjector returns the projector that a spec such as "e2b-mmproj:q8_0" stands for. Without a format it is F32.
func ParseProjector(spec string) (Projector, error) {
	name, format, m, err := split(spec)
	if err != nil {
		return Projector{}, err
	}
	for _, p := range table {
		s := *p.senses
		if name == p.name+"-short"+projectorEnding && p.isFull() {
			s.Vision.Layers, s.Audio.Layers = min(s.Vision.Layers, 2), min(s.Audio.Layers, 2)
		} else if name != p.name+projectorEnding {
			continue
		}
		s.Name, s.Mix, s.Width = fmt.Sprintf("synthetic %s %s", name, format), m, p.width
		return s, nil
	}
	return Projector{}, fmt.Errorf("synth: unknown projector %q in %q, want one of %s", name, spec, strings.Join(Projectors(), ", "))
}

// ParseDrafter returns the drafter that a spec such as "e2b-draft:q4_0" stands for, of the model with the preset's name. Without a format
// it is F32.
func ParseDrafter(spec string) (Drafter, error) {
	name, format, m, err := split(spec)
	if err != nil {
		return Drafter{}, err
	}
	for _, p := range table {
		if name == p.name+"-short"+drafterEnding && p.isFull() {
			p = p.short()
		} else if name != p.name+drafterEnding {
			continue
		}
		return Drafter{Name: fmt.Sprintf("synthetic %s %s", name, format), Mix: m, Model: p.config(),
			Width: p.draft.width, Heads: p.draft.heads, MLP: p.draft.mlp}, nil
	}
	return Drafter{}, fmt.Errorf("synth: unknown drafter %q in %q, want one of %s", name, spec, strings.Join(Drafters(), ", "))
}

// Parse returns the configuration that a spec PRESET:FORMAT stands for, such as "e2b:q4_0" or "26b:q4_k_m". Without a format it is F32.
func Parse(spec string) (Config, error) {
	name, format, m, err := split(spec)
	if err != nil {
		return Config{}, err
	}
	for _, p := range table {
		c := p.config()
		if name == p.name+"-narrow" && p.isFull() {
			c = p.narrow().config()
		} else if name == p.name+"-short" && p.isFull() {
			c = p.short().config()
		} else if name != p.name {
			continue
		}
		c.Name, c.Mix = fmt.Sprintf("synthetic %s %s", name, format), m
		return c, nil
	}
	return Config{}, fmt.Errorf("synth: unknown preset %q in %q, want one of %s", name, spec, strings.Join(Presets(), ", "))
}

func (p preset) isFull() bool { return p.vocabulary == 262144 }

// narrow keeps what shapes the cache.
func (p preset) narrow() preset {
	const width = 64
	p.mlp, p.mlpShared = 2*width, 2*width*p.mlpShared/p.mlp
	p.width, p.perLayer, p.vocabulary = width, min(p.perLayer, width/2), MinVocabulary
	p.experts, p.used, p.expertSize = min(p.experts, 8), min(p.used, 2), min(p.expertSize, width/2)
	return p
}

// short keeps what shapes the matrices: two periods of layers, of which the second shares keys and values if any does.
func (p preset) short() preset {
	p.layers, p.shared, p.vocabulary = 2*p.every, min(p.shared, p.every), 8192
	return p
}

func (p preset) config() Config {
	c := Config{
		Vocabulary: p.vocabulary, Context: p.context, Layers: p.layers, Width: p.width,
		Heads: []int{p.heads}, KVHeads: []int{p.kvSliding}, MLP: []int{p.mlp},
		HeadSize: 2 * p.head, HeadSizeSliding: p.head, Window: p.window, SharedKV: p.shared, KeysAsValues: p.keysAsValues,
		PerLayer: p.perLayer, Experts: p.experts, ExpertsUsed: p.used, ExpertWidth: p.expertSize,
	}
	kv, mlp := make([]int, p.layers), make([]int, p.layers)
	for i := range p.layers {
		global := (i+1)%p.every == 0
		c.Sliding = append(c.Sliding, !global)
		kv[i], mlp[i] = p.kvSliding, p.mlp
		if global {
			kv[i] = p.kvGlobal
		}
		if i >= p.layers-p.shared {
			mlp[i] = p.mlpShared
		}
	}
	if p.kvGlobal != p.kvSliding {
		c.KVHeads = kv
	}
	if p.mlpShared != p.mlp {
		c.MLP = mlp
	}
	return c
}
