package hub

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// manifests returns the models in ollama's folder whose names are wanted. What is wrong with others comes as an error, one for each.
//
//	manifests/HOST/NAMESPACE/MODEL/TAG  the manifest
//	blobs/sha256-HEX                    its layers; sha256:HEX once
func (c Cache) manifests(want func(n name) bool) (all []Model, err error) {
	if _, e := readDir(filepath.Join(c.Dir, "manifests")); e != nil {
		return nil, e
	}
	for _, f := range walk(filepath.Join(c.Dir, "manifests"), func(path string) bool { return strings.Count(path, "/") == 3 }) {
		n, e := parseOllama(path.Dir(f.path) + ":" + path.Base(f.path))
		if e != nil || !want(n) { // no name: nothing of ollama's
			continue
		}
		m, e := c.manifest(n, f.here)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s in %s: %w", n, c, e))
			continue
		}
		all = append(all, *m)
	}
	return all, err
}

// manifest returns the model of the manifest in a file.
func (c Cache) manifest(n name, file string) (*Model, error) {
	text, err := readSmall(file, maxManifest)
	if err != nil {
		return nil, err
	}
	man, err := parseManifest(text)
	if err != nil {
		return nil, err
	}
	m := &Model{Name: n.String(), Place: c.Program, Revision: fmt.Sprintf("sha256:%x", sha256.Sum256(text))}
	for _, f := range man.files(n.tag, With{true, true}) {
		path, err := c.blob(f.sha256, f.size)
		if err == nil && isGGUF(f.stored) {
			err = checkGGUF(path)
		}
		switch {
		case err == nil:
			m.add(f.role, path, f.size)
		case f.role == modelRole || f.role == adapterRole:
			return nil, err
		}
	}
	return m, nil
}

// blob returns the path of the blob with a SHA-256 and a size in bytes.
func (c Cache) blob(sha256 string, size int64) (path string, err error) {
	for _, colon := range []string{"-", ":"} {
		path = filepath.Join(c.Dir, "blobs", "sha256"+colon+sha256)
		info, e := os.Stat(path)
		switch {
		case errors.Is(e, fs.ErrNotExist):
			continue
		case e != nil:
			return "", e
		case !info.Mode().IsRegular() || info.Size() != size:
			return "", fmt.Errorf("%s has %d bytes, expected a file of %d", path, info.Size(), size)
		}
		return path, nil
	}
	return "", fmt.Errorf("the blob sha256-%s is missing, or still being fetched", sha256)
}

// checkGGUF reports whether a file begins as GGUF does.
func checkGGUF(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "GGUF" {
		return fmt.Errorf("%s is no GGUF file: it begins with %q", path, magic)
	}
	return nil
}
