package chat

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

// goldenCase is a conversation with the text that the published template makes of it.
type goldenCase struct {
	Name         string
	Text         string
	Conversation Conversation
}

func (g *goldenCase) UnmarshalJSON(data []byte) error {
	var head struct{ Name, Text string }
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	g.Name, g.Text = head.Name, head.Text
	return json.Unmarshal(data, &g.Conversation)
}

func goldenCases(t testing.TB) []goldenCase {
	t.Helper()
	data, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	return cases
}

// published is Gemma 4's own template, where the reference material is.
func published(t testing.TB) *Template {
	t.Helper()
	source, err := os.ReadFile(testdata.Shared(t, "golden", "chat", "gemma4.jinja"))
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := Parse(string(source))
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func render(t testing.TB, tpl *Template, c Conversation, markup []string) Prompt {
	t.Helper()
	p, err := tpl.Render(context.Background(), c, markup)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBuiltinRendersTheGoldenCases(t *testing.T) {
	for _, c := range goldenCases(t) {
		if got := render(t, Builtin(), c.Conversation, nil).Text; got != c.Text {
			t.Errorf("%s:\n got %q\nwant %q", c.Name, got, c.Text)
		}
	}
}

func TestPublishedTemplateRendersTheGoldenCases(t *testing.T) {
	tpl := published(t)
	for _, c := range goldenCases(t) {
		if got := render(t, tpl, c.Conversation, nil).Text; got != c.Text {
			t.Errorf("%s:\n got %q\nwant %q", c.Name, got, c.Text)
		}
	}
}
