// NVFP4 and TQ1_0 for rows_avx512_amd64.s.

// NVFP4: blocks of 64 that lie as two of Q4_0 would: four scales of 16 values (bytes with four exponent bits and three fraction bits), 32
// bytes of nibbles, in which the low ones of 8 bytes are 8 values and the high ones the next; values as in MXFP4.
TEXT constantsNVFP4<>(SB), NOSPLIT, $0
	BYTES(15, Z21)
	VMOVDQU64    fp4Values<>(SB), Z20
	VMOVDQU64    nibbles16<>(SB), Z22
	BYTES(64-36, Z23)
	VPADDB       Z22, Z23, Z23
	VMOVDQU64    odd4Groups<>(SB), Z24
	VMOVDQU64 group16<>(SB), X25
	MOVL         $8, AX
	VPBROADCASTD AX, Z26
	MOVL         $0x7f, AX
	VPBROADCASTD AX, Z27
	MOVL         $(119<<23), AX
	VPBROADCASTD AX, Z28
	MOVL         $0x3a800000, AX // 1/1024
	VPBROADCASTD AX, Z29
	RET

#define NIBBLES16(index, w) \
	VPERMB  w, index, w; \
	VPSRLVW Z24, w, w; \
	VPANDD  Z21, w, w

// A scale is e/1024 where e is less than 8, and 0 where it is 0x7F.
#define UNPACK_NVFP4 \
	VMOVDQU64      0(SI), Z10; \
	VMOVDQU64      36(SI), Z11; \
	VMOVDQU64      72(SI), Z12; \
	VMOVDQU64      80(SI), Z13; \
	NIBBLES16(Z22, Z10); \
	NIBBLES16(Z22, Z11); \
	NIBBLES16(Z22, Z12); \
	NIBBLES16(Z23, Z13); \
	LOOKUP; \
	ARRANGE_GROUPS(Z10, Z11, Z12, Z13); \
	VMOVD          (SI), X14; \
	VPINSRD        $1, 36(SI), X14, X14; \
	VPINSRD        $2, 72(SI), X14, X14; \
	VPINSRD        $3, 108(SI), X14, X14; \
	VPSHUFB        X25, X14, X14; \
	VPMOVZXBD      X14, Z16; \
	VPCMPUD        $1, Z26, Z16, K1; \
	VPCMPUD        $4, Z27, Z16, K2; \
	VPSLLD         $20, Z16, Z14; \
	VPADDD         Z28, Z14, Z14; \
	VCVTDQ2PS      Z16, Z16; \
	VMULPS         Z29, Z16, K1, Z14; \
	VMOVAPS.Z      Z14, K2, Z14

VECTOR_LOW(nibbles16, 0x0b0a090807060504, 0x0b0a090807060504, 0x131211100f0e0d0c, 0x131211100f0e0d0c)
VECTOR_HIGH(nibbles16, 0x1b1a191817161514, 0x1b1a191817161514, 0x232221201f1e1d1c, 0x232221201f1e1d1c)
VECTOR2(odd4Groups, 0, 0x0004000400040004)

// TQ1_0: 52 bytes of digits, d; offset 1. Five digits of 32 bytes are blocks 0 … 4, five of 16 are the next and half of the last, four of
// 4 bytes the rest of it. A table has four of them, two bits each, another the fifth, and the first and third where the rest of the last
// block wants them. A matrix for each qword takes the digit out of its bytes: it waits for the multipliers, and a shift would for the
// shuffles, of which there are enough.
TEXT constantsTQ1_0<>(SB), NOSPLIT, $0
	MOVQ      $0x000fffffffffffff, AX
	KMOVQ     AX, K1
	BYTES(8, Z23)
	VMOVDQU64 digits0<>(SB), Z22
	VPADDB    Z22, Z23, Z23
	VMOVDQU64 digits2<>(SB), Z24
	VMOVDQU64 digits3<>(SB), Z25
	VMOVDQU64 digitBits0<>(SB), Z26
	VMOVDQU64 digitBits2<>(SB), Z27
	VMOVDQU64 digitBits3<>(SB), Z28
	MOVQ      TABLE(DX), AX
	VMOVDQU64 0(AX), Z15
	VMOVDQU64 64(AX), Z20
	VMOVDQU64 128(AX), Z21
	VMOVDQU64 192(AX), Z29
	VMOVDQU64 256(AX), Z30
	VMOVDQU64 320(AX), Z31
	RET

// LOOKUP_128 looks the bytes in Z16 up in a table of 128 bytes, LOOKUP_256 in one of 256, with those above 127 in K6.
#define LOOKUP_128(at, w) \
	VMOVDQU64 at(AX), w; \
	VPERMT2B  (at+64)(AX), Z16, w

#define LOOKUP_256(at, w, scratch) \
	LOOKUP_128(at, w); \
	LOOKUP_128(at+128, scratch); \
	VMOVDQU8 scratch, K6, w

#define DIGITS(index, matrices, w) \
	VMOVDQA64      index, w; \
	VPERMI2B       Z18, Z17, w; \
	VGF2P8AFFINEQB $0, matrices, w, w

#define UNPACK_TQ1_0 \
	MOVQ         TABLE(DX), AX; \
	VMOVDQU8.Z   (SI), K1, Z16; \
	VPBROADCASTW 52(SI), Y14; \
	VPMOVB2M     Z16, K6; \
	VMOVDQA64    Z16, Z17; \
	VMOVDQA64    Z16, Z10; \
	VMOVDQA64    Z16, Z18; \
	VPERMI2B     Z20, Z15, Z17; \
	VPERMI2B     Z29, Z21, Z10; \
	VPERMI2B     Z31, Z30, Z18; \
	LOOKUP_128(384, Z11); \
	VMOVDQU8     Z10, K6, Z17; \
	VMOVDQU8     Z11, K6, Z18; \
	DIGITS(Z22, Z26, Z10); \
	DIGITS(Z23, Z26, Z11); \
	DIGITS(Z24, Z27, Z12); \
	DIGITS(Z25, Z28, Z13); \
	VCVTPH2PS    Y14, Z14

// Bytes of both tables by block 0 2 1 3 4 6 5 7, and the matrices.
VECTOR_LOW(digits0, 0x0706050403020100, 0x0706050403020100, 0x0706050403020100, 0x0706050403020100)
VECTOR_HIGH(digits0, 0x4746454443424140, 0x2726252423222120, 0x2726252423222120, 0x6766656463626160)
VECTOR_LOW(digits2, 0x1716151413121110, 0x1716151413121110, 0x1716151413121110, 0x1716151413121110)
VECTOR_HIGH(digits2, 0x5756555453525150, 0x2726252423222120, 0x2726252423222120, 0x3332313073727170)
VECTOR_LOW(digits3, 0x1f1e1d1c1b1a1918, 0x1f1e1d1c1b1a1918, 0x1f1e1d1c1b1a1918, 0x1f1e1d1c1b1a1918)
VECTOR_HIGH(digits3, 0x5f5e5d5c5b5a5958, 0x2f2e2d2c2b2a2928, 0x2f2e2d2c2b2a2928, 0x3332313073727170)
VECTOR_LOW(digitBits0, 0x0102000000000000, 0x1020000000000000, 0x0408000000000000, 0x4080000000000000)
VECTOR_HIGH(digitBits0, 0x0102000000000000, 0x1020000000000000, 0x0102000000000000, 0x0102000000000000)
VECTOR_LOW(digitBits2, 0x0102000000000000, 0x1020000000000000, 0x0408000000000000, 0x4080000000000000)
VECTOR_HIGH(digitBits2, 0x0102000000000000, 0x4080000000000000, 0x0408000000000000, 0x0408000000000000)
VECTOR_LOW(digitBits3, 0x0102000000000000, 0x1020000000000000, 0x0408000000000000, 0x4080000000000000)
VECTOR_HIGH(digitBits3, 0x0102000000000000, 0x4080000000000000, 0x0408000000000000, 0x4080000000000000)
