// Attention over keys and values as they lie in a cache, what AVX2 and AVX-512 share: 32 numbers of a key or value are made floats at a
// time, for several queries. The registers of all functions:
//
//	DX, BX   a key or value and the next
//	AX, R9   where in them the 32 numbers begin, and where those lie that are prefetched
//	R11      bytes from a key or value to the next
//	R12      keys or values to go
//	CX       queries to go
//	R10, R14 bytes of a query or its sum, one and three times
//
// A tile of eight, four, two queries or one does the same with each: the bits do not depend on how many there are.

// FETCH_n fetches n lines at p. NEXT_n does so at R9, which goes on behind them, so that memory is read in order where values are not, and
// moves what comes next in a value to the first cache: the values lie far apart.
#define FETCH_1(p) PREFETCHT1 p
#define FETCH_2(p) PREFETCHT1 p; PREFETCHT1 (64)p
#define NEXT_1(STEP) \
	PREFETCHT0 128(DX)(AX*1); \
	FETCH_1((R9)); \
	ADDQ $STEP, R9
#define NEXT_2 \
	PREFETCHT0 128(DX)(AX*1); \
	FETCH_2((R9)); \
	ADDQ $128, R9
#define NO_NEXT

// AHEAD and BOTH begin with and do so ahead of both keys, by STEP bytes further each time. SPREAD fetches a line at R9, which goes on by no
// more than the call says.
#define AHEAD MOVQ ahead+64(FP), R9
#define BOTH(FETCH, STEP) \
	FETCH((DX)(R9*1)); \
	FETCH((BX)(R9*1)); \
	ADDQ $STEP, R9
#define SPREAD \
	FETCH_1((R9)); \
	ADDQ step+72(FP), R9

// HALVE adds lanes i and i+2 of four of both a and b, which alternate in the result; HALVE2 does the same with pairs of lanes.
#define HALVE(a, b, dst) \
	VUNPCKLPS b, a, T0; \
	VUNPCKHPS b, a, T1; \
	VADDPS T1, T0, dst

#define HALVE2(a, b, dst) \
	VUNPCKLPD b, a, T0; \
	VUNPCKHPD b, a, T1; \
	VADDPS T1, T0, dst

// ADD_1 adds the lower half of x to the scores of a query at R13, ADD_2 all of it to those of two; R13 steps on.
#define ADD_1(x) \
	VMOVSD (R13), TX; \
	VADDPS x, TX, TX; \
	VMOVLPS TX, (R13); \
	ADDQ R8, R13

#define ADD_2(x) \
	VMOVSD (R13), TX; \
	VMOVHPS (R13)(R8*1), TX, TX; \
	VADDPS x, TX, TX; \
	VMOVLPS TX, (R13); \
	VMOVHPS TX, (R13)(R8*1); \
	LEAQ (R13)(R8*2), R13

// SCORES: for two keys at a time, all queries. DI and R13 are where the scores go, R8 the bytes from one query's to the next. BEGIN_SCORES
// goes before a level's tiles, END_SCORES behind them.
#define BEGIN_SCORES \
	MOVQ dst+0(FP), DI; \
	MOVQ stride+8(FP), R8; \
	MOVQ dim+32(FP), R10; \
	MOVQ keys+40(FP), DX; \
	MOVQ rowBytes+48(FP), R11; \
	MOVQ count+56(FP), R12; \
	SHLQ $2, R8; \
	SHLQ $2, R10; \
	LEAQ (R10)(R10*2), R14; \
next: \
	SUBQ $2, R12; \
	JLT  done; \
	LEAQ (DX)(R11*1), BX; \
	MOVQ q+16(FP), SI; \
	MOVQ n+24(FP), CX; \
	MOVQ DI, R13

#define END_SCORES \
	LEAQ (DX)(R11*2), DX; \
	ADDQ $8, DI; \
	JMP  next; \
done: \
	VZEROUPPER; \
	RET

// WEIGHT: for 32 numbers at a time, all queries and for each all values. R8 and R13 are the bytes from one query's weights to the next, one
// and three times.
#define BEGIN_WEIGHT \
	MOVQ dim+16(FP), R10; \
	MOVQ stride+32(FP), R8; \
	MOVQ values+40(FP), R9; \
	ADDQ R9, ahead+64(FP); \
	SHLQ $2, R10; \
	SHLQ $2, R8; \
	LEAQ (R10)(R10*2), R14; \
	LEAQ (R8)(R8*2), R13; \
	XORL AX, AX; \
next: \
	MOVQ rowBytes+48(FP), R11; \
	MOVQ n+8(FP), CX

#define END_WEIGHT(STEP) \
	MOVQ count+56(FP), R9; \
	IMULQ $STEP, R9; \
	ADDQ R9, ahead+64(FP); \
	ADDQ $128, dst+0(FP); \
	ADDQ $STEP, AX; \
	CMPQ AX, rowBytes+48(FP); \
	JLT  next; \
	VZEROUPPER; \
	RET

// Where there are many queries, 32 numbers of each value are made floats once, in a panel at the frame's bottom, on a cache line.
// FROM_VALUES and FROM_PANEL point DX at the values less AX.
#define FROM_VALUES \
	MOVQ values+40(FP), DX; \
	MOVQ ahead+64(FP), R9

#define PANEL(p) \
	LEAQ 63(SP), p; \
	ANDQ $~63, p

#define FROM_PANEL \
	PANEL(DX); \
	SUBQ AX, DX

// BEGIN_PANEL and END_PANEL go before and behind what stores 32 numbers of the value at DX at DI.
#define BEGIN_PANEL \
	PANEL(DI); \
	FROM_VALUES; \
	MOVQ count+56(FP), R12; \
unpack:

#define END_PANEL \
	ADDQ $128, DI; \
	ADDQ R11, DX; \
	DECQ R12; \
	JNZ  unpack; \
	MOVQ $128, R11

// SCORES_MANY: for many queries, keys are made floats once, in such a panel. DI, R8 and R13 are as for SCORES, R9 is what is fetched, step
// bytes further with each SCORE. BEGIN_KEYS and END_KEYS go before and behind what stores 32 numbers of the key at DX at DI.
#define BEGIN_KEYS \
	MOVQ stride+8(FP), R8; \
	MOVQ dim+32(FP), R10; \
	MOVQ keys+40(FP), DX; \
	MOVQ rowBytes+48(FP), R11; \
	MOVQ count+56(FP), R12; \
	MOVQ next+64(FP), R9; \
	SHLQ $2, R8; \
	SHLQ $2, R10; \
	LEAQ (R10)(R10*2), R14; \
	PANEL(DI); \
key: \
	LEAQ (DI)(R10*1), R13; \
	XORL AX, AX; \
unpack:

#define END_KEYS(STEP) \
	ADDQ $128, DI; \
	ADDQ $STEP, AX; \
	CMPQ DI, R13; \
	JNE  unpack; \
	ADDQ R11, DX; \
	DECQ R12; \
	JNZ  key

// TILE takes n queries over all keys of the panel, two at a time, by a level's SCORE.
#define TILE(n, QUERIES, STORES, pair, loop) \
	PANEL(DX); \
	MOVQ dst+0(FP), DI; \
	MOVQ count+56(FP), R12; \
pair: \
	LEAQ (DX)(R10*1), BX; \
	MOVQ q+16(FP), SI; \
	MOVQ DI, R13; \
	SCORE_PANEL(QUERIES, STORES, loop); \
	LEAQ (DX)(R10*2), DX; \
	ADDQ $8, DI; \
	SUBQ $2, R12; \
	JNZ  pair; \
	IMUL3Q $n, R10, R11; \
	ADDQ R11, q+16(FP); \
	IMUL3Q $n, R8, R11; \
	ADDQ R11, dst+0(FP)

// END_TILES takes the queries that are left over, fewer than four.
#define END_TILES \
two: \
	TESTQ $2, n+24(FP); \
	JZ   one; \
	TILE(2, QUERIES_2, STORE_2, pair2, loop2); \
one: \
	TESTQ $1, n+24(FP); \
	JZ   end; \
	TILE(1, QUERIES_1, STORE_1, pair1, loop1); \
end: \
	VZEROUPPER; \
	RET
