// Rows of formats with a codebook, see rows_arm64.h.

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
	PREFETCH(0)
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
	PREFETCH(0)
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
	PREFETCH(0)
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
	PREFETCH(0)
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
	PREFETCH(0)
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
	PREFETCH(0)
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
	PREFETCH(0)
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
