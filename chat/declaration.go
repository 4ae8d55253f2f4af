package chat

import (
	"encoding/json"
	"slices"

	"github.com/gogemma/gemma4/internal/jinja"
	"github.com/gogemma/gemma4/internal/python"
)

// declaration writes a tool. Of a schema it writes what the published template knows, and as that does: a value of another type than
// expected becomes what Python's str makes of it.
func (w *writer) declaration(t Tool) {
	w.markup("declaration:")
	w.text(t.Name)
	w.markup("{description:")
	w.quoted(t.Description)
	if s, _ := decoded(t.Parameters).(object); len(s) > 0 {
		w.markup(",parameters:{")
		if v := value(s, "properties"); truth(v) {
			o, ok := v.(object)
			if !ok {
				w.fail("properties", v, "an object")
			}
			w.markup("properties:")
			w.properties(o)
			w.markup(",")
		}
		w.required(s)
		if truth(value(s, "type")) {
			w.typed(s)
			w.markup("}")
		}
	}
	if len(t.Response) > 0 {
		s, _ := decoded(t.Response).(object)
		w.markup(",response:{")
		w.description(s)
		if hasType(s, "OBJECT") {
			w.typed(s)
			w.markup("}")
		}
	}
	w.markup("}")
}

// properties writes the schemas of an object's properties.
func (w *writer) properties(o object) {
	w.entries(o, func(name string, v any) {
		w.text(name)
		w.markup(":{")
		s, _ := v.(object) // anything else is an empty schema
		w.description(s)
		if v := value(s, "enum"); truth(v) && hasType(s, "STRING") {
			w.markup("enum:")
			w.json(v, true)
			w.markup(",")
		}
		if items, ok := value(s, "items").(object); ok && len(items) > 0 && hasType(s, "ARRAY") {
			w.markup("items:")
			w.items(items)
			w.markup(",")
		}
		if truth(value(s, "nullable")) {
			w.markup("nullable:true,")
		}
		if hasType(s, "OBJECT") {
			inner, ok := value(s, "properties").(object)
			if !ok {
				inner = withoutSchemaKeys(s)
			}
			w.markup("properties:")
			w.properties(inner)
			w.markup(",")
			w.required(s)
		}
		w.typed(s)
		w.markup("}")
	})
}

// withoutSchemaKeys returns the properties of an object whose schema has them as its own entries.
func withoutSchemaKeys(s object) object {
	keys := []string{"description", "type", "properties", "required", "nullable"}
	return slices.DeleteFunc(slices.Clone(s), func(e jinja.Entry) bool { return slices.Contains(keys, e.Key) })
}

// items writes the schema of an array's items, with all keys that it has.
func (w *writer) items(s object) {
	s = slices.DeleteFunc(slices.Clone(s), func(e jinja.Entry) bool { return e.Value == nil })
	w.entries(s, func(key string, v any) {
		switch key {
		case "properties":
			o, _ := v.(object)
			w.markup("properties:")
			w.properties(o)
		case "required":
			w.names(v)
		case "type":
			w.markup("type:")
			w.types(v)
		default:
			w.text(key)
			w.markup(":")
			w.json(v, true)
		}
	})
}

func (w *writer) description(s object) {
	if v := value(s, "description"); truth(v) {
		w.markup("description:")
		w.str(v, same)
		w.markup(",")
	}
}

func (w *writer) required(s object) {
	if v := value(s, "required"); truth(v) {
		w.names(v)
		w.markup(",")
	}
}

// names writes which properties are required.
func (w *writer) names(v any) {
	w.markup("required:")
	w.list(w.each("required", v), func(item any) { w.str(item, same) })
}

// typed writes the type of a schema in capitals.
func (w *writer) typed(s object) {
	v, ok := s.Get("type")
	if !ok {
		v = ""
	}
	w.markup("type:")
	w.str(v, python.Upper)
}

// types writes the type of items in capitals, or a list of types.
func (w *writer) types(v any) {
	upper := func(v any) { w.str(v, python.Upper) }
	if _, ok := v.(string); ok {
		upper(v)
	} else if truth(v) {
		w.list(w.each("type", v), upper)
	} else {
		w.markup("[]")
	}
}

// each returns what a loop of Python goes through: the items of an array, the keys of an object, the characters of a string.
func (w *writer) each(field string, v any) []any {
	var items []any
	switch v := v.(type) {
	case []any:
		return v
	case object:
		for _, e := range v {
			items = append(items, e.Key)
		}
	case string:
		for _, r := range v {
			items = append(items, string(r))
		}
	default:
		w.fail(field, v, "an array")
	}
	return items
}

func hasType(s object, name string) bool {
	text, ok := value(s, "type").(string)
	return ok && python.Upper(text) == name
}

// truth is Python's bool.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case json.Number:
		f, _ := python.ParseFloat(string(v)) // a number
		return f != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case object:
		return len(v) > 0
	}
	return false
}

// str writes Python's str of a value in quotes, with its texts changed by a function.
func (w *writer) str(v any, change func(string) string) {
	w.markup(quote)
	if s, ok := v.(string); ok {
		w.text(change(s))
	} else {
		w.repr(v, change)
	}
	w.markup(quote)
}

// repr writes Python's repr of a value, likewise.
func (w *writer) repr(v any, change func(string) string) {
	switch v := v.(type) {
	case nil:
		w.markup(change("None"))
	case bool:
		w.markup(change(pick(v, "True", "False")))
	case json.Number:
		w.text(change(string(v)))
	case string:
		s := python.Quote(v)
		w.markup(s[:1])
		w.text(change(s[1 : len(s)-1]))
		w.markup(s[:1])
	case []any:
		w.markup("[")
		for i, item := range v {
			w.markup(pick(i > 0, ", ", ""))
			w.repr(item, change)
		}
		w.markup("]")
	case object:
		w.markup("{")
		for i, e := range v {
			w.markup(pick(i > 0, ", ", ""))
			w.repr(e.Key, change)
			w.markup(": ")
			w.repr(e.Value, change)
		}
		w.markup("}")
	}
}

func same(s string) string { return s }
