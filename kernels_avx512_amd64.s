#include "textflag.h"
#include "kernels_amd64.h"

// The loops over vectors of floats for AVX-512. They do what those for AVX2 do (kernels_amd64.s), sixteen elements a
// time, with masks in K1 and constants in Z16 and up; an element's result has the same bits. Sums are taken in other orders.

// TAIL sets K1 to as many ones as elements are left, 1 to 15 of them.
#define TAIL \
	MOVL $1, AX \
	SHLL CX, AX \
	DECL AX \
	KMOVW AX, K1

// TAIL64 sets K1 … K4 to ones for the 1 to 63 elements that are left.
#define TAIL64 \
	MOVQ $1, AX \
	SHLQ CX, AX \
	DECQ AX \
	KMOVQ AX, K1 \
	KSHIFTRQ $16, K1, K2 \
	KSHIFTRQ $32, K1, K3 \
	KSHIFTRQ $48, K1, K4

// HALVE adds lanes i and i+8, then i and i+4: what is left is in xsum.
#define HALVE(zsum, ysum, xsum, ytemp, xtemp) \
	VEXTRACTF64X4 $1, zsum, ytemp \
	VADDPS ytemp, ysum, ysum \
	VEXTRACTF128 $1, ysum, xtemp \
	VADDPS xtemp, xsum, xsum

// FOLD adds lanes i and i+2 of four, then the two.
#define FOLD(xsum, xtemp) \
	VMOVHLPS xsum, xsum, xtemp \
	VADDPS xtemp, xsum, xsum \
	VMOVSHDUP xsum, xtemp \
	VADDSS xtemp, xsum, xsum

// func dotAVX512(a, b *float32, n int) float32
//
// Product i is added, fused, to lane i mod 64: Z0 … Z3. Then (Z0 + Z1) + (Z2 + Z3), HALVE, FOLD.
TEXT ·dotAVX512(SB), NOSPLIT, $0-28
	MOVQ a+0(FP), SI
	MOVQ b+8(FP), DX
	MOVQ n+16(FP), CX
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	SUBQ $64, CX
	JLT  rest
loop:
	VMOVUPS (SI), Z4
	VMOVUPS 64(SI), Z5
	VMOVUPS 128(SI), Z6
	VMOVUPS 192(SI), Z7
	VFMADD231PS (DX), Z4, Z0
	VFMADD231PS 64(DX), Z5, Z1
	VFMADD231PS 128(DX), Z6, Z2
	VFMADD231PS 192(DX), Z7, Z3
	ADDQ $256, SI
	ADDQ $256, DX
	SUBQ $64, CX
	JGE  loop
rest:
	ADDQ $64, CX
	JEQ  sum
	TAIL64
	VMOVUPS.Z (SI), K1, Z4
	VMOVUPS.Z 64(SI), K2, Z5
	VMOVUPS.Z 128(SI), K3, Z6
	VMOVUPS.Z 192(SI), K4, Z7
	VFMADD231PS (DX), Z4, K1, Z0
	VFMADD231PS 64(DX), Z5, K2, Z1
	VFMADD231PS 128(DX), Z6, K3, Z2
	VFMADD231PS 192(DX), Z7, K4, Z3
sum:
	VADDPS Z1, Z0, Z0
	VADDPS Z3, Z2, Z2
	VADDPS Z2, Z0, Z0
	HALVE(Z0, Y0, X0, Y1, X1)
	FOLD(X0, X1)
	VZEROUPPER
	MOVSS X0, ret+24(FP)
	RET

// func addScaledAVX512(dst, x *float32, n int, s float32)
TEXT ·addScaledAVX512(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS s+24(FP), Z16
	SUBQ $64, CX
	JLT  sixteens
loop:
	VMOVUPS (DI), Z0
	VMOVUPS 64(DI), Z1
	VMOVUPS 128(DI), Z2
	VMOVUPS 192(DI), Z3
	VFMADD231PS (SI), Z16, Z0
	VFMADD231PS 64(SI), Z16, Z1
	VFMADD231PS 128(SI), Z16, Z2
	VFMADD231PS 192(SI), Z16, Z3
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VMOVUPS Z3, 192(DI)
	ADDQ $256, SI
	ADDQ $256, DI
	SUBQ $64, CX
	JGE  loop
sixteens:
	ADDQ $48, CX
	JLT  rest
sixteen:
	VMOVUPS (DI), Z0
	VFMADD231PS (SI), Z16, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JGE  sixteen
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVUPS.Z (DI), K1, Z0
	VMOVUPS.Z (SI), K1, Z1
	VFMADD231PS Z1, Z16, Z0
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET

// func scaleAVX512(dst, x, weight *float32, n int, r float32)
TEXT ·scaleAVX512(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ weight+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS r+32(FP), Z16
	TESTQ DX, DX
	JEQ  plain
	SUBQ $32, CX
	JLT  sixteens
loop:
	VMULPS (SI), Z16, Z0
	VMULPS 64(SI), Z16, Z1
	VMULPS (DX), Z0, Z0
	VMULPS 64(DX), Z1, Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ $128, SI
	ADDQ $128, DX
	ADDQ $128, DI
	SUBQ $32, CX
	JGE  loop
sixteens:
	ADDQ $16, CX
	JLT  rest
	VMULPS (SI), Z16, Z0
	VMULPS (DX), Z0, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (DX), K1, Z1
	VMULPS Z0, Z16, Z0
	VMULPS Z1, Z0, Z0
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET
plain:
	SUBQ $16, CX
	JLT  plainRest
plainLoop:
	VMULPS (SI), Z16, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JGE  plainLoop
plainRest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVUPS.Z (SI), K1, Z0
	VMULPS Z0, Z16, Z0
	VMOVUPS Z0, K1, (DI)
	JMP  done

// func addNormedAVX512(dst, x, weight *float32, n int, r float32)
//
// dst += x·r·weight.
TEXT ·addNormedAVX512(SB), NOSPLIT, $0-36
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ weight+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSS r+32(FP), Z16
	SUBQ $32, CX
	JLT  sixteens
loop:
	VMULPS (SI), Z16, Z0
	VMULPS 64(SI), Z16, Z1
	VMULPS (DX), Z0, Z0
	VMULPS 64(DX), Z1, Z1
	VADDPS (DI), Z0, Z0
	VADDPS 64(DI), Z1, Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ $128, SI
	ADDQ $128, DX
	ADDQ $128, DI
	SUBQ $32, CX
	JGE  loop
sixteens:
	ADDQ $16, CX
	JLT  rest
	VMULPS (SI), Z16, Z0
	VMULPS (DX), Z0, Z0
	VADDPS (DI), Z0, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DX
	ADDQ $64, DI
	SUBQ $16, CX
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (DX), K1, Z1
	VMOVUPS.Z (DI), K1, Z2
	VMULPS Z0, Z16, Z0
	VMULPS Z1, Z0, Z0
	VADDPS Z2, Z0, Z0
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET

// func clampAVX512(x *float32, n int, low, high float32)
//
// Z1 are the lower bounds, Z2 the upper ones, as in clampAVX2.
TEXT ·clampAVX512(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	VBROADCASTSS low+16(FP), Z1
	VBROADCASTSS high+20(FP), Z2
	SUBQ $16, CX
	JLT  rest
loop:
	VMAXPS (DI), Z1, Z0
	VMINPS Z0, Z2, Z0
	VMOVUPS Z0, (DI)
	ADDQ $64, DI
	SUBQ $16, CX
	JGE  loop
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVUPS.Z (DI), K1, Z0
	VMAXPS Z0, Z1, Z0
	VMINPS Z0, Z2, Z0
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET

// func maxAVX512(x *float32, n int) float32
TEXT ·maxAVX512(SB), NOSPLIT, $0-20
	MOVQ x+0(FP), SI
	MOVQ n+8(FP), CX
	VBROADCASTSS minusInf<>(SB), Z0
	SUBQ $16, CX
	JLT  rest
loop:
	VMAXPS (SI), Z0, Z0
	ADDQ $64, SI
	SUBQ $16, CX
	JGE  loop
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMAXPS (SI), Z0, K1, Z0
done:
	VEXTRACTF64X4 $1, Z0, Y1
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

// Constants of all exponentials.
#define EXP2CONSTANTS(round) \
	VBROADCASTSS exp2C0<>(SB), Z24 \
	VBROADCASTSS exp2C1<>(SB), Z25 \
	VBROADCASTSS exp2C2<>(SB), Z26 \
	VBROADCASTSS exp2C3<>(SB), Z27 \
	VBROADCASTSS exp2C4<>(SB), Z28 \
	VBROADCASTSS exp2C5<>(SB), Z29 \
	VBROADCASTSS one<>(SB), Z30 \
	VBROADCASTSS round<>(SB), Z31

// SERIES: p = c0 + c1·r + … + c5·r⁵, so that 2^r = 1 + r·p.
#define SERIES(r, p) \
	VMOVAPS Z29, p \
	VFMADD213PS Z28, r, p \
	VFMADD213PS Z27, r, p \
	VFMADD213PS Z26, r, p \
	VFMADD213PS Z25, r, p \
	VFMADD213PS Z24, r, p

// GELU sets Z0 to gelu(Z0)·Z1. Z16 … Z19 hold geluK1, geluK2, geluMin, geluMax.
#define GELU \
	VMINPS Z0, Z19, Z2 \
	VMAXPS Z2, Z18, Z2 \
	VMULPS Z2, Z2, Z3 \
	VFMADD213PS Z16, Z17, Z3 /* k1 + k2·x² */ \
	VMOVAPS Z31, Z4 \
	VFMADD231PS Z3, Z2, Z4 /* t rounded, biased */ \
	VSUBPS Z31, Z4, Z5 /* n */ \
	VFMSUB213PS Z5, Z3, Z2 /* r = t − n, rounded once */ \
	SERIES(Z2, Z6) \
	VFMADD213PS Z30, Z2, Z6 /* 2^r */ \
	VPSLLD $23, Z4, Z4 /* 2^n */ \
	VFMADD213PS Z30, Z4, Z6 \
	VDIVPS Z6, Z0, Z0 \
	VMULPS Z1, Z0, Z0

// func geluAVX512(gate, up *float32, n int)
TEXT ·geluAVX512(SB), NOSPLIT, $0-24
	MOVQ gate+0(FP), DI
	MOVQ up+8(FP), SI
	MOVQ n+16(FP), CX
	EXP2CONSTANTS(round127)
	VBROADCASTSS geluK1<>(SB), Z16
	VBROADCASTSS geluK2<>(SB), Z17
	VBROADCASTSS geluMin<>(SB), Z18
	VBROADCASTSS geluMax<>(SB), Z19
	SUBQ $16, CX
	JLT  rest
loop:
	VMOVUPS (DI), Z0
	VMOVUPS (SI), Z1
	GELU
	VMOVUPS Z0, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JGE  loop
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVUPS.Z (DI), K1, Z0
	VMOVUPS.Z (SI), K1, Z1
	GELU
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET

// SOFTCAP sets Z0 to limit·tanh(Z0/limit). Z16 … Z22 hold the sign bit, the other bits, the high and the low part of
// 2·log2(e)/limit, the |x| where |t| = 30, limit, two.
#define SOFTCAP \
	VPANDD Z17, Z0, Z2 \
	VPANDD Z16, Z0, Z1 \
	VMINPS Z2, Z20, Z2 \
	VMOVAPS Z31, Z4 \
	VFMADD231PS Z18, Z2, Z4 /* |t| rounded, biased */ \
	VSUBPS Z31, Z4, Z5 /* n */ \
	VFMSUB231PS Z18, Z2, Z5 /* r = |t| − n, the high part */ \
	VFMADD231PS Z19, Z2, Z5 \
	SERIES(Z5, Z6) \
	VMULPS Z5, Z6, Z6 /* 2^r − 1 */ \
	VPSLLD $23, Z4, Z4 /* 2^n */ \
	VSUBPS Z30, Z4, Z5 \
	VFMADD213PS Z5, Z4, Z6 /* m = (2^r − 1)·2^n + 2^n − 1 */ \
	VADDPS Z22, Z6, Z5 \
	VDIVPS Z5, Z6, Z0 \
	VMULPS Z21, Z0, Z0 \
	VPORD Z1, Z0, Z0

// func softCapAVX512(x *float32, n int, limit, high, low, most float32)
TEXT ·softCapAVX512(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	EXP2CONSTANTS(round127)
	VBROADCASTSS signBits<>(SB), Z16
	VBROADCASTSS absBits<>(SB), Z17
	VBROADCASTSS high+20(FP), Z18
	VBROADCASTSS low+24(FP), Z19
	VBROADCASTSS most+28(FP), Z20
	VBROADCASTSS limit+16(FP), Z21
	VBROADCASTSS two<>(SB), Z22
	SUBQ $16, CX
	JLT  rest
loop:
	VMOVUPS (DI), Z0
	SOFTCAP
	VMOVUPS Z0, (DI)
	ADDQ $64, DI
	SUBQ $16, CX
	JGE  loop
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVUPS.Z (DI), K1, Z0
	SOFTCAP
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET

// EXP sets Z0 to exp(Z0 − shift). Z16 … Z20 hold shift, log2(e) high and low, expMin, expMax.
#define EXP \
	VSUBPS Z16, Z0, Z2 \
	VMINPS Z2, Z20, Z2 \
	VMAXPS Z2, Z19, Z2 \
	VMOVAPS Z31, Z4 \
	VFMADD231PS Z17, Z2, Z4 /* t rounded, biased */ \
	VSUBPS Z31, Z4, Z5 /* n */ \
	VMOVAPS Z5, Z4 \
	VFMSUB231PS Z17, Z2, Z5 /* r = t − n, the high part */ \
	VFMADD231PS Z18, Z2, Z5 \
	SERIES(Z5, Z6) \
	VFMADD213PS Z30, Z5, Z6 /* 2^r */ \
	VSCALEFPS Z4, Z6, Z0

// func expSumAVX512(x *float32, n int, shift float32) float32
//
// Result i is added to lane i mod 16 of Z1; then HALVE, FOLD.
TEXT ·expSumAVX512(SB), NOSPLIT, $0-28
	MOVQ x+0(FP), DI
	MOVQ n+8(FP), CX
	EXP2CONSTANTS(round254)
	VBROADCASTSS shift+16(FP), Z16
	VBROADCASTSS log2eHigh<>(SB), Z17
	VBROADCASTSS log2eLow<>(SB), Z18
	VBROADCASTSS expMin<>(SB), Z19
	VBROADCASTSS expMax<>(SB), Z20
	VPXORD Z1, Z1, Z1
	SUBQ $16, CX
	JLT  rest
loop:
	VMOVUPS (DI), Z0
	EXP
	VADDPS Z0, Z1, Z1
	VMOVUPS Z0, (DI)
	ADDQ $64, DI
	SUBQ $16, CX
	JGE  loop
rest:
	ADDQ $16, CX
	JEQ  sum
	TAIL
	VMOVUPS.Z (DI), K1, Z0
	EXP
	VMOVUPS Z0, K1, (DI)
	VADDPS Z0, Z1, K1, Z1
sum:
	HALVE(Z1, Y1, X1, Y2, X2)
	FOLD(X1, X2)
	VZEROUPPER
	MOVSS X1, ret+24(FP)
	RET

// func rotateAVX512(x, cos, sin *float32, half int)
TEXT ·rotateAVX512(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), SI
	MOVQ cos+8(FP), DX
	MOVQ sin+16(FP), BX
	MOVQ half+24(FP), CX
	LEAQ (SI)(CX*4), DI
	MOVL $-1, AX
	KMOVW AX, K1
	SUBQ $16, CX
	JLT  rest
loop:
	VMOVUPS.Z (DX), K1, Z2
	VMOVUPS.Z (BX), K1, Z3
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z (DI), K1, Z1
	VMULPS Z2, Z0, Z4
	VMULPS Z3, Z1, Z5
	VMULPS Z2, Z1, Z6
	VMULPS Z3, Z0, Z7
	VSUBPS Z5, Z4, Z4
	VADDPS Z7, Z6, Z6
	VMOVUPS Z4, K1, (SI)
	VMOVUPS Z6, K1, (DI)
	ADDQ $64, SI
	ADDQ $64, DI
	ADDQ $64, DX
	ADDQ $64, BX
	SUBQ $16, CX
	JGE  loop
rest:
	ADDQ $16, CX
	JLE  done
	TAIL
	XORQ CX, CX // once more, and nothing is left
	JMP  loop
done:
	VZEROUPPER
	RET

// HORNER takes both series a step further in z², Z4.
#define HORNER(c, s) \
	VADDPD.BCST c<>(SB), Z6, Z6 \
	VADDPD.BCST s<>(SB), Z5, Z5 \
	VMULPD Z4, Z6, Z6 \
	VMULPD Z4, Z5, Z5

// ANGLES is that for AVX2, eight a time: Y6 and Y7 become the cosines and sines of Z0·Z16, and K2 ones where an angle is not below 2²⁹.
// Z17 … Z20 hold abs64, angleMax, one64, signs64. Z1 is the angles' signs, Z2 and K3 what swaps sine and cosine, Z3 what turns both of them
// around, in the sign bits; Z4 and Z5 are scratch.
#define ANGLES \
	VMULPD Z16, Z0, Z1 \
	VPANDQ Z17, Z1, Z0 \
	VCMPPD $0x15, Z18, Z0, K3 /* not below, or NaN */ \
	KORB K3, K2, K2 \
	VMULPD.BCST eighths<>(SB), Z0, Z2 \
	VCVTTPD2DQ Z2, Y2 \
	VPADDD ones32<>(SB), Y2, Y2 \
	VPAND evens32<>(SB), Y2, Y2 \
	VCVTDQ2PD Y2, Z3 /* y */ \
	VMULPD.BCST eighthA<>(SB), Z3, Z4 \
	VSUBPD Z4, Z0, Z0 \
	VMULPD.BCST eighthB<>(SB), Z3, Z4 \
	VSUBPD Z4, Z0, Z0 \
	VMULPD.BCST eighthC<>(SB), Z3, Z4 \
	VSUBPD Z4, Z0, Z0 /* z */ \
	VMULPD Z0, Z0, Z4 /* z² */ \
	VPMOVZXDQ Y2, Z2 \
	VPSLLQ $61, Z2, Z3 \
	VPSLLQ $62, Z2, Z2 \
	VPMOVQ2M Z2, K3 \
	VMULPD.BCST cos0<>(SB), Z4, Z6 \
	VMULPD.BCST sin0<>(SB), Z4, Z5 \
	HORNER(cos1, sin1) \
	HORNER(cos2, sin2) \
	HORNER(cos3, sin3) \
	HORNER(cos4, sin4) \
	VADDPD.BCST cos5<>(SB), Z6, Z6 \
	VADDPD.BCST sin5<>(SB), Z5, Z5 \
	VMULPD Z4, Z0, Z7 \
	VMULPD Z5, Z7, Z5 \
	VADDPD Z5, Z0, Z5 /* sin z */ \
	VMULPD Z4, Z4, Z7 \
	VMULPD Z6, Z7, Z6 \
	VMULPD.BCST half64<>(SB), Z4, Z7 \
	VSUBPD Z7, Z19, Z7 \
	VADDPD Z6, Z7, Z6 /* cos z */ \
	VBLENDMPD Z6, Z5, K3, Z7 \
	VBLENDMPD Z5, Z6, K3, Z6 \
	VPTERNLOGQ $0x48, Z3, Z20, Z2 \
	VPTERNLOGQ $0x48, Z3, Z20, Z1 \
	VPXORQ Z2, Z6, Z6 \
	VPXORQ Z1, Z7, Z7 \
	VCVTPD2PS Z6, Y6 \
	VCVTPD2PS Z7, Y7

// func anglesAVX512(cos, sin *float32, freqs *float64, n int, position float64) bool
TEXT ·anglesAVX512(SB), NOSPLIT, $0-41
	MOVQ cos+0(FP), DI
	MOVQ sin+8(FP), SI
	MOVQ freqs+16(FP), DX
	MOVQ n+24(FP), CX
	VBROADCASTSD position+32(FP), Z16
	VBROADCASTSD abs64<>(SB), Z17
	VBROADCASTSD angleMax<>(SB), Z18
	VBROADCASTSD one64<>(SB), Z19
	VBROADCASTSD signs64<>(SB), Z20
	KXORB K2, K2, K2
	SUBQ $8, CX
	JLT  rest
loop:
	VMOVUPD (DX), Z0
	ANGLES
	VMOVUPS Y6, (DI)
	VMOVUPS Y7, (SI)
	ADDQ $64, DX
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, CX
	JGE  loop
rest:
	ADDQ $8, CX
	JEQ  done
	TAIL
	VMOVUPD.Z (DX), K1, Z0
	ANGLES
	VMOVUPS Y6, K1, (DI)
	VMOVUPS Y7, K1, (SI)
done:
	VZEROUPPER
	KMOVB K2, AX
	TESTL AX, AX
	SETEQ ret+40(FP)
	RET

// func encodeF16AVX512(dst *byte, x *float32, n int)
TEXT ·encodeF16AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	SUBQ $16, CX
	JLT  rest
loop:
	VMOVUPS (SI), Z0
	VCVTPS2PH $0, Z0, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $16, CX
	JGE  loop
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVUPS.Z (SI), K1, Z0
	VCVTPS2PH $0, Z0, Y0
	VMOVDQU16 Y0, K1, (DI)
done:
	VZEROUPPER
	RET

LANES8(max127, 0x42FE000042FE0000)
LANES8(least, 0x0D8000000D800000) // 2⁻¹⁰⁰
LANES8(finite, 0x7F7FFFFF7F7FFFFF) // the largest float
LANES8(oneBytes, 0x0101010101010101)
DATA nanZero<>+0(SB)/8, $0x7FC000007FC00000
DATA nanZero<>+8(SB)/8, $0
GLOBL nanZero<>(SB), (NOPTR|RODATA), $16
DATA unpack<>+0(SB)/8, $0x0000000400000000
DATA unpack<>+8(SB)/8, $0x0000000C00000008
DATA unpack<>+16(SB)/8, $0x0000000500000001
DATA unpack<>+24(SB)/8, $0x0000000D00000009
DATA unpack<>+32(SB)/8, $0x0000000600000002
DATA unpack<>+40(SB)/8, $0x0000000E0000000A
DATA unpack<>+48(SB)/8, $0x0000000700000003
DATA unpack<>+56(SB)/8, $0x0000000F0000000B
GLOBL unpack<>(SB), (NOPTR|RODATA), $64
DATA pick<>+0(SB)/8, $0
DATA pick<>+8(SB)/8, $0
DATA pick<>+16(SB)/8, $0
DATA pick<>+24(SB)/8, $0
DATA pick<>+32(SB)/8, $0x0000000100000001
DATA pick<>+40(SB)/8, $0x0000000100000001
DATA pick<>+48(SB)/8, $0x0000000100000001
DATA pick<>+56(SB)/8, $0x0000000100000001
GLOBL pick<>(SB), (NOPTR|RODATA), $64

// func quantizeAVX512(dst *tensor.Q8, x *float32, n int)
//
// A Q8 a time: Z0 and Z1, Z2 and Z3 are its two blocks. Z16 … Z20 hold the magnitude's bits, the largest float, unpack, pick, bytes of
// one; X12 … X15 max127, least, nanZero, the largest float.
TEXT ·quantizeAVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS absBits<>(SB), Z16
	VBROADCASTSS finite<>(SB), Z17
	VMOVDQU32 unpack<>(SB), Z18
	VMOVDQU32 pick<>(SB), Z19
	VPBROADCASTD oneBytes<>(SB), Z20
	VMOVUPS max127<>(SB), X12
	VMOVUPS least<>(SB), X13
	VMOVUPS nanZero<>(SB), X14
	VMOVUPS finite<>(SB), X15
next:
	CMPQ CX, $64
	JLT  rest
	VMOVUPS (SI), Z0
	VMOVUPS 64(SI), Z1
	VMOVUPS 128(SI), Z2
	VMOVUPS 192(SI), Z3
	JMP  unit
rest:
	TESTQ CX, CX
	JLE  done
	TAIL64
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z 64(SI), K2, Z1
	VMOVUPS.Z 128(SI), K3, Z2
	VMOVUPS.Z 192(SI), K4, Z3
unit:
	VPANDD Z16, Z0, Z4
	VPANDD Z16, Z1, Z5
	VPANDD Z16, Z2, Z6
	VPANDD Z16, Z3, Z7
	VPMAXUD Z5, Z4, Z4
	VPMAXUD Z7, Z6, Z6
	VSHUFI64X2 $0x44, Z6, Z4, Z5
	VSHUFI64X2 $0xEE, Z6, Z4, Z7
	VPMAXUD Z7, Z5, Z5
	VPERMQ $0x4E, Z5, Z6
	VPMAXUD Z6, Z5, Z5
	VPSHUFD $0x4E, Z5, Z6
	VPMAXUD Z6, Z5, Z5
	VPSHUFD $0xB1, Z5, Z6
	VPMAXUD Z6, Z5, Z5 // the first block's top in the lower eight lanes, the second's in the upper ones
	VPCMPUD $2, Z17, Z5, K1 // finite
	VEXTRACTI64X2 $2, Z5, X6
	VBLENDPS $0x0A, X6, X5, X5 // both tops, twice
	VBLENDPS $0x0C, X12, X5, X6
	VBLENDPS $0x03, X12, X5, X7
	VDIVPS X7, X6, X7 // two scales, two inverses
	VPCMPGTD X5, X13, X6 // next to nothing: both 0
	VPANDN X7, X6, X7
	VPCMPGTD X15, X5, X6 // not finite: NaN and 0
	VBLENDVPS X6, X14, X7, X7
	VPERMPS Z7, Z19, Z4
	VMOVUPS Z4, 64(DI)
	VPERMILPS $0xAA, X7, X4
	VPERMILPS $0xFF, X7, X5
	VBROADCASTSS X4, Z4
	VBROADCASTSS X5, Z5
	VMULPS Z4, Z0, Z0
	VMULPS Z4, Z1, Z1
	VMULPS Z5, Z2, Z2
	VMULPS Z5, Z3, Z3
	VCVTPS2DQ Z0, Z0
	VCVTPS2DQ Z1, Z1
	VCVTPS2DQ Z2, Z2
	VCVTPS2DQ Z3, Z3
	VPACKSSDW Z1, Z0, Z0
	VPACKSSDW Z3, Z2, Z2
	VPACKSSWB Z2, Z0, Z0
	VPERMD.Z Z0, Z18, K1, Z0 // NaN · 0 is no 0
	VMOVDQU32 Z0, (DI)
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPDPBUSD Z0, Z20, Z1
	VPSUBD Z1, Z2, Z1
	VMOVDQU32 Z1, 128(DI)
	ADDQ $256, SI
	ADDQ $192, DI
	SUBQ $64, CX
	JMP  next
done:
	VZEROUPPER
	RET

// func decodeF16AVX512(dst *float32, src *byte, n int)
TEXT ·decodeF16AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	SUBQ $32, CX
	JLT  sixteens
loop:
	VCVTPH2PS (SI), Z0
	VCVTPH2PS 32(SI), Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ $64, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JGE  loop
sixteens:
	ADDQ $16, CX
	JLT  rest
	VCVTPH2PS (SI), Z0
	VMOVUPS Z0, (DI)
	ADDQ $32, SI
	ADDQ $64, DI
	SUBQ $16, CX
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVDQU16.Z (SI), K1, Y0
	VCVTPH2PS Y0, Z0
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET

// func decodeBF16AVX512(dst *float32, src *byte, n int)
TEXT ·decodeBF16AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	SUBQ $32, CX
	JLT  sixteens
loop:
	VPMOVZXWD (SI), Z0
	VPMOVZXWD 32(SI), Z1
	VPSLLD $16, Z0, Z0
	VPSLLD $16, Z1, Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ $64, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JGE  loop
sixteens:
	ADDQ $16, CX
	JLT  rest
	VPMOVZXWD (SI), Z0
	VPSLLD $16, Z0, Z0
	VMOVUPS Z0, (DI)
	ADDQ $32, SI
	ADDQ $64, DI
	SUBQ $16, CX
rest:
	ADDQ $16, CX
	JEQ  done
	TAIL
	VMOVDQU16.Z (SI), K1, Y0
	VPMOVZXWD Y0, Z0
	VPSLLD $16, Z0, Z0
	VMOVUPS Z0, K1, (DI)
done:
	VZEROUPPER
	RET

// SUM adds up CX rounds of 256 bytes at SI in X0, and fetches others so many bytes ahead.
#define SUM(line, ahead) \
	VPXORQ Z0, Z0, Z0; \
	VPXORQ Z1, Z1, Z1; \
	VPXORQ Z2, Z2, Z2; \
	VPXORQ Z3, Z3, Z3; \
loop: \
	line   ahead(SI); \
	line   (ahead+64)(SI); \
	line   (ahead+128)(SI); \
	line   (ahead+192)(SI); \
	VPADDQ (SI), Z0, Z0; \
	VPADDQ 64(SI), Z1, Z1; \
	VPADDQ 128(SI), Z2, Z2; \
	VPADDQ 192(SI), Z3, Z3; \
	ADDQ   $256, SI; \
	DECQ   CX; \
	JNZ    loop; \
	VPADDQ Z1, Z0, Z0; \
	VPADDQ Z3, Z2, Z2; \
	VPADDQ Z2, Z0, Z0; \
	VEXTRACTI64X4 $1, Z0, Y1; \
	VPADDQ        Y1, Y0, Y0; \
	VEXTRACTI128  $1, Y0, X1; \
	VPADDQ        X1, X0, X0; \
	VPSRLDQ       $8, X0, X1; \
	VPADDQ        X1, X0, X0

// func sumAVX512(p *byte, lines int) uint64
TEXT ·sumAVX512(SB), NOSPLIT, $0-24
	MOVQ p+0(FP), SI
	MOVQ lines+8(FP), CX
	SUM(PREFETCHT1, 6144)
	VMOVQ X0, ret+16(FP)
	VZEROUPPER
	RET

// func sumAVX512Near(p *byte, lines int) uint64
//
// It fetches as rows are fetched where machine.FetchesNear.
TEXT ·sumAVX512Near(SB), NOSPLIT, $0-24
	MOVQ p+0(FP), SI
	MOVQ lines+8(FP), CX
	SUM(PREFETCHNTA, 2048)
	VMOVQ X0, ret+16(FP)
	VZEROUPPER
	RET
