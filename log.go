package gemma4

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// silent is the logger where none was given.
var silent = slog.New(slog.DiscardHandler)

// logOpened tells what was opened, and how it runs.
func (m *Model) logOpened(file, why string) {
	if !m.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	info := m.Info()
	architecture, _ := m.file.Metadata.Text("general.architecture")
	m.log.Info("model opened", "file", file, "architecture", architecture, "name", info.Name, "bytes", info.Bytes,
		"parameters", info.Parameters, "context", info.Context, "kernels", info.Level, "threads", info.Threads, "why", why)
	if err := m.graph.Unknown(); err != nil {
		m.log.Warn("unknown keys or tensors allowed", "file", file, "error", err)
	}
	if m.templateErr != nil {
		m.log.Warn("chat template cannot be used", "file", file, "error", m.templateErr)
	}
}

// told remembers what the log was told, so as to tell it once; not for ever, for there may be no end of it.
type told struct {
	mu    sync.Mutex
	texts map[string]bool
}

// first reports whether a text is new.
func (t *told) first(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.texts[text] {
		return false
	}
	if len(t.texts) >= 256 || t.texts == nil {
		t.texts = map[string]bool{}
	}
	t.texts[text] = true
	return true
}

// logLoosened tells of keywords that a grammar does not enforce.
func (m *Model) logLoosened(keywords []string) {
	if len(keywords) > 0 && m.loosened.first(strings.Join(keywords, "\n")) {
		m.log.Warn("keywords of schemas not enforced", "keywords", keywords)
	}
}

// logRewind tells of positions of a text that have to be read again because the history does not hold them.
func (s *Session) logRewind(wanted, left int) {
	if left < wanted {
		s.m.log.Debug("rewound further than wanted", "wanted", wanted, "left", left)
	}
}

// log tells what became of a companion.
func (c *CompanionInfo) log(log *slog.Logger) {
	if c.Left != nil {
		log.Info("companion left", "kind", c.Kind, "file", c.File, "error", c.Left)
		return
	}
	log.Info("companion opened", "kind", c.Kind, "file", c.File, "about", c.About, "bytes", c.Bytes)
}
