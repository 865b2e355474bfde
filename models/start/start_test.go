package start_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/start"
)

const schemaText = "name: toy\nlabel: {column: y, positive: \"1\"}\ncolumns:\n  a: {type: number}\n"

// model is an artifact of one number and a bias.
func model(t testing.TB, schema string) []byte {
	s, err := feature.ParseSchema([]byte(schema))
	require.NoError(t, err)
	var csv strings.Builder
	csv.WriteString("y,a\n")
	for i := range 60 {
		csv.WriteString([]string{"0", "1"}[i%2] + "," + []string{"1", "2", "5"}[i%3] + "\n")
	}
	table, err := feature.ReadCSV(strings.NewReader(csv.String()), s, feature.Limits{})
	require.NoError(t, err)
	statistics := feature.NewStatistics(s)
	for !statistics.Done() {
		ints, err := statistics.Count(table)
		require.NoError(t, err)
		require.NoError(t, statistics.Apply(ints))
	}
	e, err := statistics.Encoder()
	require.NoError(t, err)
	m := &artifact.Model{
		Header:  artifact.Header{Name: "toy-1", Plan: strings.Repeat("0", 64), Architecture: arch.Spec{Kind: arch.Logistic}, Threshold: 0.5, Bands: artifact.BandsAt(0.5, 0.7)},
		Encoder: e, Params: make([]float32, e.Numbers()+1),
	}
	body, err := m.Marshal()
	require.NoError(t, err)
	return body
}

func config(t testing.TB, digest [32]byte) schedule.Config {
	s, err := feature.ParseSchema([]byte(schemaText))
	require.NoError(t, err)
	return schedule.Config{Schema: s, Architecture: arch.Spec{Kind: arch.Logistic}, Members: 3, Start: &schedule.Start{Artifact: digest}}
}

func TestOpen(t *testing.T) {
	body := model(t, schemaText)
	cfg, err := start.Open(body, config(t, sha256.Sum256(body)))
	require.NoError(t, err)
	_, err = schedule.New(cfg)
	require.NoError(t, err)

	_, err = start.Open(body, config(t, [32]byte{1}))
	require.ErrorContains(t, err, "not the one that the plan names, 010000000000")
	other := model(t, strings.Replace(schemaText, "name: toy", "name: other", 1))
	_, err = start.Open(other, config(t, sha256.Sum256(other)))
	require.ErrorContains(t, err, "another schema")
	broken := body[:len(body)-1]
	_, err = start.Open(broken, config(t, sha256.Sum256(broken)))
	require.ErrorIs(t, err, artifact.ErrForm)
	cold := config(t, [32]byte{})
	cold.Start = nil
	same, err := start.Open(nil, cold)
	require.NoError(t, err)
	require.Equal(t, cold, same)
}
