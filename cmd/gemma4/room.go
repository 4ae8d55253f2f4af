package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/fit"
)

// demand is something that takes memory.
type demand struct {
	what  string
	bytes int64
}

// modelDemands returns what a model takes, whatever it is asked, and what goes with it.
func modelDemands(need gemma4.Memory, info gemma4.Info) []demand {
	list := []demand{{"weights", need.Resident}}
	for _, c := range info.Companions {
		if c.Left == nil {
			list = append(list, demand{c.Kind, c.Bytes})
		}
	}
	return append(list, demand{"buffers", need.Working})
}

// sum returns what demands are together.
func sum(demands []demand) (bytes int64) {
	for _, d := range demands {
		bytes += d.bytes
	}
	return bytes
}

// tooMuch says that demands are more than there is room for; it returns nothing if they are not, or if nobody knows.
func tooMuch(room fit.Room, demands []demand) string {
	if room.Now() == 0 || sum(demands) <= room.Now() {
		return ""
	}
	var list []string
	for _, d := range demands {
		list = append(list, fmt.Sprintf("%s (%s)", d.what, cli.Bytes(d.bytes)))
	}
	return fmt.Sprintf("%s take %s, and %s of memory are available", strings.Join(list, ", "), cli.Bytes(sum(demands)),
		cli.Bytes(room.Now()))
}

// tooLarge says that weights alone do not fit, and what helps.
const tooLarge = "weights will be read from disk again for each token: a smaller format or model is faster, gemma4 fit tells which fit"

// swapping says before a session of that many positions would swap that it will, and what helps; it returns nothing if all fits.
func swapping(m *gemma4.Model, o gemma4.SessionOptions, context int, room fit.Room) (string, error) {
	need, err := m.Memory(context, o.Cache)
	if err != nil {
		return "", err
	}
	if o.Memory > 0 {
		need.Cache, need.History = min(need.Cache, o.Memory), 0
	}
	always := modelDemands(need, m.Info())
	kept := demand{fmt.Sprintf("keys and values of %d positions in %s", context, o.Cache), need.Cache + need.History}
	text := tooMuch(room, append(always, kept))
	if text == "" {
		return "", nil
	}
	left := room.Now() - sum(always)
	var help []string
	for _, c := range []gemma4.CacheFormat{o.Cache, gemma4.CacheQ8} {
		n := sort.Search(context, func(n int) bool {
			need, err := m.Memory(n+1, c)
			return err != nil || need.Cache+need.History > left
		})
		switch {
		case c == gemma4.CacheQ8 && (len(help) > 0 && c == o.Cache || o.Cache == gemma4.CacheQ4):
		case n == context:
			help = append(help, fmt.Sprintf("-cache %s fits", c))
		case n >= leastContext && c == o.Cache:
			help = append(help, fmt.Sprintf("-ctx %d fits", n))
		case n >= leastContext:
			help = append(help, fmt.Sprintf("-cache %s -ctx %d", c, n))
		}
	}
	if len(help) == 0 {
		return text + ": " + tooLarge, nil
	}
	return text + ": the machine will swap when they are full; " + strings.Join(help, ", or "), nil
}

const (
	leastContext = 1024 // positions that are worth to be named
	shortAnswer  = 4096 // positions that a single answer is taken to need at most
)
