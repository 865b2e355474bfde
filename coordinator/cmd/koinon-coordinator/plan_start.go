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
	return fmt.Sprintf("after %d judgements without a better one, one every %d rounds, by %g %% of the training rows", s.Patience, s.Every, 100*s.Validation)
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
