// Row kernels: rows of quantised weights, as they lie in a file, times one to four tokens. This file is included by
// rows_arm64.s and dotprod_arm64.s, which name the functions and define the products of 64 weights with 64
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
// panels_arm64.s includes it a third time with UNPACK defined: then the functions are
//
//	func(w *byte, rowBytes int, dst *unit)
//
// and store the units of one row: the weights, V16, and V17 where there are minimums.
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

#define ARGS 64

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

#endif

// PAIR points R14 to the block behind R12. Where there is none in the row, SINGLE makes it the same block with scale 0.
#define PAIR(size, single) \
	PRFM 1024(R12), PLDL1KEEP \
	ADD  $size, R12, R14      \
	CMP  R2, R14              \
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

// NIBBLES sets low and high to the low and high four bits of q, which may be low. V24 is 15 in all bytes.
#define NIBBLES(q, low, high) \
	VUSHR $4, q.B16, high.B16 \
	VAND  V24.B16, q.B16, low.B16

// Rows of Q4_0, the format that is read most, go four blocks at a time, and by units in the end.
#ifndef UNPACK
#define FOUR_BLOCKS(sum, x) \
	Q4_DOT(x)                           \
	FMOVD (Q8_SCALE_6+4)(x), F8         \
	FMOVD (Q8_SIZE+Q8_SCALE_6+4)(x), F9 \
	ADD   $(2*Q8_SIZE), x               \
	VZIP1 V9.D2, V8.D2, V8.D2           \
	FMUL(12, 12, 16)                    \
	VFMLA V8.S4, V12.S4, sum.S4
#endif

TEXT ROWS_Q4_0(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVI $8, V25.B16
#ifndef UNPACK
	Q4_CONSTANTS
#endif

row:
	ROW_BEGIN
#ifndef UNPACK
	SUB   $72, R2, R20
	CMP   R20, R12
	BHI   unit

four:
	PRFM  1024(R12), PLDL1KEEP
	MOVHU (R12), R14
	MOVHU 18(R12), R15
	MOVHU 36(R12), R16
	MOVHU 54(R12), R17
	FMOVQ 2(R12), F4
	FMOVQ 20(R12), F6
	FMOVQ 38(R12), F20
	FMOVQ 56(R12), F22
	ADD   $72, R12
	Q4_SPLIT(V4, V5)
	Q4_SPLIT(V6, V7)
	Q4_SPLIT(V20, V21)
	Q4_SPLIT(V22, V23)
	ORR   R15<<16, R14, R14
	ORR   R17<<16, R16, R16
	ORR   R16<<32, R14, R14
	FMOVD R14, F16
	FCVTL(16, 16)
	TOKENS(FOUR_BLOCKS, next4)
	CMP   R20, R12
	BLS   four
	CMP   R2, R12
	BHS   end
#endif

unit:
	PAIR(18, single)
	MOVHU (R14), R16

pair:
	MOVHU (R12), R15
	FMOVQ 2(R12), F4
	FMOVQ 2(R14), F6
	ADD   $36, R12
	NIBBLES(V4, V4, V5)
	NIBBLES(V6, V6, V7)
	VSUB  V25.B16, V4.B16, V4.B16
	VSUB  V25.B16, V5.B16, V5.B16
	VSUB  V25.B16, V6.B16, V6.B16
	VSUB  V25.B16, V7.B16, V7.B16
	HALF_SCALES
	TOKENS(BLOCKS, next)
	CMP   R2, R12
	BLO   unit

end:
	ROW_END(row, stored)
	RET

single:
	SINGLE(pair)

// MIN_HALVES makes V16 and V17 of the scales and minimums in R15 and R16. A file's minimum is added, a unit's subtracted.
#define MIN_HALVES \
	ORR   R16<<32, R15, R15      \
	FMOVD R15, F17               \
	FCVTL(17, 17)                \
	VTRN1 V17.S4, V17.S4, V16.S4 \
	VTRN2 V17.S4, V17.S4, V17.S4 \
	FNEG(17, 17)

TEXT ROWS_Q4_1(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16

row:
	ROW_BEGIN

unit:
	PAIR(20, single)
	MOVWU (R14), R16

pair:
	MOVWU (R12), R15
	FMOVQ 4(R12), F4
	FMOVQ 4(R14), F6
	ADD   $40, R12
	NIBBLES(V4, V4, V5)
	NIBBLES(V6, V6, V7)
	MIN_HALVES
	TOKENS(MIN_BLOCKS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

single:
	SINGLE(pair)

TEXT ROWS_Q8_0(SB), NOSPLIT, $0-ARGS
	ROW_ARGS

row:
	ROW_BEGIN

unit:
	PAIR(34, single)
	MOVHU (R14), R16

pair:
	MOVHU (R12), R15
	FMOVQ 2(R12), F4
	FMOVQ 18(R12), F5
	FMOVQ 2(R14), F6
	FMOVQ 18(R14), F7
	ADD   $68, R12
	HALF_SCALES
	TOKENS(WIDE_BLOCKS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

single:
	SINGLE(pair)

// V26 are the 16 values.
TEXT ROWS_IQ4_NL(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVQ $0xF6EADDCFBFAD9881, $0x7159453526190D01, V26

row:
	ROW_BEGIN

unit:
	PAIR(18, single)
	MOVHU (R14), R16

pair:
	MOVHU (R12), R15
	FMOVQ 2(R12), F4
	FMOVQ 2(R14), F6
	ADD   $36, R12
	NIBBLES(V4, V4, V5)
	NIBBLES(V6, V6, V7)
	VTBL  V4.B16, [V26.B16], V4.B16
	VTBL  V5.B16, [V26.B16], V5.B16
	VTBL  V6.B16, [V26.B16], V6.B16
	VTBL  V7.B16, [V26.B16], V7.B16
	HALF_SCALES
	TOKENS(WIDE_BLOCKS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

single:
	SINGLE(pair)

// MASKS sets V8–V11 to a byte of ones for each bit of eight bytes that is set: V26–V29 spread the bytes, V25 has a bit in each.
#define MASK_CONSTANTS \
	VMOVQ $0x8040201008040201, $0x8040201008040201, V25 \
	SPREAD_CONSTANTS

#define SPREAD_CONSTANTS \
	VMOVQ $0x0000000000000000, $0x0101010101010101, V26 \
	VMOVQ $0x0202020202020202, $0x0303030303030303, V27 \
	VMOVQ $0x0404040404040404, $0x0505050505050505, V28 \
	VMOVQ $0x0606060606060606, $0x0707070707070707, V29

#define SPREAD_BYTES(bytes) \
	VTBL V26.B16, [bytes.B16], V8.B16  \
	VTBL V27.B16, [bytes.B16], V9.B16  \
	VTBL V28.B16, [bytes.B16], V10.B16 \
	VTBL V29.B16, [bytes.B16], V11.B16

#define MASKS(bytes) \
	SPREAD_BYTES(bytes)              \
	VCMTST V25.B16, V8.B16, V8.B16   \
	VCMTST V25.B16, V9.B16, V9.B16   \
	VCMTST V25.B16, V10.B16, V10.B16 \
	VCMTST V25.B16, V11.B16, V11.B16

// FOUR_OF_MASKS puts the low four bits of V8–V11 above the low four of V4–V7.
#define FOUR_OF_MASKS \
	VSLI $4, V8.B16, V4.B16  \
	VSLI $4, V9.B16, V5.B16  \
	VSLI $4, V10.B16, V6.B16 \
	VSLI $4, V11.B16, V7.B16

// A weight is its four low bits, less 16 where its fifth bit is not set, which is to say that the upper four bits of the byte are
// ones. V18 holds the complements of the fifth bits.
TEXT ROWS_Q5_0(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	MASK_CONSTANTS

row:
	ROW_BEGIN

unit:
	PAIR(22, single)
	MOVHU (R14), R16

pair:
	MOVHU  (R12), R15
	MOVWU  2(R12), R17
	MOVWU  2(R14), R19
	FMOVQ  6(R12), F4
	FMOVQ  6(R14), F6
	ADD    $44, R12
	ORR    R19<<32, R17, R17
	MVN    R17, R17
	FMOVD  R17, F18
	NIBBLES(V4, V4, V5)
	NIBBLES(V6, V6, V7)
	MASKS(V18)
	FOUR_OF_MASKS
	HALF_SCALES
	TOKENS(BLOCKS, next)
	CMP    R2, R12
	BLO    unit
	ROW_END(row, stored)
	RET

single:
	SINGLE(pair)

// V30 keeps the five bits.
TEXT ROWS_Q5_1(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVI $31, V30.B16
	MASK_CONSTANTS

row:
	ROW_BEGIN

unit:
	PAIR(24, single)
	MOVWU (R14), R16

pair:
	MOVWU (R12), R15
	MOVWU 4(R12), R17
	MOVWU 4(R14), R19
	FMOVQ 8(R12), F4
	FMOVQ 8(R14), F6
	ADD   $48, R12
	ORR   R19<<32, R17, R17
	FMOVD R17, F18
	NIBBLES(V4, V4, V5)
	NIBBLES(V6, V6, V7)
	MASKS(V18)
	FOUR_OF_MASKS
	VAND  V30.B16, V4.B16, V4.B16
	VAND  V30.B16, V5.B16, V5.B16
	VAND  V30.B16, V6.B16, V6.B16
	VAND  V30.B16, V7.B16, V7.B16
	MIN_HALVES
	TOKENS(MIN_BLOCKS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

single:
	SINGLE(pair)

// A scale is 2^(e−128): e−1 above the fraction, or for e below 2 a subnormal, one bit of the fraction. V26 are the 16 values.
#define E8M0_HALF(e, d) \
	SUBS $2, e, R17   \
	ADD  $1, R17      \
	LSL  $23, R17     \
	MOVD $0x200000, d \
	LSL  e, d         \
	CSEL HS, R17, d, d

TEXT ROWS_MXFP4(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVQ $0x0C08060403020100, $0xF4F8FAFCFDFEFF00, V26

row:
	ROW_BEGIN

unit:
	PAIR(17, single)

pair:
	MOVBU (R12), R19
	MOVBU (R14), R20
	FMOVQ 1(R12), F4
	FMOVQ 1(R14), F6
	ADD   $34, R12
	NIBBLES(V4, V4, V5)
	NIBBLES(V6, V6, V7)
	VTBL  V4.B16, [V26.B16], V4.B16
	VTBL  V5.B16, [V26.B16], V5.B16
	VTBL  V6.B16, [V26.B16], V6.B16
	VTBL  V7.B16, [V26.B16], V7.B16
	E8M0_HALF(R19, R15)
	E8M0_HALF(R20, R16)
	ORR   R16<<32, R15, R15
	FMOVD R15, F16
	VZIP1 V16.S4, V16.S4, V16.S4
	TOKENS(BLOCKS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

single:
	MOVD R12, R14 // any finite scale will do
	B    pair

// Four scales of a byte, then four groups of eight bytes. A scale's bits, shifted, are a float that is 2⁻¹¹⁹ times as large (V28
// undoes it), also where it is subnormal; 0x7F (V27) stands for 0. V26 are the 16 values.
TEXT ROWS_NVFP4(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVQ $0x0C08060403020100, $0xF4F8FAFCFDFEFF00, V26
	VMOVI $0x7F, V27.B16
	VMOVS $0x7B000000, V28

row:
	ROW_BEGIN

unit:
	PRFM   1024(R12), PLDL1KEEP
	FMOVS  (R12), F16
	FMOVQ  4(R12), F18
	FMOVQ  20(R12), F20
	ADD    $36, R12
	VCMEQ  V27.B16, V16.B16, V17.B16
	VAND   V27.B16, V17.B16, V17.B16
	VEOR   V17.B16, V16.B16, V16.B16
	VUXTL  V16.B8, V16.H8
	VUSHLL $4, V16.H4, V16.S4
	VSHL   $16, V16.S4, V16.S4
	FMULI(16, 16, 28, 0)
	NIBBLES(V18, V18, V19)
	NIBBLES(V20, V20, V21)
	VTBL   V18.B16, [V26.B16], V18.B16
	VTBL   V19.B16, [V26.B16], V19.B16
	VTBL   V20.B16, [V26.B16], V20.B16
	VTBL   V21.B16, [V26.B16], V21.B16
	VZIP1  V19.D2, V18.D2, V4.D2
	VZIP2  V19.D2, V18.D2, V5.D2
	VZIP1  V21.D2, V20.D2, V6.D2
	VZIP2  V21.D2, V20.D2, V7.D2
	TOKENS(GROUPS, next)
	CMP    R2, R12
	BLO    unit
	ROW_END(row, stored)
	RET

// Super-blocks of 256 weights, four units. The scales of their groups are bytes: V20 picks those of the unit's lanes (128 and
// more stand for 0) into the lanes' upper bytes, so that they are converted as fractions of 2²⁴. V30 is what V20 starts with,
// V31 its step from unit to unit. V21 holds the halves of the super-block as floats.
#define BLOCK_INDICES \
	VMOVQ $0x0080808000808080, $0x0180808001808080, V30 \
	VMOVI $2, V31.B16

#define GROUP_INDICES \
	VMOVQ $0x0180808000808080, $0x0380808002808080, V30 \
	VMOVI $4, V31.B16

// UNIT_SCALES sets V16 to the scales in V18 times V21's first lane.
#define UNIT_SCALES \
	VTBL V20.B16, [V18.B16], V16.B16 \
	SCVTF24(16, 16)                  \
	FMULI(16, 16, 21, 0)

#define NEXT_SCALES \
	VADD V31.B16, V20.B16, V20.B16

// SPREAD spreads the parts of a word, each of the given mask's width, over its bytes: it opens a gap as wide as the shift.
#define SPREAD(word, tmp, shift, mask) \
	ORR word<<shift, word, word \
	MOVD $mask, tmp             \
	AND tmp, word, word

// V26 are the 16 values, V25 is 32. The six bits of scales less 32 are four in a word and two in a half.
TEXT ROWS_IQ4_XS(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVI $32, V25.B16
	VMOVQ $0xF6EADDCFBFAD9881, $0x7159453526190D01, V26
	BLOCK_INDICES

row:
	ROW_BEGIN

block:
	MOVHU (R12), R14
	MOVHU 2(R12), R15
	MOVWU 4(R12), R16
	ADD   $8, R12
	FMOVS R14, F21
	FCVTL(21, 21)
	SPREAD(R15, R17, 24, 0x000000FF000000FF)
	SPREAD(R15, R17, 12, 0x000F000F000F000F)
	SPREAD(R15, R17, 6, 0x0303030303030303)
	SPREAD(R16, R17, 16, 0x0000FFFF0000FFFF)
	SPREAD(R16, R17, 8, 0x00FF00FF00FF00FF)
	SPREAD(R16, R17, 4, 0x0F0F0F0F0F0F0F0F)
	ORR   R15<<4, R16, R16
	FMOVD R16, F18
	VSUB  V25.B16, V18.B16, V18.B16
	VORR  V30.B16, V30.B16, V20.B16
	MOVD  $4, R13

unit:
	PRFM  1024(R12), PLDL1KEEP
	FLDPQ (R12), (F4, F6)
	ADD   $32, R12
	NIBBLES(V4, V4, V5)
	NIBBLES(V6, V6, V7)
	VTBL  V4.B16, [V26.B16], V4.B16
	VTBL  V5.B16, [V26.B16], V5.B16
	VTBL  V6.B16, [V26.B16], V6.B16
	VTBL  V7.B16, [V26.B16], V7.B16
	UNIT_SCALES
	NEXT_SCALES
	TOKENS(WIDE_BLOCKS, next)
	SUBS  $1, R13
	BNE   unit
	CMP   R2, R12
	BLO   block
	ROW_END(row, stored)
	RET

// UNIT_MINS sets V17 to the minimums in V19 times V21's second lane.
#define UNIT_MINS \
	VTBL V20.B16, [V19.B16], V17.B16 \
	SCVTF24(17, 17)                  \
	FMULI(17, 17, 21, 1)

// SIX_BIT_PAIRS loads the two halves of a Q4_K or Q5_K block at R12, and its eight scales and minimums of six bits: four of
// each in the low bits of bytes 4–7 and 8–11; the others have their low four bits in bytes 12–15, scales below and minimums above,
// and their upper two on top of the first ones.
#define SIX_BIT_PAIRS \
	FMOVS (R12), F21            \
	MOVWU 4(R12), R14           \
	MOVWU 8(R12), R15           \
	MOVWU 12(R12), R16          \
	FCVTL(21, 21)               \
	ANDW  $0x3F3F3F3F, R14, R17 \
	ANDW  $0x3F3F3F3F, R15, R19 \
	LSRW  $2, R14, R14          \
	LSRW  $2, R15, R15          \
	ANDW  $0x30303030, R14, R14 \
	ANDW  $0x30303030, R15, R15 \
	ANDW  $0x0F0F0F0F, R16, R20 \
	LSRW  $4, R16, R16          \
	ANDW  $0x0F0F0F0F, R16, R16 \
	ORRW  R20, R14, R14         \
	ORRW  R16, R15, R15         \
	ORR   R14<<32, R17, R17     \
	ORR   R15<<32, R19, R19     \
	FMOVD R17, F18              \
	FMOVD R19, F19              \
	VORR  V30.B16, V30.B16, V20.B16

TEXT ROWS_Q4_K(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	BLOCK_INDICES

row:
	ROW_BEGIN

block:
	SIX_BIT_PAIRS
	ADD  $16, R12
	MOVD $4, R13

unit:
	PRFM  1024(R12), PLDL1KEEP
	FLDPQ (R12), (F4, F5)
	ADD   $32, R12
	NIBBLES(V4, V4, V6)
	NIBBLES(V5, V5, V7)
	UNIT_SCALES
	UNIT_MINS
	NEXT_SCALES
	TOKENS(MIN_BLOCKS, next)
	SUBS  $1, R13
	BNE   unit
	CMP   R2, R12
	BLO   block
	ROW_END(row, stored)
	RET

// V22 and V23 are the fifth bits of the super-block, those of the unit's two blocks lowest.
TEXT ROWS_Q5_K(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVI $1, V25.B16
	BLOCK_INDICES

row:
	ROW_BEGIN

block:
	SIX_BIT_PAIRS
	FLDPQ 16(R12), (F22, F23)
	ADD   $48, R12
	MOVD  $4, R13

unit:
	PRFM  1024(R12), PLDL1KEEP
	FLDPQ (R12), (F4, F5)
	ADD   $32, R12
	VUSHR $1, V22.B16, V10.B16
	VUSHR $1, V23.B16, V11.B16
	VAND  V25.B16, V22.B16, V8.B16
	VAND  V25.B16, V23.B16, V9.B16
	VAND  V25.B16, V10.B16, V10.B16
	VAND  V25.B16, V11.B16, V11.B16
	VUSHR $2, V22.B16, V22.B16
	VUSHR $2, V23.B16, V23.B16
	VUSHR $4, V4.B16, V6.B16
	VUSHR $4, V5.B16, V7.B16
	VSLI  $4, V8.B16, V4.B16 // above the low four bits
	VSLI  $4, V9.B16, V5.B16
	VSLI  $4, V10.B16, V6.B16
	VSLI  $4, V11.B16, V7.B16
	UNIT_SCALES
	UNIT_MINS
	NEXT_SCALES
	TOKENS(MIN_BLOCKS, next)
	SUBS  $1, R13
	BNE   unit
	CMP   R2, R12
	BLO   block
	ROW_END(row, stored)
	RET

// V26–V29 are 64 bytes with the low four bits of two units, V22 and V23 their upper two bits, the lowest those of the first 32
// weights. SIX_BITS puts the low two bits of h above the low four of w, less V17's 32.
#define SIX_BITS(w, h) \
	VAND V25.B16, h.B16, h.B16 \
	VSLI $4, h.B16, w.B16      \
	VSUB V17.B16, w.B16, w.B16

TEXT ROWS_Q6_K(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVI $3, V25.B16
	VMOVI $32, V17.B16
	GROUP_INDICES

row:
	ROW_BEGIN

block:
	FMOVQ 192(R12), F18
	MOVHU 208(R12), R14
	ADD   $128, R12, R15
	FMOVS R14, F21
	FCVTL(21, 21)
	VORR  V30.B16, V30.B16, V20.B16
	MOVD  $2, R13

half:
	PRFM  1024(R12), PLDL1KEEP
	PRFM  1088(R12), PLDL1KEEP
	FLDPQ (R12), (F26, F27)
	FLDPQ 32(R12), (F28, F29)
	FLDPQ (R15), (F22, F23)
	ADD   $64, R12
	ADD   $32, R15
	VORR  V26.B16, V26.B16, V4.B16
	VORR  V27.B16, V27.B16, V5.B16
	VORR  V28.B16, V28.B16, V6.B16
	VORR  V29.B16, V29.B16, V7.B16
	VORR  V22.B16, V22.B16, V8.B16
	VORR  V23.B16, V23.B16, V9.B16
	VUSHR $2, V22.B16, V10.B16
	VUSHR $2, V23.B16, V11.B16
	SIX_BITS(V4, V8)
	SIX_BITS(V5, V9)
	SIX_BITS(V6, V10)
	SIX_BITS(V7, V11)
	UNIT_SCALES
	NEXT_SCALES
	TOKENS(GROUPS, next0)

	VUSHR $4, V26.B16, V4.B16
	VUSHR $4, V27.B16, V5.B16
	VUSHR $4, V28.B16, V6.B16
	VUSHR $4, V29.B16, V7.B16
	VUSHR $4, V22.B16, V8.B16
	VUSHR $4, V23.B16, V9.B16
	VUSHR $6, V22.B16, V10.B16
	VUSHR $6, V23.B16, V11.B16
	SIX_BITS(V4, V8)
	SIX_BITS(V5, V9)
	SIX_BITS(V6, V10)
	SIX_BITS(V7, V11)
	UNIT_SCALES
	NEXT_SCALES
	TOKENS(GROUPS, next1)
	SUBS  $1, R13
	BNE   half
	ADD   $82, R12 // two upper bits, scales, the half
	CMP   R2, R12
	BLO   block
	ROW_END(row, stored)
	RET

// TWO_PLANES sets V4–V7 to the low two bits of 32 bytes in V26 and V27, and to the next two, and takes these away. V25 is 3 in all
// bytes. A run of 32 bytes is two units: NEXT_PLANES goes on with the second, or the next run, or leaves the super-block, where R13 counted
// its units.
#define LOAD_PLANES \
	PRFM  1024(R12), PLDL1KEEP \
	FLDPQ (R12), (F26, F27)    \
	ADD   $32, R12

#define TWO_PLANES \
	VUSHR $2, V26.B16, V6.B16      \
	VUSHR $2, V27.B16, V7.B16      \
	VAND  V25.B16, V26.B16, V4.B16 \
	VAND  V25.B16, V27.B16, V5.B16 \
	VAND  V25.B16, V6.B16, V6.B16  \
	VAND  V25.B16, V7.B16, V7.B16  \
	VUSHR $4, V26.B16, V26.B16     \
	VUSHR $4, V27.B16, V27.B16

#define NEXT_PLANES(run, unit) \
	SUBS $1, R13 \
	TST  $1, R13 \
	BNE  unit    \
	CMP  $0, R13 \
	BNE  run

TEXT ROWS_Q2_K(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVI $3, V25.B16
	GROUP_INDICES

row:
	ROW_BEGIN

block:
	FMOVQ (R12), F18
	FMOVS 80(R12), F21
	ADD   $16, R12
	FCVTL(21, 21)
	NIBBLES(V18, V18, V19)
	VORR  V30.B16, V30.B16, V20.B16
	MOVD  $4, R13

run:
	LOAD_PLANES

unit:
	TWO_PLANES
	UNIT_SCALES
	UNIT_MINS
	NEXT_SCALES
	TOKENS(MIN_GROUPS, next)
	NEXT_PLANES(run, unit)
	ADD  $4, R12
	CMP  R2, R12
	BLO  block
	ROW_END(row, stored)
	RET

// V22 and V23 are the third bits of the super-block, those of the unit's two blocks lowest, V24 is 1, V28 4. Scales of six bits, less
// V29's 32: eight bytes have the low four of two each, four bytes the upper two of four each.
#define THIRD_BIT(w, h) \
	VAND V24.B16, h.B16, h.B16 \
	VSLI $2, h.B16, w.B16      \
	VSUB V28.B16, w.B16, w.B16

#define SIX_BITS_OF(low, top, tmp) \
	AND $0x0F0F0F0F0F0F0F0F, low, low \
	LSR $2, top, tmp                  \
	ORR tmp<<32, top, tmp             \
	AND $0x0303030303030303, tmp, tmp \
	ORR tmp<<4, low, low

TEXT ROWS_Q3_K(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $1, V24.B16
	VMOVI $3, V25.B16
	VMOVI $4, V28.B16
	VMOVI $32, V29.B16
	GROUP_INDICES

row:
	ROW_BEGIN

block:
	MOVD  96(R12), R14
	MOVWU 104(R12), R15
	MOVHU 108(R12), R16
	FMOVS R16, F21
	FCVTL(21, 21)
	LSR   $4, R14, R17
	LSR   $4, R15, R19
	ANDW  $0x0F0F0F0F, R15, R15
	SIX_BITS_OF(R14, R15, R20)
	SIX_BITS_OF(R17, R19, R20)
	FMOVD R14, F18
	VMOV  R17, V18.D[1]
	VSUB  V29.B16, V18.B16, V18.B16
	FLDPQ (R12), (F22, F23)
	ADD   $32, R12
	VORR  V30.B16, V30.B16, V20.B16
	MOVD  $4, R13

run:
	LOAD_PLANES

unit:
	TWO_PLANES
	VORR  V22.B16, V22.B16, V8.B16
	VORR  V23.B16, V23.B16, V9.B16
	VUSHR $1, V22.B16, V10.B16
	VUSHR $1, V23.B16, V11.B16
	THIRD_BIT(V4, V8)
	THIRD_BIT(V5, V9)
	THIRD_BIT(V6, V10)
	THIRD_BIT(V7, V11)
	VUSHR $2, V22.B16, V22.B16
	VUSHR $2, V23.B16, V23.B16
	UNIT_SCALES
	NEXT_SCALES
	TOKENS(GROUPS, next)
	NEXT_PLANES(run, unit)
	ADD   $14, R12
	CMP   R2, R12
	BLO   block
	ROW_END(row, stored)
	RET

// LAST_HALF sets V16 to the half at R12's offset.
#define LAST_HALF(at) \
	MOVHU at(R12), R14 \
	FMOVS R14, F16     \
	FCVTL(16, 16)      \
	VDUP  V16.S[0], V16.S4

TEXT ROWS_TQ2_0(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $1, V24.B16
	VMOVI $3, V25.B16

row:
	ROW_BEGIN

block:
	LAST_HALF(64)
	MOVD $4, R13

run:
	LOAD_PLANES

unit:
	TWO_PLANES
	VSUB V24.B16, V4.B16, V4.B16
	VSUB V24.B16, V5.B16, V5.B16
	VSUB V24.B16, V6.B16, V6.B16
	VSUB V24.B16, V7.B16, V7.B16
	TOKENS(BLOCKS, next)
	NEXT_PLANES(run, unit)
	ADD  $2, R12
	CMP  R2, R12
	BLO  block
	ROW_END(row, stored)
	RET

// TRIT takes a digit from the fractions q, less 1: −1 below 86/256 (V24), 1 above 170/256 (V25). V28 is 3.
#define TRIT(q, w, W) \
	CMHI(w, 24, q) \
	CMHI(8, q, 25) \
	MULB(q, q, 28) \
	VSUB V8.B16, W.B16, W.B16

// 32 bytes have five digits, 16 bytes have five, four bytes have four. All first digits come first, then all second ones.
TEXT ROWS_TQ1_0(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $86, V24.B16
	VMOVI $170, V25.B16
	VMOVI $3, V28.B16

row:
	ROW_BEGIN

block:
	PRFM  1024(R12), PLDL1KEEP
	FLDPQ (R12), (F26, F27)
	FMOVQ 32(R12), F22
	FMOVS 48(R12), F23
	LAST_HALF(52)
	ADD   $54, R12
	TRIT(26, 4, V4)
	TRIT(27, 5, V5)
	TRIT(26, 6, V6)
	TRIT(27, 7, V7)
	TOKENS(BLOCKS, next0)
	TRIT(26, 4, V4)
	TRIT(27, 5, V5)
	TRIT(26, 6, V6)
	TRIT(27, 7, V7)
	TOKENS(BLOCKS, next1)
	TRIT(26, 4, V4)
	TRIT(27, 5, V5)
	TRIT(22, 6, V6)
	TRIT(22, 7, V7)
	TOKENS(BLOCKS, next2)
	TRIT(22, 4, V4)
	TRIT(22, 5, V5)
	TRIT(22, 6, V6)
	TRIT(23, 7, V7)
	TRIT(23, 9, V9)
	TRIT(23, 10, V10)
	TRIT(23, 11, V11)
	VZIP1 V9.S4, V7.S4, V7.S4
	VZIP1 V11.S4, V10.S4, V10.S4
	VZIP1 V10.D2, V7.D2, V7.D2
	TOKENS(BLOCKS, next3)
	CMP   R2, R12
	BLO   block
	ROW_END(row, stored)
	RET

// Codebooks, R20: an index stands for eight weights, or four. EIGHTS sets V to those of two indices, which R14 and R15 are, FOURS to those
// of four, R14 to R17.
#define EIGHTS(F, V) \
	FMOVD (R20)(R14<<3), F  \
	FMOVD (R20)(R15<<3), F8 \
	VZIP1 V8.D2, V.D2, V.D2

#define FOURS(F, V) \
	MOVWU (R20)(R14<<2), R14 \
	MOVWU (R20)(R15<<2), R15 \
	MOVWU (R20)(R16<<2), R16 \
	MOVWU (R20)(R17<<2), R17 \
	ORR   R15<<32, R14, R14  \
	ORR   R17<<32, R16, R16  \
	FMOVD R14, F             \
	VMOV  R16, V.D[1]

// SIGNS negates the weights whose bit in eight bytes is set. EVEN completes seven bits in each of eight bytes by an eighth, so that
// an even number of them is set.
#define NEGATE(w, mask) \
	VEOR mask.B16, w.B16, w.B16 \
	VSUB mask.B16, w.B16, w.B16

#define SIGNS(bytes) \
	MASKS(bytes)    \
	NEGATE(V4, V8)  \
	NEGATE(V5, V9)  \
	NEGATE(V6, V10) \
	NEGATE(V7, V11)

#define EVEN(bytes, count) \
	VCNT bytes.B8, count.B8 \
	VSLI $7, count.B8, bytes.B8

// ODD makes s 2·s + 1 in all bytes, V24 being 1.
#define ODD(s) \
	VADD s.B16, s.B16, s.B16 \
	VORR V24.B16, s.B16, s.B16

// HALF_AT sets V21's first lane to the half at R12 times a power of two.
#define HALF_AT(at, factor) \
	MOVHU at(R12), R14 \
	FMOVS R14, F21     \
	FCVTL(21, 21)      \
	VMOVS $factor, V16 \
	FMULI(21, 21, 16, 0)

#define EIGHTH 0x3E000000
#define QUARTER 0x3E800000

// META splits the two words in R16: the upper four bits of each are a block's scale, below are four times seven signs.
#define META \
	LSR   $28, R16, R17                 \
	AND   $0x0000000F0000000F, R17, R17 \
	ADD   R17, R17, R17                 \
	ORR   $0x0000000100000001, R17, R17 \
	FMOVD R17, F16                      \
	AND   $0x0FFFFFFF0FFFFFFF, R16, R16 \
	AND   $0x0FFFC0000FFFC000, R16, R17 \
	ADD   R17, R16, R16                 \
	ADD   R17<<1, R16, R16              \
	AND   $0x3F803F803F803F80, R16, R17 \
	ADD   R17, R16, R16                 \
	FMOVD R16, F19                      \
	SCVTF(16, 16)                       \
	FMULI(16, 16, 21, 0)                \
	VZIP1 V16.S4, V16.S4, V16.S4        \
	EVEN(V19, V8)

// A block is four indices and a word.
TEXT ROWS_IQ2_XXS(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	MASK_CONSTANTS
	MOVD ·iq2xxsWeights(SB), R20

row:
	ROW_BEGIN

block:
	HALF_AT(0, EIGHTH)
	ADD  $2, R12
	MOVD $4, R13

unit:
	PRFM 1024(R12), PLDL1KEEP
	LDP  (R12), (R19, R21)
	ADD  $16, R12
	LSR  $32, R19, R16
	LSR  $32, R21, R17
	ORR  R17<<32, R16, R16
	META
	UBFX $0, R19, $8, R14
	UBFX $8, R19, $8, R15
	EIGHTS(F4, V4)
	UBFX $16, R19, $8, R14
	UBFX $24, R19, $8, R15
	EIGHTS(F5, V5)
	UBFX $0, R21, $8, R14
	UBFX $8, R21, $8, R15
	EIGHTS(F6, V6)
	UBFX $16, R21, $8, R14
	UBFX $24, R21, $8, R15
	EIGHTS(F7, V7)
	SIGNS(V19)
	TOKENS(WIDE_BLOCKS, next)
	SUBS $1, R13
	BNE  unit
	CMP  R2, R12
	BLO  block
	ROW_END(row, stored)
	RET

// BYTE_SCALES sets V18 to the odd numbers that the nibbles in F18 stand for.
#define BYTE_SCALES \
	VUSHR $4, V18.B16, V19.B16      \
	VMOVI $15, V16.B16              \
	VAND  V16.B16, V18.B16, V18.B16 \
	VZIP1 V19.B16, V18.B16, V18.B16 \
	ODD(V18)                        \
	VORR  V30.B16, V30.B16, V20.B16

// Words of nine bits of an index and seven signs.
TEXT ROWS_IQ2_XS(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $1, V24.B16
	MASK_CONSTANTS
	GROUP_INDICES
	MOVD ·iq2xsWeights(SB), R20

row:
	ROW_BEGIN

block:
	FMOVD 66(R12), F18
	BYTE_SCALES
	HALF_AT(0, EIGHTH)
	ADD   $2, R12
	MOVD  $4, R13

unit:
	PRFM  1024(R12), PLDL1KEEP
	LDP   (R12), (R16, R17)
	FMOVQ (R12), F19
	ADD   $16, R12
	VUSHR $9, V19.H8, V19.H8
	VUZP1 V19.B16, V19.B16, V19.B16
	EVEN(V19, V8)
	UBFX  $0, R16, $9, R14
	UBFX  $16, R16, $9, R15
	EIGHTS(F4, V4)
	UBFX  $32, R16, $9, R14
	UBFX  $48, R16, $9, R15
	EIGHTS(F5, V5)
	UBFX  $0, R17, $9, R14
	UBFX  $16, R17, $9, R15
	EIGHTS(F6, V6)
	UBFX  $32, R17, $9, R14
	UBFX  $48, R17, $9, R15
	EIGHTS(F7, V7)
	SIGNS(V19)
	UNIT_SCALES
	NEXT_SCALES
	TOKENS(GROUPS, next)
	SUBS  $1, R13
	BNE   unit
	ADD   $8, R12
	CMP   R2, R12
	BLO   block
	ROW_END(row, stored)
	RET

// HIGH_8 puts the low bits of high above the eight of an index, and takes them away.
#define HIGH_8(high, width, step, index) \
	BFI $8, high, $width, index \
	LSR $step, high, high

// EIGHT_INDICES looks up the eight indices in word, of which so many upper bits are in high, a new field of them every step bits.
#define EIGHT_INDICES(word, high, width, step) \
	UBFX $0, word, $8, R14         \
	UBFX $8, word, $8, R15         \
	HIGH_8(high, width, step, R14) \
	HIGH_8(high, width, step, R15) \
	EIGHTS(F4, V4)                 \
	UBFX $16, word, $8, R14        \
	UBFX $24, word, $8, R15        \
	HIGH_8(high, width, step, R14) \
	HIGH_8(high, width, step, R15) \
	EIGHTS(F5, V5)                 \
	UBFX $32, word, $8, R14        \
	UBFX $40, word, $8, R15        \
	HIGH_8(high, width, step, R14) \
	HIGH_8(high, width, step, R15) \
	EIGHTS(F6, V6)                 \
	UBFX $48, word, $8, R14        \
	UBFX $56, word, $8, R15        \
	HIGH_8(high, width, step, R14) \
	HIGH_8(high, width, step, R15) \
	EIGHTS(F7, V7)

// 32 low bytes of indices, 32 bytes of signs, 8 bytes with two upper bits of four indices each (R19), 8 bytes of scales.
TEXT ROWS_IQ2_S(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $1, V24.B16
	MASK_CONSTANTS
	GROUP_INDICES
	MOVD ·iq2sWeights(SB), R20

row:
	ROW_BEGIN

block:
	FMOVD 74(R12), F18
	BYTE_SCALES
	HALF_AT(0, EIGHTH)
	ADD   $66, R12, R19
	ADD   $2, R12
	MOVD  $4, R13

unit:
	PRFM    1024(R12), PLDL1KEEP
	MOVHU.P 2(R19), R17
	MOVD    (R12), R16
	FMOVD   32(R12), F19
	ADD     $8, R12
	EIGHT_INDICES(R16, R17, 2, 2)
	SIGNS(V19)
	UNIT_SCALES
	NEXT_SCALES
	TOKENS(GROUPS, next)
	SUBS    $1, R13
	BNE     unit
	ADD     $48, R12
	CMP     R2, R12
	BLO     block
	ROW_END(row, stored)
	RET

// FOUR_BYTES looks up four indices of word.
#define FOUR_BYTES(word, at, F, V) \
	UBFX $(at), word, $8, R14    \
	UBFX $(at+8), word, $8, R15  \
	UBFX $(at+16), word, $8, R16 \
	UBFX $(at+24), word, $8, R17 \
	FOURS(F, V)

// 64 indices, then eight words (R19).
TEXT ROWS_IQ3_XXS(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	MASK_CONSTANTS
	MOVD ·iq3xxsWeights(SB), R20

row:
	ROW_BEGIN

block:
	HALF_AT(0, QUARTER)
	ADD  $66, R12, R19
	ADD  $2, R12
	MOVD $4, R13

unit:
	PRFM   1024(R12), PLDL1KEEP
	MOVD.P 8(R19), R16
	META
	LDP    (R12), (R21, R22)
	ADD    $16, R12
	FOUR_BYTES(R21, 0, F4, V4)
	FOUR_BYTES(R21, 32, F5, V5)
	FOUR_BYTES(R22, 0, F6, V6)
	FOUR_BYTES(R22, 32, F7, V7)
	SIGNS(V19)
	TOKENS(WIDE_BLOCKS, next)
	SUBS   $1, R13
	BNE    unit
	ADD    $32, R12
	CMP    R2, R12
	BLO    block
	ROW_END(row, stored)
	RET

// FOUR_NINES is FOUR_BYTES with an upper bit of each index in R23.
#define FOUR_NINES(word, at, F, V) \
	UBFX $(at), word, $8, R14    \
	UBFX $(at+8), word, $8, R15  \
	UBFX $(at+16), word, $8, R16 \
	UBFX $(at+24), word, $8, R17 \
	HIGH_8(R23, 1, 1, R14)       \
	HIGH_8(R23, 1, 1, R15)       \
	HIGH_8(R23, 1, 1, R16)       \
	HIGH_8(R23, 1, 1, R17)       \
	FOURS(F, V)

// 64 low bytes of indices, 8 bytes with an upper bit of eight indices each, then 32 bytes of signs (R19) and 4 of scales.
TEXT ROWS_IQ3_S(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $1, V24.B16
	MASK_CONSTANTS
	BLOCK_INDICES
	MOVD ·iq3sWeights(SB), R20

row:
	ROW_BEGIN

block:
	FMOVS 106(R12), F18
	BYTE_SCALES
	MOVHU (R12), R14
	FMOVS R14, F21
	FCVTL(21, 21)
	ADD   $66, R12, R19
	ADD   $74, R12, R21
	ADD   $2, R12
	MOVD  $4, R13

unit:
	PRFM    1024(R12), PLDL1KEEP
	MOVHU.P 2(R19), R23
	MOVD    (R12), R22
	FOUR_NINES(R22, 0, F4, V4)
	FOUR_NINES(R22, 32, F5, V5)
	MOVD    8(R12), R22
	ADD     $16, R12
	FOUR_NINES(R22, 0, F6, V6)
	FOUR_NINES(R22, 32, F7, V7)
	FMOVD.P 8(R21), F19
	SIGNS(V19)
	UNIT_SCALES
	NEXT_SCALES
	TOKENS(BLOCKS, next)
	SUBS    $1, R13
	BNE     unit
	ADD     $44, R12
	CMP     R2, R12
	BLO     block
	ROW_END(row, stored)
	RET

// Weights are eight times the levels, plus or minus one; the scales, eighths.
//
// 32 low bytes of indices; 8 words (R19) with three upper bits of four indices, a scale of three bits and the sign of the ones.
TEXT ROWS_IQ1_S(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	MOVD ·iq1Weights(SB), R20

row:
	ROW_BEGIN

block:
	HALF_AT(0, EIGHTH)
	ADD  $34, R12, R19
	ADD  $2, R12
	MOVD $4, R13

unit:
	PRFM    1024(R12), PLDL1KEEP
	MOVWU.P 4(R19), R17
	SBFX    $15, R17, $1, R21
	SBFX    $31, R17, $1, R22
	ORR     $1, R21, R21
	ORR     $1, R22, R22
	VDUP    R21, V18.B16
	VDUP    R22, V19.B16
	UBFX    $12, R17, $3, R21
	UBFX    $28, R17, $3, R22
	ORR     R22<<32, R21, R21
	ADD     R21, R21, R21
	ORR     $0x0000000100000001, R21, R21
	FMOVD   R21, F16
	SCVTF(16, 16)
	FMULI(16, 16, 21, 0)
	VZIP1   V16.S4, V16.S4, V16.S4
	UBFX    $0, R17, $12, R21
	UBFX    $16, R17, $12, R22
	ORR     R22<<12, R21, R17
	MOVD    (R12), R16
	ADD     $8, R12
	EIGHT_INDICES(R16, R17, 3, 3)
	VADD    V18.B16, V4.B16, V4.B16
	VADD    V18.B16, V5.B16, V5.B16
	VADD    V19.B16, V6.B16, V6.B16
	VADD    V19.B16, V7.B16, V7.B16
	TOKENS(BLOCKS, next)
	SUBS    $1, R13
	BNE     unit
	ADD     $16, R12
	CMP     R2, R12
	BLO     block
	ROW_END(row, stored)
	RET

// 32 low bytes of indices; 16 bytes (R19) of nibbles, three upper bits of an index and the sign of the ones; four words (R21) of four
// scales of three bits, whose upper four bits make up the half.
TEXT ROWS_IQ1_M(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $1, V24.B16
	SPREAD_CONSTANTS
	MOVD  ·iq1Weights(SB), R20

row:
	ROW_BEGIN

block:
	MOVD  48(R12), R14
	LSR   $12, R14, R15
	AND   $0xF, R15, R15
	LSR   $24, R14, R16
	AND   $0xF0, R16, R16
	ORR   R16, R15, R15
	LSR   $36, R14, R16
	AND   $0xF00, R16, R16
	ORR   R16, R15, R15
	LSR   $48, R14, R16
	AND   $0xF000, R16, R16
	ORR   R16, R15, R15
	FMOVS R15, F21
	FCVTL(21, 21)
	VMOVS $EIGHTH, V16
	FMULI(21, 21, 16, 0)
	ADD   $32, R12, R19
	ADD   $48, R12, R21
	MOVD  $4, R13

unit:
	PRFM    1024(R12), PLDL1KEEP
	MOVHU.P 2(R21), R22
	AND     $0xFFF, R22, R22
	SPREAD(R22, R23, 10, 0x003F003F)
	SPREAD(R22, R23, 5, 0x07070707)
	FMOVS   R22, F16
	ODD(V16)
	VUXTL   V16.B8, V16.H8
	VUXTL   V16.H4, V16.S4
	SCVTF(16, 16)
	FMULI(16, 16, 21, 0)
	MOVWU.P 4(R19), R17
	MOVD    R17, R22
	SPREAD(R22, R23, 16, 0x0000FFFF0000FFFF)
	SPREAD(R22, R23, 8, 0x00FF00FF00FF00FF)
	SPREAD(R22, R23, 4, 0x0808080808080808)
	FMOVD   R22, F19
	VUSHR   $2, V19.B16, V19.B16
	VSUB    V19.B16, V24.B16, V19.B16 // 1 or −1
	MOVD    (R12), R16
	ADD     $8, R12
	EIGHT_INDICES(R16, R17, 3, 4)
	SPREAD_BYTES(V19)
	VADD    V8.B16, V4.B16, V4.B16
	VADD    V9.B16, V5.B16, V5.B16
	VADD    V10.B16, V6.B16, V6.B16
	VADD    V11.B16, V7.B16, V7.B16
	TOKENS(GROUPS, next)
	SUBS    $1, R13
	BNE     unit
	ADD     $24, R12
	CMP     R2, R12
	BLO     block
	ROW_END(row, stored)
	RET
