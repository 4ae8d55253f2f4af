#include "funcdata.h"
#include "textflag.h"
#include "words_amd64.h"

// Packing weights for the tiles: a call packs up to 32 rows, block by block. The bf16 values are the float32 values of Format.Decode,
// rounded to nearest, ties to even; subnormal ones become zero.
//
// Formats of up to five bits have at most 32 values with a scale: these are computed and rounded, and the weights are looked up. Others are
// converted and multiplied.
//
//	SI blocks of the first row, DI where they go, CX blocks left, DX bytes of a row
//	R8 the block at hand, R9 where it goes, R10 rows left
//	BX scratch

#define PACKARGS \
	MOVQ dst+0(FP), DI      \
	MOVQ w+8(FP), SI        \
	MOVQ blocks+16(FP), CX  \
	MOVQ rowBytes+24(FP), DX

#define ALIGN \
	LEAQ 63(SP), BX \
	ANDQ $~63, BX

#define EACHROW \
	MOVQ rows+32(FP), R10 \
	MOVQ SI, R8           \
	MOVQ DI, R9

// NEXTROW goes on to the next row, and from the last one to the next block, or blocks of 2048 bytes each in dst.
#define NEXTROW(BYTES, BLOCKS) \
	ADDQ $64, R9            \
	ADDQ DX, R8             \
	DECQ R10                \
	JNZ  row                \
	ADDQ $BYTES, SI         \
	ADDQ $(2048*BLOCKS), DI \
	DECQ CX                 \
	JNZ  block              \
	VZEROUPPER              \
	RET

// Floats: K1, and of F32 and F16 K2, are the columns that exist, which are all before the last block.
#define ALL \
	KXNORD K1, K1, K1 \
	KXNORW K2, K2, K2

#define LASTCOLUMNS \
	CMPQ  CX, $1         \
	JNE   all            \
	MOVL  last+40(FP), AX \
	KMOVD AX, K1         \
	SHRL  $16, AX        \
	KMOVW AX, K2         \
all:                     \
	EACHROW

// Constants: Z31 16 values as floats; words of 15 in Z28, of 16 in Z27; Z30 shifts the upper 16 words by 4.
#define VALUES(table) \
	MOVQ      table, AX  \
	VPMOVSXBD (AX), Z31  \
	VCVTDQ2PS Z31, Z31

#define WORDS(n, Z) \
	MOVL         $n, AX \
	VPBROADCASTW AX, Z

#define UPPER4 \
	MOVL  $0xFFFF0000, AX       \
	KMOVD AX, K7                \
	MOVL  $4, AX                \
	VPBROADCASTW.Z AX, K7, Z30

// Z31 are 0 to 15.
#define COUNT \
	VPMOVSXBD count<>(SB), Z31 \
	VCVTDQ2PS Z31, Z31

// Z29 are 16 more than Z31, Z26 16 less.
#define PLUS16  VADDPS.BCST sixteen<>(SB), Z31, Z29
#define MINUS16 VSUBPS.BCST sixteen<>(SB), Z31, Z26

DATA count<>+0(SB)/8, $0x0706050403020100
DATA count<>+8(SB)/8, $0x0F0E0D0C0B0A0908
GLOBL count<>(SB), RODATA|NOPTR, $16

DATA sixteen<>+0(SB)/4, $16.0
GLOBL sixteen<>(SB), RODATA|NOPTR, $4

// NIBBLES sets Z to the low nibbles of 16 bytes, then the high ones, as words with other bits above them.
#define NIBBLES(o, Y, Z) \
	VBROADCASTI128 o(R8), Y   \
	VPMOVZXBW      Y, Z       \
	VPSRLVW        Z30, Z, Z

// LOOKUP stores block k of a row: entries of table T by the words of Z, of which five bits count.
#define LOOKUP(k, T, Z) \
	VPERMW    T, Z, Z           \
	VMOVDQU64 Z, (2048*k)(R9)

// HALF sets Z to the half at (R8), of which eight bytes are there.
#define HALF(X, Z) \
	VCVTPH2PS    (R8), X \
	VBROADCASTSS X, Z

// TWICE16 makes Z0, times the values, a table of which bit 4 of the index does not count.
#define TWICE16 \
	VMULPS         Z31, Z0, Z0          \
	VCVTNEPS2BF16(0, 0)                 \
	VINSERTI64X4   $1, Y0, Z0, Z0

// func packNibblesAMX(dst, w *byte, blocks, rowBytes, rows int, table *[16]int8)
//
// Q4_0 and IQ4_NL: a half, then 16 bytes of nibbles.
TEXT ·packNibblesAMX(SB), NOSPLIT, $0-48
	PACKARGS
	VALUES(table+40(FP))
	UPPER4

block:
	EACHROW

row:
	PREFETCHT0 256(R8)
	HALF(X0, Z0)
	TWICE16
	NIBBLES(2, Y1, Z1)
	LOOKUP(0, Z0, Z1)
	NEXTROW(18, 1)

// func packMXFP4AMX(dst, w *byte, blocks, rowBytes, rows int, table *[16]int8)
//
// A byte e that stands for 2^(e−128), which is subnormal below 2, then 16 bytes of nibbles.
TEXT ·packMXFP4AMX(SB), NOSPLIT, $0-48
	PACKARGS
	VALUES(table+40(FP))
	UPPER4

block:
	EACHROW

row:
	PREFETCHT0   256(R8)
	MOVBLZX      (R8), R11
	MOVL         $0x200000, AX
	SHLXL        R11, AX, AX
	LEAL         -1(R11), R12
	SHLL         $23, R12
	CMPL         R11, $2
	CMOVLCC      R12, AX
	VPBROADCASTD AX, Z0
	TWICE16
	NIBBLES(1, Y1, Z1)
	LOOKUP(0, Z0, Z1)
	NEXTROW(17, 1)

// func packQ5_0AMX(dst, w *byte, blocks, rowBytes, rows int)
//
// A half, a word of fifth bits, then 16 bytes of nibbles.
TEXT ·packQ5_0AMX(SB), NOSPLIT, $0-40
	PACKARGS
	COUNT
	MINUS16
	UPPER4
	WORDS(15, Z28)
	WORDS(16, Z27)

block:
	EACHROW

row:
	PREFETCHT0 256(R8)
	HALF(X0, Z0)
	VMULPS     Z26, Z0, Z1
	VMULPS     Z31, Z0, Z2
	VCVTNE2PS2BF16(1, 2, 0)
	KMOVD      2(R8), K1
	NIBBLES(6, Y1, Z1)
	VPANDD     Z28, Z1, Z1
	VPADDW     Z27, Z1, K1, Z1
	LOOKUP(0, Z0, Z1)
	NEXTROW(22, 1)

// func packQ8_0AMX(dst, w *byte, blocks, rowBytes, rows int)
//
// A half, then 32 signed bytes.
TEXT ·packQ8_0AMX(SB), NOSPLIT, $0-40
	PACKARGS

block:
	EACHROW

row:
	PREFETCHT0 256(R8)
	HALF(X0, Z0)
	VPMOVSXBD  2(R8), Z1
	VPMOVSXBD  18(R8), Z2
	VCVTDQ2PS  Z1, Z1
	VCVTDQ2PS  Z2, Z2
	VMULPS     Z0, Z1, Z1
	VMULPS     Z0, Z2, Z2
	VCVTNE2PS2BF16(1, 2, 1)
	VMOVDQU64  Z1, (R9)
	NEXTROW(34, 1)

// XSPAIR stores blocks k and k+1. The ternary operation is and 15, or 16.
#define XSPAIR(k) \
	VMULPS.BCST (4*k)(BX), Z31, Z0       \
	VMULPS.BCST (4*k+4)(BX), Z31, Z1     \
	VCVTNE2PS2BF16(0, 1, 0)              \
	NIBBLES((8+16*k), Y1, Z1)            \
	NIBBLES((8+16*k+16), Y2, Z2)         \
	VPANDD      Z28, Z1, Z1              \
	VPTERNLOGD  $0xEA, Z27, Z28, Z2      \
	LOOKUP((k), Z0, Z1)                  \
	LOOKUP((k+1), Z0, Z2)

// func packIQ4_XSAMX(dst, w *byte, blocks, rowBytes, rows int, table *[16]int8)
//
// A half, the upper two bits of eight scales, their lower four, then 8 × 16 bytes of nibbles. Scratch: the scales.
TEXT ·packIQ4_XSAMX(SB), NOSPLIT, $128-48
	NO_LOCAL_POINTERS
	PACKARGS
	ALIGN
	VALUES(table+40(FP))
	UPPER4
	WORDS(15, Z28)
	WORDS(16, Z27)
	VPMOVZXBD    count<>(SB), Z26
	VPSLLD       $2, Z26, Z25 // 0, 4, … 28
	VPADDD       Z26, Z26, Z26
	MOVL         $12, AX
	VPBROADCASTD AX, Z24
	VPADDD       Z24, Z26, Z26 // 12, 14, … 26
	VPSRLD       $16, Z28, Z24 // 15
	MOVL         $0x30, AX
	VPBROADCASTD AX, Z23
	MOVL         $32, AX
	VPBROADCASTD AX, Z22

block:
	EACHROW

row:
	PREFETCHT0   272(R8)
	PREFETCHT0   336(R8)
	HALF(X0, Z0)
	VPBROADCASTD (R8), Y1
	VPBROADCASTD 4(R8), Y2
	VPSRLVD      Y26, Y1, Y1
	VPSRLVD      Y25, Y2, Y2
	VPANDD       Y23, Y1, Y1
	VPTERNLOGD   $0xF8, Y24, Y2, Y1 // or, of what the mask leaves
	VPSUBD       Y22, Y1, Y1
	VCVTDQ2PS    Y1, Y1
	VMULPS       Y0, Y1, Y1
	VMOVUPS      Y1, (BX)
	XSPAIR(0)
	XSPAIR(2)
	XSPAIR(4)
	XSPAIR(6)
	NEXTROW(136, 8)

// The header of Q4_K and Q5_K: two halves, then eight 6-bit scales and minimums, as sixBitPairs has them. Scratch: the scales, at 32 the
// minimums, as floats. Z23 are eight 0 and eight 1.
#define HEADER \
	MOVL      4(R8), AX       \
	MOVL      8(R8), R11      \
	MOVL      12(R8), R12     \
	MOVL      AX, R13         \
	MOVL      R11, R15        \
	ANDL      $0x3F3F3F3F, R13 \
	ANDL      $0x3F3F3F3F, R15 \
	SHRL      $2, AX          \
	SHRL      $2, R11         \
	ANDL      $0x30303030, AX \
	ANDL      $0x30303030, R11 \
	MOVL      R12, R14        \
	SHRL      $4, R12         \
	ANDL      $0x0F0F0F0F, R14 \
	ANDL      $0x0F0F0F0F, R12 \
	ORL       R14, AX         \
	ORL       R12, R11        \
	SHLQ      $32, AX         \
	SHLQ      $32, R11        \
	ORQ       R13, AX         \
	ORQ       R15, R11        \
	VMOVQ     AX, X0          \
	VPINSRQ   $1, R11, X0, X0 \
	VCVTPH2PS (R8), X1        \
	VPMOVZXBD X0, Z0          \
	VPERMPS   Z1, Z23, Z1     \
	VCVTDQ2PS Z0, Z0          \
	VMULPS    Z1, Z0, Z0      \
	VMOVUPS   Z0, (BX)

#define HEADERORDER \
	VPMOVZXBD count<>(SB), Z23 \
	VPSRLD    $3, Z23, Z23

// AFFINE sets T to the values of Q times scale g less minimum g.
#define AFFINE(g, Q, T) \
	VBROADCASTSS     (32+4*g)(BX), T   \
	VFMSUB231PS.BCST (4*g)(BX), Q, T

// KPAIR stores blocks k and k+1, the low and the high nibbles of 32 bytes.
#define KPAIR(k) \
	AFFINE((k), Z31, Z0)            \
	AFFINE((k+1), Z31, Z1)          \
	VCVTNE2PS2BF16(0, 1, 0)         \
	VPMOVZXBW (16+16*k)(R8), Z1     \
	VPSRLW    $4, Z1, Z2            \
	VPANDD    Z28, Z1, Z1           \
	VPORD     Z27, Z2, Z2           \
	LOOKUP((k), Z0, Z1)             \
	LOOKUP((k+1), Z0, Z2)

// func packQ4_KAMX(dst, w *byte, blocks, rowBytes, rows int)
//
// HEADER, then four times 32 bytes of nibbles.
TEXT ·packQ4_KAMX(SB), NOSPLIT, $128-40
	NO_LOCAL_POINTERS
	PACKARGS
	ALIGN
	COUNT
	HEADERORDER
	WORDS(15, Z28)
	WORDS(16, Z27)

block:
	EACHROW

row:
	PREFETCHT0 288(R8)
	PREFETCHT0 352(R8)
	PREFETCHT0 416(R8)
	HEADER
	KPAIR(0)
	KPAIR(2)
	KPAIR(4)
	KPAIR(6)
	NEXTROW(144, 8)

// FIVE stores block k: Z1 are nibbles and SHIFT by n brings its fifth bits, of Z6, to bit 4.
#define FIVE(k, SHIFT, n) \
	AFFINE((k), Z31, Z2)         \
	AFFINE((k), Z29, Z3)         \
	VCVTNE2PS2BF16(2, 3, 2)      \
	SHIFT      $n, Z6, Z7        \
	VPTERNLOGD $0xF8, Z27, Z7, Z1 \
	LOOKUP((k), Z2, Z1)

// KPAIR5 stores blocks k and k+1.
#define KPAIR5(k, SHIFT, n, SHIFT1, n1) \
	VPMOVZXBW (48+16*k)(R8), Z0  \
	VPANDD    Z28, Z0, Z1        \
	FIVE((k), SHIFT, n)          \
	VPSRLW    $4, Z0, Z1         \
	FIVE((k+1), SHIFT1, n1)

// func packQ5_KAMX(dst, w *byte, blocks, rowBytes, rows int)
//
// HEADER, 32 bytes with the fifth bits of column i of block k in bit k of byte i, then the nibbles as in Q4_K.
TEXT ·packQ5_KAMX(SB), NOSPLIT, $128-40
	NO_LOCAL_POINTERS
	PACKARGS
	ALIGN
	COUNT
	PLUS16
	HEADERORDER
	WORDS(15, Z28)
	WORDS(16, Z27)

block:
	EACHROW

row:
	PREFETCHT0 352(R8)
	PREFETCHT0 416(R8)
	PREFETCHT0 480(R8)
	HEADER
	VPMOVZXBW  16(R8), Z6
	KPAIR5(0, VPSLLW, 4, VPSLLW, 3)
	KPAIR5(2, VPSLLW, 2, VPSLLW, 1)
	KPAIR5(4, VPSLLW, 0, VPSRLW, 1)
	KPAIR5(6, VPSRLW, 2, VPSRLW, 3)
	NEXTROW(176, 8)

// SIX stores block k: the low nibbles of L, and above them two bits of H; SHIFT by n brings them to bits 4 and 5.
#define SIX(k, L, H, SHIFT, n) \
	VPANDD       Y28, L, Y4            \
	SHIFT        $n, H, Y5             \
	VPTERNLOGD   $0xF8, Y27, Y5, Y4    \
	VPSUBB       Y26, Y4, Y4           \
	VEXTRACTI128 $1, Y4, X5            \
	VPMOVSXBD    X4, Z4                \
	VPMOVSXBD    X5, Z5                \
	VCVTDQ2PS    Z4, Z4                \
	VCVTDQ2PS    Z5, Z5                \
	VMULPS.BCST  (8*k)(BX), Z4, Z4     \
	VMULPS.BCST  (8*k+4)(BX), Z5, Z5   \
	VCVTNE2PS2BF16(4, 5, 4)            \
	VMOVDQU64    Z4, (2048*k)(R9)

// RUN stores four blocks.
#define RUN(r) \
	VMOVDQU (64*r)(R8), Y0        \
	VMOVDQU (64*r+32)(R8), Y1     \
	VMOVDQU (128+32*r)(R8), Y2    \
	SIX((4*r), Y0, Y2, VPSLLW, 4) \
	SIX((4*r+1), Y1, Y2, VPSLLW, 2) \
	VPSRLW  $4, Y0, Y0            \
	VPSRLW  $4, Y1, Y1            \
	SIX((4*r+2), Y0, Y2, VPSLLW, 0) \
	SIX((4*r+3), Y1, Y2, VPSRLW, 2)

// func packQ6_KAMX(dst, w *byte, blocks, rowBytes, rows int)
//
// Two runs of four blocks. A run has 64 bytes, whose low nibbles are those of its first two blocks and whose high nibbles of the others,
// and at 128 32 bytes with the two upper bits of each block's column i in byte i. A signed scale per 16 columns stands at 192, a half at
// 208.
// Scratch: the scales.
TEXT ·packQ6_KAMX(SB), NOSPLIT, $128-40
	NO_LOCAL_POINTERS
	PACKARGS
	ALIGN
	WORDS(0x0F0F, Z28)
	WORDS(0x3030, Z27)
	WORDS(0x2020, Z26)

block:
	EACHROW

row:
	PREFETCHT0   420(R8)
	PREFETCHT0   484(R8)
	PREFETCHT0   548(R8)
	PREFETCHT0   612(R8)
	VPBROADCASTW 208(R8), Y1
	VPMOVSXBD    192(R8), Z0
	VCVTPH2PS    Y1, Z1
	VCVTDQ2PS    Z0, Z0
	VMULPS       Z1, Z0, Z0
	VMOVUPS      Z0, (BX)
	RUN(0)
	RUN(1)
	NEXTROW(210, 8)

// func packF32AMX(dst, w *byte, blocks, rowBytes, rows int, last uint32)
TEXT ·packF32AMX(SB), NOSPLIT, $0-44
	PACKARGS
	ALL

block:
	LASTCOLUMNS

row:
	PREFETCHT0 512(R8)
	PREFETCHT0 576(R8)
	VMOVUPS.Z  (R8), K1, Z0
	VMOVUPS.Z  64(R8), K2, Z1
	VCVTNE2PS2BF16(0, 1, 0)
	VMOVDQU64  Z0, (R9)
	NEXTROW(128, 1)

// func packF16AMX(dst, w *byte, blocks, rowBytes, rows int, last uint32)
TEXT ·packF16AMX(SB), NOSPLIT, $0-44
	PACKARGS
	ALL

block:
	LASTCOLUMNS

row:
	PREFETCHT0  512(R8)
	VCVTPH2PS.Z (R8), K1, Z0
	VCVTPH2PS.Z 32(R8), K2, Z1
	VCVTNE2PS2BF16(0, 1, 0)
	VMOVDQU64   Z0, (R9)
	NEXTROW(64, 1)

// func packBF16AMX(dst, w *byte, blocks, rowBytes, rows int, last uint32)
//
// Nothing is rounded: subnormal weights stay, and count as zero when they are multiplied.
TEXT ·packBF16AMX(SB), NOSPLIT, $0-44
	PACKARGS
	ALL

block:
	LASTCOLUMNS

row:
	PREFETCHT0  512(R8)
	VMOVDQU16.Z (R8), K1, Z0
	VMOVDQU64   Z0, (R9)
	NEXTROW(64, 1)
