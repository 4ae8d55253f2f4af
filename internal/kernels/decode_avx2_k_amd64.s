#include "funcdata.h"
#include "textflag.h"
#include "decode_avx2_amd64.h"

// Decoders for AVX2 of formats in super-blocks without a codebook.

LANES8(sixteen, 0x0000001000000010)
LANES8(thirtyTwo, 0x0000002000000020)
LANES8(fortyEight, 0x0000003000000030)
LANES8(four, 0x0000000400000004)
LANES8(threeBytes, 0x0303030303030303)
LANES8(thirtyTwoBytes, 0x2020202020202020)

DATA evens<>+0(SB)/8, $0x0000000200000000
DATA evens<>+8(SB)/8, $0x0000000600000004
GLOBL evens<>(SB), (NOPTR|RODATA), $16

// SIXBITS sets the 64 bytes at SP to the eight scales and the eight minima of a block of Q4_K or Q5_K, times their
// halves: sixBitPairs in tensor/unpack_k.go.
#define SIXBITS \
	HALVES((SI)) \
	MOVL 4(SI), AX \
	MOVL 8(SI), BX \
	MOVL 12(SI), DX \
	MOVL AX, R8 \
	SHRL $2, R8 \
	ANDL $0x30303030, R8 \
	MOVL DX, R9 \
	ANDL $0x0F0F0F0F, R9 \
	ORL R9, R8 \
	MOVL BX, R9 \
	SHRL $2, R9 \
	ANDL $0x30303030, R9 \
	SHRL $4, DX \
	ANDL $0x0F0F0F0F, DX \
	ORL DX, R9 \
	ANDL $0x3F3F3F3F, AX \
	ANDL $0x3F3F3F3F, BX \
	SHLQ $32, R8 \
	SHLQ $32, R9 \
	ORQ AX, R8 \
	ORQ BX, R9 \
	VMOVQ R8, X1 \
	VMOVQ R9, X2 \
	VPMOVZXBD X1, Y1 \
	VPMOVZXBD X2, Y2 \
	VCVTDQ2PS Y1, Y1 \
	VCVTDQ2PS Y2, Y2 \
	VMULPS Y1, Y14, Y1 \
	VMULPS Y2, Y13, Y2 \
	VMOVUPS Y1, 0(SP) \
	VMOVUPS Y2, 32(SP)

// func decodeIQ4_XSAVX2(dst *float32, src *byte, blocks int)
//
// AX and BX hold the low nibbles and the upper two bits of the scales to come, X12 the block's scale.
TEXT ·decodeIQ4_XSAVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBytes<>(SB), X15
	VMOVDQU iq4<>(SB), X13
	VPXOR X11, X11, X11
loop:
	DECQ CX
	JLT  done
	HALF((SI), X12, X12)
	MOVWLZX 2(SI), BX
	MOVL 4(SI), AX
	ADDQ $8, SI
	SHLL $4, BX
	MOVL $8, R8
group:
	MOVL AX, R9
	MOVL BX, R10
	ANDL $0x0F, R9
	ANDL $0x30, R10
	LEAL -32(R9)(R10*1), R9
	VCVTSI2SSL R9, X11, X14
	VMULSS X14, X12, X14
	VBROADCASTSS X14, Y14
	LOOKUP((SI))
	SHRL $4, AX
	SHRL $2, BX
	ADDQ $16, SI
	ADDQ $128, DI
	DECL R8
	JNE  group
	JMP  loop
done:
	VZEROUPPER
	RET

// MINUS writes eight values q·scale − minimum.
#define MINUS(q, scale, minimum, to) \
	VCVTDQ2PS q, q \
	VFMSUB213PS minimum, scale, q \
	VMOVUPS q, to

// func decodeQ4_KAVX2(dst *float32, src *byte, blocks int)
//
// Low nibbles take scale and minimum from Y14 and Y13, high ones from Y12 and Y11. BX counts the four runs of 32 bytes.
TEXT ·decodeQ4_KAVX2(SB), NOSPLIT, $64-24
	NO_LOCAL_POINTERS
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBits<>(SB), Y15
loop:
	DECQ CX
	JLT  done
	SIXBITS
	ADDQ $16, SI
	XORL BX, BX
run:
	VBROADCASTSS 0(SP)(BX*8), Y14
	VBROADCASTSS 32(SP)(BX*8), Y13
	VBROADCASTSS 4(SP)(BX*8), Y12
	VBROADCASTSS 36(SP)(BX*8), Y11
	NIBBLES((SI), Y1, Y2)
	NIBBLES(8(SI), Y3, Y4)
	NIBBLES(16(SI), Y5, Y6)
	NIBBLES(24(SI), Y7, Y8)
	MINUS(Y1, Y14, Y13, (DI))
	MINUS(Y3, Y14, Y13, 32(DI))
	MINUS(Y5, Y14, Y13, 64(DI))
	MINUS(Y7, Y14, Y13, 96(DI))
	MINUS(Y2, Y12, Y11, 128(DI))
	MINUS(Y4, Y12, Y11, 160(DI))
	MINUS(Y6, Y12, Y11, 192(DI))
	MINUS(Y8, Y12, Y11, 224(DI))
	ADDQ $32, SI
	ADDQ $256, DI
	INCL BX
	CMPL BX, $4
	JLT  run
	JMP  loop
done:
	VZEROUPPER
	RET

// FIFTH decodes eight bytes: the fifth bits of the low nibbles are the lowest of the lanes of h, those of the high nibbles the next.
// Y10 is sixteen.
#define FIFTH(q, h, lo, hi) \
	NIBBLES(q, Y1, Y2) \
	VPSLLD $4, h, Y3 \
	VPSLLD $3, h, Y4 \
	VPAND Y10, Y3, Y3 \
	VPAND Y10, Y4, Y4 \
	VPOR Y3, Y1, Y1 \
	VPOR Y4, Y2, Y2 \
	VPSRLD $2, h, h \
	MINUS(Y1, Y14, Y13, lo) \
	MINUS(Y2, Y12, Y11, hi)

// func decodeQ5_KAVX2(dst *float32, src *byte, blocks int)
//
// As Q4_K, with the fifth bits of all values in Y6 … Y9.
TEXT ·decodeQ5_KAVX2(SB), NOSPLIT, $64-24
	NO_LOCAL_POINTERS
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBits<>(SB), Y15
	VMOVDQU sixteen<>(SB), Y10
loop:
	DECQ CX
	JLT  done
	SIXBITS
	VPMOVZXBD 16(SI), Y6
	VPMOVZXBD 24(SI), Y7
	VPMOVZXBD 32(SI), Y8
	VPMOVZXBD 40(SI), Y9
	ADDQ $48, SI
	XORL BX, BX
run:
	VBROADCASTSS 0(SP)(BX*8), Y14
	VBROADCASTSS 32(SP)(BX*8), Y13
	VBROADCASTSS 4(SP)(BX*8), Y12
	VBROADCASTSS 36(SP)(BX*8), Y11
	FIFTH((SI), Y6, (DI), 128(DI))
	FIFTH(8(SI), Y7, 32(DI), 160(DI))
	FIFTH(16(SI), Y8, 64(DI), 192(DI))
	FIFTH(24(SI), Y9, 96(DI), 224(DI))
	ADDQ $32, SI
	ADDQ $256, DI
	INCL BX
	CMPL BX, $4
	JLT  run
	JMP  loop
done:
	VZEROUPPER
	RET

// SIXTH decodes eight bytes at each of two places with the upper two bits in h: four times eight values, 32 apart. Y12 and
// Y11 are thirtyTwo and fortyEight.
#define SIXTH(l0, l1, h, s0, s1, s2, s3, d0, d1, d2, d3) \
	VPMOVZXBD h, Y5 \
	NIBBLES(l0, Y1, Y3) \
	NIBBLES(l1, Y2, Y4) \
	VPSLLD $4, Y5, Y6 \
	VPSLLD $2, Y5, Y7 \
	VPSRLD $2, Y5, Y8 \
	VPAND Y11, Y6, Y6 \
	VPAND Y11, Y7, Y7 \
	VPAND Y11, Y5, Y5 \
	VPAND Y11, Y8, Y8 \
	VPOR Y6, Y1, Y1 \
	VPOR Y7, Y2, Y2 \
	VPOR Y5, Y3, Y3 \
	VPOR Y8, Y4, Y4 \
	SCALED(Y1, s0, d0) \
	SCALED(Y2, s1, d1) \
	SCALED(Y3, s2, d2) \
	SCALED(Y4, s3, d3)

// SCALED writes (q − 32)·scale.
#define SCALED(q, scale, to) \
	VPSUBD Y12, q, q \
	VCVTDQ2PS q, q \
	VBROADCASTSS scale, Y9 \
	VMULPS q, Y9, q \
	VMOVUPS q, to

// func decodeQ6_KAVX2(dst *float32, src *byte, blocks int)
//
// The 64 bytes at SP are the sixteen scales. BX counts the two halves of a block, DX is its upper bits.
TEXT ·decodeQ6_KAVX2(SB), NOSPLIT, $64-24
	NO_LOCAL_POINTERS
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU nibbleBits<>(SB), Y15
	VMOVDQU thirtyTwo<>(SB), Y12
	VMOVDQU fortyEight<>(SB), Y11
loop:
	DECQ CX
	JLT  done
	HALF(208(SI), X14, Y14)
	VPMOVSXBD 192(SI), Y1
	VPMOVSXBD 200(SI), Y2
	VCVTDQ2PS Y1, Y1
	VCVTDQ2PS Y2, Y2
	VMULPS Y1, Y14, Y1
	VMULPS Y2, Y14, Y2
	VMOVUPS Y1, 0(SP)
	VMOVUPS Y2, 32(SP)
	LEAQ 128(SI), DX
	XORL BX, BX
half:
	SIXTH((SI), 32(SI), (DX), 0(SP)(BX*8), 8(SP)(BX*8), 16(SP)(BX*8), 24(SP)(BX*8), (DI), 128(DI), 256(DI), 384(DI))
	SIXTH(8(SI), 40(SI), 8(DX), 0(SP)(BX*8), 8(SP)(BX*8), 16(SP)(BX*8), 24(SP)(BX*8), 32(DI), 160(DI), 288(DI), 416(DI))
	SIXTH(16(SI), 48(SI), 16(DX), 4(SP)(BX*8), 12(SP)(BX*8), 20(SP)(BX*8), 28(SP)(BX*8), 64(DI), 192(DI), 320(DI), 448(DI))
	SIXTH(24(SI), 56(SI), 24(DX), 4(SP)(BX*8), 12(SP)(BX*8), 20(SP)(BX*8), 28(SP)(BX*8), 96(DI), 224(DI), 352(DI), 480(DI))
	ADDQ $64, SI
	ADDQ $32, DX
	ADDQ $512, DI
	ADDL $4, BX
	CMPL BX, $8
	JLT  half
	ADDQ $82, SI // 64 bytes of upper bits, 16 scales, a half
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeQ2_KAVX2(dst *float32, src *byte, blocks int)
//
// The 128 bytes at SP are the sixteen scales and the sixteen minima. Y1 … Y4 are 32 bytes, of which each of four planes is two groups of
// sixteen values; BX counts planes, eight in a block.
TEXT ·decodeQ2_KAVX2(SB), NOSPLIT, $128-24
	NO_LOCAL_POINTERS
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU three<>(SB), Y15
loop:
	DECQ CX
	JLT  done
	HALVES(80(SI))
	VMOVDQU (SI), X1
	VPSRLW $4, X1, X2
	VPAND nibbleBytes<>(SB), X1, X1
	VPAND nibbleBytes<>(SB), X2, X2
	VPMOVZXBD X1, Y3
	VPSRLDQ $8, X1, X1
	VPMOVZXBD X1, Y4
	VPMOVZXBD X2, Y5
	VPSRLDQ $8, X2, X2
	VPMOVZXBD X2, Y6
	VCVTDQ2PS Y3, Y3
	VCVTDQ2PS Y4, Y4
	VCVTDQ2PS Y5, Y5
	VCVTDQ2PS Y6, Y6
	VMULPS Y3, Y14, Y3
	VMULPS Y4, Y14, Y4
	VMULPS Y5, Y13, Y5
	VMULPS Y6, Y13, Y6
	VMOVUPS Y3, 0(SP)
	VMOVUPS Y4, 32(SP)
	VMOVUPS Y5, 64(SP)
	VMOVUPS Y6, 96(SP)
	ADDQ $16, SI
	XORL BX, BX
run:
	VPMOVZXBD (SI), Y1
	VPMOVZXBD 8(SI), Y2
	VPMOVZXBD 16(SI), Y3
	VPMOVZXBD 24(SI), Y4
plane:
	VBROADCASTSS 0(SP)(BX*8), Y14
	VBROADCASTSS 64(SP)(BX*8), Y13
	VBROADCASTSS 4(SP)(BX*8), Y12
	VBROADCASTSS 68(SP)(BX*8), Y11
	PLANE(Y1, Y5)
	PLANE(Y2, Y6)
	PLANE(Y3, Y7)
	PLANE(Y4, Y8)
	MINUS(Y5, Y14, Y13, (DI))
	MINUS(Y6, Y14, Y13, 32(DI))
	MINUS(Y7, Y12, Y11, 64(DI))
	MINUS(Y8, Y12, Y11, 96(DI))
	ADDQ $128, DI
	INCL BX
	TESTL $3, BX
	JNE  plane
	ADDQ $32, SI
	CMPL BX, $8
	JLT  run
	ADDQ $4, SI // two halves
	JMP  loop
done:
	VZEROUPPER
	RET

// THIRD sets q to the next two bits of the lanes of bits, less four where the lowest of high is not set; Y11 is four.
#define THIRD(bits, high, q) \
	VPAND Y15, bits, q \
	VPSRLD $2, bits, bits \
	VPSLLD $2, high, Y9 \
	VPAND Y11, Y9, Y9 \
	VPSRLD $1, high, high \
	VPOR Y9, q, q \
	VPSUBD Y11, q, q

// func decodeQ3_KAVX2(dst *float32, src *byte, blocks int)
//
// The 64 bytes at SP are the sixteen scales. Y1 … Y4 are 32 bytes with four planes of two bits, Y5 … Y8 the 32 bytes of the
// third bits; BX counts planes, eight in a block, DX goes through the two bits.
TEXT ·decodeQ3_KAVX2(SB), NOSPLIT, $64-24
	NO_LOCAL_POINTERS
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU three<>(SB), Y15
	VMOVDQU four<>(SB), Y11
loop:
	DECQ CX
	JLT  done
	HALF(108(SI), X14, Y14)
	MOVL 96(SI), AX // the low nibbles of scales 0 to 3 and 8 to 11, then of 4 to 7 and 12 to 15
	MOVL 100(SI), BX
	MOVL 104(SI), DX // the upper two bits of all
	VMOVD AX, X1
	VPINSRD $1, BX, X1, X1
	SHRL $4, AX
	SHRL $4, BX
	VPINSRD $2, AX, X1, X1
	VPINSRD $3, BX, X1, X1
	VPAND nibbleBytes<>(SB), X1, X1
	VMOVD DX, X2
	VPBROADCASTD X2, X2
	VPSRLVD evens<>(SB), X2, X2
	VPAND threeBytes<>(SB), X2, X2
	VPSLLD $4, X2, X2
	VPOR X2, X1, X1
	VPSUBB thirtyTwoBytes<>(SB), X1, X1
	VPMOVSXBD X1, Y2
	VPSRLDQ $8, X1, X1
	VPMOVSXBD X1, Y3
	VCVTDQ2PS Y2, Y2
	VCVTDQ2PS Y3, Y3
	VMULPS Y2, Y14, Y2
	VMULPS Y3, Y14, Y3
	VMOVUPS Y2, 0(SP)
	VMOVUPS Y3, 32(SP)
	VPMOVZXBD (SI), Y5
	VPMOVZXBD 8(SI), Y6
	VPMOVZXBD 16(SI), Y7
	VPMOVZXBD 24(SI), Y8
	LEAQ 32(SI), DX
	XORL BX, BX
run:
	VPMOVZXBD (DX), Y1
	VPMOVZXBD 8(DX), Y2
	VPMOVZXBD 16(DX), Y3
	VPMOVZXBD 24(DX), Y4
plane:
	VBROADCASTSS 0(SP)(BX*8), Y14
	VBROADCASTSS 4(SP)(BX*8), Y13
	THIRD(Y1, Y5, Y10)
	TIMES(Y10, Y14, (DI))
	THIRD(Y2, Y6, Y10)
	TIMES(Y10, Y14, 32(DI))
	THIRD(Y3, Y7, Y10)
	TIMES(Y10, Y13, 64(DI))
	THIRD(Y4, Y8, Y10)
	TIMES(Y10, Y13, 96(DI))
	ADDQ $128, DI
	INCL BX
	TESTL $3, BX
	JNE  plane
	ADDQ $32, DX
	CMPL BX, $8
	JLT  run
	ADDQ $110, SI
	JMP  loop
done:
	VZEROUPPER
	RET
