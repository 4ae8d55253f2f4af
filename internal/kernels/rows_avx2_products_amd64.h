// Rows of one token for rows_avx2_amd64.s.

// PAIR_… multiplies a unit's weights with the activations at q(BX). V, whose number is v, becomes four sums of A | four of B.

// PAIR_U5 is for weights up to 31: 4·127·31 fits 16 bits. It leaves twice as many sums, words.
#define PAIR_U5(q, V, v) \
	VPMADDUBSW (q)(BX), Y2, Y2; \
	VPMADDUBSW (q+32)(BX), Y3, Y3; \
	VPADDW     Y3, Y2, V

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

// PAIR_S7 is for signed weights that −128 is not among: sign(q)·w · |q|, which leaves no copy of q.
#define PAIR_S7(q, V, v) \
	VPSIGNB    (q)(BX), Y2, Y2; \
	VPSIGNB    (q+32)(BX), Y3, Y3; \
	VPABSB     (q)(BX), Y8; \
	VPABSB     (q+32)(BX), Y9; \
	VPMADDUBSW Y2, Y8, Y2; \
	VPMADDUBSW Y3, Y9, Y3; \
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

// TREE_… adds the sums that units 0 … 3 have left in a … d: Y4, a sum of each block in its lane. TREE_U4 and TREE_U5 take words, as long
// as those of blocks of such weights fit; TREE_WORDS takes sums of four that fit words, TREE larger ones.
#define TREE(a, b, c, d) \
	ADD_PAIRS(a, b, a); \
	ADD_PAIRS(c, d, c); \
	ADD_PAIRS(a, c, Y4)

#define TREE_WORDS(a, b, c, d) \
	VPACKSSDW b, a, a; \
	VPACKSSDW d, c, c; \
	VPMADDWD  Y13, a, a; \
	VPMADDWD  Y13, c, c; \
	ADD_PAIRS(a, c, Y4)

#define TREE_U5(a, b, c, d) \
	ADD_WORDS(a, b, a); \
	ADD_WORDS(c, d, c); \
	VPMADDWD Y13, a, a; \
	VPMADDWD Y13, c, c; \
	ADD_PAIRS(a, c, Y4)

#define TREE_U4(a, b, c, d) \
	ADD_WORDS(a, b, a); \
	ADD_WORDS(c, d, c); \
	ADD_WORDS(a, c, a); \
	VPMADDWD Y13, a, Y4

// ADD_PAIRS is VPHADDD b, a, c in three instructions of one cycle. ADD_WORDS adds pairs of words, each to its counterpart.
#define ADD_PAIRS(a, b, c) \
	VSHUFPS $0x88, b, a, Y8; \
	VSHUFPS $0xDD, b, a, Y9; \
	VPADDD  Y9, Y8, c

#define ADD_WORDS(a, b, c) \
	VSHUFPS $0x88, b, a, Y8; \
	VSHUFPS $0xDD, b, a, Y9; \
	VPADDW  Y9, Y8, c

// END_… adds the sums in Y4 to the accumulator, in two steps: READY_… multiplies the scales in D by those of the activations at dx(BX) and
// applies the format's share to the sums, ADD_… adds. M are the minimums. With MIN_16 the sums of B are 16 times too large.
#define READY_PLAIN(dx, share, D) \
	VMULPS (dx)(BX), D, D

#define READY_OFFSET(dx, share, D) \
	VPADDD (share)(BX), Y4, Y4; \
	READY_PLAIN(dx, share, D)

#define READY_MIN_16(dx, share, D) \
	VPSRAVD shifts_0_4<>(SB), Y4, Y4; \
	READY_PLAIN(dx, share, D)

#define ADD_PLAIN(share, D, M) \
	VCVTDQ2PS   Y4, Y4; \
	VFMADD231PS D, Y4, Y0

#define ADD_MIN(share, D, M) \
	ADD_PLAIN(share, D, M); \
	VFMADD231PS (share)(BX), M, Y0

#define READY_MIN READY_PLAIN
#define ADD_OFFSET ADD_PLAIN
#define ADD_MIN_16 ADD_MIN

#define END_PLAIN(dx, share, D, M) READY_PLAIN(dx, share, D); ADD_PLAIN(share, D, M)
#define END_OFFSET(dx, share, D, M) READY_OFFSET(dx, share, D); ADD_OFFSET(share, D, M)
#define END_MIN(dx, share, D, M) READY_MIN(dx, share, D); ADD_MIN(share, D, M)

// AHEAD is how far the weights are prefetched, in bytes: rows follow each other, so that the end of one is the start of the next.
// Of 2 to 16 KB, 6 were best where they were measured (Zen 4), up to a sixth faster than 8 and half as fast again as 2. They go to the
// second cache: on their way to the first each would hold one of the few buffers that the loads need, too.
#define AHEAD 6144

#define PREFETCH1 PREFETCHT1 AHEAD(SI)
#define PREFETCH2 PREFETCH1; PREFETCHT1 (AHEAD+64)(SI)
#define PREFETCH3 PREFETCH2; PREFETCHT1 (AHEAD+128)(SI)
#define PREFETCH4 PREFETCH3; PREFETCHT1 (AHEAD+192)(SI)
#define PREFETCH5 PREFETCH4; PREFETCHT1 (AHEAD+256)(SI)

// A row routine adds CX super-blocks of a row at SI, with the digest at BX, to the lanes in Y0. It moves SI and BX. A super-block's sums
// are added once the next one's first unit is unpacked: with so few registers for what waits, the processor would stop for the tree.
#define ROW(bytes, PREFETCH, SCALES, U0, U1, U2, U3, PAIR, TREE, READY, ADD) \
	ONES; \
	NIBBLES; \
	U0(0); PAIR(0, Y5, 5); \
	JMP  rest; \
loop: \
	U0(0); PAIR(0, Y5, 5); \
	ADD(320-384, Y1, Y10); \
rest: \
	PREFETCH; \
	U1(1); PAIR(64, Y6, 6); \
	U2(2); PAIR(128, Y7, 7); \
	U3(3); PAIR(192, Y4, 4); \
	SCALES; \
	TREE(Y5, Y6, Y7, Y4); \
	READY(256, 320, Y1); \
	ADDQ $bytes, SI; \
	ADDQ $384, BX; \
	DECQ CX; \
	JNZ  loop; \
	ADD(320-384, Y1, Y10); \
	RET

#define ROW_ALIKE(bytes, PREFETCH, SCALES, UNPACK, PAIR, TREE, READY, ADD) \
	ROW(bytes, PREFETCH, SCALES, UNPACK, UNPACK, UNPACK, UNPACK, PAIR, TREE, READY, ADD)

#define ROW_HALVES(bytes, PREFETCH, SCALES, U0, U1, U2, U3, HALVES, END) \
	ONES; \
	NIBBLES; \
loop: \
	PREFETCH; \
	SCALES; \
	U0(0); HALVES(0, Y4, 4, Y5, 5); \
	U1(1); HALVES(64, Y6, 6, Y7, 7); \
	TREE_WORDS(Y4, Y5, Y6, Y7); \
	END(256, 320, Y1, Y10); \
	U2(2); HALVES(128, Y4, 4, Y5, 5); \
	U3(3); HALVES(192, Y6, 6, Y7, 7); \
	TREE_WORDS(Y4, Y5, Y6, Y7); \
	END(288, 352, Y12, Y11); \
	ADDQ $bytes, SI; \
	ADDQ $384, BX; \
	DECQ CX; \
	JNZ  loop; \
	RET
