#include "textflag.h"
#include "panels_avx2_amd64.h"

// Products of panels of bytes and of words at avx2: many tokens times 32 rows of weights.
//
// Weights of up to 5 bits are multiplied as bytes: VPMADDUBSW adds two products in 16 bits, and there is room for the 16 that a lane has of
// 32 columns, so that most additions are of 16 sums each. Activations are the unsigned operand, −127 to 127 + 128; the weights, −16 to 15,
// are the signed one. What the 128 adds is a correction, the row's, to take off. Sums may wrap around before: after it they are at most
// 16·127·16 = 32512. A weight is scale · byte + offset; the offset is multiplied with the sum of the token's activations.
//
//	panel, per 32 columns:   8 × [32 rows][4 columns] bytes, [32][2] words 128·Σ, [32] float scales, [32] float offsets    1408 bytes
//	tokens, per 512 columns: [token] of 512 bytes, 16 float scales, 16 floats scale·Σ                                     640 bytes
//
// A row's correction is two words, since its sum is two: one of columns 4k and 4k+1, one of 4k+2 and 4k+3.
//
// Weights of more bits are multiplied as words, −4096 to 4095, with activations from −16383 to 16383: VPMADDWD adds two products in 32
// bits, and 32 products stay below 2³¹.
//
//	panel, per 32 columns:   16 × [32 rows][2 columns] words, [32] float scales                                          2176 bytes
//	tokens, per 256 columns: [token] of 256 words, 8 float scales                                                         544 bytes
//
// A tile is 32 rows and one token, whose activations are repeated in registers while the weights come from L1 as memory operands. Tiles of
// several tokens load less, but multiplications and additions leave no cycle to gain by that: those are for AVX-VNNI, where an instruction
// does both. Sums are taken in float over a slab of 512 or 256 columns and added to dst.
//
//	AX weights, BX activations, R13 their scales, CX blocks that are left; DX dst, R8 the panel, R9 the token, R14 what is fetched
//	Y0 activations, of words Y0–Y3, Y1–Y4 products, Y7 ones, Y8–Y11 integer sums, Y12–Y15 float sums of 8 rows each

// The arguments, before the first function: vet takes them for arguments of the function above. R12 is 0 if all 32 rows exist, else it
// points to a mask of those that do.
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
	VPCMPEQD Y7, Y7, Y7          \
	VPSRLW   $15, Y7, Y7         \
	LEAQ     rowMasks<>(SB), BX  \
	NEGQ     R12                 \
	LEAQ     128(BX)(R12*4), R12 \
	CMPQ     R12, BX             \
	JNE      token               \
	XORL     R12, R12

// Columns 4k to 4k+3 of all rows: FIRSTQUAD sets the sums to the products, QUAD adds these. Four additions follow four multiplications:
// that takes fewer cycles than turn by turn.
#define FIRSTQUAD \
	VPBROADCASTD (BX), Y0         \
	VPMADDUBSW   (AX), Y0, Y8     \
	VPMADDUBSW   32(AX), Y0, Y9   \
	VPMADDUBSW   64(AX), Y0, Y10  \
	VPMADDUBSW   96(AX), Y0, Y11

#define QUAD(k) \
	VPBROADCASTD (4*k)(BX), Y0         \
	VPMADDUBSW   (128*k)(AX), Y0, Y1    \
	VPMADDUBSW   (128*k+32)(AX), Y0, Y2 \
	VPMADDUBSW   (128*k+64)(AX), Y0, Y3 \
	VPMADDUBSW   (128*k+96)(AX), Y0, Y4 \
	VPADDW       Y1, Y8, Y8   \
	VPADDW       Y2, Y9, Y9   \
	VPADDW       Y3, Y10, Y10 \
	VPADDW       Y4, Y11, Y11

// SCALED adds the sums S of rows 8v to 8v+7 to F, times both scales.
#define SCALED(v, S, F) \
	VPSUBW      (1024+32*v)(AX), S, S    \
	VMULPS      (1152+32*v)(AX), Y0, Y1  \
	VPMADDWD    Y7, S, S                 \
	VCVTDQ2PS   S, S                     \
	VFMADD231PS Y1, S, F

#define BYTES \
	FIRSTQUAD \
	QUAD(1)   \
	QUAD(2)   \
	QUAD(3)   \
	QUAD(4)   \
	QUAD(5)   \
	QUAD(6)   \
	QUAD(7)   \
	VBROADCASTSS (R13), Y0 \
	SCALED(0, Y8, Y12)  \
	SCALED(1, Y9, Y13)  \
	SCALED(2, Y10, Y14) \
	SCALED(3, Y11, Y15)

// OFFSETS adds the offsets, times the sum of the token's block.
#define OFFSETS \
	VBROADCASTSS 64(R13), Y0         \
	VFMADD231PS  1280(AX), Y0, Y12   \
	VFMADD231PS  1312(AX), Y0, Y13   \
	VFMADD231PS  1344(AX), Y0, Y14   \
	VFMADD231PS  1376(AX), Y0, Y15

// STARTTOKEN comes before the first block of a token of so many bytes.
#define STARTTOKEN(bytes) \
	VXORPS Y12, Y12, Y12   \
	VXORPS Y13, Y13, Y13   \
	VXORPS Y14, Y14, Y14   \
	VXORPS Y15, Y15, Y15   \
	PREFETCHT0 (DX)        \
	PREFETCHT0 64(DX)      \
	MOVQ R8, AX            \
	MOVQ R9, BX            \
	LEAQ 512(R9), R13      \
	LEAQ (2*bytes)(R9), R14 \
	MOVQ R11, CX

#define NONE

// FETCH64 fetches a line of the next but one token, since there may be more tokens than caches hold.
#define FETCH64 \
	PREFETCHT0 (R14) \
	ADDQ $64, R14

#define TOKENBYTES(OFFSETSUM, token, loop) \
token:                     \
	STARTTOKEN(BTOKEN)     \
loop:                      \
	FETCH64                \
	OFFSETSUM              \
	BYTES                  \
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
	VMASKMOVPS (DX), Y0, Y8    \
	VMASKMOVPS 32(DX), Y1, Y9  \
	VMASKMOVPS 64(DX), Y2, Y10 \
	VMASKMOVPS 96(DX), Y3, Y11 \
	VADDPS Y8, Y12, Y12        \
	VADDPS Y9, Y13, Y13        \
	VADDPS Y10, Y14, Y14       \
	VADDPS Y11, Y15, Y15       \
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

// func panelBytesAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelBytesAVX2(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENBYTES(NONE, token, loop)

// func panelBytesOffsetAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
TEXT ·panelBytesOffsetAVX2(SB), NOSPLIT, $0-56
	ROWARGS
	TOKENBYTES(OFFSETS, token, loop)

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

#define WORDS32 \
	WORDACTIVATIONS(0)   \
	FIRSTWORDS(0, Y8)    \
	FIRSTWORDS(1, Y9)    \
	FIRSTWORDS(2, Y10)   \
	FIRSTWORDS(3, Y11)   \
	ALLWORDS(4)          \
	ALLWORDS(8)          \
	ALLWORDS(12)

#define TOKENWORDS(token, loop) \
token:                      \
	STARTTOKEN(WTOKEN)      \
loop:                       \
	FETCH64                 \
	WORDS32                 \
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
	TOKENWORDS(token, loop)

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
