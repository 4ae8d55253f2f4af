package gemma4

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tokenizer"
)

// TestLoopsAreToldFromTextsThatRepeat feeds texts to the guard and looks where it has had enough.
func TestLoopsAreToldFromTextsThatRepeat(t *testing.T) {
	f, err := gguf.Open(filepath.Join("tokenizer", "testdata", "nano-vocab.gguf")) // small: texts have more tokens than Gemma's would
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := tokenizer.New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	rows := func(n int, row func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(row(i))
		}
		return b.String()
	}
	r := rand.New(rand.NewPCG(1, 1))
	words := strings.Fields("the model writes a text and stops when it has said what there was to say about rivers towns trains and rain")
	prose := func(n int) string { return rows(n, func(int) string { return words[r.IntN(len(words))] + " " }) }
	paragraph := prose(60)
	for name, text := range map[string]string{
		"laughter":           strings.Repeat("ha ", 100),
		"a ruler":            strings.Repeat("-", 200),
		"a table of zeros":   rows(12, func(int) string { return "| 0 | 0 | 0 | 0 |\n" }),
		"a table":            rows(200, func(i int) string { return fmt.Sprintf("| %d | %d | open | none |\n", i, i*i) }),
		"a list":             rows(300, func(i int) string { return fmt.Sprintf("%d. The train number %d leaves at noon.\n", i, i%7) }),
		"code":               rows(80, func(i int) string { return fmt.Sprintf("\tif x[%d] == nil {\n\t\treturn err\n\t}\n", i) }),
		"an identity matrix": rows(24, func(i int) string { return strings.Repeat("0, ", i) + "1, " + strings.Repeat("0, ", 23-i) + "\n" }),
		"a refrain":          prose(50) + strings.Repeat("na na na na na na na, hey Jude\n", 14) + prose(50),
		"a song":             rows(5, func(int) string { return prose(40) + paragraph }),
		"a paragraph thrice": prose(30) + paragraph + paragraph + paragraph,
		"similar blocks":     rows(60, func(i int) string { return fmt.Sprintf("case %q:\n\tn++\n", string(rune('A'+i))) }),
		"prose":              prose(3000),
	} {
		if n := loopsAfter(tok, text); n >= 0 {
			t.Errorf("%s: taken for a loop after %d tokens", name, n)
		}
	}
	for name, c := range map[string]struct{ before, loop string }{
		"one token":      {prose(40), " the"},
		"a word":         {"", "ha "},
		"a line":         {prose(333), "I am sorry, I cannot do that.\n"},
		"a paragraph":    {prose(100), paragraph},
		"a page":         {prose(10), prose(150)},
		"of few letters": {"", "abaabaaab"},
		"a broken call":  {"", `{"name": "", "arguments": {}}, `},
	} {
		before, period := len(tok.Encode(c.before, false)), len(tok.Encode(c.loop, false))
		n := loopsAfter(tok, c.before+strings.Repeat(c.loop, 4000/len(c.loop)+8))
		if limit := before + max(512, 4*period) + 2*loopStride; n < 0 || n > limit || n < before+500 {
			t.Errorf("%s of %d tokens behind %d: a loop after %d, at most %d", name, period, before, n, limit)
		}
	}
}

// loopsAfter returns after how many tokens of a text it is taken for a loop; −1: never.
func loopsAfter(tok *tokenizer.Tokenizer, text string) int {
	var l loops
	for i, id := range tok.Encode(text, false) {
		if l.push(id) {
			return i + 1
		}
	}
	return -1
}

// TestLoopsAreWhereTheDefinitionHasThem compares the guard with a search by hand, on random texts that end in loops of every length.
func TestLoopsAreWhereTheDefinitionHasThem(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	found := 0
	for range 60 {
		var text []int32
		for range r.IntN(1500) {
			text = append(text, int32(r.IntN(3)))
		}
		period := slices.Clone(text[len(text)-min(len(text), 1+r.IntN(600)):])
		for len(period) > 0 && len(text) < 4000 {
			text = append(text, period...)
		}
		var l loops
		for i, id := range text {
			got := l.push(id)
			n := i + 1
			want := false
			if n%loopStride == 0 {
				for p := 1; p <= loopTokens && !want; p++ {
					need := max(loopTokens, loopTimes*p)
					want = need <= n && slices.Equal(text[n-need:n-p], text[n-need+p:n])
				}
			}
			if got != want {
				t.Fatalf("after %d tokens, period %d: %v, want %v", n, len(period), got, want)
			}
			if want {
				found++
				break
			}
		}
	}
	if found < 20 || found == 60 {
		t.Errorf("%d of 60 texts come into a loop", found)
	}
	var l loops
	if n := testing.AllocsPerRun(200, func() { l.push(7) }); n != 0 {
		t.Errorf("%v allocations per token", n)
	}
}
