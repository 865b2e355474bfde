package feature

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEncode(t *testing.T) {
	s := wideSchema(t)
	tab := wideTable(t, s, 6000, 11)
	e, err := learn(t, s, tab).Encoder()
	require.NoError(t, err)
	m, err := e.Encode(tab, SelectTrain)
	require.NoError(t, err)
	rows, _ := tab.Count(SelectTrain)
	require.Equal(t, rows, m.Rows)
	require.Equal(t, e.Numbers(), m.Numbers)
	require.Equal(t, e.Categories(), m.Cards)
	learnt := namesWithFloor(tab, "town")
	for i, r := range m.Row {
		require.Equal(t, tab.Label()[r], m.Label[i])
		x := m.X[i*m.Numbers : (i+1)*m.Numbers]
		if isMissing(tab.Number("amount")[r]) {
			require.Equal(t, []float32{0, 1}, x[:2])
		} else {
			require.Zero(t, x[1])
		}
		for k, slot := range m.C[i*len(m.Cards) : (i+1)*len(m.Cards)] {
			require.True(t, slot >= 0 && int(slot) < m.Cards[k])
		}
		codes, names := tab.Category("town")
		switch slot := int(m.C[i*len(m.Cards)+1]); {
		case codes[r] == Missing:
			require.Equal(t, "(missing)", e.SlotName(1, slot))
		case !slices.Contains(learnt, names[codes[r]]):
			require.Equal(t, "(unknown)", e.SlotName(1, slot))
		default:
			require.Equal(t, names[codes[r]], e.SlotName(1, slot))
		}
		codes, names = tab.Category("land")
		require.Equal(t, names[codes[r]], e.GroupValues("land")[m.Groups[1][i]])
	}
	for k := range m.Numbers {
		if e.NumberNames()[k] == "amount missing" {
			continue
		}
		var sum, square float64
		for i := range m.Rows {
			x := float64(m.X[i*m.Numbers+k])
			sum += x
			square += x * x
		}
		require.InDelta(t, 0, sum/float64(m.Rows), .02)
		require.InDelta(t, 1, square/float64(m.Rows), .12) // amount: a tenth is missing
	}
	part := m.Slice(10, 20)
	require.Equal(t, 10, part.Rows)
	require.Equal(t, m.Row[10], part.Row[0])
	require.Equal(t, m.X[10*m.Numbers], part.X[0])
	require.Equal(t, m.Groups[1][10], part.Groups[1][0])

	ref := e.ReferenceRow()
	require.Equal(t, make([]float32, m.Numbers), ref.X)
	require.Equal(t, "Tömn 0", e.SlotName(1, int(ref.C[1])))
}

func TestScoringRowIsEncodedLikeTraining(t *testing.T) {
	s := wideSchema(t)
	tab := wideTable(t, s, 3000, 12)
	e, err := learn(t, s, tab).Encoder()
	require.NoError(t, err)
	header := []string{"amount", "share", "count", "same", "none", "rare", "town", "kind", "one"}
	one, err := FromRecords(header, [][]string{{"1e30", "-7", "3", "5", "", "1", "nowhere", "zzz", "x"}}, s, Limits{Scoring: true})
	require.NoError(t, err)
	m, err := e.Encode(one, SelectAll)
	require.NoError(t, err)
	require.Nil(t, m.Label)
	require.Equal(t, [][]int16{{-1}, {-1}}, m.Groups)
	require.Equal(t, float32((float64(e.Number[0].High)-e.Number[0].Mean)/e.Number[0].SD), m.X[0])
	require.Equal(t, float32((float64(e.Number[1].Low)-e.Number[1].Mean)/e.Number[1].SD), m.X[2])
	require.Equal(t, "(unknown)", e.SlotName(1, int(m.C[1])))
	require.Equal(t, "(unknown)", e.SlotName(2, int(m.C[2])))
	_, err = NewStatistics(s).Count(one)
	require.ErrorContains(t, err, "read for scoring")

	_, err = e.Encode(&Table{}, SelectAll)
	require.ErrorContains(t, err, "no number column amount")

	none, err := e.EncodeRows(one, nil)
	require.NoError(t, err)
	require.Zero(t, none.Rows)
}

func TestEncoderJSON(t *testing.T) {
	s := wideSchema(t)
	e, err := learn(t, s, wideTable(t, s, 3000, 13)).Encoder()
	require.NoError(t, err)
	b := e.Canonical()
	back, err := ParseEncoder(b)
	require.NoError(t, err)
	require.Equal(t, e.Digest(), back.Digest())
	m, err := back.Encode(wideTable(t, s, 50, 14), SelectAll)
	require.NoError(t, err)
	n, err := e.Encode(wideTable(t, s, 50, 14), SelectAll)
	require.NoError(t, err)
	require.Equal(t, m, n)

	swap := func(old, new string) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"space":           {append([]byte(" "), b...), "not canonical"},
		"trailing":        {append(bytes.Clone(b), '1'), "after the JSON"},
		"unknown key":     {swap(`{"schema"`, `{"x":1,"schema"`), "unknown field"},
		"duplicate key":   {swap(`"rows":`, `"rows":1,"rows":`), "not canonical"},
		"no schema":       {[]byte(`{}`), "no schema"},
		"null":            {[]byte(`null`), "no schema"},
		"missing number":  {swap(`"column":"amount"`, `"column":"amounts"`), "no column amount"},
		"negative sd":     {swap(`"sd":`, `"sd":-`), "sd -"},
		"reference":       {swap(`"reference":`, `"reference":99`), "slots"},
		"positives":       {swap(`"positives":`, `"positives":-`), "positives"},
		"values of group": {swap(`"values":["L0","L1"`, `"values":["L1","L0"`), "out of order"},
		"listed values":   {bytes.ReplaceAll(b, []byte(`"column":"kind","values":["a","b","c"]`), []byte(`"column":"kind","values":["a","b"]`)), "differ from the schema's"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseEncoder(c.in)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func FuzzParseEncoder(f *testing.F) {
	s := visa(f)
	tab, err := ReadCSV(strings.NewReader(head+strings.Repeat("1,x,0,a,f,AA,1,u\n2,y,1,b,m,BB,0,u\n", 30)), s, Limits{})
	require.NoError(f, err)
	e, err := learn(f, s, tab).Encoder()
	require.NoError(f, err)
	f.Add(e.Canonical())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEncoder(b)
		if err != nil {
			return
		}
		require.Equal(t, string(b), string(e.Canonical()))
		_, err = e.Encode(tab, SelectAll)
		_ = err // another schema may well lack a column; it must not panic
		e.Inputs()
		e.ReferenceRow()
		e.NumberNames()
	})
}
