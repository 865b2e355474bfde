package feature

import (
	"encoding/binary"
	"math"
	"math/bits"
)

const (
	rootCells = 4096 // of a number, at the first step
	subCells  = 64   // of a heavy cell, at the later steps
	maxCuts   = 255  // so at most 256 quantile cells
)

// key orders float32 values as unsigned integers (trees 11).
func key(v float32) uint32 {
	u := math.Float32bits(v)
	if u>>31 == 0 {
		return u ^ 1<<31
	}
	return ^u
}

// unkey inverts key. Keys of infinities and NaNs, which no table holds, give
// the nearest finite value.
func unkey(k uint32) float32 {
	k = max(min(k, key(math.MaxFloat32)), key(-math.MaxFloat32))
	if k>>31 == 1 {
		return math.Float32frombits(k ^ 1<<31)
	}
	return math.Float32frombits(^k)
}

// level is an interval of keys cut into cells of equal width, some of which
// are cut again.
type level struct {
	lo, hi uint32 // inclusive
	width  uint64 // keys of a cell; the last may be narrower
	counts []int64
	place  []int32  // of each cell: index into sub, or -1
	sub    []*level // the heavy cells, ascending
}

func newLevel(lo, hi uint32, cells int) *level {
	span := uint64(hi) - uint64(lo) + 1
	width := (span + uint64(cells) - 1) / uint64(cells)
	n := int((span + width - 1) / width)
	return &level{lo: lo, hi: hi, width: width, counts: make([]int64, n)}
}

// cell returns the place of a key; keys outside go to the edge cells.
func (l *level) cell(k uint32) int {
	switch {
	case k <= l.lo:
		return 0
	case k >= l.hi:
		return len(l.counts) - 1
	}
	return int(uint64(k-l.lo) / l.width)
}

// bounds returns the keys of a cell, inclusive.
func (l *level) bounds(cell int) (lo, hi uint32) {
	a := uint64(l.lo) + uint64(cell)*l.width
	return uint32(a), uint32(min(a+l.width-1, uint64(l.hi)))
}

// open cuts the heavy cells again: more than n/(4·256) rows and at least twice
// the floor (trees 13). Smaller ones are never looked into.
func (l *level) open(rows int64) {
	l.place = make([]int32, len(l.counts))
	for i, c := range l.counts {
		l.place[i] = -1
		if lo, hi := l.bounds(i); c*4*(maxCuts+1) > rows && c >= 2*Floor && hi > lo {
			l.place[i] = int32(len(l.sub))
			l.sub = append(l.sub, newLevel(lo, hi, subCells))
		}
	}
}

// numberStat holds the cells of one number column.
type numberStat struct {
	column  string
	missing int64
	root    *level
}

func newNumberStat(c Column) *numberStat {
	lo, hi := key(-math.MaxFloat32), key(math.MaxFloat32)
	if c.Range != nil {
		lo, hi = key(float32(c.Range[0])), key(float32(c.Range[1]))
	}
	return &numberStat{column: c.Name, root: newLevel(lo, hi, rootCells)}
}

func (n *numberStat) name() string { return n.column }

// levels returns the levels counted in a step, ascending.
func (n *numberStat) levels(step int) []*level {
	out := []*level{n.root}
	for ; step > 1; step-- {
		var next []*level
		for _, l := range out {
			next = append(next, l.sub...)
		}
		out = next
	}
	return out
}

func (n *numberStat) words(step int) int {
	w := 0
	if step == 1 {
		w = 1
	}
	for _, l := range n.levels(step) {
		w += len(l.counts)
	}
	return w
}

func (n *numberStat) count(step int, t *Table, rows []int32, out []int64) {
	at := 0
	if step == 1 {
		at = 1
	}
	root := place(n.root, step, &at)
	values := t.numbers[n.column]
	for _, r := range rows {
		v := values[r]
		if isMissing(v) {
			if step == 1 {
				out[0]++
			}
			continue
		}
		l, k := root, key(v)
		for s := 1; s < step && l != nil; s++ {
			if p := l.place[l.cell(k)]; p >= 0 {
				l = l.below[p]
			} else {
				l = nil
			}
		}
		if l != nil {
			out[l.first+l.cell(k)]++
		}
	}
}

// placed is a level with the place of its cells in a vector: 0 above the step's.
type placed struct {
	*level
	first int
	below []*placed
}

// place gives the levels counted in a step their places, ascending from at.
func place(l *level, step int, at *int) *placed {
	p := &placed{level: l, first: *at}
	if step == 1 {
		*at += len(l.counts)
		return p
	}
	for _, sub := range l.sub {
		p.below = append(p.below, place(sub, step-1, at))
	}
	return p
}

func (n *numberStat) apply(step int, rows int64, block []int64) error {
	_, check := total(block, rows)
	if step == 1 {
		if err := whole(block, rows); err != nil {
			return err
		}
		n.missing, block = block[0], block[1:]
	}
	if check != nil {
		return check
	}
	for _, l := range n.levels(step) {
		copy(l.counts, block[:len(l.counts)])
		block = block[len(l.counts):]
		if step < statisticsSteps {
			l.open(rows)
		}
	}
	return nil
}

func (n *numberStat) opened(step int, b []byte) []byte {
	for _, l := range n.levels(step) {
		b = binary.BigEndian.AppendUint32(b, l.lo)
		b = binary.BigEndian.AppendUint32(b, l.hi)
	}
	return b
}

// leaf is a cell that is not cut again, and the rows in it.
type leaf struct {
	lo, hi uint32
	rows   int64
}

func (l leaf) low() float32  { return unkey(l.lo) }
func (l leaf) high() float32 { return unkey(l.hi) }
func (l leaf) mid() float64  { return (float64(l.low()) + float64(l.high())) / 2 }

// leaves appends the populated leaves of l, ascending, their rows scaled so
// that a full l would hold want instead of all rows: the parts of a cell may
// come from another cohort than the cell.
func (l *level) leaves(out []leaf, want, all int64) []leaf {
	for i, c := range l.counts {
		if c == 0 {
			continue
		}
		if want != all {
			h, w := bits.Mul64(uint64(c), uint64(want))
			q, _ := bits.Div64(h, w, uint64(all)) // c ≤ all, so q ≤ want
			c = int64(q)
		}
		if l.place != nil && l.place[i] >= 0 {
			if sub := l.sub[l.place[i]]; sub.rows() > 0 {
				out = sub.leaves(out, c, sub.rows())
				continue
			}
		}
		if c > 0 {
			lo, hi := l.bounds(i)
			out = append(out, leaf{lo, hi, c})
		}
	}
	return out
}

func (l *level) rows() (n int64) {
	for _, c := range l.counts {
		n += c
	}
	return n
}
