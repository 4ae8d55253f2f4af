// Tiles of eight rows and up to four tokens for rows_avx2_amd64.s.

// The frame of rowsManyAVX2, offsets from R13.
#define SHARES 0     // shares of all tokens, 24576 bytes
#define ACCS   24576 // accumulators of 16 tokens, 256 bytes each
#define SCALES 28672 // scales of eight rows, 128 bytes each
#define PANEL  29696 // a panel
#define TAILS  32768 // tails of eight rows, 288 bytes each
#define PLACE  35072 // where eight rows are read
#define KIND_  35136 // what is known of the format
#define XSTEP  35144 // bytes from token to token of x
#define SSTEP  35152 // and of the shares
#define ROWNO  35160 // the first of the eight rows
#define SUPER  35168 // the super-block
#define TOKEN  35176 // the first token of a tile
#define EXPANDED 35200 // eight rows of a wide format, WIDE_BYTES each

// A tile routine multiplies CX units of the panel with four tokens, or two:
//
//	token  activations  shares  sums  accumulators
//	0      R8           DX      Y0    DI
//	1      R9           R12     Y1    DI + 256
//	2      R10          BX      Y2    DI + 512
//	3      R11          AX      Y3    DI + 768
//
// A token's accumulators are a vector of eight rows for each of the eight lanes that a row has. Y4, Y6, Y7 and Y8 hold weights,
// Y11 scales, Y12 minimums.

// EACH4 and EACH2 apply a macro to every token; a and b go with it.
#define EACH4(M, a, b) \
	EACH2(M, a, b); \
	M(R10, BX, Y2, 2, 512, a, b); \
	M(R11, AX, Y3, 3, 768, a, b)

#define EACH2(M, a, b) \
	M(R8, DX, Y0, 0, 0, a, b); \
	M(R9, R12, Y1, 1, 256, a, b)

#define LOAD_QUAD(w) \
	VMOVDQU (w)(SI), Y4; \
	VMOVDQU (w+32)(SI), Y6; \
	VMOVDQU (w+64)(SI), Y7; \
	VMOVDQU (w+96)(SI), Y8

// QUAD_… adds the products of four vectors of weights with 16 activations at q(x) to A. QUAD_VNNI mixes loads and shuffles, which
// otherwise hold each other up.
#define QUAD_VNNI(x, s, A, n, acc, q, b) \
	VBROADCASTI128 (q)(x), Y5; \
	VPBROADCASTD (q)(x), Y9; \
	VPSHUFD $0x55, Y5, Y10; \
	VPDPBUSD(9, 4, n); \
	VPBROADCASTD (q+8)(x), Y9; \
	VPDPBUSD(10, 6, n); \
	VPSHUFD $0xFF, Y5, Y5; \
	VPDPBUSD(9, 7, n); \
	VPDPBUSD(5, 8, n)

// FOUR_WORDS leaves four products per word in Y5.
#define FOUR_WORDS(x, q) \
	VPBROADCASTD (q)(x), Y5; \
	VPMADDUBSW   Y5, Y4, Y5; \
	VPBROADCASTD (q+4)(x), Y9; \
	VPMADDUBSW   Y9, Y6, Y9; \
	VPADDW       Y9, Y5, Y5; \
	VPBROADCASTD (q+8)(x), Y9; \
	VPMADDUBSW   Y9, Y7, Y9; \
	VPBROADCASTD (q+12)(x), Y10; \
	VPMADDUBSW   Y10, Y8, Y10; \
	VPADDW       Y10, Y9, Y9

// Weights up to 31: eight products fit 16 bits.
#define QUAD_U5(x, s, A, n, acc, q, b) \
	FOUR_WORDS(x, q); \
	VPADDW   Y9, Y5, Y5; \
	VPMADDWD Y13, Y5, Y5; \
	VPADDD   Y5, A, A

// Weights up to 63: four do.
#define QUAD_U6(x, s, A, n, acc, q, b) \
	FOUR_WORDS(x, q); \
	VPMADDWD Y13, Y5, Y5; \
	VPMADDWD Y13, Y9, Y9; \
	VPADDD   Y5, A, A; \
	VPADDD   Y9, A, A

// Weights up to 15: sixteen do, so A stays in words until WIDEN.
#define QUAD_U4(x, s, A, n, acc, q, b) \
	FOUR_WORDS(x, q); \
	VPADDW Y5, A, A; \
	VPADDW Y9, A, A

#define WIDEN(x, s, A, n, acc, a, b) \
	VPMADDWD Y13, A, A

// Signed weights, two vectors at a time: |w| · sign(w)·q.
#define LOAD_DUO(w) \
	VMOVDQU (w)(SI), Y4; \
	VMOVDQU (w+32)(SI), Y6; \
	VPABSB  Y4, Y7; \
	VPABSB  Y6, Y8

#define DUO_S8(x, s, A, n, acc, q, b) \
	VPBROADCASTD (q)(x), Y5; \
	VPBROADCASTD (q+4)(x), Y9; \
	VPSIGNB      Y4, Y5, Y5; \
	VPSIGNB      Y6, Y9, Y9; \
	VPMADDUBSW   Y5, Y7, Y5; \
	VPMADDUBSW   Y9, Y8, Y9; \
	VPMADDWD     Y13, Y5, Y5; \
	VPMADDWD     Y13, Y9, Y9; \
	VPADDD       Y5, A, A; \
	VPADDD       Y9, A, A

// BODY_… takes a block of 32, weights at w(SI), activations at q; HALF_… takes 16.
#define BODY_VNNI(EACH, w, q) HALF_VNNI(EACH, w, q); HALF_VNNI(EACH, w+128, q+16)
#define BODY_U5(EACH, w, q) LOAD_QUAD(w); EACH(QUAD_U5, q, 0); LOAD_QUAD(w+128); EACH(QUAD_U5, q+16, 0)
#define BODY_U4(EACH, w, q) LOAD_QUAD(w); EACH(QUAD_U4, q, 0); LOAD_QUAD(w+128); EACH(QUAD_U4, q+16, 0); EACH(WIDEN, 0, 0)
#define BODY_S8(EACH, w, q) \
	LOAD_DUO(w); EACH(DUO_S8, q, 0); LOAD_DUO(w+64); EACH(DUO_S8, q+8, 0); \
	LOAD_DUO(w+128); EACH(DUO_S8, q+16, 0); LOAD_DUO(w+192); EACH(DUO_S8, q+24, 0)
#define HALF_VNNI(EACH, w, q) LOAD_QUAD(w); EACH(QUAD_VNNI, q, 0)
#define HALF_U6(EACH, w, q) LOAD_QUAD(w); EACH(QUAD_U6, q, 0)
#define HALF_S8(EACH, w, q) LOAD_DUO(w); EACH(DUO_S8, q, 0); LOAD_DUO(w+64); EACH(DUO_S8, q+8, 0)

// START_… and FINISH_… are around them. lane is the lane, a number, dx where the activations' scales lie.
#define START_ZERO(x, s, A, n, acc, lane, b) \
	VPXOR A, A, A

#define START_OFFSET(x, s, A, n, acc, lane, b) \
	VPBROADCASTD (4*lane)(s), A

#define FINISH(x, s, A, n, acc, lane, dx) \
	VCVTDQ2PS   A, A; \
	VMULPS      (dx)(x), Y11, Y5; \
	VMOVUPS     (acc+32*lane)(DI), Y9; \
	VFMADD231PS Y5, A, Y9; \
	VMOVUPS     Y9, (acc+32*lane)(DI)

#define FINISH_OFFSET(x, s, A, n, acc, lane, dx) \
	VPBROADCASTD (4*lane)(s), Y5; \
	VPADDD       Y5, A, A; \
	FINISH(x, s, A, n, acc, lane, dx)

#define FINISH_MIN(x, s, A, n, acc, lane, dx) \
	VCVTDQ2PS    A, A; \
	VMULPS       (dx)(x), Y11, Y5; \
	VMOVUPS      (acc+32*lane)(DI), Y9; \
	VFMADD231PS  Y5, A, Y9; \
	VBROADCASTSS (4*lane)(s), Y5; \
	VFMADD231PS  Y5, Y12, Y9; \
	VMOVUPS      Y9, (acc+32*lane)(DI)

// BLOCK is one scale's worth of a unit; d is where the scales lie.
#define BLOCK(EACH, START, BODY, END, w, q, dx, lane, d) \
	VMOVUPS (d)(SI), Y11; \
	VMOVUPS (d+128)(SI), Y12; \
	EACH(START, lane, 0); \
	BODY(EACH, w, q); \
	EACH(END, lane, dx)

#define NEXT_UNITS(n) \
	ADDQ $(768*n), SI; \
	ADDQ $(192*n), R8; \
	ADDQ $(192*n), R9; \
	ADDQ $(192*n), R10; \
	ADDQ $(192*n), R11

#define NEXT_SHARES(n) \
	ADDQ $n, DX; \
	ADDQ $n, R12; \
	ADDQ $n, BX; \
	ADDQ $n, AX

#define TILE(EACH, START, BODY, END) \
	ONES; \
	LEAQ PANEL(R13), SI; \
loop: \
	BLOCK(EACH, START, BODY, END, 0, 0, 64, 0, 512); \
	BLOCK(EACH, START, BODY, END, 256, 32, 96, 4, 544); \
	NEXT_UNITS(1); \
	NEXT_SHARES(4); \
	ADDQ $32, DI; \
	DECQ CX; \
	JNZ  loop; \
	RET

// Two units, then the other two with the second vectors of shares.
#define TILE_HALVES(EACH, START, HALF, END) \
	ONES; \
	LEAQ PANEL(R13), SI; \
loop: \
	BLOCK(EACH, START, HALF, END, 0, 0, 64, 0, 512); \
	BLOCK(EACH, START, HALF, END, 128, 16, 64, 4, 544); \
	BLOCK(EACH, START, HALF, END, 256, 32, 96, 1, 576); \
	BLOCK(EACH, START, HALF, END, 384, 48, 96, 5, 608); \
	NEXT_UNITS(1); \
	BLOCK(EACH, START, HALF, END, 0, 0, 64, 2, 512); \
	BLOCK(EACH, START, HALF, END, 128, 16, 64, 6, 544); \
	BLOCK(EACH, START, HALF, END, 256, 32, 96, 3, 576); \
	BLOCK(EACH, START, HALF, END, 384, 48, 96, 7, 608); \
	NEXT_UNITS(1); \
	NEXT_SHARES(32); \
	SUBQ $2, CX; \
	JGT  loop; \
	RET
