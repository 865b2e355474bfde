package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/node"
)

func TestForecastFiguresArePrinted(t *testing.T) {
	deviance, gain := 37.5, -0.031
	forecasts, others := divide([]node.Figures{
		{Name: "document-risk"},
		{
			Name: "trends", Run: "0123456789abcdef", Time: time.Unix(0, 0).UTC(), TestRows: 144, Forecasts: &metrics.ForecastFigures{
				Rows: 144, Observed: 11123, Deviance: &deviance, OverAlone: &gain, Coverage: &metrics.Estimate{Value: .8, Low: .7, High: .9},
			},
		},
	})
	require.Len(t, others, 1)
	var b bytes.Buffer
	require.NoError(t, printForecasts(&b, forecasts))
	for _, want := range []string{"trends", "01234567", "11123", "37.50", "-3.1 %", "0.800 (0.700 to 0.900)"} {
		require.Contains(t, b.String(), want)
	}
}
