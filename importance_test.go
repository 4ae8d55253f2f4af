package gemma4_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/imatrix"
	"github.com/gogemma/gemma4/internal/synth"
)

func TestImportanceIsTheSameWithAnyNumberOfThreads(t *testing.T) {
	for _, spec := range []string{"tiny-moe:q4_0", "tiny-e:q8_0"} {
		c, err := synth.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		data := synth.Bytes(c)
		ids := make([]int32, 150)
		for i := range ids {
			ids[i] = int32(3 + i*91%480)
		}
		var first []byte
		for _, threads := range []int{1, 2, 3} {
			m, err := gemma4.Loader{Threads: threads}.OpenBytes(data)
			if err != nil {
				t.Fatal(err)
			}
			s, err := m.NewSession(gemma4.SessionOptions{Context: 64})
			if err != nil {
				t.Fatal(err)
			}
			var i gemma4.Importance
			p, err := s.Importance(t.Context(), ids, &i, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := s.Perplexity(t.Context(), ids, nil); err != nil || p != want {
				t.Errorf("%s: %v, %v; without importance %v", spec, p, err, want)
			}
			path := filepath.Join(t.TempDir(), "i.gguf")
			if err := i.WriteFile(path, "some ids"); err != nil {
				t.Fatal(err)
			}
			s.Close()
			m.Close()
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = got
			}
			if !bytes.Equal(got, first) {
				t.Errorf("%s: %d threads give other bytes than one", spec, threads)
			}
			x, err := imatrix.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if x.Chunks != 3 || x.ChunkSize != 64 || len(x.Entries) < 40 {
				t.Errorf("%s: %d chunks of %d, %d entries", spec, x.Chunks, x.ChunkSize, len(x.Entries))
			}
			for name, e := range x.Entries {
				n := float32(0)
				for _, count := range e.Counts {
					n += count
				}
				want := float32(len(ids))
				if len(e.Counts) > 1 {
					want *= float32(m.Config().ExpertsUsed)
				}
				if n != want {
					t.Errorf("%s: %s has seen %v vectors, want %v", spec, name, n, want)
				}
			}
		}
	}
}
