// Package llama has tests that compare the weights that package quant writes with those of llama.cpp, whose libraries npm brings:
//
//	npm ci && go test -v .
package llama
