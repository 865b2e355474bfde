package secagg

import (
	"crypto/hpke"
	"fmt"

	"github.com/koinon-eu/koinon/crypto/prg"
)

// Phase is where the coordinator's batch stands (§7).
type Phase uint8

// The phases of §7.
const (
	PhaseAdvertise Phase = iota
	PhaseReveal          // version 2 only (V6)
	PhaseShare
	PhaseMask
	PhaseAgree
	PhaseUnmask
	PhasePublish
	PhaseClosed
	PhaseAborted
)

var phaseNames = [...]string{"advertise", "reveal", "share", "mask", "agree", "unmask", "publish", "closed", "aborted"}

// String returns the phase's name.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// Stream is a mask to apply to Σ y: subtracted when Negative, else added.
type Stream = prg.Stream

// ServerConfig opens a batch at the coordinator.
type ServerConfig struct {
	Roster       Roster
	RosterDigest [32]byte
	Federation   [32]byte
	Plan         [32]byte
	Cohort       Set
	// Spec and Sum to send. What follows from the rest may be left zero and is
	// then filled in: federation, roster, plan, cohort, n, t, sums, first of
	// Spec; run, round, k of Sum. A value that contradicts is refused.
	Spec Spec
	Sum  Sum
	Sign Signer
	// Require, when not nil, is the survivor set this step was released with
	// before: no other is possible (S35).
	Require *Set
	// Evidence against those who are missing from the released set; it is sent
	// along with the survivors (S33).
	Evidence [][]byte
}

// Server is the coordinator in one batch (§7). It holds no vectors: the driver
// spools the chunks that Chunk accepts and applies the streams of Open to their
// sum. The same calls in the same order give the same frames, so a journal of
// accepted packets and closed phases restores it (S65). It is not safe for
// concurrent use.
type Server struct {
	cfg   ServerConfig
	phase Phase
	t     int

	transcriptView

	opening  []Frame                    // spec and first sum
	announce Frame                      // the present sum
	accepted map[Type]map[uint8][]Frame // first packet of each member and phase
	rows     map[uint8]map[uint8]row    // dealer → other → row
	uploads  map[uint8]*received        // of the present sum
	masked   Set                        // who has masked in any sum of the batch
	left     Set                        // in this batch no longer: dispute or false complaint
	blames   []Blame
	disputes []Dispute
	items    map[uint8]map[secretID]unmaskItem // holder → verified shares
	opened   []opening

	adverted, revealed, survived, published []Frame // packets already made
	delivered                               map[uint8][]Frame

	over     bool // the batch, not only its present sum, has ended
	reason   uint8
	evidence [32]byte
}

// NewServer prepares and signs the opening of a batch. Errors wrap ErrRoster,
// ErrThreshold, ErrPlan, ErrPolicy, ErrTranscript or ErrRange.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := checkCohort(cfg.Roster, cfg.Cohort); err != nil {
		return nil, err
	}
	if cfg.Sign == nil {
		return nil, fmt.Errorf("server without a signer")
	}
	if err := checkAttached(cfg.Evidence); err != nil {
		return nil, err
	}
	cfg.fill()
	p := pins{federation: cfg.Federation, roster: cfg.RosterDigest, plan: cfg.Plan, run: cfg.Spec.Run, cohort: cfg.Cohort}
	if err := checkPins(cfg.Spec, p); err != nil {
		return nil, err
	}
	v := transcriptView{spec: cfg.Spec, dspec: cfg.Spec.Digest(), sum: cfg.Sum, dsum: cfg.Sum.Digest()}
	if err := checkStep(v, cfg.Sum, false); err != nil {
		return nil, err
	}
	spec, err := sign(cfg.Sign, TypeSpec, [32]byte{}, 0, cfg.Spec.body())
	if err != nil {
		return nil, err
	}
	sum, err := sign(cfg.Sign, TypeSum, v.dspec, 0, cfg.Sum.body())
	if err != nil {
		return nil, err
	}
	return &Server{
		cfg: cfg, t: Threshold(cfg.Cohort.Len()), transcriptView: v, opening: []Frame{spec, sum}, announce: sum,
		accepted: map[Type]map[uint8][]Frame{}, rows: map[uint8]map[uint8]row{},
		uploads: map[uint8]*received{}, items: map[uint8]map[secretID]unmaskItem{},
	}, nil
}

// checkAttached bounds the evidence that goes along with survivors.
func checkAttached(evidence [][]byte) error {
	if len(evidence) > MaxCohort {
		return fmt.Errorf("%w: %d pieces of evidence", ErrRange, len(evidence))
	}
	for _, e := range evidence {
		if len(e) > maxBody {
			return fmt.Errorf("%w: evidence of %d bytes does not fit a frame", ErrRange, len(e))
		}
	}
	return nil
}

// fill sets the zero fields that follow from others.
func (c *ServerConfig) fill() {
	zero := [32]byte{}
	s := &c.Spec
	for _, d := range []struct{ field, value *[32]byte }{
		{&s.Federation, &c.Federation}, {&s.Roster, &c.RosterDigest}, {&s.Plan, &c.Plan}, {(*[32]byte)(&s.Cohort), (*[32]byte)(&c.Cohort)},
	} {
		if *d.field == zero {
			*d.field = *d.value
		}
	}
	n := c.Cohort.Len()
	if s.N == 0 && s.T == 0 {
		s.N, s.T = uint8(n), uint8(Threshold(n))
	}
	if s.Sums == 0 {
		s.Sums = 1
	}
	if c.Sum.Run == ([16]byte{}) {
		c.Sum.Run = s.Run
	}
	if c.Sum.Round == 0 {
		c.Sum.Round = s.Round
	}
	if c.Sum.K == 0 {
		c.Sum.K = 1
	}
	if s.First == zero {
		s.First = c.Sum.Digest()
	}
}

// Opening returns the signed spec and sum, for every member of the cohort.
func (s *Server) Opening() []Frame { return s.opening }

// Spec returns the spec as sent.
func (s *Server) Spec() Spec { return s.spec }

// Sum returns the present sum as sent.
func (s *Server) Sum() Sum { return s.sum }

// Phase returns where the batch stands.
func (s *Server) Phase() Phase { return s.phase }

// Advertised returns U1, empty before CloseAdvertise.
func (s *Server) Advertised() Set { return s.u1 }

// Shared returns U2, empty before CloseShare.
func (s *Server) Shared() Set { return s.u2 }

// Eligible returns U2_k, who may be in the present sum; for the first one that is
// U2. Once the sum is closed or aborted it is U2_{k+1} (S38).
func (s *Server) Eligible() Set {
	if s.phase == PhaseClosed {
		return s.u3
	}
	return s.eligible
}

// Survivors returns U3, empty before CloseMask.
func (s *Server) Survivors() Set { return s.u3 }

// Answered returns who has answered the present phase; in Mask, whose upload is
// whole.
func (s *Server) Answered() (a Set) {
	switch s.phase {
	case PhaseAdvertise:
		return s.senders(TypeAdvert)
	case PhaseReveal:
		return s.senders(TypeReveal)
	case PhaseShare:
		return s.senders(TypeShare)
	case PhaseMask:
		return s.whole()
	case PhaseAgree:
		return s.senders(TypeAgree)
	case PhaseUnmask:
		return s.senders(TypeUnmask)
	}
	return a
}

// Expected returns whose answers end the present phase; members who left the
// batch by a dispute or a false complaint are not among them.
func (s *Server) Expected() (e Set) {
	switch s.phase {
	case PhaseAdvertise:
		return s.cfg.Cohort
	case PhaseReveal, PhaseShare:
		return s.u1
	case PhaseMask:
		return s.eligible.Minus(s.left)
	case PhaseAgree, PhaseUnmask:
		return s.u3
	}
	return e
}

// Blames returns the evidence against members found so far, in order.
func (s *Server) Blames() []Blame { return s.blames }

// Disputes returns the disputes so far, in order (S70).
func (s *Server) Disputes() []Dispute { return s.disputes }

// Failure tells whether the server itself found that the batch, or with too few
// uploads the present sum, must end, with the reason and evidence for Abort or
// AbortSum.
func (s *Server) Failure() (reason uint8, evidence [32]byte, failed bool) {
	return s.reason, s.evidence, s.phase == PhaseAborted
}

// Abort ends the batch and returns the signed message for all members. A batch
// whose last sum is closed is not aborted: the answer is nil. Between two sums
// the phase stays that of the sum before.
func (s *Server) Abort(reason uint8, evidence [32]byte) []Frame {
	if s.phase == PhaseClosed {
		if s.sum.K == s.spec.Sums {
			return nil
		}
		s.over = true
	} else {
		s.fail(reason, evidence)
	}
	return s.abortFrames(0, reason, evidence)
}

func (s *Server) abortFrames(k uint16, reason uint8, evidence [32]byte) []Frame {
	f, err := sign(s.cfg.Sign, TypeAbort, s.dspec, 0, abort{k: k, reason: reason, evidence: evidence}.body())
	if err != nil {
		return nil // members learn it from their deadline
	}
	return []Frame{f}
}

// fail ends the batch.
func (s *Server) fail(reason uint8, evidence [32]byte) {
	s.failSum(reason, evidence)
	s.over = true
}

// failSum ends the present sum.
func (s *Server) failSum(reason uint8, evidence [32]byte) {
	s.phase, s.reason, s.evidence = PhaseAborted, reason, evidence
}

func (s *Server) senders(t Type) (set Set) {
	for i := range s.accepted[t] {
		set = set.With(i)
	}
	return set
}

// firsts returns the first frame of each member's packet, ascending.
func (s *Server) firsts(t Type, of Set) (frames []Frame) {
	for _, i := range of.Members() {
		frames = append(frames, s.accepted[t][i][0])
	}
	return frames
}

func parseKey(pk [publicKeySize]byte) error {
	_, err := hpke.MLKEM768X25519().NewPublicKey(pk[:])
	return err
}
