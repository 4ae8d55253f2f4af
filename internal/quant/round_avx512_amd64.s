#include "textflag.h"

// Rounding of what is not searched, as package tensor does it.

// REDUCE leaves in X the largest of the bits in the lanes of Z, of which Y and X are parts. S and T are parts of a scratch register.
#define REDUCE(Z, Y, X, S, T) \
	VEXTRACTI64X4 $1, Z, S     \
	VPMAXUD       S, Y, Y      \
	VEXTRACTI128  $1, Y, T     \
	VPMAXUD       T, X, X      \
	VPSHUFD       $0x4E, X, T  \
	VPMAXUD       T, X, X      \
	VPSHUFD       $0xB1, X, T  \
	VPMAXUD       T, X, X

// RECIPROCAL sets R to 1/D, or to 0 where that is infinite. Z30 is 1, X27 the largest number, X8 scratch.
#define RECIPROCAL(D, R) \
	VDIVSS D, X30, R       \
	VPAND  X0, R, X8       \
	VCMPSS $2, X27, X8, K3 \
	VMOVSS.Z R, R, K3, R

// AWAY writes the 16 integers nearest to Z times Z5, halves away from zero. Z0 is all bits but the sign, Z31 the sign, Z30 is 1, Z29 1/2; S
// and T are scratch.
#define AWAY(Z, S, T, TO) \
	VMULPS      Z5, Z, Z       \
	VRNDSCALEPS $3, Z, S       \
	VSUBPS      S, Z, T        \
	VPANDD      Z0, T, T       \
	VCMPPS      $13, Z29, T, K1 \
	VPANDD      Z31, Z, T      \
	VPORD       Z30, T, T      \
	VADDPS      T, S, K1, S    \
	VCVTTPS2DQ  S, S           \
	VPMOVDB     S, TO

// func peakAVX512(x *float32, n int) uint32
//
// n is a multiple of 16. Z0: all bits but the sign. Z1: the largest magnitudes, as bits.
TEXT ·peakAVX512(SB), NOSPLIT, $0-20
	MOVQ         x+0(FP), SI
	MOVQ         n+8(FP), CX
	VPBROADCASTD magnitude<>(SB), Z0
	VPXORD       Z1, Z1, Z1

loop:
	SUBQ    $16, CX
	JLT     done
	VPANDD  (SI), Z0, Z2
	VPMAXUD Z2, Z1, Z1
	ADDQ    $64, SI
	JMP     loop

done:
	REDUCE(Z1, Y1, X1, Y2, X2)
	VMOVD X1, AX
	MOVL  AX, ret+16(FP)
	VZEROUPPER
	RET

// func encodeF16AVX512(dst *byte, x *float32, n int)
//
// n is a multiple of 16.
TEXT ·encodeF16AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	SUBQ      $16, CX
	JLT       done
	VMOVUPS   (SI), Z0
	VCVTPS2PH $0, Z0, (DI)
	ADDQ      $64, SI
	ADDQ      $32, DI
	JMP       loop

done:
	VZEROUPPER
	RET

// func encodeBF16AVX512(dst *byte, x *float32, n int)
//
// n is a multiple of 16. Z0: 1. Z1: a half of the last place that stays, less one unless that place is odd.
TEXT ·encodeBF16AVX512(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VPBROADCASTD place<>+0(SB), Z0
	VPBROADCASTD place<>+4(SB), Z1

loop:
	SUBQ      $16, CX
	JLT       done
	VMOVUPS   (SI), Z2
	VPSRLD    $16, Z2, Z3
	VPANDD    Z0, Z3, Z3
	VPADDD    Z1, Z2, Z2
	VPADDD    Z3, Z2, Z2
	VPSRLD    $16, Z2, Z2
	VPMOVDW   Z2, (DI)
	ADDQ      $64, SI
	ADDQ      $32, DI
	JMP       loop

done:
	VZEROUPPER
	RET

// func encodeQ8_0AVX512(dst *byte, x *float32, blocks int)
//
// Z0: all bits but the sign. Z31: the sign. Z30: 1. Z29: 1/2. X28: 127. X27: the largest number. Z1, Z2: a block. X4: its scale, X5: the
// reciprocal.
TEXT ·encodeQ8_0AVX512(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         blocks+16(FP), CX
	VPBROADCASTD magnitude<>(SB), Z0
	VPTERNLOGD   $0x55, Z0, Z0, Z31
	VBROADCASTSS numbers<>+0(SB), Z30
	VBROADCASTSS numbers<>+4(SB), Z29
	VMOVSS       numbers<>+8(SB), X28
	VMOVSS       numbers<>+12(SB), X27

loop:
	SUBQ      $1, CX
	JLT       done
	VMOVUPS   (SI), Z1
	VMOVUPS   64(SI), Z2
	VPANDD    Z0, Z1, Z3
	VPANDD    Z0, Z2, Z4
	VPMAXUD   Z4, Z3, Z3
	REDUCE(Z3, Y3, X3, Y4, X4)
	VDIVSS    X28, X3, X4
	RECIPROCAL(X4, X5)
	VCVTPS2PH $0, X4, X6
	VPEXTRW   $0, X6, (DI)
	VBROADCASTSS X5, Z5
	AWAY(Z1, Z6, Z7, 2(DI))
	AWAY(Z2, Z6, Z7, 18(DI))
	ADDQ      $128, SI
	ADDQ      $34, DI
	JMP       loop

done:
	VZEROUPPER
	RET

// func encodeQ4_0AVX512(dst *byte, x *float32, blocks int)
//
// Z0: all bits but the sign. Z30: 1. Z29: 8.5. X28: -1/8. X27: the largest number. Z26: 15. Z1, Z2: a block. X4: its scale, X5: the
// reciprocal.
TEXT ·encodeQ4_0AVX512(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         blocks+16(FP), CX
	VPBROADCASTD magnitude<>(SB), Z0
	VBROADCASTSS numbers<>+0(SB), Z30
	VMOVSS       numbers<>+12(SB), X27
	VBROADCASTSS numbers<>+16(SB), Z29
	VMOVSS       numbers<>+20(SB), X28
	VPBROADCASTD numbers<>+24(SB), Z26

loop:
	SUBQ      $1, CX
	JLT       done
	VMOVUPS   (SI), Z1
	VMOVUPS   64(SI), Z2
	VPANDD    Z0, Z1, Z3
	VPANDD    Z0, Z2, Z4
	VPMAXUD   Z4, Z3, Z5
	REDUCE(Z5, Y5, X5, Y6, X6)
	VPBROADCASTD X5, Z6
	VPCMPEQD  Z6, Z3, K1
	VPCMPEQD  Z6, Z4, K2
	KUNPCKWD  K1, K2, K1
	KMOVD     K1, AX
	BSFL      AX, AX
	VMOVD     X5, BX
	TESTL     BX, BX
	JZ        scale // of zeros, X5 is 0 and has no sign
	VMOVSS    (SI)(AX*4), X5

scale:
	VMULSS    X28, X5, X4
	RECIPROCAL(X4, X5)
	VCVTPS2PH $0, X4, X6
	VPEXTRW   $0, X6, (DI)
	VBROADCASTSS X5, Z5
	VMULPS    Z5, Z1, Z1
	VMULPS    Z5, Z2, Z2
	VADDPS    Z29, Z1, Z1
	VADDPS    Z29, Z2, Z2
	VCVTTPS2DQ Z1, Z1
	VCVTTPS2DQ Z2, Z2
	VPMINSD   Z26, Z1, Z1
	VPMINSD   Z26, Z2, Z2
	VPSLLD    $4, Z2, Z2
	VPORD     Z2, Z1, Z1
	VPMOVDB   Z1, 2(DI)
	ADDQ      $128, SI
	ADDQ      $18, DI
	JMP       loop

done:
	VZEROUPPER
	RET

// All bits but the sign.
DATA magnitude<>+0(SB)/4, $0x7FFFFFFF
GLOBL magnitude<>(SB), RODATA, $4

DATA place<>+0(SB)/4, $1
DATA place<>+4(SB)/4, $0x7FFF
GLOBL place<>(SB), RODATA, $8

// 1, 1/2, 127, the largest number, 8.5, -1/8 and, an integer, 15.
DATA numbers<>+0(SB)/4, $1.0
DATA numbers<>+4(SB)/4, $0.5
DATA numbers<>+8(SB)/4, $127.0
DATA numbers<>+12(SB)/4, $0x7F7FFFFF
DATA numbers<>+16(SB)/4, $8.5
DATA numbers<>+20(SB)/4, $-0.125
DATA numbers<>+24(SB)/4, $15
GLOBL numbers<>(SB), RODATA, $28
