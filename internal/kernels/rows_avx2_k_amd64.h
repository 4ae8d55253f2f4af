// Formats of super-blocks of 256 columns for rows_avx2_amd64.s: the K formats and IQ4_XS.

#define UNPACK_IQ4_XS(j) \
	VMOVDQU (32*j+8)(SI), Y2; \
	VPSRLW  $4, Y2, Y3; \
	VPAND   Y14, Y2, Y2; \
	VPAND   Y14, Y3, Y3; \
	TABLE

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

// Q5_K: the fifth bits of A are 0, 2, 4 and 6 of bytes in Y11 (first 16) and Y12 (last 16), those of B likewise in the upper half. Unit 0
// loads them for all four.
#define UPPER_BITS(SHIFT, n) \
	SHIFT $n, Y11, Y8; \
	SHIFT $n, Y12, Y9; \
	VPAND bytes16<>(SB), Y8, Y8; \
	VPAND bytes16<>(SB), Y9, Y9; \
	VPOR  Y8, Y2, Y2; \
	VPOR  Y9, Y3, Y3

#define FIFTHS_Q5_K \
	VBROADCASTI128 16(SI), Y11; \
	VBROADCASTI128 32(SI), Y12; \
	VPSRLVD        shifts_0_1<>(SB), Y11, Y11; \
	VPSRLVD        shifts_0_1<>(SB), Y12, Y12

#define UNPACK_Q5_K(j) UNPACK_PLANES(32*j+48, Y15, Y14)
#define UNPACK_Q5_K_0(j) FIFTHS_Q5_K; UNPACK_Q5_K(j); UPPER_BITS(VPSLLW, 4)
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

// Q4_K and Q5_K: two half floats, then eight pairs of six bits as sixBitPairs has them. Both halves of a register hold the same.
#define SCALES_Q4_K \
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

#define SCALES_Q5_K SCALES_Q4_K

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
