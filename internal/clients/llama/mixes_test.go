package llama

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/quantize"
	"github.com/gogemma/gemma4/tensor"
)

// fileTypes are llama.cpp's numbers of what both quantise to. Those of which layers differ are tried on all models.
var fileTypes = []struct {
	name   string
	number int
	always bool
}{
	{"F16", 1, false}, {"Q4_0", 2, false}, {"Q4_1", 3, false}, {"Q8_0", 7, false}, {"Q5_0", 8, false}, {"Q5_1", 9, false},
	{"Q4_K_S", 14, true}, {"Q4_K_M", 15, true}, {"Q5_K_S", 16, false}, {"Q5_K_M", 17, false}, {"Q6_K", 18, false},
	{"IQ4_NL", 25, false}, {"IQ4_XS", 30, true}, {"BF16", 32, false},
}

// TestFilesOfMixes compares whole files with those that llama_model_quantize makes of the same model: each tensor must have the same type,
// and no larger error by more than 1%.
func TestFilesOfMixes(t *testing.T) {
	q := newQuantizer(t)
	folder := t.TempDir()
	models := []struct{ name, path string }{{"nano", nanoFile}}
	for _, preset := range []string{"tiny-e", "tiny-e4", "tiny-dense", "tiny-moe"} {
		path := filepath.Join(folder, preset+".gguf")
		c, err := synth.Parse(preset + ":f32")
		if err != nil {
			t.Fatal(err)
		}
		if err := synth.WriteFile(t.Context(), path, c); err != nil {
			t.Fatal(err)
		}
		models = append(models, struct{ name, path string }{preset, path})
	}
	for _, model := range models {
		t.Run(model.name, func(t *testing.T) {
			source, err := gguf.Open(model.path)
			if err != nil {
				t.Skipf("left out: %v", err)
			}
			defer source.Close()
			var table strings.Builder
			fmt.Fprint(&table, "mix: the largest and the mean error of a tensor as shares of llama.cpp's; tensors whose bytes are the same")
			for _, to := range fileTypes {
				if model.name != "nano" && !to.always {
					continue
				}
				theirs, ours := filepath.Join(folder, "theirs.gguf"), filepath.Join(folder, "ours.gguf")
				q.run(t, nil, "model", model.path, theirs, fmt.Sprint(to.number))
				kind, err := quantize.ParseType(to.name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := quantize.File(t.Context(), model.path, ours, quantize.Options{Type: kind, Overwrite: true}); err != nil {
					t.Fatal(err)
				}
				compare(t, &table, to.name, source, ours, theirs)
			}
			t.Log(table.String())
		})
	}
}

// compare compares two files made of the same one, and adds a line to the table.
func compare(t *testing.T, table *strings.Builder, mix string, source *gguf.File, ours, theirs string) {
	t.Helper()
	var files [2]*gguf.File
	for i, path := range []string{ours, theirs} {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	if got, want := len(files[0].Tensors), len(files[1].Tensors); got != want {
		t.Errorf("%s: %d tensors, llama.cpp's file has %d", mix, got, want)
	}
	var largest, sum float64
	same, differ := 0, 0
	for _, want := range files[1].Tensors {
		got := files[0].Tensor(want.Name)
		if got == nil {
			t.Errorf("%s: %s is missing", mix, want.Name)
			continue
		}
		if want.Name == "per_layer_model_proj.weight" && got.Type != want.Type && (mix == "F16" || mix == "BF16") {
			continue // llama.cpp leaves it as it is, F32 here, also where everything else becomes halves
		}
		if got.Type != want.Type {
			t.Errorf("%s: %s of %v is %v, llama.cpp makes it %v", mix, want.Name, want.Dims, got.Type, want.Type)
			continue
		}
		gotData, err := got.Data()
		if err != nil {
			t.Fatal(err)
		}
		wantData, err := want.Data()
		if err != nil {
			t.Fatal(err)
		}
		if string(gotData) == string(wantData) {
			same++
			continue
		}
		x, f := floats(t, source.Tensor(want.Name)), tensor.Format(want.Type)
		share := off(f, gotData, x, nil) / off(f, wantData, x, nil)
		differ++
		sum += share
		largest = max(largest, share)
		if !(share <= worst) {
			t.Errorf("%s: the error of %s, %v, is %.4f of llama.cpp's, want %v", mix, want.Name, want.Type, share, worst)
		}
	}
	fmt.Fprintf(table, "\n%-7s %6.4f %6.4f %4d of %d", mix, largest, sum/float64(max(differ, 1)), same, len(files[1].Tensors))
}
