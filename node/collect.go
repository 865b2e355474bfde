package node

import (
	"os"
	"runtime/debug"
)

// collectAt is how much garbage, in percent of what is in use, a node's process lets grow. What is large in a node is
// vectors, in which the collector has nothing to search: collecting twice as often as Go's own 100 costs no time that
// can be measured, and keeps a node at about three vectors instead of four.
const collectAt = 50

// Collect sets how often this process collects garbage, unless GOGC says otherwise, and returns what restores it.
func Collect() (restore func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(collectAt)
	return func() { debug.SetGCPercent(before) }
}
