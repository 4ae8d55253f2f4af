#include "textflag.h"
#include "panels_avx2_amd64.h"

// Panels of floats at avx2, products and packing: weights and activations as they are, one fused multiply-add each.
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

// TOKENSn has STEP for n tokens, with the sums F and G of token t, for rows 0–7 and 8–15; d goes to STEP.
#define TOKENS1(STEP, d) STEP(d, 0, Y0, Y6)
#define TOKENS2(STEP, d) TOKENS1(STEP, d) STEP(d, 1, Y1, Y7)
#define TOKENS3(STEP, d) TOKENS2(STEP, d) STEP(d, 2, Y2, Y8)
#define TOKENS4(STEP, d) TOKENS3(STEP, d) STEP(d, 3, Y3, Y9)
#define TOKENS5(STEP, d) TOKENS4(STEP, d) STEP(d, 4, Y4, Y10)
#define TOKENS6(STEP, d) TOKENS5(STEP, d) STEP(d, 5, Y5, Y11)

#define FDOT(d, t, F, G) \
	VBROADCASTSS (XFLOATS*t+4*d)(BX), Y14 \
	VFMADD231PS  Y14, Y12, F              \
	VFMADD231PS  Y14, Y13, G

#define FWEIGHTS(d) \
	VMOVUPS (64*d)(AX), Y12    \
	VMOVUPS (64*d+32)(AX), Y13

#define ZERO(d, t, F, G) \
	VXORPS F, F, F \
	VXORPS G, G, G

// The masks at R12 are the rows that exist, those at R13 the same or, where dst does not count yet, none. Storing under a mask is slow on
// some machines, so it is for the last rows of a matrix only, where R12 is not 0.
#define SUM(F, G) \
	VMASKMOVPS (DX), Y12, Y14   \
	VMASKMOVPS 32(DX), Y13, Y15 \
	VADDPS     Y14, F, F        \
	VADDPS     Y15, G, G

#define OUT(d, t, F, G) \
	SUM(F, G)            \
	VMOVUPS   F, (DX)    \
	VMOVUPS   G, 32(DX)  \
	ADDQ      SI, DX

#define OUTPART(d, t, F, G) \
	SUM(F, G)              \
	VMOVUPS    (R12), Y14  \
	VMOVUPS    32(R12), Y15 \
	VMASKMOVPS F, Y14, (DX) \
	VMASKMOVPS G, Y15, 32(DX) \
	ADDQ       SI, DX

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

#define FTILE(T, TOKENS, loop, rest, out, part) \
	TOKENS(ZERO, 0)      \
	AHEAD                \
	LEAQ (XFLOATS*T)(R9), DI \
	COLUMNS(TOKENS, 64, loop, rest, out) \
	VMOVUPS (R13), Y12   \
	VMOVUPS 32(R13), Y13 \
	ADDQ    $(XFLOATS*T), R9 \
	SUBQ    $T, R10      \
	TESTQ   R12, R12     \
	JNE     part         \
	TOKENS(OUT, 0)       \
	JMP     next         \
part:                    \
	TOKENS(OUTPART, 0)   \
	JMP     next

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

// func panelFloatsAVX2(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
//
// Blocks are columns.
TEXT ·panelFloatsAVX2(SB), NOSPLIT, $0-56
	MOVQ blocks+40(FP), R11
	PANELARGS
	TILES(FTILE)

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
