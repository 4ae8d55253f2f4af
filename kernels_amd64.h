// Constants of the elementwise kernels, each repeated over eight lanes, or four of 64 bits: the AVX2 code takes them as whole vectors, the
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

// Sines and cosines are those of math.Sincos, bit by bit: the arithmetic of Cephes in float64, in the same order, with nothing fused. Up
// to 2²⁹, x is y·π/4 + z with an even y and |z| ≤ π/4; π/4 has three parts, so that y times the first two is exact. sin z is
// z + z·z²·(s0·z¹⁰ + … + s5), cos z is 1 − z²/2 + z⁴·(c0·z¹⁰ + … + c5).
LANES8(signs64, 0x8000000000000000)
LANES8(abs64, 0x7FFFFFFFFFFFFFFF)
LANES8(half64, 0x3FE0000000000000)
LANES8(one64, 0x3FF0000000000000)
LANES8(angleMax, 0x41C0000000000000)
LANES8(eighths, 0x3FF45F306DC9C883) // 4/π
LANES8(eighthA, 0x3FE921FB40000000)
LANES8(eighthB, 0x3E64442D00000000)
LANES8(eighthC, 0x3CE8469898CC5170)
LANES8(sin0, 0x3DE5D8FD1FD19CCD)
LANES8(sin1, 0xBE5AE5E5A9291F5D)
LANES8(sin2, 0x3EC71DE3567D48A1)
LANES8(sin3, 0xBF2A01A019BFDF03)
LANES8(sin4, 0x3F8111111110F7D0)
LANES8(sin5, 0xBFC5555555555548)
LANES8(cos0, 0xBDA8FA49A0861A9B)
LANES8(cos1, 0x3E21EE9D7B4E3F05)
LANES8(cos2, 0xBE927E4F7EAC4BC6)
LANES8(cos3, 0x3EFA01A019C844F5)
LANES8(cos4, 0xBF56C16C16C14F91)
LANES8(cos5, 0x3FA555555555554B)
LANES8(ones32, 0x0000000100000001)
LANES8(evens32, 0xFFFFFFFEFFFFFFFE)
