package fairness

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

// world tallies rows of six nationality groups; shift moves the scores of the
// last groups without moving their labels.
func world(t *testing.T, rows int, shift float64) *metrics.Tally {
	s := metrics.TallySchema{Groups: []metrics.GroupColumn{
		{Name: "nationality_group", Values: []string{"N1", "N2", "N3", "N4", "N5", "N6"}},
		{Name: "sex", Values: []string{"female", "male", "unspecified"}},
	}}
	mix := []float64{.22, .42, .60, .76, .90, 1}
	r := rand.New(rand.NewPCG(7, 7))
	var scores []float64
	var labels []int8
	groups := make([][]int16, 2)
	for range rows {
		u, g := r.Float64(), 0
		for u > mix[g] {
			g++
		}
		logit := -4.9 + 1.4*r.NormFloat64()
		y := int8(0)
		if r.Float64() < 1/(1+math.Exp(-logit)) {
			y = 1
		}
		logit += shift * float64(g) / 5
		scores = append(scores, 1/(1+math.Exp(-logit)))
		labels = append(labels, y)
		groups[0] = append(groups[0], int16(g))
		sex := int16(r.IntN(2))
		if r.Float64() < .005 {
			sex = 2
		}
		groups[1] = append(groups[1], sex)
	}
	words, err := s.Count(scores, labels, groups)
	require.NoError(t, err)
	require.NoError(t, s.SetGain(words, scores, scores, labels))
	tally, err := s.Parse(words)
	require.NoError(t, err)
	return tally
}

var options = Options{FPR: .05, Withheld: map[string][]string{"sex": {"unspecified"}}}

func outcomes(results []Result) (out []Outcome) {
	for _, r := range results {
		out = append(out, r.Outcome)
	}
	return out
}

func planGates() []Gate {
	return []Gate{
		{Metric: AUROC, Bound: Lower, AtLeast: number(.75), Evidence: Evidence{Positives: 100}},
		{Metric: FPRGap, Group: "nationality_group", Bound: Upper, AtMost: number(.06), Evidence: Evidence{NegativesPerGroup: 500}},
		{Metric: FPRGap, Group: "sex", Bound: Upper, AtMost: number(.03), Evidence: Evidence{NegativesPerGroup: 2000}},
		{Metric: OverExpected, Group: "nationality_group", IntervalContains: number(1), Else: Answer, Evidence: Evidence{PositivesPerGroup: 5}},
	}
}

// TestGates: a fair model passes, a shifted one is found by the gap and by
// observed over expected.
func TestGates(t *testing.T) {
	fair := Assess(world(t, 12000, 0), options)
	results := fair.Judge(planGates())
	require.Equal(t, []Outcome{Pass, Pass, Pass, Pass}, outcomes(results), "%+v", results)
	require.Equal(t, []string{"unspecified"}, results[2].NotJudged)
	passed, answers := Passed(results)
	require.True(t, passed)
	require.False(t, answers)

	shifted := Assess(world(t, 12000, 1.5), options).Judge(planGates())
	require.Equal(t, Fail, shifted[1].Outcome)
	require.Equal(t, Pass, shifted[2].Outcome)
	require.Equal(t, AnswerRequired, shifted[3].Outcome)
	require.Contains(t, shifted[3].Reason, "N6")
	passed, answers = Passed(shifted)
	require.False(t, passed || answers)
	passed, answers = Passed([]Result{{Outcome: Pass}, {Outcome: AnswerRequired}})
	require.True(t, !passed && answers)
}

// TestNoEvidenceNoPass: whatever lacks evidence is not passed, however good
// the figure.
func TestNoEvidenceNoPass(t *testing.T) {
	a := Assess(world(t, 3000, 0), options)
	lax := number(1)
	for name, c := range map[string]struct {
		gate Gate
		want Outcome
	}{
		"found":           {Gate{Metric: AUROC, Bound: Lower, AtLeast: number(0), Evidence: Evidence{Positives: 500}}, NotEnough},
		"nodes":           {Gate{Metric: Gain, Bound: Lower, AtLeast: number(-1), Evidence: Evidence{Nodes: 5}}, NotEnough},
		"rows":            {Gate{Metric: Brier, Bound: Point, AtMost: lax, Evidence: Evidence{Rows: 3001}}, NotEnough},
		"negatives":       {Gate{Metric: ECE, Bound: Point, AtMost: lax, Evidence: Evidence{Negatives: 3001}}, NotEnough},
		"per group":       {Gate{Metric: FPRGap, Group: "nationality_group", Bound: Upper, AtMost: lax, Evidence: Evidence{NegativesPerGroup: 500}}, NotEnough},
		"floor of rates":  {Gate{Metric: TPRGap, Group: "nationality_group", Bound: Upper, AtMost: lax}, NotEnough},
		"other demand":    {Gate{Metric: FPRGap, Group: "nationality_group", Bound: Upper, AtMost: lax, Evidence: Evidence{PositivesPerGroup: 30}}, NotEnough},
		"unknown column":  {Gate{Metric: FPRGap, Group: "region", Bound: Upper, AtMost: lax}, NotEnough},
		"answer, partly":  {Gate{Metric: OverExpected, Group: "sex", IntervalContains: lax, Else: Answer, Evidence: Evidence{PositivesPerGroup: 28}}, AnswerRequired},
		"answer, nothing": {Gate{Metric: OverExpected, Group: "sex", IntervalContains: lax, Else: Answer, Evidence: Evidence{PositivesPerGroup: 999}}, NotEnough},
		"no answer":       {Gate{Metric: OverExpected, Group: "sex", IntervalContains: lax, Evidence: Evidence{PositivesPerGroup: 28}}, NotEnough},
		"malformed":       {Gate{Metric: "luck"}, Fail},
	} {
		r := a.Judge([]Gate{c.gate})[0]
		require.Equal(t, c.want, r.Outcome, "%s: %s", name, r.Reason)
		require.NotEmpty(t, r.Reason)
	}
	empty := Assess(world(t, 0, 0), options)
	require.Nil(t, empty.Threshold)
	for _, r := range empty.Judge(append(planGates(), Gate{Metric: Brier, Bound: Point, AtMost: lax})) {
		require.Equal(t, NotEnough, r.Outcome)
	}
}

func TestGateValidate(t *testing.T) {
	for _, g := range planGates() {
		require.NoError(t, g.Validate())
	}
	for name, g := range map[string]Gate{
		"metric":          {Metric: "accuracy", Bound: Point, AtLeast: number(0)},
		"no limit":        {Metric: AUROC, Bound: Lower},
		"two limits":      {Metric: AUROC, Bound: Lower, AtLeast: number(0), AtMost: number(1)},
		"no group":        {Metric: FPRGap, Bound: Upper, AtMost: number(1)},
		"group":           {Metric: AUROC, Group: "sex", Bound: Lower, AtLeast: number(0)},
		"no bound":        {Metric: AUROC, AtLeast: number(0)},
		"no interval":     {Metric: ECE, Bound: Upper, AtMost: number(1)},
		"easy side":       {Metric: AUROC, Bound: Upper, AtLeast: number(0)},
		"easy other side": {Metric: FPRGap, Group: "sex", Bound: Lower, AtMost: number(0)},
		"contains":        {Metric: AUROC, IntervalContains: number(1)},
		"not contains":    {Metric: OverExpected, Group: "sex", Bound: Upper, AtMost: number(1)},
		"contains, bound": {Metric: OverExpected, Group: "sex", Bound: Upper, IntervalContains: number(1)},
		"else":            {Metric: AUROC, Bound: Lower, AtLeast: number(0), Else: "pass"},
		"not finite":      {Metric: AUROC, Bound: Lower, AtLeast: number(math.NaN())},
		"negative":        {Metric: AUROC, Bound: Lower, AtLeast: number(0), Evidence: Evidence{Rows: -1}},
	} {
		require.Error(t, g.Validate(), name)
	}
}

func column(cells ...[2]int64) (c Assessed) {
	for i, n := range cells {
		c.Groups = append(c.Groups, Group{Value: string(rune('a' + i)), Positives: n[0], Negatives: n[1], Rows: n[0] + n[1]})
	}
	return c
}

// TestVisible: no hidden cell can be found by subtracting from a total.
func TestVisible(t *testing.T) {
	for name, c := range map[string]struct {
		column Assessed
		want   []Visibility
	}{
		"all large":               {column([2]int64{50, 500}, [2]int64{60, 700}), []Visibility{Whole, Whole}},
		"one tiny hides a second": {column([2]int64{2, 3}, [2]int64{60, 700}, [2]int64{90, 900}), []Visibility{Hidden, Hidden, Whole}},
		"few found":               {column([2]int64{4, 500}, [2]int64{60, 700}, [2]int64{90, 900}), []Visibility{Coarse, Coarse, Whole}},
		"two tiny, too few yet":   {column([2]int64{1, 2}, [2]int64{1, 3}, [2]int64{60, 700}, [2]int64{90, 900}), []Visibility{Hidden, Hidden, Hidden, Whole}},
		"no rows":                 {column([2]int64{0, 0}, [2]int64{60, 700}, [2]int64{90, 900}), []Visibility{Coarse, Whole, Whole}},
		"two groups":              {column([2]int64{4, 2}, [2]int64{90, 900}), []Visibility{Hidden, Hidden}},
	} {
		require.Equal(t, c.want, c.column.Visible(), name)
	}
}
