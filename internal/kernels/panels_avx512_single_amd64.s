#include "funcdata.h"
#include "textflag.h"
#include "panels_avx512_amd64.h"

// Products of single tokens at avx512: a panel would be packed for one of them alone. In its place quads are multiplied with the token's
// where they arise, and what is left of a block is added up as panels_avx512_products_amd64.s does it, to the same bits.
//
//	digest, per 32 columns of 16 rows:   [16] int32 sums of (weight + 128) · activation, [16] float scales      128 bytes
//	the same with offsets:               then [16] floats                                                     192 bytes
//
// R14 the token's 8-bit activations, one after another; Z12 the sums.

#define ROWS_NIBBLES ·digestNibblesAVX512
#define ROWS_MXFP4 ·digestMXFP4AVX512
#define ROWS_IQ4_XS ·digestIQ4_XSAVX512
#define ROWS_Q5_0 ·digestQ5_0AVX512
#define ROWS_Q8_0 ·digestQ8_0AVX512
#define ROWS_Q4_K ·digestQ4_KAVX512
#define ROWS_Q5_K ·digestQ5_KAVX512
#define ROWS_Q6_K ·digestQ6_KAVX512

#define OPERANDS MOVQ x+48(FP), R14
#define OPEN VPXORD Z12, Z12, Z12
#define QUAD(k, Z) VPDPBUSD.BCST (4*k)(R14), Z, Z12
#define CLOSE \
	VMOVDQU64 Z12, (DI) \
	ADDQ      $32, R14
#define SKIP(n) ADDQ $(32*n), R14
#define SCALES_AT 64
#define OFFSETS_AT 128
#define BLOCK 128
#define OFFSETBLOCK 192

#include "panels_avx512_blocks_amd64.h"
#include "panels_avx512_blocks_k_amd64.h"

// ADDBLOCK adds a block, of B bytes, to Z1, as FINISH does: AX digests, BX what the token has beside its activations.
#define ADDBLOCK \
	VMOVDQU64    (AX), Z2             \
	VPADDD.BCST  64(BX), Z2, Z2       \
	VCVTDQ2PS    Z2, Z2               \
	VMOVUPS      64(AX), Z3           \
	VMULPS.BCST  (BX), Z3, Z3         \
	VFMADD231PS  Z3, Z2, Z1

#define ADDOFFSET \
	ADDBLOCK                     \
	VBROADCASTSS 128(BX), Z2     \
	VFMADD231PS  128(AX), Z2, Z1

// SUM adds up CX blocks of B bytes: sums of slabs in Z1, of all in Z0. The token's slabs are step bytes apart.
#define SUM(ADD, B) \
	MOVQ   dst+0(FP), DI      \
	MOVQ   digests+8(FP), AX  \
	MOVQ   x+16(FP), SI       \
	MOVQ   step+24(FP), DX    \
	MOVQ   blocks+32(FP), CX  \
	MOVL   exist+40(FP), R8   \
	KMOVW  R8, K1             \
	VPXORD Z0, Z0, Z0         \
	TESTQ  CX, CX             \
	JLE    done               \
slab:                             \
	LEAQ   512(SI), BX        \
	ADDQ   DX, SI             \
	MOVQ   $16, R9            \
	VPXORD Z1, Z1, Z1         \
block:                            \
	ADD                       \
	ADDQ   $B, AX             \
	ADDQ   $4, BX             \
	DECQ   CX                 \
	JEQ    last               \
	DECQ   R9                 \
	JNZ    block              \
	VADDPS Z0, Z1, Z0         \
	JMP    slab               \
last:                             \
	VADDPS Z0, Z1, Z0         \
done:                             \
	VMOVUPS Z0, K1, (DI)      \
	VZEROUPPER                \
	RET

// func sumDigestsAVX512(dst *float32, digests, x *byte, step, blocks int, exist uint32)
TEXT ·sumDigestsAVX512(SB), NOSPLIT, $0-44
	SUM(ADDBLOCK, 128)

// func sumOffsetDigestsAVX512(dst *float32, digests, x *byte, step, blocks int, exist uint32)
TEXT ·sumOffsetDigestsAVX512(SB), NOSPLIT, $0-44
	SUM(ADDOFFSET, 192)
