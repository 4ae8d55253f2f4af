package machine

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// files returns a file system of these files.
func files(content ...map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for _, m := range content {
		for name, text := range m {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return root
}

func TestHardwareThreadsOfACoreCountOnce(t *testing.T) {
	root := fstest.MapFS{}
	for cpu, siblings := range []string{"0,4", "1,5", "2-3", "2-3", "0,4", "1,5"} {
		root[fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu)] = &fstest.MapFile{Data: []byte(siblings +
			"\n")}
	}
	for _, test := range []struct {
		allowed []int
		want    int
	}{{[]int{0, 1, 2, 3, 4, 5}, 3}, {[]int{0, 4}, 1}, {[]int{1, 3}, 2}, {[]int{0, 6}, 0}} { // nobody knows processor 6
		set := map[int]bool{}
		for _, cpu := range test.allowed {
			set[cpu] = true
		}
		if got := countCores(root, func(cpu int) bool { return set[cpu] }, 64); got != test.want {
			t.Errorf("%v: %d cores, want %d", test.allowed, got, test.want)
		}
	}
}

// How Linux shows its control groups: the unified hierarchy, the older one, and both.
var (
	unified = map[string]string{
		"proc/self/cgroup": "0::/user.slice/app\n",
		"proc/self/mountinfo": "25 1 8:1 / / rw - ext4 /dev/root rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 " +
			"rw,nsdelegate\n",
	}
	older = map[string]string{
		"proc/self/cgroup": "5:memory:/jobs/a\n4:cpu,cpuacct:/jobs/a/b\n1:name=systemd:/\n",
		"proc/self/mountinfo": "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
			"34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
	}
	hybrid = map[string]string{
		"proc/self/cgroup":    older["proc/self/cgroup"] + "0::/jobs/a\n",
		"proc/self/mountinfo": older["proc/self/mountinfo"] + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
	}
	// A container whose mount shows its own group as the root, while /proc gives the path outside.
	docker = map[string]string{
		"proc/self/cgroup":    "4:cpu:/docker/c0ffee\n",
		"proc/self/mountinfo": "33 31 0:30 /docker/c0ffee /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n",
	}
	// One with a namespace of its own whose process is outside it, and a folder with a blank in its name.
	outside = map[string]string{
		"proc/self/cgroup":    "0::/../../other\n",
		"proc/self/mountinfo": "30 23 0:26 /../.. /mnt/control\\040groups rw - cgroup2 cgroup2 rw\n",
	}
)

func TestTheSmallestQuotaUpTheTreeCounts(t *testing.T) {
	for name, test := range map[string]struct {
		layout, limits map[string]string
		want           float64
	}{
		"nothing known":  {nil, nil, 0},
		"no limit":       {unified, map[string]string{"sys/fs/cgroup/user.slice/app/cpu.max": "max 100000\n"}, 0},
		"own":            {unified, map[string]string{"sys/fs/cgroup/user.slice/app/cpu.max": "150000 100000\n"}, 1.5},
		"another period": {unified, map[string]string{"sys/fs/cgroup/user.slice/app/cpu.max": "20000 10000\n"}, 2},
		"of the parent": {unified, map[string]string{"sys/fs/cgroup/user.slice/app/cpu.max": "max 100000\n",
			"sys/fs/cgroup/user.slice/cpu.max": "50000 100000\n"}, 0.5},
		"smaller of the parent": {unified, map[string]string{"sys/fs/cgroup/user.slice/app/cpu.max": "300000 100000\n",
			"sys/fs/cgroup/user.slice/cpu.max": "200000 100000\n"}, 2},
		"larger of the parent": {unified, map[string]string{"sys/fs/cgroup/user.slice/app/cpu.max": "100000 100000\n",
			"sys/fs/cgroup/user.slice/cpu.max": "200000 100000\n"}, 1},
		"at the root":    {unified, map[string]string{"sys/fs/cgroup/cpu.max": "400000 100000\n"}, 4},
		"of a neighbour": {unified, map[string]string{"sys/fs/cgroup/user.slice/apple/cpu.max": "100000 100000\n"}, 0},
		"nonsense": {unified, map[string]string{"sys/fs/cgroup/cpu.max": "0 0\n", "sys/fs/cgroup/user.slice/cpu.max": "many",
			"sys/fs/cgroup/user.slice/app/cpu.max": ""}, 0},
		"older": {older, map[string]string{"sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_quota_us": "250000\n",
			"sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_period_us": "100000\n"}, 2.5},
		"older, of the parent": {older, map[string]string{"sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_quota_us": "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/jobs/a/b/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us":      "50000\n",
			"sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us":     "50000\n"}, 1},
		"hybrid": {hybrid, map[string]string{"sys/fs/cgroup/cpu,cpuacct/jobs/a/cpu.cfs_quota_us": "300000\n",
			"sys/fs/cgroup/cpu,cpuacct/jobs/a/cpu.cfs_period_us": "100000\n", "sys/fs/cgroup/unified/jobs/cpu.max": "max 100000\n"}, 3},
		"docker": {docker,
			map[string]string{"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 1.5},
		"outside": {outside, map[string]string{"mnt/control groups/other/cpu.max": "100000 100000\n"}, 1},
	} {
		if got := cpuQuota(files(test.layout, test.limits)); got != test.want {
			t.Errorf("%s: %v cores, want %v", name, got, test.want)
		}
	}
}

func TestBrokenListsOfGroupsAndMountsDoNoHarm(t *testing.T) {
	for _, text := range []string{"", "\n", ":", "::", "0::", "a - b", " - cgroup2 x y", "1 2 3 4 / - cgroup2 x y",
		"1 2 3 / . - cgroup2 x y", "1 2 3 / / - cgroup2 c rw"} {
		for _, group := range []string{"0::/", "0::", "0::../..", "0::/a//b/../c\n", "::::"} {
			root := files(map[string]string{"proc/self/cgroup": group, "proc/self/mountinfo": text})
			if q := cpuQuota(root); q != 0 {
				t.Errorf("%q, %q: %v", group, text, q)
			}
		}
	}
}

func TestAvailableMemoryKeepsToTheControlGroups(t *testing.T) {
	if n := available(files()); n != 0 {
		t.Errorf("%d bytes known from nothing", n)
	}
	meminfo := map[string]string{"proc/meminfo": "MemTotal:       24000000 kB\nMemFree:         100 kB\nMemAvailable:    2048 kB\n"}
	// limits returns a group's files under one hierarchy's names.
	limits := func(folder, names, max, current, stat string) map[string]string {
		n := strings.Fields(names)
		return map[string]string{folder + n[0]: max, folder + n[1]: current, folder + "memory.stat": stat}
	}
	const new, old = "memory.max memory.current", "memory.limit_in_bytes memory.usage_in_bytes"
	app, slice, job := "sys/fs/cgroup/user.slice/app/", "sys/fs/cgroup/user.slice/", "sys/fs/cgroup/memory/jobs/a/"
	for name, test := range map[string]struct {
		layout map[string]string
		limits []map[string]string
		want   int64
	}{
		"no group": {nil, nil, 2 << 20},
		"no limit": {unified, []map[string]string{limits(app, new, "max\n", "5\n", "")}, 2 << 20},
		"own":      {unified, []map[string]string{limits(app, new, "1048576\n", "1000000\n", "")}, 48576},
		"files": {unified,
			[]map[string]string{limits(app, new, "1048576\n", "1000000\n", "anon 600000\nfile 400000\nfile_mapped 1\n")}, 448576},
		"large": {unified, []map[string]string{limits(app, new, "8388608\n", "1\n", "")}, 2 << 20},
		"spent": {unified, []map[string]string{limits(app, new, "10\n", "20\n", "file\n")}, 1},
		"of the parent": {unified, []map[string]string{limits(app, new, "max\n", "5\n", ""), limits(slice, new, "1000\n", "400\n", "")},
			600},
		"older":       {older, []map[string]string{limits(job, old, "1048576\n", "1000000\n", "cache 1\ntotal_cache 400000\n")}, 448576},
		"older, none": {older, []map[string]string{limits(job, old, "9223372036854771712\n", "1000000\n", "")}, 2 << 20},
	} {
		if got := available(files(append(test.limits, meminfo, test.layout)...)); got != test.want {
			t.Errorf("%s: %d bytes available, want %d", name, got, test.want)
		}
	}
	if Available() <= 0 {
		t.Error("this machine has no memory")
	}
}

func TestTheLeastLimitUpTheTreeIsThatOnMemory(t *testing.T) {
	meminfo := map[string]string{"proc/meminfo": "MemTotal:       2048 kB\nMemAvailable:    1 kB\n"}
	app, slice, job := "sys/fs/cgroup/user.slice/app/memory.max", "sys/fs/cgroup/user.slice/memory.max",
		"sys/fs/cgroup/memory/jobs/a/memory.limit_in_bytes"
	for name, test := range map[string]struct {
		layout, limits map[string]string
		total, limit   int64
	}{
		"no group":      {meminfo, nil, 2 << 20, 0},
		"no limit":      {unified, map[string]string{app: "max\n"}, 2 << 20, 0},
		"own":           {unified, map[string]string{app: "1048576\n"}, 2 << 20, 1 << 20},
		"of the parent": {unified, map[string]string{app: "1048576\n", slice: "1000\n"}, 2 << 20, 1000},
		"larger":        {unified, map[string]string{app: "4194304\n"}, 2 << 20, 0},
		"older":         {older, map[string]string{job: "1048576\n"}, 2 << 20, 1 << 20},
		"older, none":   {older, map[string]string{job: "9223372036854771712\n"}, 2 << 20, 0},
	} {
		if total, limit := memory(files(meminfo, test.layout, test.limits)); total != test.total || limit != test.limit {
			t.Errorf("%s: %d bytes, at most %d of them; expected %d and %d", name, total, limit, test.total, test.limit)
		}
	}
	if total, limit := memory(files(unified, map[string]string{app: "1048576\n"})); total != 0 || limit != 1<<20 {
		t.Errorf("without a total: %d bytes, at most %d", total, limit)
	}
	if total, _ := Memory(); total <= 0 {
		t.Error("this machine has no memory")
	}
}

func TestThisMachinesGroupsAreFound(t *testing.T) {
	found := groups(system, "cpu")
	if len(found) == 0 {
		t.Skip("no control groups are mounted here")
	}
	for _, g := range found {
		if f, err := fs.Stat(system, g); err != nil || !f.IsDir() {
			t.Errorf("%s of %q is no folder: %v", g, found, err)
		}
	}
}

func TestBytesReadFromDiskAreCounted(t *testing.T) {
	io := map[string]string{"proc/self/io": "rchar: 77\nread_bytes: 4096\nwrite_bytes: 5\n"}
	if n := diskRead(files(io)); n != 4096 {
		t.Errorf("%d bytes are read, expected 4096", n)
	}
	if n := diskRead(files()); n != 0 {
		t.Errorf("%d bytes are read where the system does not tell", n)
	}
}
