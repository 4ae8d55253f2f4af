#include "textflag.h"
#include "kernels_arm64.h"

// The inner loops of ARMv8.0. Arguments are loaded into R0, R1, … in their order and used up from there. Loops take four
// vectors or one vector at a time; what the declarations in kernels_arm64.go promise about lengths is relied on.

// func dotNEON(a, b *float32, n int) float32
// V0–V3 are partial sums. The last n%4 products are added one by one.
TEXT ·dotNEON(SB), NOSPLIT, $0-28
	MOVD  a+0(FP), R0
	MOVD  b+8(FP), R1
	MOVD  n+16(FP), R2
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	SUBS  $16, R2
	BLT   four

sixteen:
	FLDPQ (R0), (F4, F5)
	FLDPQ 32(R0), (F6, F7)
	FLDPQ (R1), (F16, F17)
	FLDPQ 32(R1), (F18, F19)
	ADD   $64, R0
	ADD   $64, R1
	VFMLA V16.S4, V4.S4, V0.S4
	VFMLA V17.S4, V5.S4, V1.S4
	VFMLA V18.S4, V6.S4, V2.S4
	VFMLA V19.S4, V7.S4, V3.S4
	SUBS  $16, R2
	BGE   sixteen

four:
	ADDS    $12, R2 // what is left, less 4
	BLT     sum
	FMOVQ.P 16(R0), F4
	FMOVQ.P 16(R1), F16
	VFMLA   V16.S4, V4.S4, V0.S4
	SUB     $16, R2
	B       four

sum:
	FADD(0, 0, 1)
	FADD(2, 2, 3)
	FADD(0, 0, 2)
	FADDP(0, 0, 0)
	FADDP2(0, 0)
	ADDS $4, R2
	BEQ  done

one:
	FMOVS.P 4(R0), F4
	FMOVS.P 4(R1), F16
	FMADDS  F16, F0, F4, F0
	SUBS    $1, R2
	BNE     one

done:
	FMOVS F0, ret+24(FP)
	RET

// func addScaledNEON(dst, x *float32, n int, s float32)
TEXT ·addScaledNEON(SB), NOSPLIT, $0-28
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  n+16(FP), R2
	FMOVS s+24(FP), F20
	VDUP  V20.S[0], V20.S4
	SUBS  $16, R2
	BLT   four

sixteen:
	FLDPQ (R1), (F4, F5)
	FLDPQ 32(R1), (F6, F7)
	FLDPQ (R0), (F0, F1)
	FLDPQ 32(R0), (F2, F3)
	ADD   $64, R1
	VFMLA V20.S4, V4.S4, V0.S4
	VFMLA V20.S4, V5.S4, V1.S4
	VFMLA V20.S4, V6.S4, V2.S4
	VFMLA V20.S4, V7.S4, V3.S4
	FSTPQ (F0, F1), (R0)
	FSTPQ (F2, F3), 32(R0)
	ADD   $64, R0
	SUBS  $16, R2
	BGE   sixteen

four:
	ADDS    $12, R2 // what is left, less 4
	BLT     rest
	FMOVQ.P 16(R1), F4
	FMOVQ   (R0), F0
	VFMLA   V20.S4, V4.S4, V0.S4
	FMOVQ   F0, (R0)
	ADD     $16, R0
	SUB     $16, R2
	B       four

rest:
	ADDS $4, R2
	BEQ  done

one:
	FMOVS.P 4(R1), F4
	FMOVS   (R0), F0
	FMADDS  F20, F0, F4, F0
	FMOVS.P F0, 4(R0)
	SUBS    $1, R2
	BNE     one

done:
	RET

// func scaleNEON(dst, x *float32, n int, s float32)
TEXT ·scaleNEON(SB), NOSPLIT, $0-28
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  n+16(FP), R2
	FMOVS s+24(FP), F20

four:
	SUBS    $4, R2
	BLT     rest
	FMOVQ.P 16(R1), F0
	FMULI(0, 0, 20, 0)
	FMOVQ   F0, (R0)
	ADD     $16, R0
	B       four

rest:
	ADDS $4, R2
	BEQ  done

one:
	FMOVS.P 4(R1), F0
	FMULS   F20, F0, F0
	FMOVS.P F0, 4(R0)
	SUBS    $1, R2
	BNE     one

done:
	RET

// func scaleByNEON(dst, x, weight *float32, n int, s float32)
TEXT ·scaleByNEON(SB), NOSPLIT, $0-36
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  weight+16(FP), R3
	MOVD  n+24(FP), R2
	FMOVS s+32(FP), F20

four:
	SUBS    $4, R2
	BLT     rest
	FMOVQ.P 16(R1), F0
	FMOVQ.P 16(R3), F1
	FMULI(0, 0, 20, 0)
	FMUL(0, 0, 1)
	FMOVQ   F0, (R0)
	ADD     $16, R0
	B       four

rest:
	ADDS $4, R2
	BEQ  done

one:
	FMOVS.P 4(R1), F0
	FMOVS.P 4(R3), F1
	FMULS   F20, F0, F0
	FMULS   F1, F0, F0
	FMOVS.P F0, 4(R0)
	SUBS    $1, R2
	BNE     one

done:
	RET

// func rotateNEON(low, high, cos, sin *float32, n int)
TEXT ·rotateNEON(SB), NOSPLIT, $0-40
	MOVD low+0(FP), R0
	MOVD high+8(FP), R1
	MOVD cos+16(FP), R2
	MOVD sin+24(FP), R3
	MOVD n+32(FP), R4
	CBZ  R4, done

four:
	FMOVQ   (R0), F0
	FMOVQ   (R1), F1
	FMOVQ.P 16(R2), F2
	FMOVQ.P 16(R3), F3
	FMUL(4, 0, 2)
	FMUL(5, 1, 2)
	VFMLS   V3.S4, V1.S4, V4.S4
	VFMLA   V3.S4, V0.S4, V5.S4
	FMOVQ   F4, (R0)
	ADD     $16, R0
	FMOVQ   F5, (R1)
	ADD     $16, R1
	SUBS    $4, R4
	BNE     four

done:
	RET

// Quantising. V0–V7 are a block of 32, F20 its scale, F21 the inverse; F22 is 127.
//
// BLOCK quantises a block to a Q8 at R0: values, scales and sums go to at, at+64 and at+128. The largest magnitude tells
// by its bits whether the block is tiny (below 2⁻¹⁰⁰) or not finite; then the inverse is 0 and so are the values, since
// NaN is converted to 0.
#define BLOCK(at, tiny, set) \
	FLDPQ  (R1), (F0, F1)          \
	FLDPQ  32(R1), (F2, F3)        \
	FLDPQ  64(R1), (F4, F5)        \
	FLDPQ  96(R1), (F6, F7)        \
	ADD    $128, R1                \
	FABS(16, 0)                    \
	FABS(17, 1)                    \
	FABS(18, 2)                    \
	FABS(19, 3)                    \
	FABS(20, 4)                    \
	FABS(21, 5)                    \
	FABS(23, 6)                    \
	FABS(24, 7)                    \
	FMAX(16, 16, 17)               \
	FMAX(18, 18, 19)               \
	FMAX(20, 20, 21)               \
	FMAX(23, 23, 24)               \
	FMAX(16, 16, 18)               \
	FMAX(20, 20, 23)               \
	FMAX(16, 16, 20)               \
	FMAXV(16, 16)                  \
	FMOVS  F16, R3                 \
	FDIVS  F22, F16, F20           \
	FDIVS  F16, F22, F21           \
	CMPW   R5, R3                  \
	BLO    tiny                    \
	CMPW   R6, R3                  \
	BLO    set                     \
	FMOVS  R7, F20                 \
	FMOVS  ZR, F21                 \
	B      set                     \
tiny:                              \
	FMOVS  ZR, F20                 \
	FMOVS  ZR, F21                 \
set:                               \
	VDUP   V20.S[0], V20.S4        \
	FMULI(0, 0, 21, 0)             \
	FMULI(1, 1, 21, 0)             \
	FMULI(2, 2, 21, 0)             \
	FMULI(3, 3, 21, 0)             \
	FMULI(4, 4, 21, 0)             \
	FMULI(5, 5, 21, 0)             \
	FMULI(6, 6, 21, 0)             \
	FMULI(7, 7, 21, 0)             \
	FCVTNS(0, 0)                   \
	FCVTNS(1, 1)                   \
	FCVTNS(2, 2)                   \
	FCVTNS(3, 3)                   \
	FCVTNS(4, 4)                   \
	FCVTNS(5, 5)                   \
	FCVTNS(6, 6)                   \
	FCVTNS(7, 7)                   \
	VADDP  V1.S4, V0.S4, V16.S4    \
	VADDP  V3.S4, V2.S4, V17.S4    \
	VADDP  V5.S4, V4.S4, V18.S4    \
	VADDP  V7.S4, V6.S4, V19.S4    \
	VADDP  V17.S4, V16.S4, V16.S4  \
	VADDP  V19.S4, V18.S4, V18.S4  \
	NEG(16, 16)                    \
	NEG(18, 18)                    \
	VUZP1  V1.H8, V0.H8, V0.H8     \
	VUZP1  V3.H8, V2.H8, V2.H8     \
	VUZP1  V5.H8, V4.H8, V4.H8     \
	VUZP1  V7.H8, V6.H8, V6.H8     \
	VUZP1  V2.B16, V0.B16, V0.B16  \
	VUZP1  V6.B16, V4.B16, V4.B16  \
	FSTPQ  (F0, F4), (at)(R0)      \
	FSTPQ  (F20, F20), (at+64)(R0) \
	FSTPQ  (F16, F18), (at+128)(R0)

// func quantizeNEON(dst *tensor.Q8, x *float32, units int)
TEXT ·quantizeNEON(SB), NOSPLIT, $0-24
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  units+16(FP), R2
	MOVD  $0x42FE0000, R3 // 127
	FMOVS R3, F22
	MOVD  $0x0D800000, R5 // 2⁻¹⁰⁰
	MOVD  $0x7F800000, R6 // infinity
	MOVD  $0x7FC00000, R7 // NaN
	CBZ   R2, done

unit:
	BLOCK(0, tiny0, set0)
	BLOCK(32, tiny1, set1)
	ADD  $192, R0
	SUBS $1, R2
	BNE  unit

done:
	RET

// func encodeF16NEON(dst *byte, x *float32, n int)
TEXT ·encodeF16NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R2
	CBZ  R2, done

eight:
	FLDPQ   (R1), (F0, F1)
	ADD     $32, R1
	FCVTN(2, 0)
	FCVTN2(2, 1)
	FMOVQ   F2, (R0)
	ADD     $16, R0
	SUBS    $8, R2
	BNE     eight

done:
	RET

// NARROW packs the lowest bytes of the words of V0–V7 into V0 and V4.
#define NARROW \
	VUZP1 V1.H8, V0.H8, V0.H8; \
	VUZP1 V3.H8, V2.H8, V2.H8; \
	VUZP1 V5.H8, V4.H8, V4.H8; \
	VUZP1 V7.H8, V6.H8, V6.H8; \
	VUZP1 V2.B16, V0.B16, V0.B16; \
	VUZP1 V6.B16, V4.B16, V4.B16

// func encodeQ8_0NEON(dst *byte, x *float32, blocks int)
// V0–V7 are a block, F20 its scale and F21 the inverse. Halves are rounded away from zero.
TEXT ·encodeQ8_0NEON(SB), NOSPLIT, $0-24
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  blocks+16(FP), R2
	MOVD  $0x42FE0000, R3 // 127
	FMOVS R3, F22
	MOVD  $0x3F800000, R3 // 1
	FMOVS R3, F23
	MOVD  $0x7F800000, R4 // infinity
	MOVD  $0x7E00, R5     // NaN as a half
	CBZ   R2, done

block:
	FLDPQ (R1), (F0, F1)
	FLDPQ 32(R1), (F2, F3)
	FLDPQ 64(R1), (F4, F5)
	FLDPQ 96(R1), (F6, F7)
	ADD   $128, R1
	FABS(16, 0)
	FABS(17, 1)
	FABS(18, 2)
	FABS(19, 3)
	FMAX(16, 16, 17)
	FMAX(18, 18, 19)
	FMAX(16, 16, 18)
	FABS(17, 4)
	FABS(18, 5)
	FABS(19, 6)
	FABS(20, 7)
	FMAX(17, 17, 18)
	FMAX(19, 19, 20)
	FMAX(17, 17, 19)
	FMAX(16, 16, 17)
	FMAXV(16, 16)
	FMOVS F16, R3
	CMPW  R4, R3
	BHS   infinite
	FDIVS F22, F16, F20
	FDIVS F20, F23, F21
	FCVTSH F20, F20
	FMOVS F20, R3
	MOVH  R3, (R0)
	FMOVS F21, R3
	CMPW  R4, R3
	BNE   finite
	FMOVS ZR, F21

finite:
	FMULI(0, 0, 21, 0)
	FMULI(1, 1, 21, 0)
	FMULI(2, 2, 21, 0)
	FMULI(3, 3, 21, 0)
	FMULI(4, 4, 21, 0)
	FMULI(5, 5, 21, 0)
	FMULI(6, 6, 21, 0)
	FMULI(7, 7, 21, 0)
	FCVTAS(0, 0)
	FCVTAS(1, 1)
	FCVTAS(2, 2)
	FCVTAS(3, 3)
	FCVTAS(4, 4)
	FCVTAS(5, 5)
	FCVTAS(6, 6)
	FCVTAS(7, 7)
	NARROW

store:
	FMOVQ F0, 2(R0)
	FMOVQ F4, 18(R0)
	ADD   $34, R0
	SUBS  $1, R2
	BNE   block

done:
	RET

infinite:
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V4.B16, V4.B16, V4.B16
	MOVH R5, (R0)
	B    store

// ROUND4 makes a and b numbers from 0 to 16: 0 stands for −8, and 8.5 rounds to nearest. V20 holds the inverse of the scale, V27 8.5.
#define ROUND4(a, b) \
	FMULI(a, a, 20, 0); \
	FMULI(b, b, 20, 0); \
	FADD(a, a, 27); \
	FADD(b, b, 27); \
	FCVTZS(a, a); \
	FCVTZS(b, b)

// func encodeQ4_0NEON(dst *byte, x *float32, blocks int)
// V0–V7 are a block, F16 its largest number, F17 its least, negated. The one of larger magnitude counts, with its sign.
TEXT ·encodeQ4_0NEON(SB), NOSPLIT, $0-24
	MOVD  dst+0(FP), R0
	MOVD  x+8(FP), R1
	MOVD  blocks+16(FP), R2
	FMOVS $-0.125, F22
	FMOVS $1.0, F23
	FMOVS $8.5, F27
	VDUP  V27.S[0], V27.S4
	VMOVI $15, V26.B16
	FMOVS ZR, F25
	MOVD  $0x7F800000, R4 // infinity
	MOVD  $0x7E00, R5     // NaN as a half
	CBZ   R2, done

block:
	FLDPQ (R1), (F0, F1)
	FLDPQ 32(R1), (F2, F3)
	FLDPQ 64(R1), (F4, F5)
	FLDPQ 96(R1), (F6, F7)
	FMAX(16, 0, 1)
	FMIN(17, 0, 1)
	FMAX(18, 2, 3)
	FMIN(19, 2, 3)
	FMAX(20, 4, 5)
	FMIN(21, 4, 5)
	FMAX(28, 6, 7)
	FMIN(29, 6, 7)
	FMAX(16, 16, 18)
	FMIN(17, 17, 19)
	FMAX(20, 20, 28)
	FMIN(21, 21, 29)
	FMAX(16, 16, 20)
	FMIN(17, 17, 21)
	FMAXV(16, 16)
	FMINV(17, 17)
	FNEGS F17, F17
	FCMPS F17, F16
	BVS   infinite
	BGT   found
	BEQ   both
	FNEGS F17, F16

found:
	FMOVS F16, R3
	AND   $0x7FFFFFFF, R3
	CMPW  R4, R3
	BHS   infinite
	FMULS F22, F16, F21
	FDIVS F21, F23, F20
	FCVTSH F21, F21
	FMOVS F21, R3
	MOVH  R3, (R0)
	FMOVS F20, R3
	AND   $0x7FFFFFFF, R3
	CMPW  R4, R3
	BNE   finite
	FMOVS ZR, F20

finite:
	ROUND4(0, 1)
	ROUND4(2, 3)
	ROUND4(4, 5)
	ROUND4(6, 7)
	NARROW
	VUMIN V26.B16, V0.B16, V0.B16
	VUMIN V26.B16, V4.B16, V4.B16
	VSLI  $4, V4.B16, V0.B16

store:
	FMOVQ F0, 2(R0)
	ADD   $128, R1
	ADD   $18, R0
	SUBS  $1, R2
	BNE   block

done:
	RET

both: // the first of that magnitude counts; −0 becomes 0
	FMOVS F16, R7
	MOVD  R1, R6

next:
	MOVWU.P 4(R6), R3
	EORW  R7, R3, R8
	TST   $0x7FFFFFFF, R8
	BNE   next
	FMOVS R3, F16
	FADDS F25, F16, F16
	B     found

infinite:
	VEOR V0.B16, V0.B16, V0.B16
	MOVH R5, (R0)
	B    store

// SUMS takes the steps 1 and 2 within a vector. V30 and V31 are 1 where a number is added to its partner 1 or 2 away, and −1 where it is
// subtracted from it; a product with these is exact, so nothing is rounded but the sum.
#define SUMS(v) \
	VREV64 v.S4, V28.S4; \
	VFMLA  V30.S4, v.S4, V28.S4; \
	VEXT   $8, V28.B16, V28.B16, v.B16; \
	VFMLA  V31.S4, V28.S4, v.S4

// BUTTERFLIES takes vectors a to h of 16 that begin at from, with each the one n further on, and sets those that begin at to.
#define BUTTERFLIES(from, to, n, a, b, c, d, e, f, g, h) \
	BUTTERFLY(from, to, n, a); \
	BUTTERFLY(from, to, n, b); \
	BUTTERFLY(from, to, n, c); \
	BUTTERFLY(from, to, n, d); \
	BUTTERFLY(from, to, n, e); \
	BUTTERFLY(from, to, n, f); \
	BUTTERFLY(from, to, n, g); \
	BUTTERFLY(from, to, n, h)

#define BUTTERFLY(from, to, n, i) \
	FADD(to+i, from+i, from+i+n); \
	FSUB(to+i+n, from+i, from+i+n)

// EIGHTH stores two vectors times V16.
#define EIGHTH(i, a, b, fa, fb) \
	FMULI(a, a, 16, 0); \
	FMULI(b, b, 16, 0); \
	FSTPQ (fa, fb), i(R0)

// func hadamardNEON(x *float32, units int)
// The order of sums is that of the portable function: numbers 1 apart first, then 2, 4 and so on.
TEXT ·hadamardNEON(SB), NOSPLIT, $0-16
	MOVD x+0(FP), R0
	MOVD units+8(FP), R1
	MOVD $0xBF8000003F800000, R2 // 1, −1
	MOVD $0x3F8000003F800000, R3 // 1, 1
	MOVD $0xBF800000BF800000, R4 // −1, −1

piece:
	VDUP  R2, V30.D2
	VMOV  R3, V31.D[0]
	VMOV  R4, V31.D[1]
	FLDPQ (R0), (F0, F1)
	FLDPQ 32(R0), (F2, F3)
	FLDPQ 64(R0), (F4, F5)
	FLDPQ 96(R0), (F6, F7)
	FLDPQ 128(R0), (F8, F9)
	FLDPQ 160(R0), (F10, F11)
	FLDPQ 192(R0), (F12, F13)
	FLDPQ 224(R0), (F14, F15)
	SUMS(V0)
	SUMS(V1)
	SUMS(V2)
	SUMS(V3)
	SUMS(V4)
	SUMS(V5)
	SUMS(V6)
	SUMS(V7)
	SUMS(V8)
	SUMS(V9)
	SUMS(V10)
	SUMS(V11)
	SUMS(V12)
	SUMS(V13)
	SUMS(V14)
	SUMS(V15)
	BUTTERFLIES(0, 16, 1, 0, 2, 4, 6, 8, 10, 12, 14)
	BUTTERFLIES(16, 0, 2, 0, 1, 4, 5, 8, 9, 12, 13)
	BUTTERFLIES(0, 16, 4, 0, 1, 2, 3, 8, 9, 10, 11)
	BUTTERFLIES(16, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7)
	FMOVS $0.125, F16
	EIGHTH(0, 0, 1, F0, F1)
	EIGHTH(32, 2, 3, F2, F3)
	EIGHTH(64, 4, 5, F4, F5)
	EIGHTH(96, 6, 7, F6, F7)
	EIGHTH(128, 8, 9, F8, F9)
	EIGHTH(160, 10, 11, F10, F11)
	EIGHTH(192, 12, 13, F12, F13)
	EIGHTH(224, 14, 15, F14, F15)
	ADD  $256, R0
	SUBS $1, R1
	BNE  piece
	RET

// func decodeF16NEON(dst *float32, src *byte, n int)
TEXT ·decodeF16NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	CBZ  R2, done

eight:
	FMOVQ.P 16(R1), F0
	FCVTL(1, 0)
	FCVTL2(2, 0)
	FSTPQ   (F1, F2), (R0)
	ADD     $32, R0
	SUBS    $8, R2
	BNE     eight

done:
	RET

// func decodeBF16NEON(dst *float32, src *byte, n int)
// A zero below each half makes it a float.
TEXT ·decodeBF16NEON(SB), NOSPLIT, $0-24
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  n+16(FP), R2
	VMOVI $0, V3.B16
	CBZ   R2, done

eight:
	FMOVQ.P 16(R1), F0
	VZIP1   V0.H8, V3.H8, V1.H8
	VZIP2   V0.H8, V3.H8, V2.H8
	FSTPQ   (F1, F2), (R0)
	ADD     $32, R0
	SUBS    $8, R2
	BNE     eight

done:
	RET

// Exponentials. e^t = 2^n · e^r with n = t/ln 2 rounded to a whole number and r = t − n·ln 2, ln 2 in two parts so that n
// times the upper one is exact; e^r − 1 = r + r²·(c0 + c1·r + … + c5·r⁵) for |r| ≤ ln(2)/2 is the polynomial of Cephes' expf,
// good to 2⁻²⁴. Below −104 the result is 0, above 89 infinite.
DATA exponential<>+0(SB)/4, $0x3FB8AA3B  // V16: log2(e)
DATA exponential<>+4(SB)/4, $0x3F318000  // V17: ln 2, upper part
DATA exponential<>+8(SB)/4, $0xB95E8083  // V18: lower part
DATA exponential<>+12(SB)/4, $0x3F000000 // V19: c0
DATA exponential<>+16(SB)/4, $0x3E2AAAAA // V20: c1
DATA exponential<>+20(SB)/4, $0x3D2AA9C1 // V21: c2
DATA exponential<>+24(SB)/4, $0x3C088908 // V22: c3
DATA exponential<>+28(SB)/4, $0x3AB743CE // V23: c4
DATA exponential<>+32(SB)/4, $0x39506967 // V24: c5
DATA exponential<>+36(SB)/4, $0x3F800000 // V25: 1
DATA exponential<>+40(SB)/4, $0x0000007F // V26: 127, the bias of exponents
DATA exponential<>+44(SB)/4, $0xC2D00000 // V27: least t, −104
DATA exponential<>+48(SB)/4, $0x42B20000 // V28: greatest t, 89
DATA exponential<>+52(SB)/4, $0xC1A00000 // for tanh, V27: −20
DATA exponential<>+56(SB)/4, $0x41A00000 // V28: 20
GLOBL exponential<>(SB), (NOPTR|RODATA), $60

#define LOAD_EXPONENTIAL \
	MOVD    $exponential<>(SB), R9 \
	VLD1R.P 4(R9), [V16.S4]        \
	VLD1R.P 4(R9), [V17.S4]        \
	VLD1R.P 4(R9), [V18.S4]        \
	VLD1R.P 4(R9), [V19.S4]        \
	VLD1R.P 4(R9), [V20.S4]        \
	VLD1R.P 4(R9), [V21.S4]        \
	VLD1R.P 4(R9), [V22.S4]        \
	VLD1R.P 4(R9), [V23.S4]        \
	VLD1R.P 4(R9), [V24.S4]        \
	VLD1R.P 4(R9), [V25.S4]        \
	VLD1R.P 4(R9), [V26.S4]        \
	VLD1R.P 4(R9), [V27.S4]        \
	VLD1R.P 4(R9), [V28.S4] // and R9 points past it

// EXPM1 sets V1 to e^r − 1 and V2 to n, for t in V0. NaN gives NaN and n = 0.
#define EXPM1 \
	FMAX(0, 0, 27)                 \
	FMIN(0, 0, 28)                 \
	FMUL(2, 0, 16)                 \
	FRINTN(2, 2)                   \
	VFMLS V17.S4, V2.S4, V0.S4     \
	VFMLS V18.S4, V2.S4, V0.S4     \ // r
	FCVTNS(2, 2)                   \
	FMUL(3, 0, 24)                 \
	FADD(3, 3, 23)                 \
	VORR  V22.B16, V22.B16, V1.B16 \
	VFMLA V0.S4, V3.S4, V1.S4      \
	VORR  V21.B16, V21.B16, V3.B16 \
	VFMLA V0.S4, V1.S4, V3.S4      \
	VORR  V20.B16, V20.B16, V1.B16 \
	VFMLA V0.S4, V3.S4, V1.S4      \
	VORR  V19.B16, V19.B16, V3.B16 \
	VFMLA V0.S4, V1.S4, V3.S4      \ // c0 + …
	FMUL(3, 3, 0)                  \
	VORR  V0.B16, V0.B16, V1.B16   \
	VFMLA V0.S4, V3.S4, V1.S4

// EXP sets V1 to e^t for t in V0. 2^n is multiplied in two steps, so that results may be subnormal or infinite.
#define EXP \
	EXPM1                     \
	SSHR1(3, 2)               \
	VSUB V3.S4, V2.S4, V2.S4  \
	VADD V26.S4, V3.S4, V3.S4 \
	VADD V26.S4, V2.S4, V2.S4 \
	VSHL $23, V3.S4, V3.S4    \
	VSHL $23, V2.S4, V2.S4    \
	FADD(1, 1, 25)            \
	FMUL(1, 1, 3)             \
	FMUL(1, 1, 2)

// func expSumNEON(x *float32, n int, shift float32) float32
TEXT ·expSumNEON(SB), NOSPLIT, $0-28
	MOVD  x+0(FP), R0
	MOVD  n+8(FP), R2
	FMOVS shift+16(FP), F5
	VDUP  V5.S[0], V5.S4
	VMOVI $0, V6.B16
	LOAD_EXPONENTIAL
	CBZ   R2, done

four:
	FMOVQ   (R0), F0
	FSUB(0, 0, 5)
	EXP
	FADD(6, 6, 1)
	FMOVQ   F1, (R0)
	ADD     $16, R0
	SUBS    $4, R2
	BNE     four

done:
	FADDP(6, 6, 6)
	FADDP2(6, 6)
	FMOVS F6, ret+24(FP)
	RET

// func geluNEON(gate, up *float32, n int)
// gelu(x) = x / (1 + e^t), t = x·(k0 + k1·x²): V5 is k0 = −2·√(2/π), V6 k1 = 0.044715·k0. Below −87 e^t vanishes beside 1; where
// n is 128 it counts as infinite.
TEXT ·geluNEON(SB), NOSPLIT, $0-24
	MOVD  gate+0(FP), R0
	MOVD  up+8(FP), R1
	MOVD  n+16(FP), R2
	VMOVS $0xBFCC422A, V5
	VMOVS $0xBD922279, V6
	VDUP  V5.S[0], V5.S4
	VDUP  V6.S[0], V6.S4
	LOAD_EXPONENTIAL
	VMOVS $0xC2AE0000, V27 // −87
	VDUP  V27.S[0], V27.S4
	CBZ   R2, done

four:
	FMOVQ   (R0), F4
	FMOVQ.P 16(R1), F7
	FMUL(0, 4, 4)
	VORR    V5.B16, V5.B16, V1.B16
	VFMLA   V6.S4, V0.S4, V1.S4
	FMUL(0, 1, 4)
	EXPM1
	VADD    V26.S4, V2.S4, V2.S4
	VSHL    $23, V2.S4, V2.S4
	FADD(1, 1, 25)
	FMUL(1, 1, 2)
	FADD(1, 1, 25)
	FDIV(1, 4, 1)
	FMUL(1, 1, 7)
	FMOVQ   F1, (R0)
	ADD     $16, R0
	SUBS    $4, R2
	BNE     four

done:
	RET

// func softCapNEON(x *float32, n int, limit float32)
// tanh(y) = m/(m + 2) with m = e^2y − 1 = 2^n·(e^r − 1) + (2^n − 1), which loses nothing near 0. At ±10 it is ±1.
TEXT ·softCapNEON(SB), NOSPLIT, $0-20
	MOVD    x+0(FP), R0
	MOVD    n+8(FP), R2
	FMOVS   limit+16(FP), F5
	VDUP    V5.S[0], V5.S4
	LOAD_EXPONENTIAL
	VLD1R.P 4(R9), [V27.S4]
	VLD1R   (R9), [V28.S4]
	CBZ     R2, done

four:
	FMOVQ   (R0), F0
	FDIV(0, 0, 5)
	FADD(0, 0, 0)
	EXPM1
	VADD    V26.S4, V2.S4, V2.S4
	VSHL    $23, V2.S4, V2.S4
	FSUB(3, 2, 25)
	VFMLA   V2.S4, V1.S4, V3.S4 // m
	FADD(1, 25, 25)
	FADD(1, 1, 3)
	FDIV(1, 3, 1)
	FMUL(1, 1, 5)
	FMOVQ   F1, (R0)
	ADD     $16, R0
	SUBS    $4, R2
	BNE     four

done:
	RET

// func maxNEON(x *float32, n int) float32
TEXT ·maxNEON(SB), NOSPLIT, $0-20
	MOVD    x+0(FP), R0
	MOVD    n+8(FP), R1
	FMOVQ.P 16(R0), F0

four:
	SUBS    $4, R1
	BEQ     done
	FMOVQ.P 16(R0), F1
	FMAX(0, 0, 1)
	B       four

done:
	FMAXV(0, 0)
	FMOVS F0, ret+16(FP)
	RET

// func clampNEON(x *float32, n int, low, high float32)
TEXT ·clampNEON(SB), NOSPLIT, $0-24
	MOVD  x+0(FP), R0
	MOVD  n+8(FP), R1
	FMOVS low+16(FP), F1
	FMOVS high+20(FP), F2
	VDUP  V1.S[0], V1.S4
	VDUP  V2.S[0], V2.S4

four:
	FMOVQ   (R0), F0
	FMAX(0, 0, 1)
	FMIN(0, 0, 2)
	FMOVQ.P F0, 16(R0)
	SUBS    $4, R1
	BNE     four
	RET

// func sumNEON(b *byte, n int) uint64
TEXT ·sumNEON(SB), NOSPLIT, $0-24
	MOVD  b+0(FP), R0
	MOVD  n+8(FP), R1
	VMOVI $0, V0.B16
	VMOVI $0, V1.B16
	VMOVI $0, V2.B16
	VMOVI $0, V3.B16
	CBZ   R1, done

next:
	PRFM  1024(R0), PLDL1KEEP
	FLDPQ (R0), (F4, F5)
	FLDPQ 32(R0), (F6, F7)
	ADD   $64, R0
	VADD  V4.D2, V0.D2, V0.D2
	VADD  V5.D2, V1.D2, V1.D2
	VADD  V6.D2, V2.D2, V2.D2
	VADD  V7.D2, V3.D2, V3.D2
	SUBS  $64, R1
	BNE   next

done:
	VADD  V1.D2, V0.D2, V0.D2
	VADD  V3.D2, V2.D2, V2.D2
	VADD  V2.D2, V0.D2, V0.D2
	VADDP V0.D2, V0.D2, V0.D2
	FMOVD F0, ret+16(FP)
	RET
