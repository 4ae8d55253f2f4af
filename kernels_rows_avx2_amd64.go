package gemma4

import "github.com/gogemma/gemma4/tensor"

func rowsAVX2(k *tensor.Kernels) {}
