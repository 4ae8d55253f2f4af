package download

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4/internal/memnet"
)

// An evil is what a server does in place of what it should to its n-th request, from 0. It reports whether that was an answer.
type evil func(o *origin, n int, w http.ResponseWriter, q *http.Request) bool

// A fault is an answer that is wrong.
type fault func(o *origin, w http.ResponseWriter, q *http.Request)

const small, large, piece = 10_000, 300_000, 20_000

// first makes the first k requests go wrong.
func first(k int, f fault) evil {
	return func(o *origin, n int, w http.ResponseWriter, q *http.Request) bool {
		if n < k {
			f(o, w, q)
		}
		return n < k
	}
}

func once(f fault) evil   { return first(1, f) }
func always(f fault) evil { return first(1<<30, f) }

// on makes requests with that Range go wrong, "": all that have one, from the n-th.
func on(asked string, from int, f fault) evil {
	return func(o *origin, n int, w http.ResponseWriter, q *http.Request) bool {
		r := q.Header.Get("Range")
		if n < from || r == "" || asked != "" && r != asked {
			return false
		}
		f(o, w, q)
		return true
	}
}

// status answers with a status and headers, given as name and value in turn.
func status(code int, headers ...string) fault {
	return func(_ *origin, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		if code != http.StatusNoContent && code != http.StatusNotModified {
			fmt.Fprint(w, "\n  a reason\x1b[31m, in colour\nand more\n")
		}
	}
}

// cutAt loses the connection after n bytes of a body.
func cutAt(n int) fault {
	return func(o *origin, w http.ResponseWriter, q *http.Request) { o.good(&cutAfter{w, n}, q) }
}

// says answers with bytes of no HTTP server, and ends the connection.
func says(text string) fault {
	return func(_ *origin, w http.ResponseWriter, _ *http.Request) { raw(w, text) }
}

// plain gives the whole file whatever is asked for.
func plain(o *origin, w http.ResponseWriter, q *http.Request) {
	q.Header.Del("Range")
	o.good(w, q)
}

// plainCutAt is plain, and loses the connection after n bytes.
func plainCutAt(n int) fault {
	return func(o *origin, w http.ResponseWriter, q *http.Request) { plain(o, &cutAfter{w, n}, q) }
}

// gives answers with other bytes, in chunks, and headers as status takes them.
func gives(body []byte, headers ...string) fault {
	return func(_ *origin, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Write(body)
		http.NewResponseController(w).Flush()
	}
}

// ranged answers with a range of its own making: what is told, and what is given.
func ranged(told string, from, to int) fault {
	return func(o *origin, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", told)
		w.WriteHeader(http.StatusPartialContent)
		w.Write(o.content[from:to])
		http.NewResponseController(w).Flush()
	}
}

// stalled gives n bytes, and then nothing more. Below 0, it does not even answer.
func stalled(n int) fault {
	return func(o *origin, w http.ResponseWriter, q *http.Request) {
		if n >= 0 {
			w.Header().Set("Content-Length", fmt.Sprint(len(o.content)))
			w.Write(o.content[:n])
			http.NewResponseController(w).Flush()
		}
		<-q.Context().Done()
	}
}

// drips answers with an error whose text never ends.
func drips(_ *origin, w http.ResponseWriter, q *http.Request) {
	w.WriteHeader(404)
	for q.Context().Err() == nil {
		fmt.Fprint(w, "x")
		http.NewResponseController(w).Flush()
		select {
		case <-time.After(time.Second):
		case <-q.Context().Done():
		}
	}
}

// An evilCase is a server that misbehaves, and what must come of it.
type evilCase struct {
	name string
	evil evil
	err  string // what the error has in its text; "": a file must come of it
	more int    // bytes that the server sends at most, beside the file

	least, most time.Duration // that it takes; 0: any

	sums string // which hashes are known: "": SHA-256; "git", "none", "nothing": nor is the size
	etag string
}

// evilCases are those for a file of any size.
func evilCases(size int) []evilCase {
	c := content(size)
	second := time.Second
	all := []evilCase{
		{name: "before headers", evil: first(3, says("")), least: 7 * second, most: 7 * second},
		{name: "in headers", evil: first(3, says("HTTP/1.1 200 OK\r\nContent-Le")), least: 7 * second, most: 7 * second},
		{name: "no HTTP", evil: first(2, says(strings.Repeat("x", 3000))), least: 3 * second, most: 3 * second},
		{name: "every connection cut", evil: always(cutAt(9000)), more: size},
		{name: "every connection cut before headers", evil: always(says("")), err: "connection to http://hub.test/file was lost",
			least: 31 * second, most: 31 * second},
		{name: "no ranges", evil: always(plain)},
		{name: "no ranges, always cut", evil: always(plainCutAt(size / 2)), err: "was lost", more: 20 * size},
		{name: "short, once", evil: once(gives(content(size - 1))), sums: "git", more: size},
		{name: "short", evil: always(gives(c[:size-1])), err: "expected", more: 3 * size},
		{name: "no ranges, and other bytes until it was cut", more: size,
			evil: func(o *origin, n int, w http.ResponseWriter, q *http.Request) bool {
				other := &origin{content: c}
				if n == 0 {
					other.content = content(size + 1)[1:]
					w = &cutAfter{w, size / 2}
				}
				plain(other, w, q)
				return true
			}},
		{name: "a version only after a cut", sums: "none", more: size,
			evil: func(o *origin, n int, w http.ResponseWriter, q *http.Request) bool {
				if n == 0 {
					defer o.become(content(size + 1)[1:], `"two"`)
					plainCutAt(size/2)(o, w, q)
				}
				return false
			}},
		{name: "short, with its length", evil: always(gives(c[:size-1], "Content-Length", fmt.Sprint(size-1))),
			err: fmt.Sprintf("answers with %d bytes, expected %d", size-1, size), more: 2 * size},
		{name: "long, once", evil: once(gives(content(size + 1))), more: size + 1},
		{name: "long", evil: always(gives(append(c[:size:size], 7))), sums: "none", err: "gives more than", more: 3 * size},
		{name: "a page, once", evil: once(gives([]byte("<!DOCTYPE html>Please log in" + strings.Repeat(" ", size)))), more: size + 100},
		{name: "a page", evil: always(gives([]byte("<html>Please log in"))), err: "page to read (text/html)"},
		{name: "compressed", evil: always(gives(c, "Content-Encoding", "gzip")), err: `the encoding "gzip"`, more: 2 * size},

		{name: "429, seconds", more: 37, evil: once(status(429, "Retry-After", "7")), least: 7 * second, most: 7 * second},
		{name: "429, a date by a clock that is wrong", least: 55 * second, most: 55 * second,
			more: 37, evil: once(status(429, "Date", "Mon, 30 Nov 2026 10:00:00 GMT", "Retry-After", "Mon, 30 Nov 2026 10:00:55 GMT"))},
		{name: "429, a rate limit", more: 37, least: 55 * second, most: 55 * second,
			evil: once(status(429, "RateLimit", `"api";r=5;t=200, "resolvers";r=0;t=55`))},
		{name: "429", more: 37, evil: once(status(429)), least: second, most: second},
		{name: "429, a day", more: 37, evil: once(status(429, "Retry-After", "86400")), err: "429 (Too Many Requests)"},
		{name: "503, seconds", more: 37, evil: once(status(503, "Retry-After", "120")), least: 120 * second, most: 120 * second},
		{name: "503, nonsense", more: 37, evil: once(status(503, "Retry-After", "-9999999999999999999")), least: second, most: second},
		{name: "503 for ever", evil: always(status(503)), err: "status 503", least: 31 * second, most: 31 * second},

		{name: "stalls before headers", evil: once(stalled(-1)), least: 31 * second, most: 31 * second},
		{name: "stalls in the body", evil: once(stalled(size / 2)), more: size, least: 31 * second, most: 31 * second},
		{name: "stalls for ever", evil: always(stalled(-1)), err: "nothing has come for 30s", most: 4 * time.Minute},
		{name: "an error that drips", evil: once(drips), err: "status 404", most: time.Minute},
		{name: "endless headers", err: "was lost",
			evil: always(says("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Header: "+strings.Repeat("x", 1000)+"\r\n", 30_000)))},
		{name: "neither length nor end", evil: always(says("HTTP/1.0 200 OK\r\n\r\nhello")), sums: "nothing", err: "neither how long"},
	}
	for _, at := range []int{0, 1, size / 2, size - 1} {
		all = append(all, evilCase{name: fmt.Sprintf("cut after byte %d", at), evil: once(cutAt(at)), more: 4096},
			evilCase{name: fmt.Sprintf("no ranges, cut after byte %d twice", at), more: 2*at + 4096,
				evil: func(o *origin, n int, w http.ResponseWriter, q *http.Request) bool {
					if n < 2 {
						plainCutAt(at)(o, w, q)
					} else {
						plain(o, w, q)
					}
					return true
				}})
	}
	for _, code := range []int{408, 425, 500, 502, 504} {
		all = append(all, evilCase{name: fmt.Sprint(code), evil: once(status(code)), least: second, most: second, more: 100})
	}
	for _, code := range []int{400, 401, 403, 404, 410, 418, 451, 501} {
		text := fmt.Sprintf("status %d (%s): a reason [31m, in colour", code, http.StatusText(code))
		all = append(all, evilCase{name: fmt.Sprint(code), evil: once(status(code)), err: text, most: 1})
	}
	for _, code := range []int{204, 206, 300, 304} {
		all = append(all, evilCase{name: fmt.Sprint(code), evil: always(status(code)), err: "http://hub.test/file", more: 1000})
	}
	for _, etag := range []string{"", `W/"weak"`, `"` + strings.Repeat("long", 100) + `"`, `"open`} {
		name := "no hash, ETag " + etag[:min(9, len(etag))]
		all = append(all, evilCase{name: name, evil: first(0, nil), sums: "none", etag: etag, more: size})
	}
	return all
}

// largeCases are those for a file that comes in ranges.
func largeCases() []evilCase {
	beginning := fmt.Sprintf("bytes=0-%d", piece-1)
	told := fmt.Sprintf("bytes 0-%d/%d", piece-1, large)
	all := []evilCase{
		{name: "a range of a file of unknown size", evil: once(ranged(fmt.Sprintf("bytes 0-%d/*", piece-1), 0, piece))},
		{name: "a range of a file of another size", err: "has 300001 bytes, expected 300000", more: large,
			evil: on(beginning, 0, ranged(fmt.Sprintf("bytes 0-%d/%d", piece-1, large+1), 0, piece))},
		{name: "more than its range", evil: on(beginning, 0, ranged(told, 0, piece+1)), err: "gives more than the bytes from 0 to 20000",
			more: 3 * piece},
		{name: "more than its range, once", evil: once(ranged(told, 0, piece+1)), more: piece + 1},
		{name: "416 to all ranges", evil: on("", 0, status(416)), more: 100},
		{name: "ranges no more", evil: on("", 4, plain), more: large},
		{name: "another version in the middle", sums: "none", etag: `"one"`, more: large,
			evil: func(o *origin, n int, _ http.ResponseWriter, _ *http.Request) bool {
				if n == 3 {
					o.become(content(large + 1)[1:], `"two"`)
				}
				return false
			}},
		{name: "another version in each answer", sums: "none", err: "has become another file", more: 9 * large,
			evil: func(o *origin, n int, w http.ResponseWriter, q *http.Request) bool {
				o2 := &origin{content: o.content, etag: fmt.Sprintf(`"%d"`, n)}
				o2.good(w, q)
				return true
			}},
		{name: "429 to more than two", more: 200, most: time.Second / 2,
			evil: func(o *origin, n int, w http.ResponseWriter, q *http.Request) bool {
				if n < 2 || n > 3 {
					time.Sleep(time.Millisecond) // of the bubble, so that nobody has had the rest when others are refused
					return false
				}
				status(429)(o, w, q)
				return true
			}},
	}
	for _, c := range []struct { // ranges that are none: the file comes whole in the end
		name, told string
		from, to   int
	}{
		{"another range", fmt.Sprintf("bytes 1-%d/%d", piece, large), 1, piece + 1},
		{"a range that begins later", fmt.Sprintf("bytes 1-%d/%d", piece-1, large), 1, piece},
		{"a shorter range", fmt.Sprintf("bytes 0-%d/%d", piece-2, large), 0, piece - 1},
		{"a longer range", fmt.Sprintf("bytes 0-%d/%d", piece, large), 0, piece + 1},
		{"less than its range", told, 0, piece - 1},
		{"no range told", "", 0, piece},
		{"a range in blocks", strings.Replace(told, "bytes", "blocks", 1), 0, piece},
		{"a range with a sign", strings.Replace(told, "0-", "-0-", 1), 0, piece},
		{"a range backwards", fmt.Sprintf("bytes %d-0/%d", piece-1, large), 0, piece},
		{"a range behind the end", fmt.Sprintf("bytes 0-%d/%d", piece-1, piece-1), 0, piece},
		{"a huge range", "bytes 0-99999999999999999999/*", 0, piece},
	} {
		all = append(all, evilCase{name: c.name, evil: on(beginning, 0, ranged(c.told, c.from, c.to)), more: large})
	}
	return all
}

// Whatever a server does, the file is whole or not there, in bounded time, and the next call finishes it.
func TestEvilServers(t *testing.T) {
	for _, size := range []int{small, large} {
		cases := evilCases(size)
		if size == large {
			cases = append(cases, largeCases()...)
		}
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				dir := folder(t)
				synctest.Test(t, func(t *testing.T) { meet(t, c, content(size), filepath.Join(dir, "file")) })
			})
		}
	}
}

// meet fetches from an evil server, and again when it has become good.
func meet(t *testing.T, c evilCase, want []byte, path string) {
	n := memnet.New(t)
	o := &origin{content: want, etag: c.etag}
	o.evil = func(n int, w http.ResponseWriter, q *http.Request) bool { return c.evil(o, n, w, q) }
	n.Serve("hub.test:80", o)
	f := File{URL: "http://hub.test/file?signature=secret", Path: path, Size: int64(len(want))}
	switch c.sums {
	case "":
		f.SHA256 = sumOf(want)
	case "git":
		f.GitSHA1 = gitSum(want)
	case "nothing":
		f.Size = -1
	}
	options := Options{Client: n.Client(), piece: piece, every: 16 << 10}
	begin := time.Now()
	err := Fetch(t.Context(), []File{f}, options)
	if took := time.Since(begin); took < c.least || c.most > 0 && took > c.most {
		t.Errorf("it took %v, expected %v to %v", took, c.least, c.most)
	}
	if got := o.sent(); got > int64(len(want)+c.more) {
		t.Errorf("the server has sent %d bytes, expected %d at most", got, len(want)+c.more)
	}
	if c.err == "" {
		if err != nil {
			t.Fatal(err)
		}
		expect(t, f.Path, o.content)
		return
	}
	if err == nil || !strings.Contains(err.Error(), c.err) || !strings.HasPrefix(err.Error(), "download: file: ") ||
		strings.Contains(err.Error(), "secret") || len(err.Error()) > 500 {
		t.Errorf("error %q, expected %q", err, c.err)
	}
	if _, err := os.Stat(f.Path); err == nil {
		t.Error("there is a file")
	}
	o.become(want, c.etag)
	if err := Fetch(t.Context(), []File{f}, options); err != nil {
		t.Fatalf("the next call: %v", err)
	}
	expect(t, f.Path, want)
}

// A context that ends keeps what has come, and its cause is the error.
func TestCancelledFetchesGoOn(t *testing.T) {
	reason := errors.New("the user has gone")
	for _, sums := range []bool{true, false} {
		dir := folder(t)
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New(t)
			o := &origin{content: content(large), etag: `"one"`}
			ctx, cancel := context.WithCancelCause(t.Context())
			o.evil = func(n int, w http.ResponseWriter, q *http.Request) bool {
				if o.served.Load() > large/2 {
					cancel(reason)
					<-q.Context().Done()
					return true
				}
				return false
			}
			n.Serve("hub.test:80", o)
			f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: large}
			if sums {
				f.SHA256 = sumOf(o.content)
			}
			options := Options{Client: n.Client(), piece: piece}
			if err := Fetch(ctx, []File{f}, options); !errors.Is(err, reason) || !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			there := held(&f)
			if there < large/2-5*piece {
				t.Errorf("%d bytes of %d are there", there, large)
			}
			synctest.Wait() // what is being sent
			o.become(o.content, o.etag)
			o.served.Store(0)
			if err := Fetch(t.Context(), []File{f}, options); err != nil {
				t.Fatal(err)
			}
			expect(t, f.Path, o.content)
			if got := o.sent(); got != large-there {
				t.Errorf("%d bytes were sent again, expected the missing %d", got, large-there)
			}
		})
	}
}
