#include "funcdata.h"
#include "textflag.h"
#include "panels_amd64.h"

// Panels at avx512: many tokens times 32 rows of weights.
//
// INT8. Weights are integers of 8 bits with a scale per 32 columns, taken as they are or, in formats of another kind, rounded; activations
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
// The unit multiplies unsigned with signed bytes, hence the 128, which the sum's start takes off again. The integer sum of
// a block is exact; blocks are added up in float in the order of columns, 512 columns at a time, and these sums
// are added to dst. That order is the same in every tile, so a product's bits depend on nothing but its row and its token.
//
// A tile is 32 rows × up to 6 tokens: 12 integer and 12 float sums. What 512 columns of a panel take, 18 KB, stays in L1
// while all tokens pass.
//
//	AX weights, BX activations, R13 their scales, CX blocks that are left
//	Z0–Z5, Z6–Z11 integer sums of rows 0–15, 16–31, one per token; Z12–Z23 float sums
//	Z24 Z25 weights, Z26 the token's activations, Z27 Z28 products of scales, Z30 Z31 scales of the rows

#define XTOKEN 704
#define WBLOCK 1152
#define OBLOCK 1280

// The arguments, before the first function: vet takes them for arguments of the function above.
#define PANELARGS \
	MOVQ  dst+0(FP), DX      \
	MOVQ  stride+8(FP), SI   \
	MOVQ  w+16(FP), R8       \
	MOVQ  x+24(FP), R9       \
	MOVQ  n+32(FP), R10      \
	MOVQ  blocks+40(FP), R11 \
	MOVL  exist+48(FP), AX   \
	MOVL  add+52(FP), BX     \
	SHLQ  $2, SI             \
	KMOVW AX, K1             \
	SHRL  $16, AX            \
	KMOVW AX, K2             \
	KMOVW BX, K3             \
	SHRL  $16, BX            \
	KMOVW BX, K4

// ALIGN makes BX the scratch at the frame's bottom, on a cache line.
#define ALIGN \
	LEAQ 63(SP), BX \
	ANDQ $~63, BX

#define NIBBLETABLE \
	MOVQ            table+40(FP), AX      \
	VBROADCASTI32X4 (AX), Z31             \
	VPXORD.BCST     sign<>(SB), Z31, Z31  \
	VPBROADCASTD    nibble<>(SB), Z30

// FETCH has LINES of each row brought into the cache, 512 bytes further than the block at hand, or, past the end of a row, as much
// further in the row 16 below: the one that its lane packs next.
#define FETCH(LINES) \
	MOVQ    rowBytes+24(FP), R10 \
	LEAQ    512(R13), R9         \
	IMUL3Q  $15, R10, R11        \
	XORL    R8, R8               \
	CMPQ    R9, R10              \
	CMOVQGE R11, R8              \
	ADDQ    R8, R9               \
	FETCHROW(0, LINES)        \
	FETCHROW(1, LINES)        \
	FETCHROW(2, LINES)        \
	FETCHROW(3, LINES)        \
	FETCHROW(4, LINES)        \
	FETCHROW(5, LINES)        \
	FETCHROW(6, LINES)        \
	FETCHROW(7, LINES)        \
	FETCHROW(8, LINES)        \
	FETCHROW(9, LINES)        \
	FETCHROW(10, LINES)       \
	FETCHROW(11, LINES)       \
	FETCHROW(12, LINES)       \
	FETCHROW(13, LINES)       \
	FETCHROW(14, LINES)       \
	FETCHROW(15, LINES)

#define FETCHROW(r, LINES) \
	MOVQ (8*r)(R12), R8 \
	LINES

#define TWOLINES \
	PREFETCHT0 (R8)(R9*1)   \
	PREFETCHT0 64(R8)(R9*1)

// FETCHSOMETIMES does that when the bits of the mask are 0 in a counter.
#define FETCHSOMETIMES(mask, R, LINES, skip) \
	TESTQ $mask, R  \
	JNE   skip      \
	FETCH(LINES)    \
skip:

#define FPACKARGS \
	MOVQ  dst+0(FP), DI      \
	MOVQ  rows+8(FP), R12    \
	MOVQ  blocks+16(FP), CX  \
	XORL  R13, R13

#define PACKARGS(EXIST) \
	FPACKARGS    \
	MOVL  EXIST, AX \
	KMOVW AX, K1

// The steps for one token: start of a block, 4 columns, end of a block, end of the tile.
#define START(t, I, J) \
	VPBROADCASTD (XTOKEN*t+64)(R13), I \
	VMOVDQA64    I, J

#define DOT(t, d, I, J) \
	VPBROADCASTD (XTOKEN*t+4*d)(BX), Z26 \
	VPDPBUSD     Z26, Z24, I             \
	VPDPBUSD     Z26, Z25, J

#define FINISH(t, I, J, F, G) \
	VBROADCASTSS (XTOKEN*t)(R13), Z26 \
	VCVTDQ2PS    I, I                 \
	VCVTDQ2PS    J, J                 \
	VMULPS       Z26, Z30, Z27        \
	VMULPS       Z26, Z31, Z28        \
	VFMADD231PS  Z27, I, F            \
	VFMADD231PS  Z28, J, G

// The same with offsets.
#define FINISHOFFSET(t, I, J, F, G) \
	FINISH(t, I, J, F, G)                 \
	VBROADCASTSS (XTOKEN*t+128)(R13), Z26 \
	VFMADD231PS  1152(AX), Z26, F         \
	VFMADD231PS  1216(AX), Z26, G

#define ZERO(F, G) \
	VPXORD F, F, F \
	VPXORD G, G, G

// K1 and K2 are the rows that exist, K3 and K4 the same or, where dst does not count yet, none.
#define OUT(F, G) \
	VMOVUPS.Z (DX), K3, Z26   \
	VMOVUPS.Z 64(DX), K4, Z27 \
	VADDPS    Z26, F, F       \
	VADDPS    Z27, G, G       \
	VMOVUPS   F, K1, (DX)     \
	VMOVUPS   G, K2, 64(DX)   \
	ADDQ      SI, DX

#define WEIGHTS(d) \
	VMOVDQU64 (128*d)(AX), Z24    \
	VMOVDQU64 (128*d+64)(AX), Z25

#define SCALES \
	VMOVUPS 1024(AX), Z30 \
	VMOVUPS 1088(AX), Z31

// The same for 1 to 6 tokens.
#define START1 START(0, Z0, Z6)
#define START2 START1 START(1, Z1, Z7)
#define START3 START2 START(2, Z2, Z8)
#define START4 START3 START(3, Z3, Z9)
#define START5 START4 START(4, Z4, Z10)
#define START6 START5 START(5, Z5, Z11)

#define DOT1(d) WEIGHTS(d) DOT(0, d, Z0, Z6)
#define DOT2(d) DOT1(d) DOT(1, d, Z1, Z7)
#define DOT3(d) DOT2(d) DOT(2, d, Z2, Z8)
#define DOT4(d) DOT3(d) DOT(3, d, Z3, Z9)
#define DOT5(d) DOT4(d) DOT(4, d, Z4, Z10)
#define DOT6(d) DOT5(d) DOT(5, d, Z5, Z11)


#define FINISH1(FIN) SCALES FIN(0, Z0, Z6, Z12, Z18)
#define FINISH2(FIN) FINISH1(FIN) FIN(1, Z1, Z7, Z13, Z19)
#define FINISH3(FIN) FINISH2(FIN) FIN(2, Z2, Z8, Z14, Z20)
#define FINISH4(FIN) FINISH3(FIN) FIN(3, Z3, Z9, Z15, Z21)
#define FINISH5(FIN) FINISH4(FIN) FIN(4, Z4, Z10, Z16, Z22)
#define FINISH6(FIN) FINISH5(FIN) FIN(5, Z5, Z11, Z17, Z23)

#define ZERO1 ZERO(Z12, Z18)
#define ZERO2 ZERO1 ZERO(Z13, Z19)
#define ZERO3 ZERO2 ZERO(Z14, Z20)
#define ZERO4 ZERO3 ZERO(Z15, Z21)
#define ZERO5 ZERO4 ZERO(Z16, Z22)
#define ZERO6 ZERO5 ZERO(Z17, Z23)

#define OUT1 OUT(Z12, Z18)
#define OUT2 OUT1 OUT(Z13, Z19)
#define OUT3 OUT2 OUT(Z14, Z20)
#define OUT4 OUT3 OUT(Z15, Z21)
#define OUT5 OUT4 OUT(Z16, Z22)
#define OUT6 OUT5 OUT(Z17, Z23)

// AHEAD fetches what OUT will need of dst.
#define AHEAD \
	LEAQ       (DX)(SI*2), R12 \
	ADDQ       SI, R12         \
	PREFETCHT0 (DX)            \
	PREFETCHT0 64(DX)          \
	PREFETCHT0 (DX)(SI*1)      \
	PREFETCHT0 64(DX)(SI*1)    \
	PREFETCHT0 (DX)(SI*2)      \
	PREFETCHT0 64(DX)(SI*2)    \
	PREFETCHT0 (R12)           \
	PREFETCHT0 64(R12)         \
	PREFETCHT0 (R12)(SI*1)     \
	PREFETCHT0 64(R12)(SI*1)   \
	PREFETCHT0 (R12)(SI*2)     \
	PREFETCHT0 64(R12)(SI*2)

// One tile of T tokens: all blocks, then dst.
#define TILE(T, BLOCK, ZEROS, STARTS, DOTS, FINISHES, FIN, OUTS, loop) \
	ZEROS              \
	AHEAD              \
	MOVQ R8, AX        \
	MOVQ R9, BX        \
	LEAQ 512(R9), R13  \
	MOVQ R11, CX       \
loop:                  \
	STARTS             \
	DOTS(0)            \
	DOTS(1)            \
	DOTS(2)            \
	DOTS(3)            \
	DOTS(4)            \
	DOTS(5)            \
	DOTS(6)            \
	DOTS(7)            \
	FINISHES(FIN)      \
	ADDQ $BLOCK, AX    \
	ADDQ $32, BX       \
	ADDQ $4, R13       \
	DECQ CX            \
	JNZ  loop          \
	OUTS               \
	ADDQ $(XTOKEN*T), R9 \
	SUBQ $T, R10       \
	JMP  next

#define TILES(BLOCK, FIN) \
next:  \
	NEXT \
six:   \
	TILE(6, BLOCK, ZERO6, START6, DOT6, FINISH6, FIN, OUT6, loop6) \
five:  \
	TILE(5, BLOCK, ZERO5, START5, DOT5, FINISH5, FIN, OUT5, loop5) \
four:  \
	TILE(4, BLOCK, ZERO4, START4, DOT4, FINISH4, FIN, OUT4, loop4) \
three: \
	TILE(3, BLOCK, ZERO3, START3, DOT3, FINISH3, FIN, OUT3, loop3) \
two:   \
	TILE(2, BLOCK, ZERO2, START2, DOT2, FINISH2, FIN, OUT2, loop2) \
one:   \
	TILE(1, BLOCK, ZERO1, START1, DOT1, FINISH1, FIN, OUT1, loop1)

// func panelInt8AVX512(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelInt8AVX512(SB), NOSPLIT, $0-56
	PANELARGS
	TILES(WBLOCK, FINISH)

// func panelInt8OffsetAVX512(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelInt8OffsetAVX512(SB), NOSPLIT, $0-56
	PANELARGS
	TILES(OBLOCK, FINISHOFFSET)

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

// PACKING. A call packs 16 rows, the lanes of a vector, from one end to the other. R12 is a table of 16 pointers to rows, R13
// the offset of the block at hand in each of them, DI where it goes, CX how many blocks are left, K1 the rows that exist.
// Bytes are loaded row by row, four rows to a register, and transposed, so that a register holds four bytes of
// each of 16 rows, here called a quad: the form that the panel has.

// FOUR loads 16 bytes at offset o of rows r, r+4, r+8, r+12.
#define FOUR(r, o, X, Z) \
	MOVQ         (8*r)(R12), R8           \
	MOVQ         (8*r+32)(R12), R9        \
	MOVQ         (8*r+64)(R12), R10       \
	MOVQ         (8*r+96)(R12), R11       \
	VMOVDQU32    o(R8)(R13*1), X          \
	VINSERTI32X4 $1, o(R9)(R13*1), Z, Z   \
	VINSERTI32X4 $2, o(R10)(R13*1), Z, Z  \
	VINSERTI32X4 $3, o(R11)(R13*1), Z, Z

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

// QUADS loads 16 bytes at offset o of each row as four quads; Z8 to Z11 are overwritten.
#define QUADS(o, X0, A, X1, B, X2, C, X3, D) \
	FOUR(0, o, X0, A) \
	FOUR(1, o, X1, B) \
	FOUR(2, o, X2, C) \
	FOUR(3, o, X3, D) \
	TRANSPOSE(A, B, C, D, Z8, Z9, Z10, Z11)

// FIRST loads the first four bytes at offset o of each row into Z0, SECOND the four bytes after them into Z1.
#define FIRST(o) \
	FOUR(0, o, X0, Z0)       \
	FOUR(1, o, X1, Z1)       \
	FOUR(2, o, X2, Z2)       \
	FOUR(3, o, X3, Z3)       \
	VPUNPCKLDQ  Z1, Z0, Z8   \
	VPUNPCKLDQ  Z3, Z2, Z9   \
	VPUNPCKLQDQ Z9, Z8, Z0

#define SECOND \
	VPUNPCKHQDQ Z9, Z8, Z1

// HALF converts the lower halves of the lanes of Z to float.
#define HALF(Z, Y) \
	VPMOVDW   Z, Y \
	VCVTPH2PS Y, Z

// LOW and HIGH look up the low or high nibbles of quad A in the table Z31 and store them as quad k; Z30 is 15.
#define LOW(A, k) \
	VPANDD    Z30, A, Z8     \
	VPSHUFB   Z8, Z31, Z8    \
	VMOVDQU64 Z8, (128*k)(DI)

#define HIGH(A, k) \
	VPSRLD    $4, A, Z9      \
	VPANDD    Z30, Z9, Z9    \
	VPSHUFB   Z9, Z31, Z9    \
	VMOVDQU64 Z9, (128*k)(DI)

#define NIBBLES(A, B, C, D) \
	LOW(A, 0)  \
	LOW(B, 1)  \
	LOW(C, 2)  \
	LOW(D, 3)  \
	HIGH(A, 4) \
	HIGH(B, 5) \
	HIGH(C, 6) \
	HIGH(D, 7)

DATA nibble<>+0(SB)/4, $0x0F0F0F0F
GLOBL nibble<>(SB), RODATA, $4

DATA sign<>+0(SB)/4, $0x80808080
GLOBL sign<>(SB), RODATA, $4

// func packNibblesAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// Q4_0 and IQ4_NL: a half, then 16 bytes of nibbles; the table holds the weights.
TEXT ·packNibblesAVX512(SB), NOSPLIT, $0-48
	PACKARGS(exist+32(FP))
	NIBBLETABLE
	TESTQ          CX, CX
	JLE            done

loop:
	FETCHSOMETIMES(3, CX, TWOLINES, near)
	FIRST(0)
	QUADS(2, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $WBLOCK, DI
	ADDQ      $18, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// func packMXFP4AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// A byte e that stands for 2^(e−128), then 16 bytes of nibbles.
TEXT ·packMXFP4AVX512(SB), NOSPLIT, $0-48
	PACKARGS(exist+32(FP))
	NIBBLETABLE
	MOVL           $1, AX
	VPBROADCASTD   AX, Z29
	VPSLLD         $1, Z29, Z28  // 2
	VPSLLD         $21, Z29, Z27 // 2^-128
	TESTQ          CX, CX
	JLE            done

loop:
	FETCHSOMETIMES(3, CX, TWOLINES, near)
	FIRST(0)
	QUADS(1, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPSLLD    $24, Z0, Z0
	VPSRLD    $24, Z0, Z0
	VPCMPUD   $1, Z28, Z0, K2 // e < 2 is subnormal
	VPSLLVD   Z0, Z27, Z1
	VPSUBD    Z29, Z0, Z0
	VPSLLD    $23, Z0, Z0
	VMOVDQA32 Z1, K2, Z0
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $WBLOCK, DI
	ADDQ      $17, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// func packIQ4_XSAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// Super-blocks: a half, the upper two bits of eight scales, their lower four, then 8 × 16 bytes of nibbles.
// Z12 halves, Z13 upper bits, Z14 lower bits of the scales that are left.
TEXT ·packIQ4_XSAVX512(SB), NOSPLIT, $0-48
	PACKARGS(exist+32(FP))
	NIBBLETABLE
	MOVL           $15, AX
	VPBROADCASTD   AX, Z29
	MOVL           $0x30, AX
	VPBROADCASTD   AX, Z28
	MOVL           $32, AX
	VPBROADCASTD   AX, Z27
	TESTQ          CX, CX
	JLE            done

loop:
	FIRST(0)
	SECOND
	VPSRLD    $12, Z0, Z13 // upper bits at 4 and 5
	VMOVDQA64 Z1, Z14
	HALF(Z0, Y0)
	VMOVAPS   Z0, Z12
	MOVQ      $8, BX

group:
	FETCHSOMETIMES(3, BX, TWOLINES, near)
	QUADS(8, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPANDD    Z29, Z14, Z0
	VPTERNLOGD $0xF8, Z28, Z13, Z0 // or, of what the mask leaves
	VPSRLD    $4, Z14, Z14
	VPSRLD    $2, Z13, Z13
	VPSUBD    Z27, Z0, Z0
	VCVTDQ2PS Z0, Z0
	VMULPS    Z12, Z0, Z0
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $WBLOCK, DI
	ADDQ      $16, R13
	DECQ      BX
	JNZ       group
	ADDQ      $8, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// func packQ8_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)
//
// A half, then 32 signed bytes.
TEXT ·packQ8_0AVX512(SB), NOSPLIT, $0-36
	PACKARGS(exist+32(FP))
	VPBROADCASTD sign<>(SB), Z31
	TESTQ        CX, CX
	JLE          done

loop:
	FETCHSOMETIMES(1, CX, TWOLINES, near)
	FIRST(0)
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	QUADS(2, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	QUADS(18, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPXORD    Z31, Z0, Z0
	VPXORD    Z31, Z1, Z1
	VPXORD    Z31, Z2, Z2
	VPXORD    Z31, Z3, Z3
	VPXORD    Z31, Z4, Z4
	VPXORD    Z31, Z5, Z5
	VPXORD    Z31, Z6, Z6
	VPXORD    Z31, Z7, Z7
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 128(DI)
	VMOVDQU64 Z2, 256(DI)
	VMOVDQU64 Z3, 384(DI)
	VMOVDQU64 Z4, 512(DI)
	VMOVDQU64 Z5, 640(DI)
	VMOVDQU64 Z6, 768(DI)
	VMOVDQU64 Z7, 896(DI)
	ADDQ      $WBLOCK, DI
	ADDQ      $34, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// Bit 4k+j of the fifth bits belongs to byte j of quad k. FIFTH spreads byte b of a row over its quads 2b and 2b+1.
DATA fifth<>+0(SB)/8, $0x0404040400000000
DATA fifth<>+8(SB)/8, $0x0C0C0C0C08080808
GLOBL fifth<>(SB), RODATA, $16

// FIVE completes quads k and k+1, A and B, with byte k/2 of Z15 and stores them: weight − 16 + 128 = nibble + 112 (+ 16).
// Z24 finds byte 0, Z25 has ones in each byte. Z26 and Z27 test bits 0–3 and 4–7, Z28 is 112, Z29 16.
#define FIVE(k, A, B) \
	VPSHUFB   Z24, Z15, Z8          \
	VPADDB    Z25, Z24, Z24         \
	VPTESTMB  Z26, Z8, K2           \
	VPTESTMB  Z27, Z8, K3           \
	VPADDB    Z28, A, A             \
	VPADDB    Z28, B, B             \
	VPADDB    Z29, A, K2, A         \
	VPADDB    Z29, B, K3, B         \
	VMOVDQU64 A, (128*k)(DI)        \
	VMOVDQU64 B, (128*k+128)(DI)

#define BYTES(n, Z) \
	MOVL         $(n*0x01010101), AX \
	VPBROADCASTD AX, Z

// func packQ5_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)
//
// A half, a word of fifth bits, then 16 bytes of nibbles.
TEXT ·packQ5_0AVX512(SB), NOSPLIT, $0-36
	PACKARGS(exist+32(FP))
	VPBROADCASTD    nibble<>(SB), Z30
	VBROADCASTI32X4 fifth<>(SB), Z23
	BYTES(1, Z25)
	MOVL            $0x08040201, AX
	VPBROADCASTD    AX, Z26
	VPSLLD          $4, Z26, Z27
	BYTES(112, Z28)
	BYTES(16, Z29)
	TESTQ           CX, CX
	JLE             done

loop:
	FETCHSOMETIMES(3, CX, TWOLINES, near)
	FIRST(0)
	SECOND
	VPSRLD    $16, Z0, Z15
	VPSLLD    $16, Z1, Z1
	VPORD     Z1, Z15, Z15 // fifth bits
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	QUADS(6, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPANDD    Z30, Z4, Z0
	VPANDD    Z30, Z5, Z1
	VPANDD    Z30, Z6, Z2
	VPANDD    Z30, Z7, Z3
	VPSRLD    $4, Z4, Z4
	VPSRLD    $4, Z5, Z5
	VPSRLD    $4, Z6, Z6
	VPSRLD    $4, Z7, Z7
	VPANDD    Z30, Z4, Z4
	VPANDD    Z30, Z5, Z5
	VPANDD    Z30, Z6, Z6
	VPANDD    Z30, Z7, Z7
	// The bytes of a lane's row follow one another, so a lane finds its own at 4 · row.
	VMOVDQA64 Z23, Z24
	FIVE(0, Z0, Z1)
	FIVE(2, Z2, Z3)
	FIVE(4, Z4, Z5)
	FIVE(6, Z6, Z7)
	ADDQ      $WBLOCK, DI
	ADDQ      $22, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// The header of Q4_K and Q5_K: two halves, then eight 6-bit scales and minimums, as sixBitPairs has them. Scratch, all for 16 rows:
// 0 the half of scales, 64 of minimums; 128 four scales, 192 four minimums; 256 and 320 the other four.
#define HEADER \
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3) \
	VPSRLD      $16, Z0, Z4              \
	HALF(Z0, Y0)                         \
	HALF(Z4, Y4)                         \
	VMOVAPS.Z   Z0, K1, Z0               \
	VMOVAPS.Z   Z4, K1, Z4               \
	VMOVUPS     Z0, (BX)                 \
	VMOVUPS     Z4, 64(BX)               \
	VPANDD.BCST low6<>(SB), Z1, Z4       \
	VPANDD.BCST low6<>(SB), Z2, Z5       \
	VMOVDQU64   Z4, 128(BX)              \
	VMOVDQU64   Z5, 192(BX)              \
	VPANDD.BCST nibble<>(SB), Z3, Z4     \
	VPSRLD      $4, Z3, Z5               \
	VPANDD.BCST nibble<>(SB), Z5, Z5     \
	VPSRLD      $2, Z1, Z1               \
	VPSRLD      $2, Z2, Z2               \
	VPTERNLOGD.BCST $0xF8, top2<>(SB), Z1, Z4 \
	VPTERNLOGD.BCST $0xF8, top2<>(SB), Z2, Z5 \
	VMOVDQU64   Z4, 256(BX)              \
	VMOVDQU64   Z5, 320(BX)

DATA low6<>+0(SB)/4, $0x3F3F3F3F
GLOBL low6<>(SB), RODATA, $4

DATA top2<>+0(SB)/4, $0x30303030
GLOBL top2<>(SB), RODATA, $4

// SECONDHALF goes on to the other four.
#define SECONDHALF \
	VMOVDQU64 256(BX), Z8 \
	VMOVDQU64 320(BX), Z9 \
	VMOVDQU64 Z8, 128(BX) \
	VMOVDQU64 Z9, 192(BX)

// AFFINE stores the next scales, and the offsets scale · zero − minimum of weights that are centred on zero.
#define AFFINE(zero) \
	VMOVDQU64   128(BX), Z8           \
	VMOVDQU64   192(BX), Z9           \
	VPSRLD      $8, Z8, Z10           \
	VPSRLD      $8, Z9, Z11           \
	VMOVDQU64   Z10, 128(BX)          \
	VMOVDQU64   Z11, 192(BX)          \
	VPANDD.BCST lowByte<>(SB), Z8, Z8 \
	VPANDD.BCST lowByte<>(SB), Z9, Z9 \
	VCVTDQ2PS   Z8, Z8                \
	VCVTDQ2PS   Z9, Z9                \
	VMULPS      (BX), Z8, Z8          \
	VMULPS      64(BX), Z9, Z9        \
	VMOVUPS     Z8, 1024(DI)          \
	VFMSUB132PS.BCST zero<>(SB), Z9, Z8 \
	VMOVUPS     Z8, 1152(DI)

DATA lowByte<>+0(SB)/4, $0xFF
GLOBL lowByte<>(SB), RODATA, $4

DATA eight<>+0(SB)/4, $8.0
GLOBL eight<>(SB), RODATA, $4

DATA sixteen<>+0(SB)/4, $16.0
GLOBL sixteen<>(SB), RODATA, $4

// func packQ4_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// HEADER, then four times 32 bytes: low nibbles, then high nibbles, of 32 columns each.
TEXT ·packQ4_KAVX512(SB), NOSPLIT, $448-48
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	NIBBLETABLE
	ALIGN
	TESTQ CX, CX
	JLE   done

loop:
	HEADER
	ADDQ $16, R13
	MOVQ $4, DX

run:
	FETCHSOMETIMES(1, DX, TWOLINES, near)
	AFFINE(eight)
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	QUADS(16, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	LOW(Z0, 0)
	LOW(Z1, 1)
	LOW(Z2, 2)
	LOW(Z3, 3)
	LOW(Z4, 4)
	LOW(Z5, 5)
	LOW(Z6, 6)
	LOW(Z7, 7)
	ADDQ $OBLOCK, DI
	AFFINE(eight)
	HIGH(Z0, 0)
	HIGH(Z1, 1)
	HIGH(Z2, 2)
	HIGH(Z3, 3)
	HIGH(Z4, 4)
	HIGH(Z5, 5)
	HIGH(Z6, 6)
	HIGH(Z7, 7)
	ADDQ $OBLOCK, DI
	ADDQ $32, R13
	DECQ DX
	JEQ  next
	CMPQ DX, $2
	JNE  run
	SECONDHALF
	JMP  run

next:
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

// FIFTH stores quad k: the low nibbles of A and above them the lowest bits of B, + 112, and goes on to the next bits of B.
#define FIFTH(k, A, B) \
	VPANDD     Z29, B, Z8        \
	VPSRLD     $1, B, B          \
	VPSLLD     $4, Z8, Z8        \
	VPTERNLOGD $0xF8, Z30, A, Z8 \
	VPADDB     Z28, Z8, Z8       \
	VMOVDQU64  Z8, (128*k)(DI)

#define FIFTHS \
	FIFTH(0, Z0, Z16) \
	FIFTH(1, Z1, Z17) \
	FIFTH(2, Z2, Z18) \
	FIFTH(3, Z3, Z19) \
	FIFTH(4, Z4, Z20) \
	FIFTH(5, Z5, Z21) \
	FIFTH(6, Z6, Z22) \
	FIFTH(7, Z7, Z23)

// func packQ5_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)
//
// HEADER, 32 bytes with the fifth bits of column i of run r in bit r of byte i, here Z16 to Z23, then the nibbles as in Q4_K.
TEXT ·packQ5_KAVX512(SB), NOSPLIT, $448-36
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	ALIGN
	VPBROADCASTD nibble<>(SB), Z30
	BYTES(1, Z29)
	BYTES(112, Z28)
	TESTQ        CX, CX
	JLE          done

loop:
	HEADER
	QUADS(16, X16, Z16, X17, Z17, X18, Z18, X19, Z19)
	QUADS(32, X20, Z20, X21, Z21, X22, Z22, X23, Z23)
	ADDQ $48, R13
	MOVQ $4, DX

run:
	FETCHSOMETIMES(1, DX, TWOLINES, near)
	AFFINE(sixteen)
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	QUADS(16, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	FIFTHS
	ADDQ   $OBLOCK, DI
	AFFINE(sixteen)
	VPSRLD $4, Z0, Z0
	VPSRLD $4, Z1, Z1
	VPSRLD $4, Z2, Z2
	VPSRLD $4, Z3, Z3
	VPSRLD $4, Z4, Z4
	VPSRLD $4, Z5, Z5
	VPSRLD $4, Z6, Z6
	VPSRLD $4, Z7, Z7
	FIFTHS
	ADDQ   $OBLOCK, DI
	ADDQ   $32, R13
	DECQ   DX
	JEQ    next
	CMPQ   DX, $2
	JNE    run
	SECONDHALF
	JMP    run

next:
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

// Z24 to Z31 are quads of bytes: their low nibbles, their high ones.
#define LOWS \
	VPANDD.BCST nibble<>(SB), Z24, Z0 \
	VPANDD.BCST nibble<>(SB), Z25, Z1 \
	VPANDD.BCST nibble<>(SB), Z26, Z2 \
	VPANDD.BCST nibble<>(SB), Z27, Z3 \
	VPANDD.BCST nibble<>(SB), Z28, Z4 \
	VPANDD.BCST nibble<>(SB), Z29, Z5 \
	VPANDD.BCST nibble<>(SB), Z30, Z6 \
	VPANDD.BCST nibble<>(SB), Z31, Z7

#define HIGHS \
	VPSRLD $4, Z24, Z24 \
	VPSRLD $4, Z25, Z25 \
	VPSRLD $4, Z26, Z26 \
	VPSRLD $4, Z27, Z27 \
	VPSRLD $4, Z28, Z28 \
	VPSRLD $4, Z29, Z29 \
	VPSRLD $4, Z30, Z30 \
	VPSRLD $4, Z31, Z31 \
	LOWS

#define BYTES32(o) \
	QUADS(o, X24, Z24, X25, Z25, X26, Z26, X27, Z27)      \
	QUADS((o+16), X28, Z28, X29, Z29, X30, Z30, X31, Z31)

// UPPERS stores these quads in the scratch at 384: upper bits of q. UPPER adds two of them, which Z13 rotates to bits 4 and 5.
#define UPPERS \
	VMOVDQU64 Z24, 384(BX) \
	VMOVDQU64 Z25, 448(BX) \
	VMOVDQU64 Z26, 512(BX) \
	VMOVDQU64 Z27, 576(BX) \
	VMOVDQU64 Z28, 640(BX) \
	VMOVDQU64 Z29, 704(BX) \
	VMOVDQU64 Z30, 768(BX) \
	VMOVDQU64 Z31, 832(BX)

#define UPPER(k, A) \
	VMOVDQU64       (384+64*k)(BX), Z8      \
	VPRORVD         Z13, Z8, Z8             \
	VPTERNLOGD.BCST $0xF8, top2<>(SB), Z8, A

#define ADDUPPERS \
	UPPER(0, Z0) \
	UPPER(1, Z1) \
	UPPER(2, Z2) \
	UPPER(3, Z3) \
	UPPER(4, Z4) \
	UPPER(5, Z5) \
	UPPER(6, Z6) \
	UPPER(7, Z7)


DATA four<>+0(SB)/4, $4
GLOBL four<>(SB), RODATA, $4

DATA two<>+0(SB)/4, $2
GLOBL two<>(SB), RODATA, $4

DATA one<>+0(SB)/4, $1
GLOBL one<>(SB), RODATA, $4

// 127 · 2¹⁵, 2¹⁵ and the largest word.
DATA most15<>+0(SB)/4, $4161536.0
GLOBL most15<>(SB), RODATA, $4

DATA unit15<>+0(SB)/4, $32768.0
GLOBL unit15<>(SB), RODATA, $4

DATA maxWord<>+0(SB)/4, $32767
GLOBL maxWord<>(SB), RODATA, $4

DATA evenBytes<>+0(SB)/4, $0x00FF00FF
GLOBL evenBytes<>(SB), RODATA, $4

DATA bytes0<>+0(SB)/8, $0x0480048000800080
DATA bytes0<>+8(SB)/8, $0x0C800C8008800880
GLOBL bytes0<>(SB), RODATA, $16

DATA bytes1<>+0(SB)/8, $0x0580058001800180
DATA bytes1<>+8(SB)/8, $0x0D800D8009800980
GLOBL bytes1<>(SB), RODATA, $16

// GROUPS sets Z16 and Z17 to the scales of bytes 0 and 1 of the lanes of the scratch at o, twice each as words, and goes on to bytes 2
// and 3. Z21 and Z22 find these bytes.
#define GROUPS(o) \
	VMOVDQU64 o(BX), Z18      \
	VPSRLD    $16, Z18, Z19   \
	VMOVDQU64 Z19, o(BX)      \
	VPSHUFB   Z21, Z18, Z16   \
	VPSHUFB   Z22, Z18, Z17   \
	VPSRAW    $8, Z16, Z16    \
	VPSRAW    $8, Z17, Z17

// LARGEST sets A to the largest magnitude of the bytes of each lane of four quads, times that of the words S.
#define LARGEST(A, B, C, D, S, M) \
	VPABSB   A, M         \
	VPABSB   B, Z9        \
	VPABSB   C, Z10       \
	VPABSB   D, Z11       \
	VPMAXUB  Z9, M, M     \
	VPMAXUB  Z11, Z10, Z10 \
	VPMAXUB  Z10, M, M    \
	VPSRLD   $16, M, Z9   \
	VPMAXUB  Z9, M, M     \
	VPSRLD   $8, M, Z9    \
	VPMAXUB  Z9, M, M     \
	VPANDD.BCST lowByte<>(SB), M, M \
	VPABSW   S, Z9        \
	VPMADDWD Z9, M, M

// ROUND stores quad k, A: bytes times the words S, times k/2¹⁵ with the words Z15, rounded, + 128. Z23 are sign bits, Z20 even bytes.
#define ROUND(k, A, S) \
	VPSLLW     $8, A, Z8         \
	VPSRAW     $8, A, Z9         \
	VPSRAW     $8, Z8, Z8        \
	VPMULLW    S, Z9, Z9         \
	VPMULLW    S, Z8, Z8         \
	VPMULHRSW  Z15, Z9, Z9       \
	VPMULHRSW  Z15, Z8, Z8       \
	VPSLLW     $8, Z9, Z9        \
	VPTERNLOGD $0xF8, Z20, Z8, Z9 \
	VPXORD     Z23, Z9, Z9       \
	VMOVDQU64  Z9, (128*k)(DI)

// REQUANTIZE packs the quads Z0 to Z7 of q, whose 16 columns each have the scales Z16 and Z17. Z14 is 32.
#define REQUANTIZE \
	VPSUBB Z14, Z0, Z0 \
	VPSUBB Z14, Z1, Z1 \
	VPSUBB Z14, Z2, Z2 \
	VPSUBB Z14, Z3, Z3 \
	VPSUBB Z14, Z4, Z4 \
	VPSUBB Z14, Z5, Z5 \
	VPSUBB Z14, Z6, Z6 \
	VPSUBB Z14, Z7, Z7 \
	LARGEST(Z0, Z1, Z2, Z3, Z16, Z8)  \
	LARGEST(Z4, Z5, Z6, Z7, Z17, Z12) \
	VPMAXSD      Z8, Z12, Z12         \
	VPMAXSD.BCST one<>(SB), Z12, Z12  \
	VCVTDQ2PS    Z12, Z12             \
	VBROADCASTSS most15<>(SB), Z8     \
	VDIVPS       Z12, Z8, Z8          \
	VCVTTPS2DQ   Z8, Z8               \
	VPMINSD.BCST maxWord<>(SB), Z8, Z8 \
	VCVTDQ2PS    Z8, Z9               \
	VBROADCASTSS unit15<>(SB), Z10    \
	VDIVPS       Z9, Z10, Z9          \
	VMULPS       (BX), Z9, Z9         \
	VMOVUPS      Z9, 1024(DI)         \
	VPSLLD       $16, Z8, Z15         \
	VPORD        Z8, Z15, Z15         \
	ROUND(0, Z0, Z16)                 \
	ROUND(1, Z1, Z16)                 \
	ROUND(2, Z2, Z16)                 \
	ROUND(3, Z3, Z16)                 \
	ROUND(4, Z4, Z17)                 \
	ROUND(5, Z5, Z17)                 \
	ROUND(6, Z6, Z17)                 \
	ROUND(7, Z7, Z17)

// func packQ6_KAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)
//
// Two runs of 128 columns. A run has 64 bytes at 64·run, whose low nibbles are those of its first 64 columns and whose high nibbles
// of the others, and 32 bytes at 128 + 32·run with two upper bits of columns i, 32+i, 64+i, 96+i in byte i. A signed scale per 16
// columns at 192, a half at 208; weights are half · scale · (q − 32). With P the largest magnitude of scale · (q − 32) in 32 columns
// and k the integer part of 127 · 2¹⁵ / P, at most 2¹⁵ − 1, they are rounded to scale · (q − 32) · k / 2¹⁵ times half · 2¹⁵ / k.
//
// Scratch: 0 the half, 64 to 319 scales of four times 16 columns each, 384 upper bits; Z13 turns these to bits 4 and 5.
TEXT ·packQ6_KAVX512(SB), 0, $960-36
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	ALIGN
	BYTES(32, Z14)
	VPBROADCASTD    evenBytes<>(SB), Z20
	VBROADCASTI32X4 bytes0<>(SB), Z21
	VBROADCASTI32X4 bytes1<>(SB), Z22
	VPBROADCASTD    sign<>(SB), Z23
	TESTQ           CX, CX
	JLE             done

loop:
	QUADS(194, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	VPSRLD    $16, Z3, Z3
	HALF(Z3, Y3)
	VMOVAPS.Z Z3, K1, Z3
	VMOVUPS   Z3, (BX)
	QUADS(192, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	VMOVDQU64 Z0, 64(BX)
	VMOVDQU64 Z1, 128(BX)
	VMOVDQU64 Z2, 192(BX)
	VMOVDQU64 Z3, 256(BX)
	MOVQ      $2, DX

	// R13 stands 32·run further for the upper bits, 64·run for the nibbles.
run:
	BYTES32(128)
	UPPERS
	MOVQ         $2, R8
	SUBQ         DX, R8
	SHLQ         $5, R8
	ADDQ         R8, R13
	MOVL         $-4, AX
	VPBROADCASTD AX, Z13
	MOVQ         $2, SI

half:
	FETCH(TWOLINES)
	// Columns of low nibbles, then those 64 further.
	BYTES32(0)
	LOWS
	ADDUPPERS
	GROUPS(64)
	REQUANTIZE
	ADDQ        $(2*WBLOCK), DI
	HIGHS
	VPADDD.BCST four<>(SB), Z13, Z13
	ADDUPPERS
	GROUPS(128)
	REQUANTIZE
	SUBQ        $WBLOCK, DI
	VPSUBD.BCST two<>(SB), Z13, Z13
	ADDQ        $32, R13
	DECQ        SI
	JNZ         half
	ADDQ        $(2*WBLOCK), DI
	SUBQ        $32, R13
	VMOVDQU64   192(BX), Z0
	VMOVDQU64   256(BX), Z1
	VMOVDQU64   Z0, 64(BX)
	VMOVDQU64   Z1, 128(BX)
	DECQ        DX
	JNZ         run
	ADDQ        $114, R13
	DECQ        CX
	JNZ         loop

done:
	VZEROUPPER
	RET

// Floats, and formats decoded to floats, are rounded: the largest magnitude of a row's 32 weights becomes 127, as in Q8.

// SCALE turns the magnitudes in Z12, as bits, into scales in Z11 and reciprocals in Z14; Z23 is all bits but the sign. Magnitudes below 2⁻¹⁰⁰ count as 0; one that
// is not finite makes the scale NaN.
#define SCALE \
	VPSUBD.BCST  least<>(SB), Z12, Z13       \
	VPCMPUD.BCST $1, finite<>(SB), Z13, K2   \
	VPCMPUD.BCST $5, infinity<>(SB), Z12, K3 \
	VBROADCASTSS most<>(SB), Z10             \
	VDIVPS.Z     Z10, Z12, K2, Z11           \
	VDIVPS.Z     Z12, Z10, K2, Z14           \
	VMOVDQA32    Z23, K3, Z11

DATA most<>+0(SB)/4, $127.0
GLOBL most<>(SB), RODATA, $4

// Bits of 2⁻¹⁰⁰, of infinity, and how many numbers lie between them.
DATA least<>+0(SB)/4, $0x0D800000
GLOBL least<>(SB), RODATA, $4

DATA infinity<>+0(SB)/4, $0x7F800000
GLOBL infinity<>(SB), RODATA, $4

DATA finite<>+0(SB)/4, $0x72000000
GLOBL finite<>(SB), RODATA, $4

// PEAK sets A to the magnitudes of 32 floats at two addresses, as bits, the larger of columns i and 16+i in lane i.
#define PEAK(LO, HI, A) \
	VPANDD  LO, Z23, A   \
	VPANDD  HI, Z23, Z8  \
	VPMAXUD Z8, A, A

// MERGE leaves in A the peaks of four such vectors: in each quarter one of each, of a quarter of the columns.
#define MERGE(A, B, C, D) \
	VPUNPCKLDQ  B, A, Z8   \
	VPUNPCKHDQ  B, A, A    \
	VPMAXUD     Z8, A, A   \
	VPUNPCKLDQ  D, C, Z8   \
	VPUNPCKHDQ  D, C, C    \
	VPMAXUD     Z8, C, C   \
	VPUNPCKLQDQ C, A, Z8   \
	VPUNPCKHQDQ C, A, A    \
	VPMAXUD     Z8, A, A

// MERGEQUARTERS leaves in Z12 the peaks of all of 16 vectors, which Z0 to Z3 have in quarters.
#define MERGEQUARTERS \
	VSHUFI32X4 $0x44, Z1, Z0, Z8    \
	VSHUFI32X4 $0xEE, Z1, Z0, Z9    \
	VPMAXUD    Z8, Z9, Z9           \
	VSHUFI32X4 $0x44, Z3, Z2, Z10   \
	VSHUFI32X4 $0xEE, Z3, Z2, Z11   \
	VPMAXUD    Z10, Z11, Z11        \
	VSHUFI32X4 $0x88, Z11, Z9, Z8   \
	VSHUFI32X4 $0xDD, Z11, Z9, Z9   \
	VPMAXUD    Z8, Z9, Z12

// ROWPEAK does PEAK for the columns of row r that exist.
#define ROWPEAK(r, A) \
	MOVQ        (8*r)(R12), R8        \
	VMOVUPS.Z   (R8)(R13*1), K4, A    \
	VMOVUPS.Z   64(R8)(R13*1), K5, Z8 \
	PEAK(A, Z8, A)

#define ROWPEAKS(r, A) \
	ROWPEAK((r), A)      \
	ROWPEAK((r+1), Z9)   \
	ROWPEAK((r+2), Z10)  \
	ROWPEAK((r+3), Z11)  \
	MERGE(A, Z9, Z10, Z11)

// ROUNDROW sets A to row r, rounded, as words: of each quarter four columns from 0 on, then four from 16 on.
#define ROUNDROW(r, A) \
	MOVQ         (8*r)(R12), R8        \
	VBROADCASTSS (4*r)(BX), Z8         \
	VMULPS.Z     (R8)(R13*1), Z8, K4, A   \
	VMULPS.Z     64(R8)(R13*1), Z8, K5, Z8 \
	VCVTPS2DQ    A, A                  \
	VCVTPS2DQ    Z8, Z8                \
	VPACKSSDW    Z8, A, A

// ROUNDROWS turns rows r to r+3 into bytes: A has columns 4i to 4i+3 of each of the rows in its quarter i, B columns 16+4i to 19+4i.
#define ROUNDROWS(r, A, B) \
	ROUNDROW((r), A)             \
	ROUNDROW((r+2), Z9)          \
	ROUNDROW((r+1), B)           \
	ROUNDROW((r+3), Z10)         \
	VPACKSSWB   Z9, A, A         \
	VPACKSSWB   Z10, B, B        \
	VPUNPCKLDQ  B, A, Z9         \
	VPUNPCKHDQ  B, A, Z10        \
	VPUNPCKLQDQ Z10, Z9, A       \
	VPUNPCKHQDQ Z10, Z9, B

// QUARTERS transposes the quarters of A, B, C, D, makes the bytes unsigned and stores them as quads k to k+3.
#define QUARTERS(k, A, B, C, D) \
	VSHUFI32X4 $0x44, B, A, Z8     \
	VSHUFI32X4 $0xEE, B, A, Z9     \
	VSHUFI32X4 $0x44, D, C, Z10    \
	VSHUFI32X4 $0xEE, D, C, Z11    \
	VSHUFI32X4 $0x88, Z10, Z8, A   \
	VSHUFI32X4 $0xDD, Z10, Z8, B   \
	VSHUFI32X4 $0x88, Z11, Z9, C   \
	VSHUFI32X4 $0xDD, Z11, Z9, D   \
	VPXORD     Z22, A, A           \
	VPXORD     Z22, B, B           \
	VPXORD     Z22, C, C           \
	VPXORD     Z22, D, D           \
	VMOVDQU64  A, (128*k)(DI)      \
	VMOVDQU64  B, (128*k+128)(DI)  \
	VMOVDQU64  C, (128*k+256)(DI)  \
	VMOVDQU64  D, (128*k+384)(DI)

// func packFloatsInt8AVX512(dst *byte, rows *[16]*float32, blocks int, exist, last uint32)
//
// Rounds floats to 8 bits per 32. K4 and K5 are the columns of the block that exist: all, but for the last block.
TEXT ·packFloatsInt8AVX512(SB), NOSPLIT, $128-32
	NO_LOCAL_POINTERS
	PACKARGS(exist+24(FP))
	ALIGN
	VPBROADCASTD sign<>(SB), Z22
	VPTERNLOGD   $0xFF, Z23, Z23, Z23
	VPSRLD       $1, Z23, Z23
	KXNORW K4, K4, K4
	KXNORW K5, K5, K5
	TESTQ  CX, CX
	JLE    done

loop:
	CMPQ  CX, $1
	JNE   full
	MOVL  last+28(FP), AX
	KMOVW AX, K4
	SHRL  $16, AX
	KMOVW AX, K5

full:
	ROWPEAKS(0, Z0)
	ROWPEAKS(4, Z1)
	ROWPEAKS(8, Z2)
	ROWPEAKS(12, Z3)
	MERGEQUARTERS
	SCALE
	VMOVAPS.Z  Z11, K1, Z11
	VMOVUPS    Z11, 1024(DI)
	VMOVUPS    Z14, (BX)
	ROUNDROWS(0, Z0, Z4)
	ROUNDROWS(4, Z1, Z5)
	ROUNDROWS(8, Z2, Z6)
	ROUNDROWS(12, Z3, Z7)
	QUARTERS(0, Z0, Z1, Z2, Z3)
	QUARTERS(4, Z4, Z5, Z6, Z7)
	ADDQ       $WBLOCK, DI
	ADDQ       $128, R13
	DECQ       CX
	JNZ        loop

done:
	VZEROUPPER
	RET

// Blocks 2i and 2i+1, of bytes as packing them in quarters leaves them, in order.
DATA inOrder<>+0(SB)/8, $0x0000000400000000
DATA inOrder<>+8(SB)/8, $0x0000000C00000008
DATA inOrder<>+16(SB)/8, $0x0000000500000001
DATA inOrder<>+24(SB)/8, $0x0000000D00000009
DATA inOrder<>+32(SB)/8, $0x0000000600000002
DATA inOrder<>+40(SB)/8, $0x0000000E0000000A
DATA inOrder<>+48(SB)/8, $0x0000000700000003
DATA inOrder<>+56(SB)/8, $0x0000000F0000000B
GLOBL inOrder<>(SB), RODATA, $64

// Even ones and odd ones, four each, in turn.
DATA inTurn<>+0(SB)/8, $0x0000000400000000
DATA inTurn<>+8(SB)/8, $0x0000000500000001
DATA inTurn<>+16(SB)/8, $0x0000000600000002
DATA inTurn<>+24(SB)/8, $0x0000000700000003
DATA inTurn<>+32(SB)/8, $0x0000000C00000008
DATA inTurn<>+40(SB)/8, $0x0000000D00000009
DATA inTurn<>+48(SB)/8, $0x0000000E0000000A
DATA inTurn<>+56(SB)/8, $0x0000000F0000000B
GLOBL inTurn<>(SB), RODATA, $64

#define BLOCKPEAKS(b, A) \
	PEAK((128*b)(SI), (128*b+64)(SI), A)       \
	PEAK((128*b+128)(SI), (128*b+192)(SI), Z9)  \
	PEAK((128*b+256)(SI), (128*b+320)(SI), Z10) \
	PEAK((128*b+384)(SI), (128*b+448)(SI), Z11) \
	MERGE(A, Z9, Z10, Z11)

// ROUNDBLOCKS stores blocks b and b+1 and sets S to their sums, of four values per lane.
#define ROUNDBLOCKS(b, S) \
	VBROADCASTSS (4*b)(BX), Z8              \
	VBROADCASTSS (4*b+4)(BX), Z9            \
	VMULPS       (128*b)(SI), Z8, Z10       \
	VMULPS       (128*b+64)(SI), Z8, Z11    \
	VMULPS       (128*b+128)(SI), Z9, Z12   \
	VMULPS       (128*b+192)(SI), Z9, Z13   \
	VCVTPS2DQ    Z10, Z10                   \
	VCVTPS2DQ    Z11, Z11                   \
	VCVTPS2DQ    Z12, Z12                   \
	VCVTPS2DQ    Z13, Z13                   \
	VPACKSSDW    Z11, Z10, Z10              \
	VPACKSSDW    Z13, Z12, Z12              \
	VPACKSSWB    Z12, Z10, Z10              \
	VPERMD       Z10, Z31, Z10              \
	VPXORD       S, S, S                    \
	VPDPBUSD     Z10, Z30, S                \
	VMOVDQU64    Z10, (32*b)(DI)

// ADDUP leaves in A sums of the vectors A to D, two blocks each: in each quarter one of each vector.
#define ADDUP(A, B, C, D) \
	VPUNPCKLDQ  B, A, Z8   \
	VPUNPCKHDQ  B, A, A    \
	VPADDD      Z8, A, A   \
	VPUNPCKLDQ  D, C, Z8   \
	VPUNPCKHDQ  D, C, C    \
	VPADDD      Z8, C, C   \
	VPUNPCKLQDQ C, A, Z8   \
	VPUNPCKHQDQ C, A, A    \
	VPADDD      Z8, A, A

// func packTokenInt8AVX512(dst *byte, step int, x *float32, parts int)
//
// Rounds parts of 512 activations of one token as Q8 does. Parts are step bytes apart in dst.
TEXT ·packTokenInt8AVX512(SB), NOSPLIT, $128-32
	NO_LOCAL_POINTERS
	MOVQ         dst+0(FP), DI
	MOVQ         step+8(FP), DX
	MOVQ         x+16(FP), SI
	MOVQ         parts+24(FP), CX
	ALIGN
	VPTERNLOGD   $0xFF, Z23, Z23, Z23
	VPSRLD       $1, Z23, Z23
	BYTES(1, Z30)
	VMOVDQU64    inOrder<>(SB), Z31
	VMOVDQU64    inTurn<>(SB), Z29
	TESTQ        CX, CX
	JLE          done

loop:
	BLOCKPEAKS(0, Z0)
	BLOCKPEAKS(4, Z1)
	BLOCKPEAKS(8, Z2)
	BLOCKPEAKS(12, Z3)
	MERGEQUARTERS
	SCALE
	VMOVUPS    Z11, 512(DI)
	VMOVUPS    Z14, (BX)
	ROUNDBLOCKS(0, Z0)
	ROUNDBLOCKS(2, Z1)
	ROUNDBLOCKS(4, Z2)
	ROUNDBLOCKS(6, Z3)
	ROUNDBLOCKS(8, Z4)
	ROUNDBLOCKS(10, Z5)
	ROUNDBLOCKS(12, Z6)
	ROUNDBLOCKS(14, Z7)
	ADDUP(Z0, Z1, Z2, Z3)
	ADDUP(Z4, Z5, Z6, Z7)
	VSHUFI32X4 $0x88, Z4, Z0, Z8
	VSHUFI32X4 $0xDD, Z4, Z0, Z9
	VPADDD     Z8, Z9, Z8
	VPERMD     Z8, Z29, Z8
	VCVTDQ2PS  Z8, Z10
	VMULPS     512(DI), Z10, Z10
	VMOVUPS    Z10, 640(DI)
	VPSLLD     $7, Z8, Z8
	VPXORD     Z9, Z9, Z9
	VPSUBD     Z8, Z9, Z8
	VMOVDQU64  Z8, 576(DI)
	ADDQ       DX, DI
	ADDQ       $2048, SI
	DECQ       CX
	JNZ        loop

done:
	VZEROUPPER
	RET

// FLOATS. Weights and activations as they are, one fused multiply-add each.
//
//	panel, per column:        [32 rows] floats
//	tokens, per 128 columns:  [token][128] floats
//
// Sums are taken over 128 columns, in their order, and added to dst. The tiles and registers are those above, but for the
// integers: CX counts fours of columns, R11 the columns of this part.

#define XFLOATS 512

#define FDOT(t, d, F, G) \
	VBROADCASTSS (XFLOATS*t+4*d)(BX), Z26 \
	VFMADD231PS  Z26, Z24, F              \
	VFMADD231PS  Z26, Z25, G

#define FWEIGHTS(d) \
	VMOVUPS (128*d)(AX), Z24    \
	VMOVUPS (128*d+64)(AX), Z25

#define FDOT1(d) FWEIGHTS(d) FDOT(0, d, Z12, Z18)
#define FDOT2(d) FDOT1(d) FDOT(1, d, Z13, Z19)
#define FDOT3(d) FDOT2(d) FDOT(2, d, Z14, Z20)
#define FDOT4(d) FDOT3(d) FDOT(3, d, Z15, Z21)
#define FDOT5(d) FDOT4(d) FDOT(4, d, Z16, Z22)
#define FDOT6(d) FDOT5(d) FDOT(5, d, Z17, Z23)

#define FTILE(T, ZEROS, DOTS, OUTS, loop, rest, out) \
	ZEROS              \
	AHEAD              \
	MOVQ R8, AX        \
	MOVQ R9, BX        \
	MOVQ R11, CX       \
	SUBQ $4, CX        \
	JLT  rest          \
loop:                  \
	DOTS(0)            \
	DOTS(1)            \
	DOTS(2)            \
	DOTS(3)            \
	ADDQ $512, AX      \
	ADDQ $16, BX       \
	SUBQ $4, CX        \
	JGE  loop          \
rest:                  \
	ADDQ $4, CX        \
	JEQ  out           \
	DOTS(0)            \
	ADDQ $128, AX      \
	ADDQ $4, BX        \
	SUBQ $5, CX        \
	JMP  rest          \
out:                   \
	OUTS               \
	ADDQ $(XFLOATS*T), R9 \
	SUBQ $T, R10       \
	JMP  next

// func panelFloatsAVX512(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
//
// Blocks are columns.
TEXT ·panelFloatsAVX512(SB), NOSPLIT, $0-56
	PANELARGS

next:
	NEXT

six:
	FTILE(6, ZERO6, FDOT6, OUT6, loop6, rest6, out6)

five:
	FTILE(5, ZERO5, FDOT5, OUT5, loop5, rest5, out5)

four:
	FTILE(4, ZERO4, FDOT4, OUT4, loop4, rest4, out4)

three:
	FTILE(3, ZERO3, FDOT3, OUT3, loop3, rest3, out3)

two:
	FTILE(2, ZERO2, FDOT2, OUT2, loop2, rest2, out2)

one:
	FTILE(1, ZERO1, FDOT1, OUT1, loop1, rest1, out1)

// func packF32AVX512(dst *byte, rows *[16]*byte, blocks int)
//
// Blocks of four columns of F32: quads are columns.
TEXT ·packF32AVX512(SB), NOSPLIT, $0-24
	FPACKARGS
	TESTQ CX, CX
	JLE   done

loop:
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 128(DI)
	VMOVUPS Z2, 256(DI)
	VMOVUPS Z3, 384(DI)
	ADDQ    $512, DI
	ADDQ    $16, R13
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

// A quad of BF16 is two columns.
#define PAIRBF16(k, A) \
	VPSLLD  $16, A, Z8         \
	VPANDD  Z31, A, A          \
	VMOVUPS Z8, (128*k)(DI)    \
	VMOVUPS A, (128*k+128)(DI)

// func packBF16AVX512(dst *byte, rows *[16]*byte, blocks int)
//
// Blocks of eight columns.
TEXT ·packBF16AVX512(SB), NOSPLIT, $0-24
	FPACKARGS
	MOVL         $0xFFFF0000, AX
	VPBROADCASTD AX, Z31
	TESTQ        CX, CX
	JLE          done

loop:
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	PAIRBF16(0, Z0)
	PAIRBF16(2, Z1)
	PAIRBF16(4, Z2)
	PAIRBF16(6, Z3)
	ADDQ $1024, DI
	ADDQ $16, R13
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

#define PAIRF16(k, A, AY) \
	VPSRLD  $16, A, Z8         \
	HALF(A, AY)                \
	HALF(Z8, Y8)               \
	VMOVUPS A, (128*k)(DI)     \
	VMOVUPS Z8, (128*k+128)(DI)

// func packF16AVX512(dst *byte, rows *[16]*byte, blocks int)
//
// Blocks of eight columns.
TEXT ·packF16AVX512(SB), NOSPLIT, $0-24
	FPACKARGS
	TESTQ CX, CX
	JLE   done

loop:
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	PAIRF16(0, Z0, Y0)
	PAIRF16(2, Z1, Y1)
	PAIRF16(4, Z2, Y2)
	PAIRF16(6, Z3, Y3)
	ADDQ $1024, DI
	ADDQ $16, R13
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET
