package secagg_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

var errSimDeadline = errors.New("deadline passed")

// simNode is a member's node: the real client, and of its driver what the
// protocol rests on, namely durable facts before anything leaves (S63), packets
// held until the upload is answered, and deadlines (S67).
type simNode struct {
	s      *simulation
	i      uint8
	honest bool
	lie    simLie

	locks map[[32]byte]secagg.Set // durable
	runs  map[[16]byte]*simRun    // durable

	sessions map[[16]byte]*simSession // lost in a crash
	rho      uint64

	send   func(se *simSession, p []secagg.Frame)
	upload func(se *simSession)

	behind  func(run [16]byte)                          // catches up with what was missed (S62)
	outside func(round uint32)                          // says that the node is not in a round
	closed  func(se *simSession, c secagg.Closed) error // spot check and all else before a sum is taken over
}

// simRun is what a node keeps of a run.
type simRun struct {
	last         uint32 // round
	steps        uint32 // taken over
	state, model [32]byte
	stopped      bool
}

// simSession is a node in one batch.
type simSession struct {
	node      *simNode
	run       [16]byte
	round     uint32
	number    uint32
	client    *secagg.Client
	opening   []secagg.Frame
	limits    [5]uint32
	entered   int64
	state     string
	last      []secagg.Frame
	cargo     *secagg.Upload
	uploading bool
	held      []simPacket
	ended     error
	done      bool
}

func (se *simSession) over() bool { return se.done || se.ended != nil }

func (n *simNode) run(id [16]byte) *simRun {
	if n.runs[id] == nil {
		r := &simRun{}
		r.state, r.model = n.s.start()
		n.runs[id] = r
	}
	return n.runs[id]
}

// config is what the node knows by itself when a batch opens.
func (n *simNode) config(id [16]byte) secagg.ClientConfig {
	r := n.run(id)
	n.rho++
	cfg := secagg.ClientConfig{
		Self: n.i, Federation: secaggtest.Digest("federation"), RosterDigest: secaggtest.Digest("roster"), Plan: secaggtest.Digest("plan"),
		Roster: n.s.roster, Cohort: n.s.cohort(), Run: id, LastRound: r.last, MinCohort: 3,
		Expect: n.s.step(r.steps+1, r.state, r.model), Number: r.steps + 1, Rows: 1000, MaxSums: 8, Sign: n.s.sign(n.i), Seal: n.s.seal,
		Rho:  n.s.digest("rho", uint64(n.i), n.rho),
		Lock: func(name [32]byte) (secagg.Set, bool) { l, ok := n.locks[name]; return l, ok },
	}
	if n.honest && n.s.weak == "lock" {
		cfg.Lock = nil
	}
	return cfg
}

// join opens a batch; one that is open in the same run ends, as in the driver.
func (n *simNode) join(id [16]byte, p []secagg.Frame) *simSession {
	spec, err := secagg.ParseSpec(p[0].Body)
	if err != nil {
		n.s.note(0, int(n.i), p, "unreadable")
		return nil
	}
	if old := n.sessions[id]; old != nil && !old.over() {
		if old.round == spec.Round {
			n.give(old, p)
			return old
		}
		old.client.Leave()
		n.end(old, errors.New("the coordinator opened another round"))
	}
	if n.behind != nil {
		n.behind(id)
	}
	r := n.run(id)
	if r.stopped || r.steps >= n.s.steps {
		n.s.note(0, int(n.i), p, "the run is over for this node")
		return nil
	}
	cfg := n.config(id)
	c, err := secagg.NewClient(cfg)
	if err != nil {
		n.s.violated("member %d: %v", n.i, err)
		return nil
	}
	if n.honest && n.s.weak == "cohort" {
		secagg.ShrinkCohort(c, p[0])
	}
	if n.honest && n.s.weak == "threshold" {
		secagg.LowerThreshold(c, n.s.n/2+1)
	}
	se := &simSession{node: n, run: id, round: spec.Round, number: cfg.Number, client: c, opening: p, limits: spec.Deadlines, entered: n.s.queue.Now()}
	n.sessions[id] = se
	n.give(se, p)
	n.s.private(c)
	return se
}

// receive takes a packet of the coordinator, which says that it belongs to a
// round of a run.
func (n *simNode) receive(id [16]byte, round uint32, p []secagg.Frame) {
	se := n.sessions[id]
	switch {
	case len(p) > 0 && p[0].Type == secagg.TypeSpec:
		n.join(id, p)
	case se != nil && !se.over() && se.holds(round, p):
		se.held = append(se.held, simPacket{id, round, p})
		n.s.note(0, int(n.i), p, "held until the upload is answered")
	case se == nil || se.over() || !se.takes(round, p):
		n.s.note(0, int(n.i), p, "not in this round")
		if n.outside != nil && (se == nil || se.round < round) && len(p) > 0 && p[0].Type >= secagg.TypeSum && p[0].Type <= secagg.TypeCertificate {
			n.outside(round)
		}
	default:
		n.give(se, p)
	}
}

// takes reports whether a packet is for the batch as it stands; between two sums
// that is the next sum or the end of the batch.
func (se *simSession) takes(round uint32, p []secagg.Frame) bool {
	if se.client.State() != "waiting" || len(p) == 0 {
		return round == se.round
	}
	f := p[0]
	return round == se.round+1 && f.Type == secagg.TypeSum || round == se.round && f.Type == secagg.TypeAbort && len(f.Body) > 1 && f.Body[0] == 0 && f.Body[1] == 0
}

// holds reports whether a packet waits for the answer to the upload, which the
// survivors may overtake, and what follows them as well.
func (se *simSession) holds(round uint32, p []secagg.Frame) bool {
	if !se.uploading || len(p) == 0 || len(se.held) == 8 {
		return false
	}
	own, t := round == se.round, p[0].Type
	return own && t == secagg.TypeSurvivors || len(se.held) > 0 && (own && t != secagg.TypeAbort || round == se.round+1 && t == secagg.TypeSum)
}

// give hands a packet to the client, one check of which may be switched off.
func (n *simNode) give(se *simSession, p []secagg.Frame) {
	out, err := n.weakened(se, p)
	if err != nil {
		n.s.note(0, int(n.i), p, "LEFT: "+err.Error())
		n.perform(se, secagg.ClientOutput{Send: out.Send})
		n.end(se, err)
		return
	}
	n.s.note(0, int(n.i), p, se.client.State())
	n.perform(se, out)
}

func (n *simNode) weakened(se *simSession, p []secagg.Frame) (secagg.ClientOutput, error) {
	c, t := se.client, secagg.Type(0)
	if len(p) > 0 {
		t = p[0].Type
	}
	if n.honest {
		switch n.s.weak {
		case "certificate", "threshold":
			if t == secagg.TypeCertificate && c.State() == "agreed" {
				return secagg.ReleaseFor(c, p, map[string]int{"certificate": 1, "threshold": n.s.n/2 + 1}[n.s.weak])
			}
		case "transcript":
			if t == secagg.TypeSurvivors && c.State() == "masked" {
				return secagg.AgreeToAny(c, p)
			}
			if t == secagg.TypeCertificate && c.State() == "agreed" {
				return secagg.ReleaseFor(c, p, n.s.t)
			}
		case "evidence":
			if t == secagg.TypeSurvivors && p[len(p)-1].Type == secagg.TypeEvidence {
				secagg.Unlock(c)
			}
		case "duplicates":
			if se.seen(p) {
				c.Leave()
				return secagg.ClientOutput{}, errors.New("a packet came twice")
			}
		}
	}
	return c.Receive(p)
}

// seen reports whether the opening came again.
func (se *simSession) seen(p []secagg.Frame) bool {
	return p[0].Type == secagg.TypeSpec && se.client.State() != "idle"
}

// perform does what a client's output says, facts first.
func (n *simNode) perform(se *simSession, out secagg.ClientOutput) {
	for _, f := range out.Store {
		switch f.Kind {
		case secagg.FactRound:
			n.run(se.run).last = f.Round
		case secagg.FactLock:
			n.locks[f.Lock] = f.Survivors
		}
	}
	if sum, ok := se.client.Sum(); ok && sum.Round != se.round { // the next one of the batch
		se.round, se.number, se.last, se.state = sum.Round, n.run(se.run).steps+1, nil, ""
	}
	if state := se.client.State(); state != se.state {
		se.state, se.entered = state, n.s.queue.Now()
	}
	if len(out.Send) > 0 {
		se.last = out.Send
		n.revealed(se, out.Send)
		n.send(se, out.Send)
	}
	if out.Want {
		n.mask(se)
	}
	if out.Upload != nil && !se.uploading {
		se.cargo, se.uploading = out.Upload, true
		n.upload(se)
	}
	if out.Closed != nil {
		n.finish(se, *out.Closed)
	}
	if out.Ended != nil {
		n.s.trace.Note(n.s.queue.Now(), int(n.i), -1, "the sum is over, the batch goes on", cause(out.Ended))
		n.expect(se)
	}
}

// mask computes and masks the vector.
func (n *simNode) mask(se *simSession) {
	var out secagg.ClientOutput
	var err error
	if x := n.s.vector(n.i, se.number); n.lie.vector {
		x[len(x)-4] = 1 << 62 // an integer beyond its bound
		out, err = secagg.CheatVector(se.client, x)
	} else {
		out, err = se.client.Vector(x)
	}
	if err != nil {
		n.end(se, err)
		return
	}
	if n.honest {
		n.s.known.masked = append(n.s.known.masked, maskedVector{n.i, se.number, secagg.ViewOf(se.client)})
	}
	n.perform(se, out)
}

// revealed tells the oracle what an honest member gives away.
func (n *simNode) revealed(se *simSession, p []secagg.Frame) {
	if !n.honest {
		return
	}
	view := secagg.ViewOf(se.client)
	switch p[0].Type {
	case secagg.TypeUnmask:
		n.s.known.unmasked(n.i, view, p[0])
	case secagg.TypeComplaint:
		if d := secagg.AccusedIn(p[0]); n.s.honest.Has(d) {
			n.s.violated("honest member %d complains about honest member %d", n.i, d)
		}
		if n.s.weak == "complaint" {
			n.s.known.everythingFor(n.i, view, n.s.sums)
		}
	}
}

// uploaded is the coordinator's word that the vector is whole.
func (n *simNode) uploaded(se *simSession, round uint32) {
	if se.over() || !se.uploading || se.round != round {
		return
	}
	se.uploading = false
	if err := se.client.Uploaded(); err != nil && !errors.Is(err, secagg.ErrUpload) {
		n.end(se, err)
		return
	}
	held := se.held
	se.held = nil
	for _, p := range held {
		n.receive(p.run, p.round, p.p)
	}
}

// finish checks a result as the driver does, and takes it over.
func (n *simNode) finish(se *simSession, c secagg.Closed) {
	if err := n.closed(se, c); err != nil {
		n.run(se.run).stopped = true
		se.client.Leave()
		n.end(se, err)
		return
	}
	n.take(se.run, c)
	if se.client.Done() || n.run(se.run).steps >= n.s.steps {
		se.client.Leave()
		se.done = true
		return
	}
	n.expect(se)
}

// expect prepares for the next sum of the batch: the step the node derives itself.
func (n *simNode) expect(se *simSession) {
	se.uploading, se.cargo = false, nil
	r := n.run(se.run)
	if err := se.client.Expect(n.s.step(r.steps+1, r.state, r.model), r.steps+1, 1000); err != nil {
		se.client.Leave()
		n.end(se, err)
	}
}

func (n *simNode) take(id [16]byte, c secagg.Closed) {
	r := n.run(id)
	r.steps++
	r.state, r.model = c.State, c.Model
}

// tick leaves a batch in which nothing has come for too long.
func (n *simNode) tick() {
	for _, se := range n.ordered() {
		limit, timed := map[string]uint32{"advertised": se.limits[0], "shared": se.limits[1], "ready": se.limits[2], "masked": se.limits[2], "waiting": se.limits[2], "agreed": se.limits[3], "released": se.limits[4]}[se.state]
		if se.over() || !timed || n.s.queue.Now()-se.entered <= int64(limit)+5 || n.s.weak == "deadline" {
			continue
		}
		se.client.Leave()
		n.end(se, fmt.Errorf("%w: in state %s", errSimDeadline, se.state))
	}
}

func (n *simNode) end(se *simSession, err error) {
	if se.over() {
		return
	}
	se.ended = err
	n.s.trace.Note(n.s.queue.Now(), int(n.i), -1, "leaves the batch", cause(err))
	if n.honest {
		n.s.count.Left++
		n.s.count.cause("left: " + cause(err))
	}
	if rho, seeds, shares, key := secagg.Secrets(se.client); rho != [32]byte{} || seeds+shares > 0 || key {
		n.s.violated("member %d left and kept secrets", n.i)
	}
}

// ordered lists the sessions by run, so that one seed is one history.
func (n *simNode) ordered() []*simSession {
	return slices.SortedFunc(maps.Values(n.sessions), func(a, b *simSession) int { return bytes.Compare(a.run[:], b.run[:]) })
}

// crash forgets all that is not durable.
func (n *simNode) crash() {
	for _, se := range n.ordered() {
		se.client.Leave()
		n.end(se, errors.New("the node crashed"))
	}
	n.sessions = map[[16]byte]*simSession{}
	if n.honest && n.s.weak == "forgetful" {
		n.runs = map[[16]byte]*simRun{}
	}
}
