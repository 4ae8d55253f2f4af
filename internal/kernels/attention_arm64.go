package kernels

import "github.com/gogemma/gemma4/tensor"

func attentionNEON(k *tensor.Kernels) {
	attention(k, tensor.F32, scoresF32NEON, nil, 0, weighF32NEON, nil)
	attention(k, tensor.F16, scoresF16NEON, nil, 0, weighF16NEON, nil)
	attention(k, tensor.Q8_0, scoresQ8_0NEON, nil, 0, weighQ8_0NEON, nil)
	attention(k, tensor.Q4_0, scoresQ4_0NEON, nil, 0, weighQ4_0NEON, nil)
}

//go:noescape
func scoresF32NEON(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func weighF32NEON(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresF16NEON(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func weighF16NEON(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresQ8_0NEON(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func weighQ8_0NEON(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresQ4_0NEON(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func weighQ4_0NEON(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
