// Row kernels: rows of quantised weights, as they lie in a file, times one to four tokens. This file is included by
// rows_arm64.s and rows_dotprod_arm64.s, which name the functions and define the products of 64 weights with 64
// activations, where V4–V7 are the weights and V8–V11 the activations:
//
//	DOT_BLOCKS       V12 = two sums of the products with V4 and V5, two of those with V6 and V7; weights in −32 … 32
//	DOT_WIDE_BLOCKS  the same for weights in −128 … 127
//	DOT_GROUPS       V12 = the sums of the products with V4, V5, V6 and V7; weights in −64 … 64
//
// DOT_ARGS sets what they need in R24. And for Q4_0, 128 weights at a time:
//
//	Q4_SPLIT(q, high)  the low and the high four bits of q's bytes, less 8, in q and high; times 16 if Q4_DOT knows it
//	Q4_DOT(x)          V12 = the sums, as floats, of the products with V4 and V5, V6 and V7, V20 and V21, V22 and V23
//
// All have the signature
//
//	func(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)
//
// A row is decoded once for all tokens, 64 weights at a time, a unit. Each lane of the unit's four sums becomes a float, times
// the lane's scale of the weights (V16), times its scale of the activations, and is added to the token's lane. So a product is
// the same for any number of rows and tokens.
//
// units_arm64.s includes it a third time with UNPACK defined: then the functions are
//
//	func(w *byte, rowBytes int, dst *unit)
//
// and store the units of one row: the weights, V16, and V17 where there are minimums. units_finer_arm64.s defines FINER besides, for some
// formats of four bits and for Q6_K: their weights become the upper bits of bytes, less 128, and but for Q4_0 the scales a 16th or a
// quarter. With SEVERAL defined it makes the functions of rows_several_arm64.h.
//
//	R0      dst of the row           R8–R11   activations of token 0 to 3, the running unit
//	R1      stride of dst in bytes   R12      weights, the running block
//	R2      end of the row           R13      units left of the super-block
//	R3      its length               R14–R23  free
//	R4      rows left
//	R5      x                        V0–V3    sums of token 0 to 3
//	R6      bytes of a token in x    V4–V7    weights of the unit
//	R7      n                        V8–V15   free, clobbered by TOKENS
//	                                 V16      scales of the weights of the unit's lanes
//	                                 V17      minimums of the weights of the unit's lanes
//	                                 V18–V23  what is known of the super-block
//	                                 V24–V31  constants

#define Q8_SIZE 192
#define Q8_SCALE_6 88 // offset of Scale[6]: two lanes of the first block, two of the second
#define Q8_NEGSUM 128
#define UNIT_SIZE 96

#ifdef UNPACK

#define ARGS 24

#define PREFETCH(at) PRFM (1024+at)(R12), PLDL1KEEP

#define ROW_ARGS \
	MOVD w+0(FP), R2        \
	MOVD rowBytes+8(FP), R3 \
	MOVD dst+16(FP), R8

#define ROW_BEGIN \
	MOVD R2, R12 \
	ADD  R3, R2

#define ROW_END(row, stored)

#define TOKENS(TOKEN, next) \
	TOKEN(V0, R8)

#define BLOCKS(sum, dst) \
	FSTPQ (F4, F5), (dst)   \
	FSTPQ (F6, F7), 32(dst) \
	FMOVQ F16, 64(dst)      \
	ADD   $UNIT_SIZE, dst

#define WIDE_BLOCKS(sum, dst) BLOCKS(sum, dst)
#define GROUPS(sum, dst) BLOCKS(sum, dst)

#define MIN_BLOCKS(sum, dst) \
	FMOVQ F17, 80(dst) \
	BLOCKS(sum, dst)

#define MIN_GROUPS(sum, dst) MIN_BLOCKS(sum, dst)

#else
#ifndef SEVERAL

#define ARGS 64

#define PREFETCH(at) PRFM (1024+at)(R12), PLDL1KEEP

#define ROW_ARGS \
	MOVD dst+0(FP), R0       \
	MOVD stride+8(FP), R1    \
	MOVD w+16(FP), R2        \
	MOVD rowBytes+24(FP), R3 \
	MOVD rows+32(FP), R4     \
	MOVD x+40(FP), R5        \
	MOVD units+48(FP), R6    \
	MOVD n+56(FP), R7        \
	LSL  $2, R1              \
	MOVD $Q8_SIZE, R8        \
	MUL  R8, R6              \
	DOT_ARGS

#define ROW_BEGIN \
	VMOVI $0, V0.B16   \
	VMOVI $0, V1.B16   \
	VMOVI $0, V2.B16   \
	VMOVI $0, V3.B16   \
	MOVD  R5, R8       \
	ADD   R6, R8, R9   \
	ADD   R6, R9, R10  \
	ADD   R6, R10, R11 \
	MOVD  R2, R12      \
	ADD   R3, R2

// ROW_END writes the row's products and goes on with the next row.
#define ROW_END(row, stored) \
	FADDP(0, 0, 1)      \
	FADDP(2, 2, 3)      \
	FADDP(0, 0, 2)      \
	CMP  $2, R7         \
	FMOVS.P F0, 4(R0)   \
	BLT  stored         \
	SUB  $4, R0, R14    \
	ADD  R1, R14        \
	VST1 V0.S[1], (R14) \
	BEQ  stored         \
	CMP  $4, R7         \
	ADD  R1, R14        \
	VST1 V0.S[2], (R14) \
	BLT  stored         \
	ADD  R1, R14        \
	VST1 V0.S[3], (R14) \
stored:              \
	SUBS $1, R4         \
	BNE  row

// TOKENS adds the unit to the tokens' sums by a macro of those below.
#define TOKENS(TOKEN, next) \
	TOKEN(V0, R8)  \
	CMP $2, R7     \
	BLT next       \
	TOKEN(V1, R9)  \
	BEQ next       \
	TOKEN(V2, R10) \
	CMP $4, R7     \
	BLT next       \
	TOKEN(V3, R11) \
next:

#define LOAD_Q(x) \
	FLDPQ (x), (F8, F9) \
	FLDPQ 32(x), (F10, F11)

#define ADD_TO(sum, x) \
	FMOVQ Q8_SCALE_6(x), F15 \
	ADD   $Q8_SIZE, x        \
	SCVTF(12, 12)            \
	FMUL(12, 12, 16)         \
	VFMLA V15.S4, V12.S4, sum.S4

// BLOCKS: two blocks of 32 weights.
#define BLOCKS(sum, x) \
	LOAD_Q(x)  \
	DOT_BLOCKS \
	ADD_TO(sum, x)

#define WIDE_BLOCKS(sum, x) \
	LOAD_Q(x)       \
	DOT_WIDE_BLOCKS \
	ADD_TO(sum, x)

// GROUPS: four groups of 16 weights.
#define GROUPS(sum, x) \
	LOAD_Q(x)  \
	DOT_GROUPS \
	ADD_TO(sum, x)

// MIN_BLOCKS: two blocks of 32 weights with minimums in V17. MIN_GROUPS: four groups of 16.
#define MIN_BLOCKS(sum, x) WITH_MINS(DOT_BLOCKS, sum, x)
#define MIN_GROUPS(sum, x) WITH_MINS(DOT_GROUPS, sum, x)

#define WITH_MINS(DOT, sum, x) \
	LOAD_Q(x)                           \
	DOT                                 \
	FLDPQ (Q8_NEGSUM)(x), (F8, F9)      \
	FLDPQ (Q8_NEGSUM+32)(x), (F10, F11) \
	FMOVQ Q8_SCALE_6(x), F15            \
	ADD   $Q8_SIZE, x                   \
	VADDP V9.S4, V8.S4, V8.S4           \
	VADDP V11.S4, V10.S4, V10.S4        \
	VADDP V10.S4, V8.S4, V8.S4          \
	SCVTF(12, 12)                       \
	SCVTF(8, 8)                         \
	FMUL(12, 12, 16)                    \
	VFMLA V17.S4, V8.S4, V12.S4         \
	VFMLA V15.S4, V12.S4, sum.S4

// FOUR_BLOCKS: four blocks of Q4_0. FOUR_BLOCKS_END comes behind it and all tokens.
#define FOUR_BLOCKS_END

#define FOUR_BLOCKS(sum, x) \
	Q4_DOT(x)                           \
	FMOVD (Q8_SCALE_6+4)(x), F8         \
	FMOVD (Q8_SIZE+Q8_SCALE_6+4)(x), F9 \
	ADD   $(2*Q8_SIZE), x               \
	VZIP1 V9.D2, V8.D2, V8.D2           \
	FMUL(12, 12, 16)                    \
	VFMLA V8.S4, V12.S4, sum.S4

#else
#include "rows_several_arm64.h"
#endif
#endif

// PAIR points R14 to the block behind R12. Where there is none in the row, SINGLE makes it the same block with scale 0.
#define PAIR(size, single) \
	PREFETCH(0)          \
	ADD  $size, R12, R14 \
	CMP  R2, R14         \
	BHS  single

#define SINGLE(pair) \
	MOVD R12, R14 \
	MOVD ZR, R16  \
	B    pair

// HALF_SCALES makes V16 of the halves in R15 and R16.
#define HALF_SCALES \
	ORR   R16<<32, R15, R15 \
	ORR   R15<<16, R15, R15 \
	FMOVD R15, F16          \
	FCVTL(16, 16)

// NIBBLES sets low and high to the low and high four bits of q, which may be low.
#ifndef FINER

#define NIBBLE_BITS \
	VMOVI $15, V24.B16

#define NIBBLES(q, low, high) \
	VUSHR $4, q.B16, high.B16 \
	VAND  V24.B16, q.B16, low.B16

#define FINER_SCALES

#else

// The upper bits of both nibbles are inverted before they part: that is less 128.
#define NIBBLE_BITS \
	VMOVI $0xF0, V24.B16    \
	VMOVI $0x88, V25.B16    \
	VMOVS $0x3D800000, V27  \ // 1/16
	VDUP  V27.S[0], V27.S4

#define NIBBLES(q, low, high) \
	VEOR V25.B16, q.B16, low.B16    \
	VAND V24.B16, low.B16, high.B16 \
	VSHL $4, low.B16, low.B16

#define FINER_SCALES \
	FMUL(16, 16, 27)

#endif

#include "rows_blocks_arm64.h"
#include "rows_k_arm64.h"
#ifndef FINER
#include "rows_iq_arm64.h"
#endif
