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
	given     bool             // by the caller, not found by its name
	file      *gguf.File       // nil if it was left
	projector *model.Projector // nil if it is none, or was left
	drafter   *model.Drafter   // likewise
	small     *model.Model     // a model that drafts in place of a drafter
}

func (c *companion) close() error {
	if c.projector != nil {
		c.projector.Close()
	}
	if c.small != nil {
		c.small.Close()
	}
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// leave closes a companion that does not go with the model.
func (c *companion) leave(err error) {
	c.close()
	c.file, c.projector, c.drafter, c.small, c.Left = nil, nil, nil, nil, err
}

// companionKind is what may go with a model.
type companionKind struct {
	name  string
	named func(file string) bool // of lower-case names: as such files usually are
	read  func(c *companion, m *Model, o model.Options) (about string, err error)
}

var (
	projectorKind = companionKind{"projector",
		func(file string) bool { return strings.Contains(file, "mmproj") },
		(*companion).readProjector}
	drafterKind = companionKind{"drafter",
		func(file string) bool { return strings.Contains(file, "assistant") || strings.HasPrefix(file, "mtp-") },
		(*companion).readDrafter}
)

func (c *companion) readProjector(m *Model, o model.Options) (about string, err error) {
	if c.projector, err = model.OpenProjector(c.file, &m.graph.Config, o); err != nil {
		return "", err
	}
	return c.projector.String(), nil
}

// draftIDs is how many ids drafts are made of at most. Gemma's vocabulary has twice as many, and their rows of the head are six sevenths of
// a small drafter's weights, three fifths of a large one's. Half of them make drafts cheaper by a third or more and leave out one or two of
// a hundred tokens of English and programs, four to eight of other languages; a quarter would save little more and leave out more than
// twice as many. What is left out is not drafted, and written all the same.
const draftIDs = 1 << 17

// readDrafter opens a drafter or, where one is given, a small model with the same tokens. What has a drafter's name beside a model must be
// one.
func (c *companion) readDrafter(m *Model, o model.Options) (about string, err error) {
	if arch, _ := c.file.Metadata.Text("general.architecture"); arch == "gemma4" && c.given {
		if err := model.SameTokens(m.file.Metadata, c.file.Metadata); err != nil {
			return "", err
		}
		if c.small, err = model.New(c.file, o); err != nil {
			return "", err
		}
		if n := c.small.Vocabulary; n != m.graph.Vocabulary { // rows that pad it
			return "", fmt.Errorf("model: token_embd.weight has %d rows, expected %d", n, m.graph.Vocabulary)
		}
		return fmt.Sprintf("a model of %d layers of width %d", len(c.small.Layers), c.small.Width), nil
	}
	d := model.DrafterOptions{Head: m.draftIDs, AllowUnknown: o.AllowUnknown, Resident: o.Resident}
	if d.Head == nil && m.graph.Vocabulary > draftIDs {
		d.Head = m.tok.Frequent(draftIDs)
	}
	if c.drafter, err = model.OpenDrafter(c.file, m.graph, d); err != nil {
		return "", err
	}
	return c.drafter.String(), nil
}

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
			c, err := x.kind.open(given, m, o)
			if err != nil {
				return all, err
			}
			all = append(all, c)
		case x.kind.name == projectorKind.name && model.HasTowers(m.file.Metadata):
			all = append(all, ownTowers(name, m, o))
		case !l.Alone && len(paths) > 0:
			all = append(all, x.kind.beside(paths, m, o)...)
		}
	}
	for _, c := range all {
		c.log(m.log)
	}
	return all, nil
}

// open opens a companion that was given.
func (k companionKind) open(given Companion, m *Model, o model.Options) (companion, error) {
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
	c := k.look(name, true, f, nil, m, o)
	if c.Left != nil {
		return companion{}, fmt.Errorf("the %s %s does not fit the model: %w", k.name, name, c.Left)
	}
	return c, nil
}

// look says what an opened file is.
func (k companionKind) look(name string, given bool, f *gguf.File, err error, m *Model, o model.Options) companion {
	c := companion{CompanionInfo: CompanionInfo{Kind: k.name, File: name}, given: given, file: f}
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
	c.About = about
	return c
}

// ownTowers returns the projector in a model's own file.
func ownTowers(name string, m *Model, o model.Options) companion {
	c := companion{CompanionInfo: CompanionInfo{Kind: projectorKind.name, File: name, Bytes: m.file.Size()}, file: m.file}
	about, err := projectorKind.read(&c, m, o)
	c.file = nil // it is the model's to close
	if err != nil {
		c.leave(err)
		return c
	}
	c.About = about
	return c
}

// beside returns the files with usual names beside those at paths; at most one of them is not left.
func (k companionKind) beside(paths []string, m *Model, o model.Options) (found []companion) {
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
		c := k.look(path, false, f, err, m, o)
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
