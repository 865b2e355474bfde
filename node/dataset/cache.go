package dataset

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/koinon-eu/koinon/models/feature"
)

// Cache keeps tables as columns in files of a private folder, named by the
// content they were read from, the schema and the format. A table from it lies
// in the file and not in memory: the operating system reads the pages that are
// used. The files hold personal data; a file for other content than the last
// one asked for is deleted.
//
// A Cache serves one reader at a time.
type Cache struct {
	Dir string
	Max int64        // bytes of all files together; 0: DefaultMaxCache
	Log *slog.Logger // nil: none

	block int    // bytes collected in memory before they go to the disk; 0: blockBytes
	part  *spill // of the table that is being read
	last  *feature.Table
}

// DefaultMaxCache bounds a cache, 64 GiB.
const DefaultMaxCache = 64 << 30

// ErrCacheFull is returned for a table that does not fit into the cache.
var ErrCacheFull = errors.New("table does not fit into the cache")

const cacheEnding = ".columns"

// blockBytes is the default of Cache.block.
const blockBytes = 16 << 20

func (c *Cache) max() int64 {
	if c.Max > 0 {
		return c.Max
	}
	return DefaultMaxCache
}

func (c *Cache) log() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.New(slog.DiscardHandler)
}

func (c *Cache) path(content [32]byte, s *feature.Schema) string {
	digest := s.Digest()
	return filepath.Join(c.Dir, fmt.Sprintf("%x-%x%s", content[:16], digest[:16], cacheEnding))
}

// load returns the table of that content, or nil. Files of other content are
// deleted, and so is one that is damaged.
func (c *Cache) load(content [32]byte, s *feature.Schema) *feature.Table {
	for _, name := range c.files() {
		if !strings.HasPrefix(filepath.Base(name), fmt.Sprintf("%x-", content[:16])) {
			c.remove(name, "stale")
		}
	}
	path := c.path(content, s)
	t, err := readCache(path, key{content, s.Digest()}, s)
	switch {
	case err == nil:
		c.log().Info("national table taken from the cache", "rows", t.Rows())
		return t
	case !errors.Is(err, os.ErrNotExist):
		c.log().Warn("cached table refused, the source is read again", "err", err)
		c.remove(path, "damaged")
	}
	return nil
}

// files lists what a cache leaves on the disk: tables, and what a process that
// was killed was writing.
func (c *Cache) files() (all []string) {
	for _, pattern := range []string{"*" + cacheEnding, "reading-*", "writing-*", "encoded-*"} {
		names, _ := filepath.Glob(filepath.Join(c.Dir, pattern)) // the pattern is sound
		all = append(all, names...)
	}
	return all
}

// Wipe deletes every file of the cache. Tables that were taken from it stay
// whole.
func (c *Cache) Wipe() {
	for _, name := range c.files() {
		c.remove(name, "the cache is off")
	}
}

func (c *Cache) remove(path, why string) {
	if err := os.Remove(path); err != nil {
		c.log().Warn("cached table not deleted", "why", why, "err", err)
	}
}

// fill reads a source and puts its columns on the disk, block by block. What it
// returns, besides an error, is for keep and for a report.
func (c *Cache) fill(src feature.Source, s *feature.Schema, lim feature.Limits) (*feature.Table, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	width := 16 // bytes of a row: label, side, number and more
	for _, column := range s.Columns {
		if column.IsFeature() || column.Role == feature.RoleGroup {
			width += 4
		}
	}
	if c.block == 0 {
		c.block = blockBytes
	}
	c.part = &spill{dir: c.Dir, max: c.max()}
	t, err := feature.ReadBlocks(src, s, lim, max(c.block/width, 1024), c.part.add)
	c.last = t
	return t, err
}

// keep makes the file of the table that fill has read and returns the table in
// it.
func (c *Cache) keep(content [32]byte, s *feature.Schema) (*feature.Table, error) {
	if err := c.part.add(c.last); err != nil {
		return nil, err
	}
	k := key{content, s.Digest()}
	path := c.path(content, s)
	if err := c.makeRoom(c.part.bytes, path); err != nil {
		return nil, err
	}
	if err := c.part.write(path, k, c.last.Columns()); err != nil {
		return nil, fmt.Errorf("cache: %w; make room, or switch the cache off", err)
	}
	t, err := readCache(path, k, s)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	c.log().Info("national table kept in the cache", "rows", t.Rows(), "bytes", c.part.bytes)
	return t, nil
}

// makeRoom deletes tables of other schemas until so many bytes more fit.
func (c *Cache) makeRoom(bytes int64, except string) error {
	names, err := filepath.Glob(filepath.Join(c.Dir, "*"+cacheEnding))
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || name == except {
			continue
		}
		if bytes += info.Size(); bytes > c.max() {
			bytes -= info.Size()
			c.remove(name, "no room")
		}
	}
	return nil
}

// drop gives back what fill has left.
func (c *Cache) drop() {
	if c.part != nil {
		c.part.close()
	}
	c.part, c.last = nil, nil
}
