package sign

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Why a directory is refused.
var (
	ErrBundle    = errors.New("not a supported model signature")
	ErrKey       = errors.New("signed with a key that is not trusted")
	ErrSignature = errors.New("signature does not verify")
	ErrIgnored   = errors.New("signature leaves out files the policy needs")
	ErrFiles     = errors.New("files are not what was signed")
)

// Policy says what a signature must fulfil. The zero policy trusts no key and
// so refuses everything.
type Policy struct {
	// Keys are the release keys that are trusted.
	Keys []*ecdsa.PublicKey
	// Ignore are the paths, with all that is below them, that a signer may
	// leave out of the signature. The bundle itself is always left out.
	Ignore []string
}

// Open verifies the signature of a bundle and returns what it covers. The
// files themselves are not looked at: see Manifest.Check.
// Errors wrap ErrBundle, ErrKey, ErrSignature or ErrIgnored.
func Open(data []byte, p Policy) (*Manifest, error) {
	e, err := parseBundle(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", ErrBundle, SignatureName, err)
	}
	key, err := p.find(e.hint)
	if err != nil {
		return nil, err
	}
	if err := verifyEnvelope(e, key); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	m, err := parseManifest(e.payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	for _, ignored := range m.Ignore {
		if ignored != SignatureName && !slices.Contains(p.Ignore, ignored) {
			return nil, fmt.Errorf("%w: %q", ErrIgnored, ignored)
		}
	}
	m.KeyID = e.hint
	return m, nil
}

func (p Policy) find(hint string) (*ecdsa.PublicKey, error) {
	for _, key := range p.Keys {
		if id, err := KeyID(key); err == nil && id == hint {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%w: key %.64q", ErrKey, hint)
}

// verifyEnvelope lets sigstore-go check the DSSE signature under one key. It
// gets a bundle written anew from the parts that were parsed, so that both see
// the same payload.
func verifyEnvelope(e envelope, key *ecdsa.PublicKey) error {
	text, err := e.marshal()
	if err != nil {
		return err
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(text); err != nil {
		return err
	}
	hash := hashOf(key)
	if hash == 0 {
		return errors.New("key is on a curve the format does not know")
	}
	v, err := signature.LoadECDSAVerifier(key, hash)
	if err != nil {
		return err
	}
	trusted := root.NewTrustedPublicKeyMaterial(func(hint string) (root.TimeConstrainedVerifier, error) {
		if hint != e.hint {
			return nil, ErrKey
		}
		return root.NewExpiringKey(v, time.Time{}, time.Time{}), nil
	})
	verifier, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	if err != nil {
		return err
	}
	// The artifact is a directory: its files are compared by Manifest.Check.
	_, err = verifier.Verify(&b, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithKey()))
	return err
}

// Mismatch lists how files differ from a manifest. It wraps ErrFiles.
type Mismatch struct {
	Changed, Missing, Extra []string
}

// Error names the first files of each kind.
func (m *Mismatch) Error() string {
	var parts []string
	for _, p := range []struct {
		kind  string
		names []string
	}{{"changed", m.Changed}, {"missing", m.Missing}, {"not signed", m.Extra}} {
		if n := len(p.names); n > 5 {
			parts = append(parts, fmt.Sprintf("%s: %q and %d more", p.kind, p.names[:5], n-5))
		} else if n > 0 {
			parts = append(parts, fmt.Sprintf("%s: %q", p.kind, p.names))
		}
	}
	return ErrFiles.Error() + ": " + strings.Join(parts, "; ")
}

// Unwrap returns ErrFiles.
func (m *Mismatch) Unwrap() error { return ErrFiles }

// Check compares files with the manifest: every signed file must be there with
// its digest, and no other file. It returns a *Mismatch, or an error for names
// that are not safe.
func (m *Manifest) Check(files []File) error {
	if len(files) > 0 {
		if err := checkNames(files); err != nil {
			return fmt.Errorf("%w: %w", ErrFiles, err)
		}
	}
	want := make(map[string]File, len(m.Files))
	for _, f := range m.Files {
		want[f.Name] = f
	}
	var bad Mismatch
	for _, f := range files {
		signed, ok := want[f.Name]
		switch {
		case !ok:
			bad.Extra = append(bad.Extra, f.Name)
		case signed.Digest != f.Digest:
			bad.Changed = append(bad.Changed, f.Name)
		}
		delete(want, f.Name)
	}
	for name := range want {
		bad.Missing = append(bad.Missing, name)
	}
	if len(bad.Changed)+len(bad.Missing)+len(bad.Extra) == 0 {
		return nil
	}
	slices.Sort(bad.Missing)
	return &bad
}

// VerifyFiles verifies files held in memory against a bundle. A file named
// model.sig is taken for the bundle's own and skipped.
func VerifyFiles(files map[string][]byte, bundle []byte, p Policy) (*Manifest, error) {
	m, err := Open(bundle, p)
	if err != nil {
		return nil, err
	}
	if err := m.Check(HashFiles(files)); err != nil {
		return nil, err
	}
	return m, nil
}

// VerifyFS verifies every file below the root of fsys against a bundle. Paths
// that signer and policy both leave out are not read.
func VerifyFS(fsys fs.FS, bundle []byte, p Policy) (*Manifest, error) {
	m, err := Open(bundle, p)
	if err != nil {
		return nil, err
	}
	files, err := HashFS(fsys, m.Ignore)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFiles, err)
	}
	if err := m.Check(files); err != nil {
		return nil, err
	}
	return m, nil
}

// Verify is VerifyFS for a directory of the operating system.
func Verify(dir string, bundle []byte, p Policy) (m *Manifest, err error) {
	err = withRoot(dir, func(fsys fs.FS, _ string) error {
		m, err = VerifyFS(fsys, bundle, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", dir, err)
	}
	return m, nil
}
