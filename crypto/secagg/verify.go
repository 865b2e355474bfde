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

// VerifyRound verifies a published round from its frames alone: spec, its sum (in
// a batch any of them), adverts, in version 2 reveals, shares, survivors, masks, certificate, result,
// openings, in this order; rows after the shares are allowed and not needed. It checks what a
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
	closed, err := p.round(cfg.MinSurvivors)
	if err != nil {
		return Closed{}, err
	}
	if len(p.frames) != 0 {
		return Closed{}, fmt.Errorf("%w: %d frames after the openings", ErrResult, len(p.frames))
	}
	closed.Sigma = StepDigest(cfg.Federation, cfg.Plan, p.v.sum)
	return *closed, nil
}

// round reads a published round from its adverts to its openings.
func (p *proof) round(minSurvivors int) (*Closed, error) {
	v := &p.v
	if err := p.readSetup(); err != nil {
		return nil, err
	}
	if err := v.readShares(p.r, p.all(TypeShare)); err != nil {
		return nil, err
	}
	p.all(TypeRow)
	if err := v.beginPublic(); err != nil {
		return nil, err
	}
	if err := p.survivors(minSurvivors); err != nil {
		return nil, err
	}
	certificate, err := p.one(TypeCertificate)
	if err != nil {
		return nil, err
	}
	if err := v.checkCertificate(p.r, certificate); err != nil {
		return nil, err
	}
	n := min(2, len(p.frames))
	packet := p.frames[:n]
	p.frames = p.frames[n:]
	return v.readResult(p.r, packet)
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
	if p.v.sum.K == 1 {
		return checkStep(p.v, cfg.Expect, false)
	}
	s := p.v.sum
	if s.K < 1 || s.K > p.v.spec.Sums || s.Run != p.v.spec.Run || s.Round != roundOf(p.v.spec, s.K) {
		return fmt.Errorf("%w: sum %d is not one of this spec", ErrTranscript, s.K)
	}
	return matchStep(s, int(p.v.spec.N), cfg.Expect, false)
}

// beginPublic is begin for a reader of public messages. From the second sum on
// who is eligible, and prev, come from the coordinator's signed sum: g_k covers
// both, and t members who knew them by themselves sign it with h3 in `agree`.
func (v *transcriptView) beginPublic() error {
	eligible := v.u2
	if v.sum.K != 1 {
		eligible = v.sum.Members
	}
	if !eligible.SubsetOf(v.u2) {
		return fmt.Errorf("%w: %v are eligible and did not share", ErrTranscript, eligible.Minus(v.u2))
	}
	v.begin(eligible)
	return nil
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
	return p.v.checkSurvivors(max(minSurvivors, MinCohort))
}
