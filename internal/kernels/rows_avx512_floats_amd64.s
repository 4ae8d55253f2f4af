#include "go_asm.h"
#include "funcdata.h"
#include "textflag.h"
#include "rows_avx512_amd64.h"

// Rows of floats. A step is 32 columns, 64 bytes of weights. Two rows go together, or the last one twice, and up to four tokens. A token
// has two sums per row, for its first and last 16 columns: Z(4i) and Z(4i+1), Z(4i+2) and Z(4i+3). Activations are copied to the frame in
// turns, a step of all tokens together, as their own rows may lie in the same few sets of the cache; those of a
// single token are taken as they lie.
//
//	DX  frame, see below       CX  steps of this turn    R15  sums at rest
//	SI, DI  weights            R10 steps to go           Z16–Z19  weights
//	R9  activations            R11 distance of fetches   Z20, Z21  activations
//	BX  128 · tokens           R12 activations of a row  K1, K2  columns of the last, incomplete step
//	R13 tokens that go together, R8 rows to go

// Its frame, from an address that 64 divides.
#define F_X       0      // 128 bytes per step and token, 192 at most
#define F_TAIL    24576  // the last, incomplete step of all tokens, filled up with zeros
#define F_SUMS    25600  // 128 bytes per row and token, 640 at most and two rows more
#define F_ROW     109568 // SI at the start of the rows
#define F_ROW2    109576 // DI
#define F_DST     109584 // result
#define F_LEFT    109592 // tokens to go
#define F_AT      109632 // 128 · tokens done
#define F_TAKEN   109600 // steps of a row that earlier turns have taken
#define F_RESUMES 109608 // not the last turn
#define F_STEPS   109616 // the two functions
#define F_STEP    109624

#define LOAD_F16(from, z) VCVTPH2PS from, z
#define SOME_F16(from, mask, z) VCVTPH2PS.Z from, mask, z

#define LOAD_BF16(from, z) \
	VPMOVZXWD from, z; \
	VPSLLD    $16, z, z

#define SOME_BF16(from, mask, z) \
	VPMOVZXWD.Z from, mask, z; \
	VPSLLD      $16, z, z

#define STEP_TOKEN(at, a, b, c, d) \
	VMOVUPS     (at)(R9), Z20; \
	VMOVUPS     (at+64)(R9), Z21; \
	VFMADD231PS Z20, Z16, a; \
	VFMADD231PS Z21, Z17, b; \
	VFMADD231PS Z20, Z18, c; \
	VFMADD231PS Z21, Z19, d

#define STEP_TOKENS \
	STEP_TOKEN(0, Z0, Z1, Z2, Z3); \
	CMPQ R13, $2; \
	JLT  joined; \
	STEP_TOKEN(128, Z4, Z5, Z6, Z7); \
	JEQ  joined; \
	STEP_TOKEN(256, Z8, Z9, Z10, Z11); \
	CMPQ R13, $4; \
	JLT  joined; \
	STEP_TOKEN(384, Z12, Z13, Z14, Z15); \
joined:

// STEPS adds CX complete steps, STEP the last one that is not.
#define STEPS(LOAD) \
	MOVQ CX, R10; \
step: \
	PREFETCHT1 (SI)(R11*1); \
	PREFETCHT1 (DI)(R11*1); \
	LOAD(0(SI), Z16); \
	LOAD(32(SI), Z17); \
	LOAD(0(DI), Z18); \
	LOAD(32(DI), Z19); \
	STEP_TOKENS \
	ADDQ $64, SI; \
	ADDQ $64, DI; \
	ADDQ BX, R9; \
	DECQ R10; \
	JNE  step; \
	RET

#define STEP(LOAD) \
	LOAD(0(SI), K1, Z16); \
	LOAD(32(SI), K2, Z17); \
	LOAD(0(DI), K1, Z18); \
	LOAD(32(DI), K2, Z19); \
	STEP_TOKENS \
	RET

// STEPS1 and STEP1 do so for one row and one token, which go by in the order of memory. Lines are fetched into the first-level cache where
// R11 is odd, and into the second else.
#define STEPS1(LOAD) \
	MOVQ CX, R10; \
step: \
	TESTQ $1, R11; \
	JNE  near; \
	PREFETCHT1  (SI)(R11*1); \
fetched: \
	LOAD(0(SI), Z16); \
	LOAD(32(SI), Z17); \
	VFMADD231PS 0(R9), Z16, Z0; \
	VFMADD231PS 64(R9), Z17, Z1; \
	ADDQ $64, SI; \
	ADDQ $128, R9; \
	DECQ R10; \
	JNE  step; \
	RET; \
near: \
	PREFETCHNTA (SI)(R11*1); \
	JMP  fetched

#define STEP1(LOAD) \
	LOAD(0(SI), K1, Z16); \
	LOAD(32(SI), K2, Z17); \
	VFMADD231PS 0(R9), Z16, Z0; \
	VFMADD231PS 64(R9), Z17, Z1; \
	RET

TEXT steps1F16<>(SB), NOSPLIT, $0
	STEPS1(LOAD_F16)

TEXT step1F16<>(SB), NOSPLIT, $0
	STEP1(SOME_F16)

TEXT steps1BF16<>(SB), NOSPLIT, $0
	STEPS1(LOAD_BF16)

TEXT step1BF16<>(SB), NOSPLIT, $0
	STEP1(SOME_BF16)

TEXT stepsF16<>(SB), NOSPLIT, $0
	STEPS(LOAD_F16)

TEXT stepF16<>(SB), NOSPLIT, $0
	STEP(SOME_F16)

TEXT stepsBF16<>(SB), NOSPLIT, $0
	STEPS(LOAD_BF16)

TEXT stepBF16<>(SB), NOSPLIT, $0
	STEP(SOME_BF16)

// F_EACH does the sums of R13 tokens.
#define F_EACH(DO, end) \
	DO(0, Z0, Z1, Z2, Z3); \
	CMPQ R13, $2; \
	JLT  end; \
	DO(256, Z4, Z5, Z6, Z7); \
	JEQ  end; \
	DO(512, Z8, Z9, Z10, Z11); \
	CMPQ R13, $4; \
	JLT  end; \
	DO(768, Z12, Z13, Z14, Z15)

#define F_LOAD(at, a, b, c, d) \
	VMOVAPS (at+0)(R15), a; \
	VMOVAPS (at+64)(R15), b; \
	VMOVAPS (at+128)(R15), c; \
	VMOVAPS (at+192)(R15), d

#define F_REST(at, a, b, c, d) \
	VMOVAPS a, (at+0)(R15); \
	VMOVAPS b, (at+64)(R15); \
	VMOVAPS c, (at+128)(R15); \
	VMOVAPS d, (at+192)(R15)

// F_STORE writes the results of a row, at from DI, of R13 tokens AX floats each apart. R9 is 3·AX.
#define F_STORE(at, s, end) \
	VMOVSS     s, at(DI); \
	CMPQ       R13, $2; \
	JLT        end; \
	VEXTRACTPS $1, s, at(DI)(AX*4); \
	JEQ        end; \
	VEXTRACTPS $2, s, at(DI)(AX*8); \
	CMPQ       R13, $4; \
	JLT        end; \
	VEXTRACTPS $3, s, at(DI)(R9*4)

// func multiplyFloatRows512(c *floatRows512)
TEXT ·multiplyFloatRows512(SB), 0, $109760-8
	NO_LOCAL_POINTERS
	LEAQ frame-109760(SP), DX
	ADDQ $63, DX
	ANDQ $~63, DX
	MOVQ c+0(FP), DI

	MOVQ floatRows512_w(DI), SI
	MOVQ floatRows512_burst(DI), AX
	ADDQ SI, AX

burst:
	PREFETCHT1 (SI)
	ADDQ $64, SI
	CMPQ SI, AX
	JLT  burst

	MOVQ   $0, F_TAKEN(DX)
	MOVQ   floatRows512_n(DI), R13
	MOVQ   R13, BX
	SHLQ   $7, BX
	MOVQ   floatRows512_tail(DI), CX
	MOVL   $1, AX
	SHLL   CX, AX
	DECL   AX
	KMOVW  AX, K1
	SHRL   $16, AX
	KMOVW  AX, K2
	LEAQ   floatKernels<>(SB), AX
	CMPQ   floatRows512_bf16(DI), $0
	JEQ    f16
	ADDQ   $32, AX

f16:
	CMPQ R13, $1
	JNE  several
	ADDQ $16, AX

several:
	MOVQ 0(AX), R8
	MOVQ R8, F_STEPS(DX)
	MOVQ 8(AX), R8
	MOVQ R8, F_STEP(DX)

	// The last step.
	MOVQ floatRows512_full(DI), R9
	SHLQ $7, R9
	ADDQ floatRows512_x(DI), R9
	LEAQ F_TAIL(DX), R10
	MOVQ R13, R8

tail:
	VMOVUPS.Z 0(R9), K1, Z16
	VMOVUPS.Z 64(R9), K2, Z17
	VMOVAPS   Z16, 0(R10)
	VMOVAPS   Z17, 64(R10)
	ADDQ      floatRows512_xBytes(DI), R9
	ADDQ      $128, R10
	DECQ      R8
	JNE       tail

turn:
	MOVQ c+0(FP), DI
	MOVQ floatRows512_full(DI), CX
	SUBQ F_TAKEN(DX), CX
	XORL R8, R8
	CMPQ CX, floatRows512_depth(DI)
	JLE  fits
	MOVQ floatRows512_depth(DI), CX
	INCQ R8

fits:
	MOVQ R8, F_RESUMES(DX)
	MOVQ floatRows512_n(DI), R13
	MOVQ F_TAKEN(DX), R12
	SHLQ $7, R12
	ADDQ floatRows512_x(DI), R12
	CMPQ R13, $1
	JEQ  rows
	MOVQ R13, R8
	MOVQ DX, R15

token:
	MOVQ  R12, R9
	MOVQ  R15, R11
	MOVQ  CX, R10
	TESTQ R10, R10
	JEQ   copied

copy:
	VMOVUPS 0(R9), Z16
	VMOVUPS 64(R9), Z17
	VMOVAPS Z16, 0(R11)
	VMOVAPS Z17, 64(R11)
	ADDQ    $128, R9
	ADDQ    BX, R11
	DECQ    R10
	JNE     copy

copied:
	ADDQ floatRows512_xBytes(DI), R12
	ADDQ $128, R15
	DECQ R8
	JNE  token
	MOVQ DX, R12

rows:
	MOVQ F_TAKEN(DX), SI
	SHLQ $6, SI
	ADDQ floatRows512_w(DI), SI
	MOVQ floatRows512_rows(DI), R8
	MOVQ floatRows512_ahead(DI), R11
	MOVQ floatRows512_dst(DI), AX
	MOVQ AX, F_DST(DX)
	MOVQ SI, F_ROW(DX)
	LEAQ F_SUMS(DX), R15
	CMPQ R13, $1
	JNE  pair

row:
	MOVQ   F_ROW(DX), SI
	MOVQ   R12, R9
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	CMPQ   F_TAKEN(DX), $0
	JEQ    steps1
	VMOVAPS 0(R15), Z0
	VMOVAPS 64(R15), Z1

steps1:
	TESTQ CX, CX
	JEQ   some1
	MOVQ  F_STEPS(DX), AX
	CALL  AX

some1:
	MOVQ c+0(FP), DI
	CMPQ F_RESUMES(DX), $0
	JNE  rest1
	CMPQ floatRows512_tail(DI), $0
	JEQ  sum1
	LEAQ F_TAIL(DX), R9
	MOVQ F_STEP(DX), AX
	CALL AX

sum1:
	VADDPS Z1, Z0, Z2
	SUM4(Z2, Z2, Z2, Z2)
	MOVQ   F_DST(DX), AX
	VMOVSS X16, (AX)
	JMP    nextrow

rest1:
	VMOVAPS Z0, 0(R15)
	VMOVAPS Z1, 64(R15)

nextrow:
	ADDQ    $128, R15
	MOVQ    floatRows512_rowBytes(DI), AX
	ADDQ    AX, F_ROW(DX)
	ADDQ    $4, F_DST(DX)
	DECQ    R8
	JNE     row
	MOVQ    DI, AX
	JMP     turned

pair:
	MOVQ c+0(FP), AX
	MOVQ F_ROW(DX), DI
	CMPQ R8, $1
	JEQ  same
	ADDQ floatRows512_rowBytes(AX), DI

same:
	MOVQ DI, F_ROW2(DX)
	MOVQ floatRows512_n(AX), AX
	MOVQ AX, F_LEFT(DX)
	MOVQ $0, F_AT(DX)

tokens:
	// The next four tokens or less: half of those left if they are more.
	MOVQ F_LEFT(DX), R13
	CMPQ R13, $4
	JLE  few
	INCQ R13
	SHRQ $1, R13

few:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13
	VPXORD Z14, Z14, Z14
	VPXORD Z15, Z15, Z15
	CMPQ   F_TAKEN(DX), $0
	JNE    resume

steps:
	MOVQ  F_ROW(DX), SI
	MOVQ  F_ROW2(DX), DI
	MOVQ  F_AT(DX), R9
	ADDQ  R12, R9
	TESTQ CX, CX
	JEQ   some
	MOVQ  F_STEPS(DX), AX
	CALL  AX

some:
	CMPQ F_RESUMES(DX), $0
	JNE  rest
	MOVQ c+0(FP), AX
	CMPQ floatRows512_tail(AX), $0
	JEQ  sum
	MOVQ F_AT(DX), R9
	LEAQ F_TAIL(DX)(R9*1), R9
	MOVQ F_STEP(DX), AX
	CALL AX

sum:
	MOVQ   c+0(FP), AX
	MOVQ   floatRows512_stride(AX), AX
	MOVQ   F_DST(DX), DI
	MOVQ   F_AT(DX), R9
	SHRQ   $7, R9
	IMULQ  AX, R9
	LEAQ   (DI)(R9*4), DI
	LEAQ   (AX)(AX*2), R9
	VADDPS Z1, Z0, Z0
	VADDPS Z5, Z4, Z4
	VADDPS Z9, Z8, Z8
	VADDPS Z13, Z12, Z12
	SUM4(Z0, Z4, Z8, Z12)
	F_STORE(0, X16, second)

second:
	CMPQ   R8, $1
	JEQ    next
	VADDPS Z3, Z2, Z2
	VADDPS Z7, Z6, Z6
	VADDPS Z11, Z10, Z10
	VADDPS Z15, Z14, Z14
	SUM4(Z2, Z6, Z10, Z14)
	F_STORE(4, X16, next)

next:
	MOVQ R13, R9
	SHLQ $7, R9
	ADDQ R9, F_AT(DX)
	SHLQ $1, R9
	ADDQ R9, R15
	SUBQ R13, F_LEFT(DX)
	JNE  tokens
	MOVQ c+0(FP), AX
	MOVQ floatRows512_rowBytes(AX), R9
	SHLQ $1, R9
	ADDQ R9, F_ROW(DX)
	ADDQ $8, F_DST(DX)
	SUBQ $2, R8
	JGT  pair

turned:
	CMPQ F_RESUMES(DX), $0
	JEQ  end
	ADDQ CX, F_TAKEN(DX)
	JMP  turn

resume:
	F_EACH(F_LOAD, steps)
	JMP steps

rest: // only the sums of R13 tokens: those of the next follow
	F_EACH(F_REST, next)
	JMP next

end:
	VZEROUPPER
	RET

// Functions of F16 and BF16, for several tokens and for one.
DATA floatKernels<>+0(SB)/8, $stepsF16<>(SB)
DATA floatKernels<>+8(SB)/8, $stepF16<>(SB)
DATA floatKernels<>+16(SB)/8, $steps1F16<>(SB)
DATA floatKernels<>+24(SB)/8, $step1F16<>(SB)
DATA floatKernels<>+32(SB)/8, $stepsBF16<>(SB)
DATA floatKernels<>+40(SB)/8, $stepBF16<>(SB)
DATA floatKernels<>+48(SB)/8, $steps1BF16<>(SB)
DATA floatKernels<>+56(SB)/8, $step1BF16<>(SB)
GLOBL floatKernels<>(SB), RODATA, $64
