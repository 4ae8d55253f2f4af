package jsontype

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// enumOf returns the values that a type's method Enum says it has.
func enumOf(t reflect.Type) ([]json.RawMessage, error) {
	list := reflect.New(t).MethodByName("Enum").Call(nil)[0]
	if list.Len() == 0 {
		return nil, fmt.Errorf("%s.Enum returns no values", t)
	}
	var values []json.RawMessage
	for i := range list.Len() {
		data, err := marshal(list.Index(i).Addr().Interface())
		if err == nil {
			err = json.Unmarshal(data, reflect.New(t).Interface())
		}
		if err != nil {
			return nil, fmt.Errorf("%s.Enum: value %d: %w", t, i, err)
		}
		values = append(values, data)
	}
	return values, nil
}

// oneOf returns the schema of a list of values, with their type where it is one.
func oneOf(values []json.RawMessage) schema {
	types := map[string]bool{}
	for _, v := range values {
		switch c := v[0]; {
		case c == '"':
			types["string"] = true
		case c == 't' || c == 'f':
			types["boolean"] = true
		case (c == '-' || c >= '0' && c <= '9') && bytes.ContainsAny(v, ".eE"):
			types["number"] = true
		case c == '-' || c >= '0' && c <= '9':
			types["integer"] = true
		default:
			types["other"] = true
		}
	}
	for name := range types {
		if len(types) == 1 && name != "other" {
			return schema{{"type", name}, {"enum", values}}
		}
	}
	return schema{{"enum", values}}
}
