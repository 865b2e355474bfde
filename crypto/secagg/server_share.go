package secagg

import (
	"crypto/ed25519"
	"fmt"
	"math/bits"
	"slices"
)

// acceptShare takes a dealer's commitments and bundles when they are complete
// and agree with what it signed (Share row, §7).
func (s *Server) acceptShare(from uint8, frames []Frame) error {
	if !s.u1.Has(from) {
		return fmt.Errorf("%w: share of %d, who did not advertise", ErrTranscript, from)
	}
	holders := s.holders(from)
	n := holders.Len()
	need := 2 * n
	if s.spec.Sums > 1 {
		need++
	}
	if len(frames) != need {
		return fmt.Errorf("%w: share of %d with %d frames, %d needed", ErrTranscript, from, len(frames), need)
	}
	m, err := single(s, frames[:1], parseShare)
	if err != nil {
		return err
	}
	if m.h1 != s.h1 {
		return fmt.Errorf("%w: share of %d is for other adverts", ErrTranscript, from)
	}
	rows := map[uint8]row{}
	for i, j := range holders.Members() {
		r, err := s.readRow(m, from, j, frames[1+i])
		if err != nil {
			return err
		}
		rows[j] = r
	}
	if err := s.checkBundles(from, rows, frames[1+n:2*n]); err != nil {
		return err
	}
	if s.spec.Sums > 1 {
		if err := s.checkLeaves(from, m, rows, frames[2*n]); err != nil {
			return err
		}
	}
	s.rows[from] = rows
	return nil
}

// readRow reads the row of dealer for j; what must be zero is (S21, S22).
func (s *Server) readRow(m share, dealer, j uint8, f Frame) (row, error) {
	if f.Type != TypeRow {
		return row{}, fmt.Errorf("%w: %s instead of row for %d", ErrTranscript, f.Type, j)
	}
	r, err := parseRow(f.Body)
	if err != nil {
		return row{}, err
	}
	deals := j != dealer && pairID(dealer, j).dealer() == dealer
	switch {
	case r.other != j || !checkRow(r, s.holders(dealer), m.rowRoot):
		return row{}, fmt.Errorf("%w: row of %d for %d does not lead to its root", ErrTranscript, dealer, j)
	case deals == (r.pairRoot == [32]byte{}), j == dealer != (r.bundle == [32]byte{}):
		return row{}, fmt.Errorf("%w: row of %d for %d has a root too many or too few", ErrTranscript, dealer, j)
	}
	return r, nil
}

func (s *Server) checkBundles(dealer uint8, rows map[uint8]row, frames []Frame) error {
	holders := s.holders(dealer)
	q := len(dealt(dealer, holders))
	for i, j := range holders.Without(dealer).Members() {
		if frames[i].Type != TypeBundle || bundleDigest(frames[i].Body) != rows[j].bundle {
			return fmt.Errorf("%w: bundle of %d for %d", ErrAltered, dealer, j)
		}
		b, err := parseBundle(frames[i].Body)
		if err != nil {
			return err
		}
		size := plainSize(int(s.spec.Sums), q, pairID(dealer, j).dealer() == dealer) + 16 // tag
		if len(b.ct) != size {
			return fmt.Errorf("%w: bundle of %d for %d has %d bytes, not %d", ErrTranscript, dealer, j, len(b.ct), size)
		}
	}
	return nil
}

// checkLeaves recomputes a dealer's self_root and pair_roots from its
// commitments, which the paths in openings need (S21).
func (s *Server) checkLeaves(dealer uint8, m share, rows map[uint8]row, f Frame) error {
	ids := dealt(dealer, s.holders(dealer))
	if f.Type != TypeLeaves || len(f.Body) != 32*len(ids)*int(s.spec.Sums) {
		return fmt.Errorf("%w: %s of %d with %d bytes instead of its leaves", ErrTranscript, f.Type, dealer, len(f.Body))
	}
	for n, id := range ids {
		root := m.selfRoot
		if id.kind == kindPair {
			root = rows[id.other()].pairRoot
		}
		if MerkleRoot(column(f.Body, n, len(ids))) != root {
			return fmt.Errorf("%w: leaves of %d for seed of %d and %d do not lead to its root", ErrTranscript, dealer, id.a, id.b)
		}
	}
	return nil
}

// column returns from the body of `leaves` the commitments to the n-th of q
// seeds, one for each sum.
func column(body []byte, n, q int) [][32]byte {
	var l [][32]byte
	for at := 32 * n; at < len(body); at += 32 * q {
		l = append(l, [32]byte(body[at:]))
	}
	return l
}

// commitment returns the leaf of a seed of the present sum and its path to the
// dealer's self_root or pair_root.
func (s *Server) commitment(id secretID) (leaf [32]byte, path [][32]byte) {
	if s.spec.Sums == 1 {
		return leaf, nil
	}
	ids := dealt(id.dealer(), s.holders(id.dealer()))
	p := s.accepted[TypeShare][id.dealer()]
	l := column(p[len(p)-1].Body, slices.Index(ids, id), len(ids))
	return l[s.sum.K-1], MerklePath(l, int(s.sum.K)-1)
}

// CloseShare fixes U2, all who shared and have enough holders left (V15), and returns for each of its members the packet of shares,
// rows and bundles. Fewer than t abort the batch: ErrTooFew. Called again it
// returns the same, until a sum follows on a closed one: ErrStale.
func (s *Server) CloseShare() (map[uint8][]Frame, error) {
	if s.delivered != nil {
		return s.delivered, nil
	}
	if s.phase != PhaseShare {
		return nil, fmt.Errorf("%w: close share in phase %s", ErrStale, s.phase)
	}
	u2 := s.graph.fed(s.senders(TypeShare))
	if u2.Len() < s.t {
		s.fail(ReasonTooFew, [32]byte{})
		return nil, fmt.Errorf("%w: %d shared, %d needed", ErrTooFew, u2.Len(), s.t)
	}
	if err := s.readShares(s.cfg.Roster, s.firsts(TypeShare, u2)); err != nil {
		return nil, err
	}
	s.begin(s.u2)
	s.delivered = map[uint8][]Frame{}
	for _, j := range u2.Members() {
		for _, d := range u2.Members() {
			s.delivered[j] = append(s.delivered[j], s.accepted[TypeShare][d][0])
			if d != j && s.holders(d).Has(j) {
				s.delivered[j] = append(s.delivered[j], s.rowFrame(d, j), s.bundleFrame(d, j))
			}
		}
	}
	s.phase = PhaseMask
	return s.delivered, nil
}

func (s *Server) rowFrame(dealer, j uint8) Frame {
	return s.accepted[TypeShare][dealer][1+position(s.holders(dealer), j)]
}

func (s *Server) bundleFrame(dealer, j uint8) Frame {
	holders := s.holders(dealer)
	return s.accepted[TypeShare][dealer][1+holders.Len()+position(holders.Without(dealer), j)]
}

// SetupBytes returns the bytes of the largest packet of the Share phase that a
// member of the cohort sends, and of the largest that it gets, in a batch of that
// many sums. It is what a transport must carry; with indexes that are all odd or
// all even the member with the highest one deals every pair it is in (S14). A
// graph is not known before it is drawn: then it is as if all cycles of a member
// went to others, and it dealt all those pairs.
func SetupBytes(cohort Set, sums int) (up, down int) {
	n := cohort.Len()
	holders := n
	if sparse(n) {
		holders = min(n, 2*cyclesFor(n)+1)
	}
	rowFrame := frameHeader + rowSize + 1 + 32*bits.Len(uint(holders-1))
	shareFrame := frameHeader + shareSize + ed25519.SignatureSize
	bundleFrame := func(q int, deals bool) int { return frameHeader + encSize + 4 + plainSize(sums, q, deals) + 16 }
	leaves := func(q int) int {
		if sums == 1 {
			return 0
		}
		return frameHeader + 32*sums*q
	}
	if holders < n {
		bundles := (holders - 1) * bundleFrame(holders, true)
		up = shareFrame + holders*rowFrame + bundles + leaves(holders)
		return up, n*shareFrame + (holders-1)*rowFrame + bundles
	}
	received := map[uint8]int{}
	for _, d := range cohort.Members() {
		q := len(dealt(d, cohort))
		sent := shareFrame + n*rowFrame + leaves(q)
		for _, j := range cohort.Without(d).Members() {
			bundle := bundleFrame(q, pairID(d, j).dealer() == d)
			sent += bundle
			received[j] += shareFrame + rowFrame + bundle
		}
		up = max(up, sent)
	}
	for _, r := range received {
		down = max(down, r+shareFrame)
	}
	return up, down
}
