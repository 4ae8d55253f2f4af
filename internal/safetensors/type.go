package safetensors

// Type is the type of a tensor's values, as the header spells it.
type Type string

// The types that language models come in.
const (
	F64  Type = "F64"
	F32  Type = "F32"
	F16  Type = "F16"
	BF16 Type = "BF16"
	I64  Type = "I64"
	I32  Type = "I32"
)

// sizes are the bytes of a value. Types of less than a byte, which no checkpoint of these models has, are not known.
var sizes = map[Type]int{
	F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
	"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "C64": 8,
}

// Size returns the bytes of a value, 0 if the type is not known.
func (t Type) Size() int { return sizes[t] }
