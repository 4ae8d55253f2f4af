package main

import (
	"os"
	"path/filepath"
	"strings"
)

// completeLine returns what the Tab key adds to a line of a conversation: the rest of a command's name, or of the path of its file, as far
// as it is certain.
func completeLine(before string) (more string, ok bool) {
	if !strings.HasPrefix(before, "/") || strings.Contains(before, "\n") {
		return "", false
	}
	name, arg, behind := strings.Cut(before[1:], " ")
	var names []string
	for _, c := range slashes() {
		for _, n := range strings.Fields(c.names) {
			if behind && n == name && c.arg == "FILE" {
				return completePath(strings.TrimLeft(arg, " ")), true
			}
			names = append(names, n+" ")
		}
	}
	if behind {
		return "", false
	}
	return common(name, names), true
}

// completePath returns what follows in the path of a file or folder.
func completePath(path string) string {
	dir, begun := filepath.Split(path)
	look := home(dir)
	if look == "" {
		look = "."
	}
	entries, _ := os.ReadDir(look) // in a folder that cannot be read nothing is completed
	var names []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") && !strings.HasPrefix(begun, ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(look, name)); err == nil && info.IsDir() {
			name += string(filepath.Separator)
		}
		names = append(names, name)
	}
	return common(begun, names)
}

// common returns what all words that begin with begun have behind it.
func common(begun string, words []string) string {
	more, found := "", false
	for _, w := range words {
		rest, ok := strings.CutPrefix(w, begun)
		switch {
		case !ok:
		case !found:
			more, found = rest, true
		default:
			n := 0
			for n < len(more) && n < len(rest) && more[n] == rest[n] {
				n++
			}
			more = more[:n]
		}
	}
	return strings.ToValidUTF8(more, "")
}
