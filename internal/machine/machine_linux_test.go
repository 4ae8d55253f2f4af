package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestHardwareThreadsOfACoreCountOnce(t *testing.T) {
	folder := t.TempDir()
	for cpu, siblings := range []string{"0,4", "1,5", "2-3", "2-3", "0,4", "1,5"} {
		write(t, fmt.Sprintf("%s/cpu%d/topology/thread_siblings_list", folder, cpu), siblings+"\n")
	}
	for _, test := range []struct {
		allowed []int
		want    int
	}{{[]int{0, 1, 2, 3, 4, 5}, 3}, {[]int{0, 4}, 1}, {[]int{1, 3}, 2}, {[]int{0, 6}, 0}} { // nobody knows processor 6
		set := map[int]bool{}
		for _, cpu := range test.allowed {
			set[cpu] = true
		}
		if got := countCores(folder, func(cpu int) bool { return set[cpu] }, 64); got != test.want {
			t.Errorf("%v: %d cores, want %d", test.allowed, got, test.want)
		}
	}
}

func TestThreadsKeepToGOMAXPROCS(t *testing.T) {
	all := Threads()
	if all < 1 || all > runtime.GOMAXPROCS(0) {
		t.Errorf("%d threads, GOMAXPROCS is %d", all, runtime.GOMAXPROCS(0))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if n := Threads(); n != 1 {
		t.Errorf("%d threads, GOMAXPROCS is 1", n)
	}
}

func TestAvailableMemoryKeepsToTheControlGroup(t *testing.T) {
	folder := t.TempDir()
	meminfo := folder + "/meminfo"
	if n := available(meminfo, folder); n != 0 {
		t.Errorf("%d bytes known from nothing", n)
	}
	write(t, meminfo, "MemTotal:       24000000 kB\nMemFree:         100 kB\nMemAvailable:    2048 kB\n")
	for _, test := range []struct {
		max, current, stat string
		want               int64
	}{
		{"", "", "", 2 << 20},
		{"max\n", "5\n", "", 2 << 20},
		{"1048576\n", "1000000\n", "", 48576},
		{"1048576\n", "1000000\n", "anon 600000\nfile 400000\nfile_mapped 1\n", 448576},
		{"8388608\n", "1\n", "", 2 << 20},
		{"10\n", "20\n", "file\n", 1},
	} {
		write(t, folder+"/memory.max", test.max)
		write(t, folder+"/memory.current", test.current)
		write(t, folder+"/memory.stat", test.stat)
		if got := available(meminfo, folder); got != test.want {
			t.Errorf("limit %q, used %q: %d bytes available, want %d", test.max, test.current, got, test.want)
		}
	}
	if Available() <= 0 {
		t.Error("this machine has no memory")
	}
}
