package secagg

import "fmt"

// agree is Masked → Agreed: survivors and their masks come in, one `agree`
// goes out for this sum (§6).
func (c *Client) agree(frames []Frame) (ClientOutput, error) {
	if !c.uploaded {
		return ClientOutput{}, fmt.Errorf("%w: survivors before the upload was whole", ErrUpload)
	}
	m, masks, proofs, err := c.readSurvivors(c.cfg.Roster, frames)
	if err != nil {
		return ClientOutput{}, err
	}
	if !c.u3.Has(c.cfg.Self) {
		return ClientOutput{}, fmt.Errorf("%w: of survivors", ErrNotSurvivor)
	}
	if !masks[position(c.u3, c.cfg.Self)].equal(c.own[TypeMask]) {
		return ClientOutput{}, fmt.Errorf("%w: own mask", ErrAltered)
	}
	if err := c.checkSurvivors(c.minSurvivors); err != nil {
		return ClientOutput{}, err
	}
	if err := c.checkRequired(); err != nil {
		return ClientOutput{}, err
	}
	if err := c.checkEvidence(m, proofs); err != nil {
		return ClientOutput{}, err
	}
	if err := c.checkLock(); err != nil {
		return ClientOutput{}, err
	}
	f, err := c.sign(TypeAgree, agree{k: c.sum.K, g: c.g, h3: c.h3}.body())
	if err != nil {
		return ClientOutput{}, err
	}
	c.state = stateAgreed
	out := ClientOutput{Send: []Frame{f}}
	if c.spec.Version() == 2 {
		out.Store = []Fact{c.lockFact()}
	}
	return out, nil
}

// readSurvivors checks `survivors` and the masks after it and computes h3. What
// follows the masks is evidence.
func (v *transcriptView) readSurvivors(r Roster, frames []Frame) (m survivors, masks, proofs []Frame, err error) {
	if err = r.verify(frames[0], v.dspec); err != nil {
		return m, nil, nil, err
	}
	if m, err = parseSurvivors(frames[0].Body); err != nil {
		return m, nil, nil, err
	}
	masks = frames[1:]
	for i, f := range masks {
		if f.Type == TypeEvidence {
			masks, proofs = masks[:i], masks[i:]
			break
		}
	}
	if m.k != v.sum.K {
		return m, nil, nil, fmt.Errorf("%w: survivors of sum %d in sum %d", ErrTranscript, m.k, v.sum.K)
	}
	if set, err := members(masks, TypeMask); err != nil {
		return m, nil, nil, err
	} else if set != m.set {
		return m, nil, nil, fmt.Errorf("%w: survivors %v with masks of %v", ErrTranscript, m.set, set)
	}
	if err := v.readMasks(r, masks, m.set); err != nil {
		return m, nil, nil, err
	}
	return m, masks, proofs, nil
}

func (v *transcriptView) readMasks(r Roster, frames []Frame, u3 Set) error {
	if !u3.SubsetOf(v.eligible) {
		return fmt.Errorf("%w: %v are not eligible", ErrSurvivors, u3.Minus(v.eligible))
	}
	roots := map[uint8][32]byte{}
	byMember := map[uint8]Frame{}
	for _, f := range frames {
		if err := r.verify(f, v.dspec); err != nil {
			return err
		}
		m, err := parseMask(f.Body)
		if err != nil {
			return err
		}
		if m.k != v.sum.K || m.g != v.g || int64(m.words) != int64(v.sum.Layout().Words()) {
			return fmt.Errorf("%w: mask of %d has another transcript or length", ErrTranscript, f.Sender)
		}
		roots[f.Sender], byMember[f.Sender] = m.root, f
	}
	v.u3, v.roots = u3, roots
	v.h3 = chain("h3", v.g, u3, byMember)
	return nil
}

// checkEvidence reads the evidence that came with the survivors and notes whom
// it proves guilty.
func (c *Client) checkEvidence(m survivors, proofs []Frame) error {
	if len(proofs) != len(m.blame) {
		return fmt.Errorf("%w: %d digests with %d pieces of evidence", ErrTranscript, len(m.blame), len(proofs))
	}
	for i, f := range proofs {
		if f.Type != TypeEvidence || EvidenceDigest(f.Body) != m.blame[i] {
			return fmt.Errorf("%w: evidence %d is not the announced one", ErrTranscript, i)
		}
	}
	c.excused = c.guilty(proofs)
	return nil
}

// checkRequired holds a sum to the survivors this member wants for it, if it
// wants any in particular (S38), and to those it allows.
func (c *Client) checkRequired() error {
	if c.cfg.Require != nil {
		if set, ok := c.cfg.Require(c.sum); ok && set != c.u3 {
			return fmt.Errorf("%w: %v, this member releases the sum for %v alone", ErrSurvivors, c.u3, set)
		}
	}
	if c.cfg.Allow != nil {
		if err := c.cfg.Allow(c.sum, c.u3); err != nil {
			return fmt.Errorf("%w: %w", ErrSurvivors, err)
		}
	}
	return nil
}

// checkLock holds a place of the plan to the survivors it was released with,
// less those whom attached evidence proves guilty (S33). It is asked before
// `agree` and again before `unmask`: another run of the plan may have released
// the place in between.
func (c *Client) checkLock() error {
	if c.cfg.Lock == nil {
		return nil
	}
	locked, ok := c.cfg.Lock(c.lockName())
	if !ok || locked == c.u3 {
		return nil
	}
	if !c.u3.SubsetOf(locked) || !locked.Minus(c.u3).SubsetOf(c.excused) {
		return fmt.Errorf("%w: %v, now %v", ErrStepReleased, locked, c.u3)
	}
	return nil
}

// lockFact is what must be durable before this member's shares, in version 2
// already before its `agree`, leave it (S33, V13).
func (c *Client) lockFact() Fact {
	return Fact{Kind: FactLock, Round: c.sum.Round, Lock: c.lockName(), Survivors: c.u3, Excused: c.excused, H3: c.h3}
}

func (c *Client) lockName() [32]byte {
	return LockName(c.cfg.Federation, c.cfg.Plan, c.sum.Kind, c.cfg.Number)
}

// guilty returns who is proven guilty under this plan by evidence this member
// checks itself. A false complaint is no ground: nothing ties it to the bundle
// that its author saw.
func (c *Client) guilty(proofs []Frame) (g Set) {
	for _, f := range proofs {
		b, spec, err := CheckEvidence(c.cfg.Roster, f.Body)
		if err == nil && b.Kind != BlameComplaint && spec.Plan == c.cfg.Plan && spec.Federation == c.cfg.Federation {
			g = g.With(b.Member)
		}
	}
	return g
}
