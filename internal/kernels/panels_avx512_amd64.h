#include "panels_amd64.h"

// What the files of avx512's panels share.

// TILES. A step of a tile is done for each of its tokens: TOKENSn has STEP for n of them, with the integer sums I and J and the float
// sums F and G of token t, for rows 0–15 and 16–31, and the numbers f and g of the latter; d goes to STEP.
#define TOKENS1(STEP, d) STEP(d, 0, Z0, Z6, Z12, Z18, 12, 18)
#define TOKENS2(STEP, d) TOKENS1(STEP, d) STEP(d, 1, Z1, Z7, Z13, Z19, 13, 19)
#define TOKENS3(STEP, d) TOKENS2(STEP, d) STEP(d, 2, Z2, Z8, Z14, Z20, 14, 20)
#define TOKENS4(STEP, d) TOKENS3(STEP, d) STEP(d, 3, Z3, Z9, Z15, Z21, 15, 21)
#define TOKENS5(STEP, d) TOKENS4(STEP, d) STEP(d, 4, Z4, Z10, Z16, Z22, 16, 22)
#define TOKENS6(STEP, d) TOKENS5(STEP, d) STEP(d, 5, Z5, Z11, Z17, Z23, 17, 23)

// The arguments, before the first function: vet takes them for arguments of the function above.
#define PANELARGS \
	MOVQ  dst+0(FP), DX      \
	MOVQ  stride+8(FP), SI   \
	MOVQ  w+16(FP), R8       \
	MOVQ  x+24(FP), R9       \
	MOVQ  n+32(FP), R10      \
	MOVQ  blocks+40(FP), R11 \
	MOVL  exist+48(FP), AX   \
	MOVL  add+52(FP), BX     \
	SHLQ  $2, SI             \
	KMOVW AX, K1             \
	SHRL  $16, AX            \
	KMOVW AX, K2             \
	KMOVW BX, K3             \
	SHRL  $16, BX            \
	KMOVW BX, K4

#define ZERO(d, t, I, J, F, G, f, g) \
	VPXORD F, F, F \
	VPXORD G, G, G

// K1 and K2 are the rows that exist, K3 and K4 the same or, where dst does not count yet, none.
#define OUT(d, t, I, J, F, G, f, g) \
	VMOVUPS.Z (DX), K3, Z26   \
	VMOVUPS.Z 64(DX), K4, Z27 \
	VADDPS    Z26, F, F       \
	VADDPS    Z27, G, G       \
	VMOVUPS   F, K1, (DX)     \
	VMOVUPS   G, K2, 64(DX)   \
	ADDQ      SI, DX

// DONE ends a tile of T tokens of XB bytes each.
#define DONE(T, TOKENS, XB) \
	TOKENS(OUT, 0)       \
	ADDQ $(XB*T), R9     \
	SUBQ $T, R10         \
	JMP  next

// FLOATS. A tile of panels that hold, column by column, 32 rows of four bytes, floats or pairs, and tokens that hold 128 columns at a time.
// FDOT, a step, adds the products of a column's rows, Z24 and Z25, and the token.
#define XFLOATS 512

// AHEAD fetches what OUT will need of dst.
#define AHEAD \
	LEAQ       (DX)(SI*2), R14 \
	ADDQ       SI, R14         \
	PREFETCHT0 (DX)            \
	PREFETCHT0 64(DX)          \
	PREFETCHT0 (DX)(SI*1)      \
	PREFETCHT0 64(DX)(SI*1)    \
	PREFETCHT0 (DX)(SI*2)      \
	PREFETCHT0 64(DX)(SI*2)    \
	PREFETCHT0 (R14)           \
	PREFETCHT0 64(R14)         \
	PREFETCHT0 (R14)(SI*1)     \
	PREFETCHT0 64(R14)(SI*1)   \
	PREFETCHT0 (R14)(SI*2)     \
	PREFETCHT0 64(R14)(SI*2)

#define FWEIGHTS(d) \
	VMOVUPS (128*d)(AX), Z24    \
	VMOVUPS (128*d+64)(AX), Z25

#define FTILE(T, TOKENS, loop, rest, out, part) \
	TOKENS(ZERO, 0)                     \
	AHEAD                               \
	LEAQ (XFLOATS*T)(R9), DI            \
	COLUMNS(TOKENS, 128, loop, rest, out) \
	DONE(T, TOKENS, XFLOATS)

// PACKING. A call packs 16 rows, the lanes of a vector, from one end to the other. R12 is a table of 16 pointers to rows, R13
// the offset of the block at hand in each of them, DI where it goes, CX how many blocks are left, K1 the rows that exist.
// Bytes are loaded row by row, four rows to a register, and transposed, so that a register holds four bytes of
// each of 16 rows, here called a quad: the form that the panel has.

#define WBLOCK 1152
#define OBLOCK 1280

// ALIGN makes BX the scratch at the frame's bottom, on a cache line.
#define ALIGN \
	LEAQ 63(SP), BX \
	ANDQ $~63, BX

#define PACKARGS(EXIST) \
	FPACKARGS    \
	MOVL  EXIST, AX \
	KMOVW AX, K1

// FETCH has some lines of the 16 rows below brought into the cache, those that are packed next, as many as 72 bytes of each row come to:
// one after another, as memory likes it best.
#define FETCH \
	MOVQ       rowBytes+24(FP), R8 \
	ADDQ       R13, R8             \
	SHLQ       $4, R8              \
	ADDQ       (R12), R8           \
	PREFETCHT1 (R8)                \
	PREFETCHT1 64(R8)              \
	PREFETCHT1 128(R8)             \
	PREFETCHT1 192(R8)             \
	PREFETCHT1 256(R8)             \
	PREFETCHT1 320(R8)             \
	PREFETCHT1 384(R8)             \
	PREFETCHT1 448(R8)             \
	PREFETCHT1 512(R8)             \
	PREFETCHT1 576(R8)             \
	PREFETCHT1 640(R8)             \
	PREFETCHT1 704(R8)             \
	PREFETCHT1 768(R8)             \
	PREFETCHT1 832(R8)             \
	PREFETCHT1 896(R8)             \
	PREFETCHT1 960(R8)             \
	PREFETCHT1 1024(R8)            \
	PREFETCHT1 1088(R8)

// FOUR loads 16 bytes at offset o of rows r, r+4, r+8, r+12.
#define FOUR(r, o, X, Z) \
	MOVQ         (8*r)(R12), R8           \
	MOVQ         (8*r+32)(R12), R9        \
	MOVQ         (8*r+64)(R12), R10       \
	MOVQ         (8*r+96)(R12), R11       \
	VMOVDQU32    o(R8)(R13*1), X          \
	VINSERTI32X4 $1, o(R9)(R13*1), Z, Z   \
	VINSERTI32X4 $2, o(R10)(R13*1), Z, Z  \
	VINSERTI32X4 $3, o(R11)(R13*1), Z, Z

// QUADS loads 16 bytes at offset o of each row as four quads; Z8 to Z11 are overwritten.
#define QUADS(o, X0, A, X1, B, X2, C, X3, D) \
	FOUR(0, o, X0, A) \
	FOUR(1, o, X1, B) \
	FOUR(2, o, X2, C) \
	FOUR(3, o, X3, D) \
	TRANSPOSE(A, B, C, D, Z8, Z9, Z10, Z11)

// HALF converts the lower halves of the lanes of Z to float.
#define HALF(Z, Y) \
	VPMOVDW   Z, Y \
	VCVTPH2PS Y, Z

#define BYTES(n, Z) \
	MOVL         $(n*0x01010101), AX \
	VPBROADCASTD AX, Z

DATA sign<>+0(SB)/4, $0x80808080
GLOBL sign<>(SB), RODATA, $4

DATA nibble<>+0(SB)/4, $0x0F0F0F0F
GLOBL nibble<>(SB), RODATA, $4
