package hub

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Rules of ollama's names. A host may have a port; no part begins with a dot, so that none leads elsewhere.
var (
	ollamaHost = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,200}(:[0-9]{1,5})?$`)
	ollamaPart = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,79}$`)
)

var errOllama = errors.New("expected ollama:[host/][namespace/]model[:tag]")

// parseOllama returns what stands behind "ollama:": [host/][namespace/]model[:tag].
func parseOllama(text string) (name, error) {
	n := name{ollama: true, owner: "library", tag: "latest"}
	rest := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, '/') {
		rest, n.tag = text[:i], text[i+1:]
	}
	parts := strings.Split(rest, "/")
	n.repo = parts[len(parts)-1]
	if len(parts) > 1 {
		n.owner = parts[len(parts)-2]
	}
	if len(parts) > 2 {
		n.host = strings.Join(parts[:len(parts)-2], "/")
		if !ollamaHost.MatchString(n.host) {
			return name{}, fmt.Errorf("%q is no host: %w", n.host, errOllama)
		}
	}
	for _, part := range []struct{ what, text string }{{"namespace", n.owner}, {"model", n.repo}, {"tag", n.tag}} {
		if !ollamaPart.MatchString(part.text) || !isFileName(part.text) {
			return name{}, fmt.Errorf("%q is no %s: %w", part.text, part.what, errOllama)
		}
	}
	if n.host == registryHost(publicRegistry) {
		n.host = ""
	}
	if slices.Contains(endpointNames, strings.ToLower(n.host)+"/") { // the same files, by the hub's own protocol, which knows of split ones
		n.ollama, n.host = false, ""
		if n.tag == "latest" {
			n.tag = ""
		}
	}
	return n, nil
}

// registryHost returns the host, with its port, of an address such as Hub.Registry.
func registryHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// A registry is a source that speaks ollama's protocol.
type registry struct {
	h    *Hub
	base string // address, without a slash at its end
	host string // of it
}

// registry returns the one that a name is of.
func (h *Hub) registry(n name) (*registry, error) {
	base := strings.TrimRight(cmp.Or(h.Registry, publicRegistry), "/")
	host, err := hostOf(base)
	if err == nil && n.host != "" && n.host != host {
		base = "https://" + n.host
		if isLoopback(n.host) {
			base = "http://" + n.host
		}
		host, err = hostOf(base)
	}
	return &registry{h, base, host}, err
}

// isLoopback reports whether a host is this machine, whose registries have no certificate.
func isLoopback(host string) bool {
	name, _, _ := strings.Cut(host, ":")
	address, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && address.IsLoopback()
}

// resolve reads the manifest of a model.
func (r *registry) resolve(ctx context.Context, n name, with With) (*offer, error) {
	where := r.base + "/v2/" + n.owner + "/" + n.repo
	header := http.Header{"User-Agent": {"gemma4"}}
	a, err := r.ask(ctx, where+"/manifests/"+n.tag, header)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(a.body)
	switch {
	case a.status == http.StatusNotFound:
		err = missing("there is no such model or tag")
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		err = missing("nobody may read it without an account there, if it is there at all; ollama pull fetches what is yours, and " +
			"it is then used from ollama's folder") // to sign with a user's key is left to ollama
	case a.status != http.StatusOK:
		err = fmt.Errorf("status %d: %s", a.status, a.said())
	case errors.Is(err, errSafetensors):
		err = fmt.Errorf("%w: take %s", err, otherForm(n))
	}
	if err != nil {
		return nil, fmt.Errorf("hub: %s at %s: %w", n, r.host, err)
	}
	o := &offer{name: n, source: where, revision: fmt.Sprintf("sha256:%x", sha256.Sum256(a.body))}
	for _, f := range m.files(n.tag, with) {
		f.url, f.header = where+"/blobs/sha256:"+f.sha256, header
		o.files = append(o.files, f)
	}
	return o, nil
}

// otherForm names what may be taken in place of a model of safetensors.
func otherForm(n name) string {
	if size, _, ok := strings.Cut(n.tag, "-"); ok {
		n.tag = size
		return n.String() + ", or another tag without -mlx, -mxfp8 or -nvfp4"
	}
	return "a tag without mlx, mxfp8 or nvfp4"
}

// ask asks for a manifest. If the registry wants a token for it, that is asked for as anybody may, and added to header.
func (r *registry) ask(ctx context.Context, address string, header http.Header) (*answer, error) {
	accept := header.Clone()
	accept.Set("Accept", manifestType)
	a, err := r.h.get(ctx, address, accept)
	if err != nil || a.status != http.StatusUnauthorized {
		return a, err
	}
	c, ok := parseChallenge(a.header.Get("Www-Authenticate"))
	if !ok {
		return a, nil
	}
	realm, err := c.address()
	if err != nil || realm.Host != r.host || !strings.HasPrefix(r.base, realm.Scheme+"://") { // nobody is sent elsewhere
		return nil, fmt.Errorf("hub: %s wants a token from %.100q, which is not on its own host", r.host, c.realm)
	}
	given, err := r.h.get(ctx, realm.String(), header)
	if err != nil || given.status != http.StatusOK {
		return a, err
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	err = json.Unmarshal(given.body, &answer)
	token := cmp.Or(answer.Token, answer.AccessToken)
	if err != nil || token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("hub: %s answers the question for a token with none", r.host)
	}
	header.Set("Authorization", "Bearer "+token)
	accept.Set("Authorization", "Bearer "+token)
	return r.h.get(ctx, address, accept)
}

// challenge is what a registry wants before it answers: a token from realm.
type challenge struct{ realm, service, scope string }

var challengeField = regexp.MustCompile(`([A-Za-z]+)="([^"]*)"`)

// parseChallenge reads a WWW-Authenticate header; ok is false for one of another scheme.
func parseChallenge(text string) (c challenge, ok bool) {
	scheme, rest, _ := strings.Cut(text, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return c, false
	}
	for _, f := range challengeField.FindAllStringSubmatch(rest, -1) {
		switch strings.ToLower(f[1]) {
		case "realm":
			c.realm = f[2]
		case "service":
			c.service = f[2]
		case "scope":
			c.scope = f[2]
		}
	}
	return c, c.realm != ""
}

// address returns where the token is asked for.
func (c challenge) address() (*url.URL, error) {
	u, err := url.Parse(c.realm)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	if c.service != "" {
		q.Set("service", c.service)
	}
	for scope := range strings.FieldsSeq(c.scope) {
		q.Add("scope", scope)
	}
	u.RawQuery = q.Encode()
	return u, nil
}
