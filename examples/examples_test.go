package examples

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/gogemma/gemma4"

// each calls f with the folder of each example and its files.
func each(t *testing.T, f func(t *testing.T, name string, files []string)) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() {
			continue
		}
		files, err := filepath.Glob(filepath.Join(name, "*"))
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { f(t, name, files) })
	}
}

func TestExamplesAreShortAndImportWhatIsPublic(t *testing.T) {
	each(t, func(t *testing.T, name string, files []string) {
		tests := 0
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				tests++
			}
			if filepath.Ext(path) != ".go" {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				p, err := strconv.Unquote(i.Path.Value)
				first, _, _ := strings.Cut(p, "/")
				if standard := !strings.Contains(first, "."); err != nil || !standard && p != module && !strings.HasPrefix(p, module+"/") ||
					strings.Contains("/"+p+"/", "/internal/") {
					t.Errorf("%s imports %s", path, p)
				}
			}
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			if n := bytes.Count(text, []byte("\n")); n > 60 {
				t.Errorf("%s has %d lines, 60 are a screen", path, n)
			}
			verb := "go run"
			if f.Name.Name != "main" {
				verb = "go test -v"
			}
			if doc := f.Doc.Text(); !strings.Contains(doc, fmt.Sprintf(" %s ", name)) || !strings.Contains(doc, verb+" ./examples/"+name) ||
				!strings.Contains(doc, "\nprint") {
				t.Errorf("%s does not say what it shows, how it is run and what it prints:\n%s", path, doc)
			}
		}
		if tests == 0 {
			t.Errorf("%s has no test", name)
		}
	})
}

func TestExamplesCopiedIntoAnEmptyModuleRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds every example anew")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here")
	}
	checkout, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	mod := fmt.Sprintf("module example.com/copied\n\ngo 1.26\n\nrequire %s v0.0.0\n\nreplace %[1]s => %s\n", module,
		strconv.Quote(checkout))
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte(mod), 0o644); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(checkout, "go.sum"), filepath.Join(folder, "go.sum"))
	each(t, func(t *testing.T, name string, files []string) {
		for _, path := range files {
			copyFile(t, path, filepath.Join(folder, path))
		}
	})
	run := func(args ...string) string {
		c := exec.Command(goTool, args...)
		c.Dir = folder
		c.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		var stderr bytes.Buffer
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			t.Errorf("go %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
		}
		return string(out)
	}
	if out := run("run", "./ask", "What is the capital of France?"); out != "The capital of France is Paris.\n" {
		t.Errorf("%q", out)
	}
	run("test", "-vet=off", "./...")
}

func TestExamplesWithoutAQuestionSayHowTheyAreUsed(t *testing.T) {
	if testing.Short() {
		t.Skip("builds examples")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here")
	}
	folder := t.TempDir()
	names := []string{"ask", "classify", "hear", "save", "see", "tools"}
	args := []string{"build", "-o", folder}
	for _, name := range names {
		args = append(args, "./"+name)
	}
	if out, err := exec.Command(goTool, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range names {
		for _, args := range [][]string{nil, {""}} {
			c := exec.Command(filepath.Join(folder, name), args...)
			c.Dir = folder
			out, err := c.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(string(out), "usage: "+name+" [-") {
				t.Errorf("%s %q: %v, %q", name, args, err, out)
			}
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
