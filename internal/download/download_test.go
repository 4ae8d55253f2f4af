package download

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// content returns n bytes that are the same for each n.
func content(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	r.Read(b)
	return b
}

func sumOf(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func gitSum(b []byte) string {
	s := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(b)), b...))
	return hex.EncodeToString(s[:])
}

// expect fails unless path holds want and nothing is left beside it.
func expect(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v; expected %d others", len(got), err, len(want))
	}
	for _, left := range []string{partPath(path), recordPath(path)} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s is left", left)
		}
	}
}

func TestFilesAreFetchedWhole(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 1 << 20} {
		for _, know := range []string{"all", "size", "sha256", "git", "nothing"} {
			want := content(size)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				w.Header().Set("ETag", `"one"`)
				http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(want))
			}))
			f := File{URL: server.URL + "/file", Path: filepath.Join(folder(t), "deep", "file"), Size: -1}
			switch know {
			case "all":
				f.Size, f.SHA256, f.GitSHA1 = int64(size), sumOf(want), gitSum(want)
			case "size":
				f.Size = int64(size)
			case "sha256":
				f.SHA256 = sumOf(want)
			case "git":
				f.GitSHA1 = gitSum(want)
			}
			var done, total int64
			o := Options{piece: 64 << 10, Progress: func(d, t int64) { done, total = d, t }}
			if err := Fetch(t.Context(), []File{f}, o); err != nil {
				t.Errorf("%d bytes, known is %s: %v", size, know, err)
			} else {
				expect(t, f.Path, want)
			}
			if done != int64(size) || total != int64(size) {
				t.Errorf("%d bytes, known is %s: told %d of %d", size, know, done, total)
			}
			server.Close()
		}
	}
}
