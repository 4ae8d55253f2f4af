package model

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

// companionConfig is the shape that the files of these tests go with.
var companionConfig = &Config{Width: 64, Vocabulary: 512, Owners: 2, Layers: []LayerConfig{
	{Sliding: true, HeadDim: 16}, {HeadDim: 32}, {Sliding: true, HeadDim: 16}}}

// edit changes a file: a key that is set to nil is taken out, and tensors take the place of those of their names, or drop them.
type edit struct {
	keys map[string]any
	drop string
	add  []gguf.Source
}

func (e edit) apply(t *testing.T, m *gguf.Metadata, tensors []gguf.Source) *gguf.File {
	t.Helper()
	for key, v := range e.keys {
		m.Delete(key)
		if v == nil {
			continue
		}
		if err := m.Set(key, v); err != nil {
			t.Fatal(err)
		}
	}
	tensors = slices.DeleteFunc(tensors, func(s gguf.Source) bool {
		return s.Name == e.drop || slices.ContainsFunc(e.add, func(a gguf.Source) bool { return a.Name == s.Name })
	})
	f, err := gguf.OpenBytes(testdata.Bytes(t, m, append(tensors, e.add...)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestProjectorsFitByTypeAndWidth(t *testing.T) {
	const image, sound = "mm.input_projection.weight", "mm.a.input_projection.weight"
	for _, test := range []struct {
		name string
		edit
		want string // what it is, or of the error
	}{
		{"both", edit{}, "images (gemma4v), sounds (gemma4a)"},
		{"without towers", edit{keys: map[string]any{"clip.vision.projector_type": "gemma4uv", "clip.audio.projector_type": "gemma4ua"}},
			"images (gemma4uv), sounds (gemma4ua)"},
		{"images alone", edit{keys: map[string]any{"clip.has_audio_encoder": nil}, drop: sound}, "images (gemma4v)"},
		{"sounds alone", edit{keys: map[string]any{"clip.has_vision_encoder": false}, drop: image}, "sounds (gemma4a)"},
		{"a type without a sense", edit{keys: map[string]any{"clip.vision.projector_type": nil, "clip.projector_type": "gemma4v"}},
			"images (gemma4v), sounds (gemma4a)"},

		{"a model", edit{keys: map[string]any{"general.architecture": "gemma4"}}, `general.architecture is "gemma4", expected "clip"`},
		{"no architecture", edit{keys: map[string]any{"general.architecture": nil}}, "general.architecture"},
		{"no sense", edit{keys: map[string]any{"clip.has_audio_encoder": nil, "clip.has_vision_encoder": nil}}, "clip.has_vision_encoder"},
		{"a sense of the wrong type", edit{keys: map[string]any{"clip.has_audio_encoder": "yes"}}, "clip.has_audio_encoder"},
		{"another projector", edit{keys: map[string]any{"clip.vision.projector_type": "gemma3"}},
			`clip.vision.projector_type is "gemma3", expected gemma4v or gemma4uv`},
		{"another ear", edit{keys: map[string]any{"clip.audio.projector_type": "gemma4v"}}, `clip.audio.projector_type is "gemma4v"`},
		{"no type", edit{keys: map[string]any{"clip.vision.projector_type": nil}}, "clip.projector_type"},
		{"wider images", edit{add: []gguf.Source{testdata.Zeros(image, 96, 65)}}, image + " is [96 65], expected 64 rows"},
		{"narrower sounds", edit{add: []gguf.Source{testdata.Zeros(sound, 64, 63)}}, sound + " is [64 63], expected 64 rows"},
		{"a vector", edit{add: []gguf.Source{testdata.Zeros(sound, 64)}}, sound + " is [64], expected 64 rows"},
		{"no matrix", edit{drop: image}, image + " is missing"},
	} {
		m, tensors := testdata.Projector(t, 64)
		p, err := ReadSenses(test.apply(t, m, tensors), companionConfig)
		if fits := !strings.Contains(test.want, "."); fits && (err != nil || p.String() != test.want) ||
			!fits && (err == nil || !strings.HasPrefix(err.Error(), "model: ") || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, %v, expected %s", test.name, p, err, test.want)
		}
	}
}

func TestDraftersFitByWidthHeadsAndVocabulary(t *testing.T) {
	const arch = "gemma4-assistant."
	m := openSynthetic(t, "micro-e:f32", 1)
	spelled := func(as string) map[string]any {
		keys := map[string]any{"general.architecture": as}
		m, _ := testdata.Drafter(t, 64, 512, 32, 16)
		for _, key := range m.Keys() {
			if name, ok := strings.CutPrefix(key, arch); ok {
				keys[as+"."+name], _ = m.Value(key)
			}
		}
		keys[as+".attention.sliding_window_pattern"] = []bool{true, true, true, false}
		return keys
	}
	for _, test := range []struct {
		name string
		edit
		want string // of the error, empty: it fits
	}{
		{"as it is", edit{}, ""},
		{"no width of the model", edit{keys: map[string]any{arch + "embedding_length_out": nil}}, ""},
		{"another spelling", edit{keys: spelled("gemma4_assistant")}, ""},
		{"a third spelling", edit{keys: spelled("gemma4_mtp")}, ""},

		{"a projector", edit{keys: map[string]any{"general.architecture": "clip"}},
			`general.architecture is "clip", expected "gemma4-assistant"`},
		{"no layers", edit{keys: map[string]any{arch + "block_count": nil}}, arch + "block_count"},
		{"too many layers", edit{keys: map[string]any{arch + "block_count": uint32(1 << 20)}}, arch + "block_count is 1048576"},
		{"no width", edit{keys: map[string]any{arch + "embedding_length": nil}}, arch + "embedding_length"},
		{"for a wider model", edit{keys: map[string]any{arch + "embedding_length_out": uint32(128)}},
			arch + "embedding_length_out is 128, expected 64, the model's gemma4.embedding_length"},
		{"a width in words", edit{keys: map[string]any{arch + "embedding_length_out": "wide"}}, arch + "embedding_length_out"},
		{"other global heads", edit{keys: map[string]any{arch + "attention.key_length": uint32(64)}}, arch +
			"attention.key_length is 64, expected 32"},
		{"other sliding heads", edit{keys: map[string]any{arch + "attention.key_length_swa": uint32(8)}},
			arch + "attention.key_length_swa is 8, expected 16, the model's gemma4.attention.key_length_swa"},
		{"another vocabulary", edit{add: []gguf.Source{testdata.Zeros("token_embd.weight", 32, 511)}},
			"token_embd.weight has the shape [32 511], expected [32 512]"},
		{"another input", edit{add: []gguf.Source{testdata.Zeros("nextn.pre_projection.weight", 64, 32)}},
			"nextn.pre_projection.weight has the shape [64 32], expected [128 32]"},
		{"another output", edit{add: []gguf.Source{testdata.Zeros("nextn.post_projection.weight", 32, 65)}},
			"nextn.post_projection.weight has the shape [32 65], expected [32 64]"},
		{"no output", edit{drop: "nextn.post_projection.weight"}, "nextn.post_projection.weight is missing"},
	} {
		metadata, tensors := testdata.Drafter(t, 64, 512, 32, 16)
		d, err := OpenDrafter(test.apply(t, metadata, tensors), m, DrafterOptions{})
		if test.want == "" && (err != nil || d.Width != 32 || d.Layers < 3) ||
			test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "model: ") || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, %v, expected %q", test.name, d, err, test.want)
		}
	}
}

// TestRealCompanionsFitTheirModelsAlone: those that another program has made.
func TestRealCompanionsFitTheirModelsAlone(t *testing.T) {
	models := map[string]*Model{
		"nano":  openModel(t, testdata.Shared(t, "nano", "nano-q8_0.gguf"), 1),
		"dense": openModel(t, testdata.Shared(t, "golden", "text", "micro-dense.gguf"), 1),
		"e4":    openModel(t, testdata.Shared(t, "golden", "text", "micro-e4.gguf"), 1),
	}
	for _, test := range []struct {
		path  []string
		goes  string // with these models
		about string
	}{
		{[]string{"golden", "mm", "mmproj-u.gguf"}, "dense e4", "images (gemma4uv), sounds (gemma4ua)"},
		{[]string{"golden", "mm", "mmproj-va.gguf"}, "dense e4", "images (gemma4v), sounds (gemma4a)"},
		{[]string{"nano", "nano-mmproj-q8_0.gguf"}, "nano", "images (gemma4v), sounds (gemma4a)"},
		{[]string{"golden", "draft", "micro-dense-draft.gguf"}, "dense", "4 layers of width 32"},
		{[]string{"golden", "draft", "micro-e4-draft.gguf"}, "e4", "4 layers of width 32"},
		{[]string{"nano", "nano-draft-f32.gguf"}, "nano", "4 layers of width 64"},
	} {
		f, err := gguf.Open(testdata.Shared(t, test.path...))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for name, m := range models {
			p, notProjector := ReadSenses(f, &m.Config)
			d, notDrafter := OpenDrafter(f, m, DrafterOptions{})
			switch about := test.about; {
			case !strings.Contains(test.goes, name):
				if notProjector == nil || notDrafter == nil {
					t.Errorf("%s goes with %s", filepath.Join(test.path...), name)
				}
			case notProjector == nil && notDrafter == nil,
				notProjector == nil && p.String() != about, notDrafter == nil && d.String() != about,
				notProjector != nil && notDrafter != nil:
				t.Errorf("%v with %s: %v (%v), %v (%v)", test.path, name, p, notProjector, d, notDrafter)
			}
		}
	}
}
