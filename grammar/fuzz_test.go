package grammar

import (
	"errors"
	"slices"
	"testing"
)

// FuzzSchema compiles any schema, as an answer and as the parameters of a tool: no panic, and masks that equal brute force.
func FuzzSchema(f *testing.F) {
	for _, c := range schemas {
		f.Add(c.schema, "{\"a\": ", false)
	}
	f.Add(`{"oneOf":[{"$ref":"#"},{"not":{"$ref":"#"}}],"if":{"const":1},"then":{"required":["a"]},"dependencies":{"a":["b"],"c":{}}}`,
		"[", true)
	f.Add(`{"patternProperties":{"^a":{},"b$":{}},"propertyNames":{"minLength":2},"minProperties":2,"allOf":[{"maxProperties":3}]}`,
		"{", true)
	v := small(f)
	f.Fuzz(func(t *testing.T, schema, text string, loose bool) {
		if len(schema) > 2000 || len(text) > 60 {
			return
		}
		g, err := Schema(v, []byte(schema), SchemaOptions{Loose: loose, Closed: len(text)%2 == 0, Layout: Layout(len(text) % 3)})
		if err == nil {
			s, _ := g.Start().AcceptText(text)
			if checkMask(t, schema, s); s.Err() == nil {
				checkEnd(t, schema, s)
			}
		}
		g, err = Calls(v, []Tool{{Name: "f", Parameters: []byte(schema), Strict: !loose}}, CallOptions{Choice: Required})
		if err == nil {
			checkEnd(t, schema, g.Start())
		}
	})
}

// checkEnd takes the fastest way to the end.
func checkEnd(t *testing.T, name string, s State) {
	t.Helper()
	if s.s == nowhere {
		return
	}
	left := s.Left()
	if left > 300 {
		return
	}
	for n := left; n > 0; n-- {
		ids := slices.Collect(s.MaskWithin(n).All)
		if len(ids) == 0 {
			if s.CanEnd() || errors.Is(s.Err(), ErrLimit) {
				return
			}
			t.Fatalf("%s: %d tokens from the end, none leads there", name, n)
		}
		s, _ = s.Accept(ids[0])
	}
	if !s.CanEnd() {
		t.Fatalf("%s: no end after %d tokens", name, left)
	}
}

// FuzzRegexp compiles any expression.
func FuzzRegexp(f *testing.F) {
	for _, x := range expressions {
		f.Add(x, "ab")
	}
	v := small(f)
	f.Fuzz(func(t *testing.T, expression, text string) {
		if len(expression) > 200 || len(text) > 60 {
			return
		}
		if g, err := Regexp(v, expression); err == nil {
			s, _ := g.Start().AcceptText(text)
			if checkMask(t, expression, s); s.Err() == nil {
				checkEnd(t, expression, s)
			}
		}
	})
}
