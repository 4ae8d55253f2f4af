package validate

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
	_ "github.com/google/jsonschema-go/jsonschema" // JSON-Schema-Test-Suite is in its folder
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/tokenizer"
)

var (
	vocab = flag.String("vocabulary", "../../tokenizer/testdata/nano-vocab.gguf", "the `FILE` with the vocabulary")
	count = flag.Int("generations", 3, "generations of each schema")
)

func vocabulary(t testing.TB) *grammar.Vocabulary {
	t.Helper()
	f, err := gguf.Open(*vocab)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := tokenizer.New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	return grammar.NewVocabulary(tok)
}

// An ecma is a pattern as ECMA 262 reads it, which knows lookaheads.
type ecma regexp2.Regexp

func (re *ecma) String() string { return (*regexp2.Regexp)(re).String() }

func (re *ecma) MatchString(s string) bool {
	ok, err := (*regexp2.Regexp)(re).MatchString(s)
	return ok && err == nil
}

// schema returns the independent validator's reading of a schema.
func schema(text []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
		re, err := regexp2.Compile(pattern, regexp2.ECMAScript|regexp2.Unicode)
		return (*ecma)(re), err
	})
	if err := c.AddResource("file:///schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("file:///schema.json")
}

// generate writes a text from random tokens that ends within about n.
func generate(g *grammar.Grammar, r *rand.Rand, n int) (string, bool) {
	return generateText(g, r, n, false)
}

// generateMarkup keeps the text of special tokens.
func generateMarkup(g *grammar.Grammar, r *rand.Rand, n int) (string, bool) {
	return generateText(g, r, n, true)
}

func generateText(g *grammar.Grammar, r *rand.Rand, n int, markup bool) (string, bool) {
	tok := g.Vocabulary().Tokenizer()
	s := g.Start()
	n = max(n, s.Left()+10)
	d := tok.NewDecoder(markup)
	var text strings.Builder
	for ; n > 0; n-- {
		m := s.Mask()
		if s.CanEnd() && r.IntN(8) == 0 || m.Len() == 0 {
			break
		}
		ids := m.IDs()
		if ids == nil {
			ids = slices.Collect(m.All)
		}
		id := ids[r.IntN(len(ids))]
		next, _ := s.Accept(id)
		if next.Left() > n-1 {
			if ids = slices.Collect(s.MaskWithin(n).All); len(ids) == 0 {
				break
			}
			id = ids[r.IntN(len(ids))]
			next, _ = s.Accept(id)
		}
		if tok.IsEnd(id) {
			break
		}
		s = next
		text.WriteString(d.Next(id))
	}
	text.WriteString(d.Flush())
	return text.String(), s.CanEnd()
}

// reason returns the keyword of an error.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), "grammar: schema: ")
	switch {
	case errors.Is(err, grammar.ErrLimit):
		return "limit"
	case errors.Is(err, grammar.ErrUnsupported):
		keyword, _, _ := strings.Cut(text, " at ")
		if strings.Contains(text, "another document") {
			keyword += " to another document"
		}
		return keyword
	}
	return "error: " + text[:min(len(text), 60)]
}

// A group is one of JSON-Schema-Test-Suite.
type group struct {
	File        string
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// suite returns the groups of JSON-Schema-Test-Suite for a draft. It comes with google/jsonschema-go.
func suite(t *testing.T, draft string) []group {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/jsonschema-go").Output()
	if err != nil {
		t.Skip("the module's folder is not to be found: ", err)
	}
	paths, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "jsonschema", "testdata", draft, "*.json"))
	if len(paths) == 0 {
		t.Fatal("no suite")
	}
	var all []group
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var list []group
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(path, err)
		}
		for _, g := range list {
			g.File = draft + " " + filepath.Base(path)
			if draft == "draft7" {
				g.Schema = withDraft(g.Schema)
			}
			all = append(all, g)
		}
	}
	return all
}

var drafts = []string{"draft2020-12", "draft7"}

func TestTheSuiteIsAcceptedAsItSays(t *testing.T) {
	v := vocabulary(t)
	for _, draft := range drafts {
		refused, right, compiled := map[string]int{}, 0, 0
		groups := suite(t, draft)
		for _, group := range groups {
			g, err := grammar.Schema(v, group.Schema, grammar.SchemaOptions{})
			if err != nil {
				if r := reason(err); r != "error: no text is allowed" {
					refused[r]++
					continue
				}
			}
			compiled++
			for _, test := range group.Tests {
				if got := g != nil && accepts(g, test.Data); got != test.Valid {
					t.Errorf("%s: %s: %s: %s is accepted: %v, schema %s",
						group.File, group.Description, test.Description, test.Data, got, group.Schema)
				} else {
					right++
				}
			}
		}
		t.Logf("%s: %d of %d schemas compile, %d tests right; refused: %v", draft, compiled, len(groups), right, refused)
	}
}

// TestGenerationsOfTheSuiteAreValid lets tokens fall at random, as values and as arguments of calls.
func TestGenerationsOfTheSuiteAreValid(t *testing.T) {
	v := vocabulary(t)
	r := rand.New(rand.NewPCG(3, 4))
	values, calls := 0, 0
	for _, draft := range drafts {
		for _, group := range suite(t, draft) {
			reference, err := schema(group.Schema)
			if err != nil {
				continue
			}
			if g, err := grammar.Schema(v, group.Schema, grammar.SchemaOptions{}); err == nil {
				for range *count {
					text, ended := generate(g, r, 30)
					values++
					validate(t, group, reference, text, ended)
				}
			}
			tool := grammar.Tool{Name: "f", Parameters: group.Schema, Strict: true}
			g, err := grammar.Calls(v, []grammar.Tool{tool}, grammar.CallOptions{Choice: grammar.Required, Single: true})
			if err != nil {
				continue
			}
			for range *count {
				text, ended := generateMarkup(g, r, 30)
				events := chat.ParseText(text, nil)
				calls++
				if len(events) != 1 || events[0].Call == nil || events[0].Call.Mended {
					t.Fatalf("%s: %s: %q is no call: %+v", group.File, group.Description, text, events)
				}
				validate(t, group, reference, string(events[0].Call.Arguments), ended)
			}
		}
	}
	t.Logf("%d values, %d calls", values, calls)
}

func validate(t *testing.T, group group, reference *jsonschema.Schema, text string, ended bool) {
	t.Helper()
	x, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = reference.Validate(x)
	}
	if err != nil || !ended {
		t.Errorf("%s: %s: %s: ended %v: %q: %v", group.File, group.Description, group.Schema, ended, text, err)
	}
}

func withDraft(schema json.RawMessage) json.RawMessage {
	if len(schema) == 0 || schema[0] != '{' || bytes.Contains(schema, []byte(`"$schema"`)) {
		return schema
	}
	rest := strings.TrimSpace(string(schema[1:]))
	if rest == "}" {
		return json.RawMessage(`{"$schema": "http://json-schema.org/draft-07/schema#"}`)
	}
	return json.RawMessage(`{"$schema": "http://json-schema.org/draft-07/schema#", ` + rest)
}

// accepts reports whether the grammar allows the value with its members in some order.
func accepts(g *grammar.Grammar, data json.RawMessage) bool {
	for _, text := range spellings(data) {
		if s, ok := g.Start().AcceptText(text); ok && s.CanEnd() {
			return true
		}
	}
	return false
}

// spellings writes a value in our layout, with the members of its objects in all orders.
func spellings(data json.RawMessage) []string {
	data = bytes.TrimSpace(data)
	join := func(list [][]string, open, end string) []string {
		texts := []string{open}
		for i, options := range list {
			var next []string
			for _, t := range texts {
				for _, o := range options {
					if i > 0 {
						o = ", " + o
					}
					next = append(next, t+o)
				}
			}
			texts = next
		}
		for i := range texts {
			texts[i] += end
		}
		return texts
	}
	switch data[0] {
	case '[':
		var elements []json.RawMessage
		json.Unmarshal(data, &elements)
		var list [][]string
		for _, e := range elements {
			list = append(list, spellings(e))
		}
		return join(list, "[", "]")
	case '{':
		var members map[string]json.RawMessage
		json.Unmarshal(data, &members)
		var keys []string
		for k := range members {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		var all []string
		permute(keys, 0, func(keys []string) {
			var list [][]string
			for _, k := range keys {
				var options []string
				for _, s := range spellings(members[k]) {
					options = append(options, quote(k)+": "+s)
				}
				list = append(list, options)
			}
			all = append(all, join(list, "{", "}")...)
		})
		return all
	case '"':
		var s string
		json.Unmarshal(data, &s)
		return []string{quote(s)}
	case 't', 'f', 'n':
		return []string{string(data)}
	}
	return numbers(string(data))
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case strings.ContainsRune("\"\\", c):
			b.WriteString("\\" + string(c))
		case c < 0x20 || c == 0x2581:
			i := strings.IndexRune("\b\f\n\r\t", c)
			if i >= 0 {
				b.WriteString("\\" + "bfnrt"[i:i+1])
			} else {
				b.WriteString("\\u00" + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]))
			}
		default:
			b.WriteRune(c)
		}
	}
	return b.String() + `"`
}

func permute(keys []string, i int, f func([]string)) {
	if i >= len(keys)-1 || len(keys) > 6 {
		f(keys)
		return
	}
	for j := i; j < len(keys); j++ {
		keys[i], keys[j] = keys[j], keys[i]
		permute(keys, i+1, f)
		keys[i], keys[j] = keys[j], keys[i]
	}
}
