// Weights less 8 are those whose upper bit is turned over, as signed numbers: here in the upper four bits of a byte. V26 turns over,
// V27 are the upper bits.
#define Q4_CONSTANTS \
	VMOVI $0x88, V26.B16 \
	VMOVI $0xF0, V27.B16

#define Q4_SPLIT(q, high) \
	VEOR V26.B16, q.B16, q.B16    \
	VAND V27.B16, q.B16, high.B16 \
	VSHL $4, q.B16, q.B16
