#include "textflag.h"
#include "words_arm64.h"

// Units whose weights are finer than in the file, for SMMLA: see finer in panels_i8mm_arm64.go.

#define UNPACK
#define FINER
#define ROWS_Q4_0 ·unpackFinerQ40
#define ROWS_Q4_1 ·unpackFinerQ41
#define ROWS_Q4_K ·unpackFinerQ4K
#define ROWS_Q6_K ·unpackFinerQ6K

#include "rows_arm64.h"
