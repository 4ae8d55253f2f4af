package jsontype

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/tokenizer"
)

var count = flag.Int("types", 20, "types to make at random")

func TestSchemas(t *testing.T) {
	object := func(properties string) string {
		return `{"type":"object","properties":{` + properties + `},"additionalProperties":false}`
	}
	for _, c := range []struct {
		value any
		want  string
	}{
		{int8(0), `{"type":"integer","minimum":-128,"maximum":127}`},
		{int64(0), `{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}`},
		{uint64(0), `{"type":"integer","minimum":0,"maximum":18446744073709551615}`},
		{float32(0), `{"type":"number","minimum":-3.4028234663852886e+38,"maximum":3.4028234663852886e+38}`},
		{float64(0), `{"type":"number"}`},
		{time.Time{}, `{"type":"string","format":"date-time"}`},
		{time.Duration(0), `{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}`},
		{color(""), `{"type":"string","enum":["red","green","<&>"]}`},
		{level(0), `{"type":"integer","enum":[1,2,10]}`},
		{hex(0), `{"type":"string"}`},
		{even(0), `{"type":"integer","multipleOf":2,"minimum":0,"maximum":98}`},
		{map[int8]bool{}, `{"type":"object","propertyNames":{"type":"string",` +
			`"pattern":"^(0|127|[1-9][0-9]{0,1}|1[0-1][0-9]{1}|12[0-6][0-9]{0}|-(128|[1-9][0-9]{0,1}|1[0-1][0-9]{1}|12[0-7][0-9]{0}))$"},` +
			`"additionalProperties":{"type":"boolean"}}`},
		{map[level]bool{}, `{"type":"object","propertyNames":{"type":"string","enum":["1","2","10"]},` +
			`"additionalProperties":{"type":"boolean"}}`},
		{[2]*bool{}, `{"type":"array","items":{"type":["boolean","null"]},"minItems":2,"maxItems":2}`},
		{[]*bool{}, `{"type":"array","items":{"type":"boolean"}}`},
		{&struct {
			P          *bool `jsonschema:"yes, <no> or neither"`
			O          *bool `json:"o,omitempty"`
			C          *color
			A          *any
			unexported int
		}{}, `{"type":"object","properties":{"P":{"type":["boolean","null"],"description":"yes, <no> or neither"},"o":{"type":"boolean"},` +
			`"C":{"anyOf":[{"type":"string","enum":["red","green","<&>"]},{"type":"null"}]},"A":{}},` +
			`"required":["P","C","A"],"additionalProperties":false}`},
		{tree{}, `{"type":"object","properties":{"value":{"type":"integer","minimum":-128,"maximum":127},"left":{"$ref":"#"},` +
			`"right":{"anyOf":[{"$ref":"#"},{"type":"null"}]},"kids":{"type":"array","items":{"$ref":"#"}},` +
			`"twice":{"type":"array","items":{"anyOf":[{"$ref":"#"},{"type":"null"}]},"minItems":1,"maxItems":1}},` +
			`"required":["value","right","kids","twice"],"additionalProperties":false}`},
		{struct{ N nested }{}, `{"type":"object","properties":{"N":{"$ref":"#/$defs/nested1"}},"required":["N"],` +
			`"additionalProperties":false,` +
			`"$defs":{"nested1":{"type":"array","items":{"type":"array","items":{"$ref":"#/$defs/nested1"}}}}}`},
		{struct {
			S string  `json:",omitempty" enum:"a,b"`
			N []int8  `json:",omitempty" minimum:"0" maxItems:"2"`
			F float64 `json:",omitempty" maximum:"1e3"`
			Q *bool   `json:",omitempty,string"`
		}{}, object(`"S":{"type":"string","enum":["a","b"]},` +
			`"N":{"type":"array","items":{"type":"integer","minimum":0,"maximum":127},"maxItems":2},` +
			`"F":{"type":"number","minimum":-1.7976931348623157e+308,"maximum":1e3},"Q":{"type":"string","enum":["true","false"]}`)},
		{struct {
			B bool    `json:",omitempty" enum:"true"`
			F float64 `json:",omitempty" enum:"1,-2.5"`
			R float64 `json:",omitempty" minimum:"0" maximum:"1"`
			G float32 `json:",omitempty" enum:"1e3"`
		}{}, object(`"B":{"type":"boolean","enum":[true]},"F":{"enum":[1,-2.5]},"R":{"type":"number","minimum":0,"maximum":1},` +
			`"G":{"type":"number","enum":[1e3]}`)},
	} {
		got, err := Schema(reflect.TypeOf(c.value))
		if err != nil || string(got) != c.want {
			t.Errorf("%T: %v\n got %s\nwant %s", c.value, err, got, c.want)
		}
	}
}

// The ends of each type, and what lies just beyond them, in every place where numbers stand.
func TestBoundsAreThoseOfTheTypes(t *testing.T) {
	v := vocabulary(t)
	for _, c := range []struct {
		value   any
		in, out []string
	}{
		{int8(0), []string{"-128", "127", "0"}, []string{"-129", "128", "-0", "1.0", "1e1", "01"}},
		{int64(0), []string{"-9223372036854775808", "9223372036854775807"}, []string{"-9223372036854775809", "9223372036854775808"}},
		{uint64(0), []string{"0", "18446744073709551615", "9007199254740993"}, []string{"-1", "18446744073709551616"}},
		{float32(0), []string{"340282346638528860000000000000000000000", "-0.1"},
			[]string{"340282346638528870000000000000000000000", "1e39"}},
		{float64(0), []string{"1e99", "-2.5E-99"}, []string{"1e100", "NaN"}},
		{map[int8]bool{}, []string{`{"-128": true}`, `{"127": true, "0": false, "-1": true}`},
			[]string{`{"128": true}`, `{"-129": true}`, `{"-0": true}`}},
		{map[uint64]bool{}, []string{`{"18446744073709551615": true}`}, []string{`{"18446744073709551616": true}`, `{"-1": true}`}},
		{struct {
			N int64 `json:",string"`
		}{}, []string{`{"N": "-9223372036854775808"}`}, []string{`{"N": "-9223372036854775809"}`, `{"N": 1}`, `{"N": ""}`}},
		{struct {
			F float64 `json:",string"`
		}{}, []string{`{"F": "-1.5"}`}, []string{`{"F": "1e999"}`}},
		{struct {
			F float64 `minimum:"0"`
		}{}, []string{`{"F": 1.5}`}, []string{`{"F": 1` + strings.Repeat("0", 309) + `}`, `{"F": -1}`}},
		{[2]bool{}, []string{`[true, false]`}, []string{`[true]`, `[true, true, true]`}},
		{[]byte{}, []string{`""`, `"AA=="`, `"AAA="`, `"+/09"`}, []string{`"A"`, `"AA"`, `"AAAA="`, `"-_-_"`}},
	} {
		schema, err := Schema(reflect.TypeOf(c.value))
		if err != nil {
			t.Fatal(err)
		}
		g, err := grammar.Schema(v, schema, grammar.SchemaOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range append(c.in, c.out...) {
			s, ok := g.Start().AcceptText(text)
			if allowed := ok && s.CanEnd(); allowed != (i < len(c.in)) {
				t.Errorf("%T: %s is allowed: %v", c.value, text, allowed)
			}
			if err := decode(text, reflect.New(reflect.TypeOf(c.value)).Interface()); err != nil && i < len(c.in) {
				t.Error(err)
			}
		}
	}
}

func TestWhatJSONCannotBeReadIntoIsRefusedByItsPath(t *testing.T) {
	type lost struct{ *base }
	type loop *loop
	type four[T any] struct{ A, B, C, D T }
	type wide = four[four[four[four[four[four[int]]]]]]
	for _, c := range []struct {
		value any
		want  string
	}{
		{make(chan int), "chan int"},
		{struct {
			A []map[string]*struct{ B func() }
		}{}, ".A[][].B: JSON cannot be read into func()"},
		{struct{ C complex64 }{}, ".C: "},
		{struct{ R io.Reader }{}, ".R: JSON cannot be read into io.Reader"},
		{struct{ M map[float64]int }{}, ".M: keys of JSON cannot be read into float64"},
		{struct{ L lost }{}, ".L.ID: encoding/json cannot set an embedded pointer"},
		{struct{ U []untold }{}, ".U[]: jsontype.untold reads JSON by a method"},
		{struct{ S *struct{ *time.Time } }{}, ".S: struct { *time.Time } reads JSON by a method"},
		{stamped{}, "jsontype.stamped reads JSON by a method"},
		{outerStamped{}, "jsontype.outerStamped reads"},
		{pointedHex{}, "jsontype.pointedHex reads"},
		{pointedEven{}, "jsontype.pointedEven reads"},
		{struct{ N noValues }{}, ".N: jsontype.noValues.Enum returns no values"},
		{struct{ N map[noValues]int }{}, ".N: jsontype.noValues.Enum returns no values"},
		{struct{ N []badValues }{}, ".N[]: jsontype.badValues.Enum: value 1: zero"},
		{struct{ N badSchema }{}, ".N: what jsontype.badSchema.JSONSchema returns is no object"},
		{struct{ M map[string]func() }{}, ".M[]: JSON cannot be read into func()"},
		{struct {
			E even `json:",string"`
		}{}, ".E: json:\",string\" does not go with jsontype.even"},
		{map[loud]int{}, "a key of jsontype.loud.Enum: "},
		{struct{ P loop }{}, ".P: "},
		{wide{}, "more than 4000 types"},
		{struct {
			A int `enum:"1,b"`
		}{}, `.A: the tag enum: "b"`},
		{struct {
			A int8 `minimum:"1.5"`
		}{}, `.A: the tag minimum: "1.5" is no int8`},
		{struct {
			A string `maxLength:"x"`
		}{}, `.A: the tag maxLength: "x" is no`},
		{struct {
			A []bool `maxLength:"1"`
		}{}, `.A: the tag maxLength is about string, not bool`},
		{struct {
			A int `json:",string" minimum:"1"`
		}{}, `.A: the tag minimum does not go with`},
		{struct {
			A int `minimum:"5" maximum:"3"`
		}{}, `.A: the tag minimum: 5 is above maximum, 3`},
		{struct {
			A []string `minItems:"2" maxItems:"2" minLength:"10" maxLength:"9"`
		}{}, `.A: the tag minLength: 10 is above maxLength, 9`},
	} {
		if got, err := Schema(reflect.TypeOf(c.value)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: %s, %v; want an error with %q", c.value, got, err, c.want)
		}
	}
}

// What encoding/json writes of a value names the fields that it reads.
func TestFieldsAreThoseOfEncodingJSON(t *testing.T) {
	for _, v := range []any{values{}, embedding{}, twins{}, Extra{}, struct {
		Extra
		*Left
		Right
	}{}, struct {
		twins
		base
	}{}, struct {
		embedding
		Own int
		x   int
	}{}} {
		filled := reflect.New(reflect.TypeOf(v))
		fill(filled.Elem(), 0)
		data, err := json.Marshal(filled.Interface())
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		d := json.NewDecoder(bytes.NewReader(data))
		for d.Token(); d.More(); {
			key, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, key.(string))
			if err := d.Decode(new(json.RawMessage)); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range fields(reflect.TypeOf(v)) {
			got = append(got, f.name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%T:\n got %q\nwant %q", v, got, want)
		}
	}
}

// fill makes a value of which omitempty omits nothing.
func fill(v reflect.Value, depth int) {
	if !v.CanSet() && v.Kind() != reflect.Struct {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if depth < 6 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	case reflect.String:
		v.SetString("1")
	}
}

func vocabulary(t testing.TB) *grammar.Vocabulary {
	f, err := gguf.Open(filepath.Join(testdata.Root(t), "tokenizer", "testdata", "nano-vocab.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	return grammar.NewVocabulary(tok)
}

// text returns a text that a grammar allows, made of random tokens.
func randomText(t *testing.T, g *grammar.Grammar, tok *tokenizer.Tokenizer, r *rand.Rand) string {
	var ids []int32
	left := g.Start().Left() + r.IntN(300)
	favourites := []string{"", "9", "-", "\"", "1"}[r.IntN(5)]
	for s := g.Start(); !s.CanEnd(); left-- {
		list := slices.Collect(s.MaskWithin(left).All)
		if len(list) == 0 {
			t.Fatalf("nothing may follow %q: %v", tok.Decode(ids, false), s.Err())
		}
		id := list[r.IntN(len(list))]
		if i := slices.IndexFunc(list, func(id int32) bool { return tok.Text(id) == favourites }); i >= 0 && r.IntN(2) == 0 {
			id = list[i]
		}
		ids = append(ids, id)
		s, _ = s.Accept(id)
	}
	return tok.Decode(ids, false)
}

func decode(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func TestEveryTextOfASchemaDecodes(t *testing.T) {
	v := vocabulary(t)
	r := rand.New(rand.NewPCG(1, uint64(*count)))
	types := []reflect.Type{reflect.TypeFor[values]()}
	for i := range reflect.TypeFor[values]().NumField() {
		types = append(types, reflect.StructOf([]reflect.StructField{reflect.TypeFor[values]().Field(i)}))
	}
	for range *count {
		types = append(types, randomType(r, 4))
	}
	for _, typ := range types {
		schema, err := Schema(typ)
		if err != nil {
			t.Fatalf("%v: %v", typ, err)
		}
		g, err := grammar.Schema(v, schema, grammar.SchemaOptions{})
		if err != nil {
			t.Fatalf("%v: %v\n%s", typ, err, schema)
		}
		for range 10 {
			text := randomText(t, g, v.Tokenizer(), r)
			if err := decode(text, reflect.New(typ).Interface()); err != nil {
				t.Fatalf("%v: %v\n%s\n%s", typ, err, text, schema)
			}
		}
	}
}

// randomType returns a type made of those of values.
func randomType(r *rand.Rand, depth int) reflect.Type {
	leaf := func() reflect.Type {
		v := reflect.TypeFor[values]()
		for {
			if t := v.Field(r.IntN(v.NumField())).Type; t != reflect.TypeFor[struct{ time.Time }]() { // behind a pointer it is refused
				return t
			}
		}
	}
	if depth == 0 {
		return leaf()
	}
	switch r.IntN(8) {
	case 0:
		return reflect.PointerTo(randomType(r, depth-1))
	case 1:
		return reflect.SliceOf(randomType(r, depth-1))
	case 2:
		return reflect.ArrayOf(r.IntN(3), randomType(r, depth-1))
	case 3:
		keys := []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[color](), reflect.TypeFor[hex](), reflect.TypeFor[int16](),
			reflect.TypeFor[time.Time](), reflect.TypeFor[level](), reflect.TypeFor[uint]()}
		return reflect.MapOf(keys[r.IntN(len(keys))], randomType(r, depth-1))
	case 4:
		return leaf()
	}
	var list []reflect.StructField
	for i := range r.IntN(6) {
		f := reflect.StructField{Name: string(rune('A' + i)), Type: randomType(r, depth-1)}
		tag := []string{"", "", "", f.Name + "x", "with blank", "q\u00e9", "-", "."}[r.IntN(8)]
		for _, option := range []string{"omitempty", "omitzero", "string"} {
			if k, _ := pointee(f.Type); r.IntN(4) == 0 && (option != "string" || shapeOf(k, true) != told) {
				tag += "," + option
			}
		}
		if tag != "" {
			f.Tag = reflect.StructTag(`json:"` + tag + `"`)
		}
		list = append(list, f)
	}
	return reflect.StructOf(list)
}
