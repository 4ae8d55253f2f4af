package jsonstream

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func read(text string) (any, error) {
	r, err := New([]byte(text))
	if err != nil {
		return nil, err
	}
	x, err := r.Value()
	if err == nil {
		err = r.End()
	}
	return x, err
}

func TestValuesComeAsTheyWereWritten(t *testing.T) {
	got, err := read(`{"a": [1, 1e-6, null, true, "x\u00e9"], "b": {}, "c": []}` + " \n")
	want := map[string]any{"a": []any{json.Number("1"), json.Number("1e-6"), nil, true, "xé"}, "b": map[string]any{}, "c": []any{}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
}

func TestWhatIsNoGoodJSONIsAnError(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"a": 1, "a": 2}`, "key a appears twice"},
		{`[{"b": {"c": 1, "c": 1}}]`, "key c appears twice"},
		{`{"a": 1`, "breaks off"},
		{``, "breaks off"},
		{`{"a" 1}`, "wrong at byte"},
		{`{"a": 1} x`, `goes on behind its end with " x"`},
		{"\"\xff\"", "UTF-8"},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), "nested more than 64 deep"},
		{strings.Repeat(`{"a":`, 1e6), "nested more than 64 deep"},
		{"[" + strings.Repeat("0,", 1<<20) + "0]", "more than 1048576 values"},
	} {
		if _, err := read(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestSkippedValuesAreGoneOver(t *testing.T) {
	r, err := New([]byte(`{"a": [1, {"b": [[], {}]}, "]"], "c": 7, "d": "x"}`))
	if err != nil {
		t.Fatal(err)
	}
	var d string
	err = r.Object(3, func(key string) (err error) {
		if key != "d" {
			return r.Skip()
		}
		d, err = r.Text()
		return err
	})
	if err != nil || d != "x" {
		t.Errorf("d is %q, %v", d, err)
	}
}

func TestTextsAreOneOrMany(t *testing.T) {
	for text, want := range map[string][]string{`"a b"`: {"a b"}, `["a", "b"]`: {"a", "b"}, `[]`: nil} {
		r, err := New([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Texts(2); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q %v, want %q", text, got, err, want)
		}
	}
}

func TestKindsAndCountsAreChecked(t *testing.T) {
	for _, c := range []struct {
		text, want string
		read       func(r *Reader) error
	}{
		{`5`, "5, expected a string", func(r *Reader) error { _, err := r.Text(); return err }},
		{`"5"`, `"5", expected a whole number`, func(r *Reader) error { _, err := r.Size(); return err }},
		{`-1`, "-1, expected a whole number", func(r *Reader) error { _, err := r.Size(); return err }},
		{`1.5`, "1.5, expected a whole number", func(r *Reader) error { _, err := r.Size(); return err }},
		{`1e3`, "1e3, expected a whole number", func(r *Reader) error { _, err := r.Size(); return err }},
		{`9223372036854775808`, "9223372036854775808, expected a whole number", func(r *Reader) error { _, err := r.Size(); return err }},
		{`[1, 2, 3]`, "more than 2 elements", func(r *Reader) error { return r.Array(2, func() error { _, err := r.Size(); return err }) }},
		{`{"a": 1, "b": 2}`, "more than 1 keys", func(r *Reader) error {
			return r.Object(1, func(string) error { _, err := r.Size(); return err })
		}},
		{`["a", "b", "c"]`, "more than 2 elements", func(r *Reader) error { _, err := r.Texts(2); return err }},
		{`["a", 1]`, "1, expected a string", func(r *Reader) error { _, err := r.Texts(2); return err }},
		{`1`, "1, expected a string or an array", func(r *Reader) error { _, err := r.Texts(2); return err }},
		{`[]`, "[, expected {", func(r *Reader) error { return r.Object(1, nil) }},
		{`null`, "expected [", func(r *Reader) error { return r.Array(1, nil) }},
		{`"` + "\x1b" + `"`, "wrong", func(r *Reader) error { _, err := r.Size(); return err }},
		{`"\u001b[2J"`, `\\u001b`, func(r *Reader) error { _, err := r.Size(); return err }},
	} {
		r, err := New([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.read(r); err == nil || !strings.Contains(err.Error(), c.want) && !strings.Contains(err.Error(), `\x1b`) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}
