package postgres

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/models/feature"
)

func TestQuoteTable(t *testing.T) {
	for in, want := range map[string]string{
		"cases": `"cases"`, "Public.Cases": `"public"."cases"`, `"Öffentlich"."Cases ""x"""`: `"Öffentlich"."Cases ""x"""`, "fälle": `"fälle"`, "a$1._b": `"a$1"."_b"`,
	} {
		got, err := quoteTable(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", ".", "a.", ".a", "a.b.c", "1a", "a b", "a;", `"a`, `""`, `"a"b`, "a--", "a(", "\"a\x00\""} {
		_, err := quoteTable(in)
		require.Error(t, err, "%q", in)
	}
}

func TestOneStatement(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT 1":                         "SELECT 1",
		" ( select 1 ) ; -- ; \n /* ; */ ": " ( select 1 ) ",
		"/* a /* b */ ; */ WITH x AS (SELECT ';' , \";\", $$;)$$, $t$;$$;$t$, E'\\';' ) SELECT * FROM x": "",
		"SELECT 'it''s ;'": "",
		"SELECT 1 -- )":    "",
	} {
		got, err := oneStatement(in)
		require.NoError(t, err, in)
		if want == "" {
			want = in
		}
		require.Equal(t, want, got)
	}
	for _, in := range []string{
		"", ";", "SELECT 1; SELECT 2", "SELECT 1;)", "SELECT 1)", "SELECT (1", "SELECT 'a", `SELECT "a`, "SELECT /* /* */", "SELECT $$a", "SELECT $x$a$y$",
		"DELETE FROM x", "COPY x TO STDOUT", "-- SELECT", "VALUES (1)", "SELECT E'\\'", "SELECT 1\x00", "selection", "EXPLAIN SELECT 1",
	} {
		_, err := oneStatement(in)
		require.Error(t, err, "%q", in)
	}
}

// FuzzOneStatement: what is taken stays inside the parenthesis it is put into,
// as the lexer sees it: followed by one more statement it is refused.
func FuzzOneStatement(f *testing.F) {
	for _, q := range []string{"SELECT 1;", "WITH a AS (SELECT $x$;$x$) SELECT E'\\'' -- x", "select /* */ '", "SELECT $", "é$a$"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		got, err := oneStatement(q)
		if err != nil {
			return
		}
		require.True(t, strings.HasPrefix(q, got))
		again, err := oneStatement(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
		_, err = oneStatement("(" + got + "\n)")
		require.NoError(t, err)
		_, err = oneStatement(got + "\n; DELETE FROM x")
		require.Error(t, err)
	})
}

// FuzzValue: whatever bytes a server sends for a type, a row is taken or
// refused.
func FuzzValue(f *testing.F) {
	for form := range byte(day + 1) {
		f.Add(form, []byte("2026-01-31 10:00:00+00"))
		f.Add(form, binary.BigEndian.AppendUint64(nil, math.Float64bits(-1.5)))
		f.Add(form, []byte{})
	}
	s, err := feature.ParseSchema([]byte("name: n\nlabel: {column: y, positive: 1, empty: skip}\nsplit: {column: d, train_until: 2025-01-01}\ncolumns: {x: {type: number}, k: {type: category}}\n"))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, kind byte, value []byte) {
		src := &one{form: form(kind%byte(day)) + 1, value: value}
		table, err := feature.Read(src, s, feature.Limits{})
		if err == nil {
			require.Equal(t, 1, table.Rows())
		}
	})
}

// one is a source of one row with the same value in every column.
type one struct {
	form  form
	value []byte
}

func (o *one) Header() ([]string, error) { return []string{"x", "k", "y", "d"}, nil }

func (o *one) Rows(b *feature.Builder) error {
	readers := make([]reader, len(b.Feeds()))
	for i, in := range b.Feeds() {
		readers[i] = reader{feed: in, form: o.form}
		if err := readers[i].value(o.value); err != nil {
			return err
		}
	}
	flush(b, readers, 1)
	return nil
}

func TestDistance(t *testing.T) {
	r := &Reader{columns: []column{{name: "DocAgeYears"}, {name: "sex"}}}
	for want, meant := range map[string]string{"doc_age_years": "DocAgeYears", "doc_age_yers": "DocAgeYears", "sexe": "sex", "income": ""} {
		got, _ := r.nearest(want)
		require.Equal(t, meant, got, want)
	}
}

func TestSecretsAreTakenOut(t *testing.T) {
	s := secrets{"", "a b%"}
	require.Equal(t, "x … … … y", s.redact("x a b% a+b%25 a%20b%25 y"))
}
