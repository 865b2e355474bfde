package report

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koinon-eu/koinon/benchmarks/fairness"
	"github.com/koinon-eu/koinon/benchmarks/metrics"
)

var writePage = flag.String("page", "", "write the sample page to this file, to look at it")

func p(x float64) *float64 { return &x }

var attributes = []struct {
	column metrics.GroupColumn
	mix    []float64
}{
	{metrics.GroupColumn{Name: "nationality_group", Values: []string{"N1", "N2", "N3", "N4", "N5", "N6"}}, []float64{.22, .20, .18, .16, .14, .10}},
	{metrics.GroupColumn{Name: "age_band", Values: []string{"0-17", "18-24", "25-34", "35-49", "50-64", "65+"}}, []float64{.09, .14, .27, .29, .15, .06}},
	{metrics.GroupColumn{Name: "sex", Values: []string{"female", "male", "unspecified"}}, []float64{.4985, .4985, .003}},
}

// sampleTally is five members' tallies, summed: a rare event, a model of AUROC
// about .85 that scores the last nationality groups a little higher.
func sampleTally(t *testing.T, rows int) *metrics.Tally {
	s := metrics.TallySchema{}
	for _, a := range attributes {
		s.Groups = append(s.Groups, a.column)
	}
	total := make([]int64, s.Words())
	for member, share := range []float64{.25, .36, .23, .07, .09} {
		r := rand.New(rand.NewPCG(uint64(member), 11))
		var fed, alone []float64
		var labels []int8
		groups := make([][]int16, len(attributes))
		for range int(share * float64(rows)) {
			z := -5.1 + 1.55*r.NormFloat64()
			y := int8(0)
			if r.Float64() < 1/(1+math.Exp(-z)) {
				y = 1
			}
			for c, a := range attributes {
				u, v := r.Float64(), 0
				for v < len(a.mix)-1 && u > a.mix[v] {
					u -= a.mix[v]
					v++
				}
				groups[c] = append(groups[c], int16(v))
			}
			z += .08 * float64(groups[0][len(groups[0])-1])
			labels = append(labels, y)
			fed = append(fed, 1/(1+math.Exp(-z)))
			alone = append(alone, 1/(1+math.Exp(-z-r.NormFloat64()*(.4+.03/share))))
		}
		words, err := s.Count(fed, labels, groups)
		require.NoError(t, err)
		require.NoError(t, s.SetGain(words, fed, alone, labels))
		for i, w := range words {
			total[i] += w
		}
	}
	tally, err := s.Parse(total)
	require.NoError(t, err)
	return tally
}

func sampleInput(t *testing.T, rows int) Input {
	members := []string{"DE", "FR", "IT", "PL", "PT"}
	in := Input{
		Tally: sampleTally(t, rows),
		Plan: Plan{
			Federation: "koinon-demo", Name: "document-risk-2026-1",
			Digest: strings.Repeat("3f9ac2d4", 8), Artifact: strings.Repeat("b07e15a9", 8),
			Purpose: "document-risk", Unit: "application",
			Target:       "documents found false, counterfeit, forged or fraudulently obtained after examination",
			Use:          "order of expert examination; never a reason for refusal",
			Architecture: "logistic regression, 83 parameters", Algorithm: "FedAdam, full batch, 60 rounds, rate 0.1",
			Members: members, FPR: .05,
		},
		Gates: []fairness.Gate{
			{Metric: fairness.AUROC, Bound: fairness.Lower, AtLeast: p(.75), Evidence: fairness.Evidence{Positives: 100}},
			{Metric: fairness.Gain, Bound: fairness.Lower, AtLeast: p(-.02), Evidence: fairness.Evidence{Nodes: 5}},
			{Metric: fairness.FPRGap, Group: "nationality_group", Bound: fairness.Upper, AtMost: p(.06), Evidence: fairness.Evidence{NegativesPerGroup: 500}},
			{Metric: fairness.FPRGap, Group: "age_band", Bound: fairness.Upper, AtMost: p(.06), Evidence: fairness.Evidence{NegativesPerGroup: 500}},
			{Metric: fairness.FPRGap, Group: "sex", Bound: fairness.Upper, AtMost: p(.03), Evidence: fairness.Evidence{NegativesPerGroup: 2000}},
			{Metric: fairness.OverExpected, Group: "nationality_group", IntervalContains: p(1), Else: fairness.Answer, Evidence: fairness.Evidence{PositivesPerGroup: 30}},
		},
		Withheld: map[string][]string{"sex": {"unspecified"}},
	}
	for n := range uint32(64) {
		kind, survivors := "train", members
		switch {
		case n < 3:
			kind = "statistics"
		case n == 63:
			kind = "evaluate"
		case n == 20:
			survivors = []string{"DE", "FR", "IT", "PT"}
		}
		in.Rounds = append(in.Rounds, Round{Number: n + 1, Kind: kind, Survivors: survivors})
	}
	return in
}

func build(t *testing.T, in Input) *Report {
	r, err := Build(in)
	require.NoError(t, err)
	return r
}

func TestReport(t *testing.T) {
	r := build(t, sampleInput(t, 11500))
	require.Equal(t, fairness.AnswerRequired, r.Verdict)
	require.Equal(t, []RoundKind{{"statistics", 3, 5}, {"train", 60, 4}, {"evaluate", 1, 5}}, r.Rounds)
	require.Equal(t, []Absence{{21, "train", []string{"PL"}}}, r.Missing)
	require.EqualValues(t, 5, r.Gain.Members)
	require.NotNil(t, r.Operating.Confusion)

	raw, err := r.JSON()
	require.NoError(t, err)
	again, err := build(t, sampleInput(t, 11500)).JSON()
	require.NoError(t, err)
	require.Equal(t, raw, again, "the same input gives the same bytes")
	parsed, err := Parse(raw)
	require.NoError(t, err)
	require.Equal(t, r, parsed)

	page, err := parsed.HTML()
	require.NoError(t, err)
	if *writePage != "" {
		require.NoError(t, os.WriteFile(*writePage, page, 0o600))
		require.NoError(t, os.WriteFile(*writePage+".md", r.Markdown(), 0o600))
	}
	checkPage(t, page)
	text := string(r.Markdown())
	for _, want := range []string{"# document-risk-2026-1", "## Gates", "answer required", "## Groups: sex", "withheld by the plan", "round 21 (train) closed without PL", "## Limits"} {
		require.Contains(t, text, want)
	}
}

// checkPage: nothing is fetched or run, plots have names, tags are balanced.
func checkPage(t *testing.T, page []byte) {
	text := string(page)
	require.NotRegexp(t, regexp.MustCompile(`(?i)<script|<link|<img|@import|url\(|https?://|ZgotmplZ|NaN|Inf\b`), text)
	require.Equal(t, strings.Count(text, "<svg"), strings.Count(text, `role="img" aria-label="`))
	for _, tag := range []string{"svg", "table", "section", "figure", "div", "details"} {
		require.Equal(t, len(regexp.MustCompile("<"+tag+`[ >]`).FindAllString(text, -1)), strings.Count(text, "</"+tag+">"), tag)
	}
	require.Less(t, len(page), 200_000)
}

// TestSmallCellsStayHidden: no small count can be read off the published
// report or found by subtraction.
func TestSmallCellsStayHidden(t *testing.T) {
	in := sampleInput(t, 2500)
	r := build(t, in)
	for _, c := range r.Columns {
		var found, hidden int64
		for _, g := range c.Groups {
			if g.Found != nil && !g.About {
				require.GreaterOrEqual(t, *g.Found, int64(fairness.SmallCell))
				found += *g.Found
				continue
			}
			hidden++
			if g.Found != nil {
				require.Zero(t, *g.Found%10)
			}
			if g.TPR != nil {
				require.InDelta(t, math.Round(g.TPR.Value*100)/100, g.TPR.Value, 1e-12)
			}
			if g.FPR != nil {
				require.InDelta(t, math.Round(g.FPR.Value*1000)/1000, g.FPR.Value, 1e-12)
			}
		}
		if hidden > 0 {
			require.Greater(t, hidden, int64(1), c.Name)
			require.GreaterOrEqual(t, r.Found-found, int64(fairness.SmallCell), c.Name)
		}
	}
	for _, b := range r.Bands {
		require.GreaterOrEqual(t, b.Found, int64(fairness.SmallCell))
		require.GreaterOrEqual(t, b.Rows-b.Found, int64(fairness.SmallCell))
	}
	require.NotEmpty(t, r.Suppressed)
	page, err := r.HTML()
	require.NoError(t, err)
	checkPage(t, page)
}

// TestBandsAddUp: bands partition the scores, at the operating threshold too.
func TestBandsAddUp(t *testing.T) {
	r := build(t, sampleInput(t, 11500))
	var rows, found int64
	edge := 0.0
	atThreshold := false
	for _, b := range r.Bands {
		require.InDelta(t, edge, b.Low, 0)
		require.True(t, b.Low < b.Mean && b.Mean < b.High)
		atThreshold = atThreshold || b.Low == r.Operating.Threshold
		edge, rows, found = b.High, rows+b.Rows, found+b.Found
	}
	require.InDelta(t, 1, edge, 0)
	require.Equal(t, []int64{r.Rows, r.Found}, []int64{rows, found})
	require.True(t, atThreshold)
}

// TestNothingToReport: no rows, one class, no gates and hostile names still
// give a page, and nothing passes.
func TestNothingToReport(t *testing.T) {
	in := sampleInput(t, 0)
	in.Plan.Name = `<script>alert("1")</script>|*`
	r := build(t, in)
	require.Equal(t, fairness.NotEnough, r.Verdict)
	require.Nil(t, r.Operating)
	page, err := r.HTML()
	require.NoError(t, err)
	checkPage(t, page)
	require.NotContains(t, string(r.Markdown()), "<script")
	in.Gates = nil
	require.Equal(t, fairness.NotEnough, build(t, in).Verdict)
	in.Plan.FPR = 0
	_, err = Build(in)
	require.Error(t, err)
	_, err = Build(Input{})
	require.Error(t, err)
	in = sampleInput(t, 0)
	in.Gates = []fairness.Gate{{Metric: "luck"}}
	_, err = Build(in)
	require.Error(t, err)
}

func TestWords(t *testing.T) {
	require.Equal(t, "1\u202f234\u202f567", count(1234567))
	require.Equal(t, "123", count(123))
	require.Equal(t, []string{"10\u202f%", "0.05\u202f%", "4.9\u202f%", "0\u202f%", "100\u202f%", "0.1\u202f%"}, []string{percent(.1), percent(.0005), percent(.049), percent(0), percent(1), percent(.001)})
	require.Equal(t, []string{"+0.020", "−0.020", "0.000"}, []string{signed(.02), signed(-.02), signed(-.0001)})
}

// plainReport is made without random numbers, exponentials or logarithms but
// the log loss, whose terms are rounded.
func plainReport(t testing.TB, rows int) []byte {
	one := 1.0
	in := Input{
		Plan: Plan{FPR: .05, Members: []string{"DE"}},
		Gates: []fairness.Gate{
			{Metric: fairness.AUROC, Bound: fairness.Lower, AtLeast: p(.5)},
			{Metric: fairness.OverExpected, Group: "sex", IntervalContains: &one, Else: fairness.Answer},
		},
	}
	s := metrics.TallySchema{Bins: 32, Groups: []metrics.GroupColumn{{Name: "sex", Values: []string{"f", "m"}}}}
	scores, labels, groups := make([]float64, rows), make([]int8, rows), make([]int16, rows)
	for i := range rows {
		scores[i], labels[i], groups[i] = float64(i*i%97)/97, int8(i*i%97*(i%11)/600), int16(i%2)
	}
	words, err := s.Count(scores, labels, [][]int16{groups})
	require.NoError(t, err)
	in.Tally, err = s.Parse(words)
	require.NoError(t, err)
	r, err := Build(in)
	require.NoError(t, err)
	b, err := r.JSON()
	require.NoError(t, err)
	return b
}

// TestGolden: one sum gives one report on every architecture (S61). A new
// digest needs a reason in the commit that brings it.
func TestGolden(t *testing.T) {
	require.Equal(t, "0fc3e63661b001e6cf2cee93fe57c1df0d99dc39207b0d3a8c259316323265da", fmt.Sprintf("%x", sha256.Sum256(plainReport(t, 3000))))
}

// TestParseRefuses: Build cannot have made these.
func TestParseRefuses(t *testing.T) {
	good := string(plainReport(t, 3000))
	for _, swap := range [][2]string{
		{`"auroc"`, `"luck"`},
		{`"outcome":"pass"`, `"outcome":"fine"`},
		{`"verdict":"`, `"verdict":"not "`},
		{`"rate":"fpr_difference"`, `"rate":"fpr"`},
		{`"rows":3000,"found"`, `"rows":2999,"found"`},
		{`"bands":[{"low":0,`, `"bands":[{"low":0.1,`},
		{`koinon/report/1`, `koinon/report/2`},
		{`"limits":[`, `"extra":1,"limits":[`},
		{`"at_least":0.5`, `"at_least":0.50`},
	} {
		require.Contains(t, good, swap[0])
		_, err := Parse([]byte(strings.Replace(good, swap[0], swap[1], 1)))
		require.Error(t, err, swap[1])
	}
	_, err := Parse([]byte(good + "{}"))
	require.Error(t, err)
	_, err = Parse(make([]byte, MaxBytes+1))
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	for _, rows := range []int{0, 3000} {
		b := plainReport(f, rows)
		f.Add(b)
		f.Add(bytes.TrimSpace(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		again, err := r.JSON()
		require.NoError(t, err)
		require.Equal(t, b, again)
		_, err = r.HTML()
		require.NoError(t, err)
		r.Markdown()
	})
}

// TestHistograms: what growing trees showed is in every form of the report, and
// in none of another model. // trees 46
func TestHistograms(t *testing.T) {
	in := sampleInput(t, 11500)
	plain := build(t, in)
	raw, err := plain.JSON()
	require.NoError(t, err)
	require.NotContains(t, string(raw), "histograms")
	in.Histograms = &Histograms{Cells: 20000, Small: 310}
	r := build(t, in)
	require.Equal(t, &Histograms{20000, 310, 0.0155}, r.Histograms)
	raw, err = r.JSON()
	require.NoError(t, err)
	require.Contains(t, string(raw), `"histograms":{"cells":20000,"below_five_rows":310,"share":0.0155}`)
	parsed, err := Parse(raw)
	require.NoError(t, err)
	require.Equal(t, r, parsed)
	page, err := parsed.HTML()
	require.NoError(t, err)
	for _, text := range []string{string(page), string(parsed.Markdown())} {
		require.True(t, strings.Contains(text, "20\u202f000 cells were opened, 310 of them"))
	}
	in.Histograms = &Histograms{}
	require.Nil(t, build(t, in).Histograms, "noise covers what is shown")
}
