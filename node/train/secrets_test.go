package train

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/leaktest"
	"github.com/koinon-eu/koinon/models/feature"
)

// TestRowsAreNeverPrinted: neither a table, nor its encoded rows, nor the vector that is to be masked.
func TestRowsAreNeverPrinted(t *testing.T) {
	schema, err := feature.ParseSchema([]byte(`
name: rows
unit: document
id: file_number
label: {column: label, positive: "1"}
columns:
  age: {type: number, range: [0, 1000000]}
  family: {type: category}
`))
	require.NoError(t, err)
	table, err := feature.ReadCSV(bytes.NewBufferString("file_number,age,family,label\nFILE-12345678,123456,RARE-FAMILY,1\n"), schema, feature.Limits{})
	require.NoError(t, err)
	vector := Vector{X: []float32{1.2345678, 2.345678, 3.45678}, Ints: []int64{123456789, 987654321}, Rows: 7}
	matrix := &feature.Matrix{Rows: 2, X: []float32{1.2345678, 2.345678, 3.45678}, Label: []int8{1, 0}}

	var s leaktest.Scanner
	for _, text := range []string{"FILE-12345678", "RARE-FAMILY", "1.2345678 2.345678", "1.2345678,2.345678", "123456789", "987654321"} {
		s.AddText(text, text)
	}
	for _, v := range []any{table, vector, &vector, matrix, NewMember(table)} {
		require.Empty(t, s.Find(leaktest.Render(v)), "%T", v)
	}
	for _, v := range []any{vector.Ints, vector.X} { // it can fail
		require.NotEmpty(t, s.Find(leaktest.Render(v)), "%T", v)
	}
}
