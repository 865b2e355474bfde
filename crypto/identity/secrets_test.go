package identity

import (
	"crypto/ecdsa"
	"crypto/rand"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/leaktest"
)

// Keys of certificates, of the authority, and invites are never printed.
func TestKeysAreNeverPrinted(t *testing.T) {
	caKey, err := NewKey()
	require.NoError(t, err)
	root, err := NewRoot("fed", caKey, time.Now())
	require.NoError(t, err)
	authority, err := NewLocal("fed", root, caKey, time.Now)
	require.NoError(t, err)
	key, err := NewKey()
	require.NoError(t, err)
	profile := Profile{Peer: Peer{Federation: "fed", Kind: Member, Name: "DE"}}
	request, err := NewRequest(key, profile)
	require.NoError(t, err)
	chain, err := authority.Issue(t.Context(), request, profile)
	require.NoError(t, err)
	credentials, err := NewCredentials(key, chain)
	require.NoError(t, err)
	secret, err := NewSecret(rand.Reader)
	require.NoError(t, err)

	var s leaktest.Scanner
	for name, k := range map[string]any{"ca key": caKey, "key": key} {
		private, err := k.(*ecdsa.PrivateKey).Bytes()
		require.NoError(t, err)
		s.Add(name, private)
		s.AddText(name+" as a number", new(big.Int).SetBytes(private).String())
	}
	s.Add("invite", secret.Bytes())
	source := NewSource(credentials)
	for _, v := range []any{credentials, *credentials, source, authority, secret, &secret, Invite{Member: "DE", Secret: secret}} {
		if c, ok := v.(Credentials); ok {
			v = &c
		}
		require.Empty(t, s.Find(leaktest.Render(v)), "%T", v)
	}
	require.Contains(t, credentials.String(), "DE")
	require.NotPanics(t, func() { leaktest.Render((*Credentials)(nil)) })
	require.NotEmpty(t, s.Find(leaktest.Render(key))) // it can fail
	require.NotEmpty(t, s.Find(leaktest.Render(secret.bytes)))
	require.False(t, reflect.TypeOf(secret).Comparable())

	_, err = SecretFrom(secret.Bytes()[1:])
	require.Empty(t, s.Find([]byte(err.Error())))
	text, err := Invite{Federation: "fed", Member: "DE", Server: "h:1", Secret: secret, Expires: time.Unix(9, 0)}.Text()
	require.NoError(t, err)
	_, err = ParseInvite(text[:len(text)-1])
	require.Error(t, err)
	require.Empty(t, s.Find([]byte(err.Error())))
	require.NotContains(t, err.Error(), text[20:40])
}
