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

// value returns what an object has at a key, nil for nothing.
func value(o object, key string) any {
	v, _ := o.Get(key)
	return v
}

// decodeObject reads a JSON object with the order of its keys and the form of its numbers.
func decodeObject(data []byte) (object, error) {
	v, err := decodeJSON(data)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, fmt.Errorf("a JSON %s, expected an object", kindOf(v))
	}
	return o, nil
}

// decodeJSON reads any JSON value as decodeObject reads an object.
func decodeJSON(data []byte) (any, error) {
	if err := validText("JSON", string(data)); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("JSON cut off")
	case err != nil:
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("text after the JSON %s at byte %d", kindOf(v), d.InputOffset())
	}
	return v, nil
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
		return unique(o), err
	default: // nil, bool, string
		return t, nil
	}
}

// unique leaves one entry of several with one key: in the place of the first, with the value of the last.
func unique(o object) object {
	places := make(map[string]int, len(o))
	kept := o[:0]
	for _, e := range o {
		if i, ok := places[e.Key]; ok {
			kept[i].Value = e.Value
			continue
		}
		places[e.Key] = len(kept)
		kept = append(kept, e)
	}
	return kept
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

func pick[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
