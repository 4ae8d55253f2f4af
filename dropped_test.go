package gemma4_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/nano"
)

// TestDroppedModelsGiveEverythingBack opens models, uses them in every way that might hold on to them, and closes nothing.
func TestDroppedModelsGiveEverythingBack(t *testing.T) {
	p := gemma4.NewPrefixCache(64 << 20) // outlives them
	defer p.Close()
	path := filepath.Join(t.TempDir(), "dropped-nano.gguf")
	if err := os.WriteFile(path, nano.GGUF(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, width := range map[string]int{"mmproj-of-dropped-nano.gguf": 256, "mmproj-not-of-dropped-nano.gguf": 128} {
		metadata, tensors := testdata.Unified(t, width)
		if err := gguf.WriteFile(filepath.Join(filepath.Dir(path), name), metadata, tensors); err != nil {
			t.Fatal(err)
		}
	}
	before := runtime.NumGoroutine()
	use := func() {
		m, err := gemma4.Loader{Threads: 5}.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if c := m.Info().Companions; len(c) != 2 || c[0].Left == nil || c[1].Left != nil {
			t.Fatalf("companions: %+v", c)
		}
		s, err := m.NewSession(gemma4.SessionOptions{Prefixes: p, Progress: func(int, int) {}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Read(ctx, gemma4.Input{Tokens: words(200, 1)}); err != nil {
			t.Fatal(err)
		}
		fork, err := s.Fork()
		if err != nil {
			t.Fatal(err)
		}
		generate(t, fork, nil, gemma4.GenerateOptions{MaxTokens: 2})
		for range s.Generate(ctx, nil, gemma4.GenerateOptions{}) {
			break
		}
		c, err := m.NewChat(gemma4.ChatOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for range c.Ask(ctx, "Hello") {
			break
		}
		if err := m.Prefault(ctx, gemma4.PrefaultOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		use()
	}
	mapped := func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		return err == nil && strings.Contains(string(maps), "dropped-nano.gguf")
	}
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		runtime.GC()
		if runtime.NumGoroutine() <= before && !mapped() && p.Stats().Texts == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before; mapped: %v; prefix cache: %+v", runtime.NumGoroutine(), before, mapped(), p.Stats())
		}
	}
}

// TestAHeldSessionKeepsItsModel: it is not dropped as long as anything can still be done with it.
func TestAHeldSessionKeepsItsModel(t *testing.T) {
	s := func() *gemma4.Session {
		m, err := gemma4.OpenBytes(nano.GGUF())
		if err != nil {
			t.Fatal(err)
		}
		return newSession(t, m, gemma4.SessionOptions{})
	}()
	for range 5 {
		runtime.GC()
	}
	if err := s.Read(ctx, gemma4.Input{Tokens: words(20, 1)}); err != nil {
		t.Error(err)
	}
}
