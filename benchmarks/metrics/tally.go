package metrics

import "slices"

// Tally holds the summed counts of an evaluation; its embedded Stratum is the
// whole cohort. Make one with TallySchema.Parse.
type Tally struct {
	Stratum
	Schema TallySchema
	Gain   Gain
	groups [][]Stratum
}

// Group returns the stratum of one listed value of a group column, or false.
func (t *Tally) Group(column, value string) (Stratum, bool) {
	for c, g := range t.Schema.Groups {
		if g.Name == column {
			if v := slices.Index(g.Values, value); v >= 0 {
				return t.groups[c][v], true
			}
		}
	}
	return Stratum{}, false
}

// OtherRows returns the stratum of the rows whose value of the column is
// missing or not listed, or false for a column the schema does not have.
func (t *Tally) OtherRows(column string) (Stratum, bool) {
	for c, g := range t.Schema.Groups {
		if g.Name == column {
			return t.groups[c][len(g.Values)], true
		}
	}
	return Stratum{}, false
}
