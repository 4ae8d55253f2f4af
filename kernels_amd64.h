// Constants of the elementwise kernels, each repeated over eight lanes: the AVX2 code takes them as whole vectors, the
// AVX-512 code broadcasts the first lane.

#define LANES8(name, twice) \
	DATA name<>+0(SB)/8, $twice \
	DATA name<>+8(SB)/8, $twice \
	DATA name<>+16(SB)/8, $twice \
	DATA name<>+24(SB)/8, $twice \
	GLOBL name<>(SB), (NOPTR|RODATA), $32

LANES8(one, 0x3F8000003F800000)
LANES8(two, 0x4000000040000000)
LANES8(signBits, 0x8000000080000000)
LANES8(minusInf, 0xFF800000FF800000)
LANES8(absBits, 0x7FFFFFFF7FFFFFFF)

// All exponentials are powers of two: 2^t with t = n + r, n whole and |r| ≤ ½. Adding 1.5·2²³ (and a bias that makes n
// positive) rounds t to n in the low bits of the sum, ready to be shifted into an exponent; subtracting it gives n as a
// float.
//
// 2^r − 1 = r·(c0 + c1·r + … + c5·r⁵) with a relative error of 2.1e-8, coefficients rounded to floats: minimax by Remez' exchange on
// |r| ≤ 0.50005.
LANES8(exp2C0, 0x3F3172183F317218) // 0.69314718
LANES8(exp2C1, 0x3E75FDEF3E75FDEF) // 0.24022649
LANES8(exp2C2, 0x3D6357B73D6357B7) // 0.055503573
LANES8(exp2C3, 0x3C1D95D03C1D95D0) // 0.0096182376
LANES8(exp2C4, 0x3AAF83E43AAF83E4) // 0.0013390747
LANES8(exp2C5, 0x3921847D3921847D) // 0.00015403512
LANES8(round127, 0x4B40007F4B40007F) // 1.5·2²³ + 127: the low bits are n + 127, an exponent
LANES8(round254, 0x4B4000FE4B4000FE) // 1.5·2²³ + 254: n + 254, two exponents

// exp: log2(e) in two parts. Below −105 the result is 0, above 89 it is infinite.
LANES8(log2eHigh, 0x3FB8AA3B3FB8AA3B)
LANES8(log2eLow, 0x32A5706032A57060)
LANES8(expMin, 0xC2D20000C2D20000) // −105
LANES8(expMax, 0x42B2000042B20000) // 89
LANES8(exp2Bits, 0x000001FF000001FF) // of n + 254

// gelu(x) = x / (1 + 2^t), t = x·(k1 + k2·x²): the tanh form rewritten, with k1 = −2·√(2/π)·log2(e) and k2 = 0.044715·k1.
// At −10.06 t is 128 and 2^t infinite, at 10.03 it is −127 and 2^t is taken for 0.
LANES8(geluK1, 0xC0135761C0135761) // −2.3022082
LANES8(geluK2, 0xBDD2D3E8BDD2D3E8) // −0.10294324
LANES8(geluMin, 0xC120F5C3C120F5C3) // −10.06
LANES8(geluMax, 0x41207AE141207AE1) // 10.03
