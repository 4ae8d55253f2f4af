package gemma4_test

import (
	"encoding/json"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
)

// mediaQuestion is what nano was asked, and how it has to answer.
type mediaQuestion struct {
	File, Says, Answer string
	Content            []struct{ Type, Text string }
}

// askedWith returns those that are asked with media of a type.
func askedWith(t testing.TB, kind string) (all []mediaQuestion) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("nano", "testdata", "media", "questions.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(q mediaQuestion) bool { return !strings.HasPrefix(q.File, kind) })
}

// reply is an answer, to be compared: its tokens, and the logits of what would follow.
type reply struct {
	ids    []int32
	text   string
	logits []float32
}

func replied(t testing.TB, c *gemma4.Chat, tokens iter.Seq2[gemma4.Token, error]) (x reply) {
	t.Helper()
	for tok, err := range tokens {
		if err != nil {
			t.Fatal(err)
		}
		x.ids, x.text = append(x.ids, tok.ID), x.text+tok.Text
	}
	x.logits = c.Session().Logits(nil)
	return x
}

func (x reply) equal(y reply) bool {
	return slices.Equal(x.ids, y.ids) && x.text == y.text && slices.Equal(x.logits, y.logits)
}

// speech is a minute of nano's questions, with pauses between them.
func speech(t testing.TB) (samples []float32) {
	for len(samples) < 62*gemma4.SampleRate {
		for i := range askedWith(t, "sound") {
			samples = append(append(samples, voice(t, i+1)...), make([]float32, 9000)...)
		}
	}
	return samples
}
