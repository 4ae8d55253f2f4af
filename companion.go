package gemma4

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
)

// Companion is a GGUF file that goes with a model. It is given as one of these: a path, which may be that of any part of a split file;
// bytes, which must not change while the model is open; or a reader of Size bytes. The zero value is no companion.
type Companion struct {
	Path   string      // of the file
	Bytes  []byte      // all of it
	Reader io.ReaderAt // allows calls from several goroutines
	Size   int64       // of Reader, in bytes
}

// CompanionInfo says what a file is that was given as a companion of a model or found beside it.
type CompanionInfo struct {
	Kind  string // "projector" or "drafter"
	File  string // its path, "bytes" or "reader"
	Name  string // general.name, may be empty
	About string // such as "images (gemma4v), sounds (gemma4a)" or "4 layers of width 256"; empty if it does not go with this model
	Bytes int64  // of the file, or of all parts
	Left  error  // why it does not go with the model; nil if it does, and the model keeps it open
}

// companion is a file that was looked at.
type companion struct {
	CompanionInfo
	file      *gguf.File       // nil if it was left
	projector *model.Projector // nil if it is none, or was left
}

func (c *companion) close() error {
	if c.projector != nil {
		c.projector.Close()
	}
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// leave closes a companion that does not go with the model.
func (c *companion) leave(err error) {
	c.close()
	c.file, c.projector, c.Left = nil, nil, err
}

// companionKind is what may go with a model.
type companionKind struct {
	name  string
	named func(file string) bool // of lower-case names: as such files usually are
	read  func(c *companion, m *model.Model, o model.Options) (about fmt.Stringer, err error)
}

var (
	projectorKind = companionKind{"projector",
		func(file string) bool { return strings.Contains(file, "mmproj") },
		func(c *companion, m *model.Model, o model.Options) (_ fmt.Stringer, err error) {
			c.projector, err = model.OpenProjector(c.file, &m.Config, o)
			return c.projector, err
		}}
	drafterKind = companionKind{"drafter",
		func(file string) bool { return strings.Contains(file, "assistant") || strings.HasPrefix(file, "mtp-") },
		func(c *companion, m *model.Model, _ model.Options) (fmt.Stringer, error) {
			return model.ReadDrafter(c.file, &m.Config)
		}}
)

// companions opens what goes with a model: what was given, or otherwise the towers in its own file, or what lies beside the files at paths.
func (l Loader) companions(m *Model, name string, paths []string) (all []companion, err error) {
	defer func() {
		if err != nil {
			for _, c := range all {
				c.close()
			}
			all = nil
		}
	}()
	o := model.Options{Kernels: m.graph.Kernels(), Pool: m.graph.Pool(), AllowUnknown: l.AllowUnknown}
	for _, x := range []struct {
		kind  companionKind
		given Companion
	}{{projectorKind, l.Projector}, {drafterKind, l.Drafter}} {
		switch given := x.given; {
		case given.Path != "" || given.Bytes != nil || given.Reader != nil:
			c, err := x.kind.open(given, m.graph, o)
			if err != nil {
				return all, err
			}
			all = append(all, c)
		case x.kind.name == projectorKind.name && model.HasTowers(m.file.Metadata):
			all = append(all, ownTowers(name, m, o))
		case !l.Alone && len(paths) > 0:
			all = append(all, x.kind.beside(paths, m.graph, o)...)
		}
	}
	for _, c := range all {
		c.log(m.log)
	}
	return all, nil
}

// open opens a companion that was given.
func (k companionKind) open(given Companion, m *model.Model, o model.Options) (companion, error) {
	name, sources := given.Path, 0
	for _, is := range []bool{given.Path != "", given.Bytes != nil, given.Reader != nil} {
		if is {
			sources++
		}
	}
	var f *gguf.File
	var err error
	switch {
	case sources > 1:
		return companion{}, fmt.Errorf("the %s is given as more than one of a path, bytes and a reader", k.name)
	case given.Bytes != nil:
		name = "bytes"
		f, err = gguf.OpenBytes(given.Bytes)
	case given.Reader != nil:
		name = "reader"
		f, err = gguf.OpenReaderAt(gguf.Part{Name: name, ReaderAt: given.Reader, Size: given.Size})
	default:
		f, err = gguf.Open(given.Path)
	}
	if err != nil {
		return companion{}, fmt.Errorf("the %s: %w", k.name, err)
	}
	c := k.look(name, f, nil, m, o)
	if c.Left != nil {
		return companion{}, fmt.Errorf("the %s %s does not fit the model: %w", k.name, name, c.Left)
	}
	return c, nil
}

// look says what an opened file is.
func (k companionKind) look(name string, f *gguf.File, err error, m *model.Model, o model.Options) companion {
	c := companion{CompanionInfo: CompanionInfo{Kind: k.name, File: name}, file: f}
	if err != nil {
		c.Left = err
		return c
	}
	c.Name, _ = f.Metadata.Text("general.name")
	c.Bytes = f.Size()
	about, err := k.read(&c, m, o)
	if err != nil {
		c.leave(err)
		return c
	}
	c.About = about.String()
	return c
}

// ownTowers returns the projector in a model's own file.
func ownTowers(name string, m *Model, o model.Options) companion {
	c := companion{CompanionInfo: CompanionInfo{Kind: projectorKind.name, File: name, Bytes: m.file.Size()}, file: m.file}
	about, err := projectorKind.read(&c, m.graph, o)
	c.file = nil // it is the model's to close
	if err != nil {
		c.leave(err)
		return c
	}
	c.About = about.String()
	return c
}

// beside returns the files with usual names beside those at paths; at most one of them is not left.
func (k companionKind) beside(paths []string, m *model.Model, o model.Options) (found []companion) {
	folder := filepath.Dir(paths[0])
	entries, _ := os.ReadDir(folder) // whoever cannot list it can still open the model
	own := map[string]bool{}
	for _, path := range paths {
		file, _ := partOf(filepath.Base(path))
		own[file] = true
	}
	fits := 0
	for _, e := range entries {
		name := e.Name()
		lower := strings.ToLower(name)
		file, number := partOf(name)
		if e.IsDir() || filepath.Ext(lower) != ".gguf" || !k.named(lower) || own[file] || number != 1 {
			continue
		}
		path := filepath.Join(folder, name)
		f, err := gguf.Open(path)
		c := k.look(path, f, err, m, o)
		if c.Left == nil {
			fits++
		}
		found = append(found, c)
	}
	if fits > 1 {
		for i := range found {
			if c := &found[i]; c.Left == nil {
				c.leave(errSeveral)
			}
		}
	}
	return found
}

var errSeveral = errors.New("several beside the model fit it: Loader has a field that names one")

// partOf returns what the names of all parts of a split file have in common, and which of them this is; the name itself and 1 for another
// file.
func partOf(name string) (file string, number int) {
	prefix, number, count, ok := gguf.ParsePartName(name)
	if !ok {
		return name, 1
	}
	return fmt.Sprintf("%s-of-%d", prefix, count), number
}
