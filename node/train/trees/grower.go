package trees

import (
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/models/trees"
)

// Options of a member's side.
type Options struct {
	Threads int      // at most so many goroutines; 0 means 1
	Key     [32]byte // the node's run key: draws rows and rounding (trees 8, 31)
	RowsMax int      // the member's own limit, signed in its approval; 0 means none (trees 9)
}

// Grower answers the queries of one machine over one member's rows. It follows
// the machine: which rows stand in which tree node, the scores and gradients
// are a cache of what the machine's trees say, and are made again where it
// comes to a state it has not seen (trees 54). It serves one goroutine at a time.
type Grower struct {
	data    *Data
	params  trees.Params
	scale   trees.Scale
	weights [2]float64
	key     [32]byte
	threads int
	shards  []shard

	held    []bool // rows that judge; nil without a patience
	score   []float64
	applied int          // trees in the scores
	first   int          // of the step that follows; -1 before any
	growing [][]standing // of that step: for each tree, each shard
	values  [][]uint64   // ĝ·2³²+ĥ of each row; wide: ĝ, and ĥ

	workers []worker
}

// ErrTooManyRows says that a member has more rows than it signed for: its share
// of the bound on which the cells of sums rest (trees 7, 9).
var ErrTooManyRows = errors.New("more rows than rows_max")

// NewGrower prepares a member's rows for a machine at any state.
func NewGrower(m *trees.Machine, data *Data, o Options) (*Grower, error) {
	if data.bins != m.Bins() {
		return nil, errors.New("trees: rows were binned for another machine")
	}
	if o.RowsMax > 0 && data.rows > o.RowsMax {
		return nil, fmt.Errorf("trees: %d rows, at most %d: %w", data.rows, o.RowsMax, ErrTooManyRows)
	}
	p := m.Params()
	g := &Grower{
		data: data, params: p, scale: m.Scale(), weights: [2]float64{p.Weights[0], p.Weights[1]},
		key: o.Key, threads: max(o.Threads, 1), first: -1,
	}
	g.shards = share(data.rows, g.threads)
	g.score = make([]float64, data.rows)
	for i := range g.score {
		g.score[i] = m.Base()
	}
	for range g.scale.CellWords() {
		g.values = append(g.values, make([]uint64, data.rows))
	}
	if p.Patience > 0 {
		g.held = held(m.Config().Plan, p.Validation, data.keys)
	}
	g.workers = make([]worker, g.threads)
	return g, nil
}

// Vector returns the member's words for the machine's next query. Its length is
// that of the query, and a member without rows sends zeros.
func (g *Grower) Vector(m *trees.Machine) ([]uint64, error) {
	q, ok := m.Query()
	if !ok {
		return nil, trees.ErrComplete
	}
	if len(m.Trees()) < g.applied {
		return nil, errors.New("trees: machine went back behind trees that were already followed")
	}
	growing, first := m.Growing()
	if first != g.first {
		g.begin(m, first, len(growing))
	}
	g.descend(growing)
	out := make([]uint64, q.Words)
	if q.Head > 0 {
		out[0], out[1] = g.loss()
	}
	g.histograms(&q, out)
	return out, nil
}

// begin brings the scores up to the step's first tree and makes its gradients.
func (g *Grower) begin(m *trees.Machine, first, count int) {
	done := m.Trees()
	parallel(g.threads, len(g.shards), func(w, task int) {
		s := g.shards[task]
		for t := g.applied; t < len(done); t++ {
			if k := t - g.first; g.first >= 0 && k < len(g.growing) {
				st := &g.growing[k][task]
				g.follow(st, done[t], g.workers[w].scratch(s))
				g.addLeaves(s, st, done[t])
				continue
			}
			for i := s.from; i < s.to; i++ {
				g.score[i] += g.data.walk(done[t], i)
			}
		}
	})
	g.applied, g.first = len(done), first
	g.gradients(first)
	g.growing = make([][]standing, count)
	for t := range g.growing {
		g.growing[t] = make([]standing, len(g.shards))
	}
	parallel(g.threads, len(g.shards), func(_, task int) {
		for t := range g.growing {
			g.growing[t][task] = g.stand(g.shards[task], first+t)
		}
	})
}

// descend moves the rows down the splits that they have not taken yet.
func (g *Grower) descend(growing []trees.Tree) {
	parallel(g.threads, len(g.shards), func(w, task int) {
		scratch := g.workers[w].scratch(g.shards[task])
		for t, tree := range growing {
			g.follow(&g.growing[t][task], tree, scratch)
		}
	})
}
