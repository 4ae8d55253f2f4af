// What is made of the bytes of a panel at avx512, of weights in blocks of 32 and of IQ4_XS: the file that includes this names the
// functions and says in macros what becomes of them.
//
//	OPERANDS   what else is to be loaded
//	OPEN       a block of 32 columns of 16 rows begins
//	QUAD(k, Z) four columns of it, 4k to 4k+3: weight + 128
//	CLOSE      it ends
//
// Scales go to SCALES_AT(DI) and offsets to OFFSETS_AT(DI); a block takes BLOCK bytes there, one with offsets OFFSETBLOCK. R14 is the
// includer's, and Z12 between OPEN and CLOSE.

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

#define NIBBLETABLE \
	MOVQ            table+40(FP), AX      \
	VBROADCASTI32X4 (AX), Z31             \
	VPXORD.BCST     sign<>(SB), Z31, Z31  \
	VPBROADCASTD    nibble<>(SB), Z30

// LOW and HIGH look up the low or high nibbles of quad A in the table Z31 as quad k; Z30 is 15.
#define LOW(A, k) \
	VPANDD    Z30, A, Z8     \
	VPSHUFB   Z8, Z31, Z8    \
	QUAD(k, Z8)

#define HIGH(A, k) \
	VPSRLD    $4, A, Z9      \
	VPANDD    Z30, Z9, Z9    \
	VPSHUFB   Z9, Z31, Z9    \
	QUAD(k, Z9)

#define NIBBLES(A, B, C, D) \
	OPEN       \
	LOW(A, 0)  \
	LOW(B, 1)  \
	LOW(C, 2)  \
	LOW(D, 3)  \
	HIGH(A, 4) \
	HIGH(B, 5) \
	HIGH(C, 6) \
	HIGH(D, 7) \
	CLOSE

// Q4_0 and IQ4_NL: a half, then 16 bytes of nibbles; the table holds the weights.
TEXT ROWS_NIBBLES(SB), NOSPLIT, $0-56
	PACKARGS(exist+32(FP))
	OPERANDS
	NIBBLETABLE
	TESTQ          CX, CX
	JLE            done

loop:
	FETCHSOMETIMES(3, CX, near)
	FIRST(0)
	QUADS(2, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, SCALES_AT(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $BLOCK, DI
	ADDQ      $18, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// A byte e that stands for 2^(e−128), then 16 bytes of nibbles.
TEXT ROWS_MXFP4(SB), NOSPLIT, $0-56
	PACKARGS(exist+32(FP))
	OPERANDS
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
	VMOVUPS   Z0, SCALES_AT(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $BLOCK, DI
	ADDQ      $17, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// Super-blocks: a half, the upper two bits of eight scales, their lower four, then 8 × 16 bytes of nibbles.
// Z24 halves, Z25 upper bits, Z26 lower bits of the scales that are left.
TEXT ROWS_IQ4_XS(SB), NOSPLIT, $0-56
	PACKARGS(exist+32(FP))
	OPERANDS
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
	VPSRLD    $12, Z0, Z25 // upper bits at 4 and 5
	VMOVDQA64 Z1, Z26
	HALF(Z0, Y0)
	VMOVAPS   Z0, Z24
	MOVQ      $8, BX

group:
	FETCHSOMETIMES(3, BX, near)
	QUADS(8, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	VPANDD    Z29, Z26, Z0
	VPTERNLOGD $0xF8, Z28, Z25, Z0 // or, of what the mask leaves
	VPSRLD    $4, Z26, Z26
	VPSRLD    $2, Z25, Z25
	VPSUBD    Z27, Z0, Z0
	VCVTDQ2PS Z0, Z0
	VMULPS    Z24, Z0, Z0
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, SCALES_AT(DI)
	NIBBLES(Z4, Z5, Z6, Z7)
	ADDQ      $BLOCK, DI
	ADDQ      $16, R13
	DECQ      BX
	JNZ       group
	ADDQ      $8, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// A half, then 32 signed bytes.
TEXT ROWS_Q8_0(SB), NOSPLIT, $0-56
	PACKARGS(exist+32(FP))
	OPERANDS
	VPBROADCASTD sign<>(SB), Z31
	TESTQ        CX, CX
	JLE          done

loop:
	FETCHSOMETIMES(1, CX, near)
	FIRST(0)
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, SCALES_AT(DI)
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
	OPEN
	QUAD(0, Z0)
	QUAD(1, Z1)
	QUAD(2, Z2)
	QUAD(3, Z3)
	QUAD(4, Z4)
	QUAD(5, Z5)
	QUAD(6, Z6)
	QUAD(7, Z7)
	CLOSE
	ADDQ      $BLOCK, DI
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
	QUAD(k, A)        \
	QUAD((k+1), B)

// A half, a word of fifth bits, then 16 bytes of nibbles.
TEXT ROWS_Q5_0(SB), NOSPLIT, $0-56
	PACKARGS(exist+32(FP))
	OPERANDS
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
	FETCHSOMETIMES(1, CX, near)
	FIRST(0)
	SECOND
	VPSRLD    $16, Z0, Z15
	VPSLLD    $16, Z1, Z1
	VPORD     Z1, Z15, Z15 // fifth bits
	HALF(Z0, Y0)
	VMOVAPS.Z Z0, K1, Z0
	VMOVUPS   Z0, SCALES_AT(DI)
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
	OPEN
	FIVE(0, Z0, Z1)
	FIVE(2, Z2, Z3)
	FIVE(4, Z4, Z5)
	FIVE(6, Z6, Z7)
	CLOSE
	ADDQ      $BLOCK, DI
	ADDQ      $22, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET
