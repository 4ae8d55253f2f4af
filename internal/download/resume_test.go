package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4/internal/memnet"
)

// leave makes what a call that was killed may have left: a part, and a state that tells of it. A nil state is none.
func leave(t *testing.T, path string, part []byte, s *state) {
	t.Helper()
	if part != nil {
		if err := os.WriteFile(partPath(path), part, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if s != nil {
		if err := os.WriteFile(recordPath(path), append(s.encode(6), s.encode(7)...), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever an earlier call has left, a file comes of it that is right, and what can be used of it is not fetched again.
func TestLeftoversAreUsedOrDropped(t *testing.T) {
	want := content(large)
	wrong := content(large + 1)[:large]
	hash := "SHA-256 " + sumOf(want)
	half := spans{{0, large / 2}}
	holes := spans{{5, 1000}, {2000, 40_000}, {large - 7, large}}
	byURL := func() string { f := File{URL: "http://hub.test/file"}; return f.identity() }()
	for _, c := range []struct {
		name    string
		part    []byte
		state   *state
		raw     string // in place of state
		file    []byte // under the final name
		nothing bool   // neither hash nor size are known
		served  int64
	}{
		{name: "nothing", served: large},
		{name: "half of it", part: want[:large/2], state: &state{hash, large, "", half}, served: large / 2},
		{name: "holes", part: want, state: &state{hash, large, "", holes}, served: large - holes.bytes()},
		{name: "all of it", part: want, state: &state{hash, large, "", spans{{0, large}}}, served: 0},
		{name: "more than all of it", part: append(want[:large:large], 1), state: &state{hash, large, "", spans{{0, large}}}, served: 0},
		{name: "less than is told", part: want[:1000], state: &state{hash, large, "", half}, served: large - 1000},
		{name: "no part", state: &state{hash, large, "", half}, served: large},
		{name: "no state", part: want, served: large},
		{name: "an empty state", part: want, raw: "\n", served: large},
		{name: "another file's", part: wrong, state: &state{"SHA-256 " + sumOf(wrong), large, "", half}, served: large},
		{name: "of another size", part: want, state: &state{hash, large - 1, "", half}, served: large},
		{name: "wrong bytes", part: wrong[:large/2], state: &state{hash, large, "", half}, served: large/2 + large},
		{name: "wrong bytes at the end", part: wrong, state: &state{hash, large, "", spans{{large - 7, large}}}, served: 2*large - 7},
		{name: "zeros", part: make([]byte, large), state: &state{hash, large, "", spans{{0, large}}}, served: large},
		{name: "the file is there", file: want, served: 0},
		{name: "the file is there, and half of it", file: want, part: want[:large/2], state: &state{hash, large, "", half}, served: 0},
		{name: "a wrong file is there", file: wrong, served: large},
		{name: "a short file is there", file: want[:100], served: large},
		{name: "a wrong file is there, and half of it", file: wrong, part: want[:large/2], state: &state{hash, large, "", half},
			served: large / 2},
		{name: "no hash, half of it", part: want[:large/2], state: &state{byURL, large, `"one"`, half}, nothing: true, served: large / 2},
		{name: "no hash, half of unknown", part: want[:large/2], state: &state{byURL, -1, `"one"`, half}, nothing: true, served: large / 2},
		{name: "no hash, all of unknown", part: want, state: &state{byURL, -1, `"one"`, spans{{0, large}}}, nothing: true, served: 64},
		{name: "no hash, holes", part: want, state: &state{byURL, large, `"one"`, holes}, nothing: true, served: large - holes.bytes()},
		{name: "no hash, more than all", part: content(large + 9), state: &state{byURL, -1, `"one"`, spans{{0, large + 9}}}, nothing: true,
			served: large + 64},
		{name: "no hash, another version", part: wrong, state: &state{byURL, large, `"two"`, half}, nothing: true, served: large + piece},
		{name: "no hash, another size", part: wrong, state: &state{byURL, large - 1, `"one"`, half}, nothing: true, served: large + piece},
		{name: "no hash, no version", part: wrong, state: &state{byURL, large, "", half}, nothing: true, served: large},
		{name: "no hash, another URL", part: wrong, state: &state{hash, large, `"one"`, half}, nothing: true, served: large},
		{name: "no hash, the file is there", file: wrong, nothing: true, served: large},
	} {
		for _, ranges := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/ranges=%v", c.name, ranges), func(t *testing.T) {
				path := filepath.Join(folder(t), "file")
				leave(t, path, c.part, c.state)
				if c.raw != "" {
					os.WriteFile(recordPath(path), []byte(c.raw), 0o666)
				}
				if c.file != nil {
					os.WriteFile(path, c.file, 0o666)
				}
				synctest.Test(t, func(t *testing.T) {
					n := memnet.New(t)
					o := &origin{content: want, etag: `"one"`}
					served := c.served
					if !ranges {
						o.evil = func(_ int, w http.ResponseWriter, q *http.Request) bool { plain(o, w, q); return true }
						if c.served > 0 && c.served < large {
							served = large
						}
						served = min(served+large, 2*large)
					}
					n.Serve("hub.test:80", o)
					f := File{URL: "http://hub.test/file?signature=secret", Path: path, Size: large, SHA256: sumOf(want)}
					if c.nothing {
						f.Size, f.SHA256 = -1, ""
					}
					if err := Fetch(t.Context(), []File{f}, Options{Client: n.Client(), piece: piece}); err != nil {
						t.Fatal(err)
					}
					expect(t, path, want)
					if got := o.sent(); got > served {
						t.Errorf("%d bytes were sent, expected %d", got, served)
					}
				})
			})
		}
	}
}

// Bytes go while they are hashed where a server gives those again that an earlier call has left: that is no error.
func TestBytesMayGoWhileTheyAreHashed(t *testing.T) {
	f := File{URL: "http://hub.test/file", Path: filepath.Join(folder(t), "file"), Size: small, SHA256: sumOf(content(small))}
	leave(t, f.Path, content(small), &state{f.identity(), small, "", spans{{0, small}}})
	p, err := openPart(&f, small, new(tally))
	if err != nil {
		t.Fatal(err)
	}
	defer p.discard()
	before, buffer := p.times, make([]byte, small)
	if again, err := p.read(buffer, 0, before); again || err != nil || !bytes.Equal(buffer, content(small)) {
		t.Errorf("what is there: again %v, error %v", again, err)
	}
	if err := p.anew(); err != nil {
		t.Fatal(err)
	}
	if again, err := p.read(buffer, 0, before); !again || err != nil {
		t.Errorf("what has gone: again %v, error %v", again, err)
	}
	if again, err := p.read(buffer, 0, p.times); again || !errors.Is(err, io.EOF) {
		t.Errorf("what has never come: again %v, error %v", again, err)
	}
}

// Bytes that this call has fetched itself and that are wrong are not fetched again: an error names both hashes, and nothing is left.
func TestWrongHashesAreErrors(t *testing.T) {
	for _, size := range []int{small, large} {
		for _, kind := range []string{"SHA-256", "git's SHA-1"} {
			dir := folder(t)
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New(t)
				o := &origin{content: content(size)}
				n.Serve("hub.test:80", o)
				f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: int64(size),
					SHA256: strings.ToUpper(sumOf(o.content)), GitSHA1: gitSum(o.content)}
				want := sumOf([]byte("other"))
				got := sumOf(o.content)
				if kind == "SHA-256" {
					f.SHA256 = want
				} else {
					want, got = gitSum([]byte("other")), gitSum(o.content)
					f.GitSHA1 = want
				}
				err := Fetch(t.Context(), []File{f}, Options{Client: n.Client(), piece: piece})
				var mismatch *HashError
				if !errors.As(err, &mismatch) || *mismatch != (HashError{f.Path, kind, got, want}) || !strings.Contains(err.Error(), got) ||
					!strings.Contains(err.Error(), want) {
					t.Errorf("error %v", err)
				}
				if left, _ := os.ReadDir(dir); len(left) > 0 || o.sent() != int64(size) {
					t.Errorf("%v is left, %d bytes were sent", left, o.sent())
				}
			})
		}
	}
}

// Nothing is asked for a file that makes no sense, or that no disk takes.
func TestNothingIsAskedForInVain(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(t)
		o := &origin{content: content(small)}
		n.Serve("hub.test:80", o)
		good := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: small}
		for _, c := range []struct {
			change func(f *File)
			err    string
		}{
			{func(f *File) { f.URL = "ftp://hub.test/file" }, "no URL of http or https"},
			{func(f *File) { f.URL = "http:///file" }, "no URL of http or https"},
			{func(f *File) { f.URL = "" }, "no URL of http or https"},
			{func(f *File) { f.Path = "" }, "no path of a file"},
			{func(f *File) { f.Path = dir }, "no regular file"},
			{func(f *File) { f.Size = 1 << 62 }, "which no file has"},
			{func(f *File) { f.SHA256 = "abc" }, "no SHA-256, expected 64 hexadecimal digits"},
			{func(f *File) { f.SHA256 = strings.Repeat("x", 64) }, "no SHA-256"},
			{func(f *File) { f.GitSHA1 = sumOf(nil) }, "no git's SHA-1, expected 40"},
			{func(f *File) { f.Path = good.Path }, "two files are to become"},
			{func(f *File) { f.Size = 1 << 50 }, "the disk is too small: 11258999"},
		} {
			f := good
			f.Path = filepath.Join(dir, "new", "file")
			c.change(&f)
			err := Fetch(t.Context(), []File{good, f}, Options{Client: n.Client()})
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.HasPrefix(err.Error(), "download: ") {
				t.Errorf("error %v, expected %q", err, c.err)
			}
			if f.Size == 1<<50 && !errors.Is(err, ErrNoSpace) {
				t.Errorf("error %v", err)
			}
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 || o.requests.Load() > 0 {
			t.Errorf("%v is left, %d requests", left, o.requests.Load())
		}
	})
}

// Two that fetch the same file: one does, the other is told.
func TestOneFetchesAFile(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(t)
		o := &origin{content: content(large)}
		n.Serve("hub.test:80", o)
		f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: large, SHA256: sumOf(o.content)}
		options := Options{Client: n.Client(), piece: piece}
		var once sync.Once
		o.evil = func(int, http.ResponseWriter, *http.Request) bool {
			once.Do(func() {
				if err := Fetch(t.Context(), []File{f}, options); !errors.Is(err, ErrBusy) {
					t.Errorf("error %v", err)
				}
				if err := Discard(f.Path); !errors.Is(err, ErrBusy) {
					t.Errorf("error %v", err)
				}
			})
			return false
		}
		if err := Fetch(t.Context(), []File{f}, options); err != nil {
			t.Fatal(err)
		}
		expect(t, f.Path, o.content)
		if o.sent() != large {
			t.Errorf("%d bytes were sent", o.sent())
		}
	})
}

// Many that begin at the same time: each gets the file or is told that it is busy, and it is right at all times.
func TestManyFetchAFile(t *testing.T) {
	want := content(small)
	o := &origin{content: want}
	n := memnet.New(t)
	n.Serve("hub.test:80", o)
	f := File{URL: "http://hub.test/file", Path: filepath.Join(folder(t), "file"), Size: small, SHA256: sumOf(want)}
	var all sync.WaitGroup
	var got atomic.Int64
	for range 8 {
		all.Go(func() {
			for range 8 {
				err := Fetch(t.Context(), []File{f}, Options{Client: n.Client()})
				if err == nil {
					got.Add(1)
					expect := func() error {
						b, err := os.ReadFile(f.Path)
						if err == nil && sumOf(b) != f.SHA256 {
							err = errors.New("other bytes")
						}
						return err
					}
					if err := expect(); err != nil {
						t.Error(err)
					}
				} else if !errors.Is(err, ErrBusy) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	expect(t, f.Path, want)
	if got.Load() == 0 || o.served.Load() > small {
		t.Errorf("%d got it, %d bytes were sent", got.Load(), o.served.Load())
	}
}

// Discard leaves nothing of an unfinished file, and what is finished.
func TestDiscard(t *testing.T) {
	path := filepath.Join(folder(t), "file")
	leave(t, path, []byte("part"), &state{identity: "x", size: -1})
	os.WriteFile(path, []byte("file"), 0o666)
	for range 2 {
		if err := Discard(path); err != nil {
			t.Fatal(err)
		}
		expect(t, path, []byte("file"))
	}
}

// A large file comes in several ranges at once, all bytes once, and the ranges are of a size.
func TestRangesAtOnce(t *testing.T) {
	for _, streams := range []int{1, 2, 4, 16} {
		dir := folder(t)
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New(t)
			o := &origin{content: content(large)}
			var mu sync.Mutex
			now, most := 0, 0
			count := func(change int) {
				mu.Lock()
				defer mu.Unlock()
				now += change
				most = max(most, now)
			}
			o.evil = func(_ int, w http.ResponseWriter, q *http.Request) bool {
				count(1)
				defer count(-1)
				time.Sleep(time.Second) // of the bubble
				o.good(w, q)
				return true
			}
			n.Serve("hub.test:80", o)
			f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: large, SHA256: sumOf(o.content)}
			if err := Fetch(t.Context(), []File{f}, Options{Client: n.Client(), Streams: streams, piece: piece / 2}); err != nil {
				t.Fatal(err)
			}
			expect(t, f.Path, o.content)
			if sent := o.sent(); most != streams || sent != large { // when nobody is at anything any more
				t.Errorf("%d at once, expected %d; %d bytes were sent", most, streams, sent)
			}
			if streams == 1 && fmt.Sprint(o.ranges()) != "[]" {
				t.Errorf("%q was asked for", o.ranges())
			}
		})
	}
}

// Progress is told by one goroutine, not too often, and rightly in the end.
func TestProgress(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(t)
		o := &origin{content: content(large)}
		o.evil = func(int, http.ResponseWriter, *http.Request) bool { time.Sleep(time.Second / 10); return false }
		n.Serve("hub.test:80", o)
		var files []File
		for i := range 5 {
			files = append(files, File{URL: "http://hub.test/file", Path: filepath.Join(dir, fmt.Sprint(i)), Size: large,
				SHA256: sumOf(o.content)})
		}
		files[2].Size = -1
		leave(t, files[1].Path, o.content[:100], &state{files[1].identity(), large, "", spans{{0, 100}}})
		type told struct {
			at          time.Time
			done, total int64
		}
		var all []told
		options := Options{Client: n.Client(), piece: piece, Progress: func(done, total int64) {
			all = append(all, told{time.Now(), done, total}) // the race detector sees more than one goroutine
		}}
		begin := time.Now()
		if err := Fetch(t.Context(), files, options); err != nil {
			t.Fatal(err)
		}
		took := time.Since(begin)
		if last := all[len(all)-1]; last.done != 5*large || last.total != 5*large {
			t.Errorf("the last is %v", last)
		}
		if got := time.Duration(len(all)); got > took/(time.Second/5)+1 || got < 3 {
			t.Errorf("told %d times in %v", got, took)
		}
		for i, now := range all[1:] {
			if now.done < all[i].done || now.total != 5*large && now.total != -1 || now.done > 5*large {
				t.Errorf("%v after %v", now, all[i])
			}
		}
	})
}

// A connection that is slow is helped by those that have nothing more to do.
func TestSlowConnectionsAreHelped(t *testing.T) {
	const size, step = 16 << 20, 64 << 10
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(t)
		o := &origin{content: content(size)}
		o.evil = func(i int, w http.ResponseWriter, q *http.Request) bool {
			if i == 2 {
				w = &slow{w}
			}
			o.good(w, q)
			return true
		}
		n.Serve("hub.test:80", o)
		f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: size, SHA256: sumOf(o.content)}
		begin := time.Now()
		if err := Fetch(t.Context(), []File{f}, Options{Client: n.Client(), piece: 4 << 20}); err != nil {
			t.Fatal(err)
		}
		expect(t, f.Path, o.content)
		alone := 4 << 20 / (32 << 10) * time.Second // the claim, by what is written each second
		if took := time.Since(begin); took > alone/3 || took < 5*time.Second || o.sent() > size+1<<20 {
			t.Errorf("it took %v, and would have taken %v without help; %d bytes were sent", took, alone, o.sent())
		}
	})
}

// slow takes a second for each write.
type slow struct{ http.ResponseWriter }

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.ResponseWriter.Write(p)
}

// A server that takes one connection, and refuses others in whatever way, gives the file by that one.
func TestOneConnectionIsEnough(t *testing.T) {
	for name, refuse := range map[string]fault{"429": status(429), "503": status(503), "cut": says(""), "stalled": stalled(-1)} {
		dir := folder(t)
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New(t)
			o := &origin{content: content(large)}
			var busy sync.Mutex
			o.evil = func(i int, w http.ResponseWriter, q *http.Request) bool {
				if !busy.TryLock() {
					refuse(o, w, q)
					return true
				}
				defer busy.Unlock()
				o.good(&slow{w}, q)
				return true
			}
			n.Serve("hub.test:80", o)
			f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: large, SHA256: sumOf(o.content)}
			if err := Fetch(t.Context(), []File{f}, Options{Client: n.Client(), Stall: 3 * time.Second, piece: 2000}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			expect(t, f.Path, o.content)
		})
	}
}

// A context that has ended already ends the check of what is there, too.
func TestEndedContextsAskForNothing(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(t)
		o := &origin{content: content(large)}
		n.Serve("hub.test:80", o)
		f := File{URL: "http://hub.test/file", Path: filepath.Join(dir, "file"), Size: large, SHA256: sumOf(o.content)}
		leave(t, f.Path, o.content, &state{f.identity(), large, "", spans{{0, large}}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 {
			if err := Fetch(ctx, []File{f}, Options{Client: n.Client()}); !errors.Is(err, context.Canceled) || o.requests.Load() > 0 {
				t.Errorf("error %v, %d requests", err, o.requests.Load())
			}
			os.WriteFile(f.Path, o.content, 0o666)
		}
	})
}
