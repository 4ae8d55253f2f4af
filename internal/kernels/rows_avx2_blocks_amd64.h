// Formats of blocks of 32 columns for rows_avx2_amd64.s.

// UNPACK_NIBBLES takes the 16 bytes of block A from a(SI), those of B from b(SI), and blends the 16 before those away: every port can.
#define UNPACK_NIBBLES(a, b) \
	VMOVDQU     (a)(SI), X2; \
	VPBLENDD    $0xF0, (b-16)(SI), Y2, Y2; \
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

// FIFTH_BITS adds a bit from the words at a(SI) and b(SI), by the bits in Y15. LOW and HIGH spread the words' halves. They are in registers
// for one token, FIFTHS; several tokens leave none.
#define FIFTH_BITS(a, b, LOW, HIGH) \
	VMOVDQU     (a)(SI), X8; \
	VPBLENDD    $0xF0, (b-16)(SI), Y8, Y8; \
	VPSHUFB     HIGH, Y8, Y9; \
	VPSHUFB     LOW, Y8, Y8; \
	VPAND       Y15, Y8, Y8; \
	VPAND       Y15, Y9, Y9; \
	VPCMPEQB    Y15, Y8, Y8; \
	VPCMPEQB    Y15, Y9, Y9; \
	VPAND       bytes16<>(SB), Y8, Y8; \
	VPAND       bytes16<>(SB), Y9, Y9; \
	VPOR        Y8, Y2, Y2; \
	VPOR        Y9, Y3, Y3

#define FIFTHS \
	VMOVDQU eachBit<>(SB), Y15; \
	VMOVDQU spreadLow<>(SB), Y11; \
	VMOVDQU spreadHigh<>(SB), Y12

#define WEIGHTS_Q5_0(j, LOW, HIGH) UNPACK_NIBBLES(44*j+6, 44*j+28); FIFTH_BITS(44*j+2, 44*j+24, LOW, HIGH)
#define WEIGHTS_Q5_1(j, LOW, HIGH) UNPACK_NIBBLES(48*j+8, 48*j+32); FIFTH_BITS(48*j+4, 48*j+28, LOW, HIGH)

#define UNPACK_Q5_0(j) WEIGHTS_Q5_0(j, Y11, Y12)
#define UNPACK_Q5_1(j) WEIGHTS_Q5_1(j, Y11, Y12)
#define SPREAD_Q5_0(j) WEIGHTS_Q5_0(j, spreadLow<>(SB), spreadHigh<>(SB))
#define SPREAD_Q5_1(j) WEIGHTS_Q5_1(j, spreadLow<>(SB), spreadHigh<>(SB))

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
