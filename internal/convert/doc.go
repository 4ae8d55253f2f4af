// Package convert opens a model's weights, GGUF or safetensors, as one list of GGUF tensors and metadata, read by rows.
package convert
