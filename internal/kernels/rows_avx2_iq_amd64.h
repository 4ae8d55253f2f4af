// Formats with codebooks for rows_avx2_amd64.s: wide formats, see rows_avx2_wide_amd64.h.

VECTOR(ones, 1, 1, 1, 1, 1, 1, 1, 1)
VECTOR(sevens, 7, 7, 7, 7, 7, 7, 7, 7)
VECTOR(fifteens, 15, 15, 15, 15, 15, 15, 15, 15)
VECTOR(sevenBits, 127, 127, 127, 127, 127, 127, 127, 127)
VECTOR(bytes1, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101)
VECTOR(words100, 0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x01000100, 0x01000100)
VECTOR(words300, 0x03000300, 0x03000300, 0x03000300, 0x03000300, 0x03000300, 0x03000300, 0x03000300, 0x03000300)
VECTOR(words700, 0x07000700, 0x07000700, 0x07000700, 0x07000700, 0x07000700, 0x07000700, 0x07000700, 0x07000700)
VECTOR(words1FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF, 0x01FF01FF)
VECTOR(wordBits, 0x00020001, 0x00080004, 0x00200010, 0x00800040, 0x02000100, 0x08000400, 0x20001000, 0x80004000)
VECTOR(whole, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000, 0x3F800000)
VECTOR(quarter, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000, 0x3E800000)
VECTOR(eighth, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000, 0x3E000000)

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

// WORD_OCTETS and BYTE_OCTETS set Y1 to the four entries at indices from o(r), QUADS to the eight at those that LOAD takes, step apart. Of
// four octets the indices are taken at once: loads are what takes the time.
#define OCTETS(FOUR, EXTEND, bits, o, r) \
	FOUR        (o)(r), AX; \
	EXTEND      AX, DX; \
	SHRQ        $bits, AX; \
	VMOVQ       (R15)(DX*8), X1; \
	EXTEND      AX, DX; \
	SHRQ        $bits, AX; \
	VMOVHPS     (R15)(DX*8), X1, X1; \
	EXTEND      AX, DX; \
	SHRQ        $bits, AX; \
	VMOVQ       (R15)(DX*8), X2; \
	VMOVHPS     (R15)(AX*8), X2, X2; \
	VINSERTI128 $1, X2, Y1, Y1

#define WORD_OCTETS(EXTEND, o, r, step) OCTETS(MOVQ, EXTEND, 16, o, r)
#define BYTE_OCTETS(EXTEND, o, r, step) OCTETS(MOVL, EXTEND, 8, o, r)

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

// REWIND takes SI back to where R12 super-blocks began.
#define REWIND(bytes) \
	IMUL3Q $bytes, R12, AX; \
	SUBQ   AX, SI

// MULTIPLY_ENTRIES multiplies entries as they are looked up: for a row alone, they need not be stored. PRODUCTS leaves the sums of a block,
// END adds those of four blocks to the lanes.
#define MULTIPLY_ENTRIES(size, ENTRIES, LOAD, o, r, step, bytes, PRODUCTS, END) \
	REWIND(size); \
	ONES; \
	VMOVDQU spreadFour<>(SB), Y11; \
	VMOVDQU eachBit<>(SB), Y12; \
	VMOVDQU bytes1<>(SB), Y14; \
product: \
	VMOVUPS 256(R14), Y10; \
	ENTRIES(LOAD, o, r, step); PRODUCTS(0, Y4); \
	ENTRIES(LOAD, o+bytes, r, step); PRODUCTS(1, Y5); \
	ENTRIES(LOAD, o+2*bytes, r, step); PRODUCTS(2, Y6); \
	ENTRIES(LOAD, o+3*bytes, r, step); PRODUCTS(3, Y7); \
	TREE_WORDS(Y4, Y5, Y6, Y7); \
	END(256, 320, Y10, Y9); \
	VMOVUPS 288(R14), Y10; \
	ENTRIES(LOAD, o+4*bytes, r, step); PRODUCTS(4, Y4); \
	ENTRIES(LOAD, o+5*bytes, r, step); PRODUCTS(5, Y5); \
	ENTRIES(LOAD, o+6*bytes, r, step); PRODUCTS(6, Y6); \
	ENTRIES(LOAD, o+7*bytes, r, step); PRODUCTS(7, Y7); \
	TREE_WORDS(Y4, Y5, Y6, Y7); \
	END(288, 352, Y10, Y9); \
	ADDQ $size, SI; \
	ADDQ $WIDE_BYTES, R14; \
	ADDQ $384, BX; \
	DECQ R12; \
	JNZ  product

#define SIGNED_PRODUCTS(g, V) \
	VPBROADCASTD (320+4*g)(R14), Y2; \
	VMOVDQU      (32*g)(BX), Y3; \
	VPSHUFB      Y11, Y2, Y2; \
	VPAND        Y12, Y2, Y2; \
	VPCMPEQB     Y12, Y2, Y2; \
	VPOR         Y14, Y2, Y2; \
	VPSIGNB      Y2, Y3, Y3; \
	VPMADDUBSW   Y3, Y1, Y1; \
	VPMADDWD     Y13, Y1, V

#define SHIFTED_PRODUCTS(g, V) \
	VPBROADCASTD (320+4*g)(R14), Y2; \
	VPSHUFB      Y11, Y2, Y2; \
	VPADDB       Y2, Y1, Y1; \
	VPMADDUBSW   (32*g)(BX), Y1, Y1; \
	VPMADDWD     Y13, Y1, V
