#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"

// Rows of F16 or BF16 times float32 activations, a row and up to three tokens at a time. Each product has 32 accumulators, for
// columns 0 … 31 modulo 32, which rest in memory if the row takes several turns; what a row has beyond a multiple of 32 is copied to a
// buffer of zeros and taken with zeros.
//
//	SI           the row                        R12  rows to go
//	BX, DX, R8   the tokens                     CX   tokens to go
//	DI           their products                 R10  bytes from one to the next
//	R11          their accumulators at rest     R15  the call
//	AX           bytes into the row, of R13 in whole steps
//	R14          what is prefetched             R9   masks of the columns that are left
//	Y0 … Y3, Y4 … Y7, Y8 … Y11  accumulators of the tokens
//	Y12 … Y15    32 weights

DATA masks<>+0(SB)/8, $-1
DATA masks<>+8(SB)/8, $-1
DATA masks<>+16(SB)/8, $-1
DATA masks<>+24(SB)/8, $-1
DATA masks<>+32(SB)/8, $-1
DATA masks<>+40(SB)/8, $-1
DATA masks<>+48(SB)/8, $-1
DATA masks<>+56(SB)/8, $-1
DATA masks<>+64(SB)/8, $-1
DATA masks<>+72(SB)/8, $-1
DATA masks<>+80(SB)/8, $-1
DATA masks<>+88(SB)/8, $-1
DATA masks<>+96(SB)/8, $-1
DATA masks<>+104(SB)/8, $-1
DATA masks<>+112(SB)/8, $-1
DATA masks<>+120(SB)/8, $-1
GLOBL masks<>(SB), RODATA|NOPTR, $256

// WIDEN_… makes floats of eight weights.
#define WIDEN_F16(weights, Y) \
	VCVTPH2PS weights, Y

#define WIDEN_BF16(weights, Y) \
	VPMOVZXWD weights, Y; \
	VPSLLD    $16, Y, Y

#define CLEAR(a, b, c, d) \
	VXORPS a, a, a; \
	VXORPS b, b, b; \
	VXORPS c, c, c; \
	VXORPS d, d, d

#define CLEAR1 CLEAR(Y0, Y1, Y2, Y3)
#define CLEAR2 CLEAR1; CLEAR(Y4, Y5, Y6, Y7)
#define CLEAR3 CLEAR2; CLEAR(Y8, Y9, Y10, Y11)

// MULTIPLY takes 32 columns of the token at x.
#define MULTIPLY(x, a, b, c, d) \
	VFMADD231PS (x)(AX*2), Y12, a; \
	VFMADD231PS 32(x)(AX*2), Y13, b; \
	VFMADD231PS 64(x)(AX*2), Y14, c; \
	VFMADD231PS 96(x)(AX*2), Y15, d

#define MULTIPLY1 MULTIPLY(BX, Y0, Y1, Y2, Y3)
#define MULTIPLY2 MULTIPLY1; MULTIPLY(DX, Y4, Y5, Y6, Y7)
#define MULTIPLY3 MULTIPLY2; MULTIPLY(R8, Y8, Y9, Y10, Y11)

// REST takes the eight of them at o that are left, weights in Y12 and the mask in Y13.
#define REST(x, o, acc) \
	VMASKMOVPS  (o)(x)(AX*2), Y13, Y14; \
	VFMADD231PS Y14, Y12, acc

#define REST1(o, a, b, c) REST(BX, o, a)
#define REST2(o, a, b, c) REST1(o, a, b, c); REST(DX, o, b)
#define REST3(o, a, b, c) REST2(o, a, b, c); REST(R8, o, c)

#define RESTS(WIDEN, RESTN) \
	VMOVDQU (R9), Y13; \
	WIDEN(0(SP), Y12); \
	RESTN(0, Y0, Y4, Y8); \
	VMOVDQU 32(R9), Y13; \
	WIDEN(16(SP), Y12); \
	RESTN(32, Y1, Y5, Y9); \
	VMOVDQU 64(R9), Y13; \
	WIDEN(32(SP), Y12); \
	RESTN(64, Y2, Y6, Y10); \
	VMOVDQU 96(R9), Y13; \
	WIDEN(48(SP), Y12); \
	RESTN(96, Y3, Y7, Y11)

// SUM stores the sum of a token's accumulators, X being the lower half of a.
#define SUM(a, b, c, d, X) \
	VADDPS       b, a, a; \
	VADDPS       d, c, c; \
	VADDPS       c, a, a; \
	VEXTRACTF128 $1, a, X12; \
	VADDPS       X12, X, X; \
	VMOVHLPS     X, X, X12; \
	VADDPS       X12, X, X; \
	VMOVSHDUP    X, X12; \
	VADDSS       X12, X, X; \
	VMOVSS       X, (DI); \
	ADDQ         R10, DI

#define SUM1 SUM(Y0, Y1, Y2, Y3, X0)
#define SUM2 SUM1; SUM(Y4, Y5, Y6, Y7, X4)
#define SUM3 SUM2; SUM(Y8, Y9, Y10, Y11, X8)

// LOAD and KEEP move a token's accumulators.
#define LOAD(at, a, b, c, d) \
	VMOVUPS (at)(R11), a; \
	VMOVUPS (at+32)(R11), b; \
	VMOVUPS (at+64)(R11), c; \
	VMOVUPS (at+96)(R11), d

#define KEEP(at, a, b, c, d) \
	VMOVUPS a, (at)(R11); \
	VMOVUPS b, (at+32)(R11); \
	VMOVUPS c, (at+64)(R11); \
	VMOVUPS d, (at+96)(R11)

#define EACH1(DO) DO(0, Y0, Y1, Y2, Y3)
#define EACH2(DO) EACH1(DO); DO(128, Y4, Y5, Y6, Y7)
#define EACH3(DO) EACH2(DO); DO(256, Y8, Y9, Y10, Y11)

// TOKENS computes the products of a row with one to three tokens. The labels are its own.
#define TOKENS(WIDEN, CLEARS, EACH, MULTIPLIES, RESTN, SUMS, steps, loop, end, rest, sum, added) \
	CLEARS; \
	CMPB floatRows_first(R15), $0; \
	JNE  steps; \
	EACH(LOAD); \
steps: \
	XORL  AX, AX; \
	TESTQ R13, R13; \
	JZ    end; \
loop: \
	PREFETCHT1 (R14)(AX*1); \
	WIDEN((SI)(AX*1), Y12); \
	WIDEN(16(SI)(AX*1), Y13); \
	WIDEN(32(SI)(AX*1), Y14); \
	WIDEN(48(SI)(AX*1), Y15); \
	MULTIPLIES; \
	ADDQ $64, AX; \
	CMPQ AX, R13; \
	JLT  loop; \
end: \
	CMPB floatRows_last(R15), $0; \
	JNE  rest; \
	EACH(KEEP); \
	JMP  added; \
rest: \
	TESTQ $31, floatRows_cols(R15); \
	JZ    sum; \
	RESTS(WIDEN, RESTN); \
sum: \
	SUMS

#define FLOAT_ROWS(WIDEN) \
	MOVQ    c+0(FP), R15; \
	MOVQ    floatRows_w(R15), SI; \
	MOVQ    floatRows_rows(R15), R12; \
	MOVQ    floatRows_lanes(R15), R11; \
	MOVQ    floatRows_stride(R15), R10; \
	SHLQ    $2, R10; \
	MOVQ    floatRows_cols(R15), R13; \
	MOVQ    R13, R9; \
	ANDQ    $~31, R13; \
	SHLQ    $1, R13; \
	ANDQ    $31, R9; \
	NEGQ    R9; \
	LEAQ    masks<>+128(SB), AX; \
	LEAQ    (AX)(R9*4), R9; \
	VPXOR   Y12, Y12, Y12; \
	VMOVDQU Y12, 0(SP); \
	VMOVDQU Y12, 32(SP); \
row: \
	MOVQ    floatRows_cols(R15), CX; \
	ANDQ    $31, CX; \
	JZ      whole; \
	LEAQ    (SI)(R13*1), DX; \
copy: \
	DECQ    CX; \
	MOVWLZX (DX)(CX*2), AX; \
	MOVW    AX, 0(SP)(CX*2); \
	JNZ     copy; \
whole: \
	MOVQ    floatRows_ahead(R15), R14; \
	ADDQ    SI, R14; \
	MOVQ    floatRows_x(R15), BX; \
	MOVQ    floatRows_n(R15), CX; \
	MOVQ    floatRows_rows(R15), AX; \
	SUBQ    R12, AX; \
	MOVQ    floatRows_dst(R15), DI; \
	LEAQ    (DI)(AX*4), DI; \
tokens: \
	MOVQ    floatRows_xBytes(R15), AX; \
	LEAQ    (BX)(AX*1), DX; \
	LEAQ    (BX)(AX*2), R8; \
	CMPQ    CX, $2; \
	JLT     one; \
	JEQ     two; \
	TOKENS(WIDEN, CLEAR3, EACH3, MULTIPLY3, REST3, SUM3, steps3, loop3, end3, rest3, sum3, added3); \
added3: \
	ADDQ    $384, R11; \
	ADDQ    floatRows_xBytes(R15), R8; \
	MOVQ    R8, BX; \
	SUBQ    $3, CX; \
	JNZ     tokens; \
	JMP     next; \
two: \
	TOKENS(WIDEN, CLEAR2, EACH2, MULTIPLY2, REST2, SUM2, steps2, loop2, end2, rest2, sum2, added2); \
added2: \
	ADDQ    $256, R11; \
	JMP     next; \
one: \
	TOKENS(WIDEN, CLEAR1, EACH1, MULTIPLY1, REST1, SUM1, steps1, loop1, end1, rest1, sum1, added1); \
added1: \
	ADDQ    $128, R11; \
next: \
	ADDQ    floatRows_rowBytes(R15), SI; \
	DECQ    R12; \
	JNZ     row; \
	VZEROUPPER; \
	RET

// func rowsF16AVX2(c *floatRows)
TEXT ·rowsF16AVX2(SB), NOSPLIT, $64-8
	NO_LOCAL_POINTERS
	FLOAT_ROWS(WIDEN_F16)

// func rowsBF16AVX2(c *floatRows)
TEXT ·rowsBF16AVX2(SB), NOSPLIT, $64-8
	NO_LOCAL_POINTERS
	FLOAT_ROWS(WIDEN_BF16)
