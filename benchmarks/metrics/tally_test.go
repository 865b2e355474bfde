package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// rare draws scores of a rare event as a calibrated model would give them.
func rare(seed uint64, rows int) (scores []float64, labels []int8, groups [][]int16) {
	r := rand.New(rand.NewPCG(seed, 1))
	groups = make([][]int16, 2)
	for range rows {
		p := 1 / (1 + math.Exp(5-1.3*r.NormFloat64()))
		scores = append(scores, p)
		y := int8(0)
		if r.Float64() < p {
			y = 1
		}
		labels = append(labels, y)
		groups[0] = append(groups[0], int16(r.IntN(3)))
		groups[1] = append(groups[1], int16(r.IntN(3)-1))
	}
	return scores, labels, groups
}

var schema = TallySchema{Groups: []GroupColumn{{"region", []string{"N1", "N2", "N3"}}, {"sex", []string{"female", "male"}}}}

func tally(t *testing.T, s TallySchema, words []int64) *Tally {
	parsed, err := s.Parse(words)
	require.NoError(t, err)
	return parsed
}

// TestTallySums: tallies of nodes add up to the tally of the pooled rows (S52).
func TestTallySums(t *testing.T) {
	scores, labels, groups := rare(1, 3000)
	whole, err := schema.Count(scores, labels, groups)
	require.NoError(t, err)
	require.Len(t, whole, schema.Words())
	total := make([]int64, schema.Words())
	for i := range 3 {
		a, b := i*1000, (i+1)*1000
		part, err := schema.Count(scores[a:b], labels[a:b], [][]int16{groups[0][a:b], groups[1][a:b]})
		require.NoError(t, err)
		for w := range part {
			total[w] += part[w]
		}
	}
	require.Equal(t, whole, total)
}

// TestTallyFigures compares binned figures with exact ones within stated bounds.
func TestTallyFigures(t *testing.T) {
	scores, labels, groups := rare(2, 60000)
	words, err := schema.Count(scores, labels, groups)
	require.NoError(t, err)
	ty := tally(t, schema, words)
	exact, err := Exact(scores, labels, .05)
	require.NoError(t, err)
	x := Sample{Scores: scores, Labels: labels}

	a := ty.AUROC()
	require.InDelta(t, *exact.AUROC, a.Value, *ty.AUROCError())
	require.InDelta(t, *exact.AUROC, a.Value, 2e-4)
	require.Less(t, *ty.AUROCError(), .006)
	require.InDelta(t, *x.Curve().DeLong(), *ty.Curve().DeLong(), 1e-6)
	require.InDelta(t, *exact.AUPRC, *ty.AUPRC(), .005)
	require.InDelta(t, *exact.Brier, *ty.Brier(), 5e-7)
	require.InDelta(t, *exact.ECE, *ty.ECE(), 5e-7)
	require.InDelta(t, *exact.LogLoss, *ty.LogLoss(), 5e-7)
	require.InDelta(t, *exact.TPRAtFPR.At5, ty.TPRAtFPR(.05).Value, .01)

	cut, ok := ty.Threshold(.05)
	require.True(t, ok)
	require.Equal(t, x.Confusion(cut), ty.Confusion(cut), "exact at the operating threshold")
	require.LessOrEqual(t, *ty.Confusion(cut).FPR(), .05)
	require.Greater(t, *ty.Confusion(cut).FPR(), .045)

	n2, ok := ty.Group("region", "N2")
	require.True(t, ok)
	own := x.Only(func(row int) bool { return groups[0][row] == 1 })
	require.Equal(t, own.Confusion(cut), n2.Confusion(cut))
	require.InDelta(t, *own.MeanScore()*float64(len(own.Scores)), n2.Expected(), 5e-7*float64(len(own.Scores)))
	_, ok = ty.Group("region", "N9")
	require.False(t, ok)
	rest, ok := ty.OtherRows("sex")
	require.True(t, ok)
	require.Greater(t, rest.Rows(), int64(15000))
}

// TestBinsKeepOrder: scores ≥ Cut(b) are exactly those in bins b and above.
func TestBinsKeepOrder(t *testing.T) {
	for _, bins := range []int{32, 512, 2048} {
		s := TallySchema{Bins: bins}
		for b := 1; b < bins; b++ {
			c := s.Cut(b)
			require.Equal(t, b, s.Bin(c))
			require.Equal(t, b-1, s.Bin(math.Nextafter(c, 0)))
			require.Equal(t, b, s.cutBin(c))
		}
		require.Equal(t, 0, s.Bin(0))
		require.Equal(t, bins-1, s.Bin(1))
		require.True(t, math.IsInf(s.Cut(bins), 1))
	}
	require.InDelta(t, .5, TallySchema{}.Cut(256), 0)
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(0, 1).Draw(t, "a"), rapid.Float64Range(0, 1).Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		if schema.Bin(a) > schema.Bin(b) {
			t.Fatalf("Bin(%v) > Bin(%v)", a, b)
		}
	})
}

func TestCountRefuses(t *testing.T) {
	group := [][]int16{{0}, {0}}
	for name, try := range map[string]func() error{
		"not a number": func() error { _, err := schema.Count([]float64{math.NaN()}, []int8{0}, group); return err },
		"above one":    func() error { _, err := schema.Count([]float64{1.1}, []int8{0}, group); return err },
		"label":        func() error { _, err := schema.Count([]float64{.1}, []int8{2}, group); return err },
		"labels":       func() error { _, err := schema.Count([]float64{.1}, nil, group); return err },
		"columns":      func() error { _, err := schema.Count([]float64{.1}, []int8{0}, group[:1]); return err },
		"rows":         func() error { _, err := schema.Count([]float64{.1}, []int8{0}, [][]int16{{0}, {}}); return err },
		"value":        func() error { _, err := schema.Count([]float64{.1}, []int8{0}, [][]int16{{0}, {2}}); return err },
		"bins":         func() error { _, err := TallySchema{Bins: 500}.Count(nil, nil, nil); return err },
		"twice":        func() error { return TallySchema{Groups: []GroupColumn{{"a", []string{"x", "x"}}}}.Validate() },
	} {
		require.Error(t, try(), name)
	}
	words, err := schema.Count([]float64{.1}, []int8{-1}, group)
	require.NoError(t, err)
	require.Zero(t, sum(words), "a row without label is not counted")
}

// TestParseRefuses changes single words of a sound tally.
func TestParseRefuses(t *testing.T) {
	scores, labels, groups := rare(3, 500)
	words, err := schema.Count(scores, labels, groups)
	require.NoError(t, err)
	require.NoError(t, schema.SetGain(words, scores, scores, labels))
	width := schema.stratumWords()
	cells := 2 * DefaultBins
	for name, at := range map[string]int{
		"bin": 7, "cell": cells, "found": cells + 1, "score": cells + 2,
		"group bin": width + 7, "group squared": 2*width - 2,
	} {
		for _, by := range []int64{-1 << 40, -1, 1, 1 << 40, math.MinInt64 / 2, math.MaxInt64 / 2} {
			w := slices.Clone(words)
			w[at] += by
			_, err := schema.Parse(w)
			require.Error(t, err, "%s by %d", name, by)
		}
	}
	gain := len(words) - GainWords
	for i, by := range []int64{2, One + 1, -5, -2, VarianceOne + 1} {
		w := slices.Clone(words)
		w[gain+i] += by
		_, err := schema.Parse(w)
		require.Error(t, err, "gain word %d", i)
	}
	_, err = schema.Parse(words[1:])
	require.Error(t, err)
	_, err = schema.Parse(words)
	require.NoError(t, err)
}

func TestEmptyTally(t *testing.T) {
	ty := tally(t, schema, make([]int64, schema.Words()))
	require.Nil(t, ty.AUROC())
	require.Nil(t, ty.AUPRC())
	require.Nil(t, ty.Brier())
	require.Nil(t, ty.ECE())
	require.Nil(t, ty.TPRAtFPR(.05))
	require.Nil(t, ty.Gain.Mean())
	_, ok := ty.Threshold(.05)
	require.False(t, ok)
}

func TestDigestSeparatesSchemas(t *testing.T) {
	other := TallySchema{Groups: []GroupColumn{{"region", []string{"N1", "N2", "N3sex"}}, {"", []string{"female", "male"}}}}
	require.NotEqual(t, schema.Digest(), other.Digest())
	require.Equal(t, TallySchema{}.Digest(), TallySchema{Bins: DefaultBins}.Digest())
	require.NotEqual(t, TallySchema{}.Digest(), TallySchema{Bins: 256}.Digest())
}

// TestGain: the summed words give the members' mean gain and its variance.
func TestGain(t *testing.T) {
	total := make([]int64, schema.Words())
	var gains, variances []float64
	for node := range uint64(4) {
		scores, labels, groups := rare(10+node, 4000)
		r := rand.New(rand.NewPCG(node, 2))
		alone := make([]float64, len(scores))
		for i, p := range scores {
			alone[i] = min(p*math.Exp(r.NormFloat64()), 1)
		}
		words, err := schema.Count(scores, labels, groups)
		require.NoError(t, err)
		require.NoError(t, schema.SetGain(words, scores, alone, labels))
		g, v, err := PairedGain(scores, alone, labels)
		require.NoError(t, err)
		gains, variances = append(gains, *g), append(variances, *v)
		for i, w := range words {
			total[i] += w
		}
	}
	gain := tally(t, schema, total).Gain
	mean := gain.Mean()
	require.EqualValues(t, 4, gain.Defined)
	require.EqualValues(t, 4, gain.Gained)
	require.InDelta(t, (gains[0]+gains[1]+gains[2]+gains[3])/4, mean.Value, 1e-6)
	se := math.Sqrt(variances[0]+variances[1]+variances[2]+variances[3]) / 4
	require.InDelta(t, mean.Value-Z95*se, mean.Low, 1e-5)
	require.Less(t, *gain.Spread(), .2)
}

// TestPairedVariance: against nothing, the paired variance is DeLong's own.
func TestPairedVariance(t *testing.T) {
	scores, labels, _ := rare(20, 2000)
	flat := make([]float64, len(scores))
	g, v, err := PairedGain(scores, flat, labels)
	require.NoError(t, err)
	curve := Sample{Scores: scores, Labels: labels}.Curve()
	require.InDelta(t, *curve.AUROC()-.5, *g, 1e-12)
	require.InDelta(t, *curve.DeLong(), *v, 1e-12)
	g, _, err = PairedGain(scores[:1], flat[:1], labels[:1])
	require.NoError(t, err)
	require.Nil(t, g)
	words := make([]int64, schema.Words())
	require.NoError(t, schema.SetGain(words, scores[:1], flat[:1], labels[:1]))
	require.Zero(t, sum(words))
}

// FuzzParse: whatever Parse takes yields figures in range, without a panic.
func FuzzParse(f *testing.F) {
	s := TallySchema{Bins: 32, Groups: []GroupColumn{{"sex", []string{"f", "m"}}}}
	scores, labels, groups := rare(4, 40)
	for i := range groups[1] {
		groups[1][i] = max(groups[1][i], 0)
	}
	words, err := s.Count(scores, labels, groups[1:])
	require.NoError(f, err)
	require.NoError(f, s.SetGain(words, scores, scores, labels))
	f.Add(0, int64(0), 1, int64(1))
	f.Add(40, int64(-1), len(words)-1, int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, at int, by int64, at2 int, by2 int64) {
		w := slices.Clone(words)
		w[int(uint(at)%uint(len(w)))] += by
		w[int(uint(at2)%uint(len(w)))] += by2
		ty, err := s.Parse(w)
		if err != nil {
			return
		}
		for _, e := range []*Estimate{ty.AUROC(), ty.TPRAtFPR(.05)} {
			if e != nil && !(0 <= e.Low && e.Low <= e.Value && e.Value <= e.High && e.High <= 1) {
				t.Fatalf("%+v", e)
			}
		}
		if g := ty.Gain.Mean(); g != nil && !(-1 <= g.Low && g.Low <= g.Value && g.Value <= g.High && g.High <= 1) {
			t.Fatalf("gain %+v", g)
		}
		if b := ty.Brier(); b != nil && !(*b >= 0 && *b <= 1) {
			t.Fatalf("brier %v", *b)
		}
	})
}
