// Package machine tells what the machine gives this process: cores that compute, and memory.
package machine

import "runtime"

// Threads returns how many threads compute best: one per physical core that the process may run on, since two hardware
// threads of a core share its arithmetic and its path to memory, and GOMAXPROCS at most, which Go sets by the limits of a container.
func Threads() int {
	n := runtime.GOMAXPROCS(0)
	if c := cores(); c > 0 {
		n = min(n, c)
	}
	return n
}
