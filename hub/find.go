package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/cause"
)

// Find returns the model that a name means among those that are on this machine: a file, or what lies in the store or in the cache of
// another program. It uses no network, and so does not know whether the hub has another one by now. The error wraps [ErrNotFound] if there
// is none.
func (h *Hub) Find(ctx context.Context, text string) (*Model, error) {
	n, err := h.parse(text)
	if err != nil {
		return nil, err
	}
	if n.file != "" {
		return fileModel(n.file)
	}
	if err := cause.Of(ctx); err != nil {
		return nil, err
	}
	s, _, why := h.shelf(n)
	if r := s.meant(n); r != nil {
		if why = r.whole(); why == nil {
			return r.model(), nil
		}
	}
	for _, c := range h.caches() {
		m, err := c.find(n)
		if m != nil {
			return m, nil
		}
		why = errors.Join(why, err)
	}
	if why != nil {
		says := strings.ReplaceAll(strings.ReplaceAll(why.Error(), "hub: ", ""), "\n", "; ")
		return nil, missingf("hub: %s is not on this machine (%s)", text, says)
	}
	return nil, missingf("hub: %s is not on this machine", text)
}

// fileModel returns the model in a file, with all parts of a split one. If some are missing, whoever opens the file says so.
func fileModel(file string) (*Model, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	alone := &Model{Name: file, Place: "file", Files: []string{file}, Bytes: info.Size()}
	prefix, _, count, split := gguf.ParsePartName(file)
	if !split {
		return alone, nil
	}
	whole := &Model{Name: file, Place: "file"}
	for number := 1; number <= count; number++ {
		part := fmt.Sprintf("%s-%05d-of-%05d.gguf", prefix, number, count)
		info, err := os.Stat(part)
		if err != nil {
			return alone, nil
		}
		whole.add(modelRole, part, info.Size())
	}
	return whole, nil
}

// List returns the models that are on this machine: those in the store, in the order of their folders, then those in the caches of other
// programs. The error tells what could not be looked at, and what is not all here; the others are returned all the same.
func (h *Hub) List() (all []Model, err error) {
	home, err := h.Folder()
	if err == nil {
		if _, err = readDir(home); err != nil {
			err = fmt.Errorf("hub: %w", err)
		}
	}
	seen := map[string]bool{} // paths
	add := func(m *Model) {
		if !seen[m.Files[0]] {
			seen[m.Files[0]] = true
			all = append(all, *m)
		}
	}
	var found []string
	if err == nil {
		found, err = fs.Glob(os.DirFS(home), "*/*/*/*.gguf"+recordEnd)
	}
	for _, file := range found {
		r, e := readRecord(filepath.Join(home, filepath.FromSlash(file)))
		if e == nil {
			e = r.whole()
		}
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		add(r.model())
	}
	err = errors.Join(err, unfinished(home))
	for _, c := range h.caches() {
		models, e := c.list()
		err = errors.Join(err, e)
		for i := range models {
			add(&models[i])
		}
	}
	return all, err
}

// unfinished returns an error that tells which models of the store are not all here: being fetched now, or left by a fetch that was cut
// short.
func unfinished(home string) error {
	found, _ := fs.Glob(os.DirFS(home), "*/*/*/*.gguf"+recordEnd+newEnd)
	var names []string
	for _, file := range found {
		if r, err := readRecord(filepath.Join(home, filepath.FromSlash(file))); err == nil {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("hub: not all here: %s; fetched by another call, or cut short and gone on with when pulled again",
		strings.Join(names, ", "))
}

// Remove removes the model that a name means from the store: its parts, its companions unless another model has them too, its record, and
// what unfinished fetches have left of it. Of what lies elsewhere only the record goes. The error wraps [ErrNotFound] if the store has
// nothing of that name.
func (h *Hub) Remove(text string) error {
	n, err := h.parse(text)
	if err != nil {
		return err
	}
	if n.file != "" {
		return fmt.Errorf("hub: %s is a file; models in the store are removed by the names that they have there", text)
	}
	s, _, err := h.shelf(n)
	if err != nil {
		return err
	}
	found, err := s.drop(n)
	if err != nil {
		return err
	}
	folder := s.folder
	for range 3 { // REPO, OWNER and HOST, of which the last that is not empty stays
		if os.Remove(folder) != nil {
			break
		}
		folder = filepath.Dir(folder)
	}
	if !found {
		for _, c := range h.caches() {
			if m, _ := c.find(n); m != nil {
				return missingf("hub: %s is not in the store: it lies in %s, which is %s's", text, c.Dir, c.Program)
			}
		}
		return missingf("hub: %s is not in the store", text)
	}
	return nil
}

// shelf returns the folder of the store for what a name means, and the hub that it is for. After an error the shelf is empty.
func (h *Hub) shelf(n name) (*shelf, source, error) {
	from, folder, err := h.source(n)
	if err != nil {
		return new(shelf), nil, err
	}
	s, err := openShelf(folder)
	if err != nil {
		return new(shelf), nil, err
	}
	return s, from, nil
}

// source returns the hub that a name is for, and the folder of the store for what it means there.
func (h *Hub) source(n name) (s source, folder string, err error) {
	home, err := h.Folder()
	if err != nil {
		return nil, "", err
	}
	if n.ollama {
		r, err := h.registry(n)
		if err != nil {
			return nil, "", err
		}
		return r, filepath.Join(home, n.folder(r.host)), nil
	}
	f, err := h.huggingface()
	if err != nil {
		return nil, "", err
	}
	return f, filepath.Join(home, n.folder(f.host)), nil
}

func (h *Hub) caches() []Cache {
	if h.Caches != nil {
		return h.Caches
	}
	return Caches()
}
