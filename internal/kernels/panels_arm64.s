#include "textflag.h"
#include "words_arm64.h"
#include "panels_arm64.h"

// Units, or quantised activations, interleaved to strips of four vectors, for SDOT by fours or for SMMLA by eights. The strips are
// described in panels_arm64.go and panels_i8mm_arm64.go.

// Interleaving four vectors to a strip, unit by unit.
//
//	R0      dst
//	R1–R4   units of the vectors
//	R5      their size
//	R6      units left
//	V16     −1.5·2²³
//	V17     all bits but two
#define INTERLEAVE(at, size) \
	MOVD  dst+0(FP), R0    \
	MOVD  src+(8+at)(FP), R1    \
	MOVD  next+(16+at)(FP), R7 \
	MOVD  units+(24+at)(FP), R6 \
	MOVD  $size, R5        \
	ADD   R7, R1, R2       \
	ADD   R7, R2, R3       \
	ADD   R7, R3, R4       \
	VMOVS $0xCB400000, V16 \
	VDUP  V16.S[0], V16.S4 \
	VMOVS $0xFFFFFFFC, V17 \
	VDUP  V17.S[0], V17.S4

// HALF4 takes 16 values of each vector, words a0…a3, b0…b3, c0…c3, d0…d3, and writes a0 b0 c0 d0, a1 b1 c1 d1 and so on.
#define HALF4(from, to) \
	FMOVQ from(R1), F0        \
	FMOVQ from(R2), F1        \
	FMOVQ from(R3), F2        \
	FMOVQ from(R4), F3        \
	VZIP1 V2.S4, V0.S4, V4.S4 \
	VZIP2 V2.S4, V0.S4, V5.S4 \
	VZIP1 V3.S4, V1.S4, V6.S4 \
	VZIP2 V3.S4, V1.S4, V7.S4 \
	VZIP1 V6.S4, V4.S4, V0.S4 \
	VZIP2 V6.S4, V4.S4, V1.S4 \
	VZIP1 V7.S4, V5.S4, V2.S4 \
	VZIP2 V7.S4, V5.S4, V3.S4 \
	FSTPQ (F0, F1), to(R0)    \
	FSTPQ (F2, F3), (to+32)(R0)

// ZIP8 does the same with double words in V0–V3.
#define ZIP8(to) \
	VZIP1 V1.D2, V0.D2, V4.D2 \
	VZIP1 V3.D2, V2.D2, V5.D2 \
	VZIP2 V1.D2, V0.D2, V6.D2 \
	VZIP2 V3.D2, V2.D2, V7.D2 \
	FSTPQ (F4, F5), to(R0)    \
	FSTPQ (F6, F7), (to+32)(R0)

// GATHER_SCALES sets V0 to scales of rows without their last two bits, V1 to −1.5·2²³ times these.
#define GATHER_SCALES(from) \
	GATHER(from)                 \
	VAND V17.B16, V0.B16, V0.B16 \
	FMUL(1, 0, 16)

// GATHER_SUMS sets V0 to scales of tokens, V1 to the negative sums of the values times these.
#define GATHER_SUMS(scales, sums) \
	GATHER(scales)            \
	FLDPQ sums(R1), (F1, F2)  \
	FLDPQ sums(R2), (F3, F4)  \
	FLDPQ sums(R3), (F5, F6)  \
	FLDPQ sums(R4), (F7, F8)  \
	VADD  V2.S4, V1.S4, V1.S4 \
	VADD  V4.S4, V3.S4, V3.S4 \
	VADD  V6.S4, V5.S4, V5.S4 \
	VADD  V8.S4, V7.S4, V7.S4 \
	VADDP V3.S4, V1.S4, V1.S4 \
	VADDP V7.S4, V5.S4, V5.S4 \
	VADDP V5.S4, V1.S4, V1.S4 \
	SCVTF(1, 1)               \
	FMUL(1, 1, 0)

// BOTH_TWICE writes the first two floats of V twice and then the last two.
#define BOTH_TWICE(V, to) \
	VZIP1 V.D2, V.D2, V2.D2 \
	VZIP2 V.D2, V.D2, V3.D2 \
	FSTPQ (F2, F3), to(R0)

#define NEXT_UNIT(size, unit) \
	ADD  $size, R0 \
	ADD  R5, R1    \
	ADD  R5, R2    \
	ADD  R5, R3    \
	ADD  R5, R4    \
	SUBS $1, R6    \
	BNE  unit

// Rows for SMMLA, with what their midranges are multiplied with: the sum of a span's weights, in two numbers of BF16. SMMLA with eight
// ones and eight zeros sums weights, 16 in a lane, in the strip's order: both halves of 32 weights of row 0, of row 1; of rows 2 and 3.
//
//	R8       what the sums start with          V20       inverse of the shift's power
//	R9       running column                    V21, V22  sums of the scales
//	V8–V11   scales of a unit                  V23       sums of the weights, of a row in a lane
//	V12–V15  minimums of a unit                V24, V25  those of both spans, as two numbers of BF16 in turn
//	V18      shift                             V26, V27  sums of the weights of a block
//	V19      128                               V28       16
//	V29      zeros                             V30, V31  ones and zeros, zeros and ones
//
// Of scales and minimums there are two of each row: both are that of 32 weights, or each of 16. V8, V9, V12 and V13 belong to a unit's
// first 32 weights.
DATA ones<>+0(SB)/8, $0x0101010101010101
DATA ones<>+8(SB)/8, $0
DATA ones<>+16(SB)/8, $0x0101010101010101
DATA ones<>+24(SB)/8, $0x4B4000004B400000 // 1.5·2²³, whose last place is 1
DATA ones<>+32(SB)/8, $0x4B4000004B400000
DATA ones<>+40(SB)/8, $0x4B4000004B400000
DATA ones<>+48(SB)/8, $0x4B4000004B400000
DATA ones<>+56(SB)/8, $0x4B4008004B400800 // 16·128 more, where 128 was subtracted
DATA ones<>+64(SB)/8, $0x4B4008004B400800
DATA ones<>+72(SB)/8, $0x4B4008004B400800
DATA ones<>+80(SB)/8, $0x4B4008004B400800
GLOBL ones<>(SB), (NOPTR|RODATA), $88

#define ROW_STEPS \
	MOVD  columns+8(FP), R9         \
	MOVD  shift+40(FP), R7          \
	MOVD  $ones<>(SB), R8           \
	VDUP  R7, V18.B16               \
	FMOVQ (R8), F30                 \
	FMOVQ 8(R8), F31                \
	ADD   $24, R8                   \
	VMOVI $0, V29.B16               \
	MOVD  $127, R10                 \
	SUB   R7, R10                   \
	LSL   $23, R10                  \
	VDUP  R10, V20.S4               \
	VMOVS $0x41800000, V28          \
	VDUP  V28.S[0], V28.S4

#define AS_THEY_ARE
#define FINER_SCALES \
	FMUL(8, 8, 20)   \
	FMUL(9, 9, 20)   \
	FMUL(10, 10, 20) \
	FMUL(11, 11, 20)

#define SHIFTED \
	SSHL(0, 0, 18) \
	SSHL(1, 1, 18) \
	SSHL(2, 2, 18) \
	SSHL(3, 3, 18)

#define SHIFTED_LESS \
	SHIFTED                      \
	VEOR V19.B16, V0.B16, V0.B16 \
	VEOR V19.B16, V1.B16, V1.B16 \
	VEOR V19.B16, V2.B16, V2.B16 \
	VEOR V19.B16, V3.B16, V3.B16

#define ROWS8(FINER, from, to, ones) \
	FMOVQ from(R1), F0 \
	FMOVQ from(R2), F1 \
	FMOVQ from(R3), F2 \
	FMOVQ from(R4), F3 \
	FINER              \
	ZIP8(to)           \
	SMMLA(26, 4, ones) \
	SMMLA(27, 5, ones) \
	SMMLA(26, 6, ones) \
	SMMLA(27, 7, ones)

// PAIRS sets V and W to two floats of each row, and X and Y to the next two.
#define PAIRS(from, V, W, X, Y) \
	FMOVQ from(R1), F0       \
	FMOVQ from(R2), F1       \
	FMOVQ from(R3), F2       \
	FMOVQ from(R4), F3       \
	VZIP1 V1.D2, V0.D2, V.D2 \
	VZIP1 V3.D2, V2.D2, W.D2 \
	VZIP2 V1.D2, V0.D2, X.D2 \
	VZIP2 V3.D2, V2.D2, Y.D2

#define NO_MINS(at)
#define UNIT_MINS(at) PAIRS(at+80, V12, V13, V14, V15)

#define ROW_UNIT(FINER_S, MINS, at) \
	PAIRS(at+64, V8, V9, V10, V11) \
	FINER_S                        \
	MINS(at)

#define ONE_SCALE(to, s, F, V, t, G, W, sum0, sum1) \
	FADD(21, sum0, s) \
	FADD(22, sum1, t) \
	FSTPQ (F, G), to(R0)

#define TWO_SCALES(to, s, F, V, t, G, W, sum0, sum1) \
	VTRN1 V.S4, V.S4, V2.S4 \
	VTRN1 W.S4, W.S4, V3.S4 \
	FADD(21, sum0, 2)       \
	FADD(22, sum1, 3)       \
	FSTPQ (F2, F3), to(R0)  \
	VTRN2 V.S4, V.S4, V2.S4 \
	VTRN2 W.S4, W.S4, V3.S4 \
	FADD(21, 21, 2)         \
	FADD(22, 22, 3)         \
	FSTPQ (F2, F3), (to+32)(R0)

#define LESS_NOTHING(V, W)
#define LESS_MINS(V, W) \
	VFMLS V28.S4, V.S4, V26.S4 \
	VFMLS V28.S4, W.S4, V27.S4

// ROW_BLOCK adds to sums, which are zeros before a span's first block.
#define ROW_BLOCK(FINER, SCALES, LESS, from, to, at, s, F, V, t, G, W, X, Y, sum0, sum1, sum) \
	FLDPQ (R8), (F26, F27)           \
	ROWS8(FINER, from, to, 30)       \
	ROWS8(FINER, from+16, to+64, 31) \
	FADD(26, 26, 16)                 \
	FADD(27, 27, 16)                 \
	FMUL(26, 26, s)                  \
	FMUL(27, 27, t)                  \
	LESS(X, Y)                       \
	FADDP(26, 26, 27)                \
	FADD(23, sum, 26)                \
	SCALES(at, s, F, V, t, G, W, sum0, sum1)

#define FIRST_BLOCK(FINER, SCALES, LESS, from, to, at, sum0, sum1, sum) \
	ROW_BLOCK(FINER, SCALES, LESS, from, to, at, 8, F8, V8, 9, F9, V9, V12, V13, sum0, sum1, sum)

#define SECOND_BLOCK(FINER, SCALES, LESS, from, to, at, sum0, sum1, sum) \
	ROW_BLOCK(FINER, SCALES, LESS, from, to, at, 10, F10, V10, 11, F11, V11, V14, V15, sum0, sum1, sum)

// SPAN_END sets V to the sums of a span.
#define SPAN_END(each, sums, V) \
	FMUL(21, 21, 16)                   \
	FMUL(22, 22, 16)                   \
	FSTPQ (F21, F22), (384+3*each)(R0) \
	BFCVTN(sums, 23)                   \
	VZIP1 V.H8, V29.H8, V2.H8          \
	FSUB(23, 23, 2)                    \
	BFCVTN(23, 23)                     \
	VZIP1 V23.H8, V.H8, V.H8

// ROW_COLUMN writes the sums of two spans, four numbers of each row.
#define ROW_COLUMN \
	VZIP1 V25.S4, V24.S4, V2.S4 \
	VZIP2 V25.S4, V24.S4, V3.S4 \
	FSTPQ (F2, F3), (R9)        \
	ADD   $64, R9

// Three units are two spans.
#define INTERLEAVE_ROWS(FINER, FINER_S, SCALES, MINS, LESS, each, spans, odd) \
spans:                                                                          \
	ROW_UNIT(FINER_S, MINS, 0)                                              \
	FIRST_BLOCK(FINER, SCALES, LESS, 0, 0, 384, 29, 29, 29)                 \
	SECOND_BLOCK(FINER, SCALES, LESS, 32, 128, (384+each), 21, 22, 23)      \
	ROW_UNIT(FINER_S, MINS, 96)                                             \
	FIRST_BLOCK(FINER, SCALES, LESS, 96, 256, (384+2*each), 21, 22, 23)     \
	SPAN_END(each, 24, V24)                                                 \
	ADD   $(416+3*each), R0                                                 \
	SUBS  $1, R6                                                            \
	BEQ   odd                                                               \
	SECOND_BLOCK(FINER, SCALES, LESS, 128, 0, 384, 29, 29, 29)              \
	ROW_UNIT(FINER_S, MINS, 192)                                            \
	FIRST_BLOCK(FINER, SCALES, LESS, 192, 128, (384+each), 21, 22, 23)      \
	SECOND_BLOCK(FINER, SCALES, LESS, 224, 256, (384+2*each), 21, 22, 23)   \
	SPAN_END(each, 25, V25)                                                 \
	ROW_COLUMN                                                              \
	NEXT_UNIT((416+3*each), spans)                                          \
	RET                                                                     \
odd:                                                                            \
	VMOVI $0, V25.B16                                                       \
	ROW_COLUMN                                                              \
	RET

// func interleaveTokens4(dst *byte, src *tensor.Q8, next, units int)
TEXT ·interleaveTokens4(SB), NOSPLIT, $0-32
	INTERLEAVE(0, 192)

unit:
	HALF4(0, 0)
	HALF4(16, 64)
	GATHER_SUMS(64, 128)
	FSTPQ (F0, F1), 128(R0)
	HALF4(32, 160)
	HALF4(48, 224)
	GATHER_SUMS(96, 160)
	FSTPQ (F0, F1), 288(R0)
	NEXT_UNIT(320, unit)
	RET

// func interleaveRows4(dst *byte, src *unit, next, units int)
TEXT ·interleaveRows4(SB), NOSPLIT, $0-32
	INTERLEAVE(0, 96)

unit:
	HALF4(0, 0)
	HALF4(16, 64)
	GATHER_SCALES(64)
	FSTPQ (F0, F1), 128(R0)
	HALF4(32, 160)
	HALF4(48, 224)
	GATHER_SCALES(72)
	FSTPQ (F0, F1), 288(R0)
	NEXT_UNIT(320, unit)
	RET

// func interleaveMinRows4(dst *byte, src *unit, next, units int)
TEXT ·interleaveMinRows4(SB), NOSPLIT, $0-32
	INTERLEAVE(0, 96)

unit:
	HALF4(0, 0)
	HALF4(16, 64)
	GATHER_SCALES(64)
	FSTPQ (F0, F1), 128(R0)
	GATHER(80)
	FMOVQ F0, 160(R0)
	HALF4(32, 176)
	HALF4(48, 240)
	GATHER_SCALES(72)
	FSTPQ (F0, F1), 304(R0)
	GATHER(88)
	FMOVQ F0, 336(R0)
	NEXT_UNIT(352, unit)
	RET

// func interleaveGroupRows4(dst *byte, src *unit, next, units int)
TEXT ·interleaveGroupRows4(SB), NOSPLIT, $0-32
	INTERLEAVE(0, 96)

unit:
	HALF4(0, 0)
	HALF4(16, 64)
	GATHER_SCALES(64)
	FSTPQ (F0, F1), 128(R0)
	GATHER_SCALES(68)
	FSTPQ (F0, F1), 160(R0)
	HALF4(32, 192)
	HALF4(48, 256)
	GATHER_SCALES(72)
	FSTPQ (F0, F1), 320(R0)
	GATHER_SCALES(76)
	FSTPQ (F0, F1), 352(R0)
	NEXT_UNIT(384, unit)
	RET

// func interleaveTokenSpans(dst *byte, src *span, next, spans int)
#define TOKENS8(i) \
	FMOVQ (16*i)(R1), F0 \
	FMOVQ (16*i)(R2), F1 \
	FMOVQ (16*i)(R3), F2 \
	FMOVQ (16*i)(R4), F3 \
	ZIP8(64*i)

TEXT ·interleaveTokenSpans(SB), NOSPLIT, $0-32
	INTERLEAVE(0, 100)

span:
	TOKENS8(0)
	TOKENS8(1)
	TOKENS8(2)
	TOKENS8(3)
	TOKENS8(4)
	TOKENS8(5)
	GATHER(96)
	BOTH_TWICE(V0, 384)
	NEXT_UNIT(416, span)
	RET

// func interleaveRowSpans(dst, columns *byte, src *unit, next, spans, shift int)
TEXT ·interleaveRowSpans(SB), NOSPLIT, $0-48
	INTERLEAVE(8, 288)
	ROW_STEPS
	INTERLEAVE_ROWS(AS_THEY_ARE, FINER_SCALES, ONE_SCALE, NO_MINS, LESS_NOTHING, 32, spans, odd)

// func interleaveFinerSpans(dst, columns *byte, src *unit, next, spans, shift int)
TEXT ·interleaveFinerSpans(SB), NOSPLIT, $0-48
	INTERLEAVE(8, 288)
	ROW_STEPS
	INTERLEAVE_ROWS(SHIFTED, FINER_SCALES, ONE_SCALE, NO_MINS, LESS_NOTHING, 32, spans, odd)

// func interleaveHalfSpans(dst, columns *byte, src *unit, next, spans, shift int)
TEXT ·interleaveHalfSpans(SB), NOSPLIT, $0-48
	INTERLEAVE(8, 288)
	ROW_STEPS
	INTERLEAVE_ROWS(AS_THEY_ARE, AS_THEY_ARE, TWO_SCALES, NO_MINS, LESS_NOTHING, 64, spans, odd)

// func interleaveFinerHalfSpans(dst, columns *byte, src *unit, next, spans, shift int)
TEXT ·interleaveFinerHalfSpans(SB), NOSPLIT, $0-48
	INTERLEAVE(8, 288)
	ROW_STEPS
	INTERLEAVE_ROWS(SHIFTED, FINER_SCALES, TWO_SCALES, NO_MINS, LESS_NOTHING, 64, spans, odd)

// func interleaveMinSpans(dst, columns *byte, src *unit, next, spans, shift int)
TEXT ·interleaveMinSpans(SB), NOSPLIT, $0-48
	INTERLEAVE(8, 288)
	ROW_STEPS
	ADD $32, R8
	INTERLEAVE_ROWS(AS_THEY_ARE, AS_THEY_ARE, ONE_SCALE, UNIT_MINS, LESS_MINS, 32, spans, odd)

// func interleaveFinerMinSpans(dst, columns *byte, src *unit, next, spans, shift int)
TEXT ·interleaveFinerMinSpans(SB), NOSPLIT, $0-48
	INTERLEAVE(8, 288)
	ROW_STEPS
	ADD   $32, R8
	VMOVI $0x80, V19.B16
	INTERLEAVE_ROWS(SHIFTED_LESS, FINER_SCALES, ONE_SCALE, UNIT_MINS, LESS_MINS, 32, spans, odd)
