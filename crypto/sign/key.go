package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxKeyText bounds a public key file in bytes.
const maxKeyText = 64 << 10

// ParsePublicKey reads an EC public key (P-256, P-384 or P-521) from PEM text.
// Text before the block, as OpenSSL writes it, is skipped; a second block is
// an error.
func ParsePublicKey(text []byte) (*ecdsa.PublicKey, error) {
	if len(text) > maxKeyText {
		return nil, fmt.Errorf("public key has %d bytes, limit %d", len(text), maxKeyText)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("public key holds no PEM block of type \"PUBLIC KEY\"")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, errors.New("public key file holds more than one PEM block")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	ec, ok := pub.(*ecdsa.PublicKey)
	if !ok || hashOf(ec) == 0 {
		return nil, fmt.Errorf("public key is %T, want EC P-256, P-384 or P-521", pub)
	}
	return ec, nil
}

// KeyID names a public key as the format does: lower-case hex SHA-256 of its
// PEM text, final newline included.
func KeyID(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("public key: %w", err)
	}
	return digestHex(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// hashOf is the hash the format couples with a curve; 0 for other curves.
func hashOf(pub *ecdsa.PublicKey) crypto.Hash {
	switch pub.Curve {
	case elliptic.P256():
		return crypto.SHA256
	case elliptic.P384():
		return crypto.SHA384
	case elliptic.P521():
		return crypto.SHA512
	}
	return 0
}

func digestHex(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}
