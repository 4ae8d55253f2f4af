#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"
#include "rows_avx2_amd64.h"
#include "rows_avx2_panels_amd64.h"
#include "rows_avx2_blocks_amd64.h"
#include "rows_avx2_k_amd64.h"
#include "rows_avx2_products_amd64.h"
#include "rows_avx2_tiles_amd64.h"
#include "rows_avx2_wide_amd64.h"
#include "rows_avx2_iq_amd64.h"
#include "rows_avx2_digests_amd64.h"
#include "rows_avx2_several_amd64.h"

// What the functions below have to know of a format. bytes are those of a super-block, group those of its shares.
#define KIND(name, row, scales, weights, lanes, tile4, tile2, digest, shares, bytes, factor, group, spread, several) \
	DATA name<>+0(SB)/8, $row<>(SB); \
	DATA name<>+8(SB)/8, $scales<>(SB); \
	DATA name<>+16(SB)/8, $lanes<>(SB); \
	DATA name<>+24(SB)/8, $tile4<>(SB); \
	DATA name<>+32(SB)/8, $tile2<>(SB); \
	DATA name<>+40(SB)/8, $digest<>(SB); \
	DATA name<>+48(SB)/8, $shares<>(SB); \
	DATA name<>+56(SB)/8, $bytes; \
	DATA name<>+64(SB)/8, $factor; \
	DATA name<>+72(SB)/8, $group; \
	DATA name<>+80(SB)/8, $weights<>(SB); \
	DATA name<>+88(SB)/8, spread; \
	DATA name<>+96(SB)/8, $several<>(SB); \
	GLOBL name<>(SB), RODATA, $104

#define BLOCKS(name, row, scales, weights, tile4, tile2, bytes, offset, spread) \
	KIND(name, row, scales, weights, lanesBlocks, tile4, tile2, digestBlocks, sharesBlocks, bytes, offset, 32, spread, severalBlocks)

#define BLOCKS_MIN(name, row, scales, panel, tile4, tile2, size, sign, spread) \
	KIND(name, row, scales, panel, lanesBlocksMin, tile4, tile2, digestBlocksMin, sharesBlocksMin, size, sign, 32, spread, severalBlocksMin)

#define HALVES(name, row, scales, weights, tile4, tile2, bytes, offset, spread) \
	KIND(name, row, scales, weights, lanesHalves, tile4, tile2, digestHalves, sharesHalves, bytes, offset, 64, spread, severalHalves)

#define HALVES_MIN(name, row, scales, panel, tile4, tile2, size, sign, spread) \
	KIND(name, row, scales, panel, lanesHalvesMin, tile4, tile2, digestHalvesMin, sharesHalvesMin, size, sign, 64, spread, severalHalvesMin)

// 1 and −1 as floats: a minimum is subtracted by the K formats and added by the others.
#define MINUS 0x3F800000
#define PLUS 0xBF800000

#include "rows_avx2_formats_amd64.h"

// FRAME sets R13 to the frame, aligned, and R12 to what is known of the format.
#define FRAME \
	LEAQ 31(SP), R13; \
	ANDQ $~31, R13; \
	LEAQ kinds<>(SB), AX; \
	MOVQ kind+0(FP), DX; \
	MOVQ (AX)(DX*8), R12

// UNITS sets R8 … R11 to the units of a super-block at DX, of which CX are left in the row. The missing ones are zeros.
#define UNITS \
	LEAQ    zeroUnit<>(SB), AX; \
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

// COPY_TAIL copies the CX bytes at SI, 17 or more, to the buffer of zeros at R9, 16 at a time and the last 16 first.
#define COPY_TAIL(loop) \
	VMOVDQU -16(SI)(CX*1), X8; \
	VMOVDQU X8, -16(R9)(CX*1); \
	SUBQ    $16, CX; \
loop: \
	VMOVDQU (SI), X8; \
	VMOVDQU X8, (R9); \
	ADDQ    $16, SI; \
	ADDQ    $16, R9; \
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

// func rowsOneAVX2(kind int, dst *float32, w *byte, rowBytes, rows int, x *tensor.Q8, units, full, tail int, table *byte)
//
// One token. Frame: the digest, 96 super-blocks; a row's tail; eight super-blocks of a wide format.
//
//	R8  row   R10  its product   R11  row routine   DI  rows to go
TEXT ·rowsOneAVX2(SB), 0, $41024-80
	NO_LOCAL_POINTERS
	FRAME
	ONES
	VPBROADCASTD 64(R12), Y15
	MOVQ table+72(FP), R15
	MOVQ x+40(FP), DX
	MOVQ units+48(FP), CX
	MOVQ R13, DI

digest:
	UNITS
	MOVQ 40(R12), AX
	CALL AX
	ADDQ $768, DX
	ADDQ $384, DI
	SUBQ $4, CX
	JGT  digest

	LEAQ 36864(R13), DI
	CLEAR(3, clear)
	MOVQ w+16(FP), R8
	MOVQ dst+8(FP), R10
	MOVQ (R12), R11
	MOVQ rows+32(FP), DI

row:
	VXORPS Y0, Y0, Y0
	MOVQ   R8, SI
	MOVQ   R13, BX
	MOVQ   full+56(FP), CX
	TESTQ  CX, CX
	JZ     tail
	CALL   R11

tail:
	MOVQ  tail+64(FP), CX
	TESTQ CX, CX
	JZ    sum
	LEAQ  36864(R13), R9
	COPY_TAIL(copy)
	LEAQ  36864(R13), SI
	MOVQ  $1, CX
	CALL  R11

sum:
	VEXTRACTF128 $1, Y0, X1
	VADDPS    X1, X0, X0
	VMOVHLPS  X0, X0, X1
	VADDPS    X1, X0, X0
	VMOVSHDUP X0, X1
	VADDSS    X1, X0, X0
	VMOVSS    X0, (R10)
	ADDQ      $4, R10
	ADDQ      rowBytes+24(FP), R8
	DECQ      DI
	JNZ       row
	VZEROUPPER
	RET

// func rowsManyAVX2(kind int, dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n, full, tail int, table *byte)
//
// Several tokens, eight rows at a time.
TEXT ·rowsManyAVX2(SB), 0, $39072-96
	NO_LOCAL_POINTERS
	FRAME
	ONES
	VPBROADCASTD 64(R12), Y15
	MOVQ         table+88(FP), R15
	MOVQ         R12, KIND_(R13)
	MOVQ         units+56(FP), AX
	LEAQ         3(AX), DX
	SHRQ         $2, DX
	IMULQ        72(R12), DX
	MOVQ         DX, SSTEP(R13)
	IMULQ        $192, AX
	MOVQ         AX, XSTEP(R13)

	// The shares; BX counts the tokens.
	MOVQ x+48(FP), DX
	MOVQ n+64(FP), BX
	LEAQ SHARES(R13), DI

shares:
	MOVQ units+56(FP), CX

share:
	UNITS
	MOVQ  48(R12), AX
	CALL  AX
	ADDQ  $768, DX
	ADDQ  72(R12), DI
	SUBQ  $4, CX
	JGT   share
	IMULQ $192, CX
	ADDQ  CX, DX // back over the units that there were not
	DECQ  BX
	JNZ   shares

	LEAQ TAILS(R13), DI
	CLEAR(24, clear)
	MOVQ $0, ROWNO(R13)

rows:
	// The places of eight rows; the last row stands in for those that are missing.
	MOVQ  ROWNO(R13), AX
	MOVQ  rows+40(FP), CX
	SUBQ  AX, CX
	MOVQ  rowBytes+32(FP), R8
	IMULQ R8, AX
	ADDQ  w+24(FP), AX
	XORL  DX, DX

place:
	MOVQ    AX, PLACE(R13)(DX*8)
	LEAQ    (AX)(R8*1), SI
	INCQ    DX
	DECQ    CX
	CMOVQGT SI, AX
	CMPQ    DX, $8
	JLT     place

	MOVQ   n+64(FP), CX
	ADDQ   $3, CX
	ANDQ   $~3, CX
	LEAQ   ACCS(R13), DI
	VXORPS Y0, Y0, Y0

zero:
	VMOVUPS Y0, (DI)
	VMOVUPS Y0, 32(DI)
	VMOVUPS Y0, 64(DI)
	VMOVUPS Y0, 96(DI)
	VMOVUPS Y0, 128(DI)
	VMOVUPS Y0, 160(DI)
	VMOVUPS Y0, 192(DI)
	VMOVUPS Y0, 224(DI)
	ADDQ    $256, DI
	DECQ    CX
	JNZ     zero
	MOVQ    $0, SUPER(R13)

super:
	// A super-block of eight rows becomes a panel. Of a tail a copy is read.
	MOVQ KIND_(R13), R12
	MOVQ 8(R12), R11
	LEAQ SCALES(R13), DI
	XORL BX, BX
	MOVQ SUPER(R13), AX
	CMPQ AX, full+72(FP)
	JLT  scales
	LEAQ TAILS(R13), DX

tails:
	MOVQ PLACE(R13)(BX*8), SI
	MOVQ DX, PLACE(R13)(BX*8)
	MOVQ DX, R9
	ADDQ $288, DX
	MOVQ tail+80(FP), CX
	COPY_TAIL(copy)
	INCQ BX
	CMPQ BX, $8
	JLT  tails
	XORL BX, BX

scales:
	MOVQ PLACE(R13)(BX*8), SI
	CALL R11
	SUBQ $-128, DI
	INCQ BX
	CMPQ BX, $8
	JLT  scales
	LEAQ SCALES(R13), SI
	LEAQ PANEL(R13), DI
	MOVQ 16(R12), AX
	CALL AX

	MOVQ 80(R12), SI
	MOVQ (PLACE+0)(R13), R8
	MOVQ (PLACE+8)(R13), R9
	MOVQ (PLACE+16)(R13), R10
	MOVQ (PLACE+24)(R13), R11
	MOVQ (PLACE+32)(R13), R12
	MOVQ (PLACE+40)(R13), AX
	MOVQ (PLACE+48)(R13), BX
	MOVQ (PLACE+56)(R13), DX
	CALL SI
	MOVQ KIND_(R13), SI
	MOVQ 56(SI), SI
	ADDQ SI, (PLACE+0)(R13)
	ADDQ SI, (PLACE+8)(R13)
	ADDQ SI, (PLACE+16)(R13)
	ADDQ SI, (PLACE+24)(R13)
	ADDQ SI, (PLACE+32)(R13)
	ADDQ SI, (PLACE+40)(R13)
	ADDQ SI, (PLACE+48)(R13)
	ADDQ SI, (PLACE+56)(R13)

	// Prefetch the same of the next eight rows.
	MOVQ rowBytes+32(FP), CX
	SHLQ $3, CX

ahead:
	PREFETCHT0 (R8)(CX*1)
	PREFETCHT0 (R9)(CX*1)
	PREFETCHT0 (R10)(CX*1)
	PREFETCHT0 (R11)(CX*1)
	PREFETCHT0 (R12)(CX*1)
	PREFETCHT0 (AX)(CX*1)
	PREFETCHT0 (BX)(CX*1)
	PREFETCHT0 (DX)(CX*1)
	ADDQ $64, CX
	SUBQ $64, SI
	JGT  ahead
	MOVQ $0, TOKEN(R13)

tile:
	// Tokens from AX on, CX of them; the last one stands in for those that are missing.
	MOVQ    TOKEN(R13), AX
	MOVQ    n+64(FP), CX
	SUBQ    AX, CX
	MOVQ    SUPER(R13), BX
	MOVQ    BX, DX
	MOVQ    KIND_(R13), SI
	IMULQ   72(SI), DX
	MOVQ    AX, DI
	IMULQ   SSTEP(R13), DI
	ADDQ    DI, DX
	LEAQ    SHARES(R13)(DX*1), DX
	LEAQ    (BX)(BX*2), R8
	SHLQ    $8, R8
	ADDQ    x+48(FP), R8
	MOVQ    AX, DI
	IMULQ   XSTEP(R13), DI
	ADDQ    DI, R8
	SHLQ    $8, AX
	LEAQ    ACCS(R13)(AX*1), DI
	MOVQ    XSTEP(R13), AX
	LEAQ    (R8)(AX*1), R9
	CMPQ    CX, $2
	CMOVQLT R8, R9
	LEAQ    (R9)(AX*1), R10
	CMPQ    CX, $3
	CMOVQLT R9, R10
	LEAQ    (R10)(AX*1), R11
	CMPQ    CX, $4
	CMOVQLT R10, R11
	MOVQ    SSTEP(R13), SI
	LEAQ    (DX)(SI*1), R12
	CMPQ    CX, $2
	CMOVQLT DX, R12
	LEAQ    (R12)(SI*1), BX
	CMPQ    CX, $3
	CMOVQLT R12, BX
	LEAQ    (BX)(SI*1), AX
	CMPQ    CX, $4
	CMOVQLT BX, AX
	MOVQ    KIND_(R13), SI
	CMPQ    CX, $3
	JLT     two
	MOVQ    24(SI), SI
	JMP     multiply

two:
	MOVQ 32(SI), SI

multiply:
	MOVQ    SUPER(R13), CX
	SHLQ    $2, CX
	SUBQ    units+56(FP), CX
	NEGQ    CX
	CMPQ    CX, $4
	JLE     last
	MOVQ    $4, CX

last:
	CALL SI
	MOVQ TOKEN(R13), AX
	ADDQ $4, AX
	MOVQ AX, TOKEN(R13)
	CMPQ AX, n+64(FP)
	JLT  tile

	MOVQ SUPER(R13), AX
	INCQ AX
	MOVQ AX, SUPER(R13)
	SHLQ $2, AX
	CMPQ AX, units+56(FP)
	JLT  super

	// The sums of all tokens.
	MOVQ    n+64(FP), CX
	LEAQ    ACCS(R13), SI
	MOVQ    dst+8(FP), DI
	MOVQ    ROWNO(R13), AX
	LEAQ    (DI)(AX*4), DI
	MOVQ    stride+16(FP), DX
	SHLQ    $2, DX
	MOVQ    $8, BX
	SUBQ    rows+40(FP), AX
	NEGQ    AX
	CMPQ    AX, $8
	CMOVQGT BX, AX            // rows to store
	NEGQ    AX
	LEAQ    masks<>+32(SB), BX
	VMOVDQU (BX)(AX*4), Y15

sum:
	VMOVUPS    (SI), Y0
	VMOVUPS    32(SI), Y1
	VMOVUPS    64(SI), Y2
	VMOVUPS    96(SI), Y3
	VADDPS     128(SI), Y0, Y0
	VADDPS     160(SI), Y1, Y1
	VADDPS     192(SI), Y2, Y2
	VADDPS     224(SI), Y3, Y3
	VADDPS     Y2, Y0, Y0
	VADDPS     Y3, Y1, Y1
	VADDPS     Y1, Y0, Y0
	VMASKMOVPS Y0, Y15, (DI)
	ADDQ       $256, SI
	ADDQ       DX, DI
	DECQ       CX
	JNZ        sum

	MOVQ ROWNO(R13), AX
	ADDQ $8, AX
	MOVQ AX, ROWNO(R13)
	CMPQ AX, rows+40(FP)
	JLT  rows
	VZEROUPPER
	RET

// func rowsSeveralVNNI(c *rowsVNNI)
//
//	R9  tokens   R11  lanes of two rows   R12  what is known of the format   R15  bytes to what is prefetched
TEXT ·rowsSeveralVNNI(SB), 0, $38400-8
	NO_LOCAL_POINTERS
	LEAQ 31(SP), R13
	ANDQ $~31, R13
	MOVQ c+0(FP), AX
	LEAQ kinds<>(SB), R12
	MOVQ rowsVNNI_kind(AX), DX
	MOVQ (R12)(DX*8), R12
	MOVQ rowsVNNI_full(AX), CX
	CMPQ rowsVNNI_tail(AX), $1
	SBBQ $-1, CX
	MOVQ CX, S_SUPERS(R13)
	ONES
	VPBROADCASTD 64(R12), Y15
	MOVQ   rowsVNNI_n(AX), R14
	MOVQ   rowsVNNI_x(AX), R15
	IMUL3Q $384, R14, BX
	MOVQ   BX, S_BACK(R13)
	XORL   SI, SI

token: // the digests of a token
	LEAQ (S_DIGESTS)(R13)(SI*1), DI
	ADDQ $384, SI
	MOVQ R15, DX
	MOVQ c+0(FP), AX
	MOVQ rowsVNNI_units(AX), CX

digest:
	UNITS
	MOVQ 40(R12), AX
	CALL AX
	CMPQ 72(R12), $64
	JEQ  halves
	TRANSPOSE_WORDS(0, 64, 128, 192)
	TRANSPOSE_WORDS(32, 96, 160, 224)
	JMP  transposed

halves:
	TRANSPOSE_WORDS(0, 32, 64, 96)
	TRANSPOSE_WORDS(128, 160, 192, 224)

transposed:
	ADDQ $768, DX
	ADDQ BX, DI
	SUBQ $4, CX
	JLE  digested
	MOVQ c+0(FP), AX
	MOVQ rowsVNNI_units(AX), R8
	SUBQ CX, R8
	SHRQ $2, R8
	CMPQ R8, S_SUPERS(R13)
	JLT  digest

digested:
	MOVQ c+0(FP), AX
	ADDQ rowsVNNI_xBytes(AX), R15
	DECQ R14
	JNZ  token

	LEAQ    S_TAIL(R13), DI
	CLEAR(3, clear)
	MOVQ    c+0(FP), AX
	MOVQ    rowsVNNI_dst(AX), DX
	MOVQ    DX, S_RESULT(R13)
	MOVQ    rowsVNNI_rows(AX), DX
	MOVQ    DX, S_LEFT(R13)
	MOVQ    rowsVNNI_n(AX), R9
	MOVQ    rowsVNNI_ahead(AX), R15
	MOVQ    rowsVNNI_lanes(AX), R11
	MOVL    $512, DX
	LEAQ    S_LANES(R13), BX
	TESTQ   R11, R11
	CMOVQEQ R11, DX
	CMOVQEQ BX, R11
	MOVQ    DX, S_STEP(R13)
	LEAQ    S_WEIGHTS(R13), DI
	MOVQ    DI, S_NOW(R13)
	LEAQ    S_OTHERS(R13), DX
	MOVQ    DX, S_NEXT(R13)
	MOVQ    rowsVNNI_w(AX), SI
	MOVQ    SI, S_ROW(R13)
	MOVQ    rowsVNNI_full(AX), CX
	TESTQ   CX, CX
	JZ      rows
	MOVQ    88(R12), AX
	CALL    AX
	MOVQ    c+0(FP), AX
	MOVQ    rowsVNNI_full(AX), CX
	MOVQ    S_ROW(R13), SI
	CMPQ    S_LEFT(R13), $1
	JEQ     alone
	ADDQ    rowsVNNI_rowBytes(AX), SI

alone:
	LEAQ    (S_WEIGHTS+ROW_BYTES)(R13), DI
	MOVQ    88(R12), AX
	CALL    AX

rows:
	MOVQ    c+0(FP), AX
	CMPB    rowsVNNI_first(AX), $0
	JEQ     zeroed
	VXORPS  Y0, Y0, Y0
	XORL    DX, DX

zero:
	VMOVUPS Y0, (R11)(DX*1)
	VMOVUPS Y0, 32(R11)(DX*1)
	ADDQ    $64, DX
	CMPQ    DX, $512
	JLT     zero

zeroed: // the last row is spread once more, or twice
	MOVQ    S_ROW(R13), SI
	XORL    DX, DX
	MOVQ    S_LEFT(R13), CX
	CMPQ    CX, $3
	JLT     apart
	MOVQ    rowsVNNI_rowBytes(AX), DI
	LEAQ    (SI)(DI*2), SI
	CMPQ    CX, $3
	CMOVQGT DI, DX

apart:
	MOVQ    DX, S_APART(R13)
	LEAQ    S_DIGESTS(R13), BX
	MOVQ    S_NOW(R13), R14
	MOVQ    S_NEXT(R13), R10
	MOVQ    rowsVNNI_full(AX), R8
	TESTQ   R8, R8
	JZ      tail
	MOVQ    88(R12), AX
	MOVQ    AX, S_SPREAD(R13)
	MOVQ    96(R12), AX
	CALL    AX
	MOVQ    c+0(FP), AX

tail: // R14 and BX are behind what has been multiplied
	CMPQ  rowsVNNI_tail(AX), $0
	JEQ   multiplied
	MOVQ  R9, R8
	MOVQ  R14, DI
	MOVQ  rowsVNNI_full(AX), R10
	IMULQ 56(R12), R10
	ADDQ  S_ROW(R13), R10

tails:
	MOVQ    R10, SI
	MOVQ    rowsVNNI_tail(AX), CX
	LEAQ    S_TAIL(R13), R9
	COPY_TAIL(copy)
	LEAQ    S_TAIL(R13), SI
	MOVL    $1, CX
	MOVQ    88(R12), AX
	CALL    AX
	ADDQ    $(ROW_BYTES-384), DI
	MOVQ    c+0(FP), AX
	CMPQ    S_LEFT(R13), $1
	JEQ     same
	ADDQ    rowsVNNI_rowBytes(AX), R10

same:
	LEAQ  (2*ROW_BYTES)(R14), DX
	CMPQ  DI, DX
	JLT   tails
	MOVQ  R8, R9
	LEAQ  spreadNothing<>(SB), AX
	MOVQ  AX, S_SPREAD(R13)
	MOVL  $1, R8
	MOVQ  96(R12), AX
	CALL  AX
	MOVQ  c+0(FP), AX

multiplied:
	MOVQ S_NOW(R13), DX
	MOVQ S_NEXT(R13), DI
	MOVQ DI, S_NOW(R13)
	MOVQ DX, S_NEXT(R13)
	CMPB rowsVNNI_last(AX), $0
	JEQ  next
	FOUR_SUMS(0, S_SUMS)
	FOUR_SUMS(256, S_SUMS+32)
	CMPQ R9, $4
	JLE  store
	FOUR_SUMS(128, S_SUMS+16)
	FOUR_SUMS(384, S_SUMS+48)

store:
	MOVQ rowsVNNI_stride(AX), BX
	MOVQ S_RESULT(R13), DI
	XORL DX, DX
	CMPQ S_LEFT(R13), $1
	JEQ  sum

sums:
	MOVL S_SUMS(R13)(DX*4), CX
	MOVL (S_SUMS+32)(R13)(DX*4), SI
	MOVL CX, (DI)
	MOVL SI, 4(DI)
	LEAQ (DI)(BX*4), DI
	INCQ DX
	CMPQ DX, R9
	JLT  sums
	JMP  next

sum:
	MOVL S_SUMS(R13)(DX*4), CX
	MOVL CX, (DI)
	LEAQ (DI)(BX*4), DI
	INCQ DX
	CMPQ DX, R9
	JLT  sum

next:
	ADDQ S_STEP(R13), R11
	ADDQ $8, S_RESULT(R13)
	MOVQ rowsVNNI_rowBytes(AX), DX
	ADDQ DX, DX
	ADDQ DX, S_ROW(R13)
	SUBQ $2, S_LEFT(R13)
	JGT  rows
	VZEROUPPER
	RET
