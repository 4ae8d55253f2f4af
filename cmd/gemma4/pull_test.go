package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gogemma/gemma4/nano"
)

// serveModels starts a hub that has nano as the repository org/nano, under the short name e2b as well, and an empty store; it returns the
// store, and how many files have been fetched. Files are written to what each of through makes of the answer's writer.
func serveModels(t *testing.T, through ...func(http.ResponseWriter) http.ResponseWriter) (store string, fetched *atomic.Int32) {
	t.Helper()
	files := map[string][]byte{"nano-Q8_0.gguf": nano.GGUF(), "mtp-nano-Q8_0.gguf": nano.Drafter(), "other-Q4_0.gguf": []byte("no model")}
	fetched = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/models/org/nano/tree/main" {
			type lfs struct {
				OID  string `json:"oid"`
				Size int    `json:"size"`
			}
			var list []any
			for _, path := range []string{"mtp-nano-Q8_0.gguf", "nano-Q8_0.gguf", "other-Q4_0.gguf"} {
				list = append(list, map[string]any{
					"type": "file", "path": path, "lfs": lfs{fmt.Sprintf("%x", sha256.Sum256(files[path])), len(files[path])},
				})
			}
			json.NewEncoder(w).Encode(list)
			return
		}
		content, ok := files[strings.TrimPrefix(r.URL.Path, "/org/nano/resolve/main/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method == http.MethodGet && r.Header.Get("Range") == "" {
			fetched.Add(1)
		}
		for _, f := range through {
			w = f(w)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(s.Close)
	store = filepath.Join(t.TempDir(), "store")
	for name, value := range map[string]string{
		"HF_ENDPOINT": s.URL, "GEMMA4_HOME": store, "HOME": t.TempDir(), "HF_HOME": t.TempDir(), "HF_TOKEN": "", "HF_HUB_OFFLINE": "",
		"HF_HUB_CACHE": "", "HUGGINGFACE_HUB_CACHE": "", "LLAMA_CACHE": t.TempDir(), "OLLAMA_MODELS": t.TempDir(),
		"XDG_CACHE_HOME": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	if err := os.MkdirAll(store, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(store, "names.txt"), []byte("e2b org/nano:Q8_0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return store, fetched
}

// refusing answers for files with a status that is final.
type refusing struct{ http.ResponseWriter }

func (w refusing) WriteHeader(int) { w.ResponseWriter.WriteHeader(http.StatusForbidden) }

// mistaken sends other bytes than the listing told of.
type mistaken struct{ http.ResponseWriter }

func (w mistaken) Write(b []byte) (int, error) { return w.ResponseWriter.Write(make([]byte, len(b))) }

func TestAFetchThatFailsSaysHowItGoesOn(t *testing.T) {
	asked := atomic.Int32{}
	for name, test := range map[string]struct {
		through func(http.ResponseWriter) http.ResponseWriter
		stays   bool
	}{
		"refused": {func(w http.ResponseWriter) http.ResponseWriter {
			if asked.Add(1) == 1 { // what it is
				return w
			}
			return refusing{w}
		}, true},
		"other bytes": {func(w http.ResponseWriter) http.ResponseWriter { return mistaken{w} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			serveModels(t, test.through)
			o := command("pull").Call("", "e2b")
			const says = "what has come stays: gemma4 pull e2b goes on, gemma4 rm e2b removes it\n"
			if o.Status != 1 || strings.Contains(o.Errors, says) != test.stays {
				t.Errorf("status %d, %q", o.Status, o.Errors)
			}
		})
	}
}

func TestAModelIsFetchedByItsNameWhereItIsNeeded(t *testing.T) {
	store, fetched := serveModels(t)
	o := command("run").Call("", "-m", "e2b", "-temp", "0", "What is the capital of France?")
	if o.Status != 0 || !strings.Contains(o.Out, "Paris") {
		t.Fatalf("status %d, %q, %q", o.Status, o.Out, o.Errors)
	}
	first, _, _ := strings.Cut(o.Errors, "\n")
	for _, text := range []string{"fetching org/nano:Q8_0", "MB", "from http://127.0.0.1"} {
		if !strings.Contains(first, text) {
			t.Errorf("first it says %q, without %q", first, text)
		}
	}
	if o := command("run").Call("", "-m", "org/nano", "-temp", "0", "What is the capital of Peru?"); o.Errors != "" ||
		!strings.Contains(o.Out, "Lima") || fetched.Load() != 1 {
		t.Errorf("again: %+v, %d files fetched", o, fetched.Load())
	}
	if out := command("tokenize").Good(t, "", "-m", "e2b", "-json", "-special", "<|turn>"); out != "[105]\n" {
		t.Errorf("tokenize prints %s", out)
	}
	out := command("inspect").Good(t, "", "-tensors=false", "e2b")
	if !strings.Contains(out, "general.architecture") {
		t.Errorf("inspect prints %s", out)
	}
	command("inspect").Fails(t, 1, "gemma4 pull org/nano:Q4_0 fetches it", "", "org/nano:Q4_0")
	command("run").Fails(t, 1, "neither a file nor a short name: names are FILE.gguf, 12b, 26b", "", "-m", "e3b", "x")

	paths := strings.Split(strings.TrimSuffix(command("pull").Good(t, "", "-with", "draft", "e2b"), "\n"), "\n")
	if len(paths) != 2 || filepath.Base(paths[0]) != "nano-Q8_0.gguf" || filepath.Base(paths[1]) != "mtp-nano-Q8_0.gguf" ||
		fetched.Load() != 2 {
		t.Errorf("pull prints %q, %d files fetched", paths, fetched.Load())
	}
	if out := command("list").Good(t, ""); !strings.Contains(out, "org/nano:Q8_0  ") || !strings.Contains(out, "  draft  store\n") {
		t.Errorf("list prints %q", out)
	}
	var cards []card
	err := json.Unmarshal([]byte(command("list").Good(t, "", "-json")), &cards)
	want := cardFile{"model", paths[0], fmt.Sprintf("%x", sha256.Sum256(nano.GGUF()))}
	if err != nil || len(cards) != 1 || len(cards[0].Files) != 2 || cards[0].Files[0] != want {
		t.Errorf("list -json: %v, %+v", err, cards)
	}
	out = command("show").Good(t, "", "e2b")
	for _, text := range []string{"org/nano:Q8_0", paths[0], paths[1], "/org/nano", cards[0].Files[0].Hash, "weights"} {
		if !strings.Contains(out, text) {
			t.Errorf("show prints %q, without %q", out, text)
		}
	}
	endpoint := os.Getenv("HF_ENDPOINT")
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	if out := command("list").Good(t, ""); !strings.Contains(out, "  draft  store (HF_ENDPOINT="+endpoint+")\n") {
		t.Errorf("with another hub list prints %q", out)
	}
	t.Setenv("HF_ENDPOINT", endpoint)
	if out := gemma4Command.Good(t, "", "completion", "fish", "rm", ""); out != "org/nano:Q8_0\n" {
		t.Errorf("rm is completed by %q", out)
	}
	command("rm").Good(t, "", "e2b")
	command("rm").Fails(t, 1, "not in the store", "", "e2b")
	if left, err := os.ReadDir(store); err != nil || len(left) != 1 {
		t.Errorf("the store still has %v, %v", left, err)
	}
	if o := command("list").Call(""); o.Out != "" || !strings.Contains(o.Errors, "no model is here yet") {
		t.Errorf("an empty list: %+v", o)
	}
	command("pull").Fails(t, 1, "has no projector", "", "-with", "mmproj", "e2b")
	command("pull").Fails(t, 2, "expected mmproj, draft or both", "", "-with", "all", "e2b")
	command("pull").Fails(t, 2, "expected the name", "")
	t.Setenv("HF_HUB_OFFLINE", "1")
	command("run").Fails(t, 1, "the network is not to be used", "", "-m", "e2b", "x")
}

func TestAModelOfOllamasIsUsedWithWhatItComesWith(t *testing.T) {
	serveModels(t)
	dir := os.Getenv("OLLAMA_MODELS")
	write := func(name string, content []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	lora, err := os.ReadFile(nanoAdapter(t, "lora.gguf", 1))
	if err != nil {
		t.Fatal(err)
	}
	var layers []any
	for _, layer := range []struct {
		kind    string
		content []byte
	}{{"model", nano.GGUF()}, {"system", []byte("Be\x1b[2J brief.\nAlways.")}, {"params", []byte(`{"top_k":64}`)},
		{"adapter", lora}} {
		hash := fmt.Sprintf("%x", sha256.Sum256(layer.content))
		write("blobs/sha256-"+hash, layer.content)
		layers = append(layers, map[string]any{
			"mediaType": "application/vnd.ollama.image." + layer.kind, "digest": "sha256:" + hash, "size": len(layer.content),
		})
	}
	manifest, err := json.Marshal(map[string]any{"layers": layers})
	if err != nil {
		t.Fatal(err)
	}
	write("manifests/registry.ollama.ai/me/short/latest", manifest)
	out := command("show").Good(t, "", "ollama:me/short")
	for _, text := range []string{"ollama:me/short:latest", "  ollama\n", "brief. Always.", `{"top_k":64}`, "weights"} {
		if !strings.Contains(out, text) {
			t.Errorf("show prints %q, without %q", out, text)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("show prints %q, which steers the terminal", out)
	}
	file := filepath.Join(dir, "blobs", fmt.Sprintf("sha256-%x", sha256.Sum256(nano.GGUF())))
	o := command("pull").Call("", "-with", "mmproj,draft", file)
	if o.Status != 0 || !strings.Contains(o.Errors, "comes without a projector") || !strings.Contains(o.Errors, "comes without a drafter") {
		t.Errorf("pull does not say what is missing: %+v", o)
	}
	if out := command("list").Good(t, ""); !strings.Contains(out, "ollama:me/short:latest") {
		t.Errorf("list prints %q", out)
	}
	adapter := filepath.Join(dir, "blobs", fmt.Sprintf("sha256-%x", sha256.Sum256(lora)))
	if !strings.Contains(out, adapter) {
		t.Errorf("show prints %q, without %q", out, adapter)
	}
	ask := func(args ...string) string {
		return command("run").Good(t, "", append(args, "-temp", "0", "-n", "12", "What is the capital of France?")...)
	}
	if got, with, without := ask("-m", "ollama:me/short"), ask("-lora", adapter), ask(); got != with || got == without {
		t.Errorf("it answers %q, with its adapter %q, without %q", got, with, without)
	}
	command("rm").Fails(t, 1, "not in the store", "", "ollama:me/short")
}
