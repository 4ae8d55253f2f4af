// What the functions of attention_bf16_amd64.s are made of.

// MASKS sets K1 and K2 to the first n of 32 numbers; T is overwritten.
#define MASKS(n, T, all) \
	MOVL  $-1, T    \
	CMPQ  n, $32    \
	JGE   all       \
	BZHIL n, T, T   \
all:                \
	KMOVW T, K1     \
	SHRL  $16, T    \
	KMOVW T, K2

// As LOAD_…, of the numbers in K1 and K2 alone.
#define SOME_F32(p, lo, hi) \
	VMOVUPS.Z (p)(AX*1), K1, lo; \
	VMOVUPS.Z 64(p)(AX*1), K2, hi

#define SOME_F16(p, lo, hi) \
	VCVTPH2PS.Z (p)(AX*1), K1, lo; \
	VCVTPH2PS.Z 32(p)(AX*1), K2, hi

#define CLEAR4(o) \
	VMOVDQU64 Z0, (o)(BX)     \
	VMOVDQU64 Z0, (o+64)(BX)  \
	VMOVDQU64 Z0, (o+128)(BX) \
	VMOVDQU64 Z0, (o+192)(BX)

#define PUT4(o, A, B, C, D) \
	VMOVDQU64 A, (o)(R14)     \
	VMOVDQU64 B, (o+256)(R14) \
	VMOVDQU64 C, (o+512)(R14) \
	VMOVDQU64 D, (o+768)(R14)

// PACK_KEYS packs 16 keys at a time, 32 numbers of each: to the scratch in rows, from there to dst in columns of pairs.
//
//	DI dst of 16 keys, R14 and of 32 numbers, SI the keys, R11 from one to the next, R12 keys left, R13 of the 16, R10 times 16 to go
//	AX where in a key, CX its numbers left, BX scratch, DX a key, R15 its row, R8 rows to go
#define PACK_KEYS(LOAD, STEP) \
	MOVQ  dst+0(FP), DI       \
	MOVQ  keys+8(FP), SI      \
	MOVQ  rowBytes+16(FP), R11 \
	MOVQ  count+24(FP), R12   \
	MOVQ  $4, R10             \
	ALIGN                     \
group:                        \
	MOVQ  $16, R13            \
	CMPQ  R12, R13            \
	JGE   full                \
	MOVQ  R12, R13            \
	VPXORD Z0, Z0, Z0         \
	CLEAR4(0)                 \
	CLEAR4(256)               \
	CLEAR4(512)               \
	CLEAR4(768)               \
full:                         \
	XORL  AX, AX              \
	MOVQ  DI, R14             \
	MOVQ  dim+32(FP), CX      \
block:                        \
	MASKS(CX, R9, all)        \
	MOVQ  AX, R9              \
	MOVQ  SI, DX              \
	MOVQ  BX, R15             \
	MOVQ  R13, R8             \
	TESTQ R8, R8              \
	JLE   turn                \
row:                          \
	LOAD(DX, Z0, Z1)          \
	VCVTNE2PS2BF16(0, 1, 0)   \
	VMOVDQU64 Z0, (R15)       \
	ADDQ  R11, DX             \
	ADDQ  $64, R15            \
	DECQ  R8                  \
	JNZ   row                 \
turn:                         \
	COLUMNS(64, 0, X0, Z0, X1, Z1, X2, Z2, X3, Z3)         \
	COLUMNS(64, 16, X4, Z4, X5, Z5, X6, Z6, X7, Z7)        \
	COLUMNS(64, 32, X8, Z8, X9, Z9, X10, Z10, X11, Z11)    \
	COLUMNS(64, 48, X12, Z12, X13, Z13, X14, Z14, X15, Z15) \
	PUT4(0, Z0, Z1, Z2, Z3)   \
	PUT4(1024, Z4, Z5, Z6, Z7) \
	PUT4(2048, Z8, Z9, Z10, Z11) \
	PUT4(3072, Z12, Z13, Z14, Z15) \
	ADDQ  $4096, R14          \
	ADDQ  $STEP, AX           \
	SUBQ  $32, CX             \
	JG    block               \
	MOVQ  R11, R9             \
	SHLQ  $4, R9              \
	ADDQ  R9, SI              \
	ADDQ  $64, DI             \
	SUBQ  $16, R12            \
	DECQ  R10                 \
	JNZ   group               \
	VZEROUPPER                \
	RET

// PUTPAIR stores 32 numbers of two values, Z0 and Z1, Z2 and Z3, as pairs.
#define PUTPAIR \
	VCVTNE2PS2BF16(0, 2, 0)   \
	VCVTNE2PS2BF16(1, 3, 1)   \
	VPERMW    Z0, Z29, Z0     \
	VPERMW    Z1, Z29, Z1     \
	VMOVDQU64 Z0, (R14)       \
	VMOVDQU64 Z1, K3, 64(R14) \
	ADDQ      R13, R14

// PACK_VALUES packs 32 numbers of each value at a time.
//
//	DI dst of 64 numbers, R13 what a pair of them takes, R15 where in that the 32 begin, R14 dst
//	R10 numbers left, AX where in a value, DX a value, R11 from one to the next, R12 values left, CX pairs to go
#define PACK_VALUES(LOAD, STEP) \
	MOVQ  dst+0(FP), DI     \
	MOVQ  rowBytes+16(FP), R11 \
	MOVQ  dim+32(FP), R10   \
	XORL  AX, AX            \
	XORL  R15, R15          \
	VMOVDQU64 turns<>(SB), Z29 \
panel:                      \
	MOVQ  $256, R13         \
	CMPQ  R10, $64          \
	JGE   block             \
	LEAQ  15(R10), R13      \
	ANDQ  $~15, R13         \
	SHLQ  $2, R13           \
block:                      \
	MASKS(R10, R9, all)     \
	XORL  R9, R9            \
	CMPQ  R10, $16          \
	SETGT R9                \
	NEGL  R9                \
	KMOVW R9, K3            \
	MOVQ  AX, R9            \
	LEAQ  (DI)(R15*1), R14  \
	MOVQ  values+8(FP), DX  \
	MOVQ  count+24(FP), R12 \
	MOVQ  $32, CX           \
pair:                       \
	SUBQ  $2, R12           \
	JLT   odd               \
	LOAD(DX, Z0, Z1)        \
	ADDQ  R11, DX           \
	LOAD(DX, Z2, Z3)        \
	ADDQ  R11, DX           \
	PUTPAIR                 \
	DECQ  CX                \
	JNZ   pair              \
	JMP   next              \
odd:                        \
	VPXORD Z2, Z2, Z2       \
	VPXORD Z3, Z3, Z3       \
	CMPQ  R12, $-2          \
	JEQ   none              \
	LOAD(DX, Z0, Z1)        \
	PUTPAIR                 \
	DECQ  CX                \
	JEQ   next              \
none:                       \
	VMOVDQU64 Z2, (R14)     \
	VMOVDQU64 Z2, K3, 64(R14) \
	ADDQ  R13, R14          \
	DECQ  CX                \
	JNZ   none              \
next:                       \
	ADDQ  $STEP, AX         \
	SUBQ  $32, R10          \
	JLE   done              \
	XORQ  $128, R15         \
	JNZ   block             \
	ADDQ  $8192, DI         \
	JMP   panel             \
done:                       \
	VZEROUPPER              \
	RET

// ROWS_n does OP for each of n rows: its number, where it lies, where its sums lie, and these.
#define ROWS_1(OP) OP(0, (AX), (DX), Z0, Z1, Z2, Z3)
#define ROWS_2(OP) ROWS_1(OP) OP(1, (AX)(R8*1), (DX)(R14*1), Z4, Z5, Z6, Z7)
#define ROWS_4(OP) ROWS_2(OP) \
	OP(2, (AX)(R8*2), (DX)(R14*2), Z8, Z9, Z10, Z11) \
	OP(3, (AX)(R9*1), (DX)(R13*1), Z12, Z13, Z14, Z15)
#define ROWS_6(OP) ROWS_4(OP) \
	OP(4, (AX)(R8*4), (DX)(R14*4), Z16, Z17, Z18, Z19) \
	OP(5, (AX)(R10*1), (DX)(R15*1), Z20, Z21, Z22, Z23)

// GET_v loads the sums of v vectors, of which K1 says what there is of the last; in K2 and K3 there is nothing where they begin at zero.
#define GET_1(r, pa, pc, a, b, c, d) VMOVUPS.Z pc, K3, a;
#define GET_2(r, pa, pc, a, b, c, d) VMOVUPS.Z pc, K2, a; VMOVUPS.Z (64)pc, K3, b;
#define GET_3(r, pa, pc, a, b, c, d) VMOVUPS.Z pc, K2, a; VMOVUPS.Z (64)pc, K2, b; VMOVUPS.Z (128)pc, K3, c;
#define GET_4(r, pa, pc, a, b, c, d) \
	VMOVUPS.Z pc, K2, a; VMOVUPS.Z (64)pc, K2, b; VMOVUPS.Z (128)pc, K2, c; VMOVUPS.Z (192)pc, K3, d;

#define PUT_1(r, pa, pc, a, b, c, d) VMOVUPS a, K1, pc;
#define PUT_2(r, pa, pc, a, b, c, d) VMOVUPS a, pc; VMOVUPS b, K1, (64)pc;
#define PUT_3(r, pa, pc, a, b, c, d) VMOVUPS a, pc; VMOVUPS b, (64)pc; VMOVUPS c, K1, (128)pc;
#define PUT_4(r, pa, pc, a, b, c, d) VMOVUPS a, pc; VMOVUPS b, (64)pc; VMOVUPS c, (128)pc; VMOVUPS d, K1, (192)pc;

// PAIR_v loads a pair of all columns, DOT_v adds its products with a row's.
#define PAIR_1 VMOVDQU64 (BX), Z24;
#define PAIR_2 PAIR_1 VMOVDQU64 64(BX), Z25;
#define PAIR_3 PAIR_2 VMOVDQU64 128(BX), Z26;
#define PAIR_4 PAIR_3 VMOVDQU64 192(BX), Z27;

#define DOT_1(r, pa, pc, a, b, c, d) VPBROADCASTD pa, Z28; VDPBF16PS(24, 28, 4*r);
#define DOT_2(r, pa, pc, a, b, c, d) DOT_1(r, pa, pc, a, b, c, d) VDPBF16PS(25, 28, 4*r+1);
#define DOT_3(r, pa, pc, a, b, c, d) DOT_2(r, pa, pc, a, b, c, d) VDPBF16PS(26, 28, 4*r+2);
#define DOT_4(r, pa, pc, a, b, c, d) DOT_3(r, pa, pc, a, b, c, d) VDPBF16PS(27, 28, 4*r+3);

#define TILE(ROWS, GET, PAIR, DOT, PUT, loop) \
	MOVQ SI, AX            \
	MOVQ DI, BX            \
	MOVQ pairs+48(FP), CX  \
	ROWS(GET)              \
loop:                      \
	PAIR                   \
	ROWS(DOT)              \
	PREFETCHT1 (R12)       \
	ADDQ step+80(FP), R12  \
	ADDQ $4, AX            \
	ADDQ R11, BX           \
	DECQ CX                \
	JNZ  loop              \
	ROWS(PUT)

// MULTIPLY takes six rows at a time, then four, two and one.
//
//	DX R14 dst and from one row to the next, SI R8 a, DI R11 b; R13 R9 three times and R15 R10 five times that
//	AX BX a and b within the tile, CX pairs to go, R12 what is fetched
#define MULTIPLY(GET, PAIR, DOT, PUT) \
	MOVQ  dst+0(FP), DX      \
	MOVQ  stride+8(FP), R14  \
	MOVQ  a+16(FP), SI       \
	MOVQ  aStride+24(FP), R8 \
	MOVQ  b+32(FP), DI       \
	MOVQ  next+72(FP), R12   \
	MOVQ  vectors+56(FP), R11 \
	MOVL  add+64(FP), AX     \
	KMOVW AX, K2             \
	MOVL  last+68(FP), AX    \
	KMOVW AX, K1             \
	KANDW K1, K2, K3         \
	SHLQ  $2, R14            \
	SHLQ  $1, R8             \
	SHLQ  $6, R11            \
	LEAQ  (R14)(R14*2), R13  \
	LEAQ  (R14)(R14*4), R15  \
	LEAQ  (R8)(R8*2), R9     \
	LEAQ  (R8)(R8*4), R10    \
six:                         \
	SUBQ  $6, n+40(FP)       \
	JLT   four               \
	TILE(ROWS_6, GET, PAIR, DOT, PUT, loop6) \
	LEAQ  (SI)(R9*2), SI     \
	LEAQ  (DX)(R13*2), DX    \
	JMP   six                \
four:                        \
	ADDQ  $6, n+40(FP)       \
	TESTQ $4, n+40(FP)       \
	JEQ   two                \
	TILE(ROWS_4, GET, PAIR, DOT, PUT, loop4) \
	LEAQ  (SI)(R8*4), SI     \
	LEAQ  (DX)(R14*4), DX    \
two:                         \
	TESTQ $2, n+40(FP)       \
	JEQ   one                \
	TILE(ROWS_2, GET, PAIR, DOT, PUT, loop2) \
	LEAQ  (SI)(R8*2), SI     \
	LEAQ  (DX)(R14*2), DX    \
one:                         \
	TESTQ $1, n+40(FP)       \
	JEQ   done               \
	TILE(ROWS_1, GET, PAIR, DOT, PUT, loop1) \
done:                        \
	VZEROUPPER               \
	RET

// POWER sets p to 2^t; t and n are overwritten. Z25 to Z29 hold the coefficients.
#define POWER(t, n, p) \
	VRNDSCALEPS $0, t, n        \
	VREDUCEPS   $0, t, t        \
	VMOVAPS     Z25, p          \
	VFMADD213PS Z26, t, p       \
	VFMADD213PS Z27, t, p       \
	VFMADD213PS Z28, t, p       \
	VFMADD213PS Z29, t, p       \
	VSCALEFPS   n, p, p

// QUARTERS does OP with quarters i and i+2 and then the rest of four vectors: dst has a quarter of each.
#define QUARTERS(OP, a, b, c, d, dst) \
	VSHUFF32X4 $0x44, b, a, Z17  \
	VSHUFF32X4 $0xEE, b, a, Z18  \
	OP         Z18, Z17, a       \
	VSHUFF32X4 $0x44, d, c, Z17  \
	VSHUFF32X4 $0xEE, d, c, Z18  \
	OP         Z18, Z17, c       \
	VSHUFF32X4 $0x88, c, a, Z17  \
	VSHUFF32X4 $0xDD, c, a, Z18  \
	OP         Z18, Z17, dst

// LANES does OP with lanes i and i+2 and then the rest of the quarters of Z20 to Z23: lane 4q+r of Z20 is of quarter q of Z20+r.
#define LANES(OP) \
	VUNPCKLPS Z21, Z20, Z17 \
	VUNPCKHPS Z21, Z20, Z18 \
	OP        Z18, Z17, Z20 \
	VUNPCKLPS Z23, Z22, Z17 \
	VUNPCKHPS Z23, Z22, Z18 \
	OP        Z18, Z17, Z22 \
	VUNPCKLPD Z22, Z20, Z17 \
	VUNPCKHPD Z22, Z20, Z18 \
	OP        Z18, Z17, Z20

// LARGEST sets a to the largest of each 16 scores of a query.
#define LARGEST(o, a) \
	VMOVUPS (o)(SI), a          \
	VMAXPS  (o+64)(SI), a, a    \
	VMAXPS  (o+128)(SI), a, a   \
	VMAXPS  (o+192)(SI), a, a

#define LARGEST4(o, dst) \
	LARGEST(o, Z0)      \
	LARGEST(o+1024, Z1) \
	LARGEST(o+2048, Z2) \
	LARGEST(o+3072, Z3) \
	QUARTERS(VMAXPS, Z0, Z1, Z2, Z3, dst)

// WEIGHTS stores the weights of query r of 16 and sets a to the sums of their pairs.
#define WEIGHTS(r, Y, a) \
	VBROADCASTSS (4*(r))(R8), Z16      \
	VMOVUPS   (256*(r))(SI), Z0        \
	VMOVUPS   (256*(r)+64)(SI), Z1     \
	VMOVUPS   (256*(r)+128)(SI), Z2    \
	VMOVUPS   (256*(r)+192)(SI), Z3    \
	VSUBPS    Z16, Z0, Z0            \
	VSUBPS    Z16, Z1, Z1            \
	VSUBPS    Z16, Z2, Z2            \
	VSUBPS    Z16, Z3, Z3            \
	POWER(Z0, Z4, Z8)                \
	POWER(Z1, Z5, Z9)                \
	POWER(Z2, Z6, Z10)               \
	POWER(Z3, Z7, Z11)               \
	VCVTNE2PS2BF16(8, 9, 8)          \
	VCVTNE2PS2BF16(10, 11, 10)       \
	VMOVDQU64 Z8, (128*(r))(DI)        \
	VMOVDQU64 Z10, (128*(r)+64)(DI)    \
	VPXORD    a, a, a                \
	VDPBF16PS(8, 30, Y)              \
	VDPBF16PS(10, 30, Y)

#define WEIGHTS4(r, dst) \
	WEIGHTS(r, 12, Z12)    \
	WEIGHTS(r+4, 13, Z13)  \
	WEIGHTS(r+8, 14, Z14)  \
	WEIGHTS(r+12, 15, Z15) \
	QUARTERS(VADDPS, Z12, Z13, Z14, Z15, dst)
