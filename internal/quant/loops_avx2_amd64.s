#include "go_asm.h"
#include "textflag.h"

// TRY adds what a weight in all lanes of Y10, that counts Y11, makes of 8 scales, none of whose codes is below 0: Y8 and Y9 are scratch,
// CODES, SQUARES and PRODUCTS are sums. Y14 is the largest code.
#define TRY(INVERSE, CODES, SQUARES, PRODUCTS) \
	VMULPS INVERSE, Y10, Y8        \
	VMINPS Y14, Y8, Y8             \
	VADDPS magic<>(SB), Y8, Y8     \
	VSUBPS magic<>(SB), Y8, Y8     \
	VMULPS Y11, Y8, Y9             \
	VADDPS Y9, CODES, CODES        \
	VMULPS Y9, Y8, Y8              \
	VMULPS Y9, Y10, Y9             \
	VADDPS Y8, SQUARES, SQUARES    \
	VADDPS Y9, PRODUCTS, PRODUCTS

// TRYSIGNED does so for codes of both signs, the least of which is Y13, without their sum.
#define TRYSIGNED(INVERSE, SQUARES, PRODUCTS) \
	VMULPS INVERSE, Y10, Y8        \
	VMAXPS Y13, Y8, Y8             \
	VMINPS Y14, Y8, Y8             \
	VADDPS magic<>(SB), Y8, Y8     \
	VSUBPS magic<>(SB), Y8, Y8     \
	VMULPS Y11, Y8, Y9             \
	VMULPS Y9, Y8, Y8              \
	VMULPS Y9, Y10, Y9             \
	VADDPS Y8, SQUARES, SQUARES    \
	VADDPS Y9, PRODUCTS, PRODUCTS

// WEIGHT sets Y10 and Y11 to the weight at SI and to what it counts, at DX, and adds to X12 and X15.
#define WEIGHT \
	VMOVSS       (SI), X10              \
	VMOVSS       (DX), X11              \
	VSUBSS       least+36(FP), X10, X10 \
	VADDSS       X11, X12, X12          \
	VMULSS       X11, X10, X8           \
	VADDSS       X8, X15, X15           \
	VBROADCASTSS X10, Y10               \
	VBROADCASTSS X11, Y11               \
	ADDQ         $4, SI                 \
	ADDQ         $4, DX

// 3·2²²
DATA magic<>+0(SB)/8, $0x4B4000004B400000
DATA magic<>+8(SB)/8, $0x4B4000004B400000
DATA magic<>+16(SB)/8, $0x4B4000004B400000
DATA magic<>+24(SB)/8, $0x4B4000004B400000
GLOBL magic<>(SB), RODATA, $32

// func linearAVX2(t *trials, x, w *float32, n int, inverse, least float32)
//
// 16 scales at a time, DI bytes behind the first. Y0, Y1: their reciprocals. Y2 to Y7: sums; X12, X15: those that are the same for all
// scales. R8: the trials. SI, DX: the next weight and what it counts. CX: how many are left.
TEXT ·linearAVX2(SB), NOSPLIT, $0-40
	MOVQ         t+0(FP), R8
	VBROADCASTSS trials_low(R8), Y13
	VBROADCASTSS trials_high(R8), Y14
	XORQ         DI, DI

scales:
	MOVQ         x+8(FP), SI
	MOVQ         w+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSS inverse+32(FP), Y1
	VMULPS       trials_ratio+0(R8)(DI*1), Y1, Y0
	VMULPS       trials_ratio+32(R8)(DI*1), Y1, Y1
	VXORPS       Y2, Y2, Y2
	VXORPS       Y3, Y3, Y3
	VXORPS       Y4, Y4, Y4
	VXORPS       Y5, Y5, Y5
	VXORPS       Y6, Y6, Y6
	VXORPS       Y7, Y7, Y7
	VXORPS       Y12, Y12, Y12
	VXORPS       Y15, Y15, Y15
	TESTQ        CX, CX
	JLE          done
	VUCOMISS     X12, X13
	JCS          signed

loop:
	WEIGHT
	TRY(Y0, Y2, Y4, Y6)
	TRY(Y1, Y3, Y5, Y7)
	DECQ CX
	JNZ  loop
	JMP  done

signed:
	WEIGHT
	TRYSIGNED(Y0, Y4, Y6)
	TRYSIGNED(Y1, Y5, Y7)
	DECQ CX
	JNZ  signed

done:
	VMOVUPS Y2, trials_codes+0(R8)(DI*1)
	VMOVUPS Y3, trials_codes+32(R8)(DI*1)
	VMOVUPS Y4, trials_squares+0(R8)(DI*1)
	VMOVUPS Y5, trials_squares+32(R8)(DI*1)
	VMOVUPS Y6, trials_products+0(R8)(DI*1)
	VMOVUPS Y7, trials_products+32(R8)(DI*1)
	VMOVSS  X12, trials_weights(R8)
	VMOVSS  X15, trials_sum(R8)
	ADDQ    $64, DI
	CMPQ    DI, $128
	JLT     scales
	VZEROUPPER
	RET

// CLOSEST sets GAIN to the gains of 8 scales at an offset, and stores their steps. Y6 is 0; Y7 to Y9 are scratch.
#define CLOSEST(OFFSET, GAIN) \
	VMOVUPS trials_squares+OFFSET(DI), Y7   \
	VMOVUPS trials_products+OFFSET(DI), Y8  \
	VCMPPS  $14, Y6, Y7, Y9                 \
	VDIVPS  Y7, Y8, Y7                      \
	VANDPS  Y9, Y7, Y7                      \
	VMOVUPS Y7, trials_step+OFFSET(DI)      \
	VMULPS  Y7, Y8, GAIN

// LARGEST sets AX to the number of the first of the largest of 32 in Y0 to Y3, or to -1 if none is above 0, which Y6 is. Y7 and Y8 are
// scratch, and so are BX and CX.
#define LARGEST \
	VMAXPS       Y0, Y1, Y7     \
	VMAXPS       Y2, Y3, Y8     \
	VMAXPS       Y7, Y8, Y7     \
	VEXTRACTF128 $1, Y7, X8     \
	VMAXPS       X7, X8, X7     \
	VPSHUFD      $0x4E, X7, X8  \
	VMAXPS       X7, X8, X7     \
	VPSHUFD      $0xB1, X7, X8  \
	VMAXPS       X7, X8, X7     \
	VBROADCASTSS X7, Y7         \
	VCMPPS       $0, Y7, Y0, Y0 \
	VCMPPS       $0, Y7, Y1, Y1 \
	VCMPPS       $0, Y7, Y2, Y2 \
	VCMPPS       $0, Y7, Y3, Y3 \
	VMOVMSKPS    Y0, AX         \
	VMOVMSKPS    Y1, BX         \
	SHLL         $8, BX         \
	ORL          BX, AX         \
	VMOVMSKPS    Y2, BX         \
	SHLL         $16, BX        \
	ORL          BX, AX         \
	VMOVMSKPS    Y3, BX         \
	SHLL         $24, BX        \
	ORL          BX, AX         \
	BSFL         AX, AX         \
	MOVQ         $-1, BX        \
	VUCOMISS     X6, X7         \
	CMOVQLS      BX, AX

// func closestAVX2(t *trials) int
//
// Y0 to Y3: gains.
TEXT ·closestAVX2(SB), NOSPLIT, $0-16
	MOVQ   t+0(FP), DI
	VXORPS Y6, Y6, Y6
	CLOSEST(0, Y0)
	CLOSEST(32, Y1)
	CLOSEST(64, Y2)
	CLOSEST(96, Y3)
	LARGEST
	MOVQ   AX, ret+8(FP)
	VZEROUPPER
	RET

// AFFINE sets GAIN to the gains of 8 scales at an offset, and stores their steps and least values. Y13: Σ w, Y14: Σ w·x, Y15: the bound,
// Y6: 0. Y4, Y5 and Y7 to Y12 are scratch.
#define AFFINE(OFFSET, GAIN) \
	VMOVUPS trials_codes+OFFSET(DI), Y7     \
	VMOVUPS trials_squares+OFFSET(DI), Y8   \
	VMOVUPS trials_products+OFFSET(DI), Y9  \
	VMULPS  Y8, Y13, Y10                    \
	VMULPS  Y7, Y7, Y11                     \
	VSUBPS  Y11, Y10, Y11                   \
	VMULPS  flat<>(SB), Y10, Y10            \
	VCMPPS  $14, Y6, Y8, Y5                 \
	VCMPPS  $14, Y10, Y11, Y12              \
	VANDPS  Y5, Y12, Y12                    \
	VMULPS  Y8, Y14, Y10                    \
	VMULPS  Y7, Y9, Y4                      \
	VSUBPS  Y4, Y10, Y10                    \
	VDIVPS  Y11, Y10, Y10                   \
	VMINPS  Y10, Y15, Y10                   \
	VANDPS  Y12, Y10, Y10                   \
	VMOVUPS Y10, trials_least+OFFSET(DI)    \
	VMULPS  Y7, Y10, Y4                     \
	VSUBPS  Y4, Y9, Y4                      \
	VDIVPS  Y8, Y4, Y11                     \
	VANDPS  Y5, Y11, Y11                    \
	VMOVUPS Y11, trials_step+OFFSET(DI)     \
	VMULPS  Y13, Y10, Y12                   \
	VADDPS  Y14, Y14, Y7                    \
	VSUBPS  Y12, Y7, Y7                     \
	VMULPS  Y7, Y10, Y7                     \
	VMULPS  Y4, Y11, Y4                     \
	VADDPS  Y7, Y4, Y4                      \
	VANDPS  Y5, Y4, GAIN

// func closestAffineAVX2(t *trials, bound float32) int
//
// Y0 to Y3: gains.
TEXT ·closestAffineAVX2(SB), NOSPLIT, $0-24
	MOVQ         t+0(FP), DI
	VBROADCASTSS bound+8(FP), Y15
	VBROADCASTSS trials_weights(DI), Y13
	VBROADCASTSS trials_sum(DI), Y14
	VXORPS       Y6, Y6, Y6
	AFFINE(0, Y0)
	AFFINE(32, Y1)
	AFFINE(64, Y2)
	AFFINE(96, Y3)
	LARGEST
	MOVQ         AX, ret+16(FP)
	VZEROUPPER
	RET

// 1e-5
DATA flat<>+0(SB)/8, $0x3727C5AC3727C5AC
DATA flat<>+8(SB)/8, $0x3727C5AC3727C5AC
DATA flat<>+16(SB)/8, $0x3727C5AC3727C5AC
DATA flat<>+24(SB)/8, $0x3727C5AC3727C5AC
GLOBL flat<>(SB), RODATA, $32

// func codesAVX2(q *uint8, x *float32, n int, inverse, least, low, high float32)
//
// n is a multiple of 8. Y0: the reciprocal. Y1: the least value. Y2, Y3: the least and the largest code. Y4: the least as an integer.
TEXT ·codesAVX2(SB), NOSPLIT, $0-40
	MOVQ         q+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS inverse+24(FP), Y0
	VBROADCASTSS least+28(FP), Y1
	VBROADCASTSS low+32(FP), Y2
	VBROADCASTSS high+36(FP), Y3
	VCVTPS2DQ    Y2, Y4

loop:
	SUBQ         $8, CX
	JLT          done
	VADDPS       (SI), Y1, Y5
	VMULPS       Y0, Y5, Y5
	VMAXPS       Y2, Y5, Y5
	VMINPS       Y3, Y5, Y5
	VCVTPS2DQ    Y5, Y5
	VPSUBD       Y4, Y5, Y5
	VEXTRACTI128 $1, Y5, X6
	VPACKUSDW    X6, X5, X5
	VPACKUSWB    X5, X5, X5
	VMOVQ        X5, (DI)
	ADDQ         $32, SI
	ADDQ         $8, DI
	JMP          loop

done:
	VZEROUPPER
	RET

// REST adds what 8 weights at X, that count what is at W, make of the four sums in Y6 to Y9. Y0: the step. Y1: its reciprocal. Y2: the
// least value. Y3, Y4: the least and the largest code. Y5 and Y10 to Y13 are scratch.
#define REST(X, W) \
	VADDPS   X, Y2, Y10      \
	VMULPS   Y1, Y10, Y12    \
	VMAXPS   Y3, Y12, Y12    \
	VMINPS   Y4, Y12, Y12    \
	VROUNDPS $0, Y12, Y12    \
	VMULPS   W, Y12, Y13     \
	VADDPS   Y13, Y6, Y6     \
	VMULPS   Y0, Y12, Y5     \
	VSUBPS   Y5, Y10, Y10    \
	VMULPS   Y13, Y12, Y12   \
	VADDPS   Y12, Y7, Y7     \
	VMULPS   W, Y10, Y11     \
	VADDPS   Y11, Y8, Y8     \
	VMULPS   Y10, Y13, Y13   \
	VADDPS   Y13, Y9, Y9

// TOTAL adds up the lanes of Y and those at an offset of the frame, halves to halves, into X, which is its low lanes. Y5 is scratch.
#define TOTAL(OFFSET, Y, X) \
	VADDPS       OFFSET(SP), Y, Y \
	VEXTRACTF128 $1, Y, X5        \
	VADDPS       X5, X, X         \
	VPSHUFD      $0x4E, X, X5     \
	VADDPS       X5, X, X         \
	VPSHUFD      $0xB1, X, X5     \
	VADDSS       X5, X, X

// SUMS sets Y6 to Y9 to 0.
#define SUMS \
	VXORPS Y6, Y6, Y6 \
	VXORPS Y7, Y7, Y7 \
	VXORPS Y8, Y8, Y8 \
	VXORPS Y9, Y9, Y9

// func residueAVX2(r *residue, x, w *float32, n int, step, inverse, least, low, high float32)
//
// n is a multiple of 16. The frame keeps the sums of lanes 0 to 7 of 16, while those of the others are made. AX: how many weights are done.
TEXT ·residueAVX2(SB), NOSPLIT, $128-52
	MOVQ         r+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         w+16(FP), DX
	MOVQ         n+24(FP), CX
	VBROADCASTSS step+32(FP), Y0
	VBROADCASTSS inverse+36(FP), Y1
	VBROADCASTSS least+40(FP), Y2
	VBROADCASTSS low+44(FP), Y3
	VBROADCASTSS high+48(FP), Y4
	SUMS
	XORQ         AX, AX

low:
	REST((SI)(AX*4), (DX)(AX*4))
	ADDQ    $16, AX
	CMPQ    AX, CX
	JLT     low
	VMOVUPS Y6, 0(SP)
	VMOVUPS Y7, 32(SP)
	VMOVUPS Y8, 64(SP)
	VMOVUPS Y9, 96(SP)
	SUMS
	XORQ    AX, AX

high:
	REST(32(SI)(AX*4), 32(DX)(AX*4))
	ADDQ   $16, AX
	CMPQ   AX, CX
	JLT    high
	TOTAL(0, Y6, X6)
	TOTAL(32, Y7, X7)
	TOTAL(64, Y8, X8)
	TOTAL(96, Y9, X9)
	VMOVSS X6, residue_codes(DI)
	VMOVSS X7, residue_squares(DI)
	VMOVSS X8, residue_rest(DI)
	VMOVSS X9, residue_products(DI)
	VZEROUPPER
	RET

// func weighAVX2(w, x *float32, n int, twice float32)
//
// n is a multiple of 8.
TEXT ·weighAVX2(SB), NOSPLIT, $0-28
	MOVQ         w+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS twice+24(FP), Y0

loop:
	SUBQ    $8, CX
	JLT     done
	VMOVUPS (SI), Y1
	VMULPS  Y1, Y1, Y1
	VADDPS  Y0, Y1, Y1
	VSQRTPS Y1, Y1
	VMOVUPS Y1, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DI
	JMP     loop

done:
	VZEROUPPER
	RET
