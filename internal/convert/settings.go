package convert

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/internal/jsonstream"
)

// settings are an object of config.json, read key by key. A key that is null counts as missing. What was not read is unknown.
type settings struct {
	name   string // before a key, in errors: "config.json: text_config."
	values map[string]any
	read   map[string]bool
	err    *error // the first one, of all objects of the file
}

func newSettings(name string, values map[string]any, err *error) *settings {
	return &settings{name: name, values: values, read: map[string]bool{}, err: err}
}

func (s *settings) fail(format string, args ...any) {
	if *s.err == nil {
		*s.err = fmt.Errorf(s.name+format, args...)
	}
}

// value returns what belongs to a key, nil if it is missing.
func (s *settings) value(key string) any {
	s.read[key] = true
	return s.values[key]
}

// has reports whether a key is there.
func (s *settings) has(key string) bool { return s.values[key] != nil }

// under returns the object that belongs to a key, nil if it is missing.
func (s *settings) under(key string) *settings {
	switch v := s.value(key).(type) {
	case nil:
	case map[string]any:
		return newSettings(s.name+key+".", v, s.err)
	default:
		s.fail("%s is %s, expected an object", key, describe(v))
	}
	return nil
}

// size reads a number from least to most. A missing key is an error unless a default is given.
func (s *settings) size(key string, least, most int, missing ...int) int {
	v := s.value(key)
	if v == nil && len(missing) > 0 {
		return missing[0]
	}
	number, _ := v.(json.Number)
	n, err := number.Int64()
	switch {
	case v == nil:
		s.fail("%s is missing", key)
	case err != nil || n < int64(least) || n > int64(most):
		s.fail("%s is %s, expected a number from %d to %d", key, describe(v), least, most)
	default:
		return int(n)
	}
	return least
}

// float reads a finite number.
func (s *settings) float(key string, missing ...float64) float64 {
	v := s.value(key)
	if v == nil && len(missing) > 0 {
		return missing[0]
	}
	number, _ := v.(json.Number)
	x, err := number.Float64()
	switch {
	case v == nil:
		s.fail("%s is missing", key)
	case err != nil || math.Abs(x) > math.MaxFloat32:
		s.fail("%s is %s, expected a number", key, describe(v))
	default:
		return x
	}
	return 1
}

// on reads a bool, false unless a default is given.
func (s *settings) on(key string, missing ...bool) bool {
	v := s.value(key)
	if v == nil {
		return len(missing) > 0 && missing[0]
	}
	b, ok := v.(bool)
	if !ok {
		s.fail("%s is %s, expected true or false", key, describe(v))
	}
	return b
}

// text reads a string, empty if it is missing.
func (s *settings) text(key string) string {
	v := s.value(key)
	t, ok := v.(string)
	if v != nil && !ok {
		s.fail("%s is %s, expected a string", key, describe(v))
	}
	return t
}

// list reads an array of strings, nil if it is missing.
func (s *settings) list(key string) []string {
	v := s.value(key)
	array, ok := v.([]any)
	if v != nil && !ok {
		s.fail("%s is %s, expected an array", key, describe(v))
	}
	list := make([]string, len(array))
	for i, x := range array {
		if list[i], ok = x.(string); !ok {
			s.fail("%s[%d] is %s, expected a string", key, i, describe(x))
		}
	}
	return list
}

// sizes reads an array of so many numbers from least to most.
func (s *settings) sizes(key string, n, least, most int, missing ...int) []int {
	v := s.value(key)
	if v == nil && len(missing) > 0 {
		return missing
	}
	out := make([]int, n)
	array, _ := v.([]any)
	if len(array) != n {
		s.fail("%s is %s, expected %d numbers", key, describe(v), n)
		array = nil
	}
	for i, x := range array {
		one := newSettings(s.name, map[string]any{key: x}, s.err)
		out[i] = one.size(key, least, most)
	}
	return out
}

// must fails unless a key is missing or has one of the values that the graph has anyway, each as JSON writes it.
func (s *settings) must(key string, neutral ...string) {
	v := s.value(key)
	if v == nil {
		return
	}
	is := fmt.Sprint(v)
	if number, ok := v.(json.Number); ok {
		x, err := number.Float64()
		is = fmt.Sprint(x)
		if err != nil {
			is = string(number)
		}
	}
	if !slices.Contains(neutral, is) {
		s.fail("%s is %s, expected %s: the graph is another", key, describe(v), strings.Join(neutral, " or "))
	}
}

// ignore marks keys that say nothing that a file of weights has to know.
func (s *settings) ignore(keys ...string) {
	for _, key := range keys {
		s.read[key] = true
	}
}

// unknown returns the keys that were not read, unless they say nothing.
func (s *settings) unknown() (list []string) {
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		v := s.values[key]
		if !s.read[key] && !strings.HasPrefix(key, "_") && !empty(v) {
			list = append(list, fmt.Sprintf("%s%s (%s)", s.name, jsonstream.Show(key), describe(v)))
		}
	}
	return list
}

// empty reports whether a value is one by which keys say that something is off.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		x, err := v.Float64()
		return err == nil && x == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// describe returns a value for an error text.
func describe(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return jsonstream.Show(string(b))
}
