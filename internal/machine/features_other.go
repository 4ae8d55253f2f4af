//go:build !(windows && arm64)

package machine

import "github.com/klauspost/cpuid/v2"

func supports(f cpuid.FeatureID) bool { return cpuid.CPU.Supports(f) }
