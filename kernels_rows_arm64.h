// Row kernels: rows of quantised weights, as they lie in a file, times one to four tokens. This file is included by
// kernels_rows_arm64.s and kernels_dotprod_arm64.s, which name the functions and define the products of 64 weights with 64
// activations, where V4–V7 are the weights and V8–V11 the activations:
//
//	DOT_BLOCKS       V12 = two sums of the products with V4 and V5, two of those with V6 and V7; weights in −32 … 32
//	DOT_WIDE_BLOCKS  the same for weights in −128 … 127
//	DOT_GROUPS       V12 = the sums of the products with V4, V5, V6 and V7; weights in −32 … 32
//
// All have the signature
//
//	func(dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n int)
//
// A row is decoded once for all tokens, 64 weights at a time, a unit. Each lane of the unit's four sums becomes a float, times
// the lane's scale of the weights (V16), times its scale of the activations, and is added to the token's lane. So a product is
// the same for any number of rows and tokens.
//
// kernels_panels_arm64.s includes it a third time with UNPACK defined: then the functions are
//
//	func(w *byte, rowBytes int, dst *unit)
//
// and store the units of one row: the weights, V16, and V17 where there are minimums.
//
//	R0      dst of the row           R8–R11   activations of token 0 to 3, the running unit
//	R1      stride of dst in bytes   R12      weights, the running block
//	R2      end of the row           R13      units left of the super-block
//	R3      its length               R14–R20  free
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
	MUL  R8, R6

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
stored:                 \
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

// MIN_BLOCKS: two blocks of 32 weights with minimums in V17.
#define MIN_BLOCKS(sum, x) \
	LOAD_Q(x)                           \
	DOT_BLOCKS                          \
	FLDPQ (Q8_NEGSUM)(x), (F8, F9)      \
	FLDPQ (Q8_NEGSUM+32)(x), (F10, F11) \
	FMOVQ Q8_SCALE_6(x), F15            \
	ADD   $Q8_SIZE, x                   \
	VADD  V9.S4, V8.S4, V8.S4           \
	VADD  V11.S4, V10.S4, V10.S4        \
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

TEXT ROWS_Q4_0(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVI $8, V25.B16

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
	VSUB  V25.B16, V4.B16, V4.B16
	VSUB  V25.B16, V5.B16, V5.B16
	VSUB  V25.B16, V6.B16, V6.B16
	VSUB  V25.B16, V7.B16, V7.B16
	HALF_SCALES
	TOKENS(BLOCKS, next)
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

// A weight is its four low bits, less 16 where its fifth bit is not set, which is to say that the upper four bits of the byte are
// ones. V18 holds the complements of the fifth bits, V26–V29 spread them, V25 has the bit of each byte.
TEXT ROWS_Q5_0(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	VMOVI $15, V24.B16
	VMOVQ $0x8040201008040201, $0x8040201008040201, V25
	VMOVQ $0x0000000000000000, $0x0101010101010101, V26
	VMOVQ $0x0202020202020202, $0x0303030303030303, V27
	VMOVQ $0x0404040404040404, $0x0505050505050505, V28
	VMOVQ $0x0606060606060606, $0x0707070707070707, V29

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
	VTBL   V26.B16, [V18.B16], V8.B16
	VTBL   V27.B16, [V18.B16], V9.B16
	VTBL   V28.B16, [V18.B16], V10.B16
	VTBL   V29.B16, [V18.B16], V11.B16
	VCMTST V25.B16, V8.B16, V8.B16
	VCMTST V25.B16, V9.B16, V9.B16
	VCMTST V25.B16, V10.B16, V10.B16
	VCMTST V25.B16, V11.B16, V11.B16
	VSLI   $4, V8.B16, V4.B16
	VSLI   $4, V9.B16, V5.B16
	VSLI   $4, V10.B16, V6.B16
	VSLI   $4, V11.B16, V7.B16
	HALF_SCALES
	TOKENS(BLOCKS, next)
	CMP    R2, R12
	BLO    unit
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
