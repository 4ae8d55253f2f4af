// The command document writes what a browser gets for the page as JSON: {"header": {"Name": "value"}, "body": "…"}.
package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"

	"github.com/gogemma/gemma4/server/page"
)

func main() {
	w := httptest.NewRecorder()
	page.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	header := map[string]string{}
	for name := range w.Header() {
		header[name] = w.Header().Get(name)
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"header": header, "body": w.Body.String()}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
