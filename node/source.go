package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/koinon-eu/koinon/crypto/keystore"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset"
	"github.com/koinon-eu/koinon/node/dataset/postgres"
)

// Data says in node.yaml where the national table is: the path of a file, or a section postgres.
type Data struct {
	File     string // CSV, CSV.gz or Parquet
	Postgres *Postgres
}

// None reports whether no table is named.
func (d Data) None() bool { return d.File == "" && d.Postgres == nil }

// Postgres is the national table in a PostgreSQL server. No password stands in it.
type Postgres struct {
	DSNFile   string        `yaml:"dsn_file"`  // file with the connection string; none: PGHOST and its like
	Password  string        `yaml:"password"`  // file:PATH or vault:MOUNT/PATH#FIELD; none: that of dsn_file, or .pgpass
	Table     string        `yaml:"table"`     // TABLE or SCHEMA.TABLE, as SQL names it
	Query     string        `yaml:"query"`     // or one SELECT
	Timeout   time.Duration `yaml:"timeout"`   // of the query, default 1h
	Plaintext bool          `yaml:"plaintext"` // accept a connection without TLS to another machine
}

// UnmarshalYAML implements yaml.Unmarshaler: a path, or a mapping with the one key postgres.
func (d *Data) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&d.File)
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 || n.Content[0].Value != "postgres" || n.Content[1].Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: data: want the path of a file, or a section postgres", n.Line)
	}
	section := n.Content[1]
	for i := 0; i < len(section.Content); i += 2 {
		switch key := section.Content[i]; key.Value {
		case "dsn_file", "password", "table", "query", "timeout", "plaintext":
		default: // never the value: it may be a password in a place of its own
			return fmt.Errorf("line %d: unknown key %s", key.Line, key.Value)
		}
	}
	d.Postgres = new(Postgres)
	return section.Decode(d.Postgres)
}

func (p *Postgres) validate() error {
	c := postgres.Config{Table: p.Table, Query: p.Query, Timeout: p.Timeout}
	if err := c.Validate(); err != nil {
		return fmt.Errorf("data.postgres: %w", err)
	}
	if p.Password != "" && !strings.HasPrefix(p.Password, "file:") && !strings.HasPrefix(p.Password, "vault:") {
		return fmt.Errorf("data.postgres.password: %w", keystore.ErrPasswordReference) // without what stands there
	}
	return nil
}

// SQL reads the files and secrets that a section postgres names.
func (d Dir) SQL(ctx context.Context, p *Postgres, vault keystore.Vault) (postgres.Config, error) {
	if err := p.validate(); err != nil {
		return postgres.Config{}, err
	}
	c := postgres.Config{Table: p.Table, Query: p.Query, Timeout: p.Timeout, Plaintext: p.Plaintext}
	if p.DSNFile != "" {
		text, err := keystore.ReadSecret(d.Abs(p.DSNFile)) // it may hold a password
		if err != nil {
			return c, fmt.Errorf("data.postgres.dsn_file: %w", err)
		}
		c.DSN = strings.TrimSpace(string(text))
	}
	if p.Password == "" {
		return c, nil
	}
	reference := p.Password
	if path, ok := strings.CutPrefix(reference, "file:"); ok && !filepath.IsAbs(path) {
		reference = "file:" + d.Abs(path)
	}
	var err error
	if c.Password, err = keystore.Password(ctx, reference, keystore.Options{Vault: vault}); err != nil {
		return c, fmt.Errorf("data.postgres.password: %w", err)
	}
	return c, nil
}

// CheckTable reads the national table of node.yaml under a schema and reports on it.
func (d Dir) CheckTable(ctx context.Context, f File, s *feature.Schema, o dataset.Options, denied ...string) (*dataset.Report, error) {
	if f.Data.Postgres == nil {
		return dataset.Check(d.Abs(f.Data.File), s, o, denied...)
	}
	c, err := d.SQL(ctx, f.Data.Postgres, f.Vault)
	if err != nil {
		return nil, err
	}
	return dataset.CheckSQL(ctx, c, s, o, denied...)
}

// OpenTable returns how the national table of node.yaml is read, read-only, under a schema, and named by its content.
func (d Dir) OpenTable(ctx context.Context, f File, log *slog.Logger) OpenTable {
	cache := d.TableCache(f, log)
	if cache == nil {
		d.defaultCache(log).Wipe()
	}
	return func(s *feature.Schema) (*feature.Table, [32]byte, error) {
		begun := time.Now()
		t, name, err := d.readTable(ctx, f, s, dataset.Options{Cache: cache})
		if err == nil && f.Data.Postgres != nil {
			log.Info("national table read from the server", "rows", t.Rows(), "seconds", int(time.Since(begun).Seconds()))
		}
		return t, name, err
	}
}

// readTable reads the national table of node.yaml and names it by its content.
func (d Dir) readTable(ctx context.Context, f File, s *feature.Schema, o dataset.Options) (*feature.Table, [32]byte, error) {
	switch {
	case f.Data.None():
		return nil, [32]byte{}, errors.New("node.yaml names no data")
	case f.Data.Postgres == nil:
		return dataset.OpenNamed(d.Abs(f.Data.File), s, o)
	}
	c, err := d.SQL(ctx, f.Data.Postgres, f.Vault)
	if err != nil {
		return nil, [32]byte{}, err
	}
	return dataset.OpenSQL(ctx, c, s, o)
}

// KeptTable returns how a table is found that was read from a server before and is still in the cache, or nil.
func (d Dir) KeptTable(f File, log *slog.Logger) func(*feature.Schema, [32]byte) *feature.Table {
	cache := d.TableCache(f, log)
	if cache == nil || f.Data.Postgres == nil {
		return nil
	}
	return func(s *feature.Schema, name [32]byte) *feature.Table { return cache.Kept(name, s) }
}

// SummaryOf returns what the last run under a schema of that name trained on, or nil if there is none.
func (d Dir) SummaryOf(s *feature.Schema) (*dataset.Summary, error) {
	var out dataset.Summary
	err := d.readJSON(summaryName(s), &out)
	if errors.Is(err, ErrUnknown) {
		return nil, nil
	}
	return &out, err
}

// summaryName goes by the schema's name: a new version is compared in the columns that it shares with the old one.
func summaryName(s *feature.Schema) string {
	return filepath.Join(driftName, fmt.Sprintf("%.16x.json", sha256.Sum256([]byte(s.Name))))
}

// compareRows logs what drifted since the last run and keeps the summary for the next one. A run that goes on has left
// its own.
func (d Dir) compareRows(run RunID, t *feature.Table, log *slog.Logger) {
	id := fmt.Sprintf("%x", run)
	last, err := d.SummaryOf(t.Schema())
	if err != nil {
		log.Warn("summary of the last run's rows not read", "err", err)
	}
	if last != nil && last.Run == id {
		return
	}
	if last != nil && err == nil {
		if columns := last.Compare(t).Acts(); len(columns) > 0 {
			log.Warn("the national table drifted since the last run; koinon-node data check says how", "columns", strings.Join(columns, " "))
		}
	}
	if err = os.MkdirAll(d.Path(driftName), 0o700); err == nil {
		err = d.writeJSON(summaryName(t.Schema()), dataset.Summarize(t, id, time.Now().UTC()), false)
	}
	if err != nil {
		log.Warn("summary of this run's rows not kept", "err", err)
	}
}
