package finetune

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/train"
)

// Notice stands on every page of a report.
const Notice = "Local: made on this node from this member's rows. Not released, not signed, not gated, and not comparable with the federation's report."

const format = "koinon/fine-tune/v1"

// leastRows is the fewest test rows of a group that is shown by itself.
const leastRows = 20

// Report says what fine-tuning was worth on this member's test rows.
type Report struct {
	Format    string    `json:"format"`
	Notice    string    `json:"notice"`
	Member    string    `json:"member"`
	Model     string    `json:"model"`
	Purpose   string    `json:"purpose"`
	Source    string    `json:"source"`
	From      string    `json:"from"`               // digest that the fine-tuned artifact names
	Artifact  string    `json:"artifact,omitempty"` // digest of the fine-tuned model; empty: it got no better and none was written
	Time      time.Time `json:"time"`
	Settings  Settings  `json:"settings"`
	Epochs    int       `json:"epochs"`     // whose parameters were kept; 0: those of the federated model
	EpochsRun int       `json:"epochs_run"` // before the rows that judge said that it gets no better
	Losses    []float64 `json:"validation_losses"`
	LearnRows int       `json:"rows_trained"`
	JudgeRows int       `json:"rows_judged"`
	TestRows  int       `json:"test_rows"`
	Positives int       `json:"test_positives"`

	Federated Side  `json:"federated"`
	Tuned     Side  `json:"fine_tuned"`
	Alone     *Side `json:"alone"` // null when the training rows are of one class

	OverFederated *metrics.Estimate `json:"gain_over_federated"` // AUROC, fine-tuned − federated; null when not defined
	OverAlone     *metrics.Estimate `json:"gain_over_alone"`
	Groups        []Group           `json:"groups"`
	Hidden        int               `json:"groups_hidden"` // with too few test rows to be shown
}

// Settings of a fine-tuning.
type Settings struct {
	Architecture arch.Spec `json:"architecture"`
	Epochs       int       `json:"epochs"`
	Rate         float64   `json:"rate"`
	Batch        int       `json:"batch"`
	Proximal     float64   `json:"proximal"`
	Patience     int       `json:"patience"`
	Frozen       bool      `json:"freeze_embeddings"`
	Seed         uint64    `json:"seed"`
}

// Side is one model on the test rows.
type Side struct {
	metrics.Figures
	Interval *metrics.Estimate `json:"auroc_interval"` // 95 %
}

// Group is the test rows of one value of a group column. A figure that is not
// defined, for instance because all rows are of one class, is null.
type Group struct {
	Column        string            `json:"column"`
	Value         string            `json:"value"`
	Rows          int               `json:"rows"`
	Positives     int               `json:"positives"`
	Federated     *metrics.Estimate `json:"federated_auroc"`
	Tuned         *metrics.Estimate `json:"fine_tuned_auroc"`
	Alone         *metrics.Estimate `json:"alone_auroc"`
	OverFederated *metrics.Estimate `json:"gain_over_federated"`
}

// JSON returns the report for programs.
func (r *Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", "  ") }

// scored are the test rows under the three models; alone may be nil.
type scored struct{ federated, tuned, alone []float64 }

func (c *compared) score() (s scored, err error) {
	spec := c.in.Tuning.Architecture
	if s.federated, err = train.Scores(spec, c.in.Model.Params, c.test); err != nil {
		return s, err
	}
	if s.tuned, err = train.Scores(spec, c.tuned.Params, c.test); err != nil || c.alone == nil {
		return s, err
	}
	s.alone, err = train.Scores(spec, c.alone.Params, c.test)
	return s, err
}

func (c *compared) report() (*Report, error) {
	t, h := c.in.Tuning, c.in.Model.Header
	r := &Report{
		Format: format, Notice: Notice, Member: c.in.Member, Model: h.Name, Purpose: h.Purpose, Source: c.in.Source,
		From: hex.EncodeToString(c.in.From[:]), Time: c.in.Time.UTC().Truncate(time.Second),
		Settings: Settings{t.Architecture, t.Epochs, t.Rate, t.Batch, t.Proximal, t.Patience, t.FreezeEmbeddings, t.Seed},
		Epochs:   c.tuned.Epochs, EpochsRun: c.tuned.Ran, Losses: c.tuned.Losses,
		LearnRows: c.tuned.Learn, JudgeRows: c.tuned.Judge.Rows,
	}
	for _, y := range c.test.Label {
		if y != feature.Unlabelled {
			r.TestRows++
			r.Positives += int(y)
		}
	}
	s, err := c.score()
	if err != nil {
		return nil, err
	}
	if err := c.sides(r, s); err != nil {
		return nil, err
	}
	if r.OverFederated, err = gain(s.tuned, s.federated, c.test.Label); err != nil {
		return nil, err
	}
	if r.OverAlone, err = gain(s.tuned, s.alone, c.test.Label); err != nil {
		return nil, err
	}
	return r, c.groups(r, s)
}

// sides fills in the figures of the three models. The federated one has the
// federation's operating point, the others that of the rows that judge.
func (c *compared) sides(r *Report, s scored) error {
	r.Federated = sideOf(s.federated, c.test.Label, c.in.Model.Header.Threshold)
	at, err := c.threshold(c.tuned.Params)
	if err != nil {
		return err
	}
	r.Tuned = sideOf(s.tuned, c.test.Label, at)
	if s.alone == nil {
		return nil
	}
	if at, err = c.threshold(c.alone.Params); err != nil {
		return err
	}
	alone := sideOf(s.alone, c.test.Label, at)
	r.Alone = &alone
	return nil
}

// only are the labelled rows for which keep holds.
func only(scores []float64, labels []int8, keep func(row int) bool) metrics.Sample {
	x := metrics.Sample{Scores: scores, Labels: labels}
	return x.Only(func(row int) bool { return labels[row] != feature.Unlabelled && keep(row) })
}

func sideOf(scores []float64, labels []int8, threshold float64) Side {
	x := only(scores, labels, func(int) bool { return true })
	return Side{Figures: x.Figures(threshold), Interval: x.Curve().AUROCInterval()}
}

// groups fills in the figures by group, large ones only.
func (c *compared) groups(r *Report, s scored) error {
	r.Groups = []Group{}
	for at, column := range c.in.Model.Encoder.Group {
		for value, name := range column.Values {
			in := func(row int) bool { return int(c.test.Groups[at][row]) == value }
			x := only(s.federated, c.test.Label, in)
			g := Group{Column: column.Column, Value: name, Rows: len(x.Labels)}
			if g.Rows < leastRows {
				if g.Rows > 0 {
					r.Hidden++
				}
				continue
			}
			for _, y := range x.Labels {
				g.Positives += int(y)
			}
			y := only(s.tuned, c.test.Label, in)
			g.Federated, g.Tuned = x.Curve().AUROCInterval(), y.Curve().AUROCInterval()
			if s.alone != nil {
				g.Alone = only(s.alone, c.test.Label, in).Curve().AUROCInterval()
			}
			var err error
			if g.OverFederated, err = gain(y.Scores, x.Scores, x.Labels); err != nil {
				return err
			}
			r.Groups = append(r.Groups, g)
		}
	}
	return nil
}
