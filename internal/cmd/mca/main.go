// Command mca prints how many cycles the inner loops of the arm64 kernels take, by the models of llvm-mca, which counts what
// the processor's units can do and knows no cache. It needs llvm-objdump-19 and llvm-mca-19 (apt install llvm-19).
//
//	go run ./internal/cmd/mca
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// loops are the functions to look at, each with a processor, the number of tokens and the multiply-adds of a turn of its
// largest inner loop, and the most that the processor could issue in a cycle.
var loops = []struct {
	function, cpu        string
	tokens, macs, atMost int
}{
	{"rowsQ40NEON", "cortex-a72", 1, 128, 8},
	{"rowsQ40NEON", "cortex-a72", 4, 512, 8},
	{"rowsQ40Dotprod", "neoverse-n1", 1, 128, 32},
	{"rowsQ40Dotprod", "neoverse-n1", 4, 512, 32},
	{"rowsQ80Dotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ4KDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ5KDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ6KDotprod", "neoverse-n1", 1, 128, 32},
	{"rowsIQ4NLDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsIQ4XSDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ50Dotprod", "neoverse-n1", 1, 64, 32},
	{"rowsMXFP4Dotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ41Dotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ51Dotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ2KDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ3KDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsTQ10Dotprod", "neoverse-n1", 1, 256, 32},
	{"rowsTQ20Dotprod", "neoverse-n1", 1, 64, 32},
	{"rowsNVFP4Dotprod", "neoverse-n1", 1, 64, 32},
	{"rowsIQ2XXSDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsIQ2XSDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsIQ2SDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsIQ3XXSDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsIQ3SDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsIQ1SDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsIQ1MDotprod", "neoverse-n1", 1, 64, 32},
	{"rowsQ80NEON", "cortex-a72", 1, 64, 8},
	{"rowsQ4KNEON", "cortex-a72", 1, 64, 8},
	{"rowsQ5KNEON", "cortex-a72", 1, 64, 8},
	{"rowsQ6KNEON", "cortex-a72", 1, 128, 8},
	{"floatRowsF16NEON", "cortex-a72", 1, 16, 4},
	{"floatRowsF16NEON", "neoverse-n1", 1, 16, 8},
	{"floatRowsBF16NEON", "neoverse-n1", 1, 16, 8},
	{"scoresF16NEON", "cortex-a72", 8, 512, 4},
	{"scoresF16NEON", "neoverse-n1", 8, 512, 8},
	{"scoresQ8_0NEON", "cortex-a72", 8, 512, 4},
	{"scoresQ8_0NEON", "neoverse-n1", 8, 512, 8},
	{"weighF16NEON", "cortex-a72", 8, 64, 4},
	{"weighF16NEON", "neoverse-n1", 8, 64, 8},
	{"weighQ8_0NEON", "cortex-a72", 8, 64, 4},
	{"weighQ8_0NEON", "neoverse-n1", 8, 64, 8},
	{"rowsUnitsNEON", "cortex-a72", 4, 256, 8},
	{"multiplyFloatsNEON", "cortex-a72", 8, 64, 4},
	{"multiplyFloatsNEON", "neoverse-n1", 8, 64, 8},
	{"multiplyStripsDotprod", "neoverse-n1", 4, 1024, 32},
	{"multiplyMinStripsDotprod", "neoverse-n1", 4, 1024, 32},
	{"multiplyGroupStripsDotprod", "neoverse-n1", 4, 1024, 32},
	{"multiplyStripsI8MM", "neoverse-n2", 4, 1024, 64},
	{"multiplyMinStripsI8MM", "neoverse-n2", 4, 1024, 64},
	{"multiplyGroupStripsI8MM", "neoverse-n2", 4, 1024, 64},
	{"multiplyBF16", "neoverse-n2", 8, 256, 32},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mca:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "mca")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "gemma4.test")
	build := exec.Command("go", "test", "-c", "-o", binary, "github.com/gogemma/gemma4")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	fmt.Println("| kernel | processor | tokens | cycles per 32 weights | multiply-adds per cycle | share of the peak |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, l := range loops {
		code, err := innerLoop(binary, l.function, l.tokens)
		if err != nil {
			return fmt.Errorf("%s: %w", l.function, err)
		}
		cycles, err := count(code, l.cpu)
		if err != nil {
			return fmt.Errorf("%s: %w", l.function, err)
		}
		rate := float64(l.macs) / cycles
		fmt.Printf("| %s | %s | %d | %.1f | %.1f | %.0f%% |\n", l.function, l.cpu, l.tokens, 32*float64(l.tokens)/rate, rate, 100*rate/float64(l.atMost))
	}
	return nil
}

// innerLoop returns the largest loop that has no other in it. Row kernels leave it early for one token, by a BLT.
func innerLoop(binary, function string, tokens int) ([]string, error) {
	out, err := exec.Command("llvm-objdump-19", "-d", "--no-show-raw-insn", "--mattr=+dotprod,+i8mm,+bf16",
		"--disassemble-symbols=github.com/gogemma/gemma4."+function+".abi0", binary).Output()
	if err != nil {
		return nil, err
	}
	var code []string
	index := map[string]int{} // of an address
	for _, m := range regexp.MustCompile(`(?m)^ *([0-9a-f]+):\s+(.*?)(?: *<.*>)?$`).FindAllStringSubmatch(string(out), -1) {
		index["0x"+m[1]] = len(code)
		code = append(code, m[2])
	}
	branch := regexp.MustCompile(`^b\.(\w+)\s+(0x\w+)$`)
	from, to := 0, 0
	for i, last := 0, 0; i < len(code); i++ {
		m := branch.FindStringSubmatch(code[i])
		if m == nil || index[m[2]] >= i {
			continue
		}
		if start := index[m[2]]; start >= last && i-start > to-from {
			from, to = start, i+1
		}
		last = i
	}
	var loop []string
	for i := from; i < to; i++ {
		m := branch.FindStringSubmatch(code[i])
		if m == nil {
			loop = append(loop, code[i])
			continue
		}
		loop = append(loop, "b."+m[1]+" .")
		if m[1] == "lt" && tokens == 1 {
			i = index[m[2]] - 1
		}
	}
	if len(loop) == 0 {
		return nil, fmt.Errorf("no loop in %d instructions", len(code))
	}
	return loop, nil
}

// count returns the cycles of a turn.
func count(code []string, cpu string) (float64, error) {
	const turns = 1000
	cmd := exec.Command("llvm-mca-19", "-mtriple=aarch64", "-mcpu="+cpu, "-mattr=+dotprod,+i8mm,+bf16", "-iterations="+strconv.Itoa(turns))
	cmd.Stdin = strings.NewReader(strings.Join(code, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, out)
	}
	m := regexp.MustCompile(`Total Cycles: +(\d+)`).FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("llvm-mca says %s", out)
	}
	cycles, err := strconv.Atoi(string(m[1]))
	return float64(cycles) / turns, err
}
