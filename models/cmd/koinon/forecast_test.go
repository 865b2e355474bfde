package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/onnx"
	"github.com/koinon-eu/koinon/models/release"
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

// TestForecastsAreNotExported: a forecast has no other form, the refusal says what
// to use instead, and neither format sends to the other.
func TestForecastsAreNotExported(t *testing.T) {
	schema, err := feature.ParseSchema([]byte("name: toy\nlabel: {column: y, kind: count, max: 100}\ncolumns:\n  a: {type: number}\n"))
	require.NoError(t, err)
	rows, err := feature.ReadCSV(strings.NewReader("y,a\n"+strings.Repeat("3,1\n5,2\n", 30)), schema, feature.Limits{})
	require.NoError(t, err)
	st := feature.NewStatistics(schema)
	for !st.Done() {
		sum, err := st.Count(rows)
		require.NoError(t, err)
		require.NoError(t, st.Apply(sum))
	}
	e, err := st.Encoder()
	require.NoError(t, err)
	m := &artifact.Model{
		Header: artifact.Header{
			Name: "toy", Plan: strings.Repeat("ab", 32), Architecture: arch.Spec{Kind: arch.Linear},
			Threshold: artifact.NoThreshold, Bands: artifact.ForecastBands(),
		},
		Encoder: e,
	}
	n, err := m.Header.Architecture.Params(m.Shape())
	require.NoError(t, err)
	m.Params = make([]float32, n)
	for _, format := range []string{"onnx", "xgboost-json"} {
		c := exportCommand{Format: format}
		_, err = c.convert(&release.Release{}, m, &exported{Output: "toy"})
		require.ErrorIs(t, err, onnx.ErrForecast, format)
		require.Contains(t, cli.HintOf(err), "koinon score gives the expected counts")
	}
}
