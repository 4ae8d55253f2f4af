//go:build !unix

package kerneltest

import "testing"

// Pages returns room for at least n bytes. Nothing guards it here.
func Pages(t *testing.T, n int) []byte { return make([]byte, n) }
