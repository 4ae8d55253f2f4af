package gemma4_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestTheProgramOfTheReadmeCompiles, and so do the lines that README.md shows for a program that has a chat.
func TestTheProgramOfTheReadmeCompiles(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	if len(shown) != 4 {
		t.Fatalf("README.md shows %d pieces of Go, expected a program, two uses of a chat and one of a hub", len(shown))
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here")
	}
	for _, program := range []string{
		shown[0][1],
		`package main

import (
	"context"
	"fmt"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/hub"
	"github.com/gogemma/gemma4/media"
)

func use(ctx context.Context, c *gemma4.Chat, check func(error)) {
` + shown[1][1] + `
	fmt.Print(tok.Text, err)
}
}

func use2(ctx context.Context, c *gemma4.Chat) {
` + shown[2][1] + `
	fmt.Println(person, err)
}

func use3(ctx context.Context, check func(error)) {
` + shown[3][1] + `
	fmt.Println(m, err)
}

func main() { use(nil, nil, nil); use2(nil, nil); use3(nil, nil) }
`,
	} {
		path := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(path, []byte(program), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(goTool, "vet", path).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestNOTICENamesEveryDependency(t *testing.T) {
	notice, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	required := regexp.MustCompile(`(?m)^(?:require |\t)([\w./-]+) v`).FindAllStringSubmatch(string(mod), -1)
	if len(required) == 0 {
		t.Fatal("go.mod requires nothing")
	}
	for _, module := range required {
		if !strings.Contains(string(notice), module[1]+" ") {
			t.Errorf("NOTICE does not say under which licence %s is", module[1])
		}
	}
}

// TestNoLineIsLongerThan140Columns counts a tab as four columns. Tables are as wide as they are: those of Markdown, vectors of constants in
// headers of assembly, and what lies in testdata.
func TestNoLineIsLongerThan140Columns(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && name != "." && (name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		table := "|"
		switch filepath.Ext(path) {
		case ".go", ".s", ".h":
			table = "VECTOR("
		case ".md":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		i := 0
		for line := range strings.Lines(string(text)) {
			i++
			columns := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")) + 3*strings.Count(line, "\t")
			if columns > 140 && !strings.HasPrefix(line, table) {
				t.Errorf("%s:%d: %d columns", path, i, columns)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were found", files)
	}
}
