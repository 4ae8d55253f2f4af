// Activations as rows_avx2_amd64.s wants them.

// A digest of the four units at R8 … R11 goes to DI: first the activations, then by a digest routine what the format wants of them. The
// factor of the shares is in Y15.

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

// Q_BLOCKS and Q_HALVES are the activations for one token.
#define Q_BLOCKS DIGEST_UNITS(DIGEST_UNIT)
#define Q_HALVES DIGEST_UNITS(COPY_UNIT)

// WORDS_BLOCKS and WORDS_HALVES are those for several, whose words are transposed, as those of the weights are.
#define WORDS_BLOCKS \
	FOUR_OF_BLOCKS(0); \
	TRANSPOSE_TO(0, 64, 128, 192); \
	FOUR_OF_BLOCKS(16); \
	TRANSPOSE_TO(32, 96, 160, 224)

#define FOUR_OF_BLOCKS(o) \
	VMOVDQU     (o)(R8), X0; \
	VMOVDQU     (o)(R9), X1; \
	VMOVDQU     (o)(R10), X2; \
	VMOVDQU     (o)(R11), X3; \
	VINSERTI128 $1, (o+32)(R8), Y0, Y0; \
	VINSERTI128 $1, (o+32)(R9), Y1, Y1; \
	VINSERTI128 $1, (o+32)(R10), Y2, Y2; \
	VINSERTI128 $1, (o+32)(R11), Y3, Y3

#define WORDS_HALVES \
	FOUR_OF_HALVES(R8, R9); \
	TRANSPOSE_TO(0, 32, 64, 96); \
	FOUR_OF_HALVES(R10, R11); \
	TRANSPOSE_TO(128, 160, 192, 224)

#define FOUR_OF_HALVES(u, v) \
	VMOVDQU (u), Y0; \
	VMOVDQU 32(u), Y1; \
	VMOVDQU (v), Y2; \
	VMOVDQU 32(v), Y3

#define TRANSPOSE_TO(a, b, c, d) \
	VPUNPCKLDQ  Y1, Y0, Y4; \
	VPUNPCKHDQ  Y1, Y0, Y5; \
	VPUNPCKLDQ  Y3, Y2, Y6; \
	VPUNPCKHDQ  Y3, Y2, Y7; \
	VPUNPCKLQDQ Y6, Y4, Y0; \
	VPUNPCKHQDQ Y6, Y4, Y1; \
	VPUNPCKLQDQ Y7, Y5, Y2; \
	VPUNPCKHQDQ Y7, Y5, Y3; \
	VMOVDQU     Y0, a(DI); \
	VMOVDQU     Y1, b(DI); \
	VMOVDQU     Y2, c(DI); \
	VMOVDQU     Y3, d(DI)

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
	SCALES_BLOCKS
	SUMS_BLOCKS
	SHARE(Y2)
	VMOVUPS Y1, 256(DI)
	VMOVDQU Y2, 320(DI)
	RET

TEXT digestBlocksMin<>(SB), NOSPLIT|NOFRAME, $0-0
	SCALES_BLOCKS
	SUMS_BLOCKS
	SHARE_FLOAT(Y1, Y2)
	VMOVUPS Y1, 256(DI)
	VMOVUPS Y2, 320(DI)
	RET

TEXT digestHalves<>(SB), NOSPLIT|NOFRAME, $0-0
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
