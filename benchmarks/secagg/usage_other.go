//go:build !linux

package secagg

import "time"

// Elsewhere than on Linux CPU time and memory are not measured: the figures are zero.

func processCPU() time.Duration { return 0 }
func threadCPU() time.Duration  { return 0 }
func peakMemory() int64         { return 0 }
func resetPeak()                {}
