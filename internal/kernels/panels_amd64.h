// What the panel kernels of all levels of x86 share.

// NEXT jumps to the tile for the tokens that are left, R10 of them: six while that leaves none, six or more, else halves. At 0 it
// returns.
#define NEXT \
	CMPQ  R10, $12 \
	JGE   six      \
	CMPQ  R10, $6  \
	JGT   half     \
	JEQ   six      \
	CMPQ  R10, $4  \
	JGT   five     \
	JEQ   four     \
	CMPQ  R10, $2  \
	JGT   three    \
	JEQ   two      \
	TESTQ R10, R10 \
	JG    one      \
	VZEROUPPER     \
	RET            \
half:              \
	CMPQ  R10, $8  \
	JLE   four     \
	CMPQ  R10, $10 \
	JLE   five
