package gemma4

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/machine"
)

// replaceFile puts a saved session at path atomically, when all of it is on the disk. Until then it grows beside that, as PATH.NUMBER.part,
// and begins with the same number, by which it is known if nobody finishes it. The result is what the system says of the file.
func replaceFile(path string, write func(w io.Writer, number uint64) error) (fs.FileInfo, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link stays a link
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "replace", Path: path, Err: errors.New("is not a regular file")}
	}
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	tidy(dir, name)
	f, number, err := createPart(path)
	if err != nil {
		return nil, err
	}
	err = write(f, number)
	if err == nil {
		err = f.Sync()
	}
	info, e := f.Stat()
	if err = cmp.Or(err, e, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, err
	}
	return info, machine.SyncFolder(dir)
}

// createPart creates the file that is to become the one at path.
func createPart(path string) (f *os.File, number uint64, err error) {
	for range 100 {
		number = rand.Uint64()
		f, err = os.OpenFile(fmt.Sprintf("%s.%d.part", path, number), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		pe.Path = path // the user knows no other
	}
	return f, number, err
}

// abandoned is the age at which a file that was to replace another is no longer being written.
const abandoned = 10 * time.Minute

// tidy removes what writers that were killed have left behind. Whatever fails here can be tried again next time.
func tidy(dir, name string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), name+".")
		digits, part := strings.CutSuffix(rest, ".part")
		number, err := strconv.ParseUint(digits, 10, 64)
		if !ours || !part || err != nil || !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > abandoned && begins(path, number) {
			os.Remove(path)
		}
	}
}

// begins reports whether a file begins like a saved session with that number: savedNumber is its first key.
func begins(path string, number uint64) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	const counts = 24 // magic, version, counts of tensors and keys
	want := binary.LittleEndian.AppendUint64(make([]byte, counts), uint64(len(savedNumber)))
	want = binary.LittleEndian.AppendUint32(append(want, savedNumber...), uint32(gguf.ValueUint64))
	want = binary.LittleEndian.AppendUint64(want, number)
	got := make([]byte, len(want))
	_, err = io.ReadFull(f, got)
	return err == nil && string(got[:4]) == "GGUF" && bytes.Equal(got[counts:], want[counts:])
}
