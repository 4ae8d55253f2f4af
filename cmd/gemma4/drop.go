package main

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/media/sound"
)

// dropped returns the files of pictures, sounds and videos whose paths a line begins with, as terminals write them when files are dropped
// there, and what stands behind them. Such paths are absolute; in quotes, with backslashes or as a URL where they need it.
func dropped(text string) (paths []string, rest string) {
	rest = strings.TrimSpace(text)
	for rest != "" {
		path, behind, ok := rest, "", true
		if !isMedia(path) { // the whole of it, which may have spaces in it
			if path, behind, ok = word(rest); !ok || !isMedia(path) {
				return paths, rest
			}
		}
		paths = append(paths, place(path))
		rest = strings.TrimSpace(behind)
	}
	return paths, rest
}

// word returns the first word of a line as a shell would take it, and what follows.
func word(line string) (first, rest string, ok bool) {
	if strings.HasPrefix(line, "file://") { // URLs have escapes of their own
		at := strings.IndexAny(line+" ", " \t\n")
		return line[:at], line[at:], true
	}
	var b strings.Builder
	escapes := runtime.GOOS != "windows" // where a backslash stands between folders
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '"' || c == '\'' && escapes):
			quote = c
		case c == '\\' && escapes && quote != '\'' && i+1 < len(line):
			if i++; quote == '"' && !strings.ContainsRune(`"\$`+"`", rune(line[i])) {
				b.WriteByte('\\')
			}
			b.WriteByte(line[i])
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			return b.String(), line[i:], b.Len() > 0
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", quote == 0 && b.Len() > 0
}

// place returns the path of a file that is named by itself or by a URL.
func place(name string) string {
	u, err := url.Parse(name)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return name
	}
	if runtime.GOOS == "windows" { // /C:/folder
		return filepath.FromSlash(strings.TrimPrefix(u.Path, "/"))
	}
	return u.Path
}

// isMedia reports whether an absolute path is that of a picture, a sound or a video, of a format that is known if not decoded.
func isMedia(name string) bool {
	path := place(name)
	return filepath.IsAbs(path) && namesMedia(path)
}

// namesMedia reports whether a path is that of a picture, a sound or a video.
func namesMedia(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 64<<10)
	n, _ := io.ReadFull(f, head)
	if head = head[:n]; media.Sniff(head, media.Options{}) != "" {
		return true
	}
	var unsupported *sound.Unsupported
	_, err = sound.NewReader(bytes.NewReader(head), sound.Options{})
	return err == nil || errors.As(err, &unsupported)
}
