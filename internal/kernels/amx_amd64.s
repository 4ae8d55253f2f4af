#include "funcdata.h"
#include "textflag.h"
#include "words_amd64.h"
#include "columns_amd64.h"

// Panels at amx: weights and activations are rounded to bf16 and multiplied in tiles of 16 × 16 products.
//
//	panel:   [32 rows][32 columns of bf16] is a block, 2048 bytes; all columns of 32 rows follow one another
//	tokens:  [16 pairs of columns][16 tokens][2] of bf16, 1024 bytes; all columns of 16 tokens follow one another
//
// An instruction adds to each of 16 × 16 floats the products of a row and a token of 32 columns: even columns and odd ones are summed
// apart, in order, from zero, with a rounding per multiply-add, and then the sum of the two is added. Subnormals count as zero. Sums of up
// to slabBlocks blocks are added to dst, in order, so a product's bits depend on nothing but its row and its token.
//
// A row of weights is a row of a tile, so packing needs no transposition; products are transposed on their way to dst instead.

// The configuration: palette 1, eight tiles of 16 rows of 64 bytes.
DATA config<>+0(SB)/8, $1
DATA config<>+8(SB)/8, $0
DATA config<>+16(SB)/8, $0x0040004000400040
DATA config<>+24(SB)/8, $0x0040004000400040
DATA config<>+32(SB)/8, $0
DATA config<>+40(SB)/8, $0
DATA config<>+48(SB)/8, $0x1010101010101010
DATA config<>+56(SB)/8, $0
GLOBL config<>(SB), RODATA|NOPTR, $64

// Numbers of the registers that hold addresses.
#define rAX 0
#define rBX 3
#define rDI 7
#define rR12 12
#define rR15 15

// OUT adds the products of 32 rows, A and B, to a token of dst and goes on to the next, or to done after the last. K1 and K2 are the
// rows that exist, K3 and K4 the same or, where dst does not count yet, none.
#define OUT(A, B, done) \
	VMOVUPS.Z (R14), K3, Z16   \
	VMOVUPS.Z 64(R14), K4, Z17 \
	VADDPS    Z16, A, A        \
	VADDPS    Z17, B, B        \
	VMOVUPS   A, K1, (R14)     \
	VMOVUPS   B, K2, 64(R14)   \
	ADDQ      SI, R14          \
	DECQ      R13              \
	JEQ       done

// OUT4 does that for four tokens of the scratch, which is [32 rows][32 tokens] of floats.
#define OUT4(done) \
	COLUMNS(128, 0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)    \
	COLUMNS(128, 2048, X4, Z4, X5, Z5, X6, Z6, X7, Z7) \
	ADDQ $16, BX      \
	OUT(Z0, Z4, done) \
	OUT(Z1, Z5, done) \
	OUT(Z2, Z6, done) \
	OUT(Z3, Z7, done) \
done:

// func panelTilesAMX(dst *float32, stride int, w, x *byte, n, rows, blocks, step int, add bool)
//
// Blocks of 32 rows and 16 tokens are step bytes, and half as many, apart. A turn is 32 rows × 32 tokens: tiles 0 to 3 are their products,
// 4 and 5 weights, 6 and 7 activations. What is left of 16 tokens or less makes a turn with half of the tiles. A turn's products are
// stored in the scratch; while the next turn's tiles are multiplied, they go on to dst, four tokens per block.
//
//	DX dst, SI its stride in bytes, R8 weights, R9 activations, R10 tokens left, R11 rows left
//	AX weights, DI R15 activations of the inner loop, R12 their stride of 64, CX blocks left
//	BX scratch, R14 dst, R13 tokens left of the turn before
TEXT ·panelTilesAMX(SB), 0, $4176-65
	NO_LOCAL_POINTERS
	MOVQ  dst+0(FP), DX
	MOVQ  stride+8(FP), SI
	MOVQ  x+24(FP), R9
	MOVQ  n+32(FP), R10
	SHLQ  $2, SI
	XORL  R13, R13
	LEAQ  config<>(SB), AX
	LDTILECFG(rAX)
	TESTQ R10, R10
	JLE   done

tokens:
	MOVQ DX, dst-8(SP)
	MOVQ w+16(FP), R8
	MOVQ rows+40(FP), R11

turn:
	MOVQ R8, AX
	MOVQ R9, DI
	MOVQ blocks+48(FP), CX
	MOVQ $64, R12
	TILEZERO(0)
	TILEZERO(2)
	CMPQ R10, $16
	JLE  half
	TILEZERO(1)
	TILEZERO(3)
	MOVQ step+56(FP), R15
	SHRQ $1, R15
	ADDQ DI, R15

loop:
	TILELOADD(6, rDI, rR12, 0)
	TILELOADD(4, rAX, rR12, 0)
	TDPBF16PS(0, 4, 6)
	TILELOADD(7, rR15, rR12, 0)
	TDPBF16PS(1, 4, 7)
	TILELOADD(5, rAX, rR12, 1024)
	TDPBF16PS(2, 5, 6)
	TDPBF16PS(3, 5, 7)
	ADDQ  $2048, AX
	ADDQ  $1024, DI
	ADDQ  $1024, R15
	TESTQ R13, R13
	JEQ   next
	OUT4(next)
	DECQ  CX
	JNZ   loop
	JMP   rest

half:
	TILELOADD(6, rDI, rR12, 0)
	TILELOADD(4, rAX, rR12, 0)
	TDPBF16PS(0, 4, 6)
	TILELOADD(5, rAX, rR12, 1024)
	TDPBF16PS(2, 5, 6)
	ADDQ $2048, AX
	ADDQ $1024, DI
	DECQ CX
	JNZ  half

rest:
	TESTQ R13, R13
	JEQ   over
	OUT4(more)
	JMP   rest

over:
	CMPQ R10, $0
	JLE  done
	ALIGN
	MOVQ $128, R12
	TILESTORED(0, rBX, rR12, 0)
	TILESTORED(2, rBX, rR12, 2048)
	CMPQ R10, $16
	JLE  stored
	TILESTORED(1, rBX, rR12, 64)
	TILESTORED(3, rBX, rR12, 2112)

stored:
	MOVL    $-1, AX
	BZHIL   R11, AX, AX // of 32 rows or more all
	KMOVW   AX, K1
	SHRL    $16, AX
	KMOVW   AX, K2
	MOVBLZX add+64(FP), CX
	NEGL    CX
	KMOVW   CX, K3
	KANDW   K3, K2, K4
	KANDW   K3, K1, K3
	MOVQ    DX, R14
	MOVQ    $32, R13
	CMPQ    R10, R13
	CMOVQLT R10, R13

	ADDQ $128, DX
	ADDQ step+56(FP), R8
	SUBQ $32, R11
	JG   turn

	ADDQ step+56(FP), R9
	MOVQ SI, DX
	SHLQ $5, DX
	ADDQ dst-8(SP), DX
	SUBQ $32, R10
	JG   tokens
	JMP  rest

done:
	TILERELEASE
	VZEROUPPER
	RET

// func burnAMX(rounds int)
//
// Eight TDPBF16PS per round, of 8192 multiply-adds each, on four sums.
TEXT ·burnAMX(SB), NOSPLIT, $0-8
	MOVQ  rounds+0(FP), CX
	LEAQ  config<>(SB), AX
	LDTILECFG(rAX)
	TILEZERO(0)
	TILEZERO(1)
	TILEZERO(2)
	TILEZERO(3)
	TILEZERO(4)
	TILEZERO(5)
	TILEZERO(6)
	TILEZERO(7)
	TESTQ CX, CX
	JLE   done

burn:
	TDPBF16PS(0, 4, 6)
	TDPBF16PS(1, 4, 7)
	TDPBF16PS(2, 5, 6)
	TDPBF16PS(3, 5, 7)
	TDPBF16PS(0, 4, 6)
	TDPBF16PS(1, 4, 7)
	TDPBF16PS(2, 5, 6)
	TDPBF16PS(3, 5, 7)
	DECQ CX
	JNZ  burn

done:
	TILERELEASE
	RET

// func packTokensAMX(dst *byte, x *float32, cols, tokens, blocks int, last uint32)
//
// Rounds up to 16 tokens, of cols columns each, block by block: to the scratch in rows, from there to dst in columns. K1 and K2 are the
// columns of the block that exist: all, but for the last block.
TEXT ·packTokensAMX(SB), 0, $1088-44
	NO_LOCAL_POINTERS
	MOVQ   dst+0(FP), DI
	MOVQ   x+8(FP), SI
	MOVQ   cols+16(FP), DX
	MOVQ   blocks+32(FP), CX
	SHLQ   $2, DX
	ALIGN
	VPXORD Z0, Z0, Z0
	MOVQ   $15, AX
	MOVQ   BX, R8

zero:
	VMOVDQU64 Z0, (R8)
	ADDQ      $64, R8
	DECQ      AX
	JGE       zero

	KXNORW K1, K1, K1
	KXNORW K2, K2, K2
	TESTQ  CX, CX
	JLE    done

loop:
	CMPQ  CX, $1
	JNE   full
	MOVL  last+40(FP), AX
	KMOVW AX, K1
	SHRL  $16, AX
	KMOVW AX, K2

full:
	MOVQ tokens+24(FP), AX
	MOVQ SI, R8
	MOVQ BX, R9

token:
	VMOVUPS.Z (R8), K1, Z0
	VMOVUPS.Z 64(R8), K2, Z1
	VCVTNE2PS2BF16(0, 1, 0)
	VMOVDQU64 Z0, (R9)
	ADDQ      DX, R8
	ADDQ      $64, R9
	DECQ      AX
	JNZ       token

	COLUMNS(64, 0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	COLUMNS(64, 16, X4, Z4, X5, Z5, X6, Z6, X7, Z7)
	COLUMNS(64, 32, X8, Z8, X9, Z9, X10, Z10, X11, Z11)
	COLUMNS(64, 48, X12, Z12, X13, Z13, X14, Z14, X15, Z15)
	VMOVDQU64 Z0, (DI)
	VMOVDQU64 Z1, 64(DI)
	VMOVDQU64 Z2, 128(DI)
	VMOVDQU64 Z3, 192(DI)
	VMOVDQU64 Z4, 256(DI)
	VMOVDQU64 Z5, 320(DI)
	VMOVDQU64 Z6, 384(DI)
	VMOVDQU64 Z7, 448(DI)
	VMOVDQU64 Z8, 512(DI)
	VMOVDQU64 Z9, 576(DI)
	VMOVDQU64 Z10, 640(DI)
	VMOVDQU64 Z11, 704(DI)
	VMOVDQU64 Z12, 768(DI)
	VMOVDQU64 Z13, 832(DI)
	VMOVDQU64 Z14, 896(DI)
	VMOVDQU64 Z15, 960(DI)
	ADDQ $1024, DI
	ADDQ $128, SI
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET
