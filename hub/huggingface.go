package hub

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// huggingface is a hub that speaks Hugging Face's protocol.
type huggingface struct {
	h        *Hub
	endpoint string // without a slash at its end
	host     string // of it
	token    string
}

func (h *Hub) huggingface() (*huggingface, error) {
	endpoint := strings.TrimRight(cmp.Or(h.Endpoint, os.Getenv("HF_ENDPOINT"), publicEndpoint), "/")
	host, err := hostOf(endpoint)
	if err != nil {
		return nil, err
	}
	return &huggingface{h, endpoint, host, cmp.Or(h.Token, environmentToken())}, nil
}

// hostOf returns the host, with a port if one is said, of the address of a hub.
func hostOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", fmt.Errorf("hub: %q is no address of a hub, expected one such as %s", address, publicEndpoint)
	}
	if !isFileName(strings.ReplaceAll(u.Host, ":", "_")) {
		return "", fmt.Errorf("hub: the host of %s can have no folder in the store", address)
	}
	return u.Host, nil
}

// environmentToken returns the token that the environment names or the hub's own client keeps, "" if there is none.
func environmentToken() string {
	if token := cmp.Or(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN")); token != "" {
		return strings.TrimSpace(token)
	}
	file := os.Getenv("HF_TOKEN_PATH")
	if file == "" {
		file = filepath.Join(huggingfaceHome(), "token")
	}
	text, _ := readSmall(file, 1<<12) // none is as good as one that cannot be read
	return strings.TrimSpace(string(text))
}

// huggingfaceHome returns the folder of the hub's own client.
func huggingfaceHome() string {
	if home := os.Getenv("HF_HOME"); home != "" {
		return home
	}
	if cache := os.Getenv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(cache, "huggingface")
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".cache", "huggingface")
}

// isOffline reports whether the network is not to be used.
func (h *Hub) isOffline() bool {
	return h.Offline || slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(os.Getenv("HF_HUB_OFFLINE")))
}

// header returns what requests say beside their address.
func (f *huggingface) header() http.Header {
	header := http.Header{"User-Agent": {"gemma4"}}
	if f.token != "" {
		header.Set("Authorization", "Bearer "+f.token)
	}
	return header
}

// repository returns the address of a repository for people.
func (f *huggingface) repository(n name) string { return f.endpoint + "/" + n.owner + "/" + n.repo }

// file returns the address of a file at a revision.
func (f *huggingface) file(n name, revision, file string) string {
	parts := strings.Split(file, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return f.repository(n) + "/resolve/" + url.PathEscape(revision) + "/" + strings.Join(parts, "/")
}

// resolve asks which files a name means, and pins them to the commit that they are of now.
func (f *huggingface) resolve(ctx context.Context, n name, with With) (*offer, error) {
	revision := cmp.Or(n.revision, "main")
	files, err := f.list(ctx, n, revision)
	if err != nil {
		return nil, err
	}
	c, err := f.choose(n, files)
	if err != nil {
		return nil, err
	}
	commit, hash, err := f.commit(ctx, n, revision, c.model[0].path)
	if err != nil {
		return nil, err
	}
	if hash != c.model[0].sha256 && hash != c.model[0].gitSHA1 && commit != revision { // it moved between the two questions
		if files, err = f.list(ctx, n, commit); err != nil {
			return nil, err
		}
		if c, err = f.choose(n, files); err != nil {
			return nil, err
		}
	}
	o := &offer{source: f.repository(n), revision: commit, name: shortest(n, files, c.model[0].path)}
	stored := storedNames(files)
	add := func(r role, e entry) error {
		if e.sha256 == "" && e.gitSHA1 == "" || e.size < 0 {
			return fmt.Errorf("hub: %s tells no size or hash of %s", f.repository(n), e.path)
		}
		o.files = append(o.files, remote{e, r, companionName(r, stored[e.path]), f.file(n, commit, e.path), f.header()})
		return nil
	}
	for _, e := range c.model {
		if err := add(modelRole, e); err != nil {
			return nil, err
		}
	}
	for _, x := range []struct {
		asked bool
		role  role
		entry *entry
		named string
	}{{with.Projector, projectorRole, c.projector, "mmproj-….gguf"}, {with.Drafter, drafterRole, c.drafter, "mtp-….gguf"}} {
		switch {
		case !x.asked:
		case x.entry == nil:
			return nil, missingf("hub: %s has no %s (%s)", f.repository(n), x.role, x.named)
		default:
			if err := add(x.role, *x.entry); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}

func (f *huggingface) choose(n name, files []entry) (choice, error) {
	c, err := choose(files, n.tag)
	if err != nil {
		return c, fmt.Errorf("hub: %s: %w", f.repository(n), err)
	}
	return c, nil
}

// shortest returns the name with the shortest tag that means a file.
func shortest(n name, files []entry, file string) name {
	n.tag = file
	if word := quantisation(file); word != "" {
		if c, err := choose(files, word); err == nil && c.model[0].path == file {
			n.tag = word
		}
	}
	return n
}

// storedNames returns the name in the store of each file of a listing: its own, or, where several have that, with the folders before it. If
// that is taken as well, or is too long, a hash stands for the folders, the same for all parts of a split file.
func storedNames(files []entry) map[string]string {
	joined := func(file string) string { return strings.ReplaceAll(file, "/", "_") }
	count := map[string]int{}
	for _, f := range files {
		count[strings.ToLower(path.Base(f.path))]++
		if strings.Contains(f.path, "/") {
			count[strings.ToLower(joined(f.path))]++
		}
	}
	stored := map[string]string{}
	for _, f := range files {
		name := path.Base(f.path)
		if count[strings.ToLower(name)] > 1 {
			name = joined(f.path)
		}
		if count[strings.ToLower(name)] > 1 || !isFileName(name) {
			name = fmt.Sprintf("%.4x_%s", sha256.Sum256([]byte(path.Dir(f.path))), path.Base(f.path))
		}
		stored[f.path] = name
	}
	return stored
}

// companionName returns the name of a file beside a model, by which Loader.Open knows what it is.
func companionName(r role, name string) string {
	if lower := strings.ToLower(name); r == drafterRole && !strings.HasPrefix(lower, "mtp-") && !strings.Contains(lower, "assistant") {
		return "mtp-" + name
	}
	return name
}

// commit asks which commit a revision is, and for the hash of one of its files there.
func (f *huggingface) commit(ctx context.Context, n name, revision, file string) (commit, hash string, err error) {
	header := f.header()
	header.Set("Accept-Encoding", "identity")
	a, err := f.h.ask(ctx, http.MethodHead, f.file(n, revision, file), header)
	if err != nil {
		return "", "", err
	}
	if a.status >= 400 {
		return "", "", f.refused(a, n, file)
	}
	commit = a.header.Get("X-Repo-Commit")
	if !gitHash.MatchString(commit) {
		commit = revision // of a hub that does not tell
	}
	hash = cmp.Or(a.header.Get("X-Linked-Etag"), a.header.Get("ETag"))
	return commit, strings.ToLower(strings.Trim(strings.TrimPrefix(hash, "W/"), `"`)), nil
}

var (
	gitHash    = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Hash = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// A listing has at most maxPages pages, and at most maxFiles GGUF files.
const (
	maxPages = 100
	maxFiles = 10000
)

// list returns the GGUF files of a repository at a revision.
func (f *huggingface) list(ctx context.Context, n name, revision string) (files []entry, err error) {
	next := f.endpoint + "/api/models/" + n.owner + "/" + n.repo + "/tree/" + url.PathEscape(revision) + "?recursive=true"
	for range maxPages {
		a, err := f.h.get(ctx, next, f.header())
		if err != nil {
			return nil, err
		}
		if a.status != http.StatusOK {
			return nil, f.refused(a, n, "")
		}
		page, err := parseListing(a.body)
		if err != nil {
			return nil, fmt.Errorf("hub: the listing of %s: %w", f.repository(n), err)
		}
		files = append(files, page...)
		if len(files) > maxFiles {
			return nil, fmt.Errorf("hub: the listing of %s has more than %d GGUF files", f.repository(n), maxFiles)
		}
		if next, err = nextPage(a); err != nil || next == "" {
			return files, err
		}
	}
	return nil, fmt.Errorf("hub: the listing of %s has more than %d pages", f.repository(n), maxPages)
}

// asHash returns a hash in small letters, or "" if it is none.
func asHash(form *regexp.Regexp, hash string) string {
	if hash = strings.ToLower(hash); form.MatchString(hash) {
		return hash
	}
	return ""
}

// parseListing returns the GGUF files of a page of a listing. Those whose names could be no files here are left out.
func parseListing(text []byte) (files []entry, err error) {
	var page []struct {
		Type, Path, OID string
		Size            int64
		LFS             *struct {
			OID  string
			Size int64
		}
	}
	if err := json.Unmarshal(text, &page); err != nil {
		return nil, err
	}
	for _, p := range page {
		if p.Type != "file" || !isGGUF(p.Path) || !isRepositoryPath(p.Path) {
			continue
		}
		e := entry{path: p.Path, size: max(p.Size, -1)}
		if p.LFS != nil {
			e.size, e.sha256 = max(p.LFS.Size, -1), asHash(sha256Hash, p.LFS.OID)
		} else {
			e.gitSHA1 = asHash(gitHash, p.OID)
		}
		files = append(files, e)
	}
	return files, nil
}

var linkNext = regexp.MustCompile(`<([^<>]*)>\s*;[^<]*\brel="?next"?`)

// nextPage returns the address of the next page of a listing, "" behind the last one.
func nextPage(a *answer) (string, error) {
	m := linkNext.FindStringSubmatch(strings.Join(a.header.Values("Link"), ", "))
	if m == nil {
		return "", nil
	}
	u, err := a.url.Parse(m[1])
	if err != nil || u.Host != a.url.Host || u.Scheme != a.url.Scheme {
		return "", fmt.Errorf("hub: the next page of the listing at %s is elsewhere: %q", a.url.Host, m[1])
	}
	return u.String(), nil
}

// refused says why the hub does not give a file, or the listing if file is "".
func (f *huggingface) refused(a *answer, n name, file string) error {
	repository := f.repository(n)
	account := "a token of your account in HF_TOKEN"
	if f.token != "" {
		account = "the account of your token"
	}
	code := a.header.Get("X-Error-Code")
	switch {
	case code == "GatedRepo":
		return fmt.Errorf("hub: %s is gated: accept its licence there in a browser; then %s may fetch it (%s)",
			repository, account, a.said())
	case code == "RevisionNotFound":
		return missingf("hub: %s has no revision %s", repository, cmp.Or(n.revision, "main"))
	case code == "EntryNotFound" || code == "" && a.status == http.StatusNotFound && file != "":
		return missingf("hub: %s has no file %s", repository, file)
	case code == "RepoNotFound" || code == "" && (a.status == http.StatusUnauthorized || a.status == http.StatusNotFound):
		if a.status == http.StatusUnauthorized && f.token != "" {
			return missingf("hub: there is no repository %s that your token may read: is its name right, and the token valid?", repository)
		}
		return missingf("hub: there is no repository %s, or it is private and %s may read it", repository, account)
	case a.status >= 300 && a.status < 400:
		return fmt.Errorf("hub: %s answers for %s with a redirect to another host", a.url.Host, repository)
	}
	return fmt.Errorf("hub: %s: status %d: %s", repository, a.status, a.said())
}
