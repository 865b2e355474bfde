package coordinator

import (
	"crypto/ed25519"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/admin"
	"github.com/koinon-eu/koinon/crypto/leaktest"
	"github.com/koinon-eu/koinon/node/link"
)

// TestKeysAreNeverPrinted: neither by the configuration, nor by the coordinator made of it, nor by an enrolment with
// its one-time secret.
func TestKeysAreNeverPrinted(t *testing.T) {
	seed := sha256.Sum256([]byte("identity"))
	secret := sha256.Sum256([]byte("invite"))
	var s leaktest.Scanner
	s.Add("identity key", seed[:])
	s.Add("invite", secret[:])
	cfg := Config{Federation: "fed", Identity: ed25519.NewKeyFromSeed(seed[:])}
	for _, v := range []any{
		cfg, &cfg, &Coordinator{cfg: cfg},
		admin.Enrolment{Member: "DE", Secret: secret[:]},
		&admin.Enrolment{Member: "DE", Secret: secret[:]},
		link.Enrolment{Member: "DE", Secret: secret[:]},
		&link.Enrolment{Member: "DE", Secret: secret[:]},
	} {
		require.Empty(t, s.Find(leaktest.Render(v)), "%T", v)
	}
	require.NotEmpty(t, s.Find(leaktest.Render(cfg.Identity))) // it can fail
}
