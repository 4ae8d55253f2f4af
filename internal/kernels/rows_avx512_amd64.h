// Row kernels for AVX-512 with VNNI and VBMI: rows of weights, as they lie in the file, times up to eight tokens.
//
// A super is 256 columns: a block of the K formats, or eight blocks of 32. Its weights become four vectors of unsigned
// bytes W0 … W3, and its activations four of signed bytes Q0 … Q3, arranged such that a lane of four bytes belongs to the same
// block in all four. Four VPDPBUSD then sum 16 products per lane, and there is one conversion, one scale and one multiply-add
// per super and token, not four:
//
//	lanes = Start + W0·Q0 + W1·Q1 + W2·Q2 + W3·Q3        Start = −offset · (sum of the lane's activations)
//	sum += float(lanes) · (scale of the weights · scale of the activations)
//	sum += minimum of the weights · Least                Least = −scale of the activations · (sum of the lane's activations)
//
// There are two arrangements. In BLOCKS, qword i of Wj is bytes 8j … 8j+7 of block 0, 2, 1, 3, 4, 6, 5, 7 (the order that shuffles
// yield) of 32. In GROUPS, dword 4i+u of Wj is bytes 4j … 4j+3 of group 4u+i of 16, for formats whose scale belongs to 16 values.
//
// A call arranges the activations once, in its frame, for as many supers as fit the first-level cache: a turn. Rows with more
// take several turns, and their sums rest in the frame in between. With one token, rows go by in the order of memory, unpacked and
// multiplied at once. With several, two rows are unpacked into the frame and then multiplied, so that loads of activations are
// shared and do not stand between those of the weights. A sum is always one register, to which supers are added in order, and which is
// reduced in the same tree: its bits depend on neither rows nor n.
//
// rows_avx512_amd64.s has the call and what prepares and multiplies; the headers that it includes at its end have the formats: blocks, k,
// wide and iq their macros, formats, which internal/cmd/asm writes, the functions made of these and their table. This header is also
// that of rows_avx512_floats_amd64.s.
//
// Registers of a call:
//
//	DX  frame, see below        Z0       sum of a single token; of several, Z0–Z7 of the first row and Z8–Z15 of the second
//	SI  weights                 Z10–Z13  W0 … W3 as they are unpacked
//	R9  arranged activations    Z14      scales of the weights
//	R10 supers to go            Z15      minimums of the weights
//	R11 prefetch distance       Z16–Z19  scratch
//	R12 bytes behind them       Z20–Z31  constants of the format; W0 … W3, scales and minimums of two rows
//	R13 tokens                  K1–K5    masks of the format
//	R15 sums at rest            K6, K7   scratch
//	R8  rows to go              AX, R14  scratch
//	DI  result; where to unpack
//	CX  supers of this turn
//	BX  384 · tokens

// The frame, from an address that 64 divides.
#define QS       0     // Q0 … Q3, scales, Start or Least: 384 bytes per super and token, 64 at most
#define SUMS     24576 // 64 bytes per row and token, 256 at most and one row more
#define UNPACKED 41472 // W0 … W3, scales, minimums of two rows: 768 bytes per super, 8 at most
#define FORMAT   47616 // Z20–Z31
#define XTAIL    48384 // the activations that a row's last super is multiplied with if it is not complete
#define WTAIL    49152 // a row that is shorter than a super, behind zeros, and room to store 256 bytes
#define MASKS    49728 // of its bytes
#define SHORT    49760 // where it begins, 0 if rows are longer
#define ROW      49768 // SI at the start of the row
#define RESULT   49776 // DI meanwhile
#define TAIL     49784 // R12 at the start of a row
#define TAKEN    49792 // supers of a row that earlier turns have taken
#define RESUMES  49800 // not the last turn
#define KERNEL   49808 // functions of the format
#define MULTIPLY 49816
#define TABLE    49824 // see rows512.table
#define SAVED_CX 49832 // CX meanwhile
#define INDICES  49856 // 32 words per super

#define VECTOR(name, a, b, c, d, e, f, g, h) \
	DATA name<>+0(SB)/8, $a; DATA name<>+8(SB)/8, $b; DATA name<>+16(SB)/8, $c; DATA name<>+24(SB)/8, $d; \
	DATA name<>+32(SB)/8, $e; DATA name<>+40(SB)/8, $f; DATA name<>+48(SB)/8, $g; DATA name<>+56(SB)/8, $h; \
	GLOBL name<>(SB), RODATA|NOPTR, $64
#define VECTOR2(name, a, b) VECTOR(name, a, b, a, b, a, b, a, b)
#define VECTOR4(name, a, b, c, d) VECTOR(name, a, b, c, d, a, b, c, d)

// BYTES and WORDS fill a register.
#define BYTES(v, z) MOVL $((v)*0x01010101), AX; VPBROADCASTD AX, z
#define WORDS(v, z) MOVL $((v)*0x00010001), AX; VPBROADCASTD AX, z

// The activations. ARRANGE turns four vectors of 64 values in a row (Z4–Z7) into Q0 … Q3 of one arrangement, and SPREAD the scales
// of their blocks (tensor.Q8.Scale) likewise into Z8. Both use Z16–Z19.

#define ARRANGE_BLOCKS(a, b, c, d) \
	VPUNPCKLQDQ b, a, Z16; \
	VPUNPCKHQDQ b, a, Z17; \
	VPUNPCKLQDQ d, c, Z18; \
	VPUNPCKHQDQ d, c, Z19; \
	VSHUFI64X2  $0x88, Z18, Z16, a; \
	VSHUFI64X2  $0x88, Z19, Z17, b; \
	VSHUFI64X2  $0xdd, Z18, Z16, c; \
	VSHUFI64X2  $0xdd, Z19, Z17, d

#define SPREAD_BLOCKS \
	VMOVUPS    64(R9), Z16; \
	VMOVUPS    448(R9), Z17; \
	VUNPCKLPD  256(R9), Z16, Z16; \
	VUNPCKLPD  640(R9), Z17, Z17; \
	VSHUFF64X2 $0x88, Z17, Z16, Z8

#define ARRANGE_GROUPS(a, b, c, d) \
	VPUNPCKLDQ  b, a, Z16; \
	VPUNPCKHDQ  b, a, Z17; \
	VPUNPCKLDQ  d, c, Z18; \
	VPUNPCKHDQ  d, c, Z19; \
	VPUNPCKLQDQ Z18, Z16, a; \
	VPUNPCKHQDQ Z18, Z16, b; \
	VPUNPCKLQDQ Z19, Z17, c; \
	VPUNPCKHQDQ Z19, Z17, d

#define SPREAD_GROUPS \
	VMOVUPS   64(R9), Z16; \
	VMOVUPS   448(R9), Z17; \
	VUNPCKLPS 256(R9), Z16, Z16; \
	VUNPCKLPS 640(R9), Z17, Z17; \
	VUNPCKLPD Z17, Z16, Z8

// START and LEAST are what goes with them, in Z9: Z9 is −offset times the sums of the lanes by then.

#define START

#define LEAST \
	VCVTDQ2PS Z9, Z9; \
	VMULPS    Z8, Z9, Z9

// PREPARE arranges the four tensor.Q8 at R9 and stores them at DI. Z15 is the offset in each byte, Z14 is zero.
#define PREPARE(ARRANGE, SPREAD, FINISH) \
	VMOVDQU64 0(R9), Z4; \
	VMOVDQU64 192(R9), Z5; \
	VMOVDQU64 384(R9), Z6; \
	VMOVDQU64 576(R9), Z7; \
	ARRANGE(Z4, Z5, Z6, Z7); \
	SPREAD; \
	VMOVDQA64 Z14, Z9; \
	VPDPBUSD  Z4, Z15, Z9; \
	VPDPBUSD  Z5, Z15, Z9; \
	VPDPBUSD  Z6, Z15, Z9; \
	VPDPBUSD  Z7, Z15, Z9; \
	VPSUBD    Z9, Z14, Z9; \
	FINISH; \
	VMOVDQA64 Z4, 0(DI); \
	VMOVDQA64 Z5, 64(DI); \
	VMOVDQA64 Z6, 128(DI); \
	VMOVDQA64 Z7, 192(DI); \
	VMOVAPS   Z8, 256(DI); \
	VMOVAPS   Z9, 320(DI)

// The products of a super with one token: of one row, whose weights are in Z10–Z15 and whose sum is in Z0.

#define DOT \
	VMOVDQA64   320(R9), Z19; \
	VPDPBUSD    0(R9), Z10, Z19; \
	VPDPBUSD    64(R9), Z11, Z19; \
	VPDPBUSD    128(R9), Z12, Z19; \
	VPDPBUSD    192(R9), Z13, Z19; \
	VMULPS      256(R9), Z14, Z18; \
	VCVTDQ2PS   Z19, Z19; \
	VFMADD231PS Z18, Z19, Z0

#define DOT_MINIMUM(ADD) \
	VPXORD      Z19, Z19, Z19; \
	VPDPBUSD    0(R9), Z10, Z19; \
	VPDPBUSD    64(R9), Z11, Z19; \
	VPDPBUSD    128(R9), Z12, Z19; \
	VPDPBUSD    192(R9), Z13, Z19; \
	VMULPS      256(R9), Z14, Z18; \
	VCVTDQ2PS   Z19, Z19; \
	VFMADD231PS Z18, Z19, Z0; \
	ADD         320(R9), Z15, Z0

#define DOT_LESS DOT_MINIMUM(VFMADD231PS)
#define DOT_PLUS DOT_MINIMUM(VFNMADD231PS)

// Or of two rows, whose weights are in Z20–Z23 and Z24–Z27, with scales in Z28 and Z29 and minimums in Z30 and Z31.

#define BYTES2(at) \
	VMOVDQA64 (at+0)(R9), Z18; \
	VPDPBUSD  Z18, Z20, Z16; \
	VPDPBUSD  Z18, Z24, Z17; \
	VMOVDQA64 (at+64)(R9), Z18; \
	VPDPBUSD  Z18, Z21, Z16; \
	VPDPBUSD  Z18, Z25, Z17; \
	VMOVDQA64 (at+128)(R9), Z18; \
	VPDPBUSD  Z18, Z22, Z16; \
	VPDPBUSD  Z18, Z26, Z17; \
	VMOVDQA64 (at+192)(R9), Z18; \
	VPDPBUSD  Z18, Z23, Z16; \
	VPDPBUSD  Z18, Z27, Z17

#define SCALES2(at, sum, sum2) \
	VMOVAPS     (at+256)(R9), Z18; \
	VMULPS      Z18, Z28, Z19; \
	VCVTDQ2PS   Z16, Z16; \
	VMULPS      Z18, Z29, Z18; \
	VCVTDQ2PS   Z17, Z17; \
	VFMADD231PS Z19, Z16, sum; \
	VFMADD231PS Z18, Z17, sum2

#define DOT2(at, sum, sum2) \
	VMOVDQA64 (at+320)(R9), Z16; \
	VMOVDQA64 Z16, Z17; \
	BYTES2(at); \
	SCALES2(at, sum, sum2)

#define DOT2_MINIMUM(at, sum, sum2, ADD) \
	VPXORD  Z16, Z16, Z16; \
	VPXORD  Z17, Z17, Z17; \
	BYTES2(at); \
	SCALES2(at, sum, sum2); \
	VMOVAPS (at+320)(R9), Z18; \
	ADD     Z18, Z30, sum; \
	ADD     Z18, Z31, sum2

#define DOT2_LESS(at, sum, sum2) DOT2_MINIMUM(at, sum, sum2, VFMADD231PS)
#define DOT2_PLUS(at, sum, sum2) DOT2_MINIMUM(at, sum, sum2, VFNMADD231PS)

// SUM4 adds the lanes of four registers: the lanes of X16 are their sums.
#define SUM4(a, b, c, d) \
	VUNPCKLPS     b, a, Z16; \
	VUNPCKHPS     b, a, Z17; \
	VADDPS        Z17, Z16, Z16; \
	VUNPCKLPS     d, c, Z18; \
	VUNPCKHPS     d, c, Z19; \
	VADDPS        Z19, Z18, Z18; \
	VUNPCKLPD     Z18, Z16, Z17; \
	VUNPCKHPD     Z18, Z16, Z19; \
	VADDPS        Z19, Z17, Z16; \
	VEXTRACTF64X4 $1, Z16, Y17; \
	VADDPS        Y17, Y16, Y16; \
	VEXTRACTF32X4 $1, Y16, X17; \
	VADDPS        X17, X16, X16

// PRODUCTS adds R10 supers of two rows, unpacked at DI, times R13 tokens to their sums. It takes time, so it prefetches the pair after next
// from SI, row by row R12 bytes apart and super by super R11 bytes.
#define PRODUCTS(DO, MINIMUMS) \
super: \
	VMOVDQA64 0(DI), Z20; \
	VMOVDQA64 64(DI), Z21; \
	VMOVDQA64 128(DI), Z22; \
	VMOVDQA64 192(DI), Z23; \
	VMOVAPS   256(DI), Z28; \
	VMOVDQA64 384(DI), Z24; \
	VMOVDQA64 448(DI), Z25; \
	VMOVDQA64 512(DI), Z26; \
	VMOVDQA64 576(DI), Z27; \
	VMOVAPS   640(DI), Z29; \
	MINIMUMS; \
	PREFETCHT0 0(SI); \
	PREFETCHT0 64(SI); \
	PREFETCHT0 128(SI); \
	PREFETCHT0 0(SI)(R12*1); \
	PREFETCHT0 64(SI)(R12*1); \
	PREFETCHT0 128(SI)(R12*1); \
	ADDQ R11, SI; \
	CMPQ R13, $2; \
	DO(0, Z0, Z8); \
	DO(384, Z1, Z9); \
	JEQ  joined; \
	DO(768, Z2, Z10); \
	CMPQ R13, $4; \
	JLT  joined; \
	DO(1152, Z3, Z11); \
	JEQ  joined; \
	DO(1536, Z4, Z12); \
	CMPQ R13, $6; \
	JLT  joined; \
	DO(1920, Z5, Z13); \
	JEQ  joined; \
	DO(2304, Z6, Z14); \
	CMPQ R13, $8; \
	JLT  joined; \
	DO(2688, Z7, Z15); \
joined: \
	ADDQ $768, DI; \
	ADDQ BX, R9; \
	DECQ R10; \
	JNE  super; \
	RET

#define NO_MINIMUMS
#define MINIMUMS VMOVAPS 320(DI), Z30; VMOVAPS 704(DI), Z31

// ADD_SUPERS adds R10 supers of a row times a token to Z0: UNPACK takes the size bytes at SI apart, DO multiplies, FETCH
// prefetches as many bytes ahead. UNPACKS stores them at DI, where PRODUCTS expects them.
#define ADD_SUPERS(FETCH, UNPACK, DO, size) \
super: \
	FETCH; \
	UNPACK; \
	DO; \
	ADDQ $size, SI; \
	ADDQ $384, R9; \
	DECQ R10; \
	JNE  super; \
	RET

#define UNPACKS(FETCH, UNPACK, size) \
super: \
	FETCH; \
	UNPACK; \
	VMOVDQA64 Z10, 0(DI); \
	VMOVDQA64 Z11, 64(DI); \
	VMOVDQA64 Z12, 128(DI); \
	VMOVDQA64 Z13, 192(DI); \
	VMOVAPS   Z14, 256(DI); \
	ADDQ $size, SI; \
	ADDQ $768, DI; \
	DECQ R10; \
	JNE  super; \
	RET

#define UNPACKS_MINIMUM(FETCH, UNPACK, size) \
super: \
	FETCH; \
	UNPACK; \
	VMOVDQA64 Z10, 0(DI); \
	VMOVDQA64 Z11, 64(DI); \
	VMOVDQA64 Z12, 128(DI); \
	VMOVDQA64 Z13, 192(DI); \
	VMOVAPS   Z14, 256(DI); \
	VMOVAPS   Z15, 320(DI); \
	ADDQ $size, SI; \
	ADDQ $768, DI; \
	DECQ R10; \
	JNE  super; \
	RET

#define FETCH2 PREFETCHT0 (SI)(R11*1); PREFETCHT0 64(SI)(R11*1)
#define FETCH3 FETCH2; PREFETCHT0 128(SI)(R11*1)
#define FETCH4 FETCH3; PREFETCHT0 192(SI)(R11*1)
#define FETCH5 FETCH4; PREFETCHT0 256(SI)(R11*1)
