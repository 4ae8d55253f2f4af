package gemma4_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

// BenchmarkListen measures speech that is heard while it comes, with E2B's true shape. It reports
//   - first: the time from the last sample of ten seconds to the first token of the answer,
//   - captions: seconds of sound that one second keeps up with on one thread, where every two seconds of it a caption reads 100 words that
//     are settled and writes 12 new ones, behind up to 30 seconds of sound.
//
// It takes minutes and 4 GB on disk; GEMMA4_CPU=avx2 caps the level:
//
//	go test -run - -bench Listen -benchtime 3x .
func BenchmarkListen(b *testing.B) {
	text, err := synth.ParseShape("e2b:q4_0", 0)
	if err != nil {
		b.Fatal(err)
	}
	ears, err := synth.ParseShape("e2b-mmproj:q8_0", 0)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	for name, s := range map[string]synth.Shape{"e2b.gguf": text, "mmproj-e2b.gguf": ears} {
		if err := synth.WriteFile(b.Context(), filepath.Join(dir, name), s); err != nil {
			b.Fatal(err)
		}
	}
	sound := make([]float32, 30*gemma4.SampleRate)
	for i := range sound {
		sound[i] = float32(0.2*math.Sin(float64(i)/9) + 0.2*math.Sin(float64(i)/31))
	}
	open := func(b *testing.B, threads int) (*gemma4.Model, gemma4.GenerateOptions) {
		m, err := gemma4.Loader{Threads: threads}.Open(filepath.Join(dir, "e2b.gguf"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { m.Close() })
		return m, gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0), Suppress: m.Tokenizer().Ends()}}
	}
	b.Run("first", func(b *testing.B) {
		m, o := open(b, 0)
		var waited []time.Duration
		for b.Loop() {
			c := newChat(b, m, gemma4.ChatOptions{GenerateOptions: o})
			l := listen(b, c, chat.TextPart("Answer the question."))
			last := time.Now()
			for piece := range slices.Chunk(sound[:10*gemma4.SampleRate], gemma4.SampleRate/10) {
				last = time.Now()
				if err := l.Push(ctx, piece); err != nil {
					b.Fatal(err)
				}
			}
			for _, err := range l.Answer(ctx) {
				if err != nil {
					b.Fatal(err)
				}
				waited = append(waited, time.Since(last))
				break
			}
			c.Close()
		}
		slices.Sort(waited)
		b.ReportMetric(float64(waited[len(waited)/2].Milliseconds()), "ms-to-first")
	})
	b.Run("captions", func(b *testing.B) {
		m, o := open(b, 1)
		const words, every, read = 12, 2 * gemma4.SampleRate, 100
		o.MaxTokens = words
		settled := make([]int32, read)
		for i := range settled {
			settled[i] = int32(1000 + 7*i)
		}
		for b.Loop() {
			c := newChat(b, m, gemma4.ChatOptions{GenerateOptions: o})
			l := listen(b, c)
			for piece := range slices.Chunk(sound, every) {
				if err := l.Push(ctx, piece); err != nil {
					b.Fatal(err)
				}
				f, err := c.Session().Fork()
				if err != nil {
					b.Fatal(err)
				}
				generate(b, f, []gemma4.Input{{Tokens: settled}}, o)
				f.Close()
			}
			c.Close()
		}
		b.ReportMetric(30*float64(b.N)/b.Elapsed().Seconds(), "s-sound/s")
		b.ReportMetric(0, "ns/op")
	})
}
