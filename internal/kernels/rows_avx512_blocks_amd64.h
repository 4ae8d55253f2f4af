// Formats of blocks of 32 columns for rows_avx512_amd64.s.

// Blocks of 32. Eight blocks of at most 24 bytes lie in four windows of 64 bytes, two in each: Z14, Z16, Z17, Z18. The last window ends
// where the super ends, and so its blocks lie 64 − 2·size bytes farther from its start. A byte or word of the first and the second of a
// window's blocks goes to qwords 0, 2, 4, 6 by one permutation; the other window's are merged into qwords 1, 3, 5, 7.

#define WINDOWS(size) \
	VMOVDQU64 0(SI), Z14; \
	VMOVDQU64 (2*size)(SI), Z16; \
	VMOVDQU64 (4*size)(SI), Z17; \
	VMOVDQU64 (8*size-64)(SI), Z18

// Z22 and Z23 are the byte indices of a block's 16 bytes of nibbles, behind a header of that size, Z24 and Z25 the word indices of
// its scale, for the first three windows and the last.
#define BLOCK_CONSTANTS(size, header) \
	MOVQ         $0xff00ff00ff00ff00, AX; \
	KMOVQ        AX, K1; \
	MOVL         $0x00cc, AX; \
	KMOVD        AX, K2; \
	MOVL         $0x3300, AX; \
	KMOVD        AX, K3; \
	MOVL         $0xcc00, AX; \
	KMOVD        AX, K4; \
	MOVL         $0x00aa, AX; \
	KMOVD        AX, K5; \
	BYTES(header, Z22); \
	BYTES(size, Z23); \
	VPADDB       eights<>(SB), Z22, Z22; \
	VPADDQ       Z23, Z22, K2, Z22; \
	BYTES(64-2*size, Z23); \
	VPADDB       Z22, Z23, Z23; \
	WORDS(size/2, Z24); \
	VMOVDQA64.Z  Z24, K5, Z24; \
	WORDS(32-size, Z25); \
	VPADDW       Z24, Z25, Z25; \
	BYTES(15, Z21)

// NIBBLES sets W0 … W3 to nibbles: the low ones of a block's bytes are values 0 … 15.
#define NIBBLES \
	VPERMB     Z14, Z22, Z10; \
	VPERMB     Z16, Z22, K1, Z10; \
	VPERMB     Z17, Z22, Z11; \
	VPERMB     Z18, Z23, K1, Z11; \
	VSHUFI64X2 $0x44, Z11, Z10, Z12; \
	VSHUFI64X2 $0xee, Z11, Z10, Z13; \
	SPLIT

// SPLIT splits the bytes in Z12 and Z13.
#define SPLIT \
	VPANDD Z21, Z12, Z10; \
	VPANDD Z21, Z13, Z11; \
	VPSRLW $4, Z12, Z12; \
	VPSRLW $4, Z13, Z13; \
	VPANDD Z21, Z12, Z12; \
	VPANDD Z21, Z13, Z13

// HALVES picks a half of each block, twice.
#define HALVES(index, last, y, z) \
	VPERMW    Z14, index, z; \
	VPERMW    Z16, index, K2, z; \
	VPERMW    Z17, index, K3, z; \
	VPERMW    Z18, last, K4, z; \
	VCVTPH2PS y, z

// LOOKUP takes W0 … W3 as indices into the table in Z20.
#define LOOKUP \
	VPSHUFB Z10, Z20, Z10; \
	VPSHUFB Z11, Z20, Z11; \
	VPSHUFB Z12, Z20, Z12; \
	VPSHUFB Z13, Z20, Z13

VECTOR_HALVES(eights, 0x0706050403020100, 0x0f0e0d0c0b0a0908)

// Blocks of at most 21 bytes fit three windows, 0–2 and 5–7 in the first and the last, 3 and 4 in the one between: a permutation of two
// sources and one of the third pick a byte or word of all blocks. Z22 and Z23 are the byte indices of both halves of a block's nibbles,
// Z24 those of its beginning.
#define WINDOWS3(size) \
	VMOVDQU64 0(SI), Z14; \
	VMOVDQU64 (3*size)(SI), Z16; \
	VMOVDQU64 (8*size-64)(SI), Z17

#define BLOCK_CONSTANTS3(blocks, header) \
	MOVQ         $0x000000ffff000000, AX; \
	KMOVQ        AX, K1; \
	MOVL         $0x03c0, AX; \
	KMOVD        AX, K2; \
	VMOVDQU64    blocks<>(SB), Z24; \
	BYTES(header, Z22); \
	MOVQ         $0x0706050403020100, AX; \
	VPBROADCASTQ AX, Z23; \
	VPADDB       Z23, Z22, Z22; \
	VPADDB       Z24, Z22, Z22; \
	BYTES(8, Z23); \
	VPADDB       Z22, Z23, Z23; \
	BYTES(15, Z21)

#define PICK(index, w) \
	VMOVDQA64 index, w; \
	VPERMI2B  Z17, Z14, w; \
	VPERMB    Z16, index, K1, w

#define NIBBLES3 \
	PICK(Z22, Z12); \
	PICK(Z23, Z13); \
	SPLIT

// HALF_CONSTANTS3 makes the word indices of a half of each block, twice, of those of bytes in Z24.
#define HALF_CONSTANTS3 \
	VPSRLW  $9, Z24, Z24; \
	VPMOVQD Z24, Y24

#define HALVES3(index, z) \
	VMOVDQA64 index, Z18; \
	VPERMI2W  Z17, Z14, Z18; \
	VPERMW    Z16, index, K2, Z18; \
	VCVTPH2PS Y18, z

// BLOCKS3 tells where blocks 0, 2, 1, 3, 4, 6, 5, 7 begin, 64 and more in the last window.
#define EIGHT(v) ((v)*0x0101010101010101)
#define BLOCKS3(name, size) \
	VECTOR(name, 0, EIGHT(2*size), EIGHT(size), 0, EIGHT(size), EIGHT(128-2*size), EIGHT(128-3*size), EIGHT(128-size))

BLOCKS3(blocks17, 17)
BLOCKS3(blocks18, 18)
BLOCKS3(blocks20, 20)

// Q4_0: d (half), 16 bytes of nibbles; offset 8.
TEXT constantsQ4_0<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS3(blocks18, 2)
	HALF_CONSTANTS3
	RET

#define UNPACK_Q4_0 \
	WINDOWS3(18); \
	NIBBLES3; \
	HALVES3(Z24, Z14)

// IQ4_NL: Q4_0 with a table of values. Here they are 128 larger.
TEXT constantsIQ4_NL<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS3(blocks18, 2)
	HALF_CONSTANTS3
	VMOVDQU64 iq4Values<>(SB), Z20
	RET

#define UNPACK_IQ4_NL \
	UNPACK_Q4_0; \
	LOOKUP

VECTOR2(iq4Values, 0x766a5d4f3f2d1801, 0xf1d9c5b5a6998d81)

// MXFP4: e (an exponent), 16 bytes of nibbles, with a table of values. Here they are 16 larger. The scale is 2^(e−128).
TEXT constantsMXFP4<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS3(blocks17, 1)
	VMOVDQU64    fp4Values<>(SB), Z20
	MOVL         $-128, AX
	VPBROADCASTD AX, Z26
	MOVL         $0x3f800000, AX
	VPBROADCASTD AX, Z27
	RET

#define UNPACK_MXFP4 \
	WINDOWS3(17); \
	NIBBLES3; \
	PICK(Z24, Z18); \
	VPSRLD    $24, Z18, Z18; \
	VPADDD    Z26, Z18, Z18; \
	VCVTDQ2PS Z18, Z18; \
	VSCALEFPS Z18, Z27, Z14; \
	LOOKUP

VECTOR2(fp4Values, 0x1c18161413121110, 0x04080a0c0d0e0f10)

// Q4_1: d, m (halves), 16 bytes of nibbles; m is added. Z26 are the word indices of m.
TEXT constantsQ4_1<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS3(blocks20, 4)
	HALF_CONSTANTS3
	WORDS(1, Z26)
	VPADDW Z24, Z26, Z26
	RET

#define UNPACK_Q4_1 \
	WINDOWS3(20); \
	NIBBLES3; \
	HALVES3(Z26, Z15); \
	HALVES3(Z24, Z14)

// Z26 and Z27 are the word indices of the half behind the scale.
#define LEAST_CONSTANTS \
	WORDS(1, Z26); \
	VPADDW Z25, Z26, Z27; \
	VPADDW Z24, Z26, Z26

// Z28 and Z29 are the word indices of the fifth bits, which are at a byte of the block.
#define FIFTH_CONSTANTS(size, at) \
	WORDS(at/2, Z28); \
	VPADDW       evenOdd<>(SB), Z28, Z28; \
	WORDS(size/2, Z29); \
	VPADDQ       Z29, Z28, K2, Z28; \
	WORDS(32-size, Z29); \
	VPADDW       Z28, Z29, Z29; \
	MOVL         $0xf0f0f0f0, AX; \
	KMOVD        AX, K5; \
	BYTES(16, Z30)

// Q5_0: d, 32 fifth bits, 16 bytes of nibbles; offset 16. Z19 gets all fifth bits of a block, twice, into the block's qword; a shift puts
// bit 8j + i in place for byte i of Wj.
TEXT constantsQ5_0<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(22, 6)
	FIFTH_CONSTANTS(22, 2)
	RET

#define FIFTH_BITS \
	VPERMW         Z14, Z28, Z15; \
	VPERMW         Z16, Z28, K5, Z15; \
	VPERMW         Z17, Z28, Z19; \
	VPERMW         Z18, Z29, K5, Z19; \
	VSHUFI64X2     $0x44, Z19, Z15, Z19

#define FIFTH(shifts, w) \
	VMOVDQU64      shifts<>(SB), Z15; \
	VPMULTISHIFTQB Z19, Z15, Z15; \
	VPTERNLOGD     $0xf8, Z30, Z15, w

#define UNPACK_Q5_0 \
	WINDOWS(22); \
	NIBBLES; \
	FIFTH_BITS; \
	HALVES(Z24, Z25, Y14, Z14); \
	FIFTH(fifth0, Z10); \
	FIFTH(fifth1, Z11); \
	FIFTH(fifth2, Z12); \
	FIFTH(fifth3, Z13)

VECTOR2(evenOdd, 0x0001000000010000, 0x0001000000010000)
VECTOR2(fifth0, 0x030201003f3e3d3c, 0x030201003f3e3d3c)
VECTOR2(fifth1, 0x0b0a090807060504, 0x0b0a090807060504)
VECTOR2(fifth2, 0x131211100f0e0d0c, 0x131211100f0e0d0c)
VECTOR2(fifth3, 0x1b1a191817161514, 0x1b1a191817161514)

// Q5_1: d, m (halves), 32 fifth bits, 16 bytes of nibbles; m is added.
TEXT constantsQ5_1<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(24, 8)
	LEAST_CONSTANTS
	FIFTH_CONSTANTS(24, 4)
	RET

#define UNPACK_Q5_1 \
	WINDOWS(24); \
	NIBBLES; \
	FIFTH_BITS; \
	FIFTH(fifth0, Z10); \
	FIFTH(fifth1, Z11); \
	FIFTH(fifth2, Z12); \
	FIFTH(fifth3, Z13); \
	HALVES(Z26, Z27, Y15, Z15); \
	HALVES(Z24, Z25, Y14, Z14)

// Q8_0: d, 32 bytes; offset 128, as the weights are signed.
TEXT constantsQ8_0<>(SB), NOSPLIT, $0
	VPMOVZXBD blockLanes<>(SB), Z22
	BYTES(0x80, Z20)
	RET

// The blocks that 16 lanes belong to.
VECTOR2(blockLanes, 0x0303010102020000, 0x0707050506060404)

#define UNPACK_Q8_0 \
	VMOVDQU64 2(SI), Y10; \
	VMOVDQU64 70(SI), Y11; \
	VMOVDQU64 138(SI), Y12; \
	VMOVDQU64 206(SI), Y13; \
	VINSERTI64X4 $1, 36(SI), Z10, Z10; \
	VINSERTI64X4 $1, 104(SI), Z11, Z11; \
	VINSERTI64X4 $1, 172(SI), Z12, Z12; \
	VINSERTI64X4 $1, 240(SI), Z13, Z13; \
	ARRANGE_BLOCKS(Z10, Z11, Z12, Z13); \
	VPXORD       Z20, Z10, Z10; \
	VPXORD       Z20, Z11, Z11; \
	VPXORD       Z20, Z12, Z12; \
	VPXORD       Z20, Z13, Z13; \
	VMOVDQU      0(SI), X14; \
	VMOVDQU      68(SI), X15; \
	VMOVDQU64    136(SI), X16; \
	VMOVDQU64    204(SI), X17; \
	VPUNPCKLWD   34(SI), X14, X14; \
	VPUNPCKLWD   102(SI), X15, X15; \
	VPUNPCKLWD   170(SI), X16, X16; \
	VPUNPCKLWD   238(SI), X17, X17; \
	VPUNPCKLDQ   X15, X14, X14; \
	VPUNPCKLDQ   X17, X16, X16; \
	VPUNPCKLQDQ  X16, X14, X14; \
	VCVTPH2PS    X14, Y14; \
	VPERMPS      Z14, Z22, Z14
