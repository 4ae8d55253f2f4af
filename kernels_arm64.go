package gemma4

import "github.com/gogemma/gemma4/tensor"

func machineLevels() []*tensor.Kernels { return nil }
