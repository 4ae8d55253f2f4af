#include "funcdata.h"
#include "textflag.h"
#include "panels_avx512_amd64.h"

// Packing panels of bytes at avx512, in the layout of panels_avx512_products_amd64.s: quads are stored.

#define ROWS_NIBBLES ·packNibblesAVX512
#define ROWS_MXFP4 ·packMXFP4AVX512
#define ROWS_IQ4_XS ·packIQ4_XSAVX512
#define ROWS_Q5_0 ·packQ5_0AVX512
#define ROWS_Q8_0 ·packQ8_0AVX512
#define ROWS_Q4_K ·packQ4_KAVX512
#define ROWS_Q5_K ·packQ5_KAVX512
#define ROWS_Q6_K ·packQ6_KAVX512

#define OPERANDS
#define OPEN
#define QUAD(k, Z) VMOVDQU64 Z, (128*k)(DI)
#define CLOSE
#define SKIP(n)
#define SCALES_AT 1024
#define OFFSETS_AT 1152
#define BLOCK WBLOCK
#define OFFSETBLOCK OBLOCK

#include "panels_avx512_blocks_amd64.h"
#include "panels_avx512_blocks_k_amd64.h"
