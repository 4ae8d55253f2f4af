#include "textflag.h"
#include "decode_avx2_amd64.h"

// Decoders for AVX2 of formats in blocks.

LANES8(eight, 0x0000000800000008)
LANES8(upperBytes, 0xF0F0F0F0F0F0F0F0)
LANES8(sixteenBytes, 0x1010101010101010)
LANES8(bitOfByte, 0x8040201008040201)
LANES8(exponent119, 0x3B8000003B800000)
LANES8(milli, 0x3A8000003A800000) // 1/1024
LANES8(notANumber, 0x0000007F0000007F)

// Bytes of a word spread over eight each.
DATA spread<>+0(SB)/8, $0x0000000000000000
DATA spread<>+8(SB)/8, $0x0101010101010101
DATA spread<>+16(SB)/8, $0x0202020202020202
DATA spread<>+24(SB)/8, $0x0303030303030303
GLOBL spread<>(SB), (NOPTR|RODATA), $32

// func decodeQ8_0AVX2(dst *float32, src *byte, blocks int)
TEXT ·decodeQ8_0AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
loop:
	DECQ CX
	JLT  done
	HALF((SI), X14, Y14)
	VPMOVSXBD 2(SI), Y1
	VPMOVSXBD 10(SI), Y2
	VPMOVSXBD 18(SI), Y3
	VPMOVSXBD 26(SI), Y4
	FOUR(Y1, Y2, Y3, Y4)
	ADDQ $34, SI
	ADDQ $128, DI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeQ4_0AVX2(dst *float32, src *byte, blocks int)
TEXT ·decodeQ4_0AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBits<>(SB), Y15
	VMOVDQU eight<>(SB), Y12
loop:
	DECQ CX
	JLT  done
	HALF((SI), X14, Y14)
	NIBBLES(2(SI), Y1, Y3)
	NIBBLES(10(SI), Y2, Y4)
	VPSUBD Y12, Y1, Y1
	VPSUBD Y12, Y2, Y2
	VPSUBD Y12, Y3, Y3
	VPSUBD Y12, Y4, Y4
	FOUR(Y1, Y2, Y3, Y4)
	ADDQ $18, SI
	ADDQ $128, DI
	JMP  loop
done:
	VZEROUPPER
	RET

// AFFINE writes 32 values q·scale + minimum, both rounded once together.
#define AFFINE(a, b, c, d) \
	VCVTDQ2PS a, a \
	VCVTDQ2PS b, b \
	VCVTDQ2PS c, c \
	VCVTDQ2PS d, d \
	VFMADD213PS Y13, Y14, a \
	VFMADD213PS Y13, Y14, b \
	VFMADD213PS Y13, Y14, c \
	VFMADD213PS Y13, Y14, d \
	VMOVUPS a, (DI) \
	VMOVUPS b, 32(DI) \
	VMOVUPS c, 64(DI) \
	VMOVUPS d, 96(DI)

// func decodeQ4_1AVX2(dst *float32, src *byte, blocks int)
TEXT ·decodeQ4_1AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBits<>(SB), Y15
loop:
	DECQ CX
	JLT  done
	HALVES((SI))
	NIBBLES(4(SI), Y1, Y3)
	NIBBLES(12(SI), Y2, Y4)
	AFFINE(Y1, Y2, Y3, Y4)
	ADDQ $20, SI
	ADDQ $128, DI
	JMP  loop
done:
	VZEROUPPER
	RET

// FIFTHS sets Y5 to the 32 nibbles at q, in order, and Y6 to bytes of ones where the bit of the word at high is set. Y15, Y12 and
// Y11 hold nibbleBytes, spread and bitOfByte.
#define FIFTHS(high, q) \
	VMOVDQU q, X5 \
	VPSRLW $4, X5, X6 \
	VINSERTI128 $1, X6, Y5, Y5 \
	VPAND Y15, Y5, Y5 \
	VPBROADCASTD high, Y6 \
	VPSHUFB Y12, Y6, Y6 \
	VPAND Y11, Y6, Y6 \
	VPCMPEQB Y11, Y6, Y6

// func decodeQ5_0AVX2(dst *float32, src *byte, blocks int)
TEXT ·decodeQ5_0AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBytes<>(SB), Y15
	VMOVDQU spread<>(SB), Y12
	VMOVDQU bitOfByte<>(SB), Y11
loop:
	DECQ CX
	JLT  done
	HALF((SI), X14, Y14)
	FIFTHS(2(SI), 6(SI))
	VPANDN upperBytes<>(SB), Y6, Y6 // less 16 where the bit is not set
	VPOR Y6, Y5, Y5
	VEXTRACTI128 $1, Y5, X6
	BYTES(X5, X6)
	FOUR(Y1, Y2, Y3, Y4)
	ADDQ $22, SI
	ADDQ $128, DI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeQ5_1AVX2(dst *float32, src *byte, blocks int)
TEXT ·decodeQ5_1AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBytes<>(SB), Y15
	VMOVDQU spread<>(SB), Y12
	VMOVDQU bitOfByte<>(SB), Y11
loop:
	DECQ CX
	JLT  done
	HALVES((SI))
	FIFTHS(4(SI), 8(SI))
	VPAND sixteenBytes<>(SB), Y6, Y6
	VPOR Y6, Y5, Y5
	VEXTRACTI128 $1, Y5, X6
	BYTES(X5, X6)
	AFFINE(Y1, Y2, Y3, Y4)
	ADDQ $24, SI
	ADDQ $128, DI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeIQ4_NLAVX2(dst *float32, src *byte, blocks int)
TEXT ·decodeIQ4_NLAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBytes<>(SB), X15
	VMOVDQU iq4<>(SB), X13
loop:
	DECQ CX
	JLT  done
	HALF((SI), X14, Y14)
	LOOKUP(2(SI))
	ADDQ $18, SI
	ADDQ $128, DI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeMXFP4AVX2(dst *float32, src *byte, blocks int)
//
// The scale is 2^(e−128), subnormal for e = 0 and 1.
TEXT ·decodeMXFP4AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBytes<>(SB), X15
	VMOVDQU fp4<>(SB), X13
loop:
	DECQ CX
	JLT  done
	MOVBLZX (SI), AX
	MOVL AX, BX
	INCL BX
	SHLL $21, BX
	DECL AX
	CMPL AX, $1
	JLT  small
	SHLL $23, AX
	MOVL AX, BX
small: // (e + 1)·2²¹ = 2²¹·2^e
	VMOVD BX, X14
	VBROADCASTSS X14, Y14
	LOOKUP(1(SI))
	ADDQ $17, SI
	ADDQ $128, DI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeNVFP4AVX2(dst *float32, src *byte, blocks int)
//
// X12 are the four scales, floats with three exponent bits more: what their bits say where e ≥ 8, e/1024 below, 0 for 0x7F.
TEXT ·decodeNVFP4AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBytes<>(SB), X15
	VMOVDQU fp4<>(SB), X13
loop:
	DECQ CX
	JLT  done
	VPMOVZXBD (SI), X1
	VPSLLD $20, X1, X2
	VPADDD exponent119<>(SB), X2, X2
	VCVTDQ2PS X1, X3
	VMULPS milli<>(SB), X3, X3
	VMOVDQU eight<>(SB), X4
	VPCMPGTD X1, X4, X4
	VBLENDVPS X4, X3, X2, X2
	VPCMPEQD notANumber<>(SB), X1, X4
	VPANDN X2, X4, X12
	ADDQ $4, SI
	MOVL $4, BX
group:
	VBROADCASTSS X12, Y14
	VPSRLDQ $4, X12, X12
	VMOVQ (SI), X5
	VPSRLW $4, X5, X6
	VPUNPCKLQDQ X6, X5, X5
	VPAND X15, X5, X5
	VPSHUFB X5, X13, X5
	VPMOVSXBD X5, Y1
	VPSRLDQ $8, X5, X5
	VPMOVSXBD X5, Y2
	TIMES(Y1, Y14, (DI))
	TIMES(Y2, Y14, 32(DI))
	ADDQ $8, SI
	ADDQ $64, DI
	DECL BX
	JNE  group
	JMP  loop
done:
	VZEROUPPER
	RET
