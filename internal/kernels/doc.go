// Package kernels is the assembly that works on weights and caches: products of rows and of panels, attention, decoders, and the tiles of
// AMX. Each level of a processor has one function, which fills in its part of a table of inner loops over what the levels below it have
// put there. It is for the caller to know that the machine has the level, and to have filled in the loops over vectors.
//
// # Files
//
// A file's name says what it has, for which level if not for all of an architecture, and which formats or step:
//
//	rows       weights as they lie in a file, times a few tokens: the arithmetic of tensor/rows.go; internal/cmd/asm writes *_formats_*;
//	           *_several_* are for more tokens than one, whose activations are rearranged first
//	panels     weights that are packed for many tokens: products, how weights are packed, how floats are rounded to that form, floats
//	units      weights of any format in one form (arm64), from which panels are packed and values are decoded
//	attention  scores and sums over a cache
//	decode     weights as floats
//	amx        panels in tiles
//
// Of formats, blocks are those of 16 to 64 weights, k the super-blocks with scales and minimums of their own, iq those with a codebook.
// Headers with a level in their name are for its files; others are for all files of the architecture.
//
// # Words
//
// Those of package tensor, and:
//
//	super     a super-block, 256 columns; formats with smaller blocks are read as many at a time as that takes
//	digest    a token's activations as rows of avx2 want them: reordered, with the scales by lane, and with the shares
//	share     what an offset or a minimum, times a token's sum of a block or half of one, adds to a product (avx2)
//	turn      the supers of a row whose activations are in the frame at a time (avx512, AVX-VNNI, arm64)
//	tile      the rows and tokens whose sums stay in registers together, or, of amx, what its registers hold
//	quad      four columns of eight or sixteen rows in a register, one row to a lane of 32 bits (x86)
//	pair      two columns of a row or a token in bf16, which are multiplied at once (bf16, amx)
//	slab      the columns whose products are summed up before the sums are added to dst; a panel lies slab after slab
//	strip     four rows or four tokens, interleaved, of floats and BF16 eight (arm64)
//	span      96 columns of a token with one scale and one midrange, 96 of a row beside them (i8mm)
//	column    a strip's or panel's values of one column, or of four in BF16 (arm64)
//	plane     the bits of one place, or two, of many weights
package kernels
