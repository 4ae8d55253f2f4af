package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

func TestFrequentIdsAscendAndHoldWhatEndsATurn(t *testing.T) {
	tok := nano(t).Tokenizer
	markup := 0
	for id := range int32(tok.Size()) {
		if k := tok.Kind(id); k != Normal && !strings.HasPrefix(tok.Text(id), "<unused") {
			markup++
		}
	}
	for _, n := range []int{-1, 0, 1, 100, markup + 10, tok.Size() - 1, tok.Size(), tok.Size() + 1} {
		ids := tok.Frequent(n)
		if len(ids) != min(max(n, 0), tok.Size()) {
			t.Errorf("%d of %d", len(ids), n)
		}
		for i, id := range ids {
			if id < 0 || int(id) >= tok.Size() || i > 0 && id <= ids[i-1] {
				t.Fatalf("of %d: id %d at place %d", n, id, i)
			}
		}
		if n < markup {
			continue
		}
		for id := range int32(tok.Size()) {
			if k := tok.Kind(id); k != Normal && !strings.HasPrefix(tok.Text(id), "<unused") && !slices.Contains(ids, id) {
				t.Errorf("of %d: %q is not among them", n, tok.Text(id))
			}
		}
	}
}

// TestHalfOfTheVocabularyWritesMostText: nearly all of English and of programs, and more of what is chosen than of as many ids from the
// beginning, among which there is no single character.
func TestHalfOfTheVocabularyWritesMostText(t *testing.T) {
	tok := golden(t).Tokenizer
	frequent := make([]bool, tok.Size())
	for _, id := range tok.Frequent(tok.Size() / 2) {
		frequent[id] = true
	}
	for name, least := range map[string]float64{"README.md": 0.97, "chat.go": 0.97, "server/page/page.html": 0.97} {
		text, err := os.ReadFile(filepath.Join(testdata.Root(t), filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		ids := tok.Encode(string(text), false)
		held, first := 0, 0
		for _, id := range ids {
			if frequent[id] {
				held++
			}
			if int(id) < tok.Size()/2 {
				first++
			}
		}
		share := float64(held) / float64(len(ids))
		t.Logf("%s: %.3f of %d tokens", name, share, len(ids))
		if share < least || held <= first {
			t.Errorf("%s: %.3f of the tokens are among the frequent, expected %.2f and more than %.3f", name, share, least,
				float64(first)/float64(len(ids)))
		}
	}
}
