package line

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func size() (columns, rows int) { return 40, 10 }

// edit returns the lines that keys make, and how the last one ended.
func edit(h *History, keys string) (lines []string, err error) {
	e := New(strings.NewReader(keys), io.Discard, size)
	e.History = h
	for {
		line, err := e.Read(context.Background(), "> ")
		if err != nil && err != ErrInterrupt {
			return lines, err
		}
		if err == ErrInterrupt {
			line += "^C"
		} else {
			h.Add(line)
		}
		lines = append(lines, line)
	}
}

const (
	up, down, right, left  = "\x1b[A", "\x1bOB", "\x1b[C", "\x1b[D"
	home, end, del, back   = "\x1b[H", "\x1b[4~", "\x1b[3~", "\x7f"
	toLeft, toRight, altBS = "\x1b[1;5D", "\x1bf", "\x1b\x7f"
)

func TestKeysMakeLines(t *testing.T) {
	for _, test := range []struct {
		name, keys string
		want       []string
	}{
		{"nothing", "", nil},
		{"an empty line", "\r", []string{""}},
		{"typed", "hello\r", []string{"hello"}},
		{"two lines", "a\rb\n", []string{"a", "b"}},
		{"arrows", "ac" + left + "b" + right + "d\r", []string{"abcd"}},
		{"arrows at the ends", "a" + left + left + left + "b" + right + right + "c\r", []string{"bac"}},
		{"home and end", "b" + home + "a" + end + "c\r", []string{"abc"}},
		{"ctrl-a and ctrl-e", "b\x01a\x05c\r", []string{"abc"}},
		{"backspace and delete", "abc" + back + left + del + "\r", []string{"a"}},
		{"backspace at the beginning", back + "a" + home + back + "\r", []string{"a"}},
		{"ctrl-d in a line", "ab" + home + "\x04\r", []string{"b"}},
		{"ctrl-w", "one two  \x17three\r", []string{"one three"}},
		{"alt-backspace", "one two" + altBS + "\r", []string{"one "}},
		{"ctrl-u", "one two" + left + left + left + "\x15\r", []string{"two"}},
		{"ctrl-k and ctrl-y", "one two" + toLeft + "\x0b" + home + "\x19 \r", []string{"two one "}},
		{"words", "one two" + toLeft + toLeft + "x" + toRight + "y\r", []string{"xoney two"}},
		{"ctrl-c gives up what was typed", "one\x03two\r", []string{"one^C", "two"}},
		{"ctrl-c on an empty line", "\x03", []string{"^C"}},
		{"ctrl-d on an empty line", "a\r\x04b\r", []string{"a"}},
		{"a combining accent", "e\u0301x" + left + left + back + "y\r", []string{"ye\u0301x"}},
		{"an accent goes with its letter", "ne\u0301" + back + "x\r", []string{"nx"}},
		{"wide characters", "日本語" + left + back + "x\r", []string{"日x語"}},
		{"a family", "👨\u200d👩\u200d👧" + left + "a" + right + "b" + back + back + "\r", []string{"a"}},
		{"flags", "🇫🇷🇩🇪" + back + "\r", []string{"🇫🇷"}},
		{"half a character", "a\xff\xe6b\r", []string{"a��b"}},
		{"keys that mean nothing", "a\x1b[15~\x1b[200;5q\x1bxb\x00\x1f\x1b" + left + "c\r", []string{"acb"}},
		{"alt-enter", "a\x1b\rb\r", []string{"a\nb"}},
		{"a tab", "a\tb\r", []string{"a\tb"}},
		{"the history", "one\rtwo\r" + up + up + "x\r", []string{"one", "two", "onex"}},
		{"back to the draft", "one\rtw" + up + down + "o\r", []string{"one", "two"}},
		{"beyond its ends", "one\r" + down + up + up + up + "\r", []string{"one", "one"}},
		{"a search", "one\rtwo\rthree\r\x12o\r", []string{"one", "two", "three", "two"}},
		{"a search that goes on", "one\rtwo\rthree\r\x12o\x12" + end + "x\r", []string{"one", "two", "three", "onex"}},
		{"a search that finds nothing", "one\rdraft\x12z\r", []string{"one", "draft"}},
		{"a search that is given up", "one\rdraft\x12o\x07\r", []string{"one", "draft"}},
		{"ctrl-c in a search", "one\rdraft\x12o\x03s\r", []string{"one", "drafts"}},
	} {
		got, err := edit(&History{}, test.keys)
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) || err != io.EOF {
			t.Errorf("%s: %q (%v), want %q", test.name, got, err, test.want)
		}
	}
}

func TestTabCompletesWhatStandsBeforeTheCursor(t *testing.T) {
	keys := "/he\t\rlp" + home + "/he\t\rno\tx\r\x1b[200~/he\tx\x1b[201~\r"
	e := New(strings.NewReader(keys), io.Discard, size)
	e.Complete = func(before string) (string, bool) { return "lp ", before == "/he" }
	for _, want := range []string{"/help ", "/help lp", "no\tx", "/he\tx"} {
		if got, err := e.Read(context.Background(), "> "); got != want || err != nil {
			t.Errorf("%q (%v), want %q", got, err, want)
		}
	}
}

func TestPastesAreOneText(t *testing.T) {
	long := strings.Repeat("line of a long text\n", 100000) // two megabytes
	for _, test := range []struct{ keys, want string }{
		{"a\x1b[200~b\rc\x03\x04\x1b[Dd\x1b[201~e\r", "ab\nc\x03\x04\x1b[Dde"},
		{"\x1b[200~b\r\nc\nd\x1b[201~\r", "b\nc\nd"},
		{"\x1b[200~" + long + "\x1b[201~\r", long},
		{"a\x1b[200~" + long + "\x1b[201~b" + left + "c" + home + "d\r", "da" + long + "cb"},
		{"a\x1b[200~" + long + "\x1b[201~" + back + "\r", "a"},
		{"\x1b[200~\x1b[201~\r", ""},
	} {
		got, err := edit(&History{}, test.keys)
		if len(got) != 1 || got[0] != test.want || err != io.EOF {
			t.Errorf("%.40q makes %.60q (%v), want %.40q", test.keys, got, err, test.want)
		}
	}
}

func TestLongPastesComeInPieces(t *testing.T) {
	in, keyboard := io.Pipe()
	e := New(in, io.Discard, size)
	text := strings.Repeat("0123456789", 1<<20)
	go func() {
		keys := "\x1b[200~" + text + "\x1b[201~\r"
		for len(keys) > 0 {
			n := min(len(keys), 4095) // as terminals deliver them
			io.WriteString(keyboard, keys[:n])
			keys = keys[n:]
		}
	}()
	if got, err := e.Read(context.Background(), ""); got != text || err != nil {
		t.Errorf("%d bytes (%v), want %d", len(got), err, len(text))
	}
}

func TestCtrlCIsKnownWhileNobodyReads(t *testing.T) {
	in, keyboard := io.Pipe()
	e := New(in, io.Discard, size)
	pressed := make(chan bool, 1)
	io.WriteString(keyboard, "typed ahead\x03") // before it is looked for, or after
	stop := e.OnInterrupt(func() { pressed <- true })
	<-pressed
	io.WriteString(keyboard, "typed ahead\x03")
	<-pressed
	stop()
	go io.WriteString(keyboard, "again\x03next\r")
	if got, err := e.Read(context.Background(), ""); got != "again" || err != ErrInterrupt {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := e.Read(context.Background(), ""); got != "next" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	in, _ := io.Pipe()
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(gone)
	if got, err := New(in, io.Discard, size).Read(ctx, ""); got != "" || err != gone {
		t.Errorf("%q, %v", got, err)
	}
	e := New(strings.NewReader("typed\r"), io.Discard, size)
	for len(e.arrived) == 0 { // until the line is there
		runtime.Gosched()
	}
	if got, err := e.Read(ctx, ""); got != "" || err != gone {
		t.Errorf("%q, %v, of a line that is there", got, err)
	}
}

// screen is a terminal of 40 by 10 that knows what the editor writes.
type screen struct {
	cells [][]string // a wide character is followed by ""
	x, y  int
}

func newScreen() *screen {
	s := &screen{}
	for range 10 {
		s.cells = append(s.cells, make([]string, 40))
	}
	return s
}

func (s *screen) Write(b []byte) (int, error) {
	for rest := string(b); rest != ""; {
		var n int
		var final rune
		switch {
		case strings.HasPrefix(rest, "\x1b["):
			arg := strings.TrimLeft(rest[2:], "0123456789")
			fmt.Sscanf(rest[2:], "%d%c", &n, &final)
			switch rest, final = arg[1:], rune(arg[0]); final {
			case 'A':
				s.y = max(s.y-n, 0)
			case 'C':
				s.x = min(s.x+n, 39)
			case 'H':
				s.x, s.y = 0, 0
			case 'J': // n is 2: of all; after H that is the same
				for y := s.y; y < 10; y++ {
					clear(s.cells[y][pick(y == s.y, s.x):])
				}
			default:
				panic(string(final))
			}
		case rest[0] == '\r':
			s.x, rest = 0, rest[1:]
		case rest[0] == '\n':
			if rest = rest[1:]; s.y == 9 {
				s.cells = append(s.cells[1:], make([]string, 40))
			} else {
				s.y++
			}
		default:
			c := split(rest)[0]
			if s.x+c.width > 40 {
				panic("a row is too long")
			}
			s.cells[s.y][s.x] = c.text
			s.x += c.width
			rest = rest[len(c.text):]
		}
	}
	return len(b), nil
}

func pick(here bool, x int) int {
	if here {
		return x
	}
	return 0
}

func (s *screen) String() string {
	var b strings.Builder
	for _, row := range s.cells {
		b.WriteString(strings.TrimRight(strings.Join(row, ""), " ") + "\n")
	}
	return fmt.Sprintf("%s|%d,%d", strings.TrimRight(b.String(), "\n"), s.x, s.y)
}

func TestTheScreenShowsTheLineAndTheCursor(t *testing.T) {
	digits := strings.Repeat("0123456789", 4)
	for _, test := range []struct{ name, keys, want string }{
		{"empty", "", "> |2,0"},
		{"text", "abc" + left, "> abc|4,0"},
		{"wide", "日本語" + left + left, "> 日本語|4,0"},
		{"combining", "e\u0301e\u0301" + left, "> e\u0301e\u0301|3,0"},
		{"family", "👨\u200d👩\u200d👧x" + left, "> 👨\u200d👩\u200d👧x|4,0"},
		{"a full row", digits[:38], "> " + digits[:38] + "|0,1"},
		{"a full row, cursor before its end", digits[:38] + left, "> " + digits[:38] + "|39,0"},
		{"two rows", digits, "> " + digits[:38] + "\n89|2,1"},
		{"two rows, cursor in the first", digits + home, "> " + digits[:38] + "\n89|2,0"},
		{"one row again", digits + back + back + back, "> " + digits[:37] + "|39,0"},
		{"a wide character at the edge", digits[:37] + "日" + left, "> " + digits[:37] + "\n日|0,1"},
		{"lines", "\x1b[200~a\nb\x1b[201~", "> a⏎b|5,0"},
		{"a long paste", "x\x1b[200~" + strings.Repeat("line\n", 500) + "\x1b[201~y" + left, "> x[2500 bytes, 500 lines]y|26,0"},
		{"control characters", "\x1b[200~a\x1b[2Jb\x1b[201~", "> a�[2Jb|8,0"},
		{"a search", "\x12ab", "(not in the history: ab)|25,0"},
	} {
		in, keyboard := io.Pipe()
		s := newScreen()
		drawn := make(chan struct{})
		e := New(in, writer(func(b []byte) (int, error) { n, err := s.Write(b); drawn <- struct{}{}; return n, err }), size)
		go e.Read(context.Background(), "> ")
		<-drawn
		if test.keys != "" {
			io.WriteString(keyboard, test.keys)
			<-drawn
		}
		want := strings.Replace(test.want, " |", "|", 1)
		if got := s.String(); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, want)
		}
	}
}

type writer func(b []byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestALineLargerThanTheScreenStaysInIt(t *testing.T) {
	s := newScreen()
	keys := strings.Repeat("0123456789", 100) + "END" // 25 rows of 40
	e := New(strings.NewReader(keys+home+"x\r"), s, size)
	if got, err := e.Read(context.Background(), "> "); got != "x"+keys || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if shown := s.String(); !strings.Contains(shown, "END") || strings.Contains(shown, ">") {
		t.Errorf("at the end of the line the screen shows\n%s", shown)
	}
}

func TestALineIsDrawnOverItsRowsAsANarrowerTerminalBreaksThem(t *testing.T) {
	columns := 40
	in, keyboard := io.Pipe()
	drawn := make(chan string)
	e := New(in, writer(func(b []byte) (int, error) { drawn <- string(b); return len(b), nil }), func() (int, int) { return columns, 10 })
	go e.Read(context.Background(), "> ")
	<-drawn
	io.WriteString(keyboard, strings.Repeat("0123456789", 4)) // 40 columns and 2
	<-drawn
	columns = 20
	io.WriteString(keyboard, "x")
	if got := <-drawn; !strings.HasPrefix(got, "\x1b[2A\r\x1b[J> 01234") {
		t.Errorf("got %q", got)
	}
}

func FuzzKeys(f *testing.F) {
	for _, keys := range []string{
		"hello\r\x10\x10!\r", "\x1b[200~a\r\nb\x1b[201~\x17\x19\x19\r", "日本e\u0301👨\u200d👩\u200d👧\x1b[D\x7f\r",
		"one\r\x12o\x12\x07\x12n\r", "\x1b[200~never ends",
		strings.Repeat("long", 200) + "\x01\x06\x0c\x0b\x19\x15\r", "\t\x1b\x1b[1;5D\x1bb\x1bd\x1b\x7f\xff\xe6\r",
	} {
		f.Add(keys)
	}
	f.Fuzz(func(t *testing.T, keys string) {
		e := New(iotest.OneByteReader(strings.NewReader(keys)), newScreen(), size)
		for {
			line, err := e.Read(context.Background(), "> ")
			if e.at < 0 || e.at > len(e.line) || !utf8.ValidString(line) {
				t.Fatalf("cursor %d of %d, line %q", e.at, len(e.line), line)
			}
			if err != nil && err != ErrInterrupt && e.failed != nil && len(e.input) == 0 {
				return
			}
			e.History.Add(line)
		}
	})
}

func TestTheHistoryIsKeptInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "history")
	open := func() *History {
		t.Helper()
		h, err := OpenHistory(path)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	for _, text := range []string{"one", "one", "two\nlines\x1b", "", strings.Repeat("x", keptBytes+1)} {
		if err := h.Add(text); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprintf("%q", open().entries); got != `["one" "two\nlines\x1b"]` {
		t.Errorf("got %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		t.Errorf("others may read it: %v, %v", info.Mode(), err)
	}
	for i := range 3 * keptEntries {
		h.Add(fmt.Sprint(i))
	}
	before, _ := os.ReadFile(path)
	if h := open(); len(h.entries) != keptEntries || h.entries[keptEntries-1] != "2999" {
		t.Errorf("%d entries", len(h.entries))
	}
	if after, _ := os.ReadFile(path); len(after) >= len(before) || bytes.Count(after, []byte("\n")) != keptEntries {
		t.Errorf("the file of %d bytes has %d", len(before), len(after))
	}
	os.WriteFile(path, []byte("nonsense\n\"good\"\n\"torn"), 0o600)
	if got := fmt.Sprintf("%q", open().entries); got != `["good"]` {
		t.Errorf("of a damaged file: %s", got)
	}
	if err := open().Add("next"); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprintf("%q", open().entries); got != `["good" "next"]` {
		t.Errorf("behind a torn line: %s", got)
	}
}

func TestAHistoryThatCannotBeWrittenAnewStaysAsItIs(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "history")
	text := []byte(strings.Repeat("\"one\"\n\"two\"\n", keptEntries+1))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(full, fmt.Sprintf("%s.%d", path, os.Getpid())); err != nil {
		t.Fatal(err)
	}
	if h, err := OpenHistory(path); err == nil || len(h.entries) != keptEntries {
		t.Errorf("%d entries, %v", len(h.entries), err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(after, text) {
		t.Error("the file has changed")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left over: %v, %v", files, err)
	}
}
