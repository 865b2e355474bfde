package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTrainMLP: three ways to train the same model, of which two are the same
// operations and give the same bits, on one core and on two.
func TestTrainMLP(t *testing.T) {
	args := []string{"train", "--engine", "mlp", "--rows", "3000", "--columns", "12", "--hidden", "16,8", "--batch", "300", "--repeat", "1"}
	read := func(args ...string) (out mlpResult) {
		code, text, errs := command(t, append(args, "--json")...)
		require.Zero(t, code, errs)
		require.NoError(t, json.Unmarshal([]byte(text), &out))
		return out
	}
	one, two := read(args...), read(append(args, "--threads", "2")...)
	require.Equal(t, []string{"plan", "graph", "stock Gorgonia"}, []string{one.Timings[0].Name, one.Timings[1].Name, one.Timings[2].Name})
	require.Equal(t, one.Timings[0].Loss, one.Timings[1].Loss)
	require.Equal(t, one.Timings[0].Loss, two.Timings[0].Loss)
	require.InDelta(t, one.Timings[0].Loss, one.Timings[2].Loss, 0.05)
	for _, w := range one.Timings {
		require.Positive(t, w.RowsCPU)
		require.Positive(t, w.RowsWall)
	}
	require.Positive(t, one.Product)
	require.Equal(t, 2.0*(2*12*16+3*16*8+3*8), one.Flops)

	code, out, errs := command(t, args...)
	require.Zero(t, code, errs)
	require.Contains(t, out, "mlp 12-16-8-1, batch 300")
	for _, bad := range [][]string{{"--batch", "0"}, {"--batch", "4000"}, {"--hidden", "0"}, {"--rows", "10"}} {
		code, _, errs := command(t, append(args, bad...)...)
		require.NotZero(t, code)
		require.Contains(t, errs, "error:")
	}
}
