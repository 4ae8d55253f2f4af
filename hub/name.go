package hub

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// name is what stands for a model: a file, or something of a hub.
type name struct {
	text string // as it was asked for
	file string // path of the file, which is there; all below is empty then

	ollama      bool   // a registry of ollama's protocol, otherwise a hub of Hugging Face's
	host        string // of another registry than Hub.Registry
	owner, repo string // or namespace and model
	tag         string // part of a file's name, or a tag; "" if nothing was said
	revision    string // "" if nothing was said
}

// String is the name as it may be asked for again.
func (n name) String() string {
	if n.file != "" {
		return n.file
	}
	s := n.owner + "/" + n.repo
	if n.ollama {
		s = strings.TrimPrefix(s, "library/")
		if n.host != "" {
			s = n.host + "/" + n.owner + "/" + n.repo
		}
		s = "ollama:" + s
	}
	if n.tag != "" {
		s += ":" + n.tag
	}
	if n.revision != "" {
		s += "@" + n.revision
	}
	return s
}

// names.txt is the table of short names.
//
//go:embed names.txt
var builtinNames string

// maxNames is the size in bytes of a table of short names that is read.
const maxNames = 1 << 20

// ShortNames returns the short names, in small letters, and what each stands for.
func (h *Hub) ShortNames() (map[string]string, error) {
	if h.Names != nil {
		return h.Names, nil
	}
	all := parseNames(builtinNames)
	home, err := h.Folder()
	if err != nil {
		return all, nil // there is no store, and so no table in it
	}
	path := filepath.Join(home, "names.txt")
	text, err := readSmall(path, maxNames)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("hub: the table of short names: %w", err)
	}
	maps.Copy(all, parseNames(string(text)))
	return all, nil
}

// parseNames reads a table: a line for each short name, behind it what it stands for; # begins a comment.
func parseNames(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		short, long, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		if long = strings.TrimSpace(long); long != "" {
			all[strings.ToLower(short)] = long
		}
	}
	return all
}

// parse says what a name means. It looks whether there is a file of that name, and at no other place.
func (h *Hub) parse(text string) (name, error) {
	n, err := parseFile(text)
	if err != nil {
		return name{}, fmt.Errorf("hub: %w", err)
	}
	if n.file != "" {
		return n, nil
	}
	names, err := h.ShortNames()
	if err != nil {
		return name{}, err
	}
	short, rest := text, ""
	if i := strings.IndexAny(text, ":@"); i >= 0 {
		short, rest = text[:i], text[i:]
	}
	if long, ok := names[strings.ToLower(short)]; ok {
		if n, err = parseShort(long, rest); err != nil {
			return name{}, fmt.Errorf("hub: %q: the short name stands for %s: %w", text, long, err)
		}
	} else if n, err = parseLong(text); errors.Is(err, errNoName) {
		return name{}, fmt.Errorf("hub: %q is %w: names are FILE.gguf, %s, ollama:MODEL[:TAG] and OWNER/REPO[:QUANTISATION]",
			text, err, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	} else if err != nil {
		return name{}, fmt.Errorf("hub: %q is no name: %w", text, err)
	}
	n.text = text
	return n, nil
}

// parseShort returns what a short name means that stands for long, with :TAG or @REVISION behind it, which come before those of long.
func parseShort(long, rest string) (name, error) {
	n, err := parseFile(long)
	if n.file == "" && err == nil {
		n, err = parseLong(long)
	}
	switch {
	case err != nil:
		return name{}, err
	case n.file != "" && rest != "":
		return name{}, fmt.Errorf("a file has no %s", rest)
	}
	tag, revision := cutRevision(rest)
	n.tag, n.revision = cmp.Or(strings.TrimPrefix(tag, ":"), n.tag), cmp.Or(revision, n.revision)
	return n, n.check()
}

// parseFile returns the name of a file, the zero name if the text is none, or an error if it can be nothing else and there is no such file.
func parseFile(text string) (name, error) {
	info, err := os.Stat(text)
	switch {
	case err == nil && info.IsDir() && isPath(text):
		return name{}, fmt.Errorf("%s is a folder, expected a GGUF file", text)
	case err == nil && !info.IsDir():
		return name{text: text, file: text}, nil
	case err == nil || !isPath(text):
		return name{}, nil
	}
	hint := ""
	if parts := strings.SplitN(filepath.ToSlash(text), "/", 3); len(parts) == 3 && isRepository(parts[0]) && isRepository(parts[1]) {
		hint = fmt.Sprintf(" (a file of a repository is %s/%s:%s)", parts[0], parts[1], parts[2])
	}
	if e := (*os.PathError)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return name{}, fmt.Errorf("there is no file %s%s: %w", text, hint, err)
}

// isPath reports whether a text can only be the path of a file, as this system or another writes it.
func isPath(text string) bool {
	for _, begin := range []string{"/", "./", "../", "~"} {
		if strings.HasPrefix(text, begin) {
			return true
		}
	}
	ofHub := strings.LastIndex(text, ":") > 1 // behind a name, and no drive
	return strings.Contains(text, `\`) || filepath.VolumeName(text) != "" || isGGUF(text) && !ofHub
}

// parseLong returns what a name of a hub means.
func parseLong(text string) (name, error) {
	if rest, ok := strings.CutPrefix(text, "ollama:"); ok {
		n, err := parseOllama(rest)
		n.text = text
		return n, err
	}
	n := name{text: text}
	rest := text
	for _, begin := range endpointNames {
		if r, ok := strings.CutPrefix(rest, begin); ok {
			rest = fromBrowser(r)
		}
	}
	if strings.Contains(rest, "://") {
		return n, fmt.Errorf("only addresses at %s are understood, as far as the repository's name", strings.Join(endpointNames, ", "))
	}
	rest, n.revision = cutRevision(rest)
	rest, n.tag, _ = strings.Cut(rest, ":")
	owner, repo, ok := strings.Cut(rest, "/")
	switch {
	case !ok && strings.Contains(n.tag, "/"): // hf:OWNER/REPO
		return n, fmt.Errorf("did you mean %s?", n.tag)
	case !ok && n.tag != "":
		return n, fmt.Errorf("did you mean ollama:%s?", text)
	case !ok:
		return n, errNoName
	case strings.Contains(strings.Trim(repo, "/"), "/"):
		path := strings.SplitN(strings.Trim(repo, "/"), "/", 2)
		return n, fmt.Errorf("did you mean %s/%s:%s?", owner, path[0], path[1])
	}
	n.owner, n.repo = owner, repo
	return n, n.check()
}

// fromBrowser returns the name of what a browser shows at a path of the hub: OWNER/REPO/tree/REVISION or OWNER/REPO/blob/REVISION/FILE, and
// resolve in place of blob.
func fromBrowser(path string) string {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.SplitN(strings.TrimSuffix(path, "/"), "/", 5)
	if len(parts) < 4 || len(parts) == 5 && parts[2] != "blob" && parts[2] != "resolve" || len(parts) == 4 && parts[2] != "tree" {
		return strings.Join(parts, "/")
	}
	name := parts[0] + "/" + parts[1]
	if len(parts) == 5 {
		name += ":" + parts[4]
	}
	if parts[3] != "main" {
		name += "@" + parts[3]
	}
	return name
}

var errNoName = errors.New("neither a file nor a short name")

// cutRevision takes @REVISION from the end of a name.
func cutRevision(text string) (rest, revision string) {
	if i := strings.LastIndex(text, "@"); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, ""
}

// check checks the parts of a name.
func (n name) check() error {
	switch {
	case n.file != "":
		return nil
	case n.ollama && n.revision != "":
		return errors.New("ollama's models have tags, and no @REVISION")
	case n.ollama:
		for _, part := range []string{cmp.Or(strings.ReplaceAll(n.host, ":", "_"), "host"), n.owner, n.repo, n.tag} {
			if !isFileName(part) {
				return errOllama
			}
		}
		return nil
	case !isRepository(n.owner) || !isRepository(n.repo):
		return fmt.Errorf("%q is no OWNER/REPO: letters, digits, and single - . _ within", n.owner+"/"+n.repo)
	case n.tag != "" && !isRepositoryPath(n.tag):
		return fmt.Errorf("%q is neither a part of a file's name nor its path in the repository", n.tag)
	case n.revision != "" && (!isRepositoryPath(n.revision) || len(n.revision) > 100):
		return fmt.Errorf("%q is no branch, tag or commit", n.revision)
	}
	return nil
}

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$`)

// isRepository reports whether an owner or a repository may have this name.
func isRepository(text string) bool {
	return repositoryName.MatchString(text) && !strings.Contains(text, "--") && !strings.Contains(text, "..") && isFileName(text)
}

// folder returns the folder of the store for what a name's repository has, relative to Home.
func (n name) folder(host string) string {
	repo := n.repo
	if n.revision != "" {
		repo += "@" + url.QueryEscape(n.revision)
	}
	return filepath.Join(strings.ReplaceAll(host, ":", "_"), n.owner, repo)
}
