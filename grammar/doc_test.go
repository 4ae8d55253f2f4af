package grammar

import (
	"os"
	"strings"
	"testing"
)

// TestDocShowsTheExample holds the code in the package's comment to the example that is compiled.
func TestDocShowsTheExample(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for line := range strings.Lines(string(doc)) {
		if shown, ok := strings.CutPrefix(line, "//\t"); ok {
			code.WriteString("\t" + shown)
		}
	}
	if code.Len() == 0 || !strings.Contains(string(example), code.String()) {
		t.Errorf("example_test.go does not have this code of doc.go:\n%s", code.String())
	}
}
