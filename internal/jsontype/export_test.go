package jsontype

// For tests with models, which import this package.
var (
	Count      = count
	RandomType = randomType
)
