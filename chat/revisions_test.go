package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

// revision is one of the templates that circulate.
func revision(t testing.TB, name string) *Template {
	t.Helper()
	return parseFile(t, testdata.Shared(t, "golden", "chat", "revisions", name+".jinja"))
}

// recorded is a conversation, and the text that each revision makes of it.
type recorded struct {
	name string
	text map[string]string
	Conversation
}

func readRecorded(t *testing.T) (all []recorded) {
	t.Helper()
	data, err := os.ReadFile("testdata/revisions.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []json.RawMessage
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, raw := range cases {
		var c struct {
			Name string
			Text map[string]string
		}
		var conversation Conversation
		if err := errors.Join(json.Unmarshal(raw, &c), json.Unmarshal(raw, &conversation)); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		all = append(all, recorded{c.Name, c.Text, conversation})
	}
	if len(all) != 39 {
		t.Fatalf("%d conversations, want 39", len(all))
	}
	return all
}

// The first revision does not know the role tool; the eight conversations with answers of tools have to be folded for it.
func TestRevisionsRenderAsRecorded(t *testing.T) {
	cases := readRecorded(t)
	for _, r := range []struct {
		name, as string
		builtin  *Template
	}{
		{"built-in", "july-large", Builtin()}, {"built-in edge", "july-edge", BuiltinEdge()},
		{"first", "first", nil}, {"july-large", "july-large", nil}, {"july-edge", "july-edge", nil},
		{"unsloth-large", "unsloth-large", nil}, {"unsloth-edge", "unsloth-edge", nil},
	} {
		t.Run(r.name, func(t *testing.T) {
			tpl := r.builtin
			if tpl == nil {
				tpl = revision(t, r.name)
			}
			for _, c := range cases {
				if p, err := tpl.Render(context.Background(), c.Conversation, nil); err != nil || p.Text != c.text[r.as] {
					t.Errorf("%s: %v\n got %q\nwant %q", c.name, err, p.Text, c.text[r.as])
				}
			}
		})
	}
}

// oracle is the built-in format as a template, which has to be told of the empty thought.
func oracle(t testing.TB) *Template {
	t.Helper()
	return parseFile(t, "testdata/gemma.jinja")
}

// with returns the conversation with another variable.
func (c Conversation) with(name string, v any) Conversation {
	c.Variables = maps.Clone(c.Variables)
	if c.Variables == nil {
		c.Variables = map[string]any{}
	}
	c.Variables[name] = v
	return c
}

// oddMarkup has markers that no vocabulary has besides Gemma's: they begin with what the format itself writes, with what is in numbers, and
// with characters whose first byte others share.
var oddMarkup = slices.Concat(gemmaMarkup, []string{" x", ".x", "{z", "è", "日x"})

// differs tells how two formats differ in what they make of a conversation, errors apart: "" if not at all.
func differs(got, want *Template, c, as Conversation) string {
	g, err := got.Render(context.Background(), c, oddMarkup)
	w, wantErr := want.Render(context.Background(), as, oddMarkup)
	if (err != nil) != (wantErr != nil) {
		return fmt.Sprintf("error %v, want %v", err, wantErr)
	}
	if g.Text != w.Text || !slices.Equal(g.Literal, w.Literal) {
		return fmt.Sprintf("\n got %q %v\nwant %q %v", g.Text, g.Literal, w.Text, w.Literal)
	}
	return ""
}

// The built-in format is that of the published templates, where these are, and says what its own template says.
func TestBuiltinAgreesWithTemplates(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 200
	}
	for _, test := range []struct {
		name     string
		builtin  *Template
		template func(testing.TB) *Template
		empty    any
	}{
		{"large", Builtin(), oracle, true},
		{"edge", BuiltinEdge(), oracle, false},
		{"july-large", Builtin(), func(t testing.TB) *Template { return revision(t, "july-large") }, nil},
		{"july-edge", BuiltinEdge(), func(t testing.TB) *Template { return revision(t, "july-edge") }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			tpl := test.template(t)
			failed := 0
			for seed := range uint64(n) {
				c := newRandom(seed).conversation()
				if seed%3 == 0 {
					c = c.with("preserve_thinking", true)
				}
				as := c
				if test.empty != nil {
					as = c.with("empty_thought", test.empty)
				}
				if difference := differs(test.builtin, tpl, c, as); difference != "" {
					t.Fatalf("seed %d: %s", seed, difference)
				}
				if _, err := test.builtin.Render(context.Background(), c, nil); err != nil {
					failed++
				}
			}
			if failed > n/5 {
				t.Errorf("%d of %d conversations could not be rendered", failed, n)
			}
		})
	}
}
