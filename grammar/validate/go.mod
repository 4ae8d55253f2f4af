module github.com/gogemma/gemma4/grammar/validate

go 1.26.0

require (
	github.com/dlclark/regexp2 v1.11.5
	github.com/gogemma/gemma4 v0.0.0
	github.com/google/jsonschema-go v0.4.3
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
	golang.org/x/sys v0.50.0
)

require (
	github.com/klauspost/cpuid/v2 v2.4.2 // indirect
	golang.org/x/text v0.14.0 // indirect
)

replace github.com/gogemma/gemma4 => ../..
