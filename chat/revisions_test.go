package chat

import (
	"context"
	"encoding/json"
	"errors"
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

func TestBuiltinAgreesWithTheRevisionsOfJuly(t *testing.T) {
	n, failed := 2000, 0
	if testing.Short() {
		n = 200
	}
	for _, r := range []struct {
		name    string
		builtin *Template
	}{{"july-large", Builtin()}, {"july-edge", BuiltinEdge()}} {
		tpl := revision(t, r.name)
		for seed := range uint64(n) {
			c := newRandom(seed).conversation()
			if seed%3 == 0 {
				c.Variables = map[string]any{"preserve_thinking": true}
			}
			want, wantErr := tpl.Render(context.Background(), c, []string{"<|turn>"})
			got, err := r.builtin.Render(context.Background(), c, []string{"<|turn>"})
			if (err != nil) != (wantErr != nil) {
				t.Fatalf("%s: seed %d: %v, want %v", r.name, seed, err, wantErr)
			}
			if err != nil {
				failed++
				continue
			}
			if got.Text != want.Text || !slices.Equal(got.Literal, want.Literal) {
				t.Fatalf("%s: seed %d:\n got %q %v\nwant %q %v", r.name, seed, got.Text, got.Literal, want.Text, want.Literal)
			}
		}
	}
	if failed > n/5 {
		t.Errorf("%d of %d conversations could not be rendered", failed, 2*n)
	}
}
