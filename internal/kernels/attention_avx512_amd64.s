#include "funcdata.h"
#include "textflag.h"
#include "attention_amd64.h"
#include "attention_avx512_amd64.h"

// Attention for AVX-512: sixteen numbers in a vector, up to eight queries at a time. Z0 … Z15 are the sums of eight queries, two vectors
// each.

// What the shared macros may use.
#define T0 Z16
#define T1 Z17
#define TX X18

// QUERIES_n does OP for each of n queries: what lies at p or, from the fifth on, p4, s and t bytes from one to the next, one and three
// times, and its sums.
#define QUERIES_1(OP, p, p4, s, t) OP((p), Z0, Z1)
#define QUERIES_2(OP, p, p4, s, t) QUERIES_1(OP, p, p4, s, t); OP((p)(s*1), Z2, Z3)
#define QUERIES_4(OP, p, p4, s, t) QUERIES_2(OP, p, p4, s, t); OP((p)(s*2), Z4, Z5); OP((p)(t*1), Z6, Z7)
#define QUERIES_8(OP, p, p4, s, t) QUERIES_4(OP, p, p4, s, t); \
	OP((p4), Z8, Z9); \
	OP((p4)(s*1), Z10, Z11); \
	OP((p4)(s*2), Z12, Z13); \
	OP((p4)(t*1), Z14, Z15)

#define CLEAR(p, a, b) \
	VPXORD a, a, a; \
	VPXORD b, b, b

// MULTIPLY adds the products of 32 numbers of a query with those of two keys, in Z16 … Z19, to the sums of each.
#define MULTIPLY(q, a, b) \
	VMOVUPS q, Z20; \
	VFMADD231PS Z20, Z16, a; \
	VFMADD231PS Z20, Z18, b; \
	VMOVUPS (64)q, Z21; \
	VFMADD231PS Z21, Z17, a; \
	VFMADD231PS Z21, Z19, b

// JOIN does as HALVE with neighbouring quarters.
#define JOIN(a, b, dst) \
	VSHUFF32X4 $0x88, b, a, Z16; \
	VSHUFF32X4 $0xDD, b, a, Z17; \
	VADDPS Z17, Z16, dst

// FOLD adds up the lanes of all sums. Quarter i of Z0 is left with those of query 2i with both keys and those of query 2i+1.
#define FOLD_4 \
	HALVE(Z0, Z1, Z0); \
	HALVE(Z2, Z3, Z2); \
	HALVE(Z4, Z5, Z4); \
	HALVE(Z6, Z7, Z6); \
	HALVE2(Z0, Z2, Z0); \
	HALVE2(Z4, Z6, Z4); \
	JOIN(Z0, Z4, Z0)

#define FOLD_8 \
	FOLD_4; \
	HALVE(Z8, Z9, Z8); \
	HALVE(Z10, Z11, Z10); \
	HALVE(Z12, Z13, Z12); \
	HALVE(Z14, Z15, Z14); \
	HALVE2(Z8, Z10, Z8); \
	HALVE2(Z12, Z14, Z12); \
	JOIN(Z8, Z12, Z8); \
	JOIN(Z0, Z8, Z0)

#define FOLD_4_ONLY FOLD_4; JOIN(Z0, Z0, Z0)

#define QUARTER(i) VEXTRACTF32X4 $i, Z0, X1
#define STORE_1 FOLD_4_ONLY; ADD_1(X0)
#define STORE_2 FOLD_4_ONLY; ADD_2(X0)
#define STORE_4 STORE_2; QUARTER(1); ADD_2(X1)
#define STORE_8 FOLD_8; ADD_2(X0); QUARTER(1); ADD_2(X1); QUARTER(2); ADD_2(X1); QUARTER(3); ADD_2(X1)

#define SCORE(LOAD, BEGIN, FETCH, STEP, END, QUERIES, STORES, loop) \
	QUERIES(CLEAR, SI, R15, R10, R14); \
	LEAQ (SI)(R10*4), R15; \
	XORL AX, AX; \
	BEGIN; \
loop: \
	LOAD(DX, Z16, Z17); \
	LOAD(BX, Z18, Z19); \
	FETCH; \
	QUERIES(MULTIPLY, SI, R15, R10, R14); \
	ADDQ $128, SI; \
	ADDQ $128, R15; \
	ADDQ $STEP, AX; \
	CMPQ AX, END; \
	JLT  loop; \
	STORES

#define SCORE_KEYS(LOAD, FETCH, STEP, QUERIES, STORES, loop) \
	SCORE(LOAD, AHEAD, BOTH(FETCH, STEP), STEP, keyBytes+72(FP), QUERIES, STORES, loop)

#define SCORES(LOAD, FETCH, STEP) \
	BEGIN_SCORES; \
eight: \
	SUBQ $8, CX; \
	JLT  four; \
	SCORE_KEYS(LOAD, FETCH, STEP, QUERIES_8, STORE_8, loop8); \
	LEAQ (R15)(R14*1), SI; \
	JMP  eight; \
four: \
	TESTQ $4, CX; \
	JZ   two; \
	SCORE_KEYS(LOAD, FETCH, STEP, QUERIES_4, STORE_4, loop4); \
	ADDQ R14, SI; \
two: \
	TESTQ $2, CX; \
	JZ   one; \
	SCORE_KEYS(LOAD, FETCH, STEP, QUERIES_2, STORE_2, loop2); \
	ADDQ R10, SI; \
one: \
	TESTQ $1, CX; \
	JZ   end; \
	SCORE_KEYS(LOAD, FETCH, STEP, QUERIES_1, STORE_1, loop1); \
end: \
	END_SCORES

// FLOATS stores the 32 numbers at DX as floats at DI.
#define FLOATS(LOAD) \
	LOAD(DX, Z16, Z17); \
	VMOVUPS Z16, (DI); \
	VMOVUPS Z17, 64(DI)

#define SCORE_PANEL(QUERIES, STORES, loop) SCORE(LOAD_F32, NO_NEXT, SPREAD, 128, R10, QUERIES, STORES, loop)

#define SCORES_MANY(LOAD, STEP) \
	BEGIN_KEYS; \
	FLOATS(LOAD); \
	END_KEYS(STEP); \
eight: \
	SUBQ $8, n+24(FP); \
	JLT  four; \
	TILE(8, QUERIES_8, STORE_8, pair8, loop8); \
	JMP  eight; \
four: \
	TESTQ $4, n+24(FP); \
	JZ   two; \
	TILE(4, QUERIES_4, STORE_4, pair4, loop4); \
	END_TILES

// Of a query's sums 32 numbers lie at DI and, from the fifth on, R15.
#define GET(p, a, b) \
	VMOVUPS p, a; \
	VMOVUPS (64)p, b

#define PUT(p, a, b) \
	VMOVUPS a, p; \
	VMOVUPS b, (64)p

// WEIGH adds a value, in Z16 and Z17, times a query's weight.
#define WEIGH(w, a, b) \
	VBROADCASTSS w, Z18; \
	VFMADD231PS Z18, Z16, a; \
	VFMADD231PS Z18, Z17, b

// ADD_VALUES adds 32 numbers of all values to the sums of queries from n − CX on.
#define ADD_VALUES(FROM, LOAD, NEXT, QUERIES, loop) \
	MOVQ n+8(FP), DI; \
	SUBQ CX, DI; \
	MOVQ DI, SI; \
	IMULQ R10, DI; \
	IMULQ R8, SI; \
	ADDQ dst+0(FP), DI; \
	ADDQ w+24(FP), SI; \
	LEAQ (DI)(R10*4), R15; \
	LEAQ (SI)(R8*4), BX; \
	QUERIES(GET, DI, R15, R10, R14); \
	FROM; \
	MOVQ count+56(FP), R12; \
loop: \
	LOAD(DX, Z16, Z17); \
	NEXT; \
	QUERIES(WEIGH, SI, BX, R8, R13); \
	ADDQ $4, SI; \
	ADDQ $4, BX; \
	ADDQ R11, DX; \
	DECQ R12; \
	JNZ  loop; \
	QUERIES(PUT, DI, R15, R10, R14)

#define ADD_ALL(FROM, LOAD, NEXT) \
eight: \
	CMPQ CX, $8; \
	JLT  four; \
	ADD_VALUES(FROM, LOAD, NEXT, QUERIES_8, loop8); \
	SUBQ $8, CX; \
	JMP  eight; \
four: \
	CMPQ CX, $4; \
	JLT  two; \
	ADD_VALUES(FROM, LOAD, NEXT, QUERIES_4, loop4); \
	SUBQ $4, CX; \
two: \
	CMPQ CX, $2; \
	JLT  one; \
	ADD_VALUES(FROM, LOAD, NEXT, QUERIES_2, loop2); \
	SUBQ $2, CX; \
one: \
	TESTQ CX, CX; \
	JZ   end; \
	ADD_VALUES(FROM, LOAD, NEXT, QUERIES_1, loop1); \
end:

#define WEIGHT(LOAD, NEXT, STEP) \
	BEGIN_WEIGHT; \
	ADD_ALL(FROM_VALUES, LOAD, NEXT); \
	END_WEIGHT(STEP)

#define WEIGHT_MANY(LOAD, NEXT, STEP) \
	BEGIN_WEIGHT; \
	BEGIN_PANEL; \
	NEXT; \
	FLOATS(LOAD); \
	END_PANEL; \
	ADD_ALL(FROM_PANEL, LOAD_F32, NO_NEXT); \
	END_WEIGHT(STEP)

// func scoresF32AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF32AVX512(SB), NOSPLIT, $0-80
	SCORES(LOAD_F32, FETCH_2, 128)

// func scoresF16AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF16AVX512(SB), NOSPLIT, $0-80
	SCORES(LOAD_F16, FETCH_1, 64)

// func scoresQ8_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ8_0AVX512(SB), NOSPLIT, $0-80
	SCORES(LOAD_Q8_0, FETCH_1, 34)

// func scoresQ4_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ4_0AVX512(SB), NOSPLIT, $0-80
	VMOVUPS fours<>(SB), Z30
	SCORES(LOAD_Q4_0, FETCH_1, 18)

// func scoresManyQ8_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)
TEXT ·scoresManyQ8_0AVX512(SB), 0, $16448-80
	NO_LOCAL_POINTERS
	SCORES_MANY(LOAD_Q8_0, 34)

// func scoresManyQ4_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)
TEXT ·scoresManyQ4_0AVX512(SB), 0, $16448-80
	NO_LOCAL_POINTERS
	VMOVUPS fours<>(SB), Z30
	SCORES_MANY(LOAD_Q4_0, 18)

// func weighF32AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF32AVX512(SB), NOSPLIT, $0-72
	WEIGHT(LOAD_F32, NEXT_2, 128)

// func weighF16AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF16AVX512(SB), NOSPLIT, $0-72
	WEIGHT(LOAD_F16, NEXT_1(64), 64)

// func weighQ8_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ8_0AVX512(SB), NOSPLIT, $0-72
	WEIGHT(LOAD_Q8_0, NEXT_1(34), 34)

// func weighQ4_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ4_0AVX512(SB), NOSPLIT, $0-72
	VMOVUPS fours<>(SB), Z30
	WEIGHT(LOAD_Q4_0, NEXT_1(18), 18)

// func weighManyF32AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighManyF32AVX512(SB), 0, $8256-72
	NO_LOCAL_POINTERS
	WEIGHT_MANY(LOAD_F32, NEXT_2, 128)

// func weighManyF16AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighManyF16AVX512(SB), 0, $8256-72
	NO_LOCAL_POINTERS
	WEIGHT_MANY(LOAD_F16, NEXT_1(64), 64)

// func weighManyQ8_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighManyQ8_0AVX512(SB), 0, $8256-72
	NO_LOCAL_POINTERS
	WEIGHT_MANY(LOAD_Q8_0, NEXT_1(34), 34)

// func weighManyQ4_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighManyQ4_0AVX512(SB), 0, $8256-72
	NO_LOCAL_POINTERS
	VMOVUPS fours<>(SB), Z30
	WEIGHT_MANY(LOAD_Q4_0, NEXT_1(18), 18)
