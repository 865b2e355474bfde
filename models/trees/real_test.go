package trees_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/trees"
)

// TestReal: our functions agree with the library's to the last bits. // trees 49
func TestReal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		x := r.NormFloat64() * 20
		require.InEpsilon(t, math.Exp(x), trees.Exp(x), 2e-15, "exp %v", x)
		require.InEpsilon(t, 1/(1+math.Exp(-x)), trees.Sigmoid(x), 1e-14, "sigmoid %v", x)
		if v := math.Exp(x); math.Abs(x) > 1e-3 {
			require.InEpsilon(t, x, trees.Ln(v), 1e-12, "ln %v", v)
		}
	}
	require.Equal(t, 1.0, trees.Exp(0))
	require.Equal(t, 0.5, trees.Sigmoid(0))
	require.Equal(t, trees.Exp(700), trees.Exp(1e9))
	require.Equal(t, trees.Exp(-700), trees.Exp(math.Inf(-1)))
	require.Equal(t, 1.0, trees.Sigmoid(1e9))
	require.Positive(t, trees.Sigmoid(-1e9))
}
