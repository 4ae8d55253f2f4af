#include "textflag.h"
#include "kernels_arm64.h"

// The panels of processors with SMMLA, which multiplies two rows of eight bytes with two, and adds the four products of rows: lanes 0
// and 1 are the first row times both tokens of a pair, lanes 2 and 3 the second row.
//
// Pairs of strips of four rows times a strip of four tokens, dst[t·stride + r], as in kernels_dotprod_arm64.s. Nothing but
// multiplications is left to the vector units: of 32 weights and activations, four SMMLA for each four sums and two multiply-adds for
// the two scales. So SMMLA has 4/6 of the issue slots, as SDOT has 8/10 of them; more would take a scale for more than 32 activations:
// one for 128 makes 16/21, but costs a third more error.
//
//	R0      dst                     V0–V7    sums of row pair 0 to 3 with both token pairs each
//	R1      stride in bytes         V8–V15   the same for the running block, as integers
//	R2      w, the pair             V16–V21  eight values of four row pairs and of the token pairs
//	R3      x                       V22, V23, V26, V27  the scales of the row pairs
//	R4      blocks                  V24–V29  as V16–V21
//	R5      pairs left              V30, V31 the scales of the token pairs
//	R6      1.5·2²³, eight times
//	R7, R8  running strips of w
//	R9      running block of x
//	R10     length of a pair
//	R11     blocks left
DATA start<>+0(SB)/8, $0x4B4000004B400000
DATA start<>+8(SB)/8, $0x4B4000004B400000
DATA start<>+16(SB)/8, $0x4B4000004B400000
DATA start<>+24(SB)/8, $0x4B4000004B400000
GLOBL start<>(SB), (NOPTR|RODATA), $32

#define START \
	FLDPQ (R6), (F8, F9)   \
	FLDPQ (R6), (F10, F11) \
	FLDPQ (R6), (F12, F13) \
	FLDPQ (R6), (F14, F15)

// EIGHT multiplies eight values of all rows and tokens.
#define EIGHT(w0, w1, w2, w3, x0, x1) \
	SMMLA(8, w0, x0)  \
	SMMLA(9, w0, x1)  \
	SMMLA(10, w1, x0) \
	SMMLA(11, w1, x1) \
	SMMLA(12, w2, x0) \
	SMMLA(13, w2, x1) \
	SMMLA(14, w3, x0) \
	SMMLA(15, w3, x1)

#define SIXTEEN(at) \
	FLDPQ at(R7), (F16, F17)      \
	FLDPQ at(R8), (F18, F19)      \
	FLDPQ at(R9), (F20, F21)      \
	EIGHT(16, 17, 18, 19, 20, 21) \
	FLDPQ (at+32)(R7), (F24, F25) \
	FLDPQ (at+32)(R8), (F26, F27) \
	FLDPQ (at+32)(R9), (F28, F29) \
	EIGHT(24, 25, 26, 27, 28, 29)

#define ADD_BLOCKS(scales) \
	FLDPQ scales(R7), (F22, F23)      \
	FLDPQ scales(R8), (F26, F27)      \
	FLDPQ (scales+32)(R7), (F16, F18) \
	FLDPQ (scales+32)(R7), (F17, F19) \
	FLDPQ (scales+32)(R8), (F20, F24) \
	FLDPQ (scales+32)(R8), (F21, F25) \
	VFMLA V22.S4, V8.S4, V16.S4       \
	VFMLA V22.S4, V9.S4, V17.S4       \
	VFMLA V23.S4, V10.S4, V18.S4      \
	VFMLA V23.S4, V11.S4, V19.S4      \
	VFMLA V26.S4, V12.S4, V20.S4      \
	VFMLA V26.S4, V13.S4, V21.S4      \
	VFMLA V27.S4, V14.S4, V24.S4      \
	VFMLA V27.S4, V15.S4, V25.S4      \
	VFMLA V30.S4, V16.S4, V0.S4       \
	VFMLA V31.S4, V17.S4, V1.S4       \
	VFMLA V30.S4, V18.S4, V2.S4       \
	VFMLA V31.S4, V19.S4, V3.S4       \
	VFMLA V30.S4, V20.S4, V4.S4       \
	VFMLA V31.S4, V21.S4, V5.S4       \
	VFMLA V30.S4, V24.S4, V6.S4       \
	VFMLA V31.S4, V25.S4, V7.S4

#define PLAIN \
	FLDPQ 128(R9), (F30, F31) \
	START                     \
	SIXTEEN(0)                \
	SIXTEEN(64)               \
	ADD_BLOCKS(128)

#define MINS \
	PLAIN                       \
	FLDPQ 160(R9), (F30, F31)   \
	FLDPQ 192(R7), (F22, F23)   \
	FLDPQ 192(R8), (F26, F27)   \
	VFMLA V30.S4, V22.S4, V0.S4 \
	VFMLA V31.S4, V22.S4, V1.S4 \
	VFMLA V30.S4, V23.S4, V2.S4 \
	VFMLA V31.S4, V23.S4, V3.S4 \
	VFMLA V30.S4, V26.S4, V4.S4 \
	VFMLA V31.S4, V26.S4, V5.S4 \
	VFMLA V30.S4, V27.S4, V6.S4 \
	VFMLA V31.S4, V27.S4, V7.S4

#define TWO_GROUPS \
	FLDPQ 128(R9), (F30, F31) \
	START                     \
	SIXTEEN(0)                \
	ADD_BLOCKS(128)           \
	START                     \
	SIXTEEN(64)               \
	ADD_BLOCKS(192)

#define MULTIPLY(size, BLOCK, pair, block) \
	MOVD  dst+0(FP), R0        \
	MOVD  stride+8(FP), R1     \
	MOVD  w+16(FP), R2         \
	MOVD  x+24(FP), R3         \
	MOVD  blocks+32(FP), R4    \
	MOVD  pairs+40(FP), R5     \
	MOVD  $start<>(SB), R6     \
	LSL   $2, R1               \
	MOVD  $(2*size), R10       \
	MUL   R4, R10              \
pair:                       \
	MOVD  R2, R7               \
	ADD   R10>>1, R2, R8       \
	MOVD  R3, R9               \
	MOVD  R4, R11              \
	VMOVI $0, V0.B16           \
	VMOVI $0, V1.B16           \
	VMOVI $0, V2.B16           \
	VMOVI $0, V3.B16           \
	VMOVI $0, V4.B16           \
	VMOVI $0, V5.B16           \
	VMOVI $0, V6.B16           \
	VMOVI $0, V7.B16           \
block:                      \
	BLOCK                      \
	ADD   $size, R7            \
	ADD   $size, R8            \
	ADD   $192, R9             \
	SUBS  $1, R11              \
	BNE   block                \
	VUZP1 V2.S4, V0.S4, V16.S4 \
	VUZP1 V6.S4, V4.S4, V17.S4 \
	VUZP2 V2.S4, V0.S4, V18.S4 \
	VUZP2 V6.S4, V4.S4, V19.S4 \
	VUZP1 V3.S4, V1.S4, V20.S4 \
	VUZP1 V7.S4, V5.S4, V21.S4 \
	VUZP2 V3.S4, V1.S4, V22.S4 \
	VUZP2 V7.S4, V5.S4, V23.S4 \
	FSTPQ (F16, F17), (R0)     \
	ADD   R1, R0, R12          \
	FSTPQ (F18, F19), (R12)    \
	ADD   R1, R12              \
	FSTPQ (F20, F21), (R12)    \
	ADD   R1, R12              \
	FSTPQ (F22, F23), (R12)    \
	ADD   $32, R0              \
	ADD   R10, R2              \
	SUBS  $1, R5               \
	BNE   pair

// func multiplyStripsI8MM(dst *float32, stride int, w, x *byte, blocks, pairs int)
TEXT ·multiplyStripsI8MM(SB), NOSPLIT, $0-48
	MULTIPLY(192, PLAIN, pair, block)
	RET

// func multiplyMinStripsI8MM(dst *float32, stride int, w, x *byte, blocks, pairs int)
TEXT ·multiplyMinStripsI8MM(SB), NOSPLIT, $0-48
	MULTIPLY(224, MINS, pair, block)
	RET

// func multiplyGroupStripsI8MM(dst *float32, stride int, w, x *byte, blocks, pairs int)
TEXT ·multiplyGroupStripsI8MM(SB), NOSPLIT, $0-48
	MULTIPLY(256, TWO_GROUPS, pair, block)
	RET

// func burnI8MM(rounds int)
// 16 multiplications of 32 bytes per round.
TEXT ·burnI8MM(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0

round:
	SMMLA(0, 16, 17)
	SMMLA(1, 16, 17)
	SMMLA(2, 16, 17)
	SMMLA(3, 16, 17)
	SMMLA(4, 16, 17)
	SMMLA(5, 16, 17)
	SMMLA(6, 16, 17)
	SMMLA(7, 16, 17)
	SMMLA(8, 16, 17)
	SMMLA(9, 16, 17)
	SMMLA(10, 16, 17)
	SMMLA(11, 16, 17)
	SMMLA(12, 16, 17)
	SMMLA(13, 16, 17)
	SMMLA(14, 16, 17)
	SMMLA(15, 16, 17)
	SUBS $1, R0
	BGT  round
	RET

// func multiplyBF16(dst *float32, stride int, w, x *byte, columns, panels int)
// Panels of eight rows times eight tokens, columns of four numbers, dst[t·stride + r]. Each sum is of two rows with two tokens, as
// above.
//
//	R0  dst                V0–V3    sums of row pair 0 to 3 with token pair 0
//	R1  stride in bytes    V4–V7    with token pair 1
//	R2  running w          V8–V11   with token pair 2
//	R3  x                  V12–V15  with token pair 3
//	R4  columns            V16–V19  row pairs
//	R5  panels left        V20–V23  token pairs
//	R6  running x
//	R7  columns left
#define FOUR_PAIRS(s0, s1, s2, s3, x) \
	BFMMLA(s0, 16, x) \
	BFMMLA(s1, 17, x) \
	BFMMLA(s2, 18, x) \
	BFMMLA(s3, 19, x)

// STORE_TWO writes the products of two tokens.
#define STORE_TWO(v0, v1, v2, v3) \
	VUZP1 v1.S4, v0.S4, V16.S4 \
	VUZP1 v3.S4, v2.S4, V17.S4 \
	VUZP2 v1.S4, v0.S4, V18.S4 \
	VUZP2 v3.S4, v2.S4, V19.S4 \
	FSTPQ (F16, F17), (R8)     \
	ADD   R1, R8               \
	FSTPQ (F18, F19), (R8)     \
	ADD   R1, R8

TEXT ·multiplyBF16(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD stride+8(FP), R1
	MOVD w+16(FP), R2
	MOVD x+24(FP), R3
	MOVD columns+32(FP), R4
	MOVD panels+40(FP), R5
	LSL  $2, R1

panel:
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	VMOVI $0, V4.B16
	VMOVI $0, V5.B16
	VMOVI $0, V6.B16
	VMOVI $0, V7.B16
	VMOVI $0, V8.B16
	VMOVI $0, V9.B16
	VMOVI $0, V10.B16
	VMOVI $0, V11.B16
	VMOVI $0, V12.B16
	VMOVI $0, V13.B16
	VMOVI $0, V14.B16
	VMOVI $0, V15.B16
	MOVD  R3, R6
	MOVD  R4, R7

column:
	FLDPQ (R2), (F16, F17)
	FLDPQ 32(R2), (F18, F19)
	FLDPQ (R6), (F20, F21)
	FLDPQ 32(R6), (F22, F23)
	ADD   $64, R2
	ADD   $64, R6
	FOUR_PAIRS(0, 1, 2, 3, 20)
	FOUR_PAIRS(4, 5, 6, 7, 21)
	FOUR_PAIRS(8, 9, 10, 11, 22)
	FOUR_PAIRS(12, 13, 14, 15, 23)
	SUBS  $1, R7
	BNE   column

	MOVD R0, R8
	STORE_TWO(V0, V1, V2, V3)
	STORE_TWO(V4, V5, V6, V7)
	STORE_TWO(V8, V9, V10, V11)
	STORE_TWO(V12, V13, V14, V15)
	ADD  $32, R0
	SUBS $1, R5
	BNE  panel
	RET

// func spreadWords(dst, src *byte, words int)
TEXT ·spreadWords(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD words+16(FP), R2

word:
	MOVD.P 8(R1), R3
	MOVD.P R3, 64(R0)
	SUBS   $1, R2
	BNE    word
	RET

// func spreadBF16(dst *byte, src *float32, words int)
TEXT ·spreadBF16(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD words+16(FP), R2

word:
	FMOVQ.P 16(R1), F0
	BFCVTN(0, 0)
	FMOVD.P F0, 64(R0)
	SUBS    $1, R2
	BNE     word
	RET
