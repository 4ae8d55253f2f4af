#include "textflag.h"
#include "words_arm64.h"

// The row kernels of processors with SDOT.

// Sums start with zeros that are loaded: the vector units are what these loops wait for.
DATA zeros<>+0(SB)/8, $0
DATA zeros<>+8(SB)/8, $0
DATA zeros<>+16(SB)/8, $0
DATA zeros<>+24(SB)/8, $0
GLOBL zeros<>(SB), (NOPTR|RODATA), $32

#define DOT_ARGS \
	MOVD $zeros<>(SB), R24

#define DOT_BLOCKS \
	FLDPQ (R24), (F12, F13) \
	SDOT(12, 4, 8)          \
	SDOT(13, 6, 10)         \
	SDOT(12, 5, 9)          \
	SDOT(13, 7, 11)         \
	VADDP V13.S4, V12.S4, V12.S4

#define DOT_WIDE_BLOCKS DOT_BLOCKS

#define DOT_GROUPS \
	FLDPQ (R24), (F12, F13)      \
	FLDPQ (R24), (F14, F15)      \
	SDOT(12, 4, 8)               \
	SDOT(13, 5, 9)               \
	SDOT(14, 6, 10)              \
	SDOT(15, 7, 11)              \
	VADDP V13.S4, V12.S4, V12.S4 \
	VADDP V15.S4, V14.S4, V14.S4 \
	VADDP V14.S4, V12.S4, V12.S4

#include "rows_dotprod_arm64.h"

#define Q4_DOT(x) \
	FLDPQ (R24), (F12, F13)           \
	FLDPQ (R24), (F14, F15)           \
	FLDPQ (x), (F8, F9)               \
	FLDPQ 32(x), (F10, F11)           \
	SDOT(12, 4, 8)                    \
	SDOT(13, 6, 10)                   \
	SDOT(12, 5, 9)                    \
	SDOT(13, 7, 11)                   \
	FLDPQ Q8_SIZE(x), (F8, F9)        \
	FLDPQ (Q8_SIZE+32)(x), (F10, F11) \
	SDOT(14, 20, 8)                   \
	SDOT(15, 22, 10)                  \
	SDOT(14, 21, 9)                   \
	SDOT(15, 23, 11)                  \
	VADDP V13.S4, V12.S4, V12.S4      \
	VADDP V15.S4, V14.S4, V14.S4      \
	VADDP V14.S4, V12.S4, V12.S4      \
	SCVTF4(12, 12)

#define ROWS_Q4_0 ·rowsQ40Dotprod
#define ROWS_Q5_0 ·rowsQ50Dotprod
#define ROWS_Q8_0 ·rowsQ80Dotprod
#define ROWS_Q4_K ·rowsQ4KDotprod
#define ROWS_Q5_K ·rowsQ5KDotprod
#define ROWS_Q6_K ·rowsQ6KDotprod
#define ROWS_IQ4_NL ·rowsIQ4NLDotprod
#define ROWS_IQ4_XS ·rowsIQ4XSDotprod
#define ROWS_MXFP4 ·rowsMXFP4Dotprod
#define ROWS_Q4_1 ·rowsQ41Dotprod
#define ROWS_Q5_1 ·rowsQ51Dotprod
#define ROWS_Q2_K ·rowsQ2KDotprod
#define ROWS_Q3_K ·rowsQ3KDotprod
#define ROWS_TQ1_0 ·rowsTQ10Dotprod
#define ROWS_TQ2_0 ·rowsTQ20Dotprod
#define ROWS_NVFP4 ·rowsNVFP4Dotprod
#define ROWS_IQ2_XXS ·rowsIQ2XXSDotprod
#define ROWS_IQ2_XS ·rowsIQ2XSDotprod
#define ROWS_IQ2_S ·rowsIQ2SDotprod
#define ROWS_IQ3_XXS ·rowsIQ3XXSDotprod
#define ROWS_IQ3_S ·rowsIQ3SDotprod
#define ROWS_IQ1_S ·rowsIQ1SDotprod
#define ROWS_IQ1_M ·rowsIQ1MDotprod

#include "rows_arm64.h"
