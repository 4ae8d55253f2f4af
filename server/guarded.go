package server

import (
	"log/slog"
	"net/http"
	"strings"
)

// Guard has a handler that has no model itself, such as a fleet's gateway, let in whom a server would: Keys, Hosts and Origins of the
// options count.
func Guard(o Options, h http.Handler) http.Handler {
	s := &Server{o: o, log: slog.New(slog.DiscardHandler)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{s: s, w: w, r: r, protocol: openAI, endpoint: r.Method + " " + r.URL.Path, id: newID("req_")}
		switch {
		case r.Method == http.MethodOptions:
			c.endpoint = "OPTIONS /"
		case r.URL.Path == "/":
			c.endpoint = r.Method + " /{$}"
		case strings.HasPrefix(r.URL.Path, "/v1/messages"):
			c.protocol = anthropic
		}
		err := c.admit()
		switch {
		case err != nil:
			c.fail(err)
		case r.Method == http.MethodOptions:
			c.preflight()
		default:
			h.ServeHTTP(w, r)
		}
	})
}
