package secaggsim

import (
	"crypto"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"fmt"
)

const (
	pqKeySize = mlkem.EncapsulationKeySize768
	pqEncSize = mlkem.CiphertextSize768
	encSize   = pqEncSize + 32 // X25519 point
)

// KEM stands in for the key encapsulation behind HPKE: shared secrets are hashes
// of public values, so that it hides nothing, costs a fiftieth of the real one,
// and gives the same bytes again. All around it (HPKE's key schedule and export,
// the AEAD, all formats and checks) is the real code. It is for members who
// follow the protocol and for an oracle that is told separately what an
// adversary could open.
type KEM struct {
	label   string
	sealed  uint64
	private map[string]hpke.PrivateKey
}

// NewKEM returns a stand-in whose encapsulations follow from the label.
func NewKEM(label string) *KEM { return &KEM{label: label, private: map[string]hpke.PrivateKey{}} }

// Seal is a secagg.Seal (S15) for the keys that Private gives their holders.
func (k *KEM) Seal(pk, info []byte) (enc, key []byte, err error) {
	sk, err := k.Private(pk)
	if err != nil {
		return nil, nil, err
	}
	k.sealed++
	x := sha3.NewSHAKE128()
	_, _ = x.Write(binary.BigEndian.AppendUint64([]byte(k.label), k.sealed))
	enc = make([]byte, encSize)
	_, _ = x.Read(enc)
	r, err := hpke.NewRecipient(enc, sk, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	if err != nil {
		return nil, nil, fmt.Errorf("stand-in encapsulation: %w", err)
	}
	key, err = r.Export("koinon/secagg/v1/bundle/key", 32)
	return enc, key, err
}

// Private returns the stand-in's private key for a real public key of 1216 bytes.
func (k *KEM) Private(pk []byte) (hpke.PrivateKey, error) {
	if sk := k.private[string(pk)]; sk != nil {
		return sk, nil
	}
	if len(pk) != pqKeySize+32 {
		return nil, fmt.Errorf("public key of %d bytes", len(pk))
	}
	e, err := mlkem.NewEncapsulationKey768(pk[:pqKeySize])
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	t, err := ecdh.X25519().NewPublicKey(pk[pqKeySize:])
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	id := sha256.Sum256(pk)
	sk, err := hpke.NewHybridPrivateKey(pq{id, e}, exchange{id, t})
	if err == nil {
		k.private[string(pk)] = sk
	}
	return sk, err
}

type pq struct {
	id  [32]byte
	key *mlkem.EncapsulationKey768
}

func (p pq) Encapsulator() crypto.Encapsulator { return p.key }

func (p pq) Decapsulate(ciphertext []byte) ([]byte, error) {
	s := sha256.Sum256(append(p.id[:], ciphertext...))
	return s[:], nil
}

type exchange struct {
	id  [32]byte
	key *ecdh.PublicKey
}

func (e exchange) PublicKey() *ecdh.PublicKey { return e.key }
func (exchange) Curve() ecdh.Curve            { return ecdh.X25519() }

func (e exchange) ECDH(other *ecdh.PublicKey) ([]byte, error) {
	s := sha256.Sum256(append(e.id[:], other.Bytes()...))
	return s[:], nil
}
