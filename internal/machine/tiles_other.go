//go:build amd64 && !linux

package machine

// PermitTiles returns false: how to ask other systems for the tiles has not been tried.
func PermitTiles() bool { return false }
