#include "funcdata.h"
#include "textflag.h"
#include "words_amd64.h"

// Numbers of the registers that hold addresses.
#define rAX 0
#define rBX 3
#define rCX 1
#define rDX 2
#define rR8 8
#define rR9 9
#define rR10 10
#define rR15 15

// TILES does OP for the tiles of a block that there are: of its second columns with R13, of its second rows with R12.
#define TILES(OP, left, end) \
	OP(0, rDX, 0)  \
	TESTQ R13, R13 \
	JEQ   left     \
	OP(1, rDX, 64) \
left:              \
	TESTQ R12, R12 \
	JEQ   end      \
	OP(2, rR15, 0) \
	TESTQ R13, R13 \
	JEQ   end      \
	OP(3, rR15, 64) \
end:

#define GET(t, row, at)  TILELOADD(t, row, rR8, at)
#define PUT(t, row, at)  TILESTORED(t, row, rR8, at)
#define ZERO(t, row, at) TILEZERO(t)

// func attendTilesAMX(config *[64]byte, dst *float32, stride int, a *uint16, aStride int, b *uint16, bStride, panel, steps, rows,
//	columns int, add bool)
//
//	DX R15 dst of 16 rows each, R8 from one to the next; SI a, R9; DI b, R10; R12 and R13 are 0 without second rows and columns
//	BX AX a of 16 rows each and CX b in the loop, R11 steps to go, R14 which half of a panel
TEXT ·attendTilesAMX(SB), NOSPLIT, $8-89
	NO_LOCAL_POINTERS
	MOVQ config+0(FP), AX
	LDTILECFG(rAX)
	MOVBQZX 53(AX), R12
	MOVBQZX 55(AX), R13
	MOVQ stride+16(FP), R8
	MOVQ a+24(FP), SI
	MOVQ aStride+32(FP), R9
	MOVQ bStride+48(FP), R10

row:
	MOVQ dst+8(FP), DX
	MOVQ b+40(FP), DI
	MOVQ columns+80(FP), AX
	MOVQ AX, left-8(SP)
	XORL R14, R14

block:
	MOVQ R8, R15
	SHLQ $4, R15
	ADDQ DX, R15
	CMPB add+88(FP), $0
	JEQ  zero
	TILES(GET, getLeft, begin)
	JMP  multiply

zero:
	TILES(ZERO, zeroLeft, multiply)
	MOVQ SI, BX
	MOVQ R9, AX
	SHLQ $4, AX
	ADDQ SI, AX
	MOVQ DI, CX
	MOVQ steps+64(FP), R11

loop:
	TILELOADD(4, rBX, rR9, 0)
	TILELOADD(6, rCX, rR10, 0)
	TDPBF16PS(0, 4, 6)
	TESTQ R13, R13
	JEQ   below
	TILELOADD(7, rCX, rR10, 64)
	TDPBF16PS(1, 4, 7)

below:
	TESTQ R12, R12
	JEQ   next
	TILELOADD(5, rAX, rR9, 0)
	TDPBF16PS(2, 5, 6)
	TESTQ R13, R13
	JEQ   next
	TDPBF16PS(3, 5, 7)

next:
	ADDQ $64, BX
	ADDQ $64, AX
	LEAQ (CX)(R10*8), CX
	LEAQ (CX)(R10*8), CX
	DECQ R11
	JNZ  loop
	TILES(PUT, putLeft, stored)
	ADDQ $128, DX
	ADDQ $128, DI
	XORQ $1, R14
	JNZ  same
	ADDQ panel+56(FP), DI
	SUBQ $256, DI

same:
	DECQ left-8(SP)
	JNZ  block
	MOVQ R8, AX
	SHLQ $5, AX
	ADDQ AX, dst+8(FP)
	MOVQ R9, AX
	SHLQ $5, AX
	ADDQ AX, SI
	DECQ rows+72(FP)
	JNZ  row
	TILERELEASE
	RET
