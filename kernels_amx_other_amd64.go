//go:build !linux

package gemma4

// permitTiles: elsewhere nobody has tried how the tiles are asked for.
func permitTiles() bool { return false }
