#include "decode_amd64.h"

// What the decoders for AVX2 with F16C share, one per format (tensor/unpack*.go). The products are exact there, so a fused multiply-add
// gives the same bits.
//
// Registers, in all of them: SI the blocks, DI the values, CX the values or blocks left, AX, BX, DX, R8 … R10 scratch; Y15 bits of a
// nibble, Y14 a scale over all lanes, Y13 a minimum.

LANES8(nibbleBits, 0x0000000F0000000F)
LANES8(nibbleBytes, 0x0F0F0F0F0F0F0F0F)
LANES8(three, 0x0000000300000003)

// What a nibble stands for.
DATA iq4<>+0(SB)/8, $0xF6EADDCFBFAD9881 // −127 −104 −83 −65 −49 −35 −22 −10
DATA iq4<>+8(SB)/8, $0x7159453526190D01 // 1 13 25 38 53 69 89 113
GLOBL iq4<>(SB), (NOPTR|RODATA), $16
DATA fp4<>+0(SB)/8, $0x0C08060403020100
DATA fp4<>+8(SB)/8, $0xF4F8FAFCFDFEFF00
GLOBL fp4<>(SB), (NOPTR|RODATA), $16

// FOUR writes eight values of each of four registers of integers, times the scale, to DI.
#define FOUR(a, b, c, d) \
	VCVTDQ2PS a, a \
	VCVTDQ2PS b, b \
	VCVTDQ2PS c, c \
	VCVTDQ2PS d, d \
	VMULPS a, Y14, a \
	VMULPS b, Y14, b \
	VMULPS c, Y14, c \
	VMULPS d, Y14, d \
	VMOVUPS a, (DI) \
	VMOVUPS b, 32(DI) \
	VMOVUPS c, 64(DI) \
	VMOVUPS d, 96(DI)

// BYTES widens the sixteen signed bytes of lo and of hi to Y1 … Y4. It destroys them.
#define BYTES(lo, hi) \
	VPMOVSXBD lo, Y1 \
	VPSRLDQ $8, lo, lo \
	VPMOVSXBD lo, Y2 \
	VPMOVSXBD hi, Y3 \
	VPSRLDQ $8, hi, hi \
	VPMOVSXBD hi, Y4

// LOOKUP decodes the 32 nibbles at q: X13 is the table of what they stand for, X15 nibbleBytes.
#define LOOKUP(q) \
	VMOVDQU q, X5 \
	VPSRLW $4, X5, X6 \
	VPAND X15, X5, X5 \
	VPAND X15, X6, X6 \
	VPSHUFB X5, X13, X5 \
	VPSHUFB X6, X13, X6 \
	BYTES(X5, X6) \
	FOUR(Y1, Y2, Y3, Y4)

// HALF sets all lanes of the scale to a half.
#define HALF(at, x, y) \
	VPBROADCASTW at, x \
	VCVTPH2PS x, y

// HALVES sets the lanes of Y14 to the first half and those of Y13 to the second.
#define HALVES(at) \
	VPBROADCASTD at, X1 \
	VCVTPH2PS X1, X1 \
	VBROADCASTSS X1, Y14 \
	VMOVSHDUP X1, X1 \
	VBROADCASTSS X1, Y13

// NIBBLES sets lo and hi to the low and the high nibbles of eight bytes; Y15 is nibbleBits.
#define NIBBLES(q, lo, hi) \
	VPMOVZXBD q, hi \
	VPAND Y15, hi, lo \
	VPSRLD $4, hi, hi

// PLANE sets q to the lowest two bits of the lanes of bits and moves on to the next two; Y15 is three.
#define PLANE(bits, q) \
	VPAND Y15, bits, q \
	VPSRLD $2, bits, bits

// TIMES writes eight values q·scale.
#define TIMES(q, scale, to) \
	VCVTDQ2PS q, q \
	VMULPS q, scale, q \
	VMOVUPS q, to
