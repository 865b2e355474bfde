package train

import (
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/train/trees"
)

// Tuning says how a model is fitted to one party's rows. Zero fields take the
// defaults named.
type Tuning struct {
	Architecture     arch.Spec
	Epochs           int     // most passes over the rows; 0 means 50
	Rate             float64 // of Adam; 0 means 0.001
	Batch            int     // rows of a step; 0 means 64
	Proximal         float64 // μ of ½·μ·‖w − start‖²; 0 means 0.01
	Patience         int     // epochs without a better loss of the rows that judge; 0 means 5
	FreezeEmbeddings bool    // leave category vectors as they are; MLP only
	Validation       float64 // share of training rows that judge; 0 means 0.2
	Rows             int64   // that l2 is shared over: the federation's
	Seed             uint64  // of the order of rows
}

// WithDefaults fills in zero fields.
func (t Tuning) WithDefaults() Tuning {
	t.Architecture = t.Architecture.WithDefaults()
	fillInt(&t.Epochs, 50)
	fillInt(&t.Batch, 64)
	fillInt(&t.Patience, 5)
	fillFloat(&t.Rate, 0.001)
	fillFloat(&t.Proximal, 0.01)
	fillFloat(&t.Validation, 0.2)
	return t
}

func fillInt(v *int, def int) {
	if *v == 0 {
		*v = def
	}
}

func fillFloat(v *float64, def float64) {
	if *v == 0 {
		*v = def
	}
}

// Validate says what is wrong with settings, before or after defaults.
func (t Tuning) Validate() error {
	t = t.WithDefaults()
	switch {
	case t.Architecture.Kind == arch.Trees:
		return ErrTuneTrees
	case t.Architecture.Counts():
		return ErrTuneCounts
	case t.FreezeEmbeddings && t.Architecture.Kind != arch.MLP:
		return fmt.Errorf("fine-tune: %s has no embeddings to freeze", t.Architecture.Kind)
	case t.Epochs < 1 || t.Epochs > maxSteps:
		return fmt.Errorf("fine-tune: %d epochs, want 1 to %d", t.Epochs, maxSteps)
	case t.Batch < 1 || t.Patience < 1:
		return errors.New("fine-tune: batch and patience must be at least 1")
	case !(t.Rate > 0 && t.Rate <= 1) || !(t.Proximal >= 0 && t.Proximal <= 1e3):
		return fmt.Errorf("fine-tune: rate %v and proximal %v, want up to 1 and 1000", t.Rate, t.Proximal)
	case !(t.Validation > 0 && t.Validation <= 0.5):
		return fmt.Errorf("fine-tune: validation %v, want up to 0.5", t.Validation)
	}
	return t.Architecture.Validate()
}

// Errors of fine-tuning that a caller branches on.
var (
	// ErrTuneTrees says that trees are not fine-tuned: their leaves hold sums that only the cohort has.
	ErrTuneTrees = errors.New("trees are not fine-tuned")
	// ErrTuneCounts says that forecasts are not fine-tuned: their report compares probabilities.
	ErrTuneCounts = errors.New("forecasts of counts are not fine-tuned")
	// ErrFewRows says that too few rows are there to train or to judge.
	ErrFewRows = errors.New("too few rows to fine-tune")
)

// fewestJudges is the fewest rows that may say whether a model got better.
const fewestJudges = 20

// Tuned is a model fitted to one party's rows.
type Tuned struct {
	Params []float32 // of the lowest loss of the rows that judge: those it started from, if none was lower
	Epochs int       // after so many
	Ran    int       // epochs run
	Losses []float64 // of the rows that judge, before the first epoch and after each, in nats a row
	Learn  int       // rows that trained
	Judge  *feature.Matrix
}

// FineTune goes on from a federated model on one party's training rows alone
// (Yu et al. 2020, Salvaging Federated Learning by Local Adaptation): Adam with
// the proximal term of FedProx, which keeps it near the model it starts from,
// until the rows that judge say that it gets no better. They are drawn as in a
// run with early stopping (trees 33): under the key of that run they are rows
// which have never trained. rows holds the encoded training rows of table.
func FineTune(t Tuning, start []float32, rows *feature.Matrix, table *feature.Table, key [32]byte) (*Tuned, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	t = t.WithDefaults()
	held := trees.Held(key, t.Validation, table, rows.Row)
	learn := pick(rows, func(row int) bool { return !held[row] && rows.Label[row] != feature.Unlabelled })
	judge := pick(rows, func(row int) bool { return held[row] && rows.Label[row] != feature.Unlabelled })
	if judge.Rows < fewestJudges || !bothClasses(judge.Label) || !bothClasses(learn.Label) {
		return nil, fmt.Errorf("%w: %d train and %d judge, of which each part needs both labels and the second %d rows", ErrFewRows, learn.Rows, judge.Rows, fewestJudges)
	}
	o, err := newObjective(t.Architecture, learn, miniShards(t.Batch), miniBatch(t.Batch))
	if err != nil {
		return nil, err
	}
	if t.FreezeEmbeddings {
		o.frozen = embeddings(t.Architecture, Shape(rows))
	}
	out := &Tuned{Learn: learn.Rows, Judge: judge}
	return out, errors.Join(out.run(t, o, start), o.close())
}

// run trains until the patience is exhausted and keeps the best parameters.
func (out *Tuned) run(t Tuning, o *objective, start []float32) error {
	loss, err := meanLoss(t.Architecture, start, out.Judge)
	if err != nil {
		return err
	}
	out.Params, out.Losses = slices.Clone(start), []float64{loss}
	params, rows, rnd := slices.Clone(start), allRows(o.data.Rows), seeded(t.Seed, 3)
	a, near := newAdam(len(params), t.Rate), &proximal{mu: t.Proximal, start: start}
	weight := float64(max(t.Rows, int64(o.data.Rows)))
	for best := loss; out.Ran < t.Epochs && out.Ran-out.Epochs < t.Patience; {
		if _, err := o.epoch(a, params, rows, t.Batch, weight, near, rnd); err != nil {
			return err
		}
		out.Ran++
		if loss, err = meanLoss(t.Architecture, params, out.Judge); err != nil {
			return err
		}
		out.Losses = append(out.Losses, loss)
		if loss < best*(1-judgeTolerance) {
			best, out.Epochs = loss, out.Ran
			copy(out.Params, params)
		}
	}
	return nil
}

// judgeTolerance is the share of the best loss by which a better one is below it.
const judgeTolerance = 1e-4

// embeddings are the parameters of category vectors.
func embeddings(spec arch.Spec, shape arch.Shape) (all []run) {
	for _, b := range spec.Blocks(shape) {
		if b.Embedding {
			all = append(all, run{from: b.Offset, to: b.Offset + b.Len()})
		}
	}
	return all
}
