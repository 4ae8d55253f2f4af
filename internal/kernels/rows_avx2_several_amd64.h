// Rows of several tokens for rows_avx2_amd64.s.
//
// The words of a super-block's weights are transposed, four vectors at a time, so that each vector has a word of every block, or half of
// one, in its lane; so are those of the activations. Then the products of a block add up where they are, and nothing is left to be added
// across lanes. It is what TREE adds up otherwise, in the same lanes: integers, exact.
//
// Eight vectors of weights stay in registers while the tokens go by: a super-block and token are eight products with activations in
// memory. Whoever multiplies waits for multiplications, and whoever unpacks for shuffles and logic, so that the processor does the one
// for a row's next super-block while it does the other for this one.
//
// A turn takes as many super-blocks of some rows as there is room for their digests. Lanes of rows that take several turns rest with the
// caller.

// The frame of rowsSeveralAVX2, offsets from R13.
#define S_DIGESTS 0     // digests, 384 bytes for each super-block and token
#define S_WIDE    24576 // a super-block of a wide format, WIDE_BYTES
#define S_SCALES  25056 // what KEEP_… stores
#define S_SIGNED  25184 // signed weights
#define S_LANES   25440 // of a row and eight tokens, 32 bytes each
#define S_TAIL    25696 // a row's tail
#define S_SUPERS  25984 // super-blocks of the turn
#define S_STEP    25992 // from the lanes of a row to those of the next
#define S_RESULT  26000 // its products
#define S_LEFT    26008 // rows to go
#define S_AHEAD   26016 // bytes to what is prefetched

// A several routine adds the products of R8 super-blocks of a row at SI with the digests at BX, of R9/32 tokens, to the tokens' lanes at
// R11. It moves BX. R15 is the format's table.
#define SEVERAL(bytes, AHEAD, SCALES, KEEP, UNPACK, READY, TOKEN) \
	NIBBLES; \
super: \
	MOVQ S_AHEAD(R13), AX; \
	AHEAD; \
	SCALES; \
	KEEP; \
	UNPACK; \
	READY; \
	XORL DX, DX; \
token: \
	TOKEN; \
	ADDQ $384, BX; \
	ADDQ $32, DX; \
	CMPQ DX, R9; \
	JNE  token; \
	ADDQ $bytes, SI; \
	DECQ R8; \
	JNZ  super; \
	RET

#define AHEAD1 PREFETCHT1 (SI)(AX*1)
#define AHEAD2 AHEAD1; PREFETCHT1 64(SI)(AX*1)
#define AHEAD3 AHEAD2; PREFETCHT1 128(SI)(AX*1)
#define AHEAD4 AHEAD3; PREFETCHT1 192(SI)(AX*1)
#define AHEAD5 AHEAD4; PREFETCHT1 256(SI)(AX*1)

// EIGHT_… leave the words of a super-block in eight registers, in the order in which digests have them: those of blocks in Y0, Y1, Y6, Y7,
// Y2 … Y5, those of halves in Y0, Y1, Y4, Y5, and Y2, Y3, Y6, Y7.
#define EIGHT_BLOCKS(U0, U1, U2, U3) \
	U0(0); \
	VMOVDQA     Y2, Y4; \
	VMOVDQA     Y3, Y5; \
	U1(1); \
	VPUNPCKLDQ  Y2, Y4, Y6; \
	VPUNPCKHDQ  Y2, Y4, Y4; \
	VPUNPCKLDQ  Y3, Y5, Y7; \
	VPUNPCKHDQ  Y3, Y5, Y5; \
	U2(2); \
	VMOVDQA     Y2, Y0; \
	VMOVDQA     Y3, Y1; \
	U3(3); \
	VPUNPCKLDQ  Y2, Y0, Y8; \
	VPUNPCKHDQ  Y2, Y0, Y9; \
	VPUNPCKLDQ  Y3, Y1, Y10; \
	VPUNPCKHDQ  Y3, Y1, Y11; \
	VPUNPCKLQDQ Y8, Y6, Y0; \
	VPUNPCKHQDQ Y8, Y6, Y6; \
	VPUNPCKLQDQ Y9, Y4, Y2; \
	VPUNPCKHQDQ Y9, Y4, Y4; \
	VPUNPCKLQDQ Y10, Y7, Y1; \
	VPUNPCKHQDQ Y10, Y7, Y7; \
	VPUNPCKLQDQ Y11, Y5, Y3; \
	VPUNPCKHQDQ Y11, Y5, Y5

#define EIGHT_ALIKE(UNPACK) EIGHT_BLOCKS(UNPACK, UNPACK, UNPACK, UNPACK)
#define EIGHT_Q5_0          EIGHT_ALIKE(SPREAD_Q5_0)
#define EIGHT_Q5_1          EIGHT_ALIKE(SPREAD_Q5_1)
#define EIGHT_Q5_K          EIGHT_BLOCKS(UNPACK_Q5_K_0, UNPACK_Q5_K_1, UNPACK_Q5_K_2, UNPACK_Q5_K_3)

// EIGHT_NIBBLES takes blocks of s bytes whose nibbles begin at o: they are transposed before they are split.
#define EIGHT_NIBBLES(o, s) \
	VMOVDQU     (o)(SI), X0; \
	VMOVDQU     (o+2*s)(SI), X1; \
	VMOVDQU     (o+4*s)(SI), X2; \
	VMOVDQU     (o+6*s)(SI), X3; \
	VINSERTI128 $1, (o+s)(SI), Y0, Y0; \
	VINSERTI128 $1, (o+3*s)(SI), Y1, Y1; \
	VINSERTI128 $1, (o+5*s)(SI), Y2, Y2; \
	VINSERTI128 $1, (o+7*s)(SI), Y3, Y3; \
	VPUNPCKLDQ  Y1, Y0, Y4; \
	VPUNPCKHDQ  Y1, Y0, Y5; \
	VPUNPCKLDQ  Y3, Y2, Y6; \
	VPUNPCKHDQ  Y3, Y2, Y7; \
	VPUNPCKLQDQ Y6, Y4, Y0; \
	VPUNPCKHQDQ Y6, Y4, Y6; \
	VPUNPCKLQDQ Y7, Y5, Y2; \
	VPUNPCKHQDQ Y7, Y5, Y4; \
	VPSRLW      $4, Y0, Y1; \
	VPSRLW      $4, Y6, Y7; \
	VPSRLW      $4, Y2, Y3; \
	VPSRLW      $4, Y4, Y5; \
	EACH_OF_EIGHT(VPAND, Y14)

#define EACH_OF_EIGHT(OP, Y) \
	OP Y, Y0, Y0; \
	OP Y, Y1, Y1; \
	OP Y, Y2, Y2; \
	OP Y, Y3, Y3; \
	OP Y, Y4, Y4; \
	OP Y, Y5, Y5; \
	OP Y, Y6, Y6; \
	OP Y, Y7, Y7

// EIGHT_TABLE looks them up.
#define EIGHT_TABLE \
	VPSHUFB Y0, Y15, Y0; \
	VPSHUFB Y1, Y15, Y1; \
	VPSHUFB Y2, Y15, Y2; \
	VPSHUFB Y3, Y15, Y3; \
	VPSHUFB Y4, Y15, Y4; \
	VPSHUFB Y5, Y15, Y5; \
	VPSHUFB Y6, Y15, Y6; \
	VPSHUFB Y7, Y15, Y7

// EIGHT_Q4_K does it with 32 bytes of a unit: their lower nibbles are A, the upper ones B.
#define EIGHT_Q4_K \
	VMOVDQU     16(SI), Y0; \
	VMOVDQU     48(SI), Y1; \
	VMOVDQU     80(SI), Y2; \
	VMOVDQU     112(SI), Y3; \
	VPUNPCKLDQ  Y1, Y0, Y4; \
	VPUNPCKHDQ  Y1, Y0, Y5; \
	VPUNPCKLDQ  Y3, Y2, Y6; \
	VPUNPCKHDQ  Y3, Y2, Y7; \
	VPUNPCKLQDQ Y6, Y4, Y0; \
	VPUNPCKHQDQ Y6, Y4, Y6; \
	VPUNPCKLQDQ Y7, Y5, Y2; \
	VPUNPCKHQDQ Y7, Y5, Y4; \
	A_AND_B(Y0, X8, Y8, Y1); \
	A_AND_B(Y6, X9, Y9, Y7); \
	A_AND_B(Y2, X8, Y8, Y3); \
	A_AND_B(Y4, X9, Y9, Y5)

// A_AND_B makes of W, a word of the first 16 bytes | one of the last, the words of A | B: those of the first in W, of the last in V.
#define A_AND_B(W, XB, B, V) \
	VPSRLW      $4, W, B; \
	VPAND       Y14, W, W; \
	VPAND       Y14, B, B; \
	VPERM2I128  $0x31, B, W, V; \
	VINSERTI128 $1, XB, W, W

#define EIGHT_HALVES(U0, U1, U2, U3) \
	U0(0); \
	VPUNPCKLDQ  Y3, Y2, Y4; \
	VPUNPCKHDQ  Y3, Y2, Y5; \
	U1(1); \
	VPUNPCKLDQ  Y3, Y2, Y6; \
	VPUNPCKHDQ  Y3, Y2, Y7; \
	VPUNPCKLQDQ Y6, Y4, Y0; \
	VPUNPCKHQDQ Y6, Y4, Y1; \
	VPUNPCKLQDQ Y7, Y5, Y4; \
	VPUNPCKHQDQ Y7, Y5, Y5; \
	U2(2); \
	VPUNPCKLDQ  Y3, Y2, Y6; \
	VPUNPCKHDQ  Y3, Y2, Y7; \
	U3(3); \
	VPUNPCKLDQ  Y3, Y2, Y8; \
	VPUNPCKHDQ  Y3, Y2, Y9; \
	VPUNPCKLQDQ Y8, Y6, Y2; \
	VPUNPCKHQDQ Y8, Y6, Y3; \
	VPUNPCKLQDQ Y9, Y7, Y6; \
	VPUNPCKHQDQ Y9, Y7, Y7

#define EIGHT_Q2_K     EIGHT_HALVES(UNPACK_Q2_K_0, UNPACK_Q2_K_1, UNPACK_Q2_K_2, UNPACK_Q2_K_3)
#define EIGHT_Q3_K     EIGHT_HALVES(UNPACK_Q3_K_0, UNPACK_Q3_K_1, UNPACK_Q3_K_2, UNPACK_Q3_K_3)
#define EIGHT_Q6_K     EIGHT_HALVES(UNPACK_Q6_K_0, UNPACK_Q6_K_1, UNPACK_Q6_K_2, UNPACK_Q6_K_3)

// KEEP_… stores scales and minimums while weights are unpacked. READY_… loads what tokens want: scales in Y12, and in Y13 those of the
// last halves, minimums or ones.
#define KEEP_BLOCKS      VMOVUPS Y1, S_SCALES(R13)
#define KEEP_BLOCKS_MIN  KEEP_BLOCKS; VMOVUPS Y10, (S_SCALES+64)(R13)
#define KEEP_HALVES      KEEP_BLOCKS; VMOVUPS Y12, (S_SCALES+32)(R13)
#define KEEP_HALVES_MIN  KEEP_HALVES; VMOVUPS Y10, (S_SCALES+64)(R13); VMOVUPS Y11, (S_SCALES+96)(R13)
#define READY_BLOCKS     VMOVUPS S_SCALES(R13), Y12; VMOVDQU ones16<>(SB), Y13
#define READY_BLOCKS_MIN VMOVUPS S_SCALES(R13), Y12; VMOVUPS (S_SCALES+64)(R13), Y13
#define READY_HALVES     VMOVUPS S_SCALES(R13), Y12; VMOVUPS (S_SCALES+32)(R13), Y13
#define READY_HALVES_MIN READY_HALVES

VECTOR(ones16, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x00010001)

// SIGNS_… keeps signed weights in the frame, and leaves them without their signs.
#define SIGNS_BLOCKS \
	KEEP_SIGNS(Y0, 0); \
	KEEP_SIGNS(Y1, 32); \
	KEEP_SIGNS(Y6, 64); \
	KEEP_SIGNS(Y7, 96); \
	KEEP_SIGNS(Y2, 128); \
	KEEP_SIGNS(Y3, 160); \
	KEEP_SIGNS(Y4, 192); \
	KEEP_SIGNS(Y5, 224)

#define SIGNS_HALVES \
	KEEP_SIGNS(Y0, 0); \
	KEEP_SIGNS(Y1, 32); \
	KEEP_SIGNS(Y4, 64); \
	KEEP_SIGNS(Y5, 96); \
	KEEP_SIGNS(Y2, 128); \
	KEEP_SIGNS(Y3, 160); \
	KEEP_SIGNS(Y6, 192); \
	KEEP_SIGNS(Y7, 224)

#define KEEP_SIGNS(w, at) \
	VMOVDQU w, (S_SIGNED+at)(R13); \
	VPABSB  w, w

// A TOKEN_… multiplies with the activations of one token at BX.

// FOUR_WORDS sums up the products of four words, for weights up to 31: 4·2·127·31 fits 16 bits.
#define FOUR_WORDS(q, a, b, c, d, V) \
	VPMADDUBSW (q)(BX), a, V; \
	VPMADDUBSW (q+32)(BX), b, Y10; \
	VPMADDUBSW (q+64)(BX), c, Y11; \
	VPADDW     Y10, V, V; \
	VPMADDUBSW (q+96)(BX), d, Y10; \
	VPADDW     Y10, Y11, Y11; \
	VPADDW     Y11, V, V

// WORDS_U4 leaves sums of two of all words, for weights up to 15, WORDS_U5 sums of four.
#define WORDS_U4(ONES16) \
	FOUR_WORDS(0, Y0, Y1, Y6, Y7, Y8); \
	FOUR_WORDS(128, Y2, Y3, Y4, Y5, Y9); \
	VPADDW   Y9, Y8, Y8; \
	VPMADDWD ONES16, Y8, Y8

#define WORDS_U5(ONES16) \
	FOUR_WORDS(0, Y0, Y1, Y6, Y7, Y8); \
	FOUR_WORDS(128, Y2, Y3, Y4, Y5, Y9); \
	VPMADDWD ONES16, Y8, Y8; \
	VPMADDWD ONES16, Y9, Y9; \
	VPADDD   Y9, Y8, Y8

#define TO_LANES \
	VCVTDQ2PS   Y8, Y8; \
	VMULPS      256(BX), Y12, Y9; \
	VFMADD213PS (R11)(DX*1), Y8, Y9

#define TOKEN_BLOCKS(WORDS) \
	WORDS; \
	VPADDD  320(BX), Y8, Y8; \
	TO_LANES; \
	VMOVUPS Y9, (R11)(DX*1)

#define TOKEN_BLOCKS_MIN(WORDS) \
	WORDS; \
	TO_LANES; \
	VFMADD231PS 320(BX), Y13, Y9; \
	VMOVUPS     Y9, (R11)(DX*1)

#define TOKEN_BLOCKS_U4     TOKEN_BLOCKS(WORDS_U4(Y13))
#define TOKEN_BLOCKS_U5     TOKEN_BLOCKS(WORDS_U5(Y13))
#define TOKEN_BLOCKS_MIN_U4 TOKEN_BLOCKS_MIN(WORDS_U4(ones16<>(SB)))
#define TOKEN_BLOCKS_MIN_U5 TOKEN_BLOCKS_MIN(WORDS_U5(ones16<>(SB)))

// WORDS_VNNI adds the products of four words to A, that is a, and B.
#define WORDS_VNNI(q, w0, w1, w2, w3, a, b) \
	VPDPBUSD_Q(q, w0, a); \
	VPDPBUSD_Q(q+32, w1, b); \
	VPDPBUSD_Q(q+64, w2, a); \
	VPDPBUSD_Q(q+96, w3, b)

#define BLOCKS_VNNI \
	VPXOR  Y9, Y9, Y9; \
	WORDS_VNNI(0, 0, 1, 6, 7, 8, 9); \
	WORDS_VNNI(128, 2, 3, 4, 5, 8, 9); \
	VPADDD Y9, Y8, Y8

#define TOKEN_BLOCKS_VNNI \
	VMOVDQU 320(BX), Y8; \
	BLOCKS_VNNI; \
	TO_LANES; \
	VMOVUPS Y9, (R11)(DX*1)

#define TOKEN_BLOCKS_MIN_VNNI \
	VPXOR Y8, Y8, Y8; \
	TOKEN_BLOCKS_MIN(BLOCKS_VNNI)

// Signed weights: |w| · sign(w)·q. Two of those products fit 16 bits.
#define WORD_S8(q, w, V) \
	VMOVDQU    (q)(BX), V; \
	VPSIGNB    (S_SIGNED+q)(R13), V, V; \
	VPMADDUBSW V, w, V

#define FOUR_WORDS_S8(q, a, b, c, d, V) \
	WORD_S8(q, a, V); \
	WORD_S8(q+32, b, Y10); \
	VPMADDWD Y13, V, V; \
	VPMADDWD Y13, Y10, Y10; \
	WORD_S8(q+64, c, Y11); \
	VPADDD   Y10, V, V; \
	WORD_S8(q+96, d, Y10); \
	VPMADDWD Y13, Y11, Y11; \
	VPMADDWD Y13, Y10, Y10; \
	VPADDD   Y10, Y11, Y11; \
	VPADDD   Y11, V, V

#define TOKEN_BLOCKS_S8 \
	FOUR_WORDS_S8(0, Y0, Y1, Y6, Y7, Y8); \
	FOUR_WORDS_S8(128, Y2, Y3, Y4, Y5, Y9); \
	VPADDD  Y9, Y8, Y8; \
	TO_LANES; \
	VMOVUPS Y9, (R11)(DX*1)

// Halves go to the lanes one after the other.
#define TOKEN_HALVES(FIRST, LAST) \
	FIRST; \
	VPADDD      320(BX), Y8, Y8; \
	TO_LANES; \
	LAST; \
	VPADDD      352(BX), Y8, Y8; \
	TO_LANES_TOO

#define TO_LANES_TOO \
	VCVTDQ2PS   Y8, Y8; \
	VMULPS      288(BX), Y13, Y10; \
	VFMADD231PS Y10, Y8, Y9; \
	VMOVUPS     Y9, (R11)(DX*1)

#define HALF_U5(q, a, b, c, d) \
	FOUR_WORDS(q, a, b, c, d, Y8); \
	VPMADDWD ones16<>(SB), Y8, Y8

#define TOKEN_HALVES_U5 TOKEN_HALVES(HALF_U5(0, Y0, Y1, Y4, Y5), HALF_U5(128, Y2, Y3, Y6, Y7))

#define TOKEN_HALVES_MIN(FIRST, LAST) \
	FIRST; \
	TO_LANES; \
	VMOVUPS     320(BX), Y10; \
	VFMADD231PS (S_SCALES+64)(R13), Y10, Y9; \
	LAST; \
	VCVTDQ2PS   Y8, Y8; \
	VMULPS      288(BX), Y13, Y10; \
	VFMADD231PS Y10, Y8, Y9; \
	VMOVUPS     352(BX), Y10; \
	VFMADD231PS (S_SCALES+96)(R13), Y10, Y9; \
	VMOVUPS     Y9, (R11)(DX*1)

#define TOKEN_HALVES_MIN_U5 TOKEN_HALVES_MIN(HALF_U5(0, Y0, Y1, Y4, Y5), HALF_U5(128, Y2, Y3, Y6, Y7))

// For weights up to 63 two words fit 16 bits.
#define HALF_U6(q, a, b, c, d) \
	VPMADDUBSW (q)(BX), a, Y8; \
	VPMADDUBSW (q+32)(BX), b, Y10; \
	VPADDW     Y10, Y8, Y8; \
	VPMADDUBSW (q+64)(BX), c, Y10; \
	VPMADDUBSW (q+96)(BX), d, Y11; \
	VPADDW     Y11, Y10, Y10; \
	VPMADDWD   ones16<>(SB), Y8, Y8; \
	VPMADDWD   ones16<>(SB), Y10, Y10; \
	VPADDD     Y10, Y8, Y8

#define TOKEN_HALVES_U6 TOKEN_HALVES(HALF_U6(0, Y0, Y1, Y4, Y5), HALF_U6(128, Y2, Y3, Y6, Y7))

#define HALF_VNNI(q, w0, w1, w2, w3) \
	VPXOR  Y10, Y10, Y10; \
	WORDS_VNNI(q, w0, w1, w2, w3, 8, 10); \
	VPADDD Y10, Y8, Y8

#define TOKEN_HALVES_VNNI \
	VMOVDQU 320(BX), Y8; \
	HALF_VNNI(0, 0, 1, 4, 5); \
	TO_LANES; \
	VMOVDQU 352(BX), Y8; \
	HALF_VNNI(128, 2, 3, 6, 7); \
	TO_LANES_TOO

#define HALF_MIN_VNNI(q, w0, w1, w2, w3) \
	VPXOR Y8, Y8, Y8; \
	HALF_VNNI(q, w0, w1, w2, w3)

#define TOKEN_HALVES_MIN_VNNI TOKEN_HALVES_MIN(HALF_MIN_VNNI(0, 0, 1, 4, 5), HALF_MIN_VNNI(128, 2, 3, 6, 7))

// Signed weights that are expanded are at most 62: two words fit.
#define HALF_S8(q, a, b, c, d) \
	WORD_S8(q, a, Y8); \
	WORD_S8(q+32, b, Y10); \
	WORD_S8(q+64, c, Y11); \
	VPADDW   Y10, Y8, Y8; \
	WORD_S8(q+96, d, Y10); \
	VPMADDWD ones16<>(SB), Y8, Y8; \
	VPADDW   Y10, Y11, Y11; \
	VPMADDWD ones16<>(SB), Y11, Y11; \
	VPADDD   Y11, Y8, Y8

#define TOKEN_HALVES_S8 \
	HALF_S8(0, Y0, Y1, Y4, Y5); \
	TO_LANES; \
	HALF_S8(128, Y2, Y3, Y6, Y7); \
	TO_LANES_TOO

// A wide format is expanded to S_WIDE first, where R14 points to, with its scales.
#define SEVERAL_EXPANDED(bytes, AHEAD, prepare, EXPAND, READY, TOKEN) \
	SEVERAL(bytes, AHEAD, EXPANDED(prepare, EXPAND), KEEP_EXPANDED, EIGHT_EXPANDED, READY, TOKEN)

#define EXPANDED(prepare, THEN) \
	LEAQ S_WIDE(R13), R14; \
	CALL prepare<>(SB); \
	THEN

#define EIGHT_EXPANDED EIGHT_HALVES(UNPACK_EXPANDED, UNPACK_EXPANDED, UNPACK_EXPANDED, UNPACK_EXPANDED)
#define NO_CODEBOOK
#define KEEP_EXPANDED
#define READY_EXPANDED VMOVUPS 256(R14), Y12; VMOVUPS 288(R14), Y13

#define UNPACK_EXPANDED(j) \
	VMOVDQU (64*j)(R14), Y2; \
	VMOVDQU (64*j+32)(R14), Y3

// FOUR_SUMS adds the lanes of up to four tokens at a(R11), of CX, and stores the sums at DI, BX floats apart.
#define PAIRS_OF_LANES(a, X) \
	VMOVUPS (a)(R11), X; \
	VADDPS  (a+16)(R11), X, X

#define FOUR_SUMS(a, done) \
	PAIRS_OF_LANES(a, X0); \
	PAIRS_OF_LANES(a+32, X1); \
	PAIRS_OF_LANES(a+64, X2); \
	PAIRS_OF_LANES(a+96, X3); \
	VMOVLHPS   X1, X0, X4; \
	VMOVHLPS   X0, X1, X5; \
	VADDPS     X5, X4, X4; \
	VMOVLHPS   X3, X2, X6; \
	VMOVHLPS   X2, X3, X7; \
	VADDPS     X7, X6, X6; \
	VSHUFPS    $0x88, X6, X4, X0; \
	VSHUFPS    $0xdd, X6, X4, X1; \
	VADDPS     X1, X0, X0; \
	VMOVSS     X0, (DI); \
	CMPQ       CX, $2; \
	JLT        done; \
	VEXTRACTPS $1, X0, (DI)(BX*4); \
	LEAQ       (DI)(BX*8), DI; \
	JEQ        done; \
	VEXTRACTPS $2, X0, (DI); \
	CMPQ       CX, $4; \
	JLT        done; \
	VEXTRACTPS $3, X0, (DI)(BX*4)
