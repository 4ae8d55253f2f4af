// The row kernels of several tokens of ARMv8.0: four. Activations are units (units_arm64.go), of each of the four tokens in turn: their
// values, their scales of the four lanes, and the negative sums of 16 values in the place of minimums. The lanes of a token are a vector.
//
// These loops wait for the multiplier, which only one of the two vector units has. A token's sums, as floats in V10, go to its lanes while
// the next token is multiplied. So a token's macro takes what comes behind its first product, its lanes, where its unit is, and what
// comes in the end.

#define DOT_ARGS

#define LOAD_LANES(loaded) \
	FLDPQ (R0), (F0, F1) \
	FLDPQ 32(R0), (F2, F3)

#define STORE_LANES(stored) \
	FSTPQ (F0, F1), (R0)   \
	FSTPQ (F2, F3), 32(R0) \
	ADD   $64, R0

#define TOKENS(TOKEN, next) \
	TOKEN(NOTHING, V0, 0, NOTHING)                                           \
	TOKEN(FINISH(V0, 0), V1, UNIT_SIZE, NOTHING)                             \
	TOKEN(FINISH(V1, UNIT_SIZE), V2, 2*UNIT_SIZE, NOTHING)                   \
	TOKEN(FINISH(V2, 2*UNIT_SIZE), V3, 3*UNIT_SIZE, FINISH(V3, 3*UNIT_SIZE)) \
	ADD $(4*UNIT_SIZE), R8

#define NOTHING

#define FINISH(sum, at) \
	FMOVQ (at+64)(R8), F11 \
	FMUL(10, 10, 16)       \
	VFMLA V11.S4, V10.S4, sum.S4

#define BLOCKS(before, sum, at, after) \
	FLDPQ (at)(R8), (F8, F9)      \
	SMULL(12, 4, 8)               \
	before                        \
	FLDPQ (at+32)(R8), (F10, F11) \
	SMULL(13, 6, 10)              \
	SMLAL2(12, 4, 8)              \
	SMLAL2(13, 6, 10)             \
	SMLAL(12, 5, 9)               \
	SMLAL(13, 7, 11)              \
	SMLAL2(12, 5, 9)              \
	SMLAL2(13, 7, 11)             \
	VADDP V13.H8, V12.H8, V12.H8  \
	SADDLP(12, 12)                \
	SCVTF(10, 12)                 \
	after

#define WIDE_BLOCKS(before, sum, at, after) \
	FLDPQ (at)(R8), (F8, F9)      \
	SMULL(12, 4, 8)               \
	before                        \
	SMULL(14, 5, 9)               \
	SMLAL2(12, 4, 8)              \
	SMLAL2(14, 5, 9)              \
	FLDPQ (at+32)(R8), (F10, F11) \
	SMULL(13, 6, 10)              \
	SMULL(15, 7, 11)              \
	SMLAL2(13, 6, 10)             \
	SMLAL2(15, 7, 11)             \
	SADDLP(12, 12)                \
	SADDLP(13, 13)                \
	SADALP(12, 14)                \
	SADALP(13, 15)                \
	VADDP V13.S4, V12.S4, V12.S4  \
	SCVTF(10, 12)                 \
	after

// FOUR_GROUPS sets V12 to the sums of four groups.
#define FOUR_GROUPS(before, at) \
	FLDPQ (at)(R8), (F8, F9)      \
	SMULL(12, 4, 8)               \
	before                        \
	SMULL(13, 5, 9)               \
	FLDPQ (at+32)(R8), (F10, F11) \
	SMULL(14, 6, 10)              \
	SMULL(15, 7, 11)              \
	SMLAL2(12, 4, 8)              \
	SMLAL2(13, 5, 9)              \
	SMLAL2(14, 6, 10)             \
	SMLAL2(15, 7, 11)             \
	VADDP V13.H8, V12.H8, V12.H8  \
	VADDP V15.H8, V14.H8, V14.H8  \
	SADDLP(12, 12)                \
	SADDLP(14, 14)                \
	VADDP V14.S4, V12.S4, V12.S4

#define GROUPS(before, sum, at, after) \
	FOUR_GROUPS(before, at) \
	SCVTF(10, 12)           \
	after

// With minimums a token is finished at once.
#define FINISH_MIN(sum, at) \
	FLDPQ (at+64)(R8), (F15, F8) \
	SCVTF(12, 12)                \
	FMUL(12, 12, 16)             \
	VFMLA V17.S4, V8.S4, V12.S4  \
	VFMLA V15.S4, V12.S4, sum.S4

#define MIN_BLOCKS(before, sum, at, after) \
	FLDPQ (at)(R8), (F8, F9)      \
	FLDPQ (at+32)(R8), (F10, F11) \
	SMULL(12, 4, 8)               \
	SMULL(13, 6, 10)              \
	SMLAL2(12, 4, 8)              \
	SMLAL2(13, 6, 10)             \
	SMLAL(12, 5, 9)               \
	SMLAL(13, 7, 11)              \
	SMLAL2(12, 5, 9)              \
	SMLAL2(13, 7, 11)             \
	VADDP V13.H8, V12.H8, V12.H8  \
	SADDLP(12, 12)                \
	FINISH_MIN(sum, at)

#define MIN_GROUPS(before, sum, at, after) \
	FOUR_GROUPS(NOTHING, at) \
	FINISH_MIN(sum, at)

// Four blocks of Q4_0. Weights are nibbles as they are, at most 15: 16·15·127 < 2¹⁵. The sums start with −8 times those of the
// activations, which the first of two units has instead of the negative sums; its scales are those of the four blocks.
#define Q4_CONSTANTS

#define Q4_SPLIT(q, high) NIBBLES(q, q, high)

#define FOUR_BLOCKS(before, sum, at, after) \
	FLDPQ (at)(R8), (F8, F9)                  \
	SMULL(12, 4, 8)                           \
	before                                    \
	FLDPQ (at+32)(R8), (F10, F11)             \
	SMULL(13, 6, 10)                          \
	SMLAL2(12, 4, 8)                          \
	SMLAL2(13, 6, 10)                         \
	SMLAL(12, 5, 9)                           \
	SMLAL(13, 7, 11)                          \
	SMLAL2(12, 5, 9)                          \
	SMLAL2(13, 7, 11)                         \
	FLDPQ (at+4*UNIT_SIZE)(R8), (F8, F9)      \
	FLDPQ (at+4*UNIT_SIZE+32)(R8), (F10, F11) \
	SMULL(14, 20, 8)                          \
	SMULL(15, 22, 10)                         \
	SMLAL2(14, 20, 8)                         \
	SMLAL2(15, 22, 10)                        \
	SMLAL(14, 21, 9)                          \
	SMLAL(15, 23, 11)                         \
	SMLAL2(14, 21, 9)                         \
	SMLAL2(15, 23, 11)                        \
	VADDP V13.H8, V12.H8, V12.H8              \
	VADDP V15.H8, V14.H8, V14.H8              \
	VADDP V14.H8, V12.H8, V12.H8              \
	FMOVQ (at+80)(R8), F10                    \
	SADALP(10, 12)                            \
	SCVTF(10, 10)                             \
	after

#define FOUR_BLOCKS_END \
	ADD $(4*UNIT_SIZE), R8
