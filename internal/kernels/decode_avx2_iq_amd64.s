#include "textflag.h"
#include "decode_amd64.h"

// Decoders of the codebook formats for AVX2 (tensor/unpack_iq.go). A codebook's entry, the numbers of eight (or twice four) levels
// of two (three) bits, goes to all lanes; each lane shifts its own number down and looks the level up among those of the
// group, in Y14, which are times the group's scale already. The sign bit is shifted up in the same way.
//
// Registers, in all of them: SI the block behind its first half (or its beginning, IQ1_M), DI the values, CX the blocks left, R8 the
// codebook, R10 evenSigns or the levels, DX the group, X10 the block's scale, X9 zero, Y11 the levels, Y12 sign bits, Y13 and Y15 shifts;
// AX, BX, R9, R11 scratch.

LANES8(signBits, 0x8000000080000000)
LANES8(one, 0x3F8000003F800000)
LANES8(oneEighth, 0x3E0000003E000000)
LANES8(oneQuarter, 0x3E8000003E800000)

#define EIGHT(name, a, b, c, d) \
	DATA name<>+0(SB)/8, $a \
	DATA name<>+8(SB)/8, $b \
	DATA name<>+16(SB)/8, $c \
	DATA name<>+24(SB)/8, $d \
	GLOBL name<>(SB), (NOPTR|RODATA), $32

EIGHT(twos, 0x0000000200000000, 0x0000000600000004, 0x0000000A00000008, 0x0000000E0000000C)
EIGHT(threes, 0x0000000300000000, 0x0000000900000006, 0x0000000F0000000C, 0x0000001500000012)
EIGHT(toSign, 0x0000001E0000001F, 0x0000001C0000001D, 0x0000001A0000001B, 0x0000001800000019)
EIGHT(iq2Levels, 0x41C8000041000000, 0x00000000422C0000, 0x41C8000041000000, 0x00000000422C0000) // 8 25 43, twice
EIGHT(iq3xxsLevels, 0x4140000040800000, 0x41E0000041A00000, 0x4230000042100000, 0x4278000042500000) // 4 12 20 28 36 44 52 62
EIGHT(iq3sLevels, 0x404000003F800000, 0x40E0000040A00000, 0x4130000041100000, 0x4170000041500000) // 1 3 5 7 9 11 13 15

// −1 0 1, twice, moved up by an eighth, then down.
DATA iq1Levels<>+0(SB)/8, $0x3E000000BF600000
DATA iq1Levels<>+8(SB)/8, $0x3E0000003F900000
DATA iq1Levels<>+16(SB)/8, $0x3E000000BF600000
DATA iq1Levels<>+24(SB)/8, $0x3E0000003F900000
DATA iq1Levels<>+32(SB)/8, $0xBE000000BF900000
DATA iq1Levels<>+40(SB)/8, $0xBE0000003F600000
DATA iq1Levels<>+48(SB)/8, $0xBE000000BF900000
DATA iq1Levels<>+56(SB)/8, $0xBE0000003F600000
GLOBL iq1Levels<>(SB), (NOPTR|RODATA), $64

// Seven signs and an eighth that makes the number of ones even.
DATA evenSigns<>+0(SB)/8, $0x8706058403828100
DATA evenSigns<>+8(SB)/8, $0x0F8E8D0C8B0A0988
DATA evenSigns<>+16(SB)/8, $0x1796951493121190
DATA evenSigns<>+24(SB)/8, $0x9F1E1D9C1B9A9918
DATA evenSigns<>+32(SB)/8, $0x27A6A524A32221A0
DATA evenSigns<>+40(SB)/8, $0xAF2E2DAC2BAAA928
DATA evenSigns<>+48(SB)/8, $0xB73635B433B2B130
DATA evenSigns<>+56(SB)/8, $0x3FBEBD3CBB3A39B8
DATA evenSigns<>+64(SB)/8, $0x47C6C544C34241C0
DATA evenSigns<>+72(SB)/8, $0xCF4E4DCC4BCAC948
DATA evenSigns<>+80(SB)/8, $0xD75655D453D2D150
DATA evenSigns<>+88(SB)/8, $0x5FDEDD5CDB5A59D8
DATA evenSigns<>+96(SB)/8, $0xE76665E463E2E160
DATA evenSigns<>+104(SB)/8, $0x6FEEED6CEB6A69E8
DATA evenSigns<>+112(SB)/8, $0x77F6F574F37271F0
DATA evenSigns<>+120(SB)/8, $0xFF7E7DFC7BFAF978
GLOBL evenSigns<>(SB), (NOPTR|RODATA), $128

// SCALE multiplies the levels by (2s + 1) times the block's scale, s in R9.
#define SCALE \
	LEAL 1(R9)(R9*1), R9 \
	VCVTSI2SSL R9, X9, X1 \
	VMULSS X1, X10, X1 \
	VBROADCASTSS X1, Y1 \
	VMULPS Y1, Y11, Y14

// HALFTIMES sets the block's scale to the half at SI times a number.
#define HALFTIMES(number) \
	VPBROADCASTW (SI), X10 \
	VCVTPH2PS X10, X10 \
	VMULSS number, X10, X10

// SIGNED gives the values in Y1 the signs in a byte and writes them.
#define SIGNED(sign, to) \
	VPBROADCASTB sign, Y2 \
	VPSLLVD Y13, Y2, Y2 \
	VPAND Y12, Y2, Y2 \
	VPXOR Y2, Y1, Y1 \
	VMOVUPS Y1, to

// LEVELS2 looks up entry AX of two bits each.
#define LEVELS2 \
	VPBROADCASTW (R8)(AX*2), Y1 \
	VPSRLVD Y15, Y1, Y1 \
	VPERMILPS Y1, Y14, Y1

// LEVELS3 looks up entries AX and R11 of three bits each.
#define LEVELS3 \
	MOVWLZX (R8)(AX*2), AX \
	MOVWLZX (R8)(R11*2), R11 \
	SHLL $12, R11 \
	ORL R11, AX \
	VMOVD AX, X1 \
	VPBROADCASTD X1, Y1 \
	VPSRLVD Y15, Y1, Y1 \
	VPERMPS Y14, Y1, Y1

// EVEN takes seven bits from BX and points at the eight signs that they stand for.
#define EVEN \
	MOVL BX, R9 \
	ANDL $127, R9 \
	SHRL $7, BX

#define ARGUMENTS \
	MOVQ dst+0(FP), DI \
	MOVQ src+8(FP), SI \
	MOVQ grid+16(FP), R8 \
	MOVQ blocks+24(FP), CX \
	VPXOR X9, X9, X9 \
	VMOVDQU signBits<>(SB), Y12 \
	VMOVDQU toSign<>(SB), Y13

// func decodeIQ2_XXSAVX2(dst *float32, src *byte, grid *uint16, blocks int)
//
// A group is four indices, then four times seven signs and a scale.
TEXT ·decodeIQ2_XXSAVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
	VMOVDQU twos<>(SB), Y15
	VMOVUPS iq2Levels<>(SB), Y11
	LEAQ evenSigns<>(SB), R10
loop:
	DECQ CX
	JLT  done
	HALFTIMES(oneEighth<>(SB))
	ADDQ $2, SI
	XORL DX, DX
group:
	MOVL 4(SI)(DX*8), BX
	MOVL BX, R9
	SHRL $28, R9
	SCALE
	MOVBLZX (SI)(DX*8), AX
	EVEN
	LEVELS2
	SIGNED((R10)(R9*1), (DI))
	MOVBLZX 1(SI)(DX*8), AX
	EVEN
	LEVELS2
	SIGNED((R10)(R9*1), 32(DI))
	MOVBLZX 2(SI)(DX*8), AX
	EVEN
	LEVELS2
	SIGNED((R10)(R9*1), 64(DI))
	MOVBLZX 3(SI)(DX*8), AX
	EVEN
	LEVELS2
	SIGNED((R10)(R9*1), 96(DI))
	ADDQ $128, DI
	INCL DX
	CMPL DX, $8
	JLT  group
	ADDQ $64, SI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeIQ2_XSAVX2(dst *float32, src *byte, grid *uint16, blocks int)
//
// Two groups a time: four indices of nine bits, each below seven signs; two scales.
TEXT ·decodeIQ2_XSAVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
	VMOVDQU twos<>(SB), Y15
	VMOVUPS iq2Levels<>(SB), Y11
	LEAQ evenSigns<>(SB), R10
loop:
	DECQ CX
	JLT  done
	HALFTIMES(oneEighth<>(SB))
	ADDQ $2, SI
	XORL DX, DX
group:
	MOVBLZX 64(SI)(DX*1), BX
	MOVL BX, R9
	ANDL $15, R9
	SCALE
	MOVWLZX (SI)(DX*8), AX
	MOVL AX, R9
	SHRL $9, R9
	ANDL $511, AX
	LEVELS2
	SIGNED((R10)(R9*1), (DI))
	MOVWLZX 2(SI)(DX*8), AX
	MOVL AX, R9
	SHRL $9, R9
	ANDL $511, AX
	LEVELS2
	SIGNED((R10)(R9*1), 32(DI))
	MOVL BX, R9
	SHRL $4, R9
	SCALE
	MOVWLZX 4(SI)(DX*8), AX
	MOVL AX, R9
	SHRL $9, R9
	ANDL $511, AX
	LEVELS2
	SIGNED((R10)(R9*1), 64(DI))
	MOVWLZX 6(SI)(DX*8), AX
	MOVL AX, R9
	SHRL $9, R9
	ANDL $511, AX
	LEVELS2
	SIGNED((R10)(R9*1), 96(DI))
	ADDQ $128, DI
	INCL DX
	CMPL DX, $8
	JLT  group
	ADDQ $72, SI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeIQ2_SAVX2(dst *float32, src *byte, grid *uint16, blocks int)
//
// Two groups a time: four indices, four bytes of signs, the upper two bits of the indices in BX, two scales.
TEXT ·decodeIQ2_SAVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
	VMOVDQU twos<>(SB), Y15
	VMOVUPS iq2Levels<>(SB), Y11
loop:
	DECQ CX
	JLT  done
	HALFTIMES(oneEighth<>(SB))
	ADDQ $2, SI
	XORL DX, DX
group:
	MOVBLZX 64(SI)(DX*1), BX
	SHLL $8, BX
	MOVBLZX 72(SI)(DX*1), R9
	ANDL $15, R9
	SCALE
	MOVBLZX (SI)(DX*4), AX
	MOVL BX, R9
	ANDL $0x300, R9
	ORL R9, AX
	SHRL $2, BX
	LEVELS2
	SIGNED(32(SI)(DX*4), (DI))
	MOVBLZX 1(SI)(DX*4), AX
	MOVL BX, R9
	ANDL $0x300, R9
	ORL R9, AX
	SHRL $2, BX
	LEVELS2
	SIGNED(33(SI)(DX*4), 32(DI))
	MOVBLZX 72(SI)(DX*1), R9
	SHRL $4, R9
	SCALE
	MOVBLZX 2(SI)(DX*4), AX
	MOVL BX, R9
	ANDL $0x300, R9
	ORL R9, AX
	SHRL $2, BX
	LEVELS2
	SIGNED(34(SI)(DX*4), 64(DI))
	MOVBLZX 3(SI)(DX*4), AX
	MOVL BX, R9
	ANDL $0x300, R9
	ORL R9, AX
	SHRL $2, BX
	LEVELS2
	SIGNED(35(SI)(DX*4), 96(DI))
	ADDQ $128, DI
	INCL DX
	CMPL DX, $8
	JLT  group
	ADDQ $80, SI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeIQ3_XXSAVX2(dst *float32, src *byte, grid *uint16, blocks int)
//
// A group is eight indices; four times seven signs and a scale.
TEXT ·decodeIQ3_XXSAVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
	VMOVDQU threes<>(SB), Y15
	VMOVUPS iq3xxsLevels<>(SB), Y11
	LEAQ evenSigns<>(SB), R10
loop:
	DECQ CX
	JLT  done
	HALFTIMES(oneQuarter<>(SB))
	ADDQ $2, SI
	XORL DX, DX
group:
	MOVL 64(SI)(DX*4), BX
	MOVL BX, R9
	SHRL $28, R9
	SCALE
	MOVBLZX (SI)(DX*8), AX
	MOVBLZX 1(SI)(DX*8), R11
	EVEN
	LEVELS3
	SIGNED((R10)(R9*1), (DI))
	MOVBLZX 2(SI)(DX*8), AX
	MOVBLZX 3(SI)(DX*8), R11
	EVEN
	LEVELS3
	SIGNED((R10)(R9*1), 32(DI))
	MOVBLZX 4(SI)(DX*8), AX
	MOVBLZX 5(SI)(DX*8), R11
	EVEN
	LEVELS3
	SIGNED((R10)(R9*1), 64(DI))
	MOVBLZX 6(SI)(DX*8), AX
	MOVBLZX 7(SI)(DX*8), R11
	EVEN
	LEVELS3
	SIGNED((R10)(R9*1), 96(DI))
	ADDQ $128, DI
	INCL DX
	CMPL DX, $8
	JLT  group
	ADDQ $96, SI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeIQ3_SAVX2(dst *float32, src *byte, grid *uint16, blocks int)
//
// A group is eight indices, their ninth bits in BX, four bytes of signs, a scale.
TEXT ·decodeIQ3_SAVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
	VMOVDQU threes<>(SB), Y15
	VMOVUPS iq3sLevels<>(SB), Y11
loop:
	DECQ CX
	JLT  done
	HALFTIMES(one<>(SB))
	ADDQ $2, SI
	XORL DX, DX
group:
	MOVBLZX 64(SI)(DX*1), BX
	SHLL $8, BX
	MOVL DX, AX
	SHRL $1, AX
	MOVBLZX 104(SI)(AX*1), R9
	MOVL R9, R11
	SHRL $4, R11
	TESTL $1, DX
	CMOVLNE R11, R9
	ANDL $15, R9
	SCALE
	MOVBLZX (SI)(DX*8), AX
	MOVBLZX 1(SI)(DX*8), R11
	MOVL BX, R9
	ANDL $0x100, R9
	ORL R9, AX
	SHRL $1, BX
	MOVL BX, R9
	ANDL $0x100, R9
	ORL R9, R11
	SHRL $1, BX
	LEVELS3
	SIGNED(72(SI)(DX*4), (DI))
	MOVBLZX 2(SI)(DX*8), AX
	MOVBLZX 3(SI)(DX*8), R11
	MOVL BX, R9
	ANDL $0x100, R9
	ORL R9, AX
	SHRL $1, BX
	MOVL BX, R9
	ANDL $0x100, R9
	ORL R9, R11
	SHRL $1, BX
	LEVELS3
	SIGNED(73(SI)(DX*4), 32(DI))
	MOVBLZX 4(SI)(DX*8), AX
	MOVBLZX 5(SI)(DX*8), R11
	MOVL BX, R9
	ANDL $0x100, R9
	ORL R9, AX
	SHRL $1, BX
	MOVL BX, R9
	ANDL $0x100, R9
	ORL R9, R11
	SHRL $1, BX
	LEVELS3
	SIGNED(74(SI)(DX*4), 64(DI))
	MOVBLZX 6(SI)(DX*8), AX
	MOVBLZX 7(SI)(DX*8), R11
	MOVL BX, R9
	ANDL $0x100, R9
	ORL R9, AX
	SHRL $1, BX
	MOVL BX, R9
	ANDL $0x100, R9
	ORL R9, R11
	SHRL $1, BX
	LEVELS3
	SIGNED(75(SI)(DX*4), 96(DI))
	ADDQ $128, DI
	INCL DX
	CMPL DX, $8
	JLT  group
	ADDQ $108, SI
	JMP  loop
done:
	VZEROUPPER
	RET

// func decodeIQ1_SAVX2(dst *float32, src *byte, grid *uint16, blocks int)
//
// A group is four indices; their upper three bits, a scale and which levels it takes in BX.
TEXT ·decodeIQ1_SAVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
	VMOVDQU twos<>(SB), Y15
	LEAQ iq1Levels<>(SB), R10
loop:
	DECQ CX
	JLT  done
	HALFTIMES(one<>(SB))
	ADDQ $2, SI
	XORL DX, DX
group:
	MOVWLZX 32(SI)(DX*2), BX
	MOVL BX, AX
	SHRL $15, AX
	SHLL $5, AX
	VMOVUPS (R10)(AX*1), Y11
	MOVL BX, R9
	SHRL $12, R9
	ANDL $7, R9
	SCALE
	SHLL $8, BX
	MOVBLZX (SI)(DX*4), AX
	MOVL BX, R9
	ANDL $0x700, R9
	ORL R9, AX
	SHRL $3, BX
	LEVELS2
	VMOVUPS Y1, (DI)
	MOVBLZX 1(SI)(DX*4), AX
	MOVL BX, R9
	ANDL $0x700, R9
	ORL R9, AX
	SHRL $3, BX
	LEVELS2
	VMOVUPS Y1, 32(DI)
	MOVBLZX 2(SI)(DX*4), AX
	MOVL BX, R9
	ANDL $0x700, R9
	ORL R9, AX
	SHRL $3, BX
	LEVELS2
	VMOVUPS Y1, 64(DI)
	MOVBLZX 3(SI)(DX*4), AX
	MOVL BX, R9
	ANDL $0x700, R9
	ORL R9, AX
	SHRL $3, BX
	LEVELS2
	VMOVUPS Y1, 96(DI)
	ADDQ $128, DI
	INCL DX
	CMPL DX, $8
	JLT  group
	ADDQ $48, SI
	JMP  loop
done:
	VZEROUPPER
	RET

// NINTHS sets AX to index i with upper three bits from R11, and the levels to those that the fourth chooses, times Y8.
#define NINTHS(index) \
	MOVBLZX index, AX \
	MOVL R11, R9 \
	ANDL $7, R9 \
	SHLL $8, R9 \
	ORL R9, AX \
	MOVL R11, R9 \
	ANDL $8, R9 \
	VMULPS (R10)(R9*4), Y8, Y14 \
	SHRL $4, R11

// func decodeIQ1_MAVX2(dst *float32, src *byte, grid *uint16, blocks int)
//
// DX counts pairs of eight values with a scale together: two indices, a byte R11 with their upper bits. BX are three bits each of the
// scales of a word, four; the upper four bits of the four words make up the half.
TEXT ·decodeIQ1_MAVX2(SB), NOSPLIT, $0-32
	ARGUMENTS
	VMOVDQU twos<>(SB), Y15
	LEAQ iq1Levels<>(SB), R10
loop:
	DECQ CX
	JLT  done
	MOVWLZX 48(SI), AX
	SHRL $12, AX
	MOVWLZX 50(SI), BX
	SHRL $8, BX
	ANDL $0x00F0, BX
	ORL BX, AX
	MOVWLZX 52(SI), BX
	SHRL $4, BX
	ANDL $0x0F00, BX
	ORL BX, AX
	MOVWLZX 54(SI), BX
	ANDL $0xF000, BX
	ORL BX, AX
	VMOVD AX, X10
	VCVTPH2PS X10, X10
	XORL DX, DX
word:
	MOVL DX, AX
	SHRL $2, AX
	MOVWLZX 48(SI)(AX*2), BX
pair:
	MOVL BX, R9
	ANDL $7, R9
	SHRL $3, BX
	LEAL 1(R9)(R9*1), R9
	VCVTSI2SSL R9, X9, X1
	VMULSS X1, X10, X1
	VBROADCASTSS X1, Y8
	MOVBLZX 32(SI)(DX*1), R11
	NINTHS((SI)(DX*2))
	LEVELS2
	VMOVUPS Y1, (DI)
	NINTHS(1(SI)(DX*2))
	LEVELS2
	VMOVUPS Y1, 32(DI)
	ADDQ $64, DI
	INCL DX
	TESTL $3, DX
	JNE  pair
	CMPL DX, $16
	JLT  word
	ADDQ $56, SI
	JMP  loop
done:
	VZEROUPPER
	RET
