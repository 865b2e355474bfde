package secagg

import (
	"fmt"
	"slices"
)

// leaf returns the leaf hash of a seed's commitment (S21).
func (s secretID) leaf(h1 [32]byte, k uint16, seed [32]byte) [32]byte {
	if s.kind == kindSelf {
		return leafHash([]byte(prefix+"commit/self"), h1[:], u16(k), []byte{s.a}, seed[:])
	}
	return leafHash([]byte(prefix+"commit/pair"), h1[:], u16(k), []byte{s.a, s.b}, seed[:])
}

// shareLeaf returns the leaf hash of one holder's share (S21).
func (s secretID) shareLeaf(h1 [32]byte, k uint16, holder uint8, share [32]byte) [32]byte {
	return leafHash([]byte(prefix+"commit/share"), h1[:], u16(k), []byte{s.dealer(), holder, s.kind, s.other()}, share[:])
}

// shareLeaves returns the leaves under share_root of one holder: for every sum
// of the batch those of ids (S20, S21).
func shareLeaves(ids []secretID, h1 [32]byte, holder uint8, shares [][32]byte) [][32]byte {
	l := make([][32]byte, len(shares))
	for n := range l {
		l[n] = ids[n%len(ids)].shareLeaf(h1, uint16(1+n/len(ids)), holder, shares[n])
	}
	return l
}

// position returns the place of a member in the ascending list of a set.
func position(s Set, i uint8) int { return slices.Index(s.Members(), i) }

// checkRow verifies that a dealer's row leads to its signed row_root (S22).
func checkRow(r row, holders Set, root [32]byte) bool {
	return holders.Has(r.other) && VerifyPath(leafHash(r.leaf()), position(holders, r.other), holders.Len(), r.path, root)
}

// checkShare verifies a holder's share of sum k against the dealer's share_root.
func (v *transcriptView) checkShare(it unmaskItem, k uint16, holder uint8, root [32]byte) bool {
	ids := dealt(it.secret.dealer(), v.holders(it.secret.dealer()))
	n := slices.Index(ids, it.secret)
	if n < 0 || k < 1 || k > v.spec.Sums {
		return false
	}
	at := int(k-1)*len(ids) + n
	return VerifyPath(it.secret.shareLeaf(v.h1, k, holder, it.share), at, int(v.spec.Sums)*len(ids), it.path, root)
}

// checkOpening verifies that a seed is the committed one of the view's sum (S21,
// S31).
func (v *transcriptView) checkOpening(o opening) error {
	d := v.dealers[o.secret.dealer()]
	root := d.selfRoot
	if o.secret.kind == kindPair {
		if o.row.other != o.secret.other() || !checkRow(o.row, v.holders(o.secret.dealer()), d.rowRoot) {
			return fmt.Errorf("%w: row of %d for %d", ErrResult, o.secret.dealer(), o.secret.other())
		}
		root = o.row.pairRoot
	}
	k := v.sum.K
	if !VerifyPath(o.secret.leaf(v.h1, k, o.seed), int(k)-1, int(v.spec.Sums), o.path, root) {
		return fmt.Errorf("%w: seed of %d and %d is not the committed one", ErrResult, o.secret.a, o.secret.b)
	}
	return nil
}
