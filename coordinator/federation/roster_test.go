package federation_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/coordinator/federation"
)

// key returns the identity key made from a one-byte seed.
func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(n byte) federation.Key {
	return federation.Key(key(n).Public().(ed25519.PublicKey))
}

func signer(n byte) func([]byte) ([]byte, error) {
	return func(m []byte) ([]byte, error) { return ed25519.Sign(key(n), m), nil }
}

func roster() *federation.Roster {
	r := &federation.Roster{Federation: "eu", ID: federation.FederationID("eu", [32]byte{1}), Version: 1, Coordinator: public(100)}
	for i, name := range []string{"DE", "FR", "IT", "PL", "PT"} {
		r.Members = append(r.Members, federation.Member{Name: name, Index: uint8(i + 1), Key: public(byte(i + 1))})
	}
	return r
}

func TestRosterRoundTrip(t *testing.T) {
	signed, err := federation.SignRoster(roster(), signer(100))
	require.NoError(t, err)
	got, err := signed.Open(key(100).Public().(ed25519.PublicKey))
	require.NoError(t, err)
	require.Equal(t, roster(), got)
	require.Equal(t, roster().Digest(), got.Digest())
}

// S10: names, indexes and keys are pairwise distinct, and the coordinator is the pinned one.
func TestRosterRefusals(t *testing.T) {
	for name, spoil := range map[string]func(*federation.Roster){
		"same name":               func(r *federation.Roster) { r.Members[1].Name = "DE" },
		"same index":              func(r *federation.Roster) { r.Members[1].Index = 1 },
		"index zero":              func(r *federation.Roster) { r.Members[0].Index = 0 },
		"same key":                func(r *federation.Roster) { r.Members[1].Key = public(1) },
		"member is coordinator":   func(r *federation.Roster) { r.Members[1].Key = public(100) },
		"name leaves the path":    func(r *federation.Roster) { r.Members[1].Name = "../x" },
		"no coordinator":          func(r *federation.Roster) { r.Coordinator = nil },
		"federation without name": func(r *federation.Roster) { r.Federation = "" },
	} {
		r := roster()
		spoil(r)
		_, err := r.Encode()
		require.Error(t, err, name)
	}
	signed, err := federation.SignRoster(roster(), signer(101)) // not the coordinator's key
	require.NoError(t, err)
	_, err = signed.Open(nil)
	require.ErrorContains(t, err, "signature")
	signed, err = federation.SignRoster(roster(), signer(100))
	require.NoError(t, err)
	_, err = signed.Open(key(101).Public().(ed25519.PublicKey))
	require.ErrorContains(t, err, "pinned")
}

func TestChangesAreToldToTheOperator(t *testing.T) {
	newer := roster()
	newer.Members[0].Key = public(50)
	newer.Members[1].Suspended = true
	newer.Members = append(newer.Members[:2:2], newer.Members[3:]...)
	newer.Members = append(newer.Members, federation.Member{Name: "SE", Index: 6, Key: public(6)})
	require.Equal(t, []federation.Change{
		{Member: "DE", What: "identity key changed"},
		{Member: "FR", What: "suspended"},
		{Member: "SE", What: "joined"},
		{Member: "IT", What: "left"},
	}, federation.Changes(roster(), newer))
}

func TestApproval(t *testing.T) {
	a := federation.Approval{Federation: roster().ID, Plan: federation.Hash("test"), Member: 1, Approve: true}
	signature, err := a.Sign(signer(1))
	require.NoError(t, err)
	require.True(t, a.Verify(public(1), signature))
	for _, other := range []federation.Approval{
		{Federation: a.Federation, Plan: a.Plan, Member: 1},
		{Federation: a.Federation, Plan: a.Plan, Member: 2, Approve: true},
		{Federation: a.Federation, Plan: federation.Hash("other"), Member: 1, Approve: true},
		{Plan: a.Plan, Member: 1, Approve: true},
	} {
		require.False(t, other.Verify(public(1), signature))
	}
	require.False(t, a.Verify(public(2), signature))
	require.False(t, a.Verify(nil, signature))
}

func TestPolicyDefaultsToRefusal(t *testing.T) {
	p, err := federation.ParsePolicy(nil)
	require.NoError(t, err)
	require.Equal(t, federation.DefaultPolicy(), p)
	require.Empty(t, p.Unattended)
	for _, text := range []string{
		"min_cohort: 2", "min_survivors: 1", "unattended: [{max_rounds: 5}]", "unknown: 1",
		"min_cohort: 5\n---\nmin_cohort: 3", "evaluations: 0", "min_cohort: [",
	} {
		_, err := federation.ParsePolicy([]byte(text))
		require.Error(t, err, text)
	}
}

func FuzzDecodeRoster(f *testing.F) {
	b, err := roster().Encode()
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := federation.DecodeRoster(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte("min_cohort: 5\nunattended: [{purposes: [document-risk], max_rounds: 100}]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := federation.ParsePolicy(b); err == nil {
			require.NoError(t, p.Validate())
		}
	})
}
