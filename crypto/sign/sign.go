package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
)

// Sign signs every file below dir with an EC P-256 key and returns the bundle
// to be stored as dir/model.sig. An existing model.sig is not part of what is
// signed; symbolic links are refused.
func Sign(dir string, signer crypto.Signer) (bundle []byte, err error) {
	err = withRoot(dir, func(fsys fs.FS, name string) error {
		files, err := HashFS(fsys, nil)
		if err != nil {
			return err
		}
		bundle, err = signManifest(&Manifest{Model: name, Files: files}, signer)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", dir, err)
	}
	return bundle, nil
}

// SignFiles signs files held in memory as the model of the given name and
// returns the bundle. A file named model.sig is left out.
func SignFiles(model string, files map[string][]byte, signer crypto.Signer) ([]byte, error) {
	bundle, err := signManifest(&Manifest{Model: model, Files: HashFiles(files)}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", model, err)
	}
	return bundle, nil
}

// signManifest signs and then verifies its own result, so that a faulty key
// store cannot put out a bundle that nobody accepts.
func signManifest(m *Manifest, signer crypto.Signer) ([]byte, error) {
	pub, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, errors.New("the format needs an EC P-256 key")
	}
	// The reference implementation lists the bundle among the ignored paths;
	// nothing else is ever left out.
	m.Ignore = []string{SignatureName}
	payload, err := m.marshal()
	if err != nil {
		return nil, err
	}
	hint, err := KeyID(pub)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(pae(payload))
	sig, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	bundle, err := envelope{hint: hint, payload: payload, sig: sig}.marshal()
	if err != nil {
		return nil, err
	}
	back, err := Open(bundle, Policy{Keys: []*ecdsa.PublicKey{pub}})
	if err != nil {
		return nil, fmt.Errorf("the new signature does not verify: %w", err)
	}
	if again, err := back.marshal(); err != nil || !bytes.Equal(again, payload) {
		return nil, errors.New("the new signature does not read back")
	}
	return bundle, nil
}
