package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAModelIsQuantisedWhereItsDiskHasNoRoomToBeMeasured lets no file be as large as what -bench writes.
func TestAModelIsQuantisedWhereItsDiskHasNoRoomToBeMeasured(t *testing.T) {
	in, dir := smallModel(t, "micro-e"), t.TempDir()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 20, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &before)
	out := filepath.Join(dir, "out.gguf")
	for _, flags := range [][]string{{"-bench"}, {"-bench", "-f", "-json"}} {
		o := quantizeModel.Call("", append(flags, in, out, "Q4_0")...)
		if o.Status != 1 || !strings.Contains(o.Errors, "out.gguf is complete, but -bench: ") || !strings.Contains(o.Out, "Q4_0") {
			t.Errorf("%q: %+v", flags, o)
		}
		if len(flags) > 2 && !json.Valid([]byte(o.Out)) {
			t.Errorf("-json: %s", o.Out)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left over: %v, %v", files, err)
	}
}
