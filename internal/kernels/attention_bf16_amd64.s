#include "funcdata.h"
#include "textflag.h"
#include "words_amd64.h"
#include "attention_avx512_amd64.h"
#include "attention_bf16_amd64.h"
#include "columns_amd64.h"

// Attention whose products take bf16: tensor.PairAttention, which says how what is packed lies.

DATA log2e<>+0(SB)/4, $0x3FB8AA3B
GLOBL log2e<>(SB), RODATA|NOPTR, $4

// func packQueriesBF16(dst *uint16, q *float32, stride, n, dim int)
//
//	DI dst, SI a query, R8 from one to the next, R9 queries left, DX where in it, CX its numbers left
TEXT ·packQueriesBF16(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ q+8(FP), SI
	MOVQ stride+16(FP), R8
	MOVQ n+24(FP), R9
	SHLQ $2, R8
	VBROADCASTSS log2e<>(SB), Z2

query:
	MOVQ SI, DX
	MOVQ dim+32(FP), CX

block:
	MASKS(CX, AX, all)
	VMULPS.Z (DX), Z2, K1, Z0
	VMULPS.Z 64(DX), Z2, K2, Z1
	VCVTNE2PS2BF16(0, 1, 0)
	VMOVDQU64 Z0, (DI)
	ADDQ $128, DX
	ADDQ $64, DI
	SUBQ $32, CX
	JG   block
	ADDQ R8, SI
	DECQ R9
	JNZ  query
	VZEROUPPER
	RET

// func packKeysF32BF16(dst *uint16, keys *byte, rowBytes, count, dim int)
TEXT ·packKeysF32BF16(SB), 0, $1088-40
	NO_LOCAL_POINTERS
	PACK_KEYS(SOME_F32, 128)

// func packKeysF16BF16(dst *uint16, keys *byte, rowBytes, count, dim int)
TEXT ·packKeysF16BF16(SB), 0, $1088-40
	NO_LOCAL_POINTERS
	PACK_KEYS(SOME_F16, 64)

// func packKeysQ8_0BF16(dst *uint16, keys *byte, rowBytes, count, dim int)
TEXT ·packKeysQ8_0BF16(SB), 0, $1088-40
	NO_LOCAL_POINTERS
	PACK_KEYS(LOAD_Q8_0, 34)

// func packKeysQ4_0BF16(dst *uint16, keys *byte, rowBytes, count, dim int)
TEXT ·packKeysQ4_0BF16(SB), 0, $1088-40
	NO_LOCAL_POINTERS
	VMOVUPS fours<>(SB), Z30
	PACK_KEYS(LOAD_Q4_0, 18)

// The places of two rows' numbers in turn.
DATA turns<>+0(SB)/8, $0x0011000100100000
DATA turns<>+8(SB)/8, $0x0013000300120002
DATA turns<>+16(SB)/8, $0x0015000500140004
DATA turns<>+24(SB)/8, $0x0017000700160006
DATA turns<>+32(SB)/8, $0x0019000900180008
DATA turns<>+40(SB)/8, $0x001B000B001A000A
DATA turns<>+48(SB)/8, $0x001D000D001C000C
DATA turns<>+56(SB)/8, $0x001F000F001E000E
GLOBL turns<>(SB), RODATA|NOPTR, $64

// func packValuesF32BF16(dst *uint16, values *byte, rowBytes, count, dim int)
TEXT ·packValuesF32BF16(SB), NOSPLIT, $0-40
	PACK_VALUES(SOME_F32, 128)

// func packValuesF16BF16(dst *uint16, values *byte, rowBytes, count, dim int)
TEXT ·packValuesF16BF16(SB), NOSPLIT, $0-40
	PACK_VALUES(SOME_F16, 64)

// func packValuesQ8_0BF16(dst *uint16, values *byte, rowBytes, count, dim int)
TEXT ·packValuesQ8_0BF16(SB), NOSPLIT, $0-40
	PACK_VALUES(LOAD_Q8_0, 34)

// func packValuesQ4_0BF16(dst *uint16, values *byte, rowBytes, count, dim int)
TEXT ·packValuesQ4_0BF16(SB), NOSPLIT, $0-40
	VMOVUPS fours<>(SB), Z30
	PACK_VALUES(LOAD_Q4_0, 18)

// func multiply1BF16(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
//	step int)
TEXT ·multiply1BF16(SB), NOSPLIT, $0-88
	MULTIPLY(GET_1, PAIR_1, DOT_1, PUT_1)

// func multiply2BF16(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
//	step int)
TEXT ·multiply2BF16(SB), NOSPLIT, $0-88
	MULTIPLY(GET_2, PAIR_2, DOT_2, PUT_2)

// func multiply3BF16(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
//	step int)
TEXT ·multiply3BF16(SB), NOSPLIT, $0-88
	MULTIPLY(GET_3, PAIR_3, DOT_3, PUT_3)

// func multiply4BF16(dst *float32, stride int, a *uint16, aStride int, b *uint16, n, pairs, vectors int, add, last uint32, next uintptr,
//	step int)
TEXT ·multiply4BF16(SB), NOSPLIT, $0-88
	MULTIPLY(GET_4, PAIR_4, DOT_4, PUT_4)

// The polynomial of tensor.OnlineSoftmax, the last coefficient first, and a pair of ones.
DATA power<>+0(SB)/4, $0x3C204882
DATA power<>+4(SB)/4, $0x3D654804
DATA power<>+8(SB)/4, $0x3E75F8DA
DATA power<>+12(SB)/4, $0x3F316FE5
DATA power<>+16(SB)/4, $0x3F800000
DATA power<>+20(SB)/4, $0x3F803F80
GLOBL power<>(SB), RODATA|NOPTR, $24

// func softmaxBF16(weights *uint16, scores, top, sum, factor *float32, n int)
//
//	DI weights, SI scores, R8 top, R9 sum, R10 factor, CX queries left; Z19 the sums, scaled
TEXT ·softmaxBF16(SB), NOSPLIT, $0-48
	MOVQ weights+0(FP), DI
	MOVQ scores+8(FP), SI
	MOVQ top+16(FP), R8
	MOVQ sum+24(FP), R9
	MOVQ factor+32(FP), R10
	MOVQ n+40(FP), CX
	VBROADCASTSS power<>+0(SB), Z25
	VBROADCASTSS power<>+4(SB), Z26
	VBROADCASTSS power<>+8(SB), Z27
	VBROADCASTSS power<>+12(SB), Z28
	VBROADCASTSS power<>+16(SB), Z29
	VBROADCASTSS power<>+20(SB), Z30

loop:
	LARGEST4(0, Z20)
	LARGEST4(256, Z21)
	LARGEST4(512, Z22)
	LARGEST4(768, Z23)
	LANES(VMAXPS)
	VMOVUPS (R8), Z0
	VMAXPS  Z0, Z20, Z1
	VMOVUPS Z1, (R8)
	VSUBPS  Z1, Z0, Z0
	POWER(Z0, Z4, Z8)
	VMOVUPS Z8, (R10)
	VMULPS  (R9), Z8, Z19
	WEIGHTS4(0, Z20)
	WEIGHTS4(1, Z21)
	WEIGHTS4(2, Z22)
	WEIGHTS4(3, Z23)
	LANES(VADDPS)
	VADDPS  Z20, Z19, Z19
	VMOVUPS Z19, (R9)
	ADDQ $64, R8
	ADDQ $64, R9
	ADDQ $64, R10
	ADDQ $4096, SI
	ADDQ $2048, DI
	SUBQ $16, CX
	JG   loop
	VZEROUPPER
	RET
