// What packing rows as columns of four bytes needs.

// FOUR loads 16 bytes at offset o of rows r, r+4, r+8, r+12, which are S bytes apart from BX on.
#define FOUR(S, o, r, X, Z) \
	VMOVDQU32    (o+S*(r))(BX), X           \
	VINSERTI32X4 $1, (o+S*(r+4))(BX), Z, Z  \
	VINSERTI32X4 $2, (o+S*(r+8))(BX), Z, Z  \
	VINSERTI32X4 $3, (o+S*(r+12))(BX), Z, Z

// COLUMNS sets A to D to columns 0 to 3, of four bytes, of 16 such rows.
#define COLUMNS(S, o, X0, A, X1, B, X2, C, X3, D) \
	FOUR(S, o, 0, X0, A)        \
	FOUR(S, o, 1, X1, B)        \
	FOUR(S, o, 2, X2, C)        \
	FOUR(S, o, 3, X3, D)        \
	VPUNPCKLDQ  B, A, Z16       \
	VPUNPCKHDQ  B, A, Z17       \
	VPUNPCKLDQ  D, C, Z18       \
	VPUNPCKHDQ  D, C, Z19       \
	VPUNPCKLQDQ Z18, Z16, A     \
	VPUNPCKHQDQ Z18, Z16, B     \
	VPUNPCKLQDQ Z19, Z17, C     \
	VPUNPCKHQDQ Z19, Z17, D

// ALIGN makes BX the scratch at the frame's bottom, on a cache line.
#define ALIGN \
	LEAQ 63(SP), BX \
	ANDQ $~63, BX
