package secagg_test

import (
	"errors"
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// simLiar is a coordinator that works with the corrupt members and does what it
// likes: batches in several runs at once, sets, certificates and results of its
// choice, old packets. Everything it is sent it keeps; the oracle then says what
// it could solve for.
type simLiar struct {
	s        *simulation
	attempts []*simAttempt
	packets  []simPacket // sent so far, to be sent again
	proofs   map[uint8][]byte
	rounds   map[[16]byte]uint32
}

type simPacket struct {
	run   [16]byte
	round uint32
	p     []secagg.Frame
}

// simAttempt is one batch of a liar.
type simAttempt struct {
	l         *simLiar
	run       [16]byte
	first     uint32 // round
	round     uint32
	k         uint16
	number    uint32
	state     [32]byte
	model     [32]byte
	opening   []secagg.Frame
	server    *secagg.Server // a straight attempt has one
	stage     int
	sent      map[uint8]map[secagg.Type][]secagg.Frame // honest answers
	uploads   map[uint8][]uint64
	crooks    [2]map[uint8]*secagg.Client // corrupt members, in each of two views
	group     map[uint8]int               // honest member → view, from the adverts on
	side      map[uint8]int               // honest member → survivors it is shown
	u1        [2]secagg.Set
	pack      [2]map[uint8][]secagg.Frame // shares of the corrupt
	survivors [2]secagg.Set
	public    map[uint32]*simPublic // by round
	dead      bool
}

// lyingCoordinator plays a history with a coordinator that does not follow the
// protocol.
func (s *simulation) lyingCoordinator() {
	l := &simLiar{s: s, proofs: map[uint8][]byte{}, rounds: map[[16]byte]uint32{}}
	for _, i := range s.honest.Members() {
		n := s.nodes[i]
		n.send = func(se *simSession, p []secagg.Frame) { l.heard(se, p) }
		n.upload = func(se *simSession) {
			if a := l.of(se.run, se.round); a != nil {
				a.uploads[i] = slices.Clone(se.cargo.Words)
			}
			if !s.chance(2) { // the answer to the upload may fail to come
				n.uploaded(se, se.round)
			}
		}
		n.closed = l.inspect(n)
	}
	left := 2 + s.rnd.IntN(3)
	for left > 0 || len(l.open()) > 0 {
		if open := l.open(); left > 0 && (len(open) == 0 || len(open) < 3 && s.chance(12)) {
			left--
			l.begin()
		} else {
			a := open[s.rnd.IntN(len(open))]
			if a.server != nil {
				a.straight()
			} else {
				a.split()
			}
			a.stage++
		}
		l.mischief()
		s.queue.Next(s.queue.Now() + 1)
	}
	for range 60 {
		s.queue.Next(s.queue.Now() + 1)
		for _, i := range s.honest.Members() {
			s.nodes[i].tick()
		}
	}
	for _, i := range s.honest.Members() {
		for _, se := range s.nodes[i].ordered() {
			if !se.over() && se.state != "" {
				s.violated("member %d is for ever in state %s", i, se.state)
			}
		}
	}
}

func (l *simLiar) open() (open []*simAttempt) {
	for _, a := range l.attempts {
		if !a.dead {
			open = append(open, a)
		}
	}
	return open
}

func (l *simLiar) of(run [16]byte, round uint32) *simAttempt {
	for _, a := range l.attempts {
		if a.run == run && a.first <= round && round <= a.round {
			return a
		}
	}
	return nil
}

// begin opens a batch: in an old run or a new one, for the step most members
// expect there, mostly with a round that is not used up.
func (l *simLiar) begin() {
	s := l.s
	a := &simAttempt{l: l, run: [16]byte{byte(1 + s.rnd.IntN(3))}, sent: map[uint8]map[secagg.Type][]secagg.Frame{}, uploads: map[uint8][]uint64{}, side: map[uint8]int{}, public: map[uint32]*simPublic{}}
	l.rounds[a.run]++
	a.round = l.rounds[a.run]
	r := s.nodes[s.pick(s.honest)].run(a.run)
	a.first, a.k, a.number, a.state, a.model = a.round, 1, r.steps+1, r.state, r.model
	cfg := s.serverConfig(a.run, a.number, a.round, r.state, r.model)
	cfg.Spec.Nonce = s.digest("liar", uint64(len(l.attempts)))
	if s.weak == "cohort" && s.chance(60) {
		a.shrink(&cfg)
	}
	server, err := secagg.NewServer(cfg)
	if err != nil {
		s.violated("server: %v", err)
		return
	}
	a.opening = server.Opening()
	if s.chance(55) {
		a.server = server
	} else if s.chance(10) {
		a.spoil(cfg)
	}
	l.attempts = append(l.attempts, a)
	s.trace.Note(s.queue.Now(), 0, -1, "opens a batch", map[bool]string{true: "straight", false: "split"}[a.server != nil])
	for _, i := range s.some(s.honest, s.honest.Len()-1).Members() {
		a.deliver(i, a.opening)
	}
	for v := range a.crooks {
		a.crooks[v] = map[uint8]*secagg.Client{}
		for _, i := range s.corrupt.Members() {
			a.crook(v, i)
		}
	}
}

// shrink counts the cohort from those the liar wants.
func (a *simAttempt) shrink(cfg *secagg.ServerConfig) {
	s := a.l.s
	few := s.corrupt
	for _, i := range s.honest.Members() {
		if few.Len() < max(3, s.corrupt.Len()+1+s.rnd.IntN(2)) {
			few = few.With(i)
		}
	}
	cfg.Cohort = few
}

// spoil changes something a member knows by itself.
func (a *simAttempt) spoil(cfg secagg.ServerConfig) {
	s := a.l.s
	spec, err := secagg.ParseSpec(a.opening[0].Body)
	sum, err2 := secagg.ParseSum(a.opening[1].Body)
	if err != nil || err2 != nil {
		return
	}
	switch s.rnd.IntN(6) {
	case 0:
		spec.T--
	case 1:
		spec.N, spec.T = spec.N-1, uint8(secagg.Threshold(int(spec.N)-1))
	case 2:
		spec.Cohort = spec.Cohort.Without(s.pick(s.cohort()))
	case 3:
		sum.Model[3] ^= 1
	case 4:
		sum.State[3] ^= 1
	case 5:
		sum.MinRows = 5000
	}
	spec.First = sum.Digest()
	body, _ := spec.MarshalBinary()
	sumBody, _ := sum.MarshalBinary()
	a.opening = []secagg.Frame{
		secagg.SignFrame(s.sign(0), secagg.TypeSpec, [32]byte{}, 0, body),
		secagg.SignFrame(s.sign(0), secagg.TypeSum, spec.Digest(), 0, sumBody),
	}
}

// crook lets a corrupt member take part in a view.
func (a *simAttempt) crook(view int, i uint8) {
	s := a.l.s
	cfg := s.nodes[i].config(a.run)
	sum, err := secagg.ParseSum(a.opening[1].Body)
	spec, err2 := secagg.ParseSpec(a.opening[0].Body)
	if err != nil || err2 != nil || !spec.Cohort.Has(i) {
		return
	}
	cfg.LastRound, cfg.Lock, cfg.Expect, cfg.Number, cfg.Cohort = 0, nil, sum, a.number, spec.Cohort
	c, err := secagg.NewClient(cfg)
	if err != nil {
		return
	}
	if _, err := c.Receive(a.opening); err != nil {
		return
	}
	s.private(c)
	a.crooks[view][i] = c
}

func (a *simAttempt) deliver(to uint8, p []secagg.Frame) {
	a.l.packets = append(a.l.packets, simPacket{a.run, a.round, p})
	a.l.s.nodes[to].receive(a.run, a.round, p)
}

// heard keeps what an honest member sends.
func (l *simLiar) heard(se *simSession, p []secagg.Frame) {
	l.s.note(int(se.node.i), 0, p, "")
	a := l.of(se.run, se.round)
	if a == nil {
		return
	}
	if a.sent[se.node.i] == nil {
		a.sent[se.node.i] = map[secagg.Type][]secagg.Frame{}
	}
	a.sent[se.node.i][p[0].Type] = p
	if a.server != nil {
		_ = a.server.Receive(se.node.i, p)
	}
}

// have are the honest members whose message of a type the liar has.
func (a *simAttempt) have(t secagg.Type) (set secagg.Set) {
	for i, sent := range a.sent {
		if sent[t] != nil {
			set = set.With(i)
		}
	}
	return set
}

// mischief sends an old packet again, says that a batch is over, or crashes a node.
func (l *simLiar) mischief() {
	s := l.s
	if len(l.packets) > 0 && s.chance(15) {
		p := l.packets[s.rnd.IntN(len(l.packets))]
		s.nodes[s.pick(s.honest)].receive(p.run, p.round, p.p)
	}
	if s.chance(3) && len(l.attempts) > 0 {
		a := l.attempts[s.rnd.IntN(len(l.attempts))]
		a.abort(s.some(s.honest, 1))
	}
	if s.chance(2) {
		i := s.pick(s.honest)
		s.trace.Note(s.queue.Now(), -1, int(i), "crash", "")
		s.nodes[i].crash()
	}
}

// abort says that a batch is over, true or not.
func (a *simAttempt) abort(to secagg.Set) {
	body := append([]byte{0, 0, secagg.ReasonUnmask}, make([]byte, 32)...)
	spec, err := secagg.ParseSpec(a.opening[0].Body)
	if err != nil {
		return
	}
	f := secagg.SignFrame(a.l.s.sign(0), secagg.TypeAbort, spec.Digest(), 0, body)
	for _, i := range to.Members() {
		if se := a.l.s.nodes[i].sessions[a.run]; se != nil && se.round == a.round && !se.over() {
			a.deliver(i, []secagg.Frame{f})
		}
	}
}

var errNotTaken = errors.New("there is no such result")

// inspect is the check of a result by an honest node; what it takes over must be
// the survivors' plain sum (invariant 1).
func (l *simLiar) inspect(n *simNode) func(*simSession, secagg.Closed) error {
	return func(se *simSession, closed secagg.Closed) error {
		a := l.of(se.run, se.round)
		if a == nil || a.public[se.round] == nil {
			return errNotTaken
		}
		public := a.public[se.round]
		if err := l.s.check(n, closed, public, n.run(se.run)); err != nil {
			return err
		}
		l.s.count.Closed++
		if plain := l.s.plain(closed.Survivors, se.number); !slices.Equal(plain, public.sum) {
			l.s.violated("member %d took over a sum of place %d that is not that of %v", n.i, se.number, closed.Survivors)
		}
		return nil
	}
}
