package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/machine"
)

var versionUsage = cli.Usage{
	Name: "gemma4 version",
	About: `
Shows the version of this program and the commit that it was built from, the kernels that this machine runs with the one
that is used, and how many cores compute.`,
	Examples: `
gemma4 version
GEMMA4_CPU=avx2 gemma4 version`,
}

func runVersion(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := cli.New(versionUsage, stdin, stdout, stderr)
	return p.Run(args, func() error {
		if p.NArg() > 0 {
			return cli.Wrong("unexpected argument %q", p.Arg(0))
		}
		best, err := gemma4.BestKernels()
		if err != nil {
			return err
		}
		var levels []string
		for _, k := range gemma4.Levels() {
			levels = append(levels, k.Name)
		}
		info, _ := debug.ReadBuildInfo()
		fmt.Fprintf(p.Out, "gemma4 %s\n%s %s/%s\n", built(info), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		fmt.Fprintf(p.Out, "kernels: %s (of %s)\n", best.Name, strings.Join(levels, ", "))
		threads, why := machine.Threads()
		fmt.Fprintf(p.Out, "threads: %d (%s)\n", threads, why)
		return nil
	})
}

// built tells the version and the commit.
func built(info *debug.BuildInfo) string {
	if info == nil {
		return "of unknown version"
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	commit := "commit not recorded in this build"
	if revision := setting["vcs.revision"]; revision != "" {
		commit = "commit " + revision + " of " + setting["vcs.time"]
		if setting["vcs.modified"] == "true" {
			commit += ", modified"
		}
	}
	return fmt.Sprintf("%s (%s)", cmp.Or(info.Main.Version, "(devel)"), commit)
}
