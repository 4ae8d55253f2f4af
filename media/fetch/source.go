package fetch

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/gogemma/gemma4/chat"
)

// file gets the file that a part names.
func (f *Fetcher) file(ctx context.Context, p *chat.Part) (in file, err error) {
	if p.URL == "" {
		if len(p.Data) == 0 {
			return in, errors.New("no data")
		}
		return file{"", p.Data}, f.take(int64(len(p.Data)))
	}
	scheme, rest, ok := strings.Cut(p.URL, ":")
	if !ok {
		return in, fmt.Errorf("%s is no URL: expected data:…;base64,…", brief(p.URL))
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "data":
		in.data, err = f.inline(rest)
		return in, err
	case "http", "https":
		if !f.HTTP {
			return in, fmt.Errorf("URLs of %s are %w here: send a data: URL", scheme, ErrNotAllowed)
		}
	case "file":
		if f.Root == "" {
			return in, fmt.Errorf("files are %w here: send a data: URL", ErrNotAllowed)
		}
	default:
		return in, fmt.Errorf("URLs of %.20q are %w: expected data", scheme, ErrNotAllowed)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return in, fmt.Errorf("%s is no URL", brief(p.URL))
	}
	if name := path.Base(u.Path); name != "." && name != "/" {
		in.name = name
	}
	if scheme == "file" {
		in.data, err = f.under(u)
	} else {
		in.data, err = f.download(ctx, u)
	}
	return in, err
}

// inline returns what a data: URL holds, of which rest is all behind the colon.
func (f *Fetcher) inline(rest string) ([]byte, error) {
	kind, text, ok := strings.Cut(rest, ",")
	if !ok {
		return nil, errors.New("a data: URL without a comma: expected data:TYPE;base64,…")
	}
	if !strings.HasSuffix(strings.ToLower(kind), ";base64") {
		if err := f.take(int64(len(text))); err != nil {
			return nil, err
		}
		data, err := url.PathUnescape(text)
		if err != nil {
			return nil, fmt.Errorf("a data: URL: %w", err)
		}
		return []byte(data), nil
	}
	if err := f.take(int64(base64.RawStdEncoding.DecodedLen(len(text)))); err != nil {
		return nil, err
	}
	data, err := Base64(text)
	if err != nil {
		return nil, fmt.Errorf("a data: URL: %w", err)
	}
	return data, nil
}

// Base64 decodes the text of a file as clients write it: in either alphabet, with padding or without, in one line or several.
func Base64(text string) ([]byte, error) {
	if strings.Contains(text, "%") {
		plain, err := url.PathUnescape(text)
		if err != nil {
			return nil, fmt.Errorf("base64: %w", err)
		}
		text = plain
	}
	if strings.ContainsAny(text, " \t") {
		text = strings.NewReplacer(" ", "", "\t", "").Replace(text)
	}
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	data, err := encoding.DecodeString(strings.TrimRight(text, "=\r\n"))
	var at base64.CorruptInputError
	switch {
	case errors.As(err, &at) && int64(at) < int64(len(text)):
		return nil, fmt.Errorf("base64: byte %d is none of it, or the text ends too early", int64(at))
	case err != nil:
		return nil, errors.New("base64: the text ends too early")
	case len(data) == 0:
		return nil, errors.New("base64 of nothing")
	}
	return data, nil
}

// under returns a file of the folder that is allowed.
func (f *Fetcher) under(u *url.URL) ([]byte, error) {
	if u.Host != "" && u.Host != "localhost" {
		return nil, fmt.Errorf("files of other machines are %w", ErrNotAllowed)
	}
	folder, err := filepath.Abs(f.Root)
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(folder, filepath.FromSlash(u.Path))
	if err != nil || !filepath.IsLocal(name) {
		return nil, fmt.Errorf("files outside of the folder for media are %w", ErrNotAllowed)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		return nil, reason(err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its other end
		return nil, fmt.Errorf("%s is not a regular file", u.Path)
	}
	if info.Size() > f.bytes {
		return nil, f.take(info.Size())
	}
	opened, err := root.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer opened.Close()
	return f.read(opened)
}

// reason returns why a file cannot be had, without the path of the folder: who asks need not know where it lies.
func reason(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// read reads a file as far as the limit of bytes allows.
func (f *Fetcher) read(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, f.bytes+1))
	if err != nil {
		return nil, err
	}
	return data, f.take(int64(len(data)))
}

// take takes bytes from those that are left.
func (f *Fetcher) take(n int64) error {
	if n > f.bytes {
		return fmt.Errorf("the files are %w: the limit is %d bytes together", ErrTooLarge, f.Options.bytes())
	}
	f.bytes -= n
	return nil
}

// brief is a URL in an error.
func brief(url string) string {
	if len(url) > 60 {
		return fmt.Sprintf("%.60q…", url)
	}
	return fmt.Sprintf("%q", url)
}
