//go:build !linux

package machine

import "errors"

// Energy counts the joules that the processors take, on Linux.
type Energy struct{}

var errNoEnergy = errors.New("only Linux tells what the processors take")

// OpenEnergy returns an error: not known.
func OpenEnergy() (*Energy, error) { return nil, errNoEnergy }

// Joules returns an error: not known.
func (*Energy) Joules() (float64, error) { return 0, errNoEnergy }
