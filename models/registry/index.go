package registry

import (
	"fmt"
	"slices"
	"strings"

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

// with returns the index with an entry added or replaced.
func (x *Index) with(e Entry) *Index {
	list := slices.DeleteFunc(slices.Clone(x.Releases), func(old Entry) bool { return old.Name == e.Name })
	list = append(list, e)
	slices.SortFunc(list, func(a, b Entry) int {
		if c := strings.Compare(b.Created, a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return &Index{Format: indexFormat, Releases: list}
}

func entryOf(r *release.Release) Entry {
	s := r.Statement
	e := Entry{Name: s.Name, Created: s.Created, Purpose: s.Purpose, Plan: s.Plan.Name, Statement: r.Digest}
	for _, data := range r.Files {
		e.Size += int64(len(data))
	}
	return e
}
