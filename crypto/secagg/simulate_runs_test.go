package secagg_test

import (
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// begin starts a run of the plan.
func (c *simCoordinator) begin() {
	c.runs++
	c.run = [16]byte{byte(c.runs)}
	c.number, c.last, c.failures, c.barred = 1, 0, 0, secagg.Set{}
	c.state, c.model = c.s.start()
	c.round = nil
	c.idle = true
}

// next opens a round, waits, or ends the run; the reasons are named.
func (c *simCoordinator) next() {
	require, proofs := c.require()
	ready := c.net.up.Minus(c.barred)
	switch {
	case c.number > c.s.steps:
		c.endRun("plan is complete")
		return
	case c.failures >= 2:
		c.endRun("too many rounds were aborted")
		return
	case c.s.cohort().Minus(c.barred).Len() < c.s.t:
		c.endRun("too few members are left")
		return
	case require != nil && require.Len() < c.s.t:
		c.endRun("too few survivors of a released step are not guilty")
		return
	case ready.Len() < c.s.t, require != nil && !require.SubsetOf(ready):
		if c.waited++; c.waited > 60 {
			c.endRun("members do not come back")
		}
		return
	}
	c.waited, c.idle, c.required = 0, false, require
	sum := c.s.step(c.number, c.state, c.model)
	if c.round != nil {
		crowd := round.Crowd{Roster: secaggtest.Digest("roster"), Able: c.s.cohort().Minus(c.barred), Ready: ready, Require: require}
		why := c.round.Rekey(crowd)
		if why == "" {
			c.goOn(sum, require, proofs)
			return
		}
		c.s.trace.Note(c.s.queue.Now(), 0, -1, "fresh keys", why)
	}
	c.last++
	cfg := round.Config{Server: c.s.serverConfig(c.run, c.number, c.last, c.state, c.model), Grace: 6, Connected: c.net.up, Excluded: c.barred}
	cfg.Server.Require, cfg.Server.Evidence = require, proofs
	c.cfg, c.records, c.chunks = cfg, nil, map[uint8]map[uint32][]byte{}
	c.net.hurt = c.s.cohort().Minus(c.net.up)
	r, out, err := round.New(cfg)
	if err != nil {
		c.s.violated("round %d cannot be opened: %v", c.last, err)
		c.endRun("broken")
		return
	}
	c.round = r
	c.do(out)
}

// goOn begins the next sum of the batch.
func (c *simCoordinator) goOn(sum secagg.Sum, require *secagg.Set, proofs [][]byte) {
	k, _ := c.round.Batch()
	sum.K = k + 1
	c.net.hurt = c.net.hurt.Union(c.s.cohort().Minus(c.net.up)).Union(c.s.cohort().Minus(c.round.Live()))
	out, err := c.round.Continue(sum, require, proofs)
	if err != nil {
		c.s.violated("the batch does not go on: %v", err)
		c.endRun("broken")
		return
	}
	c.last, c.chunks = c.round.Number(), map[uint8]map[uint32][]byte{}
	c.do(out)
}

// require is the survivor set a place was released with, without whom evidence
// names (S35).
func (c *simCoordinator) require() (*secagg.Set, [][]byte) {
	set, ok := c.locks[c.number]
	if !ok {
		return nil, nil
	}
	var proofs [][]byte
	for _, i := range c.ever[c.number].Members() {
		if e := c.proofs[i]; e != nil && len(e) <= secagg.MaxEvidence {
			set, proofs = set.Without(i), append(proofs, e)
		}
	}
	return &set, proofs
}

func (c *simCoordinator) released(number uint32, set secagg.Set) {
	c.locks[number], c.ever[number] = set, c.ever[number].Union(set)
}

func (c *simCoordinator) endRun(why string) {
	c.s.trace.Note(c.s.queue.Now(), 0, -1, "end of the run", why)
	c.s.count.cause("run: " + why)
	if c.runs == 1 && c.s.chance(25) {
		c.begin()
		return
	}
	c.finished = true
}
