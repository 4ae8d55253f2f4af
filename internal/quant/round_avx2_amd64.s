#include "textflag.h"

// Rounding of what is not searched, as package tensor does it.

// REDUCE leaves in X the largest of the bits in the lanes of Y, of which it is a part. T is scratch.
#define REDUCE(Y, X, T) \
	VEXTRACTI128 $1, Y, T     \
	VPMAXUD      T, X, X      \
	VPSHUFD      $0x4E, X, T  \
	VPMAXUD      T, X, X      \
	VPSHUFD      $0xB1, X, T  \
	VPMAXUD      T, X, X

// func peakAVX2(x *float32, n int) uint32
//
// n is a multiple of 8. Y0: all bits but the sign. Y1: the largest magnitudes, as bits.
TEXT ·peakAVX2(SB), NOSPLIT, $0-20
	MOVQ    x+0(FP), SI
	MOVQ    n+8(FP), CX
	VMOVUPS magnitude<>(SB), Y0
	VPXOR   Y1, Y1, Y1

loop:
	SUBQ    $8, CX
	JLT     done
	VPAND   (SI), Y0, Y2
	VPMAXUD Y2, Y1, Y1
	ADDQ    $32, SI
	JMP     loop

done:
	REDUCE(Y1, X1, X2)
	VMOVD X1, AX
	MOVL  AX, ret+16(FP)
	VZEROUPPER
	RET

// func encodeF16AVX2(dst *byte, x *float32, n int)
//
// n is a multiple of 8.
TEXT ·encodeF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	SUBQ      $8, CX
	JLT       done
	VMOVUPS   (SI), Y0
	VCVTPS2PH $0, Y0, (DI)
	ADDQ      $32, SI
	ADDQ      $16, DI
	JMP       loop

done:
	VZEROUPPER
	RET

// TOBF16 leaves in the low halves of Y what its numbers are in BF16. Y0: 1. Y1: a half of the last place that stays, less one unless that
// place is odd. T is scratch.
#define TOBF16(Y, T) \
	VPSRLD $16, Y, T  \
	VPAND  Y0, T, T   \
	VPADDD Y1, Y, Y   \
	VPADDD T, Y, Y    \
	VPSRLD $16, Y, Y

// func encodeBF16AVX2(dst *byte, x *float32, n int)
//
// n is a multiple of 16.
TEXT ·encodeBF16AVX2(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VPBROADCASTD place<>+0(SB), Y0
	VPBROADCASTD place<>+4(SB), Y1

loop:
	SUBQ      $16, CX
	JLT       done
	VMOVUPS   (SI), Y2
	VMOVUPS   32(SI), Y3
	TOBF16(Y2, Y4)
	TOBF16(Y3, Y5)
	VPACKUSDW Y3, Y2, Y2
	VPERMQ    $0xD8, Y2, Y2
	VMOVUPS   Y2, (DI)
	ADDQ      $64, SI
	ADDQ      $32, DI
	JMP       loop

done:
	VZEROUPPER
	RET

// RECIPROCAL sets R to 1/D, or to 0 where that is infinite. T is scratch.
#define RECIPROCAL(D, R, T) \
	VMOVSS numbers<>+0(SB), R         \
	VDIVSS D, R, R                    \
	VPAND  magnitude<>(SB), R, T      \
	VCMPSS $2, numbers<>+8(SB), T, T  \
	VPAND  T, R, R

// AWAY makes the 8 integers nearest to Y times Y5 of it, halves away from zero. Y0 is all bits but the sign, Y15 is 1, Y14 1/2; S and T are
// scratch.
#define AWAY(Y, S, T) \
	VMULPS     Y5, Y, Y       \
	VROUNDPS   $3, Y, S       \
	VSUBPS     S, Y, T        \
	VANDPS     Y0, T, T       \
	VCMPPS     $13, Y14, T, T \
	VANDNPS    Y, Y0, Y       \
	VORPS      Y15, Y, Y      \
	VANDPS     T, Y, Y        \
	VADDPS     Y, S, Y        \
	VCVTTPS2DQ Y, Y

// func encodeQ8_0AVX2(dst *byte, x *float32, blocks int)
//
// Y13: in which order packing leaves four bytes. Y1 to Y4: a block. X6: its scale, X5: the reciprocal.
TEXT ·encodeQ8_0AVX2(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         blocks+16(FP), CX
	VMOVUPS      magnitude<>(SB), Y0
	VBROADCASTSS numbers<>+0(SB), Y15
	VBROADCASTSS numbers<>+12(SB), Y14
	VMOVUPS      order<>(SB), Y13

loop:
	SUBQ         $1, CX
	JLT          done
	VMOVUPS      (SI), Y1
	VMOVUPS      32(SI), Y2
	VMOVUPS      64(SI), Y3
	VMOVUPS      96(SI), Y4
	VPAND        Y0, Y1, Y5
	VPAND        Y0, Y2, Y6
	VPAND        Y0, Y3, Y7
	VPAND        Y0, Y4, Y8
	VPMAXUD      Y6, Y5, Y5
	VPMAXUD      Y8, Y7, Y7
	VPMAXUD      Y7, Y5, Y5
	REDUCE(Y5, X5, X6)
	VDIVSS       numbers<>+4(SB), X5, X6
	RECIPROCAL(X6, X5, X7)
	VCVTPS2PH    $0, X6, X6
	VPEXTRW      $0, X6, (DI)
	VBROADCASTSS X5, Y5
	AWAY(Y1, Y6, Y7)
	AWAY(Y2, Y8, Y9)
	AWAY(Y3, Y6, Y7)
	AWAY(Y4, Y8, Y9)
	VPACKSSDW    Y2, Y1, Y1
	VPACKSSDW    Y4, Y3, Y3
	VPACKSSWB    Y3, Y1, Y1
	VPERMD       Y1, Y13, Y1
	VMOVUPS      Y1, 2(DI)
	ADDQ         $128, SI
	ADDQ         $34, DI
	JMP          loop

done:
	VZEROUPPER
	RET

// CODES makes codes of Y: times Y5, plus 8.5, cut off, at most 15. Y15 is 8.5, Y14 15.
#define CODES(Y) \
	VMULPS     Y5, Y, Y   \
	VADDPS     Y15, Y, Y  \
	VCVTTPS2DQ Y, Y       \
	VPMINSD    Y14, Y, Y

// MARK puts into bits of AX from SHIFT on which lanes of Y equal those of Y6.
#define MARK(Y, SHIFT) \
	VPCMPEQD  Y6, Y, Y   \
	VMOVMSKPS Y, BX      \
	SHLL      SHIFT, BX  \
	ORL       BX, AX

// func encodeQ4_0AVX2(dst *byte, x *float32, blocks int)
//
// Y1 to Y4: a block. X6: its scale, X5: the reciprocal. Y7 to Y10: magnitudes.
TEXT ·encodeQ4_0AVX2(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         blocks+16(FP), CX
	VMOVUPS      magnitude<>(SB), Y0
	VBROADCASTSS numbers<>+16(SB), Y15
	VPBROADCASTD numbers<>+24(SB), Y14

loop:
	SUBQ         $1, CX
	JLT          done
	VMOVUPS      (SI), Y1
	VMOVUPS      32(SI), Y2
	VMOVUPS      64(SI), Y3
	VMOVUPS      96(SI), Y4
	VPAND        Y0, Y1, Y7
	VPAND        Y0, Y2, Y8
	VPAND        Y0, Y3, Y9
	VPAND        Y0, Y4, Y10
	VPMAXUD      Y8, Y7, Y5
	VPMAXUD      Y10, Y9, Y6
	VPMAXUD      Y6, Y5, Y5
	REDUCE(Y5, X5, X6)
	VPBROADCASTD X5, Y6
	XORL         AX, AX
	MARK(Y7, $0)
	MARK(Y8, $8)
	MARK(Y9, $16)
	MARK(Y10, $24)
	BSFL         AX, AX
	VMOVD        X5, BX
	TESTL        BX, BX
	JZ           scale // of zeros, X5 is 0 and has no sign
	VMOVSS       (SI)(AX*4), X5

scale:
	VMULSS       numbers<>+20(SB), X5, X6
	RECIPROCAL(X6, X5, X7)
	VCVTPS2PH    $0, X6, X6
	VPEXTRW      $0, X6, (DI)
	VBROADCASTSS X5, Y5
	CODES(Y1)
	CODES(Y2)
	CODES(Y3)
	CODES(Y4)
	VPSLLD       $4, Y3, Y3
	VPSLLD       $4, Y4, Y4
	VPOR         Y3, Y1, Y1
	VPOR         Y4, Y2, Y2
	VPACKUSDW    Y2, Y1, Y1
	VPERMQ       $0xD8, Y1, Y1
	VEXTRACTI128 $1, Y1, X2
	VPACKUSWB    X2, X1, X1
	VMOVUPS      X1, 2(DI)
	ADDQ         $128, SI
	ADDQ         $18, DI
	JMP          loop

done:
	VZEROUPPER
	RET

// All bits but the sign.
DATA magnitude<>+0(SB)/8, $0x7FFFFFFF7FFFFFFF
DATA magnitude<>+8(SB)/8, $0x7FFFFFFF7FFFFFFF
DATA magnitude<>+16(SB)/8, $0x7FFFFFFF7FFFFFFF
DATA magnitude<>+24(SB)/8, $0x7FFFFFFF7FFFFFFF
GLOBL magnitude<>(SB), RODATA, $32

DATA place<>+0(SB)/4, $1
DATA place<>+4(SB)/4, $0x7FFF
GLOBL place<>(SB), RODATA, $8

// 1, 127, the largest number, 1/2, 8.5, -1/8 and, an integer, 15.
DATA numbers<>+0(SB)/4, $1.0
DATA numbers<>+4(SB)/4, $127.0
DATA numbers<>+8(SB)/4, $0x7F7FFFFF
DATA numbers<>+12(SB)/4, $0.5
DATA numbers<>+16(SB)/4, $8.5
DATA numbers<>+20(SB)/4, $-0.125
DATA numbers<>+24(SB)/4, $15
GLOBL numbers<>(SB), RODATA, $28

DATA order<>+0(SB)/8, $0x0000000400000000
DATA order<>+8(SB)/8, $0x0000000500000001
DATA order<>+16(SB)/8, $0x0000000600000002
DATA order<>+24(SB)/8, $0x0000000700000003
GLOBL order<>(SB), RODATA, $32
