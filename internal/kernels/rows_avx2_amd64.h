// Products of weights and activations in 8 bits for AVX2 and AVX-VNNI: a row with one token, or with several. What the functions compute
// is said in rows_avx2_amd64.go.
//
// Columns. All formats are read in super-blocks of 256 columns: a block of the K formats and of IQ4_XS, eight blocks of the
// others. What a row has beyond the last eight is copied to a buffer of zeros and read as one more; with one token, rowsOne has ways that
// take less time. A super-block is four units j = 0 … 3 of 64 columns, and a unit two blocks of 32, A and B. To a format belong two macros:
//
//	SCALES_… the scales of a super-block as floats in Y1 (and Y12), its minimums in Y10 (and Y11)
//	UNPACK_… the weights of unit j as bytes, with the format's offset: Y2 = the first 16 of A | of B, Y3 = the last 16 of A | of B;
//	         where 16 columns have a scale, Y2 = A, Y3 = B. Where units differ, there is a macro for each
//
// Lanes. The eight blocks of a super-block have the lanes 0 2 4 6 | 1 3 5 7: all A, then all B. Where 16 columns have a scale, two
// vectors hold the sixteen halves of blocks, each with the even ones first: 0 2 4 6 | 1 3 5 7 and 8 10 12 14 | 9 11 13 15.
//
// Arithmetic. The sum of (w + offset)·q over a block, or half of one, is taken in integers, and −offset·Σq is added: exact. Then
//
//	acc[lane] = fma(float(sum), d·dx, acc[lane])    and for formats with a minimum
//	acc[lane] = fma(m, −dx·Σq, acc[lane])
//
// super-block by super-block, and in the end the lanes are added in pairs. One token and several, AVX2 and AVX-VNNI do these
// operations in this order, so they give the same bits.
//
// The digest of a token is its activations in the order in which rows want them, 384 bytes for a super-block:
//
//	0    q, in the order of the weights
//	256  dx by lane, in two vectors where halves have scales
//	320  the offset's share −offset·Σq as integers, or −dx·Σq as floats, likewise
//
// The parts, in the order in which rows_avx2_amd64.s includes them:
//
//	blocks, k the formats' macros                wide, iq formats that are expanded to bytes first
//	products  those of a row with one token      digests  activations
//	several   those of a row with several
//	formats   a routine for each format and each purpose, and their tables, written by internal/cmd/asm
//
// Registers that hold the same thing everywhere:
//
//	SI   weights: a super-block of a row
//	BX   the digest                       Y13  16 × int16(1), but for tokens with minimums or halves
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

// Three Q8 of zeros, for units that a row does not have.
GLOBL zeroUnits<>(SB), RODATA|NOPTR, $576
