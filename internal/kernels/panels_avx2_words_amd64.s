#include "funcdata.h"
#include "textflag.h"
#include "panels_avx2_amd64.h"

// Packing panels of words at avx2: weights of more than 5 bits, in the layout of panels_avx2_products_amd64.s.

// SPREAD turns the signed bytes of quad A into words, as pairs 2k in B and 2k+1 in A.
#define SPREAD(A, B) \
	VPSHUFB evenWords<>(SB), A, B \
	VPSHUFB oddWords<>(SB), A, A  \
	VPSRAW  $8, B, B              \
	VPSRAW  $8, A, A

DATA evenWords<>+0(SB)/8, $0x0580048001800080
DATA evenWords<>+8(SB)/8, $0x0D800C8009800880
DATA evenWords<>+16(SB)/8, $0x0580048001800080
DATA evenWords<>+24(SB)/8, $0x0D800C8009800880
GLOBL evenWords<>(SB), RODATA, $32

DATA oddWords<>+0(SB)/8, $0x0780068003800280
DATA oddWords<>+8(SB)/8, $0x0F800E800B800A80
DATA oddWords<>+16(SB)/8, $0x0780068003800280
DATA oddWords<>+24(SB)/8, $0x0F800E800B800A80
GLOBL oddWords<>(SB), RODATA, $32

#define STOREWORDS(k, A) \
	SPREAD(A, Y8)                \
	VMOVDQU Y8, (256*k)(DI)      \
	VMOVDQU A, (256*k+128)(DI)

// func packQ8_0AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)
//
// A half, then 32 signed bytes.
TEXT ·packQ8_0AVX2(SB), NOSPLIT, $0-36
	PACKARGS(exist+32(FP))
	TESTQ CX, CX
	JLE   done

loop:
	FETCHSOMETIMES(1, CX, near)
	FIRST(0)
	HALF(Y0, X0)
	VANDPS  (DX), Y0, Y0
	VMOVUPS Y0, 2048(DI)
	BYTES32(2)
	STOREWORDS(0, Y0)
	STOREWORDS(1, Y1)
	STOREWORDS(2, Y2)
	STOREWORDS(3, Y3)
	STOREWORDS(4, Y4)
	STOREWORDS(5, Y5)
	STOREWORDS(6, Y6)
	STOREWORDS(7, Y7)
	ADDQ    $WBLOCK, DI
	ADDQ    $34, R13
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

// LOOKUP stores the low nibbles of four quads from quad k on, by the table Y14, as words; they are shifted right by 4 then.
#define LOOKUP(k, A) \
	VPAND   Y15, A, Y10          \
	VPSHUFB Y10, Y14, Y10        \
	VPSRLD  $4, A, A             \
	STOREWORDS(k, Y10)

#define NIBBLEWORDS \
	LOOKUP(0, Y4) \
	LOOKUP(1, Y5) \
	LOOKUP(2, Y6) \
	LOOKUP(3, Y7) \
	LOOKUP(4, Y4) \
	LOOKUP(5, Y5) \
	LOOKUP(6, Y6) \
	LOOKUP(7, Y7)

// func packIQ4_NLAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// A half, then 16 bytes of nibbles.
TEXT ·packIQ4_NLAVX2(SB), NOSPLIT, $0-48
	NIBBLEARGS
	TESTQ CX, CX
	JLE   done

loop:
	FETCHSOMETIMES(3, CX, near)
	FIRST(0)
	QUADS(2, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	HALF(Y0, X0)
	VANDPS  (DX), Y0, Y0
	VMOVUPS Y0, 2048(DI)
	NIBBLEWORDS
	ADDQ    $WBLOCK, DI
	ADDQ    $18, R13
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

REPEAT(fifteen, 0x0000000F0000000F)
REPEAT(fortyeight, 0x0000003000000030)
REPEAT(thirtytwo, 0x0000002000000020)

// func packIQ4_XSAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// Super-blocks: a half, the upper two bits of eight scales, their lower four, then 8 × 16 bytes of nibbles.
// Y12 upper bits, Y13 lower bits of the scales that are left; scratch: the halves.
TEXT ·packIQ4_XSAVX2(SB), NOSPLIT, $32-48
	NO_LOCAL_POINTERS
	NIBBLEARGS
	TESTQ CX, CX
	JLE   done

loop:
	FIRST(0)
	SECOND
	VPSRLD  $12, Y0, Y12 // upper bits at 4 and 5
	VMOVDQA Y1, Y13
	HALF(Y0, X0)
	VANDPS  (DX), Y0, Y0
	VMOVUPS Y0, 0(SP)
	MOVQ    $8, SI

group:
	FETCHSOMETIMES(3, SI, near)
	QUADS(8, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	VPAND     fifteen<>(SB), Y13, Y0
	VPAND     fortyeight<>(SB), Y12, Y1
	VPSRLD    $4, Y13, Y13
	VPSRLD    $2, Y12, Y12
	VPOR      Y1, Y0, Y0
	VPSUBD    thirtytwo<>(SB), Y0, Y0
	VCVTDQ2PS Y0, Y0
	VMULPS    0(SP), Y0, Y0
	VMOVUPS   Y0, 2048(DI)
	NIBBLEWORDS
	ADDQ      $WBLOCK, DI
	ADDQ      $16, R13
	DECQ      SI
	JNZ       group
	ADDQ      $8, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// SIXBITS stores quad k: nibbles of A and, above them, two bits of the scratch at 192, less 32, times the words S.
#define SIXBITS(k, A, S) \
	VMOVDQU (192+32*k)(BX), Y9   \
	VPSRLD  X12, Y9, Y9          \
	VPAND   threes<>(SB), Y9, Y9 \
	VPSLLD  $4, Y9, Y9           \
	VPAND   Y15, A, Y10          \
	VPOR    Y9, Y10, Y10         \
	VPADDB  Y14, Y10, Y10        \
	SPREAD(Y10, Y8)              \
	VPMULLW S, Y8, Y8            \
	VPMULLW S, Y10, Y10          \
	VMOVDQU Y8, (256*k)(DI)      \
	VMOVDQU Y10, (256*k+128)(DI)

// GROUPS sets Y11 and Y13 to the scales of bytes 0 and 1 of the lanes of the scratch at o, twice each as words, and goes on to bytes 2
// and 3.
#define GROUPS(o) \
	VMOVDQU o(BX), Y9        \
	VPSRLD  $16, Y9, Y10     \
	VMOVDQU Y10, o(BX)       \
	VPSHUFB byte0<>(SB), Y9, Y11 \
	VPSHUFB byte1<>(SB), Y9, Y13 \
	VPSRAW  $8, Y11, Y11     \
	VPSRAW  $8, Y13, Y13

DATA byte0<>+0(SB)/8, $0x0480048000800080
DATA byte0<>+8(SB)/8, $0x0C800C8008800880
DATA byte0<>+16(SB)/8, $0x0480048000800080
DATA byte0<>+24(SB)/8, $0x0C800C8008800880
GLOBL byte0<>(SB), RODATA, $32

DATA byte1<>+0(SB)/8, $0x0580058001800180
DATA byte1<>+8(SB)/8, $0x0D800D8009800980
DATA byte1<>+16(SB)/8, $0x0580058001800180
DATA byte1<>+24(SB)/8, $0x0D800D8009800980
GLOBL byte1<>(SB), RODATA, $32

REPEAT(threes, 0x0303030303030303)
REPEAT(minus32, 0xE0E0E0E0E0E0E0E0)

#define SIXBITGROUP \
	SIXBITS(0, Y0, Y11) \
	SIXBITS(1, Y1, Y11) \
	SIXBITS(2, Y2, Y11) \
	SIXBITS(3, Y3, Y11) \
	SIXBITS(4, Y4, Y13) \
	SIXBITS(5, Y5, Y13) \
	SIXBITS(6, Y6, Y13) \
	SIXBITS(7, Y7, Y13) \
	VMOVUPS (BX), Y8    \
	VMOVUPS Y8, 2048(DI)

// func packQ6_KAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)
//
// Two runs of 128 columns. A run has 64 bytes at 64·run, whose low nibbles are those of its first 64 columns and whose high nibbles
// of the others, and 32 bytes at 128 + 32·run with two upper bits of columns i, 32+i, 64+i, 96+i in byte i. A signed scale per 16
// columns at 192, a half at 208. Scratch: 0 the half, 64 to 191 scales of four times 16 columns each, 192 upper bits; X12 is how far these
// are shifted.
TEXT ·packQ6_KAVX2(SB), NOSPLIT, $448-36
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	MOVQ    SP, BX
	VMOVDQU minus32<>(SB), Y14
	VMOVDQU nibbles<>(SB), Y15
	TESTQ   CX, CX
	JLE     done

loop:
	QUADS(194, X0, Y0, X1, Y1, X2, Y2, X3, Y3)
	VPSRLD  $16, Y3, Y3
	HALF(Y3, X3)
	VANDPS  (DX), Y3, Y3
	VMOVUPS Y3, (BX)
	QUADS(192, X0, Y0, X1, Y1, X2, Y2, X3, Y3)
	VMOVDQU Y0, 64(BX)
	VMOVDQU Y1, 96(BX)
	VMOVDQU Y2, 128(BX)
	VMOVDQU Y3, 160(BX)
	MOVQ    $2, SI

	// R13 stands 32·run further for the upper bits, 64·run for the nibbles.
run:
	BYTES32(128)
	SAVE(192)
	MOVQ $2, R8
	SUBQ SI, R8
	SHLQ $5, R8
	ADDQ R8, R13
	XORL AX, AX

half:
	FETCH
	// Columns of low nibbles, then those 64 further.
	BYTES32(0)
	GROUPS(64)
	VMOVD AX, X12
	SIXBITGROUP
	ADDQ  $(2*WBLOCK), DI
	HIGHS
	GROUPS(96)
	LEAL  4(AX), R8
	VMOVD R8, X12
	SIXBITGROUP
	SUBQ  $WBLOCK, DI
	ADDQ  $32, R13
	ADDL  $2, AX
	CMPL  AX, $4
	JNE   half
	ADDQ  $(2*WBLOCK), DI
	SUBQ  $32, R13
	VMOVDQU 128(BX), Y0
	VMOVDQU 160(BX), Y1
	VMOVDQU Y0, 64(BX)
	VMOVDQU Y1, 96(BX)
	DECQ  SI
	JNZ   run
	ADDQ  $114, R13
	DECQ  CX
	JNZ   loop

done:
	VZEROUPPER
	RET
