package secagg

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"slices"

	"github.com/koinon-eu/koinon/crypto/shamir"
)

// dealt returns the seeds that member i makes and shares in one sum, in the
// order of S20: its own, then the pairs it deals with the other holders, other
// index ascending.
func dealt(i uint8, holders Set) []secretID {
	list := []secretID{selfID(i)}
	for _, j := range holders.Members() {
		if p := pairID(i, j); j != i && p.dealer() == i {
			list = append(list, p)
		}
	}
	return list
}

// seed derives a seed from its dealer's ρ (S13).
func (s secretID) seed(rho, h1 [32]byte, k uint16) [32]byte {
	if s.kind == kindSelf {
		return derive(rho, h1, "seed/self", u16(k)...)
	}
	return derive(rho, h1, "seed/pair", append(u16(k), s.other())...)
}

// coefficients derives the Shamir coefficients of a seed into c, which has
// 32·(t−1) bytes (S13).
func (s secretID) coefficients(rho, h1 [32]byte, k uint16, c []byte) {
	key := derive(rho, h1, "shamir", append(u16(k), s.other())...)
	defer clear(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("secagg: " + err.Error()) // 32 bytes are a valid AES key
	}
	clear(c)
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(c, c)
}

// maskKey derives the key of a seed's mask, salted with the transcript (S23).
func (s secretID) maskKey(seed, g [32]byte) [32]byte {
	if s.kind == kindSelf {
		return derive(seed, g, "mask/self", s.a)
	}
	return derive(seed, g, "mask/pair", s.a, s.b)
}

// masks returns the streams of member i's vector in sum k (S28): its own added, those of
// pairs with a higher index added, with a lower one subtracted. with has i and
// its eligible neighbours.
func masks(i uint8, k uint16, with Set, g [32]byte, seeds map[secretID]*secrets) ([]Stream, error) {
	var list []Stream
	for _, j := range with.Members() {
		id := selfID(i)
		if j != i {
			id = pairID(i, j)
		}
		seed, ok := seeds[id]
		if !ok {
			return nil, fmt.Errorf("no seed for the mask of %d and %d", i, j)
		}
		list = append(list, Stream{Key: id.maskKey(*seed.at(k), g), Negative: j < i})
	}
	return list, nil
}

// toOpen lists the seeds that a closed sum opens, ordered by (kind, a, b): the
// self seed of every survivor and the pair seed of every dropout with every
// survivor among its neighbours (S25, S31).
func (v *transcriptView) toOpen() []secretID {
	var list []secretID
	for _, j := range v.u3.Members() {
		list = append(list, selfID(j))
	}
	for _, a := range v.eligible.Members() {
		across := v.u3
		if v.u3.Has(a) {
			across = v.eligible.Minus(v.u3)
		}
		for _, b := range across.Intersect(v.graph.near[a]).Members() {
			if a < b {
				list = append(list, pairID(a, b))
			}
		}
	}
	return list
}

// toOpenBy lists the opened seeds of which a member holds shares (V11).
func (v *transcriptView) toOpenBy(holder uint8) []secretID {
	return slices.DeleteFunc(v.toOpen(), func(id secretID) bool { return !v.holders(id.dealer()).Has(holder) })
}

// undo returns the streams that take the masks out of Σ y over u3.
func undo(list []opening, u3 Set, g [32]byte) []Stream {
	streams := make([]Stream, len(list))
	for i, o := range list {
		negative := true // self masks were added
		if o.secret.kind == kindPair {
			// The survivor added the mask if its index is the lower one.
			negative = u3.Has(o.secret.a)
		}
		streams[i] = Stream{Key: o.secret.maskKey(o.seed, g), Negative: negative}
	}
	return streams
}

// deal is all that a dealer makes of its seeds for a batch. Shares and leaves
// run in the order of S20: the sums, in each the ids.
type deal struct {
	sums   int
	ids    []secretID
	seeds  map[secretID]*secrets
	shares map[uint8][][32]byte // holder → shares
}

// newDeal derives and shares member i's seeds for m sums among their holders with
// threshold t (S13, S17, S37).
func newDeal(i uint8, rho, h1 [32]byte, m int, among Set, t int) (deal, error) {
	d := deal{sums: m, ids: dealt(i, among), seeds: map[secretID]*secrets{}, shares: map[uint8][][32]byte{}}
	flat := make([]byte, 32*m*len(d.ids))
	coefficients := make([]byte, (t-1)*len(flat))
	defer clear(flat)
	defer clear(coefficients)
	c := make([]byte, 32*(t-1))
	defer clear(c)
	for n, id := range d.ids {
		d.seeds[id] = newSecrets(m)
		for k := uint16(1); int(k) <= m; k++ {
			seed := d.seeds[id].at(k)
			*seed = id.seed(rho, h1, k)
			at := 32 * (int(k-1)*len(d.ids) + n)
			copy(flat[at:], seed[:])
			id.coefficients(rho, h1, k, c)
			for degree := range t - 1 {
				copy(coefficients[degree*len(flat)+at:], c[32*degree:32*degree+32])
			}
		}
	}
	holders := among.Members()
	shares, err := shamir.Split(flat, coefficients, t, holders)
	if err != nil {
		for _, s := range d.seeds {
			s.wipe()
		}
		return deal{}, fmt.Errorf("share seeds: %w", err)
	}
	for n, j := range holders {
		d.shares[j] = (&reader{b: shares[n]}).hashes(m * len(d.ids))
		clear(shares[n])
	}
	return d, nil
}

// commitments returns the leaf hashes of one seed over the sums of the batch
// (S21).
func commitments(id secretID, h1 [32]byte, s *secrets) [][32]byte {
	l := make([][32]byte, len(s.b))
	for i := range l {
		l[i] = id.leaf(h1, uint16(i+1), s.b[i])
	}
	return l
}

// wipeShares overwrites what a dealer made for others.
func (d deal) wipeShares(keep uint8) {
	for j, l := range d.shares {
		if j != keep {
			clear(l)
		}
	}
}
