package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gogemma/gemma4/internal/jinja"
)

// object is a JSON object with its keys in their order.
type object = jinja.Object

// decodeObject reads a JSON object with the order of its keys and the form of its numbers.
func decodeObject(data []byte) (object, error) {
	if err := validText("JSON", string(data)); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("JSON cut off, expected an object")
	case err != nil:
		return nil, err
	}
	object, ok := v.(object)
	if !ok {
		return nil, fmt.Errorf("a JSON %s, expected an object", kindOf(v))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("text after the JSON object at byte %d", d.InputOffset())
	}
	return object, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("JSON nested deeper than %d", maxJSONDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Number:
		if len(t) > maxDigits {
			return nil, fmt.Errorf("a JSON number of %d digits, expected %d at most", len(t), maxDigits)
		}
		return t, nil
	case json.Delim:
		if t == '[' {
			l := []any{}
			for d.More() {
				item, err := decodeValue(d, depth+1)
				if err != nil {
					return nil, err
				}
				l = append(l, item)
			}
			_, err := d.Token()
			return l, err
		}
		o := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			item, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			o.Put(key.(string), item)
		}
		_, err := d.Token()
		return o, err
	default: // nil, bool, string
		return t, nil
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// weigh returns the bytes of all text and numbers in a value.
func weigh(v any) int {
	n := 0
	switch v := v.(type) {
	case string:
		n = len(v)
	case json.Number:
		n = len(v)
	case []any:
		for _, item := range v {
			n += weigh(item)
		}
	case object:
		for _, e := range v {
			n += len(e.Key) + weigh(e.Value)
		}
	}
	return n
}

func pick[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
