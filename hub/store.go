package hub

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/internal/download"
)

// A record says what a model in the store is, in the file NAME.gguf.json beside its first part. In NAME.gguf.json.new one says what it is
// going to be, from before anything of it is there until all is done, so that a call that is cut short leaves nothing nobody knows of.
type record struct {
	Name     string       `json:"name"`     // as in Model
	Names    []string     `json:"names"`    // that meant this model when they were last asked for, Name among them
	Source   string       `json:"source"`   // as in Model
	Revision string       `json:"revision"` // likewise
	Files    []recordFile `json:"files"`    // the model's parts in their order, then the others

	// Left are files of the record before this one that this one does not have, in NAME.gguf.json.new only.
	Left []recordFile `json:"left,omitempty"`

	path string // of the record, when all is done
}

type recordFile struct {
	Role    role   `json:"role"`
	File    string `json:"file"` // its name beside the record; an absolute path if it lies in a cache of another program, Place
	Place   string `json:"place,omitempty"`
	Path    string `json:"path"` // in the repository
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256,omitempty"`
	GitSHA1 string `json:"git_sha1,omitempty"`
}

// recordEnd is what the name of a record has behind that of the model's file, recordBegin what it begins with as it is written, maxRecord
// the size that is read.
const (
	recordEnd   = ".json"
	recordBegin = ".record-"
	maxRecord   = 1 << 20
)

// Folder returns the folder of the store, which need not be there.
func (h *Hub) Folder() (string, error) {
	if h.Home != "" {
		return h.Home, nil
	}
	if home := os.Getenv("GEMMA4_HOME"); home != "" {
		return home, nil
	}
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) { // as its specification has it
		data = ""
	}
	if local := os.Getenv("LocalAppData"); data == "" && runtime.GOOS == "windows" && local != "" {
		data = local
	}
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("hub: no folder for models: %w; GEMMA4_HOME may name one", err)
		}
		switch runtime.GOOS {
		case "darwin", "ios":
			data = filepath.Join(home, "Library", "Application Support")
		case "plan9":
			data = filepath.Join(home, "lib")
		default:
			data = filepath.Join(home, ".local", "share")
		}
	}
	return filepath.Join(data, "gemma4"), nil
}

// readSmall reads a file of at most limit bytes. What is no file is not opened: a pipe would be waited for.
func readSmall(path string, limit int64) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return text, err
}

// readRecord reads a record and checks that it names nothing outside.
func readRecord(path string) (*record, error) {
	text, err := readSmall(path, maxRecord)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	r := &record{path: path}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("hub: %s: %w", path, err)
	}
	if len(r.Files) == 0 || r.Files[0].Role != modelRole {
		return nil, fmt.Errorf("hub: %s: no file of a model", path)
	}
	for _, f := range slices.Concat(r.Files, r.Left) {
		if f.Size < 0 || f.own() && !isFileName(f.File) || !f.own() && !filepath.IsAbs(f.File) {
			return nil, fmt.Errorf("hub: %s: %q of %d bytes is no file that the store has", path, f.File, f.Size)
		}
	}
	return r, nil
}

// own reports whether the file is the store's.
func (f recordFile) own() bool { return f.Place == "" }

// at returns the path of a file of the record.
func (r *record) at(f recordFile) string {
	if f.own() {
		return filepath.Join(filepath.Dir(r.path), f.File)
	}
	return f.File
}

// write writes the record to its path, or what it is called until all is done, so that it is there whole or not at all.
func (r *record) write(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(r.path), recordBegin+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// model returns the model that a record describes.
func (r *record) model() *Model {
	m := &Model{Name: r.Name, Source: r.Source, Place: "store", Revision: r.Revision, Hashes: map[string]string{}}
	for _, f := range r.Files {
		m.add(f.Role, r.at(f), f.Size)
		m.Hashes[r.at(f)] = f.SHA256 + f.GitSHA1
		if f.Role == modelRole && !f.own() {
			m.Place = f.Place
		}
	}
	return m
}

// whole returns an error if not all files of the record are there with their sizes.
func (r *record) whole() error {
	for _, f := range r.Files {
		if err := isThere(r.at(f), f.Size); err != nil {
			return err
		}
	}
	return nil
}

// isThere returns an error if there is no file of that size at path.
func isThere(path string, size int64) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("hub: %w", err)
	case !info.Mode().IsRegular() || info.Size() != size:
		return fmt.Errorf("hub: %s has %d bytes, expected %d", path, info.Size(), size)
	}
	return nil
}

// add adds a file to a model.
func (m *Model) add(r role, path string, size int64) {
	switch r {
	case modelRole:
		m.Files = append(m.Files, path)
	case projectorRole:
		m.Projector = path
	case drafterRole:
		m.Drafter = path
	case adapterRole:
		m.Adapters = append(m.Adapters, path)
	default:
		if m.Notes == nil {
			m.Notes = map[string]string{}
		}
		m.Notes[string(r)] = cmp.Or(m.Notes[string(r)], path) // the first of several licences
	}
	m.Bytes += size
}

// A shelf is a folder of the store: what it has of one repository at one revision.
type shelf struct {
	folder  string
	records []*record // in the order of their names
	begun   []*record // of what is being fetched, or was when it was cut short
}

// openShelf reads the records in a folder, which need not be there. One that cannot be read is as none: what it told of is fetched again.
func openShelf(folder string) (*shelf, error) {
	s := &shelf{folder: folder}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("hub: %w", err)
	}
	for _, e := range entries {
		name, begun := strings.CutSuffix(e.Name(), newEnd)
		if !strings.HasSuffix(name, ".gguf"+recordEnd) || !isFileName(name) {
			continue
		}
		r, err := readRecord(filepath.Join(folder, e.Name()))
		if err != nil {
			continue
		}
		if r.path = filepath.Join(folder, name); begun {
			s.begun = append(s.begun, r)
		} else {
			s.records = append(s.records, r)
		}
	}
	return s, nil
}

// meant returns the record that a name means, nil if none does.
func (s *shelf) meant(n name) *record { return meant(s.records, n) }

// meant returns the one of the records that a name means, nil if none does: of the model that it meant when it was last asked for, or else
// of the one that it would mean if there were no others in the repository.
func meant(all []*record, n name) *record {
	for _, r := range all {
		if slices.Contains(r.Names, n.String()) {
			return r
		}
	}
	if n.ollama { // its tags are whole words
		return nil
	}
	var files []entry
	for _, r := range all {
		for _, f := range r.Files {
			if f.Role == modelRole {
				files = append(files, entry{path: f.Path})
			}
		}
	}
	c, err := choose(files, n.tag)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(all, func(r *record) bool { return r.Files[0].Path == c.model[0].path })
	if i < 0 {
		return nil
	}
	return all[i]
}

// has returns where a file with the content of f is by one of the records, and whose it is there; "" if it is not there.
func (s *shelf) has(f recordFile) (file, place string) {
	for _, r := range s.records {
		for _, g := range r.Files {
			if g.Path == f.Path && g.Size == f.Size && g.SHA256 == f.SHA256 && g.GitSHA1 == f.GitSHA1 && isThere(r.at(g), g.Size) == nil {
				return g.File, g.Place
			}
		}
	}
	return "", ""
}

// claims reports whether one of the records has a file of that name.
func (s *shelf) claims(file string) bool {
	return slices.ContainsFunc(s.records, func(r *record) bool {
		return slices.ContainsFunc(r.Files, func(f recordFile) bool { return f.own() && strings.EqualFold(f.File, file) })
	})
}

// tells reports whether there is nothing to be written for a record, so that a store that cannot be written to can be used.
func (s *shelf) tells(r *record) bool {
	if slices.ContainsFunc(s.begun, func(b *record) bool { return b.path == r.path }) {
		return false
	}
	return slices.ContainsFunc(s.records, func(old *record) bool {
		same := *r
		same.Names = old.Names
		return reflect.DeepEqual(*old, same) && !slices.ContainsFunc(r.Names, func(n string) bool { return !slices.Contains(old.Names, n) })
	})
}

// begin writes down what a model is going to be, if anything has to change for that.
func (s *shelf) begin(r *record, missing bool) error {
	for _, before := range slices.Concat(s.records, s.begun) {
		if before.path != r.path {
			continue
		}
		for _, f := range slices.Concat(before.Files, before.Left) {
			same := func(g recordFile) bool { return g.own() && strings.EqualFold(g.File, f.File) }
			if f.own() && !slices.ContainsFunc(r.Files, same) && !slices.ContainsFunc(r.Left, same) {
				r.Left = append(r.Left, f)
			}
		}
	}
	if !missing && len(r.Left) == 0 {
		return nil
	}
	if err := r.write(r.path + newEnd); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	return nil
}

// put writes a record and brings the others in line with it: the names are its own from now on, and so are the facts of files that others
// have too. What is left of the record before it goes.
func (s *shelf) put(r *record) error {
	left := r.Left
	r.Left = nil
	if err := r.write(r.path); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	for _, other := range s.records {
		if other.path == r.path {
			continue
		}
		changed := false
		other.Names = slices.DeleteFunc(other.Names, func(n string) bool {
			mine := slices.Contains(r.Names, n)
			changed = changed || mine
			return mine
		})
		for i, f := range other.Files {
			j := slices.IndexFunc(r.Files, func(g recordFile) bool { return g.own() && g.Role == f.Role && g.File == f.File })
			if j >= 0 && r.Files[j] != f {
				other.Files[i], changed = r.Files[j], true
			}
		}
		if changed {
			if err := other.write(other.path); err != nil {
				return fmt.Errorf("hub: %w", err)
			}
		}
	}
	s.records = append(slices.DeleteFunc(s.records, func(other *record) bool { return other.path == r.path }), r)
	if err := s.end(r, slices.Concat(r.Files, left)); !errors.Is(err, download.ErrBusy) {
		return err
	}
	return nil // somebody else fetches what is newer
}

// end removes what is called otherwise than a record says of some of its files, those among them that no record claims, and the record of
// what was begun.
func (s *shelf) end(r *record, files []recordFile) error {
	for _, f := range files {
		if !f.own() {
			continue
		}
		path := r.at(f)
		for _, path := range []string{path, path + newEnd} {
			if err := download.Discard(path); err != nil {
				return fmt.Errorf("hub: %s: %w", f.File, err)
			}
		}
		unclaimed := []string{path + newEnd}
		if !s.claims(f.File) && isThere(path, f.Size) == nil { // not what a person has put there
			unclaimed = append(unclaimed, path)
		}
		for _, path := range unclaimed {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("hub: %w", err)
			}
		}
	}
	if err := os.Remove(r.path + newEnd); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hub: %w", err)
	}
	return nil
}

// drop removes what a name means: its record, those of its files that are the store's and no other record's, and what is left of a call
// that was cut short. It reports whether there was anything.
func (s *shelf) drop(n name) (found bool, err error) {
	r := meant(s.records, n)
	if r == nil {
		if r = meant(s.begun, n); r == nil {
			return false, nil
		}
	}
	files := r.Files
	for _, b := range s.begun {
		if b.path == r.path {
			files = slices.Concat(files, b.Files, b.Left)
		}
	}
	s.records = slices.DeleteFunc(s.records, func(other *record) bool { return other.path == r.path })
	if err := s.end(r, files); err != nil {
		return true, err
	}
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) { // the last, so that this can be done again
		return true, fmt.Errorf("hub: %w", err)
	}
	entries, _ := os.ReadDir(s.folder)
	for _, e := range entries { // a record that somebody wrote when he was killed
		if strings.HasPrefix(e.Name(), recordBegin) && len(s.records) == 0 {
			os.Remove(filepath.Join(s.folder, e.Name()))
		}
	}
	return true, nil
}
