package coordinator

import (
	"maps"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/round"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/models/schedule"
)

// Run is what can be told of a run.
type Run struct {
	ID      [16]byte
	Plan    federation.Digest
	Name    string // of the plan
	State   string
	Reason  string // what it waits for, or why it ended
	Step    uint32 // being summed, or the last one
	Steps   uint32 // of the plan
	Started int64  // Unix seconds
	Ended   int64  // 0 while it runs
	Release string // drawn up from it, if any
	Rounds  []Round

	Excluded map[uint8]string // members that take no part in its later rounds, and why (S70, S72)
}

// Round is what can be told of a round. Durations and bytes are those this process has seen: after a restart they
// begin anew.
type Round struct {
	Number    uint32
	Step      uint32
	K         uint16 // place in its batch, from 1
	Sums      uint16 // most sums of the batch
	Kind      string
	Phase     string // where it stands, or stood when it ended
	Outcome   string // "closed", "aborted: reason"; empty while open
	Survivors secagg.Set
	Waiting   secagg.Set // whose answer the phase waits for
	Lost      []round.Loss
	H3        [32]byte
	Sigma     [32]byte
	Opened    int64
	Phases    map[string]Phase
}

// Phase is what one phase took.
type Phase struct {
	Seconds float64 `json:"seconds"`
	Up      uint64  `json:"bytes_up"`   // from nodes, vectors included
	Down    uint64  `json:"bytes_down"` // to nodes, without fetched sums
}

// Milliseconds is the whole duration of the phases.
func (r Round) Milliseconds() int64 {
	total := 0.0
	for _, p := range r.Phases {
		total += p.Seconds
	}
	return int64(total * 1000)
}

// Bytes is what went both ways.
func (r Round) Bytes() (n uint64) {
	for _, p := range r.Phases {
		n += p.Up + p.Down
	}
	return n
}

// view is the part of a run that others read, under the run's lock.
type view struct {
	State   string
	Reason  string
	Started int64
	Steps   uint32
	Release string
	Rounds  []Round

	Excluded map[uint8]string
}

func (v *view) over() bool { return v.State == Evaluated || v.State == Stopped || v.State == Failed }

func (v *view) open(sum secagg.Sum, sums uint16, when int64) {
	v.State, v.Reason = Running, ""
	phase := round.Advertise
	if sum.K > 1 {
		phase = round.Mask
	}
	v.Rounds = append(v.Rounds, Round{
		Number: sum.Round, Step: sum.Step, K: sum.K, Sums: sums, Kind: schedule.Kind(sum.Kind).String(),
		Phase: phase.String(), Opened: when,
	})
}

func (v *view) at(number uint32) *Round {
	for i := len(v.Rounds) - 1; i >= 0; i-- {
		if v.Rounds[i].Number == number {
			return &v.Rounds[i]
		}
	}
	return &Round{}
}

func (v *view) close(number uint32, c round.Close, _ int64) {
	r := v.at(number)
	r.Phase, r.Outcome, r.Waiting = round.Closed.String(), "closed", secagg.Set{}
	r.Survivors, r.Lost, r.H3, r.Sigma = secagg.Set(c.Survivors), c.Lost, c.H3, c.Sigma
}

func (v *view) abort(number uint32, a round.Abort, _ int64) {
	r := v.at(number)
	r.Phase, r.Outcome, r.Lost, r.Waiting = a.Phase.String(), "aborted: "+a.Reason, a.Lost, secagg.Set{}
}

func (v *view) measured(number uint32, c phaseClock) { v.at(number).Phases = c.phases() }

// snapshot copies what can be told.
func (r *run) snapshot() Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Run{
		ID: r.id, Plan: r.plan.Digest, Name: r.plan.Plan.Name, State: r.view.State, Reason: r.view.Reason,
		Steps: r.view.Steps, Started: r.view.Started, Ended: r.ended, Release: r.view.Release,
		Rounds: append([]Round{}, r.view.Rounds...), Excluded: maps.Clone(r.view.Excluded),
	}
	if n := len(out.Rounds); n > 0 {
		out.Step = out.Rounds[n-1].Step
	}
	return out
}

func (r *run) setReason(state, reason string) {
	r.mu.Lock()
	changed := !r.view.over() && (r.view.State != state || r.view.Reason != reason)
	if changed {
		r.view.State, r.view.Reason = state, reason
	}
	r.mu.Unlock()
	if changed {
		if reason != "" {
			r.c.cfg.Log.Info("run waits", "run", runName(r.id), "reason", reason)
		}
		r.c.touch()
	}
}

// observe copies where the open round stands into the view.
func (r *run) observe() {
	status := r.round.Status()
	moved := r.clock.enter(status.Phase, r.c.cfg.Now())
	if !status.Phase.Over() {
		r.mu.Lock()
		v := r.view.at(r.round.Number())
		moved = moved || v.Waiting != status.Waiting
		v.Phase, v.Waiting, v.Survivors, v.Lost = status.Phase.String(), status.Waiting, status.Survivors, status.Lost
		r.mu.Unlock()
	}
	if moved {
		r.c.touch()
	}
}

// phaseClock measures the open round.
type phaseClock struct {
	phase round.Phase
	since time.Time
	done  [round.Aborted]Phase
}

func (c *phaseClock) open(phase round.Phase, now time.Time) {
	*c = phaseClock{phase: phase, since: now}
}

// enter notes that the round stands in a phase and reports whether it is a new one.
func (c *phaseClock) enter(p round.Phase, now time.Time) bool {
	if p == c.phase {
		return false
	}
	c.end(now)
	c.phase = p
	return true
}

func (c *phaseClock) end(now time.Time) {
	if int(c.phase) < len(c.done) && !c.since.IsZero() {
		c.done[c.phase].Seconds += now.Sub(c.since).Seconds()
	}
	c.since = now
}

func (c *phaseClock) received(frames []secagg.Frame) {
	for _, f := range frames {
		c.add(len(f.Body)+len(f.Signature), 0)
	}
}

func (c *phaseClock) chunk(n int) { c.add(n, 0) }

func (c *phaseClock) sent(m round.Message) {
	n := 0
	for _, f := range m.Frames {
		n += len(f.Body) + len(f.Signature)
	}
	c.add(0, n*m.To.Len())
}

func (c *phaseClock) add(up, down int) {
	p := &c.done[min(c.phase, round.Publish)]
	p.Up += uint64(up)
	p.Down += uint64(down)
}

func (c *phaseClock) phases() map[string]Phase {
	out := map[string]Phase{}
	for p, spent := range c.done {
		if spent != (Phase{}) {
			out[round.Phase(p).String()] = spent
		}
	}
	return out
}

func (c *phaseClock) observe(m *figures) {
	for p, spent := range c.phases() {
		m.phases.Observe(spent.Seconds, p)
	}
}
