package gemma4_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
)

// kept is a model whose prefixes lie in a folder.
type kept struct {
	*gemma4.Model
	prefixes *gemma4.PrefixCache
	journal  *journal
}

// keptIn opens nano with the prefixes of a folder, as a program does that is started.
func keptIn(t testing.TB, dir string, limit int64, l gemma4.Loader) kept {
	t.Helper()
	j := &journal{least: slog.LevelInfo}
	l.Logger = slog.New(j)
	k := kept{openNano(t, l), gemma4.NewPrefixCache(256 << 20), j}
	t.Cleanup(func() { k.prefixes.Close() })
	if err := k.prefixes.Open(ctx, k.Model, dir, limit); err != nil {
		t.Fatal(err)
	}
	return k
}

// read returns what a session with the prefixes makes of a prompt, and how many positions it did not read.
func (k kept) read(t testing.TB, f gemma4.CacheFormat, ids []int32) (outcome, int) {
	t.Helper()
	s, err := k.NewSession(gemma4.SessionOptions{Cache: f, Prefixes: k.prefixes, Batch: 128})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o, err := outcomeOf(s, ids)
	if err != nil {
		t.Fatal(err)
	}
	return o, s.Result().Reused
}

func (k kept) save(t testing.TB) {
	t.Helper()
	if err := k.prefixes.Save(ctx); err != nil {
		t.Fatal(err)
	}
}

// end ends the program.
func (k kept) end() {
	k.Model.Close()
	k.prefixes.Close()
}

// ignored returns what the log was told of files that cannot be used.
func (k kept) ignored() (lines []string) {
	k.journal.mu.Lock()
	defer k.journal.mu.Unlock()
	for _, l := range k.journal.lines {
		if strings.Contains(l.message, "ignored") {
			lines = append(lines, fmt.Sprintf("%s: %v %v", l.message, l.values["file"], l.values["error"]))
		}
	}
	return lines
}

// filesIn returns the files of a folder, and what they take.
func filesIn(t testing.TB, dir string) (paths []string, size int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			paths, size = append(paths, filepath.Join(dir, e.Name())), size+info.Size()
		}
	}
	return paths, size
}

const roomy = 1 << 30

func TestPrefixesOutliveTheProgram(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	m := openNano(t, gemma4.Loader{})
	turn := system(t, m, 300)
	texts := [][]int32{
		slices.Concat(turn, words(90, 1)),
		slices.Concat(turn, words(90, 1), words(200, 2)),
		slices.Concat(turn, words(100, 3)),
	}
	for _, f := range formats {
		first := keptIn(t, dir, roomy, gemma4.Loader{})
		want := map[int]outcome{}
		for i, text := range texts {
			want[i], _ = first.read(t, f, text)
		}
		first.save(t)
		stats := first.prefixes.Stats()
		if stats.Files != 4 {
			t.Errorf("%v: %d texts have files: %+v", f, stats.Files, stats)
		}
		paths, size := filesIn(t, dir)
		first.save(t)
		if again, _ := filesIn(t, dir); !slices.Equal(again, paths) {
			t.Errorf("%v: what was saved is saved again: %v, %v", f, paths, again)
		}
		t.Logf("%v: %d files, %d bytes", f, len(paths), size)
		first.end()
		for i, reused := range []int{len(texts[0]) - 1, len(texts[1]) - 1, len(texts[2]) - 1} {
			second := keptIn(t, dir, roomy, gemma4.Loader{})
			got, n := second.read(t, f, texts[i])
			if n != reused || !got.equal(want[i]) {
				t.Errorf("%v: text %d after a restart: %d positions reused, expected %d, the same: %v", f, i, n, reused, got.equal(want[i]))
			}
			// A text that goes another way after the instruction.
			other := slices.Concat(turn, words(40, 9))
			got, n = second.read(t, f, other)
			if n != len(turn) && n != 300 || !got.equal(cold(t, m, f, other)) {
				t.Errorf("%v: another text after a restart: %d positions reused", f, n)
			}
			if s := second.prefixes.Stats(); runtime.GOOS == "linux" && s.Bytes > stats.Bytes/2 {
				t.Errorf("%v: what is mapped counts as memory: %+v, once %+v", f, s, stats)
			}
			if lines := second.ignored(); len(lines) > 0 {
				t.Errorf("%v: %v", f, lines)
			}
			second.end()
		}
		for _, path := range paths {
			os.Remove(path)
		}
	}
}

// TestAConversationIsSavedInParts: each turn adds what it adds, not the conversation.
func TestAConversationIsSavedInParts(t *testing.T) {
	dir := t.TempDir()
	k := keptIn(t, dir, roomy, gemma4.Loader{})
	text := words(260, 1)
	k.read(t, gemma4.CacheF32, text)
	k.save(t)
	_, once := filesIn(t, dir)
	for i := range uint64(4) {
		text = slices.Concat(text, words(128, 2+i))
		want, n := k.read(t, gemma4.CacheF32, text)
		if n < len(text)-130 {
			t.Errorf("turn %d: %d positions reused", i, n)
		}
		k.save(t)
		k.end()
		k = keptIn(t, dir, roomy, gemma4.Loader{})
		if got, n := k.read(t, gemma4.CacheF32, text); n != len(text)-1 || !got.equal(want) {
			t.Errorf("turn %d: %d positions reused after a restart, the same: %v", i, n, got.equal(want))
		}
	}
	paths, size := filesIn(t, dir)
	if len(paths) != 5 || size > 4*once {
		t.Errorf("%d files take %d bytes, the first %d", len(paths), size, once)
	}
	t.Logf("%d files take %d bytes, the first %d", len(paths), size, once)
}

func TestDamagedPrefixesAreIgnored(t *testing.T) {
	good := t.TempDir()
	text := words(420, 1)
	k := keptIn(t, good, roomy, gemma4.Loader{})
	k.read(t, gemma4.CacheF16, text[:200])
	want, _ := k.read(t, gemma4.CacheF16, text)
	k.save(t)
	k.end()
	names, _ := filesIn(t, good)
	if len(names) != 2 {
		t.Fatalf("%d files", len(names))
	}
	var base, child string
	for _, path := range names {
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := f.Metadata.Text("gemma4.prefix.base"); b != "" {
			base, child = b, filepath.Base(path)
		}
		f.Close()
	}
	flip := func(at func(size int) int) func(b []byte) []byte {
		return func(b []byte) []byte { b[at(len(b))] ^= 4; return b }
	}
	for _, test := range []struct {
		name   string
		file   string
		change func(b []byte) []byte // nil: it is removed
		reused int
		lines  int
	}{
		{"nothing", child, func(b []byte) []byte { return b }, 419, 0},
		{"cut short", child, func(b []byte) []byte { return b[:len(b)-1] }, 199, 1},
		{"cut short in its head", child, func(b []byte) []byte { return b[:100] }, 199, 1},
		{"empty", child, func(b []byte) []byte { return nil }, 199, 1},
		{"grown", child, func(b []byte) []byte { return append(b, 0) }, 199, 1},
		{"a bit of its first byte", child, flip(func(int) int { return 0 }), 199, 1},
		{"a bit of its ids", child,
			func(b []byte) []byte {
				return flip(func(int) int { return bytes.Index(b, []byte("prefix.ids")) + 40 })(b)
			}, 199, 1},
		{"a bit of its pages", child,
			func(b []byte) []byte {
				return flip(func(int) int { return bytes.Index(b, []byte("prefix.first")) + 16 })(b)
			}, 199, 1},
		{"a bit in the middle", child, flip(func(n int) int { return n / 2 }), 199, 1},
		{"a bit of its checksum", child, flip(func(n int) int { return n - 1 }), 199, 1},
		{"zeros, as after a power cut", child, func(b []byte) []byte { clear(b); return b }, 199, 1},
		{"no base", base, nil, 0, 1},
		{"a damaged base", base, flip(func(n int) int { return n - 100 }), 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, path := range names {
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if filepath.Base(path) == test.file {
					if test.change == nil {
						continue
					}
					b = test.change(b)
				}
				if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			k := keptIn(t, dir, roomy, gemma4.Loader{})
			if got, n := k.read(t, gemma4.CacheF16, text); n != test.reused && n != test.reused+1 || !got.equal(want) {
				t.Errorf("%d positions reused, expected %d, the same: %v", n, test.reused, got.equal(want))
			}
			if lines := k.ignored(); len(lines) != test.lines {
				t.Errorf("the log was told %q", lines)
			}
			k.save(t) // what is missing now
			k.end()
			k = keptIn(t, dir, roomy, gemma4.Loader{})
			if got, n := k.read(t, gemma4.CacheF16, text); n != 419 || !got.equal(want) {
				t.Errorf("saved again: %d positions reused, the same: %v", n, got.equal(want))
			}
		})
	}
}

// TestPrefixesOfOthersAreIgnored: of another model, another level, other arithmetic and another format of the cache.
func TestPrefixesOfOthersAreIgnored(t *testing.T) {
	dir := t.TempDir()
	text := words(200, 1)
	k := keptIn(t, dir, roomy, gemma4.Loader{})
	k.read(t, gemma4.CacheF16, text)
	k.save(t)
	k.end()
	for _, test := range []struct {
		name   string
		level  string
		l      gemma4.Loader
		format gemma4.CacheFormat
		lines  int
	}{
		{"another format", "", gemma4.Loader{}, gemma4.CacheQ8, 0},
		{"exact arithmetic", "", gemma4.Loader{Exact: true}, gemma4.CacheF16, 1},
		{"another level", "portable", gemma4.Loader{}, gemma4.CacheF16, 1},
	} {
		if test.level != "" {
			if best, err := gemma4.BestKernels(); err != nil || best.Name == test.level {
				t.Logf("%s: skipped, this machine has none", test.name)
				continue
			}
			t.Setenv("GEMMA4_CPU", test.level)
		}
		k := keptIn(t, dir, roomy, test.l)
		got, n := k.read(t, test.format, text)
		if n != 0 || !got.equal(cold(t, k.Model, test.format, text)) {
			t.Errorf("%s: %d positions reused", test.name, n)
		}
		if lines := k.ignored(); len(lines) != test.lines {
			t.Errorf("%s: the log was told %q", test.name, lines)
		}
		k.end()
	}
	other, err := gemma4.OpenBytes(altered(t, shape("e"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := gemma4.NewPrefixCache(roomy)
	defer p.Close()
	if err := p.Open(ctx, other, dir, 1); err != nil || p.Stats().Files != 0 {
		t.Errorf("another model: %+v, %v", p.Stats(), err)
	}
	if err := p.Save(ctx); err != nil {
		t.Error(err)
	}
	if paths, _ := filesIn(t, dir); len(paths) != 0 {
		t.Errorf("files of another model do not count to the bound: %v", paths)
	}
}

func TestPrefixesKeepToTheirBound(t *testing.T) {
	dir := t.TempDir()
	m := openNano(t, gemma4.Loader{})
	want := map[uint64]outcome{}
	k := keptIn(t, dir, roomy, gemma4.Loader{})
	want[1], _ = k.read(t, gemma4.CacheF16, words(150, 1))
	k.save(t)
	k.end()
	_, each := filesIn(t, dir)
	limit := 3*each + each/2
	for i := uint64(2); i < 7; i++ {
		k := keptIn(t, dir, limit, gemma4.Loader{})
		if _, n := k.read(t, gemma4.CacheF16, words(150, 1)); n != 149 { // again and again
			t.Errorf("before text %d: %d positions of the first one reused", i, n)
		}
		want[i], _ = k.read(t, gemma4.CacheF16, words(150, i))
		k.save(t)
		if paths, size := filesIn(t, dir); size > limit || len(paths) != int(min(i, 3)) {
			t.Errorf("after text %d: %d files of %d bytes, %d are allowed", i, len(paths), size, limit)
		}
		k.end()
	}
	for _, test := range []struct {
		text   uint64
		reused int
	}{{1, 149}, {6, 149}, {5, 149}, {4, 0}, {2, 0}} {
		k := keptIn(t, dir, limit, gemma4.Loader{})
		if got, n := k.read(t, gemma4.CacheF16, words(150, test.text)); n != test.reused || !got.equal(want[test.text]) {
			t.Errorf("text %d: %d positions reused, expected %d", test.text, n, test.reused)
		}
		k.end()
	}
	// What is too long for the bound is not written, and drives nothing out.
	k = keptIn(t, dir, limit, gemma4.Loader{})
	long := slices.Concat(words(150, 1), words(600, 8))
	got, _ := k.read(t, gemma4.CacheF16, long)
	before, _ := filesIn(t, dir)
	k.save(t)
	if after, _ := filesIn(t, dir); !slices.Equal(before, after) || !got.equal(cold(t, m, gemma4.CacheF16, long)) {
		t.Errorf("a long text: %v, then %v", before, after)
	}
	// More is in memory than there may be in files: that does not go round and round.
	for i := range uint64(6) {
		k.read(t, gemma4.CacheF16, words(150, 20+i))
	}
	k.save(t)
	before, size := filesIn(t, dir)
	k.save(t)
	if after, _ := filesIn(t, dir); !slices.Equal(before, after) || len(after) != 3 || size > limit {
		t.Errorf("more than fits: %v, then %v, %d bytes", before, after, size)
	}
	k.end()
	k = keptIn(t, dir, 0, gemma4.Loader{})
	k.save(t)
	if paths, _ := filesIn(t, dir); len(paths) > 0 {
		t.Errorf("a bound of 0 bytes: %v", paths)
	}
}

// TestWritersThatWereKilledLeaveNothing that counts.
func TestWritersThatWereKilledLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	text := words(300, 1)
	k := keptIn(t, dir, roomy, gemma4.Loader{})
	want, _ := k.read(t, gemma4.CacheF16, text)
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if err := k.prefixes.Save(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("a Save whose context has ended: %v", err)
	}
	k.save(t)
	k.end()
	paths, _ := filesIn(t, dir)
	whole, err := os.ReadFile(paths[0])
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	old, young, foreign := paths[0]+".1.part", paths[0]+".2.part", filepath.Join(dir, "notes.1.part")
	for _, path := range []string{old, young, foreign} {
		if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{old, foreign} {
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(paths[0]); err != nil {
		t.Fatal(err)
	}
	k = keptIn(t, dir, roomy, gemma4.Loader{})
	if s := k.prefixes.Stats(); s.Files != 0 || len(k.ignored()) > 0 {
		t.Errorf("halves count: %+v, %v", s, k.ignored())
	}
	if left, _ := filesIn(t, dir); !slices.Equal(left, []string{young, foreign}) {
		t.Errorf("%v are left", left)
	}
	if got, n := k.read(t, gemma4.CacheF16, text); n != 0 || !got.equal(want) {
		t.Errorf("%d positions reused", n)
	}
}

// TestFoldersThatFailCostOnlyTheFolder: sessions go on.
func TestFoldersThatFailCostOnlyTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := openNano(t, gemma4.Loader{})
	p := gemma4.NewPrefixCache(roomy)
	defer p.Close()
	if err := p.Open(ctx, m, dir, roomy); err == nil || !strings.Contains(err.Error(), "gemma4: folder for prefixes "+dir) {
		t.Errorf("a file as the folder: %v", err)
	}
	if err := p.Open(ctx, m, t.TempDir(), -1); err == nil {
		t.Error("a bound below 0 is none")
	}
	if err := p.Save(ctx); err != nil {
		t.Errorf("no folder: %v", err)
	}
	os.Remove(dir)
	k := keptIn(t, dir, roomy, gemma4.Loader{})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	want, _ := k.read(t, gemma4.CacheF16, words(200, 1))
	k.save(t) // the folder comes back
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.prefixes.Save(ctx); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder that has become a file: %v", err)
	}
	if got, n := k.read(t, gemma4.CacheF16, words(200, 1)); n != 199 || !got.equal(want) {
		t.Errorf("the session has %d positions from the cache", n)
	}
	os.Remove(dir)
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 || runtime.GOOS == "windows" || runtime.GOOS == "plan9" {
		t.Log("whoever runs this test may write anywhere")
	} else if err := k.prefixes.Save(ctx); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a folder that cannot be written: %v", err)
	}
	k.Model.Close()
	if err := p.Open(ctx, k.Model, dir, roomy); err != gemma4.ErrClosed {
		t.Errorf("a closed model: %v", err)
	}
	p.Close()
	if err := p.Open(ctx, m, dir, roomy); err != gemma4.ErrClosed {
		t.Errorf("a closed cache: %v", err)
	}
}

// TestMappedPrefixesThatAreCutShort fail the request that meets them, not the next.
func TestMappedPrefixesThatAreCutShort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere files may be read instead of mapped, or end otherwise")
	}
	dir := t.TempDir()
	text := words(300, 1)
	k := keptIn(t, dir, roomy, gemma4.Loader{})
	want, _ := k.read(t, gemma4.CacheF16, text)
	k.save(t)
	k.end()
	k = keptIn(t, dir, roomy, gemma4.Loader{})
	if _, n := k.read(t, gemma4.CacheF16, text); n != 299 {
		t.Fatalf("%d positions reused", n)
	}
	paths, _ := filesIn(t, dir)
	if err := os.Truncate(paths[0], 4096); err != nil {
		t.Fatal(err)
	}
	s := newSession(t, k.Model, gemma4.SessionOptions{Prefixes: k.prefixes})
	if _, err := outcomeOf(s, text); err == nil {
		t.Error("what is not there was read")
	}
	if got, n := k.read(t, gemma4.CacheF16, text); n != 0 || !got.equal(want) {
		t.Errorf("the next one: %d positions reused, the same: %v", n, got.equal(want))
	}
	if lines := k.ignored(); len(lines) != 1 {
		t.Errorf("the log was told %q", lines)
	}
}

// TestTwoProgramsShareAFolder, with little room in it, so that each removes what the other has mapped.
func TestTwoProgramsShareAFolder(t *testing.T) {
	dir := t.TempDir()
	m := openNano(t, gemma4.Loader{})
	var texts [][]int32
	var want []outcome
	for i := range uint64(3) {
		beginning := words(140, i)
		texts = append(texts, beginning, slices.Concat(beginning, words(130, 10+i)))
	}
	for _, text := range texts {
		want = append(want, cold(t, m, gemma4.CacheF16, text))
	}
	rounds := 10
	if testing.Short() {
		rounds = 4
	}
	const limit = 700 << 10
	var programs sync.WaitGroup
	for program := range 2 {
		programs.Go(func() {
			r := rand.New(rand.NewPCG(uint64(program), 1))
			for range rounds / 2 {
				k := keptIn(t, dir, limit, gemma4.Loader{})
				done := make(chan struct{})
				var all sync.WaitGroup
				all.Go(func() {
					for more := true; more; runtime.Gosched() { // and once when all was read
						select {
						case <-done:
							more = false
						default:
						}
						if err := k.prefixes.Save(ctx); err != nil {
							t.Error(err)
						}
					}
				})
				for range 4 {
					i := r.IntN(len(texts))
					if got, n := k.read(t, gemma4.CacheF16, texts[i]); !got.equal(want[i]) {
						t.Errorf("text %d with %d positions reused is not what a session of its own gives", i, n)
					}
				}
				close(done)
				all.Wait()
				k.end()
			}
		})
	}
	programs.Wait()
	k := keptIn(t, dir, limit, gemma4.Loader{})
	k.save(t)
	paths, size := filesIn(t, dir)
	if size > limit || len(paths) == 0 {
		t.Errorf("%d files of %d bytes are left, %d are allowed", len(paths), size, limit)
	}
	for i, text := range texts {
		if got, _ := k.read(t, gemma4.CacheF16, text); !got.equal(want[i]) {
			t.Errorf("text %d is not what a session of its own gives", i)
		}
	}
	for _, line := range k.ignored() { // while one wrote what continues a file, the other removed that: it is of no use, and goes first
		if !strings.Contains(line, "its base") {
			t.Error(line)
		}
	}
}

// halt is a slog.Handler that waits when it is told of a file that was written.
type halt struct {
	*journal
	told, goOn chan struct{}
}

func (h *halt) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "prefix saved" {
		h.told <- struct{}{}
		<-h.goOn
	}
	return nil
}

func (h *halt) WithAttrs([]slog.Attr) slog.Handler { return h }

// TestNobodyWaitsForASave: sessions read and begin with texts while one is stuck.
func TestNobodyWaitsForASave(t *testing.T) {
	h := &halt{&journal{least: slog.LevelDebug}, make(chan struct{}), make(chan struct{})}
	m := openNano(t, gemma4.Loader{Logger: slog.New(h)})
	p := gemma4.NewPrefixCache(roomy)
	defer p.Close()
	if err := p.Open(ctx, m, t.TempDir(), roomy); err != nil {
		t.Fatal(err)
	}
	k := kept{m, p, nil}
	k.read(t, gemma4.CacheF16, words(200, 1))
	saved := make(chan error)
	go func() { saved <- p.Save(ctx) }()
	<-h.told
	if _, n := k.read(t, gemma4.CacheF16, words(200, 1)); n != 199 {
		t.Errorf("%d positions reused", n)
	}
	k.read(t, gemma4.CacheF16, words(200, 2))
	if s := p.Stats(); s.Texts != 2 {
		t.Errorf("%+v", s)
	}
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if err := p.Save(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait for another Save gets %v", err)
	}
	h.goOn <- struct{}{}
	go func() { <-h.told; h.goOn <- struct{}{} }() // the second text
	if err := <-saved; err != nil {
		t.Error(err)
	}
	if s := p.Stats(); s.Files != 2 {
		t.Errorf("%+v", s)
	}
}

// TestWhatWasReadFirstIsThereForOthers: a conversation of an agent, read before anybody asks.
func TestWhatWasReadFirstIsThereForOthers(t *testing.T) {
	dir := t.TempDir()
	o := gemma4.ChatOptions{System: strings.Repeat("The code of Mia is 4821. ", 20)}
	talk := []chat.Message{user("What is the code of Mia?"), {Role: "assistant", Content: "The code of Mia is 4821."}}
	var length int
	for _, restarted := range []bool{false, true} {
		k := keptIn(t, dir, roomy, gemma4.Loader{})
		q, err := k.NewQueue(gemma4.QueueOptions{Prefixes: k.prefixes})
		if err != nil {
			t.Fatal(err)
		}
		if !restarted {
			if err := q.Do(ctx, o, func(ctx context.Context, c *gemma4.Chat) error {
				c.Messages = talk
				err := c.Read(ctx)
				if length = c.Session().Len(); err == nil {
					err = c.Read(ctx) // nothing is left
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			k.save(t)
		}
		ask := func(o gemma4.ChatOptions, messages ...chat.Message) gemma4.Choice {
			o.Sampling.Temperature, o.MaxTokens = greedy.Temperature, 8
			pieces, err := q.Submit(ctx, gemma4.Request{ChatOptions: o, Messages: messages})
			if err != nil {
				t.Fatal(err)
			}
			choices, err := gemma4.CollectChoices(pieces)
			if err != nil {
				t.Fatal(err)
			}
			return choices[0]
		}
		c := newChat(t, k.Model, o)
		c.Messages = slices.Clone(talk)
		want, _, _ := answer(t, c, user("What is 2 + 3?"))
		got := ask(o, slices.Concat(talk, []chat.Message{user("What is 2 + 3?")})...)
		if got.Result.Reused != length || !strings.HasPrefix(want, got.Message.Content) {
			t.Errorf("restarted %v: it goes on with %+v, %d of %d positions reused, want %q",
				restarted, got, got.Result.Reused, length, want)
		}
		if got := ask(o, user("What is the capital of Peru?")); got.Result.Reused < length-60 {
			t.Errorf("restarted %v: another question has %d positions of the instruction reused", restarted, got.Result.Reused)
		}
		q.Close()
		k.end()
	}
}

// BenchmarkOpenPrefixes opens a folder with the beginning of an agent's texts, 5,000 tokens long, and continues that by one token.
func BenchmarkOpenPrefixes(b *testing.B) {
	dir := b.TempDir()
	k := keptIn(b, dir, roomy, gemma4.Loader{})
	text := words(5000, 1)
	s := newSession(b, k.Model, gemma4.SessionOptions{Prefixes: k.prefixes})
	began := time.Now()
	if err := s.Read(ctx, gemma4.Input{Tokens: text}); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	k.save(b)
	k.end()
	m := openNano(b, gemma4.Loader{})
	if _, err := m.Fingerprint(ctx); err != nil {
		b.Fatal(err)
	}
	var opened time.Duration
	for b.Loop() {
		began := time.Now()
		p := gemma4.NewPrefixCache(roomy)
		if err := p.Open(ctx, m, dir, roomy); err != nil {
			b.Fatal(err)
		}
		opened += time.Since(began)
		s, err := m.NewSession(gemma4.SessionOptions{Prefixes: p})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Read(ctx, gemma4.Input{Tokens: append(slices.Clip(text), 1)}); err != nil {
			b.Fatal(err)
		}
		if p.Stats().Reused != 5000 {
			b.Fatal(fmt.Sprint(p.Stats()))
		}
		s.Close()
		p.Close()
	}
	b.ReportMetric(float64(opened.Microseconds())/float64(b.N), "µs-open")
	b.ReportMetric(float64(took.Milliseconds()), "ms-read")
}
