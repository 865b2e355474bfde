package secagg

import (
	"slices"

	"github.com/koinon-eu/koinon/crypto/shamir"
)

// dealing judges kind 3: shares the dealer itself committed to do not lie on
// one polynomial that gives the committed seed. Who gave them is of no account:
// each leads to what the dealer signed.
func (p *proof) dealing() (member uint8, err error) {
	if err := p.readSetup(); err != nil {
		return 0, err
	}
	s, d, err := p.dealer()
	if err != nil {
		return 0, err
	}
	rows := map[uint8]row{}
	for _, f := range p.all(TypeRow) {
		r, err := p.row(f, d, s.rowRoot)
		if err != nil {
			return 0, err
		}
		rows[r.other] = r
	}
	c, err := p.commitment()
	if err != nil {
		return 0, err
	}
	k, given, err := p.given(d, rows)
	if err != nil {
		return 0, err
	}
	for _, id := range dealt(d, p.v.holders(d)) {
		root := s.selfRoot
		if id.kind == kindPair {
			root = rows[id.other()].pairRoot
			if _, ok := rows[id.other()]; !ok {
				continue
			}
		}
		leaf, ok := c.of(p.v.spec, k, root)
		if g := given[id]; ok && g != nil && g.wrong(id, k, p.v, leaf) {
			return d, nil
		}
	}
	return 0, p.nothing()
}

// commitment is the leaf of one seed under self_root or a pair_root, with its
// path; in a batch of one sum the root is the leaf and nothing is sent.
type commitment [][32]byte

func (p *proof) commitment() (commitment, error) {
	if p.v.spec.Sums == 1 {
		return nil, nil
	}
	f, err := p.one(TypeLeaves)
	if err != nil {
		return nil, err
	}
	m, err := parseLeaves(f.Body)
	if err == nil && len(m.hashes) == 0 {
		err = p.nothing()
	}
	return m.hashes, err
}

// of returns the leaf if it is the one of sum k under the root.
func (c commitment) of(s Spec, k uint16, root [32]byte) (leaf [32]byte, ok bool) {
	if s.Sums == 1 {
		return root, true
	}
	return c[0], VerifyPath(c[0], int(k)-1, int(s.Sums), c[1:], root)
}

// given collects, from unmask bodies of one sum with holders ascending, the
// shares that lead to the dealer's commitments. Signatures are not looked at.
func (p *proof) given(dealer uint8, rows map[uint8]row) (k uint16, given map[secretID]*points, err error) {
	given = map[secretID]*points{}
	last := uint8(0)
	for len(p.frames) > 0 {
		f, err := p.one(TypeUnmask)
		if err != nil {
			return 0, nil, err
		}
		m, err := parseUnmask(f.Body)
		if err != nil {
			return 0, nil, err
		}
		holder := f.Sender
		if holder <= last || last != 0 && m.k != k {
			return 0, nil, p.nothing()
		}
		last, k = holder, m.k
		for _, it := range m.items {
			if it.secret.dealer() == dealer && p.v.checkShare(it, k, holder, rows[holder].shareRoot) {
				given[it.secret] = given[it.secret].with(holder, it.share)
			}
		}
	}
	return k, given, nil
}

// points are shares of one seed with their holders.
type points struct {
	holders []uint8
	shares  [][]byte
}

func (g *points) with(holder uint8, share [32]byte) *points {
	if g == nil {
		g = &points{}
	}
	g.holders, g.shares = append(g.holders, holder), append(g.shares, share[:])
	return g
}

// wrong reports whether enough shares do not give the committed seed, or one
// more is off their polynomial.
func (g *points) wrong(id secretID, k uint16, v transcriptView, leaf [32]byte) bool {
	t := v.graph.threshold(id.dealer())
	if len(g.holders) < t {
		return false
	}
	seed, err := shamir.Combine(g.shares[:t], g.holders[:t])
	if err != nil {
		return false
	}
	if id.leaf(v.h1, k, [32]byte(seed)) != leaf {
		return true
	}
	for i := t; i < len(g.holders); i++ {
		y, err := shamir.Interpolate(g.shares[:t], g.holders[:t], g.holders[i])
		if err == nil && !slices.Equal(y, g.shares[i]) {
			return true
		}
	}
	return false
}
