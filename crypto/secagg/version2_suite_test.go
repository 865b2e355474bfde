package secagg_test

import (
	"testing"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// dense is so many cycles that a graph of ten members is complete.
const dense = 60

// version2 is set while small cohorts run version 2.
var version2 bool

// forceVersion2 has every cohort run version 2 until the test ends.
func forceVersion2(t testing.TB, cycles int) {
	restore := secagg.ForceVersion2(cycles)
	version2 = true
	t.Cleanup(func() {
		version2 = false
		restore()
	})
}

// V10, V11: what holds for version 1 holds for version 2 when the graph joins
// everyone; what is different has tests of its own.
func TestSuiteOverVersion2(t *testing.T) {
	unlessShort(t)
	forceVersion2(t, dense)
	for name, test := range firstSum {
		if name != "transcript split" { // TestVersion2SplitsTranscript
			t.Run(name, test)
		}
	}
	for name, test := range anySum {
		t.Run(name, test)
	}
}
