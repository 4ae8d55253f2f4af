package chat

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// unordered makes of a value what encoding/json makes of its JSON.
func unordered(v any) any {
	switch v := v.(type) {
	case []any:
		l := make([]any, len(v))
		for i := range v {
			l[i] = unordered(v[i])
		}
		return l
	case object:
		m := map[string]any{}
		for _, e := range v {
			m[e.Key] = unordered(e.Value)
		}
		return m
	}
	return v
}

func TestJSONIsReadAsTheStandardLibraryReadsIt(t *testing.T) {
	texts := []string{
		"", " ", "{", "[1,]", "{} x", "nul", " true\n", "-0.5E+7", "\t[ ]", `{ "a" : { } , "a" : [ null ] }`,
		`"\u00e9\ud83d\ude00\ud800\\\""`, `"\\"`, "[\"a\\\"]\",{\"b\\\\\":1}]", "\"a\x00\"", "{\"\":\"\"}", "01", "[1 2]",
	}
	for seed := range uint64(500) {
		texts = append(texts, newRandom(seed).value(0))
	}
	for _, text := range texts {
		var want any
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.UseNumber()
		err := d.Decode(&want)
		if !json.Valid([]byte(text)) {
			want, err = nil, json.Unmarshal([]byte(text), new(any))
		}
		got, gotErr := decodeJSON([]byte(text))
		if (err != nil) != (gotErr != nil) || !reflect.DeepEqual(unordered(got), want) {
			t.Errorf("%q: %#v, %v, want %#v, %v", text, got, gotErr, want, err)
		}
	}
	// Keys stay in their order; of several entries with one key, the last counts.
	got, err := decodeObject([]byte(`{"b":1,"a":2,"b":3}`))
	want := object{{Key: "b", Value: json.Number("3")}, {Key: "a", Value: json.Number("2")}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}
