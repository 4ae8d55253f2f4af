// Package page is the page that chats, as one document.
//
// page.html names a sheet of style and scripts, each a file of one noun beside it; vendor holds what others wrote. They are put together
// when the page is first asked for, without indentation and comments: nothing has to be built before. The document loads nothing more, and
// its Content-Security-Policy names the hash of each part, so that nothing else runs on it, whatever a model says. It speaks to the server
// that it came from, at addresses beside its own: below a proxy's path, too.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed page.html page.css *.js vendor/*.js
var sources embed.FS

// document is what a browser gets.
type document struct {
	plain, zipped []byte
	tag           string // of plain, without quotes
	policy        string // Content-Security-Policy
}

var made = sync.OnceValue(func() document {
	d, err := assemble(sources)
	if err != nil {
		panic(err) // the sources are this package's own: its tests would fail
	}
	return d
})

// Handler returns the handler of the page: GET and HEAD, compressed for those who take gzip, with an ETag. It does not look at the path,
// which is for the caller to choose; what the page asks of the server lies beside it, at v1/models and so on.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "page: "+r.Method+" is not for a page, GET is", http.StatusMethodNotAllowed)
		return
	}
	d := made()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", d.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // kept, and asked about: a new version shows at once
	h.Add("Vary", "Accept-Encoding")
	body, tag := d.plain, d.tag
	if takesGzip(r.Header.Values("Accept-Encoding")) {
		body, tag = d.zipped, d.tag+"-gzip" // other bytes, another tag
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", strconv.Quote(tag))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reports whether a client that sent these Accept-Encoding headers takes gzip: RFC 9110, 12.5.3.
func takesGzip(headers []string) bool {
	others := false
	for coding := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		_, q, weighted := strings.Cut(weight, "=")
		worth, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		takes := !weighted || err == nil && worth > 0
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "gzip", "x-gzip":
			return takes
		case "*":
			others = takes
		}
	}
	return others
}

var (
	part = regexp.MustCompile(`(?m)^<(?:(link) rel="stylesheet" href|script src)="([\w./-]+)">(?:</script>)?$`)
	// margin is what nobody but a reader of the sources needs: indentation, lines of comment and empty ones.
	margin = regexp.MustCompile(`(?m)^\t*//.*\n|^\t+|^\n`)
	// air is what the marks of a sheet of style can do without: space around them, and a semicolon before the end.
	air = regexp.MustCompile(`;?\s*([{};,])\s*|(:) +`)
	// sourceMap names a file that is not here; a browser's tools would ask the server for it.
	sourceMap = regexp.MustCompile(`(?m)^//# sourceMappingURL=.*$`)
	// ends are what a parser of HTML takes for the end of an element of text, or for one that does not end where it seems to.
	ends = regexp.MustCompile(`(?i)</?(?:script|style)`)
)

// assemble puts the parts that page.html names into it.
func assemble(files fs.FS) (document, error) {
	html, err := fs.ReadFile(files, "page.html")
	if err != nil {
		return document{}, fmt.Errorf("page: %w", err)
	}
	var scripts, styles []string
	plain := part.ReplaceAllFunc(html, func(tag []byte) []byte {
		m := part.FindSubmatch(tag)
		text, err2 := fs.ReadFile(files, string(m[2]))
		if err2 != nil {
			err = fmt.Errorf("page: %w", err2)
			return tag
		}
		if strings.HasPrefix(string(m[2]), "vendor/") {
			text = sourceMap.ReplaceAll(text, nil)
		} else {
			text = margin.ReplaceAll(text, nil)
		}
		if len(m[1]) > 0 {
			text = air.ReplaceAll(text, []byte("$1$2"))
		}
		if at := ends.FindIndex(text); at != nil {
			err = fmt.Errorf("page: %s: %q at byte %d would end the element it is in", m[2], text[at[0]:at[1]], at[0])
			return tag
		}
		sum := sha256.Sum256(text)
		source := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		name := "script"
		if len(m[1]) > 0 {
			name = "style"
			styles = append(styles, source)
		} else {
			scripts = append(scripts, source)
		}
		return fmt.Appendf(nil, "<%s>%s</%s>", name, text, name)
	})
	if err != nil {
		return document{}, err
	}
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(plain)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return document{}, fmt.Errorf("page: %w", err)
	}
	sum := sha256.Sum256(plain)
	return document{
		plain:  plain,
		zipped: zipped.Bytes(),
		tag:    hex.EncodeToString(sum[:12]),
		policy: strings.Join([]string{
			"default-src 'none'",
			"script-src " + strings.Join(scripts, " "),
			"style-src " + strings.Join(styles, " "),
			"connect-src 'self'",
			"img-src data: blob:",
			"base-uri 'none'",
			"form-action 'none'",
			"frame-ancestors 'none'",
			"require-trusted-types-for 'script'",
			"trusted-types dompurify",
		}, "; "),
	}, nil
}
