// Formats with codebooks, ternary ones and NVFP4 for rows_avx2_amd64.s.

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

VECTOR(bytes15, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F, 0x0F0F0F0F)
VECTOR(words3, 0x00030003, 0x00030003, 0x00030003, 0x00030003, 0x00030003, 0x00030003, 0x00030003, 0x00030003)
VECTOR(wordsFF00, 0xFF00FF00, 0xFF00FF00, 0xFF00FF00, 0xFF00FF00, 0xFF00FF00, 0xFF00FF00, 0xFF00FF00, 0xFF00FF00)
VECTOR(bias, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000, 0x3B800000) // 119<<23
VECTOR(small8, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000, 0x3A800000) // 1/1024
VECTOR(eights, 8, 8, 8, 8, 8, 8, 8, 8)
VECTOR(noNumber, 127, 127, 127, 127, 127, 127, 127, 127)

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
// fraction of 256. Three times it, as a word, is its first digit and the fraction that has the others: THIRDS does so for even bytes (E)
// and odd ones (O), FRACTIONS for the fractions, and DIGITS has the digits of all.
#define TIMES3(Y, T) \
	VPADDB Y, Y, T; \
	VPADDB T, Y, Y

#define THIRDS(Y, E, O) \
	VPMADDUBSW Y11, Y, E; \
	VPMADDUBSW Y12, Y, O

#define FRACTIONS(E, O) \
	VPMADDUBSW Y11, E, E; \
	VPMADDUBSW Y11, O, O

#define DIGITS(E, O, Y) \
	VPSRLW    $8, E, Y; \
	VPBLENDVB Y10, O, Y, Y

#define STORE_DIGITS(to) \
	DIGITS(Y5, Y6, Y3); \
	VMOVDQU Y3, (to)(R14)

TEXT prepareTQ1_0<>(SB), NOSPLIT|NOFRAME, $0-0
	DSCALE(52)
	VMOVDQU     wordsFF00<>(SB), Y10
	VMOVDQU     words3<>(SB), Y11
	VMOVDQU     words300<>(SB), Y12
	VMOVDQU     (SI), Y1
	THIRDS(Y1, Y5, Y6)
	STORE_DIGITS(0)
	FRACTIONS(Y5, Y6)
	STORE_DIGITS(32)
	FRACTIONS(Y5, Y6)
	STORE_DIGITS(64)
	FRACTIONS(Y5, Y6)
	STORE_DIGITS(96)
	FRACTIONS(Y5, Y6)
	STORE_DIGITS(128)
	VMOVDQU     32(SI), X1 // in halves: digits 0 | 1, 2 | 3 and 3 | 4
	VMOVDQA     X1, X2
	TIMES3(X2, X3)
	VINSERTI128 $1, X2, Y1, Y1
	THIRDS(Y1, Y5, Y6)
	STORE_DIGITS(160)
	FRACTIONS(Y5, Y6)
	FRACTIONS(Y5, Y6)
	STORE_DIGITS(192)
	FRACTIONS(Y5, Y6)
	DIGITS(Y5, Y6, Y4)
	VMOVD       48(SI), X1
	VMOVDQA     X1, X2
	TIMES3(X2, X3)
	VPUNPCKLDQ  X2, X1, X1
	VMOVDQA     X1, X2
	TIMES3(X2, X3)
	TIMES3(X2, X3)
	VPUNPCKLQDQ X2, X1, X1
	THIRDS(Y1, Y5, Y6)
	DIGITS(Y5, Y6, Y3)
	VPERM2I128  $0x21, Y3, Y4, Y3
	VMOVDQU     Y3, 224(R14)
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

// A row goes by eight super-blocks, which are prepared, then multiplied, with entries of a codebook as they are looked up: one alone is a
// long chain of loads and stores. MULTIPLY takes R12 of them at R14, which is what PASS sets it to.
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
	TREE_WORDS(Y4, Y5, Y6, Y7)
	END_OFFSET(256, 320, Y1, Y10)
	HALVES_WIDE(128, Y4, Y5)
	HALVES_WIDE(192, Y6, Y7)
	TREE_WORDS(Y4, Y5, Y6, Y7)
	END_OFFSET(288, 352, Y12, Y11)
	ADDQ    $WIDE_BYTES, R14
	ADDQ    $384, BX
	DECQ    R12
	JNZ     loop
	RET
