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

// bundlePlain is m u16 · q u16 · m·q shares, then the pair's seed if the sender
// deals it; m = 1.
func bundlePlain(shares [][32]byte, pair *secret) []byte {
	b := binary.BigEndian.AppendUint16(u16(1), uint16(len(shares)))
	b = appendHashes(b, shares)
	if pair != nil {
		b = append(b, pair.b[:]...)
	}
	return b
}

// contents of a bundle that passed every check.
type contents struct {
	shares [][32]byte
	pair   *secret // nil if the dealer of the pair is the recipient
}

// Reasons of a complaint (§5, 70).
const (
	complaintFormat uint8 = 1 + iota
	complaintShares
	complaintPair
)

// checkBundle reads a decrypted bundle of dealer for holder and recomputes the
// roots in the dealer's row. The reason is 0 when all is right (Shared row, §6).
func checkBundle(plain []byte, r row, h1 [32]byte, k uint16, u1 Set, dealer, holder uint8) (c contents, reason uint8) {
	ids := dealt(dealer, u1)
	rd := reader{b: plain}
	if m, q := rd.u16(), rd.u16(); m != 1 || int(q) != len(ids) {
		return c, complaintFormat
	}
	c.shares = rd.hashes(len(ids))
	pair, pairRoot := pairID(dealer, holder), [32]byte{}
	if pair.dealer() == dealer {
		c.pair = newSecret(rd.b32())
		pairRoot = pair.leaf(h1, k, c.pair.b)
	}
	switch {
	case rd.end(TypeBundle) != nil:
		return c, complaintFormat
	case MerkleRoot(shareLeaves(ids, h1, k, holder, c.shares)) != r.shareRoot:
		return c, complaintShares
	case pairRoot != r.pairRoot:
		return c, complaintPair
	}
	return c, 0
}

func bundleDigest(body []byte) [32]byte { return sha256.Sum256(body) }
