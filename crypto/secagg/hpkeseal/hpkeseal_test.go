package hpkeseal

import (
	"crypto/hpke"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// S13, S15: the recipient exports the same key, under the same info only.
func TestSeal(t *testing.T) {
	sk, err := hpke.MLKEM768X25519().GenerateKey()
	require.NoError(t, err)
	enc, key, err := Seal(sk.PublicKey().Bytes(), []byte("info"))
	require.NoError(t, err)
	require.Len(t, enc, 1120)
	open := func(info string) []byte {
		r, err := hpke.NewRecipient(enc, sk, hpke.HKDFSHA256(), hpke.ExportOnly(), []byte(info))
		require.NoError(t, err)
		k, err := r.Export(secagg.ExportLabel, 32)
		require.NoError(t, err)
		return k
	}
	require.Equal(t, key, open("info"))
	require.NotEqual(t, key, open("other"))
	again, other, err := Seal(sk.PublicKey().Bytes(), []byte("info"))
	require.NoError(t, err)
	require.NotEqual(t, enc, again)
	require.NotEqual(t, key, other)
	_, _, err = Seal(make([]byte, 1215), nil)
	require.Error(t, err)
}
