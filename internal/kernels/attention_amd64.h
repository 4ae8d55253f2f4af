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

// WEIGHT: for 32 numbers at a time, all queries and for each all values, which lie far apart: what comes next in each is moved to the first
// cache. R8 and R13 are the bytes from one query's weights to the next, one and three times.
#define BEGIN_WEIGHT \
	MOVQ dim+16(FP), R10; \
	MOVQ stride+32(FP), R8; \
	MOVQ rowBytes+48(FP), R11; \
	MOVQ ahead+64(FP), R9; \
	SHLQ $2, R10; \
	SHLQ $2, R8; \
	LEAQ (R10)(R10*2), R14; \
	LEAQ (R8)(R8*2), R13; \
	XORL AX, AX; \
next: \
	MOVQ n+8(FP), CX

#define END_WEIGHT(STEP) \
	ADDQ $128, dst+0(FP); \
	ADDQ $STEP, R9; \
	ADDQ $STEP, AX; \
	CMPQ AX, R11; \
	JLT  next; \
	VZEROUPPER; \
	RET
