package secagg

import "fmt"

// VerifyConfig is what a node that was away knows by itself about a round it
// now verifies (S62).
type VerifyConfig struct {
	Federation   [32]byte
	RosterDigest [32]byte
	Plan         [32]byte
	Roster       Roster
	Cohort       Set
	Run          [16]byte
	MinSurvivors int // 0 means 3
	Expect       Sum // as in ClientConfig
}

// VerifyRound verifies a published round from its frames alone: spec, sum,
// adverts, shares, survivors, masks, certificate, result, openings, in this
// order; rows after the shares are allowed and not needed. It checks what a
// member present would have checked in public messages. Fetching the sum,
// recomputing the model and the spot check remain (S62). Errors are those of
// the client's checks.
func VerifyRound(cfg VerifyConfig, frames []Frame) (Closed, error) {
	if err := checkCohort(cfg.Roster, cfg.Cohort); err != nil {
		return Closed{}, err
	}
	for _, f := range frames {
		if err := f.check(); err != nil {
			return Closed{}, err
		}
	}
	p := proof{r: cfg.Roster, frames: frames}
	if err := p.begin(cfg); err != nil {
		return Closed{}, err
	}
	v := &p.v
	if err := v.readAdverts(p.r, p.all(TypeAdvert)); err != nil {
		return Closed{}, err
	}
	if err := v.readShares(p.r, p.all(TypeShare)); err != nil {
		return Closed{}, err
	}
	p.all(TypeRow)
	v.g = transcript(v.h2, 1, v.u2, v.dsum, v.sum.Prev)
	if err := p.survivors(cfg.MinSurvivors); err != nil {
		return Closed{}, err
	}
	certificate, err := p.one(TypeCertificate)
	if err != nil {
		return Closed{}, err
	}
	if err := v.checkCertificate(p.r, certificate); err != nil {
		return Closed{}, err
	}
	closed, err := v.readResult(p.r, p.frames)
	if err != nil {
		return Closed{}, err
	}
	closed.Sigma = StepDigest(cfg.Federation, cfg.Plan, v.sum)
	return *closed, nil
}

func (p *proof) begin(cfg VerifyConfig) error {
	spec, err := p.one(TypeSpec)
	if err != nil {
		return err
	}
	sum, err := p.one(TypeSum)
	if err != nil {
		return err
	}
	if p.v, err = openView(p.r, spec, sum); err != nil {
		return err
	}
	if err := checkPins(p.v.spec, pins{federation: cfg.Federation, roster: cfg.RosterDigest, plan: cfg.Plan, run: cfg.Run, cohort: cfg.Cohort}); err != nil {
		return err
	}
	return checkStep(p.v, cfg.Expect, false)
}

func (p *proof) survivors(minSurvivors int) error {
	s, err := p.one(TypeSurvivors)
	if err != nil {
		return err
	}
	packet := append([]Frame{s}, p.all(TypeMask)...)
	p.all(TypeEvidence)
	if _, _, _, err := p.v.readSurvivors(p.r, packet); err != nil {
		return err
	}
	need := max(Threshold(p.v.spec.Cohort.Len()), minSurvivors, MinCohort)
	if p.v.u3.Len() < need {
		return fmt.Errorf("%w: %d survivors, %d needed", ErrTooFew, p.v.u3.Len(), need)
	}
	return nil
}
