//go:build amd64 && !linux

package machine

// PermitTiles: elsewhere nobody has tried how the tiles are asked for.
func PermitTiles() bool { return false }
