#include "funcdata.h"
#include "textflag.h"
#include "panels_avx512_amd64.h"

// Rounding to panels of bytes at avx512, in the layout of panels_avx512_products_amd64.s: activations, and weights that are floats or of a
// format that is decoded to floats. The largest magnitude of 32 becomes 127, as in Q8.

// SCALE turns the magnitudes in Z12, as bits, into scales in Z11 and reciprocals in Z14; Z23 is all bits but the sign. Magnitudes below
// 2⁻¹⁰⁰ count as 0; one that is not finite makes the scale NaN.
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

// MERGE leaves in A the peaks of four such vectors: in each quarter one of each, of a quarter of the columns. ADDUP does so with sums.
#define MERGE(A, B, C, D) FOLD(VPMAXUD, A, B, C, D, Z8)
#define ADDUP(A, B, C, D) FOLD(VPADDD, A, B, C, D, Z8)

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

// func packTokenInt8AVX512(dst *byte, step int, x *float32, slabs int)
//
// Rounds slabs of 512 activations of one token as Q8 does. Slabs are step bytes apart in dst.
TEXT ·packTokenInt8AVX512(SB), NOSPLIT, $128-32
	NO_LOCAL_POINTERS
	MOVQ         dst+0(FP), DI
	MOVQ         step+8(FP), DX
	MOVQ         x+16(FP), SI
	MOVQ         slabs+24(FP), CX
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
