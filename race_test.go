//go:build race

package gemma4_test

// racing says that the race detector makes everything slow.
const racing = true
