package train

import (
	"errors"
	"runtime"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
	"github.com/koinon-eu/koinon/models/trees"
	local "github.com/koinon-eu/koinon/node/train/trees"
)

// forest is what a member keeps of a plan of trees.
type forest struct {
	bins   *trees.Bins
	data   *local.Data
	grower *local.Grower
	alone  *trees.Ensemble
}

// ErrNoRunKey says that a plan draws rows or rounds by chance, for which the
// node must have its own key (trees 8, 31).
var ErrNoRunKey = errors.New("member has no run key")

var errNoForest = errors.New("plan has no trees to grow yet")

// SetRunKey gives the key by which this member draws rows and rounds gradients
// of trees. It is the node's own, and the same whenever a run goes on, so that
// a restarted node makes the same integers (trees 8).
func (m *Member) SetRunKey(key [32]byte) { m.runKey = key }

// forestFor prepares the table for the machine's trees, once.
func (m *Member) forestFor(machine *schedule.Machine) (*forest, error) {
	bins := machine.Forest().Bins()
	if m.forest != nil && m.forest.bins == bins {
		return m.forest, nil
	}
	data, err := local.NewData(bins, machine.Encoder(), m.table, m.table.Select(feature.SelectTrain), runtime.GOMAXPROCS(0))
	if err != nil {
		return nil, err
	}
	m.forest = &forest{bins: bins, data: data}
	return m.forest, nil
}

// growVector computes the histograms that a grow step asks for.
func (m *Member) growVector(machine *schedule.Machine, step schedule.Step) (Vector, error) {
	if machine.Forest() == nil {
		return Vector{}, errNoForest
	}
	f, err := m.forestFor(machine)
	if err != nil {
		return Vector{}, err
	}
	if f.grower == nil {
		grown := machine.Forest()
		if m.runKey == [32]byte{} && (grown.Scale().Stochastic || grown.Params().Rows < 1) {
			return Vector{}, ErrNoRunKey
		}
		if f.grower, err = local.NewGrower(grown, f.data, m.treeOptions()); err != nil {
			return Vector{}, err
		}
	}
	words, err := f.grower.Vector(machine.Forest())
	if err != nil {
		return Vector{}, err
	}
	v := Vector{Ints: make([]int64, len(words)), Rows: uint32(f.data.Rows())}
	for i, w := range words {
		v.Ints[i] = int64(w)
	}
	return v, m.growNoisily(machine, step, &v)
}

func (m *Member) treeOptions() local.Options {
	return local.Options{Threads: runtime.GOMAXPROCS(0), Key: m.runKey}
}

// growAlone grows the plan's trees on one party's rows, with the federation's
// cells and without noise. Rows of one class give ErrOneClass.
func growAlone(machine *schedule.Machine, data *local.Data, o local.Options) (*trees.Ensemble, error) {
	rows, positives := data.Count()
	if positives == 0 || positives == rows {
		return nil, ErrOneClass
	}
	cfg := machine.Forest().Config()
	cfg.Rows, cfg.Positives, cfg.RowsMax = int64(rows), int64(positives), 0
	cfg.Noise, cfg.Members = 0, 0
	own, err := trees.New(cfg, machine.Forest().Bins())
	if err != nil {
		return nil, err
	}
	return local.Grow(own, data, o)
}

// PooledForest grows the plan's trees on the training rows of all members put
// together, without noise: bit for bit the federated ensemble, where all members
// were in every sum, no row is drawn and the plan has no noise (trees 2). Only who owns all tables can call it.
func PooledForest(machine *schedule.Machine, members []*Member) (*trees.Ensemble, error) {
	if machine.Forest() == nil {
		return nil, errNoForest
	}
	var parts []*local.Data
	for _, m := range members {
		f, err := m.forestFor(machine)
		if err != nil {
			return nil, err
		}
		parts = append(parts, f.data)
	}
	pool, err := local.Pool(parts...)
	if err != nil {
		return nil, err
	}
	cfg := machine.Forest().Config()
	cfg.Noise, cfg.Members = 0, 0
	own, err := trees.New(cfg, machine.Forest().Bins())
	if err != nil {
		return nil, err
	}
	return local.Grow(own, pool, members[0].treeOptions())
}

// PooledForestScores are the scores of all members' test rows, one after the other, under PooledForest.
func PooledForestScores(machine *schedule.Machine, members []*Member) ([]float64, error) {
	pooled, err := PooledForest(machine, members)
	if err != nil {
		return nil, err
	}
	var out []float64
	for _, m := range members {
		scores, err := m.treeScores(machine, pooled)
		if err != nil {
			return nil, err
		}
		out = append(out, scores...)
	}
	return out, nil
}

// evaluateTrees is Evaluate for a plan of trees.
func (m *Member) evaluateTrees(machine *schedule.Machine, f *Figures) error {
	kept, err := m.forestFor(machine)
	if err != nil {
		return err
	}
	if f.Federated, err = m.treeScores(machine, machine.Forest().Ensemble()); err != nil {
		return err
	}
	if kept.alone == nil && m.noAlone == nil {
		kept.alone, err = growAlone(machine, kept.data, m.treeOptions())
		if errors.Is(err, ErrOneClass) {
			m.noAlone = err
		} else if err != nil {
			return err
		}
	}
	if m.noAlone != nil {
		return nil
	}
	f.Alone, err = m.treeScores(machine, kept.alone)
	return err
}

// treeScores returns the probability of each test row.
func (m *Member) treeScores(machine *schedule.Machine, e *trees.Ensemble) ([]float64, error) {
	cells, err := e.Bins.Cells(machine.Encoder(), m.table, m.table.Select(feature.SelectTest))
	if err != nil {
		return nil, err
	}
	scorer, err := e.NewScorer()
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(cells)/len(e.Bins.Columns))
	if err := scorer.Logits(cells, out); err != nil {
		return nil, err
	}
	for i, z := range out {
		out[i] = trees.Sigmoid(z)
	}
	return out, nil
}
