package main

import (
	"encoding/json"
	"fmt"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/tokenizer"
)

func tokenizeCommand() cli.Command {
	return cli.Command{
		Name:  "tokenize",
		Group: "files and text",
		Does:  "split text into tokens, or join tokens into text",
		Args:  "[flags] [text]",
		About: `
Shows the tokens of a text, one id and piece per line. The text is the arguments, joined by spaces, or standard input,
byte for byte. With -d it is the other way round: ids, separated by commas or spaces or as -json prints them, become
text, with no newline added unless it goes to a terminal.`,
		Examples: `
gemma4 tokenize "Hello world"
gemma4 tokenize -json "Hello world" | gemma4 tokenize -d
gemma4 tokenize -m model.gguf -bos -special < prompt.txt`,
		Define: defineTokenize,
	}
}

func defineTokenize(p *cli.Program) func() error {
	p.Group("model")
	model := p.FileFlag()
	p.Group("output")
	asJSON := p.Bool("json", false, "print a JSON array of ids")
	special := p.Bool("special", false, "parse markup such as <|turn>; with -d: print it")
	bos := p.Bool("bos", false, "put the BOS token in front")
	decode := p.Bool("d", false, "decode: join ids into text")

	return func() error {
		if *decode && (*asJSON || *bos) {
			return cli.Wrong("-d makes text of ids: -json and -bos do not go with it")
		}
		f, err := model.OpenFile()
		if err != nil {
			return err
		}
		defer f.Close()
		t, err := tokenizer.New(f.Metadata)
		if err != nil {
			return err
		}
		input, err := p.Input()
		if err != nil {
			return err
		}
		if *decode {
			return printText(p, t, input, *special)
		}
		ids := t.Encode(input, *special)
		if *bos {
			ids = append([]int32{t.BOS()}, ids...)
		}
		if *asJSON {
			if ids == nil {
				ids = []int32{} // an empty array, not null
			}
			return json.NewEncoder(p.Out).Encode(ids)
		}
		for _, id := range ids {
			fmt.Fprintf(p.Out, "%7d  %q\n", id, t.Text(id))
		}
		return nil
	}
}

func printText(p *cli.Program, t *tokenizer.Tokenizer, input string, special bool) error {
	ids, err := cli.ParseIDs(input, t.Size())
	if err != nil {
		return err
	}
	text := t.Decode(ids, special)
	if p.Terminal() {
		text = cli.Printable(text) + "\n"
	}
	p.Out.WriteString(text)
	return nil
}
