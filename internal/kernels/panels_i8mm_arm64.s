#include "textflag.h"
#include "words_arm64.h"
#include "panels_arm64.h"

// The panels of processors with SMMLA, which multiplies two rows of eight bytes with two, and adds the four products of rows: lanes 0
// and 1 are the first row times both tokens of a pair, lanes 2 and 3 the second row. The strips are described in panels_i8mm_arm64.go.
//
// Pairs of strips of four rows times a strip of four tokens, dst[t·stride + r]. As in panels_dotprod_arm64.s, nothing but
// multiplications is left to the vector units, and 32 integers are added to the bits of 1.5·2²³. Of a span, four sums are 12 SMMLA, three
// multiply-adds with the scales of the rows, to −1.5·2²³ times the scales, and one with the scales of the tokens: SMMLA has 12/16 of the
// issue slots. The columns before take one in 33.
//
//	R0      dst                      V0–V7    sums of row pair 0 to 3 with both token pairs each
//	R1      stride in bytes          V8–V15   the same for the running block, as integers
//	R2      w, the pair              V16–V23  the same for the running span, times the scales of the rows
//	R3      x                        V24–V29  eight values of four row pairs and of the token pairs; scales
//	R4      spans                    V30, V31 the scales of the token pairs
//	R5      pairs left
//	R6      1.5·2²³, eight times
//	R7, R8  running strips of w
//	R9      running span of x
//	R10     length of a pair
//	R11     spans or columns left
//	R12     running column of w
//	R13     columns of x, R14 the running one
//	R15     columns
DATA start<>+0(SB)/8, $0x4B4000004B400000
DATA start<>+8(SB)/8, $0x4B4000004B400000
DATA start<>+16(SB)/8, $0x4B4000004B400000
DATA start<>+24(SB)/8, $0x4B4000004B400000
GLOBL start<>(SB), (NOPTR|RODATA), $32

// What belongs to the second pair of tokens stands in SECOND, which is BOTH, or ONE where there is no such pair.
#define BOTH(x) x
#define ONE(x)

#define LOAD(at, R, F, G) FLDPQ (at)(R), (F, G)
#define LOAD1(at, R, F) FMOVQ (at)(R), F

#define START(SECOND) \
	FLDPQ (R6), (F8, F10)         \
	FLDPQ (R6), (F12, F14)        \
	SECOND(LOAD(0, R6, F9, F11))  \
	SECOND(LOAD(0, R6, F13, F15))

// EIGHT multiplies eight values of all rows and tokens.
#define EIGHT(SECOND, at) \
	FLDPQ at(R7), (F24, F25)   \
	FLDPQ at(R8), (F26, F27)   \
	FMOVQ at(R9), F28          \
	SECOND(LOAD1(at+16, R9, F29)) \
	SMMLA(8, 24, 28)           \
	SECOND(SMMLA(9, 24, 29))   \
	SMMLA(10, 25, 28)          \
	SECOND(SMMLA(11, 25, 29))  \
	SMMLA(12, 26, 28)          \
	SECOND(SMMLA(13, 26, 29))  \
	SMMLA(14, 27, 28)          \
	SECOND(SMMLA(15, 27, 29))

#define SIXTEEN(SECOND, at) \
	EIGHT(SECOND, at) \
	EIGHT(SECOND, at+32)

#define SCALE(SECOND, at) \
	FLDPQ at(R7), (F24, F25) \
	FLDPQ at(R8), (F26, F27) \
	FMLA(16, 8, 24)          \
	SECOND(FMLA(17, 9, 24))  \
	FMLA(18, 10, 25)         \
	SECOND(FMLA(19, 11, 25)) \
	FMLA(20, 12, 26)         \
	SECOND(FMLA(21, 13, 26)) \
	FMLA(22, 14, 27)         \
	SECOND(FMLA(23, 15, 27))

// BLOCK is 32 weights with a scale, HALVES are twice 16.
#define BLOCK(SECOND, i) \
	START(SECOND)               \
	SIXTEEN(SECOND, 128*(i))    \
	SIXTEEN(SECOND, 128*(i)+64) \
	SCALE(SECOND, 384+32*(i))

#define HALVES(SECOND, i) \
	START(SECOND)               \
	SIXTEEN(SECOND, 128*(i))    \
	SCALE(SECOND, 384+64*(i))   \
	START(SECOND)               \
	SIXTEEN(SECOND, 128*(i)+64) \
	SCALE(SECOND, 416+64*(i))

// STORE writes the products of a pair of tokens, s0 … s3 with the rows, to R16.
#define STORE(s0, s1, s2, s3) \
	VUZP1 s1.S4, s0.S4, V16.S4 \
	VUZP1 s3.S4, s2.S4, V17.S4 \
	VUZP2 s1.S4, s0.S4, V18.S4 \
	VUZP2 s3.S4, s2.S4, V19.S4 \
	FSTPQ (F16, F17), (R16)    \
	ADD   R1, R16              \
	FSTPQ (F18, F19), (R16)    \
	ADD   R1, R16

#define MULTIPLY(size, SECOND, BLOCK, pair, column, span) \
	MOVD  dst+0(FP), R0                     \
	MOVD  stride+8(FP), R1                  \
	MOVD  w+16(FP), R2                      \
	MOVD  x+24(FP), R3                      \
	MOVD  spans+32(FP), R4                  \
	MOVD  pairs+40(FP), R5                  \
	MOVD  $start<>(SB), R6                  \
	MOVD  wc+48(FP), R12                    \
	MOVD  xc+56(FP), R13                    \
	MOVD  columns+64(FP), R15               \
	LSL   $2, R1                            \
	MOVD  $(2*size), R10                    \
	MUL   R4, R10                           \
pair:                                     \
	MOVD  R2, R7                            \
	ADD   R10>>1, R2, R8                    \
	MOVD  R3, R9                            \
	VMOVI $0, V0.B16                        \
	VMOVI $0, V1.B16                        \
	VMOVI $0, V2.B16                        \
	VMOVI $0, V3.B16                        \
	VMOVI $0, V4.B16                        \
	VMOVI $0, V5.B16                        \
	VMOVI $0, V6.B16                        \
	VMOVI $0, V7.B16                        \
	MOVD  R13, R14                          \
	MOVD  R15, R11                          \
column:                                   \
	FLDPQ (R12), (F24, F25)                 \
	FLDPQ 32(R12), (F26, F27)               \
	FLDPQ (R14), (F28, F29)                 \
	ADD   $64, R12                          \
	ADD   $32, R14                          \
	BFMMLA(0, 24, 28)                       \
	SECOND(BFMMLA(1, 24, 29))               \
	BFMMLA(2, 25, 28)                       \
	SECOND(BFMMLA(3, 25, 29))               \
	BFMMLA(4, 26, 28)                       \
	SECOND(BFMMLA(5, 26, 29))               \
	BFMMLA(6, 27, 28)                       \
	SECOND(BFMMLA(7, 27, 29))               \
	SUBS  $1, R11                           \
	BNE   column                            \
	MOVD  R4, R11                           \
span:                                     \
	FLDPQ (size-32)(R7), (F16, F18)         \
	FLDPQ (size-32)(R8), (F20, F22)         \
	SECOND(LOAD(size-32, R7, F17, F19))     \
	SECOND(LOAD(size-32, R8, F21, F23))     \
	FLDPQ 384(R9), (F30, F31)               \
	BLOCK(SECOND, 0)                        \
	BLOCK(SECOND, 1)                        \
	BLOCK(SECOND, 2)                        \
	FMLA(0, 16, 30)                         \
	SECOND(FMLA(1, 17, 31))                 \
	FMLA(2, 18, 30)                         \
	SECOND(FMLA(3, 19, 31))                 \
	FMLA(4, 20, 30)                         \
	SECOND(FMLA(5, 21, 31))                 \
	FMLA(6, 22, 30)                         \
	SECOND(FMLA(7, 23, 31))                 \
	ADD   $size, R7                         \
	ADD   $size, R8                         \
	ADD   $416, R9                          \
	SUBS  $1, R11                           \
	BNE   span                              \
	MOVD  R0, R16                           \
	STORE(V0, V2, V4, V6)                   \
	SECOND(STORE(V1, V3, V5, V7))           \
	ADD   $32, R0                           \
	ADD   R10, R2                           \
	SUBS  $1, R5                            \
	BNE   pair

// func multiplySpans(dst *float32, stride int, w, x *byte, spans, pairs int, wc, xc *byte, columns int)
TEXT ·multiplySpans(SB), NOSPLIT, $0-72
	MULTIPLY(512, BOTH, BLOCK, pair, column, span)
	RET

// func multiplyHalfSpans(dst *float32, stride int, w, x *byte, spans, pairs int, wc, xc *byte, columns int)
TEXT ·multiplyHalfSpans(SB), NOSPLIT, $0-72
	MULTIPLY(608, BOTH, HALVES, pair, column, span)
	RET

// func multiplySpans2(dst *float32, stride int, w, x *byte, spans, pairs int, wc, xc *byte, columns int)
TEXT ·multiplySpans2(SB), NOSPLIT, $0-72
	MULTIPLY(512, ONE, BLOCK, pair, column, span)
	RET

// func multiplyHalfSpans2(dst *float32, stride int, w, x *byte, spans, pairs int, wc, xc *byte, columns int)
TEXT ·multiplyHalfSpans2(SB), NOSPLIT, $0-72
	MULTIPLY(608, ONE, HALVES, pair, column, span)
	RET

// func quantizeSpansI8MM(dst *span, mids, sums, x *float32, spans int)
//
//	R0       dst
//	R1       x
//	R2       spans left
//	R8, R9   running mids and sums
//	V16–V19  the least and the largest    V22  the scale
//	V20      the midrange                 V23  its inverse
//	V29      ones
#define EXTREMES(at) \
	FLDPQ at(R1), (F0, F1) \
	FMIN(16, 16, 0)        \
	FMIN(17, 17, 1)        \
	FMAX(18, 18, 0)        \
	FMAX(19, 19, 1)

#define ROUND(v) \
	FSUB(v, v, 20)     \
	FMULI(v, v, 23, 0) \
	FCVTNS(v, v)

#define ROUND_32(i) \
	FLDPQ (128*i)(R1), (F0, F1)    \
	FLDPQ (128*i+32)(R1), (F2, F3) \
	FLDPQ (128*i+64)(R1), (F4, F5) \
	FLDPQ (128*i+96)(R1), (F6, F7) \
	ROUND(0)                       \
	ROUND(1)                       \
	ROUND(2)                       \
	ROUND(3)                       \
	ROUND(4)                       \
	ROUND(5)                       \
	ROUND(6)                       \
	ROUND(7)                       \
	VUZP1 V1.H8, V0.H8, V0.H8      \
	VUZP1 V3.H8, V2.H8, V2.H8      \
	VUZP1 V5.H8, V4.H8, V4.H8      \
	VUZP1 V7.H8, V6.H8, V6.H8      \
	VUZP1 V2.B16, V0.B16, V0.B16   \
	VUZP1 V6.B16, V4.B16, V4.B16   \
	VMOVI $0, V24.B16              \
	SDOT(24, 0, 29)                \
	SDOT(24, 4, 29)                \
	VADDV V24.S4, V24              \
	FSTPQ (F0, F4), (32*i)(R0)     \
	SCVTF(24, 24)                  \
	FNMULS F22, F24, F24           \
	FMOVS F24, (4*i)(R9)

TEXT ·quantizeSpansI8MM(SB), NOSPLIT, $0-40
	MOVD  dst+0(FP), R0
	MOVD  mids+8(FP), R8
	MOVD  sums+16(FP), R9
	MOVD  x+24(FP), R1
	MOVD  spans+32(FP), R2
	MOVD  $0x42FE0000, R3 // 127
	FMOVS R3, F30
	MOVD  $0x3F000000, R3 // 1/2
	FMOVS R3, F31
	MOVD  $0x0D800000, R5 // 2⁻¹⁰⁰
	MOVD  $0x7F800000, R6 // infinity
	MOVD  $0x7FC00000, R7 // NaN
	VMOVI $1, V29.B16

span:
	FLDPQ (R1), (F16, F17)
	FLDPQ (R1), (F18, F19)
	EXTREMES(32)
	EXTREMES(64)
	EXTREMES(96)
	EXTREMES(128)
	EXTREMES(160)
	EXTREMES(192)
	EXTREMES(224)
	EXTREMES(256)
	EXTREMES(288)
	EXTREMES(320)
	EXTREMES(352)
	FMIN(16, 16, 17)
	FMAX(18, 18, 19)
	FMINV(16, 16)
	FMAXV(18, 18)
	FMULS F31, F16, F20
	FMULS F31, F18, F21
	FADDS F21, F20, F20
	BFCVTN(20, 20)
	VMOVI $0, V24.B16
	VZIP1 V20.H8, V24.H8, V20.H8
	FSUBS F20, F18, F21
	FSUBS F16, F20, F22
	FMAXS F22, F21, F21
	FMOVS F21, R3
	FMOVS ZR, F22
	FMOVS ZR, F23
	CMPW  R5, R3
	BLO   set
	FMOVS R7, F22
	CMPW  R6, R3
	BHS   set
	FDIVS F30, F21, F22
	FDIVS F21, F30, F23

set:
	VDUP V20.S[0], V20.S4
	ROUND_32(0)
	ROUND_32(1)
	ROUND_32(2)
	FMOVS F22, 96(R0)
	FMOVD F20, (R8)
	ADD  $8, R8
	ADD  $12, R9
	ADD  $100, R0
	ADD  $384, R1
	SUBS $1, R2
	BNE  span
	RET

// func putOffsets(dst *byte, src *unit, words int, centre float32)
// Two units are four offsets, min − centre·scale.
TEXT ·putOffsets(SB), NOSPLIT, $0-28
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  words+16(FP), R2
	FMOVS centre+24(FP), F31
	VDUP  V31.S[0], V31.S4

word:
	FLDPQ 64(R1), (F0, F1)
	FLDPQ 160(R1), (F2, F3)
	ADD   $192, R1
	VUZP1 V2.S4, V0.S4, V0.S4
	VUZP1 V3.S4, V1.S4, V1.S4
	VFMLS V31.S4, V0.S4, V1.S4
	BFCVTN(0, 1)
	FMOVD F0, (R0)
	ADD   $64, R0
	SUBS  $1, R2
	BNE   word
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

// func multiplyBF16(dst *float32, stride int, w, x *byte, columns, strips int)
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
	STRIP_ARGS

strip:
	STRIP_BEGIN

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
	BNE  strip
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

// func spreadBF16(dst *byte, pitch int, src *float32, words int)
TEXT ·spreadBF16(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD pitch+8(FP), R3
	MOVD src+16(FP), R1
	MOVD words+24(FP), R2

word:
	FMOVQ.P 16(R1), F0
	BFCVTN(0, 0)
	FMOVD   F0, (R0)
	ADD     R3, R0
	SUBS    $1, R2
	BNE     word
	RET
