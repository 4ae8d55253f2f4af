package hub

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// devices are the names that open no file on Windows, whatever stands behind a dot.
var devices = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)[ .]*(\.|$)`)

// isFileName reports whether a file or folder of the store may have this name, which a server made up: it is the same on every system, it
// leads nowhere else, and below the 255 bytes of most systems there is room for what the store itself puts behind it.
func isFileName(name string) bool {
	foreign := func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) }
	return name != "" && len(name) <= 200 && utf8.ValidString(name) && !strings.ContainsFunc(name, foreign) &&
		!strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "-") && !strings.HasSuffix(name, ".") && !strings.HasSuffix(name, " ") &&
		!devices.MatchString(name)
}

// isRepositoryPath reports whether a path is that of a file in a repository: names that isFileName takes, with slashes between them.
func isRepositoryPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if !isFileName(part) {
			return false
		}
	}
	return true
}
