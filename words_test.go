package gemma4

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTranslationsAreReadFromAnyAnswer(t *testing.T) {
	for text, want := range map[string][2]string{
		"Guten Tag.\nEnglish: Good day.":            {"Guten Tag.", "Good day."},
		"Guten Tag. English: Good day.":             {"Guten Tag.", "Good day."},
		"Guten Tag.\n\nEnglish:\nGood day.\nWell.":  {"Guten Tag.", "Good day.\nWell."},
		"Sprichst du English: ja\nEnglish: Do you?": {"Sprichst du English: ja", "Do you?"},
		"Guten Tag.\nGood day.":                     {"Guten Tag.", "Good day."},
		"Guten Tag.":                                {"Guten Tag.", ""},
		"English: Good day.":                        {"", "Good day."},
		"English:":                                  {"", ""},
		"":                                          {"", ""},
		"\xff\nEnglish: \xff":                       {"\xff", "\xff"},
	} {
		if a, b := translated(text, "English"); a != want[0] || b != want[1] {
			t.Errorf("%q: %q, %q", text, a, b)
		}
		if a, b := translated(text, ""); a != text || b != "" {
			t.Errorf("%q, not translated: %q, %q", text, a, b)
		}
	}
}

func TestLoopsAreSaidOnce(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"no no no":                    "no no no",
		"well no no no no no":         "well no",
		"I say, thank you. Thank you": "I say, thank you. Thank you",
		"so " + strings.Repeat("thank you very much ", 9): "so thank you very much",
		"a b a b a b a b a":  "a b",
		"no no no no but so": "no no no no but so",
	} {
		got := unlooped(text)
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWordsThatTwoCaptionsAgreeOn(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"", "", ""}, {"", "one", ""}, {"one", "one", "one"}, {"one two", "one two three", "one two"},
		{"one two", "one twofold", "one"}, {"one twofold", "one two", "one"}, {" two three", " two four", " two"},
		{"dry", "dry?", ""}, {"is dry", "is dry?", "is"}, {"is dry?", "is dry? No", "is dry?"},
		{"你好世界", "你好吗", "你好"}, {"今天好。", "今天好。明", "今天好。"}, {"é", "è", ""}, {"\xffa b", "\xffa c", "\xffa"},
	} {
		if got := c.a[:agreed(c.a, c.b)]; got != c.want {
			t.Errorf("%q and %q agree on %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

func FuzzAgreedWordsAreInBoth(f *testing.F) {
	f.Add("one two", "one twofold")
	f.Add("你好\xff", "你好")
	f.Fuzz(func(t *testing.T, a, b string) {
		if n := agreed(a, b); n > len(a) || !strings.HasPrefix(b, a[:n]) {
			t.Errorf("%q and %q agree on %d bytes", a, b, n)
		}
		for _, line := range wrapped(a) {
			if strings.TrimSpace(line) == "" {
				t.Errorf("%q has an empty line", a)
			}
		}
		if got, want := strings.Join(wrapped(a), ""), strings.Join(strings.Fields(a), ""); strings.ReplaceAll(got, " ", "") != want {
			t.Errorf("%q is %q", a, got)
		}
		translated(a, b)
		unlooped(a)
	})
}

var subtitles = []Segment{
	{From: 0, To: 1500 * time.Millisecond, Text: "What is <b>dry</b> & what --> wet?"},
	{From: 2 * time.Second, To: 3 * time.Second},
	{From: time.Hour + 61*time.Second, To: 100*time.Hour + 999*time.Millisecond + 999*time.Microsecond, Text: "eins\n\n2\n",
		Translation: "{\\an8}one\r\n\r\ntwo"},
	{From: 10 * time.Second, To: 20 * time.Second,
		Text: "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"},
	{From: 30 * time.Second, To: 31 * time.Second, Text: strings.Repeat("x", 50) + " " + strings.Repeat("天", 45)},
}

func TestSubtitles(t *testing.T) {
	const srt = "1\n00:00:00,000 --> 00:00:01,500\nWhat is <\u2060b>dry<\u2060/b> & what → wet?\n\n" +
		"2\n01:01:01,000 --> 100:00:00,999\n{\u2060\\an8}one two\n\n" +
		"3\n00:00:10,000 --> 00:00:16,991\none two three four five six seven eight\nnine ten eleven twelve thirteen fourteen\n\n" +
		"4\n00:00:16,991 --> 00:00:20,000\nfifteen sixteen seventeen eighteen\n\n" +
		"5\n00:00:30,000 --> 00:00:30,968\nXX\n天42\n\n6\n00:00:30,968 --> 00:00:31,000\n天天天\n\n"
	want := strings.NewReplacer("XX", strings.Repeat("x", 50), "天42", strings.Repeat("天", 42)).Replace(srt)
	if got := SRT(subtitles); got != want {
		t.Errorf("SRT:\n%s\nwant:\n%s", got, want)
	}
	const vtt = "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nWhat is &lt;b&gt;dry&lt;/b&gt; &amp; what --&gt; wet?\n\n" +
		"01:01:01.000 --> 100:00:00.999\n{\\an8}one two\n\n"
	if got := VTT(subtitles[:3]); got != vtt {
		t.Errorf("VTT:\n%s\nwant:\n%s", got, vtt)
	}
	if SRT(nil) != "" || VTT(nil) != "WEBVTT\n\n" {
		t.Errorf("of nothing: %q, %q", SRT(nil), VTT(nil))
	}
}

// TestTranscriptionsAreAskedForAsTheMakerDoes.
func TestTranscriptionsAreAskedForAsTheMakerDoes(t *testing.T) {
	const form = "Follow these specific instructions for formatting the answer:\n* Only output the transcription, with no newlines.\n" +
		"* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of three."
	for _, c := range []struct {
		o    TranscribeOptions
		want string
	}{
		{TranscribeOptions{}, "Transcribe the following speech segment in its original language. " + form},
		{TranscribeOptions{Language: "German"}, "Transcribe the following speech segment in German into German text.\n\n" + form},
		{TranscribeOptions{Language: "German", Into: "French"}, "Transcribe the following speech segment in German, then translate it " +
			"into French.\nWhen formatting the answer, first output the transcription in German, then one newline, then output " +
			"the string 'French: ', then the translation in French."},
		{TranscribeOptions{Language: "German", Into: "French", Prompt: "Transcribe."}, "Transcribe."},
	} {
		if got := c.o.prompt(); got != c.want {
			t.Errorf("%+v:\n%s\nwant\n%s", c.o, got, c.want)
		}
	}
}

func TestPiecesAreAsLongAsIsWanted(t *testing.T) {
	for longest, want := range map[time.Duration]int{
		0: 480000, -1: 480000, time.Millisecond: 16000, 7 * time.Second: 112000, time.Minute: 480000, 1<<63 - 1: 480000,
	} {
		if got := (TranscribeOptions{Longest: longest}).longest(); got != want {
			t.Errorf("%v: %d, want %d", longest, got, want)
		}
	}
	if all := (TranscribeOptions{}).Speeches(slices.Repeat([]float32{0}, 1e6)); len(all) != 0 {
		t.Errorf("silence: %d pieces", len(all))
	}
}
