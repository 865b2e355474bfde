package service

import (
	"os"
	"runtime/debug"
)

// collectAt is how much garbage, in percent of what is in use, the long-running programs let grow. What is large in
// them is vectors, in which the collector has nothing to search: collecting sooner than at Go's own 100 costs no time
// that can be measured, and saves a vector of memory.
const collectAt = 50

// Collect sets how often this process collects garbage, unless GOGC says otherwise, and returns what restores it.
func Collect() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(collectAt)
	return func() { debug.SetGCPercent(before) }
}
