package machine

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

var system = os.DirFS("/")

// cores counts the physical cores of the processors that the process may run on, 0 if the system does not tell.
func cores() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0
	}
	return countCores(system, set.IsSet, len(set)*64)
}

// countCores counts different cores among the processors below limit that are allowed. Processors of one core list the same siblings.
func countCores(root fs.FS, allowed func(cpu int) bool, limit int) int {
	seen := map[string]bool{}
	for cpu := range limit {
		if !allowed(cpu) {
			continue
		}
		siblings, err := fs.ReadFile(root, fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if err != nil {
			return 0
		}
		seen[string(siblings)] = true
	}
	return len(seen)
}

// quota returns how many cores the process may keep busy, 0 if there is no limit.
func quota() float64 { return cpuQuota(system) }

// Available returns the bytes of memory that can safely be taken, 0 if the system does not tell: what Linux calls available, and no more
// than the control groups of the process have left, where cached files do not count.
func Available() int64 { return available(system) }

func available(root fs.FS) int64 {
	return memoryLeft(root, field(root, "proc/meminfo", "MemAvailable:")<<10)
}

// Memory returns the bytes of memory that the machine has for programs, and the least limit on this process's share of it, which a control
// group sets; 0 stands for what the system does not tell, and for no limit.
func Memory() (total, limit int64) { return memory(system) }

func memory(root fs.FS) (total, limit int64) {
	total = field(root, "proc/meminfo", "MemTotal:") << 10
	if limit = memoryLimit(root); limit >= total && total > 0 { // as older hierarchies write that there is none
		limit = 0
	}
	return total, limit
}

// DiskRead returns how many bytes this process has made disks read so far, pages of mapped files among them; 0 if the system does not tell.
func DiskRead() int64 { return diskRead(system) }

func diskRead(root fs.FS) int64 { return field(root, "proc/self/io", "read_bytes:") }
