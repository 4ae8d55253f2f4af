// Rows of one token for rows_avx2_amd64.s.

// PAIR_… multiplies a unit's weights with the activations at q(BX). V, whose number is v, becomes four sums of A | four of B.

// PAIR_U5 is for weights up to 31: 4·127·31 fits 16 bits.
#define PAIR_U5(q, V, v) \
	VPMADDUBSW (q)(BX), Y2, Y2; \
	VPMADDUBSW (q+32)(BX), Y3, Y3; \
	VPADDW     Y3, Y2, Y2; \
	VPMADDWD   Y13, Y2, V

// PAIR_S8 is for signed weights: |w| · sign(w)·q. Two products of 128·127 fit 16 bits.
#define PAIR_S8(q, V, v) \
	VMOVDQU    (q)(BX), Y8; \
	VMOVDQU    (q+32)(BX), Y9; \
	VPSIGNB    Y2, Y8, Y8; \
	VPSIGNB    Y3, Y9, Y9; \
	VPABSB     Y2, Y2; \
	VPABSB     Y3, Y3; \
	VPMADDUBSW Y8, Y2, Y2; \
	VPMADDUBSW Y9, Y3, Y3; \
	VPMADDWD   Y13, Y2, Y2; \
	VPMADDWD   Y13, Y3, Y3; \
	VPADDD     Y3, Y2, V

#define PAIR_VNNI(q, V, v) \
	VPXOR V, V, V; \
	VPDPBUSD_Q(q, 2, v); \
	VPDPBUSD_Q(q+32, 3, v)

// HALVES_… keeps the blocks apart: V = four sums of A's first 16 | of its last 16, W likewise of B. HALVES_U6 is for weights up to 63.
#define HALVES_U6(q, V, v, W, w) \
	VPMADDUBSW (q)(BX), Y2, Y2; \
	VPMADDUBSW (q+32)(BX), Y3, Y3; \
	VPMADDWD   Y13, Y2, V; \
	VPMADDWD   Y13, Y3, W

#define HALVES_VNNI(q, V, v, W, w) \
	VPXOR V, V, V; \
	VPXOR W, W, W; \
	VPDPBUSD_Q(q, 2, v); \
	VPDPBUSD_Q(q+32, 3, w)

// TREE makes of the fours in Y4 … Y7 one sum each: Y4, in lanes. TREE_WORDS is for fours that fit 16 bits.
#define TREE \
	ADD_PAIRS(Y4, Y5, Y4); \
	ADD_PAIRS(Y6, Y7, Y6); \
	ADD_PAIRS(Y4, Y6, Y4)

#define TREE_WORDS \
	VPACKSSDW Y5, Y4, Y4; \
	VPACKSSDW Y7, Y6, Y6; \
	VPMADDWD  Y13, Y4, Y4; \
	VPMADDWD  Y13, Y6, Y6; \
	ADD_PAIRS(Y4, Y6, Y4)

// ADD_PAIRS is VPHADDD b, a, c in three instructions of one cycle.
#define ADD_PAIRS(a, b, c) \
	VSHUFPS $0x88, b, a, Y8; \
	VSHUFPS $0xDD, b, a, Y9; \
	VPADDD  Y9, Y8, c

// END_… adds the sums in Y4 to the accumulator. dx and share are offsets into the digest, D and M the scales and minimums. In
// END_MIN_16 the sums of B are 16 times too large.
#define END_SUM(dx, D) \
	VCVTDQ2PS   Y4, Y4; \
	VMULPS      (dx)(BX), D, D; \
	VFMADD231PS D, Y4, Y0

#define END_PLAIN(dx, share, D, M) \
	END_SUM(dx, D)

#define END_OFFSET(dx, share, D, M) \
	VPADDD (share)(BX), Y4, Y4; \
	END_SUM(dx, D)

#define END_MIN_16(dx, share, D, M) \
	VPSRAVD     shifts_0_4<>(SB), Y4, Y4; \
	END_SUM(dx, D); \
	VFMADD231PS (share)(BX), M, Y0

#define END_MIN(dx, share, D, M) \
	END_SUM(dx, D); \
	VFMADD231PS (share)(BX), M, Y0

// AHEAD is how far the weights are prefetched, in bytes: rows follow each other, so that the end of one is the start of the next.
// Of 2 to 16 KB, 6 were best where they were measured (Zen 4), up to a sixth faster than 8 and half as fast again as 2. They go to the
// second cache: on their way to the first each would hold one of the few buffers that the loads need, too.
#define AHEAD 6144

#define PREFETCH1 PREFETCHT1 AHEAD(SI)
#define PREFETCH2 PREFETCH1; PREFETCHT1 (AHEAD+64)(SI)
#define PREFETCH3 PREFETCH2; PREFETCHT1 (AHEAD+128)(SI)
#define PREFETCH4 PREFETCH3; PREFETCHT1 (AHEAD+192)(SI)
#define PREFETCH5 PREFETCH4; PREFETCHT1 (AHEAD+256)(SI)

// A row routine adds CX super-blocks of a row at SI, with the digest at BX, to the lanes in Y0. It moves SI and BX.
#define ROW(bytes, PREFETCH, SCALES, U0, U1, U2, U3, PAIR, SUM, END) \
	ONES; \
	NIBBLES; \
loop: \
	PREFETCH; \
	SCALES; \
	U0(0); PAIR(0, Y4, 4); \
	U1(1); PAIR(64, Y5, 5); \
	U2(2); PAIR(128, Y6, 6); \
	U3(3); PAIR(192, Y7, 7); \
	SUM; \
	END(256, 320, Y1, Y10); \
	ADDQ $bytes, SI; \
	ADDQ $384, BX; \
	DECQ CX; \
	JNZ  loop; \
	RET

#define ROW_HALVES(bytes, PREFETCH, SCALES, U0, U1, U2, U3, HALVES, END) \
	ONES; \
	NIBBLES; \
loop: \
	PREFETCH; \
	SCALES; \
	U0(0); HALVES(0, Y4, 4, Y5, 5); \
	U1(1); HALVES(64, Y6, 6, Y7, 7); \
	TREE_WORDS; \
	END(256, 320, Y1, Y10); \
	U2(2); HALVES(128, Y4, 4, Y5, 5); \
	U3(3); HALVES(192, Y6, 6, Y7, 7); \
	TREE_WORDS; \
	END(288, 352, Y12, Y11); \
	ADDQ $bytes, SI; \
	ADDQ $384, BX; \
	DECQ CX; \
	JNZ  loop; \
	RET
