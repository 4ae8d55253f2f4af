package main

import (
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func assembler(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"llvm-mc", "llvm-mc-19"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no llvm-mc here (apt install llvm)")
	return ""
}

// TestInstructionBytes holds the macros of words_amd64.h over vectors and tiles against an assembler, with random registers.
func TestInstructionBytes(t *testing.T) {
	tool := assembler(t)
	header, err := write("words_amd64.h.tmpl", nil)
	if err != nil {
		t.Fatal(err)
	}
	macros := map[string][]string{} // arguments, and at last what it stands for
	text := strings.ReplaceAll(string(header), "\\\n", "")
	for _, m := range regexp.MustCompile(`(?m)^#define (\w+)\(([\w, ]+)\)\s+(.+)$`).FindAllStringSubmatch(text, -1) {
		macros[m[1]] = append(strings.Split(m[2], ", "), m[3])
	}
	var expand func(name string, values []string) string
	expand = func(name string, values []string) string {
		m := macros[name]
		text := m[len(m)-1]
		for i, arg := range m[:len(m)-1] {
			text = regexp.MustCompile(`\b`+arg+`\b`).ReplaceAllString(text, strings.TrimSpace(values[i]))
		}
		return regexp.MustCompile(`(EVEX_\w+)\(([\w, ]+)\)`).ReplaceAllStringFunc(text, func(call string) string {
			name, args, _ := strings.Cut(strings.TrimSuffix(call, ")"), "(")
			return expand(name, strings.Split(args, ","))
		})
	}
	r := rand.New(rand.NewPCG(4, 9))
	var source strings.Builder
	var want, lines []string
	for _, c := range []struct {
		macro, line string
		registers   []int
	}{
		{"VCVTNE2PS2BF16", "vcvtne2ps2bf16 %%zmm%d, %%zmm%d, %%zmm%d", []int{32, 32, 32}},
		{"VCVTNEPS2BF16", "vcvtneps2bf16 %%zmm%d, %%ymm%d", []int{32, 32}},
		{"VDPBF16PS", "vdpbf16ps %%zmm%d, %%zmm%d, %%zmm%d", []int{32, 32, 32}},
		{"TILEZERO", "tilezero %%tmm%d", []int{8}},
	} {
		for range 40 {
			var values []string
			var numbers []any
			for _, n := range c.registers {
				v := r.IntN(n)
				values, numbers = append(values, fmt.Sprint(v)), append(numbers, v)
			}
			var bytes []string
			for _, b := range regexp.MustCompile(`BYTE \$([^;]+)`).FindAllStringSubmatch(expand(c.macro, values), -1) {
				value, err := types.Eval(token.NewFileSet(), nil, token.NoPos, b[1])
				if err != nil {
					t.Fatalf("%s: %v", c.macro, err)
				}
				v, _ := constant.Uint64Val(constant.ToInt(value.Value))
				bytes = append(bytes, fmt.Sprintf("0x%02x", v))
			}
			want = append(want, strings.Join(bytes, ","))
			lines = append(lines, fmt.Sprintf(c.line, numbers...))
			fmt.Fprintln(&source, lines[len(lines)-1])
		}
	}
	cmd := exec.Command(tool, "-triple=x86_64", "-mattr=+avx512bf16,+amx-tile,+amx-bf16", "-show-encoding")
	cmd.Stdin = strings.NewReader(source.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	encodings := regexp.MustCompile(`encoding: \[(.+)\]`).FindAllStringSubmatch(string(out), -1)
	if len(encodings) != len(want) {
		t.Fatalf("%s made %d instructions of %d lines", tool, len(encodings), len(want))
	}
	for i, e := range encodings {
		if e[1] != want[i] {
			t.Errorf("%s: %s, want %s", lines[i], want[i], e[1])
		}
	}
}

// TestInstructionWords holds the macros of words_arm64.h against an assembler: each, with all registers the same and with
// random ones, must be the word that the assembler makes of the comment behind it.
func TestInstructionWords(t *testing.T) {
	tool := assembler(t)
	header, err := write("words_arm64.h.tmpl", words)
	if err != nil {
		t.Fatal(err)
	}
	macro := regexp.MustCompile(`(?m)^#define (\w+)\(([\w, ]+)\) +WORD \$\((.+)\) +// (.+)$`)
	r := rand.New(rand.NewPCG(3, 9))
	var source strings.Builder
	var names []string
	var words []uint32
	for _, m := range macro.FindAllStringSubmatch(string(header), -1) {
		for try := range 20 {
			expr, text := m[3], m[4]
			for _, arg := range strings.Split(m[2], ", ") {
				v := r.IntN(32)
				if try == 0 {
					v = 31
				}
				if strings.HasPrefix(arg, "i") { // the number of a lane
					v &= 3
				}
				expr = regexp.MustCompile(`\b`+arg+`\b`).ReplaceAllString(expr, fmt.Sprint(v))
				text = strings.ReplaceAll(text, "{"+arg+"}", fmt.Sprint(v))
			}
			value, err := types.Eval(token.NewFileSet(), nil, token.NoPos, expr)
			if err != nil {
				t.Fatalf("%s: %v", m[1], err)
			}
			word, _ := constant.Uint64Val(constant.ToInt(value.Value))
			fmt.Fprintln(&source, text)
			names, words = append(names, m[1]+": "+text), append(words, uint32(word))
		}
	}
	if n := strings.Count(string(header), "WORD $("); 20*n != len(words) {
		t.Errorf("%d macros of %d were understood", len(words)/20, n)
	}
	cmd := exec.Command(tool, "-triple=aarch64", "-mattr=+dotprod,+i8mm,+bf16,+fullfp16", "-show-encoding")
	cmd.Stdin = strings.NewReader(source.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	encodings := regexp.MustCompile(`encoding: \[0x(..),0x(..),0x(..),0x(..)\]`).FindAllStringSubmatch(string(out), -1)
	if len(encodings) != len(words) {
		t.Fatalf("%s made %d words of %d lines", tool, len(encodings), len(words))
	}
	for i, e := range encodings {
		if got, want := fmt.Sprintf("%08x", words[i]), e[4]+e[3]+e[2]+e[1]; got != want {
			t.Errorf("%s is %s, want %s", names[i], got, want)
		}
	}
}
