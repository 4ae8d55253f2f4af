package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// redirects is how often a download may be sent elsewhere.
const redirects = 5

// download gets a file by http. It goes through no proxy, which would dial in place of this program, and brings no cookies.
func (f *Fetcher) download(ctx context.Context, u *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.time(), fmt.Errorf("%s takes longer than %v", u.Host, f.time()))
	defer cancel()
	data, err := f.get(ctx, u)
	if ctx.Err() != nil && err != nil {
		return nil, context.Cause(ctx)
	}
	var outer *url.Error
	if errors.As(err, &outer) { // its text has the whole URL
		err = fmt.Errorf("%s: %w", u.Host, outer.Err)
	}
	return data, err
}

func (f *Fetcher) get(ctx context.Context, u *url.URL) ([]byte, error) {
	if u.Host == "" {
		return nil, errors.New("a URL without a host")
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, ControlContext: f.check}
	transport := &http.Transport{
		DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true, TLSHandshakeTimeout: 10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		switch {
		case len(via) > redirects:
			return fmt.Errorf("sent elsewhere more than %d times", redirects)
		case r.URL.Scheme != "http" && r.URL.Scheme != "https":
			return fmt.Errorf("sent on to a URL of %.20q, which is %w", r.URL.Scheme, ErrNotAllowed)
		}
		r.Header.Del("Referer")
		return nil
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "gemma4")
	r.Header.Set("Accept", "image/*, audio/*, video/*, */*;q=0.5")
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with status %d", u.Host, resp.StatusCode)
	}
	if resp.ContentLength > f.bytes {
		return nil, f.take(resp.ContentLength)
	}
	return f.read(resp.Body)
}

// check refuses to dial an address that is not public, unless that is allowed. The name has become an address by then.
func (f *Fetcher) check(_ context.Context, _, address string, _ syscall.RawConn) error {
	if f.Private {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(at.Addr()) {
		return fmt.Errorf("addresses such as %s, which are not public, are %w", at.Addr(), ErrNotAllowed)
	}
	return nil
}

// reserved are the ranges of addresses that belong to no public machine, or to one of another kind inside (RFC 6890): IPv4's in use for
// carriers, tests and documentation, and what of IPv6's global addresses carries IPv4's, which may be private, or is for documentation.
var reserved = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

// global are IPv6's addresses that lead anywhere.
var global = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// public reports whether an address is that of a machine which everybody may reach.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !global.Contains(a) {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
