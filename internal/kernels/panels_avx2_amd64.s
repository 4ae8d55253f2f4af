#include "funcdata.h"
#include "textflag.h"
#include "panels_amd64.h"

// Panels at avx2: many tokens times 16 rows of weights that are floats, or 32 rows of others, as bytes or words.
//
// FLOATS. Weights and activations as they are, one fused multiply-add each.
//
//	panel, per column:        [16 rows] floats
//	tokens, per 256 columns:  [token][256] floats
//
// Sums are taken over 256 columns, in their order, and added to dst. That order is the same in every tile, so a product's bits depend
// on nothing but its row and its token. A tile is 16 rows × up to 6 tokens. What 256 columns of a panel take, 16 KB, stays in L1
// while all tokens pass.
//
//	AX weights, BX tokens, CX columns     Y0–Y5, Y6–Y11 sums of rows 0–7, 8–15, one per token
//	Y12 Y13 weights, Y14 the token's activation

#define XFLOATS 1024

// FETCH has LINES of each row brought into the cache, 512 bytes further than the block at hand, or, past the end of a row, as much
// further in the row 8 below: the one that its lane packs next.
#define FETCH(LINES) \
	MOVQ    rowBytes+24(FP), R10 \
	LEAQ    512(R13), R9         \
	IMUL3Q  $7, R10, R11        \
	XORL    R8, R8               \
	CMPQ    R9, R10              \
	CMOVQGE R11, R8              \
	ADDQ    R8, R9               \
	FETCHROW(0, LINES) \
	FETCHROW(1, LINES) \
	FETCHROW(2, LINES) \
	FETCHROW(3, LINES) \
	FETCHROW(4, LINES) \
	FETCHROW(5, LINES) \
	FETCHROW(6, LINES) \
	FETCHROW(7, LINES)

#define FETCHROW(r, LINES) \
	MOVQ (8*r)(R12), R8 \
	LINES

#define TWOLINES \
	PREFETCHT0 (R8)(R9*1)   \
	PREFETCHT0 64(R8)(R9*1)

// FETCHSOMETIMES does that when the bits of the mask are 0 in a counter.
#define FETCHSOMETIMES(mask, R, LINES, skip) \
	TESTQ $mask, R  \
	JNE   skip      \
	FETCH(LINES)    \
skip:

// The arguments of packing, before the first function: vet takes them for arguments of the function above.
#define FPACKARGS \
	MOVQ  dst+0(FP), DI      \
	MOVQ  rows+8(FP), R12    \
	MOVQ  blocks+16(FP), CX  \
	XORL  R13, R13

// PACKARGS also has DX point to a mask of the rows that exist.
#define PACKARGS(EXIST) \
	FPACKARGS                        \
	MOVL    EXIST, AX         \
	POPCNTL AX, AX                   \
	NEGQ    AX                       \
	LEAQ    rowMasks<>+128(SB), DX   \
	LEAQ    (DX)(AX*4), DX

// Those of the products. R12 is 0 if all 32 rows exist, else it points to a mask of those that do.
#define ROWARGS \
	MOVQ     dst+0(FP), DX       \
	MOVQ     stride+8(FP), SI    \
	MOVQ     w+16(FP), R8        \
	MOVQ     x+24(FP), R9        \
	MOVQ     n+32(FP), R10       \
	MOVQ     blocks+40(FP), R11  \
	MOVL     exist+48(FP), R12   \
	MOVL     add+52(FP), DI      \
	POPCNTL  R12, R12            \
	SHLQ     $2, SI              \
	VPCMPEQD Y11, Y11, Y11       \
	VPSRLW   $15, Y11, Y11       \
	LEAQ     rowMasks<>(SB), BX  \
	NEGQ     R12                 \
	LEAQ     128(BX)(R12*4), R12 \
	CMPQ     R12, BX             \
	JNE      token               \
	XORL     R12, R12

#define FDOT(t, d, F, G) \
	VBROADCASTSS (XFLOATS*t+4*d)(BX), Y14 \
	VFMADD231PS  Y14, Y12, F              \
	VFMADD231PS  Y14, Y13, G

#define FWEIGHTS(d) \
	VMOVUPS (64*d)(AX), Y12    \
	VMOVUPS (64*d+32)(AX), Y13

#define FDOT1(d) FWEIGHTS(d) FDOT(0, d, Y0, Y6)
#define FDOT2(d) FDOT1(d) FDOT(1, d, Y1, Y7)
#define FDOT3(d) FDOT2(d) FDOT(2, d, Y2, Y8)
#define FDOT4(d) FDOT3(d) FDOT(3, d, Y3, Y9)
#define FDOT5(d) FDOT4(d) FDOT(4, d, Y4, Y10)
#define FDOT6(d) FDOT5(d) FDOT(5, d, Y5, Y11)

#define ZERO(F, G) \
	VXORPS F, F, F \
	VXORPS G, G, G

#define ZERO1 ZERO(Y0, Y6)
#define ZERO2 ZERO1 ZERO(Y1, Y7)
#define ZERO3 ZERO2 ZERO(Y2, Y8)
#define ZERO4 ZERO3 ZERO(Y3, Y9)
#define ZERO5 ZERO4 ZERO(Y4, Y10)
#define ZERO6 ZERO5 ZERO(Y5, Y11)

// The masks at R12 are the rows that exist, those at R13 the same or, where dst does not count yet, none. Storing under a mask is slow on
// some machines, so it is for the last rows of a matrix only, where R12 is not 0.
#define SUM(F, G) \
	VMASKMOVPS (DX), Y12, Y14   \
	VMASKMOVPS 32(DX), Y13, Y15 \
	VADDPS     Y14, F, F        \
	VADDPS     Y15, G, G

#define OUT(F, G) \
	SUM(F, G)            \
	VMOVUPS   F, (DX)    \
	VMOVUPS   G, 32(DX)  \
	ADDQ      SI, DX

#define OUTPART(F, G) \
	SUM(F, G)              \
	VMOVUPS    (R12), Y14  \
	VMOVUPS    32(R12), Y15 \
	VMASKMOVPS F, Y14, (DX) \
	VMASKMOVPS G, Y15, 32(DX) \
	ADDQ       SI, DX

#define OUT1(OUT) OUT(Y0, Y6)
#define OUT2(OUT) OUT1(OUT) OUT(Y1, Y7)
#define OUT3(OUT) OUT2(OUT) OUT(Y2, Y8)
#define OUT4(OUT) OUT3(OUT) OUT(Y3, Y9)
#define OUT5(OUT) OUT4(OUT) OUT(Y4, Y10)
#define OUT6(OUT) OUT5(OUT) OUT(Y5, Y11)

// OUTS ends a tile of T tokens of XB bytes each.
#define OUTS(T, XB, OUTT, part) \
	VMOVUPS (R13), Y12   \
	VMOVUPS 32(R13), Y13 \
	ADDQ    $(XB*T), R9  \
	SUBQ    $T, R10      \
	TESTQ   R12, R12     \
	JNE     part         \
	OUTT(OUT)            \
	JMP     next         \
part:                    \
	OUTT(OUTPART)        \
	JMP     next

// AHEAD fetches what OUT will need of dst.
#define AHEAD \
	LEAQ       (DX)(SI*2), AX \
	ADDQ       SI, AX         \
	PREFETCHT0 (DX)           \
	PREFETCHT0 (DX)(SI*1)     \
	PREFETCHT0 (DX)(SI*2)     \
	PREFETCHT0 (AX)           \
	PREFETCHT0 (AX)(SI*1)     \
	PREFETCHT0 (AX)(SI*2)

#define FTILE(T, ZEROS, DOTS, OUTT, loop, rest, out, part) \
	ZEROS              \
	AHEAD              \
	MOVQ R8, AX        \
	MOVQ R9, BX        \
	MOVQ R11, CX       \
	SUBQ $4, CX        \
	JLT  rest          \
loop:                  \
	DOTS(0)            \
	DOTS(1)            \
	DOTS(2)            \
	DOTS(3)            \
	ADDQ $256, AX      \
	ADDQ $16, BX       \
	SUBQ $4, CX        \
	JGE  loop          \
rest:                  \
	ADDQ $4, CX        \
	JEQ  out           \
	DOTS(0)            \
	ADDQ $64, AX       \
	ADDQ $4, BX        \
	SUBQ $5, CX        \
	JMP  rest          \
out:                   \
	OUTS(T, XFLOATS, OUTT, part)

// PANELARGS also sets up the masks: -1 for the rows that exist, then 0.
#define PANELARGS \
	MOVQ    dst+0(FP), DX       \
	MOVQ    stride+8(FP), SI    \
	MOVQ    w+16(FP), R8        \
	MOVQ    x+24(FP), R9        \
	MOVQ    n+32(FP), R10       \
	MOVL    exist+48(FP), R12   \
	MOVL    add+52(FP), R13     \
	POPCNTL R12, R12            \
	POPCNTL R13, R13            \
	SHLQ    $2, SI              \
	LEAQ    rowMasks<>(SB), BX  \
	NEGQ    R13                 \
	LEAQ    128(BX)(R13*4), R13  \
	CMPQ    R12, $16            \
	JEQ     whole               \
	NEGQ    R12                 \
	LEAQ    128(BX)(R12*4), R12  \
	JMP     next                \
whole:                          \
	XORL    R12, R12

DATA rowMasks<>+0(SB)/8, $-1
DATA rowMasks<>+8(SB)/8, $-1
DATA rowMasks<>+16(SB)/8, $-1
DATA rowMasks<>+24(SB)/8, $-1
DATA rowMasks<>+32(SB)/8, $-1
DATA rowMasks<>+40(SB)/8, $-1
DATA rowMasks<>+48(SB)/8, $-1
DATA rowMasks<>+56(SB)/8, $-1
DATA rowMasks<>+64(SB)/8, $-1
DATA rowMasks<>+72(SB)/8, $-1
DATA rowMasks<>+80(SB)/8, $-1
DATA rowMasks<>+88(SB)/8, $-1
DATA rowMasks<>+96(SB)/8, $-1
DATA rowMasks<>+104(SB)/8, $-1
DATA rowMasks<>+112(SB)/8, $-1
DATA rowMasks<>+120(SB)/8, $-1
DATA rowMasks<>+128(SB)/8, $0
DATA rowMasks<>+136(SB)/8, $0
DATA rowMasks<>+144(SB)/8, $0
DATA rowMasks<>+152(SB)/8, $0
DATA rowMasks<>+160(SB)/8, $0
DATA rowMasks<>+168(SB)/8, $0
DATA rowMasks<>+176(SB)/8, $0
DATA rowMasks<>+184(SB)/8, $0
DATA rowMasks<>+192(SB)/8, $0
DATA rowMasks<>+200(SB)/8, $0
DATA rowMasks<>+208(SB)/8, $0
DATA rowMasks<>+216(SB)/8, $0
DATA rowMasks<>+224(SB)/8, $0
DATA rowMasks<>+232(SB)/8, $0
DATA rowMasks<>+240(SB)/8, $0
DATA rowMasks<>+248(SB)/8, $0
GLOBL rowMasks<>(SB), RODATA, $256

// func panelFloatsAVX2(dst *float32, stride int, w, x *byte, n, cols int, exist, add uint32)
TEXT ·panelFloatsAVX2(SB), NOSPLIT, $0-56
	MOVQ cols+40(FP), R11
	PANELARGS

next:
	NEXT

six:
	FTILE(6, ZERO6, FDOT6, OUT6, loop6, rest6, out6, part6)

five:
	FTILE(5, ZERO5, FDOT5, OUT5, loop5, rest5, out5, part5)

four:
	FTILE(4, ZERO4, FDOT4, OUT4, loop4, rest4, out4, part4)

three:
	FTILE(3, ZERO3, FDOT3, OUT3, loop3, rest3, out3, part3)

two:
	FTILE(2, ZERO2, FDOT2, OUT2, loop2, rest2, out2, part2)

one:
	FTILE(1, ZERO1, FDOT1, OUT1, loop1, rest1, out1, part1)

// PACKING. A call packs 8 rows, the lanes of a vector. R12 is a table of pointers to rows, R13 the offset of the block at hand in each of
// them, DI where it goes, CX how many blocks are left. Four bytes of each of 8 rows in a register are called a quad.

// TWO loads 16 bytes at offset o of rows r and r+4.
#define TWO(r, o, X, Y) \
	MOVQ        (8*r)(R12), R8         \
	MOVQ        (8*r+32)(R12), R9      \
	VMOVDQU     o(R8)(R13*1), X        \
	VINSERTI128 $1, o(R9)(R13*1), Y, Y

#define TRANSPOSE(A, B, C, D, T0, T1, T2, T3) \
	VPUNPCKLDQ  B, A, T0   \
	VPUNPCKHDQ  B, A, T1   \
	VPUNPCKLDQ  D, C, T2   \
	VPUNPCKHDQ  D, C, T3   \
	VPUNPCKLQDQ T2, T0, A  \
	VPUNPCKHQDQ T2, T0, B  \
	VPUNPCKLQDQ T3, T1, C  \
	VPUNPCKHQDQ T3, T1, D

// QUADS loads 16 bytes at offset o of each row as four quads; Y8 to Y11 are overwritten.
#define QUADS(o, X0, A, X1, B, X2, C, X3, D) \
	TWO(0, o, X0, A) \
	TWO(1, o, X1, B) \
	TWO(2, o, X2, C) \
	TWO(3, o, X3, D) \
	TRANSPOSE(A, B, C, D, Y8, Y9, Y10, Y11)

// func packF32AVX2(dst *byte, rows *[8]*byte, blocks int)
//
// Blocks of four columns: quads are columns.
TEXT ·packF32AVX2(SB), NOSPLIT, $0-24
	FPACKARGS
	TESTQ CX, CX
	JLE   done

loop:
	QUADS(0, X0, Y0, X1, Y1, X2, Y2, X3, Y3)
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 64(DI)
	VMOVUPS Y2, 128(DI)
	VMOVUPS Y3, 192(DI)
	ADDQ    $256, DI
	ADDQ    $16, R13
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

// A quad of BF16 is two columns.
#define PAIRBF16(k, A) \
	VPSLLD  $16, A, Y8       \
	VPAND   Y15, A, A        \
	VMOVUPS Y8, (64*k)(DI)   \
	VMOVUPS A, (64*k+64)(DI)

// func packBF16AVX2(dst *byte, rows *[8]*byte, blocks int)
//
// Blocks of eight columns.
TEXT ·packBF16AVX2(SB), NOSPLIT, $0-24
	FPACKARGS
	VPCMPEQD Y15, Y15, Y15
	VPSLLD   $16, Y15, Y15
	TESTQ    CX, CX
	JLE      done

loop:
	QUADS(0, X0, Y0, X1, Y1, X2, Y2, X3, Y3)
	PAIRBF16(0, Y0)
	PAIRBF16(2, Y1)
	PAIRBF16(4, Y2)
	PAIRBF16(6, Y3)
	ADDQ $512, DI
	ADDQ $16, R13
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

// A quad of F16 is two columns; Y15 moves the first ones of each half of a register to its front.
#define PAIRF16(k, A) \
	VPSHUFB   Y15, A, Y8       \
	VPERMQ    $0xD8, Y8, Y8    \
	VEXTRACTI128 $1, Y8, X9    \
	VCVTPH2PS X8, Y8           \
	VCVTPH2PS X9, Y9           \
	VMOVUPS   Y8, (64*k)(DI)   \
	VMOVUPS   Y9, (64*k+64)(DI)

DATA apart<>+0(SB)/8, $0x0D0C090805040100
DATA apart<>+8(SB)/8, $0x0F0E0B0A07060302
GLOBL apart<>(SB), RODATA, $16

// func packF16AVX2(dst *byte, rows *[8]*byte, blocks int)
//
// Blocks of eight columns.
TEXT ·packF16AVX2(SB), NOSPLIT, $0-24
	FPACKARGS
	VBROADCASTI128 apart<>(SB), Y15
	TESTQ CX, CX
	JLE   done

loop:
	QUADS(0, X0, Y0, X1, Y1, X2, Y2, X3, Y3)
	PAIRF16(0, Y0)
	PAIRF16(2, Y1)
	PAIRF16(4, Y2)
	PAIRF16(6, Y3)
	ADDQ $512, DI
	ADDQ $16, R13
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

// BYTES and WORDS. Weights of up to 5 bits are multiplied as bytes: VPMADDUBSW adds two products in 16 bits, and there is room for a few of
// them, so that most additions are of 16 sums each. Activations are the unsigned operand, 8 bits + 128; the weights, −16 to 15, are the
// signed one. Sums of 8 products are at most 8·255·16 = 32640; of weights from −8 to 7, sums of 16 are. What the 128 adds is taken off by a
// correction that is the row's. A weight is scale · byte + offset; the offset is multiplied with the sum of the token's activations.
//
//	panel, per 32 columns:   8 × [32 rows][4 columns] bytes, [32] int32 −128·Σ, [32] float scales, [32] float offsets    1408 bytes
//	tokens, per 512 columns: [token] of 512 bytes, 16 float scales, 16 floats scale·Σ                                     640 bytes
//
// Weights of more bits are multiplied as words, −4096 to 4095, with activations from −16383 to 16383: VPMADDWD adds two products in 32
// bits, and 32 products stay below 2³¹.
//
//	panel, per 32 columns:   16 × [32 rows][2 columns] words, [32] float scales                                          2176 bytes
//	tokens, per 256 columns: [token] of 256 words, 8 float scales                                                         544 bytes
//
// A tile is 32 rows and one token, whose activations are repeated in registers while the weights come from L1 as memory operands.
// Sums are taken in float over a part of 512 or 256 columns and added to dst.
//
//	AX weights, BX activations, R13 their scales, CX blocks that are left; DX dst, R8 the panel, R9 the token
//	Y0–Y7 activations, Y8–Y10 sums, Y11 ones, Y12–Y15 float sums of 8 rows each

#define BBLOCK 1408
#define BTOKEN 640
#define WBLOCK 2176
#define WTOKEN 544

#define ACTIVATIONS \
	VPBROADCASTD (BX), Y0   \
	VPBROADCASTD 4(BX), Y1  \
	VPBROADCASTD 8(BX), Y2  \
	VPBROADCASTD 12(BX), Y3 \
	VPBROADCASTD 16(BX), Y4 \
	VPBROADCASTD 20(BX), Y5 \
	VPBROADCASTD 24(BX), Y6 \
	VPBROADCASTD 28(BX), Y7

#define ADDPAIRS(v, k, X, S) \
	VPMADDUBSW (128*k+32*v)(AX), X, Y9 \
	VPADDW     Y9, S, S

// The sums of 8 rows from 8v on, in Y8, of weights of 4 bits: 16 products per sum of 16 bits.
#define FOURBITS(v) \
	VPMADDUBSW (32*v)(AX), Y0, Y8 \
	ADDPAIRS(v, 1, Y1, Y8)        \
	ADDPAIRS(v, 2, Y2, Y8)        \
	ADDPAIRS(v, 3, Y3, Y8)        \
	ADDPAIRS(v, 4, Y4, Y8)        \
	ADDPAIRS(v, 5, Y5, Y8)        \
	ADDPAIRS(v, 6, Y6, Y8)        \
	ADDPAIRS(v, 7, Y7, Y8)        \
	VPMADDWD   Y11, Y8, Y8

// The same of weights of 5 bits: 8 products per sum of 16 bits. Y10 is the second sum, then the token's scale again.
#define FIVEBITS(v) \
	VPMADDUBSW   (32*v)(AX), Y0, Y8      \
	VPMADDUBSW   (512+32*v)(AX), Y4, Y10 \
	ADDPAIRS(v, 1, Y1, Y8)               \
	ADDPAIRS(v, 5, Y5, Y10)              \
	ADDPAIRS(v, 2, Y2, Y8)               \
	ADDPAIRS(v, 6, Y6, Y10)              \
	ADDPAIRS(v, 3, Y3, Y8)               \
	ADDPAIRS(v, 7, Y7, Y10)              \
	VPMADDWD     Y11, Y8, Y8             \
	VPMADDWD     Y11, Y10, Y10           \
	VPADDD       Y10, Y8, Y8             \
	VBROADCASTSS (R13), Y10

// SCALED adds the integers of Y8 to F, times both scales.
#define SCALED(v, F) \
	VPADDD       (1024+32*v)(AX), Y8, Y8  \
	VCVTDQ2PS    Y8, Y8                   \
	VMULPS       (1152+32*v)(AX), Y10, Y9 \
	VFMADD231PS  Y9, Y8, F

#define ALLFOURBITS \
	FOURBITS(0) SCALED(0, Y12) \
	FOURBITS(1) SCALED(1, Y13) \
	FOURBITS(2) SCALED(2, Y14) \
	FOURBITS(3) SCALED(3, Y15)

#define ALLFIVEBITS \
	FIVEBITS(0) SCALED(0, Y12) \
	FIVEBITS(1) SCALED(1, Y13) \
	FIVEBITS(2) SCALED(2, Y14) \
	FIVEBITS(3) SCALED(3, Y15)

// OFFSETS adds the offsets, times the sum of the token's block.
#define OFFSETS \
	VBROADCASTSS 64(R13), Y10         \
	VFMADD231PS  1280(AX), Y10, Y12   \
	VFMADD231PS  1312(AX), Y10, Y13   \
	VFMADD231PS  1344(AX), Y10, Y14   \
	VFMADD231PS  1376(AX), Y10, Y15

#define NONE

#define TOKENROWS(PRODUCTS, OFFSETSUM, token, loop) \
token:                     \
	VXORPS Y12, Y12, Y12   \
	VXORPS Y13, Y13, Y13   \
	VXORPS Y14, Y14, Y14   \
	VXORPS Y15, Y15, Y15   \
	PREFETCHT0 (DX)        \
	PREFETCHT0 64(DX)      \
	MOVQ R8, AX            \
	MOVQ R9, BX            \
	LEAQ 512(R9), R13      \
	MOVQ R11, CX           \
loop:                      \
	ACTIVATIONS            \
	OFFSETSUM              \
	VBROADCASTSS (R13), Y10 \
	PRODUCTS               \
	ADDQ $BBLOCK, AX       \
	ADDQ $32, BX           \
	ADDQ $4, R13           \
	DECQ CX                \
	JNZ  loop              \
	ADDQ $BTOKEN, R9       \
	OUTROWS

// OUTROWS adds the sums to dst, or sets it where there is nothing yet (DI is 0), goes on to the next token or returns. The masks at R12
// are the rows that exist, or R12 is 0 if all do: storing under a mask is slow on some machines.
#define OUTROWS \
	TESTQ R12, R12             \
	JNE   some                 \
	TESTQ DI, DI               \
	JEQ   set                  \
	VADDPS (DX), Y12, Y12      \
	VADDPS 32(DX), Y13, Y13    \
	VADDPS 64(DX), Y14, Y14    \
	VADDPS 96(DX), Y15, Y15    \
set:                           \
	VMOVUPS Y12, (DX)          \
	VMOVUPS Y13, 32(DX)        \
	VMOVUPS Y14, 64(DX)        \
	VMOVUPS Y15, 96(DX)        \
	ADDQ  SI, DX               \
	DECQ  R10                  \
	JNZ   token                \
	VZEROUPPER                 \
	RET                        \
some:                          \
	VMOVUPS (R12), Y0          \
	VMOVUPS 32(R12), Y1        \
	VMOVUPS 64(R12), Y2        \
	VMOVUPS 96(R12), Y3        \
	TESTQ DI, DI               \
	JEQ   setsome              \
	VMASKMOVPS (DX), Y0, Y4    \
	VMASKMOVPS 32(DX), Y1, Y5  \
	VMASKMOVPS 64(DX), Y2, Y6  \
	VMASKMOVPS 96(DX), Y3, Y7  \
	VADDPS Y4, Y12, Y12        \
	VADDPS Y5, Y13, Y13        \
	VADDPS Y6, Y14, Y14        \
	VADDPS Y7, Y15, Y15        \
setsome:                       \
	VMASKMOVPS Y12, Y0, (DX)   \
	VMASKMOVPS Y13, Y1, 32(DX) \
	VMASKMOVPS Y14, Y2, 64(DX) \
	VMASKMOVPS Y15, Y3, 96(DX) \
	ADDQ  SI, DX               \
	DECQ  R10                  \
	JNZ   token                \
	VZEROUPPER                 \
	RET

// func panelFourBitsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelFourBitsAVX2(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENROWS(ALLFOURBITS, NONE, token, loop)

// func panelFourBitsOffsetAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelFourBitsOffsetAVX2(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENROWS(ALLFOURBITS, OFFSETS, token, loop)

// func panelFiveBitsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelFiveBitsAVX2(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENROWS(ALLFIVEBITS, NONE, token, loop)

// func panelFiveBitsOffsetAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelFiveBitsOffsetAVX2(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENROWS(ALLFIVEBITS, OFFSETS, token, loop)

// Four pairs of columns, k to k+3, whose activations are in Y0 to Y3: the first of rows 8v, into or onto S, and the others.
#define WORDPAIR(v, k, X, S) \
	VPMADDWD (128*k+32*v)(AX), X, Y4 \
	VPADDD   Y4, S, S

#define WORDACTIVATIONS(k) \
	VPBROADCASTD (4*k)(BX), Y0    \
	VPBROADCASTD (4*k+4)(BX), Y1  \
	VPBROADCASTD (4*k+8)(BX), Y2  \
	VPBROADCASTD (4*k+12)(BX), Y3

#define WORDS(v, k, S) \
	WORDPAIR(v, (k), Y0, S)   \
	WORDPAIR(v, (k+1), Y1, S) \
	WORDPAIR(v, (k+2), Y2, S) \
	WORDPAIR(v, (k+3), Y3, S)

#define FIRSTWORDS(v, S) \
	VPMADDWD (32*v)(AX), Y0, S \
	WORDPAIR(v, 1, Y1, S)      \
	WORDPAIR(v, 2, Y2, S)      \
	WORDPAIR(v, 3, Y3, S)

#define ALLWORDS(k) \
	WORDACTIVATIONS(k) \
	WORDS(0, k, Y8)    \
	WORDS(1, k, Y9)    \
	WORDS(2, k, Y10)   \
	WORDS(3, k, Y11)

#define SCALEDWORDS(v, S, F) \
	VMULPS      (2048+32*v)(AX), Y0, Y1 \
	VCVTDQ2PS   S, S                    \
	VFMADD231PS Y1, S, F

#define WORDSAVX2 \
	WORDACTIVATIONS(0)   \
	FIRSTWORDS(0, Y8)    \
	FIRSTWORDS(1, Y9)    \
	FIRSTWORDS(2, Y10)   \
	FIRSTWORDS(3, Y11)   \
	ALLWORDS(4)          \
	ALLWORDS(8)          \
	ALLWORDS(12)

#define TOKENWORDS(PRODUCTS, token, loop) \
token:                      \
	VXORPS Y12, Y12, Y12    \
	VXORPS Y13, Y13, Y13    \
	VXORPS Y14, Y14, Y14    \
	VXORPS Y15, Y15, Y15    \
	PREFETCHT0 (DX)         \
	PREFETCHT0 64(DX)       \
	MOVQ R8, AX             \
	MOVQ R9, BX             \
	LEAQ 512(R9), R13       \
	MOVQ R11, CX            \
loop:                       \
	PRODUCTS                \
	VBROADCASTSS (R13), Y0  \
	SCALEDWORDS(0, Y8, Y12) \
	SCALEDWORDS(1, Y9, Y13) \
	SCALEDWORDS(2, Y10, Y14) \
	SCALEDWORDS(3, Y11, Y15) \
	ADDQ $WBLOCK, AX        \
	ADDQ $64, BX            \
	ADDQ $4, R13            \
	DECQ CX                 \
	JNZ  loop               \
	ADDQ $WTOKEN, R9        \
	OUTROWS

// func panelWordsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
//
// Y0–Y3 activations, Y4 products, Y8–Y11 integer sums.
TEXT ·panelWordsAVX2(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENWORDS(WORDSAVX2, token, loop)

// With AVX-VNNI, VPDPBUSD and VPDPWSSD multiply and add at once, to the same sums. The assembler knows their EVEX forms only. MEMDOT is
// the VEX form with the opcode op: Yx times the memory at o(AX), added to Ys. A sum waits a few cycles for the one before it, so
// that several take turns.
#define MEMDOT(op, o, x, s) \
	BYTE $0xC4                      \
	BYTE $(0x62 + 128*(1-(s)/8))    \
	BYTE $(0x7D - 8*(x))            \
	BYTE $op                        \
	BYTE $(0x80 + 8*((s)-(s)/8*8))  \
	LONG $(o)

// Columns 4k to 4k+3 of rows 8v to 8v+15.
#define TWODOTS(v, k) \
	MEMDOT(0x50, 128*k+32*v, k, 8)    \
	MEMDOT(0x50, 128*k+32*v+32, k, 9)

#define SCALEDVNNI(v, S, F) \
	VPADDD       (1024+32*v)(AX), S, S     \
	VCVTDQ2PS    S, S                      \
	VMULPS       (1152+32*v)(AX), Y10, Y11 \
	VFMADD231PS  Y11, S, F

#define SIXTEENROWS(v, F, G) \
	VPXOR Y8, Y8, Y8      \
	VPXOR Y9, Y9, Y9      \
	TWODOTS(v, 0)         \
	TWODOTS(v, 1)         \
	TWODOTS(v, 2)         \
	TWODOTS(v, 3)         \
	TWODOTS(v, 4)         \
	TWODOTS(v, 5)         \
	TWODOTS(v, 6)         \
	TWODOTS(v, 7)         \
	SCALEDVNNI(v, Y8, F)  \
	SCALEDVNNI((v+1), Y9, G)

#define ANYBITS \
	SIXTEENROWS(0, Y12, Y13) \
	SIXTEENROWS(2, Y14, Y15)

// func panelBytesVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelBytesVNNI(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENROWS(ANYBITS, NONE, token, loop)

// func panelBytesOffsetVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelBytesOffsetVNNI(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENROWS(ANYBITS, OFFSETS, token, loop)

// Columns 2k and 2k+1 of all rows, activations in Yx, sums in Ys to Ys+3.
#define FOURDOTS(k, x, s) \
	MEMDOT(0x52, 128*(k), x, s)         \
	MEMDOT(0x52, 128*(k)+32, x, (s+1))  \
	MEMDOT(0x52, 128*(k)+64, x, (s+2))  \
	MEMDOT(0x52, 128*(k)+96, x, (s+3))

#define WORDDOTS(k, s) \
	WORDACTIVATIONS(k)    \
	FOURDOTS(k, 0, s)     \
	FOURDOTS(k+1, 1, s)   \
	FOURDOTS(k+2, 2, s)   \
	FOURDOTS(k+3, 3, s)

#define WORDSVNNI \
	VPXOR  Y4, Y4, Y4    \
	VPXOR  Y5, Y5, Y5    \
	VPXOR  Y6, Y6, Y6    \
	VPXOR  Y7, Y7, Y7    \
	VPXOR  Y8, Y8, Y8    \
	VPXOR  Y9, Y9, Y9    \
	VPXOR  Y10, Y10, Y10 \
	VPXOR  Y11, Y11, Y11 \
	WORDDOTS(0, 8)       \
	WORDDOTS(4, 4)       \
	WORDDOTS(8, 8)       \
	WORDDOTS(12, 4)      \
	VPADDD Y4, Y8, Y8    \
	VPADDD Y5, Y9, Y9    \
	VPADDD Y6, Y10, Y10  \
	VPADDD Y7, Y11, Y11

// func panelWordsVNNI(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelWordsVNNI(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENWORDS(WORDSVNNI, token, loop)

// Packing bytes and words. Of a block's 32 rows a call packs 8, as above; the lanes of vectors are rows.

// FIRST loads the first four bytes at offset o of each row into Y0, SECOND the four bytes after them into Y1.
#define FIRST(o) \
	TWO(0, o, X0, Y0)      \
	TWO(1, o, X1, Y1)      \
	TWO(2, o, X2, Y2)      \
	TWO(3, o, X3, Y3)      \
	VPUNPCKLDQ  Y1, Y0, Y8 \
	VPUNPCKLDQ  Y3, Y2, Y9 \
	VPUNPCKLQDQ Y9, Y8, Y0

#define SECOND \
	VPUNPCKHQDQ Y9, Y8, Y1

// HALF converts the lower halves of the lanes of Y to float.
#define HALF(Y, X) \
	VPSLLD    $16, Y, Y    \
	VPSRLD    $16, Y, Y    \
	VPACKUSDW Y, Y, Y      \
	VPERMQ    $0x08, Y, Y  \
	VCVTPH2PS X, Y

// LOW and HIGH look up nibbles of quad A in the table Y14, store them as quad k and add them to Y12, two in 16 bits. Y13 is ones, Y15 15.
#define LOW(A, k) \
	VPAND      Y15, A, Y8    \
	VPSHUFB    Y8, Y14, Y8   \
	VMOVDQU    Y8, (128*k)(DI) \
	VPMADDUBSW Y8, Y13, Y8   \
	VPADDW     Y8, Y12, Y12

#define HIGH(A, k) \
	VPSRLD     $4, A, Y8     \
	VPAND      Y15, Y8, Y8   \
	VPSHUFB    Y8, Y14, Y8   \
	VMOVDQU    Y8, (128*k)(DI) \
	VPMADDUBSW Y8, Y13, Y8   \
	VPADDW     Y8, Y12, Y12

// CORRECTION stores −128 times the sums of Y12 and clears them.
#define CORRECTION \
	VPMADDWD wordOnes<>(SB), Y12, Y12 \
	VPSLLD   $7, Y12, Y12     \
	VPXOR    Y8, Y8, Y8       \
	VPSUBD   Y12, Y8, Y8      \
	VMOVDQU  Y8, 1024(DI)     \
	VPXOR    Y12, Y12, Y12

#define REPEAT(name, value) \
DATA name<>+0(SB)/8, $value  \
DATA name<>+8(SB)/8, $value  \
DATA name<>+16(SB)/8, $value \
DATA name<>+24(SB)/8, $value \
GLOBL name<>(SB), RODATA, $32

REPEAT(wordOnes, 0x0001000100010001)
REPEAT(byteOnes, 0x0101010101010101)
REPEAT(nibbles, 0x0F0F0F0F0F0F0F0F)

#define NIBBLEARGS \
	PACKARGS(exist+32(FP))                         \
	MOVQ           table+40(FP), AX  \
	VBROADCASTI128 (AX), Y14         \
	VMOVDQU        byteOnes<>(SB), Y13 \
	VMOVDQU        nibbles<>(SB), Y15  \
	VPXOR          Y12, Y12, Y12

#define NIBBLES \
	LOW(Y4, 0)  \
	LOW(Y5, 1)  \
	LOW(Y6, 2)  \
	LOW(Y7, 3)  \
	HIGH(Y4, 4) \
	HIGH(Y5, 5) \
	HIGH(Y6, 6) \
	HIGH(Y7, 7)

// func packQ4_0AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// A half, then 16 bytes of nibbles.
TEXT ·packQ4_0AVX2(SB), NOSPLIT, $0-48
	NIBBLEARGS
	TESTQ CX, CX
	JLE   done

loop:
	FETCHSOMETIMES(3, CX, TWOLINES, near)
	FIRST(0)
	QUADS(2, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	HALF(Y0, X0)
	VANDPS  (DX), Y0, Y0
	VMOVUPS Y0, 1152(DI)
	NIBBLES
	CORRECTION
	ADDQ    $BBLOCK, DI
	ADDQ    $18, R13
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

REPEAT(intOnes, 0x0000000100000001)
REPEAT(tiny, 0x0020000000200000)

// func packMXFP4AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// A byte e that stands for 2^(e−128), of which the two smallest are subnormal, then 16 bytes of nibbles.
TEXT ·packMXFP4AVX2(SB), NOSPLIT, $0-48
	NIBBLEARGS
	TESTQ CX, CX
	JLE   done

loop:
	FETCHSOMETIMES(3, CX, TWOLINES, near)
	FIRST(0)
	QUADS(1, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	VPSLLD    $24, Y0, Y0
	VPSRLD    $24, Y0, Y0
	VMOVDQU   tiny<>(SB), Y1
	VPSLLVD   Y0, Y1, Y1
	VMOVDQU   intOnes<>(SB), Y2
	VPCMPGTD  Y2, Y0, Y3        // e > 1
	VPSUBD    Y2, Y0, Y0
	VPSLLD    $23, Y0, Y0
	VBLENDVPS Y3, Y0, Y1, Y0
	VANDPS    (DX), Y0, Y0
	VMOVUPS   Y0, 1152(DI)
	NIBBLES
	CORRECTION
	ADDQ      $BBLOCK, DI
	ADDQ      $17, R13
	DECQ      CX
	JNZ       loop

done:
	VZEROUPPER
	RET

// FIVE completes quads k and k+1, A and B, with byte k/2 of Y0, the fifth bits: weight = nibble − 16, or nibble. Y1 finds that byte.
#define FIVE(k, A, B) \
	VPSHUFB    Y1, Y0, Y8             \
	VPADDB     Y13, Y1, Y1            \
	VPAND      lowBits<>(SB), Y8, Y9  \
	VPAND      highBits<>(SB), Y8, Y8 \
	VPCMPEQB   lowBits<>(SB), Y9, Y9  \
	VPCMPEQB   highBits<>(SB), Y8, Y8 \
	VPANDN     Y14, Y9, Y9            \
	VPANDN     Y14, Y8, Y8            \
	VPOR       Y9, A, A               \
	VPOR       Y8, B, B               \
	VMOVDQU    A, (128*k)(DI)         \
	VMOVDQU    B, (128*k+128)(DI)     \
	VPMADDUBSW A, Y13, A              \
	VPMADDUBSW B, Y13, B              \
	VPADDW     A, Y12, Y12            \
	VPADDW     B, Y12, Y12

REPEAT(lowBits, 0x0804020108040201)
REPEAT(highBits, 0x8040201080402010)
REPEAT(minus16, 0xF0F0F0F0F0F0F0F0)

DATA firstByte<>+0(SB)/8, $0x0404040400000000
DATA firstByte<>+8(SB)/8, $0x0C0C0C0C08080808
GLOBL firstByte<>(SB), RODATA, $16

// func packQ5_0AVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)
//
// A half, a word of fifth bits, then 16 bytes of nibbles.
TEXT ·packQ5_0AVX2(SB), NOSPLIT, $0-36
	PACKARGS(exist+32(FP))
	VMOVDQU byteOnes<>(SB), Y13
	VMOVDQU minus16<>(SB), Y14
	VMOVDQU nibbles<>(SB), Y15
	VPXOR   Y12, Y12, Y12
	TESTQ   CX, CX
	JLE     done

loop:
	FETCHSOMETIMES(3, CX, TWOLINES, near)
	FIRST(0)
	SECOND
	VPSRLD         $16, Y0, Y2
	VPSLLD         $16, Y1, Y1
	VPOR           Y1, Y2, Y2
	HALF(Y0, X0)
	VANDPS         (DX), Y0, Y0
	VMOVUPS        Y0, 1152(DI)
	VMOVDQA        Y2, Y0 // fifth bits
	QUADS(6, X4, Y4, X5, Y5, X6, Y6, X7, Y7)
	VBROADCASTI128 firstByte<>(SB), Y1
	VPAND          Y15, Y4, Y2
	VPAND          Y15, Y5, Y3
	FIVE(0, Y2, Y3)
	VPAND          Y15, Y6, Y2
	VPAND          Y15, Y7, Y3
	FIVE(2, Y2, Y3)
	VPSRLD         $4, Y4, Y4
	VPSRLD         $4, Y5, Y5
	VPSRLD         $4, Y6, Y6
	VPSRLD         $4, Y7, Y7
	VPAND          Y15, Y4, Y4
	VPAND          Y15, Y5, Y5
	VPAND          Y15, Y6, Y6
	VPAND          Y15, Y7, Y7
	FIVE(4, Y4, Y5)
	FIVE(6, Y6, Y7)
	CORRECTION
	ADDQ           $BBLOCK, DI
	ADDQ           $22, R13
	DECQ           CX
	JNZ            loop

done:
	VZEROUPPER
	RET

// The header of Q4_K and Q5_K: two halves, then eight 6-bit scales and minimums, as sixBitPairs has them. Scratch at BX, all for 8 rows:
// 0 the half of scales, 32 of minimums; 64 four scales, 96 four minimums; 128 and 160 the other four.
#define HEADER \
	QUADS(0, X0, Y0, X1, Y1, X2, Y2, X3, Y3) \
	VPSRLD  $16, Y0, Y4             \
	HALF(Y0, X0)                    \
	HALF(Y4, X4)                    \
	VANDPS  (DX), Y0, Y0            \
	VANDPS  (DX), Y4, Y4            \
	VMOVUPS Y0, (BX)                \
	VMOVUPS Y4, 32(BX)              \
	VPAND   low6<>(SB), Y1, Y4      \
	VPAND   low6<>(SB), Y2, Y5      \
	VMOVDQU Y4, 64(BX)              \
	VMOVDQU Y5, 96(BX)              \
	VPAND   nibbles<>(SB), Y3, Y4   \
	VPSRLD  $4, Y3, Y5              \
	VPAND   nibbles<>(SB), Y5, Y5   \
	VPSRLD  $2, Y1, Y1              \
	VPSRLD  $2, Y2, Y2              \
	VPAND   top2<>(SB), Y1, Y1      \
	VPAND   top2<>(SB), Y2, Y2      \
	VPOR    Y1, Y4, Y4              \
	VPOR    Y2, Y5, Y5              \
	VMOVDQU Y4, 128(BX)             \
	VMOVDQU Y5, 160(BX)

REPEAT(low6, 0x3F3F3F3F3F3F3F3F)
REPEAT(top2, 0x3030303030303030)
REPEAT(lowByte, 0x000000FF000000FF)
REPEAT(eights, 0x4100000041000000)
REPEAT(sixteens, 0x4180000041800000)

// SECONDHALF goes on to the other four.
#define SECONDHALF \
	VMOVDQU 128(BX), Y8 \
	VMOVDQU 160(BX), Y9 \
	VMOVDQU Y8, 64(BX)  \
	VMOVDQU Y9, 96(BX)

// AFFINE stores the next scales, and the offsets scale · zero − minimum of weights that are centred on zero.
#define AFFINE(zero) \
	VMOVDQU     64(BX), Y8          \
	VMOVDQU     96(BX), Y9          \
	VPSRLD      $8, Y8, Y10         \
	VPSRLD      $8, Y9, Y11         \
	VMOVDQU     Y10, 64(BX)         \
	VMOVDQU     Y11, 96(BX)         \
	VPAND       lowByte<>(SB), Y8, Y8 \
	VPAND       lowByte<>(SB), Y9, Y9 \
	VCVTDQ2PS   Y8, Y8              \
	VCVTDQ2PS   Y9, Y9              \
	VMULPS      (BX), Y8, Y8        \
	VMULPS      32(BX), Y9, Y9      \
	VMOVUPS     Y8, 1152(DI)        \
	VFMSUB132PS zero<>(SB), Y9, Y8  \
	VMOVUPS     Y8, 1280(DI)

#define BYTES32(o) \
	QUADS(o, X0, Y0, X1, Y1, X2, Y2, X3, Y3) \
	QUADS((o+16), X4, Y4, X5, Y5, X6, Y6, X7, Y7)

// func packQ4_KAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32, table *[16]int8)
//
// HEADER, then four times 32 bytes: low nibbles, then high nibbles, of 32 columns each.
TEXT ·packQ4_KAVX2(SB), NOSPLIT, $192-48
	NO_LOCAL_POINTERS
	NIBBLEARGS
	MOVQ  SP, BX
	TESTQ CX, CX
	JLE   done

loop:
	HEADER
	ADDQ $16, R13
	MOVQ $4, SI

run:
	FETCHSOMETIMES(1, SI, TWOLINES, near)
	AFFINE(eights)
	BYTES32(0)
	LOW(Y0, 0)
	LOW(Y1, 1)
	LOW(Y2, 2)
	LOW(Y3, 3)
	LOW(Y4, 4)
	LOW(Y5, 5)
	LOW(Y6, 6)
	LOW(Y7, 7)
	CORRECTION
	ADDQ $BBLOCK, DI
	AFFINE(eights)
	HIGH(Y0, 0)
	HIGH(Y1, 1)
	HIGH(Y2, 2)
	HIGH(Y3, 3)
	HIGH(Y4, 4)
	HIGH(Y5, 5)
	HIGH(Y6, 6)
	HIGH(Y7, 7)
	CORRECTION
	ADDQ $BBLOCK, DI
	ADDQ $32, R13
	DECQ SI
	JEQ  next
	CMPQ SI, $2
	JNE  run
	SECONDHALF
	JMP  run

next:
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

// UPPER completes quad k, the low nibbles of A, with the lowest bits of the scratch at 192, and goes on to the next ones. Weights are 16
// less.
#define UPPER(k, A) \
	VMOVDQU    (192+32*k)(BX), Y9  \
	VPAND      Y13, Y9, Y10        \
	VPSRLD     $1, Y9, Y9          \
	VMOVDQU    Y9, (192+32*k)(BX)  \
	VPSLLD     $4, Y10, Y10        \
	VPAND      Y15, A, Y8          \
	VPOR       Y10, Y8, Y8         \
	VPADDB     Y14, Y8, Y8         \
	VMOVDQU    Y8, (128*k)(DI)     \
	VPMADDUBSW Y8, Y13, Y8         \
	VPADDW     Y8, Y12, Y12

#define UPPERS \
	UPPER(0, Y0) \
	UPPER(1, Y1) \
	UPPER(2, Y2) \
	UPPER(3, Y3) \
	UPPER(4, Y4) \
	UPPER(5, Y5) \
	UPPER(6, Y6) \
	UPPER(7, Y7)

#define HIGHS \
	VPSRLD $4, Y0, Y0 \
	VPSRLD $4, Y1, Y1 \
	VPSRLD $4, Y2, Y2 \
	VPSRLD $4, Y3, Y3 \
	VPSRLD $4, Y4, Y4 \
	VPSRLD $4, Y5, Y5 \
	VPSRLD $4, Y6, Y6 \
	VPSRLD $4, Y7, Y7

#define SAVE(o) \
	VMOVDQU Y0, o(BX)       \
	VMOVDQU Y1, (o+32)(BX)  \
	VMOVDQU Y2, (o+64)(BX)  \
	VMOVDQU Y3, (o+96)(BX)  \
	VMOVDQU Y4, (o+128)(BX) \
	VMOVDQU Y5, (o+160)(BX) \
	VMOVDQU Y6, (o+192)(BX) \
	VMOVDQU Y7, (o+224)(BX)

// func packQ5_KAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)
//
// HEADER, 32 bytes with the fifth bits of column i of run r in bit r of byte i, then the nibbles as in Q4_K.
TEXT ·packQ5_KAVX2(SB), NOSPLIT, $448-36
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	MOVQ    SP, BX
	VMOVDQU byteOnes<>(SB), Y13
	VMOVDQU minus16<>(SB), Y14
	VMOVDQU nibbles<>(SB), Y15
	VPXOR   Y12, Y12, Y12
	TESTQ   CX, CX
	JLE     done

loop:
	HEADER
	BYTES32(16)
	SAVE(192)
	ADDQ $48, R13
	MOVQ $4, SI

run:
	FETCHSOMETIMES(1, SI, TWOLINES, near)
	AFFINE(sixteens)
	BYTES32(0)
	UPPERS
	CORRECTION
	ADDQ $BBLOCK, DI
	AFFINE(sixteens)
	HIGHS
	UPPERS
	CORRECTION
	ADDQ $BBLOCK, DI
	ADDQ $32, R13
	DECQ SI
	JEQ  next
	CMPQ SI, $2
	JNE  run
	SECONDHALF
	JMP  run

next:
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

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
	FETCHSOMETIMES(1, CX, TWOLINES, near)
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
	FETCHSOMETIMES(3, CX, TWOLINES, near)
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
	FETCHSOMETIMES(3, SI, TWOLINES, near)
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

// GROUPS sets Y11 and Y13 to the scales of bytes 0 and 1 of the lanes of the scratch at o, twice each as words, and goes on to bytes 2 and 3.
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
	FETCH(TWOLINES)
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

// PEAK sets A to the magnitudes, as bits, of the largest of columns i, 8+i, 16+i, 24+i of 32 floats at SRC.
#define PEAK(SRC, o, A) \
	VPAND   o(SRC), Y14, A       \
	VPAND   (o+32)(SRC), Y14, Y8 \
	VPMAXUD Y8, A, A             \
	VPAND   (o+64)(SRC), Y14, Y8 \
	VPMAXUD Y8, A, A             \
	VPAND   (o+96)(SRC), Y14, Y8 \
	VPMAXUD Y8, A, A

#define ROWPEAK(r, A) \
	MOVQ (8*r)(R12), R8 \
	ADDQ R13, R8        \
	PEAK(R8, 0, A)

// MERGE leaves in A the peaks of four such vectors: in each half one of each, of half of the columns.
#define MERGE(A, B, C, D) \
	VPUNPCKLDQ  B, A, Y8   \
	VPUNPCKHDQ  B, A, A    \
	VPMAXUD     Y8, A, A   \
	VPUNPCKLDQ  D, C, Y8   \
	VPUNPCKHDQ  D, C, C    \
	VPMAXUD     Y8, C, C   \
	VPUNPCKLQDQ C, A, Y8   \
	VPUNPCKHQDQ C, A, A    \
	VPMAXUD     Y8, A, A

// SCALE turns the magnitudes in Y0, as bits, into scales in Y2 and reciprocals in Y3, so that the largest becomes most. Magnitudes below
// 2⁻¹⁰⁰ count as 0; one that is not finite makes the scale NaN. Y14 is all bits but the sign.
#define SCALE(most) \
	VMOVUPS   most<>(SB), Y1         \
	VDIVPS    Y1, Y0, Y2             \
	VDIVPS    Y0, Y1, Y3             \
	VPCMPGTD  underLeast<>(SB), Y0, Y4 \
	VPAND     Y4, Y2, Y2             \
	VPAND     Y4, Y3, Y3             \
	VPCMPGTD  greatest<>(SB), Y0, Y5 \
	VBLENDVPS Y5, Y14, Y2, Y2        \
	VPANDN    Y3, Y5, Y3

// The bits of the greatest numbers below 2⁻¹⁰⁰ and infinity.
REPEAT(underLeast, 0x0D7FFFFF0D7FFFFF)
REPEAT(greatest, 0x7F7FFFFF7F7FFFFF)

// 4095, 16383 and 127.
REPEAT(most12, 0x457FF000457FF000)
REPEAT(most14, 0x467FFC00467FFC00)
REPEAT(most7, 0x42FE000042FE0000)

// ROUNDROW sets A to 16 columns from o on of row r, rounded, as words; PAIRS4 transposes four rows from r on: in the halves of A to D
// are pairs 0 and 2, 1 and 3, 4 and 6, 5 and 7.
#define ROUNDROW(r, o, A) \
	MOVQ         (8*r)(R12), R8       \
	VBROADCASTSS (4*r)(BX), Y13       \
	VMULPS       o(R8)(R13*1), Y13, A   \
	VMULPS       (o+32)(R8)(R13*1), Y13, Y13 \
	VCVTPS2DQ    A, A                 \
	VCVTPS2DQ    Y13, Y13             \
	VPACKSSDW    Y13, A, A

#define PAIRS4(r, o, A, B, C, D) \
	ROUNDROW((r), o, A)   \
	ROUNDROW((r+1), o, B) \
	ROUNDROW((r+2), o, C) \
	ROUNDROW((r+3), o, D) \
	TRANSPOSE(A, B, C, D, Y8, Y9, Y10, Y11)

#define STOREPAIRS(k, A, B) \
	VPERM2I128 $0x20, B, A, Y8 \
	VPERM2I128 $0x31, B, A, Y9 \
	VMOVDQU    Y8, (128*k)(DI) \
	VMOVDQU    Y9, (128*k+256)(DI)

#define COLUMNS16(o, k) \
	PAIRS4(0, o, Y0, Y1, Y2, Y3)  \
	PAIRS4(4, o, Y4, Y5, Y6, Y7)  \
	STOREPAIRS((k), Y0, Y4)       \
	STOREPAIRS((k+1), Y1, Y5)     \
	STOREPAIRS((k+4), Y2, Y6)     \
	STOREPAIRS((k+5), Y3, Y7)

// func packFloatsWordsAVX2(dst *byte, rows *[8]*byte, blocks, rowBytes int, exist uint32)
//
// Rounds floats to words, −4095 to 4095, with a scale per 32.
TEXT ·packFloatsWordsAVX2(SB), NOSPLIT, $32-28
	NO_LOCAL_POINTERS
	PACKARGS(exist+24(FP))
	MOVQ     SP, BX
	VPCMPEQD Y14, Y14, Y14
	VPSRLD   $1, Y14, Y14
	TESTQ    CX, CX
	JLE      done

loop:
	ROWPEAK(0, Y0)
	ROWPEAK(1, Y1)
	ROWPEAK(2, Y2)
	ROWPEAK(3, Y3)
	MERGE(Y0, Y1, Y2, Y3)
	ROWPEAK(4, Y1)
	ROWPEAK(5, Y2)
	ROWPEAK(6, Y3)
	ROWPEAK(7, Y4)
	MERGE(Y1, Y2, Y3, Y4)
	VPERM2I128 $0x20, Y1, Y0, Y2
	VPERM2I128 $0x31, Y1, Y0, Y3
	VPMAXUD    Y2, Y3, Y0
	SCALE(most12)
	VANDPS     (DX), Y2, Y2
	VMOVUPS    Y2, 2048(DI)
	VMOVUPS    Y3, (BX)
	COLUMNS16(0, 0)
	COLUMNS16(64, 8)
	ADDQ       $WBLOCK, DI
	ADDQ       $128, R13
	DECQ       CX
	JNZ        loop

done:
	VZEROUPPER
	RET

// REDUCE leaves in the lanes of X0 the largest of Y0.
#define REDUCE \
	VEXTRACTI128 $1, Y0, X1   \
	VPMAXUD      X1, X0, X0   \
	VPSHUFD      $0x4E, X0, X1 \
	VPMAXUD      X1, X0, X0   \
	VPSHUFD      $0xB1, X0, X1 \
	VPMAXUD      X1, X0, X0

// TIMES multiplies the block by the lanes of Y and rounds it to words, in quarters: Y6 has columns 0–3, 8–11 | 4–7, 12–15, Y8 those 16 further.
#define TIMES(Y) \
	VMULPS    (SI), Y, Y6   \
	VMULPS    32(SI), Y, Y7 \
	VMULPS    64(SI), Y, Y8 \
	VMULPS    96(SI), Y, Y9 \
	VCVTPS2DQ Y6, Y6        \
	VCVTPS2DQ Y7, Y7        \
	VCVTPS2DQ Y8, Y8        \
	VCVTPS2DQ Y9, Y9        \
	VPACKSSDW Y7, Y6, Y6    \
	VPACKSSDW Y9, Y8, Y8

// Columns in order, of bytes that were packed in quarters.
DATA inOrder<>+0(SB)/8, $0x0000000400000000
DATA inOrder<>+8(SB)/8, $0x0000000500000001
DATA inOrder<>+16(SB)/8, $0x0000000600000002
DATA inOrder<>+24(SB)/8, $0x0000000700000003
GLOBL inOrder<>(SB), RODATA, $32

REPEAT(bias, 0x8080808080808080)

// func packTokenAVX2(bytes, scales, words *byte, x *float32, blocks int)
//
// Rounds up to 8 blocks of activations of one token both ways; scales are those of the bytes.
TEXT ·packTokenAVX2(SB), NOSPLIT, $0-40
	MOVQ     bytes+0(FP), DI
	MOVQ     scales+8(FP), R8
	MOVQ     words+16(FP), DX
	MOVQ     x+24(FP), SI
	MOVQ     blocks+32(FP), CX
	LEAQ     512(DX), R9
	VPCMPEQD Y14, Y14, Y14
	VPSRLD   $1, Y14, Y14
	VMOVDQU  byteOnes<>(SB), Y13
	VMOVDQU  wordOnes<>(SB), Y12
	VMOVDQU  inOrder<>(SB), Y11
	VMOVDQU  bias<>(SB), Y10
	TESTQ    CX, CX
	JLE      done

loop:
	PEAK(SI, 0, Y0)
	REDUCE
	VPBROADCASTD X0, Y0
	SCALE(most14)
	VMOVSS       X2, (R9)
	TIMES(Y3)
	VPERMQ       $0xD8, Y6, Y6
	VPERMQ       $0xD8, Y8, Y8
	VMOVDQU      Y6, (DX)
	VMOVDQU      Y8, 32(DX)
	SCALE(most7)
	VMOVSS       X2, (R8)
	TIMES(Y3)
	VPACKSSWB    Y8, Y6, Y6
	VPERMD       Y6, Y11, Y6
	VPMADDUBSW   Y6, Y13, Y7
	VPXOR        Y10, Y6, Y6
	VMOVDQU      Y6, (DI)
	VPMADDWD     Y12, Y7, Y7
	VEXTRACTI128 $1, Y7, X8
	VPADDD       X8, X7, X7
	VPSHUFD      $0x4E, X7, X8
	VPADDD       X8, X7, X7
	VPSHUFD      $0xB1, X7, X8
	VPADDD       X8, X7, X7
	VCVTDQ2PS    X7, X7
	VMULSS       X2, X7, X7
	VMOVSS       X7, 64(R8)
	ADDQ         $32, DI
	ADDQ         $64, DX
	ADDQ         $4, R8
	ADDQ         $4, R9
	ADDQ         $128, SI
	DECQ         CX
	JNZ          loop

done:
	VZEROUPPER
	RET

// func burnAVX2(rounds int)
//
// 12 independent VPMADDUBSW per round, of 32 products each, with the addition that goes with it.
TEXT ·burnAVX2(SB), NOSPLIT, $0-8
	MOVQ  rounds+0(FP), CX
	VPXOR Y15, Y15, Y15
	TESTQ CX, CX
	JLE   done

#define BURN(T, S) \
	VPMADDUBSW Y15, Y15, T \
	VPADDW     T, S, S

loop:
	BURN(Y12, Y0)
	BURN(Y13, Y1)
	BURN(Y14, Y2)
	BURN(Y12, Y3)
	BURN(Y13, Y4)
	BURN(Y14, Y5)
	BURN(Y12, Y6)
	BURN(Y13, Y7)
	BURN(Y14, Y8)
	BURN(Y12, Y9)
	BURN(Y13, Y10)
	BURN(Y14, Y11)
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

// DOT is VPDPBUSD Y15, Y15, Ys in its VEX form.
#define DOT(s) \
	BYTE $0xC4                     \
	BYTE $(0x42 + 128*(1-(s)/8))   \
	BYTE $0x05                     \
	BYTE $0x50                     \
	BYTE $(0xC7 + 8*((s)-(s)/8*8))

// func burnVNNI(rounds int)
//
// 12 independent VPDPBUSD per round, of 32 multiply-adds each.
TEXT ·burnVNNI(SB), NOSPLIT, $0-8
	MOVQ  rounds+0(FP), CX
	VPXOR Y15, Y15, Y15
	TESTQ CX, CX
	JLE   done

loop:
	DOT(0)
	DOT(1)
	DOT(2)
	DOT(3)
	DOT(4)
	DOT(5)
	DOT(6)
	DOT(7)
	DOT(8)
	DOT(9)
	DOT(10)
	DOT(11)
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET
