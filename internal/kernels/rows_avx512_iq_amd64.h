// Formats with codebooks for rows_avx512_amd64.s. LOOKUP_… are those of rows_avx512_wide_amd64.h.

// ADD_FOUND is ADD_SUPERS for formats of which something is found first, 64 bytes for each super, that UNPACK takes at CX: so long before
// that no load waits for its store. FIND does it for a row, or for as many as there is room for if their supers follow each other:
// FIND_ROWS sets R10 to the number of supers at R14, and CX to where what is found goes. UNPACK has R15 and DI, too.
#define ADD_FOUND(FIND, supers) \
	MOVQ CX, SAVED_CX(DX); \
	MOVQ R15, SAVED_R15(DX); \
	MOVQ DI, SAVED_DI(DX); \
	CMPQ FOUND_ROWS(DX), $0; \
	JNE  found; \
	MOVQ R10, SAVED_R10(DX); \
	FIND; \
	MOVQ SAVED_R10(DX), R10; \
found: \
	DECQ FOUND_ROWS(DX); \
	MOVQ FOUND_AT(DX), CX; \
	CALL supers<>(SB); \
	MOVQ CX, FOUND_AT(DX); \
	MOVQ SAVED_CX(DX), CX; \
	MOVQ SAVED_R15(DX), R15; \
	MOVQ SAVED_DI(DX), DI; \
	RET

#define FIND_ROWS \
	MOVQ    GROUP(DX), AX; \
	CMPQ    R8, AX; \
	CMOVQLT R8, AX; \
	MOVQ    AX, FOUND_ROWS(DX); \
	IMULQ   AX, R10; \
	MOVQ    SI, R14; \
	LEAQ    FOUND(DX), CX; \
	MOVQ    CX, FOUND_AT(DX)

#define NEXT_FOUND ADDQ $64, CX

// The formats with codebooks. Eight values, an octet, are eight numbers of levels, whose bits come in planes: a byte of all lowest bits,
// one of the next, and one of the signs. Such bytes are the rows of a matrix that VGF2P8AFFINEQB multiplies with the eight vectors of one
// bit: that yields the columns, which are numbers of signed levels, of two octets X and Y. The lowest bits are byte 7 of a matrix.
//
//	Z24, Z25 which bytes of Z16 and Z17 are the matrices of X and Y, and of two octets more   Z28 vectors of one bit
//	Z26, Z27 the levels of X, and of Y, and their negatives, plus the offset
#define MATRICES(matrices, step) \
	VMOVDQU64    matrices<>(SB), Z24; \
	MOVQ         $step, AX; \
	VPBROADCASTQ AX, Z25; \
	VPADDB       Z24, Z25, Z25; \
	UNIT_VECTORS

#define UNIT_VECTORS \
	MOVQ         $0x8040201008040201, AX; \
	VPBROADCASTQ AX, Z28

#define COLUMNS(matrices, x) \
	VMOVDQA64      matrices, x; \
	VPERMI2B       Z17, Z16, x; \
	VGF2P8AFFINEQB $0, x, Z28, x

// SIGNS completes seven signs to eight of which an even number is 1: a linear map.
#define SIGNS_CONSTANT(z) \
	MOVQ         $0x010204081020407f, AX; \
	VPBROADCASTQ AX, z

// SCALES multiplies the half at d(SI) by an odd multiple: the lowest four bits of the lanes of Z14 say which of the 16 in Z29.
#define SCALES(half) \
	VPBROADCASTW half, Y15; \
	SCALES_OF

#define SCALES_OF \
	VPERMPS   Z29, Z14, Z14; \
	VCVTPH2PS Y15, Z15; \
	VMULPS    Z15, Z14, Z14

// Odd numbers, a quarter of them, an eighth, and an eighth of those up to 15, twice.
VECTOR_LOW(odds, 0x404000003f800000, 0x40e0000040a00000, 0x4130000041100000, 0x4170000041500000)
VECTOR_HIGH(odds, 0x4198000041880000, 0x41b8000041a80000, 0x41d8000041c80000, 0x41f8000041e80000)
VECTOR_LOW(quarters, 0x3f4000003e800000, 0x3fe000003fa00000, 0x4030000040100000, 0x4070000040500000)
VECTOR_HIGH(quarters, 0x4098000040880000, 0x40b8000040a80000, 0x40d8000040c80000, 0x40f8000040e80000)
VECTOR_LOW(eighths, 0x3ec000003e000000, 0x3f6000003f200000, 0x3fb000003f900000, 0x3ff000003fd00000)
VECTOR_HIGH(eighths, 0x4018000040080000, 0x4038000040280000, 0x4058000040480000, 0x4078000040680000)
VECTOR4(eighths8, 0x3ec000003e000000, 0x3f6000003f200000, 0x3fb000003f900000, 0x3ff000003fd00000)

// IQ3: an octet is two entries, four bits of each plane, and its number is half a byte. ROWS3 makes rows of entries, whose planes 0 and 1
// are in Z10 and whose plane 2 in Z11, and of the signs, words in Z18.
#define IQ3_CONSTANTS(levels) \
	MATRICES(matrices3, 0x0202020202020202); \
	VMOVDQU64 levels<>(SB), Z26; \
	VMOVDQU64 nibblePairs<>(SB), Z22; \
	BYTES(15, Z21)

#define ROWS3 \
	VPANDD     Z21, Z10, Z12; \
	VPSRLW     $4, Z10, Z13; \
	VPANDD     Z21, Z13, Z13; \
	VPMADDUBSW Z22, Z11, Z11; \
	VPMADDUBSW Z22, Z12, Z12; \
	VPMADDUBSW Z22, Z13, Z13; \
	VPACKUSWB  Z18, Z11, Z17; \
	VPACKUSWB  Z13, Z12, Z16

#define FOUR_OCTETS3 \
	TWO_OCTETS3(Z24, Z10, Z11); \
	TWO_OCTETS3(Z25, Z12, Z13)

#define TWO_OCTETS3(matrices, x, y) \
	COLUMNS(matrices, x); \
	VPSRLW $4, x, y; \
	VPERMB Z26, x, x; \
	VPERMB Z26, y, y

VECTOR2(nibblePairs, 0x1001100110011001, 0x1001100110011001)
VECTOR_LOW(matrices3, 0x0008404801094149, 0x1018505811195159, 0x040c444c050d454d, 0x141c545c151d555d)
VECTOR_HIGH(matrices3, 0x2028606821296169, 0x3038707831397179, 0x242c646c252d656d, 0x343c747c353d757d)

// IQ3_XXS: d, eight indices of each block, then four times seven signs and four bits of scale of each.
TEXT constantsIQ3_XXS<>(SB), NOSPLIT, $0
	IQ3_CONSTANTS(iq3xxsLevels)
	MOVQ         $0x2015200e20072000, AX
	VPBROADCASTQ AX, Z30
	SIGNS_CONSTANT(Z31)
	VMOVDQU64    quarters<>(SB), Z29
	RET

#define UNPACK_IQ3_XXS \
	MOVQ           TABLE(DX), AX; \
	VMOVDQU64      2(SI), Z16; \
	VPMOVZXDQ      66(SI), Z19; \
	VPMOVB2M       Z16, K6; \
	LOOKUP_256(0, Z10, Z12); \
	LOOKUP_256(256, Z11, Z13); \
	VPMULTISHIFTQB Z19, Z30, Z18; \
	VGF2P8AFFINEQB $0, Z31, Z18, Z18; \
	VPERMQ         $0xd8, Z19, Z14; \
	ROWS3; \
	FOUR_OCTETS3; \
	VPSRLD         $28, Z14, Z14; \
	VMOVSLDUP      Z14, Z14; \
	SCALES(0(SI))

VECTOR2(iq3xxsLevels, 0x7e746c645c544c44, 0x020c141c242c343c)

// IQ3_S: d, eight indices of each block, their ninth bits, signs, four bits of scale of each.
TEXT constantsIQ3_S<>(SB), NOSPLIT, $0
	IQ3_CONSTANTS(iq3sLevels)
	VMOVDQU64 scales3<>(SB), Z30
	VMOVDQU64    odds<>(SB), Z29
	RET

#define LOOKUP_512(at, w, scratch, scratch2) \
	LOOKUP_256(at, w, scratch); \
	LOOKUP_256(at+256, scratch2, scratch); \
	VMOVDQU8 scratch2, K7, w

#define UNPACK_IQ3_S \
	MOVQ           TABLE(DX), AX; \
	VMOVDQU64      2(SI), Z16; \
	KMOVQ          66(SI), K7; \
	VPMOVZXBW      74(SI), Z18; \
	VPBROADCASTD   106(SI), Z14; \
	VPMOVB2M       Z16, K6; \
	LOOKUP_512(0, Z10, Z12, Z13); \
	LOOKUP_512(512, Z11, Z17, Z19); \
	ROWS3; \
	FOUR_OCTETS3; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	SCALES(0(SI))

VECTOR2(iq3sLevels, 0x4f4d4b4947454341, 0x31333537393b3d3f)
VECTOR_LOW(scales3, 0x0000000000000000, 0x0000000800000008, 0x0000000400000004, 0x0000000c0000000c)
VECTOR_HIGH(scales3, 0x0000001000000010, 0x0000001800000018, 0x0000001400000014, 0x0000001c0000001c)

// IQ2: the numbers of X are bits 0 to 2, those of Y 3 to 5. The planes of a super, 32 bytes each, are in Z16, the signs in Z17.
#define IQ2_CONSTANTS(matrices, step) \
	MATRICES(matrices, step); \
	MOVQ         $0x40152738406b5948, AX; \
	VPBROADCASTQ AX, Z26; \
	VMOVDQU64    eachLevel<>(SB), Z27

VECTOR_LOW(eachLevel, 0x4848484848484848, 0x5959595959595959, 0x6b6b6b6b6b6b6b6b, 0x4040404040404040)
VECTOR_HIGH(eachLevel, 0x3838383838383838, 0x2727272727272727, 0x1515151515151515, 0x4040404040404040)

#define TWO_OCTETS(matrices, x, y) \
	COLUMNS(matrices, x); \
	VPERMB Z27, x, y; \
	VPERMB Z26, x, x

// TWO_OCTETS_GROUPS does so for X of groups 0 … 7 and Y of 8 … 15.
#define TWO_OCTETS_GROUPS \
	TWO_OCTETS(Z24, Z18, Z19); \
	VSHUFPS $0x88, Z19, Z18, Z10; \
	VSHUFPS $0xdd, Z19, Z18, Z11; \
	TWO_OCTETS(Z25, Z18, Z19); \
	VSHUFPS $0x88, Z19, Z18, Z12; \
	VSHUFPS $0xdd, Z19, Z18, Z13

// FIND_PAIRS looks planes up, those of two supers at a time: INDEX takes the lower eight bits of 64 indices of the supers at R14 and AX to
// Z8, their eighth one also to K6, and what they have more to K7 and K5. The last of an odd number of supers is its own neighbour. Tables
// stay in Z16 … Z31, as far as there is room: Zen 4 loads one vector in a cycle.
#define FIND_PAIRS(TABLES, INDEX, PLANES, constants, size) \
	FIND_ROWS; \
	MOVQ TABLE(DX), AX; \
	TABLES; \
find: \
	LEAQ         size(R14), AX; \
	CMPQ         R10, $1; \
	CMOVQEQ      R14, AX; \
	INDEX; \
	PLANES; \
	VINSERTI64X4 $1, Y10, Z9, Z11; \
	VSHUFI64X2   $0xee, Z10, Z9, Z12; \
	VMOVDQA64    Z11, (CX); \
	VMOVDQA64    Z12, 64(CX); \
	ADDQ         $128, CX; \
	ADDQ         $(2*size), R14; \
	SUBQ         $2, R10; \
	JGT          find; \
	CALL         constants<>(SB)

// TABLES_… load tables. PART looks Z8 up in 128 bytes, PARTS in 256, PARTS_512 in 512. PLANES_… leave plane 0 in Z9 and plane 1 in Z10.
#define TABLES_8 \
	VMOVDQU64 0(AX), Z16; \
	VMOVDQU64 64(AX), Z17; \
	VMOVDQU64 128(AX), Z18; \
	VMOVDQU64 192(AX), Z19; \
	VMOVDQU64 256(AX), Z20; \
	VMOVDQU64 320(AX), Z21; \
	VMOVDQU64 384(AX), Z22; \
	VMOVDQU64 448(AX), Z23

#define TABLES_16 \
	TABLES_8; \
	VMOVDQU64 512(AX), Z24; \
	VMOVDQU64 576(AX), Z25; \
	VMOVDQU64 640(AX), Z26; \
	VMOVDQU64 704(AX), Z27; \
	VMOVDQU64 768(AX), Z28; \
	VMOVDQU64 832(AX), Z29; \
	VMOVDQU64 896(AX), Z30; \
	VMOVDQU64 960(AX), Z31

#define PART(a, b, w) \
	VMOVDQU64 a, w; \
	VPERMT2B  b, Z8, w

#define PARTS(a, b, c, d, w, scratch) \
	PART(a, b, w); \
	PART(c, d, scratch); \
	VMOVDQU8 scratch, K6, w

#define PLANES_256 \
	PARTS(Z16, Z17, Z18, Z19, Z9, Z11); \
	PARTS(Z20, Z21, Z22, Z23, Z10, Z12)

#define PARTS_512(a, b, c, d, e, f, g, h, w) \
	PARTS(a, b, c, d, w, Z11); \
	PARTS(e, f, g, h, Z12, Z13); \
	VMOVDQU8 Z12, K7, w

#define PLANES_512 \
	PARTS_512(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z9); \
	PARTS_512(Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31, Z10)

#define PARTS_AT(a, w) \
	PARTS_512(a(AX), (a+64)(AX), (a+128)(AX), (a+192)(AX), (a+256)(AX), (a+320)(AX), (a+384)(AX), (a+448)(AX), w)

#define PLANES_1024 \
	MOVQ TABLE(DX), AX; \
	PARTS_512(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z9); \
	PARTS_512(Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31, Z14); \
	VMOVDQU8 Z14, K5, Z9; \
	PARTS_AT(1024, Z10); \
	PARTS_AT(1536, Z14); \
	VMOVDQU8 Z14, K5, Z10

// IQ2_XXS: d, then for each block four indices, four times seven signs and four bits of scale.
TEXT constantsIQ2_XXS<>(SB), NOSPLIT, $0
	IQ2_CONSTANTS(matricesXXS, 0x0202020202020000)
	MOVQ         $0x352e272000000000, AX
	VPBROADCASTQ AX, Z30
	SIGNS_CONSTANT(Z31)
	VMOVDQU64    lastOfBlocks<>(SB), Z22
	VMOVDQU64    eighths<>(SB), Z29
	RET

#define INDEX_IQ2_XXS \
	VMOVDQU64 2(R14), Z9; \
	VMOVDQU64 fourOfEight<>(SB), Z8; \
	VPERMI2B  2(AX), Z9, Z8; \
	VPMOVB2M  Z8, K6

#define UNPACK_IQ2_XXS \
	VMOVDQU64      2(SI), Z14; \
	VMOVDQA64      (CX), Z16; \
	VPMULTISHIFTQB Z14, Z30, Z17; \
	VGF2P8AFFINEQB $0, Z31, Z17, Z17; \
	VPSRLD         $28, Z14, Z14; \
	VPERMD         Z14, Z22, Z14; \
	TWO_OCTETS(Z24, Z10, Z11); \
	TWO_OCTETS(Z25, Z12, Z13); \
	SCALES(0(SI))

VECTOR_LOW(matricesXXS, 0x0020440121450000, 0x0828540929550000, 0x04244c05254d0000, 0x0c2c5c0d2d5d0000)
VECTOR_HIGH(matricesXXS, 0x1030641131650000, 0x1838741939750000, 0x14346c15356d0000, 0x1c3c7c1d3d7d0000)
VECTOR_LOW(fourOfEight, 0x0b0a090803020100, 0x1b1a191813121110, 0x2b2a292823222120, 0x3b3a393833323130)
VECTOR_HIGH(fourOfEight, 0x4b4a494843424140, 0x5b5a595853525150, 0x6b6a696863626160, 0x7b7a797873727170)
VECTOR_LOW(lastOfBlocks, 0x0000000100000001, 0x0000000500000005, 0x0000000300000003, 0x0000000700000007)
VECTOR_HIGH(lastOfBlocks, 0x0000000900000009, 0x0000000d0000000d, 0x0000000b0000000b, 0x0000000f0000000f)

// IQ2_XS: d, 32 words of an index and seven signs, four bits of scale of each group.
TEXT constantsIQ2_XS<>(SB), NOSPLIT, $0
	IQ2_CONSTANTS(matricesXS, 0x0101020101020000)
	VMOVDQU64    scales2<>(SB), Z30
	MOVQ         $0x02040810204080fe, AX
	VPBROADCASTQ AX, Z31
	VMOVDQU64    eighths<>(SB), Z29
	RET

#define INDEX_IQ2_XS \
	VMOVDQU64 2(R14), Z9; \
	VMOVDQU64 2(AX), Z10; \
	VMOVDQU64 lowerBytes<>(SB), Z8; \
	VMOVDQU64 upperBytes<>(SB), Z11; \
	VPERMI2B  Z10, Z9, Z8; \
	VPERMI2B  Z10, Z9, Z11; \
	VPMOVB2M  Z8, K6; \
	VPTESTMB  bits0<>(SB), Z11, K7

#define UNPACK_IQ2_XS \
	VMOVDQU64      2(SI), Z17; \
	VPBROADCASTQ   66(SI), Z14; \
	VMOVDQA64      (CX), Z16; \
	VGF2P8AFFINEQB $0, Z31, Z17, Z17; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	TWO_OCTETS_GROUPS; \
	SCALES(0(SI))

VECTOR_LOW(matricesXS, 0x0020411030610000, 0x0828511838710000, 0x0222451232650000, 0x0a2a551a3a750000)
VECTOR_HIGH(matricesXS, 0x0424491434690000, 0x0c2c591c3c790000, 0x06264d16366d0000, 0x0e2e5d1e3e7d0000)
VECTOR2(bits0, 0x0101010101010101, 0x0101010101010101)
VECTOR_LOW(lowerBytes, 0x0e0c0a0806040200, 0x1e1c1a1816141210, 0x2e2c2a2826242220, 0x3e3c3a3836343230)
VECTOR_HIGH(lowerBytes, 0x4e4c4a4846444240, 0x5e5c5a5856545250, 0x6e6c6a6866646260, 0x7e7c7a7876747270)
VECTOR_LOW(upperBytes, 0x0f0d0b0907050301, 0x1f1d1b1917151311, 0x2f2d2b2927252321, 0x3f3d3b3937353331)
VECTOR_HIGH(upperBytes, 0x4f4d4b4947454341, 0x5f5d5b5957555351, 0x6f6d6b6967656361, 0x7f7d7b7977757371)
VECTOR_LOW(scales2, 0x0000001000000000, 0x0000003000000020, 0x0000001400000004, 0x0000003400000024)
VECTOR_HIGH(scales2, 0x0000001800000008, 0x0000003800000028, 0x0000001c0000000c, 0x0000003c0000002c)

// IQ2_S: d, lower bytes of 32 indices, signs, upper two bits of the indices, four bits of scale of each group.
TEXT constantsIQ2_S<>(SB), NOSPLIT, $0
	IQ2_CONSTANTS(matricesS, 0x0101010101010000)
	VMOVDQU64    scales2<>(SB), Z30
	MOVL         $0xf0, AX
	KMOVB        AX, K1
	VMOVDQU64    eighths<>(SB), Z29
	RET

#define INDEX_IQ2_S \
	VMOVDQU      2(R14), Y8; \
	VPBROADCASTQ 66(R14), Z9; \
	VINSERTI64X4 $1, 2(AX), Z8, Z8; \
	VPBROADCASTQ 66(AX), K1, Z9; \
	VPMOVB2M     Z8, K6; \
	VPSHUFB      fourTimes<>(SB), Z9, Z9; \
	VPTESTMB     bits0246<>(SB), Z9, K7; \
	VPTESTMB     bits1357<>(SB), Z9, K5

#define UNPACK_IQ2_S \
	VMOVDQU64      34(SI), Y17; \
	VPBROADCASTQ   74(SI), Z14; \
	VMOVDQA64      (CX), Z16; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	TWO_OCTETS_GROUPS; \
	SCALES(0(SI))

VECTOR_LOW(matricesS, 0x0020401030500000, 0x0828481838580000, 0x0222421232520000, 0x0a2a4a1a3a5a0000)
VECTOR_HIGH(matricesS, 0x0424441434540000, 0x0c2c4c1c3c5c0000, 0x0626461636560000, 0x0e2e4e1e3e5e0000)
VECTOR2(bits0246, 0x4010040140100401, 0x4010040140100401)
VECTOR2(bits1357, 0x8020080280200802, 0x8020080280200802)
VECTOR4(fourTimes, 0x0101010100000000, 0x0303030302020202, 0x0505050504040404, 0x0707070706060606)

// IQ1: an entry is a word of two planes, one byte each, and four of them are a matrix: its columns are four times two bits, each octet's
// −1, 0 or 1, plus 1. A constant matrix takes an octet out of them, times 8. That an octet is an eighth more or less is left to the
// activations: their negative sums, times 7 or 9, make up for this and for the 1.
//
//	Z27 the columns of the next super, in qwords of four octets
//	Z15 the 7 or 9, in words: a lane's in the lower one (IQ1_S), or its first octet's in the lower one and its second's in the upper
#define FROM_SHIFTED(at, lanes) \
	VPXORD   lanes, lanes, lanes; \
	VPDPWSSD (at+320)(R9), Z15, lanes

// IQ1_COLUMNS looks the entries of the super behind that at CX up, in the table at R14: products of the same super would wait for them.
// Indices come in fours, since loads are what takes the time.
#define ENTRIES(low, high, x) \
	MOVQ    (64+8*low)(CX), R15; \
	MOVWLZX R15, AX; \
	RORXQ   $16, R15, DI; \
	MOVWLZX DI, DI; \
	VMOVD   (R14)(AX*2), x; \
	SHRQ    $32, R15; \
	VPINSRW $1, (R14)(DI*2), x, x; \
	MOVWLZX R15, AX; \
	SHRQ    $16, R15; \
	VPINSRW $2, (R14)(AX*2), x, x; \
	VPINSRW $3, (R14)(R15*2), x, x; \
	MOVQ    (64+8*high)(CX), R15; \
	MOVWLZX R15, AX; \
	RORXQ   $16, R15, DI; \
	MOVWLZX DI, DI; \
	VPINSRW $4, (R14)(AX*2), x, x; \
	SHRQ    $32, R15; \
	VPINSRW $5, (R14)(DI*2), x, x; \
	MOVWLZX R15, AX; \
	SHRQ    $16, R15; \
	VPINSRW $6, (R14)(AX*2), x, x; \
	VPINSRW $7, (R14)(R15*2), x, x

#define IQ1_COLUMNS(a, b, c, d, e, f, g, h) \
	MOVQ           TABLE(DX), R14; \
	ENTRIES(a, b, X16); \
	ENTRIES(c, d, X17); \
	ENTRIES(e, f, X18); \
	ENTRIES(g, h, X19); \
	VINSERTI64X2   $1, X17, Y16, Y16; \
	VINSERTI64X2   $1, X19, Y18, Y18; \
	VINSERTI64X4   $1, Y18, Z16, Z16; \
	VGF2P8AFFINEQB $0, Z16, Z28, Z27

#define COLUMNS_IQ1_S IQ1_COLUMNS(0, 2, 1, 3, 4, 6, 5, 7)
#define COLUMNS_IQ1_M IQ1_COLUMNS(0, 1, 2, 3, 4, 5, 6, 7)

// FIND_INDICES makes words of indices: lower bits at low(R14), upper ones at high(R14), by the shifts and the mask in Z31 and Z20. Behind
// the last are zeros, which are looked up in vain. first looks up the first.
#define FIND_INDICES(low, high, first, size) \
	FIND_ROWS; \
find: \
	VPMOVZXBW      low(R14), Z16; \
	VPMOVZXWQ      high(R14), Z18; \
	VPMULTISHIFTQB Z18, Z31, Z18; \
	VPTERNLOGD     $0xf8, Z20, Z18, Z16; \
	VMOVDQA64      Z16, (CX); \
	ADDQ           $64, CX; \
	ADDQ           $size, R14; \
	DECQ           R10; \
	JNE            find; \
	VPXORD         Z16, Z16, Z16; \
	VMOVDQA64      Z16, (CX); \
	LEAQ           (FOUND-64)(DX), CX; \
	CALL           first<>(SB)

TEXT firstIQ1_S<>(SB), NOSPLIT, $0
	COLUMNS_IQ1_S
	RET

TEXT firstIQ1_M<>(SB), NOSPLIT, $0
	COLUMNS_IQ1_M
	RET

#define EACH_QWORD(v, z) MOVQ $v, AX; VPBROADCASTQ AX, z

// IQ1_S: d, lower bytes of 32 indices, and for each block the upper three bits of four, three bits of scale, and whether values are
// an eighth less or more.
TEXT constantsIQ1_S<>(SB), NOSPLIT, $0
	WORDS(0x700, Z20)
	EACH_QWORD(0x0000004080000000, Z21)
	EACH_QWORD(0x0000001020000000, Z22)
	EACH_QWORD(0x0000000408000000, Z23)
	EACH_QWORD(0x0000000102000000, Z24)
	EACH_QWORD(0x1020408000000000, Z25)
	EACH_QWORD(0x0080808000000000, Z26)
	UNIT_VECTORS
	VMOVDQU64 eighths8<>(SB), Z29
	VMOVDQU64 upperOfBlocks<>(SB), Z30
	EACH_QWORD(0x0920062003200020, Z31)
	MOVQ      $0x1111111111111111, AX
	KMOVQ     AX, K1
	RET

#define UNPACK_IQ1_S \
	VMOVDQU          34(SI), X14; \
	VPERMB           Z14, Z30, Z14; \
	VGF2P8AFFINEQB.Z $7, Z26, Z14, K1, Z15; \
	VPBROADCASTW     (SI), Y16; \
	VGF2P8AFFINEQB   $0, Z25, Z14, Z14; \
	VCVTPH2PS        Y16, Z16; \
	VPERMPS          Z29, Z14, Z14; \
	VMULPS           Z16, Z14, Z14; \
	VGF2P8AFFINEQB   $0, Z21, Z27, Z10; \
	VGF2P8AFFINEQB   $0, Z22, Z27, Z11; \
	VGF2P8AFFINEQB   $0, Z23, Z27, Z12; \
	VGF2P8AFFINEQB   $0, Z24, Z27, Z13; \
	COLUMNS_IQ1_S

// Upper bytes of the words of block 0 2 1 3 4 6 5 7.
VECTOR_LOW(upperOfBlocks, 0x0000000100000001, 0x0000000500000005, 0x0000000300000003, 0x0000000700000007)
VECTOR_HIGH(upperOfBlocks, 0x0000000900000009, 0x0000000d0000000d, 0x0000000b0000000b, 0x0000000f0000000f)

// IQ1_M: lower bytes of 32 indices, upper three bits of each and whether its values are an eighth less or more, then four words: a
// quarter of d, and three bits of scale of four groups.
TEXT constantsIQ1_M<>(SB), NOSPLIT, $0
	WORDS(0x700, Z20)
	VMOVDQU64 firstOctets<>(SB), Z21
	VMOVDQU64 secondOctets<>(SB), Z22
	VMOVDQU64 shiftsOfGroups<>(SB), Z23
	EACH_QWORD(0x0008080800000000, Z24)
	VMOVDQU64 lowOfGroups<>(SB), Z25
	VMOVDQU64 highOfGroups<>(SB), Z26
	UNIT_VECTORS
	VMOVDQU64 eighths8<>(SB), Z29
	VMOVDQU64 scales1<>(SB), Z30
	EACH_QWORD(0x0c20082004200020, Z31)
	MOVQ      $0x5555555555555555, AX
	KMOVQ     AX, K1
	RET

#define UNPACK_IQ1_M \
	VBROADCASTI32X4  32(SI), Z15; \
	VPBROADCASTQ     48(SI), Z14; \
	VPMULTISHIFTQB   Z15, Z23, Z15; \
	VGF2P8AFFINEQB.Z $7, Z24, Z15, K1, Z15; \
	VPMULTISHIFTQB   Z14, Z30, Z14; \
	MOVQ             48(SI), AX; \
	PEXTQ            upperNibbles<>(SB), AX, AX; \
	VPBROADCASTW     AX, Y16; \
	VCVTPH2PS        Y16, Z16; \
	VPERMPS          Z29, Z14, Z14; \
	VMULPS           Z16, Z14, Z14; \
	VPERMD           Z27, Z25, Z12; \
	VPERMD           Z27, Z26, Z13; \
	VGF2P8AFFINEQB   $0, Z21, Z12, Z10; \
	VGF2P8AFFINEQB   $0, Z21, Z13, Z11; \
	VGF2P8AFFINEQB   $0, Z22, Z12, Z12; \
	VGF2P8AFFINEQB   $0, Z22, Z13, Z13; \
	COLUMNS_IQ1_M

VECTOR4(firstOctets, 0x0000004080000000, 0x0000004080000000, 0x0000000408000000, 0x0000000408000000)
VECTOR4(secondOctets, 0x0000001020000000, 0x0000001020000000, 0x0000000102000000, 0x0000000102000000)
VECTOR_LOW(lowOfGroups, 0x0000000400000000, 0x0000000c00000008, 0x0000000400000000, 0x0000000c00000008)
VECTOR_HIGH(lowOfGroups, 0x0000000600000002, 0x0000000e0000000a, 0x0000000600000002, 0x0000000e0000000a)
VECTOR_LOW(highOfGroups, 0x0000000500000001, 0x0000000d00000009, 0x0000000500000001, 0x0000000d00000009)
VECTOR_HIGH(highOfGroups, 0x0000000700000003, 0x0000000f0000000b, 0x0000000700000003, 0x0000000f0000000b)
VECTOR_LOW(shiftsOfGroups, 0x0024002000040000, 0x0024002000040000, 0x002c0028000c0008, 0x002c0028000c0008)
VECTOR_HIGH(shiftsOfGroups, 0x0034003000140010, 0x0034003000140010, 0x003c0038001c0018, 0x003c0038001c0018)
VECTOR_LOW(scales1, 0x0000001000000000, 0x0000003000000020, 0x0000001300000003, 0x0000003300000023)
VECTOR_HIGH(scales1, 0x0000001600000006, 0x0000003600000026, 0x0000001900000009, 0x0000003900000029)
DATA upperNibbles<>+0(SB)/8, $0xf000f000f000f000
GLOBL upperNibbles<>(SB), RODATA|NOPTR, $8
