package federation

import (
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/arch"
)

// DefaultShed is m of a plan that names none, and what a node wants of every
// plan unless its policy says otherwise (trees, section 2).
const DefaultShed = 3

// minShed is the smallest m there is: with 1 two sums show one member.
const minShed = 2

// Grows reports whether the plan's model is trees.
func (p *Plan) Grows() bool { return p.Architecture.Kind == arch.Trees }

// Together reports whether the plan's sums of statistics and histograms are held
// to whole cohorts that differ by no member or by at least Shed. With the full
// noise of every node in each sum there is no need: what a difference of two sums
// shows of a member has that member's noise on it (trees 41, 62).
func (p *Plan) Together() bool { return p.Grows() && p.Privacy.DP != DPRecord }

// checkTrees checks what only plans of trees have.
func (p *Plan) checkTrees() error {
	if !p.Grows() {
		if p.Shed != 0 || p.RowsMax != 0 {
			return fmt.Errorf("plan: shed and rows_max are for architecture %s only", arch.Trees)
		}
		return nil
	}
	if !p.Together() {
		if p.Shed != 0 {
			return errors.New("plan: shed is for trees without noise; with it a sum goes on without whoever is missing")
		}
		return p.Learning().Validate()
	}
	n := len(p.Cohort.Members)
	if t := secagg.Threshold(n); p.Shed < minShed || p.Shed > t {
		return fmt.Errorf("plan: shed %d, with %d members it must be %d to %d: two cohorts that differ by one show its histograms", p.Shed, n, minShed, t)
	}
	return p.Learning().Validate()
}

// Bounds says what packed cells must hold in a plan of trees (trees 7). Rows is
// R, the most rows of the whole cohort, and 0 when the statistics decide it.
type Bounds struct {
	Rows    int64
	Bits    int  // s: one unit of a gradient is 2^−s
	Wide    bool // cells of two words, because one is too narrow for R rows
	Sums    int  // of growth, at most
	Shed    int  // m; 0 where noise takes its place
	Leavers int  // members that growth can go on without; below m it ends with the first one lost (trees 38, 39)

	Noise float64 // share of what rows_max rows, half of them positive, vary by that is noise (trees 64); 0 without either
}

// Bounds returns the bounds of a plan of trees; false for any other plan.
func (p *Plan) Bounds() (Bounds, bool) {
	if !p.Grows() {
		return Bounds{}, false
	}
	n := len(p.Cohort.Members)
	b := Bounds{Rows: int64(p.RowsMax) * int64(n), Sums: p.Algorithm.Rounds, Shed: p.Shed}
	if p.RowsMax > 0 {
		b.Noise, _ = p.NoiseShare(b.Rows)
	}
	if b.Leavers = n - max(p.Cohort.Minimum, secagg.Threshold(n)); b.Leavers < p.Shed {
		b.Leavers = 0
	}
	b.Bits, b.Wide, _ = p.Learning().CellBits()
	return b, true
}
