package download

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// A File is what is fetched. Its bytes appear at Path when all of them are there and right; until then they grow in Path + ".part", and
// what is known of them is kept in Path + ".part.ranges".
type File struct {
	// URL is where it is, by http or https. Where that redirects to may change, and may expire.
	URL string
	// Path is where it shall be. Its folder is made if it is missing.
	Path string
	// Size is its length in bytes; below 0: unknown.
	Size int64
	// SHA256 is the hash of its bytes, in hexadecimal digits; "": not checked.
	SHA256 string
	// GitSHA1 is the name git has for it: the SHA-1 of "blob LENGTH", a zero byte and its bytes; "": not checked.
	GitSHA1 string
	// Header is sent to the host and port of URL, and never to where that redirects.
	Header http.Header
}

// largest is more than any file has. Sums of sizes stay far from overflowing.
const largest = 1 << 50

// check returns an error unless f can be fetched.
func (f *File) check() error {
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%.200q is no URL of http or https", strings.SplitN(f.URL, "?", 2)[0])
	case filepath.Base(f.Path) == "." || filepath.Base(f.Path) == string(filepath.Separator):
		return fmt.Errorf("%q is no path of a file", f.Path)
	case f.Size > largest:
		return fmt.Errorf("a size of %d bytes, which no file has", f.Size)
	}
	for _, sum := range f.sums() {
		if b, err := hex.DecodeString(sum.want); err != nil || len(b) != sum.bytes {
			return fmt.Errorf("%.100q is no %s, expected %d hexadecimal digits", sum.want, sum.kind, 2*sum.bytes)
		}
	}
	if info, err := os.Stat(f.Path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is there, and no regular file", f.Path)
	}
	return nil
}

// A sum is a hash that a file must have.
type sum struct {
	kind, want string
	bytes      int
	make       func(size int64) hash.Hash
}

// sums are the hashes that f must have, the best first.
func (f *File) sums() (all []sum) {
	if f.SHA256 != "" {
		all = append(all, sum{"SHA-256", strings.ToLower(f.SHA256), sha256.Size, func(int64) hash.Hash { return sha256.New() }})
	}
	if f.GitSHA1 != "" {
		all = append(all, sum{"git's SHA-1", strings.ToLower(f.GitSHA1), sha1.Size, func(size int64) hash.Hash {
			h := sha1.New()
			fmt.Fprintf(h, "blob %d\x00", size)
			return h
		}})
	}
	return all
}

// identity names the bytes that f asks for: what was received under another name is of no use.
func (f *File) identity() string {
	if sums := f.sums(); len(sums) > 0 {
		return sums[0].kind + " " + sums[0].want
	}
	u, _, _ := strings.Cut(f.URL, "?") // signatures stay in no file
	return fmt.Sprintf("URL %x", sha256.Sum256([]byte(u)))
}

// whole reports whether the file at Path is what f asks for, which takes as long as reading it. Without a hash nobody can tell.
func (f *File) whole(ctx context.Context, t *tally) bool {
	sums := f.sums()
	file, err := os.Open(f.Path)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || len(sums) == 0 || f.Size >= 0 && info.Size() != f.Size {
		return false
	}
	hashes, to := open(sums, info.Size())
	for n := int64(0); ctx.Err() == nil; {
		read, err := io.CopyN(to, file, 1<<20)
		n += read
		if err == io.EOF && n == info.Size() && compare(f.Path, sums, hashes) == nil {
			t.set(n, n)
			return true
		} else if err != nil {
			break
		}
		t.set(n, f.Size)
	}
	return false
}

// open returns new hashes, and what writes to all of them.
func open(sums []sum, size int64) (hashes []hash.Hash, to io.Writer) {
	var writers []io.Writer
	for _, s := range sums {
		h := s.make(size)
		hashes, writers = append(hashes, h), append(writers, h)
	}
	return hashes, io.MultiWriter(writers...)
}

// compare returns a HashError unless the hashes are those that are wanted.
func compare(path string, sums []sum, hashes []hash.Hash) error {
	for i, s := range sums {
		if got := hex.EncodeToString(hashes[i].Sum(nil)); got != s.want {
			return &HashError{Path: path, Kind: s.kind, Got: got, Want: s.want}
		}
	}
	return nil
}
