// The same of weights of Q4_K, Q5_K and Q6_K. The last does not do its blocks in order: SKIP(n) leaves out n of them.

// The header of Q4_K and Q5_K: two halves, then eight 6-bit scales and minimums, as sixBitPairs has them. Scratch, all for 16 rows:
// 0 the half of scales, 64 of minimums; 128 four scales, 192 four minimums; 256 and 320 the other four.
#define HEADER \
	QUADS(0, X0, Z0, X1, Z1, X2, Z2, X3, Z3) \
	VPSRLD      $16, Z0, Z4              \
	HALF(Z0, Y0)                         \
	HALF(Z4, Y4)                         \
	VMOVAPS.Z   Z0, K1, Z0               \
	VMOVAPS.Z   Z4, K1, Z4               \
	VMOVUPS     Z0, (BX)                 \
	VMOVUPS     Z4, 64(BX)               \
	VPANDD.BCST low6<>(SB), Z1, Z4       \
	VPANDD.BCST low6<>(SB), Z2, Z5       \
	VMOVDQU64   Z4, 128(BX)              \
	VMOVDQU64   Z5, 192(BX)              \
	VPANDD.BCST nibble<>(SB), Z3, Z4     \
	VPSRLD      $4, Z3, Z5               \
	VPANDD.BCST nibble<>(SB), Z5, Z5     \
	VPSRLD      $2, Z1, Z1               \
	VPSRLD      $2, Z2, Z2               \
	VPTERNLOGD.BCST $0xF8, top2<>(SB), Z1, Z4 \
	VPTERNLOGD.BCST $0xF8, top2<>(SB), Z2, Z5 \
	VMOVDQU64   Z4, 256(BX)              \
	VMOVDQU64   Z5, 320(BX)

DATA low6<>+0(SB)/4, $0x3F3F3F3F
GLOBL low6<>(SB), RODATA, $4

DATA top2<>+0(SB)/4, $0x30303030
GLOBL top2<>(SB), RODATA, $4

// SECONDHALF goes on to the other four.
#define SECONDHALF \
	VMOVDQU64 256(BX), Z8 \
	VMOVDQU64 320(BX), Z9 \
	VMOVDQU64 Z8, 128(BX) \
	VMOVDQU64 Z9, 192(BX)

// AFFINE stores the next scales, and the offsets scale · zero − minimum of weights that are centred on zero.
#define AFFINE(zero) \
	VMOVDQU64   128(BX), Z8           \
	VMOVDQU64   192(BX), Z9           \
	VPSRLD      $8, Z8, Z10           \
	VPSRLD      $8, Z9, Z11           \
	VMOVDQU64   Z10, 128(BX)          \
	VMOVDQU64   Z11, 192(BX)          \
	VPANDD.BCST lowByte<>(SB), Z8, Z8 \
	VPANDD.BCST lowByte<>(SB), Z9, Z9 \
	VCVTDQ2PS   Z8, Z8                \
	VCVTDQ2PS   Z9, Z9                \
	VMULPS      (BX), Z8, Z8          \
	VMULPS      64(BX), Z9, Z9        \
	VMOVUPS     Z8, SCALES_AT(DI)          \
	VFMSUB132PS.BCST zero<>(SB), Z9, Z8 \
	VMOVUPS     Z8, OFFSETS_AT(DI)

DATA lowByte<>+0(SB)/4, $0xFF
GLOBL lowByte<>(SB), RODATA, $4

DATA eight<>+0(SB)/4, $8.0
GLOBL eight<>(SB), RODATA, $4

DATA sixteen<>+0(SB)/4, $16.0
GLOBL sixteen<>(SB), RODATA, $4

#define BYTES32(o) \
	QUADS(o, X0, Z0, X1, Z1, X2, Z2, X3, Z3)      \
	QUADS((o+16), X4, Z4, X5, Z5, X6, Z6, X7, Z7)

#define HEADER4 \
	HEADER \
	ADDQ $16, R13

#define LOWS \
	OPEN       \
	LOW(Z0, 0) \
	LOW(Z1, 1) \
	LOW(Z2, 2) \
	LOW(Z3, 3) \
	LOW(Z4, 4) \
	LOW(Z5, 5) \
	LOW(Z6, 6) \
	LOW(Z7, 7) \
	CLOSE

#define HIGHS \
	OPEN        \
	HIGH(Z0, 0) \
	HIGH(Z1, 1) \
	HIGH(Z2, 2) \
	HIGH(Z3, 3) \
	HIGH(Z4, 4) \
	HIGH(Z5, 5) \
	HIGH(Z6, 6) \
	HIGH(Z7, 7) \
	CLOSE

// HEADER, then four times 32 bytes: low nibbles, then high nibbles, of 32 columns each.
TEXT ROWS_Q4_K(SB), NOSPLIT, $448-56
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	OPERANDS
	NIBBLETABLE
	ALIGN
	K_BLOCKS(DX, HEADER4, LOWS, HIGHS, eight, OFFSETBLOCK)

// FIFTH stores quad k: the low nibbles of A and above them the lowest bits of B, + 112, and goes on to the next bits of B.
#define FIFTH(k, A, B) \
	VPANDD     Z29, B, Z8        \
	VPSRLD     $1, B, B          \
	VPSLLD     $4, Z8, Z8        \
	VPTERNLOGD $0xF8, Z30, A, Z8 \
	VPADDB     Z28, Z8, Z8       \
	QUAD(k, Z8)

#define FIFTHS \
	OPEN              \
	FIFTH(0, Z0, Z16) \
	FIFTH(1, Z1, Z17) \
	FIFTH(2, Z2, Z18) \
	FIFTH(3, Z3, Z19) \
	FIFTH(4, Z4, Z20) \
	FIFTH(5, Z5, Z21) \
	FIFTH(6, Z6, Z22) \
	FIFTH(7, Z7, Z23) \
	CLOSE

#define HEADER5 \
	HEADER \
	QUADS(16, X16, Z16, X17, Z17, X18, Z18, X19, Z19) \
	QUADS(32, X20, Z20, X21, Z21, X22, Z22, X23, Z23) \
	ADDQ $48, R13

#define HIGHS5 \
	VPSRLD $4, Z0, Z0 \
	VPSRLD $4, Z1, Z1 \
	VPSRLD $4, Z2, Z2 \
	VPSRLD $4, Z3, Z3 \
	VPSRLD $4, Z4, Z4 \
	VPSRLD $4, Z5, Z5 \
	VPSRLD $4, Z6, Z6 \
	VPSRLD $4, Z7, Z7 \
	FIFTHS

// HEADER, 32 bytes with the fifth bits of column i of run r in bit r of byte i, here Z16 to Z23, then the nibbles as in Q4_K.
TEXT ROWS_Q5_K(SB), NOSPLIT, $448-56
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	OPERANDS
	ALIGN
	VPBROADCASTD nibble<>(SB), Z30
	BYTES(1, Z29)
	BYTES(112, Z28)
	K_BLOCKS(DX, HEADER5, FIFTHS, HIGHS5, sixteen, OFFSETBLOCK)

// Z24 to Z31 are quads of bytes: their low nibbles, their high ones.
#define LOWS6 \
	VPANDD.BCST nibble<>(SB), Z24, Z0 \
	VPANDD.BCST nibble<>(SB), Z25, Z1 \
	VPANDD.BCST nibble<>(SB), Z26, Z2 \
	VPANDD.BCST nibble<>(SB), Z27, Z3 \
	VPANDD.BCST nibble<>(SB), Z28, Z4 \
	VPANDD.BCST nibble<>(SB), Z29, Z5 \
	VPANDD.BCST nibble<>(SB), Z30, Z6 \
	VPANDD.BCST nibble<>(SB), Z31, Z7

#define HIGHS6 \
	VPSRLD $4, Z24, Z24 \
	VPSRLD $4, Z25, Z25 \
	VPSRLD $4, Z26, Z26 \
	VPSRLD $4, Z27, Z27 \
	VPSRLD $4, Z28, Z28 \
	VPSRLD $4, Z29, Z29 \
	VPSRLD $4, Z30, Z30 \
	VPSRLD $4, Z31, Z31 \
	LOWS6

#define QUADS6(o) \
	QUADS(o, X24, Z24, X25, Z25, X26, Z26, X27, Z27)      \
	QUADS((o+16), X28, Z28, X29, Z29, X30, Z30, X31, Z31)

// UPPERS stores these quads in the scratch at 384: upper bits of q. UPPER adds two of them, which Z13 rotates to bits 4 and 5.
#define UPPERS \
	VMOVDQU64 Z24, 384(BX) \
	VMOVDQU64 Z25, 448(BX) \
	VMOVDQU64 Z26, 512(BX) \
	VMOVDQU64 Z27, 576(BX) \
	VMOVDQU64 Z28, 640(BX) \
	VMOVDQU64 Z29, 704(BX) \
	VMOVDQU64 Z30, 768(BX) \
	VMOVDQU64 Z31, 832(BX)

#define UPPER(k, A) \
	VMOVDQU64       (384+64*k)(BX), Z8      \
	VPRORVD         Z13, Z8, Z8             \
	VPTERNLOGD.BCST $0xF8, top2<>(SB), Z8, A

#define ADDUPPERS \
	UPPER(0, Z0) \
	UPPER(1, Z1) \
	UPPER(2, Z2) \
	UPPER(3, Z3) \
	UPPER(4, Z4) \
	UPPER(5, Z5) \
	UPPER(6, Z6) \
	UPPER(7, Z7)


DATA four<>+0(SB)/4, $4
GLOBL four<>(SB), RODATA, $4

DATA two<>+0(SB)/4, $2
GLOBL two<>(SB), RODATA, $4

DATA one<>+0(SB)/4, $1
GLOBL one<>(SB), RODATA, $4

// 127 · 2¹⁵, 2¹⁵ and the largest word.
DATA most15<>+0(SB)/4, $4161536.0
GLOBL most15<>(SB), RODATA, $4

DATA unit15<>+0(SB)/4, $32768.0
GLOBL unit15<>(SB), RODATA, $4

DATA maxWord<>+0(SB)/4, $32767
GLOBL maxWord<>(SB), RODATA, $4

DATA evenBytes<>+0(SB)/4, $0x00FF00FF
GLOBL evenBytes<>(SB), RODATA, $4

DATA bytes0<>+0(SB)/8, $0x0480048000800080
DATA bytes0<>+8(SB)/8, $0x0C800C8008800880
GLOBL bytes0<>(SB), RODATA, $16

DATA bytes1<>+0(SB)/8, $0x0580058001800180
DATA bytes1<>+8(SB)/8, $0x0D800D8009800980
GLOBL bytes1<>(SB), RODATA, $16

// GROUPS sets Z16 and Z17 to the scales of bytes 0 and 1 of the lanes of the scratch at o, twice each as words, and goes on to bytes 2
// and 3. Z21 and Z22 find these bytes.
#define GROUPS(o) \
	VMOVDQU64 o(BX), Z18      \
	VPSRLD    $16, Z18, Z19   \
	VMOVDQU64 Z19, o(BX)      \
	VPSHUFB   Z21, Z18, Z16   \
	VPSHUFB   Z22, Z18, Z17   \
	VPSRAW    $8, Z16, Z16    \
	VPSRAW    $8, Z17, Z17

// LARGEST sets A to the largest magnitude of the bytes of each lane of four quads, times that of the words S.
#define LARGEST(A, B, C, D, S, M) \
	VPABSB   A, M         \
	VPABSB   B, Z9        \
	VPABSB   C, Z10       \
	VPABSB   D, Z11       \
	VPMAXUB  Z9, M, M     \
	VPMAXUB  Z11, Z10, Z10 \
	VPMAXUB  Z10, M, M    \
	VPSRLD   $16, M, Z9   \
	VPMAXUB  Z9, M, M     \
	VPSRLD   $8, M, Z9    \
	VPMAXUB  Z9, M, M     \
	VPANDD.BCST lowByte<>(SB), M, M \
	VPABSW   S, Z9        \
	VPMADDWD Z9, M, M

// ROUND stores quad k, A: bytes times the words S, times k/2¹⁵ with the words Z15, rounded, + 128. Z23 are sign bits, Z20 even bytes.
#define ROUND(k, A, S) \
	VPSLLW     $8, A, Z8         \
	VPSRAW     $8, A, Z9         \
	VPSRAW     $8, Z8, Z8        \
	VPMULLW    S, Z9, Z9         \
	VPMULLW    S, Z8, Z8         \
	VPMULHRSW  Z15, Z9, Z9       \
	VPMULHRSW  Z15, Z8, Z8       \
	VPSLLW     $8, Z9, Z9        \
	VPTERNLOGD $0xF8, Z20, Z8, Z9 \
	VPXORD     Z23, Z9, Z9       \
	QUAD(k, Z9)

// REQUANTIZE packs the quads Z0 to Z7 of q, whose 16 columns each have the scales Z16 and Z17. Z14 is 32.
#define REQUANTIZE \
	VPSUBB Z14, Z0, Z0 \
	VPSUBB Z14, Z1, Z1 \
	VPSUBB Z14, Z2, Z2 \
	VPSUBB Z14, Z3, Z3 \
	VPSUBB Z14, Z4, Z4 \
	VPSUBB Z14, Z5, Z5 \
	VPSUBB Z14, Z6, Z6 \
	VPSUBB Z14, Z7, Z7 \
	LARGEST(Z0, Z1, Z2, Z3, Z16, Z8)  \
	LARGEST(Z4, Z5, Z6, Z7, Z17, Z12) \
	VPMAXSD      Z8, Z12, Z12         \
	VPMAXSD.BCST one<>(SB), Z12, Z12  \
	VCVTDQ2PS    Z12, Z12             \
	VBROADCASTSS most15<>(SB), Z8     \
	VDIVPS       Z12, Z8, Z8          \
	VCVTTPS2DQ   Z8, Z8               \
	VPMINSD.BCST maxWord<>(SB), Z8, Z8 \
	VCVTDQ2PS    Z8, Z9               \
	VBROADCASTSS unit15<>(SB), Z10    \
	VDIVPS       Z9, Z10, Z9          \
	VMULPS       (BX), Z9, Z9         \
	VMOVUPS      Z9, SCALES_AT(DI)         \
	VPSLLD       $16, Z8, Z15         \
	VPORD        Z8, Z15, Z15         \
	OPEN                              \
	ROUND(0, Z0, Z16)                 \
	ROUND(1, Z1, Z16)                 \
	ROUND(2, Z2, Z16)                 \
	ROUND(3, Z3, Z16)                 \
	ROUND(4, Z4, Z17)                 \
	ROUND(5, Z5, Z17)                 \
	ROUND(6, Z6, Z17)                 \
	ROUND(7, Z7, Z17)                 \
	CLOSE

// Two runs of 128 columns. A run has 64 bytes at 64·run, whose low nibbles are those of its first 64 columns and whose high nibbles
// of the others, and 32 bytes at 128 + 32·run with two upper bits of columns i, 32+i, 64+i, 96+i in byte i. A signed scale per 16
// columns at 192, a half at 208; weights are half · scale · (q − 32). With P the largest magnitude of scale · (q − 32) in 32 columns
// and k the integer part of 127 · 2¹⁵ / P, at most 2¹⁵ − 1, they are rounded to scale · (q − 32) · k / 2¹⁵ times half · 2¹⁵ / k.
//
// Scratch: 0 the half, 64 to 319 scales of four times 16 columns each, 384 upper bits; Z13 turns these to bits 4 and 5.
TEXT ROWS_Q6_K(SB), 0, $960-56
	NO_LOCAL_POINTERS
	PACKARGS(exist+32(FP))
	OPERANDS
	ALIGN
	BYTES(32, Z14)
	VPBROADCASTD    evenBytes<>(SB), Z20
	VBROADCASTI32X4 bytes0<>(SB), Z21
	VBROADCASTI32X4 bytes1<>(SB), Z22
	VPBROADCASTD    sign<>(SB), Z23
	TESTQ           CX, CX
	JLE             done

loop:
	QUADS(194, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	VPSRLD    $16, Z3, Z3
	HALF(Z3, Y3)
	VMOVAPS.Z Z3, K1, Z3
	VMOVUPS   Z3, (BX)
	QUADS(192, X0, Z0, X1, Z1, X2, Z2, X3, Z3)
	VMOVDQU64 Z0, 64(BX)
	VMOVDQU64 Z1, 128(BX)
	VMOVDQU64 Z2, 192(BX)
	VMOVDQU64 Z3, 256(BX)
	MOVQ      $2, DX

	// R13 stands 32·run further for the upper bits, 64·run for the nibbles.
run:
	QUADS6(128)
	UPPERS
	MOVQ         $2, R8
	SUBQ         DX, R8
	SHLQ         $5, R8
	ADDQ         R8, R13
	MOVL         $-4, AX
	VPBROADCASTD AX, Z13
	MOVQ         $2, SI

half:
	FETCH
	// Columns of low nibbles, then those 64 further.
	QUADS6(0)
	LOWS6
	ADDUPPERS
	GROUPS(64)
	REQUANTIZE
	SKIP(1)
	ADDQ        $(2*BLOCK), DI
	HIGHS6
	VPADDD.BCST four<>(SB), Z13, Z13
	ADDUPPERS
	GROUPS(128)
	REQUANTIZE
	SKIP(-2)
	SUBQ        $BLOCK, DI
	VPSUBD.BCST two<>(SB), Z13, Z13
	ADDQ        $32, R13
	DECQ        SI
	JNZ         half
	SKIP(2)
	ADDQ        $(2*BLOCK), DI
	SUBQ        $32, R13
	VMOVDQU64   192(BX), Z0
	VMOVDQU64   256(BX), Z1
	VMOVDQU64   Z0, 64(BX)
	VMOVDQU64   Z1, 128(BX)
	DECQ        DX
	JNZ         run
	ADDQ        $114, R13
	DECQ        CX
	JNZ         loop

done:
	VZEROUPPER
	RET
