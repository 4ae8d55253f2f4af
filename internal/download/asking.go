package download

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// redirects is how often a server may send on.
const redirects = 10

// ask asks for a range, or the whole file. It returns an answer of status 200, 206 or 416, whose body the caller closes.
func (d *fetching) ask(ctx context.Context, x span, whole bool) (*http.Response, error) {
	d.mu.Lock()
	target := d.target
	d.mu.Unlock()
	if target != nil {
		resp, err := d.follow(ctx, target, nil, x, whole)
		status, ok := errors.AsType[*StatusError](err)
		if !ok {
			return resp, err
		}
		switch status.Status { // of a target that has expired
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone, http.StatusBadRequest:
		default:
			return resp, err
		}
	}
	first, err := url.Parse(d.part.file.URL)
	if err != nil {
		return nil, &final{err}
	}
	header := d.part.file.Header.Clone()
	if user := first.User; user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		basic := http.Request{Header: http.Header{}}
		basic.SetBasicAuth(user.Username(), password)
		if header == nil {
			header = http.Header{}
		}
		header.Set("Authorization", basic.Header.Get("Authorization"))
	}
	resp, err := d.follow(ctx, first, header, x, whole)
	if err == nil && resp.StatusCode != http.StatusRequestedRangeNotSatisfiable && resp.Request.URL != first {
		d.mu.Lock()
		d.target = resp.Request.URL
		d.mu.Unlock()
	}
	return resp, err
}

// follow is ask at one URL and where that redirects to. Header goes to the host of the URL only.
func (d *fetching) follow(ctx context.Context, at *url.URL, header http.Header, x span, whole bool) (*http.Response, error) {
	for range redirects {
		resp, err := d.once(ctx, at, header, x, whole)
		if err != nil {
			return nil, err
		}
		switch resp.StatusCode {
		case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
			return resp, nil
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
			http.StatusPermanentRedirect:
		default:
			err := &StatusError{URL: public(at), Status: resp.StatusCode, Said: said(resp), Header: resp.Header}
			resp.Body.Close()
			return nil, err
		}
		resp.Body.Close()
		next, err := at.Parse(resp.Header.Get("Location"))
		if err != nil || next.Host == "" || next.Scheme != "http" && next.Scheme != "https" {
			return nil, &final{fmt.Errorf("%s redirects to what is no URL of http or https", public(at))}
		}
		if next.Scheme != at.Scheme || !strings.EqualFold(next.Hostname(), at.Hostname()) || port(next) != port(at) {
			header = nil // for good: who has been elsewhere comes back with what others have said
		}
		next.User, next.Fragment = nil, ""
		at = next
	}
	return nil, &final{fmt.Errorf("%s redirects more than %d times", public(at), redirects)}
}

// port returns the port of a URL, also if it is not written.
func port(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

// once asks a URL, when its host wants to be asked.
func (d *fetching) once(ctx context.Context, at *url.URL, header http.Header, x span, whole bool) (*http.Response, error) {
	if err := d.await(ctx, at.Host); err != nil {
		return nil, err
	}
	plain := *at
	plain.User = nil
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, plain.String(), nil)
	if err != nil {
		return nil, &final{fmt.Errorf("%s is no URL", public(at))}
	}
	q.URL = &plain
	for name, values := range header {
		q.Header[http.CanonicalHeaderKey(name)] = values
	}
	if q.Header.Get("User-Agent") == "" {
		q.Header.Set("User-Agent", "gemma4")
	}
	q.Header.Set("Accept-Encoding", "identity")
	q.Header.Del("Range")
	if !whole && x.to < 0 {
		q.Header.Set("Range", fmt.Sprintf("bytes=%d-", x.from))
	} else if !whole {
		q.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", x.from, x.to-1))
	}
	w := watch(q.Context(), d.Stall)
	resp, err := d.transport.RoundTrip(q.WithContext(w.ctx))
	if err != nil {
		defer w.stop()
		var certificate *tls.CertificateVerificationError
		if errors.As(err, &certificate) {
			return nil, &final{fmt.Errorf("the certificate of %s does not fit: %w", at.Host, err)}
		}
		return nil, &cut{public(at), w.why(err)}
	}
	resp.Request = q
	resp.Body = &body{resp.Body, w}
	if wait := limit(resp.Header); wait > 0 {
		d.hold(at.Host, wait)
	}
	return resp, nil
}

// public returns a URL without what may be secret.
func public(u *url.URL) string {
	short := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return short.String()
}

// said returns the first line of what a server says.
func said(resp *http.Response) string {
	var text []byte
	if b, ok := resp.Body.(*body); ok { // as long as a stall lasts, and no longer
		text, _ = io.ReadAll(io.LimitReader(b.ReadCloser, 4096))
	}
	line := ""
	for l := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(l); line != "" {
			break
		}
	}
	kind := resp.Header.Get("Content-Type")
	if strings.Contains(kind, "html") || strings.HasPrefix(line, "<") || !utf8.ValidString(line) {
		return ""
	}
	line = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, line)
	if runes := []rune(line); len(runes) > 200 {
		line = string(runes[:199]) + "…"
	}
	return line
}

// longest is how long a server may ask to wait.
const longest = 10 * time.Minute

// limit returns how long a host wants not to be asked: RateLimit: "resolvers";r=0;t=55 has nothing left, for 55 s.
func limit(h http.Header) (wait time.Duration) {
	for item := range strings.SplitSeq(strings.Join(h.Values("RateLimit"), ","), ",") {
		left, reset := int64(-1), int64(-1)
		for parameter := range strings.SplitSeq(item, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			n, err := strconv.ParseInt(value, 10, 32)
			switch {
			case err != nil:
			case name == "r":
				left = n
			case name == "t":
				reset = n
			}
		}
		if left == 0 {
			wait = max(wait, time.Duration(reset)*time.Second)
		}
	}
	return min(wait, longest)
}

// retryAfter returns how long an answer asks to wait, 0 if it does not.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(0, seconds)) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil { // otherwise by the clock of the server
		now = time.Now()
	}
	return max(0, until.Sub(now))
}

// patience returns how often what has failed so is tried again at most, and how long to wait after that many tries.
func (d *fetching) patience(err error, tries int) (wait time.Duration, most int) {
	wait = min(time.Second<<min(tries, 10), 30*time.Second)
	var none *net.DNSError
	var status *StatusError
	if _, ok := errors.AsType[*final](err); ok {
		return 0, 0
	} else if restart, ok := errors.AsType[*anew](err); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		if restart.plain && d.ranges { // others of the same server do better
			return wait, min(d.Retries, 2)
		}
		return 0, 0
	} else if _, ok := errors.AsType[*wrongAnswer](err); ok {
		return wait, min(d.Retries, 2)
	} else if errors.As(err, &none) && none.IsNotFound && d.part.tally.have.Load() == 0 {
		return 0, 0
	} else if !errors.As(err, &status) {
		return wait, d.Retries
	}
	switch s := status.Status; {
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		asked := limit(status.Header)
		if asked == 0 {
			asked = retryAfter(status.Header)
		}
		if asked <= longest {
			return max(wait, asked), d.Retries
		}
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s >= 500 && s != http.StatusNotImplemented:
		return wait, d.Retries
	}
	return 0, 0
}

// hold keeps a host from being asked for a while.
func (r *run) hold(host string, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if until := time.Now().Add(wait); until.After(r.until[host]) {
		r.until[host] = until
	}
}

// await waits until a host may be asked.
func (r *run) await(ctx context.Context, host string) error {
	r.mu.Lock()
	wait := time.Until(r.until[host])
	r.mu.Unlock()
	return sleep(ctx, wait)
}

// sleep waits, or returns why ctx has ended.
func sleep(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
