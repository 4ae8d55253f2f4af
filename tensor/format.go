package tensor

import "fmt"

// Format says how the numbers of a tensor lie in memory. The values are GGUF's type numbers, but for Q2_0_128, which shares one with
// Q2_0; gaps are types that GGUF has dropped or uses for integers, which no weight has.
//
// Every format but the three plain ones packs a fixed number of values into a block of a fixed number of bytes: small
// integers that share a scale, and with some formats an offset. A row is a whole number of blocks.
type Format uint32

// The weight formats. The digit is the bits per value before scales are counted; _0 formats have a scale, _1 formats a scale and a minimum,
// _K formats 256 values with scales of their own precision, IQ formats an index into a codebook, TQ formats one of three values; MXFP4 and
// NVFP4 hold 4-bit floats. Q1_0 and Q2_0 have a scale per 128 and per 64 values, Q2_0_128, Q2_0 as forks write it, per 128.
const (
	F32      Format = 0
	F16      Format = 1
	Q4_0     Format = 2
	Q4_1     Format = 3
	Q2_0_128 Format = 4 // withdrawn by GGUF: no file has it
	Q5_0     Format = 6
	Q5_1     Format = 7
	Q8_0     Format = 8
	Q2_K     Format = 10
	Q3_K     Format = 11
	Q4_K     Format = 12
	Q5_K     Format = 13
	Q6_K     Format = 14
	IQ2_XXS  Format = 16
	IQ2_XS   Format = 17
	IQ3_XXS  Format = 18
	IQ1_S    Format = 19
	IQ4_NL   Format = 20
	IQ3_S    Format = 21
	IQ2_S    Format = 22
	IQ4_XS   Format = 23
	IQ1_M    Format = 29
	BF16     Format = 30
	TQ1_0    Format = 34
	TQ2_0    Format = 35
	MXFP4    Format = 39
	NVFP4    Format = 40
	Q1_0     Format = 41
	Q2_0     Format = 42
)

// formats is indexed by Format. A format without encode is read only.
var formats = [...]struct {
	name   string
	values int // per block
	bytes  int // per block
	encode func(dst []byte, src []float32)
}{
	F32:      {"F32", 1, 4, encodeF32},
	F16:      {"F16", 1, 2, encodeF16},
	BF16:     {"BF16", 1, 2, encodeBF16},
	Q4_0:     {"Q4_0", 32, 18, encodeQ4_0},
	Q4_1:     {"Q4_1", 32, 20, nil},
	Q5_0:     {"Q5_0", 32, 22, nil},
	Q5_1:     {"Q5_1", 32, 24, nil},
	Q8_0:     {"Q8_0", 32, 34, encodeQ8_0},
	Q2_K:     {"Q2_K", 256, 84, nil},
	Q3_K:     {"Q3_K", 256, 110, nil},
	Q4_K:     {"Q4_K", 256, 144, nil},
	Q5_K:     {"Q5_K", 256, 176, nil},
	Q6_K:     {"Q6_K", 256, 210, nil},
	IQ1_S:    {"IQ1_S", 256, 50, nil},
	IQ1_M:    {"IQ1_M", 256, 56, nil},
	IQ2_XXS:  {"IQ2_XXS", 256, 66, nil},
	IQ2_XS:   {"IQ2_XS", 256, 74, nil},
	IQ2_S:    {"IQ2_S", 256, 82, nil},
	IQ3_XXS:  {"IQ3_XXS", 256, 98, nil},
	IQ3_S:    {"IQ3_S", 256, 110, nil},
	IQ4_NL:   {"IQ4_NL", 32, 18, nil},
	IQ4_XS:   {"IQ4_XS", 256, 136, nil},
	TQ1_0:    {"TQ1_0", 256, 54, nil},
	TQ2_0:    {"TQ2_0", 256, 66, nil},
	MXFP4:    {"MXFP4", 32, 17, nil},
	NVFP4:    {"NVFP4", 64, 36, nil},
	Q1_0:     {"Q1_0", 128, 18, nil},
	Q2_0:     {"Q2_0", 64, 18, nil},
	Q2_0_128: {"Q2_0_128", 128, 34, nil},
}

// Formats returns all weight formats, by their numbers.
func Formats() []Format {
	var list []Format
	for f := range Format(len(formats)) {
		if f.Valid() {
			list = append(list, f)
		}
	}
	return list
}

// Valid reports whether f is one of the formats above.
func (f Format) Valid() bool { return int64(f) < int64(len(formats)) && formats[f].values != 0 }

// String returns the format's name as files and papers write it, such as "Q4_K", or "format 99" if f is not valid.
func (f Format) String() string {
	if !f.Valid() {
		return fmt.Sprintf("format %d", uint32(f))
	}
	return formats[f].name
}

// BlockLen returns the number of values in a block, 1 for the plain formats, 0 if f is not valid.
func (f Format) BlockLen() int {
	if !f.Valid() {
		return 0
	}
	return formats[f].values
}

// BlockBytes returns the size of a block in bytes, 0 if f is not valid.
func (f Format) BlockBytes() int {
	if !f.Valid() {
		return 0
	}
	return formats[f].bytes
}

// RowBytes returns the size in bytes of n values, where n is a multiple of BlockLen. It is 0 if f is not valid.
func (f Format) RowBytes(n int) int {
	if !f.Valid() {
		return 0
	}
	return n / formats[f].values * formats[f].bytes
}

// Decode writes the first len(dst) values of src to dst. len(dst) must be a multiple of BlockLen and src at least
// RowBytes(len(dst)) long; Decode panics otherwise, as an index out of range does, and if f is not valid.
//
// Any bytes are a block: scales that are infinite or NaN give such values. The result has the same bits on every
// architecture, but for the payload of a NaN. Decode allocates nothing.
func (f Format) Decode(dst []float32, src []byte) {
	if err := f.check(len(dst), len(src)); err != nil {
		panic(err)
	}
	f.decode(dst, src)
}

// Encode writes src to dst in format F32, F16, BF16, Q8_0 or Q4_0; any other format is an error, and so is a src that
// is no multiple of BlockLen or a dst shorter than RowBytes(len(src)). It allocates nothing.
//
// Numbers are rounded to the nearest, F16 and BF16 ties to even, and beyond the range of F16 become infinite. Q8_0 and
// Q4_0 give the same blocks as ggml's reference quantisers for all finite numbers; a block with a NaN or an infinity in
// it decodes to 32 NaNs, since its scale could say nothing about the others.
func (f Format) Encode(dst []byte, src []float32) error {
	if err := f.check(len(src), len(dst)); err != nil {
		return err
	}
	if formats[f].encode == nil {
		return fmt.Errorf("tensor: cannot encode %v, only F32, F16, BF16, Q8_0 and Q4_0", f)
	}
	formats[f].encode(dst, src)
	return nil
}

// check tells whether n values are whole blocks and fit the given number of bytes.
func (f Format) check(n, bytes int) error {
	switch {
	case !f.Valid():
		return fmt.Errorf("tensor: %v is unknown", f)
	case n%formats[f].values != 0:
		return fmt.Errorf("tensor: %d values of %v, want a multiple of %d", n, f, formats[f].values)
	case bytes/formats[f].bytes < n/formats[f].values:
		return fmt.Errorf("tensor: %d bytes for %d values of %v, want %d", bytes, n, f, f.RowBytes(n))
	}
	return nil
}
