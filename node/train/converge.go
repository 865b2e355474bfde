package train

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
)

// Fit is a model trained on one table.
type Fit struct {
	Params []float32
	Loss   float64 // objective per row at the end
	Steps  int     // L-BFGS iterations or epochs
}

// Settings of training to convergence.
type Settings struct {
	Architecture arch.Spec
	Rate         float64 // of Adam, for an MLP
	Batch        int     // rows of a mini-batch, for an MLP
	Seed         uint64  // of initial parameters and of the order of rows
}

const (
	holdOut    = 10    // one row in so many judges when an MLP stops
	smallTable = 5_000 // rows up to which every row judges,
	smallFolds = 3     // in so many parts
	patience   = 5     // judgements without a better one
	interval   = 50    // least mini-batches from one judgement to the next
)

// ErrOneClass says that a table holds rows of one label only, or counts that are
// all zero: there is nothing to separate, so no model is trained and its figures are undefined.
var ErrOneClass = errors.New("training rows are of one class")

// Converge trains on the labelled rows of m until the relative change of the
// loss is below 1e-6, or for 1,000 steps.
//
// Logistic and log-linear regression run L-BFGS on the whole table; the loss is the training
// objective. An MLP runs Adam on mini-batches, a step being an epoch. Its
// training loss would fall until every row is learnt by heart, so the loss that
// decides is that of rows held out (a tenth; in tables up to 5,000 rows each
// row once, in three folds). It has converged when it has not improved over
// five judgements, at least fifty mini-batches apart. Then the MLP is trained
// anew on all rows for the best number of epochs, so that nothing is withheld
// from the yardstick.
func Converge(s Settings, m *feature.Matrix) (*Fit, error) {
	m, err := labelled(m)
	if err != nil {
		return nil, err
	}
	if !trainable(m) {
		return nil, ErrOneClass
	}
	if s.Architecture.Flat() {
		return convergeFlat(s, m)
	}
	return convergeMLP(s, m)
}

func convergeFlat(s Settings, m *feature.Matrix) (*Fit, error) {
	o, err := newObjective(s.Architecture, m, fullShards, fullBatch)
	if err != nil {
		return nil, err
	}
	first, err := s.start(m)
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	w := make([]float64, len(first))
	for i, v := range first {
		w[i] = float64(v)
	}
	w, loss, steps, err := lbfgs(o.value, w)
	if err = errors.Join(err, o.close()); err != nil {
		return nil, err
	}
	fit := &Fit{Params: make([]float32, len(w)), Loss: loss, Steps: steps}
	for i, v := range w {
		fit.Params[i] = float32(v)
	}
	return fit, nil
}

func convergeMLP(s Settings, m *feature.Matrix) (*Fit, error) {
	o, err := newObjective(s.Architecture, m, miniShards(s.Batch), miniBatch(s.Batch))
	if err != nil {
		return nil, err
	}
	epochs, err := bestEpochs(s, m, o)
	if err == nil {
		var fit *Fit
		if fit, err = runEpochs(s, m, o, epochs); err == nil {
			return fit, o.close()
		}
	}
	return nil, errors.Join(err, o.close())
}

// fold is one training without some of the rows, which judge it.
type fold struct {
	held, rows []int32
	params     []float32
	adam       *adam
}

// folds divides the rows: a small table into three parts of which each judges
// once, a large one into a tenth that judges and the rest.
func (s Settings) folds(m *feature.Matrix, rnd io.Reader) ([]fold, error) {
	rows := allRows(m.Rows)
	if err := shuffle(rows, rnd); err != nil {
		return nil, err
	}
	parts, used := holdOut, 1
	if m.Rows <= smallTable {
		parts, used = smallFolds, smallFolds
	}
	out := make([]fold, used)
	for i := range out {
		from, to := m.Rows*i/parts, m.Rows*(i+1)/parts
		params, err := s.start(m)
		if err != nil {
			return nil, err
		}
		out[i] = fold{
			held: rows[from:to], rows: slices.Concat(rows[:from], rows[to:]),
			params: params, adam: newAdam(len(params), s.Rate),
		}
	}
	return out, nil
}

// bestEpochs trains without the held-out rows and returns after how many
// epochs these were judged best.
func bestEpochs(s Settings, m *feature.Matrix, o *objective) (int, error) {
	rnd := seeded(s.Seed, 1)
	folds, err := s.folds(m, rnd)
	if err != nil {
		return 0, err
	}
	batches := len(folds[0].rows)/s.Batch + 1
	every := (interval + batches - 1) / batches // epochs between judgements
	best, at := 0.0, 0
	for epoch := 1; epoch <= maxSteps && (at == 0 || epoch <= at+patience*every); epoch++ {
		loss, err := o.judge(s, folds, rnd, epoch%every == 0)
		if err != nil {
			return 0, err
		}
		if epoch%every == 0 && (at == 0 || loss < best*(1-tolerance)) {
			best, at = loss, epoch
		}
	}
	return at, nil
}

// judge runs one epoch of each fold and, if asked, returns the loss over all
// held-out rows.
func (o *objective) judge(s Settings, folds []fold, rnd io.Reader, ask bool) (float64, error) {
	total := 0.0
	for i := range folds {
		f := &folds[i]
		if _, err := o.epoch(f.adam, f.params, f.rows, s.Batch, float64(len(f.rows)), nil, rnd); err != nil {
			return 0, err
		}
		if !ask {
			continue
		}
		copy(o.engine.Params(), f.params)
		loss, err := o.engine.Loss(o.data, o.labels, f.held)
		if err != nil {
			return 0, err
		}
		total += loss
	}
	return total, nil
}

func runEpochs(s Settings, m *feature.Matrix, o *objective, epochs int) (*Fit, error) {
	t, err := newTrainer(s, m, o)
	if err != nil {
		return nil, err
	}
	fit := &Fit{Params: t.params, Steps: epochs}
	for range epochs {
		if fit.Loss, err = t.Epoch(); err != nil {
			return nil, err
		}
	}
	return fit, nil
}

// seeded returns a stream for choices that need not be secret, such as the
// order of rows.
func seeded(seed, use uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], use)
	copy(key[16:], "koinon/train")
	return rand.NewChaCha8(key)
}
