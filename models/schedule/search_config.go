package schedule

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
)

// Limits of a search, compiled in.
const (
	MaxCandidates = 64
	maxGrid       = 1 << 16 // combinations
)

// Search is the plan's `search` block: settings are tried side by side before
// the run goes on with the best of them, by successive halving (Jamieson and
// Talwalkar 2016, Non-stochastic Best Arm Identification, Algorithm 1). Each
// training sum serves one candidate and carries the validation words of
// early stopping, by which candidates are compared: no other sum is needed,
// and each is counted like any training sum.
type Search struct {
	Grid Grid `yaml:"grid" json:"grid"`
	// Candidates is how many settings are tried, the plan's own among them as the
	// first; the others are drawn from the grid by the plan's seed. 0 means 8.
	Candidates int `yaml:"candidates,omitempty" json:"candidates"`
	// Rounds is how many training rounds each candidate has before the first are
	// given up; those that stay have Factor times as many before the next are. 0 means 2.
	Rounds int `yaml:"rounds,omitempty" json:"rounds"`
	// Factor is of how many candidates one stays. 0 means 2.
	Factor int `yaml:"factor,omitempty" json:"factor"`
}

// Grid lists the values that a search combines. A setting without a list keeps
// the plan's value.
type Grid struct {
	L2          []float64 `yaml:"l2,omitempty,flow" json:"l2,omitempty"`
	Hidden      [][]int   `yaml:"hidden,omitempty,flow" json:"hidden,omitempty"`
	ServerRate  []float64 `yaml:"server_rate,omitempty,flow" json:"server_rate,omitempty"`
	LocalRate   []float64 `yaml:"local_rate,omitempty,flow" json:"local_rate,omitempty"`
	LocalEpochs []int     `yaml:"local_epochs,omitempty,flow" json:"local_epochs,omitempty"`
	Batch       []int     `yaml:"batch,omitempty,flow" json:"batch,omitempty"`
	Momentum    []float64 `yaml:"momentum,omitempty,flow" json:"momentum,omitempty"`
	Proximal    []float64 `yaml:"proximal,omitempty,flow" json:"proximal,omitempty"`
}

// setting is what one candidate trains with.
type setting struct {
	architecture arch.Spec
	algorithm    aggregate.Spec
	words        []string // what of it the grid decided
}

// axis is one list of a grid.
type axis struct {
	values int
	set    func(s *setting, value int)
}

func axisOf[T any](name string, values []T, set func(s *setting, v T)) axis {
	return axis{len(values), func(s *setting, i int) {
		set(s, values[i])
		s.words = append(s.words, fmt.Sprintf("%s %v", name, values[i]))
	}}
}

// axes are the lists of a grid that are not empty, in a fixed order.
func (g Grid) axes() []axis {
	var out []axis
	for _, a := range []axis{
		axisOf("l2", g.L2, func(s *setting, v float64) { s.architecture.L2 = v }),
		axisOf("hidden", g.Hidden, func(s *setting, v []int) { s.architecture.Hidden = v }),
		axisOf("server_rate", g.ServerRate, func(s *setting, v float64) { s.algorithm.ServerRate = v }),
		axisOf("local_rate", g.LocalRate, func(s *setting, v float64) { s.algorithm.LocalRate = v }),
		axisOf("local_epochs", g.LocalEpochs, func(s *setting, v int) { s.algorithm.LocalEpochs = v }),
		axisOf("batch", g.Batch, func(s *setting, v int) { s.algorithm.Batch = v }),
		axisOf("momentum", g.Momentum, func(s *setting, v float64) { s.algorithm.Momentum = v }),
		axisOf("proximal", g.Proximal, func(s *setting, v float64) { s.algorithm.Proximal = v }),
	} {
		if a.values > 0 {
			out = append(out, a)
		}
	}
	return out
}

// size is the number of combinations, at most one more than maxGrid.
func (g Grid) size() int {
	n := 1
	for _, a := range g.axes() {
		if n *= a.values; n > maxGrid {
			return maxGrid + 1
		}
	}
	return n
}

// at returns a combination, the first axis running fastest.
func (g Grid) at(number int, s setting) setting {
	for _, a := range g.axes() {
		a.set(&s, number%a.values)
		number /= a.values
	}
	return s
}

// WithDefaults returns the search with every zero field filled in.
func (s Search) WithDefaults() Search {
	s.Candidates, s.Rounds, s.Factor = cmp.Or(s.Candidates, 8), cmp.Or(s.Rounds, 2), cmp.Or(s.Factor, 2)
	return s
}

// rung is one level of successive halving: so many candidates stand on it, each
// until it has had so many rounds in all.
type rung struct{ live, rounds int }

// rungs of so many candidates, down to the last with more than one.
func (s Search) rungs(candidates int) []rung {
	var out []rung
	for live, rounds := candidates, s.Rounds; live > 1; live, rounds = max(live/s.Factor, 1), rounds*s.Factor {
		out = append(out, rung{live, rounds})
	}
	return out
}

// settings are the candidates of a plan: its own, then combinations of the grid
// in an order drawn by the seed (Fisher and Yates), each once.
func (c Config) settings() []setting {
	s := c.Search.WithDefaults()
	own := setting{architecture: c.Architecture, algorithm: c.Algorithm}
	out, seen := []setting{own}, map[string]bool{own.name(): true}
	order := make([]int, s.Grid.size())
	for i := range order {
		order[i] = i
	}
	for i := 0; i < len(order) && len(out) < s.Candidates; i++ {
		j := i + int(draw(c.Seed, i)%uint64(len(order)-i))
		order[i], order[j] = order[j], order[i]
		next := s.Grid.at(order[i], own).withDefaults()
		if name := next.name(); !seen[name] {
			seen[name] = true
			out = append(out, next)
		}
	}
	return out
}

// draw is the i-th of the numbers that a seed gives.
func draw(seed uint64, i int) uint64 {
	b := append([]byte("koinon/schedule/search/v1"), make([]byte, 16)...)
	binary.BigEndian.PutUint64(b[len(b)-16:], seed)
	binary.BigEndian.PutUint64(b[len(b)-8:], uint64(i))
	h := sha256.Sum256(b)
	return binary.BigEndian.Uint64(h[:])
}

func (s setting) withDefaults() setting {
	s.architecture = s.architecture.WithDefaults()
	s.algorithm = s.algorithm.WithDefaults(s.architecture)
	return s
}

// name tells settings apart.
func (s setting) name() string { return fmt.Sprintf("%+v %+v", s.architecture, s.algorithm) }

// validateSearch says what is wrong with the search of a configuration with defaults.
func (c Config) validateSearch() error {
	if c.Search == nil {
		return nil
	}
	s := c.Search.WithDefaults()
	switch {
	case c.Architecture.Kind == arch.Trees:
		return fmt.Errorf("search: not for %s", arch.Trees)
	case c.Algorithm.Name == aggregate.Scaffold:
		return fmt.Errorf("search: not with %s: members would need a control variate for every candidate", aggregate.Scaffold)
	case c.Start != nil:
		return errors.New("search: not with a warm start: candidates begin at the seed")
	case !c.Algorithm.Stop.On():
		return errors.New("search: set algorithm.stop: its validation rows compare the candidates")
	case s.Candidates < 2 || s.Candidates > MaxCandidates:
		return fmt.Errorf("search: %d candidates, want 2 to %d", s.Candidates, MaxCandidates)
	case s.Factor < 2 || s.Factor > MaxCandidates:
		return fmt.Errorf("search: factor %d, want 2 to %d", s.Factor, MaxCandidates)
	case s.Rounds <= c.Algorithm.Stop.Every:
		return fmt.Errorf("search: rounds %d, want more than algorithm.stop.every, so that each candidate is judged after it has trained", s.Rounds)
	case s.Grid.size() > maxGrid:
		return fmt.Errorf("search: the grid has more than %d combinations", maxGrid)
	}
	return c.validateCandidates(s)
}

func (c Config) validateCandidates(s Search) error {
	if err := s.Grid.validateFor(c.Algorithm); err != nil {
		return err
	}
	all := c.settings()
	if len(all) < 2 {
		return errors.New("search: the grid has nothing but the plan's own settings")
	}
	for i, one := range all {
		if err := one.architecture.Validate(); err != nil {
			return fmt.Errorf("search: candidate %d: %w", i, err)
		}
		if err := one.algorithm.Validate(one.architecture); err != nil {
			return fmt.Errorf("search: candidate %d: %w", i, err)
		}
	}
	rungs := s.rungs(len(all))
	if last := rungs[len(rungs)-1].rounds; last > c.Algorithm.Rounds {
		return fmt.Errorf("search: the last two candidates would have %d rounds each, the plan has %d: fewer candidates or rounds", last, c.Algorithm.Rounds)
	}
	return nil
}

// validateFor refuses lists that an algorithm does not use: their candidates
// would train alike.
func (g Grid) validateFor(a aggregate.Spec) error {
	full := a.Local == aggregate.FullBatch
	switch {
	case full && len(g.LocalRate)+len(g.LocalEpochs)+len(g.Batch) > 0:
		return fmt.Errorf("search: local_rate, local_epochs and batch are for local: %s, the plan has local: %s", aggregate.MiniBatch, aggregate.FullBatch)
	case len(g.Momentum) > 0 && a.Name != aggregate.FedAvgM:
		return fmt.Errorf("search: momentum is for %s, the plan has %s", aggregate.FedAvgM, a.Name)
	}
	return nil
}

// Tries is how many candidates the search of a configuration with defaults has,
// the plan's own settings among them; 0 without a search.
func (c Config) Tries() int {
	if c.Search == nil {
		return 0
	}
	return len(c.settings())
}

// TrainRounds bounds the training sums of a configuration with defaults, over
// all candidates.
func (c Config) TrainRounds() int {
	total, before := c.Algorithm.Rounds, 0
	if c.Search == nil {
		return total
	}
	for _, r := range c.Search.WithDefaults().rungs(len(c.settings())) {
		total += (r.live - 1) * (r.rounds - before) // the last one's are among the plan's
		before = r.rounds
	}
	return total
}
