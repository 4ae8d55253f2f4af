#include "textflag.h"
#include "decode_avx2_amd64.h"

// Decoders for AVX2 of formats of three values.

LANES8(byteBits, 0x000000FF000000FF)

// func decodeTQ2_0AVX2(dst *float32, src *byte, blocks int)
TEXT ·decodeTQ2_0AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU three<>(SB), Y15
	VPCMPEQD Y13, Y13, Y13 // −1
loop:
	DECQ CX
	JLT  done
	HALF(64(SI), X14, Y14)
	XORL BX, BX
run:
	VPMOVZXBD (SI), Y1
	VPMOVZXBD 8(SI), Y2
	VPMOVZXBD 16(SI), Y3
	VPMOVZXBD 24(SI), Y4
plane:
	PLANE(Y1, Y5)
	PLANE(Y2, Y6)
	PLANE(Y3, Y7)
	PLANE(Y4, Y8)
	VPADDD Y13, Y5, Y5
	VPADDD Y13, Y6, Y6
	VPADDD Y13, Y7, Y7
	VPADDD Y13, Y8, Y8
	FOUR(Y5, Y6, Y7, Y8)
	ADDQ $128, DI
	INCL BX
	TESTL $3, BX
	JNE  plane
	ADDQ $32, SI
	CMPL BX, $8
	JLT  run
	ADDQ $2, SI
	JMP  loop
done:
	VZEROUPPER
	RET

// TRIT writes the next digit of the bytes in rest, which are fractions of 256, less one. Y13 is −1, Y15 byteBits.
#define TRIT(rest, to) \
	VPADDD rest, rest, Y9 \
	VPADDD rest, Y9, Y9 \
	VPAND Y15, Y9, rest \
	VPSRLD $8, Y9, Y9 \
	VPADDD Y13, Y9, Y9 \
	VCVTDQ2PS Y9, Y9 \
	VMULPS Y9, Y14, Y9 \
	VMOVUPS Y9, to

// func decodeTQ1_0AVX2(dst *float32, src *byte, blocks int)
//
// Five digits of 32 bytes, five of 16 bytes, four of 4 bytes.
TEXT ·decodeTQ1_0AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ blocks+16(FP), CX
	VMOVDQU byteBits<>(SB), Y15
	VPCMPEQD Y13, Y13, Y13
loop:
	DECQ CX
	JLT  done
	HALF(52(SI), X14, Y14)
	VPMOVZXBD (SI), Y1
	VPMOVZXBD 8(SI), Y2
	VPMOVZXBD 16(SI), Y3
	VPMOVZXBD 24(SI), Y4
	MOVL $5, BX
long:
	TRIT(Y1, (DI))
	TRIT(Y2, 32(DI))
	TRIT(Y3, 64(DI))
	TRIT(Y4, 96(DI))
	ADDQ $128, DI
	DECL BX
	JNE  long
	VPMOVZXBD 32(SI), Y1
	VPMOVZXBD 40(SI), Y2
	MOVL $5, BX
short:
	TRIT(Y1, (DI))
	TRIT(Y2, 32(DI))
	ADDQ $64, DI
	DECL BX
	JNE  short
	VPMOVZXBD 48(SI), X1
	VPADDD X1, X1, X2
	VPADDD X1, X2, X2 // three times them: the first digit on top
	VPAND X15, X2, X1
	VPSRLD $8, X2, X2
	VPADDD X1, X1, X4
	VPADDD X1, X4, X4
	VPSRLD $8, X4, X5
	VINSERTI128 $1, X5, Y2, Y2 // digits one and two
	VPADDD Y13, Y2, Y2
	TIMES(Y2, Y14, (DI))
	VPAND X15, X4, X1
	VPADDD X1, X1, X2
	VPADDD X1, X2, X2
	VPAND X15, X2, X1
	VPSRLD $8, X2, X2
	VPADDD X1, X1, X4
	VPADDD X1, X4, X4
	VPSRLD $8, X4, X5
	VINSERTI128 $1, X5, Y2, Y2 // digits three and four
	VPADDD Y13, Y2, Y2
	TIMES(Y2, Y14, 32(DI))
	ADDQ $64, DI
	ADDQ $54, SI
	JMP  loop
done:
	VZEROUPPER
	RET
