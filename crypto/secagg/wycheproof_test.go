package secagg

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// hexBytes is a field of a vector file.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type wycheproofCase struct {
	ID                         int `json:"tcId"`
	Comment, Result            string
	Key, IV, AAD, Msg, Ct, Tag hexBytes
	PK, Sig                    hexBytes
	IKM, Salt, Info, OKM       hexBytes
}

// wycheproof reads a file of testdata/wycheproof with at least that many tests.
func wycheproof(t *testing.T, name string, least int) []wycheproofCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "wycheproof", name))
	require.NoError(t, err)
	var file struct{ Tests []wycheproofCase }
	require.NoError(t, json.Unmarshal(text, &file))
	require.GreaterOrEqual(t, len(file.Tests), least)
	return file.Tests
}

// §5, 22: the AEAD of a bundle. Where the vector has our nonce and no extra
// data it also goes through openBundle.
func TestWycheproofBundleAEAD(t *testing.T) {
	zero := 0
	for _, v := range wycheproof(t, "aes_256_gcm.json", 40) {
		aead, err := bundleAEAD(v.Key)
		require.NoError(t, err)
		sealed := append(bytes.Clone(v.Ct), v.Tag...)
		plain, err := aead.Open(nil, v.IV, sealed, v.AAD)
		if v.Result != "valid" {
			require.Error(t, err, "%d %s", v.ID, v.Comment)
			continue
		}
		require.NoError(t, err, "%d %s", v.ID, v.Comment)
		require.True(t, bytes.Equal(v.Msg, plain))
		require.Equal(t, sealed, aead.Seal(nil, v.IV, v.Msg, v.AAD))
		if bytes.Equal(v.IV, zeroNonce[:]) && len(v.AAD) == 0 {
			zero++
			plain, err = openBundle(sealed, [32]byte(v.Key))
			require.NoError(t, err)
			require.True(t, bytes.Equal(v.Msg, plain))
		}
	}
	require.NotZero(t, zero)
}

// §5, 22: test cases 13 and 14 of the GCM specification (256-bit zero key, zero
// nonce) through sealBundle and openBundle, and every single bit of a sealed
// bundle changed, or its end cut off.
func TestBundleSealed(t *testing.T) {
	seal := func([]byte, []byte) ([]byte, []byte, error) { return make([]byte, encSize), make([]byte, 32), nil }
	for plain, want := range map[string]string{
		"":                       "530f8afbc74536b9a963b4f1c4cb738b",
		string(make([]byte, 16)): "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
	} {
		b, err := sealBundle(seal, nil, nil, []byte(plain))
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(b.ct))
		got, err := openBundle(b.ct, [32]byte{})
		require.NoError(t, err)
		require.Equal(t, plain, string(got))
		for bit := range 8 * len(b.ct) {
			b.ct[bit/8] ^= 1 << (bit % 8)
			_, err := openBundle(b.ct, [32]byte{})
			require.Error(t, err, "bit %d", bit)
			b.ct[bit/8] ^= 1 << (bit % 8)
		}
		for n := range b.ct {
			_, err := openBundle(b.ct[:n], [32]byte{})
			require.Error(t, err)
		}
		_, err = openBundle(b.ct, [32]byte{31: 1})
		require.Error(t, err)
	}
}

// S13: HKDF of RFC 5869 and Wycheproof, and the limit of its output.
func TestWycheproofHKDF(t *testing.T) {
	for _, v := range wycheproof(t, "hkdf_sha256.json", 10) {
		okm, err := hkdf.Key(sha256.New, v.IKM, v.Salt, string(v.Info), len(v.OKM))
		require.NoError(t, err)
		require.True(t, bytes.Equal(v.OKM, okm), "%d", v.ID)
	}
	_, err := hkdf.Key(sha256.New, []byte("k"), nil, "", 255*32)
	require.NoError(t, err)
	_, err = hkdf.Key(sha256.New, []byte("k"), nil, "", 255*32+1)
	require.Error(t, err)
}

// S13: derive is HKDF with one block of output, written out with HMAC.
func TestDeriveIsHKDF(t *testing.T) {
	mac := func(key []byte, parts ...[]byte) []byte {
		m := hmac.New(sha256.New, key)
		for _, p := range parts {
			m.Write(p)
		}
		return m.Sum(nil)
	}
	rapid.Check(t, func(r *rapid.T) {
		draw := func(name string) [32]byte { return [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, name)) }
		secret, salt := draw("secret"), draw("salt")
		label := rapid.SampledFrom([]string{"kem", "nonce", "seed/self", "seed/pair", "shamir", "mask/self", "mask/pair", "round"}).Draw(r, "label")
		numbers := rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(r, "numbers")
		prk := mac(salt[:], secret[:])
		want := mac(prk, []byte("koinon/secagg/v1/"+label), numbers, []byte{1})
		require.Equal(r, want, func() []byte { k := derive(secret, salt, label, numbers...); return k[:] }())
	})
}

// S3: the signatures of members. Wycheproof's cases hold the range of S
// (malleability), truncated, padded and altered signatures.
func TestWycheproofEd25519(t *testing.T) {
	invalid := 0
	for _, v := range wycheproof(t, "ed25519.json", 100) {
		if v.Result != "valid" {
			invalid++
		}
		require.Equal(t, v.Result == "valid", ed25519.Verify(ed25519.PublicKey(v.PK), v.Msg, v.Sig), "%d %s", v.ID, v.Comment)
	}
	require.Greater(t, invalid, 60)
}

// S3: RFC 8032 §7.1, from the private key: TEST 1 and TEST SHA(abc).
func TestEd25519Signs(t *testing.T) {
	abc := sha512.Sum512([]byte("abc"))
	for _, v := range []struct {
		seed, public string
		message      []byte
		signature    string
	}{
		{
			"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", nil,
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
		},
		{
			"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42", "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", abc[:],
			"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
		},
	} {
		seed, err := hex.DecodeString(v.seed)
		require.NoError(t, err)
		key := ed25519.NewKeyFromSeed(seed)
		require.Equal(t, v.public, hex.EncodeToString(key.Public().(ed25519.PublicKey)))
		require.Equal(t, v.signature, hex.EncodeToString(ed25519.Sign(key, v.message)))
	}
}
