package canonical_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/release/canonical"
)

type record struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value,omitempty"`
}

func TestOneForm(t *testing.T) {
	x := 0.1
	b, err := canonical.Marshal(record{"a<b", &x})
	require.NoError(t, err)
	require.Equal(t, `{"name":"a<b","value":0.1}`, string(b))
	var r record
	require.NoError(t, canonical.Unmarshal(b, 100, &r))
	for _, bad := range []string{
		"", "{}x", `{"name":"a"} `, ` {"name":"a"}`, `{"name":"a","name":"a"}`, `{"Name":"a"}`, `{"value":1,"name":"a"}`,
		`{"name":"a","value":1.0}`, `{"name":"a","value":1e0}`, `{"name":"\u0061"}`, `{"name":"a","other":1}`, `{"name":"a"}{}`, `{"name":"a","value":null}`, `[]`,
	} {
		var r record
		require.ErrorIs(t, canonical.Unmarshal([]byte(bad), 100, &r), canonical.ErrForm, "%q", bad)
	}
	require.ErrorContains(t, canonical.Unmarshal(b, 5, &r), "limit")
	nan := math.NaN()
	_, err = canonical.Marshal(record{"a", &nan})
	require.Error(t, err)
}
