package gguf

import "fmt"

// Type is the format of a tensor's values, with GGUF's number for it.
type Type uint32

// The formats that this package knows, by GGUF's numbers. Tensors of other types are kept as they are: see [Tensor].
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	IQ2_XXS Type = 16
	IQ2_XS  Type = 17
	IQ3_XXS Type = 18
	IQ1_S   Type = 19
	IQ4_NL  Type = 20
	IQ3_S   Type = 21
	IQ2_S   Type = 22
	IQ4_XS  Type = 23
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	IQ1_M   Type = 29
	BF16    Type = 30
	TQ1_0   Type = 34
	TQ2_0   Type = 35
	MXFP4   Type = 39
	NVFP4   Type = 40
	Q1_0    Type = 41
	Q2_0    Type = 42 // in blocks of 64 or, as forks write it, of 128 values: [Tensor.Block] tells which
)

// types holds each format's name and the values and bytes of one block; of formats that were withdrawn or belong to other programs
// only the name.
var types = [...]struct {
	name          string
	values, bytes int
}{
	F32:     {"F32", 1, 4},
	F16:     {"F16", 1, 2},
	Q4_0:    {"Q4_0", 32, 18},
	Q4_1:    {"Q4_1", 32, 20},
	Q5_0:    {"Q5_0", 32, 22},
	Q5_1:    {"Q5_1", 32, 24},
	Q8_0:    {"Q8_0", 32, 34},
	Q2_K:    {"Q2_K", 256, 84},
	Q3_K:    {"Q3_K", 256, 110},
	Q4_K:    {"Q4_K", 256, 144},
	Q5_K:    {"Q5_K", 256, 176},
	Q6_K:    {"Q6_K", 256, 210},
	IQ2_XXS: {"IQ2_XXS", 256, 66},
	IQ2_XS:  {"IQ2_XS", 256, 74},
	IQ3_XXS: {"IQ3_XXS", 256, 98},
	IQ1_S:   {"IQ1_S", 256, 50},
	IQ4_NL:  {"IQ4_NL", 32, 18},
	IQ3_S:   {"IQ3_S", 256, 110},
	IQ2_S:   {"IQ2_S", 256, 82},
	IQ4_XS:  {"IQ4_XS", 256, 136},
	I8:      {"I8", 1, 1},
	I16:     {"I16", 1, 2},
	I32:     {"I32", 1, 4},
	I64:     {"I64", 1, 8},
	F64:     {"F64", 1, 8},
	IQ1_M:   {"IQ1_M", 256, 56},
	BF16:    {"BF16", 1, 2},
	TQ1_0:   {"TQ1_0", 256, 54},
	TQ2_0:   {"TQ2_0", 256, 66},
	MXFP4:   {"MXFP4", 32, 17},
	NVFP4:   {"NVFP4", 64, 36},
	Q1_0:    {"Q1_0", 128, 18},
	Q2_0:    {"Q2_0", 64, 18},

	4: {name: "Q4_2"}, 5: {name: "Q4_3"}, 9: {name: "Q8_1"}, 15: {name: "Q8_K"}, 31: {name: "Q4_0_4_4"}, 32: {name: "Q4_0_4_8"},
	33: {name: "Q4_0_8_8"}, 36: {name: "IQ4_NL_4_4"}, 37: {name: "IQ4_NL_4_8"}, 38: {name: "IQ4_NL_8_8"}, 43: {name: "F8_E4M3"},

	// ik_llama.cpp
	97: {name: "Q8_0_X4"}, 98: {name: "Q8_1_X4"}, 99: {name: "Q8_2_X4"}, 133: {name: "Q6_0"}, 134: {name: "IQ1_BN"},
	135: {name: "IQ2_BN"}, 136: {name: "Q8_K64"}, 137: {name: "IQ2_K"}, 138: {name: "IQ3_K"}, 139: {name: "IQ4_K"}, 140: {name: "IQ5_K"},
	141: {name: "IQ6_K"}, 142: {name: "IQ2_TN"}, 143: {name: "IQ1_TN"}, 144: {name: "IQ4_KS"}, 145: {name: "IQ2_KS"},
	146: {name: "IQ4_KSS"}, 147: {name: "Q8_K16"}, 148: {name: "Q8_K32"}, 149: {name: "Q8_KR8"}, 150: {name: "Q8_K128"},
	151: {name: "Q8_KV"}, 152: {name: "IQ5_KS"}, 153: {name: "IQ2_KT"}, 154: {name: "IQ3_KT"}, 155: {name: "IQ4_KT"},
	156: {name: "IQ3_KS"}, 157: {name: "IQ2_KL"}, 158: {name: "IQ1_KT"}, 202: {name: "Q4_0_R8"}, 206: {name: "Q5_0_R4"},
	208: {name: "Q8_0_R8"}, 210: {name: "Q2_K_R4"}, 211: {name: "Q3_K_R4"}, 212: {name: "Q4_K_R4"}, 213: {name: "Q5_K_R4"},
	214: {name: "Q6_K_R4"}, 216: {name: "IQ2_XXS_R4"}, 217: {name: "IQ2_XS_R4"}, 218: {name: "IQ3_XXS_R4"}, 219: {name: "IQ1_S_R4"},
	220: {name: "IQ4_NL_R4"}, 221: {name: "IQ3_S_R4"}, 222: {name: "IQ2_S_R4"}, 223: {name: "IQ4_XS_R8"}, 229: {name: "IQ1_M_R4"},
	230: {name: "BF16_R16"}, 233: {name: "Q6_0_R4"}, 335: {name: "IQ2_BN_R4"}, 337: {name: "IQ2_K_R4"}, 338: {name: "IQ3_K_R4"},
	339: {name: "IQ4_K_R4"}, 340: {name: "IQ5_K_R4"}, 344: {name: "IQ4_KS_R4"}, 352: {name: "IQ5_KS_R4"}, 397: {name: "Q8_K_R16"},
	398: {name: "Q8_KV_R8"}, 399: {name: "Q8_K_R8"},
}

// wideQ2_0 is the other block that goes by the number of Q2_0.
var wideQ2_0 = [2]int{128, 34}

// String returns the format's usual name, such as "Q4_K", also of some that this package does not know otherwise, or "type 300" for a
// number without a name.
func (t Type) String() string {
	if int64(t) >= int64(len(types)) || types[t].name == "" {
		return fmt.Sprintf("type %d", uint32(t))
	}
	return types[t].name
}

// Block returns how many values one block of the format holds and how many bytes it takes: 32 and 18 for Q4_0, 1 and 4
// for F32. Both are 0 for a format that this package does not know.
func (t Type) Block() (values, bytes int) {
	if int64(t) >= int64(len(types)) {
		return 0, 0
	}
	return types[t].values, types[t].bytes
}
