// Command mutants plants one fault at a time and says which test catches it. What survives is something that no test holds up.
//
//	go run ./internal/cmd/mutants                # all of them: an hour and more
//	go run ./internal/cmd/mutants -only 'window|eps'
//	go run ./internal/cmd/mutants -n 3           # any three
//	go run ./internal/cmd/mutants -check         # tests nothing: every fault can still be planted, and compiles
//
// The faults are in table.go. Nothing is written to the checkout: the compiler reads the changed file through an overlay. A test that does
// not end has caught the fault, too. Survivors make the exit status 1; so does a fault whose place is gone, for whoever moves code
// moves its fault along.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/tensor"
)

// mutant is a fault: in a file, given by its path from the project's root, new stands for old, which occurs there once.
type mutant struct {
	name, file, old, new string
	// tests are where to look first, PACKAGE or PACKAGE:RUN, with spaces between. The whole package of the file comes last.
	tests string
}

func main() {
	check := flag.Bool("check", false, "only tell whether every fault can be planted and compiles")
	list := flag.Bool("list", false, "only list the faults")
	only := flag.String("only", "", "`regexp` of the faults' names")
	some := flag.Int("n", 0, "take so `many` of the faults at random")
	timeout := flag.Duration("timeout", 5*time.Minute, "what the tests of a package may take")
	flag.Parse()
	ok, err := run(*only, *some, *list, *check, *timeout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// run reports whether all faults that were chosen were caught.
func run(only string, some int, list, check bool, timeout time.Duration) (ok bool, err error) {
	name, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	chosen := slices.DeleteFunc(slices.Clone(table), func(m mutant) bool { return !name.MatchString(m.name) })
	if some > 0 {
		rand.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:min(some, len(chosen))]
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return false, fmt.Errorf("go list: %w", err)
	}
	if err := os.Chdir(strings.TrimSpace(string(root))); err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	switch {
	case list:
		for _, m := range chosen {
			fmt.Printf("%-58s %s\n", m.name, m.file)
		}
		return true, nil
	case check:
		return true, compile(dir, chosen)
	}
	began, missed := time.Now(), 0
	for _, m := range chosen {
		start := time.Now()
		caught, err := m.test(dir, timeout)
		switch {
		case err != nil:
			missed++
			caught = "NOT TESTED: " + err.Error()
		case caught == "":
			missed++
			caught = "SURVIVED"
		}
		fmt.Printf("%-58s %4.0f s  %s\n", m.name, time.Since(start).Seconds(), caught)
	}
	fmt.Printf("%d faults, %d not caught, %.0f s\n", len(chosen), missed, time.Since(began).Seconds())
	return missed == 0, nil
}

// test returns by what the fault was caught, or nothing.
func (m mutant) test(dir string, timeout time.Duration) (caught string, err error) {
	if l := m.level(); l != "" && !slices.ContainsFunc(gemma4.Levels(), func(k *tensor.Kernels) bool { return k.Name == l }) {
		return "left out: this machine does not run " + l, nil
	}
	overlay, err := plant(dir, m)
	if err != nil {
		return "", err
	}
	for _, step := range m.steps() {
		folder, tests, _ := strings.Cut(step, ":")
		if caught, err = goTest(overlay, folder, tests, timeout); caught != "" || err != nil {
			return caught, err
		}
	}
	return "", nil
}

// steps returns what is tested, one after the other.
func (m mutant) steps() []string {
	steps := strings.Fields(m.tests)
	if own := path.Dir(m.file); !slices.Contains(steps, own) {
		steps = append(steps, own)
	}
	return steps
}

// level returns the level that assembly is for; "" stands for any.
func (m mutant) level() string {
	for _, l := range []string{"avx512", "avx2", "bf16"} {
		if ext := path.Ext(m.file); (ext == ".s" || ext == ".h") && strings.Contains(m.file, l) {
			return l
		}
	}
	if strings.HasSuffix(m.file, "_amd64.s") {
		return "avx2"
	}
	return ""
}

// at returns where in its file the fault goes.
func (m mutant) at() (text string, at int, err error) {
	b, err := os.ReadFile(m.file)
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", m.name, err)
	}
	text = string(b)
	if n := strings.Count(text, m.old); n != 1 || m.old == m.new {
		return "", 0, fmt.Errorf("%s: %s has %q %d times, expected once: the table has to go with the code", m.name, m.file, m.old, n)
	}
	return text, strings.Index(text, m.old), nil
}

// plant writes the files that faults change, and an overlay with them. No two faults overlap.
func plant(dir string, faults ...mutant) (overlay string, err error) {
	texts := map[string]string{}
	places := map[string]int{}
	for _, m := range faults {
		if texts[m.file], places[m.name], err = m.at(); err != nil {
			return "", err
		}
	}
	// the last first: the others stay where they are
	slices.SortFunc(faults, func(a, b mutant) int { return places[b.name] - places[a.name] })
	for _, m := range faults {
		text, at := texts[m.file], places[m.name]
		texts[m.file] = text[:at] + m.new + text[at+len(m.old):]
	}
	if err := spread(dir, texts); err != nil {
		return "", err
	}
	var replace struct{ Replace map[string]string }
	replace.Replace = map[string]string{}
	for file, text := range texts {
		real, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		changed := changed(dir, file)
		if err := os.WriteFile(changed, []byte(text), 0o666); err != nil {
			return "", err
		}
		replace.Replace[real] = changed
	}
	b, err := json.Marshal(replace)
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o666)
}

// changed returns where the changed form of a file lies.
func changed(dir, file string) string { return filepath.Join(dir, strings.ReplaceAll(file, "/", "+")) }

// spread adds to the changed files those that include a changed header. The assembler does not look for headers through an overlay, so they
// include it by where it lies.
func spread(dir string, texts map[string]string) error {
	for more := true; more; {
		more = false
		for header := range texts {
			beside, err := filepath.Glob(path.Join(path.Dir(header), "*.[hs]"))
			if err != nil || path.Ext(header) != ".h" {
				continue
			}
			for _, file := range beside {
				text, ok := texts[filepath.ToSlash(file)]
				if !ok {
					b, err := os.ReadFile(file)
					if err != nil {
						return err
					}
					text = string(b)
				}
				include := fmt.Sprintf("#include %q", path.Base(header))
				if strings.Contains(text, include) {
					texts[filepath.ToSlash(file)] = strings.ReplaceAll(text, include, fmt.Sprintf("#include %q", changed(dir, header)))
					more = true
				}
			}
		}
	}
	return nil
}

// compile plants as many faults at once as do not overlap, until all were planted, and builds the packages.
func compile(dir string, faults []mutant) error {
	var gone error
	for _, m := range faults {
		if _, _, err := m.at(); err != nil {
			gone = errors.Join(gone, err)
		}
	}
	if gone != nil {
		return gone
	}
	for len(faults) > 0 {
		var now, later []mutant
		var packages []string
		type span struct{ from, to int }
		taken := map[string][]span{}
		for _, m := range faults {
			_, at, err := m.at()
			if err != nil {
				return err
			}
			s := span{at, at + len(m.old)}
			if slices.ContainsFunc(taken[m.file], func(t span) bool { return s.from < t.to && t.from < s.to }) {
				later = append(later, m)
				continue
			}
			taken[m.file] = append(taken[m.file], s)
			now = append(now, m)
			packages = append(packages, "./"+path.Dir(m.file))
		}
		if err := build(dir, now, packages); err != nil {
			return err
		}
		fmt.Printf("%d faults can be planted and compile\n", len(now))
		faults = later
	}
	return nil
}

func build(dir string, faults []mutant, packages []string) error {
	overlay, err := plant(dir, slices.Clone(faults)...)
	if err != nil {
		return err
	}
	slices.Sort(packages)
	out, err := exec.Command("go",
		append([]string{"build", "-o", os.DevNull, "-overlay", overlay}, slices.Compact(packages)...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// event is a line of go test -json.
type event struct{ Action, Test, Output, FailedBuild string }

// goTest returns the first test of a package that fails, or nothing.
func goTest(overlay, folder, tests string, timeout time.Duration) (caught string, err error) {
	args := []string{"test", "-json", "-short", "-failfast", "-vet", "off", "-overlay", overlay, "-timeout", timeout.String()}
	if tests != "" {
		args = append(args, "-run", tests)
	}
	out, failed := exec.Command("go", append(args, "./"+folder)...).Output()
	if exit := new(exec.ExitError); failed != nil && !errors.As(failed, &exit) {
		return "", failed
	}
	return read(out, folder, failed != nil)
}

// read returns the first test that failed by the output of go test -json, or the one that ran when the program died. What could not be
// built is an error.
func read(out []byte, folder string, failed bool) (caught string, err error) {
	running, how := "", ""
	for line := range bytes.Lines(out) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if e.Test != "" {
			running = " " + e.Test
		}
		switch {
		case e.FailedBuild != "":
			return "", fmt.Errorf("%s does not compile", folder)
		case strings.HasPrefix(e.Output, "panic: test timed out"):
			how = " (does not end)"
		case strings.HasPrefix(e.Output, "panic: ") && how == "":
			how = " (panics)"
		case e.Action == "fail" && e.Test != "":
			return folder + running + how, nil
		}
	}
	if failed {
		return folder + running + " (dies)", nil
	}
	return "", nil
}
