package server

import (
	"bytes"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/media/sound"
)

// speechBody returns a body of multipart/form-data and its type: fields "name: value", and a file if data is not nil.
func speechBody(t testing.TB, name string, data []byte, fields ...string) (body, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i, f := range fields {
		if i == 1 && data != nil { // among the fields, wherever
			part, err := w.CreateFormFile("file", name)
			if err != nil {
				t.Fatal(err)
			}
			part.Write(data)
		}
		field, value, _ := strings.Cut(f, ": ")
		if err := w.WriteField(field, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// transcribe posts a form.
func transcribe(t testing.TB, url, name string, data []byte, fields ...string) (int, string) {
	t.Helper()
	body, kind := speechBody(t, name, data, fields...)
	return post(t, url, body, "Content-Type: "+kind)
}

// nanoInstruction is how nano has learned to be asked.
const nanoInstruction = "instruction: Transcribe."

// spokenClip returns a question that somebody speaks, twice, with silence between, and what nano makes of it.
func spokenClip(t testing.TB, m *gemma4.Model) (data []byte, segments []gemma4.Segment) {
	t.Helper()
	one, err := os.ReadFile(filepath.Join(mediaFolder, "sound-1.wav"))
	if err != nil {
		t.Fatal(err)
	}
	clip, err := sound.Read(bytes.NewReader(one), sound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := gemma4.TranscribeOptions{Prompt: "Transcribe."}
	if segments, err = gemma4.Segments(m.Transcribe(t.Context(), clip.Samples, o)); err != nil || len(segments) != 1 {
		t.Fatalf("%v, %v", segments, err)
	}
	return one, segments
}

// TestSpeechIsWrittenDown in every form, as the model does it by itself, and as a stream.
func TestSpeechIsWrittenDown(t *testing.T) {
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 2}})
	data, want := spokenClip(t, s.m)
	url += "/v1/audio/transcriptions"
	for format, text := range map[string]string{"text": want[0].Text + "\n", "srt": gemma4.SRT(want), "vtt": gemma4.VTT(want)} {
		status, got := transcribe(t, url, "a.mp3", data, "model: whisper-1", "response_format: "+format, nanoInstruction)
		if status != 200 || got != text {
			t.Errorf("%s: %d %q, want %q", format, status, got, text)
		}
	}
	var all strings.Builder
	for _, fields := range [][]string{
		{"language: en", "temperature: 0", "prompt: Paris, Rome"},
		{"response_format: verbose_json", "language: English", "timestamp_granularities[]: segment"},
		{"stream: true", "chunking_strategy: auto"},
	} {
		status, got := transcribe(t, url, "a.wav", data, append(fields, nanoInstruction)...)
		if status != 200 || !strings.Contains(got, want[0].Text) {
			t.Errorf("%q: %d %s", fields, status, got)
		}
		all.WriteString(strings.Join(fields, ", ") + "\n" + got)
	}
	checkGolden(t, "transcriptions", all.String())
	silence := func() []byte { // a WAV of a second
		b := append([]byte{}, data[:44]...)
		return append(b, make([]byte, len(data)-44)...)
	}()
	if status, got := transcribe(t, url, "a.wav", silence, "response_format: text", nanoInstruction); status != 200 || got != "\n" {
		t.Errorf("silence: %d %q", status, got)
	}
	if len(s.sounds)+len(s.large)+len(s.decoding) > 0 || s.q.Stats().Running > 0 {
		t.Error("something is held")
	}
}

// TestTranslationsSayWhatIsSaid in English; nano, which knows no such task, says something.
func TestTranslationsSayWhatIsSaid(t *testing.T) {
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 1}})
	data, _ := spokenClip(t, s.m)
	status, got := transcribe(t, url+"/v1/audio/translations", "a.wav", data, "model: x", "response_format: verbose_json")
	if status != 200 || fields(t, got)["task"] != "translate" {
		t.Errorf("%d %s", status, got)
	}
}

// TestWrongFormsAreTold in the shape of OpenAI's errors.
func TestWrongFormsAreTold(t *testing.T) {
	s, base := serve(t, Options{Strict: true, Queue: gemma4.QueueOptions{Context: 128, Slots: 1}})
	url := base + "/audio/transcriptions"
	data, _ := spokenClip(t, s.m)
	picture, err := base64.StdEncoding.DecodeString(questions(t)[0].data)
	if err != nil {
		t.Fatal(err)
	}
	ours := "model: " + s.name()
	for _, c := range []struct {
		name   string
		data   []byte
		fields []string
		status int
		param  string
		want   string
	}{
		{"no file", nil, []string{ours}, 400, "file", "file is missing"},
		{"empty", []byte{}, []string{ours, "a: b"}, 400, "file", "empty"},
		{"picture", picture, []string{ours, "a: b"}, 400, "file", "no format of sound"},
		{"AAC", []byte("\xff\xf1\x50\x80\x02\x1f\xfc"), []string{ours, "a: b"}, 400, "file", "ffmpeg -i a.wav"},
		{"cut", data[:30], []string{ours, "a: b"}, 400, "file", "WAV"},
		{"model", data, []string{"model: y", "a: b"}, 404, "model", "there is no model"},
		{"format", data, []string{ours, "response_format: xml"}, 400, "response_format", "expected one of"},
		{"language", data, []string{ours, "language: xx"}, 400, "language", "ISO 639-1"},
		{"temperature", data, []string{ours, "temperature: NaN"}, 400, "temperature", "from 0 to 2"},
		{"stream", data, []string{ours, "stream: maybe"}, 400, "stream", "true or false"},
		{"stream of SRT", data, []string{ours, "stream: true", "response_format: srt"}, 400, "stream", "json or text"},
		{"words", data, []string{ours, "timestamp_granularities[]: word"}, 400, "timestamp_granularities", "not known"},
		{"logprobs", data, []string{ours, "include[]: logprobs"}, 400, "include", "not supported"},
		{"long", data, []string{ours, "prompt: " + strings.Repeat("x", mostField+1)}, 400, "prompt", "longer than"},
		{"many", data, append(strings.Split(strings.Repeat("a: b,", mostFields), ","), ours), 400, "", "more than 64 fields"},
		{"context", data, []string{ours, "a: b"}, 400, "file", "does not fit the context"},
	} {
		status, text := transcribe(t, url, "a.wav", c.data, c.fields...)
		e, _ := fields(t, text)["error"].(map[string]any)
		param, _ := e["param"].(string)
		if status != c.status || param != c.param || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, want %d, param %q, %q", c.name, status, text, c.status, c.param, c.want)
		}
	}
	for kind, want := range map[string]string{"application/json": "expected multipart/form-data", "multipart/form-data": "boundary",
		"multipart/form-data; boundary=x": "no multipart/form-data"} {
		if status, text := post(t, url, `{"file":"x"}`, "Content-Type: "+kind); status != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", kind, status, text)
		}
	}
	body, kind := speechBody(t, "a.wav", data, ours, "a: b")
	if status, text := post(t, url, body[:len(body)/2], "Content-Type: "+kind); status != 400 || fields(t, text)["error"] == nil {
		t.Errorf("half of a form: %d %s", status, text)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := do(t, r); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	if s.Stats().Requests != 0 || len(s.sounds)+len(s.large)+len(s.decoding) > 0 {
		t.Error("something reached the model, or is held")
	}
}
