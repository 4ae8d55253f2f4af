package gemma4

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/gogemma/gemma4/model"
)

// TestPicturesAtEveryLevel: a picture larger than the window, and two in one prompt, whose positions see what comes after them.
func TestPicturesAtEveryLevel(t *testing.T) {
	folder := filepath.Join("model", "testdata")
	bytes := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	floats := func(name string) []float32 {
		b := bytes(name)
		x := make([]float32, len(b)/4)
		binary.Decode(b, binary.LittleEndian, x)
		return x
	}
	var cases struct {
		Prompts []struct {
			Text, Logits           string
			Before, Between, After []int32
			Embeddings             []string
		} `json:"more_prompts"`
	}
	if err := json.Unmarshal(bytes("mm.json"), &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases.Prompts) < 4 {
		t.Fatalf("only %d prompts", len(cases.Prompts))
	}
	for _, c := range cases.Prompts {
		want := floats(c.Logits)
		in := []model.Input{{Tokens: c.Before}}
		for i, name := range c.Embeddings {
			if i > 0 {
				in = append(in, model.Input{Tokens: c.Between})
			}
			in = append(in, model.Input{Embeddings: floats(name), Image: true})
		}
		in = append(in, model.Input{Tokens: c.After})
		for _, k := range levels() {
			m := (&goldenModel{path: filepath.Join(folder, c.Text+".gguf")}).open(t, k, 2)
			for _, batch := range []int{0, 6} {
				worst, n := 0.0, 0
				err := open(t, m, batch).read(in, func(logits []float32) {
					for _, l := range logits {
						if d := math.Abs(float64(l) - float64(want[n])); !(d <= worst) {
							worst = d
						}
						n++
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				if n != len(want) || !(worst <= 1e-3) {
					t.Errorf("%s at %s, batch %d: %d of %d logits, off by %g, at most 1e-3 is allowed", c.Logits, k.Name, batch, n,
						len(want), worst)
				}
			}
		}
	}
}
