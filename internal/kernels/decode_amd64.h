// LANES8 is a constant for eight lanes.
#define LANES8(name, twice) \
	DATA name<>+0(SB)/8, $twice \
	DATA name<>+8(SB)/8, $twice \
	DATA name<>+16(SB)/8, $twice \
	DATA name<>+24(SB)/8, $twice \
	GLOBL name<>(SB), (NOPTR|RODATA), $32
