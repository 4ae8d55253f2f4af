package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gogemma/gemma4/internal/wait"
	"github.com/gogemma/gemma4/media/sound"
)

const (
	mostFields = 64       // of a form,
	mostField  = 64 << 10 // each of so many bytes
	mostSound  = time.Hour
)

// speechForm is the body of POST /v1/audio/transcriptions and translations: multipart/form-data.
type speechForm struct {
	samples     []float32
	model       string
	language    string // what is spoken, by its English name; empty: whatever it is
	prompt      string // what came before, or words that occur
	instruction string // in place of what the model is told to do otherwise
	format      string
	temperature *float64
	stream      bool
}

// speechFormats are how what was said may be written down.
var speechFormats = []string{"json", "text", "srt", "vtt", "verbose_json"}

// speech reads the form. Its file is decoded on the way, so that its sound is all that is kept.
func (c *call) speech() (f speechForm, err error) {
	if err := c.s.lacks("file", "audio"); err != nil {
		return f, err
	}
	kind, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return f, bad("Content-Type", "header Content-Type is %.60q, expected multipart/form-data with a boundary",
			c.r.Header.Get("Content-Type"))
	}
	body, err := c.body()
	if err != nil {
		return f, err
	}
	defer c.small()
	f.format = "json"
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for n := 0; ; n++ {
		p, err := parts.NextRawPart()
		switch {
		case err == io.EOF && f.samples == nil:
			return f, bad("file", "file is missing: the sound, as a file of the form")
		case err == io.EOF:
			return f, f.check()
		case err != nil:
			return f, bad("", "the body is no multipart/form-data: %v", err)
		case n == mostFields:
			return f, bad("", "the form has more than %d fields", mostFields)
		}
		if p.FormName() == "file" {
			err = f.file(c, p)
		} else {
			err = f.field(p)
		}
		if err != nil {
			return f, err
		}
	}
}

// file decodes the file.
func (f *speechForm) file(c *call, p *multipart.Part) error {
	if f.samples != nil {
		return bad("file", "file is there twice: expected one")
	}
	if err := wait.Turn(c.ctx, c.s.decoding); err != nil {
		return err
	}
	defer func() { <-c.s.decoding }()
	clip, err := sound.Read(p, sound.Options{Name: p.FileName(), MaxDuration: mostSound})
	if err != nil {
		f := bad("file", "file: %v", err)
		if u := (*sound.Unsupported)(nil); errors.As(err, &u) {
			f.code = "unsupported"
		}
		if errors.Is(err, sound.ErrTooLarge) {
			f.status, f.code = http.StatusRequestEntityTooLarge, "too_large"
		}
		return f
	}
	f.samples = clip.Samples
	return nil
}

// field reads a field that is text. Those that are not known are ignored.
func (f *speechForm) field(p *multipart.Part) (err error) {
	name := strings.TrimSuffix(p.FormName(), "[]")
	text, err := io.ReadAll(io.LimitReader(p, mostField+1))
	switch {
	case err != nil:
		return bad(name, "%.60s: the form ends too early: %v", name, err)
	case len(text) > mostField:
		return bad(name, "%.60s is longer than %d bytes", name, mostField)
	}
	value := strings.ToValidUTF8(string(text), "\uFFFD")
	switch name {
	case "model":
		f.model = value
	case "language":
		f.language, err = languageOf(value)
	case "prompt":
		f.prompt = value
	case "instruction":
		f.instruction = value
	case "response_format":
		if f.format = value; !slices.Contains(speechFormats, value) {
			err = bad(name, "response_format is %.60q, expected one of %s", value, strings.Join(speechFormats, ", "))
		}
	case "temperature":
		t, wrong := strconv.ParseFloat(value, 64)
		if f.temperature = &t; wrong != nil || !(t >= 0 && t <= 2) {
			err = bad(name, "temperature is %.60q, expected a number from 0 to 2", value)
		}
	case "stream":
		if f.stream, err = strconv.ParseBool(value); err != nil {
			err = bad(name, "stream is %.60q, expected true or false", value)
		}
	case "timestamp_granularities":
		if value != "segment" {
			err = unsupported(name, "timestamp_granularities: %.60q, expected segment: when a word was said is not known", value)
		}
	case "include":
		err = unsupported(name, "include: %.60q is not supported by this server", value)
	}
	return err
}

// check reports what of the form does not go together.
func (f *speechForm) check() error {
	if f.stream && f.format != "json" && f.format != "text" {
		return bad("stream", "stream: a stream is in the format json or text, not %s", f.format)
	}
	return nil
}

// languageOf returns the English name of a language, given by that or its code in ISO 639-1.
func languageOf(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	code, _, _ := strings.Cut(strings.ToLower(text), "-") // en-US
	for _, line := range strings.Fields(languages) {
		if short, name, _ := strings.Cut(line, ":"); short == code || strings.EqualFold(name, text) {
			return name, nil
		}
	}
	return "", bad("language", "language is %.60q, expected a code of ISO 639-1 such as en, or an English name such as German", text)
}

// languages are those that such models are asked for, by their codes.
const languages = `af:Afrikaans am:Amharic ar:Arabic az:Azerbaijani be:Belarusian bg:Bulgarian bn:Bengali bs:Bosnian ca:Catalan cs:Czech
cy:Welsh da:Danish de:German el:Greek en:English es:Spanish et:Estonian eu:Basque fa:Persian fi:Finnish fr:French ga:Irish gl:Galician
gu:Gujarati ha:Hausa he:Hebrew hi:Hindi hr:Croatian hu:Hungarian hy:Armenian id:Indonesian ig:Igbo is:Icelandic it:Italian ja:Japanese
jv:Javanese ka:Georgian kk:Kazakh km:Khmer kn:Kannada ko:Korean ky:Kyrgyz lo:Lao lt:Lithuanian lv:Latvian mk:Macedonian ml:Malayalam
mn:Mongolian mr:Marathi ms:Malay mt:Maltese my:Burmese ne:Nepali nl:Dutch no:Norwegian pa:Punjabi pl:Polish ps:Pashto pt:Portuguese
ro:Romanian ru:Russian sd:Sindhi si:Sinhala sk:Slovak sl:Slovenian so:Somali sq:Albanian sr:Serbian sv:Swedish sw:Swahili ta:Tamil
te:Telugu th:Thai tl:Tagalog tr:Turkish uk:Ukrainian ur:Urdu uz:Uzbek vi:Vietnamese yo:Yoruba zh:Chinese zu:Zulu`

// question returns what the model is told, which was so far what it is told to do: with the words that the form has for it.
func (f *speechForm) question(told string) string {
	if f.prompt == "" || f.instruction != "" {
		return told
	}
	return fmt.Sprintf("%s\n* This was said before, or shows how words are written: %s", told, f.prompt)
}
