package secagg_test

import (
	"testing"

	"github.com/koinon-eu/koinon/benchmarks/secagg"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	r, err := secagg.Run(t.Context(), secagg.Config{Nodes: 4, Params: 50_001, Dropouts: 1, Bits: 24, Rounds: 2, Dir: t.TempDir()})
	require.NoError(t, err)
	t.Logf("%+v", r)
}
