package jsontype

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// A field is a member of the JSON of a struct.
type field struct {
	name     string
	typ      reflect.Type
	tag      reflect.StructTag
	index    []int
	named    bool // by its tag
	optional bool
	quoted   bool // its value stands in a string
	lost     bool // behind a pointer that cannot be set
}

// fields returns the members of a struct's JSON in their order, by the rules of encoding/json: fields of embedded structs are those of
// the outer one, the least deep of a name counts, of several those whose tag names them, and if that leaves more than one, none.
func fields(t reflect.Type) []field {
	var all []field
	open := map[reflect.Type]bool{}
	var visit func(t reflect.Type, index []int, lost bool)
	visit = func(t reflect.Type, index []int, lost bool) {
		if open[t] {
			return
		}
		open[t] = true
		defer delete(open, t)
		for i := range t.NumField() {
			sf := t.Field(i)
			inner := sf.Type
			if inner.Name() == "" && inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			tag := sf.Tag.Get("json")
			if tag == "-" || !sf.IsExported() && (!sf.Anonymous || inner.Kind() != reflect.Struct) {
				continue
			}
			name, options, _ := strings.Cut(tag, ",")
			if !isName(name) {
				name = ""
			}
			index := append(slices.Clip(index), i)
			if sf.Anonymous && name == "" && inner.Kind() == reflect.Struct {
				visit(inner, index, lost || !sf.IsExported() && sf.Type.Kind() == reflect.Pointer)
				continue
			}
			has := func(option string) bool { return slices.Contains(strings.Split(options, ","), option) }
			f := field{name: name, typ: sf.Type, tag: sf.Tag, index: index, named: name != "", lost: lost,
				optional: has("omitempty") || has("omitzero"), quoted: has("string") && isScalar(inner.Kind())}
			if name == "" {
				f.name = sf.Name
			}
			all = append(all, f)
		}
	}
	visit(t, nil, false)
	return slices.DeleteFunc(slices.Clone(all), func(f field) bool {
		return slices.ContainsFunc(all, func(g field) bool { return g.name == f.name && !slices.Equal(g.index, f.index) && !f.hides(g) })
	})
}

// hides reports whether a field counts before another of its name.
func (f field) hides(g field) bool {
	return len(f.index) < len(g.index) || len(f.index) == len(g.index) && f.named && !g.named
}

// isName reports whether a tag's name is one that encoding/json takes.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	})
}

func isScalar(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Float64 || k == reflect.String
}
