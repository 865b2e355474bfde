package secaggsim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Input names what an honest member puts into the sum of one place of the plan.
// A repetition of the place has the same input: the worst case, as with exact
// counts.
type Input struct {
	Member uint8
	Place  uint32
}

// Oracle knows every masked vector that an adversary has seen as an equation
// between inputs and masks, and answers what the adversary can solve for.
type Oracle struct {
	masks map[string]int
	rows  []map[int]uint64 // columns of masks: as numbered; of inputs: −1 − number
	in    map[Input]int
	ins   []Input
}

// NewOracle returns an oracle that has seen nothing.
func NewOracle() *Oracle { return &Oracle{masks: map[string]int{}, in: map[Input]int{}} }

// Observe adds a masked vector: its input and the signs of the masks in it that
// the adversary does not know, by name.
func (o *Oracle) Observe(x Input, masks map[string]int64) {
	if _, ok := o.in[x]; !ok {
		o.in[x] = len(o.ins)
		o.ins = append(o.ins, x)
	}
	row := map[int]uint64{-1 - o.in[x]: 1}
	for name, sign := range masks {
		if _, ok := o.masks[name]; !ok {
			o.masks[name] = len(o.masks)
		}
		row[o.masks[name]] = modular(sign)
	}
	o.rows = append(o.rows, row)
}

// Term is an input times a factor modulo 2^61 − 1.
type Term struct {
	Input
	Factor uint64
}

// Sum is a combination of inputs whose value the adversary knows.
type Sum []Term

// String shows a sum as in "4·x3@1 + x5@1".
func (s Sum) String() string {
	var parts []string
	for _, t := range s {
		factor := ""
		switch {
		case t.Factor == prime-1:
			factor = "−"
		case t.Factor != 1:
			factor = fmt.Sprint(t.Factor, "·")
		}
		parts = append(parts, fmt.Sprintf("%sx%d@%d", factor, t.Member, t.Place))
	}
	return strings.Join(parts, " + ")
}

// Solve eliminates the masks and returns a basis, in reduced form, of all
// combinations of inputs alone that the observations determine.
func (o *Oracle) Solve() (sums []Sum) {
	rows := o.eliminate(o.rows, func(row map[int]uint64) (int, bool) { return lowest(row, 0) })
	var free []map[int]uint64
	for _, row := range rows {
		if _, masked := lowest(row, 0); !masked && len(row) > 0 {
			free = append(free, row)
		}
	}
	order := make(map[int]int, len(o.ins)) // inputs by place and member, so that the basis does not depend on history
	sorted := slices.SortedFunc(slices.Values(o.ins), func(a, b Input) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Member, b.Member))
	})
	for n, x := range sorted {
		order[o.in[x]] = n
	}
	for i, row := range free {
		plain := map[int]uint64{}
		for col, v := range row {
			plain[order[-1-col]] = v
		}
		free[i] = plain
	}
	free = o.eliminate(free, func(row map[int]uint64) (int, bool) { return lowest(row, 0) })
	for _, row := range free {
		var s Sum
		for n, x := range sorted {
			if v := row[n]; v != 0 {
				s = append(s, Term{x, v})
			}
		}
		if s != nil {
			sums = append(sums, s)
		}
	}
	return sums
}

// lowest returns the smallest column of a row that is at least from.
func lowest(row map[int]uint64, from int) (col int, ok bool) {
	for c := range row {
		if c >= from && (!ok || c < col) {
			col, ok = c, true
		}
	}
	return col, ok
}

// eliminate brings rows into reduced form over the columns that pivot picks.
func (o *Oracle) eliminate(rows []map[int]uint64, pivot func(map[int]uint64) (int, bool)) []map[int]uint64 {
	var done []map[int]uint64
	at := map[int]int{} // pivot column → row of done
	for _, r := range rows {
		row := make(map[int]uint64, len(r))
		for c, v := range r {
			row[c] = v
		}
		for {
			col, ok := -1, false
			for c := range row { // any column that has a pivot already
				if _, has := at[c]; has {
					col, ok = c, true
					break
				}
			}
			if !ok {
				break
			}
			subtract(row, done[at[col]], row[col])
		}
		col, ok := pivot(row)
		if ok {
			f := inverse(row[col])
			for c := range row {
				row[c] = times(row[c], f)
			}
			for _, other := range done {
				if v := other[col]; v != 0 {
					subtract(other, row, v)
				}
			}
			at[col] = len(done)
		}
		done = append(done, row)
	}
	return done
}

// subtract takes f times the other row from a row.
func subtract(row, other map[int]uint64, f uint64) {
	for c, v := range other {
		if d := minus(row[c], times(f, v)); d == 0 {
			delete(row, c)
		} else {
			row[c] = d
		}
	}
}

// Judge says what is wrong with what an adversary can solve for: everything but,
// for each place, one plain sum of at least that many honest inputs.
func Judge(sums []Sum, least int) error {
	places := map[uint32]Sum{}
	for _, s := range sums {
		for _, t := range s {
			if t.Place != s[0].Place || t.Factor != 1 {
				return fmt.Errorf("the adversary knows %v, which is no sum of one place", s)
			}
		}
		switch before := places[s[0].Place]; {
		case len(s) < least:
			return fmt.Errorf("the adversary knows %v: %d honest inputs, at least %d are allowed", s, len(s), least)
		case before != nil:
			return fmt.Errorf("the adversary knows two sums of one place: %v and %v", before, s)
		}
		places[s[0].Place] = s
	}
	return nil
}
