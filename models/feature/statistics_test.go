package feature

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const wide = `name: wide
label: {column: y, positive: 1, empty: skip}
columns:
  amount: {type: number}
  share:  {type: number, range: [0, 1]}
  count:  {type: number, range: [0, 100]}
  same:   {type: number}
  none:   {type: number}
  rare:   {type: boolean}
  town:   {type: category}
  kind:   {type: category, values: [a, b, c]}
  one:    {type: category}
  sex:    {type: category, role: group, values: [f, m]}
  land:   {type: category, role: group}
`

// random is a stream for test tables.
type random uint64

func (r *random) next() float64 {
	*r = random(mix(uint64(*r)))
	return float64(*r>>11) / (1 << 53)
}

// wideTable makes rows with towns of very different size and a few missing
// fields.
func wideTable(t testing.TB, s *Schema, rows int, seed uint64) *Table {
	r := random(seed)
	var b strings.Builder
	b.WriteString("amount,share,count,same,none,rare,town,kind,one,sex,land,y\n")
	for range rows {
		amount := fmt.Sprintf("%.2f", 1/(.003+r.next())-20)
		if r.next() < .1 {
			amount = ""
		}
		town := fmt.Sprintf("Tömn %d", int(40*r.next()*r.next()*r.next()))
		switch u := r.next(); {
		case u < .004:
			town = fmt.Sprintf("hamlet-%d", int(1e6*r.next())) // one row each
		case u < .05:
			town = strings.Repeat("long", 20)
		case u < .1:
			town = ""
		}
		y := []string{"0", "1", ""}[int(3*r.next())]
		fmt.Fprintf(&b, "%s,%.3f,%d,5,,%d,%s,%s,x,%s,L%d,%s\n", amount, r.next(), int(12*r.next()*r.next()),
			int(1.01*r.next()), town, []string{"a", "b"}[int(2*r.next())], []string{"f", "m"}[int(2*r.next())], int(4*r.next()), y)
	}
	tab, err := ReadCSV(strings.NewReader(b.String()), s, Limits{})
	require.NoError(t, err)
	return tab
}

func sumOf(t testing.TB, st *Statistics, tables ...*Table) []int64 {
	sum := make([]int64, st.Words())
	for _, tab := range tables {
		v, err := st.Count(tab)
		require.NoError(t, err)
		require.Len(t, v, len(sum))
		for i, w := range v {
			require.LessOrEqual(t, uint64(w), st.Bound(uint32(v[0])))
			sum[i] += w
		}
	}
	return sum
}

func learn(t testing.TB, s *Schema, tables ...*Table) *Statistics {
	st := NewStatistics(s)
	for !st.Done() {
		require.NoError(t, st.Apply(sumOf(t, st, tables...)))
	}
	return st
}

func wideSchema(t testing.TB) *Schema {
	s, err := ParseSchema([]byte(wide))
	require.NoError(t, err)
	return s
}

func TestEncoderFromSums(t *testing.T) {
	s := wideSchema(t)
	tab := wideTable(t, s, 9000, 1)
	st := learn(t, s, tab)
	e, err := st.Encoder()
	require.NoError(t, err)
	require.NoError(t, e.Validate())
	rows, pos := tab.Count(SelectTrain)
	require.Equal(t, []int64{int64(rows), int64(pos)}, []int64{st.Rows(), st.Positives()})

	require.Equal(t, []Dropped{
		{"same", "the same in every training row"},
		{"none", "empty in every training row"},
		{"one", "the same in every training row"},
	}, e.Dropped)
	require.Equal(t, []string{"amount", "amount missing", "share", "count"}, e.NumberNames())
	require.Equal(t, []string{"f", "m"}, e.GroupValues("sex"))
	require.Equal(t, []string{"L0", "L1", "L2", "L3"}, e.GroupValues("land"))
	require.Nil(t, e.GroupValues("town"))

	towns := e.Category[1]
	require.Equal(t, "town", towns.Column)
	require.Equal(t, namesWithFloor(tab, "town"), towns.Values)
	require.Equal(t, "Tömn 0", e.SlotName(1, towns.Reference))
	require.Equal(t, "(unknown)", e.SlotName(1, len(towns.Values)))
	require.Equal(t, "(missing)", e.SlotName(1, len(towns.Values)+1))
	require.Equal(t, []Input{
		{"amount", 0, 1, -1}, {"share", 2, -1, -1}, {"count", 3, -1, -1}, {"rare", -1, -1, 0}, {"town", -1, -1, 1}, {"kind", -1, -1, 2},
	}, e.Inputs())
}

// namesWithFloor lists the values that Floor labelled training rows hold and
// that can be learnt.
func namesWithFloor(tab *Table, column string) []string {
	codes, names := tab.Category(column)
	n := make([]int, len(names))
	for _, r := range tab.Select(SelectTrain) {
		if codes[r] != Missing {
			n[codes[r]]++
		}
	}
	var out []string
	for i, name := range names {
		if n[i] >= Floor && len(name) <= MaxValueBytes {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// S51: statistics are integers that add up over members.
func TestSumsOfPartsAreTheSumOfTheWhole(t *testing.T) {
	s := wideSchema(t)
	tab := wideTable(t, s, 3000, 3)
	want, err := learn(t, s, tab).Encoder()
	require.NoError(t, err)
	for seed := range uint64(8) {
		k, stream := int(2+seed%5), random(seed)
		rows := make([][]int32, k)
		for i := range tab.Rows() {
			m := int(float64(k) * stream.next() * stream.next())
			rows[m] = append(rows[m], int32(i))
		}
		var parts []*Table
		for _, r := range rows {
			parts = append(parts, tab.Subset(r))
		}
		got, err := learn(t, s, parts...).Encoder()
		require.NoError(t, err)
		require.Equal(t, want.Digest(), got.Digest())
	}
}

// TestNoNameBelowTheFloor holds the promise of Statistics: no part of a bucket
// is asked for names unless Floor rows stand in it.
func TestNoNameBelowTheFloor(t *testing.T) {
	s := wideSchema(t)
	tab := wideTable(t, s, 9000, 4)
	st := NewStatistics(s)
	for range 2 {
		require.NoError(t, st.Apply(sumOf(t, st, tab)))
	}
	parts := 0
	for _, c := range st.columns {
		l, ok := c.(*learntStat)
		if !ok {
			continue
		}
		block := make([]int64, l.words(3))
		l.count(3, tab, tab.Select(SelectTrain), block)
		for i := 0; i < len(block); i += bucketWords {
			require.GreaterOrEqual(t, block[i], int64(Floor))
			parts++
		}
	}
	require.Greater(t, parts, 20)
	require.NoError(t, st.Apply(sumOf(t, st, tab)))
	e, err := st.Encoder()
	require.NoError(t, err)
	for _, v := range e.Category[1].Values {
		require.NotContains(t, v, "hamlet")
	}
}

func TestCohortMayChangeBetweenSums(t *testing.T) {
	s := wideSchema(t)
	a, b, c := wideTable(t, s, 4000, 5), wideTable(t, s, 4000, 6), wideTable(t, s, 4000, 7)
	all, err := learn(t, s, a, b, c).Encoder()
	require.NoError(t, err)
	st := NewStatistics(s)
	for _, cohort := range [][]*Table{{a, b, c}, {a, b}, {b, c}} {
		require.NoError(t, st.Apply(sumOf(t, st, cohort...)))
	}
	e, err := st.Encoder()
	require.NoError(t, err)
	require.NoError(t, e.Validate())
	for i, n := range e.Number {
		require.InDelta(t, all.Number[i].Mean, n.Mean, .05*n.SD)
		require.InEpsilon(t, all.Number[i].SD, n.SD, .05)
	}
}

func TestApplyRefuses(t *testing.T) {
	s := wideSchema(t)
	tab := wideTable(t, s, 3000, 8)
	good := sumOf(t, NewStatistics(s), tab)
	for name, c := range map[string]struct {
		spoil func(v []int64) []int64
		want  string
	}{
		"short":              {func(v []int64) []int64 { return v[:len(v)-1] }, "words, want"},
		"negative rows":      {func(v []int64) []int64 { v[0] = -1; return v }, "in -1 rows"},
		"too many positives": {func(v []int64) []int64 { v[1] = v[0] + 1; return v }, "positives in"},
		"too few rows":       {func(v []int64) []int64 { v[0], v[1] = 19, 0; return v }, "at least 20"},
		"negative cell":      {func(v []int64) []int64 { v[5] = -1; v[6]++; return v }, "sum 1, column amount: count 3 is -1"},
		"one row more":       {func(v []int64) []int64 { v[5]++; return v }, "column amount: counts add up"},
		"one row less":       {func(v []int64) []int64 { v[0]--; return v }, "column amount: counts add up"},
		"overflow":           {func(v []int64) []int64 { v[5] = math.MaxInt64; v[6] = math.MaxInt64; return v }, "column amount: count"},
	} {
		t.Run(name, func(t *testing.T) {
			err := NewStatistics(s).Apply(c.spoil(slices.Clone(good)))
			require.ErrorContains(t, err, c.want)
		})
	}
	st := NewStatistics(s)
	require.NoError(t, st.Apply(good))
	second := sumOf(t, st, tab)
	second[2] = second[0] + 1
	require.ErrorContains(t, st.Apply(second), "sum 2, column amount")

	st = learn(t, s, tab)
	require.ErrorIs(t, st.Apply(nil), errDone)
	_, err := st.Count(tab)
	require.ErrorIs(t, err, errDone)
	require.Zero(t, st.Words())

	st = NewStatistics(s)
	_, err = st.Encoder()
	require.ErrorContains(t, err, "sum 1 is still to come")
	other := wideSchema(t)
	other.Name = "other"
	_, err = st.Count(wideTable(t, other, 30, 1))
	require.ErrorContains(t, err, "another schema")
}

func TestNamesThatCannotBe(t *testing.T) {
	l := &learntStat{column: "c", parts: []uint32{bucket("c", "x")}}
	block := make([]int64, bucketWords)
	addName(block, "x", 20)
	spoilt := slices.Clone(block)
	spoilt[3] = -1
	require.ErrorContains(t, l.apply(3, 100, spoilt), "word 2 of a name")
	spoilt[3] = 20 << 32
	require.ErrorContains(t, l.apply(3, 100, spoilt), "word 2 of a name")
	require.ErrorContains(t, l.apply(3, 10, block), "count 0 is 20")
	require.Empty(t, l.names)

	mixed := slices.Clone(block)
	addName(mixed, "y", 20)
	require.NoError(t, l.apply(3, 100, mixed), "two values in one part: nothing is learnt")
	require.Empty(t, l.names)
	wrong := make([]int64, bucketWords)
	addName(wrong, "z", 20)
	require.NoError(t, l.apply(3, 100, wrong), "a name of another bucket is not learnt")
	require.Empty(t, l.names)
	for _, bad := range []string{"a\nb", "\xff", "a\x00b"} {
		part := make([]int64, bucketWords)
		addName(part, bad, 20)
		_, ok := soleName(part)
		require.False(t, ok, "%q", bad)
	}
	require.NoError(t, l.apply(3, 100, block))
	require.Equal(t, []string{"x"}, l.names)
	full := strings.Repeat("é", 32)
	part := make([]int64, bucketWords)
	addName(part, full, 31)
	got, ok := soleName(part)
	require.True(t, ok)
	require.Equal(t, full, got)
}

func TestAtMostMaxValuesAreLearnt(t *testing.T) {
	l := &learntStat{column: "c"}
	rows := map[uint32]int64{}
	names := map[uint32]string{}
	for i := 0; len(names) < MaxValues+10; i++ {
		name := fmt.Sprint("v", i)
		if b := bucket("c", name); names[b] == "" {
			names[b], rows[b] = name, int64(20+len(names))
			l.parts = append(l.parts, b)
		}
	}
	slices.Sort(l.parts)
	block := make([]int64, l.words(3))
	for i, b := range l.parts {
		addName(block[i*bucketWords:(i+1)*bucketWords], names[b], rows[b])
	}
	require.NoError(t, l.apply(3, 1<<30, block))
	require.Len(t, l.names, MaxValues)
	require.True(t, slices.IsSorted(l.names))
	require.Equal(t, int64(30), slices.Min(l.rows), "the ten rarest stay unknown")
}

func TestStatisticsState(t *testing.T) {
	s := wideSchema(t)
	tab := wideTable(t, s, 3000, 9)
	st := NewStatistics(s)
	seen := map[[32]byte]bool{}
	for {
		b, err := st.MarshalBinary()
		require.NoError(t, err)
		back, err := UnmarshalStatistics(s, b)
		require.NoError(t, err)
		require.Equal(t, st.Query(), back.Query())
		require.Equal(t, st.Words(), back.Words())
		for _, bad := range [][]byte{b[:len(b)-1], append(slices.Clone(b), 0), append([]byte{9}, b[1:]...)} {
			_, err = UnmarshalStatistics(s, bad)
			require.Error(t, err)
		}
		if st.Done() {
			want, _ := st.Encoder()
			got, err := back.Encoder()
			require.NoError(t, err)
			require.Equal(t, want, got)
			break
		}
		require.False(t, seen[st.Query()])
		seen[st.Query()] = true
		require.NoError(t, st.Apply(sumOf(t, st, tab)))
	}
	_, err := UnmarshalStatistics(s, []byte{1, 1, 0x80, 0x00})
	require.ErrorContains(t, err, "broken integer")
}

func TestOneSumIsEnoughForListedColumns(t *testing.T) {
	s, err := ParseSchema([]byte("name: x\nlabel: {column: y, positive: 1}\ncolumns:\n  k: {type: category, values: [a, b]}\n"))
	require.NoError(t, err)
	tab, err := ReadCSV(strings.NewReader("k,y\n"+strings.Repeat("a,1\nb,0\n", 20)), s, Limits{})
	require.NoError(t, err)
	st := NewStatistics(s)
	require.Equal(t, 5, st.Words())
	require.NoError(t, st.Apply(sumOf(t, st, tab)))
	require.True(t, st.Done())
	_, err = st.Encoder()
	require.NoError(t, err)
}

// TestEncoderGolden pins the digest, so that another processor or compiler
// that rounds differently is noticed (S61). It changes only with the rules.
func TestEncoderGolden(t *testing.T) {
	s := wideSchema(t)
	e, err := learn(t, s, wideTable(t, s, 5000, 10)).Encoder()
	require.NoError(t, err)
	d := e.Digest()
	require.Equal(t, "cf3d1a91346f4a2f020a631ca1ae0af363caa777e95e07b9cdf66e0fd71ac42e", hex.EncodeToString(d[:]))
}

func FuzzUnmarshalStatistics(f *testing.F) {
	s := visa(f)
	f.Add([]byte{1, 0})
	st := NewStatistics(s)
	tab, err := ReadCSV(strings.NewReader(head+strings.Repeat("1,x,0,a,f,AA,1,u\n2,y,1,b,m,BB,0,u\n", 30)), s, Limits{})
	require.NoError(f, err)
	for !st.Done() {
		require.NoError(f, st.Apply(sumOf(f, st, tab)))
		b, _ := st.MarshalBinary()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := UnmarshalStatistics(s, b)
		if err != nil {
			return
		}
		back, err := st.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, b, back)
		if st.Done() {
			if e, err := st.Encoder(); err == nil {
				require.NoError(t, e.Validate())
			}
		}
	})
}
