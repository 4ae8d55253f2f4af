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
