package finetune

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/train"
)

// Input is what a fine-tuning works on.
type Input struct {
	Member string
	Source string          // of the model in words: the run, or the release
	From   [32]byte        // its digest: of a release's artifact, or of a run's state
	Model  *artifact.Model // federated; its threshold is the federation's operating point
	Table  *feature.Table  // the national table under the model's schema
	Key    [32]byte        // draws the rows that judge: the configuration of the run, see train.FineTune
	FPR    float64         // at which thresholds are set
	Tuning train.Tuning    // architecture and rows are taken from the model
	Alone  train.Settings  // of the model of this member's rows alone
	Time   time.Time
}

// Result is the report, and the artifact where fine-tuning found better
// parameters than it started from; else nil.
type Result struct {
	Report   *Report
	Artifact []byte
}

// Run fine-tunes and evaluates. train.ErrFewRows, train.ErrTuneTrees and
// settings out of range are errors of it.
func Run(in Input) (*Result, error) {
	in.Tuning.Architecture, in.Tuning.Rows = in.Model.Header.Architecture, in.Model.Encoder.Rows
	if err := in.Tuning.Validate(); err != nil {
		return nil, err
	}
	in.Tuning = in.Tuning.WithDefaults()
	member := train.NewMember(in.Table)
	rows, err := member.TrainRows(in.Model.Encoder)
	if err != nil {
		return nil, err
	}
	test, err := member.TestRows(in.Model.Encoder)
	if err != nil {
		return nil, err
	}
	tuned, err := train.FineTune(in.Tuning, in.Model.Params, rows, in.Table, in.Key)
	if err != nil {
		return nil, err
	}
	in.Alone.Architecture = in.Tuning.Architecture
	alone, err := train.Converge(in.Alone, rows)
	if err != nil && !errors.Is(err, train.ErrOneClass) {
		return nil, fmt.Errorf("alone: %w", err)
	}
	c := compared{in: in, rows: rows, test: test, tuned: tuned, alone: alone}
	report, err := c.report()
	if err != nil || tuned.Epochs == 0 {
		return &Result{Report: report}, err
	}
	body, digest, err := c.artifact(report.Tuned.Threshold)
	report.Artifact = digest
	return &Result{Report: report, Artifact: body}, err
}

// compared is what a report is made of.
type compared struct {
	in         Input
	rows, test *feature.Matrix
	tuned      *train.Tuned
	alone      *train.Fit // nil where all rows are of one class
}

// artifact returns the fine-tuned model, marked, and its digest in hexadecimal.
func (c *compared) artifact(threshold float64) (body []byte, digest string, err error) {
	model := *c.in.Model
	model.Header.Name += "-fine-tuned"
	model.Header.FineTuned = hex.EncodeToString(c.in.From[:])
	model.Header.Threshold, model.Header.Bands = threshold, artifact.BandsAt(threshold, 2)
	model.Params = c.tuned.Params
	if body, err = model.Marshal(); err != nil {
		return nil, "", err
	}
	sum, err := model.Digest()
	return body, hex.EncodeToString(sum[:]), err
}

// threshold is the lowest score of the rows that judge at which at most the
// wanted share of those without a finding is flagged; 2 flags nothing.
func (c *compared) threshold(params []float32) (float64, error) {
	scores, err := train.Scores(c.in.Tuning.Architecture, params, c.tuned.Judge)
	if err != nil {
		return 0, err
	}
	lowest := 2.0
	for _, p := range (metrics.Sample{Scores: scores, Labels: c.tuned.Judge.Label}).Curve().ROC() {
		if p.FPR <= c.in.FPR && p.Threshold < lowest {
			lowest = p.Threshold
		}
	}
	return lowest, nil
}

// gain is AUROC(a) − AUROC(b) on the same rows with the 95 % interval of the
// paired difference (DeLong); nil where it is not defined.
func gain(a, b []float64, labels []int8) (*metrics.Estimate, error) {
	if a == nil || b == nil {
		return nil, nil
	}
	value, variance, err := metrics.PairedGain(a, b, labels)
	if err != nil || value == nil {
		return nil, err
	}
	half := metrics.Z95 * math.Sqrt(*variance)
	return &metrics.Estimate{Value: *value, Low: max(*value-half, -1), High: min(*value+half, 1)}, nil
}
