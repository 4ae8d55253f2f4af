package tokenizer

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

// english makes about n bytes of prose, in lines or without any line break.
func english(n int, lines bool) string {
	const prose = "It was a bright cold day in April, and the committee had not yet decided: \"Shall we go on?\" asked the youngest of " +
		"them; " +
		"nobody answered for 12 or 13 minutes. Then, slowly, the door opened.\n"
	text := strings.Repeat(prose, n/len(prose)+1)
	if !lines {
		text = strings.ReplaceAll(text, "\n", " ")
	}
	return text
}

// long are texts that bring down an encoder that looks at all that is left in each step.
func long(n int) map[string]string {
	fill := func(piece string) string { return strings.Repeat(piece, n/len(piece)+1)[:n] }
	return map[string]string{
		"letters":     fill("a"),
		"spaces":      fill(" "),
		"newlines":    fill("\n"),
		"tabs":        fill("\t"),
		"alphabet":    fill("abcdefghijklmnopqrstuvwxyz"),
		"digits":      fill("0123456789"),
		"brackets":    fill("<"),
		"half markup": fill("<|turn"),
		"markup":      fill("<|turn>"),
		"emoji":       fill("🚀"),
		"broken":      fill("\xe2\x96"),
		"prose":       english(n, true),
		"one line":    english(n, false),
	}
}

// Thirty-two times the text may take thirty-two times as long, a quadratic path would take a thousand times as long. Whatever else a
// machine does only adds to the time, so that the shortest tries within a minute count, and a ratio that is small enough is the last.
func TestTimeGrowsWithTheText(t *testing.T) {
	s := nano(t)
	const n = 12_500
	short, long := long(n), long(32*n)
	for name := range short {
		t.Run(name, func(t *testing.T) {
			measure := func(text string, times int) time.Duration {
				start := time.Now()
				for range times {
					s.EncodeLiteral(text, []int{0, 1, 2, len(text) / 2})
				}
				return max(time.Since(start), time.Millisecond) // for clocks that tick coarsely
			}
			once, all := measure(short[name], 32), measure(long[name], 1)
			for end := time.Now().Add(time.Minute); 32*all >= 200*once; {
				if time.Now().After(end) {
					t.Fatalf("32 times the text takes %.0f times as long", 32*float64(all)/float64(once))
				}
				once, all = min(once, measure(short[name], 32)), min(all, measure(long[name], 1))
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for name, path := range map[string]string{"nano": filepath.Join("testdata", "nano-vocab.gguf"), "golden": ""} {
		b.Run(name, func(b *testing.B) {
			if path == "" {
				path = testdata.Shared(b, "golden", "tokenizer", "gemma4-vocab.gguf")
			}
			f, err := gguf.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(f.Metadata); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	s := golden(b)
	texts := long(1_000_000)
	for _, name := range []string{"prose", "one line", "letters", "spaces", "newlines", "alphabet", "half markup"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(texts[name])))
			b.ReportAllocs()
			for b.Loop() {
				s.Encode(texts[name], true)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	s := golden(b)
	text := english(1_000_000, true)
	ids := s.Encode(text, false)
	b.Run("whole", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			s.Decode(ids, false)
		}
	})
	b.Run("streaming", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		d := s.NewDecoder(false)
		for b.Loop() {
			for _, id := range ids {
				d.Next(id)
			}
		}
	})
}
