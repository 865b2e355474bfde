package admin

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/koinon-eu/koinon/coordinator/federation"
	"github.com/koinon-eu/koinon/coordinator/journal"
	"github.com/koinon-eu/koinon/crypto/identity"
	"github.com/koinon-eu/koinon/crypto/secagg"
)

// Kinds of records of the federation itself.
const (
	KindInvited         = "member-invited"
	KindEnrolled        = "member-enrolled"
	KindSuspended       = "member-suspended"
	KindSubmitted       = "plan-submitted"
	KindApproval        = "plan-approval"
	KindReleaseDrawn    = "release-drawn"
	KindReleaseAnswered = "release-answered"
	KindReleaseWord     = "release-approval"
	KindReleaseSigned   = "release-published"
	KindRevoked         = "release-revoked"
)

// Errors that a caller branches on; each is wrapped with what it is about.
var (
	ErrUnknown   = errors.New("not known here")
	ErrExists    = errors.New("exists already")
	ErrSpent     = errors.New("invite is spent, expired or not for this member")
	ErrForbidden = errors.New("not allowed")
	ErrInvalid   = errors.New("not acceptable")
)

// sentence is an error whose words are whole without those of its kind.
type sentence struct{ words, kind error }

func (e *sentence) Error() string   { return e.words.Error() }
func (e *sentence) Unwrap() []error { return []error{e.words, e.kind} }

// Errorf is an error of a kind that callers branch on, such as ErrInvalid, in the words of format alone: they say what
// the kind would.
func Errorf(kind error, format string, args ...any) error {
	return &sentence{words: fmt.Errorf(format, args...), kind: kind}
}

// Person is an admin: a name as in the certificate, the role in which this person approves releases, and the public
// key that its approvals are signed with (EC P-256 or Ed25519; nil for an admin who approves nothing).
type Person struct {
	Name string
	Role string
	Key  crypto.PublicKey
}

// Config is what the book needs besides the journal.
type Config struct {
	Federation string
	ID         federation.Digest
	Key        federation.Key // coordinator's identity key
	Sign       secagg.Signer  // with that key
	Authority  identity.Authority
	Lifetime   time.Duration // of members' certificates; 0 is the default of package identity
	Address    string        // of the Federation service, host:port
	Enrolment  string        // of the Enrolment service, host:port; in invites
	People     []Person
	Now        func() time.Time
	CheckPlan  func(*federation.Plan) error // the driver's word on a plan to be submitted; nil: none
}

// Book is safe for concurrent use. Its zero value is not usable: see NewBook.
type Book struct {
	cfg     Config
	journal journal.Journal
	changed func()

	mu       sync.RWMutex
	members  []*Member // by index
	rosters  []roster  // by version − 1
	plans    map[federation.Digest]*Plan
	order    []federation.Digest
	releases map[string]*Release
	names    []string // of releases, oldest first
}

type roster struct {
	signed federation.SignedRoster
	open   *federation.Roster
}

// NewBook returns an empty book over a journal. The driver replays the journal into it with Fold before anything
// else is called. changed is called after each change, and must not block.
func NewBook(cfg Config, j journal.Journal, changed func()) *Book {
	if changed == nil {
		changed = func() {}
	}
	return &Book{
		cfg: cfg, journal: j, changed: changed,
		plans: map[federation.Digest]*Plan{}, releases: map[string]*Release{},
	}
}

// Fold applies a record of the journal. Records of other kinds are ignored.
func (b *Book) Fold(r journal.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fold(r.Kind, r.Time, r.Body)
}

func (b *Book) fold(kind string, when int64, body []byte) error {
	var err error
	switch kind {
	case KindInvited:
		err = decodeInto(body, func(v invited) error { return b.foldInvited(v) })
	case KindEnrolled:
		err = decodeInto(body, func(v enrolled) error { return b.foldEnrolled(v) })
	case KindSuspended:
		err = decodeInto(body, func(v suspended) error { return b.foldSuspended(v) })
	case KindSubmitted:
		err = decodeInto(body, func(v submitted) error { return b.foldSubmitted(v, when) })
	case KindApproval:
		err = decodeInto(body, func(v approval) error { return b.foldApproval(v, when) })
	case KindReleaseDrawn:
		err = decodeInto(body, func(v Drawn) error { return b.foldDrawn(v, when) })
	case KindReleaseAnswered:
		err = decodeInto(body, b.foldRedrawn)
	case KindReleaseWord:
		err = decodeInto(body, func(v releaseWord) error { return b.foldWord(v, when) })
	case KindReleaseSigned:
		err = decodeInto(body, func(v signed) error { return b.foldSigned(v, when) })
	case KindRevoked:
		err = decodeInto(body, func(v revoked) error { return b.foldRevoked(v, when) })
	}
	if err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return nil
}

// append journals a fact and folds it; the caller holds the lock.
func (b *Book) append(ctx context.Context, kind string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	now := b.cfg.Now().Unix()
	if _, err := b.journal.Append(ctx, journal.Entry{Time: now, Kind: kind, Body: body}); err != nil {
		return err
	}
	if err := b.fold(kind, now, body); err != nil {
		return err
	}
	b.changed()
	return nil
}

// decodeInto reads a body strictly and applies it.
func decodeInto[T any](body []byte, apply func(T) error) error {
	var v T
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return err
	}
	return apply(v)
}

// Federation returns the federation's name and digest.
func (b *Book) Federation() (string, federation.Digest) { return b.cfg.Federation, b.cfg.ID }

// Person returns the admin of that name.
func (b *Book) Person(name string) (Person, error) {
	i := slices.IndexFunc(b.cfg.People, func(p Person) bool { return p.Name == name })
	if i < 0 {
		return Person{}, fmt.Errorf("admin %.40q: %w", name, ErrUnknown)
	}
	return b.cfg.People[i], nil
}
