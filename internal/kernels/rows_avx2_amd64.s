#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"
#include "rows_avx2_amd64.h"
#include "rows_avx2_blocks_amd64.h"
#include "rows_avx2_k_amd64.h"
#include "rows_avx2_products_amd64.h"
#include "rows_avx2_wide_amd64.h"
#include "rows_avx2_iq_amd64.h"
#include "rows_avx2_digests_amd64.h"
#include "rows_avx2_several_amd64.h"

// What the functions below have to know of a format. bytes are those of a super-block, group those of its shares.
#define KIND(name, row, digest, bytes, factor, group, several) \
	DATA name<>+0(SB)/8, $row<>(SB); \
	DATA name<>+8(SB)/8, $digest<>(SB); \
	DATA name<>+16(SB)/8, $bytes; \
	DATA name<>+24(SB)/8, $factor; \
	DATA name<>+32(SB)/8, $group; \
	DATA name<>+40(SB)/8, $several<>(SB); \
	GLOBL name<>(SB), RODATA, $48

// 1 and −1 as floats: a minimum is subtracted by the K formats and added by the others.
#define MINUS 0x3F800000
#define PLUS 0xBF800000

#include "rows_avx2_formats_amd64.h"

// UNITS sets R8 … R11 to the units of a super-block at DX, of which CX are left in the row. The missing ones are zeros.
#define UNITS \
	LEAQ    zeroUnits<>(SB), AX; \
	MOVQ    DX, R8; \
	LEAQ    192(DX), R9; \
	LEAQ    384(DX), R10; \
	LEAQ    576(DX), R11; \
	CMPQ    CX, $2; \
	CMOVQLT AX, R9; \
	CMPQ    CX, $3; \
	CMOVQLT AX, R10; \
	CMPQ    CX, $4; \
	CMOVQLT AX, R11

// COPY_TAIL copies the CX bytes at SI, 17 or more, to the buffer of zeros at to, 16 at a time and the last 16 first.
#define COPY_TAIL(to, loop) \
	VMOVDQU -16(SI)(CX*1), X8; \
	VMOVDQU X8, -16(to)(CX*1); \
	SUBQ    $16, CX; \
loop: \
	VMOVDQU (SI), X8; \
	VMOVDQU X8, (to); \
	ADDQ    $16, SI; \
	ADDQ    $16, to; \
	SUBQ    $16, CX; \
	JGT     loop

// CLEAR zeroes n times 96 bytes at DI.
#define CLEAR(n, loop) \
	VPXOR   Y8, Y8, Y8; \
	MOVQ    $n, CX; \
loop: \
	VMOVDQU Y8, (DI); \
	VMOVDQU Y8, 32(DI); \
	VMOVDQU Y8, 64(DI); \
	ADDQ    $96, DI; \
	DECQ    CX; \
	JNZ     loop

// FOLLOW sets v to the unit behind u. AX is where a row's units end, SI what is behind them.
#define FOLLOW(u, v) \
	LEAQ    192(u), v; \
	CMPQ    v, AX; \
	CMOVQEQ SI, v

// func rowsOneAVX2(c *rowsOne)
//
// One token. Frame: the digest, 96 super-blocks; a row's tail; eight super-blocks of a wide format; what a row keeps meanwhile.
//
//	R8   the row's turn      R10  its product      DI  rows to go
//	R9   the call            R11  row routine      Y0  the row's lanes
TEXT ·rowsOneAVX2(SB), 0, $41056-8
	NO_LOCAL_POINTERS
	LEAQ 31(SP), R13
	ANDQ $~31, R13
	MOVQ c+0(FP), BX
	LEAQ kinds<>(SB), AX
	MOVQ rowsOne_kind(BX), DX
	MOVQ (AX)(DX*8), R12
	ONES
	VPBROADCASTD 24(R12), Y15
	MOVQ rowsOne_table(BX), R15
	MOVQ rowsOne_x(BX), DX
	LEAQ zeroUnits<>(SB), SI
	CMPB rowsOne_again(BX), $0
	CMOVQNE DX, SI
	LEAQ rowsOne_end(BX), AX
	CMPB rowsOne_placed(BX), $0
	CMOVQNE AX, SI
	MOVQ rowsOne_supers(BX), CX
	MOVQ R13, DI

digest:
	IMUL3Q $192, rowsOne_units(BX), AX
	ADDQ rowsOne_x(BX), AX
	MOVQ DX, R8
	FOLLOW(R8, R9)
	FOLLOW(R9, R10)
	FOLLOW(R10, R11)
	FOLLOW(R11, DX)
	CMPQ 32(R12), $64
	JEQ  halves
	Q_BLOCKS
	JMP  scales

halves:
	Q_HALVES

scales:
	MOVQ 8(R12), AX
	CALL AX
	ADDQ $384, DI
	DECQ CX
	JNZ  digest

	LEAQ 36864(R13), DI
	CLEAR(3, clear)
	MOVQ   BX, R9
	MOVQ   rowsOne_w(R9), SI
	MOVQ   rowsOne_dst(R9), R10
	MOVQ   rowsOne_rows(R9), DI
	MOVQ   (R12), R11
	VXORPS Y0, Y0, Y0

first:
	MOVQ c+0(FP), R9
	LEAQ rowsOne_turns(R9), R8
	MOVQ R13, BX

row:
	MOVQ  rowTurn_full(R8), CX
	TESTQ CX, CX
	JZ    last
	CALL  R11

last:
	CMPB    rowTurn_last(R8), $0
	JNE     part
	MOVQ    c+0(FP), R9
	MOVQ    rowsOne_copied(R9), CX
	TESTQ   CX, CX
	JNZ     copied

alone:
	VMOVAPS Y0, Y2
	VXORPS  Y0, Y0, Y0
	CMPB    rowsOne_again(R9), $0
	JEQ     sum

back:
	MOVQ    rowTurn_back(R8), AX
	VMOVDQU (AX), Y1
	VPERMPS Y2, Y1, Y2

sum:
	VEXTRACTF128 $1, Y2, X1
	VADDPS       X1, X2, X2
	VMOVHLPS     X2, X2, X1
	VADDPS       X1, X2, X2
	VMOVSHDUP    X2, X1
	VADDSS       X1, X2, X2
	VMOVSS       X2, (R10)
	ADDQ         $4, R10
	DECQ         DI
	JZ           done
	CMPB         rowTurn_ends(R8), $0
	JNE          first
	ADDQ         $rowTurn__size, R8
	JMP          row

part: // lanes that get nothing new get a zero all the same, as from a tail that zeros fill up
	MOVQ      c+0(FP), R9
	ADDQ      rowsOne_shift(R9), SI
	MOVQ      rowTurn_turn(R8), AX
	TESTQ     AX, AX
	JZ        inLane
	VMOVDQU   (AX), Y1
	VPERMPS   Y0, Y1, Y0

inLane:
	VXORPS    Y1, Y1, Y1
	VADDPS    Y1, Y0, Y1
	VMOVAPS   Y1, 40992(R13)
	VANDPS    rowTurn_own(R8), Y0, Y0
	MOVQ      $1, CX
	CALL      R11
	VMOVUPS   rowTurn_own(R8), Y1
	VMOVAPS   40992(R13), Y2
	VBLENDVPS Y1, Y0, Y2, Y2
	VANDNPS   Y0, Y1, Y0
	CMPQ      rowTurn_turn(R8), $0
	JEQ       back
	VXORPS    Y0, Y0, Y0
	JMP       back

copied: // to where zeros follow
	LEAQ (SI)(CX*1), AX
	MOVQ AX, 40992(R13)
	LEAQ 36864(R13), R9
	COPY_TAIL(R9, copy)
	LEAQ 36864(R13), SI
	MOVQ $1, CX
	CALL R11
	MOVQ 40992(R13), SI
	MOVQ c+0(FP), R9
	JMP  alone

done:
	VZEROUPPER
	RET

// func rowsSeveralAVX2(c *rowsSeveral)
//
//	R9   32 times the tokens            R12  what is known of the format
//	R10  the row                        R15  the format's table
//	R11  its lanes
TEXT ·rowsSeveralAVX2(SB), 0, $26080-8
	NO_LOCAL_POINTERS
	LEAQ 31(SP), R13
	ANDQ $~31, R13
	MOVQ c+0(FP), AX
	LEAQ kinds<>(SB), R12
	MOVQ rowsSeveral_kind(AX), DX
	MOVQ (R12)(DX*8), R12
	MOVQ rowsSeveral_full(AX), CX
	CMPQ rowsSeveral_tail(AX), $1
	SBBQ $-1, CX
	MOVQ CX, S_SUPERS(R13)
	ONES
	VPBROADCASTD 24(R12), Y15
	MOVQ   rowsSeveral_n(AX), R14
	MOVQ   rowsSeveral_x(AX), R15
	IMUL3Q $384, R14, BX
	XORL   SI, SI

token: // the digests of a token
	LEAQ (S_DIGESTS)(R13)(SI*1), DI
	ADDQ $384, SI
	MOVQ R15, DX
	MOVQ c+0(FP), AX
	MOVQ rowsSeveral_units(AX), CX

digest:
	UNITS
	CMPQ 32(R12), $64
	JEQ  halves
	WORDS_BLOCKS
	JMP  words

halves:
	WORDS_HALVES

words:
	MOVQ 8(R12), AX
	CALL AX
	ADDQ $768, DX
	ADDQ BX, DI
	SUBQ $4, CX
	JLE  digested
	MOVQ c+0(FP), AX
	MOVQ rowsSeveral_units(AX), R8
	SUBQ CX, R8
	SHRQ $2, R8
	CMPQ R8, S_SUPERS(R13)
	JLT  digest

digested:
	MOVQ c+0(FP), AX
	ADDQ rowsSeveral_xBytes(AX), R15
	DECQ R14
	JNZ  token

	LEAQ    S_TAIL(R13), DI
	CLEAR(3, clear)
	MOVQ    c+0(FP), AX
	MOVQ    rowsSeveral_dst(AX), DX
	MOVQ    DX, S_RESULT(R13)
	MOVQ    rowsSeveral_rows(AX), DX
	MOVQ    DX, S_LEFT(R13)
	MOVQ    rowsSeveral_ahead(AX), DX
	MOVQ    DX, S_AHEAD(R13)
	MOVQ    rowsSeveral_n(AX), R9
	SHLQ    $5, R9
	MOVQ    rowsSeveral_w(AX), R10
	MOVQ    rowsSeveral_table(AX), R15
	MOVQ    rowsSeveral_lanes(AX), R11
	MOVQ    R9, DX
	LEAQ    S_LANES(R13), BX
	TESTQ   R11, R11
	CMOVQEQ R11, DX
	CMOVQEQ BX, R11
	MOVQ    DX, S_STEP(R13)

row:
	CMPB    rowsSeveral_first(AX), $0
	JEQ     zeroed
	VXORPS  Y0, Y0, Y0
	VMOVUPS Y0, (R11)
	VMOVUPS Y0, 32(R11)
	VMOVUPS Y0, 64(R11)
	VMOVUPS Y0, 96(R11)
	VMOVUPS Y0, 128(R11)
	VMOVUPS Y0, 160(R11)
	VMOVUPS Y0, 192(R11)
	VMOVUPS Y0, 224(R11)

zeroed:
	MOVQ  R10, SI
	LEAQ  S_DIGESTS(R13), BX
	MOVQ  rowsSeveral_full(AX), R8
	TESTQ R8, R8
	JZ    tail
	MOVQ  40(R12), AX
	CALL  AX
	MOVQ  c+0(FP), AX

tail: // SI and BX are behind what has been multiplied
	MOVQ  rowsSeveral_tail(AX), CX
	TESTQ CX, CX
	JZ    multiplied
	LEAQ  S_TAIL(R13), DI
	COPY_TAIL(DI, copy)
	LEAQ  S_TAIL(R13), SI
	MOVL  $1, R8
	MOVQ  40(R12), AX
	CALL  AX
	MOVQ  c+0(FP), AX

multiplied:
	CMPB rowsSeveral_last(AX), $0
	JEQ  next
	MOVQ S_RESULT(R13), DI
	MOVQ rowsSeveral_stride(AX), BX
	MOVQ rowsSeveral_n(AX), CX
	FOUR_SUMS(0, next)
	SUBQ $4, CX
	JEQ  next
	LEAQ (DI)(BX*8), DI
	FOUR_SUMS(128, next)

next:
	ADDQ S_STEP(R13), R11
	ADDQ $4, S_RESULT(R13)
	ADDQ rowsSeveral_rowBytes(AX), R10
	DECQ S_LEFT(R13)
	JNZ  row
	VZEROUPPER
	RET
