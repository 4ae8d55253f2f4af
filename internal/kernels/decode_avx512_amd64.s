#include "textflag.h"

// func decodeQ8_0AVX512(dst *float32, src *byte, blocks int)
TEXT ·decodeQ8_0AVX512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
loop:
	DECQ CX
	JLT  done
	VPBROADCASTW (SI), Y2
	VCVTPH2PS Y2, Z2
	VPMOVSXBD 2(SI), Z0
	VPMOVSXBD 18(SI), Z1
	VCVTDQ2PS Z0, Z0
	VCVTDQ2PS Z1, Z1
	VMULPS Z0, Z2, Z0
	VMULPS Z1, Z2, Z1
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	ADDQ $34, SI
	ADDQ $128, DI
	JMP  loop
done:
	VZEROUPPER
	RET
