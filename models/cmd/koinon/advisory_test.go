package main

import (
	"bytes"
	"encoding/csv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/artifact"
)

// What is an id to us must be no formula to a spreadsheet, and nothing to a terminal.
func TestAdvisoriesCarryNoFormula(t *testing.T) {
	for _, id := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"} {
		var b bytes.Buffer
		p := newPrinter("csv", &b, 1, "risk-1")
		require.NoError(t, p.row(1, artifact.Advisory{ID: id, Score: 0.5, Factors: []artifact.Factor{{Column: id, Effect: -0.5}}}))
		require.NoError(t, p.end())
		fields, err := csv.NewReader(&b).Read()
		require.NoError(t, err)
		require.Equal(t, "'"+id, fields[1])
		require.Equal(t, "'"+id, fields[5])
		require.Equal(t, "-0.5", fields[6])
	}
	require.Equal(t, "x=1", harmless("x=1"))
	require.Empty(t, harmless(""))

	var b bytes.Buffer
	require.NoError(t, newPrinter("json", &b, 1, "risk-1").row(1, artifact.Advisory{ID: "\u009b2J\u202e<"}))
	require.Contains(t, b.String(), `"id":"\u009b2J`+"\u202e<\"")
	b.Reset()
	require.NoError(t, printText(&b, []byte("a\u009b\u202eb\n\tc\x1b")))
	require.Equal(t, "ab\n\tc", b.String())
}
