package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/koinon-eu/koinon/crypto/sign"
)

// The files of a release.
const (
	ArtifactFile   = "model.koinon"
	EncoderFile    = "encoder.json"
	CardFile       = "card.json"
	CardTextFile   = "card.md"
	ReportFile     = "report.json"
	ReportTextFile = "report.md"
	ReportPageFile = "report.html"
	StatementFile  = "statement.json"
	ApprovalsFile  = "approvals.json"
	SignatureFile  = sign.SignatureName
)

// Content are the files every release must have besides statement, approvals
// and signature. A release may have more.
var Content = []string{
	ArtifactFile, EncoderFile, CardFile, CardTextFile, ReportFile, ReportTextFile, ReportPageFile,
}

// Limits of a release in bytes.
const (
	MaxStatement = 8 << 20
	MaxApprovals = 1 << 20
	MaxRelease   = 1 << 30 // all files together
	maxFiles     = 256
	maxText      = 4096
	maxList      = 100_000
)

// Files are the files of a release by name.
type Files map[string][]byte

// Digest is a SHA-256 value. Its text form is 64 lower-case hex digits.
type Digest [sha256.Size]byte

// String returns the 64 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(d) {
		return fmt.Errorf("digest %.80q: want 64 hexadecimal digits", text)
	}
	*d = Digest(raw)
	return nil
}

// ValidName tells whether name can name a release or one of its files: 1 to 100
// letters, digits, '.', '_' and '-' of ASCII, beginning and ending with a letter or
// digit. So it is one path element on every system and needs no escaping in a
// URL.
func ValidName(name string) bool {
	if len(name) == 0 || len(name) > 100 {
		return false
	}
	for i, r := range []byte(name) {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		inner := i > 0 && i < len(name)-1 && (r == '.' || r == '_' || r == '-')
		if !alnum && !inner {
			return false
		}
	}
	return !strings.Contains(name, "..")
}

// checkText refuses text that is empty, over-long, not UTF-8, not printable or
// has white space at an end.
func checkText(what, text string) error {
	switch {
	case text == "":
		return fmt.Errorf("%s is empty", what)
	case len(text) > maxText:
		return fmt.Errorf("%s has %d bytes, limit %d", what, len(text), maxText)
	case !utf8.ValidString(text) || strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%s %.60q is not plain text", what, text)
	}
	return nil
}

// checkTime accepts RFC 3339 in UTC and whole seconds, in its one spelling.
func checkTime(what, text string) error {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || FormatTime(t) != text {
		return fmt.Errorf("%s %.40q is not a time like 2026-01-31T12:00:00Z", what, text)
	}
	return nil
}

// FormatTime is how a release writes a time: RFC 3339, UTC, whole seconds.
func FormatTime(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
