package hub

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestManifestsThatMisleadAreRefused(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	const thousands = "1000000000000000"
	layer := func(kind, digest, size string) string {
		return fmt.Sprintf(`{"mediaType":"application/vnd.ollama.image.%s","digest":%q,"size":%s}`, kind, digest, size)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", ``, "JSON"},
		{"a page", `<html>`, "invalid character"},
		{"more than one value", `{"layers":[` + layer("model", digest, "1") + `]}{}`, "invalid character"},
		{"no layers", `{}`, "no model"},
		{"null", `null`, "no model"},
		{"another type of model", `{"layers":[` + strings.Replace(layer("model", digest, "1"), "ollama", "other", 1) + `]}`, "no model"},
		{"layers that are none", `{"layers":[null]}`, "digest"},
		{"no digest", `{"layers":[{"mediaType":"application/vnd.ollama.image.model","size":1}]}`, "digest"},
		{"another hash", `{"layers":[` + layer("model", "sha512:"+digest[7:], "1") + `]}`, "digest"},
		{"a short digest", `{"layers":[` + layer("model", digest[:70], "1") + `]}`, "digest"},
		{"a digest in capitals", `{"layers":[` + layer("model", strings.ToUpper(digest), "1") + `]}`, "digest"},
		{"a digest that is a path", `{"layers":[` + layer("model", "sha256:../../../"+digest[16:], "1") + `]}`, "digest"},
		{"a digest with a slash", `{"layers":[` + layer("model", digest[:38]+"/"+digest[39:], "1") + `]}`, "digest"},
		{"a negative size", `{"layers":[` + layer("model", digest, "-1") + `]}`, "size"},
		{"no size", `{"layers":[` + layer("model", digest, "0") + `]}`, "size"},
		{"a size above all disks", `{"layers":[` + layer("model", digest, "9000000000000000000") + `]}`, "size"},
		{"sizes above all disks together", `{"layers":[` + layer("model", digest, thousands) + "," +
			layer("projector", digest, thousands) + `]}`, "size"},
		{"a size that is no integer", `{"layers":[` + layer("model", digest, "1.5") + `]}`, "size"},
		{"a licence as large as a model", `{"layers":[` + layer("model", digest, "5") + "," + layer("license", digest, "5000000000") + `]}`,
			"license"},
		{"too many layers", `{"layers":[` + strings.Repeat(layer("tensor", digest, "1")+",", maxLayers) +
			layer("model", digest, "1") + `]}`, "layers"},
		{"too long", `{"layers":[` + strings.Repeat(" ", maxManifest), "bytes"},
		{"deep", strings.Repeat("[", 1<<20), "manifest"},
	} {
		if _, err := parseManifest([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: the error is %v, expected %q", tt.name, err, tt.want)
		}
	}
	for _, tensors := range []string{layer("tensor", digest, "1"), layer("json", digest, "1") + "," + layer("tensor", digest, "1")} {
		if _, err := parseManifest([]byte(`{"layers":[` + tensors + `]}`)); !errors.Is(err, errSafetensors) {
			t.Errorf("the error of %s is %v", tensors, err)
		}
	}
}

// FuzzManifest reads manifests: whatever one says, its files have names that stay in their folder, and sizes that can be added.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:`+strings.Repeat("0a", 32)+`","size":7},`+
		`{"mediaType":"application/vnd.ollama.image.projector","digest":"sha256:`+strings.Repeat("0b", 32)+`","size":5}]}`), "q4_K_M")
	f.Fuzz(func(t *testing.T, text []byte, tag string) {
		m, err := parseManifest(text)
		n, bad := parseOllama("model:" + tag)
		if err != nil || bad != nil {
			return
		}
		var total int64
		names := map[string]bool{}
		for i, file := range m.files(n.tag, With{true, true}) {
			if !isFileName(file.stored) || names[file.stored] || i == 0 && file.role != modelRole {
				t.Errorf("file %d has the role %s and the name %q", i, file.role, file.stored)
			}
			names[file.stored] = true
			if total += file.size; file.size < 0 || total < 0 {
				t.Errorf("%s has %d bytes", file.stored, file.size)
			}
			if len(file.sha256) != 64 || strings.Trim(file.sha256, "0123456789abcdef") != "" {
				t.Errorf("%s has the digest %q", file.stored, file.sha256)
			}
		}
	})
}

func TestNamesOfOllamasRegistry(t *testing.T) {
	for _, tt := range []struct{ text, want string }{ // as host, owner, repo, tag; or what the error says
		{"gemma4", "ollama  library gemma4 latest"},
		{"gemma4:12b-it-q4_K_M", "ollama  library gemma4 12b-it-q4_K_M"},
		{"me/own:x", "ollama  me own x"},
		{"registry.ollama.ai/library/gemma4", "ollama  library gemma4 latest"},
		{"example.org:5000/me/own", "ollama example.org:5000 me own latest"},
		{"hf.co/ggml-org/gemma-4-E2B-it-GGUF:Q8_0", "hub  ggml-org gemma-4-E2B-it-GGUF Q8_0"},
		{"huggingface.co/ggml-org/gemma-4-E2B-it-GGUF", "hub  ggml-org gemma-4-E2B-it-GGUF "},
		{"HF.co/ggml-org/gemma-4-E2B-it-GGUF:latest", "hub  ggml-org gemma-4-E2B-it-GGUF "},
		{"", `"" is no model`},
		{":tag", `"" is no model`},
		{"gemma4:", `"" is no tag`},
		{"/gemma4", `"" is no namespace`},
		{"../gemma4", `".." is no namespace`},
		{"a/../gemma4", `".." is no namespace`},
		{"../b/gemma4", `".." is no host`},
		{"a/b/c/gemma4", `"a/b" is no host`},
		{"https://registry.ollama.ai/library/gemma4", `is no host`},
		{"user@host/library/gemma4", `is no host`},
		{"gemma4:a:b", `is no model`},
		{"gemma4@sha256:" + strings.Repeat("0", 64), "is no model"},
		{"gemma4:" + strings.Repeat("x", 81), "is no tag"},
		{"gémma", "is no model"},
		{"con", "is no model"},
		{"gemma 4", "is no model"},
		{"gemma4:a\nb", "is no tag"},
	} {
		n, err := parseOllama(tt.text)
		got := "hub"
		if n.ollama {
			got = "ollama"
		}
		got = strings.Join([]string{got, n.host, n.owner, n.repo, n.tag}, " ")
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != tt.want || err != nil && !strings.Contains(got, tt.want) {
			t.Errorf("%q: %s, expected %s", tt.text, got, tt.want)
		}
	}
}
