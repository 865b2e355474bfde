package trees

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Limits of the parameters, compiled in: what a plan may ask of a node.
const (
	MaxTrees  = 10_000
	MaxDepth  = 12
	MaxBins   = 255       // cells of a number, without the one for missing
	MaxRows   = 1 << 31   // R, over the whole cohort
	MaxWeight = 1 << 10   // of a class
	MaxWords  = 1 << 24   // of one vector
	minRate   = 1e-6      // smallest step length
	maxPenal  = 1_000_000 // largest l1, l2, gain, min_hessian, cell
)

// Params is how trees are grown (trees, section 2). A zero field, or nil where
// zero means something of its own, stands for the documented default.
type Params struct {
	// Growth is how: empty for one tree after the other, by levels, each split the
	// best there is (which a plan may call greedy), or additive (trees, section 10).
	Growth string `yaml:"growth,omitempty" json:"growth,omitempty"`
	// Epochs is how often additive growth adds a tree for every column. 0 means 30.
	Epochs int `yaml:"epochs,omitempty" json:"epochs,omitempty"`
	// Trees is T, the number of trees. 0 means 100.
	Trees int `yaml:"trees,omitempty" json:"trees"`
	// Depth is D, the most splits above a leaf. 0 means 6.
	Depth int `yaml:"depth,omitempty" json:"depth"`
	// Rate is η: one step length, or one for each tree. Empty means [0.1].
	Rate []float64 `yaml:"rate,omitempty,flow" json:"rate"`
	// Bins is B, the most cells of a number besides the one for missing. 0 means 255.
	Bins int `yaml:"bins,omitempty" json:"bins"`
	// Floor is k, the fewest rows behind a root cell; at least feature.Floor, which 0 means.
	Floor int `yaml:"floor,omitempty" json:"floor"`
	// Cell is c, the rows expected behind a cell below the root. Nil means 20; 0 turns the grid off.
	Cell *float64 `yaml:"cell,omitempty" json:"cell"`
	// MinHessian bounds Σh of each child from below, hence 4·min_hessian/w_max rows. Nil means 5.
	MinHessian *float64 `yaml:"min_hessian,omitempty" json:"min_hessian"`
	// L2 is λ. Nil means 1.
	L2 *float64 `yaml:"l2,omitempty" json:"l2"`
	// L1 is α, by which |G| is shrunk.
	L1 float64 `yaml:"l1,omitempty" json:"l1"`
	// Gain is γ, the gain a split must exceed.
	Gain float64 `yaml:"gain,omitempty" json:"gain"`
	// CategoryL2 is added to λ in the children of a category split among more than 4 cells. Nil means 10.
	CategoryL2 *float64 `yaml:"category_l2,omitempty" json:"category_l2"`
	// CategorySmooth is added to H where cells of a category are ordered by G/H. Nil means 10.
	CategorySmooth *float64 `yaml:"category_smooth,omitempty" json:"category_smooth"`
	// Columns and Rows are the shares drawn for each tree, in (0, 1]. 0 means 1.
	Columns float64 `yaml:"columns,omitempty" json:"columns"`
	Rows    float64 `yaml:"rows,omitempty" json:"rows"`
	// TreesPerStep is how many trees grow on the same gradients in the same sums. 0 means 1.
	TreesPerStep int `yaml:"trees_per_step,omitempty" json:"trees_per_step"`
	// Weights are w₀ and w₁, of negative and positive rows. Empty means [1, 1].
	Weights []float64 `yaml:"weights,omitempty,flow" json:"weights"`
	// Patience is after how many trees without improvement growth stops. 0 means never.
	Patience int `yaml:"patience,omitempty" json:"patience"`
	// Validation is the share of rows that judge when to stop. 0 means 0.1 with a patience, else none.
	Validation float64 `yaml:"validation,omitempty" json:"validation"`
}

// WithDefaults returns the parameters with every default filled in.
func (p Params) WithDefaults() Params {
	if p.Growth == greedy {
		p.Growth = ""
	}
	if p.Additive() {
		return p.additive()
	}
	fill(&p.Trees, 100)
	fill(&p.Depth, 6)
	fill(&p.Bins, MaxBins)
	fill(&p.Floor, 20)
	fill(&p.Columns, 1)
	fill(&p.Rows, 1)
	fill(&p.TreesPerStep, 1)
	p.fillLists()
	if p.Patience > 0 {
		fill(&p.Validation, 0.1)
	}
	p.Cell, p.MinHessian, p.L2 = orElse(p.Cell, 20), orElse(p.MinHessian, 5), orElse(p.L2, 1)
	p.CategoryL2, p.CategorySmooth = orElse(p.CategoryL2, 10), orElse(p.CategorySmooth, 10)
	return p
}

func (p *Params) fillLists() {
	if p.Rate = slices.Clone(p.Rate); len(p.Rate) == 0 {
		p.Rate = []float64{0.1}
	}
	if p.Weights = slices.Clone(p.Weights); len(p.Weights) == 0 {
		p.Weights = []float64{1, 1}
	}
}

func fill[T int | float64](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// orElse copies a value, or the default where there is none.
func orElse(v *float64, def float64) *float64 {
	if v != nil {
		def = *v
	}
	return &def
}

// Validate says what is wrong with parameters, before or after defaults.
func (p Params) Validate() error {
	p = p.WithDefaults()
	if p.Growth != "" {
		return p.validateAdditive()
	}
	if p.Epochs != 0 {
		return errors.New("trees: epochs are for growth: additive; elsewhere trees says how many")
	}
	for _, f := range []struct {
		name      string
		v, lo, hi int
	}{
		{"trees", p.Trees, 1, MaxTrees},
		{"depth", p.Depth, 1, MaxDepth},
		{"bins", p.Bins, 2, MaxBins},
		{"floor", p.Floor, 20, MaxRows},
		{"trees_per_step", p.TreesPerStep, 1, p.Trees},
		{"patience", p.Patience, 0, MaxTrees},
	} {
		if f.v < f.lo || f.v > f.hi {
			return fmt.Errorf("trees: %s %d is not between %d and %d", f.name, f.v, f.lo, f.hi)
		}
	}
	for _, f := range []struct {
		name      string
		v, lo, hi float64
	}{
		{"cell", *p.Cell, 0, maxPenal},
		{"min_hessian", *p.MinHessian, 0, maxPenal},
		{"l2", *p.L2, 0, maxPenal},
		{"l1", p.L1, 0, maxPenal},
		{"gain", p.Gain, 0, maxPenal},
		{"category_l2", *p.CategoryL2, 0, maxPenal},
		{"category_smooth", *p.CategorySmooth, 0, maxPenal},
		{"columns", p.Columns, 1e-6, 1},
		{"rows", p.Rows, 1e-6, 1},
		{"validation", p.Validation, 0, 0.5},
	} {
		if !(f.v >= f.lo && f.v <= f.hi) {
			return fmt.Errorf("trees: %s %v is not between %v and %v", f.name, f.v, f.lo, f.hi)
		}
	}
	return p.checkLists()
}

func (p Params) checkLists() error {
	steps, unit := p.Trees, "trees"
	if p.Additive() {
		steps, unit = p.Epochs, "epochs"
	}
	if n := len(p.Rate); n != 1 && n != steps {
		return fmt.Errorf("trees: %d rates for %d %s: want one, or one for each", n, steps, unit)
	}
	for _, r := range p.Rate {
		if !(r >= minRate && r <= 1) {
			return fmt.Errorf("trees: rate %v is not between %v and 1", r, minRate)
		}
	}
	if len(p.Weights) != 2 {
		return fmt.Errorf("trees: %d class weights, want 2", len(p.Weights))
	}
	for _, w := range p.Weights {
		if !(w >= 1.0/MaxWeight && w <= MaxWeight) {
			return fmt.Errorf("trees: class weight %v is not between 1/%d and %d", w, MaxWeight, MaxWeight)
		}
	}
	if !p.Additive() && *p.L2 == 0 && *p.MinHessian == 0 {
		return errors.New("trees: l2 and min_hessian are both 0, so that a leaf may divide by 0")
	}
	return nil
}

// rate returns η of a tree, or of an epoch of additive growth.
func (p Params) rate(number int) float64 {
	if len(p.Rate) == 1 {
		return p.Rate[0]
	}
	return p.Rate[number]
}

// weights returns w₀ and w₁.
func (p Params) weights() [2]float64 { return [2]float64{p.Weights[0], p.Weights[1]} }

// heaviest is w_max.
func (p Params) heaviest() float64 { return max(p.Weights[0], p.Weights[1]) }

// Scale is how gradients become integers: ĝ = round(g·2^Bits),
// ĥ = round(h·2^HessianBits) (trees 5).
type Scale struct {
	Bits        int
	HessianBits int  // Bits+2, for the range of both lanes to be the same; additive growth sums 2h: Bits+1 (trees 58)
	Wide        bool // two words a cell instead of one (trees 6, 8)
	Stochastic  bool // rounding by chance, without bias; otherwise to nearest (trees 8)

	limit        int64   // of |Σĝ| and Σĥ
	unitG, unitH float64 // 2^−Bits and 2^−HessianBits: exact, so that products with them are
}

const (
	maxScale  = 20 // more bits of a packed lane would say nothing
	nearest   = 10 // from here on rounding to nearest is fine enough
	narrowest = 4  // below, even unbiased rounding loses too much
	wideScale = 30
	laneMax   = 1<<31 - 1
	wideMax   = 1 << 62
)

// NewScale returns the scale of a cohort with at most rows rows (R) and w_max:
// the largest that keeps R·(w_max·2^s + 1) ≤ 2³¹ − 1, so that neither lane of a
// packed sum can overflow, or a wide one (trees 7, 8).
func NewScale(rows int64, heaviest float64) (Scale, error) {
	if rows < 1 || rows > MaxRows {
		return Scale{}, fmt.Errorf("trees: %d rows in the cohort, want 1 to %d", rows, int64(MaxRows))
	}
	if !(heaviest > 0 && heaviest <= MaxWeight) {
		return Scale{}, fmt.Errorf("trees: class weight %v", heaviest)
	}
	for s := maxScale; s >= narrowest; s-- {
		if bound := bound(rows, heaviest, s); bound <= laneMax {
			return scaled(Scale{Bits: s, Stochastic: s < nearest, limit: int64(bound)}), nil
		}
	}
	if b := bound(rows, heaviest, wideScale); b <= wideMax {
		return scaled(Scale{Bits: wideScale, Wide: true, limit: int64(b)}), nil
	}
	return Scale{}, fmt.Errorf("trees: %d rows of weight up to %v do not fit even wide cells", rows, heaviest)
}

func scaled(s Scale) Scale {
	if s.HessianBits == 0 {
		s.HessianBits = s.Bits + 2
	}
	s.unitG, s.unitH = math.Ldexp(1, -s.Bits), math.Ldexp(1, -s.HessianBits)
	return s
}

// bound is R·(w_max·2^s + 1): no sum of ĝ or ĥ is larger, as |g| ≤ w and 4h ≤ w.
func bound(rows int64, heaviest float64, s int) float64 {
	return float64(float64(rows) * (math.Ldexp(heaviest, s) + 1))
}

// G returns a gradient sum in units of g.
func (s Scale) G(v int64) float64 { return float64(float64(v) * s.unitG) }

// H returns a hessian sum in units of h.
func (s Scale) H(v int64) float64 { return float64(float64(v) * s.unitH) }

// CellWords is the number of words of one cell.
func (s Scale) CellWords() int {
	if s.Wide {
		return 2
	}
	return 1
}
