package secagg

import "fmt"

// Expect tells the client, between two sums of a batch, what this member derived
// itself for the next one (S73): the fields of ClientConfig with the same names.
// Only then may the coordinator's packet with that sum be handed to Receive.
// Errors wrap ErrTranscript outside of state waiting and ErrPlan for number 0;
// the client stays as it is.
func (c *Client) Expect(expect Sum, number, rows uint32) error {
	switch {
	case c.state == stateLeft:
		return ErrLeft
	case c.state != stateWaiting:
		return fmt.Errorf("member %d: %w: next sum in state %s", c.cfg.Self, ErrTranscript, c.State())
	case number == 0:
		return fmt.Errorf("member %d: %w: step without its number", c.cfg.Self, ErrPlan)
	}
	c.cfg.Expect, c.cfg.Number, c.cfg.Rows = expect, number, rows
	c.expected = true
	return nil
}

// Done reports whether the batch is over for this member: its last sum is
// closed, or the client has left.
func (c *Client) Done() bool { return c.state == stateClosed || c.state == stateLeft }

// end is the end of sum k: its seeds and shares are wiped (S37), and U2_{k+1}
// and prev of the next one are fixed (S38). After the last sum all is wiped.
func (c *Client) end(k uint16, next Set, prev [32]byte) {
	if k == c.spec.Sums {
		c.wipe()
		c.state = stateClosed
		return
	}
	for _, s := range c.seeds {
		s.wipeSum(k)
	}
	for _, l := range c.shares {
		q := len(l) / int(c.spec.Sums)
		clear(l[int(k-1)*q : int(k)*q])
	}
	c.rounding.wipeSum(k)
	for id, a := range c.answered {
		if !a.over {
			a.close()
			c.answered[id] = a
		}
	}
	clear(c.own)
	c.upload, c.uploaded, c.excused = nil, false, Set{}
	c.last, c.next, c.prev, c.expected = k, next, prev, false
	c.state = stateWaiting
}

// proceed is waiting → Ready: sum k+1 is the one this member expects and follows
// on sum k (§6, S38, S39). State and model are compared also for a member that
// follows: what this batch has led to it has computed itself.
func (c *Client) proceed(frames []Frame) (ClientOutput, error) {
	if len(frames) != 1 {
		return ClientOutput{}, fmt.Errorf("%w: sum with %d more frames", ErrTranscript, len(frames)-1)
	}
	if err := c.cfg.Roster.verify(frames[0], c.dspec); err != nil {
		return ClientOutput{}, err
	}
	s, err := ParseSum(frames[0].Body)
	if err != nil {
		return ClientOutput{}, err
	}
	if err := c.checkNext(s); err != nil {
		return ClientOutput{}, err
	}
	if err := matchStep(s, int(c.spec.N), c.cfg.Expect, false); err != nil {
		return ClientOutput{}, err
	}
	if c.cfg.Rows < s.MinRows {
		return ClientOutput{}, fmt.Errorf("%w: %d of %d", ErrNoData, c.cfg.Rows, s.MinRows)
	}
	c.sum, c.dsum = s, s.Digest()
	c.begin(c.next)
	c.state = stateReady
	return ClientOutput{Store: []Fact{{Kind: FactRound, Round: s.Round}}, Want: true}, nil
}

// checkNext holds a sum to its place in the batch.
func (c *Client) checkNext(s Sum) error {
	switch {
	case s.K <= c.last:
		return fmt.Errorf("%w: sum %d, last was %d", ErrReused, s.K, c.last)
	case s.K != c.last+1:
		return fmt.Errorf("%w: sum %d after sum %d", ErrTranscript, s.K, c.last)
	case !c.expected:
		return fmt.Errorf("%w: sum %d before this member knows what it must be", ErrTranscript, s.K)
	case s.Run != c.spec.Run || s.Round != roundOf(c.spec, s.K) || s.Prev != c.prev:
		return fmt.Errorf("%w: sum %d has another run, round or sum before it", ErrTranscript, s.K)
	case s.Members != c.next:
		return fmt.Errorf("%w: sum %d over %v, eligible are %v", ErrTranscript, s.K, s.Members, c.next)
	case !c.next.Has(c.cfg.Self):
		return fmt.Errorf("%w: of sum %d", ErrNotSurvivor, s.K)
	case c.next.Len() < c.t:
		return fmt.Errorf("%w: %d eligible for sum %d, %d needed", ErrTooFew, c.next.Len(), s.K, c.t)
	}
	return nil
}

// roundOf returns the round that sum k of a batch is.
func roundOf(s Spec, k uint16) uint32 { return s.Round + uint32(k) - 1 }

// abort takes the coordinator's abort. With k ≥ 1 it ends that sum only, if it is
// the present one, or between two sums the next one, which this member missed,
// and another follows; the same members are eligible again (S38). Else the client
// leaves.
func (c *Client) abort(frames []Frame) (ClientOutput, error) {
	if c.state == stateIdle || len(frames) != 1 {
		return ClientOutput{}, fmt.Errorf("%w: abort", ErrTranscript)
	}
	if err := c.cfg.Roster.verify(frames[0], c.dspec); err != nil {
		return ClientOutput{}, err
	}
	m, err := parseAbort(frames[0].Body)
	if err != nil {
		return ClientOutput{}, err
	}
	e := &AbortError{K: m.k, Reason: m.reason, Evidence: m.evidence}
	open := c.state >= stateReady && c.state <= stateReleased
	waits := c.state == stateWaiting
	if m.k == 0 || c.state < stateReady {
		return ClientOutput{}, e
	}
	if !(open && m.k == c.sum.K || waits && m.k == c.last+1) {
		return ClientOutput{}, fmt.Errorf("%w: abort of sum %d in state %s", ErrTranscript, m.k, c.State())
	}
	if m.k == c.spec.Sums {
		return ClientOutput{}, e
	}
	next := c.eligible
	if waits {
		next = c.next
	}
	c.end(m.k, next, c.prev)
	return ClientOutput{Ended: e}, nil
}
