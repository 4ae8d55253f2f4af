package gguf_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

// values lists what metadata can hold: what is set, the type it gets, and for arrays the elements that come back.
func values() []struct {
	key  string
	set  any
	kind gguf.ValueType
	elem []any
} {
	type named uint16
	inner := []*gguf.Array{must(gguf.NewArray([]uint8{1})), must(gguf.NewArray([]string{"a", "\xff"})), must(gguf.NewArray([]bool(nil)))}
	nested := must(gguf.NewArray(inner))
	return []struct {
		key  string
		set  any
		kind gguf.ValueType
		elem []any
	}{
		{"u8", uint8(math.MaxUint8), gguf.ValueUint8, nil},
		{"i8", int8(math.MinInt8), gguf.ValueInt8, nil},
		{"u16", uint16(math.MaxUint16), gguf.ValueUint16, nil},
		{"i16", int16(math.MinInt16), gguf.ValueInt16, nil},
		{"u32", uint32(math.MaxUint32), gguf.ValueUint32, nil},
		{"i32", int32(math.MinInt32), gguf.ValueInt32, nil},
		{"u64", uint64(math.MaxUint64), gguf.ValueUint64, nil},
		{"i64", int64(math.MinInt64), gguf.ValueInt64, nil},
		{"f32", float32(0.1), gguf.ValueFloat32, nil},
		{"f64", 0.1, gguf.ValueFloat64, nil},
		{"yes", true, gguf.ValueBool, nil},
		{"no", false, gguf.ValueBool, nil},
		{"text", "Größe\x00\n", gguf.ValueString, nil},
		{"text.empty", "", gguf.ValueString, nil},
		{"named", named(7), gguf.ValueUint16, nil},
		{"u8s", []uint8{0, 255}, gguf.ValueArray, []any{uint8(0), uint8(255)}},
		{"i8s", []int8{-1, 1}, gguf.ValueArray, []any{int8(-1), int8(1)}},
		{"u16s", []uint16{65535}, gguf.ValueArray, []any{uint16(65535)}},
		{"i16s", []int16{-32768}, gguf.ValueArray, []any{int16(-32768)}},
		{"u32s", []uint32{1, 1 << 31}, gguf.ValueArray, []any{uint32(1), uint32(1 << 31)}},
		{"i32s", []int32{-1}, gguf.ValueArray, []any{int32(-1)}},
		{"u64s", []uint64{1 << 63}, gguf.ValueArray, []any{uint64(1 << 63)}},
		{"i64s", []int64{-1 << 63}, gguf.ValueArray, []any{int64(-1 << 63)}},
		{"f32s", []float32{1, -0.5}, gguf.ValueArray, []any{float32(1), float32(-0.5)}},
		{"f64s", []float64{1e300}, gguf.ValueArray, []any{1e300}},
		{"bools", []bool{true, false, true}, gguf.ValueArray, []any{true, false, true}},
		{"strings", []string{"", "a b", "\xff\xfe"}, gguf.ValueArray, []any{"", "a b", "\xff\xfe"}},
		{"empty", []int32{}, gguf.ValueArray, []any{}},
		{"nested", inner, gguf.ValueArray, []any{inner[0], inner[1], inner[2]}},
		{"nested.twice", []*gguf.Array{nested, nested}, gguf.ValueArray, []any{nested, nested}},
		{"array", must(gguf.NewArray([]uint32{5})), gguf.ValueArray, []any{uint32(5)}},
	}
}

func TestEveryValueComesBackWithItsType(t *testing.T) {
	m, _ := everything()
	for how, f := range opened(t, encode(t, m, nil)) {
		equalMetadata(t, f.Metadata, m)
		for i, want := range values() {
			if key := f.Metadata.Keys()[i]; key != want.key {
				t.Errorf("%s: key %d is %s, want %s", how, i, key, want.key)
			}
			got, ok := f.Metadata.Value(want.key)
			if !ok {
				t.Errorf("%s: %s is missing", how, want.key)
				continue
			}
			if a, ok := got.(*gguf.Array); ok != (want.kind == gguf.ValueArray) {
				t.Errorf("%s: %s is %T", how, want.key, got)
			} else if ok {
				if a.Len() != len(want.elem) {
					t.Errorf("%s: %s has length %d, want %d", how, want.key, a.Len(), len(want.elem))
				}
				n := 0
				for i, v := range a.All() {
					if !equalValues(v, want.elem[i]) {
						t.Errorf("%s: %s[%d] is %v, want %v", how, want.key, i, v, want.elem[i])
					}
					n++
				}
				if n != len(want.elem) {
					t.Errorf("%s: %s yields %d elements, want %d", how, want.key, n, len(want.elem))
				}
			} else if kind := reflect.TypeOf(got).String(); kind != want.kind.String() ||
				fmt.Sprint(got) != fmt.Sprint(want.set) {
				t.Errorf("%s: %s is %s %v, want %s %v", how, want.key, kind, got, want.kind, want.set)
			}
		}
	}
}

// TestLongValuesComeBackWhole is about the pieces of 64 KB in which values are copied.
func TestLongValuesComeBackWhole(t *testing.T) {
	m := new(gguf.Metadata)
	for _, n := range []int{65535, 65536, 65537, 131072, 200001} {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'a' + byte(i*31>>3)%26
		}
		if err := errors.Join(m.Set(fmt.Sprint("array.", n), b), m.Set(fmt.Sprint("text.", n), string(b))); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range opened(t, encode(t, m, nil)) {
		equalMetadata(t, f.Metadata, m)
	}
}

func TestAccessorsAcceptEveryWidthThatHoldsTheValue(t *testing.T) {
	m := new(gguf.Metadata)
	for key, v := range map[string]any{
		"u8": uint8(7), "i8": int8(7), "u16": uint16(7), "i16": int16(7), "u32": uint32(7), "i32": int32(7), "u64": uint64(7),
		"i64": int64(7),
	} {
		if err := m.Set(key, v); err != nil {
			t.Fatal(err)
		}
		if got, err := m.Int(key); got != 7 || err != nil {
			t.Errorf("Int(%s) = %d, %v", key, got, err)
		}
		if got, err := m.Float(key); got != 7 || err != nil {
			t.Errorf("Float(%s) = %g, %v", key, got, err)
		}
	}
	for i, v := range []any{
		[]uint8{1, 2}, []int8{1, 2}, []uint16{1, 2}, []int16{1, 2}, []uint32{1, 2}, []int32{1, 2}, []uint64{1, 2}, []int64{1, 2},
	} {
		key := fmt.Sprintf("a%d", i)
		if err := m.Set(key, v); err != nil {
			t.Fatal(err)
		}
		if got, err := m.Ints(key); !slices.Equal(got, []int64{1, 2}) || err != nil {
			t.Errorf("Ints of %T = %d, %v", v, got, err)
		}
		if got, err := m.Floats(key); !slices.Equal(got, []float32{1, 2}) || err != nil {
			t.Errorf("Floats of %T = %g, %v", v, got, err)
		}
	}
	for key, v := range map[string]any{"n8": int8(-7), "n16": int16(-7), "n32": int32(-7), "n64": int64(-7)} {
		if err := m.Set(key, v); err != nil {
			t.Fatal(err)
		}
		if got, err := m.Int(key); got != -7 || err != nil {
			t.Errorf("Int(%s) = %d, %v", key, got, err)
		}
	}
	all, _ := everything()
	if got, err := all.Int("i64"); got != math.MinInt64 || err != nil {
		t.Errorf("Int(i64) = %d, %v", got, err)
	}
	if got, err := all.Float("f32"); got != float64(float32(0.1)) || err != nil {
		t.Errorf("Float(f32) = %g, %v", got, err)
	}
	if got, err := all.Float("f64"); got != 0.1 || err != nil {
		t.Errorf("Float(f64) = %g, %v", got, err)
	}
	if got, err := all.Text("text"); got != "Größe\x00\n" || err != nil {
		t.Errorf("Text = %q, %v", got, err)
	}
	if got, err := all.Bool("yes"); !got || err != nil {
		t.Errorf("Bool = %v, %v", got, err)
	}
	if got, err := all.Floats("f64s"); !math.IsInf(float64(got[0]), 1) || err != nil { // rounded to float32
		t.Errorf("Floats(f64s) = %g, %v", got, err)
	}
	if got, err := all.Bools("bools"); !slices.Equal(got, []bool{true, false, true}) || err != nil {
		t.Errorf("Bools = %v, %v", got, err)
	}
	if got, err := all.Strings("strings"); !slices.Equal(got, []string{"", "a b", "\xff\xfe"}) || err != nil {
		t.Errorf("Strings = %q, %v", got, err)
	}
	if got, err := all.Ints("empty"); len(got) != 0 || err != nil {
		t.Errorf("Ints(empty) = %v, %v", got, err)
	}
	a, _ := all.Value("strings")
	for i, s := range a.(*gguf.Array).Strings() {
		if i == 1 {
			if s != "a b" {
				t.Errorf("string 1 is %q", s)
			}
			break
		}
	}
	if v, ok := all.Value("absent"); v != nil || ok || all.Has("absent") {
		t.Errorf("an absent key has the value %v", v)
	}
	a, _ = all.Value("u8s")
	for range a.(*gguf.Array).Strings() {
		t.Error("an array of integers yields strings")
	}
}

func TestAccessorErrorsNameFileKeyAndExpectation(t *testing.T) {
	m, _ := everything()
	memory := m
	f, err := gguf.OpenReaderAt(gguf.Part{Name: "dir/m.gguf", ReaderAt: strings.NewReader(string(encode(t, m, nil))),
		Size: int64(len(encode(t, m, nil)))})
	if err != nil {
		t.Fatal(err)
	}
	m = f.Metadata
	call := func(_ any, err error) error { return err }
	for _, c := range []struct {
		err     error
		want    string
		missing bool
	}{
		{call(m.Int("absent")), "gguf: dir/m.gguf: metadata key absent: missing", true},
		{call(m.Ints("absent")), "gguf: dir/m.gguf: metadata key absent: missing", true},
		{call(m.Strings("absent")), "gguf: dir/m.gguf: metadata key absent: missing", true},
		{call(memory.Text("absent")), "gguf: metadata key absent: missing", true},
		{call(m.Int("a\x1b[2J\nb")), `gguf: dir/m.gguf: metadata key "a\x1b[2J\nb": missing`, true},
		{call(m.Int("text")), "gguf: dir/m.gguf: metadata key text: type string, expected an integer", false},
		{call(m.Int("f32")), "gguf: dir/m.gguf: metadata key f32: type float32, expected an integer", false},
		{call(m.Int("yes")), "gguf: dir/m.gguf: metadata key yes: type bool, expected an integer", false},
		{call(m.Int("i32s")), "gguf: dir/m.gguf: metadata key i32s: type array, expected an integer", false},
		{call(m.Int("u64")), "gguf: dir/m.gguf: metadata key u64: value 18446744073709551615, expected at most 9223372036854775807", false},
		{call(m.Float("text")), "gguf: dir/m.gguf: metadata key text: type string, expected a number", false},
		{call(m.Float("yes")), "gguf: dir/m.gguf: metadata key yes: type bool, expected a number", false},
		{call(m.Bool("u8")), "gguf: dir/m.gguf: metadata key u8: type uint8, expected bool", false},
		{call(m.Text("u8")), "gguf: dir/m.gguf: metadata key u8: type uint8, expected string", false},
		{call(m.Ints("u8")), "gguf: dir/m.gguf: metadata key u8: type uint8, expected an array", false},
		{call(m.Ints("strings")), "gguf: dir/m.gguf: metadata key strings: element 0: type string, expected an integer", false},
		{call(m.Ints("u64s")), "gguf: dir/m.gguf: metadata key u64s: element 0: value 9223372036854775808, expected at most", false},
		{call(m.Strings("u8s")), "gguf: dir/m.gguf: metadata key u8s: element 0: type uint8, expected string", false},
		{call(m.Floats("bools")), "gguf: dir/m.gguf: metadata key bools: element 0: type bool, expected a number", false},
		{call(m.Bools("u8s")), "gguf: dir/m.gguf: metadata key u8s: element 0: type uint8, expected bool", false},
		{call(m.Ints("nested")), "gguf: dir/m.gguf: metadata key nested: an array of arrays, expected", false},
	} {
		if c.err == nil || !strings.HasPrefix(c.err.Error(), c.want) || errors.Is(c.err, gguf.ErrMissing) != c.missing {
			t.Errorf("error %q, want %q (missing: %v)", c.err, c.want, c.missing)
		}
	}
}

func TestSetRefusesWhatGGUFCannotHold(t *testing.T) {
	deep := must(gguf.NewArray([]uint8{1}))
	var err error
	for err == nil {
		var next *gguf.Array
		if next, err = gguf.NewArray([]*gguf.Array{deep}); err == nil {
			deep = next
		}
	}
	if !strings.Contains(err.Error(), "nested more than 4 deep") {
		t.Errorf("arrays in arrays without end: %v", err)
	}
	var none *gguf.Array
	for _, c := range []struct {
		key  string
		v    any
		want string
	}{
		{"", uint8(1), `gguf: metadata key "": empty name`},
		{"a\xff", uint8(1), `gguf: metadata key "a\xff": name is not valid UTF-8`},
		{strings.Repeat("k", 65536), uint8(1), "kkkk…: name of 65536 bytes, expected at most 65535"},
		{"k", nil, "gguf: metadata key k: nil is not a value"},
		{"k", none, "gguf: metadata key k: nil is not a value"},
		{"k", 1, "gguf: metadata key k: GGUF has no type for int"},
		{"k", []int{1}, "GGUF has no type for []int"},
		{"k", []any{1}, "GGUF has no type for []interface {}"},
		{"k", [1]uint8{1}, "GGUF has no type for [1]uint8"},
		{"k", struct{}{}, "GGUF has no type for struct {}"},
		{"k", "\xff", "gguf: metadata key k: string is not valid UTF-8"},
		{"k", []*gguf.Array{nil}, "element 0 of an array of arrays is nil"},
		{"k", []*gguf.Array{deep}, "nested more than 4 deep"},
	} {
		m := new(gguf.Metadata)
		if err := m.Set(c.key, c.v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Set(%.20q, %T): error %v, want %s", c.key, c.v, err, c.want)
		}
		if m.Len() != 0 {
			t.Errorf("Set(%.20q, %T): failed, but changed the metadata", c.key, c.v)
		}
	}
	if _, err := gguf.NewArray(7); err == nil || !strings.Contains(err.Error(), "array of int, expected a slice") {
		t.Errorf("NewArray(7): %v", err)
	}
}

func TestSetKeepsTheOrderOfKeys(t *testing.T) {
	var m gguf.Metadata
	for i, key := range []string{"a", "b", "c", "b"} {
		if err := m.Set(key, int32(i)); err != nil {
			t.Fatal(err)
		}
	}
	other := m.Clone()
	m.Delete("a")
	m.Delete("a")
	if err := m.Set("a", "last"); err != nil {
		t.Fatal(err)
	}
	if got := m.Keys(); !slices.Equal(got, []string{"b", "c", "a"}) {
		t.Errorf("keys %q", got)
	}
	if got, err := m.Int("b"); got != 3 || err != nil {
		t.Errorf("b is %d, %v: want the value set last", got, err)
	}
	if got, err := other.Int("a"); got != 0 || err != nil || other.Len() != 3 {
		t.Errorf("the clone changed with the original: %v, %v", got, err)
	}
}

func TestTypesHaveNames(t *testing.T) {
	for _, c := range []struct {
		got  fmt.Stringer
		want string
	}{
		{gguf.Q4_K, "Q4_K"}, {gguf.BF16, "BF16"}, {gguf.Type(4), "Q4_2"}, {gguf.Type(43), "F8_E4M3"}, {gguf.Type(137), "IQ2_K"},
		{gguf.Type(399), "Q8_K_R8"}, {gguf.Type(300), "type 300"},
		{gguf.Type(math.MaxUint32), "type 4294967295"},
		{gguf.ValueFloat32, "float32"}, {gguf.ValueArray, "array"}, {gguf.ValueType(13), "value type 13"},
		{gguf.ValueType(math.MaxUint32), "value type 4294967295"},
	} {
		if c.got.String() != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	known := 0
	for n := range gguf.Type(500) {
		if values, size := n.Block(); values > 0 && size > 0 {
			known++
		}
	}
	if known != len(allTypes) {
		t.Errorf("%d types are known, want %d", known, len(allTypes))
	}
}
