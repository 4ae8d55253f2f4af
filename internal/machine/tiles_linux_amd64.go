package machine

import "golang.org/x/sys/unix"

// PermitTiles asks the system for the tiles of AMX, which a process gets only on request, and reports whether it may use them.
func PermitTiles() bool {
	const tiles = 1<<17 | 1<<18 // configuration and data: the system saves them
	if xcr0()&tiles != tiles {
		return false
	}
	const request, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, request, tileData, 0)
	return errno == 0
}

func xcr0() uint32
