package secagg

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// ExportLabel is the exporter context of a bundle key (S13).
const ExportLabel = prefix + "bundle/key"

// bundleInfo is the HPKE info of a bundle: it fixes dealer, recipient and
// everything before (S13).
func bundleInfo(h1 [32]byte, dealer, holder uint8) []byte {
	return append(append([]byte(prefix+"bundle"), h1[:]...), dealer, holder)
}

// bundleAEAD is AES-256-GCM; each key seals one bundle, so the nonce is zero.
func bundleAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("bundle key of %d bytes", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("bundle key: %w", err)
	}
	return cipher.NewGCM(block)
}

var zeroNonce [12]byte

// sealBundle encrypts what a dealer has for one holder (§5, 22).
func sealBundle(seal Seal, pk, info, plain []byte) (bundle, error) {
	enc, key, err := seal(pk, info)
	if err != nil {
		return bundle{}, fmt.Errorf("seal bundle: %w", err)
	}
	defer clear(key)
	if len(enc) != encSize {
		return bundle{}, fmt.Errorf("seal bundle: encapsulation of %d bytes", len(enc))
	}
	aead, err := bundleAEAD(key)
	if err != nil {
		return bundle{}, fmt.Errorf("seal bundle: %w", err)
	}
	return bundle{enc: [encSize]byte(enc), ct: aead.Seal(nil, zeroNonce[:], plain, nil)}, nil
}

// bundleKey recovers k_ij from the encapsulation. A changed encapsulation gives
// another key without an error.
func bundleKey(sk hpke.PrivateKey, enc, info []byte) ([32]byte, error) {
	r, err := hpke.NewRecipient(enc, sk, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return [32]byte{}, fmt.Errorf("decapsulate: %w", err)
	}
	key, err := r.Export(ExportLabel, 32)
	if err != nil {
		return [32]byte{}, fmt.Errorf("export bundle key: %w", err)
	}
	return [32]byte(key), nil
}

// openBundle decrypts; the plaintext is not judged.
func openBundle(ct []byte, key [32]byte) ([]byte, error) {
	aead, err := bundleAEAD(key[:])
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, zeroNonce[:], ct, nil)
}

// bundlePlain is m u16 · q u16 · m·q shares, then the pair's m seeds if the
// sender deals it. It is made in one piece of memory, which the caller wipes.
func bundlePlain(m int, shares [][32]byte, pair *secrets) []byte {
	b := make([]byte, 0, plainSize(m, len(shares)/m, pair != nil))
	b = binary.BigEndian.AppendUint16(b, uint16(m))
	b = binary.BigEndian.AppendUint16(b, uint16(len(shares)/m))
	b = appendHashes(b, shares)
	if pair != nil {
		b = appendHashes(b, pair.b)
	}
	return b
}

// plainSize is the size of a bundle's plaintext.
func plainSize(m, q int, deals bool) int {
	if deals {
		q++
	}
	return 4 + 32*m*q
}

// contents of a bundle that passed every check.
type contents struct {
	shares [][32]byte
	tree   merkleTree // over the shares
	pair   *secrets   // nil if the dealer of the pair is the recipient
}

func (c contents) wipe() {
	clear(c.shares)
	if c.pair != nil {
		c.pair.wipe()
	}
}

// Reasons of a complaint (§5, 70).
const (
	complaintFormat uint8 = 1 + iota
	complaintShares
	complaintPair
)

// checkBundle reads a decrypted bundle of dealer for holder and recomputes the
// roots in the dealer's row; among are the holders of its seeds. The reason is 0 when all is right (Shared row, §6).
func checkBundle(plain []byte, r row, h1 [32]byte, m int, among Set, dealer, holder uint8) (c contents, reason uint8) {
	ids := dealt(dealer, among)
	pair := pairID(dealer, holder)
	deals := pair.dealer() == dealer
	rd := reader{b: plain}
	if sums, q := rd.u16(), rd.u16(); int(sums) != m || int(q) != len(ids) || len(plain) != plainSize(m, len(ids), deals) {
		return c, complaintFormat
	}
	c.shares = rd.hashes(m * len(ids))
	pairRoot := [32]byte{}
	if deals {
		c.pair = &secrets{b: rd.hashes(m)}
		pairRoot = MerkleRoot(commitments(pair, h1, c.pair))
	}
	c.tree = newMerkleTree(shareLeaves(ids, h1, holder, c.shares))
	switch {
	case rd.end(TypeBundle) != nil:
		reason = complaintFormat
	case c.tree.root() != r.shareRoot:
		reason = complaintShares
	case pairRoot != r.pairRoot:
		reason = complaintPair
	}
	if reason != 0 {
		c.wipe()
		return contents{}, reason
	}
	return c, 0
}

func bundleDigest(body []byte) [32]byte { return sha256.Sum256(body) }
