package convert

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/jsonstream"
	"github.com/gogemma/gemma4/internal/safetensors"
)

// The files of a checkpoint.
const (
	weightsFile    = "model.safetensors"
	indexFile      = "model.safetensors.index.json"
	configFile     = "config.json"
	vocabularyFile = "tokenizer.json"
	tokenizerFile  = "tokenizer_config.json"
	templateFile   = "chat_template.jinja"
	samplingFile   = "generation_config.json"
)

// Bounds on the files beside the weights. Real vocabularies take 32 MB, the others some kilobytes.
const (
	maxVocabularyFile = 256 << 20
	maxSmallFile      = 16 << 20
)

// shard matches the names of weights in several files.
var shard = regexp.MustCompile(`-\d{5}-of-\d{5}\.safetensors$`)

// checkpoint returns the weights or the index that path stands for if it is a folder or a file of a checkpoint, else "".
func checkpoint(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return ""
	case info.IsDir():
		// As the maker's own library chooses where there are both.
		if _, err := os.Stat(filepath.Join(path, weightsFile)); err == nil {
			return filepath.Join(path, weightsFile)
		}
		return filepath.Join(path, indexFile)
	case shard.MatchString(path):
		return filepath.Join(filepath.Dir(path), indexFile)
	case strings.HasSuffix(path, ".safetensors"), strings.HasSuffix(path, ".json"), looksLikeSafetensors(path):
		return path
	}
	return ""
}

// looksLikeSafetensors reports whether a file begins as one of safetensors: some caches name files by their hash.
func looksLikeSafetensors(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [9]byte
	_, err = io.ReadFull(f, b[:])
	return err == nil && string(b[:4]) != "GGUF" && b[8] == '{'
}

// openCheckpoint opens a part of the checkpoint with these weights, or this index.
func openCheckpoint(weights string, p Part) (*Weights, error) {
	folder := os.DirFS(filepath.Dir(weights))
	file, err := safetensors.Open(weights)
	if errors.Is(err, fs.ErrNotExist) && filepath.Base(weights) == indexFile {
		if _, e := os.Stat(weights); e != nil {
			err = fmt.Errorf("%s: neither %s nor %s is there, expected a checkpoint in safetensors: %w", filepath.Dir(weights), weightsFile,
				indexFile, fs.ErrNotExist)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	w, err := read(folder, file, nameOf(filepath.Dir(weights)), p)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("convert: %s: %w", filepath.Dir(weights), err)
	}
	w.close = file.Close
	return w, nil
}

// nameOf returns the name of the model in a folder: that of the folder, or in the hub's cache, models--OWNER--NAME/snapshots/COMMIT, of the
// repository.
func nameOf(dir string) string {
	path, err := filepath.Abs(dir)
	if err != nil {
		path = dir
	}
	if repository := filepath.Dir(filepath.Dir(path)); filepath.Base(filepath.Dir(path)) == "snapshots" {
		if parts := strings.Split(filepath.Base(repository), "--"); parts[0] == "models" {
			return parts[len(parts)-1]
		}
	}
	return filepath.Base(path)
}

// read reads a part of the checkpoint with these tensors and the files of a folder beside them.
func read(folder fs.FS, file *safetensors.File, name string, p Part) (*Weights, error) {
	top, err := object(folder, configFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing, expected it beside the weights: %w", configFile, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	c := newConfig(top)
	w, err := c.part(file, name, p)
	if err == nil && p == Text {
		err = readTokens(folder, c, w.Metadata)
	}
	return w, err
}

// part reads what config.json and the table of tensors say about a part.
func (c *config) part(file *safetensors.File, name string, p Part) (*Weights, error) {
	l := &loader{file: file, taken: map[string]bool{}}
	k := &keys{m: new(gguf.Metadata)}
	switch {
	case c.err != nil:
	case p == Projector:
		c.projector(l, k, name)
	case c.drafter:
		c.draft(l, k, name)
	default:
		c.text(l, k, name)
	}
	if err := cmp.Or(c.err, l.err, k.err); err != nil {
		return nil, err
	}
	var strange []string
	if !c.drafter { // what a drafter does not understand can cost drafts, never the answer
		strange = c.unknown()
	}
	if err := unknown(append(strange, l.unknown(c.others(p))...)); err != nil {
		if len(strange) > 0 {
			err = fmt.Errorf("%w; a key that changes nothing can be taken out of the file", err)
		}
		return nil, err
	}
	return &Weights{Metadata: k.m, Tensors: l.tensors}, nil
}

// object reads a small JSON file that holds an object.
func object(folder fs.FS, name string) (map[string]any, error) {
	data, err := contents(folder, name, maxSmallFile)
	if err != nil {
		return nil, err
	}
	m, err := parseObject(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func parseObject(data []byte) (map[string]any, error) {
	r, err := jsonstream.New(data)
	if err != nil {
		return nil, err
	}
	x, err := r.Value()
	if err == nil {
		err = r.End()
	}
	m, ok := x.(map[string]any)
	if err == nil && !ok {
		err = errors.New("is no JSON object")
	}
	return m, err
}

// optional is object for a file that may be missing: it is empty then.
func optional(folder fs.FS, name string) (map[string]any, error) {
	m, err := object(folder, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return m, err
}

// contents returns a file of at most so many bytes.
func contents(folder fs.FS, name string, most int64) ([]byte, error) {
	info, err := fs.Stat(folder, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: is no regular file (%s)", name, info.Mode().Type())
	case info.Size() > most:
		return nil, fmt.Errorf("%s: %d bytes, expected at most %d", name, info.Size(), most)
	}
	return fs.ReadFile(folder, name)
}

// keys writes metadata and keeps the first error.
type keys struct {
	m      *gguf.Metadata
	prefix string
	err    error
}

func (k *keys) set(key string, v any) {
	if err := k.m.Set(k.prefix+key, v); err != nil && k.err == nil {
		k.err = err
	}
}

// number writes a size as other readers of GGUF expect it.
func (k *keys) number(key string, n int) { k.set(key, uint32(n)) }

// perLayer writes one number where all layers have the same, else an array.
func (k *keys) perLayer(key string, list []int) {
	if !slices.ContainsFunc(list, func(n int) bool { return n != list[0] }) {
		k.number(key, list[0])
		return
	}
	a := make([]int32, len(list))
	for i, n := range list {
		a[i] = int32(n)
	}
	k.set(key, a)
}
