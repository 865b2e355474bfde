package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

// invitePrefix begins the text of every invite, so that it is known at sight
// and found by secret scanners.
const invitePrefix = "koinon-invite-v1."

// maxInvite bounds the text of an invite, in bytes.
const maxInvite = 1024

// Secret is the one-time secret of an invite: 32 random bytes. It prints as
// [secret] wherever it is formatted or logged, and is compared by Matches.
type Secret struct {
	_     [0]func() // not comparable: == is not constant-time
	bytes [32]byte
}

// NewSecret draws a secret from random (crypto/rand.Reader in production).
func NewSecret(random io.Reader) (Secret, error) {
	var s Secret
	if _, err := io.ReadFull(random, s.bytes[:]); err != nil {
		return Secret{}, fmt.Errorf("draw invite secret: %w", err)
	}
	return s, nil
}

// SecretFrom is a secret that came over the wire; it must have 32 bytes.
func SecretFrom(b []byte) (Secret, error) {
	if len(b) != 32 {
		return Secret{}, fmt.Errorf("%w: secret of %d bytes, want 32", ErrInvite, len(b))
	}
	return Secret{bytes: [32]byte(b)}, nil
}

// Bytes reveals the secret, to be sent over TLS to a pinned coordinator.
func (s Secret) Bytes() []byte { return bytes.Clone(s.bytes[:]) }

// Hash is what the coordinator keeps instead of the secret. With 256 random
// bits behind it, a plain domain-separated SHA-256 cannot be searched.
func (s Secret) Hash() [32]byte {
	return sha256.Sum256(append([]byte("koinon/invite/secret/v1\x00"), s.bytes[:]...))
}

// Matches compares the secret with a stored hash in constant time.
func (s Secret) Matches(hash [32]byte) bool {
	got := s.Hash()
	return subtle.ConstantTimeCompare(got[:], hash[:]) == 1
}

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// Format hides the secret under every verb, also under %d.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides the secret from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalJSON hides the secret from records.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }

// Invite lets one member enrol, once and until it expires. The coordinator
// prints its Text for a person to carry to the node; it keeps only
// Secret.Hash.
type Invite struct {
	Federation string
	Member     string
	Server     string      // host:port of the coordinator
	Root       Fingerprint // of the authority, pinned before anything is sent
	Secret     Secret
	Expires    time.Time // whole seconds
}

// Check refuses an invite that Text could not carry.
func (i Invite) Check() error {
	if err := CheckFederation(i.Federation); err != nil {
		return err
	}
	if err := CheckName(i.Member); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(i.Server)
	if err != nil {
		return fmt.Errorf("server address %.260q: want host:port", i.Server)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("server address %.260q: port is not a number from 1 to 65535", i.Server)
	}
	if net.ParseIP(host) == nil && (len(host) > 240 || !hostPattern.MatchString(host)) {
		return fmt.Errorf("server address %.260q: host is neither a DNS name nor an IP address", i.Server)
	}
	if i.Expires.Unix() <= 0 || i.Expires.Nanosecond() != 0 {
		return errors.New("invite's expiry is not a whole second after 1970")
	}
	return nil
}

// Expired reports whether the invite has ended at now.
func (i Invite) Expired(now time.Time) bool { return !now.Before(i.Expires) }

// Text is the invite as one word: the prefix, then base64url without padding
// of the fields and a checksum that catches what copying loses.
func (i Invite) Text() (string, error) {
	if err := i.Check(); err != nil {
		return "", err
	}
	b := i.body()
	sum := sha256.Sum256(b)
	return invitePrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:4]...)), nil
}

// body is: federation, member, server, each behind its length in one byte;
// root; secret; expiry in Unix seconds, 8 bytes big-endian.
func (i Invite) body() []byte {
	var b []byte
	for _, s := range []string{i.Federation, i.Member, i.Server} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	b = append(b, i.Root[:]...)
	b = append(b, i.Secret.bytes[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(i.Expires.Unix()))
}

// ParseInvite reads what Text returned; white space around it is dropped, and
// nothing else is forgiven. Every error wraps ErrInvite. Expiry is left to
// Expired, because whoever reads it may only want to show it.
func ParseInvite(text string) (Invite, error) {
	i, err := parseInvite(strings.TrimSpace(text))
	if err != nil {
		return Invite{}, fmt.Errorf("%w: %w", ErrInvite, err)
	}
	return i, nil
}

func parseInvite(text string) (Invite, error) {
	if len(text) > maxInvite {
		return Invite{}, fmt.Errorf("longer than %d bytes", maxInvite)
	}
	word, ok := strings.CutPrefix(text, invitePrefix)
	if !ok {
		return Invite{}, fmt.Errorf("does not begin with %q", invitePrefix)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(word)
	if err != nil || strings.ContainsAny(word, "\r\n") {
		return Invite{}, errors.New("is not base64url")
	}
	if len(b) < 4 {
		return Invite{}, errors.New("is cut off")
	}
	b, sum := b[:len(b)-4], b[len(b)-4:]
	if want := sha256.Sum256(b); !bytes.Equal(want[:4], sum) {
		return Invite{}, errors.New("checksum does not match: a character was lost or changed")
	}
	var i Invite
	for _, field := range []*string{&i.Federation, &i.Member, &i.Server} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return Invite{}, errors.New("is cut off")
		}
		*field, b = string(b[1:1+b[0]]), b[1+b[0]:]
	}
	if len(b) != 32+32+8 {
		return Invite{}, errors.New("has the wrong length")
	}
	i.Root, i.Secret.bytes = Fingerprint(b[:32]), [32]byte(b[32:64])
	expires := binary.BigEndian.Uint64(b[64:])
	if expires > 1<<40 {
		return Invite{}, errors.New("expires too far ahead")
	}
	i.Expires = time.Unix(int64(expires), 0).UTC()
	return i, i.Check()
}
