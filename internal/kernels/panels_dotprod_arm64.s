#include "textflag.h"
#include "words_arm64.h"

// Panels of processors with SDOT, which adds four products of bytes to a lane: pairs of strips of four rows times a strip of four tokens,
// dst[t·stride + r].
//
//	R0      dst                     V0–V3    sums of rows 0–3 with token 0 to 3
//	R1      stride in bytes         V4–V7    sums of rows 4–7 with token 0 to 3
//	R2      w, the pair             V8–V15   the same for the running block, as integers
//	R3      x                       V16–V21  four values of rows 0–3, of rows 4–7 and of the tokens, twice
//	R4      blocks                  V22, V23 the rows' scales
//	R5      pairs left              V24–V29  as V16–V21
//	R6      1.5·2²³, eight times    V30      the tokens' negative sums
//	R7, R8  running strips of w     V31      the tokens' scales
//	R9      running block of x
//	R10     length of a pair
//	R11     blocks left
//
// Whatever else can do it is kept from the vector units, which are what this loop waits for. A block's sums start
// with the bits of 1.5·2²³, loaded, not moved. At most 32·128·127 < 2²² is added, one of that float's last place, so that the
// bits become the float 1.5·2²³ + sum. ADD_BLOCK makes it the sum times the scale of the row by adding it, times the scale, to
// −1.5·2²³ times the scale, which is exact and loaded too; and adds that, times the scale of the token, to the total.
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

// FOUR multiplies four values of all rows and tokens.
#define FOUR(w0, w1, x) \
	SDOTI(8, w0, x, 0)  \
	SDOTI(9, w0, x, 1)  \
	SDOTI(10, w0, x, 2) \
	SDOTI(11, w0, x, 3) \
	SDOTI(12, w1, x, 0) \
	SDOTI(13, w1, x, 1) \
	SDOTI(14, w1, x, 2) \
	SDOTI(15, w1, x, 3)

#define SIXTEEN(at) \
	FLDPQ at(R7), (F16, F17)      \
	FLDPQ at(R8), (F18, F19)      \
	FLDPQ at(R9), (F20, F21)      \
	FOUR(16, 18, 20)              \
	FOUR(17, 19, 21)              \
	FLDPQ (at+32)(R7), (F24, F25) \
	FLDPQ (at+32)(R8), (F26, F27) \
	FLDPQ (at+32)(R9), (F28, F29) \
	FOUR(24, 26, 28)              \
	FOUR(25, 27, 29)

#define ADD_BLOCK(negative, w, scales, F, V, product, sums, i, total) \
	FMOVQ negative(w), F           \
	VFMLA scales.S4, sums.S4, V.S4 \
	FMLAI(total, product, 31, i)

#define ADD_BLOCKS(scales) \
	FMOVQ scales(R7), F22                                  \
	FMOVQ scales(R8), F23                                  \
	ADD_BLOCK(scales+16, R7, V22, F16, V16, 16, V8, 0, 0)  \
	ADD_BLOCK(scales+16, R7, V22, F17, V17, 17, V9, 1, 1)  \
	ADD_BLOCK(scales+16, R7, V22, F18, V18, 18, V10, 2, 2) \
	ADD_BLOCK(scales+16, R7, V22, F19, V19, 19, V11, 3, 3) \
	ADD_BLOCK(scales+16, R8, V23, F20, V20, 20, V12, 0, 4) \
	ADD_BLOCK(scales+16, R8, V23, F21, V21, 21, V13, 1, 5) \
	ADD_BLOCK(scales+16, R8, V23, F24, V24, 24, V14, 2, 6) \
	ADD_BLOCK(scales+16, R8, V23, F25, V25, 25, V15, 3, 7)

// The blocks of the three kinds of strips.
#define PLAIN \
	START              \
	SIXTEEN(0)         \
	SIXTEEN(64)        \
	FMOVQ 128(R9), F31 \
	ADD_BLOCKS(128)

#define MINS \
	PLAIN               \
	FMOVQ 144(R9), F30  \
	FMOVQ 160(R7), F22  \
	FMOVQ 160(R8), F23  \
	FMLAI(0, 22, 30, 0) \
	FMLAI(1, 22, 30, 1) \
	FMLAI(2, 22, 30, 2) \
	FMLAI(3, 22, 30, 3) \
	FMLAI(4, 23, 30, 0) \
	FMLAI(5, 23, 30, 1) \
	FMLAI(6, 23, 30, 2) \
	FMLAI(7, 23, 30, 3)

#define TWO_GROUPS \
	FMOVQ 128(R9), F31 \
	START              \
	SIXTEEN(0)         \
	ADD_BLOCKS(128)    \
	START              \
	SIXTEEN(64)        \
	ADD_BLOCKS(160)

#define MULTIPLY(size, BLOCK, pair, block) \
	MOVD  dst+0(FP), R0     \
	MOVD  stride+8(FP), R1  \
	MOVD  w+16(FP), R2      \
	MOVD  x+24(FP), R3      \
	MOVD  blocks+32(FP), R4 \
	MOVD  pairs+40(FP), R5  \
	MOVD  $start<>(SB), R6  \
	LSL   $2, R1            \
	MOVD  $(2*size), R10    \
	MUL   R4, R10           \
pair:                    \
	MOVD  R2, R7            \
	ADD   R10>>1, R2, R8    \
	MOVD  R3, R9            \
	MOVD  R4, R11           \
	VMOVI $0, V0.B16        \
	VMOVI $0, V1.B16        \
	VMOVI $0, V2.B16        \
	VMOVI $0, V3.B16        \
	VMOVI $0, V4.B16        \
	VMOVI $0, V5.B16        \
	VMOVI $0, V6.B16        \
	VMOVI $0, V7.B16        \
block:                   \
	BLOCK                   \
	ADD   $size, R7         \
	ADD   $size, R8         \
	ADD   $160, R9          \
	SUBS  $1, R11           \
	BNE   block             \
	FSTPQ (F0, F4), (R0)    \
	ADD   R1, R0, R12       \
	FSTPQ (F1, F5), (R12)   \
	ADD   R1, R12           \
	FSTPQ (F2, F6), (R12)   \
	ADD   R1, R12           \
	FSTPQ (F3, F7), (R12)   \
	ADD   $32, R0           \
	ADD   R10, R2           \
	SUBS  $1, R5            \
	BNE   pair

// func multiplyStripsDotprod(dst *float32, stride int, w, x *byte, blocks, pairs int)
TEXT ·multiplyStripsDotprod(SB), NOSPLIT, $0-48
	MULTIPLY(160, PLAIN, pair, block)
	RET

// func multiplyMinStripsDotprod(dst *float32, stride int, w, x *byte, blocks, pairs int)
TEXT ·multiplyMinStripsDotprod(SB), NOSPLIT, $0-48
	MULTIPLY(176, MINS, pair, block)
	RET

// func multiplyGroupStripsDotprod(dst *float32, stride int, w, x *byte, blocks, pairs int)
TEXT ·multiplyGroupStripsDotprod(SB), NOSPLIT, $0-48
	MULTIPLY(192, TWO_GROUPS, pair, block)
	RET

// func burnDotprod(rounds int)
// 16 multiplications of 16 bytes per round.
TEXT ·burnDotprod(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0

round:
	SDOT(0, 16, 17)
	SDOT(1, 16, 17)
	SDOT(2, 16, 17)
	SDOT(3, 16, 17)
	SDOT(4, 16, 17)
	SDOT(5, 16, 17)
	SDOT(6, 16, 17)
	SDOT(7, 16, 17)
	SDOT(8, 16, 17)
	SDOT(9, 16, 17)
	SDOT(10, 16, 17)
	SDOT(11, 16, 17)
	SDOT(12, 16, 17)
	SDOT(13, 16, 17)
	SDOT(14, 16, 17)
	SDOT(15, 16, 17)
	SUBS $1, R0
	BGT  round
	RET
