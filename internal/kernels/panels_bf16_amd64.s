#include "textflag.h"
#include "words_amd64.h"
#include "panels_avx512_amd64.h"

// Panels of pairs at bf16: weights and activations are rounded to bf16 and multiplied as tensor/pairs.go says, which is what VDPBF16PS
// does.
//
//	panel, per pair of columns:  [32 rows] pairs
//	tokens, per 256 columns:     [token][128] pairs
//
// Tiles and registers are those of panels_avx512_floats_amd64.s, with a pair in the place of a column.

// ROUNDARGS begins a loop over CX numbers, from SI to DI, 32 at a time. It stands before the first function, since vet takes arguments for
// those of the function above.
#define ROUNDARGS \
	MOVQ  dst+0(FP), DI \
	MOVQ  x+8(FP), SI   \
	MOVQ  n+16(FP), CX  \
	TESTQ CX, CX        \
	JLE   done

#define FDOT(d, t, I, J, F, G, f, g) \
	VBROADCASTSS (XFLOATS*t+4*d)(BX), Z26 \
	VDPBF16PS(26, 24, f)                  \
	VDPBF16PS(26, 25, g)

// func panelPairsBF16(dst *float32, stride int, w, x *byte, n, blocks int, exist, add uint32)
//
// Blocks are pairs.
TEXT ·panelPairsBF16(SB), NOSPLIT, $0-56
	PANELARGS
	TILES(FTILE)

// EXIST sets DX to how many of the 32 exist, K3 to which, K1 and K2 to the lower and the upper half of that.
#define EXIST \
	MOVL    $32, DX   \
	CMPQ    CX, DX    \
	CMOVLLT CX, DX    \
	MOVL    $-1, AX   \
	BZHIL   DX, AX, AX \
	KMOVD AX, K3      \
	KMOVW AX, K1      \
	SHRL  $16, AX     \
	KMOVW AX, K2

// STORE stores Z0, rounded, and goes on to loop or, after the last, to done. Numbers come in pairs: an odd last one has a zero beside it.
#define STORE \
	INCL      DX           \
	ANDL      $~1, DX      \
	MOVL      $-1, AX      \
	BZHIL     DX, AX, AX   \
	KMOVD     AX, K3       \
	VMOVDQU16 Z0, K3, (DI) \
	ADDQ      $64, DI      \
	SUBQ      $32, CX      \
	JG        loop

// func roundBF16(dst, x *byte, n int)
TEXT ·roundBF16(SB), NOSPLIT, $0-24
	ROUNDARGS

loop:
	EXIST
	VMOVUPS.Z (SI), K1, Z0
	VMOVUPS.Z 64(SI), K2, Z1
	VCVTNE2PS2BF16(0, 1, 0)
	ADDQ $128, SI
	STORE

done:
	VZEROUPPER
	RET

// func roundHalvesBF16(dst, x *byte, n int)
TEXT ·roundHalvesBF16(SB), NOSPLIT, $0-24
	ROUNDARGS

loop:
	EXIST
	VMOVDQU16.Z   (SI), K3, Z2
	VEXTRACTI64X4 $1, Z2, Y3
	VCVTPH2PS     Y2, Z0
	VCVTPH2PS     Y3, Z1
	VCVTNE2PS2BF16(0, 1, 0)
	ADDQ $64, SI
	STORE

done:
	VZEROUPPER
	RET

// func burnBF16(rounds int)
//
// 12 independent VDPBF16PS per round, 32 multiply-adds each.
TEXT ·burnBF16(SB), NOSPLIT, $0-8
	MOVQ   rounds+0(FP), CX
	VPXORD Z30, Z30, Z30
	TESTQ  CX, CX
	JLE    done

burn:
	VDPBF16PS(30, 30, 0)
	VDPBF16PS(30, 30, 1)
	VDPBF16PS(30, 30, 2)
	VDPBF16PS(30, 30, 3)
	VDPBF16PS(30, 30, 4)
	VDPBF16PS(30, 30, 5)
	VDPBF16PS(30, 30, 6)
	VDPBF16PS(30, 30, 7)
	VDPBF16PS(30, 30, 8)
	VDPBF16PS(30, 30, 9)
	VDPBF16PS(30, 30, 10)
	VDPBF16PS(30, 30, 11)
	DECQ CX
	JNZ  burn

done:
	VZEROUPPER
	RET
