package jsontype

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Schema returns the schema of draft 2020-12 for what encoding/json reads into a type, of which every value can be decoded. An error names
// the field that no schema can be given for.
func Schema(t reflect.Type) (json.RawMessage, error) {
	t, pointed := pointee(t)
	w := &walker{root: t, open: map[reflect.Type]bool{}, names: map[reflect.Type]string{}}
	path := t.String()
	if t.Kind() == reflect.Struct && t.Name() == "" {
		path = "struct{…}"
	}
	s, err := w.of(t, pointed, path)
	if err != nil {
		return nil, err
	}
	if len(w.defs) > 0 {
		s = append(s, member{"$defs", w.defs})
	}
	return marshal(s)
}

// maxTypes bounds the types in a schema, as types that hold each other twice and more grow without end.
const maxTypes = 4000

// A walker makes the schemas of a type and of those that it is made of.
type walker struct {
	root  reflect.Type
	open  map[reflect.Type]bool   // that are being walked through
	names map[reflect.Type]string // of those that hold themselves, in defs
	defs  schema
	types int
}

// of returns the schema of a type that is no pointer; path names its place in errors.
func (w *walker) of(t reflect.Type, pointed bool, path string) (s schema, err error) {
	if w.types++; w.types > maxTypes {
		return nil, fmt.Errorf("%s: %s is made of more than %d types", path, w.root, maxTypes)
	}
	shape := shapeOf(t, pointed)
	if shape != list && shape != mapped && shape != object || t.Name() == "" {
		return w.shaped(t, shape, path)
	}
	if w.open[t] || w.names[t] != "" {
		return w.ref(t), nil
	}
	w.open[t] = true
	s, err = w.shaped(t, shape, path)
	delete(w.open, t)
	if name := w.names[t]; name != "" && t != w.root {
		w.defs = append(w.defs, member{name, s})
		s = w.ref(t)
	}
	return s, err
}

// ref returns a reference to a type that holds itself.
func (w *walker) ref(t reflect.Type) schema {
	if t == w.root {
		return schema{{"$ref", "#"}}
	}
	if w.names[t] == "" {
		name := strings.Map(func(c rune) rune {
			if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
				return c
			}
			return -1
		}, t.Name())
		w.names[t] = name + strconv.Itoa(len(w.names)+1) // types of two packages may have one name
	}
	return schema{{"$ref", "#/$defs/" + w.names[t]}}
}

// shaped is of for a type of a shape.
func (w *walker) shaped(t reflect.Type, shape shape, path string) (schema, error) {
	switch shape {
	case known:
		return slices.Clone(special[t]), nil
	case enum:
		values, err := enumOf(t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return oneOf(values), nil
	case told:
		s, err := parse(reflect.New(t).Interface().(interface{ JSONSchema() []byte }).JSONSchema())
		if err != nil {
			return nil, fmt.Errorf("%s: what %s.JSONSchema returns is no object of JSON: %w", path, t, err)
		}
		return s, nil
	case method, text:
		return schema{{"type", "string"}}, nil
	case opaque:
		return nil, fmt.Errorf("%s: %s reads JSON by a method, so another, JSONSchema() []byte, has to say which", path, t)
	case base64:
		return schema{{"type", "string"}, {"contentEncoding", "base64"},
			{"pattern", "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"}}, nil
	case free:
		return schema{}, nil
	case scalar:
		return scalarOf(t.Kind()), nil
	case list:
		return w.list(t, path)
	case mapped:
		return w.mapped(t, path)
	case object:
		return w.object(t, path)
	}
	return nil, fmt.Errorf("%s: JSON cannot be read into %s", path, t)
}

// scalarOf returns the schema of booleans and numbers.
func scalarOf(k reflect.Kind) schema {
	switch k {
	case reflect.Bool:
		return schema{{"type", "boolean"}}
	case reflect.Float32:
		limit := json.Number(strconv.FormatFloat(math.MaxFloat32, 'g', -1, 64))
		return schema{{"type", "number"}, {"minimum", "-" + limit}, {"maximum", limit}}
	case reflect.Float64:
		return schema{{"type", "number"}}
	}
	lo, hi := bounds(k)
	return schema{{"type", "integer"}, {"minimum", json.Number(lo.String())}, {"maximum", json.Number(hi.String())}}
}

// bounds returns the least and the greatest integer of a kind.
func bounds(k reflect.Kind) (lo, hi *big.Int) {
	bits := map[reflect.Kind]uint{reflect.Int: strconv.IntSize, reflect.Int8: 8, reflect.Int16: 16, reflect.Int32: 32, reflect.Int64: 64,
		reflect.Uint: strconv.IntSize, reflect.Uint8: 8, reflect.Uint16: 16, reflect.Uint32: 32, reflect.Uint64: 64,
		reflect.Uintptr: strconv.IntSize}[k]
	one := big.NewInt(1)
	if k >= reflect.Uint {
		return new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(one, bits), one)
	}
	hi = new(big.Int).Lsh(one, bits-1)
	return new(big.Int).Neg(hi), new(big.Int).Sub(hi, one)
}

// element returns the schema of what a slice or map holds: pointers among it lead somewhere.
func (w *walker) element(t reflect.Type, path string) (schema, error) {
	t, pointed := pointee(t)
	return w.of(t, pointed, path)
}

func (w *walker) list(t reflect.Type, path string) (schema, error) {
	s, err := w.element(t.Elem(), path+"[]")
	if err != nil || t.Kind() == reflect.Slice {
		return schema{{"type", "array"}, {"items", s}}, err
	}
	if t.Elem().Kind() == reflect.Pointer { // an array has as many elements as its type says
		s = orNull(s)
	}
	return schema{{"type", "array"}, {"items", s}, {"minItems", t.Len()}, {"maxItems", t.Len()}}, nil
}

func (w *walker) mapped(t reflect.Type, path string) (schema, error) {
	values, err := w.element(t.Elem(), path+"[]")
	if err != nil {
		return nil, err
	}
	s := schema{{"type", "object"}}
	key := t.Key()
	switch k := key.Kind(); {
	case shapeOf(key, true) == enum:
		names, err := enumOf(key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		names = quoteAll(names, false)
		for _, name := range names {
			one := slices.Concat([]byte("{"), name, []byte(":null}"))
			if err := json.Unmarshal(one, reflect.New(reflect.MapOf(key, reflect.TypeFor[any]())).Interface()); err != nil {
				return nil, fmt.Errorf("%s: a key of %s.Enum: %w", path, key, err)
			}
		}
		s = append(s, member{"propertyNames", oneOf(names)})
	case reflect.PointerTo(key).Implements(textUnmarshaler):
		names, err := w.of(key, true, path+" (key)")
		if err != nil {
			return nil, err
		}
		s = append(s, member{"propertyNames", names})
	case k == reflect.String:
	case k >= reflect.Int && k <= reflect.Uintptr:
		s = append(s, member{"propertyNames", schema{{"type", "string"}, {"pattern", "^" + between(bounds(k)) + "$"}}})
	default:
		return nil, fmt.Errorf("%s: keys of JSON cannot be read into %s", path, key)
	}
	return append(s, member{"additionalProperties", values}), nil
}

func (w *walker) object(t reflect.Type, path string) (schema, error) {
	properties := schema{}
	required := []string{}
	for _, f := range fields(t) {
		path := path + "." + t.FieldByIndex(f.index).Name
		if f.lost {
			return nil, fmt.Errorf("%s: encoding/json cannot set an embedded pointer to a struct whose name is not exported", path)
		}
		s, err := w.field(f, path)
		if err != nil {
			return nil, err
		}
		properties = append(properties, member{f.name, s})
		if !f.optional {
			required = append(required, f.name)
		}
	}
	s := schema{{"type", "object"}, {"properties", properties}}
	if len(required) > 0 {
		s = append(s, member{"required", required})
	}
	return append(s, member{"additionalProperties", false}), nil
}

// field returns the schema of a field's values.
func (w *walker) field(f field, path string) (schema, error) {
	t, pointed := pointee(f.typ)
	s, err := w.of(t, pointed, path)
	if err != nil {
		return nil, err
	}
	if s, err = f.tagged(s, t); err == nil && f.quoted {
		s, err = quoted(s, t)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if pointed && !f.optional {
		s = orNull(s)
	}
	if text := f.tag.Get("jsonschema"); text != "" {
		s = s.with("description", text)
	}
	return s, nil
}

// orNull returns the schema of what another allows, or null.
func orNull(s schema) schema {
	about := func(m member) bool { // values of every type
		return slices.Contains([]string{"enum", "const", "allOf", "anyOf", "oneOf", "not", "if", "$ref"}, m.key)
	}
	if name, ok := s.get("type").(string); ok && !slices.ContainsFunc(s, about) {
		return s.with("type", []string{name, "null"})
	}
	if len(s) == 0 {
		return s
	}
	return schema{{"anyOf", []schema{s, {{"type", "null"}}}}}
}
