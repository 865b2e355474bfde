package attack

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// remembering is a model that is surer of a record it has seen: log-odds of a
// hardness of the record's own, noise, and gain for a member.
func remembering(gain, noise float64) Train {
	return func(_ context.Context, member []bool, seed uint64) ([]float64, error) {
		hardness, r := rand.New(rand.NewPCG(7, 7)), rand.New(rand.NewPCG(seed, 3))
		out := make([]float64, len(member))
		for i, in := range member {
			out[i] = 1 + 2*hardness.NormFloat64() + noise*r.NormFloat64()
			if in {
				out[i] += gain
			}
		}
		return out, nil
	}
}

func run(t *testing.T, train Train) *Report {
	r, err := Run(context.Background(), train, 2000, Config{Models: 12, Seed: 1, Resamples: 60})
	require.NoError(t, err)
	for _, f := range []Figures{r.Loss, r.LiRAOffline, r.LiRAOnline} {
		for _, e := range []Estimate{f.AUC, f.Advantage, f.TPRAt01, f.TPRAt1} {
			require.LessOrEqual(t, e.Low, e.High)
			require.InDelta(t, e.Value, (e.Low+e.High)/2, .1)
		}
	}
	return r
}

// TestNothingRemembered: chance on every figure, inside narrow intervals.
func TestNothingRemembered(t *testing.T) {
	r := run(t, remembering(0, 1))
	require.InDelta(t, r.MembersLoss, r.OthersLoss, .02)
	for name, f := range map[string]Figures{"loss": r.Loss, "offline": r.LiRAOffline, "online": r.LiRAOnline} {
		require.InDelta(t, .5, f.AUC.Value, .01, name)
		require.InDelta(t, 0, f.Advantage.Value, .02, name)
		require.InDelta(t, .01, f.TPRAt1.Value, .004, name)
		require.InDelta(t, .001, f.TPRAt01.Value, .0015, name)
		require.Less(t, f.AUC.High-f.AUC.Low, .03, name)
		require.LessOrEqual(t, f.AUC.Low, .5, name)
		require.GreaterOrEqual(t, f.AUC.High, .5, name)
	}
}

// TestRemembered: a gain of two standard deviations is Φ(2/√2) of AUC for who
// knows each record's hardness; the loss alone, over records that differ, shows
// less of it.
func TestRemembered(t *testing.T) {
	r := run(t, remembering(2, 1))
	require.Less(t, r.MembersLoss, r.OthersLoss-.2)
	require.InDelta(t, .921, r.LiRAOnline.AUC.Value, .02)
	require.InDelta(t, .921, r.LiRAOffline.AUC.Value, .03)
	require.InDelta(t, .736, r.Loss.AUC.Value, .02, "Φ(2/√10)")
	require.Greater(t, r.LiRAOnline.Advantage.Low, .6)
	require.InDelta(t, 2*.8413-1, r.LiRAOnline.Advantage.Value, .04, "Φ(1) − Φ(−1)")
	require.Greater(t, r.LiRAOnline.TPRAt1.Low, .2)
	require.Greater(t, r.LiRAOnline.TPRAt01.Low, .05)
	require.InDelta(t, .076, r.Loss.TPRAt1.Value, .02, "Φ((2 − 2.33·√5)/√5)")
}

// TestRememberedByHeart: a model that is certain of what it has seen.
func TestRememberedByHeart(t *testing.T) {
	r := run(t, remembering(20, 0))
	require.InDelta(t, 1, r.LiRAOnline.AUC.Value, 1e-9)
	require.InDelta(t, 1, r.LiRAOnline.TPRAt01.Value, 1e-9)
	require.InDelta(t, 1, r.LiRAOnline.Advantage.Value, 1e-9)
	require.Greater(t, r.Loss.AUC.Value, .99)
}

// TestSameReport: the same seed, the same figures; another, others.
func TestSameReport(t *testing.T) {
	cfg := Config{Models: 6, Seed: 3, Resamples: 20}
	a, err := Run(context.Background(), remembering(1, 1), 100, cfg)
	require.NoError(t, err)
	b, err := Run(context.Background(), remembering(1, 1), 100, cfg)
	require.NoError(t, err)
	require.Equal(t, a, b)
	cfg.Seed = 4
	c, err := Run(context.Background(), remembering(1, 1), 100, cfg)
	require.NoError(t, err)
	require.NotEqual(t, a.LiRAOnline, c.LiRAOnline)
}

// TestHalves: a record trains one model of each pair.
func TestHalves(t *testing.T) {
	var seen [][]bool
	_, err := Run(context.Background(), func(ctx context.Context, member []bool, seed uint64) ([]float64, error) {
		seen = append(seen, member)
		return make([]float64, len(member)), nil
	}, 101, Config{Models: 8, Seed: 2})
	require.NoError(t, err)
	for m := 0; m < len(seen); m += 2 {
		n := 0
		for i := range seen[m] {
			require.NotEqual(t, seen[m][i], seen[m+1][i])
			if seen[m][i] {
				n++
			}
		}
		require.Equal(t, 50, n)
	}
	require.NotEqual(t, seen[0], seen[2])
}

func TestRunRefuses(t *testing.T) {
	broken := errors.New("no such table")
	good := remembering(0, 1)
	for name, c := range map[string]struct {
		train   Train
		records int
		cfg     Config
		want    string
	}{
		"records":   {good, 19, Config{Models: 6}, "19 records"},
		"models":    {good, 50, Config{Models: 4}, "4 models"},
		"odd":       {good, 50, Config{Models: 7}, "7 models"},
		"resamples": {good, 50, Config{Models: 6, Resamples: -1}, "resamples"},
		"training":  {func(context.Context, []bool, uint64) ([]float64, error) { return nil, broken }, 50, Config{Models: 6}, "no such table"},
		"length":    {func(context.Context, []bool, uint64) ([]float64, error) { return make([]float64, 3), nil }, 50, Config{Models: 6}, "3 log-odds for 50"},
		"infinite": {func(_ context.Context, m []bool, _ uint64) ([]float64, error) {
			return append(make([]float64, len(m)-1), math.Inf(1)), nil
		}, 50, Config{Models: 6}, "record 49"},
	} {
		_, err := Run(context.Background(), c.train, c.records, c.cfg)
		require.ErrorContains(t, err, c.want, name)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Run(ctx, good, 50, Config{Models: 6})
	require.ErrorIs(t, err, context.Canceled)
}
