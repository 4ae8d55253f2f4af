package quantize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/tensor"
)

// Type is what a file's weights are in: a format, or a mix of formats. The values are those of the key general.file_type.
type Type uint32

// The types. Those of 4 and 5 bits, but for Q4_K_S and Q5_K_S, have matrices of more bits where these help most.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q8_0   Type = 7
	Q5_0   Type = 8
	Q5_1   Type = 9
	Q4_K_S Type = 14
	Q4_K_M Type = 15
	Q5_K_S Type = 16
	Q5_K_M Type = 17
	Q6_K   Type = 18
	IQ4_NL Type = 25
	IQ4_XS Type = 30
	BF16   Type = 32
)

// types has the name of each type and the format of most matrices, from most to fewest bits.
var types = []struct {
	Type
	name string
	rest tensor.Format
}{
	{F32, "F32", tensor.F32},
	{BF16, "BF16", tensor.BF16},
	{F16, "F16", tensor.F16},
	{Q8_0, "Q8_0", tensor.Q8_0},
	{Q6_K, "Q6_K", tensor.Q6_K},
	{Q5_1, "Q5_1", tensor.Q5_1},
	{Q5_K_M, "Q5_K_M", tensor.Q5_K},
	{Q5_K_S, "Q5_K_S", tensor.Q5_K},
	{Q5_0, "Q5_0", tensor.Q5_0},
	{Q4_1, "Q4_1", tensor.Q4_1},
	{Q4_K_M, "Q4_K_M", tensor.Q4_K},
	{Q4_K_S, "Q4_K_S", tensor.Q4_K},
	{Q4_0, "Q4_0", tensor.Q4_0},
	{IQ4_NL, "IQ4_NL", tensor.IQ4_NL},
	{IQ4_XS, "IQ4_XS", tensor.IQ4_XS},
}

// short names stand for the usual mix.
var short = map[string]Type{"Q4_K": Q4_K_M, "Q5_K": Q5_K_M}

// Types returns all types, from most to fewest bits.
func Types() []Type {
	var list []Type
	for _, t := range types {
		list = append(list, t.Type)
	}
	return list
}

// ParseType returns the type of that name, in any case; Q4_K and Q5_K stand for Q4_K_M and Q5_K_M. The error of a name that is none lists
// those that are.
func ParseType(name string) (Type, error) {
	upper := strings.ToUpper(name)
	if t, ok := short[upper]; ok {
		return t, nil
	}
	var names []string
	for _, t := range types {
		if t.name == upper {
			return t.Type, nil
		}
		names = append(names, t.name)
	}
	return 0, fmt.Errorf("quantize: unknown type %.40q, expected one of %s", name, strings.Join(names, ", "))
}

// String returns the type's name.
func (t Type) String() string {
	if i := t.index(); i >= 0 {
		return types[i].name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// MarshalText returns the type's name.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText does as [ParseType].
func (t *Type) UnmarshalText(text []byte) (err error) {
	*t, err = ParseType(string(text))
	return err
}

// index returns the type's place in the list, −1 if it is none.
func (t Type) index() int {
	for i := range types {
		if types[i].Type == t {
			return i
		}
	}
	return -1
}

// plain reports whether the type is floating point: nothing is quantised.
func (t Type) plain() bool { return slices.Contains([]Type{F32, F16, BF16}, t) }
