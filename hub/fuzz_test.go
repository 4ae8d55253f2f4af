package hub

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzName reads names that stand for something at a hub: its folder is in the store, and what is shown means the same.
func FuzzName(f *testing.F) {
	for _, text := range []string{"ollama:gemma4:12b", "ollama:localhost:5000/a/b", "o/r:Q4_K_M@v1", "hf.co/o/r:a/b.gguf", "../r", "o/.."} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseLong(text)
		if err != nil {
			return
		}
		folder := n.folder("example.org")
		if !filepath.IsLocal(folder) || strings.Count(filepath.ToSlash(folder), "/") != 2 {
			t.Errorf("%q lies in %s", text, folder)
		}
		again, err := parseLong(n.String())
		if again.text = n.text; err != nil || again != n {
			t.Errorf("%q is %+v and shown as %s, which is %+v, %v", text, n, n, again, err)
		}
	})
}

// FuzzListing reads listings: every file has a name of its own in the store, and choosing among them is possible.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`[{"type":"file","path":"BF16/a-00001-of-00002.gguf","size":1,"oid":"`+strings.Repeat("0a", 20)+`"},`+
		`{"type":"file","path":"mmproj-a-Q8_0.gguf","size":130,"oid":"","lfs":{"oid":"`+strings.Repeat("0a", 32)+`","size":7}},`+
		`{"type":"directory","path":"x","size":0}]`), "Q4_K_M")
	f.Add([]byte(`[{"type":"file","path":"x/b.gguf"},{"type":"file","path":"y/b.gguf"},{"type":"file","path":"x_b.gguf"}]`), "")
	f.Fuzz(func(t *testing.T, text []byte, tag string) {
		files, err := parseListing(text)
		if err != nil || tag != "" && !isRepositoryPath(tag) { // such names come no further
			return
		}
		paths := map[string]bool{}
		for _, e := range files {
			if paths[strings.ToLower(e.path)] || len(e.path) > 150 { // of a hub where case counts, or refused when it is to be written
				return
			}
			paths[strings.ToLower(e.path)] = true
		}
		names := map[string]bool{}
		for path, name := range storedNames(files) {
			if lower := strings.ToLower(name); names[lower] || !isFileName(name) {
				t.Errorf("%s is called %q, which is taken or no name", path, name)
			}
			names[strings.ToLower(name)] = true
		}
		if c, err := choose(files, tag); err == nil {
			for _, e := range c.model {
				if !paths[strings.ToLower(e.path)] {
					t.Errorf("%q is %s, which is not there", tag, e.path)
				}
			}
		}
	})
}
