package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func get(t *testing.T, method string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestThePageIsSmall(t *testing.T) {
	d := made()
	t.Logf("%d bytes, %d compressed", len(d.plain), len(d.zipped))
	if len(d.plain) >= 180_000 || len(d.zipped) >= 60_000 {
		t.Errorf("%d bytes, %d compressed: 180000 and 60000 are the limits", len(d.plain), len(d.zipped))
	}
	if len(d.plain) < 100_000 {
		t.Errorf("%d bytes: parts of it are missing", len(d.plain))
	}
}

// TestThePolicyNamesWhatIsInThePage reads the elements as a browser does, and computes their hashes.
func TestThePolicyNamesWhatIsInThePage(t *testing.T) {
	r := get(t, "GET")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	policy := map[string][]string{}
	for _, directive := range strings.Split(r.Header.Get("Content-Security-Policy"), "; ") {
		fields := strings.Fields(directive)
		policy[fields[0]] = fields[1:]
	}
	for name, want := range map[string]int{"script": 16, "style": 1} {
		var sources []string
		for _, m := range regexp.MustCompile(`(?is)<`+name+`\b([^>]*)>(.*?)</`+name+`>`).FindAllSubmatch(body, -1) {
			if len(m[1]) > 0 {
				t.Errorf("an element of %s has attributes: %s", name, m[1])
			}
			sum := sha256.Sum256(m[2])
			sources = append(sources, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
		}
		if got := policy[name+"-src"]; len(sources) != want || strings.Join(got, " ") != strings.Join(sources, " ") {
			t.Errorf("%s-src is %v, the page has %d: %v", name, got, len(sources), sources)
		}
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "connect-src": "'self'", "img-src": "data: blob:", "base-uri": "'none'", "form-action": "'none'",
		"frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "dompurify",
	} {
		if got := strings.Join(policy[name], " "); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
	if len(policy) != 10 {
		t.Errorf("%d directives: %v", len(policy), policy)
	}
}

// TestThePageNamesNoOtherPlace looks at all that this project wrote of it.
func TestThePageNamesNoOtherPlace(t *testing.T) {
	files, err := sources.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.IsDir() {
			continue
		}
		text, err := sources.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range regexp.MustCompile(`https?://[\w.]+`).FindAll(text, -1) {
			if string(place) != "http://www.w3.org" { // the namespace of SVG
				t.Errorf("%s names %s", f.Name(), place)
			}
		}
		if at := regexp.MustCompile(`\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b`).Find(text); at != nil {
			t.Errorf("%s has %s", f.Name(), at)
		}
	}
}

func TestThePageIsCompressedForThoseWhoTakeIt(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                             false,
		"gzip":                         true,
		"gzip, deflate, br, zstd":      true,
		"br;q=1.0, GZIP;q=0.8, *;q=.1": true,
		"gzip;q=0":                     false,
		"gzip; q=0.000, *":             false,
		"*":                            true,
		"*;q=0":                        false,
		"br, identity":                 false,
		"gzip;q=many":                  false,
	} {
		r := get(t, "GET", "Accept-Encoding", accept)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: compressed is %v", accept, got)
			continue
		}
		if want {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, made().plain) {
			t.Errorf("Accept-Encoding %q: another page", accept)
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Vary is %q", r.Header.Get("Vary"))
		}
	}
}

func TestThePageIsNotSentAgain(t *testing.T) {
	tags := map[string]bool{}
	for _, accept := range []string{"gzip", "identity"} {
		tag := get(t, "GET", "Accept-Encoding", accept).Header.Get("ETag")
		tags[tag] = true
		r := get(t, "GET", "Accept-Encoding", accept, "If-None-Match", tag)
		if body, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusNotModified || len(body) > 0 {
			t.Errorf("%s: status %d and %d bytes for one who has it", accept, r.StatusCode, len(body))
		}
		if r := get(t, "GET", "Accept-Encoding", accept, "If-None-Match", `"another"`); r.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d for one who has another", accept, r.StatusCode)
		}
	}
	if len(tags) != 2 || tags[`""`] {
		t.Errorf("tags are %v: one for each form of it", tags)
	}
}

func TestThePageIsForReading(t *testing.T) {
	r := get(t, "HEAD")
	if body, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusOK || len(body) > 0 {
		t.Errorf("HEAD: status %d and %d bytes", r.StatusCode, len(body))
	}
	if r := get(t, "POST"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, Allow is %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

func TestPartsThatCannotBePutTogetherAreNamed(t *testing.T) {
	for _, c := range []struct {
		files map[string]string
		want  string
	}{
		{map[string]string{}, "page: open page.html: file does not exist"},
		{map[string]string{"page.html": "<script src=\"a.js\"></script>\n"}, "page: open a.js: file does not exist"},
		{map[string]string{"page.html": "<script src=\"a.js\"></script>\n", "a.js": "x = '</SCRIPT>'"},
			`page: a.js: "</SCRIPT" at byte 5 would end the element it is in`},
		{map[string]string{"page.html": "<link rel=\"stylesheet\" href=\"a.css\">\n", "a.css": "/* <style */"},
			`page: a.css: "<style" at byte 3 would end the element it is in`},
	} {
		files := fstest.MapFS{}
		for name, text := range c.files {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if _, err := assemble(files); err == nil || err.Error() != c.want {
			t.Errorf("%v: %v", c.files, err)
		}
	}
}

// TestLicencesOfWhatOthersWroteAreNamed reads names and versions where the files tell them themselves.
func TestLicencesOfWhatOthersWroteAreNamed(t *testing.T) {
	notice, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	files, err := sources.ReadDir("vendor")
	if err != nil || len(files) != 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := sources.ReadFile("vendor/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(marked|DOMPurify) v?([\d.]+)`).FindSubmatch(text[:200])
		if m == nil || !bytes.Contains(notice, slices.Concat(m[1], []byte(" "), m[2], []byte(" "))) {
			t.Errorf("NOTICE does not name %s, which says it is %q", f.Name(), m)
		}
		name, _, _ := strings.Cut(f.Name(), ".")
		if licence, err := os.ReadFile("vendor/" + name + ".LICENSE"); err != nil || len(licence) < 1000 {
			t.Errorf("the licence of %s has %d bytes, %v", f.Name(), len(licence), err)
		}
	}
}
