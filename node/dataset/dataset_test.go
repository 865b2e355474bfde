package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/synth"
	"github.com/koinon-eu/koinon/models/feature"
)

func file(t *testing.T, name string, content []byte) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func zip(t *testing.T, content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func polish(t *testing.T) []byte {
	var b bytes.Buffer
	require.NoError(t, synth.Generate(&b, "demo", "PL", 2000, 7))
	return b.Bytes()
}

func TestOpen(t *testing.T) {
	s := synth.Schema()
	plain, err := Open(file(t, "pl.csv", polish(t)), s)
	require.NoError(t, err)
	zipped, err := Open(file(t, "pl.CSV.gz", zip(t, polish(t))), s)
	require.NoError(t, err)
	require.Equal(t, plain.Rows(), zipped.Rows())
	require.Equal(t, plain.Label(), zipped.Label())
}

func TestOpenRefuses(t *testing.T) {
	s := synth.Schema()
	whole := zip(t, polish(t))
	for name, c := range map[string]struct{ path, want string }{
		"ending":    {file(t, "pl.xlsx", nil), "neither .csv nor .csv.gz nor .parquet"},
		"parquet":   {file(t, "pl.parquet", polish(t)), "not a parquet file"},
		"not gzip":  {file(t, "pl.csv.gz", polish(t)), "not a gzip file"},
		"cut off":   {file(t, "pl.csv.gz", whole[:len(whole)/2]), "cut off"},
		"flipped":   {file(t, "pl.csv.gz", append(whole[:len(whole)-8:len(whole)-8], 0, 0, 0, 0, 0, 0, 0, 0)), "checksum"},
		"empty":     {file(t, "pl.csv", nil), "table is empty"},
		"directory": {t.TempDir(), "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(c.path, s)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, c.path)
		})
	}
	dir := filepath.Join(t.TempDir(), "x.csv")
	require.NoError(t, os.Mkdir(dir, 0o700))
	_, err := Open(dir, s)
	require.ErrorContains(t, err, "is a directory")
	_, err = Open("/nowhere/x.csv", s)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestBomb: a small file that unfolds without end stops at the bound.
func TestBomb(t *testing.T) {
	head, _, _ := strings.Cut(string(polish(t)), "\n")
	bomb := zip(t, append([]byte(head+"\n"), bytes.Repeat([]byte("\n"), 4<<20)...))
	require.Less(t, len(bomb), 20_000)
	_, err := OpenWith(file(t, "b.csv.gz", bomb), synth.Schema(), Options{MaxBytes: 1 << 20})
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestCheck(t *testing.T) {
	r, err := Check(file(t, "pl.csv", polish(t)), synth.Schema(), Options{}, "sex", "prior_overstay")
	require.NoError(t, err)
	require.True(t, r.OK(), "%v %v", r.Wrong, r.Errors)
	require.Equal(t, 2000, r.Rows)
	require.Equal(t, 2000, r.Label.Positives+r.Label.Negatives+r.Label.Empty)
	require.Equal(t, r.Label.Positives, r.Train.Positives+r.Test.Positives)
	require.InDelta(t, .02, r.Label.Rate, .015)
	require.Len(t, r.Columns, 23)
	require.Len(t, r.Groups, 4)
	require.Equal(t, []Ignored{
		{"prior_overstay", "role ignore: conduct of a person, other purpose"}, {"examined", "role ignore"},
	}, r.Ignored)
	for _, g := range r.Groups {
		n := 0
		for _, v := range g.Values {
			n += v.Rows
		}
		require.Equal(t, 2000, n, g.Column)
	}

	var text, data bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	for _, want := range []string{"2000 rows under schema document-risk", "optical_score", "nationality_group", "no errors", "prior_overstay (role ignore"} {
		require.Contains(t, text.String(), want)
	}
	require.NoError(t, r.WriteJSON(&data))
	require.NotContains(t, data.String(), "null")
	var back Report
	require.NoError(t, json.Unmarshal(data.Bytes(), &back))
	require.Equal(t, r.Groups, back.Groups)
}

func TestCheckReportsEverythingWrong(t *testing.T) {
	const schema = `name: x
id: id
label: {column: y, positive: 1, empty: skip}
split: {column: d, train_until: 2025-01-01}
columns:
  a: {type: number, range: [0, 5]}
  b: {type: category}
  c: {type: number}
  g: {type: category, role: group}
`
	s, err := feature.ParseSchema([]byte(schema))
	require.NoError(t, err)
	in := "id,y,d,a,b,c,g,z\n" +
		"p,1,2024-01-01,6,u,,f,\n" +
		"q,1,2024-01-01,1," + strings.Repeat("u", 70) + ",,f,\n" +
		"p,1,24-01-01,Infinity,u,,m,\n" +
		"r,,2024-01-01,2,u,,f\n" +
		"s,,2024-01-01,2,u,,,\n"
	r, err := Check(file(t, "x.csv", []byte(in)), s, Options{}, "b")
	require.NoError(t, err)
	require.False(t, r.OK())
	var text bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	for _, want := range []string{
		"line 2, column a: 6 is outside the range 0 to 5",
		`line 4, column a: "Infinity" is not a number`,
		`line 4, column d: "24-01-01" is not a date`,
		"line 5: 7 fields, the header has 8",
		`column id: rows 1 and 3 have the same identifier "p"`,
		"column b is denied by the declaration",
		"column c is empty in every row",
		"column b: 1 values are longer than 64 bytes",
		"all 3 labelled training rows have the same label",
		"only 3 labelled training rows",
		"no labelled test row",
		"z (not in the schema)",
	} {
		require.Contains(t, text.String(), want)
	}
	require.NotContains(t, text.String(), "no errors")
	require.Error(t, r.WriteText(broken{}))

	_, err = Check(file(t, "x.csv", []byte("id,y\n")), s, Options{})
	require.ErrorContains(t, err, "no column a, b, c, g, d")
	r, err = Check(file(t, "x.csv", []byte(in)), s, Options{Limits: feature.Limits{Errors: 1}})
	require.NoError(t, err)
	require.True(t, r.Stopped)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.Join(io.ErrShortWrite) }
