#include "funcdata.h"
#include "textflag.h"
#include "attention_amd64.h"

// Attention for AVX2: eight numbers in a vector, up to four queries at a time. Y0 … Y7 are the sums of four queries, two vectors each.

// What the shared macros may use.
#define T0 Y8
#define T1 Y9
#define TX X8

// SCALE_… gets ready for the 32 numbers at p, PART_… sets y to the eight of them from 8·i on. In Q4_0 these are the low nibbles of eight
// bytes or, from 16 on, the high ones, of which NIBBLE tells: LOW or HIGH.
#define SCALE_F32(p, x, y)
#define SCALE_F16(p, x, y)
#define SCALE_Q8_0(p, x, y) \
	VPBROADCASTW (p)(AX*1), x; \
	VCVTPH2PS x, y

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

// QUERIES_n does OP, with i, for each of n queries: what lies at p, s and t bytes from one to the next, one and three times, and its sums.
#define QUERIES_1(OP, i, p, s, t) OP(i, (p), Y0, Y1)
#define QUERIES_2(OP, i, p, s, t) QUERIES_1(OP, i, p, s, t); OP(i, (p)(s*1), Y2, Y3)
#define QUERIES_4(OP, i, p, s, t) QUERIES_2(OP, i, p, s, t); OP(i, (p)(s*2), Y4, Y5); OP(i, (p)(t*1), Y6, Y7)

#define CLEAR(i, p, a, b) \
	VXORPS a, a, a; \
	VXORPS b, b, b

// MULTIPLY adds the products of eight numbers of a query, from 8·i on, with those of two keys, in Y8 and Y9, to the sums of each.
#define MULTIPLY(i, q, a, b) \
	VMOVUPS (32*i)q, Y10; \
	VFMADD231PS Y10, Y8, a; \
	VFMADD231PS Y10, Y9, b

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

#define STORE_1 FOLD; ADD_1(X0)
#define STORE_2 FOLD; ADD_2(X0)
#define STORE_4 FOLD; ADD_2(X0); ADD_2(X1)

#define SCORE_PART(PART, i, NIBBLE, QUERIES) \
	PART(DX, i, NIBBLE, Y12, Y8); \
	PART(BX, i, NIBBLE, Y13, Y9); \
	QUERIES(MULTIPLY, i, SI, R10, R14)

#define SCORE(SCALE, PART, BEGIN, FETCH, STEP, END, QUERIES, STORES, loop) \
	QUERIES(CLEAR, 0, SI, R10, R14); \
	XORL AX, AX; \
	BEGIN; \
loop: \
	SCALE(DX, X12, Y12); \
	SCALE(BX, X13, Y13); \
	FETCH; \
	SCORE_PART(PART, 0, LOW, QUERIES); \
	SCORE_PART(PART, 1, LOW, QUERIES); \
	SCORE_PART(PART, 2, HIGH, QUERIES); \
	SCORE_PART(PART, 3, HIGH, QUERIES); \
	ADDQ $128, SI; \
	ADDQ $STEP, AX; \
	CMPQ AX, END; \
	JLT  loop; \
	STORES

#define SCORE_KEYS(SCALE, PART, FETCH, STEP, QUERIES, STORES, loop) \
	SCORE(SCALE, PART, AHEAD, BOTH(FETCH, STEP), STEP, keyBytes+72(FP), QUERIES, STORES, loop)

#define SCORES(SCALE, PART, FETCH, STEP) \
	BEGIN_SCORES; \
four: \
	SUBQ $4, CX; \
	JLT  two; \
	SCORE_KEYS(SCALE, PART, FETCH, STEP, QUERIES_4, STORE_4, loop4); \
	ADDQ R14, SI; \
	JMP  four; \
two: \
	TESTQ $2, CX; \
	JZ   one; \
	SCORE_KEYS(SCALE, PART, FETCH, STEP, QUERIES_2, STORE_2, loop2); \
	ADDQ R10, SI; \
one: \
	TESTQ $1, CX; \
	JZ   end; \
	SCORE_KEYS(SCALE, PART, FETCH, STEP, QUERIES_1, STORE_1, loop1); \
end: \
	END_SCORES

// FLOATS stores the 32 numbers at DX as floats at DI.
#define FLOATS(SCALE, PART) \
	SCALE(DX, X12, Y12); \
	PART(DX, 0, LOW, Y12, Y0); \
	PART(DX, 1, LOW, Y12, Y1); \
	PART(DX, 2, HIGH, Y12, Y2); \
	PART(DX, 3, HIGH, Y12, Y3); \
	VMOVUPS Y0, (DI); \
	VMOVUPS Y1, 32(DI); \
	VMOVUPS Y2, 64(DI); \
	VMOVUPS Y3, 96(DI)

#define SCORE_PANEL(QUERIES, STORES, loop) SCORE(SCALE_F32, PART_F32, NO_NEXT, SPREAD, 128, R10, QUERIES, STORES, loop)

#define SCORES_MANY(SCALE, PART, STEP) \
	BEGIN_KEYS; \
	FLOATS(SCALE, PART); \
	END_KEYS(STEP); \
four: \
	SUBQ $4, n+24(FP); \
	JLT  two; \
	TILE(4, QUERIES_4, STORE_4, pair4, loop4); \
	JMP  four; \
	END_TILES

// Of a query's sums 16 numbers lie at DI.
#define GET(i, p, a, b) \
	VMOVUPS p, a; \
	VMOVUPS (32)p, b

#define PUT(i, p, a, b) \
	VMOVUPS a, p; \
	VMOVUPS b, (32)p

// WEIGH adds 16 numbers of a value, in Y8 and Y9, times a query's weight.
#define WEIGH(i, w, a, b) \
	VBROADCASTSS w, Y10; \
	VFMADD231PS Y10, Y8, a; \
	VFMADD231PS Y10, Y9, b

// ADD_HALF adds 16 numbers of all values to the sums of queries, of which BX have gone before.
#define ADD_HALF(FROM, SCALE, PART, NEXT, part, NIBBLE, QUERIES, loop) \
	MOVQ BX, SI; \
	IMULQ R8, SI; \
	ADDQ w+24(FP), SI; \
	QUERIES(GET, 0, DI, R10, R14); \
	FROM; \
	MOVQ count+56(FP), R12; \
loop: \
	SCALE(DX, X12, Y12); \
	NEXT; \
	PART(DX, part, NIBBLE, Y12, Y8); \
	PART(DX, part+1, NIBBLE, Y12, Y9); \
	QUERIES(WEIGH, 0, SI, R8, R13); \
	ADDQ $4, SI; \
	ADDQ R11, DX; \
	DECQ R12; \
	JNZ  loop; \
	QUERIES(PUT, 0, DI, R10, R14)

#define ADD_VALUES(FROM, SCALE, PART, NEXT, QUERIES, low, high) \
	MOVQ n+8(FP), BX; \
	SUBQ CX, BX; \
	MOVQ BX, DI; \
	IMULQ R10, DI; \
	ADDQ dst+0(FP), DI; \
	ADD_HALF(FROM, SCALE, PART, NEXT, 0, LOW, QUERIES, low); \
	ADDQ $64, DI; \
	ADD_HALF(FROM, SCALE, PART, NO_NEXT, 2, HIGH, QUERIES, high)

#define ADD_ALL(FROM, SCALE, PART, NEXT) \
four: \
	CMPQ CX, $4; \
	JLT  two; \
	ADD_VALUES(FROM, SCALE, PART, NEXT, QUERIES_4, low4, high4); \
	SUBQ $4, CX; \
	JMP  four; \
two: \
	CMPQ CX, $2; \
	JLT  one; \
	ADD_VALUES(FROM, SCALE, PART, NEXT, QUERIES_2, low2, high2); \
	SUBQ $2, CX; \
one: \
	TESTQ CX, CX; \
	JZ   end; \
	ADD_VALUES(FROM, SCALE, PART, NEXT, QUERIES_1, low1, high1); \
end:

#define WEIGHT(SCALE, PART, NEXT, STEP) \
	BEGIN_WEIGHT; \
	ADD_ALL(FROM_VALUES, SCALE, PART, NEXT); \
	END_WEIGHT(STEP)

#define WEIGHT_MANY(SCALE, PART, NEXT, STEP) \
	BEGIN_WEIGHT; \
	BEGIN_PANEL; \
	NEXT; \
	FLOATS(SCALE, PART); \
	END_PANEL; \
	ADD_ALL(FROM_PANEL, SCALE_F32, PART_F32, NO_NEXT); \
	END_WEIGHT(STEP)

// func scoresF32AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF32AVX2(SB), NOSPLIT, $0-80
	SCORES(SCALE_F32, PART_F32, FETCH_2, 128)

// func scoresF16AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF16AVX2(SB), NOSPLIT, $0-80
	SCORES(SCALE_F16, PART_F16, FETCH_1, 64)

// func scoresQ8_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ8_0AVX2(SB), NOSPLIT, $0-80
	SCORES(SCALE_Q8_0, PART_Q8_0, FETCH_1, 34)

// func scoresQ4_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ4_0AVX2(SB), NOSPLIT, $0-80
	NIBBLES
	SCORES(SCALE_Q8_0, PART_Q4_0, FETCH_1, 18)

// func scoresManyQ8_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)
TEXT ·scoresManyQ8_0AVX2(SB), 0, $16448-80
	NO_LOCAL_POINTERS
	SCORES_MANY(SCALE_Q8_0, PART_Q8_0, 34)

// func scoresManyQ4_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)
TEXT ·scoresManyQ4_0AVX2(SB), 0, $16448-80
	NO_LOCAL_POINTERS
	NIBBLES
	SCORES_MANY(SCALE_Q8_0, PART_Q4_0, 18)

// func weighF32AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF32AVX2(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_F32, PART_F32, NEXT_2, 128)

// func weighF16AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF16AVX2(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_F16, PART_F16, NEXT_1(64), 64)

// func weighQ8_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ8_0AVX2(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_Q8_0, PART_Q8_0, NEXT_1(34), 34)

// func weighQ4_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ4_0AVX2(SB), NOSPLIT, $0-72
	NIBBLES
	WEIGHT(SCALE_Q8_0, PART_Q4_0, NEXT_1(18), 18)

// func weighManyF32AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighManyF32AVX2(SB), 0, $8256-72
	NO_LOCAL_POINTERS
	WEIGHT_MANY(SCALE_F32, PART_F32, NEXT_2, 128)

// func weighManyF16AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighManyF16AVX2(SB), 0, $8256-72
	NO_LOCAL_POINTERS
	WEIGHT_MANY(SCALE_F16, PART_F16, NEXT_1(64), 64)

// func weighManyQ8_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighManyQ8_0AVX2(SB), 0, $8256-72
	NO_LOCAL_POINTERS
	WEIGHT_MANY(SCALE_Q8_0, PART_Q8_0, NEXT_1(34), 34)

// func weighManyQ4_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighManyQ4_0AVX2(SB), 0, $8256-72
	NO_LOCAL_POINTERS
	NIBBLES
	WEIGHT_MANY(SCALE_Q8_0, PART_Q4_0, NEXT_1(18), 18)
