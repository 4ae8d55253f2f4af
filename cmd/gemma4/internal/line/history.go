package line

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// History is what was said before, oldest first, also in a file if it has one: a JSON string per line.
type History struct {
	path    string
	entries []string
}

// A history keeps so many entries, in the file none that is longer. The file may hold twice as many before it is written anew.
const keptEntries, keptBytes = 1000, 16 << 10

// OpenHistory returns the history that is kept in a file, which need not be there yet.
func OpenHistory(path string) (*History, error) {
	h := &History{path: path}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, os.MkdirAll(filepath.Dir(path), 0o700)
	} else if err != nil {
		return h, err
	}
	lines := 0
	for s := bufio.NewScanner(f); s.Scan(); lines++ { // up to a line that is too long: it is none of ours
		var text string
		if json.Unmarshal(s.Bytes(), &text) == nil {
			h.remember(text)
		}
	}
	f.Close() // Windows replaces no open file
	if lines > 2*keptEntries {
		return h, h.rewrite()
	}
	return h, nil
}

// Add adds a text, if it is not the last one anyhow.
func (h *History) Add(text string) error {
	if !h.remember(text) || h.path == "" || len(text) > keptBytes {
		return nil
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	line := encode(text)
	var last [1]byte
	if n, err := f.Seek(0, io.SeekEnd); err == nil && n > 0 {
		if _, err := f.ReadAt(last[:], n-1); err == nil && last[0] != '\n' { // the disk was full in the midst of a line
			line = append([]byte{'\n'}, line...)
		}
	}
	_, err = f.Write(line) // at once: other programs add to it, too
	return errors.Join(err, f.Close())
}

func (h *History) remember(text string) bool {
	if n := len(h.entries); text == "" || n > 0 && h.entries[n-1] == text {
		return false
	}
	h.entries = append(h.entries, text)
	if len(h.entries) > keptEntries {
		h.entries = h.entries[1:]
	}
	return true
}

// rewrite replaces the file by what is remembered.
func (h *History) rewrite() error {
	part := fmt.Sprintf("%s.%d", h.path, os.Getpid())
	var all []byte
	for _, text := range h.entries {
		all = append(all, encode(text)...)
	}
	err := os.WriteFile(part, all, 0o600)
	if err == nil {
		err = os.Rename(part, h.path)
	}
	if err != nil {
		os.Remove(part)
	}
	return err
}

func encode(text string) []byte {
	b, _ := json.Marshal(text) // a string always can be
	return append(b, '\n')
}
