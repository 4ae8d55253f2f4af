package gemma4

import "github.com/gogemma/gemma4/tensor"

func panelsAVX2(k *tensor.Kernels) {}

func panelsAVX512(k *tensor.Kernels) {}
