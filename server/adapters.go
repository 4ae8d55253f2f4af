package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gogemma/gemma4"
)

// Adapter is a change to the model (LoRA) that a request asks for by the model's name: with the adapter poems, the model nano is
// nano:poems. Requests with different adapters are answered at once, each as if it were alone.
type Adapter struct {
	Name   string // without a colon
	Scaled gemma4.Scaled

	key         string // that the engine tells it by
	fingerprint string // of what decides the bytes of answers
}

// adapt checks the adapters of the options and completes them. of is the model's fingerprint.
func (s *Server) adapt(of string) error {
	s.o.Adapters = slices.Clone(s.o.Adapters)
	for i := range s.o.Adapters {
		a := &s.o.Adapters[i]
		switch {
		case a.Name == "" || a.Name == latest || strings.ContainsAny(a.Name, ": \t\n"):
			return fmt.Errorf("server: an adapter is called %q, expected a name without colons and blanks, and not %s", a.Name, latest)
		case slices.ContainsFunc(s.o.Adapters[:i], func(b Adapter) bool { return b.Name == a.Name }):
			return fmt.Errorf("server: two adapters are called %q", a.Name)
		case a.Scaled.Adapter == nil:
			return fmt.Errorf("server: the adapter %q is missing", a.Name)
		}
		var err error
		if a.key, err = s.m.Adapted(a.Scaled); err != nil {
			return fmt.Errorf("server: the adapter %q: %w", a.Name, err)
		}
		a.fingerprint = systemFingerprint(of+"+"+a.key, s.info.Level)
	}
	return nil
}

// latest is what ollama's clients put behind a name that has no tag.
const latest = "latest"

// names returns all that the model can be called here: its names, each followed by those with adapters.
func (s *Server) names() (list []string) {
	for _, name := range s.o.Names {
		list = append(list, name)
		for _, a := range s.o.Adapters {
			list = append(list, name+":"+a.Name)
		}
	}
	return list
}

// named returns what a name stands for: an adapter, or nil for the model alone. ours reports whether it is one of the server's.
func (s *Server) named(model string) (a *Adapter, ours bool) {
	if slices.Contains(s.o.Names, model) {
		return nil, true
	}
	i := strings.LastIndexByte(model, ':')
	if i < 0 {
		return nil, false
	}
	j := slices.IndexFunc(s.o.Adapters, func(a Adapter) bool { return a.Name == model[i+1:] })
	if j < 0 {
		return nil, false
	}
	return &s.o.Adapters[j], slices.Contains(s.o.Names, model[:i])
}

// adapterOf returns the name of the adapter that the engine tells by a key, empty if that is of none.
func (s *Server) adapterOf(key string) string {
	if i := slices.IndexFunc(s.o.Adapters, func(a Adapter) bool { return a.key == key && key != "" }); i >= 0 {
		return s.o.Adapters[i].Name
	}
	return ""
}

// known notes which adapter a request wants. It reports an error if the request is for a model of another name, and these count, or for
// this one with an adapter that there is not.
func (c *call) known(model string) error {
	a, ours := c.s.named(model)
	if ours || a != nil && !c.s.o.Strict {
		c.adapter = a
		return nil
	}
	name, tag, _ := strings.Cut(model, ":")
	if i := strings.LastIndexByte(model, ':'); i >= 0 {
		name, tag = model[:i], model[i+1:]
	}
	lacks := len(c.s.o.Adapters) > 0 && tag != "" && tag != latest && slices.Contains(c.s.o.Names, name)
	if model == "" || !c.s.o.Strict && !lacks {
		return nil
	}
	return c.s.unknown(model)
}

// unknown is the error of a request for a model that is not here.
func (s *Server) unknown(model string) error {
	var list []string
	for _, name := range s.names() {
		list = append(list, fmt.Sprintf("%q", name))
	}
	return &failure{status: http.StatusNotFound, param: "model", code: "model_not_found",
		message: fmt.Sprintf("there is no model %.200q here, but %s", model, strings.Join(list, ", "))}
}

// adapters returns those that the request has asked for.
func (c *call) adapters() []gemma4.Scaled {
	if c.adapter == nil {
		return nil
	}
	return []gemma4.Scaled{c.adapter.Scaled}
}

// name is what the answer calls the model.
func (c *call) name() string {
	if c.adapter == nil {
		return c.s.name()
	}
	return c.s.name() + ":" + c.adapter.Name
}

// fingerprint tells what decides the bytes of the answer, beside the request.
func (c *call) fingerprint() string {
	if c.adapter == nil {
		return c.s.fingerprint
	}
	return c.adapter.fingerprint
}
