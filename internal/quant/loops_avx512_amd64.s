#include "go_asm.h"
#include "textflag.h"

// TRY adds what a weight in all lanes of X, that counts W, makes of 16 scales, none of whose codes is below 0: C and S are scratch, CODES,
// SQUARES and PRODUCTS are sums. Z25 is the largest code.
#define TRY(INVERSE, X, W, C, S, CODES, SQUARES, PRODUCTS) \
	VMULPS      INVERSE, X, C       \
	VMINPS      Z25, C, C           \
	VRNDSCALEPS $0, C, C            \
	VMULPS      W, C, S             \
	VADDPS      S, CODES, CODES     \
	VMULPS      S, C, C             \
	VMULPS      S, X, S             \
	VADDPS      C, SQUARES, SQUARES \
	VADDPS      S, PRODUCTS, PRODUCTS

// TRYSIGNED does so for codes of both signs, the least of which is Z24, without their sum.
#define TRYSIGNED(INVERSE, X, W, C, S, SQUARES, PRODUCTS) \
	VMULPS      INVERSE, X, C       \
	VMAXPS      Z24, C, C           \
	VMINPS      Z25, C, C           \
	VRNDSCALEPS $0, C, C            \
	VMULPS      W, C, S             \
	VMULPS      S, C, C             \
	VMULPS      S, X, S             \
	VADDPS      C, SQUARES, SQUARES \
	VADDPS      S, PRODUCTS, PRODUCTS

// WEIGHT sets Z16 and Z17 to the weight at SI and to what it counts, at DX, and adds to X8 and X9.
#define WEIGHT \
	VMOVSS       (SI), X11     \
	VMOVSS       (DX), X12     \
	VSUBSS       X10, X11, X11 \
	VBROADCASTSS X11, Z16      \
	VBROADCASTSS X12, Z17      \
	VADDSS       X12, X8, X8   \
	VMULSS       X12, X11, X11 \
	VADDSS       X11, X9, X9   \
	ADDQ         $4, SI        \
	ADDQ         $4, DX

// func linearAVX512(t *trials, x, w *float32, n int, inverse, least float32)
//
// Z0, Z1: reciprocals of scales. Z2 to Z7: sums; X8, X9: those that are the same for all scales. X10: the least value. Z16, Z17: the weight
// and what it counts. SI, DX: the next of them. CX: how many are left.
TEXT ·linearAVX512(SB), NOSPLIT, $0-40
	MOVQ         t+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         w+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSS inverse+32(FP), Z1
	VMOVSS       least+36(FP), X10
	VBROADCASTSS trials_low(DI), Z24
	VBROADCASTSS trials_high(DI), Z25
	VMULPS       trials_ratio+0(DI), Z1, Z0
	VMULPS       trials_ratio+64(DI), Z1, Z1
	VPXORD       Z2, Z2, Z2
	VPXORD       Z3, Z3, Z3
	VPXORD       Z4, Z4, Z4
	VPXORD       Z5, Z5, Z5
	VPXORD       Z6, Z6, Z6
	VPXORD       Z7, Z7, Z7
	VPXORD       Z8, Z8, Z8
	VPXORD       Z9, Z9, Z9
	TESTQ        CX, CX
	JLE          done
	VUCOMISS     X8, X24
	JCS          signed

loop:
	WEIGHT
	TRY(Z0, Z16, Z17, Z18, Z19, Z2, Z4, Z6)
	TRY(Z1, Z16, Z17, Z20, Z21, Z3, Z5, Z7)
	DECQ CX
	JNZ  loop
	JMP  done

signed:
	WEIGHT
	TRYSIGNED(Z0, Z16, Z17, Z18, Z19, Z4, Z6)
	TRYSIGNED(Z1, Z16, Z17, Z20, Z21, Z5, Z7)
	DECQ CX
	JNZ  signed

done:
	VMOVUPS Z2, trials_codes+0(DI)
	VMOVUPS Z3, trials_codes+64(DI)
	VMOVUPS Z4, trials_squares+0(DI)
	VMOVUPS Z5, trials_squares+64(DI)
	VMOVUPS Z6, trials_products+0(DI)
	VMOVUPS Z7, trials_products+64(DI)
	VMOVSS  X8, trials_weights(DI)
	VMOVSS  X9, trials_sum(DI)
	VZEROUPPER
	RET

// CELL sets I to the cell that V lies in: V/8 + 16, cut off, within 0 and 31. Z26 is 1/8, Z27 is 16, Z28 and Z29 are 0 and 31.
#define CELL(V, I) \
	VMULPS     Z26, V, I \
	VADDPS     Z27, I, I \
	VMAXPS     Z28, I, I \
	VMINPS     Z29, I, I \
	VCVTTPS2DQ I, I

// ABOVE sets K1 where V is above the border of its cell I. Z20 and Z21 are borders, S is scratch.
#define ABOVE(V, I, S) \
	VMOVAPS   I, S           \
	VPERMI2PS Z21, Z20, S    \
	VCMPPS    $14, S, V, K1

#define CELLS \
	VBROADCASTSS cell<>+0(SB), Z26 \
	VBROADCASTSS cell<>+4(SB), Z27 \
	VPXORD       Z28, Z28, Z28     \
	VBROADCASTSS cell<>+8(SB), Z29

// 1/8, 16 and 31.
DATA cell<>+0(SB)/4, $0.125
DATA cell<>+4(SB)/4, $16.0
DATA cell<>+8(SB)/4, $31.0
GLOBL cell<>(SB), RODATA, $12

// VALUE sets C to the values of IQ4 nearest to it. Z22 to Z25 are those below borders and those above them, I and S are scratch.
#define VALUE(C, I, S) \
	CELL(C, I)            \
	ABOVE(C, I, S)        \
	VMOVAPS   I, C        \
	VPERMI2PS Z23, Z22, C \
	VPERMI2PS Z25, Z24, I \
	VMOVAPS   I, K1, C

// TRYVALUE is TRY for the values of IQ4. I is scratch too.
#define TRYVALUE(INVERSE, X, W, C, I, S, SQUARES, PRODUCTS) \
	VMULPS    INVERSE, X, C          \
	VALUE(C, I, S)                   \
	VMULPS    W, C, S                \
	VMULPS    S, C, C                \
	VMULPS    S, X, S                \
	VADDPS    C, SQUARES, SQUARES    \
	VADDPS    S, PRODUCTS, PRODUCTS

// func nonlinearAVX512(t *trials, tables, x, w *float32, n int, inverse float32)
//
// Z0, Z1: reciprocals of scales. Z4 to Z7: sums. Z16, Z17: the weight and what it counts. SI, DX: the next of them. CX: how many are left.
TEXT ·nonlinearAVX512(SB), NOSPLIT, $0-44
	MOVQ         t+0(FP), DI
	MOVQ         tables+8(FP), BX
	MOVQ         x+16(FP), SI
	MOVQ         w+24(FP), DX
	MOVQ         n+32(FP), CX
	VBROADCASTSS inverse+40(FP), Z1
	VMOVUPS      (BX), Z20
	VMOVUPS      64(BX), Z21
	VMOVUPS      128(BX), Z22
	VMOVUPS      192(BX), Z23
	VMOVUPS      256(BX), Z24
	VMOVUPS      320(BX), Z25
	CELLS
	VMULPS       trials_ratio+0(DI), Z1, Z0
	VMULPS       trials_ratio+64(DI), Z1, Z1
	VPXORD       Z4, Z4, Z4
	VPXORD       Z5, Z5, Z5
	VPXORD       Z6, Z6, Z6
	VPXORD       Z7, Z7, Z7
	TESTQ        CX, CX
	JLE          done

loop:
	VBROADCASTSS (SI), Z16
	VBROADCASTSS (DX), Z17
	TRYVALUE(Z0, Z16, Z17, Z8, Z9, Z10, Z4, Z6)
	TRYVALUE(Z1, Z16, Z17, Z11, Z12, Z13, Z5, Z7)
	ADDQ         $4, SI
	ADDQ         $4, DX
	DECQ         CX
	JNZ          loop

done:
	VMOVUPS Z4, trials_squares+0(DI)
	VMOVUPS Z5, trials_squares+64(DI)
	VMOVUPS Z6, trials_products+0(DI)
	VMOVUPS Z7, trials_products+64(DI)
	VZEROUPPER
	RET

// func tableCodesAVX512(q *uint8, tables *float32, codes *uint8, x *float32, n int, inverse float32)
//
// n is a multiple of 16. Z22, Z23: codes of the values below borders. Z24: ones.
TEXT ·tableCodesAVX512(SB), NOSPLIT, $0-44
	MOVQ         q+0(FP), DI
	MOVQ         tables+8(FP), BX
	MOVQ         codes+16(FP), DX
	MOVQ         x+24(FP), SI
	MOVQ         n+32(FP), CX
	VBROADCASTSS inverse+40(FP), Z0
	VMOVUPS      (BX), Z20
	VMOVUPS      64(BX), Z21
	VPMOVZXBD    (DX), Z22
	VPMOVZXBD    16(DX), Z23
	VPTERNLOGD   $255, Z24, Z24, Z24
	CELLS

loop:
	SUBQ      $16, CX
	JLT       done
	VMULPS    (SI), Z0, Z1
	CELL(Z1, Z2)
	ABOVE(Z1, Z2, Z3)
	VPERMI2D  Z23, Z22, Z2
	VPSUBD    Z24, Z2, K1, Z2
	VPMOVDB   Z2, (DI)
	ADDQ      $64, SI
	ADDQ      $16, DI
	JMP       loop

done:
	VZEROUPPER
	RET

// LARGEST sets AX to the number of the first of the largest of 32 in Z2 and Z3, or to -1 if none is above 0, which Z6 is. Z7 and Z8 are
// scratch, and so is BX.
#define LARGEST \
	VMAXPS        Z2, Z3, Z7     \
	VEXTRACTF64X4 $1, Z7, Y8     \
	VMAXPS        Y7, Y8, Y7     \
	VEXTRACTF128  $1, Y7, X8     \
	VMAXPS        X7, X8, X7     \
	VPSHUFD       $0x4E, X7, X8  \
	VMAXPS        X7, X8, X7     \
	VPSHUFD       $0xB1, X7, X8  \
	VMAXPS        X7, X8, X7     \
	VBROADCASTSS  X7, Z7         \
	VCMPPS        $0, Z7, Z2, K1 \
	VCMPPS        $0, Z7, Z3, K2 \
	KUNPCKWD      K1, K2, K1     \
	KMOVD         K1, AX         \
	BSFL          AX, AX         \
	MOVQ          $-1, BX        \
	VUCOMISS      X6, X7         \
	CMOVQLS       BX, AX

// func closestAVX512(t *trials) int
//
// Of scales i and 16+i: Z0, Z1: squares. Z2, Z3: products, then gains. Z4, Z5: steps.
TEXT ·closestAVX512(SB), NOSPLIT, $0-16
	MOVQ      t+0(FP), DI
	VPXORD    Z6, Z6, Z6
	VMOVUPS   trials_squares+0(DI), Z0
	VMOVUPS   trials_squares+64(DI), Z1
	VMOVUPS   trials_products+0(DI), Z2
	VMOVUPS   trials_products+64(DI), Z3
	VCMPPS    $14, Z6, Z0, K1
	VCMPPS    $14, Z6, Z1, K2
	VDIVPS.Z  Z0, Z2, K1, Z4
	VDIVPS.Z  Z1, Z3, K2, Z5
	VMOVUPS   Z4, trials_step+0(DI)
	VMOVUPS   Z5, trials_step+64(DI)
	VMULPS    Z4, Z2, Z2
	VMULPS    Z5, Z3, Z3
	LARGEST
	MOVQ      AX, ret+8(FP)
	VZEROUPPER
	RET

// AFFINE makes GAIN, STEP and LEAST of the sums of 16 scales: those of CODES, SQUARES and PRODUCTS. Z20: Σ w, Z21: Σ w·x, Z22: the bound,
// Z23: flat, Z6: 0. Z16 to Z19 are scratch.
#define AFFINE(CODES, SQUARES, PRODUCTS, GAIN, STEP, LEAST) \
	VMULPS   SQUARES, Z20, Z16        \
	VMULPS   CODES, CODES, Z17        \
	VSUBPS   Z17, Z16, Z17            \
	VMULPS   Z23, Z16, Z16            \
	VCMPPS   $14, Z6, SQUARES, K1     \
	VCMPPS   $14, Z16, Z17, K1, K2    \
	VMULPS   SQUARES, Z21, Z18        \
	VMULPS   CODES, PRODUCTS, Z19     \
	VSUBPS   Z19, Z18, Z18            \
	VDIVPS.Z Z17, Z18, K2, LEAST      \
	VMINPS.Z LEAST, Z22, K2, LEAST    \
	VMULPS   CODES, LEAST, Z16        \
	VSUBPS   Z16, PRODUCTS, Z16       \
	VDIVPS.Z SQUARES, Z16, K1, STEP   \
	VMULPS   Z20, LEAST, Z17          \
	VADDPS   Z21, Z21, Z18            \
	VSUBPS   Z17, Z18, Z17            \
	VMULPS   Z17, LEAST, Z17          \
	VMULPS   Z16, STEP, Z16           \
	VADDPS.Z Z17, Z16, K1, GAIN

// func closestAffineAVX512(t *trials, bound float32) int
TEXT ·closestAffineAVX512(SB), NOSPLIT, $0-24
	MOVQ         t+0(FP), DI
	VBROADCASTSS bound+8(FP), Z22
	VBROADCASTSS trials_weights(DI), Z20
	VBROADCASTSS trials_sum(DI), Z21
	VBROADCASTSS flat<>(SB), Z23
	VPXORD       Z6, Z6, Z6
	VMOVUPS      trials_codes+0(DI), Z0
	VMOVUPS      trials_squares+0(DI), Z1
	VMOVUPS      trials_products+0(DI), Z4
	AFFINE(Z0, Z1, Z4, Z2, Z9, Z10)
	VMOVUPS      Z9, trials_step+0(DI)
	VMOVUPS      Z10, trials_least+0(DI)
	VMOVUPS      trials_codes+64(DI), Z0
	VMOVUPS      trials_squares+64(DI), Z1
	VMOVUPS      trials_products+64(DI), Z4
	AFFINE(Z0, Z1, Z4, Z3, Z9, Z10)
	VMOVUPS      Z9, trials_step+64(DI)
	VMOVUPS      Z10, trials_least+64(DI)
	LARGEST
	MOVQ         AX, ret+16(FP)
	VZEROUPPER
	RET

// 1e-5
DATA flat<>+0(SB)/4, $0x3727C5AC
GLOBL flat<>(SB), RODATA, $4

// func codesAVX512(q *uint8, x *float32, n int, inverse, least, low, high float32)
//
// n is a multiple of 16. Z0: the reciprocal. Z1: the least value. Z2, Z3: the least and the largest code. Z4: the least as an integer.
TEXT ·codesAVX512(SB), NOSPLIT, $0-40
	MOVQ         q+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS inverse+24(FP), Z0
	VBROADCASTSS least+28(FP), Z1
	VBROADCASTSS low+32(FP), Z2
	VBROADCASTSS high+36(FP), Z3
	VCVTPS2DQ    Z2, Z4

loop:
	SUBQ      $16, CX
	JLT       done
	VADDPS    (SI), Z1, Z5
	VMULPS    Z0, Z5, Z5
	VMAXPS    Z2, Z5, Z5
	VMINPS    Z3, Z5, Z5
	VCVTPS2DQ Z5, Z5
	VPSUBD    Z4, Z5, Z5
	VPMOVDB   Z5, (DI)
	ADDQ      $64, SI
	ADDQ      $16, DI
	JMP       loop

done:
	VZEROUPPER
	RET

// REST adds what 16 weights in Z10, that count Z11, make of the four sums in Z6 to Z9. Z0: the step. Z1: its reciprocal. Z2: the least
// value. Z3, Z4: the least and the largest code. Z12 and Z13 are scratch.
#define REST \
	VADDPS      Z10, Z2, Z10     \
	VMULPS      Z1, Z10, Z12     \
	VMAXPS      Z3, Z12, Z12     \
	VMINPS      Z4, Z12, Z12     \
	VRNDSCALEPS $0, Z12, Z12     \
	VMULPS      Z11, Z12, Z13    \
	VADDPS      Z13, Z6, Z6      \
	VMULPS      Z0, Z12, Z5      \
	VSUBPS      Z5, Z10, Z10     \
	VMULPS      Z13, Z12, Z12    \
	VADDPS      Z12, Z7, Z7      \
	VMULPS      Z10, Z11, Z11    \
	VADDPS      Z11, Z8, Z8      \
	VMULPS      Z10, Z13, Z13    \
	VADDPS      Z13, Z9, Z9

// TOTAL adds up the lanes of Z, halves to halves, into X, which is its low lanes. Y and X are its parts; Y5 is scratch.
#define TOTAL(Z, Y, X) \
	VEXTRACTF64X4 $1, Z, Y5  \
	VADDPS        Y5, Y, Y   \
	VEXTRACTF128  $1, Y, X5  \
	VADDPS        X5, X, X   \
	VPSHUFD       $0x4E, X, X5 \
	VADDPS        X5, X, X   \
	VPSHUFD       $0xB1, X, X5 \
	VADDSS        X5, X, X

// func residueAVX512(r *residue, x, w *float32, n int, step, inverse, least, low, high float32)
//
// n is a multiple of 16. Z6 to Z9: the sums in lanes.
TEXT ·residueAVX512(SB), NOSPLIT, $0-52
	MOVQ         r+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         w+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSS step+32(FP), Z0
	VBROADCASTSS inverse+36(FP), Z1
	VBROADCASTSS least+40(FP), Z2
	VBROADCASTSS low+44(FP), Z3
	VBROADCASTSS high+48(FP), Z4
	VPXORD       Z6, Z6, Z6
	VPXORD       Z7, Z7, Z7
	VPXORD       Z8, Z8, Z8
	VPXORD       Z9, Z9, Z9

loop:
	SUBQ    $16, CX
	JLT     done
	VMOVUPS (SI), Z10
	VMOVUPS (DX), Z11
	REST
	ADDQ    $64, SI
	ADDQ    $64, DX
	JMP     loop

done:
	TOTAL(Z6, Y6, X6)
	TOTAL(Z7, Y7, X7)
	TOTAL(Z8, Y8, X8)
	TOTAL(Z9, Y9, X9)
	VMOVSS X6, residue_codes(DI)
	VMOVSS X7, residue_squares(DI)
	VMOVSS X8, residue_rest(DI)
	VMOVSS X9, residue_products(DI)
	VZEROUPPER
	RET

// func tableResidueAVX512(r *residue, tables, x, w *float32, n int, step, inverse float32)
//
// n is a multiple of 16. Z7, Z9: the sums in lanes. Z0: the step. Z1: its reciprocal. Z10, Z11: weights and what they count.
TEXT ·tableResidueAVX512(SB), NOSPLIT, $0-48
	MOVQ         r+0(FP), DI
	MOVQ         tables+8(FP), BX
	MOVQ         x+16(FP), SI
	MOVQ         w+24(FP), DX
	MOVQ         n+32(FP), CX
	VBROADCASTSS step+40(FP), Z0
	VBROADCASTSS inverse+44(FP), Z1
	VMOVUPS      (BX), Z20
	VMOVUPS      64(BX), Z21
	VMOVUPS      128(BX), Z22
	VMOVUPS      192(BX), Z23
	VMOVUPS      256(BX), Z24
	VMOVUPS      320(BX), Z25
	CELLS
	VPXORD       Z7, Z7, Z7
	VPXORD       Z9, Z9, Z9

loop:
	SUBQ      $16, CX
	JLT       done
	VMOVUPS   (SI), Z10
	VMOVUPS   (DX), Z11
	VMULPS    Z1, Z10, Z12
	VALUE(Z12, Z13, Z14)
	VMULPS    Z11, Z12, Z13
	VMULPS    Z0, Z12, Z14
	VSUBPS    Z14, Z10, Z10
	VMULPS    Z13, Z12, Z12
	VADDPS    Z12, Z7, Z7
	VMULPS    Z10, Z13, Z13
	VADDPS    Z13, Z9, Z9
	ADDQ      $64, SI
	ADDQ      $64, DX
	JMP       loop

done:
	TOTAL(Z7, Y7, X7)
	TOTAL(Z9, Y9, X9)
	VMOVSS X7, residue_squares(DI)
	VMOVSS X9, residue_products(DI)
	VZEROUPPER
	RET

// func weighAVX512(w, x *float32, n int, twice float32)
//
// n is a multiple of 16.
TEXT ·weighAVX512(SB), NOSPLIT, $0-28
	MOVQ         w+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS twice+24(FP), Z0

loop:
	SUBQ    $16, CX
	JLT     done
	VMOVUPS (SI), Z1
	VMULPS  Z1, Z1, Z1
	VADDPS  Z0, Z1, Z1
	VSQRTPS Z1, Z1
	VMOVUPS Z1, (DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	JMP     loop

done:
	VZEROUPPER
	RET
