#include "textflag.h"
#include "panels_avx2_amd64.h"

// Products of panels of bytes and of words at avx2: many tokens times 32 rows of weights.
//
// Weights of up to 5 bits are multiplied as bytes: VPMADDUBSW adds two products in 16 bits, and there is room for a few of
// them, so that most additions are of 16 sums each. Activations are the unsigned operand, 8 bits + 128; the weights, −16 to 15, are the
// signed one. Sums of 8 products are at most 8·255·16 = 32640; of weights from −8 to 7, sums of 16 are. What the 128 adds is taken off
// by a correction that is the row's. A weight is scale · byte + offset; the offset is multiplied with the sum of the token's activations.
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
// Sums are taken in float over a slab of 512 or 256 columns and added to dst.
//
//	AX weights, BX activations, R13 their scales, CX blocks that are left; DX dst, R8 the panel, R9 the token
//	Y0–Y7 activations, Y8–Y10 sums, Y11 ones, Y12–Y15 float sums of 8 rows each

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
	VPCMPEQD Y11, Y11, Y11       \
	VPSRLW   $15, Y11, Y11       \
	LEAQ     rowMasks<>(SB), BX  \
	NEGQ     R12                 \
	LEAQ     128(BX)(R12*4), R12 \
	CMPQ     R12, BX             \
	JNE      token               \
	XORL     R12, R12

#define BTOKEN 640
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

// STARTTOKEN comes before a token's first block.
#define STARTTOKEN \
	VXORPS Y12, Y12, Y12   \
	VXORPS Y13, Y13, Y13   \
	VXORPS Y14, Y14, Y14   \
	VXORPS Y15, Y15, Y15   \
	PREFETCHT0 (DX)        \
	PREFETCHT0 64(DX)      \
	MOVQ R8, AX            \
	MOVQ R9, BX            \
	LEAQ 512(R9), R13      \
	MOVQ R11, CX

#define NONE

// FETCHTOKEN fetches the block of the next but one token, of so many bytes, since there may be more tokens than caches hold.
#define FETCHTOKEN(bytes) \
	PREFETCHT0 (2*bytes)(BX) \
	PREFETCHT0 (2*bytes)(R13)

#define TOKENROWS(PRODUCTS, OFFSETSUM, token, loop) \
token:                     \
	STARTTOKEN             \
loop:                      \
	FETCHTOKEN(BTOKEN)     \
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
	STARTTOKEN              \
loop:                       \
	FETCHTOKEN(WTOKEN)      \
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
