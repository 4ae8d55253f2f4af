package machine

import (
	"github.com/klauspost/cpuid/v2"
	"golang.org/x/sys/windows"
)

// supports asks Windows, which cpuid does not do. Versions that do not know a number yet say no.
func supports(f cpuid.FeatureID) bool {
	switch f {
	case cpuid.ASIMD:
		return true // Windows requires it
	case cpuid.ASIMDDP:
		return windows.IsProcessorFeaturePresent(windows.PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE)
	case cpuid.I8MM:
		return windows.IsProcessorFeaturePresent(windows.PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE)
	case cpuid.BF16:
		return windows.IsProcessorFeaturePresent(windows.PF_ARM_V86_BF16_INSTRUCTIONS_AVAILABLE)
	}
	return false
}
