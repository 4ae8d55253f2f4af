package hub

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

// plant writes files below a new folder; content that begins with -> is where a link leads.
func plant(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		target, link := strings.CutPrefix(content, "->")
		err := error(nil)
		if link {
			err = os.Symlink(filepath.FromSlash(target), path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o666)
		}
		if err != nil {
			t.Skipf("this system makes no such file: %v", err)
		}
	}
	return dir
}

// aModel is a GGUF file with a name in it; inParts are those of a split one.
func aModel(t *testing.T, name string) string { return inParts(t, name, 1)[0] }

func inParts(t *testing.T, name string, count int) (parts []string) {
	t.Helper()
	m := new(gguf.Metadata)
	if err := m.Set("general.name", name); err != nil {
		t.Fatal(err)
	}
	var tensors []gguf.Source
	for i := range count {
		tensors = append(tensors, testdata.Zeros(fmt.Sprintf("blk.%d.weight", i), 8))
	}
	if count == 1 {
		return []string{string(testdata.Bytes(t, m, tensors))}
	}
	paths, err := gguf.WriteSplit(filepath.Join(t.TempDir(), "x.gguf"), count, m, tensors)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(text))
	}
	return parts
}

func digestOf(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

func TestPlacesOfOtherProgramsAreTheirs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("written for slashes")
	}
	for _, tt := range []struct {
		name, system, home string
		env                map[string]string
		want               []string
	}{
		{"customs", "linux", "/home/u", nil, []string{"huggingface /home/u/.cache/huggingface/hub", "llama.cpp /home/u/.cache/llama.cpp",
			"lmstudio /home/u/.lmstudio/models", "lmstudio /home/u/.cache/lm-studio/models", "ollama /home/u/.ollama/models",
			"ollama /usr/share/ollama/.ollama/models"}},
		{"XDG", "linux", "/home/u", map[string]string{"XDG_CACHE_HOME": "/x"}, []string{"huggingface /x/huggingface/hub",
			"llama.cpp /x/llama.cpp", "lmstudio /home/u/.lmstudio/models", "lmstudio /home/u/.cache/lm-studio/models",
			"ollama /home/u/.ollama/models",
			"ollama /usr/share/ollama/.ollama/models"}},
		{"variables", "linux", "/home/u", map[string]string{"HF_HOME": "~/hf", "LLAMA_CACHE": "/l", "OLLAMA_MODELS": "/o"},
			[]string{"huggingface /home/u/hf/hub", "llama.cpp /l", "lmstudio /home/u/.lmstudio/models",
				"lmstudio /home/u/.cache/lm-studio/models", "ollama /o", "ollama /usr/share/ollama/.ollama/models"}},
		{"the more exact variable", "darwin", "/Users/u",
			map[string]string{"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "/b", "HF_HUB_CACHE": "/a"},
			[]string{"huggingface /a", "llama.cpp /Users/u/Library/Caches/llama.cpp", "lmstudio /Users/u/.lmstudio/models",
				"lmstudio /Users/u/.cache/lm-studio/models", "ollama /Users/u/.ollama/models"}},
		{"windows", "windows", "/u", map[string]string{"LOCALAPPDATA": "/u/local"}, []string{
			"huggingface /u/.cache/huggingface/hub",
			"llama.cpp /u/local/llama.cpp", "lmstudio /u/.lmstudio/models", "lmstudio /u/.cache/lm-studio/models",
			"ollama /u/.ollama/models"}},
		{"no home", "linux", "", map[string]string{"OLLAMA_MODELS": "/o", "HF_HOME": "~/hf"},
			[]string{"ollama /o", "ollama /usr/share/ollama/.ollama/models"}},
	} {
		var got []string
		for _, c := range caches(func(key string) string { return tt.env[key] }, tt.home, tt.system) {
			got = append(got, c.Program+" "+c.Dir)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, expected %q", tt.name, got, tt.want)
		}
	}
}

// aManifest is one of ollama's for layers given as type, content.
func aManifest(t *testing.T, layers ...string) string {
	t.Helper()
	type object = map[string]any
	var list []object
	for ; len(layers) > 0; layers = layers[2:] {
		list = append(list, object{"mediaType": layerType + layers[0], "digest": "sha256:" + digestOf(layers[1]), "size": len(layers[1])})
	}
	text, err := json.Marshal(object{"schemaVersion": 2, "mediaType": manifestType, "layers": list,
		"config": object{"mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:" + digestOf("{}"), "size": 2}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestModelsInOtherCachesAreFound(t *testing.T) {
	const commit, older = "0123456789abcdef0123456789abcdef01234567", "f123456789abcdef0123456789abcdef01234567"
	small, big, eyes, ahead := aModel(t, "small"), aModel(t, "big"), aModel(t, "eyes"), aModel(t, "ahead")
	parts := inParts(t, "parts", 2)
	part1, part2 := parts[0], parts[1]
	const repo = "models--ggml-org--gemma-4-E2B-it-GGUF/"
	const now, before = repo + "snapshots/" + commit + "/", repo + "snapshots/" + older + "/"
	for _, tt := range []struct {
		what, program string
		files         map[string]string
		name          string
		want          []string // files, relative
		eyes, ahead   string
		list          []string // names
		broken        string   // what the error of find says
	}{
		{"links into blobs", "huggingface", map[string]string{
			repo + "refs/main":                                        commit,
			repo + "blobs/" + digestOf(small):                         small,
			repo + "blobs/" + digestOf(eyes):                          eyes,
			repo + "blobs/" + digestOf(big) + ".incomplete":           big[:40],
			now + "gemma-E2B-Q8_0.gguf":                               "->../../blobs/" + digestOf(small),
			now + "mmproj-E2B-Q8_0.gguf":                              "->../../blobs/" + digestOf(eyes),
			now + "gemma-E2B-Q4_K_M.gguf":                             "->../../blobs/" + digestOf(big),
			now + "README.md":                                         "hello",
			"models--gpt2/snapshots/" + commit + "/x.gguf":            small,
			"datasets--ggml-org--x/snapshots/" + commit + "/x.gguf":   small,
			".locks/models--ggml-org--gemma-4-E2B-it-GGUF/x":          "",
			"models--ggml-org--empty/snapshots/" + commit + "/a.json": "{}",
		}, "ggml-org/gemma-4-E2B-it-GGUF", []string{now + "gemma-E2B-Q8_0.gguf"},
			now + "mmproj-E2B-Q8_0.gguf", "", []string{"ggml-org/gemma-4-E2B-it-GGUF:Q8_0"}, ""},
		{"files without links, an older revision, a split file in a folder, a drafter", "huggingface", map[string]string{
			repo + "refs/main":                          commit + "\n",
			repo + "refs/v1":                            older,
			before + "gemma-E2B-Q8_0.gguf":              big,
			now + "BF16/gemma-BF16-00001-of-00002.gguf": part1,
			now + "BF16/gemma-BF16-00002-of-00002.gguf": part2,
			now + "mtp-gemma-E2B.gguf":                  ahead,
		}, "GGML-org/gemma-4-E2B-it-gguf:bf16", []string{now + "BF16/gemma-BF16-00001-of-00002.gguf",
			now + "BF16/gemma-BF16-00002-of-00002.gguf"}, "", now + "mtp-gemma-E2B.gguf",
			[]string{"ggml-org/gemma-4-E2B-it-GGUF:BF16",
				"ggml-org/gemma-4-E2B-it-GGUF:Q8_0"}, ""},
		{"at a tag", "huggingface", map[string]string{
			repo + "refs/main":             commit,
			repo + "refs/v1":               older,
			before + "gemma-E2B-Q8_0.gguf": big,
			now + "gemma-E2B-Q8_0.gguf":    small,
		}, "ggml-org/gemma-4-E2B-it-GGUF@v1", []string{before + "gemma-E2B-Q8_0.gguf"}, "", "",
			[]string{"ggml-org/gemma-4-E2B-it-GGUF:Q8_0"}, ""},
		{"two files of a quantisation at two revisions", "huggingface", map[string]string{
			repo + "refs/main":       commit,
			before + "old-Q8_0.gguf": big,
			now + "new-Q8_0.gguf":    small,
		}, "ggml-org/gemma-4-E2B-it-GGUF", []string{now + "new-Q8_0.gguf"}, "", "",
			[]string{"ggml-org/gemma-4-E2B-it-GGUF:Q8_0", "ggml-org/gemma-4-E2B-it-GGUF:old-Q8_0.gguf"}, ""},
		{"a part that lacks", "huggingface", map[string]string{
			repo + "refs/main":                     commit,
			now + "gemma-BF16-00001-of-00002.gguf": part1,
		}, "ggml-org/gemma-4-E2B-it-GGUF", nil, "", "", nil, ""},
		{"a file that was cut", "huggingface", map[string]string{
			now + "gemma-Q8_0.gguf": big[:len(big)-8],
		}, "ggml-org/gemma-4-E2B-it-GGUF", nil, "", "", []string{"ggml-org/gemma-4-E2B-it-GGUF:Q8_0"}, "gemma-Q8_0.gguf"},
		{"links that go in a circle, and to nowhere", "huggingface", map[string]string{
			repo + "refs/main":  commit,
			now + "a-Q8_0.gguf": "->b-Q8_0.gguf",
			now + "b-Q8_0.gguf": "->a-Q8_0.gguf",
			now + "c-Q8_0.gguf": "->../../blobs/none",
			now + "d":           "->../..",
			now + "e-Q8_0.gguf": small,
		}, "ggml-org/gemma-4-E2B-it-GGUF", []string{now + "e-Q8_0.gguf"}, "", "",
			[]string{"ggml-org/gemma-4-E2B-it-GGUF:Q8_0"}, ""},
		{"the hub's layout", "llama.cpp", map[string]string{
			repo + "refs/main":          commit,
			now + "gemma-E2B-Q8_0.gguf": small,
		}, "ggml-org/gemma-4-E2B-it-GGUF", []string{now + "gemma-E2B-Q8_0.gguf"}, "", "",
			[]string{"ggml-org/gemma-4-E2B-it-GGUF:Q8_0"}, ""},
		{"flat files", "llama.cpp", map[string]string{
			"ggml-org_gemma-4-E2B-it-GGUF_gemma-E2B-Q8_0.gguf":                      small,
			"ggml-org_gemma-4-E2B-it-GGUF_gemma-E2B-Q8_0.gguf.json":                 `{"etag":"x"}`,
			"ggml-org_gemma-4-E2B-it-GGUF_mmproj-E2B-Q8_0.gguf":                     eyes,
			"ggml-org_gemma-4-E2B-it-GGUF_gemma-E2B-Q4_K_M.gguf.downloadInProgress": big,
			"bartowski_a_b_E4B-Q8_0.gguf":                                           big,
			"bartowski_a_b_E4B-Q8_0.gguf.json":                                      `{"url":"https://x/bartowski/a_b/resolve/main/x"}`,
			"manifest=ggml-org=gemma=latest.json":                                   "{}",
			"some_thing_else.gguf":                                                  big,
		}, "ggml-org/gemma-4-E2B-it-GGUF", []string{"ggml-org_gemma-4-E2B-it-GGUF_gemma-E2B-Q8_0.gguf"},
			"ggml-org_gemma-4-E2B-it-GGUF_mmproj-E2B-Q8_0.gguf", "",
			[]string{"bartowski/a_b:Q8_0", "ggml-org/gemma-4-E2B-it-GGUF:Q8_0"}, ""},
		{"flat parts", "llama.cpp", map[string]string{
			"unsloth_gemma-GGUF_BF16_gemma-BF16-00001-of-00002.gguf": part1,
			"unsloth_gemma-GGUF_BF16_gemma-BF16-00002-of-00002.gguf": part2,
		}, "unsloth/gemma-GGUF:BF16/gemma-BF16-00001-of-00002.gguf", []string{"unsloth_gemma-GGUF_BF16_gemma-BF16-00001-of-00002.gguf",
			"unsloth_gemma-GGUF_BF16_gemma-BF16-00002-of-00002.gguf"}, "", "",
			[]string{"unsloth/gemma-GGUF:BF16"}, ""},
		{"a folder for each repository", "lmstudio", map[string]string{
			"lmstudio-community/gemma-4-E2B-it-GGUF/gemma-4-E2B-it-Q4_K_M.gguf":      small,
			"lmstudio-community/gemma-4-E2B-it-GGUF/mmproj-gemma-4-E2B-it-BF16.gguf": eyes,
			"lmstudio-community/gemma-4-E2B-it-GGUF/x.gguf.part":                     big,
			"alone.gguf":       small,
			".hidden/a/b.gguf": small,
		}, "lmstudio-community/gemma-4-E2B-it-GGUF", []string{"lmstudio-community/gemma-4-E2B-it-GGUF/gemma-4-E2B-it-Q4_K_M.gguf"},
			"lmstudio-community/gemma-4-E2B-it-GGUF/mmproj-gemma-4-E2B-it-BF16.gguf", "",
			[]string{"lmstudio-community/gemma-4-E2B-it-GGUF:Q4_K_M"}, ""},
		{"manifests and blobs", "ollama", map[string]string{
			"manifests/registry.ollama.ai/library/gemma4/12b": aManifest(t, "model", small, "projector", eyes, "draft", ahead, "license",
				"do"),
			"manifests/registry.ollama.ai/me/own/latest":     aManifest(t, "model", part1, "model", part2),
			"manifests/hf.co/ggml-org/gemma-GGUF/Q8_0":       aManifest(t, "model", big),
			"manifests/registry.ollama.ai/library/gemma4/.x": "{",
			"blobs/sha256-" + digestOf(small):                small,
			"blobs/sha256:" + digestOf(eyes):                 eyes,
			"blobs/sha256-" + digestOf(ahead):                ahead,
			"blobs/sha256-" + digestOf(big):                  big,
			"blobs/sha256-" + digestOf(part1):                part1,
			"blobs/sha256-" + digestOf(part2):                part2,
		}, "ollama:gemma4:12B", []string{"blobs/sha256-" + digestOf(small)},
			"blobs/sha256:" + digestOf(eyes), "blobs/sha256-" + digestOf(ahead),
			[]string{"ggml-org/gemma-GGUF:Q8_0", "ollama:gemma4:12b", "ollama:me/own:latest"}, ""},
		{"a name of the hub", "ollama", map[string]string{
			"manifests/hf.co/ggml-org/gemma-GGUF/latest": aManifest(t, "model", big),
			"blobs/sha256-" + digestOf(big):              big,
		}, "ggml-org/gemma-GGUF", []string{"blobs/sha256-" + digestOf(big)}, "", "", []string{"ggml-org/gemma-GGUF"}, ""},
		{"a blob that is still fetched", "ollama", map[string]string{
			"manifests/registry.ollama.ai/library/gemma4/latest": aManifest(t, "model", small),
			"blobs/sha256-" + digestOf(small) + "-partial":       small,
			"blobs/sha256-" + digestOf(small) + "-partial-0":     "{}",
		}, "ollama:gemma4", nil, "", "", nil, "missing, or still being fetched"},
		{"a blob of another length", "ollama", map[string]string{
			"manifests/registry.ollama.ai/library/gemma4/latest": aManifest(t, "model", small),
			"blobs/sha256-" + digestOf(small):                    small + "0",
		}, "ollama:gemma4", nil, "", "", nil, "expected a file of"},
		{"a blob that is no GGUF", "ollama", map[string]string{
			"manifests/registry.ollama.ai/library/gemma4/latest": aManifest(t, "model", "PK.."),
			"blobs/sha256-" + digestOf("PK.."):                   "PK..",
		}, "ollama:gemma4", nil, "", "", nil, "is no GGUF file"},
		{"safetensors", "ollama", map[string]string{
			"manifests/registry.ollama.ai/library/gemma4/e2b-mlx": aManifest(t, "tensor", "1", "tensor", "2", "json", "{}"),
		}, "ollama:gemma4:e2b-mlx", nil, "", "", nil, "safetensors"},
		{"a folder that is not there", "ollama", nil, "ollama:gemma4", nil, "", "", nil, ""},
	} {
		t.Run(tt.program+"/"+tt.what, func(t *testing.T) {
			dir := plant(t, tt.files)
			c := Cache{tt.program, dir}
			n, err := (&Hub{Names: map[string]string{}}).parse(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			m, err := c.find(n)
			if said := fmt.Sprint(err); (tt.broken == "") != (err == nil) || !strings.Contains(said, tt.broken) {
				t.Errorf("find's error is %v, expected %q", err, tt.broken)
			}
			if (m != nil) != (tt.want != nil) {
				t.Fatalf("find returned %+v", m)
			}
			if m != nil {
				got := [][]string{relative(dir, m.Files...), relative(dir, m.Projector, m.Drafter)}
				if want := [][]string{tt.want, {tt.eyes, tt.ahead}}; !reflect.DeepEqual(got, want) || m.Place != tt.program {
					t.Errorf("found %q in %s, expected %q", got, m.Place, want)
				}
				var size int64
				for _, path := range slices.Concat(m.Files, []string{m.Projector, m.Drafter}) {
					if info, err := os.Stat(path); err == nil {
						size += info.Size()
					}
				}
				if m.Bytes != size {
					t.Errorf("%d bytes, the files have %d", m.Bytes, size)
				}
			}
			all, _ := c.list()
			var names []string
			for _, m := range all {
				names = append(names, m.Name)
				n, err := (&Hub{Names: map[string]string{}}).parse(m.Name)
				if err != nil {
					t.Errorf("the name in the list: %v", err)
				} else if again, _ := c.find(n); tt.broken == "" && (again == nil || !slices.Equal(again.Files, m.Files)) {
					t.Errorf("%s finds %+v, expected %+v", m.Name, again, m)
				}
			}
			if !slices.Equal(names, tt.list) {
				t.Errorf("the list is %q, expected %q", names, tt.list)
			}
		})
	}
}

func TestModelsInFoldersThatAreNoRepositorysHaveTheirPathsAsNames(t *testing.T) {
	dir := plant(t, map[string]string{"模型/my own/gemma Q8_0.gguf": aModel(t, "own"), "a--b/r/x.gguf": aModel(t, "x")})
	all, err := Cache{studioProgram, dir}.list()
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	for _, m := range all {
		again, err := (&Hub{Names: map[string]string{}}).Find(t.Context(), m.Name)
		if err != nil || !slices.Equal(again.Files, m.Files) || m.Place != studioProgram {
			t.Errorf("%s finds %+v, %v", m.Name, again, err)
		}
	}
}

func TestFilesInOtherCachesAreUsedByTheirContent(t *testing.T) {
	const commit, older = "0123456789abcdef0123456789abcdef01234567", "f123456789abcdef0123456789abcdef01234567"
	const repo = "models--o--r/"
	const now, before = repo + "snapshots/" + commit + "/", repo + "snapshots/" + older + "/"
	is, other := "GGUF is", "GGUF no"
	hubs := name{owner: "o", repo: "r", tag: "Q8_0"}
	ollamas := name{ollama: true, owner: "library", repo: "gemma4", tag: "e2b"}
	for _, tt := range []struct {
		what, program string
		name          name
		files         map[string]string
		want          string
	}{
		{"the name of what a link leads to", "huggingface", hubs, map[string]string{
			repo + "blobs/" + digestOf(is): is,
			before + "m-Q8_0.gguf":         "->../../blobs/" + digestOf(is)}, before + "m-Q8_0.gguf"},
		{"a link to something else", "huggingface", hubs, map[string]string{
			repo + "blobs/" + digestOf(other): other,
			before + "m-Q8_0.gguf":            "->../../blobs/" + digestOf(other)}, ""},
		{"the commit", "huggingface", hubs, map[string]string{
			now + "m-Q8_0.gguf": is}, now + "m-Q8_0.gguf"},
		{"the hash", "huggingface", hubs, map[string]string{
			before + "m-Q4_0.gguf": other,
			before + "n-Q8_0.gguf": is}, before + "n-Q8_0.gguf"},
		{"another hash", "huggingface", hubs, map[string]string{
			before + "m-Q8_0.gguf": other}, ""},
		{"another length", "huggingface", hubs, map[string]string{
			now + "m-Q8_0.gguf": is + "."}, ""},
		{"another repository", "huggingface", hubs, map[string]string{
			"models--o--s/snapshots/" + commit + "/m-Q8_0.gguf": is}, ""},
		{"the hash", "llama.cpp", hubs, map[string]string{"o_r_m-Q8_0.gguf": is}, "o_r_m-Q8_0.gguf"},
		{"another hash", "llama.cpp", hubs, map[string]string{"o_r_m-Q8_0.gguf": other}, ""},
		{"the hash", "lmstudio", hubs, map[string]string{"o/r/m-Q8_0.gguf": is}, "o/r/m-Q8_0.gguf"},
		{"another hash", "lmstudio", hubs, map[string]string{"o/r/m-Q8_0.gguf": other}, ""},
		{"the digest", "ollama", hubs, map[string]string{"blobs/sha256-" + digestOf(is): is}, "blobs/sha256-" + digestOf(is)},
		{"the digest", "ollama", ollamas, map[string]string{"blobs/sha256-" + digestOf(is): is}, "blobs/sha256-" + digestOf(is)},
		{"a blob of the hub", "huggingface", ollamas, map[string]string{repo + "blobs/" + digestOf(is): is},
			repo + "blobs/" + digestOf(is)},
		{"an unfinished blob of the hub", "huggingface", ollamas, map[string]string{repo + "blobs/" + digestOf(is): is[:3]}, ""},
		{"nothing of the hub", "lmstudio", ollamas, map[string]string{"library/gemma4/m-Q8_0.gguf": is}, ""},
		{"an unfinished blob", "ollama", hubs, map[string]string{"blobs/sha256-" + digestOf(is): is[:3]}, ""},
	} {
		dir := plant(t, tt.files)
		e := entry{path: "m-Q8_0.gguf", size: int64(len(is)), sha256: digestOf(is)}
		got := Cache{tt.program, dir}.file(t.Context(), tt.name, commit, e)
		if got = relative(dir, got)[0]; got != tt.want {
			t.Errorf("%s, %s: %q, expected %q", tt.program, tt.what, got, tt.want)
		}
	}
}

func TestWhatCannotBeReadInOtherCachesIsSaid(t *testing.T) {
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("this user reads everything")
	}
	for _, program := range []string{"huggingface", "llama.cpp", "lmstudio", "ollama"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "manifests"), 0); err != nil {
			t.Fatal(err)
		}
		c := Cache{program, dir}
		if program != "ollama" {
			c.Dir = filepath.Join(dir, "manifests")
		}
		n := name{ollama: program == "ollama", owner: "o", repo: "r", tag: "Q8_0"}
		if m, err := c.find(n); m != nil || err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: find returns %v, %v", program, m, err)
		}
		if all, err := c.list(); len(all) > 0 || err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: list returns %v, %v", program, all, err)
		}
	}
}

// relative returns paths below dir with slashes, others as they are.
func relative(dir string, paths ...string) (all []string) {
	for _, p := range paths {
		if r, err := filepath.Rel(dir, p); err == nil && p != "" {
			p = filepath.ToSlash(r)
		}
		all = append(all, p)
	}
	return all
}

func TestAModelInOllamasFolderComesWithItsAdaptersAndTexts(t *testing.T) {
	base, lora := aModel(t, "base"), aModel(t, "lora")
	files := map[string]string{
		"manifests/registry.ollama.ai/me/own/latest": aManifest(t, "model", base, "adapter", lora, "system", "Be brief.", "license", ""),
		"blobs/sha256-" + digestOf(base):             base,
		"blobs/sha256-" + digestOf("Be brief."):      "Be brief.",
	}
	own := name{ollama: true, owner: "me", repo: "own", tag: "latest"}
	m, err := Cache{ollamaProgram, plant(t, files)}.find(own)
	if m != nil || err == nil || !strings.Contains(err.Error(), digestOf(lora)) {
		t.Errorf("without its adapter: %+v, %v", m, err)
	}
	files["blobs/sha256-"+digestOf(lora)] = lora
	dir := plant(t, files)
	if m, err = (Cache{ollamaProgram, dir}).find(own); err != nil {
		t.Fatal(err)
	}
	got := relative(dir, append(m.Adapters, m.Notes["system"])...)
	want := []string{"blobs/sha256-" + digestOf(lora), "blobs/sha256-" + digestOf("Be brief.")}
	if !slices.Equal(got, want) || len(m.Notes) != 1 {
		t.Errorf("got %q and %q, expected %q", m.Adapters, m.Notes, want)
	}
}
