package trees

import "github.com/koinon-eu/koinon/models/trees"

// shard is a range of consecutive rows. One task at a time works on it.
type shard struct{ from, to int }

// share divides the rows into shards: one for a single thread, else some for
// each, so that no thread waits long.
func share(rows, threads int) []shard {
	n := 1
	if threads > 1 {
		n = max(1, min(4*threads, rows/1024))
	}
	out := make([]shard, n)
	for i := range out {
		out[i] = shard{rows * i / n, rows * (i + 1) / n}
	}
	return out
}

// standing says which rows of one shard stand in which node of one tree: the
// rows of node i are list[at[i][0]:at[i][1]], in ascending order. all means that
// every row of the shard is in the tree.
type standing struct {
	list []uint32
	at   [][2]int32
	all  bool
}

// stand puts the rows of a shard that are drawn for a tree into its root
// (trees 31).
func (g *Grower) stand(s shard, tree int) standing {
	st := standing{list: make([]uint32, 0, s.to-s.from), all: g.params.Rows >= 1}
	var d *draw
	if !st.all {
		d = newDraw(g.key, "rows", tree)
	}
	for i := s.from; i < s.to; i++ {
		if st.all || d.below(g.data.keys[i], g.params.Rows) {
			st.list = append(st.list, uint32(i))
		}
	}
	st.at = append(st.at, [2]int32{0, int32(len(st.list))})
	return st
}

// follow moves the rows of a shard down the splits that it has not taken yet.
// scratch has room for every row of the shard.
func (g *Grower) follow(st *standing, tree trees.Tree, scratch []uint32) {
	for i := range tree {
		n := &tree[i]
		if n.Leaf() || int(n.Left) < len(st.at) {
			continue
		}
		from, to := st.at[i][0], st.at[i][1]
		middle := from + int32(g.partition(st.list[from:to], scratch, n))
		st.at = append(st.at, [2]int32{from, middle}, [2]int32{middle, to})
	}
}

// partition moves the rows that go left before the others and returns how many
// do. The order on both sides stays.
func (g *Grower) partition(rows, scratch []uint32, n *trees.Node) int {
	p, c := g.data.place[n.Column], &g.data.bins.Columns[n.Column]
	scratch = scratch[:len(rows)]
	left, right := 0, 0
	if p.wide {
		cells := g.data.wide[p.index]
		for _, r := range rows {
			rows[left], scratch[right] = r, r
			if n.GoesLeft(c, cells[r]) {
				left++
			} else {
				right++
			}
		}
	} else {
		var goes [256]uint8
		for cell := range c.Cells {
			if n.GoesLeft(c, uint16(cell)) {
				goes[cell] = 1
			}
		}
		block, shift := g.data.blocks[p.index], uint(8*p.lane)&63
		for _, r := range rows {
			step := int(goes[uint8(block[r]>>shift)])
			rows[left], scratch[right] = r, r
			left += step
			right += 1 - step
		}
	}
	copy(rows[left:], scratch[:right])
	return left
}

// addLeaves adds the values of a grown tree to the scores of a shard: to the
// rows that stand in it, and by walking to those not drawn for it.
func (g *Grower) addLeaves(s shard, st *standing, tree trees.Tree) {
	drawn := []bool(nil)
	if !st.all {
		drawn = make([]bool, s.to-s.from)
	}
	for i := range tree {
		if !tree[i].Leaf() {
			continue
		}
		value := float64(tree[i].Value)
		for _, r := range st.list[st.at[i][0]:st.at[i][1]] {
			g.score[r] += value
			if drawn != nil {
				drawn[int(r)-s.from] = true
			}
		}
	}
	for i, in := range drawn {
		if !in {
			g.score[s.from+i] += g.data.walk(tree, s.from+i)
		}
	}
}

// walk returns the value of a row's leaf.
func (d *Data) walk(tree trees.Tree, row int) float64 {
	at := int32(0)
	for !tree[at].Leaf() {
		n := &tree[at]
		at = n.Left
		if !n.GoesLeft(&d.bins.Columns[n.Column], d.cell(int(n.Column), row)) {
			at++
		}
	}
	return float64(tree[at].Value)
}
