package jsontype

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
)

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
