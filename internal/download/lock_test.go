package download

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Of those that want a lock one has it, whatever it is made of, and afterwards the next.
func TestLocks(t *testing.T) {
	for name, lock := range map[string]func(string) (*os.File, func(), error){"the system's": lock, "by a file": lockByFile} {
		dir := folder(t)
		path := filepath.Join(dir, "lock")
		for range 3 {
			_, release, err := lock(path)
			if err != nil {
				t.Fatal(name, err)
			}
			advice := map[string]string{"by a file": "remove " + path + ".lock"}[name]
			if _, _, err := lock(path); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), advice) {
				t.Errorf("%s: error %v", name, err)
			}
			release()
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%s: %v is left", name, left)
		}
		if _, _, err := lock(filepath.Join(dir, "none", "lock")); err == nil || errors.Is(err, ErrBusy) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
