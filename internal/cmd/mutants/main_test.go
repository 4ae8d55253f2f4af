package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whether what is planted compiles is for -check to say.
func TestFaultsHavePlacesNamesAndTests(t *testing.T) {
	t.Chdir("../../..")
	names := map[string]bool{}
	for _, m := range table {
		if names[m.name] {
			t.Errorf("%s: twice", m.name)
		}
		names[m.name] = true
		if _, _, err := m.at(); err != nil {
			t.Error(err)
		}
		for _, step := range m.steps() {
			folder, _, _ := strings.Cut(step, ":")
			if info, err := os.Stat(folder); err != nil || !info.IsDir() {
				t.Errorf("%s: %s is no folder", m.name, folder)
			}
		}
	}
}

func TestSeveralFaultsOfAFileKeepTheirPlaces(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a.go", []byte("one two three"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := plant(dir, mutant{name: "1", file: "a.go", old: "one", new: "three"}, mutant{name: "3", file: "a.go", old: "three", new: ""})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a.go": "one two three", filepath.Join(dir, "a.go"): "three two "} {
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestFaultsWithoutOnePlaceAreErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a.go", []byte("one one two"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, m := range []mutant{{old: "one"}, {old: "three"}, {old: "two", new: "two"}} {
		m.file = "a.go"
		if _, _, err := m.at(); err == nil {
			t.Errorf("%q in place of %q: no error", m.new, m.old)
		}
	}
}

func TestWhatCaughtAFault(t *testing.T) {
	for _, c := range []struct {
		out    string
		failed bool
		want   string
	}{
		{`{"Action":"pass","Test":"TestA"}`, false, ""},
		{`{"Action":"pass","Test":"TestA"}` + "\n" + `{"Action":"fail","Test":"TestB/c"}` + "\n" + `{"Action":"fail","Test":"TestB"}`, true,
			"p TestB/c"},
		{`{"Action":"output","Test":"TestA","Output":"panic: index\n"}` + "\n" + `{"Action":"fail","Test":"TestA"}`, true,
			"p TestA (panics)"},
		{`{"Action":"output","Test":"TestA","Output":"panic: test timed out after 1s\n"}` + "\n" + `{"Action":"fail","Test":"TestA"}`, true,
			"p TestA (does not end)"},
		{`{"Action":"output","Test":"TestA","Output":"fatal error: fault\n"}` + "\n" + `{"Action":"fail"}`, true, "p TestA (dies)"},
		{"SIGSEGV", true, "p (dies)"},
	} {
		if got, err := read([]byte(c.out), "p", c.failed); got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.out, got, err, c.want)
		}
	}
	if _, err := read([]byte(`{"Action":"build-fail"}`+"\n"+`{"Action":"fail","FailedBuild":"p"}`), "p", true); err == nil {
		t.Error("a build that fails is no error")
	}
}
