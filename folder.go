package gemma4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/wait"
	"github.com/gogemma/gemma4/model"
)

// folder is where a prefix cache keeps the texts of a model, a file for each. What is in it is looked at without waiting for anybody, and
// changed with the cache's mu held; files are read and written without.
type folder struct {
	p          *PrefixCache
	m          *engine
	dir        string
	limit      int64
	arithmetic string
	reading    chan struct{} // holds one while keys and values are taken from files
	writing    chan struct{} // and while files are written, removed or looked for

	files   map[string]*prefixFile // by name
	ignored map[string]fileState   // files that cannot be used as they are
}

// prefixFile is a file of a folder that holds a text.
type prefixFile struct {
	*model.SavedPrefix
	used   time.Time // the last time that anybody knows of,
	marked time.Time // and as the file's time has it
}

// fileState tells whether a file has changed.
type fileState struct {
	size int64
	time time.Time
}

func stateOf(info fs.FileInfo) fileState { return fileState{info.Size(), info.ModTime()} }

// later is how much later than a file those that it continues were used, so that they stay longer.
const later = time.Millisecond

// never is after all times that files have.
var never = time.Unix(1<<40, 0)

// worthSaving is how many positions more than all files a text must offer to get one.
const worthSaving = 64

// Open lets the cache find texts of a model in a folder, and [PrefixCache.Save] write texts to it, so that they outlive the program. The
// folder is made if it is missing. Only the heads of files are read now, which takes milliseconds, and of the model what its
// [Model.Fingerprint] needs, unless the folder is empty; keys and values are checked and mapped when a session first begins with them.
//
// What sessions get is what they would have read, bit for bit: files of another model, of other kernels and of another version of this
// package are ignored, and so are damaged ones, which the model's Logger is told. Several programs may use one folder. Its files, which are
// named by what they hold, together take at most the given number of bytes as Save leaves them, whoever wrote them: those that were used
// last stay.
//
// What lies in a mapped file does not count to the cache's own limit, for the system can give it up; where files cannot be mapped it does,
// and so does it on 32-bit machines. A text that has to go there can be taken from its file again.
//
// Opening a folder of a model that has one replaces it. It is an error if the folder cannot be made or read.
func (p *PrefixCache) Open(ctx context.Context, m *Model, dir string, bytes int64) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	if bytes < 0 {
		return fmt.Errorf("gemma4: a folder for prefixes of %d bytes", bytes)
	}
	f := &folder{
		p: p, m: m.engine, dir: dir, limit: bytes, arithmetic: m.arithmetic(),
		reading: make(chan struct{}, 1), writing: make(chan struct{}, 1), ignored: map[string]fileState{}, files: map[string]*prefixFile{},
	}
	ctx, end := m.until(ctx)
	defer end()
	if err := f.look(ctx); err != nil {
		return f.wrap(err)
	}
	p.join(m.engine)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	p.folders[m.engine] = f
	m.log.Info("prefixes opened", "folder", dir, "texts", len(f.files))
	return nil
}

// Save writes the texts that the cache holds, and that the folders opened for their models lack, to these, and makes room there for what
// was used last. It is meant to be called again and again, when nothing else is to be done, and before the model is closed: no session
// waits for it, and when ctx ends it stops, between two pieces of a few megabytes. A file that is not complete counts as none, and is
// removed by a later Save or Open, of whichever program.
//
// What a text has in common with another one there, in whole pages of 128 positions, is not written again. A text that goes less than 64
// positions beyond all of them is not written at all, nor is one for which files would have to go that were used later.
func (p *PrefixCache) Save(ctx context.Context) error {
	p.mu.Lock()
	folders := slices.Collect(maps.Values(p.folders))
	p.mu.Unlock()
	var err error
	for _, f := range folders {
		err = errors.Join(err, f.save(ctx))
	}
	return err
}

// arithmetic says what a model's results depend on beside the model.
func (m *Model) arithmetic() string {
	kernels := m.graph.Kernels().Name
	if m.exact {
		kernels += ", exact"
	}
	return fmt.Sprintf("%s on %s, %s", kernels, runtime.GOARCH, version())
}

// version returns that of this package as it was built.
func version() string {
	const path = "github.com/gogemma/gemma4"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == path {
			for ; m.Replace != nil; m = m.Replace {
			}
			return cmp.Or(m.Version, "(devel)")
		}
	}
	return "(unknown)"
}

// until returns a context that also ends when the model is being closed.
func (e *engine) until(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ending, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// list returns the files of the folder that have a name of prefixes, whoever wrote them, and the bytes of those that are being written. It
// removes what writers that were killed have left behind.
func (f *folder) list() (all map[string]fileState, parts int64, err error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, 0, err
	}
	all = map[string]fileState{}
	for _, e := range entries {
		name := e.Name()
		whole, part := strings.CutSuffix(name, ".part")
		if part {
			dot := max(0, strings.LastIndexByte(whole, '.'))
			whole = whole[:dot]
		}
		info, err := e.Info()
		if !model.IsPrefixName(whole) || !e.Type().IsRegular() || err != nil { // or it has just gone
			continue
		}
		switch {
		case !part:
			all[name] = stateOf(info)
		case time.Since(info.ModTime()) < abandoned || os.Remove(f.path(name)) != nil:
			parts += info.Size()
		}
	}
	return all, parts, nil
}

// look brings what is known of the folder up to date with what other programs have written and removed.
func (f *folder) look(ctx context.Context) error {
	if err := cause.Of(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	now, _, err := f.list()
	if err != nil {
		return err
	}
	f.p.mu.Lock()
	unknown := maps.Clone(now)
	for name := range f.files {
		if _, ok := now[name]; !ok {
			f.forget(name)
		}
		delete(unknown, name)
	}
	for name, state := range f.ignored {
		if now[name] != state {
			delete(f.ignored, name)
		} else {
			delete(unknown, name)
		}
	}
	f.p.mu.Unlock()
	found, ignored, foreign := map[string]*prefixFile{}, map[string]error{}, 0
	var latest time.Time
	for name, state := range unknown {
		saved, err := f.m.graph.ReadPrefix(ctx, f.path(name), f.arithmetic)
		switch {
		case err == nil:
			found[name] = &prefixFile{saved, state.time, state.time}
			if state.time.After(latest) {
				latest = state.time
			}
		case ctx.Err() != nil:
			return cause.Of(ctx)
		case errors.Is(err, model.ErrOtherModel) || errors.Is(err, model.ErrOtherArithmetic):
			ignored[name] = nil
			foreign++
		case !errors.Is(err, fs.ErrNotExist):
			ignored[name] = err
		}
	}
	f.p.mu.Lock()
	if latest.After(f.p.latest) {
		f.p.latest = latest
	}
	for more := true; more; { // those whose bases are known, until there are no more
		more = false
		for name, file := range found {
			if file.Base == "" || f.files[file.Base] != nil {
				f.files[name] = file
				delete(found, name)
				more = true
			}
		}
	}
	for name, file := range found {
		ignored[name] = fmt.Errorf("its base %s is missing", file.Base)
	}
	for name := range ignored {
		f.ignored[name] = now[name]
	}
	f.p.mu.Unlock()
	for name, err := range ignored {
		if err != nil {
			f.log(name, err)
		}
	}
	if foreign > 0 {
		f.m.log.Info("prefixes of other models, kernels or versions ignored", "folder", f.dir, "files", foreign)
	}
	return nil
}

// log tells of a file that is ignored.
func (f *folder) log(name string, err error) {
	f.m.log.Warn("prefix ignored", "file", f.path(name), "error", err)
}

// forget takes a file, and those that continue it, out of what is known, with the texts that lie in them. mu must be held.
func (f *folder) forget(name string) {
	if f.files[name] == nil {
		return
	}
	delete(f.files, name)
	path := f.path(name)
	f.p.drop(func(t *cachedText) bool {
		return t.m == f.m && t.text.LiesIn(func(file string) bool { return file == path })
	})
	for _, x := range slices.Collect(maps.Values(f.files)) {
		if x.Base == name {
			f.forget(x.Name)
		}
	}
}

// lacks reports whether a file is none of those that can be used. mu must be held.
func (f *folder) lacks(path string) bool {
	return f == nil || f.files[filepath.Base(path)] == nil
}

// find returns the file that holds the longest beginning of a text, how long that is, up to most, and how many positions the text has in
// common with any. Files in tried do not count. mu must be held.
func (f *folder) find(kind prefixKind, text prompt, most int, tried map[string]bool) (best *prefixFile, n, common int) {
	format, err := kind.cache.format()
	if err != nil {
		return nil, 0, 0
	}
	for _, x := range f.files {
		if x.Cache != format || x.Adapted != kind.adapted || tried[x.Name] {
			continue
		}
		r, c := text.match(x.IDs, x.Reach, most)
		common = max(common, c)
		if r > n || r == n && best != nil && cmp.Or(cmp.Compare(len(x.IDs), len(best.IDs)), cmp.Compare(x.Name, best.Name)) < 0 {
			best, n = x, r
		}
	}
	return best, n, common
}

// load takes the text in a file into the cache, which gives mu back meanwhile, and appends to evicted what had to go. A file that cannot be
// used is forgotten. An error is that of ctx, or [ErrClosed].
func (f *folder) load(ctx context.Context, s *Session, kind prefixKind, name string, evicted *[]EvictInfo) error {
	f.p.mu.Unlock()
	defer f.p.mu.Lock()
	loading, end := f.m.until(ctx)
	defer end()
	go func() {
		select {
		case <-s.closing:
			end()
		case <-loading.Done():
		}
	}()
	if wait.Turn(loading, f.reading) == nil {
		defer func() { <-f.reading }()
		began := time.Now()
		o := opening{folder: f, ctx: loading, kind: kind, evicted: evicted}
		_, text, err := o.open(name)
		switch {
		case err == nil:
			f.m.log.Debug("prefix taken from its file", "file", f.path(name), "positions", text.Len(), "duration", time.Since(began))
			text.Release()
		case loading.Err() == nil:
			f.ignore(o.failed, err)
		}
	}
	if loading.Err() != nil {
		return cmp.Or(cause.Of(ctx), ErrClosed)
	}
	return nil
}

// ignore forgets a file that cannot be used, until it changes.
func (f *folder) ignore(name string, err error) {
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	f.forget(name)
	if info, e := os.Stat(f.path(name)); e == nil {
		f.ignored[name] = stateOf(info)
	}
	if !errors.Is(err, fs.ErrNotExist) { // another program needed the room
		f.log(name, err)
	}
}

// opening takes texts from files, one after the other.
type opening struct {
	*folder
	ctx     context.Context
	kind    prefixKind
	above   []string // files that continue the next one
	failed  string   // the first file that could not be used
	evicted *[]EvictInfo
}

// open returns the text in a file, which it takes into the cache unless it is there, with those that it continues. The snapshot is the
// caller's to release.
func (o *opening) open(name string) (saved *model.SavedPrefix, text *model.Snapshot, err error) {
	p := o.p
	p.mu.Lock()
	for _, t := range p.texts {
		if t.m == o.m && t.file != nil && t.file.Name == name {
			defer p.mu.Unlock()
			return t.file.SavedPrefix, t.text.Share(), nil
		}
	}
	p.mu.Unlock()
	defer func() {
		if err != nil {
			o.failed = cmp.Or(o.failed, name)
		}
	}()
	if slices.Contains(o.above, name) {
		return nil, nil, errors.New("a saved prefix is its own base")
	}
	o.above = append(o.above, name)
	var before *model.Snapshot
	saved, text, err = o.m.graph.OpenPrefix(o.ctx, o.path(name), o.arithmetic, func(base string) (b *model.SavedPrefix, _ *model.Snapshot,
		err error) {
		b, before, err = o.open(base)
		return b, before, err
	})
	if before != nil {
		defer before.Release()
	}
	if err != nil {
		return nil, nil, err
	}
	if format, _ := o.kind.cache.format(); saved.Cache != format || saved.Adapted != o.kind.adapted {
		text.Release()
		return nil, nil, fmt.Errorf("%s has a cache in %v, what continues it in %v, or other adapters", name, saved.Cache, format)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.folders[o.m] != o.folder { // it was closed, or replaced
		return saved, text, nil
	}
	file := &prefixFile{SavedPrefix: saved}
	if old := o.files[name]; old != nil {
		file.used, file.marked = old.used, old.marked
	}
	o.files[name] = file
	share := text.Share()
	p.insert(&cachedText{prefixKind: o.kind, ids: saved.IDs, text: text, file: file}, o.evicted)
	return saved, share, nil
}

// save writes what is new and makes room.
func (f *folder) save(ctx context.Context) error {
	if err := f.m.enter(); err != nil {
		return err
	}
	defer f.m.leave()
	ctx, end := f.m.until(ctx)
	defer end()
	if err := wait.Turn(ctx, f.writing); err != nil {
		return err
	}
	defer func() { <-f.writing }()
	if err := f.look(ctx); err != nil {
		return f.wrap(err)
	}
	f.mark()
	skipped := map[*cachedText]bool{}
	for {
		if err := cause.Of(ctx); err != nil {
			return err
		}
		t, text := f.next(skipped)
		if t == nil {
			break
		}
		err := f.write(ctx, t, text, skipped)
		text.Release()
		if err != nil {
			return f.wrap(err)
		}
	}
	f.mark()
	_, err := f.makeRoom(0, never)
	return f.wrap(err)
}

// wrap names the folder in an error that may not.
func (f *folder) wrap(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("gemma4: folder for prefixes %s: %w", f.dir, err)
}

// next returns a text that no file holds, the shortest first, so that others can continue it; nil: there is none. The snapshot is the
// caller's to release.
func (f *folder) next(skipped map[*cachedText]bool) (best *cachedText, text *model.Snapshot) {
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	if f.p.folders[f.m] != f {
		return nil, nil
	}
	for _, t := range f.p.texts {
		if t.m == f.m && !skipped[t] && (t.file == nil || f.files[t.file.Name] == nil) && (best == nil || len(t.ids) < len(best.ids)) {
			best = t
		}
	}
	if best == nil {
		return nil, nil
	}
	return best, best.text.Share()
}

// write writes a text to its file, if it is worth that and there can be room. Otherwise it is skipped.
func (f *folder) write(ctx context.Context, t *cachedText, text *model.Snapshot, skipped map[*cachedText]bool) error {
	f.p.mu.Lock()
	_, n, _ := f.find(t.prefixKind, prompt{ids: t.ids}, len(t.ids), nil)
	base, used := f.base(t), t.used
	f.p.mu.Unlock()
	if len(t.ids)-n < worthSaving {
		skipped[t] = true
		return nil
	}
	saved, write, err := f.m.graph.SavePrefix(ctx, text, t.ids, f.arithmetic, base)
	if err != nil {
		return err
	}
	if !f.keepBases(saved, used) {
		skipped[t] = true
		return nil
	}
	f.mark()
	if ok, err := f.makeRoom(saved.Bytes, used); err != nil || !ok {
		skipped[t] = true
		return err
	}
	path := f.path(saved.Name)
	if _, err := replaceFile(path, func(w io.Writer, _ uint64) error { return write(ctx, w) }); err != nil {
		return err
	}
	f.m.log.Debug("prefix saved", "file", path, "bytes", saved.Bytes, "positions", len(t.ids))
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	t.file = &prefixFile{SavedPrefix: saved, used: used}
	f.files[saved.Name] = t.file
	return nil
}

// keepBases reports whether a file can be in the folder together with those that it continues, and has these be used when it was.
func (f *folder) keepBases(file *model.SavedPrefix, used time.Time) bool {
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	bytes := file.Bytes
	for base := range f.bases(file.Base) {
		bytes += base.Bytes
	}
	if bytes > f.limit || file.Base != "" && f.files[file.Base] == nil {
		return false
	}
	if base := f.files[file.Base]; base != nil && !base.used.After(used) {
		base.used = used.Add(later)
	}
	return true
}

// bases yields the file of that name and those that it continues, one after the other. mu must be held.
func (f *folder) bases(name string) iter.Seq[*prefixFile] {
	return func(yield func(*prefixFile) bool) {
		for range f.files { // not for ever, should they go in a circle
			x := f.files[name]
			if x == nil || !yield(x) {
				return
			}
			name = x.Base
		}
	}
}

// base returns the saved prefix that has most of a text, nil if none has a page of it. mu must be held.
func (f *folder) base(t *cachedText) *model.SavedPrefix {
	var best *prefixFile
	format, _ := t.cache.format()
	most := 0
	for _, x := range f.files {
		if x.Cache != format || x.Adapted != t.adapted {
			continue
		}
		if n := x.Shared(t.ids); n > most || n == most && best != nil && x.Name < best.Name {
			best, most = x, n
		}
	}
	if best == nil {
		return nil
	}
	return best.SavedPrefix
}

// mark sets the times of files that were used to when that was, and those of the files that they continue to a little later.
func (f *folder) mark() {
	f.p.mu.Lock()
	times := map[string]time.Time{}
	for name, x := range f.files {
		if !x.used.After(x.marked) {
			continue
		}
		at := x.used
		for base := range f.bases(name) {
			if at.After(base.marked) && at.After(times[base.Name]) {
				times[base.Name] = at
			}
			at = at.Add(later)
		}
	}
	for name, at := range times {
		x := f.files[name]
		x.used, x.marked = at, at
	}
	f.p.mu.Unlock()
	for name, at := range times {
		os.Chtimes(f.path(name), at, at) // where that cannot be, it goes sooner
	}
}

// makeRoom removes the files that were used longest ago, until there is room for so many bytes. It removes none if those that were used
// before the given time do not suffice, and reports false.
func (f *folder) makeRoom(bytes int64, before time.Time) (ok bool, err error) {
	all, parts, err := f.list()
	if err != nil {
		return false, err
	}
	bytes += parts
	for _, state := range all {
		bytes += state.size
	}
	over := bytes - f.limit
	var old []string
	for _, name := range slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(all[a].time.Compare(all[b].time), cmp.Compare(a, b))
	}) {
		if over > 0 && all[name].time.Before(before) {
			old = append(old, name)
			over -= all[name].size
		}
	}
	if over > 0 {
		return false, nil
	}
	for _, name := range old {
		f.p.mu.Lock()
		f.forget(name) // with the maps of it, so that the room is free
		f.p.mu.Unlock()
		if e := os.Remove(f.path(name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = cmp.Or(err, e)
			continue
		}
		f.m.log.Debug("saved prefix removed", "file", f.path(name), "bytes", all[name].size)
	}
	return err == nil, err
}

// faulted forgets the file that lies where the system could not deliver a page, if that is why a pass has failed.
func (p *PrefixCache) faulted(m *engine, err error) {
	fault, ok := errors.AsType[interface {
		error
		Addr() uintptr
	}](err)
	if !ok {
		return
	}

	p.mu.Lock()
	f, path := p.folders[m], ""
	for _, t := range p.texts {
		path = cmp.Or(path, t.text.FileAt(fault.Addr()))
	}
	p.mu.Unlock()
	if f != nil && path != "" {
		f.ignore(filepath.Base(path), err)
	}
}
