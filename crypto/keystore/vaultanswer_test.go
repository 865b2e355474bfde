package keystore

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// Answers that no Vault gives, but that something in its place could.

func TestTransitKeyRefuses(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"empty":          {`{}`, "no latest_version"},
		"text version":   {`{"latest_version":"1"}`, "no latest_version"},
		"version 0":      {`{"latest_version":0}`, `latest_version "0"`},
		"huge version":   {`{"latest_version":99999999999999999999}`, "latest_version"},
		"no keys":        {`{"latest_version":1}`, "no version 1"},
		"key is a time":  {`{"latest_version":1,"keys":{"1":1700000000}}`, "no public part"},
		"no PEM":         {`{"latest_version":1,"type":"ecdsa-p256","keys":{"1":{"public_key":"x"}}}`, "not PEM"},
		"bad PEM":        {`{"latest_version":1,"type":"ecdsa-p256","keys":{"1":{"public_key":"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}}}`, "public key"},
		"short Ed25519":  {`{"latest_version":1,"type":"ed25519","keys":{"1":{"public_key":"AAAA"}}}`, "not 32 bytes"},
		"unknown type":   {`{"latest_version":1,"type":"x","keys":{"1":{"public_key":"AAAA"}}}`, `type "x"`},
		"no type at all": {`{"latest_version":1,"keys":{"1":{"public_key":"AAAA"}}}`, "want ecdsa-p256 or ed25519"},
	} {
		t.Run(name, func(t *testing.T) {
			dec := json.NewDecoder(strings.NewReader(c.answer))
			dec.UseNumber() // as Vault's client does
			var data map[string]any
			require.NoError(t, dec.Decode(&data))
			_, _, err := parseTransitKey(data, 0)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestTransitSignatureRefuses(t *testing.T) {
	_, err := parseTransitSignature(nil)
	require.Error(t, err)
	for _, text := range []any{nil, 1, "", "vault:v1", "vault:v1:", "vault:v1:*", "vault:v1:AAAA:AAAA", "other:v1:AAAA"} {
		_, err := parseTransitSignature(&api.Secret{Data: map[string]any{"signature": text}})
		require.Error(t, err, "%v", text)
	}
	sig, err := parseTransitSignature(&api.Secret{Data: map[string]any{"signature": "vault:v12:AQI="}})
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2}, sig)
}

func TestOneLine(t *testing.T) {
	require.Equal(t, "no such thing", oneLine("1 error occurred:\n\t* no such thing\n\n"))
	require.Len(t, oneLine(strings.Repeat("é", 1000)), 300+len("…"))
}
