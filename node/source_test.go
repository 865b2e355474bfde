package node

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/node/dataset"
)

// TestDataInConfig reads both forms of data in node.yaml; what is wrong is
// named by its line, and a password in the wrong place is not repeated.
func TestDataInConfig(t *testing.T) {
	d := Dir(t.TempDir())
	load := func(data string) (File, error) {
		text := "federation: f\nmember: DE\ncoordinator: h:1\n" + data
		require.NoError(t, os.WriteFile(d.Path("node.yaml"), []byte(text), 0o600))
		return d.LoadFile()
	}
	f, err := load("data: table.csv\n")
	require.NoError(t, err)
	require.Equal(t, Data{File: "table.csv"}, f.Data)
	f, err = load("data:\n  postgres:\n    dsn_file: pg.dsn\n    password: vault:kv/koinon#db\n    table: nat.cases\n    timeout: 10m\n")
	require.NoError(t, err)
	require.Equal(t, &Postgres{DSNFile: "pg.dsn", Password: "vault:kv/koinon#db", Table: "nat.cases", Timeout: 10 * time.Minute}, f.Data.Postgres)
	for data, want := range map[string]string{
		"data: {postgres: {table: t, password: s3cret}}\n":             "data.postgres.password",
		"data:\n  postgres:\n    table: t\n    passwort: s3cret\n":     "line 7: unknown key passwort",
		"data: {postgres: {table: t, query: SELECT 1}}\n":              "either a table or a query",
		"data: {postgres: {}}\n":                                       "either a table or a query",
		"data: {mysql: {table: t}}\n":                                  "line 4: data: want the path of a file, or a section postgres",
		"data: {postgres: t}\n":                                        "want the path of a file",
		"data: {postgres: {query: DELETE FROM t}}\n":                   "want a SELECT",
		"data: {postgres: {table: t, timeout: soon}}\n":                "want a duration",
		"data: {postgres: {table: t, timeout: -1s}}\n":                 "negative",
		"data: {postgres: {table: a.b.c}}\n":                           "not the name of a table",
		"data: [table.csv]\n":                                          "want the path of a file",
		"data: {postgres: {table: t}, file: table.csv}\n":              "want the path of a file",
		"data: {postgres: {table: t, plaintext: perhaps}}\n":           "want true or false",
		"data: {postgres: {table: t, dsn: 'password=s3cret'}}\n":       "unknown key dsn",
		"data: {postgres: {table: t, password: 'file:', query: ''}}\n": "",
	} {
		_, err := load(data)
		if want == "" {
			require.NoError(t, err, "found out when it is read")
			continue
		}
		require.ErrorContains(t, err, want, data)
		require.NotContains(t, err.Error(), "s3cret", data)
	}
}

// TestSQLSecrets: files with secrets must be private, and what they hold is in
// no error.
func TestSQLSecrets(t *testing.T) {
	d := Dir(t.TempDir())
	require.NoError(t, os.WriteFile(d.Path("pg.dsn"), []byte("host=/tmp user=x\n"), 0o600))
	require.NoError(t, os.WriteFile(d.Path("pw"), []byte("s3cret\n"), 0o600))
	p := &Postgres{DSNFile: "pg.dsn", Password: "file:pw", Table: "t"}
	c, err := d.SQL(t.Context(), p, File{}.Vault)
	require.NoError(t, err)
	require.Equal(t, "host=/tmp user=x", c.DSN)
	require.Equal(t, "s3cret", c.Password)
	for _, name := range []string{"pw", "pg.dsn"} {
		require.NoError(t, os.Chmod(d.Path(name), 0o640))
		_, err = d.SQL(t.Context(), p, File{}.Vault)
		require.ErrorContains(t, err, "chmod 600")
		require.NotContains(t, err.Error(), "s3cret")
		require.NoError(t, os.Chmod(d.Path(name), 0o600))
	}
}

// TestLiveTables: rows of a server are read for each run, and a run that goes
// on takes those that it began with from where they are kept.
func TestLiveTables(t *testing.T) {
	s, err := feature.ParseSchema([]byte("name: n\nlabel: {column: y, positive: 1}\ncolumns: {x: {type: number}}\n"))
	require.NoError(t, err)
	table := new(feature.Table)
	reads := 0
	open := func(*feature.Schema) (*feature.Table, [32]byte, error) {
		reads++
		return table, [32]byte{byte(reads)}, nil
	}
	live := tables{open: open, live: true, old: func(_ *feature.Schema, name [32]byte) *feature.Table {
		if name == ([32]byte{9}) {
			return table
		}
		return nil
	}}
	for want := range byte(2) {
		got, err := live.get(s, [32]byte{})
		require.NoError(t, err)
		require.Equal(t, [32]byte{want + 1}, got.name)
	}
	kept, err := live.get(s, [32]byte{9})
	require.NoError(t, err)
	require.Equal(t, [32]byte{9}, kept.name)
	other, err := live.get(s, [32]byte{8})
	require.NoError(t, err)
	require.Equal(t, [32]byte{3}, other.name, "which sameRows then refuses")

	still := tables{open: open}
	for range 2 {
		got, err := still.get(s, [32]byte{})
		require.NoError(t, err)
		require.Equal(t, [32]byte{4}, got.name)
	}
	broken := tables{open: func(*feature.Schema) (*feature.Table, [32]byte, error) { return nil, [32]byte{}, errors.New("down") }}
	_, err = broken.get(s, [32]byte{})
	require.ErrorContains(t, err, "national table: down")
}

// TestRunsLeaveASummary: the first run leaves one that nobody else can read,
// the next run over other rows says so in one line, a run that goes on says
// nothing.
func TestRunsLeaveASummary(t *testing.T) {
	d := Dir(t.TempDir())
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	s, err := feature.ParseSchema([]byte("name: n/../x\nlabel: {column: y, positive: 1}\ncolumns: {x: {type: number}, k: {type: category}}\n"))
	require.NoError(t, err)
	read := func(row string) *feature.Table {
		path := filepath.Join(t.TempDir(), "t.csv")
		require.NoError(t, os.WriteFile(path, []byte("x,k,y\n"+strings.Repeat(row, 400)), 0o600))
		table, err := dataset.Open(path, s)
		require.NoError(t, err)
		return table
	}
	last, err := d.SummaryOf(s)
	require.NoError(t, err)
	require.Nil(t, last)
	d.compareRows(RunID{1}, read("1,a,0\n2,b,1\n"), log)
	require.Empty(t, out.String())
	names, err := filepath.Glob(d.Path("drift", "*"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	info, err := os.Stat(names[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	d.compareRows(RunID{1}, read("9,a,0\n9,b,1\n"), log)
	require.Empty(t, out.String(), "the same run")
	d.compareRows(RunID{2}, read("9,a,0\n9,b,1\n"), log)
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "drifted since the last run")
	require.Contains(t, out.String(), "columns=x")
	last, err = d.SummaryOf(s)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(last.Run, "02"))
}
