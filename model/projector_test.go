package model

import (
	"os"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

// senses are what golden/mm has: a picture, a sound, and what two projectors make of them.
type senses struct {
	Image   struct{ Width, Height int }
	Outputs map[string][]int
	Resize  []struct {
		From, To [2]int
		Tokens   int
	}
	Resized []struct {
		From, File string
		To         [2]int
	}
	Lengths []struct{ Samples, Frames, Tokens, Early int } `json:"sound_lengths"`
	Prompts []struct {
		Text, MMProj, Input, Logits string
		Before, After               []int32
	}
	More []struct {
		Text, MMProj, Logits   string
		Pictures               []string
		Before, Between, After []int32
	} `json:"more_prompts"`
}

func readSenses(t testing.TB) *senses {
	t.Helper()
	s := &senses{}
	readJSON(t, file(t, "mm", "mm.json"), s)
	return s
}

// readPixels reads a picture whose name ends in its size.
func readPixels(t testing.TB, name string, w, h int) Pixels {
	t.Helper()
	b, err := os.ReadFile(file(t, "mm", name))
	if err != nil {
		t.Fatal(err)
	}
	return Pixels{w, h, b}
}

// openProjector opens golden/mm's projector of a kind, for a model of width 64.
func openProjector(t testing.TB, path string, width int, o Options) *Projector {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenProjector(f, &Config{Width: width}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); f.Close() })
	return p
}

func goldenProjector(t testing.TB, kind string, o Options) *Projector {
	t.Helper()
	return openProjector(t, testdata.Shared(t, "golden", "mm", "mmproj-"+kind+".gguf"), 64, o)
}

func TestTowersAreExact(t *testing.T) {
	for _, kind := range []string{"va", "u"} {
		p := goldenProjector(t, kind, Options{Workers: 2})
		if p.Unknown() != nil {
			t.Error(p.Unknown())
		}
		for name, picture := range map[string]Pixels{
			"image":         readPixels(t, "image-192x96.rgb", 192, 96),
			"image-240x144": readPixels(t, "image-240x144.rgb", 240, 144),
		} {
			if kind == "u" && name != "image" {
				continue
			}
			got, err := p.See(ctx, picture)
			if err != nil {
				t.Fatal(err)
			}
			w := worst(got, readFloats(t, file(t, "mm", kind+"-"+name+".f32")))
			t.Logf("%s %s is off by %.2g", kind, name, w)
			if !(w <= 2e-4) {
				t.Errorf("%s %s is off by %g, at most 2e-4 is allowed", kind, name, w)
			}
		}
		got, err := p.Hear(ctx, readFloats(t, file(t, "mm", "sound-16k.f32")))
		if err != nil {
			t.Fatal(err)
		}
		w := worst(got, readFloats(t, file(t, "mm", kind+"-sound.f32")))
		t.Logf("%s sound is off by %.2g", kind, w)
		if !(w <= 2e-4) {
			t.Errorf("%s sound is off by %g, at most 2e-4 is allowed", kind, w)
		}
	}
}

func TestMelIsExact(t *testing.T) {
	samples, want := readFloats(t, file(t, "mm", "sound-16k.f32")), readFloats(t, file(t, "mm", "sound.mel.f32"))
	m := newMel(audioBins)
	n := frames(len(samples))
	if n*audioBins != len(want) {
		t.Fatalf("%d frames of %d samples, expected %d", n, len(samples), len(want)/audioBins)
	}
	samples = append(make([]float32, silentStart), samples...)
	got := make([]float32, len(want))
	for i := range n {
		m.frame(got[i*audioBins:][:audioBins], samples[i*hop:])
	}
	w := worst(got, want)
	t.Logf("off by %.2g", w)
	if !(w <= 1e-4) {
		t.Errorf("off by %g, at most 1e-4 is allowed", w)
	}
	if n := testing.AllocsPerRun(10, func() { m.frame(got[:audioBins], samples) }); n != 0 {
		t.Errorf("%g allocations a frame", n)
	}
}

func TestResizedPicturesAreEqualToTheByte(t *testing.T) {
	s := readSenses(t)
	if len(s.Resized) < 5 || len(s.Resize) < 20 {
		t.Fatalf("only %d pictures and %d sizes", len(s.Resized), len(s.Resize))
	}
	from := map[string]Pixels{
		"image-192x96.rgb": readPixels(t, "image-192x96.rgb", 192, 96),
		"text-300x140.rgb": readPixels(t, "text-300x140.rgb", 300, 140),
	}
	for _, c := range s.Resized {
		want := readPixels(t, c.File, c.To[0], c.To[1])
		got := from[c.From].Resize(c.To[0], c.To[1])
		if got.Width != want.Width || got.Height != want.Height || !slices.Equal(got.RGB, want.RGB) {
			t.Errorf("%s in %v is another picture", c.From, c.To)
		}
	}
	for _, c := range s.Resize {
		w, h, err := Fit(c.From[0], c.From[1], c.Tokens, 48)
		if err != nil || w != c.To[0] || h != c.To[1] {
			t.Errorf("%v in %d tokens: %d by %d, %v, expected %v", c.From, c.Tokens, w, h, err, c.To)
		}
	}
}
