package finetune

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// TestVerdict: the sentence follows from the interval, never from the point.
func TestVerdict(t *testing.T) {
	e := func(v, low, high float64) *metrics.Estimate { return &metrics.Estimate{Value: v, Low: low, High: high} }
	for want, r := range map[string]Report{
		"found no better":   {Losses: []float64{1}},
		"Too few test rows": {Epochs: 1},
		"helps on this member's test rows: AUROC +0.0500 (+0.0100 to +0.0900) over the federated model.": {Epochs: 1, OverFederated: e(0.05, 0.01, 0.09), OverAlone: e(0.02, 0.01, 0.03)},
		"not clearly better than a model of this member's rows alone":                                    {Epochs: 1, OverFederated: e(0.05, 0.01, 0.09), OverAlone: e(0.02, -0.01, 0.05)},
		"harms":               {Epochs: 1, OverFederated: e(-0.05, -0.09, -0.01)},
		"No clear difference": {Epochs: 1, OverFederated: e(0.05, -0.01, 0.09)},
	} {
		require.Contains(t, r.Verdict(), want)
	}
	both := Report{Epochs: 1, OverFederated: e(0.05, 0.01, 0.09), OverAlone: e(0.02, 0.01, 0.03)}
	require.NotContains(t, both.Verdict(), "alone")
}

// TestForms: both forms carry the notice, and names from a table do not become markup.
func TestForms(t *testing.T) {
	r := &Report{
		Notice: Notice, Member: "DE", Model: "x", Losses: []float64{0.5, 0.4}, Epochs: 1, Hidden: 2,
		Groups: []Group{{Column: "office", Value: "<b>|north", Rows: 30}},
	}
	page, err := r.HTML()
	require.NoError(t, err)
	require.Contains(t, string(page), "&lt;b&gt;|north")
	require.NotContains(t, string(page), "<b>")
	text := string(r.Markdown())
	require.Contains(t, text, `&lt;b>\|north`)
	require.Contains(t, text, "2 groups with fewer than 20 test rows are not shown")
	for _, form := range []string{string(page), text} {
		require.Contains(t, form, "Not released, not signed")
		require.NotContains(t, form, "NaN")
	}
	require.Equal(t, 1, strings.Count(string(page), "<h1>"))
	body, err := r.JSON()
	require.NoError(t, err)
	require.Contains(t, string(body), `"alone": null`)
}
