package jsontype

import (
	"encoding"
	"encoding/json"
	"math/big"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"time"
)

// A shape is what kind of JSON a type is read from.
type shape uint8

const (
	none   shape = iota // nothing
	scalar              // a boolean or a number
	text                // any string
	base64              // a string of base64
	list
	mapped // an object with any keys
	object // an object with the fields of a struct
	free   // any value
	known  // what a schema in special says
	enum   // the values that its method Enum returns
	told   // what its method JSONSchema returns
	method // what its UnmarshalText takes
	opaque // what a method takes, which nobody knows
)

// special are the types of the standard library whose methods take only some strings, or other values than strings.
var special = map[reflect.Type]schema{
	reflect.TypeFor[time.Time]():       {{"type", "string"}, {"format", "date-time"}},
	reflect.TypeFor[json.RawMessage](): {},
	reflect.TypeFor[json.Number]():     {{"type", "number"}},
	reflect.TypeFor[big.Int]():         {{"type", "integer"}},
	reflect.TypeFor[big.Float]():       {{"type", "string"}, {"pattern", "^" + decimal + "$"}},
	reflect.TypeFor[big.Rat]():         {{"type", "string"}, {"pattern", "^" + decimal + "$"}},
	reflect.TypeFor[netip.Addr]():      address,
	reflect.TypeFor[net.IP]():          address,
}

// decimal is the pattern of numbers that every type of floating point holds.
const decimal = `-?(0|[1-9][0-9]{0,37})([.][0-9]{1,40})?`

var address = schema{{"anyOf", []schema{
	{{"type", "string"}, {"format", "ipv4"}},
	{{"type", "string"}, {"format", "ipv6"}},
}}}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	teller          = reflect.TypeFor[interface{ JSONSchema() []byte }]()
)

// shapeOf returns the shape of a type that is no pointer. Pointed says that a pointer leads to it: encoding/json does not look at the
// methods of a value whose type has no name.
func shapeOf(t reflect.Type, pointed bool) shape {
	if _, ok := special[t]; ok {
		return known
	}
	if t.Name() != "" || pointed {
		p := reflect.PointerTo(t)
		m, ok := p.MethodByName("Enum")
		switch {
		case ok && m.Type.NumIn() == 1 && m.Type.NumOut() == 1 && m.Type.Out(0) == reflect.SliceOf(t):
			return enum
		case p.Implements(teller) && !embeds(t, teller):
			return told
		case p.Implements(textUnmarshaler) && !embeds(t, textUnmarshaler):
			return method
		case p.Implements(unmarshaler) || p.Implements(textUnmarshaler):
			return opaque
		}
	}
	switch k := t.Kind(); {
	case k == reflect.String:
		return text
	case isScalar(k):
		return scalar
	case k == reflect.Interface && t.NumMethod() == 0:
		return free
	case k == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && shapeOf(t.Elem(), false) == scalar:
		return base64
	case k == reflect.Slice || k == reflect.Array:
		return list
	case k == reflect.Map:
		return mapped
	case k == reflect.Struct:
		return object
	}
	return none
}

// embeds reports whether a struct may have its methods of an interface from a pointer that it embeds, which would be nil, or from a type
// of special, of which it does not take all strings. Whether it has its own instead cannot be told.
func embeds(t, methods reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	return slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		to, pointed := pointee(f.Type)
		_, ok := special[to]
		return f.Anonymous && (ok && reflect.PointerTo(to).Implements(methods) || pointed && f.Type.Implements(methods))
	})
}

// pointee follows pointers to what they are about, and reports whether there are any.
func pointee(t reflect.Type) (to reflect.Type, pointed bool) {
	for range 10 { // a pointer may lead to itself
		if t.Kind() != reflect.Pointer {
			break
		}
		t, pointed = t.Elem(), true
	}
	return t, pointed
}
