// Formats of blocks of 32 columns for rows_avx512_amd64.s.

// SPLIT splits the bytes in Z12 and Z13.
#define SPLIT \
	VPANDD Z21, Z12, Z10; \
	VPANDD Z21, Z13, Z11; \
	VPSRLW $4, Z12, Z12; \
	VPSRLW $4, Z13, Z13; \
	VPANDD Z21, Z12, Z12; \
	VPANDD Z21, Z13, Z13

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

// Blocks of 22 and 24 bytes, with fifth bits, fit three windows that lie apart: the first 128 bytes and the last 64. STARTS tells where
// blocks 0, 2, 1, 3, 4, 6, 5, 7 begin.
#define WINDOWS5(size) \
	VMOVDQU64 0(SI), Z14; \
	VMOVDQU64 64(SI), Z16; \
	VMOVDQU64 (8*size-64)(SI), Z17

#define STARTS(name, size) \
	VECTOR(name, 0, EIGHT(2*size), EIGHT(size), EIGHT(3*size), EIGHT(4*size), EIGHT(6*size), EIGHT(5*size), EIGHT(7*size))

STARTS(starts22, 22)
STARTS(starts24, 24)
VECTOR(qwords, 0, EIGHT(1), EIGHT(2), EIGHT(3), 0, 0, 0, 0)

// INDEX makes indices of places in a super, 8·size bytes: k are those in the second window, which VPERMB takes modulo 64; what lies in the
// last one is found 64 behind its beginning.
#define INDEX(size, place, k) \
	BYTES(64, Z26); \
	BYTES(8*size-64, Z27); \
	VPCMPUB $5, Z26, place, k; \
	VPCMPUB $5, Z27, place, K7; \
	KANDNQ  k, K7, k; \
	BYTES(8*size-128, Z27); \
	VPSUBB  Z27, place, K7, place

// FIVE_CONSTANTS: Z22 and Z23 are the byte indices of both halves of a block's nibbles, Z25 those of its fifth bits, 8j … 8j+7 of all
// blocks together, Z24 the word indices of the scale, twice.
#define FIVE_CONSTANTS(starts, size, fifth, nibbles) \
	VMOVDQU64    starts<>(SB), Z24; \
	MOVQ         $0x0706050403020100, AX; \
	VPBROADCASTQ AX, Z25; \
	BYTES(nibbles, Z22); \
	VPADDB       Z25, Z22, Z22; \
	VPADDB       Z24, Z22, Z22; \
	BYTES(8, Z23); \
	VPADDB       Z22, Z23, Z23; \
	MOVQ         $(7*size<<56|5*size<<48|6*size<<40|4*size<<32|3*size<<24|1*size<<16|2*size<<8), AX; \
	VPBROADCASTQ AX, Z25; \
	BYTES(fifth, Z26); \
	VPADDB       Z26, Z25, Z25; \
	VPADDB       qwords<>(SB), Z25, Z25; \
	INDEX(size, Z22, K1); \
	INDEX(size, Z23, K2); \
	INDEX(size, Z25, K4); \
	INDEX(size, Z24, K3); \
	VPMOVM2B     K3, Z26; \
	VPMOVQD      Z26, Y26; \
	VPMOVW2M     Z26, K3; \
	HALF_CONSTANTS3; \
	BYTES(15, Z21); \
	BYTES(16, Z30)

#define PICK5(index, k, w) \
	VMOVDQA64 index, w; \
	VPERMI2B  Z17, Z14, w; \
	VPERMB    Z16, index, k, w

#define HALVES5(index, z) \
	VMOVDQA64 index, Z18; \
	VPERMI2W  Z17, Z14, Z18; \
	VPERMW    Z16, index, K3, Z18; \
	VCVTPH2PS Y18, z

// FIVE sets W0 … W3 to nibbles and fifth bits, which go through memory to become masks.
#define FIVE \
	PICK5(Z25, K4, Z18); \
	VMOVDQU64 Y18, FOUND(DX); \
	PICK5(Z22, K1, Z12); \
	PICK5(Z23, K2, Z13); \
	SPLIT; \
	KMOVQ     (FOUND+0)(DX), K5; \
	KMOVQ     (FOUND+8)(DX), K6; \
	VPADDB    Z30, Z10, K5, Z10; \
	KMOVQ     (FOUND+16)(DX), K7; \
	VPADDB    Z30, Z11, K6, Z11; \
	KMOVQ     (FOUND+24)(DX), K5; \
	VPADDB    Z30, Z12, K7, Z12; \
	VPADDB    Z30, Z13, K5, Z13

// Q5_0: d, 32 fifth bits, 16 bytes of nibbles; offset 16.
TEXT constantsQ5_0<>(SB), NOSPLIT, $0
	FIVE_CONSTANTS(starts22, 22, 2, 6)
	RET

#define UNPACK_Q5_0 \
	WINDOWS5(22); \
	FIVE; \
	HALVES5(Z24, Z14)

// Q5_1: d, m (halves), 32 fifth bits, 16 bytes of nibbles; m is added. Z28 are the word indices of m.
TEXT constantsQ5_1<>(SB), NOSPLIT, $0
	FIVE_CONSTANTS(starts24, 24, 4, 8)
	WORDS(1, Z28)
	VPADDW Z24, Z28, Z28
	RET

#define UNPACK_Q5_1 \
	WINDOWS5(24); \
	FIVE; \
	HALVES5(Z28, Z15); \
	HALVES5(Z24, Z14)

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
