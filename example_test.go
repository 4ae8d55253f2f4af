package gemma4_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/media/sound"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

// The most likely answer, with the embedded model in place of a file.
func Example() {
	m, err := nano.Open() // or gemma4.Open("gemma-4-E2B-it-Q4_K_M.gguf")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}}})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := c.Answer(context.Background(), "What is the capital of France?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Content)
	fmt.Println(c.Result().Reason)
	// Output:
	// The capital of France is Paris.
	// end of turn
}

// The answer while it is written.
func ExampleChat_Ask() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}}})
	if err != nil {
		log.Fatal(err)
	}
	for tok, err := range c.Ask(context.Background(), "What is the capital of Japan?") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(tok.Text)
	}
	fmt.Println()
	// Output:
	// The capital of Japan is Tokyo.
}

// A tool is declared, called by the model, and answered.
func ExampleChat_Send() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{
		GenerateOptions: gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}},
		Tools: []chat.Tool{{
			Name:        "multiply",
			Description: "Multiplies two numbers.",
			Parameters: json.RawMessage(`{"type": "object", "properties": {"a": {"type": "integer", "description": "First"},
				"b": {"type": "integer", "description": "Second"}}, "required": ["a", "b"]}`),
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	messages := []chat.Message{{Role: "user", Content: "What is 12 times 34?"}}
	for len(messages) > 0 {
		answer, err := gemma4.Collect(c.Send(context.Background(), messages...))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(answer.Content)
		messages = nil
		for _, call := range answer.ToolCalls {
			var args struct{ A, B int }
			if err := json.Unmarshal(call.Arguments, &args); err != nil {
				log.Fatal(err)
			}
			fmt.Println(call.Name, args.A, args.B)
			messages = append(messages, chat.Message{Role: "tool", ToolCallID: call.ID, Content: fmt.Sprint(args.A * args.B)})
		}
	}
	fmt.Println()
	// Output:
	// multiply 12 34
	// 12 times 34 is 408.
}

// A conversation that goes on where it was, whatever became of the program in between.
func ExampleModel_RestoreChat() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	folder, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "talk")
	o := gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}}}
	for _, text := range []string{
		"The code of Mia is 4821. The code of Leo is 7730. What is the code of Mia?", "What is the code of Leo?",
	} {
		c, err := m.RestoreChat(path, o)
		if errors.Is(err, fs.ErrNotExist) {
			c, err = m.NewChat(o)
		}
		if err != nil {
			log.Fatal(err)
		}
		answer, err := c.Answer(context.Background(), text)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(answer.Content)
		if err := c.Save(path); err != nil {
			log.Fatal(err)
		}
		c.Close()
	}
	// Output:
	// The code of Mia is 4821.
	// The code of Leo is 7730.
}

// A prompt without the chat format, continued, with the probability of each token.
func ExampleSession_Generate() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession(gemma4.SessionOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	tok := m.Tokenizer()
	prompt := tok.WithBOS(tok.Encode("<|turn>user\nCount from 5 to 9.<turn|>\n<|turn>model\n<|channel>thought\n<channel|>", true))
	for tok, err := range s.Generate(context.Background(), []gemma4.Input{{Tokens: prompt}}, gemma4.GenerateOptions{
		Sampling: sampler.Overrides{Temperature: new(0.0)},
		LogProbs: 2,
	}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(tok.Text)
	}
	fmt.Println()
	fmt.Println(s.Result().Prompt, "positions read,", s.Result().Generated, "tokens generated")
	// Output:
	// 5, 6, 7, 8, 9
	// 21 positions read, 13 tokens generated
}

// What a model needs is known before it is spent.
func ExampleModel_Memory() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for _, f := range []gemma4.CacheFormat{gemma4.CacheF32, gemma4.CacheF16, gemma4.CacheQ8} {
		memory, err := m.Memory(4096, f)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f, memory.Cache)
	}
	// Output:
	// f32 5373952
	// f16 2686976
	// q8_0 1427456
}

// What a session does, as it does it.
func ExampleTrace() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	steps := 0
	s, err := m.NewSession(gemma4.SessionOptions{Batch: 16, Trace: &gemma4.Trace{
		Prefill: func(i gemma4.PrefillInfo) { fmt.Printf("prefill: %d positions, %d left\n", i.Positions, i.Left) },
		Step:    func(i gemma4.StepInfo) { steps++ }, // i.Duration is its time
	}})
	if err != nil {
		log.Fatal(err)
	}
	const text = "The code of Mia is 4821. The code of Leo is 7730. The code of Tara is 6209. The code of Ada"
	prompt := m.Tokenizer().WithBOS(m.Tokenizer().Encode(text, false))
	o := gemma4.GenerateOptions{MaxTokens: 5, Sampling: sampler.Overrides{Temperature: new(0.0)}}
	for _, err := range s.Generate(context.Background(), []gemma4.Input{{Tokens: prompt}}, o) {
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("steps:", steps)
	// Output:
	// prefill: 16 positions, 22 left
	// prefill: 16 positions, 6 left
	// prefill: 6 positions, 0 left
	// steps: 5
}

// Two chats with the same instruction: the second does not read it again.
func ExamplePrefixCache() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	prefixes := gemma4.NewPrefixCache(16 << 20)
	defer prefixes.Close()
	for _, country := range []string{"France", "Japan"} {
		c, err := m.NewChat(gemma4.ChatOptions{
			SessionOptions:  gemma4.SessionOptions{Prefixes: prefixes},
			GenerateOptions: gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}},
			System:          "You are a friendly teacher who answers every question in one short sentence.",
		})
		if err != nil {
			log.Fatal(err)
		}
		answer, err := c.Answer(context.Background(), "What is the capital of "+country+"?")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %d tokens read, %d shared\n", answer.Content, c.Result().Prompt, c.Result().Reused)
		c.Close()
	}
	// Output:
	// The capital of France is Paris. 58 tokens read, 0 shared
	// The capital of Japan is Tokyo. 7 tokens read, 51 shared
}

// A function that the model calls.
func ExampleChat_Run() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	type factors struct {
		A int32 `json:"a"`
		B int32 `json:"b"`
	}
	multiply, err := gemma4.Tool("multiply", "Multiplies.", func(_ context.Context, f factors) (int64, error) {
		return int64(f.A) * int64(f.B), nil
	})
	if err != nil {
		log.Fatal(err)
	}
	c, err := m.NewChat(gemma4.ChatOptions{Tools: []chat.Tool{multiply}})
	if err != nil {
		log.Fatal(err)
	}
	c.Options.Sampling.Temperature = new(0.0)
	for tok, err := range c.Run(context.Background(), "What is 12 times 34?") {
		if err != nil {
			log.Fatal(err)
		}
		if tok.Kind == chat.ToolCall {
			fmt.Printf("%s %s\n", tok.Call.Name, tok.Call.Arguments)
		}
		fmt.Print(tok.Text)
	}
	fmt.Println()
	// Output:
	// multiply {"a":12,"b":34}
	// 12 times 34 is 408.
}

// A struct in place of a text.
func ExampleGenerate() {
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{MaxTokens: 200}})
	if err != nil {
		log.Fatal(err)
	}
	c.Options.Sampling.Temperature = new(0.0)
	type person struct {
		Name string `json:"name"`
		Age  int    `json:"age" minimum:"0" maximum:"150"`
		City string `json:"city"`
	}
	p, err := gemma4.Generate[person](context.Background(), c, "Make JSON: Olga is 44 years old and lives in Rome.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Name, p.Age, p.City)
	// Output: Olga 44 Rome
}

// A question that is answered while it is spoken: the model has read it when the last word is said.
func ExampleChat_Listen() {
	ctx := context.Background()
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	clip, err := sound.ReadFile("nano/testdata/media/sound-1.wav", sound.Options{}) // in place of a microphone
	if err != nil {
		log.Fatal(err)
	}
	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Sampling: sampler.Overrides{Temperature: new(0.0)}}})
	if err != nil {
		log.Fatal(err)
	}
	l, err := c.Listen(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for samples := range slices.Chunk(clip.Samples, gemma4.SampleRate/10) {
		if err := l.Push(ctx, samples); err != nil {
			log.Fatal(err)
		}
	}
	answer, err := gemma4.Collect(l.Answer(ctx))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Content)
	// Output:
	// The opposite of 'dry' is 'wet'.
}

// Subtitles of a recording. The prompt is what the embedded model has learned; others have the maker's, which is used if none is given.
func ExampleModel_Transcribe() {
	ctx := context.Background()
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	clip, err := sound.ReadFile("nano/testdata/media/sound-1.wav", sound.Options{})
	if err != nil {
		log.Fatal(err)
	}
	segments, err := gemma4.Segments(m.Transcribe(ctx, clip.Samples, gemma4.TranscribeOptions{Prompt: "Transcribe."}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(gemma4.SRT(segments))
	// Output:
	// 1
	// 00:00:00,000 --> 00:00:01,558
	// What is the opposite of dry?
}

// Captions of sound that never ends.
func ExampleModel_NewCaptions() {
	ctx := context.Background()
	m, err := nano.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	captions, err := m.NewCaptions(gemma4.CaptionsOptions{TranscribeOptions: gemma4.TranscribeOptions{Prompt: "Transcribe."}})
	if err != nil {
		log.Fatal(err)
	}
	defer captions.Close()
	clip, err := sound.ReadFile("nano/testdata/media/sound-1.wav", sound.Options{})
	if err != nil {
		log.Fatal(err)
	}
	silence := make([]float32, gemma4.SampleRate)
	for samples := range slices.Chunk(slices.Concat(clip.Samples, silence, clip.Samples, silence), gemma4.SampleRate/10) {
		segments, err := captions.Push(ctx, samples)
		if err != nil {
			log.Fatal(err)
		}
		for _, s := range segments {
			if s.Final { // until then s.Text + s.Tentative, for those who read along
				fmt.Println(s.From.Round(100*time.Millisecond), s.Text)
			}
		}
	}
	// Output:
	// 0s What is the opposite of dry?
	// 1.5s How much is the opposite of dry?
}
