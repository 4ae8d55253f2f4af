package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/sampler"
)

// program returns an example that does body and has all flags.
func program(body func(p *Program, s *SamplingFlags, o *gemma4.SessionOptions, m *ModelFlags) error) clitest.Run {
	c := Command{Name: "test", Args: "[flags]", About: "About.", Examples: "\nx test -temp 0\n"}
	return func(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
		p := New("x", c, stdin, stdout, stderr)
		m, o, s := p.ModelFlags(), p.SessionFlags("all"), p.SamplingFlags()
		p.Group("output")
		p.Count("n", "`tokens`")
		return p.Run(args, func() error { return body(p, s, o, m) })
	}
}

func idle(*Program, *SamplingFlags, *gemma4.SessionOptions, *ModelFlags) error { return nil }

func TestWrongFlagsEndWithStatus2AndTheUsage(t *testing.T) {
	run := program(idle)
	for _, test := range []struct {
		args, text string
	}{
		{"-nonsense", "there is no flag -nonsense"},
		{"-tmep 0", "there is no flag -tmep; did you mean -temp?"},
		{"--ctz=5", "there is no flag -ctz; did you mean -ctx?"},
		{"-cache f64", `unknown cache format "f64"`},
		{"-n -1", "not negative"},
		{"-n many", "not negative"},
		{"-n 99999999999999999999", "expected at most 2147483647"},
		{"-ctx 99999999999", "expected at most 2147483647"},
		{"-threads -1", "not negative"},
		{"-ctx x", "not negative"},
		{"-memory much", "such as 500MB"},
		{"-memory -1GB", "such as 500MB"},
		{"-memory 1XB", "such as 500MB"},
		{"-memory 1Ki", "such as 500MB"},
		{"-memory 99999999TB", "such as 500MB"},
		{"-memory NaN", "such as 500MB"},
		{"-temp hot", "expected a number"},
		{"-temp -1", "temperature is -1"},
		{"-temp NaN", "temperature is NaN"},
		{"-top-p 1.5", "top-p is 1.5"},
		{"-top-k -2", "not negative"},
		{"-seed -1", "whole number from 0"},
		{"-repeat-penalty +Inf", "repeat penalty"},
		{"-m=", "expected a file"},
		{"-huge", "name a file with -m"},
		{"-prefault", "name a file with -m"},
		{"-temp", "needs an argument"},
		{"text -temp 0", "-temp comes after an argument"},
		{"text --cache=f16", "--cache=f16 comes after an argument"},
	} {
		run.Fails(t, 2, test.text, "", strings.Fields(test.args)...)
	}
}

func TestSizesAreThoseThatPeopleWrite(t *testing.T) {
	for text, want := range map[string]int64{
		"1500": 1500, "1e9": 1e9, "1.5kB": 1500, "500mb": 500e6, "500 MB": 500e6, "2G": 2e9, "2GB": 2e9, "2GiB": 2 << 30, "1T": 1e12,
	} {
		if got, err := Size(text); got != want || err != nil {
			t.Errorf("%s is %d, want %d; %v", text, got, want, err)
		}
	}
}

func TestAValueThatIsRefusedLeavesTheOldOne(t *testing.T) {
	p := New("x", Command{Name: "test"}, nil, io.Discard, io.Discard)
	s := p.SamplingFlags()
	n := p.Count("n", "`tokens`")
	for _, f := range []struct{ name, good, bad string }{
		{"n", "3", "x"}, {"top-k", "5", "-1"}, {"temp", "0.5", "hot"}, {"top-p", "0.9", "2"},
	} {
		if err := p.Change(f.name, f.good); err != nil {
			t.Fatal(err)
		}
		if p.Change(f.name, f.bad) == nil {
			t.Errorf("%s %s is taken", f.name, f.bad)
		}
	}
	if *n != 3 || *s.TopK != 5 || *s.Temperature != 0.5 || *s.TopP != 0.9 {
		t.Errorf("n %d, sampling %+v", *n, s.Overrides)
	}
}

func TestTextThatLooksLikeAFlagIsTextBehindTwoDashes(t *testing.T) {
	run := program(func(p *Program, _ *SamplingFlags, _ *gemma4.SessionOptions, _ *ModelFlags) error {
		text, err := p.Input()
		fmt.Fprint(p.Out, text)
		return err
	})
	if out := run.Good(t, "", "--", "what does", "-temp", "do"); out != "what does -temp do" {
		t.Errorf("got %q", out)
	}
	if out := run.Good(t, "", "is", "-5", "negative"); out != "is -5 negative" {
		t.Errorf("got %q", out)
	}
	if out := run.Good(t, "from\x00stdin \xff\n"); out != "from\x00stdin \xff\n" {
		t.Errorf("standard input became %q", out)
	}
}

func TestHelpGoesToStandardOutputWithStatus0(t *testing.T) {
	out := program(idle).Good(t, "", "-help")
	for _, text := range []string{"usage: x test [flags]\n", "About.", "-cache format", "default f16", "-exact", "-threads number",
		"-seed number"} {
		if !strings.Contains(out, text) {
			t.Errorf("%q is missing in %s", text, out)
		}
	}
}

func TestOnlyFlagsThatAreSetChangeTheModelsSampling(t *testing.T) {
	advice := sampler.Options{Temperature: 0.7, TopK: 40, TopP: 0.9, MinP: 0.1, Suppress: []int32{7}}
	var got []sampler.Options
	run := program(func(_ *Program, s *SamplingFlags, o *gemma4.SessionOptions, m *ModelFlags) error {
		got = append(got, advice.With(s.Overrides))
		if o.Cache != gemma4.CacheQ8 || o.Context != 64 || o.Memory != 1500000 || m.Loader.Threads != 3 || !m.Loader.Exact ||
			m.Path != "x.gguf" {
			t.Errorf("session %+v, model %+v", o, m)
		}
		return nil
	})
	common := strings.Fields("-cache q8_0 -ctx 64 -memory 1.5MB -threads 3 -exact -m x.gguf")
	run.Good(t, "", append(common, strings.Fields("-temp 0 -seed 5 -typical 0.5 -frequency-penalty -1")...)...)
	run.Good(t, "", append(common, strings.Fields("-top-k 3 -top-p 1 -min-p 0 -repeat-penalty 1.5 -presence-penalty 2")...)...)
	run.Good(t, "", common...)
	a, b, c := got[0], got[1], got[2]
	if a.Temperature != 0 || a.Seed != 5 || a.Typical != 0.5 || a.FrequencyPenalty != -1 || a.TopK != 40 || a.TopP != 0.9 ||
		a.MinP != 0.1 || len(a.Suppress) != 1 {
		t.Errorf("got %+v", a)
	}
	if b.TopK != 3 || b.TopP != 1 || b.MinP != 0 || b.RepeatPenalty != 1.5 || b.PresencePenalty != 2 || b.Temperature != 0.7 {
		t.Errorf("got %+v", b)
	}
	if !reflect.DeepEqual(c, advice) {
		t.Errorf("without flags got %+v", c)
	}
}

func TestErrorsAreOneLineThatSteersNoTerminal(t *testing.T) {
	run := program(func(*Program, *SamplingFlags, *gemma4.SessionOptions, *ModelFlags) error {
		return errors.New("gemma4: first\nsecond \x1b[2Jthird")
	})
	if o := run.Call(""); o.Status != 1 || o.Errors != "x test: first second \uFFFD[2Jthird\n" {
		t.Errorf("status %d, %q", o.Status, o.Errors)
	}
}

func TestHowAProgramEndsIsItsStatus(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		errors string
	}{
		{nil, 0, ""},
		{errors.New("broken"), 1, "x test: broken\n"},
		{fmt.Errorf("reading: %w", context.Canceled), 130, ""},
		{&os.PathError{Op: "write", Path: "|1", Err: brokenPipe}, 1, ""},
		{Wrong("not so"), 2, "x test: not so\nusage: x test [flags]\nx test -h lists the flags\n"},
	} {
		o := program(func(*Program, *SamplingFlags, *gemma4.SessionOptions, *ModelFlags) error { return test.err }).Call("")
		if o.Status != test.status || o.Errors != test.errors {
			t.Errorf("%v: status %d, %q; want %d, %q", test.err, o.Status, o.Errors, test.status, test.errors)
		}
	}
}

func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	run := program(func(p *Program, _ *SamplingFlags, _ *gemma4.SessionOptions, _ *ModelFlags) error {
		fmt.Fprint(p.Out, "text")
		return nil
	})
	var errors bytes.Buffer
	if status := run(nil, strings.NewReader(""), clitest.Full{}, &errors); status != 1 || errors.String() != "x test: short write\n" {
		t.Errorf("status %d, %q", status, errors.String())
	}
}

// answer yields events as a conversation does, then err if that is not nil.
func answer(err error, events ...chat.Event) iter.Seq2[gemma4.Token, error] {
	return func(yield func(gemma4.Token, error) bool) {
		for _, e := range events {
			if !yield(gemma4.Token{Event: e}, nil) {
				return
			}
		}
		if err != nil {
			yield(gemma4.Token{}, err)
		}
	}
}

func TestAnswersKeepThoughtsTextAndCallsApart(t *testing.T) {
	thought := func(s string) chat.Event { return chat.Event{Kind: chat.Thought, Text: s} }
	text := func(s string) chat.Event { return chat.Event{Text: s} }
	call := chat.Event{Kind: chat.ToolCall, Call: &chat.Call{Name: "get_time", Arguments: []byte("{\n\"city\": \"<Oslo>\"}")}}
	mended := chat.Event{Kind: chat.ToolCall, Call: &chat.Call{Name: "f", Arguments: []byte(`{}`), Mended: true}}
	bad := chat.Event{Text: "call:get", Err: errors.New("chat: no name")}
	for _, test := range []struct {
		name     string
		thoughts bool
		events   []chat.Event
		err      error
		out      string
		errors   string
	}{
		{"text", true, []chat.Event{text("a"), {}, text("b")}, nil, "ab\n", ""},
		{"text that ends a line", true, []chat.Event{text("a\n")}, nil, "a\n", ""},
		{"nothing", true, []chat.Event{{}}, nil, "", ""},
		{"thought", true, []chat.Event{thought("so"), {}, thought(" so"), text("a")}, nil, "[thought] so so\na\n", ""},
		{"thought that ends a line", true, []chat.Event{thought("so\n"), text("a")}, nil, "[thought] so\na\n", ""},
		{"hidden thought", false, []chat.Event{thought("so"), text("a")}, nil, "a\n", ""},
		{"calls", true, []chat.Event{text("a"), call, call}, nil,
			"a\n" + strings.Repeat(`{"name":"get_time","arguments":{"city":"<Oslo>"}}`+"\n", 2), ""},
		{"mended call", true, []chat.Event{mended}, nil, `{"name":"f","arguments":{}}` + "\n",
			"x test: the next call left the format and has been mended\n"},
		{"malformed call", true, []chat.Event{bad}, nil, "call:get\n", "x test: chat: no name\n"},
		{"error on the way", true, []chat.Event{text("a")}, errors.New("broken"), "a\n", "broken"},
	} {
		var out, complaints bytes.Buffer
		p := New("x", Command{Name: "test"}, nil, &out, &complaints)
		calls, err := p.Answer(answer(test.err, test.events...), test.thoughts)
		if err != test.err || out.String() != test.out || err == nil && complaints.String() != test.errors {
			t.Errorf("%s: printed %q and %q, error %v; want %q and %q", test.name, out.String(), complaints.String(), err, test.out,
				test.errors)
		}
		if want := strings.Count(test.out, `"arguments"`); len(calls) != want {
			t.Errorf("%s: %d calls, want %d", test.name, len(calls), want)
		}
	}
}

func TestAnAnswerThatNobodyReadsStops(t *testing.T) {
	p := New("x", Command{Name: "test"}, nil, clitest.Full{}, io.Discard)
	n := 0
	_, err := p.Answer(func(yield func(gemma4.Token, error) bool) {
		for yield(gemma4.Token{Event: chat.Event{Text: "word "}}, nil) {
			n++
		}
	}, true)
	if !errors.Is(err, clitest.ErrFull) || n != 0 {
		t.Errorf("after %d tokens: %v", n, err)
	}
}

func TestIDsAreReadInAllTheirForms(t *testing.T) {
	for _, text := range []string{"2,105,7", "2 105\n7\n", "[2,105,7]\n", "[2, 105, 7]", " 2 ,\t105,,7,"} {
		if ids, err := ParseIDs(text, 106); err != nil || fmt.Sprint(ids) != "[2 105 7]" {
			t.Errorf("%q: %v, %v", text, ids, err)
		}
	}
	for text, want := range map[string]string{
		"2,106":        "token 1 is 106, which is outside the vocabulary of 106",
		"-1":           "token 0 is -1",
		"2,x":          `token 1 is "x"`,
		"4294967298":   `"4294967298"`,
		"[1,2":         `"[1"`,
		"[[1]]":        `"[1]"`,
		"1.0":          `"1.0"`,
		"2\x002":       `"2\x002"`,
		"1 2 3 \u00e9": `token 3 is "é"`,
	} {
		if _, err := ParseIDs(text, 106); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestBytesAreWrittenForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 4500000: "4.5 MB", 818000000: "0.82 GB",
		15e9: "15.00 GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestFilesAndTheNullDeviceAreNoTerminals(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if IsTerminal(null) || IsTerminal(strings.NewReader("")) || IsTerminal(nil) {
		t.Error("taken for a terminal")
	}
}
