package kernels

import (
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/tensor"
)

// machineLevels returns the levels that the machine runs, each over those below.
func machineLevels() (levels []*tensor.Kernels) {
	k := *tensor.Portable()
	for _, s := range []struct {
		name string
		runs bool
		fill func(*tensor.Kernels)
	}{
		{"neon", true, NEON},
		{"dotprod", machine.Supports(machine.Dotprod...), Dotprod},
		{"i8mm", machine.Supports(machine.I8MM...), I8MM},
	} {
		if !s.runs {
			break
		}
		k.Name = s.name
		s.fill(&k)
		level := k
		levels = append(levels, &level)
	}
	return levels
}
