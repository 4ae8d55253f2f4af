#include "textflag.h"
#include "panels_avx512_amd64.h"

// Packing panels of bytes at avx512: weights in blocks of 32 and of IQ4_XS, in the layout of panels_avx512_products_amd64.s.

// FIRST loads the first four bytes at offset o of each row into Z0, SECOND the four bytes after them into Z1.
#define FIRST(o) \
	FOUR(0, o, X0, Z0)       \
	FOUR(1, o, X1, Z1)       \
	FOUR(2, o, X2, Z2)       \
	FOUR(3, o, X3, Z3)       \
	VPUNPCKLDQ  Z1, Z0, Z8   \
	VPUNPCKLDQ  Z3, Z2, Z9   \
	VPUNPCKLQDQ Z9, Z8, Z0

#define SECOND \
	VPUNPCKHQDQ Z9, Z8, Z1

#define NIBBLES(A, B, C, D) \
	LOW(A, 0)  \
	LOW(B, 1)  \
	LOW(C, 2)  \
	LOW(D, 3)  \
	HIGH(A, 4) \
	HIGH(B, 5) \
	HIGH(C, 6) \
	HIGH(D, 7)

// func packNibblesAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// Q4_0 and IQ4_NL: a half, then 16 bytes of nibbles; the table holds the weights.
TEXT ·packNibblesAVX512(SB), NOSPLIT, $0-48
	PACKARGS(exist+32(FP))
	NIBBLETABLE
	TESTQ          CX, CX
	JLE            done

loop:
	FETCHSOMETIMES(3, CX, near)
	FIRST(0)
	QUADS(2, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $WBLOCK, DI
	ADDQ      $18, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// func packMXFP4AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// A byte e that stands for 2^(e−128), then 16 bytes of nibbles.
TEXT ·packMXFP4AVX512(SB), NOSPLIT, $0-48
	PACKARGS(exist+32(FP))
	NIBBLETABLE
	MOVL           $1, AX
	VPBROADCASTD   AX, Z29
	VPSLLD         $1, Z29, Z28  // 2
	VPSLLD         $21, Z29, Z27 // 2^-128
	TESTQ          CX, CX
	JLE            done

loop:
	FETCHSOMETIMES(3, CX, near)
	FIRST(0)
	QUADS(1, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPSLLD    $24, Z0, Z0
	VPSRLD    $24, Z0, Z0
	VPCMPUD   $1, Z28, Z0, K2 // e < 2 is subnormal
	VPSLLVD   Z0, Z27, Z1
	VPSUBD    Z29, Z0, Z0
	VPSLLD    $23, Z0, Z0
	VMOVDQA32 Z1, K2, Z0
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $WBLOCK, DI
	ADDQ      $17, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// func packIQ4_XSAVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// Super-blocks: a half, the upper two bits of eight scales, their lower four, then 8 × 16 bytes of nibbles.
// Z12 halves, Z13 upper bits, Z14 lower bits of the scales that are left.
TEXT ·packIQ4_XSAVX512(SB), NOSPLIT, $0-48
	PACKARGS(exist+32(FP))
	NIBBLETABLE
	MOVL           $15, AX
	VPBROADCASTD   AX, Z29
	MOVL           $0x30, AX
	VPBROADCASTD   AX, Z28
	MOVL           $32, AX
	VPBROADCASTD   AX, Z27
	TESTQ          CX, CX
	JLE            done

loop:
	FIRST(0)
	SECOND
	VPSRLD    $12, Z0, Z13 // upper bits at 4 and 5
	VMOVDQA64 Z1, Z14
	HALF(Z0, Y0)
	VMOVAPS   Z0, Z12
	MOVQ      $8, BX

group:
	FETCHSOMETIMES(3, BX, near)
	QUADS(8, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPANDD    Z29, Z14, Z0
	VPTERNLOGD $0xF8, Z28, Z13, Z0 // or, of what the mask leaves
	VPSRLD    $4, Z14, Z14
	VPSRLD    $2, Z13, Z13
	VPSUBD    Z27, Z0, Z0
	VCVTDQ2PS Z0, Z0
	VMULPS    Z12, Z0, Z0
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $WBLOCK, DI
	ADDQ      $16, R13
	DECQ      BX
	JNZ       group
	ADDQ      $8, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// func packQ8_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)
//
// A half, then 32 signed bytes.
TEXT ·packQ8_0AVX512(SB), NOSPLIT, $0-36
	PACKARGS(exist+32(FP))
	VPBROADCASTD sign<>(SB), Z31
	TESTQ        CX, CX
	JLE          done

loop:
	FETCHSOMETIMES(1, CX, near)
	FIRST(0)
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	QUADS(2, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	QUADS(18, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPXORD    Z31, Z0, Z0
	VPXORD    Z31, Z1, Z1
	VPXORD    Z31, Z2, Z2
	VPXORD    Z31, Z3, Z3
	VPXORD    Z31, Z4, Z4
	VPXORD    Z31, Z5, Z5
	VPXORD    Z31, Z6, Z6
	VPXORD    Z31, Z7, Z7
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 128(DI)
	VMOVDQU64 Z2, 256(DI)
	VMOVDQU64 Z3, 384(DI)
	VMOVDQU64 Z4, 512(DI)
	VMOVDQU64 Z5, 640(DI)
	VMOVDQU64 Z6, 768(DI)
	VMOVDQU64 Z7, 896(DI)
	ADDQ      $WBLOCK, DI
	ADDQ      $34, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// Bit 4k+j of the fifth bits belongs to byte j of quad k. FIFTH spreads byte b of a row over its quads 2b and 2b+1.
DATA fifth<>+0(SB)/8, $0x0404040400000000
DATA fifth<>+8(SB)/8, $0x0C0C0C0C08080808
GLOBL fifth<>(SB), RODATA, $16

// FIVE completes quads k and k+1, A and B, with byte k/2 of Z15 and stores them: weight − 16 + 128 = nibble + 112 (+ 16).
// Z24 finds byte 0, Z25 has ones in each byte. Z26 and Z27 test bits 0–3 and 4–7, Z28 is 112, Z29 16.
#define FIVE(k, A, B) \
	VPSHUFB   Z24, Z15, Z8          \
	VPADDB    Z25, Z24, Z24         \
	VPTESTMB  Z26, Z8, K2           \
	VPTESTMB  Z27, Z8, K3           \
	VPADDB    Z28, A, A             \
	VPADDB    Z28, B, B             \
	VPADDB    Z29, A, K2, A         \
	VPADDB    Z29, B, K3, B         \
	VMOVDQU64 A, (128*k)(DI)        \
	VMOVDQU64 B, (128*k+128)(DI)

// func packQ5_0AVX512(dst *byte, rows *[16]*byte, blocks, rowBytes int, exist uint32)
//
// A half, a word of fifth bits, then 16 bytes of nibbles.
TEXT ·packQ5_0AVX512(SB), NOSPLIT, $0-36
	PACKARGS(exist+32(FP))
	VPBROADCASTD    nibble<>(SB), Z30
	VBROADCASTI32X4 fifth<>(SB), Z23
	BYTES(1, Z25)
	MOVL            $0x08040201, AX
	VPBROADCASTD    AX, Z26
	VPSLLD          $4, Z26, Z27
	BYTES(112, Z28)
	BYTES(16, Z29)
	TESTQ           CX, CX
	JLE             done

loop:
	FETCHSOMETIMES(3, CX, near)
	FIRST(0)
	SECOND
	VPSRLD    $16, Z0, Z15
	VPSLLD    $16, Z1, Z1
	VPORD     Z1, Z15, Z15 // fifth bits
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, 1024(DI)
	QUADS(6, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPANDD    Z30, Z4, Z0
	VPANDD    Z30, Z5, Z1
	VPANDD    Z30, Z6, Z2
	VPANDD    Z30, Z7, Z3
	VPSRLD    $4, Z4, Z4
	VPSRLD    $4, Z5, Z5
	VPSRLD    $4, Z6, Z6
	VPSRLD    $4, Z7, Z7
	VPANDD    Z30, Z4, Z4
	VPANDD    Z30, Z5, Z5
	VPANDD    Z30, Z6, Z6
	VPANDD    Z30, Z7, Z7
	// The bytes of a lane's row follow one another, so a lane finds its own at 4 · row.
	VMOVDQA64 Z23, Z24
	FIVE(0, Z0, Z1)
	FIVE(2, Z2, Z3)
	FIVE(4, Z4, Z5)
	FIVE(6, Z6, Z7)
	ADDQ      $WBLOCK, DI
	ADDQ      $22, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET
