package secagg

import (
	"crypto/ed25519"
	"fmt"
)

// acceptComplaint judges a complaint: its evidence names the dealer, which ends
// the batch, or its author, who leaves it (Mask row, §7).
func (s *Server) acceptComplaint(from uint8, frames []Frame) error {
	m, err := single(s, frames, parseComplaint)
	if err != nil {
		return err
	}
	if err := s.mayAccuse(from, m.dealer); err != nil {
		return err
	}
	b, _, err := CheckEvidence(s.cfg.Roster, s.bundleEvidence(m.dealer, from, frames[0]))
	if err != nil {
		return err
	}
	s.blame(b)
	if b.Member == from {
		s.left = s.left.With(from)
		return nil
	}
	s.fail(ReasonBlame, b.Digest())
	return nil
}

// acceptDispute notes a bundle that did not open: nobody is named, the disputing
// member leaves the batch (S70).
func (s *Server) acceptDispute(from uint8, frames []Frame) error {
	m, err := single(s, frames, parseDispute)
	if err != nil {
		return err
	}
	if err := s.mayAccuse(from, m.dealer); err != nil {
		return err
	}
	s.disputes = append(s.disputes, Dispute{Member: from, Dealer: m.dealer})
	s.left = s.left.With(from)
	return nil
}

func (s *Server) mayAccuse(from, dealer uint8) error {
	if !s.eligible.Has(from) || !s.u2.Has(dealer) || from == dealer || s.masked.Has(from) || s.left.Has(from) {
		return fmt.Errorf("%w: %d accuses %d", ErrTranscript, from, dealer)
	}
	return nil
}

// bundleEvidence is kind 1: spec, adverts, the dealer's share, row and bundle,
// the complaint (S68).
func (s *Server) bundleEvidence(dealer, j uint8, complaint Frame) []byte {
	frames := append([]Frame{s.opening[0]}, s.setup()...)
	frames = append(frames, s.accepted[TypeShare][dealer][0], s.rowFrame(dealer, j), s.bundleFrame(dealer, j), complaint)
	return evidence(BlameBundle, frames...)
}

// shareBlame is kind 2: the whole record up to h3, the dealer's row for j, and
// the unmask of j.
func (s *Server) shareBlame(dealer, j uint8, unmask Frame) Blame {
	frames := append([]Frame{s.opening[0], s.announce}, s.setup()...)
	frames = append(append(frames, s.firsts(TypeShare, s.u2)...), s.firsts(TypeMask, s.u3)...)
	frames = append(frames, s.rowFrame(dealer, j), unmask)
	return Blame{Kind: BlameShare, Member: j, Evidence: evidence(BlameShare, frames...)}
}

// dealingBlame is kind 3: spec, adverts, the dealer's share, its rows for the
// holders and the pair's other member, in a batch of several sums the leaf of the
// seed with its path, and the holders' shares of that seed alone. They are not
// signed: whole unmask messages would not fit a frame in a large cohort.
func (s *Server) dealingBlame(id secretID, holders []uint8) Blame {
	d := id.dealer()
	frames := append([]Frame{s.opening[0]}, s.setup()...)
	frames = append(frames, s.accepted[TypeShare][d][0])
	for _, j := range SetOf(holders...).With(id.other()).Members() {
		frames = append(frames, s.rowFrame(d, j))
	}
	if s.spec.Sums > 1 {
		leaf, path := s.commitment(id)
		frames = append(frames, Frame{Type: TypeLeaves, Sender: d, Body: leaves{hashes: append([][32]byte{leaf}, path...)}.body()})
	}
	for _, j := range holders {
		m := unmask{k: s.sum.K, h3: s.h3, items: []unmaskItem{s.items[j][id]}}
		frames = append(frames, Frame{Type: TypeUnmask, Sender: j, Body: m.body(), Signature: make([]byte, ed25519.SignatureSize)})
	}
	return Blame{Kind: BlameDealing, Member: d, Evidence: evidence(BlameDealing, frames...)}
}
