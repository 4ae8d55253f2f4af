package hub

import (
	"errors"
	"strings"
)

// parseOllama returns what stands behind "ollama:": [host/][namespace/]model[:tag].
func parseOllama(text string) (name, error) {
	n := name{ollama: true, owner: "library", tag: "latest"}
	parts := strings.Split(text, "/")
	last := len(parts) - 1
	if model, tag, ok := strings.Cut(parts[last], ":"); ok { // the colon of a host's port is not in the last part
		parts[last], n.tag = model, tag
	}
	n.repo = parts[last]
	switch len(parts) {
	case 1:
	case 2:
		n.owner = parts[0]
	case 3:
		n.host, n.owner = parts[0], parts[1]
	default:
		return n, errOllama
	}
	return n, n.check()
}

var errOllama = errors.New("expected ollama:[host/][namespace/]model[:tag]")
