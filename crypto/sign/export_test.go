package sign

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
)

// What tests need to make bundles that Sign never makes.
var (
	ParseManifest   = parseManifest
	MarshalManifest = (*Manifest).marshal
)

func SignPayload(signer crypto.Signer, payload []byte) ([]byte, error) {
	hint, err := KeyID(signer.Public())
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(pae(payload))
	sig, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return envelope{hint: hint, payload: payload, sig: sig}.marshal()
}

func SignIgnoring(signer crypto.Signer, model string, files []File, ignore []string) ([]byte, error) {
	payload, err := (&Manifest{Model: model, Files: files, Ignore: ignore}).marshal()
	if err != nil {
		return nil, err
	}
	return SignPayload(signer, payload)
}
