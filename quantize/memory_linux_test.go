package quantize_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

// sparse writes a file with one matrix of zeros, which takes no room on a disk that knows holes.
func sparse(t *testing.T, cols, rows int) string {
	t.Helper()
	m := new(gguf.Metadata)
	if err := m.Set("general.architecture", "gemma4"); err != nil {
		t.Fatal(err)
	}
	matrix := gguf.Source{Name: "blk.0.ffn_up.weight", Type: gguf.F32, Dims: []int{cols, rows}, Write: func(io.Writer) error { return nil }}
	size, err := gguf.Size(m, []gguf.Source{matrix})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sparse.gguf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := &hole{f: f}
	matrix.Write = func(w io.Writer) error {
		zeros := make([]byte, 1<<20)
		for left := int64(cols) * int64(rows) * 4; left > 0; left -= int64(len(zeros)) {
			if _, err := w.Write(zeros[:min(int64(len(zeros)), left)]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := gguf.Write(head, m, []gguf.Source{matrix}); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return path
}

// hole writes to a file what is not zero.
type hole struct{ f *os.File }

func (h *hole) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != 0 {
			return h.f.Write(p)
		}
	}
	_, err := h.f.Seek(int64(len(p)), io.SeekCurrent)
	return len(p), err
}

func TestMemoryDoesNotGrowWithAModel(t *testing.T) {
	if testing.Short() {
		t.Skip("reads and writes hundreds of megabytes")
	}
	most := map[int]int64{}
	for _, megabytes := range []int{64, 512} {
		in := sparse(t, 4096, megabytes<<20/4096/4)
		out := filepath.Join(t.TempDir(), "out.gguf")
		c, line := start(t, in, out, "Q4_0", 0)
		var held int64
		if _, err := fmt.Sscanf(line, "done %d\n", &held); err != nil || c.Wait() != nil || held == 0 {
			t.Fatalf("the child says %q, %v", line, err)
		}
		most[megabytes] = held
		info, err := os.Stat(out)
		if want := int64(megabytes) << 20 / 4 / 32 * 18; err != nil || info.Size() < want || info.Size() > want+4096 {
			t.Errorf("the file: %v, %v; want %d bytes and some", info, err, want)
		}
		os.Remove(out)
	}
	if most[512] > most[64]+64<<20 || most[512] > 256<<20 {
		t.Errorf("a matrix of 512 MB takes %d bytes of memory, one of 64 MB %d", most[512], most[64])
	}
}
