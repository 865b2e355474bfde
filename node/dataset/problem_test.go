package dataset

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	lib "github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/node/dataset/postgres"
)

// TestProblemsInEveryFormat: what does not fit is counted by column and kind,
// with what to do, whatever the rows come from.
func TestProblemsInEveryFormat(t *testing.T) {
	s := schema(t, `name: p
label: {column: y, positive: "1"}
split: {column: d, train_until: 2025-06-30}
columns:
  x: {type: number, range: [0, 5]}
  k: {type: category, values: [a, b]}
  e: {type: number}
`)
	var csv strings.Builder
	csv.WriteString("x,k,e,d,y\n")
	for i := range 600 {
		x, k, d := i%6, "a", "2025-01-01"
		if i < 150 {
			x = 999
		}
		switch {
		case i == 10:
			d = "infinity"
		case i == 20:
			d = "2099-01-01"
		case i == 30:
			d = "1899-12-31"
		case i == 40:
			k = "zz"
		}
		fmt.Fprintf(&csv, "%d,%s,,%s,%d\n", x, k, d, i%2)
	}
	check := func(t *testing.T, r *Report, err error) {
		require.NoError(t, err)
		require.False(t, r.OK())
		require.Len(t, r.Errors, 100)
		require.False(t, r.Stopped)
		got := map[string]int{}
		for _, p := range r.ToDo {
			require.NotEmpty(t, p.Advice)
			got[p.Column+" "+string(p.Kind)] = p.Rows
		}
		want := map[string]int{"x out_of_range": 150, "k unlisted": 1, "e all_missing": 0, "d date_ahead": 0, "d date_long_past": 0, "d no_date": 1}
		require.Equal(t, want, got)
		require.Equal(t, OutOfRange, r.ToDo[0].Kind, "the most frequent first")
		require.InDelta(t, .25, r.ToDo[0].Share, 1e-9)
		require.Zero(t, r.Columns[0].Missing, "wrong is not missing")
		var text strings.Builder
		require.NoError(t, r.WriteText(&text))
		for _, line := range []string{
			"column x: 150 numbers are outside the declared range (25.00 % of rows)", "look at the unit and at sentinels",
			"column e: no row holds a value", "column d: dates after today, the last 2099-01-01", "column d: dates before 1900, the first 1899-12-31", "more wrong fields",
		} {
			require.Contains(t, text.String(), line)
		}
	}
	o := Options{Today: "2026-11-24"}
	path := file(t, "p.csv", []byte(csv.String()))
	t.Run("csv", func(t *testing.T) {
		r, err := Check(path, s, o)
		check(t, r, err)
	})
	t.Run("parquet", func(t *testing.T) {
		r, err := Check(parquetOf(t, csv.String()), s, o)
		check(t, r, err)
	})
	t.Run("sql", func(t *testing.T) {
		db := postgresql(t)
		db.must(t, `DROP TABLE IF EXISTS p; CREATE TABLE p AS SELECT i, CASE WHEN i < 150 THEN 999 ELSE i % 6 END AS x, CASE WHEN i = 40 THEN 'zz' ELSE 'a' END AS k,
			NULL::int AS e, CASE i WHEN 10 THEN 'infinity' WHEN 20 THEN '2099-01-01' WHEN 30 THEN '1899-12-31' ELSE '2025-01-01' END::date AS d, i % 2 AS y
			FROM generate_series(0, 599) i`)
		r, err := CheckSQL(t.Context(), postgres.Config{DSN: db.socket("admin"), Table: "p"}, s, o)
		check(t, r, err)
	})
}

// parquetOf writes a table of problems as Parquet: numbers as doubles, dates as
// text.
func parquetOf(t *testing.T, csv string) string {
	type row struct {
		X float64  `parquet:"x"`
		K string   `parquet:"k"`
		E *float64 `parquet:"e,optional"`
		D string   `parquet:"d"`
		Y int64    `parquet:"y"`
	}
	var rows []row
	for _, line := range strings.Split(strings.TrimSpace(csv), "\n")[1:] {
		f := strings.Split(line, ",")
		x, err := strconv.ParseFloat(f[0], 64)
		require.NoError(t, err)
		y, err := strconv.ParseInt(f[4], 10, 64)
		require.NoError(t, err)
		rows = append(rows, row{X: x, K: f[1], D: f[3], Y: y})
	}
	var b bytes.Buffer
	require.NoError(t, lib.Write(&b, rows))
	return file(t, "p.parquet", b.Bytes())
}
