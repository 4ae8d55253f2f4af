//go:build !race

package gemma4_test

const racing = false
