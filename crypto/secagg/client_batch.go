package secagg

import (
	"crypto/hpke"
	"fmt"
)

type clientState uint8

const (
	stateIdle clientState = iota
	stateAdvertised
	stateDrawn
	stateShared
	stateReady
	stateMasked
	stateAgreed
	stateReleased
	stateWaiting
	stateClosed
	stateLeft
)

var clientStates = [...]string{"idle", "advertised", "drawn", "shared", "ready", "masked", "agreed", "released", "waiting", "closed", "left"}

// Client is one member in one batch (§6). It is not safe for concurrent use.
type Client struct {
	cfg          ClientConfig
	state        clientState
	t            int
	minSurvivors int
	excused      Set // proven guilty by evidence that came with the survivors (S33)

	transcriptView // public: all that this member has seen and checked

	// Secrets, those of a sum wiped when it ends, all on leaving and closing.
	sk       hpke.PrivateKey
	seeds    map[secretID]*secrets
	shares   map[uint8][][32]byte // dealer → own shares in the order of S20
	rounding *secrets

	trees    map[uint8]merkleTree // dealer → commitments to shares
	own      map[Type]Frame       // own signed frames of the set-up and this sum
	answered map[packetID]answer
	upload   *Upload
	uploaded bool

	// Between two sums.
	last     uint16 // the sum that is over
	next     Set    // U2_{k+1} (S38)
	expected bool
}

// transcriptView is the public record of a batch up to h3; members, the
// coordinator and auditors build the same one.
type transcriptView struct {
	spec       Spec
	dspec      [32]byte
	sum        Sum
	dsum       [32]byte
	u1, u2, u3 Set
	h1, h2     [32]byte
	g, h3      [32]byte
	eligible   Set      // U2_k
	prev       [32]byte // h3 of the last closed sum of the batch
	adverts    map[uint8]advert
	graph      *graph // from the adverts on, in version 2 from the reveals on
	dealers    map[uint8]share
	roots      map[uint8][32]byte // of the uploads of u3
}

// holders returns who holds shares of the seeds that i deals (V10).
func (v *transcriptView) holders(i uint8) Set { return v.graph.holders(i, v.u1) }

// begin fixes who may be in the sum that the view names, and with it g_k (S23).
func (v *transcriptView) begin(eligible Set) {
	v.eligible = eligible
	v.g = transcript(v.h2, v.sum.K, eligible, v.dsum, v.sum.Prev)
	v.u3, v.h3, v.roots = Set{}, [32]byte{}, nil
}

// NewClient starts a member's batch in state idle. Errors are those of a
// configuration that could never take part: ErrRoster, ErrPlan, ErrThreshold.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.MinCohort == 0 {
		cfg.MinCohort = 5
	}
	if cfg.MinSurvivors == 0 {
		cfg.MinSurvivors = 3
	}
	if cfg.MaxSums == 0 {
		cfg.MaxSums = 1
	}
	n := cfg.Cohort.Len()
	if err := checkCohort(cfg.Roster, cfg.Cohort); err != nil {
		return nil, err
	}
	switch {
	case !cfg.Cohort.Has(cfg.Self):
		return nil, fmt.Errorf("%w: member %d is not in the cohort", ErrPlan, cfg.Self)
	case cfg.MinCohort < MinCohort, cfg.MinSurvivors < MinCohort:
		return nil, fmt.Errorf("%w: own minimum of %d members and %d survivors, never below %d", ErrThreshold, cfg.MinCohort, cfg.MinSurvivors, MinCohort)
	case n < cfg.MinCohort:
		return nil, fmt.Errorf("%w: cohort of %d, own minimum is %d", ErrThreshold, n, cfg.MinCohort)
	case cfg.Drawn < 0:
		return nil, fmt.Errorf("%w: %d draws under the plan", ErrBudget, cfg.Drawn)
	case cfg.Number == 0:
		return nil, fmt.Errorf("%w: step without its number", ErrPlan)
	case cfg.Sign == nil || cfg.Seal == nil:
		return nil, fmt.Errorf("client of member %d without a signer or a sealer", cfg.Self)
	}
	return &Client{
		cfg: cfg, t: Threshold(n), minSurvivors: cfg.MinSurvivors,
		own: map[Type]Frame{}, answered: map[packetID]answer{},
	}, nil
}

// checkCohort checks a cohort against the roster and S6.
func checkCohort(r Roster, cohort Set) error {
	if err := r.Validate(); err != nil {
		return err
	}
	if n := cohort.Len(); n < MinCohort || n > MaxCohort {
		return fmt.Errorf("%w: cohort of %d, from %d to %d are possible", ErrThreshold, n, MinCohort, MaxCohort)
	}
	if !cohort.valid() || !cohort.SubsetOf(r.Set()) {
		return fmt.Errorf("%w: cohort %v has members who are not in it", ErrRoster, cohort)
	}
	return nil
}

// String tells member and state, never secrets.
func (c *Client) String() string {
	return fmt.Sprintf("secagg.Client(member %d, %s)", c.cfg.Self, c.State())
}

// GoString tells what String does.
func (c *Client) GoString() string { return c.String() }

// State returns the state's name: idle, advertised, drawn, shared, ready, masked,
// agreed, released, waiting for the next sum, closed or left (§6).
func (c *Client) State() string { return clientStates[c.state] }

// Spec returns the accepted spec, once there is one.
func (c *Client) Spec() (Spec, bool) { return c.spec, c.spec.N != 0 }

// Sum returns the accepted sum, once there is one.
func (c *Client) Sum() (Sum, bool) { return c.sum, c.spec.N != 0 }

// Leave wipes all secrets and forgets what was said, of which shares may not
// have arrived; the member is a dropout of this batch (S64). It may be called at
// any time and again.
func (c *Client) Leave() {
	c.wipe()
	c.own, c.answered = nil, nil
	c.state = stateLeft
}

func (c *Client) wipe() {
	clear(c.cfg.Rho[:])
	c.sk = nil
	for _, s := range c.seeds {
		s.wipe()
	}
	for _, l := range c.shares {
		clear(l)
	}
	if c.rounding != nil {
		c.rounding.wipe()
	}
	c.seeds, c.shares, c.trees, c.upload = nil, nil, nil, nil
}

// Receive takes one packet of the coordinator. An exact duplicate of one
// already answered gets the same frames again and changes nothing, after its sum
// is over no frames; another one of the same kind and sum is ErrEquivocation
// (S30). After an error the client has left and its secrets are wiped; frames
// returned with an error (a complaint or a dispute) are still to be sent.
func (c *Client) Receive(frames []Frame) (ClientOutput, error) {
	if c.state == stateLeft {
		return ClientOutput{}, ErrLeft
	}
	if len(frames) == 0 {
		return c.fail(ClientOutput{}, fmt.Errorf("%w: empty packet", ErrTranscript))
	}
	for _, f := range frames {
		if err := f.check(); err != nil {
			return c.fail(ClientOutput{}, err)
		}
	}
	first, id := frames[0].Type, packetOf(frames)
	if a, ok := c.answered[id]; ok {
		if a.is(frames) || a.over && first == TypeCertificate {
			return c.again(first, a), nil
		}
		if first != TypeCertificate { // a later one may have more signatures
			return c.fail(ClientOutput{}, &EquivocationError{First: a.frames, Second: frames})
		}
	}
	out, err := c.step(first, frames)
	if err != nil {
		return c.fail(out, err)
	}
	c.answered[id] = c.answer(id, frames, out.Send)
	return out, nil
}

// step hands a packet to the phase it belongs to, if it is that phase's turn.
func (c *Client) step(first Type, frames []Frame) (ClientOutput, error) {
	switch {
	case first == TypeAbort:
		return c.abort(frames)
	case first == TypeSpec && c.state == stateIdle:
		return c.advertise(frames)
	case first == TypeAdvert && c.state == stateAdvertised:
		return c.meet(frames)
	case first == TypeReveal && c.state == stateDrawn:
		return c.learn(frames)
	case first == TypeShare && c.state == stateShared:
		return c.prepare(frames)
	case first == TypeSum && c.state == stateWaiting:
		return c.proceed(frames)
	case first == TypeSurvivors && c.state == stateMasked:
		return c.agree(frames)
	case first == TypeCertificate && (c.state == stateAgreed || c.state == stateReleased):
		return c.release(frames)
	case first == TypeResult && c.state == stateReleased:
		return c.finish(frames)
	}
	return ClientOutput{}, fmt.Errorf("%w: %s in state %s", ErrTranscript, first, c.State())
}

func (c *Client) fail(out ClientOutput, err error) (ClientOutput, error) {
	c.Leave()
	return ClientOutput{Send: out.Send}, fmt.Errorf("member %d: %w", c.cfg.Self, err)
}

// sign makes and keeps an own frame.
func (c *Client) sign(t Type, body []byte) (Frame, error) {
	f, err := sign(c.cfg.Sign, t, c.dspec, c.cfg.Self, body)
	if err == nil {
		c.own[t] = f
	}
	return f, err
}

// members returns the senders of frames that must all be of one type, from
// distinct members in ascending order.
func members(frames []Frame, t Type) (s Set, err error) {
	last := uint8(0)
	for _, f := range frames {
		if f.Type != t || f.Sender <= last {
			return s, fmt.Errorf("%w: %s of %d among frames of type %s", ErrTranscript, f.Type, f.Sender, t)
		}
		last, s = f.Sender, s.With(f.Sender)
	}
	return s, nil
}
