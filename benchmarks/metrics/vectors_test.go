package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type vectorFile[C any] struct{ Cases []C }

func readVectors[C any](t *testing.T, name string) []C {
	raw, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	var f vectorFile[C]
	require.NoError(t, json.Unmarshal(raw, &f))
	require.NotEmpty(t, f.Cases)
	return f.Cases
}

type binaryCase struct {
	Name   string
	YTrue  []int8 `json:"y_true"`
	Score  []float64
	Weight []float64 `json:"sample_weight"`
	Cost   struct{ FP, FN float64 }
	// Expected stays raw: keys differ between cases, and each must be tested.
	Expected map[string]json.RawMessage
}

// TestBinaryVectors holds every expected value of every case to 1e-9.
func TestBinaryVectors(t *testing.T) {
	for _, c := range readVectors[binaryCase](t, "binary_metrics.json") {
		t.Run(c.Name, func(t *testing.T) {
			x := Sample{Scores: c.Score, Labels: c.YTrue, Weights: c.Weight}
			require.NoError(t, x.Validate())
			curve := x.Curve()
			conf := x.Confusion(.5)
			p := Sample{Scores: c.Score, Labels: c.YTrue}.foundAmong(len(c.Score)) // rows, not weight
			got := map[string]*float64{
				"n": f(float64(len(c.Score))), "positives": &p,
				"auroc": curve.AUROC(), "auprc_average_precision": curve.AveragePrecision(),
				"brier": x.Brier(), "log_loss": x.LogLoss(),
				"partial_auc_fpr_0.1_mcclish": curve.PartialAUROC(.1),
				"ks_statistic":                curve.KS(),
				"min_expected_cost_mean":      curve.LeastCost(c.Cost.FP, c.Cost.FN),
				"auroc_delong_variance":       curve.DeLong(),
				"ece_equal_width_10":          x.ECE(), "ece_equal_mass_10": x.ECEEqualMass(),
			}
			for key, raw := range c.Expected {
				switch key {
				case "auprc_trapezoid_NOT_recommended": // not offered
				case "at_threshold_0.5":
					checkThreshold(t, c, conf, raw)
				case "tpr_at_fpr", "precision_at_k", "recall_at_k":
					checkMap(t, x, key, raw)
				default:
					g, ok := got[key]
					require.True(t, ok, "no figure for %s", key)
					near(t, key, raw, g)
				}
			}
		})
	}
}

func checkThreshold(t *testing.T, c binaryCase, conf Confusion, raw json.RawMessage) {
	var want map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &want))
	balanced := conf.BalancedAccuracy()
	if balanced == nil { // the vectors take the one class there is
		balanced = conf.TNR()
	}
	// scikit-learn calls precision, recall, F1 and MCC over nothing zero.
	got := map[string]*float64{
		"accuracy": conf.Accuracy(), "precision": zero(conf.PPV()), "recall": zero(conf.TPR()),
		"f1": zero(conf.F1()), "mcc": zero(conf.MCC()), "balanced_accuracy": balanced,
		"tp": &conf.TP, "fp": &conf.FP, "fn": &conf.FN, "tn": &conf.TN,
		"expected_cost_mean": conf.Cost(c.Cost.FP, c.Cost.FN),
	}
	for key, raw := range want {
		g, ok := got[key]
		require.True(t, ok, "no figure for %s", key)
		near(t, key, raw, g)
	}
}

func checkMap(t *testing.T, x Sample, key string, raw json.RawMessage) {
	var want map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &want))
	for arg, raw := range want {
		v, err := strconv.ParseFloat(arg, 64)
		require.NoError(t, err)
		var got *float64
		switch key {
		case "tpr_at_fpr":
			got = x.Curve().TPRAtFPR(v)
		case "precision_at_k":
			got = x.PrecisionAt(int(v))
		case "recall_at_k":
			got = x.RecallAt(int(v))
		}
		near(t, key+" "+arg, raw, got)
	}
}

type federatedCase struct {
	Name      string
	Threshold float64
	YTrue     []int8 `json:"y_true"`
	Score     []float64
	Group     []string
	Client    []int
	Expected  struct {
		PerClientGroupCounts map[string]struct{ N, TP, FP, FN, TN float64 } `json:"per_client_group_counts"`
		Pooled               struct {
			ByGroup map[string]struct{ TP, FP, FN, TN float64 } `json:"by_group"`
		}
		AUCExact     float64 `json:"auc_exact"`
		AUCHistogram map[string]struct {
			AUC   float64 `json:"auc_binned_midrank"`
			Bound float64 `json:"max_abs_error_bound"`
		} `json:"auc_histogram"`
		ECE         float64  `json:"ece_equal_width_10"`
		Suppressed  []string `json:"suppressed_client_group_cells_lt_10"`
		MeanClients float64  `json:"sample_weighted_mean_of_client_auc"`
	}
}

// TestFederatedVectors: summed counts give pooled figures exactly, the mean of
// the clients' AUROC does not, and binning is off by no more than its bound.
func TestFederatedVectors(t *testing.T) {
	for _, c := range readVectors[federatedCase](t, "federated_aggregation.json") {
		t.Run(c.Name, func(t *testing.T) {
			x := Sample{Scores: c.Score, Labels: c.YTrue}
			require.InDelta(t, c.Expected.AUCExact, *x.Curve().AUROC(), 1e-9)
			require.InDelta(t, c.Expected.ECE, *x.ECE(), 1e-9)
			pooled := map[string]Confusion{}
			var suppressed []string
			for key, want := range c.Expected.PerClientGroupCounts {
				client, group, _ := strings.Cut(key, "|")
				conf := x.Only(func(row int) bool { return strconv.Itoa(c.Client[row]) == client && c.Group[row] == group }).Confusion(c.Threshold)
				require.Equal(t, Confusion{want.TP, want.FP, want.FN, want.TN}, conf)
				pooled[group] = pooled[group].Add(conf)
				if conf.Rows() < 10 {
					suppressed = append(suppressed, key)
				}
			}
			require.ElementsMatch(t, c.Expected.Suppressed, suppressed)
			for group, want := range c.Expected.Pooled.ByGroup {
				require.Equal(t, Confusion{want.TP, want.FP, want.FN, want.TN}, pooled[group])
			}
			for key, want := range c.Expected.AUCHistogram {
				bins, err := strconv.Atoi(key)
				require.NoError(t, err)
				h := Sample{Labels: c.YTrue, Scores: make([]float64, len(c.Score))}
				for i, s := range c.Score {
					h.Scores[i] = min(math.Floor(s*float64(bins)), float64(bins-1))
				}
				curve := h.Curve()
				require.InDelta(t, want.AUC, *curve.AUROC(), 1e-9, key)
				require.InDelta(t, want.Bound, *curve.BinningError(), 1e-9, key)
			}
			var mean float64
			for client := range 3 {
				own := x.Only(func(row int) bool { return c.Client[row] == client })
				mean += *own.Curve().AUROC() * float64(len(own.Scores)) / float64(len(c.Score))
			}
			require.InDelta(t, c.Expected.MeanClients, mean, 1e-9)
			require.Greater(t, math.Abs(mean-c.Expected.AUCExact), .005)
		})
	}
}

func near(t *testing.T, key string, raw json.RawMessage, got *float64) {
	var want *float64
	require.NoError(t, json.Unmarshal(raw, &want))
	require.Equal(t, want == nil, got == nil, "%s: want %s", key, raw)
	if want != nil {
		require.InDelta(t, *want, *got, 1e-9, fmt.Sprint(key))
	}
}

func f(x float64) *float64 { return &x }

func zero(x *float64) *float64 {
	if x == nil {
		return f(0)
	}
	return x
}
