package schedule_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/crypto/dp"
	"github.com/koinon-eu/koinon/models/aggregate"
	"github.com/koinon-eu/koinon/models/arch"
	"github.com/koinon-eu/koinon/models/feature"
	"github.com/koinon-eu/koinon/models/schedule"
)

func privateConfig(t *testing.T, algorithm aggregate.Spec, p *schedule.Privacy) schedule.Config {
	schema, err := feature.ParseSchema([]byte("name: p\nlabel: {column: y, positive: \"1\"}\ncolumns:\n  a: {type: number, range: [0, 1]}\n"))
	require.NoError(t, err)
	return schedule.Config{Schema: schema, Architecture: arch.Spec{Kind: arch.Logistic}, Algorithm: algorithm, Members: 3, Privacy: p}
}

// TestMechanisms: what steps cost, by kind and in all; steps of a round follow
// from the plan alone.
func TestMechanisms(t *testing.T) {
	p := &schedule.Privacy{Noise: 1.5, StatisticsNoise: 20, Clip: 1, Rate: 0.03}
	c := privateConfig(t, aggregate.Spec{Local: aggregate.MiniBatch, Rounds: 10, LocalEpochs: 2}, p)
	require.NoError(t, c.Validate())
	require.Equal(t, 68, c.LocalSteps())
	m, ok := c.Mechanism(schedule.Train)
	require.True(t, ok)
	require.Equal(t, dp.Mechanism{Rate: 0.03, Noise: 1.5, Steps: 68}, m)
	m, ok = c.Mechanism(schedule.Statistics)
	require.True(t, ok)
	require.Equal(t, dp.Mechanism{Rate: 1, Noise: 20, Steps: 1}, m)
	_, ok = c.Mechanism(schedule.Evaluate)
	require.False(t, ok)
	require.Equal(t, []dp.Mechanism{m, {Rate: 0.03, Noise: 1.5, Steps: 680}}, c.Mechanisms())

	one := privateConfig(t, aggregate.Spec{Local: aggregate.FullBatch, Rounds: 10}, p)
	require.Equal(t, 1, one.LocalSteps())
	plain := privateConfig(t, aggregate.Spec{}, nil)
	require.Nil(t, plain.Mechanisms())
	_, ok = plain.Mechanism(schedule.Train)
	require.False(t, ok)
	other := *p
	other.Noise = 1.6
	changed := c
	changed.Privacy = &other
	require.NotEqual(t, c.Digest(), changed.Digest(), "leaves of trees follow from the noise")
}

// TestUnnoisedWords: nothing of training rows enters a sum without noise, and no
// round is left out of the account, whoever makes the machine.
func TestUnnoisedWords(t *testing.T) {
	p := &schedule.Privacy{Noise: 1.5, StatisticsNoise: 20, Clip: 1, Rate: 1}
	c := privateConfig(t, aggregate.Spec{Rounds: 10, Stop: aggregate.Stop{Patience: 2}}, p)
	require.ErrorContains(t, c.Validate(), "needs a schema with an id")
	identified := *c.Schema
	identified.ID = "file"
	c.Schema = &identified
	for _, noise := range []float64{0, 1.499, -1, math.NaN()} {
		p.JudgeNoise = noise
		require.ErrorContains(t, c.Validate(), "judge_noise", "%v", noise)
	}
	p.JudgeNoise = 1.5
	require.NoError(t, c.Validate(), "what one gradient over all rows costs")
	c.Search = &schedule.Search{Grid: schedule.Grid{L2: []float64{1, 2, 3}}, Candidates: 3, Rounds: 3}
	require.NoError(t, c.Validate())
	require.Equal(t, uint64(10+2*3), c.Mechanisms()[1].Steps, "every candidate's rounds are counted")
	c.Search.Grid.LocalEpochs = []int{1, 2}
	require.ErrorContains(t, c.Validate(), "local_epochs")
	p.JudgeNoise = 0
	c = privateConfig(t, aggregate.Spec{Rounds: 10}, p)
	require.NoError(t, c.Validate())
	c.Start = &schedule.Start{}
	require.ErrorContains(t, c.Validate(), "warm_start")
}

// TestPrivateState is taken up again before and after its one sum of statistics.
func TestPrivateState(t *testing.T) {
	c := privateConfig(t, aggregate.Spec{Local: aggregate.FullBatch, Rounds: 1}, &schedule.Privacy{Noise: 1, StatisticsNoise: 1, Clip: 1, Rate: 1})
	m, err := schedule.New(c)
	require.NoError(t, err)
	step, _ := m.Next()
	require.Equal(t, uint32(1), step.Encoding.WeightCap)
	state, err := m.MarshalBinary()
	require.NoError(t, err)
	_, err = schedule.UnmarshalMachine(c, state)
	require.NoError(t, err)
	ints := make([]int64, step.Encoding.Layout.Ints)
	ints[0], ints[1] = 900, 300
	for i := 3; i < len(ints); i++ {
		ints[i] = 900 / int64(len(ints)-3)
	}
	ints[2] = -3 // noise
	sum := make([]uint64, step.Encoding.Layout.Words())
	words, err := step.Encoding.Encode(nil, ints, 1, nil)
	require.NoError(t, err)
	copy(sum, words)
	require.NoError(t, m.Apply(sum, 1))
	require.InDelta(t, 300, m.MeanRows(), 1)
	step, _ = m.Next()
	require.Equal(t, schedule.Train, step.Kind, "one sum of statistics")
	require.Equal(t, uint32(1), step.Encoding.WeightCap)
	state, err = m.MarshalBinary()
	require.NoError(t, err)
	again, err := schedule.UnmarshalMachine(c, state)
	require.NoError(t, err)
	require.Equal(t, m.Params(), again.Params())
}
