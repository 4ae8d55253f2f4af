package gemma4_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/nano"
)

// journal is a slog.Handler that keeps what it is told.
type journal struct {
	least slog.Level
	mu    sync.Mutex
	lines []line
}

type line struct {
	message string
	values  map[string]any
}

func (j *journal) Enabled(_ context.Context, l slog.Level) bool { return l >= j.least }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler           { return j }
func (j *journal) WithGroup(string) slog.Handler                { return j }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	l := line{r.Message, map[string]any{}}
	r.Attrs(func(a slog.Attr) bool {
		l.values[a.Key] = a.Value.Any()
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, l)
	return nil
}

// take returns the values that came with the only line of a message and forgets it.
func (j *journal) take(t *testing.T, message string) map[string]any {
	t.Helper()
	i := slices.IndexFunc(j.lines, func(l line) bool { return l.message == message })
	if i < 0 {
		t.Fatalf("no %q among %v", message, j.lines)
	}
	l := j.lines[i]
	j.lines = slices.Delete(j.lines, i, i+1)
	return l.values
}

func TestTheLoggerIsToldWhatWasOpenedAndHowItRuns(t *testing.T) {
	projector, drafter := companions(t)
	m, tensors := testdata.Drafter(t, 128, 2048, 128, 64)
	path := filepath.Join(folder(t,
		map[string][]byte{"nano.gguf": nano.GGUF(), "mmproj.gguf": projector, "mtp-x.gguf": testdata.Bytes(t, m, tensors)}), "nano.gguf")
	j := &journal{least: slog.LevelInfo}
	model, err := gemma4.Loader{Threads: 3, Logger: slog.New(j)}.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info := model.Info()
	opened := j.take(t, "model opened")
	for key, want := range map[string]any{"file": path, "architecture": "gemma4", "name": info.Name, "bytes": info.Bytes,
		"parameters": info.Parameters,
		"kernels":    info.Level, "threads": int64(3), "why": "as Loader.Threads says", "context": int64(info.Context)} {
		if opened[key] != want {
			t.Errorf("%s is %v, expected %v", key, opened[key], want)
		}
	}
	if v := j.take(t, "companion opened"); v["kind"] != "projector" || v["about"] != "images (gemma4uv), sounds (gemma4ua)" ||
		filepath.Base(v["file"].(string)) != "mmproj.gguf" {
		t.Errorf("%v", v)
	}
	if v := j.take(t, "companion left"); v["kind"] != "drafter" ||
		!strings.Contains(v["error"].(error).Error(), "embedding_length_out is 128") {
		t.Errorf("%v", v)
	}
	model.Close()
	model.Close()
	j.take(t, "model closed")
	if len(j.lines) != 0 {
		t.Errorf("and %v", j.lines)
	}
	if _, err := (gemma4.Loader{Logger: slog.New(j), Drafter: gemma4.Companion{Bytes: drafter}}).OpenBytes(nano.GGUF()); err != nil {
		t.Fatal(err)
	}
	if v := j.take(t, "model opened"); v["file"] != "bytes" || v["why"] == "as Loader.Threads says" || v["why"] == "" {
		t.Errorf("%v", v)
	}
}

func TestTheLoggerIsToldOfUnknownKeysThatWereAllowed(t *testing.T) {
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := f.Metadata.Clone()
	if err := m.Set("gemma4.attention.wobble", true); err != nil {
		t.Fatal(err)
	}
	j := &journal{}
	model, err := gemma4.Loader{AllowUnknown: true, Logger: slog.New(j)}.OpenBytes(testdata.Bytes(t, m, testdata.Sources(t, f)))
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	if v := j.take(t, "unknown keys or tensors allowed"); !strings.Contains(v["error"].(error).Error(), "gemma4.attention.wobble") {
		t.Errorf("%v", v)
	}
}

// TestTheLoggerIsToldWhatGoesOnUnderneath, with debug alone, and never of any text.
func TestTheLoggerIsToldWhatGoesOnUnderneath(t *testing.T) {
	j := &journal{least: slog.LevelDebug}
	m := openNano(t, gemma4.Loader{Logger: slog.New(j)})
	j.lines = nil
	read := func(s *gemma4.Session, ids []int32) {
		t.Helper()
		if err := s.Read(ctx, gemma4.Input{Tokens: ids}); err != nil {
			t.Fatal(err)
		}
	}
	s := newSession(t, m, gemma4.SessionOptions{History: -1})
	read(s, words(300, 1))
	if left, err := s.Rewind(100); err != nil || left == 100 {
		t.Fatal(left, err)
	} else if v := j.take(t, "rewound further than wanted"); v["wanted"] != int64(100) || v["left"] != int64(left) {
		t.Errorf("%v", v)
	}
	s = newSession(t, m, gemma4.SessionOptions{History: -1})
	read(s, words(300, 1))
	if left, err := s.Reuse(words(300, 1)[:120]); err != nil || left >= 119 {
		t.Fatal(left, err)
	} else if v := j.take(t, "rewound further than wanted"); v["wanted"] != int64(119) || v["left"] != int64(left) || len(j.lines) != 0 {
		t.Errorf("%v, and %v", v, j.lines)
	}
	read(s, words(200, 1))

	p := gemma4.NewPrefixCache(s.CacheBytes() * 3 / 2)
	defer p.Close()
	for _, seed := range []uint64{1, 1, 2, 3} {
		read(newSession(t, m, gemma4.SessionOptions{Prefixes: p}), words(200, seed))
	}
	if v := j.take(t, "prefix reused"); v["positions"] != int64(199) {
		t.Errorf("%v", v)
	}
	if v := j.take(t, "cached prefix evicted"); v["positions"] != int64(200) || v["bytes"].(int64) <= 0 {
		t.Errorf("%v", v)
	}

	path := filepath.Join(t.TempDir(), "talk")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	if v := j.take(t, "session file replaced"); v["file"] != path || v["positions"] != int64(s.Len()) || v["bytes"].(int64) <= 0 {
		t.Errorf("%v", v)
	}
	read(s, words(10, 1))
	if err := s.Update(path); err != nil {
		t.Fatal(err)
	}
	if v := j.take(t, "session file updated"); v["file"] != path || v["positions"] != int64(s.Len()) {
		t.Errorf("%v", v)
	}

	c := newChat(t, m, gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Context: 120}, Full: gemma4.FullDrop})
	for range 6 {
		if _, err := c.Answer(ctx, "What is the capital of France?"); err != nil {
			t.Fatal(err)
		}
	}
	if v := j.take(t, "messages dropped"); v["messages"].(int64) <= 0 {
		t.Errorf("%v", v)
	}
	for _, l := range j.lines {
		for _, v := range l.values {
			if s, ok := v.(string); ok && (strings.Contains(s, "capital") || strings.Contains(s, "Paris")) {
				t.Errorf("%v", l)
			}
		}
	}
}
