#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"
#include "rows_avx512_amd64.h"

TEXT products<>(SB), NOSPLIT, $0
	PRODUCTS(DOT2, NO_MINIMUMS)

TEXT productsLess<>(SB), NOSPLIT, $0
	PRODUCTS(DOT2_LESS, MINIMUMS)

TEXT productsPlus<>(SB), NOSPLIT, $0
	PRODUCTS(DOT2_PLUS, MINIMUMS)

#define PREPARES(ARRANGE, SPREAD, FINISH) \
super: \
	PREPARE(ARRANGE, SPREAD, FINISH); \
	ADDQ $768, R9; \
	ADDQ BX, DI; \
	DECQ R10; \
	JNE  super; \
	RET

TEXT blocksStart<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_BLOCKS, SPREAD_BLOCKS, START)

TEXT blocksLeast<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_BLOCKS, SPREAD_BLOCKS, LEAST)

TEXT groupsStart<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_GROUPS, SPREAD_GROUPS, START)

TEXT groupsLeast<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_GROUPS, SPREAD_GROUPS, LEAST)

// A format is three functions: constants fills registers, supers is for one token, unpack for more. Two more, which formats share,
// prepare activations for it and multiply what is unpacked. kernels is their table.
#define CONSTANTS   0
#define SUPERS      8
#define PREPARATION 16
#define UNPACKING   24
#define PRODUCT     32

// Rows that end within a super take their last 256 columns once more, times activations that are zeros but for those not taken yet.
// Rows shorter than a super are copied behind zeros. MASK makes the mask of their bytes 64·i … 64·i+63, of R12, and COPY copies them to AX.

#define MASK(i) \
	MOVQ    R12, AX; \
	SUBQ    $(64*i), AX; \
	CMOVQLT R13, AX; \
	MOVQ    $-1, R9; \
	BZHIQ   AX, R9, R9; \
	MOVQ    R9, (MASKS+8*i)(DX)

#define COPY(i) \
	KMOVQ      (MASKS+8*i)(DX), K7; \
	VMOVDQU8.Z (64*i)(SI), K7, Z16; \
	VMOVDQU64  Z16, (64*i)(AX)

#define COPIES \
	MOVQ SHORT(DX), AX; \
	COPY(0); \
	COPY(1); \
	COPY(2); \
	COPY(3); \
	LEAQ WTAIL(DX), SI

// AT sets r to where block i lies in an array of tensor.Q8.
#define AT(i, r) \
	MOVQ   i, R12; \
	ANDQ   $1, R12; \
	SHLQ   $6, R12; \
	IMUL3Q $96, i, r; \
	SUBQ   R12, r

// STORE writes the results of a row, at from DI and R10: of R13 tokens, at least 2, AX floats each apart. R9 is 3·AX.
#define STORE(at, s, s2, end) \
	VMOVSS     s, at(DI); \
	VEXTRACTPS $1, s, at(DI)(AX*4); \
	CMPQ       R13, $2; \
	JEQ        end; \
	VEXTRACTPS $2, s, at(DI)(AX*8); \
	CMPQ       R13, $4; \
	JLT        end; \
	VEXTRACTPS $3, s, at(DI)(R9*4); \
	JEQ        end; \
	VMOVSS     s2, at(R10); \
	CMPQ       R13, $6; \
	JLT        end; \
	VEXTRACTPS $1, s2, at(R10)(AX*4); \
	JEQ        end; \
	VEXTRACTPS $2, s2, at(R10)(AX*8); \
	CMPQ       R13, $8; \
	JLT        end; \
	VEXTRACTPS $3, s2, at(R10)(R9*4)

// EACH does the sums of R13 tokens, at least 2.
#define EACH(DO, end) \
	DO(0, Z0, Z8); \
	DO(128, Z1, Z9); \
	CMPQ R13, $2; \
	JEQ  end; \
	DO(256, Z2, Z10); \
	CMPQ R13, $4; \
	JLT  end; \
	DO(384, Z3, Z11); \
	JEQ  end; \
	DO(512, Z4, Z12); \
	CMPQ R13, $6; \
	JLT  end; \
	DO(640, Z5, Z13); \
	JEQ  end; \
	DO(768, Z6, Z14); \
	CMPQ R13, $8; \
	JLT  end; \
	DO(896, Z7, Z15)

#define LOAD(at, sum, sum2) \
	VMOVAPS at(R15), sum; \
	VMOVAPS (at+64)(R15), sum2

#define REST(at, sum, sum2) \
	VMOVAPS sum, at(R15); \
	VMOVAPS sum2, (at+64)(R15)

// func multiplyRows512(c *rows512)
TEXT ·multiplyRows512(SB), 0, $54016-8
	NO_LOCAL_POINTERS
	LEAQ frame-54016(SP), DX
	ADDQ $63, DX
	ANDQ $~63, DX
	MOVQ c+0(FP), DI

	// Start the first reads, and prepare the activations meanwhile.
	MOVQ rows512_w(DI), SI
	MOVQ rows512_burst(DI), AX
	ADDQ SI, AX

burst:
	PREFETCHT0 (SI)
	ADDQ $64, SI
	CMPQ SI, AX
	JLT  burst

	MOVQ rows512_table(DI), AX
	MOVQ AX, TABLE(DX)
	MOVQ $0, TAKEN(DX)
	MOVQ $0, SHORT(DX)
	CMPQ rows512_full(DI), $0
	JNE  turn
	MOVQ rows512_tail(DI), R12
	XORL R13, R13
	MASK(0)
	MASK(1)
	MASK(2)
	MASK(3)
	VPXORD    Z16, Z16, Z16
	VMOVDQA64 Z16, (WTAIL+0)(DX)
	VMOVDQA64 Z16, (WTAIL+64)(DX)
	VMOVDQA64 Z16, (WTAIL+128)(DX)
	VMOVDQA64 Z16, (WTAIL+192)(DX)
	VMOVDQA64 Z16, (WTAIL+256)(DX)
	LEAQ WTAIL(DX), AX
	ADDQ rows512_size(DI), AX
	SUBQ R12, AX
	MOVQ AX, SHORT(DX)

turn:
	// CX complete supers and the last, incomplete one if R12 is not 0: all that are left, or as many as there is room for.
	MOVQ c+0(FP), DI
	MOVQ rows512_full(DI), CX
	SUBQ TAKEN(DX), CX
	MOVQ rows512_tail(DI), R12
	MOVQ rows512_depth(DI), R10
	XORL R8, R8
	MOVQ CX, AX
	CMPQ R12, $1
	SBBQ $-1, AX
	CMPQ AX, R10
	JLE  prepare
	MOVQ R10, CX
	XORL R12, R12
	INCQ R8

prepare:
	MOVQ         R12, TAIL(DX)
	MOVQ         R8, RESUMES(DX)
	VPXORD       Z14, Z14, Z14
	VPBROADCASTB rows512_offset(DI), Z15
	IMUL3Q       $768, TAKEN(DX), SI
	ADDQ         rows512_x(DI), SI
	MOVQ         rows512_n(DI), R8
	MOVQ         rows512_kernel(DI), R11
	LEAQ         kernels<>(SB), AX
	IMUL3Q       $40, R11, R11
	ADDQ         AX, R11
	IMUL3Q       $384, R8, BX
	MOVQ         DX, R15

token:
	MOVQ  SI, R9
	MOVQ  R15, DI
	MOVQ  CX, R10
	TESTQ R10, R10
	JEQ   xtail
	MOVQ  PREPARATION(R11), AX
	CALL  AX

xtail:
	TESTQ R12, R12
	JEQ   prepared
	XORL  AX, AX

xclear:
	VMOVDQA64 Z14, XTAIL(DX)(AX*1)
	ADDQ      $64, AX
	CMPQ      AX, $768
	JLT       xclear
	MOVQ      c+0(FP), AX
	MOVQ      rows512_xtail(AX), R10
	MOVQ      $8, R13
	SUBQ      R10, R13
	DECQ      R10

xcopy: // block R10 to block R10 + R13
	AT(R10, AX)
	VMOVDQU64 (R9)(AX*1), Y16
	VMOVDQU64 64(R9)(AX*1), Y17
	LEAQ      (R10)(R13*1), AX
	AT(AX, AX)
	VMOVDQU64 Y16, XTAIL(DX)(AX*1)
	VMOVDQU64 Y17, (XTAIL+64)(DX)(AX*1)
	DECQ      R10
	JGE       xcopy
	MOVQ      TAIL(DX), R12
	LEAQ      XTAIL(DX), R9
	MOVQ      $1, R10
	MOVQ      PREPARATION(R11), AX
	CALL      AX

prepared:
	MOVQ c+0(FP), R13
	ADDQ rows512_xBytes(R13), SI
	ADDQ $384, R15
	DECQ R8
	JNE  token

	MOVQ      CONSTANTS(R11), AX
	CALL      AX
	VMOVDQA64 Z20, (FORMAT+0)(DX)
	VMOVDQA64 Z21, (FORMAT+64)(DX)
	VMOVDQA64 Z22, (FORMAT+128)(DX)
	VMOVDQA64 Z23, (FORMAT+192)(DX)
	VMOVDQA64 Z24, (FORMAT+256)(DX)
	VMOVDQA64 Z25, (FORMAT+320)(DX)
	VMOVDQA64 Z26, (FORMAT+384)(DX)
	VMOVDQA64 Z27, (FORMAT+448)(DX)
	VMOVDQA64 Z28, (FORMAT+512)(DX)
	VMOVDQA64 Z29, (FORMAT+576)(DX)
	VMOVDQA64 Z30, (FORMAT+640)(DX)
	VMOVDQA64 Z31, (FORMAT+704)(DX)
	MOVQ      PRODUCT(R11), AX
	MOVQ      AX, MULTIPLY(DX)
	MOVQ      UNPACKING(R11), AX
	MOVQ      SUPERS(R11), R9
	MOVQ      rows512_size(R13), SI
	IMULQ     TAKEN(DX), SI
	ADDQ      rows512_w(R13), SI
	MOVQ      rows512_rows(R13), R8
	MOVQ      rows512_dst(R13), DI
	MOVQ      rows512_ahead(R13), R11
	MOVQ      rows512_n(R13), R13
	LEAQ      SUMS(DX), R15
	CMPQ      R13, $1
	JNE       pairs
	MOVQ      R9, KERNEL(DX)

row:
	MOVQ   SI, ROW(DX)
	MOVQ   DX, R9
	MOVQ   CX, R10
	MOVQ   TAIL(DX), R12
	VPXORD Z0, Z0, Z0
	CMPQ   TAKEN(DX), $0
	JEQ    supers
	VMOVAPS (R15), Z0

supers:
	TESTQ R10, R10
	JEQ   wtail
	MOVQ  KERNEL(DX), AX
	CALL  AX

wtail:
	TESTQ R12, R12
	JEQ   done
	MOVQ  c+0(FP), AX
	ADDQ  R12, SI
	SUBQ  rows512_size(AX), SI
	XORL  R12, R12
	MOVQ  $1, R10
	CMPQ  SHORT(DX), $0
	JEQ   supers
	ADDQ  rows512_size(AX), SI
	SUBQ  TAIL(DX), SI
	COPIES
	JMP   supers

done:
	CMPQ   RESUMES(DX), $0
	JNE    rest
	SUM4(Z0, Z0, Z0, Z0)
	VMOVSS X16, (DI)
	JMP    nextrow

rest:
	VMOVAPS Z0, (R15)

nextrow:
	ADDQ    $64, R15
	MOVQ    c+0(FP), AX
	MOVQ    ROW(DX), SI
	ADDQ    rows512_rowBytes(AX), SI
	ADDQ    $4, DI
	DECQ    R8
	JNE     row
	JMP     turned

pairs:
	MOVQ AX, KERNEL(DX)

pair:
	// Unpack two rows, or the last one twice.
	MOVQ      SI, ROW(DX)
	MOVQ      DI, RESULT(DX)
	LEAQ      UNPACKED(DX), DI
	MOVQ      $2, R9
	VMOVDQA64 (FORMAT+0)(DX), Z20
	VMOVDQA64 (FORMAT+64)(DX), Z21
	VMOVDQA64 (FORMAT+128)(DX), Z22
	VMOVDQA64 (FORMAT+192)(DX), Z23
	VMOVDQA64 (FORMAT+256)(DX), Z24
	VMOVDQA64 (FORMAT+320)(DX), Z25
	VMOVDQA64 (FORMAT+384)(DX), Z26
	VMOVDQA64 (FORMAT+448)(DX), Z27
	VMOVDQA64 (FORMAT+512)(DX), Z28
	VMOVDQA64 (FORMAT+576)(DX), Z29
	VMOVDQA64 (FORMAT+640)(DX), Z30
	VMOVDQA64 (FORMAT+704)(DX), Z31

unpackrow:
	MOVQ  TAIL(DX), R12
	MOVQ  CX, R10
	TESTQ R10, R10
	JEQ   unpacktail

unpack:
	MOVQ KERNEL(DX), AX
	CALL AX

unpacktail:
	TESTQ R12, R12
	JEQ   unpacked
	MOVQ  c+0(FP), AX
	ADDQ  R12, SI
	SUBQ  rows512_size(AX), SI
	XORL  R12, R12
	MOVQ  $1, R10
	CMPQ  SHORT(DX), $0
	JEQ   unpack
	ADDQ  rows512_size(AX), SI
	SUBQ  TAIL(DX), SI
	COPIES
	JMP   unpack

unpacked:
	MOVQ c+0(FP), AX
	MOVQ ROW(DX), SI
	LEAQ (UNPACKED+384)(DX), DI
	CMPQ R8, $1
	JEQ  same
	ADDQ rows512_rowBytes(AX), SI

same:
	DECQ R9
	JNE  unpackrow

	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13
	VPXORD Z14, Z14, Z14
	VPXORD Z15, Z15, Z15
	CMPQ   TAKEN(DX), $0
	JNE    resume

multiply:
	LEAQ UNPACKED(DX), DI
	MOVQ DX, R9
	MOVQ CX, R10
	CMPQ TAIL(DX), $1
	SBBQ $-1, R10
	MOVQ c+0(FP), AX
	MOVQ rows512_size(AX), R11
	MOVQ rows512_rowBytes(AX), R12
	MOVQ ROW(DX), SI
	LEAQ (SI)(R12*4), SI
	MOVQ MULTIPLY(DX), AX
	CALL AX
	MOVQ c+0(FP), AX
	MOVQ rows512_ahead(AX), R11
	MOVQ RESULT(DX), DI
	CMPQ RESUMES(DX), $0
	JNE  rests
	MOVQ rows512_stride(AX), AX
	LEAQ (AX)(AX*2), R9
	LEAQ (DI)(AX*8), R10
	LEAQ (R10)(AX*8), R10
	SUM4(Z0, Z1, Z2, Z3)
	VMOVAPS X16, X20
	SUM4(Z4, Z5, Z6, Z7)
	STORE(0, X20, X16, first)

first:
	CMPQ R8, $1
	JEQ  next
	SUM4(Z8, Z9, Z10, Z11)
	VMOVAPS X16, X20
	SUM4(Z12, Z13, Z14, Z15)
	STORE(4, X20, X16, next)

next:
	MOVQ c+0(FP), AX
	MOVQ R13, R9
	SHLQ $7, R9
	ADDQ R9, R15
	ADDQ $8, DI
	MOVQ ROW(DX), SI
	ADDQ rows512_rowBytes(AX), SI
	ADDQ rows512_rowBytes(AX), SI
	SUBQ $2, R8
	JGT  pair

turned:
	CMPQ RESUMES(DX), $0
	JEQ  end
	ADDQ CX, TAKEN(DX)
	JMP  turn

resume:
	EACH(LOAD, multiply)
	JMP multiply

rests: // only the sums of R13 tokens: those of the next pair follow
	EACH(REST, next)
	JMP next

end:
	VZEROUPPER
	RET

#include "rows_avx512_blocks_amd64.h"
#include "rows_avx512_k_amd64.h"
#include "rows_avx512_wide_amd64.h"
#include "rows_avx512_iq_amd64.h"

#define KERNEL_OF(index, constants, supers, preparation, unpack, products) \
	DATA kernels<>+(40*index+CONSTANTS)(SB)/8, $constants<>(SB); \
	DATA kernels<>+(40*index+SUPERS)(SB)/8, $supers<>(SB); \
	DATA kernels<>+(40*index+PREPARATION)(SB)/8, $preparation<>(SB); \
	DATA kernels<>+(40*index+UNPACKING)(SB)/8, $unpack<>(SB); \
	DATA kernels<>+(40*index+PRODUCT)(SB)/8, $products<>(SB)

#include "rows_avx512_formats_amd64.h"
