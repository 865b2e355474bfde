package secagg_test

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/koinon-eu/koinon/crypto/ring"
	"github.com/koinon-eu/koinon/crypto/secagg"
	"github.com/koinon-eu/koinon/crypto/secagg/hpkeseal"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggsim"
	"github.com/koinon-eu/koinon/crypto/secagg/secaggtest"
)

// simulation is one history of members and a coordinator, drawn from one seed.
type simulation struct {
	seed    uint64
	weak    string // the one check that is switched off, "" for none
	rnd     *rand.Rand
	n, t    int
	honest  secagg.Set
	corrupt secagg.Set
	roster  secagg.Roster
	keys    map[uint8]ed25519.PrivateKey
	kem     *secaggsim.KEM
	real    bool // real key encapsulation, and every signature verified by everyone

	signatures map[[32]byte]bool // what is known of signatures
	nodes      map[uint8]*simNode
	layout     secagg.Sum
	steps      uint32
	sums       uint16 // most sums of a batch

	queue secaggsim.Queue
	trace secaggsim.Trace
	known knowledge

	wrong []string // what the invariants did not allow
	count simCount
}

// simCount is what happened, over one or many histories.
type simCount struct {
	Seeds, Closed, Aborted, Left, Released int
	Blames                                 [18]int // by kind of evidence
	Causes                                 map[string]int
}

func (c *simCount) cause(what string) {
	if c.Causes == nil {
		c.Causes = map[string]int{}
	}
	c.Causes[what]++
}

func (c *simCount) add(o simCount) {
	c.Seeds, c.Closed, c.Aborted = c.Seeds+o.Seeds, c.Closed+o.Closed, c.Aborted+o.Aborted
	c.Left, c.Released = c.Left+o.Left, c.Released+o.Released
	for i, n := range o.Blames {
		c.Blames[i] += n
	}
	for cause, n := range o.Causes {
		for range n {
			c.cause(cause)
		}
	}
}

// newSimulation draws everything that stays the same in a history.
func newSimulation(seed uint64, weak string) *simulation {
	s := &simulation{seed: seed, weak: weak, rnd: rand.New(rand.NewPCG(seed, 0x6b6f696e6f6e)), nodes: map[uint8]*simNode{}}
	s.count.Seeds = 1
	s.n = s.size()
	s.t = secagg.Threshold(s.n)
	members := secaggtest.Indexes(s.n)
	if s.chance(10) {
		members = members[:0]
		for _, i := range s.rnd.Perm(255)[:s.n] {
			members = append(members, uint8(i+1))
		}
	}
	s.roster, s.keys = secaggtest.NewRoster(7, members)
	s.signatures = map[[32]byte]bool{}
	cohort := secagg.SetOf(members...)
	for _, i := range s.rnd.Perm(s.n)[:s.rnd.IntN(s.n-s.t+1)] {
		s.corrupt = s.corrupt.With(members[i])
	}
	if s.chance(60) { // as many as the protocol bears
		s.corrupt = secagg.Set{}
		for _, i := range s.rnd.Perm(s.n)[:s.n-s.t] {
			s.corrupt = s.corrupt.With(members[i])
		}
	}
	s.honest = cohort.Minus(s.corrupt)
	s.layout = secaggtest.DefaultSum()
	s.layout.Params, s.layout.Ints = uint32(s.rnd.IntN(4)), uint32(1+s.rnd.IntN(2))
	s.steps, s.sums = 1, 1
	if s.chance(20) {
		s.steps = 2
	}
	if s.chance(30) || s.weak == "seeds" {
		s.steps, s.sums = uint32(2+s.rnd.IntN(2)), uint16(2+s.rnd.IntN(3))
	}
	if s.real = s.weak == "" && s.chance(2); !s.real {
		s.roster = secagg.Remembering(s.roster, s.verified)
	}
	s.kem = secaggsim.NewKEM(fmt.Sprint(seed))
	s.known = newKnowledge()
	s.known.oneSeed = weak == "seeds"
	for _, i := range cohort.Members() {
		s.nodes[i] = &simNode{s: s, i: i, honest: s.honest.Has(i), locks: map[[32]byte]secagg.Set{}, runs: map[[16]byte]*simRun{}, sessions: map[[16]byte]*simSession{}}
	}
	return s
}

// size draws N: mostly few members, which are quick and where each counts.
func (s *simulation) size() int {
	switch p := s.rnd.IntN(1000); {
	case p < 600:
		return 3 + s.rnd.IntN(2)
	case p < 800:
		return 5
	case p < 960:
		return 6 + s.rnd.IntN(2)
	case p < 998:
		return 8 + s.rnd.IntN(5)
	}
	return 13 + s.rnd.IntN(18)
}

func (s *simulation) cohort() secagg.Set { return s.honest.Union(s.corrupt) }

// chance is true with that many percent.
func (s *simulation) chance(percent int) bool { return s.rnd.IntN(100) < percent }

// pick draws a member of a set.
func (s *simulation) pick(of secagg.Set) uint8 {
	m := of.Members()
	return m[s.rnd.IntN(len(m))]
}

// some draws a subset of at least that many members.
func (s *simulation) some(of secagg.Set, least int) secagg.Set {
	m := of.Members()
	keep := max(min(least, len(m)), len(m)-s.rnd.IntN(len(m)+1))
	var set secagg.Set
	for _, i := range s.rnd.Perm(len(m))[:keep] {
		set = set.With(m[i])
	}
	return set
}

func (s *simulation) violated(format string, a ...any) {
	what := fmt.Sprintf(format, a...)
	s.wrong = append(s.wrong, what)
	s.trace.Note(s.queue.Now(), -1, -1, "VIOLATION", what)
}

// sign makes real signatures and remembers that they are good.
func (s *simulation) sign(i uint8) secagg.Signer {
	return func(m []byte) ([]byte, error) {
		sig := ed25519.Sign(s.keys[i], m)
		s.signatures[signatureName(s.keys[i].Public().(ed25519.PublicKey), m, sig)] = true
		return sig, nil
	}
}

// verified is ed25519.Verify, asked once about each signature: in a batch of N
// every member verifies the same N signatures in each phase.
func (s *simulation) verified(key ed25519.PublicKey, m, sig []byte) bool {
	name := signatureName(key, m, sig)
	good, known := s.signatures[name]
	if !known {
		good = ed25519.Verify(key, m, sig)
		s.signatures[name] = good
	}
	return good
}

func signatureName(key ed25519.PublicKey, m, sig []byte) (d [32]byte) {
	h := sha256.New()
	h.Write(key)
	h.Write(sig)
	h.Write(m)
	h.Sum(d[:0])
	return d
}

func (s *simulation) seal(pk, info []byte) ([]byte, []byte, error) {
	if s.real || s.weak == "sealed by chance" {
		return hpkeseal.Seal(pk, info)
	}
	return s.kem.Seal(pk, info)
}

// private is the stand-in's key for a client that has advertised.
func (s *simulation) private(c *secagg.Client) {
	if !s.real && s.weak != "sealed by chance" {
		secagg.UseKey(c, func(pk []byte) (hpke.PrivateKey, error) { return s.kem.Private(pk) })
	}
}

// digest makes a value of the history from a name and a number.
func (s *simulation) digest(name string, numbers ...uint64) [32]byte {
	b := binary.BigEndian.AppendUint64([]byte(name), s.seed)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return sha256.Sum256(b)
}

// step is the sum of a place of the plan after a state.
func (s *simulation) step(number uint32, state, model [32]byte) secagg.Sum {
	sum := s.layout
	sum.Step, sum.State, sum.Model = number, state, model
	return sum
}

// next is the state and model after a closed sum.
func (s *simulation) next(sum secagg.Sum, h3, root [32]byte) (state, model [32]byte) {
	model = sha256.Sum256(append(sum.Model[:], root[:]...))
	sigma := secagg.StepDigest(secaggtest.Digest("federation"), secaggtest.Digest("plan"), sum)
	return secagg.NextState(sum.State, sigma, h3, root, model), model
}

func (s *simulation) start() (state, model [32]byte) {
	model = s.digest("model")
	return secagg.InitialState(secaggtest.Digest("plan"), model), model
}

// vector is what a member has to say at a place.
func (s *simulation) vector(i uint8, number uint32) []uint64 {
	return secaggtest.Vector(i, byte(s.seed)+byte(number)*31, s.layout.Layout())
}

// plain is the sum of a set at a place.
func (s *simulation) plain(of secagg.Set, number uint32) []uint64 {
	sum := make([]uint64, s.layout.Layout().Words())
	for _, i := range of.Members() {
		ring.Add(sum, s.vector(i, number))
	}
	return sum
}

func (s *simulation) serverConfig(run [16]byte, number, round uint32, state, model [32]byte) secagg.ServerConfig {
	return secagg.ServerConfig{
		Roster: s.roster, RosterDigest: secaggtest.Digest("roster"), Federation: secaggtest.Digest("federation"), Plan: secaggtest.Digest("plan"),
		Cohort: s.cohort(), Sum: s.step(number, state, model), Sign: s.sign(0),
		Spec: secagg.Spec{Run: run, Round: round, Nonce: s.digest("nonce", uint64(run[0]), uint64(round)), Sums: s.sums, Deadlines: [5]uint32{20, 20, 30, 20, 20}},
	}
}

// note writes a packet into the trace, its bytes into the digest alone.
func (s *simulation) note(from, to int, p []secagg.Frame, verdict string) {
	for _, f := range p {
		s.trace.Bytes(f.Body)
		s.trace.Bytes(f.Signature)
	}
	s.trace.Note(s.queue.Now(), from, to, describe(p), verdict)
}

func describe(p []secagg.Frame) string {
	if len(p) == 0 {
		return "empty packet"
	}
	what := p[0].Type.String()
	switch p[0].Type {
	case secagg.TypeSurvivors:
		what += " " + secagg.BodySet(p[0]).String()
	case secagg.TypeAdvert, secagg.TypeShare:
		if p[0].Type == p[len(p)-1].Type && len(p) > 1 || len(p) > 2 && p[0].Sender != p[len(p)-1].Sender {
			what = fmt.Sprintf("%ss (%d frames)", what, len(p))
		}
	}
	return what
}

// knowledge is what the coordinator and the corrupt members have: every masked
// vector, and every share of a seed that an honest member gave away.
type knowledge struct {
	masked   []maskedVector
	revealed map[string]secagg.Set // seed → holders who gave their share
	oneSeed  bool                  // all sums of a batch have the same seeds (S37 off)
}

type maskedVector struct {
	member uint8
	place  uint32
	view   secagg.SimView
}

func newKnowledge() knowledge {
	return knowledge{revealed: map[string]secagg.Set{}}
}

// seed names a seed by the adverts it was dealt under and its sum in the batch.
func (k *knowledge) seed(view secagg.SimView, kind, a, b uint8) string {
	sum := view.K
	if k.oneSeed {
		sum = 0
	}
	return string(view.H1[:]) + string([]byte{byte(sum >> 8), byte(sum), kind, a, b})
}

// unmasked notes the shares in an honest member's answer.
func (k *knowledge) unmasked(from uint8, view secagg.SimView, f secagg.Frame) {
	for _, id := range secagg.UnmaskSecrets(f) {
		name := k.seed(view, id[0], id[1], id[2])
		k.revealed[name] = k.revealed[name].With(from)
	}
}

// everythingFor notes all that was sealed for a member, as if a complaint showed
// its key and not that of one bundle (S69 off).
func (k *knowledge) everythingFor(holder uint8, view secagg.SimView, sums uint16) {
	for sum := uint16(1); sum <= sums; sum++ {
		view.K = sum
		for _, i := range view.U1.Members() {
			for _, j := range view.U1.Members() {
				kind := uint8(1)
				switch {
				case i == j:
					kind = 0
				case j < i:
					continue
				}
				name := k.seed(view, kind, i, j)
				k.revealed[name] = k.revealed[name].With(holder)
			}
		}
	}
}

// judge asks the oracle whether anything but one sum for each place of at least
// t − c honest inputs can be solved for (invariant 2).
func (s *simulation) judge() {
	o := secaggsim.NewOracle()
	for _, v := range s.known.masked {
		masks := map[string]int64{}
		for _, j := range v.view.U2.Members() {
			kind, sign := uint8(1), int64(1)
			switch {
			case j == v.member:
				kind = 0
			case s.corrupt.Has(j):
				continue // one of the two who know the seed
			case j < v.member:
				sign = -1
			}
			name := s.known.seed(v.view, kind, min(j, v.member), max(j, v.member))
			holders := s.known.revealed[name].Union(s.corrupt.Minus(s.corrupt.Minus(v.view.U1)))
			if holders.Len() < v.view.T {
				masks[name+string(v.view.G[:])] = sign
			}
		}
		o.Observe(secaggsim.Input{Member: v.member, Place: v.place}, masks)
	}
	sums := o.Solve()
	s.count.Released += len(sums)
	if err := secaggsim.Judge(sums, 2*s.t-s.n); err != nil {
		s.violated("%v", err)
	}
}

// cause shortens an error to its sentinel's words.
func cause(err error) string {
	text := err.Error()
	if _, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, "member ") {
		text = rest
	}
	text, _, _ = strings.Cut(text, ":")
	return text
}
