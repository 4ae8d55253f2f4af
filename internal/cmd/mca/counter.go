package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// The programs that it runs.
const objdump, mca = "llvm-objdump-19", "llvm-mca-19"

// counter counts the cycles of functions of a program, each once. It keeps the first error.
type counter struct {
	binary string
	turns  map[string]cycles
	always *cycles // if set, what every turn takes
	err    error
}

// turn returns the cycles of a turn of a function's largest inner loop, with so many tokens.
func (c *counter) turn(function, cpu string, tokens int) cycles {
	return c.turnOf(function, cpu, tokens, longest)
}

// turnOf returns those of one of a function's inner loops.
func (c *counter) turnOf(function, cpu string, tokens int, which choice) cycles {
	if c.always != nil {
		return *c.always
	}
	key := fmt.Sprint(function, " ", cpu, tokens, which)
	t, known := c.turns[key]
	if known || c.err != nil {
		return t
	}
	l, err := disassemble(c.binary, function)
	var loop []string
	if err == nil {
		loop, err = l.innerLoop(tokens, which)
	}
	if err == nil {
		t, err = count(loop, cpu)
	}
	if err != nil {
		c.err = fmt.Errorf("%s: %w", function, err)
	}
	c.turns[key] = t
	return t
}

// choice is which of the loops of a function that have no other in them is meant.
type choice int

const (
	longest choice = iota
	shortest
)

// listing is a function's instructions, and which of them stands at an address.
type listing struct {
	code []string
	at   map[string]int
}

// disassemble returns a function.
func disassemble(binary, function string) (*listing, error) {
	out, err := exec.Command(objdump, "-d", "--no-show-raw-insn", "--mattr=+dotprod,+i8mm,+bf16",
		"--disassemble-symbols="+function+".abi0", binary).Output()
	if err != nil {
		return nil, err
	}
	return parse(string(out)), nil
}

// parse reads what llvm-objdump prints of a function.
func parse(text string) *listing {
	l := &listing{at: map[string]int{}}
	for _, m := range regexp.MustCompile(`(?m)^ *([0-9a-f]+):\s+(.*?)(?: *<.*>)?$`).FindAllStringSubmatch(text, -1) {
		l.at["0x"+m[1]] = len(l.code)
		l.code = append(l.code, m[2])
	}
	return l
}

// innerLoop returns one of the loops that have no other in them, as so many tokens run through it: row kernels, which have their number in
// R7, branch on it.
func (l *listing) innerLoop(tokens int, which choice) ([]string, error) {
	code, index := l.code, l.at
	branch := regexp.MustCompile(`^b\.(\w+)\s+(0x\w+)$`)
	from, to := 0, 0
	for i, last := 0, 0; i < len(code); i++ {
		m := branch.FindStringSubmatch(code[i])
		if m == nil || index[m[2]] >= i {
			continue
		}
		start := index[m[2]]
		if start >= last && (to == 0 || (i+1-start > to-from) == (which == longest)) {
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
