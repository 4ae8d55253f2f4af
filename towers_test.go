package gemma4

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// mm reads a file of golden/mm.
func mm(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(testdata.Shared(t, "golden", "mm", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func floats(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	binary.Decode(b, binary.LittleEndian, x)
	return x
}

// recoded returns a projector with its matrices in another type.
func recoded(t testing.TB, data []byte, kind gguf.Type) *gguf.File {
	t.Helper()
	f, err := gguf.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	sources := testdata.Sources(t, f)
	for i, s := range sources {
		matrix := len(s.Dims) == 2 && strings.HasSuffix(s.Name, ".weight") && s.Dims[0]%32 == 0
		if !matrix || kind == gguf.F32 {
			continue
		}
		var b bytes.Buffer
		if err := s.Write(&b); err != nil {
			t.Fatal(err)
		}
		format, x := tensor.Format(kind), floats(b.Bytes())
		out := make([]byte, format.RowBytes(len(x)))
		if err := format.Encode(out, x); err != nil {
			t.Fatal(err)
		}
		sources[i] = gguf.NewSource(s.Name, kind, s.Dims, out)
	}
	f, err = gguf.OpenBytes(testdata.Bytes(t, f.Metadata, sources))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func towers(t testing.TB, f *gguf.File, k *tensor.Kernels, width int) *model.Projector {
	t.Helper()
	p, err := model.OpenProjector(f, &model.Config{Width: width}, model.Options{Kernels: k, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// errorsOf returns the largest error and the root mean square of errors over that of what is wanted.
func errorsOf(got, want []float32) (worst, relative float64) {
	if len(got) != len(want) {
		return math.Inf(1), math.Inf(1)
	}
	var sum, all float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		if worst = max(worst, math.Abs(d)); d != d {
			return math.Inf(1), math.Inf(1)
		}
		sum, all = sum+d*d, all+float64(w)*float64(w)
	}
	return worst, math.Sqrt(sum / all)
}

// rounds reports whether a level rounds floats when it multiplies them with weights of a type, or attends.
func rounds(k *tensor.Kernels, weights gguf.Type) bool {
	return k.Name == "bf16" || k.Name == "amx" || k.Name == "i8mm" && weights != gguf.F32
}

// TestTowersAtEveryLevel: exact to 2e-4 where products are of floats. Otherwise errors, as a share of the values, stay within what follows
// from the rounding of weights, 2⁻¹¹ in F16, 2⁻⁹ in BF16, a 254th of the largest of 32 in Q8_0, and of activations, as they go through
// a few layers: four times as much, at most.
func TestTowersAtEveryLevel(t *testing.T) {
	for kind, limit := range map[gguf.Type]float64{gguf.F32: 0, gguf.F16: 0.002, gguf.BF16: 0.01, gguf.Q8_0: 0.04} {
		for name, inputs := range map[string][]string{"va": {"image", "image-240x144", "sound"}, "u": {"image", "sound"}} {
			f := recoded(t, mm(t, "mmproj-"+name+".gguf"), kind)
			for _, input := range inputs {
				exact := map[string][]float32{}
				for _, k := range levels() {
					var got []float32
					var err error
					switch p := towers(t, f, k, 64); input {
					case "image":
						got, err = p.See(t.Context(), model.Pixels{Width: 192, Height: 96, RGB: mm(t, "image-192x96.rgb")})
					case "image-240x144":
						got, err = p.See(t.Context(), model.Pixels{Width: 240, Height: 144, RGB: mm(t, "image-240x144.rgb")})
					default:
						got, err = p.Hear(t.Context(), floats(mm(t, "sound-16k.f32")))
					}
					if err != nil {
						t.Fatal(err)
					}
					if exact[input] == nil { // the portable level comes first
						exact[input] = got
					}
					worst, relative := errorsOf(got, floats(mm(t, name+"-"+input+".f32")))
					level, of := errorsOf(got, exact[input])
					switch {
					case kind == gguf.F32 && !rounds(k, kind) && !(worst <= 2e-4),
						kind == gguf.F32 && rounds(k, kind) && !(relative <= 0.01),
						kind != gguf.F32 && !(relative <= limit+0.01),
						kind != gguf.Q8_0 && !rounds(k, kind) && !(level <= 2e-4),
						kind != gguf.Q8_0 && rounds(k, kind) && !(of <= 0.01),
						kind == gguf.Q8_0 && !(of <= 0.03):
						t.Errorf("%v %s %s at %s: off by %.2g, relative %.2g; of the same weights %.2g, relative %.2g", kind, name, input,
							k.Name, worst, relative, level, of)
					}
				}
			}
		}
	}
}

// TestPromptsFromPixelsAndSamples: through towers and text model, at every level.
func TestPromptsFromPixelsAndSamples(t *testing.T) {
	var cases struct {
		Prompts, More []struct {
			Text, MMProj, Input, Logits string
			Pictures                    []string
			Before, Between, After      []int32
		}
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(mm(t, "mm.json"), &all); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.Unmarshal(all["prompts"], &cases.Prompts), json.Unmarshal(all["more_prompts"], &cases.More)); err != nil {
		t.Fatal(err)
	}
	prompts := append(cases.Prompts, cases.More...)
	if len(prompts) < 8 {
		t.Fatalf("only %d prompts", len(prompts))
	}
	for _, k := range levels() {
		for _, c := range prompts {
			f := recoded(t, mm(t, "mmproj-"+c.MMProj+".gguf"), gguf.F32)
			p := towers(t, f, k, 64)
			var soft [][]float32
			if c.Input == "sound" {
				rows, err := p.Hear(t.Context(), floats(mm(t, "sound-16k.f32")))
				if err != nil {
					t.Fatal(err)
				}
				soft = append(soft, rows)
			} else if len(c.Pictures) == 0 {
				c.Pictures = []string{"image-192x96.rgb"}
			}
			for _, name := range c.Pictures {
				pixels := model.Pixels{RGB: mm(t, name)}
				if _, err := fmt.Sscanf(name, "image-%dx%d.rgb", &pixels.Width, &pixels.Height); err != nil {
					t.Fatal(err)
				}
				rows, err := p.See(t.Context(), pixels)
				if err != nil {
					t.Fatal(err)
				}
				soft = append(soft, rows)
			}
			in := []model.Input{{Tokens: c.Before}}
			for i, rows := range soft {
				if i > 0 {
					in = append(in, model.Input{Tokens: c.Between})
				}
				in = append(in, model.Input{Embeddings: rows, Image: c.Input == "image"})
			}
			m := (&goldenModel{path: filepath.Join("model", "testdata", c.Text+".gguf")}).open(t, k, 2)
			var got []float32
			err := open(t, m, 0).read(append(in, model.Input{Tokens: c.After}), func(l []float32) { got = append(got, l...) })
			if err != nil {
				t.Fatal(err)
			}
			worst, relative := errorsOf(got, floats(mm(t, c.Logits)))
			if rounds(k, gguf.F32) && !(relative <= 0.02) || !rounds(k, gguf.F32) && !(worst <= 1e-3) {
				t.Errorf("%s at %s: logits are off by %g, relative %g", c.Logits, k.Name, worst, relative)
			}
		}
	}
}

// TestNanosTowersRunAtEveryLevel, and in 8 bits say the same as in floats, nearly.
func TestNanosTowersRunAtEveryLevel(t *testing.T) {
	samples := make([]float32, 20000)
	for i := range samples {
		samples[i] = float32(0.2 * math.Sin(float64(i)*float64(i)*1e-5))
	}
	pixels := model.Pixels{Width: 192, Height: 96, RGB: mm(t, "image-192x96.rgb")}.Resize(384, 192)
	var seen, heard []float32
	for _, name := range []string{"f32", "q8_0"} {
		f, err := gguf.Open(testdata.Shared(t, "nano", "nano-mmproj-"+name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, k := range levels() {
			p := towers(t, f, k, 256)
			a, err := p.See(t.Context(), pixels)
			b, err2 := p.Hear(t.Context(), samples)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			if seen == nil {
				seen, heard = a, b
			}
			_, seeing := errorsOf(a, seen)
			_, hearing := errorsOf(b, heard)
			if limit := map[string]float64{"f32": 0.01, "q8_0": 0.05}[name]; !(seeing <= limit && hearing <= limit) {
				t.Errorf("%s at %s: off by %.2g and %.2g of the values", name, k.Name, seeing, hearing)
			}
			t.Logf("%s at %s: off by %.2g and %.2g of the values", name, k.Name, seeing, hearing)
		}
	}
}
