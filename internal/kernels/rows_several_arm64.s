#include "textflag.h"
#include "words_arm64.h"

// The row kernels of several tokens, see rows_units_arm64.h.

#define SEVERAL
#define ROWS_Q4_0 ·severalQ40NEON
#define ROWS_Q5_0 ·severalQ50NEON
#define ROWS_Q8_0 ·severalQ80NEON
#define ROWS_Q4_K ·severalQ4KNEON
#define ROWS_Q5_K ·severalQ5KNEON
#define ROWS_Q6_K ·severalQ6KNEON
#define ROWS_IQ4_NL ·severalIQ4NLNEON
#define ROWS_IQ4_XS ·severalIQ4XSNEON
#define ROWS_MXFP4 ·severalMXFP4NEON
#define ROWS_Q4_1 ·severalQ41NEON
#define ROWS_Q5_1 ·severalQ51NEON
#define ROWS_Q2_K ·severalQ2KNEON
#define ROWS_Q3_K ·severalQ3KNEON
#define ROWS_TQ1_0 ·severalTQ10NEON
#define ROWS_TQ2_0 ·severalTQ20NEON
#define ROWS_NVFP4 ·severalNVFP4NEON
#define ROWS_IQ2_XXS ·severalIQ2XXSNEON
#define ROWS_IQ2_XS ·severalIQ2XSNEON
#define ROWS_IQ2_S ·severalIQ2SNEON
#define ROWS_IQ3_XXS ·severalIQ3XXSNEON
#define ROWS_IQ3_S ·severalIQ3SNEON
#define ROWS_IQ1_S ·severalIQ1SNEON
#define ROWS_IQ1_M ·severalIQ1MNEON

#include "rows_arm64.h"
