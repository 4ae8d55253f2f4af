//lint:file-ignore SA5008,U1000 the types are odd on purpose

package jsontype

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"
)

type color string

func (color) Enum() []color { return []color{"red", "green", "<&>"} }

type level int

func (*level) Enum() []level { return []level{1, 2, 10} }

// A hex is a number that is written as text.
type hex uint16

func (h hex) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", uint16(h)), nil }
func (h *hex) UnmarshalText(text []byte) error {
	*h = hex(len(text))
	return nil
}

// even reads what it says that it does.
type even int

func (even) JSONSchema() []byte {
	return []byte(`{"type": "integer", "multipleOf": 2, "minimum": 0, "maximum": 98}`)
}

func (e *even) UnmarshalJSON(data []byte) error {
	var n int
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	if *e = even(n); n%2 != 0 {
		return errors.New("odd")
	}
	return nil
}

// Types that have their methods from what they embed.
type (
	outerStamped struct{ stamped }
	pointedHex   struct{ *hex }
	pointedEven  struct{ *even }
	heldHex      struct{ hex }
	heldEven     struct{ even }
)

// A loud is a number as a key, and text as a value.
type loud int

func (loud) Enum() []loud                   { return []loud{1} }
func (l loud) MarshalJSON() ([]byte, error) { return []byte(`"!"`), nil }
func (l *loud) UnmarshalJSON([]byte) error  { return nil }

// Types whose methods say nothing, or what they do not take.
type (
	noValues  string
	badValues int8
	badSchema bool
)

func (noValues) Enum() []noValues   { return nil }
func (badValues) Enum() []badValues { return []badValues{1, 0} }
func (v *badValues) UnmarshalJSON(data []byte) error {
	if string(data) == "0" {
		return errors.New("zero")
	}
	return nil
}
func (badSchema) JSONSchema() []byte { return []byte("true") }

type untold struct{}

func (*untold) UnmarshalJSON([]byte) error { return nil }

type tree struct {
	Value int8     `json:"value"`
	Left  *tree    `json:"left,omitempty"`
	Right *tree    `json:"right"`
	Kids  []tree   `json:"kids"`
	Twice [1]*tree `json:"twice"`
}

type forest struct {
	First, Second *grove
}

type grove struct {
	Trees []tree
	Near  map[string]grove
	Pairs []pair[grove, int]
}

type pair[A, B any] struct {
	A []A
	B B
}

type nested [][]nested

type base struct {
	ID   int `json:"id" minimum:"1"`
	Name string
	note string
}

type Extra struct {
	Name  string `json:"Name"`
	Extra bool
	base
}

type Left struct{ Same, Own int }
type Right struct {
	Same  int
	Other int `json:"Own"`
}

type number int

type embedding struct {
	*Extra
	Left
	Right `json:"right,omitempty"`
	number
	time.Month
	Skipped int `json:"-"`
	Dash    int `json:"-,"`
	Odd     int `json:"a\\b"`
	Größe   int
	Spaced  int `json:"a b/c.d"`
}

type twins struct {
	Left
	Right
	Deep struct{ Left }
}

type stamped struct {
	time.Time
	Ignored int
}

// values are of every kind that can be read.
type values struct {
	Bool     bool
	Int      int
	Int8     int8
	Int16    int16
	Int32    int32
	Int64    int64
	Uint     uint
	Uint8    uint8
	Uint16   uint16
	Uint32   uint32
	Uint64   uint64
	Uintptr  uintptr
	Float32  float32
	Float64  float64
	String   string
	Bytes    []byte
	Levels   []level
	Array    [3]uint8
	Empty    [0]string
	Any      any
	Raw      json.RawMessage
	Number   json.Number
	Time     time.Time
	Duration time.Duration
	Big      *big.Int
	Ratio    big.Rat
	Float    *big.Float
	Address  netip.Addr
	Color    color
	Hex      hex
	Even     even
	HeldHex  heldHex
	HeldEven heldEven
	Pointer  **string
	Struct   struct{}
	Anon     *struct{ X, Y float32 }
	Embedded embedding
	Twins    twins
	Unnamed  struct{ time.Time }
	Tree     tree
	Forest   forest
	Nested   nested

	Strings map[string]string
	Ints    map[int8][]bool
	Uints   map[uint64]any
	Hexes   map[hex]int
	Colors  map[color]*int
	Counts  map[level]int
	Times   map[time.Time]bool

	QuotedInt    int8        `json:",string"`
	QuotedUint   *uint64     `json:",string"`
	QuotedFloat  float32     `json:",string"`
	QuotedBool   bool        `json:",string,omitempty"`
	QuotedString string      `json:",string"`
	QuotedColor  color       `json:",string"`
	QuotedLevel  level       `json:",string"`
	QuotedHex    hex         `json:",string"`
	QuotedList   []int       `json:",string"`
	QuotedNumber json.Number `json:",string"`

	Few     string     `enum:"a,b,c d" jsonschema:"one of <few>"`
	Some    []*int     `enum:"1,-2"`
	Maybe   *string    `enum:"x,null" json:",omitzero"`
	Perhaps *color     `enum:"red"`
	Ages    []uint16   `maximum:"150" minItems:"1" maxItems:"3"`
	Rate    float64    `minimum:"0.5"`
	Step    *float32   `multipleOf:"0.25" maximum:"10"`
	Code    string     `pattern:"^[A-Z]{3}$"`
	ID      string     `format:"uuid"`
	Short   [][]string `minLength:"1" maxLength:"4"`
}
