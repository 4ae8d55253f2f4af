package gemma4

import "golang.org/x/sys/unix"

// permitTiles asks the system for the tiles, which belong to a process only once it has asked.
func permitTiles() bool {
	const request, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
	_, _, errno := unix.RawSyscall(unix.SYS_ARCH_PRCTL, request, tileData, 0)
	return errno == 0
}
