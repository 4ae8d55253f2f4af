package gguf_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
)

// large writes a file of two tensors, a of 40 MB and b of 33 MB, and returns its path and their bytes.
func large(t *testing.T) (path string, a, b []byte) {
	t.Helper()
	a, b = make([]byte, 40<<20), make([]byte, 33<<20)
	random := rand.NewChaCha8([32]byte{7})
	random.Read(a)
	random.Read(b)
	path = filepath.Join(t.TempDir(), "large.gguf")
	err := gguf.WriteFile(path, nil, []gguf.Source{
		gguf.NewSource("a", gguf.F32, []int{len(a) / 4}, a), gguf.NewSource("b", gguf.F32, []int{len(b) / 4}, b)})
	if err != nil {
		t.Fatal(err)
	}
	return path, a, b
}

func TestPrefaultReadsWhatIsWantedAndTellsHowFarItIs(t *testing.T) {
	path, a, b := large(t)
	for _, test := range []struct {
		name string
		o    gguf.PrefaultOptions
		want int64
	}{
		{"all", gguf.PrefaultOptions{Threads: 3}, 73 << 20},
		{"without b", gguf.PrefaultOptions{Skip: func(t *gguf.Tensor) bool { return t.Name == "b" }}, 64 << 20},
		{"huge pages", gguf.PrefaultOptions{Threads: 2, HugePages: true}, 73 << 20},
		{"huge pages without a", gguf.PrefaultOptions{HugePages: true, Skip: func(t *gguf.Tensor) bool { return t.Name == "a" }}, 41 << 20},
	} {
		f := must(gguf.Open(path))
		var reported, last int64
		test.o.Progress = func(done, total int64) {
			if done <= last || done > total || total < test.want || total > test.want+8192 {
				t.Errorf("%s: %d of %d bytes after %d, expected about %d in all", test.name, done, total, last, test.want)
			}
			last, reported = done, total
		}
		stop, stopped := atomic.Bool{}, make(chan bool)
		data := must(f.Tensors[0].Data())
		go func() { // whoever reads meanwhile sees the same bytes
			for !stop.Load() {
				if !bytes.Equal(data, a) {
					t.Errorf("%s: a reader saw other bytes", test.name)
					break
				}
			}
			close(stopped)
		}()
		err := f.Prefault(context.Background(), test.o)
		stop.Store(true)
		<-stopped
		switch {
		case err != nil && test.o.HugePages && (runtime.GOOS != "linux" || strings.Contains(err.Error(), "huge pages: ")):
			t.Logf("%s: %v", test.name, err)
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		case f.Tensors[0].Mapped() && (last == 0 || last != reported):
			t.Errorf("%s: %d of %d bytes at the end", test.name, last, reported)
		}
		if !bytes.Equal(must(f.Tensors[0].Data()), a) || !bytes.Equal(must(f.Tensors[1].Data()), b) {
			t.Errorf("%s: other bytes afterwards", test.name)
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if err := f.Prefault(context.Background(), gguf.PrefaultOptions{}); err != nil {
			t.Errorf("%s: a closed file has nothing to read: %v", test.name, err)
		}
	}
}

func TestPrefaultStops(t *testing.T) {
	path, _, _ := large(t)
	f := must(gguf.Open(path))
	defer f.Close()
	if !f.Tensors[0].Mapped() {
		t.Skip("files are not mapped here")
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	err := f.Prefault(ctx, gguf.PrefaultOptions{Progress: func(int64, int64) { calls++; cancel() }})
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("after %d blocks: %v", calls, err)
	}
	if runtime.GOARCH != "amd64" || runtime.GOOS == "windows" {
		return // emulators do not tell where a fault was, and Windows cuts no file that is mapped
	}
	if err := os.Truncate(path, 34<<20); err != nil {
		t.Fatal(err)
	}
	for _, huge := range []bool{false, true} {
		err := f.Prefault(context.Background(), gguf.PrefaultOptions{HugePages: huge})
		if err == nil || !strings.Contains(err.Error(), "cannot be read any more") && !strings.Contains(err.Error(), "huge pages: ") {
			t.Errorf("of a file that was cut: %v", err)
		}
	}
}

// goroutine returns what the runtime calls the running one.
func goroutine() string {
	b := make([]byte, 64)
	text, _, _ := strings.Cut(string(b[:runtime.Stack(b, false)]), "[")
	return text
}

func TestPrefaultReportsOnItsCallersGoroutine(t *testing.T) {
	path, _, _ := large(t)
	f := must(gguf.Open(path))
	if !f.Tensors[0].Mapped() {
		t.Skip("files are not mapped here")
	}
	caller, calls := goroutine(), 0
	err := f.Prefault(context.Background(), gguf.PrefaultOptions{Threads: 3, Progress: func(int64, int64) {
		if calls++; goroutine() != caller {
			t.Errorf("called on %s, not on %s", goroutine(), caller)
		}
	}})
	if err != nil || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
	// Who recovers from its panic may close the file: nobody reads any more.
	before := runtime.NumGoroutine()
	func() {
		defer func() {
			if v := recover(); v != "enough" {
				t.Errorf("%v", v)
			}
		}()
		f.Prefault(context.Background(), gguf.PrefaultOptions{Threads: 3, Progress: func(int64, int64) { panic("enough") }})
	}()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() { // they have done all but end
		if time.Now().After(end) {
			t.Fatalf("%d goroutines are left, %d were there", runtime.NumGoroutine(), before)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	why := errors.New("no time")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	f = must(gguf.Open(path))
	defer f.Close()
	if err := f.Prefault(ctx, gguf.PrefaultOptions{}); !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWhatLiesInMemoryNeedsNoPrefault(t *testing.T) {
	m, sources := everything()
	var buf bytes.Buffer
	if err := gguf.Write(&buf, m, sources); err != nil {
		t.Fatal(err)
	}
	reader := gguf.Part{Name: "r", ReaderAt: bytes.NewReader(buf.Bytes()), Size: int64(buf.Len())}
	for _, f := range []*gguf.File{must(gguf.OpenBytes(buf.Bytes())), must(gguf.OpenReaderAt(reader))} {
		if err := f.Prefault(context.Background(), gguf.PrefaultOptions{}); err != nil {
			t.Error(err)
		}
		if err := f.Prefault(context.Background(), gguf.PrefaultOptions{HugePages: true}); err == nil ||
			!strings.Contains(err.Error(), "no tensor") {
			t.Errorf("huge pages for what is not mapped: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
