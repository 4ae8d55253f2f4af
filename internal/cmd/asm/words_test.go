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

// TestInstructionWords holds the macros of words_arm64.h against an assembler: each, with all registers the same and with
// random ones, must be the word that the assembler makes of the comment behind it.
func TestInstructionWords(t *testing.T) {
	tool := ""
	for _, name := range []string{"llvm-mc", "llvm-mc-19"} {
		if path, err := exec.LookPath(name); err == nil {
			tool = path
			break
		}
	}
	if tool == "" {
		t.Skip("no llvm-mc here (apt install llvm)")
	}
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
