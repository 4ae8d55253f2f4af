package model_test

import (
	"math"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
)

// openShort opens a projector of a true shape but for its layers, of which there are two.
func openShort(b *testing.B, spec string) *model.Projector {
	b.Helper()
	shape, err := synth.ParseProjector(spec)
	if err != nil {
		b.Fatal(err)
	}
	f, err := gguf.OpenBytes(synth.Bytes(shape))
	if err != nil {
		b.Fatal(err)
	}
	k, err := gemma4.BestKernels()
	if err != nil {
		b.Fatal(err)
	}
	p, err := model.OpenProjector(f, &model.Config{Width: shape.Width}, model.Options{Kernels: k})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close(); f.Close() })
	return p
}

// BenchmarkSee takes pictures of some budgets through two layers of towers.
func BenchmarkSee(b *testing.B) {
	for _, spec := range []string{"e2b-short-mmproj:q8_0", "31b-short-mmproj:q8_0"} {
		p := openShort(b, spec)
		for name, size := range map[string][2]int{"70": {528, 288}, "280": {1056, 576}, "1120": {2112, 1200}} {
			b.Run(spec+"/"+name, func(b *testing.B) {
				pixels, s := model.Pixels{Width: size[0], Height: size[1], RGB: make([]byte, 3*size[0]*size[1])}, p.NewSight()
				for i := range pixels.RGB {
					pixels.RGB[i] = byte(i * i >> 3)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.See(b.Context(), pixels); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkHear takes ten seconds of sound through two layers of a tower, whole and in groups.
func BenchmarkHear(b *testing.B) {
	p := openShort(b, "e2b-short-mmproj:q8_0")
	samples := make([]float32, 160000)
	for i := range samples {
		samples[i] = float32(0.2 * math.Sin(float64(i)*float64(i)*1e-6))
	}
	for name, piece := range map[string]int{"whole": len(samples), "8": 8 * 640} {
		b.Run(name, func(b *testing.B) {
			h := p.NewHearing()
			b.ReportAllocs()
			for b.Loop() {
				h.Reset()
				for at := 0; at < len(samples); at += piece {
					if _, err := h.Push(b.Context(), samples[at:min(at+piece, len(samples))]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkResize makes a photograph small enough for 280 tokens.
func BenchmarkResize(b *testing.B) {
	pixels := model.Pixels{Width: 4000, Height: 3000, RGB: make([]byte, 36e6)}
	for b.Loop() {
		pixels.Resize(912, 672)
	}
}
