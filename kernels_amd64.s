#include "textflag.h"
#include "kernels_amd64.h"

// The loops over vectors of floats for AVX2, FMA and F16C.
//
// Registers, in all of them: SI, DI, DX, BX the operands, CX the elements left, AX scratch. A loop takes eight elements a
// time, some four times as many first. What is left goes through the same instructions under a mask, so that an element's bits do not
// depend on where in a vector it stands. Nothing outside the operands is touched: masked lanes do not fault.

DATA iota<>+0(SB)/8, $0x0000000100000000
DATA iota<>+8(SB)/8, $0x0000000300000002
DATA iota<>+16(SB)/8, $0x0000000500000004
DATA iota<>+24(SB)/8, $0x0000000700000006
DATA iota<>+32(SB)/8, $0x0000000900000008
DATA iota<>+40(SB)/8, $0x0000000B0000000A
DATA iota<>+48(SB)/8, $0x0000000D0000000C
DATA iota<>+56(SB)/8, $0x0000000F0000000E
DATA iota<>+64(SB)/8, $0x0000001100000010
DATA iota<>+72(SB)/8, $0x0000001300000012
DATA iota<>+80(SB)/8, $0x0000001500000014
DATA iota<>+88(SB)/8, $0x0000001700000016
DATA iota<>+96(SB)/8, $0x0000001900000018
DATA iota<>+104(SB)/8, $0x0000001B0000001A
DATA iota<>+112(SB)/8, $0x0000001D0000001C
DATA iota<>+120(SB)/8, $0x0000001F0000001E
DATA iota<>+128(SB)/8, $0x0000002100000020
DATA iota<>+136(SB)/8, $0x0000002300000022
DATA iota<>+144(SB)/8, $0x0000002500000024
DATA iota<>+152(SB)/8, $0x0000002700000026
DATA iota<>+160(SB)/8, $0x0000002900000028
DATA iota<>+168(SB)/8, $0x0000002B0000002A
DATA iota<>+176(SB)/8, $0x0000002D0000002C
DATA iota<>+184(SB)/8, $0x0000002F0000002E
DATA iota<>+192(SB)/8, $0x0000003100000030
DATA iota<>+200(SB)/8, $0x0000003300000032
DATA iota<>+208(SB)/8, $0x0000003500000034
DATA iota<>+216(SB)/8, $0x0000003700000036
DATA iota<>+224(SB)/8, $0x0000003900000038
DATA iota<>+232(SB)/8, $0x0000003B0000003A
DATA iota<>+240(SB)/8, $0x0000003D0000003C
DATA iota<>+248(SB)/8, $0x0000003F0000003E
GLOBL iota<>(SB), (NOPTR|RODATA), $256

// COUNT sets the lanes of count to the elements left, MASK those of mask to ones where element from + lane is one of them.
#define COUNT(xcount, count) \
	VMOVD CX, xcount \
	VPBROADCASTD xcount, count

#define MASK(count, from, mask) \
	VPCMPGTD iota<>+(4*from)(SB), count, mask

// FOLD adds the lanes of sum: i and i+4, then i and i+2, then the two.
#define FOLD(sum, xsum, xtemp) \
	VEXTRACTF128 $1, sum, xtemp \
	VADDPS xtemp, xsum, xsum \
	VMOVHLPS xsum, xsum, xtemp \
	VADDPS xtemp, xsum, xsum \
	VMOVSHDUP xsum, xtemp \
	VADDSS xtemp, xsum, xsum

// func dotAVX2(a, b *float32, n int) float32
//
// Product i is added, fused, to lane i mod 32: Y0 … Y3. Then (Y0 + Y1) + (Y2 + Y3), then FOLD.
TEXT ·dotAVX2(SB), NOSPLIT, $0-28
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ n+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	SUBQ $32, CX
	JLT  rest
loop:
	VMOVUPS (SI), Y4
	VMOVUPS 32(SI), Y5
	VMOVUPS 64(SI), Y6
	VMOVUPS 96(SI), Y7
	VFMADD231PS (DX), Y4, Y0
	VFMADD231PS 32(DX), Y5, Y1
	VFMADD231PS 64(DX), Y6, Y2
	VFMADD231PS 96(DX), Y7, Y3
	ADDQ $128, SI
	ADDQ $128, DX
	SUBQ $32, CX
	JGE  loop
rest:
	ADDQ $32, CX
	JEQ  sum
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	MASK(Y8, 8, Y10)
	MASK(Y8, 16, Y11)
	MASK(Y8, 24, Y12)
	VMASKMOVPS (SI), Y9, Y4
	VMASKMOVPS (DX), Y9, Y5
	VFMADD231PS Y5, Y4, Y0
	VMASKMOVPS 32(SI), Y10, Y4
	VMASKMOVPS 32(DX), Y10, Y5
	VFMADD231PS Y5, Y4, Y1
	VMASKMOVPS 64(SI), Y11, Y4
	VMASKMOVPS 64(DX), Y11, Y5
	VFMADD231PS Y5, Y4, Y2
	VMASKMOVPS 96(SI), Y12, Y4
	VMASKMOVPS 96(DX), Y12, Y5
	VFMADD231PS Y5, Y4, Y3
sum:
	VADDPS Y1, Y0, Y0
	VADDPS Y3, Y2, Y2
	VADDPS Y2, Y0, Y0
	FOLD(Y0, X0, X1)
	VZEROUPPER
	MOVSS X0, ret+24(FP)
	RET

// func addScaledAVX2(dst, x *float32, n int, s float32)
TEXT ·addScaledAVX2(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS s+24(FP), Y15
	SUBQ $32, CX
	JLT  eights
loop:
	VMOVUPS (DI), Y0
	VMOVUPS 32(DI), Y1
	VMOVUPS 64(DI), Y2
	VMOVUPS 96(DI), Y3
	VFMADD231PS (SI), Y15, Y0
	VFMADD231PS 32(SI), Y15, Y1
	VFMADD231PS 64(SI), Y15, Y2
	VFMADD231PS 96(SI), Y15, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JGE  loop
eights:
	ADDQ $24, CX
	JLT  rest
eight:
	VMOVUPS (DI), Y0
	VFMADD231PS (SI), Y15, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGE  eight
rest:
	ADDQ $8, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (DI), Y9, Y0
	VMASKMOVPS (SI), Y9, Y1
	VFMADD231PS Y1, Y15, Y0
	VMASKMOVPS Y0, Y9, (DI)
done:
	VZEROUPPER
	RET

// func scaleAVX2(dst, x, weight *float32, n int, r float32)
//
// dst = x·r·weight, multiplied in that order; weight may be nil.
TEXT ·scaleAVX2(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ weight+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS r+32(FP), Y15
	TESTQ DX, DX
	JEQ  plain
	SUBQ $16, CX
	JLT  eights
loop:
	VMULPS (SI), Y15, Y0
	VMULPS 32(SI), Y15, Y1
	VMULPS (DX), Y0, Y0
	VMULPS 32(DX), Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
	JGE  loop
eights:
	ADDQ $8, CX
	JLT  rest
	VMULPS (SI), Y15, Y0
	VMULPS (DX), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
rest:
	ADDQ $8, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (SI), Y9, Y0
	VMASKMOVPS (DX), Y9, Y1
	VMULPS Y0, Y15, Y0
	VMULPS Y1, Y0, Y0
	VMASKMOVPS Y0, Y9, (DI)
done:
	VZEROUPPER
	RET
plain:
	SUBQ $8, CX
	JLT  plainRest
plainLoop:
	VMULPS (SI), Y15, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGE  plainLoop
plainRest:
	ADDQ $8, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (SI), Y9, Y0
	VMULPS Y0, Y15, Y0
	VMASKMOVPS Y0, Y9, (DI)
	JMP  done

// func clampAVX2(x *float32, n int, low, high float32)
//
// Y1 are the lower bounds, Y2 the upper ones. Of two operands the one from x is what stays where they cannot be compared.
TEXT ·clampAVX2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VBROADCASTSS low+16(FP), Y1
	VBROADCASTSS high+20(FP), Y2
	SUBQ $8, CX
	JLT  rest
loop:
	VMAXPS (DI), Y1, Y0
	VMINPS Y0, Y2, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JGE  loop
rest:
	ADDQ $8, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (DI), Y9, Y0
	VMAXPS Y0, Y1, Y0
	VMINPS Y0, Y2, Y0
	VMASKMOVPS Y0, Y9, (DI)
done:
	VZEROUPPER
	RET

// func addNormedAVX2(dst, x, weight *float32, n int, r float32)
//
// dst += x·r·weight.
TEXT ·addNormedAVX2(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ weight+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS r+32(FP), Y15
	SUBQ $16, CX
	JLT  eights
loop:
	VMULPS (SI), Y15, Y0
	VMULPS 32(SI), Y15, Y1
	VMULPS (DX), Y0, Y0
	VMULPS 32(DX), Y1, Y1
	VADDPS (DI), Y0, Y0
	VADDPS 32(DI), Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
	JGE  loop
eights:
	ADDQ $8, CX
	JLT  rest
	VMULPS (SI), Y15, Y0
	VMULPS (DX), Y0, Y0
	VADDPS (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	SUBQ $8, CX
rest:
	ADDQ $8, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (SI), Y9, Y0
	VMASKMOVPS (DX), Y9, Y1
	VMASKMOVPS (DI), Y9, Y2
	VMULPS Y0, Y15, Y0
	VMULPS Y1, Y0, Y0
	VADDPS Y2, Y0, Y0
	VMASKMOVPS Y0, Y9, (DI)
done:
	VZEROUPPER
	RET

// func maxAVX2(x *float32, n int) float32
TEXT ·maxAVX2(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VMOVUPS minusInf<>(SB), Y0
	VMOVAPS Y0, Y1
	SUBQ $16, CX
	JLT  rest
loop:
	VMAXPS (SI), Y0, Y0
	VMAXPS 32(SI), Y1, Y1
	ADDQ $64, SI
	SUBQ $16, CX
	JGE  loop
rest:
	ADDQ $16, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	MASK(Y8, 8, Y10)
	VMOVUPS minusInf<>(SB), Y3
	VMASKMOVPS (SI), Y9, Y2
	VBLENDVPS Y9, Y2, Y3, Y2
	VMAXPS Y2, Y0, Y0
	VMASKMOVPS 32(SI), Y10, Y2
	VBLENDVPS Y10, Y2, Y3, Y2
	VMAXPS Y2, Y1, Y1
done:
	VMAXPS Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VMAXPS X1, X0, X0
	VMOVHLPS X0, X0, X1
	VMAXPS X1, X0, X0
	VMOVSHDUP X0, X1
	VMAXSS X1, X0, X0
	VZEROUPPER
	MOVSS X0, ret+16(FP)
	RET

// SERIES: p = c0 + c1·r + … + c5·r⁵, so that 2^r = 1 + r·p.
#define SERIES(r, p) \
	VMOVUPS exp2C5<>(SB), p \
	VFMADD213PS exp2C4<>(SB), r, p \
	VFMADD213PS exp2C3<>(SB), r, p \
	VFMADD213PS exp2C2<>(SB), r, p \
	VFMADD213PS exp2C1<>(SB), r, p \
	VFMADD213PS exp2C0<>(SB), r, p

// GELU sets Y0 to gelu(Y0)·Y1. Y10 … Y15 hold one, round127, geluK1, geluK2, geluMin, geluMax; Y2 … Y6 are scratch. A minimum or a
// maximum takes its first operand here if that is NaN.
#define GELU \
	VMINPS Y0, Y15, Y2 \
	VMAXPS Y2, Y14, Y2 \
	VMULPS Y2, Y2, Y3 \
	VFMADD213PS Y12, Y13, Y3 /* k1 + k2·x² */ \
	VMOVAPS Y11, Y4 \
	VFMADD231PS Y3, Y2, Y4 /* t rounded, biased */ \
	VSUBPS Y11, Y4, Y5 /* n */ \
	VFMSUB213PS Y5, Y3, Y2 /* r = t − n, rounded once */ \
	SERIES(Y2, Y6) \
	VFMADD213PS Y10, Y2, Y6 /* 2^r */ \
	VPSLLD $23, Y4, Y4 /* 2^n */ \
	VFMADD213PS Y10, Y4, Y6 \
	VDIVPS Y6, Y0, Y0 \
	VMULPS Y1, Y0, Y0

// func geluAVX2(gate, up *float32, n int)
TEXT ·geluAVX2(SB), NOSPLIT, $0-24
	MOVQ gate+0(FP), DI
	MOVQ up+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVUPS one<>(SB), Y10
	VMOVUPS round127<>(SB), Y11
	VMOVUPS geluK1<>(SB), Y12
	VMOVUPS geluK2<>(SB), Y13
	VMOVUPS geluMin<>(SB), Y14
	VMOVUPS geluMax<>(SB), Y15
	SUBQ $8, CX
	JLT  rest
loop:
	VMOVUPS (DI), Y0
	VMOVUPS (SI), Y1
	GELU
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGE  loop
rest:
	ADDQ $8, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (DI), Y9, Y0
	VMASKMOVPS (SI), Y9, Y1
	GELU
	VMASKMOVPS Y0, Y9, (DI)
done:
	VZEROUPPER
	RET

// SOFTCAP sets Y0 to limit·tanh(Y0/limit). With m = 2^|t| − 1, t = 2·log2(e)·x/limit, it is limit·m/(m + 2) with the sign
// of x. Y9 … Y15 hold two, one, round127, the high and the low part of 2·log2(e)/limit, the |x| where |t| = 30, limit; Y1 … Y6 are scratch.
#define SOFTCAP \
	VANDPS absBits<>(SB), Y0, Y2 \
	VANDPS signBits<>(SB), Y0, Y1 \
	VMINPS Y2, Y14, Y2 \
	VMOVAPS Y11, Y4 \
	VFMADD231PS Y12, Y2, Y4 /* |t| rounded, biased */ \
	VSUBPS Y11, Y4, Y5 /* n */ \
	VFMSUB231PS Y12, Y2, Y5 /* r = |t| − n, the high part */ \
	VFMADD231PS Y13, Y2, Y5 \
	SERIES(Y5, Y6) \
	VMULPS Y5, Y6, Y6 /* 2^r − 1 */ \
	VPSLLD $23, Y4, Y4 /* 2^n */ \
	VSUBPS Y10, Y4, Y5 \
	VFMADD213PS Y5, Y4, Y6 /* m = (2^r − 1)·2^n + 2^n − 1 */ \
	VADDPS Y9, Y6, Y5 \
	VDIVPS Y5, Y6, Y0 \
	VMULPS Y15, Y0, Y0 \
	VORPS Y1, Y0, Y0

// func softCapAVX2(x *float32, n int, limit, high, low, most float32)
TEXT ·softCapAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VMOVUPS two<>(SB), Y9
	VMOVUPS one<>(SB), Y10
	VMOVUPS round127<>(SB), Y11
	VBROADCASTSS high+20(FP), Y12
	VBROADCASTSS low+24(FP), Y13
	VBROADCASTSS most+28(FP), Y14
	VBROADCASTSS limit+16(FP), Y15
	SUBQ $8, CX
	JLT  rest
loop:
	VMOVUPS (DI), Y0
	SOFTCAP
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JGE  loop
rest:
	ADDQ $8, CX
	JEQ  done
	COUNT(X7, Y7)
	MASK(Y7, 0, Y8)
	VMASKMOVPS (DI), Y8, Y0
	SOFTCAP
	VMASKMOVPS Y0, Y8, (DI)
done:
	VZEROUPPER
	RET

// EXP sets Y0 to exp(Y0 − shift). Y10 … Y15 hold shift, round254, log2(e) high and low, expMin, expMax; Y2 … Y6 are scratch. 2^n is
// applied in two steps, so that the result rounds to a subnormal, to 0 or to infinity once.
#define EXP \
	VSUBPS Y10, Y0, Y2 \
	VMINPS Y2, Y15, Y2 \
	VMAXPS Y2, Y14, Y2 \
	VMOVAPS Y11, Y4 \
	VFMADD231PS Y12, Y2, Y4 /* t rounded, biased */ \
	VSUBPS Y11, Y4, Y5 /* n */ \
	VFMSUB231PS Y12, Y2, Y5 /* r = t − n, the high part */ \
	VFMADD231PS Y13, Y2, Y5 \
	SERIES(Y5, Y6) \
	VFMADD213PS one<>(SB), Y5, Y6 /* 2^r */ \
	VPAND exp2Bits<>(SB), Y4, Y4 /* n + 254 */ \
	VPSRLD $1, Y4, Y3 \
	VPSUBD Y3, Y4, Y4 \
	VPSLLD $23, Y3, Y3 \
	VPSLLD $23, Y4, Y4 \
	VMULPS Y3, Y6, Y6 \
	VMULPS Y4, Y6, Y0

// func expSumAVX2(x *float32, n int, shift float32) float32
//
// Result i is added to lane i mod 8 of Y1; then FOLD.
TEXT ·expSumAVX2(SB), NOSPLIT, $0-28
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VBROADCASTSS shift+16(FP), Y10
	VMOVUPS round254<>(SB), Y11
	VMOVUPS log2eHigh<>(SB), Y12
	VMOVUPS log2eLow<>(SB), Y13
	VMOVUPS expMin<>(SB), Y14
	VMOVUPS expMax<>(SB), Y15
	VXORPS Y1, Y1, Y1
	SUBQ $8, CX
	JLT  rest
loop:
	VMOVUPS (DI), Y0
	EXP
	VADDPS Y0, Y1, Y1
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	SUBQ $8, CX
	JGE  loop
rest:
	ADDQ $8, CX
	JEQ  sum
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (DI), Y9, Y0
	EXP
	VMASKMOVPS Y0, Y9, (DI)
	VANDPS Y9, Y0, Y0
	VADDPS Y0, Y1, Y1
sum:
	FOLD(Y1, X1, X2)
	VZEROUPPER
	MOVSS X1, ret+24(FP)
	RET

// func rotateAVX2(x, cos, sin *float32, half int)
//
// SI is the lower half, DI the upper one. Products are rounded before they are added, as in Go.
TEXT ·rotateAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), SI
	MOVQ cos+8(FP), DX
	MOVQ sin+16(FP), BX
	MOVQ half+24(FP), CX
	LEAQ (SI)(CX*4), DI
	SUBQ $8, CX
	JLT  rest
loop:
	VMOVUPS (DX), Y2
	VMOVUPS (BX), Y3
	VMOVUPS (SI), Y0
	VMOVUPS (DI), Y1
	VMULPS Y2, Y0, Y4
	VMULPS Y3, Y1, Y5
	VMULPS Y2, Y1, Y6
	VMULPS Y3, Y0, Y7
	VSUBPS Y5, Y4, Y4
	VADDPS Y7, Y6, Y6
	VMOVUPS Y4, (SI)
	VMOVUPS Y6, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	ADDQ $32, DX
	ADDQ $32, BX
	SUBQ $8, CX
	JGE  loop
rest:
	ADDQ $8, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (DX), Y9, Y2
	VMASKMOVPS (BX), Y9, Y3
	VMASKMOVPS (SI), Y9, Y0
	VMASKMOVPS (DI), Y9, Y1
	VMULPS Y2, Y0, Y4
	VMULPS Y3, Y1, Y5
	VMULPS Y2, Y1, Y6
	VMULPS Y3, Y0, Y7
	VSUBPS Y5, Y4, Y4
	VADDPS Y7, Y6, Y6
	VMASKMOVPS Y4, Y9, (SI)
	VMASKMOVPS Y6, Y9, (DI)
done:
	VZEROUPPER
	RET

// HORNER takes both series a step further in z², Y4.
#define HORNER(c, s) \
	VADDPD c<>(SB), Y6, Y6 \
	VADDPD s<>(SB), Y5, Y5 \
	VMULPD Y4, Y6, Y6 \
	VMULPD Y4, Y5, Y5

// ANGLES sets X6 and X7 to the cosines and sines of the angles Y0·Y15, and lanes of Y14 to ones where an angle is not below 2²⁹. Y1 is
// the angles' signs, Y2 what swaps sine and cosine, Y3 what turns both of them around, in the sign bits; Y0, Y4 and Y5 are scratch.
#define ANGLES \
	VMULPD Y15, Y0, Y1 \
	VANDPD abs64<>(SB), Y1, Y0 \
	VCMPPD $0x15, angleMax<>(SB), Y0, Y2 /* not below, or NaN */ \
	VORPD Y2, Y14, Y14 \
	VMULPD eighths<>(SB), Y0, Y2 \
	VCVTTPD2DQY Y2, X2 \
	VPADDD ones32<>(SB), X2, X2 \
	VPAND evens32<>(SB), X2, X2 \
	VCVTDQ2PD X2, Y3 /* y */ \
	VMULPD eighthA<>(SB), Y3, Y4 \
	VSUBPD Y4, Y0, Y0 \
	VMULPD eighthB<>(SB), Y3, Y4 \
	VSUBPD Y4, Y0, Y0 \
	VMULPD eighthC<>(SB), Y3, Y4 \
	VSUBPD Y4, Y0, Y0 /* z */ \
	VMULPD Y0, Y0, Y4 /* z² */ \
	VPMOVZXDQ X2, Y2 \
	VPSLLQ $61, Y2, Y3 \
	VPSLLQ $62, Y2, Y2 \
	VMULPD cos0<>(SB), Y4, Y6 \
	VMULPD sin0<>(SB), Y4, Y5 \
	HORNER(cos1, sin1) \
	HORNER(cos2, sin2) \
	HORNER(cos3, sin3) \
	HORNER(cos4, sin4) \
	VADDPD cos5<>(SB), Y6, Y6 \
	VADDPD sin5<>(SB), Y5, Y5 \
	VMULPD Y4, Y0, Y7 \
	VMULPD Y5, Y7, Y5 \
	VADDPD Y5, Y0, Y5 /* sin z */ \
	VMULPD Y4, Y4, Y7 \
	VMULPD Y6, Y7, Y6 \
	VMULPD half64<>(SB), Y4, Y7 \
	VMOVUPD one64<>(SB), Y4 \
	VSUBPD Y7, Y4, Y7 \
	VADDPD Y6, Y7, Y6 /* cos z */ \
	VBLENDVPD Y2, Y6, Y5, Y7 \
	VBLENDVPD Y2, Y5, Y6, Y6 \
	VXORPD Y3, Y2, Y2 \
	VXORPD Y3, Y1, Y1 \
	VANDPD signs64<>(SB), Y2, Y2 \
	VANDPD signs64<>(SB), Y1, Y1 \
	VXORPD Y2, Y6, Y6 \
	VXORPD Y1, Y7, Y7 \
	VCVTPD2PSY Y6, X6 \
	VCVTPD2PSY Y7, X7

// func anglesAVX2(cos, sin *float32, freqs *float64, n int, position float64) bool
//
// False: some angle is too large, not finite or NaN, and the results are of no use.
TEXT ·anglesAVX2(SB), NOSPLIT, $0-41
	MOVQ cos+0(FP), DI
	MOVQ sin+8(FP), SI
	MOVQ freqs+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSD position+32(FP), Y15
	VXORPD Y14, Y14, Y14
	SUBQ $4, CX
	JLT  rest
loop:
	VMOVUPD (DX), Y0
	ANGLES
	VMOVUPS X6, (DI)
	VMOVUPS X7, (SI)
	ADDQ $32, DX
	ADDQ $16, DI
	ADDQ $16, SI
	SUBQ $4, CX
	JGE  loop
rest:
	ADDQ $4, CX
	JEQ  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VPMOVSXDQ X9, Y10
	VMASKMOVPD (DX), Y10, Y0
	ANGLES
	VMASKMOVPS X6, X9, (DI)
	VMASKMOVPS X7, X9, (SI)
done:
	VMOVMSKPD Y14, AX
	VZEROUPPER
	TESTL AX, AX
	SETEQ ret+40(FP)
	RET

// func encodeF16AVX2(dst *byte, x *float32, n int)
TEXT ·encodeF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	SUBQ $16, CX
	JLT  eights
loop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VCVTPS2PH $0, Y0, (DI)
	VCVTPS2PH $0, Y1, 16(DI)
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $16, CX
	JGE  loop
eights:
	ADDQ $8, CX
	JLT  rest
	VMOVUPS (SI), Y0
	VCVTPS2PH $0, Y0, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	SUBQ $8, CX
rest:
	ADDQ $8, CX
	JEQ  done
single:
	VMOVSS (SI), X0
	VCVTPS2PH $0, X0, X0
	VPEXTRW $0, X0, (DI)
	ADDQ $4, SI
	ADDQ $2, DI
	DECQ CX
	JNE  single
done:
	VZEROUPPER
	RET

LANES8(max127, 0x42FE000042FE0000)
LANES8(least, 0x0D8000000D800000) // 2⁻¹⁰⁰
LANES8(finite, 0x7F7FFFFF7F7FFFFF) // the largest float
LANES8(nanZero, 0x000000007FC00000) // NaN in even lanes, 0 in odd ones
LANES8(oneBytes, 0x0101010101010101)
LANES8(minusWords, 0xFFFFFFFFFFFFFFFF)
DATA unpack<>+0(SB)/8, $0x0000000400000000
DATA unpack<>+8(SB)/8, $0x0000000500000001
DATA unpack<>+16(SB)/8, $0x0000000600000002
DATA unpack<>+24(SB)/8, $0x0000000700000003
GLOBL unpack<>(SB), (NOPTR|RODATA), $32

// func quantizeAVX2(dst *tensor.Q8, x *float32, n int)
//
// A Q8 a time: Y0 … Y3 and Y4 … Y7 are its two blocks. Magnitudes are compared as integers: their bits are in the same
// order, infinity and then NaN on top.
TEXT ·quantizeAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVUPS absBits<>(SB), Y14
	VMOVUPS unpack<>(SB), Y15
next:
	CMPQ CX, $64
	JLT  rest
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VMOVUPS 128(SI), Y4
	VMOVUPS 160(SI), Y5
	VMOVUPS 192(SI), Y6
	VMOVUPS 224(SI), Y7
	JMP  unit
rest:
	TESTQ CX, CX
	JLE  done
	COUNT(X8, Y8)
	MASK(Y8, 0, Y9)
	VMASKMOVPS (SI), Y9, Y0
	MASK(Y8, 8, Y9)
	VMASKMOVPS 32(SI), Y9, Y1
	MASK(Y8, 16, Y9)
	VMASKMOVPS 64(SI), Y9, Y2
	MASK(Y8, 24, Y9)
	VMASKMOVPS 96(SI), Y9, Y3
	MASK(Y8, 32, Y9)
	VMASKMOVPS 128(SI), Y9, Y4
	MASK(Y8, 40, Y9)
	VMASKMOVPS 160(SI), Y9, Y5
	MASK(Y8, 48, Y9)
	VMASKMOVPS 192(SI), Y9, Y6
	MASK(Y8, 56, Y9)
	VMASKMOVPS 224(SI), Y9, Y7
unit:
	VPAND Y14, Y0, Y8
	VPAND Y14, Y1, Y9
	VPAND Y14, Y2, Y10
	VPAND Y14, Y3, Y11
	VPMAXUD Y9, Y8, Y8
	VPMAXUD Y11, Y10, Y10
	VPMAXUD Y10, Y8, Y8
	VPAND Y14, Y4, Y9
	VPAND Y14, Y5, Y10
	VPAND Y14, Y6, Y11
	VPAND Y14, Y7, Y12
	VPMAXUD Y10, Y9, Y9
	VPMAXUD Y12, Y11, Y11
	VPMAXUD Y11, Y9, Y9
	VPERM2I128 $0x20, Y9, Y8, Y10
	VPERM2I128 $0x31, Y9, Y8, Y11
	VPMAXUD Y11, Y10, Y10
	VPSHUFD $0x4E, Y10, Y11
	VPMAXUD Y11, Y10, Y10
	VPSHUFD $0xB1, Y10, Y11
	VPMAXUD Y11, Y10, Y10 // the first block's top in the lower four lanes, the second's in the upper four
	VMOVUPS max127<>(SB), Y8
	VBLENDPS $0xAA, Y8, Y10, Y9 // top, 127, …
	VBLENDPS $0xAA, Y10, Y8, Y8 // 127, top, …
	VDIVPS Y8, Y9, Y11 // scale, inverse, …
	VMOVUPS least<>(SB), Y8
	VPCMPGTD Y10, Y8, Y12 // next to nothing: both 0
	VPANDN Y11, Y12, Y11
	VPCMPGTD finite<>(SB), Y10, Y13 // not finite: NaN and 0
	VBLENDVPS Y13, nanZero<>(SB), Y11, Y11
	VEXTRACTF128 $1, Y11, X12
	VBROADCASTSS X11, Y8
	VBROADCASTSS X12, Y9
	VMOVUPS Y8, 64(DI)
	VMOVUPS Y9, 96(DI)
	VMOVSHDUP X11, X11
	VMOVSHDUP X12, X12
	VBROADCASTSS X11, Y8
	VBROADCASTSS X12, Y9
	VMULPS Y8, Y0, Y0
	VMULPS Y8, Y1, Y1
	VMULPS Y8, Y2, Y2
	VMULPS Y8, Y3, Y3
	VMULPS Y9, Y4, Y4
	VMULPS Y9, Y5, Y5
	VMULPS Y9, Y6, Y6
	VMULPS Y9, Y7, Y7
	VCVTPS2DQ Y0, Y0
	VCVTPS2DQ Y1, Y1
	VCVTPS2DQ Y2, Y2
	VCVTPS2DQ Y3, Y3
	VCVTPS2DQ Y4, Y4
	VCVTPS2DQ Y5, Y5
	VCVTPS2DQ Y6, Y6
	VCVTPS2DQ Y7, Y7
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKSSDW Y5, Y4, Y4
	VPACKSSDW Y7, Y6, Y6
	VPACKSSWB Y2, Y0, Y0
	VPACKSSWB Y6, Y4, Y4
	VPERMD Y0, Y15, Y0
	VPERMD Y4, Y15, Y4
	VPERMQ $0x00, Y13, Y1
	VPERMQ $0xFF, Y13, Y5
	VPANDN Y0, Y1, Y0 // NaN · 0 is no 0
	VPANDN Y4, Y5, Y4
	VMOVDQU Y0, (DI)
	VMOVDQU Y4, 32(DI)
	VMOVDQU oneBytes<>(SB), Y8
	VPMADDUBSW Y0, Y8, Y1
	VPMADDUBSW Y4, Y8, Y5
	VPMADDWD minusWords<>(SB), Y1, Y1
	VPMADDWD minusWords<>(SB), Y5, Y5
	VMOVDQU Y1, 128(DI)
	VMOVDQU Y5, 160(DI)
	ADDQ $256, SI
	ADDQ $192, DI
	SUBQ $64, CX
	JMP  next
done:
	VZEROUPPER
	RET

LANES8(underHalf, 0x3EFFFFFF3EFFFFFF) // the largest float below ½

// ROUND rounds y to the nearest whole number, halves away from zero: what is a little less than one half with the sign of y is added
// and the fraction dropped. Y9 holds the inverse of the scale, Y12 and Y13 signBits and underHalf.
#define ROUND(y) \
	VMULPS Y9, y, y; \
	VANDPS Y12, y, Y8; \
	VORPS Y13, Y8, Y8; \
	VADDPS Y8, y, y; \
	VCVTTPS2DQ y, y

// PEAK loads a block to Y0 … Y3 and sets all of X4 and AX to its largest magnitude, found as in quantizeAVX2; Y14 holds absBits.
#define PEAK \
	VMOVUPS (SI), Y0; \
	VMOVUPS 32(SI), Y1; \
	VMOVUPS 64(SI), Y2; \
	VMOVUPS 96(SI), Y3; \
	VPAND Y14, Y0, Y4; \
	VPAND Y14, Y1, Y5; \
	VPAND Y14, Y2, Y6; \
	VPAND Y14, Y3, Y7; \
	VPMAXUD Y5, Y4, Y4; \
	VPMAXUD Y7, Y6, Y6; \
	VPMAXUD Y6, Y4, Y4; \
	VEXTRACTI128 $1, Y4, X5; \
	VPMAXUD X5, X4, X4; \
	VPSHUFD $0x4E, X4, X5; \
	VPMAXUD X5, X4, X4; \
	VPSHUFD $0xB1, X4, X5; \
	VPMAXUD X5, X4, X4; \
	VMOVD X4, AX

// func encodeQ8_0AVX2(dst *byte, x *float32, blocks int)
TEXT ·encodeQ8_0AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVSS max127<>(SB), X10
	VMOVSS one<>(SB), X11
	VMOVUPS signBits<>(SB), Y12
	VMOVUPS underHalf<>(SB), Y13
	VMOVUPS absBits<>(SB), Y14
	VMOVUPS unpack<>(SB), Y15
next:
	DECQ CX
	JLT  done
	PEAK
	CMPL AX, $0x7F800000
	JHS  infinite
	VDIVSS X10, X4, X5 // the scale
	VCVTPS2PH $0, X5, X6
	VPEXTRW $0, X6, (DI)
	VDIVSS X5, X11, X9
	VMOVD X9, AX
	CMPL AX, $0x7F800000
	JNE  finite
	VXORPS X9, X9, X9
finite:
	VBROADCASTSS X9, Y9
	ROUND(Y0)
	ROUND(Y1)
	ROUND(Y2)
	ROUND(Y3)
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKSSWB Y2, Y0, Y0
	VPERMD Y0, Y15, Y0
	VMOVDQU Y0, 2(DI)
step:
	ADDQ $128, SI
	ADDQ $34, DI
	JMP  next
infinite:
	VPXOR Y0, Y0, Y0
	VMOVDQU Y0, 2(DI)
	MOVW $0x7E00, (DI) // NaN
	JMP  step
done:
	VZEROUPPER
	RET

LANES8(minusEighth, 0xBE000000BE000000)
LANES8(eightAndHalf, 0x4108000041080000)
LANES8(fifteenWords, 0x000F000F000F000F)

// ROUND4 makes y numbers from 0 to 16: 0 stands for −8, and 8.5 rounds to nearest. Y9 holds the inverse of the scale, Y13 eightAndHalf.
#define ROUND4(y) \
	VMULPS Y9, y, y; \
	VADDPS Y13, y, y; \
	VCVTTPS2DQ y, y

// FIND sets y to where the magnitudes of x are those of Y4.
#define FIND(x, y) \
	VPAND Y14, x, y; \
	VPCMPEQD Y4, y, y

// func encodeQ4_0AVX2(dst *byte, x *float32, blocks int)
//
// Of the numbers whose magnitude is the largest, the first counts, with its sign.
TEXT ·encodeQ4_0AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVSS one<>(SB), X11
	VMOVUPS fifteenWords<>(SB), Y12
	VMOVUPS eightAndHalf<>(SB), Y13
	VMOVUPS absBits<>(SB), Y14
	VMOVUPS unpack<>(SB), Y15
	VXORPS X10, X10, X10
next:
	DECQ CX
	JLT  done
	PEAK
	CMPL AX, $0x7F800000
	JHS  infinite
	VPBROADCASTD X4, Y4
	FIND(Y0, Y5)
	FIND(Y1, Y6)
	FIND(Y2, Y7)
	FIND(Y3, Y8)
	VPACKSSDW Y6, Y5, Y5
	VPACKSSDW Y8, Y7, Y7
	VPACKSSWB Y7, Y5, Y5
	VPERMD Y5, Y15, Y5
	VPMOVMSKB Y5, AX
	TZCNTL AX, AX
	VADDSS (SI)(AX*4), X10, X4 // −0 becomes 0
	VMULSS minusEighth<>(SB), X4, X5 // the scale
	VCVTPS2PH $0, X5, X6
	VPEXTRW $0, X6, (DI)
	VDIVSS X5, X11, X9
	VMOVD X9, AX
	ADDL AX, AX
	CMPL AX, $0xFF000000
	JNE  finite
	VXORPS X9, X9, X9
finite:
	VBROADCASTSS X9, Y9
	ROUND4(Y0)
	ROUND4(Y1)
	ROUND4(Y2)
	ROUND4(Y3)
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPMINSW Y12, Y0, Y0
	VPMINSW Y12, Y2, Y2
	VPSLLW $4, Y2, Y2
	VPOR Y2, Y0, Y0
	VPACKUSWB Y0, Y0, Y0 // numbers 0 to 3 and 8 to 11; in the upper half 4 to 7 and 12 to 15
	VEXTRACTI128 $1, Y0, X1
	VPUNPCKLDQ X1, X0, X0
	VMOVDQU X0, 2(DI)
step:
	ADDQ $128, SI
	ADDQ $18, DI
	JMP  next
infinite:
	VPXOR X0, X0, X0
	VMOVDQU X0, 2(DI)
	MOVW $0x7E00, (DI) // NaN
	JMP  step
done:
	VZEROUPPER
	RET

// Whether a number is added to its partner 1, 2 or 4 away or subtracted from it.
DATA butterfly<>+0(SB)/8, $0xBF8000003F800000
DATA butterfly<>+8(SB)/8, $0xBF8000003F800000
DATA butterfly<>+16(SB)/8, $0xBF8000003F800000
DATA butterfly<>+24(SB)/8, $0xBF8000003F800000
DATA butterfly<>+32(SB)/8, $0x3F8000003F800000
DATA butterfly<>+40(SB)/8, $0xBF800000BF800000
DATA butterfly<>+48(SB)/8, $0x3F8000003F800000
DATA butterfly<>+56(SB)/8, $0xBF800000BF800000
DATA butterfly<>+64(SB)/8, $0x3F8000003F800000
DATA butterfly<>+72(SB)/8, $0x3F8000003F800000
DATA butterfly<>+80(SB)/8, $0xBF800000BF800000
DATA butterfly<>+88(SB)/8, $0xBF800000BF800000
GLOBL butterfly<>(SB), (NOPTR|RODATA), $96

LANES8(eighth, 0x3E0000003E000000)

// BUTTERFLIES sets y to vector i after the steps 1, 2 and 4. A product with 1 or −1 is exact, so nothing is rounded but the sum.
#define BUTTERFLIES(i, x, y) \
	VMOVUPS (32*(i))(DI), x; \
	VPERMILPS $0xB1, x, y; \
	VFMADD231PS butterfly<>+0(SB), x, y; \
	VPERMILPS $0x4E, y, x; \
	VFMADD231PS butterfly<>+32(SB), y, x; \
	VPERM2F128 $1, x, x, y; \
	VFMADD231PS butterfly<>+64(SB), x, y

// BUTTERFLY sets c and d to the sum and the difference of a and b.
#define BUTTERFLY(a, b, c, d) \
	VADDPS b, a, c; \
	VSUBPS b, a, d

#define EIGHTH(i, y) \
	VMULPS eighth<>(SB), y, y; \
	VMOVUPS y, (32*(i))(DI)

// func hadamardAVX2(x *float32, units int)
//
// The order of sums is that of the portable function: numbers 1 apart first, then 2, 4 and so on.
TEXT ·hadamardAVX2(SB), NOSPLIT, $0-16
	MOVQ x+0(FP), DI
	MOVQ units+8(FP), CX
next:
	DECQ CX
	JLT  done
	BUTTERFLIES(0, Y0, Y8)
	BUTTERFLIES(1, Y1, Y9)
	BUTTERFLIES(2, Y2, Y10)
	BUTTERFLIES(3, Y3, Y11)
	BUTTERFLIES(4, Y4, Y12)
	BUTTERFLIES(5, Y5, Y13)
	BUTTERFLIES(6, Y6, Y14)
	BUTTERFLIES(7, Y7, Y15)
	BUTTERFLY(Y8, Y9, Y0, Y1)
	BUTTERFLY(Y10, Y11, Y2, Y3)
	BUTTERFLY(Y12, Y13, Y4, Y5)
	BUTTERFLY(Y14, Y15, Y6, Y7)
	BUTTERFLY(Y0, Y2, Y8, Y10)
	BUTTERFLY(Y1, Y3, Y9, Y11)
	BUTTERFLY(Y4, Y6, Y12, Y14)
	BUTTERFLY(Y5, Y7, Y13, Y15)
	BUTTERFLY(Y8, Y12, Y0, Y4)
	BUTTERFLY(Y9, Y13, Y1, Y5)
	BUTTERFLY(Y10, Y14, Y2, Y6)
	BUTTERFLY(Y11, Y15, Y3, Y7)
	EIGHTH(0, Y0)
	EIGHTH(1, Y1)
	EIGHTH(2, Y2)
	EIGHTH(3, Y3)
	EIGHTH(4, Y4)
	EIGHTH(5, Y5)
	EIGHTH(6, Y6)
	EIGHTH(7, Y7)
	ADDQ $256, DI
	JMP  next
done:
	VZEROUPPER
	RET

// func decodeF16AVX2(dst *float32, src *byte, n int)
TEXT ·decodeF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	SUBQ $32, CX
	JLT  eights
loop:
	VCVTPH2PS (SI), Y0
	VCVTPH2PS 16(SI), Y1
	VCVTPH2PS 32(SI), Y2
	VCVTPH2PS 48(SI), Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $64, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JGE  loop
eights:
	ADDQ $24, CX
	JLT  rest
eight:
	VCVTPH2PS (SI), Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGE  eight
rest:
	ADDQ $8, CX
	JEQ  done
single:
	MOVWLZX (SI), AX
	VMOVD AX, X0
	VCVTPH2PS X0, X0
	VMOVSS X0, (DI)
	ADDQ $2, SI
	ADDQ $4, DI
	DECQ CX
	JNE  single
done:
	VZEROUPPER
	RET

// func decodeBF16AVX2(dst *float32, src *byte, n int)
TEXT ·decodeBF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	SUBQ $32, CX
	JLT  eights
loop:
	VPMOVZXWD (SI), Y0
	VPMOVZXWD 16(SI), Y1
	VPMOVZXWD 32(SI), Y2
	VPMOVZXWD 48(SI), Y3
	VPSLLD $16, Y0, Y0
	VPSLLD $16, Y1, Y1
	VPSLLD $16, Y2, Y2
	VPSLLD $16, Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $64, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JGE  loop
eights:
	ADDQ $24, CX
	JLT  rest
eight:
	VPMOVZXWD (SI), Y0
	VPSLLD $16, Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGE  eight
rest:
	ADDQ $8, CX
	JEQ  done
single:
	MOVWLZX (SI), AX
	SHLL $16, AX
	MOVL AX, (DI)
	ADDQ $2, SI
	ADDQ $4, DI
	DECQ CX
	JNE  single
done:
	VZEROUPPER
	RET

// func sumAVX2(p *byte, lines int) uint64
//
// The roofline of reading: four lines of 64 bytes a round, with others asked for some kilobytes ahead, as the row kernels do.
// SI position, CX rounds left, Y0–Y3 sums.
TEXT ·sumAVX2(SB), NOSPLIT, $0-24
	MOVQ  p+0(FP), SI
	MOVQ  lines+8(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3

loop:
	PREFETCHT1 6144(SI)
	PREFETCHT1 6208(SI)
	PREFETCHT1 6272(SI)
	PREFETCHT1 6336(SI)
	VPADDQ     (SI), Y0, Y0
	VPADDQ     32(SI), Y1, Y1
	VPADDQ     64(SI), Y2, Y2
	VPADDQ     96(SI), Y3, Y3
	VPADDQ     128(SI), Y0, Y0
	VPADDQ     160(SI), Y1, Y1
	VPADDQ     192(SI), Y2, Y2
	VPADDQ     224(SI), Y3, Y3
	ADDQ       $256, SI
	DECQ       CX
	JNZ        loop

	VPADDQ       Y1, Y0, Y0
	VPADDQ       Y3, Y2, Y2
	VPADDQ       Y2, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDQ       X1, X0, X0
	VPSRLDQ      $8, X0, X1
	VPADDQ       X1, X0, X0
	VMOVQ        X0, ret+16(FP)
	VZEROUPPER
	RET
