package feature

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func visa(t testing.TB) *Schema {
	s, err := ParseSchema([]byte(small))
	require.NoError(t, err)
	return s
}

const head = "zeta,alpha,hit,kind,sex,land,fraud,other\n"

func TestReadCSV(t *testing.T) {
	in := "\ufeff" + head +
		"1.5,x,0,a,f,AA,1,u\r\n" +
		",,TRUE,,m,\"B, \"\"B\"\"\",0,v\n" +
		"-0,\"two\nlines\",false,3,,AA,,u\n" +
		"10,x,1,b,f,AA,1.0,u\n"
	tab, err := ReadCSV(strings.NewReader(in), visa(t), Limits{}, "other")
	require.NoError(t, err)
	require.Equal(t, 4, tab.Rows())
	z := tab.Number("zeta")
	require.Equal(t, float32(1.5), z[0])
	require.True(t, isMissing(z[1]))
	require.Equal(t, "0", f32(z[2]), "-0 is read as 0")
	codes, names := tab.Category("alpha")
	require.Equal(t, []int32{0, Missing, 1, 0}, codes)
	require.Equal(t, []string{"x", "two\nlines"}, names)
	codes, _ = tab.Category("hit")
	require.Equal(t, []int32{0, 1, 0, 1}, codes)
	codes, names = tab.Category("kind")
	require.Equal(t, []int32{0, Missing, 2, 1}, codes)
	require.Equal(t, []string{"a", "b", "3"}, names)
	_, names = tab.Category("land")
	require.Equal(t, []string{"AA", `B, "B"`}, names)
	require.Equal(t, []int8{1, 0, Unlabelled, 1}, tab.Label())
	require.Equal(t, []int32{0, 1, 3}, tab.Select(SelectTrain))
	require.Len(t, tab.Select(SelectAll), 4)
	rows, pos := tab.Count(SelectTrain)
	require.Equal(t, []int{3, 2}, []int{rows, pos})

	u, err := tab.Where("other", "u")
	require.NoError(t, err)
	require.Equal(t, []int32{0, 2, 3}, u.Origin())
	require.Equal(t, float32(10), u.Number("zeta")[2])
	sides, parts, err := tab.Partition("other")
	require.NoError(t, err)
	require.Equal(t, []string{"u", "v"}, sides)
	require.Equal(t, 1, parts[1].Rows())
	_, _, err = tab.Partition("sex")
	require.ErrorContains(t, err, "row 3, column sex: empty")
	_, err = tab.Where("zeta", "1")
	require.ErrorContains(t, err, "not kept")
	v, err := tab.SplitBy("other", "v")
	require.NoError(t, err)
	require.Equal(t, []int32{1}, v.Select(SelectTest))
	require.Empty(t, tab.Select(SelectTest), "the table it came from is unchanged")
	_, err = tab.SplitBy("other", "w")
	require.ErrorContains(t, err, "no row holds")
}

func f32(v float32) string { return strings.TrimSuffix(string(mustJSON(v)), "\n") }

func TestReadCSVRefuses(t *testing.T) {
	row := func(z, kind, hit, label string) string {
		return head + z + ",x," + hit + "," + kind + ",f,AA," + label + ",u\n"
	}
	for name, c := range map[string]struct{ in, want string }{
		"empty":          {"", "table is empty"},
		"bom only":       {"\ufeff", "table is empty"},
		"header only":    {head, "no rows"},
		"utf-16":         {"\xff\xfez\x00", "UTF-16"},
		"utf-16 be":      {"\xfe\xff\x00z", "UTF-16"},
		"zero bytes":     {"z\x00e\x00\n", "zero byte"},
		"semicolons":     {strings.ReplaceAll(head, ",", ";"), "separated by commas"},
		"duplicate":      {"zeta,zeta\n1,2\n", `header, column 2: "zeta" appears twice`},
		"missing column": {"zeta,alpha,hit,kind,sex\n", "no column land, fraud"},
		"header latin-1": {"zeta,alph\xe4\n", "header, column 2"},
		"ragged":         {row("1", "a", "0", "1") + "1,2\n", "line 3: 2 fields, the header has 8"},
		"ragged long":    {row("1", "a", "0", "1") + "1,2,3,4,5,6,7,8,9\n", "line 3: 9 fields"},
		"bare quote":     {row("1\"", "a", "0", "1"), "line 2: bare"},
		"unclosed quote": {head + "\"1,x,0,a,f,AA,1,u\n\n\n", "reading stopped"},
		"non-utf-8":      {row("1", "\xe4", "0", "1"), "line 2, column kind: \"\\xe4\" is not UTF-8"},
		"nan":            {row("NaN", "a", "0", "1"), "line 2, column zeta: \"NaN\" is not a number; leave"},
		"inf":            {row("-Inf", "a", "0", "1"), "line 2, column zeta: \"-Inf\" is not a number"},
		"overflow":       {row("1e39", "a", "0", "1"), "too large"},
		"hex":            {row("0x10", "a", "0", "1"), "not a number"},
		"underscore":     {row("1_0", "a", "0", "1"), "not a number"},
		"decimal comma":  {row("\"1,5\"", "a", "0", "1"), "\"1,5\" is not a number"},
		"minus":          {row("1-2", "a", "0", "1"), "not a number"},
		"range":          {row("10.5", "a", "0", "1"), "line 2, column zeta: 10.5 is outside the range 0 to 10"},
		"unlisted":       {row("1", "c", "0", "1"), "line 2, column kind: \"c\" is not one of"},
		"boolean":        {row("1", "a", "yes", "1"), "line 2, column hit: \"yes\" is none of"},
		"label 2":        {row("1", "a", "0", "2"), "line 2, column fraud: label 2 is neither"},
		"label text":     {row("1", "a", "0", "no"), "column fraud: label \"no\" is not a number"},
		"long field":     {row(strings.Repeat("1", 1_000_000), "a", "0", "1"), "line 2, column zeta: field has 1000000 bytes"},
		"long line":      {head + "\"" + strings.Repeat("x", 17<<20), "longer than"},
		"long header":    {strings.Repeat("x", 17<<20), "header is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadCSV(strings.NewReader(c.in), visa(t), Limits{})
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := ReadCSV(iotest.ErrReader(io.ErrUnexpectedEOF), visa(t), Limits{})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = ReadCSV(io.MultiReader(strings.NewReader(head), iotest.ErrReader(io.ErrUnexpectedEOF)), visa(t), Limits{})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = ReadCSV(strings.NewReader(row("1", "a", "0", "1")+"1,x,0,a,f,AA,1,u\n"), visa(t), Limits{Rows: 1})
	require.ErrorContains(t, err, "line 3: more than 1 rows")
	_, err = ReadCSV(strings.NewReader(head), visa(t), Limits{Columns: 3})
	require.ErrorContains(t, err, "8 columns")
}

func TestReadCSVCollectsErrors(t *testing.T) {
	in := head + "x,x,2,a,f,AA,1,u\n1,x,0,a,f,AA,1,u\n11,x,0,a\n\"1\n2\",x,0,a,f,AA,7,u\n"
	tab, err := ReadCSV(strings.NewReader(in), visa(t), Limits{})
	var de *DataError
	require.ErrorAs(t, err, &de)
	var got []string
	for _, e := range de.Errors {
		got = append(got, e.Error())
	}
	require.Equal(t, []string{
		`line 2, column zeta: "x" is not a number`,
		`line 2, column hit: "2" is none of 0, 1, true, false`,
		`line 4: 4 fields, the header has 8`,
		"line 5, column zeta: \"1\\n2\" is not a number",
		`line 6, column fraud: label 7 is neither 1 nor 0`,
	}, got)
	require.False(t, de.Stopped)
	require.Equal(t, 3, tab.Rows(), "what could be read serves the report")
	require.Equal(t, int32(Missing), func() int32 { c, _ := tab.Category("hit"); return c[0] }())

	_, err = ReadCSV(strings.NewReader(in), visa(t), Limits{Errors: 2})
	require.True(t, errors.As(err, &de) && de.Stopped && len(de.Errors) == 2)
	require.ErrorContains(t, err, "(and 1 more)")
}

func TestReadForScoring(t *testing.T) {
	in := "zeta,alpha,hit,kind\n11,new,1,zzz\n"
	tab, err := ReadCSV(strings.NewReader(in), visa(t), Limits{Scoring: true})
	require.NoError(t, err)
	require.Nil(t, tab.Label())
	require.Equal(t, float32(11), tab.Number("zeta")[0])
	require.Empty(t, tab.Unread())
	require.Empty(t, tab.Select(SelectTrain))

	same, err := FromRecords([]string{"zeta", "alpha", "hit", "kind"}, [][]string{{"11", "new", "1", "zzz"}}, visa(t), Limits{Scoring: true})
	require.NoError(t, err)
	require.Equal(t, tab, same)
	_, err = FromRecords([]string{"zeta", "alpha", "hit", "kind"}, [][]string{{"11"}}, visa(t), Limits{Scoring: true})
	require.ErrorContains(t, err, "line 2: 1 fields")
}

func TestSplits(t *testing.T) {
	s := &Schema{
		Name: "x", ID: "id", Label: Label{Column: "y", Positive: "yes"}, Split: &SplitRule{Column: "day", TrainUntil: "2025-06-30"},
		Columns: []Column{{Name: "a", Type: TypeNumber}},
	}
	require.NoError(t, s.Validate())
	tab, err := ReadCSV(strings.NewReader("id,a,y,day\np,1,yes,2025-06-30\nq,2,no,2025-07-01\nr,3,No,2024-01-01\n"), s, Limits{})
	require.NoError(t, err)
	require.Equal(t, []Split{Train, Test, Train}, tab.Split())
	require.Equal(t, []string{"no", "No"}, tab.NegativeLabels())
	require.Equal(t, "q", tab.ID(1))
	more, err := ReadCSV(strings.NewReader("v,id,a,y,w,day\n,p,1,yes,,2025-06-30\n"), s, Limits{})
	require.NoError(t, err)
	require.Equal(t, []string{"v", "w"}, more.Unread())
	_, err = ReadCSV(strings.NewReader("id,a,y,day\n,1,yes,2025-06-31\nq,2,,\n"), s, Limits{})
	require.ErrorContains(t, err, "line 2, column id: identifier is empty (and 3 more)")

	s.Split = &SplitRule{Column: "day", Test: "t"}
	tab, err = ReadCSV(strings.NewReader("id,a,y,day\np,1,yes,t\nq,2,no,u\n"), s, Limits{})
	require.NoError(t, err)
	require.Equal(t, []Split{Test, Train}, tab.Split())
}

func TestSplitFraction(t *testing.T) {
	var in strings.Builder
	in.WriteString(head)
	for range 4000 {
		in.WriteString("1,x,0,a,f,AA,1,u\n")
	}
	tab, err := ReadCSV(strings.NewReader(in.String()), visa(t), Limits{})
	require.NoError(t, err)
	a, err := tab.SplitFraction(.3, 7)
	require.NoError(t, err)
	n, _ := a.Count(SelectTest)
	require.InDelta(t, 1200, n, 120)
	b, err := tab.Subset(tab.Select(SelectAll)[1000:]).SplitFraction(.3, 7)
	require.NoError(t, err)
	require.Equal(t, a.Split()[1000:], b.Split(), "a row's side does not depend on the others")
	c, err := tab.SplitFraction(.3, 8)
	require.NoError(t, err)
	require.NotEqual(t, a.Split(), c.Split())
	_, err = tab.SplitFraction(1, 7)
	require.Error(t, err)
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte(head + "1,x,0,a,f,AA,1,u\n"))
	f.Add([]byte("\ufeff" + head + "\"1,x"))
	f.Add([]byte(head + "1,x,0,a,f,\xff,1,u\n,,,,,,,\n"))
	s := visa(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		tab, err := ReadCSV(strings.NewReader(string(b)), s, Limits{Rows: 50, Record: 1 << 16}, "other")
		if tab == nil {
			require.Error(t, err)
			return
		}
		require.Len(t, tab.Label(), tab.Rows())
		require.Len(t, tab.Number("zeta"), tab.Rows())
		require.Len(t, tab.Split(), tab.Rows())
		codes, names := tab.Category("kind")
		require.Len(t, codes, tab.Rows())
		for _, c := range codes {
			require.Less(t, int(c), len(names))
		}
	})
}
