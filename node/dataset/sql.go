package dataset

import (
	"context"
	"errors"
	"fmt"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset/postgres"
)

// OpenSQL reads a table of a PostgreSQL server under a schema and names its
// content: a digest over the rows as they were read, once. Every call reads the
// rows anew: what they are can only be known from them. A cache takes the
// columns off the memory, and Kept finds them again by their name.
func OpenSQL(ctx context.Context, c postgres.Config, s *feature.Schema, o Options) (*feature.Table, [32]byte, error) {
	if c.MaxBytes = o.MaxBytes; c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	t, digest, err := readSQL(ctx, c, s, o)
	if errors.Is(err, postgres.ErrTooLarge) {
		err = ErrTooLarge
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", nameSQL(c), err)
	}
	return t, digest, err
}

// nameSQL is what a report calls the table.
func nameSQL(c postgres.Config) string {
	if c.Table != "" {
		return "PostgreSQL table " + c.Table
	}
	return "PostgreSQL query"
}

func readSQL(ctx context.Context, c postgres.Config, s *feature.Schema, o Options) (t *feature.Table, digest [32]byte, err error) {
	r, err := postgres.Open(ctx, c, s)
	if err != nil {
		return nil, digest, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if o.Cache == nil || len(o.Keep) > 0 || o.Limits.Scoring {
		t, err = feature.Read(r, s, o.Limits, o.Keep...)
		return t, r.Digest(), r.Explain(err)
	}
	defer o.Cache.drop()
	if t, err = o.Cache.fill(r, s, o.Limits); err != nil {
		return t, digest, r.Explain(err)
	}
	digest = r.Digest()
	if kept := o.Cache.load(digest, s); kept != nil {
		return kept, digest, nil
	}
	t, err = o.Cache.keep(digest, s)
	return t, digest, err
}

// Kept returns the table of that content as it was read before, or nil if it is
// not in the cache.
func (c *Cache) Kept(content [32]byte, s *feature.Schema) *feature.Table {
	t, err := readCache(c.path(content, s), key{content, s.Digest()}, s)
	if err != nil {
		return nil
	}
	return t
}
