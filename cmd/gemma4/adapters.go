package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/quantize"
)

// adapter is one that a flag names.
type adapter struct {
	name string
	quantize.Adapter
}

// adapterFlag defines -lora.
func adapterFlag(p *cli.Program, list *[]adapter, what string) {
	p.Func("lora", "`[name=]file[:scale]` of an adapter (LoRA) in a GGUF file, "+what+"; may be repeated", func(text string) error {
		a, err := parseNamed(text)
		if err == nil && slices.ContainsFunc(*list, func(b adapter) bool { return b.name == a.name }) {
			err = fmt.Errorf("two adapters are called %s: NAME=FILE gives another name", a.name)
		}
		*list = append(*list, a)
		return err
	})
	p.Values("lora", cli.Values{Files: "*.gguf"})
}

// parseNamed reads an adapter, which is called as its file unless it has a name.
func parseNamed(text string) (a adapter, err error) {
	name, path, named := strings.Cut(text, "=")
	if !named || strings.ContainsAny(name, `/\:`) { // it is part of a path
		name, path = "", text
	}
	if named && path == "" {
		return a, errors.New("expected a file")
	}
	if a.Adapter, err = parseAdapter(path); err != nil {
		return a, err
	}
	if a.name = name; name == "" {
		a.name = strings.TrimSuffix(filepath.Base(a.Path), ".gguf")
	}
	return a, nil
}

// ownAdapters are those that a model comes with: own, own2 and so on.
func ownAdapters(paths []string) (list []adapter) {
	for i, path := range paths {
		name := "own"
		if i > 0 {
			name = fmt.Sprintf("own%d", i+1)
		}
		list = append(list, adapter{name, quantize.Adapter{Path: path, Scale: 1}})
	}
	return list
}

// openAdapters opens adapters for a model.
func openAdapters(m *gemma4.Model, list []adapter) (open []gemma4.Scaled, err error) {
	for _, a := range list {
		x, err := m.OpenAdapter(a.Path)
		if err != nil {
			return nil, err
		}
		open = append(open, x.At(a.Scale))
	}
	return open, nil
}
