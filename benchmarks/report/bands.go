package report

import (
	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// bands merges neighbouring bins until each band holds SmallCell rows of
// either label. One partition serves every plot, so that two of them cannot be
// subtracted; it has an edge at the operating threshold where that leaves no
// small band.
func bands(t *metrics.Tally, threshold *float64) []Band {
	all := len(t.Negative)
	cut := 0
	if threshold != nil {
		cut = t.Schema.Bin(*threshold)
	}
	low, high := merge(t, 0, cut), merge(t, cut, all)
	if len(low) == 0 || len(high) == 0 {
		return merge(t, 0, all)
	}
	return append(low, high...)
}

// merge makes the bands of bins [from, to); none if they hold too few rows.
func merge(t *metrics.Tally, from, to int) []Band {
	var out []Band
	var b Band
	var scores float64
	start := from
	closeBand := func(end int) {
		b.Low, b.High = t.Schema.Cut(start), upper(t, end)
		b.Mean = scores / float64(b.Rows)
		out = append(out, b)
		b, scores, start = Band{}, 0, end
	}
	for i := from; i < to; i++ {
		n := t.Negative[i] + t.Positive[i]
		b.Rows, b.Found = b.Rows+n, b.Found+t.Positive[i]
		scores += float64(float64(n) * middle(t, i))
		if b.Found >= fairness.SmallCell && b.Rows-b.Found >= fairness.SmallCell {
			closeBand(i + 1)
		}
	}
	if len(out) > 0 && start < to { // the rest joins the last band
		last := &out[len(out)-1]
		last.Mean = (float64(last.Mean*float64(last.Rows)) + scores) / float64(last.Rows+b.Rows)
		last.Rows, last.Found, last.High = last.Rows+b.Rows, last.Found+b.Found, upper(t, to)
	}
	return out
}

func upper(t *metrics.Tally, bin int) float64 {
	if bin >= len(t.Negative) {
		return 1
	}
	return t.Schema.Cut(bin)
}

func middle(t *metrics.Tally, bin int) float64 { return (t.Schema.Cut(bin) + upper(t, bin+1)) / 2 }
