package machine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores counts the physical cores of the processors that the process may run on, 0 if the system does not tell.
func cores() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0
	}
	return countCores("/sys/devices/system/cpu", set.IsSet, len(set)*64)
}

// countCores counts different cores among the processors below limit that are allowed. Processors of one core list the same siblings.
func countCores(folder string, allowed func(cpu int) bool, limit int) int {
	seen := map[string]bool{}
	for cpu := range limit {
		if !allowed(cpu) {
			continue
		}
		siblings, err := os.ReadFile(filepath.Join(folder, fmt.Sprintf("cpu%d/topology/thread_siblings_list", cpu)))
		if err != nil {
			return 0
		}
		seen[string(bytes.TrimSpace(siblings))] = true
	}
	return len(seen)
}

// Available returns the bytes of memory that can be taken without harm, 0 if the system does not tell: what Linux calls
// available, and no more than the control group of the process has left, in which cached files do not count.
func Available() int64 { return available("/proc/meminfo", "/sys/fs/cgroup") }

func available(meminfo, group string) int64 {
	free := field(meminfo, "MemAvailable:") << 10
	// Inside a container its own group is mounted as the root; elsewhere the root has no limit.
	if limit := number(group + "/memory.max"); limit > 0 && free > 0 {
		used := number(group+"/memory.current") - field(group+"/memory.stat", "file")
		free = min(free, max(1, limit-used))
	}
	return free
}

// field returns the number behind a name in a file of lines, 0 if there is none.
func field(path, name string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if words := bytes.Fields(line); len(words) > 1 && string(words[0]) == name {
			n, _ := strconv.ParseInt(string(words[1]), 10, 64)
			return n
		}
	}
	return 0
}

// number returns what a file of one number holds, 0 if it does not.
func number(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return n
}
