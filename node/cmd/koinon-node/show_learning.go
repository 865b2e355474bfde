package main

import (
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/federation"
)

// startAndStop says in words what a warm start, early stopping and a search
// reveal.
func startAndStop(p *federation.Plan) (out []string) {
	if p.WarmStart != nil {
		out = append(out, fmt.Sprintf("Training goes on from release %s under its encoder: no statistics are summed. What that release says about the rows it was trained on, this model says too.", p.WarmStart.Release))
	}
	if s := p.Algorithm.Stop; s.On() {
		when := "In every round"
		if s.Every > 1 {
			when = fmt.Sprintf("In one of %d rounds", s.Every)
		}
		out = append(out, fmt.Sprintf("%g %% of the training rows do not train but judge when training ends. %s their coarse number and mean loss are summed; a member that is missing once shows about how well the model fits its rows on average.", 100*s.Validation, when))
	}
	if c := p.Learning().WithDefaults(); c.Search != nil {
		out = append(out, fmt.Sprintf("%d settings are tried side by side, each in training sums of its own: up to %d sums more than one setting takes, and each says something else about the same rows.", c.Tries(), c.TrainRounds()-c.Algorithm.Rounds))
	}
	return out
}
