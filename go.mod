module github.com/gogemma/gemma4

go 1.26.0

require (
	github.com/clipperhouse/displaywidth v0.11.0
	github.com/klauspost/cpuid/v2 v2.4.2
	github.com/x448/float16 v0.8.4
	golang.org/x/sys v0.50.0
	golang.org/x/term v0.48.0
	gonum.org/v1/gonum v0.17.0
)

require github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
