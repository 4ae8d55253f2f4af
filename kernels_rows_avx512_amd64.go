package gemma4

import "github.com/gogemma/gemma4/tensor"

func rowsAVX512(k *tensor.Kernels) {}
