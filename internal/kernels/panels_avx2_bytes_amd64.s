#include "funcdata.h"
#include "textflag.h"
#include "panels_avx2_amd64.h"

// Packing panels of bytes at avx2: weights of up to 5 bits, in the layout of panels_avx2_products_amd64.s.

// LOW and HIGH look up nibbles of quad A in the table Y14, store them as quad k and add them to Y12, two in 16 bits. Y13 is ones, Y15 15.
#define LOW(A, k) \
	VPAND      Y15, A, Y8    \
	VPSHUFB    Y8, Y14, Y8   \
	VMOVDQU    Y8, (128*k)(DI) \
	VPMADDUBSW Y8, Y13, Y8   \
	VPADDW     Y8, Y12, Y12

#define HIGH(A, k) \
	VPSRLD     $4, A, Y8     \
	VPAND      Y15, Y8, Y8   \
	VPSHUFB    Y8, Y14, Y8   \
	VMOVDQU    Y8, (128*k)(DI) \
	VPMADDUBSW Y8, Y13, Y8   \
	VPADDW     Y8, Y12, Y12

// CORRECTION stores 128 times the sums of Y12, −32768 to 30720, and clears them.
#define CORRECTION \
	VPSLLW  $7, Y12, Y12     \
	VMOVDQU Y12, 1024(DI)    \
	VPXOR   Y12, Y12, Y12

#define NIBBLES \
	LOW(Y4, 0)  \
	LOW(Y5, 1)  \
	LOW(Y6, 2)  \
	LOW(Y7, 3)  \
	HIGH(Y4, 4) \
	HIGH(Y5, 5) \
	HIGH(Y6, 6) \
	HIGH(Y7, 7)

// func packQ4_0AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// A half, then 16 bytes of nibbles.
TEXT ·packQ4_0AVX2(SB), NOSPLIT, $0-48
	NIBBLEARGS
	TESTQ CX, CX
	JLE   done

loop:
	FETCHSOMETIMES(3, CX, near)
	FIRST(0)
	QUADS(2, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	HALF(Y0, X0)
	VANDPS  (DX), Y0, Y0
	VMOVUPS Y0, 1152(DI)
	NIBBLES
	CORRECTION
	ADDQ    $BBLOCK, DI
	ADDQ    $18, R13
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

REPEAT(intOnes, 0x0000000100000001)
REPEAT(tiny, 0x0020000000200000)

// func packMXFP4AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// A byte e that stands for 2^(e−128), of which the two smallest are subnormal, then 16 bytes of nibbles.
TEXT ·packMXFP4AVX2(SB), NOSPLIT, $0-48
	NIBBLEARGS
	TESTQ CX, CX
	JLE   done

loop:
	FETCHSOMETIMES(3, CX, near)
	FIRST(0)
	QUADS(1, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	VPSLLD    $24, Y0, Y0
	VPSRLD    $24, Y0, Y0
	VMOVDQU   tiny<>(SB), Y1
	VPSLLVD   Y0, Y1, Y1
	VMOVDQU   intOnes<>(SB), Y2
	VPCMPGTD  Y2, Y0, Y3        // e > 1
	VPSUBD    Y2, Y0, Y0
	VPSLLD    $23, Y0, Y0
	VBLENDVPS Y3, Y0, Y1, Y0
	VANDPS    (DX), Y0, Y0
	VMOVUPS   Y0, 1152(DI)
	NIBBLES
	CORRECTION
	ADDQ      $BBLOCK, DI
	ADDQ      $17, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// FIVE completes quads k and k+1, A and B, with byte k/2 of Y0, the fifth bits: weight = nibble − 16, or nibble. Y1 finds that byte.
#define FIVE(k, A, B) \
	VPSHUFB    Y1, Y0, Y8             \
	VPADDB     Y13, Y1, Y1            \
	VPAND      lowBits<>(SB), Y8, Y9  \
	VPAND      highBits<>(SB), Y8, Y8 \
	VPCMPEQB   lowBits<>(SB), Y9, Y9  \
	VPCMPEQB   highBits<>(SB), Y8, Y8 \
	VPANDN     Y14, Y9, Y9            \
	VPANDN     Y14, Y8, Y8            \
	VPOR       Y9, A, A               \
	VPOR       Y8, B, B               \
	VMOVDQU    A, (128*k)(DI)         \
	VMOVDQU    B, (128*k+128)(DI)     \
	VPMADDUBSW A, Y13, A              \
	VPMADDUBSW B, Y13, B              \
	VPADDW     A, Y12, Y12            \
	VPADDW     B, Y12, Y12

REPEAT(lowBits, 0x0804020108040201)
REPEAT(highBits, 0x8040201080402010)
REPEAT(minus16, 0xF0F0F0F0F0F0F0F0)

DATA firstByte<>+0(SB)/8, $0x0404040400000000
DATA firstByte<>+8(SB)/8, $0x0C0C0C0C08080808
GLOBL firstByte<>(SB), RODATA, $16

// func packQ5_0AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)
//
// A half, a word of fifth bits, then 16 bytes of nibbles.
TEXT ·packQ5_0AVX2(SB), NOSPLIT, $0-36
	PACKARGS(exist+32(FP))
	VMOVDQU byteOnes<>(SB), Y13
	VMOVDQU minus16<>(SB), Y14
	VMOVDQU nibbles<>(SB), Y15
	VPXOR   Y12, Y12, Y12
	TESTQ   CX, CX
	JLE     done

loop:
	FETCHSOMETIMES(3, CX, near)
	FIRST(0)
	SECOND
	VPSRLD         $16, Y0, Y2
	VPSLLD         $16, Y1, Y1
	VPOR           Y1, Y2, Y2
	HALF(Y0, X0)
	VANDPS         (DX), Y0, Y0
	VMOVUPS        Y0, 1152(DI)
	VMOVDQA        Y2, Y0 // fifth bits
	QUADS(6, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	VBROADCASTI128 firstByte<>(SB), Y1
	VPAND          Y15, Y4, Y2
	VPAND          Y15, Y5, Y3
	FIVE(0, Y2, Y3)
	VPAND          Y15, Y6, Y2
	VPAND          Y15, Y7, Y3
	FIVE(2, Y2, Y3)
	VPSRLD         $4, Y4, Y4
	VPSRLD         $4, Y5, Y5
	VPSRLD         $4, Y6, Y6
	VPSRLD         $4, Y7, Y7
	VPAND          Y15, Y4, Y4
	VPAND          Y15, Y5, Y5
	VPAND          Y15, Y6, Y6
	VPAND          Y15, Y7, Y7
	FIVE(4, Y4, Y5)
	FIVE(6, Y6, Y7)
	CORRECTION
	ADDQ           $BBLOCK, DI
	ADDQ           $22, R13
	DECQ           CX
	JNZ            loop

done:
	VZEROUPPER
	RET

// The header of Q4_K and Q5_K: two halves, then eight 6-bit scales and minimums, as sixBitPairs has them. Scratch at BX, all for 8 rows:
// 0 the half of scales, 32 of minimums; 64 four scales, 96 four minimums; 128 and 160 the other four.
#define HEADER \
	QUADS(0, X0, Y0, X1, Y1, X2, Y2, X3, Y3) \
	VPSRLD  $16, Y0, Y4             \
	HALF(Y0, X0)                    \
	HALF(Y4, X4)                    \
	VANDPS  (DX), Y0, Y0            \
	VANDPS  (DX), Y4, Y4            \
	VMOVUPS Y0, (BX)                \
	VMOVUPS Y4, 32(BX)              \
	VPAND   low6<>(SB), Y1, Y4      \
	VPAND   low6<>(SB), Y2, Y5      \
	VMOVDQU Y4, 64(BX)              \
	VMOVDQU Y5, 96(BX)              \
	VPAND   nibbles<>(SB), Y3, Y4   \
	VPSRLD  $4, Y3, Y5              \
	VPAND   nibbles<>(SB), Y5, Y5   \
	VPSRLD  $2, Y1, Y1              \
	VPSRLD  $2, Y2, Y2              \
	VPAND   top2<>(SB), Y1, Y1      \
	VPAND   top2<>(SB), Y2, Y2      \
	VPOR    Y1, Y4, Y4              \
	VPOR    Y2, Y5, Y5              \
	VMOVDQU Y4, 128(BX)             \
	VMOVDQU Y5, 160(BX)

REPEAT(low6, 0x3F3F3F3F3F3F3F3F)
REPEAT(top2, 0x3030303030303030)
REPEAT(lowByte, 0x000000FF000000FF)
REPEAT(eights, 0x4100000041000000)
REPEAT(sixteens, 0x4180000041800000)

// SECONDHALF goes on to the other four.
#define SECONDHALF \
	VMOVDQU 128(BX), Y8 \
	VMOVDQU 160(BX), Y9 \
	VMOVDQU Y8, 64(BX)  \
	VMOVDQU Y9, 96(BX)

// AFFINE stores the next scales, and the offsets scale · zero − minimum of weights that are centred on zero.
#define AFFINE(zero) \
	VMOVDQU     64(BX), Y8          \
	VMOVDQU     96(BX), Y9          \
	VPSRLD      $8, Y8, Y10         \
	VPSRLD      $8, Y9, Y11         \
	VMOVDQU     Y10, 64(BX)         \
	VMOVDQU     Y11, 96(BX)         \
	VPAND       lowByte<>(SB), Y8, Y8 \
	VPAND       lowByte<>(SB), Y9, Y9 \
	VCVTDQ2PS   Y8, Y8              \
	VCVTDQ2PS   Y9, Y9              \
	VMULPS      (BX), Y8, Y8        \
	VMULPS      32(BX), Y9, Y9      \
	VMOVUPS     Y8, 1152(DI)        \
	VFMSUB132PS zero<>(SB), Y9, Y8  \
	VMOVUPS     Y8, 1280(DI)

#define HEADER4 \
	HEADER \
	ADDQ $16, R13

#define LOWS \
	LOW(Y0, 0) \
	LOW(Y1, 1) \
	LOW(Y2, 2) \
	LOW(Y3, 3) \
	LOW(Y4, 4) \
	LOW(Y5, 5) \
	LOW(Y6, 6) \
	LOW(Y7, 7) \
	CORRECTION

#define HIGHS4 \
	HIGH(Y0, 0) \
	HIGH(Y1, 1) \
	HIGH(Y2, 2) \
	HIGH(Y3, 3) \
	HIGH(Y4, 4) \
	HIGH(Y5, 5) \
	HIGH(Y6, 6) \
	HIGH(Y7, 7) \
	CORRECTION

// func packQ4_KAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// HEADER, then four times 32 bytes: low nibbles, then high nibbles, of 32 columns each.
TEXT ·packQ4_KAVX2(SB), NOSPLIT, $192-48
	NO_LOCAL_POINTERS
	NIBBLEARGS
	MOVQ  SP, BX
	K_BLOCKS(SI, HEADER4, LOWS, HIGHS4, eights, BBLOCK)

// UPPER completes quad k, the low nibbles of A, with the lowest bits of the scratch at 192, and goes on to the next ones. Weights are 16
// less.
#define UPPER(k, A) \
	VMOVDQU    (192+32*k)(BX), Y9  \
	VPAND      Y13, Y9, Y10        \
	VPSRLD     $1, Y9, Y9          \
	VMOVDQU    Y9, (192+32*k)(BX)  \
	VPSLLD     $4, Y10, Y10        \
	VPAND      Y15, A, Y8          \
	VPOR       Y10, Y8, Y8         \
	VPADDB     Y14, Y8, Y8         \
	VMOVDQU    Y8, (128*k)(DI)     \
	VPMADDUBSW Y8, Y13, Y8         \
	VPADDW     Y8, Y12, Y12

#define UPPERS \
	UPPER(0, Y0) \
	UPPER(1, Y1) \
	UPPER(2, Y2) \
	UPPER(3, Y3) \
	UPPER(4, Y4) \
	UPPER(5, Y5) \
	UPPER(6, Y6) \
	UPPER(7, Y7)

#define HEADER5 \
	HEADER      \
	BYTES32(16) \
	SAVE(192)   \
	ADDQ $48, R13

#define FIFTHS \
	UPPERS \
	CORRECTION

#define HIGHS5 \
	HIGHS  \
	FIFTHS

// func packQ5_KAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)
//
// HEADER, 32 bytes with the fifth bits of column i of run r in bit r of byte i, then the nibbles as in Q4_K.
TEXT ·packQ5_KAVX2(SB), NOSPLIT, $448-36
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	MOVQ    SP, BX
	VMOVDQU byteOnes<>(SB), Y13
	VMOVDQU minus16<>(SB), Y14
	VMOVDQU nibbles<>(SB), Y15
	VPXOR   Y12, Y12, Y12
	K_BLOCKS(SI, HEADER5, FIFTHS, HIGHS5, sixteens, BBLOCK)
