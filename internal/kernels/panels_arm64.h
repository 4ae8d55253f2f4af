// What the panels' files share.

// GATHER sets V0 to a float of each vector.
#define GATHER(from) \
	FMOVS from(R1), F0        \
	FMOVS from(R2), F1        \
	FMOVS from(R3), F2        \
	FMOVS from(R4), F3        \
	VZIP1 V1.S4, V0.S4, V0.S4 \
	VZIP1 V3.S4, V2.S4, V2.S4 \
	VZIP1 V2.D2, V0.D2, V0.D2

// Strips of eight rows times a strip of eight tokens, column by column:
//
//	R0  dst[t·stride + r]    R4  columns
//	R1  stride in bytes      R5  strips left
//	R2  running w            R6  running x
//	R3  x                    R7  columns left
#define STRIP_ARGS \
	MOVD dst+0(FP), R0      \
	MOVD stride+8(FP), R1   \
	MOVD w+16(FP), R2       \
	MOVD x+24(FP), R3       \
	MOVD columns+32(FP), R4 \
	MOVD strips+40(FP), R5  \
	LSL  $2, R1

// STRIP_BEGIN clears the sums, V0–V15.
#define STRIP_BEGIN \
	VMOVI $0, V0.B16 \
	VMOVI $0, V1.B16 \
	VMOVI $0, V2.B16 \
	VMOVI $0, V3.B16 \
	VMOVI $0, V4.B16 \
	VMOVI $0, V5.B16 \
	VMOVI $0, V6.B16 \
	VMOVI $0, V7.B16 \
	VMOVI $0, V8.B16 \
	VMOVI $0, V9.B16 \
	VMOVI $0, V10.B16 \
	VMOVI $0, V11.B16 \
	VMOVI $0, V12.B16 \
	VMOVI $0, V13.B16 \
	VMOVI $0, V14.B16 \
	VMOVI $0, V15.B16 \
	MOVD  R3, R6 \
	MOVD  R4, R7
