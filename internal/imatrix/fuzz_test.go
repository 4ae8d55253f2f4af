package imatrix

import (
	"bytes"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x01\x00\x00\x00a\x02\x00\x00\x00\x02\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40"))
	f.Add([]byte("\x01\x00\x00\x00\x01\x00\x00\x00a\x02\x00\x00\x00\xff\xff\xff\x03"))
	var b bytes.Buffer
	m := new(gguf.Metadata)
	if err := m.Set("general.type", "imatrix"); err != nil {
		f.Fatal(err)
	}
	err := gguf.Write(&b, m, []gguf.Source{
		gguf.NewSource("a.in_sum2", gguf.F32, []int{2, 2}, make([]byte, 16)),
		gguf.NewSource("a.counts", gguf.F32, []int{1, 2}, make([]byte, 8)),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := readOld(bytes.NewReader(data))
		if file, e := gguf.OpenBytes(data); e == nil {
			defer file.Close()
			m, err = Read(file)
		}
		if err != nil {
			return
		}
		values := 0
		for name, e := range m.Entries {
			values += len(e.Sums) + len(e.Counts)
			if _, err := m.Importance(name, len(e.Sums)/len(e.Counts), len(e.Counts)); err != nil {
				t.Error(err)
			}
		}
		if 4*values > 2*len(data) {
			t.Errorf("%d values of %d bytes", values, len(data))
		}
	})
}
