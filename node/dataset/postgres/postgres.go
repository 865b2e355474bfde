// Package postgres reads a national table from a PostgreSQL server: one query
// in one transaction that can only read, row by row, so that no more than a few
// rows are in memory. It sends the server nothing but that query.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/koinon-eu/koinon/models/feature"
)

// DefaultTimeout bounds the query, from its beginning to its last row.
const DefaultTimeout = time.Hour

const (
	connectTimeout = 15 * time.Second
	lockTimeout    = time.Minute
	maxRow         = 16 << 20 // bytes of a row
)

// Config says where the table is. Exactly one of Table and Query is set.
type Config struct {
	DSN       string        // connection string; empty: PGHOST and its like
	Password  string        // over that of the DSN; empty: that, or .pgpass
	Table     string        // a table or view, as SQL names it: cases, public.cases, "My Schema"."Cases"
	Query     string        // or one SELECT, whose rows are the table
	Timeout   time.Duration // 0: DefaultTimeout
	Plaintext bool          // accept a connection without TLS to another machine
	MaxBytes  int64         // of all values together; 0: no bound
}

// ErrTooLarge is returned for a table beyond Config.MaxBytes.
var ErrTooLarge = errors.New("table is larger than allowed")

// Validate checks everything but the connection string.
func (c *Config) Validate() error {
	switch {
	case (c.Table == "") == (c.Query == ""):
		return errors.New("want either a table or a query")
	case c.Timeout < 0:
		return errors.New("timeout must not be negative")
	case c.Query != "":
		_, err := oneStatement(c.Query)
		return err
	}
	_, err := quoteTable(c.Table)
	return err
}

// Reader is a feature.Source of one table. Close gives the connection back.
type Reader struct {
	ctx     context.Context
	cancel  context.CancelFunc
	conn    *pgconn.PgConn
	from    string // what stands behind FROM
	order   string // column that orders the rows, or empty
	max     int64
	secrets secrets
	columns []column // of the table, in order
	digest  [32]byte
}

// Open connects, begins the transaction and asks for the columns. With a
// schema that names a row (id), rows come in the order of that column;
// otherwise in the order in which the server keeps them.
//
// Errors of what an operator can mend are *Error. None of them holds a
// password or a value of a row.
func Open(ctx context.Context, c Config, s *feature.Schema) (*Reader, error) {
	if err := c.Validate(); err != nil {
		return nil, &Error{Text: err.Error()}
	}
	conf, err := c.connection()
	if err != nil {
		return nil, err
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	r := &Reader{max: c.MaxBytes, order: s.ID, secrets: secrets{c.DSN, c.Password, conf.Password}}
	// Should the server not keep to its own bound, this end gives up.
	r.ctx, r.cancel = context.WithTimeout(ctx, timeout+connectTimeout+lockTimeout)
	if r.conn, err = pgconn.ConnectConfig(r.ctx, conf); err != nil {
		r.cancel()
		return nil, r.fault(err)
	}
	if err := r.begin(c, timeout); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Reader) begin(c Config, timeout time.Duration) error {
	// Without an order of its own the answer comes as the table lies: not from
	// where another scan has got to, and not from several processes.
	begin := fmt.Sprintf(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %d; SET LOCAL client_encoding = 'UTF8';
SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL timezone = 'UTC'; SET LOCAL standard_conforming_strings = on;
SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0`,
		timeout.Milliseconds(), lockTimeout.Milliseconds())
	if _, err := r.conn.Exec(r.ctx, begin).ReadAll(); err != nil {
		return r.fault(err)
	}
	if c.Query != "" {
		query, _ := oneStatement(c.Query)      // Validate has read both
		r.from = "(" + query + "\n) AS source" // the line ends a comment that the query may end with
	} else {
		r.from, _ = quoteTable(c.Table)
	}
	about, err := r.conn.Prepare(r.ctx, "", "SELECT * FROM "+r.from, nil)
	if err != nil {
		return r.fault(err)
	}
	for _, f := range about.Fields {
		r.columns = append(r.columns, column{name: f.Name, oid: f.DataTypeOID})
	}
	return r.types()
}

// types looks up the types that only this server knows.
func (r *Reader) types() error {
	names := map[uint32]bool{}
	for _, c := range r.columns {
		if _, known := forms[c.oid]; !known {
			names[c.oid] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	list := "0"
	for oid := range names {
		list += "," + strconv.FormatUint(uint64(oid), 10)
	}
	results, err := r.conn.Exec(r.ctx, "SELECT oid, typtype, format_type(oid, NULL) FROM pg_catalog.pg_type WHERE oid IN ("+list+")").ReadAll()
	if err != nil {
		return r.fault(err)
	}
	for _, row := range results[0].Rows {
		for i := range r.columns {
			if c := &r.columns[i]; strconv.FormatUint(uint64(c.oid), 10) == string(row[0]) {
				c.listed, c.kind = string(row[1]) == "e", string(row[2])
			}
		}
	}
	return nil
}

// Digest names the rows that Rows has read, column by column in their order,
// with the names of the columns: a SHA-256. Before the end of Rows it is zero.
func (r *Reader) Digest() [32]byte { return r.digest }

// Close ends the transaction and the connection. A query that is still running
// is cancelled.
func (r *Reader) Close() error {
	defer r.cancel()
	if r.conn == nil {
		return nil
	}
	// What is still on its way is not waited for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), time.Second)
	defer cancel()
	if r.conn.IsBusy() {
		_ = r.conn.CancelRequest(ctx) // else it ends with its time
		r.cancel()
	}
	_ = r.conn.Close(ctx) // the transaction has changed nothing that could be lost
	r.conn = nil
	return nil
}
