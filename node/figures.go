package node

import (
	"encoding/hex"
	"math"
	"time"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/node/train"
)

// Figures compare, on this member's own test rows, the federated model with one trained on its own rows alone. They
// are for this member's eyes and are written to its own machine only.
type Figures struct {
	Run       string            `json:"run"`
	Plan      federation.Digest `json:"plan"`
	Name      string            `json:"name"` // of the plan
	Member    string            `json:"member"`
	Time      time.Time         `json:"time"`
	TrainRows int               `json:"train_rows"`
	TestRows  int               `json:"test_rows"`
	Positives int               `json:"test_positives"`
	Federated Side              `json:"federated"`
	Alone     *Side             `json:"alone"` // null when the training rows are of one class
	Gain      *metrics.Estimate `json:"gain"`  // AUROC, federated − alone; null when not defined
	// Forecasts are the figures of a plan of counts, whose other figures are empty.
	Forecasts *metrics.ForecastFigures `json:"forecasts,omitempty"`
	// Detail holds the scores behind the figures, for a benchmark in the same process. It is never stored.
	Detail *train.Figures `json:"-"`
}

// Side is one model on this member's test rows.
type Side struct {
	metrics.Figures
	Interval *metrics.Estimate `json:"auroc_interval"` // 95 %
}

// side computes the figures of one model at the operating threshold.
func side(scores []float64, labels []int8, threshold float64) (*Side, error) {
	f, err := metrics.Exact(scores, labels, threshold)
	if err != nil {
		return nil, err
	}
	s := metrics.Sample{Scores: scores, Labels: labels}
	s = s.Only(func(row int) bool { return labels[row] >= 0 })
	return &Side{Figures: f, Interval: s.Curve().AUROCInterval()}, nil
}

// finished keeps this member's own figures once the evaluation is closed.
func (a *actor) finished() {
	if !a.run.Done || !a.machine.Done() {
		return
	}
	f, err := a.figures()
	if err == nil {
		err = a.n.cfg.Store.SaveFigures(f)
	}
	if err != nil {
		a.log.Warn("own figures not kept", "err", err)
		return
	}
	a.log.Info("run finished; own figures are kept here", "test_rows", f.TestRows)
	a.rest()
	if a.n.cfg.Hooks.Figure != nil {
		a.n.cfg.Hooks.Figure(f)
	}
}

// rest gives back what only training needs.
func (a *actor) rest() {
	a.training.Lock()
	defer a.training.Unlock()
	if a.member != nil {
		if err := a.member.Close(); err != nil {
			a.log.Debug("training graph not released", "err", err)
		}
		a.member = nil
	}
	a.data = snapshot{}
}

func (a *actor) figures() (Figures, error) {
	a.training.Lock()
	defer a.training.Unlock()
	member, err := a.ready()
	if err != nil {
		return Figures{}, err
	}
	detail := member.Figures()
	if detail == nil { // this node was not in the evaluate round
		if detail, err = member.Evaluate(a.machine); err != nil {
			return Figures{}, err
		}
	}
	f := Figures{
		Run: hex.EncodeToString(a.run.ID[:]), Plan: a.digest, Name: a.plan.Name, Member: a.n.cfg.Member,
		Time: time.Now().UTC(), TrainRows: member.Rows(), TestRows: len(detail.Labels), Detail: detail,
	}
	for _, y := range detail.Labels {
		if y == 1 {
			f.Positives++
		}
	}
	if detail.Forecasts != nil {
		of := detail.Forecasts.Figures()
		f.Forecasts = &of
		return f, nil
	}
	threshold := 0.5
	if t, ok := a.machine.Tally().Threshold(a.plan.Operating.FPR); ok {
		threshold = t
	}
	federated, err := side(detail.Federated, detail.Labels, threshold)
	if err != nil {
		return f, err
	}
	f.Federated = *federated
	if detail.Alone == nil {
		return f, nil
	}
	if f.Alone, err = side(detail.Alone, detail.Labels, threshold); err != nil {
		return f, err
	}
	f.Gain, err = pairedGain(detail)
	return f, err
}

// pairedGain is the gain in AUROC with the 95 % interval of the paired difference (DeLong).
func pairedGain(d *train.Figures) (*metrics.Estimate, error) {
	gain, variance, err := metrics.PairedGain(d.Federated, d.Alone, d.Labels)
	if err != nil || gain == nil {
		return nil, err
	}
	half := metrics.Z95 * math.Sqrt(*variance)
	return &metrics.Estimate{Value: *gain, Low: max(*gain-half, -1), High: min(*gain+half, 1)}, nil
}
