// Instructions that Go's assembler does not know, as macros with their names. General registers are given by number: AX 0, CX 1, DX 2,
// BX 3, SI 6, DI 7, R8 to R15 8 to 15; vectors and tiles by theirs.

#define VEX_B1(base, index) BYTE $(0xE2-32*((base)>>3)-64*((index)>>3))

// LDTILECFG takes the 64 bytes at base, which is none of SP, BP, R12, R13.
#define LDTILECFG(base) BYTE $0xC4; VEX_B1(base, 0); BYTE $0x78; BYTE $0x49; BYTE $((base)&7)
#define TILERELEASE     BYTE $0xC4; BYTE $0xE2; BYTE $0x78; BYTE $0x49; BYTE $0xC0
#define TILEZERO(t)     BYTE $0xC4; BYTE $0xE2; BYTE $0x7B; BYTE $0x49; BYTE $(0xC0+8*(t))

// Row r of a tile lies at displacement + base + r·index; index is not SP.
#define TILEMEM(pp, t, base, index, displacement) \
	BYTE $0xC4; VEX_B1(base, index); BYTE $pp; BYTE $0x4B; BYTE $(0x84+8*(t)); BYTE $(8*((index)&7)+((base)&7)); LONG $(displacement)
#define TILELOADD(t, base, index, displacement)  TILEMEM(0x7B, t, base, index, displacement)
#define TILESTORED(t, base, index, displacement) TILEMEM(0x7A, t, base, index, displacement)

// TDPBF16PS adds the product of tiles a and b to tile d; the three are distinct.
#define TDPBF16PS(d, a, b) BYTE $0xC4; BYTE $0xE2; BYTE $(0x7A-8*(b)); BYTE $0x5C; BYTE $(0xC0+8*(d)+(a))

// VCVTNE2PS2BF16 rounds the floats of Z low and Z high to the lower and the upper half of Z to; VCVTNEPS2BF16 rounds those of Z from to
// Y to.
#define EVEX_P0(rm, to)  BYTE $0x62; BYTE $(0xF2-128*(((to)>>3)&1)-64*((rm)>>4)-32*(((rm)>>3)&1)-16*((to)>>4))
#define EVEX_RM(rm, to)  BYTE $0x72; BYTE $(0xC0+8*((to)&7)+((rm)&7))
#define VCVTNE2PS2BF16(low, high, to) EVEX_P0(low, to); BYTE $(0x7F-8*((high)&15)); BYTE $(0x48-8*((high)>>4)); EVEX_RM(low, to)
#define VCVTNEPS2BF16(from, to)       EVEX_P0(from, to); BYTE $0x7E; BYTE $0x48; EVEX_RM(from, to)
