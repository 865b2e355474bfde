package secagg

import (
	"fmt"

	"github.com/koinon-eu/koinon/crypto/shamir"
)

func (s *Server) acceptAgree(from uint8, frames []Frame) error {
	m, err := single(s, frames, parseAgree)
	if err != nil {
		return err
	}
	if !s.u3.Has(from) || m != (agree{k: s.sum.K, g: s.g, h3: s.h3}) {
		return fmt.Errorf("%w: agree of %d is for other survivors", ErrTranscript, from)
	}
	return nil
}

// Certificate returns the agreements so far, once there are t; later ones are
// added (Agree row, §7).
func (s *Server) Certificate() ([]Frame, bool) {
	if s.phase < PhaseUnmask || s.phase == PhaseAborted {
		return nil, false
	}
	m := certificate{k: s.sum.K}
	for _, f := range s.firsts(TypeAgree, s.senders(TypeAgree)) {
		m.signs = append(m.signs, agreement{member: f.Sender, signature: [64]byte(f.Signature)})
	}
	return []Frame{{Type: TypeCertificate, Body: m.body()}}, true
}

// acceptUnmask takes a survivor's shares: exactly those of S25, each leading to
// its dealer's root, else the message is dropped and, for a wrong share, its
// sender blamed (Unmask row, §7).
func (s *Server) acceptUnmask(from uint8, frames []Frame) error {
	m, err := single(s, frames, parseUnmask)
	if err != nil {
		return err
	}
	if !s.u3.Has(from) || m.k != s.sum.K || m.h3 != s.h3 {
		return fmt.Errorf("%w: unmask of %d is for other survivors", ErrTranscript, from)
	}
	ids := s.toOpenBy(from)
	if len(ids) != len(m.items) {
		return fmt.Errorf("%w: unmask of %d has %d shares, %d needed", ErrTranscript, from, len(m.items), len(ids))
	}
	for i, it := range m.items {
		if it.secret != ids[i] {
			return fmt.Errorf("%w: unmask of %d has a share of %d and %d", ErrTranscript, from, it.secret.a, it.secret.b)
		}
	}
	for _, it := range m.items {
		dealer := it.secret.dealer()
		if !s.checkShare(it, m.k, from, s.rows[dealer][from].shareRoot) {
			s.blame(s.shareBlame(dealer, from, frames[0]))
			return fmt.Errorf("%w: share that %d gave of %d's seed", ErrBlamed, from, dealer)
		}
	}
	s.items[from] = map[secretID]unmaskItem{}
	for _, it := range m.items {
		s.items[from][it.secret] = it
	}
	return nil
}

// Openable reports whether every seed of S31 has verified shares enough: t, in
// version 2 as many as its dealer's neighbourhood wants (V11).
func (s *Server) Openable() bool {
	if s.phase != PhaseUnmask {
		return s.phase == PhasePublish || s.phase == PhaseClosed
	}
	answered := s.senders(TypeUnmask)
	var dealers Set
	for _, id := range s.toOpen() {
		dealers = dealers.With(id.dealer())
	}
	return s.graph.checkFed(dealers, answered) == nil
}

// Open puts the seeds together, compares each with its commitment and returns
// the streams that, applied to Σ y over the survivors, give the sum. A dealer
// whose shares give another seed is blamed and the batch aborted: ErrBlamed.
// Called again it returns the same.
func (s *Server) Open() ([]Stream, error) {
	if !s.Openable() {
		return nil, fmt.Errorf("%w: %d unmasked, %d needed, phase %s", ErrTooFew, len(s.items), s.t, s.phase)
	}
	if s.opened == nil {
		if err := s.combine(); err != nil {
			return nil, err
		}
		s.phase = PhasePublish
	}
	return undo(s.opened, s.u3, s.g), nil
}

// combine puts every seed together from the shares of its lowest holders and
// compares it with its commitment.
func (s *Server) combine() error {
	ids := s.toOpen()
	seeds, err := s.combineShares(ids)
	if err != nil {
		return err
	}
	var list []opening
	for _, id := range ids {
		o := opening{secret: id, seed: seeds[id]}
		if id.kind == kindPair {
			o.row = s.rows[id.dealer()][id.other()]
		}
		_, o.path = s.commitment(id)
		if s.checkOpening(o) != nil {
			b := s.dealingBlame(id, s.lowest(id.dealer()).Members())
			s.blame(b)
			s.fail(ReasonDealing, b.Digest())
			return fmt.Errorf("%w: shares dealt by %d do not give the committed seed", ErrBlamed, id.dealer())
		}
		list = append(list, o)
	}
	s.opened = list
	return nil
}

// lowest returns the lowest holders of a dealer's seeds who have answered, as
// many as give a seed.
func (s *Server) lowest(dealer uint8) Set {
	answered := s.holders(dealer).Intersect(s.senders(TypeUnmask))
	return SetOf(answered.Members()[:s.graph.threshold(dealer)]...)
}

// combineShares interpolates the seeds, those with the same holders in one pass;
// in a complete graph that is all of them.
func (s *Server) combineShares(ids []secretID) (map[secretID][32]byte, error) {
	groups := map[Set][]secretID{}
	chosen := map[uint8]Set{}
	for _, id := range ids {
		d := id.dealer()
		if _, ok := chosen[d]; !ok {
			chosen[d] = s.lowest(d)
		}
		groups[chosen[d]] = append(groups[chosen[d]], id)
	}
	seeds := map[secretID][32]byte{}
	for holders, ids := range groups {
		var shares [][]byte
		for _, j := range holders.Members() {
			all := make([]byte, 0, 32*len(ids))
			for _, id := range ids {
				share := s.items[j][id].share
				all = append(all, share[:]...)
			}
			shares = append(shares, all)
		}
		raw, err := shamir.Combine(shares, holders.Members())
		if err != nil {
			return nil, fmt.Errorf("combine shares: %w", err)
		}
		for n, id := range ids {
			seeds[id] = [32]byte(raw[32*n:])
		}
	}
	return seeds, nil
}

// Result signs and returns result and openings, for every member: the number of
// words of the sum, its chunk root, and the next state and model. Errors wrap
// ErrStale or ErrResult. Called again with the same values it returns the same.
func (s *Server) Result(words uint32, sumRoot, state, model [32]byte) ([]Frame, error) {
	if s.phase != PhasePublish && s.phase != PhaseClosed {
		return nil, fmt.Errorf("%w: result in phase %s", ErrStale, s.phase)
	}
	if int64(words) != int64(s.sum.Layout().Words()) {
		return nil, fmt.Errorf("%w: %d words, the sum has %d", ErrResult, words, s.sum.Layout().Words())
	}
	o := openings{list: s.opened}
	m := result{k: s.sum.K, h3: s.h3, sumRoot: sumRoot, words: words, state: state, model: model, openingsRoot: o.root()}
	f, err := sign(s.cfg.Sign, TypeResult, s.dspec, 0, m.body())
	if err != nil {
		return nil, err
	}
	if s.published != nil && !s.published[0].equal(f) {
		return nil, fmt.Errorf("%w: another result was published", ErrEquivocation)
	}
	s.published = []Frame{f, {Type: TypeOpenings, Body: o.body()}}
	s.phase = PhaseClosed
	return s.published, nil
}

// Published returns every frame that VerifyRound needs for the present sum, once
// that is closed; nil before.
func (s *Server) Published() []Frame {
	certificate, ok := s.Certificate()
	if s.phase != PhaseClosed || !ok {
		return nil
	}
	all := []Frame{s.opening[0], s.announce}
	all = append(append(all, s.setup()...), s.firsts(TypeShare, s.u2)...)
	return append(append(append(all, s.survived...), certificate...), s.published...)
}
