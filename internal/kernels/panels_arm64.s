#include "textflag.h"
#include "words_arm64.h"

// Weights unpacked to units, and units, or quantised activations, interleaved to strips of four vectors, for SDOT by fours or for
// SMMLA by eights. The strips are described in panels_arm64.go.

// Interleaving four vectors to a strip, unit by unit.
//
//	R0      dst
//	R1–R4   units of the vectors
//	R5      their size
//	R6      units left
//	V16     −1.5·2²³
//	V17     all bits but two
#define INTERLEAVE(size) \
	MOVD  dst+0(FP), R0    \
	MOVD  src+8(FP), R1    \
	MOVD  next+16(FP), R7  \
	MOVD  units+24(FP), R6 \
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

// GATHER sets V0 to a float of each vector.
#define GATHER(from) \
	FMOVS from(R1), F0        \
	FMOVS from(R2), F1        \
	FMOVS from(R3), F2        \
	FMOVS from(R4), F3        \
	VZIP1 V1.S4, V0.S4, V0.S4 \
	VZIP1 V3.S4, V2.S4, V2.S4 \
	VZIP1 V2.D2, V0.D2, V0.D2

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

// EACH_TWICE writes each float of V twice, BOTH_TWICE the first two twice and then the last two.
#define EACH_TWICE(V, to) \
	VZIP1 V.S4, V.S4, V2.S4 \
	VZIP2 V.S4, V.S4, V3.S4 \
	FSTPQ (F2, F3), to(R0)

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

// Rows for SMMLA: V18 is the shift, V19 what is subtracted then, V20 the inverse of the shift's power and V21 the sum of the scales.
#define ROWS8(from, to) \
	FMOVQ from(R1), F0           \
	FMOVQ from(R2), F1           \
	FMOVQ from(R3), F2           \
	FMOVQ from(R4), F3           \
	SSHL(0, 0, 18)               \
	SSHL(1, 1, 18)               \
	SSHL(2, 2, 18)               \
	SSHL(3, 3, 18)               \
	VSUB V19.B16, V0.B16, V0.B16 \
	VSUB V19.B16, V1.B16, V1.B16 \
	VSUB V19.B16, V2.B16, V2.B16 \
	VSUB V19.B16, V3.B16, V3.B16 \
	ZIP8(to)

#define ROW_SCALES(from, to) \
	GATHER(from)    \
	FMUL(0, 0, 20)  \
	FADD(21, 21, 0) \
	EACH_TWICE(V0, to)

#define ROW_STEPS \
	MOVD  shift+32(FP), R7  \
	MOVD  centre+40(FP), R8 \
	VDUP  R7, V18.B16       \
	LSL   R7, R8            \
	VDUP  R8, V19.B16       \
	MOVD  $127, R8          \
	SUB   R7, R8            \
	LSL   $23, R8           \
	VDUP  R8, V20.S4

#define ROW_VALUES(a, b, c) \
	ROWS8(a, 0)      \
	ROWS8(a+16, 64)  \
	ROWS8(b, 128)    \
	ROWS8(b+16, 192) \
	ROWS8(c, 256)    \
	ROWS8(c+16, 320) \
	VMOVI $0, V21.B16

#define ROW_BIAS(to) \
	FMUL(21, 21, 16) \
	EACH_TWICE(V21, to)

// SPAN has its three scales at a, b and c, HALF_SPAN its six there and behind.
#define SPAN(a, b, c) \
	ROW_SCALES(a, 384) \
	ROW_SCALES(b, 416) \
	ROW_SCALES(c, 448) \
	ROW_BIAS(480)

#define HALF_SPAN(a, b, c) \
	ROW_SCALES(a, 384)   \
	ROW_SCALES(a+4, 416) \
	ROW_SCALES(b, 448)   \
	ROW_SCALES(b+4, 480) \
	ROW_SCALES(c, 512)   \
	ROW_SCALES(c+4, 544) \
	ROW_BIAS(576)

// Three units are two spans.
#define INTERLEAVE_ROWS(size, SPAN, spans, done) \
	INTERLEAVE(288)           \
	ROW_STEPS                 \
spans:                      \
	ROW_VALUES(0, 32, 96)     \
	SPAN(64, 72, 160)         \
	ADD   $size, R0           \
	SUBS  $1, R6              \
	BEQ   done                \
	ROW_VALUES(128, 192, 224) \
	SPAN(168, 256, 264)       \
	NEXT_UNIT(size, spans)    \
done:

// func interleaveTokens4(dst *byte, src *tensor.Q8, next, units int)
TEXT ·interleaveTokens4(SB), NOSPLIT, $0-32
	INTERLEAVE(192)

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
	INTERLEAVE(96)

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
	INTERLEAVE(96)

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
	INTERLEAVE(96)

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
	INTERLEAVE(116)

span:
	TOKENS8(0)
	TOKENS8(1)
	TOKENS8(2)
	TOKENS8(3)
	TOKENS8(4)
	TOKENS8(5)
	GATHER(108)
	BOTH_TWICE(V0, 384)
	NEXT_UNIT(416, span)
	RET

// func interleaveRowSpans(dst *byte, src *unit, next, spans, shift, centre int)
TEXT ·interleaveRowSpans(SB), NOSPLIT, $0-48
	INTERLEAVE_ROWS(512, SPAN, spans, done)
	RET

// func interleaveHalfSpans(dst *byte, src *unit, next, spans, shift, centre int)
TEXT ·interleaveHalfSpans(SB), NOSPLIT, $0-48
	INTERLEAVE_ROWS(608, HALF_SPAN, spans, done)
	RET

// func transposeNEON(dst, src *float32, next, cols int)
// Four vectors, next numbers apart, become columns: number k of all of them goes to dst[8·k].
TEXT ·transposeNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD next+16(FP), R7
	MOVD cols+24(FP), R6
	ADD  R7<<2, R1, R2
	ADD  R7<<2, R2, R3
	ADD  R7<<2, R3, R4

four:
	SUBS    $4, R6
	BLT     rest
	FMOVQ.P 16(R1), F0
	FMOVQ.P 16(R2), F1
	FMOVQ.P 16(R3), F2
	FMOVQ.P 16(R4), F3
	VZIP1   V2.S4, V0.S4, V4.S4
	VZIP2   V2.S4, V0.S4, V5.S4
	VZIP1   V3.S4, V1.S4, V6.S4
	VZIP2   V3.S4, V1.S4, V7.S4
	VZIP1   V6.S4, V4.S4, V0.S4
	VZIP2   V6.S4, V4.S4, V1.S4
	VZIP1   V7.S4, V5.S4, V2.S4
	VZIP2   V7.S4, V5.S4, V3.S4
	FMOVQ   F0, (R0)
	FMOVQ   F1, 32(R0)
	FMOVQ   F2, 64(R0)
	FMOVQ   F3, 96(R0)
	ADD     $128, R0
	B       four

rest:
	ADDS $4, R6
	BEQ  done

one:
	GATHER(0)
	ADD   $4, R1
	ADD   $4, R2
	ADD   $4, R3
	ADD   $4, R4
	FMOVQ F0, (R0)
	ADD   $32, R0
	SUBS  $1, R6
	BNE   one

done:
	RET

// func multiplyFloatsNEON(dst *float32, stride int, w, x *byte, cols, panels int)
// Panels of eight rows times eight tokens, dst[t·stride + r].
//
//	R0  dst                V0–V7    sums of rows 0–3 with token 0 to 7
//	R1  stride in bytes    V8–V15   sums of rows 4–7 with token 0 to 7
//	R2  running w          V16, V17 rows
//	R3  x                  V18, V19 tokens
//	R4  cols
//	R5  panels left
//	R6  running x
//	R7  columns left
#define MULTIPLY_BY(s0, s1, x, i) \
	FMLAI(s0, 16, x, i) \
	FMLAI(s1, 17, x, i)

TEXT ·multiplyFloatsNEON(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD stride+8(FP), R1
	MOVD w+16(FP), R2
	MOVD x+24(FP), R3
	MOVD cols+32(FP), R4
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
	FLDPQ (R6), (F18, F19)
	ADD   $32, R2
	ADD   $32, R6
	MULTIPLY_BY(0, 8, 18, 0)
	MULTIPLY_BY(1, 9, 18, 1)
	MULTIPLY_BY(2, 10, 18, 2)
	MULTIPLY_BY(3, 11, 18, 3)
	MULTIPLY_BY(4, 12, 19, 0)
	MULTIPLY_BY(5, 13, 19, 1)
	MULTIPLY_BY(6, 14, 19, 2)
	MULTIPLY_BY(7, 15, 19, 3)
	SUBS  $1, R7
	BNE   column

	FSTPQ (F0, F8), (R0)
	ADD   R1, R0, R8
	FSTPQ (F1, F9), (R8)
	ADD   R1, R8
	FSTPQ (F2, F10), (R8)
	ADD   R1, R8
	FSTPQ (F3, F11), (R8)
	ADD   R1, R8
	FSTPQ (F4, F12), (R8)
	ADD   R1, R8
	FSTPQ (F5, F13), (R8)
	ADD   R1, R8
	FSTPQ (F6, F14), (R8)
	ADD   R1, R8
	FSTPQ (F7, F15), (R8)
	ADD   $32, R0
	SUBS  $1, R5
	BNE   panel
	RET

// Unpacking.

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
