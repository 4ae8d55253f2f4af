package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"
)

// ErrMissing is wrapped by the errors of [Metadata]'s accessors where the key is absent.
var ErrMissing = errors.New("missing")

// Metadata is the ordered list of keys and typed values at the head of a file. The zero value is empty and ready to
// use. Reading from several goroutines is safe; [Metadata.Set] and [Metadata.Delete] must be alone.
type Metadata struct {
	file   string // named in errors; empty where the metadata was made in memory
	keys   []string
	values map[string]value
}

// A value is a metadata value as it lies in the file, a string without its length.
type value struct {
	kind  ValueType
	raw   []byte
	array *Array // instead of raw where kind is ValueArray
}

// Keys returns the keys in the order of the file.
func (m *Metadata) Keys() []string { return slices.Clone(m.keys) }

// Len returns the number of keys.
func (m *Metadata) Len() int { return len(m.keys) }

// Has reports whether the key is present.
func (m *Metadata) Has(key string) bool {
	_, ok := m.values[key]
	return ok
}

// Value returns the value as the Go type that [ValueType.String] names (uint8 … float64, bool, string) or as *[Array],
// and whether the key is present.
func (m *Metadata) Value(key string) (any, bool) {
	v, ok := m.values[key]
	switch {
	case !ok:
		return nil, false
	case v.kind == ValueArray:
		return v.array, true
	}
	return decode(v.kind, v.raw), true
}

// Int returns an integer of any width. Another type, or a uint64 above math.MaxInt64, is an error.
func (m *Metadata) Int(key string) (int64, error) { return scalar(m, key, integer) }

// Float returns a float32 or float64, or an integer of any width as a float.
func (m *Metadata) Float(key string) (float64, error) { return scalar(m, key, number) }

// Bool returns a bool.
func (m *Metadata) Bool(key string) (bool, error) { return scalar(m, key, boolean) }

// Text returns a string. It is valid UTF-8.
func (m *Metadata) Text(key string) (string, error) { return scalar(m, key, text) }

// Ints returns an array of integers of any width. A single integer is not an array: it is an error.
func (m *Metadata) Ints(key string) ([]int64, error) { return list(m, key, integer) }

// Floats returns an array of floats or integers of any width, rounded to float32.
func (m *Metadata) Floats(key string) ([]float32, error) {
	return list(m, key, func(t ValueType, b []byte) (float32, error) {
		v, err := number(t, b)
		return float32(v), err
	})
}

// Bools returns an array of bools.
func (m *Metadata) Bools(key string) ([]bool, error) { return list(m, key, boolean) }

// Strings returns an array of strings. They may hold any bytes, not only UTF-8, and share the array's memory.
func (m *Metadata) Strings(key string) ([]string, error) { return list(m, key, text) }

func scalar[T any](m *Metadata, key string, decode func(ValueType, []byte) (T, error)) (T, error) {
	v, ok := m.values[key]
	err := ErrMissing
	if ok {
		var x T
		if x, err = decode(v.kind, v.raw); err == nil {
			return x, nil
		}
	}
	var zero T
	return zero, m.wrap(key, err)
}

func list[T any](m *Metadata, key string, decode func(ValueType, []byte) (T, error)) ([]T, error) {
	v, ok := m.values[key]
	if !ok {
		return nil, m.wrap(key, ErrMissing)
	}
	if v.kind != ValueArray {
		return nil, m.wrap(key, fmt.Errorf("type %s, expected an array", v.kind))
	}
	if v.array.elem == ValueArray {
		return nil, m.wrap(key, errors.New("an array of arrays, expected an array of single values"))
	}
	// An empty array has no element whose type could be wrong.
	all := make([]T, 0, v.array.n)
	for i, b := range v.array.elements() {
		x, err := decode(v.array.elem, b)
		if err != nil {
			return nil, m.wrap(key, fmt.Errorf("element %d: %w", i, err))
		}
		all = append(all, x)
	}
	return all, nil
}

// wrap names file and key.
func (m *Metadata) wrap(key string, err error) error {
	return fmt.Errorf("%smetadata key %s: %w", prefix(m.file), show(key), err)
}

// Set stores a value under the key: any type that [Metadata.Value] returns, or a slice as [NewArray] takes it. A new
// key comes last, a present one keeps its place. It is an error if the key is empty, longer than 65535 bytes or not
// UTF-8, if a string is not UTF-8, or if GGUF has no such type. Plain int is none: choose uint32, int32, … as other
// readers of the key expect it.
func (m *Metadata) Set(key string, v any) error {
	if err := checkName(key); err != nil {
		return m.wrap(key, err)
	}
	x, err := encode(v)
	if err != nil {
		return m.wrap(key, err)
	}
	m.set(key, x)
	return nil
}

func (m *Metadata) set(key string, v value) {
	if !m.Has(key) {
		m.keys = append(m.keys, key)
	}
	if m.values == nil {
		m.values = make(map[string]value)
	}
	m.values[key] = v
}

// Delete removes the key if it is present.
func (m *Metadata) Delete(key string) {
	if m.Has(key) {
		delete(m.values, key)
		m.keys = slices.DeleteFunc(m.keys, func(k string) bool { return k == key })
	}
}

// Clone returns a copy that can be changed without changing m.
func (m *Metadata) Clone() *Metadata {
	return &Metadata{file: m.file, keys: slices.Clone(m.keys), values: maps.Clone(m.values)}
}

func encode(v any) (value, error) {
	switch v := v.(type) {
	case nil:
		return value{}, errors.New("nil is not a value")
	case *Array:
		if v == nil {
			return value{}, errors.New("nil is not a value")
		}
		return value{kind: ValueArray, array: v}, nil
	case string:
		if !utf8.ValidString(v) {
			return value{}, errors.New("string is not valid UTF-8")
		}
		return value{kind: ValueString, raw: []byte(v)}, nil
	}
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Slice {
		a, err := NewArray(v)
		return value{kind: ValueArray, array: a}, err
	}
	kind, ok := valueTypeOf(r.Kind())
	if !ok {
		return value{}, fmt.Errorf("GGUF has no type for %T", v)
	}
	raw, err := binary.Append(nil, binary.LittleEndian, v)
	return value{kind: kind, raw: raw}, err
}

// append appends the value as it lies in a file, its type first.
func (v value) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(v.kind))
	switch v.kind {
	case ValueArray:
		return v.array.append(b)
	case ValueString:
		b = binary.LittleEndian.AppendUint64(b, uint64(len(v.raw)))
	}
	return append(b, v.raw...)
}

// checkName checks a key or a tensor's name. The bound on the length is the specification's for keys.
func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("empty name")
	case len(s) > maxName:
		return fmt.Errorf("name of %d bytes, expected at most %d", len(s), maxName)
	case !utf8.ValidString(s):
		return errors.New("name is not valid UTF-8")
	}
	return nil
}

const maxName = math.MaxUint16

// show returns a name for an error text: shortened, and quoted where it holds what a terminal should not be sent.
func show(name string) string {
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	if quoted := strconv.Quote(name); name == "" || quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
