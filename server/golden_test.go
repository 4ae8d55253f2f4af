package server

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

// named are what differs from run to run: names that nothing else has, and times.
var named = regexp.MustCompile(`\b([a-z]+)_[a-z2-7]{26}\b|"created(_at)?":\d+`)

// plain returns JSON or a stream with names in the order of their first appearance, and no times.
func plain(text string) string {
	seen := map[string]string{}
	return named.ReplaceAllStringFunc(text, func(name string) string {
		kind, _, ok := strings.Cut(name, "_")
		if strings.HasPrefix(name, `"`) {
			return name[:strings.LastIndex(name, ":")] + ":0"
		}
		if ok && seen[name] == "" {
			seen[name] = fmt.Sprintf("%s_%d", kind, 1+len(seen))
		}
		return seen[name]
	})
}

// checkGolden compares a text with a file in testdata.
func checkGolden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, expected := strings.Split(text, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(expected)) {
		var a, b string
		if i < len(got) {
			a = got[i]
		}
		if i < len(expected) {
			b = expected[i]
		}
		if a != b {
			t.Fatalf("%s, line %d:\n got %s\nwant %s", path, i+1, a, b)
		}
	}
}
