#include "funcdata.h"
#include "textflag.h"
#include "panels_avx2_amd64.h"

// Rounding to panels at avx2, in the layout of panels_avx2_products_amd64.s: weights that are floats, or of a format that is decoded to
// floats, to words, activations to bytes and to words.

REPEAT(wordOnes, 0x0001000100010001)

// PEAK sets A to the magnitudes, as bits, of the largest of columns i, 8+i, 16+i, 24+i of 32 floats at SRC.
#define PEAK(SRC, o, A) \
	VPAND   o(SRC), Y14, A       \
	VPAND   (o+32)(SRC), Y14, Y8 \
	VPMAXUD Y8, A, A             \
	VPAND   (o+64)(SRC), Y14, Y8 \
	VPMAXUD Y8, A, A             \
	VPAND   (o+96)(SRC), Y14, Y8 \
	VPMAXUD Y8, A, A

#define ROWPEAK(r, A) \
	MOVQ (8*r)(R12), R8 \
	ADDQ R13, R8        \
	PEAK(R8, 0, A)

// MERGE leaves in Y0 what OP makes of the lanes of Y0, of Y1 and so on to Y7, a lane each.
#define MERGE(OP) \
	FOLD(OP, Y0, Y1, Y2, Y3, Y8)  \
	FOLD(OP, Y4, Y5, Y6, Y7, Y8)  \
	VPERM2I128 $0x20, Y4, Y0, Y1 \
	VPERM2I128 $0x31, Y4, Y0, Y2 \
	OP         Y1, Y2, Y0

// SCALE turns the magnitudes in Y0, as bits, into scales in Y2 and reciprocals in Y3, so that the largest becomes most. Magnitudes below
// 2⁻¹⁰⁰ count as 0; one that is not finite makes the scale NaN. Y14 is all bits but the sign.
#define SCALE(most) \
	VMOVUPS   most<>(SB), Y1         \
	VDIVPS    Y1, Y0, Y2             \
	VDIVPS    Y0, Y1, Y3             \
	VPCMPGTD  underLeast<>(SB), Y0, Y4 \
	VPAND     Y4, Y2, Y2             \
	VPAND     Y4, Y3, Y3             \
	VPCMPGTD  greatest<>(SB), Y0, Y5 \
	VBLENDVPS Y5, Y14, Y2, Y2        \
	VPANDN    Y3, Y5, Y3

// The bits of the greatest numbers below 2⁻¹⁰⁰ and infinity.
REPEAT(underLeast, 0x0D7FFFFF0D7FFFFF)
REPEAT(greatest, 0x7F7FFFFF7F7FFFFF)

// 4095, 16383 and 127.
REPEAT(most12, 0x457FF000457FF000)
REPEAT(most14, 0x467FFC00467FFC00)
REPEAT(most7, 0x42FE000042FE0000)

// ROUNDROW sets A to 16 columns from o on of row r, rounded, as words; PAIRS4 transposes four rows from r on: in the halves of A to D
// are pairs 0 and 2, 1 and 3, 4 and 6, 5 and 7.
#define ROUNDROW(r, o, A) \
	MOVQ         (8*r)(R12), R8       \
	VBROADCASTSS (4*r)(BX), Y13       \
	VMULPS       o(R8)(R13*1), Y13, A   \
	VMULPS       (o+32)(R8)(R13*1), Y13, Y13 \
	VCVTPS2DQ    A, A                 \
	VCVTPS2DQ    Y13, Y13             \
	VPACKSSDW    Y13, A, A

#define PAIRS4(r, o, A, B, C, D) \
	ROUNDROW((r), o, A)   \
	ROUNDROW((r+1), o, B) \
	ROUNDROW((r+2), o, C) \
	ROUNDROW((r+3), o, D) \
	TRANSPOSE(A, B, C, D, Y8, Y9, Y10, Y11)

#define STOREPAIRS(k, A, B) \
	VPERM2I128 $0x20, B, A, Y8 \
	VPERM2I128 $0x31, B, A, Y9 \
	VMOVDQU    Y8, (128*k)(DI) \
	VMOVDQU    Y9, (128*k+256)(DI)

#define COLUMNS16(o, k) \
	PAIRS4(0, o, Y0, Y1, Y2, Y3)  \
	PAIRS4(4, o, Y4, Y5, Y6, Y7)  \
	STOREPAIRS((k), Y0, Y4)       \
	STOREPAIRS((k+1), Y1, Y5)     \
	STOREPAIRS((k+4), Y2, Y6)     \
	STOREPAIRS((k+5), Y3, Y7)

// func packFloatsWordsAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)
//
// Rounds floats to words, −4095 to 4095, with a scale per 32.
TEXT ·packFloatsWordsAVX2(SB), NOSPLIT, $32-28
	NO_LOCAL_POINTERS
	PACKARGS(exist+24(FP))
	MOVQ     SP, BX
	VPCMPEQD Y14, Y14, Y14
	VPSRLD   $1, Y14, Y14
	TESTQ    CX, CX
	JLE      done

loop:
	ROWPEAK(0, Y0)
	ROWPEAK(1, Y1)
	ROWPEAK(2, Y2)
	ROWPEAK(3, Y3)
	ROWPEAK(4, Y4)
	ROWPEAK(5, Y5)
	ROWPEAK(6, Y6)
	ROWPEAK(7, Y7)
	MERGE(VPMAXUD)
	SCALE(most12)
	VANDPS     (DX), Y2, Y2
	VMOVUPS    Y2, 2048(DI)
	VMOVUPS    Y3, (BX)
	COLUMNS16(0, 0)
	COLUMNS16(64, 8)
	ADDQ       $WBLOCK, DI
	ADDQ       $128, R13
	DECQ       CX
	JNZ        loop

done:
	VZEROUPPER
	RET

// TIMES multiplies the block by the lanes of Y and rounds it to words, in quarters: Y6 has columns 0–3, 8–11 | 4–7, 12–15, Y8 those 16
// further.
#define TIMES(Y) \
	VMULPS    (SI), Y, Y6   \
	VMULPS    32(SI), Y, Y7 \
	VMULPS    64(SI), Y, Y8 \
	VMULPS    96(SI), Y, Y9 \
	VCVTPS2DQ Y6, Y6        \
	VCVTPS2DQ Y7, Y7        \
	VCVTPS2DQ Y8, Y8        \
	VCVTPS2DQ Y9, Y9        \
	VPACKSSDW Y7, Y6, Y6    \
	VPACKSSDW Y9, Y8, Y8

// Columns in order, of bytes that were packed in quarters.
DATA inOrder<>+0(SB)/8, $0x0000000400000000
DATA inOrder<>+8(SB)/8, $0x0000000500000001
DATA inOrder<>+16(SB)/8, $0x0000000600000002
DATA inOrder<>+24(SB)/8, $0x0000000700000003
GLOBL inOrder<>(SB), RODATA, $32

REPEAT(bias, 0x8080808080808080)

// func packTokenAVX2(bytes, scales, words *byte, x *float32)
//
// Rounds 8 blocks of activations of one token both ways; scales are those of the bytes. DI bytes, R8 their scales, DX words, SI floats, CX
// blocks, from −8 on; Y10 the bytes' bias, Y11 their order, Y12 Y13 ones, Y14 all bits but the sign. Scratch: 0 reciprocals for words, 32
// for bytes, 64 a block's sums of bytes in eight lanes, block after block.
TEXT ·packTokenAVX2(SB), NOSPLIT, $320-32
	NO_LOCAL_POINTERS
	MOVQ     bytes+0(FP), DI
	MOVQ     scales+8(FP), R8
	MOVQ     words+16(FP), DX
	MOVQ     x+24(FP), SI
	MOVQ     SP, BX
	VPCMPEQD Y14, Y14, Y14
	VPSRLD   $1, Y14, Y14
	VMOVDQU  byteOnes<>(SB), Y13
	VMOVDQU  wordOnes<>(SB), Y12
	VMOVDQU  inOrder<>(SB), Y11
	VMOVDQU  bias<>(SB), Y10
	PEAK(SI, 0, Y0)
	PEAK(SI, 128, Y1)
	PEAK(SI, 256, Y2)
	PEAK(SI, 384, Y3)
	PEAK(SI, 512, Y4)
	PEAK(SI, 640, Y5)
	PEAK(SI, 768, Y6)
	PEAK(SI, 896, Y7)
	MERGE(VPMAXUD)
	SCALE(most14)
	VMOVUPS  Y2, 512(DX)
	VMOVUPS  Y3, (BX)
	SCALE(most7)
	VMOVUPS  Y2, (R8)
	VMOVUPS  Y3, 32(BX)
	MOVQ     $-8, CX
	LEAQ     64(BX), R9

loop:
	VBROADCASTSS 32(BX)(CX*4), Y3
	TIMES(Y3)
	VPERMQ       $0xD8, Y6, Y6
	VPERMQ       $0xD8, Y8, Y8
	VMOVDQU      Y6, (DX)
	VMOVDQU      Y8, 32(DX)
	VBROADCASTSS 64(BX)(CX*4), Y3
	TIMES(Y3)
	VPACKSSWB    Y8, Y6, Y6
	VPERMD       Y6, Y11, Y6
	VPMADDUBSW   Y6, Y13, Y7
	VPXOR        Y10, Y6, Y6
	VMOVDQU      Y6, (DI)
	VPMADDWD     Y12, Y7, Y7
	VMOVDQU      Y7, (R9)
	ADDQ         $32, DI
	ADDQ         $64, DX
	ADDQ         $32, R9
	ADDQ         $128, SI
	INCQ         CX
	JNZ          loop

	VMOVDQU   64(BX), Y0
	VMOVDQU   96(BX), Y1
	VMOVDQU   128(BX), Y2
	VMOVDQU   160(BX), Y3
	VMOVDQU   192(BX), Y4
	VMOVDQU   224(BX), Y5
	VMOVDQU   256(BX), Y6
	VMOVDQU   288(BX), Y7
	MERGE(VPADDD)
	VCVTDQ2PS Y0, Y0
	VMULPS    (R8), Y0, Y0
	VMOVUPS   Y0, 64(R8)
	VZEROUPPER
	RET
