package federation

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Limits of what a roster or a plan may hold.
const (
	MaxMembers     = 255     // indexes are one byte and zero is the coordinator (S2)
	MaxRosterBytes = 1 << 18 // 256 KiB
	MaxPlanBytes   = 1 << 20 // 1 MiB
)

// ErrMalformed is wrapped by every decoder of this package when bytes are not the canonical encoding of what
// they claim to be.
var ErrMalformed = errors.New("malformed")

// Key is an Ed25519 public key; its text form is standard base64.
type Key ed25519.PublicKey

// MarshalText implements encoding.TextMarshaler.
func (k Key) MarshalText() ([]byte, error) {
	return []byte(base64.StdEncoding.EncodeToString(k)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Key) UnmarshalText(b []byte) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(string(b))
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return fmt.Errorf("identity key: want %d bytes in base64", ed25519.PublicKeySize)
	}
	*k = raw
	return nil
}

// Member is one Member State in the federation. Index is its number for life (S2): given once at invitation and
// never given again, also after the member has left.
type Member struct {
	Name      string `json:"name"`
	Index     uint8  `json:"index"`
	Key       Key    `json:"key"`
	Suspended bool   `json:"suspended,omitempty"`
}

// Roster is the list of members and their identity keys (S10). Version grows by one with each change; a node uses
// the version that its operator accepted.
type Roster struct {
	Federation  string   `json:"federation"`
	ID          Digest   `json:"id"`
	Version     uint32   `json:"version"`
	Coordinator Key      `json:"coordinator"`
	Members     []Member `json:"members"`
}

// SignedRoster is a roster's canonical body with the coordinator's signature over it.
type SignedRoster struct {
	Body      []byte
	Signature []byte
}

var memberName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$`)

// ValidName reports whether s can name a member, a federation, an admin or a release: 1 to 32 ASCII letters,
// digits, dots, dashes and underscores, beginning with a letter or digit. It is safe in a URI and in a path.
func ValidName(s string) bool { return memberName.MatchString(s) }

// FederationID names a federation for life: its name and the fingerprint of its first certificate authority.
func FederationID(name string, caFingerprint [32]byte) Digest {
	return Hash("koinon/federation/v1", []byte(name), caFingerprint[:])
}

// Validate checks names, indexes and keys; all must be pairwise distinct (S10), the coordinator's key included.
func (r *Roster) Validate() error {
	if !ValidName(r.Federation) {
		return fmt.Errorf("roster: federation name %.40q is not valid", r.Federation)
	}
	if len(r.Members) > MaxMembers {
		return fmt.Errorf("roster: %d members, at most %d", len(r.Members), MaxMembers)
	}
	for i, m := range r.Members {
		if !ValidName(m.Name) {
			return fmt.Errorf("roster: member name %.40q is not valid", m.Name)
		}
		if i > 0 && m.Index <= r.Members[i-1].Index {
			return fmt.Errorf("roster: member %s: indexes must ascend", m.Name)
		}
		for _, other := range r.Members[:i] {
			if other.Name == m.Name {
				return fmt.Errorf("roster: member %s is listed twice", m.Name)
			}
		}
	}
	sr := r.SecAgg()
	return sr.Validate()
}

// SecAgg returns the roster as the round protocol uses it.
func (r *Roster) SecAgg() secagg.Roster {
	out := secagg.Roster{Coordinator: ed25519.PublicKey(r.Coordinator)}
	for _, m := range r.Members {
		out.Members = append(out.Members, secagg.Member{Name: m.Name, Index: m.Index, Key: ed25519.PublicKey(m.Key)})
	}
	return out
}

// Member returns the member of that name.
func (r *Roster) Member(name string) (Member, bool) {
	i := slices.IndexFunc(r.Members, func(m Member) bool { return m.Name == name })
	if i < 0 {
		return Member{}, false
	}
	return r.Members[i], true
}

// Name returns the name of the member with that index, or "#n" when the roster has none.
func (r *Roster) Name(index uint8) string {
	i := slices.IndexFunc(r.Members, func(m Member) bool { return m.Index == index })
	if i < 0 {
		return fmt.Sprintf("#%d", index)
	}
	return r.Members[i].Name
}

// Names returns the names of the members of a set, in ascending order of their index.
func (r *Roster) Names(set secagg.Set) []string {
	var names []string
	for _, index := range set.Members() {
		names = append(names, r.Name(index))
	}
	return names
}

// Encode returns the canonical bytes of a valid roster.
func (r *Roster) Encode() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// DecodeRoster reads canonical bytes; ErrMalformed when they are anything else.
func DecodeRoster(b []byte) (*Roster, error) {
	var r Roster
	if err := decodeCanonical(b, MaxRosterBytes, &r); err != nil {
		return nil, fmt.Errorf("roster: %w", err)
	}
	return &r, r.Validate()
}

// Digest names the roster; it is the `roster` of a round's spec.
func (r *Roster) Digest() Digest {
	b, _ := json.Marshal(r) // a struct of strings and numbers: cannot fail
	return Hash("koinon/roster/v1", b)
}

// rosterMessage is what the coordinator signs.
func rosterMessage(body []byte) []byte {
	d := Hash("koinon/roster/signature/v1", body)
	return d[:]
}

// SignRoster encodes and signs a roster with the coordinator's identity key.
func SignRoster(r *Roster, sign secagg.Signer) (SignedRoster, error) {
	body, err := r.Encode()
	if err != nil {
		return SignedRoster{}, err
	}
	signature, err := sign(rosterMessage(body))
	return SignedRoster{Body: body, Signature: signature}, err
}

// Open decodes a signed roster and checks its signature. With a pinned coordinator key the roster must carry that
// very key; without one (first contact, over a connection pinned by the invite) the roster's own key is used.
func (s SignedRoster) Open(pinned ed25519.PublicKey) (*Roster, error) {
	r, err := DecodeRoster(s.Body)
	if err != nil {
		return nil, err
	}
	if pinned != nil && !pinned.Equal(ed25519.PublicKey(r.Coordinator)) {
		return nil, errors.New("roster: coordinator key is not the pinned one")
	}
	if !ed25519.Verify(ed25519.PublicKey(r.Coordinator), rosterMessage(s.Body), s.Signature) {
		return nil, errors.New("roster: signature does not verify")
	}
	return r, nil
}

// Change is one difference between two rosters, in words for the operator who accepts it.
type Change struct {
	Member string `json:"member"`
	What   string `json:"what"`
}

// Changes lists what the newer roster does to the older one. An operator reads it before accepting.
func Changes(older, newer *Roster) []Change {
	var out []Change
	if !bytes.Equal(older.Coordinator, newer.Coordinator) {
		out = append(out, Change{"coordinator", "identity key changed"})
	}
	for _, m := range newer.Members {
		was, ok := older.Member(m.Name)
		switch {
		case !ok:
			out = append(out, Change{m.Name, "joined"})
		case !bytes.Equal(was.Key, m.Key):
			out = append(out, Change{m.Name, "identity key changed"})
		case was.Suspended != m.Suspended && m.Suspended:
			out = append(out, Change{m.Name, "suspended"})
		case was.Suspended != m.Suspended:
			out = append(out, Change{m.Name, "resumed"})
		}
	}
	for _, m := range older.Members {
		if _, ok := newer.Member(m.Name); !ok {
			out = append(out, Change{m.Name, "left"})
		}
	}
	return out
}

// decodeCanonical reads one JSON value strictly into v: within the limit, no unknown field, nothing after it, and
// equal to its own re-encoding.
func decodeCanonical(b []byte, limit int, v any) error {
	if len(b) > limit {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(b), limit)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	again, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("%w: not the canonical encoding", ErrMalformed)
	}
	return nil
}
