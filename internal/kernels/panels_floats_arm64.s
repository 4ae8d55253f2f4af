#include "textflag.h"
#include "words_arm64.h"
#include "panels_arm64.h"

// Panels of floats.

// func transposeNEON(dst, src *float32, next, cols int)
// Four vectors, next numbers apart, become columns: number k of all of them goes to dst[8·k].
TEXT ·transposeNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD next+16(FP), R7
	MOVD cols+24(FP), R6
	ADD  R7<<2, R1, R2
	ADD  R7<<2, R2, R3
	ADD  R7<<2, R3, R4

four:
	SUBS    $4, R6
	BLT     rest
	FMOVQ.P 16(R1), F0
	FMOVQ.P 16(R2), F1
	FMOVQ.P 16(R3), F2
	FMOVQ.P 16(R4), F3
	VZIP1   V2.S4, V0.S4, V4.S4
	VZIP2   V2.S4, V0.S4, V5.S4
	VZIP1   V3.S4, V1.S4, V6.S4
	VZIP2   V3.S4, V1.S4, V7.S4
	VZIP1   V6.S4, V4.S4, V0.S4
	VZIP2   V6.S4, V4.S4, V1.S4
	VZIP1   V7.S4, V5.S4, V2.S4
	VZIP2   V7.S4, V5.S4, V3.S4
	FMOVQ   F0, (R0)
	FMOVQ   F1, 32(R0)
	FMOVQ   F2, 64(R0)
	FMOVQ   F3, 96(R0)
	ADD     $128, R0
	B       four

rest:
	ADDS $4, R6
	BEQ  done

one:
	GATHER(0)
	ADD   $4, R1
	ADD   $4, R2
	ADD   $4, R3
	ADD   $4, R4
	FMOVQ F0, (R0)
	ADD   $32, R0
	SUBS  $1, R6
	BNE   one

done:
	RET

// func multiplyFloatsNEON(dst *float32, stride int, w, x *byte, columns, strips int)
// Strips of eight rows times eight tokens. V0–V7 are the sums of rows 0–3 with token 0 to 7, V8–V15 those of rows 4–7; V16 and V17 are the
// rows, V18 and V19 the tokens.
#define MULTIPLY_BY(s0, s1, x, i) \
	FMLAI(s0, 16, x, i) \
	FMLAI(s1, 17, x, i)

TEXT ·multiplyFloatsNEON(SB), NOSPLIT, $0-48
	STRIP_ARGS

strip:
	STRIP_BEGIN

column:
	FLDPQ (R2), (F16, F17)
	FLDPQ (R6), (F18, F19)
	ADD   $32, R2
	ADD   $32, R6
	MULTIPLY_BY(0, 8, 18, 0)
	MULTIPLY_BY(1, 9, 18, 1)
	MULTIPLY_BY(2, 10, 18, 2)
	MULTIPLY_BY(3, 11, 18, 3)
	MULTIPLY_BY(4, 12, 19, 0)
	MULTIPLY_BY(5, 13, 19, 1)
	MULTIPLY_BY(6, 14, 19, 2)
	MULTIPLY_BY(7, 15, 19, 3)
	SUBS  $1, R7
	BNE   column

	FSTPQ (F0, F8), (R0)
	ADD   R1, R0, R8
	FSTPQ (F1, F9), (R8)
	ADD   R1, R8
	FSTPQ (F2, F10), (R8)
	ADD   R1, R8
	FSTPQ (F3, F11), (R8)
	ADD   R1, R8
	FSTPQ (F4, F12), (R8)
	ADD   R1, R8
	FSTPQ (F5, F13), (R8)
	ADD   R1, R8
	FSTPQ (F6, F14), (R8)
	ADD   R1, R8
	FSTPQ (F7, F15), (R8)
	ADD   $32, R0
	SUBS  $1, R5
	BNE   strip
	RET
