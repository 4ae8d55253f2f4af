package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// public are the endpoints that need no key: what balancers and browsers ask before anything else, and the page, which asks for the key.
var public = []string{"GET /health", "GET /v1/health", "GET /livez", "GET /{$}", "OPTIONS /"}

// admit reports why a request may not come through: a page elsewhere, or a key that is wrong.
func (c *call) admit() error {
	h := c.w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if !c.s.hostAllowed(c.r.Host) {
		return &failure{status: http.StatusForbidden, code: "host_not_allowed", message: "the server does not go by the name " + c.r.Host +
			" (option Hosts, gemma4 serve -host)"}
	}
	if origin := c.r.Header.Get("Origin"); origin != "" {
		if !c.s.originAllowed(origin, c.r.Host) {
			return &failure{status: http.StatusForbidden, code: "origin_not_allowed", message: "pages of " + origin +
				" may not ask (option Origins, gemma4 serve -origin)"}
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	}
	if len(c.s.o.Keys) == 0 || slices.Contains(public, c.endpoint) {
		return nil
	}
	key := c.r.Header.Get("X-Api-Key")
	if scheme, bearer, ok := strings.Cut(c.r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimLeft(bearer, " ")
	}
	given, right := sha256.Sum256([]byte(key)), 0
	for _, k := range c.s.o.Keys {
		sum := sha256.Sum256([]byte(k))
		right |= subtle.ConstantTimeCompare(given[:], sum[:])
	}
	if right == 0 {
		h.Set("WWW-Authenticate", "Bearer")
		return &failure{status: http.StatusUnauthorized, code: "invalid_api_key", message: "the API key is missing or wrong"}
	}
	c.group = hex.EncodeToString(given[:8])
	return nil
}

// hostAllowed reports whether a request for a host is for this server.
func (s *Server) hostAllowed(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	return len(s.o.Hosts) == 0 && len(s.o.Keys) > 0 || host == "" || host == "localhost" || net.ParseIP(host) != nil ||
		slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// originAllowed reports whether scripts of a page may ask.
func (s *Server) originAllowed(origin, host string) bool {
	if slices.Contains(s.o.Origins, "*") || slices.Contains(s.o.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host) && (u.Scheme == "http" || u.Scheme == "https")
}

// preflight answers a browser that asks whether scripts of a page may ask.
func (c *call) preflight() error {
	h := c.w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
	h.Set("Access-Control-Allow-Headers", c.r.Header.Get("Access-Control-Request-Headers"))
	h.Set("Access-Control-Max-Age", "600")
	c.status = http.StatusNoContent
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
