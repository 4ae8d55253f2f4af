package kernels

import "github.com/gogemma/gemma4/tensor"

func attentionAVX2(k *tensor.Kernels) {
	attention(k, tensor.F32, scoresF32AVX2, nil, 0, weighF32AVX2, weighManyF32AVX2)
	attention(k, tensor.F16, scoresF16AVX2, nil, 0, weighF16AVX2, weighManyF16AVX2)
	attention(k, tensor.Q8_0, scoresQ8_0AVX2, scoresManyQ8_0AVX2, 4, weighQ8_0AVX2, weighManyQ8_0AVX2)
	attention(k, tensor.Q4_0, scoresQ4_0AVX2, scoresManyQ4_0AVX2, 4, weighQ4_0AVX2, weighManyQ4_0AVX2)
}

func attentionAVX512(k *tensor.Kernels) {
	attention(k, tensor.F32, scoresF32AVX512, nil, 0, weighF32AVX512, weighManyF32AVX512)
	attention(k, tensor.F16, scoresF16AVX512, nil, 0, weighF16AVX512, weighManyF16AVX512)
	attention(k, tensor.Q8_0, scoresQ8_0AVX512, scoresManyQ8_0AVX512, 8, weighQ8_0AVX512, weighManyQ8_0AVX512)
	attention(k, tensor.Q4_0, scoresQ4_0AVX512, scoresManyQ4_0AVX512, 8, weighQ4_0AVX512, weighManyQ4_0AVX512)
}

//go:noescape
func scoresF32AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func weighF32AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func weighManyF32AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresF16AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func weighF16AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func weighManyF16AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresQ8_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func scoresManyQ8_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)

//go:noescape
func weighQ8_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func weighManyQ8_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresQ4_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func scoresManyQ4_0AVX2(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)

//go:noescape
func weighQ4_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func weighManyQ4_0AVX2(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresF32AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func weighF32AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func weighManyF32AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresF16AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func weighF16AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func weighManyF16AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresQ8_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func scoresManyQ8_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)

//go:noescape
func weighQ8_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func weighManyQ8_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func scoresQ4_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count, ahead, keyBytes int)

//go:noescape
func scoresManyQ4_0AVX512(dst *float32, stride int, q *float32, n, dim int, keys *byte, rowBytes, count int, next uintptr, step int)

//go:noescape
func weighQ4_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)

//go:noescape
func weighManyQ4_0AVX512(dst *float32, n, dim int, w *float32, stride int, values *byte, rowBytes, count, ahead int)
