package feature

import (
	"errors"
	"fmt"
	"math"
)

// Encoder builds the encoder from the sums. It fails before the last of them,
// and if no feature column carries information.
func (s *Statistics) Encoder() (*Encoder, error) {
	if !s.Done() {
		return nil, fmt.Errorf("statistics: sum %d is still to come", s.step())
	}
	e := &Encoder{Schema: s.schema, Rows: s.rows, Positives: s.pos, Exposure: s.exposure}
	for _, c := range s.columns {
		column, _ := s.schema.Column(c.name())
		switch st := c.(type) {
		case *numberStat:
			e.addNumber(st.column, st.root.leaves(nil, 0, 0), st.missing, Floor)
		case *noisyNumber:
			e.addNumber(st.column, st.leaves, st.missing, threshold(s.summedSigma()))
		case *listedStat:
			e.addCategory(column, st.values, st.slots())
		case *learntStat:
			e.addCategory(column, st.names, st.slots(s.rows))
		case *noisyCategory:
			e.addCategory(column, st.values, st.kept)
		case *declaredGroup:
			e.Group = append(e.Group, GroupColumn{st.column, st.values})
		}
	}
	if s.noise != nil {
		for i := range e.Dropped {
			e.Dropped[i].Reason = "one value or none stands out of the noise"
		}
	}
	switch {
	case len(e.Number)+len(e.Category) > 0:
		return e, nil
	case s.noise != nil:
		return nil, errDrowned
	}
	return nil, errors.New("statistics: every feature column is constant or empty over all members: the schema needs one that varies")
}

// addNumber adds a column with the leaves and missing rows that stand for it.
func (e *Encoder) addNumber(column string, leaves []leaf, missing, floor int64) {
	n, reason := deriveNumber(leaves, missing, floor)
	if reason != "" {
		e.Dropped = append(e.Dropped, Dropped{column, reason})
		return
	}
	n.Column = column
	e.Number = append(e.Number, n)
}

// addCategory adds a column with the training rows of each of its slots.
func (e *Encoder) addCategory(c Column, values []string, slots []int64) {
	if c.Role == RoleGroup {
		e.Group = append(e.Group, GroupColumn{c.Name, values})
		return
	}
	reference, used := 0, 0
	for i, n := range slots {
		if n > 0 {
			used++
		}
		if n > slots[reference] {
			reference = i
		}
	}
	switch {
	case used > 1:
		e.Category = append(e.Category, Category{c.Name, values, reference})
	case slots[len(slots)-1] > 0:
		e.Dropped = append(e.Dropped, Dropped{c.Name, "empty in every training row"})
	case len(values) == 0:
		e.Dropped = append(e.Dropped, Dropped{c.Name, fmt.Sprintf("no value stands in %d training rows", Floor)})
	default:
		e.Dropped = append(e.Dropped, Dropped{c.Name, "the same in every training row"})
	}
}

// deriveNumber turns the leaves of a number into its encoding: no cut leaves
// fewer than floor rows on a side, and fewer missing ones have no indicator.
func deriveNumber(leaves []leaf, missing, floor int64) (Number, string) {
	var rows int64
	for _, l := range leaves {
		rows += l.rows
	}
	switch {
	case rows == 0:
		return Number{}, "empty in every training row"
	case rows < floor:
		return Number{}, fmt.Sprintf("fewer than %d training rows hold a value", floor)
	}
	counts := make([]int64, len(leaves))
	for i, l := range leaves {
		counts[i] = l.rows
	}
	ends := Quantiles(counts, maxCuts+1, floor)
	out := Number{Indicator: missing >= floor}
	for _, end := range ends[:len(ends)-1] {
		out.Cuts = append(out.Cuts, leaves[end-1].high())
	}
	out.Low = median(leaves[:ends[0]]).low()
	last := 0
	if len(ends) > 1 {
		last = ends[len(ends)-2]
	}
	out.High = median(leaves[last:]).high()
	if len(ends) == 1 { // too few rows for a cut: nothing is outside
		out.Low, out.High = leaves[0].low(), leaves[len(leaves)-1].high()
	}
	out.Mean, out.SD = momentsOf(leaves, rows, float64(out.Low), float64(out.High))
	if out.SD == 0 {
		if !out.Indicator {
			return Number{}, "the same in every training row"
		}
		out.SD = 1 // only the indicator says anything
	}
	return out, ""
}

// median returns the leaf that holds the middle row.
func median(leaves []leaf) leaf {
	var rows, below int64
	for _, l := range leaves {
		rows += l.rows
	}
	for _, l := range leaves {
		if below += l.rows; 2*below >= rows {
			return l
		}
	}
	return leaves[len(leaves)-1]
}

// momentsOf returns mean and standard deviation of the leaves' midpoints,
// winsorised to [low, high]. Each product is rounded before it is added, in
// leaf order (S61).
func momentsOf(leaves []leaf, rows int64, low, high float64) (mean, sd float64) {
	n := float64(rows)
	for _, l := range leaves {
		mean += float64(float64(l.rows) / n * max(min(l.mid(), high), low))
	}
	var sum float64
	for _, l := range leaves {
		d := max(min(l.mid(), high), low) - mean
		sum += float64(float64(l.rows) / n * float64(d*d))
	}
	if len(leaves) == 1 {
		return mean, 0
	}
	return mean, math.Sqrt(sum)
}
