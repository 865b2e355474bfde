package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset/postgres"
)

const casesSchema = `name: cases
id: id
label: {column: y, positive: "1", empty: skip}
split: {column: lodged, train_until: 2025-06-30}
columns:
  i2: {type: number}
  i4: {type: number}
  i8: {type: number}
  r4: {type: number}
  r8: {type: number, range: [-10, 10]}
  nu: {type: number}
  bo: {type: boolean}
  ca: {type: category, values: [ok, "no chip"]}
  ch: {type: category}
  en: {type: category}
  Weird "name": {type: number}
`

const casesTable = `
CREATE SCHEMA nat; CREATE TYPE mood AS ENUM ('low', 'high'); CREATE DOMAIN pct AS numeric CHECK (value <> 1000);
CREATE TABLE nat.cases (secret text, id uuid, i2 smallint, i4 int, i8 bigint, r4 real, r8 double precision, nu pct, bo boolean,
  ca varchar(20), ch char(6), en mood, "Weird ""name""" int, lodged date, at timestamptz, y int);
INSERT INTO nat.cases VALUES
 ('s','00000000-0000-0000-0000-000000000003', 3, -70000, 5000000000, 1.5, 2.25, 12.50, true, 'ok', 'ab', 'low', 1, '2025-01-31', '2025-02-01 00:30:00+02', 1),
 ('s','00000000-0000-0000-0000-000000000001', -3, 7, -1, 0.1, -0.1, -0.001, false, 'no chip', 'c', 'high', 2, '2025-06-30', '2025-06-30 23:30:00-02', 0),
 ('s','00000000-0000-0000-0000-000000000002', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2025-07-01', NULL, NULL),
 ('s','00000000-0000-0000-0000-000000000004', 0, 0, 0, 'NaN', 'NaN', 'NaN', true, '', '', 'low', 0, '2026-01-01', now(), 1);
CREATE ROLE reader LOGIN PASSWORD 'reader-pa55';
GRANT USAGE ON SCHEMA nat TO reader;
GRANT SELECT (id, i2, i4, i8, r4, r8, nu, bo, ca, ch, en, "Weird ""name""", lodged, at, y) ON nat.cases TO reader`

// casesCSV are the same rows in the order of id, in which the server gives them.
const casesCSV = `id,i2,i4,i8,r4,r8,nu,bo,ca,ch,en,"Weird ""name""",lodged,y
00000000-0000-0000-0000-000000000001,-3,7,-1,0.1,-0.1,-0.001,0,no chip,c,high,2,2025-06-30,0
00000000-0000-0000-0000-000000000002,,,,,,,,,,,,2025-07-01,
00000000-0000-0000-0000-000000000003,3,-70000,5000000000,1.5,2.25,12.50,1,ok,ab,low,1,2025-01-31,1
00000000-0000-0000-0000-000000000004,0,0,0,,,,true,,,low,0,2026-01-01,1
`

func schema(t *testing.T, text string) *feature.Schema {
	s, err := feature.ParseSchema([]byte(text))
	require.NoError(t, err)
	return s
}

// cases makes the table once; the role reader may read all of it but secret.
func cases(t *testing.T) *server {
	s := postgresql(t)
	if has, err := s.exec("SELECT to_regclass('nat.cases') IS NOT NULL"); err != nil || has != "t" {
		require.NoError(t, err)
		s.must(t, casesTable)
	}
	return s
}

// TestSQL: every type gives what the same rows give in a CSV file, from a table
// of which a column may not be read, and from a query.
func TestSQL(t *testing.T) {
	db, s := cases(t), schema(t, casesSchema)
	want, err := Open(file(t, "c.csv", []byte(casesCSV)), s)
	require.NoError(t, err)
	for name, c := range map[string]postgres.Config{
		"table":  {Table: "nat.cases"},
		"quoted": {Table: `"nat".cases`},
		"query":  {Query: "WITH x AS (SELECT *, ';' FROM nat.cases) SELECT id,i2,i4,i8,r4,r8,nu,bo,ca,ch,en,\"Weird \"\"name\"\"\",lodged,y FROM x; -- all"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.DSN = db.socket("reader"); name == "query" { // WITH asks for every column
				c.DSN = db.socket("admin")
			}
			got, digest, err := OpenSQL(t.Context(), c, s, Options{})
			require.NoError(t, err)
			require.NotZero(t, digest)
			require.Equal(t, want.Rows(), got.Rows())
			require.Equal(t, want.Label(), got.Label())
			for _, column := range s.Features() {
				if column.Type == feature.TypeNumber {
					require.Equal(t, fmt.Sprint(want.Number(column.Name)), fmt.Sprint(got.Number(column.Name)), column.Name)
					continue
				}
				a, x := want.Category(column.Name)
				b, y := got.Category(column.Name)
				require.Equal(t, [2]any{a, x}, [2]any{b, y}, column.Name)
			}
			for i := range want.Rows() {
				require.Equal(t, want.ID(i), got.ID(i))
			}
			require.Equal(t, want.Select(feature.SelectTest), got.Select(feature.SelectTest))
		})
	}
	// A timestamp is the day it falls on in UTC.
	got, _, err := OpenSQL(t.Context(), postgres.Config{DSN: db.socket("reader"), Query: "SELECT id, i2, at AS lodged, y FROM nat.cases WHERE i2 <> 0"},
		schema(t, "name: x\nid: id\nlabel: {column: y, positive: 1}\nsplit: {column: lodged, train_until: 2025-06-30}\ncolumns: {i2: {type: number}}\n"), Options{})
	require.NoError(t, err)
	first, last := got.Dates()
	require.Equal(t, [2]string{"2025-01-31", "2025-07-01"}, [2]string{first, last})
}

// TestSQLNamesRows: the name of a table follows its values, and neither where
// the rows lie nor when they were read; a cache holds them under it.
func TestSQLNamesRows(t *testing.T) {
	db := postgresql(t)
	db.must(t, "DROP TABLE IF EXISTS n; CREATE TABLE n AS SELECT g AS id, g * 0.5::float8 AS x, g % 2 AS y FROM generate_series(1, 3000) g")
	s := schema(t, "name: n\nid: id\nlabel: {column: y, positive: 1}\ncolumns: {x: {type: number}}\n")
	c := postgres.Config{DSN: db.socket("admin"), Table: "n"}
	cache := &Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	_, first, err := OpenSQL(t.Context(), c, s, Options{})
	require.NoError(t, err)
	db.must(t, "UPDATE n SET x = x WHERE id % 3 = 0; ALTER TABLE n ADD COLUMN z int") // moves rows
	cached, again, err := OpenSQL(t.Context(), c, s, Options{Cache: cache})
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, 3000, cached.Rows())
	kept := cache.Kept(first, s)
	require.NotNil(t, kept)
	require.Equal(t, cached.Number("x"), kept.Number("x"))

	db.must(t, "UPDATE n SET x = -1 WHERE id = 77")
	changed, other, err := OpenSQL(t.Context(), c, s, Options{Cache: cache})
	require.NoError(t, err)
	require.NotEqual(t, first, other)
	require.Equal(t, float32(-1), changed.Number("x")[76], "read anew, not from the cache")
	require.Nil(t, cache.Kept(first, s), "rows that nobody asks for are deleted")

	_, _, err = OpenSQL(t.Context(), c, s, Options{MaxBytes: 1000})
	require.ErrorIs(t, err, ErrTooLarge)
}

// TestSQLIsOneMoment: rows that come while the table is read are not in it.
func TestSQLIsOneMoment(t *testing.T) {
	db := postgresql(t)
	db.must(t, "DROP TABLE IF EXISTS m; CREATE TABLE m AS SELECT 1 AS x, 1 AS y")
	s := schema(t, "name: n\nlabel: {column: y, positive: 1}\ncolumns: {x: {type: number}}\n")
	r, err := postgres.Open(t.Context(), postgres.Config{DSN: db.socket("admin"), Table: "m"}, s)
	require.NoError(t, err)
	defer r.Close()
	db.must(t, "INSERT INTO m VALUES (2, 0)")
	got, err := feature.Read(r, s, feature.Limits{})
	require.NoError(t, err)
	require.Equal(t, 1, got.Rows())
}

// TestSQLErrors: what an operator meets is one line with a hint, and no
// password and no value is in it.
func TestSQLErrors(t *testing.T) {
	db := cases(t)
	db.must(t, "CREATE SEQUENCE IF NOT EXISTS seq; DROP TABLE IF EXISTS odd; CREATE TABLE odd AS SELECT point(1,2) AS \"Id\", 1 AS y, 'secret value' AS x")
	s := schema(t, casesSchema)
	small := schema(t, "name: n\nlabel: {column: y, positive: 1}\ncolumns: {id: {type: number}}\n")
	x := schema(t, "name: n\nlabel: {column: y, positive: 1}\ncolumns: {x: {type: number}}\n")
	reader := db.socket("reader")
	const password = "wr0ng-pa55 word%"
	for name, c := range map[string]struct {
		schema     *feature.Schema
		config     postgres.Config
		want, hint string
	}{
		"down":           {s, postgres.Config{DSN: "host=127.0.0.1 port=1 user=x", Table: "t"}, "127.0.0.1:1 is not reached: connect: connection refused", "check that it runs"},
		"wrong password": {s, postgres.Config{DSN: db.loopback("reader", ""), Password: password, Table: "t"}, `password authentication failed for user "reader"`, "pg_hba.conf"},
		"in a URL":       {s, postgres.Config{DSN: fmt.Sprintf("postgres://reader:wr0ng-pa55%%20word%%25@127.0.0.1:%d/postgres", db.port), Table: "t"}, "password authentication failed", ".pgpass"},
		"URL is broken":  {s, postgres.Config{DSN: "postgres://reader:wr0ng-pa55 word%@h:x/postgres", Table: "t"}, "the connection string", "special characters as %XX"},
		"no password":    {s, postgres.Config{DSN: db.loopback("reader", "passfile=/nowhere"), Table: "t"}, "password authentication failed", ".pgpass"},
		"database":       {s, postgres.Config{DSN: reader + " dbname=nowhere", Table: "t"}, `database "nowhere" does not exist`, "check dbname"},
		"plaintext":      {s, postgres.Config{DSN: "host=db.example.eu user=x sslmode=disable", Table: "t"}, "db.example.eu would not be encrypted", "sslmode=verify-full"},
		"prefer falls":   {s, postgres.Config{DSN: "host=127.0.0.1,db.example.eu port=1,1 user=x sslmode=disable", Table: "t"}, "db.example.eu would not be encrypted", "plaintext: true"},
		"certificate":    {s, postgres.Config{DSN: db.loopback("reader", "sslmode=verify-full sslrootcert="+db.dir+"/server.crt"), Password: password, Table: "t"}, "certificate does not hold", "sslrootcert"},
		"table":          {s, postgres.Config{DSN: reader, Table: "nat.case"}, `relation "nat.case" does not exist`, "SCHEMA.TABLE"},
		"schema":         {s, postgres.Config{DSN: reader, Table: "nta.cases"}, `relation "nta.cases" does not exist`, "SCHEMA.TABLE"},
		"no table":       {s, postgres.Config{DSN: reader, Table: "nat.cases; DROP TABLE x"}, "is not the name of a table", ""},
		"column":         {small, postgres.Config{DSN: reader, Query: "SELECT y, i2 AS i_d FROM nat.cases"}, "no column id", `did you mean "i_d" AS "id"`},
		"type":           {schema(t, "name: n\nlabel: {column: y, positive: 1}\ncolumns: {Id: {type: number}}\n"), postgres.Config{DSN: db.socket("admin"), Table: "odd"}, "column Id is of type point, which is not read", "cast the column"},
		"permission":     {small, postgres.Config{DSN: reader, Table: "odd"}, "no column id", ""},
		"denied":         {x, postgres.Config{DSN: reader, Table: "odd"}, "permission denied for table odd", "GRANT SELECT"},
		"two":            {x, postgres.Config{DSN: reader, Query: "SELECT 1 AS x, 1 AS y; DELETE FROM odd"}, "want one statement", ""},
		"closes":         {x, postgres.Config{DSN: reader, Query: "SELECT 1 AS x, 1 AS y) t; --"}, "closed that is not open", ""},
		"delete":         {x, postgres.Config{DSN: reader, Query: "DELETE FROM odd RETURNING x, y"}, "want a SELECT", ""},
		"hidden delete":  {x, postgres.Config{DSN: db.socket("admin"), Query: "WITH d AS (DELETE FROM odd RETURNING x, y) SELECT * FROM d"}, "must be at the top level", ""},
		"writes":         {x, postgres.Config{DSN: db.socket("admin"), Query: "SELECT nextval('seq') AS x, 1 AS y"}, "read-only transaction", "only what reads"},
		"syntax":         {x, postgres.Config{DSN: reader, Query: "SELECT FROM WHERE"}, "syntax error", "psql"},
		"value":          {x, postgres.Config{DSN: db.socket("admin"), Query: "SELECT x::int AS x, y FROM odd"}, "the query fails on a value (SQLSTATE 22P02)", "cast"},
		"timeout":        {x, postgres.Config{DSN: reader, Timeout: 100 * time.Millisecond, Query: "SELECT 1 AS x, 1 AS y FROM pg_sleep(20)"}, "statement timeout", "give it more time"},
		"no rows":        {x, postgres.Config{DSN: reader, Query: "SELECT 1 AS x, 1 AS y WHERE false"}, "no rows", ""},
		"neither":        {x, postgres.Config{DSN: reader}, "either a table or a query", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PGPASSFILE", filepath.Join(t.TempDir(), "none"))
			_, _, err := OpenSQL(t.Context(), c.config, c.schema, Options{})
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "secret value")
			require.NotContains(t, err.Error(), "wr0ng")
			if c.hint != "" {
				var e *postgres.Error
				require.True(t, errors.As(err, &e), "%v", err)
				require.Contains(t, e.Hint, c.hint)
				require.NotContains(t, e.Hint, "wr0ng")
			}
		})
	}
	left, err := db.exec("SELECT count(*) FROM odd")
	require.NoError(t, err)
	require.Equal(t, "1", left)
}

// TestSQLPasswords: a password from its own field and from .pgpass, over a
// connection that is encrypted and checked; the environment is not taken, nor a
// .pgpass that others may read.
func TestSQLPasswords(t *testing.T) {
	db, s := cases(t), schema(t, casesSchema)
	dsn := fmt.Sprintf("host=localhost port=%d user=reader dbname=postgres sslmode=verify-full sslrootcert=%s/server.crt", db.port, db.dir)
	pass := filepath.Join(t.TempDir(), "pgpass")
	t.Setenv("PGPASSFILE", pass)
	c := postgres.Config{DSN: dsn, Password: "reader-pa55", Table: "nat.cases"}
	_, _, err := OpenSQL(t.Context(), c, s, Options{})
	require.NoError(t, err)

	c.Password = ""
	require.NoError(t, os.WriteFile(pass, []byte("*:*:*:reader:reader-pa55\n"), 0o600))
	_, _, err = OpenSQL(t.Context(), c, s, Options{})
	require.NoError(t, err)
	require.NoError(t, os.Chmod(pass, 0o644))
	_, _, err = OpenSQL(t.Context(), c, s, Options{})
	require.ErrorContains(t, err, "others may read the password file")
	require.NoError(t, os.Chmod(pass, 0o600))
	t.Setenv("PGPASSWORD", "reader-pa55")
	_, _, err = OpenSQL(t.Context(), c, s, Options{})
	require.ErrorContains(t, err, "PGPASSWORD holds a password")
	require.NotContains(t, err.Error(), "pa55")
}

// BenchmarkSQL reads rows of 30 numbers; ns/op is of all rows, and the metric
// counts this process alone.
func BenchmarkSQL(b *testing.B) {
	bin := binaries()
	if bin == "" {
		b.Skip("PostgreSQL is not installed")
	}
	started.Do(func() { started.server, started.err = start(bin) })
	require.NoError(b, started.err)
	const rows = 200_000
	text, columns := "name: n\nlabel: {column: y, positive: 1}\ncolumns:\n", ""
	for i := range 30 {
		text += fmt.Sprintf("  x%d: {type: number}\n", i)
		columns += fmt.Sprintf("random()::float8 AS x%d, ", i)
	}
	s, err := feature.ParseSchema([]byte(text))
	require.NoError(b, err)
	_, err = started.exec(fmt.Sprintf("DROP TABLE IF EXISTS big; CREATE TABLE big AS SELECT %s g %% 2 AS y FROM generate_series(1, %d) g", columns, rows))
	require.NoError(b, err)
	begun := cpuSeconds()
	for b.Loop() {
		t, _, err := OpenSQL(b.Context(), postgres.Config{DSN: started.socket("admin"), Table: "big"}, s, Options{})
		require.NoError(b, err)
		require.Equal(b, rows, t.Rows())
	}
	b.ReportMetric(float64(rows*b.N)/(cpuSeconds()-begun), "rows/CPU-s")
}

// TestSQLEndsAtOnce: a reader that is told to stop, or has seen enough, leaves
// no query behind on the server.
func TestSQLEndsAtOnce(t *testing.T) {
	db := postgresql(t)
	s := schema(t, "name: n\nlabel: {column: y, positive: 1}\ncolumns: {x: {type: number, range: [0, 1]}}\n")
	idle := func() bool {
		n, err := db.exec("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'koinon-node'")
		return err == nil && n == "0"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	time.AfterFunc(100*time.Millisecond, cancel)
	begun := time.Now()
	_, _, err := OpenSQL(ctx, postgres.Config{DSN: db.socket("admin"), Query: "SELECT 1 AS x, 1 AS y FROM pg_sleep(60)"}, s, Options{})
	require.ErrorContains(t, err, "cancelled")
	require.Less(t, time.Since(begun), 20*time.Second)
	require.Eventually(t, idle, 20*time.Second, 10*time.Millisecond)

	var wrong *feature.DataError
	got, _, err := OpenSQL(t.Context(), postgres.Config{DSN: db.socket("admin"), Query: "SELECT 7 AS x, 1 AS y FROM (SELECT generate_series(1, 100000000)) many"}, s, Options{})
	require.ErrorAs(t, err, &wrong)
	require.True(t, wrong.Stopped)
	require.Less(t, got.Rows(), 10_000)
	require.Eventually(t, idle, 20*time.Second, 10*time.Millisecond)
}
