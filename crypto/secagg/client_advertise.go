package secagg

import (
	"bytes"
	"crypto/hpke"
	"fmt"
)

// advertise is Idle → Advertised: spec and sum are what this member approved
// and derived itself (§6).
func (c *Client) advertise(frames []Frame) (ClientOutput, error) {
	if len(frames) != 2 || frames[1].Type != TypeSum {
		return ClientOutput{}, fmt.Errorf("%w: opening of %d frames", ErrTranscript, len(frames))
	}
	v, err := openView(c.cfg.Roster, frames[0], frames[1])
	if err != nil {
		return ClientOutput{}, err
	}
	if err := c.checkSpec(v.spec); err != nil {
		return ClientOutput{}, err
	}
	if err := checkStep(v, c.cfg.Expect, c.cfg.Follow); err != nil {
		return ClientOutput{}, err
	}
	if v.spec.Round <= c.cfg.LastRound {
		return ClientOutput{}, fmt.Errorf("%w: round %d, last was %d", ErrStale, v.spec.Round, c.cfg.LastRound)
	}
	if c.cfg.Rows < v.sum.MinRows {
		return ClientOutput{}, fmt.Errorf("%w: %d of %d", ErrNoData, c.cfg.Rows, v.sum.MinRows)
	}
	c.transcriptView = v
	f, err := c.makeAdvert()
	if err != nil {
		return ClientOutput{}, err
	}
	c.state = stateAdvertised
	return ClientOutput{
		Store: []Fact{{Kind: FactRound, Round: v.spec.Round}},
		Send:  []Frame{f},
	}, nil
}

// openView verifies and reads the two frames that open a batch.
func openView(r Roster, spec, sum Frame) (v transcriptView, err error) {
	if spec.Type != TypeSpec || sum.Type != TypeSum {
		return v, fmt.Errorf("%w: opening with %s and %s", ErrTranscript, spec.Type, sum.Type)
	}
	if err := r.verify(spec, [32]byte{}); err != nil {
		return v, err
	}
	if v.spec, err = ParseSpec(spec.Body); err != nil {
		return v, err
	}
	v.dspec = v.spec.Digest()
	if err := r.verify(sum, v.dspec); err != nil {
		return v, err
	}
	if v.sum, err = ParseSum(sum.Body); err != nil {
		return v, err
	}
	v.dsum = v.sum.Digest()
	return v, nil
}

func (c *Client) checkSpec(s Spec) error {
	err := checkPins(s, pins{
		federation: c.cfg.Federation, roster: c.cfg.RosterDigest, plan: c.cfg.Plan,
		run: c.cfg.Run, cohort: c.cfg.Cohort,
	})
	if err == nil && s.Sums > c.cfg.MaxSums {
		err = fmt.Errorf("%w: batch of %d sums, the plan allows %d", ErrPolicy, s.Sums, c.cfg.MaxSums)
	}
	return err
}

// pins are the values of a spec that every member knows by itself.
type pins struct {
	federation, roster, plan [32]byte
	run                      [16]byte
	cohort                   Set
}

// checkPins compares a spec with what was pinned and approved (S5, S10).
func checkPins(s Spec, p pins) error {
	n := p.cohort.Len()
	switch {
	case s.Federation != p.federation || s.Roster != p.roster || s.Run != p.run:
		return fmt.Errorf("%w: federation, run or roster version", ErrRoster)
	case s.Plan != p.plan:
		return fmt.Errorf("%w: plan %x", ErrPlan, s.Plan[:8])
	case s.Cohort != p.cohort:
		return fmt.Errorf("%w: cohort %v, the plan has %v", ErrPlan, s.Cohort, p.cohort)
	case int(s.N) != n || int(s.T) != Threshold(n):
		return fmt.Errorf("%w: %d of %d, the plan means %d of %d", ErrThreshold, s.T, s.N, Threshold(n), n)
	}
	return checkSums(s)
}

// checkStep compares the first sum of a batch with the spec that announced it
// and with the step derived from the plan (S73).
func checkStep(v transcriptView, expect Sum, follow bool) error {
	s := v.sum
	if s.Digest() != v.spec.First || s.Run != v.spec.Run || s.Round != v.spec.Round || s.K != 1 || s.Members != (Set{}) || s.Prev != ([32]byte{}) {
		return fmt.Errorf("%w: sum is not the first one of this spec", ErrTranscript)
	}
	return matchStep(s, int(v.spec.N), expect, follow)
}

// matchStep compares a sum with the step derived from the plan (S73). With
// follow, state and model are taken as announced.
func matchStep(s Sum, n int, expect Sum, follow bool) error {
	if err := s.Validate(n); err != nil {
		return err
	}
	expect.Run, expect.Round, expect.K, expect.Members, expect.Prev = s.Run, s.Round, s.K, s.Members, s.Prev
	state, model := expect.State == s.State, expect.Model == s.Model
	expect.State, expect.Model = s.State, s.Model
	if !bytes.Equal(expect.body(), s.body()) {
		return fmt.Errorf("%w: kind %d step %d", ErrPolicy, s.Kind, s.Step)
	}
	if !follow && !(state && model) {
		return fmt.Errorf("%w: state equal %t, model equal %t", ErrModel, state, model)
	}
	return nil
}

// makeAdvert derives this batch's key pair (S13) and signs the advert. In version
// 1 the nonce only makes adverts distinct, so it comes from ρ as well; in version
// 2 it commits to this member's draw (V5).
func (c *Client) makeAdvert() (Frame, error) {
	seed := derive(c.cfg.Rho, c.dspec, "kem")
	defer clear(seed[:])
	sk, err := hpke.MLKEM768X25519().DeriveKeyPair(seed[:])
	if err != nil {
		return Frame{}, fmt.Errorf("derive key pair: %w", err)
	}
	c.sk = sk
	m := advert{spec: c.dspec, follow: c.cfg.Follow, nonce: derive(c.cfg.Rho, c.dspec, "nonce")}
	if c.spec.Version() == 2 {
		m.nonce = drawCommitment(c.dspec, c.cfg.Self, derive(c.cfg.Rho, c.dspec, "draw"))
	}
	copy(m.pk[:], sk.PublicKey().Bytes())
	return c.sign(TypeAdvert, m.body())
}
