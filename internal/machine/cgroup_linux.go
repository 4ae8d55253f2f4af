package machine

import (
	"io/fs"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
)

// groups returns the folders of the control groups that the process is in, as far as they are mounted, its own first and the outermost
// last: those of the unified hierarchy and those of an older one with this controller. The limits of all of them apply.
func groups(root fs.FS, controller string) (folders []string) {
	own := map[string]string{} // by the file system's type
	for line := range lines(root, "proc/self/cgroup") {
		// 4:memory:/user.slice or 0::/user.slice
		if f := strings.SplitN(line, ":", 3); len(f) < 3 {
			continue
		} else if f[1] == "" {
			own["cgroup2"] = f[2]
		} else if slices.Contains(strings.Split(f[1], ","), controller) {
			own["cgroup"] = f[2]
		}
	}
	for line := range lines(root, "proc/self/mountinfo") {
		// 36 32 0:31 /root/of/mount /mount/point rw shared:9 - cgroup cgroup rw,memory
		mount, kind, _ := strings.Cut(line, " - ")
		m, k := strings.Fields(mount), strings.Fields(kind)
		if len(m) < 5 || len(k) < 3 || k[0] == "cgroup" && !slices.Contains(strings.Split(k[2], ","), controller) {
			continue
		}
		group, ok := own[k[0]]
		if !ok {
			continue
		}
		// A mount may show only part of the hierarchy: the process's own group, if its path is as seen from outside.
		inside, ok := strings.CutPrefix(group, strings.TrimSuffix(unescape(m[3]), "/"))
		if !ok || inside != "" && inside[0] != '/' {
			inside = ""
		}
		for inside = path.Clean("/" + inside); ; inside = path.Dir(inside) {
			folders = append(folders, strings.TrimPrefix(path.Join(unescape(m[4]), inside), "/"))
			if inside == "/" {
				break
			}
		}
	}
	return folders
}

// cpuQuota returns how many cores the process may keep busy, 0 if there is no limit.
func cpuQuota(root fs.FS) (cores float64) {
	for _, g := range groups(root, "cpu") {
		words := fields(root, g+"/cpu.max") // "150000 100000", or "max 100000"
		if len(words) == 0 {
			words = append(fields(root, g+"/cpu.cfs_quota_us"), fields(root, g+"/cpu.cfs_period_us")...) // the quota may be -1
		}
		if len(words) < 2 {
			continue
		}
		quota, err := strconv.ParseInt(words[0], 10, 64)
		period, err2 := strconv.ParseInt(words[1], 10, 64)
		if err != nil || err2 != nil || quota <= 0 || period <= 0 {
			continue
		}
		if c := float64(quota) / float64(period); cores == 0 || c < cores {
			cores = c
		}
	}
	return cores
}

// memoryLeft returns the bytes that the control groups leave to the process, not counting cached files, or most if that is less.
func memoryLeft(root fs.FS, most int64) int64 {
	for _, g := range groups(root, "memory") {
		limit, used := number(root, g+"/memory.max"), number(root, g+"/memory.current")-field(root, g+"/memory.stat", "file")
		if limit == 0 {
			limit = number(root, g+"/memory.limit_in_bytes")
			used = number(root, g+"/memory.usage_in_bytes") - field(root, g+"/memory.stat", "total_cache")
		}
		if limit > 0 {
			most = min(most, max(1, limit-used))
		}
	}
	return most
}

// memoryLimit returns the least limit of the control groups on the process's memory, 0 if there is none.
func memoryLimit(root fs.FS) (least int64) {
	for _, g := range groups(root, "memory") {
		limit := max(number(root, g+"/memory.max"), number(root, g+"/memory.limit_in_bytes")) // one of the two exists
		if limit > 0 && (least == 0 || limit < least) {
			least = limit
		}
	}
	return least
}

// unescape replaces the octal codes that stand for blanks in a list of mounts.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// lines returns the lines of a file, none if it cannot be read.
func lines(root fs.FS, name string) iter.Seq[string] {
	text, _ := fs.ReadFile(root, name)
	return strings.SplitSeq(string(text), "\n")
}

// fields returns the words of a file.
func fields(root fs.FS, name string) []string {
	text, _ := fs.ReadFile(root, name)
	return strings.Fields(string(text))
}

// field returns the number after a name in a file of lines, 0 if there is none.
func field(root fs.FS, path, name string) int64 {
	for line := range lines(root, path) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			n, _ := strconv.ParseInt(words[1], 10, 64)
			return n
		}
	}
	return 0
}

// number returns the number that a file holds, 0 if it does not hold just one.
func number(root fs.FS, name string) int64 {
	if words := fields(root, name); len(words) == 1 {
		n, _ := strconv.ParseInt(words[0], 10, 64)
		return n
	}
	return 0
}
