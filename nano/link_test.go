package nano_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gogemma/gemma4/nano"
)

// TestProgramsAreLinkedWithWhatTheyUse: two megabytes of eyes and ears that a program which only reads does not carry, and half a one of
// the drafter that one which opens the text weights by itself does not.
func TestProgramsAreLinkedWithWhatTheyUse(t *testing.T) {
	if testing.Short() {
		t.Skip("links three programs")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here")
	}
	inside := func(data []byte) []byte { return data[len(data)/2:][:256] }
	for program, has := range map[string]struct{ drafts, sees bool }{"weights": {}, "text": {drafts: true}, "senses": {true, true}} {
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
		if got := bytes.Contains(binary, inside(nano.Drafter())); got != has.drafts {
			t.Errorf("%s is linked with the drafter: %v, want %v", program, got, has.drafts)
		}
		if got := bytes.Contains(binary, inside(nano.Projector())); got != has.sees {
			t.Errorf("%s is linked with the projector: %v, want %v", program, got, has.sees)
		}
	}
}
