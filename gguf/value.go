package gguf

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"reflect"
	"unsafe"
)

// ValueType is the type of a metadata value, with GGUF's number for it.
type ValueType uint32

// The types of metadata values. Each but arrays and strings has a fixed size; a bool is one byte, 0 or 1.
const (
	ValueUint8 ValueType = iota
	ValueInt8
	ValueUint16
	ValueInt16
	ValueUint32
	ValueInt32
	ValueFloat32
	ValueBool
	ValueString
	ValueArray
	ValueUint64
	ValueInt64
	ValueFloat64
)

// valueTypes holds each type's name and its bytes, 0 where they vary.
var valueTypes = [...]struct {
	name string
	size int
}{
	ValueUint8:   {"uint8", 1},
	ValueInt8:    {"int8", 1},
	ValueUint16:  {"uint16", 2},
	ValueInt16:   {"int16", 2},
	ValueUint32:  {"uint32", 4},
	ValueInt32:   {"int32", 4},
	ValueFloat32: {"float32", 4},
	ValueBool:    {"bool", 1},
	ValueString:  {"string", 0},
	ValueArray:   {"array", 0},
	ValueUint64:  {"uint64", 8},
	ValueInt64:   {"int64", 8},
	ValueFloat64: {"float64", 8},
}

// String returns Go's name of the type, "array" for arrays, or "value type 99" for an unknown number.
func (t ValueType) String() string {
	if !t.known() {
		return fmt.Sprintf("value type %d", uint32(t))
	}
	return valueTypes[t].name
}

func (t ValueType) known() bool { return int64(t) < int64(len(valueTypes)) }

// size returns the bytes of a value, 0 for strings, arrays and unknown types.
func (t ValueType) size() int {
	if !t.known() {
		return 0
	}
	return valueTypes[t].size
}

// integer decodes a value of any integer type.
func integer(t ValueType, b []byte) (int64, error) {
	switch t {
	case ValueUint8:
		return int64(b[0]), nil
	case ValueInt8:
		return int64(int8(b[0])), nil
	case ValueUint16:
		return int64(binary.LittleEndian.Uint16(b)), nil
	case ValueInt16:
		return int64(int16(binary.LittleEndian.Uint16(b))), nil
	case ValueUint32:
		return int64(binary.LittleEndian.Uint32(b)), nil
	case ValueInt32:
		return int64(int32(binary.LittleEndian.Uint32(b))), nil
	case ValueInt64:
		return int64(binary.LittleEndian.Uint64(b)), nil
	case ValueUint64:
		v := binary.LittleEndian.Uint64(b)
		if v > math.MaxInt64 {
			return 0, fmt.Errorf("value %d, expected at most %d", v, int64(math.MaxInt64))
		}
		return int64(v), nil
	}
	return 0, fmt.Errorf("type %s, expected an integer", t)
}

// number decodes a value of any float or integer type.
func number(t ValueType, b []byte) (float64, error) {
	switch t {
	case ValueFloat32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), nil
	case ValueFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
	case ValueBool, ValueString, ValueArray:
		return 0, fmt.Errorf("type %s, expected a number", t)
	}
	v, err := integer(t, b)
	return float64(v), err
}

func boolean(t ValueType, b []byte) (bool, error) {
	if t != ValueBool {
		return false, fmt.Errorf("type %s, expected bool", t)
	}
	return b[0] != 0, nil
}

// text decodes a string without copying it: b must never change.
func text(t ValueType, b []byte) (string, error) {
	if t != ValueString {
		return "", fmt.Errorf("type %s, expected string", t)
	}
	return unsafe.String(unsafe.SliceData(b), len(b)), nil
}

// decode returns a value of any type but array as the Go type of the same name.
func decode(t ValueType, b []byte) any {
	switch t {
	case ValueUint64:
		return binary.LittleEndian.Uint64(b)
	case ValueFloat32:
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	case ValueFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case ValueBool:
		return b[0] != 0
	case ValueString:
		s, _ := text(t, b)
		return s
	}
	v, _ := integer(t, b)
	switch t {
	case ValueUint8:
		return uint8(v)
	case ValueInt8:
		return int8(v)
	case ValueUint16:
		return uint16(v)
	case ValueInt16:
		return int16(v)
	case ValueUint32:
		return uint32(v)
	case ValueInt32:
		return int32(v)
	}
	return v
}

// An Array is a metadata array as it lies in the file, decoded while it is read. It holds its own copy of the bytes,
// so it outlives the file, and never changes: reading it from several goroutines is safe.
type Array struct {
	elem ValueType
	n    int
	raw  []byte // the elements: n values, strings with their lengths, or arrays with their type and length
}

// NewArray encodes a slice of the types that GGUF has: []uint8 … []uint64, []int8 … []int64, []float32, []float64,
// []bool, []string, and []*Array for an array of arrays. Strings may hold any bytes. Any other type is an error.
func NewArray(values any) (*Array, error) {
	v := reflect.ValueOf(values)
	if !v.IsValid() || v.Kind() != reflect.Slice {
		return nil, fmt.Errorf("gguf: array of %T, expected a slice", values)
	}
	a := &Array{n: v.Len()}
	switch values := values.(type) {
	case []string:
		a.elem = ValueString
		for _, s := range values {
			a.raw = appendString(a.raw, s)
		}
	case []*Array:
		a.elem = ValueArray
		for i, inner := range values {
			if inner == nil {
				return nil, fmt.Errorf("gguf: element %d of an array of arrays is nil", i)
			}
			a.raw = inner.append(a.raw)
		}
		if _, _, err := newCursor(a.append(nil), nil).array(1); err != nil { // nested too deeply
			return nil, fmt.Errorf("gguf: %w", err)
		}
	default:
		elem, ok := valueTypeOf(v.Type().Elem().Kind())
		if !ok {
			return nil, fmt.Errorf("gguf: GGUF has no type for %T", values)
		}
		var err error
		a.elem = elem
		if a.raw, err = binary.Append(nil, binary.LittleEndian, values); err != nil {
			return nil, fmt.Errorf("gguf: array of %T: %w", values, err)
		}
	}
	return a, nil
}

// valueTypeOf returns the type that stores a Go value of that kind. Plain int and uint have none: their width differs by
// machine, and other readers care which type a key has.
func valueTypeOf(k reflect.Kind) (ValueType, bool) {
	switch k {
	case reflect.Uint8:
		return ValueUint8, true
	case reflect.Int8:
		return ValueInt8, true
	case reflect.Uint16:
		return ValueUint16, true
	case reflect.Int16:
		return ValueInt16, true
	case reflect.Uint32:
		return ValueUint32, true
	case reflect.Int32:
		return ValueInt32, true
	case reflect.Float32:
		return ValueFloat32, true
	case reflect.Bool:
		return ValueBool, true
	case reflect.Uint64:
		return ValueUint64, true
	case reflect.Int64:
		return ValueInt64, true
	case reflect.Float64:
		return ValueFloat64, true
	}
	return 0, false
}

// Type returns the type of the elements.
func (a *Array) Type() ValueType { return a.elem }

// Len returns the number of elements.
func (a *Array) Len() int { return a.n }

// All iterates over the elements: index and value, each as the Go type that [ValueType.String] names, or *Array.
func (a *Array) All() iter.Seq2[int, any] {
	return func(yield func(int, any) bool) {
		for i, b := range a.elements() {
			var v any
			if a.elem == ValueArray {
				c := newCursor(b, nil)
				elem, n, err := c.array(1)
				if err != nil {
					return
				}
				v = &Array{elem: elem, n: n, raw: b[12:]}
			} else {
				v = decode(a.elem, b)
			}
			if !yield(i, v) {
				return
			}
		}
	}
}

// Strings iterates over the elements of an array of strings, and over nothing if it is an array of something else.
// The strings share the array's memory.
func (a *Array) Strings() iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		if a.elem != ValueString {
			return
		}
		rest := a.raw // checked as in elements, which is slower: vocabularies are long
		for i := range a.n {
			if len(rest) < 8 {
				return
			}
			length := binary.LittleEndian.Uint64(rest)
			if rest = rest[8:]; length > uint64(len(rest)) {
				return
			}
			if !yield(i, unsafe.String(unsafe.SliceData(rest), int(length))) {
				return
			}
			rest = rest[length:]
		}
	}
}

// elements iterates over the encoded elements; a string comes without its length. The bytes were checked before they
// were copied from a file that someone else may write to, so they are checked once more here: what does not fit ends
// the loop.
func (a *Array) elements() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		rest := a.raw
		for i := range a.n {
			size := a.elem.size()
			switch a.elem {
			case ValueString:
				if len(rest) < 8 {
					return
				}
				length := binary.LittleEndian.Uint64(rest)
				if rest = rest[8:]; length > uint64(len(rest)) {
					return
				}
				size = int(length)
			case ValueArray:
				c := newCursor(rest, nil)
				if _, _, err := c.array(1); err != nil {
					return
				}
				size = int(c.at)
			}
			if !yield(i, rest[:size:size]) {
				return
			}
			rest = rest[size:]
		}
	}
}

// append appends the array as it lies in a file: type, count, elements.
func (a *Array) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(a.elem))
	b = binary.LittleEndian.AppendUint64(b, uint64(a.n))
	return append(b, a.raw...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}
