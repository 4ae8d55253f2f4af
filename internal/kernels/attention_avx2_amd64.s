#include "textflag.h"

// Attention for AVX2: what attention_avx512_amd64.s says holds here, with eight numbers in a vector and up to four queries
// at a time.
//
//	DX, BX   a key or value and the next
//	AX, R9   where in them the 32 numbers begin, and where those lie that are prefetched
//	R11      bytes from a key or value to the next
//	R12      keys or values to go
//	CX       queries to go
//	R10, R14 bytes of a query or its sum, one and three times
//	Y0 … Y7  sums of four queries, two vectors each

// SCALE_… gets ready for the 32 numbers at p, PART_… sets y to the eight of them from 8·i on. In Q4_0 these are the low nibbles of eight
// bytes or, from 16 on, the high ones, of which NIBBLE tells: LOW or HIGH.
#define SCALE_F32(p, x, y) \
	PREFETCHT1 (p)(R9*1); \
	PREFETCHT1 64(p)(R9*1)

#define SCALE_F16(p, x, y) \
	PREFETCHT1 (p)(R9*1)

#define SCALE_Q8_0(p, x, y) \
	VPBROADCASTW (p)(AX*1), x; \
	VCVTPH2PS x, y; \
	PREFETCHT1 (p)(R9*1)

#define PART_F32(p, i, NIBBLE, scale, y) \
	VMOVUPS (32*(i))(p)(AX*1), y

#define PART_F16(p, i, NIBBLE, scale, y) \
	VCVTPH2PS (16*(i))(p)(AX*1), y

#define PART_Q8_0(p, i, NIBBLE, scale, y) \
	VPMOVSXBD (2+8*(i))(p)(AX*1), y; \
	VCVTDQ2PS y, y; \
	VMULPS scale, y, y

#define PART_Q4_0(p, i, NIBBLE, scale, y) \
	VPMOVZXBD (2+8*((i)&1))(p)(AX*1), y; \
	NIBBLE(y); \
	VPSUBD Y14, y, y; \
	VCVTDQ2PS y, y; \
	VMULPS scale, y, y

#define LOW(y) VPAND Y15, y, y
#define HIGH(y) VPSRLD $4, y, y

// NIBBLES sets Y14 and Y15 to what Q4_0 takes.
#define NIBBLES \
	VPBROADCASTD eight<>(SB), Y14; \
	VPBROADCASTD fifteen<>(SB), Y15

DATA eight<>+0(SB)/4, $8
GLOBL eight<>(SB), (NOPTR|RODATA), $4
DATA fifteen<>+0(SB)/4, $15
GLOBL fifteen<>(SB), (NOPTR|RODATA), $4

#define CLEAR2(a, b) \
	VXORPS a, a, a; \
	VXORPS b, b, b

#define CLEAR_1 CLEAR2(Y0, Y1)
#define CLEAR_2 CLEAR_1; CLEAR2(Y2, Y3)
#define CLEAR_4 CLEAR_2; CLEAR2(Y4, Y5); CLEAR2(Y6, Y7)

// MULTIPLY adds the products of eight numbers of a query with those of two keys, in Y8 and Y9, to the sums of each.
#define MULTIPLY(i, q, a, b) \
	VMOVUPS (32*i)q, Y10; \
	VFMADD231PS Y10, Y8, a; \
	VFMADD231PS Y10, Y9, b

#define MULTIPLY_1(i) MULTIPLY(i, (SI), Y0, Y1)
#define MULTIPLY_2(i) MULTIPLY_1(i); MULTIPLY(i, (SI)(R10*1), Y2, Y3)
#define MULTIPLY_4(i) MULTIPLY_2(i); MULTIPLY(i, (SI)(R10*2), Y4, Y5); MULTIPLY(i, (SI)(R14*1), Y6, Y7)

// HALVE adds lanes i and i+2 of four of both a and b, which alternate in the result; HALVE2 does the same with pairs of lanes.
#define HALVE(a, b, dst) \
	VUNPCKLPS b, a, Y8; \
	VUNPCKHPS b, a, Y9; \
	VADDPS Y9, Y8, dst

#define HALVE2(a, b, dst) \
	VUNPCKLPD b, a, Y8; \
	VUNPCKHPD b, a, Y9; \
	VADDPS Y9, Y8, dst

// FOLD adds up the lanes of all sums. X0 is left with those of query 0 with both keys and those of query 1, X1 with 2 and 3.
#define FOLD \
	HALVE(Y0, Y1, Y0); \
	HALVE(Y2, Y3, Y2); \
	HALVE(Y4, Y5, Y4); \
	HALVE(Y6, Y7, Y6); \
	HALVE2(Y0, Y2, Y0); \
	HALVE2(Y4, Y6, Y4); \
	VPERM2F128 $0x20, Y4, Y0, Y8; \
	VPERM2F128 $0x31, Y4, Y0, Y9; \
	VADDPS Y9, Y8, Y0; \
	VEXTRACTF128 $1, Y0, X1

// ADD_1 adds the lower half of x to the scores of a query at R13, ADD_2 all of it to those of two; R13 steps on.
#define ADD_1(x) \
	VMOVSD (R13), X8; \
	VADDPS x, X8, X8; \
	VMOVLPS X8, (R13); \
	ADDQ R8, R13

#define ADD_2(x) \
	VMOVSD (R13), X8; \
	VMOVHPS (R13)(R8*1), X8, X8; \
	VADDPS x, X8, X8; \
	VMOVLPS X8, (R13); \
	VMOVHPS X8, (R13)(R8*1); \
	LEAQ (R13)(R8*2), R13

#define STORE_1 FOLD; ADD_1(X0)
#define STORE_2 FOLD; ADD_2(X0)
#define STORE_4 FOLD; ADD_2(X0); ADD_2(X1)

#define SCORE_PART(PART, i, NIBBLE, MULTIPLIES) \
	PART(DX, i, NIBBLE, Y12, Y8); \
	PART(BX, i, NIBBLE, Y13, Y9); \
	MULTIPLIES(i)

#define SCORE(SCALE, PART, STEP, CLEARS, MULTIPLIES, STORES, loop) \
	CLEARS; \
	XORL AX, AX; \
	MOVQ ahead+64(FP), R9; \
loop: \
	SCALE(DX, X12, Y12); \
	SCALE(BX, X13, Y13); \
	SCORE_PART(PART, 0, LOW, MULTIPLIES); \
	SCORE_PART(PART, 1, LOW, MULTIPLIES); \
	SCORE_PART(PART, 2, HIGH, MULTIPLIES); \
	SCORE_PART(PART, 3, HIGH, MULTIPLIES); \
	ADDQ $128, SI; \
	ADDQ $STEP, R9; \
	ADDQ $STEP, AX; \
	CMPQ AX, keyBytes+72(FP); \
	JLT  loop; \
	STORES

// SCORES: for two keys at a time, all queries. DI and R13 are where the scores go, R8 the bytes from one query's to the next.
#define SCORES(SCALE, PART, STEP) \
	MOVQ dst+0(FP), DI; \
	MOVQ stride+8(FP), R8; \
	MOVQ dim+32(FP), R10; \
	MOVQ keys+40(FP), DX; \
	MOVQ rowBytes+48(FP), R11; \
	MOVQ count+56(FP), R12; \
	SHLQ $2, R8; \
	SHLQ $2, R10; \
	LEAQ (R10)(R10*2), R14; \
next: \
	SUBQ $2, R12; \
	JLT  done; \
	LEAQ (DX)(R11*1), BX; \
	MOVQ q+16(FP), SI; \
	MOVQ n+24(FP), CX; \
	MOVQ DI, R13; \
four: \
	SUBQ $4, CX; \
	JLT  two; \
	SCORE(SCALE, PART, STEP, CLEAR_4, MULTIPLY_4, STORE_4, loop4); \
	ADDQ R14, SI; \
	JMP  four; \
two: \
	TESTQ $2, CX; \
	JZ   one; \
	SCORE(SCALE, PART, STEP, CLEAR_2, MULTIPLY_2, STORE_2, loop2); \
	ADDQ R10, SI; \
one: \
	TESTQ $1, CX; \
	JZ   end; \
	SCORE(SCALE, PART, STEP, CLEAR_1, MULTIPLY_1, STORE_1, loop1); \
end: \
	LEAQ (DX)(R11*2), DX; \
	ADDQ $8, DI; \
	JMP  next; \
done: \
	VZEROUPPER; \
	RET

// EACH does OP with the sums of each query, of which 16 numbers lie at DI.
#define EACH_1(OP) OP((DI), Y0, Y1)
#define EACH_2(OP) EACH_1(OP); OP((DI)(R10*1), Y2, Y3)
#define EACH_4(OP) EACH_2(OP); OP((DI)(R10*2), Y4, Y5); OP((DI)(R14*1), Y6, Y7)

#define GET(p, a, b) \
	VMOVUPS p, a; \
	VMOVUPS (32)p, b

#define PUT(p, a, b) \
	VMOVUPS a, p; \
	VMOVUPS b, (32)p

// WEIGH adds 16 numbers of a value, in Y8 and Y9, times a query's weight.
#define WEIGH(w, a, b) \
	VBROADCASTSS w, Y10; \
	VFMADD231PS Y10, Y8, a; \
	VFMADD231PS Y10, Y9, b

#define WEIGH_1 WEIGH((SI), Y0, Y1)
#define WEIGH_2 WEIGH_1; WEIGH((SI)(R8*1), Y2, Y3)
#define WEIGH_4 WEIGH_2; WEIGH((SI)(R8*2), Y4, Y5); WEIGH((SI)(R13*1), Y6, Y7)

// ADD_HALF adds 16 numbers of all values to the sums of queries, of which BX have gone before.
#define ADD_HALF(SCALE, PART, part, NIBBLE, EACH, WEIGHS, loop) \
	MOVQ BX, SI; \
	IMULQ R8, SI; \
	ADDQ w+24(FP), SI; \
	EACH(GET); \
	MOVQ values+40(FP), DX; \
	MOVQ count+56(FP), R12; \
loop: \
	SCALE(DX, X12, Y12); \
	PREFETCHT0 128(DX)(AX*1); \
	PART(DX, part, NIBBLE, Y12, Y8); \
	PART(DX, part+1, NIBBLE, Y12, Y9); \
	WEIGHS; \
	ADDQ $4, SI; \
	ADDQ R11, DX; \
	DECQ R12; \
	JNZ  loop; \
	EACH(PUT)

#define ADD_VALUES(SCALE, PART, EACH, WEIGHS, low, high) \
	MOVQ n+8(FP), BX; \
	SUBQ CX, BX; \
	MOVQ BX, DI; \
	IMULQ R10, DI; \
	ADDQ dst+0(FP), DI; \
	ADD_HALF(SCALE, PART, 0, LOW, EACH, WEIGHS, low); \
	ADDQ $64, DI; \
	ADD_HALF(SCALE, PART, 2, HIGH, EACH, WEIGHS, high)

// WEIGHT: for 32 numbers at a time, all queries and for each all values. SI are the weights, R8 and R13 the bytes from one query's to
// the next, one and three times.
#define WEIGHT(SCALE, PART, STEP) \
	MOVQ dim+16(FP), R10; \
	MOVQ stride+32(FP), R8; \
	MOVQ rowBytes+48(FP), R11; \
	MOVQ ahead+64(FP), R9; \
	SHLQ $2, R10; \
	SHLQ $2, R8; \
	LEAQ (R10)(R10*2), R14; \
	LEAQ (R8)(R8*2), R13; \
	XORL AX, AX; \
next: \
	MOVQ n+8(FP), CX; \
four: \
	CMPQ CX, $4; \
	JLT  two; \
	ADD_VALUES(SCALE, PART, EACH_4, WEIGH_4, low4, high4); \
	SUBQ $4, CX; \
	JMP  four; \
two: \
	CMPQ CX, $2; \
	JLT  one; \
	ADD_VALUES(SCALE, PART, EACH_2, WEIGH_2, low2, high2); \
	SUBQ $2, CX; \
one: \
	TESTQ CX, CX; \
	JZ   end; \
	ADD_VALUES(SCALE, PART, EACH_1, WEIGH_1, low1, high1); \
end: \
	ADDQ $128, dst+0(FP); \
	ADDQ $STEP, R9; \
	ADDQ $STEP, AX; \
	CMPQ AX, R11; \
	JLT  next; \
	VZEROUPPER; \
	RET

// func scoresF32AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF32AVX2(SB), NOSPLIT, $0-80
	SCORES(SCALE_F32, PART_F32, 128)

// func scoresF16AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF16AVX2(SB), NOSPLIT, $0-80
	SCORES(SCALE_F16, PART_F16, 64)

// func scoresQ8_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ8_0AVX2(SB), NOSPLIT, $0-80
	SCORES(SCALE_Q8_0, PART_Q8_0, 34)

// func scoresQ4_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ4_0AVX2(SB), NOSPLIT, $0-80
	NIBBLES
	SCORES(SCALE_Q8_0, PART_Q4_0, 18)

// func weighF32AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF32AVX2(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_F32, PART_F32, 128)

// func weighF16AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF16AVX2(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_F16, PART_F16, 64)

// func weighQ8_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ8_0AVX2(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_Q8_0, PART_Q8_0, 34)

// func weighQ4_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ4_0AVX2(SB), NOSPLIT, $0-72
	NIBBLES
	WEIGHT(SCALE_Q8_0, PART_Q4_0, 18)
