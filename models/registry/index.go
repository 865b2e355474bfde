package registry

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/koinon-eu/koinon/models/release"
	"github.com/koinon-eu/koinon/models/release/canonical"
)

// The names in a store.
const (
	IndexFile       = "index.json"
	ReleasesFolder  = "releases"
	RevocationsFile = "revocations.json"
)

// MaxIndex bounds index.json in bytes.
const MaxIndex = 8 << 20

const indexFormat = "koinon/store/v1"

// Index lists the releases of a store, newest first.
type Index struct {
	Format   string  `json:"format"`
	Releases []Entry `json:"releases"`
}

// Entry describes a release as its statement does. It is not signed: what it
// says is true only of a release that was pulled.
type Entry struct {
	Name      string         `json:"name"`
	Created   string         `json:"created"` // RFC 3339, UTC
	Purpose   string         `json:"purpose"`
	Plan      string         `json:"plan"` // name
	Statement release.Digest `json:"statement"`
	Size      int64          `json:"size"` // bytes of all files
	Revoked   *Revocation    `json:"revoked,omitempty"`
}

// Revocation says that a release must not be used any more.
type Revocation struct {
	Mode   string `json:"mode"` // suspend, withdraw or recall
	Reason string `json:"reason"`
	Time   string `json:"time"` // RFC 3339, UTC
}

// RevokedError means that a store gives a release out no more.
type RevokedError struct {
	Name string
	Revocation
}

// Error shows no control character of a reason, which comes from a server.
func (e *RevokedError) Error() string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, fmt.Sprintf("release %s is revoked (%s, %s): %s", e.Name, e.Mode, e.Time, e.Reason))
}

// maxRevocation bounds the answer to a request for a revoked release, in bytes.
const maxRevocation = 8 << 10

// revoked returns a *RevokedError if the index lists the release as revoked.
func (x *Index) revoked(name string) error {
	for _, e := range x.Releases {
		if e.Name == name && e.Revoked != nil {
			return &RevokedError{Name: name, Revocation: *e.Revoked}
		}
	}
	return nil
}

// parseIndex reads index.json.
func parseIndex(data []byte) (*Index, error) {
	var x Index
	if err := canonical.Unmarshal(data, MaxIndex, &x); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	if x.Format != indexFormat {
		return nil, fmt.Errorf("index: format %.40q, this version reads %s", x.Format, indexFormat)
	}
	for _, e := range x.Releases {
		if !release.ValidName(e.Name) {
			return nil, fmt.Errorf("index: release name %.100q is not valid", e.Name)
		}
	}
	return &x, nil
}

// with returns the index with an entry added or replaced. What was revoked
// stays so.
func (x *Index) with(e Entry) *Index {
	list := slices.DeleteFunc(slices.Clone(x.Releases), func(old Entry) bool {
		if old.Name != e.Name {
			return false
		}
		if e.Revoked == nil {
			e.Revoked = old.Revoked
		}
		return true
	})
	list = append(list, e)
	slices.SortFunc(list, func(a, b Entry) int {
		if c := strings.Compare(b.Created, a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return &Index{Format: indexFormat, Releases: list}
}

func entryOf(s *release.Statement, digest release.Digest, files release.Files) Entry {
	e := Entry{Name: s.Name, Created: s.Created, Purpose: s.Purpose, Plan: s.Plan.Name, Statement: digest}
	for _, data := range files {
		e.Size += int64(len(data))
	}
	return e
}
