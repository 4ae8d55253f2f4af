package download

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gogemma/gemma4/internal/cause"
)

// fetching is a part on its way to be complete.
type fetching struct {
	*run
	part  *part
	plain bool // the server gives only whole files, or nothing by which two ranges are known to be of the same

	mu     sync.Mutex
	target *url.URL // where URL has redirected to, until that does not answer any more; nil: not known
	ranges bool     // a range has come as it was asked for
	claims []*claim // of the workers
	active int      // workers

	more func() // starts the other workers
}

// bufferBytes is how much is read at once. A claim that is split leaves its worker more than that.
const bufferBytes = 128 << 10

// A claim is what a worker fetches: bytes that nobody else does. Its end is below 0 where the file's is unknown.
type claim struct{ span }

// fill fetches what is missing, with the hashes of all that is there.
func (d *fetching) fill(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.claims, d.active, d.ranges = nil, 1, false
	d.part.begin()
	sums := make(chan error, 1)
	go func() { sums <- d.part.sums(ctx) }()
	var workers sync.WaitGroup
	work := func() {
		if err := d.work(ctx); err != nil {
			stop(err) // the first one counts
		}
	}
	d.more = sync.OnceFunc(func() {
		d.mu.Lock()
		d.active += max(0, d.Streams-1)
		d.mu.Unlock()
		for range d.Streams - 1 {
			workers.Go(work)
		}
	})
	workers.Go(work)
	workers.Wait()
	d.part.end()
	err := <-sums
	if e := context.Cause(ctx); e != nil {
		return e
	}
	return err
}

// work fetches claims until there are none.
func (d *fetching) work(ctx context.Context) error {
	for c := d.claim(); c != nil; c = d.claim() {
		leave, err := d.finish(ctx, c)
		if leave || err != nil {
			return err
		}
		d.mu.Lock()
		d.release(c)
		d.mu.Unlock()
	}
	return nil
}

// claim returns what the worker that asks shall fetch. If there is nothing, nil, that has ended.
func (d *fetching) claim() *claim {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.part.mu.Lock()
	defer d.part.mu.Unlock()
	s := &d.part.state
	x := span{s.have.prefix(), -1}
	if s.size >= 0 {
		taken := slices.Clone(s.have)
		for _, c := range d.claims {
			taken = taken.add(c.span)
		}
		x = taken.gap(s.size)
		if d.Streams > 1 && !d.plain { // smaller towards the end, where all should end at once
			const most = 128 << 20
			left := s.size - taken.bytes()
			x.to = min(x.to, x.from+max(d.piece, min(most, left/int64(4*d.Streams))))
			if x.from >= x.to {
				x = d.split()
			}
		}
		if x.from >= x.to {
			d.active--
			return nil
		}
	}
	c := &claim{x}
	d.claims = append(d.claims, c)
	return c
}

// split takes half of the largest claim from its worker, for one that has nothing to do: some connections are slow. It is empty if none is
// large.
func (d *fetching) split() (x span) {
	var largest *claim
	for _, c := range d.claims {
		if largest == nil || c.to-c.from > largest.to-largest.from {
			largest = c
		}
	}
	if largest == nil || !d.ranges || largest.to-largest.from < max(d.piece/4, 4*bufferBytes) {
		return span{}
	}
	x = span{(largest.from + largest.to) / 2, largest.to}
	largest.to = x.from
	return x
}

// release lets others claim what has not come of c.
func (d *fetching) release(c *claim) {
	d.claims = slices.DeleteFunc(d.claims, func(other *claim) bool { return other == c })
}

// leave lets a worker end before c has come, if there are others.
func (d *fetching) leave(c *claim) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.active == 1 {
		return false
	}
	d.active--
	d.release(c)
	return true
}

// rest returns what c still is: its end may have been given to another worker.
func (d *fetching) rest(c *claim) span {
	d.mu.Lock()
	defer d.mu.Unlock()
	return c.span
}

// finish fetches all of a claim. leave tells the worker to end: what it does not get others may, or the server finds that there are too
// many.
func (d *fetching) finish(ctx context.Context, c *claim) (leave bool, err error) {
	enough := int64(1 << 20) // bytes that are progress
	if size := d.part.file.Size; size >= 0 {
		enough = min(enough, max(1, size/64))
	}
	d.mu.Lock()
	mark, alone := c.from, d.active == 1
	d.mu.Unlock()
	for tries := 0; ; tries++ {
		err := d.try(ctx, c)
		if err == nil {
			return false, nil
		}
		if ended := cause.Of(ctx); ended != nil {
			return false, ended
		}
		if c.from >= mark+enough {
			mark, tries = c.from, 0
		}
		wait, most := d.patience(err, tries)
		status, ok := errors.AsType[*StatusError](err)
		many := ok && status.Status == http.StatusTooManyRequests
		_, restart := errors.AsType[*anew](err)
		if most > 0 && (many || tries >= most) && !restart && d.leave(c) {
			return true, nil
		}
		if tries >= most {
			if most <= 0 || restart || alone {
				return false, err
			}
			alone, tries = true, 0 // others may have been in the way
		}
		if err := sleep(ctx, wait); err != nil {
			return false, err
		}
	}
}

// try asks for a claim, once, and takes what comes. The claim is then what has not come.
func (d *fetching) try(ctx context.Context, c *claim) error {
	p := d.part
	if d.plain && c.from > 0 {
		if err := p.anew(); err != nil {
			return &final{err}
		}
		c.from = 0
	}
	p.mu.Lock()
	s := p.state.clone()
	p.mu.Unlock()
	if d.plain {
		c.to = s.size
	}
	asked := d.rest(c)
	if asked.to >= 0 && asked.from >= asked.to {
		return nil
	}
	whole := asked == span{0, s.size}
	resp, err := d.ask(ctx, asked, whole)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
		err = d.part206(c, &asked, resp, &s, whole)
	case http.StatusRequestedRangeNotSatisfiable:
		return d.part416(c, resp, &s)
	default:
		err = d.whole200(c, &asked, resp, &s, whole)
	}
	if err != nil {
		return err
	}
	return d.receive(c, asked, resp)
}

// part206 checks an answer that has a range. What was asked for is then what comes, also where the end of the file was not known.
func (d *fetching) part206(c *claim, asked *span, resp *http.Response, s *state, whole bool) error {
	at := resp.Request.URL
	if whole {
		return wrong("%s answers with a range that nobody has asked for", public(at))
	}
	text := resp.Header.Get("Content-Range")
	from, to, size, ok := parseRange(text)
	if size < 0 {
		size = s.size
	}
	switch {
	case ok && size >= 0 && s.size >= 0 && size != s.size && d.part.file.Size >= 0:
		return wrong("%s has %d bytes, expected %d", public(at), size, s.size)
	case ok && s.size >= 0 && size != s.size:
		return &anew{why: public(at) + " has become another file"}
	case !ok || size < 0 || from != asked.from || asked.to >= 0 && to != asked.to || asked.to < 0 && to != size || to > size:
		return &anew{why: strconv.Quote(text) + " is not the range that was asked for: " + public(at), plain: true}
	}
	if err := d.suits(resp); err != nil {
		return err
	}
	tag := strong(resp.Header.Get("ETag"))
	if len(d.part.file.sums()) == 0 {
		switch {
		case tag == "":
			return &anew{why: public(at) + " tells no version", plain: true}
		case s.etag != "" && tag != s.etag:
			return &anew{why: public(at) + " has become another file"}
		}
	}
	if s.size < 0 || s.etag == "" {
		d.part.learn(size, tag)
	}
	d.mu.Lock()
	if c.to < 0 {
		c.to, asked.to = to, to
	}
	first := !d.ranges
	d.ranges = true
	d.mu.Unlock()
	if first {
		d.more()
	}
	return nil
}

// whole200 checks an answer that has the whole file. What was asked for is then all of it.
func (d *fetching) whole200(c *claim, asked *span, resp *http.Response, s *state, whole bool) error {
	at := resp.Request.URL
	if err := d.suits(resp); err != nil {
		return err
	}
	size := resp.ContentLength
	if size >= 0 && d.part.file.Size >= 0 && size != d.part.file.Size {
		return wrong("%s answers with %d bytes, expected %d", public(at), size, d.part.file.Size)
	}
	d.mu.Lock()
	alone := !d.ranges
	d.mu.Unlock()
	if !alone {
		return &anew{why: public(at) + " gives no ranges", plain: true}
	}
	if c.from > 0 || s.have != nil {
		if err := d.part.anew(); err != nil {
			return &final{err}
		}
	}
	tag := strong(resp.Header.Get("ETag"))
	d.plain = d.plain || !whole || tag == "" && len(d.part.file.sums()) == 0
	d.part.learn(size, tag)
	d.mu.Lock()
	c.span = span{0, size}
	if size < 0 {
		c.to = max(d.part.file.Size, -1)
	}
	*asked = c.span
	d.mu.Unlock()
	return nil
}

// part416 checks an answer that says that there is nothing where c begins. That is where a file ends whose size was not known.
func (d *fetching) part416(c *claim, resp *http.Response, s *state) error {
	size, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes */")
	n, err := strconv.ParseInt(size, 10, 64)
	if ok && err == nil && s.size < 0 && n == c.from {
		d.part.learn(n, "")
		return nil
	}
	return &anew{why: public(resp.Request.URL) + " does not give the range that was asked for", plain: true}
}

// suits returns an error if an answer is no file's bytes.
func (d *fetching) suits(resp *http.Response) error {
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return wrong("%s answers in the encoding %.20q", public(resp.Request.URL), e)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if page := kind == "text/html" || kind == "application/xhtml+xml"; page && !strings.HasPrefix(filepath.Ext(d.part.file.Path), ".htm") {
		return wrong("%s answers with a page to read (%s) in place of the file", public(resp.Request.URL), kind)
	}
	return nil
}

// receive takes what comes for c, which are the bytes that were asked for.
func (d *fetching) receive(c *claim, asked span, resp *http.Response) error {
	at, body := public(resp.Request.URL), resp.Body
	buffer := make([]byte, bufferBytes)
	now := d.rest(c)
	for ended := false; !ended && (now.to < 0 || now.from < now.to); now = d.rest(c) {
		most := int64(len(buffer))
		if now.to >= 0 {
			most = min(most, now.to-now.from)
		}
		n, err := body.Read(buffer[:most])
		if err := d.part.write(c, buffer[:n]); err != nil {
			return &final{err}
		}
		ended = err == io.EOF
		switch {
		case err != nil && !ended:
			return &cut{at, err}
		case c.from > largest:
			return wrong("%s does not end", at)
		}
	}
	if now.to < asked.to {
		return nil // somebody else takes the rest
	}
	switch n, _ := io.ReadFull(body, buffer[:1]); {
	case now.to < 0 && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && len(d.part.file.sums()) == 0 && resp.ProtoMajor == 1:
		return &final{wrong("%s tells neither how long the file is nor where it ends", at)}
	case now.to < 0:
		d.part.learn(now.from, "")
	case n > 0:
		d.part.drop(c, asked.from)
		return wrong("%s gives more than the bytes from %d to %d", at, asked.from, asked.to)
	case now.from < now.to:
		if resp.StatusCode == http.StatusOK { // these were bytes of something else
			d.part.drop(c, asked.from)
		}
		return wrong("%s ends at byte %d, expected %d", at, now.from, now.to)
	}
	return nil
}

// A cut is the end of a connection before its time.
type cut struct {
	url string
	err error
}

func (e *cut) Error() string { return "the connection to " + e.url + " was lost: " + e.err.Error() }
func (e *cut) Unwrap() error { return e.err }

// parseRange reads a Content-Range: the bytes [from, to) of size, which is -1 if it is not told.
func parseRange(text string) (from, to, size int64, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes ")
	span, total, ok1 := strings.Cut(text, "/")
	first, last, ok2 := strings.Cut(span, "-")
	size = -1
	var errs [3]error
	from, errs[0] = strconv.ParseInt(first, 10, 64)
	to, errs[1] = strconv.ParseInt(last, 10, 64)
	if total != "*" {
		size, errs[2] = strconv.ParseInt(total, 10, 64)
	}
	ok = ok && ok1 && ok2 && errors.Join(errs[:]...) == nil && from >= 0 && from <= to && to < largest && (total == "*" || to < size)
	return from, to + 1, size, ok
}

// strong returns an ETag by which ranges are known to be of the same bytes, "" if it is none.
func strong(tag string) string {
	if len(tag) < 2 || len(tag) > longestETag || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return ""
	}
	return tag
}
