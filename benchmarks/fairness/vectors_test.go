package fairness

import (
	"encoding/json"
	"os"
	"slices"
	"sort"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

type groupCase struct {
	Name      string
	Threshold float64
	YTrue     []int8 `json:"y_true"`
	YPred     []int8 `json:"y_pred"`
	Score     []float64
	Group     []string
	Weight    []float64 `json:"sample_weight"`
	Expected  struct {
		expected
		Pooled *expected
	}
}

type expected struct {
	ByGroup    map[string]map[string]json.RawMessage `json:"by_group"`
	Fairlearn  map[string]map[string]*float64        `json:"fairlearn"`
	Strict     map[string]strictGap                  `json:"strict"`
	FourFifths map[string]any                        `json:"four_fifths_rule"`
	AIF360     map[string]any                        `json:"aif360_privileged_vs_rest"`
	Aequitas   *aequitas                             `json:"aequitas_ref_group"`
	CI         map[string]map[string]*[2]float64     `json:"ci95_vs_ref"`
	Small      map[string][]string                   `json:"small_cells"`
}

type aequitas struct {
	Ref       string
	Disparity map[string]map[string]*float64
}

type strictGap struct {
	Difference *float64
	Ratio      *float64 `json:"ratio_min_over_max"`
	Max, Min   *float64
	Defined    int      `json:"groups_defined"`
	Undefined  []string `json:"groups_undefined"`
}

var confusionRates = map[string]func(metrics.Confusion) *float64{
	"base_rate": metrics.Confusion.BaseRate, "selection_rate": metrics.Confusion.Selection,
	"tpr": metrics.Confusion.TPR, "fpr": metrics.Confusion.FPR, "fnr": metrics.Confusion.FNR,
	"tnr": metrics.Confusion.TNR, "ppv": metrics.Confusion.PPV, "npv": metrics.Confusion.NPV,
	"fdr": metrics.Confusion.FDR, "FOR": metrics.Confusion.FOR, "accuracy": metrics.Confusion.Accuracy,
}

// TestGroupVectors holds every expected value of every case, in both
// conventions, to 1e-9.
func TestGroupVectors(t *testing.T) {
	for _, file := range []string{"group_metrics.json", "federated_aggregation.json"} {
		raw, err := os.ReadFile("testdata/" + file)
		require.NoError(t, err)
		var f struct{ Cases []groupCase }
		require.NoError(t, json.Unmarshal(raw, &f))
		require.NotEmpty(t, f.Cases)
		for _, c := range f.Cases {
			want := c.Expected.expected
			if c.Expected.Pooled != nil {
				want = *c.Expected.Pooled
				for _, s := range c.Score {
					c.YPred = append(c.YPred, flag(s, c.Threshold))
				}
			}
			t.Run(c.Name, func(t *testing.T) { checkCase(t, c, want) })
		}
	}
}

func flag(s, threshold float64) int8 {
	if s >= threshold {
		return 1
	}
	return 0
}

func checkCase(t *testing.T, c groupCase, want expected) {
	// Decisions as scores of 0 and 1: the confusion at ½ is that of y_pred.
	x := metrics.Sample{Labels: c.YTrue, Weights: c.Weight}
	for _, p := range c.YPred {
		x.Scores = append(x.Scores, float64(p))
	}
	groups := map[string]metrics.Confusion{}
	var names []string
	for _, g := range c.Group {
		if _, seen := groups[g]; !seen {
			names = append(names, g)
			groups[g] = x.Only(func(row int) bool { return c.Group[row] == g }).Confusion(.5)
		}
	}
	sort.Strings(names)
	var list []metrics.Confusion
	for _, n := range names {
		list = append(list, groups[n])
	}
	overall := x.Confusion(.5)
	for _, name := range names {
		checkGroup(t, c, name, groups[name], want.ByGroup[name])
	}
	checkFairlearn(t, list, overall, want.Fairlearn)
	checkStrict(t, names, groups, want.Strict)
	near(t, "favourable", number(want.FourFifths["favourable_rate_ratio"].(float64)), FourFifths(list))
	checkComparisons(t, groups, want)
	checkIntervals(t, groups, want)
	var small []string
	for _, n := range names {
		rows := 0
		for _, g := range c.Group {
			if g == n {
				rows++
			}
		}
		if rows < SmallCell {
			small = append(small, n)
		}
	}
	require.ElementsMatch(t, want.Small["threshold_10"], small)
}

func checkGroup(t *testing.T, c groupCase, name string, conf metrics.Confusion, want map[string]json.RawMessage) {
	x := metrics.Sample{Scores: c.Score, Labels: c.YTrue}
	if len(c.Score) > 0 {
		x = x.Only(func(row int) bool { return c.Group[row] == name })
	}
	weight := conf.Rows()
	for key, raw := range want {
		var got *float64
		switch key {
		case "n":
			continue // rows, checked with small_cells
		case "ci95_wilson":
			var ci map[string][2]*float64
			require.NoError(t, json.Unmarshal(raw, &ci))
			checkWilson(t, conf, ci)
			continue
		case "weight":
			got = &weight
		case "tp", "fp", "fn", "tn":
			got = map[string]*float64{"tp": &conf.TP, "fp": &conf.FP, "fn": &conf.FN, "tn": &conf.TN}[key]
		case "mean_score":
			got = x.MeanScore()
		case "brier":
			got = x.Brier()
		case "ece_equal_width_10":
			got = x.ECE()
		case "auc":
			got = x.Curve().AUROC()
		default:
			rate, ok := confusionRates[key]
			require.True(t, ok, "no figure for %s", key)
			got = rate(conf)
		}
		var w *float64
		require.NoError(t, json.Unmarshal(raw, &w))
		near(t, name+" "+key, w, got)
	}
}

func checkWilson(t *testing.T, c metrics.Confusion, want map[string][2]*float64) {
	got := map[string]*metrics.Estimate{
		"selection_rate": metrics.Wilson(c.Flagged(), c.Rows()),
		"tpr":            metrics.Wilson(c.TP, c.Positives()),
		"fpr":            metrics.Wilson(c.FP, c.Negatives()),
	}
	for key, w := range want {
		if w[0] == nil {
			require.Nil(t, got[key])
			continue
		}
		require.InDelta(t, *w[0], got[key].Low, 1e-9)
		require.InDelta(t, *w[1], got[key].High, 1e-9)
	}
}

func checkFairlearn(t *testing.T, groups []metrics.Confusion, overall metrics.Confusion, want map[string]map[string]*float64) {
	measure := map[string]func(func(metrics.Confusion) *float64) Gap{
		"between_groups": func(rate func(metrics.Confusion) *float64) Gap { return Fairlearn.Between(apply(groups, rate)) },
		"to_overall": func(rate func(metrics.Confusion) *float64) Gap {
			return Fairlearn.ToOverall(apply(groups, rate), rate(overall))
		},
	}
	for method, figures := range want {
		gap := measure[method]
		parity, tpr, fpr, fnr := gap(metrics.Confusion.Selection), gap(metrics.Confusion.TPR), gap(metrics.Confusion.FPR), gap(metrics.Confusion.FNR)
		worst, average := Worst(tpr, fpr), Mean(tpr, fpr)
		got := map[string]*float64{
			"demographic_parity_difference": parity.Difference, "demographic_parity_ratio": parity.Ratio,
			"equalized_odds_difference_worst_case": worst.Difference, "equalized_odds_ratio_worst_case": worst.Ratio,
			"equal_opportunity_difference": tpr.Difference, "equal_opportunity_ratio": tpr.Ratio,
			"predictive_equality_difference_fpr": fpr.Difference, "predictive_equality_ratio_fpr": fpr.Ratio,
			"fnr_difference": fnr.Difference, "fnr_ratio": fnr.Ratio,
			"equalized_odds_difference_mean": average.Difference, "equalized_odds_ratio_mean": average.Ratio,
		}
		for key, w := range figures {
			require.Contains(t, got, key)
			near(t, method+" "+key, w, got[key])
		}
	}
}

func checkStrict(t *testing.T, names []string, groups map[string]metrics.Confusion, want map[string]strictGap) {
	for key, w := range want {
		rate := confusionRates[key]
		var all []*float64
		var undefined []string
		for _, n := range names {
			all = append(all, rate(groups[n]))
			if rate(groups[n]) == nil {
				undefined = append(undefined, n)
			}
		}
		gap := Strict.Between(all)
		near(t, key+" difference", w.Difference, gap.Difference)
		near(t, key+" ratio", w.Ratio, gap.Ratio)
		require.ElementsMatch(t, w.Undefined, undefined)
		require.Equal(t, w.Defined, len(all)-len(undefined))
	}
}

func checkComparisons(t *testing.T, groups map[string]metrics.Confusion, want expected) {
	if want.AIF360 != nil {
		name := want.AIF360["privileged"].(string)
		var others metrics.Confusion
		for n, c := range groups {
			if n != name {
				others = others.Add(c)
			}
		}
		got := ComparePrivileged(groups[name], others)
		for key, g := range map[string]*float64{
			"statistical_parity_difference": got.StatisticalParity, "disparate_impact": got.DisparateImpact,
			"equal_opportunity_difference": got.EqualOpportunity, "average_odds_difference": got.AverageOdds,
		} {
			var w *float64
			if v, ok := want.AIF360[key].(float64); ok {
				w = &v
			}
			near(t, "AIF360 "+key, w, g)
		}
	}
	if want.Aequitas != nil {
		for key, by := range want.Aequitas.Disparity {
			for n, w := range by {
				near(t, "Aequitas "+key+" "+n, w, Disparity(confusionRates[key](groups[n]), confusionRates[key](groups[want.Aequitas.Ref])))
			}
		}
	}
}

func checkIntervals(t *testing.T, groups map[string]metrics.Confusion, want expected) {
	for name, figures := range want.CI {
		g, ref := groups[name], groups[want.Aequitas.Ref]
		for key, w := range figures {
			var got *metrics.Estimate
			switch key {
			case "selection_rate_ratio_katz":
				got = metrics.Katz(g.Flagged(), g.Rows(), ref.Flagged(), ref.Rows())
			case "selection_rate_difference_newcombe":
				got = newcombe(metrics.Wilson(g.Flagged(), g.Rows()), metrics.Wilson(ref.Flagged(), ref.Rows()))
			case "fpr_difference_newcombe":
				got = newcombe(metrics.Wilson(g.FP, g.Negatives()), metrics.Wilson(ref.FP, ref.Negatives()))
			default:
				require.Fail(t, "no interval", key)
			}
			require.Equal(t, w == nil, got == nil, key)
			if w != nil {
				require.InDelta(t, w[0], got.Low, 1e-9, key)
				require.InDelta(t, w[1], got.High, 1e-9, key)
			}
		}
	}
}

func newcombe(a, b *metrics.Estimate) *metrics.Estimate {
	if a == nil || b == nil {
		return nil
	}
	e := metrics.Newcombe(*a, *b)
	return &e
}

func apply(groups []metrics.Confusion, rate func(metrics.Confusion) *float64) []*float64 {
	out := make([]*float64, len(groups))
	for i, g := range groups {
		out[i] = rate(g)
	}
	return out
}

func near(t *testing.T, key string, want, got *float64) {
	require.Equal(t, want == nil, got == nil, key)
	if want != nil {
		require.InDelta(t, *want, *got, 1e-9, key)
	}
}

// TestExactGroups: the command's figures are the vectors' by-group figures.
func TestExactGroups(t *testing.T) {
	raw, err := os.ReadFile("testdata/group_metrics.json")
	require.NoError(t, err)
	var f struct{ Cases []groupCase }
	require.NoError(t, json.Unmarshal(raw, &f))
	i := slices.IndexFunc(f.Cases, func(c groupCase) bool { return c.Name == "three_groups_scores" })
	c := f.Cases[i]
	got, err := Exact(c.Score, c.YTrue, []Column{{"g", c.Group}}, .5, Strict)
	require.NoError(t, err)
	for name, want := range c.Expected.ByGroup {
		g := got.Groups["g"][name]
		for key, value := range map[string]*float64{"fpr": g.FPR, "tpr": g.TPR, "ppv": g.PPV, "auc": g.AUROC, "ece_equal_width_10": g.ECE} {
			var w *float64
			require.NoError(t, json.Unmarshal(want[key], &w))
			near(t, name+" "+key, w, value)
		}
	}
	near(t, "gap", c.Expected.Strict["fpr"].Difference, got.Gaps["g"].FPR.Difference)
	_, err = Exact(c.Score, c.YTrue, []Column{{"g", nil}}, .5, Strict)
	require.Error(t, err)
	c.Group[0], c.YTrue[1] = "", -1
	got, err = Exact(c.Score, c.YTrue, []Column{{"g", c.Group}}, .5, Strict)
	require.NoError(t, err)
	require.Equal(t, 1, got.Groups["g"][Missing].N)
}
