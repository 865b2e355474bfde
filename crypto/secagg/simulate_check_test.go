package secagg_test

import (
	"slices"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// judged checks evidence: it must be verifiable and name nobody honest
// (invariant 4).
func (c *simCoordinator) judged(r round.Record) {
	b, _, err := secagg.CheckEvidence(c.s.roster, r.Proof)
	switch {
	case err != nil || b.Member != r.Member:
		c.s.violated("evidence against member %d names %d: %v", r.Member, b.Member, err)
		return
	case c.s.honest.Has(b.Member):
		c.s.violated("evidence of kind %d names honest member %d", b.Kind, b.Member)
	}
	c.s.trace.Note(c.s.queue.Now(), 0, int(b.Member), "evidence", r.Text)
	c.s.count.Blames[b.Kind]++
	c.barred = c.barred.With(b.Member)
	if b.Kind != secagg.BlameComplaint {
		c.proofs[b.Member] = r.Proof
	}
}

// wentWell checks a closed round: the sum is the survivors' plain sum (invariant 1).
func (c *simCoordinator) wentWell(r round.Record) {
	u3 := secagg.Set(r.Close.Survivors)
	c.s.count.Closed++
	c.s.trace.Note(c.s.queue.Now(), 0, -1, "CLOSED", u3.String())
	public := c.public[simPlace{c.run, c.number}]
	if !slices.Equal(public.sum, c.s.plain(u3, c.number)) {
		c.s.violated("the sum of place %d is not that of %v", c.number, u3)
	}
	c.released(c.number, u3)
	public.frames = r.Frames
	c.state, c.model = r.Close.State, r.Close.Model
	c.number, c.failures, c.idle = c.number+1, 0, true
}

// wentWrong checks an aborted round: its cause is named (invariant 3) and is not
// that the coordinator gave up although enough answered (invariant 5).
func (c *simCoordinator) wentWrong(a *round.Abort) {
	c.s.count.Aborted++
	c.s.count.cause("abort: " + secagg.ReasonText(a.Code))
	c.s.trace.Note(c.s.queue.Now(), 0, -1, "ABORTED in "+a.Phase.String(), a.Reason)
	if a.Reason == "" || a.Code == 0 {
		c.s.violated("round %d was aborted without a cause", c.last)
	}
	if a.Released != nil {
		c.released(c.number, secagg.Set(*a.Released))
	}
	good := c.s.honest.Minus(c.net.hurt)
	enough := good.Len() >= c.s.t && (c.required == nil || c.required.SubsetOf(good))
	switch a.Code {
	case secagg.ReasonBlame, secagg.ReasonDealing:
		enough = secagg.Set(a.Blamed) == (secagg.Set{}) // it goes on without the guilty
	case secagg.ReasonRange:
		enough = enough && !c.cheats()
	}
	if enough {
		c.s.violated("round %d was aborted in %s (%s) although %v could answer", c.last, a.Phase, a.Reason, good)
	}
	c.failures++
	if secagg.Set(a.Blamed) != (secagg.Set{}) {
		c.failures--
	}
	c.idle = true
}

func (c *simCoordinator) cheats() bool {
	for _, i := range c.s.corrupt.Members() {
		if c.s.nodes[i].lie.vector {
			return true
		}
	}
	return false
}

// inspect is what a node does with a result before it takes it over: it spot-checks
// the sum and recomputes the model (S56, S58).
func (c *simCoordinator) inspect(n *simNode) func(*simSession, secagg.Closed) error {
	return func(se *simSession, closed secagg.Closed) error {
		return c.s.check(n, closed, c.public[simPlace{se.run, se.number}], n.run(se.run))
	}
}

// check compares a published sum with the uploads it is said to come from.
func (s *simulation) check(n *simNode, closed secagg.Closed, p *simPublic, r *simRun) error {
	proofs := map[uint8]secagg.Proof{}
	for i, words := range p.uploads {
		u := secagg.Upload{Words: words}
		proofs[i] = secagg.Proof{Data: u.Chunk(0), Path: secagg.MerklePath(secagg.ChunkHashes(words), 0)}
	}
	whole := secagg.Proof{Data: ring.AppendLE(nil, p.sum), Path: secagg.MerklePath(secagg.ChunkHashes(p.sum), 0)}
	if n.honest && s.weak == "spot check" {
		return nil
	}
	if err := secagg.SpotCheck(closed, 0, proofs, whole); err != nil {
		return err
	}
	state, model := s.next(s.step(r.steps+1, r.state, r.model), closed.H3, closed.SumRoot)
	if state != closed.State || model != closed.Model {
		return secagg.ErrModel
	}
	return nil
}

// catchUp verifies results that a node missed (S62).
func (c *simCoordinator) catchUp(n *simNode, run [16]byte) {
	r := n.run(run)
	for !r.stopped {
		p := c.public[simPlace{run, r.steps + 1}]
		if p == nil || p.frames == nil {
			return
		}
		closed, err := secagg.VerifyRound(c.verifyConfig(n, run), p.frames)
		if err == nil {
			err = c.s.check(n, closed, p, r)
		}
		if err != nil {
			c.s.violated("member %d cannot verify place %d: %v", n.i, r.steps+1, err)
			return
		}
		c.s.trace.Note(c.s.queue.Now(), int(n.i), -1, "caught up", "")
		n.take(run, closed)
	}
}
