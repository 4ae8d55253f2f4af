package main

import (
	"strings"

	"github.com/gogemma/gemma4/tensor"
)

// rowFormat is what the row kernels of x86 have to know of a format. The macros and functions of its own that it names stand beside the
// kernels in internal/kernels/rows_avx2_*.h and rows_avx512_*.h.
type rowFormat struct {
	tensor.Format
	// Values is what they are at avx2: u4, u5 or u6, unsigned of at most so many bits once Offset is added, or s8, signed bytes.
	Values string
	Offset int
	// Minimum: that it is subtracted, MINUS, or added, PLUS. None: there is none.
	Minimum string
	// Groups: a scale belongs to 16 columns, not to 32.
	Groups bool
	// Offset512 is the offset of avx512. Shifted: there the sums of activations are multiplied with numbers that octets have.
	Offset512 int
	Shifted   bool

	// What rows of avx2 begin with, then with AVX-VNNI; nothing: the same.
	Constants, ConstantsVNNI string
	// Units: each of the four units of a super-block is unpacked by a macro of its own. UnpackVNNI is what it is called with AVX-VNNI,
	// behind the name.
	Units      bool
	UnpackVNNI string
	// Spread: one token has registers for what several tokens read from memory.
	Spread bool
	// Nibbles of blocks alone: where they begin, and how long a block is. With Table they are looked up.
	Nibbles string
	Table   bool
	// Sums16: with AVX-VNNI the sums of B are 16 times too large.
	Sums16 bool
	// Scales is the format whose scales have the same layout.
	Scales string

	// Wide formats are expanded first at avx2. Entries are the arguments of EACH_BLOCK, where there is a codebook.
	Wide    bool
	Entries string
	// Find is the macro that finds something for all super-blocks of avx512 before they are unpacked.
	Find string
}

// rowFormats are in the order of the assembly's tables.
var rowFormats = []rowFormat{
	{Format: tensor.Q4_0, Values: "u4", Offset: 8, Nibbles: "2, 18", Offset512: 8},
	{Format: tensor.Q4_1, Values: "u4", Minimum: "PLUS", Nibbles: "4, 20", Offset512: 1},
	{Format: tensor.Q5_0, Values: "u5", Offset: 16, Offset512: 16, Constants: "FIFTHS", Spread: true},
	{Format: tensor.Q5_1, Values: "u5", Minimum: "PLUS", Offset512: 1, Constants: "FIFTHS", Spread: true},
	{Format: tensor.Q8_0, Values: "s8", Offset512: 128, ConstantsVNNI: "VMOVDQU bytes128<>(SB), Y15", UnpackVNNI: "_UP"},
	{Format: tensor.Q2_K, Values: "u5", Minimum: "MINUS", Groups: true, Offset512: 1, Constants: "VMOVDQU bytes3<>(SB), Y15", Units: true},
	{Format: tensor.Q3_K, Values: "u5", Offset: 4, Groups: true, Offset512: 4, Constants: "VMOVDQU bytes3<>(SB), Y15", Units: true},
	{Format: tensor.Q4_K, Values: "u4", Minimum: "MINUS", Offset512: 1, Constants: "VMOVDQU shifts_0_4<>(SB), Y15",
		ConstantsVNNI: "VMOVDQU nibbles<>(SB), Y15", UnpackVNNI: "_16", Sums16: true},
	{Format: tensor.Q5_K, Values: "u5", Minimum: "MINUS", Offset512: 1, Constants: "VMOVDQU shifts_0_4<>(SB), Y15", Units: true},
	{Format: tensor.Q6_K, Values: "u6", Offset: 32, Groups: true, Offset512: 32, Constants: "VMOVDQU bytes48<>(SB), Y15", Units: true},
	{Format: tensor.IQ4_NL, Values: "s8", Offset512: 128, Constants: "VMOVDQU iq4<>(SB), Y15", ConstantsVNNI: "VMOVDQU iq4Up<>(SB), Y15",
		Scales: "Q4_0", Nibbles: "2, 18", Table: true},
	{Format: tensor.IQ4_XS, Values: "s8", Offset512: 128, Constants: "VMOVDQU iq4<>(SB), Y15", ConstantsVNNI: "VMOVDQU iq4Up<>(SB), Y15"},
	{Format: tensor.MXFP4, Values: "u5", Offset: 12, Offset512: 16, Constants: "VMOVDQU fp4Up<>(SB), Y15", Nibbles: "1, 17",
		Table: true},
	{Format: tensor.IQ1_S, Values: "u5", Offset: 9, Offset512: 1, Shifted: true, Wide: true,
		Entries: "WORD_OCTETS, MOVWLZX, 352, R14, 2, 8",
		Find:    "FIND_INDICES(2, 34, firstIQ1_S, 50)"},
	{Format: tensor.IQ1_M, Values: "u5", Offset: 9, Groups: true, Offset512: 1, Shifted: true, Wide: true,
		Entries: "WORD_OCTETS, MOVWLZX, 352, R14, 2, 8",
		Find:    "FIND_INDICES(0, 32, firstIQ1_M, 56)"},
	{Format: tensor.IQ2_XXS, Values: "s8", Offset512: 64, Wide: true, Entries: "BYTE_OCTETS, MOVBLZX, 2, SI, 1, 8",
		Find: "FIND_PAIRS(TABLES_8, INDEX_IQ2_XXS, PLANES_256, constantsIQ2_XXS, 66)"},
	{Format: tensor.IQ2_XS, Values: "s8", Groups: true, Offset512: 64, Wide: true, Entries: "WORD_OCTETS, MOVWLZX, 352, R14, 2, 8",
		Find: "FIND_PAIRS(TABLES_16, INDEX_IQ2_XS, PLANES_512, constantsIQ2_XS, 74)"},
	{Format: tensor.IQ2_S, Values: "s8", Groups: true, Offset512: 64, Wide: true, Entries: "WORD_OCTETS, MOVWLZX, 352, R14, 2, 8",
		Find: "FIND_PAIRS(TABLES_16, INDEX_IQ2_S, PLANES_1024, constantsIQ2_S, 82)"},
	{Format: tensor.IQ3_XXS, Values: "s8", Offset512: 64, Wide: true, Entries: "QUADS, MOVBLZX, 2, SI, 1, 8"},
	{Format: tensor.IQ3_S, Values: "s8", Offset512: 64, Wide: true, Entries: "QUADS, MOVWLZX, 352, R14, 2, 16"},
	{Format: tensor.TQ1_0, Values: "u5", Offset: 1, Offset512: 1, Wide: true},
	{Format: tensor.TQ2_0, Values: "u5", Offset: 1, Groups: true, Offset512: 1, Wide: true},
	{Format: tensor.NVFP4, Values: "u5", Offset: 12, Groups: true, Offset512: 16, Wide: true},
}

// Bytes returns those of a super-block, 256 columns.
func (f rowFormat) Bytes() int { return f.RowBytes(256) }

// Lines returns how many lines of 64 bytes are prefetched with one.
func (f rowFormat) Lines() int { return (f.Bytes() + 63) / 64 }

func (f rowFormat) Signed() bool { return f.Values == "s8" }

// Halves: at avx2 the sums of halves of blocks have scales of their own.
func (f rowFormat) Halves() bool { return f.Groups || f.Wide }

// A row is the row routine of a format, without AVX-VNNI or with it.
type row struct {
	rowFormat
	VNNI bool
}

// Rows are the row routines of formats that are not wide; wide ones have the same with AVX-VNNI.
func (f rowFormat) Rows() []row {
	if f.Wide {
		return nil
	}
	return []row{{f, false}, {f, true}}
}

// Kinds are what is known of the format, without AVX-VNNI and with it.
func (f rowFormat) Kinds() []row { return []row{{f, false}, {f, true}} }

func (r row) suffix() string {
	if r.VNNI {
		return "VNNI"
	}
	return ""
}

func (r row) Name() string { return r.String() + r.suffix() }

// Row returns the name of the routine.
func (r row) Row() string {
	if r.Wide {
		return r.String()
	}
	return r.Name()
}

func (r row) Begin() string {
	if r.VNNI && r.ConstantsVNNI != "" {
		return r.ConstantsVNNI
	}
	return r.Constants
}

// Unpack returns the macro for unit j.
func (r row) Unpack(j int) string {
	name := "UNPACK_" + r.String()
	switch {
	case r.Units:
		return name + "_" + string(rune('0'+j))
	case r.VNNI:
		return name + r.UnpackVNNI
	}
	return name
}

// Severals are the routines for several tokens. Those of formats that are expanded to signed weights are the same with AVX-VNNI.
func (f rowFormat) Severals() []row {
	if f.Wide && f.Signed() {
		return f.Kinds()[:1]
	}
	return f.Kinds()
}

// Several returns the name of that routine.
func (r row) Several() string {
	r.VNNI = r.VNNI && !(r.Wide && r.Signed())
	return r.Name()
}

// UnpackAll and BeginAll are Unpack and Begin for several tokens. They take no short cuts.
func (r row) UnpackAll() string {
	switch {
	case r.Nibbles != "":
		return "EIGHT_NIBBLES(" + r.Nibbles + ")" + map[bool]string{true: "; EIGHT_TABLE"}[r.Table]
	case r.Units || r.Spread || r.Format == tensor.Q4_K:
		return "EIGHT_" + r.String()
	}
	return "EIGHT_ALIKE(" + r.Unpack(0) + ")"
}

func (r row) BeginAll() string {
	r.VNNI = r.VNNI && !r.Sums16
	return r.Begin()
}

// Kept returns which macros keep scales and minimums while weights are unpacked.
func (r row) Kept() string {
	if r.Minimum != "" {
		return r.Columns() + "_MIN"
	}
	return r.Columns()
}

// Signs returns the macro that takes their signs from weights that have any.
func (r row) Signs() string {
	if r.Signed() && (r.Wide || !r.VNNI) {
		return "SIGNS_" + r.Columns() + "; "
	}
	return ""
}

// Token returns the macro that multiplies with a token.
func (r row) Token() string {
	name := "TOKEN_" + r.Columns()
	if r.Minimum != "" {
		name += "_MIN"
	}
	if r.VNNI {
		return name + "_VNNI"
	}
	return name + "_" + strings.ToUpper(r.Values)
}

// Columns returns what has a scale at avx2.
func (f rowFormat) Columns() string {
	if f.Halves() {
		return "HALVES"
	}
	return "BLOCKS"
}

// ScalesIn returns the macro for the scales.
func (r row) ScalesIn() string {
	if r.Scales != "" {
		return "SCALES_" + r.Scales
	}
	return "SCALES_" + r.String()
}

// Products returns the macro that multiplies a unit.
func (r row) Products() string {
	switch {
	case r.Halves() && r.VNNI:
		return "HALVES_VNNI"
	case r.Halves():
		return "HALVES_U6"
	case r.VNNI:
		return "PAIR_VNNI"
	case r.Format == tensor.Q8_0:
		return "PAIR_S8"
	case r.Signed():
		return "PAIR_S7"
	}
	return "PAIR_U5"
}

// Sum returns the macro that adds sums of four: in words, where they fit.
func (r row) Sum() string {
	switch {
	case r.Signed() || r.Sums16 && r.VNNI:
		return "TREE"
	case r.VNNI:
		return "TREE_WORDS"
	}
	return "TREE_" + strings.ToUpper(r.Values)
}

func (r row) End() string {
	switch {
	case r.Sums16 && r.VNNI:
		return "MIN_16"
	case r.Minimum != "":
		return "MIN"
	case r.Signed() && !r.VNNI:
		return "PLAIN"
	}
	return "OFFSET"
}

// Factor returns what the sums of activations are multiplied with.
func (r row) Factor() any {
	switch {
	case r.Minimum != "":
		return r.Minimum
	case r.Signed() && !r.Wide && r.VNNI:
		return 128
	}
	return r.Offset
}
