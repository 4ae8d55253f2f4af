// Formats with codebooks for rows_avx512_amd64.s. LOOKUP_… are those of rows_avx512_wide_amd64.h.

// The formats with codebooks. Eight values, an octet, are eight numbers of levels, whose bits come in planes: a byte of all lowest bits,
// one of the next, and one of the signs. Such bytes are the rows of a matrix that VGF2P8AFFINEQB multiplies with the eight vectors of one
// bit: that yields the columns, which are the numbers of signed levels. The lowest bits are byte 7 of a matrix.
//
//	Z24–Z27 which bytes of Z16 and Z17 are the matrices   Z28 vectors of one bit   Z29 the levels and their negatives, plus the offset
//
// Z25–Z27 are so many bytes behind Z24.
#define CODEBOOK_CONSTANTS(matrices, a, b, c) \
	VMOVDQU64    matrices<>(SB), Z24; \
	BYTES(a, Z25); \
	BYTES(b, Z26); \
	BYTES(c, Z27); \
	VPADDB       Z24, Z25, Z25; \
	VPADDB       Z24, Z26, Z26; \
	VPADDB       Z24, Z27, Z27; \
	MOVQ         $0x8040201008040201, AX; \
	VPBROADCASTQ AX, Z28

#define OCTETS(matrices, w) \
	VMOVDQA64      matrices, w; \
	VPERMI2B       Z17, Z16, w; \
	VGF2P8AFFINEQB $0, w, Z28, w; \
	VPERMB         Z29, w, w

#define OCTETS_BLOCKS \
	OCTETS(Z24, Z10); \
	OCTETS(Z25, Z11); \
	OCTETS(Z26, Z12); \
	OCTETS(Z27, Z13)

// OCTETS_GROUPS takes the first octets of groups 0 … 7, of 8 … 15, then the second ones.
#define OCTETS_GROUPS \
	OCTETS(Z24, Z18); \
	OCTETS(Z25, Z19); \
	VSHUFPS $0x88, Z19, Z18, Z10; \
	VSHUFPS $0xdd, Z19, Z18, Z11; \
	OCTETS(Z26, Z18); \
	OCTETS(Z27, Z19); \
	VSHUFPS $0x88, Z19, Z18, Z12; \
	VSHUFPS $0xdd, Z19, Z18, Z13

// SIGNS completes seven signs to eight of which an even number is 1: a linear map.
#define SIGNS_CONSTANT(z) \
	MOVQ         $0x010204081020407f, AX; \
	VPBROADCASTQ AX, z

// SCALES multiplies the odd numbers 2s + 1 by the half at d(SI), which stands for a multiple: Z14 holds 2s in the bits of a mask, and
// others.
#define SCALES(half, mask, multiple) \
	VPBROADCASTW half, Y15; \
	SCALES_OF(mask, multiple)

#define SCALES_OF(mask, multiple) \
	VPANDD.BCST mask<>(SB), Z14, Z14; \
	VCVTPH2PS   Y15, Z15; \
	VPORD.BCST  one<>(SB), Z14, Z14; \
	VMULPS.BCST multiple<>(SB), Z15, Z15; \
	VCVTDQ2PS   Z14, Z14; \
	VMULPS      Z15, Z14, Z14

DATA one<>+0(SB)/4, $1
GLOBL one<>(SB), RODATA|NOPTR, $4
DATA three2s<>+0(SB)/4, $0x0e
GLOBL three2s<>(SB), RODATA|NOPTR, $4
DATA four2s<>+0(SB)/4, $0x1e
GLOBL four2s<>(SB), RODATA|NOPTR, $4
DATA whole<>+0(SB)/4, $0x3f800000
GLOBL whole<>(SB), RODATA|NOPTR, $4
DATA quarter<>+0(SB)/4, $0x3e800000
GLOBL quarter<>(SB), RODATA|NOPTR, $4
DATA eighth<>+0(SB)/4, $0x3e000000
GLOBL eighth<>(SB), RODATA|NOPTR, $4

// IQ2_XXS: d, then for each block four indices, four times seven signs and four bits of scale. Z16 becomes the first plane and the signs,
// Z17 the second.
TEXT constantsIQ2_XXS<>(SB), NOSPLIT, $0
	CODEBOOK_CONSTANTS(matricesXXS, 1, 2, 3)
	MOVQ         $0x40152738406b5948, AX // 64 ± 8, 25, 43
	VPBROADCASTQ AX, Z29
	MOVQ         $0x352e272000000000, AX
	VPBROADCASTQ AX, Z30
	SIGNS_CONSTANT(Z31)
	MOVQ         $0xf0f0f0f0f0f0f0f0, AX
	KMOVQ        AX, K1
	RET

#define UNPACK_IQ2_XXS \
	MOVQ           TABLE(DX), AX; \
	VMOVDQU64      2(SI), Z16; \
	VPMULTISHIFTQB Z16, Z30, Z19; \
	VPERMQ         $0xd8, Z16, Z14; \
	VPMOVB2M       Z16, K6; \
	LOOKUP_256(256, Z17, Z10); \
	LOOKUP_256(0, Z18, Z11); \
	VGF2P8AFFINEQB $0, Z31, Z19, K1, Z18; \
	VMOVDQA64      Z18, Z16; \
	OCTETS_BLOCKS; \
	VPSRLD         $27, Z14, Z14; \
	VMOVSHDUP      Z14, Z14; \
	SCALES(0(SI), four2s, eighth)

VECTOR(matricesXXS, 0x0040040000000000, 0x1050140000000000, 0x08480c0000000000, 0x18581c0000000000, 0x2060240000000000, 0x3070340000000000, 0x28682c0000000000, 0x38783c0000000000)

// IQ3: a matrix has three planes of two entries, four bits of each. ROWS3 makes them of entries, whose planes 0 and 1 are in Z10 and whose
// plane 2 in Z11, and of the signs, words in Z18.
#define IQ3_CONSTANTS(levels) \
	CODEBOOK_CONSTANTS(matrices3, 1, 2, 3); \
	VMOVDQU64 levels<>(SB), Z29; \
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

VECTOR2(nibblePairs, 0x1001100110011001, 0x1001100110011001)
VECTOR(matrices3, 0x0008404800000000, 0x1018505800000000, 0x040c444c00000000, 0x141c545c00000000, 0x2028606800000000, 0x3038707800000000, 0x242c646c00000000, 0x343c747c00000000)

// IQ3_XXS: d, eight indices of each block, then four times seven signs and four bits of scale of each.
TEXT constantsIQ3_XXS<>(SB), NOSPLIT, $0
	IQ3_CONSTANTS(iq3xxsLevels)
	MOVQ         $0x2015200e20072000, AX
	VPBROADCASTQ AX, Z30
	SIGNS_CONSTANT(Z31)
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
	OCTETS_BLOCKS; \
	VPSRLD         $27, Z14, Z14; \
	VMOVSLDUP      Z14, Z14; \
	SCALES(0(SI), four2s, quarter)

VECTOR2(iq3xxsLevels, 0x7e746c645c544c44, 0x020c141c242c343c)

// IQ3_S: d, eight indices of each block, their ninth bits, signs, four bits of scale of each.
TEXT constantsIQ3_S<>(SB), NOSPLIT, $0
	IQ3_CONSTANTS(iq3sLevels)
	VMOVDQU64 scales3<>(SB), Z30
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
	OCTETS_BLOCKS; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	SCALES(0(SI), four2s, whole)

VECTOR2(iq3sLevels, 0x4f4d4b4947454341, 0x31333537393b3d3f)
VECTOR(scales3, 0x0000003f0000003f, 0x0000000700000007, 0x0000000300000003, 0x0000000b0000000b, 0x0000000f0000000f, 0x0000001700000017, 0x0000001300000013, 0x0000001b0000001b)

// IQ2_XS, IQ2_S and IQ1 have 32 indices in the words of Z16, which become words of both planes. ENTRIES… look them up in parts of 64
// entries, which takes less time than gathers. INDEX_BITS tells which: K1 … K5 are the bits from the seventh on.
#define INDEX_CONSTANTS \
	WORDS(64, Z21); \
	WORDS(128, Z22); \
	WORDS(256, Z23)

#define INDEX_BITS \
	MOVQ     TABLE(DX), AX; \
	VPTESTMW Z21, Z16, K1; \
	VPTESTMW Z22, Z16, K2; \
	VPTESTMW Z23, Z16, K3

#define PART(at, w) \
	VMOVDQU64 at(AX), w; \
	VPERMT2W  (at+64)(AX), Z16, w

#define ENTRIES_256(at, w) \
	PART(at, w); \
	PART(at+128, Z10); \
	PART(at+256, Z11); \
	PART(at+384, Z12); \
	VMOVDQU16 Z10, K1, w; \
	VMOVDQU16 Z12, K1, Z11; \
	VMOVDQU16 Z11, K2, w

#define ENTRIES_512(at, w) \
	ENTRIES_256(at, w); \
	ENTRIES_256(at+512, Z13); \
	VMOVDQU16 Z13, K3, w

#define ENTRIES_1024(at, w) \
	ENTRIES_512(at, w); \
	ENTRIES_512(at+1024, Z18); \
	VMOVDQU16 Z18, K4, w

VECTOR2(bit9, 0x0200020002000200, 0x0200020002000200)

// matricesOfGroups takes the signs from the words in Z17.
VECTOR(matricesOfGroups, 0x0001400000000000, 0x1011500000000000, 0x0405440000000000, 0x1415540000000000, 0x0809480000000000, 0x1819580000000000, 0x0c0d4c0000000000, 0x1c1d5c0000000000)

#define IQ2_CONSTANTS \
	CODEBOOK_CONSTANTS(matricesOfGroups, 32, 2, 34); \
	MOVQ         $0x40152738406b5948, AX; \
	VPBROADCASTQ AX, Z29; \
	VMOVDQU64    scales2<>(SB), Z30

VECTOR(scales2, 0x0000000f0000003f, 0x0000002f0000001f, 0x0000001300000003, 0x0000003300000023, 0x0000001700000007, 0x0000003700000027, 0x0000001b0000000b, 0x0000003b0000002b)

// IQ2_XS: d, 32 words of an index and seven signs, four bits of scale of each group.
TEXT constantsIQ2_XS<>(SB), NOSPLIT, $0
	IQ2_CONSTANTS
	SIGNS_CONSTANT(Z31)
	INDEX_CONSTANTS
	RET

#define UNPACK_IQ2_XS \
	VMOVDQU64      2(SI), Z17; \
	VPBROADCASTQ   66(SI), Z14; \
	VMOVDQA64      Z17, Z16; \
	INDEX_BITS; \
	VPSRLW         $9, Z17, Z17; \
	VGF2P8AFFINEQB $0, Z31, Z17, Z17; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	ENTRIES_512(0, Z19); \
	VMOVDQA64      Z19, Z16; \
	OCTETS_GROUPS; \
	SCALES(0(SI), four2s, eighth)

// IQ2_S: d, lower bytes of 32 indices, signs, upper two bits of the indices, four bits of scale of each group.
TEXT constantsIQ2_S<>(SB), NOSPLIT, $0
	IQ2_CONSTANTS
	MOVQ         $0x0620042002200020, AX
	VPBROADCASTQ AX, Z31
	WORDS(0x300, Z20)
	INDEX_CONSTANTS
	RET

// UPPER adds the upper bits of indices, in Z18, by the shifts and the mask in Z31 and Z20, to the lower ones in Z16.
#define UPPER \
	VPMULTISHIFTQB Z18, Z31, Z18; \
	VPTERNLOGD     $0xf8, Z20, Z18, Z16; \
	INDEX_BITS

#define UNPACK_IQ2_S \
	VPMOVZXBW      2(SI), Z16; \
	VPMOVZXBQ      66(SI), Z18; \
	VPMOVZXBW      34(SI), Z17; \
	VPBROADCASTQ   74(SI), Z14; \
	UPPER; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	VPTESTMW       bit9<>(SB), Z16, K4; \
	ENTRIES_1024(0, Z19); \
	VMOVDQA64      Z19, Z16; \
	OCTETS_GROUPS; \
	SCALES(0(SI), four2s, eighth)

// IQ1: entries are eight bytes, which become a qword of Wj each: 16 + 8 · (−1, 0, 1) + 1. Z17 holds −2 where an eighth is subtracted.
// K1 … K7 tell a qword.
#define IQ1_CONSTANTS \
	MOVL  $0x02, AX; \
	KMOVB AX, K1; \
	MOVL  $0x04, AX; \
	KMOVB AX, K2; \
	MOVL  $0x08, AX; \
	KMOVB AX, K3; \
	MOVL  $0x10, AX; \
	KMOVB AX, K4; \
	MOVL  $0x20, AX; \
	KMOVB AX, K5; \
	MOVL  $0x40, AX; \
	KMOVB AX, K6; \
	MOVL  $0x80, AX; \
	KMOVB AX, K7; \
	WORDS(0x700, Z20)

// ENTRIES8 takes octets o + a … o + h. The first goes to all qwords.
#define ENTRIES8(o, a, b, c, d, e, f, g, h, w) \
	MOVWLZX      (2*(o+a))(CX), AX; \
	VPBROADCASTQ (R14)(AX*8), w; \
	ENTRY(o+b, K1, w); \
	ENTRY(o+c, K2, w); \
	ENTRY(o+d, K3, w); \
	ENTRY(o+e, K4, w); \
	ENTRY(o+f, K5, w); \
	ENTRY(o+g, K6, w); \
	ENTRY(o+h, K7, w)

#define ENTRY(octet, mask, w) \
	MOVWLZX      (2*(octet))(CX), AX; \
	VPBROADCASTQ (R14)(AX*8), mask, w

// FIND stores the indices of R10 supers, so long before they are loaded that no load waits for its store: lower bits at low(SI), upper
// ones at high(SI), by the shifts and the mask in Z31 and Z20. Then R14 is the table, CX the indices.
#define FIND(low, high, size) \
	MOVQ           CX, SAVED_CX(DX); \
	LEAQ           INDICES(DX), CX; \
	MOVQ           SI, R14; \
	MOVQ           R10, AX; \
find: \
	VPMOVZXBW      low(R14), Z16; \
	VPMOVZXWQ      high(R14), Z18; \
	VPMULTISHIFTQB Z18, Z31, Z18; \
	VPTERNLOGD     $0xf8, Z20, Z18, Z16; \
	VMOVDQA64      Z16, (CX); \
	ADDQ           $64, CX; \
	ADDQ           $size, R14; \
	DECQ           AX; \
	JNE            find; \
	LEAQ           INDICES(DX), CX; \
	MOVQ           TABLE(DX), R14

#define NEXT_INDICES ADDQ $64, CX

// IQ1_S: d, lower bytes of 32 indices, and for each block the upper three bits of four, three bits of scale, and whether values are
// an eighth less or more.
TEXT constantsIQ1_S<>(SB), NOSPLIT, $0
	IQ1_CONSTANTS
	VMOVDQU64    lowWords<>(SB), Z30
	MOVQ         $0x0920062003200020, AX
	VPBROADCASTQ AX, Z31
	RET

#define BLOCK_ENTRIES(j, w) \
	ENTRIES8(j, 0, 8, 4, 12, 16, 24, 20, 28, w); \
	VPADDB Z17, w, w

#define UNPACK_IQ1_S \
	VPMOVZXWQ 34(SI), Z18; \
	VPSHUFB   Z30, Z18, Z17; \
	VPERMQ    $0xd8, Z17, Z14; \
	VPSRAW    $15, Z14, Z17; \
	VPADDB    Z17, Z17, Z17; \
	VPSRLD    $11, Z14, Z14; \
	SCALES(0(SI), three2s, eighth); \
	BLOCK_ENTRIES(0, Z10); \
	BLOCK_ENTRIES(1, Z11); \
	BLOCK_ENTRIES(2, Z12); \
	BLOCK_ENTRIES(3, Z13)

VECTOR2(lowWords, 0x0100010001000100, 0x0908090809080908)

// IQ1_M: lower bytes of 32 indices, upper three bits of each and whether its values are an eighth less or more, then four words: a
// quarter of d, and three bits of scale of four groups.
TEXT constantsIQ1_M<>(SB), NOSPLIT, $0
	IQ1_CONSTANTS
	VMOVDQU64    scales1<>(SB), Z30
	MOVQ         $0x0c20082004200020, AX
	VPBROADCASTQ AX, Z31
	VMOVDQU64    octetsOfGroups<>(SB), Z24
	BYTES(32, Z25)
	BYTES(2, Z26)
	BYTES(34, Z27)
	VPADDB       Z24, Z25, Z25
	VPADDB       Z24, Z26, Z26
	VPADDB       Z24, Z27, Z27
	RET

#define GROUP_ENTRIES(o, octets, w) \
	ENTRIES8(o, 0, 8, 2, 10, 4, 12, 6, 14, w); \
	VPERMB Z17, octets, Z16; \
	VPADDB Z16, w, w

#define UNPACK_IQ1_M \
	VPMOVZXWQ      32(SI), Z18; \
	VPBROADCASTQ   48(SI), Z14; \
	VPMULTISHIFTQB Z18, Z31, Z18; \
	VPSLLW         $4, Z18, Z17; \
	VPSRAW         $15, Z17, Z17; \
	VPADDB         Z17, Z17, Z17; \
	VPMULTISHIFTQB Z14, Z30, Z14; \
	MOVQ           48(SI), AX; \
	PEXTQ          quarters<>(SB), AX, AX; \
	VPBROADCASTW   AX, Y15; \
	SCALES_OF(three2s, eighth); \
	GROUP_ENTRIES(0, Z24, Z18); \
	GROUP_ENTRIES(16, Z25, Z19); \
	VSHUFPS        $0x88, Z19, Z18, Z10; \
	VSHUFPS        $0xdd, Z19, Z18, Z11; \
	GROUP_ENTRIES(1, Z26, Z18); \
	GROUP_ENTRIES(17, Z27, Z19); \
	VSHUFPS        $0x88, Z19, Z18, Z12; \
	VSHUFPS        $0xdd, Z19, Z18, Z13

VECTOR(octetsOfGroups, 0, 0x1010101010101010, 0x0404040404040404, 0x1414141414141414, 0x0808080808080808, 0x1818181818181818, 0x0c0c0c0c0c0c0c0c, 0x1c1c1c1c1c1c1c1c)
VECTOR(scales1, 0x0000000f0000003f, 0x0000002f0000001f, 0x0000001200000002, 0x0000003200000022, 0x0000001500000005, 0x0000003500000025, 0x0000001800000008, 0x0000003800000028)
DATA quarters<>+0(SB)/8, $0xf000f000f000f000
GLOBL quarters<>(SB), RODATA|NOPTR, $8
