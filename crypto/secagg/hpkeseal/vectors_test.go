package hpkeseal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vector is the one of draft-ietf-hpke-pq for our KEM and KDF.
type vector struct {
	AEAD           uint16   `json:"aead_id"`
	Info           hexBytes `json:"info"`
	IKM            hexBytes `json:"ikmR"`
	Private        hexBytes `json:"skRm"`
	Public         hexBytes `json:"pkRm"`
	Enc            hexBytes `json:"enc"`
	SharedSecret   hexBytes `json:"shared_secret"`
	ExporterSecret hexBytes `json:"exporter_secret"`
	Exports        []struct {
		Context hexBytes `json:"exporter_context"`
		Length  int      `json:"L"`
		Value   hexBytes `json:"exported_value"`
	} `json:"exports"`
}

func readVector(t *testing.T) (v vector) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "hpke", "mlkem768-x25519.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &v))
	require.Len(t, v.Exports, 5)
	return v
}

// xwing is the decapsulation of MLKEM768-X25519 (draft-connolly-cfrg-xwing-kem
// §5): the seed expands to a seed of ML-KEM and a scalar, and both shared
// secrets are hashed with what the classical one depends on.
func xwing(t *testing.T, seed, enc []byte) (shared, public []byte) {
	t.Helper()
	expanded := sha3.SumSHAKE256(seed, 96)
	pq, err := mlkem.NewDecapsulationKey768(expanded[:64])
	require.NoError(t, err)
	classical, err := ecdh.X25519().NewPrivateKey(expanded[64:])
	require.NoError(t, err)
	public = append(pq.EncapsulationKey().Bytes(), classical.PublicKey().Bytes()...)
	ssPQ, err := pq.Decapsulate(enc[:1088])
	require.NoError(t, err)
	ephemeral, err := ecdh.X25519().NewPublicKey(enc[1088:])
	require.NoError(t, err)
	ssX, err := classical.ECDH(ephemeral)
	require.NoError(t, err)
	h := sha3.New256()
	for _, part := range [][]byte{ssPQ, ssX, enc[1088:], classical.PublicKey().Bytes(), []byte(`\./` + `/^\`)} {
		h.Write(part)
	}
	return h.Sum(nil), public
}

// derivePrivate is DeriveKeyPair: a one-stage labelled derivation with SHAKE256.
func derivePrivate(ikm []byte) []byte {
	b := append(bytes.Clone(ikm), "HPKE-v1KEM\x64\x7a"...)
	b = binary.BigEndian.AppendUint16(b, uint16(len("DeriveKeyPair")))
	b = append(b, "DeriveKeyPair"...)
	return sha3.SumSHAKE256(binary.BigEndian.AppendUint16(b, 32), 32)
}

// schedule is the key schedule of RFC 9180 §5.1 in base mode, with HKDF-SHA256,
// as far as the exporter; export is §5.3.
func schedule(t *testing.T, aead uint16, shared, info []byte) (exporter []byte, export func(context []byte) []byte) {
	t.Helper()
	suite := binary.BigEndian.AppendUint16([]byte("HPKE\x64\x7a\x00\x01"), aead)
	extract := func(salt []byte, label string, ikm []byte) []byte {
		prk, err := hkdf.Extract(sha256.New, append(append(append([]byte("HPKE-v1"), suite...), label...), ikm...), salt)
		require.NoError(t, err)
		return prk
	}
	expand := func(prk []byte, label string, info []byte) []byte {
		out, err := hkdf.Expand(sha256.New, prk, "\x00\x20HPKE-v1"+string(suite)+label+string(info), 32)
		require.NoError(t, err)
		return out
	}
	context := append([]byte{0}, extract(nil, "psk_id_hash", nil)...)
	context = append(context, extract(nil, "info_hash", info)...)
	exporter = expand(extract(shared, "secret", nil), "exp", context)
	return exporter, func(context []byte) []byte { return expand(exporter, "sec", context) }
}

// S13: the published vector, by the standard library and by the composition
// written out here: key pair, shared secret, exporter secret and exports.
func TestPublishedVector(t *testing.T) {
	v := readVector(t)
	sk, err := hpke.MLKEM768X25519().DeriveKeyPair(v.IKM)
	require.NoError(t, err)
	private, err := sk.Bytes()
	require.NoError(t, err)
	require.True(t, bytes.Equal(v.Private, private))
	require.Equal(t, private, derivePrivate(v.IKM))
	require.True(t, bytes.Equal(v.Public, sk.PublicKey().Bytes()))

	shared, public := xwing(t, v.Private, v.Enc)
	require.True(t, bytes.Equal(v.SharedSecret, shared))
	require.True(t, bytes.Equal(v.Public, public))
	exporter, export := schedule(t, v.AEAD, shared, v.Info)
	require.True(t, bytes.Equal(v.ExporterSecret, exporter))
	r, err := hpke.NewRecipient(v.Enc, sk, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), v.Info)
	require.NoError(t, err)
	for _, e := range v.Exports {
		require.True(t, bytes.Equal(e.Value, export(e.Context)))
		got, err := r.Export(string(e.Context), e.Length)
		require.NoError(t, err)
		require.True(t, bytes.Equal(e.Value, got))
	}
}

// S13: our use, export only (0xffff), which has no published vector: the vector's
// encapsulation under our AEAD and label, frozen, and equal to the composition.
func TestExportOnly(t *testing.T) {
	v := readVector(t)
	sk, err := hpke.MLKEM768X25519().DeriveKeyPair(v.IKM)
	require.NoError(t, err)
	info := []byte("koinon/secagg/v1/bundle")
	r, err := hpke.NewRecipient(v.Enc, sk, hpke.HKDFSHA256(), hpke.ExportOnly(), info)
	require.NoError(t, err)
	got, err := r.Export(secagg.ExportLabel, 32)
	require.NoError(t, err)
	_, export := schedule(t, 0xffff, v.SharedSecret, info)
	require.Equal(t, got, export([]byte("koinon/secagg/v1/bundle/key")))
	require.Equal(t, "a626bf97fb29e44c2323df22a4e294083fa3ded47bf6b315a0855c1d140e49a7", hex.EncodeToString(got))
	_, err = r.Open(nil, make([]byte, 16))
	require.Error(t, err) // it encrypts nothing by itself
}

// S13, S15: what Seal makes, the composition opens; changed encapsulations give
// other keys or none, never the same (§19).
func TestSealAgainstComposition(t *testing.T) {
	seed := sha256.Sum256([]byte("recipient"))
	private := derivePrivate(seed[:])
	sk, err := hpke.MLKEM768X25519().NewPrivateKey(private)
	require.NoError(t, err)
	enc, key, err := Seal(sk.PublicKey().Bytes(), []byte("info"))
	require.NoError(t, err)
	open := func(enc []byte) []byte {
		shared, _ := xwing(t, private, enc)
		_, export := schedule(t, 0xffff, shared, []byte("info"))
		return export([]byte(secagg.ExportLabel))
	}
	require.Equal(t, key, open(enc))
	for _, at := range []int{0, 1, 543, 1087, 1088, 1100} {
		enc[at] ^= 1
		other := open(enc)
		require.NotEqual(t, key, other)
		r, err := hpke.NewRecipient(enc, sk, hpke.HKDFSHA256(), hpke.ExportOnly(), []byte("info"))
		require.NoError(t, err)
		same, err := r.Export(secagg.ExportLabel, 32)
		require.NoError(t, err)
		require.Equal(t, other, same)
		enc[at] ^= 1
	}
	low := append(bytes.Clone(enc[:1088]), make([]byte, 32)...) // an X25519 point of small order
	_, err = hpke.NewRecipient(low, sk, hpke.HKDFSHA256(), hpke.ExportOnly(), nil)
	require.Error(t, err)
	_, err = hpke.NewRecipient(enc[:1119], sk, hpke.HKDFSHA256(), hpke.ExportOnly(), nil)
	require.Error(t, err)
}
