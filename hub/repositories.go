package hub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A repository is what a cache has of one, at one revision.
type repository struct {
	name      string   // OWNER/REPO
	revisions []string // by which this one is known: a branch or tag, and the commit; empty: nobody knows
	flat      bool     // its files have _ for the slashes of their paths
	files     []cached // its GGUF files by name
}

// cached is a file of a repository in a cache.
type cached struct {
	entry
	here string // its path on this machine
}

// model returns the model that a name means here, nil if it means none.
func (r *repository) model(c Cache, n name) (*Model, error) {
	here := map[string]string{} // by path
	for _, f := range r.files {
		here[f.path] = f.here
	}
	tag := n.tag
	if r.flat {
		tag = strings.ReplaceAll(tag, "/", "_")
	}
	chosen, err := choose(r.entries(), tag)
	if err != nil {
		return nil, nil // nothing of what is here
	}
	m := &Model{Name: n.String(), Place: c.Program}
	if len(r.revisions) > 0 {
		m.Revision = r.revisions[len(r.revisions)-1]
	}
	for _, e := range chosen.model {
		if err := checkGGUF(here[e.path]); err != nil {
			return nil, err
		}
		m.Files = append(m.Files, here[e.path])
		m.Bytes += e.size
	}
	for _, x := range []struct {
		e    *entry
		path *string
	}{{chosen.projector, &m.Projector}, {chosen.drafter, &m.Drafter}} {
		if x.e != nil && checkGGUF(here[x.e.path]) == nil {
			*x.path = here[x.e.path]
			m.Bytes += x.e.size
		}
	}
	return m, nil
}

// entries returns its files as a listing has them.
func (r *repository) entries() []entry {
	all := make([]entry, len(r.files))
	for i, f := range r.files {
		all[i] = f.entry
	}
	return all
}

// has reports whether a file of the same size has the content of e. It does if it is that of the same commit, or if its hash is the same:
// the hub's client names what its links lead to by it, otherwise it is computed.
func (r *repository) has(ctx context.Context, f cached, commit string, e entry) bool {
	if commit != "" && f.path == e.path && slices.Contains(r.revisions, commit) {
		return true
	}
	if e.sha256 == "" {
		return false
	}
	if target, err := os.Readlink(f.here); err == nil && len(path.Base(filepath.ToSlash(target))) == len(e.sha256) {
		return path.Base(filepath.ToSlash(target)) == e.sha256
	}
	in, err := os.Open(f.here)
	if err != nil {
		return false
	}
	defer in.Close()
	h := sha256.New()
	_, err = io.Copy(h, untilDone{ctx, in})
	return err == nil && hex.EncodeToString(h.Sum(nil)) == e.sha256
}

// untilDone reads until a context ends: a large file takes a while.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Bounds of what is looked at in a folder that somebody else fills.
const (
	maxEntries = 1 << 16 // files and folders of a repository
	maxDepth   = 16      // folders below each other
)

// repositories returns those that the cache has by the name OWNER/REPO in any case; "": all. What cannot be read is told by the error,
// which comes beside what can.
func (c Cache) repositories(name string) (all []repository, err error) {
	entries, err := readDir(c.Dir)
	if err != nil {
		return nil, err
	}
	flat := map[string]*repository{}
	for _, e := range entries {
		switch repo, ok := snapshotFolder(e.Name()); {
		case c.Program == studioProgram:
			if e.Name()[0] != '.' && (name == "" || strings.EqualFold(e.Name(), path.Dir(name))) {
				err = errors.Join(err, c.studio(e.Name(), name, &all))
			}
		case ok && (name == "" || strings.EqualFold(repo, name)):
			snapshots, e := readSnapshots(filepath.Join(c.Dir, e.Name()), repo)
			all, err = append(all, snapshots...), errors.Join(err, e)
		case c.Program == llamaProgram:
			c.flat(e.Name(), name, flat)
		}
	}
	for _, r := range flat {
		all = append(all, *r)
	}
	slices.SortStableFunc(all, func(a, b repository) int { return strings.Compare(a.name, b.name) })
	return all, err
}

// readDir is [os.ReadDir] without the error of a folder that is not there.
func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// snapshotFolder returns OWNER/REPO of the folder models--OWNER--REPO.
func snapshotFolder(folder string) (repo string, ok bool) {
	rest, ok := strings.CutPrefix(folder, "models--")
	owner, name, two := strings.Cut(rest, "--")
	return owner + "/" + name, ok && two && owner != "" && name != ""
}

// readSnapshots reads a repository in the layout of the hub's client, at each revision that it has: the branch main comes first, the others
// follow in the order of their names.
//
//	refs/NAME              the commit of a branch or tag
//	snapshots/COMMIT/PATH  a file, or a link to blobs/ETAG
func readSnapshots(dir, name string) (all []repository, err error) {
	commits, err := readDir(filepath.Join(dir, "snapshots"))
	if err != nil {
		return nil, err
	}
	refs := map[string][]string{} // by commit
	names := walk(filepath.Join(dir, "refs"), func(string) bool { return true })
	for _, ref := range names {
		if commit, e := readSmall(ref.here, 100); e == nil {
			commit := string(bytes.TrimSpace(commit))
			refs[commit] = append(refs[commit], ref.path)
		}
	}
	for _, e := range commits {
		if !e.IsDir() {
			continue
		}
		r := repository{name: name, revisions: append(refs[e.Name()], e.Name())}
		r.files = walk(filepath.Join(dir, "snapshots", e.Name()), isGGUF)
		if len(r.files) > 0 {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b repository) int {
		if x, y := slices.Contains(a.revisions, "main"), slices.Contains(b.revisions, "main"); x != y {
			return map[bool]int{true: -1, false: 1}[x]
		}
		return strings.Compare(a.revisions[0], b.revisions[0])
	})
	return all, nil
}

// studio adds the repositories of one owner in LM Studio's folder, OWNER/REPO/FILE.
func (c Cache) studio(owner, name string, all *[]repository) error {
	repos, err := os.ReadDir(filepath.Join(c.Dir, owner))
	if err != nil {
		if info, e := os.Stat(filepath.Join(c.Dir, owner)); e != nil || !info.IsDir() {
			return nil // a file, or a link to nowhere
		}
		return err
	}
	for _, e := range repos {
		r := repository{name: owner + "/" + e.Name()}
		if name != "" && !strings.EqualFold(name, r.name) {
			continue
		}
		if r.files = walk(filepath.Join(c.Dir, owner, e.Name()), isGGUF); len(r.files) > 0 {
			*all = append(*all, r)
		}
	}
	return nil
}

// flat adds a file of llama.cpp's older folder, OWNER_REPO_FILE with its slashes as _, to the repositories by name. Without a name it must
// be told by the file beside it that has the URL, or by the end that most repositories have.
func (c Cache) flat(file, name string, all map[string]*repository) {
	if !isGGUF(file) {
		return
	}
	info, err := os.Stat(filepath.Join(c.Dir, file))
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	repo := name
	if repo == "" {
		if repo = c.flatName(file); repo == "" {
			return
		}
	}
	prefix := strings.Replace(repo, "/", "_", 1) + "_"
	if len(file) <= len(prefix) || !strings.EqualFold(file[:len(prefix)], prefix) {
		return
	}
	if all[repo] == nil {
		all[repo] = &repository{name: repo, flat: true}
	}
	all[repo].files = append(all[repo].files, cached{entry{path: file[len(prefix):], size: info.Size()}, filepath.Join(c.Dir, file)})
}

// flatName returns the OWNER/REPO of a file of llama.cpp's older folder, "" if that is not certain.
func (c Cache) flatName(file string) string {
	if text, err := readSmall(filepath.Join(c.Dir, file+".json"), 64<<10); err == nil {
		var about struct {
			URL string `json:"url"`
		}
		if json.Unmarshal(text, &about) == nil {
			if u, err := url.Parse(about.URL); err == nil {
				if repo, _, ok := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/resolve/"); ok && strings.Count(repo, "/") == 1 {
					return repo
				}
			}
		}
	}
	owner, rest, ok := strings.Cut(file, "_")
	end := strings.Index(strings.ToLower(rest), "-gguf_")
	if !ok || owner == "" || end < 0 {
		return ""
	}
	return owner + "/" + rest[:end+len("-gguf")]
}

// walk returns the files below dir that keep takes by their names, in the order of these. Links to files are followed, those to folders
// are not, except dir itself. What cannot be read is left out.
func walk(dir string, keep func(name string) bool) (all []cached) {
	entries := maxEntries
	var visit func(below string, depth int)
	visit = func(below string, depth int) {
		list, _ := os.ReadDir(filepath.Join(dir, filepath.FromSlash(below)))
		for _, e := range list {
			if entries--; entries < 0 {
				return
			}
			name := path.Join(below, e.Name())
			switch {
			case e.IsDir() && depth < maxDepth:
				visit(name, depth+1)
			case keep(name):
				here := filepath.Join(dir, filepath.FromSlash(name))
				if info, err := os.Stat(here); err == nil && info.Mode().IsRegular() {
					all = append(all, cached{entry{path: name, size: info.Size()}, here})
				}
			}
		}
	}
	visit("", 1)
	return all
}
