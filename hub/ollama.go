package hub

import (
	"errors"
	"fmt"
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
