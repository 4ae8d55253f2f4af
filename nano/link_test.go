package nano_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gogemma/gemma4/nano"
)

// TestOnlyProgramsThatSeeAreLinkedWithEyes: two megabytes that a program which only reads does not carry.
func TestOnlyProgramsThatSeeAreLinkedWithEyes(t *testing.T) {
	if testing.Short() {
		t.Skip("links two programs")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here")
	}
	inside := func(data []byte) []byte { return data[len(data)/2:][:256] }
	for program, sees := range map[string]bool{"text": false, "senses": true} {
		path := filepath.Join(t.TempDir(), program)
		source := "./" + filepath.Join("testdata", program)
		if out, err := exec.Command(goTool, "build", "-o", path, source).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		binary, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(binary, inside(nano.GGUF())) {
			t.Errorf("%s is linked without the text weights", program)
		}
		if got := bytes.Contains(binary, inside(nano.Projector())); got != sees {
			t.Errorf("%s is linked with the projector: %v, want %v", program, got, sees)
		}
	}
}
