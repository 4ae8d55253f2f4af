package jsontype

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
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

// keywords are those that a field can have as tags, by the type of the values that they are about.
var keywords = []struct {
	name, about string
	fits        bool // its value is one of the type
}{
	{name: "format", about: "string"}, {name: "pattern", about: "string"},
	{name: "minLength", about: "string"}, {name: "maxLength", about: "string"},
	{name: "minimum", about: "number", fits: true}, {name: "maximum", about: "number", fits: true},
	{name: "multipleOf", about: "number"},
	{name: "minItems", about: "array"}, {name: "maxItems", about: "array"},
}

// tagged adds to the schema of a field's type what its tags say. In a list they are about the elements, except minItems and maxItems.
func (f field) tagged(s schema, t reflect.Type) (schema, error) {
	var err error
	if list, ok := f.tag.Lookup("enum"); ok {
		s, err = within(s, t, func(s schema, t reflect.Type) (schema, error) { return listed(list, t) })
	}
	for _, k := range keywords {
		value, ok := f.tag.Lookup(k.name)
		if !ok || err != nil {
			continue
		}
		add := func(s schema, t reflect.Type) (schema, error) {
			about, _ := s.get("type").(string)
			switch {
			case f.quoted:
				return nil, fmt.Errorf("the tag %s does not go with json:\",string\"", k.name)
			case about != k.about && (about != "integer" || k.about != "number"):
				return nil, fmt.Errorf("the tag %s is about %s, not %s", k.name, k.about, t)
			case k.name == "format" || k.name == "pattern":
				return s.with(k.name, value), nil
			case !isNumber(value) || k.fits && json.Unmarshal([]byte(value), reflect.New(t).Interface()) != nil:
				return nil, fmt.Errorf("the tag %s: %q is no %s", k.name, value, t)
			}
			if t.Kind() == reflect.Float64 && k.fits { // a bound on one side lets numbers grow out of the type on the other
				limit := json.Number(strconv.FormatFloat(math.MaxFloat64, 'g', -1, 64))
				s = s.or("minimum", "-"+limit).or("maximum", limit)
			}
			return s.with(k.name, json.Number(value)), nil
		}
		if k.about == "array" {
			s, err = add(s, t)
		} else {
			s, err = within(s, t, add)
		}
	}
	return s, err
}

// within changes the schema of what is in a list, however deep, or the schema itself if it is of no list.
func within(s schema, t reflect.Type, change func(schema, reflect.Type) (schema, error)) (schema, error) {
	items, ok := s.get("items").(schema)
	if !ok {
		return change(s, t)
	}
	element, _ := pointee(t.Elem())
	items, err := within(items, element, change)
	return s.with("items", items), err
}

// listed returns the schema of values of a type, separated by commas: those of JSON, or strings as they are.
func listed(text string, t reflect.Type) (schema, error) {
	var values []json.RawMessage
	for part := range strings.SplitSeq(text, ",") {
		data := json.RawMessage(part)
		if shapeOf(t, true) != scalar {
			var err error
			if data, err = marshal(part); err != nil {
				return nil, err
			}
		}
		if err := json.Unmarshal(data, reflect.New(t).Interface()); err != nil {
			return nil, fmt.Errorf("the tag enum: %q is no %s: %w", part, t, err)
		}
		values = append(values, data)
	}
	return oneOf(values), nil
}

func isNumber(text string) bool {
	var n json.Number
	return json.Unmarshal([]byte(text), &n) == nil && !strings.Contains(text, `"`) && text != "null"
}

// quoted returns the schema of strings in which the values of another stand as JSON.
func quoted(s schema, t reflect.Type) (schema, error) {
	if values, ok := s.get("enum").([]json.RawMessage); ok {
		return oneOf(quoteAll(values, true)), nil
	}
	pattern := ""
	switch shape := shapeOf(t, true); {
	case shape == told:
		return nil, fmt.Errorf("json:\",string\" does not go with %s", t)
	case t.Kind() == reflect.Bool && shape == scalar:
		return oneOf([]json.RawMessage{json.RawMessage(`"true"`), json.RawMessage(`"false"`)}), nil
	case shape == text || shape == method:
		pattern = `"([^"\\\x00-\x1f]|\\["\\/bfnrt])*"`
	case shape == known || t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		pattern = decimal
	default:
		pattern = between(bounds(t.Kind()))
	}
	return schema{{"type", "string"}, {"pattern", "^" + pattern + "$"}}, nil
}

// quoteAll writes values as strings that hold them; strings stay as they are, unless all are to be quoted.
func quoteAll(values []json.RawMessage, all bool) []json.RawMessage {
	values = slices.Clone(values)
	for i, v := range values {
		if all || v[0] != '"' {
			values[i], _ = marshal(string(v)) // a string always can be
		}
	}
	return values
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// between returns the pattern of the integers from one that is not positive to one that is not negative.
func between(lo, hi *big.Int) string {
	list := append([]string{"0"}, upTo(hi.String())...)
	if lo.Sign() < 0 {
		list = append(list, "-("+strings.Join(upTo(lo.String()[1:]), "|")+")")
	}
	return "(" + strings.Join(list, "|") + ")"
}

// upTo returns the patterns of the numbers from 1 to n.
func upTo(n string) []string {
	list := []string{n}
	if len(n) > 1 {
		list = append(list, fmt.Sprintf("[1-9][0-9]{0,%d}", len(n)-2))
	}
	for i, least := range []byte("1" + strings.Repeat("0", len(n)-1)) {
		if least < n[i] {
			list = append(list, fmt.Sprintf("%s[%c-%c][0-9]{%d}", n[:i], least, n[i]-1, len(n)-i-1))
		}
	}
	return list
}
