package chat

import (
	"context"
	"encoding/json"
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

// The first revision does not know the role tool; the eight conversations with answers of tools have to be folded for it.
func TestRevisionsRenderAsRecorded(t *testing.T) {
	data, err := os.ReadFile(testdata.Shared(t, "golden", "chat", "revisions", "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []json.RawMessage
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	revisions := map[string]*Template{}
	for _, name := range []string{"first", "july-large", "july-edge", "unsloth-large", "unsloth-edge"} {
		revisions[name] = revision(t, name)
	}
	right, all := map[string]int{}, 0
	for _, raw := range cases {
		var c struct {
			Name string
			Text map[string]string
		}
		var conversation Conversation
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &conversation); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		all++
		check := func(name, want string, tpl *Template) {
			p, err := tpl.Render(context.Background(), conversation, nil)
			if err != nil || p.Text != want {
				t.Errorf("%s of %s: %v\n got %q\nwant %q", c.Name, name, err, p.Text, want)
				return
			}
			right[name]++
		}
		for name, tpl := range revisions {
			check(name, c.Text[name], tpl)
		}
		check("built-in", c.Text["july-large"], Builtin())
		check("built-in edge", c.Text["july-edge"], BuiltinEdge())
	}
	t.Logf("of %d conversations: %v", all, right)
	if all != 39 {
		t.Errorf("%d conversations", all)
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
