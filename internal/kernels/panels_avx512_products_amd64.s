#include "textflag.h"
#include "panels_avx512_amd64.h"

// Products of panels of bytes at avx512: many tokens times 32 rows of weights.
//
// Weights are integers of 8 bits with a scale per 32 columns, taken as they are or, in formats of another kind, rounded; activations
// are rounded likewise. VPDPBUSD multiplies 16 rows × 4 columns of weights with 4 activations of one token, which a broadcast repeats
// for all rows.
//
//	panel, per 32 columns:   8 × [32 rows][4 columns] bytes, weight + 128, [32] float scales               1152 bytes
//	the same with offsets:   then [32] floats                                                            1280 bytes
//	tokens, per 512 columns: [token] of 512 bytes, 16 float scales, 16 int32 −128·Σ, 16 floats scale·Σ    704 bytes
//
// A weight is scale · integer, or that + offset, in formats that have minimums; the offset is multiplied with the sum of the token's
// activations.
//
// The instruction multiplies unsigned with signed bytes, hence the 128, which the sum's start takes off again. The integer sum of
// a block is exact; blocks are added up in float in the order of columns, 512 columns at a time, and these sums
// are added to dst. That order is the same in every tile, so a product's bits depend on nothing but its row and its token.
//
// A tile is 32 rows × up to 6 tokens: 12 integer and 12 float sums. What 512 columns of a panel take, 18 KB, stays in L1
// while all tokens pass.
//
//	AX weights, BX activations, R13 their scales, CX blocks that are left, R8 the panel, R9 the tokens, R10 how many are left
//	DX dst, SI bytes from a token to the next in it, R12 the sums so far; DI what is fetched of tokens, R14 of dst, R15 where that ends,
//	R11 what the caller has fetched
//	Z0–Z5, Z6–Z11 integer sums of rows 0–15, 16–31, one per token; Z12–Z23 float sums
//	Z24 Z25 weights, Z26 the token's activations, Z27 Z28 products of scales, Z30 Z31 scales of the rows

#define XTOKEN 704

// The arguments, before the first function: vet takes them for arguments of the function above.
#define INT8ARGS \
	MOVQ  dst+0(FP), DX      \
	MOVQ  stride+8(FP), SI   \
	MOVQ  sums+16(FP), R12   \
	MOVQ  w+24(FP), R8       \
	MOVQ  x+32(FP), R9       \
	MOVQ  n+40(FP), R10      \
	MOVQ  fetch+64(FP), R11  \
	MOVL  exist+56(FP), AX   \
	MOVL  add+60(FP), BX     \
	SHLQ  $2, SI             \
	KMOVW AX, K1             \
	SHRL  $16, AX            \
	KMOVW AX, K2             \
	KMOVW BX, K3             \
	SHRL  $16, BX            \
	KMOVW BX, K4

// The steps for one token: start of a block, 4 columns, end of a block, end of the tile.
#define START(d, t, I, J, F, G, f, g) \
	VPBROADCASTD (XTOKEN*t+64)(R13), I \
	VMOVDQA64    I, J

#define DOT(d, t, I, J, F, G, f, g) \
	VPBROADCASTD (XTOKEN*t+4*d)(BX), Z26 \
	VPDPBUSD     Z26, Z24, I             \
	VPDPBUSD     Z26, Z25, J

#define FINISH(d, t, I, J, F, G, f, g) \
	VBROADCASTSS (XTOKEN*t)(R13), Z26 \
	VCVTDQ2PS    I, I                 \
	VCVTDQ2PS    J, J                 \
	VMULPS       Z26, Z30, Z27        \
	VMULPS       Z26, Z31, Z28        \
	VFMADD231PS  Z27, I, F            \
	VFMADD231PS  Z28, J, G

// The same with offsets.
#define FINISHOFFSET(d, t, I, J, F, G, f, g) \
	FINISH(d, t, I, J, F, G, f, g)              \
	VBROADCASTSS (XTOKEN*t+128)(R13), Z26 \
	VFMADD231PS  1152(AX), Z26, F         \
	VFMADD231PS  1216(AX), Z26, G

// ADDSUMS stores what F and G have, and the sums so far where K3 and K4 say so. K1 and K2 are the rows that exist.
#define ADDSUMS(d, t, I, J, F, G, f, g) \
	VMOVUPS.Z (128*t)(R12), K3, Z26    \
	VMOVUPS.Z (128*t+64)(R12), K4, Z27 \
	VADDPS    Z26, F, F                \
	VADDPS    Z27, G, G                \
	VMOVUPS   F, K1, (DX)              \
	VMOVUPS   G, K2, 64(DX)            \
	ADDQ      SI, DX

#define WEIGHTS(d) \
	VMOVDQU64 (128*d)(AX), Z24    \
	VMOVDQU64 (128*d+64)(AX), Z25

#define SCALES \
	VMOVUPS 1024(AX), Z30 \
	VMOVUPS 1088(AX), Z31

// One tile of T tokens: all blocks, then dst. With each block the 264 bytes that six tokens have per block are fetched of the next tile's
// tokens, since there may be more of them than caches hold, of dst what ADDSUMS will need of one more token, and what the caller wants: a
// core waits for no more than some lines of memory at once.
#define TILE(T, TOKENS, BLOCK, FIN, loop) \
	TOKENS(ZERO, 0)    \
	MOVQ DX, R14       \
	IMUL3Q $T, SI, R15 \
	ADDQ DX, R15       \
	MOVQ R8, AX        \
	MOVQ R9, BX        \
	LEAQ 512(R9), R13  \
	MOVQ blocks+48(FP), CX \
	LEAQ (XTOKEN*T)(R9), DI \
loop:                  \
	PREFETCHT0 (DI)    \
	PREFETCHT0 64(DI)  \
	PREFETCHT0 128(DI) \
	PREFETCHT0 192(DI) \
	PREFETCHT0 256(DI) \
	ADDQ $264, DI      \
	PREFETCHT0 (R14)   \
	PREFETCHT0 64(R14) \
	ADDQ SI, R14       \
	CMPQ R14, R15      \
	CMOVQHI R15, R14   \
	PREFETCHT0 (R11)   \
	PREFETCHT0 64(R11) \
	ADDQ by+72(FP), R11 \
	TOKENS(START, 0)   \
	WEIGHTS(0) TOKENS(DOT, 0) \
	WEIGHTS(1) TOKENS(DOT, 1) \
	WEIGHTS(2) TOKENS(DOT, 2) \
	WEIGHTS(3) TOKENS(DOT, 3) \
	WEIGHTS(4) TOKENS(DOT, 4) \
	WEIGHTS(5) TOKENS(DOT, 5) \
	WEIGHTS(6) TOKENS(DOT, 6) \
	WEIGHTS(7) TOKENS(DOT, 7) \
	SCALES             \
	TOKENS(FIN, 0)     \
	ADDQ $BLOCK, AX    \
	ADDQ $32, BX       \
	ADDQ $4, R13       \
	DECQ CX            \
	JNZ  loop          \
	TOKENS(ADDSUMS, 0) \
	ADDQ $(128*T), R12  \
	ADDQ $(XTOKEN*T), R9 \
	SUBQ $T, R10        \
	JMP  next

#define INT8TILE(T, TOKENS, loop, rest, out, part) TILE(T, TOKENS, WBLOCK, FINISH, loop)
#define OFFSETTILE(T, TOKENS, loop, rest, out, part) TILE(T, TOKENS, OBLOCK, FINISHOFFSET, loop)

// func panelInt8AVX512(dst *float32, stride int, sums *float32, w, x *byte, n, blocks int, exist, add uint32, fetch *byte, by int)
TEXT ·panelInt8AVX512(SB), NOSPLIT, $0-80
	INT8ARGS
	TILES(INT8TILE)

// func panelInt8OffsetAVX512(dst *float32, stride int, sums *float32, w, x *byte, n, blocks int, exist, add uint32, fetch *byte, by int)
TEXT ·panelInt8OffsetAVX512(SB), NOSPLIT, $0-80
	INT8ARGS
	TILES(OFFSETTILE)

// func burnAVX512(rounds int)
//
// 24 independent VPDPBUSD per round, 64 multiply-adds each.
TEXT ·burnAVX512(SB), NOSPLIT, $0-8
	MOVQ rounds+0(FP), CX
	VPXORD Z30, Z30, Z30
	TESTQ CX, CX
	JLE done

burn:
	VPDPBUSD Z30, Z30, Z0
	VPDPBUSD Z30, Z30, Z1
	VPDPBUSD Z30, Z30, Z2
	VPDPBUSD Z30, Z30, Z3
	VPDPBUSD Z30, Z30, Z4
	VPDPBUSD Z30, Z30, Z5
	VPDPBUSD Z30, Z30, Z6
	VPDPBUSD Z30, Z30, Z7
	VPDPBUSD Z30, Z30, Z8
	VPDPBUSD Z30, Z30, Z9
	VPDPBUSD Z30, Z30, Z10
	VPDPBUSD Z30, Z30, Z11
	VPDPBUSD Z30, Z30, Z12
	VPDPBUSD Z30, Z30, Z13
	VPDPBUSD Z30, Z30, Z14
	VPDPBUSD Z30, Z30, Z15
	VPDPBUSD Z30, Z30, Z16
	VPDPBUSD Z30, Z30, Z17
	VPDPBUSD Z30, Z30, Z18
	VPDPBUSD Z30, Z30, Z19
	VPDPBUSD Z30, Z30, Z20
	VPDPBUSD Z30, Z30, Z21
	VPDPBUSD Z30, Z30, Z22
	VPDPBUSD Z30, Z30, Z23
	DECQ     CX
	JNZ      burn

done:
	VZEROUPPER
	RET
