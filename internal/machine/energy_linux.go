package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// powercap is where Linux shows the counters that processors of Intel and AMD have of the energy they take (RAPL), by zones. A zone
// intel-rapl:0 is a processor's package, or psys, the whole machine, which holds the packages once more. Zones in it, such as
// intel-rapl:0:0, are its parts, and stand beside it in the folder.
const powercap = "sys/class/powercap"

// Energy counts the joules that the processors take: cores, caches and whatever else is in their packages, for all programs. The memory
// beside them is not in it.
type Energy struct {
	root     fs.FS
	packages []zone
}

// zone is one counter, in millionths of a joule.
type zone struct {
	folder           string
	limit, last, sum uint64 // the highest that it shows before it begins anew, what it last showed, and what it has counted
}

// OpenEnergy finds the counters. Errors say what to do, where something can be done.
func OpenEnergy() (*Energy, error) { return openEnergy(system) }

func openEnergy(root fs.FS) (*Energy, error) {
	e := &Energy{root: root}
	zones, err := fs.ReadDir(root, powercap)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, refusal(err)
	}
	for _, z := range zones {
		folder := powercap + "/" + z.Name()
		if !strings.HasPrefix(z.Name(), "intel-rapl:") || strings.Count(z.Name(), ":") != 1 {
			continue
		}
		name, err := fs.ReadFile(root, folder+"/name")
		if err != nil {
			return nil, refusal(err)
		}
		if !strings.HasPrefix(string(name), "package-") {
			continue
		}
		p := zone{folder: folder}
		if p.limit, err = e.read(folder + "/max_energy_range_uj"); err != nil {
			return nil, err
		}
		if p.last, err = e.read(folder + "/energy_uj"); err != nil {
			return nil, err
		}
		e.packages = append(e.packages, p)
	}
	if e.packages == nil {
		return nil, errors.New("/" + powercap + " has no intel-rapl:* of a processor's package: virtual machines and containers seldom " +
			"do, and elsewhere the module intel_rapl_msr makes them, for AMD's processors too")
	}
	return e, nil
}

// Joules returns what the processors have taken since [OpenEnergy]. A counter begins anew after minutes of full load at the earliest, which
// is seen if it has done so once since the last call.
func (e *Energy) Joules() (sum float64, err error) {
	for i := range e.packages {
		p := &e.packages[i]
		now, err := e.read(p.folder + "/energy_uj")
		if err != nil {
			return 0, err
		}
		if now < p.last {
			p.sum += p.limit
		}
		p.sum += now - p.last // below 0 where it began anew: the sum is right all the same
		p.last = now
		sum += float64(p.sum) / 1e6
	}
	return sum, nil
}

// read returns the number that a counter's file holds.
func (e *Energy) read(name string) (uint64, error) {
	text, err := fs.ReadFile(e.root, name)
	if err != nil {
		return 0, refusal(err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("/%s holds %.20q, expected a number", name, text)
	}
	return n, nil
}

// refusal says what to do about an error, if it is that of a permission: Linux lets only root read the counters, since they tell something
// of what other programs compute.
func refusal(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run it as root, or let all users read it until the next start: sudo chmod a+r /%s/intel-rapl:*/energy_uj",
			err, powercap)
	}
	return err
}
