package clients

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/server"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

const capital, paris = "What is the capital of France?", "The capital of France is Paris."

// serve returns OpenAI's client of a server with nano, and the server's address.
func serve(t *testing.T, o server.Options) (openai.Client, string) {
	t.Helper()
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); h.Close(); m.Close() })
	return openai.NewClient(option.WithBaseURL(h.URL+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0)), h.URL
}

func ask(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: "nano", Temperature: openai.Float(0),
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

// object is the schema of an object with integers by the names given.
func object(names ...string) map[string]any {
	properties := map[string]any{}
	for _, name := range names {
		properties[name] = map[string]any{"type": "integer"}
	}
	return map[string]any{"type": "object", "properties": properties, "required": names, "additionalProperties": false}
}

var multiply = openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
	Name: "multiply", Parameters: object("a", "b"), Strict: openai.Bool(true),
})

func TestOpenAIChats(t *testing.T) {
	c, _ := serve(t, server.Options{})
	answer, err := c.Chat.Completions.New(t.Context(), ask(capital))
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.Choices[0]; got.Message.Content != paris || got.FinishReason != "stop" || answer.Usage.TotalTokens == 0 {
		t.Errorf("%s", answer.RawJSON())
	}
}

func TestOpenAIPredicts(t *testing.T) {
	c, _ := serve(t, server.Options{Draft: gemma4.Draft{Always: true, Alone: true}})
	question := ask("Make JSON: Olga is 44 years old and lives in Rome.")
	plain, err := c.Chat.Completions.New(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	want := plain.Choices[0].Message.Content
	question.Prediction = openai.ChatCompletionPredictionContentParam{
		Content: openai.ChatCompletionPredictionContentContentUnionParam{OfString: openai.String(want)},
	}
	answer, err := c.Chat.Completions.New(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	if d := answer.Usage.CompletionTokensDetails; answer.Choices[0].Message.Content != want || d.AcceptedPredictionTokens == 0 ||
		!d.JSON.RejectedPredictionTokens.Valid() || plain.Usage.CompletionTokensDetails.AcceptedPredictionTokens != 0 {
		t.Errorf("%s", answer.RawJSON())
	}
}

// mediaFile reads a file that comes with nano.
func mediaFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../nano/testdata/media/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOpenAISees(t *testing.T) {
	c, _ := serve(t, server.Options{})
	p := ask("")
	p.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
		openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{
			URL: "data:image/png;base64," + base64.StdEncoding.EncodeToString(mediaFile(t, "picture-4.png")), Detail: "low"}),
		openai.TextContentPart("What do you see?"),
	})}
	answer, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.Choices[0].Message.Content; got != "A blue triangle." {
		t.Errorf("%q", got)
	}
}

func TestOpenAITranscribes(t *testing.T) {
	c, _ := serve(t, server.Options{})
	p := openai.AudioTranscriptionNewParams{Model: "nano",
		File: openai.File(bytes.NewReader(mediaFile(t, "sound-1.wav")), "a.wav", "audio/wav")}
	p.SetExtraFields(map[string]any{"instruction": "Transcribe."})
	answer, err := c.Audio.Transcriptions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Text != "What is the opposite of dry?" {
		t.Errorf("%s", answer.RawJSON())
	}
}

func TestOpenAIAccumulatesAStream(t *testing.T) {
	c, _ := serve(t, server.Options{})
	for text, want := range map[string]string{capital: paris, "What is 12 times 7? Use the tool.": ""} {
		p := ask(text)
		if want == "" {
			p.Tools = []openai.ChatCompletionToolUnionParam{multiply}
		}
		p.StreamOptions.IncludeUsage = openai.Bool(true)
		whole, err := c.Chat.Completions.New(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		stream := c.Chat.Completions.NewStreaming(t.Context(), p)
		var all openai.ChatCompletionAccumulator
		for stream.Next() {
			if !all.AddChunk(stream.Current()) {
				t.Fatalf("a chunk that does not belong: %s", stream.Current().RawJSON())
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		got, other := all.Choices[0], whole.Choices[0]
		if got.Message.Content != want || other.Message.Content != want || got.FinishReason != other.FinishReason ||
			all.Usage.CompletionTokens != whole.Usage.CompletionTokens || len(got.Message.ToolCalls) != len(other.Message.ToolCalls) {
			t.Errorf("streamed %+v, whole %s", got.Message, whole.RawJSON())
		}
		for i, call := range got.Message.ToolCalls {
			if f, g := call.Function, other.Message.ToolCalls[i].Function; f.Name != g.Name || f.Arguments != g.Arguments {
				t.Errorf("streamed %+v, whole %+v", f, g)
			}
		}
	}
}

func TestOpenAICallsGoRound(t *testing.T) {
	c, _ := serve(t, server.Options{})
	p := ask("What is 12 times 7? Use the tool.")
	p.Tools = []openai.ChatCompletionToolUnionParam{multiply}
	first, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	m := first.Choices[0].Message
	var arguments struct{ A, B int }
	if len(m.ToolCalls) != 1 {
		t.Fatal(first.RawJSON())
	}
	if err := json.Unmarshal([]byte(m.ToolCalls[0].Function.Arguments), &arguments); err != nil || arguments.A*arguments.B != 84 {
		t.Fatal(err, first.RawJSON())
	}
	p.Messages = append(p.Messages, m.ToParam(), openai.ToolMessage("84", m.ToolCalls[0].ID))
	second, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil || !strings.Contains(second.Choices[0].Message.Content, "84") {
		t.Error(err, second.RawJSON())
	}
}

func TestOpenAIObeysASchema(t *testing.T) {
	c, _ := serve(t, server.Options{})
	p := ask("Which numbers?")
	p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "numbers", Strict: openai.Bool(true), Schema: object("first", "second")}}
	p.MaxTokens = openai.Int(40)
	answer, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]*big.Int // the schema allows any integers, and nano is in no hurry to end one
	if err := json.Unmarshal([]byte(answer.Choices[0].Message.Content), &got); err != nil || len(got) != 2 {
		t.Error(err, answer.RawJSON())
	}
}

func TestOpenAIReadsLogprobs(t *testing.T) {
	c, _ := serve(t, server.Options{})
	p := ask(capital)
	p.Logprobs, p.TopLogprobs = openai.Bool(true), openai.Int(2)
	answer, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, tok := range answer.Choices[0].Logprobs.Content {
		text += tok.Token
		if len(tok.TopLogprobs) != 2 || tok.TopLogprobs[0].Logprob < tok.TopLogprobs[1].Logprob {
			t.Errorf("%s", tok.RawJSON())
		}
	}
	if text != paris {
		t.Errorf("%q", text)
	}
}

func TestOpenAIEmbeds(t *testing.T) {
	c, _ := serve(t, server.Options{})
	answer, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "nano",
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"Paris", "Rome"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Data) != 2 || len(answer.Data[0].Embedding) == 0 || len(answer.Data[0].Embedding) != len(answer.Data[1].Embedding) {
		t.Error(answer.RawJSON())
	}
}

func TestOpenAIIsToldWhatIsWrong(t *testing.T) {
	c, url := serve(t, server.Options{Keys: []string{"none"}, Queue: gemma4.QueueOptions{Slots: 1, Waiting: -1}})
	fails := func(name string, err error, status int, code string) {
		t.Helper()
		var e *openai.Error
		if !errors.As(err, &e) || e.StatusCode != status || e.Code != code {
			t.Errorf("%s: %v, expected status %d and code %q", name, err, status, code)
		}
	}
	stranger := openai.NewClient(option.WithBaseURL(url+"/v1"), option.WithAPIKey("wrong"), option.WithMaxRetries(0))
	_, err := stranger.Models.List(t.Context())
	fails("a wrong key", err, 401, "invalid_api_key")
	_, err = c.Chat.Completions.New(t.Context(), ask(strings.Repeat("word ", 40000)))
	fails("a long prompt", err, 400, "context_length_exceeded")

	p := ask("Go on.")
	p.MaxTokens, p.Temperature = openai.Int(100000), openai.Float(1)
	stream := c.Chat.Completions.NewStreaming(t.Context(), p)
	defer stream.Close()
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	// The slot is taken from the moment of acceptance until the stream has ended, and it has 100000 tokens to come, or the model's context.
	if _, err = c.Chat.Completions.New(t.Context(), ask(capital)); err != nil {
		fails("a full queue", err, 429, "queue_full")
	}
}

func TestOpenAICallsOff(t *testing.T) {
	c, _ := serve(t, server.Options{Queue: gemma4.QueueOptions{Slots: 1, Waiting: -1}})
	ctx, cancel := context.WithCancel(t.Context())
	stream := c.Chat.Completions.NewStreaming(ctx, ask(capital))
	if !stream.Next() {
		t.Fatal(stream.Err())
	}
	cancel()
	for stream.Next() {
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) { // there is room again
		answer, err := c.Chat.Completions.New(t.Context(), ask(capital))
		if err == nil && answer.Choices[0].Message.Content == paris {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
