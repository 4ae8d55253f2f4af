package gemma4_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/sampler"
)

// fortyKeys is the schema of an object as programs ask for: forty keys of the usual kinds, with short values.
func fortyKeys() []byte {
	kinds := []string{`{"type":"string","maxLength":40}`, `{"type":"integer","minimum":0,"maximum":99999}`, `{"type":"boolean"}`,
		`{"enum":["low","medium","high"]}`, `{"type":"array","items":{"type":"string","maxLength":12},"maxItems":3}`}
	words := []string{"customer", "order", "delivery", "invoice", "payment", "product", "account", "support"}
	facts := []string{"name", "count", "is_active", "priority", "tags"}
	var properties, required []string
	for i := range 40 {
		key := fmt.Sprintf("%q", words[i/5]+"_"+facts[i%5])
		properties, required = append(properties, key+":"+kinds[i%5]), append(required, key)
	}
	return fmt.Appendf(nil, `{"type":"object","properties":{%s},"required":[%s],"additionalProperties":false}`,
		strings.Join(properties, ","), strings.Join(required, ","))
}

// vocabularyFile is a file with Gemma's vocabulary: any model's.
var vocabularyFile = flag.String("vocabulary", filepath.Join("..", "shared", "golden", "tokenizer", "gemma4-vocab.gguf"),
	"the `FILE` with the vocabulary that BenchmarkConstrained uses")

// BenchmarkConstrained generates under a grammar and without one, token by token in turn, so that both have the same neighbours, with E2B's
// shape and the vocabulary of -vocabulary, or as large a synthetic one where there is no such file, and reports the ratio of their speeds.
// The object is what grammars are for; in the words every token is chosen among a third of the vocabulary, and nothing is forced: what
// masks cost. It takes minutes and 3 GB on disk.
//
//	go test -run - -bench Constrained -benchtime 5x .
func BenchmarkConstrained(b *testing.B) {
	m := withVocabulary(b, "e2b:q4_0", *vocabularyFile)
	v := m.Vocabulary()
	var ends []int32
	for id := range int32(m.Tokenizer().Size()) {
		if m.Tokenizer().IsEnd(id) {
			ends = append(ends, id)
		}
	}
	for _, c := range []struct {
		name        string
		temperature float64
		make        func() (*grammar.Grammar, error)
	}{
		{"object", 1, func() (*grammar.Grammar, error) { return grammar.Schema(v, fortyKeys(), grammar.SchemaOptions{}) }},
		{"object greedy", 0, func() (*grammar.Grammar, error) { return grammar.Schema(v, fortyKeys(), grammar.SchemaOptions{}) }},
		{"words", 1, func() (*grammar.Grammar, error) { return grammar.Regexp(v, `([a-zA-Z]+ )*`) }},
		{"words greedy", 0, func() (*grammar.Grammar, error) { return grammar.Regexp(v, `([a-zA-Z]+ )*`) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			g, err := c.make()
			if err != nil {
				b.Fatal(err)
			}
			var ratios []float64
			var speed float64
			var held, free gemma4.Result
			for seed := uint64(0); b.Loop(); seed++ {
				sampling := sampler.Overrides{Seed: &seed, Temperature: &c.temperature}
				o := gemma4.GenerateOptions{Grammar: g, Sampling: sampling, MaxTokens: 600}
				in := []gemma4.Input{{Tokens: []int32{2, 105, 2364}}}
				s := newSession(b, m, gemma4.SessionOptions{Context: 4096})
				next, stop := iter.Pull2(s.Generate(ctx, in, o))
				o.Grammar, o.Sampling.Suppress = nil, ends
				other := newSession(b, m, gemma4.SessionOptions{Context: 4096})
				for _, err := range other.Generate(ctx, in, o) {
					if err != nil {
						b.Fatal(err)
					}
					if _, err, more := next(); err != nil {
						b.Fatal(err)
					} else if !more {
						break
					}
				}
				stop()
				held, free = s.Result(), other.Result()
				ratios, speed = append(ratios, held.GenerateSpeed()/free.GenerateSpeed()), held.GenerateSpeed()
				s.Close()
				other.Close()
			}
			slices.Sort(ratios)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(speed, "tokens/s")
			b.ReportMetric(ratios[len(ratios)/2], "of-free-text")
			b.ReportMetric(100*float64(held.Forced)/float64(held.Generated), "%-forced")
		})
	}
}

// withVocabulary opens a model of random weights with the vocabulary, of the same size, of another file, if that is there.
func withVocabulary(b *testing.B, spec, vocabulary string) *gemma4.Model {
	b.Helper()
	c, err := synth.Parse(spec)
	if err != nil {
		b.Fatal(err)
	}
	metadata, tensors, err := synth.Build(c)
	if err != nil {
		b.Fatal(err)
	}
	from := new(gguf.Metadata)
	switch f, err := gguf.Open(vocabulary); {
	case err == nil:
		defer f.Close()
		from = f.Metadata
	case errors.Is(err, fs.ErrNotExist):
		b.Log("a synthetic vocabulary, for want of", vocabulary)
	default:
		b.Fatal(err)
	}
	for _, key := range from.Keys() {
		if v, ok := from.Value(key); ok && strings.HasPrefix(key, "tokenizer.") {
			if err := metadata.Set(key, v); err != nil {
				b.Fatal(err)
			}
		}
	}
	path := filepath.Join(b.TempDir(), "model.gguf")
	if err := gguf.WriteFile(path, metadata, tensors); err != nil {
		b.Fatal(err)
	}
	m, err := gemma4.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	return m
}
