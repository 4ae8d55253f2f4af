// The row kernels of several tokens of processors with SDOT: up to eight, in a strip of four or two. Of each 64 columns a strip holds the
// first four values of the four tokens, the second four and so on, then the tokens' scales of the first 32 columns and of the others, and
// their negative sums of 16 columns. A lane of the four tokens is a vector, and no sum goes across vectors: SDOT multiplies four weights of
// a row with the values of all four tokens. V0–V3 are the lanes of the first strip, V12–V15 of the second.
//
// As in panels_dotprod_arm64.s, sums start with the bits of 1.5·2²³, loaded. Since less than 2²² is added, they are those of a float,
// which less 1.5·2²³ is the sum: that takes half as long as a conversion. Weights of Q4_0 are times 16: there it is 1.5·2¹⁹, whose last
// place is a sixteenth.

#define DOT_ARGS \
	MOVD $start<>(SB), R24

#define STRIP_SIZE 352

#define LOAD_LANES(loaded) \
	FLDPQ (R0), (F0, F1)     \
	FLDPQ 32(R0), (F2, F3)   \
	CMP   $5, R7             \
	BLT   loaded             \
	FLDPQ 64(R0), (F12, F13) \
	FLDPQ 96(R0), (F14, F15) \
loaded:

#define STORE_LANES(stored) \
	FSTPQ (F0, F1), (R0)     \
	FSTPQ (F2, F3), 32(R0)   \
	ADD   $64, R0            \
	CMP   $5, R7             \
	BLT   stored             \
	FSTPQ (F12, F13), (R0)   \
	FSTPQ (F14, F15), 32(R0) \
	ADD   $64, R0            \
stored:

#define TOKENS(STRIP, next) \
	STRIP(0, R8)  \
	CMP $5, R7    \
	BLT next      \
	STRIP(12, R9) \
next:

// EIGHT_OF multiplies eight columns with two words of a vector of weights.
#define EIGHT_OF(sum, x, at, w, i) \
	FLDPQ (at)(x), (F8, F9) \
	SDOTI(sum, 8, w, i)     \
	SDOTI(sum, 9, w, i+1)

// SCALED makes a float of a lane's sums, times the scale of its weights.
#define SCALED(sum, start, lane) \
	FSUB(sum, sum, start) \
	FMULI(sum, sum, 16, lane)

#define ADD_LANE(sum, x, scale, total) \
	FMOVQ (scale)(x), F8 \
	FMLA(total, 8, sum)

// Lanes in twos, so that SDOT waits less for the one before. V17 is 1.5·2²³.
#define TWO_BEGIN \
	FMOVQ (R24), F10 \
	FMOVQ (R24), F11

#define TWO_END(x, lane, scale, total) \
	SCALED(10, 17, lane)    \
	SCALED(11, 17, lane+1)  \
	FMOVQ (scale)(x), F8    \
	FMLA(total+lane, 8, 10) \
	FMLA(total+lane+1, 8, 11)

#define HALF_BLOCKS(x, at, low, high, lane, scale, total) \
	TWO_BEGIN                       \
	EIGHT_OF(10, x, at, low, 0)     \
	EIGHT_OF(11, x, at+32, low, 2)  \
	EIGHT_OF(10, x, at+64, high, 0) \
	EIGHT_OF(11, x, at+96, high, 2) \
	TWO_END(x, lane, scale, total)

#define BLOCKS(total, x) \
	FMOVQ (R24), F17                         \
	HALF_BLOCKS(x, 0, 4, 5, 0, 256, total)   \
	HALF_BLOCKS(x, 128, 6, 7, 2, 272, total) \
	ADD $STRIP_SIZE, x

#define WIDE_BLOCKS(total, x) BLOCKS(total, x)

#define HALF_GROUPS(x, at, first, second, lane, scale, total) \
	TWO_BEGIN                         \
	EIGHT_OF(10, x, at, first, 0)     \
	EIGHT_OF(11, x, at+64, second, 0) \
	EIGHT_OF(10, x, at+32, first, 2)  \
	EIGHT_OF(11, x, at+96, second, 2) \
	TWO_END(x, lane, scale, total)

#define GROUPS(total, x) \
	FMOVQ (R24), F17                         \
	HALF_GROUPS(x, 0, 4, 5, 0, 256, total)   \
	HALF_GROUPS(x, 128, 6, 7, 2, 272, total) \
	ADD $STRIP_SIZE, x

// Where there are minimums, V11 is 1.5·2²³.
#define MIN_LANE(x, at0, w0, i0, at1, w1, i1, lane, scale, total) \
	FMOVQ (R24), F10             \
	EIGHT_OF(10, x, at0, w0, i0) \
	EIGHT_OF(10, x, at1, w1, i1) \
	SCALED(10, 11, lane)         \
	FMOVQ (288+16*lane)(x), F9   \
	FMLAI(10, 9, 17, lane)       \
	ADD_LANE(10, x, scale, total+lane)

#define MIN_BLOCKS(total, x) \
	FMOVQ (R24), F11                                 \
	MIN_LANE(x, 0, 4, 0, 64, 5, 0, 0, 256, total)    \
	MIN_LANE(x, 32, 4, 2, 96, 5, 2, 1, 256, total)   \
	MIN_LANE(x, 128, 6, 0, 192, 7, 0, 2, 272, total) \
	MIN_LANE(x, 160, 6, 2, 224, 7, 2, 3, 272, total) \
	ADD $STRIP_SIZE, x

#define MIN_GROUPS(total, x) \
	FMOVQ (R24), F11                                 \
	MIN_LANE(x, 0, 4, 0, 32, 4, 2, 0, 256, total)    \
	MIN_LANE(x, 64, 5, 0, 96, 5, 2, 1, 256, total)   \
	MIN_LANE(x, 128, 6, 0, 160, 6, 2, 2, 272, total) \
	MIN_LANE(x, 192, 7, 0, 224, 7, 2, 3, 272, total) \
	ADD $STRIP_SIZE, x

// Q4_0: each block is a lane, V10 and V17–V19 are their sums.
#define FOUR_BLOCKS_END

#define EIGHT_OF_ALL(x, at, w0, w1, w2, w3, i) \
	EIGHT_OF(10, x, at, w0, i)            \
	EIGHT_OF(17, x, at+128, w1, i)        \
	EIGHT_OF(18, x, at+STRIP_SIZE, w2, i) \
	EIGHT_OF(19, x, at+STRIP_SIZE+128, w3, i)

#define FOUR_BLOCKS(total, x) \
	FMOVQ 16(R24), F11                       \
	FMOVQ 16(R24), F10                       \
	FMOVQ 16(R24), F17                       \
	FMOVQ 16(R24), F18                       \
	FMOVQ 16(R24), F19                       \
	EIGHT_OF_ALL(x, 0, 4, 6, 20, 22, 0)      \
	EIGHT_OF_ALL(x, 32, 4, 6, 20, 22, 2)     \
	EIGHT_OF_ALL(x, 64, 5, 7, 21, 23, 0)     \
	EIGHT_OF_ALL(x, 96, 5, 7, 21, 23, 2)     \
	SCALED(10, 11, 0)                        \
	SCALED(17, 11, 1)                        \
	SCALED(18, 11, 2)                        \
	SCALED(19, 11, 3)                        \
	ADD_LANE(10, x, 256, total)              \
	ADD_LANE(17, x, 272, total+1)            \
	ADD_LANE(18, x, STRIP_SIZE+256, total+2) \
	ADD_LANE(19, x, STRIP_SIZE+272, total+3) \
	ADD $(2*STRIP_SIZE), x

#include "rows_dotprod_arm64.h"
