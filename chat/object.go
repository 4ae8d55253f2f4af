package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

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
	if !utf8.Valid(data) {
		return nil, validText("JSON", string(data))
	}
	if !json.Valid(data) {
		return nil, json.Unmarshal(data, new(any))
	}
	r := jsonReader{data}
	return r.value(0)
}

// decoded reads JSON that Validate has taken; nothing is nil.
func decoded(data []byte) any {
	v, _ := decodeJSON(data)
	return v
}

// space is the white space of JSON, and of what models write beside the format.
const space = " \n\r\t"

// jsonReader reads JSON that is valid.
type jsonReader struct{ rest []byte }

func (r *jsonReader) value(depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("JSON nested deeper than %d", maxJSONDepth)
	}
	switch r.skip(space); r.rest[0] {
	case '{':
		r.rest = r.rest[1:]
		o := object{}
		for r.more('}') {
			key := r.text()
			r.skip(space + ":")
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			o.Put(key, v)
		}
		return unique(o), nil
	case '[':
		r.rest = r.rest[1:]
		l := []any{}
		for r.more(']') {
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		return l, nil
	case '"':
		return r.text(), nil
	}
	switch word := r.word(); word {
	case "null":
		return nil, nil
	case "true", "false":
		return word == "true", nil
	default:
		if len(word) > maxDigits {
			return nil, fmt.Errorf("a JSON number of %d digits, expected %d at most", len(word), maxDigits)
		}
		return json.Number(word), nil
	}
}

// skip passes any of some characters.
func (r *jsonReader) skip(chars string) { r.rest = bytes.TrimLeft(r.rest, chars) }

// more passes what stands before the next item and reports whether there is one; if not, it passes the closing bracket.
func (r *jsonReader) more(end byte) bool {
	if r.skip(space + ","); r.rest[0] == end {
		r.rest = r.rest[1:]
		return false
	}
	return true
}

// text reads a string.
func (r *jsonReader) text() string {
	end, escaped := 1, false
	for ; r.rest[end] != '"'; end++ {
		if r.rest[end] == '\\' {
			escaped = true
			end++
		}
	}
	raw := r.rest[:end+1]
	r.rest = r.rest[end+1:]
	if !escaped {
		return string(raw[1:end])
	}
	var s string
	json.Unmarshal(raw, &s) // valid
	return s
}

// word reads a number or a name.
func (r *jsonReader) word() string {
	end := bytes.IndexAny(r.rest, space+",]}")
	if end < 0 {
		end = len(r.rest)
	}
	word := string(r.rest[:end])
	r.rest = r.rest[end:]
	return word
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
