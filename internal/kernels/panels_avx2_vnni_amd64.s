#include "textflag.h"
#include "panels_avx2_amd64.h"

// Products of panels at avx2 with AVX-VNNI, whose VPDPBUSD and VPDPWSSD multiply and add at once, to the same sums as those of
// panels_avx2_products_amd64.s, which has the layout.
//
// A tile is 16 rows × up to 3 tokens: six sums of two loads and three broadcasts, since memory operands alone would take more loads than
// there are cycles. It multiplies the first half of a panel's rows and then the other. What a slab of a panel takes, 22 KB or 17, stays in
// L1 while all tokens pass.
//
//	AX weights, BX activations, R13 their scales, CX blocks that are left, R15 where the rows begin in a line of the panel, 0 or 64
//	DX dst, SI bytes from a token to the next in it, R8 the panel, R9 the tokens, R10 how many are left, R14 what is fetched of the next
//	R11 blocks, R12 masks of the rows that exist, or 0 if all do, DI masks of those that dst has sums of already
//	Y0–Y5 float sums, Y6–Y11 integer sums, two per token, of rows 0–7 and 8–15
//	Y12 Y13 weights, corrections, offsets or scales, Y14 the token's activations, sum or scale, Y15 products of scales

// The arguments, before the first function: vet takes them for arguments of the function above.
#define PANELARGS \
	MOVQ    dst+0(FP), DX       \
	MOVQ    stride+8(FP), SI    \
	MOVQ    w+16(FP), R8        \
	MOVQ    x+24(FP), R9        \
	MOVQ    n+32(FP), R10       \
	MOVQ    blocks+40(FP), R11  \
	MOVL    exist+48(FP), R12   \
	MOVL    add+52(FP), DI      \
	POPCNTL R12, R12            \
	POPCNTL DI, DI              \
	SHLQ    $2, SI              \
	LEAQ    rowMasks<>+128(SB), BX \
	NEGQ    DI                  \
	LEAQ    (BX)(DI*4), DI      \
	NEGQ    R12                 \
	LEAQ    (BX)(R12*4), R12    \
	LEAQ    -128(BX), BX        \
	CMPQ    R12, BX             \
	JNE     next                \
	XORL    R12, R12

// TOKENSn has STEP for n tokens: for token t the integer sums I and J and the float sums F and G of both halves of the rows, and the number
// i of I; d goes to STEP.
#define TOKENS1(STEP, d) STEP(d, 0, Y6, Y7, Y0, Y1, 6)
#define TOKENS2(STEP, d) TOKENS1(STEP, d) STEP(d, 1, Y8, Y9, Y2, Y3, 8)
#define TOKENS3(STEP, d) TOKENS2(STEP, d) STEP(d, 2, Y10, Y11, Y4, Y5, 10)

// ZERO begins a tile; AHEAD fetches what OUT will need of dst.
#define ZERO(d, t, I, J, F, G, i) \
	VXORPS F, F, F \
	VXORPS G, G, G

#define AHEAD(d, t, I, J, F, G, i) \
	PREFETCHT0 (AX)   \
	PREFETCHT0 64(AX) \
	ADDQ       SI, AX

// SUM adds what dst, at BX, has of the rows with the masks Y12 and Y13. Storing under a mask is slow on some machines, so OUTSOME is for
// the last rows of a matrix only.
#define SUM(F, G) \
	VMASKMOVPS (BX), Y12, Y14   \
	VMASKMOVPS 32(BX), Y13, Y15 \
	VADDPS     Y14, F, F        \
	VADDPS     Y15, G, G

#define OUT(d, t, I, J, F, G, i) \
	SUM(F, G)           \
	VMOVUPS F, (BX)     \
	VMOVUPS G, 32(BX)   \
	ADDQ    SI, BX

#define OUTSOME(d, t, I, J, F, G, i) \
	SUM(F, G)                    \
	VMOVUPS    (R12)(R15*1), Y14   \
	VMOVUPS    32(R12)(R15*1), Y15 \
	VMASKMOVPS F, Y14, (BX)      \
	VMASKMOVPS G, Y15, 32(BX)    \
	ADDQ       SI, BX

// TILE multiplies T tokens, of TOKEN bytes each, with both halves of the rows: PRODUCTS for each block of so many bytes of the panel, STEP
// bytes of the tokens. Meanwhile the next tile's tokens are fetched, since there may be more of them than caches hold.
#define TILE(T, TOKENS, TOKEN, PRODUCTS, block, step, rows, loop, some, out) \
	MOVQ  DX, AX              \
	TOKENS(AHEAD, 0)          \
	LEAQ  (TOKEN*T)(R9), R14  \
	XORL  R15, R15            \
rows:                         \
	TOKENS(ZERO, 0)           \
	LEAQ  (R8)(R15*1), AX     \
	MOVQ  R9, BX              \
	LEAQ  512(R9), R13        \
	MOVQ  R11, CX             \
loop:                         \
	PREFETCHT0 (R14)          \
	ADDQ  $64, R14            \
	PRODUCTS(TOKENS)          \
	ADDQ  $block, AX          \
	ADDQ  $step, BX           \
	ADDQ  $4, R13             \
	DECQ  CX                  \
	JNZ   loop                \
	LEAQ  (DX)(R15*1), BX     \
	VMOVUPS (DI)(R15*1), Y12  \
	VMOVUPS 32(DI)(R15*1), Y13 \
	TESTQ R12, R12            \
	JNE   some                \
	TOKENS(OUT, 0)            \
	JMP   out                 \
some:                         \
	TOKENS(OUTSOME, 0)        \
out:                          \
	XORQ  $64, R15            \
	JNE   rows                \
	LEAQ  -64(BX), DX         \
	ADDQ  $(TOKEN*T), R9      \
	SUBQ  $T, R10             \
	JMP   next

// SMALLTILES multiplies tile by tile: three tokens, but four that are left two by two.
#define SMALLTILES(TOKEN, PRODUCTS, block, step) \
next:            \
	CMPQ  R10, $4 \
	JEQ   two    \
	CMPQ  R10, $2 \
	JGT   three  \
	JEQ   two    \
	TESTQ R10, R10 \
	JG    one    \
	VZEROUPPER   \
	RET          \
three:           \
	TILE(3, TOKENS3, TOKEN, PRODUCTS, block, step, rows3, loop3, some3, out3) \
two:             \
	TILE(2, TOKENS2, TOKEN, PRODUCTS, block, step, rows2, loop2, some2, out2) \
one:             \
	TILE(1, TOKENS1, TOKEN, PRODUCTS, block, step, rows1, loop1, some1, out1)

// WEIGHTS loads what goes with the activations at 4d: four columns of bytes, or two of words.
#define WEIGHTS(d) \
	VMOVDQU (128*d)(AX), Y12    \
	VMOVDQU (128*d+32)(AX), Y13

// FINISH ends a block: its sums to float, times both scales, onto the float sums. The rows' scales are in Y12 and Y13.
#define FINISH(TOKEN, t, I, J, F, G) \
	VBROADCASTSS (TOKEN*t)(R13), Y14 \
	VCVTDQ2PS    I, I        \
	VCVTDQ2PS    J, J        \
	VMULPS       Y12, Y14, Y15 \
	VMULPS       Y13, Y14, Y14 \
	VFMADD231PS  Y15, I, F   \
	VFMADD231PS  Y14, J, G

#define SCALES(o) \
	VMOVUPS o(AX), Y12      \
	VMOVUPS (o+32)(AX), Y13

// OFFSETS, before FINISH, adds the offsets, in Y12 and Y13, times the sum of the token's block.
#define OFFSETS(d, t, I, J, F, G, i) \
	VBROADCASTSS (BTOKEN*t+64)(R13), Y14 \
	VFMADD231PS  Y12, Y14, F \
	VFMADD231PS  Y13, Y14, G

#define BYTEFINISH(d, t, I, J, F, G, i) FINISH(BTOKEN, t, I, J, F, G)
#define WORDFINISH(d, t, I, J, F, G, i) FINISH(WTOKEN, t, I, J, F, G)

// DOT adds Y14 times Yw to Yi. It is the VEX form of VPDPBUSD, op 0x50, or VPDPWSSD, 0x52, whose EVEX forms alone the assembler knows.
#define DOT(op, w, i) BYTE $0xC4; BYTE $(0x42+128*(1-(i)/8)); BYTE $0x0D; BYTE $op; BYTE $(0xC0+8*((i)&7)+((w)&7))

#define DOTS(op, TOKEN, d, t, i) \
	VPBROADCASTD (TOKEN*t+4*d)(BX), Y14 \
	DOT(op, 12, i)   \
	DOT(op, 13, (i+1))

#define BYTEDOTS(d, t, I, J, F, G, i) DOTS(0x50, BTOKEN, d, t, i)
#define WORDDOTS(d, t, I, J, F, G, i) DOTS(0x52, WTOKEN, d, t, i)

// COPY begins a block with the corrections, negative, CLEAR with nothing.
#define COPY(d, t, I, J, F, G, i) \
	VMOVDQA Y12, I \
	VMOVDQA Y13, J

#define CLEAR(d, t, I, J, F, G, i) \
	VPXOR I, I, I \
	VPXOR J, J, J

// EIGHT does a step for the weights from d on.
#define EIGHT(d, TOKENS, STEP) \
	WEIGHTS((d)) TOKENS(STEP, (d))     \
	WEIGHTS((d+1)) TOKENS(STEP, (d+1)) \
	WEIGHTS((d+2)) TOKENS(STEP, (d+2)) \
	WEIGHTS((d+3)) TOKENS(STEP, (d+3)) \
	WEIGHTS((d+4)) TOKENS(STEP, (d+4)) \
	WEIGHTS((d+5)) TOKENS(STEP, (d+5)) \
	WEIGHTS((d+6)) TOKENS(STEP, (d+6)) \
	WEIGHTS((d+7)) TOKENS(STEP, (d+7))

#define BYTESUMS(TOKENS) \
	VPCMPEQD Y15, Y15, Y15       \
	VPMADDWD 1024(AX), Y15, Y12  \
	VPMADDWD 1056(AX), Y15, Y13  \
	TOKENS(COPY, 0)               \
	EIGHT(0, TOKENS, BYTEDOTS)

#define BYTES(TOKENS) \
	BYTESUMS(TOKENS) \
	SCALES(1152)     \
	TOKENS(BYTEFINISH, 0)

#define OFFSETBYTES(TOKENS) \
	BYTESUMS(TOKENS)   \
	SCALES(1280)       \
	TOKENS(OFFSETS, 0) \
	SCALES(1152)       \
	TOKENS(BYTEFINISH, 0)

#define WORDS(TOKENS) \
	TOKENS(CLEAR, 0) \
	EIGHT(0, TOKENS, WORDDOTS) \
	EIGHT(8, TOKENS, WORDDOTS) \
	SCALES(2048)     \
	TOKENS(WORDFINISH, 0)

// func panelBytesVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelBytesVNNI(SB), NOSPLIT, $0-56
	PANELARGS
	SMALLTILES(BTOKEN, BYTES, BBLOCK, 32)

// func panelBytesOffsetVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelBytesOffsetVNNI(SB), NOSPLIT, $0-56
	PANELARGS
	SMALLTILES(BTOKEN, OFFSETBYTES, BBLOCK, 32)

// func panelWordsVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelWordsVNNI(SB), NOSPLIT, $0-56
	PANELARGS
	SMALLTILES(WTOKEN, WORDS, WBLOCK, 64)

// func burnVNNI(rounds int)
//
// 12 independent VPDPBUSD per round, of 32 multiply-adds each.
TEXT ·burnVNNI(SB), NOSPLIT, $0-8
	MOVQ  rounds+0(FP), CX
	VPXOR Y14, Y14, Y14
	TESTQ CX, CX
	JLE   done

loop:
	DOT(0x50, 14, 0)
	DOT(0x50, 14, 1)
	DOT(0x50, 14, 2)
	DOT(0x50, 14, 3)
	DOT(0x50, 14, 4)
	DOT(0x50, 14, 5)
	DOT(0x50, 14, 6)
	DOT(0x50, 14, 7)
	DOT(0x50, 14, 8)
	DOT(0x50, 14, 9)
	DOT(0x50, 14, 10)
	DOT(0x50, 14, 11)
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET
