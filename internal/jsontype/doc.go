// Package jsontype says what package encoding/json reads into a Go type: [Schema] as a JSON schema of which every value decodes, and
// [Partial] for a text that is still being written.
package jsontype
