// Rows of several tokens with AVX-VNNI for rows_avx2_amd64.s.
//
// The words of a super-block's weights are transposed, four vectors at a time, so that each vector has a word of every block, or half of
// one, in its lane; so are those of the activations. Then one accumulator takes all products of a block, and nothing is left to be added
// across lanes: a super-block and token are eight dot products. It is what TREE adds up otherwise, in the same lanes: integers, exact.
//
// A turn takes up to eight super-blocks of two rows, which share the loads of activations. They are spread to the frame while those of the
// two rows before are multiplied with all tokens, one by one: the one waits for shuffles and logic, the other for multiplications. Half of
// each row's words are in registers at a time. Lanes of rows that take several turns rest with the caller.

// The frame of rowsSeveralVNNI, offsets from R13.
#define S_DIGESTS 0     // digests, 384 bytes for each super-block and token
#define S_WEIGHTS 24576 // two rows: weights and, at 256, what STORE_… writes, 384 bytes for each super-block
#define S_OTHERS  30720 // those of two other rows
#define S_LANES   36864 // of two rows and eight tokens, 32 bytes each
#define S_INTS    37376 // sums of first halves, of eight tokens and two rows
#define S_TAIL    37888 // a row's tail
#define S_SUMS    38176 // of two rows and eight tokens
#define S_SUPERS  38240 // super-blocks of the turn
#define S_STEP    38248 // from the lanes of two rows to those of the next
#define S_ROW     38256 // the first row
#define S_RESULT  38264 // its products
#define S_LEFT    38272 // rows to go
#define S_NOW     38280 // where they are spread
#define S_NEXT    38288 // and where the next two
#define S_SPREAD  38296 // what spreads them
#define S_APART   38304 // bytes between them: 0 where there is one, which is taken twice
#define S_BACK    38312 // bytes of a super-block's digests

#define ROW_BYTES 3072 // of S_WEIGHTS

// TRANSPOSE_WORDS transposes the words of four vectors in each half, in place.
#define TRANSPOSE_WORDS(a, b, c, d) \
	VMOVDQU     a(DI), Y1; \
	VMOVDQU     c(DI), Y3; \
	VPUNPCKLDQ  b(DI), Y1, Y2; \
	VPUNPCKHDQ  b(DI), Y1, Y1; \
	VPUNPCKLDQ  d(DI), Y3, Y4; \
	VPUNPCKHDQ  d(DI), Y3, Y3; \
	VPUNPCKLQDQ Y4, Y2, Y5; \
	VPUNPCKHQDQ Y4, Y2, Y2; \
	VPUNPCKLQDQ Y3, Y1, Y6; \
	VPUNPCKHQDQ Y3, Y1, Y1; \
	VMOVDQU     Y5, a(DI); \
	VMOVDQU     Y2, b(DI); \
	VMOVDQU     Y6, c(DI); \
	VMOVDQU     Y1, d(DI)

// WORDS does it with vectors whose pairs were interleaved before: L and H of the first two, L2 and H2 of the last.
#define WORDS(L, H, L2, H2, a, b, c, d) \
	VPUNPCKLQDQ L2, L, Y13; \
	VPUNPCKHQDQ L2, L, L; \
	VMOVDQU     Y13, a(DI); \
	VMOVDQU     L, b(DI); \
	VPUNPCKLQDQ H2, H, Y13; \
	VPUNPCKHQDQ H2, H, H; \
	VMOVDQU     Y13, c(DI); \
	VMOVDQU     H, d(DI)

// A spread routine spreads CX super-blocks at SI to DI, and moves both. It prefetches R15 bytes ahead.
#define SPREAD(bytes, AHEAD, SCALES, STORE, UNPACK) \
	NIBBLES; \
loop: \
	AHEAD; \
	SCALES; \
	ADDQ $256, DI; \
	STORE; \
	SUBQ $256, DI; \
	UNPACK; \
	ADDQ $bytes, SI; \
	ADDQ $384, DI; \
	DECQ CX; \
	JNZ  loop; \
	RET

#define SPREAD_BLOCKS(U0, U1, U2, U3) \
	U0(0); \
	VMOVDQA    Y2, Y4; \
	VMOVDQA    Y3, Y5; \
	U1(1); \
	VPUNPCKLDQ Y2, Y4, Y6; \
	VPUNPCKHDQ Y2, Y4, Y4; \
	VPUNPCKLDQ Y3, Y5, Y7; \
	VPUNPCKHDQ Y3, Y5, Y5; \
	U2(2); \
	VMOVDQA    Y2, Y0; \
	VMOVDQA    Y3, Y1; \
	U3(3); \
	VPUNPCKLDQ Y2, Y0, Y8; \
	VPUNPCKHDQ Y2, Y0, Y9; \
	WORDS(Y6, Y4, Y8, Y9, 0, 64, 128, 192); \
	VPUNPCKLDQ Y3, Y1, Y8; \
	VPUNPCKHDQ Y3, Y1, Y9; \
	WORDS(Y7, Y5, Y8, Y9, 32, 96, 160, 224)

#define SPREAD_HALVES(U0, U1, U2, U3) \
	U0(0); \
	VPUNPCKLDQ Y3, Y2, Y4; \
	VPUNPCKHDQ Y3, Y2, Y5; \
	U1(1); \
	VPUNPCKLDQ Y3, Y2, Y6; \
	VPUNPCKHDQ Y3, Y2, Y7; \
	WORDS(Y4, Y5, Y6, Y7, 0, 32, 64, 96); \
	U2(2); \
	VPUNPCKLDQ Y3, Y2, Y4; \
	VPUNPCKHDQ Y3, Y2, Y5; \
	U3(3); \
	VPUNPCKLDQ Y3, Y2, Y6; \
	VPUNPCKHDQ Y3, Y2, Y7; \
	WORDS(Y4, Y5, Y6, Y7, 128, 160, 192, 224)

#define AHEAD1 PREFETCHT0 (SI)(R15*1)
#define AHEAD2 AHEAD1; PREFETCHT0 64(SI)(R15*1)
#define AHEAD3 AHEAD2; PREFETCHT0 128(SI)(R15*1)
#define AHEAD4 AHEAD3; PREFETCHT0 192(SI)(R15*1)
#define AHEAD5 AHEAD4; PREFETCHT0 256(SI)(R15*1)

// A several routine multiplies R8 super-blocks of two rows at R14 with R9 tokens' digests at BX, and adds to their lanes at R11. With each
// it spreads one of the next two rows, from SI to R10.
#define SEVERAL(FIRST, LAST, SCALES, SCALES2) \
super: \
	FOUR_WORDS_OF(0); \
	SCALES; \
	MOVQ R11, CX; \
	LEAQ S_INTS(R13), DI; \
	MOVQ R9, DX; \
first: \
	FIRST; \
	ADDQ $384, BX; \
	ADDQ $32, CX; \
	ADDQ $64, DI; \
	DECQ DX; \
	JNZ  first; \
	SUBQ S_BACK(R13), BX; \
	FOUR_WORDS_OF(128); \
	SCALES2; \
	MOVQ R11, CX; \
	LEAQ S_INTS(R13), DI; \
	MOVQ R9, DX; \
last: \
	LAST; \
	ADDQ $384, BX; \
	ADDQ $32, CX; \
	ADDQ $64, DI; \
	DECQ DX; \
	JNZ  last; \
	ADDQ $384, R14; \
	MOVQ R10, DI; \
	MOVL $1, CX; \
	MOVQ S_SPREAD(R13), AX; \
	CALL AX; \
	SUBQ 56(R12), SI; \
	ADDQ S_APART(R13), SI; \
	LEAQ ROW_BYTES(R10), DI; \
	MOVL $1, CX; \
	MOVQ S_SPREAD(R13), AX; \
	CALL AX; \
	SUBQ S_APART(R13), SI; \
	ADDQ $384, R10; \
	DECQ R8; \
	JNZ  super; \
	RET

TEXT spreadNothing<>(SB), NOSPLIT|NOFRAME, $0-0
	RET

#define FOUR_WORDS_OF(at) \
	VMOVDQU at(R14), Y0; \
	VMOVDQU (at+32)(R14), Y1; \
	VMOVDQU (at+64)(R14), Y2; \
	VMOVDQU (at+96)(R14), Y3; \
	VMOVDQU (at+ROW_BYTES)(R14), Y4; \
	VMOVDQU (at+ROW_BYTES+32)(R14), Y5; \
	VMOVDQU (at+ROW_BYTES+64)(R14), Y6; \
	VMOVDQU (at+ROW_BYTES+96)(R14), Y7

#define SCALES_AT(at) \
	VMOVUPS at(R14), Y12; \
	VMOVUPS (at+ROW_BYTES)(R14), Y13

#define SCALES_MIN_AT(at) \
	SCALES_AT(at); \
	VMOVUPS (at+64)(R14), Y14; \
	VMOVUPS (at+ROW_BYTES+64)(R14), Y15

#define NOTHING

// HALF_OF_WORDS adds the products of half of the words, with activations at q(BX), to the sums in Y8 and Y9.
#define HALF_OF_WORDS(q) \
	VMOVDQU q(BX), Y10; \
	VPDPBUSD(10, 0, 8); \
	VPDPBUSD(10, 4, 9); \
	VMOVDQU (q+32)(BX), Y11; \
	VPDPBUSD(11, 1, 8); \
	VPDPBUSD(11, 5, 9); \
	VMOVDQU (q+64)(BX), Y10; \
	VPDPBUSD(10, 2, 8); \
	VPDPBUSD(10, 6, 9); \
	VMOVDQU (q+96)(BX), Y11; \
	VPDPBUSD(11, 3, 8); \
	VPDPBUSD(11, 7, 9)

#define FROM_SHARE(share) VMOVDQU share(BX), Y8; VMOVDQA Y8, Y9
#define FROM_ZERO         VPXOR Y8, Y8, Y8; VPXOR Y9, Y9, Y9
#define FROM_INTS         VMOVDQU (DI), Y8; VMOVDQU 32(DI), Y9
#define TO_INTS           VMOVDQU Y8, (DI); VMOVDQU Y9, 32(DI)

#define TO_LANES(dx, MINIMUMS) \
	VCVTDQ2PS   Y8, Y8; \
	VCVTDQ2PS   Y9, Y9; \
	VMOVUPS     dx(BX), Y11; \
	VMULPS      Y11, Y12, Y10; \
	VMULPS      Y11, Y13, Y11; \
	VFMADD213PS (CX), Y8, Y10; \
	VFMADD213PS 256(CX), Y9, Y11; \
	MINIMUMS; \
	VMOVUPS     Y10, (CX); \
	VMOVUPS     Y11, 256(CX)

#define ADD_MINIMUMS(share) \
	VMOVUPS     share(BX), Y8; \
	VFMADD231PS Y8, Y14, Y10; \
	VFMADD231PS Y8, Y15, Y11

// The first and the last half of a token.

#define FIRST_OF_BLOCKS     FROM_SHARE(320); HALF_OF_WORDS(0); TO_INTS
#define LAST_OF_BLOCKS      FROM_INTS; HALF_OF_WORDS(128); TO_LANES(256, NOTHING)
#define FIRST_OF_BLOCKS_MIN FROM_ZERO; HALF_OF_WORDS(0); TO_INTS
#define LAST_OF_BLOCKS_MIN  FROM_INTS; HALF_OF_WORDS(128); TO_LANES(256, ADD_MINIMUMS(320))
#define FIRST_OF_HALVES     FROM_SHARE(320); HALF_OF_WORDS(0); TO_LANES(256, NOTHING)
#define LAST_OF_HALVES      FROM_SHARE(352); HALF_OF_WORDS(128); TO_LANES(288, NOTHING)
#define FIRST_OF_HALVES_MIN FROM_ZERO; HALF_OF_WORDS(0); TO_LANES(256, ADD_MINIMUMS(320))
#define LAST_OF_HALVES_MIN  FROM_ZERO; HALF_OF_WORDS(128); TO_LANES(288, ADD_MINIMUMS(352))

TEXT severalBlocks<>(SB), NOSPLIT|NOFRAME, $0-0
	SEVERAL(FIRST_OF_BLOCKS, LAST_OF_BLOCKS, NOTHING, SCALES_AT(256))

TEXT severalBlocksMin<>(SB), NOSPLIT|NOFRAME, $0-0
	SEVERAL(FIRST_OF_BLOCKS_MIN, LAST_OF_BLOCKS_MIN, NOTHING, SCALES_MIN_AT(256))

TEXT severalHalves<>(SB), NOSPLIT|NOFRAME, $0-0
	SEVERAL(FIRST_OF_HALVES, LAST_OF_HALVES, SCALES_AT(256), SCALES_AT(288))

TEXT severalHalvesMin<>(SB), NOSPLIT|NOFRAME, $0-0
	SEVERAL(FIRST_OF_HALVES_MIN, LAST_OF_HALVES_MIN, SCALES_MIN_AT(256), SCALES_MIN_AT(288))

// FOUR_SUMS adds the lanes of four tokens at a(R11), and stores the sums at to(R13).
#define PAIRS_OF_LANES(a, X) \
	VMOVUPS (a)(R11), X; \
	VADDPS  (a+16)(R11), X, X

#define FOUR_SUMS(a, to) \
	PAIRS_OF_LANES(a, X0); \
	PAIRS_OF_LANES(a+32, X1); \
	PAIRS_OF_LANES(a+64, X2); \
	PAIRS_OF_LANES(a+96, X3); \
	VMOVLHPS X1, X0, X4; \
	VMOVHLPS X0, X1, X5; \
	VADDPS   X5, X4, X4; \
	VMOVLHPS X3, X2, X6; \
	VMOVHLPS X2, X3, X7; \
	VADDPS   X7, X6, X6; \
	VSHUFPS  $0x88, X6, X4, X0; \
	VSHUFPS  $0xdd, X6, X4, X1; \
	VADDPS   X1, X0, X0; \
	VMOVUPS  X0, (to)(R13)
