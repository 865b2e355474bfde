package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/artifact"
)

func TestForecastsArePrinted(t *testing.T) {
	a := artifact.Advisory{
		ID: "=P1", Score: 116.5, Interval: [2]int64{60, 182}, Band: artifact.Forecast, Factors: []artifact.Factor{{Column: "trend", Effect: -0.5}},
	}
	var b bytes.Buffer
	p := newForecasts("csv", &b, 2, "trends-1")
	require.NoError(t, p.begin())
	require.NoError(t, p.row(3, a))
	require.NoError(t, p.end())
	require.Equal(t, "row,id,expected,low80,high80,factor_1,effect_1,factor_2,effect_2,model,notice\n"+
		"3,'=P1,116.5,60,182,trend,-0.5,,,trends-1,\""+forecastNotice+"\"\n", b.String())
	b.Reset()
	p = newForecasts("json", &b, 2, "trends-1")
	require.NoError(t, p.row(3, a))
	require.JSONEq(t, `{"row":3,"id":"=P1","expected":116.5,"interval80":[60,182],"factors":[{"column":"trend","effect":-0.5}],"model":"trends-1","notice":"`+
		forecastNotice+`"}`, b.String())
}
