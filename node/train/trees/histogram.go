package trees

import (
	"sync"

	"github.com/koinon-eu/koinon/models/trees"
)

// taskRows is about how many rows one task of a histogram goes through.
const taskRows = 32_768

// worker is the scratch space of one goroutine.
type worker struct {
	tables tables
	wide   []uint64
	gather []uint64
	rows   []uint32
}

// scratch has room for the rows of a shard.
func (w *worker) scratch(s shard) []uint32 {
	if len(w.rows) < s.to-s.from {
		w.rows = make([]uint32, s.to-s.from)
	}
	return w.rows[:s.to-s.from]
}

// task is a piece of a level: some shards' rows of one part, in one block of
// columns or one wide column. Sums of integers have no order, so that it does
// not matter which task adds first.
type task struct {
	part     int
	block    int
	wide     bool
	from, to int // shards
}

// target is where the cells of one column of a part go.
type target struct {
	grid   *trees.GridColumn
	offset int // word of its first cell
}

// histograms adds the parts of a query to out.
func (g *Grower) histograms(q *trees.Query, out []uint64) {
	targets := g.targets(q)
	tasks := g.tasks(q)
	var mu sync.Mutex
	parallel(g.threads, len(tasks), func(w, i int) {
		t := &tasks[i]
		for lane := range g.values { // ĝ and ĥ together, or one after the other
			g.workers[w].run(g, q, t, lane, targets[t.part], out, &mu)
		}
	})
}

// targets returns for each part where each column of the bins goes.
func (g *Grower) targets(q *trees.Query) [][]target {
	out := make([][]target, len(q.Parts))
	at := q.Head
	for i, p := range q.Parts {
		out[i] = make([]target, len(g.data.place))
		for c := range p.Grid.Columns {
			gc := &p.Grid.Columns[c]
			out[i][gc.Column] = target{gc, at}
			at += gc.Groups * g.scale.CellWords()
		}
	}
	return out
}

func (g *Grower) tasks(q *trees.Query) []task {
	var out []task
	for i, p := range q.Parts {
		used := make([]bool, len(g.data.blocks))
		var wide []int
		for _, gc := range p.Grid.Columns {
			if pl := g.data.place[gc.Column]; pl.wide {
				wide = append(wide, gc.Column)
			} else {
				used[pl.index] = true
			}
		}
		for _, r := range g.ranges(p) {
			for b, yes := range used {
				if yes {
					out = append(out, task{i, b, false, r.from, r.to})
				}
			}
			for _, c := range wide {
				out = append(out, task{i, c, true, r.from, r.to})
			}
		}
	}
	return out
}

// ranges divides the shards of a part into runs of about taskRows rows.
func (g *Grower) ranges(p trees.Part) []shard {
	var out []shard
	rows, from := 0, 0
	for s := range g.shards {
		at := g.growing[p.Tree][s].at[p.Node]
		if rows += int(at[1] - at[0]); rows >= taskRows {
			out = append(out, shard{from, s + 1})
			rows, from = 0, s+1
		}
	}
	if rows > 0 {
		out = append(out, shard{from, len(g.shards)})
	}
	return out
}

// run goes through the rows of a task and adds its cells to out.
func (w *worker) run(g *Grower, q *trees.Query, t *task, lane int, targets []target, out []uint64, mu *sync.Mutex) {
	if t.wide {
		w.runWide(g, q, t, lane, targets[t.block], out, mu)
		return
	}
	w.tables = tables{}
	p := q.Parts[t.part]
	n, words := g.data.lanes[t.block], g.data.blocks[t.block]
	for s := t.from; s < t.to; s++ {
		st := &g.growing[p.Tree][s]
		if from, to, ok := st.consecutive(p.Node, g.shards[s]); ok {
			w.tables.addAll(n, words[from:to], g.values[lane][from:to])
			continue
		}
		w.each(st, p.Node, g.values[lane], func(rows []uint32, v []uint64) {
			w.tables.addRows(n, rows, words, v)
		})
	}
	mu.Lock()
	defer mu.Unlock()
	for c, to := range targets {
		if pl := g.data.place[c]; to.grid != nil && !pl.wide && pl.index == t.block {
			fold(w.tables[pl.lane][:g.data.bins.Columns[c].Cells], to, lane, g.scale.CellWords(), out)
		}
	}
}

func (w *worker) runWide(g *Grower, q *trees.Query, t *task, lane int, to target, out []uint64, mu *sync.Mutex) {
	cells := g.data.wide[g.data.place[t.block].index]
	n := g.data.bins.Columns[t.block].Cells
	if len(w.wide) < n {
		w.wide = make([]uint64, n)
	}
	sums := w.wide[:n]
	clear(sums)
	p := q.Parts[t.part]
	for s := t.from; s < t.to; s++ {
		w.each(&g.growing[p.Tree][s], p.Node, g.values[lane], func(rows []uint32, v []uint64) {
			for i, r := range rows {
				sums[cells[r]] += v[i]
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	fold(sums, to, lane, g.scale.CellWords(), out)
}

// consecutive reports whether a node is the root and holds every row of the shard.
func (st *standing) consecutive(node int32, s shard) (from, to int, ok bool) {
	return s.from, s.to, node == 0 && st.all && len(st.at) == 1
}

// gatherRows is how many rows' gradients are fetched before their cells are added.
const gatherRows = 2048

// each calls f with the rows of a node and their gradients, a few at a time.
func (w *worker) each(st *standing, node int32, values []uint64, f func(rows []uint32, v []uint64)) {
	if w.gather == nil {
		w.gather = make([]uint64, gatherRows)
	}
	rows := st.list[st.at[node][0]:st.at[node][1]]
	for len(rows) > 0 {
		some := rows[:min(len(rows), gatherRows)]
		for i, r := range some {
			w.gather[i] = values[r]
		}
		f(some, w.gather[:len(some)])
		rows = rows[len(some):]
	}
}

// fold adds root cells to their groups.
func fold(sums []uint64, to target, lane, words int, out []uint64) {
	out = out[to.offset : to.offset+to.grid.Groups*words]
	if to.grid.Map == nil && words == 1 {
		for i, v := range sums {
			out[i] += v
		}
		return
	}
	for i, v := range sums {
		group := i
		if to.grid.Map != nil {
			group = int(to.grid.Map[i])
		}
		out[group*words+lane] += v
	}
}
