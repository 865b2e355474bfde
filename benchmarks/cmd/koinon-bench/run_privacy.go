package main

import (
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/deploy/cli"
)

// privacyFlags are what `run` knows of record-level privacy.
type privacyFlags struct {
	Epsilon float64 `name:"dp-epsilon" placeholder:"E" help:"Record-level privacy of so much epsilon over the whole run, statistics included; without it none."`
	Delta   float64 `name:"dp-delta" placeholder:"D" help:"Its delta; 1e-6 by default."`
	Clip    float64 `name:"dp-clip" placeholder:"C" help:"Norm to which a row's gradient is scaled down; 1 by default."`
	Rate    float64 `name:"dp-rate" placeholder:"Q" help:"Probability of a row to be in a step; 0.02 by default, 1 where a round sums one gradient."`
}

// plan returns the plan's privacy.
func (f privacyFlags) plan() (federation.Privacy, error) {
	if f.Epsilon == 0 {
		if f != (privacyFlags{}) {
			return federation.Privacy{}, cli.Usagef("--dp-delta, --dp-clip and --dp-rate are for --dp-epsilon")
		}
		return federation.Privacy{}, nil
	}
	return federation.Privacy{DP: federation.DPRecord, Epsilon: f.Epsilon, Delta: f.Delta, Clip: f.Clip, Rate: f.Rate}, nil
}

// privacyUsed is what the accountant was given and what it found.
type privacyUsed struct {
	Promised   float64      `json:"promised_epsilon"`
	Delta      float64      `json:"delta"`
	Epsilon    float64      `json:"epsilon"`
	PLD        float64      `json:"epsilon_pld"`
	Statistics dp.Mechanism `json:"statistics"`
	Training   dp.Mechanism `json:"training"`
	Clip       float64      `json:"clip,omitempty"`
}

// privacyOf returns nil for a plan without noise.
func privacyOf(p *federation.Plan) (*privacyUsed, error) {
	m := p.Mechanisms()
	if m == nil {
		return nil, nil
	}
	u := &privacyUsed{
		Promised: p.Privacy.Epsilon, Delta: p.Privacy.Delta, Statistics: m[0], Training: m[1], Clip: p.Privacy.Clip,
	}
	var err error
	if u.Epsilon, _, err = dp.Epsilon(u.Delta, m...); err == nil {
		u.PLD, err = dp.PLD(u.Delta, m...)
	}
	return u, err
}

func (u *privacyUsed) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "Record-level privacy: epsilon %.4g by Rényi divergence (%.4g by PLD) at delta %v, of %v promised; statistics: noise %v;\n"+
		"training: rate %v, noise %v, %d steps, clip %v. Full noise at each node; test rows, alone and pooled have none.\n",
		u.Epsilon, u.PLD, u.Delta, u.Promised, u.Statistics.Noise, u.Training.Rate, u.Training.Noise, u.Training.Steps, u.Clip)
	return err
}
