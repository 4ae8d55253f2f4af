#include "textflag.h"

// Attention for AVX-512, over keys and values as they lie in a cache: 32 numbers of each are made floats at a time, for up to
// eight queries. The registers that both functions share:
//
//	DX, BX   a key or value and the next
//	AX, R9   where in them the 32 numbers begin, and where those lie that are prefetched
//	R11      bytes from a key or value to the next
//	R12      keys or values to go
//	CX       queries to go
//	R10, R14 bytes of a query or its sum, one and three times
//	Z0 … Z15 sums of eight queries, two vectors each
//
// A tile of eight, four, two queries or one does the same with each: the bits do not depend on how many there are.

// LOAD_… sets lo and hi to the 32 numbers of a key or value at p. ALL steps on to the next.
#define LOAD_F32(p, lo, hi) \
	VMOVUPS (p)(AX*1), lo; \
	VMOVUPS 64(p)(AX*1), hi; \
	PREFETCHT1 (p)(R9*1); \
	PREFETCHT1 64(p)(R9*1)

#define LOAD_F16(p, lo, hi) \
	VCVTPH2PS (p)(AX*1), lo; \
	VCVTPH2PS 32(p)(AX*1), hi; \
	PREFETCHT1 (p)(R9*1)

#define LOAD_Q8_0(p, lo, hi) \
	VPBROADCASTW (p)(AX*1), Y31; \
	VPMOVSXBD 2(p)(AX*1), lo; \
	VPMOVSXBD 18(p)(AX*1), hi; \
	VCVTPH2PS Y31, Z31; \
	VCVTDQ2PS lo, lo; \
	VCVTDQ2PS hi, hi; \
	VMULPS Z31, lo, lo; \
	VMULPS Z31, hi, hi; \
	PREFETCHT1 (p)(R9*1)

// LOAD_Q4_0: Z30 holds what nibbles stand for. Of an index the low four bits count.
#define LOAD_Q4_0(p, lo, hi) \
	VPBROADCASTW (p)(AX*1), Y31; \
	VPMOVZXBD 2(p)(AX*1), lo; \
	VCVTPH2PS Y31, Z31; \
	VPSRLD $4, lo, hi; \
	VMULPS Z30, Z31, Z31; \
	VPERMPS Z31, lo, lo; \
	VPERMPS Z31, hi, hi; \
	PREFETCHT1 (p)(R9*1)

DATA fours<>+0(SB)/8, $0xC0E00000C1000000 // −8, −7
DATA fours<>+8(SB)/8, $0xC0A00000C0C00000
DATA fours<>+16(SB)/8, $0xC0400000C0800000
DATA fours<>+24(SB)/8, $0xBF800000C0000000
DATA fours<>+32(SB)/8, $0x3F80000000000000 // 0, 1
DATA fours<>+40(SB)/8, $0x4040000040000000
DATA fours<>+48(SB)/8, $0x40A0000040800000
DATA fours<>+56(SB)/8, $0x40E0000040C00000
GLOBL fours<>(SB), (NOPTR|RODATA), $64

#define CLEAR2(a, b) \
	VPXORD a, a, a; \
	VPXORD b, b, b

#define CLEAR_1 CLEAR2(Z0, Z1)
#define CLEAR_2 CLEAR_1; CLEAR2(Z2, Z3)
#define CLEAR_4 CLEAR_2; CLEAR2(Z4, Z5); CLEAR2(Z6, Z7)
#define CLEAR_8 CLEAR_4; CLEAR2(Z8, Z9); CLEAR2(Z10, Z11); CLEAR2(Z12, Z13); CLEAR2(Z14, Z15)

// MULTIPLY adds the products of 32 numbers of a query with those of two keys, in Z16 … Z19, to the sums of each.
#define MULTIPLY(q, a, b) \
	VMOVUPS q, Z20; \
	VFMADD231PS Z20, Z16, a; \
	VFMADD231PS Z20, Z18, b; \
	VMOVUPS (64)q, Z21; \
	VFMADD231PS Z21, Z17, a; \
	VFMADD231PS Z21, Z19, b

#define MULTIPLY_1 MULTIPLY((SI), Z0, Z1)
#define MULTIPLY_2 MULTIPLY_1; MULTIPLY((SI)(R10*1), Z2, Z3)
#define MULTIPLY_4 MULTIPLY_2; MULTIPLY((SI)(R10*2), Z4, Z5); MULTIPLY((SI)(R14*1), Z6, Z7)
#define MULTIPLY_8 MULTIPLY_4; \
	MULTIPLY((R15), Z8, Z9); \
	MULTIPLY((R15)(R10*1), Z10, Z11); \
	MULTIPLY((R15)(R10*2), Z12, Z13); \
	MULTIPLY((R15)(R14*1), Z14, Z15)

// HALVE adds lanes i and i+2 of four of both a and b, which alternate in the result; HALVE2 does the same with pairs of lanes, JOIN
// with neighbouring quarters.
#define HALVE(a, b, dst) \
	VUNPCKLPS b, a, Z16; \
	VUNPCKHPS b, a, Z17; \
	VADDPS Z17, Z16, dst

#define HALVE2(a, b, dst) \
	VUNPCKLPD b, a, Z16; \
	VUNPCKHPD b, a, Z17; \
	VADDPS Z17, Z16, dst

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

// ADD_1 adds the lower half of x to the scores of a query at R13, ADD_2 all of it to those of two; R13 steps on.
#define ADD_1(x) \
	VMOVSD (R13), X18; \
	VADDPS x, X18, X18; \
	VMOVLPS X18, (R13); \
	ADDQ R8, R13

#define ADD_2(x) \
	VMOVSD (R13), X18; \
	VMOVHPS (R13)(R8*1), X18, X18; \
	VADDPS x, X18, X18; \
	VMOVLPS X18, (R13); \
	VMOVHPS X18, (R13)(R8*1); \
	LEAQ (R13)(R8*2), R13

#define QUARTER(i) VEXTRACTF32X4 $i, Z0, X1
#define STORE_1 FOLD_4_ONLY; ADD_1(X0)
#define STORE_2 FOLD_4_ONLY; ADD_2(X0)
#define STORE_4 STORE_2; QUARTER(1); ADD_2(X1)
#define STORE_8 FOLD_8; ADD_2(X0); QUARTER(1); ADD_2(X1); QUARTER(2); ADD_2(X1); QUARTER(3); ADD_2(X1)

#define SCORE(LOAD, STEP, CLEARS, MULTIPLIES, STORES, loop) \
	CLEARS; \
	LEAQ (SI)(R10*4), R15; \
	XORL AX, AX; \
	MOVQ ahead+64(FP), R9; \
loop: \
	LOAD(DX, Z16, Z17); \
	LOAD(BX, Z18, Z19); \
	MULTIPLIES; \
	ADDQ $128, SI; \
	ADDQ $128, R15; \
	ADDQ $STEP, R9; \
	ADDQ $STEP, AX; \
	CMPQ AX, keyBytes+72(FP); \
	JLT  loop; \
	STORES

// SCORES: for two keys at a time, all queries. DI and R13 are where the scores go, R8 the bytes from one query's to the next.
#define SCORES(LOAD, STEP) \
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
eight: \
	SUBQ $8, CX; \
	JLT  four; \
	SCORE(LOAD, STEP, CLEAR_8, MULTIPLY_8, STORE_8, loop8); \
	LEAQ (R15)(R14*1), SI; \
	JMP  eight; \
four: \
	TESTQ $4, CX; \
	JZ   two; \
	SCORE(LOAD, STEP, CLEAR_4, MULTIPLY_4, STORE_4, loop4); \
	ADDQ R14, SI; \
two: \
	TESTQ $2, CX; \
	JZ   one; \
	SCORE(LOAD, STEP, CLEAR_2, MULTIPLY_2, STORE_2, loop2); \
	ADDQ R10, SI; \
one: \
	TESTQ $1, CX; \
	JZ   end; \
	SCORE(LOAD, STEP, CLEAR_1, MULTIPLY_1, STORE_1, loop1); \
end: \
	LEAQ (DX)(R11*2), DX; \
	ADDQ $8, DI; \
	JMP  next; \
done: \
	VZEROUPPER; \
	RET

// EACH does OP with the sums of each query, of which 32 numbers lie at DI and, from the fifth on, R15.
#define EACH_1(OP) OP((DI), Z0, Z1)
#define EACH_2(OP) EACH_1(OP); OP((DI)(R10*1), Z2, Z3)
#define EACH_4(OP) EACH_2(OP); OP((DI)(R10*2), Z4, Z5); OP((DI)(R14*1), Z6, Z7)
#define EACH_8(OP) EACH_4(OP); \
	OP((R15), Z8, Z9); \
	OP((R15)(R10*1), Z10, Z11); \
	OP((R15)(R10*2), Z12, Z13); \
	OP((R15)(R14*1), Z14, Z15)

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

#define WEIGH_1 WEIGH((SI), Z0, Z1)
#define WEIGH_2 WEIGH_1; WEIGH((SI)(R8*1), Z2, Z3)
#define WEIGH_4 WEIGH_2; WEIGH((SI)(R8*2), Z4, Z5); WEIGH((SI)(R13*1), Z6, Z7)
#define WEIGH_8 WEIGH_4; \
	WEIGH((BX), Z8, Z9); \
	WEIGH((BX)(R8*1), Z10, Z11); \
	WEIGH((BX)(R8*2), Z12, Z13); \
	WEIGH((BX)(R13*1), Z14, Z15)

// ADD_VALUES adds 32 numbers of all values to the sums of queries from n − CX on. The values lie far apart: what comes next in each
// is moved to the first cache.
#define ADD_VALUES(LOAD, EACH, WEIGHS, loop) \
	MOVQ n+8(FP), DI; \
	SUBQ CX, DI; \
	MOVQ DI, SI; \
	IMULQ R10, DI; \
	IMULQ R8, SI; \
	ADDQ dst+0(FP), DI; \
	ADDQ w+24(FP), SI; \
	LEAQ (DI)(R10*4), R15; \
	LEAQ (SI)(R8*4), BX; \
	EACH(GET); \
	MOVQ values+40(FP), DX; \
	MOVQ count+56(FP), R12; \
loop: \
	LOAD(DX, Z16, Z17); \
	PREFETCHT0 128(DX)(AX*1); \
	WEIGHS; \
	ADDQ $4, SI; \
	ADDQ $4, BX; \
	ADDQ R11, DX; \
	DECQ R12; \
	JNZ  loop; \
	EACH(PUT)

// WEIGHT: for 32 numbers at a time, all queries and for each all values. DI and R15 are their sums, SI and BX their weights, R8 and
// R13 the bytes from one query's weights to the next, one and three times.
#define WEIGHT(LOAD, STEP) \
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
eight: \
	CMPQ CX, $8; \
	JLT  four; \
	ADD_VALUES(LOAD, EACH_8, WEIGH_8, loop8); \
	SUBQ $8, CX; \
	JMP  eight; \
four: \
	CMPQ CX, $4; \
	JLT  two; \
	ADD_VALUES(LOAD, EACH_4, WEIGH_4, loop4); \
	SUBQ $4, CX; \
two: \
	CMPQ CX, $2; \
	JLT  one; \
	ADD_VALUES(LOAD, EACH_2, WEIGH_2, loop2); \
	SUBQ $2, CX; \
one: \
	TESTQ CX, CX; \
	JZ   end; \
	ADD_VALUES(LOAD, EACH_1, WEIGH_1, loop1); \
end: \
	ADDQ $128, dst+0(FP); \
	ADDQ $STEP, R9; \
	ADDQ $STEP, AX; \
	CMPQ AX, R11; \
	JLT  next; \
	VZEROUPPER; \
	RET

// func scoresF32AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF32AVX512(SB), NOSPLIT, $0-80
	SCORES(LOAD_F32, 128)

// func scoresF16AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF16AVX512(SB), NOSPLIT, $0-80
	SCORES(LOAD_F16, 64)

// func scoresQ8_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ8_0AVX512(SB), NOSPLIT, $0-80
	SCORES(LOAD_Q8_0, 34)

// func scoresQ4_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ4_0AVX512(SB), NOSPLIT, $0-80
	VMOVUPS fours<>(SB), Z30
	SCORES(LOAD_Q4_0, 18)

// func weighF32AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF32AVX512(SB), NOSPLIT, $0-72
	WEIGHT(LOAD_F32, 128)

// func weighF16AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF16AVX512(SB), NOSPLIT, $0-72
	WEIGHT(LOAD_F16, 64)

// func weighQ8_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ8_0AVX512(SB), NOSPLIT, $0-72
	WEIGHT(LOAD_Q8_0, 34)

// func weighQ4_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ4_0AVX512(SB), NOSPLIT, $0-72
	VMOVUPS fours<>(SB), Z30
	WEIGHT(LOAD_Q4_0, 18)
