// What the panels of all levels of x86 share.

// NEXT jumps to the tile for the tokens that are left, R10 of them: six while that leaves none, six or more, else halves. At 0 it
// returns.
#define NEXT \
	CMPQ  R10, $12 \
	JGE   six      \
	CMPQ  R10, $6  \
	JGT   half     \
	JEQ   six      \
	CMPQ  R10, $4  \
	JGT   five     \
	JEQ   four     \
	CMPQ  R10, $2  \
	JGT   three    \
	JEQ   two      \
	TESTQ R10, R10 \
	JG    one      \
	VZEROUPPER     \
	RET            \
half:              \
	CMPQ  R10, $8  \
	JLE   four     \
	CMPQ  R10, $10 \
	JLE   five

// TILES multiplies tile by tile; each goes back to next.
#define TILES(TILE) \
next:  \
	NEXT \
six:   \
	TILE(6, TOKENS6, loop6, rest6, out6, part6) \
five:  \
	TILE(5, TOKENS5, loop5, rest5, out5, part5) \
four:  \
	TILE(4, TOKENS4, loop4, rest4, out4, part4) \
three: \
	TILE(3, TOKENS3, loop3, rest3, out3, part3) \
two:   \
	TILE(2, TOKENS2, loop2, rest2, out2, part2) \
one:   \
	TILE(1, TOKENS1, loop1, rest1, out1, part1)

// COLUMNS adds the products of a tile's floats, four columns of so many bytes at a time and then one. Six tokens take 96 bytes to four
// columns: that much is fetched from DI on, where the next tile's tokens begin, since there may be more of them than caches hold.
#define COLUMNS(TOKENS, bytes, loop, rest, out) \
	MOVQ R8, AX        \
	MOVQ R9, BX        \
	MOVQ R11, CX       \
	SUBQ $4, CX        \
	JLT  rest          \
loop:                  \
	PREFETCHT0 (DI)    \
	PREFETCHT0 64(DI)  \
	ADDQ $96, DI       \
	FWEIGHTS(0) TOKENS(FDOT, 0) \
	FWEIGHTS(1) TOKENS(FDOT, 1) \
	FWEIGHTS(2) TOKENS(FDOT, 2) \
	FWEIGHTS(3) TOKENS(FDOT, 3) \
	ADDQ $(4*bytes), AX \
	ADDQ $16, BX       \
	SUBQ $4, CX        \
	JGE  loop          \
rest:                  \
	ADDQ $4, CX        \
	JEQ  out           \
	FWEIGHTS(0) TOKENS(FDOT, 0) \
	ADDQ $bytes, AX    \
	ADDQ $4, BX        \
	SUBQ $5, CX        \
	JMP  rest          \
out:

// The arguments of packing, before the first function: vet takes them for arguments of the function above.
#define FPACKARGS \
	MOVQ  dst+0(FP), DI      \
	MOVQ  rows+8(FP), R12    \
	MOVQ  blocks+16(FP), CX  \
	XORL  R13, R13

// FURTHER sets R9 to the offset of what FETCH of a level fetches, FETCHROWS does it for 8 rows from r on.
#define FURTHER(below) \
	MOVQ    rowBytes+24(FP), R10 \
	LEAQ    512(R13), R9         \
	IMUL3Q  $below, R10, R11     \
	XORL    R8, R8               \
	CMPQ    R9, R10              \
	CMOVQGE R11, R8              \
	ADDQ    R8, R9

#define FETCHROWS(r) \
	FETCHROW((r))   \
	FETCHROW((r+1)) \
	FETCHROW((r+2)) \
	FETCHROW((r+3)) \
	FETCHROW((r+4)) \
	FETCHROW((r+5)) \
	FETCHROW((r+6)) \
	FETCHROW((r+7))

#define FETCHROW(r) \
	MOVQ       (8*r)(R12), R8 \
	PREFETCHT0 (R8)(R9*1)     \
	PREFETCHT0 64(R8)(R9*1)

// FETCHSOMETIMES does FETCH when the bits of the mask are 0 in a counter.
#define FETCHSOMETIMES(mask, R, skip) \
	TESTQ $mask, R  \
	JNE   skip      \
	FETCH           \
skip:

// TRANSPOSE turns rows r, r+1, r+2, r+3 in A to D into quads 0 to 3.
#define TRANSPOSE(A, B, C, D, T0, T1, T2, T3) \
	VPUNPCKLDQ  B, A, T0   \
	VPUNPCKHDQ  B, A, T1   \
	VPUNPCKLDQ  D, C, T2   \
	VPUNPCKHDQ  D, C, T3   \
	VPUNPCKLQDQ T2, T0, A  \
	VPUNPCKHQDQ T2, T0, B  \
	VPUNPCKLQDQ T3, T1, C  \
	VPUNPCKHQDQ T3, T1, D

// FOLD leaves in each 16 bytes of A what OP makes of those of A, of B, of C and of D, a lane each.
#define FOLD(OP, A, B, C, D, T) \
	VPUNPCKLDQ  B, A, T   \
	VPUNPCKHDQ  B, A, A   \
	OP          T, A, A   \
	VPUNPCKLDQ  D, C, T   \
	VPUNPCKHDQ  D, C, C   \
	OP          T, C, C   \
	VPUNPCKLQDQ C, A, T   \
	VPUNPCKHQDQ C, A, A   \
	OP          T, A, A

// K_BLOCKS packs super-blocks of Q4_K or Q5_K, of which CX are left: a header, which BEGIN takes, then four times 32 bytes, which C counts.
// LOWS packs their low nibbles, which are 32 columns, and HIGHS the high ones, the next 32. AFFINE knows zero; a panel's block has so many
// bytes.
#define K_BLOCKS(C, BEGIN, LOWS, HIGHS, zero, block) \
	TESTQ CX, CX  \
	JLE   done    \
loop:             \
	BEGIN         \
	MOVQ  $4, C   \
run:              \
	FETCHSOMETIMES(1, C, near) \
	AFFINE(zero)  \
	BYTES32(0)    \
	LOWS          \
	ADDQ  $block, DI \
	AFFINE(zero)  \
	HIGHS         \
	ADDQ  $block, DI \
	ADDQ  $32, R13 \
	DECQ  C       \
	JEQ   next    \
	CMPQ  C, $2   \
	JNE   run     \
	SECONDHALF    \
	JMP   run     \
next:             \
	DECQ  CX      \
	JNZ   loop    \
done:             \
	VZEROUPPER    \
	RET
