package grammar

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// schemas with texts that they allow and texts that they do not.
var schemas = []struct {
	schema  string
	yes, no []string
}{
	{`{"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`,
		[]string{`{"a": ""}`, `{"b": 1, "a": "x\n\"é"}`},
		[]string{`{}`, `{"b": 1}`, `{"a": "", "b": 1}`, `{"a":""}`, `{"a": "", "c": 1}`, `{"b": 01, "a": ""}`}},
	{`{"type":"object","properties":{"a":{"const":1}}}`,
		[]string{`{}`, `{"a": 1}`, `{"a": 1, "x": [null, {"y": 2.5e3}]}`, `{"x": 1, "x": 2}`},
		[]string{`{"x": 1, "a": 1}`, `{"a": 2}`, `{"x": 1,}`}},
	{`{"enum":["a",1,null,{"x":[true,"\\"]}]}`, []string{`"a"`, `1`, `null`, `{"x": [true, "\\"]}`}, []string{`"b"`, `true`, `{}`}},
	{`{"enum":["a","ab","abc",1,2.5,[1],[1,1],{"k":1},{"k":"x"}],
		"minLength":2,"maxLength":2,"multipleOf":1,"maxItems":1,"properties":{"k":{"type":"integer"}}}`,
		[]string{`"ab"`, `1`, `[1]`, `{"k": 1}`}, []string{`"a"`, `"abc"`, `2.5`, `[1, 1]`, `{"k": "x"}`}},
	{`{"type":["string","null"],"minLength":2,"maxLength":3}`, []string{`"ab"`, `"é\n日"`, `null`}, []string{`"a"`, `"abcd"`, `1`}},
	{`{"type":"string","pattern":"^a.*z$|q"}`, []string{`"az"`, `"a\"z"`, `"xqx"`}, []string{`"a"`, `"za"`}},
	{`{"type":"string","pattern":"^(?!ab|c$)[a-c]+(?!x)"}`, []string{`"a"`, `"cc"`, `"ba"`, `"ay"`, `"bax"`},
		[]string{`""`, `"ab"`, `"abc"`, `"c"`, `"ax"`, `"x"`}},
	{`{"type":"string","pattern":"^(?=.*[0-9])(?=.*[a-z]).{3,5}$"}`, []string{`"a12"`, `"1-2b"`, `"00a00"`},
		[]string{`"123"`, `"abc"`, `"a1"`, `"a12345"`, `"1\n2b"`}},
	{`{"type":"string","pattern":"a(?=b(?!c))"}`, []string{`"ab"`, `"xabd"`, `"abcab"`}, []string{`"abc"`, `"ac"`}},
	{`{"type":"string","pattern":"[\"\\\\\\t]"}`, []string{`"a\\"`, `"\t"`, `"\""`}, []string{`"a"`, `"\u0009"`}},
	{`{"type":"array","items":{"type":"integer","minimum":-3,"exclusiveMaximum":12},"minItems":1,"maxItems":3}`,
		[]string{`[-3]`, `[0, 11, 5]`}, []string{`[]`, `[12]`, `[-4]`, `[1, 2, 3, 4]`, `[1,2]`}},
	{`{"prefixItems":[{"type":"integer"},{"type":"boolean"}],"items":false,"type":"array"}`,
		[]string{`[]`, `[1]`, `[1, true]`}, []string{`[true]`, `[1, true, 2]`}},
	{`{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object",
		"properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},
		"required":["v"],"additionalProperties":false}}}`,
		[]string{`{"v": 1}`, `{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3}]}`}, []string{`{"kids": []}`, `{"v": 1, "kids": [{}]}`}},
	{`{"anyOf":[{"type":"integer"},{"type":"object","properties":{"k":{"const":"x"}},"required":["k"],"additionalProperties":false}]}`,
		[]string{`5`, `{"k": "x"}`}, []string{`{}`, `"x"`, `5.5`}},
	{`{"oneOf":[{"type":"number","multipleOf":5},{"type":"number","multipleOf":3}]}`, nil, nil},
	{`{"oneOf":[{"required":["a"]},{"required":["b"]}],
		"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}},"additionalProperties":false}`,
		[]string{`{"a": null}`, `{"b": null}`}, []string{`{}`, `{"a": null, "b": null}`}},
	{`{"type":"object","required":["t"],"oneOf":[{"properties":{"t":{"const":"x"},"n":{"type":"integer"}},"required":["n"]},
		{"properties":{"t":{"const":"y"}}}]}`,
		[]string{`{"t": "x", "n": 1}`, `{"t": "y"}`, `{"t": "y", "n": 1}`}, []string{`{"t": "x"}`, `{"n": 1}`, `{"t": "z"}`, `1`}},
	{`{"not":{"type":["string","object","array"]}}`, []string{`1`, `null`, `true`, `-1.5`}, []string{`""`, `[]`, `{}`}},
	{`{"not":{"type":["integer","string","object","array","null","boolean"]}}`,
		[]string{`1.5`, `-0.25`, `10.01`}, []string{`1`, `1.0`, `-3.00`, `true`}},
	{`{"type":"number","not":{"enum":[2,2.5]}}`, []string{`1`, `2.05`, `2.51`, `-2.5`}, []string{`2`, `2.0`, `2.50`, `25e-1`}},
	{`{"type":"string","not":{"enum":["a","b"]}}`, []string{`"c"`, `"ab"`, `""`}, []string{`"a"`, `"b"`}},
	{`{"type":"object","properties":{"t":{"enum":["x","y"]},"v":{"type":"integer"}},"required":["t"],"additionalProperties":false,
		"if":{"properties":{"t":{"const":"x"}}},"then":{"required":["v"]},"else":{"properties":{"v":false}}}`,
		[]string{`{"t": "x", "v": 1}`, `{"t": "y"}`}, []string{`{"t": "x"}`, `{"t": "y", "v": 1}`}},
	{`{"type":"object","properties":{"a":{},"b":{"type":"integer"}},"dependentRequired":{"a":["b"]},"additionalProperties":false}`,
		[]string{`{}`, `{"b": 1}`, `{"a": [1], "b": 1}`}, []string{`{"a": 1}`}},
	{`{"type":"object","patternProperties":{"^x":{"type":"integer"}},"additionalProperties":{"type":"string"}}`,
		[]string{`{}`, `{"x": 1, "y": "s", "xx": 3}`}, []string{`{"x": "s"}`, `{"y": 1}`}},
	{`{"type":"object","propertyNames":{"pattern":"^[a-c]+$"},"additionalProperties":{"type":"null"},"minProperties":1,"maxProperties":2}`,
		[]string{`{"a": null}`, `{"a": null, "cab": null}`}, []string{`{}`, `{"d": null}`, `{"a": null, "b": null, "c": null}`}},
	{`{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},
		"additionalProperties":false,"minProperties":2,"maxProperties":2}`,
		[]string{`{"a": null, "b": null}`, `{"b": null, "c": null}`}, []string{`{"a": null}`, `{"a": null, "b": null, "c": null}`}},
	{`{"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true,"minItems":1}`,
		[]string{`["a"]`, `["c", "a", "b"]`}, []string{`[]`, `["a", "a"]`, `["a", "b", "c", "a"]`}},
	{`{"allOf":[{"properties":{"a":{"minimum":3}}},{"properties":{"a":{"type":"integer","maximum":5}}}],
		"type":"object","required":["a"],"additionalProperties":true}`,
		[]string{`{"a": 3}`, `{"a": 5}`}, []string{`{"a": 2}`, `{"a": 6}`, `{}`}},
	{`{"type":"array","items":{"type":"integer"},"contains":{"const":1},"minContains":0}`, []string{`[]`, `[2]`}, []string{`[null]`}},
	{`{"type":"string","format":"date"}`, []string{`"2024-02-29"`, `"2023-12-31"`}, []string{`"2023-02-29"`, `"2023-13-01"`, `"x"`}},
	{`{"type":"number","minimum":0.5,"maximum":1}`, []string{`0.5`, `1`, `1.0`, `0.75`}, []string{`0.49`, `1.01`, `0`, `5e-1`}},
	{`{"type":"integer","multipleOf":7,"minimum":0}`, []string{`0`, `7`, `49`, `700`}, []string{`1`, `-7`, `48`}},
	{`true`, []string{`null`, `[1, {"a": "b"}]`}, []string{`[1,2]`, `nul`, ``}},
	{`{"type":"string","const":"\u2581\u0001"}`, []string{`"\u2581\u0001"`}, []string{`"▁"`}},
	{`{"$schema":"http://json-schema.org/draft-07/schema#",
		"type":"object","properties":{"a":{"$ref":"#/definitions/n","type":"string"}},
		"definitions":{"n":{"type":"null"}},"additionalProperties":false}`,
		[]string{`{"a": null}`}, []string{`{"a": "x"}`}},
	{`{"$schema":"http://json-schema.org/draft-04/schema#","type":"integer","minimum":1,"exclusiveMinimum":true,"maximum":3}`,
		[]string{`2`, `3`}, []string{`1`, `4`}},
}

func TestSchemasAllowWhatTheySay(t *testing.T) {
	v := small(t)
	for _, c := range schemas {
		if c.yes == nil {
			continue
		}
		g, err := Schema(v, []byte(c.schema), SchemaOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		for i, list := range [][]string{c.yes, c.no} {
			for _, text := range list {
				s, _ := g.Start().AcceptText(text)
				if s.CanEnd() != (i == 0) {
					t.Errorf("%s: %s can end: %v", c.schema, text, i == 1)
				}
				if err := s.Err(); err != nil {
					t.Errorf("%s: %s: %v", c.schema, text, err)
				}
			}
		}
	}
}

// TestNothingIsBegunThatCannotEnd tries beginnings that meet each condition alone.
func TestNothingIsBegunThatCannotEnd(t *testing.T) {
	v := small(t)
	for _, c := range []struct{ schema, yes, no string }{
		{`{"type":"string","pattern":"^(ab|abcd|x.*)$","maxLength":3}`, `"ab`, `"abc`},
		{`{"type":"string","allOf":[{"pattern":"^[ab]+c$"},{"pattern":"^[bd]"}]}`, `"ba`, `"a`},
		{`{"type":"number","minimum":3.5,"maximum":3.75}`, `3.6`, `3.8`},
		{`{"type":"number","minimum":10,"maximum":11,"multipleOf":0.25}`, `10.2`, `10.3`},
		{`{"type":"object","properties":{"a":{"properties":{"b":false},"required":["b"],"type":"object"},"c":true},
			"additionalProperties":false}`,
			`{"c`, `{"a`},
		{`{"type":"array","items":{"$ref":"#"},"prefixItems":[{"type":"null"},false]}`, `[null`, `[null,`},
		{`{"type":"object","properties":{"a":true},"additionalProperties":{"type":"null"},"propertyNames":{"enum":["a","bc"]}}`,
			`{"b`, `{"bd`},
	} {
		g, err := Schema(v, []byte(c.schema), SchemaOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		if s, ok := g.Start().AcceptText(c.yes); !ok || s.Left() >= never {
			t.Errorf("%s: %s is refused", c.schema, c.yes)
		}
		if _, ok := g.Start().AcceptText(c.no); ok {
			t.Errorf("%s: %s is begun", c.schema, c.no)
		}
	}
}

func TestMasksOfSchemasEqualBruteForce(t *testing.T) {
	v := small(t)
	for _, c := range schemas {
		if g, err := Schema(v, []byte(c.schema), SchemaOptions{}); err == nil {
			r := rand.New(rand.NewPCG(9, 10))
			walkRandomly(g, r, 25, func(s State) { checkMask(t, c.schema, s) })
			checkEnds(t, c.schema, g, r)
		}
	}
}

func TestLayouts(t *testing.T) {
	v := small(t)
	schema := []byte(`{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"}},"b":{"type":"object"}},
		"required":["a","b"],"additionalProperties":false}`)
	for layout, want := range map[Layout]string{
		Spaced:   `{"a": [1, 2], "b": {"x": []}}`,
		Compact:  `{"a":[1,2],"b":{"x":[]}}`,
		Indented: "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {\n    \"x\": []\n  }\n}",
	} {
		g := must(Schema(v, schema, SchemaOptions{Layout: layout}))(t)
		any := must(JSON(v, layout, true))(t)
		for other := Spaced; other <= Indented; other++ {
			texts := []string{`{"a": [1, 2], "b": {"x": []}}`, `{"a":[1,2],"b":{"x":[]}}`,
				"{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {\n    \"x\": []\n  }\n}"}
			for _, g := range []*Grammar{g, any} {
				if s, _ := g.Start().AcceptText(texts[other]); s.CanEnd() != (texts[other] == want) {
					t.Errorf("layout %d: %s can end: %v", layout, texts[other], s.CanEnd())
				}
			}
		}
	}
}

func TestWhatCannotBeEnforcedIsNamed(t *testing.T) {
	v := small(t)
	for schema, want := range map[string]string{
		`{"properties":{"a":{"contains":{"type":"null"}}}}`: "contains at #/properties/a: ",
		`{"properties":{"a/b":{"$ref":"other.json#/x"}}}`: `$ref at #/properties/a~1b: not supported: ` +
			`"other.json#/x" is in another document`,
		`{"$schema":"http://json-schema.org/draft-07/schema#","contains":{},"minContains":0}`: "contains at #: ",
		`{"items":{"uniqueItems":true}}`:                                    "uniqueItems at #/items: ",
		`{"pattern":"(?<=a)b"}`:                                             "pattern at #: not supported: a lookbehind",
		`{"pattern":"((?=a)b)+"}`:                                           "pattern at #: ",
		`{"pattern":"a\\bb"}`:                                               `pattern at #: not supported: \b`,
		`{"oneOf":[{"multipleOf":5},{"multipleOf":3}]}`:                     "oneOf at #: not supported: its schemas 0 and 1 can",
		`{"not":{"items":{"type":"null"}}}`:                                 "not at #: ",
		`{"not":{"format":"date"}}`:                                         "not at #: ",
		`{"if":{"format":"date"},"then":{"maxLength":10}}`:                  "if at #: ",
		`{"oneOf":[{"type":"string"},{"type":"string","format":"date"}]}`:   "oneOf at #: not supported: its schemas 0 and 1 can",
		`{"$defs":{"x":{"minProperties":5}},"$ref":"#/$defs/x"}`:            "",
		`{"properties":{"a":true},"minProperties":5}`:                       "minProperties at #: ",
		`{"$ref":"#/$defs/none"}`:                                           `$ref at #: not supported: "#/$defs/none" is not in`,
		`{"unevaluatedProperties":false,"anyOf":[{"properties":{"a":{}}}]}`: "unevaluatedProperties at #: not supported: together with",
	} {
		_, err := Schema(v, []byte(schema), SchemaOptions{})
		if want == "" {
			continue
		}
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", schema, err, want)
		}
		g, err := Schema(v, []byte(schema), SchemaOptions{Loose: true})
		if strings.HasPrefix(want, "$ref") {
			continue
		}
		keyword := strings.SplitN(want, ":", 2)[0]
		if err != nil || len(g.Loosened()) != 1 || g.Loosened()[0] != keyword {
			t.Errorf("%s: loosened: %v, want %s", schema, err, keyword)
		}
	}
	for schema, want := range map[string]string{
		`{"type":"thing"}`: `or string, found "thing"`, `{"minimum":"1"}`: "minimum at #: expected", `[]`: "schema at #: expected",
		`{"a":`: "byte 5", `{} {}`: "expected the end", `{"properties":{"a":{"multipleOf":0}}}`: "multipleOf at #/properties/a: expected",
		`{"not":{"format":"unheard of"}}`: "no text is allowed",
		`false`:                           "no text is allowed",
		`{"type":"object","required":["a"],"properties":{"a":false}}`:               "no text is allowed",
		`{"allOf":[{"$ref":"#"}],"type":"array","items":{"$ref":"#"},"minItems":1}`: "no text is allowed",
	} {
		if _, err := Schema(v, []byte(schema), SchemaOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", schema, err, want)
		}
	}
}

func TestBoundsOfSchemasNameThePlace(t *testing.T) {
	v := small(t)
	many := `{"allOf":[` + strings.Repeat(`{"anyOf":[{"minimum":1},{"maximum":2}]},`, 11) + `true]}`
	long := `{"allOf":[` + strings.Repeat(`{},`, maxSteps) + `true]}`
	for schema, want := range map[string]string{
		`{"properties":{"a":{"items":` + many + `}}}`: "cases at #/properties/a/items",
		`{"properties":{"a":` + long + `}}`:           "steps, up to #/properties/a/allOf/9",
	} {
		_, err := Schema(v, []byte(schema), SchemaOptions{})
		if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", schema, err, want)
		}
	}
}

// TestEveryBranchOfSmallSchemasIsReached writes all texts of schemas that have a few, byte by byte, and lets tokens fall until each has
// come.
func TestEveryBranchOfSmallSchemasIsReached(t *testing.T) {
	v := small(t)
	for _, c := range []struct {
		schema string
		want   []string
	}{
		{`{"enum":["a","ab",1,null,{"x":[true]}]}`, []string{`"a"`, `"ab"`, `1`, `null`, `{"x": [true]}`}},
		{`{"type":"object","properties":{"a":{"enum":[1,2]},"b":{"type":"boolean"}},"required":["b"],"additionalProperties":false}`,
			[]string{`{"b": true}`, `{"b": false}`, `{"a": 1, "b": true}`, `{"a": 1, "b": false}`, `{"a": 2, "b": true}`,
				`{"a": 2, "b": false}`}},
		{`{"oneOf":[{"type":"integer","minimum":8,"maximum":11},{"type":"null"}]}`, []string{`8`, `9`, `10`, `11`, `null`}},
		{`{"type":"array","items":{"enum":["x","y"]},"uniqueItems":true}`, []string{`[]`, `["x"]`, `["y"]`, `["x", "y"]`, `["y", "x"]`}},
		{`{"type":"array","prefixItems":[{"type":"null"},{"const":0}],"items":false,"minItems":1}`, []string{`[null]`, `[null, 0]`}},
		{`{"type":"object","properties":{"t":{"enum":["x","y"]},"v":{"const":1}},"required":["t"],"additionalProperties":false,
			"if":{"properties":{"t":{"const":"x"}}},"then":{"required":["v"]},"else":{"properties":{"v":false}}}`,
			[]string{`{"t": "x", "v": 1}`, `{"t": "y"}`}},
		{`{"type":"string","pattern":"^(a|b[cd]?)$","not":{"const":"bc"}}`, []string{`"a"`, `"b"`, `"bd"`}},
		{`{"type":"object","properties":{"a":{"const":0},"b":{"const":0},"c":{"const":0}},"additionalProperties":false,
			"minProperties":1,"maxProperties":2,"dependentRequired":{"a":["b"]}}`,
			[]string{`{"b": 0}`, `{"c": 0}`, `{"a": 0, "b": 0}`, `{"b": 0, "c": 0}`}},
	} {
		g := must(Schema(v, []byte(c.schema), SchemaOptions{}))(t)
		slices.Sort(c.want)
		var all []string
		var write func(s State, text string)
		write = func(s State, text string) {
			if s.CanEnd() {
				all = append(all, text)
			}
			for b := range 256 {
				if next, ok := s.AcceptText(string([]byte{byte(b)})); ok && len(text) < 100 {
					write(next, text+string([]byte{byte(b)}))
				}
			}
		}
		write(g.Start(), "")
		if slices.Sort(all); !slices.Equal(all, c.want) {
			t.Errorf("%s: %q, want %q", c.schema, all, c.want)
		}
		r := rand.New(rand.NewPCG(1, 2))
		missing := map[string]bool{}
		for _, text := range c.want {
			missing[text] = true
		}
		for range 2000 {
			text := ""
			for s := g.Start(); ; {
				ids := slices.Collect(s.Mask().All)
				id := ids[r.IntN(len(ids))]
				if slices.Contains(v.ends, id) {
					break
				}
				text += v.texts[id]
				s, _ = s.Accept(id)
			}
			delete(missing, text)
		}
		if len(missing) > 0 {
			t.Errorf("%s: tokens never wrote %v", c.schema, missing)
		}
	}
}
