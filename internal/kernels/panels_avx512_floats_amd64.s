#include "textflag.h"
#include "panels_avx512_amd64.h"

// Panels of floats at avx512, products and packing: weights and activations as they are, one fused multiply-add each.
//
//	panel, per column:        [32 rows] floats
//	tokens, per 128 columns:  [token][128] floats
//
// Sums are taken over 128 columns, in their order, and added to dst. The tiles and registers are those of
// panels_avx512_products_amd64.s, but for the integers: CX counts fours of columns, R11 the columns of this slab.

#define FDOT(d, t, I, J, F, G, f, g) \
	VBROADCASTSS (XFLOATS*t+4*d)(BX), Z26 \
	VFMADD231PS  Z26, Z24, F              \
	VFMADD231PS  Z26, Z25, G

// func panelFloatsAVX512(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
//
// Blocks are columns.
TEXT ·panelFloatsAVX512(SB), NOSPLIT, $0-56
	PANELARGS
	TILES(FTILE)

// func packF32AVX512(dst *byte, rows *[16]*byte, blocks int)
//
// Blocks of four columns of F32: quads are columns.
TEXT ·packF32AVX512(SB), NOSPLIT, $0-24
	FPACKARGS
	TESTQ CX, CX
	JLE   done

loop:
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 128(DI)
	VMOVUPS Z2, 256(DI)
	VMOVUPS Z3, 384(DI)
	ADDQ    $512, DI
	ADDQ    $16, R13
	DECQ    CX
	JNZ     loop

done:
	VZEROUPPER
	RET

// A quad of BF16 is two columns.
#define PAIRBF16(k, A) \
	VPSLLD  $16, A, Z8         \
	VPANDD  Z31, A, A          \
	VMOVUPS Z8, (128*k)(DI)    \
	VMOVUPS A, (128*k+128)(DI)

// func packBF16AVX512(dst *byte, rows *[16]*byte, blocks int)
//
// Blocks of eight columns.
TEXT ·packBF16AVX512(SB), NOSPLIT, $0-24
	FPACKARGS
	MOVL         $0xFFFF0000, AX
	VPBROADCASTD AX, Z31
	TESTQ        CX, CX
	JLE          done

loop:
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	PAIRBF16(0, Z0)
	PAIRBF16(2, Z1)
	PAIRBF16(4, Z2)
	PAIRBF16(6, Z3)
	ADDQ $1024, DI
	ADDQ $16, R13
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET

#define PAIRF16(k, A, AY) \
	VPSRLD  $16, A, Z8         \
	HALF(A, AY)                \
	HALF(Z8, Y8)               \
	VMOVUPS A, (128*k)(DI)     \
	VMOVUPS Z8, (128*k+128)(DI)

// func packF16AVX512(dst *byte, rows *[16]*byte, blocks int)
//
// Blocks of eight columns.
TEXT ·packF16AVX512(SB), NOSPLIT, $0-24
	FPACKARGS
	TESTQ CX, CX
	JLE   done

loop:
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	PAIRF16(0, Z0, Y0)
	PAIRF16(2, Z1, Y1)
	PAIRF16(4, Z2, Y2)
	PAIRF16(6, Z3, Y3)
	ADDQ $1024, DI
	ADDQ $16, R13
	DECQ CX
	JNZ  loop

done:
	VZEROUPPER
	RET
