package federation

import (
	"crypto/ed25519"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Approval is one member's word on one plan, signed with its identity key. Without Approve it is a rejection,
// which also withdraws an approval given before.
type Approval struct {
	Federation Digest
	Plan       Digest
	Member     uint8
	Approve    bool
}

func (a Approval) message() []byte {
	verdict := byte(0)
	if a.Approve {
		verdict = 1
	}
	d := Hash("koinon/approval/v1", a.Federation[:], a.Plan[:], []byte{a.Member}, []byte{verdict})
	return d[:]
}

// Sign returns the member's signature over the approval.
func (a Approval) Sign(sign secagg.Signer) ([]byte, error) { return sign(a.message()) }

// Verify reports whether the signature is the member's.
func (a Approval) Verify(key Key, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(ed25519.PublicKey(key), a.message(), signature)
}

// EnrolmentProof is what a member signs with its identity key when it enrols: that this key and this certificate
// request belong together.
func EnrolmentProof(federation, member string, csr []byte) []byte {
	d := Hash("koinon/enrolment/v1", []byte(federation), []byte(member), csr)
	return d[:]
}
