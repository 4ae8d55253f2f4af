package gemma4

import (
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestInstructionWords holds the macros of kernels_arm64.h against an assembler: each, with all registers the same and with
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
	header, err := os.ReadFile("kernels_arm64.h")
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

// TestFramesHoldNoPointers: the collector cannot scan the frame of an assembly function that has locals and does not say that none of them
// is a pointer. It comes upon one when a fault in a mapped file unwinds the stack.
func TestFramesHoldNoPointers(t *testing.T) {
	files, err := filepath.Glob("*.s")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files of assembly, error %v", len(files), err)
	}
	head := regexp.MustCompile(`(?m)^TEXT\s+(\S+?)\(SB\).*\$([1-9]\d*)(?:-\d+)?.*\n(.*)$`)
	n := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range head.FindAllStringSubmatch(string(b), -1) {
			if n++; strings.TrimSpace(f[3]) != "NO_LOCAL_POINTERS" {
				t.Errorf("%s: %s has a frame of %s bytes and no NO_LOCAL_POINTERS", file, f[1], f[2])
			}
		}
	}
	if n < 20 {
		t.Errorf("%d functions with frames were found", n)
	}
}
