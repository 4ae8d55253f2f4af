package machine

import (
	"math"
	"runtime"
)

// Addressable returns how many bytes a program can lay out in its address space with room left for everything else: more than any machine
// has, except on 32 bits and WebAssembly.
func Addressable() int64 {
	if math.MaxInt == math.MaxInt32 || runtime.GOARCH == "wasm" {
		return 1 << 30
	}
	return 1 << 46
}
