package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
)

func inspectCommand() cli.Command {
	return cli.Command{
		Name:  "inspect",
		Group: "files and text",
		Does:  "show what is in a GGUF file",
		Args:  "[flags] [file or name]",
		About: `
Shows what is in a GGUF file of any kind, all parts of a split one: metadata, tensors with their shapes (fastest dimension
first), and bytes per format. For a Gemma 4 text model also the memory that the keys and values of one session take, by
context length and cache format; for a projector which senses it is for, and the memory that it works in. Without a file it
shows the embedded model.`,
		Examples: `
gemma4 inspect model.gguf
gemma4 inspect e2b
gemma4 inspect -tensors=false -m model-00001-of-00003.gguf
gemma4 inspect -json model.gguf | jq .memory`,
		Operands: cli.ModelNames(),
		Define:   defineInspect,
	}
}

func defineInspect(p *cli.Program) func() error {
	p.Group("model")
	model := p.FileFlag()
	p.Group("output")
	tensors := p.Bool("tensors", true, "list the tensors; -tensors=false leaves them out")
	asJSON := p.Bool("json", false, "print one JSON object")
	cpu := p.Bool("cpu", false, "list the kernel levels that this machine runs instead of a file")

	return func() error {
		switch {
		case p.NArg() > 1 || p.NArg() == 1 && model.Path != "":
			return cli.Wrong("one file at a time")
		case p.NArg() == 1:
			model.Path = p.Arg(0)
		}
		if *cpu {
			if model.Path != "" || *asJSON {
				return cli.Wrong("-cpu looks at no file and has no JSON: see gemma4 version -json")
			}
			return listLevels(p.Out)
		}
		f, err := model.OpenFile()
		if err != nil {
			return err
		}
		defer f.Close()
		r := newReport(f)
		if !*tensors {
			r.Tensors = nil
		}
		if *asJSON {
			e := json.NewEncoder(p.Out)
			e.SetEscapeHTML(false)
			return e.Encode(r)
		}
		r.print(p.Out)
		return nil
	}
}

// listLevels prints the kernel levels of this machine and marks the one that is used.
func listLevels(w io.Writer) error {
	best, err := gemma4.BestKernels()
	if err != nil {
		return err
	}
	for _, k := range gemma4.Levels() {
		mark := ""
		if k.Name == best.Name {
			mark = " (used)"
		}
		fmt.Fprintln(w, k.Name+mark)
	}
	return nil
}
