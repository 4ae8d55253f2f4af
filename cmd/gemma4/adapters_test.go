package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/quantize"
)

// nanoAdapter writes an adapter of nano.
func nanoAdapter(t *testing.T, name string, seed uint64) (path string) {
	t.Helper()
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path = filepath.Join(t.TempDir(), name)
	if err := synth.WriteBeside(path, f, seed); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAdaptersHaveNamesAndScales(t *testing.T) {
	for text, want := range map[string]adapter{
		"poems.gguf":             {"poems", quantize.Adapter{Path: "poems.gguf", Scale: 1}},
		"dir/poems.gguf:0.5":     {"poems", quantize.Adapter{Path: "dir/poems.gguf", Scale: 0.5}},
		"law=adapter-7.gguf:-1":  {"law", quantize.Adapter{Path: "adapter-7.gguf", Scale: -1}},
		"law=a=b":                {"law", quantize.Adapter{Path: "a=b", Scale: 1}},
		"./a=b.gguf":             {"a=b", quantize.Adapter{Path: "./a=b.gguf", Scale: 1}},
		"odd:name":               {"odd:name", quantize.Adapter{Path: "odd:name", Scale: 1}},
		"model.q4_0.gguf:1e-1":   {"model.q4_0", quantize.Adapter{Path: "model.q4_0.gguf", Scale: 0.1}},
		"=poems.gguf":            {"poems", quantize.Adapter{Path: "poems.gguf", Scale: 1}},
		"name=dir/x.gguf:0":      {"name", quantize.Adapter{Path: "dir/x.gguf", Scale: 0}},
		"name with blanks=x:0.5": {"name with blanks", quantize.Adapter{Path: "x", Scale: 0.5}},
	} {
		if got, err := parseNamed(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "name=", ":1"} {
		if a, err := parseNamed(text); err == nil && a.Path == "" {
			t.Errorf("%q: %+v", text, a)
		}
	}
}

func TestAdaptersChangeAnswers(t *testing.T) {
	poems, law := nanoAdapter(t, "poems.gguf", 1), nanoAdapter(t, "law.gguf", 2)
	ask := func(args ...string) string {
		return run.Good(t, "", append(args, "-temp", "0", "-n", "12", "What is the capital of France?")...)
	}
	plain, one, both := ask(), ask("-lora", poems), ask("-lora", poems, "-lora", law)
	if one == plain || both == one || both == plain {
		t.Errorf("%q, with an adapter %q, with two %q", plain, one, both)
	}
	if got := ask("-lora", poems+":0"); got != plain {
		t.Errorf("with a scale of 0 %q, without it %q", got, plain)
	}
	if got := ask("-lora", law, "-lora", poems); got != both {
		t.Errorf("the other way round %q, expected %q", got, both)
	}
	const question = "What is the capital of France?\n"
	talked := run.Call("/lora\n/lora off\n"+question+"/clear\n/lora poems\n"+question+"/lora prose\n",
		"-temp", "0", "-n", "12", "-lora", poems, "-lora", law)
	if talked.Out != plain+one || !strings.Contains(talked.Errors, "poems: "+poems+", scale 1, rank 4, in use") ||
		!strings.Contains(talked.Errors, "no adapter prose") {
		t.Errorf("%q, expected %q and %q; %s", talked.Out, plain, one, talked.Errors)
	}
	run.Fails(t, 2, "two adapters are called poems", "", "-lora", poems, "-lora", poems)
	run.Fails(t, 1, "no such file", "", "-lora", filepath.Join(t.TempDir(), "none.gguf"), "Hi")
	run.Fails(t, 1, "there is no adapter: -lora FILE", "/lora\n")
}

func TestBenchMeasuresAdaptersInTurn(t *testing.T) {
	path := nanoAdapter(t, "poems.gguf", 1)
	out := measure.Good(t, "", "-p", "0", "-n", "4", "-d", "0,9", "-r", "1", "-lora", path, "-md")
	has(t, out, `\| model .* \| adapter \| depth \| plain \| tokens/s \| ratio \| spread \| its bytes \|`,
		`\| nano .* \| poems \| 9 \| \S+ \| \S+ \| \d\.\d+ \| \d+% \| \d+\.\d% \|`)
}
