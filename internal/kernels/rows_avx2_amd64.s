#include "funcdata.h"
#include "textflag.h"

// Products of weights and activations in 8 bits for AVX2 and AVX-VNNI: rows for one token, tiles of eight rows for several. What
// the functions compute is said in rows_avx2_amd64.go.
//
// Columns. All formats are read in super-blocks of 256 columns: a block of the K formats and of IQ4_XS, eight blocks of the
// others; what a row has beyond the last eight is copied to a buffer of zeros and read as one more. A super-block is four units
// j = 0 … 3 of 64 columns, and a unit two blocks of 32, A and B. To a format belong two macros:
//
//	SCALES_… the scales of a super-block as floats in Y1 (and Y12), its minimums in Y10 (and Y11)
//	UNPACK_… the weights of unit j as bytes, with the format's offset: Y2 = the first 16 of A | of B, Y3 = the last 16 of A | of B;
//	         where 16 columns have a scale, Y2 = A, Y3 = B. Where units differ, there is a macro for each
//
// Panels, for several tokens, have macros of their own: there words of eight rows lie beside each other.
//
// Lanes. The eight blocks of a super-block have the lanes 0 2 4 6 | 1 3 5 7: all A, then all B. Where 16 columns have a scale, two
// vectors hold the sixteen halves of blocks, each with the even ones first: 0 2 4 6 | 1 3 5 7 and 8 10 12 14 | 9 11 13 15.
//
// Arithmetic. The sum of (w + offset)·q over a block, or half of one, is taken in integers, and −offset·Σq is added: exact. Then
//
//	acc[lane] = fma(float(sum), d·dx, acc[lane])    and for formats with a minimum
//	acc[lane] = fma(m, −dx·Σq, acc[lane])
//
// super-block by super-block, and in the end the lanes are added in pairs. Rows and tiles, AVX2 and AVX-VNNI do these operations
// in this order, so they give the same bits.
//
// The digest of a token is its activations in the order in which rows want them, 384 bytes for a super-block:
//
//	0    q, in the order of the weights
//	256  dx by lane, in two vectors where halves have scales
//	320  the offset's share −offset·Σq as integers, or −dx·Σq as floats, likewise
//
// Registers that hold the same thing everywhere:
//
//	SI   weights: a super-block of a row, or a panel
//	BX   the digest                       Y13  16 × int16(1)
//	CX   super-blocks or units to go      Y14  32 × byte(15)
//	R13  the frame, aligned to 32         Y15  a table, shifts or a mask of the format
//	AX, DX, R9, Y8, Y9  scratch

#define ONES \
	VPCMPEQW Y13, Y13, Y13; \
	VPSRLW   $15, Y13, Y13

#define NIBBLES \
	VPCMPEQB  Y14, Y14, Y14; \
	VPSRLW    $12, Y14, Y14; \
	VPACKUSWB Y14, Y14, Y14

// VPDPBUSD in AVX-VNNI's encoding, which the assembler does not know: acc += u8 (unsigned) · s8 (signed) in fours. Registers are
// given by number. VPDPBUSD_Q has the signed operand at q(BX).
#define VPDPBUSD(s8, u8, acc) \
	BYTE $0xC4; BYTE $(0x42|((acc)>>3^1)<<7|((s8)>>3^1)<<5); BYTE $((15-(u8))<<3|5); BYTE $0x50; BYTE $(0xC0|((acc)&7)<<3|((s8)&7))

#define VPDPBUSD_Q(q, u8, acc) \
	BYTE $0xC4; BYTE $(0x62|((acc)>>3^1)<<7); BYTE $((15-(u8))<<3|5); BYTE $0x50; BYTE $(0x83|((acc)&7)<<3); LONG $(q)

// ---------------------------------------------------------------------------------------------------------------- constants

// A vector of eight words of 32 bits.
#define VECTOR(name, a, b, c, d, e, f, g, h) \
	DATA name<>+0(SB)/4, $a; DATA name<>+4(SB)/4, $b; DATA name<>+8(SB)/4, $c; DATA name<>+12(SB)/4, $d; \
	DATA name<>+16(SB)/4, $e; DATA name<>+20(SB)/4, $f; DATA name<>+24(SB)/4, $g; DATA name<>+28(SB)/4, $h; \
	GLOBL name<>(SB), RODATA|NOPTR, $32

// Shifts that bring the fields of A to one place in the lower half and those of B in the upper.
VECTOR(shifts_0_4, 0, 0, 0, 0, 4, 4, 4, 4)
VECTOR(shifts_0_1, 0, 0, 0, 0, 1, 1, 1, 1)

// Masks of bytes.
VECTOR(nibbles, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0xF0F0F0F0, 0xF0F0F0F0, 0xF0F0F0F0, 0xF0F0F0F0)
VECTOR(bytes3, 0x03030303, 0x03030303, 0x03030303, 0x03030303, 0x03030303, 0x03030303, 0x03030303, 0x03030303)
VECTOR(bytes4, 0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x04040404, 0x04040404)
VECTOR(bytes16, 0x10101010, 0x10101010, 0x10101010, 0x10101010, 0x10101010, 0x10101010, 0x10101010, 0x10101010)
VECTOR(bytes32, 0x20202020, 0x20202020, 0x20202020, 0x20202020, 0x20202020, 0x20202020, 0x20202020, 0x20202020)
VECTOR(bytes48, 0x30303030, 0x30303030, 0x30303030, 0x30303030, 0x30303030, 0x30303030, 0x30303030, 0x30303030)
VECTOR(bytes128, 0x80808080, 0x80808080, 0x80808080, 0x80808080, 0x80808080, 0x80808080, 0x80808080, 0x80808080)

// The values of IQ4 signed and plus 128, those of FP4 plus 12.
VECTOR(iq4, 0xBFAD9881, 0xF6EADDCF, 0x26190D01, 0x71594535, 0xBFAD9881, 0xF6EADDCF, 0x26190D01, 0x71594535)
VECTOR(iq4Up, 0x3F2D1801, 0x766A5D4F, 0xA6998D81, 0xF1D9C5B5, 0x3F2D1801, 0x766A5D4F, 0xA6998D81, 0xF1D9C5B5)
VECTOR(fp4Up, 0x0F0E0D0C, 0x18141210, 0x090A0B0C, 0x00040608, 0x0F0E0D0C, 0x18141210, 0x090A0B0C, 0x00040608)

// Bit i of two words, one per half, spread to byte i: bytes 0 and 1 eight times each, or 2 and 3; the bit of each byte.
VECTOR(spreadLow, 0x00000000, 0x00000000, 0x01010101, 0x01010101, 0x00000000, 0x00000000, 0x01010101, 0x01010101)
VECTOR(spreadHigh, 0x02020202, 0x02020202, 0x03030303, 0x03030303, 0x02020202, 0x02020202, 0x03030303, 0x03030303)
VECTOR(eachBit, 0x08040201, 0x80402010, 0x08040201, 0x80402010, 0x08040201, 0x80402010, 0x08040201, 0x80402010)

// sixBitPairs: shifts and masks of the lower four or six bits of scales and minimums, and of the upper two; the bytes of each lane.
VECTOR(pairLow, 0, 0, 0, 4, 0, 0, 0, 4)
VECTOR(pairHigh, 32, 2, 32, 2, 32, 2, 32, 2)
VECTOR(pairLowMask, 0x3F3F3F3F, 0x0F0F0F0F, 0x3F3F3F3F, 0x0F0F0F0F, 0x3F3F3F3F, 0x0F0F0F0F, 0x3F3F3F3F, 0x0F0F0F0F)
VECTOR(pairHighMask, 0, 0x30303030, 0, 0x30303030, 0, 0x30303030, 0, 0x30303030)
VECTOR(pairScales, 0x80808000, 0x80808002, 0x80808004, 0x80808006, 0x80808001, 0x80808003, 0x80808005, 0x80808007)
VECTOR(pairMins, 0x80808008, 0x8080800A, 0x8080800C, 0x8080800E, 0x80808009, 0x8080800B, 0x8080800D, 0x8080800F)
VECTOR(evenOdd, 0x06040200, 0x07050301, 0x0E0C0A08, 0x0F0D0B09, 0, 0, 0, 0)
VECTOR(evenOddWords, 0, 2, 4, 6, 1, 3, 5, 7)
// IQ4_XS: the place of each lane's upper two bits of scale. Q3_K: of all scales' lower four and upper two.
VECTOR(shiftsIQ4_XS, 0, 4, 8, 12, 2, 6, 10, 14)
VECTOR(shiftsQ3_K, 0, 0, 4, 4, 0, 2, 4, 6)
VECTOR(thirtyTwo, 32, 32, 32, 32, 32, 32, 32, 32)
VECTOR(small, 0x00200000, 0x00200000, 0x00200000, 0x00200000, 0x00200000, 0x00200000, 0x00200000, 0x00200000)

// The first n words of eight: at 32 − 4n.
DATA masks<>+0(SB)/8, $-1
DATA masks<>+8(SB)/8, $-1
DATA masks<>+16(SB)/8, $-1
DATA masks<>+24(SB)/8, $-1
GLOBL masks<>(SB), RODATA|NOPTR, $64

// Four bits times this: one in each byte, at 4.
VECTOR(fourBits, 0x02040810, 0x02040810, 0x02040810, 0x02040810, 0x02040810, 0x02040810, 0x02040810, 0x02040810)

// A Q8 of zeros, for units that a row does not have.
GLOBL zeroUnit<>(SB), RODATA|NOPTR, $192

// ---------------------------------------------------------------------------------------------------------------- weights

// UNPACK_NIBBLES takes the 16 bytes of block A from a(SI), those of B from b(SI).
#define UNPACK_NIBBLES(a, b) \
	VMOVDQU     (a)(SI), X2; \
	VINSERTI128 $1, (b)(SI), Y2, Y2; \
	VPSRLW      $4, Y2, Y3; \
	VPAND       Y14, Y2, Y2; \
	VPAND       Y14, Y3, Y3

#define UNPACK_Q4_0(j) UNPACK_NIBBLES(36*j+2, 36*j+20)
#define UNPACK_Q4_1(j) UNPACK_NIBBLES(40*j+4, 40*j+24)

// Q8_0 as it is, and plus 128.
#define UNPACK_Q8_0(j) \
	VMOVDQU     (68*j+2)(SI), X2; \
	VMOVDQU     (68*j+18)(SI), X3; \
	VINSERTI128 $1, (68*j+36)(SI), Y2, Y2; \
	VINSERTI128 $1, (68*j+52)(SI), Y3, Y3

#define UNPACK_Q8_0_UP(j) \
	UNPACK_Q8_0(j); \
	VPXOR Y15, Y2, Y2; \
	VPXOR Y15, Y3, Y3

// TABLE looks nibbles up.
#define TABLE \
	VPSHUFB Y2, Y15, Y2; \
	VPSHUFB Y3, Y15, Y3

#define UNPACK_IQ4_NL(j) UNPACK_Q4_0(j); TABLE
#define UNPACK_MXFP4(j) UNPACK_NIBBLES(34*j+1, 34*j+18); TABLE

#define UNPACK_IQ4_XS(j) \
	VMOVDQU (32*j+8)(SI), Y2; \
	VPSRLW  $4, Y2, Y3; \
	VPAND   Y14, Y2, Y2; \
	VPAND   Y14, Y3, Y3; \
	TABLE

// FIFTH_BITS adds a bit from the words at a(SI) and b(SI), by the constants of FIFTH_BITS_READY.
#define FIFTH_BITS(a, b) \
	VMOVD       (b)(SI), X9; \
	VMOVD       (a)(SI), X8; \
	VINSERTI128 $1, X9, Y8, Y8; \
	VPSHUFB     Y12, Y8, Y9; \
	VPSHUFB     Y11, Y8, Y8; \
	VPAND       Y15, Y8, Y8; \
	VPAND       Y15, Y9, Y9; \
	VPCMPEQB    Y15, Y8, Y8; \
	VPCMPEQB    Y15, Y9, Y9; \
	VPAND       bytes16<>(SB), Y8, Y8; \
	VPAND       bytes16<>(SB), Y9, Y9; \
	VPOR        Y8, Y2, Y2; \
	VPOR        Y9, Y3, Y3

#define FIFTH_BITS_READY \
	VMOVDQU spreadLow<>(SB), Y11; \
	VMOVDQU spreadHigh<>(SB), Y12; \
	VMOVDQU eachBit<>(SB), Y15

#define UNPACK_Q5_0(j) UNPACK_NIBBLES(44*j+6, 44*j+28); FIFTH_BITS(44*j+2, 44*j+24)
#define UNPACK_Q5_1(j) UNPACK_NIBBLES(48*j+8, 48*j+32); FIFTH_BITS(48*j+4, 48*j+28)

// UNPACK_PLANES takes 32 bytes of which A and B have a field each, as the shifts in memory or a register tell.
#define UNPACK_PLANES(o, shifts, mask) \
	VBROADCASTI128 (o)(SI), Y2; \
	VBROADCASTI128 (o+16)(SI), Y3; \
	VPSRLVD        shifts, Y2, Y2; \
	VPSRLVD        shifts, Y3, Y3; \
	VPAND          mask, Y2, Y2; \
	VPAND          mask, Y3, Y3

#define UNPACK_Q4_K(j) UNPACK_PLANES(32*j+16, Y15, Y14)

// UNPACK_Q4_K_16 leaves B times 16.
#define UNPACK_Q4_K_16(j) \
	VBROADCASTI128 (32*j+16)(SI), Y2; \
	VBROADCASTI128 (32*j+32)(SI), Y3; \
	VPAND          Y15, Y2, Y2; \
	VPAND          Y15, Y3, Y3

// Q5_K: the fifth bits of A are 0, 2, 4 and 6 of bytes in Y11 (first 16) and Y12 (last 16), those of B likewise in the upper half,
// see SCALES_Q5_K.
#define UPPER_BITS(SHIFT, n) \
	SHIFT $n, Y11, Y8; \
	SHIFT $n, Y12, Y9; \
	VPAND bytes16<>(SB), Y8, Y8; \
	VPAND bytes16<>(SB), Y9, Y9; \
	VPOR  Y8, Y2, Y2; \
	VPOR  Y9, Y3, Y3

#define UNPACK_Q5_K(j) UNPACK_PLANES(32*j+48, Y15, Y14)
#define UNPACK_Q5_K_0(j) UNPACK_Q5_K(j); UPPER_BITS(VPSLLW, 4)
#define UNPACK_Q5_K_1(j) UNPACK_Q5_K(j); UPPER_BITS(VPSLLW, 2)
#define UNPACK_Q5_K_2(j) UNPACK_Q5_K(j); UPPER_BITS(VPSRLW, 0)
#define UNPACK_Q5_K_3(j) UNPACK_Q5_K(j); UPPER_BITS(VPSRLW, 2)

// Formats with a scale for 16 columns leave a block in one piece: Y2 = A, Y3 = B.

// Q6_K: 64 bytes, kept in Y10 and Y11, hold the lower bits of two units, 32 bytes the upper.
#define UNPACK_Q6_K_LOW(o, upper) \
	VMOVDQU (o)(SI), Y10; \
	VMOVDQU (o+32)(SI), Y11; \
	VMOVDQU (upper)(SI), Y9; \
	VPAND   Y14, Y10, Y2; \
	VPAND   Y14, Y11, Y3; \
	VPSLLW  $4, Y9, Y8; \
	VPSLLW  $2, Y9, Y9; \
	VPAND   Y15, Y8, Y8; \
	VPAND   Y15, Y9, Y9; \
	VPOR    Y8, Y2, Y2; \
	VPOR    Y9, Y3, Y3

#define UNPACK_Q6_K_HIGH(upper) \
	VMOVDQU (upper)(SI), Y9; \
	VPSRLW  $4, Y10, Y2; \
	VPSRLW  $4, Y11, Y3; \
	VPAND   Y14, Y2, Y2; \
	VPAND   Y14, Y3, Y3; \
	VPAND   Y15, Y9, Y8; \
	VPSRLW  $2, Y9, Y9; \
	VPAND   Y15, Y9, Y9; \
	VPOR    Y8, Y2, Y2; \
	VPOR    Y9, Y3, Y3

#define UNPACK_Q6_K_0(j) UNPACK_Q6_K_LOW(0, 128)
#define UNPACK_Q6_K_1(j) UNPACK_Q6_K_HIGH(128)
#define UNPACK_Q6_K_2(j) UNPACK_Q6_K_LOW(64, 160)
#define UNPACK_Q6_K_3(j) UNPACK_Q6_K_HIGH(160)

// UNPACK_CRUMBS takes two planes of two bits from 32 bytes at o(SI).
#define UNPACK_CRUMBS(o, a, b) \
	VMOVDQU (o)(SI), Y3; \
	VPSRLW  $a, Y3, Y2; \
	VPSRLW  $b, Y3, Y3; \
	VPAND   Y15, Y2, Y2; \
	VPAND   Y15, Y3, Y3

#define UNPACK_Q2_K_0(j) UNPACK_CRUMBS(16, 0, 2)
#define UNPACK_Q2_K_1(j) UNPACK_CRUMBS(16, 4, 6)
#define UNPACK_Q2_K_2(j) UNPACK_CRUMBS(48, 0, 2)
#define UNPACK_Q2_K_3(j) UNPACK_CRUMBS(48, 4, 6)

// THIRD_BITS adds a plane each for A and B, shifted to bit 2.
#define THIRD_BITS(SHIFT, a, b) \
	VMOVDQU (SI), Y9; \
	SHIFT   $a, Y9, Y8; \
	SHIFT   $b, Y9, Y9; \
	VPAND   bytes4<>(SB), Y8, Y8; \
	VPAND   bytes4<>(SB), Y9, Y9; \
	VPOR    Y8, Y2, Y2; \
	VPOR    Y9, Y3, Y3

#define UNPACK_Q3_K_0(j) UNPACK_CRUMBS(32, 0, 2); THIRD_BITS(VPSLLW, 2, 1)
#define UNPACK_Q3_K_1(j) UNPACK_CRUMBS(32, 4, 6); THIRD_BITS(VPSRLW, 0, 1)
#define UNPACK_Q3_K_2(j) UNPACK_CRUMBS(64, 0, 2); THIRD_BITS(VPSRLW, 2, 3)
#define UNPACK_Q3_K_3(j) UNPACK_CRUMBS(64, 4, 6); THIRD_BITS(VPSRLW, 4, 5)

// ---------------------------------------------------------------------------------------------------------------- scales

// GATHER loads the words at o(SI) of eight blocks of s bytes, in lanes. Integer registers do it in less time than VPINSRW.
#define GATHER(o, s, X) \
	MOVWLZX (o+6*s)(SI), AX; \
	MOVWLZX (o+7*s)(SI), DX; \
	SHLQ    $16, AX; \
	SHLQ    $16, DX; \
	MOVW    (o+4*s)(SI), AX; \
	MOVW    (o+5*s)(SI), DX; \
	SHLQ    $16, AX; \
	SHLQ    $16, DX; \
	MOVW    (o+2*s)(SI), AX; \
	MOVW    (o+3*s)(SI), DX; \
	SHLQ    $16, AX; \
	SHLQ    $16, DX; \
	MOVW    (o)(SI), AX; \
	MOVW    (o+s)(SI), DX; \
	VMOVQ   AX, X; \
	VPINSRQ $1, DX, X, X

#define SCALES_D(s) \
	GATHER(0, s, X8); \
	VCVTPH2PS X8, Y1

#define SCALES_DM(s) \
	SCALES_D(s); \
	GATHER(2, s, X8); \
	VCVTPH2PS X8, Y10

#define SCALES_Q4_0 SCALES_D(18)
#define SCALES_Q4_1 SCALES_DM(20)
#define SCALES_Q5_0 SCALES_D(22)
#define SCALES_Q5_1 SCALES_DM(24)
#define SCALES_Q8_0 SCALES_D(34)

// MXFP4: e stands for 2^(e−128): (e−1)<<23 in float32, but 1<<21 for 0 and 1<<22 for 1.
#define SCALES_MXFP4 \
	MOVBLZX   (17*6)(SI), AX; \
	MOVBLZX   (17*7)(SI), DX; \
	SHLL      $8, AX; \
	SHLL      $8, DX; \
	MOVB      (17*4)(SI), AX; \
	MOVB      (17*5)(SI), DX; \
	SHLL      $8, AX; \
	SHLL      $8, DX; \
	MOVB      (17*2)(SI), AX; \
	MOVB      (17*3)(SI), DX; \
	SHLL      $8, AX; \
	SHLL      $8, DX; \
	MOVB      (17*0)(SI), AX; \
	MOVB      (17*1)(SI), DX; \
	VMOVD     AX, X8; \
	VPINSRD   $1, DX, X8, X8; \
	VPMOVZXBD X8, Y8; \
	VPCMPEQD  Y9, Y9, Y9; \
	VPADDD    Y9, Y8, Y1; \
	VPSLLD    $23, Y1, Y1; \
	VPABSD    Y9, Y9; \
	VPMINUD   Y9, Y8, Y8; \
	VMOVDQU   small<>(SB), Y9; \
	VPSLLVD   Y8, Y9, Y8; \
	VPMAXSD   Y8, Y1, Y1

// Q4_K and Q5_K: two half floats, then eight pairs of six bits as sixBitPairs has them. Both halves of a register hold the same.
#define SCALES_PAIRS \
	VBROADCASTI128 (SI), Y8; \
	VPSHUFD        $0xED, Y8, Y9; \
	VPSHUFD        $0xA5, Y8, Y10; \
	VPBROADCASTD   (SI), X8; \
	VCVTPH2PS      X8, Y8; \
	VPSRLVD        pairLow<>(SB), Y9, Y9; \
	VPSRLVD        pairHigh<>(SB), Y10, Y10; \
	VPAND          pairLowMask<>(SB), Y9, Y9; \
	VPAND          pairHighMask<>(SB), Y10, Y10; \
	VPOR           Y10, Y9, Y9; \
	VMOVSLDUP      Y8, Y12; \
	VMOVSHDUP      Y8, Y8; \
	VPSHUFB        pairScales<>(SB), Y9, Y1; \
	VPSHUFB        pairMins<>(SB), Y9, Y10; \
	VCVTDQ2PS      Y1, Y1; \
	VCVTDQ2PS      Y10, Y10; \
	VMULPS         Y12, Y1, Y1; \
	VMULPS         Y8, Y10, Y10

#define SCALES_Q5_K \
	SCALES_PAIRS; \
	VBROADCASTI128 16(SI), Y11; \
	VBROADCASTI128 32(SI), Y12; \
	VPSRLVD        shifts_0_1<>(SB), Y11, Y11; \
	VPSRLVD        shifts_0_1<>(SB), Y12, Y12

// SIGNED_HALVES multiplies sixteen signed bytes in X8 with the half at d(SI).
#define SIGNED_HALVES(d) \
	VPSHUFB      evenOdd<>(SB), X8, X8; \
	VPBROADCASTW (d)(SI), X9; \
	VCVTPH2PS    X9, Y9; \
	VPMOVSXBD    X8, Y1; \
	VPSRLDQ      $8, X8, X8; \
	VPMOVSXBD    X8, Y12; \
	VCVTDQ2PS    Y1, Y1; \
	VCVTDQ2PS    Y12, Y12; \
	VMULPS       Y9, Y1, Y1; \
	VMULPS       Y9, Y12, Y12

#define SCALES_Q6_K \
	VMOVDQU 192(SI), X8; \
	SIGNED_HALVES(208)

#define SCALES_Q3_K \
	VPBROADCASTQ 96(SI), X8; \
	VPBROADCASTD 104(SI), X9; \
	VPSRLVD      shiftsQ3_K<>+0(SB), X8, X8; \
	VPSRLVD      shiftsQ3_K<>+16(SB), X9, X9; \
	VPAND        X14, X8, X8; \
	VPAND        X15, X9, X9; \
	VPSLLD       $4, X9, X9; \
	VPOR         X9, X8, X8; \
	VPSUBB       bytes32<>(SB), X8, X8; \
	SIGNED_HALVES(108)

#define SCALES_Q2_K \
	VMOVDQU      (SI), X8; \
	VPSHUFB      evenOdd<>(SB), X8, X8; \
	VPSRLW       $4, X8, X9; \
	VPAND        X14, X8, X8; \
	VPAND        X14, X9, X9; \
	VPMOVZXBD    X8, Y1; \
	VPMOVZXBD    X9, Y10; \
	VPSRLDQ      $8, X8, X8; \
	VPSRLDQ      $8, X9, X9; \
	VPMOVZXBD    X8, Y12; \
	VPMOVZXBD    X9, Y11; \
	VCVTDQ2PS    Y1, Y1; \
	VCVTDQ2PS    Y10, Y10; \
	VCVTDQ2PS    Y12, Y12; \
	VCVTDQ2PS    Y11, Y11; \
	VPBROADCASTW 80(SI), X8; \
	VPBROADCASTW 82(SI), X9; \
	VCVTPH2PS    X8, Y8; \
	VCVTPH2PS    X9, Y9; \
	VMULPS       Y8, Y1, Y1; \
	VMULPS       Y9, Y10, Y10; \
	VMULPS       Y8, Y12, Y12; \
	VMULPS       Y9, Y11, Y11

// IQ4_XS: lower four bits of eight scales at 4, upper two at 2.
#define SCALES_IQ4_XS \
	VPBROADCASTD 4(SI), X8; \
	VPBROADCASTW 2(SI), Y9; \
	VPMOVZXBD    X8, Y8; \
	VPSRLVD      shifts_0_4<>(SB), Y8, Y8; \
	VPSRLVD      shiftsIQ4_XS<>(SB), Y9, Y9; \
	VPAND        Y14, Y8, Y8; \
	VPSLLD       $30, Y9, Y9; \
	VPSRLD       $26, Y9, Y9; \
	VPOR         Y9, Y8, Y8; \
	VPSUBD       thirtyTwo<>(SB), Y8, Y8; \
	VCVTDQ2PS    Y8, Y1; \
	VPBROADCASTW (SI), X9; \
	VCVTPH2PS    X9, Y9; \
	VMULPS       Y9, Y1, Y1

// ---------------------------------------------------------------------------------------------------------------- rows

// PAIR_… multiplies a unit's weights with the activations at q(BX). V, whose number is v, becomes four sums of A | four of B.

// PAIR_U5 is for weights up to 31: 4·127·31 fits 16 bits.
#define PAIR_U5(q, V, v) \
	VPMADDUBSW (q)(BX), Y2, Y2; \
	VPMADDUBSW (q+32)(BX), Y3, Y3; \
	VPADDW     Y3, Y2, Y2; \
	VPMADDWD   Y13, Y2, V

// PAIR_S8 is for signed weights: |w| · sign(w)·q. Two products of 128·127 fit 16 bits.
#define PAIR_S8(q, V, v) \
	VMOVDQU    (q)(BX), Y8; \
	VMOVDQU    (q+32)(BX), Y9; \
	VPSIGNB    Y2, Y8, Y8; \
	VPSIGNB    Y3, Y9, Y9; \
	VPABSB     Y2, Y2; \
	VPABSB     Y3, Y3; \
	VPMADDUBSW Y8, Y2, Y2; \
	VPMADDUBSW Y9, Y3, Y3; \
	VPMADDWD   Y13, Y2, Y2; \
	VPMADDWD   Y13, Y3, Y3; \
	VPADDD     Y3, Y2, V

#define PAIR_VNNI(q, V, v) \
	VPXOR V, V, V; \
	VPDPBUSD_Q(q, 2, v); \
	VPDPBUSD_Q(q+32, 3, v)

// HALVES_… keeps the blocks apart: V = four sums of A's first 16 | of its last 16, W likewise of B. HALVES_U6 is for weights up to 63.
#define HALVES_U6(q, V, v, W, w) \
	VPMADDUBSW (q)(BX), Y2, Y2; \
	VPMADDUBSW (q+32)(BX), Y3, Y3; \
	VPMADDWD   Y13, Y2, V; \
	VPMADDWD   Y13, Y3, W

#define HALVES_VNNI(q, V, v, W, w) \
	VPXOR V, V, V; \
	VPXOR W, W, W; \
	VPDPBUSD_Q(q, 2, v); \
	VPDPBUSD_Q(q+32, 3, w)

// TREE makes of the fours in Y4 … Y7 one sum each: Y4, in lanes. TREE_WORDS is for fours that fit 16 bits.
#define TREE \
	ADD_PAIRS(Y4, Y5, Y4); \
	ADD_PAIRS(Y6, Y7, Y6); \
	ADD_PAIRS(Y4, Y6, Y4)

#define TREE_WORDS \
	VPACKSSDW Y5, Y4, Y4; \
	VPACKSSDW Y7, Y6, Y6; \
	VPMADDWD  Y13, Y4, Y4; \
	VPMADDWD  Y13, Y6, Y6; \
	ADD_PAIRS(Y4, Y6, Y4)

// ADD_PAIRS is VPHADDD b, a, c in three instructions of one cycle.
#define ADD_PAIRS(a, b, c) \
	VSHUFPS $0x88, b, a, Y8; \
	VSHUFPS $0xDD, b, a, Y9; \
	VPADDD  Y9, Y8, c

// END_… adds the sums in Y4 to the accumulator. dx and share are offsets into the digest, D and M the scales and minimums. In
// END_MIN_16 the sums of B are 16 times too large.
#define END_SUM(dx, D) \
	VCVTDQ2PS   Y4, Y4; \
	VMULPS      (dx)(BX), D, D; \
	VFMADD231PS D, Y4, Y0

#define END_PLAIN(dx, share, D, M) \
	END_SUM(dx, D)

#define END_OFFSET(dx, share, D, M) \
	VPADDD (share)(BX), Y4, Y4; \
	END_SUM(dx, D)

#define END_MIN_16(dx, share, D, M) \
	VPSRAVD     shifts_0_4<>(SB), Y4, Y4; \
	END_SUM(dx, D); \
	VFMADD231PS (share)(BX), M, Y0

#define END_MIN(dx, share, D, M) \
	END_SUM(dx, D); \
	VFMADD231PS (share)(BX), M, Y0

// AHEAD is how far the weights are prefetched, in bytes: rows follow each other, so that the end of one is the start of the next.
// Of 1 to 16 KB, 8 were best where they were measured (Zen 5), half as fast again as none.
#define AHEAD 8192

#define PREFETCH1 PREFETCHT0 AHEAD(SI)
#define PREFETCH2 PREFETCH1; PREFETCHT0 (AHEAD+64)(SI)
#define PREFETCH3 PREFETCH2; PREFETCHT0 (AHEAD+128)(SI)
#define PREFETCH4 PREFETCH3; PREFETCHT0 (AHEAD+192)(SI)
#define PREFETCH5 PREFETCH4; PREFETCHT0 (AHEAD+256)(SI)

// A row routine adds CX super-blocks of a row at SI, with the digest at BX, to the lanes in Y0. It moves SI and BX.
#define ROW(bytes, PREFETCH, SCALES, U0, U1, U2, U3, PAIR, SUM, END) \
	ONES; \
	NIBBLES; \
loop: \
	PREFETCH; \
	SCALES; \
	U0(0); PAIR(0, Y4, 4); \
	U1(1); PAIR(64, Y5, 5); \
	U2(2); PAIR(128, Y6, 6); \
	U3(3); PAIR(192, Y7, 7); \
	SUM; \
	END(256, 320, Y1, Y10); \
	ADDQ $bytes, SI; \
	ADDQ $384, BX; \
	DECQ CX; \
	JNZ  loop; \
	RET

#define ROW_HALVES(bytes, PREFETCH, SCALES, U0, U1, U2, U3, HALVES, END) \
	ONES; \
	NIBBLES; \
loop: \
	PREFETCH; \
	SCALES; \
	U0(0); HALVES(0, Y4, 4, Y5, 5); \
	U1(1); HALVES(64, Y6, 6, Y7, 7); \
	TREE_WORDS; \
	END(256, 320, Y1, Y10); \
	U2(2); HALVES(128, Y4, 4, Y5, 5); \
	U3(3); HALVES(192, Y6, 6, Y7, 7); \
	TREE_WORDS; \
	END(288, 352, Y12, Y11); \
	ADDQ $bytes, SI; \
	ADDQ $384, BX; \
	DECQ CX; \
	JNZ  loop; \
	RET

TEXT rowQ4_0<>(SB), NOSPLIT|NOFRAME, $0-0
	ROW(144, PREFETCH3, SCALES_Q4_0, UNPACK_Q4_0, UNPACK_Q4_0, UNPACK_Q4_0, UNPACK_Q4_0, PAIR_U5, TREE_WORDS, END_OFFSET)

TEXT rowQ4_0VNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	ROW(144, PREFETCH3, SCALES_Q4_0, UNPACK_Q4_0, UNPACK_Q4_0, UNPACK_Q4_0, UNPACK_Q4_0, PAIR_VNNI, TREE_WORDS, END_OFFSET)

TEXT rowQ4_1<>(SB), NOSPLIT|NOFRAME, $0-0
	ROW(160, PREFETCH3, SCALES_Q4_1, UNPACK_Q4_1, UNPACK_Q4_1, UNPACK_Q4_1, UNPACK_Q4_1, PAIR_U5, TREE_WORDS, END_MIN)

TEXT rowQ4_1VNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	ROW(160, PREFETCH3, SCALES_Q4_1, UNPACK_Q4_1, UNPACK_Q4_1, UNPACK_Q4_1, UNPACK_Q4_1, PAIR_VNNI, TREE_WORDS, END_MIN)

TEXT rowQ5_0<>(SB), NOSPLIT|NOFRAME, $0-0
	FIFTH_BITS_READY
	ROW(176, PREFETCH3, SCALES_Q5_0, UNPACK_Q5_0, UNPACK_Q5_0, UNPACK_Q5_0, UNPACK_Q5_0, PAIR_U5, TREE_WORDS, END_OFFSET)

TEXT rowQ5_0VNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	FIFTH_BITS_READY
	ROW(176, PREFETCH3, SCALES_Q5_0, UNPACK_Q5_0, UNPACK_Q5_0, UNPACK_Q5_0, UNPACK_Q5_0, PAIR_VNNI, TREE_WORDS, END_OFFSET)

TEXT rowQ5_1<>(SB), NOSPLIT|NOFRAME, $0-0
	FIFTH_BITS_READY
	ROW(192, PREFETCH3, SCALES_Q5_1, UNPACK_Q5_1, UNPACK_Q5_1, UNPACK_Q5_1, UNPACK_Q5_1, PAIR_U5, TREE_WORDS, END_MIN)

TEXT rowQ5_1VNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	FIFTH_BITS_READY
	ROW(192, PREFETCH3, SCALES_Q5_1, UNPACK_Q5_1, UNPACK_Q5_1, UNPACK_Q5_1, UNPACK_Q5_1, PAIR_VNNI, TREE_WORDS, END_MIN)

TEXT rowQ8_0<>(SB), NOSPLIT|NOFRAME, $0-0
	ROW(272, PREFETCH5, SCALES_Q8_0, UNPACK_Q8_0, UNPACK_Q8_0, UNPACK_Q8_0, UNPACK_Q8_0, PAIR_S8, TREE, END_PLAIN)

TEXT rowQ8_0VNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes128<>(SB), Y15
	ROW(272, PREFETCH5, SCALES_Q8_0, UNPACK_Q8_0_UP, UNPACK_Q8_0_UP, UNPACK_Q8_0_UP, UNPACK_Q8_0_UP, PAIR_VNNI, TREE, END_OFFSET)

TEXT rowIQ4_NL<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU iq4<>(SB), Y15
	ROW(144, PREFETCH3, SCALES_Q4_0, UNPACK_IQ4_NL, UNPACK_IQ4_NL, UNPACK_IQ4_NL, UNPACK_IQ4_NL, PAIR_S8, TREE, END_PLAIN)

TEXT rowIQ4_NLVNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU iq4Up<>(SB), Y15
	ROW(144, PREFETCH3, SCALES_Q4_0, UNPACK_IQ4_NL, UNPACK_IQ4_NL, UNPACK_IQ4_NL, UNPACK_IQ4_NL, PAIR_VNNI, TREE, END_OFFSET)

TEXT rowIQ4_XS<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU iq4<>(SB), Y15
	ROW(136, PREFETCH3, SCALES_IQ4_XS, UNPACK_IQ4_XS, UNPACK_IQ4_XS, UNPACK_IQ4_XS, UNPACK_IQ4_XS, PAIR_S8, TREE, END_PLAIN)

TEXT rowIQ4_XSVNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU iq4Up<>(SB), Y15
	ROW(136, PREFETCH3, SCALES_IQ4_XS, UNPACK_IQ4_XS, UNPACK_IQ4_XS, UNPACK_IQ4_XS, UNPACK_IQ4_XS, PAIR_VNNI, TREE, END_OFFSET)

TEXT rowMXFP4<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU fp4Up<>(SB), Y15
	ROW(136, PREFETCH3, SCALES_MXFP4, UNPACK_MXFP4, UNPACK_MXFP4, UNPACK_MXFP4, UNPACK_MXFP4, PAIR_U5, TREE_WORDS, END_OFFSET)

TEXT rowMXFP4VNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU fp4Up<>(SB), Y15
	ROW(136, PREFETCH3, SCALES_MXFP4, UNPACK_MXFP4, UNPACK_MXFP4, UNPACK_MXFP4, UNPACK_MXFP4, PAIR_VNNI, TREE_WORDS, END_OFFSET)

TEXT rowQ4_K<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU shifts_0_4<>(SB), Y15
	ROW(144, PREFETCH3, SCALES_PAIRS, UNPACK_Q4_K, UNPACK_Q4_K, UNPACK_Q4_K, UNPACK_Q4_K, PAIR_U5, TREE_WORDS, END_MIN)

TEXT rowQ4_KVNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU nibbles<>(SB), Y15
	ROW(144, PREFETCH3, SCALES_PAIRS, UNPACK_Q4_K_16, UNPACK_Q4_K_16, UNPACK_Q4_K_16, UNPACK_Q4_K_16, PAIR_VNNI, TREE, END_MIN_16)

TEXT rowQ5_K<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU shifts_0_4<>(SB), Y15
	ROW(176, PREFETCH3, SCALES_Q5_K, UNPACK_Q5_K_0, UNPACK_Q5_K_1, UNPACK_Q5_K_2, UNPACK_Q5_K_3, PAIR_U5, TREE_WORDS, END_MIN)

TEXT rowQ5_KVNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU shifts_0_4<>(SB), Y15
	ROW(176, PREFETCH3, SCALES_Q5_K, UNPACK_Q5_K_0, UNPACK_Q5_K_1, UNPACK_Q5_K_2, UNPACK_Q5_K_3, PAIR_VNNI, TREE_WORDS, END_MIN)

TEXT rowQ6_K<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes48<>(SB), Y15
	ROW_HALVES(210, PREFETCH4, SCALES_Q6_K, UNPACK_Q6_K_0, UNPACK_Q6_K_1, UNPACK_Q6_K_2, UNPACK_Q6_K_3, HALVES_U6, END_OFFSET)

TEXT rowQ6_KVNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes48<>(SB), Y15
	ROW_HALVES(210, PREFETCH4, SCALES_Q6_K, UNPACK_Q6_K_0, UNPACK_Q6_K_1, UNPACK_Q6_K_2, UNPACK_Q6_K_3, HALVES_VNNI, END_OFFSET)

TEXT rowQ3_K<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes3<>(SB), Y15
	ROW_HALVES(110, PREFETCH2, SCALES_Q3_K, UNPACK_Q3_K_0, UNPACK_Q3_K_1, UNPACK_Q3_K_2, UNPACK_Q3_K_3, HALVES_U6, END_OFFSET)

TEXT rowQ3_KVNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes3<>(SB), Y15
	ROW_HALVES(110, PREFETCH2, SCALES_Q3_K, UNPACK_Q3_K_0, UNPACK_Q3_K_1, UNPACK_Q3_K_2, UNPACK_Q3_K_3, HALVES_VNNI, END_OFFSET)

TEXT rowQ2_K<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes3<>(SB), Y15
	ROW_HALVES(84, PREFETCH2, SCALES_Q2_K, UNPACK_Q2_K_0, UNPACK_Q2_K_1, UNPACK_Q2_K_2, UNPACK_Q2_K_3, HALVES_U6, END_MIN)

TEXT rowQ2_KVNNI<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes3<>(SB), Y15
	ROW_HALVES(84, PREFETCH2, SCALES_Q2_K, UNPACK_Q2_K_0, UNPACK_Q2_K_1, UNPACK_Q2_K_2, UNPACK_Q2_K_3, HALVES_VNNI, END_MIN)

// ---------------------------------------------------------------------------------------------------------------- panels

// A panel is a super-block of eight rows, a row per lane, in units of 768 bytes: eight vectors of four weights of block A, eight
// of B; at 512 the scales of A (of both halves where halves have scales), then of B; at 640 the minimums likewise.

// A scales routine writes a row's scales in lanes to 0(DI) and 32(DI), its minimums to 64(DI) and 96(DI).
#define STORE VMOVUPS Y1, (DI)
#define STORE_MIN STORE; VMOVUPS Y10, 64(DI)
#define STORE_HALVES STORE; VMOVUPS Y12, 32(DI)
#define STORE_HALVES_MIN STORE_HALVES; VMOVUPS Y10, 64(DI); VMOVUPS Y11, 96(DI)

TEXT scalesQ4_0<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_Q4_0
	STORE
	RET

TEXT scalesQ4_1<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_Q4_1
	STORE_MIN
	RET

TEXT scalesQ5_0<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_Q5_0
	STORE
	RET

TEXT scalesQ5_1<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_Q5_1
	STORE_MIN
	RET

TEXT scalesQ8_0<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_Q8_0
	STORE
	RET

TEXT scalesIQ4_XS<>(SB), NOSPLIT|NOFRAME, $0-0
	NIBBLES
	SCALES_IQ4_XS
	STORE
	RET

TEXT scalesMXFP4<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_MXFP4
	STORE
	RET

TEXT scalesPairs<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_PAIRS
	STORE_MIN
	RET

TEXT scalesQ6_K<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_Q6_K
	STORE_HALVES
	RET

TEXT scalesQ3_K<>(SB), NOSPLIT|NOFRAME, $0-0
	NIBBLES
	VMOVDQU bytes3<>(SB), Y15
	SCALES_Q3_K
	STORE_HALVES
	RET

TEXT scalesQ2_K<>(SB), NOSPLIT|NOFRAME, $0-0
	NIBBLES
	SCALES_Q2_K
	STORE_HALVES_MIN
	RET

// TRANSPOSE makes four vectors Y0 … Y3, a word of eight rows each, of rows 0 … 3 in X0 … X3 and, in memory, 4 … 7.
#define TRANSPOSE(r4, r5, r6, r7) \
	VINSERTI128 $1, r4, Y0, Y0; \
	VINSERTI128 $1, r5, Y1, Y1; \
	VINSERTI128 $1, r6, Y2, Y2; \
	VINSERTI128 $1, r7, Y3, Y3; \
	VPUNPCKLDQ  Y1, Y0, Y4; \
	VPUNPCKHDQ  Y1, Y0, Y5; \
	VPUNPCKLDQ  Y3, Y2, Y6; \
	VPUNPCKHDQ  Y3, Y2, Y7; \
	VPUNPCKLQDQ Y6, Y4, Y0; \
	VPUNPCKHQDQ Y6, Y4, Y1; \
	VPUNPCKLQDQ Y7, Y5, Y2; \
	VPUNPCKHQDQ Y7, Y5, Y3

// A lanes routine takes what eight scales routines wrote to SI, 128 bytes each, into the panel at DI.

// LANES makes four vectors at a … d(DI) of 16 bytes at o.
#define LANES(o, a, b, c, d) \
	VMOVDQU (o)(SI), X0; \
	VMOVDQU (o+128)(SI), X1; \
	VMOVDQU (o+256)(SI), X2; \
	VMOVDQU (o+384)(SI), X3; \
	TRANSPOSE((o+512)(SI), (o+640)(SI), (o+768)(SI), (o+896)(SI)); \
	VMOVDQU Y0, (a)(DI); \
	VMOVDQU Y1, (b)(DI); \
	VMOVDQU Y2, (c)(DI); \
	VMOVDQU Y3, (d)(DI)

#define LANES_BLOCKS(o, p) \
	LANES(o, p, p+768, p+1536, p+2304); \
	LANES(o+16, p+32, p+800, p+1568, p+2336)

#define LANES_HALVES(o, p) \
	LANES(o, p, p+64, p+768, p+832); \
	LANES(o+16, p+32, p+96, p+800, p+864); \
	LANES(o+32, p+1536, p+1600, p+2304, p+2368); \
	LANES(o+48, p+1568, p+1632, p+2336, p+2400)

TEXT lanesBlocks<>(SB), NOSPLIT|NOFRAME, $0-0
	LANES_BLOCKS(0, 512)
	RET

TEXT lanesBlocksMin<>(SB), NOSPLIT|NOFRAME, $0-0
	LANES_BLOCKS(0, 512)
	LANES_BLOCKS(64, 640)
	RET

TEXT lanesHalves<>(SB), NOSPLIT|NOFRAME, $0-0
	LANES_HALVES(0, 512)
	RET

TEXT lanesHalvesMin<>(SB), NOSPLIT|NOFRAME, $0-0
	LANES_HALVES(0, 512)
	LANES_HALVES(64, 640)
	RET

// A weights routine takes the weights of eight rows at R8 … R12, AX, BX and DX into the panel at DI. CX counts bytes of the rows.

// RAW makes vectors of 16 bytes at o of the rows.
#define RAW(o) \
	VMOVDQU (o)(R8)(CX*1), X0; \
	VMOVDQU (o)(R9)(CX*1), X1; \
	VMOVDQU (o)(R10)(CX*1), X2; \
	VMOVDQU (o)(R11)(CX*1), X3; \
	TRANSPOSE((o)(R12)(CX*1), (o)(AX)(CX*1), (o)(BX)(CX*1), (o)(DX)(CX*1))

// KEEP saves them in Y8 … Y11, for upper bits.
#define KEEP(o) \
	RAW(o); \
	VMOVDQA Y0, Y8; \
	VMOVDQA Y1, Y9; \
	VMOVDQA Y2, Y10; \
	VMOVDQA Y3, Y11

// SPLIT stores the lower halves of all bytes at o of the rows at low of the panel, the upper halves at high, once MAP has been
// at them. s is what MAP is told: the first one's number.
#define SPLIT(o, MAP, low, high) \
	RAW(o); \
	SPLIT_ONE(Y0, MAP, 0, low, high); \
	SPLIT_ONE(Y1, MAP, 4, low+32, high+32); \
	SPLIT_ONE(Y2, MAP, 8, low+64, high+64); \
	SPLIT_ONE(Y3, MAP, 12, low+96, high+96)

#define SPLIT_ONE(Y, MAP, s, low, high) \
	VPSRLW  $4, Y, Y4; \
	VPAND   Y14, Y, Y; \
	VPAND   Y14, Y4, Y4; \
	MAP(Y, s); \
	MAP(Y4, s+16); \
	VMOVDQU Y, (low)(DI); \
	VMOVDQU Y4, (high)(DI)

#define MAP_NOTHING(Y, s)
#define MAP_TABLE(Y, s) VPSHUFB Y, Y15, Y

// MAP_FIFTH adds the four bits s … s+3 of the words in Y8, as bits 4 of four bytes.
#define MAP_FIFTH(Y, s) \
	VPSRLD  $(s), Y8, Y5; \
	VPAND   Y9, Y5, Y5; \
	VPMULLD Y10, Y5, Y5; \
	VPAND   Y11, Y5, Y5; \
	VPOR    Y5, Y, Y

#define FIFTH(o) \
	RAW(o); \
	VMOVDQA Y0, Y8

// SPLIT_UPPER is SPLIT with a bit more, or two, of Y8 … Y11, shifted to their place for the lower halves and for the upper.
#define SPLIT_UPPER(o, SHIFT1, a, SHIFT2, b, low, high) \
	RAW(o); \
	UPPER_ONE(Y0, Y8, SHIFT1, a, SHIFT2, b, low, high); \
	UPPER_ONE(Y1, Y9, SHIFT1, a, SHIFT2, b, low+32, high+32); \
	UPPER_ONE(Y2, Y10, SHIFT1, a, SHIFT2, b, low+64, high+64); \
	UPPER_ONE(Y3, Y11, SHIFT1, a, SHIFT2, b, low+96, high+96)

#define UPPER_ONE(Y, U, SHIFT1, a, SHIFT2, b, low, high) \
	VPSRLW  $4, Y, Y4; \
	SHIFT1  $a, U, Y5; \
	SHIFT2  $b, U, Y6; \
	VPAND   Y14, Y, Y; \
	VPAND   Y14, Y4, Y4; \
	VPAND   Y15, Y5, Y5; \
	VPAND   Y15, Y6, Y6; \
	VPOR    Y5, Y, Y; \
	VPOR    Y6, Y4, Y4; \
	VMOVDQU Y, (low)(DI); \
	VMOVDQU Y4, (high)(DI)

// CRUMBS stores planes of two bits at p of the panel; CRUMBS_UPPER with a third bit.
#define CRUMBS(a, p) \
	CRUMB_ONE(Y0, a, p); \
	CRUMB_ONE(Y1, a, p+32); \
	CRUMB_ONE(Y2, a, p+64); \
	CRUMB_ONE(Y3, a, p+96)

#define CRUMB_ONE(Y, a, p) \
	VPSRLW  $a, Y, Y4; \
	VPAND   Y15, Y4, Y4; \
	VMOVDQU Y4, (p)(DI)

#define CRUMBS_UPPER(a, SHIFT, b, p) \
	CRUMB_UPPER_ONE(Y0, a, Y8, SHIFT, b, p); \
	CRUMB_UPPER_ONE(Y1, a, Y9, SHIFT, b, p+32); \
	CRUMB_UPPER_ONE(Y2, a, Y10, SHIFT, b, p+64); \
	CRUMB_UPPER_ONE(Y3, a, Y11, SHIFT, b, p+96)

#define CRUMB_UPPER_ONE(Y, a, U, SHIFT, b, p) \
	VPSRLW  $a, Y, Y4; \
	SHIFT   $b, U, Y5; \
	VPAND   Y15, Y4, Y4; \
	VPAND   Y14, Y5, Y5; \
	VPOR    Y5, Y4, Y4; \
	VMOVDQU Y4, (p)(DI)

// BYTES stores them whole.
#define BYTES(o, MAP, p) \
	RAW(o); \
	MAP(Y0, 0); \
	MAP(Y1, 0); \
	MAP(Y2, 0); \
	MAP(Y3, 0); \
	VMOVDQU Y0, (p)(DI); \
	VMOVDQU Y1, (p+32)(DI); \
	VMOVDQU Y2, (p+64)(DI); \
	VMOVDQU Y3, (p+96)(DI)

#define MAP_UP(Y, s) VPXOR Y15, Y, Y

// Formats of blocks go unit by unit.
#define EACH_UNIT(bytes, A, B) \
	NIBBLES; \
	XORL CX, CX; \
loop: \
	A; \
	B; \
	ADDQ $768, DI; \
	ADDQ $bytes, CX; \
	CMPQ CX, $(4*bytes); \
	JNE  loop; \
	RET

// Formats of super-blocks go by the first and the last 16 bytes of runs of 32.
#define EACH_SIXTEEN(A, B, C, D) \
	XORL CX, CX; \
loop: \
	A; \
	B; \
	C; \
	D; \
	ADDQ $128, DI; \
	ADDQ $16, CX; \
	CMPQ CX, $32; \
	JNE  loop; \
	RET

TEXT weightsQ4_0<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_UNIT(36, SPLIT(2, MAP_NOTHING, 0, 128), SPLIT(20, MAP_NOTHING, 256, 384))

TEXT weightsQ4_1<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_UNIT(40, SPLIT(4, MAP_NOTHING, 0, 128), SPLIT(24, MAP_NOTHING, 256, 384))

#define FIFTH_CONSTANTS \
	VPCMPEQD Y9, Y9, Y9; \
	VPSRLD   $28, Y9, Y9; \
	VMOVDQU  fourBits<>(SB), Y10; \
	VMOVDQU  bytes16<>(SB), Y11

TEXT weightsQ5_0<>(SB), NOSPLIT|NOFRAME, $0-0
	FIFTH_CONSTANTS
	EACH_UNIT(44, FIFTH(2); SPLIT(6, MAP_FIFTH, 0, 128), FIFTH(24); SPLIT(28, MAP_FIFTH, 256, 384))

TEXT weightsQ5_1<>(SB), NOSPLIT|NOFRAME, $0-0
	FIFTH_CONSTANTS
	EACH_UNIT(48, FIFTH(4); SPLIT(8, MAP_FIFTH, 0, 128), FIFTH(28); SPLIT(32, MAP_FIFTH, 256, 384))

TEXT weightsQ8_0<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_UNIT(68, BYTES(2, MAP_NOTHING, 0); BYTES(18, MAP_NOTHING, 128), BYTES(36, MAP_NOTHING, 256); BYTES(52, MAP_NOTHING, 384))

TEXT weightsQ8_0Up<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes128<>(SB), Y15
	EACH_UNIT(68, BYTES(2, MAP_UP, 0); BYTES(18, MAP_UP, 128), BYTES(36, MAP_UP, 256); BYTES(52, MAP_UP, 384))

TEXT weightsIQ4_NL<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU iq4<>(SB), Y15
	EACH_UNIT(36, SPLIT(2, MAP_TABLE, 0, 128), SPLIT(20, MAP_TABLE, 256, 384))

TEXT weightsIQ4_NLUp<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU iq4Up<>(SB), Y15
	EACH_UNIT(36, SPLIT(2, MAP_TABLE, 0, 128), SPLIT(20, MAP_TABLE, 256, 384))

TEXT weightsIQ4_XS<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU iq4<>(SB), Y15
	EACH_UNIT(32, SPLIT(8, MAP_TABLE, 0, 128), SPLIT(24, MAP_TABLE, 256, 384))

TEXT weightsIQ4_XSUp<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU iq4Up<>(SB), Y15
	EACH_UNIT(32, SPLIT(8, MAP_TABLE, 0, 128), SPLIT(24, MAP_TABLE, 256, 384))

TEXT weightsMXFP4<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU fp4Up<>(SB), Y15
	EACH_UNIT(34, SPLIT(1, MAP_TABLE, 0, 128), SPLIT(18, MAP_TABLE, 256, 384))

TEXT weightsQ4_K<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_UNIT(32, SPLIT(16, MAP_NOTHING, 0, 256), SPLIT(32, MAP_NOTHING, 128, 384))

#define SIXTEEN_Q5_K_0 KEEP(16); SPLIT_UPPER(48, VPSLLW, 4, VPSLLW, 3, 0, 256)
#define SIXTEEN_Q5_K_1 SPLIT_UPPER(80, VPSLLW, 2, VPSLLW, 1, 768, 1024)
#define SIXTEEN_Q5_K_2 SPLIT_UPPER(112, VPSRLW, 0, VPSRLW, 1, 1536, 1792)
#define SIXTEEN_Q5_K_3 SPLIT_UPPER(144, VPSRLW, 2, VPSRLW, 3, 2304, 2560)

TEXT weightsQ5_K<>(SB), NOSPLIT|NOFRAME, $0-0
	NIBBLES
	VMOVDQU bytes16<>(SB), Y15
	EACH_SIXTEEN(SIXTEEN_Q5_K_0, SIXTEEN_Q5_K_1, SIXTEEN_Q5_K_2, SIXTEEN_Q5_K_3)

#define SIXTEEN_Q6_K_0 KEEP(128); SPLIT_UPPER(0, VPSLLW, 4, VPSRLW, 0, 0, 768)
#define SIXTEEN_Q6_K_1 SPLIT_UPPER(32, VPSLLW, 2, VPSRLW, 2, 256, 1024)
#define SIXTEEN_Q6_K_2 KEEP(160); SPLIT_UPPER(64, VPSLLW, 4, VPSRLW, 0, 1536, 2304)
#define SIXTEEN_Q6_K_3 SPLIT_UPPER(96, VPSLLW, 2, VPSRLW, 2, 1792, 2560)

TEXT weightsQ6_K<>(SB), NOSPLIT|NOFRAME, $0-0
	NIBBLES
	VMOVDQU bytes48<>(SB), Y15
	EACH_SIXTEEN(SIXTEEN_Q6_K_0, SIXTEEN_Q6_K_1, SIXTEEN_Q6_K_2, SIXTEEN_Q6_K_3)

#define SIXTEEN_Q2_K_0 RAW(16); CRUMBS(0, 0); CRUMBS(2, 256)
#define SIXTEEN_Q2_K_1 CRUMBS(4, 768); CRUMBS(6, 1024)
#define SIXTEEN_Q2_K_2 RAW(48); CRUMBS(0, 1536); CRUMBS(2, 1792)
#define SIXTEEN_Q2_K_3 CRUMBS(4, 2304); CRUMBS(6, 2560)

TEXT weightsQ2_K<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes3<>(SB), Y15
	EACH_SIXTEEN(SIXTEEN_Q2_K_0, SIXTEEN_Q2_K_1, SIXTEEN_Q2_K_2, SIXTEEN_Q2_K_3)

#define SIXTEEN_Q3_K_0 KEEP(0); RAW(32); CRUMBS_UPPER(0, VPSLLW, 2, 0); CRUMBS_UPPER(2, VPSLLW, 1, 256)
#define SIXTEEN_Q3_K_1 CRUMBS_UPPER(4, VPSRLW, 0, 768); CRUMBS_UPPER(6, VPSRLW, 1, 1024)
#define SIXTEEN_Q3_K_2 RAW(64); CRUMBS_UPPER(0, VPSRLW, 2, 1536); CRUMBS_UPPER(2, VPSRLW, 3, 1792)
#define SIXTEEN_Q3_K_3 CRUMBS_UPPER(4, VPSRLW, 4, 2304); CRUMBS_UPPER(6, VPSRLW, 5, 2560)

TEXT weightsQ3_K<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU bytes4<>(SB), Y14
	VMOVDQU bytes3<>(SB), Y15
	EACH_SIXTEEN(SIXTEEN_Q3_K_0, SIXTEEN_Q3_K_1, SIXTEEN_Q3_K_2, SIXTEEN_Q3_K_3)

// ---------------------------------------------------------------------------------------------------------------- tiles

// The frame of rowsManyAVX2, offsets from R13.
#define SHARES 0     // shares of all tokens, 24576 bytes
#define ACCS   24576 // accumulators of 16 tokens, 256 bytes each
#define SCALES 28672 // scales of eight rows, 128 bytes each
#define PANEL  29696 // a panel
#define TAILS  32768 // tails of eight rows, 288 bytes each
#define PLACE  35072 // where eight rows are read
#define KIND_  35136 // what is known of the format
#define XSTEP  35144 // bytes from token to token of x
#define SSTEP  35152 // and of the shares
#define ROWNO  35160 // the first of the eight rows
#define SUPER  35168 // the super-block
#define TOKEN  35176 // the first token of a tile
#define EXPANDED 35200 // eight rows of a wide format, WIDE_BYTES each

// A tile routine multiplies CX units of the panel with four tokens, or two:
//
//	token  activations  shares  sums  accumulators
//	0      R8           DX      Y0    DI
//	1      R9           R12     Y1    DI + 256
//	2      R10          BX      Y2    DI + 512
//	3      R11          AX      Y3    DI + 768
//
// A token's accumulators are a vector of eight rows for each of the eight lanes that a row has. Y4, Y6, Y7 and Y8 hold weights,
// Y11 scales, Y12 minimums.

// EACH4 and EACH2 apply a macro to every token; a and b go with it.
#define EACH4(M, a, b) \
	EACH2(M, a, b); \
	M(R10, BX, Y2, 2, 512, a, b); \
	M(R11, AX, Y3, 3, 768, a, b)

#define EACH2(M, a, b) \
	M(R8, DX, Y0, 0, 0, a, b); \
	M(R9, R12, Y1, 1, 256, a, b)

#define LOAD_QUAD(w) \
	VMOVDQU (w)(SI), Y4; \
	VMOVDQU (w+32)(SI), Y6; \
	VMOVDQU (w+64)(SI), Y7; \
	VMOVDQU (w+96)(SI), Y8

// QUAD_… adds the products of four vectors of weights with 16 activations at q(x) to A. QUAD_VNNI mixes loads and shuffles, which
// otherwise hold each other up.
#define QUAD_VNNI(x, s, A, n, acc, q, b) \
	VBROADCASTI128 (q)(x), Y5; \
	VPBROADCASTD (q)(x), Y9; \
	VPSHUFD $0x55, Y5, Y10; \
	VPDPBUSD(9, 4, n); \
	VPBROADCASTD (q+8)(x), Y9; \
	VPDPBUSD(10, 6, n); \
	VPSHUFD $0xFF, Y5, Y5; \
	VPDPBUSD(9, 7, n); \
	VPDPBUSD(5, 8, n)

// FOUR_WORDS leaves four products per word in Y5.
#define FOUR_WORDS(x, q) \
	VPBROADCASTD (q)(x), Y5; \
	VPMADDUBSW   Y5, Y4, Y5; \
	VPBROADCASTD (q+4)(x), Y9; \
	VPMADDUBSW   Y9, Y6, Y9; \
	VPADDW       Y9, Y5, Y5; \
	VPBROADCASTD (q+8)(x), Y9; \
	VPMADDUBSW   Y9, Y7, Y9; \
	VPBROADCASTD (q+12)(x), Y10; \
	VPMADDUBSW   Y10, Y8, Y10; \
	VPADDW       Y10, Y9, Y9

// Weights up to 31: eight products fit 16 bits.
#define QUAD_U5(x, s, A, n, acc, q, b) \
	FOUR_WORDS(x, q); \
	VPADDW   Y9, Y5, Y5; \
	VPMADDWD Y13, Y5, Y5; \
	VPADDD   Y5, A, A

// Weights up to 63: four do.
#define QUAD_U6(x, s, A, n, acc, q, b) \
	FOUR_WORDS(x, q); \
	VPMADDWD Y13, Y5, Y5; \
	VPMADDWD Y13, Y9, Y9; \
	VPADDD   Y5, A, A; \
	VPADDD   Y9, A, A

// Weights up to 15: sixteen do, so A stays in words until WIDEN.
#define QUAD_U4(x, s, A, n, acc, q, b) \
	FOUR_WORDS(x, q); \
	VPADDW Y5, A, A; \
	VPADDW Y9, A, A

#define WIDEN(x, s, A, n, acc, a, b) \
	VPMADDWD Y13, A, A

// Signed weights, two vectors at a time: |w| · sign(w)·q.
#define LOAD_DUO(w) \
	VMOVDQU (w)(SI), Y4; \
	VMOVDQU (w+32)(SI), Y6; \
	VPABSB  Y4, Y7; \
	VPABSB  Y6, Y8

#define DUO_S8(x, s, A, n, acc, q, b) \
	VPBROADCASTD (q)(x), Y5; \
	VPBROADCASTD (q+4)(x), Y9; \
	VPSIGNB      Y4, Y5, Y5; \
	VPSIGNB      Y6, Y9, Y9; \
	VPMADDUBSW   Y5, Y7, Y5; \
	VPMADDUBSW   Y9, Y8, Y9; \
	VPMADDWD     Y13, Y5, Y5; \
	VPMADDWD     Y13, Y9, Y9; \
	VPADDD       Y5, A, A; \
	VPADDD       Y9, A, A

// BODY_… takes a block of 32, weights at w(SI), activations at q; HALF_… takes 16.
#define BODY_VNNI(EACH, w, q) HALF_VNNI(EACH, w, q); HALF_VNNI(EACH, w+128, q+16)
#define BODY_U5(EACH, w, q) LOAD_QUAD(w); EACH(QUAD_U5, q, 0); LOAD_QUAD(w+128); EACH(QUAD_U5, q+16, 0)
#define BODY_U4(EACH, w, q) LOAD_QUAD(w); EACH(QUAD_U4, q, 0); LOAD_QUAD(w+128); EACH(QUAD_U4, q+16, 0); EACH(WIDEN, 0, 0)
#define BODY_S8(EACH, w, q) \
	LOAD_DUO(w); EACH(DUO_S8, q, 0); LOAD_DUO(w+64); EACH(DUO_S8, q+8, 0); \
	LOAD_DUO(w+128); EACH(DUO_S8, q+16, 0); LOAD_DUO(w+192); EACH(DUO_S8, q+24, 0)
#define HALF_VNNI(EACH, w, q) LOAD_QUAD(w); EACH(QUAD_VNNI, q, 0)
#define HALF_U6(EACH, w, q) LOAD_QUAD(w); EACH(QUAD_U6, q, 0)
#define HALF_S8(EACH, w, q) LOAD_DUO(w); EACH(DUO_S8, q, 0); LOAD_DUO(w+64); EACH(DUO_S8, q+8, 0)

// START_… and FINISH_… are around them. lane is the lane, a number, dx where the activations' scales lie.
#define START_ZERO(x, s, A, n, acc, lane, b) \
	VPXOR A, A, A

#define START_OFFSET(x, s, A, n, acc, lane, b) \
	VPBROADCASTD (4*lane)(s), A

#define FINISH(x, s, A, n, acc, lane, dx) \
	VCVTDQ2PS   A, A; \
	VMULPS      (dx)(x), Y11, Y5; \
	VMOVUPS     (acc+32*lane)(DI), Y9; \
	VFMADD231PS Y5, A, Y9; \
	VMOVUPS     Y9, (acc+32*lane)(DI)

#define FINISH_OFFSET(x, s, A, n, acc, lane, dx) \
	VPBROADCASTD (4*lane)(s), Y5; \
	VPADDD       Y5, A, A; \
	FINISH(x, s, A, n, acc, lane, dx)

#define FINISH_MIN(x, s, A, n, acc, lane, dx) \
	VCVTDQ2PS    A, A; \
	VMULPS       (dx)(x), Y11, Y5; \
	VMOVUPS      (acc+32*lane)(DI), Y9; \
	VFMADD231PS  Y5, A, Y9; \
	VBROADCASTSS (4*lane)(s), Y5; \
	VFMADD231PS  Y5, Y12, Y9; \
	VMOVUPS      Y9, (acc+32*lane)(DI)

// BLOCK is one scale's worth of a unit; d is where the scales lie.
#define BLOCK(EACH, START, BODY, END, w, q, dx, lane, d) \
	VMOVUPS (d)(SI), Y11; \
	VMOVUPS (d+128)(SI), Y12; \
	EACH(START, lane, 0); \
	BODY(EACH, w, q); \
	EACH(END, lane, dx)

#define NEXT_UNITS(n) \
	ADDQ $(768*n), SI; \
	ADDQ $(192*n), R8; \
	ADDQ $(192*n), R9; \
	ADDQ $(192*n), R10; \
	ADDQ $(192*n), R11

#define NEXT_SHARES(n) \
	ADDQ $n, DX; \
	ADDQ $n, R12; \
	ADDQ $n, BX; \
	ADDQ $n, AX

#define TILE(EACH, START, BODY, END) \
	ONES; \
	LEAQ PANEL(R13), SI; \
loop: \
	BLOCK(EACH, START, BODY, END, 0, 0, 64, 0, 512); \
	BLOCK(EACH, START, BODY, END, 256, 32, 96, 4, 544); \
	NEXT_UNITS(1); \
	NEXT_SHARES(4); \
	ADDQ $32, DI; \
	DECQ CX; \
	JNZ  loop; \
	RET

// Two units, then the other two with the second vectors of shares.
#define TILE_HALVES(EACH, START, HALF, END) \
	ONES; \
	LEAQ PANEL(R13), SI; \
loop: \
	BLOCK(EACH, START, HALF, END, 0, 0, 64, 0, 512); \
	BLOCK(EACH, START, HALF, END, 128, 16, 64, 4, 544); \
	BLOCK(EACH, START, HALF, END, 256, 32, 96, 1, 576); \
	BLOCK(EACH, START, HALF, END, 384, 48, 96, 5, 608); \
	NEXT_UNITS(1); \
	BLOCK(EACH, START, HALF, END, 0, 0, 64, 2, 512); \
	BLOCK(EACH, START, HALF, END, 128, 16, 64, 6, 544); \
	BLOCK(EACH, START, HALF, END, 256, 32, 96, 3, 576); \
	BLOCK(EACH, START, HALF, END, 384, 48, 96, 7, 608); \
	NEXT_UNITS(1); \
	NEXT_SHARES(32); \
	SUBQ $2, CX; \
	JGT  loop; \
	RET

TEXT tileVNNI4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH4, START_OFFSET, BODY_VNNI, FINISH)

TEXT tileVNNI2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH2, START_OFFSET, BODY_VNNI, FINISH)

TEXT tileMinVNNI4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH4, START_ZERO, BODY_VNNI, FINISH_MIN)

TEXT tileMinVNNI2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH2, START_ZERO, BODY_VNNI, FINISH_MIN)

TEXT tileHalvesVNNI4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH4, START_OFFSET, HALF_VNNI, FINISH)

TEXT tileHalvesVNNI2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH2, START_OFFSET, HALF_VNNI, FINISH)

TEXT tileHalvesMinVNNI4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH4, START_ZERO, HALF_VNNI, FINISH_MIN)

TEXT tileHalvesMinVNNI2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH2, START_ZERO, HALF_VNNI, FINISH_MIN)

TEXT tileU4_4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH4, START_ZERO, BODY_U4, FINISH_OFFSET)

TEXT tileU4_2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH2, START_ZERO, BODY_U4, FINISH_OFFSET)

TEXT tileU4Min4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH4, START_ZERO, BODY_U4, FINISH_MIN)

TEXT tileU4Min2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH2, START_ZERO, BODY_U4, FINISH_MIN)

TEXT tileU5_4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH4, START_OFFSET, BODY_U5, FINISH)

TEXT tileU5_2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH2, START_OFFSET, BODY_U5, FINISH)

TEXT tileU5Min4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH4, START_ZERO, BODY_U5, FINISH_MIN)

TEXT tileU5Min2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH2, START_ZERO, BODY_U5, FINISH_MIN)

TEXT tileS8_4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH4, START_ZERO, BODY_S8, FINISH)

TEXT tileS8_2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE(EACH2, START_ZERO, BODY_S8, FINISH)

TEXT tileHalves4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH4, START_OFFSET, HALF_U6, FINISH)

TEXT tileHalves2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH2, START_OFFSET, HALF_U6, FINISH)

TEXT tileHalvesS8_4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH4, START_ZERO, HALF_S8, FINISH)

TEXT tileHalvesS8_2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH2, START_ZERO, HALF_S8, FINISH)

TEXT tileHalvesMin4<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH4, START_ZERO, HALF_U6, FINISH_MIN)

TEXT tileHalvesMin2<>(SB), NOSPLIT|NOFRAME, $0-0
	TILE_HALVES(EACH2, START_ZERO, HALF_U6, FINISH_MIN)

// ---------------------------------------------------------------------------------------------------------------- wide formats

// The formats with codebooks, the ternary ones and NVFP4 are expanded super-block by super-block to bytes with a scale for 16 columns:
// signed ones of at most 62 in IQ2 and IQ3, in the others unsigned ones with an offset. A prepare routine takes the super-block at SI, and
// for codebooks an expand routine then what it left and the format's table at R15. They use AX, DX and all vectors but Y0 and Y13. At R14
// are
//
//	0    256 weights
//	256  their scales, in lanes
//	320  a byte of each eight weights, an octet: their signs, or what is added to them
//	352  words of indices
#define WIDE_BYTES 480

VECTOR(ones, 1, 1, 1, 1, 1, 1, 1, 1)
VECTOR(sevens, 7, 7, 7, 7, 7, 7, 7, 7)
VECTOR(fifteens, 15, 15, 15, 15, 15, 15, 15, 15)
VECTOR(sevenBits, 127, 127, 127, 127, 127, 127, 127, 127)
VECTOR(bytes1, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101)
VECTOR(bytes15, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F)
VECTOR(bytes86, 0x56565656, 0x56565656, 0x56565656, 0x56565656, 0x56565656, 0x56565656, 0x56565656, 0x56565656)
VECTOR(bytes171, 0xABABABAB, 0xABABABAB, 0xABABABAB, 0xABABABAB, 0xABABABAB, 0xABABABAB, 0xABABABAB, 0xABABABAB)
VECTOR(words100, 0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x01000100)
VECTOR(words300, 0x03000300, 0x03000300, 0x03000300, 0x03000300, 0x03000300, 0x03000300, 0x03000300, 0x03000300)
VECTOR(words700, 0x07000700, 0x07000700, 0x07000700, 0x07000700, 0x07000700, 0x07000700, 0x07000700, 0x07000700)
VECTOR(words1FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF)
VECTOR(wordBits, 0x00020001, 0x00080004, 0x00200010, 0x00800040, 0x02000100, 0x08000400, 0x20001000, 0x80004000)
VECTOR(whole, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000)
VECTOR(quarter, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000)
VECTOR(eighth, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000)
VECTOR(bias, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000) // 119<<23
VECTOR(small8, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000) // 1/1024
VECTOR(eights, 8, 8, 8, 8, 8, 8, 8, 8)
VECTOR(noNumber, 127, 127, 127, 127, 127, 127, 127, 127)

// Four bytes, eight times each. 0x80 for an odd number of ones.
VECTOR(spreadFour, 0x00000000, 0x00000000, 0x01010101, 0x01010101, 0x02020202, 0x02020202, 0x03030303, 0x03030303)
VECTOR(odd, 0x00808000, 0x80000080, 0x80000080, 0x00808000, 0x00808000, 0x80000080, 0x80000080, 0x00808000)

// Where the upper bits of indices lie: shifts of four sevens of bits, bytes or words for four (or two) octets each, factors that shift
// left.
VECTOR(shifts_7, 0, 7, 14, 21, 0, 7, 14, 21)
VECTOR(shifts_4, 0, 4, 8, 12, 16, 20, 24, 28)
VECTOR(shiftsIQ1_M, 0, 6, 16, 22, 3, 9, 19, 25)
VECTOR(byteOfFour, 0x80008000, 0x80008000, 0x80018001, 0x80018001, 0x80028002, 0x80028002, 0x80038003, 0x80038003)
VECTOR(byteOfTwo, 0x80008000, 0x80018001, 0x80028002, 0x80038003, 0x80048004, 0x80058005, 0x80068006, 0x80078007)
VECTOR(wordOfFour, 0x01000100, 0x01000100, 0x03020302, 0x03020302, 0x05040504, 0x05040504, 0x07060706, 0x07060706)
VECTOR(factors2, 0x00400100, 0x00040010, 0x00400100, 0x00040010, 0x00400100, 0x00040010, 0x00400100, 0x00040010)
VECTOR(factors3, 0x00200100, 0x00000004, 0x00200100, 0x00000004, 0x00200100, 0x00000004, 0x00200100, 0x00000004)
VECTOR(factors4, 0x00100100, 0x00100100, 0x00100100, 0x00100100, 0x00100100, 0x00100100, 0x00100100, 0x00100100)

// HALF sets Y4 to a multiple of the half at SI.
#define HALF(multiple) \
	VPBROADCASTW (SI), X4; \
	VCVTPH2PS    X4, Y4; \
	VMULPS       multiple<>(SB), Y4, Y4

// ODD makes s of at most four bits in Y3 (2s + 1)·Y4.
#define ODD(mask) \
	VPAND     mask<>(SB), Y3, Y3; \
	VPADDD    Y3, Y3, Y3; \
	VPOR      ones<>(SB), Y3, Y3; \
	VCVTDQ2PS Y3, Y3; \
	VMULPS    Y4, Y3, Y3

// ODD_BLOCKS does so for eight blocks, ODD_HALVES for the halves of blocks whose scales are eight bytes at o(SI).
#define ODD_BLOCKS(mask) \
	ODD(mask); \
	VPERM2F128 $0x00, Y3, Y3, Y4; \
	VPERM2F128 $0x11, Y3, Y3, Y3; \
	VMOVUPS    Y4, 256(R14); \
	VMOVUPS    Y3, 288(R14)

#define ODD_EIGHT(o, to) \
	VPBROADCASTD (o)(SI), X3; \
	VPMOVZXBD    X3, Y3; \
	VPSRLVD      shifts_0_4<>(SB), Y3, Y3; \
	ODD(fifteens); \
	VMOVUPS      Y3, (to)(R14)

#define ODD_HALVES(o) ODD_EIGHT(o, 256); ODD_EIGHT(o+4, 288)

// SEVENS takes four times seven signs of each word of Y4 … Y7, four times the same, to bytes of Y4.
#define SEVENS \
	VMOVDQU   shifts_7<>(SB), Y8; \
	VMOVDQU   sevenBits<>(SB), Y9; \
	VPSRLVD   Y8, Y4, Y4; \
	VPSRLVD   Y8, Y5, Y5; \
	VPSRLVD   Y8, Y6, Y6; \
	VPSRLVD   Y8, Y7, Y7; \
	VPAND     Y9, Y4, Y4; \
	VPAND     Y9, Y5, Y5; \
	VPAND     Y9, Y6, Y6; \
	VPAND     Y9, Y7, Y7; \
	VPACKUSDW Y5, Y4, Y4; \
	VPACKUSDW Y7, Y6, Y6; \
	VPACKUSWB Y6, Y4, Y4

// EVEN completes seven signs in the bytes of Y4 to eight of which an even number is 1.
#define EVEN \
	VMOVDQU odd<>(SB), Y8; \
	VPSRLW  $4, Y4, Y5; \
	VPXOR   Y4, Y5, Y5; \
	VPAND   bytes15<>(SB), Y5, Y5; \
	VPSHUFB Y5, Y8, Y5; \
	VPOR    Y5, Y4, Y4; \
	VMOVDQU Y4, 320(R14)

// OCTETS sets Y1 to the four entries at indices that LOAD takes, step apart from o(r); QUADS to the eight.
#define OCTETS(LOAD, o, r, step) \
	LOAD        (o)(r), AX; \
	LOAD        (o+step)(r), DX; \
	VMOVQ       (R15)(AX*8), X1; \
	VMOVHPS     (R15)(DX*8), X1, X1; \
	LOAD        (o+2*step)(r), AX; \
	LOAD        (o+3*step)(r), DX; \
	VMOVQ       (R15)(AX*8), X2; \
	VMOVHPS     (R15)(DX*8), X2, X2; \
	VINSERTI128 $1, X2, Y1, Y1

#define QUADS4(LOAD, o, r, step, X) \
	LOAD    (o)(r), AX; \
	LOAD    (o+step)(r), DX; \
	VMOVD   (R15)(AX*4), X; \
	VPINSRD $1, (R15)(DX*4), X, X; \
	LOAD    (o+2*step)(r), AX; \
	LOAD    (o+3*step)(r), DX; \
	VPINSRD $2, (R15)(AX*4), X, X; \
	VPINSRD $3, (R15)(DX*4), X, X

#define QUADS(LOAD, o, r, step) \
	QUADS4(LOAD, o, r, step, X1); \
	QUADS4(LOAD, o+4*step, r, step, X2); \
	VINSERTI128 $1, X2, Y1, Y1

// SIGNED stores block g with its signs, SHIFTED with what is added to its octets.
#define SIGNED(g) \
	VPBROADCASTD (320+4*g)(R14), Y2; \
	VPSHUFB      Y11, Y2, Y2; \
	VPAND        Y12, Y2, Y2; \
	VPCMPEQB     Y12, Y2, Y2; \
	VPXOR        Y2, Y1, Y1; \
	VPSUBB       Y2, Y1, Y1; \
	VMOVDQU      Y1, (32*g)(R14)

#define SHIFTED(g) \
	VPBROADCASTD (320+4*g)(R14), Y2; \
	VPSHUFB      Y11, Y2, Y2; \
	VPADDB       Y2, Y1, Y1; \
	VMOVDQU      Y1, (32*g)(R14)

// EACH_BLOCK does eight blocks; of the first the indices are at o(r), the others' are each so many bytes farther.
#define EACH_BLOCK(ENTRIES, LOAD, o, r, step, bytes, END) \
	VMOVDQU spreadFour<>(SB), Y11; \
	VMOVDQU eachBit<>(SB), Y12; \
	ENTRIES(LOAD, o, r, step); END(0); \
	ENTRIES(LOAD, o+bytes, r, step); END(1); \
	ENTRIES(LOAD, o+2*bytes, r, step); END(2); \
	ENTRIES(LOAD, o+3*bytes, r, step); END(3); \
	ENTRIES(LOAD, o+4*bytes, r, step); END(4); \
	ENTRIES(LOAD, o+5*bytes, r, step); END(5); \
	ENTRIES(LOAD, o+6*bytes, r, step); END(6); \
	ENTRIES(LOAD, o+7*bytes, r, step); END(7)

// IQ2_XXS: d, then for each block four indices, four times seven signs and four bits of scale.
TEXT prepareIQ2_XXS<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU 2(SI), Y1
	VMOVDQU 34(SI), Y2
	VSHUFPS $0xDD, Y2, Y1, Y3
	VPERMQ  $0xD8, Y3, Y3
	VPSRLD  $28, Y3, Y3
	HALF(eighth)
	ODD_BLOCKS(fifteens)
	VPSHUFD $0x55, Y1, Y4
	VPSHUFD $0xFF, Y1, Y5
	VPSHUFD $0x55, Y2, Y6
	VPSHUFD $0xFF, Y2, Y7
	SEVENS
	VPERMQ  $0xD8, Y4, Y4
	EVEN
	RET

TEXT expandIQ2_XXS<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_BLOCK(OCTETS, MOVBLZX, 2, SI, 1, 8, SIGNED)
	RET

// IQ2_XS: d, 32 words of an index and seven signs, four bits of scale of each half.
TEXT prepareIQ2_XS<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU   2(SI), Y1
	VMOVDQU   34(SI), Y2
	VMOVDQU   words1FF<>(SB), Y3
	VPSRLW    $9, Y1, Y4
	VPSRLW    $9, Y2, Y5
	VPAND     Y3, Y1, Y1
	VPAND     Y3, Y2, Y2
	VMOVDQU   Y1, 352(R14)
	VMOVDQU   Y2, 384(R14)
	VPACKUSWB Y5, Y4, Y4
	VPERMQ    $0xD8, Y4, Y4
	EVEN
	HALF(eighth)
	ODD_HALVES(66)
	RET

TEXT expandIQ2_XS<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_BLOCK(OCTETS, MOVWLZX, 352, R14, 2, 8, SIGNED)
	RET

// IQ2_S: d, lower bytes of 32 indices, signs, upper two bits of the indices, four bits of scale of each half.
#define SIXTEEN_IQ2_S(low, high, to) \
	VPMOVZXBW    (low)(SI), Y1; \
	VPBROADCASTD (high)(SI), Y2; \
	VPSHUFB      byteOfFour<>(SB), Y2, Y2; \
	VPMULLW      factors2<>(SB), Y2, Y2; \
	VPAND        words300<>(SB), Y2, Y2; \
	VPOR         Y2, Y1, Y1; \
	VMOVDQU      Y1, (to)(R14)

TEXT prepareIQ2_S<>(SB), NOSPLIT|NOFRAME, $0-0
	SIXTEEN_IQ2_S(2, 66, 352)
	SIXTEEN_IQ2_S(18, 70, 384)
	VMOVDQU 34(SI), Y1
	VMOVDQU Y1, 320(R14)
	HALF(eighth)
	ODD_HALVES(74)
	RET

TEXT expandIQ2_S<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_BLOCK(OCTETS, MOVWLZX, 352, R14, 2, 8, SIGNED)
	RET

// IQ3_XXS: d, eight indices of each block, then four times seven signs and four bits of scale of each.
TEXT prepareIQ3_XXS<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU 66(SI), Y1
	VPSRLD  $28, Y1, Y3
	HALF(quarter)
	ODD_BLOCKS(fifteens)
	VPSHUFD $0x00, Y1, Y4
	VPSHUFD $0x55, Y1, Y5
	VPSHUFD $0xAA, Y1, Y6
	VPSHUFD $0xFF, Y1, Y7
	SEVENS
	EVEN
	RET

TEXT expandIQ3_XXS<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_BLOCK(QUADS, MOVBLZX, 2, SI, 1, 8, SIGNED)
	RET

// IQ3_S: d, eight indices of each block, their ninth bits, signs, four bits of scale of each.
#define SIXTEEN_IQ3_S(low, high, to) \
	VPMOVZXBW    (low)(SI), Y1; \
	VPBROADCASTW (high)(SI), Y2; \
	VPAND        Y11, Y2, Y2; \
	VPCMPEQW     Y11, Y2, Y2; \
	VPAND        Y12, Y2, Y2; \
	VPOR         Y2, Y1, Y1; \
	VMOVDQU      Y1, (to)(R14)

TEXT prepareIQ3_S<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVDQU      wordBits<>(SB), Y11
	VMOVDQU      words100<>(SB), Y12
	SIXTEEN_IQ3_S(2, 66, 352)
	SIXTEEN_IQ3_S(18, 68, 384)
	SIXTEEN_IQ3_S(34, 70, 416)
	SIXTEEN_IQ3_S(50, 72, 448)
	VMOVDQU      74(SI), Y1
	VMOVDQU      Y1, 320(R14)
	VPBROADCASTD 106(SI), Y3
	VPSRLVD      shifts_4<>(SB), Y3, Y3
	HALF(whole)
	ODD_BLOCKS(fifteens)
	RET

TEXT expandIQ3_S<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_BLOCK(QUADS, MOVWLZX, 352, R14, 2, 16, SIGNED)
	RET

// SHIFTS takes the sign bits of words in Y4 and Y5: eight times an octet is moved up by 1, or down.
#define SHIFTS \
	VPSRAW    $15, Y4, Y4; \
	VPSRAW    $15, Y5, Y5; \
	VPACKSSWB Y5, Y4, Y4; \
	VPERMQ    $0xD8, Y4, Y4; \
	VPOR      bytes1<>(SB), Y4, Y4; \
	VMOVDQU   Y4, 320(R14)

// IQ1_S: d, lower bytes of 32 indices, and for each block the upper three bits of four, three bits of scale, and whether values are an
// eighth less or more. The fourth index has its bits above bit 8, so a shift to the right.
#define SIXTEEN_IQ1_S(low, W, to) \
	VPMOVZXBW (low)(SI), Y1; \
	VPMULLW   factors3<>(SB), W, Y2; \
	VPSRLW    $1, W, Y3; \
	VPBLENDW  $0x88, Y3, Y2, Y2; \
	VPAND     words700<>(SB), Y2, Y2; \
	VPOR      Y2, Y1, Y1; \
	VMOVDQU   Y1, (to)(R14)

TEXT prepareIQ1_S<>(SB), NOSPLIT|NOFRAME, $0-0
	VPBROADCASTQ 34(SI), Y4
	VPBROADCASTQ 42(SI), Y5
	VPSHUFB      wordOfFour<>(SB), Y4, Y4
	VPSHUFB      wordOfFour<>(SB), Y5, Y5
	SIXTEEN_IQ1_S(2, Y4, 352)
	SIXTEEN_IQ1_S(18, Y5, 384)
	SHIFTS
	VPMOVZXWD    34(SI), Y3
	VPSRLD       $12, Y3, Y3
	HALF(eighth)
	ODD_BLOCKS(sevens)
	RET

TEXT expandIQ1_S<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_BLOCK(OCTETS, MOVWLZX, 352, R14, 2, 8, SHIFTED)
	RET

// IQ1_M: lower bytes of 32 indices, upper three bits of each and whether its values are an eighth less or more, then four words: a
// quarter of d, and three bits of scale of four halves.
#define SIXTEEN_IQ1_M(low, high, W, to) \
	VPMOVZXBW    (low)(SI), Y1; \
	VPBROADCASTQ (high)(SI), W; \
	VPSHUFB      byteOfTwo<>(SB), W, W; \
	VPMULLW      factors4<>(SB), W, W; \
	VPAND        words700<>(SB), W, Y2; \
	VPSLLW       $4, W, W; \
	VPOR         Y2, Y1, Y1; \
	VMOVDQU      Y1, (to)(R14)

#define ODD_IQ1_M(o, to) \
	VPBROADCASTD (o)(SI), Y3; \
	VPSRLVD      shiftsIQ1_M<>(SB), Y3, Y3; \
	ODD(sevens); \
	VMOVUPS      Y3, (to)(R14)

TEXT prepareIQ1_M<>(SB), NOSPLIT|NOFRAME, $0-0
	SIXTEEN_IQ1_M(0, 32, Y4, 352)
	SIXTEEN_IQ1_M(16, 40, Y5, 384)
	SHIFTS
	MOVBLZX 49(SI), AX
	MOVBLZX 51(SI), DX
	SHRL    $4, AX
	ANDL    $0xF0, DX
	ORL     DX, AX
	MOVBLZX 53(SI), DX
	SHRL    $4, DX
	SHLL    $8, DX
	ORL     DX, AX
	MOVBLZX 55(SI), DX
	ANDL    $0xF0, DX
	SHLL    $8, DX
	ORL     DX, AX
	VMOVD   AX, X4
	VPBROADCASTW X4, X4
	VCVTPH2PS    X4, Y4
	VMULPS       eighth<>(SB), Y4, Y4
	ODD_IQ1_M(48, 256)
	ODD_IQ1_M(52, 288)
	RET

TEXT expandIQ1_M<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_BLOCK(OCTETS, MOVWLZX, 352, R14, 2, 8, SHIFTED)
	RET

// DSCALE stores the half at o as the scale of all columns.
#define DSCALE(o) \
	VPBROADCASTW (o)(SI), X4; \
	VCVTPH2PS    X4, Y4; \
	VMOVUPS      Y4, 256(R14); \
	VMOVUPS      Y4, 288(R14)

// TQ2_0: 64 bytes of two bits, d.
#define CRUMB(Y, s, to) \
	VPSRLW  $s, Y, Y3; \
	VPAND   Y11, Y3, Y3; \
	VMOVDQU Y3, (to)(R14)

TEXT prepareTQ2_0<>(SB), NOSPLIT|NOFRAME, $0-0
	DSCALE(64)
	VMOVDQU (SI), Y1
	VMOVDQU 32(SI), Y2
	VMOVDQU bytes3<>(SB), Y11
	CRUMB(Y1, 0, 0)
	CRUMB(Y1, 2, 32)
	CRUMB(Y1, 4, 64)
	CRUMB(Y1, 6, 96)
	CRUMB(Y2, 0, 128)
	CRUMB(Y2, 2, 160)
	CRUMB(Y2, 4, 192)
	CRUMB(Y2, 6, 224)
	RET

// TQ1_0: 48 bytes of five digits each, the first of 32 bytes, the second of these and so on, then of 16; 4 bytes of four; d. A byte is a
// fraction of 256: its next digit is what exceeds 256 times three, so it tells thirds, 86 and 171.
#define TIMES3(Y, T) \
	VPADDB Y, Y, T; \
	VPADDB T, Y, Y

#define DIGIT(Y, to) \
	VPMAXUB  Y11, Y, Y3; \
	VPMAXUB  Y12, Y, Y4; \
	VPCMPEQB Y, Y3, Y3; \
	VPCMPEQB Y, Y4, Y4; \
	VPSUBB   Y3, Y10, Y3; \
	VPSUBB   Y4, Y3, Y3; \
	VMOVDQU  Y3, (to)(R14)

TEXT prepareTQ1_0<>(SB), NOSPLIT|NOFRAME, $0-0
	DSCALE(52)
	VMOVDQU     bytes86<>(SB), Y11
	VMOVDQU     bytes171<>(SB), Y12
	VPXOR       Y10, Y10, Y10
	VMOVDQU     (SI), Y1
	DIGIT(Y1, 0)
	TIMES3(Y1, Y3)
	DIGIT(Y1, 32)
	TIMES3(Y1, Y3)
	DIGIT(Y1, 64)
	TIMES3(Y1, Y3)
	DIGIT(Y1, 96)
	TIMES3(Y1, Y3)
	DIGIT(Y1, 128)
	VMOVDQU     32(SI), X1
	VMOVDQA     X1, X2
	TIMES3(X2, X3)
	VINSERTI128 $1, X2, Y1, Y1
	DIGIT(Y1, 160)
	TIMES3(Y1, Y3)
	TIMES3(Y1, Y3)
	DIGIT(Y1, 192)
	TIMES3(X1, X3)
	TIMES3(X1, X3)
	VMOVD       48(SI), X5
	VMOVDQA     X5, X6
	TIMES3(X6, X3)
	VPUNPCKLDQ  X6, X5, X5
	VMOVDQA     X5, X6
	TIMES3(X6, X3)
	TIMES3(X6, X3)
	VPUNPCKLQDQ X6, X5, X5
	VINSERTI128 $1, X5, Y1, Y1
	DIGIT(Y1, 224)
	RET

// NVFP4: blocks of 64: four scales of 16 values (bytes with four exponent bits and three fraction bits), 32 bytes of nibbles, in which the
// low ones of 8 bytes are 8 values and the high ones the next. A scale below 8 is a multiple of 1/1024, and 0x7F counts as 0.
#define SIXTYFOUR(o, to) \
	VMOVDQU     (o)(SI), Y1; \
	VPSRLW      $4, Y1, Y2; \
	VPAND       Y12, Y1, Y1; \
	VPAND       Y12, Y2, Y2; \
	VPSHUFB     Y1, Y11, Y1; \
	VPSHUFB     Y2, Y11, Y2; \
	VPUNPCKLQDQ Y2, Y1, Y3; \
	VPUNPCKHQDQ Y2, Y1, Y4; \
	VPERM2I128  $0x20, Y4, Y3, Y1; \
	VPERM2I128  $0x31, Y4, Y3, Y2; \
	VMOVDQU     Y1, (to)(R14); \
	VMOVDQU     Y2, (to+32)(R14)

#define E4M3(to) \
	VPMOVZXBD X8, Y1; \
	VPCMPEQD  Y12, Y1, Y2; \
	VPCMPGTD  Y1, Y11, Y4; \
	VPSLLD    $20, Y1, Y3; \
	VCVTDQ2PS Y1, Y1; \
	VPADDD    Y9, Y3, Y3; \
	VMULPS    Y10, Y1, Y1; \
	VBLENDVPS Y4, Y1, Y3, Y3; \
	VANDNPS   Y3, Y2, Y3; \
	VMOVUPS   Y3, (to)(R14)

TEXT prepareNVFP4<>(SB), NOSPLIT|NOFRAME, $0-0
	VMOVD   (SI), X8
	VPINSRD $1, 36(SI), X8, X8
	VPINSRD $2, 72(SI), X8, X8
	VPINSRD $3, 108(SI), X8, X8
	VPSHUFB evenOdd<>(SB), X8, X8
	VMOVDQU bias<>(SB), Y9
	VMOVDQU small8<>(SB), Y10
	VMOVDQU eights<>(SB), Y11
	VMOVDQU noNumber<>(SB), Y12
	E4M3(256)
	VPSRLDQ $8, X8, X8
	E4M3(288)
	VMOVDQU fp4Up<>(SB), Y11
	VMOVDQU bytes15<>(SB), Y12
	SIXTYFOUR(4, 0)
	SIXTYFOUR(40, 64)
	SIXTYFOUR(76, 128)
	SIXTYFOUR(112, 192)
	RET

// A row goes by eight super-blocks, which are prepared, then expanded where there is a codebook, then multiplied: one alone is a long
// chain of loads and stores. MULTIPLY takes R12 of them at R14, which is what PASS sets it to.
#define PASS LEAQ 37152(R13), R14

#define ROW_WIDE(bytes, PREFETCH, prepare, MULTIPLY) \
turn: \
	PASS; \
	MOVQ    $8, R12; \
	CMPQ    CX, R12; \
	CMOVQLT CX, R12; \
	MOVQ    R12, R9; \
super: \
	PREFETCH; \
	CALL    prepare<>(SB); \
	ADDQ    $bytes, SI; \
	ADDQ    $WIDE_BYTES, R14; \
	DECQ    R9; \
	JNZ     super; \
	SUBQ    R12, CX; \
	PASS; \
	MULTIPLY; \
	TESTQ   CX, CX; \
	JNZ     turn; \
	RET

// REWIND takes SI back to where R12 super-blocks began.
#define REWIND(bytes) \
	IMUL3Q $bytes, R12, AX; \
	SUBQ   AX, SI

#define EXPAND(bytes, expand) \
	REWIND(bytes); \
	MOVQ   R12, R9; \
expansion: \
	CALL   expand<>(SB); \
	ADDQ   $bytes, SI; \
	ADDQ   $WIDE_BYTES, R14; \
	DECQ   R9; \
	JNZ    expansion; \
	PASS; \
	CALL   multiplyWide<>(SB)

// MULTIPLY_SIGNED multiplies magnitudes as they are looked up: for a row alone, they need not be stored. SIGNED_PRODUCTS leaves the sums
// of block g.
#define SIGNED_PRODUCTS(ENTRIES, LOAD, o, r, step, g, V) \
	ENTRIES(LOAD, o, r, step); \
	VPBROADCASTD (320+4*g)(R14), Y2; \
	VMOVDQU      (32*g)(BX), Y3; \
	VPSHUFB      Y11, Y2, Y2; \
	VPAND        Y12, Y2, Y2; \
	VPCMPEQB     Y12, Y2, Y2; \
	VPOR         Y14, Y2, Y2; \
	VPSIGNB      Y2, Y3, Y3; \
	VPMADDUBSW   Y3, Y1, Y1; \
	VPMADDWD     Y13, Y1, V

#define MULTIPLY_SIGNED(size, ENTRIES, LOAD, o, r, step, bytes) \
	REWIND(size); \
	ONES; \
	VMOVDQU spreadFour<>(SB), Y11; \
	VMOVDQU eachBit<>(SB), Y12; \
	VMOVDQU bytes1<>(SB), Y14; \
product: \
	VMOVUPS 256(R14), Y10; \
	SIGNED_PRODUCTS(ENTRIES, LOAD, o, r, step, 0, Y4); \
	SIGNED_PRODUCTS(ENTRIES, LOAD, o+bytes, r, step, 1, Y5); \
	SIGNED_PRODUCTS(ENTRIES, LOAD, o+2*bytes, r, step, 2, Y6); \
	SIGNED_PRODUCTS(ENTRIES, LOAD, o+3*bytes, r, step, 3, Y7); \
	TREE_WORDS; \
	END_SUM(256, Y10); \
	VMOVUPS 288(R14), Y10; \
	SIGNED_PRODUCTS(ENTRIES, LOAD, o+4*bytes, r, step, 4, Y4); \
	SIGNED_PRODUCTS(ENTRIES, LOAD, o+5*bytes, r, step, 5, Y5); \
	SIGNED_PRODUCTS(ENTRIES, LOAD, o+6*bytes, r, step, 6, Y6); \
	SIGNED_PRODUCTS(ENTRIES, LOAD, o+7*bytes, r, step, 7, Y7); \
	TREE_WORDS; \
	END_SUM(288, Y10); \
	ADDQ $size, SI; \
	ADDQ $WIDE_BYTES, R14; \
	ADDQ $384, BX; \
	DECQ R12; \
	JNZ  product

// multiplyWide adds R12 super-blocks at R14, with the digest at BX, to the lanes in Y0.
#define HALVES_WIDE(q, V, W) \
	VMOVDQU    (q)(R14), Y2; \
	VMOVDQU    (q+32)(R14), Y3; \
	VPMADDUBSW (q)(BX), Y2, Y2; \
	VPMADDUBSW (q+32)(BX), Y3, Y3; \
	VPMADDWD   Y13, Y2, V; \
	VPMADDWD   Y13, Y3, W

TEXT multiplyWide<>(SB), NOSPLIT|NOFRAME, $0-0
	ONES

loop:
	VMOVUPS 256(R14), Y1
	VMOVUPS 288(R14), Y12
	HALVES_WIDE(0, Y4, Y5)
	HALVES_WIDE(64, Y6, Y7)
	TREE_WORDS
	END_OFFSET(256, 320, Y1, Y10)
	HALVES_WIDE(128, Y4, Y5)
	HALVES_WIDE(192, Y6, Y7)
	TREE_WORDS
	END_OFFSET(288, 352, Y12, Y11)
	ADDQ    $WIDE_BYTES, R14
	ADDQ    $384, BX
	DECQ    R12
	JNZ     loop
	RET

// The scales routine of a wide format expands row BX.
#define SCALES_WIDE(prepare, THEN) \
	IMUL3Q  $WIDE_BYTES, BX, R14; \
	LEAQ    EXPANDED(R13)(R14*1), R14; \
	CALL    prepare<>(SB); \
	THEN; \
	VMOVUPS 256(R14), Y1; \
	VMOVUPS 288(R14), Y12; \
	STORE_HALVES; \
	RET

#define NO_CODEBOOK

#define WIDE(row, scales, prepare, bytes, PREFETCH) \
TEXT row<>(SB), NOSPLIT|NOFRAME, $0-0; \
	ROW_WIDE(bytes, PREFETCH, prepare, CALL multiplyWide<>(SB)); \
TEXT scales<>(SB), NOSPLIT|NOFRAME, $0-0; \
	SCALES_WIDE(prepare, NO_CODEBOOK)

#define CODEBOOK(row, scales, prepare, expand, bytes, PREFETCH, MULTIPLY) \
TEXT row<>(SB), NOSPLIT|NOFRAME, $0-0; \
	ROW_WIDE(bytes, PREFETCH, prepare, MULTIPLY); \
TEXT scales<>(SB), NOSPLIT|NOFRAME, $0-0; \
	SCALES_WIDE(prepare, CALL expand<>(SB))

CODEBOOK(rowIQ1_S, scalesIQ1_S, prepareIQ1_S, expandIQ1_S, 50, PREFETCH1, EXPAND(50, expandIQ1_S))
CODEBOOK(rowIQ1_M, scalesIQ1_M, prepareIQ1_M, expandIQ1_M, 56, PREFETCH1, EXPAND(56, expandIQ1_M))
CODEBOOK(rowIQ2_XXS, scalesIQ2_XXS, prepareIQ2_XXS, expandIQ2_XXS, 66, PREFETCH2, MULTIPLY_SIGNED(66, OCTETS, MOVBLZX, 2, SI, 1, 8))
CODEBOOK(rowIQ2_XS, scalesIQ2_XS, prepareIQ2_XS, expandIQ2_XS, 74, PREFETCH2, MULTIPLY_SIGNED(74, OCTETS, MOVWLZX, 352, R14, 2, 8))
CODEBOOK(rowIQ2_S, scalesIQ2_S, prepareIQ2_S, expandIQ2_S, 82, PREFETCH2, MULTIPLY_SIGNED(82, OCTETS, MOVWLZX, 352, R14, 2, 8))
CODEBOOK(rowIQ3_XXS, scalesIQ3_XXS, prepareIQ3_XXS, expandIQ3_XXS, 98, PREFETCH2, MULTIPLY_SIGNED(98, QUADS, MOVBLZX, 2, SI, 1, 8))
CODEBOOK(rowIQ3_S, scalesIQ3_S, prepareIQ3_S, expandIQ3_S, 110, PREFETCH2, MULTIPLY_SIGNED(110, QUADS, MOVWLZX, 352, R14, 2, 16))
WIDE(rowTQ1_0, scalesTQ1_0, prepareTQ1_0, 54, PREFETCH1)
WIDE(rowTQ2_0, scalesTQ2_0, prepareTQ2_0, 66, PREFETCH2)
WIDE(rowNVFP4, scalesNVFP4, prepareNVFP4, 144, PREFETCH3)

TEXT unitsWide<>(SB), NOSPLIT|NOFRAME, $0-0
	EACH_UNIT(64, BYTES(0, MAP_NOTHING, 0); BYTES(16, MAP_NOTHING, 128), BYTES(32, MAP_NOTHING, 256); BYTES(48, MAP_NOTHING, 384))

TEXT weightsWide<>(SB), NOSPLIT|NOFRAME, $0-0
	LEAQ EXPANDED(R13), R8
	LEAQ WIDE_BYTES(R8), R9
	LEAQ WIDE_BYTES(R9), R10
	LEAQ WIDE_BYTES(R10), R11
	LEAQ WIDE_BYTES(R11), R12
	LEAQ WIDE_BYTES(R12), AX
	LEAQ WIDE_BYTES(AX), BX
	LEAQ WIDE_BYTES(BX), DX
	CALL unitsWide<>(SB)
	MOVQ (PLACE+0)(R13), R8
	MOVQ (PLACE+8)(R13), R9
	MOVQ (PLACE+16)(R13), R10
	MOVQ (PLACE+24)(R13), R11
	MOVQ (PLACE+32)(R13), R12
	MOVQ (PLACE+40)(R13), AX
	MOVQ (PLACE+48)(R13), BX
	MOVQ (PLACE+56)(R13), DX
	RET

// ---------------------------------------------------------------------------------------------------------------- digests

// The digest and share routines take the four units at R8 … R11 and the factor of the shares in Y15. They write a super-block's
// digest, or its shares only, to DI.

#define DIGEST_UNIT(u, o) \
	VMOVDQU    (u), Y1; \
	VMOVDQU    32(u), Y2; \
	VPERM2I128 $0x20, Y2, Y1, Y3; \
	VPERM2I128 $0x31, Y2, Y1, Y4; \
	VMOVDQU    Y3, (o)(DI); \
	VMOVDQU    Y4, (o+32)(DI)

#define COPY_UNIT(u, o) \
	VMOVDQU (u), Y1; \
	VMOVDQU 32(u), Y2; \
	VMOVDQU Y1, (o)(DI); \
	VMOVDQU Y2, (o+32)(DI)

#define DIGEST_UNITS(M) \
	M(R8, 0); \
	M(R9, 64); \
	M(R10, 128); \
	M(R11, 192)

// SCALES_BLOCKS sets Y1 to dx in lanes. In a Q8 it lies there eight times.
#define SCALES_BLOCKS \
	VMOVUPS  64(R8), Y1; \
	VBLENDPS $0x02, 64(R9), Y1, Y1; \
	VBLENDPS $0x04, 64(R10), Y1, Y1; \
	VBLENDPS $0x08, 64(R11), Y1, Y1; \
	VBLENDPS $0x10, 96(R8), Y1, Y1; \
	VBLENDPS $0x20, 96(R9), Y1, Y1; \
	VBLENDPS $0x40, 96(R10), Y1, Y1; \
	VBLENDPS $0x80, 96(R11), Y1, Y1

#define SCALES_HALVES(u, v, Y) \
	VMOVUPS  64(u), Y; \
	VBLENDPS $0x22, 96(u), Y, Y; \
	VBLENDPS $0x44, 64(v), Y, Y; \
	VBLENDPS $0x88, 96(v), Y, Y

// SUM_UNITS adds NegSum of two units: Y = −Σq of the first halves of A, B, A, B | of the last.
#define SUM_UNITS(u, v, Y, T) \
	VMOVDQU   128(u), Y; \
	VMOVDQU   128(v), T; \
	VPACKSSDW 160(u), Y, Y; \
	VPACKSSDW 160(v), T, T; \
	VPMADDWD  Y13, Y, Y; \
	VPMADDWD  Y13, T, T; \
	VPACKSSDW T, Y, Y; \
	VPMADDWD  Y13, Y, Y

// SUMS_BLOCKS sets Y2 to −Σq in lanes.
#define SUMS_BLOCKS \
	SUM_UNITS(R8, R9, Y2, Y3); \
	SUM_UNITS(R10, R11, Y4, Y3); \
	VMOVDQU    evenOddWords<>(SB), Y5; \
	VPERM2I128 $0x20, Y4, Y2, Y3; \
	VPERM2I128 $0x31, Y4, Y2, Y4; \
	VPADDD     Y4, Y3, Y2; \
	VPERMD     Y2, Y5, Y2

#define SUMS_HALVES(u, v, Y) \
	SUM_UNITS(u, v, Y, Y5)

#define SHARE(Y) \
	VPMULLD Y15, Y, Y

#define SHARE_FLOAT(D, Y) \
	VCVTDQ2PS Y, Y; \
	VMULPS    Y15, Y, Y; \
	VMULPS    D, Y, Y

TEXT digestBlocks<>(SB), NOSPLIT|NOFRAME, $0-0
	DIGEST_UNITS(DIGEST_UNIT)
	SCALES_BLOCKS
	SUMS_BLOCKS
	SHARE(Y2)
	VMOVUPS Y1, 256(DI)
	VMOVDQU Y2, 320(DI)
	RET

TEXT digestBlocksMin<>(SB), NOSPLIT|NOFRAME, $0-0
	DIGEST_UNITS(DIGEST_UNIT)
	SCALES_BLOCKS
	SUMS_BLOCKS
	SHARE_FLOAT(Y1, Y2)
	VMOVUPS Y1, 256(DI)
	VMOVUPS Y2, 320(DI)
	RET

TEXT digestHalves<>(SB), NOSPLIT|NOFRAME, $0-0
	DIGEST_UNITS(COPY_UNIT)
	SCALES_HALVES(R8, R9, Y1)
	SCALES_HALVES(R10, R11, Y3)
	SUMS_HALVES(R8, R9, Y2)
	SUMS_HALVES(R10, R11, Y4)
	SHARE(Y2)
	SHARE(Y4)
	VMOVUPS Y1, 256(DI)
	VMOVUPS Y3, 288(DI)
	VMOVDQU Y2, 320(DI)
	VMOVDQU Y4, 352(DI)
	RET

TEXT digestHalvesMin<>(SB), NOSPLIT|NOFRAME, $0-0
	DIGEST_UNITS(COPY_UNIT)
	SCALES_HALVES(R8, R9, Y1)
	SCALES_HALVES(R10, R11, Y3)
	SUMS_HALVES(R8, R9, Y2)
	SUMS_HALVES(R10, R11, Y4)
	SHARE_FLOAT(Y1, Y2)
	SHARE_FLOAT(Y3, Y4)
	VMOVUPS Y1, 256(DI)
	VMOVUPS Y3, 288(DI)
	VMOVUPS Y2, 320(DI)
	VMOVUPS Y4, 352(DI)
	RET

TEXT sharesBlocks<>(SB), NOSPLIT|NOFRAME, $0-0
	SUMS_BLOCKS
	SHARE(Y2)
	VMOVDQU Y2, (DI)
	RET

TEXT sharesBlocksMin<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_BLOCKS
	SUMS_BLOCKS
	SHARE_FLOAT(Y1, Y2)
	VMOVUPS Y2, (DI)
	RET

TEXT sharesHalves<>(SB), NOSPLIT|NOFRAME, $0-0
	SUMS_HALVES(R8, R9, Y2)
	SUMS_HALVES(R10, R11, Y4)
	SHARE(Y2)
	SHARE(Y4)
	VMOVDQU Y2, (DI)
	VMOVDQU Y4, 32(DI)
	RET

TEXT sharesHalvesMin<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_HALVES(R8, R9, Y1)
	SCALES_HALVES(R10, R11, Y3)
	SUMS_HALVES(R8, R9, Y2)
	SUMS_HALVES(R10, R11, Y4)
	SHARE_FLOAT(Y1, Y2)
	SHARE_FLOAT(Y3, Y4)
	VMOVUPS Y2, (DI)
	VMOVUPS Y4, 32(DI)
	RET

// ---------------------------------------------------------------------------------------------------------------- formats

// What the two functions below have to know of a format. bytes are those of a super-block, group those of its shares.
#define KIND(name, row, scales, weights, lanes, tile4, tile2, digest, shares, bytes, factor, group) \
	DATA name<>+0(SB)/8, $row<>(SB); \
	DATA name<>+8(SB)/8, $scales<>(SB); \
	DATA name<>+16(SB)/8, $lanes<>(SB); \
	DATA name<>+24(SB)/8, $tile4<>(SB); \
	DATA name<>+32(SB)/8, $tile2<>(SB); \
	DATA name<>+40(SB)/8, $digest<>(SB); \
	DATA name<>+48(SB)/8, $shares<>(SB); \
	DATA name<>+56(SB)/8, $bytes; \
	DATA name<>+64(SB)/8, $factor; \
	DATA name<>+72(SB)/8, $group; \
	DATA name<>+80(SB)/8, $weights<>(SB); \
	GLOBL name<>(SB), RODATA, $88

#define BLOCKS(name, row, scales, weights, tile4, tile2, bytes, offset) \
	KIND(name, row, scales, weights, lanesBlocks, tile4, tile2, digestBlocks, sharesBlocks, bytes, offset, 32)

#define BLOCKS_MIN(name, row, scales, weights, tile4, tile2, bytes, sign) \
	KIND(name, row, scales, weights, lanesBlocksMin, tile4, tile2, digestBlocksMin, sharesBlocksMin, bytes, sign, 32)

#define HALVES(name, row, scales, weights, tile4, tile2, bytes, offset) \
	KIND(name, row, scales, weights, lanesHalves, tile4, tile2, digestHalves, sharesHalves, bytes, offset, 64)

#define HALVES_MIN(name, row, scales, weights, tile4, tile2, bytes, sign) \
	KIND(name, row, scales, weights, lanesHalvesMin, tile4, tile2, digestHalvesMin, sharesHalvesMin, bytes, sign, 64)

// 1 and −1 as floats: a minimum is subtracted by the K formats and added by the others.
#define MINUS 0x3F800000
#define PLUS 0xBF800000

BLOCKS(kindQ4_0, rowQ4_0, scalesQ4_0, weightsQ4_0, tileU4_4, tileU4_2, 144, 8)
BLOCKS_MIN(kindQ4_1, rowQ4_1, scalesQ4_1, weightsQ4_1, tileU4Min4, tileU4Min2, 160, PLUS)
BLOCKS(kindQ5_0, rowQ5_0, scalesQ5_0, weightsQ5_0, tileU5_4, tileU5_2, 176, 16)
BLOCKS_MIN(kindQ5_1, rowQ5_1, scalesQ5_1, weightsQ5_1, tileU5Min4, tileU5Min2, 192, PLUS)
BLOCKS(kindQ8_0, rowQ8_0, scalesQ8_0, weightsQ8_0, tileS8_4, tileS8_2, 272, 0)
HALVES_MIN(kindQ2_K, rowQ2_K, scalesQ2_K, weightsQ2_K, tileHalvesMin4, tileHalvesMin2, 84, MINUS)
HALVES(kindQ3_K, rowQ3_K, scalesQ3_K, weightsQ3_K, tileHalves4, tileHalves2, 110, 4)
BLOCKS_MIN(kindQ4_K, rowQ4_K, scalesPairs, weightsQ4_K, tileU4Min4, tileU4Min2, 144, MINUS)
BLOCKS_MIN(kindQ5_K, rowQ5_K, scalesPairs, weightsQ5_K, tileU5Min4, tileU5Min2, 176, MINUS)
HALVES(kindQ6_K, rowQ6_K, scalesQ6_K, weightsQ6_K, tileHalves4, tileHalves2, 210, 32)
BLOCKS(kindIQ4_NL, rowIQ4_NL, scalesQ4_0, weightsIQ4_NL, tileS8_4, tileS8_2, 144, 0)
BLOCKS(kindIQ4_XS, rowIQ4_XS, scalesIQ4_XS, weightsIQ4_XS, tileS8_4, tileS8_2, 136, 0)
BLOCKS(kindMXFP4, rowMXFP4, scalesMXFP4, weightsMXFP4, tileU5_4, tileU5_2, 136, 12)

BLOCKS(kindQ4_0VNNI, rowQ4_0VNNI, scalesQ4_0, weightsQ4_0, tileVNNI4, tileVNNI2, 144, 8)
BLOCKS_MIN(kindQ4_1VNNI, rowQ4_1VNNI, scalesQ4_1, weightsQ4_1, tileMinVNNI4, tileMinVNNI2, 160, PLUS)
BLOCKS(kindQ5_0VNNI, rowQ5_0VNNI, scalesQ5_0, weightsQ5_0, tileVNNI4, tileVNNI2, 176, 16)
BLOCKS_MIN(kindQ5_1VNNI, rowQ5_1VNNI, scalesQ5_1, weightsQ5_1, tileMinVNNI4, tileMinVNNI2, 192, PLUS)
BLOCKS(kindQ8_0VNNI, rowQ8_0VNNI, scalesQ8_0, weightsQ8_0Up, tileVNNI4, tileVNNI2, 272, 128)
HALVES_MIN(kindQ2_KVNNI, rowQ2_KVNNI, scalesQ2_K, weightsQ2_K, tileHalvesMinVNNI4, tileHalvesMinVNNI2, 84, MINUS)
HALVES(kindQ3_KVNNI, rowQ3_KVNNI, scalesQ3_K, weightsQ3_K, tileHalvesVNNI4, tileHalvesVNNI2, 110, 4)
BLOCKS_MIN(kindQ4_KVNNI, rowQ4_KVNNI, scalesPairs, weightsQ4_K, tileMinVNNI4, tileMinVNNI2, 144, MINUS)
BLOCKS_MIN(kindQ5_KVNNI, rowQ5_KVNNI, scalesPairs, weightsQ5_K, tileMinVNNI4, tileMinVNNI2, 176, MINUS)
HALVES(kindQ6_KVNNI, rowQ6_KVNNI, scalesQ6_K, weightsQ6_K, tileHalvesVNNI4, tileHalvesVNNI2, 210, 32)
BLOCKS(kindIQ4_NLVNNI, rowIQ4_NLVNNI, scalesQ4_0, weightsIQ4_NLUp, tileVNNI4, tileVNNI2, 144, 128)
BLOCKS(kindIQ4_XSVNNI, rowIQ4_XSVNNI, scalesIQ4_XS, weightsIQ4_XSUp, tileVNNI4, tileVNNI2, 136, 128)
BLOCKS(kindMXFP4VNNI, rowMXFP4VNNI, scalesMXFP4, weightsMXFP4, tileVNNI4, tileVNNI2, 136, 12)

// The wide formats have the same rows with AVX-VNNI; IQ2 and IQ3 have the same tiles.
HALVES(kindIQ1_S, rowIQ1_S, scalesIQ1_S, weightsWide, tileHalves4, tileHalves2, 50, 9)
HALVES(kindIQ1_M, rowIQ1_M, scalesIQ1_M, weightsWide, tileHalves4, tileHalves2, 56, 9)
HALVES(kindIQ2_XXS, rowIQ2_XXS, scalesIQ2_XXS, weightsWide, tileHalvesS8_4, tileHalvesS8_2, 66, 0)
HALVES(kindIQ2_XS, rowIQ2_XS, scalesIQ2_XS, weightsWide, tileHalvesS8_4, tileHalvesS8_2, 74, 0)
HALVES(kindIQ2_S, rowIQ2_S, scalesIQ2_S, weightsWide, tileHalvesS8_4, tileHalvesS8_2, 82, 0)
HALVES(kindIQ3_XXS, rowIQ3_XXS, scalesIQ3_XXS, weightsWide, tileHalvesS8_4, tileHalvesS8_2, 98, 0)
HALVES(kindIQ3_S, rowIQ3_S, scalesIQ3_S, weightsWide, tileHalvesS8_4, tileHalvesS8_2, 110, 0)
HALVES(kindTQ1_0, rowTQ1_0, scalesTQ1_0, weightsWide, tileHalves4, tileHalves2, 54, 1)
HALVES(kindTQ2_0, rowTQ2_0, scalesTQ2_0, weightsWide, tileHalves4, tileHalves2, 66, 1)
HALVES(kindNVFP4, rowNVFP4, scalesNVFP4, weightsWide, tileHalves4, tileHalves2, 144, 12)

HALVES(kindIQ1_SVNNI, rowIQ1_S, scalesIQ1_S, weightsWide, tileHalvesVNNI4, tileHalvesVNNI2, 50, 9)
HALVES(kindIQ1_MVNNI, rowIQ1_M, scalesIQ1_M, weightsWide, tileHalvesVNNI4, tileHalvesVNNI2, 56, 9)
HALVES(kindTQ1_0VNNI, rowTQ1_0, scalesTQ1_0, weightsWide, tileHalvesVNNI4, tileHalvesVNNI2, 54, 1)
HALVES(kindTQ2_0VNNI, rowTQ2_0, scalesTQ2_0, weightsWide, tileHalvesVNNI4, tileHalvesVNNI2, 66, 1)
HALVES(kindNVFP4VNNI, rowNVFP4, scalesNVFP4, weightsWide, tileHalvesVNNI4, tileHalvesVNNI2, 144, 12)

// In the order of rowKindsAVX2.
DATA kinds<>+0(SB)/8, $kindQ4_0<>(SB)
DATA kinds<>+8(SB)/8, $kindQ4_1<>(SB)
DATA kinds<>+16(SB)/8, $kindQ5_0<>(SB)
DATA kinds<>+24(SB)/8, $kindQ5_1<>(SB)
DATA kinds<>+32(SB)/8, $kindQ8_0<>(SB)
DATA kinds<>+40(SB)/8, $kindQ2_K<>(SB)
DATA kinds<>+48(SB)/8, $kindQ3_K<>(SB)
DATA kinds<>+56(SB)/8, $kindQ4_K<>(SB)
DATA kinds<>+64(SB)/8, $kindQ5_K<>(SB)
DATA kinds<>+72(SB)/8, $kindQ6_K<>(SB)
DATA kinds<>+80(SB)/8, $kindIQ4_NL<>(SB)
DATA kinds<>+88(SB)/8, $kindIQ4_XS<>(SB)
DATA kinds<>+96(SB)/8, $kindMXFP4<>(SB)
DATA kinds<>+104(SB)/8, $kindIQ1_S<>(SB)
DATA kinds<>+112(SB)/8, $kindIQ1_M<>(SB)
DATA kinds<>+120(SB)/8, $kindIQ2_XXS<>(SB)
DATA kinds<>+128(SB)/8, $kindIQ2_XS<>(SB)
DATA kinds<>+136(SB)/8, $kindIQ2_S<>(SB)
DATA kinds<>+144(SB)/8, $kindIQ3_XXS<>(SB)
DATA kinds<>+152(SB)/8, $kindIQ3_S<>(SB)
DATA kinds<>+160(SB)/8, $kindTQ1_0<>(SB)
DATA kinds<>+168(SB)/8, $kindTQ2_0<>(SB)
DATA kinds<>+176(SB)/8, $kindNVFP4<>(SB)
DATA kinds<>+184(SB)/8, $kindQ4_0VNNI<>(SB)
DATA kinds<>+192(SB)/8, $kindQ4_1VNNI<>(SB)
DATA kinds<>+200(SB)/8, $kindQ5_0VNNI<>(SB)
DATA kinds<>+208(SB)/8, $kindQ5_1VNNI<>(SB)
DATA kinds<>+216(SB)/8, $kindQ8_0VNNI<>(SB)
DATA kinds<>+224(SB)/8, $kindQ2_KVNNI<>(SB)
DATA kinds<>+232(SB)/8, $kindQ3_KVNNI<>(SB)
DATA kinds<>+240(SB)/8, $kindQ4_KVNNI<>(SB)
DATA kinds<>+248(SB)/8, $kindQ5_KVNNI<>(SB)
DATA kinds<>+256(SB)/8, $kindQ6_KVNNI<>(SB)
DATA kinds<>+264(SB)/8, $kindIQ4_NLVNNI<>(SB)
DATA kinds<>+272(SB)/8, $kindIQ4_XSVNNI<>(SB)
DATA kinds<>+280(SB)/8, $kindMXFP4VNNI<>(SB)
DATA kinds<>+288(SB)/8, $kindIQ1_SVNNI<>(SB)
DATA kinds<>+296(SB)/8, $kindIQ1_MVNNI<>(SB)
DATA kinds<>+304(SB)/8, $kindIQ2_XXS<>(SB)
DATA kinds<>+312(SB)/8, $kindIQ2_XS<>(SB)
DATA kinds<>+320(SB)/8, $kindIQ2_S<>(SB)
DATA kinds<>+328(SB)/8, $kindIQ3_XXS<>(SB)
DATA kinds<>+336(SB)/8, $kindIQ3_S<>(SB)
DATA kinds<>+344(SB)/8, $kindTQ1_0VNNI<>(SB)
DATA kinds<>+352(SB)/8, $kindTQ2_0VNNI<>(SB)
DATA kinds<>+360(SB)/8, $kindNVFP4VNNI<>(SB)
GLOBL kinds<>(SB), RODATA, $368

// FRAME sets R13 to the frame, aligned, and R12 to what is known of the format.
#define FRAME \
	LEAQ 31(SP), R13; \
	ANDQ $~31, R13; \
	LEAQ kinds<>(SB), AX; \
	MOVQ kind+0(FP), DX; \
	MOVQ (AX)(DX*8), R12

// UNITS sets R8 … R11 to the units of a super-block at DX, of which CX are left in the row. The missing ones are zeros.
#define UNITS \
	LEAQ    zeroUnit<>(SB), AX; \
	MOVQ    DX, R8; \
	LEAQ    192(DX), R9; \
	LEAQ    384(DX), R10; \
	LEAQ    576(DX), R11; \
	CMPQ    CX, $2; \
	CMOVQLT AX, R9; \
	CMPQ    CX, $3; \
	CMOVQLT AX, R10; \
	CMPQ    CX, $4; \
	CMOVQLT AX, R11

// COPY_TAIL copies the CX bytes at SI, 17 or more, to the buffer of zeros at R9, 16 at a time and the last 16 first.
#define COPY_TAIL(loop) \
	VMOVDQU -16(SI)(CX*1), X8; \
	VMOVDQU X8, -16(R9)(CX*1); \
	SUBQ    $16, CX; \
loop: \
	VMOVDQU (SI), X8; \
	VMOVDQU X8, (R9); \
	ADDQ    $16, SI; \
	ADDQ    $16, R9; \
	SUBQ    $16, CX; \
	JGT     loop

// CLEAR zeroes n times 96 bytes at DI.
#define CLEAR(n, loop) \
	VPXOR   Y8, Y8, Y8; \
	MOVQ    $n, CX; \
loop: \
	VMOVDQU Y8, (DI); \
	VMOVDQU Y8, 32(DI); \
	VMOVDQU Y8, 64(DI); \
	ADDQ    $96, DI; \
	DECQ    CX; \
	JNZ     loop

// func rowsOneAVX2(kind int, dst *float32, w *byte, rowBytes, rows int, x *tensor.Q8, units, full, tail int, table *byte)
//
// One token. Frame: the digest, 96 super-blocks; a row's tail; eight super-blocks of a wide format.
//
//	R8  row   R10  its product   R11  row routine   DI  rows to go
TEXT ·rowsOneAVX2(SB), 0, $41024-80
	NO_LOCAL_POINTERS
	FRAME
	ONES
	VPBROADCASTD 64(R12), Y15
	MOVQ table+72(FP), R15
	MOVQ x+40(FP), DX
	MOVQ units+48(FP), CX
	MOVQ R13, DI

digest:
	UNITS
	MOVQ 40(R12), AX
	CALL AX
	ADDQ $768, DX
	ADDQ $384, DI
	SUBQ $4, CX
	JGT  digest

	LEAQ 36864(R13), DI
	CLEAR(3, clear)
	MOVQ w+16(FP), R8
	MOVQ dst+8(FP), R10
	MOVQ (R12), R11
	MOVQ rows+32(FP), DI

row:
	VXORPS Y0, Y0, Y0
	MOVQ   R8, SI
	MOVQ   R13, BX
	MOVQ   full+56(FP), CX
	TESTQ  CX, CX
	JZ     tail
	CALL   R11

tail:
	MOVQ  tail+64(FP), CX
	TESTQ CX, CX
	JZ    sum
	LEAQ  36864(R13), R9
	COPY_TAIL(copy)
	LEAQ  36864(R13), SI
	MOVQ  $1, CX
	CALL  R11

sum:
	VEXTRACTF128 $1, Y0, X1
	VADDPS    X1, X0, X0
	VMOVHLPS  X0, X0, X1
	VADDPS    X1, X0, X0
	VMOVSHDUP X0, X1
	VADDSS    X1, X0, X0
	VMOVSS    X0, (R10)
	ADDQ      $4, R10
	ADDQ      rowBytes+24(FP), R8
	DECQ      DI
	JNZ       row
	VZEROUPPER
	RET

// func rowsManyAVX2(kind int, dst *float32, stride int, w *byte, rowBytes, rows int, x *tensor.Q8, units, n, full, tail int, table *byte)
//
// Several tokens, eight rows at a time.
TEXT ·rowsManyAVX2(SB), 0, $39072-96
	NO_LOCAL_POINTERS
	FRAME
	ONES
	VPBROADCASTD 64(R12), Y15
	MOVQ         table+88(FP), R15
	MOVQ         R12, KIND_(R13)
	MOVQ         units+56(FP), AX
	LEAQ         3(AX), DX
	SHRQ         $2, DX
	IMULQ        72(R12), DX
	MOVQ         DX, SSTEP(R13)
	IMULQ        $192, AX
	MOVQ         AX, XSTEP(R13)

	// The shares; BX counts the tokens.
	MOVQ x+48(FP), DX
	MOVQ n+64(FP), BX
	LEAQ SHARES(R13), DI

shares:
	MOVQ units+56(FP), CX

share:
	UNITS
	MOVQ  48(R12), AX
	CALL  AX
	ADDQ  $768, DX
	ADDQ  72(R12), DI
	SUBQ  $4, CX
	JGT   share
	IMULQ $192, CX
	ADDQ  CX, DX // back over the units that there were not
	DECQ  BX
	JNZ   shares

	LEAQ TAILS(R13), DI
	CLEAR(24, clear)
	MOVQ $0, ROWNO(R13)

rows:
	// The places of eight rows; the last row stands in for those that are missing.
	MOVQ  ROWNO(R13), AX
	MOVQ  rows+40(FP), CX
	SUBQ  AX, CX
	MOVQ  rowBytes+32(FP), R8
	IMULQ R8, AX
	ADDQ  w+24(FP), AX
	XORL  DX, DX

place:
	MOVQ    AX, PLACE(R13)(DX*8)
	LEAQ    (AX)(R8*1), SI
	INCQ    DX
	DECQ    CX
	CMOVQGT SI, AX
	CMPQ    DX, $8
	JLT     place

	MOVQ   n+64(FP), CX
	ADDQ   $3, CX
	ANDQ   $~3, CX
	LEAQ   ACCS(R13), DI
	VXORPS Y0, Y0, Y0

zero:
	VMOVUPS Y0, (DI)
	VMOVUPS Y0, 32(DI)
	VMOVUPS Y0, 64(DI)
	VMOVUPS Y0, 96(DI)
	VMOVUPS Y0, 128(DI)
	VMOVUPS Y0, 160(DI)
	VMOVUPS Y0, 192(DI)
	VMOVUPS Y0, 224(DI)
	ADDQ    $256, DI
	DECQ    CX
	JNZ     zero
	MOVQ    $0, SUPER(R13)

super:
	// A super-block of eight rows becomes a panel. Of a tail a copy is read.
	MOVQ KIND_(R13), R12
	MOVQ 8(R12), R11
	LEAQ SCALES(R13), DI
	XORL BX, BX
	MOVQ SUPER(R13), AX
	CMPQ AX, full+72(FP)
	JLT  scales
	LEAQ TAILS(R13), DX

tails:
	MOVQ PLACE(R13)(BX*8), SI
	MOVQ DX, PLACE(R13)(BX*8)
	MOVQ DX, R9
	ADDQ $288, DX
	MOVQ tail+80(FP), CX
	COPY_TAIL(copy)
	INCQ BX
	CMPQ BX, $8
	JLT  tails
	XORL BX, BX

scales:
	MOVQ PLACE(R13)(BX*8), SI
	CALL R11
	SUBQ $-128, DI
	INCQ BX
	CMPQ BX, $8
	JLT  scales
	LEAQ SCALES(R13), SI
	LEAQ PANEL(R13), DI
	MOVQ 16(R12), AX
	CALL AX

	MOVQ 80(R12), SI
	MOVQ (PLACE+0)(R13), R8
	MOVQ (PLACE+8)(R13), R9
	MOVQ (PLACE+16)(R13), R10
	MOVQ (PLACE+24)(R13), R11
	MOVQ (PLACE+32)(R13), R12
	MOVQ (PLACE+40)(R13), AX
	MOVQ (PLACE+48)(R13), BX
	MOVQ (PLACE+56)(R13), DX
	CALL SI
	MOVQ KIND_(R13), SI
	MOVQ 56(SI), SI
	ADDQ SI, (PLACE+0)(R13)
	ADDQ SI, (PLACE+8)(R13)
	ADDQ SI, (PLACE+16)(R13)
	ADDQ SI, (PLACE+24)(R13)
	ADDQ SI, (PLACE+32)(R13)
	ADDQ SI, (PLACE+40)(R13)
	ADDQ SI, (PLACE+48)(R13)
	ADDQ SI, (PLACE+56)(R13)

	// Prefetch the same of the next eight rows.
	MOVQ rowBytes+32(FP), CX
	SHLQ $3, CX

ahead:
	PREFETCHT0 (R8)(CX*1)
	PREFETCHT0 (R9)(CX*1)
	PREFETCHT0 (R10)(CX*1)
	PREFETCHT0 (R11)(CX*1)
	PREFETCHT0 (R12)(CX*1)
	PREFETCHT0 (AX)(CX*1)
	PREFETCHT0 (BX)(CX*1)
	PREFETCHT0 (DX)(CX*1)
	ADDQ $64, CX
	SUBQ $64, SI
	JGT  ahead
	MOVQ $0, TOKEN(R13)

tile:
	// Tokens from AX on, CX of them; the last one stands in for those that are missing.
	MOVQ    TOKEN(R13), AX
	MOVQ    n+64(FP), CX
	SUBQ    AX, CX
	MOVQ    SUPER(R13), BX
	MOVQ    BX, DX
	MOVQ    KIND_(R13), SI
	IMULQ   72(SI), DX
	MOVQ    AX, DI
	IMULQ   SSTEP(R13), DI
	ADDQ    DI, DX
	LEAQ    SHARES(R13)(DX*1), DX
	LEAQ    (BX)(BX*2), R8
	SHLQ    $8, R8
	ADDQ    x+48(FP), R8
	MOVQ    AX, DI
	IMULQ   XSTEP(R13), DI
	ADDQ    DI, R8
	SHLQ    $8, AX
	LEAQ    ACCS(R13)(AX*1), DI
	MOVQ    XSTEP(R13), AX
	LEAQ    (R8)(AX*1), R9
	CMPQ    CX, $2
	CMOVQLT R8, R9
	LEAQ    (R9)(AX*1), R10
	CMPQ    CX, $3
	CMOVQLT R9, R10
	LEAQ    (R10)(AX*1), R11
	CMPQ    CX, $4
	CMOVQLT R10, R11
	MOVQ    SSTEP(R13), SI
	LEAQ    (DX)(SI*1), R12
	CMPQ    CX, $2
	CMOVQLT DX, R12
	LEAQ    (R12)(SI*1), BX
	CMPQ    CX, $3
	CMOVQLT R12, BX
	LEAQ    (BX)(SI*1), AX
	CMPQ    CX, $4
	CMOVQLT BX, AX
	MOVQ    KIND_(R13), SI
	CMPQ    CX, $3
	JLT     two
	MOVQ    24(SI), SI
	JMP     multiply

two:
	MOVQ 32(SI), SI

multiply:
	MOVQ    SUPER(R13), CX
	SHLQ    $2, CX
	SUBQ    units+56(FP), CX
	NEGQ    CX
	CMPQ    CX, $4
	JLE     last
	MOVQ    $4, CX

last:
	CALL SI
	MOVQ TOKEN(R13), AX
	ADDQ $4, AX
	MOVQ AX, TOKEN(R13)
	CMPQ AX, n+64(FP)
	JLT  tile

	MOVQ SUPER(R13), AX
	INCQ AX
	MOVQ AX, SUPER(R13)
	SHLQ $2, AX
	CMPQ AX, units+56(FP)
	JLT  super

	// The sums of all tokens.
	MOVQ    n+64(FP), CX
	LEAQ    ACCS(R13), SI
	MOVQ    dst+8(FP), DI
	MOVQ    ROWNO(R13), AX
	LEAQ    (DI)(AX*4), DI
	MOVQ    stride+16(FP), DX
	SHLQ    $2, DX
	MOVQ    $8, BX
	SUBQ    rows+40(FP), AX
	NEGQ    AX
	CMPQ    AX, $8
	CMOVQGT BX, AX            // rows to store
	NEGQ    AX
	LEAQ    masks<>+32(SB), BX
	VMOVDQU (BX)(AX*4), Y15

sum:
	VMOVUPS    (SI), Y0
	VMOVUPS    32(SI), Y1
	VMOVUPS    64(SI), Y2
	VMOVUPS    96(SI), Y3
	VADDPS     128(SI), Y0, Y0
	VADDPS     160(SI), Y1, Y1
	VADDPS     192(SI), Y2, Y2
	VADDPS     224(SI), Y3, Y3
	VADDPS     Y2, Y0, Y0
	VADDPS     Y3, Y1, Y1
	VADDPS     Y1, Y0, Y0
	VMASKMOVPS Y0, Y15, (DI)
	ADDQ       $256, SI
	ADDQ       DX, DI
	DECQ       CX
	JNZ        sum

	MOVQ ROWNO(R13), AX
	ADDQ $8, AX
	MOVQ AX, ROWNO(R13)
	CMPQ AX, rows+40(FP)
	JLT  rows
	VZEROUPPER
	RET
