package report

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrivacyWords(t *testing.T) {
	p := &Privacy{DP: "record", Epsilon: 3, Delta: 1e-6, Clip: 1, Noise: 1.2, StatisticsNoise: 6.2, Rate: 0.02, Steps: 750, TestRows: NotCovered}
	require.Equal(t, "record, epsilon 3 at delta 1e-06: noise 1.2 and rate 0.02 over 750 training steps, noise 6.2 on the statistics, clip 1", p.String())
	require.Contains(t, p.limits()[0], "does not cover test rows")
	require.Empty(t, (*Privacy)(nil).limits())
	r := &Report{Plan: Plan{Privacy: p}}
	require.Contains(t, r.facts(), [2]string{"Privacy", p.String()})
}
