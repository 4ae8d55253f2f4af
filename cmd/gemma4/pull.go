package main

import (
	"encoding/json"
	"fmt"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/hub"
)

func pullCommand() cli.Command {
	return cli.Command{
		Name:  "pull",
		Group: "models",
		Does:  "fetch a model by its name, whole and checked",
		Args:  "[flags] name …",
		About: `
Fetches models and prints where their files lie. A name is

  e2b, e4b, 12b, 26b, 31b          a short name, as names.txt in the store has it, or the table that comes with this program
  ollama:gemma4, ollama:gemma4:12b a model of ollama's registry, and its tag
  ggml-org/gemma-4-E2B-it-GGUF     a repository of Hugging Face: Q4_K_M of it, else Q8_0, else the first GGUF file
  owner/repo:Q8_0                  the file of it that has this in its name
  owner/repo:folder/file.gguf      this file of it, with all parts of a split one
  owner/repo:Q8_0@v1               at a branch, tag or commit

All commands that take a model with -m take such names as well; those that answer fetch what is not there, after saying what, and how
much it is.

What was interrupted, by Ctrl-C or otherwise, goes on where it stopped. A file has its name when it is complete and its bytes are those
that the hub told; it is refused before it begins if the disk is too small. What the hub's own client, llama.cpp, LM Studio or ollama
has fetched before is used where it lies. A model that is there is asked for again: where its branch or tag has moved, the new one takes
its place. Of ollama's registry, models that only you may read are fetched by ollama, and then used from its folder.

The store is the folder of GEMMA4_HOME, else gemma4 in XDG_DATA_HOME, else ~/.local/share/gemma4 (Application Support on macOS,
%LocalAppData% on Windows). HF_TOKEN, or what the hub's client keeps, opens repositories that are private or whose licence you have
accepted; HF_ENDPOINT names another hub, HF_HUB_OFFLINE=1 keeps from the network, and HTTPS_PROXY and NO_PROXY are heeded.`,
		Examples: `
gemma4 pull e2b
gemma4 pull -with mmproj,draft e2b
gemma4 pull ollama:gemma4:12b
gemma4 pull unsloth/gemma-4-E2B-it-GGUF:UD-Q4_K_XL`,
		Operands: cli.Values{Names: cli.ShortNames},
		Define:   definePull,
	}
}

func definePull(p *cli.Program) func() error {
	p.Group("model")
	var with hub.With
	p.Func("with", "`companions` that come along: mmproj, the projector that pictures and sounds need, draft, the drafter that "+
		"guesses ahead, or mmproj,draft", func(text string) (err error) {
		with, err = cli.With(text)
		return err
	})
	p.Values("with", cli.Values{List: []string{"mmproj", "draft", "mmproj,draft"}})
	p.Group("output")
	asJSON := p.Bool("json", false, "print a line of JSON for each model")

	return func() error {
		if p.NArg() == 0 {
			return cli.Wrong("expected the name of a model, such as e2b")
		}
		for _, name := range p.Args() {
			m, err := p.Pull(name, with)
			if err != nil {
				return err
			}
			for _, missing := range missing(m, with) {
				p.Note(fmt.Sprintf("%s comes without %s", m.Name, missing))
			}
			if *asJSON {
				if err := json.NewEncoder(p.Out).Encode(newCard(m)); err != nil {
					return err
				}
				continue
			}
			for _, f := range newCard(m).Files {
				fmt.Fprintln(p.Out, printable(f.Path))
			}
		}
		return nil
	}
}

// missing names what was to come along with a model and has not: ollama's models bring what they have.
func missing(m *hub.Model, with hub.With) (list []string) {
	if with.Projector && m.Projector == "" {
		list = append(list, "a projector (mmproj)")
	}
	if with.Drafter && m.Drafter == "" {
		list = append(list, "a drafter (draft)")
	}
	return list
}

// card is what is known of a model without looking into its files.
type card struct {
	Name     string     `json:"name"`
	Place    string     `json:"place"`
	Source   string     `json:"source,omitempty"`
	Revision string     `json:"revision,omitempty"`
	Bytes    int64      `json:"bytes"`
	Files    []cardFile `json:"files"`

	Notes map[string]string `json:"notes,omitempty"` // paths of texts that it came with
}

type cardFile struct {
	Role string `json:"role"` // model, projector, drafter or adapter
	Path string `json:"path"`
	Hash string `json:"hash,omitempty"`
}

func newCard(m *hub.Model) card {
	c := card{Name: m.Name, Place: m.Place, Source: m.Source, Revision: m.Revision, Bytes: m.Bytes, Notes: m.Notes}
	add := func(role, path string) {
		if path != "" {
			c.Files = append(c.Files, cardFile{role, path, m.Hashes[path]})
		}
	}
	for _, path := range m.Files {
		add("model", path)
	}
	add("projector", m.Projector)
	add("drafter", m.Drafter)
	for _, path := range m.Adapters {
		add("adapter", path)
	}
	return c
}
