// Rows of formats in super-blocks without a codebook, see rows_arm64.h.

// Super-blocks of 256 weights, four units. The scales of their groups are bytes: V20 picks those of the unit's lanes (128 and
// more stand for 0) into the lanes' upper bytes, so that they are converted as fractions of 2²⁴. V30 is what V20 starts with,
// V31 its step from unit to unit. V21 holds the halves of the super-block as floats.
//
// UNIT_SCALES sets V16 to the scales in V18 times V21's first lane, and UNIT_MINS V17 to the minimums in V19 times V21's second lane.
#define GROUP_INDICES \
	VMOVQ $0x0180808000808080, $0x0380808002808080, V30 \
	VMOVI $4, V31.B16

#define UNIT_SCALES \
	VTBL V20.B16, [V18.B16], V16.B16 \
	SCVTF24(16, 16)                  \
	FMULI(16, 16, 21, 0)

#ifndef FINER

#define BLOCK_INDICES \
	VMOVQ $0x0080808000808080, $0x0180808001808080, V30 \
	VMOVI $2, V31.B16

#define SCALES_AND_MINS \
	FMOVD R17, F18 \
	FMOVD R19, F19

#define UNIT_MINS \
	VTBL V20.B16, [V19.B16], V17.B16 \
	SCVTF24(17, 17)                  \
	FMULI(17, 17, 21, 1)

#define UNIT_SCALES_AND_MINS \
	UNIT_SCALES \
	UNIT_MINS

#else

// Of finer weights the scales are a 16th, V27. The minimums lie behind them in V18, and the two of each in a unit become floats at once,
// times V26, before they have two lanes each.
#define BLOCK_INDICES \
	VMOVQ $0x0180808000808080, $0x0980808008808080, V30 \
	VMOVI $2, V31.B16

#define SCALES_AND_MINS \
	FMOVD R17, F18               \
	VMOV  R19, V18.D[1]          \
	FMULI(26, 27, 21, 0)         \
	VDUP  V21.S[1], V28.S4       \
	VZIP1 V28.D2, V26.D2, V26.D2

#define UNIT_SCALES_AND_MINS \
	VTBL V20.B16, [V18.B16], V16.B16 \
	SCVTF24(16, 16)                  \
	FMUL(16, 16, 26)                 \
	VZIP2 V16.S4, V16.S4, V17.S4     \
	VZIP1 V16.S4, V16.S4, V16.S4

#endif

#define NEXT_SCALES \
	VADD V31.B16, V20.B16, V20.B16

// SPREAD spreads the parts of a word, each of the given mask's width, over its bytes: it opens a gap as wide as the shift.
#define SPREAD(word, tmp, shift, mask) \
	ORR word<<shift, word, word \
	MOVD $mask, tmp             \
	AND tmp, word, word

#ifndef FINER

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
	PREFETCH(0)
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

#endif

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
	SCALES_AND_MINS             \
	VORR  V30.B16, V30.B16, V20.B16

TEXT ROWS_Q4_K(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	NIBBLE_BITS
	BLOCK_INDICES

row:
	ROW_BEGIN

block:
	SIX_BIT_PAIRS
	ADD  $16, R12
	MOVD $4, R13

unit:
	PREFETCH(0)
	FLDPQ (R12), (F4, F5)
	ADD   $32, R12
	NIBBLES(V4, V4, V6)
	NIBBLES(V5, V5, V7)
	UNIT_SCALES_AND_MINS
	NEXT_SCALES
	TOKENS(MIN_BLOCKS, next)
	SUBS  $1, R13
	BNE   unit
	CMP   R2, R12
	BLO   block
	ROW_END(row, stored)
	RET

#ifndef FINER

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
	PREFETCH(0)
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

#endif

// V26–V29 are 64 bytes with the low four bits of two units, V22 and V23 their upper two bits, the lowest those of the first 32
// weights. FIRST_SIX_BITS and SECOND_SIX_BITS set V4–V7 to the weights of a unit.
#ifndef FINER

// SIX_BITS puts the low two bits of h above the low four of w, less V19's 32.
#define SIX_BITS(w, h) \
	VAND V25.B16, h.B16, h.B16 \
	VSLI $4, h.B16, w.B16      \
	VSUB V19.B16, w.B16, w.B16

#define SIX_BIT_CONSTANTS \
	VMOVI $15, V24.B16 \
	VMOVI $3, V25.B16  \
	VMOVI $32, V19.B16

#define SIX_BIT_SCALE

#define FIRST_SIX_BITS \
	VORR  V26.B16, V26.B16, V4.B16 \
	VORR  V27.B16, V27.B16, V5.B16 \
	VORR  V28.B16, V28.B16, V6.B16 \
	VORR  V29.B16, V29.B16, V7.B16 \
	VORR  V22.B16, V22.B16, V8.B16 \
	VORR  V23.B16, V23.B16, V9.B16 \
	VUSHR $2, V22.B16, V10.B16     \
	VUSHR $2, V23.B16, V11.B16     \
	SIX_BITS(V4, V8)               \
	SIX_BITS(V5, V9)               \
	SIX_BITS(V6, V10)              \
	SIX_BITS(V7, V11)

#define SECOND_SIX_BITS \
	VUSHR $4, V26.B16, V4.B16  \
	VUSHR $4, V27.B16, V5.B16  \
	VUSHR $4, V28.B16, V6.B16  \
	VUSHR $4, V29.B16, V7.B16  \
	VUSHR $4, V22.B16, V8.B16  \
	VUSHR $4, V23.B16, V9.B16  \
	VUSHR $6, V22.B16, V10.B16 \
	VUSHR $6, V23.B16, V11.B16 \
	SIX_BITS(V4, V8)           \
	SIX_BITS(V5, V9)           \
	SIX_BITS(V6, V10)          \
	SIX_BITS(V7, V11)

#else

// Of finer weights the lowest two bits are zeros, and the scales a quarter, V17. The highest bit is inverted: that is less 128.
#define SIX_BIT_CONSTANTS \
	VMOVI $0xF0, V24.B16   \
	VMOVI $0xC0, V25.B16   \
	VMOVI $0xAA, V19.B16   \
	VMOVS $0x3E800000, V17 // 1/4

#define SIX_BIT_SCALE \
	FMULI(21, 21, 17, 0)

#define FIRST_SIX_BITS \
	VEOR V19.B16, V22.B16, V22.B16 \
	VEOR V19.B16, V23.B16, V23.B16 \
	VSHL $2, V26.B16, V4.B16       \
	VSHL $2, V27.B16, V5.B16       \
	VSHL $2, V28.B16, V6.B16       \
	VSHL $2, V29.B16, V7.B16       \
	VSHL $4, V22.B16, V8.B16       \
	VSHL $4, V23.B16, V9.B16       \
	VSLI $6, V22.B16, V4.B16       \
	VSLI $6, V23.B16, V5.B16       \
	VBIT V25.B16, V8.B16, V6.B16   \
	VBIT V25.B16, V9.B16, V7.B16

#define SECOND_SIX_BITS \
	VAND V24.B16, V26.B16, V26.B16 \
	VAND V24.B16, V27.B16, V27.B16 \
	VAND V24.B16, V28.B16, V28.B16 \
	VAND V24.B16, V29.B16, V29.B16 \
	VSHL $2, V22.B16, V4.B16       \
	VSHL $2, V23.B16, V5.B16       \
	VORR V22.B16, V22.B16, V6.B16  \
	VORR V23.B16, V23.B16, V7.B16  \
	VSRI $2, V26.B16, V4.B16       \
	VSRI $2, V27.B16, V5.B16       \
	VSRI $2, V28.B16, V6.B16       \
	VSRI $2, V29.B16, V7.B16

#endif

TEXT ROWS_Q6_K(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	SIX_BIT_CONSTANTS
	GROUP_INDICES

row:
	ROW_BEGIN

block:
	FMOVQ 192(R12), F18
	MOVHU 208(R12), R14
	ADD   $128, R12, R15
	FMOVS R14, F21
	FCVTL(21, 21)
	SIX_BIT_SCALE
	VORR  V30.B16, V30.B16, V20.B16
	MOVD  $2, R13

half:
	PREFETCH(0)
	PREFETCH(64)
	FLDPQ (R12), (F26, F27)
	FLDPQ 32(R12), (F28, F29)
	FLDPQ (R15), (F22, F23)
	ADD   $64, R12
	ADD   $32, R15
	FIRST_SIX_BITS
	UNIT_SCALES
	NEXT_SCALES
	TOKENS(GROUPS, next0)

	SECOND_SIX_BITS
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

#ifndef FINER

// TWO_PLANES sets V4–V7 to the low two bits of 32 bytes in V26 and V27, and to the next two, and takes these away. V25 is 3 in all
// bytes. A run of 32 bytes is two units: NEXT_PLANES goes on with the second, or the next run, or leaves the super-block, where R13 counted
// its units.
#define LOAD_PLANES \
	PREFETCH(0)             \
	FLDPQ (R12), (F26, F27) \
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
	PREFETCH(0)
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

#endif
