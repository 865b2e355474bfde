package release

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/koinon-eu/koinon/models/release/canonical"
)

// ErrApprovals means that a release lacks the consent of two people.
var ErrApprovals = errors.New("approvals are not sufficient")

// approvalTag separates approvals from everything else a key may sign.
const approvalTag = "koinon/release-approval/v1"

// Approval is one person's signature on a statement.
type Approval struct {
	Person    string `json:"person"`
	Role      string `json:"role"` // for example data-protection, model-owner
	Statement Digest `json:"statement"`
	Time      string `json:"time"` // RFC 3339, UTC, seconds; as the person's machine had it
	Key       []byte `json:"key"`  // SubjectPublicKeyInfo, DER
	Signature []byte `json:"signature"`
}

// Approve signs a statement's digest for a person in a role. The key is the
// person's own: EC P-256 or Ed25519.
func Approve(signer crypto.Signer, person, role string, statement Digest, at time.Time) (Approval, error) {
	key, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return Approval{}, fmt.Errorf("approval: %w", err)
	}
	a := Approval{Person: person, Role: role, Statement: statement, Time: FormatTime(at), Key: key}
	message := a.message()
	switch signer.Public().(type) {
	case ed25519.PublicKey:
		a.Signature, err = signer.Sign(rand.Reader, message, crypto.Hash(0))
	default:
		digest := sha256.Sum256(message)
		a.Signature, err = signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	if err != nil {
		return Approval{}, fmt.Errorf("approval: %w", err)
	}
	return a, a.Verify()
}

// message is tag, person, role, time and key, each with its length in four
// bytes, then the digest.
func (a Approval) message() []byte {
	var m []byte
	for _, part := range [][]byte{[]byte(approvalTag), []byte(a.Person), []byte(a.Role), []byte(a.Time), a.Key} {
		m = binary.BigEndian.AppendUint32(m, uint32(len(part)))
		m = append(m, part...)
	}
	return append(m, a.Statement[:]...)
}

// PublicKey returns the key the approval names.
func (a Approval) PublicKey() (crypto.PublicKey, error) {
	pub, err := x509.ParsePKIXPublicKey(a.Key)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", a.Person, err)
	}
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return k, nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return k, nil
		}
	}
	return nil, fmt.Errorf("key of %s is neither EC P-256 nor Ed25519", a.Person)
}

// Verify checks the approval's form and signature; whether the key belongs to
// the person is for CheckApprovals.
func (a Approval) Verify() error {
	if err := errors.Join(checkText("person", a.Person), checkText("role", a.Role), checkTime("time", a.Time)); err != nil {
		return fmt.Errorf("approval: %w", err)
	}
	pub, err := a.PublicKey()
	if err != nil {
		return fmt.Errorf("approval: %w", err)
	}
	message, valid := a.message(), false
	switch k := pub.(type) {
	case ed25519.PublicKey:
		valid = ed25519.Verify(k, message, a.Signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(message)
		valid = ecdsa.VerifyASN1(k, digest[:], a.Signature)
	}
	if !valid {
		return fmt.Errorf("approval: signature of %s (%s) does not verify", a.Person, a.Role)
	}
	return nil
}

// Approver is a person whose key is known.
type Approver struct {
	Person string
	Role   string
	Key    crypto.PublicKey // EC P-256 or Ed25519
}

// CheckApprovals wants, on this very statement, valid approvals of two
// different people in two different roles with two different keys. With
// approvers given, only approvals by one of them, in the listed role and with
// the listed key, count; without, anyone's do, and the caller trusts the
// release key's holder to have checked. One invalid approval spoils all.
func CheckApprovals(statement Digest, approvals []Approval, approvers []Approver) error {
	var counted []Approval
	for _, a := range approvals {
		if a.Statement != statement {
			return fmt.Errorf("%w: %s (%s) approved another statement", ErrApprovals, a.Person, a.Role)
		}
		if err := a.Verify(); err != nil {
			return fmt.Errorf("%w: %w", ErrApprovals, err)
		}
		if len(approvers) == 0 || slices.ContainsFunc(approvers, a.by) {
			counted = append(counted, a)
		}
	}
	for i, a := range counted {
		for _, b := range counted[:i] {
			if !strings.EqualFold(a.Person, b.Person) && !strings.EqualFold(a.Role, b.Role) && string(a.Key) != string(b.Key) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: two people in two roles with two keys are needed, found %d valid %s", ErrApprovals, len(counted), plural(len(counted)))
}

func plural(n int) string {
	if n == 1 {
		return "approval"
	}
	return "approvals"
}

func (a Approval) by(p Approver) bool {
	der, err := x509.MarshalPKIXPublicKey(p.Key)
	return err == nil && a.Person == p.Person && a.Role == p.Role && string(der) == string(a.Key)
}

// MarshalApprovals returns the canonical bytes of approvals.json, in the order
// of time, then person.
func MarshalApprovals(approvals []Approval) ([]byte, error) {
	list := slices.Clone(approvals)
	slices.SortFunc(list, func(a, b Approval) int {
		return cmp.Or(strings.Compare(a.Time, b.Time), strings.Compare(a.Person, b.Person), strings.Compare(a.Role, b.Role))
	})
	b, err := canonical.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	return b, nil
}

// ParseApprovals reads approvals.json: at most 64, canonical. Signatures are
// for CheckApprovals.
func ParseApprovals(data []byte) ([]Approval, error) {
	var list []Approval
	if err := canonical.Unmarshal(data, MaxApprovals, &list); err != nil {
		return nil, fmt.Errorf("approvals: %w", err)
	}
	if len(list) > 64 {
		return nil, fmt.Errorf("approvals: %d, limit 64", len(list))
	}
	return list, nil
}
