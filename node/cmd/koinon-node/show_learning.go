package main

import (
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/federation"
)

// startAndStop says in words what a warm start and early stopping reveal.
func startAndStop(p *federation.Plan) (out []string) {
	if p.WarmStart != nil {
		out = append(out, fmt.Sprintf("Training goes on from release %s under its encoder: no statistics are summed. What that release says about the rows it was trained on, this model says too.", p.WarmStart.Release))
	}
	if s := p.Algorithm.Stop; s.On() {
		out = append(out, fmt.Sprintf("%g %% of the training rows do not train but judge when training ends. In one of %d rounds their coarse number and mean loss are summed; a member that is missing once shows about how well the model fits its rows on average.", 100*s.Validation, s.Every))
	}
	return out
}
