package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
)

// A Cache is a folder in which another program keeps models. They are used where they lie: nothing in it is copied, and nothing changed.
type Cache struct {
	Program string // "huggingface" for the client of its hub, "llama.cpp", "lmstudio" or "ollama"; as in Model.Place
	Dir     string
}

func (c Cache) String() string { return c.Program + "'s " + c.Dir }

// Programs whose caches are known.
const (
	hubProgram    = "huggingface"
	llamaProgram  = "llama.cpp"
	studioProgram = "lmstudio"
	ollamaProgram = "ollama"
)

// Caches returns the folders in which other programs keep models on this machine, as their environment variables and customs have it:
// HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, LLAMA_CACHE, OLLAMA_MODELS and XDG_CACHE_HOME. They need not exist.
func Caches() []Cache {
	home, _ := os.UserHomeDir() // without one there are those that variables name
	return caches(os.Getenv, home, runtime.GOOS)
}

// caches is Caches of the environment given. home may be empty.
func caches(env func(string) string, home, system string) (all []Cache) {
	at := func(dir string, elem ...string) string { // empty if dir is
		if rest, ok := strings.CutPrefix(dir, "~/"); ok {
			dir = ""
			if home != "" {
				dir = filepath.Join(home, rest)
			}
		}
		if dir == "" {
			return ""
		}
		return filepath.Join(append([]string{dir}, elem...)...)
	}
	add := func(program string, choices ...string) { // the first of them that is set
		for _, dir := range choices {
			c := Cache{program, dir}
			if dir != "" {
				if !slices.Contains(all, c) {
					all = append(all, c)
				}
				return
			}
		}
	}
	user := at(env("XDG_CACHE_HOME"))
	if user == "" {
		user = at(home, ".cache")
	}
	add(hubProgram, at(env("HF_HUB_CACHE")), at(env("HUGGINGFACE_HUB_CACHE")), at(env("HF_HOME"), "hub"), at(user, "huggingface", "hub"))
	switch system {
	case "darwin":
		add(llamaProgram, at(env("LLAMA_CACHE")), at(home, "Library", "Caches", "llama.cpp"))
	case "windows":
		add(llamaProgram, at(env("LLAMA_CACHE")), at(env("LOCALAPPDATA"), "llama.cpp"))
	default:
		add(llamaProgram, at(env("LLAMA_CACHE")), at(user, "llama.cpp"))
	}
	add(studioProgram, at(home, ".lmstudio", "models"))
	add(studioProgram, at(home, ".cache", "lm-studio", "models")) // before 0.3
	add(ollamaProgram, at(env("OLLAMA_MODELS")), at(home, ".ollama", "models"))
	if system == "linux" {
		add(ollamaProgram, "/usr/share/ollama/.ollama/models") // of the service, whose variables are not ours
	}
	return all
}

// find returns the model that a name means, if it is there whole; nil if not. The error says what could not be looked at, or what is there
// and not whole.
func (c Cache) find(n name) (*Model, error) {
	if c.Program == ollamaProgram {
		models, err := c.manifests(func(x name) bool { return sameModel(x, n) })
		if len(models) == 0 {
			return nil, err
		}
		return &models[0], nil
	}
	if n.ollama {
		return nil, nil
	}
	repos, err := c.repositories(n.owner + "/" + n.repo)
	for _, r := range repos {
		if n.revision != "" && !slices.Contains(r.revisions, n.revision) {
			continue
		}
		m, e := r.model(c, n)
		if m != nil {
			e = checkWhole(m.Files)
		}
		if m != nil && e == nil {
			return m, nil
		}
		err = errors.Join(err, e)
	}
	return nil, err
}

// checkWhole reads the heads of a model's files, which say how long these must be.
func checkWhole(files []string) error {
	f, err := gguf.OpenParts(files...)
	if err != nil {
		return err
	}
	return f.Close()
}

// list returns the models that are there whole, beside an error for what could not be looked at.
func (c Cache) list() (all []Model, err error) {
	if c.Program == ollamaProgram {
		return c.manifests(func(name) bool { return true })
	}
	repos, err := c.repositories("")
	seen := map[string]bool{}
	for _, r := range repos {
		owner, repo, _ := strings.Cut(r.name, "/")
		for _, f := range r.files {
			if kindOf(f.path) != modelRole || !isFirst(f.path) {
				continue
			}
			whole := name{owner: owner, repo: repo, tag: f.path}
			m, e := r.model(c, whole)
			err = errors.Join(err, e)
			if m == nil || seen[whole.String()] { // of an older revision
				continue
			}
			seen[whole.String()] = true
			short := shortest(whole, r.entries(), f.path).String()
			switch {
			case whole.check() != nil: // folders that are no repository's; their files are names
				m.Name = m.Files[0]
			case !seen[short]:
				seen[short] = true
				m.Name = short
			}
			all = append(all, *m)
		}
	}
	return all, err
}

// file returns the path of a file that has the content of e, "" if there is none. n and revision, a commit, say where it is from.
func (c Cache) file(ctx context.Context, n name, revision string, e entry) string {
	if c.Program == ollamaProgram {
		path, err := c.blob(e.sha256, e.size)
		if err != nil || e.sha256 == "" {
			return ""
		}
		return path
	}
	if n.ollama {
		return c.blobOfAny(e)
	}
	repos, _ := c.repositories(n.owner + "/" + n.repo)
	for _, r := range repos {
		for _, f := range r.files {
			if f.size == e.size && r.has(ctx, f, revision, e) {
				return f.here
			}
		}
	}
	return ""
}

// isFirst reports whether a file is no later part of a split one.
func isFirst(file string) bool {
	_, number, _, split := gguf.ParsePartName(file)
	return !split || number == 1
}

// blobOfAny returns the path of a blob that any repository in the layout of the hub's client has, "" if none has it.
func (c Cache) blobOfAny(e entry) string {
	entries, _ := readDir(c.Dir)
	for _, folder := range entries {
		path := filepath.Join(c.Dir, folder.Name(), "blobs", e.sha256)
		if _, ok := snapshotFolder(folder.Name()); ok && e.sha256 != "" && isThere(path, e.size) == nil {
			return path
		}
	}
	return ""
}

// sameModel reports whether two names mean the same to ollama, which knows the hub's repositories as well.
func sameModel(a, b name) bool {
	return a.ollama == b.ollama && strings.EqualFold(a.host, b.host) && strings.EqualFold(a.owner, b.owner) &&
		strings.EqualFold(a.repo, b.repo) && strings.EqualFold(a.tag, b.tag) && a.revision == b.revision
}
