package gemma4_test

import (
	"encoding/json"
	"image"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/media/sound"
	"github.com/gogemma/gemma4/nano"
)

// hearing opens the nano model with its eyes and ears.
func hearing(t testing.TB, l gemma4.Loader) *gemma4.Model {
	t.Helper()
	m, err := nano.OpenWith(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// mediaQuestion is what nano was asked, and how it has to answer.
type mediaQuestion struct {
	File, Says, Answer string
	Content            []struct{ Type, Text string }
}

// askedWith returns those that are asked with media of a type.
func askedWith(t testing.TB, kind string) (all []mediaQuestion) {
	t.Helper()
	data, err := os.ReadFile(testdata.Shared(t, "nano", "media", "questions.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(q mediaQuestion) bool { return !strings.HasPrefix(q.File, kind) })
}

// spoken returns the samples of a recording.
func spoken(t testing.TB, file string) []float32 {
	t.Helper()
	clip, err := sound.ReadFile(testdata.Shared(t, "nano", "media", file), sound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return clip.Samples
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
		for _, q := range askedWith(t, "sound") {
			samples = append(append(samples, spoken(t, q.File)...), make([]float32, 9000)...)
		}
	}
	return samples
}

// drawn returns the picture in a file.
func drawn(t testing.TB, file string) image.Image {
	t.Helper()
	picture, err := media.OpenPicture(testdata.Shared(t, "nano", "media", file), media.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return picture
}
