package keystore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Kind is a key algorithm.
type Kind string

// The algorithms of Koinon's long-lived keys.
const (
	P256    Kind = "ec-p256" // releases, approvals
	Ed25519 Kind = "ed25519" // member and coordinator identity
)

// maxKeyFile bounds a key or public key file in bytes; a PKCS#8 P-256 key in
// PEM has about 240.
const maxKeyFile = 64 << 10

// Generate draws a new key from the operating system, writes it to path as
// PKCS#8 PEM with mode 0600 and returns its signer. An existing file is an
// error that satisfies errors.Is(err, fs.ErrExist); it is never replaced.
func Generate(path string, kind Kind) (crypto.Signer, error) {
	key, err := generate(kind)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode %s key: %w", kind, err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	defer clear(block)
	defer clear(der)
	if err := WriteSecret(path, block); err != nil {
		return nil, err
	}
	return &fileKey{key: key, path: path}, nil
}

func generate(kind Kind) (crypto.Signer, error) {
	switch kind {
	case P256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("generate %s key: %w", kind, err)
		}
		return key, nil
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("generate %s key: %w", kind, err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("key kind %q is neither %s nor %s", string(kind), P256, Ed25519)
}

// fileKey keeps the private key out of every formatted value.
type fileKey struct {
	key  crypto.Signer
	path string
}

func (k *fileKey) Public() crypto.PublicKey { return k.key.Public() }

func (k *fileKey) Sign(rnd io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := k.key.Sign(rnd, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("sign with key file %s: %w", k.path, err)
	}
	return sig, nil
}

// String names the reference only.
func (k *fileKey) String() string { return "file:" + k.path }

// Format keeps %+v and %#v from reaching the key.
func (k *fileKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue implements slog.LogValuer.
func (k *fileKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

func openFile(path string) (crypto.Signer, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	key, err := parsePrivate(text)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return &fileKey{key: key, path: path}, nil
}

// parsePrivate reads exactly one PKCS#8 block. Errors of x509 name the
// structure, never the bytes, but they are dropped all the same: what matters
// to the reader is the form that is expected.
func parsePrivate(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errors.New("holds no PEM block")
	}
	defer clear(block.Bytes)
	if len(strings.TrimSpace(string(rest))) != 0 {
		return nil, errors.New("holds more than one PEM block")
	}
	if block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("is of type %q, want PKCS#8 %q", block.Type, "PRIVATE KEY")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("is not a valid PKCS#8 private key")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("is of algorithm %T, want EC P-256 or Ed25519", key)
	}
	if _, err := KindOf(signer.Public()); err != nil {
		return nil, err
	}
	return signer, nil
}

// KindOf names the algorithm of a public key; anything but EC P-256 and
// Ed25519 is an error.
func KindOf(pub crypto.PublicKey) (Kind, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return P256, nil
		}
		return "", fmt.Errorf("is EC %s, want EC P-256 or Ed25519", k.Curve.Params().Name)
	case ed25519.PublicKey:
		return Ed25519, nil
	}
	return "", fmt.Errorf("is of algorithm %T, want EC P-256 or Ed25519", pub)
}

// EncodePublic returns pub as a PEM SubjectPublicKeyInfo, newline at the end:
// the text that goes into a .pub file.
func EncodePublic(pub crypto.PublicKey) ([]byte, error) {
	if _, err := KindOf(pub); err != nil {
		return nil, fmt.Errorf("public key %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// ParsePublic reads what EncodePublic wrote: one PEM block of an EC P-256 or
// Ed25519 key, at most 64 KiB.
func ParsePublic(text []byte) (crypto.PublicKey, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("public key has %d bytes, limit %d", len(text), maxKeyFile)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("public key holds no PEM block of type \"PUBLIC KEY\"")
	}
	if len(strings.TrimSpace(string(rest))) != 0 {
		return nil, errors.New("public key is followed by more text")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if _, err := KindOf(pub); err != nil {
		return nil, fmt.Errorf("public key %w", err)
	}
	return pub, nil
}
