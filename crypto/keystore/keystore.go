package keystore

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
)

// ErrReference means that a key reference has no known form.
var ErrReference = errors.New("key reference must be file:PATH or vault:MOUNT/KEY[@VERSION]")

// Options says how to reach the stores that references may name.
// The zero value serves file: references, and Vault by its usual environment
// (VAULT_ADDR, VAULT_TOKEN, VAULT_CACERT, VAULT_NAMESPACE).
type Options struct {
	Vault Vault
}

// Check tells whether reference has a known form, without opening anything.
// It returns ErrReference, wrapped with the reference, when it has not.
func Check(reference string) error {
	_, _, err := split(reference)
	return err
}

// Open returns the signer that reference names. File keys are EC P-256 or
// Ed25519; transit keys are ecdsa-p256 or ed25519.
//
// The signer follows crypto.Signer: an EC key signs a SHA-256 digest and
// returns ASN.1 DER, an Ed25519 key signs the message itself with
// opts.HashFunc() == 0. It may be used by several goroutines at once.
func Open(ctx context.Context, reference string, opt Options) (crypto.Signer, error) {
	scheme, rest, err := split(reference)
	if err != nil {
		return nil, err
	}
	if scheme == "file" {
		return openFile(rest)
	}
	return openTransit(ctx, rest, opt.Vault)
}

func split(reference string) (scheme, rest string, err error) {
	scheme, rest, ok := strings.Cut(reference, ":")
	if !ok || rest == "" {
		return "", "", fmt.Errorf("%q: %w", begin(reference), ErrReference)
	}
	switch scheme {
	case "file":
		return scheme, rest, nil
	case "vault":
		if _, ok := parseTransitPath(rest); !ok {
			return "", "", fmt.Errorf("%q: %w", reference, ErrReference)
		}
		return scheme, rest, nil
	}
	return "", "", fmt.Errorf("%q: %w", begin(reference), ErrReference)
}

// begin shortens what has no known form: it may be a key or a token that was
// put where the reference belongs, and errors end up in logs.
func begin(reference string) string {
	const shown = 12
	if len(reference) > shown {
		return reference[:shown] + "…"
	}
	return reference
}
