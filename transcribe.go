package gemma4

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/pause"
)

// TranscribeOptions say how speech is written down. The zero value is a good choice.
type TranscribeOptions struct {
	SessionOptions
	// GenerateOptions hold for each piece. Without a Temperature the most likely text is written, without MaxTokens as much as somebody can
	// say in that time, and loops are always guarded against.
	GenerateOptions
	// Language is what is spoken, by its English name, such as "German"; empty: whatever it is.
	Language string
	// Into is a language to translate into as well, by its English name.
	Into string
	// Prompt is said before the sound in place of the maker's words, which say the above.
	Prompt string
	// Longest is how long a piece may be that is transcribed by itself, from a second to 30; 0: 30 s. Subtitles have better times where it
	// is less, and models write better where it is more.
	Longest time.Duration
}

// Segment is a piece of speech that was written down.
type Segment struct {
	From, To    time.Duration // from the beginning of the sound
	Text        string
	Translation string // if one was wanted
	Tentative   string // of [Captions], behind Text: what may change still
	Final       bool   // nothing changes any more
	Reason      Reason // why the model has ended: ReasonEnd, unless something is wrong
}

// Speech is a piece of a sound that is to be written down, by itself and at the same time as others, if that is wanted.
type Speech struct {
	From, To time.Duration // from the beginning of the sound
	Request  Request       // for a [Queue]
	into     string
}

// prompt returns what is said before the sound, in its maker's words.
func (o TranscribeOptions) prompt() string {
	source := o.Language
	if source == "" {
		source = "its original language"
	}
	switch {
	case o.Prompt != "":
		return o.Prompt
	case o.Into != "":
		return fmt.Sprintf("Transcribe the following speech segment in %s, then translate it into %s.\nWhen formatting the answer, first "+
			"output the transcription in %s, then one newline, then output the string '%s: ', then the translation in %s.", source, o.Into,
			source, o.Into, o.Into)
	case o.Language != "":
		return fmt.Sprintf("Transcribe the following speech segment in %s into %s text.\n\n", source, source) + transcribeForm
	}
	return "Transcribe the following speech segment in its original language. " + transcribeForm
}

const transcribeForm = `Follow these specific instructions for formatting the answer:
* Only output the transcription, with no newlines.
* When transcribing numbers, write the digits, i.e. write 1.7 and not one point seven, and write 3 instead of three.`

// longest returns how many samples a piece may have.
func (o TranscribeOptions) longest() int {
	if o.Longest <= 0 {
		return longestSound
	}
	return int(min(max(o.Longest, time.Second), longestSound*time.Second/SampleRate) * SampleRate / time.Second)
}

// generate returns the options for a piece of so many samples.
func (o TranscribeOptions) generate(samples int) GenerateOptions {
	const each = 16 // tokens a second, in any language
	g := o.GenerateOptions
	g.RepeatGuard = true
	if g.Sampling.Temperature == nil {
		g.Sampling.Temperature = new(0.0)
	}
	if g.MaxTokens == 0 {
		g.MaxTokens = 4*each + each*samples/SampleRate
		if o.Into != "" {
			g.MaxTokens *= 2
		}
	}
	return g
}

// Speeches cuts a sound at pauses into pieces that can be written down each by itself, such as all at once by a [Queue]. Pieces in which
// nobody speaks are left out.
//
//	for _, s := range o.Speeches(samples) {
//		pieces, err := q.Submit(ctx, s.Request)
//		choices, err := gemma4.CollectChoices(pieces)
//		segments = append(segments, s.Segment(choices[0]))
//	}
func (o TranscribeOptions) Speeches(samples []float32) (all []Speech) {
	for _, span := range pause.Split(samples, o.longest()) {
		piece := samples[span[0]:span[1]]
		if !pause.Spoken(piece) {
			continue
		}
		all = append(all, Speech{From: timeOf(span[0]), To: timeOf(span[1]), into: o.Into, Request: Request{
			ChatOptions: ChatOptions{SessionOptions: o.SessionOptions, GenerateOptions: o.generate(len(piece))},
			Messages:    []chat.Message{{Role: "user", Parts: []chat.Part{chat.TextPart(o.prompt()), chat.AudioPart(piece)}}},
		}})
	}
	return all
}

// Segment returns what the answer to the request says.
func (s Speech) Segment(answer Choice) Segment {
	text := strings.TrimSpace(answer.Message.Content)
	if r := answer.Result.Reason; r == ReasonRepeat || r == ReasonLength {
		text = unlooped(text)
	}
	x := Segment{From: s.From, To: s.To, Final: true, Reason: answer.Result.Reason}
	x.Text, x.Translation = translated(text, s.into)
	return x
}

// translated returns the transcription and the translation that a text in the maker's form has. Any other text is a transcription.
func translated(text, into string) (transcription, translation string) {
	if into == "" {
		return text, ""
	}
	at, name := strings.LastIndex(text, into+":"), into+":"
	if at < 0 {
		at, name = strings.IndexByte(text, '\n'), "\n"
	}
	if at < 0 {
		return text, ""
	}
	return strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+len(name):])
}

// unlooped returns a text that was cut off without the loop that it ends in: words, said four times or more, are said once.
func unlooped(text string) string {
	words := strings.Fields(text)
	n := len(words)
	for period := 1; 4*period <= n; period++ {
		same := 0
		for same < n-period && words[n-1-same] == words[n-1-same-period] {
			same++
		}
		if same >= 3*period {
			return strings.Join(words[:n-same], " ")
		}
	}
	return text
}

// Transcribe writes down what is said in a sound of any length, 16,000 samples a second, piece by piece: it is cut at pauses, and pieces in
// which nobody speaks are left out.
//
//	for segment, err := range m.Transcribe(ctx, samples, gemma4.TranscribeOptions{}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(segment.From, segment.Text)
//	}
//
// The models know the words, not when each was said, and not who speaks. A piece whose text ends in a loop, which happens where there is
// no speech but noise, has it once, and a Reason other than ReasonEnd. [Segments] collects them, [SRT] and [VTT] make subtitles.
func (m *Model) Transcribe(ctx context.Context, samples []float32, o TranscribeOptions) iter.Seq2[Segment, error] {
	return func(yield func(Segment, error) bool) {
		if _, err := m.ears(); err != nil {
			yield(Segment{}, fmt.Errorf("gemma4: to transcribe: %w", err))
			return
		}
		c, err := m.NewChat(ChatOptions{SessionOptions: o.SessionOptions, GenerateOptions: o.generate(0)})
		if err != nil {
			yield(Segment{}, err)
			return
		}
		defer c.Close()
		for _, s := range o.Speeches(samples) {
			c.Messages, c.Options.GenerateOptions = nil, s.Request.GenerateOptions
			message, err := Collect(c.Send(ctx, s.Request.Messages...))
			if !yield(s.Segment(Choice{message, c.Result()}), err) || err != nil {
				return
			}
		}
	}
}

// Translate is [Model.Transcribe] that also translates into a language, given by its English name: Segment.Translation. Models do better
// where Language is known.
func (m *Model) Translate(ctx context.Context, samples []float32, into string, o TranscribeOptions) iter.Seq2[Segment, error] {
	o.Into = into
	return m.Transcribe(ctx, samples, o)
}

// Segments collects segments, up to an error.
func Segments(segments iter.Seq2[Segment, error]) (all []Segment, err error) {
	for s, failed := range segments {
		if err = failed; err != nil {
			break
		}
		all = append(all, s)
	}
	return slices.Clip(all), err
}
