package release

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/koinon-eu/koinon/crypto/sign"
)

// ErrStatement means that the statement does not describe the files it came
// with.
var ErrStatement = errors.New("statement does not describe the release")

// Policy says whom a verifier trusts.
type Policy struct {
	Keys      []*ecdsa.PublicKey // release keys; none trusts nobody
	Approvers []Approver         // empty: the release key's holder is trusted to have checked the approvers' keys
}

// Release is a verified release: only Open makes one.
type Release struct {
	Statement *Statement
	Digest    Digest // of the statement
	Approvals []Approval
	Key       string // id of the release key, see sign.KeyID
	Files     Files  // all files, as verified
}

// Seal completes a release: it adds approvals.json and model.sig to files,
// which hold Content and statement.json, and verifies the result against the
// signer's own key and the approvers. The signer is the release key, EC P-256.
func Seal(files Files, approvals []Approval, approvers []Approver, signer crypto.Signer) (*Release, error) {
	statement, err := ParseStatement(files[StatementFile])
	if err != nil {
		return nil, err
	}
	if err := checkContent(statement, files); err != nil {
		return nil, err
	}
	// Before the key is used, not after: an unapproved release never gets signed.
	if err := CheckApprovals(StatementDigest(files[StatementFile]), approvals, approvers); err != nil {
		return nil, err
	}
	sealed := maps.Clone(files)
	if sealed[ApprovalsFile], err = MarshalApprovals(approvals); err != nil {
		return nil, err
	}
	if sealed[SignatureFile], err = sign.SignFiles(statement.Name, sealed, signer); err != nil {
		return nil, err
	}
	key, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("release key is not EC")
	}
	return Open(sealed, Policy{Keys: []*ecdsa.PublicKey{key}, Approvers: approvers})
}

// Open verifies a whole release in memory: the signature by a trusted key over
// exactly these files, the statement's account of them, and the approvals.
// Errors wrap a sentinel of package sign, ErrStatement or ErrApprovals.
func Open(files Files, p Policy) (*Release, error) {
	manifest, err := sign.VerifyFiles(files, files[SignatureFile], sign.Policy{Keys: p.Keys})
	if err != nil {
		return nil, err
	}
	statement, err := ParseStatement(files[StatementFile])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	if manifest.Model != statement.Name {
		return nil, fmt.Errorf("%w: signed as %q, stated as %q", ErrStatement, manifest.Model, statement.Name)
	}
	if err := checkContent(statement, files); err != nil {
		return nil, err
	}
	r := &Release{Statement: statement, Digest: StatementDigest(files[StatementFile]), Key: manifest.KeyID, Files: maps.Clone(files)}
	if r.Approvals, err = ParseApprovals(files[ApprovalsFile]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrApprovals, err)
	}
	if err := CheckApprovals(r.Digest, r.Approvals, p.Approvers); err != nil {
		return nil, err
	}
	for _, a := range r.Approvals {
		if pub, err := a.PublicKey(); err == nil && sameKey(pub, p.Keys) {
			return nil, fmt.Errorf("%w: %s approved with the release key itself", ErrApprovals, a.Person)
		}
	}
	return r, nil
}

func sameKey(pub crypto.PublicKey, keys []*ecdsa.PublicKey) bool {
	ec, ok := pub.(*ecdsa.PublicKey)
	return ok && slices.ContainsFunc(keys, func(k *ecdsa.PublicKey) bool { return k.Equal(ec) })
}

// checkContent compares the statement's list with the files, both ways.
func checkContent(s *Statement, files Files) error {
	known := map[string]bool{StatementFile: true, ApprovalsFile: true, SignatureFile: true}
	for _, f := range s.Files {
		data, ok := files[f.Name]
		switch {
		case !ok:
			return fmt.Errorf("%w: file %s is missing", ErrStatement, f.Name)
		case int64(len(data)) != f.Size || sha256.Sum256(data) != f.SHA256:
			return fmt.Errorf("%w: file %s is not the one stated", ErrStatement, f.Name)
		}
		known[f.Name] = true
	}
	for name := range files {
		if !known[name] {
			return fmt.Errorf("%w: file %q is not stated", ErrStatement, name)
		}
	}
	return nil
}
