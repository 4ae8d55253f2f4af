package model

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/mmap"
	"github.com/gogemma/gemma4/tensor"
)

// savedPrefixes writes a text of 2 pages and a little, and one that continues it, and returns their paths in that order.
func savedPrefixes(t *testing.T, m *Model) (paths [2]string) {
	t.Helper()
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	dir := t.TempDir()
	var ids []Identity
	var base *SavedPrefix
	for i, n := range []int{2*pageLen + 5, pageLen + 9} {
		in := Input{Tokens: make([]int32, n)}
		for j := range in.Tokens {
			in.Tokens[j] = int32(len(ids)+j) % int32(m.Vocabulary)
		}
		if err := s.Read(context.Background(), []Input{in}, nil, nil); err != nil {
			t.Fatal(err)
		}
		ids = m.Identities(ids, in)
		text := s.Snapshot()
		defer text.Release()
		p, write, err := m.SavePrefix(context.Background(), text, ids, "by hand", base)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := write(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		paths[i] = filepath.Join(dir, p.Name)
		if err := os.WriteFile(paths[i], b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if int64(b.Len()) != p.Bytes || !IsPrefixName(p.Name) {
			t.Errorf("%s has %d bytes, %d were planned", p.Name, b.Len(), p.Bytes)
		}
		base = p
	}
	return paths
}

func TestSavedPrefixesSayWhatIsWrong(t *testing.T) {
	m := openSynthetic(t, "micro-moe", 2)
	paths := savedPrefixes(t, m)
	open := func(path string) error {
		if _, err := m.ReadPrefix(context.Background(), path, "by hand"); err != nil {
			return err
		}
		_, text, err := m.OpenPrefix(context.Background(), path, "by hand", func(name string) (*SavedPrefix, *Snapshot, error) {
			return m.OpenPrefix(context.Background(), paths[0], "by hand", nil)
		})
		if err == nil {
			text.Release()
		}
		return err
	}
	for _, path := range paths {
		if err := open(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := m.ReadPrefix(context.Background(), paths[1], "otherwise"); !errors.Is(err, ErrOtherArithmetic) {
		t.Errorf("other arithmetic: %v", err)
	}
	whole, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key   string
		value any
		want  string
	}{
		{"general.architecture", "gemma4-session", "is not a saved prefix"},
		{"gemma4.prefix.version", uint32(2), "a saved prefix of version 2, this program reads 1"},
		{"gemma4.prefix.bytes", uint64(9), "gemma4.prefix.bytes is 9"},
		{"gemma4.prefix.page_length", uint32(64), "gemma4.prefix.page_length is 64"},
		{"gemma4.prefix.model", "another", "its name is not that of what it holds"},
		{"gemma4.prefix.arithmetic", "another", "its name is not that of what it holds"},
		{"gemma4.prefix.cache", "q8_0", "its name is not that of what it holds"},
		{"gemma4.prefix.ids", []int64{1, 2}, "its name is not that of what it holds"},
		{"gemma4.prefix.ids", "1", "gemma4.prefix.ids"},
		{"gemma4.prefix.base", "", "do not fit together"},
		{"gemma4.prefix.base", "../../etc/passwd", "do not fit together"},
		{"gemma4.prefix.first", uint32(0), "do not fit together"},
		{"gemma4.prefix.first", uint32(9), "gemma4.prefix.first is 9"},
		{"gemma4.prefix.first", uint32(3), "its base"},
		{"gemma4.prefix.own", []uint32{0, 1, 2, 3, 4}, "gemma4.prefix.own has 5 elements"},
		{"gemma4.prefix.own", []uint32{2}, "do not fit together"},
		{"gemma4.prefix.pages", []uint32{}, "do not fit together"},
		{"gemma4.prefix.pages", []uint32{3, 2}, "expected ascending numbers"},
		{"gemma4.prefix.marks", []uint32{1 << 30}, "gemma4.prefix.marks"},
	} {
		path := filepath.Join(t.TempDir(), filepath.Base(paths[1]))
		if err := os.WriteFile(path, withKey(t, whole, test.key, test.value), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %v: %v", test.key, test.value, err)
		}
	}
}

// withKey returns a saved prefix with another value of a key, the right length and the right checksum.
func withKey(t *testing.T, whole []byte, key string, value any) []byte {
	t.Helper()
	f, err := gguf.OpenBytes(whole[:len(whole)-sumBytes])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := f.Metadata.Clone()
	var sources []gguf.Source
	for _, x := range f.Tensors {
		sources = append(sources, x.Source())
	}
	size := func() int64 {
		n, err := gguf.Size(head, sources)
		if err != nil {
			t.Fatal(err)
		}
		return n + sumBytes
	}
	err = head.Set(key, value)
	if err == nil && key != "gemma4.prefix.bytes" {
		err = head.Set("gemma4.prefix.bytes", uint64(size()))
	}
	var b bytes.Buffer
	if err == nil {
		err = gguf.Write(&b, head, sources)
	}
	var sum uint32
	if err == nil {
		sum, err = checksum(context.Background(), b.Bytes(), 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.AppendUint32(b.Bytes(), sum)
}

// TestSharedSnapshotsAreReleasedOneByOne: pages and file stay until the last one is.
func TestSharedSnapshotsAreReleasedOneByOne(t *testing.T) {
	m := openSynthetic(t, "micro-moe", 2)
	path := savedPrefixes(t, m)[0]
	_, a, err := m.OpenPrefix(context.Background(), path, "by hand", nil)
	if err != nil {
		t.Fatal(err)
	}
	f, b := a.file, a.Share()
	if !a.LiesIn(func(p string) bool { return p == path }) || a.Len() != b.Len() || b.Bytes() != a.Bytes() {
		t.Errorf("%d and %d bytes", a.Bytes(), b.Bytes())
	}
	a.Release()
	a.Release()
	if err := mmap.Guard(func() error { _ = slices.Max(b.pages[0][len(b.pages[0])-1].k); return nil }); err != nil || f.data == nil {
		t.Errorf("the other one is gone: %v", err)
	}
	if b.Release(); f.data != nil {
		t.Error("the file stays open")
	}
}
