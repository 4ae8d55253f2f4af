#include "textflag.h"
#include "words_amd64.h"

DATA config<>+0(SB)/8, $1
DATA config<>+16(SB)/8, $0x0040004000400040
DATA config<>+48(SB)/8, $0x10101010
GLOBL config<>(SB), RODATA|NOPTR, $64

// func copyTile(to, from *byte)
TEXT ·copyTile(SB), NOSPLIT, $0-16
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ $64, R12
	LEAQ config<>(SB), AX
	LDTILECFG(0)
	TILELOADD(3, 6, 12, 0)
	TILESTORED(3, 7, 12, 0)
	TILERELEASE
	RET

// func configure()
TEXT ·configure(SB), NOSPLIT, $0-0
	LEAQ config<>(SB), AX
	LDTILECFG(0)
	RET

// func zero()
TEXT ·zero(SB), NOSPLIT, $0-0
	TILEZERO(0)
	RET
