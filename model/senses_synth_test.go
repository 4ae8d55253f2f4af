package model_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// synthetic opens a projector of random weights.
func synthetic(t testing.TB, k *tensor.Kernels, s synth.Projector) *model.Projector {
	t.Helper()
	f, err := gguf.OpenBytes(synth.Bytes(s))
	if err != nil {
		t.Fatal(err)
	}
	p, err := model.OpenProjector(f, &model.Config{Width: s.Width}, model.Options{Kernels: k, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); f.Close() })
	return p
}

func parseProjector(t testing.TB, spec string) synth.Projector {
	t.Helper()
	s, err := synth.ParseProjector(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// gradient returns a picture without two equal patches.
func gradient(w, h int) model.Pixels {
	p := model.Pixels{Width: w, Height: h, RGB: make([]byte, 3*w*h)}
	for i := range p.RGB {
		x, y := i/3%w, i/3/w
		p.RGB[i] = byte(x*x/7 + y*(3+i%3) + x*y/31)
	}
	return p
}

// chirp returns a sound that rises.
func chirp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		t := float64(i) / 16000
		x[i] = float32(0.3 * math.Sin(2*math.Pi*(200+300*t)*t))
	}
	return x
}

func TestSyntheticProjectorsSeeAndHearAtEveryLevel(t *testing.T) {
	for _, spec := range []string{"tiny-e-mmproj:f32", "tiny-e-mmproj:f16", "tiny-e-mmproj:bf16", "tiny-e-mmproj:q8_0",
		"tiny-moe-mmproj:q8_0", "tiny-moe-mmproj:bf16", "tiny-dense-mmproj:q8_0", "tiny-dense-mmproj:f16", "micro-e4-mmproj:q4_0"} {
		t.Run(spec, func(t *testing.T) {
			s := parseProjector(t, spec)
			var seen, heard []float32 // at the portable level
			for _, k := range gemma4.Levels() {
				p := synthetic(t, k, s)
				if p.Width != s.Width || p.TokenSide() != 48 || (p.Sound != "") != (s.Audio.Width > 0) {
					t.Fatalf("%s: width %d, sides of %d, sounds %q", k.Name, p.Width, p.TokenSide(), p.Sound)
				}
				rows, err := p.See(t.Context(), gradient(3*48, 2*48))
				if err != nil {
					t.Fatal(err)
				}
				like(t, k.Name+": picture", rows, &seen, 6, s.Width)
				if p.Sound == "" {
					continue
				}
				if rows, err = p.Hear(t.Context(), chirp(6400)); err != nil {
					t.Fatal(err)
				}
				like(t, k.Name+": sound", rows, &heard, 10, s.Width)
			}
		})
	}
}

// like checks that rows [tokens, width] are those of a sane tower: different from each other, around 0, of deviation 1, and much the same
// as those of the first level.
func like(t *testing.T, name string, rows []float32, first *[]float32, tokens, width int) {
	t.Helper()
	if len(rows) != tokens*width {
		t.Fatalf("%s: %d numbers, want %d tokens of %d", name, len(rows), tokens, width)
	}
	var sum, squares float64
	for _, v := range rows {
		sum, squares = sum+float64(v), squares+float64(v)*float64(v)
	}
	n := float64(len(rows))
	if mean, deviation := sum/n, math.Sqrt(squares/n); !(math.Abs(mean) < 0.3 && deviation > 0.6 && deviation < 1.5) {
		t.Errorf("%s: mean %.3f, deviation %.3f, want about 0 and 1", name, mean, deviation)
	}
	for i := 1; i < tokens; i++ {
		if slices.Equal(rows[:width], rows[i*width:(i+1)*width]) {
			t.Errorf("%s: token %d is the first one", name, i)
		}
	}
	if *first == nil {
		*first = rows
		return
	}
	off := 0.0
	for i, v := range rows {
		d := float64(v) - float64((*first)[i])
		off += d * d
	}
	if off = math.Sqrt(off / squares); !(off < 0.1) {
		t.Errorf("%s: is %.3f of itself away from that of the first level", name, off)
	}
}

// The numbers are those of the published shapes, in GFLOP.
func TestPicturesAndSoundsTakeWhatWasComputed(t *testing.T) {
	if testing.Short() {
		t.Skip("a projector of E2B's size")
	}
	s := parseProjector(t, "e2b-mmproj:q1_0") // the smallest format
	s.Positions = 10 * 48
	p := synthetic(t, nil, s)
	for tokens, want := range map[[2]int]float64{{10, 7}: 210, {20, 14}: 1076, {40, 28}: 8050} {
		products, attention := p.PictureOps(48*tokens[0], 48*tokens[1])
		if got := 2e-9 * float64(products+attention); math.Abs(got/want-1) > 0.01 {
			t.Errorf("%v tokens take %.0f GFLOP, want %.0f", tokens, got, want)
		}
	}
	products, attention := p.SoundOps(750)
	if got := 2e-9 * float64(products+attention); math.Abs(got/434-1) > 0.03 {
		t.Errorf("30 s take %.0f GFLOP, want 434", got)
	}
	if a, b := p.PictureOps(47, 48); a != 0 || b != 0 {
		t.Errorf("a picture of no token takes %d and %d", a, b)
	}
	u := synthetic(t, nil, parseProjector(t, "micro-dense-mmproj"))
	if products, attention := u.PictureOps(96, 48); products != 2*(6912*64+64*64) || attention != 0 {
		t.Errorf("two unified tokens take %d and %d", products, attention)
	}
	if products, attention := u.SoundOps(3); products != 3*640*64 || attention != 0 {
		t.Errorf("three unified tokens take %d and %d", products, attention)
	}
}
