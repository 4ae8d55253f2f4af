package server

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"
)

// whole is a whole number as clients write it: 5, 5.0 and 5e0 alike. One that is too large for an int is the largest, or the least.
type whole int

// UnmarshalJSON reads a number. Nothing changes for null.
func (n *whole) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	switch exact, wrong := strconv.Atoi(string(text)); {
	case wrong == nil:
		*n = whole(exact)
	case err != nil && !math.IsInf(f, 0), f != math.Trunc(f): // no number, or none that is whole
		return &json.UnmarshalTypeError{Value: jsonKind(text), Type: reflect.TypeFor[int]()}
	case f >= math.MaxInt:
		*n = math.MaxInt
	case f <= math.MinInt:
		*n = math.MinInt
	default:
		*n = whole(f)
	}
	return nil
}

// or returns the number, or another one where there is none.
func (n *whole) or(other int) int {
	if n == nil {
		return other
	}
	return int(*n)
}

// jsonKind names a value as errors of package json do.
func jsonKind(text []byte) string {
	switch text[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "bool"
	}
	return "number " + string(text)
}
