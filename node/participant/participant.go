package participant

import (
	"errors"
	"fmt"
	"io"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Phase is where a participant stands: it is named by what the node does or did last.
type Phase uint8

// The phases of a participant, in order; after Wait comes Train again. Left may follow any of them.
const (
	Idle      Phase = iota // no spec yet
	Advertise              // advert made, waits for the adverts of U1
	Reveal                 // reveal made, waits for those of U1; only with more than 64 members
	Share                  // share packet made, waits for the shares of U2
	Train                  // knows U2, computes the vector
	Mask                   // masked vector made, uploads it, waits for the survivors
	Agree                  // agreed to the survivors, waits for the certificate
	Unmask                 // gave its shares, waits for the result
	Wait                   // between two sums of a batch: Expect, then waits for the next sum
	Closed                 // last result verified
	Left                   // out of the batch
)

var phaseNames = [...]string{"idle", "advertise", "reveal", "share", "train", "mask", "agree", "unmask", "wait", "closed", "left"}

// String returns the phase's name in the glossary's words.
func (p Phase) String() string { return phaseNames[p] }

// grace is how many ticks a message may be on its way: the coordinator counts the same deadline from the moment it
// speaks, so a node that counted no grace would leave just before the answer to a phase that ran its full time.
const grace = 5

// Output is what the driver does, in this order: make Store durable, then Send, then the rest.
type Output struct {
	Store  []secagg.Fact
	Send   []secagg.Frame
	Train  bool           // compute the encoded vector for the sum and call Vector
	Upload *secagg.Upload // send after Send, then call Uploaded
	Closed *secagg.Closed // fetch the sum, check it, apply it
	// Ended says why the coordinator ended this sum but not the batch. After it, and after Closed while Done says no,
	// the participant is in Wait.
	Ended *secagg.AbortError
}

// Participant is one member in one batch: in one round after the other. It is not safe for concurrent use.
type Participant struct {
	cfg    Config
	client *secagg.Client
	phase  Phase
	waited uint32 // ticks since the phase was entered
	age    uint32 // ticks since the batch was entered
	limits [5]uint32
	last   []secagg.Frame // what this node said last
	round  uint32         // of the present sum, or between two of the one that is over
	k      uint16         // of the present sum
}

// New makes the machine for one batch. It refuses a plan that this node has not approved (ErrNotApproved), that the
// law or the plan's own validity forbids today (secagg.ErrPlan), or that the policy does not allow
// (secagg.ErrPolicy).
func New(cfg Config) (*Participant, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cc, err := cfg.client()
	if err != nil {
		return nil, err
	}
	client, err := secagg.NewClient(cc)
	clear(cc.Rho[:])
	clear(cfg.Rho[:]) // the client has it; nobody else needs it
	if err != nil {
		return nil, err
	}
	return &Participant{cfg: cfg, client: client}, nil
}

// Phase returns where the participant stands.
func (p *Participant) Phase() Phase { return p.phase }

// Round returns the number of the present sum's round, 0 before the spec was accepted.
func (p *Participant) Round() uint32 { return p.round }

// K returns the place of the present sum in its batch, from 1; 0 before the spec was accepted.
func (p *Participant) K() uint16 { return p.k }

// Done reports whether the batch is over for this node: its last sum is closed, or it has left.
func (p *Participant) Done() bool { return p.client.Done() }

// Again returns what this node said last, for a session that was opened anew: the coordinator may not have heard it,
// and hearing it twice changes nothing (S30).
func (p *Participant) Again() []secagg.Frame { return p.last }

// Receive takes a packet of the coordinator. A packet that was answered before gets the same answer (S30), and after a
// restart of the coordinator perhaps Train or Upload once more (S65). An error means that the participant has left the
// round and wiped its secrets; it wraps the sentinel of secagg.md §6. Frames that come with an error, a complaint or a
// dispute (S69, S70), are still to be sent.
func (p *Participant) Receive(frames []secagg.Frame) (Output, error) {
	if p.phase == Left {
		return Output{}, secagg.ErrLeft
	}
	out, err := p.client.Receive(frames)
	if err != nil {
		return Output{Send: out.Send}, p.leave(err)
	}
	if p.phase == Idle {
		if err := p.opened(); err != nil {
			return Output{}, p.leave(err)
		}
	}
	return p.output(out), nil
}

// Expect tells, in Wait, the next sum that this node derived itself (S73), as Config does for the first one. The batch
// goes on with it only as long as the policy allows. An error means that the participant has left the batch.
func (p *Participant) Expect(expect secagg.Sum, number, rows uint32) error {
	if p.phase == Left {
		return secagg.ErrLeft
	}
	err := p.cfg.bounds(expect)
	if err == nil && p.age > p.cfg.Policy.MaxBatchTicks {
		err = fmt.Errorf("%w: batch after %d ticks", ErrDeadline, p.age)
	}
	if err == nil {
		err = p.client.Expect(expect, number, rows)
	}
	if err != nil {
		return p.leave(err)
	}
	return nil
}

// Takes reports whether a packet of a round is for this participant as it stands. Between two sums that is the next sum,
// the abort of a next sum that this node missed, or the end of the batch; what repeats the sum before was answered.
func (p *Participant) Takes(round uint32, frames []secagg.Frame) bool {
	if p.phase != Wait || len(frames) == 0 {
		return round == p.round
	}
	f := frames[0]
	return round == p.round+1 && (f.Type == secagg.TypeSum || f.Type == secagg.TypeAbort) || round >= p.round && EndsBatch(f)
}

// EndsBatch reports whether a frame is an abort of a whole batch: one with k = 0.
func EndsBatch(f secagg.Frame) bool {
	return f.Type == secagg.TypeAbort && len(f.Body) > 1 && f.Body[0] == 0 && f.Body[1] == 0
}

// opened keeps what the accepted spec says about time: min(deadline in spec, own maximum) (S67).
func (p *Participant) opened() error {
	spec, ok := p.client.Spec()
	if !ok {
		return fmt.Errorf("%w: round begins without a spec", secagg.ErrTranscript)
	}
	p.round, p.k = spec.Round, 1
	for i, ticks := range spec.Deadlines {
		p.limits[i] = min(ticks, p.cfg.Policy.PhaseTicks)
	}
	return nil
}

// Vector takes the encoded, unmasked vector of this node after Output.Train.
func (p *Participant) Vector(words []uint64) (Output, error) {
	if p.phase == Left {
		return Output{}, secagg.ErrLeft
	}
	out, err := p.client.Vector(words)
	if err != nil {
		return Output{}, p.leave(err)
	}
	return p.output(out), nil
}

// Rounding returns the randomness for encoding this round's vector, from Rho (S13); nil before Output.Train.
func (p *Participant) Rounding() io.Reader { return p.client.Rounding() }

// Uploaded tells that the coordinator has stored the masked vector whole.
func (p *Participant) Uploaded() error {
	if p.phase == Left {
		return secagg.ErrLeft
	}
	if err := p.client.Uploaded(); err != nil {
		return p.leave(err)
	}
	return nil
}

// Tick tells that one tick has passed. ErrDeadline: the phase lasted longer than allowed and the participant has
// left.
func (p *Participant) Tick() error {
	p.age++
	limit, timed := p.limit()
	if !timed {
		return nil
	}
	if p.waited++; p.waited > limit {
		return p.leave(fmt.Errorf("%w: %s after %d ticks", ErrDeadline, p.phase, limit))
	}
	return nil
}

// limit returns the ticks that the present phase may last.
func (p *Participant) limit() (ticks uint32, timed bool) {
	switch p.phase {
	case Advertise, Reveal:
		return p.limits[0] + grace, true
	case Share:
		return p.limits[1] + grace, true
	case Train, Mask, Wait:
		return p.limits[2] + grace, true
	case Agree:
		return p.limits[3] + grace, true
	case Unmask:
		return p.limits[4] + grace, true
	}
	return 0, false
}

// Leave ends the round for this node and wipes its secrets. It may be called at any time, and twice.
func (p *Participant) Leave() {
	p.client.Leave()
	p.last = nil
	if p.phase != Closed {
		p.phase = Left
	}
}

func (p *Participant) leave(err error) error {
	p.client.Leave()
	p.last = nil
	p.phase = Left
	return err
}

// Aborted returns why the coordinator ended the round, when err says that it did.
func Aborted(err error) (reason string, ok bool) {
	var abort *secagg.AbortError
	if !errors.As(err, &abort) {
		return "", false
	}
	return secagg.ReasonText(abort.Reason), true
}

func (p *Participant) output(out secagg.ClientOutput) Output {
	if sum, ok := p.client.Sum(); ok && sum.K != p.k { // the next one of the batch
		p.round, p.k, p.phase, p.waited, p.last = sum.Round, sum.K, Share, 0, nil
	}
	if len(out.Send) > 0 {
		p.last = out.Send
	}
	next := after(p.phase, out)
	if out.Closed != nil || out.Ended != nil {
		p.last = nil // perhaps shares of a sum that is over (S37)
		if !p.client.Done() {
			next = Wait
		}
	}
	if out.Ended != nil { // perhaps of a sum that this node missed
		spec, _ := p.client.Spec()
		p.round = spec.Round + uint32(out.Ended.K) - 1
	}
	if next != p.phase {
		p.phase, p.waited = next, 0
	}
	return Output{Store: out.Store, Send: out.Send, Train: out.Want, Upload: out.Upload, Closed: out.Closed, Ended: out.Ended}
}

// after names the phase that an output leads to. An answer to a duplicate leads nowhere.
func after(now Phase, out secagg.ClientOutput) Phase {
	next := now
	switch {
	case out.Closed != nil:
		next = Closed
	case out.Want:
		next = Train
	case len(out.Send) > 0:
		switch out.Send[0].Type {
		case secagg.TypeAdvert:
			next = Advertise
		case secagg.TypeReveal:
			next = Reveal
		case secagg.TypeShare:
			next = Share
		case secagg.TypeMask:
			next = Mask
		case secagg.TypeAgree:
			next = Agree
		case secagg.TypeUnmask:
			next = Unmask
		}
	}
	return max(now, next)
}
