package kernels

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFramesHoldNoPointers: the collector cannot scan the frame of an assembly function that has locals and does not say that none of them
// is a pointer. It comes upon one when a fault in a mapped file unwinds the stack.
func TestFramesHoldNoPointers(t *testing.T) {
	files, _ := filepath.Glob("*.s")
	root, _ := filepath.Glob("../../*.s")
	if len(files) < 10 || len(root) < 3 {
		t.Fatalf("%d files of assembly here, %d at the root", len(files), len(root))
	}
	head := regexp.MustCompile(`(?m)^TEXT\s+(\S+?)\(SB\).*\$([1-9]\d*)(?:-\d+)?.*\n(.*)$`)
	n := 0
	for _, file := range append(files, root...) {
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
