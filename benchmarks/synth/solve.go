package synth

import (
	"math"
	"sync"
)

// solution holds the intercepts of a state under a preset.
type solution struct {
	group    [groups]float64 // so that every group has the state's true rate
	examined float64         // so that the state examines its share
}

const (
	sampleRows = 120_000
	sampleSeed = 424242
)

var (
	solved   = map[string]func() solution{}
	solvedMu sync.Mutex
)

// solve returns the intercepts of a state, worked out once in a process. They
// depend on state and preset only, not on the seed nor on other states.
func (c *country) solve(state string) solution {
	name := c.preset.Name + "/" + state
	solvedMu.Lock()
	once, ok := solved[name]
	if !ok {
		once = sync.OnceValue(func() solution { return c.solveSample(state) })
		solved[name] = once
	}
	solvedMu.Unlock()
	return once()
}

func (c *country) solveSample(state string) (s solution) {
	r := newRandom(sampleSeed, state)
	var odds [groups][]float64
	looks := make([]float64, 0, sampleRows)
	for range sampleRows {
		d := c.draw(r)
		odds[d.Group] = append(odds[d.Group], math.Exp(c.risk(&d)))
		looks = append(looks, math.Exp(attention(&d)))
	}
	for k := range groups {
		s.group[k] = bisect(odds[k], c.rate)
	}
	s.examined = bisect(looks, c.examined)
	return s
}

// bisect finds the a for which the mean of e^a·odds/(1 + e^a·odds) is target.
func bisect(odds []float64, target float64) float64 {
	lo, hi := -20.0, 10.0
	for range 50 {
		mid := (lo + hi) / 2
		a, sum := math.Exp(mid), 0.0
		for _, o := range odds {
			sum += a * o / (1 + a*o)
		}
		if sum < target*float64(len(odds)) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}
