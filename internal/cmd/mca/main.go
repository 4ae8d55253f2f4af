// Command mca prints how many cycles the inner loops of the arm64 kernels take, by the models of llvm-mca, which counts what
// the processor's units can do and knows no cache. It needs LLVM 19's llvm-objdump and llvm-mca.
//
//	go run ./internal/cmd/mca [kernels|steps|elements|lengths|boards …]
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mca:", err)
		os.Exit(1)
	}
}

// table is one that can be printed.
type table struct {
	name  string
	print func(c *counter)
}

var tables = []table{
	{"kernels", printKernels}, {"steps", printSteps}, {"elements", printElements}, {"lengths", printLengths}, {"boards", printBoards},
}

func run() error {
	for _, name := range os.Args[1:] {
		if !slices.ContainsFunc(tables, func(t table) bool { return t.name == name }) {
			return fmt.Errorf("there is no table %q", name)
		}
	}
	for _, program := range []string{objdump, mca} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed: on Debian and Ubuntu, apt install llvm-19 (from apt.llvm.org where the release is "+
				"older); %w", program, err)
		}
	}
	dir, err := os.MkdirTemp("", "mca")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "kernels.test")
	build := exec.Command("go", "test", "-c", "-o", binary, strings.TrimSuffix(vectors, ".")) // has the kernels in it
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	c := &counter{binary: binary, turns: map[string]cycles{}}
	for _, t := range tables {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], t.name) {
			continue
		}
		if t.print(c); c.err != nil {
			return c.err
		}
		fmt.Println()
	}
	return nil
}
