package jinja

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzTemplate runs any template: without a panic, within bounds, and, as marks cannot be seen, to the same text with and
// without them.
func FuzzTemplate(f *testing.F) {
	for _, c := range hostileTemplates() {
		quick := !strings.Contains(c.want, "more than") && !strings.Contains(c.want, "bytes") && c.want != "steps"
		if len(c.source) < 1000 && quick {
			f.Add(c.source)
		}
	}
	g := readGolden(f)
	for _, c := range g.Cases {
		f.Add(c.Template)
	}
	f.Fuzz(func(t *testing.T, source string) {
		began := time.Now()
		tpl, err := Parse(source)
		if err != nil {
			checkError(t, err)
			return
		}
		if strings.Contains(source, "strftime_now") {
			return
		}
		plain, literal, err := tpl.Run(context.Background(), g.Variables, "")
		if took := time.Since(began); took > time.Minute {
			t.Errorf("took %v", took)
		}
		marked, places, markedErr := tpl.Run(context.Background(), g.Variables, "<|turn>s ")
		for _, err := range []error{err, markedErr} {
			if err != nil {
				checkError(t, err)
			}
		}
		if errors.Is(err, ErrLimit) || errors.Is(markedErr, ErrLimit) {
			return // marks take space of their own
		}
		if (err != nil) != (markedErr != nil) || plain != marked {
			t.Errorf("%q %v, with marks %q %v", plain, err, marked, markedErr)
		}
		if !utf8.ValidString(plain) || len(literal) != 0 || !slices.IsSorted(places) {
			t.Errorf("%q %v %v", plain, literal, places)
		}
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if !strings.HasPrefix(err.Error(), "line ") || len(err.Error()) > 4096 {
		t.Errorf("error %.5000v", err)
	}
}
