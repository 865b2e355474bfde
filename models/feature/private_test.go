package feature

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/dp"
)

const declared = `name: declared
label: {column: y, positive: 1, empty: skip}
columns:
  age:    {type: number, range: [0, 100]}
  amount: {type: number, range: [-50, 100000]}
  share:  {type: number, range: [0, 0.001]}
  same:   {type: number, range: [0, 10]}
  rare:   {type: boolean}
  kind:   {type: category, values: [a, b, c, d]}
  sex:    {type: category, role: group, values: [f, m]}
`

func declaredTable(t testing.TB, rows int, seed uint64) *Table {
	s, err := ParseSchema([]byte(declared))
	require.NoError(t, err)
	r := random(seed)
	var b strings.Builder
	b.WriteString("age,amount,share,same,rare,kind,sex,y\n")
	for range rows {
		age := fmt.Sprint(int(18 + 60*r.next()*r.next()))
		if r.next() < .1 {
			age = ""
		}
		kind := []string{"a", "a", "b", "c", ""}[int(5*r.next())]
		if r.next() < .002 {
			kind = "d"
		}
		fmt.Fprintf(&b, "%s,%.2f,%.6f,5,%d,%s,%s,%d\n", age, min(1/(.001+r.next()*r.next()), 99000)-20, r.next()/1000,
			int(1.3*r.next()), kind, []string{"f", "m"}[int(2*r.next())], int(1.2*r.next()))
	}
	tab, err := ReadCSV(strings.NewReader(b.String()), s, Limits{})
	require.NoError(t, err)
	return tab
}

// noised is the sum of the tables with the noise of each.
func noised(t testing.TB, st *Statistics, seed uint64, tables ...*Table) []int64 {
	sum := make([]int64, st.Words())
	for i, tab := range tables {
		v, err := st.Count(tab)
		require.NoError(t, err)
		g, err := dp.NewGaussian(st.Sigma(), rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(i)}))
		require.NoError(t, err)
		require.NoError(t, g.Add(v))
		for k, w := range v {
			sum[k] += w
		}
	}
	return sum
}

// TestPrivateWithoutNoise: at a σ that never moves a count, the encoder is that
// of the exact statistics but for the width of the cells.
func TestPrivateWithoutNoise(t *testing.T) {
	a, b := declaredTable(t, 9000, 1), declaredTable(t, 3000, 2)
	exact := learn(t, a.Schema(), a, b)
	want, err := exact.Encoder()
	require.NoError(t, err)
	st := NewPrivateStatistics(a.Schema(), Noise{Sigma: 1e-3, Members: 2})
	require.NoError(t, st.Apply(noised(t, st, 1, a, b)))
	require.True(t, st.Done())
	require.Zero(t, st.Words())
	got, err := st.Encoder()
	require.NoError(t, err)
	require.NoError(t, got.Validate())

	require.Equal(t, []int64{want.Rows, want.Positives}, []int64{got.Rows, got.Positives})
	require.Equal(t, want.Category, got.Category)
	require.Equal(t, want.Group, got.Group)
	require.Equal(t, []Dropped{{"same", "one value or none stands out of the noise"}}, got.Dropped)
	require.Equal(t, want.NumberNames(), got.NumberNames())
	for i, n := range got.Number {
		w := want.Number[i]
		require.InDelta(t, w.Mean, n.Mean, .15*w.SD, n.Column)
		require.InEpsilon(t, w.SD, n.SD, .25, n.Column)
		require.InDelta(t, w.Low, n.Low, .5*w.SD, n.Column)
		require.InDelta(t, w.High, n.High, 4*w.SD, n.Column)
		require.Greater(t, len(n.Cuts), 25, n.Column)
	}
	spreads, err := st.Spreads(got)
	require.NoError(t, err)
	for _, sp := range spreads {
		total := sp.Missing
		for _, n := range sp.Rows {
			total += n
		}
		if sp.Column != "kind" { // whose d is rare, and counted with the rest
			require.InDelta(t, got.Rows, total, 60, sp.Column)
		}
	}
}

// TestPrivateWithNoise: whatever the noise, there is a usable encoder or an error
// that says what to do; what it says of rows is within the noise.
func TestPrivateWithNoise(t *testing.T) {
	tab := declaredTable(t, 4000, 3)
	encoders := 0
	for seed := range uint64(60) {
		noise := Noise{Sigma: math.Exp(float64(seed)/5 - 2), Members: 1 + int(seed%3)}
		st := NewPrivateStatistics(tab.Schema(), noise)
		tables := slices.Repeat([]*Table{tab}, noise.Members)
		sum := noised(t, st, seed, tables...)
		if err := st.Apply(sum); err != nil {
			require.ErrorContains(t, err, "less noise", "seed %d", seed)
			continue
		}
		e, err := st.Encoder()
		if err != nil {
			require.ErrorIs(t, err, errDrowned, "seed %d", seed)
			continue
		}
		encoders++
		back, err := ParseEncoder(e.Canonical())
		require.NoError(t, err, "seed %d, σ %v", seed, noise.Sigma)
		require.Equal(t, e.Digest(), back.Digest())
		require.InDelta(t, sum[0], e.Rows, .5)
		require.Positive(t, e.Positives)
		require.Less(t, e.Positives, e.Rows)
		spreads, err := st.Spreads(e)
		require.NoError(t, err)
		require.Len(t, spreads, len(e.Inputs()))
		for _, sp := range spreads {
			require.GreaterOrEqual(t, slices.Min(sp.Rows), int64(0))
			require.True(t, slices.IsSorted(sp.High))
		}
	}
	require.Greater(t, encoders, 20)
	require.Less(t, encoders, 60, "the last of these drown")
}

// TestPrivateSensitivity: a row added changes the vector by no more than Δ₂, and
// a positive one by just that.
func TestPrivateSensitivity(t *testing.T) {
	tab := declaredTable(t, 300, 4)
	st := NewPrivateStatistics(tab.Schema(), Noise{Sigma: 1})
	require.InDelta(t, math.Sqrt(2+6), st.Sensitivity(), 1e-15, "rows, positives and six features; groups are not counted")
	require.Equal(t, st.Sensitivity(), st.Sigma())
	all := make([]int32, tab.Rows())
	for i := range all {
		all[i] = int32(i)
	}
	whole, err := st.Count(tab)
	require.NoError(t, err)
	reached := 0
	for out := range all {
		without, err := st.Count(tab.Subset(slices.Delete(slices.Clone(all), out, out+1)))
		require.NoError(t, err)
		var square float64
		for i, w := range whole {
			square += float64((w - without[i]) * (w - without[i]))
		}
		require.LessOrEqual(t, math.Sqrt(square), st.Sensitivity())
		if math.Sqrt(square) == st.Sensitivity() {
			reached++
		}
	}
	require.Positive(t, reached)
	require.Zero(t, NewStatistics(tab.Schema()).Sensitivity())
	require.Zero(t, NewStatistics(tab.Schema()).Sigma())
}

// TestPrivateCategories: a value is kept from max(Floor, 4σ) rows on; the rest
// counts together.
func TestPrivateCategories(t *testing.T) {
	s, err := ParseSchema([]byte("name: x\nlabel: {column: y, positive: 1}\ncolumns:\n  k: {type: category, values: [a, b, c, d]}\n"))
	require.NoError(t, err)
	slots := func(sigma float64, sum ...int64) []int64 {
		st := NewPrivateStatistics(s, Noise{Sigma: sigma / math.Sqrt(3)})
		require.InDelta(t, sigma, st.Sigma(), 1e-9)
		require.NoError(t, st.Apply(append([]int64{5000, 100}, sum...)))
		e, err := st.Encoder()
		require.NoError(t, err)
		spreads, err := st.Spreads(e)
		require.NoError(t, err)
		return spreads[0].Rows
	}
	require.Equal(t, []int64{3000, 1000, 0, 0, 38, 20}, slots(.1, 3000, 1000, 19, 19, 20))
	require.Equal(t, []int64{3000, 1000, 0, 0, 0, 0}, slots(100, 3000, 1000, 399, -250, 399))
	require.Equal(t, []int64{3000, 0, 0, 0, 1100, 0}, slots(100, 3000, 399, 399, 382, -80))
}

func TestPrivateRefuses(t *testing.T) {
	tab := declaredTable(t, 300, 5)
	noise := Noise{Sigma: 1}
	for name, c := range map[string]struct {
		spoil func(v []int64) []int64
		want  string
	}{
		"short":    {func(v []int64) []int64 { return v[1:] }, "words, want"},
		"few rows": {func(v []int64) []int64 { v[0] = 19; return v }, "at least 20 are needed"},
		"negative": {func(v []int64) []int64 { v[0] = -5000; return v }, "-5000 labelled training rows"},
		"huge":     {func(v []int64) []int64 { v[7] = math.MaxInt64; return v }, "word 7"},
		"lowest":   {func(v []int64) []int64 { v[7] = math.MinInt64; return v }, "word 7"},
	} {
		t.Run(name, func(t *testing.T) {
			st := NewPrivateStatistics(tab.Schema(), noise)
			require.ErrorContains(t, st.Apply(c.spoil(noised(t, st, 5, tab))), c.want)
		})
	}
	st := NewPrivateStatistics(tab.Schema(), noise)
	_, err := st.Encoder()
	require.ErrorContains(t, err, "still to come")
	_, err = st.Spreads(&Encoder{})
	require.ErrorContains(t, err, "still to come")
	require.NoError(t, st.Apply(noised(t, st, 5, tab)))
	require.ErrorIs(t, st.Apply(nil), errDone)
	_, err = st.Count(tab)
	require.ErrorIs(t, err, errDone)
	require.NotEqual(t, NewPrivateStatistics(tab.Schema(), noise).Query(), NewStatistics(tab.Schema()).Query())
	require.NotEqual(t, NewPrivateStatistics(tab.Schema(), noise).Query(), NewPrivateStatistics(tab.Schema(), Noise{Sigma: 2}).Query())
}

func TestCheckPrivate(t *testing.T) {
	require.NoError(t, CheckPrivate(declaredTable(t, 30, 6).Schema()))
	for column, want := range map[string]string{
		"a: {type: number}":   "column a: with record-level privacy a number needs a declared range",
		"a: {type: category}": "column a: with record-level privacy a category needs its values declared",
		"b: {type: boolean}\n  a: {type: category, role: group}": "column a: with record-level privacy a category needs its values declared",
	} {
		s, err := ParseSchema([]byte("name: x\nlabel: {column: y, positive: 1}\ncolumns:\n  " + column + "\n"))
		require.NoError(t, err)
		require.ErrorContains(t, CheckPrivate(s), want)
		NewPrivateStatistics(s, Noise{Sigma: 1}).Words() // refused by plans, and yet no panic
	}
}

// TestPrivateLeaves: what stands out of σ = 10 alone, together, or not at all.
func TestPrivateLeaves(t *testing.T) {
	leaves := func(counts ...int64) (out []leaf) {
		n := &noisyNumber{counts: counts, lowest: 100}
		for i := range counts {
			n.upper = append(n.upper, uint32(110+10*i))
		}
		n.denoise(10)
		return n.leaves
	}
	require.Equal(t, []leaf{{100, 110, 20}, {121, 130, 20}}, leaves(20, 0, 20, 19), "19 is noise")
	require.Equal(t, []leaf{{100, 120, 30}, {141, 160, 29}}, leaves(15, 15, 0, -30, 15, 14, 1), "two cells from √2·20 on")
	require.Equal(t, []leaf{{121, 130, 500}, {131, 160, 36}}, leaves(3, -9, 500, 12, 12, 12), "nothing begins below")
	require.Equal(t, []leaf{{121, 130, 515}}, leaves(10, 5, 500, -100, 5), "15 are counted to the cell above")
	require.Empty(t, leaves(1, -1, 19, -19, 8, 8))
}

// TestPrivateCells: cells rise, end at the range's ends and are never wider than
// a 100th of it, or of the logarithm of a wide one.
func TestPrivateCells(t *testing.T) {
	for _, r := range [][2]float64{{0, 1}, {-5, 5}, {0, 1e6}, {-1e9, 1e9}, {1e6, 1e6 + 1}, {0, 1e-30}, {-math.MaxFloat32, math.MaxFloat32}, {3, 3.0000002}} {
		n := newNoisyNumber(Column{Name: "x", Range: &r})
		require.LessOrEqual(t, len(n.upper), noisyCells)
		require.True(t, slices.IsSorted(n.upper))
		require.Equal(t, float32(r[1]), unkey(n.upper[len(n.upper)-1]))
		if r[1]-r[0] == 1 && r[0] == 0 {
			require.Len(t, n.upper, noisyCells)
			require.Equal(t, float32(.5), unkey(n.upper[63]))
		}
		if r[1] == 1e6 && r[0] == 0 {
			require.Len(t, n.upper, noisyCells)
			require.InDelta(t, 1000, unkey(n.upper[63]), 60, "half-way is the root")
		}
	}
	for _, x := range []float64{0, .5, -.5, 1, 1000, -1e30} {
		require.InEpsilon(t, 1+x, 1+unNearLog(nearLog(x)), 1e-12)
	}
}

func TestPrivateState(t *testing.T) {
	tab := declaredTable(t, 3000, 7)
	noise := Noise{Sigma: 2, Members: 1}
	st := NewPrivateStatistics(tab.Schema(), noise)
	for range 2 {
		b, err := st.MarshalBinary()
		require.NoError(t, err)
		back, err := UnmarshalPrivateStatistics(tab.Schema(), noise, b)
		require.NoError(t, err)
		require.Equal(t, st, back)
		_, err = UnmarshalStatistics(tab.Schema(), b)
		require.ErrorContains(t, err, "version")
		for _, bad := range [][]byte{b[:len(b)-1], append(slices.Clone(b), 0), append([]byte{1}, b[1:]...)} {
			_, err = UnmarshalPrivateStatistics(tab.Schema(), noise, bad)
			require.Error(t, err)
		}
		if !st.Done() {
			require.NoError(t, st.Apply(noised(t, st, 7, tab)))
		}
	}
}

// TestPrivateGolden pins the digest, so that another processor or compiler that
// rounds differently is noticed (S61).
func TestPrivateGolden(t *testing.T) {
	tab := declaredTable(t, 5000, 8)
	st := NewPrivateStatistics(tab.Schema(), Noise{Sigma: 4, Members: 1})
	require.NoError(t, st.Apply(noised(t, st, 8, tab)))
	e, err := st.Encoder()
	require.NoError(t, err)
	d := e.Digest()
	require.Equal(t, "611f5176f4cb9ff5d5bc00b17c2cf4bd43845a53baa112733adeb658e8ed9474", hex.EncodeToString(d[:]))
}

func FuzzUnmarshalPrivateStatistics(f *testing.F) {
	tab := declaredTable(f, 300, 9)
	noise := Noise{Sigma: 1, Members: 1}
	st := NewPrivateStatistics(tab.Schema(), noise)
	f.Add([]byte{2, 0})
	f.Add([]byte{1, 0})
	require.NoError(f, st.Apply(noised(f, st, 9, tab)))
	b, _ := st.MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := UnmarshalPrivateStatistics(tab.Schema(), noise, b)
		if err != nil {
			return
		}
		back, err := st.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, b, back)
		if !st.Done() {
			return
		}
		if e, err := st.Encoder(); err == nil {
			require.NoError(t, e.Validate())
			_, err = st.Spreads(e)
			require.NoError(t, err)
		}
	})
}
