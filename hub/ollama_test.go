package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// aRegistry is a server that answers paths as given: with a text, or by a function. It keeps the requests.
type aRegistry struct {
	*httptest.Server
	answers map[string]any // string or http.HandlerFunc
	mu      sync.Mutex
	asked   []*http.Request
	each    func() // called for every request, if set
}

func newRegistry(t *testing.T, answers map[string]any) *aRegistry {
	r := &aRegistry{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.asked = append(r.asked, req.Clone(context.Background()))
		answer, each := answers[req.URL.Path], r.each
		if each != nil {
			each()
		}
		r.mu.Unlock()
		switch a := answer.(type) {
		case string:
			fmt.Fprint(w, a)
		case func(w http.ResponseWriter, req *http.Request):
			a(w, req)
		default:
			http.NotFound(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// set has it answer a path otherwise from now on.
func (r *aRegistry) set(path string, answer any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[path] = answer
}

// wants returns what a registry answers with that wants a token first, and gives it at /token.
func wants(challenge, token, text string) func(w http.ResponseWriter, req *http.Request) {
	return func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "Bearer "+token {
			w.Header().Set("Www-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, text)
	}
}

func TestRegistrysManifestsBecomeFiles(t *testing.T) {
	const path = "/v2/library/gemma4/manifests/12b"
	plain := aManifest(t, "template", "{{ .Prompt }}", "model", "GGUF model", "license", "one", "license", "two", "params", `{"top_k":64}`,
		"projector", "GGUF eyes", "draft", "GGUF ahead", "system", "", "unheard-of", "x")
	other := newRegistry(t, map[string]any{"/token": `{"token":"stolen"}`, "/v2/elsewhere": plain})
	status := func(code int, text string) any {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, text) }
	}
	for _, tt := range []struct {
		what    string
		answers func(base string) map[string]any
		with    With
		want    []string // roles, names and contents; or what the error says
		token   string   // that goes along
	}{
		{"a model", func(string) map[string]any { return map[string]any{path: plain} }, With{}, []string{"model 12b.gguf GGUF model",
			"params 12b.params.json " + `{"top_k":64}`, "template 12b.template.txt {{ .Prompt }}", "license 12b.license.txt one",
			"license 12b.license.2.txt two"}, ""},
		{"with companions", func(string) map[string]any {
			return map[string]any{path: aManifest(t, "model", "GGUF 1", "model", "GGUF 2",
				"projector", "GGUF eyes", "projector", "GGUF more", "draft", "GGUF ahead", "adapter", "GGUF a", "adapter", "GGUF b")}
		}, With{Projector: true, Drafter: true},
			[]string{"model 12b-00001-of-00002.gguf GGUF 1", "model 12b-00002-of-00002.gguf GGUF 2", "projector mmproj-12b.gguf GGUF eyes",
				"drafter mtp-12b.gguf GGUF ahead", "adapter 12b.lora.gguf GGUF a", "adapter 12b.lora.2.gguf GGUF b"}, ""},
		{"companions that are not there", func(string) map[string]any { return map[string]any{path: aManifest(t, "model", "GGUF 1")} },
			With{Projector: true}, []string{"model 12b.gguf GGUF 1"}, ""},
		{"a token for anybody", func(base string) map[string]any {
			return map[string]any{
				path: wants(`Bearer realm="`+base+`/token?x=y",service="reg",scope="repository:a:pull repository:b:pull"`, "tok", plain),
				"/token": func(w http.ResponseWriter, req *http.Request) {
					want := url.Values{"x": {"y"}, "service": {"reg"}, "scope": {"repository:a:pull", "repository:b:pull"}}
					if req.URL.Query().Encode() != want.Encode() || req.Header.Get("Authorization") != "" {
						w.WriteHeader(http.StatusBadRequest)
					}
					fmt.Fprint(w, `{"token":"tok"}`)
				}}
		}, With{}, []string{"model 12b.gguf GGUF model", "", "", "", ""}, "Bearer tok"},
		{"a token of that name", func(base string) map[string]any {
			return map[string]any{path: wants(`bearer realm="`+base+`/token"`, "tok", plain), "/token": `{"access_token":"tok"}`}
		}, With{}, []string{"model 12b.gguf GGUF model", "", "", "", ""}, "Bearer tok"},
		{"a token that does not help", func(base string) map[string]any {
			return map[string]any{path: wants(`Bearer realm="`+base+`/token"`, "other", plain), "/token": `{"token":"tok"}`}
		}, With{}, []string{"ollama pull"}, ""},
		{"a token that steers the header", func(base string) map[string]any {
			return map[string]any{path: wants(`Bearer realm="`+base+`/token"`, "tok", plain), "/token": `{"token":"tok\r\nX: y"}`}
		}, With{}, []string{"with none"}, ""},
		{"a token in a page", func(base string) map[string]any {
			return map[string]any{path: wants(`Bearer realm="`+base+`/token"`, "tok", plain), "/token": "<html>"}
		}, With{}, []string{"with none"}, ""},
		{"a token for those who sign", func(base string) map[string]any {
			return map[string]any{path: wants(`Bearer realm="`+base+`/token"`, "tok", plain), "/token": status(401, "")}
		}, With{}, []string{"ollama pull"}, ""},
		{"a token from elsewhere", func(string) map[string]any {
			return map[string]any{path: wants(`Bearer realm="`+other.URL+`/token"`, "stolen", plain)}
		}, With{}, []string{"not on its own host"}, ""},
		{"a token from nowhere", func(string) map[string]any {
			return map[string]any{path: wants(`Bearer realm="/token"`, "tok", plain), "/token": `{"token":"tok"}`}
		}, With{}, []string{"not on its own host"}, ""},
		{"a password", func(string) map[string]any { return map[string]any{path: wants(`Basic realm="x"`, "tok", plain)} }, With{},
			[]string{"ollama pull"}, ""},
		{"no such model", func(string) map[string]any { return nil }, With{}, []string{"no such model"}, ""},
		{"what it says", func(string) map[string]any {
			return map[string]any{path: status(400, "{\"error\":\"a sharded GGUF\"}\n\x1b[2J")}
		},
			With{}, []string{`status 400: {"error":"a sharded GGUF"}`}, ""},
		{"a manifest elsewhere", func(string) map[string]any {
			return map[string]any{path: func(w http.ResponseWriter, req *http.Request) {
				http.Redirect(w, req, other.URL+"/v2/elsewhere", http.StatusTemporaryRedirect)
			}}
		}, With{}, []string{"307"}, ""},
		{"a page", func(string) map[string]any { return map[string]any{path: "<html>"} }, With{}, []string{"the manifest"}, ""},
		{"without an end", func(string) map[string]any {
			return map[string]any{path: func(w http.ResponseWriter, _ *http.Request) {
				for range 2 * maxAnswer / 1024 {
					fmt.Fprint(w, strings.Repeat(" ", 1024))
				}
			}}
		}, With{}, []string{"bytes"}, ""},
		{"safetensors", func(string) map[string]any { return map[string]any{path: aManifest(t, "tensor", "1", "json", "{}")} }, With{},
			[]string{"take a tag without"}, ""},
	} {
		t.Run(tt.what, func(t *testing.T) {
			other.asked = nil
			answers := map[string]any{}
			r := newRegistry(t, answers)
			for path, answer := range tt.answers(r.URL) {
				answers[path] = answer
			}
			h := &Hub{Registry: r.URL, Token: "secret", Names: map[string]string{}}
			h.sleep = func(context.Context, time.Duration) error { return nil }
			n, err := h.parse("ollama:" + strings.TrimPrefix(r.URL, "http://") + "/library/gemma4:12b")
			if err != nil {
				t.Fatal(err)
			}
			from, err := h.registry(n)
			if err != nil {
				t.Fatal(err)
			}
			o, err := from.resolve(t.Context(), n, tt.with)
			switch {
			case err != nil && (len(tt.want) > 1 || !strings.Contains(err.Error(), tt.want[0])):
				t.Fatalf("the error is %v, expected %q", err, tt.want)
			case err == nil && len(o.files) != len(tt.want):
				t.Fatalf("%d files, expected %q", len(o.files), tt.want)
			}
			for _, req := range r.asked {
				if said := req.Header.Get("Authorization"); said != "" && !strings.HasSuffix(said, " tok") {
					t.Errorf("%s was shown %q", req.URL.Path, said)
				}
				if accept := req.Header.Get("Accept"); req.URL.Path == path && accept != manifestType {
					t.Errorf("a manifest was asked for as %q", accept)
				}
			}
			if len(other.asked) > 0 {
				t.Errorf("the other host was asked for %s", other.asked[0].URL)
			}
			if err != nil {
				return
			}
			for i, f := range o.files {
				kind, content, _ := strings.Cut(tt.want[i], ".")
				if content == "" {
					continue
				}
				_, content, _ = strings.Cut(content, " ")
				got := fmt.Sprintf("%s %s", f.role, f.stored)
				if !strings.HasPrefix(tt.want[i], got+" ") || f.size != int64(len(content)) || f.sha256 != digestOf(content) ||
					f.url != r.URL+"/v2/library/gemma4/blobs/sha256:"+digestOf(content) || f.header.Get("Authorization") != tt.token {
					t.Errorf("file %d is %+v, expected %q (%s)", i, f, tt.want[i], kind)
				}
			}
		})
	}
}

func TestOtherFormsOfSafetensorsAreNamed(t *testing.T) {
	for tag, want := range map[string]string{"e2b-mlx": "ollama:gemma4:e2b,", "12b-it-nvfp4": "ollama:gemma4:12b,",
		"mxfp8": "a tag without"} {
		if got := otherForm(name{ollama: true, owner: "library", repo: "gemma4", tag: tag}); !strings.HasPrefix(got, want) {
			t.Errorf("instead of %s: %s", tag, got)
		}
	}
}

func TestRegistriesAreThoseThatNamesSay(t *testing.T) {
	for _, tt := range []struct{ registry, name, want string }{
		{"", "gemma4", publicRegistry},
		{"http://localhost:5000/", "gemma4", "http://localhost:5000"},
		{"http://localhost:5000", "localhost:5000/a/b", "http://localhost:5000"},
		{"http://localhost:5000", "example.org/a/b", "https://example.org"},
		{"", "registry.ollama.ai/a/b", publicRegistry},
		{"", "localhost:5000/a/b", "http://localhost:5000"},
		{"", "127.1.2.3/a/b", "http://127.1.2.3"},
		{"", "localhost.example.org/a/b", "https://localhost.example.org"},
		{"", "10.0.0.1:5000/a/b", "https://10.0.0.1:5000"},
	} {
		n, err := parseOllama(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := (&Hub{Registry: tt.registry}).registry(n)
		if err != nil || r.base != tt.want {
			t.Errorf("%s at %q is asked for at %q, %v, expected %s", tt.name, tt.registry, r.base, err, tt.want)
		}
	}
	for _, bad := range []string{"registry", "ftp://x", "https://user:pass@x", "https://"} {
		if _, err := (&Hub{Registry: bad}).registry(name{ollama: true}); err == nil {
			t.Errorf("%s is taken for a registry", bad)
		}
	}
}

// FuzzChallenge reads what registries want: a token is never asked for elsewhere.
func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer realm="https://registry.example/token",service="reg",scope="repository:a:pull"`)
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := parseChallenge(text)
		if !ok {
			return
		}
		u, err := c.address()
		if err == nil && !slices.Contains(u.Query()["service"], c.service) && c.service != "" {
			t.Errorf("%q leads to %s", text, u)
		}
	})
}

// shop is a registry that has one model, and sends to another host for its blobs, as the public one does.
func shop(t *testing.T, layers ...string) (r, cdn *aRegistry, h *Hub) {
	r, cdn = newRegistry(t, map[string]any{}), newRegistry(t, map[string]any{})
	stock(t, r, cdn, layers...)
	h = &Hub{Home: t.TempDir(), Registry: r.URL, Token: "secret", Names: map[string]string{}, Caches: []Cache{}}
	h.sleep = func(context.Context, time.Duration) error { return nil }
	t.Cleanup(func() {
		for _, req := range cdn.asked {
			if said := req.Header.Get("Authorization"); said != "" {
				t.Errorf("the other host was shown %q", said)
			}
		}
	})
	return r, cdn, h
}

// stock replaces the layers of the model.
func stock(t *testing.T, r, cdn *aRegistry, layers ...string) {
	const path = "/v2/library/gemma4/"
	r.set("/token", `{"token":"tok"}`)
	r.set(path+"manifests/e2b", wants(`Bearer realm="`+r.URL+`/token"`, "tok", aManifest(t, layers...)))
	for ; len(layers) > 0; layers = layers[2:] {
		content := layers[1]
		r.set(path+"blobs/sha256:"+digestOf(content), func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") != "Bearer tok" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			http.Redirect(w, req, cdn.URL+"/"+digestOf(content)+"?signature=x", http.StatusTemporaryRedirect)
		})
		cdn.set("/"+digestOf(content), func(w http.ResponseWriter, req *http.Request) {
			http.ServeContent(w, req, "", time.Time{}, strings.NewReader(content))
		})
	}
}

func TestAModelOfARegistryIsFetchedOnceAndThenFound(t *testing.T) {
	r, cdn, h := shop(t, "model", "weights", "projector", "eyes", "draft", "guesses", "params", `{"temperature":1}`)
	ctx := t.Context()
	if _, err := h.Find(ctx, "ollama:gemma4:e2b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	m, err := h.Pull(ctx, "ollama:gemma4:e2b", With{})
	if err != nil {
		t.Fatal(err)
	}
	host := strings.ReplaceAll(strings.TrimPrefix(r.URL, "http://"), ":", "_")
	folder := host + "/library/gemma4/"
	if got := relative(h.Home, m.Files...); !slices.Equal(got, []string{folder + "e2b.gguf"}) || m.Name != "ollama:gemma4:e2b" ||
		m.Projector != "" {
		t.Errorf("got %+v", m)
	}
	if m, err = h.Pull(ctx, "ollama:gemma4:e2b", With{Projector: true, Drafter: true}); err != nil {
		t.Fatal(err)
	}
	files := []string{host, host + "/library", host + "/library/gemma4", folder + "e2b.gguf", folder + "e2b.gguf.json",
		folder + "e2b.params.json", folder + "mmproj-e2b.gguf", folder + "mtp-e2b.gguf"}
	if got := inStore(t, h); !slices.Equal(got, files) {
		t.Errorf("the store has %q, expected %q", got, files)
	}
	if got := m.Notes["params"]; len(m.Notes) != 1 || relative(h.Home, got)[0] != folder+"e2b.params.json" {
		t.Errorf("the notes are %q", m.Notes)
	}
	if got := relative(h.Home, m.Projector, m.Drafter); !slices.Equal(got, []string{folder + "mmproj-e2b.gguf", folder + "mtp-e2b.gguf"}) {
		t.Errorf("beside it are %q", got)
	}
	was := len(cdn.asked)
	for _, pull := range []func(context.Context, string) (*Model, error){h.Find,
		func(ctx context.Context, name string) (*Model, error) { return h.Pull(ctx, name, With{}) }} {
		m, err := pull(ctx, "ollama:gemma4:e2b")
		if err != nil || m.Projector == "" || m.Drafter == "" {
			t.Errorf("again: %+v, %v", m, err)
		}
	}
	if n := len(cdn.asked); n != was {
		t.Errorf("what is there was fetched again: %s", cdn.asked[n-1].URL)
	}
	stock(t, r, cdn, "model", "WEIGHTS", "projector", "eyes") // the tag moves, and with it what its parameters are
	m, err = h.Pull(ctx, "ollama:gemma4:e2b", With{})
	check(t, m, err, "WEIGHTS", "eyes")
	m, err = h.Find(ctx, "ollama:gemma4:e2b")
	check(t, m, err, "WEIGHTS", "eyes")
	if all, err := h.List(); err != nil || len(all) != 1 || all[0].Name != "ollama:gemma4:e2b" {
		t.Errorf("listed %+v, %v", all, err)
	}
	if err := h.Remove("ollama:gemma4:e2b"); err != nil || len(inStore(t, h)) > 0 {
		t.Errorf("removed, %v, the store still has %q", err, inStore(t, h))
	}
}

func TestARegistryThatMisbehavesLeavesNoWrongFile(t *testing.T) {
	weights := strings.Repeat("weights ", 1000)
	blob := "/" + digestOf(weights)
	for _, tt := range []struct {
		what   string
		answer func(w http.ResponseWriter, req *http.Request)
		want   string // of the error
	}{
		{"other bytes", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("WEIGHTS ", 1000)) }, "SHA-256"},
		{"too many", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, weights, "more") }, "bytes"},
		{"too few", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, weights[:800]) }, "bytes"},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "a page to read"},
		{"gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, "410"},
		{"forbidden", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel() // most of the time is spent waiting between tries
			_, cdn, h := shop(t, "model", weights)
			good := cdn.answers[blob]
			cdn.set(blob, tt.answer)
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
			defer stop()
			m, err := h.Pull(ctx, "ollama:gemma4:e2b", With{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v, %v, expected %q", m, err, tt.want)
			}
			for _, f := range inStore(t, h) {
				if strings.HasSuffix(f, ".gguf") || strings.HasSuffix(f, ".json") {
					t.Errorf("the store has %s", f)
				}
			}
			cdn.set(blob, good)
			m, err = h.Pull(ctx, "ollama:gemma4:e2b", With{})
			check(t, m, err, weights)
		})
	}
}

func TestARegistryThatFailsForAWhileIsAskedAgain(t *testing.T) {
	weights := strings.Repeat("weights ", 10000)
	const manifest, token = "/v2/library/gemma4/manifests/e2b", "/token"
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "80000")
		io.WriteString(w, weights[:30000])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	blob, file := "/v2/library/gemma4/blobs/sha256:"+digestOf(weights), "/"+digestOf(weights)
	for _, tt := range []struct {
		what, path string
		answer     http.HandlerFunc
	}{
		{"no manifest now", manifest, status(http.StatusTooManyRequests, "Retry-After", "1")},
		{"no manifest for a while", manifest, status(http.StatusServiceUnavailable)},
		{"half a manifest", manifest, cut},
		{"no token now", token, status(http.StatusTooManyRequests, "RateLimit", `"api";r=0;t=1`)},
		{"half a token", token, cut},
		{"a blob that is not given now", blob, status(http.StatusTooManyRequests, "Retry-After", "1")},
		{"a blob that is hung up on", blob, hangUp},
		{"a file that is not given now", file, status(http.StatusServiceUnavailable, "Retry-After", "1")},
		{"half a file", file, cut},
		{"no ranges", file, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, weights) }},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel() // most of the time is spent waiting between tries
			r, cdn, h := shop(t, "model", weights)
			at := r
			if tt.path == file {
				at = cdn
			}
			good := at.answers[tt.path]
			var once atomic.Bool
			at.set(tt.path, func(w http.ResponseWriter, req *http.Request) {
				if once.CompareAndSwap(false, true) {
					tt.answer(w, req)
				} else if text, ok := good.(string); ok {
					io.WriteString(w, text)
				} else {
					good.(func(http.ResponseWriter, *http.Request))(w, req)
				}
			})
			m, err := h.Pull(t.Context(), "ollama:gemma4:e2b", With{})
			check(t, m, err, weights)
			if !once.Load() {
				t.Error("it was never asked")
			}
		})
	}
}
