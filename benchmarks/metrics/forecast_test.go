package metrics

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var forecastSchema = CountSchema{Groups: []GroupColumn{{Name: "mode", Values: []string{"air", "land"}}}}

// forecasts are those of a node whose model is off by a tenth and whose baseline by a third.
func forecasts(seed uint64, rows int) Forecasts {
	r := rand.New(rand.NewPCG(seed, 3))
	f := Forecasts{Groups: [][]int16{make([]int16, rows)}}
	for i := range rows {
		y := float64(20 + r.IntN(400))
		mean := y * (0.9 + 0.2*r.Float64())
		f.Counts = append(f.Counts, int32(y))
		f.Means, f.Alone = append(f.Means, mean), append(f.Alone, y*(0.8+0.4*r.Float64()))
		f.Low, f.High = append(f.Low, int64(mean*0.95)), append(f.High, int64(mean*1.05))
		base := float32(y * (0.7 + 0.6*r.Float64()))
		if i%4 == 0 {
			base = float32(math.NaN())
		}
		f.Baseline = append(f.Baseline, base)
		f.Groups[0][i] = int16(i%3) - 1
	}
	return f
}

func TestDeviance(t *testing.T) {
	require.InDelta(t, 2*(5*math.Log(5./3)-2), Deviance(5, 3), 1e-12)
	require.Equal(t, 6.0, Deviance(0, 3))
	require.Zero(t, Deviance(7, 7))
}

func TestForecastTallyIsTheFigures(t *testing.T) {
	nodes := []Forecasts{forecasts(1, 300), forecasts(2, 200), forecasts(3, 9)}
	sum := make([]int64, forecastSchema.Words())
	var rows, inside, observed float64
	var expected, deviance, chi, paired, own, base float64
	gained, defined := [2]int64{}, [2]int64{}
	for _, f := range nodes {
		words, err := forecastSchema.Count(f)
		require.NoError(t, err)
		for i, w := range words {
			require.LessOrEqual(t, w, int64(IntMax))
			sum[i] += w
		}
		for i, y := range f.Counts {
			y, mean := float64(y), f.Means[i]
			rows, observed, expected = rows+1, observed+y, expected+mean
			deviance, chi = deviance+Deviance(y, mean), chi+(y-mean)*(y-mean)/mean
			if int64(y) >= f.Low[i] && int64(y) <= f.High[i] {
				inside++
			}
			if b := float64(f.Baseline[i]); b == b {
				paired, own, base = paired+1, own+Deviance(y, mean), base+Deviance(y, b)
			}
		}
		alone, over := f.Gains()
		for i, g := range []*float64{alone, over} {
			if g != nil {
				defined[i]++
				if *g >= 0.05 {
					gained[i]++
				}
			}
		}
	}
	tally, err := forecastSchema.Parse(sum)
	require.NoError(t, err)
	require.Equal(t, int64(rows), tally.Rows())
	require.Equal(t, int64(observed), tally.Observed())
	require.InDelta(t, expected, tally.Expected(), 0.3)
	require.InDelta(t, deviance/rows, *tally.Deviance(), 5e-4)
	require.InDelta(t, base/paired, *tally.BaseDeviance(), 5e-4)
	require.InDelta(t, 1-own/base, *tally.BaseGain(), 1e-4)
	require.InDelta(t, inside/rows, tally.Coverage().Value, 1e-12)
	require.InDelta(t, (expected-observed)/rows, *tally.MeanError(), 1e-3)
	require.InDelta(t, observed/expected, *tally.Ratio(), 1e-5)
	if chi > rows {
		require.InEpsilon(t, expected/(chi-rows), *tally.Dispersion(), 1e-2)
	}
	require.Equal(t, []int64{2, 2}, []int64{tally.Alone.Defined, tally.Base.Defined}, "nine rows make no gain")
	require.Equal(t, gained, [2]int64{tally.Alone.AtLeast[1], tally.Base.AtLeast[1]})
	share, ok := tally.Base.Share(0.05)
	require.True(t, ok)
	require.Equal(t, float64(gained[1])/2, share)
	_, ok = tally.Base.Share(0.07)
	require.False(t, ok)
	require.NotNil(t, tally.Base.Spread())

	air, _ := tally.Group("mode", "air")
	land, _ := tally.Group("mode", "land")
	other, _ := tally.OtherRows("mode")
	require.Equal(t, tally.Rows(), air.Rows()+land.Rows()+other.Rows())
	_, ok = tally.Group("mode", "sea")
	require.False(t, ok)
}

// TestDispersionIsRecovered: the moment estimate of counts with a known dispersion.
func TestDispersionIsRecovered(t *testing.T) {
	var s CountStratum
	const k, mean, rows = 8.0, 100.0, 1000
	s.Inside, s.pearson = rows, int64(rows*(1+mean/k)*CountOne)
	s.Bands[7] = CountBand{Rows: rows, expected: rows * mean * CountOne}
	require.InEpsilon(t, k, *s.Dispersion(), 1e-6)
	s.pearson = rows * CountOne
	require.Nil(t, s.Dispersion(), "no more scatter than Poisson's")
}

func TestForecastsAreRefused(t *testing.T) {
	for name, edit := range map[string]func(*Forecasts){
		"length":   func(f *Forecasts) { f.Means = f.Means[1:] },
		"negative": func(f *Forecasts) { f.Counts[0] = -1 },
		"mean":     func(f *Forecasts) { f.Means[0] = math.NaN() },
		"interval": func(f *Forecasts) { f.Low[0] = f.High[0] + 1 },
		"group":    func(f *Forecasts) { f.Groups[0][0] = 2 },
		"groups":   func(f *Forecasts) { f.Groups = nil },
		"alone":    func(f *Forecasts) { f.Alone = f.Alone[1:] },
	} {
		f := forecasts(1, 30)
		edit(&f)
		_, err := forecastSchema.Count(f)
		require.Error(t, err, name)
	}
}

func TestForecastSumsAreRefused(t *testing.T) {
	words, err := forecastSchema.Count(forecasts(1, 300))
	require.NoError(t, err)
	gain := len(words) - 2*countGainWords
	for name, edit := range map[string]func([]int64){
		"negative":          func(w []int64) { w[3] = -1 },
		"intervals":         func(w []int64) { w[0]++ },
		"paired":            func(w []int64) { w[5] = w[0] + w[1] + w[2] + 1 },
		"deviance":          func(w []int64) { w[4] = math.MaxInt64 },
		"band":              func(w []int64) { w[countHead+2] = 1 << 50 },
		"groups fall short": func(w []int64) { w[countStratumWords+4]-- },
		"groups exceed":     func(w []int64) { w[countStratumWords+4] += 1 << 40 },
		"gain":              func(w []int64) { w[gain+1] = 2 },
		"margins":           func(w []int64) { w[gain+2] = w[gain+1] + 1 },
		"gain sum":          func(w []int64) { w[gain+4] = 2 * One },
		"short":             func([]int64) {},
	} {
		bad := append([]int64(nil), words...)
		edit(bad)
		if name == "short" {
			bad = bad[1:]
		}
		_, err := forecastSchema.Parse(bad)
		require.Error(t, err, name)
	}
}

// TestLargestForecasts: the worst rows stay within IntMax and a sum of them is read.
func TestLargestForecasts(t *testing.T) {
	f := Forecasts{
		Counts: []int32{maxCount, 0}, Means: []float64{math.Exp(-16), math.Exp(16)}, Low: []int64{0, 0}, High: []int64{0, 1 << 24},
		Baseline: []float32{0, maxCount}, Groups: [][]int16{{0, 1}},
	}
	words, err := forecastSchema.Count(f)
	require.NoError(t, err)
	for _, w := range words {
		require.LessOrEqual(t, w, int64(2*IntMax/MaxCountRows), "two rows")
	}
	_, err = forecastSchema.Parse(words)
	require.NoError(t, err)
}

// FuzzForecastTally: whatever is accepted has figures without a fault.
func FuzzForecastTally(f *testing.F) {
	words, err := forecastSchema.Count(forecasts(1, 30))
	require.NoError(f, err)
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint64(b, uint64(w))
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		words := make([]int64, len(b)/8)
		for i := range words {
			words[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
		}
		tally, err := forecastSchema.Parse(words)
		if err != nil {
			return
		}
		for _, v := range []*float64{tally.Deviance(), tally.BaseGain(), tally.Ratio(), tally.Dispersion(), tally.Base.Mean(), tally.Base.Spread()} {
			require.False(t, v != nil && math.IsNaN(*v))
		}
		require.Equal(t, tally.Rows(), tally.Inside+tally.Below+tally.Above)
	})
}
