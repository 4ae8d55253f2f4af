package hub

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gogemma/gemma4/internal/cause"
)

const (
	maxAnswer    = 8 << 20          // bytes of an answer that is read: a page of a listing has a few hundred thousand
	maxRedirects = 10               // of one request
	maxTries     = 4                // of a request
	maxPause     = 2 * time.Minute  // before another try; who asks for more is told of
	answerTime   = 60 * time.Second // that one try may take
)

// answer is what a hub said to a small request.
type answer struct {
	url    *url.URL // that gave it, behind redirects
	status int
	header http.Header
	body   []byte
}

// get asks for a small document, ask for any: it follows redirects within a host, which alone is shown the header, and tries again when the
// network fails or the host says that it is busy.
func (h *Hub) get(ctx context.Context, address string, header http.Header) (*answer, error) {
	return h.ask(ctx, http.MethodGet, address, header)
}

func (h *Hub) ask(ctx context.Context, method, address string, header http.Header) (*answer, error) {
	for try := 1; ; try++ {
		a, err := h.try(ctx, method, address, header)
		if ctx.Err() != nil {
			return nil, cause.Of(ctx)
		}
		pause := time.Duration(try) * time.Second
		switch {
		case err != nil:
			if try == maxTries || !passes(err) {
				return nil, unreachable(address, err)
			}
		case a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable:
			if d, ok := a.pause(); ok {
				pause = d
			}
			if try == maxTries || pause > maxPause {
				return nil, fmt.Errorf("hub: %s is busy (%s): try again in %v", a.url.Host, http.StatusText(a.status), pause)
			}
		case a.status >= 500 && try < maxTries:
		default:
			return a, nil
		}
		if err := h.wait(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// wait waits before another try.
func (h *Hub) wait(ctx context.Context, d time.Duration) error {
	if h.sleep != nil {
		return h.sleep(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return cause.Of(ctx)
	}
}

// passes reports whether an error may go away by itself: a certificate's does not, nor an answer's that is too long.
func passes(err error) bool {
	var e *url.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Timeout() || e.Temporary() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// unreachable says which host gives no answer, and why.
func unreachable(address string, err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	host := address
	if u, e := url.Parse(address); e == nil {
		host = u.Host
	}
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) { // in a container there may be none
		return fmt.Errorf("hub: asking %s: %w (the system's authorities are trusted; on Unix SSL_CERT_FILE names others)", host, err)
	}
	return fmt.Errorf("hub: asking %s: %w", host, err)
}

func (h *Hub) try(ctx context.Context, method, address string, header http.Header) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	client := http.Client{CheckRedirect: stay}
	if h.Client != nil {
		client.Transport = h.Client.Transport
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, &url.Error{Op: method, URL: address, Err: err}
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return &answer{resp.Request.URL, resp.StatusCode, resp.Header, body}, nil
}

// stay follows a redirect only within the host that the request was for, and never from https to http. Another answer than that is the
// last one.
func stay(req *http.Request, via []*http.Request) error {
	from := via[0].URL
	switch {
	case req.URL.Host != from.Host || req.URL.Scheme != from.Scheme:
		return http.ErrUseLastResponse
	case len(via) >= maxRedirects:
		return fmt.Errorf("%d redirects", len(via))
	}
	return nil
}

// pause returns how long the host wants not to be asked: RateLimit's t, or Retry-After.
func (a *answer) pause() (d time.Duration, ok bool) {
	for field := range strings.SplitSeq(a.header.Get("RateLimit"), ";") {
		if text, is := strings.CutPrefix(strings.TrimSpace(field), "t="); is {
			d, ok = seconds(text)
		}
	}
	if ok {
		return d, true
	}
	after := a.header.Get("Retry-After")
	if at, err := http.ParseTime(after); err == nil {
		return max(0, time.Until(at)), true
	}
	return seconds(after)
}

func seconds(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return time.Duration(n) * time.Second, err == nil
}

// said returns what the answer says to people: at most a line of it, and nothing that could steer a terminal.
func (a *answer) said() string {
	text := a.header.Get("X-Error-Message")
	if text == "" {
		line, _, _ := bytes.Cut(a.body, []byte("\n"))
		text = string(line[:min(len(line), 1<<10)])
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, text)
	text = strings.TrimSpace(text[:min(len(text), 200)])
	return strings.ToValidUTF8(cmp.Or(text, http.StatusText(a.status)), "")
}
