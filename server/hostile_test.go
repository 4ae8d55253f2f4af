package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestFormsTooLargeAreRefusedAsTheClients has forms that no machine could follow refused with status 400,
// and those that only never end cut off.
func TestFormsTooLargeAreRefusedAsTheClients(t *testing.T) {
	_, url := serve(t, Options{})
	for form, want := range map[string]int{
		`"grammar":"root ::= \"a\"{1000000000}"`:                      http.StatusBadRequest,
		`"json_schema":{"type":"string","minLength":1000000000}`:      http.StatusBadRequest,
		`"json_schema":{"type":"array","minItems":1000000000}`:        http.StatusOK,
		`"structured_outputs":{"choice":[` + choices(20000) + `"x"]}`: http.StatusOK,
	} {
		body := `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":3,` + form + `}`
		if status, text := post(t, url+"/v1/chat/completions", body); status != want {
			t.Errorf("%.60s: %d %.200s, want %d", form, status, text, want)
		}
	}
}

// choices is a list of so many texts.
func choices(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"c%d",`, i)
	}
	return b.String()
}
