// Package machine tells what the machine gives this process: cores that compute, memory, and room on its disks.
package machine

import (
	"fmt"
	"math"
	"runtime"
)

// Threads returns how many threads compute best, and what decides that: "2 physical cores", "the CPU quota is 1.5 cores". It is one thread
// per physical core that the process may run on, since two hardware threads of a core share its arithmetic and its path to memory; no more
// than the whole cores in a container's quota, since work that is divided among more waits for threads that the system has stopped; and no
// more than GOMAXPROCS.
func Threads() (n int, why string) {
	return threads(cores(), runtime.NumCPU(), runtime.GOMAXPROCS(0), quota())
}

// threads is Threads on a machine with that many physical cores, 0 if unknown, processors, and cores of quota, 0 if there is none.
func threads(cores, processors, most int, quota float64) (n int, why string) {
	n, why = cores, count(float64(cores), "physical core")
	if cores == 0 {
		n, why = processors, count(float64(processors), "processor")
	}
	if whole := max(1, int(min(quota, 1<<20))); quota > 0 && whole < n {
		n, why = whole, "the CPU quota is "+count(quota, "core")
	}
	if most < n {
		n, why = most, fmt.Sprintf("GOMAXPROCS is %d", most)
	}
	return n, why
}

// count writes a number of things, to three places, rounded down.
func count(n float64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%g %s", math.Floor(n*1000)/1000, thing)
}
