package jsontype

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

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
	if err == nil {
		err = f.crossed()
	}
	return s, err
}

// crossed returns an error if tags that bound a field leave nothing between them.
func (f field) crossed() error {
	for _, k := range [][2]string{{"minLength", "maxLength"}, {"minimum", "maximum"}, {"minItems", "maxItems"}} {
		low, high := f.tag.Get(k[0]), f.tag.Get(k[1])
		least, errLow := strconv.ParseFloat(low, 64)
		most, errHigh := strconv.ParseFloat(high, 64)
		if errLow == nil && errHigh == nil && least > most {
			return fmt.Errorf("the tag %s: %s is above %s, %s", k[0], low, k[1], high)
		}
	}
	return nil
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
