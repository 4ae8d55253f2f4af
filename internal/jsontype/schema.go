package jsontype

import (
	"bytes"
	"encoding/json"
	"slices"
)

// A schema is one of JSON Schema, whose keywords stand in an order.
type schema []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes an object.
func (s schema) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range s {
		if i > 0 {
			b = append(b, ',')
		}
		for at, v := range []any{m.key, m.value} {
			data, err := marshal(v)
			if err != nil {
				return nil, err
			}
			b = append(append(b, ":"[:at]...), data...)
		}
	}
	return append(b, '}'), nil
}

// parse reads an object, of which the values are raw, but for a type and a list of an enum.
func parse(data []byte) (schema, error) {
	if err := json.Unmarshal(data, &map[string]json.RawMessage{}); err != nil {
		return nil, err
	}
	s := schema{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.Token() // data is an object
	for d.More() {
		key, _ := d.Token()
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		var name string
		var values []json.RawMessage
		switch {
		case key == "type" && json.Unmarshal(value, &name) == nil:
			s = s.with("type", name)
		case key == "enum" && json.Unmarshal(value, &values) == nil:
			s = s.with("enum", values)
		default:
			s = s.with(key.(string), value)
		}
	}
	return s, nil
}

func (s schema) get(key string) any {
	for _, m := range s {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// with returns a copy with another value of a keyword.
func (s schema) with(key string, value any) schema {
	s = slices.Clone(s)
	for i := range s {
		if s[i].key == key {
			s[i].value = value
			return s
		}
	}
	return append(s, member{key, value})
}

// or returns a copy with a value of a keyword, unless it has one.
func (s schema) or(key string, value any) schema {
	if s.get(key) != nil {
		return s
	}
	return s.with(key, value)
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
