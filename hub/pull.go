package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gogemma/gemma4/internal/download"
)

// newEnd is what a file that takes the place of another has behind its name until all files of its model are there.
const newEnd = ".new"

// Pull returns the model that a name means, as the hub has it now, with what is to come along. What is not on this machine is fetched into
// the store; what is there already is used where it is, the hub is only asked whether it is still the same. Where a branch has moved, the
// new files take the place of the old ones when all of them are there. What came along before comes along again. Without a network, or
// without wanting to know, use [Hub.Find].
//
// However it ends, there is never a file under its name that is not whole, with the hash that the hub told. What has come stays, and the
// next call goes on from there. A pull of the same file by another process at the same time is an error.
func (h *Hub) Pull(ctx context.Context, text string, with With) (*Model, error) {
	n, err := h.parse(text)
	if err != nil {
		return nil, err
	}
	if n.file != "" {
		return h.Find(ctx, text)
	}
	if h.isOffline() {
		m, err := h.Find(ctx, text)
		if err == nil && (with.Projector && m.Projector == "" || with.Drafter && m.Drafter == "") {
			err = missingf("hub: not all that is to come along with %s is on this machine", text)
		}
		if err != nil {
			return nil, fmt.Errorf("%w, and the network is not to be used (HF_HUB_OFFLINE)", err)
		}
		return m, nil
	}
	s, from, err := h.shelf(n)
	if err != nil {
		return nil, err
	}
	o, err := from.resolve(ctx, n, with)
	if err != nil {
		return nil, err
	}
	if more := s.along(o, with); more != with {
		switch all, err := from.resolve(ctx, n, more); {
		case err == nil:
			o = all
		case !errors.Is(err, ErrNotFound): // there any more
			return nil, err
		}
	}
	r, missing, err := h.plan(ctx, s, n, o)
	if err != nil {
		return nil, err
	}
	if len(missing) == 0 && s.tells(r) {
		return r.model(), r.whole()
	}
	if err := s.begin(r, len(missing) > 0); err != nil {
		return nil, err
	}
	if err := h.fetch(ctx, s, o, r, missing); err != nil {
		return nil, err
	}
	if err := r.whole(); err != nil {
		return nil, err
	}
	return r.model(), s.put(r)
}

// plan returns the record that an offer leads to, and the indices of the files that are nowhere yet: their names are those that they will
// have in the store.
func (h *Hub) plan(ctx context.Context, s *shelf, n name, o *offer) (r *record, missing []int, err error) {
	r = &record{Name: o.name.String(), Names: []string{o.name.String()}, Source: o.source, Revision: o.revision}
	if asked := n.String(); asked != r.Name {
		r.Names = append(r.Names, asked)
	}
	parts := 0
	for _, f := range o.files {
		if !isFileName(f.stored) {
			return nil, nil, fmt.Errorf("hub: %s: no file here can have the name %q", o.source, f.stored)
		}
		r.Files = append(r.Files, recordFile{f.role, f.stored, "", f.path, f.size, f.sha256, f.gitSHA1})
		if f.role == modelRole {
			parts++
		}
	}
	if parts == 0 || r.Files[parts-1].Role != modelRole || !isGGUF(r.Files[0].File) {
		return nil, nil, fmt.Errorf("hub: %s offers no GGUF file of a model", o.source)
	}
	stored := r.Files[0].File
	places := []place{func(i int) (file, program string) { return s.has(r.Files[i]) }}
	for _, c := range h.caches() {
		places = append(places, func(i int) (file, program string) { return c.file(ctx, n, o.revision, o.files[i].entry), c.Program })
	}
	for from, to := 0, parts; from < len(r.Files); from, to = to, to+1 {
		if locate(r.Files, from, to, places) {
			continue
		}
		for i := from; i < to; i++ { // parts of which others are missing
			if file, program := s.has(r.Files[i]); file != "" && program == "" {
				r.Files[i].File = file
			} else {
				missing = append(missing, i)
			}
		}
	}
	if r.Files[0].own() {
		stored = r.Files[0].File
	}
	r.path = filepath.Join(s.folder, stored+recordEnd)
	return r, missing, nil
}

// along returns with, and what has come along before with the model that is offered.
func (s *shelf) along(o *offer, with With) With {
	for _, r := range s.records {
		if len(o.files) > 0 && r.Files[0].Path == o.files[0].path {
			m := r.model()
			with.Projector, with.Drafter = with.Projector || m.Projector != "", with.Drafter || m.Drafter != ""
		}
	}
	return with
}

// A place tells where it has the i-th file of an offer, and whose it is there; "" if it has not.
type place func(i int) (file, program string)

// locate finds files [from, to) in the first place that has all of them in one folder, and says in files where.
func locate(files []recordFile, from, to int, places []place) bool {
	for _, at := range places {
		found := slices.Clone(files[from:to])
		all := true
		for i := range found {
			f := &found[i]
			f.File, f.Place = at(from + i)
			all = all && f.File != "" && f.Place == found[0].Place && filepath.Dir(f.File) == filepath.Dir(found[0].File)
		}
		if all {
			copy(files[from:to], found)
			return true
		}
	}
	return false
}

// fetch fetches the missing files of a record.
func (h *Hub) fetch(ctx context.Context, s *shelf, o *offer, r *record, missing []int) error {
	if len(missing) == 0 {
		return nil
	}
	var files []download.File
	replaced := map[string]string{} // by what the file is called until then
	total := int64(0)
	for _, i := range missing {
		f, path := o.files[i], r.at(r.Files[i])
		if _, err := os.Lstat(path + newEnd); err == nil || s.claims(f.stored) { // the first of a pull that was killed as it renamed
			replaced[path+newEnd] = path
			path += newEnd
		}
		files = append(files, download.File{URL: f.url, Path: path, Size: f.size, SHA256: f.sha256, GitSHA1: f.gitSHA1, Header: f.header})
		total += f.size
	}
	options := download.Options{Client: h.Client}
	if h.Progress != nil {
		m := r.model()
		options.Progress = func(done, total int64) { h.Progress(m, done, total) }
		h.Progress(m, 0, total)
	}
	if err := download.Fetch(ctx, files, options); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	if len(replaced) == 0 {
		return nil
	}
	// Until all have their names, no record may tell of them: not all are of one commit.
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hub: %w", err)
	}
	for from, to := range replaced {
		if err := os.Rename(from, to); err != nil {
			return fmt.Errorf("hub: %w", err)
		}
	}
	return nil
}
