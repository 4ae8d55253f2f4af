#include "panels_amd64.h"

// What the files of avx2's panels share.

#define REPEAT(name, value) \
DATA name<>+0(SB)/8, $value  \
DATA name<>+8(SB)/8, $value  \
DATA name<>+16(SB)/8, $value \
DATA name<>+24(SB)/8, $value \
GLOBL name<>(SB), RODATA, $32

// Masks of 32 rows, then of none: 4·n bytes before the middle there are n rows.
#define EIGHTROWS(o, mask) \
	DATA rowMasks<>+o(SB)/8, $mask    \
	DATA rowMasks<>+o+8(SB)/8, $mask  \
	DATA rowMasks<>+o+16(SB)/8, $mask \
	DATA rowMasks<>+o+24(SB)/8, $mask

EIGHTROWS(0, -1)
EIGHTROWS(32, -1)
EIGHTROWS(64, -1)
EIGHTROWS(96, -1)
EIGHTROWS(128, 0)
EIGHTROWS(160, 0)
EIGHTROWS(192, 0)
EIGHTROWS(224, 0)
GLOBL rowMasks<>(SB), RODATA, $256

// PACKING. A call packs 8 rows, the lanes of a vector. R12 is a table of pointers to rows, R13 the offset of the block at hand in each of
// them, DI where it goes, CX how many blocks are left. Four bytes of each of 8 rows in a register are called a quad.

#define BBLOCK 1408
#define WBLOCK 2176
#define BTOKEN 640
#define WTOKEN 544

// PACKARGS also has DX point to a mask of the rows that exist.
#define PACKARGS(EXIST) \
	FPACKARGS                        \
	MOVL    EXIST, AX         \
	POPCNTL AX, AX                   \
	NEGQ    AX                       \
	LEAQ    rowMasks<>+128(SB), DX   \
	LEAQ    (DX)(AX*4), DX

// FETCH has two lines of each row brought into the cache, 512 bytes further than the block at hand, or, past the end of a row, as much
// further in the row 8 below: the one that its lane packs next. Of the next panel's rows it has as many bytes brought into L2 as are packed
// from one FETCH to the next, or fewer: memory takes longer to answer than a block to pack.
#define FETCH \
	FURTHER(7)   \
	FETCHROWS(0) \
	MOVQ rowBytes+24(FP), R9 \
	SHLQ $5, R9              \
	ADDQ (R12), R9           \
	LEAQ (R9)(R13*8), R9     \
	PREFETCHT1 (R9)          \
	PREFETCHT1 64(R9)        \
	PREFETCHT1 128(R9)       \
	PREFETCHT1 192(R9)       \
	PREFETCHT1 256(R9)       \
	PREFETCHT1 320(R9)       \
	PREFETCHT1 384(R9)       \
	PREFETCHT1 448(R9)       \
	PREFETCHT1 512(R9)

// TWO loads 16 bytes at offset o of rows r and r+4.
#define TWO(r, o, X, Y) \
	MOVQ        (8*r)(R12), R8         \
	MOVQ        (8*r+32)(R12), R9      \
	VMOVDQU     o(R8)(R13*1), X        \
	VINSERTI128 $1, o(R9)(R13*1), Y, Y

// QUADS loads 16 bytes at offset o of each row as four quads; Y8 to Y11 are overwritten.
#define QUADS(o, X0, A, X1, B, X2, C, X3, D) \
	TWO(0, o, X0, A) \
	TWO(1, o, X1, B) \
	TWO(2, o, X2, C) \
	TWO(3, o, X3, D) \
	TRANSPOSE(A, B, C, D, Y8, Y9, Y10, Y11)

#define BYTES32(o) \
	QUADS(o, X0, Y0, X1, Y1, X2, Y2, X3, Y3) \
	QUADS((o+16), X4, Y4, X5, Y5, X6, Y6, X7, Y7)

// FIRST loads the first four bytes at offset o of each row into Y0, SECOND the four bytes after them into Y1.
#define FIRST(o) \
	TWO(0, o, X0, Y0)      \
	TWO(1, o, X1, Y1)      \
	TWO(2, o, X2, Y2)      \
	TWO(3, o, X3, Y3)      \
	VPUNPCKLDQ  Y1, Y0, Y8 \
	VPUNPCKLDQ  Y3, Y2, Y9 \
	VPUNPCKLQDQ Y9, Y8, Y0

#define SECOND \
	VPUNPCKHQDQ Y9, Y8, Y1

// HALF converts the lower halves of the lanes of Y to float.
#define HALF(Y, X) \
	VPSLLD    $16, Y, Y    \
	VPSRLD    $16, Y, Y    \
	VPACKUSDW Y, Y, Y      \
	VPERMQ    $0x08, Y, Y  \
	VCVTPH2PS X, Y

REPEAT(byteOnes, 0x0101010101010101)
REPEAT(nibbles, 0x0F0F0F0F0F0F0F0F)

#define NIBBLEARGS \
	PACKARGS(exist+32(FP))                         \
	MOVQ           table+40(FP), AX  \
	VBROADCASTI128 (AX), Y14         \
	VMOVDQU        byteOnes<>(SB), Y13 \
	VMOVDQU        nibbles<>(SB), Y15  \
	VPXOR          Y12, Y12, Y12

// HIGHS leaves the high nibbles of Y0 to Y7, SAVE stores these in the scratch at o.
#define HIGHS \
	VPSRLD $4, Y0, Y0 \
	VPSRLD $4, Y1, Y1 \
	VPSRLD $4, Y2, Y2 \
	VPSRLD $4, Y3, Y3 \
	VPSRLD $4, Y4, Y4 \
	VPSRLD $4, Y5, Y5 \
	VPSRLD $4, Y6, Y6 \
	VPSRLD $4, Y7, Y7

#define SAVE(o) \
	VMOVDQU Y0, o(BX)       \
	VMOVDQU Y1, (o+32)(BX)  \
	VMOVDQU Y2, (o+64)(BX)  \
	VMOVDQU Y3, (o+96)(BX)  \
	VMOVDQU Y4, (o+128)(BX) \
	VMOVDQU Y5, (o+160)(BX) \
	VMOVDQU Y6, (o+192)(BX) \
	VMOVDQU Y7, (o+224)(BX)
