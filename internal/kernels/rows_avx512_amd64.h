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
// take several turns, and their sums rest in the frame in between. A super is unpacked into registers and multiplied with all tokens at
// once: to store it for later takes longer than the loads that two rows could share. A sum is always one register, to which supers are
// added in order, and which is reduced in the same tree: its bits depend on neither rows nor n. Four are reduced together, of four tokens
// or, where there is one token alone, of four rows.
//
// rows_avx512_amd64.s has the call and what prepares and multiplies; the headers that it includes at its end have the formats: blocks, k,
// wide and iq their macros, formats, which internal/cmd/asm writes, the functions made of these and their table. This header is also
// that of rows_avx512_floats_amd64.s.
//
// Registers of a call:
//
//	DX  frame, see below        Z0–Z7    sums of the tokens; Z8, Z9 scratch
//	SI  weights                 Z10–Z13  W0 … W3
//	R9  arranged activations    Z14      scales of the weights
//	R10 supers to go            Z15      minimums of the weights
//	R11 distance of FETCH       Z16–Z19  scratch
//	R12 bytes behind them       Z20–Z31  constants of the format
//	R13 tokens                  K1–K5    masks of the format
//	R15 sums at rest            K6, K7   scratch
//	R8  rows to go              AX, R14  scratch
//	DI  result
//	CX  supers of this turn
//	BX  384 · tokens

// The frame, from an address that 64 divides.
#define QS       0     // Q0 … Q3, scales, Start or Least: 384 bytes per super and token, 64 at most
#define SUMS     24576 // 64 bytes per row and token, 1024 at most and one row more
#define XTAIL    90624 // the activations that a row's last super is multiplied with if it is not complete
#define WTAIL    91392 // a row that is shorter than a super, behind zeros, and room to store 256 bytes
#define MASKS    91968 // of its bytes
#define SHORT    92000 // where it begins, 0 if rows are longer
#define SAVED_SI 92008 // SI meanwhile
#define TAIL     92016 // R12 at the start of a row
#define TAKEN    92024 // supers of a row that earlier turns have taken
#define RESUMES  92032 // not the last turn
#define KERNEL   92040 // function of the format
#define TABLE    92048 // see rows512.table
#define SAVED_CX   92056 // CX meanwhile, and below
#define SAVED_R10  92064
#define GROUP      92072 // see rows512.group
#define FOUND_ROWS 92080 // rows for which something is found that are still to come
#define FOUND_AT   92088 // of the next of them
#define GAP        92096 // bytes from the end of what a turn takes of a row to the beginning in the next row
#define SAVED_R15  92104
#define SAVED_DI   92112
#define FOUND      92160 // what is found for supers before they are unpacked: 64 bytes of each, 64 at most, and of one more

#define VECTOR(name, a, b, c, d, e, f, g, h) VECTOR_LOW(name, a, b, c, d); VECTOR_HIGH(name, e, f, g, h)
#define VECTOR_LOW(name, a, b, c, d) \
	DATA name<>+0(SB)/8, $a; DATA name<>+8(SB)/8, $b; DATA name<>+16(SB)/8, $c; DATA name<>+24(SB)/8, $d
#define VECTOR_HIGH(name, e, f, g, h) \
	DATA name<>+32(SB)/8, $e; DATA name<>+40(SB)/8, $f; DATA name<>+48(SB)/8, $g; DATA name<>+56(SB)/8, $h; \
	GLOBL name<>(SB), RODATA|NOPTR, $64
#define VECTOR2(name, a, b) VECTOR(name, a, b, a, b, a, b, a, b)
#define VECTOR_HALVES(name, a, b) VECTOR(name, a, a, a, a, b, b, b, b)
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

// OCTETS goes with them where octets of a group have sums of their own: words of −1 times those of the first and of the second.
#define OCTETS \
	VMOVDQA64 Z14, Z10; \
	VPDPBUSD  Z6, Z15, Z10; \
	VPDPBUSD  Z7, Z15, Z10; \
	VPADDD    Z10, Z9, Z9; \
	VPSUBD    Z10, Z14, Z10; \
	VPSLLD    $16, Z9, Z9; \
	VPSLLD    $16, Z10, Z10; \
	VPSRLD    $16, Z9, Z9; \
	VPORD     Z10, Z9, Z9

// PAIR_BLOCKS puts the scales of every second token between those of the one before, by the mask in K1: a block has two lanes, and so
// there is room for both. PAIR_GROUPS has none.

#define PAIR_BLOCKS VMOVAPS Z8, K1, -128(DI)
#define PAIR_GROUPS

// PREPARE arranges the four tensor.Q8 at R9 and stores them at DI. Z15 is the offset in each byte, Z14 is zero.
#define PREPARE(ARRANGE, SPREAD, FINISH, PAIR) \
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
	VMOVAPS   Z9, 320(DI); \
	PAIR

// The products of a super, whose weights are in Z10–Z15, with one, two or four tokens. BEGIN and LEAST are what a format does first and
// last with a token's lanes, SCALES2 multiplies the lanes of two tokens by the scales.

#define FROM_START(at, lanes) VMOVDQA64 (at+320)(R9), lanes
#define FROM_ZERO(at, lanes) VPXORD lanes, lanes, lanes

#define NO_LEAST(at, sum)
#define LESS(at, sum) VFMADD231PS (at+320)(R9), Z15, sum
#define PLUS(at, sum) VFNMADD231PS (at+320)(R9), Z15, sum

#define SCALE(at, lanes, sum) \
	VMULPS      (at+256)(R9), Z14, Z8; \
	VCVTDQ2PS   lanes, lanes; \
	VFMADD231PS Z8, lanes, sum

#define SCALES2_GROUPS(at, lanes, lanes2, sum, sum2) \
	SCALE(at, lanes, sum); \
	SCALE(at+384, lanes2, sum2)

#define SCALES2_BLOCKS(at, lanes, lanes2, sum, sum2) \
	VMULPS      (at+256)(R9), Z14, Z8; \
	VCVTDQ2PS   lanes, lanes; \
	VCVTDQ2PS   lanes2, lanes2; \
	VMOVSLDUP   Z8, Z9; \
	VMOVSHDUP   Z8, Z8; \
	VFMADD231PS Z9, lanes, sum; \
	VFMADD231PS Z8, lanes2, sum2

#define DOT(at, sum, BEGIN, LEAST) \
	BEGIN(at, Z16); \
	VPDPBUSD (at+0)(R9), Z10, Z16; \
	VPDPBUSD (at+64)(R9), Z11, Z16; \
	VPDPBUSD (at+128)(R9), Z12, Z16; \
	VPDPBUSD (at+192)(R9), Z13, Z16; \
	SCALE(at, Z16, sum); \
	LEAST(at, sum)

#define BYTES2(at, w) \
	VPDPBUSD (at+0)(R9), w, Z16; \
	VPDPBUSD (at+384)(R9), w, Z17

#define DOT2(at, sum, sum2, BEGIN, SCALES2, LEAST) \
	BEGIN(at, Z16); \
	BEGIN(at+384, Z17); \
	BYTES2(at+0, Z10); \
	BYTES2(at+64, Z11); \
	BYTES2(at+128, Z12); \
	BYTES2(at+192, Z13); \
	SCALES2(at, Z16, Z17, sum, sum2); \
	LEAST(at, sum); \
	LEAST(at+384, sum2)

#define BYTES4(at, w) \
	VPDPBUSD (at+0)(R9), w, Z16; \
	VPDPBUSD (at+384)(R9), w, Z17; \
	VPDPBUSD (at+768)(R9), w, Z18; \
	VPDPBUSD (at+1152)(R9), w, Z19

#define DOT4(at, a, b, c, d, BEGIN, SCALES2, LEAST) \
	BEGIN(at, Z16); \
	BEGIN(at+384, Z17); \
	BEGIN(at+768, Z18); \
	BEGIN(at+1152, Z19); \
	BYTES4(at+0, Z10); \
	BYTES4(at+64, Z11); \
	BYTES4(at+128, Z12); \
	BYTES4(at+192, Z13); \
	SCALES2(at, Z16, Z17, a, b); \
	SCALES2(at+768, Z18, Z19, c, d); \
	LEAST(at, a); \
	LEAST(at+384, b); \
	LEAST(at+768, c); \
	LEAST(at+1152, d)

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

// ADD_SUPERS adds R10 supers of a row times R13 tokens to their sums: UNPACK takes the size bytes at SI apart, FETCH prefetches as many
// bytes ahead, into the first-level cache where R11 is odd and into the second else.
#define ADD_SUPERS(FETCH, UNPACK, BEGIN, SCALES2, LEAST, size) \
super: \
	TESTQ $1, R11; \
	JNE  near; \
	FETCH(PREFETCHT1); \
fetched: \
	UNPACK; \
	CMPQ R13, $1; \
	JNE  several; \
	DOT(0, Z0, BEGIN, LEAST); \
joined: \
	ADDQ $size, SI; \
	ADDQ BX, R9; \
	DECQ R10; \
	JNE  super; \
	RET; \
several: \
	CMPQ R13, $4; \
	JLT  few; \
	DOT4(0, Z0, Z1, Z2, Z3, BEGIN, SCALES2, LEAST); \
	JEQ  joined; \
	CMPQ R13, $8; \
	JLT  rest; \
	DOT4(1536, Z4, Z5, Z6, Z7, BEGIN, SCALES2, LEAST); \
	JMP  joined; \
few: \
	CMPQ R13, $2; \
	DOT2(0, Z0, Z1, BEGIN, SCALES2, LEAST); \
	JEQ  joined; \
	DOT(768, Z2, BEGIN, LEAST); \
	JMP  joined; \
rest: \
	CMPQ R13, $6; \
	JLT  five; \
	DOT2(1536, Z4, Z5, BEGIN, SCALES2, LEAST); \
	JEQ  joined; \
	DOT(2304, Z6, BEGIN, LEAST); \
	JMP  joined; \
five: \
	DOT(1536, Z4, BEGIN, LEAST); \
	JMP  joined; \
near: \
	FETCH(PREFETCHNTA); \
	JMP  fetched

#define FETCH1(line) line (SI)(R11*1)
#define FETCH2(line) FETCH1(line); line 64(SI)(R11*1)
#define FETCH3(line) FETCH2(line); line 128(SI)(R11*1)
#define FETCH4(line) FETCH3(line); line 192(SI)(R11*1)
#define FETCH5(line) FETCH4(line); line 256(SI)(R11*1)
