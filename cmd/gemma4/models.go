package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/hub"
)

func listCommand() cli.Command {
	return cli.Command{
		Name:  "list",
		Group: "models",
		Does:  "list the models on this machine",
		Args:  "[flags]",
		About: `
Lists the models that have a name on this machine, with their size, what came along, and whose folder they lie in: the store that pull
fills, or the caches of Hugging Face's client, llama.cpp, LM Studio or ollama. What was fetched from another hub
is found only with the HF_ENDPOINT that is shown beside it. Where the store is goes to standard error.`,
		Examples: `
gemma4 list
gemma4 list -json | jq -r '.[].name'`,
		Define: func(p *cli.Program) func() error {
			p.Group("output")
			asJSON := p.Bool("json", false, "print a JSON array")
			return func() error {
				if p.NArg() > 0 {
					return cli.Wrong("unexpected argument %q; show tells of one model", p.Arg(0))
				}
				return list(p, *asJSON)
			}
		},
	}
}

func list(p *cli.Program, asJSON bool) error {
	h := p.Hub()
	all, err := h.List() // err tells of what could not be looked at, beside the others
	if err != nil {
		p.Complain(err)
	}
	cards := []card{}
	for i := range all {
		cards = append(cards, newCard(&all[i]))
	}
	if asJSON {
		return json.NewEncoder(p.Out).Encode(cards)
	}
	if len(cards) > 0 {
		t := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "name\tsize\twith\tin")
		for i, c := range cards {
			var with []string
			if all[i].Projector != "" {
				with = append(with, "mmproj")
			}
			if all[i].Drafter != "" {
				with = append(with, "draft")
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", printable(c.Name), cli.Bytes(c.Bytes), strings.Join(with, ","), whose(h, &all[i]))
		}
		t.Flush()
	}
	folder, err := h.Folder()
	switch {
	case err != nil: // said above
	case len(cards) == 0:
		p.Note("no model is here yet; gemma4 pull e2b fetches one to " + folder)
	default:
		p.Note("the store is " + folder)
	}
	return nil
}

// whose returns whose folder a model lies in, and of another hub than the one that names are for now, what makes it that.
func whose(h *hub.Hub, m *hub.Model) string {
	address, ofHub := strings.CutSuffix(m.Source, "/"+repository(m.Name))
	if _, err := h.Find(context.Background(), m.Name); !ofHub || !errors.Is(err, hub.ErrNotFound) {
		return m.Place
	}
	return fmt.Sprintf("%s (HF_ENDPOINT=%s)", m.Place, printable(address))
}

// repository returns OWNER/REPO of a model's name.
func repository(name string) string { return name[:strings.IndexAny(name+":", ":@")] }

func showCommand() cli.Command {
	return cli.Command{
		Name:  "show",
		Group: "models",
		Does:  "show where a model lies, and where it came from",
		Args:  "[flags] name",
		About: `
Shows a model on this machine: its files and their hashes, where it was fetched from and which commit it is of, and what it says of
itself. For all that is in its files see inspect.

A model of ollama's registry may come with texts: an instruction (system), parameters of sampling (params), a licence. They are shown,
and not used unless you say so: run -system and its flags for sampling do that. Its template is not used at all: a model is asked in
the format that its own file has.`,
		Examples: `
gemma4 show e2b
gemma4 show -json ollama:gemma4 | jq -r '.files[].path'`,
		Operands: cli.ModelNames(),
		Define: func(p *cli.Program) func() error {
			p.Group("output")
			asJSON := p.Bool("json", false, "print one JSON object")
			return func() error {
				if p.NArg() != 1 {
					return cli.Wrong("expected the name of one model")
				}
				return show(p, p.Arg(0), *asJSON)
			}
		},
	}
}

func show(p *cli.Program, name string, asJSON bool) error {
	m, err := p.FindModel(name)
	if err != nil {
		return err
	}
	c := newCard(m)
	if asJSON {
		return json.NewEncoder(p.Out).Encode(c)
	}
	t := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(t, "%s\t%s\n", what, printable(text))
		}
	}
	line("name", c.Name)
	line("in", c.Place)
	line("from", c.Source)
	line("revision", c.Revision)
	line("size", cli.Bytes(c.Bytes))
	for _, f := range c.Files {
		line(f.Role, f.Path)
		line("", f.Hash)
	}
	for _, note := range slices.Sorted(maps.Keys(m.Notes)) {
		line(note, m.Notes[note])
		if note == "system" || note == "params" {
			line("", beginning(m.Notes[note]))
		}
	}
	if f, err := cli.OpenFiles(m); err != nil {
		line("broken", err.Error())
	} else {
		defer f.Close()
		about, _ := f.Metadata.Text("general.name")
		line("calls itself", about)
		r := newReport(f)
		line("parameters", count(r.Parameters))
		for _, s := range r.Formats[:min(3, len(r.Formats))] {
			line("weights", fmt.Sprintf("%s, %s", s.Format, cli.Bytes(s.Bytes)))
		}
		license, _ := f.Metadata.Text("general.license")
		line("licence", license)
	}
	return t.Flush()
}

// beginning returns what a text begins with.
func beginning(path string) string {
	const most = 400
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return err.Error()
	}
	if len(text) > most {
		return strings.ToValidUTF8(string(text[:most]), "") + "…"
	}
	return strings.ToValidUTF8(string(text), "")
}

func rmCommand() cli.Command {
	return cli.Command{
		Name:  "rm",
		Group: "models",
		Does:  "remove a model from the store",
		Args:  "name …",
		About: `
Removes models that pull has fetched: all parts, companions that no other model has, and what an interrupted fetch has left. Of a model
that lies in another program's cache, only what pull has fetched to it is removed, and never a file that pull has not written.`,
		Examples: `
gemma4 rm e2b
gemma4 rm ggml-org/gemma-4-E2B-it-GGUF:Q8_0`,
		Operands: cli.Values{Names: cli.StoredNames},
		Define: func(p *cli.Program) func() error {
			return func() error {
				if p.NArg() == 0 {
					return cli.Wrong("expected the name of a model; gemma4 list has them")
				}
				for _, name := range p.Args() {
					if err := p.Hub().Remove(name); err != nil {
						return err
					}
				}
				return nil
			}
		},
	}
}
