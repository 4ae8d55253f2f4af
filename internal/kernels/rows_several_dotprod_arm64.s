#include "textflag.h"
#include "words_arm64.h"

// The row kernels of several tokens, see rows_strips_arm64.h.

DATA start<>+0(SB)/8, $0x4B4000004B400000
DATA start<>+8(SB)/8, $0x4B4000004B400000
DATA start<>+16(SB)/8, $0x4940000049400000
DATA start<>+24(SB)/8, $0x4940000049400000
GLOBL start<>(SB), (NOPTR|RODATA), $32

#define SEVERAL
#define STRIPS

#define ROWS_Q4_0 ·severalQ40Dotprod
#define ROWS_Q5_0 ·severalQ50Dotprod
#define ROWS_Q8_0 ·severalQ80Dotprod
#define ROWS_Q4_K ·severalQ4KDotprod
#define ROWS_Q5_K ·severalQ5KDotprod
#define ROWS_Q6_K ·severalQ6KDotprod
#define ROWS_IQ4_NL ·severalIQ4NLDotprod
#define ROWS_IQ4_XS ·severalIQ4XSDotprod
#define ROWS_MXFP4 ·severalMXFP4Dotprod
#define ROWS_Q4_1 ·severalQ41Dotprod
#define ROWS_Q5_1 ·severalQ51Dotprod
#define ROWS_Q2_K ·severalQ2KDotprod
#define ROWS_Q3_K ·severalQ3KDotprod
#define ROWS_TQ1_0 ·severalTQ10Dotprod
#define ROWS_TQ2_0 ·severalTQ20Dotprod
#define ROWS_NVFP4 ·severalNVFP4Dotprod
#define ROWS_IQ2_XXS ·severalIQ2XXSDotprod
#define ROWS_IQ2_XS ·severalIQ2XSDotprod
#define ROWS_IQ2_S ·severalIQ2SDotprod
#define ROWS_IQ3_XXS ·severalIQ3XXSDotprod
#define ROWS_IQ3_S ·severalIQ3SDotprod
#define ROWS_IQ1_S ·severalIQ1SDotprod
#define ROWS_IQ1_M ·severalIQ1MDotprod

#include "rows_arm64.h"

// func interleaveStrip(dst *byte, src *tensor.Q8, next, units, n int)
//
// Tokens behind the n-th are that one.
TEXT ·interleaveStrip(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R8
	MOVD next+16(FP), R1
	MOVD units+24(FP), R2
	MOVD n+32(FP), R3
	CMP  $2, R3
	CSEL GE, R1, ZR, R4
	ADD  R4, R8, R9
	CMP  $3, R3
	CSEL GE, R1, ZR, R4
	ADD  R4, R9, R10
	CMP  $4, R3
	CSEL GE, R1, ZR, R4
	ADD  R4, R10, R11

#define WORDS_OF(at, to) \
	FMOVQ at(R8), F0       \
	FMOVQ at(R9), F1       \
	FMOVQ at(R10), F2      \
	FMOVQ at(R11), F3      \
	TRANSPOSE              \
	FSTPQ (F0, F1), to(R0) \
	FSTPQ (F2, F3), (to+32)(R0)

#define TRANSPOSE \
	VZIP1 V2.S4, V0.S4, V4.S4 \
	VZIP2 V2.S4, V0.S4, V5.S4 \
	VZIP1 V3.S4, V1.S4, V6.S4 \
	VZIP2 V3.S4, V1.S4, V7.S4 \
	VZIP1 V6.S4, V4.S4, V0.S4 \
	VZIP2 V6.S4, V4.S4, V1.S4 \
	VZIP1 V7.S4, V5.S4, V2.S4 \
	VZIP2 V7.S4, V5.S4, V3.S4

#define NEGATIVES(x, F, V) \
	FLDPQ Q8_NEGSUM(x), (F4, F5)      \
	FLDPQ (Q8_NEGSUM+32)(x), (F6, F7) \
	VADDP V5.S4, V4.S4, V4.S4         \
	VADDP V7.S4, V6.S4, V6.S4         \
	VADDP V6.S4, V4.S4, V.S4          \
	SCVTF(F, F)

unit:
	WORDS_OF(0, 0)
	WORDS_OF(16, 64)
	WORDS_OF(32, 128)
	WORDS_OF(48, 192)
	FMOVD (Q8_SCALE_6+4)(R8), F0
	FMOVD (Q8_SCALE_6+4)(R9), F1
	FMOVD (Q8_SCALE_6+4)(R10), F2
	FMOVD (Q8_SCALE_6+4)(R11), F3
	TRANSPOSE
	FSTPQ (F0, F1), 256(R0)
	NEGATIVES(R8, 0, V0)
	NEGATIVES(R9, 1, V1)
	NEGATIVES(R10, 2, V2)
	NEGATIVES(R11, 3, V3)
	TRANSPOSE
	FSTPQ (F0, F1), 288(R0)
	FSTPQ (F2, F3), 320(R0)
	ADD   $STRIP_SIZE, R0
	ADD   $Q8_SIZE, R8
	ADD   $Q8_SIZE, R9
	ADD   $Q8_SIZE, R10
	ADD   $Q8_SIZE, R11
	SUBS  $1, R2
	BNE   unit
	RET
