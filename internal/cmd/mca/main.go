// Command mca prints how many cycles the inner loops of the arm64 kernels take, by the models of llvm-mca, which counts what
// the processor's units can do and knows no cache. It needs LLVM 19's llvm-objdump and llvm-mca.
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

	"github.com/gogemma/gemma4/tensor"
)

// The programs that it runs.
const objdump, mca = "llvm-objdump-19", "llvm-mca-19"

// panels stands for the format of those.
const panels = ^tensor.Format(0)

// loops are the functions to look at, each with a processor, the format that is read, the number of tokens and the multiply-adds of a
// turn of its largest inner loop, and the most that the processor could issue in a cycle.
var loops = []struct {
	function, cpu        string
	format               tensor.Format
	tokens, macs, atMost int
}{
	{"rowsQ40NEON", "cortex-a72", tensor.Q4_0, 1, 128, 8},
	{"severalQ40NEON", "cortex-a72", tensor.Q4_0, 4, 512, 8},
	{"rowsQ41NEON", "cortex-a72", tensor.Q4_1, 1, 64, 8},
	{"rowsQ50NEON", "cortex-a72", tensor.Q5_0, 1, 64, 8},
	{"rowsQ51NEON", "cortex-a72", tensor.Q5_1, 1, 64, 8},
	{"rowsQ80NEON", "cortex-a72", tensor.Q8_0, 1, 64, 8},
	{"rowsQ2KNEON", "cortex-a72", tensor.Q2_K, 1, 64, 8},
	{"rowsQ3KNEON", "cortex-a72", tensor.Q3_K, 1, 64, 8},
	{"rowsQ4KNEON", "cortex-a72", tensor.Q4_K, 1, 64, 8},
	{"rowsQ5KNEON", "cortex-a72", tensor.Q5_K, 1, 64, 8},
	{"rowsQ6KNEON", "cortex-a72", tensor.Q6_K, 1, 128, 8},
	{"rowsIQ1SNEON", "cortex-a72", tensor.IQ1_S, 1, 64, 8},
	{"rowsIQ1MNEON", "cortex-a72", tensor.IQ1_M, 1, 64, 8},
	{"rowsIQ2XXSNEON", "cortex-a72", tensor.IQ2_XXS, 1, 64, 8},
	{"rowsIQ2XSNEON", "cortex-a72", tensor.IQ2_XS, 1, 64, 8},
	{"rowsIQ2SNEON", "cortex-a72", tensor.IQ2_S, 1, 64, 8},
	{"rowsIQ3XXSNEON", "cortex-a72", tensor.IQ3_XXS, 1, 64, 8},
	{"rowsIQ3SNEON", "cortex-a72", tensor.IQ3_S, 1, 64, 8},
	{"rowsIQ4NLNEON", "cortex-a72", tensor.IQ4_NL, 1, 64, 8},
	{"rowsIQ4XSNEON", "cortex-a72", tensor.IQ4_XS, 1, 64, 8},
	{"rowsTQ10NEON", "cortex-a72", tensor.TQ1_0, 1, 256, 8},
	{"rowsTQ20NEON", "cortex-a72", tensor.TQ2_0, 1, 64, 8},
	{"rowsMXFP4NEON", "cortex-a72", tensor.MXFP4, 1, 64, 8},
	{"rowsNVFP4NEON", "cortex-a72", tensor.NVFP4, 1, 64, 8},
	{"floatRowsF16NEON", "cortex-a72", tensor.F16, 1, 16, 4},
	{"floatRowsBF16NEON", "cortex-a72", tensor.BF16, 1, 16, 4},
	{"rowsQ40Dotprod", "neoverse-n1", tensor.Q4_0, 1, 128, 32},
	{"severalQ40Dotprod", "neoverse-n1", tensor.Q4_0, 4, 512, 32},
	{"rowsQ41Dotprod", "neoverse-n1", tensor.Q4_1, 1, 64, 32},
	{"rowsQ50Dotprod", "neoverse-n1", tensor.Q5_0, 1, 64, 32},
	{"rowsQ51Dotprod", "neoverse-n1", tensor.Q5_1, 1, 64, 32},
	{"rowsQ80Dotprod", "neoverse-n1", tensor.Q8_0, 1, 64, 32},
	{"rowsQ2KDotprod", "neoverse-n1", tensor.Q2_K, 1, 64, 32},
	{"rowsQ3KDotprod", "neoverse-n1", tensor.Q3_K, 1, 64, 32},
	{"rowsQ4KDotprod", "neoverse-n1", tensor.Q4_K, 1, 64, 32},
	{"rowsQ5KDotprod", "neoverse-n1", tensor.Q5_K, 1, 64, 32},
	{"rowsQ6KDotprod", "neoverse-n1", tensor.Q6_K, 1, 128, 32},
	{"rowsIQ1SDotprod", "neoverse-n1", tensor.IQ1_S, 1, 64, 32},
	{"rowsIQ1MDotprod", "neoverse-n1", tensor.IQ1_M, 1, 64, 32},
	{"rowsIQ2XXSDotprod", "neoverse-n1", tensor.IQ2_XXS, 1, 64, 32},
	{"rowsIQ2XSDotprod", "neoverse-n1", tensor.IQ2_XS, 1, 64, 32},
	{"rowsIQ2SDotprod", "neoverse-n1", tensor.IQ2_S, 1, 64, 32},
	{"rowsIQ3XXSDotprod", "neoverse-n1", tensor.IQ3_XXS, 1, 64, 32},
	{"rowsIQ3SDotprod", "neoverse-n1", tensor.IQ3_S, 1, 64, 32},
	{"rowsIQ4NLDotprod", "neoverse-n1", tensor.IQ4_NL, 1, 64, 32},
	{"rowsIQ4XSDotprod", "neoverse-n1", tensor.IQ4_XS, 1, 64, 32},
	{"rowsTQ10Dotprod", "neoverse-n1", tensor.TQ1_0, 1, 256, 32},
	{"rowsTQ20Dotprod", "neoverse-n1", tensor.TQ2_0, 1, 64, 32},
	{"rowsMXFP4Dotprod", "neoverse-n1", tensor.MXFP4, 1, 64, 32},
	{"rowsNVFP4Dotprod", "neoverse-n1", tensor.NVFP4, 1, 64, 32},
	{"floatRowsF16NEON", "neoverse-n1", tensor.F16, 1, 16, 8},
	{"floatRowsBF16NEON", "neoverse-n1", tensor.BF16, 1, 16, 8},
	{"scoresF32NEON", "cortex-a72", panels, 8, 512, 4},
	{"scoresF32NEON", "neoverse-n1", panels, 8, 512, 8},
	{"scoresF16NEON", "cortex-a72", panels, 8, 512, 4},
	{"scoresF16NEON", "neoverse-n1", panels, 8, 512, 8},
	{"scoresQ8_0NEON", "cortex-a72", panels, 8, 512, 4},
	{"scoresQ8_0NEON", "neoverse-n1", panels, 8, 512, 8},
	{"weighF32NEON", "cortex-a72", panels, 8, 64, 4},
	{"weighF32NEON", "neoverse-n1", panels, 8, 64, 8},
	{"weighF16NEON", "cortex-a72", panels, 8, 64, 4},
	{"weighF16NEON", "neoverse-n1", panels, 8, 64, 8},
	{"weighQ8_0NEON", "cortex-a72", panels, 8, 64, 4},
	{"weighQ8_0NEON", "neoverse-n1", panels, 8, 64, 8},
	{"rowsUnitsNEON", "cortex-a72", panels, 4, 256, 8},
	{"multiplyFloatsNEON", "cortex-a72", panels, 8, 64, 4},
	{"multiplyFloatsNEON", "neoverse-n1", panels, 8, 64, 8},
	{"multiplyStripsDotprod", "neoverse-n1", panels, 4, 1024, 32},
	{"multiplyMinStripsDotprod", "neoverse-n1", panels, 4, 1024, 32},
	{"multiplyGroupStripsDotprod", "neoverse-n1", panels, 4, 1024, 32},
	{"multiplySpans", "neoverse-n2", panels, 4, 3072, 64},
	{"multiplyHalfSpans", "neoverse-n2", panels, 4, 3072, 64},
	{"multiplyBF16", "neoverse-n2", panels, 8, 256, 32},
}

// steps are formats whose row kernels are looked at for every number of tokens, with the columns of a turn, at levels with a processor,
// the tokens that its kernels for several take at once, and the most that it could multiply in a cycle.
var (
	steps = []struct {
		name    string
		format  tensor.Format
		columns int
	}{{"Q40", tensor.Q4_0, 128}, {"Q80", tensor.Q8_0, 64}, {"Q4K", tensor.Q4_K, 64}, {"Q6K", tensor.Q6_K, 128}}

	stepLevels = []struct {
		name, cpu      string
		tokens, atMost int
	}{{"NEON", "cortex-a72", 4, 8}, {"Dotprod", "neoverse-n1", 8, 32}, {"Dotprod", "neoverse-v1", 8, 64}}
)

// elements are functions on numbers one by one, four a turn: the softmax of attention, the activation of an MLP, and the bounds of a
// projector's products.
var elements = []string{"expSumNEON", "geluNEON", "clampNEON"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mca:", err)
		os.Exit(1)
	}
}

func run() error {
	for _, program := range []string{objdump, mca} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed: on Debian and Ubuntu, apt install llvm-19 (from apt.llvm.org where the release is "+
				"older); %w",
				program, err)
		}
	}
	dir, err := os.MkdirTemp("", "mca")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	const root = "github.com/gogemma/gemma4"
	binary := filepath.Join(dir, "kernels.test")
	build := exec.Command("go", "test", "-c", "-o", binary, root) // has the kernels in it
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	fmt.Println("| kernel | processor | tokens | cycles per 32 weights | bytes per cycle | multiply-adds per cycle | share of the peak |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, l := range loops {
		turn, err := turnOf(binary, root+"/internal/kernels."+l.function, l.cpu, l.tokens)
		if err != nil {
			return err
		}
		rate := float64(l.macs) / turn.taken
		perBlock, bytes := 32*float64(l.tokens)/rate, "-"
		if l.format != panels {
			bytes = fmt.Sprintf("%.2f", float64(l.format.RowBytes(256))/8/perBlock)
		}
		fmt.Printf("| %s | %s | %d | %.1f | %s | %.1f | %.0f%% |\n", l.function, l.cpu, l.tokens, perBlock, bytes, rate,
			100*rate/float64(l.atMost))
	}
	if err := printSteps(binary, root+"/internal/kernels."); err != nil {
		return err
	}
	fmt.Println("\n| function | processor | cycles per number |")
	fmt.Println("|---|---|---|")
	for _, function := range elements {
		for _, cpu := range []string{"cortex-a72", "neoverse-n1"} {
			turn, err := turnOf(binary, root+"."+function, cpu, 0)
			if err != nil {
				return err
			}
			fmt.Printf("| %s | %s | %.2f |\n", function, cpu, turn.taken/4)
		}
	}
	return nil
}

// printSteps prints the cycles per 32 weights of steps, four tokens also by the kernels for few, and the least that four would take if
// nothing had to be waited for but the multiplications, or but any unit.
func printSteps(binary, kernels string) error {
	fmt.Println("\n| format | processor | 1 token | 2 | 3 | 4, as few | 4 | 8 | 4 : 1 | 8 : 1 | 4: multiplications | 4: any unit |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, level := range stepLevels {
		for _, f := range steps {
			fmt.Printf("| %v | %s ", f.format, level.cpu)
			perBlock := 32 / float64(f.columns)
			var taken [6]float64
			var least float64
			for i, step := range []struct {
				kernel        string
				tokens, times int
			}{
				{"rows", 1, 1}, {"rows", 2, 1}, {"rows", 3, 1}, {"rows", 4, 1},
				{"several", level.tokens, 8 / level.tokens}, {"several", 4, 1},
			} {
				turn, err := turnOf(binary, kernels+step.kernel+f.name+level.name, level.cpu, step.tokens)
				if err != nil {
					return err
				}
				taken[i], least = turn.taken*perBlock*float64(step.times), turn.least*perBlock
			}
			one, eight, four := taken[0], taken[4], taken[5]
			fmt.Printf("| %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %.2f | %.2f | %.1f | %.1f |\n", one, taken[1], taken[2], taken[3],
				four, eight, four/one, eight/one, 4*32/float64(level.atMost), least)
		}
	}
	return nil
}

// innerLoop returns the largest loop of a function that has no other in it, as so many tokens run through it: row kernels, which have
// their number in R7, branch on it.
func innerLoop(binary, function string, tokens int) ([]string, error) {
	out, err := exec.Command(objdump, "-d", "--no-show-raw-insn", "--mattr=+dotprod,+i8mm,+bf16",
		"--disassemble-symbols="+function+".abi0", binary).Output()
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
	compare := regexp.MustCompile(`^cmp\s+x7, #0x([0-9a-f]+)$`)
	var loop []string
	compared := int64(0) // what R7 was compared with
	for i := from; i < to; i++ {
		if m := compare.FindStringSubmatch(code[i]); m != nil {
			compared, _ = strconv.ParseInt(m[1], 16, 64)
		} else if strings.HasPrefix(code[i], "cmp") || strings.HasPrefix(code[i], "subs") {
			compared = 0
		}
		m := branch.FindStringSubmatch(code[i])
		if m == nil {
			loop = append(loop, code[i])
			continue
		}
		loop = append(loop, "b."+m[1]+" .")
		if compared != 0 && (m[1] == "lt" && int64(tokens) < compared || m[1] == "eq" && int64(tokens) == compared) {
			i = index[m[2]] - 1
		}
	}
	if len(loop) == 0 {
		return nil, fmt.Errorf("no loop in %d instructions", len(code))
	}
	return loop, nil
}

// turnOf returns the cycles of a turn of a function's largest inner loop with so many tokens.
func turnOf(binary, function, cpu string, tokens int) (cycles, error) {
	code, err := innerLoop(binary, function, tokens)
	if err != nil {
		return cycles{}, fmt.Errorf("%s: %w", function, err)
	}
	turn, err := count(code, cpu)
	if err != nil {
		return cycles{}, fmt.Errorf("%s: %w", function, err)
	}
	return turn, nil
}

// cycles are those of a turn, and the least that issue and units leave if there is nothing to wait for.
type cycles struct{ taken, least float64 }

// count returns the cycles of a turn.
func count(code []string, cpu string) (cycles, error) {
	const turns = 1000
	cmd := exec.Command(mca, "-mtriple=aarch64", "-mcpu="+cpu, "-mattr=+dotprod,+i8mm,+bf16", "-iterations="+strconv.Itoa(turns))
	cmd.Stdin = strings.NewReader(strings.Join(code, "\n") + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return cycles{}, fmt.Errorf("%w: %s", err, out)
	}
	m := regexp.MustCompile(`Total Cycles: +(\d+)(?s:.*)Block RThroughput: +([\d.]+)`).FindSubmatch(out)
	if m == nil {
		return cycles{}, fmt.Errorf("llvm-mca says %s", out)
	}
	taken, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return cycles{}, err
	}
	least, err := strconv.ParseFloat(string(m[2]), 64)
	return cycles{float64(taken) / turns, least}, err
}
