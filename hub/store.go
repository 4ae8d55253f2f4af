package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A record says what a model in the store is, in the file NAME.gguf.json beside its first part.
type record struct {
	Name     string       `json:"name"`     // as in Model
	Names    []string     `json:"names"`    // that meant this model when they were last asked for, Name among them
	Source   string       `json:"source"`   // as in Model
	Revision string       `json:"revision"` // likewise
	Files    []recordFile `json:"files"`    // the model's parts in their order, then the others

	path string // of the record
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

// recordEnd is what the name of a record has behind that of the model's file, maxRecord the size that is read.
const (
	recordEnd = ".json"
	maxRecord = 1 << 20
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

// readSmall reads a file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
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
	for _, f := range r.Files {
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

// write writes the record, so that it is there whole or not at all.
func (r *record) write() error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(r.path), ".record-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), r.path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// model returns the model that a record describes, or an error if it is not there whole.
func (r *record) model() (*Model, error) {
	m := &Model{Name: r.Name, Source: r.Source, Place: "store", Revision: r.Revision, Hashes: map[string]string{}}
	for _, f := range r.Files {
		path := r.at(f)
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("hub: %w", err)
		case !info.Mode().IsRegular() || info.Size() != f.Size:
			return nil, fmt.Errorf("hub: %s has %d bytes, expected %d", path, info.Size(), f.Size)
		}
		m.add(f.Role, path, f.Size)
		m.Hashes[path] = f.SHA256 + f.GitSHA1
		if f.Role == modelRole && !f.own() {
			m.Place = f.Place
		}
	}
	return m, nil
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
	}
	m.Bytes += size
}

// records returns the records in a folder of the store, in the order of their names; err tells of those that cannot be read.
func records(folder string) (all []*record, err error) {
	entries, e := os.ReadDir(folder)
	if e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = fmt.Errorf("hub: %w", e)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".gguf"+recordEnd) || !isFileName(e.Name()) {
			continue
		}
		r, e := readRecord(filepath.Join(folder, e.Name()))
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		all = append(all, r)
	}
	return all, err
}

// meant returns the one of records that a name means, nil if none does: the one that it meant when it was last asked for, or else what it
// would mean if these were all files of the repository.
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
	of := map[string]*record{}
	for _, r := range all {
		for _, f := range r.Files {
			if f.Role == modelRole {
				files = append(files, entry{path: f.Path})
				of[f.Path] = r
			}
		}
	}
	c, err := choose(files, n.tag)
	if err != nil {
		return nil
	}
	return of[c.model[0].path]
}
