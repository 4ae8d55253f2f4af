package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/machine"
)

func versionCommand() cli.Command {
	return cli.Command{
		Name:  "version",
		Group: "this program",
		Does:  "show version, commit, processor, kernels and threads",
		Args:  "[flags]",
		About: `
Shows what a report of a bug should tell: the version of this program and the commit that it was built from, Go and the system, what
the processor has of the features that kernels ask for, the levels of kernels that run on it with the one that is used, and how
many threads compute, and why.`,
		Examples: `
gemma4 version
GEMMA4_CPU=avx2 gemma4 version
gemma4 version -json`,
		Define: defineVersion,
	}
}

// version is what the command shows, as text or as JSON.
type version struct {
	Version   string   `json:"version"`
	Commit    string   `json:"commit,omitempty"` // known where it was built in a clone
	Time      string   `json:"time,omitempty"`   // of the commit
	Modified  bool     `json:"modified,omitempty"`
	Sum       string   `json:"sum,omitempty"` // of the module, known where it was installed from a proxy
	Go        string   `json:"go"`
	OS        string   `json:"os"`
	Arch      string   `json:"arch"`
	Processor string   `json:"processor"`
	Features  []string `json:"features"`
	Kernels   string   `json:"kernels"`
	Levels    []string `json:"levels"`
	Threads   int      `json:"threads"`
	Why       string   `json:"threads_why"`
}

func defineVersion(p *cli.Program) func() error {
	p.Group("output")
	asJSON := p.Bool("json", false, "print one JSON object")
	return func() error {
		if p.NArg() > 0 {
			return cli.Wrong("unexpected argument %q", p.Arg(0))
		}
		best, err := gemma4.BestKernels()
		if err != nil {
			return err
		}
		info, _ := debug.ReadBuildInfo()
		v := built(info)
		v.Go, v.OS, v.Arch = runtime.Version(), runtime.GOOS, runtime.GOARCH
		v.Processor, v.Features, v.Kernels = machine.Processor(), append([]string{}, machine.Features()...), best.Name
		for _, k := range gemma4.Levels() {
			v.Levels = append(v.Levels, k.Name)
		}
		v.Threads, v.Why = machine.Threads()
		if *asJSON {
			return json.NewEncoder(p.Out).Encode(v)
		}
		v.print(p.Out)
		return nil
	}
}

func (v *version) print(w io.Writer) {
	fmt.Fprintf(w, "gemma4 %s (%s)\n%s %s/%s\n", v.Version, v.origin(), v.Go, v.OS, v.Arch)
	fmt.Fprintf(w, "processor: %s\n", cmp.Or(v.Processor, "not named"))
	fmt.Fprintf(w, "features: %s\n", cmp.Or(strings.Join(v.Features, ", "), "none that kernels use"))
	capped := ""
	if name := os.Getenv("GEMMA4_CPU"); name != "" {
		capped = ", GEMMA4_CPU is " + name
	}
	fmt.Fprintf(w, "kernels: %s (of %s%s)\n", v.Kernels, strings.Join(v.Levels, ", "), capped)
	fmt.Fprintf(w, "threads: %d (%s)\n", v.Threads, v.Why)
}

// built returns what is known of the program itself.
func built(info *debug.BuildInfo) *version {
	if info == nil {
		return &version{Version: "of unknown version"}
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	return &version{
		Version: cmp.Or(info.Main.Version, "(devel)"), Sum: info.Main.Sum,
		Commit: setting["vcs.revision"], Time: setting["vcs.time"], Modified: setting["vcs.modified"] == "true",
	}
}

// origin tells where the program's source comes from.
func (v *version) origin() string {
	switch {
	case v.Commit != "" && v.Modified:
		return "commit " + v.Commit + " of " + v.Time + ", modified"
	case v.Commit != "":
		return "commit " + v.Commit + " of " + v.Time
	case v.Sum != "":
		return "module " + v.Sum
	}
	return "commit not recorded in this build"
}
