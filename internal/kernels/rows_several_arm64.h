// Row kernels of several tokens, whose activations are rearranged: the formats of rows_arm64.h, 2048 columns of many rows at a time, so
// that the activations stay in the first cache. All have the signature
//
//	func(lanes *float32, w *byte, rowBytes, bytes, rows int, x *byte, strip, n int)
//
// and add the products of so many bytes at w, of each row, to the row's lanes: 64 bytes for each four tokens. A lane's sum is that of
// rows_arm64.h, bit for bit. rows_units_arm64.h and rows_strips_arm64.h say how lanes and activations lie:
//
//	LOAD_LANES         loads a row's
//	STORE_LANES        stores them, and goes on to the next row's
//	TOKENS, BLOCKS …   are those of rows_arm64.h: R8 is the running unit of the activations, R9 that of those strip bytes further
//
//	R0  lanes of the row     R5       x
//	R1  from row to row      R6       strip
//	R2  end of the bytes     R7       n
//	R3  their number         R10      the next row
//	R4  rows left            R11      from the weights to those that are prefetched
#define ARGS 64

// PREFETCH is for the same row, or where a row takes several calls, for the one after the next.
#define PREFETCH(at) \
	ADD  R11, R12, R14 \
	PRFM at(R14), PLDL1KEEP

#define ROW_ARGS \
	MOVD lanes+0(FP), R0     \
	MOVD w+8(FP), R10        \
	MOVD rowBytes+16(FP), R1 \
	MOVD bytes+24(FP), R3    \
	MOVD rows+32(FP), R4     \
	MOVD x+40(FP), R5        \
	MOVD strip+48(FP), R6    \
	MOVD n+56(FP), R7        \
	MOVD $1024, R11          \
	LSL  $1, R1, R14         \
	CMP  R1, R3              \
	CSEL EQ, R11, R14, R11   \
	DOT_ARGS

#define ROW_BEGIN \
	LOAD_LANES(loaded) \
	MOVD R5, R8        \
	ADD  R6, R8, R9    \
	MOVD R10, R12      \
	ADD  R3, R10, R2   \
	ADD  R1, R10

#define ROW_END(row, stored) \
	STORE_LANES(stored) \
	SUBS $1, R4         \
	BNE  row

#ifdef STRIPS
#include "rows_strips_arm64.h"
#else
#include "rows_units_arm64.h"
#endif
