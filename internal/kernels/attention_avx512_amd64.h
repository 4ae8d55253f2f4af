// What AVX-512's attention shares: keys and values as they lie in a cache.

// LOAD_… sets lo and hi to the 32 numbers of a key or value at p. ALL steps on to the next.
#define LOAD_F32(p, lo, hi) \
	VMOVUPS (p)(AX*1), lo; \
	VMOVUPS 64(p)(AX*1), hi

#define LOAD_F16(p, lo, hi) \
	VCVTPH2PS (p)(AX*1), lo; \
	VCVTPH2PS 32(p)(AX*1), hi

#define LOAD_Q8_0(p, lo, hi) \
	VPBROADCASTW (p)(AX*1), Y31; \
	VPMOVSXBD 2(p)(AX*1), lo; \
	VPMOVSXBD 18(p)(AX*1), hi; \
	VCVTPH2PS Y31, Z31; \
	VCVTDQ2PS lo, lo; \
	VCVTDQ2PS hi, hi; \
	VMULPS Z31, lo, lo; \
	VMULPS Z31, hi, hi

// LOAD_Q4_0: Z30 holds what nibbles stand for. Of an index the low four bits count.
#define LOAD_Q4_0(p, lo, hi) \
	VPBROADCASTW (p)(AX*1), Y31; \
	VPMOVZXBD 2(p)(AX*1), lo; \
	VCVTPH2PS Y31, Z31; \
	VPSRLD $4, lo, hi; \
	VMULPS Z30, Z31, Z31; \
	VPERMPS Z31, lo, lo; \
	VPERMPS Z31, hi, hi

DATA fours<>+0(SB)/8, $0xC0E00000C1000000 // −8, −7
DATA fours<>+8(SB)/8, $0xC0A00000C0C00000
DATA fours<>+16(SB)/8, $0xC0400000C0800000
DATA fours<>+24(SB)/8, $0xBF800000C0000000
DATA fours<>+32(SB)/8, $0x3F80000000000000 // 0, 1
DATA fours<>+40(SB)/8, $0x4040000040000000
DATA fours<>+48(SB)/8, $0x40A0000040800000
DATA fours<>+56(SB)/8, $0x40E0000040C00000
GLOBL fours<>(SB), (NOPTR|RODATA), $64
