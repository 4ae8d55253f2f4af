// Rows of formats in blocks, see rows_arm64.h.

// Rows of Q4_0, the format that is read most, go four blocks at a time, and by units in the end.
TEXT ROWS_Q4_0(SB), NOSPLIT, $0-ARGS
	ROW_ARGS
	NIBBLE_BITS
#ifndef FINER
	VMOVI $8, V25.B16
#endif
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
	PREFETCH(0)
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
	FOUR_BLOCKS_END
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
#ifndef FINER
	VSUB  V25.B16, V4.B16, V4.B16
	VSUB  V25.B16, V5.B16, V5.B16
	VSUB  V25.B16, V6.B16, V6.B16
	VSUB  V25.B16, V7.B16, V7.B16
#endif
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
	NIBBLE_BITS

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
	FINER_SCALES
	TOKENS(MIN_BLOCKS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

single:
	SINGLE(pair)

#ifndef FINER

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
	PREFETCH(0)
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

#endif
