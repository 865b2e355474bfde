package coordinator

import (
	"encoding/hex"
	"math"
	"path/filepath"

	"github.com/koinon-eu/koinon/coordinator/admin"
	pb "github.com/koinon-eu/koinon/coordinator/federationpb"
	"github.com/koinon-eu/koinon/models/artifact"
	"github.com/koinon-eu/koinon/models/card"
	"github.com/koinon-eu/koinon/models/release"
)

// finalsFolder holds, below the releases directory, the final models of runs whose candidate is an earlier one.
const finalsFolder = "finals"

// stopped says in the card's words what early stopping has chosen; nil for a plan without it.
func (c candidate) stopped() *card.Stop {
	if len(c.machine.Losses()) == 0 {
		return nil
	}
	rounds, _ := c.machine.Rounds()
	_, chosen := c.machine.Chosen()
	s := &card.Stop{Rounds: rounds, Chosen: chosen}
	if loss, ok := c.machine.ChosenLoss(); ok {
		s.Loss = &loss
	}
	return s
}

// tried says in the card's words what a search tried; nil without one.
func (c candidate) tried() []card.Tried {
	var out []card.Tried
	for _, t := range c.machine.Candidates() {
		tried := card.Tried{Settings: t.Settings, Rounds: t.Rounds, Chosen: t.Live}
		if !math.IsInf(t.Loss, 1) {
			tried.Loss = &t.Loss
		}
		out = append(out, tried)
	}
	return out
}

// final returns the artifact of the parameters after the last training sum, where the candidate's are earlier ones. No
// test row was scored with them, so that they have no operating point and flag nothing: a second tally would only invite
// a choice by the test rows.
func (c candidate) final(best *artifact.Model) ([]byte, error) {
	rounds, _ := c.machine.Rounds()
	if _, chosen := c.machine.Chosen(); len(c.machine.Losses()) == 0 || chosen == rounds {
		return nil, nil
	}
	model := *best
	model.Header.Name += "-final"
	model.Header.Threshold, model.Header.Bands = artifact.NoThreshold, artifact.BandsAt(artifact.NoThreshold, artifact.NoThreshold)
	if c.plan.Forecasts() {
		model.Header.Bands = artifact.ForecastBands()
	}
	model.Params = c.machine.Params()
	return model.Marshal()
}

// keepFinal stores the final model beside the candidate and says what the journal keeps of both.
func (c *Coordinator) keepFinal(name string, built drawn) (*admin.Stopping, error) {
	if built.stopped == nil {
		return nil, nil
	}
	digest := release.Describe(built.files)
	s := &admin.Stopping{Rounds: built.stopped.Rounds, Chosen: built.stopped.Chosen, Loss: built.stopped.Loss}
	for _, f := range digest {
		if f.Name == release.ArtifactFile {
			s.Best = f.SHA256.String()
		}
	}
	if built.final == nil {
		return s, nil
	}
	files := release.Files{release.ArtifactFile: built.final}
	s.Final, s.Path = release.Describe(files)[0].SHA256.String(), filepath.Join(finalsFolder, name)
	return s, c.keep(filepath.Join(c.cfg.Releases, s.Path), files)
}

// stoppingStatus is what an admin is told of it.
func (c *Coordinator) stoppingStatus(r Run) *pb.Stopping {
	if r.Release == "" {
		return nil
	}
	drawn, err := c.book.Release(r.Release)
	if err != nil || drawn.Stopping == nil {
		return nil
	}
	s := drawn.Stopping
	out := &pb.Stopping{Rounds: uint32(s.Rounds), Chosen: uint32(s.Chosen), Loss: math.NaN()}
	if plan, err := c.book.Plan(r.Plan); err == nil {
		out.Planned = uint32(plan.Plan.TrainRounds())
	}
	if s.Loss != nil {
		out.Loss = *s.Loss
	}
	out.Best, _ = hex.DecodeString(s.Best) // written by keepFinal
	if s.Final != "" {
		out.Final, _ = hex.DecodeString(s.Final)
		out.Path = filepath.Join(s.Path, release.ArtifactFile)
	}
	return out
}
