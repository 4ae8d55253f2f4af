#include "textflag.h"
#include "words_arm64.h"

// The row kernels of ARMv8.0.

#define DOT_ARGS

// Products for rows_arm64.h. Two of them are added in 16 bits where weights are wide, four where they are
// below 65, eight where they are below 33: 8·32·127 < 2¹⁵.
#define DOT_BLOCKS \
	SMULL(12, 4, 8)              \
	SMULL(13, 6, 10)             \
	SMLAL2(12, 4, 8)             \
	SMLAL2(13, 6, 10)            \
	SMLAL(12, 5, 9)              \
	SMLAL(13, 7, 11)             \
	SMLAL2(12, 5, 9)             \
	SMLAL2(13, 7, 11)            \
	VADDP V13.H8, V12.H8, V12.H8 \
	SADDLP(12, 12)

#define DOT_WIDE_BLOCKS \
	SMULL(12, 4, 8)   \
	SMULL(13, 6, 10)  \
	SMULL(14, 5, 9)   \
	SMULL(15, 7, 11)  \
	SMLAL2(12, 4, 8)  \
	SMLAL2(13, 6, 10) \
	SMLAL2(14, 5, 9)  \
	SMLAL2(15, 7, 11) \
	SADDLP(12, 12)    \
	SADDLP(13, 13)    \
	SADALP(12, 14)    \
	SADALP(13, 15)    \
	VADDP V13.S4, V12.S4, V12.S4

#define DOT_GROUPS \
	SMULL(12, 4, 8)              \
	SMULL(13, 5, 9)              \
	SMULL(14, 6, 10)             \
	SMULL(15, 7, 11)             \
	SMLAL2(12, 4, 8)             \
	SMLAL2(13, 5, 9)             \
	SMLAL2(14, 6, 10)            \
	SMLAL2(15, 7, 11)            \
	VADDP V13.H8, V12.H8, V12.H8 \
	VADDP V15.H8, V14.H8, V14.H8 \
	SADDLP(12, 12)               \
	SADDLP(14, 14)               \
	VADDP V14.S4, V12.S4, V12.S4

#define Q4_CONSTANTS

#define Q4_SPLIT(q, high) \
	NIBBLES(q, q, high)        \
	VSUB V25.B16, q.B16, q.B16 \
	VSUB V25.B16, high.B16, high.B16

// 16·8·127 < 2¹⁵.
#define Q4_DOT(x) \
	FLDPQ (x), (F8, F9)               \
	FLDPQ 32(x), (F10, F11)           \
	SMULL(12, 4, 8)                   \
	SMULL(13, 6, 10)                  \
	SMLAL2(12, 4, 8)                  \
	SMLAL2(13, 6, 10)                 \
	SMLAL(12, 5, 9)                   \
	SMLAL(13, 7, 11)                  \
	SMLAL2(12, 5, 9)                  \
	SMLAL2(13, 7, 11)                 \
	FLDPQ Q8_SIZE(x), (F8, F9)        \
	FLDPQ (Q8_SIZE+32)(x), (F10, F11) \
	SMULL(14, 20, 8)                  \
	SMULL(15, 22, 10)                 \
	SMLAL2(14, 20, 8)                 \
	SMLAL2(15, 22, 10)                \
	SMLAL(14, 21, 9)                  \
	SMLAL(15, 23, 11)                 \
	SMLAL2(14, 21, 9)                 \
	SMLAL2(15, 23, 11)                \
	VADDP V13.H8, V12.H8, V12.H8      \
	VADDP V15.H8, V14.H8, V14.H8      \
	VADDP V14.H8, V12.H8, V12.H8      \
	SADDLP(12, 12)                    \
	SCVTF(12, 12)

// Row kernels of halves: arguments as in rows_arm64.h, with x [n, cols]. V0–V3 are 16 weights, V4–V7 activations;
// token t is summed up in V16+4t … V19+4t. The last cols%16 columns are added to lane 0 one by one: a load of one number sets
// the other lanes to 0.
#define FLOATS_ARGS \
	MOVD dst+0(FP), R0       \
	MOVD stride+8(FP), R1    \
	MOVD w+16(FP), R2        \
	MOVD rowBytes+24(FP), R3 \
	MOVD rows+32(FP), R4     \
	MOVD x+40(FP), R5        \
	MOVD cols+48(FP), R6     \
	MOVD n+56(FP), R7        \
	LSL  $2, R1              \
	LSL  $2, R6

#define FLOATS_BEGIN \
	VMOVI $0, V16.B16  \
	VMOVI $0, V17.B16  \
	VMOVI $0, V18.B16  \
	VMOVI $0, V19.B16  \
	VMOVI $0, V20.B16  \
	VMOVI $0, V21.B16  \
	VMOVI $0, V22.B16  \
	VMOVI $0, V23.B16  \
	VMOVI $0, V24.B16  \
	VMOVI $0, V25.B16  \
	VMOVI $0, V26.B16  \
	VMOVI $0, V27.B16  \
	VMOVI $0, V28.B16  \
	VMOVI $0, V29.B16  \
	VMOVI $0, V30.B16  \
	VMOVI $0, V31.B16  \
	MOVD  R5, R8       \
	ADD   R6, R8, R9   \
	ADD   R6, R9, R10  \
	ADD   R6, R10, R11 \
	MOVD  R2, R12      \
	ADD   R3, R2       \
	LSR   $2, R6, R13

#define SIXTEEN(s0, s1, s2, s3, x) \
	FLDPQ (x), (F4, F5)       \
	FLDPQ 32(x), (F6, F7)     \
	ADD   $64, x              \
	VFMLA V4.S4, V0.S4, s0.S4 \
	VFMLA V5.S4, V1.S4, s1.S4 \
	VFMLA V6.S4, V2.S4, s2.S4 \
	VFMLA V7.S4, V3.S4, s3.S4

#define FLOATS_16(next) \
	SIXTEEN(V16, V17, V18, V19, R8)  \
	CMP $2, R7                       \
	BLT next                         \
	SIXTEEN(V20, V21, V22, V23, R9)  \
	BEQ next                         \
	SIXTEEN(V24, V25, V26, V27, R10) \
	CMP $4, R7                       \
	BLT next                         \
	SIXTEEN(V28, V29, V30, V31, R11) \
next:

#define FLOATS_1(next) \
	FMOVS.P 4(R8), F4            \
	VFMLA   V4.S4, V0.S4, V16.S4 \
	CMP     $2, R7               \
	BLT     next                 \
	FMOVS.P 4(R9), F4            \
	VFMLA   V4.S4, V0.S4, V20.S4 \
	BEQ     next                 \
	FMOVS.P 4(R10), F4           \
	VFMLA   V4.S4, V0.S4, V24.S4 \
	CMP     $4, R7               \
	BLT     next                 \
	FMOVS.P 4(R11), F4           \
	VFMLA   V4.S4, V0.S4, V28.S4 \
next:

// FLOATS_END leaves the tokens' sums in V0–V3 for ROW_END.
#define FLOATS_END \
	FADD(16, 16, 17) \
	FADD(18, 18, 19) \
	FADD(20, 20, 21) \
	FADD(22, 22, 23) \
	FADD(24, 24, 25) \
	FADD(26, 26, 27) \
	FADD(28, 28, 29) \
	FADD(30, 30, 31) \
	FADD(0, 16, 18)  \
	FADD(1, 20, 22)  \
	FADD(2, 24, 26)  \
	FADD(3, 28, 30)

#define ROWS_Q4_0 ·rowsQ40NEON
#define ROWS_Q5_0 ·rowsQ50NEON
#define ROWS_Q8_0 ·rowsQ80NEON
#define ROWS_Q4_K ·rowsQ4KNEON
#define ROWS_Q5_K ·rowsQ5KNEON
#define ROWS_Q6_K ·rowsQ6KNEON
#define ROWS_IQ4_NL ·rowsIQ4NLNEON
#define ROWS_IQ4_XS ·rowsIQ4XSNEON
#define ROWS_MXFP4 ·rowsMXFP4NEON
#define ROWS_Q4_1 ·rowsQ41NEON
#define ROWS_Q5_1 ·rowsQ51NEON
#define ROWS_Q2_K ·rowsQ2KNEON
#define ROWS_Q3_K ·rowsQ3KNEON
#define ROWS_TQ1_0 ·rowsTQ10NEON
#define ROWS_TQ2_0 ·rowsTQ20NEON
#define ROWS_NVFP4 ·rowsNVFP4NEON
#define ROWS_IQ2_XXS ·rowsIQ2XXSNEON
#define ROWS_IQ2_XS ·rowsIQ2XSNEON
#define ROWS_IQ2_S ·rowsIQ2SNEON
#define ROWS_IQ3_XXS ·rowsIQ3XXSNEON
#define ROWS_IQ3_S ·rowsIQ3SNEON
#define ROWS_IQ1_S ·rowsIQ1SNEON
#define ROWS_IQ1_M ·rowsIQ1MNEON

#include "rows_arm64.h"

// func rowsUnitsNEON(dst *float32, stride int, w *unit, rowBytes, rows int, x *tensor.Q8, units, n int)
// The rows are unpacked units.
TEXT ·rowsUnitsNEON(SB), NOSPLIT, $0-ARGS
	ROW_ARGS

row:
	ROW_BEGIN

unit:
	FLDPQ (R12), (F4, F5)
	FLDPQ 32(R12), (F6, F7)
	FMOVQ 64(R12), F16
	ADD   $UNIT_SIZE, R12
	TOKENS(WIDE_BLOCKS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

// func rowsMinUnitsNEON(dst *float32, stride int, w *unit, rowBytes, rows int, x *tensor.Q8, units, n int)
TEXT ·rowsMinUnitsNEON(SB), NOSPLIT, $0-ARGS
	ROW_ARGS

row:
	ROW_BEGIN

unit:
	FLDPQ (R12), (F4, F5)
	FLDPQ 32(R12), (F6, F7)
	FLDPQ 64(R12), (F16, F17)
	ADD   $UNIT_SIZE, R12
	TOKENS(MIN_BLOCKS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

// func rowsGroupUnitsNEON(dst *float32, stride int, w *unit, rowBytes, rows int, x *tensor.Q8, units, n int)
TEXT ·rowsGroupUnitsNEON(SB), NOSPLIT, $0-ARGS
	ROW_ARGS

row:
	ROW_BEGIN

unit:
	FLDPQ (R12), (F4, F5)
	FLDPQ 32(R12), (F6, F7)
	FMOVQ 64(R12), F16
	ADD   $UNIT_SIZE, R12
	TOKENS(GROUPS, next)
	CMP   R2, R12
	BLO   unit
	ROW_END(row, stored)
	RET

// func floatRowsF16NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int)
TEXT ·floatRowsF16NEON(SB), NOSPLIT, $0-64
	FLOATS_ARGS

row:
	FLOATS_BEGIN
	SUBS $16, R13
	BLT  rest

sixteen:
	PRFM  1024(R12), PLDL1KEEP
	FLDPQ (R12), (F1, F3)
	ADD   $32, R12
	FCVTL(0, 1)
	FCVTL2(1, 1)
	FCVTL(2, 3)
	FCVTL2(3, 3)
	FLOATS_16(next16)
	SUBS  $16, R13
	BGE   sixteen

rest:
	ADDS $16, R13
	BEQ  end

one:
	MOVHU.P 2(R12), R14
	FMOVS   R14, F0
	FCVTL(0, 0)
	FLOATS_1(next1)
	SUBS    $1, R13
	BNE     one

end:
	FLOATS_END
	ROW_END(row, stored)
	RET

// func floatRowsBF16NEON(dst *float32, stride int, w *byte, rowBytes, rows int, x *float32, cols, n int)
// A zero below each half makes it a float.
TEXT ·floatRowsBF16NEON(SB), NOSPLIT, $0-64
	FLOATS_ARGS
	VMOVI $0, V8.B16

row:
	FLOATS_BEGIN
	SUBS $16, R13
	BLT  rest

sixteen:
	PRFM  1024(R12), PLDL1KEEP
	FLDPQ (R12), (F1, F3)
	ADD   $32, R12
	VZIP1 V1.H8, V8.H8, V0.H8
	VZIP2 V1.H8, V8.H8, V1.H8
	VZIP1 V3.H8, V8.H8, V2.H8
	VZIP2 V3.H8, V8.H8, V3.H8
	FLOATS_16(next16)
	SUBS  $16, R13
	BGE   sixteen

rest:
	ADDS $16, R13
	BEQ  end

one:
	MOVHU.P 2(R12), R14
	LSL     $16, R14
	FMOVS   R14, F0
	FLOATS_1(next1)
	SUBS    $1, R13
	BNE     one

end:
	FLOATS_END
	ROW_END(row, stored)
	RET

// func burnNEON(rounds int)
// 16 multiplications of eight bytes per round.
TEXT ·burnNEON(SB), NOSPLIT, $0-8
	MOVD rounds+0(FP), R0

round:
	SMLAL(0, 16, 17)
	SMLAL(1, 16, 17)
	SMLAL(2, 16, 17)
	SMLAL(3, 16, 17)
	SMLAL(4, 16, 17)
	SMLAL(5, 16, 17)
	SMLAL(6, 16, 17)
	SMLAL(7, 16, 17)
	SMLAL2(8, 16, 17)
	SMLAL2(9, 16, 17)
	SMLAL2(10, 16, 17)
	SMLAL2(11, 16, 17)
	SMLAL2(12, 16, 17)
	SMLAL2(13, 16, 17)
	SMLAL2(14, 16, 17)
	SMLAL2(15, 16, 17)
	SUBS $1, R0
	BGT  round
	RET
