package sign

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// mediaType is the bundle version the format requires.
const mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// envelope is a bundle of the key method, taken apart.
type envelope struct {
	hint    string // lower-case hex SHA-256 of the PEM public key
	payload []byte
	sig     []byte
}

// The bundle as it is written, in the reference implementation's order.
type (
	bundleJSON struct {
		MediaType            string       `json:"mediaType"`
		VerificationMaterial materialJSON `json:"verificationMaterial"`
		Envelope             envelopeJSON `json:"dsseEnvelope"`
	}
	materialJSON struct {
		PublicKey struct {
			Hint string `json:"hint"`
		} `json:"publicKey"`
		TlogEntries []struct{} `json:"tlogEntries"`
	}
	envelopeJSON struct {
		Payload     []byte          `json:"payload"`
		PayloadType string          `json:"payloadType"`
		Signatures  []signatureJSON `json:"signatures"`
	}
	signatureJSON struct {
		Sig   []byte `json:"sig"`
		KeyID string `json:"keyid"`
	}
)

// marshal writes the envelope as a Sigstore bundle; equal envelopes give equal
// bytes.
func (e envelope) marshal() ([]byte, error) {
	var b bundleJSON
	b.MediaType = mediaType
	b.VerificationMaterial.PublicKey.Hint = e.hint
	b.VerificationMaterial.TlogEntries = []struct{}{}
	b.Envelope = envelopeJSON{Payload: e.payload, PayloadType: payloadType, Signatures: []signatureJSON{{Sig: e.sig}}}
	out, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	return out, nil
}

// pae is the text a DSSE signature covers: "DSSEv1", then length and value of
// the payload's type and of the payload.
func pae(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// parseBundle takes a bundle of the key method apart. Nothing in it is
// trusted yet.
func parseBundle(data []byte) (envelope, error) {
	if len(data) > MaxBundle {
		return envelope{}, fmt.Errorf("has %d bytes, limit %d", len(data), MaxBundle)
	}
	o, err := parseObject(data)
	if err != nil {
		return envelope{}, err
	}
	if t, _ := o.text("mediaType"); t != mediaType {
		return envelope{}, fmt.Errorf("has the media type %q, want %q", t, mediaType)
	}
	if err := o.only("mediaType", "verificationMaterial", "dsseEnvelope"); err != nil {
		return envelope{}, err
	}
	material, err := o.object("verificationMaterial")
	if err != nil {
		return envelope{}, err
	}
	hint, err := parseMaterial(material)
	if err != nil {
		return envelope{}, err
	}
	dsse, err := o.object("dsseEnvelope")
	if err != nil {
		return envelope{}, err
	}
	e := envelope{hint: hint}
	if e.payload, e.sig, err = parseEnvelope(dsse); err != nil {
		return envelope{}, fmt.Errorf("envelope %w", err)
	}
	return e, nil
}

func parseMaterial(m object) (string, error) {
	for key, what := range map[string]string{"certificate": "a Sigstore identity", "x509CertificateChain": "a certificate"} {
		if _, ok := m[key]; ok {
			return "", fmt.Errorf("is signed with %s; the policy trusts keys only", what)
		}
	}
	if err := m.only("publicKey", "tlogEntries", "timestampVerificationData"); err != nil {
		return "", err
	}
	// Proofs that nothing here checks are refused rather than passed over.
	for _, key := range []string{"tlogEntries", "timestampVerificationData"} {
		if !m.absent(key) {
			return "", fmt.Errorf("carries %s, which a policy of keys does not check", key)
		}
	}
	key, err := m.object("publicKey")
	if err != nil {
		return "", err
	}
	if err := key.only("hint", "rawBytes", "keyDetails"); err != nil {
		return "", fmt.Errorf("public key %w", err)
	}
	if hint, _ := key.text("hint"); hint != "" {
		return hint, nil
	}
	// Before version 1.1 the reference implementation wrote the PEM text
	// itself; its digest is the hint.
	raw, _ := key.text("rawBytes")
	pem, err := decode64(raw)
	if err != nil || len(pem) == 0 {
		return "", errors.New("names no public key")
	}
	return digestHex(pem), nil
}

func parseEnvelope(o object) (payload, sig []byte, err error) {
	if err := o.only("payload", "payloadType", "signatures"); err != nil {
		return nil, nil, err
	}
	if t, _ := o.text("payloadType"); t != payloadType {
		return nil, nil, fmt.Errorf("has the payload type %q, want %q", t, payloadType)
	}
	text, err := o.text("payload")
	if err != nil {
		return nil, nil, err
	}
	if payload, err = decode64(text); err != nil {
		return nil, nil, fmt.Errorf("payload: %w", err)
	}
	list, err := o.list("signatures")
	if err != nil || len(list) != 1 {
		return nil, nil, errors.New("needs exactly one signature")
	}
	s, ok := list[0].(object)
	if !ok {
		return nil, nil, errors.New("signature is not an object")
	}
	if err := s.only("sig", "keyid"); err != nil {
		return nil, nil, fmt.Errorf("signature %w", err)
	}
	if text, err = s.text("sig"); err != nil {
		return nil, nil, fmt.Errorf("signature %w", err)
	}
	if sig, err = decode64(text); err != nil || len(sig) == 0 {
		return nil, nil, errors.New("signature is not base64")
	}
	return payload, sig, nil
}

// decode64 accepts standard base64 with padding and nothing else, in its one
// canonical spelling.
func decode64(text string) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	if !bytes.Equal([]byte(base64.StdEncoding.EncodeToString(raw)), []byte(text)) {
		return nil, errors.New("not canonical base64")
	}
	return raw, nil
}
