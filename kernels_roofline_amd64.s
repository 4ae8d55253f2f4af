#include "textflag.h"

// Rooflines. The sums read four lines of 64 bytes a round and ask for others some kilobytes ahead, as the row kernels do; the
// multiplications are independent chains, as many as hide their latency.

// func sumAVX2(p *byte, lines int) uint64
// SI position, CX rounds left, Y0–Y3 sums.
TEXT ·sumAVX2(SB), NOSPLIT, $0-24
	MOVQ  p+0(FP), SI
	MOVQ  lines+8(FP), CX
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3

loop:
	PREFETCHT0 4096(SI)
	PREFETCHT0 4160(SI)
	PREFETCHT0 4224(SI)
	PREFETCHT0 4288(SI)
	VPADDQ     (SI), Y0, Y0
	VPADDQ     32(SI), Y1, Y1
	VPADDQ     64(SI), Y2, Y2
	VPADDQ     96(SI), Y3, Y3
	VPADDQ     128(SI), Y0, Y0
	VPADDQ     160(SI), Y1, Y1
	VPADDQ     192(SI), Y2, Y2
	VPADDQ     224(SI), Y3, Y3
	ADDQ       $256, SI
	DECQ       CX
	JNZ        loop

	VPADDQ       Y1, Y0, Y0
	VPADDQ       Y3, Y2, Y2
	VPADDQ       Y2, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDQ       X1, X0, X0
	VPSRLDQ      $8, X0, X1
	VPADDQ       X1, X0, X0
	VMOVQ        X0, ret+16(FP)
	VZEROUPPER
	RET

// func sumAVX512(p *byte, lines int) uint64
TEXT ·sumAVX512(SB), NOSPLIT, $0-24
	MOVQ   p+0(FP), SI
	MOVQ   lines+8(FP), CX
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3

loop:
	PREFETCHT0 4096(SI)
	PREFETCHT0 4160(SI)
	PREFETCHT0 4224(SI)
	PREFETCHT0 4288(SI)
	VPADDQ     (SI), Z0, Z0
	VPADDQ     64(SI), Z1, Z1
	VPADDQ     128(SI), Z2, Z2
	VPADDQ     192(SI), Z3, Z3
	ADDQ       $256, SI
	DECQ       CX
	JNZ        loop

	VPADDQ        Z1, Z0, Z0
	VPADDQ        Z3, Z2, Z2
	VPADDQ        Z2, Z0, Z0
	VEXTRACTI64X4 $1, Z0, Y1
	VPADDQ        Y1, Y0, Y0
	VEXTRACTI128  $1, Y0, X1
	VPADDQ        X1, X0, X0
	VPSRLDQ       $8, X0, X1
	VPADDQ        X1, X0, X0
	VMOVQ         X0, ret+16(FP)
	VZEROUPPER
	RET

#define FMA(r) VFMADD231PS Y13, Y12, r

// func burnAVX2(rounds int)
// Twelve chains of eight float multiply-adds. Zeros are multiplied: they cost what all numbers cost.
TEXT ·burnAVX2(SB), NOSPLIT, $0-8
	MOVQ rounds+0(FP), CX
	VZEROALL

loop:
	FMA(Y0)
	FMA(Y1)
	FMA(Y2)
	FMA(Y3)
	FMA(Y4)
	FMA(Y5)
	FMA(Y6)
	FMA(Y7)
	FMA(Y8)
	FMA(Y9)
	FMA(Y10)
	FMA(Y11)
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

#define DOT(r) VPDPBUSD Z17, Z16, r

// func burnAVX512(rounds int)
// Sixteen chains of 64 multiply-adds of bytes.
TEXT ·burnAVX512(SB), NOSPLIT, $0-8
	MOVQ   rounds+0(FP), CX
	VZEROALL
	VPXORQ Z16, Z16, Z16
	VPXORQ Z17, Z17, Z17

loop:
	DOT(Z0)
	DOT(Z1)
	DOT(Z2)
	DOT(Z3)
	DOT(Z4)
	DOT(Z5)
	DOT(Z6)
	DOT(Z7)
	DOT(Z8)
	DOT(Z9)
	DOT(Z10)
	DOT(Z11)
	DOT(Z12)
	DOT(Z13)
	DOT(Z14)
	DOT(Z15)
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET
