package report

import (
	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// Format names the layout of the canonical JSON.
const Format = "koinon/report/1"

// Input is what a report is made from. Everything but the tally is recorded
// fact; nothing is measured from it.
type Input struct {
	Tally    *metrics.Tally
	Plan     Plan
	Rounds   []Round
	Gates    []fairness.Gate
	Withheld map[string][]string // by group column: values the plan names as too few to judge

	Histograms *Histograms // what growing trees showed; nil for other models, and where noise covers it
	Limits     []string    // further limits in plain words, after the standing ones
}

// Plan is what the reader must know of the plan; digests are lower-case hex.
type Plan struct {
	Federation   string   `json:"federation"`
	Name         string   `json:"name"`
	Digest       string   `json:"digest"`
	Artifact     string   `json:"artifact"`
	Purpose      string   `json:"purpose"`
	Unit         string   `json:"unit"`
	Target       string   `json:"target"`
	Use          string   `json:"use"`
	Architecture string   `json:"architecture"`
	Algorithm    string   `json:"algorithm"`
	Members      []string `json:"members"`
	// FPR is the plan's operating point.
	FPR float64 `json:"fpr"`
}

// Round is one closed masked sum of the run.
type Round struct {
	Number    uint32   `json:"number"`
	Kind      string   `json:"kind"` // statistics, train, evaluate
	Survivors []string `json:"survivors"`
}

// Report is the published evaluation of a candidate. Null is undefined or
// withheld; Suppressed says which and why.
type Report struct {
	Format     string            `json:"format"`
	Plan       Plan              `json:"plan"`
	Rounds     []RoundKind       `json:"rounds"`
	Missing    []Absence         `json:"missing"`
	Histograms *Histograms       `json:"histograms,omitempty"`
	Rows       int64             `json:"rows"`
	Found      int64             `json:"found"`
	Verdict    fairness.Outcome  `json:"verdict"`
	Gates      []fairness.Result `json:"gates"`
	Overall    Overall           `json:"overall"`
	Operating  *Operating        `json:"operating"`
	Gain       Gain              `json:"gain"`
	Bands      []Band            `json:"bands"`
	Columns    []Column          `json:"columns"`
	Suppressed []string          `json:"suppressed"`
	Limits     []string          `json:"limits"`
}

// RoundKind counts the rounds of one kind and the fewest members in any of them.
type RoundKind struct {
	Kind   string `json:"kind"`
	Rounds int    `json:"rounds"`
	Fewest int    `json:"fewest"`
}

// Histograms says how many cells the opened sums of trees showed, those that
// follow by subtraction included, and how many of them had by weight fewer than
// five rows behind them: how close the sums come to single rows (trees 46).
type Histograms struct {
	Cells int64   `json:"cells"`
	Small int64   `json:"below_five_rows"`
	Share float64 `json:"share"`
}

// Absence names members of the plan that were not in a round's sum.
type Absence struct {
	Round   uint32   `json:"round"`
	Kind    string   `json:"kind"`
	Members []string `json:"members"`
}

// Overall are the figures over all rows. AUROCError bounds the error of
// counting scores in Bins bins.
type Overall struct {
	Bins         int               `json:"bins"`
	AUROC        *metrics.Estimate `json:"auroc"`
	AUROCError   *float64          `json:"auroc_error"`
	AUPRC        *float64          `json:"auprc"`
	Brier        *float64          `json:"brier"`
	ECE          *float64          `json:"ece"`
	LogLoss      *float64          `json:"log_loss"`
	OverExpected *metrics.Estimate `json:"observed_over_expected"`
	TPRAtFPR     TPRAtFPR          `json:"tpr_at_fpr"`
}

// TPRAtFPR is the share of those found that is flagged at three limits of the
// FPR, with Wilson's interval.
type TPRAtFPR struct {
	At1  *metrics.Estimate `json:"0.01"`
	At5  *metrics.Estimate `json:"0.05"`
	At10 *metrics.Estimate `json:"0.1"`
}

// Operating is the model at the plan's operating point: a row is flagged when
// its score is at least Threshold. Confusion is null when a count of it is a
// small cell.
type Operating struct {
	Threshold float64            `json:"threshold"`
	Confusion *metrics.Confusion `json:"confusion"`
	Selection *metrics.Estimate  `json:"selection_rate"`
	TPR       *metrics.Estimate  `json:"tpr"`
	FPR       *metrics.Estimate  `json:"fpr"`
	PPV       *metrics.Estimate  `json:"ppv"`
}

// Gain is what members gained in AUROC over models of their own: how many have
// a defined gain, how many gained, the mean with its interval, and the standard
// deviation between members. No member's own figure is in it.
type Gain struct {
	Members int64             `json:"members"`
	Gained  int64             `json:"gained"`
	Mean    *metrics.Estimate `json:"mean"`
	Spread  *float64          `json:"spread"`
}

// Band is a range of scores [Low, High) wide enough to publish: at least
// fairness.SmallCell rows found and as many not found. Mean is the mean score,
// from the middles of its bins.
type Band struct {
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Mean  float64 `json:"mean"`
	Rows  int64   `json:"rows"`
	Found int64   `json:"found"`
}

// Column is one group attribute.
type Column struct {
	Name   string  `json:"name"`
	Groups []Group `json:"groups"`
	Gaps   []Gap   `json:"gaps"`
}

// Group is one value of an attribute as published. When About is set, Rows
// and Found are rounded to ten, FPR and selection rate to .001, the other rates
// to .01 and observed over expected to .1, because fewer than
// fairness.SmallCell rows of one label stand behind it or its neighbour.
type Group struct {
	Value        string            `json:"value"`
	Note         string            `json:"note,omitempty"`
	About        bool              `json:"about,omitempty"`
	Rows         *int64            `json:"rows"`
	Found        *int64            `json:"found"`
	Selection    *metrics.Estimate `json:"selection_rate"`
	FPR          *metrics.Estimate `json:"fpr"`
	TPR          *metrics.Estimate `json:"tpr"`
	FNR          *metrics.Estimate `json:"fnr"`
	PPV          *metrics.Estimate `json:"ppv"`
	AUROC        *metrics.Estimate `json:"auroc"`
	OverExpected *metrics.Estimate `json:"observed_over_expected"`
	ECE          *float64          `json:"ece"`
}

// Gap is the largest difference of a rate between two groups of a column; null
// with fewer than two groups to compare. Rate is a gate metric's name.
type Gap struct {
	Rate       string            `json:"rate"`
	Difference *metrics.Estimate `json:"difference"`
	Ratio      *float64          `json:"ratio"`
	Highest    string            `json:"highest,omitempty"`
	Lowest     string            `json:"lowest,omitempty"`
	NotJudged  []string          `json:"not_judged,omitempty"`
}
