#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"

// Row kernels for AVX-512 with VNNI and VBMI: rows of weights, as they lie in the file, times up to eight tokens.
//
// A super is 256 columns: a block of the K formats, or eight blocks of 32. Its weights become four vectors of unsigned
// bytes W0 … W3, and its activations four of signed bytes Q0 … Q3, arranged such that a lane of four bytes belongs to the same
// block in all four. Four VPDPBUSD then sum 16 products per lane, and there is one conversion, one scale and one multiply-add
// per super and token, not four:
//
//	lanes = Start + W0·Q0 + W1·Q1 + W2·Q2 + W3·Q3        Start = −offset · (sum of the lane's activations)
//	sum += float(lanes) · (scale of the weights · scale of the activations)
//	sum += minimum of the weights · Least                Least = −scale of the activations · (sum of the lane's activations)
//
// There are two arrangements. In BLOCKS, qword i of Wj is bytes 8j … 8j+7 of block 0, 2, 1, 3, 4, 6, 5, 7 (the order that shuffles
// yield) of 32. In GROUPS, dword 4i+u of Wj is bytes 4j … 4j+3 of group 4u+i of 16, for formats whose scale belongs to 16 values.
//
// A call arranges the activations once, in its frame, for as many supers as fit the first-level cache: a turn. Rows with more
// take several turns, and their sums rest in the frame in between. With one token, rows go by in the order of memory, unpacked and
// multiplied at once. With several, two rows are unpacked into the frame and then multiplied, so that loads of activations are
// shared and do not stand between those of the weights. A sum is always one register, to which supers are added in order, and which is
// reduced in the same tree: its bits depend on neither rows nor n.
//
// Registers of a call:
//
//	DX  frame, see below        Z0       sum of a single token; of several, Z0–Z7 of the first row and Z8–Z15 of the second
//	SI  weights                 Z10–Z13  W0 … W3 as they are unpacked
//	R9  arranged activations    Z14      scales of the weights
//	R10 supers to go            Z15      minimums of the weights
//	R11 prefetch distance       Z16–Z19  scratch
//	R12 bytes behind them       Z20–Z31  constants of the format; W0 … W3, scales and minimums of two rows
//	R13 tokens                  K1–K5    masks of the format
//	R15 sums at rest            K6, K7   scratch
//	R8  rows to go              AX, R14  scratch
//	DI  result; where to unpack
//	CX  supers of this turn
//	BX  384 · tokens

// The frame, from an address that 64 divides.
#define QS       0     // Q0 … Q3, scales, Start or Least: 384 bytes per super and token, 64 at most
#define SUMS     24576 // 64 bytes per row and token, 256 at most and one row more
#define UNPACKED 41472 // W0 … W3, scales, minimums of two rows: 768 bytes per super, 8 at most
#define FORMAT   47616 // Z20–Z31
#define XTAIL    48384 // the activations that a row's last super is multiplied with if it is not complete
#define WTAIL    49152 // a row that is shorter than a super, behind zeros, and room to store 256 bytes
#define MASKS    49728 // of its bytes
#define SHORT    49760 // where it begins, 0 if rows are longer
#define ROW      49768 // SI at the start of the row
#define RESULT   49776 // DI meanwhile
#define TAIL     49784 // R12 at the start of a row
#define RESUMED  49792 // not the first turn
#define RESUMES  49800 // not the last turn
#define KERNEL   49808 // functions of the format
#define MULTIPLY 49816
#define TABLE    49824 // see rows512.table
#define SAVED_CX 49832 // CX meanwhile
#define INDICES  49856 // 32 words per super

#define VECTOR(name, a, b, c, d, e, f, g, h) \
	DATA name<>+0(SB)/8, $a; DATA name<>+8(SB)/8, $b; DATA name<>+16(SB)/8, $c; DATA name<>+24(SB)/8, $d; \
	DATA name<>+32(SB)/8, $e; DATA name<>+40(SB)/8, $f; DATA name<>+48(SB)/8, $g; DATA name<>+56(SB)/8, $h; \
	GLOBL name<>(SB), RODATA|NOPTR, $64
#define VECTOR2(name, a, b) VECTOR(name, a, b, a, b, a, b, a, b)
#define VECTOR4(name, a, b, c, d) VECTOR(name, a, b, c, d, a, b, c, d)

// BYTES and WORDS fill a register.
#define BYTES(v, z) MOVL $((v)*0x01010101), AX; VPBROADCASTD AX, z
#define WORDS(v, z) MOVL $((v)*0x00010001), AX; VPBROADCASTD AX, z

// The activations. ARRANGE turns four vectors of 64 values in a row (Z4–Z7) into Q0 … Q3 of one arrangement, and SPREAD the scales
// of their blocks (tensor.Q8.Scale) likewise into Z8. Both use Z16–Z19.

#define ARRANGE_BLOCKS(a, b, c, d) \
	VPUNPCKLQDQ b, a, Z16; \
	VPUNPCKHQDQ b, a, Z17; \
	VPUNPCKLQDQ d, c, Z18; \
	VPUNPCKHQDQ d, c, Z19; \
	VSHUFI64X2  $0x88, Z18, Z16, a; \
	VSHUFI64X2  $0x88, Z19, Z17, b; \
	VSHUFI64X2  $0xdd, Z18, Z16, c; \
	VSHUFI64X2  $0xdd, Z19, Z17, d

#define SPREAD_BLOCKS \
	VMOVUPS    64(R9), Z16; \
	VMOVUPS    448(R9), Z17; \
	VUNPCKLPD  256(R9), Z16, Z16; \
	VUNPCKLPD  640(R9), Z17, Z17; \
	VSHUFF64X2 $0x88, Z17, Z16, Z8

#define ARRANGE_GROUPS(a, b, c, d) \
	VPUNPCKLDQ  b, a, Z16; \
	VPUNPCKHDQ  b, a, Z17; \
	VPUNPCKLDQ  d, c, Z18; \
	VPUNPCKHDQ  d, c, Z19; \
	VPUNPCKLQDQ Z18, Z16, a; \
	VPUNPCKHQDQ Z18, Z16, b; \
	VPUNPCKLQDQ Z19, Z17, c; \
	VPUNPCKHQDQ Z19, Z17, d

#define SPREAD_GROUPS \
	VMOVUPS   64(R9), Z16; \
	VMOVUPS   448(R9), Z17; \
	VUNPCKLPS 256(R9), Z16, Z16; \
	VUNPCKLPS 640(R9), Z17, Z17; \
	VUNPCKLPD Z17, Z16, Z8

// START and LEAST are what goes with them, in Z9: Z9 is −offset times the sums of the lanes by then.

#define START

#define LEAST \
	VCVTDQ2PS Z9, Z9; \
	VMULPS    Z8, Z9, Z9

// PREPARE arranges the four tensor.Q8 at R9 and stores them at DI. Z15 is the offset in each byte, Z14 is zero.
#define PREPARE(ARRANGE, SPREAD, FINISH) \
	VMOVDQU64 0(R9), Z4; \
	VMOVDQU64 192(R9), Z5; \
	VMOVDQU64 384(R9), Z6; \
	VMOVDQU64 576(R9), Z7; \
	ARRANGE(Z4, Z5, Z6, Z7); \
	SPREAD; \
	VMOVDQA64 Z14, Z9; \
	VPDPBUSD  Z4, Z15, Z9; \
	VPDPBUSD  Z5, Z15, Z9; \
	VPDPBUSD  Z6, Z15, Z9; \
	VPDPBUSD  Z7, Z15, Z9; \
	VPSUBD    Z9, Z14, Z9; \
	FINISH; \
	VMOVDQA64 Z4, 0(DI); \
	VMOVDQA64 Z5, 64(DI); \
	VMOVDQA64 Z6, 128(DI); \
	VMOVDQA64 Z7, 192(DI); \
	VMOVAPS   Z8, 256(DI); \
	VMOVAPS   Z9, 320(DI)

// The products of a super with one token: of one row, whose weights are in Z10–Z15 and whose sum is in Z0.

#define DOT \
	VMOVDQA64   320(R9), Z19; \
	VPDPBUSD    0(R9), Z10, Z19; \
	VPDPBUSD    64(R9), Z11, Z19; \
	VPDPBUSD    128(R9), Z12, Z19; \
	VPDPBUSD    192(R9), Z13, Z19; \
	VMULPS      256(R9), Z14, Z18; \
	VCVTDQ2PS   Z19, Z19; \
	VFMADD231PS Z18, Z19, Z0

#define DOT_MINIMUM(ADD) \
	VPXORD      Z19, Z19, Z19; \
	VPDPBUSD    0(R9), Z10, Z19; \
	VPDPBUSD    64(R9), Z11, Z19; \
	VPDPBUSD    128(R9), Z12, Z19; \
	VPDPBUSD    192(R9), Z13, Z19; \
	VMULPS      256(R9), Z14, Z18; \
	VCVTDQ2PS   Z19, Z19; \
	VFMADD231PS Z18, Z19, Z0; \
	ADD         320(R9), Z15, Z0

#define DOT_LESS DOT_MINIMUM(VFMADD231PS)
#define DOT_PLUS DOT_MINIMUM(VFNMADD231PS)

// Or of two rows, whose weights are in Z20–Z23 and Z24–Z27, with scales in Z28 and Z29 and minimums in Z30 and Z31.

#define BYTES2(at) \
	VMOVDQA64 (at+0)(R9), Z18; \
	VPDPBUSD  Z18, Z20, Z16; \
	VPDPBUSD  Z18, Z24, Z17; \
	VMOVDQA64 (at+64)(R9), Z18; \
	VPDPBUSD  Z18, Z21, Z16; \
	VPDPBUSD  Z18, Z25, Z17; \
	VMOVDQA64 (at+128)(R9), Z18; \
	VPDPBUSD  Z18, Z22, Z16; \
	VPDPBUSD  Z18, Z26, Z17; \
	VMOVDQA64 (at+192)(R9), Z18; \
	VPDPBUSD  Z18, Z23, Z16; \
	VPDPBUSD  Z18, Z27, Z17

#define SCALES2(at, sum, sum2) \
	VMOVAPS     (at+256)(R9), Z18; \
	VMULPS      Z18, Z28, Z19; \
	VCVTDQ2PS   Z16, Z16; \
	VMULPS      Z18, Z29, Z18; \
	VCVTDQ2PS   Z17, Z17; \
	VFMADD231PS Z19, Z16, sum; \
	VFMADD231PS Z18, Z17, sum2

#define DOT2(at, sum, sum2) \
	VMOVDQA64 (at+320)(R9), Z16; \
	VMOVDQA64 Z16, Z17; \
	BYTES2(at); \
	SCALES2(at, sum, sum2)

#define DOT2_MINIMUM(at, sum, sum2, ADD) \
	VPXORD  Z16, Z16, Z16; \
	VPXORD  Z17, Z17, Z17; \
	BYTES2(at); \
	SCALES2(at, sum, sum2); \
	VMOVAPS (at+320)(R9), Z18; \
	ADD     Z18, Z30, sum; \
	ADD     Z18, Z31, sum2

#define DOT2_LESS(at, sum, sum2) DOT2_MINIMUM(at, sum, sum2, VFMADD231PS)
#define DOT2_PLUS(at, sum, sum2) DOT2_MINIMUM(at, sum, sum2, VFNMADD231PS)

// SUM4 adds the lanes of four registers: the lanes of X16 are their sums.
#define SUM4(a, b, c, d) \
	VUNPCKLPS     b, a, Z16; \
	VUNPCKHPS     b, a, Z17; \
	VADDPS        Z17, Z16, Z16; \
	VUNPCKLPS     d, c, Z18; \
	VUNPCKHPS     d, c, Z19; \
	VADDPS        Z19, Z18, Z18; \
	VUNPCKLPD     Z18, Z16, Z17; \
	VUNPCKHPD     Z18, Z16, Z19; \
	VADDPS        Z19, Z17, Z16; \
	VEXTRACTF64X4 $1, Z16, Y17; \
	VADDPS        Y17, Y16, Y16; \
	VEXTRACTF32X4 $1, Y16, X17; \
	VADDPS        X17, X16, X16

// PRODUCTS adds R10 supers of two rows, unpacked at DI, times R13 tokens to their sums. It takes time, so it prefetches the pair after next
// from SI, row by row R12 bytes apart and super by super R11 bytes.
#define PRODUCTS(DO, MINIMUMS) \
super: \
	VMOVDQA64 0(DI), Z20; \
	VMOVDQA64 64(DI), Z21; \
	VMOVDQA64 128(DI), Z22; \
	VMOVDQA64 192(DI), Z23; \
	VMOVAPS   256(DI), Z28; \
	VMOVDQA64 384(DI), Z24; \
	VMOVDQA64 448(DI), Z25; \
	VMOVDQA64 512(DI), Z26; \
	VMOVDQA64 576(DI), Z27; \
	VMOVAPS   640(DI), Z29; \
	MINIMUMS; \
	PREFETCHT0 0(SI); \
	PREFETCHT0 64(SI); \
	PREFETCHT0 128(SI); \
	PREFETCHT0 0(SI)(R12*1); \
	PREFETCHT0 64(SI)(R12*1); \
	PREFETCHT0 128(SI)(R12*1); \
	ADDQ R11, SI; \
	CMPQ R13, $2; \
	DO(0, Z0, Z8); \
	DO(384, Z1, Z9); \
	JEQ  joined; \
	DO(768, Z2, Z10); \
	CMPQ R13, $4; \
	JLT  joined; \
	DO(1152, Z3, Z11); \
	JEQ  joined; \
	DO(1536, Z4, Z12); \
	CMPQ R13, $6; \
	JLT  joined; \
	DO(1920, Z5, Z13); \
	JEQ  joined; \
	DO(2304, Z6, Z14); \
	CMPQ R13, $8; \
	JLT  joined; \
	DO(2688, Z7, Z15); \
joined: \
	ADDQ $768, DI; \
	ADDQ BX, R9; \
	DECQ R10; \
	JNE  super; \
	RET

#define NO_MINIMUMS
#define MINIMUMS VMOVAPS 320(DI), Z30; VMOVAPS 704(DI), Z31

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
	MOVQ $0, RESUMED(DX)
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
	MOVQ         rows512_x(DI), SI
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
	MOVQ      rows512_w(R13), SI
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
	CMPQ   RESUMED(DX), $0
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
	CMPQ   RESUMED(DX), $0
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
	CMPQ   RESUMES(DX), $0
	JEQ    end
	SUBQ   CX, rows512_full(AX)
	MOVQ   rows512_size(AX), R9
	IMULQ  CX, R9
	ADDQ   R9, rows512_w(AX)
	IMUL3Q $768, CX, R9
	ADDQ   R9, rows512_x(AX)
	MOVQ   $1, RESUMED(DX)
	JMP    turn

resume:
	EACH(LOAD, multiply)
	JMP multiply

rests: // only the sums of R13 tokens: those of the next pair follow
	EACH(REST, next)
	JMP next

end:
	VZEROUPPER
	RET

// ADD_SUPERS adds R10 supers of a row times a token to Z0: UNPACK takes the size bytes at SI apart, DO multiplies, FETCH
// prefetches as many bytes ahead. UNPACKS stores them at DI, where PRODUCTS expects them.
#define ADD_SUPERS(FETCH, UNPACK, DO, size) \
super: \
	FETCH; \
	UNPACK; \
	DO; \
	ADDQ $size, SI; \
	ADDQ $384, R9; \
	DECQ R10; \
	JNE  super; \
	RET

#define UNPACKS(FETCH, UNPACK, size) \
super: \
	FETCH; \
	UNPACK; \
	VMOVDQA64 Z10, 0(DI); \
	VMOVDQA64 Z11, 64(DI); \
	VMOVDQA64 Z12, 128(DI); \
	VMOVDQA64 Z13, 192(DI); \
	VMOVAPS   Z14, 256(DI); \
	ADDQ $size, SI; \
	ADDQ $768, DI; \
	DECQ R10; \
	JNE  super; \
	RET

#define UNPACKS_MINIMUM(FETCH, UNPACK, size) \
super: \
	FETCH; \
	UNPACK; \
	VMOVDQA64 Z10, 0(DI); \
	VMOVDQA64 Z11, 64(DI); \
	VMOVDQA64 Z12, 128(DI); \
	VMOVDQA64 Z13, 192(DI); \
	VMOVAPS   Z14, 256(DI); \
	VMOVAPS   Z15, 320(DI); \
	ADDQ $size, SI; \
	ADDQ $768, DI; \
	DECQ R10; \
	JNE  super; \
	RET

#define FETCH2 PREFETCHT0 (SI)(R11*1); PREFETCHT0 64(SI)(R11*1)
#define FETCH3 FETCH2; PREFETCHT0 128(SI)(R11*1)
#define FETCH4 FETCH3; PREFETCHT0 192(SI)(R11*1)
#define FETCH5 FETCH4; PREFETCHT0 256(SI)(R11*1)

// Blocks of 32. Eight blocks of at most 24 bytes lie in four windows of 64 bytes, two in each: Z14, Z16, Z17, Z18. The last window ends
// where the super ends, and so its blocks lie 64 − 2·size bytes farther from its start. A byte or word of the first and the second of a
// window's blocks goes to qwords 0, 2, 4, 6 by one permutation; the other window's are merged into qwords 1, 3, 5, 7.

#define WINDOWS(size) \
	VMOVDQU64 0(SI), Z14; \
	VMOVDQU64 (2*size)(SI), Z16; \
	VMOVDQU64 (4*size)(SI), Z17; \
	VMOVDQU64 (8*size-64)(SI), Z18

// Z22 and Z23 are the byte indices of a block's 16 bytes of nibbles, behind a header of that size, Z24 and Z25 the word indices of
// its scale, for the first three windows and the last.
#define BLOCK_CONSTANTS(size, header) \
	MOVQ         $0xff00ff00ff00ff00, AX; \
	KMOVQ        AX, K1; \
	MOVL         $0x00cc, AX; \
	KMOVD        AX, K2; \
	MOVL         $0x3300, AX; \
	KMOVD        AX, K3; \
	MOVL         $0xcc00, AX; \
	KMOVD        AX, K4; \
	MOVL         $0x00aa, AX; \
	KMOVD        AX, K5; \
	BYTES(header, Z22); \
	BYTES(size, Z23); \
	VPADDB       eights<>(SB), Z22, Z22; \
	VPADDQ       Z23, Z22, K2, Z22; \
	BYTES(64-2*size, Z23); \
	VPADDB       Z22, Z23, Z23; \
	WORDS(size/2, Z24); \
	VMOVDQA64.Z  Z24, K5, Z24; \
	WORDS(32-size, Z25); \
	VPADDW       Z24, Z25, Z25; \
	BYTES(15, Z21)

// NIBBLES sets W0 … W3 to nibbles: the low ones of a block's bytes are values 0 … 15.
#define NIBBLES \
	VPERMB     Z14, Z22, Z10; \
	VPERMB     Z16, Z22, K1, Z10; \
	VPERMB     Z17, Z22, Z11; \
	VPERMB     Z18, Z23, K1, Z11; \
	VSHUFI64X2 $0x44, Z11, Z10, Z12; \
	VSHUFI64X2 $0xee, Z11, Z10, Z13; \
	SPLIT

// SPLIT splits the bytes in Z12 and Z13.
#define SPLIT \
	VPANDD Z21, Z12, Z10; \
	VPANDD Z21, Z13, Z11; \
	VPSRLW $4, Z12, Z12; \
	VPSRLW $4, Z13, Z13; \
	VPANDD Z21, Z12, Z12; \
	VPANDD Z21, Z13, Z13

// HALVES picks a half of each block, twice.
#define HALVES(index, last, y, z) \
	VPERMW    Z14, index, z; \
	VPERMW    Z16, index, K2, z; \
	VPERMW    Z17, index, K3, z; \
	VPERMW    Z18, last, K4, z; \
	VCVTPH2PS y, z

// LOOKUP takes W0 … W3 as indices into the table in Z20.
#define LOOKUP \
	VPSHUFB Z10, Z20, Z10; \
	VPSHUFB Z11, Z20, Z11; \
	VPSHUFB Z12, Z20, Z12; \
	VPSHUFB Z13, Z20, Z13

VECTOR(eights, 0x0706050403020100, 0x0706050403020100, 0x0706050403020100, 0x0706050403020100, 0x0f0e0d0c0b0a0908, 0x0f0e0d0c0b0a0908, 0x0f0e0d0c0b0a0908, 0x0f0e0d0c0b0a0908)

// Q4_0: d (half), 16 bytes of nibbles; offset 8.
TEXT constantsQ4_0<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(18, 2)
	RET

#define UNPACK_Q4_0 \
	WINDOWS(18); \
	NIBBLES; \
	HALVES(Z24, Z25, Y14, Z14)

TEXT supersQ4_0<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_Q4_0, DOT, 144)

TEXT unpackQ4_0<>(SB), NOSPLIT, $0
	UNPACKS(FETCH3, UNPACK_Q4_0, 144)

// IQ4_NL: Q4_0 with a table of values. Here they are 128 larger.
TEXT constantsIQ4_NL<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(18, 2)
	VMOVDQU64 iq4Values<>(SB), Z20
	RET

#define UNPACK_IQ4_NL \
	UNPACK_Q4_0; \
	LOOKUP

TEXT supersIQ4_NL<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_IQ4_NL, DOT, 144)

TEXT unpackIQ4_NL<>(SB), NOSPLIT, $0
	UNPACKS(FETCH3, UNPACK_IQ4_NL, 144)

VECTOR2(iq4Values, 0x766a5d4f3f2d1801, 0xf1d9c5b5a6998d81)

// MXFP4: e (an exponent), 16 bytes of nibbles, with a table of values. Here they are 16 larger. The scale is 2^(e−128).
TEXT constantsMXFP4<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(17, 1)
	VMOVDQU64    fp4Values<>(SB), Z20
	BYTES(17, Z24)
	VMOVDQA64.Z  Z24, K2, Z24
	BYTES(64-2*17, Z25)
	VPADDB       Z24, Z25, Z25
	MOVL         $-128, AX
	VPBROADCASTD AX, Z26
	MOVL         $0x3f800000, AX
	VPBROADCASTD AX, Z27
	RET

#define UNPACK_MXFP4 \
	WINDOWS(17); \
	NIBBLES; \
	VPERMB     Z14, Z24, Z14; \
	VPERMB     Z16, Z24, K1, Z14; \
	VPERMB     Z17, Z24, Z17; \
	VPERMB     Z18, Z25, K1, Z17; \
	VSHUFI64X2 $0x44, Z17, Z14, Z14; \
	VPSRLD     $24, Z14, Z14; \
	VPADDD     Z26, Z14, Z14; \
	VCVTDQ2PS  Z14, Z14; \
	VSCALEFPS  Z14, Z27, Z14; \
	LOOKUP

TEXT supersMXFP4<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_MXFP4, DOT, 136)

TEXT unpackMXFP4<>(SB), NOSPLIT, $0
	UNPACKS(FETCH3, UNPACK_MXFP4, 136)

VECTOR2(fp4Values, 0x1c18161413121110, 0x04080a0c0d0e0f10)

// Z26 and Z27 are the word indices of the half behind the scale.
#define LEAST_CONSTANTS \
	WORDS(1, Z26); \
	VPADDW Z25, Z26, Z27; \
	VPADDW Z24, Z26, Z26

// Q4_1: d, m (halves), 16 bytes of nibbles; m is added.
TEXT constantsQ4_1<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(20, 4)
	LEAST_CONSTANTS
	RET

#define UNPACK_Q4_1 \
	WINDOWS(20); \
	NIBBLES; \
	HALVES(Z26, Z27, Y15, Z15); \
	HALVES(Z24, Z25, Y14, Z14)

TEXT supersQ4_1<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_Q4_1, DOT_PLUS, 160)

TEXT unpackQ4_1<>(SB), NOSPLIT, $0
	UNPACKS_MINIMUM(FETCH3, UNPACK_Q4_1, 160)

// Z28 and Z29 are the word indices of the fifth bits, which are at a byte of the block.
#define FIFTH_CONSTANTS(size, at) \
	WORDS(at/2, Z28); \
	VPADDW       evenOdd<>(SB), Z28, Z28; \
	WORDS(size/2, Z29); \
	VPADDQ       Z29, Z28, K2, Z28; \
	WORDS(32-size, Z29); \
	VPADDW       Z28, Z29, Z29; \
	MOVL         $0xf0f0f0f0, AX; \
	KMOVD        AX, K5; \
	BYTES(16, Z30)

// Q5_0: d, 32 fifth bits, 16 bytes of nibbles; offset 16. Z19 gets all fifth bits of a block, twice, into the block's qword; a shift puts
// bit 8j + i in place for byte i of Wj.
TEXT constantsQ5_0<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(22, 6)
	FIFTH_CONSTANTS(22, 2)
	RET

#define FIFTH_BITS \
	VPERMW         Z14, Z28, Z15; \
	VPERMW         Z16, Z28, K5, Z15; \
	VPERMW         Z17, Z28, Z19; \
	VPERMW         Z18, Z29, K5, Z19; \
	VSHUFI64X2     $0x44, Z19, Z15, Z19

#define FIFTH(shifts, w) \
	VMOVDQU64      shifts<>(SB), Z15; \
	VPMULTISHIFTQB Z19, Z15, Z15; \
	VPTERNLOGD     $0xf8, Z30, Z15, w

#define UNPACK_Q5_0 \
	WINDOWS(22); \
	NIBBLES; \
	FIFTH_BITS; \
	HALVES(Z24, Z25, Y14, Z14); \
	FIFTH(fifth0, Z10); \
	FIFTH(fifth1, Z11); \
	FIFTH(fifth2, Z12); \
	FIFTH(fifth3, Z13)

TEXT supersQ5_0<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_Q5_0, DOT, 176)

TEXT unpackQ5_0<>(SB), NOSPLIT, $0
	UNPACKS(FETCH3, UNPACK_Q5_0, 176)

VECTOR2(evenOdd, 0x0001000000010000, 0x0001000000010000)
VECTOR2(fifth0, 0x030201003f3e3d3c, 0x030201003f3e3d3c)
VECTOR2(fifth1, 0x0b0a090807060504, 0x0b0a090807060504)
VECTOR2(fifth2, 0x131211100f0e0d0c, 0x131211100f0e0d0c)
VECTOR2(fifth3, 0x1b1a191817161514, 0x1b1a191817161514)

// Q5_1: d, m (halves), 32 fifth bits, 16 bytes of nibbles; m is added.
TEXT constantsQ5_1<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(24, 8)
	LEAST_CONSTANTS
	FIFTH_CONSTANTS(24, 4)
	RET

#define UNPACK_Q5_1 \
	WINDOWS(24); \
	NIBBLES; \
	FIFTH_BITS; \
	FIFTH(fifth0, Z10); \
	FIFTH(fifth1, Z11); \
	FIFTH(fifth2, Z12); \
	FIFTH(fifth3, Z13); \
	HALVES(Z26, Z27, Y15, Z15); \
	HALVES(Z24, Z25, Y14, Z14)

TEXT supersQ5_1<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_Q5_1, DOT_PLUS, 192)

TEXT unpackQ5_1<>(SB), NOSPLIT, $0
	UNPACKS_MINIMUM(FETCH3, UNPACK_Q5_1, 192)

// Q8_0: d, 32 bytes; offset 128, as the weights are signed.
TEXT constantsQ8_0<>(SB), NOSPLIT, $0
	BLOCK_CONSTANTS(18, 2)
	WORDS(17, Z24)
	VMOVDQA64.Z Z24, K5, Z24
	BYTES(0x80, Z20)
	RET

#define UNPACK_Q8_0 \
	VMOVDQU64 2(SI), Y10; \
	VMOVDQU64 70(SI), Y11; \
	VMOVDQU64 138(SI), Y12; \
	VMOVDQU64 206(SI), Y13; \
	VINSERTI64X4 $1, 36(SI), Z10, Z10; \
	VINSERTI64X4 $1, 104(SI), Z11, Z11; \
	VINSERTI64X4 $1, 172(SI), Z12, Z12; \
	VINSERTI64X4 $1, 240(SI), Z13, Z13; \
	ARRANGE_BLOCKS(Z10, Z11, Z12, Z13); \
	VPXORD       Z20, Z10, Z10; \
	VPXORD       Z20, Z11, Z11; \
	VPXORD       Z20, Z12, Z12; \
	VPXORD       Z20, Z13, Z13; \
	VPERMW       0(SI), Z24, Z14; \
	VPERMW       68(SI), Z24, K2, Z14; \
	VPERMW       136(SI), Z24, K3, Z14; \
	VPERMW       204(SI), Z24, K4, Z14; \
	VCVTPH2PS    Y14, Z14

TEXT supersQ8_0<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH5, UNPACK_Q8_0, DOT, 272)

TEXT unpackQ8_0<>(SB), NOSPLIT, $0
	UNPACKS(FETCH5, UNPACK_Q8_0, 272)

// The K formats: super-blocks of 256.

#define SIX_BIT_CONSTANTS \
	VMOVDQU64 sixLow<>(SB), X27; \
	VMOVDQU64 sixHigh<>(SB), X28; \
	VMOVDQU64 scaleSlots<>(SB), Z29; \
	VMOVDQU64 leastSlots<>(SB), Z30; \
	MOVQ      $0x1111111111111111, AX; \
	KMOVQ     AX, K1

// Q4_K: d, dmin, 12 bytes of 6-bit scales and minimums, 128 bytes of nibbles. The low nibbles of 32 bytes are a block, the high ones
// the next. So qword i of Wj comes from qword j of its 32 bytes, shifted by 4 in blocks that are odd.
TEXT constantsQ4_K<>(SB), NOSPLIT, $0
	SIX_BIT_CONSTANTS
	VMOVDQU64 odd4<>(SB), Z22
	VMOVDQU64 unit0<>(SB), Z23
	VMOVDQU64 unit1<>(SB), Z24
	VMOVDQU64 unit2<>(SB), Z25
	VMOVDQU64 unit3<>(SB), Z26
	BYTES(15, Z21)
	RET

// SIX_BITS sets Z14 to d · scales and Z15 to dmin · minimums, by unpacking 8 and 8 bytes of them.
#define SIX_BITS \
	VMOVDQU64 (SI), X16; \
	VPBROADCASTD   (SI), Y17; \
	VPSHUFB        sixBytes<>(SB), X16, X16; \
	VPMULTISHIFTQB X16, X27, X18; \
	VPMULTISHIFTQB X16, X28, X19; \
	VPANDD         sixLowMask<>(SB), X18, X18; \
	VPTERNLOGD     $0xf8, sixHighMask<>(SB), X19, X18; \
	VPERMB.Z       Z18, Z29, K1, Z14; \
	VPERMB.Z       Z18, Z30, K1, Z15; \
	VCVTPH2PS      Y17, Z17; \
	VCVTDQ2PS      Z14, Z14; \
	VCVTDQ2PS      Z15, Z15; \
	VMOVSLDUP      Z17, Z18; \
	VMOVSHDUP      Z17, Z19; \
	VMULPS         Z18, Z14, Z14; \
	VMULPS         Z19, Z15, Z15

// UNIT sets Wj to the nibbles of the 128 bytes in Z16 and Z17.
#define UNIT(index, w) \
	VMOVDQA64 index, w; \
	VPERMI2Q  Z17, Z16, w; \
	VPSRLVW   Z22, w, w; \
	VPANDD    Z21, w, w

#define UNPACK_Q4_K \
	SIX_BITS; \
	VMOVDQU64 16(SI), Z16; \
	VMOVDQU64 80(SI), Z17; \
	UNIT(Z23, Z10); \
	UNIT(Z24, Z11); \
	UNIT(Z25, Z12); \
	UNIT(Z26, Z13)

TEXT supersQ4_K<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_Q4_K, DOT_LESS, 144)

TEXT unpackQ4_K<>(SB), NOSPLIT, $0
	UNPACKS_MINIMUM(FETCH3, UNPACK_Q4_K, 144)

VECTOR2(sixBytes, 0x0f0e0d0c07060504, 0x0f0e0d0c0b0a0908)
VECTOR2(sixLow, 0x3828302018081000, 0x3c2c342418081000)
VECTOR2(sixLowMask, 0x0f0f0f0f3f3f3f3f, 0x0f0f0f0f3f3f3f3f)
VECTOR2(sixHigh, 0x1a0a120200000000, 0x1a0a120200000000)
VECTOR2(sixHighMask, 0x3030303000000000, 0x3030303000000000)
VECTOR(scaleSlots, 0xffffff00ffffff00, 0xffffff01ffffff01, 0xffffff02ffffff02, 0xffffff03ffffff03, 0xffffff04ffffff04, 0xffffff05ffffff05, 0xffffff06ffffff06, 0xffffff07ffffff07)
VECTOR(leastSlots, 0xffffff08ffffff08, 0xffffff09ffffff09, 0xffffff0affffff0a, 0xffffff0bffffff0b, 0xffffff0cffffff0c, 0xffffff0dffffff0d, 0xffffff0effffff0e, 0xffffff0fffffff0f)
VECTOR4(odd4, 0, 0, 0x0004000400040004, 0x0004000400040004)
VECTOR(unit0, 0, 4, 0, 4, 8, 0x000000000000000c, 8, 0x000000000000000c)
VECTOR(unit1, 1, 5, 1, 5, 9, 0x000000000000000d, 9, 0x000000000000000d)
VECTOR(unit2, 2, 6, 2, 6, 0x000000000000000a, 0x000000000000000e, 0x000000000000000a, 0x000000000000000e)
VECTOR(unit3, 3, 7, 3, 7, 0x000000000000000b, 0x000000000000000f, 0x000000000000000b, 0x000000000000000f)

// Q5_K: Q4_K with 32 bytes of fifth bits before the nibbles: bit b of byte i belongs to value i of block b.
TEXT constantsQ5_K<>(SB), NOSPLIT, $0
	SIX_BIT_CONSTANTS
	VMOVDQU64 odd4<>(SB), Z22
	VMOVDQU64 unit0<>(SB), Z23
	VMOVDQU64 unit1<>(SB), Z24
	VMOVDQU64 unit2<>(SB), Z25
	VMOVDQU64 unit3<>(SB), Z26
	VMOVDQU64 fifthTurn<>(SB), Z31
	BYTES(15, Z21)
	BYTES(16, Z20)
	RET

#define FIFTH_K(at, w) \
	VPBROADCASTQ at(SI), Z18; \
	VPROLVQ      Z31, Z18, Z18; \
	VPTERNLOGD   $0xf8, Z20, Z18, w

#define UNPACK_Q5_K \
	SIX_BITS; \
	VMOVDQU64 48(SI), Z16; \
	VMOVDQU64 112(SI), Z17; \
	UNIT(Z23, Z10); \
	UNIT(Z24, Z11); \
	UNIT(Z25, Z12); \
	UNIT(Z26, Z13); \
	FIFTH_K(16, Z10); \
	FIFTH_K(24, Z11); \
	FIFTH_K(32, Z12); \
	FIFTH_K(40, Z13)

TEXT supersQ5_K<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_Q5_K, DOT_LESS, 176)

TEXT unpackQ5_K<>(SB), NOSPLIT, $0
	UNPACKS_MINIMUM(FETCH3, UNPACK_Q5_K, 176)

VECTOR(fifthTurn, 4, 2, 3, 1, 0, 0x000000000000003e, 0x000000000000003f, 0x000000000000003d)

// IQ4_XS: d, 16 upper and 32 lower bits of 6-bit scales, 128 bytes of nibbles as in IQ4_NL.
TEXT constantsIQ4_XS<>(SB), NOSPLIT, $0
	BYTES(15, Z21)
	VMOVDQU64    iq4Values<>(SB), Z20
	VMOVDQU64    firstHalf<>(SB), Z22
	VMOVDQU64    secondHalf<>(SB), Z23
	VMOVDQU64    xsLow<>(SB), Z24
	VMOVDQU64    xsHigh<>(SB), Z25
	MOVL         $0x0f, AX
	VPBROADCASTD AX, Z26
	MOVL         $0x30, AX
	VPBROADCASTD AX, Z27
	MOVL         $32, AX
	VPBROADCASTD AX, Z28
	RET

#define UNPACK_IQ4_XS \
	VPBROADCASTQ   (SI), Z14; \
	VMOVDQU64      8(SI), Z16; \
	VMOVDQU64      72(SI), Z17; \
	VMOVDQA64      Z22, Z12; \
	VMOVDQA64      Z23, Z13; \
	VPERMI2Q       Z17, Z16, Z12; \
	VPERMI2Q       Z17, Z16, Z13; \
	SPLIT; \
	LOOKUP; \
	VPBROADCASTD   (SI), Y16; \
	VPMULTISHIFTQB Z14, Z24, Z15; \
	VPMULTISHIFTQB Z14, Z25, Z14; \
	VPANDD         Z26, Z15, Z15; \
	VPTERNLOGD     $0xf8, Z27, Z14, Z15; \
	VCVTPH2PS      Y16, Z16; \
	VPSUBD         Z28, Z15, Z15; \
	VMOVSLDUP      Z16, Z16; \
	VCVTDQ2PS      Z15, Z15; \
	VMULPS         Z16, Z15, Z14

TEXT supersIQ4_XS<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_IQ4_XS, DOT, 136)

TEXT unpackIQ4_XS<>(SB), NOSPLIT, $0
	UNPACKS(FETCH3, UNPACK_IQ4_XS, 136)

VECTOR(firstHalf, 0, 4, 2, 6, 8, 0x000000000000000c, 0x000000000000000a, 0x000000000000000e)
VECTOR(secondHalf, 1, 5, 3, 7, 9, 0x000000000000000d, 0x000000000000000b, 0x000000000000000f)
VECTOR(xsLow, 0x0000002000000020, 0x0000002800000028, 0x0000002400000024, 0x0000002c0000002c, 0x0000003000000030, 0x0000003800000038, 0x0000003400000034, 0x0000003c0000003c)
VECTOR(xsHigh, 0x0000000c0000000c, 0x0000001000000010, 0x0000000e0000000e, 0x0000001200000012, 0x0000001400000014, 0x0000001800000018, 0x0000001600000016, 0x0000001a0000001a)

// Q6_K: 128 bytes of nibbles, 64 of upper bits, 16 scales of 16 values (signed bytes), d; offset 32. The low nibbles of 64 bytes are 64
// values, the high ones the next; each two bits of 32 bytes belong to 32 values.
TEXT constantsQ6_K<>(SB), NOSPLIT, $0
	BYTES(0x0f, Z21)
	BYTES(0x3f, Z22)
	VMOVDQU64 upFour<>(SB), Z23
	VMOVDQU64 downTwo<>(SB), Z24
	VMOVDQU64 group16<>(SB), X25
	RET

#define HALF_Q6_K(low, high, a, b) \
	VMOVDQU64       low(SI), Z16; \
	VBROADCASTI64X4 high(SI), Z17; \
	VPSLLVW         Z23, Z17, a; \
	VPSRLVW         Z24, Z17, b; \
	VPTERNLOGD      $0xd8, Z21, Z16, a; \
	VPSRLW          $4, Z16, Z16; \
	VPTERNLOGD      $0xd8, Z21, Z16, b; \
	VPANDD          Z22, a, a; \
	VPANDD          Z22, b, b

#define UNPACK_Q6_K \
	HALF_Q6_K(0, 128, Z10, Z11); \
	HALF_Q6_K(64, 160, Z12, Z13); \
	ARRANGE_GROUPS(Z10, Z11, Z12, Z13); \
	VMOVDQU64 192(SI), X14; \
	VPBROADCASTW 208(SI), Y16; \
	VPSHUFB      X25, X14, X14; \
	VPMOVSXBD    X14, Z14; \
	VCVTPH2PS    Y16, Z16; \
	VCVTDQ2PS    Z14, Z14; \
	VMULPS       Z16, Z14, Z14

TEXT supersQ6_K<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH4, UNPACK_Q6_K, DOT, 210)

TEXT unpackQ6_K<>(SB), NOSPLIT, $0
	UNPACKS(FETCH4, UNPACK_Q6_K, 210)

VECTOR(upFour, 0x0004000400040004, 0x0004000400040004, 0x0004000400040004, 0x0004000400040004, 0x0002000200020002, 0x0002000200020002, 0x0002000200020002, 0x0002000200020002)
VECTOR(downTwo, 0, 0, 0, 0, 0x0002000200020002, 0x0002000200020002, 0x0002000200020002, 0x0002000200020002)
VECTOR2(group16, 0x0d0905010c080400, 0x0f0b07030e0a0602)

#define TWO_BIT_CONSTANTS \
	BYTES(3, Z21); \
	VMOVDQU64 planeShift<>(SB), Z22; \
	VMOVDQU64 plane0<>(SB), Z23; \
	VMOVDQU64 plane1<>(SB), Z24; \
	VMOVDQU64 plane2<>(SB), Z25; \
	VMOVDQU64 plane3<>(SB), Z26

// Q3_K: 32 bytes of third bits, 64 of the lower two, 12 of 6-bit scales of 16 values, d; offset 4. Bit b of a byte of the first, and two
// bits of one of the others, belong to a value of block b.
TEXT constantsQ3_K<>(SB), NOSPLIT, $0
	TWO_BIT_CONSTANTS
	VMOVDQU64    third0<>(SB), Z27
	VMOVDQU64    third1<>(SB), Z28
	VMOVDQU64    third2<>(SB), Z29
	VMOVDQU64    third3<>(SB), Z30
	VMOVDQU64    thirdTurn<>(SB), Z31
	BYTES(4, Z20)
	RET

// PLANE sets Wj to two bits of each value, of the 64 bytes in Z16.
#define PLANE(index, w) \
	VPERMD  Z16, index, w; \
	VPSRLVD Z22, w, w; \
	VPANDD  Z21, w, w

// THIRD adds the upper bit, of the 32 bytes in Z17, to Wj.
#define THIRD(index, w) \
	VPERMD     Z17, index, Z18; \
	VPROLVD    Z31, Z18, Z18; \
	VPTERNLOGD $0xf8, Z20, Z18, w

#define UNPACK_Q3_K \
	VMOVDQU64       32(SI), Z16; \
	VMOVDQU64 (SI), Y17; \
	PLANE(Z23, Z10); \
	PLANE(Z24, Z11); \
	PLANE(Z25, Z12); \
	PLANE(Z26, Z13); \
	THIRD(Z27, Z10); \
	THIRD(Z28, Z11); \
	THIRD(Z29, Z12); \
	THIRD(Z30, Z13); \
	VMOVDQU64 94(SI), X14; \
	VPBROADCASTW    108(SI), Y16; \
	VPSHUFB         threeBytes<>(SB), X14, X14; \
	VMOVDQU64 threeLow<>(SB), X15; \
	VMOVDQU64 threeHigh<>(SB), X17; \
	VPMULTISHIFTQB  X14, X15, X15; \
	VPMULTISHIFTQB  X14, X17, X17; \
	VPANDD          threeLowMask<>(SB), X15, X15; \
	VPTERNLOGD      $0xf8, threeHighMask<>(SB), X17, X15; \
	VPSUBB          threeOffset<>(SB), X15, X15; \
	VPMOVSXBD       X15, Z14; \
	VCVTPH2PS       Y16, Z16; \
	VCVTDQ2PS       Z14, Z14; \
	VMULPS          Z16, Z14, Z14

TEXT supersQ3_K<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_Q3_K, DOT, 110)

TEXT unpackQ3_K<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_Q3_K, 110)

VECTOR4(plane0, 0, 0x0000000800000008, 0x0000000400000004, 0x0000000c0000000c)
VECTOR4(plane1, 0x0000000100000001, 0x0000000900000009, 0x0000000500000005, 0x0000000d0000000d)
VECTOR4(plane2, 0x0000000200000002, 0x0000000a0000000a, 0x0000000600000006, 0x0000000e0000000e)
VECTOR4(plane3, 0x0000000300000003, 0x0000000b0000000b, 0x0000000700000007, 0x0000000f0000000f)
VECTOR(planeShift, 0x0000000400000000, 0x0000000400000000, 0x0000000400000000, 0x0000000400000000, 0x0000000600000002, 0x0000000600000002, 0x0000000600000002, 0x0000000600000002)
VECTOR4(third0, 0, 0, 0x0000000400000004, 0x0000000400000004)
VECTOR4(third1, 0x0000000100000001, 0x0000000100000001, 0x0000000500000005, 0x0000000500000005)
VECTOR4(third2, 0x0000000200000002, 0x0000000200000002, 0x0000000600000006, 0x0000000600000006)
VECTOR4(third3, 0x0000000300000003, 0x0000000300000003, 0x0000000700000007, 0x0000000700000007)
VECTOR(thirdTurn, 2, 0x0000001c0000001e, 2, 0x0000001c0000001e, 0x0000001f00000001, 0x0000001b0000001d, 0x0000001f00000001, 0x0000001b0000001d)
VECTOR2(threeBytes, 0x02020b0a07030602, 0x02020d0c09050804)
VECTOR2(threeLow, 0x1c1418100c040800, 0x1c1418100c040800)
VECTOR2(threeHigh, 0x2a28262422201e1c, 0x2a28262422201e1c)
VECTOR2(threeLowMask, 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f)
VECTOR2(threeHighMask, 0x3030303030303030, 0x3030303030303030)
VECTOR2(threeOffset, 0x2020202020202020, 0x2020202020202020)

// Q2_K: 16 bytes of nibbles, a scale and a minimum of 16 values each, 64 bytes of two bits, d, dmin.
TEXT constantsQ2_K<>(SB), NOSPLIT, $0
	TWO_BIT_CONSTANTS
	VMOVDQU64 group16<>(SB), X27
	MOVL         $15, AX
	VPBROADCASTD AX, Z28
	RET

#define UNPACK_Q2_K \
	VMOVDQU64    16(SI), Z16; \
	PLANE(Z23, Z10); \
	PLANE(Z24, Z11); \
	PLANE(Z25, Z12); \
	PLANE(Z26, Z13); \
	VMOVDQU64 (SI), X14; \
	VPBROADCASTD 80(SI), Y16; \
	VPSHUFB      X27, X14, X14; \
	VPMOVZXBD    X14, Z14; \
	VCVTPH2PS    Y16, Z16; \
	VPSRLD       $4, Z14, Z15; \
	VPANDD       Z28, Z14, Z14; \
	VMOVSLDUP    Z16, Z17; \
	VMOVSHDUP    Z16, Z18; \
	VCVTDQ2PS    Z14, Z14; \
	VCVTDQ2PS    Z15, Z15; \
	VMULPS       Z17, Z14, Z14; \
	VMULPS       Z18, Z15, Z15

TEXT supersQ2_K<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_Q2_K, DOT_LESS, 84)

TEXT unpackQ2_K<>(SB), NOSPLIT, $0
	UNPACKS_MINIMUM(FETCH2, UNPACK_Q2_K, 84)

// TQ2_0: 64 bytes of two bits, d; offset 1.
TEXT constantsTQ2_0<>(SB), NOSPLIT, $0
	TWO_BIT_CONSTANTS
	RET

#define UNPACK_TQ2_0 \
	VMOVDQU64    (SI), Z16; \
	VPBROADCASTW 64(SI), Y14; \
	PLANE(Z23, Z10); \
	PLANE(Z24, Z11); \
	PLANE(Z25, Z12); \
	PLANE(Z26, Z13); \
	VCVTPH2PS    Y14, Z14

TEXT supersTQ2_0<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_TQ2_0, DOT, 66)

TEXT unpackTQ2_0<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_TQ2_0, 66)

// NVFP4: blocks of 64 that lie as two of Q4_0 would: four scales of 16 values (bytes with four exponent bits and three fraction bits), 32
// bytes of nibbles, in which the low ones of 8 bytes are 8 values and the high ones the next; values as in MXFP4.
TEXT constantsNVFP4<>(SB), NOSPLIT, $0
	BYTES(15, Z21)
	VMOVDQU64    fp4Values<>(SB), Z20
	VMOVDQU64    nibbles16<>(SB), Z22
	BYTES(64-36, Z23)
	VPADDB       Z22, Z23, Z23
	VMOVDQU64    odd4Groups<>(SB), Z24
	VMOVDQU64 group16<>(SB), X25
	MOVL         $8, AX
	VPBROADCASTD AX, Z26
	MOVL         $0x7f, AX
	VPBROADCASTD AX, Z27
	MOVL         $(119<<23), AX
	VPBROADCASTD AX, Z28
	MOVL         $0x3a800000, AX // 1/1024
	VPBROADCASTD AX, Z29
	RET

#define NIBBLES16(index, w) \
	VPERMB  w, index, w; \
	VPSRLVW Z24, w, w; \
	VPANDD  Z21, w, w

// A scale is e/1024 where e is less than 8, and 0 where it is 0x7F.
#define UNPACK_NVFP4 \
	VMOVDQU64      0(SI), Z10; \
	VMOVDQU64      36(SI), Z11; \
	VMOVDQU64      72(SI), Z12; \
	VMOVDQU64      80(SI), Z13; \
	NIBBLES16(Z22, Z10); \
	NIBBLES16(Z22, Z11); \
	NIBBLES16(Z22, Z12); \
	NIBBLES16(Z23, Z13); \
	LOOKUP; \
	ARRANGE_GROUPS(Z10, Z11, Z12, Z13); \
	VMOVD          (SI), X14; \
	VPINSRD        $1, 36(SI), X14, X14; \
	VPINSRD        $2, 72(SI), X14, X14; \
	VPINSRD        $3, 108(SI), X14, X14; \
	VPSHUFB        X25, X14, X14; \
	VPMOVZXBD      X14, Z16; \
	VPCMPUD        $1, Z26, Z16, K1; \
	VPCMPUD        $4, Z27, Z16, K2; \
	VPSLLD         $20, Z16, Z14; \
	VPADDD         Z28, Z14, Z14; \
	VCVTDQ2PS      Z16, Z16; \
	VMULPS         Z29, Z16, K1, Z14; \
	VMOVAPS.Z      Z14, K2, Z14

TEXT supersNVFP4<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH3, UNPACK_NVFP4, DOT, 144)

TEXT unpackNVFP4<>(SB), NOSPLIT, $0
	UNPACKS(FETCH3, UNPACK_NVFP4, 144)

VECTOR(nibbles16, 0x0b0a090807060504, 0x0b0a090807060504, 0x131211100f0e0d0c, 0x131211100f0e0d0c, 0x1b1a191817161514, 0x1b1a191817161514, 0x232221201f1e1d1c, 0x232221201f1e1d1c)
VECTOR2(odd4Groups, 0, 0x0004000400040004)

// TQ1_0: 52 bytes of digits, d; offset 1. Five digits of 32 bytes are blocks 0 … 4, five of 16 are the next and half of the last, four of
// 4 bytes the rest of it. A table has four of them, another the fifth.
TEXT constantsTQ1_0<>(SB), NOSPLIT, $0
	MOVQ      $0x000fffffffffffff, AX
	KMOVQ     AX, K1
	BYTES(3, Z20)
	BYTES(8, Z23)
	VMOVDQU64 digits0<>(SB), Z22
	VPADDB    Z22, Z23, Z23
	VMOVDQU64 digits2<>(SB), Z24
	VMOVDQU64 digits3<>(SB), Z25
	VMOVDQU64 digitShift0<>(SB), Z26
	VMOVDQU64 digitShift2<>(SB), Z27
	VMOVDQU64 digitShift3<>(SB), Z28
	RET

// LOOKUP_128 looks the bytes in Z16 up in a table of 128 bytes, LOOKUP_256 in one of 256, with those above 127 in K6.
#define LOOKUP_128(at, w) \
	VMOVDQU64 at(AX), w; \
	VPERMT2B  (at+64)(AX), Z16, w

#define LOOKUP_256(at, w, scratch) \
	LOOKUP_128(at, w); \
	LOOKUP_128(at+128, scratch); \
	VMOVDQU8 scratch, K6, w

#define DIGITS(index, shift, w) \
	VMOVDQA64 index, w; \
	VPERMI2B  Z18, Z17, w; \
	VPSRLVD   shift, w, w; \
	VPANDD    Z20, w, w

#define UNPACK_TQ1_0 \
	MOVQ         TABLE(DX), AX; \
	VMOVDQU8.Z   (SI), K1, Z16; \
	VPBROADCASTW 52(SI), Y14; \
	VPMOVB2M     Z16, K6; \
	LOOKUP_256(0, Z17, Z10); \
	LOOKUP_256(256, Z18, Z11); \
	DIGITS(Z22, Z26, Z10); \
	DIGITS(Z23, Z26, Z11); \
	DIGITS(Z24, Z27, Z12); \
	DIGITS(Z25, Z28, Z13); \
	VCVTPH2PS    Y14, Z14

TEXT supersTQ1_0<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_TQ1_0, DOT, 54)

TEXT unpackTQ1_0<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_TQ1_0, 54)

// Bytes of both tables by block 0 2 1 3 4 6 5 7, and the shifts.
VECTOR(digits0, 0x0706050403020100, 0x0706050403020100, 0x0706050403020100, 0x0706050403020100, 0x4746454443424140, 0x2726252423222120, 0x2726252423222120, 0x6766656463626160)
VECTOR(digits2, 0x1716151413121110, 0x1716151413121110, 0x1716151413121110, 0x1716151413121110, 0x5756555453525150, 0x2726252423222120, 0x2726252423222120, 0x3332313033323130)
VECTOR(digits3, 0x1f1e1d1c1b1a1918, 0x1f1e1d1c1b1a1918, 0x1f1e1d1c1b1a1918, 0x1f1e1d1c1b1a1918, 0x5f5e5d5c5b5a5958, 0x2f2e2d2c2b2a2928, 0x2f2e2d2c2b2a2928, 0x3332313033323130)
VECTOR(digitShift0, 0, 0x0000000400000004, 0x0000000200000002, 0x0000000600000006, 0, 0x0000000400000004, 0, 0)
VECTOR(digitShift2, 0, 0x0000000400000004, 0x0000000200000002, 0x0000000600000006, 0, 0x0000000600000006, 0x0000000200000002, 0x0000000200000000)
VECTOR(digitShift3, 0, 0x0000000400000004, 0x0000000200000002, 0x0000000600000006, 0, 0x0000000600000006, 0x0000000200000002, 0x0000000600000004)

// The formats with codebooks. Eight values, an octet, are eight numbers of levels, whose bits come in planes: a byte of all lowest bits,
// one of the next, and one of the signs. Such bytes are the rows of a matrix that VGF2P8AFFINEQB multiplies with the eight vectors of one
// bit: that yields the columns, which are the numbers of signed levels. The lowest bits are byte 7 of a matrix.
//
//	Z24–Z27 which bytes of Z16 and Z17 are the matrices   Z28 vectors of one bit   Z29 the levels and their negatives, plus the offset
//
// Z25–Z27 are so many bytes behind Z24.
#define CODEBOOK_CONSTANTS(matrices, a, b, c) \
	VMOVDQU64    matrices<>(SB), Z24; \
	BYTES(a, Z25); \
	BYTES(b, Z26); \
	BYTES(c, Z27); \
	VPADDB       Z24, Z25, Z25; \
	VPADDB       Z24, Z26, Z26; \
	VPADDB       Z24, Z27, Z27; \
	MOVQ         $0x8040201008040201, AX; \
	VPBROADCASTQ AX, Z28

#define OCTETS(matrices, w) \
	VMOVDQA64      matrices, w; \
	VPERMI2B       Z17, Z16, w; \
	VGF2P8AFFINEQB $0, w, Z28, w; \
	VPERMB         Z29, w, w

#define OCTETS_BLOCKS \
	OCTETS(Z24, Z10); \
	OCTETS(Z25, Z11); \
	OCTETS(Z26, Z12); \
	OCTETS(Z27, Z13)

// OCTETS_GROUPS takes the first octets of groups 0 … 7, of 8 … 15, then the second ones.
#define OCTETS_GROUPS \
	OCTETS(Z24, Z18); \
	OCTETS(Z25, Z19); \
	VSHUFPS $0x88, Z19, Z18, Z10; \
	VSHUFPS $0xdd, Z19, Z18, Z11; \
	OCTETS(Z26, Z18); \
	OCTETS(Z27, Z19); \
	VSHUFPS $0x88, Z19, Z18, Z12; \
	VSHUFPS $0xdd, Z19, Z18, Z13

// SIGNS completes seven signs to eight of which an even number is 1: a linear map.
#define SIGNS_CONSTANT(z) \
	MOVQ         $0x010204081020407f, AX; \
	VPBROADCASTQ AX, z

// SCALES multiplies the odd numbers 2s + 1 by the half at d(SI), which stands for a multiple: Z14 holds 2s in the bits of a mask, and
// others.
#define SCALES(half, mask, multiple) \
	VPBROADCASTW half, Y15; \
	SCALES_OF(mask, multiple)

#define SCALES_OF(mask, multiple) \
	VPANDD.BCST mask<>(SB), Z14, Z14; \
	VCVTPH2PS   Y15, Z15; \
	VPORD.BCST  one<>(SB), Z14, Z14; \
	VMULPS.BCST multiple<>(SB), Z15, Z15; \
	VCVTDQ2PS   Z14, Z14; \
	VMULPS      Z15, Z14, Z14

DATA one<>+0(SB)/4, $1
GLOBL one<>(SB), RODATA|NOPTR, $4
DATA three2s<>+0(SB)/4, $0x0e
GLOBL three2s<>(SB), RODATA|NOPTR, $4
DATA four2s<>+0(SB)/4, $0x1e
GLOBL four2s<>(SB), RODATA|NOPTR, $4
DATA whole<>+0(SB)/4, $0x3f800000
GLOBL whole<>(SB), RODATA|NOPTR, $4
DATA quarter<>+0(SB)/4, $0x3e800000
GLOBL quarter<>(SB), RODATA|NOPTR, $4
DATA eighth<>+0(SB)/4, $0x3e000000
GLOBL eighth<>(SB), RODATA|NOPTR, $4

// IQ2_XXS: d, then for each block four indices, four times seven signs and four bits of scale. Z16 becomes the first plane and the signs,
// Z17 the second.
TEXT constantsIQ2_XXS<>(SB), NOSPLIT, $0
	CODEBOOK_CONSTANTS(matricesXXS, 1, 2, 3)
	MOVQ         $0x40152738406b5948, AX // 64 ± 8, 25, 43
	VPBROADCASTQ AX, Z29
	MOVQ         $0x352e272000000000, AX
	VPBROADCASTQ AX, Z30
	SIGNS_CONSTANT(Z31)
	MOVQ         $0xf0f0f0f0f0f0f0f0, AX
	KMOVQ        AX, K1
	RET

#define UNPACK_IQ2_XXS \
	MOVQ           TABLE(DX), AX; \
	VMOVDQU64      2(SI), Z16; \
	VPMULTISHIFTQB Z16, Z30, Z19; \
	VPERMQ         $0xd8, Z16, Z14; \
	VPMOVB2M       Z16, K6; \
	LOOKUP_256(256, Z17, Z10); \
	LOOKUP_256(0, Z18, Z11); \
	VGF2P8AFFINEQB $0, Z31, Z19, K1, Z18; \
	VMOVDQA64      Z18, Z16; \
	OCTETS_BLOCKS; \
	VPSRLD         $27, Z14, Z14; \
	VMOVSHDUP      Z14, Z14; \
	SCALES(0(SI), four2s, eighth)

TEXT supersIQ2_XXS<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_IQ2_XXS, DOT, 66)

TEXT unpackIQ2_XXS<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_IQ2_XXS, 66)

VECTOR(matricesXXS, 0x0040040000000000, 0x1050140000000000, 0x08480c0000000000, 0x18581c0000000000, 0x2060240000000000, 0x3070340000000000, 0x28682c0000000000, 0x38783c0000000000)

// IQ3: a matrix has three planes of two entries, four bits of each. ROWS3 makes them of entries, whose planes 0 and 1 are in Z10 and whose
// plane 2 in Z11, and of the signs, words in Z18.
#define IQ3_CONSTANTS(levels) \
	CODEBOOK_CONSTANTS(matrices3, 1, 2, 3); \
	VMOVDQU64 levels<>(SB), Z29; \
	VMOVDQU64 nibblePairs<>(SB), Z22; \
	BYTES(15, Z21)

#define ROWS3 \
	VPANDD     Z21, Z10, Z12; \
	VPSRLW     $4, Z10, Z13; \
	VPANDD     Z21, Z13, Z13; \
	VPMADDUBSW Z22, Z11, Z11; \
	VPMADDUBSW Z22, Z12, Z12; \
	VPMADDUBSW Z22, Z13, Z13; \
	VPACKUSWB  Z18, Z11, Z17; \
	VPACKUSWB  Z13, Z12, Z16

VECTOR2(nibblePairs, 0x1001100110011001, 0x1001100110011001)
VECTOR(matrices3, 0x0008404800000000, 0x1018505800000000, 0x040c444c00000000, 0x141c545c00000000, 0x2028606800000000, 0x3038707800000000, 0x242c646c00000000, 0x343c747c00000000)

// IQ3_XXS: d, eight indices of each block, then four times seven signs and four bits of scale of each.
TEXT constantsIQ3_XXS<>(SB), NOSPLIT, $0
	IQ3_CONSTANTS(iq3xxsLevels)
	MOVQ         $0x2015200e20072000, AX
	VPBROADCASTQ AX, Z30
	SIGNS_CONSTANT(Z31)
	RET

#define UNPACK_IQ3_XXS \
	MOVQ           TABLE(DX), AX; \
	VMOVDQU64      2(SI), Z16; \
	VPMOVZXDQ      66(SI), Z19; \
	VPMOVB2M       Z16, K6; \
	LOOKUP_256(0, Z10, Z12); \
	LOOKUP_256(256, Z11, Z13); \
	VPMULTISHIFTQB Z19, Z30, Z18; \
	VGF2P8AFFINEQB $0, Z31, Z18, Z18; \
	VPERMQ         $0xd8, Z19, Z14; \
	ROWS3; \
	OCTETS_BLOCKS; \
	VPSRLD         $27, Z14, Z14; \
	VMOVSLDUP      Z14, Z14; \
	SCALES(0(SI), four2s, quarter)

TEXT supersIQ3_XXS<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_IQ3_XXS, DOT, 98)

TEXT unpackIQ3_XXS<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_IQ3_XXS, 98)

VECTOR2(iq3xxsLevels, 0x7e746c645c544c44, 0x020c141c242c343c)

// IQ3_S: d, eight indices of each block, their ninth bits, signs, four bits of scale of each.
TEXT constantsIQ3_S<>(SB), NOSPLIT, $0
	IQ3_CONSTANTS(iq3sLevels)
	VMOVDQU64 scales3<>(SB), Z30
	RET

#define LOOKUP_512(at, w, scratch, scratch2) \
	LOOKUP_256(at, w, scratch); \
	LOOKUP_256(at+256, scratch2, scratch); \
	VMOVDQU8 scratch2, K7, w

#define UNPACK_IQ3_S \
	MOVQ           TABLE(DX), AX; \
	VMOVDQU64      2(SI), Z16; \
	KMOVQ          66(SI), K7; \
	VPMOVZXBW      74(SI), Z18; \
	VPBROADCASTD   106(SI), Z14; \
	VPMOVB2M       Z16, K6; \
	LOOKUP_512(0, Z10, Z12, Z13); \
	LOOKUP_512(512, Z11, Z17, Z19); \
	ROWS3; \
	OCTETS_BLOCKS; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	SCALES(0(SI), four2s, whole)

TEXT supersIQ3_S<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_IQ3_S, DOT, 110)

TEXT unpackIQ3_S<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_IQ3_S, 110)

VECTOR2(iq3sLevels, 0x4f4d4b4947454341, 0x31333537393b3d3f)
VECTOR(scales3, 0x0000003f0000003f, 0x0000000700000007, 0x0000000300000003, 0x0000000b0000000b, 0x0000000f0000000f, 0x0000001700000017, 0x0000001300000013, 0x0000001b0000001b)

// IQ2_XS, IQ2_S and IQ1 have 32 indices in the words of Z16, which become words of both planes. ENTRIES… look them up in parts of 64
// entries, which takes less time than gathers. INDEX_BITS tells which: K1 … K5 are the bits from the seventh on.
#define INDEX_CONSTANTS \
	WORDS(64, Z21); \
	WORDS(128, Z22); \
	WORDS(256, Z23)

#define INDEX_BITS \
	MOVQ     TABLE(DX), AX; \
	VPTESTMW Z21, Z16, K1; \
	VPTESTMW Z22, Z16, K2; \
	VPTESTMW Z23, Z16, K3

#define PART(at, w) \
	VMOVDQU64 at(AX), w; \
	VPERMT2W  (at+64)(AX), Z16, w

#define ENTRIES_256(at, w) \
	PART(at, w); \
	PART(at+128, Z10); \
	PART(at+256, Z11); \
	PART(at+384, Z12); \
	VMOVDQU16 Z10, K1, w; \
	VMOVDQU16 Z12, K1, Z11; \
	VMOVDQU16 Z11, K2, w

#define ENTRIES_512(at, w) \
	ENTRIES_256(at, w); \
	ENTRIES_256(at+512, Z13); \
	VMOVDQU16 Z13, K3, w

#define ENTRIES_1024(at, w) \
	ENTRIES_512(at, w); \
	ENTRIES_512(at+1024, Z18); \
	VMOVDQU16 Z18, K4, w

VECTOR2(bit9, 0x0200020002000200, 0x0200020002000200)

// matricesOfGroups takes the signs from the words in Z17.
VECTOR(matricesOfGroups, 0x0001400000000000, 0x1011500000000000, 0x0405440000000000, 0x1415540000000000, 0x0809480000000000, 0x1819580000000000, 0x0c0d4c0000000000, 0x1c1d5c0000000000)

#define IQ2_CONSTANTS \
	CODEBOOK_CONSTANTS(matricesOfGroups, 32, 2, 34); \
	MOVQ         $0x40152738406b5948, AX; \
	VPBROADCASTQ AX, Z29; \
	VMOVDQU64    scales2<>(SB), Z30

VECTOR(scales2, 0x0000000f0000003f, 0x0000002f0000001f, 0x0000001300000003, 0x0000003300000023, 0x0000001700000007, 0x0000003700000027, 0x0000001b0000000b, 0x0000003b0000002b)

// IQ2_XS: d, 32 words of an index and seven signs, four bits of scale of each group.
TEXT constantsIQ2_XS<>(SB), NOSPLIT, $0
	IQ2_CONSTANTS
	SIGNS_CONSTANT(Z31)
	INDEX_CONSTANTS
	RET

#define UNPACK_IQ2_XS \
	VMOVDQU64      2(SI), Z17; \
	VPBROADCASTQ   66(SI), Z14; \
	VMOVDQA64      Z17, Z16; \
	INDEX_BITS; \
	VPSRLW         $9, Z17, Z17; \
	VGF2P8AFFINEQB $0, Z31, Z17, Z17; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	ENTRIES_512(0, Z19); \
	VMOVDQA64      Z19, Z16; \
	OCTETS_GROUPS; \
	SCALES(0(SI), four2s, eighth)

TEXT supersIQ2_XS<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_IQ2_XS, DOT, 74)

TEXT unpackIQ2_XS<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_IQ2_XS, 74)

// IQ2_S: d, lower bytes of 32 indices, signs, upper two bits of the indices, four bits of scale of each group.
TEXT constantsIQ2_S<>(SB), NOSPLIT, $0
	IQ2_CONSTANTS
	MOVQ         $0x0620042002200020, AX
	VPBROADCASTQ AX, Z31
	WORDS(0x300, Z20)
	INDEX_CONSTANTS
	RET

// UPPER adds the upper bits of indices, in Z18, by the shifts and the mask in Z31 and Z20, to the lower ones in Z16.
#define UPPER \
	VPMULTISHIFTQB Z18, Z31, Z18; \
	VPTERNLOGD     $0xf8, Z20, Z18, Z16; \
	INDEX_BITS

#define UNPACK_IQ2_S \
	VPMOVZXBW      2(SI), Z16; \
	VPMOVZXBQ      66(SI), Z18; \
	VPMOVZXBW      34(SI), Z17; \
	VPBROADCASTQ   74(SI), Z14; \
	UPPER; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	VPTESTMW       bit9<>(SB), Z16, K4; \
	ENTRIES_1024(0, Z19); \
	VMOVDQA64      Z19, Z16; \
	OCTETS_GROUPS; \
	SCALES(0(SI), four2s, eighth)

TEXT supersIQ2_S<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_IQ2_S, DOT, 82)

TEXT unpackIQ2_S<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_IQ2_S, 82)

// IQ1: entries are eight bytes, which become a qword of Wj each: 16 + 8 · (−1, 0, 1) + 1. Z17 holds −2 where an eighth is subtracted.
// K1 … K7 tell a qword.
#define IQ1_CONSTANTS \
	MOVL  $0x02, AX; \
	KMOVB AX, K1; \
	MOVL  $0x04, AX; \
	KMOVB AX, K2; \
	MOVL  $0x08, AX; \
	KMOVB AX, K3; \
	MOVL  $0x10, AX; \
	KMOVB AX, K4; \
	MOVL  $0x20, AX; \
	KMOVB AX, K5; \
	MOVL  $0x40, AX; \
	KMOVB AX, K6; \
	MOVL  $0x80, AX; \
	KMOVB AX, K7; \
	WORDS(0x700, Z20)

// ENTRIES8 takes octets o + a … o + h. The first goes to all qwords.
#define ENTRIES8(o, a, b, c, d, e, f, g, h, w) \
	MOVWLZX      (2*(o+a))(CX), AX; \
	VPBROADCASTQ (R14)(AX*8), w; \
	ENTRY(o+b, K1, w); \
	ENTRY(o+c, K2, w); \
	ENTRY(o+d, K3, w); \
	ENTRY(o+e, K4, w); \
	ENTRY(o+f, K5, w); \
	ENTRY(o+g, K6, w); \
	ENTRY(o+h, K7, w)

#define ENTRY(octet, mask, w) \
	MOVWLZX      (2*(octet))(CX), AX; \
	VPBROADCASTQ (R14)(AX*8), mask, w

// FIND stores the indices of R10 supers, so long before they are loaded that no load waits for its store: lower bits at low(SI), upper
// ones at high(SI), by the shifts and the mask in Z31 and Z20. Then R14 is the table, CX the indices.
#define FIND(low, high, size) \
	MOVQ           CX, SAVED_CX(DX); \
	LEAQ           INDICES(DX), CX; \
	MOVQ           SI, R14; \
	MOVQ           R10, AX; \
find: \
	VPMOVZXBW      low(R14), Z16; \
	VPMOVZXWQ      high(R14), Z18; \
	VPMULTISHIFTQB Z18, Z31, Z18; \
	VPTERNLOGD     $0xf8, Z20, Z18, Z16; \
	VMOVDQA64      Z16, (CX); \
	ADDQ           $64, CX; \
	ADDQ           $size, R14; \
	DECQ           AX; \
	JNE            find; \
	LEAQ           INDICES(DX), CX; \
	MOVQ           TABLE(DX), R14

#define NEXT_INDICES ADDQ $64, CX

// IQ1_S: d, lower bytes of 32 indices, and for each block the upper three bits of four, three bits of scale, and whether values are
// an eighth less or more.
TEXT constantsIQ1_S<>(SB), NOSPLIT, $0
	IQ1_CONSTANTS
	VMOVDQU64    lowWords<>(SB), Z30
	MOVQ         $0x0920062003200020, AX
	VPBROADCASTQ AX, Z31
	RET

#define BLOCK_ENTRIES(j, w) \
	ENTRIES8(j, 0, 8, 4, 12, 16, 24, 20, 28, w); \
	VPADDB Z17, w, w

#define UNPACK_IQ1_S \
	VPMOVZXWQ 34(SI), Z18; \
	VPSHUFB   Z30, Z18, Z17; \
	VPERMQ    $0xd8, Z17, Z14; \
	VPSRAW    $15, Z14, Z17; \
	VPADDB    Z17, Z17, Z17; \
	VPSRLD    $11, Z14, Z14; \
	SCALES(0(SI), three2s, eighth); \
	BLOCK_ENTRIES(0, Z10); \
	BLOCK_ENTRIES(1, Z11); \
	BLOCK_ENTRIES(2, Z12); \
	BLOCK_ENTRIES(3, Z13)

TEXT foundIQ1_S<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_IQ1_S, DOT; NEXT_INDICES, 50)

TEXT unpackFoundIQ1_S<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_IQ1_S; NEXT_INDICES, 50)

TEXT supersIQ1_S<>(SB), NOSPLIT, $0
	FIND(2, 34, 50)
	CALL foundIQ1_S<>(SB)
	MOVQ SAVED_CX(DX), CX
	RET

TEXT unpackIQ1_S<>(SB), NOSPLIT, $0
	FIND(2, 34, 50)
	CALL unpackFoundIQ1_S<>(SB)
	MOVQ SAVED_CX(DX), CX
	RET

VECTOR2(lowWords, 0x0100010001000100, 0x0908090809080908)

// IQ1_M: lower bytes of 32 indices, upper three bits of each and whether its values are an eighth less or more, then four words: a
// quarter of d, and three bits of scale of four groups.
TEXT constantsIQ1_M<>(SB), NOSPLIT, $0
	IQ1_CONSTANTS
	VMOVDQU64    scales1<>(SB), Z30
	MOVQ         $0x0c20082004200020, AX
	VPBROADCASTQ AX, Z31
	VMOVDQU64    octetsOfGroups<>(SB), Z24
	BYTES(32, Z25)
	BYTES(2, Z26)
	BYTES(34, Z27)
	VPADDB       Z24, Z25, Z25
	VPADDB       Z24, Z26, Z26
	VPADDB       Z24, Z27, Z27
	RET

#define GROUP_ENTRIES(o, octets, w) \
	ENTRIES8(o, 0, 8, 2, 10, 4, 12, 6, 14, w); \
	VPERMB Z17, octets, Z16; \
	VPADDB Z16, w, w

#define UNPACK_IQ1_M \
	VPMOVZXWQ      32(SI), Z18; \
	VPBROADCASTQ   48(SI), Z14; \
	VPMULTISHIFTQB Z18, Z31, Z18; \
	VPSLLW         $4, Z18, Z17; \
	VPSRAW         $15, Z17, Z17; \
	VPADDB         Z17, Z17, Z17; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	MOVQ           48(SI), AX; \
	PEXTQ          quarters<>(SB), AX, AX; \
	VPBROADCASTW   AX, Y15; \
	SCALES_OF(three2s, eighth); \
	GROUP_ENTRIES(0, Z24, Z18); \
	GROUP_ENTRIES(16, Z25, Z19); \
	VSHUFPS        $0x88, Z19, Z18, Z10; \
	VSHUFPS        $0xdd, Z19, Z18, Z11; \
	GROUP_ENTRIES(1, Z26, Z18); \
	GROUP_ENTRIES(17, Z27, Z19); \
	VSHUFPS        $0x88, Z19, Z18, Z12; \
	VSHUFPS        $0xdd, Z19, Z18, Z13

TEXT foundIQ1_M<>(SB), NOSPLIT, $0
	ADD_SUPERS(FETCH2, UNPACK_IQ1_M, DOT; NEXT_INDICES, 56)

TEXT unpackFoundIQ1_M<>(SB), NOSPLIT, $0
	UNPACKS(FETCH2, UNPACK_IQ1_M; NEXT_INDICES, 56)

TEXT supersIQ1_M<>(SB), NOSPLIT, $0
	FIND(0, 32, 56)
	CALL foundIQ1_M<>(SB)
	MOVQ SAVED_CX(DX), CX
	RET

TEXT unpackIQ1_M<>(SB), NOSPLIT, $0
	FIND(0, 32, 56)
	CALL unpackFoundIQ1_M<>(SB)
	MOVQ SAVED_CX(DX), CX
	RET

VECTOR(octetsOfGroups, 0, 0x1010101010101010, 0x0404040404040404, 0x1414141414141414, 0x0808080808080808, 0x1818181818181818, 0x0c0c0c0c0c0c0c0c, 0x1c1c1c1c1c1c1c1c)
VECTOR(scales1, 0x0000000f0000003f, 0x0000002f0000001f, 0x0000001200000002, 0x0000003200000022, 0x0000001500000005, 0x0000003500000025, 0x0000001800000008, 0x0000003800000028)
DATA quarters<>+0(SB)/8, $0xf000f000f000f000
GLOBL quarters<>(SB), RODATA|NOPTR, $8

#define KERNEL_OF(index, constants, supers, preparation, unpack, products) \
	DATA kernels<>+(40*index+CONSTANTS)(SB)/8, $constants<>(SB); \
	DATA kernels<>+(40*index+SUPERS)(SB)/8, $supers<>(SB); \
	DATA kernels<>+(40*index+PREPARATION)(SB)/8, $preparation<>(SB); \
	DATA kernels<>+(40*index+UNPACKING)(SB)/8, $unpack<>(SB); \
	DATA kernels<>+(40*index+PRODUCT)(SB)/8, $products<>(SB)

KERNEL_OF(0, constantsQ4_0, supersQ4_0, blocksStart, unpackQ4_0, products)
KERNEL_OF(1, constantsQ4_1, supersQ4_1, blocksLeast, unpackQ4_1, productsPlus)
KERNEL_OF(2, constantsQ5_0, supersQ5_0, blocksStart, unpackQ5_0, products)
KERNEL_OF(3, constantsQ5_1, supersQ5_1, blocksLeast, unpackQ5_1, productsPlus)
KERNEL_OF(4, constantsQ8_0, supersQ8_0, blocksStart, unpackQ8_0, products)
KERNEL_OF(5, constantsQ2_K, supersQ2_K, groupsLeast, unpackQ2_K, productsLess)
KERNEL_OF(6, constantsQ3_K, supersQ3_K, groupsStart, unpackQ3_K, products)
KERNEL_OF(7, constantsQ4_K, supersQ4_K, blocksLeast, unpackQ4_K, productsLess)
KERNEL_OF(8, constantsQ5_K, supersQ5_K, blocksLeast, unpackQ5_K, productsLess)
KERNEL_OF(9, constantsQ6_K, supersQ6_K, groupsStart, unpackQ6_K, products)
KERNEL_OF(10, constantsIQ4_NL, supersIQ4_NL, blocksStart, unpackIQ4_NL, products)
KERNEL_OF(11, constantsIQ4_XS, supersIQ4_XS, blocksStart, unpackIQ4_XS, products)
KERNEL_OF(12, constantsTQ2_0, supersTQ2_0, groupsStart, unpackTQ2_0, products)
KERNEL_OF(13, constantsMXFP4, supersMXFP4, blocksStart, unpackMXFP4, products)
KERNEL_OF(14, constantsNVFP4, supersNVFP4, groupsStart, unpackNVFP4, products)
KERNEL_OF(15, constantsTQ1_0, supersTQ1_0, blocksStart, unpackTQ1_0, products)
KERNEL_OF(16, constantsIQ1_S, supersIQ1_S, blocksStart, unpackIQ1_S, products)
KERNEL_OF(17, constantsIQ1_M, supersIQ1_M, groupsStart, unpackIQ1_M, products)
KERNEL_OF(18, constantsIQ2_XXS, supersIQ2_XXS, blocksStart, unpackIQ2_XXS, products)
KERNEL_OF(19, constantsIQ2_XS, supersIQ2_XS, groupsStart, unpackIQ2_XS, products)
KERNEL_OF(20, constantsIQ2_S, supersIQ2_S, groupsStart, unpackIQ2_S, products)
KERNEL_OF(21, constantsIQ3_XXS, supersIQ3_XXS, blocksStart, unpackIQ3_XXS, products)
KERNEL_OF(22, constantsIQ3_S, supersIQ3_S, blocksStart, unpackIQ3_S, products)

GLOBL kernels<>(SB), RODATA, $(40*23)

// Rows of floats. A step is 32 columns, 64 bytes of weights. Two rows go together, or the last one twice, and up to four tokens. A token
// has two sums per row, for its first and last 16 columns: Z(4i) and Z(4i+1), Z(4i+2) and Z(4i+3). Activations are copied to the frame in
// turns, a step of all tokens together, as their own rows may lie in the same few sets of the cache; those of a
// single token are taken as they lie.
//
//	DX  frame, see below       CX  steps of this turn    R15  sums at rest
//	SI, DI  weights            R10 steps to go           Z16–Z19  weights
//	R9  activations            R11 prefetch distance     Z20, Z21  activations
//	BX  128 · tokens           R12 activations of a row  K1, K2  columns of the last, incomplete step
//	R13 tokens that go together, R8 rows to go

// Its frame, from an address that 64 divides.
#define F_X       0     // 128 bytes per step and token, 192 at most
#define F_TAIL    24576 // the last, incomplete step of all tokens, filled up with zeros
#define F_SUMS    25600 // 128 bytes per row and token, 256 at most and two rows more
#define F_ROW     60416 // SI at the start of the rows
#define F_ROW2    60424 // DI
#define F_DST     60432 // result
#define F_LEFT    60440 // tokens to go
#define F_AT      60480 // 128 · tokens done
#define F_RESUMED 60448 // not the first turn
#define F_RESUMES 60456 // not the last turn
#define F_STEPS   60464 // the two functions
#define F_STEP    60472

#define LOAD_F16(from, z) VCVTPH2PS from, z
#define SOME_F16(from, mask, z) VCVTPH2PS.Z from, mask, z

#define LOAD_BF16(from, z) \
	VPMOVZXWD from, z; \
	VPSLLD    $16, z, z

#define SOME_BF16(from, mask, z) \
	VPMOVZXWD.Z from, mask, z; \
	VPSLLD      $16, z, z

#define STEP_TOKEN(at, a, b, c, d) \
	VMOVUPS     (at)(R9), Z20; \
	VMOVUPS     (at+64)(R9), Z21; \
	VFMADD231PS Z20, Z16, a; \
	VFMADD231PS Z21, Z17, b; \
	VFMADD231PS Z20, Z18, c; \
	VFMADD231PS Z21, Z19, d

#define STEP_TOKENS \
	STEP_TOKEN(0, Z0, Z1, Z2, Z3); \
	CMPQ R13, $2; \
	JLT  joined; \
	STEP_TOKEN(128, Z4, Z5, Z6, Z7); \
	JEQ  joined; \
	STEP_TOKEN(256, Z8, Z9, Z10, Z11); \
	CMPQ R13, $4; \
	JLT  joined; \
	STEP_TOKEN(384, Z12, Z13, Z14, Z15); \
joined:

// STEPS adds CX complete steps, STEP the last one that is not.
#define STEPS(LOAD) \
	MOVQ CX, R10; \
step: \
	PREFETCHT0 (SI)(R11*1); \
	PREFETCHT0 (DI)(R11*1); \
	LOAD(0(SI), Z16); \
	LOAD(32(SI), Z17); \
	LOAD(0(DI), Z18); \
	LOAD(32(DI), Z19); \
	STEP_TOKENS \
	ADDQ $64, SI; \
	ADDQ $64, DI; \
	ADDQ BX, R9; \
	DECQ R10; \
	JNE  step; \
	RET

#define STEP(LOAD) \
	LOAD(0(SI), K1, Z16); \
	LOAD(32(SI), K2, Z17); \
	LOAD(0(DI), K1, Z18); \
	LOAD(32(DI), K2, Z19); \
	STEP_TOKENS \
	RET

// STEPS1 and STEP1 do so for one row and one token, which go by in the order of memory.
#define STEPS1(LOAD) \
	MOVQ CX, R10; \
step: \
	PREFETCHT0  (SI)(R11*1); \
	LOAD(0(SI), Z16); \
	LOAD(32(SI), Z17); \
	VFMADD231PS 0(R9), Z16, Z0; \
	VFMADD231PS 64(R9), Z17, Z1; \
	ADDQ $64, SI; \
	ADDQ $128, R9; \
	DECQ R10; \
	JNE  step; \
	RET

#define STEP1(LOAD) \
	LOAD(0(SI), K1, Z16); \
	LOAD(32(SI), K2, Z17); \
	VFMADD231PS 0(R9), Z16, Z0; \
	VFMADD231PS 64(R9), Z17, Z1; \
	RET

TEXT steps1F16<>(SB), NOSPLIT, $0
	STEPS1(LOAD_F16)

TEXT step1F16<>(SB), NOSPLIT, $0
	STEP1(SOME_F16)

TEXT steps1BF16<>(SB), NOSPLIT, $0
	STEPS1(LOAD_BF16)

TEXT step1BF16<>(SB), NOSPLIT, $0
	STEP1(SOME_BF16)

TEXT stepsF16<>(SB), NOSPLIT, $0
	STEPS(LOAD_F16)

TEXT stepF16<>(SB), NOSPLIT, $0
	STEP(SOME_F16)

TEXT stepsBF16<>(SB), NOSPLIT, $0
	STEPS(LOAD_BF16)

TEXT stepBF16<>(SB), NOSPLIT, $0
	STEP(SOME_BF16)

// F_EACH does the sums of R13 tokens.
#define F_EACH(DO, end) \
	DO(0, Z0, Z1, Z2, Z3); \
	CMPQ R13, $2; \
	JLT  end; \
	DO(256, Z4, Z5, Z6, Z7); \
	JEQ  end; \
	DO(512, Z8, Z9, Z10, Z11); \
	CMPQ R13, $4; \
	JLT  end; \
	DO(768, Z12, Z13, Z14, Z15)

#define F_LOAD(at, a, b, c, d) \
	VMOVAPS (at+0)(R15), a; \
	VMOVAPS (at+64)(R15), b; \
	VMOVAPS (at+128)(R15), c; \
	VMOVAPS (at+192)(R15), d

#define F_REST(at, a, b, c, d) \
	VMOVAPS a, (at+0)(R15); \
	VMOVAPS b, (at+64)(R15); \
	VMOVAPS c, (at+128)(R15); \
	VMOVAPS d, (at+192)(R15)

// F_STORE writes the results of a row, at from DI, of R13 tokens AX floats each apart. R9 is 3·AX.
#define F_STORE(at, s, end) \
	VMOVSS     s, at(DI); \
	CMPQ       R13, $2; \
	JLT        end; \
	VEXTRACTPS $1, s, at(DI)(AX*4); \
	JEQ        end; \
	VEXTRACTPS $2, s, at(DI)(AX*8); \
	CMPQ       R13, $4; \
	JLT        end; \
	VEXTRACTPS $3, s, at(DI)(R9*4)

// func multiplyFloatRows512(c *floatRows512)
TEXT ·multiplyFloatRows512(SB), 0, $60608-8
	NO_LOCAL_POINTERS
	LEAQ frame-60608(SP), DX
	ADDQ $63, DX
	ANDQ $~63, DX
	MOVQ c+0(FP), DI

	MOVQ floatRows512_w(DI), SI
	MOVQ floatRows512_burst(DI), AX
	ADDQ SI, AX

burst:
	PREFETCHT0 (SI)
	ADDQ $64, SI
	CMPQ SI, AX
	JLT  burst

	MOVQ   $0, F_RESUMED(DX)
	MOVQ   floatRows512_n(DI), R13
	MOVQ   R13, BX
	SHLQ   $7, BX
	MOVQ   floatRows512_tail(DI), CX
	MOVL   $1, AX
	SHLL   CX, AX
	DECL   AX
	KMOVW  AX, K1
	SHRL   $16, AX
	KMOVW  AX, K2
	LEAQ   floatKernels<>(SB), AX
	CMPQ   floatRows512_bf16(DI), $0
	JEQ    f16
	ADDQ   $32, AX

f16:
	CMPQ R13, $1
	JNE  several
	ADDQ $16, AX

several:
	MOVQ 0(AX), R8
	MOVQ R8, F_STEPS(DX)
	MOVQ 8(AX), R8
	MOVQ R8, F_STEP(DX)

	// The last step.
	MOVQ floatRows512_full(DI), R9
	SHLQ $7, R9
	ADDQ floatRows512_x(DI), R9
	LEAQ F_TAIL(DX), R10
	MOVQ R13, R8

tail:
	VMOVUPS.Z 0(R9), K1, Z16
	VMOVUPS.Z 64(R9), K2, Z17
	VMOVAPS   Z16, 0(R10)
	VMOVAPS   Z17, 64(R10)
	ADDQ      floatRows512_xBytes(DI), R9
	ADDQ      $128, R10
	DECQ      R8
	JNE       tail

turn:
	MOVQ c+0(FP), DI
	MOVQ floatRows512_full(DI), CX
	XORL R8, R8
	CMPQ CX, floatRows512_depth(DI)
	JLE  fits
	MOVQ floatRows512_depth(DI), CX
	INCQ R8

fits:
	MOVQ R8, F_RESUMES(DX)
	MOVQ floatRows512_n(DI), R13
	MOVQ floatRows512_x(DI), R12
	CMPQ R13, $1
	JEQ  rows
	MOVQ R13, R8
	MOVQ DX, R15

token:
	MOVQ  R12, R9
	MOVQ  R15, R11
	MOVQ  CX, R10
	TESTQ R10, R10
	JEQ   copied

copy:
	VMOVUPS 0(R9), Z16
	VMOVUPS 64(R9), Z17
	VMOVAPS Z16, 0(R11)
	VMOVAPS Z17, 64(R11)
	ADDQ    $128, R9
	ADDQ    BX, R11
	DECQ    R10
	JNE     copy

copied:
	ADDQ floatRows512_xBytes(DI), R12
	ADDQ $128, R15
	DECQ R8
	JNE  token
	MOVQ DX, R12

rows:
	MOVQ floatRows512_w(DI), SI
	MOVQ floatRows512_rows(DI), R8
	MOVQ floatRows512_ahead(DI), R11
	MOVQ floatRows512_dst(DI), AX
	MOVQ AX, F_DST(DX)
	MOVQ SI, F_ROW(DX)
	LEAQ F_SUMS(DX), R15
	CMPQ R13, $1
	JNE  pair

row:
	MOVQ   F_ROW(DX), SI
	MOVQ   R12, R9
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	CMPQ   F_RESUMED(DX), $0
	JEQ    steps1
	VMOVAPS 0(R15), Z0
	VMOVAPS 64(R15), Z1

steps1:
	TESTQ CX, CX
	JEQ   some1
	MOVQ  F_STEPS(DX), AX
	CALL  AX

some1:
	MOVQ c+0(FP), DI
	CMPQ F_RESUMES(DX), $0
	JNE  rest1
	CMPQ floatRows512_tail(DI), $0
	JEQ  sum1
	LEAQ F_TAIL(DX), R9
	MOVQ F_STEP(DX), AX
	CALL AX

sum1:
	VADDPS Z1, Z0, Z2
	SUM4(Z2, Z2, Z2, Z2)
	MOVQ   F_DST(DX), AX
	VMOVSS X16, (AX)
	JMP    nextrow

rest1:
	VMOVAPS Z0, 0(R15)
	VMOVAPS Z1, 64(R15)

nextrow:
	ADDQ    $128, R15
	MOVQ    floatRows512_rowBytes(DI), AX
	ADDQ    AX, F_ROW(DX)
	ADDQ    $4, F_DST(DX)
	DECQ    R8
	JNE     row
	MOVQ    DI, AX
	JMP     turned

pair:
	MOVQ c+0(FP), AX
	MOVQ F_ROW(DX), DI
	CMPQ R8, $1
	JEQ  same
	ADDQ floatRows512_rowBytes(AX), DI

same:
	MOVQ DI, F_ROW2(DX)
	MOVQ floatRows512_n(AX), AX
	MOVQ AX, F_LEFT(DX)
	MOVQ $0, F_AT(DX)

tokens:
	// The next four tokens, or less.
	MOVQ F_LEFT(DX), R13
	CMPQ R13, $4
	JLE  few
	MOVQ $4, R13

few:
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
	CMPQ   F_RESUMED(DX), $0
	JNE    resume

steps:
	MOVQ  F_ROW(DX), SI
	MOVQ  F_ROW2(DX), DI
	MOVQ  F_AT(DX), R9
	ADDQ  R12, R9
	TESTQ CX, CX
	JEQ   some
	MOVQ  F_STEPS(DX), AX
	CALL  AX

some:
	CMPQ F_RESUMES(DX), $0
	JNE  rest
	MOVQ c+0(FP), AX
	CMPQ floatRows512_tail(AX), $0
	JEQ  sum
	MOVQ F_AT(DX), R9
	LEAQ F_TAIL(DX)(R9*1), R9
	MOVQ F_STEP(DX), AX
	CALL AX

sum:
	MOVQ   c+0(FP), AX
	MOVQ   floatRows512_stride(AX), AX
	MOVQ   F_DST(DX), DI
	MOVQ   F_AT(DX), R9
	SHRQ   $7, R9
	IMULQ  AX, R9
	LEAQ   (DI)(R9*4), DI
	LEAQ   (AX)(AX*2), R9
	VADDPS Z1, Z0, Z0
	VADDPS Z5, Z4, Z4
	VADDPS Z9, Z8, Z8
	VADDPS Z13, Z12, Z12
	SUM4(Z0, Z4, Z8, Z12)
	F_STORE(0, X16, second)

second:
	CMPQ   R8, $1
	JEQ    next
	VADDPS Z3, Z2, Z2
	VADDPS Z7, Z6, Z6
	VADDPS Z11, Z10, Z10
	VADDPS Z15, Z14, Z14
	SUM4(Z2, Z6, Z10, Z14)
	F_STORE(4, X16, next)

next:
	MOVQ R13, R9
	SHLQ $8, R9
	ADDQ R9, R15
	ADDQ $512, F_AT(DX)
	SUBQ R13, F_LEFT(DX)
	JNE  tokens
	MOVQ c+0(FP), AX
	MOVQ floatRows512_rowBytes(AX), R9
	SHLQ $1, R9
	ADDQ R9, F_ROW(DX)
	ADDQ $8, F_DST(DX)
	SUBQ $2, R8
	JGT  pair

turned:
	CMPQ F_RESUMES(DX), $0
	JEQ  end
	SUBQ CX, floatRows512_full(AX)
	SHLQ $6, CX
	ADDQ CX, floatRows512_w(AX)
	SHLQ $1, CX
	ADDQ CX, floatRows512_x(AX)
	MOVQ $1, F_RESUMED(DX)
	JMP  turn

resume:
	F_EACH(F_LOAD, steps)
	JMP steps

rest: // only the sums of R13 tokens: those of the next follow
	F_EACH(F_REST, next)
	JMP next

end:
	VZEROUPPER
	RET

// Functions of F16 and BF16, for several tokens and for one.
DATA floatKernels<>+0(SB)/8, $stepsF16<>(SB)
DATA floatKernels<>+8(SB)/8, $stepF16<>(SB)
DATA floatKernels<>+16(SB)/8, $steps1F16<>(SB)
DATA floatKernels<>+24(SB)/8, $step1F16<>(SB)
DATA floatKernels<>+32(SB)/8, $stepsBF16<>(SB)
DATA floatKernels<>+40(SB)/8, $stepBF16<>(SB)
DATA floatKernels<>+48(SB)/8, $steps1BF16<>(SB)
DATA floatKernels<>+56(SB)/8, $step1BF16<>(SB)
GLOBL floatKernels<>(SB), RODATA, $64
