package jsontype

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/grammar"
)

func TestPartialKeepsWhatIsCertain(t *testing.T) {
	type inner struct{ S string }
	type all struct {
		N  int                       `json:"n"`
		S  string                    `json:"s"`
		B  bool                      `json:"b"`
		I  *inner                    `json:"i"`
		L  []inner                   `json:"l"`
		M  map[string]map[string]int `json:"m"`
		A  any                       `json:"a"`
		T  time.Time                 `json:"t"`
		C  color                     `json:"c"`
		R  json.RawMessage           `json:"r"`
		Q  int                       `json:"q,string"`
		E  []string                  `json:"e" enum:"x,xy"`
		D  []byte                    `json:"d"`
		Ev even                      `json:"ev"`
	}
	for _, c := range []struct{ text, want string }{
		{``, ``},
		{` {`, `{}`},
		{`{"n`, `{}`},
		{`{"n": `, `{}`},
		{`{"n": 1`, `{}`},
		{`{"n": 12,`, `{"n":12}`},
		{`{"n": 1, "s": "`, `{"n":1,"s":""}`},
		{`{"s": "a\`, `{"s":"a"}`},
		{`{"s": "a\u00e`, `{"s":"a"}`},
		{`{"s": "a\ud83d`, `{"s":"a"}`},
		{`{"s": "a\ud83d\`, `{"s":"a"}`},
		{`{"s": "a\ud83d\ude`, `{"s":"a"}`},
		{`{"s": "a\ud83d\ude00`, `{"s":"a\ud83d\ude00"}`},
		{`{"s": "a\ud83dx`, `{"s":"a\ud83dx"}`},
		{"{\"s\": \"é\xc3", `{"s":"é"}`},
		{`{"s": "{[,"`, `{"s":"{[,"}`},
		{`{"\u0063": "re`, `{}`},
		{`{"\u0063": "red"`, `{"\u0063":"red"}`},
		{`{"unknown": ["re`, `{"unknown":["re"]}`},
		{`{"b": tru`, `{}`},
		{`{"b": true`, `{}`},
		{`{"b": true}`, `{"b":true}`},
		{`{"i": {"S": "x`, `{"i":{"S":"x"}}`},
		{`{"i": nul`, `{}`},
		{`{"l": [`, `{"l":[]}`},
		{`{"l": [{"S": "x"}, `, `{"l":[{"S":"x"}]}`},
		{`{"l": [{"S": "x"}, {`, `{"l":[{"S":"x"},{}]}`},
		{`{"m": {"k": {"l": 1`, `{"m":{"k":{}}}`},
		{`{"m": {"k": {"l": 1},`, `{"m":{"k":{"l":1}}}`},
		{`{"a": [1, "x", {"y": ["z`, `{"a":[1,"x",{"y":["z"]}]}`},
		{`{"r": [1, "x", {"y": ["z`, `{"r":[1,"x",{"y":["z"]}]}`},
		{`{"t": "2026-01-02T03:04:05Z`, `{}`},
		{`{"t": "2026-01-02T03:04:05Z"`, `{"t":"2026-01-02T03:04:05Z"}`},
		{`{"c": "red`, `{}`},
		{`{"c": "red"`, `{"c":"red"}`},
		{`{"q": "1`, `{}`},
		{`{"q": "1"`, `{"q":"1"}`},
		{`{"e": ["x", "x`, `{"e":["x"]}`},
		{`{"e": ["x", "xy"`, `{"e":["x","xy"]}`},
		{`{"d": "AAAA`, `{}`},
		{`{"ev": 2`, `{}`},
		{`{"ev": 2}`, `{"ev":2}`},
	} {
		if got := NewPartial(reflect.TypeFor[all]()).Of(c.text); string(got) != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestPartialOfWhatCountsWhole(t *testing.T) {
	p := NewPartial(reflect.TypeFor[color]())
	if got := p.Of(`"re`); got != nil {
		t.Errorf("%q of half a value", got)
	}
	if got := p.Of(`"red"`); string(got) != `"red"` {
		t.Errorf("%q of a value", got)
	}
}

// checkPartial cuts a text in every place.
func checkPartial(t *testing.T, typ reflect.Type, text string) {
	p := NewPartial(typ)
	last := any(nil)
	for i := range len(text) + 1 {
		got := p.Of(text[:i])
		if got == nil {
			if last != nil {
				t.Fatalf("%v: nothing of %q", typ, text[:i])
			}
			continue
		}
		if err := decode(string(got), reflect.New(typ).Interface()); err != nil {
			t.Fatalf("%v: %q: %s: %v", typ, text[:i], got, err)
		}
		next := ordered(json.NewDecoder(strings.NewReader(string(got))))
		if last != nil && !goesOn(last, next) {
			t.Fatalf("%v: %q: %v after %v", typ, text[:i], next, last)
		}
		last = next
	}
	if whole := ordered(json.NewDecoder(strings.NewReader(text))); last != nil && !reflect.DeepEqual(last, whole) {
		t.Fatalf("%v: %v in the end, want %v", typ, last, whole)
	}
}

// An entry is a member of an object.
type entry struct {
	key   string
	value any
}

// ordered decodes a value, with the members of objects as a list.
func ordered(d *json.Decoder) any {
	d.UseNumber()
	tok, _ := d.Token()
	switch tok {
	case json.Delim('{'):
		list := []entry{}
		for d.More() {
			key, _ := d.Token()
			list = append(list, entry{key.(string), ordered(d)})
		}
		d.Token()
		return list
	case json.Delim('['):
		list := []any{}
		for d.More() {
			list = append(list, ordered(d))
		}
		d.Token()
		return list
	}
	return tok
}

// goesOn reports whether a value has all that another has.
func goesOn(a, b any) bool {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && strings.HasPrefix(b, a)
	case []any:
		b, ok := b.([]any)
		return ok && len(a) <= len(b) && slices.EqualFunc(a, b[:min(len(a), len(b))], goesOn)
	case []entry:
		b, ok := b.([]entry)
		return ok && len(a) <= len(b) && slices.EqualFunc(a, b[:min(len(a), len(b))], func(x, y entry) bool {
			return x.key == y.key && goesOn(x.value, y.value)
		})
	}
	return a == b
}

func TestPartialOnlyGrows(t *testing.T) {
	v := vocabulary(t)
	r := rand.New(rand.NewPCG(2, uint64(*count)))
	types := []reflect.Type{reflect.TypeFor[values]()}
	for range *count {
		types = append(types, randomType(r, 4))
	}
	for _, typ := range types {
		schema, err := Schema(typ)
		if err != nil {
			t.Fatal(err)
		}
		g, err := grammar.Schema(v, schema, grammar.SchemaOptions{})
		if err != nil {
			t.Fatal(err)
		}
		checkPartial(t, typ, randomText(t, g, v.Tokenizer(), r))
	}
}

func FuzzPartial(f *testing.F) {
	f.Add(`{"a": [1, 2.5e3, {"b": "x\u00e9\ud83d\ude00\n", "c": null}], "d": {"e": true}}`)
	f.Add(`{"String": "a", "Levels": [1], "Any": {"x": [[]]}, "Tree": {"value": 1, "kids": []}}`)
	f.Add(`{"a":,}`)
	f.Fuzz(func(t *testing.T, text string) {
		NewPartial(reflect.TypeFor[values]()).Of(text) // whatever it is, it ends
		if len(text) < 500 && json.Unmarshal([]byte(text), new(any)) == nil && !strings.ContainsAny(text[:1], " \t\r\n-0123456789ntf") {
			checkPartial(t, reflect.TypeFor[any](), text)
		}
	})
}
