package fairness

import (
	"cmp"
	"slices"
)

// Visibility says what of a group may be published.
type Visibility uint8

const (
	// Hidden publishes neither its size nor its figures.
	Hidden Visibility = iota
	// Coarse publishes only rounded counts and rates, so that no small cell can
	// be worked out of them.
	Coarse
	// Whole publishes rows by label and every rate with RateBase rows under it.
	Whole
)

// Visible decides what of each group of a column may be published, given that
// the column's totals are. A cell below SmallCell is hidden, and since totals
// are public, a further one so that it cannot be found by subtraction:
//
//   - a group with 1 to 9 rows is Hidden; if what is hidden adds to fewer than
//     SmallCell rows or is one group, so is the smallest of the rest;
//   - a group with fewer than SmallCell rows of a label is Coarse, and by the
//     same rule so is the group with the fewest of that label after it.
//
// A group without rows has nothing to hide; it is Coarse.
func (c Assessed) Visible() []Visibility {
	seen := make([]Visibility, len(c.Groups))
	for i, g := range c.Groups {
		switch {
		case g.Rows > 0 && g.Rows < SmallCell:
			seen[i] = Hidden
		case g.Positives < SmallCell || g.Negatives < SmallCell:
			seen[i] = Coarse
		default:
			seen[i] = Whole
		}
	}
	rows := func(g Group) int64 { return g.Rows }
	c.cover(seen, Coarse, Hidden, rows)
	for _, count := range []func(Group) int64{
		func(g Group) int64 { return g.Positives },
		func(g Group) int64 { return g.Negatives },
	} {
		c.cover(seen, Whole, Coarse, count)
	}
	return seen
}

// cover lowers groups from at least `from` to `to`, smallest first, until the
// groups below `from` are none, or at least two that count SmallCell together.
func (c Assessed) cover(seen []Visibility, from, to Visibility, count func(Group) int64) {
	order := make([]int, 0, len(seen))
	for i, g := range c.Groups {
		if g.Rows > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(count(c.Groups[a]), count(c.Groups[b])) })
	for _, next := range order {
		var hidden, total int64
		for _, i := range order {
			if seen[i] < from {
				hidden++
				total += count(c.Groups[i])
			}
		}
		if hidden == 0 || hidden >= 2 && total >= SmallCell {
			return
		}
		if seen[next] >= from {
			seen[next] = to
		}
	}
}
