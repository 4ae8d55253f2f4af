package machine

import (
	"io/fs"
	"maps"
	"math"
	"strings"
	"testing"
	"testing/fstest"
)

// zones returns the files of powercap's zones: by each name its kind, what it shows and the highest that it shows.
func zones(content map[string][3]string) fstest.MapFS {
	root := fstest.MapFS{}
	for folder, c := range content {
		for i, name := range []string{"name", "energy_uj", "max_energy_range_uj"} {
			if c[i] != "" {
				root[powercap+"/"+folder+"/"+name] = &fstest.MapFile{Data: []byte(c[i] + "\n")}
			}
		}
	}
	return root
}

func TestJoulesAreThoseOfAllPackagesOnce(t *testing.T) {
	const limit = "262143328850"
	root := zones(map[string][3]string{
		"intel-rapl":        {},
		"intel-rapl:0":      {"package-0", "1000000", limit},
		"intel-rapl:0:0":    {"core", "500000", limit},
		"intel-rapl:0:1":    {"dram", "70", limit},
		"intel-rapl:1":      {"package-1-die-0", "262143000000", limit},
		"intel-rapl:2":      {"psys", "5", limit},
		"intel-rapl-mmio:0": {"package-0", "1000000", limit},
	})
	e, err := openEnergy(root)
	if err != nil {
		t.Fatal(err)
	}
	show := func(folder, energy string) { root[powercap+"/"+folder+"/energy_uj"].Data = []byte(energy + "\n") }
	for _, step := range []struct {
		first, second string
		want          float64
	}{
		{"1000000", "262143000000", 0},
		{"3500000", "262143000000", 2.5},
		{"3500000", "671150", 2.5 + 1},      // the second began anew,
		{"4500000", "2671150", 2.5 + 1 + 3}, // and goes on from there
		{"4499999", "2671150", 2.5 + 1 + 3 + 262143.328850 - 1e-6},
	} {
		show("intel-rapl:0", step.first)
		show("intel-rapl:1", step.second)
		for _, part := range []string{"intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:2", "intel-rapl-mmio:0"} {
			show(part, step.first+"0")
		}
		got, err := e.Joules()
		if err != nil || math.Abs(got-step.want) > 1e-6 {
			t.Errorf("at %s and %s: %v J, want %v: %v", step.first, step.second, got, step.want, err)
		}
	}
	show("intel-rapl:1", "many")
	if _, err := e.Joules(); err == nil || !strings.Contains(err.Error(), `/intel-rapl:1/energy_uj holds "many`) {
		t.Errorf("a counter that holds no number any more: %v", err)
	}
}

// secretive is a file system that shows some files to root only.
type secretive struct {
	fstest.MapFS
	secret string
}

func (s secretive) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, s.secret) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return s.MapFS.Open(name)
}

func (s secretive) ReadFile(name string) ([]byte, error) {
	if _, err := s.Open(name); err != nil {
		return nil, err
	}
	return s.MapFS.ReadFile(name)
}

func (s secretive) ReadDir(name string) ([]fs.DirEntry, error) {
	if _, err := s.Open(name); err != nil {
		return nil, err
	}
	return s.MapFS.ReadDir(name)
}

func TestCountersThatCannotBeReadSayWhy(t *testing.T) {
	sound := map[string][3]string{"intel-rapl:0": {"package-0", "10", "100"}}
	with := func(folder string, c [3]string) fs.FS {
		all := maps.Clone(sound)
		all[folder] = c
		return zones(all)
	}
	for name, test := range map[string]struct {
		root fs.FS
		want string
	}{
		"no zones":              {fstest.MapFS{}, "virtual machines"},
		"parts alone":           {zones(map[string][3]string{"intel-rapl:0:0": {"core", "10", "100"}}), "has no intel-rapl:*"},
		"the machine alone":     {zones(map[string][3]string{"intel-rapl:0": {"psys", "10", "100"}}), "has no intel-rapl:*"},
		"for root":              {secretive{zones(sound), "energy_uj"}, "permission denied: run it as root, or"},
		"for root, all of it":   {secretive{zones(sound), powercap}, "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"},
		"no name":               {with("intel-rapl:1", [3]string{"", "10", "100"}), "intel-rapl:1/name"},
		"no counter":            {with("intel-rapl:1", [3]string{"package-1", "", "100"}), "intel-rapl:1/energy_uj"},
		"no limit":              {with("intel-rapl:1", [3]string{"package-1", "10", ""}), "intel-rapl:1/max_energy_range_uj"},
		"no number":             {with("intel-rapl:1", [3]string{"package-1", "ten", "100"}), `intel-rapl:1/energy_uj holds "ten`},
		"a number below 0":      {with("intel-rapl:1", [3]string{"package-1", "-1", "100"}), "expected a number"},
		"a number of 64 bits":   {with("intel-rapl:1", [3]string{"package-1", "18446744073709551615", "100"}), "expected a number"},
		"a limit without sense": {with("intel-rapl:1", [3]string{"package-1", "10", "0x7f"}), "max_energy_range_uj holds"},
	} {
		e, err := openEnergy(test.root)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v; expected %q", name, e, err, test.want)
		}
	}
	if _, err := openEnergy(zones(sound)); err != nil {
		t.Errorf("sound counters: %v", err)
	}
}
