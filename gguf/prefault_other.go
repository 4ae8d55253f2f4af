//go:build !linux

package gguf

import "errors"

func checkHuge() error { return errors.ErrUnsupported }

func moveToHuge([]byte) error { return errors.ErrUnsupported }
