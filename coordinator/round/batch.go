package round

import (
	"fmt"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Batch returns the place of the present sum in its batch and how many the batch may have (S37).
func (r *Round) Batch() (k, sums uint16) { return r.sum.K, r.spec.Sums }

// First returns the number of the batch's first round.
func (r *Round) First() uint32 { return r.spec.Round }

// Crowd is who could take part in a further sum, as the driver knows it.
type Crowd struct {
	Roster  [32]byte    // digest of the version in use (S11)
	Able    secagg.Set  // approved, not suspended, not excluded
	Ready   secagg.Set  // of those, who is connected and has accepted the roster
	Require *secagg.Set // the only survivors that the step may have (S35)
}

// Live returns who may be in the batch's next sum and has not said that it left (S38).
func (r *Round) Live() secagg.Set { return r.server.Eligible().Minus(r.left) }

// Rekey says why the next sum needs a batch of its own, in words; "" when the present batch may have it (S40). A member
// that was asked for its key in this batch and gave none, although it was connected, does not count as waiting until
// it connects again: it would cost every sum a key set-up, and the deadline of Advertise.
func (r *Round) Rekey(c Crowd) string {
	live, t := r.Live(), int(r.spec.T)
	switch {
	case !r.phase.Over() || !r.server.CanContinue():
		return "the batch is at its end"
	case r.spec.Roster != c.Roster:
		return "the roster changed"
	case live.Len() < t:
		return fmt.Sprintf("%d members are left of it, %d needed", live.Len(), t)
	case !r.server.Fed(live):
		return "too few are left around one of its members"
	case !live.SubsetOf(c.Able):
		return "may not take part any more: " + r.names(live.Minus(c.Able))
	case c.Require != nil && !c.Require.SubsetOf(live):
		return "the step needs the same survivors again: " + r.names(c.Require.Minus(live))
	case r.cfg.MaxAge > 0 && !r.cfg.Patient && r.now >= int64(r.cfg.MaxAge):
		return fmt.Sprintf("it is %d ticks old", r.now)
	}
	if waiting := c.Ready.Minus(live).Minus(r.declined); waiting != (secagg.Set{}) {
		return "waits to rejoin: " + r.names(waiting)
	}
	return ""
}

// Continue begins the batch's next sum in Mask; whether it may is the question of Rekey. The output journals the signed
// sum and sends it to U2_k (S38). Require and evidence are those of S33 and S35.
func (r *Round) Continue(sum secagg.Sum, require *secagg.Set, evidence [][]byte) (Output, error) {
	frames, err := r.server.Next(sum, require, evidence)
	if err != nil {
		return Output{}, fmt.Errorf("round %d: %w", r.sum.Round+1, err)
	}
	r.begin(require, frames[0])
	record := Record{Kind: KindNext, Round: r.sum.Round, Frames: frames, Evidence: evidence}
	if require != nil {
		record.Require = setOf(*require)
	}
	return Output{
		Records:  []Record{record},
		Messages: r.message(r.server.Eligible().Minus(r.absent()), frames),
	}, nil
}

// begin forgets what belongs to the sum before.
func (r *Round) begin(require *secagg.Set, next secagg.Frame) {
	r.cfg.Server.Require = require
	r.sum, r.next = r.server.Sum(), next
	r.seen, r.hashes = map[[32]byte]bool{}, map[uint8][][32]byte{}
	r.agreed, r.h3, r.lost = secagg.Set{}, [32]byte{}, nil
	r.survivors, r.certificate = nil, nil
	r.enter(Mask)
}

// between takes what happens after a sum, while the batch may have a further one.
func (r *Round) between(e Event) (Output, error) {
	if r.server.CanContinue() {
		switch e := e.(type) {
		case Tick:
			r.now++
			return Output{}, nil
		case Connected:
			return r.back(e.Member), nil
		case Disconnected:
			r.gone(e.Member)
			return Output{}, nil
		case Left:
			r.leave(e.Member)
			return Output{}, nil
		case Stop:
			return Output{Messages: r.message(r.server.Eligible(), r.server.Abort(secagg.ReasonAdmin, [32]byte{}))}, nil
		}
	}
	return Output{}, fmt.Errorf("round %d is %s: %w", r.sum.Round, r.phase, secagg.ErrStale)
}

func (r *Round) back(member uint8) Output {
	r.connected, r.declined = r.connected.With(member), r.declined.Without(member)
	return Output{Messages: r.again(member)}
}

func (r *Round) gone(member uint8) {
	r.connected, r.since[member] = r.connected.Without(member), r.now
}

func (r *Round) leave(member uint8) {
	r.left = r.left.With(member)
	if r.phase == Advertise {
		r.declined = r.declined.With(member)
	}
}

// ending repeats to a member of the batch what it may have missed of the sums that are over: its shares, if none of them
// was closed, and how they ended (S65).
func (r *Round) ending(member uint8) (out []Message) {
	if frames := r.shares[member]; r.server.Eligible().Has(member) && len(frames) > 0 {
		out = append(out, Message{To: secagg.SetOf(member), Round: r.spec.Round, Frames: frames})
	}
	for _, m := range r.before {
		if r.server.Eligible().Has(member) && m.To.Has(member) {
			out = append(out, Message{To: secagg.SetOf(member), Round: m.Round, Frames: m.Frames})
		}
	}
	return out
}

// mayGoOn reports whether an abort ends only the present sum (S38, S40). Too few uploads in version 2 may be too few
// around one member, which another graph mends.
func (r *Round) mayGoOn(code uint8) bool {
	if r.spec.Version() == 2 && code == secagg.ReasonTooFew {
		return false
	}
	return r.phase >= Mask && r.phase <= Publish && code != secagg.ReasonAdmin && r.sum.K < r.spec.Sums &&
		len(r.server.Blames()) == 0 && len(r.server.Disputes()) == 0 && r.Live().Len() >= int(r.spec.T)
}

// stop ends at the server the sum, or else the batch, and returns the signed word for its members.
func (r *Round) stop(code uint8, evidence [32]byte) (frames []secagg.Frame, goesOn bool) {
	if r.mayGoOn(code) {
		if frames = r.server.AbortSum(code, evidence); frames != nil {
			return frames, true
		}
	}
	return r.server.Abort(code, evidence), false
}
