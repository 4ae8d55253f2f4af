package gemma4

import "strings"

// stopper looks for strings in a text that comes in pieces. Both are UTF-8, so that no string is found to begin within a character.
type stopper struct {
	strings []string
	rest    string // held back: it may be the beginning of one
}

// push adds a piece. It returns the text that is certainly before any of the strings, and the string that was found.
func (p *stopper) push(piece string) (text, found string) {
	if len(p.strings) == 0 {
		return piece, ""
	}
	all := p.rest + piece
	at := -1
	for _, s := range p.strings {
		if i := strings.Index(all, s); i >= 0 && (at < 0 || i < at) {
			at, found = i, s
		}
	}
	if at >= 0 {
		p.rest = ""
		return all[:at], found
	}
	keep := 0 // the longest end of the text that begins one of the strings
	for _, s := range p.strings {
		for n := min(len(s)-1, len(all)); n > keep; n-- {
			if strings.HasPrefix(s, all[len(all)-n:]) {
				keep = n
			}
		}
	}
	p.rest = all[len(all)-keep:]
	return all[:len(all)-keep], ""
}
