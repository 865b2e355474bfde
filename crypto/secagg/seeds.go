package secagg

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"

	"github.com/koinon-eu/koinon/crypto/shamir"
)

// dealt returns the seeds that member i makes and shares in one sum, in the
// order of S20: its own, then the pairs it deals, other index ascending.
func dealt(i uint8, u1 Set) []secretID {
	list := []secretID{selfID(i)}
	for _, j := range u1.Members() {
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

// coefficients derives the Shamir coefficients of a seed: 32·(t−1) bytes (S13).
func (s secretID) coefficients(rho, h1 [32]byte, k uint16, t int) []byte {
	key := derive(rho, h1, "shamir", append(u16(k), s.other())...)
	defer clear(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("secagg: " + err.Error()) // 32 bytes are a valid AES key
	}
	c := make([]byte, 32*(t-1))
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(c, c)
	return c
}

// maskKey derives the key of a seed's mask, salted with the transcript (S23).
func (s secretID) maskKey(seed, g [32]byte) [32]byte {
	if s.kind == kindSelf {
		return derive(seed, g, "mask/self", s.a)
	}
	return derive(seed, g, "mask/pair", s.a, s.b)
}

// masks returns the streams of member i's vector (S28): its own added, those of
// pairs with a higher index added, with a lower one subtracted.
func masks(i uint8, u2 Set, g [32]byte, seeds map[secretID]*secret) ([]Stream, error) {
	var list []Stream
	for _, j := range u2.Members() {
		id := selfID(i)
		if j != i {
			id = pairID(i, j)
		}
		seed, ok := seeds[id]
		if !ok {
			return nil, fmt.Errorf("no seed for the mask of %d and %d", i, j)
		}
		list = append(list, Stream{Key: id.maskKey(seed.b, g), Negative: j < i})
	}
	return list, nil
}

// opened lists the seeds that a closed sum opens, ordered by (kind, a, b): the
// self seed of every survivor and the pair seed of every dropout with every
// survivor (S25, S31).
func opened(u2, u3 Set) []secretID {
	var list []secretID
	for _, j := range u3.Members() {
		list = append(list, selfID(j))
	}
	for _, a := range u2.Members() {
		for _, b := range u2.Members() {
			if a < b && u3.Has(a) != u3.Has(b) {
				list = append(list, pairID(a, b))
			}
		}
	}
	return list
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

// deal is all that a dealer makes of its seeds for one sum.
type deal struct {
	ids    []secretID
	seeds  map[secretID]*secret
	shares map[uint8][][32]byte // holder → shares in the order of ids
}

// newDeal derives and shares member i's seeds among u1 with threshold t (S13, S17).
func newDeal(i uint8, rho, h1 [32]byte, k uint16, u1 Set, t int) (deal, error) {
	d := deal{ids: dealt(i, u1), seeds: map[secretID]*secret{}, shares: map[uint8][][32]byte{}}
	secrets := make([]byte, 32*len(d.ids))
	coefficients := make([]byte, (t-1)*len(secrets))
	defer clear(secrets)
	defer clear(coefficients)
	for n, id := range d.ids {
		seed := newSecret(id.seed(rho, h1, k))
		d.seeds[id] = seed
		copy(secrets[32*n:], seed.b[:])
		c := id.coefficients(rho, h1, k, t)
		for degree := range t - 1 {
			copy(coefficients[degree*len(secrets)+32*n:], c[32*degree:32*degree+32])
		}
		clear(c)
	}
	holders := u1.Members()
	shares, err := shamir.Split(secrets, coefficients, t, holders)
	if err != nil {
		return deal{}, fmt.Errorf("share seeds: %w", err)
	}
	for n, j := range holders {
		d.shares[j] = (&reader{b: shares[n]}).hashes(len(d.ids))
		clear(shares[n])
	}
	return d, nil
}
