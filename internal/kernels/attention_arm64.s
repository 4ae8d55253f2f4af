#include "textflag.h"
#include "words_arm64.h"

// Attention for ARMv8.0: what attention_avx512_amd64.s says holds here, with eight numbers of a key or value in two vectors.
// V16 … V31 are sums of eight queries, two vectors each.

// SCALE_… sets vector s to the scale of a block at p, PART_… sets vectors n0 and n1, also known as f0 and f1, to the eight numbers
// of it from 8·i on. In Q4_0 these are nibbles of eight bytes: the low ones, from 16 on the high ones, or those of which V10 tells.
// NIBBLE takes them.
#define SCALE_F32(p, f, s)
#define SCALE_F16(p, f, s)
#define SCALE_Q8_0(p, f, s) \
	MOVHU (p), R2; \
	FMOVS R2, f; \
	FCVTL(s, s)

#define PART_F32(p, i, NIBBLE, s, f0, f1, n0, n1) \
	FLDPQ (32*(i))(p), (f0, f1)

#define PART_F16(p, i, NIBBLE, s, f0, f1, n0, n1) \
	FMOVQ (16*(i))(p), f1; \
	FCVTL(n0, n1); \
	FCVTL2(n1, n1)

#define PART_Q8_0(p, i, NIBBLE, s, f0, f1, n0, n1) \
	FMOVD (2+8*(i))(p), f1; \
	SCALED(n1, s, n0, n1)

#define PART_Q4_0(p, i, NIBBLE, s, f0, f1, n0, n1) \
	FMOVD (2+8*((i)&1))(p), F12; \
	NIBBLE; \
	VSUB V9.B16, V12.B16, V12.B16; \
	SCALED(12, s, n0, n1)

// SCALED sets n0 and n1 to the eight bytes of n times s.
#define SCALED(n, s, n0, n1) \
	SXTL(n1, n); \
	SXTL4(n0, n1); \
	SXTL42(n1, n1); \
	SCVTF(n0, n0); \
	SCVTF(n1, n1); \
	FMULI(n0, n0, s, 0); \
	FMULI(n1, n1, s, 0)

#define LOW VAND V8.B16, V12.B16, V12.B16
#define HIGH VUSHR $4, V12.B16, V12.B16
#define LOW_OR_HIGH USHL(12, 12, 10); LOW

// NIBBLES sets registers to what Q4_0 takes: V10 is 0 for the low nibbles or −4 for the high ones, and V11 makes one of the other.
#define NIBBLES \
	VMOVI $15, V8.B16; \
	VMOVI $8, V9.B16; \
	VMOVI $0, V10.B16; \
	VMOVI $0xFC, V11.B16

// POINTERS_N points R10 and on, without R16 … R18, at the queries, or weights of queries, at R24, which are step bytes apart.
#define POINTERS_1(step) MOVD R24, R10
#define POINTERS_2(step) POINTERS_1(step); ADD step, R10, R11
#define POINTERS_4(step) POINTERS_2(step); ADD step, R11, R12; ADD step, R12, R13
#define POINTERS_8(step) POINTERS_4(step); ADD step, R13, R14; ADD step, R14, R15; ADD step, R15, R19; ADD step, R19, R20

#define CLEAR(a, b) \
	VEOR a.B16, a.B16, a.B16; \
	VEOR b.B16, b.B16, b.B16

#define CLEAR_1 CLEAR(V16, V17)
#define CLEAR_2 CLEAR_1; CLEAR(V18, V19)
#define CLEAR_4 CLEAR_2; CLEAR(V20, V21); CLEAR(V22, V23)
#define CLEAR_8 CLEAR_4; CLEAR(V24, V25); CLEAR(V26, V27); CLEAR(V28, V29); CLEAR(V30, V31)

// MULTIPLY adds the products of eight numbers of a query with those of two keys, in V0, V1 and V2, V3, to the sums of each.
#define MULTIPLY(q, a, b) \
	FLDPQ (q), (F4, F5); \
	ADD   $32, q; \
	VFMLA V0.S4, V4.S4, a.S4; \
	VFMLA V2.S4, V4.S4, b.S4; \
	VFMLA V1.S4, V5.S4, a.S4; \
	VFMLA V3.S4, V5.S4, b.S4

#define MULTIPLY_1 MULTIPLY(R10, V16, V17)
#define MULTIPLY_2 MULTIPLY_1; MULTIPLY(R11, V18, V19)
#define MULTIPLY_4 MULTIPLY_2; MULTIPLY(R12, V20, V21); MULTIPLY(R13, V22, V23)
#define MULTIPLY_8 MULTIPLY_4; MULTIPLY(R14, V24, V25); MULTIPLY(R15, V26, V27); MULTIPLY(R19, V28, V29); MULTIPLY(R20, V30, V31)

// ADD_1 adds the lower half of a vector to the scores of a query at R23, which steps on.
#define ADD_1(n) \
	FMOVD (R23), F4; \
	FADD(4, 4, n); \
	FMOVD F4, (R23); \
	ADD   R1, R23

// ADD_2 adds up the lanes of two queries' sums, a to d, and adds these to their scores.
#define ADD_2(a, b, c, d, va) \
	FADDP(a, a, b); \
	FADDP(c, c, d); \
	FADDP(a, a, c); \
	ADD_1(a); \
	VDUP va.D[1], V5.D2; \
	ADD_1(5)

#define STORE_1 FADDP(16, 16, 17); FADDP(16, 16, 16); ADD_1(16)
#define STORE_2 ADD_2(16, 17, 18, 19, V16)
#define STORE_4 STORE_2; ADD_2(20, 21, 22, 23, V20)
#define STORE_8 STORE_4; ADD_2(24, 25, 26, 27, V24); ADD_2(28, 29, 30, 31, V28)

#define SCORE_PART(PART, i, NIBBLE, MULTIPLIES) \
	PART(R16, i, NIBBLE, 6, F0, F1, 0, 1); \
	PART(R17, i, NIBBLE, 7, F2, F3, 2, 3); \
	MULTIPLIES

// SCORE takes two keys, at R5 and R6, with as many queries at R24 as the macros say.
#define SCORE(SCALE, PART, STEP, POINTERS, CLEARS, MULTIPLIES, STORES, loop) \
	POINTERS(R4); \
	CLEARS; \
	MOVD R5, R16; \
	MOVD R6, R17; \
loop: \
	ADD  R9, R16, R21; \
	PRFM (R21), PLDL2KEEP; \
	ADD  R9, R17, R21; \
	PRFM (R21), PLDL2KEEP; \
	SCALE(R16, F6, 6); \
	SCALE(R17, F7, 7); \
	SCORE_PART(PART, 0, LOW, MULTIPLIES); \
	SCORE_PART(PART, 1, LOW, MULTIPLIES); \
	SCORE_PART(PART, 2, HIGH, MULTIPLIES); \
	SCORE_PART(PART, 3, HIGH, MULTIPLIES); \
	ADD  $STEP, R16; \
	ADD  $STEP, R17; \
	CMP  R22, R16; \
	BLO  loop; \
	STORES

// SCORES: for two keys at a time, all queries.
//
//	R0  scores of the first query      R1  bytes from one query's to the next   R23  of the query at work
//	R3  queries                        R4  bytes of one                         R25  those to go
//	R5, R6  keys                       R7  bytes from one to the next           R8   those to go
//	R22  where the first key ends      R9  how far ahead keys are fetched
#define SCORES(SCALE, PART, STEP) \
	MOVD dst+0(FP), R0; \
	MOVD stride+8(FP), R1; \
	MOVD n+24(FP), R3; \
	MOVD dim+32(FP), R4; \
	MOVD keys+40(FP), R5; \
	MOVD rowBytes+48(FP), R7; \
	MOVD count+56(FP), R8; \
	MOVD ahead+64(FP), R9; \
	LSL  $2, R1; \
	LSL  $2, R4; \
next: \
	SUBS $2, R8; \
	BLT  done; \
	ADD  R7, R5, R6; \
	MOVD keyBytes+72(FP), R22; \
	ADD  R5, R22; \
	MOVD q+16(FP), R24; \
	MOVD R3, R25; \
	MOVD R0, R23; \
eight: \
	SUBS $8, R25; \
	BLT  four; \
	SCORE(SCALE, PART, STEP, POINTERS_8, CLEAR_8, MULTIPLY_8, STORE_8, loop8); \
	MOVD R20, R24; \
	B    eight; \
four: \
	TBZ  $2, R25, two; \
	SCORE(SCALE, PART, STEP, POINTERS_4, CLEAR_4, MULTIPLY_4, STORE_4, loop4); \
	MOVD R13, R24; \
two: \
	TBZ  $1, R25, one; \
	SCORE(SCALE, PART, STEP, POINTERS_2, CLEAR_2, MULTIPLY_2, STORE_2, loop2); \
	MOVD R11, R24; \
one: \
	TBZ  $0, R25, end; \
	SCORE(SCALE, PART, STEP, POINTERS_1, CLEAR_1, MULTIPLY_1, STORE_1, loop1); \
end: \
	ADD  R7, R6, R5; \
	ADD  $8, R0; \
	B    next; \
done: \
	RET

// GET and PUT load and store eight numbers of a query's sum at R2, which steps on.
#define GET(a, b) \
	FLDPQ (R2), (a, b); \
	ADD   R4, R2

#define PUT(a, b) \
	FSTPQ (a, b), (R2); \
	ADD   R4, R2

#define EACH_1(OP) OP(F16, F17)
#define EACH_2(OP) EACH_1(OP); OP(F18, F19)
#define EACH_4(OP) EACH_2(OP); OP(F20, F21); OP(F22, F23)
#define EACH_8(OP) EACH_4(OP); OP(F24, F25); OP(F26, F27); OP(F28, F29); OP(F30, F31)

// WEIGH adds eight numbers of a value, in V0 and V1, times a query's weight.
#define WEIGH(w, a, b) \
	FMOVS.P 4(w), F2; \
	FMLAI(a, 0, 2, 0); \
	FMLAI(b, 1, 2, 0)

#define WEIGH_1 WEIGH(R10, 16, 17)
#define WEIGH_2 WEIGH_1; WEIGH(R11, 18, 19)
#define WEIGH_4 WEIGH_2; WEIGH(R12, 20, 21); WEIGH(R13, 22, 23)
#define WEIGH_8 WEIGH_4; WEIGH(R14, 24, 25); WEIGH(R15, 26, 27); WEIGH(R19, 28, 29); WEIGH(R20, 30, 31)

// ADD_VALUES adds eight numbers of all values to as many sums at R23 as the macros say, with weights at R24.
#define ADD_VALUES(SCALE, PART, POINTERS, EACH, WEIGHS, loop) \
	POINTERS(R1); \
	MOVD R23, R2; \
	EACH(GET); \
	MOVD values+40(FP), R5; \
	ADD  R21, R5, R6; \
	ADD  R26, R5; \
	MOVD count+56(FP), R8; \
loop: \
	ADD  R9, R6, R3; \
	PRFM (R3), PLDL2KEEP; \
	SCALE(R5, F6, 6); \
	PART(R6, 0, LOW_OR_HIGH, 6, F0, F1, 0, 1); \
	WEIGHS; \
	ADD  R7, R5; \
	ADD  R7, R6; \
	SUBS $1, R8; \
	BNE  loop; \
	MOVD R23, R2; \
	EACH(PUT); \
	MOVD R2, R23

// NEXT_… steps on to the next eight numbers of a value. Those of a block with a scale follow it. In Q4_0 the third and the fourth eight lie
// where the first two do.
#define NEXT_F32 ADD $32, R21
#define NEXT_F16 ADD $16, R21
#define NEXT_Q8_0 \
	ADD  $8, R21; \
	TST  $3, R22; \
	BNE  same; \
	ADD  $2, R21; \
	MOVD R21, R26; \
same:

#define NEXT_Q4_0 \
	ADD  $8, R21; \
	TBNZ $0, R22, same; \
	SUB  $16, R21; \
	VEOR V11.B16, V10.B16, V10.B16; \
	TBNZ $1, R22, same; \
	ADD  $18, R21; \
	MOVD R21, R26; \
same:

// WEIGHT: for eight numbers at a time, all queries and for each all values.
//
//	R0  sums of the first query        R4  bytes of a query's                   R23  of the query at work
//	R1  bytes of a query's weights     R24 those of the query at work           R25  queries to go
//	R5, R6  a value's block and the eight numbers in it, which are R26 and R21 behind its start
//	R7  bytes of a value               R8  values to go                         R9   how far ahead they are fetched
//	R22 how often eight numbers are left
#define WEIGHT(SCALE, PART, NEXT) \
	MOVD dst+0(FP), R0; \
	MOVD dim+16(FP), R4; \
	MOVD stride+32(FP), R1; \
	MOVD rowBytes+48(FP), R7; \
	MOVD ahead+64(FP), R9; \
	LSR  $3, R4, R22; \
	LSL  $2, R4; \
	LSL  $2, R1; \
	MOVD $0, R21; \
	MOVD $0, R26; \
next: \
	MOVD R0, R23; \
	MOVD w+24(FP), R24; \
	MOVD n+8(FP), R25; \
eight: \
	SUBS $8, R25; \
	BLT  four; \
	ADD_VALUES(SCALE, PART, POINTERS_8, EACH_8, WEIGH_8, loop8); \
	ADD  R1<<3, R24; \
	B    eight; \
four: \
	TBZ  $2, R25, two; \
	ADD_VALUES(SCALE, PART, POINTERS_4, EACH_4, WEIGH_4, loop4); \
	ADD  R1<<2, R24; \
two: \
	TBZ  $1, R25, one; \
	ADD_VALUES(SCALE, PART, POINTERS_2, EACH_2, WEIGH_2, loop2); \
	ADD  R1<<1, R24; \
one: \
	TBZ  $0, R25, end; \
	ADD_VALUES(SCALE, PART, POINTERS_1, EACH_1, WEIGH_1, loop1); \
end: \
	ADD  $32, R0; \
	SUB  $1, R22; \
	NEXT; \
	CBNZ R22, next; \
	RET

// func scoresF32NEON(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF32NEON(SB), NOSPLIT, $0-80
	SCORES(SCALE_F32, PART_F32, 128)

// func scoresF16NEON(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresF16NEON(SB), NOSPLIT, $0-80
	SCORES(SCALE_F16, PART_F16, 64)

// func scoresQ8_0NEON(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ8_0NEON(SB), NOSPLIT, $0-80
	SCORES(SCALE_Q8_0, PART_Q8_0, 34)

// func scoresQ4_0NEON(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)
TEXT ·scoresQ4_0NEON(SB), NOSPLIT, $0-80
	NIBBLES
	SCORES(SCALE_Q8_0, PART_Q4_0, 18)

// func weighF32NEON(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF32NEON(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_F32, PART_F32, NEXT_F32)

// func weighF16NEON(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighF16NEON(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_F16, PART_F16, NEXT_F16)

// func weighQ8_0NEON(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ8_0NEON(SB), NOSPLIT, $0-72
	WEIGHT(SCALE_Q8_0, PART_Q8_0, NEXT_Q8_0)

// func weighQ4_0NEON(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
TEXT ·weighQ4_0NEON(SB), NOSPLIT, $0-72
	NIBBLES
	WEIGHT(SCALE_Q8_0, PART_Q4_0, NEXT_Q4_0)
