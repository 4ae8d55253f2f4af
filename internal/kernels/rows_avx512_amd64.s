#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"
#include "rows_avx512_amd64.h"

#define PREPARES(ARRANGE, SPREAD, FINISH, PAIR) \
super: \
	PREPARE(ARRANGE, SPREAD, FINISH, PAIR); \
	ADDQ $768, R9; \
	ADDQ BX, DI; \
	DECQ R10; \
	JNE  super; \
	RET

TEXT blocksStart<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_BLOCKS, SPREAD_BLOCKS, START, PAIR_BLOCKS)

TEXT blocksLeast<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_BLOCKS, SPREAD_BLOCKS, LEAST, PAIR_BLOCKS)

TEXT groupsStart<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_GROUPS, SPREAD_GROUPS, START, PAIR_GROUPS)

TEXT groupsOctets<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_GROUPS, SPREAD_GROUPS, OCTETS, PAIR_GROUPS)

TEXT groupsLeast<>(SB), NOSPLIT, $0
	PREPARES(ARRANGE_GROUPS, SPREAD_GROUPS, LEAST, PAIR_GROUPS)

// A format is two functions: constants fills registers, supers unpacks and multiplies. Another, which formats share, prepares activations
// for it. kernels is their table.
#define CONSTANTS   0
#define SUPERS      8
#define PREPARATION 16

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

// STORE writes the results of a row to DI: of R13 tokens, AX floats each apart. R9 is 3·AX.
#define STORE(to, s, few, end) \
	VMOVSS     s, (to); \
	CMPQ       R13, $(few+2); \
	JLT        end; \
	VEXTRACTPS $1, s, (to)(AX*4); \
	JEQ        end; \
	VEXTRACTPS $2, s, (to)(AX*8); \
	CMPQ       R13, $(few+4); \
	JLT        end; \
	VEXTRACTPS $3, s, (to)(R9*4)

// EACH does the sums of R13 tokens.
#define EACH(DO, end) \
	DO(0, Z0); \
	CMPQ R13, $2; \
	JLT  end; \
	DO(64, Z1); \
	JEQ  end; \
	DO(128, Z2); \
	CMPQ R13, $4; \
	JLT  end; \
	DO(192, Z3); \
	JEQ  end; \
	DO(256, Z4); \
	CMPQ R13, $6; \
	JLT  end; \
	DO(320, Z5); \
	JEQ  end; \
	DO(384, Z6); \
	CMPQ R13, $8; \
	JLT  end; \
	DO(448, Z7)

#define LOAD(at, sum) VMOVAPS at(R15), sum
#define REST(at, sum) VMOVAPS sum, at(R15)

// func multiplyRows512(c *rows512)
TEXT ·multiplyRows512(SB), 0, $96384-8
	NO_LOCAL_POINTERS
	LEAQ frame-96384(SP), DX
	ADDQ $63, DX
	ANDQ $~63, DX
	MOVQ c+0(FP), DI

	// Start the first reads, and prepare the activations meanwhile.
	MOVQ rows512_w(DI), SI
	MOVQ rows512_burst(DI), AX
	ADDQ SI, AX

burst:
	PREFETCHT1 (SI)
	ADDQ $64, SI
	CMPQ SI, AX
	JLT  burst

	MOVQ rows512_table(DI), AX
	MOVQ AX, TABLE(DX)
	MOVQ rows512_group(DI), AX
	MOVQ AX, GROUP(DX)
	MOVQ $0, FOUND_ROWS(DX)
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
	IMUL3Q       $24, R11, R11
	ADDQ         AX, R11
	IMUL3Q       $384, R8, BX
	MOVQ         DX, R15
	MOVL         $0xaaaa, AX
	KMOVW        AX, K2
	KXORW        K1, K1, K1

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
	MOVQ  c+0(FP), R13
	ADDQ  rows512_xBytes(R13), SI
	ADDQ  $384, R15
	KXORW K2, K1, K1
	DECQ  R8
	JNE   token

	MOVQ  CONSTANTS(R11), AX
	CALL  AX
	MOVQ  SUPERS(R11), AX
	MOVQ  AX, KERNEL(DX)
	MOVQ  rows512_size(R13), SI
	MOVQ  rows512_rowBytes(R13), AX
	SUBQ  TAIL(DX), AX
	MOVQ  SI, R9
	IMULQ CX, R9
	SUBQ  R9, AX
	MOVQ  AX, GAP(DX)
	IMULQ TAKEN(DX), SI
	ADDQ  rows512_w(R13), SI
	MOVQ  rows512_rows(R13), R8
	MOVQ  rows512_dst(R13), DI
	MOVQ  rows512_ahead(R13), R11
	MOVQ  rows512_n(R13), R13
	LEAQ  SUMS(DX), R15

row:
	MOVQ   DX, R9
	MOVQ   CX, R10
	MOVQ   TAIL(DX), R12
	CMPQ   R13, $1
	JEQ    alone
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7

begin:
	CMPQ TAKEN(DX), $0
	JNE  resume

supers:
	TESTQ R10, R10
	JEQ   wtail
	MOVQ  KERNEL(DX), AX
	CALL  AX

wtail:
	TESTQ R12, R12
	JEQ   done
	MOVQ  $1, R10
	CMPQ  SHORT(DX), $0
	JNE   short
	MOVQ  c+0(FP), AX
	ADDQ  R12, SI
	SUBQ  rows512_size(AX), SI
	XORL  R12, R12
	JMP   supers

short:
	MOVQ SI, SAVED_SI(DX)
	COPIES
	MOVQ KERNEL(DX), AX
	CALL AX
	MOVQ SAVED_SI(DX), SI
	ADDQ R12, SI

done:
	CMPQ RESUMES(DX), $0
	JNE  rest
	CMPQ R13, $1
	JEQ  four
	MOVQ c+0(FP), AX
	MOVQ rows512_stride(AX), AX
	LEAQ (AX)(AX*2), R9
	SUM4(Z0, Z1, Z2, Z3)
	STORE(DI, X16, 0, next)
	CMPQ R13, $5
	JLT  next
	LEAQ (DI)(AX*8), R10
	LEAQ (R10)(AX*8), R10
	SUM4(Z4, Z5, Z6, Z7)
	STORE(R10, X16, 4, next)

next:
	MOVQ R13, R9
	SHLQ $6, R9
	ADDQ R9, R15
	ADDQ GAP(DX), SI
	ADDQ $4, DI
	DECQ R8
	JNE  row
	CMPQ RESUMES(DX), $0
	JEQ  end
	ADDQ CX, TAKEN(DX)
	JMP  turn

alone: // Z1, Z2 and Z3 are the sums of the rows before
	VMOVAPS Z2, Z3
	VMOVAPS Z1, Z2
	VMOVAPS Z0, Z1
	VPXORD  Z0, Z0, Z0
	JMP     begin

four: // rows are complete, or fewer at first, if a multiple of four is to go
	LEAQ    -1(R8), AX
	TESTQ   $3, AX
	JNE     next
	SUM4(Z3, Z2, Z1, Z0)
	MOVQ    c+0(FP), AX
	KMOVB   rows512_first(AX), K7
	MOVB    $15, rows512_first(AX)
	VMOVUPS X16, K7, -12(DI)
	JMP     next

resume:
	EACH(LOAD, supers)
	JMP supers

rest: // only the sums of R13 tokens: those of the next row follow
	EACH(REST, next)
	JMP next

end:
	VZEROUPPER
	RET

#include "rows_avx512_blocks_amd64.h"
#include "rows_avx512_k_amd64.h"
#include "rows_avx512_wide_amd64.h"
#include "rows_avx512_iq_amd64.h"

#define KERNEL_OF(index, constants, supers, preparation) \
	DATA kernels<>+(24*index+CONSTANTS)(SB)/8, $constants<>(SB); \
	DATA kernels<>+(24*index+SUPERS)(SB)/8, $supers<>(SB); \
	DATA kernels<>+(24*index+PREPARATION)(SB)/8, $preparation<>(SB)

#include "rows_avx512_formats_amd64.h"
