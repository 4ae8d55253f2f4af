package nano_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/media/sound"
	"github.com/gogemma/gemma4/nano"
)

// sensed is a picture or a sound, what is asked about it, and what a right engine answers at temperature 0.
type sensed struct {
	File       string
	Budget     chat.Budget
	SoftTokens int `json:"soft_tokens"`
	Content    []chat.Part
	Prompt     string // … stands for the soft tokens
	Answer     string // with the marker that ends the turn
}

func sensedQuestions(t *testing.T) (all []sensed) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "media", "questions.json"))
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// message puts the file into its place.
func (q sensed) message(t *testing.T) chat.Message {
	t.Helper()
	path := filepath.Join("testdata", "media", q.File)
	m := chat.Message{Role: "user"}
	for _, p := range q.Content {
		var err error
		switch p.Type {
		case "image":
			p.Budget = q.Budget
			p.Image, err = media.OpenPicture(path, media.Options{})
		case "audio":
			var clip *sound.Clip
			if clip, err = sound.ReadFile(path, sound.Options{}); err == nil {
				p.Samples = clip.Samples
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		m.Parts = append(m.Parts, p)
	}
	return m
}

// TestNanoSeesAndHears at every level of the machine: all questions about pictures and sounds, to the letter.
func TestNanoSeesAndHears(t *testing.T) {
	all := sensedQuestions(t)
	if len(all) != 15 {
		t.Fatalf("%d questions, want 15", len(all))
	}
	for _, level := range gemma4.Levels() {
		t.Run(level.Name, func(t *testing.T) {
			t.Setenv("GEMMA4_CPU", level.Name)
			m, err := nano.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			for i, q := range all {
				if testing.Short() && i%5 != 0 {
					continue
				}
				q.ask(t, m)
			}
		})
	}
}

func (q sensed) ask(t *testing.T, m *gemma4.Model) {
	t.Helper()
	c, err := m.NewChat(gemma4.ChatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Options.Sampling.Temperature = new(0.0)
	message := q.message(t)
	c.Messages = []chat.Message{message}
	ids, err := c.Prompt(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", q.File, err)
	}
	if got := m.Tokenizer().Decode(ids, true); got != q.prompt() {
		t.Errorf("%s is read as\n%q, want\n%q", q.File, got, q.prompt())
	}
	c.Messages = nil
	got := ""
	for tok, err := range c.Send(t.Context(), message) {
		if err != nil {
			t.Fatalf("%s: %v", q.File, err)
		}
		got += tok.Text
	}
	if c.Result().Reason == gemma4.ReasonEnd {
		got += m.Tokenizer().Text(c.Result().EndID)
	}
	if got != q.Answer {
		t.Errorf("%s: %q, want %q", q.File, got, q.Answer)
	}
}

// prompt is the text of what the model reads, with a placeholder for each soft token.
func (q sensed) prompt() string {
	place := "<|image|>"
	if q.Budget == 0 {
		place = "<|audio|>"
	}
	return strings.Replace(q.Prompt, "…", strings.Repeat(place, q.SoftTokens), 1)
}
