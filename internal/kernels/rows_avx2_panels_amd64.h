// A panel is a super-block of eight rows, a row per lane, in units of 768 bytes: eight vectors of four weights of block A, eight
// of B; at 512 the scales of A (of both halves where halves have scales), then of B; at 640 the minimums likewise.

// A scales routine writes a row's scales in lanes to 0(DI) and 32(DI), its minimums to 64(DI) and 96(DI).
#define STORE VMOVUPS Y1, (DI)
#define STORE_MIN STORE; VMOVUPS Y10, 64(DI)
#define STORE_HALVES STORE; VMOVUPS Y12, 32(DI)
#define STORE_HALVES_MIN STORE_HALVES; VMOVUPS Y10, 64(DI); VMOVUPS Y11, 96(DI)

// TRANSPOSE makes four vectors Y0 … Y3, a word of eight rows each, of rows 0 … 3 in X0 … X3 and, in memory, 4 … 7.
#define TRANSPOSE(r4, r5, r6, r7) \
	VINSERTI128 $1, r4, Y0, Y0; \
	VINSERTI128 $1, r5, Y1, Y1; \
	VINSERTI128 $1, r6, Y2, Y2; \
	VINSERTI128 $1, r7, Y3, Y3; \
	VPUNPCKLDQ  Y1, Y0, Y4; \
	VPUNPCKHDQ  Y1, Y0, Y5; \
	VPUNPCKLDQ  Y3, Y2, Y6; \
	VPUNPCKHDQ  Y3, Y2, Y7; \
	VPUNPCKLQDQ Y6, Y4, Y0; \
	VPUNPCKHQDQ Y6, Y4, Y1; \
	VPUNPCKLQDQ Y7, Y5, Y2; \
	VPUNPCKHQDQ Y7, Y5, Y3

// A lanes routine takes what eight scales routines wrote to SI, 128 bytes each, into the panel at DI.

// LANES makes four vectors at a … d(DI) of 16 bytes at o.
#define LANES(o, a, b, c, d) \
	VMOVDQU (o)(SI), X0; \
	VMOVDQU (o+128)(SI), X1; \
	VMOVDQU (o+256)(SI), X2; \
	VMOVDQU (o+384)(SI), X3; \
	TRANSPOSE((o+512)(SI), (o+640)(SI), (o+768)(SI), (o+896)(SI)); \
	VMOVDQU Y0, (a)(DI); \
	VMOVDQU Y1, (b)(DI); \
	VMOVDQU Y2, (c)(DI); \
	VMOVDQU Y3, (d)(DI)

#define LANES_BLOCKS(o, p) \
	LANES(o, p, p+768, p+1536, p+2304); \
	LANES(o+16, p+32, p+800, p+1568, p+2336)

#define LANES_HALVES(o, p) \
	LANES(o, p, p+64, p+768, p+832); \
	LANES(o+16, p+32, p+96, p+800, p+864); \
	LANES(o+32, p+1536, p+1600, p+2304, p+2368); \
	LANES(o+48, p+1568, p+1632, p+2336, p+2400)

TEXT lanesBlocks<>(SB), NOSPLIT|NOFRAME, $0-0
	LANES_BLOCKS(0, 512)
	RET

TEXT lanesBlocksMin<>(SB), NOSPLIT|NOFRAME, $0-0
	LANES_BLOCKS(0, 512)
	LANES_BLOCKS(64, 640)
	RET

TEXT lanesHalves<>(SB), NOSPLIT|NOFRAME, $0-0
	LANES_HALVES(0, 512)
	RET

TEXT lanesHalvesMin<>(SB), NOSPLIT|NOFRAME, $0-0
	LANES_HALVES(0, 512)
	LANES_HALVES(64, 640)
	RET

// A weights routine takes the weights of eight rows at R8 … R12, AX, BX and DX into the panel at DI. CX counts bytes of the rows.

// RAW makes vectors of 16 bytes at o of the rows.
#define RAW(o) \
	VMOVDQU (o)(R8)(CX*1), X0; \
	VMOVDQU (o)(R9)(CX*1), X1; \
	VMOVDQU (o)(R10)(CX*1), X2; \
	VMOVDQU (o)(R11)(CX*1), X3; \
	TRANSPOSE((o)(R12)(CX*1), (o)(AX)(CX*1), (o)(BX)(CX*1), (o)(DX)(CX*1))

// KEEP saves them in Y8 … Y11, for upper bits.
#define KEEP(o) \
	RAW(o); \
	VMOVDQA Y0, Y8; \
	VMOVDQA Y1, Y9; \
	VMOVDQA Y2, Y10; \
	VMOVDQA Y3, Y11

// SPLIT stores the lower halves of all bytes at o of the rows at low of the panel, the upper halves at high, once MAP has been
// at them. s is what MAP is told: the first one's number.
#define SPLIT(o, MAP, low, high) \
	RAW(o); \
	SPLIT_ONE(Y0, MAP, 0, low, high); \
	SPLIT_ONE(Y1, MAP, 4, low+32, high+32); \
	SPLIT_ONE(Y2, MAP, 8, low+64, high+64); \
	SPLIT_ONE(Y3, MAP, 12, low+96, high+96)

#define SPLIT_ONE(Y, MAP, s, low, high) \
	VPSRLW  $4, Y, Y4; \
	VPAND   Y14, Y, Y; \
	VPAND   Y14, Y4, Y4; \
	MAP(Y, s); \
	MAP(Y4, s+16); \
	VMOVDQU Y, (low)(DI); \
	VMOVDQU Y4, (high)(DI)

#define MAP_NOTHING(Y, s)
#define MAP_TABLE(Y, s) VPSHUFB Y, Y15, Y

// MAP_FIFTH adds the four bits s … s+3 of the words in Y8, as bits 4 of four bytes.
#define MAP_FIFTH(Y, s) \
	VPSRLD  $(s), Y8, Y5; \
	VPAND   Y9, Y5, Y5; \
	VPMULLD Y10, Y5, Y5; \
	VPAND   Y11, Y5, Y5; \
	VPOR    Y5, Y, Y

#define FIFTH(o) \
	RAW(o); \
	VMOVDQA Y0, Y8

// SPLIT_UPPER is SPLIT with a bit more, or two, of Y8 … Y11, shifted to their place for the lower halves and for the upper.
#define SPLIT_UPPER(o, SHIFT1, a, SHIFT2, b, low, high) \
	RAW(o); \
	UPPER_ONE(Y0, Y8, SHIFT1, a, SHIFT2, b, low, high); \
	UPPER_ONE(Y1, Y9, SHIFT1, a, SHIFT2, b, low+32, high+32); \
	UPPER_ONE(Y2, Y10, SHIFT1, a, SHIFT2, b, low+64, high+64); \
	UPPER_ONE(Y3, Y11, SHIFT1, a, SHIFT2, b, low+96, high+96)

#define UPPER_ONE(Y, U, SHIFT1, a, SHIFT2, b, low, high) \
	VPSRLW  $4, Y, Y4; \
	SHIFT1  $a, U, Y5; \
	SHIFT2  $b, U, Y6; \
	VPAND   Y14, Y, Y; \
	VPAND   Y14, Y4, Y4; \
	VPAND   Y15, Y5, Y5; \
	VPAND   Y15, Y6, Y6; \
	VPOR    Y5, Y, Y; \
	VPOR    Y6, Y4, Y4; \
	VMOVDQU Y, (low)(DI); \
	VMOVDQU Y4, (high)(DI)

// CRUMBS stores planes of two bits at p of the panel; CRUMBS_UPPER with a third bit.
#define CRUMBS(a, p) \
	CRUMB_ONE(Y0, a, p); \
	CRUMB_ONE(Y1, a, p+32); \
	CRUMB_ONE(Y2, a, p+64); \
	CRUMB_ONE(Y3, a, p+96)

#define CRUMB_ONE(Y, a, p) \
	VPSRLW  $a, Y, Y4; \
	VPAND   Y15, Y4, Y4; \
	VMOVDQU Y4, (p)(DI)

#define CRUMBS_UPPER(a, SHIFT, b, p) \
	CRUMB_UPPER_ONE(Y0, a, Y8, SHIFT, b, p); \
	CRUMB_UPPER_ONE(Y1, a, Y9, SHIFT, b, p+32); \
	CRUMB_UPPER_ONE(Y2, a, Y10, SHIFT, b, p+64); \
	CRUMB_UPPER_ONE(Y3, a, Y11, SHIFT, b, p+96)

#define CRUMB_UPPER_ONE(Y, a, U, SHIFT, b, p) \
	VPSRLW  $a, Y, Y4; \
	SHIFT   $b, U, Y5; \
	VPAND   Y15, Y4, Y4; \
	VPAND   Y14, Y5, Y5; \
	VPOR    Y5, Y4, Y4; \
	VMOVDQU Y4, (p)(DI)

// BYTES stores them whole.
#define BYTES(o, MAP, p) \
	RAW(o); \
	MAP(Y0, 0); \
	MAP(Y1, 0); \
	MAP(Y2, 0); \
	MAP(Y3, 0); \
	VMOVDQU Y0, (p)(DI); \
	VMOVDQU Y1, (p+32)(DI); \
	VMOVDQU Y2, (p+64)(DI); \
	VMOVDQU Y3, (p+96)(DI)

#define MAP_UP(Y, s) VPXOR Y15, Y, Y

// Formats of blocks go unit by unit.
#define EACH_UNIT(bytes, A, B) \
	NIBBLES; \
	XORL CX, CX; \
loop: \
	A; \
	B; \
	ADDQ $768, DI; \
	ADDQ $bytes, CX; \
	CMPQ CX, $(4*bytes); \
	JNE  loop; \
	RET

// Formats of super-blocks go by the first and the last 16 bytes of runs of 32.
#define EACH_SIXTEEN(A, B, C, D) \
	XORL CX, CX; \
loop: \
	A; \
	B; \
	C; \
	D; \
	ADDQ $128, DI; \
	ADDQ $16, CX; \
	CMPQ CX, $32; \
	JNE  loop; \
	RET
