package secagg_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/prg"
	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// simCoordinator is the honest coordinator: the real machine of coordinator/round,
// and of its driver the journal, the spool, and what to do next after a round.
type simCoordinator struct {
	s       *simulation
	net     *simNetwork
	round   *round.Round
	cfg     round.Config
	records []round.Record              // of the present round, durable
	chunks  map[uint8]map[uint32][]byte // spool, durable unless lost
	locks   map[uint32]secagg.Set       // place → released survivors, durable
	ever    map[uint32]secagg.Set       // place → all with whom it was ever released: nodes may hold to any of the sets
	proofs  map[uint8][]byte            // durable
	barred  secagg.Set                  // proven guilty in this run
	public  map[simPlace]*simPublic

	run      [16]byte
	runs     int
	number   uint32 // place to sum next
	last     uint32 // round
	state    [32]byte
	model    [32]byte
	failures int
	waited   int
	required *secagg.Set // of the present round
	down     int         // ticks until it is up again
	job      int
	idle     bool
	finished bool
}

// simPlace is a place of the plan in one run of it.
type simPlace struct {
	run    [16]byte
	number uint32
}

// simPublic is what is published of a sum, with the uploads for spot checks.
type simPublic struct {
	frames  []secagg.Frame
	uploads map[uint8][]uint64
	sum     []uint64
}

// honestCoordinator plays a history with a coordinator that follows the protocol.
func (s *simulation) honestCoordinator() {
	c := &simCoordinator{s: s, locks: map[uint32]secagg.Set{}, ever: map[uint32]secagg.Set{}, proofs: map[uint8][]byte{}, public: map[simPlace]*simPublic{}}
	c.net = newSimNetwork(s, c)
	s.lies()
	for _, n := range s.nodes {
		n.send = func(se *simSession, p []secagg.Frame) {
			if n.honest {
				c.net.toCoordinator(se, se.round, p)
				if p[0].Type == secagg.TypeComplaint || p[0].Type == secagg.TypeDispute {
					c.net.hurt = c.net.hurt.With(n.i)
				}
				return
			}
			round := se.round
			for _, q := range n.lied(se, p) {
				wait := int64(0)
				if n.lie.late {
					wait = int64(s.rnd.IntN(40))
				}
				s.queue.After(wait, 3, func() { c.net.toCoordinator(se, round, q) })
			}
		}
		n.behind = func(run [16]byte) { c.catchUp(n, run) }
		n.outside = func(round uint32) { c.net.left(n.i, round) }
		n.upload = c.net.upload
		n.closed = c.inspect(n)
	}
	c.begin()
	for tick := int64(1); !c.finished; tick++ {
		if tick > 3000 {
			s.violated("round %d never ends, it is in phase %v", c.last, c.round.Phase())
			break
		}
		for s.queue.Next(tick) {
		}
		c.tick()
		c.net.tick()
		for _, i := range s.cohort().Members() {
			s.nodes[i].tick()
		}
	}
	for range 80 { // what is still on its way
		s.queue.Next(s.queue.Now() + 1)
		for _, i := range s.cohort().Members() {
			s.nodes[i].tick()
		}
	}
}

func (c *simCoordinator) tick() {
	if c.down > 0 {
		if c.down--; c.down == 0 {
			c.restore()
		}
		return
	}
	if c.s.weak != "deadline" {
		c.step(round.Tick{})
	}
	if c.idle {
		c.next()
	}
}

func (c *simCoordinator) step(e round.Event) {
	if c.down > 0 || c.round == nil {
		return
	}
	out, err := c.round.Step(e)
	if r, ok := e.(round.Received); ok {
		verdict := "accepted"
		if err != nil {
			verdict = "REFUSED: " + err.Error()
		}
		c.s.note(int(r.From), 0, r.Frames, verdict)
	}
	c.do(out)
}

func (c *simCoordinator) receive(se *simSession, number uint32, p []secagg.Frame) {
	from := se.node.i
	if se.run != c.run || number != c.last {
		c.s.note(int(from), 0, p, "for another round")
		return
	}
	c.step(round.Received{From: from, Frames: p})
}

// chunk stores a part of a vector and tells the node when all of it is there.
func (c *simCoordinator) chunk(se *simSession, number, q uint32, data []byte) {
	from := se.node.i
	if c.down > 0 || c.round == nil || c.round.Phase().Over() || c.run != se.run || c.last != number {
		return
	}
	out, err := c.round.Step(round.Chunk{From: from, Index: q, Data: data})
	if err != nil {
		c.s.trace.Note(c.s.queue.Now(), int(from), 0, "chunk", "REFUSED: "+err.Error())
		if _, whole := c.round.Have(from); whole { // which is what a node asks then (S54)
			c.net.carry([2]uint8{1, from}, from, func() { se.node.uploaded(se, number) })
		}
		return
	}
	if c.chunks[from] == nil {
		c.chunks[from] = map[uint32][]byte{}
	}
	c.chunks[from][q] = slices.Clone(data)
	c.do(out)
	if out, err = c.round.Step(round.Stored{From: from, Index: q}); err != nil {
		c.s.violated("stored chunk %d of member %d: %v", q, from, err)
		return
	}
	c.do(out)
	if out.Complete {
		c.net.carry([2]uint8{1, from}, from, func() { se.node.uploaded(se, number) })
		c.step(round.Whole{From: from})
	}
}

// do acts on an output as the driver does.
func (c *simCoordinator) do(out round.Output) {
	for _, r := range out.Records {
		c.records = append(c.records, r)
		switch r.Kind {
		case round.KindEvidence:
			c.judged(r)
		case round.KindPhase:
			c.s.trace.Note(c.s.queue.Now(), 0, -1, "end of "+r.Phase.String(), secagg.Set(*r.Set).String())
		}
	}
	for _, m := range out.Messages {
		for _, to := range m.To.Members() {
			c.net.toNode(to, c.run, m.Round, m.Frames)
		}
	}
	for _, i := range out.Forget {
		delete(c.chunks, i)
	}
	if out.Sum != nil {
		c.job++
		job := c.job
		c.s.queue.After(int64(c.s.rnd.IntN(3)), 0, func() {
			if c.down == 0 && c.job == job {
				c.sum(*out.Sum)
			}
		})
	}
	for _, r := range out.Records {
		switch r.Kind {
		case round.KindClosed:
			c.wentWell(r)
		case round.KindAborted:
			c.wentWrong(r.Abort)
		}
	}
}

// sum is the job of Publish.
func (c *simCoordinator) sum(job round.SumJob) {
	survivors := job.Survivors
	if c.s.weak == "survivors" && survivors.Len() > c.s.t {
		survivors = survivors.Without(survivors.Members()[0])
	}
	check := c.round.ChunkCheck()
	total, uploads := make([]uint64, job.Words), map[uint8][]uint64{}
	for _, m := range survivors.Members() {
		var all []byte
		for q := range len(c.chunks[m]) {
			data := c.chunks[m][uint32(q)]
			if err := check(m, uint32(q), data); err != nil {
				c.s.violated("spool: %v", err)
			}
			all = append(all, data...)
		}
		words, err := ring.FromLE(all)
		if err != nil || len(words) != job.Words {
			c.s.violated("spool: vector of member %d has %d words", m, len(words))
			return
		}
		uploads[m] = words
		ring.Add(total, words)
	}
	prg.Apply(total, 0, job.Streams)
	sum := c.round.Sum()
	if c.s.weak != "survivors" {
		if err := secagg.CheckSum(sum.Layout(), total, job.Survivors.Len(), sum.WeightCap, sum.IntMax); err != nil {
			c.step(round.SumFailed{Reason: err.Error(), Range: true})
			return
		}
	}
	root := secagg.SumRoot(total)
	state, model := c.s.next(sum, c.round.H3(), root)
	c.public[simPlace{c.run, c.number}] = &simPublic{uploads: uploads, sum: total}
	c.step(round.Summed{Words: uint32(job.Words), SumRoot: root, State: state, Model: model})
}

// crash stops the coordinator for a while; its journal stays, its spool mostly.
func (c *simCoordinator) crash() {
	if c.down > 0 || c.finished {
		return
	}
	c.s.trace.Note(c.s.queue.Now(), -1, 0, "crash", "")
	c.down = 1 + c.s.rnd.IntN(5)
	for _, i := range c.net.up.Members() {
		c.net.disconnect(i, c.down+c.s.rnd.IntN(6))
	}
	c.job++
	if c.s.chance(20) {
		c.chunks = map[uint8]map[uint32][]byte{}
	}
}

// restore replays the journal: in the middle of a sum it goes on with that sum,
// between two sums of a batch with the next one (S65).
func (c *simCoordinator) restore() {
	if c.round == nil {
		return
	}
	if a := c.records[len(c.records)-1].Abort; a != nil && !a.GoesOn {
		c.round = nil
		return
	}
	var records []round.Record
	for _, r := range c.records {
		body, err := r.Encode()
		if err != nil {
			c.s.violated("record %s: %v", r.Kind, err)
			return
		}
		again, err := round.DecodeRecord(r.Kind, body)
		if err != nil {
			c.s.violated("record %s: %v", r.Kind, err)
			return
		}
		records = append(records, again)
	}
	c.cfg.Connected = secagg.Set{}
	r, out, err := round.Restore(c.cfg, records, func(m uint8, q uint32) ([]byte, error) {
		if data, ok := c.chunks[m][q]; ok {
			return data, nil
		}
		return nil, errors.New("no such chunk")
	})
	if err != nil {
		c.round = nil
		if !c.idle {
			c.s.violated("restore: %v", err)
			c.endRun("broken")
		}
		return
	}
	c.round = r
	c.s.trace.Note(c.s.queue.Now(), -1, 0, "restored in "+r.Phase().String(), fmt.Sprint(len(records), " records"))
	c.do(out)
}

// verifyConfig is what a node knows that verifies a place later.
func (c *simCoordinator) verifyConfig(n *simNode, run [16]byte) secagg.VerifyConfig {
	r := n.run(run)
	return secagg.VerifyConfig{
		Federation: secaggtest.Digest("federation"), RosterDigest: secaggtest.Digest("roster"), Plan: secaggtest.Digest("plan"),
		Roster: c.s.roster, Cohort: c.s.cohort(), Run: run, Expect: c.s.step(r.steps+1, r.state, r.model),
	}
}
