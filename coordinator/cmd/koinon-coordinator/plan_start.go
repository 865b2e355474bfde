package main

import (
	"fmt"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/deploy/cli"
	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/start"
)

// stopWords says how a plan may end before its rounds; empty when it does not.
func stopWords(p *federation.Plan) string {
	s := p.Algorithm.Stop
	if !s.On() {
		return ""
	}
	each := "one every round"
	if s.Every > 1 {
		each = fmt.Sprintf("one every %d rounds", s.Every)
	}
	return fmt.Sprintf("after %d judgements without a better one, %s, by %g %% of the training rows", s.Patience, each, 100*s.Validation)
}

// searchFacts is what a search for settings costs.
type searchFacts struct {
	Candidates int `json:"candidates"` // the plan's own settings among them
	Extra      int `json:"extra_rounds"`
}

// searchOf returns nil for a plan without a search.
func searchOf(p *federation.Plan) *searchFacts {
	c := p.Learning().WithDefaults()
	if c.Search == nil {
		return nil
	}
	return &searchFacts{Candidates: c.Tries(), Extra: c.TrainRounds() - c.Algorithm.Rounds}
}

// checkStart holds a plan's warm start to the files of a release.
func checkStart(p *federation.Plan, dir string) error {
	if p.WarmStart == nil {
		return cli.Usagef("--start is for a plan with warm_start")
	}
	files, err := release.Read(dir)
	if err != nil {
		return err
	}
	_, err = start.Open(files[release.ArtifactFile], p.Learning())
	return err
}
