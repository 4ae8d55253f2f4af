#include "textflag.h"
#include "words_arm64.h"

// Units: weights of any format in one form, see units_arm64.go.

#define UNPACK
#define ROWS_Q4_0 ·unpackQ40
#define ROWS_Q5_0 ·unpackQ50
#define ROWS_Q8_0 ·unpackQ80
#define ROWS_Q4_K ·unpackQ4K
#define ROWS_Q5_K ·unpackQ5K
#define ROWS_Q6_K ·unpackQ6K
#define ROWS_IQ4_NL ·unpackIQ4NL
#define ROWS_IQ4_XS ·unpackIQ4XS
#define ROWS_MXFP4 ·unpackMXFP4
#define ROWS_Q4_1 ·unpackQ41
#define ROWS_Q5_1 ·unpackQ51
#define ROWS_Q2_K ·unpackQ2K
#define ROWS_Q3_K ·unpackQ3K
#define ROWS_TQ1_0 ·unpackTQ10
#define ROWS_TQ2_0 ·unpackTQ20
#define ROWS_NVFP4 ·unpackNVFP4
#define ROWS_IQ2_XXS ·unpackIQ2XXS
#define ROWS_IQ2_XS ·unpackIQ2XS
#define ROWS_IQ2_S ·unpackIQ2S
#define ROWS_IQ3_XXS ·unpackIQ3XXS
#define ROWS_IQ3_S ·unpackIQ3S
#define ROWS_IQ1_S ·unpackIQ1S
#define ROWS_IQ1_M ·unpackIQ1M

#include "rows_arm64.h"

// func expandNEON(dst *float32, src *unit, units int)
// func expandMinsNEON(dst *float32, src *unit, units int)
// What units stand for: V16 are the scales, V17 the minimums.
#define SIXTEEN_INTS(at) \
	FMOVQ at(R1), F4 \
	SXTL(5, 4)       \
	SXTL2(6, 4)      \
	SXTL4(0, 5)      \
	SXTL42(1, 5)     \
	SXTL4(2, 6)      \
	SXTL42(3, 6)     \
	SCVTF(0, 0)      \
	SCVTF(1, 1)      \
	SCVTF(2, 2)      \
	SCVTF(3, 3)

#define SCALED(at, i) \
	SIXTEEN_INTS(at)   \
	FMULI(0, 0, 16, i) \
	FMULI(1, 1, 16, i) \
	FMULI(2, 2, 16, i) \
	FMULI(3, 3, 16, i)

#define STORE_64(at) \
	FSTPQ (F0, F1), at(R0) \
	FSTPQ (F2, F3), (at+32)(R0)

#define LESS_MIN(i) \
	VDUP V17.S[i], V4.S4 \
	FSUB(0, 0, 4)        \
	FSUB(1, 1, 4)        \
	FSUB(2, 2, 4)        \
	FSUB(3, 3, 4)

TEXT ·expandNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD units+16(FP), R2

unit:
	FMOVQ 64(R1), F16
	SCALED(0, 0)
	STORE_64(0)
	SCALED(16, 1)
	STORE_64(64)
	SCALED(32, 2)
	STORE_64(128)
	SCALED(48, 3)
	STORE_64(192)
	ADD   $UNIT_SIZE, R1
	ADD   $256, R0
	SUBS  $1, R2
	BNE   unit
	RET

TEXT ·expandMinsNEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD units+16(FP), R2

unit:
	FLDPQ 64(R1), (F16, F17)
	SCALED(0, 0)
	LESS_MIN(0)
	STORE_64(0)
	SCALED(16, 1)
	LESS_MIN(1)
	STORE_64(64)
	SCALED(32, 2)
	LESS_MIN(2)
	STORE_64(128)
	SCALED(48, 3)
	LESS_MIN(3)
	STORE_64(192)
	ADD   $UNIT_SIZE, R1
	ADD   $256, R0
	SUBS  $1, R2
	BNE   unit
	RET
