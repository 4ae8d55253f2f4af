package gemma4

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// cue is what is shown at a time.
type cue struct {
	from, to time.Duration
	lines    []string
}

// Of what is shown at a time, as subtitles have it on screens of any width.
const (
	cueColumns = 42
	cueLines   = 2
)

// SRT returns segments as subtitles in the form of SubRip: the translation of each, or else its text, in lines of at most 42 letters where
// words allow. One of more than two lines becomes several subtitles, which share its time by the letters that they have, since nothing is
// known about when each word was said. Segments without text are left out.
func SRT(segments []Segment) string {
	const joiner = "\u2060" // nothing to be seen, and no tag
	escape := strings.NewReplacer("-->", "→", "<", "<"+joiner, "{\\", "{"+joiner+"\\")
	var b strings.Builder
	for i, c := range cues(segments) {
		text := escape.Replace(strings.Join(c.lines, "\n"))
		fmt.Fprintf(&b, "%d\n%s --> %s\n%s\n\n", i+1, stamp(c.from, ','), stamp(c.to, ','), text)
	}
	return b.String()
}

// VTT is [SRT] in the form of WebVTT, which browsers show.
func VTT(segments []Segment) string {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	var b strings.Builder
	b.WriteString("WEBVTT\n\n")
	for _, c := range cues(segments) {
		fmt.Fprintf(&b, "%s --> %s\n%s\n\n", stamp(c.from, '.'), stamp(c.to, '.'), escape.Replace(strings.Join(c.lines, "\n")))
	}
	return b.String()
}

// stamp writes a time as subtitles have it.
func stamp(t time.Duration, point rune) string {
	ms := max(0, t.Milliseconds())
	return fmt.Sprintf("%02d:%02d:%02d%c%03d", ms/3600000, ms/60000%60, ms/1000%60, point, ms%1000)
}

// cues returns what is shown when.
func cues(segments []Segment) (all []cue) {
	for _, s := range segments {
		text := s.Translation
		if text == "" {
			text = s.Text + s.Tentative
		}
		lines := wrapped(text)
		total, done := letters(lines), 0
		at := s.From
		for len(lines) > 0 {
			n := min(cueLines, len(lines))
			done += letters(lines[:n])
			to := s.From + time.Duration(float64(s.To-s.From)*float64(done)/float64(total))
			all = append(all, cue{at, to, lines[:n]})
			at, lines = to, lines[n:]
		}
	}
	return all
}

func letters(lines []string) (n int) {
	for _, line := range lines {
		n += utf8.RuneCountInString(line)
	}
	return n
}

// wrapped returns a text in lines. A word that is longer than a line has one of its own.
func wrapped(text string) (lines []string) {
	line, width := "", 0
	for _, word := range strings.Fields(text) {
		gap, from := " ", 0
		for _, end := range append(wordEnds(word), len(word)) { // where words have no spaces between them, lines end anywhere
			piece := word[from:end]
			n := utf8.RuneCountInString(piece)
			if width > 0 && width+len(gap)+n > cueColumns {
				lines, line, width = append(lines, line), "", 0
			}
			if width > 0 {
				line, width = line+gap, width+len(gap)
			}
			line, width = line+piece, width+n
			gap, from = "", end
		}
	}
	if width > 0 {
		lines = append(lines, line)
	}
	return lines
}
