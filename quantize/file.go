package quantize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/convert"
	"github.com/gogemma/gemma4/internal/imatrix"
	"github.com/gogemma/gemma4/internal/machine"
)

// Options say what is made of a model.
type Options struct {
	Type       Type      // of the file; the zero value is F32
	Importance string    // path of an importance matrix, GGUF or the older form; "": none
	Adapters   []Adapter // low-rank adapters that are merged into the weights first
	// Projector takes the projector of a checkpoint that has one beside its language model. GGUF files have one or the other.
	Projector bool
	Overwrite bool // replaces a file that is there
	Threads   int  // that encode at once; below 1: as many as the machine has cores
	// Progress, if set, is called while the file is written, on the goroutine of File, with its bytes written so far and in all.
	Progress func(done, total int64)
}

// Adapter is a low-rank adapter in a GGUF file, and how strongly it counts: 1 as it was trained.
type Adapter struct {
	Path  string
	Scale float32
}

// File writes the model at in, a GGUF file, any part of a split one, a safetensors file, its index or its folder, to the GGUF file out.
//
// out appears when it is complete; until then it grows under the name out + ".part", of which nothing is left after an error or at the end
// of ctx. It is an error if out exists, unless o.Overwrite replaces it, if one of the two is a file that is read, or if the disk has not
// the room. A weight that is infinite or NaN is an error that names the tensor, unless that is copied as it is.
func File(ctx context.Context, in, out string, o Options) (*Report, error) {
	began := time.Now()
	if o.Type.index() < 0 {
		return nil, fmt.Errorf("quantize: unknown %v", o.Type)
	}
	if err := checkOut(in, out, o); err != nil {
		return nil, err
	}
	part := convert.Text
	if o.Projector {
		part = convert.Projector
	}
	w, err := convert.OpenPart(in, part)
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	defer w.Close()
	p := new(plan)
	defer p.close()
	if err := p.make(w, o); err != nil {
		return nil, fmt.Errorf("quantize: %s: %w", in, err)
	}
	s := newStream(ctx, p.jobs, o.Threads)
	defer s.close()
	metadata := p.metadata(w.Metadata, o)
	size, err := gguf.Size(metadata, s.sources(nil))
	if err != nil {
		return nil, fmt.Errorf("quantize: %s: %w", in, err)
	}
	if free, _, ok := machine.Disk(out); ok && free+partBytes(out) < size {
		return nil, fmt.Errorf("quantize: %s takes %d bytes, and the disk has room for %d", out, size, free)
	}
	s.begin()
	var progress func(int64)
	if o.Progress != nil {
		progress = func(done int64) { o.Progress(done, size) }
	}
	if err := gguf.WriteFile(out, metadata, s.sources(progress)); err != nil {
		if end := cause.Of(ctx); end != nil {
			err = end
		}
		return nil, fmt.Errorf("quantize: %w", err)
	}
	if progress != nil {
		progress(size)
	}
	r := p.report(o.Type)
	r.Out, r.Elapsed = size, time.Since(began)
	return r, nil
}

// checkOut returns why nothing may be written to out, or, until it is complete, beside it.
func checkOut(in, out string, o Options) error {
	if out == "" {
		return errors.New("quantize: the file to be written has no name")
	}
	there := false
	for _, path := range []string{out + ".part", out} {
		info, err := os.Stat(path)
		there = err == nil
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("quantize: %w", err)
		case !info.Mode().IsRegular():
			return fmt.Errorf("quantize: %s is not a regular file", path)
		}
		for _, read := range sources(in, o) {
			if other, err := os.Stat(read); err == nil && os.SameFile(info, other) {
				return fmt.Errorf("quantize: %s is read for it: the file to be written must be another one", path)
			}
		}
	}
	if there && !o.Overwrite {
		return fmt.Errorf("quantize: %s: %w, and is kept unless Overwrite is set", out, fs.ErrExist)
	}
	return nil
}

// sources returns the files that may be read.
func sources(in string, o Options) []string {
	paths := []string{in, o.Importance}
	for _, a := range o.Adapters {
		paths = append(paths, a.Path)
	}
	folder := in
	if info, err := os.Stat(in); err == nil && !info.IsDir() {
		folder = filepath.Dir(in)
		if end := strings.ToLower(in); strings.HasSuffix(end, ".gguf") && !strings.Contains(filepath.Base(end), "-of-") {
			return paths
		}
	}
	files, _ := os.ReadDir(folder)
	for _, f := range files {
		if partName.MatchString(f.Name()) {
			paths = append(paths, filepath.Join(folder, f.Name()))
		}
	}
	return paths
}

// partName matches the names of parts of a split file, or of a checkpoint.
var partName = regexp.MustCompile(`(?i)(-of-\d+\.gguf|\.safetensors|\.json|\.jinja)$`)

// partBytes returns the size of what an earlier run has left of out, which makes room.
func partBytes(out string) int64 {
	if info, err := os.Lstat(out + ".part"); err == nil && info.Mode().IsRegular() {
		return info.Size()
	}
	return 0
}

// plan is what becomes of each tensor.
type plan struct {
	jobs     []*job
	adapters []*gguf.File
	matrix   *imatrix.Matrix // nil: none
	unknown  int             // matrices of layers that it does not know
}

// Keys that say how a file was quantised.
const (
	fileTypeKey = "general.file_type"
	versionKey  = "general.quantization_version"

	importanceKey = "quantize.imatrix."
)

// make chooses formats, and opens what is needed beside the weights.
func (p *plan) make(w *convert.Weights, o Options) (err error) {
	if o.Importance != "" {
		if p.matrix, err = imatrix.Open(o.Importance); err != nil {
			return err
		}
	}
	merges, err := p.openAdapters(w, o.Adapters)
	if err != nil {
		return err
	}
	mix := newMix(o.Type, w.Metadata, w.Tensors, p.matrix != nil)
	for i := range w.Tensors {
		j, err := p.job(&w.Tensors[i], mix, merges[w.Tensors[i].Name])
		if err != nil {
			return err
		}
		p.jobs = append(p.jobs, j)
	}
	if p.matrix != nil && !p.knows() {
		return fmt.Errorf("%s knows none of the matrices: is it of another model?", o.Importance)
	}
	return nil
}

// job chooses what becomes of a tensor.
func (p *plan) job(t *convert.Tensor, mix *mix, merges []merge) (*job, error) {
	j := &job{t: t, format: t.Format, merges: merges}
	switch {
	case !t.Format.Valid():
		if len(merges) > 0 {
			return nil, fmt.Errorf("%s is of %v, which no adapter can be merged into", t.Name, t.Type)
		}
	case matrix(t.Name, t.Dims):
		if !kept(t.Name, mix.t) {
			j.format, j.matrix = mix.format(t.Name, t.Dims), true
		}
		if mix.t == Q4_0 && len(merges) == 0 {
			trained, err := j.trained()
			if err != nil {
				return nil, err
			}
			if trained {
				j.format, j.grid, j.matrix = gridFormat, true, true
			}
		}
	}
	if j.row() > maxRow {
		return nil, fmt.Errorf("%s has rows of %d values, expected at most %d", t.Name, j.row(), maxRow)
	}
	if j.matrix && p.matrix != nil && !j.grid {
		columns, experts := t.Dims[0], 1
		if len(t.Dims) > 2 {
			experts = t.Dims[2]
		}
		var err error
		if j.importance, err = p.matrix.Importance(t.Name, columns, experts); err != nil {
			return nil, err
		}
		if layer, _ := split(t.Name); layer >= 0 && j.importance == nil {
			p.unknown++
		}
	}
	return j, nil
}

// kept reports whether a matrix of a model stays as it is with a type: it is not large, and every layer's embeddings pass through it.
func kept(name string, t Type) bool { return name == "per_layer_model_proj.weight" && !t.plain() }

// knows reports whether the importance matrix is of use for any matrix.
func (p *plan) knows() bool {
	for _, j := range p.jobs {
		if j.importance != nil || j.grid && p.matrix.Entries[j.t.Name] != nil {
			return true
		}
	}
	return false
}

// metadata returns that of the source, with what the file is now.
func (p *plan) metadata(m *gguf.Metadata, o Options) *gguf.Metadata {
	m = m.Clone()
	for _, key := range m.Keys() {
		if strings.HasPrefix(key, importanceKey) {
			m.Delete(key)
		}
	}
	set := func(key string, value any) {
		if err := m.Set(key, value); err != nil {
			panic(err) // names and values are ours
		}
	}
	set(fileTypeKey, uint32(o.Type))
	set(versionKey, uint32(2))
	if p.matrix != nil {
		set(importanceKey+"file", strings.ToValidUTF8(filepath.Base(o.Importance), "\uFFFD"))
		if len(p.matrix.Datasets) > 0 {
			set(importanceKey+"dataset", strings.ToValidUTF8(p.matrix.Datasets[0], "\uFFFD"))
		}
		set(importanceKey+"entries_count", int32(len(p.matrix.Entries)))
		set(importanceKey+"chunks_count", int32(min(p.matrix.Chunks, 1<<31-1)))
	}
	return m
}

// close gives back the adapters.
func (p *plan) close() {
	for _, f := range p.adapters {
		f.Close()
	}
}
